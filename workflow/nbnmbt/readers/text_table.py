"""Plain text tables, read fast and strictly: bytes to numpy, block by block.

A block of whole lines takes the fast path if it holds nothing but well-formed rows: only the
characters of numbers, the same number of fields in every line, no empty field. That is checked on
the bytes before any number is converted, so the scanner can neither shift a column nor read half
a number. Every other block goes line by line, and each line that cannot be used is reported.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbnmbt.errors import InputError
from nbnmbt.readers.report import ReadReport

#: Bytes read at a time; small enough for the caches, and the working memory is a few times this.
BLOCK_BYTES = 2 << 20
#: A line longer than this is not a row of any instrument.
MAX_LINE_BYTES = 16 << 20
#: Keithley and Agilent write 9.9e37 for overflow and 9.91e37 for "not a number".
OVERFLOW = 9e36

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NO_VALUE = frozenset({"", "nan", "-nan", "inf", "+inf", "-inf", "infinity", "---", "--", "n/a"})
_NUMBER_BYTES = b"0123456789+-.eE"


def to_float(text: str, decimal: str = ".") -> float | None:
    """Return the number `text` spells, NaN for an instrument's "no value", None for anything else.

    Stricter than ``float``: no underscores, no other digits than 0-9, no grouping marks.
    """
    # Not strip(): it would also take 0x85 and other bytes no instrument writes.
    text = text.strip(" \t")
    if len(text) > 2 and text[0] == text[-1] == '"':
        # Spreadsheets and some loggers put every cell in quotes.
        text = text[1:-1].strip(" \t")
    if decimal != ".":
        if "." in text:
            return None
        text = text.replace(decimal, ".")
    if _NUMBER.fullmatch(text):
        return float(text)
    if text.casefold() in _NO_VALUE:
        return float("nan")
    return None


def decode(data: bytes, encoding: str | None, file: str | Path) -> tuple[str, str]:
    """Decode `data` as declared, else UTF-16 with BOM, UTF-8, then cp1252; drop no byte.

    Dropping what does not decode would lose the micro sign, and uA would silently become A.

    Returns
    -------
    (str, str)
        The text and the name of the encoding.

    Raises
    ------
    InputError
        If no candidate decodes every byte.
    """
    if encoding is not None:
        candidates = ["utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding]
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    else:
        candidates = ["utf-8-sig", "cp1252"]
    failure: UnicodeError | None = None
    for candidate in candidates:
        try:
            return data.decode(candidate), candidate
        except LookupError:
            raise InputError("unknown encoding", file=file, found=candidate) from None
        except UnicodeError as error:
            failure = error
    start = getattr(failure, "start", 0)
    raise InputError(
        f"cannot be decoded as {' or '.join(candidates)}",
        file=file,
        line=data.count(b"\n", 0, start) + 1,
        found=f"byte 0x{data[start]:02X}" if start < len(data) else None,
        advice="is it a text file?",
    )


@dataclass(frozen=True)
class TextColumn:
    """One wanted column: where it stands and how its numbers become canonical."""

    quantity: str
    index: int
    name: str
    convert: Callable[[np.ndarray], np.ndarray]
    scale: float = 1.0
    sign: int = 1
    offset: float = 0.0

    def canonical(self, raw: np.ndarray) -> np.ndarray:
        """Return ``sign * (scale * raw + offset)`` in the canonical unit."""
        values = raw
        if self.scale != 1.0:
            values = values * self.scale
        if self.offset != 0.0:
            values = values + self.offset
        if self.sign != 1:
            values = -values
        return self.convert(values)


@dataclass(frozen=True)
class TextTable:
    """A text file whose head has been understood: what stands where, and from which byte on.

    Attributes
    ----------
    path : Path
    columns : tuple of TextColumn
    n_names : int or None
        Number of names (trailing empty ones not counted); None if the file has no names line.
    delimiter : bytes or None
        None means any run of blanks and tabs.
    decimal : str
    comments : tuple of bytes
        Marks that begin a comment line.
    data_offset, first_line : int
        Byte offset and 1-based line number of the first line after the names.
    header : dict
    report : ReadReport
    names : tuple of str
        All names as they stand, to know them again further down; empty if there are none.
    """

    path: Path
    columns: tuple[TextColumn, ...]
    n_names: int | None
    delimiter: bytes | None
    decimal: str
    comments: tuple[bytes, ...]
    data_offset: int
    first_line: int
    header: dict[str, str]
    report: ReadReport
    names: tuple[str, ...] = ()

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[dict[str, np.ndarray]]:
        """Yield canonical columns block by block, in file order, in bounded memory.

        The report is complete when the iteration has ended.

        Raises
        ------
        InputError
            If the rows do not fit the names, or more rows are unusable than usable.
        """
        report = self.report
        digest = hashlib.sha256()
        width: int | None = None
        line = self.first_line
        with open(self.path, "rb") as stream:
            digest.update(stream.read(self.data_offset))
            carry = b""
            while chunk := stream.read(block_bytes):
                digest.update(chunk)
                data = carry + chunk
                cut = data.rfind(b"\n") + 1
                if cut == 0 and len(data) > MAX_LINE_BYTES and b"\r" not in data:
                    raise InputError("a line has no end; is it a text file?", file=self.path)
                block, carry = data[:cut], data[cut:]
                if not block:
                    continue
                if width is None:
                    width = self._perfect_width(block) or self._width(block)
                values, lines = self._parse(block, line, width)
                line += lines
                if values is not None:
                    yield values
        report.sha256 = digest.hexdigest()
        if carry:
            closed = carry.endswith(b"\r")
            if width is None:
                width = self._width(carry)
            values, lines = self._parse(carry + b"\n", line, width, open_end=not closed)
            if values is not None:
                yield values
        report.balance()
        if report.dropped > report.kept:
            where, reason = report.dropped_lines[0]
            commas = any("," in text for _, _, text in report.unreadable_cells)
            advice = None
            if commas and self.decimal == ".":
                advice = 'if that is a decimal comma, declare a layout with decimal: ","'
            raise InputError(
                f"{report.dropped} of {report.lines_after_names} rows cannot be used, "
                f"the first because {reason}",
                file=self.path,
                line=where,
                advice=advice,
            )
        if report.kept == 0:
            report.warn("the file holds no rows")

    def read(self) -> dict[str, np.ndarray]:
        """Return all rows as canonical columns."""
        parts = list(self.blocks())
        names = [column.quantity for column in self.columns]
        if not parts:
            return {name: np.empty(0) for name in names}
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def _split(self, line: str) -> list[str]:
        if self.delimiter is None:
            return re.split(r"[ \t]+", line.strip(" \t"))
        return line.split(self.delimiter.decode("ascii"))

    def _perfect_width(self, block: bytes) -> int | None:
        """Return the number of names if the whole first line is made of so many numbers."""
        line = block[: block.find(b"\n") + 1]
        if self.n_names is None or _fast(line, self.n_names, self.delimiter, self.decimal) is None:
            return None
        # Damaged rows further down are judged against the names, so nothing can shift.
        return self.n_names

    def _width(self, block: bytes) -> int:
        """Return the number of fields a row must have, from the first rows of the file.

        Another number than there are names is refused: nobody can tell which name has no column,
        and a shifted name is a wrong number.
        """
        counts: Counter[int] = Counter()
        for raw in re.split(rb"\r\n|\n|\r", block[: 1 << 16])[:400]:
            text = raw.decode("latin-1")
            if text.strip() and not raw.lstrip().startswith(self.comments or (b"\0",)):
                fields = self._split(text)
                extra = len(fields) - len(_strip_tail(fields))
                names = self.n_names
                if names is not None and len(fields) - extra <= names <= len(fields):
                    # Empty fields at the end are cells without a value, or a trailing delimiter.
                    counts[names] += 1
                else:
                    counts[len(fields) - extra] += 1
        needed = max(column.index for column in self.columns) + 1
        if not counts:
            return self.n_names or needed
        width = counts.most_common(1)[0][0]
        if self.n_names is not None and 2 * counts[self.n_names] >= sum(counts.values()):
            width = self.n_names
        if self.n_names is not None and width != self.n_names:
            raise InputError(
                f"rows have {width} fields but there are {self.n_names} names",
                file=self.path,
                line=self.first_line,
                advice="check the delimiter; if it is right, the names line is not, so declare "
                "the columns by position",
            )
        if width < needed:
            column = max(self.columns, key=lambda item: item.index)
            raise InputError(
                f"rows have {width} fields but the column is number {needed}",
                file=self.path,
                line=self.first_line,
                column=column.name,
                advice="check the delimiter and the names line",
            )
        return width

    def _parse(
        self, block: bytes, first_line: int, width: int, open_end: bool = False
    ) -> tuple[dict[str, np.ndarray] | None, int]:
        """Convert a block of whole lines; return canonical columns (or None) and the line count."""
        if not open_end:
            table = _fast(block, width, self.delimiter, self.decimal)
            if table is not None:
                raw = {column.quantity: table[column.index] for column in self.columns}
                rows = len(table[0])
                self.report.lines_after_names += rows
                self.report.kept += rows
                return self._canonical(raw), rows
        lines = re.split(rb"\r\n|\n|\r", block)
        if lines and lines[-1] == b"":
            lines.pop()
        cells: list[list[float]] = []
        last = first_line + len(lines) - 1
        for number, raw_line in enumerate(lines, start=first_line):
            values = self._row(raw_line, number, width, open_end and number == last)
            if values is not None:
                cells.append(values)
        self.report.lines_after_names += len(lines)
        self.report.kept += len(cells)
        if not cells:
            return None, len(lines)
        array = np.array(cells, dtype=float).T
        raw = {column.quantity: array[i] for i, column in enumerate(self.columns)}
        return self._canonical(raw), len(lines)

    def _row(self, raw: bytes, number: int, width: int, open_end: bool) -> list[float] | None:
        """Return the wanted cells of one line, or account for the line and return None."""
        report = self.report
        if not raw.strip(b" \t"):
            report.blank += 1
            return None
        if self.comments and raw.lstrip().startswith(self.comments):
            report.comment += 1
            return None
        fields = self._split(raw.decode("latin-1"))
        if self._names_again(raw, number):
            report.comment += 1
            return None
        if open_end:
            # Nothing tells whether the last field of a file without final line end is whole.
            last = len(fields) - 1
            if len(fields) < width or any(column.index == last for column in self.columns):
                report.drop(number, "the file ends inside this line, which may be cut short")
                return None
        filled = _strip_tail(fields)
        if len(filled) > width or len(fields) < width:
            report.drop(number, f"a row has {width} fields, not {len(fields)}")
            return None
        values = []
        for column in self.columns:
            value = to_float(fields[column.index], self.decimal)
            if value is None:
                report.cell(number, column.name, fields[column.index].strip())
                report.drop(number, f"column {column.name!r} holds no number")
                return None
            if value != value:
                report.sentinels += 1
            values.append(value)
        return values

    def _names_again(self, raw: bytes, number: int) -> bool:
        """Tell whether a line repeats the names, as where one file was appended to another.

        Raises
        ------
        InputError
            If the names there are others: the rows below would stand under the wrong ones.
        """
        if not self.names or not re.search(rb"[A-Za-z]{2}|[A-DF-Za-df-z]", raw):
            return False
        text, _ = decode(raw, None, self.path)
        cells = [cell.strip().strip('"').strip() for cell in self._split(text)]
        known = {name for name in self.names if name}
        if sum(cell in known for cell in cells) < 2:
            return False
        if tuple(_strip_tail(cells)) != tuple(_strip_tail(list(self.names))):
            raise InputError(
                "another table begins here, with other names",
                file=self.path,
                line=number,
                found=", ".join(cells)[:80],
                expected=", ".join(self.names)[:80],
                advice="cut the file in two before this line",
            )
        self.report.note(f"a second table with the same names begins at line {number}")
        return True

    def _canonical(self, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        out = {}
        for column in self.columns:
            values = raw[column.quantity]
            overflow = np.abs(values) > OVERFLOW
            if overflow.any():
                self.report.sentinels += int(overflow.sum())
                values = np.where(overflow, np.nan, values)
            out[column.quantity] = np.ascontiguousarray(column.canonical(values))
        return out


def _strip_tail(fields: list[str]) -> list[str]:
    """Return `fields` without empty ones at the end (a trailing delimiter makes one)."""
    end = len(fields)
    while end and not fields[end - 1].strip():
        end -= 1
    return fields[:end]


def _fast(
    block: bytes, width: int, delimiter: bytes | None, decimal: str
) -> list[np.ndarray] | None:
    """Return the columns of a block of perfect rows, or None if it is anything else."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if delimiter is None:
        block = re.sub(rb"[ \t]+", b" ", block).replace(b"\n ", b"\n").replace(b" \n", b"\n")
        block = block.lstrip(b" ")
        delimiter = b" "
    if decimal != ".":
        if b"." in block:
            return None
        block = block.replace(decimal.encode("ascii"), b".")
    # What is left without the characters of numbers must be the separators of perfect rows.
    separators = block.translate(None, _NUMBER_BYTES)
    rows = len(separators) // width
    if rows == 0 or separators != (delimiter * (width - 1) + b"\n") * rows:
        return None
    import pandas as pd

    options = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    try:
        frame = pd.read_csv(
            io.BytesIO(block),
            sep=delimiter.decode("ascii"),
            header=None,
            dtype=np.float64,
            na_filter=False,
            engine="c",
            **options,
        )
    except ValueError:
        return None
    # An empty field has failed to convert (na_filter is off), so no column can have moved.
    if frame.shape != (rows, width):
        return None
    return [frame[i].to_numpy() for i in range(width)]
