"""Tests of monotony by isotonic regression, shared by the stages that judge rise and fall.

A curve "falls monotonically" when no falling function is needed to be bent to fit it: the least
squares distance of the data to the best falling step function is compared with what measurement
noise alone leaves (Robertson, Wright & Dykstra, *Order Restricted Statistical Inference*, 1988).
The null distribution is simulated on the actual points and uncertainties.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = [
    "Isotonic",
    "largest_reversal",
    "monotone_trend",
    "named_generator",
    "residual_of_monotone_fit",
]

_LEAST_POINTS = 3


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """Outcome of an isotonic regression test.

    Attributes
    ----------
    statistic : float
        Sum of squared deviations from the best monotone curve, each in units of its uncertainty.
    p_value : float
        Probability of at least this statistic if the curve is monotone.
    n : int
        Number of points used.
    draws : int
        Number of simulated data sets behind `p_value`.
    reversal : float
        Largest step against the stated direction between two points, in the unit of the data
        (0 if there is none).
    reversal_uncertainty : float
        Standard uncertainty of `reversal`.
    reason : str or None
        Why there is no test; all numbers are NaN then.
    """

    statistic: float
    p_value: float
    n: int
    draws: int
    reversal: float
    reversal_uncertainty: float
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


def named_generator(*names: object) -> np.random.Generator:
    """Return a random generator whose stream depends on the names alone.

    Parameters
    ----------
    *names : object
        Anything with a stable ``str``: sample, measurement, channel, purpose.

    Returns
    -------
    numpy.random.Generator
        The same on each machine and in each order of calls; ``hash()`` would not be.
    """
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([int(word) for word in words]))


def residual_of_monotone_fit(
    y: np.ndarray, sigma: np.ndarray, *, increasing: bool = False
) -> tuple[float, np.ndarray]:
    """Sum of squared deviations from the closest monotone curve, each over its uncertainty.

    Parameters
    ----------
    y, sigma : ndarray, shape (n,)
        Values in order of the abscissa and their standard uncertainties (> 0), same unit.
    increasing : bool
        Whether the curve should rise rather than fall.

    Returns
    -------
    statistic : float
        0 for data that are monotone already.
    fitted : ndarray, shape (n,)
        The closest monotone curve (pool-adjacent-violators).
    """
    from scipy.optimize import isotonic_regression

    y = np.asarray(y, dtype=float)
    weights = np.asarray(sigma, dtype=float) ** -2
    fitted = isotonic_regression(y, weights=weights, increasing=increasing).x
    return float(np.sum(weights * (y - fitted) ** 2)), fitted


def largest_reversal(
    y: np.ndarray, sigma: np.ndarray, *, increasing: bool = False
) -> tuple[float, float]:
    """Largest step against the stated direction from any point to any later one.

    Parameters
    ----------
    y, sigma : ndarray, shape (n,)
        Values in order of the abscissa and their standard uncertainties, same unit.
    increasing : bool
        Whether the curve should rise rather than fall.

    Returns
    -------
    step, uncertainty : float
        Step (>= 0) and its standard uncertainty, in the unit of `y`.
    """
    y = np.asarray(y, dtype=float)
    sigma = np.asarray(sigma, dtype=float)
    signed = -y if increasing else y
    lowest = np.minimum.accumulate(signed)
    steps = signed - lowest
    end = int(np.argmax(steps))
    start = int(np.argmin(signed[: end + 1]))
    return float(steps[end]), float(np.hypot(sigma[end], sigma[start]) if end != start else 0.0)


def monotone_trend(
    x: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    *,
    increasing: bool = False,
    draws: int = 2000,
    seed_names: tuple[object, ...] = (),
) -> Isotonic:
    """Isotonic regression test: the p value is the probability that a monotone curve measured with the given uncertainties departs from monotony at least as much as the data.

    The null distribution is a parametric bootstrap around the fitted monotone curve. Bootstrapping
    around a constant instead (the least favourable monotone curve) would hide a rise of several
    sigma in a steep fall.

    Parameters
    ----------
    x, y, sigma : ndarray, shape (n,)
        Abscissa, values and standard uncertainties; points that are not finite or have no
        uncertainty are left out.
    increasing : bool
        Whether the curve should rise rather than fall.
    draws : int
        Simulated data sets.
    seed_names : tuple
        Names that fix the random stream (see `named_generator`).

    Returns
    -------
    Isotonic
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    x, y, sigma = (np.asarray(a, dtype=float).ravel() for a in (x, y, sigma))
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0)
    n = int(good.sum())
    if n < _LEAST_POINTS:
        return Isotonic(
            statistic=np.nan,
            p_value=np.nan,
            n=n,
            draws=0,
            reversal=np.nan,
            reversal_uncertainty=np.nan,
            reason=f"{n} usable points, at least {_LEAST_POINTS} are needed",
        )
    order = np.argsort(x[good], kind="stable")
    y, sigma = y[good][order], sigma[good][order]
    statistic, fitted = residual_of_monotone_fit(y, sigma, increasing=increasing)
    step, step_uncertainty = largest_reversal(y, sigma, increasing=increasing)
    random = named_generator("monotone", *seed_names)
    noise = random.standard_normal((draws, n)) * sigma
    simulated = np.array(
        [residual_of_monotone_fit(fitted + row, sigma, increasing=increasing)[0] for row in noise]
    )
    exceeded = int(np.sum(simulated >= statistic * (1 - 1e-12)))
    return Isotonic(
        statistic=statistic,
        p_value=(1 + exceeded) / (1 + draws),
        n=n,
        draws=draws,
        reversal=step,
        reversal_uncertainty=step_uncertainty,
    )
