"""Local polynomial regression, noise level and resampling of one measured curve y(x).

Shared by the estimators that read features off R(T) and R(B). Nothing here knows what the curve
means. Everything that is applied to a curve is linear in y and therefore applied to all resampled
curves at once as one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from nbnmbt.analysis.monotone import named_generator

__all__ = [
    "SampledCurve",
    "clean",
    "crossing",
    "extremum",
    "local_polynomial",
    "noise_level",
    "prepare",
]

FloatArray = NDArray[np.float64]


def clean(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the points where both coordinates are finite, ascending in x.

    Points at one and the same x are averaged: they are repeated readings.

    Parameters
    ----------
    x, y : array_like, same size
        Coordinates; flattened.

    Returns
    -------
    x, y : ndarray, shape (n,)
        Strictly ascending in x; n may be 0.
    """
    x = np.asarray(x, dtype=float).ravel()
    y = np.asarray(y, dtype=float).ravel()
    keep = np.isfinite(x) & np.isfinite(y)
    unique, inverse, counts = np.unique(x[keep], return_inverse=True, return_counts=True)
    return unique, np.bincount(inverse, weights=y[keep], minlength=unique.size) / counts


def local_polynomial(
    x: FloatArray,
    at: FloatArray,
    half_width: float,
    degree: int = 3,
    derivatives: int = 2,
) -> FloatArray:
    """Return the matrices that turn y into its local polynomial fit and derivatives.

    At each point a polynomial is fitted to the neighbours with tricube weights,
    w = (1 - |u|^3)^3, u = (x - at)/h. Where fewer than `degree` + 3 points lie inside `half_width`
    the window widens until they do, so sparse stretches are smoothed more, never extrapolated by
    an under-determined fit. (Cleveland, J. Am. Stat. Assoc. 74, 829 (1979).)

    Parameters
    ----------
    x : ndarray, shape (n,)
        Strictly ascending abscissae; n must reach `degree` + 3.
    at : ndarray, shape (m,)
        Points of evaluation.
    half_width : float
        Half width h of the window, unit of x.
    degree : int
        Degree of the local polynomial.
    derivatives : int
        Highest derivative returned, at most `degree`.

    Returns
    -------
    ndarray, shape (derivatives + 1, m, n)
        ``W[k] @ y`` is the k-th derivative at the points `at`.

    Raises
    ------
    ValueError
        If there are too few points.
    """
    need = degree + 3
    if x.size < need:
        raise ValueError(f"{x.size} points cannot carry a local polynomial of degree {degree}")
    at = np.atleast_1d(np.asarray(at, dtype=float))
    distance = np.abs(at[:, None] - x[None, :])
    # The farthest point has weight 0, so reach a little beyond it.
    reach = np.partition(distance, need - 1, axis=1)[:, need - 1] * 1.05
    h = np.maximum(half_width, reach)
    u = (x[None, :] - at[:, None]) / h[:, None]
    weight = np.clip(1 - np.abs(u) ** 3, 0, None) ** 3
    powers = u[:, :, None] ** np.arange(degree + 1)
    weighted = powers * weight[:, :, None]
    normal = np.einsum("mni,mnj->mij", weighted, powers, optimize=True)
    solution = np.linalg.solve(normal, weighted.transpose(0, 2, 1))
    out = np.empty((derivatives + 1, at.size, x.size))
    factorial = 1.0
    for k in range(derivatives + 1):
        factorial *= max(k, 1)
        out[k] = solution[:, k, :] * (factorial / h**k)[:, None]
    return out


def noise_level(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, dict[str, float]]:
    """Return a pilot fit of the curve and the standard deviation of each point about it.

    The variance model is sigma_i^2 = a^2 + (b y_i)^2 + (c dy/dx)^2: reading noise, gain noise, and
    scatter of the abscissa (thermometer, magnet), which matters where the curve is steep. The
    three are maximum-likelihood estimates from the residuals of a narrow local cubic, each scaled
    by its own leverage. Where the curve is steep a corner of it looks like scatter of the abscissa,
    so that part is held below the median of the steep points about a local quintic.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        Cleaned curve, n >= 10.

    Returns
    -------
    pilot : ndarray, shape (n,)
        Narrow local fit.
    sigma : ndarray, shape (n,)
        Standard deviation of each point.
    parts : dict
        ``reading`` (unit of y), ``gain`` (relative), ``abscissa`` (unit of x).
    """
    hat, slope_matrix = _nearest_polynomial(x, neighbours=6, degree=3)
    pilot = hat @ y
    slope = slope_matrix @ y
    leverage = 1 - 2 * np.diag(hat) + np.sum(hat**2, axis=1)
    residual2 = (y - pilot) ** 2 / np.clip(leverage, 1e-3, None)
    scale2 = max(float(np.median(residual2)) / 0.4549, 1e-30)
    gain2 = scale2 / max(float(np.max(y**2)), 1e-300)
    steep2 = scale2 / max(float(np.max(slope**2)), 1e-300)
    columns = np.stack([np.full_like(y, scale2), gain2 * y**2, steep2 * slope**2])
    floor = 1e-6 * scale2

    def deviance(log_parts: FloatArray) -> tuple[float, FloatArray]:
        parts = np.exp(log_parts)
        variance = parts @ columns + floor
        ratio = np.minimum(residual2 / variance, 25.0)  # single outliers must not set the level
        value = float(np.sum(ratio + np.log(variance)))
        gradient = (1 - np.where(ratio < 25.0, ratio, 0.0)) / variance
        return value, (columns @ gradient) * parts

    # Moment starts: residuals where the curve is steepest, and where it is highest, fix the scale
    # of their part; from a common start the likelihood of steep points would be flat (clipped).
    starts = []
    for size in (np.abs(slope), np.abs(y)):
        top = size >= np.quantile(size, 0.95)
        ratio = residual2[top] / np.maximum(size[top] ** 2, 1e-300)
        starts.append(max(float(np.median(ratio)) / 0.4549, 1e-300))
    steep_start = float(np.clip(np.log(starts[0] / steep2), -15, 30))
    gain_start = float(np.clip(np.log(starts[1] / gain2), -15, 15))
    fits = [
        minimize(
            deviance,
            np.array(start),
            jac=True,
            method="L-BFGS-B",
            bounds=[(-16, 16), (-16, 16), (-16, 32)],
        )
        for start in ([-0.5, -1.0, steep_start], [-0.5, gain_start, steep_start], [0.0, -9.0, -9.0])
    ]
    fit = min(fits, key=lambda each: each.fun)
    parts = np.exp(fit.x)
    flat = parts[:2] @ columns[:2] + floor
    steep = parts[2] * columns[2] > 9 * flat
    if np.count_nonzero(steep) >= 6:
        finer = _nearest_polynomial(x, neighbours=8, degree=5)[0]
        leverage = 1 - 2 * np.diag(finer) + np.sum(finer**2, axis=1)
        residual2 = (y - finer @ y) ** 2 / np.clip(leverage, 1e-3, None)
        typical2 = float(np.median(residual2[steep] / slope[steep] ** 2)) / 0.4549
        parts[2] = min(parts[2], typical2 / steep2)
    sigma = np.sqrt(parts @ columns + floor)
    named = {
        "reading": float(np.sqrt(parts[0] * scale2)),
        "gain": float(np.sqrt(parts[1] * gain2)),
        "abscissa": float(np.sqrt(parts[2] * steep2)),
    }
    return pilot, sigma, named


def _nearest_polynomial(x: FloatArray, neighbours: int, degree: int) -> FloatArray:
    """Return unweighted local fits on a fixed number of nearest points, shape (2, n, n)."""
    n = x.size
    neighbours = min(neighbours, n)
    start = np.clip(np.arange(n) - neighbours // 2, 0, n - neighbours)
    index = start[:, None] + np.arange(neighbours)
    offset = x[index] - x[:, None]
    scale = np.max(np.abs(offset), axis=1)
    powers = (offset / scale[:, None])[:, :, None] ** np.arange(degree + 1)
    solution = np.linalg.pinv(powers)
    out = np.zeros((2, n, n))
    rows = np.arange(n)[:, None]
    out[0][rows, index] = solution[:, 0, :]
    out[1][rows, index] = solution[:, 1, :] / scale[:, None]
    return out


@dataclass(frozen=True, kw_only=True)
class SampledCurve:
    """A cleaned curve with its noise and resampled copies.

    Attributes
    ----------
    x, y, sigma : ndarray, shape (n,)
        Points and their standard deviation.
    draws : ndarray, shape (n_resamples + 1, n)
        Row 0 is `y`; the others are the pilot fit plus fresh noise.
    noise : dict
        Parts of the noise model.
    """

    x: FloatArray
    y: FloatArray
    sigma: FloatArray
    draws: FloatArray
    noise: dict[str, float]


def prepare(x: ArrayLike, y: ArrayLike, *, n_resamples: int, seed: object) -> SampledCurve | None:
    """Clean a curve, find its noise and draw resampled copies of it.

    Parameters
    ----------
    x, y : array_like
        Raw coordinates.
    n_resamples : int
        Number of parametric resamples.
    seed : object
        Names the random stream.

    Returns
    -------
    SampledCurve or None
        None when fewer than 12 usable points are left.
    """
    x, y = clean(x, y)
    if x.size < 12:
        return None
    pilot, sigma, noise = noise_level(x, y)
    fresh = named_generator("local_regression.prepare", seed).standard_normal((n_resamples, x.size))
    draws = np.concatenate([y[None, :], pilot + sigma * fresh])
    return SampledCurve(x=x, y=y, sigma=sigma, draws=draws, noise=noise)


def extremum(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return position and height of the maximum of each row, refined by a parabola.

    Parameters
    ----------
    x : ndarray, shape (m,)
        Uniform grid.
    y : ndarray, shape (..., m)
        Curves.

    Returns
    -------
    position, height : ndarray, shape (...)
        NaN where the maximum lies on the edge of the grid: that is a limit, not a maximum.
    """
    k = np.argmax(y, axis=-1)
    inside = (k > 0) & (k < x.size - 1)
    k = np.clip(k, 1, x.size - 2)
    left, mid, right = (np.take_along_axis(y, (k + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
    bend = left - 2 * mid + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)
    position = x[k] + shift * (x[1] - x[0])
    height = mid - 0.25 * (left - right) * shift
    return np.where(inside, position, np.nan), np.where(inside, height, np.nan)


def crossing(x: FloatArray, y: FloatArray, level: float) -> FloatArray:
    """Return where each row last rises through a level, by linear interpolation.

    Parameters
    ----------
    x : ndarray, shape (m,)
        Ascending grid.
    y : ndarray, shape (..., m)
        Curves.
    level : float
        The level.

    Returns
    -------
    ndarray, shape (...)
        Abscissa of the last upward crossing; NaN where there is none.
    """
    below = y < level
    rising = below[..., :-1] & ~below[..., 1:]
    last = x.size - 2 - np.argmax(rising[..., ::-1], axis=-1)
    found = np.any(rising, axis=-1)
    last = np.clip(last, 0, x.size - 2)
    low = np.take_along_axis(y, last[..., None], -1)[..., 0]
    high = np.take_along_axis(y, last[..., None] + 1, -1)[..., 0]
    span = np.where(found, high - low, 1.0)
    fraction = np.where(found, (level - low) / np.where(span == 0, 1.0, span), 0.0)
    return np.where(found, x[last] + fraction * (x[last + 1] - x[last]), np.nan)
