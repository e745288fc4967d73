"""Stamps come back whole from every kind of file; code inputs follow the imports, no more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nbnmbt import provenance
from nbnmbt.provenance import (
    STAMP_KEY,
    STAND_IN_NOTICE,
    code_inputs,
    figure_metadata,
    file_sha256,
    netcdf_attributes,
    provenance_of,
    read_stamp,
    stage_attributes,
    stamp,
)


@pytest.fixture
def checkout(tmp_path):
    """A small project with the layout that the functions look for."""
    package = tmp_path / "workflow" / "nbnmbt"
    for folder in ("analysis", "physics", "readers"):
        (package / folder).mkdir(parents=True)
        (package / folder / "__init__.py").touch()
    (package / "__init__.py").touch()
    (tmp_path / "Snakefile").touch()
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    (tmp_path / "raw.dat").write_text("1 2 3\n")
    return tmp_path


def write(checkout: Path, name: str, text: str) -> None:
    (checkout / "workflow" / "nbnmbt" / name).write_text(text)


# ------------------------------------------------------------------------------------------ stamps
def test_a_stamp_names_inputs_by_their_path_from_the_root_and_their_hash(checkout):
    content = stamp([checkout / "raw.dat"], {"b": 1, "a": 2}, sample="smoke", root=checkout)
    assert content["inputs"] == {"raw.dat": file_sha256(checkout / "raw.dat")}
    assert content["lock"] == file_sha256(checkout / "requirements.lock")
    assert content["notice"] == STAND_IN_NOTICE
    assert str(checkout) not in json.dumps(content)


def test_a_measured_sample_carries_no_stand_in_notice(checkout):
    assert stamp([], sample="lab", provenance="measured", root=checkout)["notice"] == ""


def test_a_stage_is_measured_only_if_all_its_inputs_say_so():
    class Data:
        def __init__(self, **attrs):
            self.attrs = attrs

    measured, synthetic = Data(provenance="measured"), Data(provenance="synthetic")
    assert provenance_of(measured, None) == "measured"
    assert provenance_of(measured, synthetic) == "synthetic"
    assert provenance_of(measured, Data()) == "synthetic"
    assert provenance_of(None) == "synthetic"


def test_stage_attributes_hold_what_a_stage_file_needs(checkout):
    attrs = stage_attributes(
        "loops", {"a": 1}, [checkout / "raw.dat", None], sample="s", provenance="measured",
        root=checkout,
    )  # fmt: skip
    assert (attrs["sample"], attrs["stage"], attrs["options"]) == ("s", "loops", {"a": 1})
    assert list(attrs[STAMP_KEY]["inputs"]) == ["raw.dat"]
    assert attrs[STAMP_KEY]["notice"] == ""


def test_the_order_of_options_does_not_change_their_hash_but_a_value_does(checkout):
    def options_hash(options):
        return stamp([], options, root=checkout)["options_sha256"]

    assert options_hash({"a": 1, "b": 2}) == options_hash({"b": 2, "a": 1})
    assert options_hash({"a": 1, "b": 2}) != options_hash({"a": 1, "b": 3})


def test_a_changed_input_changes_the_stamp(checkout):
    before = stamp(["raw.dat"], root=checkout)
    (checkout / "raw.dat").write_text("1 2 4\n")
    assert stamp(["raw.dat"], root=checkout)["inputs"] != before["inputs"]


def test_the_code_version_is_what_git_describes(checkout):
    import subprocess

    provenance.code_version.cache_clear()
    assert provenance.code_version(checkout) == "unversioned"
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.2"]):
        subprocess.run([*git, *words], check=True)
    provenance.code_version.cache_clear()
    assert provenance.code_version(checkout) == "v1.2"
    (checkout / "raw.dat").write_text("edited\n")
    provenance.code_version.cache_clear()
    assert provenance.code_version(checkout) == "v1.2-dirty"
    provenance.code_version.cache_clear()


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_a_figure_gives_its_stamp_back_and_the_same_bytes_twice(kind, checkout):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    content = stamp(
        ["raw.dat"], {"quote": "a (b) \\ c \n \u0394R = 5 \u03a9"}, sample="s", root=checkout
    )

    def draw(name):
        figure = Figure()
        figure.add_subplot().plot([0, 1], [0, 1])
        path = checkout / f"{name}.{kind}"
        with matplotlib.rc_context({"svg.hashsalt": "x"}):
            figure.savefig(path, metadata=figure_metadata(kind, content, "Figure (1)"))
        return path

    first, second = draw("a"), draw("b")
    assert read_stamp(first) == content
    assert first.read_bytes() == second.read_bytes()


def test_netcdf_and_json_give_their_stamp_back(checkout):
    import numpy as np
    import xarray as xr

    content = stamp(["raw.dat"], sample="s", root=checkout)
    dataset = xr.Dataset({"a": ("x", np.arange(3.0))}, attrs=netcdf_attributes(content))
    dataset.to_netcdf(checkout / "a.nc", engine="h5netcdf")
    assert read_stamp(checkout / "a.nc") == content
    assert dataset.attrs["comment"] == STAND_IN_NOTICE
    (checkout / "stage.json").write_text(json.dumps({"attrs": {STAMP_KEY: content}}))
    assert read_stamp(checkout / "stage.json") == content


def test_a_file_without_stamp_is_an_error_in_words(checkout):
    (checkout / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(ValueError, match=r"a\.svg: holds no provenance stamp"):
        read_stamp(checkout / "a.svg")
    with pytest.raises(ValueError, match=r"not in '\.dat' ones"):
        read_stamp(checkout / "raw.dat")


def test_the_command_line_prints_stamps_and_fails_on_files_without(checkout, capsys):
    content = stamp([], sample="s", root=checkout)
    (checkout / "stage.json").write_text(json.dumps({"attrs": {STAMP_KEY: content}}))
    assert provenance.main([str(checkout / "stage.json")]) == 0
    assert json.loads(capsys.readouterr().out) == content
    assert provenance.main([str(checkout / "raw.dat")]) == 1
    assert capsys.readouterr().err.startswith("error: raw.dat")


# ------------------------------------------------------------------------------------- code inputs
def test_code_inputs_follow_every_form_of_import(checkout):
    write(checkout, "physics/bcs.py", "import numpy\n")
    write(checkout, "physics/rsj.py", "def f():\n    from nbnmbt.physics.bcs import gap\n")
    write(checkout, "physics/laws.py", "")
    write(checkout, "analysis/estimate.py", "")
    write(
        checkout,
        "analysis/loops.py",
        "import nbnmbt.physics.rsj\nfrom nbnmbt.physics import (\n    laws,\n)\n"
        "from . import estimate\nfrom ..readers import text\n",
    )
    write(checkout, "readers/text.py", "")
    write(checkout, "analysis/angle.py", "")
    names = [f"workflow/nbnmbt/{name}.py" for name in (
        "analysis/estimate", "analysis/loops", "physics/bcs", "physics/laws", "physics/rsj",
        "readers/text",
    )]  # fmt: skip
    assert code_inputs("analysis/loops.py", root=checkout) == names
    assert code_inputs("nbnmbt.analysis.loops", root=checkout) == names


def test_code_inputs_leave_out_type_checking_imports_and_empty_packages(checkout):
    write(checkout, "physics/bcs.py", "")
    write(
        checkout,
        "analysis/loops.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nbnmbt.physics.bcs\n",
    )
    assert code_inputs("analysis/loops.py", root=checkout) == ["workflow/nbnmbt/analysis/loops.py"]
    write(checkout, "physics/__init__.py", "TABLE = 1\n")
    write(checkout, "analysis/kinks.py", "from nbnmbt.physics import bcs\n")
    assert "workflow/nbnmbt/physics/__init__.py" in code_inputs("analysis/kinks.py", root=checkout)


def test_code_inputs_hold_the_tables_a_module_names(checkout):
    write(checkout, "physics/depairing.py", "TABLE = 'ic.csv'\nOTHER = 'absent.csv'\n")
    write(checkout, "physics/ic.csv", "1,2\n")
    assert "workflow/nbnmbt/physics/ic.csv" in code_inputs("physics/depairing.py", root=checkout)


def test_code_inputs_of_a_notebook_are_itself_and_what_its_cells_import(checkout):
    write(checkout, "analysis/loops.py", "")
    write(checkout, "analysis/angle.py", "")
    cells = [
        {"cell_type": "markdown", "source": "import nbnmbt.analysis.angle"},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "from nbnmbt.analysis import loops"],
        },
    ]
    (checkout / "fig7.ipynb").write_text(json.dumps({"cells": cells}))
    assert code_inputs("fig7.ipynb", root=checkout) == [
        "fig7.ipynb",
        "workflow/nbnmbt/analysis/loops.py",
    ]


def test_code_inputs_see_an_edit_without_a_restart(checkout):
    import os

    write(checkout, "physics/bcs.py", "")
    write(checkout, "analysis/loops.py", "")
    assert len(code_inputs("analysis/loops.py", root=checkout)) == 1
    write(checkout, "analysis/loops.py", "import nbnmbt.physics.bcs\n")
    os.utime(checkout / "workflow/nbnmbt/analysis/loops.py", (2e9, 2e9))
    assert len(code_inputs("analysis/loops.py", root=checkout)) == 2


def test_an_absent_module_is_an_error_that_names_the_file(checkout):
    with pytest.raises(FileNotFoundError, match=r"no code file .*loop\.py"):
        code_inputs("analysis/loop.py", root=checkout)


def test_no_rule_of_who_may_know_whom_is_broken():
    """`physics` knows nobody, `analysis` never `device`, readers and datasets neither."""
    from nbnmbt.paths import repo_root

    package = repo_root() / "workflow" / "nbnmbt"
    forbidden = {
        "physics": ("analysis", "device", "readers", "plotting", "datasets", "samples", "report"),
        "device": ("analysis", "readers", "plotting", "datasets", "samples", "report"),
        "analysis": ("device", "readers", "plotting", "report"),
        "readers": ("physics", "device", "analysis", "plotting", "report"),
    }
    modules = [p for room in forbidden for p in sorted((package / room).glob("*.py"))]
    modules += [package / n for n in ("datasets.py", "samples.py") if (package / n).exists()]
    for path in modules:
        room = path.parent.name if path.parent != package else "readers"
        if path.name == "__init__.py":
            continue
        for used in code_inputs(path.relative_to(package).as_posix()):
            where = used.removeprefix("workflow/nbnmbt/").removesuffix(".py").split("/")[0]
            assert where not in forbidden[room], f"{path.name} needs {used}"


def test_the_package_can_be_copied_and_still_finds_its_own_root(tmp_path):
    """A copy of the checkout must never reach back into the place it was copied from."""
    import subprocess
    import sys

    from nbnmbt.paths import repo_root

    (tmp_path / "Snakefile").touch()
    shutil.copytree(repo_root() / "workflow" / "nbnmbt", tmp_path / "workflow" / "nbnmbt")
    done = subprocess.run(
        [sys.executable, "-c", "from nbnmbt.paths import repo_root; print(repo_root())"],
        cwd=tmp_path,
        env={"PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == tmp_path.resolve()
