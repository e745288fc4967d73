"""Temperature laws of the critical currents, and what the data exclude.

Each law is fitted to Ic_k(T) with a scale Ic(0) and a critical temperature; the depairing law of
the Usadel equation may carry pair breaking as a third parameter, of which the Kupriyanov-Lukichev
curve is the limit zero. What breaks the pairs is not known: the pair breaking may be constant or,
if it is the exchange of MnBi2Te4, fall with its sublattice magnetisation. Censored points enter as
upper limits (Tobin, Econometrica 26, 24 (1958)): leaving them out would select upward fluctuations
near Tc. A law that fits is no proof of it, so the laws that the data do not exclude are always
listed beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from nbnmbt.analysis import andreev_peak
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
from nbnmbt.analysis.kinks import holm
from nbnmbt.analysis.monotone import monotone_trend
from nbnmbt.analysis.stage import stage_command
from nbnmbt.physics import depairing, magnet
from nbnmbt.physics.laws import LAWS

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LawFit",
    "Options",
    "compare_laws",
    "critical_temperature",
    "evaluate",
    "fit_law",
    "main",
    "order_of_channels",
    "ratio_test",
    "run",
    "runs_test",
    "worst_deviation",
]

USADEL = "usadel"
"""The depairing law with pair breaking as a free parameter."""

AVERAGE = "average"
"""Of all laws, by Akaike weights."""

EXCHANGE = "usadel-exchange"
"""The same with a pair breaking that falls as the square of the sublattice magnetisation."""

ORDERING_TEMPERATURE = 24.4
"""T_N (K) of that magnetisation: the paper, section 2.1. One kelvin moves Tc by some 0.1 mK."""

DEPAIRING_FAMILY = ("bardeen", "kupriyanov-lukichev", USADEL, EXCHANGE)
"""Laws that "BCS-like" may mean: Bardeen's interpolation, and depairing by the Usadel equation."""

_LARGEST_PAIR_BREAKING = 0.4  # of the bare gap; superconductivity ends at 0.5


class Options(BaseModel):
    """Choices of the temperature analysis; each has the range over which its effect is surveyed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, ...] = Field((0, 1, 2, 3), description="Channels fitted.")
    laws: tuple[str, ...] = Field(
        (*LAWS, USADEL, EXCHANGE), min_length=1, description="Laws compared with each other."
    )
    primary_law: Literal[
        "average", "usadel", "usadel-exchange", "kupriyanov-lukichev", "bardeen"
    ] = Field(
        "average",
        description="What gives Tc: the average of the laws by how well they fit, or one of them:"
        " depairing with constant pair breaking (usadel), with one that falls as the exchange"
        " field of MnBi2Te4 does (usadel-exchange), without (kupriyanov-lukichev), or Bardeen's"
        " interpolation.",
        json_schema_extra={
            "sweep": ["average", "usadel", "usadel-exchange", "kupriyanov-lukichev", "bardeen"]
        },
    )
    lowest_temperature_K: float | None = Field(
        None,
        description="Leave out lower temperatures (None: keep all).",
        json_schema_extra={"sweep": [None, 2.5, 3.0]},
    )
    highest_temperature_K: float | None = Field(
        None, description="Leave out higher temperatures (None: keep all)."
    )
    smallest_current_mA: float = Field(
        0.0,
        ge=0,
        description="Leave out critical currents below this value.",
        json_schema_extra={"sweep": [0.0, 0.03, 0.1]},
    )
    description_floor: float = Field(
        0.0,
        ge=0,
        description="Fraction of Ic added in quadrature to its uncertainty, below which no law is"
        " asked to hold. At zero the misfit of the best law alone widens the uncertainties.",
        json_schema_extra={"sweep": [0.0, 5e-4, 2e-3]},
    )
    use_censored: bool = Field(
        True,
        description="Use censored points as upper limits.",
        json_schema_extra={"sweep": [True, False]},
    )
    limit_softness: float = Field(
        0.1, gt=0, description="Standard deviation of an upper limit, as a fraction of it."
    )
    chi2_limit: float = Field(
        1.5,
        gt=0,
        description="A law is compatible below this reduced chi-squared ...",
        json_schema_extra={"sweep": [1.2, 1.5, 2.0]},
    )
    deviation_limit: float = Field(
        0.05,
        gt=0,
        description="... or when it nowhere deviates by more than this fraction of Ic.",
        json_schema_extra={"sweep": [0.03, 0.05, 0.1]},
    )
    deviation_floor: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Points below this fraction of the largest Ic do not enter the deviation.",
        json_schema_extra={"sweep": [0.02, 0.05, 0.1]},
    )
    aicc_limit: float = Field(
        10.0,
        gt=0,
        description="A law is excluded when its AICc is larger than the smallest one by more than"
        " this.",
        json_schema_extra={"sweep": [4.0, 10.0, 20.0]},
    )
    monotone_draws: int = Field(
        2000, ge=100, description="Simulated data sets of the isotonic regression tests."
    )
    reference_temperature_K: float = Field(
        2.0, gt=0, description="Temperature at which the order of the channels is judged."
    )
    andreev: andreev_peak.Options = Field(
        default_factory=andreev_peak.Options, description="Choices for the Andreev peak."
    )


@dataclass(frozen=True, kw_only=True)
class LawFit:
    """One law fitted to one channel.

    Attributes
    ----------
    law : str
        Name in `LAWS`, "usadel" or "usadel-exchange".
    parameters : dict of str to float
        ``Ic0`` (mA), ``Tc`` (K) and, for the last two, ``alpha`` (pair breaking over the bare gap,
        at zero temperature).
    uncertainties : dict of str to float
        From the curvature of the likelihood, widened by sqrt(chi2_nu) where that exceeds one.
    chi2, chi2_nu : float
        Of the measured points.
    aicc : float
        From the likelihood of measured and censored points.
    deviation : float
        `worst_deviation`.
    runs_p : float
        `runs_test`.
    n, n_limits : int
        Measured points and upper limits used.
    reason : str or None
        Why there is no fit.
    """

    law: str
    parameters: dict[str, float]
    uncertainties: dict[str, float]
    chi2: float = math.nan
    chi2_nu: float = math.nan
    aicc: float = math.nan
    deviation: float = math.nan
    runs_p: float = math.nan
    n: int = 0
    n_limits: int = 0
    reason: str | None = None


# --------------------------------------------------------------------------------------------------
# one fit


def _usadel(T: np.ndarray, Tc: float, alpha: float) -> np.ndarray:
    bare = Tc / depairing.tc_ratio(alpha)
    return depairing.critical_current_ratio(T / bare, alpha) / depairing.critical_current_ratio(
        0.0, alpha
    )


def _usadel_exchange(T: np.ndarray, Tc: float, alpha: float) -> np.ndarray:
    fall = magnet.order_parameter(np.append(T, Tc), ORDERING_TEMPERATURE) ** 2
    bare = Tc / depairing.tc_ratio(alpha * fall[-1])
    ratio = depairing.critical_current_ratio(T / bare, alpha * fall[:-1])
    return ratio / depairing.critical_current_ratio(0.0, alpha)


def _shape(law: str) -> tuple[Callable[..., np.ndarray], tuple[str, ...]]:
    """Ic(T)/Ic(0) as a function of T and further parameters, and their names."""
    if law in (USADEL, EXCHANGE):
        return _usadel if law == USADEL else _usadel_exchange, ("Tc", "alpha")
    if law not in LAWS:
        known = ", ".join((*LAWS, USADEL, EXCHANGE))
        raise ValueError(f"unknown temperature law {law!r}; known are {known}")
    function = LAWS[law]
    return (lambda T, Tc: function(T / Tc)), ("Tc",)


def _no_fit(law: str, curve: Curve, reason: str) -> LawFit:
    return LawFit(
        law=law,
        parameters={},
        uncertainties={},
        n=curve.n,
        n_limits=curve.x_limit.size,
        reason=reason,
    )


def worst_deviation(y: np.ndarray, model: np.ndarray, *, floor: float = 0.05) -> float:
    """Largest relative deviation of the fitted law from the critical current, over the points above a stated fraction of the largest one.

    Parameters
    ----------
    y, model : ndarray, shape (n,)
        Measured and fitted critical currents.
    floor : float
        Fraction of the largest current below which points are left out: near Tc any error of Tc
        is a large relative deviation.

    Returns
    -------
    float
        Fraction; NaN without points.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    y, model = np.asarray(y, dtype=float), np.asarray(model, dtype=float)
    if y.size == 0:
        return math.nan
    large = y >= floor * y.max()
    return float(np.max(np.abs(model[large] / y[large] - 1)))


def runs_test(residuals: np.ndarray) -> float:
    """Runs test of the residuals: the probability of at most the observed number of runs of equal sign if signs are in random order (Wald and Wolfowitz).

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        In order of temperature.

    Returns
    -------
    float
        Small when residuals hang together, that is, when the law bends differently from the data;
        NaN when all have one sign.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    signs = np.sign(np.asarray(residuals, dtype=float))
    signs = signs[signs != 0]
    plus, minus = int((signs > 0).sum()), int((signs < 0).sum())
    if plus == 0 or minus == 0:
        return math.nan
    runs = 1 + int(np.sum(signs[1:] != signs[:-1]))
    total = math.comb(plus + minus, plus)
    ways = 0
    for r in range(2, runs + 1):
        half = r // 2
        if r % 2 == 0:
            ways += 2 * math.comb(plus - 1, half - 1) * math.comb(minus - 1, half - 1)
        else:
            ways += math.comb(plus - 1, half) * math.comb(minus - 1, half - 1)
            ways += math.comb(plus - 1, half - 1) * math.comb(minus - 1, half)
    return ways / total


def fit_law(
    curve: Curve,
    law: str,
    *,
    limit_softness: float = 0.1,
    deviation_floor: float = 0.05,
) -> LawFit:
    r"""Fit one temperature law, with censored points as upper limits.

    Measured points contribute :math:`(y-m)^2/\sigma^2` and an upper limit L contributes
    :math:`-2\ln\Phi((L-m)/sL)` with softness s.

    Parameters
    ----------
    curve : Curve
        Critical current (mA) against temperature (K).
    law : str
        Name in `nbnmbt.physics.laws.LAWS`, "usadel" or "usadel-exchange".
    limit_softness, deviation_floor : float
        See `Options`.

    Returns
    -------
    LawFit
    """
    from scipy.optimize import least_squares

    shape, names = _shape(law)
    k = 1 + len(names)
    if curve.n <= k:
        return _no_fit(law, curve, f"{curve.n} resolved temperatures, at least {k + 1} are needed")
    T, y, sigma = curve.x, curve.y, curve.sigma
    if y.max() <= 0:
        return _no_fit(law, curve, "no positive critical current")
    extra = [0.02] if "alpha" in names else []

    # Best scale for each Tc of a coarse list: a start close enough for any of the shapes.
    trials = T.max() * np.geomspace(0.85, 3.0, 40)
    starts = []
    for Tc in trials:
        m = shape(T, Tc, *extra) / sigma
        norm = m @ m
        scale = (m @ (y / sigma)) / norm if norm > 0 else 0.0
        starts.append((float(np.sum((y / sigma - scale * m) ** 2)), scale, Tc))
    _, scale, Tc = min(starts)

    def residuals(p: np.ndarray) -> np.ndarray:
        measured = (y - p[0] * shape(T, *p[1:])) / sigma
        if curve.x_limit.size == 0:
            return measured
        above = (curve.y_limit - p[0] * shape(curve.x_limit, *p[1:])) / (
            limit_softness * np.maximum(curve.y_limit, 1e-9)
        )
        return np.concatenate([measured, np.sqrt(-2 * special.log_ndtr(above))])

    lower = [0.0, 0.3 * T.min(), *([0.0] if extra else [])]
    upper = [np.inf, 10 * T.max(), *([_LARGEST_PAIR_BREAKING] if extra else [])]
    first = np.array([max(scale, 1e-9), Tc, *extra])
    fit = least_squares(
        residuals,
        np.clip(first, np.array(lower) + 1e-12, np.array(upper) - 1e-12),
        bounds=(lower, upper),
        x_scale=np.maximum(np.abs(first), 1e-3),
        xtol=1e-12,
        ftol=1e-12,
        gtol=1e-12,
    )
    rest = fit.fun[: curve.n]
    chi2 = float(rest @ rest)
    dof = curve.n - k
    chi2_nu = chi2 / dof
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * max(1.0, chi2_nu)
    n = curve.n + curve.x_limit.size
    penalty = 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else math.inf
    labels = ("Ic0", *names)
    return LawFit(
        law=law,
        parameters=dict(zip(labels, map(float, fit.x), strict=True)),
        uncertainties=dict(zip(labels, map(float, np.sqrt(np.diag(covariance))), strict=True)),
        chi2=chi2,
        chi2_nu=chi2_nu,
        aicc=2 * fit.cost + 2 * k + penalty,
        deviation=worst_deviation(y, fit.x[0] * shape(T, *fit.x[1:]), floor=deviation_floor),
        runs_p=runs_test(rest),
        n=curve.n,
        n_limits=curve.x_limit.size,
    )


def evaluate(fit: LawFit, T: np.ndarray) -> np.ndarray:
    """Return the fitted critical current at temperatures `T`.

    Parameters
    ----------
    fit : LawFit
        A fit with parameters.
    T : ndarray
        Temperatures (K).

    Returns
    -------
    ndarray
        In mA, the shape of `T`.
    """
    shape, names = _shape(fit.law)
    p = fit.parameters
    return p["Ic0"] * shape(np.asarray(T, dtype=float), *(p[name] for name in names))


# --------------------------------------------------------------------------------------------------
# comparison


def _relative_aicc(fits: Sequence[LawFit]) -> np.ndarray:
    """AICc above the smallest, on the scale of the best law's residuals where those exceed one."""
    scale = max(1.0, min(fit.chi2_nu for fit in fits))
    criteria = np.array([fit.aicc for fit in fits]) / scale
    return criteria - criteria.min()


def compare_laws(
    fits: Mapping[str, LawFit],
    *,
    chi2_limit: float,
    deviation_limit: float,
    aicc_limit: float = 10.0,
) -> dict[str, Any]:
    """Comparison of temperature laws: a law is compatible if its reduced chi-squared lies below a limit or it nowhere deviates from the data by more than a stated fraction, and excluded if another law has an AICc smaller by more than a limit; all laws are held to the same criteria.

    Parameters
    ----------
    fits : mapping of str to LawFit
        Fits of one channel.
    chi2_limit, deviation_limit, aicc_limit : float
        See `Options`.

    Returns
    -------
    dict
        ``laws`` (table by law), ``compatible`` and ``not_excluded`` (names), ``rivals`` (those not
        excluded that are no depairing law), ``best`` (smallest AICc), ``bcs_like`` (whether a
        depairing law is compatible and not excluded) and ``exclusive`` (whether, besides, there is
        no rival).
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    done = [fit for fit in fits.values() if fit.reason is None and math.isfinite(fit.aicc)]
    if not done:
        reason = next((fit.reason for fit in fits.values() if fit.reason), "no law was fitted")
        return {"bcs_like": None, "exclusive": None, "reason": reason}
    delta = dict(zip((fit.law for fit in done), _relative_aicc(done), strict=True))
    compatible = [
        fit.law for fit in done if fit.chi2_nu < chi2_limit or fit.deviation < deviation_limit
    ]
    not_excluded = [law for law, value in delta.items() if value <= aicc_limit]
    rivals = [law for law in not_excluded if law not in DEPAIRING_FAMILY]
    bcs_like = any(law in DEPAIRING_FAMILY and law in not_excluded for law in compatible)
    return {
        "laws": {
            fit.law: {
                "Ic0_mA": fit.parameters["Ic0"],
                "Tc_K": fit.parameters["Tc"],
                "Tc_uncertainty_K": fit.uncertainties["Tc"],
                "alpha": fit.parameters.get("alpha"),
                "chi2_nu": fit.chi2_nu,
                "delta_aicc": delta[fit.law],
                "worst_deviation": fit.deviation,
                "runs_p": fit.runs_p,
                "compatible": fit.law in compatible,
                "excluded": fit.law not in not_excluded,
            }
            for fit in done
        },
        "compatible": compatible,
        "not_excluded": not_excluded,
        "rivals": rivals,
        "best": min(delta, key=delta.__getitem__),
        "bcs_like": bcs_like,
        "exclusive": bcs_like and not rivals,
        "reason": None,
    }


def critical_temperature(fits: Mapping[str, LawFit], primary: str) -> tuple[float, float]:
    r"""Temperature at which the critical current vanishes, from the fitted temperature laws, averaged by how well they fit (the depairing laws, where they hold); its uncertainty includes the spread among the laws that the data support.

    Akaike weights w_i and the unconditional variance of model averaging,
    :math:`\sum_i w_i[\sigma_i^2+(T_i-\hat T)^2]` (Burnham and Anderson, *Model Selection and
    Multimodel Inference*, 2002), the AICc differences divided by the smallest reduced chi-squared
    where that exceeds one.

    Parameters
    ----------
    fits : mapping of str to LawFit
        Fits of one channel.
    primary : str
        Law whose Tc is the value, or "average".

    Returns
    -------
    value, uncertainty : float
        In K.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    done = [fit for fit in fits.values() if fit.reason is None and math.isfinite(fit.aicc)]
    if not done:
        return fits[primary].parameters["Tc"], fits[primary].uncertainties["Tc"]
    weights = np.exp(-_relative_aicc(done) / 2)
    weights /= weights.sum()
    temperatures = np.array([fit.parameters["Tc"] for fit in done])
    own = np.array([fit.uncertainties["Tc"] for fit in done])
    value = float(weights @ temperatures) if primary == AVERAGE else fits[primary].parameters["Tc"]
    spread = math.sqrt(weights @ (own**2 + (temperatures - value) ** 2))
    if primary == AVERAGE:
        return value, spread
    return value, max(fits[primary].uncertainties["Tc"], spread)


def order_of_channels(
    values: Sequence[tuple[float, float]], *, confidence: float = 0.95
) -> dict[str, Any]:
    """Order of the channels: each value must exceed the one of the channel below by a positive amount at 95 % confidence, corrected by Holm.

    Parameters
    ----------
    values : sequence of (value, uncertainty)
        By channel, in the order that is claimed to be ascending.
    confidence : float
        One-sided level.

    Returns
    -------
    dict
        ``differences``, ``z``, ``p_holm``, ``ascending`` (every neighbour is higher), ``descends``
        (some neighbour is lower, to the same confidence) and ``reason``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    if len(values) < 2 or not all(math.isfinite(v) for v, _ in values):
        known = sum(math.isfinite(v) for v, _ in values)
        reason = f"{known} of {len(values)} channels have a value, all are needed"
        return {"ascending": None, "descends": None, "reason": reason}
    value, sigma = np.array(values, dtype=float).T
    difference = np.diff(value)
    z = difference / np.hypot(sigma[1:], sigma[:-1])
    p = holm(special.ndtr(-z))
    return {
        "differences": difference,
        "z": z,
        "p_holm": p,
        "ascending": bool(np.all(np.asarray(p) < 1 - confidence)),
        "descends": bool(np.any(np.asarray(holm(special.ndtr(z))) < 1 - confidence)),
        "reason": None,
    }


def ratio_test(
    current: tuple[float, float],
    current_top: tuple[float, float],
    temperature: tuple[float, float],
    temperature_top: tuple[float, float],
) -> dict[str, float]:
    """Proportionality of gap and critical current across channels: ratio of the critical currents to those of the film against the ratio of the critical temperatures, in combined standard uncertainties.

    Parameters
    ----------
    current, current_top : tuple of float
        Critical current and uncertainty (mA) of the channel and of the film.
    temperature, temperature_top : tuple of float
        Critical temperature and uncertainty (K) of the channel and of the film.

    Returns
    -------
    dict
        ``current_ratio``, ``temperature_ratio``, their ``_uncertainty``, and ``z``.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    a = current[0] / current_top[0]
    b = temperature[0] / temperature_top[0]
    da = abs(a) * math.hypot(current[1] / current[0], current_top[1] / current_top[0])
    db = abs(b) * math.hypot(
        temperature[1] / temperature[0], temperature_top[1] / temperature_top[0]
    )
    return {
        "current_ratio": a,
        "current_ratio_uncertainty": da,
        "temperature_ratio": b,
        "temperature_ratio_uncertainty": db,
        "z": (a - b) / math.hypot(da, db),
    }


# --------------------------------------------------------------------------------------------------
# stage


def _selected(curve: Curve, options: Options) -> Curve:
    low = -math.inf if options.lowest_temperature_K is None else options.lowest_temperature_K
    high = math.inf if options.highest_temperature_K is None else options.highest_temperature_K
    keep = (curve.x >= low) & (curve.x <= high) & (curve.y >= options.smallest_current_mA)
    limits = (curve.x_limit >= low) & (curve.x_limit <= high) & options.use_censored
    return replace(
        curve,
        x=curve.x[keep],
        y=curve.y[keep],
        sigma=curve.sigma[keep],
        x_limit=curve.x_limit[limits],
        y_limit=curve.y_limit[limits],
    )


def run(
    iv_temperature: xr.Dataset | None, options: Options | None = None, *, sample: str = ""
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Fit and compare the temperature laws, and find where the Andreev peak vanishes.

    Parameters
    ----------
    iv_temperature : xarray.Dataset or None
        Critical currents of ``iv_temperature``.
    options : Options, optional
        Analysis choices.
    sample : str
        Name that enters the random seeds.

    Returns
    -------
    estimates : dict of str to Estimate
        ``Tc_Ic{k}`` and ``T_AR`` (K).
    statistics : dict of str to dict
        Tests and comparisons behind the claims.
    """
    options = options or Options()
    estimates: dict[str, Estimate] = {}
    statistics: dict[str, dict[str, Any]] = {}
    missing = unmeasured_reason(iv_temperature, "iv_temperature")
    at_reference: dict[int, tuple[float, float]] = {}
    for k in options.channels:
        if missing is not None:
            estimates[f"Tc_Ic{k}"] = undetermined(critical_temperature, "K", missing)
            statistics[f"law_Ic{k}"] = {
                "definition": definition_of(compare_laws),
                "reason": missing,
            }
            statistics[f"monotone_Ic{k}"] = {
                "definition": definition_of(monotone_trend),
                "reason": missing,
            }
            continue
        curve = _selected(channel_curve(iv_temperature, k, "T"), options)
        _channel(estimates, statistics, k, curve, options, sample)
        if curve.n:
            nearest = int(np.argmin(np.abs(curve.x - options.reference_temperature_K)))
            if abs(curve.x[nearest] - options.reference_temperature_K) < 0.1:
                at_reference[k] = (float(curve.y[nearest]), float(curve.sigma[nearest]))
    _order(statistics, estimates, at_reference, options)
    peak_estimates, peak_statistics = andreev_peak.run(
        iv_temperature, options.andreev, sample=sample
    )
    return estimates | peak_estimates, statistics | peak_statistics


def _channel(
    estimates: dict[str, Estimate],
    statistics: dict[str, dict[str, Any]],
    k: int,
    curve: Curve,
    options: Options,
    sample: str,
) -> None:
    primary = options.primary_law
    names = dict.fromkeys((*options.laws, primary, "kupriyanov-lukichev"))
    names.pop(AVERAGE, None)
    described = replace(curve, sigma=np.hypot(curve.sigma, options.description_floor * curve.y))
    fits = {
        law: fit_law(
            described,
            law,
            limit_softness=options.limit_softness,
            deviation_floor=options.deviation_floor,
        )
        for law in names
    }
    comparison = compare_laws(
        {name: fit for name, fit in fits.items() if name in options.laws},
        chi2_limit=options.chi2_limit,
        deviation_limit=options.deviation_limit,
        aicc_limit=options.aicc_limit,
    )
    statistics[f"law_Ic{k}"] = {
        "definition": definition_of(compare_laws),
        "n": curve.n,
        "n_limits": curve.x_limit.size,
        "n_censored": curve.n_censored,
        **comparison,
    }
    outcome = monotone_trend(
        curve.x,
        curve.y,
        curve.sigma,
        draws=options.monotone_draws,
        seed_names=(sample, "temperature", f"Ic{k}"),
    )
    statistics[f"monotone_Ic{k}"] = {
        "definition": definition_of(monotone_trend),
        **outcome.as_dict(),
    }
    key = f"Tc_Ic{k}"
    best = comparison.get("best")
    if best is None or (primary != AVERAGE and fits[primary].reason is not None):
        # Too few points to compare laws, or for three parameters.
        primary = "kupriyanov-lukichev"
    fit = fits[best if primary == AVERAGE else primary]
    if fit.reason is not None:
        estimates[key] = undetermined(critical_temperature, "K", fit.reason, n=curve.n)
        return
    value, uncertainty = critical_temperature(fits, primary)
    highest = float(np.max(curve.x[curve.y > 0], initial=0.0))
    if not uncertainty < 0.5 * value:
        estimates[key] = undetermined(
            critical_temperature,
            "K",
            f"the data end at {highest:g} K, too far below the critical temperature to fix it",
            n=curve.n,
        )
        return
    estimates[key] = estimated(
        critical_temperature,
        value,
        uncertainty,
        "K",
        law=primary,
        best_law=fit.law,
        fit_uncertainty_K=fit.uncertainties["Tc"],
        Ic0_mA=fit.parameters["Ic0"],
        Ic0_uncertainty_mA=fit.uncertainties["Ic0"],
        alpha=fit.parameters.get("alpha"),
        chi2_nu=fit.chi2_nu,
        n=curve.n,
        n_limits=curve.x_limit.size,
    )


def _order(
    statistics: dict[str, dict[str, Any]],
    estimates: Mapping[str, Estimate],
    at_reference: Mapping[int, tuple[float, float]],
    options: Options,
) -> None:
    nothing = (math.nan, math.nan)
    currents = [at_reference.get(k, nothing) for k in options.channels]
    temperatures = [
        (e.value, e.uncertainty or 0.0) if e.is_determined else nothing
        for e in (estimates[f"Tc_Ic{k}"] for k in options.channels)
    ]
    for name, values in (("order_of_currents", currents), ("order_of_temperatures", temperatures)):
        statistics[name] = {
            "definition": definition_of(order_of_channels),
            "values": [v for v, _ in values],
            "uncertainties": [u for _, u in values],
            **order_of_channels(values),
        }
    for index, k in enumerate(options.channels[:-1]):
        entry: dict[str, Any] = {"definition": definition_of(ratio_test)}
        quantities = (currents[index], currents[-1], temperatures[index], temperatures[-1])
        if all(math.isfinite(v) for v, _ in quantities):
            entry |= ratio_test(*quantities)
        else:
            entry["reason"] = "critical current or critical temperature missing"
        statistics[f"gap_ratio_Ic{k}"] = entry


main = stage_command(
    "temperature_laws",
    run,
    Options,
    "Temperature laws of the critical currents and of the Andreev peak.",
    datasets={"iv_temperature": "critical currents of iv_temperature (.nc)"},
    flags={"iv_temperature": "critical-currents"},
)


if __name__ == "__main__":
    raise SystemExit(main())
