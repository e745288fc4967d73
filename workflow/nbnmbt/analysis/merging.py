"""Channels whose peaks of dV/dI merge: what can no longer be called by a label.

Two critical currents closer than a good part of the peaks' width make one peak. The fit may still
prefer two of them, but what it says of either hangs on the assumed shape; and where it prefers one,
that one is none of the two. Neither may then pass for the critical current of a channel, nor may
channels above a merger of unknown multiplicity be counted on from it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import ridges

__all__ = ["merged_pairs", "too_close"]

Array = NDArray[np.float64]


def too_close(
    Ic: Array, width: Array, present: NDArray[np.bool_], separation: float
) -> NDArray[np.bool_]:
    """Whether neighbouring channels lie closer than a fraction of their peaks' width.

    Parameters
    ----------
    Ic, width : ndarray, shape (n, K)
        Critical currents and full widths at half maximum of dV/dI, mA.
    present : ndarray of bool, shape (n, K)
        Channels fitted in a trace.
    separation : float
        Least distance in units of the wider peak's width.

    Returns
    -------
    ndarray of bool, shape (n, max(K - 1, 0))
        For the pair (k, k+1); False where one of the two is missing.
    """
    distance = Ic[:, 1:] - Ic[:, :-1]
    widest = np.fmax(width[:, 1:], width[:, :-1])
    with np.errstate(invalid="ignore"):
        return (present[:, 1:] & present[:, :-1]) & (distance < separation * widest)


def merged_pairs(
    close: NDArray[np.bool_],
    present: NDArray[np.bool_],
    shape: tuple[int, int, int],
    start: tuple[int, int, int],
) -> NDArray[np.bool_]:
    """Traces in which a pair of channels is merged, followed from trace to trace.

    Where both are there, their distance decides. Where one of them is missing, nobody can say
    whether it has vanished or hides in the other: that is taken over from the trace from which
    this one is reached (`ridges.route`), so that a pair that merged stays merged until both are
    seen again.

    Parameters
    ----------
    close : ndarray of bool, shape (n, K - 1)
        See `too_close`.
    present : ndarray of bool, shape (n, K)
        Channels fitted in a trace.
    shape, start : (int, int, int)
        Grid (T, B, theta) and index of the reference trace; n is the product of `shape`.

    Returns
    -------
    ndarray of bool, shape (n, K)
        Channels that belong to a merged pair.
    """
    both = present[:, 1:] & present[:, :-1]
    pair = np.zeros_like(close)
    for here, before, _ in ridges.route(shape, start):
        j = _row(here, shape)
        inherited = pair[_row(before[0], shape)] if before else False
        pair[j] = np.where(both[j], close[j], inherited)
    merged = np.zeros_like(present)
    merged[:, 1:] |= pair
    merged[:, :-1] |= pair
    return merged


def _row(index: Sequence[int], shape: tuple[int, int, int]) -> int:
    return int(np.ravel_multi_index(tuple(index), shape))
