"""Peaks of dV/dI at both polarities, tracked through a dataset: seeds of the channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import ridges
from nbnmbt.analysis.fit_state import FitState

__all__ = ["Seeding"]

Array = NDArray[np.float64]


class Seeding(FitState):
    """First step: find peaks and follow them from the reference trace."""

    def look_for_peaks(self) -> None:
        """Find and track peaks; their number at the reference is the first guess of the order."""
        options, sweeps = self.options, self.sweeps
        x = sweeps.grid + self.shift
        half = 0.5 * self.window * self.step
        top = np.nanmax(np.abs(x)) - half
        self.peaks = [
            ridges.find_peaks(
                x,
                self.slope[j],
                self.slope_sigma[j],
                prominence=options.prominence,
                window=(max(options.lowest_peak_mA, half), top),
            )
            for j in range(sweeps.n)
        ]
        if self.polarity:
            matched = [pair[0 if self.polarity > 0 else 1] for pair in self.peaks]
        else:
            matched = [ridges.match_polarities(*pair) for pair in self.peaks]
        strongest = matched[self.reference]
        if strongest.size > options.max_channels:
            highest = np.argsort(strongest.prominence)[::-1]
            keep = np.sort(highest[: options.max_channels])
            strongest = strongest.take(keep)
        self.ridge = self._track(matched, strongest.position)
        self.widths = strongest.width
        self._add_entering_channel(matched)
        self.matched = matched

    def _track(self, matched: list[ridges.Peaks], positions: Array) -> Array:
        by_index = {self.index(j): p for j, p in enumerate(matched) if self.usable[j]}
        tracked = ridges.track(
            by_index,
            self.sweeps.shape,
            self.sweeps.axes,
            self.index(self.reference),
            positions,
            gate=4 * self.step,
        )
        return tracked.reshape(positions.size, self.sweeps.n).T

    def _add_entering_channel(self, matched: list[ridges.Peaks]) -> None:
        """Take in a channel that enters the current range only away from the reference."""
        if self.ridge.shape[1] >= self.options.max_channels:
            return
        entering = np.full(self.sweeps.n, np.nan)
        for j, peaks in enumerate(matched):
            known = self.ridge[j][np.isfinite(self.ridge[j])]
            above = peaks.position[peaks.position > (known.max() * 1.02 if known.size else 0.0)]
            if above.size and np.isfinite(self.ridge[j]).all():
                entering[j] = above[0]
        # Chance peaks do not come in runs.
        if np.isfinite(entering).sum() >= 3:
            self.ridge = np.column_stack([self.ridge, entering])
            self.widths = np.append(self.widths, np.nan)
