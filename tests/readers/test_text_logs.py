"""iv-text and declared layouts: right numbers, or a sentence that says where and what."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from lab_files import iv_bytes, ohmic
from pydantic import ValidationError

from nbnmbt.errors import InputError
from nbnmbt.readers import iv_text, layouts, sniff
from nbnmbt.readers.layouts import Layout, set_points_from_name
from nbnmbt.readers.text_table import TextTable, to_float

I = np.linspace(-1e-3, 1e-3, 41)


def write(tmp_path, data, name="x.txt"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# ----------------------------------------------------------------------------------- iv-text
@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [97, 1 << 20])
def test_iv_text_is_read_exactly(tmp_path, monkeypatch, eol, block):
    monkeypatch.setattr(TextTable.blocks, "__defaults__", (block,))
    path = write(tmp_path, iv_bytes(I, ohmic(I, np.pi), 2.0031, 1.5, 45.0, eol=eol))
    recording = iv_text.read(path, strict=True)
    assert recording.header == {"instrument": "Keithley 6221 + 2182A", "wiring": "four-wire"}
    columns = recording.columns
    np.testing.assert_array_equal(columns["current"], I)
    np.testing.assert_array_equal(columns["voltage"], I * np.pi)
    assert columns["temperature"][0] == 2.0031
    assert columns["angle"][-1] == 45
    assert recording.report.kept == recording.report.lines_after_names == 41


def test_iv_text_columns_in_any_order(tmp_path):
    names = ["voltage_V", "angle_deg", "current_A", "time_s"]
    path = write(tmp_path, iv_bytes(I, ohmic(I, 3), names=names))
    columns = iv_text.read(path).columns
    assert set(columns) == {"voltage", "angle", "current", "time"}
    np.testing.assert_array_equal(columns["voltage"], 3 * I)


def test_iv_text_equals_pandas(tmp_path):
    rng = np.random.default_rng(7)
    voltage = rng.normal(size=41) * 10.0 ** rng.integers(-12, 3, size=41)
    data = iv_bytes(I, voltage)
    columns = iv_text.read(write(tmp_path, data)).columns
    frame = pd.read_csv(io.BytesIO(data), sep="\t", comment="#")
    np.testing.assert_array_equal(columns["voltage"], frame["voltage_V"])
    np.testing.assert_array_equal(columns["time"], frame["time_s"])


def test_a_row_with_a_field_too_many_is_dropped_not_shifted(tmp_path):
    lines = iv_bytes(I, ohmic(I)).decode().splitlines()
    lines[9] = "7\t" + lines[9]
    recording = iv_text.read(write(tmp_path, "\n".join(lines) + "\n"))
    assert (recording.report.kept, recording.report.dropped) == (40, 1)
    np.testing.assert_array_equal(recording.columns["voltage"], np.delete(ohmic(I), 6))


def test_iv_text_with_remarks_blanks_and_damage(tmp_path):
    lines = iv_bytes(I, ohmic(I)).decode().splitlines()
    lines[8:8] = ["# paused", "", "1\t2\t3", "0.1\t2\t0\t0\t0.1\tfive"]
    path = write(tmp_path, "\n".join(lines) + "\n")
    recording = iv_text.read(path)
    report = recording.report
    assert (report.kept, report.comment, report.blank, report.dropped) == (41, 1, 1, 2)
    assert report.unreadable_cells == [(12, "voltage_V", "five")]
    np.testing.assert_array_equal(recording.columns["voltage"], ohmic(I))
    with pytest.raises(InputError, match="line 11: 2 row"):
        iv_text.read(path, strict=True)


@pytest.mark.parametrize("text", ["nan", "NaN", "", "---", "9.91e37", "-9.9E37"])
def test_no_value_marks(tmp_path, text):
    lines = iv_bytes(I, ohmic(I)).decode().splitlines()
    fields = lines[9].split("\t")
    lines[9] = "\t".join([*fields[:5], text])
    columns = iv_text.read(write(tmp_path, "\n".join(lines) + "\n")).columns
    assert np.flatnonzero(np.isnan(columns["voltage"])).tolist() == [6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: "", "the file is empty"),
        (lambda t: t.replace("current_A", "curent_A"), "did you mean 'current_A'"),
        (lambda t: t.replace("voltage_V", "voltage_mV"), "did you mean 'voltage_V'"),
        (lambda t: t.replace("voltage_V", "spam"), "the column voltage_V is missing"),
        (lambda t: t.replace("time_s", "current_A"), "the column is there twice"),
        (lambda t: t[: t.index("time_s")], "there is no line of column names"),
        (lambda t: t.replace(".", ","), "if that is a decimal comma, declare a layout"),
        (lambda t: t[t.index("2.0") :], "the columns current_A and voltage_V are missing"),
        (lambda t: t.replace("\t", ";"), "the columns current_A and voltage_V are missing"),
    ],
)
def test_iv_text_errors_are_one_sentence(tmp_path, change, message):
    path = write(tmp_path, change(iv_bytes(I, ohmic(I)).decode()))
    with pytest.raises(InputError, match=message) as caught:
        iv_text.read(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_last_line_without_end_is_dropped(tmp_path):
    data = iv_bytes(I, ohmic(I))
    recording = iv_text.read(write(tmp_path, data[:-1]))
    assert recording.report.dropped == 1
    np.testing.assert_array_equal(recording.columns["voltage"], ohmic(I)[:-1])


def test_header_only_log_is_an_empty_table(tmp_path):
    head = iv_bytes(I[:0], I[:0])
    recording = iv_text.read(write(tmp_path, head))
    assert len(recording) == 0
    assert recording.report.warnings == ["the file holds no rows"]


def test_bounded_memory(tmp_path):
    """A file much larger than a block is read with a working memory of some blocks."""
    import tracemalloc

    body = iv_bytes(I, ohmic(I)).split(b"\n", 3)
    path = tmp_path / "big.txt"
    with open(path, "wb") as stream:
        stream.write(b"\n".join(body[:3]) + b"\n")
        for _ in range(8000):
            stream.write(body[3])
    assert path.stat().st_size > 15e6
    table = iv_text.open_table(path)
    for part in table.blocks(1 << 18):
        assert len(part["current"]) < 10000
    table = iv_text.open_table(path)
    tracemalloc.start()
    rows = sum(len(part["current"]) for part in table.blocks(1 << 18))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 8000 * 41 == table.report.kept
    assert peak < 8e6


# -------------------------------------------------------------------------- declared layouts
def layout(**changes):
    content = {
        "delimiter": "\t",
        "columns": {
            "current": {"name": "I_src", "unit": "mA"},
            "voltage": {"name": "U", "unit": "uV", "sign": -1, "scale": 2, "offset": 3},
        },
    }
    content.update(changes)
    return Layout.model_validate(content)


def read(tmp_path, text, lay, name="x.log", **options):
    return layouts.read(write(tmp_path, text, name), lay, "test", **options)


def test_units_scale_sign_and_offset(tmp_path):
    columns = read(tmp_path, "I_src\tU\n1.5\t10\n-2\t20\n", layout()).columns
    np.testing.assert_allclose(columns["current"], [1.5e-3, -2e-3], rtol=1e-15)
    np.testing.assert_allclose(columns["voltage"], [-23e-6, -43e-6], rtol=1e-15)


def test_decimal_comma_tab_bom_and_voltage_first(tmp_path):
    text = "\ufeffU\tI_src\n10,5\t1,5e0\n-20,25\t-2\n"
    columns = read(tmp_path, text, layout(decimal=",")).columns
    np.testing.assert_allclose(columns["current"], [1.5e-3, -2e-3], rtol=1e-15)
    np.testing.assert_allclose(columns["voltage"], [-24e-6, 37.5e-6], rtol=1e-15)


def test_point_in_a_decimal_comma_file_is_no_number(tmp_path):
    with pytest.raises(InputError, match="rows cannot be used"):
        read(tmp_path, "I_src\tU\n1.5\t1,5\n2.5\t1,5\n", layout(decimal=","))


def test_decimal_comma_undeclared_gives_the_advice(tmp_path):
    with pytest.raises(InputError, match=r"declare a layout with decimal: \",\""):
        read(tmp_path, "I_src\tU\n1,5\t1,5\n2,5\t1,5\n", layout())


def test_headerless_csv_by_position(tmp_path):
    lay = layout(
        delimiter=",",
        header_rows=0,
        columns={
            "voltage": {"position": 0, "unit": "V"},
            "current": {"position": 2, "unit": "A"},
        },
    )
    columns = read(tmp_path, "1e-3,x,2e-6\n2e-3,y,4e-6\n3e-3,z,6e-6\n", lay).columns
    np.testing.assert_array_equal(columns["voltage"], [1e-3, 2e-3, 3e-3])
    np.testing.assert_array_equal(columns["current"], [2e-6, 4e-6, 6e-6])


def test_comment_marks_header_rows_metadata_and_footer(tmp_path):
    text = (
        "/// logger 3\n# operator: somebody\nrun 17\nI_src U\n"
        "1 10\n2 20\n3 30\n/// pause\n4 40\nfit: slope 10 offset 0\n"
    )
    lay = layout(delimiter="whitespace", comment=["///", "#"], header_rows=2)
    recording = read(tmp_path, text, lay)
    assert recording.header["operator"] == "somebody"
    np.testing.assert_allclose(recording.columns["current"], [1e-3, 2e-3, 3e-3, 4e-3])
    report = recording.report
    assert (report.kept, report.comment, report.dropped) == (4, 1, 1)


def test_trailing_delimiter_and_extra_columns(tmp_path):
    lay = layout(
        columns={"current": {"name": "I", "unit": "A"}, "voltage": {"name": "V", "unit": "V"}}
    )
    columns = read(tmp_path, "note\tI\tV\tx\t\na\t1\t2\t\t\nb\t3\t4\t\t\n", lay).columns
    np.testing.assert_array_equal(columns["voltage"], [2, 4])


def test_more_fields_than_names_is_refused_by_name_but_not_by_position(tmp_path):
    text = "I_src\tU\n0\t1\t10\n1\t2\t20\n"
    with pytest.raises(InputError, match=r"3 fields but there are 2 names.*by position"):
        read(tmp_path, text, layout())
    lay = layout(
        columns={
            "current": {"position": 1, "unit": "A"},
            "voltage": {"position": 2, "unit": "V"},
        }
    )
    np.testing.assert_array_equal(read(tmp_path, text, lay).columns["voltage"], [10, 20])


def test_fewer_fields_than_names_is_refused_by_name(tmp_path):
    """A comma in a name makes two of one, and every name right of it would be shifted."""
    with pytest.raises(InputError, match="3 fields but there are 4 names"):
        read(tmp_path, "I_src,U,T, set\n1,10,2\n2,20,2\n", layout(delimiter=","))


def test_names_that_differ_by_case(tmp_path):
    lay = layout(
        columns={"current": {"name": "i", "unit": "A"}, "voltage": {"name": "V", "unit": "V"}}
    )
    columns = read(tmp_path, "I\ti\tV\n7\t1\t2\n7\t3\t4\n", lay).columns
    np.testing.assert_array_equal(columns["current"], [1, 3])
    lay = layout(
        columns={"current": {"name": "v", "unit": "A"}, "voltage": {"name": "U", "unit": "V"}}
    )
    with pytest.raises(InputError, match="more than once"):
        read(tmp_path, "V\tv \tv\tU\n1\t2\t3\t4\n", lay)


def test_missing_column_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match=r"line 1, column 'I_src'.*did you mean 'I_sorce'"):
        read(tmp_path, "I_sorce\tU\n1\t2\n", layout())


@pytest.mark.parametrize("name", ["H (T)", "H [T]", "H / T", "H_T"])
def test_unit_in_the_name_contradicts_the_layout(tmp_path, name):
    lay = layout(
        columns={
            "current": {"name": "I", "unit": "A"},
            "field": {"name": name, "unit": "Oe"},
        }
    )
    with pytest.raises(InputError, match="declares the unit Oe for field, the file says T"):
        read(tmp_path, f"I\t{name}\n1\t2\n", lay)


def test_celsius_and_cp1252(tmp_path):
    lay = layout(
        encoding="cp1252",
        columns={
            "temperature": {"name": "T (°C)", "unit": "°C"},
            "current": {"name": "I (µA)", "unit": "µA"},
        },
    )
    text = "T (°C)\tI (µA)\n-271.15\t20\n-271.15\t20\n".encode("cp1252")
    columns = read(tmp_path, text, lay).columns
    np.testing.assert_allclose(columns["temperature"], 2.0, atol=1e-12)
    np.testing.assert_allclose(columns["current"], 20e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delimiter": "-"}, "delimiter must be"),
        ({"delimiter": ",", "decimal": ","}, "cannot go together"),
        ({"header_rows": 0}, "given by name but header_rows is 0"),
        ({"columns": {}}, "columns is empty"),
        ({"columns": {"current": {"unit": "A"}}}, "either name or position"),
        ({"columns": {"current": {"name": "I", "unit": "T"}}}, "unknown unit for current"),
        ({"columns": {"curent": {"name": "I", "unit": "A"}}}, "current"),
        ({"filename": "IV_{temprature}K"}, "did you mean 'temperature'"),
        ({"filename": "IV.txt"}, "names no set-point"),
        ({"delimeter": ","}, "delimeter"),
    ],
)
def test_wrong_layouts(change, message):
    with pytest.raises(ValidationError, match=message):
        layout(**change)


@pytest.mark.parametrize(
    ("name", "template", "expected"),
    [
        ("IV_2.5K_9T_45deg.txt", "IV_{temperature}K_{field}T_{angle}deg.txt", (2.5, 9.0, 45.0)),
        ("IV_2p5K.dat", "IV_{temperature}K*", (2.5, None, None)),
        ("a B=-500mT 0.0005", "a B={field:mT}mT *", (None, -0.5, None)),
        ("T1,8K.0.0005", "T{temperature}K.{field}", (1.8, 0.0005, None)),
        ("H90000Oe.txt", "H{field:Oe}Oe.txt", (None, 9.0, None)),
    ],
)
def test_set_points_from_names(name, template, expected):
    found = set_points_from_name(name, template)
    assert tuple(found.get(k) for k in ("temperature", "field", "angle")) == expected


def test_name_that_does_not_fit():
    with pytest.raises(InputError, match="does not fit the pattern"):
        set_points_from_name("IV_hot.txt", "IV_{temperature}K.txt")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        (" +.5 ", 0.5),
        ("5.", 5.0),
        ("1_0", None),
        ("0x1", None),
        ("1e", None),
        ("١", None),
        ("1 2", None),
        ("", "nan"),
        ("NaN", "nan"),
        ("abc", None),
    ],
)
def test_to_float_is_strict(text, value):
    found = to_float(text)
    if value == "nan":
        assert found != found
    else:
        assert found == value


def test_scanner_refuses_what_is_no_number_and_rounds_correctly():
    """The fast path trusts pandas' scanner; this is what it trusts it for."""
    import itertools

    from nbnmbt.readers.text_table import _fast

    tokens = ["".join(p) for n in (1, 2, 3, 4) for p in itertools.product("1.eE+-", repeat=n)]
    for token in tokens:
        expected = to_float(token)
        table = _fast(f"1\t{token}\n".encode(), 2, b"\t", ".")
        if expected is None or expected != expected:
            assert table is None, token
        else:
            assert table is not None
            assert table[1][0] == expected
    for text in (b"1\t\n1\t2\n", b"\t2\n1\t2\n", b"\t\n", b"1\t2\n\n3\t4\n", b"1\t2"):
        assert _fast(text, 2, b"\t", ".") is None
    rng = np.random.default_rng(0)
    values = rng.normal(size=5000) * 10.0 ** rng.integers(-30, 30, size=5000)
    text = "".join(f"{v!r}\t{v:.9e}\n" for v in values.tolist())
    table = _fast(text.encode(), 2, b"\t", ".")
    np.testing.assert_array_equal(table[0], values)
    np.testing.assert_array_equal(table[1], [float(f"{v:.9e}") for v in values.tolist()])


# ------------------------------------------------------------------------ appended, mislabelled
def test_repeated_names_are_a_comment_and_other_names_are_refused(tmp_path):
    first, second = iv_bytes(I, ohmic(I)), iv_bytes(I[::-1], ohmic(I[::-1]))
    recording = iv_text.read(write(tmp_path, first + second), strict=True)
    np.testing.assert_array_equal(recording.columns["current"], np.concatenate([I, I[::-1]]))
    assert (recording.report.kept, recording.report.comment) == (82, 3)
    other = iv_bytes(I, ohmic(I), names=["voltage_V", "current_A", "time_s"])
    with pytest.raises(InputError, match="line 47: another table begins here"):
        iv_text.read(write(tmp_path, first + other))


@pytest.mark.parametrize("columns", [("I (mA)", "U (mV)"), (0, 1)])
def test_a_declared_log_with_other_names_further_down_is_refused(tmp_path, columns):
    key = "name" if isinstance(columns[0], str) else "position"
    layout = Layout.model_validate(
        {
            "columns": {
                "current": {key: columns[0], "unit": "mA"},
                "voltage": {key: columns[1], "unit": "mV"},
            }
        }
    )
    rows = "".join(f"{k}\t{2 * k}\n" for k in range(20))
    path = write(tmp_path, "I (mA)\tU (mV)\n" + rows + "I (mA)\tU (mV)\n" + rows)
    recording = layouts.read(path, layout, strict=True)
    assert (len(recording), recording.report.comment) == (40, 1)
    path = write(tmp_path, "I (mA)\tU (mV)\n" + rows + "U (mV)\tI (mA)\n" + rows)
    with pytest.raises(InputError, match="another table begins here"):
        layouts.read(path, layout)


def test_cells_in_quotes(tmp_path):
    layout = Layout.model_validate(
        {
            "delimiter": ",",
            "columns": {
                "current": {"name": "I", "unit": "A"},
                "voltage": {"name": "U", "unit": "V"},
            },
        }
    )
    path = write(tmp_path, '"I","U"\n"1.5","3"\n"-2","-4e0"\n')
    columns = layouts.read(path, layout, strict=True).columns
    np.testing.assert_array_equal(columns["current"], [1.5, -2])
    np.testing.assert_array_equal(columns["voltage"], [3, -4])


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_unit_of_another_quantity_in_the_name(tmp_path, scale):
    """A current read as a voltage over a shunt states the volt, and scale says what it is."""
    layout = Layout.model_validate(
        {
            "columns": {
                "current": {"name": "I (V)", "unit": "A", "scale": scale},
                "voltage": {"name": "U", "unit": "V"},
            }
        }
    )
    path = write(tmp_path, "I (V)\tU\n1\t2\n2\t4\n")
    if scale == 1:
        with pytest.raises(InputError, match="the unit A for current, the file says V"):
            layouts.read(path, layout)
    else:
        assert layouts.read(path, layout).columns["current"][0] == 1e-3


def test_a_hyphen_before_a_temperature_is_no_sign():
    assert set_points_from_name("IV-2K.txt", "*{temperature}K.txt") == {"temperature": 2.0}
    celsius = set_points_from_name("IV-2C.txt", "IV{temperature:degC}C.txt")
    assert celsius["temperature"] == pytest.approx(271.15)
    with pytest.raises(InputError, match="does not fit"):
        set_points_from_name("IV-2K.txt", "IV{temperature}K.txt")


def test_the_draft_does_not_take_time_for_temperature_nor_a_lock_in_for_ohm(tmp_path):
    rows = "".join(f"{k}\t12:00:{k:02d}\t{k}\t{2 * k}\t1\n" for k in range(20))
    path = write(tmp_path, "T (s)\tTime\tI (mA)\tU (mV)\tR (V)\n" + rows)
    guess = sniff.guess_layout(path)
    assert set(guess.layout["columns"]) == {"current", "voltage"}
    assert any("'Time' holds no numbers" in note for note in guess.notes)
    assert sniff.set_points_in_name("IV-2K_-1T.txt") == {"temperature": 2.0, "field": -1.0}
