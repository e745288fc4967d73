"""What the README says can be typed works, and what it names is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from nbnmbt.paths import repo_root

ROOT = repo_root()
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
TYPED = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
TYPED += [" ".join(text.split()) for text in CODE]
#: Folders that the README uses as an example of what a user may bring.
EXAMPLES = ("data/raw/mydevice", "mine.yaml", "out.ipynb")


def commands(word: str) -> list[str]:
    return sorted({line for line in TYPED if line.split()[:1] == [word] and len(line.split()) > 1})


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("line", commands("make"))
def test_every_make_command_is_a_target(line):
    done = subprocess.run(
        [*line.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [c for c in commands("snakemake") if "..." not in c])
def test_every_snakemake_command_plans(line, checkout):
    if "slurm" in line:
        pytest.importorskip(
            "snakemake_executor_plugin_slurm", reason="the Slurm plugin is not installed"
        )
    words = line.replace("mydevice", "smoke").split()[1:]
    done = checkout.snakemake(*words, "--dry-run")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", [c for c in commands("python") if c.startswith("python -m")])
def test_every_python_command_works(line, built):
    words = line.replace("surrogate", "smoke").split()[1:]
    done = built.python(*words)
    try:
        assert done.returncode == 0, done.stderr
    finally:
        for name in ("out.ipynb", "out.html"):
            (built.folder / name).unlink(missing_ok=True)


def named_files() -> list[str]:
    found = set()
    for text in CODE:
        text = text.strip()
        # a path, not a command: no blanks, and either a folder or a known kind of file; a bare
        # suffix (`.csv`) names a kind, not a file
        if (
            not re.fullmatch(r"\.\w+", text)
            and re.fullmatch(r"[\w.{}-]+(/[\w.{}-]*)*", text)
            and (
                "/" in text
                or re.search(r"\.(md|yaml|yml|json|csv|tex|nc|lock|toml|cff|txt)$", text)
            )
        ):
            found.add(text)
    return sorted(found)


@pytest.mark.parametrize("name", named_files())
def test_every_file_named_is_there(name, request):
    if name.startswith(EXAMPLES):
        pytest.skip("an example of what a user brings")
    if name.startswith("results/surrogate"):
        built = request.getfixturevalue("built")
        assert (built.folder / name.replace("surrogate", "smoke")).exists()
        return
    places = [ROOT, ROOT / "notebooks"]
    if not any((place / name).exists() for place in places):
        # of the tables of results and of a sample's folder
        built = request.getfixturevalue("built").folder
        samples = [built / "results" / "smoke", built / "data" / "raw" / "smoke"]
        assert any((place / name).exists() for place in samples), name


def test_the_commands_stand_in_the_readme():
    assert "make paper" in TYPED
    assert "make test" in TYPED
    assert any(c.startswith("snakemake --cores all") for c in commands("snakemake"))


def test_the_picture_is_there_and_small():
    picture = ROOT / re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)[1]
    assert 20_000 < picture.stat().st_size < 1_000_000


def test_the_first_part_is_at_most_two_screens():
    first = README.split("\n---\n")[0]
    assert len(first.splitlines()) <= 75


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^exec make test$", script, re.MULTILINE)
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0


def test_the_hosted_workflow_is_valid_yaml_and_builds_the_paper():
    import yaml

    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    said = " ".join(step.get("run", "") for step in jobs["paper"]["steps"])
    assert "make paper" in said
    assert ".ci/run" in said


def test_the_console_script_and_the_module_are_the_same():
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["nbnmbt"].split(":")
    done = subprocess.run(
        [sys.executable, "-c", f"import {module} as m; assert callable(m.{function})"], check=False
    )
    assert done.returncode == 0
