"""The sample sheet: every problem is one sentence with file, line, column and what to do."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readers"))
from lab_files import write_sample

from nbnmbt.errors import InputError, did_you_mean, nearest
from nbnmbt.samples import MEASUREMENTS, inspect, load

GOOD = {
    "measurement": "rt_nbn",
    "file": "a.dat",
    "quantity": "R-T",
    "configuration": "NbN",
    "orientation": "",
    "temperature_K": "",
    "field_T": "0",
    "angle_deg": "",
    "layout": "multivu",
    "channel": "1",
    "sha256": "",
}
YAML = "title: a device\nprovenance: measured\n"


def sample(tmp_path, rows=None, yaml=YAML, **change):
    rows = rows or [{**GOOD, **change}]
    return write_sample(tmp_path / "dev", rows, {"a.dat": b"x", "B.dat": b"y"}, yaml)


def problems(folder):
    return [str(error) for error in inspect(folder)[1]]


def test_good_sample(tmp_path):
    sheet = load(sample(tmp_path))
    assert sheet.name == "dev"
    assert sheet.measurements == ["rt_nbn"]
    assert sheet.files("rt_nbn") == [tmp_path / "dev" / "a.dat"]
    assert sheet.files("rt_interface") == []
    assert sheet.rows_of("rt_nbn")[0].field == 0.0
    assert sheet.rows_of("rt_nbn")[0].line == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measurement": "rt_nbm"}, ["line 2", "'measurement'", "did you mean 'rt_nbn'?"]),
        ({"quantity": "r-t"}, ["line 2", "'quantity'", "did you mean 'R-T'?"]),
        ({"quantity": "R-B"}, ["rt_nbn is a measurement of R-T", "found 'R-B'"]),
        ({"configuration": "interface"}, ["rt_nbn is a measurement of NbN"]),
        ({"configuration": "nbn"}, ["did you mean 'NbN'?"]),
        ({"orientation": "out of plane"}, ["did you mean 'out-of-plane'?"]),
        ({"layout": "multi-vu"}, ["did you mean 'multivu'?"]),
        ({"layout": "iv-text"}, ["iv-text holds V-I sweeps only"]),
        ({"layout": ""}, ["'layout'", "the cell is empty"]),
        ({"file": "b.dat"}, ["no such file", "did you mean 'B.dat'?"]),
        ({"file": "/etc/passwd"}, ["must lie in the sample folder"]),
        ({"file": "../x"}, ["must lie in the sample folder"]),
        ({"file": ""}, ["'file'", "the cell is empty"]),
        ({"temperature_K": '"2,5"'}, ["'temperature_K'", "write a decimal point"]),
        ({"temperature_K": "-3"}, ["not plausible in K", "found '-3'"]),
        ({"field_T": "90000"}, ["not plausible in T", "1 T is 10000 Oe"]),
        ({"field_T": "nan"}, ["'field_T'", "no number"]),
        ({"sha256": "abc"}, ["64 hexadecimal digits"]),
    ],
)
def test_one_wrong_cell_is_one_sentence(tmp_path, change, words):
    (sentence,) = problems(sample(tmp_path, **change))
    for word in ["measurements.csv", *words]:
        assert word in sentence
    assert "\n" not in sentence
    with pytest.raises(InputError) as caught:
        load(tmp_path / "dev")
    assert str(caught.value) == sentence


def test_all_problems_at_once(tmp_path):
    rows = [
        {**GOOD, "measurement": "rt_x"},
        {**GOOD, "file": "none.dat", "field_T": "x"},
        {**GOOD, "quantity": "RT"},
    ]
    folder = sample(tmp_path, rows, yaml="titel: x\nprovenance: simulated\n")
    found = problems(folder)
    assert len(found) == 7
    assert [f"line {n}" in text for n, text in zip((2, 3, 3, 4), found[3:], strict=True)] == [
        True
    ] * 4
    assert any("did you mean 'title'?" in text for text in found)
    assert any("'simulated'" in text for text in found)


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("provenance: measured\n", ["sample.yaml", "the key 'title' is missing"]),
        (YAML + "lizence: MIT\n", ["line 3", "did you mean 'licence'?"]),
        (YAML + "corrections: {field_lag: 1}\n", ["did you mean 'field_lag_s'?"]),
        (YAML + "corrections:\n  field_lag_s: -1\n", ["line 4", "corrections.field_lag_s"]),
        (YAML + "assembly: {repeats: frist}\n", ["did you mean 'first'?"]),
        ("title: [a\nprovenance: measured\n", ["no valid YAML", "line"]),
        ("just text\n", ["holds no 'key: value' lines"]),
        (
            YAML + "layouts:\n  log:\n    delimeter: ','\n    columns:\n"
            "      current: {name: I, unit: A}\n",
            ["line 5", "'layouts.log.delimeter'", "did you mean 'delimiter'?"],
        ),
        (
            YAML + "layouts:\n  log:\n    columns:\n      curent: {name: I, unit: A}\n",
            ["line 6", "did you mean 'current'?"],
        ),
        (
            YAML + "layouts:\n  log:\n    columns:\n      current: {name: I, unit: Oe}\n",
            ["unknown unit for current", "A, mA"],
        ),
        (
            YAML + "layouts:\n  log:\n    columns:\n      current: {nmae: I, unit: A}\n",
            ["line 6", "did you mean 'name'?"],
        ),
    ],
)
def test_wrong_yaml(tmp_path, yaml, words):
    sentence = problems(sample(tmp_path, yaml=yaml))[0]
    for word in words:
        assert word in sentence
    assert "\n" not in sentence
    assert "pydantic" not in sentence


def test_sheet_columns(tmp_path):
    rows = [{("temperature" if k == "temperature_K" else k): v for k, v in GOOD.items()}]
    (sentence,) = problems(sample(tmp_path, rows))
    assert "unknown column 'temperature'" in sentence
    assert "did you mean 'temperature_K'?" in sentence
    rows = [{k: v for k, v in GOOD.items() if k != "layout"}]
    (sentence,) = problems(sample(tmp_path, rows))
    assert "the column 'layout' is missing" in sentence


def test_comments_semicolons_and_bom_in_the_sheet(tmp_path):
    folder = sample(tmp_path)
    path = folder / "measurements.csv"
    text = path.read_text().replace(",", ";")
    path.write_text("\ufeff# a comment;;;\n" + text.replace("\n", "\r\n") + ";;;;\n", "utf-8")
    assert load(folder).rows_of("rt_nbn")[0].line == 3


def test_rows_that_contradict_each_other(tmp_path):
    iv = {
        "measurement": "iv_angle",
        "file": "a.dat",
        "quantity": "V-I",
        "configuration": "interface",
        "orientation": "in-plane",
        "layout": "iv-text",
    }
    found = problems(sample(tmp_path, [iv, {**iv, "file": "B.dat", "orientation": ""}]))
    assert "another orientation in line 2" in found[0]
    assert "stands in line 2 already" in problems(sample(tmp_path, [iv, iv]))[0]
    found = problems(sample(tmp_path, [GOOD, {**GOOD, "channel": "2"}]))
    assert "takes another channel of this file in line 2" in found[0]
    found = problems(sample(tmp_path, [{**iv, "measurement": "iv_in_plane", "orientation": ""}]))
    assert "iv_in_plane is a measurement of in-plane" in found[0]


def test_missing_files_and_folders(tmp_path):
    folder = sample(tmp_path)
    (folder / "sample.yaml").unlink()
    assert "sample.yaml: the file is missing" in problems(folder)[0]
    (sentence,) = problems(tmp_path / "dex")
    assert "no such sample folder" in sentence
    assert "did you mean 'dev'?" in sentence


def test_hash(tmp_path):
    sheet = load(sample(tmp_path, sha256=hashlib.sha256(b"x").hexdigest().upper()))
    sheet.verify(sheet.rows[0])
    (tmp_path / "dev" / "a.dat").write_bytes(b"z")
    with pytest.raises(InputError, match=r"a\.dat: the file has changed") as caught:
        sheet.verify(sheet.rows[0])
    assert "measurements.csv line 2" in str(caught.value)


def test_set_points_from_the_name(tmp_path):
    yaml = (
        YAML + "layouts:\n  log:\n    filename: 'IV_{temperature}K.txt'\n"
        "    columns:\n      current: {name: I, unit: A}\n      voltage: {name: V, unit: V}\n"
    )
    row = {
        **GOOD,
        "measurement": "iv_nbn",
        "quantity": "V-I",
        "file": "IV_4p2K.txt",
        "layout": "log",
    }
    folder = write_sample(tmp_path / "dev", [row], {"IV_4p2K.txt": b"I\tV\n"}, yaml)
    sheet = load(folder)
    assert sheet.set_points(sheet.rows[0]) == {"temperature": 4.2, "field": 0.0, "angle": None}
    row["temperature_K"] = "5"
    sheet = load(write_sample(tmp_path / "dev", [row], {}, yaml))
    with pytest.raises(InputError, match=r"line 2.*give different values of temperature"):
        sheet.set_points(sheet.rows[0])


def test_every_key_says_what_it_is():
    for key, meaning in MEASUREMENTS.items():
        prefix = {"rt": "R-T", "mr": "R-B", "lo": "R-B", "iv": "V-I"}[key[:2]]
        assert meaning.quantity == prefix
        assert meaning.feeds


def test_a_missing_file_of_a_virtual_device_is_no_slip_of_the_pen(tmp_path):
    synthetic = YAML.replace("measured", "synthetic") + "device: smoke\nseed: 1\n"
    (told,) = problems(sample(tmp_path, yaml=synthetic, file="b.dat"))
    assert told.endswith("remove the folder dev, and device smoke is simulated again.")
    assert "did you mean" not in told


def test_nearest_names():
    assert nearest("RT interface", MEASUREMENTS) == "rt_interface"
    assert nearest("zzz", MEASUREMENTS) is None
    assert did_you_mean("zzz", ["b", "a"]) == "allowed are b, a"


def test_names_that_are_not_near_are_listed_in_a_fixed_order():
    many = {f"k{n:02d}" for n in range(25)}
    advice = did_you_mean("zzz", many)
    assert advice.startswith("allowed are k00, k01, k02")
    assert str(InputError("no such name", advice=advice)).endswith("k19 and 5 more.")


def test_error_survives_pickling():
    import pickle

    error = InputError("wrong", file="f", line=3, found="x", expected="y", advice="z")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "f, line 3: wrong (found 'x', expected y); z."
