"""Differential resistance of V(I) traces by local polynomials (Savitzky-Golay).

A local polynomial of degree p over W points estimates dV/dI with noise gain g,
``sigma(dV/dI) = g sigma_V / h``, and bias ``b3 h^2 V''' + b5 h^4 V^(5) + ...`` (h: current step).
Both are functions of (W, p) alone and are computed here from the filter's coefficients. A
critical-current peak is skewed to the right, so the bias always moves its maximum *up*: derivatives
seed the ridges and draw the maps, the critical currents come from fits of V(I) (`vi_fit`).

References
----------
A. Savitzky, M. J. E. Golay, Anal. Chem. 36, 1627 (1964).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "bias_coefficients",
    "difference_noise",
    "differential_resistance",
    "is_uniform",
    "local_derivatives",
    "noise_gain",
    "slope_gain",
    "uniform_step",
    "window_points",
]


def noise_gain(window: int, polyorder: int) -> float:
    """Noise gain g of the Savitzky-Golay first derivative, sigma(dV/dI) = g sigma_V / h.

    Parameters
    ----------
    window : int
        Number of points, odd.
    polyorder : int
        Degree of the local polynomial.

    Returns
    -------
    float
        g = sqrt(sum c_j^2); for degree 1 and 2 equal to sqrt(3/(m(m+1)(2m+1))), m=(window-1)/2.
    """
    return float(np.sqrt(np.sum(np.square(_central_coefficients(window, polyorder)))))


def bias_coefficients(window: int, polyorder: int) -> tuple[float, float]:
    """Leading bias of the Savitzky-Golay first derivative: b3 h^2 V''' + b5 h^4 V^(5).

    Parameters
    ----------
    window : int
        Number of points, odd.
    polyorder : int
        Degree of the local polynomial.

    Returns
    -------
    b3, b5 : float
        Moments sum c_j j^n / n! for n = 3 and 5; b3 vanishes for degree >= 3.
    """
    c = _central_coefficients(window, polyorder)
    j = np.arange(window) - window // 2
    return float(np.sum(c * j**3) / 6.0), float(np.sum(c * j**5) / 120.0)


def uniform_step(I: ArrayLike, *, tolerance: float = 1e-3) -> float:
    """Step of an ascending uniform current grid.

    Parameters
    ----------
    I : array_like, shape (m,)
        Nominal currents, mA.
    tolerance : float
        Largest allowed deviation from uniformity, in steps.

    Returns
    -------
    float
        Step in mA; NaN for fewer than two points.

    Raises
    ------
    ValueError
        If the grid is not uniform: a Savitzky-Golay filter would be wrong on it.
    """
    I = np.asarray(I, dtype=float)
    if I.size < 2:
        return math.nan
    step = (I[-1] - I[0]) / (I.size - 1)
    deviation = np.max(np.abs(I - (I[0] + step * np.arange(I.size))))
    if not step > 0 or deviation > tolerance * step:
        raise ValueError(
            f"current grid is not uniform and ascending: step {step:g} mA, "
            f"largest deviation {deviation:g} mA"
        )
    return float(step)


def window_points(width: float, step: float, *, polyorder: int, size: int) -> int:
    """Odd number of points that spans a current window, within what the polynomial and trace allow.

    Parameters
    ----------
    width, step : float
        Wanted window and grid step, mA.
    polyorder : int
        Degree of the local polynomial.
    size : int
        Points of the trace.

    Returns
    -------
    int
        Odd, at least ``polyorder + 3`` (one redundant point on each side) and at most `size`;
        0 if the trace is too short for any.
    """
    least = polyorder + 3 if polyorder % 2 == 0 else polyorder + 2
    most = size if size % 2 else size - 1
    if most < least or not step > 0:
        return 0
    return int(min(max(2 * round(width / step / 2) + 1, least), most))


def differential_resistance(
    I: ArrayLike, V: ArrayLike, *, window: int, polyorder: int = 2
) -> NDArray[np.float64]:
    """DV/dI of traces by local polynomials over a fixed number of points.

    On a uniform grid this is the Savitzky-Golay filter; elsewhere the polynomial is fitted at the
    actual currents. Edge points take the derivative of the polynomial of the outermost full window
    (scipy's ``mode="interp"``). Windows that hold NaN are fitted to what is left of them.

    Parameters
    ----------
    I : array_like, shape (m,)
        Nominal currents, mA, ascending.
    V : array_like, shape (..., m)
        Voltages, mV; NaN where missing.
    window, polyorder : int
        Points (odd) and degree of the local polynomial.

    Returns
    -------
    ndarray, shape (..., m)
        dV/dI in ohm; NaN where the point is missing or its window keeps fewer than polyorder + 2
        points, and everywhere if the trace is shorter than the window.

    Raises
    ------
    ValueError
        If the window is even, or currents and voltages do not match or do not ascend.
    """
    V = np.asarray(V, dtype=float)
    I = np.asarray(I, dtype=float)
    result = np.full(V.shape, np.nan)
    if window % 2 == 0:
        raise ValueError(f"window must be odd, not {window}")
    if V.shape[-1] != I.size:
        raise ValueError(f"{V.shape[-1]} voltages for {I.size} currents")
    if I.size < max(window, 2):
        return result
    finite = np.isfinite(V)
    whole = finite.all(axis=-1)
    if whole.any():
        if is_uniform(I):
            from scipy.signal import savgol_filter

            result[whole] = savgol_filter(
                V[whole], window, polyorder, deriv=1, delta=uniform_step(I), mode="interp"
            )
        else:
            start = _window_starts(I.size, window)
            values = sliding_window_view(V[whole], window, axis=-1)[..., start, :]
            result[whole] = np.sum(values * _local_coefficients(I, window, polyorder), axis=-1)
    for index in map(tuple, np.argwhere(~whole & finite.any(axis=-1))):
        result[index] = _with_gaps(I, V[index], window, polyorder)
    return result


def slope_gain(I: ArrayLike, *, window: int, polyorder: int = 2) -> NDArray[np.float64]:
    """Noise of `differential_resistance` per noise of V, point by point.

    Parameters
    ----------
    I : array_like, shape (m,)
        Nominal currents, mA, ascending.
    window, polyorder : int
        Points (odd) and degree of the local polynomial.

    Returns
    -------
    ndarray, shape (m,)
        sigma(dV/dI)/sigma_V in 1/mA; g/h inside a uniform grid, more at its edges.
    """
    I = np.asarray(I, dtype=float)
    if I.size < max(window, 2):
        return np.full(I.size, np.nan)
    return np.sqrt(np.sum(np.square(_local_coefficients(I, window, polyorder)), axis=-1))


def is_uniform(I: ArrayLike, *, tolerance: float = 1e-3) -> bool:
    """Whether currents ascend in equal steps, to `tolerance` of a step."""
    try:
        uniform_step(I, tolerance=tolerance)
    except ValueError:
        return False
    return True


def local_derivatives(
    I: ArrayLike, V: ArrayLike, sigma: ArrayLike, *, half_width: float, degree: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Zero-bias derivatives of V(I) from a local polynomial about I = 0.

    For degree 3 the differential resistance is a local quadratic: its value at I = 0 is
    dV/dI(0), its second derivative the curvature d^2(dV/dI)/dI^2 of the zero-bias peak.

    Parameters
    ----------
    I, V : array_like, shape (n, m)
        Currents (offset removed), mA, and voltages, mV; NaN where missing.
    sigma : array_like, broadcastable to (n, m)
        Standard deviation of V, mV.
    half_width : float
        Only points with abs(I) <= half_width take part, mA.
    degree : int
        Degree of the polynomial in V.

    Returns
    -------
    derivatives : ndarray, shape (n, 4)
        V, dV/dI, d2V/dI2 and d3V/dI3 at I = 0 (mV and mA); NaN if fewer than degree + 1 points
        are left.
    errors : ndarray, shape (n, 4)
        Standard errors.
    """
    I = np.atleast_2d(np.asarray(I, dtype=float))
    V = np.atleast_2d(np.asarray(V, dtype=float))
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), V.shape)
    derivatives = np.full((V.shape[0], 4), np.nan)
    errors = derivatives.copy()
    inside = np.isfinite(I) & np.isfinite(V) & (np.abs(I) <= half_width) & (sigma > 0)
    enough = inside.sum(axis=1) >= degree + 1
    if not enough.any():
        return derivatives, errors
    # Points outside are dropped by zero weight, so that all traces are solved in one batch.
    columns = np.flatnonzero(inside.any(axis=0))
    x = np.where(inside, I, 0.0)[enough][:, columns] / half_width
    y = np.where(inside, V, 0.0)[enough][:, columns]
    w = np.where(inside, 1.0 / np.where(inside, sigma, 1.0), 0.0)[enough][:, columns]
    design = w[..., None] * x[..., None] ** np.arange(degree + 1)
    normal = np.swapaxes(design, 1, 2) @ design
    covariance = np.linalg.pinv(normal, hermitian=True)
    solution = (covariance @ (np.swapaxes(design, 1, 2) @ (w * y)[..., None]))[..., 0]
    order = np.arange(min(degree, 3) + 1)
    scale = np.array([math.factorial(n) for n in order]) / half_width**order
    derivatives[np.ix_(enough, order)] = solution[:, order] * scale
    errors[np.ix_(enough, order)] = (
        np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))[:, order] * scale
    )
    return derivatives, errors


def difference_noise(V: ArrayLike, *, order: int = 4) -> NDArray[np.float64]:
    """Standard deviation of white noise on smooth traces, from their high-order differences.

    A difference of order d removes a polynomial of degree d - 1; its variance is binom(2d, d)
    times that of white noise. The median makes it blind to a few sharp features.

    Parameters
    ----------
    V : array_like, shape (..., m)
        Traces on a uniform grid; NaN where missing.
    order : int
        Order of the difference.

    Returns
    -------
    ndarray, shape (...)
        Noise in the unit of `V`; NaN where fewer than four differences are finite.
    """
    V = np.asarray(V, dtype=float)
    if V.shape[-1] < order + 4:
        return np.full(V.shape[:-1], np.nan)
    differences = np.diff(V, n=order, axis=-1) / math.sqrt(math.comb(2 * order, order))
    enough = np.isfinite(differences).sum(axis=-1) >= 4
    safe = np.where(enough[..., None], differences, 0.0)
    return np.where(enough, 1.4826 * np.nanmedian(np.abs(safe), axis=-1), np.nan)


@lru_cache(maxsize=64)
def _central_coefficients(window: int, polyorder: int) -> NDArray[np.float64]:
    """Coefficients c_j of the derivative at the window's centre, unit step, j ascending."""
    from scipy.signal import savgol_coeffs

    coefficients = savgol_coeffs(window, polyorder, deriv=1, use="dot")
    coefficients.setflags(write=False)
    return coefficients


def _window_starts(m: int, window: int) -> NDArray[np.intp]:
    """First point of the window of each point: centred, but never over the edge."""
    return np.clip(np.arange(m) - window // 2, 0, m - window)


def _local_coefficients(I: NDArray[np.float64], window: int, polyorder: int) -> NDArray[np.float64]:
    """Coefficients (m, window) that turn the values of each window into the slope at its point."""
    if np.any(np.diff(I) <= 0):
        raise ValueError("currents must ascend")
    start = _window_starts(I.size, window)
    x = sliding_window_view(I, window)[start] - I[:, None]
    scale = np.max(np.abs(x), axis=1)
    design = (x / scale[:, None])[..., None] ** np.arange(polyorder + 1)
    return np.linalg.pinv(design)[:, 1, :] / scale[:, None]


def _with_gaps(
    I: NDArray[np.float64], V: NDArray[np.float64], window: int, polyorder: int
) -> NDArray[np.float64]:
    """Slope of one trace with NaN."""
    start = _window_starts(V.size, window)
    values = sliding_window_view(V, window)[start]
    x = sliding_window_view(I, window)[start] - I[:, None]
    scale = np.max(np.abs(x), axis=1)
    finite = np.isfinite(values)
    powers = (x / scale[:, None])[..., None] ** np.arange(polyorder + 1)
    design = np.where(finite[..., None], powers, 0.0)
    usable = (finite.sum(axis=1) >= polyorder + 2) & np.isfinite(V)
    slope = np.full(V.size, np.nan)
    if usable.any():
        inverse = np.linalg.pinv(design[usable])[:, 1, :]
        values = np.where(finite, values, 0.0)[usable]
        slope[usable] = np.sum(inverse * values, axis=1) / scale[usable]
    return slope
