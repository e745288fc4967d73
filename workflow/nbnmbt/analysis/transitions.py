"""Stage: transition temperatures and characteristic fields from R(T) and R(B).

``python -m nbnmbt.analysis.transitions --rt-interface ... --out transitions.json``. Each quantity
is a function of `resistive_transition`, `neel` or `magnetoresistance`; this module only feeds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nbnmbt.analysis import magnetoresistance, neel, resistive_transition
from nbnmbt.analysis.estimate import Estimate, definition_of, undetermined
from nbnmbt.analysis.stage import stage_command

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MEASUREMENTS", "Options", "main", "run"]

MEASUREMENTS = (
    "rt_interface",
    "rt_mnbi2te4",
    "rt_nbn",
    "mr_interface",
    "mr_mnbi2te4",
    "mr_nbn",
)


class Options(resistive_transition.Options, neel.Options, magnetoresistance.Options):
    """Choices of the analysis of R(T) and R(B)."""


def _missing(ds: xr.Dataset | None, measurement: str) -> str | None:
    """Return why a measurement cannot be analysed, or None."""
    if ds is None:
        return f"not measured: no {measurement}"
    if not int(ds.attrs.get("measured", 1)) or "R" not in ds.data_vars:
        return str(ds.attrs.get("reason") or f"not measured: no {measurement}")
    return None


def _sweep(ds: xr.Dataset, along: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return measured abscissa, resistance and the other measured variable (T for B and back).

    Sweeps in two directions are pooled: their lags are opposite.
    """
    other = "B" if along == "T" else "T"
    measured = f"{along}_measured"
    R = ds["R"]
    x = ds[measured] if measured in ds else ds[along].broadcast_like(R)
    x = x.where(np.isfinite(x), ds[along].broadcast_like(R))
    beside = ds.get(f"{other}_measured")
    values = np.full(R.size, np.nan) if beside is None else beside.transpose(*R.dims).values.ravel()
    return x.transpose(*R.dims).values.ravel(), R.values.ravel(), values


def _temperature_sweep(
    ds: xr.Dataset | None, measurement: str, field: float = 0.0
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Return R(T) at the field nearest the wanted one."""
    reason = _missing(ds, measurement)
    if reason or ds is None:
        return np.empty(0), np.empty(0), reason
    if ds.sizes.get("B", 1) > 1:
        ds = ds.isel(B=[int(np.argmin(np.abs(ds["B"].values - field)))])
    T, R, _ = _sweep(ds, "T")
    return T, R, None


def _field_sweep(
    ds: xr.Dataset | None, measurement: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str | None]:
    """Return R(B) and the measured temperature at the lowest temperature measured."""
    reason = _missing(ds, measurement)
    if reason or ds is None:
        return np.empty(0), np.empty(0), np.empty(0), reason
    if ds.sizes.get("T", 1) > 1:
        ds = ds.isel(T=[int(np.argmin(ds["T"].values))])
    B, R, T = _sweep(ds, "B")
    return B, R, T, None


def run(
    datasets: dict[str, xr.Dataset | None], options: Options | None = None, *, sample: str = ""
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Estimate T_c, T_N, spin-flop and saturation fields, and what the claims about them need.

    Parameters
    ----------
    datasets : dict
        Measurement key (`MEASUREMENTS`) -> dataset; absent or None: not measured.
    options : Options, optional
        Analysis choices.
    sample : str
        Name that the random streams derive from.

    Returns
    -------
    estimates : dict of Estimate
    statistics : dict of dict
    """
    options = options or Options()
    estimates: dict[str, Estimate] = {}
    statistics: dict[str, dict[str, Any]] = {}
    _superconductivity(datasets, options, sample, estimates, statistics)
    _neel(datasets, options, sample, estimates, statistics)
    _fields(datasets, options, sample, estimates, statistics)
    return estimates, statistics


def _superconductivity(
    datasets: dict[str, xr.Dataset | None],
    options: Options,
    sample: str,
    estimates: dict[str, Estimate],
    statistics: dict[str, dict[str, Any]],
) -> None:
    steps: dict[str, resistive_transition.Transition] = {}
    for name, measurement in (("NbN", "rt_nbn"), ("interface", "rt_interface")):
        T, R, reason = _temperature_sweep(datasets.get(measurement), measurement)
        on_background = name == "interface"
        main = (
            resistive_transition.critical_temperature_interface
            if on_background
            else resistive_transition.critical_temperature
        )
        rivals: dict[str, Callable[..., Estimate]] = {
            "T90": resistive_transition.temperature_at_90_percent,
            "T10": resistive_transition.temperature_at_10_percent,
            "onset": resistive_transition.onset_temperature,
            "max_slope": resistive_transition.steepest_slope_temperature,
        }
        if reason:
            estimates[f"Tc_{name}"] = undetermined(main, "K", reason)
            for key, function in rivals.items():
                estimates[f"Tc_{name}_{key}"] = undetermined(function, "K", reason)
            continue
        step = resistive_transition.normalise(
            T, R, options, on_background=on_background, seed=(sample, measurement)
        )
        steps[name] = step
        estimates[f"Tc_{name}"] = main(step, options)
        for key, function in rivals.items():
            estimates[f"Tc_{name}_{key}"] = function(step)
    statistics["C01"] = resistive_transition.agreement_of_critical_temperatures(
        estimates["Tc_NbN"], estimates["Tc_interface"]
    )

    T, R, reason = _temperature_sweep(datasets.get("rt_interface"), "rt_interface")
    if reason:
        estimates["T_min_interface"] = undetermined(
            resistive_transition.minimum_below_transition, "K", reason
        )
        for claim, function in (
            ("C03", resistive_transition.resistance_features),
            ("C04", resistive_transition.upturn),
        ):
            statistics[claim] = {"definition": definition_of(function), "reason": reason}
        statistics["C03"] |= {"count": None, "features": [], "sensitive": None}
        statistics["C04"] |= {"p": None, "slope": None, "rise_upper": None}
    else:
        statistics["C03"] = resistive_transition.resistance_features(T, R, options)
        statistics["C04"] = resistive_transition.upturn(T, R, options)
        T_c = estimates["Tc_interface"].value or estimates["Tc_NbN"].value
        function = resistive_transition.minimum_below_transition
        estimates["T_min_interface"] = (
            function(T, R, T_c, options, seed=(sample, "rt_interface"))
            if T_c
            else undetermined(function, "K", "no superconducting transition to look below")
        )
    statistics["C04"]["T_min"] = estimates["T_min_interface"].value

    film = steps.get("NbN")
    R_n = film.normal_resistance if film is not None and not film.reason else None
    B, R, _, reason = _field_sweep(datasets.get("mr_nbn"), "mr_nbn")
    if reason:
        statistics["C06"] = {
            "definition": definition_of(magnetoresistance.kink_preference),
            "aicc_gain": None,
            "p": None,
            "upper": None,
            "lower": None,
            "reason": reason,
        }
        bound = undetermined(magnetoresistance.critical_field_bound, "T", reason)
    else:
        statistics["C06"] = magnetoresistance.kink_preference(
            B, R, options, seed=(sample, "mr_nbn")
        )
        bound = magnetoresistance.critical_field_bound(B, R, normal_resistance=R_n)
    statistics["C06"]["normal_resistance"] = R_n
    for side in ("upper", "lower"):
        # As a fraction: what a kink of so many ohm means depends on the film.
        height = statistics["C06"][side]
        known = height is not None and R_n
        statistics["C06"][f"{side}_fraction"] = height / R_n if known else None
    if not statistics["C06"]["reason"] and not R_n:
        statistics["C06"]["reason"] = "the normal resistance of the film is not known"
    estimates["B_c2_bound"] = bound
    estimates["B_c2_WHH"] = _whh(datasets.get("rt_nbn"), datasets.get("mr_nbn"), options, sample)
    statistics["C07"] = {
        "definition": bound.definition,
        "value": bound.value,
        "unit": "T",
        "whole_range": bound.details.get("whole_range"),
        "reason": bound.reason,
        "B_c2_WHH": estimates["B_c2_WHH"].value,
        "B_c2_WHH_uncertainty": estimates["B_c2_WHH"].uncertainty,
    }


def _whh(rt: xr.Dataset | None, mr: xr.Dataset | None, options: Options, sample: str) -> Estimate:
    """Return B_c2 by WHH if R(T) of the film was measured at several fields."""
    fields: list[float] = []
    halves: list[float] = []
    errors: list[float] = []
    if rt is not None and not _missing(rt, "rt_nbn") and rt.sizes.get("B", 1) > 1:
        for field in rt["B"].values:
            T, R, _ = _temperature_sweep(rt, "rt_nbn", float(field))
            step = resistive_transition.normalise(T, R, options, seed=(sample, "rt_nbn", field))
            half = resistive_transition.critical_temperature(step, options)
            if half.value is not None and half.uncertainty:
                fields.append(abs(float(field)))
                halves.append(half.value)
                errors.append(half.uncertainty)
    temperature = 2.0
    if mr is not None and "T" in mr.coords and mr["T"].size:
        temperature = float(np.nanmin(mr["T"].values))
    return magnetoresistance.upper_critical_field(fields, halves, errors, temperature)


def _neel(
    datasets: dict[str, xr.Dataset | None],
    options: Options,
    sample: str,
    estimates: dict[str, Estimate],
    statistics: dict[str, dict[str, Any]],
) -> None:
    quantities: dict[str, Callable[[neel.Cusp], Estimate]] = {
        "T_N_peak": neel.peak_temperature,
        "T_N_curvature": neel.curvature_temperature,
        "T_N_max_slope": neel.largest_slope_temperature,
    }
    for suffix, measurement in (("", "rt_mnbi2te4"), ("_interface", "rt_interface")):
        T, R, reason = _temperature_sweep(datasets.get(measurement), measurement)
        if reason:
            for key, function in quantities.items():
                estimates[key + suffix] = undetermined(function, "K", reason)
            continue
        background = "none"
        if suffix and options.neel_background == "series film":
            T_film, R_film, missing = _temperature_sweep(datasets.get("rt_nbn"), "rt_nbn")
            step = estimates["Tc_interface"].details.get("step_ohm")
            film_step = estimates["Tc_NbN"].details.get("step_ohm")
            if not missing and step and film_step:
                R = R - neel.series_background(T, T_film, R_film, film_step=film_step, step=step)
                background = "series film"
        cusp = neel.find_cusp(T, R, options, seed=(sample, measurement))
        for key, function in quantities.items():
            estimate = function(cusp)
            estimate.details["background"] = background
            estimates[key + suffix] = estimate
    statistics["C02"] = neel.spread_of_neel_estimators(estimates)
    statistics["C02"]["T_N"] = {
        key: {"value": estimates[key].value, "uncertainty": estimates[key].uncertainty}
        for stem in quantities
        for key in (stem, stem + "_interface")
    }


def _fields(
    datasets: dict[str, xr.Dataset | None],
    options: Options,
    sample: str,
    estimates: dict[str, Estimate],
    statistics: dict[str, dict[str, Any]],
) -> None:
    statistics["C05"] = {"definition": definition_of(magnetoresistance.side_symmetry)}
    for name, measurement in (("interface", "mr_interface"), ("mnbi2te4", "mr_mnbi2te4")):
        B, R, T, reason = _field_sweep(datasets.get(measurement), measurement)
        if reason:
            for key, function in (
                ("B_flop", magnetoresistance.spin_flop_field),
                ("B_sat", magnetoresistance.saturation_field),
            ):
                estimates[f"{key}_{name}"] = undetermined(function, "T", reason)
                estimates[f"{key}_asymmetry_{name}"] = undetermined(
                    magnetoresistance.field_asymmetry, "T", reason
                )
            statistics["C05"][name] = {"reason": reason}
            continue
        fit = magnetoresistance.fit_steps(
            B, R, options, temperature=T, interface=name == "interface", seed=(sample, measurement)
        )
        estimates[f"B_flop_{name}"] = magnetoresistance.spin_flop_field(fit)
        estimates[f"B_sat_{name}"] = magnetoresistance.saturation_field(fit)
        symmetry = magnetoresistance.side_symmetry(fit)
        for key, which in (("B_flop", "flop"), ("B_sat", "saturation")):
            asymmetry = magnetoresistance.field_asymmetry(symmetry, which)
            estimates[f"{key}_asymmetry_{name}"] = asymmetry
        statistics["C05"][name] = {
            **symmetry,
            "steps": fit.steps,
            "p_step": fit.p_step,
            "p_bend": fit.p_bend,
            "contact": fit.contact,
            "noise": fit.noise,
        }
    statistics["C32"] = {"definition": definition_of(magnetoresistance.difference_of_fields)}
    for key in ("B_flop", "B_sat"):
        difference = magnetoresistance.difference_of_fields(
            estimates[f"{key}_interface"], estimates[f"{key}_mnbi2te4"]
        )
        estimates[f"{key}_difference"] = difference
        statistics["C32"][key] = {
            "value": difference.value,
            "uncertainty": difference.uncertainty,
            "unit": "T",
            "reason": difference.reason,
            "z": difference.value / difference.uncertainty
            if difference.value is not None and difference.uncertainty
            else None,
        }


main = stage_command(
    "transitions",
    run,
    Options,
    "Transition temperatures and characteristic fields from R(T) and R(B).",
    datasets={name: f"dataset {name} (.nc)" for name in MEASUREMENTS},
    gathered="datasets",
)


if __name__ == "__main__":
    raise SystemExit(main())
