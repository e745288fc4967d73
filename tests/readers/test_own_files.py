"""Files of the virtual device, read by our reader, by pandas and by the vendor's own reader."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pandas as pd
import pytest

from nbnmbt.device.writers import COLUMNS, write_iv, write_multivu
from nbnmbt.readers import iv_text, multivu

T = np.linspace(2, 30, 40)
R = 10 + np.sin(T)


@pytest.fixture
def path(tmp_path):
    out = tmp_path / "rt.dat"
    write_multivu(
        out,
        title="a test",
        configuration="interface",
        bridge=2,
        time=np.arange(40) * 30.0 + 1e7,
        temperature=T,
        field=0.25 + 0 * T,
        angle=15.0,
        resistance=R,
        deviation=0.01 * R,
        readings=25,
        excitation=10.0,
    )
    return out


def test_our_reader_gets_back_what_was_written(path):
    file = multivu.read(path, strict=True)
    columns = file.recording().columns
    single = lambda x: np.asarray(x, dtype=np.float32).astype(float)  # noqa: E731
    np.testing.assert_allclose(columns["temperature"], single(T), rtol=1e-14)
    np.testing.assert_allclose(columns["resistance"], single(R), rtol=1e-14)
    np.testing.assert_allclose(columns["field"], 0.25, rtol=1e-7)
    np.testing.assert_allclose(columns["angle"], 15)
    np.testing.assert_allclose(columns["current"], 10e-6)
    np.testing.assert_allclose(columns["resistance_err"], single(0.01 * R) / 5, rtol=1e-12)
    assert file.report.padded == 40
    assert len(file.names) == 40


def padded(path):
    """The same file with its rows filled up to the names, which other readers insist on."""
    head, body = path.read_text("cp1252").split("[Data]\n")
    lines = body.splitlines()
    fill = [line + "," * (len(COLUMNS) - 1 - line.count(",")) for line in lines]
    return head + "[Data]\n" + "\n".join(fill) + "\n"


def test_pandas_agrees(path):
    file = multivu.read(path)
    frame = pd.read_csv(io.StringIO(padded(path).split("[Data]\n")[1]))
    for name in file.columns:
        np.testing.assert_array_equal(file.columns[name], frame[name].to_numpy(dtype=float))


def test_the_vendors_reader_agrees(path, tmp_path):
    """MultiPyVu refuses ragged rows, so it gets them padded; the numbers must be the same."""
    multipyvu = pytest.importorskip("MultiPyVu")
    full = tmp_path / "full.dat"
    full.write_bytes(padded(path).encode("cp1252"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = multipyvu.DataFile()
        frame = data.parse_MVu_data_file(str(full))
    file = multivu.read(full)
    assert len(frame) == len(file) == 40
    compared = 0
    for name in file.columns:
        if name in frame and np.isfinite(file.columns[name]).any():
            np.testing.assert_allclose(
                frame[name].to_numpy(dtype=float), file.columns[name], rtol=1e-12
            )
            compared += 1
    assert compared >= 9


def test_current_voltage_log_of_the_device(tmp_path):
    current = np.linspace(-3e-3, 3e-3, 61)
    path = tmp_path / "iv.txt"
    write_iv(
        path,
        header={"title": "x", "provenance": "synthetic"},
        time=0.12 * np.arange(61),
        temperature=2 + 0 * current,
        field=1 + 0 * current,
        angle=30 + 0 * current,
        current=current,
        voltage=2.5 * current,
    )
    recording = iv_text.read(path, strict=True)
    np.testing.assert_allclose(recording.columns["current"], current, atol=5e-8)
    np.testing.assert_allclose(recording.columns["voltage"], 2.5 * current, rtol=1e-9)
    assert recording.header["provenance"] == "synthetic"
