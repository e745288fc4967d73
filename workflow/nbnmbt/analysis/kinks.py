r"""Kinks of the critical currents in field, and the bounds that show there is none.

The null hypothesis is a smooth curve, a polynomial of degree `p` in \|B\| with `p` chosen by AICc;
the alternative adds a jump and a change of slope at an unknown field. Because the field is
searched for, F is not F-distributed: its largest value over the candidates is calibrated by a
parametric bootstrap on the actual fields and uncertainties (Andrews, Econometrica 61, 821 (1993),
"sup-F"). Absence of a kink is shown by an equivalence bound, never by a large p value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import special

from nbnmbt.analysis.curves import (
    Curve,
    channel_curve,
    unmeasured_reason,
    variable_curve,
)
from nbnmbt.analysis.estimate import (
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.monotone import monotone_trend, named_generator
from nbnmbt.analysis.stage import stage_command

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "KinkLocation",
    "KinkTest",
    "Options",
    "andreev_peak_falls",
    "coincidence",
    "holm",
    "jump_bound",
    "kink_field",
    "kink_jump",
    "local_slope",
    "locate_kink",
    "main",
    "run",
    "sup_f_test",
]


#: Widths of either kind at which the likelihood of B* is looked at first; then nodes along each of
#: one, two or three principal axes, from minus to plus so many standard deviations; and by what the
#: exponent is divided before each next set of nodes.
_FIRST_NODES = 20
_NODES = {1: 81, 2: 41, 3: 17}
_REACH = 3.5
_TEMPERS = (9.0, 3.0, 1.0)


class Options(BaseModel):
    """Choices of the kink analysis; each has the range over which its effect is surveyed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: tuple[int, ...] = Field(
        (0, 1, 2), description="Channels tested; the Holm correction runs over them."
    )
    null_degrees: tuple[int, ...] = Field(
        (3, 4, 5, 6),
        min_length=1,
        description="Degrees of the smooth null curve among which AICc chooses.",
        json_schema_extra={"sweep": [[3], [4], [5], [6], [3, 4, 5, 6]]},
    )
    trim_fraction: float = Field(
        0.12,
        gt=0,
        lt=0.5,
        description="Fraction of the field range at each end where no kink is looked for.",
        json_schema_extra={"sweep": [0.08, 0.12, 0.2]},
    )
    largest_field_T: float | None = Field(
        None,
        gt=0,
        description="Leave out fields above this magnitude (None: keep all).",
        json_schema_extra={"sweep": [None, 8.0, 7.0]},
    )
    excluded_fields_T: tuple[tuple[float, float], ...] = Field(
        (),
        description="Field ranges (from, to) masked before the analysis.",
        json_schema_extra={"sweep": [[], [[7.5, 8.5]]]},
    )
    description_floor: float = Field(
        5e-4,
        ge=0,
        description="Fraction of Ic added in quadrature to its uncertainty when a kink is looked"
        " for: no polynomial follows a depairing curve more closely, however small the noise.",
        json_schema_extra={"sweep": [2e-4, 5e-4, 2e-3]},
    )
    draws: int = Field(
        5000, ge=200, description="Simulated data sets that calibrate the sup-F statistic."
    )
    significance: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Holm-corrected false-alarm rate at which a kink counts as detected.",
        json_schema_extra={"sweep": [0.05, 0.01, 0.001]},
    )
    location_window_T: float = Field(
        0.5,
        gt=0,
        description="Half width of the window about the best sharp kink in which B* is profiled.",
        json_schema_extra={"sweep": [0.4, 0.5, 0.8]},
    )
    longest_recovery_T: float = Field(
        0.4,
        gt=0,
        description="Longest exponential length of the delayed part of the step.",
        json_schema_extra={"sweep": [0.3, 0.4, 0.6]},
    )
    largest_smear_T: float = Field(
        0.27,
        gt=0,
        description="Largest standard deviation of the distribution of kink fields.",
        json_schema_extra={"sweep": [0.2, 0.27, 0.4]},
    )
    extrapolation_allowance: float = Field(
        0.008,
        ge=0,
        description="Fraction of the jump added in quadrature to its uncertainty, for how the"
        " smooth curves on either side are continued to B*.",
        json_schema_extra={"sweep": [0.0, 0.008, 0.015]},
    )
    slope_window_T: float = Field(
        1.0,
        gt=0,
        description="Full width of the window about the kink in which the local slope is taken.",
        json_schema_extra={"sweep": [0.6, 1.0, 1.4]},
    )
    equivalence_fraction: float = Field(
        0.25,
        gt=0,
        description="In-plane jumps count as absent below this fraction of the out-of-plane jump.",
        json_schema_extra={"sweep": [0.15, 0.25, 0.5]},
    )
    absolute_margin: float = Field(
        0.02,
        gt=0,
        description="Margin as a fraction of the zero-field critical current, used where there is"
        " no out-of-plane jump to compare with, and below which an out-of-plane jump is absent.",
        json_schema_extra={"sweep": [0.01, 0.02, 0.04]},
    )
    negligible_peak_change: float = Field(
        0.02,
        gt=0,
        description="Fall of the zero-bias peak, as a fraction of the background, that counts as"
        " none.",
        json_schema_extra={"sweep": [0.01, 0.02, 0.04]},
    )
    monotone_draws: int = Field(
        2000, ge=100, description="Simulated data sets of the isotonic regression tests."
    )
    flop_reference: str = Field(
        "B_flop_mnbi2te4",
        description="Spin-flop field of the transitions stage to compare the kink with.",
        json_schema_extra={"sweep": ["B_flop_mnbi2te4", "B_flop_interface"]},
    )


@dataclass(frozen=True, kw_only=True)
class KinkTest:
    """Outcome of the calibrated test for a kink at an unknown field.

    Attributes
    ----------
    sup_f : float
        Largest F over the candidate fields.
    p_value : float
        Calibrated probability of at least `sup_f` for a smooth curve.
    f95, f99 : float
        Calibrated 95 % and 99 % quantiles of sup-F.
    naive_p_value : float
        What an F test that ignores the search would claim; for comparison only.
    null_degree : int
        Degree of the null polynomial.
    field : float
        Candidate field (T) with the largest F: midpoint of an interval between two points.
    jump : float
        Jump of the sharp alternative at `field` (unit of the data).
    chi2_nu_null, chi2_nu_kink : float
        Reduced chi-squared of the two fits.
    n, draws : int
        Points and simulated data sets.
    reason : str or None
        Why there is no test.
    """

    sup_f: float = math.nan
    p_value: float = math.nan
    f95: float = math.nan
    f99: float = math.nan
    naive_p_value: float = math.nan
    null_degree: int = -1
    field: float = math.nan
    jump: float = math.nan
    chi2_nu_null: float = math.nan
    chi2_nu_kink: float = math.nan
    n: int = 0
    draws: int = 0
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class KinkLocation:
    """Profile likelihood of kink field and jump.

    Attributes
    ----------
    field, field_uncertainty : float
        Mean and standard deviation of B* over the likelihood (T).
    jump, jump_uncertainty : float
        Height of the step at B* and its standard uncertainty (unit of the data).
    recovery, smear : float
        Likelihood means of the exponential recovery length and of the Gaussian width (T).
    chi2_nu : float
        Reduced chi-squared of the best fit; above one it scales the uncertainties.
    """

    field: float
    field_uncertainty: float
    jump: float
    jump_uncertainty: float
    recovery: float
    smear: float
    chi2_nu: float

    @property
    def interval95(self) -> tuple[float, float]:
        """B* within 1.96 standard uncertainties (T).

        Not quantiles of the likelihood: of the two kinds of step that it averages, each is far
        too sure of its own onset.
        """
        reach = 1.96 * self.field_uncertainty
        return self.field - reach, self.field + reach


# --------------------------------------------------------------------------------------------------
# linear algebra of "smooth curve plus something at b"


def _null_basis(x: np.ndarray, degree: int) -> np.ndarray:
    # Chebyshev polynomials span the same curves as powers but stay well conditioned.
    low, high = x.min(), x.max()
    return np.polynomial.chebyshev.chebvander(2 * (x - low) / (high - low) - 1, degree)


def _candidates(x: np.ndarray, trim_fraction: float) -> np.ndarray:
    """Midpoints between neighbouring fields: between two points a sharp kink is the same fit."""
    values = np.unique(x)
    middles = (values[1:] + values[:-1]) / 2
    span = values[-1] - values[0]
    keep = (middles >= values[0] + trim_fraction * span) & (
        middles <= values[-1] - trim_fraction * span
    )
    below = np.searchsorted(np.sort(x), middles)
    # Jump and slope need points of their own on both sides.
    return middles[keep & (below >= 3) & (x.size - below >= 3)]


class _SharpKinks:
    """Fits of polynomial plus jump plus slope change at all candidate fields at once."""

    def __init__(self, x: np.ndarray, sigma: np.ndarray, degree: int, fields: np.ndarray):
        self.degree = degree
        self.fields = fields
        self.dof_null = x.size - degree - 1
        self.dof_kink = self.dof_null - 2
        self.q = np.linalg.qr(_null_basis(x, degree) / sigma[:, None])[0]
        step = (x[None, :] > fields[:, None]).astype(float)
        added = np.stack([step, step * (x[None, :] - fields[:, None])], axis=-1)
        added = added / sigma[None, :, None]
        added -= np.einsum("np,bpc->bnc", self.q, np.einsum("np,bnc->bpc", self.q, added))
        self.u, self.r = np.linalg.qr(added)

    def null_residual(self, z: np.ndarray) -> np.ndarray:
        """Chi-squared of the null fit of whitened data, shape (..., n) -> (...)."""
        return np.maximum(np.sum(z * z, axis=-1) - np.sum((z @ self.q) ** 2, axis=-1), 0)

    def f_statistics(self, z: np.ndarray, least_variance: float = 0.0) -> np.ndarray:
        """F of each candidate, shape (..., n) -> (..., candidates).

        The residual variance in its denominator is not taken smaller than `least_variance`.
        """
        n = z.shape[-1]
        inner = z @ self.u.transpose(1, 0, 2).reshape(n, -1)
        gain = np.sum(inner.reshape(*inner.shape[:-1], self.fields.size, 2) ** 2, axis=-1)
        null = self.null_residual(z)[..., None]
        # Numerically exact data leave rounding only; no kink can be inferred from that.
        rounding = 1e-18 * np.sum(z * z, axis=-1)[..., None]
        rest = np.maximum(null - gain, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.maximum(np.maximum(rest, rounding) / self.dof_kink, least_variance)
            f = (gain / 2) / variance
        return np.where(null <= rounding * n, 0.0, f)

    def jumps(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Jump and its standard error (known uncertainties) at each candidate."""
        inner = np.einsum("bnc,n->bc", self.u, z)
        inverse = np.linalg.inv(self.r)
        coefficient = np.einsum("bij,bj->bi", inverse, inner)
        covariance = np.einsum("bij,bkj->bik", inverse, inverse)
        return coefficient[:, 0], np.sqrt(covariance[:, 0, 0])


def _aicc(chi2: np.ndarray, n: int, degree: int) -> np.ndarray:
    k = degree + 2  # coefficients and the scale of the residuals
    with np.errstate(divide="ignore"):
        return n * np.log(np.maximum(chi2, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _usable_degrees(n: int, degrees: Sequence[int]) -> list[int]:
    # Four degrees of freedom left by the alternative, and a finite AICc.
    return [p for p in sorted(set(degrees)) if n - p - 3 >= 4]


# --------------------------------------------------------------------------------------------------
# estimators


def sup_f_test(
    x: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    *,
    degrees: Sequence[int] = (3, 4, 5, 6),
    trim_fraction: float = 0.12,
    draws: int = 5000,
    least_variance: float = 0.0,
    seed_names: tuple[object, ...] = (),
) -> KinkTest:
    """Calibrated sup-F test: the p value is the probability that a smooth curve (a polynomial whose degree AICc chooses) gives at least the observed largest F for an added jump and slope change at an unknown field, simulated on the same fields and uncertainties.

    Parameters
    ----------
    x, y, sigma : ndarray, shape (n,)
        Field magnitudes (T), values and standard uncertainties.
    degrees : sequence of int
        Null degrees among which AICc chooses, in the data and again in each simulation.
    trim_fraction : float
        Fraction of the range at each end without candidates.
    draws : int
        Simulated data sets.
    least_variance : float
        Smallest residual variance, in units of ``sigma**2``, that enters F. With 0 the statistic
        is the classical one and knows no scale; with 1 residuals far below `sigma` cannot make a
        curve that a polynomial misses by a fraction of `sigma` look kinked.
    seed_names : tuple
        Names that fix the random stream.

    Returns
    -------
    KinkTest
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    x, y, sigma = (np.asarray(a, dtype=float) for a in (x, y, sigma))
    n = x.size
    usable = _usable_degrees(n, degrees)
    if not usable:
        least = min(degrees) + 7
        return KinkTest(n=n, reason=f"{n} usable fields, at least {least} are needed")
    fields = _candidates(x, trim_fraction)
    if fields.size == 0:
        return KinkTest(n=n, reason="no candidate field lies inside the trimmed range")
    models = [_SharpKinks(x, sigma, p, fields) for p in usable]
    z = y / sigma
    chosen = int(np.argmin([_aicc(m.null_residual(z), n, m.degree) for m in models]))
    model = models[chosen]
    f = model.f_statistics(z, least_variance)
    best = int(np.argmax(f))
    gain = np.sum(np.einsum("nc,n->c", model.u[best], z) ** 2)
    null_chi2 = float(model.null_residual(z))
    kink_chi2 = max(null_chi2 - float(gain), 0.0)

    mean = model.q @ (model.q.T @ z)
    random = named_generator("sup-F", *seed_names)
    # Noise larger than stated shows in what the kink leaves over.
    scale = math.sqrt(max(1.0, kink_chi2 / model.dof_kink))
    simulated = mean + scale * random.standard_normal((draws, n))
    # Choosing the degree is part of the procedure, hence part of what is calibrated.
    criteria = np.stack([_aicc(m.null_residual(simulated), n, m.degree) for m in models])
    pick = np.argmin(criteria, axis=0)
    null_sup = np.empty(draws)
    for index, candidate in enumerate(models):
        rows = pick == index
        if rows.any():
            null_sup[rows] = candidate.f_statistics(simulated[rows], least_variance).max(axis=-1)

    jump, _ = model.jumps(z)
    return KinkTest(
        sup_f=float(f[best]),
        p_value=float((1 + np.sum(null_sup >= f[best] * (1 - 1e-12))) / (1 + draws)),
        f95=float(np.quantile(null_sup, 0.95)),
        f99=float(np.quantile(null_sup, 0.99)),
        naive_p_value=float(special.fdtrc(2, model.dof_kink, f[best])),
        null_degree=model.degree,
        field=float(fields[best]),
        jump=float(jump[best]),
        chi2_nu_null=null_chi2 / model.dof_null,
        chi2_nu_kink=kink_chi2 / model.dof_kink,
        n=n,
        draws=draws,
    )


def _step_columns(
    u: np.ndarray, recovery: np.ndarray, smear: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Prompt step and exponentially recovering step, both convolved with a Gaussian."""
    prompt = special.ndtr(u / smear)
    exponent = -u / recovery + 0.5 * (smear / recovery) ** 2
    delayed = prompt - np.exp(exponent + special.log_ndtr(u / smear - smear / recovery))
    return prompt, delayed


def _likelihood(
    x: np.ndarray,
    z: np.ndarray,
    sigma: np.ndarray,
    degree: int,
    nodes: np.ndarray,
    parts: str,
) -> dict[str, np.ndarray]:
    """Chi-squared and jump of the widened kink at nodes (field, log recovery, log smear).

    `parts` says what the step consists of: "prompt", "delayed" or "prompt and delayed".
    """
    q = np.linalg.qr(_null_basis(x, degree) / sigma[:, None])[0]
    residual = z - q @ (q.T @ z)
    b, w, s = nodes[:, 0], np.exp(nodes[:, 1]), np.exp(nodes[:, 2])
    u = x[None, :] - b[:, None]
    prompt, delayed = _step_columns(u, w[:, None], s[:, None])
    steps = {"prompt": [prompt], "delayed": [delayed], "prompt and delayed": [prompt, delayed]}[
        parts
    ]
    columns = np.stack([*steps, steps[0] * u], axis=-1) / sigma[None, :, None]
    columns -= np.einsum("np,gpc->gnc", q, np.einsum("np,gnc->gpc", q, columns))
    gram = np.einsum("gnc,gnd->gcd", columns, columns)
    # Prompt and delayed parts coincide when the recovery is shorter than the field step; a tiny
    # ridge shares the jump between them and leaves their sum alone.
    gram += 1e-10 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[1])
    inner = np.einsum("gnc,n->gc", columns, residual)

    def solve(used: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inverse = np.linalg.inv(gram[:, used][:, :, used])
        coefficient = np.einsum("gcd,gd->gc", inverse, inner[:, used])
        chi2 = residual @ residual - np.sum(coefficient * inner[:, used], axis=1)
        k = len(used) - 1
        return np.maximum(chi2, 0), coefficient[:, :k], inverse[:, :k, :k].sum(axis=(1, 2))

    chi2, heights, variance = solve(list(range(gram.shape[1])))
    jump = heights.sum(axis=1)
    if len(steps) == 2:
        # Two parts of opposite sign would be a spike, not a step: one of them alone is the closest.
        spike = heights[:, 0] * heights[:, 1] < 0
        alone = [solve([part, 2]) for part in (0, 1)]
        better = alone[1][0] < alone[0][0]
        for one, chosen in zip(alone, (~better, better), strict=True):
            here = spike & chosen
            chi2[here], jump[here], variance[here] = one[0][here], one[1][here, 0], one[2][here]
    return {
        "field": b,
        "recovery": w,
        "smear": s,
        "chi2": chi2,
        "jump": jump,
        "variance": variance,
    }


def locate_kink(
    x: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    *,
    degree: int,
    start: float,
    window: float = 0.5,
    longest_recovery: float = 0.4,
    largest_smear: float = 0.27,
    extrapolation_allowance: float = 0.008,
) -> KinkLocation:
    """Profile the kink field: a step that sets in at B*, partly at once and partly with an exponential recovery, smeared by a Gaussian distribution of B*, on a smooth curve with a change of slope.

    A sharp jump (the alternative of the test) is the special case without recovery and smear. On a
    curve whose step takes a few tenths of a tesla it would put B* in the middle of the step, and
    its likelihood would be far too narrow; B* here is where the step sets in. The likelihood is
    averaged over recovery and smear, and with equal weight over a step with and one without a
    prompt part: the first tends to put the onset late, the second early (by some hundredths of a
    tesla for a step of some tenths), so that it is taken to lie anywhere between the two. An onset
    sharper than a quarter of the distance of the fields may lie anywhere between two of them.

    Parameters
    ----------
    x, y, sigma : ndarray, shape (n,)
        Field magnitudes (T), values, standard uncertainties.
    degree : int
        Degree of the smooth part.
    start, window : float
        Centre and half width of the search (T).
    longest_recovery, largest_smear : float
        Bounds of the widths (T).
    extrapolation_allowance : float
        Fraction of the jump that the continuation of the smooth curves leaves uncertain.

    Returns
    -------
    KinkLocation
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    x, y, sigma = (np.asarray(a, dtype=float) for a in (x, y, sigma))
    z = y / sigma
    n = x.size
    interior = np.unique(x)[1:-1]
    low, high = max(start - window, interior[0]), min(start + window, interior[-1])
    sharp_only = n - (degree + 1) - 6 < 3
    if sharp_only:
        recoveries = smears = np.array([1e-3])
        families = [_family(x, z, sigma, degree, (low, high), recoveries, smears, "prompt")]
    else:
        recoveries = np.geomspace(longest_recovery / 13, longest_recovery, _FIRST_NODES)
        smears = np.geomspace(largest_smear / 27, largest_smear, _FIRST_NODES)
        families = [
            _family(x, z, sigma, degree, (low, high), recoveries, smears, parts)
            for parts in ("prompt and delayed", "delayed")
        ]

    def mean_of(name: str) -> float:
        return float(np.mean([f["weight"] @ f[name] for f in families]))

    field, jump = mean_of("field"), mean_of("jump")
    onsets = [f["weight"] @ f["field"] for f in families]
    within = np.mean(
        [
            f["weight"] @ (f["field"] - onset) ** 2 + f["resolution"]
            for f, onset in zip(families, onsets, strict=True)
        ]
    )
    # One kind of step puts the onset late, the other early: it is anywhere between (GUM 4.3.7).
    field_variance = within + np.ptp(onsets) ** 2 / 12
    if not sharp_only:
        # Where between two fields a sharper onset lies, only the assumed shape would say.
        fields = np.unique(x)
        above = np.clip(np.searchsorted(fields, field), 1, fields.size - 1)
        gap = fields[above] - fields[above - 1]
        unresolved = np.mean([f["weight"] @ (f["smear"] < gap / 4) for f in families])
        field_variance += unresolved * gap**2 / 12
    jump_variance = np.mean(
        [f["weight"] @ ((f["jump"] - jump) ** 2 + f["scale"] * f["variance"]) for f in families]
    )
    return KinkLocation(
        field=field,
        field_uncertainty=math.sqrt(field_variance),
        jump=jump,
        jump_uncertainty=math.hypot(math.sqrt(jump_variance), extrapolation_allowance * jump),
        recovery=math.nan if sharp_only else mean_of("recovery"),
        smear=math.nan if sharp_only else mean_of("smear"),
        chi2_nu=float(min(f["chi2_nu"] for f in families)),
    )


def _closer(
    nodes: np.ndarray, weight: np.ndarray, cell: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes along the principal axes of where the weight lies, and the covariance of their cell."""
    mean = weight @ nodes
    away = nodes - mean
    variances, axes = np.linalg.eigh((away * weight[:, None]).T @ away + cell)
    open_axes = variances > 1e-12 * variances.max()
    reach = axes[:, open_axes] * (_REACH * np.sqrt(variances[open_axes]))
    count = _NODES[np.count_nonzero(open_axes)]
    unit = np.linspace(-1, 1, count)
    grid = np.meshgrid(*[unit] * reach.shape[1], indexing="ij")
    new = mean + np.stack([g.ravel() for g in grid], axis=-1) @ reach.T
    inside = np.all((new >= low - 1e-9) & (new <= high + 1e-9), axis=1)
    spacing = reach * 2 / (count - 1)
    return new[inside], spacing @ spacing.T / 12


def _family(
    x: np.ndarray,
    z: np.ndarray,
    sigma: np.ndarray,
    degree: int,
    limits: tuple[float, float],
    recoveries: np.ndarray,
    smears: np.ndarray,
    parts: str,
) -> dict[str, Any]:
    """Normalised likelihood of one kind of step, at nodes that resolve it.

    Onset, recovery and smear depend on one another: the likelihood is a thin ridge across the
    coarse nodes. So the next nodes follow its principal axes, and the ridge is made thinner from
    time to time only.
    """
    widths = (recoveries.size > 1) + (smears.size > 1)
    columns = 3 if parts == "prompt and delayed" else 2
    dof = max(x.size - (degree + 1) - 1 - widths - columns, 1)
    interior = np.unique(x)[[1, -2]]
    shift = (limits[1] - limits[0]) / 4

    def weigh(grid: dict[str, np.ndarray], temper: float) -> np.ndarray:
        smallest = grid["chi2"].min()
        # What the shape cannot follow is treated as if it were noise: it widens the likelihood.
        weight = np.exp((smallest - grid["chi2"]) / (2 * temper * max(1.0, smallest / dof)))
        return weight / weight.sum()

    (low, high), logs = limits, (np.log(recoveries), np.log(smears))
    for _ in range(8):
        fields = np.linspace(low, high, max(math.ceil((high - low) / 0.02), 10) + 1)
        mesh = np.meshgrid(fields, *logs, indexing="ij")
        nodes = np.stack([m.ravel() for m in mesh], axis=-1)
        grid = _likelihood(x, z, sigma, degree, nodes, parts)
        marginal = weigh(grid, 1.0).reshape(fields.size, -1).sum(axis=1)
        # The best sharp kink of a slow step can lie far above its onset: follow the likelihood
        # when it leans against an end of the window.
        below = shift * (marginal[:3].sum() > 1e-3 and low > interior[0])
        above = shift * (marginal[-3:].sum() > 1e-3 and high < interior[1])
        if not (below or above):
            break
        low, high = max(low - below, interior[0]), min(high + above, interior[1])
    bounds = np.array([(low, high), *((each[0], each[-1]) for each in logs)]).T
    spacing = [float(each[1] - each[0]) if each.size > 1 else 0.0 for each in (fields, *logs)]
    cell = np.diag(np.square(spacing)) / 12
    for before in _TEMPERS:
        nodes, cell = _closer(nodes, weigh(grid, before), cell, *bounds)
        grid = _likelihood(x, z, sigma, degree, nodes, parts)
    smallest = grid["chi2"].min()
    return {
        **grid,
        "weight": weigh(grid, 1.0),
        "scale": max(1.0, smallest / dof),
        "resolution": float(cell[0, 0]),
        "chi2_nu": smallest / dof,
    }


def kink_field(location: KinkLocation) -> tuple[float, float]:
    """Field at which the critical current leaves its smooth low-field curve by a step (onset of the step, mean over the profile likelihood).

    Parameters
    ----------
    location : KinkLocation
        Outcome of `locate_kink`.

    Returns
    -------
    value, uncertainty : float
        In T.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    return location.field, location.field_uncertainty


def kink_jump(location: KinkLocation) -> tuple[float, float]:
    """Height of the step of the critical current at the kink field, between the smooth curves on either side (positive when the current rises with field).

    Parameters
    ----------
    location : KinkLocation
        Outcome of `locate_kink`.

    Returns
    -------
    value, uncertainty : float
        In the unit of the critical current (mA).
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    return location.jump, location.jump_uncertainty


def jump_bound(
    x: np.ndarray,
    y: np.ndarray,
    sigma: np.ndarray,
    *,
    degree: int,
    trim_fraction: float = 0.12,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """Upper 95 % confidence bound of the magnitude of a jump anywhere in the field range, for a smooth curve with a jump and slope change at any candidate field.

    The largest of the one-sided bounds over the candidates: that each of them lies below a margin
    is an intersection-union test, which needs no correction for their number. The lower bound is
    that of the jump at the candidate that fits best; it means something only where a kink was
    detected in the first place.

    Parameters
    ----------
    x, y, sigma : ndarray, shape (n,)
        Field magnitudes (T), values, standard uncertainties.
    degree : int
        Degree of the smooth part.
    trim_fraction, confidence : float
        As in `sup_f_test`; level of the bound.

    Returns
    -------
    bound : float
        In the unit of `y`; NaN if no candidate can be fitted.
    field : float
        Candidate field (T) that gives the upper bound.
    lower : float
        Lower bound of the same confidence, in the unit of `y`.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    x, y, sigma = (np.asarray(a, dtype=float) for a in (x, y, sigma))
    if x.size == 0:
        return math.nan, math.nan, math.nan
    fields = _candidates(x, trim_fraction)
    if fields.size == 0 or x.size - degree - 3 < 1:
        return math.nan, math.nan, math.nan
    model = _SharpKinks(x, sigma, degree, fields)
    z = y / sigma
    jump, error = model.jumps(z)
    gain = np.sum(np.einsum("bnc,n->bc", model.u, z) ** 2, axis=1)
    chi2 = np.maximum(model.null_residual(z) - gain, 0)
    scale = np.sqrt(np.maximum(1.0, chi2 / model.dof_kink))
    allowance = special.stdtrit(model.dof_kink, confidence) * error * scale
    bounds = np.abs(jump) + allowance
    worst, best = int(np.argmax(bounds)), int(np.argmin(chi2))
    lower = max(abs(jump[best]) - allowance[best], 0.0)
    return float(bounds[worst]), float(fields[worst]), float(lower)


def local_slope(
    x: np.ndarray, y: np.ndarray, sigma: np.ndarray, *, centre: float, width: float
) -> tuple[float, float, int]:
    """Weighted least-squares slope of the critical current in field, in a window about the kink.

    It describes the curve in the window, which is no straight line: its uncertainty is that of the
    measurement alone.

    Parameters
    ----------
    x, y, sigma : ndarray, shape (n,)
        Field magnitudes (T), values, standard uncertainties.
    centre, width : float
        Window (T).

    Returns
    -------
    slope, uncertainty : float
        Unit of `y` per T; NaN with fewer than three points.
    n : int
        Points in the window.
    """
    x, y, sigma = (np.asarray(a, dtype=float) for a in (x, y, sigma))
    inside = np.abs(x - centre) <= width / 2 + 1e-9
    n = int(inside.sum())
    if n < 3 or np.ptp(x[inside]) == 0:
        return math.nan, math.nan, n
    weight = sigma[inside] ** -2
    middle = np.average(x[inside], weights=weight)
    spread = np.sum(weight * (x[inside] - middle) ** 2)
    slope = np.sum(weight * (x[inside] - middle) * y[inside]) / spread
    return float(slope), float(spread**-0.5), n


def coincidence(
    field: tuple[float, float], reference: tuple[float, float | None]
) -> tuple[float, float]:
    """Difference of kink field and spin-flop field, and its ratio to the combined standard uncertainty.

    Parameters
    ----------
    field, reference : tuple of float
        Value and standard uncertainty (T) of either.

    Returns
    -------
    difference : float
        In T.
    z : float
        Difference over combined uncertainty.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    difference = field[0] - reference[0]
    uncertainty = math.hypot(field[1], reference[1] or 0.0)
    return difference, difference / uncertainty if uncertainty > 0 else math.inf


def andreev_peak_falls(
    curve: Curve, *, draws: int, seed_names: tuple[object, ...], negligible: float = 0.02
) -> dict[str, Any]:
    """Fall of the zero-bias Andreev peak height with field: isotonic regression test of its monotony, and the change from the lowest to the highest field.

    Parameters
    ----------
    curve : Curve
        Peak height R(0)/R_bg - 1 against field magnitude.
    draws : int
        Simulated data sets.
    seed_names : tuple
        Names that fix the random stream.
    negligible : float
        A smaller fall of R(0)/R_bg counts as none.

    Returns
    -------
    dict
        Fields of `Isotonic`, and ``change``, ``change_uncertainty`` between the first and the last
        third of the points; ``falls``, and ``stays``: a fall of `negligible` is excluded.
    """  # noqa: E501 - the first paragraph is the printed definition and stays one sentence
    outcome = monotone_trend(
        curve.x, curve.y, curve.sigma, increasing=False, draws=draws, seed_names=seed_names
    ).as_dict()
    outcome |= {"falls": None, "stays": None}
    if curve.n >= 3:
        third = max(curve.n // 3, 1)
        change = curve.y[-third:].mean() - curve.y[:third].mean()
        uncertainty = math.hypot(
            *(
                float(np.sqrt(np.sum(part**2)) / third)
                for part in (curve.sigma[-third:], curve.sigma[:third])
            )
        )
        outcome |= {"change": float(change), "change_uncertainty": uncertainty}
        outcome["falls"] = bool(change + 1.645 * uncertainty < 0)
        outcome["stays"] = bool(change - 1.645 * uncertainty > -negligible)
    return outcome


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number by Holm's step-down method; NaN stays NaN.

    Parameters
    ----------
    p_values : sequence of float
        Uncorrected p values of one family of tests.

    Returns
    -------
    list of float
    """
    p = np.asarray(p_values, dtype=float)
    corrected = np.full(p.shape, np.nan)
    known = np.isfinite(p)
    if known.any():
        from statsmodels.stats.multitest import multipletests

        corrected[known] = multipletests(p[known], method="holm")[1]
    return [float(value) for value in corrected]


# --------------------------------------------------------------------------------------------------
# stage


def _masked(curve: Curve, options: Options) -> Curve:
    keep = np.ones(curve.n, dtype=bool)
    if options.largest_field_T is not None:
        keep &= curve.x <= options.largest_field_T + 1e-9
    for low, high in options.excluded_fields_T:
        keep &= (curve.x < low) | (curve.x > high)
    return replace(curve, x=curve.x[keep], y=curve.y[keep], sigma=curve.sigma[keep])


def _floored(curve: Curve, options: Options) -> Curve:
    """The curve with the description floor in its uncertainties."""
    return replace(curve, sigma=np.hypot(curve.sigma, options.description_floor * curve.y))


def _curves(
    ds: xr.Dataset | None, measurement: str, options: Options
) -> tuple[dict[int, Curve], str | None]:
    reason = unmeasured_reason(ds, measurement)
    if reason is not None:
        return {}, reason
    return {k: _masked(channel_curve(ds, k, "B"), options) for k in options.channels}, None


def _test_dict(test: KinkTest, corrected: float) -> dict[str, Any]:
    return {
        "definition": definition_of(sup_f_test),
        "sup_F": test.sup_f,
        "p": test.p_value,
        "p_holm": corrected,
        "p_naive": test.naive_p_value,
        "sup_F_95": test.f95,
        "sup_F_99": test.f99,
        "null_degree": test.null_degree if test.reason is None else None,
        "field_sharp_T": test.field,
        "jump_sharp_mA": test.jump,
        "chi2_nu_null": test.chi2_nu_null,
        "chi2_nu_kink": test.chi2_nu_kink,
        "n": test.n,
        "draws": test.draws,
        "reason": test.reason,
    }


def run(
    out_of_plane: xr.Dataset | None,
    in_plane: xr.Dataset | None,
    options: Options | None = None,
    *,
    transitions: Mapping[str, Estimate] | None = None,
    sample: str = "",
) -> tuple[dict[str, Estimate], dict[str, dict[str, Any]]]:
    """Test, locate and bound the kinks of the critical currents in field.

    Parameters
    ----------
    out_of_plane, in_plane : xarray.Dataset or None
        Critical currents of ``iv_out_of_plane`` and ``iv_in_plane``.
    options : Options, optional
        Analysis choices.
    transitions : mapping of str to Estimate, optional
        Estimates of the transitions stage, for the comparison with the spin-flop field.
    sample : str
        Name that enters the random seeds.

    Returns
    -------
    estimates : dict of str to Estimate
        ``B_kink_Ic{k}`` (T) and ``jump_Ic{k}`` (mA).
    statistics : dict of str to dict
        Tests, bounds and comparisons behind the claims.
    """
    options = options or Options()
    estimates: dict[str, Estimate] = {}
    statistics: dict[str, dict[str, Any]] = {}
    perpendicular, no_perpendicular = _curves(out_of_plane, "iv_out_of_plane", options)
    parallel, no_parallel = _curves(in_plane, "iv_in_plane", options)
    for k, curve in perpendicular.items():
        _out_of_plane_monotone(statistics, k, curve, options, sample)
    tests = _tests(statistics, "kink", "out-of-plane", perpendicular, options, sample)
    _tests(statistics, "kink_in_plane", "in-plane", parallel, options, sample)

    for k in options.channels:
        # Without a curve each statistic is there all the same, with the reason why it is empty.
        for reason, name, function in (
            (no_perpendicular, "kink", sup_f_test),
            (no_perpendicular, "monotone_out_of_plane", monotone_trend),
            (no_perpendicular, "local_slope", local_slope),
            (no_parallel, "kink_in_plane", sup_f_test),
        ):
            if reason is not None:
                statistics[f"{name}_Ic{k}"] = {
                    "definition": definition_of(function),
                    "reason": reason,
                }
        for key, function, unit in (
            (f"B_kink_Ic{k}", kink_field, "T"),
            (f"jump_Ic{k}", kink_jump, "mA"),
        ):
            if no_perpendicular is not None:
                estimates[key] = undetermined(function, unit, no_perpendicular)
        location = None
        if no_perpendicular is None:
            location = _locate(estimates, statistics, k, perpendicular[k], tests[k], options)
            _slope(statistics, k, perpendicular[k], tests[k], location, options)
        _coincide(statistics, k, estimates[f"B_kink_Ic{k}"], transitions, options)
        _equivalence(statistics, k, parallel.get(k), no_parallel, location, options, sample)

    for name, ds, reason in (
        ("out_of_plane", out_of_plane, no_perpendicular),
        ("in_plane", in_plane, no_parallel),
    ):
        entry: dict[str, Any] = {"definition": definition_of(andreev_peak_falls)}
        if reason is not None:
            entry |= {"falls": None, "stays": None, "reason": reason}
        else:
            curve = _masked(variable_curve(ds, "ar_height", "B"), options)
            entry |= andreev_peak_falls(
                curve,
                draws=options.monotone_draws,
                seed_names=(sample, "ar_height", name),
                negligible=options.negligible_peak_change,
            )
        statistics[f"andreev_peak_{name}"] = entry
    return estimates, statistics


def _tests(
    statistics: dict[str, dict[str, Any]],
    prefix: str,
    orientation: str,
    curves: Mapping[int, Curve],
    options: Options,
    sample: str,
) -> dict[int, tuple[KinkTest, float]]:
    tests = {
        k: sup_f_test(
            curve.x,
            curve.y,
            curve.sigma,
            degrees=options.null_degrees,
            trim_fraction=options.trim_fraction,
            draws=options.draws,
            least_variance=1.0,
            seed_names=(sample, orientation, f"Ic{k}"),
        )
        for k, curve in ((k, _floored(curve, options)) for k, curve in curves.items())
    }
    corrected = holm([test.p_value for test in tests.values()])
    joined = {k: (test, p) for (k, test), p in zip(tests.items(), corrected, strict=True)}
    for k, (test, p) in joined.items():
        entry = _test_dict(test, p) | {
            "significance": options.significance,
            "detected": bool(p < options.significance) if math.isfinite(p) else None,
            "bound_mA": None,
            "lower_mA": None,
            "bound_field_T": None,
            "negligible_mA": None,
        }
        if test.reason is None:
            curve = _floored(curves[k], options)
            bound, field, lower = jump_bound(
                curve.x,
                curve.y,
                curve.sigma,
                degree=test.null_degree,
                trim_fraction=options.trim_fraction,
            )
            entry |= {
                "bound_mA": bound,
                # A jump nobody detected is not larger than anything.
                "lower_mA": lower if entry["detected"] else 0.0,
                "bound_field_T": field,
                "negligible_mA": options.absolute_margin * float(curve.y[0]),
            }
        statistics[f"{prefix}_Ic{k}"] = entry
    return joined


def _out_of_plane_monotone(
    statistics: dict[str, dict[str, Any]], k: int, curve: Curve, options: Options, sample: str
) -> None:
    outcome = monotone_trend(
        curve.x,
        curve.y,
        curve.sigma,
        draws=options.monotone_draws,
        seed_names=(sample, "out-of-plane", f"Ic{k}"),
    )
    rise = outcome.reversal + 1.645 * outcome.reversal_uncertainty
    statistics[f"monotone_out_of_plane_Ic{k}"] = {
        "definition": definition_of(monotone_trend),
        **outcome.as_dict(),
        # Noise alone reverses a curve by some sigma, so this bounds a rise from above.
        "largest_rise_mA": rise if math.isfinite(rise) else None,
    }


def _locate(
    estimates: dict[str, Estimate],
    statistics: dict[str, dict[str, Any]],
    k: int,
    curve: Curve,
    tested: tuple[KinkTest, float],
    options: Options,
) -> KinkLocation | None:
    test, corrected = tested
    reason = test.reason
    if reason is None and not corrected < options.significance:
        reason = (
            f"no kink detected: Holm-corrected p = {corrected:.2g} is not below"
            f" {options.significance:g}"
        )
    if reason is not None:
        estimates[f"B_kink_Ic{k}"] = undetermined(kink_field, "T", reason)
        estimates[f"jump_Ic{k}"] = undetermined(kink_jump, "mA", reason)
        return None
    location = locate_kink(
        curve.x,
        curve.y,
        # What the polynomial cannot follow shows as misfit here, and widens the likelihood.
        curve.sigma,
        degree=test.null_degree,
        start=test.field,
        window=options.location_window_T,
        longest_recovery=options.longest_recovery_T,
        largest_smear=options.largest_smear_T,
        extrapolation_allowance=options.extrapolation_allowance,
    )
    common = {"null_degree": test.null_degree, "n": curve.n, "chi2_nu": location.chi2_nu}
    estimates[f"B_kink_Ic{k}"] = estimated(
        kink_field,
        *kink_field(location),
        "T",
        interval95=location.interval95,
        recovery_T=location.recovery,
        smear_T=location.smear,
        **common,
    )
    estimates[f"jump_Ic{k}"] = estimated(kink_jump, *kink_jump(location), "mA", **common)
    statistics[f"kink_Ic{k}"] |= {
        "interval95_T": location.interval95,
        "jump_mA": location.jump,
        "jump_uncertainty_mA": location.jump_uncertainty,
    }
    return location


def _slope(
    statistics: dict[str, dict[str, Any]],
    k: int,
    curve: Curve,
    tested: tuple[KinkTest, float],
    location: KinkLocation | None,
    options: Options,
) -> None:
    centre = location.field if location is not None else tested[0].field
    entry: dict[str, Any] = {"definition": definition_of(local_slope)}
    slope, uncertainty, n = local_slope(
        curve.x, curve.y, curve.sigma, centre=centre, width=options.slope_window_T
    )
    entry |= {
        "slope_mA_per_T": slope,
        "uncertainty_mA_per_T": uncertainty,
        "lower_95_mA_per_T": slope - 1.645 * uncertainty,
        "probability_of_rise": float(special.ndtr(slope / uncertainty)),
        "centre_T": centre,
        "window_T": options.slope_window_T,
        "n": n,
        "reason": None if n >= 3 else f"{n} fields in the window, three are needed",
    }
    statistics[f"local_slope_Ic{k}"] = entry


def _coincide(
    statistics: dict[str, dict[str, Any]],
    k: int,
    kink: Estimate,
    transitions: Mapping[str, Estimate] | None,
    options: Options,
) -> None:
    entry: dict[str, Any] = {
        "definition": definition_of(coincidence),
        "reference": options.flop_reference,
    }
    reference = (transitions or {}).get(options.flop_reference)
    if not kink.is_determined:
        entry["reason"] = kink.reason
    elif reference is None:
        entry["reason"] = f"{options.flop_reference} is not available"
    elif not reference.is_determined:
        entry["reason"] = f"{options.flop_reference}: {reference.reason}"
    else:
        difference, z = coincidence(
            (kink.value, kink.uncertainty or 0.0), (reference.value, reference.uncertainty)
        )
        low, high = kink.details["interval95"]
        margin = 1.96 * (reference.uncertainty or 0.0)
        entry |= {
            "difference_T": difference,
            "z": z,
            "reference_T": reference.value,
            "interval95_T": [low, high],
            "coincident": bool(low - margin <= reference.value <= high + margin),
        }
    statistics[f"coincidence_Ic{k}"] = entry


def _equivalence(
    statistics: dict[str, dict[str, Any]],
    k: int,
    curve: Curve | None,
    missing: str | None,
    location: KinkLocation | None,
    options: Options,
    sample: str,
) -> None:
    bound_entry: dict[str, Any] = {"definition": definition_of(jump_bound)}
    monotone_entry: dict[str, Any] = {"definition": definition_of(monotone_trend)}
    if curve is None:
        bound_entry["reason"] = monotone_entry["reason"] = missing
    else:
        monotone_entry |= monotone_trend(
            curve.x,
            curve.y,
            curve.sigma,
            draws=options.monotone_draws,
            seed_names=(sample, "in-plane", f"Ic{k}"),
        ).as_dict()
        tested = statistics[f"kink_in_plane_Ic{k}"]
        if tested["null_degree"] is None:
            bound_entry["reason"] = tested["reason"]
        else:
            bound = tested["bound_mA"]
            if location is not None:
                margin = options.equivalence_fraction * abs(location.jump)
                source = f"{options.equivalence_fraction:g} of the out-of-plane jump"
            else:
                margin = tested["negligible_mA"]
                source = (
                    f"{options.absolute_margin:g} of the critical current at the lowest field,"
                    " for want of an out-of-plane jump"
                )
            bound_entry |= {
                "bound_mA": bound,
                "lower_mA": tested["lower_mA"],
                "field_T": tested["bound_field_T"],
                "margin_mA": margin,
                "margin_source": source,
                "equivalent": bool(bound < margin) if math.isfinite(bound) else None,
                "null_degree": tested["null_degree"],
                "n": curve.n,
            }
    statistics[f"no_jump_in_plane_Ic{k}"] = bound_entry
    statistics[f"monotone_in_plane_Ic{k}"] = monotone_entry


main = stage_command(
    "kinks",
    run,
    Options,
    "Kinks of Ic(B) and their absence.",
    datasets={
        "out_of_plane": "critical currents of iv_out_of_plane (.nc)",
        "in_plane": "critical currents of iv_in_plane (.nc)",
    },
    estimates={"transitions": "transitions.json, for the spin-flop field"},
)


if __name__ == "__main__":
    raise SystemExit(main())
