"""What the traces of a dataset tell each other, as Gaussian prior knowledge.

beta_k = dln Ic_k/dT from Ic_k(T), or pooled over sweeps at one temperature; R_k and Tn of a channel
that says little by itself, from the median and scatter of the traces that fit well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import vi_fit
from nbnmbt.analysis.channel_order import ChannelOrder

__all__ = ["ChannelPriors"]

Array = NDArray[np.float64]


class ChannelPriors(ChannelOrder):
    """Prior knowledge of one trace from the others."""

    def _set_beta_prior(self) -> None:
        """Set what is known of beta_k = dln Ic_k/dT: from Ic(T), or pooled from the sweeps."""
        from scipy.interpolate import CubicSpline

        layout, n = self.layout, self.sweeps.n
        columns = np.arange(layout.beta.start, layout.beta.stop)
        T = np.maximum(self.sweeps.T, 0.05)[:, None]
        mean = np.broadcast_to(-0.5 / T, (n, self.K)).copy()
        width = np.broadcast_to(1.0 / T, (n, self.K)).copy()
        axis = np.asarray(self.sweeps.axes[0], dtype=float)
        parameters = self.fit.parameters if hasattr(self, "fit") else self.start
        with np.errstate(invalid="ignore"):
            Ic = np.where(self.active, np.exp(parameters[:, layout.ln_Ic]), np.nan)
            if hasattr(self, "fit"):
                # A trace that still lacks a channel is fitted badly: no slopes from it.
                Ic[~self._fits_well()] = np.nan
        if axis.size >= 3:
            lines = Ic.reshape(*self.sweeps.shape, self.K)
            slope, doubt = np.full_like(lines, np.nan), np.full_like(lines, np.nan)
            for b, t, k in np.ndindex(*self.sweeps.shape[1:], self.K):
                there = np.flatnonzero(np.isfinite(lines[:, b, t, k]))
                if there.size >= 3:
                    line = lines[there, b, t, k]
                    rough = np.gradient(line, axis[there], edge_order=2)
                    spline = CubicSpline(axis[there], line)
                    inside = np.arange(there[0], there[-1] + 1)
                    # A cubic through noisy steps may overshoot to nothing between two points.
                    value = np.maximum(
                        spline(axis[inside]), 0.2 * np.interp(axis[inside], axis[there], line)
                    )
                    smooth = spline(axis[inside], 1) / value
                    coarse = np.interp(axis[inside], axis[there], rough) / value
                    slope[inside, b, t, k] = smooth
                    doubt[inside, b, t, k] = np.abs(smooth - coarse) + 0.02 * np.abs(smooth)
            slope, doubt = slope.reshape(n, self.K), doubt.reshape(n, self.K)
            known = np.isfinite(slope)
            mean[known] = slope[known]
            width[known] = doubt[known] + 0.002
        elif hasattr(self, "fit") and np.any(self.fit.free[:, layout.beta]):
            beta = self.fit.parameters[:, layout.beta]
            error = self.fit.errors[:, layout.beta]
            with np.errstate(invalid="ignore", divide="ignore"):
                sure = self.active & (error > 0) & self._fits_well()[:, None]
                weight = np.where(sure, error**-2.0, 0.0)
                # What the prior brought in is taken out again before sweeps are pooled.
                brought = np.where(weight > 0, self.prior.precision[:, columns, columns], 0.0)
                own = np.maximum(weight - brought, 0.0)
                total = beta * weight - self.prior.mean[:, columns] * brought
                total = np.where(own > 0, total, 0.0)
            weak, expected = width**-2.0, mean.copy()
            for j in range(n):
                # A sweep is told by the others only, or it would count twice.
                near = self._similar(j)
                near = near[near != j]
                precision = weak[j] + own[near].sum(axis=0)
                mean[j] = (weak[j] * expected[j] + total[near].sum(axis=0)) / precision
                width[j] = np.hypot(precision**-0.5, 0.1 * np.abs(mean[j]))
        self.prior.mean[:, columns] = np.where(np.isfinite(mean), mean, 0.0)
        self.prior.precision[:, columns, columns] = width**-2.0

    def _channel_priors(self) -> None:
        """What the well-resolved traces say about R_k and Tn, for traces that say little."""
        layout = self.layout
        errors = self.fit.errors
        resistance = self.fit.parameters[:, layout.R]
        self.R_prior = np.full((self.K, 2), np.nan)
        for k in range(self.K):
            with np.errstate(invalid="ignore", divide="ignore"):
                good = (
                    self.active[:, k]
                    & self._fits_well()
                    & (errors[:, layout.R.start + k] < 0.05 * np.abs(resistance[:, k]))
                )
            if good.sum() >= 3:
                centre = np.median(resistance[good, k])
                scatter = 1.4826 * np.median(np.abs(resistance[good, k] - centre))
                self.R_prior[k] = centre, max(scatter, 0.01 * abs(centre))
        self.Tn_prior = np.full((layout.noises, 2), np.nan)
        for s in range(layout.noises):
            column = layout.ln_Tn.start + s
            present = self.active.any(axis=1) if layout.shared_noise else self.active[:, s]
            good = present & self._fits_well() & (errors[:, column] < 0.05)
            good &= errors[:, column] > 0
            if good.sum() >= 3:
                values = self.fit.parameters[good, column]
                centre = np.median(values)
                scatter = 1.4826 * np.median(np.abs(values - centre))
                self.Tn_prior[s] = centre, max(scatter, 0.02)

    def _with_channel_priors(self, rows: NDArray[np.intp], ks: NDArray[np.intp]) -> vi_fit.Prior:
        """Prior of the traces, and of the one channel of each that says little by itself."""
        prior = self.prior.take(rows)
        for a, (row, k) in enumerate(zip(rows, ks, strict=True)):
            self._lean(prior, a, row, k)
        return prior

    def _lean(self, prior: vi_fit.Prior, a: int, row: int, k: int) -> None:
        """Put what other traces say of channel `k` into row `a` of a prior."""
        layout = self.layout
        mean, width = self.R_prior[k]
        if np.isfinite(mean):
            column = layout.R.start + k
            prior.mean[a, column] = mean
            prior.precision[a, column, column] = width**-2
        others = self.active[row].copy()
        others[k] = False
        mean, width = self.Tn_prior[0 if layout.shared_noise else k]
        # Another channel of the same trace knows its noise temperature better.
        if np.isfinite(mean) and not (layout.shared_noise and others.any()):
            column = layout.noise_of(k)
            prior.mean[a, column] = mean
            prior.precision[a, column, column] = width**-2

    def _renew_channel_priors(self) -> None:
        """Take the priors of leaning channels from the fits as they are now."""
        self._channel_priors()
        layout = self.layout
        columns = np.r_[
            np.arange(layout.R.start, layout.R.stop),
            np.arange(layout.ln_Tn.start, layout.ln_Tn.stop),
        ]
        self.prior.mean[:, columns] = 0.0
        self.prior.precision[:, columns, columns] = 0.0
        for row, k in np.argwhere(self.leaning & self.active):
            self._lean(self.prior, row, row, k)

    def _steeper_beta(
        self, prior: vi_fit.Prior, rows: NDArray[np.intp], ks: NDArray[np.intp], seeds: Array
    ) -> None:
        """Temperature slope of a channel on its way out, from its last step along T."""
        layout, axis = self.layout, np.asarray(self.sweeps.axes[0], dtype=float)
        if axis.size < 3:
            return
        for a, (row, k) in enumerate(zip(rows, ks, strict=True)):
            index = list(self.index(row))
            index[0] -= 1
            if index[0] < 0 or not self.active[self.row(tuple(index)), k]:  # type: ignore
                continue
            last = np.exp(self.fit.parameters[self.row(tuple(index)), 1 + k])  # type: ignore
            beta = (seeds[a] - last) / (axis[index[0] + 1] - axis[index[0]]) / seeds[a]
            column = layout.beta.start + k
            prior.mean[a, column] = beta
            prior.precision[a, column, column] = (0.5 * abs(beta) + 0.1) ** -2
