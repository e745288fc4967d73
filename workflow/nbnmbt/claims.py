"""The claims ledger: each sentence of the paper, tested against a sample's numbers.

`workflow/config/claims.yaml` states every claim, its quote and the criteria by which it is judged;
this module holds the tests those criteria name. A verdict is computed from estimates and their
uncertainties only:

==================  ==============================================================================
``supported``       the 95 % interval lies wholly where the claim says
``not supported``   the 95 % interval lies wholly elsewhere, or what is claimed was looked for, not
                    found, and would have been seen
``inconclusive``    the interval straddles the margin, or noise could hide what is claimed
``not testable``    the sample lacks the measurement, or transport cannot test the sentence
==================  ==============================================================================

Verdicts speak of the sample. On a synthetic stand-in they say whether the pipeline works, never
whether the paper is right.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nbnmbt import samples
from nbnmbt.analysis.estimate import EXCLUDED, NOT_MEASURED, Estimate, Stage, read_stage
from nbnmbt.errors import InputError
from nbnmbt.numbers import STAGE_FILES, format_value
from nbnmbt.provenance import STAND_IN_NOTICE
from nbnmbt.wording import quantity, shown_setting, subject

__all__ = [
    "VERDICTS",
    "Claim",
    "ClaimsFile",
    "Finding",
    "evaluate",
    "load_claims",
    "main",
]

SUPPORTED = "supported"
NOT_SUPPORTED = "not supported"
INCONCLUSIVE = "inconclusive"
NOT_TESTABLE = "not testable"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_TESTABLE)

Z95 = 1.959963984540054


# --------------------------------------------------------------------------------------------------
# What claims.yaml may say
# --------------------------------------------------------------------------------------------------


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Published(_Model):
    """What the paper prints: a number with its unit, or words."""

    value: float | None = None
    unit: str = ""
    text: str


class Agrees(_Model):
    """The number equals the published one within a margin (equivalence at 95 %)."""

    test: Literal["agrees"]
    number: str
    published: float
    margin: float = Field(gt=0)


class Coincides(_Model):
    """Two numbers are equal within a margin (equivalence of their difference at 95 %)."""

    test: Literal["coincides"]
    numbers: tuple[str, str]
    margin: float = Field(gt=0)


class Compatible(_Model):
    """The published value lies in the number's 95 % interval, which must be narrow enough."""

    test: Literal["compatible"]
    number: str
    published: float | str
    max_width: float = Field(gt=0)


class Below(_Model):
    """The number lies below a limit, itself a number or a fraction of one (95 %)."""

    test: Literal["below"]
    number: str
    limit: float | str
    factor: float = 1.0


class Above(_Model):
    """The number lies above a limit, itself a number or a fraction of one (95 %)."""

    test: Literal["above"]
    number: str
    limit: float | str
    factor: float = 1.0


class Detected(_Model):
    """A calibrated test finds the effect; without a finding, an upper bound may exclude it.

    Not to see an effect speaks against it only where the data could have shown it: unless `bound`,
    its upper 95 % bound, lies below `negligible`, the claim is open. Where the effect must show in
    several places, `partial` counts those in which it does: some but not all is no evidence
    against it either.
    """

    test: Literal["detected"]
    p: str
    alpha: float = Field(default=0.01, gt=0, lt=1)
    bound: str
    negligible: float | str
    partial: str | None = None


class Absent(_Model):
    """An equivalence test: the upper 95 % bound of the effect lies below the margin."""

    test: Literal["absent"]
    upper: str
    margin: float | str
    factor: float = 1.0
    lower: str


class Exceeds(_Model):
    """The effect is larger than the margin: its lower 95 % bound lies above it."""

    test: Literal["exceeds"]
    lower: str
    upper: str
    margin: float | str


class AtLeast(_Model):
    """A lower bound exceeds a limit; a bound that only the sweep range sets decides nothing."""

    test: Literal["at least"]
    bound: str
    limit: float
    open: str
    unit: str = ""


class Counted(_Model):
    """A count equals, is at least, or is at most what the paper says.

    Too few speak against the claim only where `sensitive` says that one more would have been seen.
    `listed` names the list of what was counted, each with its temperature.
    """

    test: Literal["counted"]
    count: str
    equals: int | None = None
    at_least: int | None = None
    at_most: int | None = None
    sensitive: str | None = None
    listed: str | None = None


class Flag(_Model):
    """A yes-or-no outcome of a stage's own calibrated test, with what the other answer means.

    `against` names the flag that says that the opposite is established; where that is no either,
    the claim is open.
    """

    test: Literal["flag"]
    flag: str
    says: str
    wanted: bool = True
    if_false: Literal["not supported", "inconclusive"] = "not supported"
    against: str | None = None


class Falls(_Model):
    """A curve never rises by more than a margin (isotonic regression; equivalence at 95 %)."""

    test: Literal["falls"]
    statistic: str
    margin: float = Field(gt=0)
    unit: str = ""
    alpha: float = Field(default=0.01, gt=0, lt=1)


class Rises(_Model):
    """A slope or change is positive: its one-sided 95 % bounds lie on the same side of zero."""

    test: Literal["rises"]
    number: str
    uncertainty: str
    unit: str = ""


class Recorded(_Model):
    """The sample's own description carries the value."""

    test: Literal["recorded"]
    key: str
    equals: float


Criterion = Annotated[
    Agrees
    | Coincides
    | Compatible
    | Below
    | Above
    | Detected
    | Absent
    | Exceeds
    | AtLeast
    | Counted
    | Flag
    | Falls
    | Rises
    | Recorded,
    Field(discriminator="test"),
]


class Claim(_Model):
    """One sentence of the paper and how it is judged."""

    id: str = Field(pattern=r"^C\d\d$")
    statement: str
    quote: str
    location: str
    figure: str = Field(pattern=r"^fig[2-7]$")
    panels: tuple[str, ...]
    measurements: tuple[str, ...]
    published: Published
    shown: str | None = None
    relation: Literal["", "≥"] = ""
    criteria: tuple[Criterion, ...] = Field(min_length=1)


class Inconsistency(_Model):
    """A place where the paper contradicts itself or leaves a point open."""

    id: str = Field(pattern=r"^I-\d\d$")
    statement: str
    quotes: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()


class ClaimsFile(_Model):
    """All of claims.yaml."""

    claims: tuple[Claim, ...]
    inconsistencies: tuple[Inconsistency, ...]


def load_claims(path: str | Path) -> ClaimsFile:
    """Read and check claims.yaml.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    ClaimsFile

    Raises
    ------
    InputError
        With the place and the trouble in one sentence.
    """
    path = Path(path)
    try:
        return ClaimsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            file=path,
            line=None if mark is None else mark.line + 1,
            found=str(getattr(error, "problem", error)),
            expected="valid YAML",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            file=path,
            column=".".join(str(part) for part in first["loc"]),
            found=repr(first.get("input"))[:80],
            expected=first["msg"],
        ) from None


# --------------------------------------------------------------------------------------------------
# Findings: what one criterion says
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Verdict of one criterion with the sentence that explains it."""

    verdict: str
    reason: str
    value: float | None = None
    uncertainty: float | None = None
    unit: str = ""
    z: float | None = None
    key: str | None = None
    definition: str | None = None


@dataclass(frozen=True)
class Evidence:
    """Stages and sample description that criteria look numbers up in."""

    stages: Mapping[str, Stage]
    sample: Mapping[str, Any] = field(default_factory=dict)
    measured: frozenset[str] | None = None

    def estimate(self, path: str) -> Estimate:
        """Return the estimate at ``stage/key``."""
        stage, _, key = path.partition("/")
        try:
            return self.stages[stage].estimates[key]
        except KeyError:
            raise KeyError(f"no estimate {path!r} among the analysis results") from None

    def statistic(self, path: str) -> Any:
        """Return the plain value at ``stage/statistic/field[/field...]``."""
        stage, *rest = path.split("/")
        node: Any = self.stages[stage].statistics if stage in self.stages else None
        for part in rest:
            if isinstance(node, Mapping) and part in node:
                node = node[part]
            elif isinstance(node, Mapping) and node.get("reason"):
                # The stage says why it has nothing here.
                return None
            elif isinstance(node, Sequence) and not isinstance(node, str) and part.isdigit():
                node = node[int(part)]
            else:
                raise KeyError(f"no statistic {path!r} among the analysis results")
        return node

    def number(self, path: str | float) -> Estimate:
        """Return an estimate, or wrap a plain statistic or constant: exact, if without an error."""
        if isinstance(path, int | float):
            return _exact(float(path), "")
        stage, _, key = path.partition("/")
        if stage in self.stages and key in self.stages[stage].estimates:
            return self.stages[stage].estimates[key]
        value = self.statistic(path)
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        if isinstance(value, Mapping):
            return Estimate(
                value=value.get("value"),
                uncertainty=value.get("uncertainty"),
                unit=value.get("unit", ""),
                definition=value.get("definition", path),
                estimator=stage,
                reason=None if value.get("value") is not None else _why_missing(value),
            )
        if value is None:
            node = self.statistic(path.rsplit("/", 1)[0])
            return Estimate(
                value=None,
                uncertainty=None,
                unit="",
                definition=path,
                estimator=stage,
                reason=_why_missing(node if isinstance(node, Mapping) else {}),
            )
        node = self.statistic(path.rpartition("/")[0]) if "/" in path else {}
        words = node.get("definition") if isinstance(node, Mapping) else None
        error = node.get(f"{path.rpartition('/')[2]}_uncertainty", 0.0) if words else 0.0
        return replace(_exact(float(value), ""), uncertainty=error, definition=words or path)


def _why_missing(entry: Mapping[str, Any]) -> str:
    return str(entry.get("reason") or "the data do not determine it")


def _exact(value: float, unit: str) -> Estimate:
    return Estimate(value=value, uncertainty=0.0, unit=unit, definition="given", estimator="given")


def _show(value: float, uncertainty: float | None, unit: str = "") -> str:
    return format_value(value, uncertainty, unit)


def _missing(estimate: Estimate, key: str, name: str | None = None) -> Finding:
    reason = estimate.reason or "the data do not determine it"
    # A number that the data leave open says nothing against the claim, unless they exclude it.
    if NOT_MEASURED in reason:
        verdict = NOT_TESTABLE
    else:
        verdict = NOT_SUPPORTED if reason.startswith(EXCLUDED) else INCONCLUSIVE
    return Finding(
        verdict=verdict,
        reason=f"{name or subject(key).rstrip(',')}: {reason}",
        unit=estimate.unit,
        key=key,
        definition=estimate.definition,
    )


def _interval_verdict(low: float, high: float, *, inside_low: float, inside_high: float) -> str:
    if inside_low <= low and high <= inside_high:
        return SUPPORTED
    if high < inside_low or low > inside_high:
        return NOT_SUPPORTED
    return INCONCLUSIVE


def _judge_deviation(
    difference: float, sigma: float, margin: float, unit: str, start: str
) -> tuple[str, str, float | None]:
    low, high = difference - Z95 * sigma, difference + Z95 * sigma
    verdict = _interval_verdict(low, high, inside_low=-margin, inside_high=margin)
    z = difference / sigma if sigma > 0 else None
    where = {
        SUPPORTED: "lies within",
        NOT_SUPPORTED: "lies outside",
        INCONCLUSIVE: "straddles the edge of",
    }[verdict]
    reason = f"{start} {where} ±{margin:g} {unit}".rstrip() + " (95 % interval)"
    return verdict, reason, z


def _agrees(criterion: Agrees, evidence: Evidence) -> Finding:
    estimate = evidence.number(criterion.number)
    if estimate.value is None:
        found = _missing(estimate, criterion.number)
        bound = estimate.details.get("lower_bound")
        if bound is not None and bound > criterion.published + criterion.margin:
            # No value, but the data reach beyond the published one.
            return replace(found, verdict=NOT_SUPPORTED)
        return found
    sigma = estimate.uncertainty or 0.0
    difference = estimate.value - criterion.published
    start = (
        f"{subject(criterion.number)} is "
        f"{_show(estimate.value, estimate.uncertainty, estimate.unit)}"
    )
    # Where nothing is to be found the value is itself the difference.
    if criterion.published:
        published = f"{criterion.published:g} {estimate.unit}".rstrip()
        start += (
            f" against {published} in the paper, a difference of "
            f"{_show(difference, estimate.uncertainty, estimate.unit)} that"
        )
    else:
        start += " and"
    verdict, reason, z = _judge_deviation(difference, sigma, criterion.margin, estimate.unit, start)
    return Finding(
        verdict=verdict,
        reason=reason,
        value=estimate.value,
        uncertainty=estimate.uncertainty,
        unit=estimate.unit,
        z=z,
        key=criterion.number,
        definition=estimate.definition,
    )


def _coincides(criterion: Coincides, evidence: Evidence) -> Finding:
    a, b = (evidence.number(path) for path in criterion.numbers)
    for estimate, path in zip((a, b), criterion.numbers, strict=True):
        if estimate.value is None:
            return _missing(estimate, path)
    sigma = math.hypot(a.uncertainty or 0.0, b.uncertainty or 0.0)
    names = [subject(path) for path in criterion.numbers]
    verdict, reason, z = _judge_deviation(
        a.value - b.value,
        sigma,
        criterion.margin,
        a.unit,
        f"{names[0]} is {_show(a.value, a.uncertainty, a.unit)} and {names[1]} is "
        f"{_show(b.value, b.uncertainty, b.unit)}, a difference of "
        f"{_show(a.value - b.value, sigma, a.unit)} that",
    )
    return Finding(
        verdict=verdict,
        reason=reason,
        value=a.value - b.value,
        uncertainty=sigma,
        unit=a.unit,
        z=z,
        key=criterion.numbers[0],
        definition=a.definition,
    )


def _compatible(criterion: Compatible, evidence: Evidence) -> Finding:
    estimate = evidence.number(criterion.number)
    if estimate.value is None:
        return _missing(estimate, criterion.number)
    target = evidence.number(criterion.published)
    if target.value is None:
        return _missing(target, str(criterion.published))
    sigma = math.hypot(estimate.uncertainty or 0.0, target.uncertainty or 0.0)
    difference = estimate.value - target.value
    z = difference / sigma if sigma > 0 else (0.0 if difference == 0 else math.inf)
    width = 2 * Z95 * (estimate.uncertainty or 0.0)
    shown = (
        f"{subject(criterion.number)} is "
        f"{_show(estimate.value, estimate.uncertainty, estimate.unit)} against "
        f"{_show(target.value, target.uncertainty, estimate.unit)}"
    )
    if abs(z) > Z95:
        verdict, tail = NOT_SUPPORTED, f"which its 95 % interval excludes (z = {z:.1f})"
    elif width > criterion.max_width:
        verdict = INCONCLUSIVE
        tail = (
            f"but the 95 % interval is {width:.2g} {estimate.unit} wide, more than "
            f"{criterion.max_width:g} {estimate.unit}"
        )
    else:
        verdict, tail = SUPPORTED, "which its 95 % interval contains"
    return Finding(
        verdict=verdict,
        reason=f"{shown}, {tail}",
        value=estimate.value,
        uncertainty=estimate.uncertainty,
        unit=estimate.unit,
        z=None if math.isinf(z) else z,
        key=criterion.number,
        definition=estimate.definition,
    )


def _one_sided(criterion: Below | Above, evidence: Evidence, *, below: bool) -> Finding:
    estimate = evidence.number(criterion.number)
    if estimate.value is None:
        return _missing(estimate, criterion.number)
    limit = evidence.number(criterion.limit)
    if limit.value is None:
        return _missing(limit, str(criterion.limit))
    bound, bound_sigma = limit.value * criterion.factor, (limit.uncertainty or 0) * criterion.factor
    sigma = math.hypot(estimate.uncertainty or 0.0, bound_sigma)
    distance = (bound - estimate.value) if below else (estimate.value - bound)
    verdict = _interval_verdict(
        distance - Z95 * sigma, distance + Z95 * sigma, inside_low=0.0, inside_high=math.inf
    )
    word = "below" if below else "above"
    tail = {
        SUPPORTED: word,
        NOT_SUPPORTED: f"not {word}",
        INCONCLUSIVE: f"not certainly {word}",
    }[verdict]
    if estimate.unit:
        shown = _show(estimate.value, estimate.uncertainty, estimate.unit)
        edge = f"{bound:.4g} {estimate.unit}"
    else:
        shown = quantity(criterion.number, estimate.value)
        edge = quantity(criterion.number, bound)
    if isinstance(criterion.limit, str):
        share = "" if criterion.factor == 1 else f"{criterion.factor:g} times "
        edge = f"{share}{subject(criterion.limit)}, {edge}"
    return Finding(
        verdict=verdict,
        reason=(
            f"{subject(criterion.number)} is {shown}, {tail} {edge}"
            + (" (95 %)" if sigma > 0 else "")
        ),
        value=estimate.value,
        uncertainty=estimate.uncertainty,
        unit=estimate.unit,
        z=distance / sigma if sigma > 0 else None,
        key=criterion.number,
        definition=estimate.definition,
    )


def _detected(criterion: Detected, evidence: Evidence) -> Finding:
    p = evidence.number(criterion.p)
    node = evidence.statistic(criterion.p.rpartition("/")[0])
    definition = node.get("definition") if isinstance(node, Mapping) else None
    name = subject(criterion.p)
    if p.value is None:
        return _missing(replace(p, definition=definition or p.definition), criterion.p)
    if p.value < criterion.alpha:
        return Finding(
            verdict=SUPPORTED,
            reason=(
                f"{name} is detected (calibrated p {_p(p.value)}, needed < {criterion.alpha:g})"
            ),
            key=criterion.p,
            definition=definition,
        )
    reason = f"{name} is not detected (calibrated p {_p(p.value)}, needed < {criterion.alpha:g})"
    bound, negligible = evidence.number(criterion.bound), evidence.number(criterion.negligible)
    places = evidence.number(criterion.partial).value if criterion.partial is not None else None

    def words(value: float) -> str:
        return quantity(criterion.bound, value, bound.unit)

    if places:
        verdict, tail = INCONCLUSIVE, f"though in {places:g} of the places where it must be it is"
    elif bound.value is None or negligible.value is None:
        verdict, tail = INCONCLUSIVE, "and how large it may be is not known"
    elif bound.value < negligible.value:
        verdict = NOT_SUPPORTED
        tail = f"and at most {words(bound.value)} (95 %), below {words(negligible.value)}"
    else:
        verdict, tail = INCONCLUSIVE, f"but may be as large as {words(bound.value)} (95 %)"
    return Finding(
        verdict=verdict, reason=f"{reason}, {tail}", key=criterion.p, definition=definition
    )


def _p(value: float) -> str:
    return f"= {value:.2g}" if value >= 1e-4 else "< 0.0001"


def _absent(criterion: Absent, evidence: Evidence) -> Finding:
    upper = evidence.number(criterion.upper)
    if upper.value is None:
        return _missing(upper, criterion.upper)
    limit = evidence.number(criterion.margin)
    if limit.value is None:
        return _missing(limit, str(criterion.margin))
    margin = limit.value * criterion.factor
    lower = evidence.number(criterion.lower)

    def words(value: float) -> str:
        return quantity(criterion.upper, value, upper.unit)

    if upper.value < margin:
        verdict, tail = SUPPORTED, f"is at most {words(upper.value)} (95 %), below"
    elif lower.value is not None and lower.value > margin:
        verdict, tail = NOT_SUPPORTED, f"is at least {words(lower.value)} (95 %), above"
    else:
        verdict, tail = INCONCLUSIVE, f"may be as large as {words(upper.value)} (95 %), above"
    return Finding(
        verdict=verdict,
        reason=f"{subject(criterion.upper)} {tail} the margin of {words(margin)}",
        value=upper.value,
        key=criterion.upper,
        definition=upper.definition,
    )


def _exceeds(criterion: Exceeds, evidence: Evidence) -> Finding:
    lower = evidence.number(criterion.lower)
    if lower.value is None:
        return _missing(lower, criterion.lower)
    margin = evidence.number(criterion.margin)
    if margin.value is None:
        return _missing(margin, str(criterion.margin))
    # Without a bound from above any size is possible.
    upper = evidence.number(criterion.upper).value

    def words(value: float) -> str:
        return quantity(criterion.lower, value, lower.unit)

    if lower.value > margin.value:
        verdict, tail = SUPPORTED, f"at least {words(lower.value)} (95 %), above"
    elif upper is not None and upper < margin.value:
        verdict, tail = NOT_SUPPORTED, f"at most {words(upper)} (95 %), below"
    else:
        verdict, tail = INCONCLUSIVE, f"at least {words(lower.value)} (95 %), not certainly above"
    return Finding(
        verdict=verdict,
        reason=f"{subject(criterion.lower)} is {tail} {words(margin.value)}",
        value=lower.value,
        unit=lower.unit,
        key=criterion.lower,
        definition=lower.definition,
    )


def _at_least(criterion: AtLeast, evidence: Evidence) -> Finding:
    bound = evidence.number(criterion.bound)
    if bound.value is None:
        return _missing(bound, criterion.bound)
    shown = f"{subject(criterion.bound)} is {bound.value:.4g} {criterion.unit}".rstrip()
    limit = f"{criterion.limit:g} {criterion.unit}".rstrip()
    if bound.value > criterion.limit:
        verdict, tail = SUPPORTED, f"above {limit}"
    elif evidence.statistic(criterion.open):
        verdict, tail = INCONCLUSIVE, f"where the sweep ends, short of {limit}"
    else:
        verdict, tail = NOT_SUPPORTED, f"not above {limit}"
    return Finding(
        verdict=verdict,
        reason=f"{shown}, {tail}",
        value=bound.value,
        unit=criterion.unit,
        key=criterion.bound,
        definition=bound.definition,
    )


def _counted(criterion: Counted, evidence: Evidence) -> Finding:
    count = evidence.number(criterion.count)
    if count.value is None:
        return _missing(count, criterion.count)
    found = round(count.value)
    tail = ""
    if criterion.equals is not None:
        few, many = found < criterion.equals, found > criterion.equals
        wanted = f"exactly {criterion.equals}" if criterion.equals else "none"
    elif criterion.at_most is not None:
        few, many = False, found > criterion.at_most
        wanted = f"at most {criterion.at_most}"
    else:
        few, many = found < (criterion.at_least or 0), False
        wanted = f"at least {criterion.at_least}"
    verdict = NOT_SUPPORTED if few or many else SUPPORTED
    if few and criterion.sensitive is not None and not evidence.statistic(criterion.sensitive):
        verdict, tail = INCONCLUSIVE, ", and noise may hide one"
    where = ""
    if criterion.listed is not None and found:
        places = [f"{entry['T']:.1f}" for entry in evidence.statistic(criterion.listed)]
        where = f" (at {', '.join(places)} K)"
    return Finding(
        verdict=verdict,
        reason=(
            f"{subject(criterion.count)}: {found or 'none'} found{where}, {wanted} claimed{tail}"
        ),
        value=float(found),
        uncertainty=0.0,
        key=criterion.count,
        definition=count.definition,
    )


def _flag(criterion: Flag, evidence: Evidence) -> Finding:
    node = evidence.statistic(criterion.flag.rpartition("/")[0])
    value = node.get(criterion.flag.rpartition("/")[2])
    definition = node.get("definition")
    if value is None:
        return _missing(
            replace(_exact(0.0, ""), value=None, reason=_why_missing(node), definition=definition),
            criterion.flag.rpartition("/")[0],
            criterion.says,
        )
    verdict, answer = SUPPORTED, "yes" if value else "no"
    if bool(value) != criterion.wanted:
        verdict = criterion.if_false
        if criterion.against is not None and not evidence.statistic(criterion.against):
            verdict, answer = INCONCLUSIVE, f"{answer}, nor is the opposite established"
    return Finding(
        verdict=verdict,
        reason=f"{criterion.says}: {answer}",
        key=criterion.flag,
        definition=definition,
    )


def _falls(criterion: Falls, evidence: Evidence) -> Finding:
    node = evidence.statistic(criterion.statistic)
    reversal, error = node.get("reversal"), node.get("reversal_uncertainty")
    p = node.get("p_value", node.get("p"))
    if reversal is None or p is None or not math.isfinite(reversal):
        return _missing(
            replace(
                _exact(0.0, ""),
                value=None,
                reason=_why_missing(node),
                definition=node.get("definition"),
            ),
            criterion.statistic,
        )
    low, high = reversal - Z95 * (error or 0.0), reversal + Z95 * (error or 0.0)
    unit = f" {criterion.unit}".rstrip()
    name = subject(criterion.statistic)
    rise = _show(reversal, error, criterion.unit)
    if p < criterion.alpha and low > criterion.margin:
        shown, tail = f"{name} rises by {rise}", f"more than {criterion.margin:g}{unit} (p {_p(p)})"
        verdict = NOT_SUPPORTED
    else:
        shown = f"{name}: {f'largest rise {rise}' if reversal else 'no rise'}"
        verdict = SUPPORTED if high < criterion.margin else INCONCLUSIVE
        word = "below" if verdict == SUPPORTED else "not certainly below"
        tail = f"{word} {criterion.margin:g}{unit} (95 %)"
    return Finding(
        verdict=verdict,
        reason=f"{shown}, {tail}",
        key=criterion.statistic,
        definition=node.get("definition"),
    )


def _rises(criterion: Rises, evidence: Evidence) -> Finding:
    estimate = evidence.number(criterion.number)
    error = evidence.number(criterion.uncertainty)
    if estimate.value is None or error.value is None or not math.isfinite(estimate.value):
        node = evidence.statistic(criterion.number.rpartition("/")[0])
        reason = estimate.reason or _why_missing(node if isinstance(node, Mapping) else {})
        found = _missing(replace(estimate, value=None, reason=reason), criterion.number)
        # A slope that was not to be had says nothing about its sign.
        return found if found.verdict == NOT_TESTABLE else replace(found, verdict=INCONCLUSIVE)
    low = estimate.value - 1.6449 * error.value
    high = estimate.value + 1.6449 * error.value
    verdict = SUPPORTED if low > 0 else NOT_SUPPORTED if high < 0 else INCONCLUSIVE
    tail = {
        SUPPORTED: "positive",
        NOT_SUPPORTED: "negative",
        INCONCLUSIVE: "of no certain sign",
    }[verdict]
    shown = _show(estimate.value, error.value, criterion.unit)
    return Finding(
        verdict=verdict,
        reason=f"{subject(criterion.number)} is {shown}, {tail} (95 %)",
        value=estimate.value,
        uncertainty=error.value,
        unit=criterion.unit,
        z=estimate.value / error.value if error.value > 0 else None,
        key=criterion.number,
        definition=estimate.definition,
    )


def _recorded(criterion: Recorded, evidence: Evidence) -> Finding:
    value = evidence.sample.get(criterion.key)
    if value is None:
        return Finding(
            verdict=NOT_TESTABLE,
            reason=f"the sample's description does not state '{criterion.key}'",
            key=criterion.key,
        )
    same = math.isclose(float(value), criterion.equals, rel_tol=1e-12)
    return Finding(
        verdict=SUPPORTED if same else NOT_SUPPORTED,
        reason=(
            f"the sample's description states {shown_setting(criterion.key, float(value))}"
            + (", as the paper" if same else f", the paper {criterion.equals:g}")
        ),
        value=float(value),
        key=criterion.key,
    )


_TESTS: dict[type, Callable[[Any, Evidence], Finding]] = {
    Agrees: _agrees,
    Coincides: _coincides,
    Compatible: _compatible,
    Below: lambda c, e: _one_sided(c, e, below=True),
    Above: lambda c, e: _one_sided(c, e, below=False),
    Detected: _detected,
    Absent: _absent,
    Exceeds: _exceeds,
    AtLeast: _at_least,
    Counted: _counted,
    Flag: _flag,
    Falls: _falls,
    Rises: _rises,
    Recorded: _recorded,
}


def judge(criterion: Any, evidence: Evidence) -> Finding:
    """Apply one criterion; the test it names is the function of that name in this module."""
    return _TESTS[type(criterion)](criterion, evidence)


# --------------------------------------------------------------------------------------------------
# The ledger
# --------------------------------------------------------------------------------------------------

# A claim is only as good as its weakest criterion.
_SEVERITY = {NOT_TESTABLE: 3, NOT_SUPPORTED: 2, INCONCLUSIVE: 1, SUPPORTED: 0}


def _plain(value: Any) -> float | None:
    """Return a finite Python float, or None: the ledger is JSON."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def evaluate_claim(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """Judge one claim by all its criteria.

    Parameters
    ----------
    claim : Claim
        The sentence with its criteria.
    evidence : Evidence
        Stages and sample description.

    Returns
    -------
    dict
        One entry of claims.json: id, statement, quote, location, figure, panels, published, value,
        uncertainty, unit, z, verdict, reason, definition, alternatives, findings.
    """
    lacking = [] if evidence.measured is None else sorted({*claim.measurements} - evidence.measured)
    if lacking:
        reason = f"not measured: {', '.join(lacking)}"
        findings = [Finding(verdict=NOT_TESTABLE, reason=reason)]
    else:
        findings = [judge(criterion, evidence) for criterion in claim.criteria]
    worst = max(findings, key=lambda finding: _SEVERITY[finding.verdict])
    decisive = [finding for finding in findings if finding.verdict == worst.verdict]
    headline = (
        worst
        if worst.value is not None
        else next((finding for finding in findings if finding.value is not None), worst)
    )
    if claim.shown is not None and not lacking:
        shown = evidence.number(claim.shown)
        headline = replace(
            headline,
            value=shown.value,
            uncertainty=shown.uncertainty,
            unit=shown.unit,
            definition=shown.definition,
            z=headline.z if headline.key == claim.shown else None,
        )
    return {
        "id": claim.id,
        "statement": claim.statement,
        "quote": claim.quote,
        "location": claim.location,
        "figure": claim.figure,
        "panels": list(claim.panels),
        "published": claim.published.model_dump(),
        "value": _plain(headline.value),
        "uncertainty": _plain(headline.uncertainty),
        "unit": headline.unit,
        "relation": claim.relation,
        "z": _plain(headline.z),
        "verdict": worst.verdict,
        "reason": "; ".join(dict.fromkeys(finding.reason for finding in decisive)),
        "definition": headline.definition,
        "alternatives": None,
        "findings": [
            {"verdict": finding.verdict, "reason": finding.reason, "key": finding.key}
            for finding in findings
        ],
    }


def evaluate(
    claims: ClaimsFile,
    stages: Mapping[str, Stage],
    sample: Mapping[str, Any] | None = None,
    measured: Iterable[str] | None = None,
) -> list[dict[str, Any]]:
    """Judge every claim.

    Parameters
    ----------
    claims : ClaimsFile
        What `load_claims` returns.
    stages : mapping of str to Stage
        Results of the analysis stages by name (``transitions``, ``spectrum``, ...).
    sample : mapping, optional
        Flat description of the sample (geometry keys and the like) for `Recorded` criteria.
    measured : iterable of str, optional
        Measurements that the sample has: a claim that needs another is not testable. All, if not
        given.

    Returns
    -------
    list of dict
        One entry a claim, in the order of the file.

    Raises
    ------
    KeyError
        If a criterion names a number or statistic that no stage yields: a typing error in
        claims.yaml must not pass for a verdict.
    """
    evidence = Evidence(stages, sample or {}, None if measured is None else frozenset(measured))
    return [evaluate_claim(claim, evidence) for claim in claims.claims]


def evaluate_inconsistencies(
    claims: ClaimsFile, stages: Mapping[str, Stage]
) -> list[dict[str, Any]]:
    """List the paper's inconsistencies with what these data say about them.

    Returns
    -------
    list of dict
        id, statement, quotes, claims and `computed`: key, name in words, value, uncertainty, unit,
        definition and a rounded sentence for each number the entry names.
    """
    evidence = Evidence(stages)
    entries = []
    for item in claims.inconsistencies:
        computed = []
        for path in item.computed:
            try:
                estimate = evidence.number(path)
            except KeyError:
                # A stage without its measurement leaves the statistic out.
                continue
            computed.append(
                {
                    "key": path,
                    "name": subject(path),
                    "value": estimate.value,
                    "uncertainty": estimate.uncertainty,
                    "unit": estimate.unit,
                    "definition": estimate.definition,
                    "text": (
                        estimate.reason
                        if estimate.value is None
                        else _show(estimate.value, estimate.uncertainty, estimate.unit)
                    ),
                }
            )
        entries.append(
            {
                "id": item.id,
                "statement": item.statement,
                "quotes": list(item.quotes),
                "claims": list(item.claims),
                "computed": computed,
            }
        )
    return entries


def with_sensitivity(
    ledger: Sequence[Mapping[str, Any]], sensitivity: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Fill `alternatives` of each claim from the result of the sensitivity sweep."""
    return [{**entry, "alternatives": sensitivity["claims"].get(entry["id"])} for entry in ledger]


# --------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------

_COLUMNS = (
    "id",
    "statement",
    "quote",
    "location",
    "figure",
    "published",
    "value",
    "uncertainty",
    "unit",
    "z",
    "verdict",
    "reason",
    "alternatives",
)


def write_json(ledger: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write the ledger as claims.json (a list; the same ledger gives the same bytes)."""
    text = json.dumps(list(ledger), indent=1, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def write_csv(ledger: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write the ledger as a table, one row a claim."""
    import csv

    with Path(path).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for entry in ledger:
            alternatives = entry["alternatives"]
            writer.writerow(
                dict(entry)
                | {
                    "published": entry["published"]["text"],
                    "alternatives": "" if alternatives is None else alternatives["summary"],
                }
            )


def value_text(entry: Mapping[str, Any]) -> str:
    """Return the claim's recomputed value(error) with its unit, or a dash."""
    if entry["value"] is None:
        return "–"
    shown = _show(entry["value"], entry["uncertainty"], entry["unit"])
    return f"{entry.get('relation', '')} {shown}".lstrip()


_TEX_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "≥": r"$\geq$",
        "<": r"$<$",
        ">": r"$>$",
        "–": "--",
        "×": r"$\times$",
        "Ω": r"$\Omega$",
        "µ": r"$\mu$",
        "Δ": r"$\Delta$",
    }
)


def _environment(*, html: bool) -> Any:
    from jinja2 import Environment, FileSystemLoader

    # from here, so that the templates are named by path, which makes them inputs of the rules
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=html,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        value_text=value_text, tex=lambda text: str(text).translate(_TEX_SPECIAL)
    )
    return environment


def write_tex(ledger: Sequence[Mapping[str, Any]], path: str | Path, **about: str) -> None:
    r"""Write the ledger as a LaTeX ``tabular`` to be ``\input``."""
    template = _environment(html=False).get_template("templates/claims.tex.j2")
    text = template.render(ledger=ledger, **about)
    Path(path).write_text(text, encoding="utf-8")


def write_html(ledger: Sequence[Mapping[str, Any]], path: str | Path, **about: str) -> None:
    """Write the ledger as one page that needs nothing else."""
    template = _environment(html=True).get_template("templates/claims.html.j2")
    text = template.render(ledger=ledger, **about)
    Path(path).write_text(text, encoding="utf-8")


def read_stages(folder: str | Path) -> dict[str, Stage]:
    """Read the stage files of a sample's results folder, by stage name."""
    return {name: read_stage(Path(folder) / file) for name, file in STAGE_FILES.items()}


def _judge(arguments: argparse.Namespace) -> None:
    claims = load_claims(arguments.claims)
    sheet = yaml.safe_load(arguments.sample_yaml.read_text(encoding="utf-8"))
    stages = read_stages(arguments.stages)
    measured = samples.load(arguments.sample_yaml.parent).measurements
    ledger = evaluate(claims, stages, sheet.get("geometry") or {}, measured)
    write_json(evaluate_inconsistencies(claims, stages), arguments.inconsistencies)
    write_json(ledger, arguments.out)
    counts = {verdict: sum(e["verdict"] == verdict for e in ledger) for verdict in VERDICTS}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))


def _ledger(arguments: argparse.Namespace) -> None:
    ledger = json.loads(arguments.verdicts.read_text(encoding="utf-8"))
    sheet = yaml.safe_load(arguments.sample_yaml.read_text(encoding="utf-8"))
    if arguments.sensitivity is not None:
        ledger = with_sensitivity(
            ledger, json.loads(arguments.sensitivity.read_text(encoding="utf-8"))
        )
    synthetic = sheet.get("provenance") == "synthetic"
    about = {
        "sample": sheet["title"],
        "notice": STAND_IN_NOTICE if synthetic else "Measured sample.",
    }
    write_csv(ledger, arguments.out.with_suffix(".csv"))
    write_tex(ledger, arguments.out.with_suffix(".tex"), **about)
    write_html(ledger, arguments.out.with_suffix(".html"), **about)
    write_json(ledger, arguments.out)


def main(argv: Sequence[str] | None = None) -> None:
    """Judge every claim about one sample, and write the ledger in four formats."""
    parser = argparse.ArgumentParser(prog="python -m nbnmbt.claims", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    judge_parser = commands.add_parser("judge", help="stages -> verdicts")
    judge_parser.add_argument("--claims", type=Path, required=True, help="claims.yaml")
    judge_parser.add_argument("--stages", type=Path, required=True, help="folder of stage files")
    judge_parser.add_argument("--inconsistencies", type=Path, required=True)
    judge_parser.set_defaults(run=_judge)
    ledger_parser = commands.add_parser("ledger", help="verdicts -> claims.json, csv, tex, html")
    ledger_parser.add_argument("--verdicts", type=Path, required=True)
    ledger_parser.add_argument("--sensitivity", type=Path, help="sensitivity.json")
    ledger_parser.set_defaults(run=_ledger)
    for one in (judge_parser, ledger_parser):
        one.add_argument("--sample-yaml", type=Path, required=True, help="the sample's sheet")
        one.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
