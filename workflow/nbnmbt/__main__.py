"""``python -m nbnmbt`` (or ``nbnmbt``): bring a lab's own files, check them, look at them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from nbnmbt.errors import InputError, of_system

_EPILOG = """\
examples:
  nbnmbt draft data/raw/mydevice     write sample.yaml and measurements.csv from the files there
  nbnmbt check mydevice              list every problem of data/raw/mydevice at once
  nbnmbt show data/raw/mydevice/RT.dat
  nbnmbt provenance results/mydevice/figures/fig2.pdf
  snakemake --config sample=mydevice

exit codes: 0 in order, 1 a problem was found (and said), 2 wrong usage
"""


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="nbnmbt",
        description="Bring a lab's own files, check them, look at them, trace a figure back.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "draft",
        help="write a first sample.yaml and measurements.csv from the files of a folder",
        description="Look into every file of FOLDER (by content, not by extension) and draft the "
        "two files that describe the sample. Where something was guessed, a comment says so.",
        epilog="example:\n  mkdir data/raw/mydevice; cp *.dat *.txt data/raw/mydevice\n"
        "  nbnmbt draft data/raw/mydevice",
        formatter_class=raw,
    )
    one.add_argument("folder", metavar="FOLDER", type=Path)
    one.add_argument("--force", action="store_true", help="replace files that are there already")
    one.set_defaults(run=_draft)

    one = commands.add_parser(
        "check",
        help="list every problem of a sample at once",
        description="Read the two descriptor files and every raw file of SAMPLE, assemble every "
        "dataset, and say everything that is wrong or remarkable.",
        epilog="examples:\n  nbnmbt check mydevice\n  nbnmbt check data/raw/mydevice --strict",
        formatter_class=raw,
    )
    one.add_argument("sample", metavar="SAMPLE", help="name of a sample, or its folder")
    one.add_argument("--strict", action="store_true", help="a dropped row is a problem too")
    one.set_defaults(run=_check)

    one = commands.add_parser(
        "show",
        help="show a raw file or a dataset: header, columns, units, read report",
        description="Show what is in a raw file (MultiVu, iv-text, a text log) or in a dataset "
        "(.nc): header, columns with units and ranges, read report, sweeps found.",
        epilog="examples:\n  nbnmbt show data/raw/mydevice/RT.dat\n"
        "  nbnmbt show results/mydevice/datasets/rt_nbn.nc",
        formatter_class=raw,
    )
    one.add_argument("file", metavar="FILE", type=Path)
    one.set_defaults(run=_show)

    one = commands.add_parser(
        "provenance",
        help="trace a figure, number file or dataset back to the raw files",
        description="Print the chain from FIGURE (.pdf, .svg, .png, .nc, .json) back to the hashes "
        "of the raw files, and compare each with what is on disk now.",
        epilog="example:\n  nbnmbt provenance results/surrogate/figures/fig7.pdf",
        formatter_class=raw,
    )
    one.add_argument("figure", metavar="FIGURE", type=Path)
    one.set_defaults(run=_provenance)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"error: {of_system(error)}", file=sys.stderr)
        return 1


# ---------------------------------------------------------------------------------------- draft
def _draft(arguments: argparse.Namespace) -> int:
    from nbnmbt.drafting import draft

    folder: Path = arguments.folder
    targets = [folder / "sample.yaml", folder / "measurements.csv"]
    there = [path for path in targets if path.exists()]
    if there and not arguments.force:
        raise InputError(
            "the file is there already and is not overwritten",
            file=there[0],
            advice="rename it, or use --force",
        )
    result = draft(folder)
    targets[0].write_text(result.sample_yaml, encoding="utf-8")
    targets[1].write_text(result.measurements_csv, encoding="utf-8")
    print(f"wrote {targets[0]} and {targets[1]}: {result.used} rows")
    for line in result.skipped:
        print(f"  not used: {line}")
    for line in result.guesses:
        print(f"  guessed:  {line}")
    print(f"next: correct the two files, then 'nbnmbt check {folder}'")
    return 0


# ---------------------------------------------------------------------------------------- check
def _sample_folder(text: str) -> Path:
    if not text.strip():
        raise InputError("the name of the sample is empty", expected="a folder of data/raw")
    path = Path(text)
    if path.is_dir() or "/" in text or "\\" in text:
        return path
    from nbnmbt.paths import raw_folder

    return raw_folder(text)


def _check(arguments: argparse.Namespace) -> int:
    from nbnmbt import datasets
    from nbnmbt.samples import MEASUREMENTS, inspect

    folder = _sample_folder(arguments.sample)
    sheet, problems = inspect(folder)
    lines: list[str] = []
    remarks: list[str] = []
    if sheet is not None:
        for key, meaning in MEASUREMENTS.items():
            rows = sheet.rows_of(key)
            if not rows:
                lines.append(f"  {key:<16} not measured (figure {meaning.feeds})")
                continue
            found, summary, words = datasets.examine(sheet, key, strict=arguments.strict)
            problems = problems + found
            remarks += words
            lines.append(f"  {key:<16} {summary}")
        if not problems:
            mixed_up = datasets.orientation_problem(sheet)
            problems = [] if mixed_up is None else [mixed_up]
    for error in problems:
        print(f"problem: {error}", file=sys.stderr)
    for remark in dict.fromkeys(remarks):
        print(f"remark:  {remark}")
    if lines:
        print(f"{folder}:")
        print("\n".join(lines))
    count = len(problems)
    print("in order" if not count else f"{count} problem{'s' if count > 1 else ''}")
    return 1 if count else 0


# ----------------------------------------------------------------------------------------- show
_BARS = " ▁▂▃▄▅▆▇█"


def sparkline(values: np.ndarray, width: int = 48) -> str:
    """Return a one-line picture of a series: `width` means, blank where there is no value."""
    values = np.asarray(values, dtype=float)
    parts = np.array_split(values, min(width, max(1, len(values))))
    means = np.array(
        [np.mean(p[np.isfinite(p)]) if np.isfinite(p).any() else np.nan for p in parts]
    )
    finite = means[np.isfinite(means)]
    if not len(finite):
        return ""
    low, span = finite.min(), np.ptp(finite)
    if span <= 1e-9 * np.abs(finite).max():
        span = 1.0
        means = np.where(np.isfinite(means), low, np.nan)
    return "".join(" " if m != m else _BARS[1 + int(7 * (m - low) / span)] for m in means)


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _range(values: np.ndarray) -> tuple[str, str, str]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "0", "", ""
    return str(len(finite)), f"{finite.min():.6g} .. {finite.max():.6g}", sparkline(values)


def _show(arguments: argparse.Namespace) -> int:
    from nbnmbt.readers import iv_text, layouts, multivu, sniff

    path: Path = arguments.file
    if path.is_dir():
        raise InputError(
            "this is a folder", file=path, advice="'show' takes one file; 'check' takes a folder"
        )
    if not path.is_file():
        raise InputError("there is no such file", file=path)
    if path.suffix.lower() == ".nc":
        return _show_dataset(path)
    kind = sniff.kind(path)
    if kind == multivu.LAYOUT:
        _show_multivu(path)
        return 0
    if kind == iv_text.LAYOUT:
        recording = iv_text.read(path)
        print(f"{path}: iv-text")
    else:
        layout, name = _layout_for(path)
        recording = layouts.read(path, layout, name)
        print(f"{path}: text log, {name}")
    for key, value in recording.header.items():
        print(f"  {key}: {value}")
    _print_columns(recording.columns)
    assert recording.report is not None
    _print_report(recording.report)
    return 0


def _layout_for(path: Path) -> tuple[Any, str]:
    """Return the layout the sample declares for this file, else a guess."""
    from nbnmbt.readers import sniff
    from nbnmbt.readers.layouts import Layout
    from nbnmbt.samples import inspect

    for folder in path.resolve().parents[:3]:
        if (folder / "measurements.csv").is_file() and (folder / "sample.yaml").is_file():
            sheet, _ = inspect(folder)
            for row in sheet.rows if sheet is not None else ():
                if (folder / row.file).resolve() == path.resolve():
                    assert sheet is not None
                    if row.layout in sheet.info.layouts:
                        return sheet.info.layouts[row.layout], f"layout {row.layout}"
            break
    guess = sniff.guess_layout(path)
    if guess is None or not guess.layout["columns"]:
        raise InputError(
            "the file is neither MultiVu nor iv-text, and no column was recognised",
            file=path,
            found=", ".join(guess.names) if guess else None,
            advice="declare a layout in sample.yaml (docs/bring_your_own_data.md has an example)",
        )
    return Layout.model_validate(guess.layout), "layout guessed: " + json.dumps(guess.layout)


def _show_multivu(path: Path) -> None:
    from nbnmbt.readers import multivu

    file = multivu.read(path)
    print(f"{path}: MultiVu, {', '.join(file.header.byapp) or 'no BYAPP'}")
    print(f"  title: {file.header.title}")
    print(f"  file opened: {file.header.file_open_text or 'not stated'}")
    start = "not certain" if file.start is None else file.start.isoformat(" ", "seconds")
    print(f"  clock of the time stamps: {file.clock}; first row at: {start}")
    for key, value in file.header.info.items():
        if value:
            print(f"  {key}: {value}")
    rows = [("column", "unit", "values", "range", "")]
    empty = []
    for name in file.names:
        values = file.columns[name.text]
        if values.dtype == object:
            rows.append((name.text, name.unit, str(sum(map(bool, values))), "text", ""))
        elif np.isfinite(values).any():
            rows.append((name.text, name.unit, *_range(values)))
        else:
            empty.append(name.text)
    print(_table(rows))
    if empty:
        print(f"  without values: {len(empty)} columns")
    comments = [text for text in file.comments if text]
    if comments:
        print(f"  comments in {len(comments)} rows, e.g. {comments[0]!r}")
    for channel in file.channels:
        print(f"channel {channel} in canonical units:" if channel else "in canonical units:")
        _print_columns(file.recording(channel).columns)
    _print_report(file.report)


def _print_columns(columns: dict[str, np.ndarray]) -> None:
    from nbnmbt.readers.units import CANONICAL
    from nbnmbt.sweeps import split_by_direction

    units = {**CANONICAL, "resistance_err": "ohm"}
    rows = [("quantity", "unit", "values", "range", "")]
    rows += [(key, units[key], *_range(values)) for key, values in columns.items()]
    print(_table(rows))
    swept = _swept(columns)
    if swept is None:
        return
    values = columns[swept][np.isfinite(columns[swept])]
    segments = [s for s in split_by_direction(values) if len(s) > 2]
    ups = sum(s.direction == "up" for s in segments)
    print(f"  swept: {swept}, {ups} up, {len(segments) - ups} down")


def _swept(columns: dict[str, np.ndarray]) -> str | None:
    """Return the quantity that was swept: the current beside a voltage, else what varies most."""
    if "voltage" in columns and "current" in columns and "resistance" not in columns:
        return "current"
    weights = {"temperature": 1.0, "field": 10.0}
    spans = {
        key: float(np.nanmax(columns[key]) - np.nanmin(columns[key])) * weight
        for key, weight in weights.items()
        if key in columns and np.isfinite(columns[key]).any()
    }
    return max(spans, key=lambda key: spans[key]) if spans and max(spans.values()) > 0 else None


def _print_report(report: Any) -> None:
    print("read report:")
    for sentence in report.sentences():
        print(f"  {sentence}")


def _show_dataset(path: Path) -> int:
    from nbnmbt import datasets

    ds = datasets.read(path)
    print(f"{path}: {ds.attrs.get('title', '')}")
    skip = ("read_report", "source_sha256", "nbnmbt_provenance", "title")
    for key, value in ds.attrs.items():
        if key not in skip:
            print(f"  {key}: {value}")
    rows = [("variable", "unit", "dims", "values", "range")]
    for name, variable in ds.variables.items():
        dims = " ".join(f"{d}:{n}" for d, n in variable.sizes.items())
        if variable.dtype.kind in "fiu":
            count, extent, _ = _range(np.asarray(variable.values, dtype=float).ravel())
        else:
            count, extent = str(variable.size), " ".join(map(str, variable.values.ravel()[:4]))
        rows.append((str(name), str(variable.attrs.get("units", "")), dims, count, extent))
    print(_table(rows))
    if "read_report" in ds.attrs:
        print("read report:")
        print(json.dumps(json.loads(ds.attrs["read_report"]), indent=1))
    return 0


# ----------------------------------------------------------------------------------- provenance
def _provenance(arguments: argparse.Namespace) -> int:
    from nbnmbt import provenance
    from nbnmbt.paths import repo_root

    path: Path = arguments.figure
    if not path.is_file():
        raise InputError("there is no such file", file=path)
    try:
        stamp = provenance.read_stamp(path)
    except ValueError as error:
        raise InputError(str(error).rstrip(".")) from None
    if stamp.get("notice"):
        print(stamp["notice"])
    print(f"sample: {stamp.get('sample', '')} ({stamp.get('provenance', '')})")
    return 1 if _chain(path.name, stamp, repo_root(), 0, set()) else 0


def _chain(name: str, stamp: dict[str, Any], root: Path, depth: int, seen: set[str]) -> int:
    """Print a stamp and those of its inputs; return how many inputs differ from the disk."""
    from nbnmbt import provenance

    indent = "  " * depth
    print(f"{indent}{name}")
    print(f"{indent}  code {stamp['code']}, lock {stamp.get('lock', '')[:12]}")
    options = stamp.get("options")
    if options:
        print(f"{indent}  options {json.dumps(options, sort_keys=True)}")
    changed = 0
    for shown, digest in stamp.get("inputs", {}).items():
        there = root / shown
        if not there.is_file():
            state = "no longer there"
        elif provenance.file_sha256(there) == digest:
            state = "unchanged"
        else:
            state = "CHANGED since"
        changed += state == "CHANGED since"
        print(f"{indent}  <- {digest[:16]}  {shown}  ({state})")
        if state != "unchanged" or shown in seen:
            continue
        seen.add(shown)
        try:
            inner = provenance.read_stamp(there)
        except (ValueError, OSError):
            continue
        changed += _chain(shown, inner, root, depth + 2, seen)
    return changed


if __name__ == "__main__":
    raise SystemExit(main())
