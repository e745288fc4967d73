"""A sample folder: ``sample.yaml``, ``measurements.csv`` and the files they name."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nbnmbt.errors import InputError, did_you_mean, nearest, of_system
from nbnmbt.readers import iv_text, layouts, multivu
from nbnmbt.readers.layouts import Column, Layout
from nbnmbt.readers.recording import Recording
from nbnmbt.readers.text_table import decode, to_float

QUANTITIES = ("R-T", "R-B", "V-I")
CONFIGURATIONS = ("interface", "MnBi2Te4", "NbN")
ORIENTATIONS = ("out-of-plane", "in-plane", "")
#: What a folder of data/raw must be called, for the workflow makes paths of it.
SAMPLE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
BUILT_IN_LAYOUTS = (multivu.LAYOUT, iv_text.LAYOUT)


@dataclass(frozen=True)
class Measurement:
    """What a measurement key means; `orientation` is None where the key leaves it open."""

    quantity: str
    configuration: str
    feeds: str
    orientation: str | None = None


#: Every measurement key there is, with what its files must be.
MEASUREMENTS: dict[str, Measurement] = {
    "rt_interface": Measurement("R-T", "interface", "2b"),
    "rt_mnbi2te4": Measurement("R-T", "MnBi2Te4", "2f"),
    "rt_nbn": Measurement("R-T", "NbN", "2j"),
    "mr_interface": Measurement("R-B", "interface", "2c"),
    "mr_mnbi2te4": Measurement("R-B", "MnBi2Te4", "2g"),
    "mr_nbn": Measurement("R-B", "NbN", "2k"),
    "iv_interface": Measurement("V-I", "interface", "2d"),
    "iv_mnbi2te4": Measurement("V-I", "MnBi2Te4", "2h"),
    "iv_nbn": Measurement("V-I", "NbN", "2l"),
    "iv_temperature": Measurement("V-I", "interface", "3a 3b 5b"),
    "iv_out_of_plane": Measurement("V-I", "interface", "4a 4b 5c", "out-of-plane"),
    "iv_in_plane": Measurement("V-I", "interface", "4c 4d 5d", "in-plane"),
    "iv_angle": Measurement("V-I", "interface", "6b-e"),
    "iv_angle_nbn": Measurement("V-I", "NbN", "bare-NbN control of 6"),
    "loops_interface": Measurement("R-B", "interface", "7b 7c"),
}

COLUMNS = (
    "measurement",
    "file",
    "quantity",
    "configuration",
    "orientation",
    "temperature_K",
    "field_T",
    "angle_deg",
    "layout",
    "channel",
    "sha256",
)
_REQUIRED_COLUMNS = ("measurement", "file", "quantity", "configuration", "layout")
#: Bounds of declared set-points; outside them the unit is wrong, not the experiment unusual.
_SET_POINT_BOUNDS = {
    "temperature_K": (0.001, 1000.0, "K"),
    "field_T": (-45.0, 45.0, "T"),
    "angle_deg": (-1080.0, 1080.0, "deg"),
}
#: The same by quantity.
_BOUNDS_OF = {name.rpartition("_")[0]: bounds for name, bounds in _SET_POINT_BOUNDS.items()}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Corrections(_Model):
    """Declared corrections of the reported field; none unless stated."""

    #: The field at the sample lags the reported one by this time (s).
    field_lag_s: Annotated[float, Field(ge=0, le=60)] | None = None
    #: Field at the sample when the magnet reports zero (remanence), added to the reported (T).
    field_offset_T: Annotated[float, Field(ge=-0.1, le=0.1)] | None = None


class Assembly(_Model):
    """How sweeps become a grid, and what is plausible."""

    #: Set-points closer than this are the same one.
    temperature_tolerance_K: Annotated[float, Field(gt=0)] = 0.05
    field_tolerance_T: Annotated[float, Field(gt=0)] = 0.01
    angle_tolerance_deg: Annotated[float, Field(gt=0)] = 1.0
    #: What to do with a set-point measured again.
    repeats: Literal["longest", "first", "last", "mean"] = "longest"
    #: Beyond these a unit is taken to be wrong.
    max_temperature_K: Annotated[float, Field(gt=0)] = 500.0
    max_field_T: Annotated[float, Field(gt=0)] = 45.0
    max_current_A: Annotated[float, Field(gt=0)] = 1.0
    max_voltage_V: Annotated[float, Field(gt=0)] = 250.0
    max_resistance_ohm: Annotated[float, Field(gt=0)] = 1e12
    #: Current times voltage of a V(I) sweep: more would boil the helium, not measure a film.
    max_power_W: Annotated[float, Field(gt=0)] = 0.02


class SampleInfo(_Model):
    """Content of ``sample.yaml``."""

    title: str
    provenance: Literal["synthetic", "measured"]
    description: str = ""
    geometry: dict[str, float | str] = {}
    licence: str | None = None
    citation: str | None = None
    device: str | None = None
    seed: int | None = None
    layouts: dict[str, Layout] = {}
    corrections: Corrections = Corrections()
    assembly: Assembly = Assembly()


@dataclass(frozen=True)
class Row:
    """One line of ``measurements.csv``; set-points are None where swept or not stated."""

    line: int
    measurement: str
    file: str
    quantity: str
    configuration: str
    orientation: str
    temperature: float | None
    field: float | None
    angle: float | None
    layout: str
    channel: str
    sha256: str


@dataclass(frozen=True)
class SampleSheet:
    """A sample folder that has been read and found consistent."""

    directory: Path
    info: SampleInfo
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        """Name of the sample: that of its folder."""
        return self.directory.resolve().name

    @property
    def measurements(self) -> list[str]:
        """Measurement keys the sample has, in the order of `MEASUREMENTS`."""
        present = {row.measurement for row in self.rows}
        return [key for key in MEASUREMENTS if key in present]

    def rows_of(self, measurement: str) -> list[Row]:
        """Return the rows of one measurement, in sheet order (empty if not measured)."""
        require_measurement(measurement)
        return [row for row in self.rows if row.measurement == measurement]

    def path(self, row: Row) -> Path:
        """Return the path of a row's file."""
        return self.directory / row.file

    def files(self, measurement: str) -> list[Path]:
        """Return the raw files of one measurement, without repetition."""
        return list(dict.fromkeys(self.path(row) for row in self.rows_of(measurement)))

    def verify(self, row: Row) -> None:
        """Compare a file with the hash the sheet gives, if it gives one.

        Raises
        ------
        InputError
            On a mismatch.
        """
        if not row.sha256:
            return
        found = file_sha256(self.path(row))
        if found != row.sha256:
            raise InputError(
                f"the file has changed: its sha256 is not the one of {self._sheet} line {row.line}",
                file=self.path(row),
                found=found[:16] + "...",
                expected=row.sha256[:16] + "...",
                advice="restore the file, or correct the hash if the change is meant",
            )

    @property
    def _sheet(self) -> str:
        return "measurements.csv"

    def read(self, row: Row, strict: bool = False) -> Recording:
        """Read a row's file by its layout; hash-checked.

        Raises
        ------
        InputError
        """
        self.verify(row)
        path = self.path(row)
        if row.layout == multivu.LAYOUT:
            return multivu.read(path, strict=strict).recording(row.channel, row.quantity)
        if row.layout == iv_text.LAYOUT:
            return iv_text.read(path, strict=strict)
        return layouts.read(path, self.info.layouts[row.layout], row.layout, strict=strict)

    def set_points(self, row: Row) -> dict[str, float | None]:
        """Return the declared set-points: from the sheet, else from the file's name.

        Raises
        ------
        InputError
            If both are given and differ, or the name does not fit its pattern.
        """
        points: dict[str, float | None] = {
            "temperature": row.temperature,
            "field": row.field,
            "angle": row.angle,
        }
        layout = self.info.layouts.get(row.layout)
        if layout is None or layout.filename is None:
            return points
        for key, value in layouts.set_points_from_name(self.path(row), layout.filename).items():
            declared = points[key]
            if declared is not None and abs(declared - value) > 1e-9 + 1e-6 * abs(value):
                raise InputError(
                    f"the sheet and the file's name give different values of {key}",
                    file=self.directory / self._sheet,
                    line=row.line,
                    found=f"{declared:g} in the sheet, {value:g} in {row.file}",
                )
            low, high, unit = _BOUNDS_OF[key]
            if not low <= value <= high:
                raise InputError(
                    f"the {key} in the file's name is not plausible",
                    file=self.path(row),
                    found=f"{value:g} {unit}",
                    expected=f"{low:g} to {high:g} {unit}",
                    advice=f"state its unit in filename: of the layout, as in {{{key}:mT}}"
                    if key == "field"
                    else "correct filename: of the layout",
                )
            points[key] = value
        return points


def require_measurement(key: str) -> None:
    """Raise a sentence with the nearest name if there is no such measurement key."""
    if key not in MEASUREMENTS:
        raise InputError(
            "unknown measurement", found=str(key), advice=did_you_mean(key, MEASUREMENTS)
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in bounded memory."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load(directory: str | Path) -> SampleSheet:
    """Load a sample folder.

    Raises
    ------
    InputError
        The first problem found.
    """
    sheet, problems = inspect(directory)
    if problems:
        raise problems[0]
    assert sheet is not None
    return sheet


def inspect(directory: str | Path) -> tuple[SampleSheet | None, list[InputError]]:
    """Load a sample folder and collect every problem instead of stopping at the first.

    Returns
    -------
    (SampleSheet or None, list of InputError)
        The sheet holds the rows that are in order; None if one of the two files is unusable.
    """
    directory = Path(directory)
    problems: list[InputError] = []
    if not directory.is_dir():
        others = []
        if directory.parent.is_dir():
            others = sorted(p.name for p in directory.parent.iterdir() if p.is_dir())
        return None, [
            InputError(
                "there is no such sample folder",
                file=directory,
                advice=did_you_mean(directory.name, others)
                if others
                else "copy your files there and run 'nbnmbt draft' on it",
            )
        ]
    name = directory.resolve().name
    if not re.fullmatch(SAMPLE_NAME, name):
        problems.append(
            InputError(
                "the name of the folder cannot be the name of a sample",
                file=directory,
                found=name,
                expected="letters, digits, '_', '-' and '.', the first a letter or digit",
                advice="rename the folder",
            )
        )
    info = _load_info(directory / "sample.yaml", problems)
    rows = _load_rows(directory, info, problems)
    if info is None or rows is None:
        return None, problems
    return SampleSheet(directory, info, tuple(rows)), problems


def _missing(path: Path) -> InputError:
    advice = f"'nbnmbt draft {path.parent}' writes a first version"
    if path.parent.is_dir():
        close = nearest(path.name, [p.name for p in path.parent.iterdir() if p.is_file()])
        if close is not None:
            advice = f"did you mean {close!r}?"
    return InputError("the file is missing", file=path, advice=advice)


def _load_info(path: Path, problems: list[InputError]) -> SampleInfo | None:
    if not path.is_file():
        problems.append(_missing(path))
        return None
    try:
        text, _ = decode(path.read_bytes(), "utf-8", path)
    except OSError as error:
        problems.append(of_system(error))
        return None
    except InputError as error:
        problems.append(error)
        return None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problems.append(
            InputError(
                f"this is no valid YAML: {getattr(error, 'problem', None) or error}",
                file=path,
                line=None if mark is None else mark.line + 1,
                advice="look at the indentation, colons and quotes just before",
            )
        )
        return None
    if not isinstance(content, dict):
        problems.append(InputError("the file holds no 'key: value' lines", file=path))
        return None
    try:
        return SampleInfo.model_validate(content)
    except ValidationError as error:
        problems.extend(_sentence(item, path, root) for item in error.errors())
        return None


def _sentence(item: dict[str, Any], path: Path, root: yaml.Node | None) -> InputError:
    """Turn one pydantic error into a sentence with the line of the key and the nearest name."""
    location = [part for part in item["loc"] if part != "[key]"]
    # A union (number or text) adds its member's type to the location; the YAML knows no such key.
    line, depth = _line_of(root, location)
    location = location[: max(depth, 1)] if item["type"] != "missing" else location
    key = ".".join(str(part) for part in location) or "the file"
    allowed = _allowed(location[:-1])
    if item["type"] == "missing":
        return InputError(f"the key {key!r} is missing", file=path, line=line)
    if item["type"] == "extra_forbidden" or "[key]" in item["loc"]:
        return InputError(
            f"unknown key {key!r}",
            file=path,
            line=line,
            advice=did_you_mean(str(location[-1]), allowed) if allowed else None,
        )
    message = str(item["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = item.get("input")
    found = value if isinstance(value, str | int | float | bool | None) else None
    advice = None
    if item["type"] == "literal_error" and isinstance(value, str):
        options = re.findall(r"'([^']*)'", message)
        advice = did_you_mean(value, options) if options else None
        message = "the value is not one of those allowed"
    return InputError(f"{key}: {message}", file=path, line=line, found=found, advice=advice)


def _allowed(parents: list) -> list[str]:
    match [str(part) for part in parents]:
        case []:
            return list(SampleInfo.model_fields)
        case ["corrections"]:
            return list(Corrections.model_fields)
        case ["assembly"]:
            return list(Assembly.model_fields)
        case ["layouts", _]:
            return list(Layout.model_fields)
        case ["layouts", _, "columns"]:
            return list(layouts.Quantity.__args__)
        case ["layouts", _, "columns", _]:
            return list(Column.model_fields)
    return []


def _line_of(root: yaml.Node | None, location: list) -> tuple[int | None, int]:
    """Return the line of the deepest key of `location` the YAML has, and how deep that is."""
    node, line, depth = root, 1 if root is not None else None, 0
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == str(part):
                node, line = value, key.start_mark.line + 1
                depth += 1
                break
        else:
            break
    return line, depth


def _load_rows(
    directory: Path, info: SampleInfo | None, problems: list[InputError]
) -> list[Row] | None:
    path = directory / "measurements.csv"
    if not path.is_file():
        problems.append(_missing(path))
        return None
    try:
        text, _ = decode(path.read_bytes(), None, path)
    except OSError as error:
        problems.append(of_system(error))
        return None
    except InputError as error:
        problems.append(error)
        return None
    numbered = [
        (number, line)
        for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1)
        if line.strip(" ,;\t") and not line.lstrip().lstrip('"').startswith("#")
    ]
    if not numbered:
        problems.append(InputError("the sheet is empty", file=path, expected=",".join(COLUMNS)))
        return None
    first_line, names_line = numbered[0]
    delimiter = ","
    for candidate in (";", "\t"):
        if names_line.count(candidate) > names_line.count(","):
            # Excel writes the separator of its language.
            delimiter = candidate
    names = [name.strip() for name in _cells(names_line, delimiter)]
    before = len(problems)
    for name in names:
        if name and name not in COLUMNS:
            problems.append(
                InputError(
                    f"unknown column {name!r}",
                    file=path,
                    line=first_line,
                    advice=did_you_mean(name, COLUMNS),
                )
            )
        if name and names.count(name) > 1:
            problems.append(InputError(f"column {name!r} twice", file=path, line=first_line))
    for name in _REQUIRED_COLUMNS:
        if name not in names:
            problems.append(
                InputError(f"the column {name!r} is missing", file=path, line=first_line)
            )
    if len(problems) > before:
        return None
    rows: list[Row] = []
    for number, line in numbered[1:]:
        cells = _cells(line, delimiter)
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            problems.append(
                InputError(
                    "the row has more fields than there are columns",
                    file=path,
                    line=number,
                    found=len(cells),
                    expected=len(names),
                    advice="put quotation marks around a file name that holds a comma",
                )
            )
            continue
        cells += [""] * (len(names) - len(cells))
        fields = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name}
        row = _row(fields, number, path, directory, info, problems)
        if row is not None:
            rows.append(row)
    if not rows and len(problems) == before:
        problems.append(InputError("the sheet lists no file", file=path))
    _cross_check(rows, path, problems)
    return rows


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])


def _row(
    fields: dict[str, str],
    line: int,
    path: Path,
    directory: Path,
    info: SampleInfo | None,
    problems: list[InputError],
) -> Row | None:
    """Check one row on its own; every problem is added, None is returned if there is any."""
    before = len(problems)

    def wrong(column: str, problem: str, **details: Any) -> None:
        problems.append(InputError(problem, file=path, line=line, column=column, **details))

    def choice(column: str, options: Iterable[str]) -> str:
        value = fields.get(column, "")
        options = list(options)
        if value not in options:
            shown = [option for option in options if option] + ["empty"] * ("" in options)
            wrong(
                column,
                "the value is not one of those allowed" if value else "the cell is empty",
                found=value or None,
                expected=" or ".join(shown) if len(shown) < 6 else None,
                advice=did_you_mean(value, [o for o in options if o]) if value else None,
            )
        return value

    key = choice("measurement", MEASUREMENTS)
    quantity = choice("quantity", QUANTITIES)
    configuration = choice("configuration", CONFIGURATIONS)
    orientation = choice("orientation", ORIENTATIONS)
    known = list(BUILT_IN_LAYOUTS) + (list(info.layouts) if info is not None else [])
    layout = fields.get("layout", "")
    if info is not None or not layout:
        layout = choice("layout", known)
    meaning = MEASUREMENTS.get(key)
    if meaning is not None and len(problems) == before:
        for column, value, expected in (
            ("quantity", quantity, meaning.quantity),
            ("configuration", configuration, meaning.configuration),
            ("orientation", orientation, meaning.orientation),
        ):
            if expected is not None and value != expected:
                wrong(column, f"{key} is a measurement of {expected}", found=value or "empty")
    if layout == iv_text.LAYOUT and quantity in ("R-T", "R-B"):
        wrong("layout", "iv-text holds V-I sweeps only", found=quantity)
    name = fields.get("file", "")
    if not name:
        wrong("file", "the cell is empty")
    elif Path(name).is_absolute() or ".." in Path(name).parts:
        wrong("file", "the path must lie in the sample folder and be relative to it", found=name)
    elif not (directory / name).is_file():
        there = [p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()]
        close = nearest(name, there)
        advice = f"did you mean {close!r}?" if close else None
        if info is not None and info.provenance == "synthetic" and info.device:
            # nobody mistyped it: files of a virtual device are written with their sheet
            advice = (
                f"remove the folder {directory.name}, and device {info.device} is simulated again"
            )
        wrong("file", "there is no such file in the sample folder", found=name, advice=advice)
    points: dict[str, float | None] = {}
    for column, (low, high, unit) in _SET_POINT_BOUNDS.items():
        text = fields.get(column, "")
        points[column] = None
        if not text:
            continue
        value = to_float(text)
        if value is None or value != value:
            wrong(
                column,
                "this is no number",
                found=text,
                advice="write a decimal point, not a comma" if "," in text else None,
            )
        elif not low <= value <= high:
            wrong(
                column,
                f"the set-point is not plausible in {unit}",
                found=text,
                expected=f"{low:g} to {high:g} {unit}",
                advice="1 T is 10000 Oe" if column == "field_T" else "check the unit",
            )
        else:
            points[column] = value
    digest = fields.get("sha256", "").lower()
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        wrong("sha256", "a SHA-256 has 64 hexadecimal digits", found=digest)
    if len(problems) > before:
        return None
    return Row(
        line=line,
        measurement=key,
        file=name,
        quantity=quantity,
        configuration=configuration,
        orientation=orientation,
        temperature=points["temperature_K"],
        field=points["field_T"],
        angle=points["angle_deg"],
        layout=layout,
        channel=fields.get("channel", ""),
        sha256=digest,
    )


def _cross_check(rows: list[Row], path: Path, problems: list[InputError]) -> None:
    """Check rows against each other: one measurement is one kind of data, no row twice."""
    first: dict[str, Row] = {}
    seen: dict[tuple, Row] = {}
    channels: dict[tuple[str, str], Row] = {}
    for row in rows:
        head = first.setdefault(row.measurement, row)
        if row.orientation != head.orientation:
            problems.append(
                InputError(
                    f"{row.measurement} has another orientation in line {head.line}",
                    file=path,
                    line=row.line,
                    column="orientation",
                    found=row.orientation or "empty",
                    expected=head.orientation or "empty",
                )
            )
        other = channels.setdefault((row.measurement, row.file), row)
        if other.channel != row.channel:
            problems.append(
                InputError(
                    f"{row.measurement} takes another channel of this file in line {other.line}",
                    file=path,
                    line=row.line,
                    column="channel",
                    found=row.channel or "empty",
                    advice="delete the row of the channel that does not belong to it",
                )
            )
            continue
        identity = (row.measurement, row.file, row.channel, row.temperature, row.field, row.angle)
        twin = seen.setdefault(identity, row)
        if twin is not row:
            problems.append(
                InputError(
                    f"the file stands in line {twin.line} already",
                    file=path,
                    line=row.line,
                    column="file",
                    found=row.file,
                )
            )
