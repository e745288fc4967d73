"""The page a lab copies from must work as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from lab_files import write_sample

from nbnmbt import datasets
from nbnmbt.readers import units
from nbnmbt.samples import COLUMNS, MEASUREMENTS, Assembly, SampleInfo

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bring_your_own_data.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_yaml_block_is_valid(block):
    SampleInfo.model_validate(yaml.safe_load(block))


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
