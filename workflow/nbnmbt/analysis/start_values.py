"""Values from which a V(I) fit starts, and the deepest minimum from several of them.

Noise temperature from the widths of the peaks, FWHM/Ic = f(gamma) with gamma = hbar Ic/(2e kB Tn);
Andreev contact from the height of the zero-bias feature, R(0)/R_AR = g(gap/kT, Z, P); gap of the
other traces from their heights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import vi_fit
from nbnmbt.analysis.channel_seeding import Seeding
from nbnmbt.physics import andreev, rsj
from nbnmbt.physics.constants import K_B_meV

__all__ = ["StartValues"]

Array = NDArray[np.float64]


class StartValues(Seeding):
    """Where to start, and the best of many starts on one trace."""

    def _noise_starts(self, positions: Array, widths: Array) -> list[float]:
        """Noise temperatures suggested by the widths of the peaks, and factors about them."""
        gammas = np.geomspace(3.0, 1e5, 200)
        relative = rsj.peak(gammas)[2]
        guesses = []
        for Ic, width in zip(positions, widths, strict=True):
            if np.isfinite(width):
                gamma = np.interp(-width / Ic, -relative, gammas)
                guesses.append(float(rsj.gamma(Ic, 1.0)) / gamma)
        centre = float(np.exp(np.median(np.log(guesses)))) if guesses else 50.0
        return [centre * 0.7, centre * 0.3, centre * 1.5]

    def _contact_starts(self) -> list[tuple[float, float, float, float]]:
        """Andreev parameters (gap, ln R_AR, Z, P) that give the zero-bias feature its height."""
        if self.options.andreev == "none":
            return []
        j = self.reference
        x = np.abs(self.sweeps.grid + self.shift)
        first = np.nanmin(self.ridge[j], initial=np.inf)
        first = min(first, float(np.nanmax(x)))
        near = x <= max(3 * self.step, 0.02)
        far = (x >= 0.35 * first) & (x <= 0.65 * first)
        if not near.any() or not far.any():
            return []
        zero = np.nanmax(self.slope[j][near]) if near.any() else np.nan
        back = np.nanmedian(self.slope[j][far])
        low = np.nanmin(self.slope[j][near])
        height = zero - back if abs(zero - back) >= abs(low - back) else low - back
        noise = np.nanmedian(self.slope_sigma[j])
        if not np.isfinite(height) or abs(height) < self.options.prominence * noise:
            return []
        T = float(self.sweeps.T[j])
        starts = []
        for Z, P in ((0.3, 0.6), (0.7, 0.3), (0.1, 0.8), (0.1, 0.1)):
            for units in (2.0, 4.0, 8.0):
                gap = units * K_B_meV * T
                ratio = float(andreev.zero_bias_resistance(T, gap, Z, P))
                resistance = height / (ratio - 1.0) if ratio != 1.0 else -1.0
                if 0.02 < resistance < 1e3:
                    starts.append((gap, float(np.log(resistance)), Z, P))
        return starts

    def _zero_bias_heights(self) -> tuple[Array, Array]:
        """Height of the zero-bias feature above the flank, ohm, and its noise."""
        x = np.abs(self.sweeps.grid + self.shift)
        near = x <= max(2 * self.step, 0.02)
        with np.errstate(invalid="ignore"):
            first = np.nanmin(
                np.where(np.isfinite(self.ridge), self.ridge, np.inf), axis=1, initial=1.0
            )
        heights = np.full(self.sweeps.n, np.nan)
        for j in np.flatnonzero(self.usable):
            far = (x >= 0.4 * first[j]) & (x <= 0.7 * first[j])
            if np.isfinite(self.slope[j][near]).any() and np.isfinite(self.slope[j][far]).any():
                heights[j] = np.nanmean(self.slope[j][near]) - np.nanmedian(self.slope[j][far])
        return heights, np.nanmedian(self.slope_sigma, axis=1)

    def _gap_starts(self, height: Array) -> Array:
        """Gap that gives the observed height with the contact known so far."""
        layout = self.layout
        log_R, Z, P = self.start[self.reference, layout.contact]
        gap_max = max(float(self.start[self.reference, layout.gap]), 0.1)
        T = np.maximum(self.sweeps.T, 0.05)
        gaps = np.linspace(0.0, 1.3 * gap_max, 27)
        reference = height[self.reference]
        ratio = andreev.zero_bias_resistance(
            T[:, None], np.maximum(gaps, 1e-3 * gap_max)[None, :], Z, P
        )
        excess = (np.asarray(ratio) - 1.0) * np.exp(log_R)
        scale = 1.0
        if np.isfinite(reference):
            at_reference = np.interp(gap_max, gaps, excess[self.reference])
            scale = at_reference / reference if reference != 0 else 1.0
        out = np.full(T.size, gap_max)
        for j in range(T.size):
            if np.isfinite(height[j]):
                wanted = height[j] * scale
                curve = np.maximum.accumulate(np.abs(excess[j]))
                out[j] = np.interp(abs(wanted) if wanted * scale >= 0 else 0.0, curve, gaps)
        return np.clip(out, 0.05 * gap_max, None)

    def _best_start(
        self,
        row: NDArray[np.intp],
        seeds: Array,
        noise_starts: list[float],
        contacts: list,
        layout: vi_fit.Layout | None = None,
    ) -> vi_fit.Fit:
        """Fit one trace from all combinations of starts and keep the deepest minimum."""
        layout = self._layout(seeds.size) if layout is None else layout
        there = np.isfinite(seeds)
        combinations = [(t, c) for t in noise_starts for c in contacts]
        n = len(combinations)
        start = np.zeros((n, layout.size))
        start[:, layout.ln_Ic] = np.log(np.where(there, seeds, 1.0))
        has = np.zeros(n, dtype=bool)
        for a, (Tn, contact) in enumerate(combinations):
            start[a, layout.ln_Tn] = np.log(Tn)
            if contact is not None:
                start[a, layout.andreev] = contact
                has[a] = True
        moves = np.full(n, bool(self.moves[row[0]] and self.follow))
        free = self._free(layout, np.tile(there, (n, 1)), has, moves)
        many = self.traces(np.repeat(row, n))
        prior = self._weak_prior(n, layout, has, start)
        self._weak_beta(prior, layout, np.repeat(row, n))
        start[:, layout.beta] = prior.mean[:, layout.beta]
        fits = vi_fit.fit(many, start, layout, free, prior=prior, max_iterations=40)
        return fits.take([int(np.nanargmin(fits.objective))])

    def _weak_prior(
        self, n: int, layout: vi_fit.Layout, has: NDArray[np.bool_], start: Array
    ) -> vi_fit.Prior:
        """Z and P within their physical ranges: they are nearly degenerate in one trace."""
        prior = vi_fit.Prior.none(n, layout)
        for column, mean, width in zip(
            range(layout.contact.start + 1, layout.contact.stop),
            (0.5, 0.5),
            (0.5, 0.5),
            strict=True,
        ):
            prior.mean[:, column] = mean
            prior.precision[has, column, column] = width**-2
        column = layout.contact.start
        prior.mean[:, column] = start[:, column]
        prior.precision[has, column, column] = 2.0**-2
        return prior

    def _weak_beta(
        self, prior: vi_fit.Prior, layout: vi_fit.Layout, rows: NDArray[np.intp]
    ) -> None:
        """Expect dln Ic/dln T of minus one half, give or take one."""
        columns = np.arange(layout.beta.start, layout.beta.stop)
        T = np.maximum(self.sweeps.T[rows], 0.05)[:, None]
        prior.mean[:, columns] = -0.5 / T
        prior.precision[:, columns, columns] = T**2
        prior.mean[:, layout.dR_s] = 0.0
        prior.precision[:, layout.dR_s, layout.dR_s] = self.dR_width[rows] ** -2

    @staticmethod
    def _noise_of(fit: vi_fit.Fit) -> list[float]:
        columns = fit.parameters[0, fit.layout.ln_Tn]
        return [float(np.exp(np.median(columns)))] if columns.size else [50.0]
