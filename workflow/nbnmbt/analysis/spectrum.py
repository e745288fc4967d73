"""Stage: spectra at the lowest temperature; peaks, symmetry and range of the sweeps.

``python -m nbnmbt.analysis.spectrum --iv-interface ... --out spectrum.json``. Everything here is
read off the fits of `nbnmbt.analysis.critical_currents`; nothing is fitted again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from nbnmbt.analysis.curves import unmeasured_reason
from nbnmbt.analysis.estimate import (
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.kinks import holm
from nbnmbt.analysis.stage import stage_command

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "MEASUREMENTS",
    "Options",
    "andreev_peak",
    "count_peaks",
    "critical_current",
    "current_range",
    "film_critical_current",
    "main",
    "order_of_channels",
    "polarity_difference",
    "residual_resistance",
    "run",
    "symmetry",
]

#: Critical-current files of the stage.
MEASUREMENTS = (
    "iv_interface",
    "iv_mnbi2te4",
    "iv_nbn",
    "iv_temperature",
    "iv_out_of_plane",
    "iv_in_plane",
)


class Options(BaseModel):
    """Choices of the reading of single spectra."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature_K: float = Field(
        2.0, gt=0, description="Temperature (K) of the spectra that are quoted."
    )
    temperature_tolerance_K: float = Field(
        0.1, gt=0, description="A set-point this close (K) counts as that temperature."
    )
    peak_significance: float = Field(
        5.0,
        gt=0,
        description="The zero-bias feature is a peak above this many standard uncertainties.",
        json_schema_extra={"sweep": [3.0, 5.0, 10.0]},
    )
    zero_significance: float = Field(
        10.0,
        gt=0,
        description="R(0) differs from zero above this many standard uncertainties.",
        json_schema_extra={"sweep": [5.0, 10.0]},
    )
    negligible_peak: float = Field(
        0.02,
        gt=0,
        description="Height of the zero-bias peak, as a fraction of the background, below which it"
        " counts as absent.",
        json_schema_extra={"sweep": [0.01, 0.02, 0.05]},
    )
    countable_peak: float = Field(
        0.05,
        gt=0,
        description="A count of peaks is complete if noise hides none larger than this fraction of"
        " dV/dI.",
        json_schema_extra={"sweep": [0.02, 0.05, 0.1]},
    )
    zero_fraction: float = Field(
        0.01,
        gt=0,
        description="R(0) counts as zero below this fraction of the normal resistance.",
        json_schema_extra={"sweep": [0.005, 0.01, 0.02]},
    )
    symmetry_margin: float = Field(
        0.05,
        gt=0,
        description="Spectra count as symmetric if the part of V that is even in I stays below this"
        " fraction of the voltage that the weakest channel develops.",
        json_schema_extra={"sweep": [0.02, 0.05, 0.1]},
    )


# ------------------------------------------------------------------------------------- one trace
def _trace(ds: xr.Dataset, options: Options) -> xr.Dataset | None:
    """Return the sweep nearest the quoted temperature and zero field, or None."""
    distance = np.abs(ds["T"].values - options.temperature_K)
    if not distance.size or not distance.min() <= options.temperature_tolerance_K:
        return None
    at = {"T": int(np.argmin(distance)), "B": int(np.argmin(np.abs(np.nan_to_num(ds["B"]))))}
    return ds.isel(at | {"theta": 0})


def _no_sweep(options: Options) -> str:
    return (
        f"not measured: no sweep within {options.temperature_tolerance_K:g} K of"
        f" {options.temperature_K:g} K"
    )


def _channel(
    func: Any, trace: xr.Dataset | None, k: int, missing: str | None, options: Options
) -> Estimate:
    if missing is not None:
        return undetermined(func, "mA", missing)
    if trace is None:
        return undetermined(func, "mA", _no_sweep(options))
    if k not in trace["channel"].values:
        return undetermined(func, "mA", f"no channel {k} among the fitted ones")
    channel = trace.sel(channel=k)
    if not bool(channel["resolved"]):
        merged = json.loads(trace.attrs.get("undetermined", "{}")).get(str(k))
        return undetermined(func, "mA", merged or f"channel Ic{k} is not resolved in the sweep")
    details = {
        "temperature_K": float(trace["T"]),
        "noise_temperature_K": float(channel["Tn"]),
        "resistance_ohm": float(channel["R"]),
        "width_mA": float(channel["width"]),
        "chi2_nu": float(trace["chi2_nu"]),
    }
    if "Ic_err_calibration" in channel:
        details["calibration_uncertainty_mA"] = float(channel["Ic_err_calibration"])
    return estimated(func, float(channel["Ic"]), float(channel["Ic_err"]), "mA", **details)


def critical_current(
    trace: xr.Dataset | None, k: int, missing: str | None = None, options: Options | None = None
) -> Estimate:
    """Critical current of an interface channel, from the joint fit of V(I) at both polarities.

    Parameters
    ----------
    trace : Dataset or None
        Fit of one sweep: ``Ic``, ``Ic_err``, ... over ``channel``; None if there is none.
    k : int
        Channel, 0 the lowest.
    missing : str, optional
        Why there is no fit.
    options : Options, optional
        Quoted temperature.

    Returns
    -------
    Estimate
        In mA. The uncertainty leaves out calibration errors, which are among the details.
    """
    return _channel(critical_current, trace, k, missing, options or Options())


def film_critical_current(
    trace: xr.Dataset | None, missing: str | None = None, options: Options | None = None
) -> Estimate:
    """Critical current of the NbN film by itself, from the fit of V(I) at both polarities.

    Parameters
    ----------
    trace, missing, options
        As in `critical_current`; the film is channel 3.

    Returns
    -------
    Estimate
        In mA.
    """
    return _channel(film_critical_current, trace, 3, missing, options or Options())


def polarity_difference(
    trace: xr.Dataset | None, k: int, missing: str | None = None, options: Options | None = None
) -> dict[str, Any]:
    """Critical current at positive less that at negative current, |Ic+| - |Ic-|, from fits to each polarity after one common offset current.

    Parameters
    ----------
    trace, k, missing, options
        As in `critical_current`; with ``Ic_difference`` and ``Ic_difference_err``.

    Returns
    -------
    dict
        ``value``, ``uncertainty`` (mA), ``z``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    out: dict[str, Any] = {
        "definition": definition_of(polarity_difference),
        "value": None,
        "uncertainty": None,
        "unit": "mA",
        "z": None,
    }
    options = options or Options()
    found = _channel(polarity_difference, trace, k, missing, options)
    if trace is None or found.value is None:
        return out | {"reason": found.reason}
    channel = trace.sel(channel=k)
    value, error = float(channel["Ic_difference"]), float(channel["Ic_difference_err"])
    if not (math.isfinite(value) and math.isfinite(error)):
        return out | {"reason": f"not measured: channel Ic{k} shows at one polarity only"}
    z = value / error if error > 0 else None
    return out | {"value": value, "uncertainty": error, "z": z, "reason": None}


def andreev_peak(trace: xr.Dataset, options: Options | None = None) -> dict[str, Any]:
    """Zero-bias peak of dV/dI: height over the background in standard uncertainties, with the curvature at zero current negative.

    Parameters
    ----------
    trace : Dataset
        ``ar_height``, ``ar_height_err``, ``dVdI0_curvature``, ``dVdI0_curvature_err``.
    options : Options, optional
        Significance asked for.

    Returns
    -------
    dict
        ``height`` (R(0)/R_bg - 1), ``significance``, ``curvature`` (ohm/mA^2), ``detected``, ``p``
        (one-sided, of the less significant of the two), ``absent`` (the upper 95 % bound of the
        height lies below `negligible_peak`).
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    options = options or Options()
    height, error = float(trace["ar_height"]), float(trace["ar_height_err"])
    curvature, curvature_error = (
        float(trace["dVdI0_curvature"]),
        float(trace["dVdI0_curvature_err"]),
    )
    out: dict[str, Any] = {
        "definition": definition_of(andreev_peak),
        "height": height,
        "height_uncertainty": error,
        "curvature_ohm_per_mA2": curvature,
        "curvature_uncertainty_ohm_per_mA2": curvature_error,
        "significance": None,
        "detected": None,
        "absent": None,
        "p": None,
        "reason": None,
    }
    # Noise-free data have no error; the smallest positive number then stands for it.
    z = height / max(error, 1e-300)
    z_curvature = -curvature / max(curvature_error, 1e-300)
    if not (math.isfinite(z) and math.isfinite(z_curvature)):
        return out | {"reason": "the sweep does not determine dV/dI at zero current"}
    weaker = min(z, z_curvature)
    return out | {
        "significance": z,
        "curvature_significance": z_curvature,
        "detected": bool(weaker > options.peak_significance),
        "absent": bool(height + 1.645 * error < options.negligible_peak),
        "p": float(special.ndtr(-weaker)),
    }


def _normal_resistance(trace: xr.Dataset, warm: xr.Dataset | None) -> float:
    """Median dV/dI of the warmest sweep of `warm`, else of the trace (ohm).

    A trace that is superconducting throughout says nothing about the normal state.
    """
    best = math.nan
    for ds in (trace, None if warm is None else warm.isel(T=-1, B=0, theta=0)):
        slope = np.empty(0) if ds is None else ds["dVdI"].values
        slope = np.abs(slope[np.isfinite(slope)])
        if slope.size:
            best = float(np.nanmax([best, np.median(slope)]))
    return best


def count_peaks(
    trace: xr.Dataset, options: Options | None = None, warm: xr.Dataset | None = None
) -> dict[str, Any]:
    """Number of peaks of dV/dI beside the zero-bias one that show at both current polarities.

    Parameters
    ----------
    trace : Dataset
        ``n_peaks_pos``, ``n_peaks_neg``, ``n_peaks_matched``, ``resolved``; ``dVdI`` and
        ``dVdI_err`` over the current.
    options : Options, optional
        Significance of a peak, and the size that must be in reach.
    warm : Dataset, optional
        Sweeps up to the normal state, for the scale of dV/dI.

    Returns
    -------
    dict
        ``both`` (those at the same current of either sign: noise has no partner), ``positive``,
        ``negative``, ``channels`` (resolved by the fit), ``floor_ohm`` (height of a peak that
        noise would hide), ``sensitive`` (it lies below `countable_peak` of the normal dV/dI, so
        none was missed).
    """
    options = options or Options()
    positive, negative = float(trace["n_peaks_pos"]), float(trace["n_peaks_neg"])
    known = math.isfinite(positive) and math.isfinite(negative)
    error = trace["dVdI_err"].values
    error = error[np.isfinite(error)]
    # Nine tenths of the sweep: at its very ends the derivative is always noisier.
    floor = options.peak_significance * float(np.quantile(error, 0.9)) if error.size else math.nan
    level = _normal_resistance(trace, warm)
    return {
        "definition": definition_of(count_peaks),
        "both": int(trace["n_peaks_matched"]) if known else None,
        "positive": int(positive) if known else None,
        "negative": int(negative) if known else None,
        "channels": int(np.sum(trace["resolved"].values > 0)),
        "floor_ohm": floor,
        "sensitive": bool(floor < options.countable_peak * level),
        "reason": None if known else "the sweep gives no dV/dI",
    }


def order_of_channels(currents: Sequence[Estimate]) -> dict[str, Any]:
    """Order of the critical currents: differences of neighbours over their standard uncertainties, with Holm-corrected one-sided p values.

    Parameters
    ----------
    currents : sequence of Estimate
        Ic0 to Ic3.

    Returns
    -------
    dict
        ``differences_mA``, ``p_holm``, ``ascending`` (all p < 0.01), ``descends`` (some difference
        is negative, p < 0.01), ``ratio_32`` (Ic3/Ic2) with ``ratio_32_lower`` (95 %).
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    out: dict[str, Any] = {
        "definition": definition_of(order_of_channels),
        "ascending": None,
        "descends": None,
        "ratio_32": None,
        "ratio_32_lower": None,
        "reason": None,
    }
    absent = [estimate for estimate in currents if estimate.value is None]
    if absent:
        return out | {"reason": absent[0].reason}
    value = np.array([estimate.value for estimate in currents], dtype=float)
    error = np.array([estimate.uncertainty or 0.0 for estimate in currents])
    difference = np.diff(value)
    sigma = np.maximum(np.hypot(error[1:], error[:-1]), 1e-300)
    p = holm([float(q) for q in special.ndtr(-difference / sigma)])
    ratio = value[3] / value[2]
    spread = ratio * math.hypot(error[3] / value[3], error[2] / value[2])
    return out | {
        "differences_mA": [float(x) for x in difference],
        "p_holm": p,
        "ascending": bool(max(p) < 0.01),
        "descends": bool(min(holm([float(q) for q in special.ndtr(difference / sigma)])) < 0.01),
        "ratio_32": float(ratio),
        "ratio_32_lower": float(ratio - 1.645 * spread),
    }


def symmetry(ds: xr.Dataset, options: Options | None = None) -> dict[str, Any]:
    """Part of V that is even in I, after one offset current: its root mean square in the median sweep, as a fraction of the voltage that the weakest channel develops.

    Parameters
    ----------
    ds : Dataset
        ``asymmetry`` (mV) and ``symmetry_chi2`` over T, B, theta; ``Ic``, ``R`` over channel too.
    options : Options, optional
        Margin.

    Returns
    -------
    dict
        ``asymmetry_mV`` (median; a single sweep in the film's transition follows the drift of the
        thermostat instead), ``asymmetry_largest_mV``, ``scale_mV`` (smallest Ic R of a channel at
        the lowest temperature), ``fraction`` (noise included, hence from above),
        ``fraction_lower`` (the share beyond noise), ``margin``, ``chi2_nu_median``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(symmetry),
        "fraction": None,
        "fraction_lower": None,
        "margin": options.symmetry_margin,
        "reason": None,
    }
    asymmetry = ds["asymmetry"].values.ravel()
    coldest = ds.isel(T=0, B=0, theta=0)
    steps = (coldest["Ic"] * coldest["R"]).where(coldest["resolved"] > 0).values
    steps = steps[np.isfinite(steps)]
    if not np.isfinite(asymmetry).any() or not steps.size:
        return out | {"reason": "no sweep with both polarities and a resolved channel"}
    typical, scale = float(np.nanmedian(asymmetry)), float(np.min(np.abs(steps)))
    chi2 = ds["symmetry_chi2"].values.ravel()
    chi2 = chi2[np.isfinite(chi2)]
    # Noise alone gives a reduced chi-square of 1; twice that leaves no doubt about the noise level.
    excess = max(1 - 2 / max(float(np.median(chi2)), 2.0), 0.0) if chi2.size else 0.0
    return out | {
        "asymmetry_mV": typical,
        "asymmetry_largest_mV": float(np.nanmax(asymmetry)),
        "scale_mV": scale,
        "fraction": typical / scale,
        "fraction_lower": typical / scale * math.sqrt(excess),
        "chi2_nu_median": float(np.median(chi2)) if chi2.size else None,
        "n": int(np.isfinite(asymmetry).sum()),
    }


def residual_resistance(
    trace: xr.Dataset, options: Options | None = None, warm: xr.Dataset | None = None
) -> dict[str, Any]:
    """Resistance V/I at the smallest current, its offset removed, over its standard uncertainty.

    Parameters
    ----------
    trace : Dataset
        ``R0``, ``R0_err`` (ohm); ``dVdI`` over the current.
    options : Options, optional
        Significance asked for.
    warm : Dataset, optional
        Sweeps up to the normal state, for the scale of R.

    Returns
    -------
    dict
        ``value``, ``uncertainty`` (ohm), ``significance``, ``finite``, ``zero`` (the upper 95 %
        bound lies below `zero_fraction` of the normal dV/dI).
    """
    options = options or Options()
    value, error = float(trace["R0"]), float(trace["R0_err"])
    known = math.isfinite(value) and math.isfinite(error)
    significance = value / max(error, 1e-300) if known else None
    normal = _normal_resistance(trace, warm)
    return {
        "definition": definition_of(residual_resistance),
        "value": value if known else None,
        "uncertainty": error if known else None,
        "unit": "ohm",
        "significance": significance,
        "finite": None if significance is None else bool(significance > options.zero_significance),
        "zero": bool(value + 1.645 * error < options.zero_fraction * normal) if known else None,
        "reason": None if known else "the sweep gives no resistance at small current",
    }


def current_range(ds: xr.Dataset) -> dict[str, Any]:
    """Largest current of the sweeps in field, and the largest number of channels resolved in one.

    Parameters
    ----------
    ds : Dataset
        Critical currents with the coordinate ``I`` (mA).

    Returns
    -------
    dict
        ``value`` (mA), ``channels``.
    """
    largest = float(np.max(np.abs(ds["I"].values))) if ds["I"].size else math.nan
    return {
        "definition": definition_of(current_range),
        "value": largest if math.isfinite(largest) else None,
        "uncertainty": 0.0,
        "unit": "mA",
        "channels": int((ds["resolved"].values > 0).sum(axis=0).max()),
        "reason": None if math.isfinite(largest) else "no currents",
    }


# --------------------------------------------------------------------------------------- the stage
def run(
    fits: Mapping[str, xr.Dataset | None], options: Options | None = None, *, sample: str = ""
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Read the quoted spectra and judge peaks, order, symmetry, residual resistance and range.

    Parameters
    ----------
    fits : mapping of str to Dataset or None
        Measurement key (`MEASUREMENTS`) -> critical currents; absent or None: not measured.
    options : Options, optional
        Analysis choices.
    sample : str
        Unused; every stage takes it.

    Returns
    -------
    estimates : dict of str to Estimate
        ``Ic0_2K`` to ``Ic3_2K``.
    statistics : dict of str to dict
        ``andreev_peak``, ``peaks``, ``peaks_mnbi2te4``, ``order``, ``polarity_Ic0`` to
        ``polarity_Ic3``, ``symmetry``, ``residual_resistance``, ``range_out_of_plane``,
        ``range_in_plane``.
    """
    options = options or Options()
    missing = {name: unmeasured_reason(fits.get(name), name) for name in MEASUREMENTS}
    traces = {
        name: None if missing[name] else _trace(fits[name], options)
        for name in ("iv_interface", "iv_mnbi2te4", "iv_nbn")
    }
    estimates = {
        f"Ic{k}_2K": critical_current(traces["iv_interface"], k, missing["iv_interface"], options)
        for k in range(3)
    }
    estimates["Ic3_2K"] = film_critical_current(traces["iv_nbn"], missing["iv_nbn"], options)

    def judged(func: Any, name: str, *arguments: Any) -> dict[str, Any]:
        """Apply a judgement to a spectrum, or say why there is none, field by field as a null."""
        if missing[name] is None and (name not in traces or traces[name] is not None):
            return func(fits[name] if name not in traces else traces[name], *arguments)
        reason = missing[name] or _no_sweep(options)
        blank = dict.fromkeys(_FIELDS[func])
        return {"definition": definition_of(func), **blank, "reason": reason}

    warm = None if missing["iv_temperature"] else fits["iv_temperature"]
    statistics = {
        "andreev_peak": judged(andreev_peak, "iv_interface", options),
        "peaks": judged(count_peaks, "iv_interface", options, warm),
        "peaks_mnbi2te4": judged(count_peaks, "iv_mnbi2te4", options),
        "order": order_of_channels([estimates[f"Ic{k}_2K"] for k in range(4)]),
        **{
            f"polarity_Ic{k}": polarity_difference(traces[name], k, missing[name], options)
            for k, name in enumerate(["iv_interface"] * 3 + ["iv_nbn"])
        },
        "symmetry": judged(symmetry, "iv_temperature", options),
        "residual_resistance": judged(residual_resistance, "iv_interface", options, warm),
        "range_out_of_plane": judged(current_range, "iv_out_of_plane"),
        "range_in_plane": judged(current_range, "iv_in_plane"),
    }
    return estimates, statistics


#: What each judgement says, so that a missing measurement leaves nulls and not missing fields.
_FIELDS: dict[Any, tuple[str, ...]] = {
    andreev_peak: ("height", "height_uncertainty", "significance", "detected", "absent", "p"),
    count_peaks: ("both", "positive", "negative", "channels", "floor_ohm", "sensitive"),
    symmetry: ("fraction", "fraction_lower", "margin", "chi2_nu_median"),
    residual_resistance: ("value", "uncertainty", "significance", "finite", "zero"),
    current_range: ("value", "channels"),
}


main = stage_command(
    "spectrum",
    run,
    Options,
    "Critical currents at the lowest temperature, peaks, symmetry, range.",
    datasets={name: f"critical currents of {name} (.nc)" for name in MEASUREMENTS},
    gathered="fits",
)


if __name__ == "__main__":
    raise SystemExit(main())
