"""Strategy of fitting a whole dataset of V(I) sweeps: seeds, model order, contact, censoring.

`vi_fit` fits given channels to given traces. Here is decided which channels there are:

1. choose the current axis and estimate the noise from the data (`sweep_noise`);
2. find peaks of dV/dI on both polarities and track them through the dataset (`channel_seeding`,
   `ridges`);
3. at the reference trace (lowest temperature and field) fit from many starts (`start_values`),
   decide whether there is an Andreev contact and how many channels (`channel_order`, AICc);
4. fit all traces at once; let the critical currents follow the thermometer, if that lowers chi2
   (`joint_fit`, `channel_priors`);
5. determine the contact (R_AR, Z, P) once, from traces in which it is strong, and hand it to all
   others as Gaussian prior knowledge: within one trace Z and P are nearly degenerate (`joint_fit`);
6. extend each channel beyond its last visible peak as far as the improvement of chi2 is
   significant; what is left is censored, with an upper limit where one can be given (`censoring`);
7. ask where channels have merged (`merging`): those are undetermined, not mislabelled.

The steps share their state (`fit_state`); `critical_currents` labels the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis import ridges, vi_fit
from nbnmbt.analysis.fit_state import FitOptions
from nbnmbt.analysis.merging import Mergers
from nbnmbt.analysis.sweep_noise import Noise, Sweeps
from nbnmbt.physics import rsj

__all__ = ["DatasetFit", "FitOptions", "Noise", "Sweeps", "fit_dataset"]

Array = NDArray[np.float64]


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
    work.restore()
    work.test_following()
    work.fit_contact()
    work.refine()
    work.extend()
    work.restore()
    work.judge()
    work.polish()
    work.find_mergers()
    work.find_limits()
    return work.result()


class _Work(Mergers):
    """All steps, and what they found."""

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
