"""Channels beyond their last visible peak: followed while significant, then censored.

A channel belongs to a trace if leaving it out raises chi2 (over chi2/nu, where that exceeds one) by
more than the square of `FitOptions.censoring_significance`. A channel that is not resolved gets a
95 % upper limit, where the profile of chi2 over Ic rises by 2.71.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import ridges, vi_fit
from nbnmbt.analysis.fit_state import aicc
from nbnmbt.analysis.joint_fit import JointFit
from nbnmbt.analysis.sweep_noise import Index
from nbnmbt.physics import rsj

__all__ = ["Censoring"]

Array = NDArray[np.float64]


class Censoring(JointFit):
    """Fourth step: which channels a trace has, and limits for those it has not."""

    def extend(self) -> None:
        """Follow each channel beyond its last visible peak; censor what is not significant."""
        K, n = self.K, self.sweeps.n
        self.significance = np.full((n, K), np.nan)
        self.limit = np.full((n, K), np.nan)
        self.rejected = np.zeros((n, K), dtype=bool)
        if not K:
            return
        self.guess = self.start[:, self.layout.ln_Ic].copy()
        settled = self._fits_well()
        if self.tried:
            self.guess[settled] = self.fit.parameters[settled][:, self.layout.ln_Ic]
        self.tried = True
        steps = ridges.route(self.sweeps.shape, self.index(self.reference))
        for _ in range(2 * max(self.sweeps.shape)):
            self._channel_priors()
            rows, ks, seeds, sources = [], [], [], []
            for here, before, axis in steps:
                j = self.row(here)
                if not before or not self.usable[j]:
                    continue
                p = self.row(before[0])
                for k in range(K):
                    if self.active[j, k] or self.rejected[j, k] or not self.active[p, k]:
                        continue
                    last = np.exp(self.fit.parameters[p, 1 + k])
                    seed = last
                    if len(before) > 1 and self.active[self.row(before[1]), k]:
                        x0, x1, x = (
                            self.sweeps.axes[axis][i[axis]] for i in (before[1], before[0], here)
                        )
                        earlier = np.exp(self.fit.parameters[self.row(before[1]), 1 + k])
                        seed = last + (last - earlier) * (x - x1) / (x1 - x0)
                    rows.append(j)
                    ks.append(k)
                    sources.append(p)
                    seeds.append(float(np.clip(seed, 0.25 * last, 1.5 * last)))
            if not rows:
                break
            # From well-fitted neighbours first: a bad one may hold anything.
            sure = self._fits_well()[np.array(sources)]
            chosen = sure if sure.any() else np.ones_like(sure)
            self._try_channels(*(np.array(column)[chosen] for column in (rows, ks, seeds, sources)))

    def _try_channels(
        self,
        rows: NDArray[np.intp],
        ks: NDArray[np.intp],
        seeds: Array,
        sources: NDArray[np.intp],
    ) -> None:
        """Fit channels tentatively; take those in that lower chi2 significantly."""
        # One channel a trace and round: the highest one first, for the lowest ones vanish first,
        # and a lower one must not take its place. The others wait.
        order = np.argsort(-ks, kind="stable")
        rows, ks, seeds, sources = rows[order], ks[order], seeds[order], sources[order]
        _, first = np.unique(rows, return_index=True)
        rows, ks, seeds, sources = rows[first], ks[first], seeds[first], sources[first]
        layout = self.layout
        prior = self._with_channel_priors(rows, ks)
        if self.follow:
            self._steeper_beta(prior, rows, ks, seeds)
        active = self.active[rows].copy()
        active[np.arange(rows.size), ks] = True
        best: vi_fit.Fit | None = None
        # A trace that lacks a strong channel is fitted badly altogether: its neighbour, where the
        # channel was seen, is the better start for the rest.
        for origin, factor in ((sources, 1.0), (sources, 0.6), (rows, 1.0)):
            start = self.fit.parameters[origin].copy()
            # Where a channel has a peak, the peak is the better guess than a fit without its
            # neighbour.
            there = self.active[rows]
            start[:, layout.ln_Ic][there] = self.guess[rows][there]
            start[np.arange(rows.size), 1 + ks] = np.log(factor * seeds)
            start[:, layout.beta] = prior.mean[:, layout.beta]
            for a, k in enumerate(ks):
                column = layout.noise_of(k)
                if not self.free_noise(rows[a], k):
                    mean = self.Tn_prior[0 if layout.shared_noise else k, 0]
                    start[a, column] = mean if np.isfinite(mean) else np.log(50.0)
            start[:, layout.ln_Ic] = _ordered(start[:, layout.ln_Ic], active)
            new = self._fit_rows(rows, start, active=active, prior=prior, max_iterations=15)
            best = new if best is None else _better(best, new)
        assert best is not None
        without = self._fit_rows(rows, self.fit.parameters[rows], prior=self.prior.take(rows))
        last = np.exp(self.fit.parameters[sources, 1 + ks])
        self._judge(rows, ks, best, without, prior, active, 1.3 * np.maximum(last, seeds))

    def _judge(
        self,
        rows: NDArray[np.intp],
        ks: NDArray[np.intp],
        best: vi_fit.Fit,
        without: vi_fit.Fit,
        prior: vi_fit.Prior,
        active: NDArray[np.bool_],
        ceiling: Array | float = np.inf,
    ) -> None:
        """Take channels whose absence costs chi2, which have a width, and which stay in lane."""
        layout = self.layout
        a = np.arange(rows.size)
        # Misfit that is in both must not make an extra channel look significant.
        scale = np.maximum(1.0, best.chi2_nu)
        gain = (without.chi2 - best.objective) / scale
        self.significance[rows, ks] = np.sqrt(np.maximum(gain, 0.0))
        relative = best.errors[a, 1 + ks] * np.sqrt(scale)
        accepted = (
            (gain > self.options.censoring_significance**2)
            & np.all((best.parameters[:, layout.R] > 0) | ~active, axis=1)
            & (relative < 1.0 / self.options.censoring_significance)
            & (np.exp(best.parameters[a, 1 + ks]) < ceiling)
        )
        for b in np.flatnonzero(accepted):
            self.active[rows[b], ks[b]] = True
            self.guess[rows[b]] = best.parameters[b, layout.ln_Ic]
            self.leaning[rows[b], ks[b]] = True
            self.prior.mean[rows[b]] = prior.mean[b]
            self.prior.precision[rows[b]] = prior.precision[b]
        if accepted.any():
            self.fit = self.fit.put(rows[accepted], best.take(accepted))
        self.rejected[rows[~accepted], ks[~accepted]] = True

    def restore(self) -> None:
        """Start traces that misfit once more, from where the traces before expect all channels.

        A lost peak hands its label to the next channel, and from that start the fit does not find
        back. Labels are asked again where they came by way of a mended trace, and where of two
        neighbours the higher one seems to have gone: the lower one goes first.
        """
        mended = np.zeros(self.sweeps.n, dtype=bool)
        for here, before, axis in ridges.route(self.sweeps.shape, self.index(self.reference)):
            j = self.row(here)
            if not before or not self.usable[j]:
                continue
            p = self.row(before[0])
            fits = self._fits_well()
            before_that, now = self._present(p), self._present(j)
            odd = np.any(before_that[1:] & before_that[:-1] & now[:-1] & ~now[1:])
            if not fits[p] or (fits[j] and not (mended[p] or odd)):
                continue
            expected, gate = self._expected(here, before, axis, fits)
            if fits[j]:
                mended[j] = self._relabel(j, expected, gate)
                continue
            active = np.isfinite(expected)
            start = self.fit.parameters[[p]].copy()
            start[0, self.layout.ln_Ic][active] = np.log(expected[active])
            new, prior = self._fit_anew(j, start, active)
            if aicc(new)[0] < aicc(self.fit.take([j]))[0] - 20.0 and new.chi2_nu[0] < (
                0.5 * self.fit.chi2_nu[j]
            ):
                self._put(j, active, new, prior)
                mended[j] = True
        if mended.any():
            self.report(f"{int(mended.sum())} trace(s) labelled anew")

    def _present(self, j: int) -> NDArray[np.bool_]:
        """Channels of a trace whose resistance is significant."""
        R, error = (a[j, self.layout.R] for a in (self.fit.parameters, self.fit.errors))
        return self.active[j] & (self.options.censoring_significance * error < R)

    def _expected(
        self, here: Index, before: list[Index], axis: int, fits: NDArray[np.bool_]
    ) -> tuple[Array, Array]:
        """Ic that the traces before lead to expect, NaN for channels they lack, and how surely."""
        p = self.row(before[0])
        last = np.where(self.active[p], np.exp(self.fit.parameters[p, self.layout.ln_Ic]), np.nan)
        move = np.zeros(self.K)
        q = self.row(before[1]) if len(before) > 1 else -1
        if q >= 0 and fits[q]:
            x0, x1, x = (self.sweeps.axes[axis][i[axis]] for i in (before[1], before[0], here))
            earlier = np.exp(self.fit.parameters[q, self.layout.ln_Ic])
            move = np.where(self.active[q], (last - earlier) * (x - x1) / (x1 - x0), 0.0)
            move = np.clip(move, -0.5 * last, 0.5 * last)
        return last + move, 4 * self.step + 0.12 * last + np.abs(move)

    def _relabel(self, j: int, expected: Array, gate: Array) -> bool:
        """Give the channels of a well-fitted trace the labels that the traces before suggest."""
        layout = self.layout
        old = np.flatnonzero(self._present(j))
        found = np.exp(self.fit.parameters[j, layout.ln_Ic][old])
        pairs = ridges.align(expected, found, gate=gate)
        if len(pairs) < old.size or all(old[b] == k for k, b in pairs):
            return False
        active = np.zeros(self.K, dtype=bool)
        start = self.fit.parameters[[j]].copy()
        blocks = [layout.ln_Ic, layout.R]
        if not layout.shared_noise:
            blocks.append(layout.ln_Tn)
        for k, b in pairs:
            active[k] = True
            for block in blocks:
                start[0, block.start + k] = self.fit.parameters[j, block.start + old[b]]
        new, prior = self._fit_anew(j, start, active)
        if not new.objective[0] < self.fit.objective[j] + 20.0:
            return False
        self._put(j, active, new, prior)
        return True

    def _fit_anew(
        self, j: int, start: Array, active: NDArray[np.bool_]
    ) -> tuple[vi_fit.Fit, vi_fit.Prior]:
        """Fit a trace with other channels; what their labels say of the slopes goes with them."""
        row, prior = np.array([j]), self.prior.take(np.array([j]))
        if self.follow:
            for k in np.flatnonzero(active):
                seed = np.exp(start[:, 1 + k])
                self._steeper_beta(prior, row, np.array([k]), seed)
            start[:, self.layout.beta] = prior.mean[:, self.layout.beta]
        return self._fit_rows(row, start, active=active[None], prior=prior), prior

    def _put(self, j: int, active: NDArray[np.bool_], fit: vi_fit.Fit, prior: vi_fit.Prior) -> None:
        self.active[j] = active
        self.prior.mean[j], self.prior.precision[j] = prior.mean[0], prior.precision[0]
        self.start[j, self.layout.ln_Ic] = fit.parameters[0, self.layout.ln_Ic]
        self.leaning[j] = False
        self.fit = self.fit.put(np.array([j]), fit)

    def judge(self) -> None:
        """Peaks that were tracked must pass the test of significance as well."""
        if not self.K:
            return
        rows, ks = np.nonzero(self.active & np.isnan(self.significance))
        self._test_active(rows, ks)
        self._outer_channels()

    def _test_active(self, rows: NDArray[np.intp], ks: NDArray[np.intp]) -> None:
        """Significance of channels whose peaks were tracked; drop those that fail."""
        if not rows.size:
            return
        layout = self.layout
        scale = np.sqrt(np.maximum(1.0, self.fit.chi2_nu[rows]))
        resistance = self.fit.parameters[rows, layout.R.start + ks]
        error = self.fit.errors[rows, layout.R.start + ks] * scale
        relative = self.fit.errors[rows, 1 + ks] * scale
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error > 0, resistance / error, 0.0)
        self.significance[rows, ks] = np.maximum(ratio, 0.0)
        # Far from the threshold the ratio R/sigma decides as chi2 would; near it, ask chi2.
        weak = (ratio < 4 * self.options.censoring_significance) | (relative > 0.05)
        rows, ks = rows[weak], ks[weak]
        while rows.size:
            _, first = np.unique(rows, return_index=True)
            r, k = rows[first], ks[first]
            prior = self._with_channel_priors(r, k)
            active = self.active[r].copy()
            best = self._fit_rows(r, self.fit.parameters[r], prior=prior)
            self.active[r, k] = False
            without = self._fit_rows(r, self.fit.parameters[r], prior=self.prior.take(r))
            self._judge(r, k, best, without, prior, active)
            gone = self.rejected[r, k]
            if gone.any():
                self.fit = self.fit.put(r[gone], without.take(gone))
            rest = np.setdiff1d(np.arange(rows.size), first)
            rows, ks = rows[rest], ks[rest]

    def _outer_channels(self) -> None:
        """Ic beyond the current range: the fit would only extrapolate; leave such channels out."""
        top = np.nanmax(np.abs(np.where(self.masked, np.nan, self.I)), axis=(1, 2), initial=0.0)
        Ic = np.exp(self.fit.parameters[:, self.layout.ln_Ic])
        beyond = self.active & (Ic > top[:, None])
        rows = np.flatnonzero(beyond.any(axis=1))
        if rows.size:
            self.active[beyond] = False
            self.rejected[beyond] = True
            self.fit = self.fit.put(rows, self._fit_rows(rows, self.fit.parameters[rows]))

    def find_limits(self) -> None:
        """95 % upper limits of Ic where a channel was looked for next to its last sighting."""
        rows, ks = np.nonzero(self.rejected)
        if not rows.size:
            return
        known = np.isfinite(self.R_prior[ks, 0])
        rows, ks = rows[known], ks[known]
        if not rows.size:
            return
        layout = self.layout
        Tn = np.where(np.isfinite(self.Tn_prior[0, 0]), np.exp(self.Tn_prior[0, 0]), 50.0)
        unit = float(Tn / rsj.gamma(1.0, 1.0))
        # Dense at the low end: chi2 rises there with the fourth power of Ic, and a straight line to
        # the first step would put the limit far too low.
        rungs = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0]
        ladder = np.array(rungs) * unit
        n, steps = rows.size, ladder.size
        many, which = np.repeat(rows, steps), np.repeat(ks, steps)
        start = self.fit.parameters[many].copy()
        start[np.arange(many.size), 1 + which] = np.log(np.tile(ladder, n))
        fixed = np.zeros((many.size, layout.size), dtype=bool)
        fixed[np.arange(many.size), 1 + which] = True
        active = self.active[many].copy()
        active[np.arange(many.size), which] = True
        prior = self._with_channel_priors(many, which)
        for a in range(many.size):
            if not self.free_noise(many[a], which[a]):
                start[a, layout.noise_of(which[a])] = np.log(Tn)
        fits = self._fit_rows(many, start, active=active, fixed=fixed, prior=prior)
        objective = fits.objective.reshape(n, steps)
        scale = np.maximum(1.0, fits.chi2_nu.reshape(n, steps).min(axis=1))
        without = self.fit.objective[rows]
        least = np.minimum(objective.min(axis=1), without)
        rise = (objective - least[:, None]) / scale[:, None]
        for a in range(n):
            above = np.flatnonzero(rise[a] > 2.71)
            below = np.flatnonzero(rise[a] <= 2.71)
            floor = below.max() if below.size else -1
            above = above[above > floor]
            if not above.size:
                continue
            b = above[0]
            low, low_rise = (ladder[b - 1], rise[a, b - 1]) if b else (0.0, 0.0)
            part = (2.71 - low_rise) / (rise[a, b] - low_rise)
            self.limit[rows[a], ks[a]] = low + part * (ladder[b] - low)


def _better(a: vi_fit.Fit, b: vi_fit.Fit) -> vi_fit.Fit:
    rows = np.flatnonzero(b.objective < a.objective)
    return a.put(rows, b.take(b.objective < a.objective)) if rows.size else a


def _ordered(ln_Ic: Array, active: NDArray[np.bool_]) -> Array:
    """Push tentative channels apart so that Ic_k < Ic_k+1 among those present."""
    out = ln_Ic.copy()
    for row in range(out.shape[0]):
        ceiling = np.inf
        for k in np.flatnonzero(active[row])[::-1]:
            out[row, k] = min(out[row, k], ceiling - 0.02)
            ceiling = out[row, k]
    return out
