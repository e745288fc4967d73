"""Superconducting transition temperatures and features of R(T).

The primary criterion is the midpoint (50 % of the normal-state resistance). Its rivals (90 %,
10 %, onset, steepest slope) are separate functions, because on one and the same curve they differ
by more than their errors. Paraconductivity makes R(T) bend below any straight line far above
T_c, so the normal-state line is fitted together with an Aslamazov-Larkin term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.analysis.estimate import Estimate, definition_of, estimated, undetermined
from nbnmbt.analysis.local_regression import (
    SampledCurve,
    crossing,
    extremum,
    local_polynomial,
    prepare,
)

__all__ = [
    "Options",
    "Transition",
    "agreement_of_critical_temperatures",
    "critical_temperature",
    "critical_temperature_interface",
    "minimum_below_transition",
    "normalise",
    "onset_temperature",
    "resistance_features",
    "steepest_slope_temperature",
    "temperature_at_10_percent",
    "temperature_at_90_percent",
    "upturn",
]

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]

#: Scatter (K) of the resamples, wider than a sharp step, from which on they may lie at two places.
_HEAVY_SCATTER = 0.1


class Options(BaseModel):
    """Choices of the R(T) analysis below and around T_c."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tc_fraction: Annotated[
        float,
        Field(gt=0, lt=1, json_schema_extra={"sweep": [0.1, 0.5, 0.9]}),
    ] = 0.5
    """Fraction of the normal-state resistance that defines T_c."""
    normal_state_model: Annotated[
        Literal["aslamazov-larkin", "linear", "robust"],
        Field(json_schema_extra={"sweep": ["aslamazov-larkin", "linear", "robust"]}),
    ] = "aslamazov-larkin"
    """Normal-state line: with paraconductivity term, plain least squares, or Theil-Sen line."""
    normal_state_range: Annotated[
        Interval,
        Field(json_schema_extra={"sweep": [[12.0, 16.0], [12.0, 14.0], [13.0, 18.0]]}),
    ] = (12.0, 16.0)
    """Temperatures (K) of the normal-state fit."""
    thickness_over_coherence_length: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [1.0, 10.0, 30.0]})
    ] = 10.0
    """Film thickness over xi(0) in the 2D-3D crossover of the paraconductivity."""
    transition_search_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[7.0, 15.0], [8.0, 13.0]]})
    ] = (7.0, 15.0)
    """Temperatures (K) in which the superconducting step is looked for."""
    transition_half_width: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [0.05, 0.08, 0.12]})
    ] = 0.08
    """Half width (K) of the local cubic fit across the step."""
    background_below: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[1.6, 0.5], [1.3, 0.4], [2.0, 0.6]]})
    ] = (1.6, 0.5)
    """Stretch (K below the steepest slope) of the line under an interface step."""
    minimum_step: Annotated[
        float, Field(ge=0, lt=1, json_schema_extra={"sweep": [0.01, 0.02, 0.05]})
    ] = 0.02
    """Smallest step, as a fraction of the normal-state resistance, that counts as a transition."""
    feature_range: Annotated[Interval, Field(json_schema_extra={"sweep": [[2.0, 40.0]]})] = (
        2.0,
        40.0,
    )
    """Temperatures (K) in which features of dR/dT are counted."""
    feature_half_width: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [0.3, 0.5, 0.8]})
    ] = 0.5
    """Half width (K) of the local cubic fit whose slope is searched for features."""
    feature_threshold: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [4.0, 5.0, 7.0]})
    ] = 5.0
    """Prominence of a feature of dR/dT over its standard deviation."""
    upturn_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[2.0, 4.0], [2.0, 5.0], [2.0, 5.5]]})
    ] = (2.0, 5.0)
    """Fixed range (K) of the Theil-Sen slope; not adapted to the data, so that p stays honest."""
    resamples: Annotated[int, Field(ge=50, le=5000, json_schema_extra={"sweep": [300]})] = 300
    """Parametric resamples behind the standard uncertainties of curve features."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A resistive step normalised to its two plateaux, with resampled copies.

    Attributes
    ----------
    reason : str or None
        Why there is no transition; the arrays are empty then.
    T : ndarray, shape (m,)
        Uniform temperature grid, K.
    r, slope : ndarray, shape (resamples + 1, m)
        Normalised resistance and its temperature derivative (1/K); row 0 is the measurement.
    deficit : ndarray, shape (resamples + 1, m)
        (R_fit - R)/sigma against the full normal-state fit, paraconductivity included.
    r_alternative : ndarray, shape (1, m)
        Row 0 with the other model of the normal state: linear instead of with paraconductivity.
    normal_resistance : float
        Normal-state line at the steepest slope, ohm.
    step : float
        Height of the step, ohm.
    noise : dict
        Parts of the noise model of the curve.
    """

    reason: str | None
    T: FloatArray
    r: FloatArray
    slope: FloatArray
    deficit: FloatArray
    r_alternative: FloatArray
    normal_resistance: float = np.nan
    step: float = np.nan
    noise: dict[str, float]


def paraconductivity_shape(T: ArrayLike, T0: float, thickness: float) -> FloatArray:
    """Return the Aslamazov-Larkin sheet conductance of a film in units e^2/(16 hbar).

    G = [1 + x coth x]/(2 eps), x = (d/xi) sqrt(eps), eps = ln(T/T0): 2D near T0, 3D far above
    (Aslamazov and Larkin, Phys. Lett. A 26, 238 (1968)).

    Parameters
    ----------
    T : array_like
        Temperature, K.
    T0 : float
        Mean-field transition temperature, K.
    thickness : float
        d/xi(0).

    Returns
    -------
    ndarray
        Dimensionless; finite below T0 too, where it is floored at eps = 2e-3.
    """
    reduced = np.maximum(np.log(np.asarray(T, dtype=float) / T0), 2e-3)
    x = thickness * np.sqrt(reduced)
    return 0.5 * (1 + x / np.tanh(x)) / reduced


def _normal_state(
    curve: SampledCurve, T_step: float, at: FloatArray, options: Options
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return normal-state line, full fit and residual scatter of each draw at temperatures `at`."""
    low, high = options.normal_state_range
    inside = (curve.x >= low) & (curve.x <= high)
    count = int(np.count_nonzero(inside))
    if count < 6:
        return None
    T = curve.x[inside]
    R = curve.draws[:, inside]
    centre = float(np.mean(T))
    line_at = np.stack([np.ones_like(at), at - centre])
    if options.normal_state_model == "robust":
        pairs = np.triu_indices(count, 1)
        slope = np.median((R[:, pairs[1]] - R[:, pairs[0]]) / (T[pairs[1]] - T[pairs[0]]), axis=1)
        level = np.median(R - slope[:, None] * (T - centre), axis=1)
        coefficients = np.stack([level, slope], axis=1)
        line = coefficients @ line_at
        scatter = np.std(R - level[:, None] - slope[:, None] * (T - centre), axis=1)
        return line, line, scatter
    design = [np.ones_like(T), T - centre]
    if options.normal_state_model == "aslamazov-larkin":
        thickness = options.thickness_over_coherence_length
        design.append(-paraconductivity_shape(T, T_step, thickness))
    matrix = np.stack(design, axis=1)
    coefficients = R @ np.linalg.pinv(matrix).T
    residual = R - coefficients @ matrix.T
    scatter = np.sqrt(np.sum(residual**2, axis=1) / max(count - matrix.shape[1], 1))
    line = coefficients[:, :2] @ line_at
    full = line
    if options.normal_state_model == "aslamazov-larkin":
        shape = paraconductivity_shape(np.maximum(at, low), T_step, thickness)
        full = line - coefficients[:, 2:] * shape
    return line, full, scatter


def normalise(
    T: ArrayLike,
    R: ArrayLike,
    options: Options | None = None,
    *,
    on_background: bool = False,
    seed: object = "",
) -> Transition:
    """Normalise the superconducting step of R(T) between its lower and upper plateau.

    r = (R - R_low)/(R_n - R_low): R_n is the normal-state line fitted in
    `options.normal_state_range` and continued downwards; R_low is zero for a film, or, with
    `on_background`, the line fitted just below the step.

    Parameters
    ----------
    T, R : array_like, same size
        Temperature (K) and resistance (ohm); any order, NaN allowed.
    options : Options, optional
        Analysis choices.
    on_background : bool
        Whether other parts in series keep the resistance finite below the step.
    seed : object
        Names the resampling stream.

    Returns
    -------
    Transition
        With `reason` set when there is no such step.
    """
    options = options or Options()
    curve = prepare(T, R, n_resamples=options.resamples, seed=("transition", seed))

    def none(reason: str) -> Transition:
        empty = np.empty((0, 0))
        return Transition(
            reason=reason,
            T=np.empty(0),
            r=empty,
            slope=empty,
            deficit=empty,
            r_alternative=empty,
            noise={},
        )

    if curve is None:
        return none("fewer than 12 usable points in R(T)")
    low = max(options.transition_search_range[0], float(curve.x[0]))
    high = min(options.transition_search_range[1], float(curve.x[-1]))
    count = np.count_nonzero((curve.x >= low) & (curve.x <= high)) if high > low else 0
    if count < 8:
        return none(
            f"{count} points between {options.transition_search_range[0]:g} and "
            f"{options.transition_search_range[1]:g} K, too few to see a transition"
        )
    # 5 mK grid: fine beside the half width of the smoother, so interpolation on it is exact enough.
    grid = np.linspace(low, high, max(int(np.ceil((high - low) / 0.005)) + 1, 16))
    weights = local_polynomial(curve.x, grid, options.transition_half_width, derivatives=1)
    slope = curve.draws @ weights[1].T
    smooth = curve.draws @ weights[0].T
    k = int(np.argmax(slope[0]))
    T_step = float(grid[k])
    if T_step >= options.normal_state_range[0]:
        # The normal state cannot be continued to a step above the place where it was fitted.
        return none(
            f"no step below {options.normal_state_range[0]:g} K, where the normal state "
            f"begins: R(T) is steepest at {T_step:.2f} K of the {low:g} to {high:g} K searched"
        )
    upper = _normal_state(curve, T_step, grid, options)
    if upper is None:
        return none(
            f"fewer than 6 points between {options.normal_state_range[0]:g} and "
            f"{options.normal_state_range[1]:g} K, so the normal-state resistance is unknown"
        )
    line, full, scatter = upper
    lower = np.zeros_like(line)
    if on_background:
        far, near = options.background_below
        inside = (curve.x >= T_step - far) & (curve.x <= T_step - near)
        if np.count_nonzero(inside) < 4:
            return none(f"fewer than 4 points below the steepest slope at {T_step:.2f} K")
        matrix = np.stack([np.ones(np.count_nonzero(inside)), curve.x[inside] - T_step], axis=1)
        coefficients = curve.draws[:, inside] @ np.linalg.pinv(matrix).T
        lower = coefficients @ np.stack([np.ones_like(grid), grid - T_step])
    step = line - lower
    height, spread = float(step[0, k]), float(np.std(step[1:, k]))
    normal = float(line[0, k])
    drop = float(smooth[0, k:].max() - smooth[0, : k + 1].min())
    if not (height > 5 * spread and height > options.minimum_step * abs(normal)):
        return none(
            f"no step: {height:.3g} ohm at the steepest slope, below "
            f"{100 * options.minimum_step:g} % of the normal-state resistance or 5 sigma"
        )
    if drop < 0.5 * height:
        return none("R(T) never falls to half of the normal-state resistance")
    other = "linear" if options.normal_state_model == "aslamazov-larkin" else "aslamazov-larkin"
    changed = options.model_copy(update={"normal_state_model": other})
    alternative = _normal_state(curve, T_step, grid, changed)
    other_step = (line if alternative is None else alternative[0])[:1] - lower[:1]
    safe = np.where(step > 0, step, np.nan)
    safe_other = np.where(other_step > 0, other_step, np.nan)
    level = np.maximum(scatter, 1e-12 * abs(normal))[:, None]
    return Transition(
        reason=None,
        T=grid,
        r=np.nan_to_num((smooth - lower) / safe, nan=1.0),
        r_alternative=np.nan_to_num((smooth[:1] - lower[:1]) / safe_other, nan=1.0),
        slope=slope / height,
        deficit=(full - smooth) / level,
        normal_resistance=normal,
        step=height,
        noise=curve.noise,
    )


def _fraction(func: Any, transition: Transition, fraction: float) -> Estimate:
    if transition.reason:
        return undetermined(func, "K", transition.reason)
    found = crossing(transition.T, transition.r, fraction)
    # A twentieth of what another model of the normal state would change stays as uncertainty.
    other = crossing(transition.T, transition.r_alternative, fraction)[0]
    model = 0.05 * abs(float(other - found[0]))
    return _of_draws(
        func,
        found,
        f"R(T) does not cross {100 * fraction:g} % of the normal-state resistance",
        systematic=model if np.isfinite(model) else 0.0,
        fraction=fraction,
        normal_resistance_ohm=transition.normal_resistance,
        step_ohm=transition.step,
    )


def _of_draws(
    func: Any, draws: FloatArray, reason: str, systematic: float = 0.0, **details: Any
) -> Estimate:
    """Make an estimate from a row-0 value and the scatter of its resampled copies."""
    unit = "K"
    value, copies = draws[0], draws[1:]
    copies = copies[np.isfinite(copies)]
    if not np.isfinite(value) or copies.size < 0.5 * (draws.size - 1):
        return undetermined(func, unit, reason, **details)
    spread, apart = float(np.std(copies)), float(abs(value - np.median(copies)))
    if apart > spread > _HEAVY_SCATTER:
        # In heavy noise the measurement may cross where few of its copies do.
        spread = float(np.hypot(spread, apart))
    return estimated(func, float(value), float(np.hypot(spread, systematic)), unit, **details)


def critical_temperature(transition: Transition, options: Options | None = None) -> Estimate:
    """Temperature at which the resistance of the film reaches the fraction `tc_fraction` (default 50 %) of its normal-state line.

    Parameters
    ----------
    transition : Transition
        Of the NbN configuration.
    options : Options, optional
        Uses `tc_fraction`.

    Returns
    -------
    Estimate
        In K.
    """  # noqa: E501
    return _fraction(critical_temperature, transition, (options or Options()).tc_fraction)


def critical_temperature_interface(
    transition: Transition, options: Options | None = None
) -> Estimate:
    """Temperature at which the superconducting step of the interface resistance is completed to the fraction `tc_fraction` (default 50 %), between the line below it and the normal-state line above it.

    Parameters
    ----------
    transition : Transition
        Of the interface configuration, normalised `on_background`.
    options : Options, optional
        Uses `tc_fraction`.

    Returns
    -------
    Estimate
        In K.
    """  # noqa: E501
    return _fraction(critical_temperature_interface, transition, (options or Options()).tc_fraction)


def temperature_at_90_percent(transition: Transition) -> Estimate:
    """Temperature at which the superconducting step has reached 90 % of its height.

    Parameters
    ----------
    transition : Transition
        Normalised step.

    Returns
    -------
    Estimate
        In K.
    """
    return _fraction(temperature_at_90_percent, transition, 0.9)


def temperature_at_10_percent(transition: Transition) -> Estimate:
    """Temperature at which the superconducting step has reached 10 % of its height.

    Parameters
    ----------
    transition : Transition
        Normalised step.

    Returns
    -------
    Estimate
        In K.
    """
    return _fraction(temperature_at_10_percent, transition, 0.1)


def onset_temperature(transition: Transition) -> Estimate:
    """Highest temperature at which the smoothed resistance lies two standard deviations of a reading below the normal-state fit (paraconductivity included).

    Parameters
    ----------
    transition : Transition
        Normalised step.

    Returns
    -------
    Estimate
        In K. Depends on the noise by definition: quieter data give a higher onset.
    """  # noqa: E501
    if transition.reason:
        return undetermined(onset_temperature, "K", transition.reason)
    found = crossing(transition.T, -transition.deficit, -2.0)
    return _of_draws(onset_temperature, found, "no departure from the normal-state fit")


def steepest_slope_temperature(transition: Transition) -> Estimate:
    """Temperature at which dR/dT of the superconducting step is largest.

    Parameters
    ----------
    transition : Transition
        Normalised step.

    Returns
    -------
    Estimate
        In K.
    """
    if transition.reason:
        return undetermined(steepest_slope_temperature, "K", transition.reason)
    position, _ = extremum(transition.T, transition.slope)
    return _of_draws(steepest_slope_temperature, position, "dR/dT has no maximum inside the range")


def agreement_of_critical_temperatures(film: Estimate, interface: Estimate) -> dict[str, Any]:
    """Difference between the interface and the film critical temperature, with its standard uncertainty.

    Parameters
    ----------
    film, interface : Estimate
        Two critical temperatures, K.

    Returns
    -------
    dict
        ``difference``, ``uncertainty`` (K), ``z``; None where either is undetermined.
    """  # noqa: E501
    out: dict[str, Any] = {
        "definition": definition_of(agreement_of_critical_temperatures),
        "difference": None,
        "uncertainty": None,
        "z": None,
        "reason": film.reason or interface.reason,
    }
    if film.value is not None and interface.value is not None:
        error = float(np.hypot(film.uncertainty or 0.0, interface.uncertainty or 0.0))
        out["difference"] = interface.value - film.value
        out["uncertainty"] = error
        out["z"] = out["difference"] / error if error > 0 else None
    return out


def resistance_features(
    T: ArrayLike, R: ArrayLike, options: Options | None = None
) -> dict[str, Any]:
    """Extrema of dR/dT (largest rise or largest fall of R) whose prominence and whose value both exceed `feature_threshold` (default 5) standard deviations of the local slope; a rise followed within 2 K by a fall is one peak.

    Parameters
    ----------
    T, R : array_like
        Temperature (K) and resistance (ohm).
    options : Options, optional
        Range, smoothing and threshold.

    Returns
    -------
    dict
        ``count`` and ``features``: a list of ``kind`` (rise, fall, peak), ``T`` (K), ``slope``
        (ohm/K), ``significance``, in order of temperature; ``floor``: smallest step, over the
        largest resistance, that noise lets see, and ``sensitive``: it lies below `minimum_step`.

    Notes
    -----
    The slope is that of a local straight line: its kernel is positive, so a large step does not
    ring and leaves no spurious side features.
    """  # noqa: E501
    from scipy.signal import find_peaks

    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(resistance_features),
        "threshold": options.feature_threshold,
        "count": None,
        "features": [],
        "floor": None,
        "sensitive": None,
        "reason": None,
    }
    curve = prepare(T, R, n_resamples=0, seed="features")
    if curve is None:
        return out | {"reason": "fewer than 12 usable points in R(T)"}
    low = max(options.feature_range[0], float(curve.x[0]))
    high = min(options.feature_range[1], float(curve.x[-1]))
    if high <= low:
        return out | {"reason": "no points in the range of the search"}
    grid = np.linspace(low, high, max(int((high - low) / 0.02) + 1, 16))
    weights = local_polynomial(curve.x, grid, options.feature_half_width, degree=1, derivatives=1)[
        1
    ]
    slope = weights @ curve.y
    sigma = np.sqrt(weights**2 @ curve.sigma**2)
    found = []
    for kind, signed in (("rise", slope), ("fall", -slope)):
        peaks, shape = find_peaks(signed, prominence=0.0)
        for i, peak in enumerate(peaks):
            bases = [int(shape["left_bases"][i]), int(shape["right_bases"][i])]
            base = max(bases, key=lambda index: signed[index])
            prominence = float(shape["prominences"][i])
            by_prominence = prominence / max(float(np.hypot(sigma[peak], sigma[base])), 1e-300)
            by_value = float(signed[peak]) / max(float(sigma[peak]), 1e-300)
            significance = min(by_prominence, by_value)
            if significance > options.feature_threshold:
                found.append((int(peak), kind, significance))
    found.sort()
    features: list[dict[str, Any]] = []
    for peak, kind, significance in found:
        entry = {
            "kind": kind,
            "T": float(grid[peak]),
            "slope": float(slope[peak]),
            "significance": float(significance),
        }
        before = features[-1] if features else None
        if (
            kind == "fall"
            and before is not None
            and before["kind"] == "rise"
            and entry["T"] - before["T"] < 2.0
        ):
            span = (grid >= before["T"]) & (grid <= entry["T"])
            turn = float(grid[span][np.argmin(np.abs(slope[span]))])
            best = max(before["significance"], entry["significance"])
            features[-1] = {"kind": "peak", "T": turn, "slope": 0.0, "significance": best}
        else:
            features.append(entry)
    # A sharp step of height h shows in the local slope as 3 h / (4 half width).
    hidden = options.feature_threshold * float(np.quantile(sigma, 0.9))
    floor = hidden * options.feature_half_width / 0.75 / max(float(np.max(np.abs(curve.y))), 1e-300)
    return out | {
        "count": len(features),
        "features": features,
        "floor": floor,
        "sensitive": bool(floor < options.minimum_step),
    }


def upturn(T: ArrayLike, R: ArrayLike, options: Options | None = None) -> dict[str, Any]:
    """Theil-Sen slope of R(T) over the fixed range `upturn_range` at the lowest temperatures, with the one-sided p value of Kendall's test for a negative slope.

    Parameters
    ----------
    T, R : array_like
        Temperature (K) and resistance (ohm).
    options : Options, optional
        Uses `upturn_range`.

    Returns
    -------
    dict
        ``slope``, ``slope_low``, ``slope_high`` (ohm/K, 95 %), ``p``, ``n``; ``rise_upper``: upper
        95 % bound of the rise on cooling through the range, over the median resistance.
    """  # noqa: E501
    from scipy.stats import kendalltau, theilslopes

    options = options or Options()
    temperature, R = np.asarray(T, dtype=float).ravel(), np.asarray(R, dtype=float).ravel()
    low, high = options.upturn_range
    keep = np.isfinite(R) & (temperature >= low - 0.05) & (temperature <= high)
    out: dict[str, Any] = {
        "definition": definition_of(upturn),
        "slope": None,
        "slope_low": None,
        "slope_high": None,
        "rise_upper": None,
        "p": None,
        "n": int(np.count_nonzero(keep)),
        "reason": None,
    }
    if out["n"] < 6:
        return out | {"reason": f"fewer than 6 points between {low:g} and {high:g} K"}
    slope, _, slope_low, slope_high = theilslopes(R[keep], temperature[keep], 0.95)
    p = float(kendalltau(temperature[keep], R[keep], alternative="less").pvalue)
    level = max(float(np.median(np.abs(R[keep]))), 1e-300)
    return out | {
        "rise_upper": max(-float(slope_low), 0.0) * float(np.ptp(temperature[keep])) / level,
        "slope": float(slope),
        "slope_low": float(slope_low),
        "slope_high": float(slope_high),
        "p": p if np.isfinite(p) else 1.0,
    }


def minimum_below_transition(
    T: ArrayLike, R: ArrayLike, T_c: float, options: Options | None = None, *, seed: object = ""
) -> Estimate:
    """Temperature of the lowest resistance between the lowest temperature and T_c, i.e. where the low-temperature upturn begins.

    Parameters
    ----------
    T, R : array_like
        Temperature (K) and resistance (ohm).
    T_c : float
        Superconducting transition temperature, K.
    options : Options, optional
        Smoothing and resamples.
    seed : object
        Names the resampling stream.

    Returns
    -------
    Estimate
        In K; undetermined when the minimum lies on the edge of the range.
    """  # noqa: E501
    func = minimum_below_transition
    options = options or Options()
    curve = prepare(T, R, n_resamples=options.resamples, seed=("minimum", seed))
    if curve is None:
        return undetermined(func, "K", "fewer than 12 usable points in R(T)")
    low, high = float(curve.x[0]), min(T_c, float(curve.x[-1]))
    if high - low < 1.0:
        return undetermined(func, "K", "R(T) does not reach far enough below T_c")
    grid = np.linspace(low, high, max(int((high - low) / 0.01) + 1, 16))
    weights = local_polynomial(curve.x, grid, options.feature_half_width, derivatives=0)[0]
    position, _ = extremum(grid, -(curve.draws @ weights.T))
    # Between two points of the sweep the local fit cannot tell a sharp turn from a round one.
    near = np.argsort(np.abs(curve.x - np.nan_to_num(position[0])))[:3]
    spacing = float(np.ptp(curve.x[near])) / 2
    return _of_draws(
        func,
        position,
        "R(T) has no minimum between its lowest temperature and T_c",
        systematic=0.05 * spacing,
    )
