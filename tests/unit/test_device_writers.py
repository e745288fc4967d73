"""Raw files: the layout the instruments' own programs give them."""

import numpy as np
import pytest

from nbnmbt.device import writers


@pytest.fixture
def multivu(tmp_path):
    def write(**changes):
        path = tmp_path / "file.dat"
        n = 3
        content = {
            "title": "test",
            "configuration": "MnBi2Te4",
            "bridge": 2,
            "time": 1.2e7 + 5.0 * np.arange(n),
            "temperature": np.array([2.0, 2.1, 2.2]),
            "field": np.array([-12.0, 0.0, 0.00123]),
            "angle": 0.0,
            "resistance": np.array([7.123456789, 7.2, 7.3]),
            "deviation": np.array([1e-3, 2e-3, 3e-3]),
            "readings": 25,
            "excitation": 1.0,
        }
        writers.write_multivu(path, **{**content, **changes})
        return path.read_bytes()

    return write


def test_multivu_layout(multivu):
    raw = multivu()
    assert raw.count(b"\r\n") == raw.count(b"\n")
    lines = raw.decode("cp1252").split("\r\n")
    assert lines[0] == "[Header]"
    assert lines[-1] == ""
    data = lines.index("[Data]")
    names = lines[data + 1].split(",")
    assert len(names) == 41
    assert "Magnetic Field (Oe)" in names
    rows = [line.split(",") for line in lines[data + 2 : -1]]
    assert {len(row) for row in rows} == {23}
    cells = dict(zip(names, rows[0], strict=False))
    assert float(cells["Magnetic Field (Oe)"]) == -120000
    assert float(cells["Temperature (K)"]) == 2.0
    assert float(cells["Bridge 2 Resistance (Ohms)"]) == pytest.approx(7.123456789, rel=1e-7)
    assert cells["Bridge 2 Resistivity (Ohm)"] == cells["Bridge 2 Resistance (Ohms)"]
    assert float(cells["Bridge 2 Std. Dev. (Ohm)"]) == pytest.approx(1e-3, rel=1e-6)
    assert float(cells["Bridge 2 Excitation (uA)"]) == 1
    assert cells["Number of Readings"] == "25"
    for n in (1, 3, 4):
        assert cells[f"Bridge {n} Resistance (Ohms)"] == ""
        assert cells[f"Bridge {n} Resistivity (Ohm)"] == ""
    head = "\n".join(lines[:data])
    assert "BYAPP, Resistivity, 2.1, 1.0" in head
    assert "INFO, MnBi2Te4, Sample2 Name" in head


@pytest.mark.parametrize("bridge", [1, 2, 3, 4])
def test_each_bridge_fills_its_own_columns(multivu, bridge):
    lines = multivu(bridge=bridge).decode("cp1252").split("\r\n")
    data = lines.index("[Data]")
    cells = dict(zip(lines[data + 1].split(","), lines[data + 2].split(","), strict=False))
    filled = [n for n in writers.BRIDGES if cells[f"Bridge {n} Resistance (Ohms)"]]
    assert filled == [bridge]
    assert cells[f"Bridge {bridge} Excitation (uA)"]
    assert cells[f"Bridge {bridge} Std. Dev. (Ohm)"]


def test_iv_text_keeps_the_digits(tmp_path):
    path = tmp_path / "iv.txt"
    n = 5
    voltage = np.array([-6.28318530717e-2, -1.2345678901e-6, 0.0, 9.87654321e-9, 0.299792458])
    writers.write_iv(
        path,
        header={"title": "test", "provenance": writers.NOTICE},
        time=0.12 * np.arange(n),
        temperature=np.full(n, 2.0012),
        field=np.full(n, 3.1),
        angle=np.full(n, 45.0),
        current=np.array([-3e-3, -1e-7, 0, 1.5e-6, 3e-3]),
        voltage=voltage,
    )
    lines = path.read_text().splitlines()
    assert lines[0] == "# title: test"
    names = "time_s\ttemperature_K\tfield_T\tangle_deg\tcurrent_A\tvoltage_V"
    assert lines[2] == names
    rows = np.array([[float(x) for x in line.split("\t")] for line in lines[3:]])
    np.testing.assert_allclose(rows[:, 5], voltage, rtol=1e-9)
    np.testing.assert_allclose(rows[:, 4], [-3e-3, -1e-7, 0, 1.5e-6, 3e-3], atol=1e-12)
    np.testing.assert_allclose(rows[:, 1:4], [[2.0012, 3.1, 45.0]] * n)


def test_every_format_says_that_it_is_synthetic(multivu, tmp_path):
    assert "synthetic stand-in" in writers.NOTICE
    assert writers.NOTICE.encode() in multivu()
