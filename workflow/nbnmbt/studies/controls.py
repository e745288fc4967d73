"""Negative controls: devices that lack an effect must not be found to have it.

``workflow/config/controls.yaml`` says of each control device which claims must fail and which must
still pass. Each device is run several times; the confusion matrix sets expected beside found.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from nbnmbt.claims import NOT_SUPPORTED, SUPPORTED, VERDICTS
from nbnmbt.errors import InputError

__all__ = ["Controls", "binomial_interval", "confusion", "draw_matrix", "load_controls", "main"]


class Control(BaseModel):
    """What one control device must do to the claims."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    change: str
    fail: tuple[str, ...] = Field(default=(), description="Any verdict but `supported`.")
    refute: tuple[str, ...] = Field(default=(), description="`not supported`.")
    hold: tuple[str, ...] = Field(default=(), description="`supported`.")
    spare: tuple[str, ...] | Literal["all"] = Field(
        default=(), description="Any verdict but `not supported`: true claims behind poor data."
    )
    exactly: dict[str, str] = Field(default_factory=dict)
    note: str = ""


class Controls(BaseModel):
    """All of controls.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: str
    undecidable: dict[str, str] = Field(
        default_factory=dict, description="Claims that no run of the default device can support."
    )
    grids: str
    runs: int = Field(gt=0)
    controls: dict[str, Control]


def load_controls(path: str | Path) -> Controls:
    """Read and check controls.yaml."""
    try:
        controls = Controls.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(str(error).splitlines()[0], file=path) from None
    for name, control in controls.controls.items():
        for claim, verdict in control.exactly.items():
            if verdict not in VERDICTS:
                raise InputError(f"{name}: {claim}: {verdict!r} is no verdict", file=path)
    return controls


def binomial_interval(hits: int, of: int) -> tuple[float, float] | None:
    """Wilson 95 % interval of a rate; None without trials."""
    if not of:
        return None
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, of, alpha=0.05, method="wilson")
    return float(low), float(high)


def confusion(controls: Controls, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Set expected beside found verdicts, claim by device.

    Parameters
    ----------
    controls : Controls
        What is expected.
    runs : sequence of dict
        Outcomes of `nbnmbt.studies.runs.run_device`.

    Returns
    -------
    dict
        ``devices``: name -> ``runs``, ``claims``: id -> ``expected`` (``fail``, ``hold``, ``not be
        refuted``, a verdict or None), ``found`` (verdict -> count), ``as_expected``; ``claims``: id
        -> false positives (supported where it must fail), power (supported on the default device),
        each with a 95 % binomial interval; ``disagreements``: list of sentences.
    """
    by_device: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_device.setdefault(run["device"], []).append(run)
    names = sorted({claim for run in runs for claim in run["verdicts"]})
    devices: dict[str, Any] = {}
    false_positives = {name: [0, 0] for name in names}
    power = {name: [0, 0] for name in names}
    disagreements = []
    for device, outcomes in sorted(by_device.items()):
        control = controls.controls.get(device, Control(change="as calibrated to the paper"))
        claims = {}
        for name in names:
            found = [outcome["verdicts"][name] for outcome in outcomes]
            counts = {verdict: found.count(verdict) for verdict in VERDICTS if verdict in found}
            supported = found.count(SUPPORTED)
            expected: str | None = None
            agree = None
            if name in control.exactly:
                expected = control.exactly[name]
                agree = found.count(expected)
            elif name in control.fail:
                expected, agree = "fail", len(found) - supported
            elif name in control.refute:
                expected, agree = NOT_SUPPORTED, found.count(NOT_SUPPORTED)
            elif control.spare == "all" or name in control.spare:
                expected, agree = "not be refuted", len(found) - found.count(NOT_SUPPORTED)
            elif name in control.hold or (
                device == controls.default and name not in controls.undecidable
            ):
                expected, agree = "hold", supported
            if expected in ("fail", *{*VERDICTS} - {SUPPORTED}):
                false_positives[name][0] += supported
                false_positives[name][1] += len(found)
            if device == controls.default and name not in controls.undecidable:
                power[name][0] += supported
                power[name][1] += len(found)
            claims[name] = {"expected": expected, "found": counts, "as_expected": agree}
            if agree is not None and agree < len(found):
                shown = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
                disagreements.append(
                    f"{device}: {name} must {expected}, found {shown} of {len(found)}"
                    if expected in ("fail", "hold", "not be refuted")
                    else f"{device}: {name} must be {expected}, found {shown} of {len(found)}"
                )
        devices[device] = {"change": control.change, "runs": len(outcomes), "claims": claims}
    return {
        "default": controls.default,
        "devices": devices,
        "claims": {
            name: {
                "false_positives": _rate(*false_positives[name]),
                "power": _rate(*power[name]),
            }
            for name in names
        },
        "disagreements": disagreements,
    }


def _rate(hits: int, of: int) -> dict[str, Any]:
    return {
        "hits": hits,
        "of": of,
        "rate": hits / of if of else None,
        "interval95": binomial_interval(hits, of),
    }


def write_csv(matrix: Mapping[str, Any], path: Path) -> None:
    """Write the confusion matrix, one row a device and claim."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["device", "claim", "expected", *VERDICTS, "runs", "as_expected"])
        for device, entry in matrix["devices"].items():
            for claim, cell in entry["claims"].items():
                writer.writerow(
                    [
                        device,
                        claim,
                        cell["expected"] or "",
                        *(cell["found"].get(verdict, 0) for verdict in VERDICTS),
                        entry["runs"],
                        "" if cell["as_expected"] is None else cell["as_expected"],
                    ]
                )


def draw_matrix(matrix: Mapping[str, Any], path: Path) -> None:
    """Draw the share of runs in which each claim holds, device by claim, with the expectations."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    import numpy as np

    devices = list(matrix["devices"])
    claims = list(matrix["claims"])
    share = np.array(
        [
            [
                matrix["devices"][d]["claims"][c]["found"].get(SUPPORTED, 0)
                / max(1, matrix["devices"][d]["runs"])
                for c in claims
            ]
            for d in devices
        ]
    )
    plt.rcParams.update({"font.size": 6.5, "svg.hashsalt": "nbnmbt"})
    figure, axes = plt.subplots(figsize=(180 / 25.4, (18 + 4.2 * len(devices)) / 25.4))
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(claims)), claims, rotation=90)
    axes.set_yticks(range(len(devices)), devices)
    for row, device in enumerate(devices):
        for column, claim in enumerate(claims):
            cell = matrix["devices"][device]["claims"][claim]
            if cell["expected"] is None:
                continue
            right = cell["as_expected"] == matrix["devices"][device]["runs"]
            light = share[row, column] > 0.5
            axes.text(
                column,
                row,
                ("✓" if right else "✗"),
                ha="center",
                va="center",
                color="black" if light else "white",
                fontfamily="DejaVu Sans",
                fontweight="normal" if right else "bold",
            )
    bar = figure.colorbar(image, ax=axes, pad=0.01)
    bar.set_label("share of runs in which the claim is supported")
    axes.set_title(
        "✓ as expected, ✗ not as expected; no mark: no expectation. Synthetic stand-ins.",
        fontfamily="DejaVu Sans",
        fontsize=6.5,
        loc="left",
    )
    figure.tight_layout()
    metadata = {
        ".png": {"Software": None},
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    figure.savefig(path, dpi=200, metadata=metadata[path.suffix])
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Gather the runs of the control devices into the confusion matrix."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.studies.controls", description=main.__doc__
    )
    parser.add_argument("--controls", type=Path, required=True, help="controls.yaml")
    parser.add_argument("--out", type=Path, required=True, help="confusion.json; siblings follow")
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args(argv)
    from nbnmbt.studies.runs import read, write

    runs = read(arguments.runs)
    matrix = confusion(load_controls(arguments.controls), runs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_csv(matrix, arguments.out.with_suffix(".csv"))
    draw_matrix(matrix, arguments.out.with_suffix(".png"))
    write(matrix, arguments.out)
    for sentence in matrix["disagreements"]:
        print(sentence)


if __name__ == "__main__":
    main()
