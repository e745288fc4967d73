"""One copy of the checkout and one build of `smoke` a session, shared by all workflow tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nbnmbt.paths import repo_root

#: What a build or a test of the workflow needs of the checkout.
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


@dataclass(frozen=True)
class Checkout:
    """A copy of this checkout, without results and without git."""

    folder: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run this interpreter in the copy, with the copy's package."""
        environment = os.environ | {"PYTHONPATH": str(self.folder / "workflow")}
        return self._run(words, environment)

    def snakemake(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy as a user would, without this session's PYTHONPATH."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return self._run(["-m", "snakemake", "--cores", "2", *words], environment)

    def _run(self, words, environment) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def build(self, *words: str) -> str:
        """Run Snakemake, which must succeed; return what it said."""
        done = self.snakemake(*words)
        assert done.returncode == 0, done.stderr[-6000:]
        return done.stdout + done.stderr

    @contextmanager
    def edited(self, name: str, change: Callable[[str], str]) -> Iterator[None]:
        """Change a file for a while; afterwards it is as it was, its time included."""
        path = self.folder / name
        before, status = path.read_text(encoding="utf-8"), path.stat()
        after = change(before)
        assert after != before, f"the edit of {name} changed nothing"
        try:
            path.write_text(after, encoding="utf-8")
            yield
        finally:
            path.write_text(before, encoding="utf-8")
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_of_checkout(folder: Path) -> Checkout:
    """Copy what a build needs."""
    root = repo_root()
    for part in PARTS:
        source = root / part
        if source.is_symlink():
            (folder / part).symlink_to(os.readlink(source))
        elif source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "*.egg-info")
            shutil.copytree(source, folder / part, ignore=ignored, symlinks=True)
        else:
            shutil.copy2(source, folder / part)
    for name in ("data/raw", "results"):
        (folder / name).mkdir(parents=True)
    return Checkout(folder)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which nothing is built; tests that plan, or fail on purpose, use it."""
    return copy_of_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Checkout]:
    """Make another copy in which nothing is built."""
    return lambda: copy_of_checkout(tmp_path_factory.mktemp("again"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy in which the whole pipeline ran on `smoke`. Tests leave it as they found it."""
    copy = copy_of_checkout(tmp_path_factory.mktemp("built"))
    copy.build("--config", "sample=smoke")
    return copy
