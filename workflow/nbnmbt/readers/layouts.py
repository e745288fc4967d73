"""Text logs of any lab, by a layout declared in ``sample.yaml`` instead of guessed."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.readers.recording import Recording
from nbnmbt.readers.report import ReadReport
from nbnmbt.readers.text_table import TextColumn, TextTable, decode
from nbnmbt.readers.units import CANONICAL, converter, known_units, normal_unit

_HEAD_BYTES = 1 << 20
Quantity = Literal[
    "current",
    "voltage",
    "resistance",
    "resistance_err",
    "temperature",
    "field",
    "angle",
    "time",
]
_SET_POINTS = ("temperature", "field", "angle")


def _unit_quantity(quantity: str) -> str:
    return "resistance" if quantity == "resistance_err" else quantity


class Column(BaseModel):
    """One column of a declared layout: value = sign * (scale * raw + offset), then to canonical."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    position: Annotated[int, Field(ge=0)] | None = None
    unit: str
    scale: float = 1.0
    sign: Literal[1, -1] = 1
    offset: float = 0.0

    @model_validator(mode="after")
    def _one_of(self) -> Column:
        if (self.name is None) == (self.position is None):
            raise ValueError("give either name or position (counted from 0)")
        if self.scale == 0:
            raise ValueError("scale must not be 0")
        return self


class Layout(BaseModel):
    """How a lab's own text log is written; the schema of ``layouts:`` in ``sample.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: str = "\t"
    encoding: str | None = None
    decimal: Literal[".", ","] = "."
    comment: str | list[str] = "#"
    skip_rows: Annotated[int, Field(ge=0)] = 0
    header_rows: Annotated[int, Field(ge=0)] = 1
    columns: dict[Quantity, Column]
    filename: str | None = None

    @field_validator("delimiter")
    @classmethod
    def _known_delimiter(cls, value: str) -> str:
        words = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", " ": "whitespace"}
        value = words.get(value, value)
        if value not in ("\t", ";", ",", "|", "whitespace"):
            raise ValueError('delimiter must be "\\t", ";", ",", "|" or "whitespace"')
        return value

    @field_validator("filename")
    @classmethod
    def _good_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                _pattern(value)
            except InputError as error:
                raise ValueError(str(error).rstrip(".")) from None
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Layout:
        if not self.columns:
            raise ValueError("columns is empty")
        if self.decimal == "," and self.delimiter == ",":
            raise ValueError("a decimal comma and the delimiter ',' cannot go together")
        for quantity, column in self.columns.items():
            if self.header_rows == 0 and column.name is not None:
                raise ValueError(f"{quantity} is given by name but header_rows is 0")
            try:
                converter(_unit_quantity(quantity), column.unit)
            except InputError as error:
                raise ValueError(f"{quantity}: {str(error).rstrip('.')}") from None
        positions = [c.position for c in self.columns.values() if c.position is not None]
        if len(set(positions)) < len(positions):
            raise ValueError("two quantities have the same position")
        return self

    @property
    def comments(self) -> tuple[str, ...]:
        """Comment marks; none if declared empty."""
        marks = [self.comment] if isinstance(self.comment, str) else self.comment
        return tuple(mark for mark in marks if mark)


def _pattern(template: str) -> tuple[re.Pattern[str], dict[str, str]]:
    """Turn ``IV_{temperature}K_{field:mT}*.txt`` into a pattern and the unit of each set-point."""
    units: dict[str, str] = {}
    pattern = ""
    for part in re.split(r"(\{[^{}]*\}|\*)", template):
        if part == "*":
            pattern += ".*?"
        elif part.startswith("{"):
            name, _, unit = part[1:-1].partition(":")
            if name not in _SET_POINTS:
                raise InputError(
                    "unknown set-point in the file-name pattern",
                    found=part,
                    expected="{" + "}, {".join(_SET_POINTS) + "}",
                    advice=did_you_mean(name, _SET_POINTS),
                )
            if name in units:
                raise InputError("set-point twice in the file-name pattern", found=part)
            units[name] = unit or CANONICAL[name]
            converter(name, units[name])
            # "2p5" is how many labs write 2.5 in a file name.
            # No temperature in kelvin is negative: a "-" before it is a hyphen.
            sign = "" if name == "temperature" and normal_unit(units[name]) != "degC" else "[+-]?"
            pattern += rf"(?P<{name}>{sign}[0-9]+(?:[.,p][0-9]+)?(?:[eE][+-]?[0-9]+)?)"
        else:
            pattern += re.escape(part)
    if not units:
        raise InputError("the file-name pattern names no set-point", found=template)
    return re.compile(pattern), units


def set_points_from_name(path: str | Path, template: str) -> dict[str, float]:
    """Return the set-points a file's name states, in canonical units.

    Parameters
    ----------
    path : path
        Only the last part is looked at, with its extension.
    template : str
        ``{temperature}``, ``{field}``, ``{angle}``, each with an optional unit
        (``{field:mT}``); ``*`` stands for anything.

    Raises
    ------
    InputError
        If the name does not fit.
    """
    pattern, units = _pattern(template)
    match = pattern.fullmatch(Path(path).name)
    if match is None:
        raise InputError("the name does not fit the pattern", file=path, expected=repr(template))
    out = {}
    for name, unit in units.items():
        number = re.sub("[,p]", ".", match[name])
        out[name] = float(converter(name, unit)(float(number)))
    return out


def _unit_in_name(name: str, quantity: str) -> str | None:
    """Return the unit a column's own name states, e.g. ``H (Oe)`` or ``U / mV``.

    It may be one of another quantity than `quantity`.
    """
    match = re.search(r"[(\[]([^()\[\]]*)[)\]]\s*$", name) or re.search(r"\s/\s*(\S+)\s*$", name)
    known = known_units(_unit_quantity(quantity))
    if match is None:
        match = re.search(r"_([A-Za-z]+)$", name)
    else:
        # "V (K)" declared in mV is a mistake as well; "R(T)" only says what R depends on.
        known = [unit for table in CANONICAL for unit in known_units(table) if unit != "T"] + known
    if match is None:
        return None
    unit = normal_unit(match[1])
    return unit if unit in known else None


def open_table(path: str | Path, layout: Layout, name: str = "declared layout") -> TextTable:
    """Understand the head of a text log by its declared layout.

    Raises
    ------
    InputError
        If a declared column is not there, or its name states another unit than declared.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(
            "the file is UTF-16", file=path, advice="save it as UTF-8 ('CSV UTF-8' in Excel)"
        )
    report = ReadReport(file=str(path), layout=name, delimiter=layout.delimiter)
    comments = tuple(mark.encode("utf-8") for mark in layout.comments)
    delimiter = None if layout.delimiter == "whitespace" else layout.delimiter.encode("ascii")
    header: dict[str, str] = {}
    offset = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    number, names_line = 0, 0
    names: list[str] | None = None
    wanted = layout.header_rows
    skip = layout.skip_rows
    lines = re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z", head[offset:])
    for raw in lines:
        text, encoding = decode(raw, layout.encoding, path)
        report.encoding = report.encoding or encoding
        text = text.strip("\r\n")
        if skip:
            skip -= 1
        elif layout.comments and text.lstrip().startswith(layout.comments):
            key, colon, value = text.strip().lstrip("#/%;! ").partition(":")
            if colon:
                header[key.strip()] = value.strip()
        elif not text.strip() and wanted:
            pass
        elif wanted:
            wanted -= 1
            if wanted == 0:
                split = text.split() if delimiter is None else text.split(layout.delimiter)
                names = [field.strip().strip('"').strip() for field in split]
                names_line = number + 1
        else:
            break
        number += 1
        offset += len(raw)
    if wanted:
        raise InputError(
            f"the file ends before its {layout.header_rows} header row(s)",
            file=path,
            advice="check header_rows and comment of the layout",
        )
    columns = [
        _column(quantity, column, names, path, names_line, report)
        for quantity, column in layout.columns.items()
    ]
    clash = {c.index for c in columns}
    if len(clash) < len(columns):
        raise InputError(
            "two declared quantities are the same column of the file",
            file=path,
            line=names_line or None,
        )
    n_names = None
    if names is not None and any(c.name is not None for c in layout.columns.values()):
        filled = [i for i, text in enumerate(names) if text]
        n_names = filled[-1] + 1 if filled else None
    return TextTable(
        path=path,
        columns=tuple(columns),
        n_names=n_names,
        delimiter=delimiter,
        decimal=layout.decimal,
        comments=comments,
        data_offset=offset,
        first_line=number + 1,
        header=header,
        report=report,
        names=tuple(names or ()),
    )


def _column(
    quantity: str,
    column: Column,
    names: list[str] | None,
    path: Path,
    line: int,
    report: ReadReport,
) -> TextColumn:
    if column.position is not None:
        index = column.position
        name = f"position {index}"
        if names is not None and index < len(names) and names[index]:
            name = names[index]
    else:
        name = str(column.name)
        index = _find(name, names or [], path, line)
    stated = _unit_in_name(name, quantity)
    declared = normal_unit(column.unit)
    if column.scale != 1 and stated not in known_units(_unit_quantity(quantity)):
        # A current recorded as the voltage over a shunt; scale says how one becomes the other.
        stated = None
    if stated is not None and stated != declared:
        raise InputError(
            f"the layout declares the unit {column.unit} for {quantity}, the file says {stated}",
            file=path,
            line=line or None,
            column=name,
            advice="correct unit: in the layout",
        )
    canonical = CANONICAL[_unit_quantity(quantity)]
    steps = []
    if column.scale != 1 or column.offset != 0 or column.sign != 1:
        sign = "-" if column.sign < 0 else ""
        steps.append(f"{sign}({column.scale:g} x raw + {column.offset:g})")
    if declared != canonical:
        steps.append(f"{column.unit} to {canonical}")
    if steps:
        report.conversions.append(f"{name}: " + ", then ".join(steps))
    return TextColumn(
        quantity,
        index,
        name,
        converter(_unit_quantity(quantity), column.unit),
        column.scale,
        column.sign,
        column.offset,
    )


def _find(name: str, names: list[str], path: Path, line: int) -> int:
    exact = [i for i, text in enumerate(names) if text == name.strip()]
    loose = [i for i, text in enumerate(names) if text.casefold() == name.strip().casefold()]
    hits = exact or loose
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise InputError(
            "the column name is there more than once",
            file=path,
            line=line,
            column=name,
            advice="declare it by position",
        )
    raise InputError(
        "the column the layout declares is not in the file",
        file=path,
        line=line,
        column=name,
        advice=did_you_mean(name, [text for text in names if text]),
    )


def read(
    path: str | Path, layout: Layout, name: str = "declared layout", strict: bool = False
) -> Recording:
    """Read a text log by a declared layout.

    Returns
    -------
    Recording
        The declared columns in canonical units, in file order.

    Raises
    ------
    InputError
    """
    table = open_table(path, layout, name)
    columns = table.read()
    if strict:
        table.report.require_clean()
    return Recording(Path(path), columns, table.header, table.report)
