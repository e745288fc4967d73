"""Measured numbers with uncertainty, unit and definition, and the file that keeps a set of them.

Every estimator of this package is one public function per quantity. The first paragraph of its
docstring *is* the definition that tables and reports print, so text and code cannot drift apart.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "EXCLUDED",
    "NOT_MEASURED",
    "Estimate",
    "Stage",
    "definition_of",
    "estimated",
    "read_stage",
    "undetermined",
    "write_stage",
]

#: How a reason for a missing value begins, or what it contains, where its kind matters. The
#: quantity was not measured at all: nothing can be said. It was looked for with data that would
#: have shown it, and is not there: that speaks against a claim. Any other reason leaves it open.
NOT_MEASURED = "not measured"
EXCLUDED = "excluded: "


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One estimated quantity.

    Attributes
    ----------
    value : float or None
        The estimate; None when the data do not determine it, and then `reason` says why.
    uncertainty : float or None
        Standard uncertainty (one standard deviation), in the same unit.
    unit : str
        Unit of `value` and `uncertainty`.
    definition : str
        What the number is, in one sentence.
    estimator : str
        Dotted name of the function that made it.
    reason : str or None
        Why there is no value.
    details : dict
        Further plain values worth keeping (intervals, counts, options used).
    """

    value: float | None
    uncertainty: float | None
    unit: str
    definition: str
    estimator: str
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError(f"{self.estimator}: an estimate without a value needs a reason")
        if self.uncertainty is not None and self.uncertainty < 0:
            raise ValueError(f"{self.estimator}: negative uncertainty {self.uncertainty!r}")

    @property
    def is_determined(self) -> bool:
        """Whether there is a value."""
        return self.value is not None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one analysis stage leaves behind: estimates, test statistics and file attributes."""

    estimates: dict[str, Estimate]
    statistics: dict[str, dict[str, Any]]
    attrs: dict[str, Any]


def definition_of(func: Callable[..., Any]) -> str:
    """Return the first paragraph of a function's docstring as one line.

    Parameters
    ----------
    func : callable
        An estimator with a docstring.

    Returns
    -------
    str
        The paragraph, unwrapped.

    Raises
    ------
    ValueError
        If there is no docstring: an estimator without a definition must not be published.
    """
    doc = inspect.getdoc(func)
    if not doc or not doc.strip():
        raise ValueError(f"{_name(func)} has no docstring, hence no definition to print")
    return " ".join(doc.strip().split("\n\n", 1)[0].split())


def estimated(
    func: Callable[..., Any], value: float, uncertainty: float | None, unit: str, **details: Any
) -> Estimate:
    """Make an `Estimate` whose definition is the docstring summary of `func`.

    Parameters
    ----------
    func : callable
        The estimator that computed the value.
    value, uncertainty : float
        Estimate and standard uncertainty. A value that is not finite is undetermined, an
        uncertainty that is not finite is unknown (None).
    unit : str
        Unit of both.
    **details
        Kept as they are.

    Returns
    -------
    Estimate
    """
    if value is None or not math.isfinite(value):
        return undetermined(func, unit, "the fit gave no finite value", **details)
    if uncertainty is not None:
        uncertainty = float(uncertainty)
        if not math.isfinite(uncertainty):
            uncertainty = None
    return Estimate(
        value=float(value),
        uncertainty=uncertainty,
        unit=unit,
        definition=definition_of(func),
        estimator=_name(func),
        details=dict(details),
    )


def undetermined(func: Callable[..., Any], unit: str, reason: str, **details: Any) -> Estimate:
    """Make an `Estimate` without a value, with the reason in plain words.

    Parameters
    ----------
    func : callable
        The estimator that would have computed the value.
    unit : str
        Unit the value would have.
    reason : str
        Why the data do not determine it, e.g. ``"not measured: sample X has no iv_nbn"``; see
        `NOT_MEASURED` and `EXCLUDED`.
    **details
        Kept as they are.

    Returns
    -------
    Estimate
    """
    return Estimate(
        value=None,
        uncertainty=None,
        unit=unit,
        definition=definition_of(func),
        estimator=_name(func),
        reason=reason,
        details=dict(details),
    )


def write_stage(
    path: str | os.PathLike[str],
    estimates: Mapping[str, Estimate],
    statistics: Mapping[str, Mapping[str, Any]],
    *,
    attrs: Mapping[str, Any],
) -> None:
    """Write the result of one stage as JSON: sorted keys, shortest exact floats, NaN as null.

    The same content gives the same bytes. The file appears whole or not at all.

    Parameters
    ----------
    path : path-like
        Target; folders are made.
    estimates : mapping of str to Estimate
        Key -> estimate.
    statistics : mapping of str to mapping
        Name -> test statistics, p values, bounds, lists. Each needs a ``"definition"`` entry.
    attrs : mapping
        What concerns the file as a whole (sample, options, stamp).

    Raises
    ------
    ValueError
        If a statistic has no definition.
    """
    for name, entry in statistics.items():
        if not entry.get("definition"):
            raise ValueError(f"statistic {name!r} has no definition")
    content = {
        "attrs": attrs,
        "estimates": {
            key: {
                "value": e.value,
                "uncertainty": e.uncertainty,
                "unit": e.unit,
                "definition": e.definition,
                "estimator": e.estimator,
                "reason": e.reason,
                "details": e.details,
            }
            for key, e in estimates.items()
        },
        "statistics": statistics,
    }
    text = json.dumps(_plain(content), sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        # mkstemp makes the file private to its owner; a result is as public as any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_stage(path: str | os.PathLike[str]) -> Stage:
    """Read a file of `write_stage`.

    Parameters
    ----------
    path : path-like
        The JSON file.

    Returns
    -------
    Stage
    """
    with open(path, encoding="utf-8") as stream:
        content = json.load(stream)
    return Stage(
        estimates={key: Estimate(**entry) for key, entry in content["estimates"].items()},
        statistics=content["statistics"],
        attrs=content["attrs"],
    )


def _name(func: Callable[..., Any]) -> str:
    module = func.__module__
    if module == "__main__":
        # A stage run by `python -m` must sign its estimates like an imported one.
        spec = getattr(inspect.getmodule(func), "__spec__", None)
        module = spec.name if spec is not None else module
    return f"{module}.{func.__qualname__}"


def _plain(value: Any) -> Any:
    """Turn numpy scalars, arrays, paths and non-finite floats into what JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (set, frozenset)):
        return [_plain(entry) for entry in sorted(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        # float() also strips numpy's subclass, whose repr would carry the type name.
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written to a stage file")
