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

from nbnmbt.analysis import ridges, vi_fit
from nbnmbt.analysis.censoring import Censoring
from nbnmbt.analysis.fit_state import aicc

__all__ = ["Mergers", "merged_pairs", "too_close"]

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


class Mergers(Censoring):
    """Last step: what may not pass for a channel."""

    def find_mergers(self) -> None:
        """Channels that cannot be told from a neighbour, or that are several in one."""
        self.merged = np.zeros((self.sweeps.n, self.K), dtype=bool)
        self.ambiguous_from = self._hidden_channel()
        if self.ambiguous_from is not None:
            self.merged[:, self.ambiguous_from :] = True
            self.report(
                f"channel {self.ambiguous_from} is more than one in the traces that misfit: its"
                " label and all higher ones are undetermined"
            )
        if self.K < 2:
            return
        width, _ = vi_fit.peak_widths(self.fit)
        close = too_close(
            np.exp(self.fit.parameters[:, self.layout.ln_Ic]),
            width,
            self.active,
            self.options.least_separation,
        )
        self.merged |= merged_pairs(
            close, self.active, self.sweeps.shape, self.index(self.reference)
        )

    def _hidden_channel(self, traces: int = 4) -> int | None:
        """Lowest channel that is better described by two in most of the traces that misfit.

        Only traces that the model as it stands does not describe are asked, the worst ones. Two in
        place of one must remove most of the misfit: a shape that no channel has is not a second
        channel. And a good part of the traces must misfit: a single one in which the temperature
        wandered across a transition is better described by a channel more, too.
        """
        with np.errstate(invalid="ignore"):
            excess = (self.fit.chi2_nu - 1.0) / np.sqrt(2.0 / np.maximum(self.fit.dof, 1))
            misfit = np.flatnonzero((excess > 8.0) & self.usable & self.active.any(axis=1))
        misfit = misfit[np.argsort(-excess[misfit], kind="stable")]
        for k in range(self.K):
            asked = misfit[self.active[misfit, k]]
            if asked.size < max(0.2 * np.count_nonzero(self.active[self.usable, k]), 1):
                continue
            if np.mean([self._is_double(int(j), k) for j in asked[:traces]]) >= 0.5:
                return k
        return None

    def _is_double(self, row: int, k: int) -> bool:
        """Whether two channels in place of channel `k` describe a trace, and one does not."""
        here = np.array([row])
        x = self.fit.parameters[row]
        known = np.where(self.active[row], np.exp(x[self.layout.ln_Ic]), np.nan)
        contact = [tuple(x[self.layout.andreev])] if self.has_andreev else [None]
        noise = self._noise_of(self.fit.take([row]))
        single = self._best_start(here, known, noise, contact)
        twins = []
        for spread in (0.01, 0.04, 0.12):
            pair = np.insert(known, k, known[k])
            pair[k], pair[k + 1] = known[k] * (1 - spread), known[k] * (1 + spread)
            others = np.delete(pair, [k, k + 1])
            if np.any((others > pair[k]) & (others < pair[k + 1])):
                continue
            twins.append(self._best_start(here, pair, noise, contact))
        best = min(twins, key=lambda fit: fit.objective[0])
        left = (best.chi2_nu[0] - 1.0) / max(single.chi2_nu[0] - 1.0, 1e-9)
        rivals = [single]
        if self.layout.shared_noise and known.size > 1:
            # A channel that is only wider or narrower than the others is still one.
            layout = vi_fit.Layout(channels=known.size, shared_noise=False)
            rivals.append(self._best_start(here, known, noise, contact, layout))
        return bool(all(aicc(best)[0] < aicc(fit)[0] - 20.0 for fit in rivals) and left < 0.3)
