"""Twelve random devices, from raw files to numbers: planted values come back, with honest errors.

The coarse grid, so that it takes a minute; `snakemake coverage` does the same for 200 devices on
denser grids.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from nbnmbt.numbers import NUMBER_KEYS
from nbnmbt.paths import repo_root
from nbnmbt.studies.coverage import draw, load_priors, summarise
from nbnmbt.studies.runs import run_device

CONFIG = repo_root() / "workflow" / "config"
DEVICES = 12
#: What the numbers come from; the other measurements serve claims alone.
MEASURED = (
    *("rt_interface", "rt_mnbi2te4", "rt_nbn", "mr_interface", "mr_mnbi2te4"),
    *("iv_interface", "iv_nbn", "iv_temperature", "iv_out_of_plane", "iv_in_plane", "iv_angle"),
    "loops_interface",
)
#: The planted two-fold part of a position is zero: an amplitude has no symmetric error there.
POSITIVE = [key for key in NUMBER_KEYS if key.startswith("A2_position")]
SYMMETRIC = [key for key in NUMBER_KEYS if key not in POSITIVE]


def outcome(number: int) -> dict:
    return run_device(
        "surrogate",
        number,
        claims_path=CONFIG / "claims.yaml",
        grids="smoke",
        overrides=draw(load_priors(CONFIG / "coverage.yaml"), number),
        only=MEASURED,
    )


@pytest.fixture(scope="module")
def runs():
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(outcome, range(1, DEVICES + 1)))


@pytest.mark.parametrize("key", SYMMETRIC)
def test_planted_values_come_back_within_their_errors(runs, key):
    numbers = [run["numbers"][key] for run in runs]
    assert all(number["truth"] is not None for number in numbers)
    found = [n for n in numbers if n["value"] is not None]
    assert len(found) >= 10, [n["reason"] for n in numbers if n["value"] is None]
    pulls = np.array([(n["value"] - n["truth"]) / n["uncertainty"] for n in found])
    # Beyond 3 sigma lies one in 370; two of twelve have a probability below 5e-4.
    assert (np.abs(pulls) > 3).sum() <= 1, pulls
    assert np.abs(pulls).max() < 6, pulls
    # The scatter of twelve unit normals stays below 1.7 with probability 0.9999.
    assert math.sqrt(np.mean(np.sort(np.abs(pulls))[:-1] ** 2)) < 1.7, pulls


@pytest.mark.parametrize("key", POSITIVE)
def test_no_anisotropy_is_made_up(runs, key):
    found = [run["numbers"][key] for run in runs]
    assert all(n["value"] is not None for n in found)
    # per cent of Ic, far below the 2 % at which the claim is judged
    assert max(n["value"] for n in found) < 0.1


def test_the_summary_counts_the_same(runs):
    summary = summarise(runs)
    assert summary["devices"] == DEVICES
    entry = summary["numbers"]["Ic0_2K"]
    assert entry["n"] + entry["undetermined"] == DEVICES
