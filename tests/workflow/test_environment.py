"""pyproject.toml, env.yml and requirements.lock agree; no tracked file names a registry."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from nbnmbt.paths import repo_root

ROOT = repo_root()
#: The Slurm plugin slows every start of Snakemake, so it is installed by hand where it is needed.
NOT_LOCKED = {"slurm"}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wanted(project) -> dict[str, Requirement]:
    """Name -> requirement, of the package and of the extras that the lock holds."""
    lines = list(project["dependencies"])
    for extra, more in project["optional-dependencies"].items():
        lines += [] if extra in NOT_LOCKED else more
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


@pytest.fixture(scope="module")
def locked() -> dict[str, list[str]]:
    """Name -> versions in the lock (several where Python versions differ)."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            name, version = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line).groups()
            found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.fixture(scope="module")
def conda() -> dict[str, SpecifierSet]:
    """Name -> versions that env.yml admits, of conda and pip packages alike."""
    found = {}
    for entry in yaml.safe_load((ROOT / "env.yml").read_text())["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, bounds = re.match(r"([A-Za-z0-9._-]+)\s*(.*)", line).groups()
            found[canonicalize_name(name)] = SpecifierSet(bounds)
    return found


def test_the_lock_holds_every_dependency_at_an_admitted_version(wanted, locked):
    for name, requirement in wanted.items():
        assert name in locked, f"{name} is not in requirements.lock"
        for version in locked[name]:
            assert requirement.specifier.contains(version), f"{name}=={version}"


def test_every_locked_package_is_pinned_with_hashes():
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    assert len(blocks) > 100
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


def test_env_yml_names_the_same_packages_with_the_same_bounds(wanted, conda, project):
    # what conda calls differently, or needs beside: the extra h5netcdf[h5py] is a package there
    others = {"python", "pip", "h5py"}
    assert set(conda) - others == set(wanted)
    for name, requirement in wanted.items():
        assert conda[name] == requirement.specifier, name
    assert conda["python"] == SpecifierSet(project["requires-python"])


def test_every_bound_of_env_yml_admits_the_locked_version(locked, conda):
    for name, bounds in conda.items():
        if name in ("python", "pip"):
            continue
        assert name in locked
        assert all(bounds.contains(version) for version in locked[name]), name


def test_this_interpreter_runs_the_locked_versions(wanted, locked):
    from importlib.metadata import version

    for name in wanted:
        if name != "uv":  # only the set-up needs it
            assert version(name) in locked[name], name


def test_no_tracked_file_names_a_package_registry():
    hosts = ["pypi." + "org", "python" + "hosted.org", "npmjs." + "org", "anaconda." + "org"]
    pattern = re.compile(rf"https?://[^\s\"']*({'|'.join(map(re.escape, hosts))})")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            text = path.read_bytes().decode("utf-8", errors="ignore")
            assert not pattern.search(text), f"{name} names a package registry"
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^\s*--(index|extra|find)", lock, re.MULTILINE)
