"""Written figures: same bytes in every process, stamped, vector but for the maps, readable data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import figure_samples as samples
import numpy as np
import pytest
import xarray as xr

from nbnmbt import provenance
from nbnmbt.plotting.save import save_figure

STAMP = {
    "code": "v0-test",
    "inputs": {"a.nc": "0" * 64},
    "lock": "1" * 64,
    "notice": provenance.STAND_IN_NOTICE,
    "options": {},
    "options_sha256": "2" * 64,
    "provenance": "synthetic",
    "sample": "surrogate",
}

_PROGRAM = """
import json, sys
import figure_samples as samples
from nbnmbt.plotting.save import save_figure
figure, drawn = samples.draw(int(sys.argv[1]))
save_figure(figure, "fig", sys.argv[2], drawn, json.loads(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    figure, drawn = samples.draw(3)
    folder = tmp_path_factory.mktemp("figures")
    return save_figure(figure, "fig3", folder, drawn, STAMP), drawn


def test_all_formats_are_written(written):
    paths, _ = written
    assert sorted(paths) == ["nc", "pdf", "png", "svg"]
    assert all(path.stat().st_size > 1000 for path in paths.values())
    assert {p.name for p in paths["pdf"].parent.iterdir()} == {p.name for p in paths.values()}


def test_stamp_reads_back_from_every_format(written):
    paths, _ = written
    for path in paths.values():
        assert provenance.read_stamp(path) == STAMP


@pytest.mark.parametrize("number", [2, 6])
def test_same_bytes_in_another_process(number, tmp_path):
    sums = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
        }
        environment.pop("SOURCE_DATE_EPOCH", None)
        subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(number), str(folder), json.dumps(STAMP)],
            env=environment,
            check=True,
        )
        sums.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()})
    assert sums[0] == sums[1]


def test_netcdf_gives_back_what_was_drawn(written):
    paths, drawn = written
    with xr.open_dataset(paths["nc"], engine="h5netcdf") as read:
        assert set(read.variables) == set(drawn.variables)
        for name in drawn.variables:
            if drawn[name].dtype.kind == "f":
                np.testing.assert_array_equal(read[name].values, drawn[name].values)
            assert read[name].attrs.get("units") == drawn[name].attrs.get("units")
        assert read.attrs["Conventions"].startswith("CF")
        assert "stand-in" in read.attrs["comment"]


def test_svg_and_pdf_hold_no_date(written):
    paths, _ = written
    assert b"<dc:date>" not in paths["svg"].read_bytes()
    assert b"CreationDate" not in paths["pdf"].read_bytes()


def test_only_maps_are_pictures_inside_the_vector_files(written):
    paths, _ = written
    # the map of Fig. 3 and the solid part of its colour bar
    assert len(re.findall(rb"<image\b", paths["svg"].read_bytes())) == 2
    assert paths["pdf"].read_bytes().count(b"/Subtype /Image") == 2


def test_lines_are_named_in_the_svg(written):
    paths, _ = written
    text = paths["svg"].read_text(encoding="utf-8")
    assert 'id="b_profile:0"' in text
    assert 'id="a_Ic:0"' in text


def test_png_has_the_resolution_of_print(written):
    import matplotlib.image

    paths, _ = written
    height, width, _ = matplotlib.image.imread(paths["png"]).shape
    assert width == pytest.approx(180 / 25.4 * 300, abs=1)
    assert height == pytest.approx(96 / 25.4 * 300, abs=1)
