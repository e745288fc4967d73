"""From a sample's files to labelled datasets over T, B, theta and I; contracts on them.

``python -m nbnmbt.datasets --raw data/raw/NAME --measurement iv_angle --out FILE.nc`` writes one.

Every dataset has the dimension coordinates ``T`` (K), ``B`` (T), ``theta`` (degree) and ``I`` (mA),
of length 1 where not swept, and in front ``branch`` (``up``, ``down``) if some set-point was swept
in both directions. A coordinate that no file and no sheet states is NaN. What was not measured is
NaN: nothing is interpolated.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nbnmbt.errors import InputError, of_system
from nbnmbt.readers import iv_text, layouts, multivu
from nbnmbt.readers.report import ReadReport
from nbnmbt.samples import (
    MEASUREMENTS,
    Assembly,
    Row,
    SampleSheet,
    load,
    require_measurement,
)
from nbnmbt.sweeps import (
    JOIN_READ,
    cluster,
    fine_step,
    nominal_grid,
    split_by_direction,
)

if TYPE_CHECKING:
    import xarray as xr

DIMS = ("T", "B", "theta", "I")
BRANCHES = ("up", "down")
#: Units of everything in a dataset.
UNITS = {
    "T": "K",
    "B": "T",
    "theta": "degree",
    "I": "mA",
    "V": "mV",
    "R": "ohm",
    "R_err": "ohm",
    "I_measured": "mA",
    "T_measured": "K",
    "B_measured": "T",
}
LONG_NAMES = {
    "T": "temperature",
    "B": "magnetic field",
    "theta": "angle of the field",
    "I": "bias current",
    "V": "voltage",
    "R": "resistance",
    "R_err": "standard deviation of the mean of the resistance, by the instrument",
    "I_measured": "current as recorded",
    "T_measured": "temperature as recorded",
    "B_measured": "magnetic field as recorded",
    "branch": "direction of the sweep",
}
#: Larger datasets are not built in memory but written sweep by sweep.
STREAM_BYTES = 256 << 20
SLAB_BYTES = 16 << 20
CHUNK_BYTES = 1 << 20
#: Sweeps held in memory while a measurement is collected; beyond it they wait in a file.
SPOOL_BYTES = 128 << 20
#: A sweep shorter than this beside longer ones is a fragment of setting the instrument.
FRAGMENT_POINTS = 3
#: Share of its swept range by which two sweeps may overlap and still be parts of one.
PART_OVERLAP = 0.02

_AXIS = {"T": "temperature", "B": "field", "theta": "angle"}
_SWEPT = {"R-T": "T", "R-B": "B", "V-I": "I"}


# ------------------------------------------------------------------------------- units, contracts
def with_units(data: Any, units: str, long_name: str | None = None) -> Any:
    """Return `data` with exactly these units; xarray would keep those of the left operand.

    Parameters
    ----------
    data : DataArray or Variable
    units : str
    long_name : str, optional

    Returns
    -------
    Same type, a shallow copy with new attributes.
    """
    out = data.copy(deep=False)
    out.attrs = {"units": units}
    if long_name is not None:
        out.attrs["long_name"] = long_name
    return out


Function = TypeVar("Function", bound=Callable[..., Any])
Demand = Mapping[str, tuple[str, tuple[str, ...]]]


def contract(
    *, needs: Demand | None = None, yields: Demand | None = None
) -> Callable[[Function], Function]:
    """State which variables, units and dims a function's dataset has and its result will have.

    Parameters
    ----------
    needs, yields : mapping of str to (str, tuple of str)
        Variable -> (units, dims in order). A dimension with a question mark may be missing:
        ``{"V": ("mV", ("branch?", "T", "B", "theta", "I"))}``. `needs` speaks of the first
        argument, `yields` of the returned dataset.

    Returns
    -------
    callable
        Decorator; the function keeps ``needs`` and ``yields`` as attributes.

    Raises
    ------
    InputError
        From the decorated function, when a demand is not met.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(dataset: Any, *args: Any, **kwargs: Any) -> Any:
            check_contract(dataset, needs or {}, f"{function.__name__} needs")
            result = function(dataset, *args, **kwargs)
            if yields:
                check_contract(result, yields, f"{function.__name__} must yield")
            return result

        wrapper.needs = dict(needs or {})  # type: ignore[attr-defined]
        wrapper.yields = dict(yields or {})  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorate


def check_contract(dataset: Any, demand: Demand, who: str) -> None:
    """Raise a plain sentence if `dataset` lacks a variable, or it has other units or dims."""
    for name, (units, dims) in demand.items():
        of = dataset.attrs.get("measurement", "the dataset")
        if name not in dataset.variables:
            reason = dataset.attrs.get("reason")
            raise InputError(
                f"{who} the variable {name!r}, which {of} does not have",
                found=", ".join(str(key) for key in dataset.variables) or "no variables",
                advice=reason,
            )
        variable = dataset[name]
        found = variable.attrs.get("units")
        if found != units:
            raise InputError(
                f"{who} {name!r} in {units}", found=found or "no units", expected=units
            )
        required = tuple(d for d in dims if not d.endswith("?"))
        full = tuple(d.rstrip("?") for d in dims)
        actual = tuple(str(d) for d in variable.dims)
        if actual != tuple(d for d in full if d in actual) or not set(required) <= set(actual):
            raise InputError(
                f"{who} {name!r} over {', '.join(dims)}",
                found=", ".join(actual) or "a scalar",
            )


def is_measured(dataset: Any) -> bool:
    """Tell whether a dataset holds a measurement or only the reason why there is none."""
    return int(dataset.attrs.get("measured", 1)) == 1


# ----------------------------------------------------------------------------------- collecting
@dataclass
class _Sweep:
    """One sweep in one direction: where it is kept, and what it was taken at."""

    ticket: int
    points: int
    low: float
    high: float
    direction: str
    set_points: dict[str, float]
    source: int
    first: float
    declared: frozenset[str]
    recorded: dict[str, float]


class _Spool:
    """Arrays of all sweeps; in memory while small, else in a temporary file."""

    def __init__(self, limit: int = SPOOL_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: list[np.ndarray | tuple[int, tuple[int, ...]]] = []
        self._file: Any = None

    def add(self, table: np.ndarray) -> int:
        self._bytes += table.nbytes
        if self._bytes > self._limit and self._file is None:
            self._file = tempfile.TemporaryFile(prefix="nbnmbt-")  # noqa: SIM115 closed in close()
        if self._file is None:
            self._kept.append(np.ascontiguousarray(table))
        else:
            self._file.seek(0, os.SEEK_END)
            offset = self._file.tell()
            self._file.write(np.ascontiguousarray(table).tobytes())
            self._kept.append((offset, table.shape))
        return len(self._kept) - 1

    def get(self, ticket: int) -> np.ndarray:
        item = self._kept[ticket]
        if isinstance(item, np.ndarray):
            return item
        offset, shape = item
        self._file.seek(offset)
        size = int(np.prod(shape)) * 8
        return np.frombuffer(self._file.read(size), dtype=float).reshape(shape)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class _Collection:
    """All sweeps of a measurement with the account of how they were found."""

    sheet: SampleSheet
    measurement: str
    spool: _Spool
    sweeps: list[_Sweep] = field(default_factory=list)
    reports: list[ReadReport] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    empty_files: list[str] = field(default_factory=list)

    @property
    def quantity(self) -> str:
        return MEASUREMENTS[self.measurement].quantity

    @property
    def swept(self) -> str:
        return _SWEPT[self.quantity]

    @property
    def variables(self) -> tuple[str, ...]:
        if self.quantity == "V-I":
            return ("V", "I_measured", "T_measured", "B_measured")
        return ("R", "R_err", "T_measured", "B_measured")


#: Rows of a spooled table: swept quantity as reported, then the four variables.
_TABLE_ROWS = 5


def _collect(sheet: SampleSheet, measurement: str) -> _Collection:
    """Read the files of a measurement and cut them into sweeps."""
    out = _Collection(sheet, measurement, _Spool())
    hashes: dict[tuple, str] = {}
    try:
        for source, row in enumerate(sheet.rows_of(measurement)):
            sheet.verify(row)
            start = len(out.sweeps)
            report = _collect_file(out, row, source)
            twin = hashes.setdefault((report.sha256, row.channel), row.file)
            if twin != row.file:
                # The same bytes under another name are no second measurement.
                del out.sweeps[start:]
                report.note(f"byte-identical to {twin}, not used again")
            out.reports.append(report)
            if report.kept == 0:
                out.empty_files.append(row.file)
    except BaseException:
        out.spool.close()
        raise
    return out


def _blocks(sheet: SampleSheet, row: Row) -> tuple[Iterator[dict[str, np.ndarray]], ReadReport]:
    """Return the rows of a file block by block, and the report that fills meanwhile."""
    path = sheet.path(row)
    if row.layout == multivu.LAYOUT:
        recording = multivu.read(path).recording(row.channel, row.quantity)
        assert recording.report is not None
        return iter([recording.columns]), recording.report
    if row.layout == iv_text.LAYOUT:
        table = iv_text.open_table(path)
    else:
        table = layouts.open_table(path, sheet.info.layouts[row.layout], row.layout)
    return table.blocks(), table.report


def _collect_file(out: _Collection, row: Row, source: int) -> ReadReport:
    points = out.sheet.set_points(row)
    first = len(out.sweeps)
    blocks, report = _blocks(out.sheet, row)
    if row.quantity != "V-I":
        parts = [block for block in blocks if block]
        if parts:
            whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            if len(next(iter(whole.values()))):
                _resistance_sweeps(out, row, source, whole, points, report)
        return report
    carry: dict[str, np.ndarray] | None = None
    for block in blocks:
        if not len(next(iter(block.values()), ())):
            continue
        block = _finite(_required(out, row, block), "current", report)
        if carry is not None:
            block = {key: np.concatenate([carry[key], block[key]]) for key in block}
        segments = split_by_direction(block["current"])
        # The last sweep may go on in the next block.
        for segment in segments[:-1]:
            _add_voltage(out, row, source, _cut(block, segment), segment.direction, points, report)
        carry = _cut(block, segments[-1]) if segments else None
    if carry is not None:
        for segment in split_by_direction(carry["current"]):
            _add_voltage(out, row, source, _cut(carry, segment), segment.direction, points, report)
    _keep_declared(out, first, points, report)
    return report


def _keep_declared(
    out: _Collection, first: int, declared: dict[str, float | None], report: ReadReport
) -> None:
    """Drop sweeps of a file that were taken at another set-point than the declared one.

    The sweeps of the file are those from `first` on.
    """
    limits = _tolerances(out.sheet.info.assembly)
    for axis, tolerance in limits.items():
        wanted = declared[_AXIS[axis]]
        mine = [s for s in out.sweeps[first:] if axis in s.recorded]
        if wanted is None or len(mine) < 2:
            continue
        values = np.array([sweep.recorded[axis] for sweep in mine])
        away = _other_set_point(values, wanted, tolerance)
        if away.any():
            report.note(
                f"{int(away.sum())} sweeps are at another {_AXIS[axis]} than the declared "
                f"{wanted:g} and are not used"
            )
            gone = {mine[i].ticket for i in np.flatnonzero(away)}
            out.sweeps[first:] = [s for s in out.sweeps[first:] if s.ticket not in gone]


def _tolerances(limits: Assembly) -> dict[str, float]:
    """Return the set-point tolerance of each axis (K, T, deg)."""
    return {
        "T": limits.temperature_tolerance_K,
        "B": limits.field_tolerance_T,
        "theta": limits.angle_tolerance_deg,
    }


def _cut(columns: dict[str, np.ndarray], segment: Any) -> dict[str, np.ndarray]:
    return {key: values[segment.start : segment.stop] for key, values in columns.items()}


def _required(out: _Collection, row: Row, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Check that the file has what its quantity needs; derive R from V and I if it must."""
    path = out.sheet.path(row)
    if row.quantity == "V-I":
        need = ["current", "voltage"]
    else:
        if "resistance" not in columns and {"voltage", "current"} <= set(columns):
            columns = dict(columns)
            current = np.where(columns["current"] != 0, columns["current"], np.nan)
            columns["resistance"] = columns["voltage"] / current
            out.notes["resistance taken as voltage over current"] += 1
        need = ["resistance", "temperature" if row.quantity == "R-T" else "field"]
    for key in need:
        if key not in columns:
            raise InputError(
                f"a {row.quantity} file must hold the {key}, and this one does not",
                file=path,
                found=", ".join(columns),
                advice="declare the column in the layout, or correct the quantity in the sheet",
            )
    return columns


def _finite(columns: dict[str, np.ndarray], key: str, report: ReadReport) -> dict[str, np.ndarray]:
    valid = np.isfinite(columns[key])
    if valid.all():
        return columns
    report.note(f"{int((~valid).sum())} kept rows have no {key} and are not used")
    return {name: values[valid] for name, values in columns.items()}


def _corrected_field(out: _Collection, columns: dict[str, np.ndarray]) -> np.ndarray | None:
    """Return the field at the sample: reported plus offset, minus lag times its rate."""
    if "field" not in columns:
        return None
    values = columns["field"]
    corrections = out.sheet.info.corrections
    if corrections.field_lag_s and len(values) > 1 and "time" in columns:
        time = columns["time"]
        if np.isfinite(time).all() and (np.diff(time) > 0).all():
            values = values - corrections.field_lag_s * np.gradient(values, time)
        else:
            out.notes["field lag not corrected: no rising time stamps"] += 1
    elif corrections.field_lag_s and len(values) > 1:
        out.notes["field lag not corrected: no time column"] += 1
    if corrections.field_offset_T:
        values = values + corrections.field_offset_T
    return values


def _add_voltage(
    out: _Collection,
    row: Row,
    source: int,
    columns: dict[str, np.ndarray],
    direction: str,
    declared: dict[str, float | None],
    report: ReadReport,
) -> None:
    """Store one V(I) sweep: current and voltage in mA and mV, temperature and field as measured."""
    current = columns["current"] * 1e3
    if len(current) < FRAGMENT_POINTS and report.kept > 10 * FRAGMENT_POINTS:
        report.note("sweeps of fewer than three points are not used")
        return
    _plausible(out, row, columns)
    nan = np.full(len(current), np.nan)
    reported = _corrected_field(out, columns)
    table = np.vstack(
        [
            current,
            columns["voltage"] * 1e3,
            current,
            columns.get("temperature", nan),
            nan if reported is None else reported,
        ]
    )
    points = {
        axis: _set_point(out, row, axis, declared[_AXIS[axis]], columns.get(_AXIS[axis]))
        for axis in ("T", "B", "theta")
    }
    stated = frozenset(axis for axis in points if declared[_AXIS[axis]] is not None)
    recorded = {
        axis: float(np.median(values[np.isfinite(values)]))
        for axis in stated
        if (values := columns.get(_AXIS[axis])) is not None and np.isfinite(values).any()
    }
    _store(out, table, direction, points, source, columns, stated, recorded)


def _store(
    out: _Collection,
    table: np.ndarray,
    direction: str,
    points: dict[str, float],
    source: int,
    columns: dict[str, np.ndarray],
    declared: frozenset[str],
    recorded: dict[str, float] | None = None,
) -> None:
    assert table.shape[0] == _TABLE_ROWS
    excitation = columns.get("current")
    first = float("nan")
    if out.quantity != "V-I" and excitation is not None and np.isfinite(excitation).any():
        first = float(np.nanmedian(excitation)) * 1e3
    out.sweeps.append(
        _Sweep(
            ticket=out.spool.add(table),
            points=table.shape[1],
            low=float(table[0].min()),
            high=float(table[0].max()),
            direction=direction,
            set_points=points,
            source=source,
            first=first,
            declared=declared,
            recorded=recorded or {},
        )
    )


#: How far the mean of what was recorded may lie from the declared set-point: (absolute, relative).
_AGREEMENT = {"T": (0.5, 0.05), "B": (0.05, 0.05), "theta": (15.0, 0.0)}


def _set_point(
    out: _Collection, row: Row, axis: str, declared: float | None, values: np.ndarray | None
) -> float:
    """Return the set-point of a sweep: declared, else the median recorded, else NaN.

    Raises
    ------
    InputError
        If what was recorded does not agree with what was declared: a unit is wrong, or a file is.
    """
    median = float("nan")
    if values is not None and np.isfinite(values).any():
        median = float(np.nanmedian(values))
    if declared is None:
        if axis == "B" and median != median and row.orientation == "":
            # No orientation means no field was applied.
            return 0.0
        return median
    if median == median:
        absolute, relative = _AGREEMENT[axis]
        distance = abs(median - declared)
        if axis == "theta":
            distance = abs((distance + 180.0) % 360.0 - 180.0)
        if distance > absolute + relative * abs(declared):
            unit = {"T": "K", "B": "T", "theta": "deg"}[axis]
            raise InputError(
                f"the {_AXIS[axis]} in the file does not agree with the set-point of "
                f"measurements.csv line {row.line}",
                file=out.sheet.path(row),
                found=f"{median:.6g} {unit}",
                expected=f"about {declared:g} {unit}",
                advice=_unit_hint(median, declared, axis),
            )
    return declared


def _unit_hint(found: float, declared: float, axis: str) -> str:
    ratio = abs(found / declared) if declared else float("inf")
    for power, text in (
        (1e-4, "it is 10000 times too small: is the column in T but declared in Oe?"),
        (1e4, "it is 10000 times too large: is the column in Oe but declared in T?"),
        (1e3, "it is 1000 times too large: is the unit a thousandth of the declared one?"),
        (1e-3, "it is 1000 times too small: is the unit a thousand times the declared one?"),
    ):
        if 0.8 * power < ratio < 1.25 * power:
            return text
    return "check the row, the file and the unit of its column"


def _plausible(out: _Collection, row: Row, columns: dict[str, np.ndarray]) -> None:
    """Raise if a quantity is beyond what any such laboratory measures: its unit is wrong."""
    limits: Assembly = out.sheet.info.assembly
    # The current beside a resistance is its excitation, not a measurement.
    bounds = {
        "temperature": (0.0, limits.max_temperature_K, "K", "max_temperature_K"),
        "field": (-limits.max_field_T, limits.max_field_T, "T", "max_field_T"),
        "current": (-limits.max_current_A, limits.max_current_A, "A", "max_current_A"),
        "voltage": (-limits.max_voltage_V, limits.max_voltage_V, "V", "max_voltage_V"),
        "resistance": (
            -limits.max_resistance_ohm,
            limits.max_resistance_ohm,
            "ohm",
            "max_resistance_ohm",
        ),
    }
    for key, (low, high, unit, option) in bounds.items():
        if key not in columns:
            continue
        values = columns[key]
        outside = (values < low) | (values > high)
        if outside.any():
            worst = values[outside][np.argmax(np.abs(values[outside]))]
            hints = {
                "field": "is the column in Oe but declared in T?",
                "current": "is the column in mA or uA but declared in A?",
                "voltage": "is the column in mV or uV but declared in V?",
                "temperature": "is the column in mK but declared in K?",
            }
            raise InputError(
                f"the {key} is not plausible",
                file=out.sheet.path(row),
                found=f"{worst:.6g} {unit}",
                expected=f"{low:g} to {high:g} {unit}",
                advice=hints.get(key, "check the unit in the layout")
                + f" (if it is right, raise assembly: {option} in sample.yaml)",
            )
    if "voltage" in columns and "current" in columns:
        power = np.abs(columns["voltage"] * columns["current"])
        power = power[np.isfinite(power)]
        if power.max(initial=0.0) > limits.max_power_W:
            raise InputError(
                "current times voltage is not plausible",
                file=out.sheet.path(row),
                found=f"{power.max():.3g} W",
                expected=f"at most {limits.max_power_W:g} W",
                advice="is the voltage in mV but declared in V, or the current in mA but declared "
                "in A? (if it is right, raise assembly: max_power_W in sample.yaml)",
            )


#: A sweep that covers less than this is not one; the unit is wrong, or the file.
_LEAST_RANGE = {"R-T": (0.05, "K", "temperature"), "R-B": (0.02, "T", "field")}


def _resistance_sweeps(
    out: _Collection,
    row: Row,
    source: int,
    columns: dict[str, np.ndarray],
    declared: dict[str, float | None],
    report: ReadReport,
) -> None:
    """Cut a resistance file into sweeps: by set-point of what is not swept, then by direction."""
    columns = _required(out, row, columns)
    swept = _AXIS[out.swept]
    columns = _finite(_finite(columns, swept, report), "resistance", report)
    if not len(columns[swept]):
        return
    _plausible(out, row, columns)
    least, unit, word = _LEAST_RANGE[row.quantity]
    covered = float(np.ptp(columns[swept]))
    if covered < least and len(columns[swept]) > 20:
        raise InputError(
            f"the {word} covers {covered:.3g} {unit} only, so this is no {row.quantity} sweep",
            file=out.sheet.path(row),
            advice="is the column in T but declared in Oe?"
            if row.quantity == "R-B"
            else "check the quantity and the unit",
        )
    columns["corrected"] = _field_or_nan(_corrected_field(out, columns), columns[swept])
    held = [axis for axis in ("T", "B", "theta") if axis != out.swept]
    stated = frozenset(axis for axis in held if declared[_AXIS[axis]] is not None)
    keys, set_points = _hold(out, row, columns, held, declared, report)
    changes = np.flatnonzero(np.diff(keys)) + 1
    for part in np.split(np.arange(len(keys)), changes):
        key = int(keys[part[0]])
        if key < 0:
            continue
        piece = {name: values[part] for name, values in columns.items()}
        for segment in split_by_direction(piece[swept]):
            if len(segment) < FRAGMENT_POINTS and len(columns[swept]) > 10 * FRAGMENT_POINTS:
                report.note("sweeps of fewer than three points are not used")
                continue
            cut = _cut(piece, segment)
            nan = np.full(len(segment), np.nan)
            table = np.vstack(
                [
                    cut[swept],
                    cut["resistance"],
                    cut.get("resistance_err", nan),
                    cut.get("temperature", nan),
                    cut["corrected"],
                ]
            )
            _store(out, table, segment.direction, set_points[key], source, cut, stated)


def _field_or_nan(values: np.ndarray | None, like: np.ndarray) -> np.ndarray:
    return np.full(len(like), np.nan) if values is None else values


def _hold(
    out: _Collection,
    row: Row,
    columns: dict[str, np.ndarray],
    held: list[str],
    declared: dict[str, float | None],
    report: ReadReport,
) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Label every row by the set-points of the quantities that are held.

    Returns
    -------
    (ndarray of int, list of dict)
        Label of each row (-1: not at the declared set-point), set-points of each label.
    """
    n = len(next(iter(columns.values())))
    labels = np.zeros(n, dtype=int)
    points: list[dict[str, float]] = [{}]
    tolerance = _tolerances(out.sheet.info.assembly)
    for axis in held:
        values = columns.get(_AXIS[axis])
        wanted = declared[_AXIS[axis]]
        if values is not None and not np.isfinite(values).all():
            # A gap in a held quantity says nothing about the set-point.
            known = np.isfinite(values)
            values = np.where(known, values, np.nanmedian(values)) if known.any() else None
        if values is None or wanted is not None:
            near = values
            if values is not None and wanted is not None:
                near = values[~_other_set_point(values, wanted, tolerance[axis])]
            value = _set_point(out, row, axis, wanted, near)
            points = [{**point, axis: value} for point in points]
            if values is not None and wanted is not None:
                away = _other_set_point(values, wanted, tolerance[axis])
                if away.any():
                    report.note(
                        f"{int(away.sum())} rows are not at the {_AXIS[axis]} set-point "
                        f"{wanted:g} and are not used"
                    )
                    labels[away] = -1
            continue
        centres, group = cluster(values, tolerance[axis])
        spread = max(float(np.ptp(values[group == k])) for k in range(len(centres)))
        if spread > 10 * tolerance[axis]:
            raise InputError(
                f"the {_AXIS[axis]} wanders over {spread:.3g} without set-points",
                file=out.sheet.path(row),
                advice=f"state the set-point in measurements.csv line {row.line}, or widen its "
                "tolerance under assembly: in sample.yaml",
            )
        labels = np.where(labels < 0, -1, labels * len(centres) + group)
        points = [{**point, axis: float(c)} for point in points for c in centres]
    return labels, points


def _other_set_point(values: np.ndarray, wanted: float, tolerance: float) -> np.ndarray:
    """Return which values belong to another set-point than the one nearest to `wanted`.

    A file may hold several set-points; only rows of the declared one may carry its label.
    """
    centres, group = cluster(values, tolerance)
    return group != int(np.argmin(np.abs(centres - wanted)))


# ----------------------------------------------------------------------------------- the grid
@dataclass
class _Plan:
    """Where every sweep goes."""

    coords: dict[str, np.ndarray]
    branches: bool
    parts: dict[tuple, list[_Sweep]]
    #: Node of each point of a sweep, its points in ascending order of the swept quantity.
    places: dict[int, np.ndarray]
    shape: tuple[int, ...]
    dims: tuple[str, ...]


def _plan(out: _Collection) -> _Plan:
    tolerance = _tolerances(out.sheet.info.assembly)
    swept = out.swept
    coords: dict[str, np.ndarray] = {}
    index: dict[str, np.ndarray] = {}
    for axis in ("T", "B", "theta"):
        if axis == swept:
            continue
        values = np.array([sweep.set_points[axis] for sweep in out.sweeps])
        coords[axis], index[axis] = _axis(values, tolerance[axis], out, axis)
        _distinct(out, axis, values, index[axis], tolerance[axis])
    cells: dict[tuple, list[_Sweep]] = {}
    for i, sweep in enumerate(out.sweeps):
        where = tuple(int(index[axis][i]) if axis != swept else -1 for axis in ("T", "B", "theta"))
        cells.setdefault((where, sweep.direction), []).append(sweep)
    branches = any((where, "down") in cells for where, direction in cells if direction == "up")
    repeats = out.sheet.info.assembly.repeats
    chosen = {key: _choose(out, sweeps, repeats) for key, sweeps in cells.items()}
    used = [sweep for sweeps in chosen.values() for sweep in sweeps]
    if swept == "I" or branches or len(chosen) > 1:
        grid, by_ticket = _common_grid(out, used)
    else:
        # One sweep: the coordinate is what was measured, ascending.
        tables = [out.spool.get(sweep.ticket) for sweep in used]
        measured = np.concatenate([t[4] if swept == "B" else t[3] for t in tables])
        reported = np.concatenate([t[0] for t in tables])
        measured = np.where(np.isfinite(measured), measured, reported)
        order = np.argsort(measured, kind="stable")
        grid = measured[order]
        place = np.empty(len(order), dtype=int)
        place[order] = np.arange(len(order))
        splits = np.cumsum([t.shape[1] for t in tables])[:-1]
        by_ticket = {
            sweep.ticket: part[_ascending(table[0])]
            for sweep, part, table in zip(used, np.split(place, splits), tables, strict=True)
        }
    coords[swept] = grid
    if swept != "I":
        excitations = {round(s.first, 9) for s in used if s.first == s.first}
        single = excitations.pop() if len(excitations) == 1 else float("nan")
        if excitations:
            out.notes["the excitation current differs between sweeps; coordinate I is NaN"] += 1
        coords["I"] = np.array([single])
    dims = (("branch",) if branches else ()) + DIMS
    shape = ((2,) if branches else ()) + tuple(len(coords[axis]) for axis in DIMS)
    parts: dict[tuple, list[_Sweep]] = {}
    for (where, direction), sweeps in chosen.items():
        lead = (BRANCHES.index(direction),) if branches else ()
        parts.setdefault((lead, where), []).extend(sweeps)
    return _Plan(coords, branches, parts, by_ticket, shape, dims)


def _ascending(x: np.ndarray) -> np.ndarray:
    return np.argsort(x, kind="stable")


#: With more different lists of points than this, sweeps are no longer compared with earlier ones.
MAX_PATTERNS = 64


def _common_grid(
    out: _Collection, sweeps: list[_Sweep]
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the common nominal grid and the nodes of every sweep (points ascending).

    Most sweeps repeat one programmed list of points. Sweeps that agree point by point within a
    fifth of the step share one pattern, so that thousands of them need the memory of one.
    """
    patterns: list[np.ndarray] = []
    sums: list[np.ndarray] = []
    members: list[int] = []
    pattern_of: dict[int, int] = {}
    by_length: dict[int, list[int]] = {}
    near = 0.2 if out.swept != "T" else JOIN_READ
    for sweep in sweeps:
        x = np.sort(out.spool.get(sweep.ticket)[0])
        known = by_length.setdefault(len(x), [])
        for k in known if len(patterns) <= MAX_PATTERNS else ():
            if np.abs(x - patterns[k]).max() <= near * fine_step(patterns[k]):
                sums[k] += x
                members[k] += 1
                pattern_of[sweep.ticket] = k
                break
        else:
            known.append(len(patterns))
            pattern_of[sweep.ticket] = len(patterns)
            patterns.append(x)
            sums.append(x.copy())
            members.append(1)
    means = [total / n for total, n in zip(sums, members, strict=True)]
    grid, places = nominal_grid(means, programmed=out.swept != "T")
    return grid, {ticket: places[k] for ticket, k in pattern_of.items()}


def _axis(
    values: np.ndarray, tolerance: float, out: _Collection, axis: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the set-points of an axis, ascending, and the index of every sweep on it."""
    unknown = np.isnan(values)
    if unknown.all():
        return np.array([np.nan]), np.zeros(len(values), dtype=int)
    if unknown.any() and axis == "theta" and len(np.unique(values[~unknown])) == 1:
        # A log without an angle beside files that all state the same one.
        out.notes["files without an angle are taken to be at that of the others"] += 1
        values = np.where(unknown, values[~unknown][0], values)
        return values[:1], np.zeros(len(values), dtype=int)
    if unknown.any():
        raise InputError(
            f"some sweeps of {out.measurement} state the {_AXIS[axis]}, others do not",
            file=out.sheet.directory / "measurements.csv",
            advice="give the set-point of every row, or of none",
        )
    distinct = np.unique(values)
    exact = all(axis in sweep.declared for sweep in out.sweeps)
    if exact:
        # All were declared: they are set-points as they stand.
        return distinct, np.searchsorted(distinct, values)
    return cluster(values, tolerance)


#: What a measurement exists to vary.
_VARIES = {
    "iv_temperature": ("T",),
    "iv_out_of_plane": ("B",),
    "iv_in_plane": ("B",),
    "iv_angle": ("B", "theta"),
    "iv_angle_nbn": ("B", "theta"),
    "loops_interface": ("T",),
}


def _distinct(
    out: _Collection, axis: str, values: np.ndarray, index: np.ndarray, tolerance: float
) -> None:
    """Raise if one set-point is made of what were clearly several: only one sweep would stay.

    Several are at least three levels further apart than five times what a sweep scatters. They
    must reach further than the tolerance (each was close to the next), or be all there is; then
    the highest temperature must be three times the lowest, for drift is no series.
    """
    if axis not in _VARIES.get(out.measurement, ()):
        return
    if any(axis in sweep.declared for sweep in out.sweeps) or not np.isfinite(values).all():
        return
    least = 0.1 * tolerance if axis == "theta" else 1e-9
    if axis != "theta":
        row = 1 + out.variables.index(f"{axis}_measured")
        tables = (out.spool.get(sweep.ticket)[row] for sweep in out.sweeps)
        spreads = [float(np.nanmax(x) - np.nanmin(x)) for x in tables if np.isfinite(x).any()]
        least = max(least, 5.0 * float(np.median(spreads))) if spreads else least
    alone = index.max() == 0
    for k in range(int(index.max()) + 1):
        levels = np.unique(values[index == k])
        low, high = float(levels[0]), float(levels[-1])
        chained = high - low > tolerance
        lost = axis == "B" or (axis == "T" and high >= 3 * low)
        if int(np.sum(np.diff(levels) > least)) < 2 or not (chained or (alone and lost)):
            continue
        unit = {"T": "K", "B": "T", "theta": "deg"}[axis]
        option = {
            "T": "temperature_tolerance_K",
            "B": "field_tolerance_T",
            "theta": "angle_tolerance_deg",
        }[axis]
        wrong = {"T": "K but declared in mK", "B": "T but declared in Oe"}
        raise InputError(
            f"sweeps of {out.measurement} that differ in {_AXIS[axis]} would count as one "
            "set-point",
            file=out.sheet.path(out.sheet.rows_of(out.measurement)[0]),
            found=f"{low:.3g} to {high:.3g} {unit}",
            expected=f"steps of more than {tolerance:g} {unit}",
            advice=f"is the column in {wrong.get(axis, 'rad but declared in deg')}? If the unit is "
            f"right, lower assembly: {option} in sample.yaml",
        )


def _choose(out: _Collection, sweeps: list[_Sweep], repeats: str) -> list[_Sweep]:
    """Return the sweeps to use at one set-point and direction.

    Parts that do not overlap (0 -> max and -max -> 0 of a five-part sweep, a field range measured
    in two files) belong together. Of repetitions, one is used, or their mean.
    """
    if len(sweeps) == 1:
        return sweeps
    span = max(s.high for s in sweeps) - min(s.low for s in sweeps)
    families: list[list[_Sweep]] = []
    order = sorted(range(len(sweeps)), key=lambda i: (-sweeps[i].points, i))
    for i in order:
        sweep = sweeps[i]
        for family in families:
            overlap = max(min(sweep.high, s.high) - max(sweep.low, s.low) for s in family)
            if overlap <= PART_OVERLAP * span:
                family.append(sweep)
                break
        else:
            families.append([sweep])
    if len(families) == 1:
        return families[0]
    if repeats == "mean":
        out.notes["set-points measured more than once, their mean used"] += 1
        return [sweep for family in families for sweep in family]
    if repeats == "longest":
        size = [sum(s.points for s in family) for family in families]
        used = families[int(np.argmax(size))]
    else:
        chronological = sorted(families, key=lambda family: min(s.ticket for s in family))
        used = chronological[0 if repeats == "first" else -1]
    rows = out.sheet.rows_of(out.measurement)
    taken = {rows[s.source].file for s in used}
    spare = {rows[s.source].file for f in families if f is not used for s in f}
    names = ", ".join(sorted(spare)[:3]) + (", ..." if len(spare) > 3 else "")
    which = f"of {', '.join(sorted(taken))}; not: {names}"
    if spare == taken:
        which = f"of the {len(sweeps)} in {names}"
    out.notes[f"set-point measured more than once: the {repeats} sweep is used ({which})"] += 1
    return used


def _cells(out: _Collection, plan: _Plan) -> Iterator[tuple[tuple, dict[str, np.ndarray]]]:
    """Yield every filled line of the grid: its index and the variables along the swept axis.

    Several readings at one node (repeated points, means of repeats) are averaged.
    """
    axis = DIMS.index(out.swept)
    nodes = len(plan.coords[out.swept])
    for (lead, where), sweeps in sorted(plan.parts.items(), key=lambda item: item[0]):
        tables = [out.spool.get(sweep.ticket) for sweep in sweeps]
        tables = [table[:, _ascending(table[0])] for table in tables]
        place = np.concatenate([plan.places[sweep.ticket] for sweep in sweeps])
        table = np.concatenate(tables, axis=1)
        count = np.bincount(place, minlength=nodes)
        if count.max() > 1:
            out.notes["lines with several readings at one node, averaged"] += 1
        lines: dict[str, np.ndarray] = {}
        for name, values in zip(out.variables, table[1:], strict=True):
            if count.max() == 1:
                line = np.full(nodes, np.nan)
                line[place] = values
            else:
                line = _mean_at(place, values, nodes, squared=name == "R_err")
            lines[name] = line
        index: list[Any] = [*where, 0]
        index[axis] = slice(None)
        if axis == 3:
            index = [*where, slice(None)]
        yield (*lead, *index), lines


def _mean_at(place: np.ndarray, values: np.ndarray, nodes: int, squared: bool) -> np.ndarray:
    """Return the mean of the values at each node; of standard errors, that of their mean."""
    valid = np.isfinite(values)
    weights = values[valid] ** 2 if squared else values[valid]
    total = np.bincount(place[valid], weights=weights, minlength=nodes)
    number = np.bincount(place[valid], minlength=nodes).astype(float)
    number[number == 0] = np.nan
    return np.sqrt(total) / number if squared else total / number


def _summary(out: _Collection, plan: _Plan | None) -> str:
    """Return the read report of a dataset as JSON: sums, and the files with something to say."""
    keys = ("lines_after_names", "kept", "comment", "blank", "dropped", "padded", "sentinels")
    conversions: Counter[str] = Counter()
    because: Counter[str] = Counter()
    remarks = []
    for report in out.reports:
        conversions.update(set(report.conversions))
        because.update(report.dropped_because)
        content = report.to_dict()
        if {"dropped_lines", "unreadable_cells", "notes", "warnings"} & set(content):
            remarks.append(content)
    summary: dict[str, Any] = {
        "files": len(out.reports),
        "rows": {key: sum(getattr(report, key) for report in out.reports) for key in keys},
        "unreadable_cells": sum(report.unreadable for report in out.reports),
        "dropped_because": dict(sorted(because.items())),
        "conversions": dict(sorted(conversions.items())),
        "remarks": remarks[:200],
        "sweeps_found": len(out.sweeps),
        "assembly": dict(sorted(out.notes.items())),
    }
    if plan is not None:
        lines = int(np.prod(plan.shape)) // max(1, len(plan.coords[out.swept]))
        summary["sweeps_missing"] = lines - len(plan.parts)
    return json.dumps(summary, sort_keys=True, ensure_ascii=True)


def _attributes(sheet: SampleSheet, measurement: str) -> dict[str, Any]:
    meaning = MEASUREMENTS[measurement]
    rows = sheet.rows_of(measurement)
    return {
        "Conventions": "CF-1.11",
        "title": sheet.info.title,
        "sample": sheet.name,
        "measurement": measurement,
        "quantity": meaning.quantity,
        "configuration": meaning.configuration,
        "orientation": rows[0].orientation if rows else (meaning.orientation or ""),
        "provenance": sheet.info.provenance,
    }


def _skeleton(out: _Collection, plan: _Plan) -> xr.Dataset:
    """Return the dataset without its variables: coordinates and attributes."""
    import xarray as xr

    coords: dict[str, Any] = {}
    if plan.branches:
        coords["branch"] = ("branch", np.array(BRANCHES, dtype=object), _labels("branch"))
    for axis in DIMS:
        coords[axis] = (axis, plan.coords[axis], _labels(axis))
    attrs = _attributes(out.sheet, out.measurement)
    attrs["measured"] = 1
    corrections = {k: v for k, v in out.sheet.info.corrections.model_dump().items() if v}
    attrs["corrections"] = json.dumps(corrections, sort_keys=True)
    attrs["source_sha256"] = json.dumps(
        {
            row.file: report.sha256
            for row, report in zip(out.sheet.rows_of(out.measurement), out.reports, strict=True)
        },
        sort_keys=True,
    )
    attrs["read_report"] = _summary(out, plan)
    return xr.Dataset(coords=coords, attrs=attrs)


def _labels(name: str) -> dict[str, str]:
    out = {"long_name": LONG_NAMES[name]}
    if name in UNITS:
        out["units"] = UNITS[name]
    return out


def not_measured(sheet: SampleSheet, measurement: str, why: str) -> xr.Dataset:
    """Return the empty dataset that stands for a measurement the sample lacks."""
    import xarray as xr

    attrs = _attributes(sheet, measurement)
    attrs["measured"] = 0
    attrs["reason"] = f"not measured: {why}"
    return xr.Dataset(attrs=attrs)


def _sheet(sample: str | Path | SampleSheet) -> SampleSheet:
    return sample if isinstance(sample, SampleSheet) else load(sample)


def _prepare(
    sheet: SampleSheet, measurement: str
) -> tuple[_Collection, _Plan] | tuple[None, xr.Dataset]:
    require_measurement(measurement)
    if not sheet.rows_of(measurement):
        why = f"measurements.csv lists no file for {measurement}"
        return None, not_measured(sheet, measurement, why)
    out = _collect(sheet, measurement)
    if not out.sweeps:
        out.spool.close()
        files = ", ".join(out.empty_files) or "its files"
        return None, not_measured(sheet, measurement, f"{files}: no rows of data")
    try:
        return out, _plan(out)
    except BaseException:
        out.spool.close()
        raise


def assemble(sample: str | Path | SampleSheet, measurement: str) -> xr.Dataset:
    """Assemble one measurement of a sample into a labelled dataset, in memory.

    Parameters
    ----------
    sample : path or SampleSheet
        Sample folder, e.g. ``data/raw/surrogate``.
    measurement : str
        Key of `nbnmbt.samples.MEASUREMENTS`.

    Returns
    -------
    Dataset
        V-I: ``V`` (mV), ``I_measured`` (mA), ``T_measured`` (K), ``B_measured`` (T) over
        ([branch,] T, B, theta, I). R: ``R``, ``R_err`` (ohm), ``T_measured``, ``B_measured``.
        Without variables, with ``measured = 0`` and a ``reason``, if there is no such data.

    Raises
    ------
    InputError
        If a file or the sheet is wrong.
    """
    import xarray as xr

    out, plan = _prepare(_sheet(sample), measurement)
    if out is None:
        return plan
    try:
        arrays = {name: np.full(plan.shape, np.nan) for name in out.variables}
        for index, lines in _cells(out, plan):
            for name, line in lines.items():
                arrays[name][index] = line
        dataset = _skeleton(out, plan)
    finally:
        out.spool.close()
    return dataset.assign(
        {name: xr.Variable(plan.dims, values, _labels(name)) for name, values in arrays.items()}
    )


def assemble_to(
    sample: str | Path | SampleSheet,
    measurement: str,
    path: str | Path,
    attrs: Mapping[str, Any] | None = None,
) -> None:
    """Assemble one measurement straight into a file, in bounded memory however large it is.

    Parameters
    ----------
    sample, measurement
        As for `assemble`.
    path : path
        NetCDF file to write; replaced as a whole or not at all.
    attrs : mapping, optional
        Further global attributes (the provenance stamp).

    Raises
    ------
    InputError
    """
    out, plan = _prepare(_sheet(sample), measurement)
    if out is None:
        plan.attrs.update(attrs or {})
        write(plan, path)
        return
    try:
        if int(np.prod(plan.shape)) * 8 * len(out.variables) <= STREAM_BYTES:
            arrays = {name: np.full(plan.shape, np.nan) for name in out.variables}
            for index, lines in _cells(out, plan):
                for name, line in lines.items():
                    arrays[name][index] = line
            dataset = _skeleton(out, plan).assign(
                {name: (plan.dims, values, _labels(name)) for name, values in arrays.items()}
            )
            dataset.attrs.update(attrs or {})
            write(dataset, path)
        else:
            _stream(out, plan, Path(path), attrs or {})
    finally:
        out.spool.close()


def examine(
    sheet: SampleSheet, measurement: str, strict: bool = False
) -> tuple[list[InputError], str, list[str]]:
    """Read and plan a measurement without building it: every problem, not only the first.

    Parameters
    ----------
    sheet : SampleSheet
    measurement : str
    strict : bool
        Count dropped rows and unreadable cells as problems.

    Returns
    -------
    (list of InputError, str, list of str)
        Problems; one line that sums up the grid; remarks of the read reports.
    """
    out = _Collection(sheet, measurement, _Spool())
    problems: list[InputError] = []
    remarks: list[str] = []
    rows = sheet.rows_of(measurement)
    hashes: dict[tuple, str] = {}
    try:
        for source, row in enumerate(rows):
            start = len(out.sweeps)
            try:
                sheet.verify(row)
                report = _collect_file(out, row, source)
                if strict:
                    report.require_clean()
            except InputError as error:
                problems.append(error)
                continue
            except OSError as error:
                problems.append(of_system(error))
                continue
            twin = hashes.setdefault((report.sha256, row.channel), row.file)
            if twin != row.file:
                del out.sweeps[start:]
                report.note(f"byte-identical to {twin}, not used again")
            out.reports.append(report)
            remarks += _remarks(row, report)
        if problems:
            return problems, f"{len(problems)} of {len(rows)} files cannot be used", remarks
        if not out.sweeps:
            return problems, f"{len(rows)} files without rows: counts as not measured", remarks
        try:
            plan = _plan(out)
        except InputError as error:
            return [error], "the sweeps do not form a grid", remarks
        remarks += [f"{measurement}: {note} ({n} times)" for note, n in sorted(out.notes.items())]
        size = " x ".join(f"{n} {d}" for d, n in zip(plan.dims, plan.shape, strict=True) if n > 1)
        kept = sum(report.kept for report in out.reports)
        line = f"{len(rows)} files, {kept} rows, {len(out.sweeps)} sweeps: {size or '1 point'}"
        lines = int(np.prod(plan.shape)) // max(1, len(plan.coords[out.swept]))
        if lines > len(plan.parts):
            line += f", {lines - len(plan.parts)} sweeps missing"
        return problems, line, remarks
    finally:
        out.spool.close()


#: The sweep labelled in-plane may raise the voltage by this factor of the other before its label is
#: doubted, and by this many standard errors of the difference.
ORIENTATION_RATIO = 1.1
ORIENTATION_SIGMA = 5.0


def orientation_problem(sheet: SampleSheet) -> InputError | None:
    """Compare the two field sweeps of V(I): a field across a thin film must suppress Ic more.

    Model-free, on the raw sweeps: mean abs(V) over the common currents, relative to that at the
    lowest common field, averaged over the common fields. The analysis makes the same comparison of
    critical currents (`nbnmbt.analysis.angle`).

    Parameters
    ----------
    sheet : SampleSheet
        Both measurements must be in order.

    Returns
    -------
    InputError or None
        None also where the sweeps have fewer than four fields or ten currents in common.
    """
    import xarray as xr

    keys = ("iv_in_plane", "iv_out_of_plane")
    if any(not sheet.rows_of(key) for key in keys):
        return None
    parts = [assemble(sheet, key) for key in keys]
    if not all(is_measured(part) for part in parts):
        return None
    rows = [
        abs(part["V"]).mean([d for d in part["V"].dims if d not in ("B", "I")]) for part in parts
    ]
    rows = [row.assign_coords(B=np.round(row["B"], 6), I=np.round(row["I"], 6)) for row in rows]
    rows = list(xr.align(*[row.dropna("I", how="all") for row in rows], join="inner"))
    whole = np.isfinite(rows[0]) & np.isfinite(rows[1])
    rows = [row.where(whole).mean("I").dropna("B") for row in rows]
    if rows[0].sizes["B"] < 4 or int(whole.sum("I").max()) < 10:
        return None
    lowest = int(np.argmin(np.abs(rows[0]["B"].values)))
    inside, across = (row.values / row.values[lowest] - 1.0 for row in rows)
    difference = inside - across
    error = float(np.std(np.diff(difference, 2))) / np.sqrt(6.0 * len(difference))
    excess = float(np.mean(difference))
    if excess <= ORIENTATION_SIGMA * error or np.mean(inside) <= ORIENTATION_RATIO * abs(
        np.mean(across)
    ):
        return None
    return InputError(
        "the field labelled in-plane raises the voltage more than the one labelled out-of-plane, "
        "which no thin film does",
        file=sheet.directory / "measurements.csv",
        line=sheet.rows_of("iv_in_plane")[0].line,
        column="orientation",
        found=f"{100 * np.mean(inside):.2g} % in-plane, {100 * np.mean(across):.2g} % out-of-plane",
        advice="are iv_in_plane and iv_out_of_plane exchanged?",
    )


def _remarks(row: Row, report: ReadReport) -> list[str]:
    words = [f"{n} rows dropped: {why}" for why, n in sorted(report.dropped_because.items())]
    if report.unreadable:
        words.append(f"{report.unreadable} unreadable cells")
    words += report.notes + report.warnings
    return [f"{row.file}: {word}" for word in words]


def _stream(out: _Collection, plan: _Plan, path: Path, attrs: Mapping[str, Any]) -> None:
    """Write the grid line by line into chunked variables."""
    import h5netcdf

    dataset = _skeleton(out, plan)
    dataset.attrs.update(attrs)
    # Slabs of some megabytes: one write for many sweeps, still little memory.
    lead = 0
    while lead < plan.dims.index(out.swept) and int(np.prod(plan.shape[lead:])) * 8 > SLAB_BYTES:
        lead += 1
    chunks = list(plan.shape)
    for i in range(len(chunks)):
        if int(np.prod(chunks)) * 8 > CHUNK_BYTES and plan.dims[i] != out.swept:
            chunks[i] = 1
    with _replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")
        with h5netcdf.File(temporary, "a") as file:
            for name in out.variables:
                variable = file.create_variable(
                    name, plan.dims, dtype=float, chunks=tuple(chunks), fillvalue=np.nan
                )
                variable.attrs.update(_labels(name))
            for key, cells in itertools.groupby(_cells(out, plan), lambda cell: cell[0][:lead]):
                slabs = {name: np.full(plan.shape[lead:], np.nan) for name in out.variables}
                for index, lines in cells:
                    for name, line in lines.items():
                        slabs[name][index[lead:]] = line
                for name, slab in slabs.items():
                    file.variables[name][(*key, ...)] = slab


# ----------------------------------------------------------------------------- files and command
@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` that becomes `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a dataset as NetCDF-4: the same dataset gives the same bytes; whole or not at all."""
    with _replacing(Path(path)) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")


def read(path: str | Path) -> xr.Dataset:
    """Read a dataset into memory.

    Raises
    ------
    InputError
        If there is no such file, or it is no NetCDF file.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_file():
        raise InputError("there is no such dataset", file=path, advice="run snakemake to build it")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except OSError as error:
        raise InputError("this is no NetCDF file", file=path) from error


def _stamp(sheet: SampleSheet, measurement: str) -> dict[str, str]:
    """Return the provenance stamp of a dataset as attributes."""
    from nbnmbt import provenance

    inputs = [sheet.directory / "sample.yaml", sheet.directory / "measurements.csv"]
    inputs += sheet.files(measurement)
    content = provenance.stamp(
        inputs,
        {"measurement": measurement},
        sample=sheet.name,
        provenance=sheet.info.provenance,
    )
    return provenance.netcdf_attributes(content)


def main(argv: list[str] | None = None) -> int:
    """Assemble one measurement; the command line of the workflow's rule."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.datasets",
        description="Assemble the raw files of one measurement into a labelled NetCDF dataset.",
        epilog="example: python -m nbnmbt.datasets --raw data/raw/surrogate "
        "--measurement iv_angle --out results/surrogate/datasets/iv_angle.nc",
    )
    parser.add_argument("--raw", required=True, type=Path, help="sample folder")
    parser.add_argument("--measurement", required=True, help="key of measurements.csv")
    parser.add_argument("--out", required=True, type=Path, help="NetCDF file to write")
    arguments = parser.parse_args(argv)
    try:
        require_measurement(arguments.measurement)
        sheet = load(arguments.raw)
        assemble_to(
            sheet, arguments.measurement, arguments.out, _stamp(sheet, arguments.measurement)
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {of_system(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
