"""Hysteresis of the interfacial resistance: coercive field, loop height, and where they vanish.

Both branches of a loop are fitted together,

    R(B, up/down) = R_b(b) + dR [(1 - s)(1 - m^2) + s m/2],   m = tanh((b -/+ B_c)/w),

with b = B -/+ lag - B_0 the field at the sample: the reported field runs ahead of it while sweeping
(lag) and misses trapped flux (B_0). Reading max|R_up - R_down| instead is biased: by -7 % at
B_c = w and by -70 % at B_c = 0.2 w. Lag and B_0 are the same in all loops. They are taken from all
temperatures together, where loops above T_N and the field slope of the background speak, because in
a single loop the lag is degenerate with B_c.

The background R_b is an even function: a polynomial in |b| (a contact's pair breaking has a cusp at
zero field) or, in the resistive transition, in |b|/(|b| + b_0), which follows flux flow. Measured
temperature fluctuations, times a fitted field-dependent dR/dT, are taken out.

Amplitudes are linear and projected out of every search (variable projection: Golub and Pereyra,
SIAM J. Numer. Anal. 10, 413 (1973)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from nbnmbt.analysis.estimate import (
    EXCLUDED,
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.monotone import monotone_trend, named_generator
from nbnmbt.analysis.stage import stage_command
from nbnmbt.analysis.vanishing import fit_vanishing

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LoopFit",
    "LoopSet",
    "Options",
    "coercive_field_2K",
    "coercive_field_below_spin_flop",
    "coercive_field_vanishing",
    "field_jump",
    "field_lag",
    "fit_loops",
    "hysteresis_below_neel",
    "largest_field_jump",
    "loop_height_2K",
    "loop_height_vanishing",
    "main",
    "monotone_loop_quantity",
    "run",
    "vanishing_against_neel",
]

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]

#: Templates of the search for loops, T.
_COERCIVE_GRID = np.concatenate([np.arange(0.005, 0.1, 0.01), np.arange(0.1, 0.5, 0.015)])
#: Curves of another kind than loops (a resistive transition in field, say) leave a residual of more
#: than this variance over that of the noise, and of more than this part of the height. On loops the
#: first is near 1.
MISFIT = 25.0
MISFIT_HEIGHT = 0.05
#: One curve that leaves more than this variance over that of its noise, with an error of its height
#: above this part of it, is no measurement of a loop: trends leave it out.
MISFIT_OF_ONE = 4.0
MISFIT_OF_ONE_HEIGHT = 0.03
#: Where more than this part of a curve lies far from the fit, these are no outliers: it is no loop.
LARGEST_SHARE_OF_OUTLIERS = 0.025
#: Rise of R from zero field to the ends of the loop, over R, that counts as none.
NEGLIGIBLE_JUMP = 0.01
#: Reach in field (T) of what temperature does beyond first order: the transition, a closing gap.
FIELD_REACH = (0.6, 0.1, 0.05)
#: Level of the test whether R follows the measured temperature at all.
FOLLOWING_ALPHA = 0.01
#: Largest number of intervals of |B| on which loop and temperature are compared.
CELLS = 50
_WIDTH_GRID = np.array([0.015, 0.025, 0.04, 0.06, 0.1])


class Options(BaseModel):
    """Choices of the loop analysis."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    loop_kind: Annotated[
        Literal["auto", "butterfly", "square", "mixture"],
        Field(json_schema_extra={"sweep": ["auto", "butterfly", "mixture"]}),
    ] = "auto"
    """Shape of the loops: even in m, odd in m, both, or the one of best BIC over all loops."""
    loop_field_range: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [1.0, 0.8, 0.6]})
    ] = 1.0
    """Largest size of field (T) that is fitted."""
    background_model: Annotated[
        Literal["auto", "polynomial", "flux-flow"],
        Field(json_schema_extra={"sweep": ["auto", "polynomial"]}),
    ] = "auto"
    """Family of the smooth even background; `auto` chooses by BIC at each temperature."""
    lag_correction: Annotated[
        Literal["joint", "none"], Field(json_schema_extra={"sweep": ["joint", "none"]})
    ] = "joint"
    """Whether field lag and trapped flux are fitted, shared by all loops, or taken as zero."""
    shared_width: Annotated[bool, Field(json_schema_extra={"sweep": [True, False]})] = True
    """Whether the switching width of weak loops leans on that of strong ones."""
    loop_temperature_term: Annotated[bool, Field(json_schema_extra={"sweep": [True, False]})] = True
    """Whether measured temperature fluctuations are taken out."""
    outlier_threshold: Annotated[
        float, Field(gt=2, json_schema_extra={"sweep": [4.0, 5.0, 100.0]})
    ] = 5.0
    """Residual over its standard deviation beyond which a point is left out of the fit."""
    detection_alpha: Annotated[
        float, Field(gt=0, lt=0.5, json_schema_extra={"sweep": [0.001, 0.01, 0.05]})
    ] = 0.01
    """Rate of any false alarm over all temperatures (Holm), against noise and against lag."""
    detection_draws: Annotated[int, Field(ge=100, le=20000, json_schema_extra={"sweep": [400]})] = (
        400
    )
    """Noise draws that calibrate the detection."""
    masked_temperatures: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[9.0, 11.0], [9.5, 11.5], [0.0, 0.0]]})
    ] = (9.0, 11.0)
    """Temperatures (K, ends included) of the resistive transition, left out of trends and fits."""
    vanish_exponents: Annotated[
        tuple[float, ...],
        Field(json_schema_extra={"sweep": [[0.35, 0.5, 0.7, 1.0], [0.35], [0.5], [0.7], [1.0]]}),
    ] = (0.35, 0.5, 0.7, 1.0)
    """Exponents p of A (1 - T/T_v)^p, each held fixed."""
    vanish_mean_field: Annotated[bool, Field(json_schema_extra={"sweep": [True, False]})] = True
    """Whether mean-field order parameters (B_c: m, loop height: m and m^2) stand beside them."""
    vanish_window: Annotated[
        float, Field(ge=0, lt=1, json_schema_extra={"sweep": [0.0, 0.2, 0.3, 0.4]})
    ] = 0.0
    """Lowest T/T_v used in the vanishing fits: what the laws do at low temperature tells them
    apart."""
    vanish_law_error: Annotated[
        float, Field(ge=0, lt=0.2, json_schema_extra={"sweep": [0.0, 0.0075, 0.015]})
    ] = 0.0075
    """How well a law of vanishing is trusted: fraction of its amplitude, added to the errors."""
    neel_margin: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[1.6, 0.6], [2.5, 1.0]]})
    ] = (1.6, 0.6)
    """Loops are judged below T_N less the first and above T_N plus the second margin (K): closer to
    T_N they are smaller than noise lets see, present or not."""


# --- one temperature --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Data:
    """One loop: field, resistance and temperature fluctuation, shape (2, n); first branch is up.

    The covariance of the temperature's error has shape (2, n, n), K^2.
    """

    T: float
    B: FloatArray
    R: FloatArray
    drift: FloatArray
    drift_covariance: FloatArray
    keep: NDArray[np.bool_]
    noise: float

    @property
    def sign(self) -> FloatArray:
        return np.array([[1.0], [-1.0]])


@dataclass(frozen=True, kw_only=True)
class _Background:
    """Powers of |b| (``offset`` infinite) or |b|/(|b| + offset), odd part, temperature terms."""

    powers: tuple[int, ...]
    offset: float = np.inf
    drift: int = -1
    label: str = ""

    def columns(self, b: FloatArray, drift: FloatArray) -> FloatArray:
        """Return the design matrix, shape (points, columns), of flattened fields."""
        b, drift = b.ravel(), drift.ravel()
        size = np.abs(b)
        v = size if np.isinf(self.offset) else size / (size + self.offset)
        columns = [np.ones_like(b), b]
        columns += [v**k for k in self.powers]
        if np.any(drift):
            columns += [drift * v**k for k in range(self.drift + 1)]
        return np.stack(columns, axis=1)


def _backgrounds(model: str, with_drift: bool) -> list[_Background]:
    def powers(top: int) -> tuple[int, ...]:
        return tuple(range(1, top + 1))

    polynomial = [
        _Background(powers=(2,), drift=0, label="b^2"),
        _Background(powers=(1, 2), drift=0, label="|b|, degree 2"),
        _Background(powers=powers(4), drift=1, label="|b|, degree 4"),
        _Background(powers=powers(6), drift=2, label="|b|, degree 6"),
        _Background(powers=powers(8), drift=4, label="|b|, degree 8"),
    ]
    flux_flow = [
        _Background(
            powers=powers(top),
            offset=offset,
            drift=drift,
            label=f"flux flow {offset:g} T, degree {top}",
        )
        for offset, top, drift in (
            (0.3, 5, 3),
            (0.3, 8, 5),
            (0.08, 6, 4),
            (0.08, 9, 6),
            (0.08, 12, 8),
        )
    ]
    chosen = {"polynomial": polynomial, "flux-flow": flux_flow, "auto": polynomial + flux_flow}[
        model
    ]
    return chosen if with_drift else [replace(each, drift=-1) for each in chosen]


def _loop_columns(
    b: FloatArray, coercive: ArrayLike, width: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Return butterfly 1 - m^2 and square m/2 at the sample's field b, shape (..., 2, n)."""
    sign = np.array([[1.0], [-1.0]])
    coercive = np.asarray(coercive, dtype=float)[..., None, None]
    width = np.asarray(width, dtype=float)[..., None, None]
    m = np.tanh((b - sign * coercive) / width)
    return 1 - m**2, m / 2


def _smooth_drift(temperature: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the temperature fluctuation of one branch without reading noise, and its covariance.

    Local-level model: a random walk seen through white noise. Both variances come from the
    differences of successive readings; the smoother is the tridiagonal posterior mean (Durbin and
    Koopman, *Time Series Analysis by State Space Methods*, 2012, ch. 2).
    """
    from scipy.linalg import solveh_banded

    out = np.zeros_like(temperature)
    covariance = np.zeros((out.size, out.size))
    good = np.isfinite(temperature)
    values = temperature[good]
    if values.size < 10:
        return out, covariance
    values = values - np.mean(values)
    steps = np.diff(values)
    noise = max(-float(np.mean(steps[1:] * steps[:-1])), 0.0)
    walk = max(float(np.mean(steps**2)) - 2 * noise, 1e-6 * float(np.mean(steps**2)))
    if walk <= 0:
        return out, covariance
    ratio = noise / walk
    bands = np.zeros((2, values.size))
    bands[1] = 1 + 2 * ratio
    bands[1, [0, -1]] = 1 + ratio
    bands[0, 1:] = -ratio
    out[good] = solveh_banded(bands, values)
    covariance[np.ix_(good, good)] = noise * solveh_banded(bands, np.eye(values.size))
    return out, covariance


def _white_noise(R: FloatArray) -> float:
    """Return the standard deviation of a reading from second differences, robustly."""
    levels = []
    for branch in R:
        values = branch[np.isfinite(branch)]
        if values.size >= 5:
            levels.append(values[:-2] - 2 * values[1:-1] + values[2:])
    if not levels:
        return float("nan")
    return float(np.median(np.abs(np.concatenate(levels))) / 0.6745 / np.sqrt(6))


@dataclass(frozen=True, kw_only=True)
class LoopFit:
    """Fit of one loop.

    Attributes
    ----------
    T : float
        Set-point, K.
    detected : bool
        Whether the loop stands out of noise and of what lag can make.
    p : float
        Calibrated probability that noise and lag alone look as much like a loop.
    coercive, coercive_err, width, width_err : float
        B_c and w, T; NaN where not detected.
    height, height_err : float
        Loop height, ohm; where not detected, the amplitude that a loop of the expected shape
        would have (compatible with zero).
    square_fraction : float
        Mixture s.
    chi2_nu, correlation : float
        Residual variance over white-noise variance, and how much residual correlation widens
        errors (1: none).
    background_label : str
        The background chosen.
    fitted, background, wander : ndarray, shape (2, n)
        Both branches, their smooth part, and what fluctuations of temperature added, ohm.
    """

    T: float
    detected: bool = False
    p: float = np.nan
    coercive: float = np.nan
    coercive_err: float = np.nan
    width: float = np.nan
    width_err: float = np.nan
    height: float = np.nan
    height_err: float = np.nan
    square_fraction: float = np.nan
    chi2_nu: float = np.nan
    correlation: float = 1.0
    background_label: str = ""
    fitted: FloatArray = field(default_factory=lambda: np.empty((2, 0)))
    background: FloatArray = field(default_factory=lambda: np.empty((2, 0)))
    wander: FloatArray = field(default_factory=lambda: np.empty((2, 0)))


@dataclass(frozen=True, kw_only=True)
class LoopSet:
    """Fits of all loops and what they share.

    Attributes
    ----------
    reason : str or None
        Why nothing could be fitted.
    T, B : ndarray
        Set-points (K) and nominal fields (T).
    R : ndarray, shape (2, T, B)
        Data, ohm.
    loops : list of LoopFit
        One a temperature.
    kind : str
        butterfly, square or mixture.
    lag, lag_err, offset, offset_err : float
        Field lag and trapped flux, T.
    width, width_err : float
        Common switching width, T.
    """

    reason: str | None
    T: FloatArray
    B: FloatArray
    R: FloatArray
    loops: list[LoopFit]
    kind: str = "butterfly"
    lag: float = 0.0
    lag_err: float = np.nan
    offset: float = 0.0
    offset_err: float = np.nan
    width: float = np.nan
    width_err: float = np.nan

    def column(self, name: str) -> FloatArray:
        """Return one attribute of all loops as an array."""
        return np.array([getattr(loop, name) for loop in self.loops], dtype=float)


class _Problem:
    """One loop with its background chosen: what every fit of it needs."""

    def __init__(self, data: _Data, background: _Background) -> None:
        self.data = data
        self.background = background
        keep = data.keep.ravel()
        self.y = data.R.ravel()[keep]
        self.keep = keep

    def field(self, lag: float, offset: float) -> FloatArray:
        return self.data.B - self.data.sign * lag - offset

    def smooth(self, b: FloatArray) -> FloatArray:
        return self.background.columns(b, self.data.drift)[self.keep]

    def shapes(self, b: FloatArray, coercive: float, width: float, kind: str) -> FloatArray:
        butterfly, square = (each.ravel()[self.keep] for each in _loop_columns(b, coercive, width))
        columns = {"butterfly": [butterfly], "square": [square], "mixture": [butterfly, square]}
        return np.stack(columns[kind], axis=1)

    def solve(
        self, lag: float, offset: float, coercive: float | None, width: float, kind: str
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return residual, coefficients (loop last) and design matrix."""
        b = self.field(lag, offset)
        matrix = self.smooth(b)
        if coercive is not None:
            matrix = np.concatenate([matrix, self.shapes(b, coercive, width, kind)], axis=1)
        scale = np.linalg.norm(matrix, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        coefficients = np.linalg.lstsq(matrix / scale, self.y, rcond=1e-10)[0] / scale
        return self.y - matrix @ coefficients, coefficients, matrix


def _bic(rss: float, n: int, k: int) -> float:
    return n * float(np.log(max(rss, 1e-300) / n)) + k * float(np.log(n))


def _correlation(residual: FloatArray) -> float:
    """Return by how much neighbouring residuals that resemble each other widen variances (>= 1)."""
    r = residual - np.mean(residual)
    power = float(r @ r)
    if power <= 0 or r.size < 40:
        return 1.0
    lags = np.array([float(r[k:] @ r[:-k]) / power for k in range(1, 16)])
    # Sum up to the first lag that is compatible with no correlation.
    stop = np.flatnonzero(lags < 2 / np.sqrt(r.size))
    return max(1.0, 1 + 2 * float(np.sum(lags[: stop[0]] if stop.size else lags)))


def _concentration(residual: FloatArray, loop: FloatArray) -> float:
    """Return by how much larger variances are where the loop is than over all points (>= 1)."""
    weight, power = loop**2, residual**2
    if not weight.sum() > 0 or not power.sum() > 0:
        return 1.0
    return max(1.0, float(weight @ power / weight.sum() / power.mean()))


class _Templates:
    """Loop templates on the common field grid at one lag and offset."""

    def __init__(self, B: FloatArray, lag: float, offset: float) -> None:
        coercive, width = np.meshgrid(_COERCIVE_GRID, _WIDTH_GRID, indexing="ij")
        self.coercive, self.width = coercive.ravel(), width.ravel()
        b = B - np.array([[1.0], [-1.0]]) * lag - offset
        butterfly, square = _loop_columns(b, self.coercive, self.width)
        count = self.coercive.size
        self.both = {
            "butterfly": butterfly.reshape(count, -1).T,
            "square": square.reshape(count, -1).T,
        }

    def gains(self, keep: NDArray[np.bool_], basis: FloatArray, y: FloatArray) -> dict[str, Any]:
        """Return, for each shape, how much each template lowers the residual sum of squares."""
        fresh, norm2, dot = {}, {}, {}
        for kind, bank in self.both.items():
            part = bank[keep]
            fresh[kind] = part - basis @ (basis.T @ part)
            norm2[kind] = np.sum(fresh[kind] ** 2, axis=0)
            usable = norm2[kind] > 1e-6 * np.sum(part**2, axis=0)
            norm2[kind] = np.where(usable, norm2[kind], np.inf)
            dot[kind] = y @ fresh[kind]
        out = {kind: dot[kind] ** 2 / norm2[kind] for kind in self.both}
        # Both shapes at one B_c and w: the two-column projection.
        cross = np.sum(fresh["butterfly"] * fresh["square"], axis=0)
        determinant = norm2["butterfly"] * norm2["square"] - cross**2
        good = np.isfinite(determinant) & (
            determinant > 1e-6 * norm2["butterfly"] * norm2["square"]
        )
        numerator = (
            norm2["square"] * dot["butterfly"] ** 2
            + norm2["butterfly"] * dot["square"] ** 2
            - 2 * cross * dot["butterfly"] * dot["square"]
        )
        out["mixture"] = np.where(good, numerator, 0.0) / np.where(good, determinant, 1.0)
        return out


def _choose_background(
    data: _Data, candidates: Sequence[_Background], templates: _Templates, lag: float, offset: float
) -> tuple[_Problem, int, str]:
    """Return the background of least BIC, a loop allowed, and the best template."""
    best: tuple[float, _Problem, int, str] | None = None
    for background in candidates:
        problem = _Problem(data, background)
        matrix = problem.smooth(problem.field(lag, offset))
        if problem.y.size < matrix.shape[1] + 10:
            continue
        basis = _basis(matrix)
        rest = problem.y - basis @ (basis.T @ problem.y)
        with np.errstate(invalid="ignore"):
            gains = templates.gains(problem.keep, basis, rest)
        for kind, gain in gains.items():
            index = int(np.argmax(np.nan_to_num(gain)))
            start = float(templates.coercive[index]), float(templates.width[index])
            rss = _tangent_rss(problem, start, kind, basis, rest, lag, offset)
            extra = 4 if kind == "mixture" else 3
            score = _bic(rss, rest.size, basis.shape[1] + extra)
            if best is None or score < best[0]:
                best = (score, problem, index, kind)
    assert best is not None
    return best[1], best[2], best[3]


def _tangent_rss(
    problem: _Problem,
    start: tuple[float, float],
    kind: str,
    basis: FloatArray,
    rest: FloatArray,
    lag: float,
    offset: float,
) -> float:
    """Return the residual sum of squares with a template and its changes with B_c and w.

    The grid of templates is coarse beside the errors of a strong loop; without the changes its
    misfit would be mended by a needlessly flexible background.
    """
    b = problem.field(lag, offset)
    here = problem.shapes(b, *start, kind)
    moved = [
        problem.shapes(b, start[0] + 1e-4, start[1], kind) - here,
        problem.shapes(b, start[0], 1.01 * start[1], kind) - here,
    ]
    columns = np.concatenate([here, *moved], axis=1)
    fresh = columns - basis @ (basis.T @ columns)
    span = _basis(fresh / np.maximum(np.linalg.norm(columns, axis=0), 1e-300))
    return float(rest @ rest) - float(np.sum((span.T @ rest) ** 2))


def _basis(matrix: FloatArray) -> FloatArray:
    """Return an orthonormal basis of the columns, near-dependent directions left out."""
    norm = np.linalg.norm(matrix, axis=0)
    u, s, _ = np.linalg.svd(matrix / np.where(norm > 0, norm, 1.0), full_matrices=False)
    return u[:, s > 1e-9 * s[0]]


def _refine(
    problem: _Problem,
    start: tuple[float, float],
    kind: str,
    *,
    lag: float,
    offset: float,
    free_lag: bool,
    width_prior: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Least-squares fit of B_c and ln w, and of lag and offset if they are free."""
    from scipy.optimize import least_squares

    sigma = problem.data.noise
    scale = sigma if np.isfinite(sigma) and sigma > 0 else float(np.std(problem.y)) or 1.0

    def unpack(x: FloatArray) -> tuple[float, float, float, float]:
        here = (x[2], x[3]) if free_lag else (lag, offset)
        return float(x[0]), float(np.exp(x[1])), float(here[0]), float(here[1])

    def residual(x: FloatArray) -> FloatArray:
        coercive, width, at_lag, at_offset = unpack(x)
        r = problem.solve(at_lag, at_offset, coercive, width, kind)[0] / scale
        if width_prior is not None:
            r = np.append(r, (x[1] - np.log(width_prior[0])) / width_prior[1])
        return r

    x0 = [start[0], np.log(start[1])]
    low, high = [-0.1, np.log(0.005)], [0.9, np.log(0.4)]
    steps = [0.01, 0.2]
    if free_lag:
        x0 += [lag, offset]
        low += [-0.05, -0.05]
        high += [0.05, 0.05]
        steps += [0.001, 0.001]
    x0 = np.clip(x0, np.array(low) + 1e-6, np.array(high) - 1e-6)
    fit = least_squares(residual, x0, bounds=(low, high), x_scale=steps, max_nfev=40)
    coercive, width, at_lag, at_offset = unpack(fit.x)
    rest, coefficients, matrix = problem.solve(at_lag, at_offset, coercive, width, kind)
    n, k = rest.size, matrix.shape[1] + fit.x.size
    variance = float(rest @ rest) / max(n - k, 1)
    correlation = _correlation(rest) * _concentration(rest, matrix[:, -1])
    # least_squares saw residuals over `scale`; the variance that counts is what is left.
    inflation = max(variance / scale**2 * correlation, 1e-20)
    information = fit.jac.T @ fit.jac / inflation
    covariance = np.linalg.pinv(information, rcond=1e-12)
    return {
        "coercive": coercive,
        "width": width,
        "lag": at_lag,
        "offset": at_offset,
        "residual": rest,
        "coefficients": coefficients,
        "matrix": matrix,
        "variance": variance,
        "correlation": correlation,
        "covariance": covariance,
        "bic": _bic(float(rest @ rest), n, k),
        "loop_columns": 2 if kind == "mixture" else 1,
    }


def _height(fit: dict[str, Any], kind: str, problem: _Problem) -> tuple[float, float, float]:
    """Return loop height, its standard deviation and the square fraction.

    The height's error holds the linear one and, through the amplitudes' dependence on them, those
    of B_c and w.
    """
    count = fit["loop_columns"]
    amplitudes = fit["coefficients"][-count:]
    gram = fit["matrix"].T @ fit["matrix"]
    scale = np.sqrt(np.diag(gram))
    scale = np.where(scale > 0, scale, 1.0)
    inverse = np.linalg.pinv(gram / np.outer(scale, scale), rcond=1e-12) / np.outer(scale, scale)
    linear = inverse[-count:, -count:] * fit["variance"] * fit["correlation"]
    signs = np.sign(amplitudes)
    if kind == "butterfly":
        # A loop height below zero is noise around zero; keep its sign, so that averages stay fair.
        signs = np.array([1.0])
    weights = signs
    value = float(weights @ amplitudes)
    gradient = []
    for name, step in (("coercive", 1e-4), ("width", 1e-4)):
        there = {**fit, name: fit[name] + step}
        _, moved, _ = problem.solve(
            there["lag"], there["offset"], there["coercive"], there["width"], kind
        )
        gradient.append(float(weights @ (moved[-count:] - amplitudes)) / step)
    gradient[1] *= fit["width"]  # the fit's parameter is ln w
    covariance = fit["covariance"][:2, :2]
    variance = float(weights @ linear @ weights) + float(gradient @ covariance @ np.array(gradient))
    fraction = 0.0 if kind == "butterfly" else 1.0
    if kind == "mixture" and np.sum(np.abs(amplitudes)) > 0:
        fraction = float(np.abs(amplitudes[1]) / np.sum(np.abs(amplitudes)))
    return value, float(np.sqrt(max(variance, 0.0))), fraction


# --- lag and trapped flux ---------------------------------------------------------------------


def _lag_only(
    problem: _Problem, lag: float, offset: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return lag and offset, their information, and what is left, for a sweep without loop."""
    from scipy.optimize import least_squares

    scale = problem.data.noise or 1.0
    fit = least_squares(
        lambda x: problem.solve(x[0], x[1], None, 0.04, "butterfly")[0] / scale,
        [lag, offset],
        bounds=([-0.05, -0.05], [0.05, 0.05]),
        x_scale=[0.001, 0.001],
        max_nfev=20,
    )
    rest = fit.fun * scale
    variance = float(rest @ rest) / max(rest.size - 10, 1)
    inflation = variance / scale**2 * _correlation(rest)
    return fit.x, fit.jac.T @ fit.jac / max(inflation, 1e-300), rest


def _combine(
    estimates: list[FloatArray], information: list[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return the information-weighted mean and its covariance, widened by disagreement (Birge)."""
    total = np.sum(information, axis=0) if information else np.zeros((2, 2))
    # Without any field slope nothing is known: a weak prior of 20 mT keeps the sum invertible.
    prior = np.eye(2) / 0.02**2
    weighted = (
        np.sum([i @ e for i, e in zip(information, estimates, strict=True)], axis=0)
        if information
        else np.zeros(2)
    )
    covariance = np.linalg.inv(total + prior)
    mean = covariance @ weighted
    misfit = sum(
        float((e - mean) @ i @ (e - mean)) for i, e in zip(information, estimates, strict=True)
    )
    dof = max(2 * len(information) - 2, 1)
    covariance = covariance * max(misfit / dof, 1.0)
    count = len(information)
    if count >= 3:
        # One steep background may carry most of the information; how far the mean moves without
        # each loop in turn (jackknife) shows what its errors are worth.
        without = np.array(
            [
                np.linalg.solve(
                    total + prior - information[k], weighted - information[k] @ estimates[k]
                )
                for k in range(count)
            ]
        )
        moved = without - without.mean(axis=0)
        spread = (count - 1) / count * np.sum(moved**2, axis=0)
        # Bounded, because with few loops leaving out the only steep one leaves nothing.
        widen = np.sqrt(np.clip(spread / np.diag(covariance), 1.0, 4.0))
        covariance = covariance * np.outer(widen, widen)
    return mean, covariance


def _without_outliers(
    data: _Data, residual: FloatArray, keep: NDArray[np.bool_], threshold: float
) -> _Data:
    spread = float(np.median(np.abs(residual))) / 0.6745
    if not spread > 0:
        return data
    beyond = np.abs(residual) > threshold * spread
    if np.mean(beyond) > LARGEST_SHARE_OF_OUTLIERS:
        return data
    good = data.keep.ravel().copy()
    good[keep] &= ~beyond
    return replace(data, keep=good.reshape(data.keep.shape))


# --- all temperatures -------------------------------------------------------------------------


def _load(
    T: FloatArray, B: FloatArray, R: FloatArray, measured: FloatArray | None, options: Options
) -> list[_Data | None]:
    inside = np.abs(B) <= options.loop_field_range + 1e-9
    out: list[_Data | None] = []
    for i, temperature in enumerate(T):
        one = R[:, i, :]
        keep = np.isfinite(one) & inside
        if np.min(np.count_nonzero(keep, axis=1)) < 40:
            out.append(None)
            continue
        drift = np.zeros_like(one)
        uncertain = np.zeros((2, B.size, B.size))
        if measured is not None and options.loop_temperature_term:
            smoothed = [_smooth_drift(branch) for branch in measured[:, i, :]]
            drift, uncertain = (np.stack(each) for each in zip(*smoothed, strict=True))
            # Both branches share one zero: a shift of temperature between them is a drift too.
            means = [np.nanmean(b) if np.any(np.isfinite(b)) else np.nan for b in measured[:, i, :]]
            shift = np.nan_to_num(np.array(means) - np.nanmean(means))
            drift = drift + shift[:, None]
        filled = np.where(np.isfinite(one), one, 0.0)
        noise = _white_noise(one)
        spread = float(np.std(one[keep]))
        if not noise > 0:
            noise = max(1e-9 * float(np.max(np.abs(one[keep]))), 1e-6 * spread, 1e-12)
        out.append(
            _Data(
                T=float(temperature),
                B=np.broadcast_to(B, one.shape),
                R=filled,
                drift=drift,
                drift_covariance=uncertain,
                keep=keep,
                noise=noise,
            )
        )
    return out


def fit_loops(
    T: ArrayLike,
    B: ArrayLike,
    R: ArrayLike,
    *,
    T_measured: ArrayLike | None = None,
    options: Options | None = None,
    seed: object = "",
) -> LoopSet:
    """Fit both branches of the loops at all temperatures, with field lag and offset in common.

    Parameters
    ----------
    T : array_like, shape (n_T,)
        Set-points, K.
    B : array_like, shape (n_B,)
        Nominal fields, ascending, T.
    R : array_like, shape (2, n_T, n_B)
        Resistance on the up and the down branch, ohm; NaN where missing.
    T_measured : array_like, shape of R, optional
        Measured temperature, K.
    options : Options, optional
        Analysis choices.
    seed : object
        Names the random stream of the calibration.

    Returns
    -------
    LoopSet
        With `reason` set when no temperature has both branches, or when the fits leave far more
        than noise where loops were found.
    """
    options = options or Options()
    T, B = np.asarray(T, dtype=float), np.asarray(B, dtype=float)
    R = np.asarray(R, dtype=float)
    measured = None if T_measured is None else np.asarray(T_measured, dtype=float)
    if R.ndim != 3 or R.shape != (2, T.size, B.size):
        raise ValueError(f"R has shape {R.shape}, expected {(2, T.size, B.size)}")
    data = _load(T, B, R, measured, options)
    usable = [i for i, each in enumerate(data) if each is not None]
    if not usable:
        return LoopSet(
            reason="fewer than 40 points on either branch at every temperature",
            T=T,
            B=B,
            R=R,
            loops=[LoopFit(T=float(t)) for t in T],
        )
    lag = offset = 0.0
    lag_error = offset_error = np.nan
    if options.lag_correction == "joint":
        # Second round: backgrounds and outliers are judged again with the lag of the first.
        for _ in range(2):
            data, mean, covariance = _shared_lag(data, usable, B, lag, offset, options)
            lag, offset = float(mean[0]), float(mean[1])
        lag_error, offset_error = (float(e) for e in np.sqrt(np.diag(covariance)))
    templates = _Templates(B, lag, offset)
    problems: dict[int, _Problem] = {}
    starts: dict[int, tuple[float, float]] = {}
    detection: dict[int, float] = {}
    for i in usable:
        one = data[i]
        assert one is not None
        candidates = _backgrounds(options.background_model, bool(np.any(one.drift)))
        problem, index, shape = _choose_background(one, candidates, templates, lag, offset)
        problems[i] = problem
        starts[i] = (float(templates.coercive[index]), float(templates.width[index]))
        detection[i] = _detection_p(
            problem, templates, index, shape, lag, offset, options, (seed, float(T[i]))
        )
    found = _holm(detection, options.detection_alpha)
    kind, fits = _choose_kind(problems, starts, found, lag, offset, options)
    width, width_error, scatter = _common_width(fits)
    if options.shared_width and np.isfinite(width):
        prior = (width, float(max(np.hypot(scatter, width_error / width), 0.01)))
        fits = {
            i: _refine(
                problems[i],
                (fits[i]["coercive"], prior[0] if len(found) > 1 else fits[i]["width"]),
                kind,
                lag=lag,
                offset=offset,
                free_lag=False,
                width_prior=prior,
            )
            for i in found
        }
    loops = []
    for i, temperature in enumerate(T):
        if i not in problems:
            loops.append(LoopFit(T=float(temperature)))
        elif i in fits:
            loops.append(
                _detected(problems[i], fits[i], kind, detection[i], float(np.nan_to_num(lag_error)))
            )
        else:
            loops.append(
                _undetected(problems[i], fits, T, i, kind, detection[i], lag, offset, width)
            )
    reason = _misfit(loops, fits)
    if reason is not None:
        # Values of a model that does not describe the curves must not be taken for measured ones.
        loops = [LoopFit(T=loop.T, p=loop.p, chi2_nu=loop.chi2_nu) for loop in loops]
    return LoopSet(
        reason=reason,
        T=T,
        B=B,
        R=R,
        loops=loops,
        kind=kind,
        lag=lag,
        lag_err=lag_error,
        offset=offset,
        offset_err=offset_error,
        width=width,
        width_err=width_error,
    )


def _misfit(loops: list[LoopFit], fits: dict[int, dict[str, Any]]) -> str | None:
    """Return why the fits say nothing: they leave far more than noise where loops were found.

    Where none was found at any temperature, all fits count: beside what they leave no loop could
    have been seen, so there may be one.
    """
    excess = [
        loops[i].chi2_nu
        for i, fit in fits.items()
        if np.sqrt(fit["variance"]) > MISFIT_HEIGHT * abs(loops[i].height)
    ]
    if not fits:
        excess = [loop.chi2_nu for loop in loops if np.isfinite(loop.chi2_nu)] or [0.0]
    if 2 * len(excess) < max(len(fits), 1) or np.median(excess) <= MISFIT:
        return None
    return (
        "the curves are no loops on a smooth background (what the fit leaves has "
        f"{np.median(excess):.0f} times the variance of the noise)"
    )


def _holm(p: dict[int, float], alpha: float) -> list[int]:
    """Return the keys whose p values pass Holm's step-down test at family-wise rate alpha."""
    found = []
    p = {key: value for key, value in p.items() if np.isfinite(value)}
    for rank, key in enumerate(sorted(p, key=lambda each: p[each])):
        if p[key] * (len(p) - rank) >= alpha:
            break
        found.append(key)
    return sorted(found)


def _shared_lag(
    data: list[_Data | None],
    usable: list[int],
    B: FloatArray,
    lag: float,
    offset: float,
    options: Options,
) -> tuple[list[_Data | None], FloatArray, FloatArray]:
    """Return data without outliers, and lag and offset from all loops, with covariance."""
    templates = _Templates(B, lag, offset)
    estimates, information = [], []
    data = list(data)
    for i in usable:
        one = data[i]
        assert one is not None
        candidates = _backgrounds(options.background_model, bool(np.any(one.drift)))
        problem, index, kind = _choose_background(one, candidates, templates, lag, offset)
        start = (float(templates.coercive[index]), float(templates.width[index]))
        rest = problem.solve(lag, offset, *start, kind)[0]
        one = _without_outliers(one, rest, problem.keep, options.outlier_threshold)
        if np.count_nonzero(one.keep) < np.count_nonzero(problem.data.keep):
            problem, index, kind = _choose_background(one, candidates, templates, lag, offset)
            start = (float(templates.coercive[index]), float(templates.width[index]))
            rest = problem.solve(lag, offset, *start, kind)[0]
        data[i] = one
        # A lag on a steep background looks like a loop; a loop counts for what it adds to a lag.
        nuisance, known, without = _lag_only(problem, lag, offset)
        smallest = problem.solve(nuisance[0], nuisance[1], *start, kind)[0]
        if without @ without - smallest @ smallest > 10 * (smallest @ smallest) / smallest.size:
            fit = _refine(problem, start, kind, lag=nuisance[0], offset=nuisance[1], free_lag=True)
            rest = fit["residual"]
        else:
            rest = without
        gain = (without @ without - rest @ rest) / max(float(rest @ rest) / rest.size, 1e-300)
        if gain > 40:
            nuisance = np.array([fit["lag"], fit["offset"]])
            known = np.linalg.pinv(fit["covariance"][2:, 2:], rcond=1e-12)
        if np.all(np.isfinite(known)) and np.all(np.abs(nuisance) < 0.049):
            estimates.append(nuisance)
            information.append(known)
    mean, covariance = _combine(estimates, information)
    return data, mean, covariance


def _detection_p(
    problem: _Problem,
    templates: _Templates,
    start: int,
    kind: str,
    lag: float,
    offset: float,
    options: Options,
    seed: object,
) -> float:
    """Return the calibrated probability that noise, with its own lag, looks as much like a loop.

    Hysteresis is a difference between the branches, so only R_up - R_down is judged: a background
    that the fit misses is the same on both. The null holds the difference that a lag of this loop
    alone would make, and temperature fluctuations. The best template's gain is compared with those
    of noise put through the same search. The noise is white, and, where that is larger, the
    measured residual with random signs block by block (wild bootstrap: Wu, Ann. Statist. 14, 1261
    (1986)), which keeps its correlation and its growth with field. The far tail is that of as many
    independent chi-square variables as reproduce the 95 % point of white noise.

    What stands out must also do so beside temperature effects beyond first order, see
    `_beside_temperature`: at a corner of R(T), or where dR/dT times the thermometer's error exceeds
    the noise, the terms in the fluctuation do not describe them.
    """
    data = problem.data
    both = np.all(data.keep, axis=0)
    if np.count_nonzero(both) < 40:
        return float("nan")
    coercive, width = float(templates.coercive[start]), float(templates.width[start])
    _, coefficients, _ = problem.solve(lag, offset, coercive, width, kind)
    coefficients = coefficients[: -2 if kind == "mixture" else -1]

    def difference(values: FloatArray) -> FloatArray:
        pair = values.reshape(2, -1, *values.shape[1:])
        return (pair[0] - pair[1])[both] / np.sqrt(2)

    b = problem.field(lag, offset)
    smooth = problem.background.columns(b, data.drift)
    step = 1e-3
    shifted = problem.background.columns(problem.field(lag + step, offset), data.drift)
    y = difference(data.R.ravel()) - difference(smooth @ coefficients)
    nulls = [difference((shifted - smooth) @ coefficients)[:, None]]
    count = problem.background.columns(b, np.zeros_like(data.drift)).shape[1]
    if smooth.shape[1] > count:
        nulls.append(difference(smooth[:, count:]))
    matrix = np.concatenate(nulls, axis=1)
    matrix = matrix[:, np.linalg.norm(matrix, axis=0) > 0]
    banks = [difference(bank) for bank in templates.both.values()]
    side = b.mean(axis=0)[both] > 0
    random = named_generator("loops.detection", seed)
    p, trials, seen = _stands_out(y, matrix, banks, side, options, random)
    if p < options.detection_alpha and _follows_temperature(
        problem, b, problem.shapes(b, coercive, width, kind)
    ):
        moved = problem.background.columns(problem.field(lag, offset + step), data.drift)
        nulls = [smooth, ((shifted - smooth) @ coefficients)[:, None]]
        nulls.append(((moved - smooth) @ coefficients)[:, None])
        whole = list(templates.both.values())
        loop = [whole[shape][:, index] for shape, index in seen[: 2 if kind == "mixture" else 1]]
        slope = np.zeros(b.size)
        if smooth.shape[1] > count:
            unit = problem.background.columns(b, np.ones_like(data.drift))[:, count:]
            slope = unit @ coefficients[count:]
        rest = data.R.ravel() - smooth @ coefficients
        columns = np.concatenate(nulls, axis=1)
        p = max(p, _beside_temperature(data, b, rest, columns, np.stack(loop, 1), slope, trials))
    return p


def _stands_out(
    y: FloatArray,
    matrix: FloatArray,
    banks: Sequence[FloatArray],
    side: NDArray[np.bool_],
    options: Options,
    random: np.random.Generator,
) -> tuple[float, float, list[tuple[int, int]]]:
    """Return p of the best template beside the columns of the null, trials, and what was seen.

    `banks` holds the templates of either shape, `side` whether the field of a row is positive. The
    trials are the number of independent templates; what was seen: the best template and the best of
    the other shape, each as its bank and column.
    """
    from scipy.stats import chi2

    basis = _basis(matrix) if matrix.size else np.zeros((y.size, 0))
    kept, columns = [], []
    for bank in banks:
        part = bank - basis @ (basis.T @ bank)
        norm = np.linalg.norm(part, axis=0)
        # What a lag could make nearly as well is no evidence of a loop.
        use = norm > 0.03 * np.max(norm)
        kept.append(part[:, use] / norm[use])
        columns.append(np.flatnonzero(use))
    bank = np.concatenate(kept, axis=1)
    y = y - basis @ (basis.T @ y)
    amplitudes = y @ bank
    best = int(np.argmax(np.abs(amplitudes)))
    # A mixture of both shapes: what the other one explains must not count as noise, nor hide one
    # of the two sides below.
    first = 0 if best < kept[0].shape[1] else 1
    left = y - bank[:, best] * amplitudes[best]
    second = int(np.argmax(np.abs(left @ kept[1 - first])))
    pair = np.stack([bank[:, best], kept[1 - first][:, second]], axis=1)
    there = best - first * kept[0].shape[1]
    seen = [
        (first, int(columns[first][there])),
        (1 - first, int(columns[1 - first][second])),
    ]
    shares = np.linalg.lstsq(pair, y, rcond=None)[0]
    left = y - pair @ shares
    y = y - pair[:, 1] * shares[1]
    amplitudes = y @ bank
    dof = max(y.size - basis.shape[1] - 4, 1)
    variance = float(left @ left) / dof
    if not variance > 0:
        return (0.0 if amplitudes[best] != 0 else 1.0), 1.0, seen
    white = random.standard_normal((options.detection_draws, y.size))
    correlation = _correlation(left)
    block = 1 if correlation < 1.2 else int(np.ceil(3 * correlation))
    signs = random.choice([-1.0, 1.0], size=(options.detection_draws, -(-y.size // block)))
    wild = left * np.repeat(signs, block, axis=1)[:, : y.size] / np.sqrt(variance)
    levels = []
    for rows in (white, wild):
        rows = rows - (rows @ basis) @ basis.T
        levels.append(float(np.quantile(np.max((rows @ bank) ** 2, axis=1), 0.95)))
    independent = np.log(0.95) / np.log1p(-float(chi2.sf(levels[0], 1)))
    widening = max(1.0, levels[1] / levels[0])
    statistic = float(amplitudes[best] ** 2) / variance / widening
    p = float(-np.expm1(independent * np.log1p(-float(chi2.sf(statistic, 1)))))
    # Both field directions must show it with one sign: a spike on one side is no loop. The weaker
    # side decides (intersection-union test).
    for half in (side, ~side):
        template = bank[half, best]
        power = float(template @ template)
        if power < 1e-6:
            return 1.0, 1.0, seen
        z = float(template @ y[half]) * np.sign(amplitudes[best]) / np.sqrt(power * variance)
        p = max(p, float(ndtr(-z / np.sqrt(widening))))
    return p, float(independent), seen


def _follows_temperature(problem: _Problem, b: FloatArray, loop: FloatArray) -> bool:
    """Return whether R beside a loop follows the measured temperature to first order (F test)."""
    from scipy.stats import f

    columns = replace(problem.background, drift=-1).columns(b, problem.data.drift)[problem.keep]
    without = np.concatenate([columns, loop], axis=1)
    everything = np.concatenate([problem.smooth(b), loop], axis=1)
    bases = _basis(without), _basis(everything)
    rss = [float(np.sum((problem.y - u @ (u.T @ problem.y)) ** 2)) for u in bases]
    more = bases[1].shape[1] - bases[0].shape[1]
    left = problem.y.size - bases[1].shape[1]
    if more < 1 or left < 1:
        return False
    ratio = (rss[0] - rss[1]) / more / max(rss[1] / left, 1e-300)
    return float(f.sf(ratio, more, left)) < FOLLOWING_ALPHA


def _cells(data: _Data) -> tuple[FloatArray, FloatArray]:
    """Return the matrix that averages neighbouring points, and one of what is even in B.

    Shapes (cells, points) and (cells, intervals). A cell is a branch, a sign and an interval of
    |B|; its row has norm 1, so that white noise stays white.
    """
    size = np.abs(data.B)
    distinct, rank = np.unique(np.round(size, 6), return_inverse=True)
    interval = rank.reshape(size.shape) // -(-distinct.size // CELLS)
    number = int(interval.max()) + 1
    cell = interval + number * ((data.B > 0) + 2 * (data.sign < 0))
    matrix = np.zeros((4 * number, size.size))
    matrix[cell.ravel(), np.arange(size.size)] = data.keep.ravel()
    count = matrix.sum(axis=1)
    matrix = matrix[count > 0] / np.sqrt(count[count > 0])[:, None]
    even = matrix @ (interval.ravel()[:, None] == np.arange(number))
    return matrix, even


def _temperature_covariances(data: _Data, b: FloatArray, slope: FloatArray) -> list[FloatArray]:
    """Return covariances (points, points) of what temperature makes beyond first order, unscaled.

    The first is that of the error of the smoothed temperature, through the fitted dR/dT, `slope`.
    The others are those of a resistance that is any rough function of temperature and |b|
    (exponential kernel: at a corner of R(T) no power of the fluctuation would do), at all fields or
    near zero field only, where a gap or a critical current closes.
    """
    from scipy.linalg import block_diag

    covariances = [slope[:, None] * block_diag(*data.drift_covariance) * slope]
    drift, size = data.drift.ravel(), np.abs(b.ravel())
    apart = np.abs(drift[:, None] - drift) / np.ptp(drift)
    for reach in FIELD_REACH:
        kernel = np.exp(-apart - 0.5 * ((size[:, None] - size) / reach) ** 2)
        if reach < np.max(size) / 2:
            envelope = np.exp(-0.5 * (size / reach) ** 2)
            kernel = envelope[:, None] * kernel * envelope
        covariances.append(kernel)
    return covariances


def _beside_temperature(
    data: _Data,
    b: FloatArray,
    rest: FloatArray,
    nulls: FloatArray,
    loop: FloatArray,
    slope: FloatArray,
    trials: float,
) -> float:
    """Return p of a loop where R may be any rough function of temperature and |b|.

    Likelihood ratio of `rest` with the columns of `loop` and without, free of the columns of
    `nulls` and of all that is even in field and alike on both branches. The covariance is white
    noise plus that of the temperature's error plus that of the rough function, with the sizes of
    greatest likelihood: under either hypothesis its own, lest a loop found by searching hide the
    temperature that made it (restricted likelihood: Patterson and Thompson, Biometrika 58, 545
    (1971)). Both branches at +B and -B count, not only their difference: a loop is in one
    combination of the four, temperature in all.
    """
    from scipy.linalg.lapack import dpotrf, dpotri
    from scipy.optimize import minimize
    from scipy.stats import chi2

    matrix, even = _cells(data)
    span = _basis(np.concatenate([matrix @ nulls, even], axis=1))
    free = np.linalg.qr(span, mode="complete")[0][:, span.shape[1] :].T @ matrix
    y, loop = free @ rest, free @ loop
    n = y.size
    shares = [free @ part @ free.T for part in _temperature_covariances(data, b, slope)]
    # The trace makes every part as strong as the noise where its logarithm is zero.
    shares = [share * (n / max(float(np.trace(share)), 1e-300)) for share in shares]

    def least_deviance(columns: FloatArray) -> float:
        span = _basis(columns) if columns.size else columns
        scale = float(np.mean((y - span @ (span.T @ y)) ** 2)) or 1.0

        def deviance(x: FloatArray, kernel: FloatArray) -> tuple[float, FloatArray]:
            white, *sizes = scale * np.exp(x)
            parts = (shares[0], kernel)
            covariance = sizes[0] * parts[0] + sizes[1] * parts[1]
            covariance[np.diag_indices(n)] += white
            # the inverse from the factor's own routine takes half the time of solving for it
            factor, failed = dpotrf(covariance, lower=1)
            if failed:
                return np.inf, np.zeros(3)
            inverse = dpotri(factor, lower=1)[0]
            inverse = np.tril(inverse) + np.tril(inverse, -1).T
            rest = y
            if span.size:
                weighed = inverse @ span
                rest = y - span @ np.linalg.solve(span.T @ weighed, weighed.T @ y)
            pull = inverse @ rest
            logs = 2 * float(np.sum(np.log(np.diag(factor))))
            gradient = [white * (np.trace(inverse) - pull @ pull)]
            gradient += [
                size * (np.vdot(inverse, part) - pull @ part @ pull)
                for size, part in zip(sizes, parts, strict=True)
            ]
            return logs + float(rest @ pull), np.array(gradient, dtype=float)

        return min(
            minimize(deviance, start, args=(kernel,), jac=True, bounds=[(-12.0, 3.0)] * 3).fun
            for kernel in shares[1:]
            for start in ([-1.0, -1.0, -1.0], [0.0, -6.0, -6.0])
        )

    statistic = max(least_deviance(np.empty((n, 0))) - least_deviance(loop), 0.0)
    count = loop.shape[1]
    return float(-np.expm1(trials**count * np.log1p(-float(chi2.sf(statistic, count)))))


def _choose_kind(
    problems: dict[int, _Problem],
    starts: dict[int, tuple[float, float]],
    found: list[int],
    lag: float,
    offset: float,
    options: Options,
) -> tuple[str, dict[int, dict[str, Any]]]:
    """Fit the detected loops with each shape; return the shape of least total BIC and its fits."""
    kinds = (
        ("butterfly", "square", "mixture") if options.loop_kind == "auto" else (options.loop_kind,)
    )
    fits = {
        kind: {
            i: _refine(problems[i], starts[i], kind, lag=lag, offset=offset, free_lag=False)
            for i in found
        }
        for kind in kinds
    }
    low, high = options.masked_temperatures
    # In the resistive transition the shape follows temperature fluctuations, not the magnet.
    if not found:
        return kinds[0], fits[kinds[0]]
    judges = [i for i in found if not low <= problems[i].data.T <= high] or found
    kind = min(kinds, key=lambda name: sum(fits[name][i]["bic"] for i in judges))
    return kind, fits[kind]


def _common_width(fits: dict[int, dict[str, Any]]) -> tuple[float, float, float]:
    """Return mean switching width, its error (T), and the scatter of ln w beyond the errors."""
    logs, errors = [], []
    for fit in fits.values():
        error = float(np.sqrt(fit["covariance"][1, 1]))
        if np.isfinite(error) and 0 < error < 0.3:
            logs.append(np.log(fit["width"]))
            errors.append(error)
    if not logs:
        return float("nan"), float("nan"), float("nan")
    values, sigma = np.array(logs), np.array(errors)
    weights = sigma**-2
    mean = float(weights @ values / weights.sum())
    excess = float(weights @ (values - mean) ** 2) - (values.size - 1)
    scatter2 = max(excess, 0.0) / max(
        float(weights.sum() - (weights**2).sum() / weights.sum()), 1e-300
    )
    weights = 1 / (sigma**2 + scatter2)
    mean = float(weights @ values / weights.sum())
    width = float(np.exp(mean))
    return width, width / float(np.sqrt(weights.sum())), float(np.sqrt(scatter2))


def _curves(
    problem: _Problem, fit: dict[str, Any], kind: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return both fitted branches, the background, and what fluctuations of temperature added."""
    b = problem.field(fit["lag"], fit["offset"])
    smooth = problem.background.columns(b, problem.data.drift)
    # Columns of the temperature fluctuation stay out of the drawn curves.
    count = problem.background.columns(b, np.zeros_like(problem.data.drift)).shape[1]
    coefficients = fit["coefficients"]
    background = (smooth[:, :count] @ coefficients[:count]).reshape(b.shape)
    wander = (smooth[:, count:] @ coefficients[count : smooth.shape[1]]).reshape(b.shape)
    loop_count = fit["loop_columns"]
    butterfly, square = _loop_columns(b, fit["coercive"], fit["width"])
    parts = {"butterfly": [butterfly], "square": [square], "mixture": [butterfly, square]}[kind]
    loop = sum(c * part for c, part in zip(coefficients[-loop_count:], parts, strict=True))
    return background + loop, background, wander


def _detected(
    problem: _Problem, fit: dict[str, Any], kind: str, p: float, lag_error: float
) -> LoopFit:
    height, height_error, fraction = _height(fit, kind, problem)
    fitted, background, wander = _curves(problem, fit, kind)
    own = float(np.sqrt(fit["covariance"][0, 0]))
    return LoopFit(
        T=problem.data.T,
        detected=True,
        p=p,
        coercive=fit["coercive"],
        # A change of lag moves B_c one to one: the two cannot be told apart in a loop.
        coercive_err=float(np.hypot(own, lag_error)),
        width=fit["width"],
        width_err=float(fit["width"] * np.sqrt(fit["covariance"][1, 1])),
        height=height,
        height_err=height_error,
        square_fraction=fraction,
        chi2_nu=fit["variance"] / problem.data.noise**2,
        correlation=fit["correlation"],
        background_label=problem.background.label,
        fitted=fitted,
        background=background,
        wander=wander,
    )


def _undetected(
    problem: _Problem,
    fits: dict[int, dict[str, Any]],
    T: FloatArray,
    i: int,
    kind: str,
    p: float,
    lag: float,
    offset: float,
    width: float,
) -> LoopFit:
    """Return the amplitude that a loop of the expected shape has where none is detected.

    Where its coercive field lies is not known, and at a wrong one a loop that is there measures as
    nothing. The amplitude is therefore averaged over the coercive fields that the detected loops
    leave, by likelihood, and their spread belongs to its uncertainty.
    """
    width = width if np.isfinite(width) else 0.04
    trials: list[tuple[dict[str, Any], float, float]] = []
    for coercive in _possible_coercive_fields(fits, T, i):
        rest, coefficients, matrix = problem.solve(lag, offset, float(coercive), width, kind)
        fit = {
            "coercive": float(coercive),
            "width": width,
            "lag": lag,
            "offset": offset,
            "residual": rest,
            "coefficients": coefficients,
            "matrix": matrix,
            "variance": float(rest @ rest) / max(rest.size - matrix.shape[1], 1),
            "correlation": _correlation(rest) * _concentration(rest, matrix[:, -1]),
            "covariance": np.zeros((2, 2)),
            "loop_columns": 2 if kind == "mixture" else 1,
        }
        height, error, _ = _height(fit, kind, problem)
        trials.append((fit, height, error))
    rss = np.array([float(fit["residual"] @ fit["residual"]) for fit, _, _ in trials])
    best, height, _ = trials[int(np.argmin(rss))]
    scale = max(best["variance"] * max(best["correlation"], 1.0), 1e-300)
    weights = np.exp(-0.5 * (rss - rss.min()) / scale)
    weights /= weights.sum()
    heights = np.array([each for _, each, _ in trials])
    errors = np.array([each for _, _, each in trials])
    height = float(weights @ heights)
    height_error = float(np.sqrt(weights @ (errors**2 + (heights - height) ** 2)))
    _, background, wander = _curves(problem, best, kind)
    return LoopFit(
        T=problem.data.T,
        detected=False,
        p=p,
        height=height,
        height_err=height_error,
        chi2_nu=best["variance"] / problem.data.noise**2,
        correlation=best["correlation"],
        background_label=problem.background.label,
        fitted=background,
        background=background,
        wander=wander,
    )


def _possible_coercive_fields(fits: dict[int, dict[str, Any]], T: FloatArray, i: int) -> FloatArray:
    """Return coercive fields (T) between those of the detected loops on either side in temperature.

    A coercive field falls with temperature; without a loop to lean on it may be any that the search
    for loops looks at.
    """
    colder = [j for j in fits if T[j] < T[i]]
    warmer = [j for j in fits if T[j] > T[i]]
    high = fits[max(colder, key=lambda j: T[j])]["coercive"] if colder else _COERCIVE_GRID[-1]
    low = fits[min(warmer, key=lambda j: T[j])]["coercive"] if warmer else 0.2 * high
    low, high = sorted((max(float(low), 0.01), max(float(high), 0.01)))
    return np.linspace(low, high, 9)


# --- quantities -------------------------------------------------------------------------------


def _nearest(loops: LoopSet, temperature: float) -> tuple[LoopFit | None, str | None]:
    if loops.reason:
        return None, loops.reason
    index = int(np.argmin(np.abs(loops.T - temperature)))
    if abs(loops.T[index] - temperature) > 0.5:
        return None, f"not measured: no loop within 0.5 K of {temperature:g} K"
    loop = loops.loops[index]
    if not np.isfinite(loop.p):
        return None, f"not measured: the loop at {loops.T[index]:g} K lacks a branch"
    return loop, None


def coercive_field_2K(loops: LoopSet) -> Estimate:
    """Field at which the interface magnetisation of the two-branch fit changes sign on the loop measured nearest 2 K, corrected for field lag and offset.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.

    Returns
    -------
    Estimate
        In T; undetermined when no loop is detected there.
    """  # noqa: E501
    loop, reason = _nearest(loops, 2.0)
    if loop is None or not loop.detected:
        return undetermined(coercive_field_2K, "T", reason or _no_loop(loop))
    return estimated(
        coercive_field_2K, loop.coercive, loop.coercive_err, "T", T=loop.T, lag=loops.lag
    )


def loop_height_2K(loops: LoopSet) -> Estimate:
    """Height of the hysteretic part of the resistance on the loop measured nearest 2 K: amplitude of 1 - m^2 for a butterfly loop, opening at zero field for a square one.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.

    Returns
    -------
    Estimate
        In ohm; undetermined when no loop is detected there.
    """  # noqa: E501
    loop, reason = _nearest(loops, 2.0)
    if loop is None or not loop.detected:
        details = (
            {} if loop is None else {"amplitude": loop.height, "amplitude_err": loop.height_err}
        )
        return undetermined(loop_height_2K, "ohm", reason or _no_loop(loop), **details)
    return estimated(
        loop_height_2K,
        loop.height,
        loop.height_err,
        "ohm",
        T=loop.T,
        kind=loops.kind,
        square_fraction=loop.square_fraction,
    )


def _no_loop(loop: LoopFit | None) -> str:
    p = float("nan") if loop is None else loop.p
    return f"no loop: noise and field lag look as much like one (calibrated p = {p:.2g})"


def _masked(loops: LoopSet, options: Options) -> NDArray[np.bool_]:
    low, high = options.masked_temperatures
    return (low <= loops.T) & (high >= loops.T)


def _left_out(loops: LoopSet, options: Options) -> NDArray[np.bool_]:
    """Temperatures of the resistive transition, and those whose curve is no loop."""
    misfit = loops.column("chi2_nu") * loops.column("correlation")
    with np.errstate(invalid="ignore"):
        vague = loops.column("height_err") > MISFIT_OF_ONE_HEIGHT * np.abs(loops.column("height"))
        return _masked(loops, options) | ((misfit > MISFIT_OF_ONE) & vague)


def _vanishing(
    func: Any,
    loops: LoopSet,
    options: Options,
    coercive: bool,
    ceiling: tuple[float, float] | None = None,
) -> Estimate:
    if loops.reason:
        return undetermined(func, "K", loops.reason)
    use = ~_left_out(loops, options)
    seen = loops.column("detected").astype(bool)
    if not np.any(seen):
        return undetermined(func, "K", "no loop is detected at any temperature")
    if np.count_nonzero(use & seen) < 2:
        # A fit to the amplitudes of loops nobody saw would follow the noise.
        return undetermined(func, "K", "fewer than two temperatures with a detected loop")
    name = "coercive" if coercive else "height"
    y, sigma = loops.column(name), loops.column(f"{name}_err")
    if coercive:
        use = use & seen
        powers: tuple[float, ...] = (1.0,)
    else:
        powers = (1.0, 2.0)
    top = float(np.nanmax(loops.T))
    found = fit_vanishing(
        loops.T[use],
        y[use],
        sigma[use],
        exponents=options.vanish_exponents,
        mean_field_powers=powers if options.vanish_mean_field else (),
        search=(0.5 * float(np.nanmin(loops.T)) + 1.0, 1.5 * top),
        window=options.vanish_window,
        law_error=options.vanish_law_error,
        ceiling=ceiling,
    )
    if found.reason:
        return undetermined(func, "K", found.reason)
    return estimated(func, found.value, found.uncertainty, "K", **found.as_details())


def coercive_field_vanishing(loops: LoopSet, options: Options | None = None) -> Estimate:
    """Temperature at which the coercive field vanishes: average over fits of A(1 - T/T_v)^p with p fixed at each of `vanish_exponents`, and of the mean-field order parameter, weighted by likelihood and by the probability that the loops themselves have not vanished before.

    Close to T_N the loops are too small for a coercive field, and from below many laws reach zero
    far beyond. But there is no coercive field without a loop.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.
    options : Options, optional
        Exponents, window, masked temperatures.

    Returns
    -------
    Estimate
        In K; ``details`` hold the 95 % interval (``low``, ``high``) and the result for each law.
    """  # noqa: E501
    options = options or Options()
    height = loop_height_vanishing(loops, options)
    ceiling = None if height.value is None else (height.value, height.uncertainty or 0.0)
    return _vanishing(coercive_field_vanishing, loops, options, True, ceiling)


def loop_height_vanishing(loops: LoopSet, options: Options | None = None) -> Estimate:
    """Temperature at which the loop height vanishes: average over fits of A(1 - T/T_v)^p with p fixed at each of `vanish_exponents`, and of powers of the mean-field order parameter, weighted by likelihood.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.
    options : Options, optional
        Exponents, window, masked temperatures.

    Returns
    -------
    Estimate
        In K; ``details`` hold the 95 % interval (``low``, ``high``) and the result for each law.
    """  # noqa: E501
    return _vanishing(loop_height_vanishing, loops, options or Options(), False)


def _median_size(R: FloatArray) -> float:
    known = np.abs(R[np.isfinite(R)])
    return float(np.median(known)) if known.size else float("nan")


def hysteresis_below_neel(
    loops: LoopSet, neel_temperature: float | None, options: Options | None = None
) -> dict[str, Any]:
    """Largest calibrated p value of a loop at any temperature below T_N less a margin (all must show one), and smallest, Bonferroni-corrected, at any temperature above T_N plus a margin (none may).

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.
    neel_temperature : float or None
        T_N from R(T), K.
    options : Options, optional
        Margins, masked temperatures.

    Returns
    -------
    dict
        ``p`` (below), ``p_above``, counts, ``upper_above``: 95 % upper bound of the height above
        T_N (ohm), ``upper_below``: smallest such bound below it, over the resistance there, and
        lists over temperature.
    """  # noqa: E501
    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(hysteresis_below_neel),
        "p": None,
        "p_above": None,
        "n_below": 0,
        "n_below_detected": 0,
        "n_above": 0,
        "n_above_detected": 0,
        "upper_above": None,
        "upper_below": None,
        "T_N": neel_temperature,
        "reason": loops.reason,
        "T": loops.T.tolist(),
        "p_values": loops.column("p").tolist(),
        "detected": [loop.detected for loop in loops.loops],
        "height": loops.column("height").tolist(),
        "height_err": loops.column("height_err").tolist(),
        "lag": loops.lag,
        "lag_err": loops.lag_err,
        "offset": loops.offset,
        "offset_err": loops.offset_err,
        "kind": loops.kind,
        "false_alarm_rate": options.detection_alpha,
    }
    if loops.reason:
        return out
    if neel_temperature is None:
        return out | {"reason": "T_N is not determined, so below and above it mean nothing"}
    p = loops.column("p")
    known = np.isfinite(p)
    below = known & (neel_temperature - options.neel_margin[0] >= loops.T)
    below &= ~_masked(loops, options)
    above = known & (neel_temperature + options.neel_margin[1] <= loops.T)
    detected = loops.column("detected").astype(bool)
    out |= {
        "n_below": int(below.sum()),
        "n_below_detected": int((below & detected).sum()),
        "n_above": int(above.sum()),
        "n_above_detected": int((above & detected).sum()),
    }
    if np.any(below):
        # Present at all temperatures: the weakest of them decides (intersection-union test).
        out["p"] = float(np.max(p[below]))
        # One temperature where a loop is excluded is enough to refute it.
        level = np.array([_median_size(loops.R[:, i, :]) for i in np.flatnonzero(below)])
        bounds = np.abs(loops.column("height")) + 1.645 * loops.column("height_err")
        bounds = bounds[below] / np.maximum(level, 1e-300)
        out["upper_below"] = float(np.nanmin(bounds)) if np.any(np.isfinite(bounds)) else None
    else:
        out["reason"] = "no loop was measured below T_N"
    if np.any(above):
        out["p_above"] = float(min(1.0, above.sum() * np.min(p[above])))
        bound = loops.column("height") + 1.645 * loops.column("height_err")
        out["upper_above"] = float(np.max(bound[above]))
    return out


def field_jump(B: ArrayLike, R: ArrayLike, noise: float | None = None) -> tuple[float, float]:
    """Mean resistance at the two ends of the field range less that at zero field, both branches together, with standard uncertainty.

    Parameters
    ----------
    B : array_like, shape (n,)
        Field, T.
    R : array_like, shape (2, n) or (n,)
        Resistance, ohm.
    noise : float, optional
        Standard deviation of a reading, ohm; from the scatter of the averaged readings by default.

    Returns
    -------
    jump, uncertainty : float
        ohm; NaN where either place was not measured.
    """  # noqa: E501
    B = np.asarray(B, dtype=float)
    R = np.atleast_2d(np.asarray(R, dtype=float))
    field = np.broadcast_to(B, R.shape)
    good = np.isfinite(R)
    if not np.any(good):
        return float("nan"), float("nan")
    top = float(np.max(np.abs(field[good])))
    ends = R[good & (np.abs(field) >= 0.975 * top)]
    centre = R[good & (np.abs(field) <= 0.0125 * top)]
    if ends.size == 0 or centre.size == 0:
        return float("nan"), float("nan")
    variance = 0.0
    for part in (ends, centre):
        spread = float(np.std(part, ddof=1)) if part.size > 1 else float("nan")
        variance += max(spread if np.isfinite(spread) else 0.0, noise or 0.0) ** 2 / part.size
    return float(np.mean(ends) - np.mean(centre)), float(np.sqrt(variance))


def largest_field_jump(T: ArrayLike, B: ArrayLike, R: ArrayLike) -> Estimate:
    """Temperature, among those measured, at which the resistance at the ends of the field range exceeds that at zero field most.

    Parameters
    ----------
    T : array_like, shape (n_T,)
        Set-points, K.
    B : array_like, shape (n_B,)
        Field, T.
    R : array_like, shape (2, n_T, n_B)
        Resistance, ohm.

    Returns
    -------
    Estimate
        In K. ``details``: ``jumps`` and ``jump_errors`` (ohm), ``bracket`` (the neighbouring
        set-points, between which the true maximum lies), ``ratio_to_8K`` and its lower 95 % bound.
    """  # noqa: E501
    T, R = np.asarray(T, dtype=float), np.asarray(R, dtype=float)
    pairs = [field_jump(B, R[:, i, :]) for i in range(T.size)]
    jumps = np.array([pair[0] for pair in pairs])
    errors = np.array([pair[1] for pair in pairs])
    good = np.isfinite(jumps) & np.isfinite(errors)
    if np.count_nonzero(good) < 3:
        return undetermined(largest_field_jump, "K", "fewer than three temperatures with a jump")
    T, jumps, errors = T[good], jumps[good], errors[good]
    k = int(np.argmax(jumps))
    details: dict[str, Any] = {
        "T": T.tolist(),
        "jumps": jumps.tolist(),
        "jump_errors": errors.tolist(),
        "bracket": [float(T[max(k - 1, 0)]), float(T[min(k + 1, T.size - 1)])],
        "ratio_to_8K": None,
        "ratio_to_8K_low": None,
        "ratio_to_8K_high": None,
    }
    at_8 = int(np.argmin(np.abs(T - 8.0)))
    if abs(T[at_8] - 8.0) <= 0.5 and at_8 != k:
        # The reference may be zero within its error: bound the ratio from below.
        top = max(abs(jumps[at_8]) + 1.645 * errors[at_8], 1e-300)
        details["ratio_to_8K_low"] = float((jumps[k] - 1.645 * errors[k]) / top)
        bottom = abs(jumps[at_8]) - 1.645 * errors[at_8]
        if bottom > 0:
            details["ratio_to_8K_high"] = float((jumps[k] + 1.645 * errors[k]) / bottom)
        if jumps[at_8] != 0:
            details["ratio_to_8K"] = float(jumps[k] / jumps[at_8])
    others = np.delete(jumps, k)
    spread = 0.0
    if jumps[k] - np.max(others) < 3 * np.hypot(errors[k], np.max(errors)):
        rivals = jumps > jumps[k] - 3 * np.hypot(errors[k], errors)
        spread = float(np.ptp(T[rivals]) / np.sqrt(12)) if rivals.sum() > 1 else 0.0
        if jumps[k] < 5 * errors[k]:
            reason = "no temperature shows a jump beyond its error"
            level = float(np.nanmedian(np.abs(R)))
            if np.max(jumps + 1.645 * errors) < NEGLIGIBLE_JUMP * level:
                reason = f"{EXCLUDED}a jump above {100 * NEGLIGIBLE_JUMP:g} % of R"
            return undetermined(largest_field_jump, "K", reason, **details)
    if k in (0, T.size - 1):
        end = "lowest" if k == 0 else "highest"
        return undetermined(
            largest_field_jump,
            "K",
            f"the jump is largest at the {end} temperature ({T[k]:g} K): the range measured does "
            "not reach beyond its maximum",
            **details,
        )
    return estimated(largest_field_jump, float(T[k]), spread, "K", **details)


def coercive_field_below_spin_flop(
    loops: LoopSet, spin_flop: Estimate | None, options: Options | None = None
) -> dict[str, Any]:
    """Largest coercive field at any temperature over the spin-flop field, with its 95 % bound.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.
    spin_flop : Estimate or None
        B_flop of MnBi2Te4 (or of the interface), T.
    options : Options, optional
        Masked temperatures.

    Returns
    -------
    dict
        ``value`` and ``uncertainty`` of the ratio, ``upper`` and ``lower`` (95 %), ``largest`` (T)
        and where (K).
    """
    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(coercive_field_below_spin_flop),
        "value": None,
        "uncertainty": None,
        "upper": None,
        "lower": None,
        "unit": "",
        "largest": None,
        "T": None,
        "reason": loops.reason,
    }
    use = loops.column("detected").astype(bool) & ~_left_out(loops, options)
    if loops.reason or not np.any(use):
        return out | {"reason": loops.reason or "no loop is detected at any temperature"}
    field, error = loops.column("coercive")[use], loops.column("coercive_err")[use]
    k = int(np.argmax(field))
    out |= {
        "largest": float(field[k]),
        "largest_err": float(error[k]),
        "T": float(loops.T[use][k]),
    }
    if spin_flop is None or spin_flop.value is None:
        reason = spin_flop.reason if spin_flop is not None else "B_flop was not handed over"
        return out | {"reason": reason}
    ratio = float(field[k]) / spin_flop.value
    relative = np.hypot(error[k] / field[k], (spin_flop.uncertainty or 0.0) / spin_flop.value)
    # The largest of several: bound each, not only the one that happens to be largest.
    upper = float(np.max(field + 1.645 * error)) / spin_flop.value
    lower = float(np.max(field - 1.645 * error)) / spin_flop.value
    return out | {
        "value": ratio,
        "uncertainty": float(ratio * relative),
        "upper": upper,
        "lower": lower,
    }


def monotone_loop_quantity(
    loops: LoopSet,
    quantity: Literal["coercive", "height"],
    options: Options | None = None,
    *,
    seed: object = "",
) -> dict[str, Any]:
    """Isotonic regression test of a loop quantity against temperature, without the resistive transition and curves that are no loops: probability that a monotonically falling curve measured with these errors departs from monotony as much.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.
    quantity : {"coercive", "height"}
        Coercive field (detected loops) or loop height (all).
    options : Options, optional
        Masked temperatures.
    seed : object
        Names the random stream.

    Returns
    -------
    dict
        ``p``, ``statistic``, ``reversal`` with uncertainty (unit of the quantity), ``n``; and
        ``fall``: first less last value, with uncertainty, which a monotone fall must have.
    """  # noqa: E501
    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(monotone_loop_quantity),
        "quantity": quantity,
        "p": None,
        "fall": None,
        "reason": loops.reason,
    }
    detected = loops.column("detected").astype(bool)
    use = ~_left_out(loops, options) & np.isfinite(loops.column(quantity))
    if quantity == "coercive":
        use &= detected
    if loops.reason or not np.any(detected):
        return out | {"reason": loops.reason or "no loop is detected at any temperature"}
    y, sigma = loops.column(quantity)[use], loops.column(f"{quantity}_err")[use]
    trend = monotone_trend(loops.T[use], y, sigma, seed_names=("loops", seed, quantity))
    if trend.reason:
        return out | {"reason": trend.reason}
    order = np.argsort(loops.T[use])
    first, last = order[0], order[-1]
    return out | {
        "p": trend.p_value,
        "statistic": trend.statistic,
        "n": trend.n,
        "reversal": trend.reversal,
        "reversal_uncertainty": trend.reversal_uncertainty,
        "fall": float(y[first] - y[last]),
        "fall_uncertainty": float(np.hypot(sigma[first], sigma[last])),
    }


# --- the stage --------------------------------------------------------------------------------


def _missing(ds: xr.Dataset | None) -> str | None:
    if ds is None:
        return "not measured: no loops_interface"
    if not int(ds.attrs.get("measured", 1)) or "R" not in ds.data_vars:
        return str(ds.attrs.get("reason") or "not measured: no loops_interface")
    if "branch" not in ds["R"].dims or ds.sizes["branch"] < 2:
        return "not measured: loops_interface was swept in one direction only"
    return None


def run(
    loops: xr.Dataset | None,
    transitions: dict[str, Estimate] | None = None,
    options: Options | None = None,
    *,
    sample: str = "",
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]], xr.Dataset]:
    """Fit the loops and estimate what the paper says of them.

    Parameters
    ----------
    loops : xarray.Dataset or None
        Dataset loops_interface; None: not measured.
    transitions : dict of Estimate, optional
        Estimates of the transitions stage, for T_N and the spin-flop field.
    options : Options, optional
        Analysis choices.
    sample : str
        Name that the random streams derive from.

    Returns
    -------
    estimates : dict of Estimate
    statistics : dict of dict
    fitted : xarray.Dataset
        Per temperature and per point, as written to loops.nc.
    """
    options = options or Options()
    transitions = transitions or {}
    reason = _missing(loops)
    if reason or loops is None:
        nothing = np.empty(0)
        fit = LoopSet(reason=reason, T=nothing, B=nothing, R=np.empty((2, 0, 0)), loops=[])
    else:
        order = [b for b in ("up", "down") if b in loops["branch"].values]
        if len(order) < 2:
            order = list(loops["branch"].values[:2])
        others = {d: 0 for d in loops["R"].dims if d not in ("branch", "T", "B")}
        one = loops.isel(others).sel(branch=order)
        R = one["R"].transpose("branch", "T", "B").values
        measured = one.get("T_measured")
        fit = fit_loops(
            one["T"].values,
            one["B"].values,
            R,
            T_measured=None if measured is None else measured.transpose("branch", "T", "B").values,
            options=options,
            seed=sample,
        )
    neel = transitions.get("T_N_peak")
    if neel is None or neel.value is None:
        neel = transitions.get("T_N_peak_interface", neel)
    T_N = neel.value if neel is not None else None
    spin_flop = transitions.get("B_flop_mnbi2te4")
    if spin_flop is None or spin_flop.value is None:
        spin_flop = transitions.get("B_flop_interface", spin_flop)
    estimates = {
        "B_c_2K": coercive_field_2K(fit),
        "deltaR_2K": loop_height_2K(fit),
        "T_vanish_Bc": coercive_field_vanishing(fit, options),
        "T_vanish_deltaR": loop_height_vanishing(fit, options),
        "T_jump": undetermined(largest_field_jump, "K", fit.reason)
        if fit.reason
        else largest_field_jump(fit.T, fit.B, fit.R),
    }
    jump = estimates["T_jump"]
    statistics: dict[str, dict[str, Any]] = {
        "C26": hysteresis_below_neel(fit, T_N, options),
        "C27": {
            "definition": jump.definition,
            "value": jump.value,
            "uncertainty": jump.uncertainty,
            "unit": "K",
            "reason": jump.reason,
            "bracket": jump.details.get("bracket"),
            "ratio_to_8K": jump.details.get("ratio_to_8K"),
            "ratio_to_8K_low": jump.details.get("ratio_to_8K_low"),
            "ratio_to_8K_high": jump.details.get("ratio_to_8K_high"),
        },
        "C28": vanishing_against_neel(estimates, neel),
        "C29": coercive_field_below_spin_flop(fit, spin_flop, options),
        "C30": {
            "definition": definition_of(monotone_loop_quantity),
            "B_c": monotone_loop_quantity(fit, "coercive", options, seed=sample),
            "deltaR": monotone_loop_quantity(fit, "height", options, seed=sample),
        },
        "lag": field_lag(fit),
    }
    return estimates, statistics, _dataset(fit, jump, options, loops)


def field_lag(loops: LoopSet) -> dict[str, Any]:
    """Field lag and offset (trapped flux) shared by all loops, from the joint fit.

    Parameters
    ----------
    loops : LoopSet
        From `fit_loops`.

    Returns
    -------
    dict
        ``lag``, ``offset`` and the common switching ``width`` with their errors, T; ``kind``.
    """
    return {
        "definition": definition_of(field_lag),
        "lag": loops.lag,
        "lag_err": loops.lag_err,
        "offset": loops.offset,
        "offset_err": loops.offset_err,
        "width": loops.width,
        "width_err": loops.width_err,
        "kind": loops.kind,
        "unit": "T",
    }


def vanishing_against_neel(estimates: dict[str, Estimate], neel: Estimate | None) -> dict[str, Any]:
    """95 % intervals of the temperatures at which coercive field and loop height vanish, and their difference from T_N of R(T) with its standard uncertainty.

    Parameters
    ----------
    estimates : dict of Estimate
        ``T_vanish_Bc`` and ``T_vanish_deltaR``.
    neel : Estimate or None
        T_N of R(T).

    Returns
    -------
    dict
        ``T_N``, ``T_N_uncertainty`` (K) and one entry an estimate.
    """  # noqa: E501
    out: dict[str, Any] = {
        "definition": definition_of(vanishing_against_neel),
        "T_N": neel.value if neel is not None else None,
        "T_N_uncertainty": neel.uncertainty if neel is not None else None,
    }
    for key in ("T_vanish_Bc", "T_vanish_deltaR"):
        estimate = estimates[key]
        entry: dict[str, Any] = {
            "value": estimate.value,
            "uncertainty": estimate.uncertainty,
            "unit": "K",
            "low": estimate.details.get("low"),
            "high": estimate.details.get("high"),
            "reason": estimate.reason,
            "difference": None,
            "difference_uncertainty": None,
            "definition": estimate.definition,
        }
        if estimate.value is not None and neel is not None and neel.value is not None:
            entry["difference"] = estimate.value - neel.value
            entry["difference_uncertainty"] = float(
                np.hypot(estimate.uncertainty or 0.0, neel.uncertainty or 0.0)
            )
        out[key] = entry
    return out


def _dataset(
    fit: LoopSet, jump: Estimate, options: Options, source: xr.Dataset | None
) -> xr.Dataset:
    """Return the fits over T and over (branch, T, B), with units."""
    import xarray as xr

    shape = (2, fit.T.size, fit.B.size)

    def grid(name: str) -> FloatArray:
        out = np.full(shape, np.nan)
        for i, loop in enumerate(fit.loops):
            values = getattr(loop, name)
            if values.shape == (2, fit.B.size):
                out[:, i] = values
        return out

    def over_T(values: ArrayLike, units: str, long_name: str) -> tuple[Any, ...]:
        return ("T", np.asarray(values), {"units": units, "long_name": long_name})

    def over_B(values: FloatArray, long_name: str) -> tuple[Any, ...]:
        return (("branch", "T", "B"), values, {"units": "ohm", "long_name": long_name})

    jumps = np.full(fit.T.size, np.nan)
    jump_errors = np.full(fit.T.size, np.nan)
    for i in range(fit.T.size):
        jumps[i], jump_errors[i] = field_jump(fit.B, fit.R[:, i, :])
    fitted, background, wander = grid("fitted"), grid("background"), grid("wander")
    detected = np.array([loop.detected for loop in fit.loops], dtype=np.int8)
    attrs = {
        "title": "Two-branch fits of the hysteresis loops",
        "kind": fit.kind,
        "field_lag_T": fit.lag,
        "field_offset_T": fit.offset,
        "masked_low_K": options.masked_temperatures[0],
        "masked_high_K": options.masked_temperatures[1],
        "measured": int(not fit.reason),
    }
    if fit.reason:
        attrs["reason"] = fit.reason
    if source is not None:
        for key in ("sample", "provenance", "configuration", "orientation"):
            if key in source.attrs:
                attrs[key] = source.attrs[key]
    dataset = xr.Dataset(
        {
            "B_c": over_T(fit.column("coercive"), "T", "coercive field"),
            "B_c_err": over_T(fit.column("coercive_err"), "T", "standard uncertainty of B_c"),
            "deltaR": over_T(fit.column("height"), "ohm", "loop height"),
            "deltaR_err": over_T(
                fit.column("height_err"), "ohm", "standard uncertainty of the loop height"
            ),
            "width": over_T(fit.column("width"), "T", "switching width"),
            "width_err": over_T(fit.column("width_err"), "T", "standard uncertainty of the width"),
            "detected": over_T(detected, "1", "whether a loop is detected"),
            "left_out": over_T(
                _left_out(fit, options).astype(np.int8),
                "1",
                "whether trends leave it out: resistive transition, or a curve that is no loop",
            ),
            "p": over_T(fit.column("p"), "1", "calibrated probability of no loop"),
            "chi2_nu": over_T(fit.column("chi2_nu"), "1", "residual variance over noise variance"),
            "jump": over_T(jumps, "ohm", "R at the largest field less R at zero field"),
            "jump_err": over_T(jump_errors, "ohm", "standard uncertainty of the jump"),
            "R": over_B(fit.R, "resistance"),
            "R_corrected": over_B(
                fit.R - np.nan_to_num(wander), "resistance less temperature fluctuations"
            ),
            "R_fit": over_B(fitted, "fitted resistance"),
            "R_background": over_B(background, "background without loop"),
            "residual": over_B(fit.R - wander - fitted, "corrected resistance less fit"),
        },
        coords={
            "branch": ("branch", ["up", "down"], {"long_name": "direction of the field sweep"}),
            "T": ("T", fit.T, {"units": "K", "long_name": "temperature"}),
            "B": ("B", fit.B, {"units": "T", "long_name": "magnetic field"}),
        },
        attrs={key: value for key, value in attrs.items() if value == value},
    )
    return dataset


main = stage_command(
    "loops",
    run,
    Options,
    "Coercive field and height of the hysteresis loops, and where they vanish.",
    datasets={"loops": "dataset loops_interface (.nc)"},
    estimates={"transitions": "transitions.json, for T_N and the spin-flop field"},
    table="loops",
)


if __name__ == "__main__":
    raise SystemExit(main())
