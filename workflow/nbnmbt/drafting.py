"""Draft ``sample.yaml`` and ``measurements.csv`` from a folder; the person corrects them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nbnmbt.errors import InputError, of_system
from nbnmbt.readers import iv_text, layouts, multivu, sniff
from nbnmbt.readers.layouts import Layout
from nbnmbt.samples import COLUMNS, MEASUREMENTS, Assembly, file_sha256
from nbnmbt.sweeps import cluster, split_by_direction

_OWN = ("sample.yaml", "measurements.csv", "truth.json")
_CONFIGURATION_WORDS = {
    "NbN": r"nbn(?![a-z]*[-_ /]?m)",
    "MnBi2Te4": r"mnbi2te4|mbt",
    "interface": r"interface|junction|nbn[-_ /]?m(nbi2te4|bt)|hetero",
}
_ORIENTATION_WORDS = {
    "out-of-plane": r"out[-_ ]?of[-_ ]?plane|oop|perp",
    "in-plane": r"in[-_ ]?plane|(?<![a-z])ip(?![a-z])|para",
}


@dataclass
class _Found:
    """One file (or one channel of it): what it seems to hold, and what was guessed."""

    file: str
    layout: str
    channel: str
    quantity: str
    sha256: str
    points: dict[str, float]
    spread: dict[str, float]
    both_ways: bool = False
    largest_field: float = 0.0
    notes: list[str] = field(default_factory=list)
    measurement: str = ""
    configuration: str = ""
    orientation: str = ""


@dataclass
class Draft:
    """The two descriptor files as text, and what the person must look at."""

    sample_yaml: str
    measurements_csv: str
    guesses: list[str]
    used: int
    skipped: list[str]


def draft(folder: str | Path) -> Draft:
    """Look into every file of `folder` and draft its two descriptor files.

    Raises
    ------
    InputError
        If there is no such folder, or no file in it can be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("there is no such folder", file=folder)
    found: list[_Found] = []
    skipped: list[str] = []
    declared: dict[str, dict[str, Any]] = {}
    signatures: dict[str, str] = {}
    layout_notes: dict[str, list[str]] = {}
    hashes: dict[str, str] = {}
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name not in _OWN]
    for path in sorted(paths, key=lambda p: p.as_posix()):
        name = path.relative_to(folder).as_posix()
        try:
            kind = sniff.kind(path)
            digest = file_sha256(path)
        except OSError as error:
            skipped.append(str(of_system(error)).rstrip("."))
            continue
        if kind in ("sibling", "other"):
            skipped.append(f"{name}: no measurement")
            continue
        if not path.stat().st_size:
            skipped.append(f"{name}: the file is empty")
            continue
        if digest in hashes:
            skipped.append(f"{name}: byte-identical to {hashes[digest]}")
            continue
        hashes[digest] = name
        try:
            if kind == multivu.LAYOUT:
                found += _from_multivu(path, name, digest)
                continue
            if kind == iv_text.LAYOUT:
                columns = iv_text.read(path).columns
                found.append(_from_columns(columns, name, iv_text.LAYOUT, "", digest))
                continue
            guess = sniff.guess_layout(path)
            if guess is None:
                skipped.append(f"{name}: no table of numbers found")
                continue
            signature = json.dumps(guess.layout, sort_keys=True)
            label = signatures.setdefault(signature, f"log_{len(signatures) + 1}")
            declared[label] = guess.layout
            layout_notes[label] = guess.notes
            if not guess.layout["columns"]:
                skipped.append(
                    f"{name}: columns not recognised; complete layouts: {label} in sample.yaml, "
                    "then add the row"
                )
                continue
            columns = layouts.read(path, Layout.model_validate(guess.layout), label).columns
            found.append(_from_columns(columns, name, label, "", digest))
        except InputError as error:
            text = str(error).rstrip(".")
            skipped.append(text if error.file else f"{name}: {text}")
    if not found and not declared:
        raise InputError(
            "no file in the folder can be used" if skipped else "the folder is empty",
            file=folder,
            advice="; ".join(skipped[:5]) or "copy your files there first",
        )
    _assign(found)
    return Draft(
        sample_yaml=_yaml_text(folder.resolve().name, declared, layout_notes),
        measurements_csv=_csv_text(found, skipped),
        guesses=[f"{item.file}: {note}" for item in found for note in item.notes],
        used=len(found),
        skipped=skipped,
    )


def _from_multivu(path: Path, name: str, digest: str) -> list[_Found]:
    file = multivu.read(path)
    if not len(file):
        raise InputError("the file holds no rows", file=name)
    if not file.channels:
        raise InputError("a MultiVu file without resistance", file=name)
    out = []
    for channel in file.channels:
        columns = file.recording(channel).columns
        item = _from_columns(columns, name, multivu.LAYOUT, str(channel) if channel else "", digest)
        if len(file.channels) == 1:
            item.channel = ""
        else:
            info = file.header.info
            label = info.get(f"Sample{channel} Name") or info.get(f"SAMPLE{channel}_NAME") or ""
            item.notes.append(
                f"channel {channel}{f' ({label})' if label else ''} of "
                f"{len(file.channels)}: delete the rows of channels you do not need"
            )
        out.append(item)
    return out


def _from_columns(
    columns: dict[str, np.ndarray], name: str, layout: str, channel: str, digest: str
) -> _Found:
    tolerances = Assembly()
    limit = {
        "temperature": tolerances.temperature_tolerance_K,
        "field": tolerances.field_tolerance_T,
        "angle": tolerances.angle_tolerance_deg,
    }
    points: dict[str, float] = {}
    spread: dict[str, float] = {}
    notes: list[str] = []
    several: set[str] = set()
    for key, tolerance in limit.items():
        values = columns.get(key)
        if values is None or not np.isfinite(values).any():
            continue
        values = values[np.isfinite(values)]
        spread[key] = float(np.ptp(values))
        centres, _ = cluster(values, tolerance)
        if len(centres) == 1:
            points[key] = float(centres[0])
        else:
            several.add(key)
    for key, value in sniff.set_points_in_name(Path(name).name).items():
        if key not in points and key not in several:
            points[key] = value
            notes.append(f"{key} {value:g} taken from the file name")
    quantity = _quantity(columns, spread, notes)
    item = _Found(name, layout, channel, quantity, digest, points, spread, notes=notes)
    swept = {"R-T": "temperature", "R-B": "field", "V-I": "current"}[quantity]
    if swept in columns:
        values = columns[swept][np.isfinite(columns[swept])]
        directions = Counter()
        for segment in split_by_direction(values):
            directions[segment.direction] += len(segment)
        item.both_ways = min(directions["up"], directions["down"]) > 0.2 * len(values)
    if "field" in columns and np.isfinite(columns["field"]).any():
        item.largest_field = float(np.nanmax(np.abs(columns["field"])))
    return item


def _quantity(columns: dict[str, np.ndarray], spread: dict[str, float], notes: list[str]) -> str:
    if "resistance" not in columns and "voltage" in columns and "current" in columns:
        return "V-I"
    if "resistance" not in columns:
        raise InputError("neither resistance nor current and voltage were recognised")
    # What was swept: 1 K and 0.1 T are taken to weigh the same.
    in_t, in_b = spread.get("temperature", 0.0), spread.get("field", 0.0) * 10
    if min(in_t, in_b) > 0.2 * max(in_t, in_b):
        notes.append("both temperature and field vary: say which one is swept")
    return "R-T" if in_t >= in_b else "R-B"


def _assign(found: list[_Found]) -> None:
    """Guess configuration, orientation and measurement key from names, ranges and company."""
    for item in found:
        text = item.file.lower()
        item.configuration = "interface"
        for configuration, words in _CONFIGURATION_WORDS.items():
            if re.search(words, text):
                item.configuration = configuration
        if not any(re.search(words, text) for words in _CONFIGURATION_WORDS.values()):
            item.notes.append("configuration guessed: the name does not say")
        for orientation, words in _ORIENTATION_WORDS.items():
            if re.search(words, text):
                item.orientation = orientation
    suffix = {"interface": "interface", "MnBi2Te4": "mnbi2te4", "NbN": "nbn"}
    for item in found:
        if item.quantity == "R-T":
            item.measurement = f"rt_{suffix[item.configuration]}"
        elif item.quantity == "R-B":
            is_loop = item.both_ways and item.configuration == "interface"
            item.measurement = "loops_interface" if is_loop else f"mr_{suffix[item.configuration]}"
            if not item.orientation:
                item.orientation = "out-of-plane"
                item.notes.append("orientation guessed: out-of-plane")
    for configuration in suffix:
        _assign_sweeps(
            [f for f in found if f.quantity == "V-I" and f.configuration == configuration],
            suffix[configuration],
        )


def _assign_sweeps(items: list[_Found], suffix: str) -> None:
    """Guess what a group of V(I) files varies: temperature, field, or angle."""
    if not items:
        return

    def distinct(group: list[_Found], key: str, tolerance: float) -> int:
        values = np.array([f.points[key] for f in group if key in f.points])
        return int((np.diff(np.sort(values)) > tolerance).sum()) + 1 if len(values) else 0

    angles = distinct(items, "angle", 1.0)
    in_field = [f for f in items if abs(f.points.get("field", 0.0)) > 0.01]
    for item in items:
        if suffix == "mnbi2te4" or (len(items) == 1 and suffix == "nbn"):
            item.measurement = f"iv_{suffix}"
        elif suffix == "nbn":
            item.measurement = "iv_angle_nbn" if angles > 2 else "iv_nbn"
        elif len(items) == 1:
            spread = item.spread.get("temperature", 0.0) > 1.0
            item.measurement = "iv_temperature" if spread else "iv_interface"
        elif angles > 2:
            item.measurement = "iv_angle"
        elif distinct(items, "field", 0.01) > 1 and (item in in_field or len(in_field) > 2):
            if item.orientation not in ("in-plane", "out-of-plane"):
                item.orientation = "out-of-plane"
                item.notes.append("orientation guessed: out-of-plane")
            item.measurement = f"iv_{item.orientation.replace('-', '_')}"
        elif distinct(items, "temperature", 0.05) > 1:
            item.measurement = "iv_temperature"
        else:
            item.measurement = "iv_interface"
        item.notes.append(f"measurement guessed: {item.measurement}")


def _set_point_cells(item: _Found) -> dict[str, str]:
    """Return the set-points to state; what is swept, varies in the file or is unknown is empty."""
    swept = {"R-T": "temperature", "R-B": "field"}.get(item.quantity)
    tolerance = {"temperature": 0.5, "field": 0.05, "angle": 5.0}
    names = {"temperature": "temperature_K", "field": "field_T", "angle": "angle_deg"}
    out = {}
    for key, column in names.items():
        if key == swept or key not in item.points or item.spread.get(key, 0.0) > tolerance[key]:
            continue
        out[column] = f"{item.points[key]:.10g}"
    if item.measurement.startswith("iv_angle"):
        return out
    out.pop("angle_deg", None)
    return out


def _csv_text(found: list[_Found], skipped: list[str]) -> str:
    stream = io.StringIO()
    stream.write(
        "# Draft of measurements.csv: one row a file. Look at every '# guessed' line, correct the\n"
        "# row below it, delete what is wrong; lines that begin with # are comments.\n"
        "# measurement is one of: " + " ".join(MEASUREMENTS) + "\n"
    )
    for line in skipped:
        stream.write(f"# not used: {' '.join(line.split())}\n")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    order = list(MEASUREMENTS)
    for item in sorted(found, key=lambda f: (order.index(f.measurement), f.file, f.channel)):
        for note in item.notes:
            stream.write(f"# guessed for the next row: {note}\n")
        writer.writerow(
            {
                "measurement": item.measurement,
                "file": item.file,
                "quantity": item.quantity,
                "configuration": item.configuration,
                "orientation": item.orientation,
                **_set_point_cells(item),
                "layout": item.layout,
                "channel": item.channel,
                "sha256": item.sha256,
            }
        )
    return stream.getvalue()


def _quoted(value: Any) -> str:
    # JSON's strings are YAML's double-quoted ones: tabs and quotes come out right.
    return json.dumps(value, ensure_ascii=False)


def _yaml_text(name: str, declared: dict[str, dict[str, Any]], notes: dict[str, list[str]]) -> str:
    lines = [
        "# Draft of sample.yaml: say what the sample is; lines that begin with # are comments.",
        f"title: {_quoted(name)}  # guessed: the name of the folder",
        "provenance: measured",
        'description: ""',
        "# Thicknesses and the like, with the unit in the name:",
        "# geometry: {NbN_nm: 40, MnBi2Te4_nm: 100}",
        "# licence: CC-BY-4.0",
        "# citation: who measured it, where it is published",
        "# Known properties of the magnet, applied to the measured field (none by default):",
        "# corrections: {field_lag_s: 0.3, field_offset_T: 0.004}",
        "# What counts as one set-point, and what to do with one measured twice:",
        "# assembly: {temperature_tolerance_K: 0.05, field_tolerance_T: 0.01, repeats: longest}",
    ]
    if declared:
        lines.append("layouts:")
    for label, layout in declared.items():
        lines += [f"  # guessed: {note}" for note in notes[label]]
        lines.append(f"  {label}:")
        for key, value in layout.items():
            if key != "columns":
                lines.append(f"    {key}: {_quoted(value)}")
        if not layout["columns"]:
            lines.append("    # for each quantity: name (or position: 0, 1, ...), unit, sign, ...")
            lines.append("    columns: {}")
            continue
        lines.append("    columns:")
        for quantity, entry in layout["columns"].items():
            parts = ", ".join(f"{k}: {_quoted(v)}" for k, v in entry.items())
            lines.append(f"      {quantity}: {{{parts}}}")
    return "\n".join(lines) + "\n"
