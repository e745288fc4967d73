"""What can be said of the pages without a browser: links, hosts, words, tables, size."""

from __future__ import annotations

import csv
import html.parser
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import report_sample
import xarray as xr

from nbnmbt.report.graph import draw, edges, read_rules
from nbnmbt.report.studies import fingerprint
from nbnmbt.report.tables import drawn_tables
from nbnmbt.report.typeset import typeset


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.pictures: list[dict] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "img":
            self.pictures.append(found)
        for name in ("href", "src"):
            if name in found:
                (self.links if tag == "a" else self.loaded).append(found[name])


@pytest.fixture(scope="module")
def parsed(report) -> dict[Path, _Links]:
    pages = {}
    for path in report.rglob("*.html"):
        parser = _Links()
        parser.feed(path.read_text(encoding="utf-8"))
        pages[path] = parser
    return pages


def test_nothing_is_loaded_from_elsewhere(report, parsed):
    for path, page in parsed.items():
        outside = [link for link in page.loaded if urlsplit(link).scheme not in ("", "data")]
        assert not outside, f"{path.name} loads {outside}"
    for path in report.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?https?:", path.read_text(encoding="utf-8"))


def test_every_link_leads_somewhere(report, parsed):
    broken = []
    for path, page in parsed.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            names = {"", *parsed[target].ids} if target in parsed else {parts.fragment}
            if not target.exists() or parts.fragment not in names:
                broken.append((path.name, link))
    assert not broken


def test_every_picture_has_words_or_is_decoration(parsed):
    for path, page in parsed.items():
        for picture in page.pictures:
            assert "alt" in picture, f"{path.name}: {picture['src']}"
    figures = [parsed[p] for p in parsed if re.fullmatch(r"fig\d\.html", p.name)]
    assert len(figures) == 6
    for page in figures:
        picture = next(p for p in page.pictures if p.get("id") == "picture")
        assert len(picture["alt"]) > 100


def test_all_downloads_of_a_figure_are_there(report):
    for number in range(2, 8):
        text = (report / f"fig{number}.html").read_text(encoding="utf-8")
        for kind in ("pdf", "svg", "png", "nc"):
            assert f'href="files/fig{number}.{kind}" download' in text
        assert re.search(rf'href="files/fig{number}_[a-z]_\w+\.csv" download', text)
        assert re.search(rf'href="files/fig{number}_\w+\.ipynb" download', text)
        assert re.search(r"[\d.]+ s for the notebook", text)


def test_words_of_results_are_escaped(report):
    text = (report / "fig2.html").read_text(encoding="utf-8")
    assert "in one sentence &amp; without &lt;marks&gt;" in text
    assert "<marks>" not in text


def test_all_inconsistencies_and_studies_are_shown(report):
    text = (report / "inconsistencies.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<section class="card" id="I-\d\d">', text)) == 21
    studies = (report / "studies.html").read_text(encoding="utf-8")
    assert "N05: C24 must fail" in studies
    assert "Not built yet" not in studies
    assert "not measured: measurements.csv has no row" in (report / "quality.html").read_text()


def test_pages_are_small(report):
    total = sum(path.stat().st_size for path in report.rglob("*") if path.is_file())
    assert total < 15e6


def test_no_folder_of_this_machine_is_named(report):
    for path in report.rglob("*"):
        if path.suffix in (".html", ".js", ".ipynb", ".csv", ".json"):
            text = path.read_text(encoding="utf-8")
            assert str(report_sample.ROOT) not in text, path.name
            assert str(report.parents[2]) not in text, path.name


def test_workflow_graph_follows_the_rules():
    rules = read_rules(report_sample.ROOT / "workflow" / "rules")
    names = {rule.name for rule in rules}
    joined = edges(rules)
    assert {"simulate", "assemble_dataset", "draw_fig7", "write_report"} <= names
    for wanted in (
        ("simulate", "assemble_dataset"),
        ("assemble_dataset", "fit_critical_currents"),
        ("fit_loops", "draw_fig7"),
        ("fit_loops", "judge_claims"),
        ("draw_fig2", "write_report"),
        ("write_ledger", "write_report"),
        ("write_report", "describe_run"),
        ("describe_run", "pack_archive"),
    ):
        assert wanted in joined
    assert ("draw_fig7", "fit_loops") not in joined
    assert ("fit_temperature_laws", "draw_fig7") not in joined
    css = Path(report_sample.ROOT, "workflow/nbnmbt/report/static/report.css").read_text()
    assert all(f".stage-{rule.stage} " in css for rule in rules)
    assert draw(rules, {"simulate": 2.0}) == draw(rules, {"simulate": 2.0})
    assert "2.0 s" in draw(rules, {"simulate": 2.0})


def test_tables_hold_what_was_drawn():
    current, field = np.linspace(-1, 1, 101), np.linspace(0, 9, 50)
    drawn = xr.Dataset(
        {
            "a_dVdI": (("a_B", "a_I"), np.outer(field, current), {"units": "ohm"}),
            "b_Ic": (("b_channel", "b_B"), [[1.0, np.nan], [3.0, 4.0]], {"units": "mA"}),
            "b_Ic_err": (("b_channel", "b_B"), np.full((2, 2), 0.1), {"units": "mA"}),
        },
        coords={
            "a_B": ("a_B", field, {"units": "T"}),
            "a_I": ("a_I", current, {"units": "mA"}),
            "b_B": ("b_B", [0.0, 1.0], {"units": "T"}),
        },
    )
    tables = {table.name: table for table in drawn_tables(drawn, "fig4")}
    assert list(tables) == ["fig4_a_dVdI", "fig4_b_Ic_Ic_err"]
    rows = list(csv.reader(tables["fig4_a_dVdI"].content.splitlines()))
    assert rows[0][0] == "B (T) \\ I (mA)"
    matrix = np.array([[float(cell) for cell in row] for row in rows[1:]])
    np.testing.assert_allclose(matrix[:, 0], field, rtol=1e-6)
    np.testing.assert_allclose(matrix[:, 1:], drawn["a_dVdI"], rtol=1e-6)
    rows = list(csv.reader(tables["fig4_b_Ic_Ic_err"].content.splitlines()))
    assert rows == [
        ["channel", "B (T)", "Ic (mA)", "Ic_err (mA)"],
        ["0", "0", "1", "0.1"],
        ["0", "1", "", "0.1"],
        ["1", "0", "3", "0.1"],
        ["1", "1", "4", "0.1"],
    ]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Ic0 < Ic1 << Ic3", "<i>I</i><sub>c</sub><sup>0</sup> &lt; "
         "<i>I</i><sub>c</sub><sup>1</sup> ≪ <i>I</i><sub>c</sub><sup>3</sup>"),
        ("[1-(T/Tc)^2]^(3/2)", "[1−(T/<i>T</i><sub>c</sub>)<sup>2</sup>]<sup>3/2</sup>"),
        ("below T_N of MnBi2Te4", "below <i>T</i><sub>N</sub> of MnBi<sub>2</sub>Te<sub>4</sub>"),
        ("B_flop, dR/dT", "<i>B</i><sub>flop</sub>, d<i>R</i>/d<i>T</i>"),
        ("-0.007(8) ohm from 2-3", "−0.007(8) Ω from 2-3"),
        ("`tc_fraction` & <b>", "<code>tc_fraction</code> &amp; &lt;b&gt;"),
        # names of results are no symbols
        ("no_jump_in_plane_Ic0/bound_mA, Tc_NbN", "no_jump_in_plane_Ic0/bound_mA, Tc_NbN"),
        (None, ""),
    ],
)  # fmt: skip
def test_symbols_are_set_as_in_the_paper(text, html):
    assert str(typeset(text)) == html


def test_a_bare_number_does_not_stand_for_words():
    from nbnmbt.report.content import _claim

    entry = {"figure": "fig2", "panels": ["2d"], "verdict": "supported", "alternatives": None}
    words = {"value": 2.76, "uncertainty": 0.1, "z": 955.0, "published": {"value": None}}
    assert _claim({**entry, **words, "unit": ""})["found"] == "–"
    assert _claim({**entry, **words, "unit": "K"})["found"] == "2.76(10) K"
    assert _claim({**entry, **words, "unit": "K"})["z_words"] == "–"
    known = {**words, "z": 0.7, "published": {"value": 3.0}}
    assert _claim({**entry, **known, "unit": ""})["found"] == "2.76(10)"
    assert _claim({**entry, **known, "unit": ""})["z_words"] == "0.7"


def test_a_new_study_makes_the_report_stale(tmp_path):
    assert fingerprint(tmp_path) == ""
    folder = tmp_path / "results" / "controls"
    folder.mkdir(parents=True)
    (folder / "confusion.json").write_text("{}")
    first = fingerprint(tmp_path)
    (folder / "confusion.json").write_text("{ }")
    assert first
    assert fingerprint(tmp_path) not in ("", first)
