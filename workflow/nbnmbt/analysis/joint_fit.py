"""Fit of all traces of a dataset at once, with one Andreev contact for all.

The critical currents follow the thermometer if V(I) does not contradict that; R_AR, Z and P are
determined from the traces in which the contact is strong, jointly, and handed to the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import vi_fit
from nbnmbt.analysis.channel_priors import ChannelPriors

__all__ = ["JointFit"]

Array = NDArray[np.float64]


class JointFit(ChannelPriors):
    """Third step: all traces, the contact, noise, spikes, false minima."""

    def fit_all(self) -> None:
        """Fit every trace with the channels whose peaks were tracked."""
        layout, n = self.layout, self.sweeps.n
        self.active = np.isfinite(self.ridge) & self.usable[:, None]
        self.start = np.zeros((n, layout.size))
        reference = self.reference_fit.parameters[0]
        reference_Ic = np.exp(self.reference_fit.parameters[0, layout.ln_Ic])
        with np.errstate(invalid="ignore", divide="ignore"):
            # Peaks lie a little above Ic, by a factor that the reference tells.
            factor = reference_Ic / self.ridge[self.reference]
        factor = np.where(np.isfinite(factor), factor, 1.0)
        self.start[:, layout.ln_Ic] = np.log(
            np.where(self.active, np.nan_to_num(self.ridge, nan=1.0) * factor, 1.0)
        )
        self.start[:, layout.ln_Tn] = reference[layout.ln_Tn]
        self.start[:, 0] = reference[0]
        self.prior = vi_fit.Prior.none(n, layout)
        self.leaning = np.zeros((n, self.K), dtype=bool)
        self.prior.precision[:, layout.dR_s, layout.dR_s] = self.dR_width**-2
        self.contact = np.full(3, np.nan)
        self.contact_covariance = np.full((3, 3), np.nan)
        if self.has_andreev:
            self.height, self.height_noise = self._zero_bias_heights()
            self.start[:, layout.andreev] = reference[layout.andreev]
            self.start[:, layout.gap] = self._gap_starts(self.height)
            columns = np.arange(layout.contact.start, layout.contact.stop)
            self.prior.mean[:, columns] = reference[columns]
            # Only to keep traces without much of a feature from wandering.
            self.prior.precision[:, columns, columns] = np.array([0.1, 0.1, 0.1]) ** -2
        rows = np.arange(n)
        self._weigh(np.array([self.reference]), self.reference_fit)
        if self.follow:
            self._set_beta_prior()
            self.start[:, layout.beta] = self.prior.mean[:, layout.beta]
        self.fit = self._fit_rows(rows, self.start, max_iterations=12)
        self._update_noise()
        if self.follow:
            self._set_beta_prior()
        self.fit = self._fit_rows(rows, self.fit.parameters, max_iterations=12)

    def test_following(self) -> None:
        """Let Ic follow the thermometer within sweeps unless V(I) contradicts it."""
        if not self.follow:
            return
        self._set_beta_prior()
        some = np.flatnonzero(self.usable & self.moves & self._fits_well())
        if not some.size:
            some = np.flatnonzero(self.usable & self.moves)
        some = some[np.unique(np.linspace(0, some.size - 1, 8).round().astype(int))]
        free = self._fit_rows(some, self.fit.parameters[some], max_iterations=12)
        self.follow = False
        start = free.parameters.copy()
        start[:, self.layout.beta] = 0.0
        fixed = self._fit_rows(some, start, max_iterations=20)
        gain = np.nansum(fixed.objective) - np.nansum(free.objective)
        # Slopes that V(I) does not have cost chi2; slopes that it cannot tell cost nothing.
        self.follow = bool(gain > -2.0)
        self.report(
            "temperature: V(I) follows the thermometer; fits refer to the set-points"
            if self.follow
            else "temperature: V(I) does not follow the thermometer within sweeps"
        )
        if not self.follow:
            start = self.fit.parameters.copy()
            start[:, self.layout.beta] = 0.0
            rows = np.arange(self.sweeps.n)
            self.fit = self._fit_rows(rows, start, max_iterations=20)
            self._update_noise()

    def fit_contact(self) -> None:
        """Determine R_AR, Z, P from the traces in which the contact is strongest, jointly."""
        if not self.has_andreev:
            return
        layout, n = self.layout, self.sweeps.n
        height, noise = self.height, self.height_noise
        gap, gap_error = self.fit.parameters[:, layout.gap], self.fit.errors[:, layout.gap]
        with np.errstate(invalid="ignore"):
            strong = np.flatnonzero(
                (np.abs(height) > max(0.3 * abs(height[self.reference]), 5 * np.nanmedian(noise)))
                # A film on the way to its Tc makes a peak as well, but no gap.
                & (gap > 3 * gap_error)
                & self._fits_well()
                & self.usable
            )
        strong = np.union1d(strong, [self.reference])
        if strong.size > 8:
            strong = strong[np.unique(np.linspace(0, strong.size - 1, 8).round().astype(int))]
        has = np.ones(strong.size, dtype=bool)
        free = self._free(layout, self.active[strong], has, self.moves[strong] & self.follow)
        start = self.fit.parameters[strong].copy()
        start[:, layout.contact] = np.median(start[:, layout.contact], axis=0)
        prior = self.prior.take(strong)
        columns = np.arange(layout.contact.start, layout.contact.stop)
        prior.precision[:, columns, columns] = 0.0
        weak = self._weak_prior(1, layout, has[:1], start[:1])
        # One contact, one prior: not one for each trace.
        prior.mean[0, columns] = weak.mean[0, columns]
        prior.precision[0, columns, columns] = weak.precision[0, columns, columns]
        fit, covariance = vi_fit.fit_shared(
            self.traces(strong), start, layout, free, list(columns), prior=prior
        )
        # Honest if the traces disagree about the contact.
        inflation = max(1.0, float(np.nanmedian(fit.chi2_nu)))
        self.contact = fit.parameters[0, layout.contact]
        self.contact_covariance = covariance * inflation
        self.prior.mean[:, layout.contact] = self.contact
        self.prior.precision[:, layout.contact, layout.contact] = np.linalg.pinv(
            self.contact_covariance, hermitian=True
        )
        start = self.fit.parameters.copy()
        # Another contact needs another gap for the same height.
        old = np.exp(start[:, layout.contact.start])
        start[:, layout.gap] *= np.exp(self.contact[0]) / np.where(old > 0, old, 1.0)
        start[:, layout.contact] = self.contact
        start[strong] = fit.parameters
        self.fit = self._fit_rows(np.arange(n), start, max_iterations=12)
        self.report(
            f"Andreev contact from {strong.size} trace(s): R_AR {np.exp(self.contact[0]):.2f} ohm, "
            f"Z {self.contact[1]:.2f}, P {self.contact[2]:.2f}"
        )

    def refine(self) -> None:
        """Estimate noise and temperature slopes once more."""
        self._update_noise()
        if self.follow:
            self._set_beta_prior()
        self._renew_channel_priors()
        rows = np.flatnonzero(self.usable)
        again = self._fit_rows(rows, self.fit.parameters[rows], max_iterations=12)
        self.fit = self.fit.put(rows, again)

    def polish(self) -> None:
        """Once more with final temperature slopes and noise."""
        rows = np.flatnonzero(self.usable)
        swept = self.follow and len(self.sweeps.axes[0]) >= 3
        for last in (False, True) if swept else (True,):
            self._renew_channel_priors()
            if swept:
                self._set_beta_prior()
                # dV/dT of the fit at hand belongs to the slopes known before.
                self.fit = self.fit.put(
                    rows, self._fit_rows(rows, self.fit.parameters[rows], max_iterations=8)
                )
            self._update_noise()
            if last:
                self._find_spikes()
            self.trusted = True
            self.fit = self.fit.put(rows, self._fit_rows(rows, self.fit.parameters[rows]))
        self._repair()
        self.report(
            f"noise: {1e6 * self.noise.voltage:.0f} nV, {1e6 * self.noise.current:.0f} nA "
            f"({self.current} current); median chi2/nu {np.nanmedian(self.fit.chi2_nu):.2f}; "
            f"{int(self.outliers.sum())} spike(s) left out"
        )

    def _find_spikes(self) -> None:
        """Leave out isolated points far off; misfit comes in runs and must stay visible in chi2."""
        residual = np.where(self.masked, np.nan, self._residual(self.fit)) / self.sigma
        # Against the neighbours, so that smooth misfit makes no spike.
        middle = np.full_like(residual, np.nan)
        sides = np.stack([residual[..., :-2], residual[..., 2:]])
        there = np.isfinite(sides)
        total = np.where(there, sides, 0.0).sum(axis=0)
        mean = np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)
        middle[..., 1:-1] = residual[..., 1:-1] - mean
        spread = np.full_like(residual, np.nan)
        spread[..., 1:-1] = np.abs(sides[1] - sides[0])
        with np.errstate(invalid="ignore"):
            self.spikes = (np.abs(middle) > 1.25 * self.options.outlier_sigma) & (
                spread < 0.5 * np.abs(middle)
            )
        self.outliers = self.spikes.sum(axis=(1, 2))

    def _repair(self) -> None:
        """Refit traces that fit worse than their neighbours, starting from these."""
        for _ in range(2):
            with np.errstate(invalid="ignore"):
                limit = np.nanmedian(self.fit.chi2_nu) * 1.3 + 0.2
                bad = np.flatnonzero((self.fit.chi2_nu > limit) | ~self.fit.converged)
            bad = bad[self.usable[bad]]
            if not bad.size or bad.size > 0.3 * self.usable.sum() + 2:
                return
            improved = False
            for shift in (-1, 1):
                neighbour = np.array([self._neighbour(j, shift) for j in bad])
                ok = neighbour >= 0
                rows, source = bad[ok], neighbour[ok]
                if not rows.size:
                    continue
                start = self.fit.parameters[rows].copy()
                columns = np.r_[
                    np.arange(self.layout.ln_Tn.start, self.layout.ln_Tn.stop),
                    np.arange(self.layout.andreev.start, self.layout.andreev.stop),
                ]
                start[:, columns] = self.fit.parameters[source][:, columns]
                start[:, self.layout.ln_Ic] = self.start[rows][:, self.layout.ln_Ic]
                new = self._fit_rows(rows, start)
                better = new.objective < self.fit.objective[rows] - 1e-3
                if better.any():
                    improved = True
                    self.fit = self.fit.put(rows[better], new.take(better))
            if not improved:
                return
