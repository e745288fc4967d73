"""Reader of ``iv-text``: one file of V(I) sweeps as the lab's logger writes it.

``# key: value`` lines, one line of names, then tab-separated rows in time order::

    # instrument: Keithley 6221 + 2182A
    time_s	temperature_K	field_T	angle_deg	current_A	voltage_V
    0.120	2.0003	0.00000	0.00	-3.000000e-03	-1.234567e-02

Names carry the unit and are the only ones allowed; their order is free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nbnmbt.errors import InputError, nearest
from nbnmbt.readers.recording import Recording
from nbnmbt.readers.report import ReadReport
from nbnmbt.readers.text_table import TextColumn, TextTable, decode
from nbnmbt.readers.units import converter

LAYOUT = "iv-text"
#: Column name -> (quantity, unit). The first two are required.
COLUMNS = {
    "current_A": ("current", "A"),
    "voltage_V": ("voltage", "V"),
    "time_s": ("time", "s"),
    "temperature_K": ("temperature", "K"),
    "field_T": ("field", "T"),
    "angle_deg": ("angle", "deg"),
}
_REQUIRED = ("current_A", "voltage_V")
_HEAD_BYTES = 1 << 20


def open_table(path: str | Path) -> TextTable:
    """Understand the head of an ``iv-text`` file.

    Raises
    ------
    InputError
        If it is not such a file; the sentence says which line and name.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.strip():
        raise InputError(
            "the file is empty", file=path, expected="'# key: value' lines, names, rows"
        )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("the file is UTF-16", file=path, advice="save it as UTF-8")
    header: dict[str, str] = {}
    report = ReadReport(file=str(path), layout=LAYOUT, delimiter="\t")
    offset, number = 0, 0
    for raw in _lines(head):
        number += 1
        offset += len(raw)
        text, encoding = decode(raw, None, path)
        report.encoding = report.encoding or encoding
        text = text.strip("\r\n")
        if text.lstrip().startswith("#"):
            key, colon, value = text.lstrip().lstrip("#").partition(":")
            if colon:
                header[key.strip()] = value.strip()
            continue
        if not text.strip():
            continue
        columns = _columns([name.strip() for name in text.split("\t")], path, number)
        if not raw.endswith((b"\n", b"\r")):
            report.warn("the file ends with its names")
        return TextTable(
            path=path,
            columns=tuple(columns),
            n_names=len(text.rstrip("\t").split("\t")),
            delimiter=b"\t",
            decimal=".",
            comments=(b"#",),
            data_offset=offset,
            first_line=number + 1,
            header=header,
            report=report,
            names=tuple(name.strip() for name in text.split("\t")),
        )
    raise InputError("there is no line of column names", file=path, expected="\\t".join(COLUMNS))


def _lines(head: bytes) -> Iterator[bytes]:
    """Yield lines with their ends, one at a time: the head is short, the block read is not."""
    start = 0
    for match in re.finditer(rb"\r\n|\n|\r", head):
        yield head[start : match.end()]
        start = match.end()
    if start < len(head):
        yield head[start:]


def _columns(names: list[str], path: Path, line: int) -> list[TextColumn]:
    found: list[TextColumn] = []
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen and name in COLUMNS:
            raise InputError("the column is there twice", file=path, line=line, column=name)
        seen.add(name)
        if name in COLUMNS:
            quantity, unit = COLUMNS[name]
            found.append(TextColumn(quantity, index, name, converter(quantity, unit)))
    for name in names:
        if name in COLUMNS or not name:
            continue
        close = nearest(name, COLUMNS)
        if close is not None and close not in seen:
            raise InputError(
                "unknown column name",
                file=path,
                line=line,
                found=name,
                expected=f"one of {', '.join(COLUMNS)}",
                advice=f"did you mean {close!r}?",
            )
    missing = [name for name in _REQUIRED if name not in seen]
    if missing:
        raise InputError(
            f"the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} missing",
            file=path,
            line=line,
            found="\t".join(names),
            expected="tab-separated names " + ", ".join(COLUMNS),
            advice="a log with other names or delimiters needs a declared layout in sample.yaml",
        )
    return found


def read(path: str | Path, strict: bool = False) -> Recording:
    """Read a whole ``iv-text`` file.

    Parameters
    ----------
    path : path
    strict : bool
        Raise on any row that cannot be used, instead of reporting it.

    Returns
    -------
    Recording
        Columns ``current`` (A), ``voltage`` (V) and those of ``time`` (s), ``temperature`` (K),
        ``field`` (T), ``angle`` (deg) the file has, in time order.

    Raises
    ------
    InputError
    """
    table = open_table(path)
    columns = table.read()
    if strict:
        table.report.require_clean()
    return Recording(Path(path), columns, table.header, table.report)
