"""A sample's results with realistic content, in seconds: for tests of the pages, not of physics.

Figures come from the plotting functions on closed-form data, texts from claims.yaml and the
notebooks; verdicts, values and run times are made up so that every kind of row is there.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit"))

import figure_samples  # noqa: E402

SAMPLE = "surrogate"
#: A claim with a word nobody else has, to be searched for.
SEARCHED = "C14"


def make(root: Path, *, studies: bool = True, without: tuple[str, ...] = ()) -> Path:
    """Fill a checkout-like folder with results of one sample; `without` names measurements."""
    for name in ("Snakefile", "workflow", "pyproject.toml", "requirements.lock"):
        (root / name).symlink_to(ROOT / name)
    results = root / "results" / SAMPLE
    raw = root / "data" / "raw" / SAMPLE
    for folder in (results / "benchmarks", results / "datasets", results / "notebooks", raw):
        folder.mkdir(parents=True)
    (raw / "sample.yaml").write_text(
        "title: Virtual device calibrated to the paper\nprovenance: synthetic\n"
        "description: 'A test''s own <sample> & its description'\nseed: 1\n"
        "geometry: {Ti_nm: 2, NbN_nm: 40}\nlicence: CC0-1.0\n",
        encoding="utf-8",
    )
    stamp = _stamp(root)
    _figures(results, stamp)
    _stages(results)
    _claims(results)
    _critical_currents(results, without)
    _datasets(results, without)
    _benchmarks(root, results)
    if studies:
        _studies(root / "results")
    return root


def _stamp(root: Path) -> dict:
    from nbnmbt.provenance import stamp

    return stamp(
        [root / "data/raw" / SAMPLE / "sample.yaml"], {"sample": SAMPLE}, sample=SAMPLE, root=root
    )


def _figures(results: Path, stamp: dict) -> None:
    import nbformat

    from nbnmbt.plotting.save import save_figure
    from nbnmbt.report.content import FIGURES

    written: dict[str, Path] = {}
    for number, name in FIGURES.items():
        # drawing is slow, and that each figure shows its own data is tested elsewhere
        if not written:
            figure, drawn = figure_samples.draw(3)
            written = save_figure(figure, "fig3", results / "figures", drawn, stamp)
        for path in written.values():
            if number != 3:
                shutil.copyfile(path, path.with_stem(f"fig{number}"))
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for count, cell in enumerate(cells, 1):
            cell.execution_count = count
            cell.outputs = []
        cells[0].outputs = [nbformat.v4.new_output("stream", text="read 12 files\n")]
        picture = base64.b64encode(_small(written["png"])).decode()
        cells[-2].outputs = [
            nbformat.v4.new_output(
                "execute_result",
                {"image/png": picture, "text/plain": "<Figure>"},
                execution_count=len(cells) - 1,
            )
        ]
        table = (
            "<table><thead><tr><th scope='col'>quantity</th></tr></thead>"
            "<tbody><tr><td>Tc</td></tr></tbody></table>"
        )
        cells[-1].outputs = [
            nbformat.v4.new_output(
                "execute_result",
                {"text/html": table, "text/plain": "Tc"},
                execution_count=len(cells),
            )
        ]
        nbformat.write(notebook, results / "notebooks" / f"{name}.ipynb")


def _small(picture: Path) -> bytes:
    """Make a picture of the size that a notebook's cell shows."""
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(picture) as image:
        image.reduce(4).save(stream, "PNG")
    return stream.getvalue()


def _stages(results: Path) -> None:
    from nbnmbt.numbers import NUMBER_KEYS, STAGE_FILES, published_values

    paper = published_values()
    numbers = {}
    for place, (key, about) in enumerate(NUMBER_KEYS.items()):
        centre = paper.get(key, {}).get("value", 1.0)
        missing = key == "B_kink_Ic2"
        numbers[key] = {
            "value": None if missing else centre * (1 + 0.004 * ((place * 7) % 5 - 2)),
            "uncertainty": None if missing else 0.005 * centre,
            "unit": about.unit,
            "definition": f"What {key} means, in one sentence & without <marks>.",
            "estimator": f"nbnmbt.analysis.{about.stage}.{key}",
            "figure": about.figure,
            "inputs": {},
            "claim": about.claim,
            "reason": "no kink is seen" if missing else None,
        }
    (results / "numbers.json").write_text(json.dumps(numbers), encoding="utf-8")
    for kind in ("csv", "tex"):
        (results / f"numbers.{kind}").write_text("key\n", encoding="utf-8")
    for stage, file in STAGE_FILES.items():
        content = {
            "attrs": {"sample": SAMPLE, "stage": stage, "options": {"window_T": [1, 2]}},
            "estimates": {},
            "statistics": {},
        }
        (results / file).write_text(json.dumps(content), encoding="utf-8")


def _claims(results: Path) -> None:
    import yaml

    from nbnmbt.claims import VERDICTS
    from nbnmbt.wording import subject

    path = ROOT / "workflow" / "config" / "claims.yaml"
    book = yaml.safe_load(path.read_text(encoding="utf-8"))
    verdicts = [0, 0, 0, 2, 0, 1, 0, 3, 0, 0]
    ledger = []
    for place, claim in enumerate(book["claims"]):
        verdict = VERDICTS[verdicts[place % len(verdicts)]]
        published = {"value": None, "unit": "", **claim["published"]}
        value = published["value"]
        known = value is not None and verdict != "not testable"
        reasons = [
            "the 95 % interval lies where the claim says",
            "second test" + (" (zebra)" if claim["id"] == SEARCHED else ""),
        ]
        ledger.append(
            {
                "id": claim["id"],
                "statement": claim["statement"],
                "quote": claim["quote"],
                "location": claim["location"],
                "figure": claim["figure"],
                "panels": list(claim["panels"]),
                "published": published,
                "value": value * 1.002 if known else None,
                "uncertainty": abs(value) * 0.003 if known else None,
                "unit": published["unit"],
                "z": 0.7 if known else None,
                "verdict": verdict,
                # as the ledger does: what all tests say, one after the other
                "reason": "; ".join(reasons),
                "definition": "One sentence that says what was computed.",
                "alternatives": None
                if place % 3
                else {
                    "summary": "holds in 57 of 64 variants; fails when window < 2 K",
                    "holds": 57,
                    "of": 64,
                    "fails_when": [f"window = {n} K" for n in range(5)],
                },
                "findings": [
                    {"verdict": verdict, "reason": reasons[0], "key": None},
                    {"verdict": "supported", "reason": reasons[1], "key": None},
                ],
            }
        )
    (results / "claims.json").write_text(json.dumps(ledger), encoding="utf-8")
    for kind in ("csv", "tex"):
        (results / f"claims.{kind}").write_text("id\n", encoding="utf-8")
    entries = [
        {
            "id": item["id"],
            "statement": item["statement"],
            "quotes": list(item.get("quotes", ())),
            "claims": list(item.get("claims", ())),
            "computed": [
                {
                    "key": key,
                    "name": subject(key),
                    "value": 1.0,
                    "text": "24.38(6) K",
                    "definition": "Computed from one curve.",
                }
                for key in item.get("computed", ())
            ],
        }
        for item in book["inconsistencies"]
    ]
    (results / "inconsistencies.json").write_text(json.dumps(entries), encoding="utf-8")


def _critical_currents(results: Path, without: tuple[str, ...]) -> None:
    folder = results / "critical_currents"
    folder.mkdir()
    content = {
        "iv_temperature": figure_samples.iv_temperature(),
        "iv_out_of_plane": figure_samples.iv_field("out-of-plane"),
        "iv_in_plane": figure_samples.iv_field("in-plane"),
        "iv_angle": figure_samples.iv_angle(),
    }
    for name, data in content.items():
        data = figure_samples.absent(name) if name in without else data
        data.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")


def _datasets(results: Path, without: tuple[str, ...]) -> None:
    import xarray as xr

    from nbnmbt.samples import MEASUREMENTS

    report = {
        "files": 12,
        "rows": {"kept": 12040, "dropped": 2, "padded": 12040, "sentinels": 4, "comment": 3},
        "unreadable_cells": 0,
        "dropped_because": {"the sweep was aborted": 2},
        "conversions": {"field: Oe -> T": 12},
        "remarks": [{"file": "a.txt", "warnings": ["the clock runs backwards once"]}],
        "sweeps_found": 12,
        "sweeps_missing": 0,
        "assembly": {},
    }
    for name in MEASUREMENTS:
        if name in without:
            data = figure_samples.absent(name)
        else:
            data = xr.Dataset(attrs={"measured": 1, "read_report": json.dumps(report)})
        data.to_netcdf(results / "datasets" / f"{name}.nc", engine="h5netcdf")


def _benchmarks(root: Path, results: Path) -> None:
    from nbnmbt.report.graph import read_rules

    for place, rule in enumerate(read_rules(root / "workflow" / "rules")):
        path = results / "benchmarks" / f"{rule.name}.tsv"
        path.write_text(f"s\th:m:s\n{1.5 + place}\t0:00:01\n", encoding="utf-8")


def _studies(results: Path) -> None:
    from PIL import Image

    rate = {"hits": 1, "of": 40, "rate": 0.025, "interval95": [0.004, 0.13]}
    confusion = {
        "default": "surrogate",
        "devices": {
            "N01_no_interface_magnetism": {
                "change": "no interface magnetism",
                "runs": 3,
                "claims": {},
            }
        },
        "claims": {f"C{n:02d}": {"false_positives": rate, "power": rate} for n in range(1, 36)},
        "disagreements": ["N05: C24 must fail, found 1 supported of 3"],
    }
    number = {
        "n": 200,
        "undetermined": 0,
        "pull_mean": 0.03,
        "pull_width": 1.02,
        "coverage68": 0.69,
        "coverage95": 0.95,
    }
    coverage = {"devices": 200, "numbers": {"Ic0_2K": number, "T_AR": {**number, "n": 0}}}
    for name, file, content in (
        ("controls", "confusion", confusion),
        ("coverage", "coverage", coverage),
    ):
        folder = results / name
        folder.mkdir()
        (folder / f"{file}.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / f"{file}.csv").write_text("device\n", encoding="utf-8")
        Image.new("RGB", (900, 500), "white").save(folder / f"{file}.png")
