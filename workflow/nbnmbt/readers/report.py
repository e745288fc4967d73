"""What happened while a file was read: nothing is repaired in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbnmbt.errors import InputError

#: How many single dropped lines and unreadable cells are listed; beyond that they are counted only.
MAX_LISTED = 20


@dataclass
class ReadReport:
    """Account of one file: every line after the names is kept, comment, blank or dropped.

    Attributes
    ----------
    file : str
        Path as given to the reader.
    layout : str
        ``multivu``, ``iv-text`` or the name of a declared layout.
    sha256 : str
        Hash of the bytes on disk.
    lines_after_names, kept, comment, blank, dropped : int
        ``kept + comment + blank + dropped == lines_after_names`` always holds.
    dropped_because : Counter
        Reason -> number of dropped rows.
    dropped_lines : list of (int, str)
        The first dropped lines, 1-based, with the reason.
    padded : int
        Rows with fewer fields than names, filled up on the right (normal in Resistivity 2.1).
    sentinels : int
        Cells that say "no value" in the instrument's way (NaN, Inf, ---, -99999999, denormals).
    unreadable : int
        Cells of a number column that are no number; they became NaN.
    unreadable_cells : list of (int, str, str)
        The first of them: line, column name, text found.
    conversions : list of str
        Unit conversions made, in words.
    notes : list of str
        Everything else worth saying.
    """

    file: str
    layout: str
    sha256: str = ""
    encoding: str = ""
    delimiter: str = ""
    lines_after_names: int = 0
    kept: int = 0
    comment: int = 0
    blank: int = 0
    dropped: int = 0
    dropped_because: Counter[str] = field(default_factory=Counter)
    dropped_lines: list[tuple[int, str]] = field(default_factory=list)
    padded: int = 0
    sentinels: int = 0
    unreadable: int = 0
    unreadable_cells: list[tuple[int, str, str]] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def drop(self, line: int, reason: str) -> None:
        """Count a dropped row; list the first ones."""
        self.dropped += 1
        self.dropped_because[reason] += 1
        if len(self.dropped_lines) < MAX_LISTED:
            self.dropped_lines.append((line, reason))

    def cell(self, line: int, column: str, text: str) -> None:
        """Count a cell that should be a number and is not; list the first ones."""
        self.unreadable += 1
        if len(self.unreadable_cells) < MAX_LISTED:
            self.unreadable_cells.append((line, column, text[:40]))

    def note(self, text: str) -> None:
        """Add a note once."""
        if text not in self.notes:
            self.notes.append(text)

    def warn(self, text: str) -> None:
        """Add a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def balance(self) -> None:
        """Assert the book-keeping rule; a failure is a bug of the reader, not of the file."""
        total = self.kept + self.comment + self.blank + self.dropped
        if total != self.lines_after_names:
            raise AssertionError(
                f"{self.file}: {total} lines accounted for, {self.lines_after_names} read"
            )

    def require_clean(self) -> None:
        """Raise on anything unexplained: this is what ``strict=True`` means.

        Raises
        ------
        InputError
            If a row was dropped, a cell was unreadable, or there is a warning.
        """
        if self.dropped_lines:
            line, reason = self.dropped_lines[0]
            raise InputError(
                f"{self.dropped} row(s) cannot be used, the first because {reason}",
                file=self.file,
                line=line,
            )
        if self.unreadable_cells:
            line, column, text = self.unreadable_cells[0]
            raise InputError(
                f"{self.unreadable} cell(s) cannot be read",
                file=self.file,
                line=line,
                column=column,
                found=text,
                expected="a number",
            )
        if self.warnings:
            raise InputError(self.warnings[0], file=self.file)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without what is empty; the file by name only."""
        out: dict[str, Any] = {
            "file": Path(self.file).name,
            "layout": self.layout,
            "sha256": self.sha256,
            "encoding": self.encoding,
            "lines_after_names": self.lines_after_names,
            "kept": self.kept,
            "comment": self.comment,
            "blank": self.blank,
            "dropped": self.dropped,
        }
        optional = {
            "dropped_because": dict(sorted(self.dropped_because.items())),
            "dropped_lines": [list(item) for item in self.dropped_lines],
            "padded": self.padded,
            "sentinels": self.sentinels,
            "unreadable": self.unreadable,
            "unreadable_cells": [list(item) for item in self.unreadable_cells],
            "conversions": self.conversions,
            "notes": self.notes,
            "warnings": self.warnings,
        }
        out.update({key: value for key, value in optional.items() if value})
        return out

    def sentences(self) -> list[str]:
        """Return the report as sentences for a terminal."""
        out = [
            f"{self.lines_after_names} lines after the names: {self.kept} kept, "
            f"{self.comment} comments, {self.blank} blank, {self.dropped} dropped."
        ]
        out += [f"Dropped {n}: {reason}." for reason, n in sorted(self.dropped_because.items())]
        out += [f"Line {line}: {reason}." for line, reason in self.dropped_lines[:5]]
        if self.padded:
            out.append(f"{self.padded} rows have fewer fields than there are names (padded).")
        if self.sentinels:
            out.append(f"{self.sentinels} cells say 'no value' (NaN, Inf, ---, -99999999, ...).")
        out += [
            f"Line {line}, column {column!r}: {text!r} is no number."
            for line, column, text in self.unreadable_cells[:5]
        ]
        if self.unreadable > 5:
            out.append(f"{self.unreadable} unreadable cells in all.")
        out += [f"Unit: {text}." for text in self.conversions]
        out += [f"Note: {text}." for text in self.notes]
        out += [f"Warning: {text}." for text in self.warnings]
        return out
