"""What every step of the fit of a dataset shares: options, sweeps, noise, weights and batched fits.

`FitState` holds one dataset while it is fitted. The steps are classes that build on each other,
one a module, in the order in which `channel_fit.fit_dataset` takes them:

==================  ==========================================================================
`channel_seeding`   peaks of dV/dI, tracked through the dataset
`start_values`      noise temperature, Andreev contact and gap to start from
`channel_order`     how many channels the reference trace has, and whether there is a contact
`channel_priors`    what traces tell each other: dln Ic/dT, R_k, Tn
`joint_fit`         fit of all traces; contact from the strongest; noise, spikes, false minima
`censoring`         channels beyond their last peak; what is not significant; upper limits
`merging`           channels that cannot be told from a neighbour
==================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.analysis import derivative, vi_fit
from nbnmbt.analysis.sweep_noise import (
    Sweeps,
    choose_current,
    estimate_noise,
    mean_over_directions,
)

__all__ = ["FitOptions", "FitState", "aicc"]

Array = NDArray[np.float64]


Index = tuple[int, int, int]


class FitOptions(BaseModel):
    """Choices of the joint fit of V(I)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    max_channels: Annotated[int, Field(ge=0, le=6, json_schema_extra={"sweep": [3, 4]})] = 4
    """Most critical currents looked for in one trace; how many there are comes from the data."""
    prominence: Annotated[float, Field(gt=0, json_schema_extra={"sweep": [4.0, 5.0, 8.0]})] = 5.0
    """Least prominence of a peak of dV/dI, in standard deviations of dV/dI."""
    smoothing_window_mA: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [0.035, 0.055, 0.08]})
    ] = 0.055
    """Savitzky-Golay window (mA) of the derivative that seeds the fits and draws the maps."""
    smoothing_order: Annotated[int, Field(ge=1, le=5, json_schema_extra={"sweep": [2, 4]})] = 2
    """Degree of the Savitzky-Golay polynomial."""
    lowest_peak_mA: Annotated[float, Field(ge=0, json_schema_extra={"sweep": [0.1, 0.15, 0.3]})] = (
        0.15
    )
    """Peaks at lower current count as part of the zero-bias feature."""
    fit_range_mA: Annotated[float | None, Field(gt=0, json_schema_extra={"sweep": [None, 2.8]})] = (
        None
    )
    """Only points with abs(I) up to this take part in the fit; null: all."""
    andreev: Annotated[
        Literal["btk", "none"], Field(json_schema_extra={"sweep": ["btk", "none"]})
    ] = "btk"
    """Model of the zero-bias feature: a BTK contact, or none (see `zero_bias_exclusion_mA`)."""
    zero_bias_exclusion_mA: Annotated[
        float, Field(ge=0, json_schema_extra={"sweep": [0.0, 0.02]})
    ] = 0.0
    """Points with abs(I) below this are left out of the fit."""
    noise_temperature: Annotated[
        Literal["shared", "per channel"],
        Field(json_schema_extra={"sweep": ["shared", "per channel"]}),
    ] = "shared"
    """One noise temperature for all channels of a trace, or one for each."""
    current: Annotated[
        Literal["auto", "measured", "calibrated"],
        Field(json_schema_extra={"sweep": ["auto", "measured"]}),
    ] = "auto"
    """Current axis: the readback, the set current calibrated by the readback (a coarse readback
    only adds its resolution), or whichever leaves less noise in V."""
    censoring_significance: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [4.0, 5.0, 7.0]})
    ] = 5.0
    """A channel is resolved in a trace if leaving it out raises chi2 by more than the square."""
    min_noise_parameter: Annotated[
        float, Field(ge=0, json_schema_extra={"sweep": [2.0, 3.0, 5.0]})
    ] = 3.0
    """A channel with smaller gamma = hbar Ic/(2e kB Tn) has no peak left and is censored."""
    temperature: Annotated[
        Literal["auto", "mean"], Field(json_schema_extra={"sweep": ["auto", "mean"]})
    ] = "auto"
    """Correct each point to the set-point by the thermometer if that lowers chi2, or never."""
    least_separation: Annotated[
        float, Field(ge=0, json_schema_extra={"sweep": [0.3, 0.4, 0.6]})
    ] = 0.4
    """Neighbouring channels closer than this fraction of their peaks' width count as merged."""
    outlier_sigma: Annotated[float, Field(gt=3, json_schema_extra={"sweep": [6.0, 10.0]})] = 6.0
    """Single points whose residual is larger than this many standard deviations are left out."""


class FitState:
    """One dataset while it is fitted.

    Parameters
    ----------
    sweeps : Sweeps
        The dataset.
    options : FitOptions
        Analysis choices.
    report : callable
        Told in one line what was found.
    """

    def __init__(self, sweeps: Sweeps, options: FitOptions, report: Callable[[str], None]) -> None:
        self.sweeps, self.options, self.report = sweeps, options, report
        grid = sweeps.grid
        self.step = float(np.median(np.diff(grid))) if grid.size > 1 else np.nan
        self.window = derivative.window_points(
            options.smoothing_window_mA,
            self.step,
            polyorder=options.smoothing_order,
            size=grid.size,
        )
        points = (np.isfinite(sweeps.V) & np.isfinite(sweeps.I)).sum(axis=(1, 2))
        self.usable = (points >= 16) & np.isfinite(sweeps.T) & (self.window > 0)
        if not self.usable.any():
            return
        self.I, self.current = choose_current(
            grid, sweeps.I, sweeps.V, options.current, self.window, options.smoothing_order
        )
        raw_slope = derivative.differential_resistance(
            grid, sweeps.V, window=self.window, polyorder=options.smoothing_order
        )
        with np.errstate(invalid="ignore"):
            # The calibration of the axis (gain, offset) stays; only the jitter is moved away.
            offset = np.nanmedian(np.where(self.usable[:, None, None], self.I - grid, np.nan))
        self.shift = float(offset) if np.isfinite(offset) else 0.0
        self.on_grid = sweeps.V - raw_slope * (self.I - grid - self.shift)
        mean = mean_over_directions(self.on_grid)
        self.slope = derivative.differential_resistance(
            grid, mean, window=self.window, polyorder=options.smoothing_order
        )
        self.floor = 5e-8 * float(np.nanmax(np.abs(sweeps.V), initial=1e-3))
        self.noise = estimate_noise(self.on_grid, raw_slope, order=4)
        self.sigma = np.broadcast_to(
            self.noise.sigma(np.nan_to_num(self.slope), self.floor)[:, None, :], self.I.shape
        ).copy()
        self.slope_sigma = self._slope_sigma()
        self.dR_width = self._series_slopes()
        self.masked = ~(np.isfinite(self.I) & np.isfinite(sweeps.V))
        self.masked |= ~self.usable[:, None, None]
        self.spikes = np.zeros_like(self.masked)
        with np.errstate(invalid="ignore"):
            if options.fit_range_mA is not None:
                self.masked |= np.abs(self.I) > options.fit_range_mA
            self.masked |= np.abs(self.I) < options.zero_bias_exclusion_mA
        self.dT = np.where(np.isfinite(sweeps.dT), sweeps.dT, 0.0)
        self.moves = np.any(self.dT != 0.0, axis=(1, 2))
        # Slopes of R_s with temperature count in the weights only once all channels are found.
        self.trusted = False
        self.tried = False
        self.follow = self.options.temperature == "auto" and bool(self.moves.any())
        self.reference = self._reference()
        self.polarity = self._single_polarity()
        self.order_test: dict = {}

    def _slope_sigma(self) -> Array:
        gain = derivative.slope_gain(
            self.sweeps.grid, window=self.window, polyorder=self.options.smoothing_order
        )
        directions = np.isfinite(self.on_grid).sum(axis=1)
        sigma = self.noise.sigma(np.nan_to_num(self.slope), self.floor)
        return gain * sigma / np.sqrt(np.maximum(directions, 1))

    def _reference(self) -> int:
        """Lowest temperature, then lowest field, then lowest angle among the usable traces."""
        T, B, theta = (np.asarray(a, dtype=float) for a in self.sweeps.axes)
        grid = np.meshgrid(np.nan_to_num(T), np.abs(np.nan_to_num(B)), theta, indexing="ij")
        keys = [g.ravel() for g in grid]
        order = np.lexsort((keys[2], keys[1], keys[0]))
        return int(order[self.usable[order]][0])

    def _single_polarity(self) -> int:
        """Sign of the current where only one was swept, else 0."""
        grid, least = self.sweeps.grid, self.options.lowest_peak_mA
        if grid.min() > -least and grid.max() > least:
            return 1
        return -1 if grid.max() < least and grid.min() < -least else 0

    def traces(self, rows: NDArray[np.intp]) -> vi_fit.Traces:
        """Points of the traces `rows`, directions one behind the other."""
        V = np.where((self.masked | self.spikes)[rows], np.nan, self.sweeps.V[rows])
        n = rows.size
        return vi_fit.Traces(
            I=self.I[rows].reshape(n, -1),
            V=V.reshape(n, -1),
            sigma=self.sigma[rows].reshape(n, -1),
            T=(self.sweeps.T_set if self.follow else self.sweeps.T)[rows],
            dT=(self.dT[rows] if self.follow else np.zeros_like(V)).reshape(n, -1),
        )

    def index(self, row: int) -> Index:
        """Grid index of a trace."""
        return tuple(int(i) for i in np.unravel_index(row, self.sweeps.shape))  # type: ignore

    def row(self, index: Index) -> int:
        """Trace of a grid index."""
        return int(np.ravel_multi_index(index, self.sweeps.shape))

    def _layout(self, K: int) -> vi_fit.Layout:
        return vi_fit.Layout(channels=K, shared_noise=self.options.noise_temperature == "shared")

    def _free(
        self,
        layout: vi_fit.Layout,
        active: NDArray[np.bool_],
        has: NDArray[np.bool_],
        moves: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Parameters to fit; one polarity alone does not tell an offset current."""
        free = layout.free(active, has, moves)
        if self.polarity:
            free[:, 0] = False
        return free

    def _weigh(self, rows: NDArray[np.intp], fit: vi_fit.Fit) -> None:
        """Set sigma from the noise, and the thermometer's where Ic depends on temperature."""
        shape = (rows.size, *self.I.shape[1:])
        slope = np.nan_to_num(fit.dVdI.reshape(shape))
        thermal = fit.dVdT.reshape(shape)
        if self.trusted:
            series = fit.parameters[:, fit.layout.dR_s]
            error = fit.errors[:, fit.layout.dR_s]
            with np.errstate(invalid="ignore", divide="ignore"):
                sure = np.nan_to_num(series**2 / (series**2 + 4.0 * error**2))
            thermal = thermal + (sure * series)[:, None, None] * self.I[rows]
        thermal = np.nan_to_num(thermal) * self.sweeps.thermometer_noise
        used = np.hypot(self.noise.sigma(slope, self.floor), thermal if self.follow else 0.0)
        self.sigma[rows] = np.where(self.usable[rows, None, None], used, self.sigma[rows])

    def _series_slopes(self) -> Array:
        """Width (ohm/K) within which the series resistance may change with temperature.

        One per cent of the resistance at the largest current per kelvin, as of a metal or a
        magnetic scatterer, or as much as that resistance changes between neighbouring temperatures.
        """
        top = np.abs(self.sweeps.grid) > 0.85 * np.max(np.abs(self.sweeps.grid))
        resistance = np.nanmedian(np.abs(np.where(top, self.slope, np.nan)), axis=1)
        width = 0.01 * np.nan_to_num(resistance, nan=1.0)
        T = np.asarray(self.sweeps.axes[0], dtype=float)
        if T.size >= 3:
            lines = resistance.reshape(self.sweeps.shape)
            steps = np.diff(T)[:, None, None]
            # A repeated set-point says nothing of the slope.
            change = np.abs(np.diff(lines, axis=0) / np.where(steps == 0, np.inf, steps))
            edge = np.zeros_like(change[:1])
            steeper = np.fmax(np.concatenate([edge, change]), np.concatenate([change, edge]))
            width = width + np.nan_to_num(steeper.reshape(-1))
        return np.maximum(width, 1e-6)

    def _fit_rows(
        self,
        rows: NDArray[np.intp],
        start: Array,
        *,
        active: NDArray[np.bool_] | None = None,
        fixed: NDArray[np.bool_] | None = None,
        prior: vi_fit.Prior | None = None,
        max_iterations: int = 25,
    ) -> vi_fit.Fit:
        active = self.active[rows] if active is None else active
        has = np.full(rows.size, self.has_andreev) & self.usable[rows]
        free = self._free(self.layout, active, has, self.moves[rows] & self.follow)
        if fixed is not None:
            free &= ~fixed
        prior = self.prior.take(rows) if prior is None else prior
        return vi_fit.fit(
            self.traces(rows),
            start,
            self.layout,
            free,
            prior=prior,
            max_iterations=max_iterations,
        )

    def _residual(self, fit: vi_fit.Fit) -> Array:
        return self.sweeps.V - fit.V.reshape(self.I.shape)

    def _update_noise(self) -> None:
        """Noise from the residuals; the thermometer's adds where Ic depends on temperature."""
        residual = np.where(self.masked | self.spikes, np.nan, self._residual(self.fit))
        slope = self.fit.dVdI.reshape(self.I.shape)
        known = None
        if self.follow and self.sweeps.thermometer_noise > 0:
            thermal = self.fit.dVdT.reshape(self.I.shape) * self.sweeps.thermometer_noise
            known = np.square(thermal) * self.sweeps.rough_share[:, None, None]
        self.noise = estimate_noise(residual, slope, known, order=2)
        self._weigh(np.arange(self.sweeps.n), self.fit)
        self.slope_sigma = self._slope_sigma()

    def _fits_well(self) -> NDArray[np.bool_]:
        """Traces that fit not much worse than the best fifth of all."""
        with np.errstate(invalid="ignore"):
            best = float(np.nanpercentile(self.fit.chi2_nu, 20))
            return self.fit.chi2_nu < 4.0 * max(best, 1.0)

    def _similar(self, row: int) -> NDArray[np.intp]:
        """Traces at the same field if there are several, else the nearest in field."""
        B = np.abs(np.nan_to_num(np.asarray(self.sweeps.axes[1], dtype=float)))
        field = np.broadcast_to(B[None, :, None], self.sweeps.shape).ravel()
        distance = np.abs(field - field[row])
        order = np.argsort(distance, kind="stable")
        same = np.flatnonzero(distance == 0)
        return same if same.size >= 9 else order[:9]

    def _neighbour(self, row: int, shift: int) -> int:
        """Next usable trace along the longest axis, or -1."""
        index = list(self.index(row))
        axis = int(np.argmax(self.sweeps.shape))
        index[axis] += shift
        if not 0 <= index[axis] < self.sweeps.shape[axis]:
            return -1
        other = self.row(tuple(index))  # type: ignore[arg-type]
        return other if self.usable[other] else -1

    def free_noise(self, row: int, k: int) -> bool:
        """Whether the noise temperature of channel `k` is already fitted in a trace."""
        return bool(self.active[row].any() if self.layout.shared_noise else self.active[row, k])


def aicc(fit: vi_fit.Fit) -> Array:
    """Akaike information criterion with small-sample correction, for known noise."""
    p = fit.free.sum(axis=1)
    n = fit.dof + p
    return fit.objective + 2 * p + 2 * p * (p + 1) / np.maximum(n - p - 1, 1)
