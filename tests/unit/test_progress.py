"""Progress lines: fed with the records that Snakemake logs, on a clock that the test turns."""

from __future__ import annotations

import io
import logging

import pytest

from nbnmbt.progress import Progress, attach, past_seconds, spoken, stage_of


class Build:
    """A build that logs what Snakemake logs."""

    def __init__(self, past, stats, cores=1):
        self.now, self.out = 0.0, io.StringIO()
        self.listener = Progress(past, self.out, lambda: self.now)
        self.total = sum(stats.values())
        self.done = self.jobs = 0
        self.say("run_info", stats={**stats, "total": self.total})
        self.say("resources_info", cores=cores)

    def say(self, event, **fields):
        record = logging.LogRecord("snakemake.logging", logging.INFO, "", 0, None, None, None)
        vars(record).update(event=event, **fields)
        self.listener.handle(record)

    def start(self, rule):
        self.jobs += 1
        self.say("job_info", jobid=self.jobs, rule_name=rule)
        return self.jobs

    def finish(self, job):
        self.done += 1
        self.say("job_finished", job_id=job)
        self.say("progress", done=self.done, total=self.total)
        return self.lines()[-1]

    def run(self, rule, seconds):
        job = self.start(rule)
        self.now += seconds
        return self.finish(job)

    def lines(self):
        return self.out.getvalue().splitlines()


def benchmark(folder, name, seconds):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")


def test_past_times_are_means_over_samples_and_wildcards(tmp_path):
    benchmark(tmp_path, "a/benchmarks/assemble_dataset/iv_angle.tsv", 2.0)
    benchmark(tmp_path, "a/benchmarks/assemble_dataset/rt_nbn.tsv", 1.0)
    benchmark(tmp_path, "b/benchmarks/assemble_dataset/rt_nbn.tsv", 3.0)
    benchmark(tmp_path, "a/benchmarks/fit_loops.tsv", 7.5)
    benchmark(tmp_path, "controls/benchmarks/N01-3.tsv", 11.0)
    (tmp_path / "a/benchmarks/draw_fig2.tsv").write_text("s\th:m:s\n")
    assert past_seconds(tmp_path) == {
        "assemble_dataset": 2.0,
        "fit_loops": 7.5,
        "run_control": 11.0,
    }


def test_time_left_is_the_work_left_over_the_cores():
    build = Build({"assemble_dataset": 10.0}, {"assemble_dataset": 5, "all": 1}, cores=2)
    assert build.run("assemble_dataset", 10.0) == "[datasets] 1/6 done, about 20 s left"


def test_a_slower_machine_is_noticed():
    build = Build({"assemble_dataset": 10.0}, {"assemble_dataset": 4})
    assert build.run("assemble_dataset", 20.0) == "[datasets] 1/4 done, about 60 s left"


def test_no_less_than_the_longest_job_is_left():
    past = {"assemble_dataset": 1.0, "fit_loops": 50.0}
    build = Build(past, {"assemble_dataset": 4, "fit_loops": 1}, cores=8)
    assert build.run("assemble_dataset", 1.0).endswith("about 50 s left")


def test_what_a_running_job_has_done_counts():
    build = Build(
        {"fit_loops": 60.0, "collect_numbers": 1.0}, {"fit_loops": 1, "collect_numbers": 2}
    )
    build.start("fit_loops")
    build.now += 40.0
    assert build.run("collect_numbers", 1.0) == "[numbers] 1/3 done, about 20 s left"


def test_without_past_builds_it_does_not_pretend_to_know():
    build = Build({}, {"assemble_dataset": 2, "fit_loops": 6})
    line = build.run("assemble_dataset", 1.0)
    assert line.startswith("[datasets] 1/8 done")
    assert "not known" in line


def test_a_rule_without_a_past_is_learned_in_the_build():
    build = Build({}, {"assemble_dataset": 11})
    assert build.run("assemble_dataset", 3.0) == "[datasets] 1/11 done, about 30 s left"


def test_the_last_line_promises_nothing():
    build = Build({"fit_loops": 1.0}, {"fit_loops": 1})
    assert build.run("fit_loops", 1.0) == "[estimates] 1/1 done"


def test_a_dry_run_prints_nothing():
    build = Build({"fit_loops": 1.0}, {"fit_loops": 1})
    build.start("fit_loops")
    assert build.lines() == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (9, "9 s"), (43, "45 s"), (200, "3 min"), (6000, "1 h 40 min")],
)
def test_durations_are_spoken(seconds, words):
    assert spoken(seconds) == words


def test_every_rule_has_a_stage():
    import re

    from nbnmbt.paths import repo_root

    text = "".join(p.read_text() for p in (repo_root() / "workflow/rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):", text, re.MULTILINE)
    nameless = [r for r in rules if stage_of(r) == r.replace("_", " ") and "_" in r]
    assert not nameless


def test_attaching_twice_leaves_one_listener(tmp_path):
    logger = logging.getLogger("snakemake.logging")
    before = list(logger.handlers)
    try:
        attach(tmp_path)
        second = attach(tmp_path)
        assert [h for h in logger.handlers if isinstance(h, Progress)] == [second]
    finally:
        logger.handlers = before
