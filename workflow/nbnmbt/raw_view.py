"""A look at raw files for a reader: the file as it is, its first rows as read, the read report."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from nbnmbt.numbers import Table

if TYPE_CHECKING:
    import xarray as xr

    from nbnmbt.samples import SampleSheet

__all__ = ["file_head", "first_rows", "read_report"]

_UNITS = {
    "time": "s",
    "temperature": "K",
    "field": "T",
    "angle": "deg",
    "current": "A",
    "voltage": "V",
    "resistance": "ohm",
    "resistance_err": "ohm",
}


def file_head(
    sheet: SampleSheet,
    measurement: str,
    *,
    head: int = 6,
    rows: int = 3,
    width: int = 100,
) -> str:
    """Return the beginning of the first raw file of a measurement, character for character.

    Parameters
    ----------
    sheet : SampleSheet
        The sample.
    measurement : str
        Its key.
    head : int
        Lines of the header to show.
    rows : int
        Lines to show from the row of column names on, that row included.
    width : int
        Longer lines are cut there, with an ellipsis.

    Returns
    -------
    str
        Name of the file relative to the sample folder, then the lines; what is left out between
        header and names is counted. Without a file, the sentence that says so.
    """
    found = sheet.rows_of(measurement)
    if not found:
        return f"not measured: measurements.csv lists no file for {measurement}"
    path = sheet.path(found[0])
    with open(path, encoding="utf-8", errors="replace", newline=None) as stream:
        lines = [line.rstrip("\n") for line in islice(stream, 400)]
    start = _names_line(lines)
    shown = lines[: min(head, start)]
    skipped = start - len(shown)
    if skipped:
        shown.append(f"... ({skipped} more lines of header)")
    shown += lines[start : start + rows]
    cut = [line if len(line) <= width else line[: width - 1] + "…" for line in shown]
    files = len(sheet.files(measurement))
    title = f"{found[0].file}  ({found[0].layout}, 1 of {files} file{'s' if files != 1 else ''})"
    return "\n".join([title, *cut, "..."])


def _names_line(lines: list[str]) -> int:
    """Return the index of the row of column names: after ``[Data]``, or after the comments."""
    for index, line in enumerate(lines):
        if line.strip().lower() == "[data]":
            return index + 1
    for index, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith(("#", ";", "%")):
            return index
    return 0


def first_rows(sheet: SampleSheet, measurement: str, count: int = 5) -> Table:
    """Return the first rows of the first file of a measurement as the reader gives them.

    Parameters
    ----------
    sheet : SampleSheet
        The sample.
    measurement : str
        Its key.
    count : int
        Number of rows.

    Returns
    -------
    Table
        Canonical columns with units; columns without any value are left out.
    """
    found = sheet.rows_of(measurement)
    if not found:
        return Table(("not measured",), ((f"measurements.csv lists no file for {measurement}",),))
    recording = sheet.read(found[0])
    columns = {
        name: values
        for name, values in recording.columns.items()
        if np.isfinite(np.asarray(values, float)).any()
    }
    if "time" in columns:
        # the clock of an instrument has no meaning of its own; what counts is the time that passed
        columns["time"] = columns["time"] - columns["time"][0]
    names = tuple(f"{name} ({_UNITS[name]})" for name in columns)
    rows = tuple(
        tuple("" if np.isnan(v[i]) else f"{v[i] + 0.0:.7g}" for v in columns.values())
        for i in range(min(count, len(recording)))
    )
    return Table(names, rows, f"{found[0].file}: the first {len(rows)} of {len(recording)} rows")


def read_report(dataset: xr.Dataset) -> Table:
    """Return what happened while the files of a dataset were read, line by line.

    Parameters
    ----------
    dataset : Dataset
        From `nbnmbt.datasets`; its report is in the attributes.

    Returns
    -------
    Table
        Files, rows kept, padded and dropped (with reasons), unit conversions, sweeps found.
    """
    name = str(dataset.attrs.get("measurement", ""))
    if not int(dataset.attrs.get("measured", 1)):
        return Table(("read report",), ((str(dataset.attrs.get("reason", "not measured")),),))
    report = json.loads(dataset.attrs["read_report"])
    rows = [
        ("files", str(report["files"])),
        ("rows kept", str(report["rows"]["kept"])),
        ("rows filled up to the width of the header", str(report["rows"]["padded"])),
        ("rows dropped", str(report["rows"]["dropped"])),
        *((f"dropped because {why}", str(n)) for why, n in report["dropped_because"].items()),
        ("cells that are no number", str(report["unreadable_cells"])),
        *((f"converted: {what}", _files(n)) for what, n in report["conversions"].items()),
        ("sweeps found", str(report["sweeps_found"])),
        ("set-points without a sweep", str(report.get("sweeps_missing", 0))),
    ]
    warnings = sorted({w for entry in report["remarks"] for w in entry.get("warnings", ())})
    rows += [("warning", text) for text in warnings]
    return Table(("what", name), tuple(rows), "read report")


def _files(count: int) -> str:
    return f"in {count} file{'s' if count != 1 else ''}"
