"""Small rounded tables of what the stages found, for the steps of the notebooks.

Every number is rounded by `nbnmbt.numbers.format_value` or to a few digits, so that a table is the
same wherever it is printed. A quantity that the data do not determine shows its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbnmbt.numbers import Table, format_value

if TYPE_CHECKING:
    import xarray as xr

    from nbnmbt.analysis.estimate import Estimate, Stage

__all__ = [
    "angle_table",
    "anisotropy_table",
    "compatible_laws_table",
    "currents_table",
    "estimates_table",
    "kink_table",
    "laws_table",
    "loops_table",
    "orientation_table",
    "vanishing_table",
]


_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _number(value: Any, digits: int = 3, unit: str = "") -> str:
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value + 0.0:.{digits}g}"
    if "e" in text and abs(value) >= 1:
        mantissa, exponent = text.split("e")
        # Ten digits of how badly a law fits say nothing, and differ between processors.
        power = str(int(exponent)).translate(_SUPERSCRIPTS)
        text = f"{round(value)}" if abs(value) < 1e5 else f"{mantissa}×10{power}"
    return f"{text} {unit}".strip()


def _p(value: Any) -> str:
    """Write a probability; simulated ones are not resolved below a thousandth."""
    if value is None or not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.1f}"


def _yes(value: Any) -> str:
    return "–" if value is None else "yes" if value else "no"


def estimates_table(estimates: Mapping[str, Estimate], keys: Iterable[str]) -> Table:
    """Return estimates with their definitions.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        Of one or more stages.
    keys : iterable of str
        Which, in which order.

    Returns
    -------
    Table
        Columns: name, value(error) with unit, definition (or the reason for no value).
    """
    rows = []
    for key in keys:
        estimate = estimates[key]
        text = estimate.definition
        if estimate.value is None:
            text = f"Not determined: {estimate.reason}"
        value = format_value(estimate.value, estimate.uncertainty, estimate.unit)
        rows.append((key, value, text))
    return Table(("name", "value", "definition"), tuple(rows))


def currents_table(currents: xr.Dataset, along: str, count: int = 6) -> Table:
    """Return the critical currents of the first set-points.

    Parameters
    ----------
    currents : Dataset
        ``Ic``, ``Ic_err``, ``censored``, ``chi2_nu`` along one coordinate.
    along : {"T", "B"}
        The coordinate.
    count : int
        Rows.

    Returns
    -------
    Table
        Set-point, each channel's Ic in mA ("censored" where it is not resolved) and the reduced
        chi-squared of the sweep.
    """
    if "Ic" not in currents.data_vars:
        return Table(("critical currents",), ((str(currents.attrs.get("reason", "none")),),))
    unit = {"T": "K", "B": "T"}[along]
    channels = [int(k) for k in currents["channel"].values]
    rows = []
    for index in range(min(count, currents.sizes[along])):
        one = currents.isel({along: index}).squeeze()
        cells = [f"{float(one[along]):g}"]
        for k in channels:
            channel = one.sel(channel=k)
            if int(channel["censored"]) or not np.isfinite(channel["Ic"]):
                cells.append("censored")
            else:
                cells.append(format_value(float(channel["Ic"]), float(channel["Ic_err"])))
        cells.append(_number(float(one["chi2_nu"]), 2))
        rows.append(tuple(cells))
    names = (f"{along} ({unit})", *(f"Ic{k} (mA)" for k in channels), "χ²/ν")
    return Table(names, tuple(rows))


def laws_table(stage: Stage, channel: int) -> Table:
    """Return how each temperature law fits one critical current, best first.

    Parameters
    ----------
    stage : Stage
        The stage ``temperature_laws``.
    channel : int
        Channel.

    Returns
    -------
    Table
    """
    entry = stage.statistics.get(f"law_Ic{channel}", {})
    laws = entry.get("laws") or {}
    names = ("law", "Tc (K)", "χ²/ν", "ΔAICc", "largest deviation (%)", "compatible")
    if not laws:
        return Table(names, ((str(entry.get("reason", "no fit")), "", "", "", "", ""),))
    rows = tuple(
        (
            law,
            format_value(row["Tc_K"], row["Tc_uncertainty_K"]),
            _number(row["chi2_nu"], 2),
            _number(row["delta_aicc"], 2),
            _number(100 * row["worst_deviation"], 2),
            _yes(row["compatible"]),
        )
        # Laws that fit alike, one being the limit of the other, stand in a fixed order.
        for law, row in sorted(
            laws.items(), key=lambda one: (round(one[1]["delta_aicc"], 2), one[0])
        )
    )
    return Table(names, rows, f"Ic{channel} against temperature, {entry['n']} points")


def compatible_laws_table(stage: Stage, channels: Sequence[int] = (0, 1, 2, 3)) -> Table:
    """Return, for each critical current, the best law and all that the data do not exclude."""
    rows = []
    for k in channels:
        entry = stage.statistics.get(f"law_Ic{k}", {})
        if not entry.get("laws"):
            rows.append((f"Ic{k}", "–", str(entry.get("reason", "no fit"))))
            continue
        compatible = sorted(entry["compatible"])
        rows.append((f"Ic{k}", entry["best"], ", ".join(compatible) or "none"))
    return Table(("critical current", "smallest AICc", "not excluded"), tuple(rows))


def kink_table(stage: Stage, channels: Sequence[int] = (0, 1, 2)) -> Table:
    """Return the kink test of each critical current in both orientations, and what it could miss.

    Parameters
    ----------
    stage : Stage
        The stage ``kinks``.
    channels : sequence of int
        Channels.

    Returns
    -------
    Table
    """
    rows = []
    for orientation, prefix in (("out of plane", "kink"), ("in plane", "kink_in_plane")):
        for k in channels:
            entry = stage.statistics.get(f"{prefix}_Ic{k}", {})
            if entry.get("sup_F") is None:
                rows.append((f"Ic{k}", orientation, "–", "–", "–", "–", "–", "–"))
                continue
            place = jump = "–"
            hidden = "–"
            if orientation == "out of plane":
                field, height = stage.estimates[f"B_kink_Ic{k}"], stage.estimates[f"jump_Ic{k}"]
                if field.value is not None:
                    place = format_value(field.value, field.uncertainty)
                    jump = format_value(1e3 * height.value, 1e3 * height.uncertainty)
            else:
                bound = stage.statistics.get(f"no_jump_in_plane_Ic{k}", {}).get("bound_mA")
                hidden = _number(None if bound is None else 1e3 * bound, 2)
            rows.append(
                (
                    f"Ic{k}",
                    orientation,
                    _number(entry["sup_F"]),
                    _number(entry["sup_F_99"], 2),
                    _p(entry["p_holm"]),
                    place,
                    jump,
                    hidden,
                )
            )
    names = (
        "critical current",
        "field",
        "largest F",
        "99 % of smooth curves below",
        "p, corrected",
        "kink at (T)",
        "step (µA)",
        "largest step not excluded (µA)",
    )
    return Table(names, tuple(rows))


def angle_table(stage: Stage, options: Any) -> Table:
    """Return the two-fold amplitudes of position and width, and what the tests say of them.

    Parameters
    ----------
    stage : Stage
        The stage ``angle``.
    options : nbnmbt.analysis.angle.Options
        Its options: channels, fields, margin.

    Returns
    -------
    Table
    """
    rows = []
    for k in options.channels:
        for field in options.fields_T:
            name = f"Ic{k}_{field:g}T"
            position = stage.estimates[f"A2_position_{name}"]
            width = stage.estimates[f"A2_width_{name}"]
            invariance = stage.statistics.get(f"angle_invariance_{name}", {})
            modulation = stage.statistics.get(f"two_fold_width_{name}", {})
            upper = invariance.get("upper")
            rows.append(
                (
                    f"Ic{k}",
                    f"{field:g}",
                    format_value(position.value, position.uncertainty),
                    _number(None if upper is None else 100 * upper, 2),
                    str(invariance.get("verdict") or "–"),
                    format_value(width.value, width.uncertainty),
                    _p(modulation.get("p_holm")),
                )
            )
    margin = f"{100 * options.margin:g} %"
    names = (
        "critical current",
        "B (T)",
        "two-fold, position (%)",
        "upper bound (%)",
        f"invariant within {margin}",
        "two-fold, width (%)",
        "p, corrected",
    )
    return Table(names, tuple(rows))


def orientation_table(stage: Stage) -> Table:
    """Return whether the field was in the plane, by the data, and whether a tilt is at work."""
    check = stage.statistics.get("orientation", {})
    tilt = stage.statistics.get("tilt", {})
    rows = [
        ("angle sweep labelled", str(check.get("label") or "–")),
        ("its critical currents follow the sweep", str(check.get("follows") or "neither")),
        ("consistent with its label", _yes(check.get("consistent"))),
        ("preferred cause of a modulation", str(tilt.get("preferred") or "–")),
        (
            "tilt of the rotation plane (deg)",
            format_value(tilt.get("tilt_deg"), tilt.get("tilt_uncertainty_deg")),
        ),
        ("modulation caused by tilt", _yes(tilt.get("caused_by_tilt"))),
    ]
    return Table(("check", "found"), tuple(rows))


def anisotropy_table(stage: Stage) -> Table:
    """Return the two-fold amplitude of the critical current of bare NbN, the control."""
    rows = []
    for name, entry in sorted(stage.statistics.items()):
        if not name.startswith("anisotropy_nbn_"):
            continue
        label, _, field = name.removeprefix("anisotropy_nbn_").partition("_")
        if entry.get("amplitude") is None or not math.isfinite(entry["amplitude"]):
            rows.append((label, field.removesuffix("T"), "–", str(entry.get("reason") or "–")))
            continue
        error = entry.get("amplitude_error_percent")
        amplitude = format_value(100 * entry["amplitude"], error)
        rows.append((label, field.removesuffix("T"), amplitude, str(entry.get("verdict") or "–")))
    rows = rows or [("–", "–", "–", "not measured")]
    names = ("critical current", "B (T)", "two-fold, position (%)", "invariance")
    return Table(names, tuple(rows))


def loops_table(loops: xr.Dataset) -> Table:
    """Return coercive field and loop height at each temperature.

    Parameters
    ----------
    loops : Dataset
        The fitted loops.

    Returns
    -------
    Table
        Without a detected loop the height is that of a loop of the expected shape, compatible with
        zero, and there is no coercive field. Trends leave out the resistive transition and curves
        that the fit does not follow.
    """
    names = ("T (K)", "loop detected", "B_c (T)", "ΔR (mΩ)", "χ²/ν", "in trends")
    if not loops.sizes.get("T", 0):
        return Table(names, (("–", "not measured", "–", "–", "–", "–"),))
    rows = []
    for index in range(loops.sizes["T"]):
        one = {name: float(loops[name].values[index]) for name in loops if loops[name].ndim == 1}
        seen = one["detected"] == 1
        rows.append(
            (
                f"{float(loops['T'].values[index]):g}",
                _yes(seen),
                format_value(one["B_c"], one["B_c_err"]) if seen else "–",
                format_value(1e3 * one["deltaR"], 1e3 * one["deltaR_err"]),
                _number(one["chi2_nu"], 2),
                _yes(one["left_out"] == 0),
            )
        )
    return Table(names, tuple(rows))


def vanishing_table(estimates: Mapping[str, Estimate], keys: Sequence[str]) -> Table:
    """Return the vanishing temperature by each law, with its weight in the average.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        Of the stage ``loops``.
    keys : sequence of str
        ``T_vanish_Bc``, ``T_vanish_deltaR``.

    Returns
    -------
    Table
    """
    rows = []
    for key in keys:
        estimate = estimates[key]
        if estimate.value is None:
            rows.append((key, "–", str(estimate.reason), "–"))
            continue
        for law in estimate.details["by_law"]:
            name = {"power": f"(1 - T/T_v)^{law['power']:g}", "mean field": f"m^{law['power']:g}"}
            rows.append(
                (
                    key,
                    name[law["law"]],
                    format_value(law["T_v"], law["uncertainty"], "K"),
                    f"{law['weight']:.2f}",
                )
            )
        total = format_value(estimate.value, estimate.uncertainty, "K")
        rows.append((key, "average of all", total, ""))
    return Table(("name", "law", "vanishes at", "weight"), tuple(rows))
