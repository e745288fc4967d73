"""The simulated sample folder: files, sheet, truth, determinism."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from nbnmbt.device import parameters, simulate
from nbnmbt.errors import InputError
from nbnmbt.numbers import NUMBER_KEYS

DEVICES = Path(__file__).parents[2] / "workflow" / "devices"
FEW = ("rt_nbn", "iv_interface", "iv_angle_nbn", "loops_interface")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return simulate.simulate("smoke", tmp_path_factory.mktemp("raw"), progress=False)


def sheet(folder):
    with open(folder / "measurements.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def iv(path):
    lines = path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("time_s")) + 1
    return np.array([[float(x) for x in line.split("\t")] for line in lines[start:]])


# --- grids ------------------------------------------------------------------------------------


def test_grid_joins_segments():
    values = simulate.grid(((0, 2, 0.5), (2, 3, 0.25), (4, 3.5, 0.25)))
    np.testing.assert_allclose(values, [0, 0.5, 1, 1.5, 2, 2.25, 2.5, 2.75, 3, 4, 3.75, 3.5])


def test_surrogate_measures_what_the_design_lists():
    sweeps = simulate.plan(parameters.load(DEVICES / "surrogate.yaml"))
    assert len(sweeps) == 395
    assert Counter(sweep.measurement for sweep in sweeps) == {
        "rt_interface": 1, "rt_mnbi2te4": 1, "rt_nbn": 1,
        "mr_interface": 1, "mr_mnbi2te4": 1, "mr_nbn": 1,
        "iv_interface": 1, "iv_mnbi2te4": 1, "iv_nbn": 1,
        "iv_temperature": 46, "iv_out_of_plane": 49, "iv_in_plane": 49,
        "iv_angle": 148, "iv_angle_nbn": 74, "loops_interface": 20,
    }  # fmt: skip
    rows = {sweep.measurement: sweep.values.size for sweep in sweeps}
    assert rows == {
        "rt_interface": 345, "rt_mnbi2te4": 345, "rt_nbn": 345,
        "mr_interface": 481, "mr_mnbi2te4": 481, "mr_nbn": 481,
        "iv_interface": 1201, "iv_mnbi2te4": 1201, "iv_nbn": 1601,
        "iv_temperature": 1401, "iv_out_of_plane": 1201, "iv_in_plane": 1201,
        "iv_angle": 1201, "iv_angle_nbn": 801, "loops_interface": 601,
    }  # fmt: skip
    by_name = {sweep.measurement: sweep for sweep in sweeps}
    field = by_name["mr_interface"].values
    assert (field[0], field[-1]) == (12, -12)
    loop = by_name["loops_interface"].values
    assert (loop[0], loop[300], loop[-1]) == (-1, 1, -1)
    assert len({sweep.file for sweep in sweeps}) == 395


# --- the folder -------------------------------------------------------------------------------


def test_sheet_names_every_file_with_its_hash(smoke):
    rows = sheet(smoke)
    files = set(contents(smoke)) - {"measurements.csv", "sample.yaml", "truth.json"}
    assert {row["file"] for row in rows} == files
    for row in rows:
        assert hashlib.sha256((smoke / row["file"]).read_bytes()).hexdigest() == row["sha256"]
        assert row["layout"] == ("iv-text" if row["quantity"] == "V-I" else "multivu")
    assert {row["measurement"] for row in rows} == set(simulate.MEASUREMENTS)


def test_smoke_is_small(smoke):
    raw = sum(len(data) for name, data in contents(smoke).items() if "/" in name)
    assert raw < 2.1e6


def test_sample_sheet_states_geometry_and_origin(smoke):
    info = yaml.safe_load((smoke / "sample.yaml").read_text())
    assert info["provenance"] == "synthetic"
    assert info["geometry"] == {
        "Ti_nm": 2, "NbN_nm": 40, "SiO2_under_nm": 300, "SiO2_side_nm": 50,
        "Ti_contact_nm": 10, "Au_contact_nm": 100,
    }  # fmt: skip
    assert info["device"] == "smoke"
    assert info["seed"] == 7


def test_every_file_says_that_it_is_synthetic(smoke):
    for name, data in contents(smoke).items():
        if name != "measurements.csv":
            assert b"ynthetic" in data[:400], name


def test_same_device_same_bytes(tmp_path, smoke):
    again = simulate.simulate(DEVICES / "smoke.yaml", tmp_path, progress=False)
    assert contents(again) == contents(smoke)


def test_a_file_depends_on_seed_and_name_only(tmp_path, smoke):
    some = simulate.simulate("smoke", tmp_path, progress=False, only=FEW)
    assert {row["measurement"] for row in sheet(some)} == set(FEW)
    for row in sheet(some):
        assert (some / row["file"]).read_bytes() == (smoke / row["file"]).read_bytes()
    other = simulate.simulate(
        "smoke", tmp_path, progress=False, only=["iv_interface"], seed=8, sample="other"
    )
    assert other.name == "other"
    a, b = (iv(folder / "iv" / "iv_interface.txt") for folder in (some, other))
    assert not np.array_equal(a[:, 5], b[:, 5])
    np.testing.assert_allclose(a[:, 5], b[:, 5], atol=2e-5)


def test_folder_appears_complete_or_not_at_all(tmp_path, monkeypatch):
    simulate.simulate("smoke", tmp_path, progress=False, only=["rt_nbn"])
    before = contents(tmp_path / "smoke")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(simulate.writers, "write_iv", fail)
    with pytest.raises(OSError, match="disk full"):
        simulate.simulate("smoke", tmp_path, progress=False, only=["rt_nbn", "iv_interface"])
    assert contents(tmp_path / "smoke") == before
    assert [path.name for path in tmp_path.iterdir()] == ["smoke"]


def test_readings_scatter_about_the_model(smoke):
    device = parameters.load(DEVICES / "smoke.yaml")
    model = simulate.Model(device)
    rows = iv(smoke / "iv" / "iv_interface.txt")
    ideal = model.voltage("interface", rows[:, 4] * 1e3 - 2e-4, 2.0) * 1e-3
    residual = rows[:, 5] - ideal
    residual -= residual.mean()
    assert 2e-7 < residual.std() < 5e-6  # source noise times resistance, readback, temperature


def test_shuffled_and_swapped_controls(tmp_path, smoke):
    noise = simulate.simulate(
        "N20_pure_noise", tmp_path, progress=False, grids="smoke", seed=7, only=["iv_interface"]
    )
    shuffled, plain = (iv(f / "iv" / "iv_interface.txt") for f in (noise, smoke))
    np.testing.assert_array_equal(np.sort(shuffled[:, 5]), np.sort(plain[:, 5]))
    assert abs(np.corrcoef(shuffled[:, 4], shuffled[:, 5])[0, 1]) < 0.3
    names = ["iv_out_of_plane", "iv_in_plane"]
    swapped = simulate.simulate(
        "N17_swapped_orientation", tmp_path, progress=False, grids="smoke", seed=7, only=names
    )
    for mine, other in (names, names[::-1]):
        found = iv(swapped / mine / "iv_09.000T.txt")[:, 5]
        expected = iv(smoke / other / "iv_09.000T.txt")[:, 5]
        np.testing.assert_allclose(found, expected, atol=2e-5)


# --- truth ------------------------------------------------------------------------------------


def test_truth_has_every_number(smoke):
    truth = json.loads((smoke / "truth.json").read_text())
    numbers = truth["numbers"]
    assert set(NUMBER_KEYS) <= set(numbers)
    assert None not in numbers.values()
    expected = {
        "Tc_NbN": 10.8, "Tc_interface": 10.8, "T_N_peak": 24.4, "T_N_max_slope": 23.83,
        "B_flop_interface": 3.0, "B_flop_mnbi2te4": 3.0, "B_sat_interface": 8.0,
        "B_sat_mnbi2te4": 8.0, "Ic0_2K": 0.95, "Ic1_2K": 1.2, "Ic2_2K": 2.1, "Ic3_2K": 5.8,
        "T_AR": 6.0, "B_kink_Ic0": 3.0, "B_c_2K": 0.18, "deltaR_2K": 0.05,
        "T_vanish_Bc": 24.4, "T_vanish_deltaR": 24.4, "A2_position_Ic0_9T": 0.0,
    }  # fmt: skip
    for key, value in expected.items():
        assert numbers[key] == pytest.approx(value, abs=6e-3), key
    # T_n doubles or quadruples with angle at 9 T, and FWHM/Ic goes as T_n^(2/3) at large gamma
    assert 15 < numbers["A2_width_Ic0_9T"] < 25
    assert numbers["A2_width_Ic0_1T"] < 1


def test_truth_curves_are_on_the_measured_grids(smoke):
    curves = json.loads((smoke / "truth.json").read_text())["curves"]
    fields = sorted(
        float(row["field_T"]) for row in sheet(smoke) if row["measurement"] == "iv_out_of_plane"
    )
    assert curves["iv_out_of_plane"]["B"] == fields
    assert len(curves["iv_out_of_plane"]["Ic0"]) == len(fields)
    angle = curves["iv_angle"]
    assert np.shape(angle["Ic2"]) == (len(angle["B"]), len(angle["theta"]))
    assert set(curves) == set(simulate.MEASUREMENTS) - {"iv_mnbi2te4"}


def test_truth_of_controls(tmp_path):
    def numbers(name):
        folder = simulate.simulate(
            name, tmp_path, progress=False, grids="smoke", only=["rt_nbn", "iv_out_of_plane"]
        )
        return json.loads((folder / "truth.json").read_text())["numbers"]

    assert numbers("N02_no_spinflop_coupling")["B_kink_Ic0"] is None
    assert numbers("N18_exchange_average")["jump_Ic0"] < -0.01
    assert numbers("N10_kink_elsewhere")["B_kink_Ic0"] == 4.5
    assert numbers("N16_bare_NbN")["Ic0_2K"] is None
    assert numbers("N16_bare_NbN")["Tc_NbN"] == 10.8


# --- command line -----------------------------------------------------------------------------


def test_command_line(tmp_path, capsys):
    out = tmp_path / "mine"
    arguments = ["--device", "smoke", "--out", str(out), "--only", "rt_nbn", "--seed", "3"]
    assert simulate.main([*arguments, "--set", "nbn.transition_temperature=11.5"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "mine: rt_nbn, 1 file; 1/1" in captured.err
    truth = json.loads((out / "truth.json").read_text())
    assert truth["seed"] == 3
    assert truth["numbers"]["Tc_NbN"] == 11.5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "surogate"], "did you mean 'surrogate'"),
        (["--device", "absent.yaml"], "no such device file"),
        (["--device", "smoke", "--only", "rt_nbm"], "did you mean 'rt_nbn'"),
        (["--device", "smoke", "--set", "loops.widht=1"], "did you mean 'width'"),
    ],
)
def test_command_line_errors_are_one_sentence(tmp_path, capsys, arguments, words):
    assert simulate.main([*arguments, "--out", str(tmp_path / "x")]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"grids.loop_temperature": [2, 6, 2]}, r"loops_interface .*loop_02\.000K\.dat"),
        ({"grids.field_map": [[0, 2, 0.5], [1.5, 3, 0.5]]}, r"iv_out_of_plane .*iv_01\.500T\.txt"),
        ({"grids.angle": [[0, 0.1, 0.02]]}, "rounding of the file names"),
    ],
)
def test_no_sweep_replaces_another(overrides, words):
    device = parameters.load(DEVICES / "smoke.yaml", overrides=overrides)
    with pytest.raises(InputError, match=words):
        simulate.plan(device)


def test_truth_at_2_K_does_not_follow_the_temperature_of_the_sweeps(tmp_path, smoke):
    warm = simulate.simulate(
        "smoke",
        tmp_path,
        progress=False,
        overrides={"grids.iv_temperature": 7.0},
        only=["iv_out_of_plane", "loops_interface"],
    )
    numbers, cold = (
        json.loads((folder / "truth.json").read_text())["numbers"] for folder in (warm, smoke)
    )
    assert numbers["B_c_2K"] == cold["B_c_2K"]
    assert numbers["deltaR_2K"] == cold["deltaR_2K"]
    # at 7 K channel 0 is normal and has no kink
    assert numbers["B_kink_Ic0"] is None
    assert numbers["jump_Ic0"] is None
    assert numbers["jump_Ic2"] > 0


def test_unknown_measurement_in_a_device(tmp_path):
    device = parameters.load(DEVICES / "smoke.yaml", overrides={"grids.not_measured": ["iv_angel"]})
    with pytest.raises(InputError, match="did you mean 'iv_angle'"):
        simulate.plan(device)
