"""How long the whole pipeline takes, and a run with nothing to do (``make benchmarks``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbnmbt.paths import repo_root

PARTS = (
    "Snakefile",
    "CITATION.cff",
    "env.yml",
    "pyproject.toml",
    "requirements.lock",
    "notebooks",
    "workflow",
    "profiles",
)


@pytest.fixture(autouse=True, scope="module")  # before the fixtures of the module that build
def _only_when_asked(request):
    if not request.config.getoption("benchmark_only"):
        pytest.skip("takes minutes: make benchmarks runs it")


def snakemake(folder: Path, *words: str) -> float:
    """Run Snakemake on two cores; return the wall time in s."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A fresh copy of the checkout, nothing built."""
    folder = tmp_path_factory.mktemp("pipeline")
    for part in PARTS:
        source = repo_root() / part
        if source.is_symlink():
            (folder / part).symlink_to(os.readlink(source))
        elif source.is_dir():
            shutil.copytree(source, folder / part, symlinks=True)
        else:
            shutil.copy2(source, folder / part)
    for name in ("data/raw", "results"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def built(copy) -> Path:
    """The copy with the default sample built, however the tests are ordered."""
    snakemake(copy)
    return copy


@pytest.mark.benchmark(group="pipeline")
def test_raw_files_to_figures(benchmark, copy):
    """`make paper` after set-up: simulation, datasets, fits, figures, numbers, on two cores."""
    benchmark.pedantic(snakemake, args=(copy, "--forceall"), rounds=1, iterations=1)


@pytest.mark.benchmark(group="pipeline")
def test_smoke_from_raw_files_to_figures(benchmark, copy):
    words = ("--forceall", "--config", "sample=smoke")
    benchmark.pedantic(snakemake, args=(copy, *words), rounds=1, iterations=1)


@pytest.mark.benchmark(group="nothing to do")
def test_a_run_with_nothing_to_do_is_within_half_again_of_an_empty_workflow(
    benchmark, built, tmp_path
):
    (tmp_path / "Snakefile").write_text("rule all:\n    input: []\n")
    empty = sorted(snakemake(tmp_path) for _ in range(5))[2]
    benchmark.pedantic(snakemake, args=(built,), rounds=5, iterations=1)
    benchmark.extra_info["empty workflow, s"] = round(empty, 3)
    # a disabled benchmark keeps no statistics
    if benchmark.stats is not None:
        assert benchmark.stats.stats.median < 1.5 * empty
