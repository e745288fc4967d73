"""Small files as laboratories have them, made here: nothing is copied from anybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RESISTIVITY_NAMES = [
    "Comment",
    "Time Stamp (sec)",
    "Status (code)",
    "Temperature (K)",
    "Magnetic Field (Oe)",
    "Sample Position (deg)",
    *[
        f"Bridge {n} {what}"
        for n in (1, 2, 3, 4)
        for what in ("Resistivity (Ohm-m)", "Excitation (uA)")
    ],
    *[f"Bridge {n} Std. Dev. (Ohm-m)" for n in (1, 2, 3, 4)],
    "Number of Readings",
    *[f"Bridge {n} Resistance (Ohms)" for n in (1, 2, 3, 4)],
    *[f"Map {n} ()" for n in range(20, 38)],
]

HEADER = [
    "[Header]",
    "TITLE, a test",
    "FILEOPENTIME,30422650.78,12/18/2024,10:42 AM",
    "BYAPP, Resistivity, 2.1, 1.0",
    "INFO, APPNAME, PPMS MultiVu Application, 1.5.11",
    *[
        line
        for n in (1, 2, 3, 4)
        for line in (
            f"INFO, film {n}, with a comma, Sample{n} Name",
            f"INFO, 2, Sample{n} Cross Section",
            f"INFO, 4, Sample{n} Length",
            f"INFO, Ohm-m, Sample{n} Units",
        )
    ],
    "DATATYPE, TIME, 2",
    "DATATYPE, COMMENT, 1",
    "[Data]",
]


def resistivity_rows(
    temperature: np.ndarray, field_T: np.ndarray, ohm: dict[int, np.ndarray], start: float = 3.05e7
) -> list[list[str]]:
    """Rows of 23 fields, as Resistivity 2.1 writes them under 41 names."""
    rows = []
    for i in range(len(temperature)):
        row = [""] * 23
        row[1] = f"{start + 60 * i:.2f}"
        row[2] = "4369"
        row[3] = repr(float(temperature[i]))
        row[4] = repr(float(field_T[i] * 1e4))
        row[5] = "0"
        for n, values in ohm.items():
            # R = rho L / A with L = 4 mm, A = 2 mm^2: rho = R / 2000
            row[4 + 2 * n] = repr(float(values[i]) / 2000.0)
            row[5 + 2 * n] = "20"
            row[13 + n] = repr(float(values[i]) / 2000.0 * 0.05)
            row[18 + n] = repr(float(values[i]))
        row[18] = "25"
        rows.append(row)
    return rows


def multivu_bytes(
    rows: list[list[str]],
    names: list[str] | None = None,
    header: list[str] | None = None,
    delimiter: str = ",",
    eol: str = "\r\n",
    encoding: str = "cp1252",
    final_eol: bool = True,
) -> bytes:
    """Put header, names and rows together."""
    lines = list(HEADER if header is None else header)
    lines.append(delimiter.join(RESISTIVITY_NAMES if names is None else names))
    lines += [delimiter.join(row) for row in rows]
    return (eol.join(lines) + (eol if final_eol else "")).encode(encoding)


def iv_bytes(
    current: np.ndarray,
    voltage: np.ndarray,
    temperature: float | np.ndarray = 2.0,
    field: float | np.ndarray = 0.0,
    angle: float = 0.0,
    names: list[str] | None = None,
    eol: str = "\n",
) -> bytes:
    """An ``iv-text`` file."""
    n = len(current)
    columns = {
        "time_s": 0.12 * np.arange(1, n + 1),
        "temperature_K": np.broadcast_to(temperature, n),
        "field_T": np.broadcast_to(field, n),
        "angle_deg": np.broadcast_to(angle, n),
        "current_A": current,
        "voltage_V": voltage,
    }
    names = names or list(columns)
    lines = ["# instrument: Keithley 6221 + 2182A", "# wiring: four-wire", "\t".join(names)]
    for i in range(n):
        lines.append("\t".join(f"{float(columns[name][i])!r}" for name in names))
    return (eol.join(lines) + eol).encode()


def ohmic(current: np.ndarray, ohm: float = 2.0) -> np.ndarray:
    return ohm * current


def write_sample(
    folder: Path,
    rows: list[dict[str, str]],
    files: dict[str, bytes],
    yaml: str = "title: a device\nprovenance: measured\n",
) -> Path:
    """A sample folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sample.yaml").write_text(yaml, encoding="utf-8")
    names = list(dict.fromkeys(key for row in rows for key in row))
    lines = [",".join(names)] + [",".join(row.get(name, "") for name in names) for row in rows]
    (folder / "measurements.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
