"""Temperature at which a loop quantity vanishes, with the exponent as a systematic.

A(1 - T/T_v)^p with p free is nearly degenerate: T_v and p trade against one another and T_v comes
out anywhere within a kelvin or two. Here p is fixed to each of several values, and powers n of the
mean-field order parameter, A m(T/T_v)^n, stand beside them, because no pure power law follows it
over more than a third of the range. Each law gives a profile likelihood of T_v; what is quoted is
their average, weighted by how well they fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

__all__ = ["Vanishing", "fit_vanishing"]

FloatArray = NDArray[np.float64]

_LEAST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class Vanishing:
    """Where a quantity vanishes.

    Attributes
    ----------
    reason : str or None
        Why there is no such temperature.
    value, uncertainty : float
        Mean and standard deviation of T_v over the averaged likelihood, K.
    low, high : float
        95 % interval, K.
    by_law : list of dict
        For each law: ``law``, ``T_v``, ``uncertainty``, ``chi2``, ``weight``, ``amplitude``.
    dof : int
        Points less two.
    """

    reason: str | None
    value: float = np.nan
    uncertainty: float = np.nan
    low: float = np.nan
    high: float = np.nan
    by_law: list[dict[str, Any]]
    dof: int = 0

    def as_details(self) -> dict[str, Any]:
        """Return interval and laws as plain values."""
        return {
            "low": self.low,
            "high": self.high,
            "by_law": self.by_law,
            "dof": self.dof,
        }


def fit_vanishing(
    T: ArrayLike,
    y: ArrayLike,
    sigma: ArrayLike,
    *,
    exponents: Sequence[float] = (0.35, 0.5, 0.7, 1.0),
    mean_field_powers: Sequence[float] = (1.0, 2.0),
    search: tuple[float, float] = (5.0, 40.0),
    window: float = 0.0,
    law_error: float = 0.0,
    ceiling: tuple[float, float] | None = None,
) -> Vanishing:
    """Fit y = A (1 - T/T_v)^p and y = A m(T/T_v)^n below T_v, 0 above, and average over the laws.

    Parameters
    ----------
    T, y, sigma : array_like, same size
        Temperature (K), quantity and its standard deviation. Points that are zero within their
        error count: they bound T_v from above.
    exponents : sequence of float
        Exponents p, each held fixed.
    mean_field_powers : sequence of float
        Powers n of the mean-field order parameter (S = 5/2).
    search : tuple of float
        Range of T_v, K.
    window : float
        Lowest reduced temperature T/T_v that is fitted: a power law holds near T_v only. T_v is
        first found with all points.
    law_error : float
        Fraction of the largest value that no simple law can be trusted below; added in quadrature
        to `sigma`.
    ceiling : tuple of float, optional
        Temperature, with its standard uncertainty (K), above which the quantity cannot exist: the
        likelihood of T_v is multiplied by the probability that the ceiling lies higher still.

    Returns
    -------
    Vanishing
        With `reason` set when the data leave T_v open.
    """
    T, y, sigma = (np.asarray(a, dtype=float).ravel() for a in (T, y, sigma))
    good = np.isfinite(T) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0)
    T, y, sigma = T[good], y[good], sigma[good]

    def none(reason: str) -> Vanishing:
        return Vanishing(reason=reason, by_law=[])

    if T.size < _LEAST_POINTS:
        return none(f"{T.size} usable temperatures, at least {_LEAST_POINTS} are needed")
    significant = y > 3 * sigma
    sigma = np.hypot(sigma, law_error * float(np.max(y)))
    if np.count_nonzero(significant) < 2:
        return none("fewer than two temperatures at which it differs from zero")
    laws = [("power", float(p)) for p in exponents]
    laws += [("mean field", float(n)) for n in mean_field_powers]
    if not laws:
        return none("no law to fit")
    grid = np.arange(search[0], search[1] + 1e-9, 0.02)
    chi2, amplitude = _profiles(T, y, sigma, laws, grid)
    if window > 0:
        first = grid[np.unravel_index(np.argmin(chi2), chi2.shape)[1]]
        near = window * first <= T
        # At least four points, two of them above zero, must stay to hold amplitude and T_v.
        while np.count_nonzero(near) < 4 or np.count_nonzero(near & significant) < 2:
            if np.all(near):
                break
            near[np.max(np.flatnonzero(~near))] = True
        T, y, sigma = T[near], y[near], sigma[near]
        chi2, amplitude = _profiles(T, y, sigma, laws, grid)
    dof = max(T.size - 2, 1)
    best = float(np.min(chi2))
    # A poor best fit means that the errors are too small or the laws too simple: widen.
    scale = max(best / dof, 1.0)
    likelihood = np.exp(-0.5 * (chi2 - best) / scale)
    if ceiling is not None:
        likelihood = likelihood * ndtr((ceiling[0] - grid) / max(ceiling[1], 1e-3))
        if not likelihood.sum() > 0:
            return none(f"it does not vanish below {ceiling[0]:.1f} K, as it must")
    total = likelihood.sum()
    density = likelihood.sum(axis=0) / total
    mean = float(density @ grid)
    deviation = float(np.sqrt(density @ (grid - mean) ** 2))
    cumulative = np.cumsum(density)
    low, high = (float(np.interp(q, cumulative, grid)) for q in (0.025, 0.975))
    if high > search[1] - 0.5 or deviation > 0.2 * (search[1] - search[0]):
        return none(
            f"it does not vanish within the measured range: T_v could be anywhere above {low:.1f} K"
        )
    entries = []
    for i, (law, power) in enumerate(laws):
        own = likelihood[i] / max(float(likelihood[i].sum()), 1e-300)
        centre = float(own @ grid)
        k = int(np.argmin(chi2[i]))
        entries.append(
            {
                "law": law,
                "power": power,
                "T_v": centre,
                "uncertainty": float(np.sqrt(own @ (grid - centre) ** 2)),
                "chi2": float(chi2[i, k]),
                "weight": float(likelihood[i].sum() / total),
                "amplitude": float(amplitude[i, k]),
            }
        )
    # The grid itself limits the resolution.
    deviation = float(np.hypot(deviation, 0.02 / np.sqrt(12)))
    return Vanishing(
        reason=None,
        value=mean,
        uncertainty=deviation,
        low=low,
        high=high,
        by_law=entries,
        dof=dof,
    )


@lru_cache(maxsize=1)
def _mean_field() -> tuple[FloatArray, FloatArray]:
    """Return reduced temperatures and the mean-field order parameter of spin 5/2 there."""
    from nbnmbt.physics.magnet import order_parameter

    # Dense towards t = 1, where m falls like a square root.
    t = 1 - np.linspace(1, 0, 401) ** 2
    return t, order_parameter(t, 1.0)


def _profiles(
    T: FloatArray,
    y: FloatArray,
    sigma: FloatArray,
    laws: Sequence[tuple[str, float]],
    grid: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return chi-square and best amplitude for each law and T_v, shape (law, grid)."""
    t = T / grid[:, None]
    bases = {"power": np.clip(1 - t, 0.0, None)}
    if any(law == "mean field" for law, _ in laws):
        bases["mean field"] = np.interp(t, *_mean_field(), right=0.0)
    shape = np.stack([bases[law] ** power for law, power in laws])
    weight = sigma**-2
    norm = shape**2 @ weight
    amplitude = np.where(norm > 0, (shape * y) @ weight / np.where(norm > 0, norm, 1.0), 0.0)
    amplitude = np.maximum(amplitude, 0.0)
    residual = y - amplitude[..., None] * shape
    return residual**2 @ weight, amplitude
