"""Reader of Quantum Design MultiVu ``.dat`` files, every variant seen in real laboratories.

What stands where is found by content: sections, delimiter, names and units are recognised, never
assumed by position. Rows are kept in time order; cutting them into sweeps is a later step.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nbnmbt.errors import InputError
from nbnmbt.readers.recording import Recording
from nbnmbt.readers.report import ReadReport
from nbnmbt.readers.text_table import decode, to_float
from nbnmbt.readers.units import converter, known_units, normal_unit

LAYOUT = "multivu"

#: Numbers that mean "no value": MultiVu writes -99999999 for a thermometer out of range.
SENTINELS = (-99999999.0,)
#: Smallest normal single-precision number. MultiVu keeps singles; anything smaller is memory that
#: was never written (1.7e-041 in real files).
TINY = 1.17549435e-38

#: Names of the same quantity, best first; compared without case, unit, dots and double blanks.
ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("time stamp", "time"),
    "temperature": ("temperature", "sample temperature", "sample temp", "temp"),
    "field": ("magnetic field", "field"),
    "angle": ("sample position", "position"),
}

_CHANNEL_ALIASES: dict[str, tuple[str, ...]] = {
    "resistance": (
        r"bridge (?P<n>[1-4]) resistance",
        r"resistance ch(?P<n>[1-4])",
        r"res ch(?P<n>[1-4])",
        r"resistance",
    ),
    "resistivity": (
        r"bridge (?P<n>[1-4]) resistivity",
        r"resistivity ch(?P<n>[1-4])",
        r"resistivity",
    ),
    "spread": (
        r"bridge (?P<n>[1-4]) std dev",
        r"resistance std dev ch(?P<n>[1-4])",
        r"res std dev ch(?P<n>[1-4])",
        r"resist std dev",
    ),
    "excitation": (
        r"bridge (?P<n>[1-4]) excitation",
        r"ac current ch(?P<n>[1-4])",
        r"res drive",
    ),
    "iv_current": (r"i-v current ch(?P<n>[1-4])",),
    "iv_voltage": (r"i-v voltage ch(?P<n>[1-4])",),
}
#: Columns one for all channels of AC Transport: only one channel has a value in a row.
_SHARED_EXCITATION = "excitation"
_READINGS = "number of readings"

_KEYWORDS = frozenset(
    {
        "title",
        "fileopentime",
        "byapp",
        "info",
        "datatype",
        "fieldgroup",
        "startupgroup",
        "startupaxis",
        "timemode",
        "plot_appearance",
        "records",
        "temperaturetolerance",
    }
)
_KEY_LAST = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|APPNAME|Sample\d .+|[A-Z]+:.+")


@dataclass(frozen=True)
class Geometry:
    """Voltage-lead distance (m) and cross section (m^2) of a channel, from the header."""

    length: float
    area: float
    unit: str


@dataclass
class Header:
    """The ``[Header]`` section.

    Attributes
    ----------
    title : str
    byapp : tuple of str
        Application and its versions, e.g. ``("Resistivity", "2.1", "1.0")``.
    info : dict of str to str
        ``INFO`` lines by key, whichever side the key was on.
    file_open_number : float or None
        First number of ``FILEOPENTIME``; controller uptime, OLE seconds, Unix time or 0.
    file_open_text : str
    file_open_times : tuple of datetime
        The header's clock text; two readings if day and month can be exchanged, none if absent.
    geometry : dict of int to Geometry
    lines : list of str
        All lines as they stand.
    """

    title: str = ""
    byapp: tuple[str, ...] = ()
    info: dict[str, str] = field(default_factory=dict)
    file_open_number: float | None = None
    file_open_text: str = ""
    file_open_times: tuple[dt.datetime, ...] = ()
    geometry: dict[int, Geometry] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Name:
    """A column name: as written, its base without unit, and the unit ('' if none is stated)."""

    text: str
    base: str
    unit: str


@dataclass
class MultiVuFile:
    """A MultiVu file: header, columns under their own names and units, and the account of it.

    Attributes
    ----------
    path : Path
    header : Header
    names : list of Name
        Of the columns kept, in file order.
    columns : dict of str to ndarray
        Name as written -> float array (text columns: object array); units as written.
    comments : ndarray of str
        The comment column, '' where there is none.
    clock : str
        ``controller``, ``ole``, ``unix`` or ``unknown``.
    start : datetime or None
        Local time of the first row, only when header and time stamps agree.
    report : ReadReport
    """

    path: Path
    header: Header
    names: list[Name]
    columns: dict[str, np.ndarray]
    comments: np.ndarray
    clock: str
    start: dt.datetime | None
    report: ReadReport

    def __len__(self) -> int:
        return len(self.comments)

    def name_of(self, quantity: str) -> Name | None:
        """Return the column that holds `quantity` (a key of `ALIASES`), or None.

        Raises
        ------
        InputError
            If two columns claim to be the same quantity under the same name.
        """
        for alias in ALIASES[quantity]:
            hits = [name for name in self.names if name.base == alias]
            if quantity == "angle":
                hits = [name for name in hits if normal_unit(name.unit) in known_units("angle")]
            if len(hits) > 1:
                raise InputError(
                    f"{len(hits)} columns claim to be the {quantity}",
                    file=self.path,
                    column=hits[1].text,
                )
            if hits and (quantity != "temperature" or self._has_numbers(hits[0])):
                return hits[0]
        return None

    def _has_numbers(self, name: Name) -> bool:
        values = self.columns[name.text]
        return values.dtype == float and bool(np.isfinite(values).any())

    def _channel_columns(self, kind: str) -> dict[int, Name]:
        """Return the columns of `kind` by channel number (0: the file has but one channel)."""
        out: dict[int, Name] = {}
        for pattern in _CHANNEL_ALIASES[kind]:
            for name in self.names:
                match = re.fullmatch(pattern, name.base)
                if match is None or not self._has_numbers(name):
                    continue
                number = int(match.groupdict().get("n") or 0)
                unit = normal_unit(name.unit)
                resistive = kind in ("resistance", "resistivity")
                if resistive and (kind == "resistance") != (unit in known_units("resistance")):
                    # "Res. ch1 (ohm-cm)" is a resistivity; "Bridge 1 Resistivity (Ohm)" is not.
                    continue
                if number in out and out[number].base == name.base:
                    raise InputError(
                        f"two columns claim to be the {kind} of channel {number}",
                        file=self.path,
                        column=name.text,
                    )
                out.setdefault(number, name)
        return out

    def _resistive(self) -> dict[int, tuple[Name, str]]:
        """Return per channel the column to take the resistance from, and how."""
        out: dict[int, tuple[Name, str]] = {}
        for number, name in self._channel_columns("resistance").items():
            out[number] = (name, "resistance")
        for name in self.names:
            if not self._has_numbers(name):
                continue
            for kind in ("resistance", "resistivity"):
                for pattern in _CHANNEL_ALIASES[kind]:
                    match = re.fullmatch(pattern, name.base)
                    if match is None:
                        continue
                    number = int(match.groupdict().get("n") or 0)
                    unit = normal_unit(name.unit)
                    if number in out:
                        continue
                    if unit in known_units("resistance"):
                        out[number] = (name, "resistance")
                    elif unit in ("ohm-m", "ohm-cm", "ohm-mm"):
                        out[number] = (name, "resistivity")
        return out

    @property
    def channels(self) -> list[int]:
        """Channels (bridges) that hold resistance data; 0 stands for a file without channels."""
        return sorted(self._resistive())

    def recording(self, channel: str | int | None = None, quantity: str = "R-T") -> Recording:
        """Return one channel in canonical units.

        Parameters
        ----------
        channel : int, str or None
            Bridge or channel number (``1``, ``"ch1"``, ``"Bridge 3"``); None: the only one.
        quantity : str
            ``V-I`` takes the channel's current and voltage, anything else its resistance.

        Returns
        -------
        Recording
            Rows in which this channel has a value, in time order. Channels measured in turn
            (ETO, AC Transport) are never mixed and never deleted.

        Raises
        ------
        InputError
            If the channel is not there, is ambiguous, or a unit is unknown.
        """
        if quantity == "V-I":
            current = self._channel_columns("iv_current")
            voltage = self._channel_columns("iv_voltage")
            available = sorted(set(current) & set(voltage))
        else:
            resistive = self._resistive()
            available = sorted(resistive)
        if not len(self):
            return self._empty(quantity)
        number = self._pick(channel, available, quantity)
        columns = self._surroundings()
        if quantity == "V-I":
            for key, table in (("current", current), ("voltage", voltage)):
                columns[key] = self._converted(key, table[number])
            valid = np.isfinite(columns["current"]) & np.isfinite(columns["voltage"])
        else:
            columns.update(self._resistance(number, *resistive[number]))
            valid = np.isfinite(columns["resistance"])
        report = self.report
        if not valid.all():
            report.note(
                f"channel {number} has a value in {int(valid.sum())} of {len(valid)} kept rows"
            )
        columns = {key: values[valid] for key, values in columns.items()}
        header = {key: value for key, value in self.header.info.items() if value}
        header["title"] = self.header.title
        header["byapp"] = ", ".join(self.header.byapp)
        return Recording(self.path, columns, header, report)

    def _empty(self, quantity: str) -> Recording:
        keys = ["current", "voltage"] if quantity == "V-I" else ["resistance", "resistance_err"]
        keys += ["time", "temperature", "field", "angle"]
        return Recording(self.path, {key: np.empty(0) for key in keys}, {}, self.report)

    def _pick(self, channel: str | int | None, available: list[int], quantity: str) -> int:
        what = "current-voltage" if quantity == "V-I" else "resistance"
        if not available:
            raise InputError(
                f"the file holds no {what} column with numbers",
                file=self.path,
                found=", ".join(name.text for name in self.names)[:300] or "no columns",
                advice="measurements.csv must name a file of the stated quantity",
            )
        listed = ", ".join(str(n) for n in available)
        if channel is None or str(channel).strip() == "":
            if len(available) > 1:
                raise InputError(
                    f"the file has {what} data in several channels",
                    file=self.path,
                    found=listed,
                    advice="say which one in the column 'channel' of measurements.csv",
                )
            return available[0]
        match = re.fullmatch(r"\D*?(\d+)", str(channel).strip())
        if match is None or int(match[1]) not in available:
            raise InputError(
                f"the file has no {what} data in this channel",
                file=self.path,
                found=str(channel),
                expected=f"one of {listed}",
            )
        return int(match[1])

    def _converted(self, quantity: str, name: Name) -> np.ndarray:
        if not name.unit:
            raise InputError(
                f"the {quantity} column states no unit", file=self.path, column=name.text
            )
        convert = converter(quantity, name.unit, file=self.path, column=name.text)
        canonical = {"field": "T", "current": "A", "voltage": "V", "resistance": "ohm"}
        unit = normal_unit(name.unit)
        if unit != canonical.get(quantity, unit):
            text = f"{name.text}: {unit} to {canonical[quantity]}"
            if text not in self.report.conversions:
                self.report.conversions.append(text)
        values = self.columns[name.text]
        if values.dtype != float:
            raise InputError(f"the {quantity} column holds text", file=self.path, column=name.text)
        return convert(values)

    def _surroundings(self) -> dict[str, np.ndarray]:
        out = {}
        for quantity in ALIASES:
            name = self.name_of(quantity)
            if name is None:
                continue
            if quantity == "time" and not name.unit:
                out[quantity] = self.columns[name.text]
                self.report.note(f"the column {name.text!r} states no unit, taken as seconds")
            else:
                out[quantity] = self._converted(quantity, name)
        return out

    def _resistance(self, number: int, name: Name, how: str) -> dict[str, np.ndarray]:
        """Return resistance, its standard error and the excitation current of a channel."""
        out: dict[str, np.ndarray] = {}
        self._cross_check(number)
        factor = 1.0
        if how == "resistance":
            out["resistance"] = self._converted("resistance", name)
        else:
            factor = self._ohm_per(number, name)
            out["resistance"] = self.columns[name.text] * factor
            text = (
                f"{name.text}: {normal_unit(name.unit)} to ohm with lead distance over cross "
                f"section of the header ({factor:g})"
            )
            if text not in self.report.conversions:
                self.report.conversions.append(text)
        out["resistance_err"] = self._spread(number)
        excitation = self._channel_columns("excitation").get(number)
        if excitation is None:
            shared = [n for n in self.names if n.base == _SHARED_EXCITATION and n.unit]
            excitation = shared[0] if len(shared) == 1 else None
        if excitation is not None and normal_unit(excitation.unit) in known_units("current"):
            out["current"] = self._converted("current", excitation)
        return out

    def _cross_check(self, number: int) -> None:
        """Compare resistance and resistivity of a channel where the file has both.

        Raises
        ------
        InputError
            If they contradict the header's geometry: a name stands over the wrong column then.
        """
        resistance = self._channel_columns("resistance").get(number)
        resistivity = self._channel_columns("resistivity").get(number)
        twin = f"bridge {number} resistance"
        source = self._resistive()[number][0].base
        if source == f"bridge {number} resistivity" and twin in {n.base for n in self.names}:
            # The Resistivity option fills both or none.
            raise InputError(
                f"channel {number} has a resistivity but its resistance column is empty",
                file=self.path,
                advice="names may stand over the wrong columns",
            )
        geometry = self.header.geometry.get(number)
        if resistance is None or resistivity is None or geometry is None:
            return
        if normal_unit(resistivity.unit) not in ("ohm-m", "ohm-cm", "ohm-mm"):
            return
        expected = self.columns[resistivity.text] * self._ohm_per(number, resistivity)
        found = converter("resistance", resistance.unit)(self.columns[resistance.text])
        both = np.isfinite(expected) & np.isfinite(found)
        if not both.any():
            return
        scale = np.median(np.abs(found[both]))
        off = np.abs(found - expected)[both] > 0.01 * np.abs(found[both]) + 1e-6 * scale
        if 2 * off.sum() > both.sum():
            raise InputError(
                f"resistance and resistivity of channel {number} contradict the lead distance and "
                "cross section of the header",
                file=self.path,
                column=resistance.text,
                advice="names may stand over the wrong columns; if only the geometry is wrong, "
                "correct it in the header's INFO lines",
            )

    def _spread(self, number: int) -> np.ndarray:
        """Return the standard deviation of the mean; NaN if the file does not determine it."""
        unknown = np.full(len(self), np.nan)
        name = self._channel_columns("spread").get(number)
        if name is None:
            return unknown
        unit = normal_unit(name.unit)
        if unit in known_units("resistance"):
            spread = converter("resistance", unit)(self.columns[name.text])
        else:
            # No unit (AC Transport) or that of the resistivity: same as the resistivity column.
            table = self._channel_columns("resistivity")
            table.update(
                {n: item for n, (item, how) in self._resistive().items() if how == "resistivity"}
            )
            partner = table.get(number)
            if partner is None or (unit and unit != normal_unit(partner.unit)):
                return unknown
            if unit == "" and normal_unit(partner.unit) in known_units("resistance"):
                factor = 1.0
            elif number in self.header.geometry:
                factor = self._ohm_per(number, partner)
            else:
                return unknown
            spread = self.columns[name.text] * factor
        readings = [n for n in self.names if n.base == _READINGS]
        if readings and self._has_numbers(readings[0]):
            count = self.columns[readings[0].text]
            spread = spread / np.sqrt(np.where(count >= 1, count, np.nan))
            text = f"{name.text}: divided by sqrt(Number of Readings) for the standard error"
            if text not in self.report.conversions:
                self.report.conversions.append(text)
        return spread

    def _ohm_per(self, number: int, name: Name) -> float:
        """Return resistance over resistivity, R = rho L / A, in ohm per unit of the column."""
        geometry = self.header.geometry.get(number)
        if geometry is None:
            raise InputError(
                "a resistivity needs the lead distance and cross section, which the header lacks",
                file=self.path,
                column=name.text,
            )
        per_ohm_m = {"ohm-m": 1.0, "ohm-cm": 100.0, "ohm-mm": 1000.0}[normal_unit(name.unit)]
        return geometry.length / geometry.area / per_ohm_m


def read(path: str | Path, strict: bool = False) -> MultiVuFile:
    """Read a MultiVu file.

    Parameters
    ----------
    path : path
    strict : bool
        Raise on anything unexplained (dropped rows, unreadable cells, warnings) instead of
        reporting it.

    Returns
    -------
    MultiVuFile

    Raises
    ------
    InputError
        If the file is no MultiVu data file, or cannot be read without guessing.

    Notes
    -----
    kept + comment + blank + dropped rows = lines after the names, always.
    """
    path = Path(path)
    data = path.read_bytes()
    report = ReadReport(file=str(path), layout=LAYOUT, sha256=hashlib.sha256(data).hexdigest())
    text, report.encoding = decode(data, None, path)
    lines = re.split(r"\r\n|\n|\r", text)
    closed = lines[-1] == ""
    if closed:
        lines.pop()
    head_end, names_at = _sections(lines, path)
    delimiter = _delimiter(lines[names_at]) if names_at is not None else ","
    report.delimiter = delimiter
    header = _header(lines[:head_end], delimiter)
    if names_at is None:
        report.warn("the file holds a header only, no column names and no rows")
        empty = np.empty(0, dtype=object)
        result = MultiVuFile(path, header, [], {}, empty, "unknown", None, report)
    else:
        names = _names(_split(lines[names_at], delimiter), path, names_at + 1)
        result = _table(path, header, names, lines, names_at, delimiter, closed, report)
    report.balance()
    if strict:
        report.require_clean()
    return result


def _bare(line: str) -> str:
    return line.strip().strip(',;\t"').strip()


def _sections(lines: list[str], path: Path) -> tuple[int, int | None]:
    """Return the index of ``[Data]`` and that of the names line (None if there is none)."""
    data_at = None
    for i, line in enumerate(lines):
        if _bare(line).casefold() == "[data]":
            data_at = i
            break
    if data_at is None:
        header = any(_bare(line).casefold() == "[header]" for line in lines)
        raise InputError(
            "there is no [Data] section",
            file=path,
            advice="the file is cut short in its header"
            if header
            else "this is no MultiVu data file (.seq, .gph and exported tables are not)",
        )
    for i in range(data_at + 1, len(lines)):
        if _bare(lines[i]) and not lines[i].lstrip().startswith(";"):
            return data_at, i
    return data_at, None


def _delimiter(names: str) -> str:
    """Return the delimiter, judged by the names line: tab and semicolon are Excel re-saves."""
    for candidate in ("\t", ";"):
        if names.count(candidate) > names.count(","):
            return candidate
    return ","


def _split(line: str, delimiter: str) -> list[str]:
    if '"' in line:
        # One line at a time: a stray quote can then swallow no further line.
        return next(csv.reader([line], delimiter=delimiter), [])
    return line.split(delimiter)


def _header(lines: list[str], delimiter: str) -> Header:
    header = Header(lines=list(lines))
    geometry: dict[int, dict[str, float | str]] = {}
    for raw in lines:
        line = raw.strip().strip('"').rstrip("\t").strip()
        if not line or line.startswith(";") or line.casefold() == "[header]":
            continue
        if delimiter != ",":
            # An Excel re-save has turned the commas into its own delimiter.
            line = line.rstrip(delimiter).replace(delimiter, ",")
        word, _, rest = line.partition(",")
        keyword = word.strip().casefold()
        if keyword == "title":
            header.title = rest.strip().rstrip(",")
        elif keyword == "byapp":
            header.byapp = tuple(part.strip() for part in rest.split(",") if part.strip())
        elif keyword == "info":
            key, value = _info(rest)
            if key:
                header.info[key] = value
                _geometry(key, value, geometry)
        elif keyword.startswith("fileopentime"):
            _file_open_time(line[len("fileopentime") :], header)
        elif keyword.split()[0] not in _KEYWORDS if keyword else True:
            header.unknown.append(raw)
    for number, parts in geometry.items():
        length, area = parts.get("length"), parts.get("area")
        if isinstance(length, float) and isinstance(area, float) and length > 0 and area > 0:
            header.geometry[number] = Geometry(length, area, str(parts.get("unit", "")))
    return header


def _info(rest: str) -> tuple[str, str]:
    """Return (key, value) of an INFO line; the key may stand first or last.

    Values hold commas themselves, so only the first and the last comma can separate.
    """
    first, _, after = rest.partition(",")
    before, comma, last = rest.rpartition(",")
    first, last = first.strip(), last.strip()
    if not comma:
        return ("", first) if not first else (first, "")
    if first.upper() == "APPNAME":
        return "APPNAME", after.strip()
    if _KEY_LAST.fullmatch(last):
        return last.partition(":")[0] if re.match(r"[A-Z]+:", last) else last, before.strip()
    return first, after.strip()


def _geometry(key: str, value: str, out: dict[int, dict[str, float | str]]) -> None:
    """Collect lead distance and cross section; mm in the Resistivity option, cm in ETO and ACT."""
    match = re.fullmatch(r"Sample(\d) (Cross Section|Length|Units)", key)
    if match:
        entry = out.setdefault(int(match[1]), {})
        number = to_float(value)
        if match[2] == "Units":
            entry["unit"] = value
        elif number is not None and number == number:
            if match[2] == "Length":
                entry["length"] = number / 1e3
            else:
                entry["area"] = number / 1e6
        return
    match = re.fullmatch(
        r"SAMPLE(\d)_(VOLTAGE_LEAD_SEPARATION|LEAD_SEPARATION|CROSS_SECTIONAL_AREA|CROSS_SECTION)",
        key,
    )
    if match:
        number = to_float(value)
        if number is not None and number == number:
            entry = out.setdefault(int(match[1]), {})
            if "LEAD" in match[2]:
                entry["length"] = number / 1e2
            else:
                entry["area"] = number / 1e4


def _file_open_time(rest: str, header: Header) -> None:
    """Read FILEOPENTIME in any of its five layouts (and MultiPyVu's ``14:42:48 PM``)."""
    header.file_open_text = rest.strip(" ,\t")
    match = re.match(r"[\s,]*([0-9.]+)(?=[\s,])", rest)
    if match:
        number = to_float(match[1])
        header.file_open_number = number
        rest = rest[match.end() :]
    clock = re.search(r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*([AaPp][Mm])?", rest)
    if clock is None:
        return
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    half = (clock[4] or "").lower()
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    days: list[tuple[int, int, int]] = []
    iso = re.search(r"(\d{4})-(\d{1,2})-(\d{1,2})", rest)
    us = re.search(r"(\d{1,2})/(\d{1,2})/(\d{4})", rest)
    if iso:
        days = [(int(iso[1]), int(iso[2]), int(iso[3]))]
    elif us:
        a, b, year = int(us[1]), int(us[2]), int(us[3])
        # Nothing in the file says whether month or day comes first.
        days = list(dict.fromkeys([(year, a, b), (year, b, a)]))
    times = []
    for day in days:
        try:
            times.append(dt.datetime(*day, hour, minute, second))
        except ValueError:
            continue
    header.file_open_times = tuple(times)


def _names(fields: list[str], path: Path, line: int) -> list[Name]:
    names: list[Name] = []
    seen: Counter[str] = Counter()
    for i, raw in enumerate(fields):
        text = raw.strip()
        if not text:
            text = f"unnamed {i + 1}"
        seen[text] += 1
        if seen[text] > 1:
            text = f"{text} #{seen[text]}"
        names.append(_name(text))
    if not any(not name.text.startswith("unnamed") for name in names):
        raise InputError("the names line is empty", file=path, line=line)
    for name in names:
        # A broken line end or a comma in place of a letter would put every name right of it
        # over the wrong column.
        if name.text.count("(") != name.text.count(")") or to_float(name.text) is not None:
            raise InputError("the names line is damaged", file=path, line=line, found=name.text)
    return names


def _name(text: str) -> Name:
    """Split ``Magnetic Field (Oe)`` into base and unit; duplicates keep the base of the first."""
    plain = re.sub(r" #\d+$", "", text)
    match = re.fullmatch(r"(.*?)\s*\(([^()]*)\)\s*\"?", plain)
    base, unit = (match[1], match[2].strip()) if match else (plain, "")
    base = base.casefold().replace('"', "").replace(".", " ")
    return Name(text, re.sub(r"\s+", " ", base).strip(), unit)


def _is_comment_column(name: Name) -> bool:
    return name.base == "comment"


def _table(
    path: Path,
    header: Header,
    names: list[Name],
    lines: list[str],
    names_at: int,
    delimiter: str,
    closed: bool,
    report: ReadReport,
) -> MultiVuFile:
    """Sort the lines after the names into kept, comment, blank and dropped; convert the cells."""
    comment_at = next((i for i, name in enumerate(names) if _is_comment_column(name)), None)
    time_at = next((i for i, name in enumerate(names) if name.base in ALIASES["time"]), None)
    first = names_at + 1
    report.lines_after_names = len(lines) - first
    split: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines[first:], start=first + 1):
        if not line.strip(' \t,;"'):
            report.blank += 1
        elif delimiter != ";" and line.lstrip(' "').startswith(";"):
            report.comment += 1
        else:
            split.append((number, _split(line, delimiter)))
    again = _second_sections(lines, split, names, header, delimiter, path, report)
    report.comment += sum(number in again for number, _ in split)
    split = [item for item in split if item[0] not in again]
    cut_line = None if closed or not split or split[-1][0] != len(lines) else len(lines)
    width = _row_width(split, len(names), path)
    _agrees_with_header(names, header, path, names_at + 1)
    named = len(names)
    while named and names[named - 1].text.startswith("unnamed "):
        named -= 1
    if split and 1 <= named - width <= 2:
        # Options that leave out trailing columns leave out four or more.
        raise InputError(
            f"rows have {width} fields for {named} names",
            file=path,
            line=names_at + 1,
            advice="the names line may be damaged, and names would then be shifted",
        )
    surplus = width - len(names)
    if surplus > 0:
        names = names + [_name(f"unnamed {len(names) + i + 1}") for i in range(surplus)]
        report.warn(
            f"rows have {width} fields for {width - surplus} names; the last {surplus} are unnamed"
        )
    rows: list[list[str]] = []
    numbers: list[int] = []
    short = 0
    for number, fields in split:
        row = _row(fields, width, len(names), comment_at, time_at, number == cut_line)
        if isinstance(row, str):
            if row == "comment":
                report.comment += 1
            else:
                report.drop(number, row)
            continue
        short += len(fields) < len(names)
        rows.append(row)
        numbers.append(number)
    report.kept = len(rows)
    report.padded = short
    if not rows:
        report.warn("the file holds no rows of data")
        if report.dropped:
            line, reason = report.dropped_lines[0]
            raise InputError(
                f"no row can be used, the first because {reason}", file=path, line=line
            )
    columns, kept_names, comments = _columns(rows, numbers, names, comment_at, delimiter, report)
    result = MultiVuFile(path, header, kept_names, columns, comments, "unknown", None, report)
    if rows:
        result.clock, result.start = _clock(result, header, report)
    return result


def _second_sections(
    lines: list[str],
    split: list[tuple[int, list[str]]],
    names: list[Name],
    header: Header,
    delimiter: str,
    path: Path,
    report: ReadReport,
) -> set[int]:
    """Return the lines (from 1) below the names that are header and names of an appended file.

    Raises
    ------
    InputError
        If the names there are others: the rows below would stand under the wrong ones.
    """
    known = [name.text for name in names]
    unique = set(known)
    out: set[int] = set()
    opened = 0
    data = False
    for number, fields in split:
        line = lines[number - 1]
        if not opened and not data and "(" not in line and "[" not in line:
            continue
        mark = _bare(line).casefold()
        cells = [field.strip() for field in fields]
        if mark == "[header]":
            opened, data = number, False
        elif mark == "[data]":
            data = True
        elif data or sum(cell in unique for cell in cells) >= 2:
            if [name.text for name in _names(cells, path, number)] != known:
                raise InputError(
                    "another table begins here, with other names",
                    file=path,
                    line=number,
                    found=", ".join(cells)[:80],
                    expected=", ".join(known)[:80],
                    advice="cut the file in two before this section",
                )
            second = _header(lines[opened - 1 : number - 1], delimiter) if opened else header
            if second.geometry != header.geometry:
                raise InputError(
                    "a second header states another lead distance or cross section",
                    file=path,
                    line=opened,
                    advice="cut the file in two before this section",
                )
            report.note(f"a second table with the same names begins at line {number}")
            opened, data = 0, False
        elif not opened:
            continue
        out.add(number)
    return out


def _agrees_with_header(names: list[Name], header: Header, path: Path, line: int) -> None:
    """Compare the number of names with the header's list of all columns, where it has one.

    Raises
    ------
    InputError
        If there are more names than columns.
    """
    for raw in header.lines:
        fields = [field.strip() for field in raw.strip().split(",")]
        keyword = fields[0].casefold()
        numbers = [int(field) for field in fields[1:] if field.isdigit()]
        if keyword == "fieldgroup" and len(numbers) > 15:
            whole = numbers == list(range(2, numbers[-1] + 1))
            filled = [i for i, n in enumerate(names, 1) if not n.text.startswith("unnamed ")]
            if whole and filled[-1] > numbers[-1]:
                raise InputError(
                    f"there are {filled[-1]} names but the header speaks of {numbers[-1]} columns",
                    file=path,
                    line=line,
                    advice="the names line may be damaged, and names would then be shifted",
                )


def _row_width(split: list[tuple[int, list[str]]], n_names: int, path: Path) -> int:
    """Return how many fields a data row of this file has.

    Most files write the same number in every row, be it all names (68 of 68) or only the first
    (23 of 41). A row with another number was damaged: its cells may stand under a wrong name.
    """
    counts = Counter(len(fields) for _, fields in split if len(fields) > 2 or n_names <= 2)
    if not counts:
        return n_names
    if n_names in counts and counts[n_names] * 2 >= sum(counts.values()):
        return n_names
    (width, count), *others = counts.most_common(2)
    if others and others[0][1] == count:
        raise InputError(
            "rows have different numbers of fields, and none is the rule",
            file=path,
            line=split[0][0],
            found=", ".join(f"{n} rows with {w}" for w, n in sorted(counts.items())),
            expected=f"{n_names} names",
        )
    return width


def _row(
    fields: list[str],
    width: int,
    n_names: int,
    comment_at: int | None,
    time_at: int | None,
    open_end: bool,
) -> list[str] | str:
    """Return the cells of a row padded to the names, or 'comment', or why it must be dropped."""
    end = len(fields)
    while end and not fields[end - 1].strip():
        end -= 1
    if end <= 2 and width > 2 and _is_remark(fields[:end], comment_at, time_at):
        return "comment"
    if len(fields) not in (width, n_names):
        # Also a row with one field too many but empty ones at its end: its cells have moved.
        if open_end and len(fields) < width:
            return "the file ends inside this line"
        return f"the row has {len(fields)} fields, the others have {width}"
    cells = list(fields) + [""] * (n_names - len(fields))
    if comment_at is not None and cells[comment_at].strip():
        others = (cell for i, cell in enumerate(cells) if i not in (comment_at, time_at))
        if not any(cell.strip() for cell in others):
            return "comment"
    if open_end and cells[len(fields) - 1].strip() and len(fields) - 1 != comment_at:
        # Nothing tells whether the last number of a file without final line end is whole.
        cells[len(fields) - 1] = ""
    return cells


def _is_remark(fields: list[str], comment_at: int | None, time_at: int | None) -> bool:
    """Tell whether a row of one or two fields is text with (or without) a time stamp."""
    texts = [cell for cell in fields if to_float(cell) is None]
    return comment_at is not None and len(texts) >= 1


def _columns(
    rows: list[list[str]],
    numbers: list[int],
    names: list[Name],
    comment_at: int | None,
    delimiter: str,
    report: ReadReport,
) -> tuple[dict[str, np.ndarray], list[Name], np.ndarray]:
    by_column = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    comma = _decimal_comma(by_column, comment_at, delimiter, report)
    columns: dict[str, np.ndarray] = {}
    kept: list[Name] = []
    comments = np.full(len(rows), "", dtype=object)
    for i, (name, cells) in enumerate(zip(names, by_column, strict=True)):
        if i == comment_at:
            comments = np.array([cell.strip() for cell in cells], dtype=object)
            continue
        if not any(cells):
            if name.text.startswith("unnamed "):
                continue
            columns[name.text] = np.full(len(rows), np.nan)
        else:
            columns[name.text] = _column(name, cells, numbers, comma, report)
        kept.append(name)
    return columns, kept, comments


_PLAIN = re.compile(r"[0-9eE+\-. \n]*")


def _column(
    name: Name, cells: tuple[str, ...], numbers: list[int], comma: bool, report: ReadReport
) -> np.ndarray:
    """Convert the cells of one column; a column mostly of words stays text."""
    if not comma and _PLAIN.fullmatch("\n".join(cells)):
        try:
            values = np.array([cell or "nan" for cell in cells]).astype(float)
        except ValueError:
            values = None
        if values is not None:
            return _without_sentinels(values, report)
    values = np.empty(len(cells))
    bad: list[tuple[int, str]] = []
    filled = 0
    for i, cell in enumerate(cells):
        filled += bool(cell.strip())
        number = to_float(cell, "," if comma and "," in cell else ".")
        if number is None:
            bad.append((i, cell.strip()))
            number = np.nan
        elif number != number and cell.strip():
            report.sentinels += 1
        values[i] = number
    if len(bad) * 2 > filled:
        return np.array([cell.strip() for cell in cells], dtype=object)
    for i, cell in bad:
        report.cell(numbers[i], name.text, cell)
    return _without_sentinels(values, report)


def _without_sentinels(values: np.ndarray, report: ReadReport) -> np.ndarray:
    magnitude = np.abs(values)
    missing = np.isin(values, SENTINELS) | np.isinf(values)
    missing |= (magnitude > 0) & (magnitude < TINY)
    if missing.any():
        report.sentinels += int(missing.sum())
        values = np.where(missing, np.nan, values)
    return values


def _decimal_comma(
    by_column: list, comment_at: int | None, delimiter: str, report: ReadReport
) -> bool:
    """Tell whether numbers are written with a decimal comma (Excel in many languages).

    Where the comma separates the fields too, such numbers stand in quotes.

    Raises
    ------
    InputError
        If commas could as well group thousands.
    """
    pattern = re.compile(r"[+-]?[0-9]+,([0-9]+)([eE][+-]?[0-9]+)?")
    digits: set[int] = set()
    points = False
    for i, cells in enumerate(by_column):
        if i == comment_at:
            continue
        for cell in cells:
            if "," in cell:
                match = pattern.fullmatch(cell.strip())
                if match:
                    digits.add(len(match[1]))
            elif "." in cell and to_float(cell) is not None:
                points = True
    if not digits or (points and delimiter == ","):
        # Single cells such as "1,2" among numbers with a point are text, and reported as that.
        return False
    if points or digits == {3}:
        raise InputError(
            "commas in numbers may be decimal commas or group thousands",
            file=report.file,
            advice="export the file again with a decimal point",
        )
    report.conversions.append("decimal comma read as decimal point")
    return True


_OLE_EPOCH = dt.datetime(1899, 12, 30)
_DAY = 86400.0


def _clock(file: MultiVuFile, header: Header, report: ReadReport) -> tuple[str, dt.datetime | None]:
    """Tell which of the three clocks the time stamps count, and the start if it is certain.

    Controller uptime relates to the header by its number; OLE seconds since 1899-12-30 (local)
    and Unix seconds must agree with the header's clock text to within a day (measuring starts
    soon after the file is opened; a file opened twice is not dated).
    """
    name = file.name_of("time")
    if name is None or file.columns[name.text].dtype != float:
        return "unknown", None
    stamps = file.columns[name.text]
    stamps = stamps[np.isfinite(stamps)]
    if not len(stamps):
        return "unknown", None
    first = float(stamps[0])
    if 2.5e9 < first < 6e9:
        clock, moment = "ole", _OLE_EPOCH + dt.timedelta(seconds=first)
    elif 1e9 < first <= 2.5e9:
        clock = "unix"
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=first)
    elif 0 <= first < 5e8:
        clock, moment = "controller", None
    else:
        return "unknown", None
    times = header.file_open_times
    if clock == "controller":
        number = header.file_open_number
        if number is None or not 0 <= first - number < 10 * _DAY or len(times) != 1:
            return clock, None
        return clock, times[0] + dt.timedelta(seconds=first - number)
    # The Unix clock is UTC and the header local time: up to 14 h apart, so no certain start.
    near = [t for t in times if -_DAY < (moment - t).total_seconds() < _DAY]
    if clock == "unix" or len(near) != 1:
        if times and not near:
            report.note("time stamps and the header's clock do not agree; no absolute time")
        return clock, None
    return clock, moment
