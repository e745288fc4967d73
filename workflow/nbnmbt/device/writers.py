"""The two raw formats: MultiVu files of the Resistivity option, and text logs of V(I) sweeps.

Both say in their header that the numbers are synthetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Said in the header of every file.
NOTICE = "synthetic stand-in (simulated, not measured)"

BRIDGES = (1, 2, 3, 4)
_FIELDS_PER_ROW = 23
_TESLA_TO_OERSTED = 1e4

#: The 41 names of the Resistivity option 2.1; its rows stop after the 23rd.
COLUMNS: tuple[str, ...] = (
    "Comment",
    "Time Stamp (sec)",
    "Status (code)",
    "Temperature (K)",
    "Magnetic Field (Oe)",
    "Sample Position (deg)",
    *(f"Bridge {n} {what}" for n in BRIDGES for what in ("Resistivity (Ohm)", "Excitation (uA)")),
    *(f"Bridge {n} Std. Dev. (Ohm)" for n in BRIDGES),
    "Number of Readings",
    *(f"Bridge {n} Resistance (Ohms)" for n in BRIDGES),
    "Signal 1 Vin (V)",
    "Signal 2 Vin (V)",
    "Digital Inputs (code)",
    "Drive 1 Iout (mA)",
    "Drive 1 Ipower (watts)",
    "Drive 2 Iout (mA)",
    "Drive 2 Ipower (watts)",
    "Pressure ()",
    *(f"Map {n} ()" for n in range(20, 30)),
)

_IV_COLUMNS = ("time_s", "temperature_K", "field_T", "angle_deg", "current_A", "voltage_V")
_IV_ROW = "%.2f\t%.4f\t%.5f\t%.2f\t%.7f\t%.9e\n"


def write_multivu(
    path: Path,
    *,
    title: str,
    configuration: str,
    bridge: int,
    time: Array,
    temperature: Array,
    field: Array,
    angle: float,
    resistance: Array,
    deviation: Array,
    readings: int,
    excitation: float,
) -> None:
    """Write one measurement as a MultiVu file of the Resistivity option 2.1.

    41 names, 23 fields a row, field in Oe, CRLF, cp1252; the bridges not in use stay empty.

    Parameters
    ----------
    path : Path
        File to write.
    title, configuration : str
        For the header.
    bridge : int
        1 to 4.
    time, temperature, field, resistance, deviation : ndarray
        s, K, T, ohm and ohm, one entry a row.
    angle : float
        Sample position, degrees.
    readings : int
        Number of readings a row.
    excitation : float
        uA.
    """
    lines = [
        "[Header]",
        f"TITLE, {title}",
        f"; {NOTICE}",
        f"FILEOPENTIME,{time[0]:.2f},1/1/2000,12:00 AM",
        "BYAPP, Resistivity, 2.1, 1.0",
        "INFO, APPNAME, PPMS MultiVu Application, 1.5.11",
    ]
    for n in BRIDGES:
        used = n == bridge
        lines += [
            f"INFO, {configuration if used else ''}, Sample{n} Name",
            f"INFO, 1, Sample{n} Cross Section",
            f"INFO, 1, Sample{n} Length",
            f"INFO, Ohm, Sample{n} Units",
        ]
    lines += [
        "FIELDGROUP, Resistivity," + ",".join(str(n) for n in range(2, len(COLUMNS) + 1)),
        "STARTUPGROUP, Resistivity",
        "STARTUPAXIS, X, 2, LINEAR, AUTO",
        f"STARTUPAXIS, Y1, {5 + 2 * bridge}, LINEAR, AUTO",
        "PLOT_APPEARANCE, ALL, HORZ_GRID_ON, VERT_GRID_ON, MARKERS_AND_LINES, ALL_LINES",
        "DATATYPE, TIME, 2",
        "DATATYPE, COMMENT, 1",
        "TEMPERATURETOLERANCE, 0.05",
        "[Data]",
        ",".join(COLUMNS),
    ]
    cells = [""] * _FIELDS_PER_ROW
    cells[1:6] = ["%.2f", "4369", "%.15g", "%.15g", f"{angle:g}"]
    cells[4 + 2 * bridge] = "%.15g"
    cells[5 + 2 * bridge] = f"{excitation:g}"
    cells[13 + bridge] = "%.15g"
    cells[18] = f"{readings:d}"
    cells[18 + bridge] = "%.15g"
    row = ",".join(cells) + "\r\n"
    single = [
        # MultiVu stores single precision and prints it in full
        np.asarray(values, dtype=np.float32).astype(float)
        for values in (temperature, field * _TESLA_TO_OERSTED, resistance, deviation)
    ]
    data = np.column_stack([time, single[0], single[1], single[2], single[3], single[2]])
    body = (row * len(data)) % tuple(data.ravel().tolist())
    path.write_bytes(("\r\n".join(lines) + "\r\n" + body).encode("cp1252"))


def write_iv(
    path: Path,
    *,
    header: Mapping[str, str],
    time: Array,
    temperature: Array,
    field: Array,
    angle: Array,
    current: Array,
    voltage: Array,
) -> None:
    """Write one V(I) sweep as text: ``# key: value`` lines, names, tab-separated rows.

    Parameters
    ----------
    path : Path
        File to write.
    header : mapping
        Key -> value, in order.
    time, temperature, field, angle, current, voltage : ndarray
        s, K, T, degrees, A and V, in time order.
    """
    head = "".join(f"# {key}: {value}\n" for key, value in header.items())
    data = np.column_stack([time, temperature, field, angle, current, voltage])
    body = (_IV_ROW * len(data)) % tuple(data.ravel().tolist())
    path.write_text(head + "\t".join(_IV_COLUMNS) + "\n" + body, encoding="utf-8", newline="\n")
