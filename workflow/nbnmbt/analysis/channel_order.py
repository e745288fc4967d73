"""How many channels the reference trace has, and whether there is an Andreev contact.

Judged by AICc = objective + 2p + 2p(p+1)/(n-p-1) for known noise: a contact or a channel more is
taken for a gain of 20, a channel is dropped for any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import derivative, vi_fit
from nbnmbt.analysis.fit_state import aicc
from nbnmbt.analysis.start_values import StartValues
from nbnmbt.analysis.sweep_noise import mean_over_directions

__all__ = ["ChannelOrder"]

Array = NDArray[np.float64]


class ChannelOrder(StartValues):
    """Second step: the model of the reference trace."""

    def fit_reference(self) -> None:
        """Decide contact and number of channels at the reference, from many starts."""
        row = np.array([self.reference])
        seeds = self.ridge[self.reference]
        there = np.isfinite(seeds)
        self.K = seeds.size
        self.layout = self._layout(self.K)
        noise_starts = self._noise_starts(seeds[there], self.widths[there])
        contacts = self._contact_starts()
        plain = self._best_start(row, seeds, noise_starts, [None])
        if self.follow:
            # The first fit tells how V depends on temperature, hence the weights of the second.
            self._weigh(row, plain)
            plain = self._best_start(row, seeds, self._noise_of(plain), [None])
        best, with_contact = plain, None
        if contacts:
            with_contact = self._best_start(row, seeds, noise_starts[:1], contacts)
            if with_contact is not None and aicc(with_contact) < aicc(plain) - 20.0:
                best = with_contact
        self.has_andreev = best is with_contact and with_contact is not None
        self._test_order(row, best, seeds)
        chosen = self.reference_fit
        self.report(
            f"reference trace: {self.order_test['channels']} channel(s)"
            + (", Andreev contact" if self.has_andreev else ", no Andreev contact")
            + f", chi2/nu {chosen.chi2_nu[0]:.2f}"
        )

    def _test_order(self, row: NDArray[np.intp], best: vi_fit.Fit, seeds: Array) -> None:
        """Add a channel where the data ask for one (AICc), drop one that they do not support."""
        contact = [tuple(best.parameters[0, best.layout.andreev])] if self.has_andreev else [None]
        history = [_order_entry(best, seeds)]
        best, seeds = self._drop_channels(row, best, seeds, contact)
        if np.isfinite(seeds).sum() < history[0]["channels"]:
            history.append(_order_entry(best, seeds))
        while np.isfinite(seeds).sum() < self.options.max_channels:
            # Only if the model as it stands is inadequate.
            excess = (best.chi2_nu[0] - 1.0) / np.sqrt(2.0 / max(best.dof[0], 1))
            if not excess > 8.0:
                break
            added = self._add_channel(row, best, seeds, contact)
            if added is None:
                break
            best, seeds = added, self.ridge[self.reference]
            history.append(_order_entry(best, seeds))
        self.K = seeds.size
        self.layout = self._layout(self.K)
        self.reference_fit = best
        self.order_test = {"channels": history[-1]["channels"], "history": history}

    def _drop_channels(
        self, row: NDArray[np.intp], best: vi_fit.Fit, seeds: Array, contact: list
    ) -> tuple[vi_fit.Fit, Array]:
        """Leave out each channel in turn whose resistance is doubtful, if AICc prefers that."""
        error = best.errors[0, best.layout.R] * np.sqrt(max(1.0, best.chi2_nu[0]))
        doubtful = best.parameters[0, best.layout.R] < 30.0 * error
        dropped = []
        for k in np.flatnonzero(np.isfinite(seeds) & doubtful):
            rest = seeds.copy()
            rest[k] = np.nan
            trial = self._best_start(row, rest, self._noise_of(best), contact)
            if aicc(trial) < aicc(best):
                dropped.append(int(k))
                best, seeds = trial, rest
        if not dropped:
            return best, seeds
        keep = np.setdiff1d(np.arange(seeds.size), dropped)
        self.ridge, self.widths = self.ridge[:, keep], self.widths[keep]
        seeds = seeds[keep]
        return self._best_start(row, seeds, self._noise_of(best), contact), seeds

    def _add_channel(
        self, row: NDArray[np.intp], best: vi_fit.Fit, seeds: Array, contact: list
    ) -> vi_fit.Fit | None:
        """Try one channel more: a twin of each, or one where the residual still has a peak."""
        there = np.isfinite(seeds)
        known = np.where(there, np.exp(best.parameters[0, best.layout.ln_Ic]), np.nan)
        candidates: list[tuple[Array, int, bool]] = []
        for k in np.flatnonzero(there):
            for spread in (0.008, 0.03):
                pair = np.insert(known, k, known[k])
                pair[k], pair[k + 1] = known[k] * (1 - spread), known[k] * (1 + spread)
                candidates.append((pair, int(k), True))
        for position in self._residual_peaks(best):
            k = int(np.searchsorted(known[there], position))
            k = int(np.flatnonzero(there)[k]) if k < there.sum() else seeds.size
            candidates.append((np.insert(known, k, position), k, False))
        found = [
            (self._best_start(row, positions, self._noise_of(best), contact), k, twin)
            for positions, k, twin in candidates
        ]
        if not found:
            return None
        new, k, twin = min(found, key=lambda entry: entry[0].objective[0])
        layout = new.layout
        present = np.insert(there, k, True)
        resistance = new.parameters[0, layout.R][present]
        error = new.errors[0, layout.R][present] * np.sqrt(max(1.0, new.chi2_nu[0]))
        improved = new.chi2_nu[0] < 1.0 + 0.5 * (best.chi2_nu[0] - 1.0)
        if not (aicc(new) < aicc(best) - 20.0 and improved and np.all(resistance > 10 * error)):
            return None
        Ic = np.exp(new.parameters[0, layout.ln_Ic])
        if twin:
            # Twins share the ridge of the peak that they make together.
            column = self.ridge[:, k : k + 1] / known[k]
            pair = [column * Ic[k], column * Ic[k + 1]]
            self.ridge = np.concatenate([self.ridge[:, :k], *pair, self.ridge[:, k + 1 :]], axis=1)
            self.widths = np.insert(self.widths, k, self.widths[k])
        else:
            column = np.full(self.sweeps.n, np.nan)
            column[self.reference] = Ic[k]
            self.ridge = np.insert(self.ridge, k, column, axis=1)
            self.widths = np.insert(self.widths, k, np.nan)
        return new

    def _residual_peaks(self, fit: vi_fit.Fit, count: int = 3) -> list[float]:
        """Positions of the highest maxima of the residual's slope, both polarities together."""
        shape = (1, *self.I.shape[1:])
        rest = mean_over_directions(self.sweeps.V[[self.reference]] - fit.V.reshape(shape))[0]
        slope = derivative.differential_resistance(
            self.sweeps.grid, rest, window=self.window, polyorder=self.options.smoothing_order
        )
        x = self.sweeps.grid + self.shift
        axis = np.arange(self.options.lowest_peak_mA, np.nanmax(np.abs(x)), self.step)
        known = np.isfinite(slope)
        if known.sum() < 8 or axis.size < 5:
            return []
        folded = np.interp(axis, x[known], slope[known]) + np.interp(-axis, x[known], slope[known])
        inner = np.flatnonzero((folded[1:-1] > folded[:-2]) & (folded[1:-1] >= folded[2:])) + 1
        highest = inner[np.argsort(folded[inner])[::-1][:count]]
        return sorted(float(axis[i]) for i in highest)


def _order_entry(fit: vi_fit.Fit, seeds: Array) -> dict:
    """Return what the record of the order test says of one model."""
    return {
        "channels": int(np.isfinite(seeds).sum()),
        "aicc": float(aicc(fit)[0]),
        "chi2_nu": float(fit.chi2_nu[0]),
    }
