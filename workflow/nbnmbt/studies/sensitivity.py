"""Sensitivity of the claims to the choices of the analysis.

Every option of a stage may declare the values that another reasonable analyst would have taken
(``sweep`` in its JSON schema). Each is taken in turn, all else as configured; a number of joint
variants draw all choices of all stages at once. Each claim then says in how many variants it holds,
which choices overturn it, and how far its value moves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Variant", "main", "summarise", "variants"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One other way to analyse the same data.

    Attributes
    ----------
    name : str
        File name of the variant.
    stage : str
        The stage whose choice is varied, or ``joint``.
    text : str
        What is different, in words.
    choices : dict
        Stage -> option -> value.
    """

    name: str
    stage: str
    text: str
    choices: dict[str, dict[str, Any]]


def _declared(schema: Mapping[str, Any]) -> dict[tuple[str, str], list[Any]]:
    """Return (stage, option) -> the values declared for the sweep, from the JSON schema."""

    def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in node:
            target: Any = schema
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        for one in node.get("allOf", ()):
            node = {**resolve(one), **{k: v for k, v in node.items() if k != "allOf"}}
        return node

    found = {}
    analysis = resolve(resolve(schema)["properties"]["analysis"])
    for stage, entry in analysis["properties"].items():
        for option, field in resolve(entry).get("properties", {}).items():
            values = resolve(field).get("sweep")
            if values:
                found[stage, option] = list(values)
    return found


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def variants(
    schema: Mapping[str, Any], analysis: Mapping[str, Mapping[str, Any]], *, joint: int = 0
) -> list[Variant]:
    """List the variants that the options' declared ranges span.

    Parameters
    ----------
    schema : mapping
        JSON schema of the configuration.
    analysis : mapping of str to mapping
        Configured options by stage: a declared value equal to it is no variant.
    joint : int
        Number of variants in which every choice is drawn at random from its declared values.

    Returns
    -------
    list of Variant
        One-at-a-time variants in the order of the schema, then the joint ones. The draws depend on
        the variant's number alone.
    """
    declared = _declared(schema)
    found = []
    for (stage, option), values in declared.items():
        taken = (analysis.get(stage) or {}).get(option)
        others = [value for value in values if _plain(value) != _plain(taken)]
        for position, value in enumerate(others):
            found.append(
                Variant(
                    name=f"{stage}-{option}-{position}",
                    stage=stage,
                    text=f"{stage}: {option} = {value}",
                    choices={stage: {option: value}},
                )
            )
    for number in range(joint):
        digest = hashlib.sha256(f"joint variant {number}".encode()).digest()
        generator = np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
        choices: dict[str, dict[str, Any]] = {}
        for (stage, option), values in declared.items():
            choices.setdefault(stage, {})[option] = values[int(generator.integers(len(values)))]
        found.append(
            Variant(
                name=f"joint-{number:02d}",
                stage="joint",
                text=f"joint variant {number}: every choice drawn at random",
                choices=choices,
            )
        )
    return found


def summarise(
    ledger: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Say of each claim in how many variants it holds, what overturns it, how far its value moves.

    Parameters
    ----------
    ledger : sequence of dict
        Entries of claims.json as configured.
    runs : sequence of dict
        One dict a variant: ``text``, and ``claims``: id -> verdict, value; or ``error``.

    Returns
    -------
    dict
        ``variants`` (their number), ``errors`` (variants the analysis refused, with the sentence)
        and ``claims``: id -> ``holds``, ``of``, ``verdicts`` (counts), ``fails_when``, ``spread``
        (smallest and largest value), ``summary``.
    """
    done = [run for run in runs if "claims" in run]
    claims = {}
    for entry in ledger:
        name = entry["id"]
        verdicts = [run["claims"][name]["verdict"] for run in done]
        base = entry["verdict"]
        fails = [
            f"{run['text']} ({run['claims'][name]['verdict']})"
            for run in done
            if run["claims"][name]["verdict"] != "supported"
        ]
        holds = len(done) - len(fails)
        values = [run["claims"][name]["value"] for run in done]
        values = [v for v in [*values, entry["value"]] if v is not None and math.isfinite(v)]
        if base == "not testable":
            summary = "not testable in any variant"
            if any(verdict != base for verdict in verdicts):
                summary = f"testable in some variants only; holds in {holds} of {len(done)}"
        else:
            summary = f"holds in {holds} of {len(done)} variants"
            if fails and holds:
                shown = "; ".join(fails[:3]) + ("; ..." if len(fails) > 3 else "")
                summary += f"; fails when {shown}"
        claims[name] = {
            "holds": holds,
            "of": len(done),
            "verdicts": {v: verdicts.count(v) for v in sorted(set(verdicts))},
            "fails_when": fails,
            "spread": [min(values), max(values)] if values else None,
            "unit": entry["unit"],
            "summary": summary,
        }
    return {
        "variants": len(runs),
        "errors": [{"text": r["text"], "error": r["error"]} for r in runs if "error" in r],
        "claims": claims,
    }


def _run(
    sample: str, analysis: Mapping[str, Any], stage: str, joint: int, claims_path: Path
) -> list[dict[str, Any]]:
    from nbnmbt import config
    from nbnmbt.claims import evaluate, load_claims
    from nbnmbt.errors import InputError
    from nbnmbt.results import open_results
    from nbnmbt.studies.variants import VariedResults, all_stages

    claims = load_claims(claims_path)
    base = open_results(sample)
    runs = []
    chosen = [v for v in variants(config.schema(), analysis, joint=joint) if v.stage == stage]
    for number, variant in enumerate(chosen, 1):
        entry: dict[str, Any] = {"name": variant.name, "text": variant.text}
        try:
            varied = VariedResults(base, variant.choices)
            ledger = evaluate(claims, all_stages(varied), base.geometry, base.measured)
            entry["claims"] = {
                e["id"]: {"verdict": e["verdict"], "value": e["value"]} for e in ledger
            }
        except (InputError, ValueError) as error:
            # A combination of choices may be refused as such; that is an outcome, and is reported.
            entry["error"] = str(error)
        runs.append(entry)
        print(f"{sample}: {number}/{len(chosen)} {variant.text}", flush=True)
    return runs


def main(argv: Sequence[str] | None = None) -> None:
    """Sweep the choices of one stage (`vary`), or gather all sweeps of a sample (`gather`)."""
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.studies.sensitivity", description=main.__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    vary = commands.add_parser("vary", help="judge all claims under each variant of one stage")
    vary.add_argument("--sample", required=True)
    vary.add_argument("--stage", required=True, help="a stage, or joint")
    vary.add_argument("--joint", type=int, default=0, help="number of joint variants")
    vary.add_argument("--analysis", required=True, help="configured options by stage, JSON")
    vary.add_argument("--claims", type=Path, required=True, help="claims.yaml")
    vary.add_argument("--out", type=Path, required=True)
    gather = commands.add_parser("gather", help="summarise the sweeps by claim")
    gather.add_argument("--ledger", type=Path, required=True, help="verdicts as configured")
    gather.add_argument("--out", type=Path, required=True)
    gather.add_argument("runs", type=Path, nargs="+", help="files of `vary`")
    arguments = parser.parse_args(argv)
    if arguments.command == "vary":
        content: Any = _run(
            arguments.sample,
            json.loads(arguments.analysis),
            arguments.stage,
            arguments.joint,
            arguments.claims,
        )
    else:
        runs = [run for path in arguments.runs for run in json.loads(path.read_text("utf-8"))]
        content = summarise(json.loads(arguments.ledger.read_text("utf-8")), runs)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
