"""The whole pipeline on `smoke`: everything is made, twice the same, and again only when needed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from nbnmbt.analysis.estimate import read_stage
from nbnmbt.numbers import NUMBER_KEYS, STAGE_FILES, read_numbers
from nbnmbt.paths import repo_root
from nbnmbt.plan import parse
from nbnmbt.provenance import STAND_IN_NOTICE, code_inputs, file_sha256, read_stamp

FIGURES = range(2, 8)
NOTEBOOKS = {
    2: "fig2_transport_properties",
    3: "fig3_temperature_spectra",
    4: "fig4_field_spectra",
    5: "fig5_critical_currents",
    6: "fig6_angular_spectra",
    7: "fig7_interface_magnetism",
}


#: These say how long the jobs took; everything else is the same, byte for byte, in every run.
TELL_RUN_TIMES = ("logs", "benchmarks", "report", "ro-crate-metadata.json")


@pytest.fixture(scope="session")
def results(built) -> Path:
    return built.folder / "results" / "smoke"


def planned(checkout, *words: str) -> set[str]:
    """Messages of the jobs that Snakemake would run."""
    said = checkout.build("-n", "--config", "sample=smoke", *words)
    return {step.message for step in parse(said)}


# ------------------------------------------------------------------------------- what is there
def test_every_file_of_the_design_is_made(results):
    for n, notebook in NOTEBOOKS.items():
        for kind in ("pdf", "svg", "png", "nc"):
            assert (results / "figures" / f"fig{n}.{kind}").stat().st_size > 1000
        for kind in ("ipynb", "html"):
            assert (results / "notebooks" / f"{notebook}.{kind}").stat().st_size > 1000
    for kind in ("json", "csv", "tex"):
        assert (results / f"numbers.{kind}").exists()
        assert (results / f"claims.{kind}").exists()


def test_numbers_hold_every_key_with_a_value_or_a_reason(results):
    numbers = read_numbers(results / "numbers.json")
    assert list(numbers) == list(NUMBER_KEYS)
    for key, number in numbers.items():
        assert (number.value is None) == (number.reason is not None), key
        assert number.definition.endswith("."), key
        assert number.estimator.startswith("nbnmbt.analysis."), key
        assert number.inputs, key
        if number.value is not None:
            assert number.uncertainty is not None, key
            assert number.uncertainty > 0, key


def test_the_notebooks_numbers_are_those_of_the_stages(results):
    numbers = read_numbers(results / "numbers.json")
    shown: set[str] = set()
    for n in FIGURES:
        of_figure = read_numbers(results / "numbers" / f"fig{n}.json")
        for key, number in of_figure.items():
            assert number == numbers[key], key
        shown |= set(of_figure)
    assert shown == set(NUMBER_KEYS), "a number that no notebook shows"
    for stage, file in STAGE_FILES.items():
        for key, estimate in read_stage(results / file).estimates.items():
            if key in numbers:
                assert NUMBER_KEYS[key].stage == stage
                assert (estimate.value, estimate.uncertainty) == (
                    numbers[key].value,
                    numbers[key].uncertainty,
                )


def test_executed_notebooks_ran_to_the_end_in_order(results):
    for notebook in NOTEBOOKS.values():
        cells = json.loads((results / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
        code = [c for c in cells if c["cell_type"] == "code" and "".join(c["source"]).strip()]
        assert [c["execution_count"] for c in code] == list(range(1, len(code) + 1)), notebook
        assert not any(o["output_type"] == "error" for c in code for o in c["outputs"])


def test_pages_load_nothing_from_elsewhere(results):
    for notebook in NOTEBOOKS.values():
        page = (results / "notebooks" / f"{notebook}.html").read_text(encoding="utf-8")
        loads = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//", page
        )
        assert not loads, notebook
        assert "stand-in" in page, notebook


# ------------------------------------------------------------------------------- provenance
def artefacts(results: Path) -> list[Path]:
    found = [results / "figures" / f"fig{n}.{kind}" for n in FIGURES
             for kind in ("pdf", "svg", "png", "nc")]  # fmt: skip
    found += sorted((results / "datasets").glob("*.nc"))
    found += sorted((results / "critical_currents").glob("*.nc"))
    return [*found, results / "loops.nc", *(results / file for file in STAGE_FILES.values())]


def test_every_artefact_says_where_it_comes_from(built, results):
    lock = file_sha256(built.folder / "requirements.lock")
    for path in artefacts(results):
        stamp = read_stamp(path)
        assert stamp["sample"] == "smoke", path.name
        assert stamp["notice"] == STAND_IN_NOTICE, path.name
        assert stamp["lock"] == lock, path.name
        assert stamp["inputs"], path.name
        for name, sha256 in stamp["inputs"].items():
            assert file_sha256(built.folder / name) == sha256, f"{path.name}: {name}"


def test_the_chain_of_stamps_leads_back_to_raw_files(built, results):
    def raw_of(name: str) -> set[str]:
        if name.startswith("data/raw/"):
            return {name}
        if name.endswith((".nc", ".json")):
            inputs = read_stamp(built.folder / name)["inputs"]
            return set().union(*map(raw_of, inputs)) if inputs else set()
        return set()

    reached = raw_of("results/smoke/figures/fig7.nc")
    assert any("loops" in name for name in reached)
    assert "data/raw/smoke/truth.json" not in set().union(
        *(raw_of(f"results/smoke/figures/fig{n}.nc") for n in FIGURES)
    )


def test_a_figure_reads_nothing_that_its_rule_does_not_declare(built, results):
    """What the stamp says was read is among the rule's inputs, so no edit can go unnoticed."""
    listing = built.build("--config", "sample=smoke", "--detailed-summary")
    declared: dict[str, set[str]] = {}
    for line in listing.splitlines():
        fields = line.split("\t")
        if len(fields) > 6 and fields[0].startswith("results/"):
            declared[fields[0]] = set(fields[4].split(","))
    for path in artefacts(results):
        name = path.relative_to(built.folder).as_posix()
        if name.startswith("results/smoke/datasets/"):
            continue  # raw files are declared through the sheet that holds their hashes
        undeclared = set(read_stamp(path)["inputs"]) - declared[name]
        assert not undeclared, f"{name} reads {undeclared}"


# ------------------------------------------------------------------------------- again
def test_a_second_run_does_nothing(built):
    assert "Nothing to be done" in built.build("--config", "sample=smoke")


def test_two_runs_give_the_same_bytes(built, results, fresh_checkout):
    other = fresh_checkout()
    other.build("--config", "sample=smoke")
    again = other.folder / "results" / "smoke"
    compared = 0
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results)
        if path.is_dir() or name.parts[0] in TELL_RUN_TIMES:
            continue
        assert path.read_bytes() == (again / name).read_bytes(), f"{name} differs"
        compared += 1
    assert compared > 50
    for path in (built.folder / "data" / "raw" / "smoke").rglob("*"):
        if path.is_file():
            name = path.relative_to(built.folder)
            assert path.read_bytes() == (other.folder / name).read_bytes(), f"{name} differs"


def comment(text: str) -> str:
    return text + "\n# an edit\n"


def test_editing_the_loops_estimator_reruns_fig_7_and_what_depends_on_it(built):
    with built.edited("workflow/nbnmbt/analysis/loops.py", comment):
        assert planned(built) == {
            "smoke: fit the hysteresis loops",
            "smoke: draw Fig. 7, the magnetism of the interface",
            "smoke: collect the numbers",
            "smoke: judge the claims of the paper",
            "smoke: write the claims ledger",
            "smoke: write the report",
            "smoke: describe the run as an RO-Crate",
        }


def test_touching_a_file_without_changing_it_reruns_nothing(built):
    path = built.folder / "workflow" / "nbnmbt" / "analysis" / "loops.py"
    status = path.stat()
    os.utime(path)
    try:
        assert planned(built) == set()
    finally:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_changed_option_reruns_its_stage_only(built):
    from nbnmbt.config import defaults

    draws = defaults()["analysis"]["kinks"]["draws"]
    jobs = planned(built, f"analysis={{kinks: {{draws: {draws + 1}}}}}")
    assert "smoke: look for kinks of the critical currents against field" in jobs
    assert not any("V(I)" in job or "loops" in job or "assemble" in job for job in jobs)
    assert not any("Fig. 7" in job or "Fig. 2" in job for job in jobs)


def test_editing_a_notebook_reruns_that_figure_only(built):
    with built.edited("notebooks/fig6_angular_spectra.ipynb", lambda text: text + "\n"):
        assert planned(built) == {
            "smoke: draw Fig. 6, the spectra against angle",
            "smoke: write the report",
            "smoke: describe the run as an RO-Crate",
        }


def test_editing_a_published_value_draws_every_figure_again(built):
    """The tables of the notebooks show it beside our number."""
    with built.edited("workflow/config/published.yaml", comment):
        jobs = planned(built)
    assert sum("draw Fig." in job for job in jobs) == len(FIGURES)
    assert "smoke: collect the numbers" not in jobs


def test_editing_a_template_of_the_ledger_writes_it_again(built):
    with built.edited("workflow/nbnmbt/templates/claims.html.j2", lambda text: text + "\n"):
        jobs = planned(built)
    assert "smoke: write the claims ledger" in jobs
    assert not any("draw" in job for job in jobs)


def test_editing_a_rule_file_writes_the_report_again(built):
    """One of its pages shows the rules as a graph."""
    with built.edited("workflow/rules/studies.smk", comment):
        assert "smoke: write the report" in planned(built)


def test_every_data_file_of_the_package_is_an_input_of_some_rule():
    """A template, table or style sheet that no rule declares could be edited without effect."""
    root = repo_root()
    rules = "".join(p.read_text() for p in (root / "workflow" / "rules").glob("*.smk"))
    names = re.findall(r"code_inputs\(\s*((?:\"[^\"]+\",?\s*)+)\)", rules)
    words = sorted({word for name in names for word in re.findall(r'"([^"]+)"', name)})
    assert "nbnmbt.claims" in words
    # what only the interactive notebooks use is no part of the workflow
    declared = set(code_inputs(*words, "notebooks/device.ipynb", root=root))
    there = {
        path.relative_to(root).as_posix()
        for path in (root / "workflow" / "nbnmbt").rglob("*")
        if path.suffix in {".j2", ".css", ".js", ".csv", ".json", ".mplstyle", ".yaml"}
    }
    assert len(there) > 10
    assert there <= declared, sorted(there - declared)


def test_editing_a_device_simulates_again(built):
    with built.edited("workflow/devices/smoke.yaml", comment):
        assert "smoke: simulate the raw files" in planned(built)
    with built.edited("workflow/devices/surrogate.yaml", comment):
        assert "smoke: simulate the raw files" in planned(built)


def test_two_samples_build_side_by_side(checkout):
    said = checkout.build("-n", "--config", "sample=smoke,surrogate")
    messages = {step.message for step in parse(said)}
    assert "smoke: fit the hysteresis loops" in messages
    assert "surrogate: fit the hysteresis loops" in messages


def test_the_plan_names_what_changed(built):
    with built.edited("workflow/nbnmbt/analysis/angle.py", comment):
        done = built.python("-m", "nbnmbt.plan", "--sample", "smoke")
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "in-plane angle" in line)
    assert "changed: workflow/nbnmbt/analysis/angle.py" in line
    done = built.python("-m", "nbnmbt.plan", "--sample", "smoke")
    assert done.stdout.strip() == "Everything is up to date: nothing would run."


# ------------------------------------------------------------------------------- lone notebooks
def test_results_computed_in_memory_are_those_of_the_build(built, results):
    """A notebook opened without Snakemake sees the same numbers: same functions, same options."""
    script = (
        "import json, shutil, sys\n"
        "from nbnmbt.results import open_results\n"
        "r = open_results('smoke')\n"
        "stages = ('transitions', 'kinks')\n"
        "print(json.dumps({k: e.value for s in stages for k, e in r.stage(s).estimates.items()}))\n"
    )
    empty = built.folder / "elsewhere"
    empty.mkdir()
    results.rename(empty / "smoke")
    try:
        done = built.python("-c", script)
    finally:
        (empty / "smoke").rename(results)
        empty.rmdir()
    assert done.returncode == 0, done.stderr
    computed = json.loads(done.stdout.splitlines()[-1])
    numbers = read_numbers(results / "numbers.json")
    for key in ("Tc_NbN", "B_flop_mnbi2te4", "B_kink_Ic0"):
        assert computed[key] == numbers[key].value
    assert not results.with_name("smoke.part").exists()


# ------------------------------------------------------------------------------- style
def test_the_workflow_is_lint_free(checkout):
    done = checkout.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_is_formatted(checkout):
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "Snakefile", "workflow/rules"],
        cwd=checkout.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_rule_has_message_log_benchmark_and_code_inputs(checkout):
    text = "".join(p.read_text() for p in (checkout.folder / "workflow/rules").glob("*.smk"))
    rules = re.split(r"^rule ", text, flags=re.MULTILINE)[1:]
    assert len(rules) > 10
    order = ["input", "output", "log", "benchmark", "wildcard_constraints", "conda", "threads",
             "resources", "params", "message", "shell"]  # fmt: skip
    for body in rules:
        name = body.split(":")[0]
        words = re.findall(r"^    (\w+):", body, re.MULTILINE)
        if "shell" not in words:  # a target that only names what to build
            continue
        for needed in ("input", "output", "log", "benchmark", "conda", "message"):
            assert needed in words, f"rule {name} has no {needed}"
        assert words == [word for word in order if word in words], f"rule {name}: order of keywords"
        assert "code=code_inputs(" in body, f"rule {name} declares no code"
