"""Temperature at which the zero-bias Andreev peak vanishes.

A dV/dI maximum at zero bias means suppressed Andreev reflection (barrier or spin polarisation).
Its height is not proportional to T_AR - T: a straight line through it overshoots the temperature
at which it vanishes by 0.4 K or more. The height is therefore scaled by Blonder-Tinkham-Klapwijk
theory with Mazin's polarisation (`nbnmbt.physics.andreev`) and the BCS gap.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.analysis.curves import Curve, unmeasured_reason, variable_curve
from nbnmbt.analysis.estimate import Estimate, definition_of, estimated, undetermined
from nbnmbt.analysis.monotone import monotone_trend
from nbnmbt.physics import andreev, bcs, constants

if TYPE_CHECKING:
    import xarray as xr
    from scipy.interpolate import RectBivariateSpline

__all__ = [
    "Options",
    "PeakFit",
    "extrapolated_temperature",
    "fit_peak",
    "peak_height",
    "run",
    "vanishing_temperature",
]

_LEAST_DILUTION = 0.02
_LARGEST_BARRIER = 3.0
_LARGEST_POLARISATION = 0.99
_COLDEST, _HOTTEST = 0.03, 300.0  # range of kT over gap in the table


class Options(BaseModel):
    """Choices for the Andreev peak; each has the range over which its effect is surveyed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lowest_temperature_K: float | None = Field(
        None,
        description="Leave out lower temperatures (None: keep all).",
        json_schema_extra={"sweep": [None, 2.5, 3.0]},
    )
    highest_temperature_K: float | None = Field(
        None,
        description="Leave out higher temperatures (None: keep all).",
        json_schema_extra={"sweep": [None, 8.0, 10.0]},
    )
    gap_ratio: float = Field(
        bcs.DELTA0_OVER_KTC,
        gt=1,
        lt=3,
        description="Zero-temperature gap over k T_AR.",
        json_schema_extra={"sweep": [1.7639, 1.9, 2.1]},
    )
    free_dilution: bool = Field(
        True,
        description="Let a fitted fraction of the background resistance belong to the contact.",
        json_schema_extra={"sweep": [True, False]},
    )
    mask_transitions: bool = Field(
        True,
        description="Leave out temperatures at which a channel is vanishing (censored with an upper"
        " limit): what it adds to the resistance at zero bias is not known there.",
        json_schema_extra={"sweep": [True, False]},
    )
    detection: float = Field(
        5.0,
        gt=0,
        description="Standard uncertainties by which the peak must exceed zero somewhere.",
        json_schema_extra={"sweep": [3.0, 5.0]},
    )
    negligible: float = Field(
        0.02,
        gt=0,
        description="Height at the lowest temperature, as a fraction of the background, below which"
        " the peak counts as absent.",
        json_schema_extra={"sweep": [0.01, 0.02, 0.05]},
    )
    absence_below_K: float = Field(
        4.0,
        gt=0,
        description="The peak counts as absent only if it was looked for below this temperature.",
    )
    extrapolation_range_K: tuple[float, float] = Field(
        (4.0, 5.5), description="Range of the linear extrapolation quoted as a rival."
    )
    monotone_draws: int = Field(
        2000, ge=100, description="Simulated data sets of the isotonic regression test."
    )


@dataclass(frozen=True, kw_only=True)
class PeakFit:
    """BTK fit of the peak height against temperature.

    Attributes
    ----------
    temperature, uncertainty : float
        T_AR and its standard uncertainty (K).
    barrier, polarisation, dilution : float
        Z, P and the fraction of the background resistance that belongs to the contact; only their
        combination in the height is determined, so they are no measurement of the contact.
    chi2_nu : float
        Reduced chi-squared.
    n : int
        Points.
    reason : str or None
        Why there is no fit.
    """

    temperature: float = math.nan
    uncertainty: float = math.nan
    barrier: float = math.nan
    polarisation: float = math.nan
    dilution: float = math.nan
    chi2_nu: float = math.nan
    n: int = 0
    reason: str | None = None


def peak_height(
    T: np.ndarray,
    T_AR: float,
    Z: float,
    P: float,
    dilution: float = 1.0,
    gap_ratio: float = bcs.DELTA0_OVER_KTC,
) -> np.ndarray:
    """Height R(0)/R_bg - 1 of the zero-bias peak of a contact whose gap closes at `T_AR`.

    Parameters
    ----------
    T : ndarray
        Temperatures (K).
    T_AR : float
        Temperature at which the gap closes (K).
    Z, P : float
        Barrier and polarisation.
    dilution : float
        Fraction of the background resistance that belongs to the contact.
    gap_ratio : float
        Gap at zero temperature over k T_AR.

    Returns
    -------
    ndarray
        The shape of `T`; 0 above `T_AR`.
    """
    T = np.asarray(T, dtype=float)
    gap = bcs.gap(T, T_AR, gap_ratio)
    height = np.zeros(T.shape)
    on = gap > 0
    if on.any():
        height[on] = andreev.zero_bias_resistance(T[on], gap[on], Z, P) - 1
    return dilution * height


@lru_cache(maxsize=1)
def _table() -> tuple[RectBivariateSpline, RectBivariateSpline]:
    """Zero-bias G/G_N without and with full polarisation over (ln kT/gap, Z); G is linear in P."""
    from scipy.interpolate import RectBivariateSpline

    log_x = np.linspace(math.log(_COLDEST), math.log(_HOTTEST), 90)
    Z = np.linspace(0.0, _LARGEST_BARRIER, 61)
    gap = constants.K_B_meV / np.exp(log_x)[:, None] * np.ones_like(Z)  # at 1 K
    splines = [
        RectBivariateSpline(
            log_x, Z, 1 / andreev.zero_bias_resistance(1.0, gap, Z[None, :] + 0 * gap, P), s=0
        )
        for P in (0.0, 1.0)
    ]
    return splines[0], splines[1]


def _tabulated_height(
    T: np.ndarray, T_AR: np.ndarray, Z: np.ndarray, P: np.ndarray, gap_ratio: float
) -> np.ndarray:
    """`peak_height` at unit dilution for many contacts at once, shape (contacts, temperatures)."""
    gap = bcs.gap(T[None, :], T_AR[:, None], gap_ratio)
    with np.errstate(divide="ignore"):
        log_x = np.log(constants.K_B_meV * T[None, :] / gap)
    inside = np.clip(log_x, math.log(_COLDEST), math.log(_HOTTEST))
    plain, polarised = (
        spline.ev(inside.ravel(), np.repeat(Z, T.size)).reshape(inside.shape) for spline in _table()
    )
    G = plain + P[:, None] * (polarised - plain)
    return np.where(gap > 0, 1 / G - 1, 0.0)


def _profile(
    T: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    temperatures: np.ndarray,
    gap_ratio: float,
    free_dilution: bool,
    start: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest chi-squared at each T_AR and the (Z, P, dilution) that give it.

    Barrier and polarisation are fitted by a damped Gauss-Newton iteration in all candidates at
    once, from `start` or from the best point of a coarse grid. The dilution is linear and solved
    for.
    """
    m = temperatures.size

    def residuals(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        unit = _tabulated_height(T, temperatures, p[:, 0], p[:, 1], gap_ratio)
        dilution = np.ones(m)
        if free_dilution:
            norm = np.sum((unit / sigma) ** 2, axis=1)
            overlap = np.sum(unit * y / sigma**2, axis=1)
            dilution = np.divide(overlap, norm, out=np.ones(m), where=norm > 0)
            dilution = np.clip(dilution, _LEAST_DILUTION, 1.0)
        return (y - dilution[:, None] * unit) / sigma, dilution

    low, high = np.zeros(2), np.array([_LARGEST_BARRIER, _LARGEST_POLARISATION])
    p = np.empty((m, 2))
    chi2 = np.full(m, np.inf)
    grid = [(Z, P) for Z in (0.05, 0.2, 0.4, 0.7, 1.2) for P in (0.05, 0.3, 0.5, 0.65, 0.85)]
    for point in grid if start is None else [start]:
        trial = np.tile(point, (m, 1))
        value = np.sum(residuals(trial)[0] ** 2, axis=1)
        better = value < chi2
        p[better], chi2[better] = trial[better], value[better]
    damping = np.full(m, 1e-2)
    r, dilution = residuals(p)
    step = 1e-4
    for _ in range(40):
        # One-sided differences towards the inside of the bounds.
        sign = np.where(p + step > high, -1.0, 1.0)
        jacobian = np.stack(
            [
                (residuals(p + sign[:, [c]] * step * np.eye(2)[c])[0] - r) / (sign[:, [c]] * step)
                for c in range(2)
            ],
            axis=-1,
        )
        normal = np.einsum("mnc,mnd->mcd", jacobian, jacobian)
        gradient = np.einsum("mnc,mn->mc", jacobian, r)
        diagonal = np.einsum("mcc->mc", normal)
        damped = normal + (damping[:, None] * diagonal + 1e-12)[:, :, None] * np.eye(2)
        trial = np.clip(p - np.linalg.solve(damped, gradient[..., None])[..., 0], low, high)
        trial_r, trial_dilution = residuals(trial)
        value = np.sum(trial_r**2, axis=1)
        better = value < chi2
        gain = np.where(better, chi2 - value, 0.0)
        p[better], r[better], dilution[better] = (
            trial[better],
            trial_r[better],
            trial_dilution[better],
        )
        chi2 = np.where(better, value, chi2)
        damping = np.where(better, damping / 8, damping * 8)
        # Candidates far above the smallest chi-squared carry no weight; they need not converge.
        done = (better & (gain < 1e-3)) | (damping > 1e7)
        if np.all(done[chi2 < chi2.min() + 50]):
            break
    return chi2, np.column_stack([p, dilution])


def fit_peak(
    curve: Curve, *, gap_ratio: float = bcs.DELTA0_OVER_KTC, free_dilution: bool = True
) -> PeakFit:
    """Profile T_AR in the height of the zero-bias peak over barrier, polarisation and dilution.

    The gap closes like a square root, so chi-squared has a kink at each measured temperature and
    a gradient method sticks to them: T_AR is scanned instead, and its mean and standard deviation
    over the profile likelihood are quoted.

    Parameters
    ----------
    curve : Curve
        Height R(0)/R_bg - 1 against temperature (K).
    gap_ratio : float
        Gap at zero temperature over k T_AR.
    free_dilution : bool
        Fit the fraction of the background that belongs to the contact, instead of taking it as 1.

    Returns
    -------
    PeakFit
    """
    k = 4 if free_dilution else 3
    if curve.n <= k:
        return PeakFit(n=curve.n, reason=f"{curve.n} temperatures, at least {k + 1} are needed")
    T, y, sigma = curve.x, curve.y, curve.sigma
    # The peak is gone where the height has sunk to a small part of its largest value.
    last = T[y > 0.1 * y.max()].max()
    low, high = 0.7 * last, 1.5 * T.max()
    candidates = np.arange(low, min(high, last + 2.5), 0.1)
    start = None
    dof = curve.n - k
    for _ in range(6):
        # Above all candidates the height is zero whatever the contact.
        on = candidates[-1] > T
        chi2, parameters = _profile(
            T[on], y[on], sigma[on], candidates, gap_ratio, free_dilution, start
        )
        chi2 += np.sum((y[~on] / sigma[~on]) ** 2)
        smallest, best = float(chi2.min()), parameters[int(np.argmin(chi2))]
        if chi2[-1] < smallest + 10 and candidates[-1] < high - 0.1:
            candidates = np.linspace(last, high, 61)
            continue
        scale = max(1.0, smallest / dof)
        weight = np.exp(-(chi2 - smallest) / (2 * scale))
        weight /= weight.sum()
        step = candidates[1] - candidates[0]
        mean = float(weight @ candidates)
        spread = math.sqrt(float(weight @ (candidates - mean) ** 2))
        if spread > 3 * step or step < 1e-5:
            break
        width = max(6 * spread, 3 * step)
        candidates = np.linspace(max(low, mean - width), min(high, mean + width), 61)
        start = (float(best[0]), float(best[1]))
    return PeakFit(
        temperature=mean,
        uncertainty=math.hypot(spread, step / math.sqrt(12)),
        barrier=float(best[0]),
        polarisation=float(best[1]),
        dilution=float(best[2]),
        chi2_nu=smallest / dof,
        n=curve.n,
    )


def vanishing_temperature(
    fit: PeakFit, alternative: PeakFit, thermometer: float = 0.0
) -> tuple[float, float]:
    """Temperature at which the zero-bias Andreev peak vanishes, from the Blonder-Tinkham-Klapwijk scaling of its height R(0)/R_bg - 1 with the BCS gap.

    Half the difference from the fit with the other treatment of the background (the contact is all
    or a fitted part of it) is part of the uncertainty, in proportion to how well that fit does.

    Parameters
    ----------
    fit, alternative : PeakFit
        Fits with and without free dilution.
    thermometer : float
        Standard uncertainty of the temperature of one sweep (K). The gap closes like a square
        root, so the few points next to T_AR fix it and their temperatures count in full.

    Returns
    -------
    value, uncertainty : float
        In K.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    systematic = 0.0
    if alternative.reason is None:
        excess = max(alternative.chi2_nu - fit.chi2_nu, 0.0) * alternative.n
        support = math.exp(-excess / (2 * max(1.0, fit.chi2_nu)))
        systematic = 0.5 * abs(fit.temperature - alternative.temperature) * support
    return fit.temperature, math.hypot(fit.uncertainty, systematic, thermometer)


def extrapolated_temperature(curve: Curve, limits: tuple[float, float]) -> tuple[float, float]:
    """Zero crossing of a straight line through the peak height in a stated temperature range (a biased rival, quoted for comparison only).

    Parameters
    ----------
    curve : Curve
        Height against temperature (K).
    limits : tuple of float
        Range (K).

    Returns
    -------
    value, uncertainty : float
        In K; NaN with fewer than three points or a rising line.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    inside = (curve.x >= limits[0] - 1e-9) & (curve.x <= limits[1] + 1e-9)
    if inside.sum() < 3:
        return math.nan, math.nan
    x, y, weight = curve.x[inside], curve.y[inside], curve.sigma[inside] ** -2
    middle = np.average(x, weights=weight)
    level = np.average(y, weights=weight)
    spread = np.sum(weight * (x - middle) ** 2)
    slope = np.sum(weight * (x - middle) * y) / spread
    if not slope < 0:
        return math.nan, math.nan
    crossing = middle - level / slope
    variance = (1 / weight.sum() + (crossing - middle) ** 2 / spread) / slope**2
    return float(crossing), float(math.sqrt(variance))


def _heights(ds: xr.Dataset, options: Options) -> Curve:
    """Peak height over the background resistance at the lowest temperature.

    Channels that turn normal add to the background; dividing by the local background would then
    make the same peak look lower.
    """
    selected = ds
    if options.mask_transitions and "censored" in ds:
        vanishing = ((ds["censored"] == 1) & np.isfinite(ds["Ic"])).any("channel")
        selected = ds.where(~vanishing)
    curve = variable_curve(selected, "ar_height", "T")
    background = variable_curve(selected, "R_bg", "T")
    if background.n and np.isin(curve.x, background.x).all():
        R = np.interp(curve.x, background.x, background.y) / background.y[0]
        curve = replace(curve, y=curve.y * R, sigma=curve.sigma * R)
    low = -math.inf if options.lowest_temperature_K is None else options.lowest_temperature_K
    high = math.inf if options.highest_temperature_K is None else options.highest_temperature_K
    keep = (curve.x >= low) & (curve.x <= high)
    return replace(curve, x=curve.x[keep], y=curve.y[keep], sigma=curve.sigma[keep])


def _thermometer(ds: xr.Dataset, temperature: float) -> float:
    if "T_err" not in ds:
        return 0.0
    # The sweep next to the temperature in question.
    error = ds["T_err"].sel(T=temperature, method="nearest").values.astype(float).ravel()
    error = error[np.isfinite(error)]
    return float(error.max()) if error.size else 0.0


def run(
    iv_temperature: xr.Dataset | None, options: Options | None = None, *, sample: str = ""
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Find where the Andreev peak vanishes and whether it falls monotonically.

    Parameters
    ----------
    iv_temperature : xarray.Dataset or None
        Critical currents of ``iv_temperature``, with ``ar_height`` and ``ar_height_err``.
    options : Options, optional
        Analysis choices.
    sample : str
        Name that enters the random seeds.

    Returns
    -------
    estimates : dict of str to Estimate
        ``T_AR`` (K).
    statistics : dict of str to dict
        ``andreev_peak`` and its rivals.
    """
    options = options or Options()
    missing = unmeasured_reason(iv_temperature, "iv_temperature")
    entry: dict[str, Any] = {"definition": definition_of(monotone_trend)}
    rival: dict[str, Any] = {"definition": definition_of(extrapolated_temperature)}
    if missing is not None:
        statistics = {
            "andreev_peak": entry | {"detected": None, "absent": None, "reason": missing},
            "andreev_extrapolation": rival | {"reason": missing},
        }
        return {"T_AR": undetermined(vanishing_temperature, "K", missing)}, statistics
    merged = json.loads(iv_temperature.attrs.get("undetermined", "{}"))
    if merged:
        # A channel that is none of those fitted leaves its own dip or peak at zero bias.
        reason = f"{next(iter(merged.values()))}; the zero-bias peak cannot be told from them"
        statistics = {
            "andreev_peak": entry | {"detected": None, "absent": None, "reason": reason},
            "andreev_extrapolation": rival | {"reason": reason},
        }
        return {"T_AR": undetermined(vanishing_temperature, "K", reason)}, statistics
    curve = _heights(iv_temperature, options)
    # A dip at zero bias is no peak: that of the film within its own transition would otherwise
    # count as a rise of the Andreev peak where it ends.
    entry |= monotone_trend(
        curve.x,
        np.maximum(curve.y, 0.0),
        curve.sigma,
        draws=options.monotone_draws,
        seed_names=(sample, "temperature", "ar_height"),
    ).as_dict()
    significance = float(np.max(curve.y / curve.sigma, initial=0.0))
    found = significance >= options.detection
    # A peak that vanishes on warming is largest where it is coldest.
    cold = curve.n > 0 and curve.x[0] <= options.absence_below_K
    entry |= {
        "significance": significance,
        "detected": found if found or curve.n >= 3 else None,
        "absent": bool(cold and curve.y[0] + 1.645 * curve.sigma[0] < options.negligible),
    }
    value, uncertainty = extrapolated_temperature(curve, options.extrapolation_range_K)
    rival |= {"value_K": value, "uncertainty_K": uncertainty}
    statistics = {"andreev_peak": entry, "andreev_extrapolation": rival}
    if curve.n == 0:
        reason = "no height of a zero-bias peak"
        return {"T_AR": undetermined(vanishing_temperature, "K", reason)}, statistics
    if not found and curve.n < 3:
        reason = f"{curve.n} temperatures, at least 3 are needed"
        return {"T_AR": undetermined(vanishing_temperature, "K", reason)}, statistics
    if significance < options.detection:
        reason = (
            f"no zero-bias peak: its largest height is {significance:.1f} standard uncertainties,"
            f" below {options.detection:g}"
        )
        return {"T_AR": undetermined(vanishing_temperature, "K", reason)}, statistics
    fit = fit_peak(curve, gap_ratio=options.gap_ratio, free_dilution=options.free_dilution)
    other = fit_peak(curve, gap_ratio=options.gap_ratio, free_dilution=not options.free_dilution)
    if fit.reason is not None:
        fit, other = other, fit
    if fit.reason is not None:
        return {"T_AR": undetermined(vanishing_temperature, "K", fit.reason)}, statistics
    value, uncertainty = vanishing_temperature(
        fit, other, _thermometer(iv_temperature, fit.temperature)
    )
    if value > curve.x[-1] or not uncertainty < 0.5 * value:
        reason = f"the peak does not vanish within the data, which end at {curve.x[-1]:g} K"
        bound = {"lower_bound": float(curve.x[-1])} if value > curve.x[-1] else {}
        return {"T_AR": undetermined(vanishing_temperature, "K", reason, **bound)}, statistics
    estimate = estimated(
        vanishing_temperature,
        value,
        uncertainty,
        "K",
        fit_uncertainty_K=fit.uncertainty,
        barrier=fit.barrier,
        polarisation=fit.polarisation,
        dilution=fit.dilution,
        alternative_K=other.temperature,
        chi2_nu=fit.chi2_nu,
        n=fit.n,
    )
    return {"T_AR": estimate}, statistics
