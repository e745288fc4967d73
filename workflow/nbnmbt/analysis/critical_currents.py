"""Stage: critical currents of every channel in every V(I) sweep of a dataset.

``python -m nbnmbt.analysis.critical_currents --dataset results/NAME/datasets/iv_angle.nc
--options '{}' --out results/NAME/critical_currents/iv_angle.nc``

The critical current of a channel is a parameter of a joint fit of V(I) (`vi_fit`, `channel_fit`)
at both polarities and with one offset current; it belongs to the set-point temperature and field.
Channels not resolved in a sweep are censored: NaN, or an upper limit where one could be found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nbnmbt.analysis import derivative, ridges, vi_fit
from nbnmbt.analysis.channel_fit import DatasetFit, FitOptions, Sweeps, fit_dataset
from nbnmbt.analysis.curves import open_measured, parse_options
from nbnmbt.analysis.stage import write_netcdf
from nbnmbt.physics import andreev, rsj

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "CHANNELS",
    "NBN_CHANNEL",
    "Options",
    "extract",
    "main",
    "residual_correlation",
    "smooth_temperature",
]

Array = NDArray[np.float64]

#: Channel labels of the paper; 0 is the lowest critical current.
CHANNELS = 4
#: Label of the only channel of the bare film: by declaration of the configuration, not measured.
NBN_CHANNEL = 3


class Options(FitOptions):
    """Choices of the extraction of critical currents from V(I)."""

    zero_bias_window_mA: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [0.04, 0.06, 0.1]})
    ] = 0.06
    """Half width (mA) of the local quadratic of dV/dI about zero bias."""
    peak_window_mA: Annotated[
        tuple[float, float],
        Field(json_schema_extra={"sweep": [[0.3, 3.0], [0.2, 3.0], [0.3, 2.9]]}),
    ] = (0.3, 3.0)
    """Range of abs(I) (mA) in which peaks of dV/dI are counted."""
    field_accuracy_T: Annotated[
        float, Field(ge=0, json_schema_extra={"sweep": [0.0, 0.007, 0.012]})
    ] = 0.007
    """Standard uncertainty (T) of the reported field at zero: flux trapped in the magnet, up to
    12 mT (Quantum Design application note 1070-207)."""
    current_accuracy: Annotated[float, Field(ge=0, json_schema_extra={"sweep": [0.0, 2e-4]})] = 2e-4
    """Relative standard uncertainty of the current readback (specified 0.035 % as a bound)."""
    temperature_accuracy: Annotated[
        float, Field(ge=0, json_schema_extra={"sweep": [0.0, 0.003]})
    ] = 0.0
    """Relative standard uncertainty of the thermometer's calibration."""


def smooth_temperature(T: Array) -> tuple[Array, float, Array]:
    """Temperature along sweeps with the thermometer's white noise smoothed away.

    Random walk plus white noise: the two variances follow from the structure function
    <(T(i+l) - T(i))^2> = 2 r + q l at short and longer lags, the smoothed walk from the
    tridiagonal normal equations of the penalised least squares
    sum (T - s)^2 / r + sum (ds)^2 / q.

    Parameters
    ----------
    T : ndarray, shape (..., m)
        Readings in order of time, K; NaN where missing.

    Returns
    -------
    smooth : ndarray, shape (..., m)
        K; NaN where a whole sweep has no reading.
    noise : float
        Standard deviation of the white noise, K, median over sweeps; 0 if there is none.
    rough_share : ndarray, shape (...)
        Of the error of `smooth`: variance of its second difference (over 6) in units of noise^2.
        The error has the spectrum r / (1 + (r/q) (2 - 2 cos w)).
    """
    from scipy.linalg import solveh_banded

    lines = np.atleast_2d(T.reshape(-1, T.shape[-1])).astype(float)
    smooth = np.full(lines.shape, np.nan)
    white = np.full(lines.shape[0], np.nan)
    share = np.zeros(lines.shape[0])
    m = lines.shape[1]
    frequency = 2.0 - 2.0 * np.cos(np.linspace(0.0, np.pi, 257))
    lag = min(24, max(m // 8, 2))
    for j, line in enumerate(lines):
        finite = np.isfinite(line)
        if not finite.any():
            continue
        mean = line[finite].mean()
        if finite.sum() < 4 * lag or m < 4 * lag:
            smooth[j] = mean
            continue
        short = np.nanmean(np.square(line[1:] - line[:-1]))
        long = np.nanmean(np.square(line[lag:] - line[:-lag]))
        walk = max((long - short) / (lag - 1), 0.0)
        r = max(0.5 * (short - walk), 0.0)
        white[j] = np.sqrt(r)
        # Below what the readings' scatter can tell from a constant, use the mean.
        if walk * m <= 8.0 * r / m:
            smooth[j] = mean
            continue
        stiffness = r / walk
        share[j] = np.mean(frequency**2 / (1.0 + stiffness * frequency)) / 6.0
        bands = np.zeros((2, m))
        bands[1] = finite + stiffness * np.r_[1.0, np.full(m - 2, 2.0), 1.0]
        bands[0, 1:] = -stiffness
        if stiffness == 0.0:
            bands[1] = np.where(finite, 1.0, 1e-9)
        smooth[j] = mean + solveh_banded(bands, np.where(finite, line - mean, 0.0))
    noise = float(np.nanmedian(white)) if np.isfinite(white).any() else 0.0
    return smooth.reshape(T.shape), noise, share.reshape(T.shape[:-1])


def residual_correlation(residual: Array, *, blocks: tuple[int, ...] = (16, 64)) -> Array:
    """Variance of block means of a residual in units of what white noise of its size has.

    Misfit that lasts over many points, such as that of a gap that comes and goes while the
    temperature wanders about its critical temperature, moves the parameters by far more than the
    same chi-square spread over all points: standard errors are multiplied by the square root of
    this number.

    Parameters
    ----------
    residual : ndarray, shape (n, b, m)
        Residuals over their standard deviation, sweep directions in order; NaN where missing.
    blocks : tuple of int
        Points in a block; a length counts where there are at least eight blocks.

    Returns
    -------
    ndarray, shape (n,)
        The largest over `blocks` of those that differ from one by more than four standard
        deviations of white noise; one if none does.
    """
    worst = np.ones(residual.shape[0])
    for j, sweeps in enumerate(residual):
        lines = [line[np.isfinite(line)] for line in sweeps]
        values = np.concatenate(lines)
        variance = values.var() if values.size else 0.0
        if not variance > 0:
            continue
        for length in blocks:
            means = [
                line[: line.size // length * length].reshape(-1, length).mean(axis=1)
                for line in lines
            ]
            mean = np.concatenate(means)
            if mean.size < 8:
                continue
            ratio = length * mean.var() / variance
            if ratio - 1.0 > 4.0 * np.sqrt(2.0 / mean.size):
                worst[j] = max(worst[j], ratio)
    return worst


def extract(
    ds: xr.Dataset,
    options: Options | None = None,
    *,
    report: Callable[[str], None] = lambda _: None,
) -> xr.Dataset:
    """Fit all V(I) sweeps of a dataset and tabulate channels, zero-bias feature and checks.

    Parameters
    ----------
    ds : xarray.Dataset
        V-I dataset: ``V`` (mV), ``I_measured`` (mA), ``T_measured`` (K), ``B_measured`` (T) over
        ([branch,] T, B, theta, I).
    options : Options, optional
        Analysis choices.
    report : callable
        Receives lines of progress.

    Returns
    -------
    xarray.Dataset
        Over (channel, T, B, theta): ``Ic Ic_err width width_err Tn Tn_err R R_err censored
        resolved significance dlnIc_dT``; over (T, B, theta): the trace-level quantities; over
        (T, B, theta, I): smoothed ``dVdI`` and its error, fitted ``V_fit``, ``residual``. If
        nothing was measured: no variables and the reason in the attributes.
    """
    options = options or Options()
    missing = _reason_missing(ds)
    if missing:
        return _empty(ds, missing)
    if not ds["V"].size:
        return _empty(ds, "the dataset holds no point")
    sweeps, temperature, field = _sweeps(ds)
    result = fit_dataset(sweeps, options, report=report)
    if result is None:
        return _empty(ds, "no V(I) sweep has enough points to be fitted")
    table = _Table(ds, sweeps, result, options, temperature, field)
    return table.build()


# ------------------------------------------------------------------------------------------ input
def _reason_missing(ds: xr.Dataset) -> str | None:
    if int(ds.attrs.get("measured", 1)) != 1:
        return str(ds.attrs.get("reason", "not measured"))
    if "V" not in ds:
        return "the dataset has no voltage"
    return None


def _empty(ds: xr.Dataset, reason: str) -> xr.Dataset:
    import xarray as xr

    attrs = {k: v for k, v in ds.attrs.items() if k in _KEPT_ATTRS}
    return xr.Dataset(attrs={**attrs, "measured": 0, "reason": reason})


_KEPT_ATTRS = ("title", "sample", "measurement", "configuration", "orientation", "provenance")


def _stacked(ds: xr.Dataset, name: str, shape: tuple[int, ...]) -> Array:
    """Return a variable as (traces, directions, points), NaN if it is not there."""
    dims = ("T", "B", "theta", "branch", "I")
    if name not in ds:
        return np.full(shape, np.nan)
    da = ds[name]
    if "branch" not in da.dims:
        da = da.expand_dims("branch")
    da = da.transpose(*dims)
    return np.asarray(da.values, dtype=float).reshape(shape)


def _sweeps(ds: xr.Dataset) -> tuple[Sweeps, Array, Array]:
    """Sweeps to fit, and the readings of thermometer and magnet, each (n, b, m)."""
    sizes = {d: ds.sizes.get(d, 1) for d in ("T", "B", "theta", "branch", "I")}
    n = sizes["T"] * sizes["B"] * sizes["theta"]
    shape = (n, sizes["branch"], sizes["I"])
    V = _stacked(ds, "V", shape)
    I = _stacked(ds, "I_measured", shape)
    grid = np.asarray(ds["I"].values, dtype=float)
    I = np.where(np.isfinite(I), I, np.where(np.isfinite(V), grid, np.nan))
    temperature = _stacked(ds, "T_measured", shape)
    field = _stacked(ds, "B_measured", shape)
    axes = tuple(np.asarray(ds[d].values, dtype=float) for d in ("T", "B", "theta"))
    set_point = np.broadcast_to(
        axes[0][:, None, None], (sizes["T"], sizes["B"], sizes["theta"])
    ).ravel()
    smooth, noise, share = smooth_temperature(temperature)
    flat = temperature.reshape(n, -1)
    known = np.isfinite(flat).any(axis=1)
    mean = np.where(known, np.nanmean(np.where(known[:, None], flat, 0.0), axis=1), set_point)
    # A dataset without declared temperatures is analysed at the temperatures it was taken at.
    target = np.where(np.isfinite(set_point), set_point, mean)
    sweeps = Sweeps(
        grid=grid,
        I=I,
        V=V,
        T=mean,
        T_set=target,
        dT=smooth - target[:, None, None],
        thermometer_noise=noise,
        rough_share=share.mean(axis=1),
        shape=(sizes["T"], sizes["B"], sizes["theta"]),
        axes=axes,  # type: ignore[arg-type]
    )
    return sweeps, temperature, field


# ----------------------------------------------------------------------------------------- output
class _Table:
    """Turns a `DatasetFit` into labelled variables."""

    def __init__(
        self,
        ds: xr.Dataset,
        sweeps: Sweeps,
        result: DatasetFit,
        options: Options,
        temperature: Array,
        field: Array,
    ) -> None:
        self.ds, self.sweeps, self.result, self.options = ds, sweeps, result, options
        self.temperature, self.field = temperature, field
        self.fit, self.layout = result.fit, result.fit.layout
        K = self.layout.channels
        configuration = str(ds.attrs.get("configuration", ""))
        # The film alone shows one channel, and it is the film's; elsewhere channels count from
        # the lowest one that the data show.
        first = max(NBN_CHANNEL + 1 - K, 0) if configuration == "NbN" else 0
        self.labels = first + np.arange(K)
        self.channels = max(CHANNELS, first + K)
        rest = np.where(result.used, sweeps.V - self.fit.V.reshape(result.I.shape), np.nan)
        self.correlation = residual_correlation(rest / result.sigma)
        self.inflation = np.sqrt(np.fmax(1.0, self.fit.chi2_nu) * self.correlation)

    def build(self) -> xr.Dataset:
        """Return the table."""
        import xarray as xr

        dims = ("T", "B", "theta")
        shape = self.sweeps.shape
        variables: dict[str, Any] = {}
        for name, (values, units, text) in self._by_channel().items():
            full = np.full((self.channels, *shape), np.nan)
            full[self.labels] = values.T.reshape(self.layout.channels, *shape)
            if units == "flag":
                # What the data do not show at all is censored too, never zero.
                full = np.where(np.isfinite(full), full, 1 if name == "censored" else 0)
                variables[name] = (("channel", *dims), full.astype(np.int8), {"long_name": text})
            else:
                variables[name] = (("channel", *dims), full, _attrs(units, text))
        for name, (values, units, text) in self._by_trace().items():
            variables[name] = (dims, values.reshape(shape), _attrs(units, text))
        for name, (values, units, text) in self._by_point().items():
            variables[name] = ((*dims, "I"), values.reshape(*shape, -1), _attrs(units, text))
        coords: dict[str, Any] = {
            "channel": (
                "channel",
                np.arange(self.channels),
                {"long_name": "channel k of the paper, by order of critical current"},
            )
        }
        for name in (*dims, "I"):
            coords[name] = (name, self.ds[name].values.astype(float), dict(self.ds[name].attrs))
        out = xr.Dataset(variables, coords=coords, attrs=self._attributes())
        for name in out.variables:
            out[name].encoding = {}
        return out

    # ---- channels ------------------------------------------------------------------------------
    def _by_channel(self) -> dict[str, tuple[Array, str, str]]:
        fit, layout, resolved = self.fit, self.layout, self.result.resolved
        K = layout.channels
        scale = self.inflation[:, None]
        Ic = np.exp(fit.parameters[:, layout.ln_Ic])
        Ic_err = Ic * fit.errors[:, layout.ln_Ic] * scale
        width, width_err = vi_fit.peak_widths(fit)
        noise_columns = [layout.noise_of(k) for k in range(K)]
        Tn = np.exp(fit.parameters[:, noise_columns])
        Tn_err = Tn * fit.errors[:, noise_columns] * scale
        R = fit.parameters[:, layout.R]
        R_err = fit.errors[:, layout.R] * scale
        beta = fit.parameters[:, layout.beta]
        beta_err = fit.errors[:, layout.beta] * scale
        followed = fit.free[:, layout.beta]
        extra, drift = self._instability(Ic, Ic_err, beta)
        Ic_err = np.sqrt(Ic_err**2 + extra**2)

        def shown(values: Array) -> Array:
            return np.where(resolved, values, np.nan)

        limit = np.where(resolved, Ic, self.result.limit)
        return {
            "Ic": (
                limit,
                "mA",
                "critical current at the set-point; of censored channels the 95 % "
                "upper limit, if known",
            ),
            "Ic_err": (
                shown(Ic_err),
                "mA",
                "standard uncertainty of Ic without calibration errors",
            ),
            "Ic_err_calibration": (
                shown(drift),
                "mA",
                "standard uncertainty of Ic from the calibration of current, field and "
                "thermometer, common to a dataset",
            ),
            "Ic_difference": (
                shown(self.result.polarity[0]),
                "mA",
                "critical current at positive minus that at negative current",
            ),
            "Ic_difference_err": (
                shown(self.result.polarity[1] * np.sqrt(self.correlation)[:, None]),
                "mA",
                "standard uncertainty of Ic_difference",
            ),
            "width": (shown(width), "mA", "full width at half maximum of the channel's dV/dI peak"),
            "width_err": (shown(width_err * scale), "mA", "standard uncertainty of width"),
            "Tn": (shown(Tn), "K", "noise temperature"),
            "Tn_err": (shown(Tn_err), "K", "standard uncertainty of Tn"),
            "R": (shown(R), "ohm", "normal resistance of the channel"),
            "R_err": (shown(R_err), "ohm", "standard uncertainty of R"),
            "dlnIc_dT": (
                np.where(resolved & followed, beta, np.nan),
                "K-1",
                "logarithmic temperature slope of Ic used to refer it to the set-point",
            ),
            "dlnIc_dT_err": (
                np.where(resolved & followed, beta_err, np.nan),
                "K-1",
                "standard uncertainty of dlnIc_dT",
            ),
            "significance": (
                self.result.significance,
                "1",
                "square root of the rise of chi-square without the channel",
            ),
            "censored": ((~resolved).astype(float), "flag", "1 where the channel is not resolved"),
            "resolved": (resolved.astype(float), "flag", "1 where the channel is resolved"),
        }

    def _instability(self, Ic: Array, Ic_err: Array, beta: Array) -> tuple[Array, Array]:
        """Errors of Ic from temperature and field: those of a sweep, and those of calibrations."""
        n, K = Ic.shape
        extra = np.zeros((n, K))
        T = np.maximum(self.sweeps.T, 0.05)[:, None]
        followed = self.fit.free[:, self.layout.beta]
        # Where the fit does not tell: the neighbouring set-points, or dln Ic/dln T of one half.
        slope_T = np.where(
            followed, np.abs(beta) * Ic, np.fmax(self._slope_along(0, Ic), 0.5 / T * Ic)
        )
        if not self.result.follows_thermometer:
            # Not corrected: the whole deviation and scatter of the readings count.
            dT = self.sweeps.dT.reshape(n, -1)
            known = np.isfinite(dT).any(axis=1)
            rms = np.sqrt(np.nanmean(np.where(known[:, None], dT, 0.0) ** 2, axis=1))
            extra = slope_T * rms[:, None]
        slope_B = self._slope_along(1, Ic)
        deviation, scatter = self._field_deviation()
        extra = np.sqrt(extra**2 + np.square(slope_B * np.hypot(deviation, scatter)[:, None]))
        B = self._set_point(1)
        # Trapped flux matters at low field only.
        trapped = self.options.field_accuracy_T / (1.0 + np.square(B / 2.0))
        drift = np.sqrt(
            np.square(Ic * self.options.current_accuracy)
            + np.square(slope_B * trapped[:, None])
            + np.square(slope_T * (self.options.temperature_accuracy * T))
        )
        return extra, drift

    def _set_point(self, axis: int) -> Array:
        values = np.nan_to_num(self.sweeps.axes[axis])
        shape = [1, 1, 1]
        shape[axis] = -1
        return np.broadcast_to(values.reshape(shape), self.sweeps.shape).ravel()

    def _field_deviation(self) -> tuple[Array, Array]:
        """Mean deviation of the measured field from its set-point, and its standard error, T."""
        n = self.sweeps.n
        flat = self.field.reshape(n, -1)
        count = np.isfinite(flat).sum(axis=1)
        known = count > 1
        safe = np.where(known[:, None], flat, 0.0)
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(safe, axis=1)
            error = np.nanstd(safe, axis=1) / np.sqrt(np.maximum(count, 1))
        declared = np.broadcast_to(
            np.asarray(self.sweeps.axes[1], dtype=float)[None, :, None], self.sweeps.shape
        ).ravel()
        deviation = np.where(known & np.isfinite(declared), mean - declared, 0.0)
        return np.abs(deviation), np.where(known, error, 0.0)

    def _slope_along(self, axis: int, Ic: Array) -> Array:
        """abs(dIc/dx) from neighbouring sweeps in mA/K or mA/T; 0 where x was not swept."""
        x = np.asarray(self.sweeps.axes[axis], dtype=float)
        if x.size < 3 or not np.isfinite(x).all():
            return np.zeros_like(Ic)
        lines = np.where(self.result.resolved, Ic, np.nan).reshape(*self.sweeps.shape, -1)
        lines = np.moveaxis(lines, axis, 0)
        distance = np.diff(x)
        distance = np.where(distance == 0, np.inf, distance)
        steps = np.diff(lines, axis=0) / distance[:, None, None, None]
        # The steeper side, so that no step at a kink is averaged away.
        left = np.concatenate([steps[:1], steps])
        right = np.concatenate([steps, steps[-1:]])
        steeper = np.fmax(np.abs(left), np.abs(right))
        return np.nan_to_num(np.moveaxis(steeper, 0, axis)).reshape(Ic.shape)

    # ---- traces --------------------------------------------------------------------------------
    def _by_trace(self) -> dict[str, tuple[Array, str, str]]:
        fit, layout, sweeps = self.fit, self.layout, self.sweeps
        n = sweeps.n
        x, errors = fit.parameters, fit.errors
        has = fit.free[:, layout.andreev].any(axis=1)
        R_AR = np.where(has, np.exp(x[:, layout.contact.start]), 0.0)
        zero, zero_err, curvature, curvature_err, background, background_err = self._zero_bias(R_AR)
        # The height is judged on what was measured at zero bias, not on the model's own peak.
        with np.errstate(invalid="ignore", divide="ignore"):
            # A superconducting background is no reference for a height.
            known = background > 5.0 * np.hypot(background_err, zero_err)
        background_or_nan = np.where(known, background, np.nan)
        height = zero / background_or_nan - 1.0
        height_err = (
            np.hypot(zero_err, background_err * zero / background_or_nan) / background_or_nan
        )
        R0, R0_err = self._lowest_resistance()
        chi2, asymmetry = self._symmetry()
        T_mean, T_err = _mean_and_error(self.temperature)
        B_mean, B_err = _mean_and_error(self.field)
        window = self.options.peak_window_mA
        counts = np.array(
            [
                [
                    np.sum((p.position >= window[0]) & (p.position <= window[1]))
                    for p in (*pair, ridges.match_polarities(*pair))
                ]
                for pair in self.result.peaks
            ],
            dtype=float,
        ).reshape(n, 3)
        usable = np.isfinite(fit.chi2)
        counts[~usable] = np.nan
        gap = np.where(has, x[:, layout.gap], np.nan)
        gap_err = np.where(has, errors[:, layout.gap] * self.inflation, np.nan)
        moved = fit.free[:, 0]
        return {
            "V0": (np.where(usable, x[:, layout.V0], np.nan), "mV", "offset voltage"),
            "V0_err": (errors[:, layout.V0] * self.inflation, "mV", "standard uncertainty of V0"),
            "I0": (np.where(moved, x[:, 0], np.nan), "mA", "offset current of the current axis"),
            "I0_err": (
                np.where(moved, errors[:, 0] * self.inflation, np.nan),
                "mA",
                "standard uncertainty of I0",
            ),
            "R_s": (
                np.where(usable, x[:, layout.R_s] + R_AR, np.nan),
                "ohm",
                "series resistance, with the normal resistance of the Andreev contact",
            ),
            "gap": (gap, "meV", "gap of the Andreev contact"),
            "gap_err": (gap_err, "meV", "standard uncertainty of gap"),
            "chi2_nu": (fit.chi2_nu, "1", "reduced chi-square of the fit of V(I)"),
            "residual_correlation": (
                np.where(usable, self.correlation, np.nan),
                "1",
                "variance of block means of the residual over that of white noise",
            ),
            "dVdI0": (zero, "ohm", "differential resistance at zero bias"),
            "dVdI0_err": (zero_err, "ohm", "standard uncertainty of dVdI0"),
            "dVdI0_curvature": (
                curvature,
                "ohm mA-2",
                "second derivative of dV/dI by current at zero bias",
            ),
            "dVdI0_curvature_err": (
                curvature_err,
                "ohm mA-2",
                "standard uncertainty of dVdI0_curvature",
            ),
            "R_bg": (
                background,
                "ohm",
                "zero-bias differential resistance with the Andreev contact in the normal state",
            ),
            "R_bg_err": (background_err, "ohm", "standard uncertainty of R_bg"),
            "ar_height": (height, "1", "height of the Andreev feature, dVdI0/R_bg - 1"),
            "ar_height_err": (height_err, "1", "standard uncertainty of ar_height"),
            "R0": (R0, "ohm", "V/I at the smallest current of either sign, offset removed"),
            "R0_err": (R0_err, "ohm", "standard uncertainty of R0"),
            "n_peaks_pos": (counts[:, 0], "1", "peaks of dV/dI at positive current"),
            "n_peaks_neg": (counts[:, 1], "1", "peaks of dV/dI at negative current"),
            "n_peaks_matched": (
                counts[:, 2],
                "1",
                "peaks of dV/dI that appear at both polarities",
            ),
            "symmetry_chi2": (
                chi2,
                "1",
                "reduced chi-square of V(I) + V(-I) = const after one offset current",
            ),
            "asymmetry": (
                asymmetry,
                "mV",
                "root mean square of [V(I) + V(-I) - const]/2 after one offset current",
            ),
            "T_mean": (T_mean, "K", "mean of the measured temperature"),
            "T_err": (T_err, "K", "scatter of the measured temperature within the sweep"),
            "B_mean": (B_mean, "T", "mean of the measured field"),
            "B_err": (B_err, "T", "scatter of the measured field within the sweep"),
            "outliers": (self.result.outliers.astype(float), "1", "single points left out"),
        }

    def _zero_bias(self, R_AR: Array) -> tuple[Array, ...]:
        """Value and curvature of dV/dI at zero bias, and the background without Andreev feature.

        The local polynomial is corrected by what it makes of the fitted curve itself, so that its
        smoothing bias drops out where the model fits, and the value stays that of the data.
        """
        fit, layout, sweeps = self.fit, self.layout, self.sweeps
        n = sweeps.n
        x = fit.parameters
        half = self.options.zero_bias_window_mA
        step = float(np.median(np.diff(sweeps.grid))) if sweeps.grid.size > 1 else half
        half = max(half, 2.6 * step)
        I = self.result.I.reshape(n, -1) - x[:, :1]
        sigma = self.result.sigma.reshape(n, -1)
        V = np.where(self.result.used.reshape(n, -1), sweeps.V.reshape(n, -1), np.nan)
        data, data_err = derivative.local_derivatives(I, V, sigma, half_width=half)
        smoothed, _ = derivative.local_derivatives(
            I, np.where(np.isfinite(V), fit.V, np.nan), sigma, half_width=half
        )
        fine = np.linspace(-1.0, 1.0, 21)[None, :] * (0.25 * half) + x[:, :1]
        T = sweeps.T_set if self.result.follows_thermometer else sweeps.T
        curve = vi_fit.model(fine, T, x, layout, fit.free)
        exact, _ = derivative.local_derivatives(
            fine - x[:, :1], curve, 1.0, half_width=0.25 * half, degree=5
        )
        correction = exact - smoothed
        value = data[:, 1] + correction[:, 1]
        curvature = data[:, 3] + correction[:, 3]
        scale = self.inflation
        # Background: series, normal contact and what the channels let through at zero bias.
        resistance = np.where(fit.free[:, layout.R], x[:, layout.R], 0.0)
        gradient = np.zeros((n, layout.size))
        gradient[:, layout.R_s] = 1.0
        background = x[:, layout.R_s] + R_AR
        gradient[:, layout.contact.start] = R_AR
        for k in range(layout.channels):
            there = fit.free[:, layout.R.start + k]
            Ic = np.exp(np.where(there, x[:, 1 + k], 0.0))
            Tn = np.exp(np.where(there, x[:, layout.noise_of(k)], 0.0))
            gamma = rsj.gamma(Ic, Tn)
            open_ = np.where(there, rsj.differential_resistance(0.0, gamma), 0.0)
            background = background + resistance[:, k] * open_
            gradient[:, layout.R.start + k] = open_
            step_ = 1e-4
            up = rsj.differential_resistance(0.0, gamma * np.exp(step_))
            down = rsj.differential_resistance(0.0, gamma * np.exp(-step_))
            by_log = np.where(there, resistance[:, k] * (up - down) / (2 * step_), 0.0)
            gradient[:, 1 + k] += by_log
            gradient[:, layout.noise_of(k)] -= by_log
        covariance = np.nan_to_num(fit.covariance)
        variance = np.einsum("ni,nij,nj->n", gradient, covariance, gradient)
        background_err = np.sqrt(np.maximum(variance, 0.0)) * scale
        background = np.where(np.isfinite(fit.chi2), background, np.nan)
        return (
            value,
            data_err[:, 1] * scale,
            curvature,
            data_err[:, 3] * scale,
            background,
            background_err,
        )

    def _lowest_resistance(self) -> tuple[Array, Array]:
        """V/I between the points nearest to zero bias on either side."""
        n = self.sweeps.n
        x = self.fit.parameters
        I = self.result.I.reshape(n, -1) - x[:, :1]
        V = np.where(self.result.used.reshape(n, -1), self.sweeps.V.reshape(n, -1), np.nan)
        sigma = self.result.sigma.reshape(n, -1)
        R0, error = np.full(n, np.nan), np.full(n, np.nan)
        step = float(np.median(np.diff(self.sweeps.grid))) if self.sweeps.grid.size > 1 else 0.0
        for j in range(n):
            ok = np.isfinite(V[j]) & np.isfinite(I[j])
            plus = np.flatnonzero(ok & (I[j] > 0.5 * step))
            minus = np.flatnonzero(ok & (I[j] < -0.5 * step))
            if not plus.size or not minus.size:
                continue
            a, b = plus[np.argmin(I[j, plus])], minus[np.argmax(I[j, minus])]
            span = I[j, a] - I[j, b]
            R0[j] = (V[j, a] - V[j, b]) / span
            error[j] = np.hypot(sigma[j, a], sigma[j, b]) / span
        return R0, error

    def _symmetry(self) -> tuple[Array, Array]:
        """Antisymmetry of V: V(I) + V(-I) must be constant once the current axis is centred."""
        grid = self.sweeps.grid
        n, m = self.sweeps.n, grid.size
        chi2, rms = np.full(n, np.nan), np.full(n, np.nan)
        if m < 8 or not np.allclose(grid + grid[::-1], 0.0, atol=1e-6 * np.ptp(grid)):
            return chi2, rms
        half = np.flatnonzero(grid > 0)
        mirror = m - 1 - half
        used = self.result.used
        # What the wandering temperature did to the two halves is known and taken away.
        V = np.where(used, self.result.on_grid - np.nan_to_num(self.result.thermal), np.nan)
        sigma = self.result.sigma
        for j in range(n):
            total = 0.5 * (V[j][:, half] + V[j][:, mirror])
            error = 0.5 * np.hypot(sigma[j][:, half], sigma[j][:, mirror])
            slope = 0.5 * (self.result.slope[j][half] + self.result.slope[j][mirror])
            ok = np.isfinite(total) & np.isfinite(error) & np.isfinite(slope)[None, :]
            if ok.sum() < 8:
                continue
            y, s = total[ok], error[ok]
            lever = np.broadcast_to(slope, total.shape)[ok]
            lever = lever - lever.mean()
            design = np.stack([np.ones_like(y), lever], axis=1) / s[:, None]
            solution, *_ = np.linalg.lstsq(design, y / s, rcond=None)
            rest = y - solution[0] - solution[1] * lever
            chi2[j] = np.sum(np.square(rest / s)) / (y.size - 2)
            rms[j] = np.sqrt(np.mean(np.square(rest)))
        return chi2, rms

    # ---- points --------------------------------------------------------------------------------
    def _by_point(self) -> dict[str, tuple[Array, str, str]]:
        shape = self.result.I.shape
        V_fit = _mean_of(self.fit.V.reshape(shape))
        rest = np.where(self.result.used, self.sweeps.V - self.fit.V.reshape(shape), np.nan)
        return {
            "dVdI": (self.result.slope, "ohm", "differential resistance, smoothed"),
            "dVdI_err": (self.result.slope_sigma, "ohm", "standard uncertainty of dVdI"),
            "V_fit": (V_fit, "mV", "fitted voltage"),
            "residual": (_mean_of(rest), "mV", "measured minus fitted voltage"),
        }

    def _attributes(self) -> dict[str, Any]:
        result, layout = self.result, self.layout
        attrs = {k: v for k, v in self.ds.attrs.items() if k in _KEPT_ATTRS}
        attrs.update(
            measured=1,
            channels_found=int(result.order_test.get("channels", layout.channels)),
            order_test=json.dumps(result.order_test, sort_keys=True),
            has_andreev=int(result.has_andreev),
            current_axis=result.current,
            follows_thermometer=int(result.follows_thermometer),
            noise_voltage_mV=result.noise.voltage,
            noise_current_mA=result.noise.current,
            thermometer_noise_K=self.sweeps.thermometer_noise,
            options=self.options.model_dump_json(),
        )
        undetermined = self._undetermined()
        if undetermined:
            attrs["undetermined"] = json.dumps(undetermined, sort_keys=True)
        if result.has_andreev:
            errors = np.sqrt(np.maximum(np.diag(result.contact_covariance), 0.0))
            R_AR = float(np.exp(result.contact[0]))
            attrs.update(
                R_AR_ohm=R_AR,
                R_AR_err_ohm=float(R_AR * errors[0]),
                Z=float(result.contact[1]),
                Z_err=float(errors[1]),
                P=float(result.contact[2]),
                P_err=float(errors[2]),
                contact_covariance=json.dumps(result.contact_covariance.tolist()),
            )
            T = float(self.sweeps.T[result.reference])
            gap = float(self.fit.parameters[result.reference, layout.gap])
            attrs["zero_bias_ratio_reference"] = float(
                andreev.zero_bias_resistance(T, gap, result.contact[1], result.contact[2])
            )
        return attrs

    def _undetermined(self) -> dict[str, str]:
        """Why channels are undetermined although something is there: label -> sentence."""
        first = self.result.ambiguous_from
        reasons = {}
        for k, label in enumerate(self.labels):
            pairs = [
                f"Ic{self.labels[other]}"
                for other in (k - 1, k + 1)
                if 0 <= other < self.labels.size
                and np.any(self.result.merged[:, k] & self.result.merged[:, other])
            ]
            if pairs:
                names = " and ".join(pairs)
                reasons[str(label)] = f"merged channels: Ic{label} cannot be told from {names}"
        if first is not None:
            why = (
                f"merged channels: what looks like channel {self.labels[first]} is more than one,"
                " so labels from there on are unknown"
            )
            reasons |= {str(label): why for label in range(self.labels[first], self.channels)}
        return reasons


def _attrs(units: str, long_name: str) -> dict[str, str]:
    return {"units": units, "long_name": long_name}


def _mean_of(values: Array) -> Array:
    finite = np.isfinite(values)
    count = finite.sum(axis=1)
    total = np.where(finite, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_and_error(values: Array) -> tuple[Array, Array]:
    """Mean and scatter of the readings of each trace."""
    flat = values.reshape(values.shape[0], -1)
    known = np.isfinite(flat).any(axis=1)
    safe = np.where(known[:, None], flat, 0.0)
    mean, scatter = np.nanmean(safe, axis=1), np.nanstd(safe, axis=1)
    return np.where(known, mean, np.nan), np.where(known, scatter, np.nan)


# --------------------------------------------------------------------------------------------- CLI
def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage from the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    from nbnmbt import provenance

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.analysis.critical_currents",
        description="Critical currents from joint fits of V(I).",
    )
    parser.add_argument("--dataset", required=True, help="V-I dataset (.nc)")
    parser.add_argument("--options", default="{}", help="JSON of Options, or a file that holds it")
    parser.add_argument("--out", required=True, help="critical currents (.nc)")
    args = parser.parse_args(argv)
    options = parse_options(Options, args.options)
    ds = open_measured(args.dataset)
    assert ds is not None
    name = f"{ds.attrs.get('sample', '')}: {ds.attrs.get('measurement', '')}"
    out = extract(ds, options, report=lambda line: print(f"{name}: {line}", flush=True))
    stamp = provenance.stamp(
        [args.dataset],
        options.model_dump(mode="json"),
        sample=str(ds.attrs.get("sample", "")),
        provenance=str(ds.attrs.get("provenance", "synthetic")),
    )
    out.attrs.update(provenance.netcdf_attributes(stamp))
    write_netcdf(out, args.out)
    if not out.attrs["measured"]:
        print(f"{name}: {out.attrs['reason']}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
