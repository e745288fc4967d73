"""The MultiVu reader against every trap seen in real laboratories, in files made here."""

from __future__ import annotations

import datetime as dt
import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from lab_files import HEADER, RESISTIVITY_NAMES, multivu_bytes, resistivity_rows

from nbnmbt.errors import InputError
from nbnmbt.readers import multivu

T = np.linspace(2, 12, 21)
R = 5 + T**2


def rows():
    return resistivity_rows(T, 0.5 + 0 * T, {1: R})


def read(tmp_path, data, name="x.dat", **options):
    path = tmp_path / name
    path.write_bytes(data)
    return multivu.read(path, **options)


def check(file, n=21, channel=None):
    columns = file.recording(channel).columns
    np.testing.assert_array_equal(columns["temperature"], T[:n])
    np.testing.assert_allclose(columns["resistance"], R[:n], rtol=1e-14)
    np.testing.assert_allclose(columns["field"], 0.5, rtol=1e-14)
    report = file.report
    assert report.kept + report.comment + report.blank + report.dropped == report.lines_after_names
    return columns


def test_ragged_rows_are_padded_not_refused(tmp_path):
    file = read(tmp_path, multivu_bytes(rows()), strict=True)
    columns = check(file)
    assert len(file.names) == 40  # all but the comment
    assert file.report.padded == 21
    assert file.channels == [1]
    # Std. Dev. in ohm-m over sqrt(25) readings, with R = 2000/m rho
    np.testing.assert_allclose(columns["resistance_err"], R * 0.05 / 5, rtol=1e-12)
    np.testing.assert_allclose(columns["current"], 20e-6, rtol=1e-14)


@pytest.mark.parametrize("eol", ["\r\n", "\n", "\r", "\r\n\r\n", "\n\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_ends(tmp_path, eol, final):
    check(read(tmp_path, multivu_bytes(rows(), eol=eol, final_eol=final)))


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    check(read(tmp_path, multivu_bytes(rows(), encoding=encoding)))


def test_micro_sign_survives_cp1252(tmp_path):
    names = [name.replace("(uA)", "(µA)") for name in RESISTIVITY_NAMES]
    file = read(tmp_path, multivu_bytes(rows(), names=names, encoding="cp1252"))
    assert file.report.encoding == "cp1252"
    np.testing.assert_allclose(check(file)["current"], 20e-6)
    assert "Bridge 1 Excitation (µA)" in file.columns


def test_undecodable_byte_is_an_error(tmp_path):
    data = multivu_bytes(rows()).replace(b"TITLE, a test", b"TITLE, a \x81 test")
    with pytest.raises(InputError, match="line 2: cannot be decoded as utf-8-sig or cp1252"):
        read(tmp_path, data)


@pytest.mark.parametrize("tag", ["[data]", "  [DATA]  ", "[Data],,,,,", "[Data]" + "\t" * 80])
def test_data_tag_in_any_dress(tmp_path, tag):
    check(read(tmp_path, multivu_bytes(rows(), header=[*HEADER[:-1], tag, "", ";"])))


def test_blank_lines_between_tag_names_and_rows(tmp_path):
    data = multivu_bytes(rows(), header=[*HEADER, "", ""])
    names = ",".join(RESISTIVITY_NAMES).encode()
    data = data.replace(names, names + b"\r\n\r\n")
    file = read(tmp_path, data)
    check(file)
    assert file.report.blank == 2


def test_excel_resave_with_tabs_and_bom(tmp_path):
    header = [line.replace(",", "\t") + "\t" * 30 for line in HEADER]
    data = multivu_bytes(rows(), header=header, delimiter="\t", encoding="utf-8-sig")
    file = read(tmp_path, data)
    check(file)
    assert file.header.info["Sample1 Units"] == "Ohm-m"
    assert file.header.file_open_times == (dt.datetime(2024, 12, 18, 10, 42),)


def test_excel_resave_with_semicolons_and_decimal_commas(tmp_path):
    comma = [[cell.replace(".", ",") for cell in row] for row in rows()]
    file = read(tmp_path, multivu_bytes(comma, delimiter=";"))
    check(file)
    assert "decimal comma read as decimal point" in file.report.conversions


def test_commas_that_may_group_thousands_are_refused(tmp_path):
    mixed = rows()
    mixed[3][4] = "5,000"
    with pytest.raises(InputError, match="may be decimal commas or group thousands"):
        read(tmp_path, multivu_bytes(mixed, delimiter="\t"))


def test_three_digits_after_every_comma_are_refused(tmp_path):
    """5,000 is five or five thousand, and nothing else in the file tells."""
    names = ["Comment", "Time Stamp (sec)", "Temperature (K)", "Bridge 1 Resistance (Ohms)"]
    lines = [["", "1", "2,500", "5,125"], ["", "2", "3,500", "5,250"]]
    with pytest.raises(InputError, match="may be decimal commas or group thousands"):
        read(tmp_path, multivu_bytes(lines, names=names, delimiter="\t"))


def test_comments_remarks_and_aborted_measurement(tmp_path):
    lines = rows()
    lines[2][0] = "touchdown = 7.89 mm"
    extra = [
        ['"an operator, in a hurry"', "30500000.0"],
        [";a remark, with, many, commas"],
        [""],
        [","],
        ["Measurement was Aborted", "13894031.34"],
    ]
    file = read(tmp_path, multivu_bytes(lines[:5] + extra[:4] + lines[5:] + extra[4:]), strict=True)
    check(file)
    assert (file.report.comment, file.report.blank, file.report.dropped) == (3, 2, 0)
    assert file.comments[2] == "touchdown = 7.89 mm"


def test_rows_of_another_length_are_dropped_not_shifted(tmp_path):
    lines = rows()
    lines[4].insert(7, "9.9")  # one field more: everything right of it would move
    del lines[9][7]
    joined = lines[12] + lines[13]
    lines = [*lines[:12], joined, *lines[14:]]
    file = read(tmp_path, multivu_bytes(lines))
    assert file.report.kept == 17
    assert file.report.dropped == 3
    columns = file.recording().columns
    np.testing.assert_allclose(columns["resistance"], 5 + columns["temperature"] ** 2, rtol=1e-14)
    with pytest.raises(InputError, match="line 30: 3 row"):
        read(tmp_path, multivu_bytes(lines), strict=True)


def test_more_fields_than_names_keeps_names_on_the_left(tmp_path):
    """Pandas would take the first columns as an index and shift every name."""
    names = ["Comment", "Time Stamp (sec)", "Temperature (K)", "Bridge 1 Resistance (Ohms)"]
    data = multivu_bytes(
        [
            ["", "30500000", f"{t!r}", f"{r!r}", "7", "8"]
            for t, r in zip(T.tolist(), R.tolist(), strict=True)
        ],
        names=names,
    )
    file = read(tmp_path, data)
    np.testing.assert_array_equal(file.columns["Temperature (K)"], T)
    assert file.columns["unnamed 6"][0] == 8
    assert "6 fields for 4 names" in file.report.warnings[0]
    with pytest.raises(InputError, match="6 fields for 4 names"):
        read(tmp_path, data, strict=True)
    naive = pd.read_csv(io.BytesIO(data.split(b"[Data]\r\n")[1]))
    assert naive["Temperature (K)"].iloc[0] != T[0]


def test_no_rule_for_the_row_length_is_an_error(tmp_path):
    lines = rows()[:2]
    lines[0].append("1")
    with pytest.raises(InputError, match="none is the rule"):
        read(tmp_path, multivu_bytes(lines))


def test_column_order_is_free(tmp_path):
    order = np.random.default_rng(5).permutation(23)
    names = [RESISTIVITY_NAMES[i] for i in order]
    shuffled = [[row[i] for i in order] for row in rows()]
    check(read(tmp_path, multivu_bytes(shuffled, names=names)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Magnetic Field (Oe)", "Field (Oersted)"),
        ("Magnetic Field (Oe)", "Field (Oe)"),
        ("Temperature (K)", "Sample Temp. (K)"),
        ("Temperature (K)", "Sample Temp (Kelvin)"),
        ("Time Stamp (sec)", "Time Stamp (Seconds)"),
        ("Sample Position (deg)", "Sample Position (degrees)"),
        ("Bridge 1 Resistance (Ohms)", "bridge 1  RESISTANCE (ohm)"),
        ("Bridge 1 Resistance (Ohms)", 'Bridge 1 Resistance" (Ohms)'),
    ],
)
def test_spellings(tmp_path, old, new):
    names = [new if name == old else name for name in RESISTIVITY_NAMES]
    check(read(tmp_path, multivu_bytes(rows(), names=names)))


def test_field_in_tesla_and_unknown_field_unit(tmp_path):
    lines = rows()
    for line in lines:
        line[4] = "0.5"
    names = [n.replace("Magnetic Field (Oe)", "Magnetic Field (T)") for n in RESISTIVITY_NAMES]
    check(read(tmp_path, multivu_bytes(lines, names=names)))
    names = [n.replace("(T)", "(Ge)") for n in names]
    with pytest.raises(InputError, match=r"unknown unit for field.*'Ge'"):
        read(tmp_path, multivu_bytes(lines, names=names)).recording()
    names = [n.replace(" (Ge)", "") for n in names]
    with pytest.raises(InputError, match="states no unit"):
        read(tmp_path, multivu_bytes(lines, names=names)).recording()


def test_two_columns_of_one_name_are_ambiguous(tmp_path):
    names = [n.replace("Bridge 2 Resistance", "Bridge 1 Resistance") for n in RESISTIVITY_NAMES]
    data = multivu_bytes(resistivity_rows(T, T, {1: R, 2: 2 * R}), names=names)
    with pytest.raises(InputError, match="two columns claim to be the resistance of channel 1"):
        read(tmp_path, data).recording()


def test_resistivity_with_geometry_in_millimetres(tmp_path):
    """Without a resistance column, R = rho L / A with L = 4 mm, A = 2 mm^2 of the header."""
    lines = [row[:19] for row in rows()]
    file = read(tmp_path, multivu_bytes(lines, names=RESISTIVITY_NAMES[:19]))
    check(file)
    assert any("ohm-m to ohm" in text for text in file.report.conversions)


def test_resistivity_with_geometry_in_centimetres(tmp_path):
    header = [
        "[Header]",
        "BYAPP,ACTRANSPORT,2.0,1.1",
        "INFO,0.1393,SAMPLE1_LEAD_SEPARATION",
        "INFO,0.0011144,SAMPLE1_CROSS_SECTION",
        "[Data]",
    ]
    names = ["Comment", "Time Stamp (sec)", "Temperature (K)", "Res. ch1 (ohm-cm)"]
    names += ["Res. Std.Dev. ch1"]
    lines = [["", "1", "2.0", "8.39211453295936E-6", "1.4426E-7"]] * 3
    columns = read(tmp_path, multivu_bytes(lines, names=names, header=header)).recording().columns
    expected = 8.39211453295936e-6 * 0.1393 / 0.0011144
    np.testing.assert_allclose(columns["resistance"], expected, rtol=1e-12)
    np.testing.assert_allclose(columns["resistance_err"], 1.4426e-7 * 125, rtol=1e-12)


def test_resistivity_column_in_ohm_is_a_resistance(tmp_path):
    names = [
        n.replace("Bridge 1 Resistivity (Ohm-m)", "Bridge 1 Resistivity (Ohm)")
        for n in RESISTIVITY_NAMES[:19]
    ]
    lines = [row[:19] for row in rows()]
    for line, r in zip(lines, R.tolist(), strict=True):
        line[6] = repr(r)
    check(read(tmp_path, multivu_bytes(lines, names=names)))


def test_interleaved_channels_stay_apart(tmp_path):
    names = [
        "Comment",
        "Time Stamp (s)",
        "Temperature (K)",
        "Field (Oe)",
        "Resistance Ch1 (Ohms)",
        "Resistance Ch2 (Ohms)",
    ]
    lines = []
    for i, t in enumerate(T):
        value = repr(float(R[i]))
        lines.append(["", str(i), repr(float(t)), "5000", *((value, "") if i % 3 else ("", value))])
    file = read(tmp_path, multivu_bytes(lines, names=names, final_eol=True))
    assert file.channels == [1, 2]
    with pytest.raises(InputError, match=r"in several channels.*found '1, 2'"):
        file.recording()
    one, two = (file.recording(f"ch{k}").columns for k in (1, 2))
    assert len(one["resistance"]) == 14
    assert len(two["resistance"]) == 7
    np.testing.assert_array_equal(two["temperature"], T[::3])
    np.testing.assert_array_equal(one["resistance"], np.delete(R, np.arange(0, 21, 3)))
    with pytest.raises(InputError, match="no resistance data in this channel"):
        file.recording("3")


@pytest.mark.parametrize(
    "text", ["", "NaN", "nan", "Inf", "-Inf", "---", "-99999999", "1.72808126620536e-041", "n/a"]
)
def test_sentinels_become_nan(tmp_path, text):
    lines = rows()
    lines[3][22 - 3] = text  # Bridge 1 Resistance
    file = read(tmp_path, multivu_bytes(lines), strict=True)
    assert len(file) == 21
    assert np.isnan(file.columns["Bridge 1 Resistance (Ohms)"][3])
    assert len(file.recording()) == 20
    assert file.report.sentinels == (1 if text else 0)


@pytest.mark.parametrize("text", ["1_0", "0x10", "1,5e", "1.2.3", "ten", "١", "1e", "+-1"])
def test_what_is_no_number_is_never_read_as_one(tmp_path, text):
    lines = rows()
    lines[3][19] = f'"{text}"'
    file = read(tmp_path, multivu_bytes(lines, encoding="utf-8"))
    assert np.isnan(file.columns["Bridge 1 Resistance (Ohms)"][3])
    assert file.report.unreadable_cells[0][1:] == ("Bridge 1 Resistance (Ohms)", text)
    with pytest.raises(InputError, match="Bridge 1 Resistance"):
        read(tmp_path, multivu_bytes(lines, encoding="utf-8"), strict=True)


def test_three_digit_exponents(tmp_path):
    lines = rows()
    lines[0][19] = "9.0000e+000"
    assert read(tmp_path, multivu_bytes(lines)).recording().columns["resistance"][0] == 9


def test_info_in_both_orders_with_commas(tmp_path):
    header = [
        *HEADER[:-1],
        "INFO,(1.98, 1.99, 2.70),SAMPLE_SIZE",
        "INFO,NdCuGa3, L=2.36,w=0.68,t=0.77,l=1.25mm,SAMPLE1_MATERIAL",
        "INFO,OVB171,OVEN_SERIAL_NUMBER",
        "INFO,2.71,MASS:Sample Mass (mg)",
        "INFO,mass,53.10 mg",
        "INFO,only a value",
        "INFO,,",
        "; a comment, with comma",
        ";another",
        HEADER[-1],
    ]
    info = read(tmp_path, multivu_bytes(rows(), header=header)).header.info
    assert info["APPNAME"] == "PPMS MultiVu Application, 1.5.11"
    assert info["Sample2 Name"] == "film 2, with a comma"
    assert info["SAMPLE_SIZE"] == "(1.98, 1.99, 2.70)"
    assert info["SAMPLE1_MATERIAL"] == "NdCuGa3, L=2.36,w=0.68,t=0.77,l=1.25mm"
    assert info["OVEN_SERIAL_NUMBER"] == "OVB171"
    assert info["MASS"] == "2.71"
    assert info["mass"] == "53.10 mg"


EVENING = dt.datetime(2022, 10, 15, 21, 36)
NOON = dt.datetime(2022, 10, 15, 12, 36)
MIDNIGHT = dt.datetime(2022, 10, 15, 0, 36)
OLE = (EVENING - dt.datetime(1899, 12, 30)).total_seconds()
UNIX = (EVENING - dt.datetime(1970, 1, 1)).total_seconds()


@pytest.mark.parametrize(
    ("line", "stamp", "clock", "start"),
    [
        ("FILEOPENTIME,26417820.91,10/15/2022,9:36 PM", 26417880.91, "controller", EVENING),
        ("FILEOPENTIME,26417820.91,15/10/2022,9:36 pm", 26417880.91, "controller", EVENING),
        ("FILEOPENTIME,26417820.91,,10/15/2022 21:36:00", 26417880.91, "controller", EVENING),
        ("FILEOPENTIME, 0.0, ,2022-10-15 21:36:00", OLE + 60, "ole", EVENING),
        (f"FILEOPENTIME {OLE:.2f} 10/15/2022, 9:36:00 PM", OLE + 60, "ole", EVENING),
        ("FILEOPENTIME,26417820.91,10/15/2022,21:36:00 PM", 26417880.91, "controller", EVENING),
        ("FILEOPENTIME,26417820.91,10/15/2022,12:36 PM", 26417880.91, "controller", NOON),
        ("FILEOPENTIME,26417820.91,10/15/2022,12:36 AM", 26417880.91, "controller", MIDNIGHT),
        ("FILEOPENTIME,26417820.91,10/11/2022,9:36 PM", 26417880.91, "controller", None),
        ("FILEOPENTIME,99.0,10/15/2022,9:36 PM", 26417880.91, "controller", None),
        (f"FILEOPENTIME,{UNIX:.1f},10/15/2022,21:36:00 PM", UNIX + 60, "unix", None),
        ("FILEOPENTIME, 0.0, ,2022-10-18 21:36:00", OLE + 60, "ole", None),
        ("TITLE,no clock", OLE, "ole", None),
    ],
)
def test_clocks(tmp_path, line, stamp, clock, start):
    header = [line if text.startswith("FILEOPEN") else text for text in HEADER]
    lines = rows()
    for i, row in enumerate(lines):
        row[1] = f"{stamp + i:.2f}"
    file = read(tmp_path, multivu_bytes(lines, header=header))
    assert file.clock == clock
    if start is None:
        assert file.start is None
    else:
        assert abs((file.start - start).total_seconds() - 60) < 0.02


@pytest.mark.parametrize("names", [True, False])
def test_header_only(tmp_path, names):
    data = multivu_bytes([]) if names else ("\r\n".join(HEADER) + "\r\n").encode()
    file = read(tmp_path, data)
    assert len(file) == 0
    assert len(file.report.warnings) == 1
    assert len(file.recording()) == 0
    with pytest.raises(InputError):
        read(tmp_path, data, strict=True)


def test_what_is_no_multivu_file(tmp_path):
    with pytest.raises(InputError, match=r"there is no \[Data\] section"):
        read(tmp_path, b"a,b\n1,2\n")
    with pytest.raises(InputError, match="cut short in its header"):
        read(tmp_path, "\r\n".join(HEADER[:7]).encode())


def test_last_number_without_line_end_is_not_trusted(tmp_path):
    """A file cut inside its last field cannot be told from a whole one: the cell is NaN."""
    names = ["Comment", "Time Stamp (sec)", "Temperature (K)", "Bridge 1 Resistance (Ohms)"]
    lines = [["", "1", "2.5", "123.456"]] * 4
    data = multivu_bytes(lines, names=names, final_eol=False)
    for cut in (0, 2, 4):
        file = read(tmp_path, data[: len(data) - cut])
        assert np.isfinite(file.columns["Bridge 1 Resistance (Ohms)"]).tolist() == [True] * 3 + [
            False
        ]
        assert file.columns["Temperature (K)"].tolist() == [2.5] * 4


def test_xarray_backend(tmp_path):
    path = tmp_path / "file.dat"
    path.write_bytes(multivu_bytes(rows()))
    ds = xr.open_dataset(path, engine="multivu")
    np.testing.assert_array_equal(ds["Temperature"], T)
    assert ds["Temperature"].attrs == {"units": "K", "long_name": "Temperature (K)"}
    assert ds["Magnetic Field"].attrs["units"] == "Oe"
    assert ds.attrs["title"] == "a test"
    assert "Temperature" not in xr.open_dataset(
        path, engine="multivu", drop_variables=["Temperature"]
    )
    assert xr.open_dataset(path).sizes["row"] == 21  # guessed by content


def test_agrees_with_pandas_where_pandas_is_right(tmp_path):
    names = RESISTIVITY_NAMES[:23]
    data = multivu_bytes(rows(), names=names)
    file = read(tmp_path, data)
    frame = pd.read_csv(io.BytesIO(data.split(b"[Data]\r\n")[1]), encoding="cp1252")
    for name in names[1:]:
        np.testing.assert_array_equal(file.columns[name], frame[name].to_numpy(dtype=float))


def test_damaged_names_are_refused(tmp_path):
    """A comma in place of a letter would shift every name to the right of it."""
    data = multivu_bytes(rows())
    broken = data.replace(b"Sample Position (deg)", b"Sample Posi,ion (deg)")
    with pytest.raises(InputError, match="resistance column is empty"):
        read(tmp_path, broken).recording(1)
    with pytest.raises(InputError, match=r"names line is damaged.*'deg\)'"):
        read(tmp_path, data.replace(b"Position (deg)", b"Position ,deg)"))
    with pytest.raises(InputError, match="names line is damaged"):
        read(tmp_path, data.replace(b"Map 37 ()\r\n", b"Map 37 ()   ,"))
    both = multivu_bytes(resistivity_rows(T, T, {1: R, 2: 3 * R}))
    with pytest.raises(InputError, match="resistance and resistivity of channel 1 contradict"):
        read(tmp_path, both.replace(b"Sample Position (deg)", b"Sample Posi,ion (deg)")).recording(
            1
        )
    group = "FIELDGROUP, Resistivity," + ",".join(map(str, range(2, 42)))
    header = [*HEADER[:-1], group, HEADER[-1]]
    broken = multivu_bytes(rows(), header=header).replace(b"Position (deg)", b"Pos,tion (deg)")
    with pytest.raises(InputError, match="42 names but the header speaks of 41 columns"):
        read(tmp_path, broken)
    names = RESISTIVITY_NAMES[:23]
    full = multivu_bytes(rows(), names=names).replace(b"Status (code)", b"Stat,s (code)")
    with pytest.raises(InputError, match="23 fields for 24 names"):
        read(tmp_path, full)


def test_empty_last_name_is_no_column(tmp_path):
    names = [*RESISTIVITY_NAMES[:23], ""]
    check(read(tmp_path, multivu_bytes(rows(), names=names)))


def swapped():
    """Names and rows of a file whose temperature and field columns are exchanged."""
    order = [0, 1, 2, 4, 3, *range(5, 41)]
    names = [RESISTIVITY_NAMES[i] for i in order]
    return names, [[row[i] for i in order[:23]] for row in rows()]


@pytest.mark.parametrize("between", ["", "[Data]\r\n", "\r\n".join(HEADER) + "\r\n"])
def test_a_file_appended_to_another_is_read_on_under_the_same_names(tmp_path, between):
    tail = multivu_bytes(rows()[10:], header=[]).decode()
    data = multivu_bytes(rows()[:10]) + (between + tail).encode()
    file = read(tmp_path, data, strict=True)
    check(file)
    assert (file.report.kept, file.report.dropped, file.report.unreadable) == (21, 0, 0)
    assert any("second table with the same names" in note for note in file.report.notes)


@pytest.mark.parametrize("between", ["", "[Data]\r\n", "\r\n".join(HEADER) + "\r\n"])
def test_a_second_table_with_other_names_is_refused(tmp_path, between):
    """Its temperatures would be read as fields."""
    names, moved = swapped()
    tail = multivu_bytes(moved, header=[], names=names).decode()
    with pytest.raises(InputError, match="another table begins here, with other names"):
        read(tmp_path, multivu_bytes(rows()) + (between + tail).encode())


def test_a_second_data_section_needs_names_and_the_same_geometry(tmp_path):
    tail = ("[Data]\r\n" + "\r\n".join(",".join(row) for row in rows()) + "\r\n").encode()
    with pytest.raises(InputError):
        read(tmp_path, multivu_bytes(rows()) + tail)
    header = [line.replace("INFO, 4, Sample1 Length", "INFO, 5, Sample1 Length") for line in HEADER]
    with pytest.raises(InputError, match="another lead distance or cross section"):
        read(tmp_path, multivu_bytes(rows()) + multivu_bytes(rows(), header=header))


def test_quoted_decimal_commas_between_commas(tmp_path):
    quoted = [[f'"{c}"'.replace(".", ",") if "." in c else c for c in row] for row in rows()]
    file = read(tmp_path, multivu_bytes(quoted))
    check(file)
    assert "decimal comma read as decimal point" in file.report.conversions
