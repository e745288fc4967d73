"""The one exception for everything that is wrong with what a person brought."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Set
from pathlib import Path

#: More options than this are not listed in a sentence.
_LISTED = 20


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return the option spelled most like `name`, or None if nothing is close.

    Case and the difference between ``-``, ``_`` and blank are ignored: those are the usual slips.
    """

    def fold(text: str) -> str:
        return text.casefold().replace("-", "_").replace(" ", "_")

    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(fold(str(option)), str(option))
    close = difflib.get_close_matches(fold(str(name)), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return advice: the nearest name if there is one, else (the first of) what is allowed."""
    # a set has no order of its own: the same slip would be answered differently each time
    options = sorted(map(str, options)) if isinstance(options, Set) else list(map(str, options))
    hint = nearest(name, options)
    if hint is not None:
        return f"did you mean {hint!r}?"
    more = f" and {len(options) - _LISTED} more" if options[_LISTED:] else ""
    return "allowed are " + ", ".join(options[:_LISTED]) + more


class InputError(ValueError):
    """A problem in a file somebody brought, said as one plain sentence.

    Parameters
    ----------
    problem : str
        What is wrong, without file and line (they are prepended).
    file : path, optional
        File the problem is in.
    line : int, optional
        1-based line number in `file`.
    column : str, optional
        Name of the column or key.
    found, expected : object, optional
        What stood there, and what would have been right.
    advice : str, optional
        What to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        column: str | None = None,
        found: object = None,
        expected: object = None,
        advice: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected
        self.advice = advice
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.line is not None:
            where.append(f"line {self.line}")
        if self.column is not None:
            where.append(f"column {self.column!r}")
        details = []
        if self.found is not None:
            details.append(f"found {_quote(self.found)}")
        if self.expected is not None:
            details.append(f"expected {self.expected}")
        text = self.problem.rstrip(".")
        if details:
            text += " (" + ", ".join(details) + ")"
        if where:
            text = ", ".join(where) + ": " + text
        if self.advice:
            text += "; " + self.advice.rstrip(".")
        return text if text.endswith("?") else text + "."

    def __reduce__(self):
        """Pickle with all fields, so that the error survives a process pool."""
        fields = {k: getattr(self, k) for k in ("file", "line", "column", "found", "expected")}
        return _rebuild, (self.problem, {**fields, "advice": self.advice})


def _rebuild(problem: str, fields: dict) -> InputError:
    return InputError(problem, **fields)


def _quote(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 90 else text[:87] + "..."


def of_system(error: OSError) -> InputError:
    """Return the sentence for a file that the system does not let us read or write."""
    if isinstance(error, PermissionError):
        advice = "change the permission, or copy the file"
    else:
        advice = None
    reason = (error.strerror or str(error)).lower()
    return InputError(reason, file=error.filename, advice=advice)
