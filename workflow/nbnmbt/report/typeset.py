"""Set the symbols of plain text: results say ``Ic0 < Ic1``, pages show them as the paper does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["typeset"]

_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\bIc([0-3])(?![0-9A-Za-z_/])", r"<i>I</i><sub>c</sub><sup>\1</sup>"),
    (r"\b([ITB])_?c(?![0-9A-Za-z_/])", r"<i>\1</i><sub>c</sub>"),
    (r"\b([BT])_(N|AR|flop|sat|s)(?![0-9A-Za-z_/])", r"<i>\1</i><sub>\2</sub>"),
    (r"\b(?:Delta|Δ) ?([0-3])(?![0-9A-Za-z_/])", r"Δ<sub>\1</sub>"),
    (r"\bDelta R\b", "Δ<i>R</i>"),
    (r"\bd([RV])/d([IT])\b", r"d<i>\1</i>/d<i>\2</i>"),
    (r"\b([RV])\(([TBI])\)", r"<i>\1</i>(<i>\2</i>)"),
    (r"\bMnBi2Te4\b", "MnBi<sub>2</sub>Te<sub>4</sub>"),
    (r"\bSiO2\b", "SiO<sub>2</sub>"),
    (r"\^\(([^()]+)\)|\^(\d+)", lambda m: f"<sup>{m[1] or m[2]}</sup>"),
    (r"&lt;&lt;", "≪"),
    (r"(?<=[\d)]) ohm\b", " Ω"),
    (r"(?<![\w.])-(?=\d)|(?<=\d)-(?=\()", "−"),
)


def typeset(text: Any) -> Any:
    """Return plain text as HTML, with symbols, formulas and units as a reader expects them.

    Parameters
    ----------
    text : str or None
        Words of a claim, a value or a reason. What is no symbol stays, and is escaped.

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup, escape

    found = str(escape("" if text is None else text))
    for pattern, replacement in _RULES:
        found = re.sub(pattern, replacement, found)
    return Markup(found)
