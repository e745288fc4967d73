"""Angular dependence of critical currents and widths: harmonics, equivalence, tilt, orientation.

Position (Ic) and width (FWHM/Ic) come from the same V(I) fit: a smoothed derivative would shift
its maximum where the peak is wide and so turn a two-fold width into a two-fold position.
"Independent of angle" is an equivalence test (two one-sided tests, TOST), never "not significant".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from nbnmbt.analysis.curves import (
    Curve,
    channel_curve,
    unmeasured_reason,
)
from nbnmbt.analysis.estimate import (
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.kinks import Options as KinkOptions
from nbnmbt.analysis.kinks import holm, local_slope, sup_f_test
from nbnmbt.analysis.stage import stage_command

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "HarmonicFit",
    "Options",
    "TiltFit",
    "amplitude",
    "angle_mean",
    "equivalence",
    "harmonic_fit",
    "main",
    "one_turn",
    "ordered_fall",
    "orientation_check",
    "run",
    "tilt_fit",
    "two_fold_of_position",
    "two_fold_of_width",
    "width_growth",
]


_DESCRIPTION_FLOOR = KinkOptions().description_floor


class Options(BaseModel):
    """Choices of the angle analysis; each has the range over which its effect is surveyed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, ...] = Field((0, 1, 2), description="Channels of the interface judged.")
    film_channel: int = Field(3, description="Channel of the bare NbN film.")
    fields_T: tuple[float, ...] = Field(
        (1.0, 4.0, 7.0, 9.0), description="Fields at which the angle was swept (T)."
    )
    field_tolerance_T: float = Field(0.05, gt=0, description="How far a set-point may be off (T).")
    harmonics: tuple[int, ...] = Field(
        (1, 2, 3, 4, 6),
        description="Harmonics of theta in the fit; the highest are left out where there are too"
        " few angles. A two-fold noise temperature gives the width even ones.",
        json_schema_extra={"sweep": [[1, 2], [1, 2, 4], [1, 2, 3, 4], [1, 2, 3, 4, 6]]},
    )
    weights: Literal["equal", "inverse variance"] = Field(
        "equal",
        description="Weights of the angles. Equal weights give the Fourier projection on a full"
        " turn whatever the shape.",
        json_schema_extra={"sweep": ["equal", "inverse variance"]},
    )
    margin: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="Two-fold amplitude over mean below which a quantity counts as invariant.",
        json_schema_extra={"sweep": [0.01, 0.02, 0.03]},
    )
    strict_margin: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Second, stricter margin reported; above it a modulation is asked whether a"
        " tilt makes it.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the one-sided bounds.")
    significance: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Holm-corrected level of the F tests for a two-fold modulation.",
        json_schema_extra={"sweep": [0.05, 0.01, 0.001]},
    )
    negligible_change: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Change with field, as a fraction of the mean, that counts as none.",
        json_schema_extra={"sweep": [0.005, 0.01, 0.02]},
    )
    tilt_slope_fields_T: float = Field(
        1.0,
        gt=0,
        description="Out-of-plane fields up to here give the slope dIc/dB that turns a tilt into a"
        " modulation.",
        json_schema_extra={"sweep": [0.75, 1.0, 2.0]},
    )
    stop_on_wrong_orientation: bool = Field(
        True,
        description="Give no numbers when the data say that the field was not in the plane.",
    )
    draws: int = Field(5000, ge=200, description="Simulated data sets of the sup-F calibration.")


@dataclass(frozen=True, kw_only=True)
class HarmonicFit:
    """Least-squares harmonics of one quantity over angle.

    Attributes
    ----------
    mean : float
        Constant term.
    mean_uncertainty : float
        Its standard uncertainty.
    cosine, sine : dict of int to float
        Coefficients by harmonic.
    variance : dict of int to float
        Mean variance of the two coefficients of a harmonic.
    f, p_value : dict of int to float
        F statistic (2 and `dof` degrees of freedom) and p of leaving the harmonic out.
    dof : int
        Degrees of freedom of the residual.
    residual : float
        Standard deviation of the residual.
    n : int
        Distinct angles.
    closure : float
        Value at the end of the turn minus value at its start, where both were measured, in
        standard uncertainties; NaN otherwise. It shows drift.
    reason : str or None
        Why there is no fit.
    """

    mean: float = math.nan
    mean_uncertainty: float = math.nan
    cosine: dict[int, float]
    sine: dict[int, float]
    variance: dict[int, float]
    f: dict[int, float]
    p_value: dict[int, float]
    dof: int = 0
    residual: float = math.nan
    n: int = 0
    closure: float = math.nan
    reason: str | None = None

    def raw_amplitude(self, harmonic: int) -> float:
        """Amplitude of a harmonic over the mean; noise biases it up."""
        if harmonic not in self.cosine or not self.mean:
            return math.nan
        return math.hypot(self.cosine[harmonic], self.sine[harmonic]) / abs(self.mean)

    def amplitude_error(self, harmonic: int) -> float:
        """Standard error of one component of a harmonic over the mean."""
        if harmonic not in self.variance or not self.mean:
            return math.nan
        return math.sqrt(self.variance[harmonic]) / abs(self.mean)


@dataclass(frozen=True, kw_only=True)
class TiltFit:
    """What a modulation with a period of half a turn comes from, judged over channels and fields.

    Attributes
    ----------
    preferred : str or None
        "tilt" or "two-fold", whichever has the smaller AICc, if its F test against no modulation
        is significant at 1 %; else "none". None without data.
    p_value : float
        F test of the tilt against no modulation.
    tilt_deg, tilt_uncertainty_deg : float
        Angle between rotation plane and film (deg).
    axis_deg : float
        Angle theta at which the field leaves the film most.
    out_of_plane_field_T : float
        Field component across the film at the largest field (T).
    aicc : dict of str to float
        AICc of the models, relative to the smallest.
    reason : str or None
        Why there is no fit.
    """

    preferred: str | None = None
    p_value: float = math.nan
    tilt_deg: float = math.nan
    tilt_uncertainty_deg: float = math.nan
    axis_deg: float = math.nan
    out_of_plane_field_T: float = math.nan
    aicc: dict[str, float]
    reason: str | None = None


# --------------------------------------------------------------------------------------------------
# harmonics of one curve


def one_turn(
    theta: np.ndarray, y: np.ndarray, sigma: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Fold angles to one turn and average those measured twice (0 and 360 deg).

    Values that are equal to the last digit are copies of one measurement, not two.

    Parameters
    ----------
    theta, y, sigma : ndarray, shape (n,)
        Angles (deg), values and standard uncertainties.

    Returns
    -------
    theta, y, sigma : ndarray
        Distinct angles in [0, 360), ascending.
    closure : float
        Largest difference between a repeated angle's last and first value, in standard
        uncertainties (signed); NaN without repetition.
    """
    theta, y, sigma = (np.asarray(a, dtype=float) for a in (theta, y, sigma))
    folded = np.round(np.mod(theta, 360.0), 6) % 360.0
    distinct, group = np.unique(folded, return_inverse=True)
    count = np.bincount(group, minlength=distinct.size)
    values, errors, differences = y.copy(), sigma.copy(), []
    merged_y = np.empty(distinct.size)
    merged_sigma = np.empty(distinct.size)
    first = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(int)
    single = count == 1
    merged_y[single] = values[first[starts[single]]]
    merged_sigma[single] = errors[first[starts[single]]]
    for index in np.flatnonzero(~single):
        rows = first[starts[index] : starts[index] + count[index]]
        rows = rows[np.argsort(theta[rows], kind="stable")]
        if np.ptp(values[rows]) > 0:
            merged_sigma[index] = math.sqrt(np.sum(errors[rows] ** 2)) / rows.size
            spread = math.hypot(errors[rows[0]], errors[rows[-1]])
            differences.append((values[rows[-1]] - values[rows[0]]) / spread)
        else:
            merged_sigma[index] = errors[rows].max()
        merged_y[index] = values[rows].mean()
    closure = max(differences, key=abs) if differences else math.nan
    return distinct, merged_y, merged_sigma, float(closure)


def _columns(theta: np.ndarray, harmonics: Sequence[int]) -> np.ndarray:
    angle = np.deg2rad(theta)
    columns = [np.ones_like(angle)]
    for n in harmonics:
        columns += [np.cos(n * angle), np.sin(n * angle)]
    return np.stack(columns, axis=-1)


def _empty_fit(n: int, reason: str) -> HarmonicFit:
    return HarmonicFit(cosine={}, sine={}, variance={}, f={}, p_value={}, n=n, reason=reason)


def _resolvable(theta: np.ndarray, harmonics: Sequence[int]) -> list[int]:
    """Harmonics that leave four degrees of freedom and are not aliases of each other."""
    chosen = sorted(set(harmonics))
    while chosen:
        design = _columns(theta, chosen)
        if theta.size - design.shape[1] >= 4 and np.linalg.cond(design) < 50:
            return chosen
        chosen = chosen[:-1]
    return []


def harmonic_fit(
    theta: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    *,
    harmonics: Sequence[int] = (1, 2, 3, 4, 6),
    weights: str = "equal",
) -> HarmonicFit:
    """Fit a constant and harmonics of the angle by least squares.

    The scale of the uncertainties comes from the residual, so the F and t statistics have their
    exact distributions for Gaussian noise.

    Parameters
    ----------
    theta, y, sigma : ndarray, shape (n,)
        Angles (deg), values, standard uncertainties.
    harmonics : sequence of int
        Harmonics; the highest are dropped where the angles cannot resolve them.
    weights : {"equal", "inverse variance"}
        Weights of the angles.

    Returns
    -------
    HarmonicFit
    """
    theta, y, sigma = (np.asarray(a, dtype=float) for a in (theta, y, sigma))
    good = np.isfinite(theta) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0)
    if not good.any():
        return _empty_fit(0, "no resolved angle")
    theta, y, sigma, closure = one_turn(theta[good], y[good], sigma[good])
    used = _resolvable(theta, harmonics)
    if 2 not in used:
        return _empty_fit(
            theta.size, f"{theta.size} resolved angles cannot tell a two-fold modulation"
        )
    root = 1 / sigma if weights == "inverse variance" else np.ones_like(sigma)
    design = _columns(theta, used) * root[:, None]
    data = y * root
    inverse = np.linalg.inv(design.T @ design)
    coefficient = inverse @ (design.T @ data)
    rest = data - design @ coefficient
    dof = theta.size - design.shape[1]
    chi2 = float(rest @ rest)
    scale = chi2 / dof
    floor = 1e-20 * float(data @ data) / dof
    if scale <= floor:
        # Noiseless data: nothing is left over, the stated uncertainties are all there is.
        scale = float(np.mean((sigma * root) ** 2))
    covariance = inverse * scale
    cosine, sine, variance, f, p_value = {}, {}, {}, {}, {}
    for index, n in enumerate(used):
        pair = slice(1 + 2 * index, 3 + 2 * index)
        block = covariance[pair, pair]
        pair_coefficient = coefficient[pair]
        cosine[n], sine[n] = (float(value) for value in pair_coefficient)
        variance[n] = float(np.trace(block) / 2)
        f[n] = float(pair_coefficient @ np.linalg.solve(block, pair_coefficient) / 2)
        p_value[n] = float(special.fdtrc(2, dof, f[n]))
    return HarmonicFit(
        mean=float(coefficient[0]),
        mean_uncertainty=math.sqrt(covariance[0, 0]),
        cosine=cosine,
        sine=sine,
        variance=variance,
        f=f,
        p_value=p_value,
        dof=dof,
        residual=math.sqrt(scale),
        n=theta.size,
        closure=closure,
    )


def amplitude(fit: HarmonicFit, harmonic: int = 2) -> tuple[float, float]:
    """Amplitude of a harmonic over the mean (per cent), the upward bias by noise removed.

    The amplitude A of two components with error s is Rayleigh-distributed about zero, so
    ``sqrt(max(A**2 - s**2, 0))`` is quoted. Near zero the uncertainty is enlarged by up to 14 %,
    which makes the interval of one standard uncertainty cover the truth in 67 to 82 % of cases and
    that of two in 93 to 97 %, for every true amplitude, if s is known. It comes from the residuals
    of few angles, so the uncertainty is the standard deviation of Student's t, not s.

    Parameters
    ----------
    fit : HarmonicFit
        Harmonics over a full or partial turn.
    harmonic : int
        Number of periods a turn.

    Returns
    -------
    value, uncertainty : float
        Per cent of the mean.
    """
    raw, error = fit.raw_amplitude(harmonic), fit.amplitude_error(harmonic)
    if not (math.isfinite(raw) and math.isfinite(error)):
        return math.nan, math.nan
    value = math.sqrt(max(raw**2 - error**2, 0.0))
    ratio = value / error if error > 0 else math.inf
    # The error is itself estimated from few residuals: the standard deviation of Student's t.
    student = math.sqrt(fit.dof / (fit.dof - 2)) if fit.dof > 2 else math.inf
    error *= student * math.sqrt(1 + 0.3 * math.exp(-(ratio**2) / 4))
    return 100 * value, 100 * error


def two_fold_of_position(fit: HarmonicFit) -> tuple[float, float]:
    """Two-fold amplitude of the critical current over the in-plane angle, in per cent of its angle mean, from the fitted V(I) curves.

    Parameters
    ----------
    fit : HarmonicFit
        Harmonics of Ic(theta).

    Returns
    -------
    value, uncertainty : float
        Per cent.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    return amplitude(fit, 2)


def two_fold_of_width(fit: HarmonicFit) -> tuple[float, float]:
    """Two-fold amplitude of the relative peak width FWHM/Ic over the in-plane angle, in per cent of its angle mean, the FWHM being that of the fitted channel's dV/dI.

    Parameters
    ----------
    fit : HarmonicFit
        Harmonics of FWHM/Ic.

    Returns
    -------
    value, uncertainty : float
        Per cent.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    return amplitude(fit, 2)


def angle_mean(fit: HarmonicFit) -> tuple[float, float]:
    """Mean over the in-plane angle: constant term of the harmonic fit.

    Parameters
    ----------
    fit : HarmonicFit
        Harmonics of any quantity.

    Returns
    -------
    value, uncertainty : float
        In the unit of the quantity.
    """
    return fit.mean, fit.mean_uncertainty


def equivalence(fit: HarmonicFit, *, margin: float, confidence: float = 0.95) -> dict[str, Any]:
    """Equivalence test of angle invariance: the two-fold amplitude over the mean plus its one-sided 95 % allowance must lie below the margin.

    A conservative form of the two one-sided tests (TOST); the amplitude is used with its upward
    bias, which makes it more conservative still.

    Parameters
    ----------
    fit : HarmonicFit
        Harmonics.
    margin : float
        Largest amplitude over mean that still counts as invariant.
    confidence : float
        Level of the bounds.

    Returns
    -------
    dict
        ``amplitude``, ``upper``, ``lower`` (all over the mean) and ``verdict``: "equivalent",
        "exceeds" or "inconclusive".
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    raw, error = fit.raw_amplitude(2), fit.amplitude_error(2)
    if not math.isfinite(raw):
        return {
            "amplitude": math.nan,
            "upper": math.nan,
            "lower": math.nan,
            "margin": margin,
            "verdict": None,
            "reason": fit.reason,
        }
    allowance = float(special.stdtrit(fit.dof, confidence)) * error
    upper, lower = raw + allowance, max(raw - allowance, 0.0)
    verdict = "inconclusive"
    if upper < margin:
        verdict = "equivalent"
    elif lower > margin:
        verdict = "exceeds"
    return {
        "amplitude": raw,
        "upper": upper,
        "lower": lower,
        "margin": margin,
        "verdict": verdict,
        "reason": None,
    }


# --------------------------------------------------------------------------------------------------
# over fields


def ordered_fall(
    fields: np.ndarray, values: np.ndarray, uncertainties: np.ndarray, negligible: float = 0.01
) -> dict[str, Any]:
    """Ordered contrasts: every pair of fields must show the smaller angle mean at the higher field, one-sided p values corrected by Holm.

    Parameters
    ----------
    fields, values, uncertainties : ndarray, shape (n,)
        Fields (T), angle means and their standard uncertainties.
    negligible : float
        Fraction of the mean by which a smaller fall counts as none.

    Returns
    -------
    dict
        ``pairs`` (list of field pairs), ``differences``, ``z``, ``p_holm``, ``all_fall``, ``stays``
        (for some pair a fall of `negligible` is excluded, Bonferroni-corrected) and ``reason``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    order = np.argsort(fields)
    fields, values, uncertainties = (np.asarray(a)[order] for a in (fields, values, uncertainties))
    low, high = np.triu_indices(fields.size, 1)
    if low.size == 0:
        reason = f"{fields.size} fields, two are needed"
        return {"pairs": [], "all_fall": None, "stays": None, "reason": reason}
    difference = values[high] - values[low]
    error = np.hypot(uncertainties[high], uncertainties[low])
    z = difference / error
    p = holm(special.ndtr(z))
    # Any one pair refutes the fall, so each is tested at the level over their number.
    allowance = special.ndtri(1 - 0.05 / low.size) * error
    stays = difference - allowance > -negligible * values[low]
    return {
        "pairs": [[float(a), float(b)] for a, b in zip(fields[low], fields[high], strict=True)],
        "differences": difference,
        "z": z,
        "p_holm": p,
        "all_fall": bool(np.all(np.asarray(p) < 0.05)),
        "stays": bool(np.any(stays)),
        "reason": None,
    }


def width_growth(
    fields: np.ndarray, values: np.ndarray, uncertainties: np.ndarray, negligible: float = 0.01
) -> dict[str, Any]:
    """Growth of the angle-mean width with field: Spearman rank correlation and weighted slope with its standard uncertainty.

    Parameters
    ----------
    fields, values, uncertainties : ndarray, shape (n,)
        Fields (T), angle means and their standard uncertainties.
    negligible : float
        Fraction of the mean by which a smaller growth over the range counts as none.

    Returns
    -------
    dict
        ``spearman``, ``slope``, ``slope_uncertainty``, ``z``, ``grows`` (rank correlation 1 and
        slope above three standard uncertainties), ``stays`` (a growth of `negligible` is excluded
        at 95 %) and ``reason``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    fields, values, uncertainties = (np.asarray(a, float) for a in (fields, values, uncertainties))
    if fields.size < 3:
        reason = f"{fields.size} fields, three are needed"
        return {"grows": None, "stays": None, "reason": reason}
    from scipy import stats

    spearman = float(stats.spearmanr(fields, values).statistic)
    weight = uncertainties**-2.0
    middle = np.average(fields, weights=weight)
    spread = np.sum(weight * (fields - middle) ** 2)
    slope = float(np.sum(weight * (fields - middle) * values) / spread)
    error = float(spread**-0.5)
    return {
        "spearman": spearman,
        "slope": slope,
        "slope_uncertainty": error,
        "z": slope / error,
        "grows": bool(spearman > 1 - 1e-9 and slope > 3 * error),
        "stays": bool((slope + 1.645 * error) * np.ptp(fields) < negligible * values.mean()),
        "reason": None,
    }


# --------------------------------------------------------------------------------------------------
# tilt


@dataclass(frozen=True, kw_only=True)
class _Trace:
    """Ic(theta) of one channel at one field, folded to one turn."""

    theta: np.ndarray
    y: np.ndarray
    field: float
    slope: float
    mean: float


def tilt_fit(
    theta: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    fields: Sequence[float],
    slopes: Sequence[float],
    scales: Sequence[float],
) -> TiltFit:
    r"""Fit of a tilt of the rotation plane, B_perp = B sin(tilt) \|cos(theta - axis)\|, shared by all channels and fields and turned into a modulation of Ic by the measured out-of-plane slope, against no modulation and against an intrinsic two-fold modulation.

    Mean and one-fold drift of each trace are free in all models. The intrinsic model has one
    relative amplitude and axis for all channels, either the same at all fields or growing as the
    field squared, whichever fits better.

    Parameters
    ----------
    theta, values : sequence of ndarray
        Distinct angles (deg) and critical currents (mA) of each trace.
    fields, slopes : sequence of float
        Field (T) of the trace and out-of-plane slope dIc/dB (mA/T) of its channel.
    scales : sequence of float
        Noise of one point of each trace (mA).

    Returns
    -------
    TiltFit
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    traces = [
        _Trace(theta=t, y=np.asarray(v) / s, field=b, slope=k / s, mean=float(np.mean(v)) / s)
        for t, v, b, k, s in zip(theta, values, fields, slopes, scales, strict=True)
        if np.size(t) >= 8 and math.isfinite(k) and math.isfinite(s) and s > 0
    ]
    if not traces:
        return TiltFit(
            aicc={}, reason="no trace with both an angle sweep and an out-of-plane slope"
        )
    projectors = [np.linalg.qr(_columns(t.theta, [1]))[0] for t in traces]

    def clean(index: int, column: np.ndarray) -> np.ndarray:
        q = projectors[index]
        return column - q @ (q.T @ column)

    data = np.concatenate([clean(i, t.y) for i, t in enumerate(traces)])
    n = data.size
    dof = n - 3 * len(traces)
    null = float(data @ data)

    axes = np.arange(0.0, 180.0, 0.5)
    # Columns of all axes at once; the response to a unit sin(tilt).
    response = np.concatenate(
        [
            clean(
                i,
                t.slope * t.field * np.abs(np.cos(np.deg2rad(t.theta[:, None] - axes[None, :]))),
            )
            for i, t in enumerate(traces)
        ]
    )
    norm = np.sum(response**2, axis=0)
    sine = (data @ response) / norm
    # A tilt lowers |Ic| where the field leaves the film; the other sign is the axis 90 deg away
    # only for a pure cosine, so it is no tilt.
    chi2_axis = np.where(sine > 0, null - sine**2 * norm, null)
    best = int(np.argmin(chi2_axis))
    tilt_chi2 = float(chi2_axis[best])

    def two_fold(power: int) -> float:
        columns = np.concatenate(
            [
                clean(
                    i,
                    t.mean
                    * (t.field / 9.0) ** power
                    * np.stack(
                        [np.cos(2 * np.deg2rad(t.theta)), np.sin(2 * np.deg2rad(t.theta))], -1
                    ),
                )
                for i, t in enumerate(traces)
            ]
        )
        return null - float(np.sum((np.linalg.qr(columns)[0].T @ data) ** 2))

    intrinsic_chi2 = min(two_fold(0), two_fold(2))
    base = 3 * len(traces) + 1

    def criterion(chi2: float, extra: int) -> float:
        k = base + extra
        return n * math.log(max(chi2, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)

    aicc = {
        "none": criterion(null, 0),
        "tilt": criterion(tilt_chi2, 2),
        "two-fold": criterion(intrinsic_chi2, 2),
    }
    smallest = min(aicc.values())
    scale = tilt_chi2 / (dof - 2)

    def p_of(chi2: float) -> float:
        if chi2 <= 0:
            return 0.0
        return float(special.fdtrc(2, dof - 2, max(null - chi2, 0.0) / 2 / (chi2 / (dof - 2))))

    p_values = {"tilt": p_of(tilt_chi2), "two-fold": p_of(intrinsic_chi2)}
    better = min(p_values, key=aicc.__getitem__)
    value = max(float(sine[best]), 0.0)
    error = math.sqrt(max(scale, 1.0) / norm[best])
    return TiltFit(
        preferred=better if p_values[better] < 0.01 else "none",
        p_value=p_values["tilt"],
        tilt_deg=math.degrees(math.asin(min(value, 1.0))),
        tilt_uncertainty_deg=math.degrees(error),
        axis_deg=float(axes[best]),
        out_of_plane_field_T=max(t.field for t in traces) * value,
        aicc={name: value - smallest for name, value in aicc.items()},
    )


# --------------------------------------------------------------------------------------------------
# orientation


def orientation_check(
    label: str,
    means: Mapping[tuple[int, float], tuple[float, float]],
    in_plane: Mapping[int, Curve],
    out_of_plane: Mapping[int, Curve],
    *,
    draws: int = 5000,
    seed_names: tuple[object, ...] = (),
) -> dict[str, Any]:
    """Orientation check: the angle means must follow the in-plane field sweep rather than the out-of-plane one, the sweep called in-plane must suppress the critical currents less, and a kink must not appear in it alone.

    A field across a thin film breaks pairs in proportion to B and by far stronger than one along
    it, and only the former drives the spin flop; so the data themselves tell swapped labels.

    Parameters
    ----------
    label : str
        Orientation that the angle dataset claims.
    means : mapping of (channel, field) to (value, uncertainty)
        Angle means of Ic (mA).
    in_plane, out_of_plane : mapping of int to Curve
        Ic against field of the sweeps so labelled.
    draws : int
        Simulated data sets of the kink test.
    seed_names : tuple
        Names that fix the random stream.

    Returns
    -------
    dict
        ``rms_in_plane``, ``rms_out_of_plane`` (relative distance of the angle means from the two
        sweeps), ``suppression_in_plane``, ``suppression_out_of_plane`` (mean fall of Ic over the
        common range), ``kink_p_in_plane``, ``kink_p_out_of_plane``, ``follows``,
        ``labels_swapped``, ``consistent`` (None when nothing can be compared) and ``reason``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    result: dict[str, Any] = {"label": label, "reason": None}
    distance = {}
    for name, curves in (("in_plane", in_plane), ("out_of_plane", out_of_plane)):
        relative = []
        for (k, field), (value, _) in means.items():
            curve = curves.get(k)
            if curve is None or curve.n < 2 or not curve.x[0] <= field <= curve.x[-1]:
                continue
            expected = float(np.interp(field, curve.x, curve.y))
            relative.append((value - expected) / expected)
        distance[name] = math.sqrt(np.mean(np.square(relative))) if relative else math.nan
        result[f"rms_{name}"] = distance[name]
    follows = None
    if all(math.isfinite(v) for v in distance.values()):
        near, far = sorted(distance, key=distance.__getitem__)
        # A factor of three apart, or else the comparison says nothing.
        if distance[far] > 3 * distance[near]:
            follows = near.replace("_", "-")
    result["follows"] = follows

    falls: dict[str, list[float]] = {"in_plane": [], "out_of_plane": []}
    kinks = {"in_plane": math.nan, "out_of_plane": math.nan}
    for k in sorted(set(in_plane) & set(out_of_plane)):
        pair = {"in_plane": in_plane[k], "out_of_plane": out_of_plane[k]}
        if min(curve.n for curve in pair.values()) < 3:
            continue
        end = min(curve.x[-1] for curve in pair.values())
        start = max(curve.x[0] for curve in pair.values())
        middle = np.linspace(start, end, 50)
        for name, curve in pair.items():
            values = np.interp(middle, curve.x, curve.y)
            falls[name].append(float(1 - values.mean() / values[0]))
            if not math.isfinite(kinks[name]):
                test = sup_f_test(
                    curve.x,
                    curve.y,
                    np.hypot(curve.sigma, _DESCRIPTION_FLOOR * curve.y),
                    draws=draws,
                    least_variance=1.0,
                    seed_names=(*seed_names, "orientation", name, k),
                )
                kinks[name] = test.p_value
    for name in falls:
        result[f"suppression_{name}"] = float(np.mean(falls[name])) if falls[name] else math.nan
        result[f"kink_p_{name}"] = kinks[name]
    swapped: bool | None = None
    if falls["in_plane"]:
        ratio = result["suppression_in_plane"] / result["suppression_out_of_plane"]
        # Far apart, the suppressions decide; alike, the kink does.
        swapped = bool(
            ratio > 1.1 or (ratio > 0.9 and kinks["in_plane"] < 0.01 <= kinks["out_of_plane"])
        )
    result["labels_swapped"] = swapped

    problems = []
    if label and label != "in-plane":
        problems.append(f"the angle sweep is labelled {label!r}")
    if follows == "out-of-plane":
        problems.append("the angle means follow the sweep labelled out-of-plane")
    if swapped:
        problems.append(
            "the sweep labelled in-plane suppresses the critical currents more than the one"
            " labelled out-of-plane, or alone shows a kink"
        )
    result["consistent"] = not problems if problems or follows or swapped is not None else None
    if problems:
        result["reason"] = "wrong field orientation: " + "; ".join(problems)
    elif result["consistent"] is None:
        result["reason"] = "no field sweep to compare the angle means with"
    return result


# --------------------------------------------------------------------------------------------------
# stage


def _at_field(ds: xr.Dataset, field: float, tolerance: float) -> xr.Dataset | None:
    fields = np.abs(ds["B"].values.astype(float))
    if fields.size == 0:
        return None
    nearest = int(np.argmin(np.abs(fields - field)))
    if abs(fields[nearest] - field) > tolerance:
        return None
    return ds.isel(B=[nearest])


def _fits(
    ds: xr.Dataset | None,
    measurement: str,
    channels: Sequence[int],
    fields: Sequence[float],
    options: Options,
) -> dict[str, dict[tuple[int, float], HarmonicFit]]:
    """Harmonic fits of position, relative width and noise temperature at each channel and field."""
    reason = unmeasured_reason(ds, measurement)
    out: dict[str, dict[tuple[int, float], HarmonicFit]] = {"position": {}, "width": {}, "Tn": {}}
    for field in fields:
        chosen = None
        if reason is None:
            chosen = _at_field(ds, field, options.field_tolerance_T)
        for k in channels:
            for name, value, ratio in (
                ("position", "Ic", None),
                ("width", "width", "Ic"),
                ("Tn", "Tn", None),
            ):
                key = (k, field)
                if reason is not None:
                    out[name][key] = _empty_fit(0, reason)
                elif chosen is None:
                    out[name][key] = _empty_fit(0, f"not measured at {field:g} T")
                elif value not in chosen:
                    out[name][key] = _empty_fit(0, f"{measurement} holds no {value}")
                else:
                    curve = channel_curve(chosen, k, "theta", value=value, ratio_to=ratio)
                    out[name][key] = harmonic_fit(
                        curve.x,
                        curve.y,
                        curve.sigma,
                        harmonics=options.harmonics,
                        weights=options.weights,
                    )
    return out


def _harmonics_dict(fit: HarmonicFit) -> dict[str, Any]:
    return {
        "mean": fit.mean,
        "mean_uncertainty": fit.mean_uncertainty,
        "amplitudes_percent": {str(n): 100 * fit.raw_amplitude(n) for n in fit.cosine},
        "amplitude_error_percent": 100 * fit.amplitude_error(2),
        "axis_deg": (
            math.degrees(math.atan2(fit.sine[2], fit.cosine[2])) / 2 % 180
            if 2 in fit.cosine
            else None
        ),
        "F": fit.f.get(2),
        "p": fit.p_value.get(2),
        "p_one_fold": fit.p_value.get(1),
        "dof": fit.dof,
        "n": fit.n,
        "residual": fit.residual,
        "closure_sigma": fit.closure,
        "reason": fit.reason,
    }


def run(
    angle: xr.Dataset | None,
    angle_nbn: xr.Dataset | None = None,
    options: Options | None = None,
    *,
    in_plane: xr.Dataset | None = None,
    out_of_plane: xr.Dataset | None = None,
    sample: str = "",
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Judge the in-plane angular dependence of critical currents and widths.

    Parameters
    ----------
    angle, angle_nbn : xarray.Dataset or None
        Critical currents of ``iv_angle`` and of the bare film, ``iv_angle_nbn``.
    options : Options, optional
        Analysis choices.
    in_plane, out_of_plane : xarray.Dataset or None
        Critical currents of the field sweeps, for tilt and orientation.
    sample : str
        Name that enters the random seeds.

    Returns
    -------
    estimates : dict of str to Estimate
        ``A2_position_Ic{k}_{B}T`` and ``A2_width_Ic{k}_{B}T`` (per cent).
    statistics : dict of str to dict
        Tests, bounds and comparisons behind the claims.
    """
    options = options or Options()
    fits = _fits(angle, "iv_angle", options.channels, options.fields_T, options)
    statistics: dict[str, dict[str, Any]] = {}
    sweeps = {}
    for name, ds in (("in_plane", in_plane), ("out_of_plane", out_of_plane)):
        missing = unmeasured_reason(ds, f"iv_{name}") is not None
        sweeps[name] = {} if missing else {k: channel_curve(ds, k, "B") for k in options.channels}
    stop = _orientation(statistics, angle, fits["position"], sweeps, options, sample)

    estimates: dict[str, Estimate] = {}
    for key, fit in fits["position"].items():
        _estimate(estimates, f"A2_position_{_name(key)}", two_fold_of_position, fit, stop)
        width = fits["width"][key]
        _estimate(estimates, f"A2_width_{_name(key)}", two_fold_of_width, width, stop)
    _width_statistics(statistics, fits["width"], fits["Tn"], options)
    _position_statistics(statistics, fits["position"], options)
    if stop is not None:
        _withhold(statistics, stop)
    _tilt(statistics, angle, fits["position"], sweeps["out_of_plane"], options)
    _film(statistics, angle_nbn, options)
    return estimates, statistics


def _name(key: tuple[int, float]) -> str:
    return f"Ic{key[0]}_{key[1]:g}T"


def _estimate(
    estimates: dict[str, Estimate], name: str, function: Any, fit: HarmonicFit, stop: str | None
) -> None:
    reason = stop or fit.reason
    if reason is not None:
        estimates[name] = undetermined(function, "%", reason)
        return
    estimates[name] = estimated(
        function,
        *function(fit),
        "%",
        raw_percent=100 * fit.raw_amplitude(2),
        p=fit.p_value[2],
        n=fit.n,
    )


def _orientation(
    statistics: dict[str, dict[str, Any]],
    angle: xr.Dataset | None,
    positions: Mapping[tuple[int, float], HarmonicFit],
    sweeps: Mapping[str, Mapping[int, Curve]],
    options: Options,
    sample: str,
) -> str | None:
    label = "" if angle is None else str(angle.attrs.get("orientation", ""))
    means = {key: angle_mean(fit) for key, fit in positions.items() if fit.reason is None}
    outcome = orientation_check(
        label,
        means,
        sweeps["in_plane"],
        sweeps["out_of_plane"],
        draws=options.draws,
        seed_names=(sample,),
    )
    statistics["orientation"] = {"definition": definition_of(orientation_check), **outcome}
    if outcome["consistent"] is False and means and options.stop_on_wrong_orientation:
        return str(outcome["reason"])
    return None


def _position_statistics(
    statistics: dict[str, dict[str, Any]],
    fits: Mapping[tuple[int, float], HarmonicFit],
    options: Options,
) -> None:
    corrected = holm([fit.p_value.get(2, math.nan) for fit in fits.values()])
    for (key, fit), p in zip(fits.items(), corrected, strict=True):
        entry = {"definition": definition_of(equivalence), **_harmonics_dict(fit), "p_holm": p}
        entry |= equivalence(fit, margin=options.margin, confidence=options.confidence)
        strict = equivalence(fit, margin=options.strict_margin, confidence=options.confidence)
        entry |= {"strict_margin": options.strict_margin, "strict_verdict": strict["verdict"]}
        entry["reason"] = fit.reason
        statistics[f"angle_invariance_{_name(key)}"] = entry
    for k in options.channels:
        known = [(b, fits[k, b]) for b in options.fields_T if fits[k, b].reason is None]
        entry = {"definition": definition_of(ordered_fall)}
        entry |= ordered_fall(
            np.array([b for b, _ in known]),
            np.array([fit.mean for _, fit in known]),
            np.array([fit.mean_uncertainty for _, fit in known]),
            options.negligible_change,
        )
        entry["fields_T"] = [b for b, _ in known]
        entry["means_mA"] = [fit.mean for _, fit in known]
        entry["uncertainties_mA"] = [fit.mean_uncertainty for _, fit in known]
        statistics[f"fall_with_field_Ic{k}"] = entry


def _two_fold_test(fit: HarmonicFit) -> dict[str, Any]:
    """Two-fold modulation of the width: F test (2 and N - parameters degrees of freedom) of the second harmonic, and its amplitude against the other harmonics."""  # noqa: E501 - printed as it is
    error = fit.amplitude_error(2)
    others = [n for n in fit.cosine if n != 2]
    largest = max((fit.raw_amplitude(n) for n in others), default=math.nan)
    lead = fit.raw_amplitude(2) - largest
    allowance = float(special.stdtrit(fit.dof, 0.95)) * error
    return {
        "upper": fit.raw_amplitude(2) + allowance,
        "dominance_z": lead / (math.sqrt(2) * error) if others and error > 0 else math.nan,
        "largest_other_percent": 100 * largest,
    }


def _growth(low: HarmonicFit, high: HarmonicFit) -> dict[str, Any]:
    """Growth of the two-fold amplitude of the width from the lowest to the highest field, over its standard uncertainty."""  # noqa: E501 - printed as it is
    (a, da), (b, db) = amplitude(low), amplitude(high)
    return {
        "difference_percent": b - a,
        "uncertainty_percent": math.hypot(da, db),
        "shrinks": bool(b - a + 1.645 * math.hypot(da, db) < 0),
        "z": (b - a) / math.hypot(da, db),
    }


def _width_statistics(
    statistics: dict[str, dict[str, Any]],
    widths: Mapping[tuple[int, float], HarmonicFit],
    temperatures: Mapping[tuple[int, float], HarmonicFit],
    options: Options,
) -> None:
    corrected = holm([fit.p_value.get(2, math.nan) for fit in widths.values()])
    for (key, fit), p in zip(widths.items(), corrected, strict=True):
        entry = {"definition": definition_of(_two_fold_test), **_harmonics_dict(fit), "p_holm": p}
        entry |= {"upper": None}
        if fit.reason is None:
            entry |= _two_fold_test(fit)
            entry["detected"] = bool(p < options.significance)
        entry["reason"] = fit.reason
        statistics[f"two_fold_width_{_name(key)}"] = entry
    for k in options.channels:
        known = [b for b in options.fields_T if widths[k, b].reason is None]
        entry = {"definition": definition_of(_growth), "fields_T": known}
        if len(known) >= 2:
            entry |= _growth(widths[k, min(known)], widths[k, max(known)])
            amplitudes = [amplitude(widths[k, b])[0] for b in sorted(known)]
            entry["amplitudes_percent"] = amplitudes
            entry["monotone"] = bool(np.all(np.diff(amplitudes) > 0))
            entry["reason"] = None
        else:
            entry |= {"monotone": None, "shrinks": None}
            entry["reason"] = f"{len(known)} fields, two are needed"
        statistics[f"two_fold_width_growth_Ic{k}"] = entry
        for name, fits in (("width", widths), ("noise_temperature", temperatures)):
            known = [b for b in options.fields_T if fits[k, b].reason is None]
            entry = {"definition": definition_of(width_growth), "fields_T": known}
            entry |= width_growth(
                np.array(known),
                np.array([fits[k, b].mean for b in known]),
                np.array([fits[k, b].mean_uncertainty for b in known]),
                options.negligible_change,
            )
            entry["means"] = [fits[k, b].mean for b in known]
            entry["uncertainties"] = [fits[k, b].mean_uncertainty for b in known]
            statistics[f"{name}_growth_Ic{k}"] = entry


#: What a statistic concludes, as against what it read off the data.
_JUDGED = (
    *("p_holm", "detected", "upper", "lower", "verdict", "strict_verdict"),
    *("all_fall", "grows", "monotone", "stays", "shrinks"),
)


def _withhold(statistics: dict[str, dict[str, Any]], reason: str) -> None:
    """Take back every conclusion about the angle: what was rotated is not what the label says."""
    for name, entry in statistics.items():
        if name != "orientation":
            entry |= dict.fromkeys((key for key in _JUDGED if key in entry), None)
            entry["reason"] = reason


def _tilt(
    statistics: dict[str, dict[str, Any]],
    angle: xr.Dataset | None,
    fits: Mapping[tuple[int, float], HarmonicFit],
    out_of_plane: Mapping[int, Curve],
    options: Options,
) -> None:
    theta, values, fields, slopes, scales = [], [], [], [], []
    keys = []
    for (k, field), fit in fits.items():
        curve = out_of_plane.get(k)
        if fit.reason is not None or curve is None or curve.n == 0:
            continue
        slope, _, _ = local_slope(
            curve.x, curve.y, curve.sigma, centre=0.0, width=2 * options.tilt_slope_fields_T
        )
        chosen = _at_field(angle, field, options.field_tolerance_T)
        points = channel_curve(chosen, k, "theta")
        turn, y, _, _ = one_turn(points.x, points.y, points.sigma)
        keys.append((k, field))
        theta.append(turn)
        values.append(y)
        fields.append(field)
        slopes.append(slope)
        scales.append(fit.residual)
    outcome = tilt_fit(theta, values, fields, slopes, scales)
    # Every stage is tilted a little; it matters where Ic is not invariant by the strict margin.
    bounds = [statistics[f"angle_invariance_{_name(key)}"]["upper"] for key in keys]
    matters = any(bound is not None and bound > options.strict_margin for bound in bounds)
    statistics["tilt"] = {
        "definition": definition_of(tilt_fit),
        "preferred": outcome.preferred,
        "p": outcome.p_value,
        "tilt_deg": outcome.tilt_deg,
        "tilt_uncertainty_deg": outcome.tilt_uncertainty_deg,
        "axis_deg": outcome.axis_deg,
        "out_of_plane_field_T": outcome.out_of_plane_field_T,
        "aicc": outcome.aicc,
        "caused_by_tilt": (
            None
            if outcome.preferred is None
            else bool(
                matters and outcome.preferred == "tilt" and outcome.p_value < options.significance
            )
        ),
        "reason": outcome.reason,
    }
    if not statistics["tilt"]["caused_by_tilt"]:
        return
    for key, t, y, slope, scale in zip(keys, theta, values, slopes, scales, strict=True):
        across = (
            key[1]
            * math.sin(math.radians(outcome.tilt_deg))
            * np.abs(np.cos(np.deg2rad(t - outcome.axis_deg)))
        )
        rest = harmonic_fit(
            t,
            y - slope * across,
            np.full(t.size, scale),
            harmonics=options.harmonics,
            weights=options.weights,
        )
        without = equivalence(rest, margin=options.margin, confidence=options.confidence)
        entry = statistics[f"angle_invariance_{_name(key)}"]
        if entry["lower"] is not None:
            # What a tilt makes is no anisotropy of the sample.
            entry |= {"lower_with_tilt": entry["lower"]}
            entry["lower"] = min(entry["lower"], without["lower"])
        entry |= {
            "amplitude_without_tilt": without["amplitude"],
            "upper_without_tilt": without["upper"],
            "verdict_without_tilt": without["verdict"],
        }


def _film(
    statistics: dict[str, dict[str, Any]], angle_nbn: xr.Dataset | None, options: Options
) -> None:
    k = options.film_channel
    fields = options.fields_T
    if unmeasured_reason(angle_nbn, "iv_angle_nbn") is None:
        # The control has fields of its own.
        fields = tuple(sorted({round(float(abs(b)), 3) for b in angle_nbn["B"].values}))
    fits = _fits(angle_nbn, "iv_angle_nbn", (k,), fields, options)["position"]
    for (channel, field), fit in fits.items():
        entry = {"definition": definition_of(equivalence), **_harmonics_dict(fit)}
        entry |= equivalence(fit, margin=options.margin, confidence=options.confidence)
        statistics[f"anisotropy_nbn_{_name((channel, field))}"] = entry


main = stage_command(
    "angle",
    run,
    Options,
    "Angular dependence of Ic and widths.",
    datasets={
        "angle": "critical currents of iv_angle (.nc)",
        "angle_nbn": "critical currents of iv_angle_nbn (.nc)",
        "in_plane": "critical currents of iv_in_plane (.nc)",
        "out_of_plane": "critical currents of iv_out_of_plane (.nc)",
    },
)


if __name__ == "__main__":
    raise SystemExit(main())
