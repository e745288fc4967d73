"""F statistic of a kink at each field it could be at; the kink test judges its maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnmbt.analysis import access, kinks

if TYPE_CHECKING:
    import xarray as xr

    from nbnmbt.analysis.estimate import Stage

__all__ = ["f_profile", "profiles", "threshold"]

Array = NDArray[np.float64]


def f_profile(
    x: ArrayLike,
    y: ArrayLike,
    sigma: ArrayLike,
    degree: int,
    *,
    trim_fraction: float,
    least_variance: float = 1.0,
) -> tuple[Array, Array]:
    r"""F of adding a jump and a change of slope at each candidate field to a polynomial.

    .. math::

        F(B^*) = \frac{[\chi^2_0 - \chi^2(B^*)]/2}{\max[\chi^2(B^*)/(n - p - 3),\ v]}

    with a polynomial of degree p as null curve. The field is searched, so the largest F must be
    compared with the calibrated quantiles of `nbnmbt.analysis.kinks.sup_f_test`, never with those
    of one F.

    Parameters
    ----------
    x, y, sigma : array_like, shape (n,)
        Field magnitudes (T), values and standard uncertainties.
    degree : int
        Degree p of the null polynomial.
    trim_fraction : float
        Fraction of the range at each end without candidates.
    least_variance : float
        Smallest residual variance v in the denominator, in units of sigma squared.

    Returns
    -------
    field, F : ndarray, shape (m,)
        Candidate fields (midpoints between neighbouring ones, T) and their F. Empty for a curve
        with too few points.
    """
    x, y, weight = np.asarray(x, float), np.asarray(y, float), 1 / np.asarray(sigma, float)
    if x.size < degree + 7:
        return np.empty(0), np.empty(0)
    distinct = np.unique(x)
    middle = (distinct[1:] + distinct[:-1]) / 2
    trim = trim_fraction * np.ptp(distinct)
    below = np.searchsorted(np.sort(x), middle)
    middle = middle[
        (middle >= distinct[0] + trim)
        & (middle <= distinct[-1] - trim)
        & (below >= 3)
        & (x.size - below >= 3)
    ]
    scaled = 2 * (x - x.min()) / np.ptp(x) - 1
    smooth = np.polynomial.chebyshev.chebvander(scaled, degree)

    def chi2(columns: Array) -> float:
        weighted = columns * weight[:, None]
        solution = np.linalg.lstsq(weighted, y * weight, rcond=None)[0]
        return float(np.sum((y * weight - weighted @ solution) ** 2))

    null = chi2(smooth)
    rest = np.array([chi2(np.column_stack([smooth, x > b, np.maximum(x - b, 0)])) for b in middle])
    variance = np.maximum(rest / (x.size - degree - 3), least_variance)
    return middle, (null - rest) / 2 / variance


def profiles(
    currents: xr.Dataset,
    stage: Stage,
    options: kinks.Options,
    orientation: Literal["out-of-plane", "in-plane"] = "out-of-plane",
) -> dict[int, tuple[Array, Array]]:
    """Return the profile of each channel, with null curve and uncertainties of the stage's test.

    Parameters
    ----------
    currents : Dataset
        Critical currents of the field sweep.
    stage : Stage
        The stage ``kinks``.
    options : nbnmbt.analysis.kinks.Options
        Its options.
    orientation : str
        Which of its two tests.

    Returns
    -------
    dict of int to (field, F)
        Empty arrays for a channel without a test.
    """
    found = {}
    for k in options.channels:
        entry = stage.statistics.get(_name(orientation, k), {})
        curve = access.channel(currents, k, "B")
        if entry.get("null_degree") is None or not curve.n:
            found[k] = (np.empty(0), np.empty(0))
            continue
        found[k] = f_profile(
            curve.x,
            curve.y,
            np.hypot(curve.sigma, options.description_floor * curve.y),
            int(entry["null_degree"]),
            trim_fraction=options.trim_fraction,
        )
    return found


def threshold(
    stage: Stage,
    options: kinks.Options,
    orientation: Literal["out-of-plane", "in-plane"] = "out-of-plane",
) -> float | None:
    """Return the largest of the channels' calibrated 99 % quantiles of the largest F."""
    levels = [
        stage.statistics.get(_name(orientation, k), {}).get("sup_F_99") for k in options.channels
    ]
    known = [level for level in levels if level is not None and np.isfinite(level)]
    return max(known) if known else None


def _name(orientation: str, k: int) -> str:
    return f"kink_Ic{k}" if orientation == "out-of-plane" else f"kink_in_plane_Ic{k}"
