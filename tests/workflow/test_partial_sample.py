"""A lab brings some of the measurements, or mixes something up: what the whole workflow says.

The files are those of the smoke device under another name, declared as measured.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import xarray as xr

from nbnmbt.device.simulate import simulate
from nbnmbt.samples import MEASUREMENTS

#: What the lab brought: the film's R(T) and one V(I) sweep of the interface.
BROUGHT = ["rt_nbn", "iv_interface"]
TARGETS = ["numbers.json", "claims.json", "figures/fig2.png", "figures/fig4.svg", "claims.html"]


def as_measured(folder: Path) -> Path:
    """Make a simulated folder look as a lab's own: no planted truth, no device, its own title."""
    (folder / "truth.json").unlink()
    (folder / "sample.yaml").write_text(
        "title: Bilayer 7\nprovenance: measured\ngeometry: {NbN_nm: 38}\n", encoding="utf-8"
    )
    return folder


def bring(checkout, name: str, only: list[str]) -> Path:
    raw = checkout.folder / "data" / "raw"
    return as_measured(simulate("smoke", raw, False, sample=name, only=only))


@pytest.fixture(scope="module")
def partial(checkout):
    """A build of the partial sample; its folder of results and what was said."""
    folder = bring(checkout, "bilayer7", BROUGHT)
    said = checkout.build(
        "--config", "sample=bilayer7", "--", *[f"results/bilayer7/{name}" for name in TARGETS]
    )
    yield checkout.folder / "results" / "bilayer7", said
    shutil.rmtree(folder)
    shutil.rmtree(checkout.folder / "results" / "bilayer7")


def test_it_builds_and_simulates_nothing(partial):
    results, said = partial
    assert "simulate" not in said
    assert all((results / name).is_file() for name in TARGETS)


def test_what_was_measured_has_its_numbers(partial):
    numbers = json.loads((partial[0] / "numbers.json").read_text())
    assert numbers["Tc_NbN"]["value"] == pytest.approx(10.8, abs=0.1)
    assert numbers["Ic0_2K"]["value"] == pytest.approx(0.95, abs=0.01)
    assert numbers["Ic0_2K"]["uncertainty"] > 0


def test_what_was_not_measured_has_no_number_but_a_reason(partial):
    numbers = json.loads((partial[0] / "numbers.json").read_text())
    missing = {key: entry for key, entry in numbers.items() if entry["value"] is None}
    assert {"T_N_peak", "B_flop_interface", "Ic3_2K", "Tc_Ic0", "B_kink_Ic1", "B_c_2K"} <= set(
        missing
    )
    for key, entry in missing.items():
        named = re.fullmatch(
            r"not measured: measurements.csv lists no file for (\w+)", entry["reason"]
        )
        assert named, (key, entry["reason"])
        assert named[1] in set(MEASUREMENTS) - set(BROUGHT)
        assert entry["uncertainty"] is None


def test_claims_without_their_measurement_are_not_testable(partial):
    ledger = {entry["id"]: entry for entry in json.loads((partial[0] / "claims.json").read_text())}
    assert len(ledger) == 35
    for number in (2, 5, 16, 18, 20, 23, 25, 26, 28):
        entry = ledger[f"C{number:02d}"]
        assert entry["verdict"] == "not testable"
        assert entry["reason"].startswith("not measured: ")
    assert ledger["C08"]["verdict"] == "supported"
    assert ledger["C08"]["value"] is not None
    # What the lab says of its own film is not what the paper says of its.
    assert ledger["C34"]["verdict"] != "supported"


def test_panels_say_not_measured_and_never_stand_in(partial):
    drawn = xr.load_dataset(partial[0] / "figures" / "fig2.nc", engine="h5netcdf")
    assert drawn.attrs["provenance"] == "measured"
    assert drawn.attrs["b_not_drawn"].endswith("lists no file for rt_interface")
    assert "j_not_drawn" not in drawn.attrs
    assert "j_R" in drawn
    svg = (partial[0] / "figures" / "fig4.svg").read_text(encoding="utf-8")
    assert len(re.findall(r"not measured", svg)) >= 4
    for name in ("figures/fig4.svg", "claims.html", "numbers.json", "claims.json"):
        text = (partial[0] / name).read_text(encoding="utf-8").lower()
        assert "synthetic" not in text
        assert "stand-in" not in text


def sentence(said: str) -> str:
    """Return the sentence a stopped build ends with; there must be one, and no traceback."""
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.startswith("The build stopped: ")]
    assert len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("field", ["the field in the file does not agree", "10000 times too small", "in T but"]),
        ("voltage", ["current times voltage is not plausible", "is the voltage in mV but"]),
        ("current", ["the current is not plausible", "mA or uA but declared in A"]),
    ],
)
def test_a_wrong_unit_is_one_sentence_in_the_check_and_in_the_build(checkout, wrong, words):
    """A logger writes T, mV and mA; the layout declares Oe, V or A for one of them."""
    folder = checkout.folder / "data" / "raw" / "mixed"
    folder.mkdir(parents=True)
    unit = {"field": "T", "voltage": "mV", "current": "mA"}
    unit[wrong] = {"field": "Oe", "voltage": "V", "current": "A"}[wrong]
    rows = [f"{0.1 * k:.3f}\t{2.6 * k:.3f}\t9.0\n" for k in range(-30, 31)]  # 26 ohm
    try:
        (folder / "iv.log").write_text("I\tU\tB\n" + "".join(rows))
        columns = {"current": "I", "voltage": "U", "field": "B"}
        (folder / "sample.yaml").write_text(
            "title: mixed\nprovenance: measured\nlayouts:\n  log:\n    columns:\n"
            + "".join(
                f"      {quantity}: {{name: {name}, unit: {unit[quantity]}}}\n"
                for quantity, name in columns.items()
            )
        )
        (folder / "measurements.csv").write_text(
            "measurement,file,quantity,configuration,orientation,temperature_K,field_T,layout\n"
            "iv_interface,iv.log,V-I,interface,out-of-plane,2,9,log\n"
        )
        done = checkout.python("-m", "nbnmbt", "check", "mixed")
        problems = [x for x in done.stderr.splitlines() if x.startswith("problem: ")]
        assert done.returncode == 1
        assert len(problems) == 1, done.stderr
        target = "results/mixed/datasets/iv_interface.nc"
        stopped = checkout.snakemake("--config", "sample=mixed", "--", target)
        assert stopped.returncode != 0
        for said in (problems[0], sentence(stopped.stdout + stopped.stderr)):
            assert "iv.log" in said
            for word in words:
                assert word in said
    finally:
        shutil.rmtree(folder)
        shutil.rmtree(checkout.folder / "results" / "mixed", ignore_errors=True)


@pytest.mark.parametrize(("device", "problems"), [("N17_swapped_orientation", 1), ("surrogate", 0)])
def test_exchanged_orientations_are_one_sentence_in_the_check(checkout, device, problems):
    """Control N17: the sweeps carry the label of the other orientation."""
    raw = checkout.folder / "data" / "raw"
    only = ["iv_in_plane", "iv_out_of_plane"]
    folder = as_measured(simulate(device, raw, False, sample="bilayer8", grids="smoke", only=only))
    try:
        done = checkout.python("-m", "nbnmbt", "check", "bilayer8")
    finally:
        shutil.rmtree(folder)
    assert done.returncode == problems
    assert done.stderr.count("problem: ") == done.stderr.count("\n") == problems, done.stderr
    if problems:
        assert "measurements.csv" in done.stderr
        assert "are iv_in_plane and iv_out_of_plane exchanged?" in done.stderr
