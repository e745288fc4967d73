"""What a sentence calls a number: words for ``stage/key`` and ``stage/key/field``.

Keys are for programs. Whoever reads why a claim got its verdict reads these words instead.
"""

from __future__ import annotations

import math
import re

from nbnmbt.numbers import NUMBER_KEYS

__all__ = ["quantity", "shown_setting", "subject"]

_PLANE = {"in": "in-plane", "out_of": "out-of-plane"}
_PLACE = {"interface": "of the interface", "mnbi2te4": "of MnBi2Te4", "nbn": "of NbN"}
_RATIO = {"current": "critical current", "temperature": "critical temperature"}

#: Pattern of a key without its stage -> words, and the unit of a bare statistic ("%": a fraction).
_WORDS: tuple[tuple[str, str, str], ...] = (
    (r"T_N_peak", "T_N (peak of R)", ""),
    (r"T_N_max_slope", "T_N (maximum of dR/dT)", ""),
    (r"T_N_curvature", "T_N (strongest curvature of R)", ""),
    (r"T_AR", "the temperature at which the zero-bias peak vanishes", ""),
    (r"T_min_interface", "the temperature of the lowest interface resistance", ""),
    (r"B_(flop|sat)_asymmetry_(\w+)", "the asymmetry of B_{1} {2} between the field signs", ""),
    (r"B_(flop|sat)_(interface|mnbi2te4)", "B_{1} {2}", ""),
    (r"B_c2_bound|C07/value", "the lower bound of the upper critical field of NbN", ""),
    (r"B_c2_WHH", "the upper critical field of NbN by the WHH law", ""),
    (r"C03/count", "transitions in R(T) of the interface", ""),
    (r"C04/(?:p|rise_upper)", "the rise of the interface resistance on cooling", "%"),
    (
        r"C06/(?:upper|lower)_fraction",
        "a kink of R(B) of NbN, relative to the normal resistance,",
        "%",
    ),
    (r"Ic([0-3])_2K", "Ic{1} at 2 K", ""),
    (r"polarity_Ic([0-3])", "the difference of Ic{1} between the current polarities", ""),
    (r"peaks/both", "peaks of dV/dI at both polarities", ""),
    (r"peaks/channels", "channels in the fit of V(I)", ""),
    (r"order/ratio_32_lower", "the lower 95 % bound of Ic3/Ic2", ""),
    (r"symmetry/fraction(?:_lower)?", "the part of V that is even in the current", "%"),
    (r"range_(out_of|in)_plane/value", "the largest current in the {1} field", "mA"),
    (r"range_(out_of|in)_plane/channels", "critical currents in reach in the {1} field", ""),
    (r"andreev_peak", "the zero-bias peak against temperature", ""),
    (r"andreev_peak_(out_of|in)_plane", "the zero-bias peak against the {1} field", ""),
    (r"monotone_Ic([0-3])", "Ic{1} against temperature", ""),
    (r"monotone_(out_of|in)_plane_Ic([0-3])", "Ic{2} against the {1} field", ""),
    (
        r"monotone_(out_of|in)_plane_Ic([0-3])/(?:p_value|largest_rise_mA)",
        "a rise of Ic{2} with the {1} field",
        "mA",
    ),
    (
        r"no_jump_(out_of|in)_plane_Ic([0-3])/(?:bound|lower)_mA",
        "a jump of Ic{2} in the {1} field",
        "mA",
    ),
    (r"kink_Ic([0-3])/(?:p_holm|bound_mA)", "the kink of Ic{1} in the out-of-plane field", "mA"),
    (r"local_slope_Ic([0-3])/slope_mA_per_T", "the slope of Ic{1} about the kink", ""),
    (
        r"two_fold_width_Ic([0-3])_(\d+)T/(?:p_holm|upper)",
        "the two-fold part of the width of Ic{1} at {2} T",
        "%",
    ),
    (
        r"A2_(width|position)_Ic([0-3])_(\d+)T",
        "the two-fold part of the {1} of Ic{2} at {3} T",
        "",
    ),
    (
        r"angle_invariance_Ic([0-3])_(\d+)T/(?:upper|lower)",
        "the two-fold part of Ic{1} at {2} T",
        "%",
    ),
    (
        r"anisotropy_nbn_Ic3_(\d+)T/p",
        "the dependence of Ic3 of bare NbN on the angle at {1} T",
        "",
    ),
    (
        r"anisotropy_nbn_Ic3_(\d+)T/(?:lower|upper)",
        "the two-fold part of Ic3 of bare NbN at {1} T",
        "%",
    ),
    (r".+/(?:margin|negligible)(?:_mA)?", "the margin", ""),
    (r"C26/p", "a hysteresis loop at every temperature below T_N", ""),
    (r"C26/upper_below", "the smallest loop below T_N, relative to R,", "%"),
    (r"C26/n_above_detected", "hysteresis loops above T_N", ""),
    (r"T_jump", "the temperature of the largest magnetoresistance", ""),
    (
        r"C27/ratio_to_8K_(?:low|high)",
        "the largest magnetoresistance over that at 8 K",
        "",
    ),
    (r"T_vanish_(Bc|deltaR)", "the temperature at which {1} vanishes", ""),
    (r"C29/(?:upper|lower|value)", "the coercive field, relative to the spin-flop field,", "%"),
    (r"C30/(B_c|deltaR)", "{1} against temperature", ""),
    (
        r"gap_ratio_(Ic[0-3])/(current|temperature)_ratio",
        "{2} of {1} over that of the film (Ic3)",
        "",
    ),
)
_GROUPS = _PLANE | _PLACE | _RATIO | {"deltaR": "ΔR", "Bc": "B_c", "sat": "s"}


def subject(path: str) -> str:
    """Return what a sentence calls a number, to begin a clause with.

    Parameters
    ----------
    path : str
        ``stage/key`` or ``stage/key/field`` as in claims.yaml.

    Returns
    -------
    str
        Words with symbols in plain text (``Ic0``, ``T_N``); the key itself if nobody named it.
    """
    found = _found(path)
    if found is not None:
        return found[0]
    name = path.partition("/")[2] or path
    return NUMBER_KEYS[name].symbol if name in NUMBER_KEYS else name


def quantity(path: str, value: float, unit: str = "") -> str:
    """Return a bound or margin in words: two or three digits, a fraction in per cent.

    Parameters
    ----------
    path : str
        As for `subject`; says whether the value is a fraction.
    value : float
        In the statistic's own unit.
    unit : str
        Where the path does not imply one.

    Returns
    -------
    str
        For instance ``0.03 %``, never in powers of ten.
    """
    found = _found(path)
    unit = unit or (found[1] if found else "")
    if unit == "%":
        value *= 100.0
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    text = (
        f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    )
    if "e-" not in text:
        return text
    return f"{value:.{1 - math.floor(math.log10(abs(value)))}f}".rstrip("0")


def shown_setting(name: str, value: object) -> str:
    """Return a key with a unit suffix as words: ``SiO2_side_nm``, 50 -> ``SiO2 (side) 50 nm``.

    Parameters
    ----------
    name : str
        Key of a sample's ``geometry``.
    value : object
        Its value, in the unit of the suffix.

    Returns
    -------
    str
    """
    parts = name.split("_")
    unit = parts.pop() if len(parts) > 1 else ""
    what = parts[0] + (f" ({' '.join(parts[1:])})" if parts[1:] else "")
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return f"{what} {number} {unit}".rstrip()


def _found(path: str) -> tuple[str, str] | None:
    name = path.partition("/")[2]
    for pattern, words, unit in _WORDS:
        match = re.fullmatch(pattern, name)
        if match:
            groups = (match[0], *(_GROUPS.get(group, group) for group in match.groups()))
            return words.format(*groups), unit
    return None
