"""What all tests need: this checkout's package, and built results for the notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent

# The package need not be installed, and a notebook's kernel has to find it too.
sys.path.insert(0, str(ROOT / "workflow"))
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")])
)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session")
def surrogate() -> Path:
    """Results of the default sample, brought up to date once a session as `make paper` does."""
    return _build()


_built: list[Path] = []


def _build() -> Path:
    folder = ROOT / "results" / "surrogate"
    if not _built:
        command = [sys.executable, "-m", "snakemake", "--cores", "all"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.fail(
                "the default sample does not build:\n" + "\n".join(done.stderr.splitlines()[-40:]),
                pytrace=False,
            )
        _built.append(folder)
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval find its file of replacements from whatever folder pytest is started in."""
    if getattr(config.option, "nbval_sanitize_with", None):
        config.option.nbval_sanitize_with = str(ROOT / "tests" / "nbval_sanitize.cfg")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the notebooks last: they are slow, and say little when a unit test has failed."""
    items.sort(key=_is_notebook_cell)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n``, keep a file on one worker, and all that share a built sample, too."""
    from xdist.scheduler import LoadFileScheduling

    class BySample(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _worker_of(nodeid.partition("::")[0])

    return BySample(config, log)


def _worker_of(path: str) -> str:
    """Name what a file shares with others: the default sample, `smoke`, or nothing."""
    if path.startswith(("notebooks/", "tests/browser/")) or path in _USE_SURROGATE:
        return "surrogate"
    return "smoke" if path.startswith("tests/workflow/") else path


#: Files outside the notebooks and tests/browser whose tests look at the default sample.
_USE_SURROGATE = ("tests/workflow/test_figures_regression.py",)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Build the default sample before the first notebook cell, for the cells compare its values."""
    if _is_notebook_cell(item):
        _build()


def _is_notebook_cell(item: pytest.Item) -> bool:
    return item.path.suffix == ".ipynb"
