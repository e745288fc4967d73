"""Say what a build would do and why, before anything runs (``make plan``).

Snakemake decides; this condenses its dry run to one line a job and adds how long the same jobs took
last time, from their benchmark files.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nbnmbt.paths import repo_root

__all__ = ["TARGET_MESSAGE", "Step", "last_seconds", "parse", "report"]


#: Message of ``rule all``, which does nothing itself.
TARGET_MESSAGE = "Everything is there"


@dataclass(frozen=True)
class Step:
    """One job that would run.

    Attributes
    ----------
    message : str
        The rule's message.
    reasons : tuple of str
        Why, in words; empty when it only follows from another step.
    """

    message: str
    reasons: tuple[str, ...]


def parse(dry_run: str) -> list[Step]:
    """Read the jobs and their reasons from the text of ``snakemake --dry-run``.

    Parameters
    ----------
    dry_run : str
        What Snakemake printed.

    Returns
    -------
    list of Step
        In Snakemake's order.
    """
    pattern = re.compile(r"^Job \d+: (?P<message>.+)\nReason: (?P<reason>.*)$", re.MULTILINE)
    return [
        Step(found["message"].strip(), tuple(_reasons(found["reason"])))
        for found in pattern.finditer(dry_run)
        if found["message"].strip() != TARGET_MESSAGE
    ]


def _reasons(text: str) -> list[str]:
    reasons = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        kind, _, files = part.partition(": ")
        names = [name.strip() for name in files.split(",") if name.strip()]
        some = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
        if kind == "Input files updated by another job":
            continue
        elif kind == "Missing output files":
            reasons.append("not made yet")
        elif kind == "Updated input files":
            reasons.append(f"changed: {some}")
        elif kind.startswith("Set of input files has changed"):
            reasons.append("other inputs than last time")
        elif kind.startswith("Params have changed"):
            reasons.append("other options than last time")
        elif kind.startswith("Code has changed"):
            reasons.append("its rule was edited")
        else:
            reasons.append(part)
    return reasons


def last_seconds(sample: str, root: Path | None = None) -> float:
    """Return the sum of the wall times in a sample's benchmark files, in s."""
    total = 0.0
    for path in ((root or repo_root()) / "results" / sample / "benchmarks").rglob("*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > 1:
            total += float(lines[1].split("\t")[0])
    return total


def report(steps: Sequence[Step], known_s: float) -> str:
    """Write the plan as text.

    Parameters
    ----------
    steps : sequence of Step
        From `parse`.
    known_s : float
        Wall time of all jobs of the last build, in s; 0 if there was none.

    Returns
    -------
    str
    """
    if not steps:
        return "Everything is up to date: nothing would run."
    because = [step for step in steps if step.reasons]
    follow = [step for step in steps if not step.reasons]
    lines = []
    width = max(len(step.message) for step in steps)
    for step in because:
        lines.append(f"{step.message.ljust(width)}  {'; '.join(step.reasons)}")
    for step in follow:
        lines.append(f"{step.message.ljust(width)}  follows from the above")
    lines.append(f"{len(steps)} jobs would run.")
    if known_s:
        lines[-1] += f" All jobs of this sample together took {known_s:.0f} s of one core."
    return "\n".join(lines)


_NOTICES = (
    "Using workflow specific profile",
    "Config file workflow",
    "Assuming ",
    "Building DAG",
    "host:",
)


def _without_notices(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return "\n".join(line for line in lines if not line.startswith(_NOTICES))


def main(argv: list[str] | None = None) -> int:
    """Print the plan for one or more samples."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.plan", description="Say what a build would do and why."
    )
    parser.add_argument("--sample", default="surrogate", help="a name, or several with commas")
    parser.add_argument("targets", nargs="*", help="Snakemake targets; default: everything")
    arguments = parser.parse_args(argv)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--config"]
    command += [f"sample={arguments.sample}", "--", *arguments.targets]
    done = subprocess.run(command, cwd=repo_root(), capture_output=True, text=True, check=False)
    if done.returncode:
        # What is wrong with the samples or the configuration comes on stdout, notices on stderr.
        print(_without_notices(done.stdout + "\n" + done.stderr), file=sys.stderr)
        return done.returncode
    steps = parse(done.stdout + "\n" + done.stderr)
    print(report(steps, sum(map(last_seconds, arguments.sample.split(",")))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
