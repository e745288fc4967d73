"""Spin-flop and saturation field from R(B), and the kink that a film must not have.

R(B) of a layered antiferromagnet with field along its easy axis is a parabola with a *step* at
the spin flop and a *bend* at saturation: R = R0 [1 - A c^2 + kappa B^2] with c = 0 below B_flop,
B/B_sat above and 1 beyond B_sat. Fits of joined straight lines put the two at 2.6 and 8.3 T
instead of 3 and 8 T, with small errors. Here the step (smeared by a spread of flop fields), the
parabola and the bend are fitted together. All amplitudes enter linearly and are projected out;
only fields and widths are searched (variable projection: Golub and Pereyra, SIAM J. Numer. Anal.
10, 413 (1973)).

A superconducting contact adds its own field dependence: its resistance is a smooth function of the
pair breaking alpha(B) = |B| + rho r(B), where r is the moment next to the interface. r jumps at the
flop too; left out, it moves the apparent flop of the interface by tenths of a tesla and B_sat by
up to 0.3 T. The smooth function is a polynomial in alpha, rho is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from nbnmbt.analysis.estimate import (
    EXCLUDED,
    Estimate,
    definition_of,
    estimated,
    undetermined,
)
from nbnmbt.analysis.local_regression import clean
from nbnmbt.analysis.monotone import named_generator

__all__ = [
    "Options",
    "StepFit",
    "critical_field_bound",
    "difference_of_fields",
    "field_asymmetry",
    "fit_steps",
    "kink_preference",
    "saturation_field",
    "side_symmetry",
    "spin_flop_field",
    "upper_critical_field",
]

#: Why two sides cannot be compared.
ONE_DIRECTION = "only one field direction"

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]


class Options(BaseModel):
    """Choices of the step, parabola and saturation fit of R(B)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    field_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[0.0, 12.0], [0.3, 12.0], [0.0, 10.0]]})
    ] = (0.0, 12.0)
    """Sizes of the field (T) that are fitted."""
    hysteresis_cut: Annotated[float, Field(ge=0, json_schema_extra={"sweep": [0.4, 0.5, 1.0]})] = (
        0.5
    )
    """Fields (T) below which the interface is left out: its hysteresis lies there."""
    flop_search_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[1.0, 6.0], [0.5, 7.0]]})
    ] = (1.0, 6.0)
    """Fields (T) in which a spin flop is looked for."""
    saturation_search_range: Annotated[
        Interval, Field(json_schema_extra={"sweep": [[5.0, 11.0], [6.0, 10.0]]})
    ] = (5.0, 11.0)
    """Fields (T) in which saturation is looked for."""
    smooth_degree: Annotated[
        int | Literal["aicc"], Field(json_schema_extra={"sweep": ["aicc", 5, 6, 7]})
    ] = "aicc"
    """Degree of the polynomial in the pair breaking; by AICc out of 3 to 7, or fixed."""
    andreev_term: Annotated[
        Literal["auto", "m_z2", "h2", "smooth", "none"],
        Field(json_schema_extra={"sweep": ["auto", "m_z2", "smooth"]}),
    ] = "auto"
    """Contact term of the interface: driven by <m_z^2>, by the mean exchange field squared (h2),
    by the field alone (smooth), absent, or the best of these by AICc."""
    proximity_depth: Annotated[float, Field(gt=0, json_schema_extra={"sweep": [3.0, 5.0, 8.0]})] = (
        5.0
    )
    """Depth (nm) over which r(B) averages the layers' moments."""
    temperature_term: Annotated[bool, Field(json_schema_extra={"sweep": [True, False]})] = True
    """Whether measured temperature fluctuations, times a fitted dR/dT, are taken out of R(B)."""
    step_significance: Annotated[float, Field(gt=0, json_schema_extra={"sweep": [3.0, 5.0]})] = 5.0
    """Size of a step or bend over its standard deviation below which it does not count."""
    false_alarm: Annotated[
        float, Field(gt=0, lt=0.5, json_schema_extra={"sweep": [0.01, 0.05]})
    ] = 0.01
    """Largest calibrated p value with which a step or bend counts as present."""
    negligible_step: Annotated[
        float, Field(gt=0, json_schema_extra={"sweep": [0.0005, 0.001, 0.002]})
    ] = 0.001
    """Size of a step, as a fraction of R, below which it counts as absent."""
    maximum_steps: Annotated[int, Field(ge=1, le=4, json_schema_extra={"sweep": [1, 3]})] = 3
    """Most steps fitted: a thin flake has several."""
    calibration_draws: Annotated[
        int, Field(ge=100, le=20000, json_schema_extra={"sweep": [400]})
    ] = 400
    """Noise draws behind the calibrated p values."""


@lru_cache(maxsize=8)
def _moment_profile(depth: float, quantity: str) -> tuple[FloatArray, FloatArray]:
    """Return the interfacial moment against x = (B - B_flop)/(B_sat - B_flop) for a sharp flop."""
    from nbnmbt.physics.magnet import Magnet, surface_average

    # 3 and 8 T only set the scale: against x the profile hardly depends on their ratio.
    magnet = Magnet.from_fields(
        spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=24.4
    )
    x = np.concatenate([[-0.1], np.linspace(1e-4, 0.12, 120), np.linspace(0.121, 1.0, 180)])
    r = surface_average(3.0 + 5.0 * x, magnet, "out-of-plane", xi=depth, quantity=quantity)
    return np.concatenate([[-0.1, 0.0], x[1:]]), np.concatenate([[r[0], r[0]], r[1:]]) / np.max(r)


def _moment(
    size: FloatArray, flop: float, width: float, saturation: float, depth: float, quantity: str
) -> FloatArray:
    """Return the moment next to the interface, the flop fields scattering by `width`."""
    x, r = _moment_profile(depth, quantity)
    nodes = np.linspace(-3.5, 3.5, 57)
    weight = np.exp(-0.5 * nodes**2)
    weight /= weight.sum()
    flops = np.minimum(flop + width * nodes, 0.99 * saturation)
    position = (size[:, None] - flops) / (saturation - flops)
    return np.interp(position, x, r) @ weight


def _bend(size: FloatArray, saturation: float, width: float) -> FloatArray:
    """Return the mean of (B^2 - B_sat^2)_+ over saturation fields that scatter by `width`."""
    u = (size - saturation) / width
    density = np.exp(-0.5 * np.minimum(u**2, 700)) / np.sqrt(2 * np.pi)
    fraction = ndtr(u)
    return (
        (size**2 - saturation**2) * fraction
        + 2 * saturation * width * density
        - width**2 * (fraction - u * density)
    )


def _hinge(size: FloatArray, saturation: float, width: float) -> FloatArray:
    """Return the mean of (B - B_sat)_+ over saturation fields that scatter by `width`."""
    u = (size - saturation) / width
    density = np.exp(-0.5 * np.minimum(u**2, 700)) / np.sqrt(2 * np.pi)
    return width * (u * ndtr(u) + density)


#: Scale of the field in the design matrix, T: keeps its columns of order one.
_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What the design matrix holds.

    ``degree`` 0: the magnet alone (parabola, free step, free bend); with ``flake`` the canted part
    may depart from the parabola of two sublattices, as it does for few layers. Otherwise a contact:
    polynomial of that degree in the pair breaking, and step, parabola and bend of the magnet tied
    together as one column, because the contact's own jump would otherwise be confused with them.
    """

    degree: int
    odd: bool
    linear: bool = False
    moment: str | None = None
    depth: float = 5.0
    flake: bool = False
    fluctuation: tuple[float, ...] | None = None

    def null(self, B: FloatArray, offset: float) -> FloatArray:
        """Return the smooth columns: no step, no bend."""
        u = np.abs(B - offset) / _SCALE
        columns = [np.ones_like(B), u**2]
        if self.degree:
            columns += [u**k for k in range(1, self.degree + 1) if k != 2]
        elif self.linear:
            columns.append(u)
        if self.odd:
            columns.append(B / _SCALE)
        if self.fluctuation is not None:
            columns.append(np.array(self.fluctuation))
        return np.stack(columns, axis=1)

    def features(
        self, size: FloatArray, flops: FloatArray, width: float, saturation: float, spread: float
    ) -> FloatArray:
        """Return step columns, each with its own canted parabola, and the bend last."""
        u = size / _SCALE
        columns = []
        for flop in flops[:-1]:
            flopped = ndtr((size - flop) / width)
            columns += [flopped, flopped * u**2]
        canted = ndtr((size - flops[-1]) / width)
        columns.append(canted)
        if self.flake:
            columns += [canted * u, canted * u**4, _hinge(size, saturation, spread) / _SCALE]
        columns.append(canted * u**2)
        columns.append(_bend(size, saturation, spread) / _SCALE**2)
        return np.stack(columns, axis=1)

    def full(self, B: FloatArray, p: _Position) -> FloatArray:
        """Return all columns; the last ones are those of `features`, tied together or not."""
        size = np.abs(B - p.offset)
        features = self.features(size, p.flops, p.width, p.saturation, p.spread)
        smooth = self.null(B, p.offset)
        if self.degree:
            alpha = size / _SCALE
            if self.moment:
                r = _moment(size, p.flops[-1], p.width, p.saturation, self.depth, self.moment)
                alpha = alpha + p.rho * r
            powers = [alpha**k for k in range(1, self.degree + 1)]
            # What follows the powers of |B| (odd part, temperature) stays as it is.
            rest = smooth[:, 2 + self.degree - (self.degree >= 2) :]
            smooth = np.concatenate([smooth[:, :2], np.stack(powers, axis=1), rest], axis=1)
            canted = features[:, -2:-1] - features[:, -1:]
            features = np.concatenate([features[:, :-3], canted], axis=1)
        return np.concatenate([smooth, features], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Position:
    """Where step and bend are: the parameters that enter the design matrix non-linearly."""

    flops: FloatArray
    width: float
    saturation: float
    spread: float
    offset: float
    rho: float


@dataclass(frozen=True, kw_only=True)
class StepFit:
    """Fit of steps, parabola and bend to R(B).

    Attributes
    ----------
    reason : str or None
        Why there is no fit at all.
    B, R, fitted, smooth : ndarray, shape (n,)
        Field (T), data, fit and its smooth part (ohm).
    steps : list of dict
        ``B``, ``B_err`` (T), ``height``, ``height_err`` (ohm), ascending in B.
    flop, flop_err, width : float
        Field and spread of the largest step, T.
    saturation, saturation_err, saturation_width : float
        T.
    offset, offset_err : float
        Field offset that makes the two sides mirror images, T.
    p_step, p_bend : float
        Calibrated p values of the presence of a step and of a bend.
    step_reason, bend_reason : str or None
        Why a step or bend does not count.
    noise : float
        Residual standard deviation, ohm.
    contact : str or None
        Which term of a superconducting contact was fitted.
    aicc_gain : float
        AICc of the smooth curve less AICc of the fit.
    sides : dict
        ``+`` and ``-``: `StepFit` of each side alone (joint fit only).
    """

    reason: str | None
    B: FloatArray
    R: FloatArray
    fitted: FloatArray
    smooth: FloatArray
    steps: list[dict[str, float]]
    flop: float = np.nan
    flop_err: float = np.nan
    width: float = np.nan
    saturation: float = np.nan
    saturation_err: float = np.nan
    saturation_width: float = np.nan
    offset: float = 0.0
    offset_err: float = np.nan
    p_step: float = np.nan
    p_bend: float = np.nan
    step_reason: str | None = None
    bend_reason: str | None = None
    noise: float = np.nan
    contact: str | None = None
    aicc_gain: float = np.nan
    sides: dict[str, StepFit] | None = None


def _residual(matrix: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    scale = np.linalg.norm(matrix, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    coefficients = np.linalg.lstsq(matrix / scale, y, rcond=1e-11)[0] / scale
    return y - matrix @ coefficients, coefficients


def _aicc(rss: float, n: int, k: int) -> float:
    return n * np.log(max(rss, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / max(n - k - 1, 1)


def _gains(basis: FloatArray, extra: FloatArray, draws: FloatArray) -> FloatArray:
    """Return how much `extra` columns lower the residual sum of squares of each draw."""
    fresh = extra - basis @ (basis.T @ extra)
    norm = np.linalg.norm(extra, axis=0)
    u, s, _ = np.linalg.svd(fresh / np.where(norm > 0, norm, 1.0), full_matrices=False)
    u = u[:, s > 1e-6]
    return np.sum((draws @ u) ** 2, axis=1)


def _calibrated_search(
    B: FloatArray, y: FloatArray, shape: _Shape, options: Options, seed: object
) -> dict[str, Any]:
    """Search the fields of a step and a bend on a grid and calibrate both searches on noise.

    Row 0 is the measurement, the others are noise alone: the p values count how often noise, put
    through the same search, gains as much.
    """
    noise = named_generator("magnetoresistance", seed).standard_normal(
        (options.calibration_draws, B.size)
    )
    top = np.max(np.abs(B))
    flops = np.arange(options.flop_search_range[0], min(options.flop_search_range[1], top - 1), 0.1)
    saturations = np.arange(
        options.saturation_search_range[0], min(options.saturation_search_range[1], top - 0.5), 0.25
    )
    null, _ = np.linalg.qr(shape.null(B, 0.0))
    noise -= (noise @ null) @ null.T
    own = y - null @ (null.T @ y)
    rows = np.concatenate([own[None, :], noise])
    rss = np.sum(rows**2, axis=1)
    size = np.abs(B)
    step_gain = np.zeros((flops.size, saturations.size, rows.shape[0]))
    bend_gain = np.zeros((saturations.size, rows.shape[0]))
    for j, saturation in enumerate(saturations):
        for i, flop in enumerate(flops):
            extra = shape.features(size, flops[i : i + 1], 0.15, saturation, 0.1)
            if i == 0:
                bend_gain[j] = _gains(null, extra[:, -1:], rows)
            if flop <= saturation - 1.0:
                step_gain[i, j] = _gains(null, extra, rows)
    if step_gain.size == 0:
        return {"flop": np.nan, "saturation": np.nan, "p_step": 1.0, "p_any": 1.0, "rss": rss[0]}
    best = step_gain.reshape(-1, rows.shape[0])
    any_gain = best.max(axis=0)
    where = np.unravel_index(int(np.argmax(best[:, 0])), step_gain.shape[:2])
    statistic = any_gain / np.maximum(rss - any_gain, 1e-300)
    p_any = (1 + np.sum(statistic[1:] >= statistic[0])) / rows.shape[0]
    # A step beyond the best bend, and a bend beyond the best step.
    bend_only = bend_gain.max(axis=0)
    statistic = (any_gain - bend_only) / np.maximum(rss - any_gain, 1e-300)
    p_step = (1 + np.sum(statistic[1:] >= statistic[0])) / rows.shape[0]
    return {
        "flop": float(flops[where[0]]),
        "saturation": float(saturations[where[1]]),
        "p_step": float(p_step),
        "p_any": float(p_any),
        "rss": float(rss[0]),
        "rss_best": float(rss[0] - any_gain[0]),
    }


def _empty(reason: str, B: FloatArray | None = None, R: FloatArray | None = None) -> StepFit:
    nothing = np.empty(0)
    return StepFit(
        reason=reason,
        B=nothing if B is None else B,
        R=nothing if R is None else R,
        fitted=nothing,
        smooth=nothing,
        steps=[],
    )


def fit_steps(
    B: ArrayLike,
    R: ArrayLike,
    options: Options | None = None,
    *,
    temperature: ArrayLike | None = None,
    interface: bool = False,
    seed: object = "",
    sides: bool = True,
    contact: tuple[str | None, int, float] | None = None,
) -> StepFit:
    """Fit steps, parabola and saturation bend to R(B), both field directions together.

    Parameters
    ----------
    B, R : array_like, same size
        Field (T) and resistance (ohm), any order, NaN allowed.
    options : Options, optional
        Analysis choices.
    temperature : array_like, same size, optional
        Measured temperature (K): its fluctuation times a fitted dR/dT is taken out.
    interface : bool
        Whether a superconducting contact adds a smooth term and a copy of r(B).
    seed : object
        Names the random stream of the calibration.
    sides : bool
        Whether the two field directions are also fitted alone.
    contact : tuple, optional
        Contact term of the interface where it is known: its moment, the degree of its smooth part,
        and the strength rho, which then is not fitted.

    Returns
    -------
    StepFit
    """
    options = options or Options()
    field = B
    B, R = clean(field, R)
    drift = np.zeros_like(B)
    if temperature is not None and options.temperature_term and B.size:
        at, T = clean(field, temperature)
        if at.size:
            drift = np.interp(B, at, T)
            drift -= np.mean(drift)
    low, high = options.field_range
    if interface:
        low = max(low, options.hysteresis_cut)
    keep = (np.abs(B) >= low) & (np.abs(B) <= high)
    B, R, drift = B[keep], R[keep], drift[keep]
    if B.size < 40:
        return _empty(f"{B.size} usable points in R(B), at least 40 are needed", B, R)
    top = float(np.max(np.abs(B)))
    if top < options.flop_search_range[0] + 2:
        return _empty(f"R(B) reaches only {top:g} T", B, R)
    both = np.min(B) < -options.flop_search_range[0] < options.flop_search_range[0] < np.max(B)
    scale = max(float(np.std(R)), 1e-12 * float(np.max(np.abs(R))), 1e-300)
    y = (R - np.mean(R)) / scale
    if np.ptp(R) <= 1e-12 * np.max(np.abs(R)):
        return _empty("R(B) is constant", B, R)

    fluctuation = tuple(drift / np.std(drift)) if np.std(drift) > 0 else None
    search = _Shape(
        degree=5 if interface else 0, odd=both, linear=not both, fluctuation=fluctuation
    )
    found = _calibrated_search(B, y, search, options, (seed, interface))
    shape = search
    smooth, _ = _residual(shape.null(B, 0.0), y)
    if found["p_any"] > options.false_alarm:
        level = max(float(np.median(np.abs(R))), 1e-300)
        upper = _step_bounds(B, y, search.null(B, 0.0), options)[0] * scale / level
        reason = (
            f"no step or bend stands out of the noise (calibrated p = {found['p_any']:.2g}), where"
            f" one of {100 * upper:.2g} % of R may hide"
        )
        if upper < options.negligible_step:
            reason = (
                f"{EXCLUDED}a step above {100 * options.negligible_step:g} % of R (calibrated"
                f" p = {found['p_any']:.2g}; at most {100 * upper:.2g} %, 95 %)"
            )
        return StepFit(
            reason=None,
            B=B,
            R=R,
            fitted=R - smooth * scale,
            smooth=R - smooth * scale,
            steps=[],
            p_step=found["p_step"],
            p_bend=found["p_any"],
            step_reason=reason,
            bend_reason=reason,
            noise=float(np.std(smooth) * scale),
        )
    if interface:
        best, shape = _with_contact(B, y, search, found, options, both, contact)
    else:
        best, shape = _without_contact(B, y, search, found, options, both)
    while best["position"].flops.size < options.maximum_steps:
        at = best.get("best", best["position"])
        # One more step where the residuals ask for it, or a broad step split in two.
        trials = [np.sort(np.append(at.flops, c)) for c in _next_steps(B, y, best, options)]
        if at.width > 0.1:
            widest = at.flops[-1]
            trials.append(np.sort([*at.flops[:-1], widest - at.width, widest + at.width]))
        fits = [
            _refine(B, y, shape, replace(at, flops=flops, width=min(at.width, 0.1)), both)
            for flops in trials
        ]
        if not fits:
            break
        trial = min(fits, key=lambda fit: fit["rss"])
        # Twice the BIC penalty of its parameters: BIC alone does not count that the position of the
        # step is searched for.
        gain = B.size * np.log(best["rss"] / max(trial["rss"], 1e-300))
        if gain < 2 * 4 * np.log(B.size) or not _all_significant(B, y, shape, trial, options):
            break
        best = trial
    return _report(B, R, y, scale, shape, best, found, options, both, interface, seed, sides)


def _start(flop: float, saturation: float, rho: float = 0.0) -> _Position:
    return _Position(
        flops=np.array([flop]), width=0.15, saturation=saturation, spread=0.05, offset=0.0, rho=rho
    )


def _without_contact(
    B: FloatArray,
    y: FloatArray,
    search: _Shape,
    found: dict[str, Any],
    options: Options,
    both: bool,
) -> tuple[dict[str, Any], _Shape]:
    """Fit the magnet alone, with two-sublattice and with free canted part; average by AICc."""
    candidates: list[tuple[float, dict[str, Any], _Shape]] = []
    low, high = options.flop_search_range
    flops = np.arange(low, min(high, found["saturation"] - 1.0), 0.1)
    for shape in (search, replace(search, flake=True)):
        starts = [_start(flop, found["saturation"]) for flop in flops]
        scores = [(_rss(shape.full(B, start), y), n) for n, start in enumerate(starts)]
        fit = _refine(B, y, shape, starts[min(scores)[1]], both)
        candidates.append((_aicc(fit["rss"], B.size, fit["k"]), fit, shape))
    return _average(candidates)


def _with_contact(
    B: FloatArray,
    y: FloatArray,
    search: _Shape,
    found: dict[str, Any],
    options: Options,
    both: bool,
    contact: tuple[str | None, int, float] | None = None,
) -> tuple[dict[str, Any], _Shape]:
    """Fit the interface with each kind of contact term and degree; return the best by AICc."""
    if contact is not None:
        moment, degree, rho = contact
        shape = replace(search, degree=degree, moment=moment, depth=options.proximity_depth)
        low, high = options.flop_search_range
        flops = np.arange(low, min(high, found["saturation"] - 1.0), 0.2)
        starts = [_start(flop, found["saturation"], rho) for flop in flops]
        scores = [(_rss(shape.full(B, start), y), n) for n, start in enumerate(starts)]
        fit = _refine(B, y, shape, starts[min(scores)[1]], both, hold_rho=True)
        return _average([(_aicc(fit["rss"], B.size, fit["k"]), fit, shape)])
    kinds = {
        "auto": ("m_z2", "h2", None),
        "m_z2": ("m_z2",),
        "h2": ("h2",),
        "smooth": (None,),
        "none": (),
    }[options.andreev_term]
    degrees = range(3, 8) if options.smooth_degree == "aicc" else (int(options.smooth_degree),)
    low, high = options.flop_search_range
    flops = np.arange(low, min(high, found["saturation"] - 1.0), 0.2)
    candidates: list[tuple[float, dict[str, Any], _Shape]] = []
    if options.andreev_term in ("auto", "none"):
        shape = replace(search, degree=0)
        fit = _refine(B, y, shape, _start(found["flop"], found["saturation"]), both)
        candidates.append((_aicc(fit["rss"], B.size, fit["k"]), fit, shape))
    for kind in kinds:
        # rho scales the jump of r against |B|/10: from far below to beyond the calibrated device.
        strengths = (-0.5, -0.2, 0.1, 0.3, 0.8) if kind else (0.0,)
        scan = replace(search, degree=5, moment=kind, depth=options.proximity_depth)
        starts = [_start(flop, found["saturation"], rho) for flop in flops for rho in strengths]
        scores = [(_rss(scan.full(B, start), y), n) for n, start in enumerate(starts)]
        begin = starts[min(scores)[1]]
        for degree in degrees:
            shape = replace(scan, degree=degree)
            fit = _refine(B, y, shape, begin, both)
            candidates.append((_aicc(fit["rss"], B.size, fit["k"]), fit, shape))
            begin = fit["position"]
    return _average(candidates)


def _average(
    candidates: list[tuple[float, dict[str, Any], _Shape]],
) -> tuple[dict[str, Any], _Shape]:
    """Return the best fit, its fields averaged over all candidates by AICc weight.

    Which contact term the data prefer is partly chance; its effect on the fields belongs to their
    uncertainty (Burnham and Anderson, *Model Selection and Multimodel Inference*, 2002, sect. 4.3).
    """
    best_score, fit, shape = min(candidates, key=lambda entry: entry[0])
    weights = np.array([np.exp(-0.5 * (score - best_score)) for score, _, _ in candidates])
    at = fit["position"]

    def mean(values: list[float], errors: list[float]) -> tuple[float, float]:
        known = np.isfinite(errors)
        if not np.any(known):
            return values[0], float("nan")
        w = weights[known] / np.sum(weights[known])
        v, e = np.array(values)[known], np.array(errors)[known]
        centre = float(w @ v)
        return centre, float(np.sqrt(w @ (e**2 + (v - centre) ** 2)))

    flop, flop_error = mean(
        [c["position"].flops[-1] for _, c, _ in candidates],
        [float(c["flop_errors"][-1]) for _, c, _ in candidates],
    )
    saturation, saturation_error = mean(
        [c["position"].saturation for _, c, _ in candidates],
        [c["saturation_error"] for _, c, _ in candidates],
    )
    averaged = {
        **fit,
        "best": at,
        "position": replace(at, flops=np.array([flop]), saturation=saturation),
        "flop_errors": np.array([flop_error]),
        "saturation_error": saturation_error,
    }
    return averaged, shape


def _rss(matrix: FloatArray, y: FloatArray) -> float:
    return float(np.sum(_residual(matrix, y)[0] ** 2))


def _refine(
    B: FloatArray,
    y: FloatArray,
    shape: _Shape,
    begin: _Position,
    both: bool,
    *,
    hold_rho: bool = False,
) -> dict[str, Any]:
    """Least-squares fit of step fields, common width, saturation field, its width and offset."""
    from scipy.optimize import least_squares

    count = begin.flops.size
    top = float(np.max(np.abs(B)))
    start = np.array(
        [
            *begin.flops,
            begin.width,
            min(begin.saturation, top - 0.3),
            begin.spread,
            begin.offset,
            begin.rho,
        ]
    )
    lower = np.array([0.3] * count + [0.01, 2.0, 0.01, -0.2, -5.0])
    upper = np.array([0.9 * top] * count + [1.0, top - 0.2, 1.0, 0.2, 5.0])
    free = np.ones(start.size, dtype=bool)
    free[-2] = both
    free[-1] = shape.moment is not None and not hold_rho
    start = np.clip(start, lower + 1e-6, upper - 1e-6)

    def position(values: FloatArray) -> _Position:
        full = start.copy()
        full[free] = values
        return _Position(
            flops=np.sort(full[:count]),
            width=float(full[count]),
            saturation=float(full[count + 1]),
            spread=float(full[count + 2]),
            offset=float(full[count + 3]),
            rho=float(full[count + 4]),
        )

    fit = least_squares(
        lambda values: _residual(shape.full(B, position(values)), y)[0],
        start[free],
        bounds=(lower[free], upper[free]),
        x_scale=np.array([0.05] * count + [0.05, 0.1, 0.1, 0.01, 0.1])[free],
        max_nfev=80,
    )
    found = position(fit.x)
    matrix = shape.full(B, found)
    rest, _ = _residual(matrix, y)
    rss = float(rest @ rest)
    k = matrix.shape[1] + int(free.sum())
    variance = rss / max(B.size - k, 1)
    # Parameters pressed against a bound carry no information and would spoil the inverse.
    active = (fit.x > lower[free] + 1e-4) & (fit.x < upper[free] - 1e-4)
    scale = np.linalg.norm(fit.jac, axis=0)
    active &= scale > 0
    jacobian = fit.jac[:, active] / scale[active]
    errors = np.full(start.size, np.nan)
    inside = np.full(int(free.sum()), np.nan)
    inside[active] = np.sqrt(np.diag(np.linalg.pinv(jacobian.T @ jacobian, rcond=1e-9)) * variance)
    inside[active] /= scale[active]
    errors[free] = inside
    for column in (*range(count), count + 1):
        if np.isfinite(errors[column]):
            spread = _profile_spread(B, y, shape, position, fit.x, free, column, variance)
            errors[column] = max(errors[column], spread)
    return {
        "position": found,
        "flop_errors": errors[:count],
        "saturation_error": float(errors[count + 1]),
        "offset_error": float(errors[count + 3]),
        "rss": rss,
        "k": k,
        "variance": variance,
        "residual": rest,
        "matrix": matrix,
    }


def _profile_spread(
    B: FloatArray,
    y: FloatArray,
    shape: _Shape,
    position: Callable[[FloatArray], _Position],
    values: FloatArray,
    free: NDArray[np.bool_],
    column: int,
    variance: float,
) -> float:
    """Return the standard deviation of one field over its likelihood, the widths as fitted, T.

    In noise a narrow step fits as well a little further on: the curvature of the best minimum
    knows nothing of the others.
    """
    index = int(np.count_nonzero(free[:column]))
    grid = values[index] + np.linspace(-0.6, 0.6, 41)
    rss = np.empty(grid.size)
    for i, field in enumerate(grid):
        trial = values.copy()
        trial[index] = field
        rss[i] = _rss(shape.full(B, position(trial)), y)
    weight = np.exp(-0.5 * (rss - rss.min()) / max(variance, 1e-300))
    mean = weight @ grid / weight.sum()
    return float(np.sqrt(weight @ (grid - mean) ** 2 / weight.sum()))


def _heights(
    B: FloatArray, y: FloatArray, shape: _Shape, fit: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    """Return the jump of the fitted curve at each step field and its standard deviation.

    For the magnet alone it is what the step's own columns add at its field. At a contact the total
    jump matters, whatever columns share it: straight lines through the fit on either side, met at
    the step.
    """
    at = fit["position"]
    size = np.abs(B - at.offset)
    if not shape.degree:
        matrix = fit["matrix"]
        scale = np.linalg.norm(matrix, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        inverse = np.linalg.pinv(matrix / scale, rcond=1e-11) / scale[:, None]
        first = shape.null(B, 0.0).shape[1]
        rows = np.zeros((at.flops.size, matrix.shape[1]))
        for i, flop in enumerate(at.flops):
            u = flop / _SCALE
            own = first + 2 * i
            if i < at.flops.size - 1 or not shape.flake:
                rows[i, own : own + 2] = 1.0, u**2
            else:
                # Order of `_Shape.features`: step, u, u^4, hinge, u^2.
                rows[i, own : own + 5] = 1.0, u, u**4, 0.0, u**2
        weights = rows @ inverse
        errors = np.sqrt(np.sum(weights**2, axis=1) * fit["variance"])
        return weights @ y, errors
    fitted = y - fit["residual"]
    heights, errors = [], []
    for flop in at.flops:
        reach = 3 * at.width + 0.1
        below = (size > flop - reach - 0.8) & (size < flop - reach)
        above = (size > flop + reach) & (size < flop + reach + 0.8)
        if np.count_nonzero(below) < 4 or np.count_nonzero(above) < 4:
            heights.append(0.0)
            errors.append(np.inf)
            continue
        jump = 0.0
        variance = 0.0
        for inside, sign in ((above, 1.0), (below, -1.0)):
            matrix = np.stack([np.ones(inside.sum()), size[inside] - flop], axis=1)
            inverse = np.linalg.pinv(matrix)
            jump += sign * float(inverse[0] @ fitted[inside])
            variance += float(inverse[0] @ inverse[0])
        heights.append(jump)
        errors.append(float(np.sqrt(variance * fit["variance"])))
    return np.array(heights), np.array(errors)


def _all_significant(
    B: FloatArray, y: FloatArray, shape: _Shape, fit: dict[str, Any], options: Options
) -> bool:
    heights, errors = _heights(B, y, shape, fit)
    at = fit["position"]
    return bool(
        np.all(np.abs(heights) > options.step_significance * errors)
        # A tenth of the largest: below that a "step" only mends the shape of another one.
        and np.all(np.abs(heights) > 0.1 * np.max(np.abs(heights)))
        # Each jump aligns the layers further, so all change R in one sense.
        and np.all(np.sign(heights) == np.sign(heights[0]))
        and np.all(np.diff(at.flops) > 0.12)
        and at.width < 0.5
    )


def _next_steps(B: FloatArray, y: FloatArray, fit: dict[str, Any], options: Options) -> list[float]:
    """Return where one more step would lower the residuals most, if anywhere beyond chance."""
    basis, _ = np.linalg.qr(fit["matrix"])
    at = fit["position"]
    size = np.abs(B - at.offset)
    low, high = options.flop_search_range
    grid = np.arange(low, min(high, at.saturation - 0.5), 0.05)
    grid = grid[np.min(np.abs(grid[:, None] - at.flops), axis=1) > 0.12]
    if grid.size == 0:
        return []
    extra = ndtr((size[:, None] - grid) / min(at.width, 0.15))
    fresh = extra - basis @ (basis.T @ extra)
    norm = np.linalg.norm(fresh, axis=0)
    gain = np.where(norm > 1e-3, (fit["residual"] @ fresh / np.maximum(norm, 1e-9)) ** 2, 0.0)
    best = int(np.argmax(gain))
    # Far less than any step that would pass the later test need not be refined.
    return [float(grid[best])] if gain[best] > 9 * fit["variance"] else []


def _report(
    B: FloatArray,
    R: FloatArray,
    y: FloatArray,
    scale: float,
    shape: _Shape,
    fit: dict[str, Any],
    found: dict[str, Any],
    options: Options,
    both: bool,
    interface: bool,
    seed: object,
    sides: bool,
) -> StepFit:
    at = fit["position"]
    heights, errors = _heights(B, y, shape, fit)
    steps = [
        {
            "B": float(flop),
            "B_err": float(error),
            "height": float(height * scale),
            "height_err": float(height_error * scale),
        }
        for flop, error, height, height_error in zip(
            at.flops, fit["flop_errors"], heights, errors, strict=True
        )
    ]
    largest = int(np.argmax(np.abs(heights)))
    # At a contact the jumps of magnet and contact nearly cancel and still make a sharp feature, so
    # step and bend are judged by what they explain, not by the height alone.
    explained = _explained(B, y, shape, fit)
    needed = options.step_significance**2
    step_reason = bend_reason = None
    if explained["step"] < needed:
        step_reason = f"no step: leaving it out raises chi-square by only {explained['step']:.1f}"
        upper = float(np.max(np.abs(heights) + 1.645 * errors)) * scale
        if upper < options.negligible_step * float(np.median(np.abs(R))):
            step_reason = f"{EXCLUDED}a step above {100 * options.negligible_step:g} % of R"
    elif found["p_step"] > options.false_alarm:
        step_reason = f"no step: noise does as well (calibrated p = {found['p_step']:.2g})"
    elif at.width > 0.8:
        step_reason = f"no step: the change of R is {at.width:.2g} T wide"
    elif not np.isfinite(fit["flop_errors"][largest]):
        step_reason = "the field of the step lies at the edge of the search"
    if explained["bend"] < needed:
        bend_reason = f"no bend: leaving it out raises chi-square by only {explained['bend']:.1f}"
    elif not np.isfinite(fit["saturation_error"]):
        bend_reason = "the saturation field lies at the edge of the measured range"
    null = shape.null(B, 0.0)
    smooth = y - _residual(null, y)[0]
    parts: dict[str, StepFit] | None = None
    if sides and both:
        parts = {}
        for name, side in (("+", B > 0), ("-", B < 0)):
            parts[name] = fit_steps(
                B[side],
                R[side],
                options,
                temperature=None
                if shape.fluctuation is None
                else np.array(shape.fluctuation)[side],
                interface=interface,
                seed=(seed, name),
                sides=False,
                # What the contact does is the same at both signs. Fitted anew on half of the data
                # it came out differently now and then, and that passed for an asymmetry.
                contact=(shape.moment, shape.degree, at.rho) if interface else None,
            )
    return StepFit(
        reason=None,
        B=B,
        R=R,
        fitted=R - fit["residual"] * scale,
        smooth=smooth * scale + np.mean(R),
        steps=steps,
        flop=float(at.flops[largest]),
        flop_err=float(fit["flop_errors"][largest]),
        width=at.width,
        saturation=at.saturation,
        saturation_err=fit["saturation_error"],
        saturation_width=at.spread,
        offset=at.offset,
        offset_err=fit["offset_error"],
        p_step=found["p_step"],
        p_bend=found["p_any"],
        step_reason=step_reason,
        bend_reason=bend_reason,
        noise=float(np.sqrt(fit["variance"]) * scale),
        aicc_gain=_aicc(_rss(null, y), B.size, null.shape[1]) - _aicc(fit["rss"], B.size, fit["k"]),
        contact=f"{shape.moment or 'smooth'}, degree {shape.degree}" if shape.degree else None,
        sides=parts,
    )


def _explained(
    B: FloatArray, y: FloatArray, shape: _Shape, fit: dict[str, Any]
) -> dict[str, float]:
    """Return by how much chi-square rises when the step, or the bend, is left out."""
    at = fit["position"]
    size = np.abs(B - at.offset)
    null = shape.null(B, at.offset)
    plain = replace(shape, flake=False)
    features = plain.features(size, at.flops, at.width, at.saturation, at.spread)
    hinge = np.clip(size - at.saturation, 0, None)[:, None] / _SCALE
    without_step = np.concatenate([null, features[:, -1:], hinge], axis=1)
    without_bend = np.concatenate([null, features[:, :-1]], axis=1)
    return {
        "step": (_rss(without_step, y) - fit["rss"]) / fit["variance"],
        "bend": (_rss(without_bend, y) - fit["rss"]) / fit["variance"],
    }


def _field(
    func: Any, fit: StepFit, value: float, error: float, missing: str | None, **details: Any
):
    if fit.reason or missing:
        return undetermined(func, "T", fit.reason or missing or "", **details)
    return estimated(func, value, error, "T", **details)


def spin_flop_field(fit: StepFit) -> Estimate:
    """Field of the largest step of R(B), from a joint fit of steps, parabola and saturation bend to both field directions.

    Parameters
    ----------
    fit : StepFit
        From `fit_steps`.

    Returns
    -------
    Estimate
        In T; ``details["steps"]`` lists every step that was fitted.
    """  # noqa: E501
    return _field(
        spin_flop_field,
        fit,
        fit.flop,
        fit.flop_err,
        fit.step_reason,
        steps=fit.steps if not fit.step_reason else [],
        width=fit.width,
        offset=fit.offset,
        p=fit.p_step,
    )


def saturation_field(fit: StepFit) -> Estimate:
    """Field of the bend at which the canted parabola of R(B) ends, from the same joint fit as the spin-flop field.

    Parameters
    ----------
    fit : StepFit
        From `fit_steps`.

    Returns
    -------
    Estimate
        In T.
    """  # noqa: E501
    return _field(
        saturation_field,
        fit,
        fit.saturation,
        fit.saturation_err,
        fit.bend_reason,
        width=fit.saturation_width,
        offset=fit.offset,
        p=fit.p_bend,
    )


def side_symmetry(fit: StepFit) -> dict[str, Any]:
    """Half the difference between the spin-flop (and saturation) fields of the two field directions fitted alone: a field offset if both agree, an asymmetry if not.

    Parameters
    ----------
    fit : StepFit
        Joint fit with sides.

    Returns
    -------
    dict
        ``flop`` and ``saturation``: values of both sides with errors and half difference, T;
        ``z``: departure of the two half differences from one common offset.
    """  # noqa: E501
    out: dict[str, Any] = {"definition": definition_of(side_symmetry), "reason": None, "z": None}
    sides = fit.sides
    if fit.reason or fit.step_reason or not sides:
        return out | {"reason": fit.reason or fit.step_reason or ONE_DIRECTION}
    halves = []
    for name, value, error, missing in (
        ("flop", "flop", "flop_err", "step_reason"),
        ("saturation", "saturation", "saturation_err", "bend_reason"),
    ):
        entry: dict[str, Any] = {}
        for sign in ("+", "-"):
            side = sides[sign]
            bad = side.reason or getattr(side, missing)
            entry[sign] = None if bad else getattr(side, value)
            entry[sign + "_err"] = None if bad else getattr(side, error)
        if entry["+"] is not None and entry["-"] is not None:
            half = 0.5 * (entry["+"] - entry["-"])
            half_error = 0.5 * float(np.hypot(entry["+_err"], entry["-_err"]))
            entry |= {"half_difference": half, "half_difference_err": half_error}
            halves.append((half, half_error))
        out[name] = entry
    if len(halves) == 2:
        spread = float(np.hypot(halves[0][1], halves[1][1]))
        out["z"] = (halves[0][0] - halves[1][0]) / spread if spread > 0 else None
        # The same field offset must explain both sides of both features.
        out["offset"], out["offset_err"] = fit.offset, fit.offset_err
    return out


def field_asymmetry(symmetry: dict[str, Any], which: Literal["flop", "saturation"]) -> Estimate:
    """Half the difference between the sizes of a characteristic field in the two field directions, each fitted alone.

    Parameters
    ----------
    symmetry : dict
        What `side_symmetry` returns.
    which : {"flop", "saturation"}
        The spin flop or the saturation.

    Returns
    -------
    Estimate
        In T; a remanent field of the magnet enters it in full.
    """  # noqa: E501
    if symmetry["reason"]:
        reason = symmetry["reason"]
        if reason == ONE_DIRECTION:
            reason = "the other field direction was not measured"
        return undetermined(field_asymmetry, "T", reason)
    entry = symmetry[which]
    if "half_difference" not in entry:
        missing = " and ".join(
            {"+": "positive", "-": "negative"}[sign] for sign in "+-" if entry[sign] is None
        )
        name = {"flop": "spin flop", "saturation": "saturation"}[which]
        return undetermined(field_asymmetry, "T", f"no {name} at {missing} fields alone")
    return estimated(field_asymmetry, entry["half_difference"], entry["half_difference_err"], "T")


def difference_of_fields(interface: Estimate, magnet: Estimate) -> Estimate:
    """Difference between a characteristic field of the interface and the same field of MnBi2Te4.

    Parameters
    ----------
    interface, magnet : Estimate
        Two fields, T.

    Returns
    -------
    Estimate
        In T.
    """
    if interface.value is None or magnet.value is None:
        reason = interface.reason or magnet.reason or ""
        return undetermined(difference_of_fields, "T", reason)
    return estimated(
        difference_of_fields,
        interface.value - magnet.value,
        float(np.hypot(interface.uncertainty or 0.0, magnet.uncertainty or 0.0)),
        "T",
    )


def _step_bounds(
    B: FloatArray, y: FloatArray, null: FloatArray, options: Options
) -> tuple[float, float]:
    """Return 95 % bounds of a step beside `null`: largest anywhere, least where it fits best."""
    basis, _ = np.linalg.qr(null)
    low, high = options.flop_search_range
    grid = np.arange(low, min(high, np.max(np.abs(B)) - 0.5), 0.1)
    step = ndtr((np.abs(B)[:, None] - grid) / 0.15)
    fresh = step - basis @ (basis.T @ step)
    norm2 = np.sum(fresh**2, axis=0)
    height = fresh.T @ y / norm2
    rss = np.maximum(_rss(null, y) - height**2 * norm2, 0.0)
    best = int(np.argmin(rss))
    sigma = float(np.sqrt(rss[best] / max(B.size - null.shape[1] - 1, 1)))
    error = 1.645 * sigma / np.sqrt(norm2)
    return float(np.max(np.abs(height) + error)), max(float(abs(height[best]) - error[best]), 0.0)


def kink_preference(
    B: ArrayLike, R: ArrayLike, options: Options | None = None, *, seed: object = ""
) -> dict[str, Any]:
    """Gain in AICc of a step and a bend in R(B) over a smooth even polynomial, with the calibrated probability that noise alone gains as much; a negative gain or a large p means that no kink is preferred.

    Parameters
    ----------
    B, R : array_like
        Field (T) and resistance (ohm).
    options : Options, optional
        Search ranges and calibration.
    seed : object
        Names the random stream.

    Returns
    -------
    dict
        ``aicc_gain``, ``p``, ``upper``: 95 % upper bound of the step height at any field (ohm),
        ``lower``: that of its size from below where a kink is preferred, else 0, ``resolution``:
        standard deviation of a reading (ohm).
    """  # noqa: E501
    options = options or Options()
    out: dict[str, Any] = {
        "definition": definition_of(kink_preference),
        "aicc_gain": None,
        "p": None,
        "upper": None,
        "lower": None,
        "resolution": None,
        "reason": None,
    }
    B, R = clean(B, R)
    if B.size < 40:
        return out | {"reason": f"{B.size} usable points in R(B), at least 40 are needed"}
    spread = float(np.std(R))
    if spread <= 1e-12 * max(float(np.max(np.abs(R))), 1e-300):
        # A perfectly constant reading has no noise to calibrate on, and no kink either.
        return out | {"aicc_gain": 0.0, "p": 1.0, "upper": 0.0, "lower": 0.0, "resolution": 0.0}
    y = (R - np.mean(R)) / spread
    shape = _Shape(degree=4, odd=True)
    found = _calibrated_search(B, y, shape, options, ("kink", seed))
    count = shape.null(B, 0.0).shape[1]
    if "rss_best" not in found:
        return out | {"reason": "the field range does not reach the fields in question"}
    sigma = np.sqrt(found["rss"] / max(B.size - count, 1)) * spread
    upper, lower = _step_bounds(B, y, shape.null(B, 0.0), options)
    return out | {
        "aicc_gain": float(
            _aicc(found["rss"], B.size, count) - _aicc(found["rss_best"], B.size, count + 5)
        ),
        "p": found["p_any"],
        "upper": upper * spread,
        "lower": lower * spread if found["p_any"] < options.false_alarm else 0.0,
        "resolution": float(sigma),
    }


def critical_field_bound(
    B: ArrayLike, R: ArrayLike, *, normal_resistance: float | None, fraction: float = 0.01
) -> Estimate:
    """Largest field up to which the resistance of the film stays below 1 % of its normal resistance: a lower bound of the upper critical field at this temperature.

    Parameters
    ----------
    B, R : array_like
        Field (T) and film resistance (ohm).
    normal_resistance : float or None
        Normal-state resistance, ohm.
    fraction : float
        Fraction of it that still counts as zero.

    Returns
    -------
    Estimate
        In T, without uncertainty: it is a bound.
    """  # noqa: E501
    B, R = clean(B, R)
    if B.size == 0:
        return undetermined(critical_field_bound, "T", "no usable points in R(B)")
    if not normal_resistance or not normal_resistance > 0:
        return undetermined(critical_field_bound, "T", "the normal resistance is unknown")
    size = np.abs(B)
    resistive = np.abs(R) > fraction * normal_resistance
    first = float(np.min(size[resistive])) if np.any(resistive) else np.inf
    zero = size[size < first]
    if zero.size == 0:
        reason = f"{EXCLUDED}zero resistance at the lowest field"
        return undetermined(critical_field_bound, "T", reason)
    return estimated(
        critical_field_bound,
        float(np.max(zero)),
        None,
        "T",
        whole_range=bool(not np.any(resistive)),
        largest_resistance_ohm=float(np.max(np.abs(R[size < first]))),
    )


def upper_critical_field(
    B: ArrayLike, T_half: ArrayLike, T_half_err: ArrayLike, temperature: float
) -> Estimate:
    """Upper critical field at the given temperature from the slope of the midpoint temperature in field near T_c, by the dirty-limit law of Werthamer, Helfand and Hohenberg.

    Parameters
    ----------
    B : array_like
        Fields (T) at which R(T) was measured, at least two, from 0.
    T_half, T_half_err : array_like
        Midpoint temperatures and their errors, K.
    temperature : float
        K.

    Returns
    -------
    Estimate
        In T: B_c2(T) = h*(T/T_c) T_c |dB_c2/dT| at T_c (WHH, Phys. Rev. 147, 295 (1966)).
    """  # noqa: E501
    from nbnmbt.physics.depairing import whh_reduced_field

    func = upper_critical_field
    B, T_half, error = (np.asarray(a, dtype=float) for a in (B, T_half, T_half_err))
    good = np.isfinite(B) & np.isfinite(T_half) & np.isfinite(error) & (error > 0)
    if np.count_nonzero(good) < 2 or np.ptp(B[good]) <= 0:
        return undetermined(
            func, "T", "not measured: R(T) of the film at two or more fields is needed"
        )
    matrix = np.stack([np.ones(good.sum()), B[good]], axis=1) / error[good, None]
    covariance = np.linalg.inv(matrix.T @ matrix)
    T_c, slope = covariance @ matrix.T @ (T_half[good] / error[good])
    if slope >= 0 or temperature >= T_c:
        return undetermined(func, "T", "T_c does not fall with field")
    reduced = float(whh_reduced_field(temperature / T_c))
    value = reduced * T_c / -slope
    relative = np.sqrt(covariance[1, 1]) / -slope
    return estimated(func, value, float(value * relative), "T", T_c=float(T_c))
