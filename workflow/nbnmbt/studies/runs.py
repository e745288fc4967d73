"""Runs of a virtual device: simulate into a scratch folder, analyse, keep the outcome alone."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["main", "read", "run_device", "write"]


def run_device(
    device: str,
    number: int,
    *,
    claims_path: Path,
    grids: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Simulate a device once and judge every claim about the outcome.

    Parameters
    ----------
    device : str
        Name of a device file in ``workflow/devices``.
    number : int
        Number of the run. The seed derives from the device's name and this number.
    claims_path : Path
        claims.yaml.
    grids : str, optional
        Device whose measurement grids are used instead, e.g. a coarser one.
    overrides : mapping, optional
        Dotted parameter -> value.
    only : sequence of str, optional
        Measurements to make; claims about the others are not testable then.

    Returns
    -------
    dict
        ``device``, ``run``, ``grids``, ``overrides`` and what
        `nbnmbt.studies.variants.SimulatedResults.outcome` returns.
    """
    import zlib

    from nbnmbt.claims import load_claims
    from nbnmbt.device.simulate import simulate
    from nbnmbt.paths import repo_root
    from nbnmbt.studies.variants import SimulatedResults

    sample = f"{device}-{number:03d}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = simulate(
            device,
            Path(scratch),
            False,
            sample=sample,
            overrides=overrides,
            seed=zlib.crc32(sample.encode()),
            grids=grids,
            only=only,
        )
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        outcome = SimulatedResults(sample, folder, repo_root()).outcome(
            load_claims(claims_path), truth
        )
    return {
        "device": device,
        "run": number,
        "grids": grids,
        "overrides": dict(overrides or {}),
        **outcome,
    }


def write(content: Any, path: Path) -> None:
    """Write JSON; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    scratch.replace(path)


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the outcomes of all files that `main` wrote, in their order."""
    return [run for path in paths for run in json.loads(path.read_text(encoding="utf-8"))]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a virtual device several times and write what was found beside what was planted.

    Several runs in one process pay only once for the tables of the physics: some 5 s each.
    """
    parser = argparse.ArgumentParser(prog="python -m nbnmbt.studies.runs", description=main.__doc__)
    parser.add_argument("--device", required=True, help="name of a device in workflow/devices")
    parser.add_argument("--runs", type=int, nargs="+", required=True, help="numbers of the runs")
    parser.add_argument("--grids", help="device whose grids are used instead")
    parser.add_argument("--priors", type=Path, help="YAML of priors to draw the device from")
    parser.add_argument("--claims", type=Path, required=True, help="claims.yaml")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    priors = None
    if arguments.priors is not None:
        from nbnmbt.studies.coverage import draw, load_priors

        priors = load_priors(arguments.priors)
    outcomes = []
    for number in arguments.runs:
        outcomes.append(
            run_device(
                arguments.device,
                number,
                claims_path=arguments.claims,
                grids=arguments.grids,
                overrides=None if priors is None else draw(priors, number),
            )
        )
        print(f"{arguments.device}: run {number}", flush=True)
    write(outcomes, arguments.out)


if __name__ == "__main__":
    main()
