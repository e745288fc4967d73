"""V(I) sweeps of a dataset as arrays: which current axis to use, and how noisy the voltage is.

The white noise of V has a part of its own and one that the source's current noise makes through
the slope, var(V) = voltage^2 + (dV/dI)^2 current^2; both follow from high-order differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import derivative

__all__ = ["Noise", "Sweeps", "choose_current", "estimate_noise", "mean_over_directions"]

Array = NDArray[np.float64]


Index = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Sweeps:
    """V(I) sweeps of a dataset, flattened to traces.

    Attributes
    ----------
    grid : ndarray, shape (m,)
        Nominal currents, mA, ascending.
    I, V : ndarray, shape (n, b, m)
        Currents (mA) and voltages (mV) of b sweep directions; NaN where missing.
    T, T_set : ndarray, shape (n,)
        Mean temperature of a trace and its set-point, K.
    dT : ndarray, shape (n, b, m)
        Smoothed temperature minus set-point at each point, K; NaN where unknown.
    thermometer_noise : float
        White noise of the thermometer, K.
    rough_share : ndarray, shape (n,)
        Share of that variance which the smoothed temperature still has in second differences.
    shape : (int, int, int)
        Lengths of T, B, theta; their product is n (C order).
    axes : three ndarrays
        Set-points T (K), B (T), theta (degree).
    """

    grid: Array
    I: Array
    V: Array
    T: Array
    T_set: Array
    dT: Array
    thermometer_noise: float
    rough_share: Array
    shape: Index
    axes: tuple[Array, Array, Array]

    @property
    def n(self) -> int:
        """Number of traces."""
        return self.V.shape[0]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """White noise of V: var(V) = voltage^2 + (dV/dI)^2 current^2 (mV, mA)."""

    voltage: float
    current: float

    def sigma(self, slope: Array, floor: float) -> Array:
        """Standard deviation of V at differential resistance `slope` (ohm), mV."""
        return np.sqrt(self.voltage**2 + np.square(slope * self.current) + floor**2)


def choose_current(
    grid: Array, I_measured: Array, V: Array, mode: str, window: int, polyorder: int
) -> tuple[Array, str]:
    """Choose the current axis that leaves less white noise in V.

    Source noise that the readback resolves is removed by using the readback; a readback coarser
    than the source noise adds its own resolution, and then the nominal current, calibrated by
    a straight line through the readback of the same sweep, is the better one.

    Parameters
    ----------
    grid : ndarray, shape (m,)
        Nominal currents, mA.
    I_measured, V : ndarray, shape (n, b, m)
        Readback, mA, and voltage, mV.
    mode : str
        ``"auto"``, ``"measured"`` or ``"calibrated"``.
    window, polyorder : int
        Smoothing of dV/dI.

    Returns
    -------
    I : ndarray, shape (n, b, m)
        Current to use, mA.
    chosen : str
        ``"measured"`` or ``"calibrated"``.
    """
    finite = np.isfinite(I_measured) & np.isfinite(V)
    x = np.where(finite, grid, 0.0)
    y = np.where(finite, I_measured, 0.0)
    count = np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    mean_x = x.sum(axis=-1, keepdims=True) / count
    mean_y = y.sum(axis=-1, keepdims=True) / count
    dx = np.where(finite, x - mean_x, 0.0)
    sxx = np.sum(dx**2, axis=-1, keepdims=True)
    gain = np.where(
        (sxx > 0) & (count >= 8),
        np.sum(dx * y, axis=-1, keepdims=True) / np.where(sxx > 0, sxx, 1),
        1.0,
    )
    calibrated = np.where(finite, mean_y + gain * (grid - mean_x), np.nan)
    measured = np.where(np.isfinite(I_measured), I_measured, np.nan)
    if mode == "measured" or not finite.any():
        return measured, "measured"
    if mode == "calibrated":
        return calibrated, "calibrated"
    slope = derivative.differential_resistance(grid, V, window=window, polyorder=polyorder)
    scores = []
    for I in (measured, calibrated):
        rest = V - slope * (I - calibrated)
        scores.append(_pooled_noise(rest, slope))
    if not np.isfinite(scores).all() or scores[0] <= scores[1]:
        return measured, "measured"
    return calibrated, "calibrated"


def _pooled_noise(values: Array, slope: Array) -> float:
    """Median over traces of the white noise where they are steep: there current noise shows."""
    with np.errstate(invalid="ignore"):
        top = np.nanmax(
            np.where(np.isfinite(slope), np.abs(slope), -np.inf), axis=-1, keepdims=True
        )
        steep = np.where(np.abs(slope) >= 0.5 * top, values, np.nan)
    noise = derivative.difference_noise(steep)
    return float(np.nanmedian(noise)) if np.isfinite(noise).any() else float("nan")


def estimate_noise(
    values: Array, slope: Array, known: Array | None = None, *, order: int, bins: int = 8
) -> Noise:
    """Voltage and current noise from high-order differences, pooled over a dataset.

    Parameters
    ----------
    values : ndarray, shape (..., m)
        Voltages or residuals on the nominal grid, mV.
    slope : ndarray, shape (..., m)
        dV/dI, ohm.
    known : ndarray, shape (..., m), optional
        Variance that the same difference of other, known noise has, mV^2.
    order : int
        Order of the difference.
    bins : int
        Classes of equal size in abs(dV/dI); each is split in three by `known`.

    Returns
    -------
    Noise
        Non-negative least-squares solution of var = voltage^2 + slope^2 current^2 + known.
    """
    from math import comb

    from scipy.optimize import nnls

    silent = Noise(voltage=0.0, current=0.0)
    if values.shape[-1] <= order:
        return silent
    differences = np.diff(values, n=order, axis=-1) / np.sqrt(comb(2 * order, order))
    inner = slice(order // 2, order // 2 + differences.shape[-1])
    s = np.abs(slope[..., inner])
    t = np.zeros_like(s) if known is None else known[..., inner]
    good = np.isfinite(differences) & np.isfinite(s) & np.isfinite(t)
    d, s, t = differences[good], s[good], t[good]
    if d.size < 8:
        return silent
    classes = []
    for part in _split_by(np.arange(d.size), s, min(bins, max(1, d.size // 48))):
        classes += _split_by(part, t, 3) if np.any(t) and part.size >= 48 else [part]
    variance = np.array([(1.4826 * np.median(np.abs(d[part]))) ** 2 for part in classes])
    size = np.array([part.size for part in classes])
    if not np.any(variance > 0):
        return silent
    columns = [np.ones(len(classes)), np.array([np.mean(s[part] ** 2) for part in classes])]
    # Each class knows its variance to a part in sqrt(size/2).
    scale = np.sqrt(size) / np.maximum(variance, 1e-6 * variance.max())
    variance = np.maximum(variance - np.array([np.mean(t[part]) for part in classes]), 0.0)
    design = np.stack(columns, axis=1) * scale[:, None]
    norm = np.sqrt(np.sum(design**2, axis=0))
    norm[norm == 0] = 1.0
    solution = nnls(design / norm, variance * scale)[0] / norm
    return Noise(voltage=float(np.sqrt(solution[0])), current=float(np.sqrt(solution[1])))


def _split_by(index: NDArray[np.intp], key: Array, parts: int) -> list[NDArray[np.intp]]:
    """Split indices into classes of equal size, ascending in `key`."""
    ranked = index[np.argsort(key[index], kind="stable")]
    return [part for part in np.array_split(ranked, parts) if part.size]


def mean_over_directions(V: Array) -> Array:
    """Mean of the sweep directions that have a point."""
    finite = np.isfinite(V)
    count = finite.sum(axis=1)
    total = np.where(finite, V, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
