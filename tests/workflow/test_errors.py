"""What a user can get wrong ends with one plain sentence, not with a traceback."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest

from nbnmbt.device.simulate import simulate


def stopped(checkout, *words: str) -> str:
    """Run Snakemake, which must stop; return what it said, which must hold no traceback."""
    done = checkout.snakemake(*words)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said, said
    return said


def sentence_of(said: str, beginning: str) -> str:
    lines = [line for line in said.splitlines() if beginning in line]
    assert lines, said
    return lines[-1]


@pytest.fixture
def lab(checkout):
    """A measured sample with a single file, brought by a lab."""
    folder = simulate(
        "smoke", checkout.folder / "data" / "raw", False, sample="lab", only=["rt_nbn"]
    )
    (folder / "truth.json").unlink()
    sheet = folder / "sample.yaml"
    sheet.write_text(sheet.read_text().replace("provenance: synthetic", "provenance: measured"))
    yield folder
    shutil.rmtree(folder)


def test_an_unknown_sample_names_the_nearest(checkout):
    said = stopped(checkout, "-n", "--config", "sample=smke")
    assert "there is no sample 'smke'" in said
    assert "did you mean 'smoke'?" in sentence_of(said, "no sample 'smke'")


def test_a_sample_cannot_take_the_folder_of_a_study(checkout):
    said = stopped(checkout, "-n", "--config", "sample=coverage")
    assert "no sample can be named 'coverage': results/coverage belongs to the study" in said


def test_an_unknown_configuration_key_names_the_nearest(checkout):
    said = stopped(checkout, "-n", "--config", "analysis={lops: {}}")
    assert "no key 'analysis.lops'; did you mean 'loops'?" in said
    said = stopped(checkout, "-n", "--config", "sampel=smoke")
    assert "no key 'sampel'; did you mean 'sample'?" in said


def test_a_value_of_the_wrong_type_says_what_is_expected(checkout):
    said = stopped(checkout, "-n", "--config", "analysis={kinks: {draws: many}}")
    line = sentence_of(said, "configuration key 'analysis.kinks.draws'")
    assert "'many'" in line
    assert "integer" in line


def test_a_configuration_file_that_is_not_yaml(checkout, tmp_path):
    (tmp_path / "mine.yaml").write_text("analysis: {loops: [\n")
    said = stopped(checkout, "-n", "--configfile", str(tmp_path / "mine.yaml"))
    # Snakemake reads it before it reads the Snakefile; these words are its own
    assert "Config file is not valid JSON or YAML." in said


def test_the_plan_of_a_sample_that_does_not_exist_says_so(checkout):
    done = checkout.python("-m", "nbnmbt.plan", "--sample", "surogate")
    assert done.returncode != 0
    assert "there is no sample 'surogate'" in done.stderr
    assert "did you mean 'surrogate'?" in done.stderr
    assert "profile" not in done.stderr


def test_a_measured_sample_is_planned_without_simulation(checkout, lab):
    said = checkout.build("-n", "--config", "sample=lab")
    assert "simulate" not in said
    assert "lab: assemble rt_nbn" in said


def test_a_missing_raw_file(checkout, lab):
    raw = next(path for path in lab.iterdir() if path.suffix not in (".yaml", ".csv"))
    raw = next(raw.rglob("*.*")) if raw.is_dir() else raw
    raw.unlink()
    said = stopped(checkout, "-n", "--config", "sample=lab")
    line = sentence_of(said, raw.name)
    assert "measurements.csv" in line


def test_a_sample_sheet_that_is_not_yaml(checkout, lab):
    (lab / "sample.yaml").write_text("title: [unclosed\n")
    said = stopped(checkout, "-n", "--config", "sample=lab")
    assert "data/raw/lab/sample.yaml, line " in said


def test_a_missing_sample_sheet(checkout, lab):
    (lab / "measurements.csv").unlink()
    said = stopped(checkout, "-n", "--config", "sample=lab")
    assert "measurements.csv" in said


def test_a_wrong_hash_stops_the_build_with_the_sentence_as_last_word(checkout, lab):
    raw = next(p for p in lab.rglob("*.*") if p.suffix not in (".yaml", ".csv"))
    raw.write_bytes(raw.read_bytes() + b"\n")
    said = stopped(checkout, "--config", "sample=lab", "--", "results/lab/datasets/rt_nbn.nc")
    line = sentence_of(said, "The build stopped: ")
    assert "sha256" in line
    assert raw.name in line


def test_a_device_that_is_not_yaml_or_has_no_base(checkout):
    path = checkout.folder / "workflow" / "devices" / "bent.yaml"
    path.write_text("base: [\n")
    try:
        said = stopped(checkout, "-n", "--config", "sample=bent")
        assert "workflow/devices/bent.yaml, line 2: not valid YAML" in said
        path.write_text("base: surogate\n")
        said = stopped(checkout, "-n", "--config", "sample=bent")
        assert "did you mean 'surrogate'?" in sentence_of(said, "'surogate'")
    finally:
        path.unlink()


def test_a_figure_that_fails_says_so_and_leaves_the_old_notebook(built):
    """The last good executed notebook stays, and the last words name notebook, cell and error."""
    executed = built.folder / "results" / "smoke" / "notebooks" / "fig3_temperature_spectra.ipynb"
    before = executed.read_bytes()
    content = json.loads((built.folder / "notebooks" / executed.name).read_text())
    content["cells"].append(nbformat.v4.new_code_cell("raise RuntimeError('a slip')"))
    broken = built.folder / "broken.ipynb"
    broken.write_text(json.dumps(content))
    try:
        done = built.python("-m", "nbnmbt.notebooks", "run", "broken.ipynb", str(executed),
                            "-p", "sample", "smoke")  # fmt: skip
    finally:
        broken.unlink()
        # what a failed run leaves to be looked at does not belong into the shared build
        executed.with_suffix(".failed.ipynb").unlink()
    assert done.returncode == 2
    assert "RuntimeError: a slip" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert executed.read_bytes() == before
