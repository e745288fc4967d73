"""Guess what a file is and how a text log is written: for the draft only, never for a build."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbnmbt.errors import InputError
from nbnmbt.readers import iv_text, multivu
from nbnmbt.readers.text_table import decode, to_float
from nbnmbt.readers.units import CANONICAL, known_units, normal_unit

#: Files that lie beside the data and are none.
SIBLINGS = (".gph", ".seq", ".rw.dat", ".bak", ".raw", ".ini", ".cfg", ".md", ".pdf", ".doc")
_TEXT = (".dat", ".txt", ".csv", ".tsv", ".asc", ".log", ".prn", ".iv", ".xy")
_COMMENTS = ("///", "//", "#", "%", ";", "!")
_HEAD_BYTES = 1 << 17

_PATTERNS: dict[str, str] = {
    "temperature": r"t|temp|temperature|sample temp(erature)?|t sample|temp sample",
    "field": r"b|h|field|magnetic field|b field|mu0 ?h|µ0 ?h",
    "current": r"i|curr|current|i src|i bias|i set|isrc|ibias|source current|bias( current)?",
    "voltage": r"v|u|volt|volts|voltage|v meas|u meas|vxx|v xx",
    "resistance": r"r|res|resistance|rxx|r xx",
    "time": r"time|timestamp|time stamp|elapsed( time)?",
    "angle": r"angle|theta|phi|position|sample position|rotator",
}


@dataclass
class Guess:
    """A guessed layout, as the mapping that goes into ``sample.yaml``, and what was guessed."""

    layout: dict[str, Any]
    names: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


def kind(path: Path) -> str:
    """Return ``multivu``, ``iv-text``, ``text``, ``sibling`` or ``other``, by content.

    The extension only excludes: companions of a data file, and what is no text.
    """
    name = path.name.lower()
    if name.startswith(".") or name.endswith(SIBLINGS):
        return "sibling"
    with open(path, "rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", errors="ignore").encode()
    if b"\0" in head:
        return "other"
    if re.search(rb"(?im)^[\s\"]*\[data\]", head):
        return multivu.LAYOUT
    try:
        iv_text.open_table(path)
    except (InputError, OSError):
        pass
    else:
        return iv_text.LAYOUT
    numeric_suffix = re.fullmatch(r"\.\d+", path.suffix) is not None
    return "text" if path.suffix.lower() in _TEXT or numeric_suffix or not path.suffix else "other"


def guess_layout(path: Path) -> Guess | None:
    """Guess the layout of a text log from its content, or None if it holds no table of numbers."""
    with open(path, "rb") as stream:
        data = stream.read(_HEAD_BYTES)
    text, _ = decode(data, None, path)
    lines = re.split(r"\r\n|\n|\r", text)
    best = max(
        (_score(lines, delimiter, decimal) for delimiter, decimal in _CANDIDATES),
        key=lambda item: item[0],
    )
    score, delimiter, decimal, width, first = best
    if score < 4:
        return None
    names, header_rows, comments = _names(lines, first, delimiter, width)
    columns, notes = _columns(names, width)
    for quantity, column in list(columns.items()):
        cells = [
            cells[names.index(column["name"])]
            for line in lines[first:]
            if len(cells := _fields(line, delimiter)) >= width
        ]
        if 2 * sum(to_float(cell, decimal) is None for cell in cells) > len(cells):
            notes.append(f"{column['name']!r} holds no numbers and is not used")
            del columns[quantity]
    if header_rows == 0:
        for column in columns.values():
            column_name = column.pop("name")
            column["position"] = names.index(column_name)
            notes.append(f"position {column['position']} is {column_name!r} by a comment line")
    layout: dict[str, Any] = {
        "delimiter": {None: "whitespace"}.get(delimiter, delimiter),
        "decimal": decimal,
        "comment": comments[0] if len(comments) == 1 else comments or "#",
        "header_rows": header_rows,
        "columns": columns,
    }
    return Guess(layout, tuple(names), notes)


_CANDIDATES = [
    ("\t", "."),
    (";", "."),
    (",", "."),
    ("\t", ","),
    (";", ","),
    (None, "."),
    (None, ","),
]


def _fields(line: str, delimiter: str | None) -> list[str]:
    return line.split() if delimiter is None else line.split(delimiter)


def _score(lines: list[str], delimiter: str | None, decimal: str) -> tuple:
    """Return (numbers found, delimiter, decimal, fields a row, first row)."""
    widths: Counter[int] = Counter()
    rows: list[tuple[int, int, int]] = []
    for i, line in enumerate(lines):
        cells = [cell.strip() for cell in _fields(line, delimiter)]
        while cells and not cells[-1]:
            cells.pop()
        numbers = sum(bool(cell) and to_float(cell, decimal) is not None for cell in cells)
        if numbers >= 2 and numbers >= len(cells) / 2:
            widths[len(cells)] += 1
            rows.append((i, len(cells), numbers))
    if not widths:
        return (0, delimiter, decimal, 0, 0)
    width = widths.most_common(1)[0][0]
    kept = [row for row in rows if row[1] == width]
    return (sum(row[2] for row in kept), delimiter, decimal, width, kept[0][0])


def _names(
    lines: list[str], first: int, delimiter: str | None, width: int
) -> tuple[list[str], int, list[str]]:
    """Return the names above the first row, the header rows, and the comment marks seen."""
    comments: list[str] = []
    plain: list[str] = []
    last_comment = ""
    for line in lines[:first]:
        text = line.strip()
        if not text:
            continue
        mark = next((mark for mark in _COMMENTS if text.startswith(mark)), None)
        if mark is None:
            plain.append(line)
        else:
            if mark not in comments:
                comments.append(mark)
            last_comment = text[len(mark) :].strip()
    if plain:
        names = [cell.strip().strip('"') for cell in _fields(plain[-1], delimiter)]
        if len(names) >= width - 1:
            return names, len(plain), comments
        return [], len(plain), comments
    names = [cell.strip() for cell in _fields(last_comment, delimiter)]
    # Names in a comment line can serve the guess, but the columns then go by position.
    return (names if len(names) == width else []), 0, comments


def _columns(names: list[str], width: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    columns: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for i, name in enumerate(names[:width]):
        base, unit = _base_and_unit(name)
        for quantity, pattern in _PATTERNS.items():
            if quantity in columns or not re.fullmatch(pattern, base):
                continue
            if unit and unit not in known_units(quantity):
                # "T (s)" is no temperature, "R (V)" the amplitude of a lock-in.
                continue
            entry: dict[str, Any] = {"name": name}
            if unit in known_units(quantity):
                entry["unit"] = unit
            else:
                entry["unit"] = CANONICAL[quantity]
                notes.append(f"the unit of {name!r} is not stated: {CANONICAL[quantity]} assumed")
            columns[quantity] = entry
            break
        else:
            notes.append(f"column {i} {name!r} is not used")
    return columns, notes


def _base_and_unit(name: str) -> tuple[str, str]:
    text = name.strip()
    match = (
        re.fullmatch(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]", text)
        or re.fullmatch(r"(.*?)\s*/\s*(\S+)", text)
        or re.fullmatch(r"(.*)_([A-Za-zµμΩ]+)", text)
    )
    base, unit = (match[1], normal_unit(match[2])) if match else (text, "")
    if match and not any(unit in known_units(quantity) for quantity in CANONICAL):
        base, unit = text, ""
    base = re.sub(r"[\s_.]+", " ", base.casefold()).strip()
    return base, unit


def set_points_in_name(name: str) -> dict[str, float]:
    """Guess set-points from a file name: ``2K``, ``2p5K``, ``9T``, ``T=20K``, ``45deg``."""
    out: dict[str, float] = {}
    for quantity, unit in (("temperature", "K"), ("field", "T"), ("angle", "deg")):
        number = r"([+-]?\d+(?:[.p,]\d+)?)"
        if quantity == "temperature":
            number = r"-?(\d+(?:[.p,]\d+)?)"
        pattern = rf"(?<![A-Za-z0-9.])(?:[A-Za-z]+[=_]?)?{number}[ _]?{unit}(?![A-Za-z0-9])"
        match = re.search(pattern, name)
        if match:
            out[quantity] = float(re.sub("[p,]", ".", match[1]))
    return out
