"""A quick subset of the negative controls: one run each on the coarse grid.

Each device is measured only as far as its claims need; `snakemake controls` runs them all in full.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import pytest

from nbnmbt.paths import repo_root
from nbnmbt.studies.controls import confusion, load_controls
from nbnmbt.studies.runs import run_device

CONFIG = repo_root() / "workflow" / "config"
LOOPS = ["loops_interface", "rt_mnbi2te4"]
FIELD = ["iv_out_of_plane", "iv_in_plane", "mr_mnbi2te4", "mr_interface"]
ANGLE = ["iv_angle", "iv_out_of_plane", "iv_in_plane"]

#: Device -> measurements made, claims judged.
CASES = {
    "N01_no_interface_magnetism": (LOOPS, ["C26", "C28", "C30", "C02"]),
    "N02_no_spinflop_coupling": (FIELD, ["C18", "C19", "C05", "C32"]),
    "N03_no_AR": (["iv_interface", "rt_interface"], ["C10", "C04", "C08"]),
    "N05_anisotropic_Ic": (ANGLE, ["C24", "C22", "C23"]),
    "N08_tilt": (ANGLE, ["C24", "C21"]),
    "N12_lag_remanence_only": (LOOPS, ["C26", "C28", "C30"]),
    "N17_swapped_orientation": (ANGLE, ["C24", "C23", "C22", "C21"]),
    "N21_noisy_meters": ([*LOOPS, "mr_mnbi2te4", "mr_interface"], ["C05", "C26", "C28", "C30"]),
}


def outcome(device: str) -> dict:
    return run_device(
        device,
        1,
        claims_path=CONFIG / "claims.yaml",
        grids="smoke",
        only=CASES[device][0],
    )


@pytest.fixture(scope="module")
def matrix():
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(outcome, CASES))
    return confusion(load_controls(CONFIG / "controls.yaml"), runs)


@pytest.mark.parametrize("device", CASES)
def test_claims_flip_as_they_must(matrix, device):
    claims = matrix["devices"][device]["claims"]
    for claim in CASES[device][1]:
        cell = claims[claim]
        assert cell["expected"] is not None, claim
        assert cell["as_expected"] == 1, (claim, cell)
