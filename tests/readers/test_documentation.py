"""The page a lab copies from must work as it stands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from lab_files import write_sample

from nbnmbt import datasets
from nbnmbt.analysis import access, loops
from nbnmbt.analysis.resistive_transition import critical_temperature, normalise
from nbnmbt.analysis.transitions import Options
from nbnmbt.drafting import draft
from nbnmbt.readers import units
from nbnmbt.samples import COLUMNS, MEASUREMENTS, Assembly, SampleInfo, inspect

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bring_your_own_data.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_yaml_block_is_valid(block):
    content = yaml.safe_load(block)
    if set(content) == {"analysis"}:
        for key, value in content["analysis"]["transitions"].items():
            assert key in Options.model_fields
            Options.model_validate({key: value})
    else:
        SampleInfo.model_validate(content)


def test_defaults_on_the_page_are_the_defaults():
    block = next(b for b in BLOCKS if "assembly:" in b)
    stated = yaml.safe_load(block)["assembly"]
    assert Assembly.model_validate(stated) == Assembly()
    assert set(stated) == set(Assembly.model_fields)


def test_the_example_log_is_read_with_the_example_layout(tmp_path):
    name, log = re.search(r"<!-- log: (.*?) -->\n```\n(.*?)```", PAGE, re.DOTALL).groups()
    layout = re.search(r"<!-- layout for the log -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    row = dict.fromkeys(COLUMNS, "")
    row.update(
        measurement="iv_out_of_plane",
        file=f'"{name}"',
        quantity="V-I",
        configuration="interface",
        orientation="out-of-plane",
        layout="our_log",
    )
    folder = write_sample(tmp_path / "dev", [row], {name: log.encode()}, layout)
    ds = datasets.assemble(folder, "iv_out_of_plane")
    assert ds["T"].values.tolist() == [4.2]
    assert ds["B"].values.tolist() == [-0.5]
    assert ds["I"].values.tolist() == [-0.25, 0.0, 0.25]
    np.testing.assert_allclose(ds["V"].squeeze(), [12.5, -0.01, -12.48], rtol=1e-12)


def test_every_key_column_and_unit_is_named():
    for key in [*MEASUREMENTS, *COLUMNS]:
        assert f"`{key}`" in PAGE, key
    for quantity in units.CANONICAL:
        line = re.search(rf"^\| {quantity} \| (.*) \|$", PAGE, re.MULTILINE)
        assert set(line[1].split()) == set(units.known_units(quantity)), quantity


REAL = Path(os.environ.get("NBNMBT_REAL_DATA", "/nonexistent"))


@pytest.mark.skipif(not REAL.is_dir(), reason="NBNMBT_REAL_DATA is not set")
def test_the_walk_gives_the_numbers_of_the_page(tmp_path):
    """The two public files, the sheet, the configuration and the Python lines as printed."""
    files = {
        "EuSNb2Se4_RT.dat": "project_chameleon/4-probe resistivity example file.dat",
        "SnSe_NbSe2_RB.dat": "nomad-measurements/Resistivity_Ch1_TMR_Ch2_Hall_test.dat",
    }
    folder = tmp_path / "data" / "raw" / "mydevice"
    folder.mkdir(parents=True)
    for name, source in files.items():
        (folder / name).write_bytes((REAL / source).read_bytes())
    result = draft(folder)
    (folder / "sample.yaml").write_text(result.sample_yaml)
    printed = re.findall(r"^  guessed:  (.*)$", PAGE, re.MULTILINE)
    assert len(printed) >= 4
    assert set(printed) <= set(result.guesses)
    sheet = re.search(r"^```\n(measurement,.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
    (folder / "measurements.csv").write_text(sheet)
    assert inspect(folder)[1] == []

    film = datasets.assemble(folder, "rt_nbn")
    stated = re.search(r"<!-- configuration for the walk -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)[
        1
    ]
    options = Options.model_validate(yaml.safe_load(stated)["analysis"]["transitions"])
    T, R, _ = access.resistance(film, "T")
    assert "fewer than 6 points between 12 and 16 K" in normalise(T, R, Options()).reason
    found = critical_temperature(normalise(T, R, options), options)
    assert found.value == pytest.approx(3.447, abs=0.002)
    assert found.uncertainty == pytest.approx(0.005, abs=0.002)
    assert "3.447(5) K" in PAGE

    out = tmp_path / "results" / "mydevice" / "datasets" / "loops_interface.nc"
    datasets.assemble_to(folder, "loops_interface", out)
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    names: dict = {}
    exec(code.replace("results/mydevice", str(out.parents[1])), names)
    np.testing.assert_allclose(names["R_n"], 0.465, atol=1e-3)
    printed = re.search(r"max\(\"B\"\)  # ([0-9., ]+) T", code)[1]
    np.testing.assert_allclose(names["half"], [float(x) for x in printed.split(",")], atol=1e-9)

    # Fig. 7c says "not determined" and the claims about loops are inconclusive, as the page says.
    estimates, _, fitted = loops.run(
        xr.load_dataset(out, engine="h5netcdf"), {}, loops.Options(detection_draws=100)
    )
    assert fitted.attrs["reason"].startswith("the curves are no loops")
    for key in ("B_c_2K", "T_jump", "T_vanish_Bc", "T_vanish_deltaR"):
        assert estimates[key].reason.startswith(("the curves are no loops", "not measured"))
