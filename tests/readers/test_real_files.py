"""Real instrument files by others, where they are at hand: NBNMBT_REAL_DATA names their folder.

They are never part of this repository. The truths are those stated in each folder's SOURCE.md.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nbnmbt.errors import InputError
from nbnmbt.readers import layouts, multivu
from nbnmbt.readers.layouts import Layout

ROOT = Path(os.environ.get("NBNMBT_REAL_DATA", "/nonexistent"))
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="NBNMBT_REAL_DATA is not set")

NOMAD, CHAMELEON, MCDA = "nomad-measurements", "project_chameleon", "mollyrmcdonough-mcda"
PPMS = "PPMS_ToolKit"

# file -> (lines that are rows or remarks, names, remarks, encoding, clock, channels)
MULTIVU = {
    f"{NOMAD}/ACMS_test.dat": (1323, 57, 0, "utf-8-sig", "controller", []),
    f"{NOMAD}/ACT_Ch1_Hall_Ch2_TMR.dat": (6035, 60, 0, "utf-8-sig", "controller", [1, 2]),
    f"{NOMAD}/ETO_Ch1_TMR_Ch2_Hall.dat": (18626, 67, 0, "utf-8-sig", "ole", [1, 2]),
    f"{NOMAD}/MPMS_test.dat": (1122, 68, 0, "utf-8-sig", "ole", []),
    f"{NOMAD}/Resistivity_Ch1_TMR_Ch2_Hall_test.dat": (
        1401,
        41,
        0,
        "utf-8-sig",
        "controller",
        [1, 2],
    ),
    f"{CHAMELEON}/4-probe resistivity example file.dat": (
        359,
        41,
        0,
        "utf-8-sig",
        "controller",
        [3],
    ),
    f"{CHAMELEON}/AC magnetic susceptibility example file.dat": (
        496,
        57,
        0,
        "utf-8-sig",
        "controller",
        [],
    ),
    f"{CHAMELEON}/Bi-O-S_bestsample_Add.dat": (4568, 30, 14, "cp1252", "controller", []),
    f"{CHAMELEON}/Heat capacity example file.dat": (430, 30, 4, "cp1252", "controller", []),
    f"{CHAMELEON}/Thermal transport example file.dat": (67, 63, 0, "cp1252", "controller", [0]),
    f"{MCDA}/TRP4_MBE1-230327A-MS_RvsH_50K.dat": (256, 23, 0, "utf-8-sig", "controller", [1, 2]),
    f"{PPMS}/HC_test_data.Dat": (364, 30, 7, "cp1252", "ole", []),
    f"{PPMS}/MH_2P5K.DAT": (13900, 50, 0, "utf-8-sig", "ole", []),
    f"{PPMS}/MT_0P01T_FC.DAT": (1566, 50, 0, "utf-8-sig", "ole", []),
    f"{PPMS}/MT_0P01T_ZFC.DAT": (1599, 50, 0, "utf-8-sig", "ole", []),
    "magmeas/VSM_MH.DAT": (4866, 58, 0, "cp1252", "controller", []),
}


@pytest.mark.parametrize("name", MULTIVU)
def test_every_row_and_column(name):
    rows, names, remarks, encoding, clock, channels = MULTIVU[name]
    file = multivu.read(ROOT / name, strict=True)
    report = file.report
    assert report.lines_after_names == rows + report.blank
    assert (report.kept, report.comment, report.dropped) == (rows - remarks, remarks, 0)
    assert len(file) == rows - remarks
    assert len(file.names) == names - 1  # the comment column is apart
    assert report.encoding == encoding
    assert file.clock == clock
    assert file.channels == channels
    assert not file.header.unknown


@pytest.mark.parametrize("name", MULTIVU)
def test_agrees_with_pandas_cell_by_cell(name):
    """Pandas, told by hand where the names are and what is ragged, must read the same numbers."""
    file = multivu.read(ROOT / name)
    text = (ROOT / name).read_bytes().decode("cp1252")
    body = re.split(r"\[Data\]\r?\n", text)[1]
    lines = [line for line in body.splitlines() if line.strip()]
    width = lines[0].count(",") + 1
    kept = [lines[0]] + [line for line in lines[1:] if line.count(",") > 2]
    padded = [line + "," * (width - 1 - line.count(",")) for line in kept]
    frame = pd.read_csv(
        io.StringIO("\n".join(padded)), quoting=3, index_col=False, low_memory=False
    )
    assert len(frame) == len(file)
    compared = 0
    for column in file.names:
        values = file.columns[column.text]
        if column.text not in frame or values.dtype != float:
            continue
        other = frame[column.text].to_numpy(dtype=float)
        other = np.where((np.abs(other) < 1.2e-38) & (other != 0), np.nan, other)
        np.testing.assert_array_equal(values, other, err_msg=column.text)
        compared += 1
    assert compared >= len(file.names) - 2


@pytest.mark.parametrize(
    ("name", "start"),
    [
        (f"{NOMAD}/Resistivity_Ch1_TMR_Ch2_Hall_test.dat", "2024-12-18T10:53:27"),
        (f"{NOMAD}/ETO_Ch1_TMR_Ch2_Hall.dat", "2023-03-09T18:29:08"),
        (f"{NOMAD}/MPMS_test.dat", "2023-10-25T15:24:01"),
        (f"{PPMS}/MT_0P01T_FC.DAT", "2025-05-02T19:04:52"),
        (f"{MCDA}/TRP4_MBE1-230327A-MS_RvsH_50K.dat", None),  # Unix header, controller stamps
        (f"{CHAMELEON}/4-probe resistivity example file.dat", None),  # 11/2: November or February
        (f"{CHAMELEON}/Heat capacity example file.dat", None),  # no FILEOPENTIME
    ],
)
def test_absolute_time_only_when_consistent(name, start):
    found = multivu.read(ROOT / name).start
    assert (None if found is None else found.isoformat(timespec="seconds")) == start


def test_snse_nbse2_transition_in_field():
    """R_n = 0.465 ohm; half of it at 5.0, 4.5, 4.15, 3.73 kOe at 2.0, 2.1, 2.2, 2.3 K."""
    file = multivu.read(ROOT / NOMAD / "Resistivity_Ch1_TMR_Ch2_Hall_test.dat")
    columns = file.recording("1").columns
    b, r = np.abs(columns["field"]), columns["resistance"]
    assert abs(np.median(r[b > 0.9]) - 0.465) < 0.004
    for temperature, half in ((2.0, 0.50), (2.1, 0.45), (2.2, 0.415), (2.3, 0.373)):
        at = np.abs(columns["temperature"] - temperature) < 0.05
        order = np.argsort(b[at])
        assert abs(np.interp(0.465 / 2, r[at][order], b[at][order]) - half) < 0.015
    np.testing.assert_allclose(columns["current"][:50], 20e-6, rtol=2e-3)


def test_eusnb2se4_transition():
    """R_n = 35.7 mohm, onset 4.6 K, midpoint 3.45 K, residual 10 %: never zero."""
    file = multivu.read(ROOT / CHAMELEON / "4-probe resistivity example file.dat")
    columns = file.recording().columns
    t, r = columns["temperature"], columns["resistance"]
    cooling = np.arange(len(t)) <= np.argmin(t)
    assert (cooling.sum(), len(t)) == (np.argmin(t) + 1, 359)
    t, r = t[cooling][::-1], r[cooling][::-1]
    normal = np.median(r[(t > 5.5) & (t < 8)])
    assert abs(normal - 35.7e-3) < 0.2e-3
    assert abs(t[np.argmax(r > 0.98 * normal)] - 4.6) < 0.3
    assert abs(np.interp(normal / 2, r[t < 5], t[t < 5]) - 3.45) < 0.05
    assert abs(r[0] - 3.6e-3) < 0.1e-3
    # Resistivity and resistance agree with the header's 12.5 mm^2 over 5 mm.
    rho = file.columns["Bridge 3 Resistivity (Ohm-m)"]
    np.testing.assert_allclose(rho / file.columns["Bridge 3 Resistance (Ohms)"], 0.0025, rtol=1e-6)
    geometry = file.header.geometry[3]
    np.testing.assert_allclose(geometry.area / geometry.length, 0.0025, rtol=1e-12)


def test_hall_pick_up_of_the_film():
    """Raw R_xy: offset -39.37 ohm, slope +0.221 ohm/T."""
    file = multivu.read(ROOT / MCDA / "TRP4_MBE1-230327A-MS_RvsH_50K.dat")
    columns = file.recording(2).columns
    slope, offset = np.polyfit(columns["field"], columns["resistance"], 1)
    assert abs(offset + 39.37) < 0.01
    assert abs(slope - 0.221) < 0.001
    assert np.isnan(columns["angle"]).all()  # 1.7e-041 is no angle


def test_ac_transport_resistance_is_voltage_over_current():
    """R = rho L / A with centimetres must be V / I of the same row, in both channels."""
    file = multivu.read(ROOT / NOMAD / "ACT_Ch1_Hall_Ch2_TMR.dat")
    for channel, n in ((1, 3017), (2, 3018)):
        columns = file.recording(channel).columns
        volts = file.columns[f"Volts ch{channel}"]
        current = file.columns["Excitation (mA)"] / 1e3
        valid = np.isfinite(volts)
        assert valid.sum() == len(columns["resistance"]) == n
        np.testing.assert_allclose(columns["resistance"], (volts / current)[valid], rtol=1e-8)


def test_eto_channels_never_share_a_row():
    file = multivu.read(ROOT / NOMAD / "ETO_Ch1_TMR_Ch2_Hall.dat")
    one, two = (np.isfinite(file.columns[f"Resistance Ch{k} (Ohms)"]) for k in (1, 2))
    assert (one.sum(), two.sum(), (one & two).sum()) == (8367, 10259, 0)
    assert len(file.recording(1)) == 8367
    assert len(file.recording(2)) == 10259
    assert file.header.info["SAMPLE1_MATERIAL"] == "NdCuGa3, L=2.36,w=0.68,t=0.77,l=1.25mm"


def test_spin_flop_of_the_manganese_layers():
    """dM/dH at 2.5 K is largest at 18.1 kOe."""
    ds = xr.open_dataset(ROOT / PPMS / "MH_2P5K.DAT", engine="multivu")
    h, m = ds["Magnetic Field"].values, ds["Moment"].values
    good = np.isfinite(m)
    edges = np.arange(10e3, 30e3, 200)
    mean = np.array([m[good & (h >= low) & (h < low + 200)].mean() for low in edges])
    assert abs(edges[np.argmax(np.diff(mean))] + 200 - 18.1e3) < 300
    assert ds["Magnetic Field"].attrs["units"] == "Oe"
    assert "touchdown" in str(ds["Comment"].values) or "sample offset" in str(
        ds["Comment"].values[0]
    )


def test_zero_field_cooled_maximum():
    ds = xr.open_dataset(ROOT / PPMS / "MT_0P01T_ZFC.DAT", engine="multivu")
    t, m = ds["Temperature"].values, ds["Moment"].values
    window = (t > 20) & (t < 80) & np.isfinite(m)
    assert abs(t[window][np.argmax(m[window])] - 39) < 2


def test_micro_signs_and_sizes():
    file = multivu.read(ROOT / CHAMELEON / "Thermal transport example file.dat")
    assert any("µV/K" in name.text for name in file.names)
    assert len(file.recording()) == 67
    magnet = multivu.read(ROOT / "magmeas" / "VSM_MH.DAT")
    assert magnet.header.info["SAMPLE_SIZE"] == "(1.98, 1.99, 2.70)"
    assert magnet.comments[0].startswith("sample offset")


@pytest.mark.parametrize(
    "name", [f"{NOMAD}/ETO_Ch1_TMR_Ch2_Hall.seq", f"{MCDA}/TRP4_MBE1-230327A-MS_RvsH_50K.dat.gph"]
)
def test_siblings_are_refused_and_skipped(name):
    from nbnmbt.readers import sniff

    with pytest.raises(InputError, match=r"no \[Data\] section"):
        multivu.read(ROOT / name)
    assert sniff.kind(ROOT / name) == "sibling"


MOLY = {
    "columns": {
        "temperature": {"name": "Temperature (K)", "unit": "K"},
        "resistance": {"name": "Resistance (Ohms)", "unit": "ohm"},
        "time": {"name": "Timestamp", "unit": "s"},
        "current": {"position": 3, "unit": "A"},
    }
}
EXPORT = {
    "delimiter": ",",
    "columns": {
        "temperature": {"name": "Temp_K", "unit": "K"},
        "field": {"name": "B_T", "unit": "T"},
        "resistance": {"name": "Rxx", "unit": "ohm"},
    },
}


@pytest.mark.parametrize(
    ("name", "layout", "rows", "first"),
    [
        (f"{CHAMELEON}/moly_32_4pt_warming2_BR.dat", MOLY, 51, None),
        (f"{CHAMELEON}/moly_32_4pt_warming2_BW.dat", MOLY, 51, None),
        (f"{CHAMELEON}/moly_32_4pt_warming_BW.dat", MOLY, 13, 2.587709368527),
        (f"{MCDA}/TRP4_MBE1-230323A-MS_RT_300_2K_data.csv", EXPORT, 177, 543.941064453125),
        (f"{MCDA}/TRP4_MBE1-230323A-MS_RvsH_20K_data_T=20K.csv", EXPORT, 99, 505.0541015625),
    ],
)
def test_text_logs_by_declared_layout(name, layout, rows, first):
    recording = layouts.read(ROOT / name, Layout.model_validate(layout), strict=True)
    assert len(recording) == rows
    assert recording.report.kept == rows
    if first is not None:
        assert recording.columns["resistance"][0] == first
    sep = layout.get("delimiter", "\t")
    frame = pd.read_csv(ROOT / name, sep=sep, index_col=False)
    wanted = layout["columns"]["resistance"]["name"]
    np.testing.assert_array_equal(recording.columns["resistance"], frame[wanted])
