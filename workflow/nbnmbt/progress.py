"""A line of progress for each finished job: stage, how many are done, and about how long is left.

Snakemake says what it does through the standard `logging` module, each record marked with an event.
`Progress` listens there and adds one line; nothing of Snakemake is changed. Expected times come
from the benchmark files of earlier builds, corrected by how quick this build has been so far::

    [critical currents] 31/64 done, about 40 s left
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

__all__ = ["STAGES", "Progress", "attach", "past_seconds", "spoken"]

#: Rule -> the stage a person would name.
STAGES: dict[str, str] = {
    "simulate": "raw files",
    "assemble_dataset": "datasets",
    "fit_critical_currents": "critical currents",
    "estimate_transitions": "estimates",
    "estimate_spectrum": "estimates",
    "fit_temperature_laws": "estimates",
    "detect_kinks": "estimates",
    "analyse_angle": "estimates",
    "fit_loops": "estimates",
    "collect_numbers": "numbers",
    "judge_claims": "claims",
    "write_ledger": "claims",
    "vary_analysis": "sensitivity",
    "gather_sensitivity": "sensitivity",
    "write_report": "report",
    "describe_run": "exchange",
    "pack_archive": "exchange",
    "run_control": "controls",
    "gather_controls": "controls",
    "run_random_devices": "coverage",
    "gather_coverage": "coverage",
}
#: Least expected time in s after which the pace of this build corrects the expectation.
_ENOUGH = 2.0


def stage_of(rule: str) -> str:
    """Return the stage a rule belongs to; figures are named by their rule."""
    if rule.startswith("draw_fig"):
        return "figures"
    return STAGES.get(rule, rule.replace("_", " "))


def past_seconds(results: str | Path) -> dict[str, float]:
    """Return how long the jobs of each rule took on average in earlier builds, in s.

    Parameters
    ----------
    results : path-like
        The folder ``results``.

    Returns
    -------
    dict of str to float
        Rule -> mean wall time over the benchmark files of all samples.
    """
    times: dict[str, list[float]] = {}
    for path in sorted(Path(results).glob("*/benchmarks/**/*.tsv")):
        inside = path.relative_to(results).parts[2:]
        rule = inside[0] if len(inside) > 1 else path.stem
        # the studies keep the benchmarks of one rule without a folder of its own
        rule = {"controls": "run_control", "coverage": "run_random_devices"}.get(
            path.relative_to(results).parts[0], rule
        )
        try:
            row = path.read_text(encoding="utf-8").splitlines()[1]
            times.setdefault(rule, []).append(float(row.split("\t")[0]))
        except (OSError, IndexError, ValueError):
            continue  # a benchmark cut short says nothing
    return {rule: sum(found) / len(found) for rule, found in times.items()}


def spoken(seconds: float) -> str:
    """Return a duration the way a person says it, e.g. ``40 s``, ``3 min`` or ``1 h 10 min``."""
    if seconds < 10:
        return f"{max(round(seconds), 1)} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


class Progress(logging.Handler):
    """Print a line whenever a job has finished.

    Parameters
    ----------
    past : mapping of str to float
        Rule -> expected seconds, see `past_seconds`.
    stream : text stream, optional
        Where the lines go; stderr, where Snakemake's own go, by default.
    clock : callable, optional
        Seconds from any origin.
    """

    def __init__(
        self,
        past: Mapping[str, float],
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.INFO)
        self.past = dict(past)
        self.stream = stream
        self.clock = clock
        self.cores = 1
        self.waiting: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}
        self.taken: dict[str, list[float]] = {}
        self.last_rule = ""
        self.told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of what Snakemake says; never disturb it."""
        try:
            self._listen(str(getattr(record, "event", "")), vars(record))
        except Exception:
            self.handleError(record)

    def _listen(self, event: str, said: Mapping[str, Any]) -> None:
        # the events are an enumeration of strings; older releases print its class before the name
        event = event.rpartition(".")[2].lower()
        if event == "run_info":
            stats = {k: int(v) for k, v in (said.get("stats") or {}).items() if k != "total"}
            self.waiting = Counter(stats)
        elif event == "resources_info" and isinstance(said.get("cores"), int):
            self.cores = max(int(said["cores"]), 1)
        elif event == "job_info":
            rule = str(said["rule_name"])
            self.running[int(said["jobid"])] = (rule, self.clock())
            self.waiting[rule] = max(self.waiting[rule] - 1, 0)
        elif event == "job_finished":
            rule, since = self.running.pop(int(said["job_id"]), ("", 0.0))
            if rule:
                self.taken.setdefault(rule, []).append(self.clock() - since)
                self.last_rule = rule
        elif event == "progress" and self.last_rule:
            self._print(int(said["done"]), int(said["total"]))

    def expected(self, rule: str) -> float | None:
        """Return the expected seconds of a job: from past builds, else from this one."""
        if rule in self.past:
            return self.past[rule]
        here = self.taken.get(rule)
        return sum(here) / len(here) / self.pace() if here else None

    def pace(self) -> float:
        """Return how many times longer the jobs of this build take than those of the past did."""
        known = [(t, self.past[rule]) for rule, ts in self.taken.items() if rule in self.past
                 for t in ts]  # fmt: skip
        before = sum(expected for _, expected in known)
        if before < _ENOUGH:
            return 1.0
        return min(max(sum(took for took, _ in known) / before, 0.25), 8.0)

    def left(self) -> float | None:
        """Return the seconds that are probably left.

        Returns
        -------
        float or None
            None while nothing is known of most of what is to be done.
        """
        pace, now = self.pace(), self.clock()
        work, longest, unknown = 0.0, 0.0, 0
        for rule, count in self.waiting.items():
            seconds = self.expected(rule)
            if seconds is None:
                unknown += count * (rule != "all")
                continue
            work += count * seconds * pace
            longest = max(longest, seconds * pace * (count > 0))
        for rule, since in self.running.values():
            seconds = self.expected(rule)
            rest = max((seconds or 0.0) * pace - (now - since), 0.0)
            work += rest
            longest = max(longest, rest)
        if unknown > 0.3 * max(sum(self.waiting.values()), 1):
            return None
        return max(work / self.cores, longest)

    def _print(self, done: int, total: int) -> None:
        left = self.left()
        if done >= total:
            words = ""
        elif left is None:
            words = "" if self.told else ", time left not known: no build like this before"
            self.told = True
        else:
            words = f", about {spoken(left)} left"
        line = f"[{stage_of(self.last_rule)}] {done}/{total} done{words}"
        print(line, file=self.stream or sys.stderr, flush=True)


def attach(results: str | Path = "results") -> Progress:
    """Let a running Snakemake print progress.

    Parameters
    ----------
    results : path-like
        The folder whose benchmark files tell the expected times.

    Returns
    -------
    Progress
        The listener; calling again replaces it.
    """
    logger = logging.getLogger("snakemake.logging")
    for handler in list(logger.handlers):
        if isinstance(handler, Progress):
            logger.removeHandler(handler)
    listener = Progress(past_seconds(results))
    logger.addHandler(listener)
    return listener
