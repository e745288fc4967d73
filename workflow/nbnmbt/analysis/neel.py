"""Neel temperature from the cusp of R(T), by three estimators that do not agree.

R(T) of MnBi2Te4 has a cusp at T_N (short-range order scatters above, order freezes the scattering
below: de Gennes and Friedel, J. Phys. Chem. Solids 4, 71 (1958); Fisher and Langer, Phys. Rev.
Lett. 20, 665 (1968)). With a spread of T_N of a few tenths of a kelvin the maximum of R and the
minimum of its second derivative stay at T_N, while the maximum of dR/dT lies 0.3 to 1 K below it,
without any noise. All three are reported, the last one with this bias named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.analysis.estimate import (
    EXCLUDED,
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.local_regression import clean, extremum, local_polynomial, prepare

__all__ = [
    "Cusp",
    "Options",
    "curvature_temperature",
    "find_cusp",
    "largest_slope_temperature",
    "peak_temperature",
    "rounded_cusp",
    "series_background",
    "spread_of_neel_estimators",
]

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]

#: Change of dR/dT across a cusp, over R (1/K), below which there is none.
NEGLIGIBLE_CUSP = 0.002


class Options(BaseModel):
    """Choices of the search for the Neel temperature in R(T)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    neel_search_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[14.0, 34.0], [17.0, 31.0], [20.0, 28.0]]})
    ] = (14.0, 34.0)
    """Temperatures (K) in which the cusp is looked for."""
    neel_half_width: Annotated[float, Field(gt=0, json_schema_extra={"sweep": [0.7, 1.0, 1.4]})] = (
        1.0
    )
    """Half width (K) of the local cubic fit around the cusp."""
    neel_degree: Annotated[int, Field(ge=2, le=5, json_schema_extra={"sweep": [3, 4]})] = 3
    """Degree of the local polynomial."""
    neel_rounding: Annotated[bool, Field(json_schema_extra={"sweep": [True, False]})] = True
    """Whether the shift of the R maximum by the spread of T_N is corrected for."""
    neel_background: Annotated[
        Literal["series film", "none"],
        Field(json_schema_extra={"sweep": ["series film", "none"]}),
    ] = "series film"
    """What is subtracted from the interface curve first: the film's R(T), scaled to its step."""
    neel_threshold: Annotated[float, Field(gt=0, json_schema_extra={"sweep": [3.0, 5.0]})] = 5.0
    """Drop of dR/dT across the cusp, over its standard deviation, that counts as a transition."""
    neel_resamples: Annotated[int, Field(ge=50, le=5000, json_schema_extra={"sweep": [300]})] = 300
    """Parametric resamples behind the standard uncertainties."""


@dataclass(frozen=True, kw_only=True)
class Cusp:
    """Smoothed R(T) around the cusp and its derivatives, with resampled copies.

    Attributes
    ----------
    reason : str or None
        Why there is no cusp; the arrays are empty then.
    T : ndarray, shape (m,)
        Uniform temperature grid, K.
    R, slope, curvature : ndarray, shape (resamples + 1, m)
        Local fit and derivatives (ohm, ohm/K, ohm/K^2); row 0 is the measurement.
    centre : float
        Temperature of the steepest fall of dR/dT, K: the cusp that all estimators look around.
    significance : float
        Change of dR/dT across the cusp over its standard deviation.
    rounding_shift : ndarray, shape (resamples + 1,)
        How far the spread of T_N moves the maximum of R(T) from the mean T_N (K), from
        `rounded_cusp`; zero when that fit fails.
    rounding_shift_error : float
        What remains uncertain of it, K.
    slope_smoothing_shift : float
        How far the local fit moves the largest slope of the rounded cusp, K.
    curvature_shift : float
        How far the sharpest bend of the rounded cusp lies from the mean T_N, K.
    model : dict or None
        Parameters of the rounded cusp.
    """

    reason: str | None
    T: FloatArray
    R: FloatArray
    slope: FloatArray
    curvature: FloatArray
    rounding_shift: FloatArray
    centre: float = np.nan
    significance: float = np.nan
    rounding_shift_error: float = 0.0
    slope_smoothing_shift: float = 0.0
    curvature_shift: float = 0.0
    model: dict[str, float] | None = None


def series_background(
    T: ArrayLike, T_film: ArrayLike, R_film: ArrayLike, *, film_step: float, step: float
) -> FloatArray:
    """Return the resistance that the superconducting film adds to a series curve, ohm.

    The film's own R(T) is scaled so that its step at T_c has the height found in the series curve,
    and smoothed above T_c by a quadratic in T plus 1/(T - T_0) tail, fitted to it.

    Parameters
    ----------
    T : array_like
        Temperatures of the series curve, K.
    T_film, R_film : array_like
        R(T) of the film (K, ohm).
    film_step, step : float
        Height of the superconducting step in the film and in the series curve, ohm.

    Returns
    -------
    ndarray
        Zero where the film was not measured high enough above T_c to say.
    """
    T = np.asarray(T, dtype=float)
    x, y = clean(T_film, R_film)
    above = x > 12.5
    if np.count_nonzero(above) < 8 or not film_step > 0:
        return np.zeros_like(T)
    x, y = x[above], y[above]

    def columns(at: FloatArray) -> FloatArray:
        return np.stack([np.ones_like(at), at, at**2, 1 / (np.maximum(at, 12.5) - 10.5)], axis=-1)

    coefficients = np.linalg.lstsq(columns(x), y, rcond=None)[0]
    return columns(np.clip(T, x[0], x[-1])) @ coefficients * (step / film_step)


def find_cusp(
    T: ArrayLike, R: ArrayLike, options: Options | None = None, *, seed: object = ""
) -> Cusp:
    """Find the cusp of R(T): the place where dR/dT falls most steeply.

    Parameters
    ----------
    T, R : array_like, same size
        Temperature (K) and resistance (ohm), smooth background already subtracted.
    options : Options, optional
        Analysis choices.
    seed : object
        Names the resampling stream.

    Returns
    -------
    Cusp
        With `reason` set when no cusp stands out of the noise.
    """
    from scipy.signal import find_peaks

    options = options or Options()

    def none(reason: str) -> Cusp:
        empty = np.empty((0, 0))
        return Cusp(
            reason=reason,
            T=np.empty(0),
            R=empty,
            slope=empty,
            curvature=empty,
            rounding_shift=np.empty(0),
        )

    low, high = options.neel_search_range
    x, y = clean(T, R)
    # Noise and resamples need the neighbourhood only; a superconducting step far below would
    # dominate the noise model.
    margin = 2 * options.neel_half_width
    near = (x >= low - margin) & (x <= high + margin)
    curve = prepare(x[near], y[near], n_resamples=options.neel_resamples, seed=("cusp", seed))
    if curve is None:
        return none(f"fewer than 12 usable points between {low:g} and {high:g} K")
    low, high = max(low, float(curve.x[0])), min(high, float(curve.x[-1]))
    if high - low < 4 * options.neel_half_width:
        return none(f"R(T) covers only {low:.1f} to {high:.1f} K of the search range")
    grid = np.linspace(low, high, int(np.ceil((high - low) / 0.01)) + 1)
    weights = local_polynomial(
        curve.x, grid, options.neel_half_width, degree=options.neel_degree, derivatives=2
    )
    # The change of slope across a window of +-h is what tells a cusp from a smooth bend.
    wide = local_polynomial(curve.x, grid, options.neel_half_width, degree=1, derivatives=1)[1]
    offset = max(round(options.neel_half_width / (grid[1] - grid[0])), 1)
    change = wide[2 * offset :] - wide[: -2 * offset]
    drop = -(change @ curve.y)
    sigma = np.sqrt(change**2 @ curve.sigma**2)
    # A cusp is a peak of this drop; a film's paraconductivity bends too, but ever less with T.
    peaks, shape = find_peaks(drop, prominence=0.0)
    prominence = shape["prominences"]
    significance, share = 0.0, 0.0
    if peaks.size:
        score = prominence / np.maximum(np.sqrt(2) * sigma[peaks], 1e-300)
        # Of all significant peaks the largest, not the one on the quietest stretch.
        chosen = int(np.argmax(np.where(score > options.neel_threshold, prominence, 0.0)))
        if score[chosen] <= options.neel_threshold:
            chosen = int(np.argmax(score))
        k = int(peaks[chosen])
        significance = float(score[chosen])
        share = float(prominence[chosen] / max(float(np.median(np.abs(drop))), 1e-300))
    if not (significance > options.neel_threshold and share > 2):
        hidden = options.neel_threshold * np.sqrt(2) * float(np.quantile(sigma, 0.9))
        seen = hidden < NEGLIGIBLE_CUSP * float(np.median(np.abs(curve.y)))
        return none(
            f"{EXCLUDED if seen else ''}no cusp: the largest local drop of dR/dT between {low:.1f} "
            f"and {high:.1f} K is {significance:.1f} standard deviations and {share:.1f} times the "
            "typical change"
        )
    R_fit, slope, curvature = (curve.draws @ w.T for w in weights)
    centre = float(grid[k + offset])
    model, smoothing, curvature_shift = None, 0.0, 0.0
    shift = np.zeros(curve.draws.shape[0])
    if options.neel_rounding:
        model = rounded_cusp(curve.x, curve.draws, curve.sigma, centre)
    if model is not None:
        # The shift of the maximum is read off the model by the same local fit as off the data.
        inside = np.abs(grid - centre) <= 2.0
        smoother = weights[0][inside]
        fitted = _cusp_columns(curve.x, model) @ model["coefficients"]

        def shift_of(parameters: dict[str, Any]) -> float:
            # Amplitudes follow the shape, as they do in the fit.
            columns = _cusp_columns(curve.x, parameters)
            near = np.abs(curve.x - centre - 1) <= 6
            amplitudes = np.linalg.lstsq(columns[near], fitted[near], rcond=None)[0]
            dense = columns @ amplitudes
            peak = extremum(grid[inside], (smoother @ dense)[None, :])[0][0]
            return float(peak - parameters["T_N"])

        here = shift_of(model)
        if np.isfinite(here) and abs(here) < 0.5:
            shift += here
            for name, step in (
                ("T_N", 0.02),
                ("spread", 0.01),
                ("exponent", 0.02),
                ("range", 0.01),
            ):
                there = shift_of(model | {name: model[name] + step})
                shift += (there - here) / step * model["deviations"][name]
            smoothing = _slope_smoothing(curve.x, grid, weights[1], centre, model)
            bend = extremum(grid[inside], -(weights[2][inside] @ fitted)[None, :])[0][0]
            curvature_shift = float(bend - model["T_N"]) if np.isfinite(bend) else 0.0
        else:
            model = None
    # A tenth of the shift stays as uncertainty for the assumed shape of the cusp.
    shift_error = 0.1 * abs(float(shift[0]))
    return Cusp(
        reason=None,
        T=grid,
        R=R_fit,
        slope=slope,
        curvature=curvature,
        centre=centre,
        significance=significance,
        rounding_shift=shift,
        rounding_shift_error=shift_error,
        slope_smoothing_shift=smoothing,
        curvature_shift=curvature_shift,
        model=model and {k: v for k, v in model.items() if isinstance(v, float)},
    )


def _cusp_columns(T: FloatArray, model: dict[str, Any], count: int = 121) -> FloatArray:
    """Return the linear parts of the rounded cusp: 1, T, smeared order, smeared fluctuations."""
    # Dense nodes: few Gauss-Hermite nodes leave ripples that move the maximum of dR/dT.
    nodes = np.linspace(-4, 4, count)
    weight = np.exp(-0.5 * nodes**2)
    weight /= weight.sum()
    t = T[:, None] / (model["T_N"] + model["spread"] * nodes)
    order = np.clip(1 - t, 0, None) ** model["exponent"] @ weight
    above = -np.expm1(-np.clip(t - 1, 0, None) / model["range"]) @ weight
    return np.stack([np.ones_like(T), T - model["T_N"], order, above], axis=1)


def _slope_smoothing(
    x: FloatArray, grid: FloatArray, slope_matrix: FloatArray, centre: float, model: dict[str, Any]
) -> float:
    """Return how far the local fit moves the largest slope of the fitted cusp, K."""
    inside = (grid >= centre - 5) & (grid <= centre + 0.5)
    at = grid[inside]
    exact = np.gradient(_cusp_columns(at, model, count=801) @ model["coefficients"], at)
    smooth = slope_matrix[inside] @ (_cusp_columns(x, model) @ model["coefficients"])
    shift = extremum(at, smooth[None, :])[0][0] - extremum(at, exact[None, :])[0][0]
    return float(shift) if np.isfinite(shift) and abs(shift) < 0.5 else 0.0


def rounded_cusp(
    T: FloatArray, draws: FloatArray, sigma: FloatArray, centre: float
) -> dict[str, Any] | None:
    """Fit a cusp averaged over a Gaussian spread of T_N around `centre`.

    R = a + cT - b <(1 - T/T_N)^(2 beta)> - d <1 - exp(-(T/T_N - 1)/eps_0)>, averages over T_N;
    the four amplitudes are linear and projected out (Golub and Pereyra, SIAM J. Numer. Anal. 10,
    413 (1973)).

    Parameters
    ----------
    T, sigma : ndarray, shape (n,)
        Temperature (K) and noise of the curve (ohm).
    draws : ndarray, shape (m, n)
        The curve (row 0, ohm), which is fitted, and resampled copies, which are propagated.
    centre : float
        Starting T_N, K; points from 5 K below to 7 K above are used.

    Returns
    -------
    dict or None
        ``T_N``, ``spread`` (K), ``exponent`` (2 beta), ``range`` (eps_0), ``chi2_nu``,
        ``coefficients``, and ``deviations``: by parameter, how much each draw would move it
        (linearised), shape (m,). None when there are too few points or the fit ends on a bound.
    """
    from scipy.optimize import least_squares

    inside = np.abs(T - centre - 1) <= 6
    if np.count_nonzero(inside) < 20:
        return None
    x, error = T[inside], np.maximum(sigma[inside], 1e-12)
    y = draws[0, inside]
    names = ("T_N", "spread", "exponent", "range")

    def solve(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        matrix = _cusp_columns(x, dict(zip(names, values, strict=True))) / error[:, None]
        coefficients = np.linalg.lstsq(matrix, y / error, rcond=None)[0]
        return y / error - matrix @ coefficients, coefficients

    lower = np.array([centre - 1.5, 0.02, 0.3, 0.02])
    upper = np.array([centre + 1.5, 1.5, 1.4, 0.6])
    # Weak expectations of the shape, which weak cusps need and strong ones override: 2 beta
    # between twice 0.25 and mean field, fluctuations fading within some 10 %.
    centres, widths = np.array([0.3, 0.7, 0.12]), np.array([0.3, 0.1, 0.04])

    def residual(values: FloatArray) -> FloatArray:
        return np.concatenate([solve(values)[0], (values[1:] - centres) / widths])

    fit = least_squares(
        residual,
        np.array([centre, 0.3, 0.7, 0.12]),
        bounds=(lower, upper),
        x_scale=[0.1, 0.1, 0.3, 0.05],
        max_nfev=60,
    )
    if min(fit.x[0] - lower[0], upper[0] - fit.x[0]) < 1e-3:
        return None
    found = {name: float(value) for name, value in zip(names, fit.x, strict=True)}
    matrix = _cusp_columns(x, found) / error[:, None]
    fresh = (draws[:, inside] - y) / error
    fresh -= (fresh @ np.linalg.pinv(matrix).T) @ matrix.T
    moved = -fresh @ np.linalg.pinv(fit.jac, rcond=1e-6)[:, : x.size].T
    return {
        **found,
        "deviations": dict(zip(names, moved.T, strict=True)),
        "chi2_nu": float(2 * fit.cost / max(x.size - 8, 1)),
        "coefficients": solve(fit.x)[1],
    }


def _near(cusp: Cusp, values: FloatArray, below: float, above: float) -> FloatArray:
    inside = (cusp.centre - below <= cusp.T) & (cusp.centre + above >= cusp.T)
    return extremum(cusp.T[inside], values[:, inside])[0]


def _estimate(
    func: Any,
    cusp: Cusp,
    draws: FloatArray,
    missing: str,
    systematic: float = 0.0,
    **details: Any,
) -> Estimate:
    copies = draws[1:][np.isfinite(draws[1:])]
    if not np.isfinite(draws[0]) or copies.size < 0.5 * (draws.size - 1):
        return undetermined(func, "K", missing, **details)
    return estimated(
        func,
        float(draws[0]),
        float(np.hypot(np.std(copies), systematic)),
        "K",
        significance=cusp.significance,
        resample_mean=float(np.mean(copies)),
        **details,
    )


def peak_temperature(cusp: Cusp) -> Estimate:
    """Temperature of the local maximum of R(T) at the magnetic cusp (local cubic fit), less the shift that the spread of T_N gives to this maximum.

    Parameters
    ----------
    cusp : Cusp
        From `find_cusp`.

    Returns
    -------
    Estimate
        In K.
    """  # noqa: E501
    if cusp.reason:
        return undetermined(peak_temperature, "K", cusp.reason)
    draws = _near(cusp, cusp.R, 2.0, 2.0)
    return _estimate(
        peak_temperature,
        cusp,
        draws - cusp.rounding_shift,
        "R(T) has no maximum at the cusp",
        systematic=cusp.rounding_shift_error,
        maximum=float(draws[0]),
        rounding_shift=float(cusp.rounding_shift[0]),
        rounded_cusp=cusp.model,
    )


def curvature_temperature(cusp: Cusp) -> Estimate:
    """Temperature at which d2R/dT2 is most negative at the magnetic cusp (local cubic fit), less the shift that the spread of T_N gives to it.

    Parameters
    ----------
    cusp : Cusp
        From `find_cusp`.

    Returns
    -------
    Estimate
        In K.
    """  # noqa: E501
    if cusp.reason:
        return undetermined(curvature_temperature, "K", cusp.reason)
    draws = _near(cusp, -cusp.curvature, 2.0, 2.0)
    return _estimate(
        curvature_temperature,
        cusp,
        draws - cusp.curvature_shift,
        "d2R/dT2 has no minimum at the cusp",
        systematic=0.2 * abs(cusp.curvature_shift),
        minimum=float(draws[0]),
    )


def largest_slope_temperature(cusp: Cusp) -> Estimate:
    """Temperature of the largest dR/dT on the low side of the magnetic cusp (local cubic fit, less the shift by its smoothing); it lies below T_N by about twice the spread of T_N and is biased as an estimate of T_N.

    Parameters
    ----------
    cusp : Cusp
        From `find_cusp`.

    Returns
    -------
    Estimate
        In K.
    """  # noqa: E501
    func = largest_slope_temperature
    if cusp.reason:
        return undetermined(func, "K", cusp.reason)
    draws = _near(cusp, cusp.slope, 5.0, 0.5)
    return _estimate(
        func,
        cusp,
        draws - cusp.slope_smoothing_shift,
        "dR/dT has no maximum below the cusp",
        systematic=0.2 * abs(cusp.slope_smoothing_shift),
        smoothing_shift=cusp.slope_smoothing_shift,
        bias="about -0.3, -0.6, -1.0 K for a T_N spread of 0.15, 0.3, 0.5 K",
    )


def spread_of_neel_estimators(estimates: dict[str, Estimate]) -> dict[str, Any]:
    """Difference between the R-maximum and the largest-slope temperature of one curve: how far two estimators of one Neel temperature lie apart.

    Parameters
    ----------
    estimates : dict
        ``T_N_peak`` and ``T_N_max_slope``.

    Returns
    -------
    dict
        ``difference``, ``uncertainty`` (K); None where undetermined.
    """  # noqa: E501
    peak, slope = estimates["T_N_peak"], estimates["T_N_max_slope"]
    out: dict[str, Any] = {
        "definition": definition_of(spread_of_neel_estimators),
        "difference": None,
        "uncertainty": None,
        "reason": peak.reason or slope.reason,
    }
    if peak.value is not None and slope.value is not None:
        out["difference"] = peak.value - slope.value
        out["uncertainty"] = float(np.hypot(peak.uncertainty or 0.0, slope.uncertainty or 0.0))
    return out
