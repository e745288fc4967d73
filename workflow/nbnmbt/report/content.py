"""What the report shows: everything a sample has, read from its results and put into words."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbnmbt.claims import VERDICTS, value_text
from nbnmbt.numbers import NUMBER_KEYS, STAGE_FILES, format_value, published_values
from nbnmbt.paths import shown
from nbnmbt.provenance import STAND_IN_NOTICE, read_stamp
from nbnmbt.report.graph import Rule, in_order, read_rules
from nbnmbt.report.studies import STUDIES
from nbnmbt.samples import MEASUREMENTS

__all__ = ["FIGURES", "Content", "Figure", "gather"]

#: Number of each figure and the name of its notebook.
FIGURES: dict[int, str] = {
    2: "fig2_transport_properties",
    3: "fig3_temperature_spectra",
    4: "fig4_field_spectra",
    5: "fig5_critical_currents",
    6: "fig6_angular_spectra",
    7: "fig7_interface_magnetism",
}

#: How a verdict is marked beside its colour.
MARKS = dict(zip(VERDICTS, ("✓", "✗", "?", "–"), strict=True))


@dataclass
class Figure:
    """One figure of the paper and what belongs to it."""

    number: int
    notebook: str
    title: str
    quotes: list[str]
    caption: str
    claims: list[dict[str, Any]]
    numbers: list[dict[str, Any]]
    files: dict[str, Path]
    stamp: dict[str, Any]
    options: dict[str, dict[str, Any]]
    seconds: float | None
    tables: list[Any] = field(default_factory=list)
    executed: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the page and of the files."""
        return f"fig{self.number}"

    @property
    def alt(self) -> str:
        """Text for those who cannot see the picture."""
        words = re.sub(r"\s+", " ", _plain(self.caption)) or self.title
        return words if len(words) < 900 else words[:900].rsplit(". ", 1)[0] + "."


@dataclass
class Content:
    """Everything the pages show."""

    sample: str
    sheet: dict[str, Any]
    claims: list[dict[str, Any]]
    inconsistencies: list[dict[str, Any]]
    figures: list[Figure]
    quality: list[dict[str, Any]]
    rules: list[Rule]
    seconds: dict[str, float]
    studies: dict[str, dict[str, Any] | None]
    stamp: dict[str, Any]
    versions: list[tuple[str, str]]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether a virtual device made the raw files."""
        return self.sheet.get("provenance") != "measured"


def gather(sample: str, root: Path) -> Content:
    """Read what is known of a sample.

    Parameters
    ----------
    sample : str
        Its name.
    root : Path
        The checkout.

    Returns
    -------
    Content
    """
    import yaml

    results = root / "results" / sample
    raw = root / "data" / "raw" / sample
    sheet = yaml.safe_load((raw / "sample.yaml").read_text(encoding="utf-8"))
    optional = ("title", "description", "citation", "licence", "seed", "geometry", "provenance")
    sheet = dict.fromkeys(optional) | sheet
    claims = [_claim(entry) for entry in _json(results / "claims.json")]
    seconds = _run_times(results / "benchmarks")
    numbers = _json(results / "numbers.json")
    stages = {
        name: _json(results / file).get("attrs", {})
        for name, file in STAGE_FILES.items()
        if (results / file).exists()
    }
    figures = [_figure(n, results, claims, numbers, stages, seconds) for n in FIGURES]
    return Content(
        sample=sample,
        sheet=sheet,
        claims=claims,
        inconsistencies=_json(results / "inconsistencies.json"),
        figures=figures,
        quality=_quality(results / "datasets"),
        rules=in_order(read_rules(root / "workflow" / "rules")),
        seconds=seconds,
        studies={name: _study(name, root) for name in STUDIES},
        stamp=figures[0].stamp,
        versions=_versions(root),
        counts={v: sum(e["verdict"] == v for e in claims) for v in VERDICTS},
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------- claims
def _claim(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of claims.json with what its row needs in words."""
    alternatives = entry.get("alternatives")
    panels = ", ".join(map(str, entry.get("panels", ())))
    number = int(entry["figure"].removeprefix("fig"))
    # a bare number says nothing beside words; the reason of the verdict names it
    compared = entry["published"].get("value") is not None
    named = compared or bool(entry["unit"])
    return {
        **entry,
        "found": value_text(entry) if named else "–",
        "mark": MARKS[entry["verdict"]],
        "slug": entry["verdict"].replace(" ", "-"),
        "figure_number": number,
        "figure_words": f"Fig. {panels if panels[:1].isdigit() else number}",
        "sensitivity": None if alternatives is None else alternatives.get("summary"),
        "fails_when": [] if alternatives is None else list(alternatives.get("fails_when") or []),
        "z_words": "–" if entry.get("z") is None or not compared else f"{entry['z']:.1f}",
        "verdict_order": VERDICTS.index(entry["verdict"]),
    }


# --------------------------------------------------------------------------------------- figures
def _figure(
    number: int,
    results: Path,
    claims: list[dict[str, Any]],
    numbers: Mapping[str, Any],
    stages: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float],
) -> Figure:
    name = f"fig{number}"
    notebook = results / "notebooks" / f"{FIGURES[number]}.ipynb"
    title, quotes, caption = _notebook_words(notebook, number)
    files = {kind: results / "figures" / f"{name}.{kind}" for kind in ("svg", "pdf", "png", "nc")}
    # What the notebook shows beside the paper's values, else the numbers of the figure's panels.
    kept = results / "numbers" / f"{name}.json"
    used = [
        key
        for key in (_json(kept) if kept.exists() else NUMBER_KEYS)
        if kept.exists() or NUMBER_KEYS[key].figure.startswith(str(number))
    ]
    paper = published_values()
    rows = [
        {
            "key": key,
            "symbol": NUMBER_KEYS[key].symbol,
            "panel": NUMBER_KEYS[key].figure,
            "found": format_value(entry["value"], entry["uncertainty"], entry["unit"]),
            "published": paper.get(key, {}).get("text", "–"),
            "definition": entry["definition"],
            "reason": entry.get("reason"),
            "estimator": entry["estimator"],
            "claim": entry["claim"],
        }
        for key in used
        if (entry := numbers.get(key)) is not None
    ]
    wanted = {NUMBER_KEYS[key].stage for key in used}
    behind = [stage for stage in STAGE_FILES if stage in wanted and stage in stages]
    options = {stage: dict(stages[stage].get("options") or {}) for stage in behind}
    return Figure(
        number=number,
        notebook=FIGURES[number],
        title=title,
        quotes=quotes,
        caption=caption,
        claims=[claim for claim in claims if claim["figure_number"] == number],
        numbers=rows,
        files=files,
        stamp=read_stamp(files["svg"]),
        options=options,
        seconds=seconds.get(f"draw_{name}"),
    )


def _notebook_words(path: Path, number: int) -> tuple[str, list[str], str]:
    """Title, quotes of the paper and caption, from the text of a figure's notebook."""
    texts = [
        "".join(cell["source"]) if isinstance(cell["source"], list) else cell["source"]
        for cell in _json(path)["cells"]
        if cell["cell_type"] == "markdown"
    ]
    first = texts[0] if texts else ""
    title = re.match(r"#\s*Fig\. \d\s*[—–-]\s*(.+)", first)
    quotes = [
        " ".join(line.removeprefix(">").strip() for line in block.strip().splitlines())
        for block in re.findall(r"(?:^>.*\n?)+", first, re.MULTILINE)
    ]
    captions = [t for t in texts if t.lstrip().startswith(f"**Fig. {number}.**")]
    caption = captions[-1].strip().removeprefix(f"**Fig. {number}.**").strip() if captions else ""
    return (title[1].strip() if title else f"Figure {number}", quotes, caption)


def _plain(markdown: str) -> str:
    """Markdown without its marks, for alternative texts."""
    text = re.sub(r"<[^>]+>", "", markdown)
    text = re.sub(r"\\(?:mathrm|text)\s*\{([^}]*)\}", r"\1", text)
    return re.sub(r"[*`$\\{}^_]", "", text)


# ---------------------------------------------------------------------------------- run times
def _run_times(folder: Path) -> dict[str, float]:
    """Rule -> seconds, summed over its jobs, from Snakemake's benchmarks."""
    times: dict[str, float] = {}
    for path in sorted(folder.rglob("*.tsv")) if folder.exists() else ():
        rule = path.relative_to(folder).with_suffix("").parts[0]
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                try:
                    times[rule] = times.get(rule, 0.0) + float(row["s"])
                except (KeyError, TypeError, ValueError):
                    continue
    return times


# ------------------------------------------------------------------------------- data quality
def _quality(folder: Path) -> list[dict[str, Any]]:
    """One row a measurement: what its read report says."""
    import h5py

    rows = []
    for key, meaning in MEASUREMENTS.items():
        path = folder / f"{key}.nc"
        row: dict[str, Any] = {"key": key, "panels": meaning.feeds, "quantity": meaning.quantity}
        if not path.exists():
            rows.append(row | {"reason": "not built"})
            continue
        with h5py.File(path, "r") as file:
            attrs = {name: _text(file.attrs[name]) for name in file.attrs}
        if not int(attrs.get("measured", 1)):
            rows.append(row | {"reason": str(attrs.get("reason", "not measured"))})
            continue
        report = json.loads(attrs.get("read_report", "{}"))
        counted = report.get("rows", {})
        warnings = sorted({w for r in report.get("remarks", ()) for w in r.get("warnings", ())})
        notes = sorted({n for r in report.get("remarks", ()) for n in r.get("notes", ())})
        rows.append(
            row
            | {
                "reason": None,
                "files": report.get("files", 0),
                "kept": counted.get("kept", 0),
                "dropped": counted.get("dropped", 0),
                "padded": counted.get("padded", 0),
                "sentinels": counted.get("sentinels", 0),
                "unreadable": report.get("unreadable_cells", 0),
                "sweeps": report.get("sweeps_found", 0),
                "missing": report.get("sweeps_missing", 0),
                "because": report.get("dropped_because", {}),
                "conversions": sorted(report.get("conversions", {})),
                "assembly": report.get("assembly", {}),
                "warnings": warnings,
                "notes": notes,
            }
        )
    return rows


def _text(value: Any) -> Any:
    """An attribute as plain value: h5py yields bytes and arrays of one."""
    if getattr(value, "size", 0) == 1 and hasattr(value, "item"):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


# ------------------------------------------------------------------------------------ studies
def _study(name: str, root: Path) -> dict[str, Any] | None:
    folder = root / "results" / name
    first = folder / STUDIES[name][0]
    if not first.exists():
        return None
    files = {Path(f).suffix.lstrip("."): folder / f for f in STUDIES[name] if (folder / f).exists()}
    return {"content": _json(first), "files": files}


# ------------------------------------------------------------------------------------ versions
def _versions(root: Path) -> list[tuple[str, str]]:
    """Packages that the project names in pyproject.toml, with the installed versions."""
    import platform
    import tomllib
    from importlib.metadata import PackageNotFoundError, version

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [("Python", platform.python_version())]
    for requirement in project["dependencies"]:
        name = re.match(r"[A-Za-z0-9_.-]+", requirement)[0]
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found


def notice(content: Content) -> str:
    """Say in plain words what the sample is."""
    if content.synthetic:
        return STAND_IN_NOTICE
    return "Measured sample: every verdict below speaks of this device and these measurements."


def inputs_of(stamp: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Files a figure was made from, with the beginning of their hashes."""
    return [(shown(path), sha[:12]) for path, sha in dict(stamp.get("inputs", {})).items()]
