"""How long the virtual device takes (``make benchmarks``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbnmbt.device import parameters, simulate, writers
from nbnmbt.device.model import Model
from nbnmbt.physics import magnet

DEVICES = Path(__file__).parents[2] / "workflow" / "devices"


@pytest.fixture(autouse=True)
def _only_when_asked(request):
    if not request.config.getoption("benchmark_only"):
        pytest.skip("make benchmarks runs it")


@pytest.mark.parametrize("name", ["surrogate", "smoke"])
def test_generate_a_sample(benchmark, tmp_path, name):
    folder = benchmark.pedantic(
        simulate.simulate, args=(name, tmp_path, False), rounds=3, warmup_rounds=1
    )
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    benchmark.extra_info.update(files=len(sizes), megabytes=round(sum(sizes) / 1e6, 2))


def test_heated_sweeps(benchmark, tmp_path):
    """The heat balance is the dearest artefact."""
    benchmark.pedantic(
        simulate.simulate,
        args=("N15_heating", tmp_path, False),
        kwargs={"only": ["iv_out_of_plane"]},
        rounds=1,
    )


def test_one_ideal_sweep(benchmark):
    model = Model(parameters.load(DEVICES / "surrogate.yaml"))
    current = np.linspace(-3, 3, 1201)
    T = 2 + 1e-3 * np.sin(current)
    benchmark(model.voltage, "interface", current, T, 5.0, "out-of-plane", 0.0)


def test_surface_of_the_magnet(benchmark):
    """Seven open chains of 61 layers through the canted phase, and their average."""

    def build():
        magnet._canted_chain.cache_clear()
        magnet._surface_curve.cache_clear()
        mbt = magnet.Magnet.from_fields(
            spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=24.4
        )
        return magnet.surface_average(3.1, mbt, "out-of-plane", xi=5.0, flop_spread=0.15)

    assert 0.4 < benchmark(build) < 0.8


def test_write_rows(benchmark, tmp_path):
    n = 100_000
    columns = {
        "time": np.arange(n) * 0.12,
        "temperature": np.full(n, 2.0),
        "field": np.full(n, 1.0),
        "angle": np.full(n, 0.0),
        "current": np.linspace(-3e-3, 3e-3, n),
        "voltage": np.linspace(-0.06, 0.06, n),
    }
    benchmark(writers.write_iv, tmp_path / "iv.txt", header={}, **columns)
    benchmark.extra_info["rows_per_second"] = round(n / benchmark.stats["mean"])
