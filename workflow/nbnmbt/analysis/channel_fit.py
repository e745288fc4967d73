"""Strategy of fitting a whole dataset of V(I) sweeps: seeds, model order, contact, censoring.

`vi_fit` fits given channels to given traces. This module decides which channels there are:

1. choose the current axis and estimate the noise from the data;
2. find peaks of dV/dI on both polarities and track them through the dataset (`ridges`);
3. at the reference trace (lowest temperature and field) fit from many starts, decide whether there
   is an Andreev contact and how many channels (AICc);
4. fit all traces at once; let the critical currents follow the thermometer, if that lowers chi2;
5. determine the contact (R_AR, Z, P) once, from traces in which it is strong, and hand it to all
   others as Gaussian prior knowledge: within one trace Z and P are nearly degenerate;
6. extend each channel beyond its last visible peak as far as the improvement of chi2 is
   significant; what is left is censored, with an upper limit where one can be given;
7. ask where channels have merged (`merging`): those are undetermined, not mislabelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.analysis import derivative, merging, ridges, vi_fit
from nbnmbt.physics import andreev, rsj
from nbnmbt.physics.constants import K_B_meV

__all__ = ["DatasetFit", "FitOptions", "Noise", "Sweeps", "choose_current", "fit_dataset"]

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


@dataclass(frozen=True, kw_only=True)
class Sweeps:
    """V(I) sweeps of a dataset, flattened to traces.

    Attributes
    ----------
    grid : ndarray, shape (m,)
        Nominal currents, mA, ascending.
    I, V : ndarray, shape (n, b, m)
        Currents (mA) and voltages (mV) of b sweep directions; NaN where missing.
    T, T_set : ndarray, shape (n,)
        Mean temperature of a trace and its set-point, K.
    dT : ndarray, shape (n, b, m)
        Smoothed temperature minus set-point at each point, K; NaN where unknown.
    thermometer_noise : float
        White noise of the thermometer, K.
    rough_share : ndarray, shape (n,)
        Share of that variance which the smoothed temperature still has in second differences.
    shape : (int, int, int)
        Lengths of T, B, theta; their product is n (C order).
    axes : three ndarrays
        Set-points T (K), B (T), theta (degree).
    """

    grid: Array
    I: Array
    V: Array
    T: Array
    T_set: Array
    dT: Array
    thermometer_noise: float
    rough_share: Array
    shape: Index
    axes: tuple[Array, Array, Array]

    @property
    def n(self) -> int:
        """Number of traces."""
        return self.V.shape[0]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """White noise of V: var(V) = voltage^2 + (dV/dI)^2 current^2 (mV, mA)."""

    voltage: float
    current: float

    def sigma(self, slope: Array, floor: float) -> Array:
        """Standard deviation of V at differential resistance `slope` (ohm), mV."""
        return np.sqrt(self.voltage**2 + np.square(slope * self.current) + floor**2)


@dataclass(frozen=True, kw_only=True)
class DatasetFit:
    """Everything the fit of a dataset found.

    Attributes
    ----------
    fit : vi_fit.Fit
        Joint fit of all traces.
    resolved : ndarray of bool, shape (n, K)
        Channels significant in a trace.
    limit : ndarray, shape (n, K)
        95 % upper limit of Ic (mA) of channels not resolved, NaN where there is none.
    significance : ndarray, shape (n, K)
        Square root of the rise of chi2 without the channel; NaN where it was not tried.
    merged : ndarray of bool, shape (n, K)
        Channels that are there but cannot be told from a neighbour.
    ambiguous_from : int or None
        The lowest channel that hides more than one in traces that misfit: its label, and those of
        all above it, are unknown.
    polarity : two ndarrays, shape (n, K)
        abs(Ic+) - abs(Ic-) in mA and its standard error.
    thermal : ndarray, shape (n, b, m)
        Part of V that comes from the temperature's deviation from the set-point, mV.
    has_andreev : bool
        Whether there is a contact.
    contact, contact_covariance : ndarray, shape (3,), (3, 3)
        ln R_AR, Z, P.
    noise : Noise
        Final noise estimate.
    follows_thermometer : bool
        Whether the fits are corrected to the set-point point by point.
    slope : ndarray, shape (n, m)
        Smoothed dV/dI, ohm, on the nominal grid shifted by the calibration of the current.
    slope_sigma : ndarray, shape (n, m)
        Its standard deviation.
    I, sigma : ndarray, shape (n, b, m)
        Current used (mA) and standard deviation of V (mV) at each point.
    used : ndarray of bool, shape (n, b, m)
        Points that took part in the fit.
    on_grid : ndarray, shape (n, b, m)
        V moved to the nominal grid with the local slope, mV.
    peaks : list of (Peaks, Peaks)
        Peaks of each trace at +I and -I.
    outliers : ndarray of int, shape (n,)
        Points left out.
    current : str
        Current axis used.
    order_test : dict
        How the number of channels was decided at the reference.
    reference : int
        The reference trace.
    """

    fit: vi_fit.Fit
    resolved: NDArray[np.bool_]
    limit: Array
    significance: Array
    merged: NDArray[np.bool_]
    ambiguous_from: int | None
    polarity: tuple[Array, Array]
    thermal: Array
    has_andreev: bool
    contact: Array
    contact_covariance: Array
    noise: Noise
    follows_thermometer: bool
    slope: Array
    slope_sigma: Array
    I: Array
    sigma: Array
    used: NDArray[np.bool_]
    on_grid: Array
    peaks: list[tuple[ridges.Peaks, ridges.Peaks]]
    outliers: NDArray[np.intp]
    current: str
    order_test: dict
    reference: int


# ------------------------------------------------------------------------- current axis and noise
def choose_current(
    grid: Array, I_measured: Array, V: Array, mode: str, window: int, polyorder: int
) -> tuple[Array, str]:
    """Choose the current axis that leaves less white noise in V.

    Source noise that the readback resolves is removed by using the readback; a readback coarser
    than the source noise adds its own resolution, and then the nominal current, calibrated by
    a straight line through the readback of the same sweep, is the better one.

    Parameters
    ----------
    grid : ndarray, shape (m,)
        Nominal currents, mA.
    I_measured, V : ndarray, shape (n, b, m)
        Readback, mA, and voltage, mV.
    mode : str
        ``"auto"``, ``"measured"`` or ``"calibrated"``.
    window, polyorder : int
        Smoothing of dV/dI.

    Returns
    -------
    I : ndarray, shape (n, b, m)
        Current to use, mA.
    chosen : str
        ``"measured"`` or ``"calibrated"``.
    """
    finite = np.isfinite(I_measured) & np.isfinite(V)
    x = np.where(finite, grid, 0.0)
    y = np.where(finite, I_measured, 0.0)
    count = np.maximum(finite.sum(axis=-1, keepdims=True), 1)
    mean_x = x.sum(axis=-1, keepdims=True) / count
    mean_y = y.sum(axis=-1, keepdims=True) / count
    dx = np.where(finite, x - mean_x, 0.0)
    sxx = np.sum(dx**2, axis=-1, keepdims=True)
    gain = np.where(
        (sxx > 0) & (count >= 8),
        np.sum(dx * y, axis=-1, keepdims=True) / np.where(sxx > 0, sxx, 1),
        1.0,
    )
    calibrated = np.where(finite, mean_y + gain * (grid - mean_x), np.nan)
    measured = np.where(np.isfinite(I_measured), I_measured, np.nan)
    if mode == "measured" or not finite.any():
        return measured, "measured"
    if mode == "calibrated":
        return calibrated, "calibrated"
    slope = derivative.differential_resistance(grid, V, window=window, polyorder=polyorder)
    scores = []
    for I in (measured, calibrated):
        rest = V - slope * (I - calibrated)
        scores.append(_pooled_noise(rest, slope))
    if not np.isfinite(scores).all() or scores[0] <= scores[1]:
        return measured, "measured"
    return calibrated, "calibrated"


def _pooled_noise(values: Array, slope: Array) -> float:
    """Median over traces of the white noise where they are steep: there current noise shows."""
    with np.errstate(invalid="ignore"):
        top = np.nanmax(
            np.where(np.isfinite(slope), np.abs(slope), -np.inf), axis=-1, keepdims=True
        )
        steep = np.where(np.abs(slope) >= 0.5 * top, values, np.nan)
    noise = derivative.difference_noise(steep)
    return float(np.nanmedian(noise)) if np.isfinite(noise).any() else float("nan")


def estimate_noise(
    values: Array, slope: Array, known: Array | None = None, *, order: int, bins: int = 8
) -> Noise:
    """Voltage and current noise from high-order differences, pooled over a dataset.

    Parameters
    ----------
    values : ndarray, shape (..., m)
        Voltages or residuals on the nominal grid, mV.
    slope : ndarray, shape (..., m)
        dV/dI, ohm.
    known : ndarray, shape (..., m), optional
        Variance that the same difference of other, known noise has, mV^2.
    order : int
        Order of the difference.
    bins : int
        Classes of equal size in abs(dV/dI); each is split in three by `known`.

    Returns
    -------
    Noise
        Non-negative least-squares solution of var = voltage^2 + slope^2 current^2 + known.
    """
    from math import comb

    from scipy.optimize import nnls

    silent = Noise(voltage=0.0, current=0.0)
    if values.shape[-1] <= order:
        return silent
    differences = np.diff(values, n=order, axis=-1) / np.sqrt(comb(2 * order, order))
    inner = slice(order // 2, order // 2 + differences.shape[-1])
    s = np.abs(slope[..., inner])
    t = np.zeros_like(s) if known is None else known[..., inner]
    good = np.isfinite(differences) & np.isfinite(s) & np.isfinite(t)
    d, s, t = differences[good], s[good], t[good]
    if d.size < 8:
        return silent
    classes = []
    for part in _split_by(np.arange(d.size), s, min(bins, max(1, d.size // 48))):
        classes += _split_by(part, t, 3) if np.any(t) and part.size >= 48 else [part]
    variance = np.array([(1.4826 * np.median(np.abs(d[part]))) ** 2 for part in classes])
    size = np.array([part.size for part in classes])
    if not np.any(variance > 0):
        return silent
    columns = [np.ones(len(classes)), np.array([np.mean(s[part] ** 2) for part in classes])]
    # Each class knows its variance to a part in sqrt(size/2).
    scale = np.sqrt(size) / np.maximum(variance, 1e-6 * variance.max())
    variance = np.maximum(variance - np.array([np.mean(t[part]) for part in classes]), 0.0)
    design = np.stack(columns, axis=1) * scale[:, None]
    norm = np.sqrt(np.sum(design**2, axis=0))
    norm[norm == 0] = 1.0
    solution = nnls(design / norm, variance * scale)[0] / norm
    return Noise(voltage=float(np.sqrt(solution[0])), current=float(np.sqrt(solution[1])))


def _split_by(index: NDArray[np.intp], key: Array, parts: int) -> list[NDArray[np.intp]]:
    """Split indices into classes of equal size, ascending in `key`."""
    ranked = index[np.argsort(key[index], kind="stable")]
    return [part for part in np.array_split(ranked, parts) if part.size]


# ------------------------------------------------------------------------------------ the strategy
def fit_dataset(
    sweeps: Sweeps,
    options: FitOptions,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> DatasetFit | None:
    """Fit every trace of a dataset with the channels that the dataset shows.

    Parameters
    ----------
    sweeps : Sweeps
        The dataset. `Sweeps.I` holds the readback; the axis used is chosen here.
    options : FitOptions
        Analysis choices.
    report : callable
        Told in one line what was found.

    Returns
    -------
    DatasetFit or None
        None if no trace has enough points to fit a straight line with curvature.
    """
    work = _Work(sweeps, options, report)
    if not work.usable.any():
        return None
    work.look_for_peaks()
    work.fit_reference()
    work.fit_all()
    work.extend()
    work.test_following()
    work.fit_contact()
    work.refine()
    work.extend()
    work.judge()
    work.polish()
    work.find_mergers()
    work.find_limits()
    return work.result()


class _Work:
    """State of the strategy; the methods are its steps, in the order of `fit_dataset`."""

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
        mean = _mean_over_directions(self.on_grid)
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

    # ---- helpers -------------------------------------------------------------------------------
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

    # ---- 1: peaks ------------------------------------------------------------------------------
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

    # ---- 2: the reference trace ----------------------------------------------------------------
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
            if with_contact is not None and _aicc(with_contact) < _aicc(plain) - 20.0:
                best = with_contact
        self.has_andreev = best is with_contact and with_contact is not None
        self._test_order(row, best, seeds)
        chosen = self.reference_fit
        self.report(
            f"reference trace: {self.order_test['channels']} channel(s)"
            + (", Andreev contact" if self.has_andreev else ", no Andreev contact")
            + f", chi2/nu {chosen.chi2_nu[0]:.2f}"
        )

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

    def _layout(self, K: int) -> vi_fit.Layout:
        return vi_fit.Layout(channels=K, shared_noise=self.options.noise_temperature == "shared")

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

    def _best_start(
        self,
        row: NDArray[np.intp],
        seeds: Array,
        noise_starts: list[float],
        contacts: list,
    ) -> vi_fit.Fit:
        """Fit one trace from all combinations of starts and keep the deepest minimum."""
        layout = self._layout(seeds.size)
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
        return _one(fits, int(np.nanargmin(fits.objective)))

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
            if _aicc(trial) < _aicc(best):
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
        if not (_aicc(new) < _aicc(best) - 20.0 and improved and np.all(resistance > 10 * error)):
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
        rest = _mean_over_directions(self.sweeps.V[[self.reference]] - fit.V.reshape(shape))[0]
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

    @staticmethod
    def _noise_of(fit: vi_fit.Fit) -> list[float]:
        columns = fit.parameters[0, fit.layout.ln_Tn]
        return [float(np.exp(np.median(columns)))] if columns.size else [50.0]

    # ---- 3: all traces -------------------------------------------------------------------------
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

    # ---- 4: the contact ------------------------------------------------------------------------
    def fit_contact(self) -> None:
        """Determine R_AR, Z, P from the traces in which the contact is strongest, jointly."""
        if not self.has_andreev:
            return
        layout, n = self.layout, self.sweeps.n
        height, noise = self.height, self.height_noise
        with np.errstate(invalid="ignore"):
            strong = np.flatnonzero(
                (np.abs(height) > max(0.3 * abs(height[self.reference]), 5 * np.nanmedian(noise)))
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

    # ---- 5: noise, outliers, false minima ------------------------------------------------------
    def refine(self) -> None:
        """Estimate noise and temperature slopes once more."""
        self._update_noise()
        if self.follow:
            self._set_beta_prior()
        self._renew_channel_priors()
        rows = np.flatnonzero(self.usable)
        again = self._fit_rows(rows, self.fit.parameters[rows], max_iterations=12)
        self.fit = self.fit.put(rows, again)

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

    def _residual(self, fit: vi_fit.Fit) -> Array:
        return self.sweeps.V - fit.V.reshape(self.I.shape)

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
                    self.fit = self.fit.put(rows[better], _some(new, better))
            if not improved:
                return

    def _neighbour(self, row: int, shift: int) -> int:
        """Next usable trace along the longest axis, or -1."""
        index = list(self.index(row))
        axis = int(np.argmax(self.sweeps.shape))
        index[axis] += shift
        if not 0 <= index[axis] < self.sweeps.shape[axis]:
            return -1
        other = self.row(tuple(index))  # type: ignore[arg-type]
        return other if self.usable[other] else -1

    # ---- 6: temperature slopes ----------------------------------------------------------------
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

    # ---- 7: extension and censoring ------------------------------------------------------------
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

    def judge(self) -> None:
        """Peaks that were tracked must pass the test of significance as well."""
        if not self.K:
            return
        rows, ks = np.nonzero(self.active & np.isnan(self.significance))
        self._test_active(rows, ks)
        self._outer_channels()

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

    def free_noise(self, row: int, k: int) -> bool:
        """Whether the noise temperature of channel `k` is already fitted in a trace."""
        return bool(self.active[row].any() if self.layout.shared_noise else self.active[row, k])

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
            self.fit = self.fit.put(rows[accepted], _some(best, accepted))
        self.rejected[rows[~accepted], ks[~accepted]] = True

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
                self.fit = self.fit.put(r[gone], _some(without, gone))
            rest = np.setdiff1d(np.arange(rows.size), first)
            rows, ks = rows[rest], ks[rest]

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

    # ---- 8: mergers ----------------------------------------------------------------------------
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
        close = merging.too_close(
            np.exp(self.fit.parameters[:, self.layout.ln_Ic]),
            width,
            self.active,
            self.options.least_separation,
        )
        self.merged |= merging.merged_pairs(
            close, self.active, self.sweeps.shape, self.index(self.reference)
        )

    def _hidden_channel(self, traces: int = 4) -> int | None:
        """Lowest channel that is better described by two in most of the traces that misfit.

        Only traces that the model as it stands does not describe are asked, the worst ones. Two in
        place of one must remove most of the misfit: a shape that no channel has is not a second
        channel.
        """
        with np.errstate(invalid="ignore"):
            excess = (self.fit.chi2_nu - 1.0) / np.sqrt(2.0 / np.maximum(self.fit.dof, 1))
            misfit = np.flatnonzero((excess > 8.0) & self.usable & self.active.any(axis=1))
        misfit = misfit[np.argsort(-excess[misfit], kind="stable")]
        for k in range(self.K):
            asked = misfit[self.active[misfit, k]][:traces]
            if asked.size and np.mean([self._is_double(int(j), k) for j in asked]) >= 0.5:
                return k
        return None

    def _is_double(self, row: int, k: int) -> bool:
        """Whether two channels in place of channel `k` describe a trace, and one does not."""
        here = np.array([row])
        x = self.fit.parameters[row]
        known = np.where(self.active[row], np.exp(x[self.layout.ln_Ic]), np.nan)
        contact = [tuple(x[self.layout.andreev])] if self.has_andreev else [None]
        noise = self._noise_of(_one(self.fit, row))
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
        return bool(_aicc(best)[0] < _aicc(single)[0] - 20.0 and left < 0.3)

    # ---- 9: limits -----------------------------------------------------------------------------
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
        ladder = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0]) * unit
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

    # ---- 10: result ----------------------------------------------------------------------------
    def result(self) -> DatasetFit:
        """Collect."""
        layout = self.layout
        Ic = np.exp(self.fit.parameters[:, layout.ln_Ic])
        Tn = np.exp(self.fit.parameters[:, [layout.noise_of(k) for k in range(self.K)]])
        # Without a peak the fit still feels the channel; it stays in, but is not resolved.
        resolved = self.active & (rsj.gamma(Ic, Tn) > self.options.min_noise_parameter)
        faint = self.active & ~resolved & ~self.merged
        resolved &= ~self.merged
        scale = np.sqrt(np.fmax(1.0, self.fit.chi2_nu))[:, None]
        upper = Ic * np.exp(1.645 * scale * self.fit.errors[:, layout.ln_Ic])
        everything = self.traces(np.arange(self.sweeps.n))
        difference, difference_error = vi_fit.polarity_differences(everything, self.fit, self.prior)
        thermal = self.fit.V - vi_fit.model(
            np.nan_to_num(everything.I), everything.T, self.fit.parameters, layout, self.fit.free
        )
        self.limit = np.where(faint, upper, np.where(self.merged, np.nan, self.limit))
        return DatasetFit(
            fit=self.fit,
            resolved=resolved,
            limit=self.limit,
            significance=self.significance,
            merged=self.merged,
            ambiguous_from=self.ambiguous_from,
            polarity=(difference, difference_error * scale),
            thermal=thermal.reshape(self.I.shape),
            has_andreev=self.has_andreev,
            contact=self.contact,
            contact_covariance=self.contact_covariance,
            noise=self.noise,
            follows_thermometer=self.follow,
            slope=self.slope,
            slope_sigma=self.slope_sigma,
            I=self.I,
            sigma=self.sigma,
            used=~(self.masked | self.spikes),
            on_grid=self.on_grid,
            peaks=self.peaks,
            outliers=self.outliers,
            current=self.current,
            order_test=self.order_test,
            reference=self.reference,
        )


def _mean_over_directions(V: Array) -> Array:
    """Mean of the sweep directions that have a point."""
    finite = np.isfinite(V)
    count = finite.sum(axis=1)
    total = np.where(finite, V, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _order_entry(fit: vi_fit.Fit, seeds: Array) -> dict:
    """Return what the record of the order test says of one model."""
    return {
        "channels": int(np.isfinite(seeds).sum()),
        "aicc": float(_aicc(fit)[0]),
        "chi2_nu": float(fit.chi2_nu[0]),
    }


def _aicc(fit: vi_fit.Fit) -> Array:
    """Akaike information criterion with small-sample correction, for known noise."""
    p = fit.free.sum(axis=1)
    n = fit.dof + p
    return fit.objective + 2 * p + 2 * p * (p + 1) / np.maximum(n - p - 1, 1)


def _one(fit: vi_fit.Fit, row: int) -> vi_fit.Fit:
    chosen = np.zeros(fit.chi2.size, dtype=bool)
    chosen[row] = True
    return _some(fit, chosen)


def _some(fit: vi_fit.Fit, chosen: NDArray[np.bool_]) -> vi_fit.Fit:
    names = (
        "parameters",
        "covariance",
        "free",
        "chi2",
        "dof",
        "objective",
        "converged",
        "V",
        "dVdI",
        "dVdT",
    )
    return replace(fit, **{name: getattr(fit, name)[chosen] for name in names})


def _better(a: vi_fit.Fit, b: vi_fit.Fit) -> vi_fit.Fit:
    rows = np.flatnonzero(b.objective < a.objective)
    return a.put(rows, _some(b, b.objective < a.objective)) if rows.size else a


def _ordered(ln_Ic: Array, active: NDArray[np.bool_]) -> Array:
    """Push tentative channels apart so that Ic_k < Ic_k+1 among those present."""
    out = ln_Ic.copy()
    for row in range(out.shape[0]):
        ceiling = np.inf
        for k in np.flatnonzero(active[row])[::-1]:
            out[row, k] = min(out[row, k], ceiling - 0.02)
            ceiling = out[row, k]
    return out
