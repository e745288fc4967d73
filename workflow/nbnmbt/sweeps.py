"""From rows in time order to sweeps: where the direction turns, which set-point, which grid.

Everything here looks at the signal itself, never at a file's name, and never interpolates.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: A reversal counts once the signal has come back by this fraction of its range ...
REVERSAL_FRACTION = 0.005
#: ... and by this many typical steps; less is noise or overshoot of the set-point.
REVERSAL_STEPS = 3.0
#: A step back this many typical steps long, and this fraction of the range, starts a new sweep.
JUMP_STEPS = 10.0
JUMP_FRACTION = 0.3
#: Points this close to a multiple of the step (in steps) were asked of the source at that multiple.
NOMINAL_TOLERANCE = 0.2
#: ... if they scatter no more than this about it (rms, in steps).
NOMINAL_SCATTER = 0.06
#: Points of different sweeps closer than this (in steps) are one node: programmed, or only read.
JOIN_PROGRAMMED = 0.3
JOIN_READ = 0.05


@dataclass(frozen=True)
class Segment:
    """Rows ``start:stop`` in which the swept quantity goes one way."""

    start: int
    stop: int
    direction: str

    def __len__(self) -> int:
        return self.stop - self.start


def typical_step(x: np.ndarray) -> float:
    """Return the median size of the steps of `x` that are no standstill (0 if there is none)."""
    steps = np.abs(np.diff(x))
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 0.0


def split_by_direction(x: np.ndarray) -> list[Segment]:
    """Cut a signal in time order where its direction turns or where it jumps back.

    The extreme point belongs to the segment that reaches it. Noise and overshoot smaller than
    `REVERSAL_STEPS` steps or `REVERSAL_FRACTION` of the range are no reversals.

    Parameters
    ----------
    x : ndarray
        Swept quantity, shape (rows,), finite, in time order.

    Returns
    -------
    list of Segment
        They cover all rows, in order.
    """
    n = len(x)
    if n == 0:
        return []
    span = float(np.ptp(x))
    step = typical_step(x)
    if span == 0.0 or n == 1:
        return [Segment(0, n, "up")]
    jumps = np.flatnonzero(np.abs(np.diff(x)) > max(JUMP_STEPS * step, JUMP_FRACTION * span)) + 1
    # A long step onwards belongs to the sweep (sparse points far out); only one back starts anew.
    bounds = [0, *(j for j in jumps.tolist() if _goes_back(x, j)), n]
    threshold = max(REVERSAL_STEPS * step, REVERSAL_FRACTION * span)
    out: list[Segment] = []
    for start, stop in itertools.pairwise(bounds):
        out.extend(_zigzag(x, start, stop, threshold))
    return out


def _goes_back(x: np.ndarray, at: int) -> bool:
    before = x[at - 1] - x[max(0, at - 6)]
    return bool(before * (x[at] - x[at - 1]) < 0)


def _zigzag(x: np.ndarray, start: int, stop: int, threshold: float) -> list[Segment]:
    """Cut ``x[start:stop]`` at reversals larger than `threshold`."""
    signs = np.sign(np.diff(x[start:stop]))
    moving = signs[signs != 0]
    if not len(moving):
        return [Segment(start, stop, "up")]
    if (moving == moving[0]).all():
        return [Segment(start, stop, "up" if moving[0] > 0 else "down")]
    out: list[Segment] = []
    at = start
    up = _first_direction(x, start, stop, threshold)
    while True:
        turn = _next_turn(x, at, stop, up, threshold)
        end = stop if turn is None else turn + 1
        out.append(Segment(at, end, "up" if up else "down"))
        if end >= stop:
            return out
        at, up = end, not up


def _first_direction(x: np.ndarray, start: int, stop: int, threshold: float) -> bool:
    """Return True if the signal first leaves its starting range upwards."""
    for part in _windows(start, stop):
        y = x[start:part]
        above = np.flatnonzero(y - np.minimum.accumulate(y) > threshold)
        below = np.flatnonzero(np.maximum.accumulate(y) - y > threshold)
        if len(above) or len(below):
            first_above = above[0] if len(above) else stop
            first_below = below[0] if len(below) else stop
            return bool(first_above < first_below)
    return bool(x[stop - 1] >= x[start])


def _next_turn(x: np.ndarray, at: int, stop: int, up: bool, threshold: float) -> int | None:
    """Return the index of the extreme point after which the signal turns, or None."""
    for part in _windows(at, stop):
        y = x[at:part] if up else -x[at:part]
        highest = np.maximum.accumulate(y)
        back = np.flatnonzero(highest - y > threshold)
        if len(back):
            return at + int(np.argmax(y[: back[0]]))
    return None


def _windows(start: int, stop: int):
    """Yield growing window ends, so that a search costs what it needs, not the whole file."""
    length = 2048
    while start + length < stop:
        yield start + length
        length *= 2
    yield stop


def cluster(values: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Group values closer than `tolerance` to their neighbour; name each group by a round number.

    Parameters
    ----------
    values : ndarray
        Shape (n,), finite.
    tolerance : float

    Returns
    -------
    (ndarray, ndarray)
        Set-points, ascending, shape (groups,); group index of each value, shape (n,).
    """
    values = np.asarray(values, dtype=float)
    order = np.argsort(values, kind="stable")
    breaks = np.diff(values[order]) > tolerance
    group = np.concatenate([[0], np.cumsum(breaks)]) if len(values) else np.empty(0, dtype=int)
    labels = np.empty(len(values), dtype=int)
    labels[order] = group
    count = int(group[-1]) + 1 if len(values) else 0
    centres = np.array([np.mean(values[labels == k]) for k in range(count)])
    return np.array([round_to(c, tolerance) for c in centres]), labels


def round_to(value: float, tolerance: float) -> float:
    """Return the roundest decimal number within half the tolerance of `value`."""
    for digits in range(12):
        rounded = round(value, digits)
        if abs(rounded - value) <= tolerance / 2:
            return rounded + 0.0
    return value


def nominal_grid(
    sweeps: Sequence[np.ndarray], programmed: bool = True
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Find the common nominal grid of several sweeps and the place of every point on it.

    Tried in this order: multiples of the finest step (what a source was programmed to);
    the same irregular list in every sweep; the union of all points, close ones joined; a uniform
    grid of the finest step with every point at its nearest node. Points keep their measured
    values in any case: the grid only says where a point is stored.

    Parameters
    ----------
    sweeps : sequence of ndarray
        Swept quantity of each sweep, finite, any order.
    programmed : bool
        True if the points were asked of a source or magnet, so that small differences are
        scatter. False for a quantity that is only read (a drifting temperature): then every
        reading keeps a node of its own, save those closer than a twentieth of a step.

    Returns
    -------
    (ndarray, list of ndarray)
        Grid, ascending, shape (nodes,); for each sweep the node of each of its points.
    """
    sweeps = [np.asarray(x, dtype=float) for x in sweeps]
    finest = [fine_step(x) for x in sweeps]
    finest = [step for step in finest if step > 0]
    if not finest:
        every = np.concatenate(sweeps)
        grid, place = np.unique(every, return_inverse=True)
        return grid, _cut(place, sweeps)
    step = min(finest)
    uniform = _multiples(sweeps, step) if programmed else None
    if uniform is not None:
        return uniform
    every = np.concatenate(sweeps)
    order = np.argsort(every, kind="stable")
    join = JOIN_PROGRAMMED if programmed else JOIN_READ
    group = np.concatenate([[0], np.cumsum(np.diff(every[order]) > join * step)])
    longest = max(len(x) for x in sweeps)
    if group[-1] + 1 <= 4 * longest:
        place = np.empty(len(every), dtype=int)
        place[order] = group
        number = np.bincount(place)
        grid = np.bincount(place, weights=every) / number
        if programmed and len(sweeps) > 1 and np.mean(number > 1) > 0.5:
            # The same list was asked for in several sweeps: name its nodes by round numbers.
            scatter = float(np.std(every - grid[place]))
            grid = _round_nodes(grid, min(0.05 * step, 4 * scatter + 1e-9 * step))
        return grid, _cut(place, sweeps)
    nodes = np.rint(every / step).astype(np.int64)
    used, place = np.unique(nodes, return_inverse=True)
    return _tidy(used * step, step), _cut(place, sweeps)


def _round_nodes(grid: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the nodes with the fewest decimals that leave all within `tolerance`."""
    for digits in range(12):
        rounded = np.round(grid, digits)
        if np.abs(rounded - grid).max() <= tolerance and (np.diff(rounded) > 0).all():
            return rounded + 0.0
    return grid


def fine_step(x: np.ndarray) -> float:
    """Return a small but usual step of `x`, the tenth percentile of its non-zero steps."""
    steps = np.abs(np.diff(np.sort(x)))
    top = steps.max(initial=0.0)
    steps = steps[steps > 1e-3 * top] if top > 0 else steps[:0]
    return float(np.percentile(steps, 10)) if len(steps) else 0.0


def _multiples(sweeps: list[np.ndarray], step: float) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Return the grid as multiples of a round step (plus one offset), if all points fit it."""
    for digits in (1, 2, 3, 4):
        rounded = float(f"{step:.{digits - 1}e}")
        for offset in (0.0, float(f"{np.mod(sweeps[0][0], rounded):.6g}")):
            nodes = [np.rint((x - offset) / rounded) for x in sweeps]
            off = [(x - offset) / rounded - k for x, k in zip(sweeps, nodes, strict=True) if len(x)]
            fits = all(
                np.abs(d).max() <= NOMINAL_TOLERANCE and np.sqrt(np.mean(d**2)) <= NOMINAL_SCATTER
                for d in off
            )
            if fits and all(len(np.unique(k)) * 4 >= len(k) for k in nodes):
                every = np.concatenate(nodes).astype(np.int64)
                used, place = np.unique(every, return_inverse=True)
                return _tidy(used * rounded + offset, rounded), _cut(place, sweeps)
    return None


def _tidy(grid: np.ndarray, step: float) -> np.ndarray:
    """Round away the last bits, so that the node 0.3 is 0.3 and zero has no sign."""
    digits = max(0, 6 - int(np.floor(np.log10(step))))
    return np.round(grid, digits) + 0.0


def _cut(place: np.ndarray, sweeps: list[np.ndarray]) -> list[np.ndarray]:
    return np.split(place, np.cumsum([len(x) for x in sweeps])[:-1])
