"""Coverage: whether reported uncertainties are honest on devices nobody tuned estimators for.

Devices are drawn at random around the surrogate from the priors of workflow/config/coverage.yaml,
each is measured and analysed once, and every number is compared with its planted value.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.errors import InputError

__all__ = ["Priors", "draw", "load_priors", "main", "summarise"]


class Prior(BaseModel):
    """Distribution of one device parameter about the surrogate's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distribution: Literal["normal", "uniform"]
    centre: float
    spread: float = Field(gt=0, description="standard deviation, or half width of the interval")
    note: str = ""


class Priors(BaseModel):
    """All of coverage.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str
    grids: str | None = None
    count: int = Field(gt=0)
    priors: dict[str, Prior]


def load_priors(path: str | Path) -> Priors:
    """Read and check coverage.yaml."""
    try:
        return Priors.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(" ".join(str(error).split()), file=path) from None


def draw(priors: Priors, number: int) -> dict[str, float]:
    """Draw the parameters of device `number`; each stream derives from parameter name and number.

    Returns
    -------
    dict
        Dotted parameter -> value. Normal draws are cut at three standard deviations.
    """
    values = {}
    for name, prior in priors.priors.items():
        digest = hashlib.sha256(f"coverage {name} {number}".encode()).digest()
        generator = np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
        if prior.distribution == "normal":
            step = float(np.clip(generator.normal(), -3, 3))
        else:
            step = float(generator.uniform(-1, 1))
        values[name] = round(prior.centre + prior.spread * step, 9)
    return values


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pull mean and width, and coverage of the 68 % and 95 % intervals, for every number.

    Parameters
    ----------
    runs : sequence of dict
        Outcomes of `nbnmbt.studies.runs.run_device`.

    Returns
    -------
    dict
        ``devices`` and ``numbers``: key -> ``n`` (devices with value, uncertainty and truth),
        ``undetermined``, ``one_sided`` (an amplitude planted at zero, its bound: no pull, but its
        interval must cover zero as often as any other), ``pull_mean``, ``pull_mean_error``,
        ``pull_width`` (standard deviation), ``pull_width_robust`` (half the central 68 % range),
        ``coverage68``, ``coverage95`` with binomial 95 % intervals.
    """
    from nbnmbt.studies.controls import binomial_interval

    keys = list(runs[0]["numbers"]) if runs else []
    summary = {}
    for key in keys:
        pulls, undetermined = [], 0
        one_sided = True
        for run in runs:
            number = run["numbers"][key]
            if number["truth"] is None:
                continue
            if number["value"] is None or not number["uncertainty"]:
                undetermined += 1
                continue
            one_sided &= number["truth"] == 0 and number["value"] >= 0
            pulls.append((number["value"] - number["truth"]) / number["uncertainty"])
        z = np.array(pulls)
        n = z.size
        one_sided &= n > 0
        scattered = n > 1 and not one_sided
        inside68, inside95 = int((np.abs(z) <= 1).sum()), int((np.abs(z) <= 1.96).sum())
        summary[key] = {
            "n": n,
            "undetermined": undetermined,
            "one_sided": one_sided,
            "pull_mean": float(z.mean()) if n and not one_sided else None,
            "pull_mean_error": float(z.std(ddof=1) / math.sqrt(n)) if scattered else None,
            "pull_width": float(z.std(ddof=1)) if scattered else None,
            "pull_width_robust": (
                float(np.subtract(*np.percentile(z, [84.13, 15.87])) / 2) if scattered else None
            ),
            "coverage68": inside68 / n if n else None,
            "coverage68_interval": binomial_interval(inside68, n),
            "coverage95": inside95 / n if n else None,
            "coverage95_interval": binomial_interval(inside95, n),
        }
    return {"devices": len(runs), "numbers": summary}


def write_csv(summary: Mapping[str, Any], path: Path) -> None:
    """Write the summary, one row a number."""
    columns = ["n", "undetermined", "pull_mean", "pull_width", "coverage68", "coverage95"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["number", *columns])
        for key, entry in summary["numbers"].items():
            writer.writerow([key, *("" if entry[c] is None else entry[c] for c in columns)])


def draw_coverage(summary: Mapping[str, Any], path: Path) -> None:
    """Draw the coverage of the 68 % and 95 % intervals of each number with binomial errors."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    numbers = {k: v for k, v in summary["numbers"].items() if v["n"]}
    plt.rcParams.update({"font.size": 6.5, "svg.hashsalt": "nbnmbt"})
    figure, axes = plt.subplots(
        1, 2, figsize=(180 / 25.4, (24 + 3.2 * len(numbers)) / 25.4), sharey=True
    )
    rows = range(len(numbers))
    for level, marker, colour in ((68, "o", "#00496b"), (95, "s", "#b55d00")):
        values = [100 * v[f"coverage{level}"] for v in numbers.values()]
        low = [
            100 * (v[f"coverage{level}"] - v[f"coverage{level}_interval"][0])
            for v in numbers.values()
        ]
        high = [
            100 * (v[f"coverage{level}_interval"][1] - v[f"coverage{level}"])
            for v in numbers.values()
        ]
        axes[0].errorbar(
            values,
            rows,
            xerr=[[max(0, x) for x in low], [max(0, x) for x in high]],
            fmt=marker,
            ms=3,
            lw=0.7,
            color=colour,
            label=f"{level} % interval",
        )
        axes[0].axvline(level, color=colour, lw=0.6, ls="--")
    axes[0].axvspan(61, 75, color="#00496b", alpha=0.1, lw=0)
    axes[0].set_xlabel("planted value inside the interval (% of devices)")
    axes[0].set_yticks(rows, list(numbers))
    axes[0].set_ylim(len(numbers) - 0.3, -0.7)
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    pulled = [(v, row) for v, row in zip(numbers.values(), rows, strict=True) if not v["one_sided"]]
    axes[1].errorbar(
        [v["pull_mean"] for v, _ in pulled],
        [row for _, row in pulled],
        xerr=[v["pull_width"] or 0 for v, _ in pulled],
        fmt="o",
        ms=3,
        lw=0.7,
        color="#333333",
    )
    for x in (-1, 0, 1):
        axes[1].axvline(x, color="#888888", lw=0.6, ls="--" if x else "-")
    axes[1].set_xlim(-4, 4)
    axes[1].set_xlabel("pull: mean and standard deviation\n(none for what cannot be negative)")
    axes[1].set_title(f"{summary['devices']} random devices (synthetic stand-ins)", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=200, metadata={"Software": None})
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Gather the runs of random devices into pulls and coverage."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.studies.coverage", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="coverage.json; siblings follow")
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args(argv)
    from nbnmbt.studies.runs import read, write

    runs = read(arguments.runs)
    summary = summarise(runs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_csv(summary, arguments.out.with_suffix(".csv"))
    draw_coverage(summary, arguments.out.with_suffix(".png"))
    write(summary, arguments.out)


if __name__ == "__main__":
    main()
