"""Peaks of dV/dI and their tracking through a dataset: seeds for the V(I) fits.

A critical current shows as a maximum of dV/dI at +Ic and at -Ic. Peaks of single traces are linked
along temperature, field and angle by their order: a channel never overtakes another one, and a
peak belongs to the channel that is expected nearest. What is lost in noise is left out
(censored), not set to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Peaks", "align", "find_peaks", "match_polarities", "route", "track"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Peaks of dV/dI at one polarity, ascending in position.

    Attributes
    ----------
    position : ndarray
        abs(I) of the maximum, mA (vertex of the parabola through three points).
    prominence : ndarray
        Height above the higher of the two neighbouring minima, in standard deviations of dV/dI.
    height : ndarray
        The same in ohm.
    width : ndarray
        Full width at half prominence, mA.
    """

    position: Array
    prominence: Array
    height: Array
    width: Array

    @property
    def size(self) -> int:
        """Number of peaks."""
        return self.position.size

    def take(self, index: ArrayLike) -> Peaks:
        """Return the peaks `index`."""
        return Peaks(
            position=self.position[index],
            prominence=self.prominence[index],
            height=self.height[index],
            width=self.width[index],
        )


def find_peaks(
    I: ArrayLike,
    dVdI: ArrayLike,
    sigma: ArrayLike,
    *,
    prominence: float,
    window: tuple[float, float],
    min_points: float = 2.0,
) -> tuple[Peaks, Peaks]:
    """Maxima of dV/dI at both polarities.

    Parameters
    ----------
    I : array_like, shape (m,)
        Ascending currents, offset removed, mA.
    dVdI : array_like, shape (m,)
        Smoothed differential resistance, ohm; NaN where missing.
    sigma : array_like, shape (m,) or scalar
        Standard deviation of `dVdI`, ohm.
    prominence : float
        Least prominence in standard deviations.
    window : (float, float)
        Range of abs(I), mA.
    min_points : float
        Least width at half prominence, in grid points: a peak narrower than that is a spike.

    Returns
    -------
    positive, negative : Peaks
        Positions as abs(I).
    """
    from scipy.signal import find_peaks as scipy_find_peaks
    from scipy.signal import peak_widths

    I = np.asarray(I, dtype=float)
    dVdI = np.asarray(dVdI, dtype=float)
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), dVdI.shape)
    found = []
    for sign in (1.0, -1.0):
        x, y, s = sign * I, dVdI, sigma
        if sign < 0:
            x, y, s = x[::-1], y[::-1], s[::-1]
        # The maximum at zero bias is the Andreev peak; half a trace is searched on its own so
        # that it is never taken for a channel, whichever side the noise puts it on.
        use = (x >= 0) & np.isfinite(y) & np.isfinite(s)
        x, y, s = x[use], y[use], s[use]
        if x.size < 5 or not np.any(s > 0):
            found.append(Peaks(**{name: np.empty(0) for name in Peaks.__dataclass_fields__}))
            continue
        index, properties = scipy_find_peaks(y, prominence=prominence * np.min(s[s > 0]))
        height = properties["prominences"]
        ratio = height / np.where(s[index] > 0, s[index], np.inf)
        points = peak_widths(y, index, rel_height=0.5)[0] if index.size else np.empty(0)
        left, mid, right = y[index - 1], y[index], y[np.minimum(index + 1, y.size - 1)]
        curvature = left - 2 * mid + right
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(curvature < 0, 0.5 * (left - right) / curvature, 0.0)
        step = np.gradient(x)[index]
        position = x[index] + np.clip(shift, -0.5, 0.5) * step
        keep = (
            (ratio >= prominence)
            & (points >= min_points)
            & (position >= window[0])
            & (position <= window[1])
        )
        found.append(
            Peaks(
                position=position[keep],
                prominence=ratio[keep],
                height=height[keep],
                width=(points * step)[keep],
            )
        )
    return found[0], found[1]


def match_polarities(positive: Peaks, negative: Peaks, *, tolerance: float = 0.5) -> Peaks:
    """Peaks that appear at +I and at -I.

    Parameters
    ----------
    positive, negative : Peaks
        Peaks of the two half traces.
    tolerance : float
        Largest distance of a pair, in units of the narrower of its widths.

    Returns
    -------
    Peaks
        Means of matched pairs; the prominence is that of the weaker partner.
    """
    pairs = align(positive.position, negative.position, gate=tolerance * positive.width)
    keep = [
        (a, b)
        for a, b in pairs
        if abs(positive.position[a] - negative.position[b])
        <= tolerance * min(positive.width[a], negative.width[b])
    ]
    a = np.array([p for p, _ in keep], dtype=int)
    b = np.array([q for _, q in keep], dtype=int)
    return Peaks(
        position=0.5 * (positive.position[a] + negative.position[b]),
        prominence=np.minimum(positive.prominence[a], negative.prominence[b]),
        height=0.5 * (positive.height[a] + negative.height[b]),
        width=0.5 * (positive.width[a] + negative.width[b]),
    )


def align(
    expected: ArrayLike, found: ArrayLike, *, gate: ArrayLike, handicap: ArrayLike = 0.0
) -> list[tuple[int, int]]:
    """Pair expected with found positions, keeping their order.

    Dynamic programming over the two ascending lists: a pair costs (distance/gate)^2, leaving an
    expected position without partner costs 1, so pairs further apart than the gate are not made.
    Because pairs may not cross, channels cannot be swapped.

    Parameters
    ----------
    expected, found : array_like
        Ascending positions. An expected NaN stays without partner.
    gate : array_like
        Largest distance, one for all or one for each expected position.
    handicap : array_like
        Cost of any pair of an expected position, on top of its distance; below 1.

    Returns
    -------
    list of (int, int)
        Indices (expected, found), ascending.
    """
    expected = np.asarray(expected, dtype=float)
    found = np.asarray(found, dtype=float)
    gate = np.broadcast_to(np.asarray(gate, dtype=float), expected.shape)
    K, N = expected.size, found.size
    if K == 0 or N == 0:
        return []
    distance = np.abs(expected[:, None] - found[None, :])
    with np.errstate(invalid="ignore", divide="ignore"):
        cost = np.square(distance / gate[:, None])
        cost = cost + np.broadcast_to(np.asarray(handicap, dtype=float), expected.shape)[:, None]
    cost = np.where(np.isfinite(cost), cost, 2.0)
    total = np.zeros((K + 1, N + 1))
    total[1:, 0] = np.arange(1, K + 1)
    for a in range(1, K + 1):
        for b in range(1, N + 1):
            total[a, b] = min(
                total[a - 1, b - 1] + cost[a - 1, b - 1], total[a - 1, b] + 1.0, total[a, b - 1]
            )
    pairs = []
    a, b = K, N
    while a > 0 and b > 0:
        if total[a, b] == total[a, b - 1]:
            b -= 1
        elif total[a, b] == total[a - 1, b] + 1.0:
            a -= 1
        else:
            pairs.append((a - 1, b - 1))
            a, b = a - 1, b - 1
    return pairs[::-1]


def route(
    shape: tuple[int, int, int], start: tuple[int, int, int]
) -> list[tuple[tuple[int, int, int], list[tuple[int, int, int]], int]]:
    """Order in which to walk through the grid (T, B, theta), and from where each point is reached.

    From the reference along T; from there along B at each T; from there along theta.

    Parameters
    ----------
    shape, start : (int, int, int)
        Grid and index of the reference trace.

    Returns
    -------
    list of (index, predecessors, axis)
        Predecessors nearest first (at most two), along `axis`; the reference has none and axis -1.
    """
    steps: list[tuple[tuple[int, int, int], list[tuple[int, int, int]], int]] = [(start, [], -1)]
    roots = [start]
    for axis in range(3):
        grown = list(roots)
        for root in roots:
            for direction in (1, -1):
                line = [root]
                i = root[axis] + direction
                while 0 <= i < shape[axis]:
                    here = (*root[:axis], i, *root[axis + 1 :])
                    steps.append((here, line[::-1][:2], axis))
                    line.append(here)
                    grown.append(here)
                    i += direction
        roots = grown
    return steps


def track(
    peaks: dict[tuple[int, int, int], Peaks],
    shape: tuple[int, int, int],
    axes: tuple[ArrayLike, ArrayLike, ArrayLike],
    start: tuple[int, int, int],
    reference: ArrayLike,
    *,
    gate: float,
    relative_gate: float = 0.12,
) -> Array:
    """Follow channels from the reference trace through all the others.

    Each trace is reached from its neighbour (`route`); the position expected there is the linear
    prediction from the two last points at which the channel was seen, and `align` assigns the
    peaks of the trace under the order constraint.

    Parameters
    ----------
    peaks : dict
        Matched peaks of each trace, by index (T, B, theta).
    shape : (int, int, int)
        Grid.
    axes : three array_like
        T (K), B (T), theta (degree).
    start : (int, int, int)
        Reference trace.
    reference : array_like, shape (K,)
        Channel positions in the reference trace, ascending, mA.
    gate : float
        Largest deviation from the prediction, mA, to which `relative_gate` times the predicted
        position and the predicted step are added.
    relative_gate : float
        See `gate`.

    Returns
    -------
    ndarray, shape (K, T, B, theta)
        Positions in mA; NaN where a channel has no peak (censored).
    """
    reference = np.asarray(reference, dtype=float)
    K = reference.size
    ridge = np.full((K, *shape), np.nan)
    coordinates = [np.asarray(a, dtype=float) for a in axes]
    # Last two sightings of each channel along the way to a trace: (coordinate, position).
    seen: dict[tuple[int, int, int], list[list[tuple[float, float]]]] = {}
    for here, before, axis in route(shape, start):
        if not before:
            ridge[(slice(None), *here)] = reference
            seen[here] = [[] for _ in range(K)]
            continue
        x = coordinates[axis][here[axis]]
        x_before = coordinates[axis][before[0][axis]]
        on_line = len(before) > 1
        expected, gates, history = np.full(K, np.nan), np.full(K, gate), []
        for k in range(K):
            last = ridge[(k, *before[0])]
            # A sighting at the start of this line has its history on another axis.
            past = list(seen[before[0]][k]) if on_line else []
            if np.isfinite(last) and (not past or past[-1][0] != x_before):
                past.append((x_before, last))
            past = past[-2:]
            history.append(past)
            if not past:
                continue
            expected[k] = past[-1][1]
            if len(past) == 2 and past[1][0] != past[0][0]:
                slope = (past[1][1] - past[0][1]) / (past[1][0] - past[0][0])
                move = slope * (x - past[1][0])
                # A prediction may not run away from what was last seen.
                move = float(np.clip(move, -0.5 * past[-1][1], 0.5 * past[-1][1]))
                expected[k] += move
                gates[k] += abs(move)
            gates[k] += relative_gate * past[-1][1]
        trace = peaks.get(here)
        if trace is not None and trace.size:
            # What vanished long ago is expected anywhere by now: a peak belongs rather to the
            # channel that was there in the last trace.
            lost = np.array([not np.isfinite(ridge[(k, *before[0])]) for k in range(K)])
            pairs = align(expected, trace.position, gate=gates, handicap=0.5 * lost)
            alive = np.flatnonzero(np.isfinite(expected))
            if not on_line and len(pairs) < alive.size == trace.size:
                # The first step along a line has no slope to go by and may be a long one. As many
                # peaks as channels then are those channels, in their order, unless absurdly far.
                ratio = trace.position / expected[alive]
                if np.all((ratio > 0.5) & (ratio < 2.0)):
                    pairs = [(int(k), j) for j, k in enumerate(alive)]
            for k, j in pairs:
                ridge[(k, *here)] = trace.position[j]
        for k in range(K):
            if np.isfinite(ridge[(k, *here)]):
                history[k].append((x, ridge[(k, *here)]))
        seen[here] = [h[-2:] for h in history]
    return ridge
