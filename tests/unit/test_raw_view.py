"""Looking at raw files: verbatim lines, first rows in canonical units, the read report."""

from __future__ import annotations

import pytest

from nbnmbt import datasets, raw_view, samples

SHEET = """title: A device
provenance: measured
"""
HEADER = (
    "measurement,file,quantity,configuration,orientation,temperature_K,field_T,angle_deg,layout"
)
IV = """# title: sweep
# source: 2400
# note: one
# note 2: two
time_s\ttemperature_K\tfield_T\tangle_deg\tcurrent_A\tvoltage_V
10.00\t2.001\t-0.0\t\t-0.001\t-0.02
10.12\t2.002\t0.0\t\t0.0\t0.0
10.24\t2.001\t0.0\t\t0.001\t0.02
"""


@pytest.fixture
def sheet(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "sample.yaml").write_text(SHEET, encoding="utf-8")
    (folder / "iv.txt").write_text(IV, encoding="utf-8")
    row = "iv_interface,iv.txt,V-I,interface,,2,0,,iv-text"
    (folder / "measurements.csv").write_text(f"{HEADER}\n{row}\n", encoding="utf-8")
    return samples.load(folder)


def test_head_is_verbatim_and_says_what_it_leaves_out(sheet):
    lines = raw_view.file_head(sheet, "iv_interface", head=2, rows=2).splitlines()
    assert lines[0] == "iv.txt  (iv-text, 1 of 1 file)"
    assert lines[1:3] == IV.splitlines()[:2]
    assert lines[3] == "... (2 more lines of header)"
    assert lines[4:6] == IV.splitlines()[4:6]
    assert lines[6] == "..."


def test_long_lines_are_cut_where_it_can_be_seen(sheet):
    lines = raw_view.file_head(sheet, "iv_interface", width=20).splitlines()[1:]
    assert max(map(len, lines)) <= 30
    assert any(line.endswith("…") and len(line) == 20 for line in lines)


def test_no_path_of_this_machine_is_shown(sheet):
    text = raw_view.file_head(sheet, "iv_interface") + str(
        raw_view.first_rows(sheet, "iv_interface")
    )
    assert str(sheet.directory) not in text


def test_first_rows_have_units_and_leave_out_empty_columns(sheet):
    table = raw_view.first_rows(sheet, "iv_interface", 2)
    assert "current (A)" in table.columns
    assert not any(name.startswith("angle") for name in table.columns)
    assert len(table.rows) == 2
    by_name = dict(zip(table.columns, table.rows[0], strict=True))
    assert by_name["time (s)"] == "0"
    assert by_name["voltage (V)"] == "-0.02"
    assert by_name["field (T)"] == "0"


def test_read_report_counts_rows(sheet):
    dataset = datasets.assemble(sheet, "iv_interface")
    rows = dict(raw_view.read_report(dataset).rows)
    assert rows["files"] == "1"
    assert rows["rows kept"] == "3"
    assert rows["rows dropped"] == "0"


def test_missing_measurement_is_said(sheet):
    assert raw_view.file_head(sheet, "rt_nbn").startswith("not measured")
    assert "rt_nbn" in str(raw_view.first_rows(sheet, "rt_nbn"))
    dataset = datasets.assemble(sheet, "rt_nbn")
    assert "not measured" in str(raw_view.read_report(dataset))
