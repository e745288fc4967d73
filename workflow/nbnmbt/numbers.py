r"""Every number of the paper in one table: collected, rounded, written as JSON, CSV and TeX.

The stages compute; this module only gathers, so ``numbers.json`` and the notebooks cannot disagree.
A number that the data do not determine is there with ``value: null`` and a ``reason``.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.paths import repo_root
from nbnmbt.provenance import STAMP_KEY

if TYPE_CHECKING:
    from nbnmbt.analysis.estimate import Stage

__all__ = [
    "NUMBER_KEYS",
    "STAGE_FILES",
    "Key",
    "Number",
    "Table",
    "collect",
    "format_value",
    "published_values",
    "read_numbers",
    "select",
    "summary_table",
    "tex_name",
    "to_csv",
    "to_json",
    "to_tex",
]

#: Stage -> its file of estimates in ``results/{sample}/``.
STAGE_FILES: dict[str, str] = {
    "spectrum": "spectrum.json",
    "transitions": "transitions.json",
    "temperature_laws": "laws.json",
    "kinks": "kinks.json",
    "angle": "angle.json",
    "loops": "loops.json",
}

#: Fields (T) at which the angular measurement is judged, and the panel of Fig. 6 that shows each.
ANGULAR_FIELDS: dict[int, str] = {1: "6b", 4: "6c", 7: "6d", 9: "6e"}


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known of a number before it is computed.

    Attributes
    ----------
    stage : str
        The analysis stage that estimates it, a key of `STAGE_FILES`.
    unit : str
        Its unit: K, T, mA, ohm or %.
    figure : str
        The panel that shows it.
    claim : str
        The claim of the paper it bears on (C01-C35).
    symbol : str
        As written in a table.
    """

    stage: str
    unit: str
    figure: str
    claim: str
    symbol: str


def _number_keys() -> dict[str, Key]:
    def key(stage: str, unit: str, figure: str, claim: str, symbol: str) -> Key:
        return Key(stage=stage, unit=unit, figure=figure, claim=claim, symbol=symbol)

    keys = {
        "Tc_NbN": key("transitions", "K", "2j", "C01", "Tc of NbN"),
        "Tc_interface": key("transitions", "K", "2b", "C01", "Tc in the interface curve"),
        "T_N_peak": key("transitions", "K", "2f", "C02", "T_N, peak of R"),
        "T_N_max_slope": key("transitions", "K", "2f", "C02", "T_N, maximum of dR/dT"),
        "B_flop_interface": key("transitions", "T", "2c", "C05", "B_flop, interface"),
        "B_flop_mnbi2te4": key("transitions", "T", "2g", "C05", "B_flop, MnBi2Te4"),
        "B_sat_interface": key("transitions", "T", "2c", "C05", "B_s, interface"),
        "B_sat_mnbi2te4": key("transitions", "T", "2g", "C05", "B_s, MnBi2Te4"),
    }
    for k in range(4):
        panel, claim = ("2l", "C09") if k == 3 else ("2d", "C08")
        keys[f"Ic{k}_2K"] = key("spectrum", "mA", panel, claim, f"Ic{k}(2 K)")
    keys["T_AR"] = key("temperature_laws", "K", "3a", "C14", "T at which the AR peak vanishes")
    for k in range(4):
        keys[f"Tc_Ic{k}"] = key("temperature_laws", "K", "5b", "C20", f"Tc of channel Ic{k}")
    for k in range(3):
        keys[f"B_kink_Ic{k}"] = key("kinks", "T", "5c", "C18", f"field of the kink of Ic{k}")
    for k in range(3):
        keys[f"jump_Ic{k}"] = key("kinks", "mA", "5c", "C18", f"jump of Ic{k} at the kink")
    for kind, claim in (("position", "C24"), ("width", "C23")):
        for k in range(3):
            for field, panel in ANGULAR_FIELDS.items():
                keys[f"A2_{kind}_Ic{k}_{field}T"] = key(
                    "angle", "%", panel, claim, f"two-fold part of the {kind} of Ic{k}, {field} T"
                )
    keys |= {
        "B_c_2K": key("loops", "T", "7c", "C29", "B_c(2 K)"),
        "deltaR_2K": key("loops", "ohm", "7c", "C26", "ΔR(2 K)"),
        "T_vanish_Bc": key("loops", "K", "7c", "C28", "T at which B_c vanishes"),
        "T_vanish_deltaR": key("loops", "K", "7c", "C28", "T at which ΔR vanishes"),
    }
    return keys


#: The numbers every sample has, in the order of the paper's figures.
NUMBER_KEYS: dict[str, Key] = _number_keys()


@dataclass(frozen=True, kw_only=True)
class Number:
    """One entry of ``numbers.json``.

    Attributes
    ----------
    value, uncertainty : float or None
        Estimate and standard uncertainty, in `unit`.
    unit, definition, estimator : str
        As the estimator gave them.
    figure, claim : str
        Panel that shows it, claim it bears on.
    inputs : dict
        Files the stage read, path -> sha256.
    reason : str or None
        Why there is no value.
    """

    value: float | None
    uncertainty: float | None
    unit: str
    definition: str
    estimator: str
    figure: str
    inputs: dict[str, str]
    claim: str
    reason: str | None = None

    def __str__(self) -> str:
        return format_value(self.value, self.uncertainty, self.unit)


# ------------------------------------------------------------------------------------ collecting
def collect(stages: Mapping[str, Stage]) -> dict[str, Number]:
    """Gather the numbers of `NUMBER_KEYS` from the stages' estimates.

    Parameters
    ----------
    stages : mapping of str to Stage
        Stage name -> what `nbnmbt.analysis.estimate.read_stage` returned.

    Returns
    -------
    dict of str to Number
        Every key of `NUMBER_KEYS` whose stage was given, in that order.

    Raises
    ------
    ValueError
        If a stage lacks a number it owes, or gives it in another unit: a number never goes missing
        in silence.
    """
    numbers = {}
    for name, key in NUMBER_KEYS.items():
        if key.stage not in stages:
            continue
        stage = stages[key.stage]
        if name not in stage.estimates:
            raise ValueError(f"stage '{key.stage}' gave no estimate '{name}'")
        estimate = stage.estimates[name]
        if estimate.unit != key.unit:
            raise ValueError(
                f"stage '{key.stage}' gave '{name}' in '{estimate.unit}', expected '{key.unit}'"
            )
        origin = stage.attrs.get(STAMP_KEY) or {}
        origin = json.loads(origin) if isinstance(origin, str) else origin
        numbers[name] = Number(
            value=estimate.value,
            uncertainty=estimate.uncertainty,
            unit=estimate.unit,
            definition=estimate.definition,
            estimator=estimate.estimator,
            figure=key.figure,
            inputs=dict(origin.get("inputs", {})),
            claim=key.claim,
            reason=estimate.reason,
        )
    return numbers


def select(numbers: Mapping[str, Number], keys: Iterable[str]) -> dict[str, Number]:
    """Return some of the numbers, in the order asked for; an unknown key is an error.

    Parameters
    ----------
    numbers : mapping of str to Number
        From `collect` or `read_numbers`.
    keys : iterable of str
        Keys of `NUMBER_KEYS`.

    Returns
    -------
    dict of str to Number

    Raises
    ------
    InputError
        With the nearest known key.
    """
    chosen = {}
    for key in keys:
        if key not in numbers:
            raise InputError(f"there is no number '{key}'", advice=did_you_mean(key, numbers))
        chosen[key] = numbers[key]
    return chosen


# ------------------------------------------------------------------------------------- rounding
def format_value(value: float | None, uncertainty: float | None, unit: str = "") -> str:
    """Write a value with its uncertainty in the last digits, e.g. ``1.234(5) mA``.

    The uncertainty is rounded as the Particle Data Group does: two digits if its first three are
    100 to 354, one if 355 to 949, and 950 to 999 rounds up to 1000 with two digits. The value
    follows. An uncertainty of one or more beside decimals is written out: ``5.8(1.2)``.

    Parameters
    ----------
    value, uncertainty : float or None
        In the same unit. Without a value the text is ``not determined``; without an uncertainty the
        value has four significant digits.
    unit : str
        Appended after a space.

    Returns
    -------
    str
    """
    if value is None or not math.isfinite(value):
        return "not determined"
    after = f" {unit}" if unit else ""
    if uncertainty is None or not math.isfinite(uncertainty) or uncertainty <= 0:
        return f"{value:.4g}{after}"
    exponent = math.floor(math.log10(uncertainty))
    leading = uncertainty / 10.0**exponent
    if leading >= 10:
        leading, exponent = leading / 10, exponent + 1
    if leading >= 9.5:
        leading, exponent = 1.0, exponent + 1
    digits = 2 if leading < 3.55 else 1
    decimals = digits - 1 - exponent
    rounded = round(leading, digits - 1) * 10.0**exponent
    if decimals <= 0:
        step = 10**-decimals
        return f"{round(value / step) * step:d}({round(rounded / step) * step:d}){after}"
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    text = f"{round(value, decimals) + 0.0:.{decimals}f}"
    if rounded >= 1:
        return f"{text}({rounded:.{decimals}f}){after}"
    return f"{text}({round(rounded * 10**decimals):d}){after}"


# -------------------------------------------------------------------------------------- writing
def to_json(numbers: Mapping[str, Number]) -> str:
    """Return ``numbers.json``: key -> fields of `Number`, in the order of the table."""
    content = {key: asdict(number) for key, number in numbers.items()}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_numbers(path: str | os.PathLike[str]) -> dict[str, Number]:
    """Read a file of `to_json`."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return {key: Number(**entry) for key, entry in content.items()}


def to_csv(numbers: Mapping[str, Number]) -> str:
    """Return ``numbers.csv``: one row a number, exact floats and the rounded text."""
    stream = io.StringIO()
    columns = ["key", "value", "uncertainty", "unit", "text", "figure", "claim"]
    columns += ["reason", "definition", "estimator"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for key, number in numbers.items():
        entry = {**asdict(number), "key": key, "text": str(number)}
        writer.writerow(["" if entry[name] is None else entry[name] for name in columns])
    return stream.getvalue()


_DIGITS = ["Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"]


def tex_name(key: str) -> str:
    r"""Return the name of a number's TeX command, letters only, e.g. ``nbIcZeroTwoK``."""
    words = "".join(f" {_DIGITS[int(c)]} " if c.isdigit() else c for c in key.replace("_", " "))
    return "nb" + "".join(word[0].upper() + word[1:] for word in words.split())


def to_tex(numbers: Mapping[str, Number], notice: str = "") -> str:
    r"""Return ``numbers.tex``: a ``\newcommand`` a number, its value(error) with unit.

    Parameters
    ----------
    numbers : mapping of str to Number
        The numbers.
    notice : str
        Written at the head as a comment.

    Returns
    -------
    str
    """
    units = {"%": r"\%", "ohm": r"\Omega", "": ""}
    lines = [f"% {notice}"] if notice else []
    lines.append(r"% \input this file, then write e.g. \nbIcZeroTwoK{} for Ic0 at 2 K.")
    for key, number in numbers.items():
        if number.value is None:
            body, comment = r"\mbox{not determined}", f" % {key}: {number.reason}"
        else:
            unit = units.get(number.unit, rf"\mathrm{{{number.unit}}}")
            text = format_value(number.value, number.uncertainty)
            body, comment = rf"\ensuremath{{{text}\,{unit}}}", f" % {key}"
        lines.append(rf"\newcommand{{\{tex_name(key)}}}{{{body}}}{comment}")
    return "\n".join(lines) + "\n"


# --------------------------------------------------------------------- beside the paper's values
def published_values(path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Read the paper's own values: value, unit, text, location and quote of each key."""
    import yaml

    path = path or repo_root() / "workflow" / "config" / "published.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Table:
    """A small table that shows itself in Jupyter, in a terminal and in Markdown, always the same.

    Attributes
    ----------
    columns : tuple of str
        Headings.
    rows : tuple of tuple of str
        Cells.
    caption : str
        A line above.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def to_markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"{self.caption}\n"] if self.caption else []
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|" + "---|" * len(self.columns))
        lines += ["| " + " | ".join(c.replace("|", r"\|") for c in row) + " |" for row in self.rows]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Return the table as HTML without styles or ids of its own."""
        cells = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
            for row in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>\n" if self.caption else ""
        return (
            f"<table>\n{caption}<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
        )

    def __str__(self) -> str:
        table = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(([self.caption] if self.caption else []) + lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def summary_table(
    keys: Sequence[str],
    numbers: Mapping[str, Number],
    published: Mapping[str, Mapping[str, Any]] | None = None,
) -> Table:
    """Put rounded numbers beside the paper's published values.

    Parameters
    ----------
    keys : sequence of str
        Which numbers, in which order.
    numbers : mapping of str to Number
        The numbers of the sample.
    published : mapping, optional
        From `published_values`, which is read when not given.

    Returns
    -------
    Table
        Columns: quantity, this sample, the paper, place in the paper, panel, definition (or, for a
        number that the data do not determine, the reason).
    """
    published = published_values() if published is None else published
    rows = []
    for key, number in select(numbers, keys).items():
        paper = published.get(key, {})
        rows.append(
            (
                NUMBER_KEYS[key].symbol,
                str(number),
                str(paper.get("text", "–")),
                str(paper.get("location", "no value given")),
                number.figure,
                number.definition if number.reason is None else f"Not determined: {number.reason}",
            )
        )
    columns = ("quantity", "this sample", "the paper", "place in the paper", "panel", "definition")
    return Table(columns, tuple(rows))


# --------------------------------------------------------------------------------- command line
def main(argv: list[str] | None = None) -> int:
    """Collect the numbers of a sample from its stage files."""
    import argparse

    from nbnmbt.analysis.estimate import read_stage

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.numbers",
        description="Collect numbers.json, .csv and .tex from the files of the analysis stages.",
    )
    for stage in STAGE_FILES:
        parser.add_argument(f"--{stage.replace('_', '-')}", metavar="JSON", required=True)
    parser.add_argument("--out", metavar="STEM", required=True, help="path without suffix")
    arguments = parser.parse_args(argv)
    stages = {stage: read_stage(getattr(arguments, stage)) for stage in STAGE_FILES}
    try:
        numbers = collect(stages)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    origins = [stage.attrs.get(STAMP_KEY) or {} for stage in stages.values()]
    notices = [
        json.loads(o)["notice"] if isinstance(o, str) else o.get("notice", "") for o in origins
    ]
    stem = Path(arguments.out)
    stem.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        ".json": to_json(numbers),
        ".csv": to_csv(numbers),
        ".tex": to_tex(numbers, next(filter(None, notices), "")),
    }
    for suffix, text in texts.items():
        # encoding and line ends are fixed: the same numbers give the same bytes on every system
        Path(f"{stem}{suffix}").write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
