"""The command line that all stages share: what reaches `run`, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from pydantic import BaseModel

from nbnmbt.analysis.estimate import estimated, read_stage, write_stage
from nbnmbt.analysis.stage import stage_command, write_netcdf


class Options(BaseModel):
    factor: float = 2.0


def mean(values):
    """Mean of the values."""
    return float(np.mean(values))


def dataset(path, **attrs):
    write_netcdf(xr.Dataset({"y": ("x", [1.0, 3.0])}, attrs=attrs), path)
    return str(path)


def run(*, curve, other=None, before=None, options, sample):
    value = None if curve is None else options.factor * float(curve["y"].mean())
    before = None if before is None else before["y_old"].value
    statistics = {
        "seen": {
            "definition": "what reached the stage",
            "other": other is not None,
            "before": before,
            "sample": sample,
        }
    }
    return {"y": estimated(mean, value, 0.1, "mA")}, statistics, xr.Dataset({"z": 1.0})


@pytest.fixture
def main():
    return stage_command(
        "kinks",
        run,
        Options,
        "A stage.",
        datasets={"curve": "a curve", "other": "another"},
        estimates={"before": "an earlier stage"},
        flags={"other": "elsewhere"},
        table="curves",
    )


def test_files_options_and_sample_reach_the_stage(main, tmp_path):
    curve = dataset(tmp_path / "curve.nc", sample="s1", provenance="measured")
    other = dataset(tmp_path / "other.nc", provenance="measured")
    earlier = tmp_path / "earlier.json"
    write_stage(earlier, {"y_old": estimated(mean, 7.0, 0.1, "mA")}, {}, attrs={})
    out, table = tmp_path / "new" / "out.json", tmp_path / "new" / "table.nc"
    arguments = ["--curve", curve, "--elsewhere", other, "--before", str(earlier)]
    arguments += ["--options", '{"factor": 5}', "--out", str(out), "--out-curves", str(table)]
    assert main(arguments) == 0
    stage = read_stage(out)
    assert stage.estimates["y"].value == 10.0
    seen = stage.statistics["seen"]
    assert (seen["other"], seen["before"], seen["sample"]) == (True, 7.0, "s1")
    assert stage.attrs["options"] == {"factor": 5.0}
    assert stage.attrs["stage"] == "kinks"
    with xr.open_dataset(table, engine="h5netcdf") as written:
        assert written["z"] == 1.0
        assert any("measured" in str(value) for value in written.attrs.values())
    # written whole: no scratch is left behind
    assert {path.name for path in out.parent.iterdir()} == {"out.json", "table.nc"}


def test_what_is_not_given_is_none(main, tmp_path):
    curve = dataset(tmp_path / "curve.nc")
    out = tmp_path / "out.json"
    main(["--curve", curve, "--out", str(out), "--out-curves", str(tmp_path / "table.nc")])
    seen = json.loads(out.read_text())["statistics"]["seen"]
    assert (seen["other"], seen["before"], seen["sample"]) == (False, None, "")


def test_the_output_must_be_named(main):
    with pytest.raises(SystemExit):
        main([])


def test_datasets_may_be_gathered_in_one_mapping(tmp_path):
    found = {}

    def gather(*, curves, options, sample):
        found.update(curves)
        return {}, {}

    main = stage_command(
        "angle", gather, Options, "A stage.", datasets={"a": "", "b": ""}, gathered="curves"
    )
    main(["--a", dataset(tmp_path / "a.nc"), "--out", str(tmp_path / "out.json")])
    assert found["a"] is not None
    assert found["b"] is None
