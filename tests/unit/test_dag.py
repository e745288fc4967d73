"""What the Snakefile asks: devices and their bases, options of a stage, last words of a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nbnmbt import dag, plan
from nbnmbt.errors import InputError
from nbnmbt.paths import repo_root


@pytest.fixture
def checkout(tmp_path):
    devices = tmp_path / "workflow" / "devices" / "controls"
    devices.mkdir(parents=True)
    (tmp_path / "workflow" / "nbnmbt").mkdir()
    (tmp_path / "Snakefile").touch()
    (devices.parent / "surrogate.yaml").write_text("seed: 1\n")
    (devices.parent / "smoke.yaml").write_text("base: surrogate\n")
    (devices / "N01_none.yaml").write_text("base: smoke\n")
    return tmp_path


def test_devices_are_found_in_all_folders(checkout):
    assert list(dag.devices(checkout)) == ["smoke", "surrogate", "N01_none"]
    assert dag.is_simulated("N01_none", checkout)
    assert not dag.is_simulated("mydevice", checkout)


def test_what_a_lab_brought_is_named_before_the_virtual_devices(checkout):
    (checkout / "data" / "raw" / "lab").mkdir(parents=True)
    assert dag.known_samples(checkout) == ["lab", "smoke", "surrogate", "N01_none"]


def test_bases_are_followed_to_the_end(checkout):
    assert [p.stem for p in dag.device_bases("N01_none", checkout)] == ["smoke", "surrogate"]
    assert dag.device_bases("surrogate", checkout) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("base: smok\n", "no virtual device 'smok' to be the base of 'smoke'; did you mean"),
        ("base: smoke\n", "'smoke' is a base of itself"),
        ("a: [\n", "smoke.yaml, line 2: not valid YAML"),
    ],
)
def test_a_wrong_base_is_a_sentence(checkout, text, sentence):
    (checkout / "workflow" / "devices" / "smoke.yaml").write_text(text)
    if text == "base: smok\n":
        sentence = sentence.replace("did you mean", "did you mean 'smoke'?")
    with pytest.raises(InputError) as error:
        dag.device_bases("smoke", checkout)
    assert sentence in str(error.value)


def test_raw_files_of_a_device_are_its_sheet(checkout):
    assert dag.raw_files("smoke", "rt_nbn", checkout) == [
        "data/raw/smoke/sample.yaml",
        "data/raw/smoke/measurements.csv",
    ]


def test_only_the_options_of_the_stage_are_passed_on():
    config = {"sample": "a", "analysis": {"loops": {"b": 1, "a": 2}, "kinks": {"c": 3}}}
    assert dag.options_text(config, "loops") == '{"a": 2, "b": 1}'
    assert json.loads(dag.options_text({}, "loops")) == {}


def test_the_last_words_of_failed_jobs_are_found(tmp_path):
    (tmp_path / "a.log").write_text("reading\nerror: raw.dat: wrong sha256.\n")
    (tmp_path / "b.log").write_text("Traceback\n  File x\nZeroDivisionError: division by zero\n")
    (tmp_path / "snakemake.log").write_text(
        f"Error in rule x:\n    log: {tmp_path}/a.log (check log file(s) for error details)\n"
        f"    log: {tmp_path}/b.log (check log file(s) for error details)\n"
        f"    log: {tmp_path}/gone.log (check log file(s) for error details)\n"
    )
    assert dag.failures([tmp_path / "snakemake.log"]) == [
        "raw.dat: wrong sha256.",
        "ZeroDivisionError: division by zero",
    ]


DRY_RUN = """\
[Sun Nov 22 17:25:31 2026]
Job 3: smoke: fit the hysteresis loops
Reason: Updated input files: b.py, a.py, d.py, c.py; Params have changed since last execution
[Sun Nov 22 17:25:31 2026]
Job 4: smoke: draw Fig. 7
Reason: Input files updated by another job: results/smoke/loops.json
Job 0: Everything is there
Reason: Input files updated by another job: x
"""


def test_a_dry_run_becomes_a_plan():
    steps = plan.parse(DRY_RUN)
    assert [step.message for step in steps] == [
        "smoke: fit the hysteresis loops",
        "smoke: draw Fig. 7",
    ]
    assert steps[0].reasons == (
        "changed: a.py, b.py, c.py and 1 more",
        "other options than last time",
    )
    text = plan.report(steps, 12.3)
    assert "smoke: draw Fig. 7               follows from the above" in text
    assert "2 jobs would run. All jobs of this sample together took 12 s" in text
    assert plan.report([], 0) == "Everything is up to date: nothing would run."


def test_past_benchmarks_are_added_up(tmp_path):
    folder = tmp_path / "results" / "smoke" / "benchmarks" / "fit"
    folder.mkdir(parents=True)
    (folder / "a.tsv").write_text("s\th:m:s\n1.5\t0:00:01\n")
    (folder.parent / "b.tsv").write_text("s\th:m:s\n2.5\t0:00:02\n")
    assert plan.last_seconds("smoke", tmp_path) == 4.0
    assert plan.last_seconds("none", tmp_path) == 0.0


def test_a_memo_forgets_what_changed_and_needs_its_folder(tmp_path):
    from nbnmbt.memo import Memo

    path = tmp_path / ".snakemake" / "memo.json"
    memo = Memo(path)
    memo.put("a.py", "1", ["x"])
    memo.save()
    assert not path.exists()
    path.parent.mkdir()
    memo.save()
    again = Memo(path)
    assert again.get("a.py", "1") == ["x"]
    assert again.get("a.py", "2") is None
    assert again.get("b.py", "1") is None
    path.write_text("not json")
    assert Memo(path).get("a.py", "1") is None


def test_a_wrong_configuration_is_found_again_at_every_start(tmp_path):
    from nbnmbt.config import schema

    folder = tmp_path / "workflow" / "config"
    folder.mkdir(parents=True)
    (folder / "default.schema.json").write_text(json.dumps(schema()))
    assert (repo_root() / "Snakefile").exists()
    for _ in range(2):
        with pytest.raises(InputError, match="no key 'sampel'"):
            dag.check_build({"sampel": "a"}, tmp_path)


def test_the_package_alone_holds_blas_to_one_thread_unless_told_otherwise():
    """A notebook in JupyterLab has no Snakemake around it that would."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    code = f"import nbnmbt, os; print([os.environ[n] for n in {names}])"

    def seen(**chosen: str) -> str:
        clean = {k: v for k, v in os.environ.items() if k not in names}
        clean["PYTHONPATH"] = str(repo_root() / "workflow")
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, env=clean | chosen, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert seen() == "['1', '1', '1']"
    assert seen(OPENBLAS_NUM_THREADS="4") == "['1', '4', '1']"
