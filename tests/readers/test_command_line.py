"""The commands draft, check, show and provenance, as a person types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from lab_files import iv_bytes, multivu_bytes, ohmic, resistivity_rows

from nbnmbt import datasets
from nbnmbt.__main__ import main, sparkline
from nbnmbt.readers import multivu, sniff
from nbnmbt.samples import load

I = np.round(np.arange(-20, 21) * 5e-5, 12)
T = np.linspace(2, 40, 60)
B = np.linspace(12, -12, 97)


@pytest.fixture
def lab(tmp_path):
    """A folder as a lab would copy it: two MultiVu files, V(I) logs in two layouts, companions."""
    folder = tmp_path / "mydevice"
    (folder / "iv").mkdir(parents=True)
    (folder / "RT_NbN.dat").write_bytes(
        multivu_bytes(resistivity_rows(T, 0 * T, {1: 10 + T, 2: 3 * T}))
    )
    (folder / "MR interface.DAT").write_bytes(
        multivu_bytes(resistivity_rows(0 * B + 2, B, {3: 5 + B**2}))
    )
    for t in (2.0, 4.0, 6.0):
        (folder / "iv" / f"IV_{t:.1f}K.txt").write_bytes(iv_bytes(I, ohmic(I, t), t))
    for b in (0, 1):
        text = "// logger\nU [mV];I [mA];B [T]\n" + "".join(
            f"{v * 1e3:.6f};{i * 1e3:.4f};{b:.1f}\n".replace(".", ",")
            for v, i in zip(ohmic(I, 3 + b), I, strict=True)
        )
        (folder / "iv" / f"MnBi2Te4_2K_{b}T.csv").write_text(text)
    (folder / "RT_NbN.dat.gph").write_bytes(b"\x00\x01")
    (folder / "run.seq").write_text("! a sequence\n")
    (folder / "copy.dat").write_bytes((folder / "RT_NbN.dat").read_bytes())
    (folder / "notes.txt").write_text("we cooled down on a Monday\n")
    return folder


def test_draft_then_check_then_build(lab, capsys):
    assert main(["draft", str(lab)]) == 0
    out = capsys.readouterr().out
    assert "byte-identical" in out
    assert "no table of numbers found" in out
    text = (lab / "measurements.csv").read_text()
    assert "# guessed" in text
    # Two bridges of one file: the person must choose, and check says so.
    assert main(["check", str(lab)]) == 1
    captured = capsys.readouterr()
    assert "delete the row of the channel that does not belong to it" in captured.err
    lines = text.splitlines(keepends=True)
    lines = [x for x in lines if not re.match(r"rt_nbn,.*,2,[0-9a-f]{64}$", x.strip())]
    (lab / "measurements.csv").write_text("".join(lines))
    code = main(["check", str(lab)])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    assert "in order" in captured.out
    assert re.search(r"iv_temperature +3 files, 123 rows, 3 sweeps: 3 T x 41 I", captured.out)
    assert re.search(r"iv_angle +not measured", captured.out)
    sheet = load(lab)
    assert sheet.measurements == ["rt_nbn", "mr_interface", "iv_mnbi2te4", "iv_temperature"]
    ds = datasets.assemble(sheet, "iv_mnbi2te4")
    assert ds["B"].values.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(ds["V"].sel(B=1).squeeze(), 4 * ds["I"], rtol=1e-6)
    ds = datasets.assemble(sheet, "rt_nbn")
    np.testing.assert_allclose(ds["R"].squeeze(), 10 + T, rtol=1e-12)


def test_draft_does_not_overwrite(lab, capsys):
    assert main(["draft", str(lab)]) == 0
    (lab / "sample.yaml").write_text("title: mine\nprovenance: measured\n")
    capsys.readouterr()
    assert main(["draft", str(lab)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert "mine" in (lab / "sample.yaml").read_text()
    assert main(["draft", str(lab), "--force"]) == 0


def test_check_says_everything_at_once(lab, capsys):
    main(["draft", str(lab)])
    path = lab / "measurements.csv"
    text = path.read_text().replace("NbN,,", "NBN,,").replace(",R-B,", ",RB,")
    path.write_text(text.replace("IV_4.0K", "IV_4.1K"))
    (lab / "iv" / "IV_2.0K.txt").write_bytes(b"# spoiled\n")
    capsys.readouterr()
    assert main(["check", str(lab)]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("problem: ") >= 4
    for word in ("'NBN'", "'RB'", "IV_4.1K", "the file has changed"):
        assert word in captured.err
    assert "Traceback" not in captured.err


def test_check_strict_counts_dropped_rows(lab, capsys):
    main(["draft", str(lab)])
    text = (lab / "measurements.csv").read_text()
    text = re.sub(r",[0-9a-f]{64}", ",", text)
    text = "\n".join(x for x in text.splitlines() if not re.match(r"rt_nbn,.*,2,$", x)) + "\n"
    (lab / "measurements.csv").write_text(text)
    log = lab / "iv" / "IV_2.0K.txt"
    log.write_bytes(log.read_bytes() + b"1\t2\n")
    assert main(["check", str(lab)]) == 0
    assert "1 rows dropped: a row has 6 fields, not 2" in capsys.readouterr().out
    assert main(["check", str(lab), "--strict"]) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "RT_NbN.dat",
            [
                "MultiVu, Resistivity, 2.1, 1.0",
                "Temperature (K)",
                "channel 2",
                "1 up, 0 down",
                "film 1, with a comma",
                "12/18/2024",
                "60 kept, 0 comments",
            ],
        ),
        ("iv/IV_2.0K.txt", ["iv-text", "Keithley 6221", "voltage", "swept: current, 1 up"]),
        ("iv/MnBi2Te4_2K_1T.csv", ["layout guessed", "U [mV]: mV to V", "41 kept"]),
    ],
)
def test_show(lab, capsys, name, words):
    assert main(["show", str(lab / name)]) == 0
    out = capsys.readouterr().out
    for word in words:
        assert word in out


def test_show_dataset_and_provenance(lab, capsys):
    main(["draft", str(lab)])
    out = lab.parent / "x.nc"
    text = (lab / "measurements.csv").read_text()
    lines = [x for x in text.splitlines() if not re.match(r"rt_nbn,.*,2,[0-9a-f]{64}$", x)]
    (lab / "measurements.csv").write_text("\n".join(lines) + "\n")
    arguments = ["--raw", str(lab), "--measurement", "iv_temperature", "--out", str(out)]
    assert datasets.main(arguments) == 0
    capsys.readouterr()
    assert main(["show", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "T:3 B:1 theta:1 I:41" in shown
    main(["provenance", str(out)])
    chain = capsys.readouterr().out
    assert "sample: mydevice (measured)" in chain
    assert "IV_2.0K.txt" in chain
    assert main(["provenance", str(lab / "run.seq")]) == 1
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "none.dat"],
        ["draft", "none"],
        ["check", "/none"],
        ["check", ""],
        ["provenance", "n"],
    ],
)
def test_errors_are_one_sentence(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    first = captured.err.splitlines()
    assert len(first) == 1
    assert first[0].startswith(("error: ", "problem: "))


def test_as_a_program(lab):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nbnmbt"]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, env=environment, check=False
        )

    done = run("--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert run("fetch").returncode == 2
    assert run("show", str(lab / "run.seq")).returncode == 1


def test_sparkline():
    assert sparkline(np.arange(8.0)) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([1.0, np.nan, 1.0])) == "▁ ▁"
    assert sparkline(np.array([np.nan])) == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["draft", "empty"], "the folder is empty; copy your files there first"),
        (["draft", "nothing"], "no file in the folder can be used; nothing.dat: the file is empty"),
        (["draft", "not there"], "there is no such folder"),
        (["show", "empty"], "this is a folder; 'show' takes one file"),
        (["show", "picture/fig.png"], "is it a text file"),
        (["check", "not/there"], "there is no such sample folder"),
        (["check", "./my sample"], "cannot be the name of a sample (found 'my sample'"),
        (["provenance", "nothing/nothing.dat"], "a stamp is in .pdf, .svg, .png, .nc, .json files"),
    ],
)
def test_ugly_folders_get_one_sentence(tmp_path, monkeypatch, capsys, command, words):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "nothing", "picture", "my sample"):
        (tmp_path / name).mkdir()
    (tmp_path / "nothing" / "nothing.dat").write_bytes(b"")
    (tmp_path / "picture" / "fig.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x9d\x81")
    (tmp_path / "my sample" / "rt.dat").write_bytes(
        multivu_bytes(resistivity_rows(T, 0 * T, {1: T}))
    )
    if "my sample" in command[1]:
        assert main(["draft", "my sample"]) == 0
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_picture_among_the_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "fig.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x9d\x81")
    (tmp_path / "RT_NbN.dat").write_bytes(multivu_bytes(resistivity_rows(T, 0 * T, {1: T})))
    assert main(["draft", str(tmp_path)]) == 0
    assert "not used: fig.png: no measurement" in capsys.readouterr().out


def test_a_file_without_permission_is_one_problem_beside_the_others(lab, monkeypatch, capsys):
    assert main(["draft", str(lab)]) == 0
    good = multivu.read

    def denied(path, *arguments, **options):
        if str(path).endswith("RT_NbN.dat"):
            raise PermissionError(13, "Permission denied", str(path))
        return good(path, *arguments, **options)

    monkeypatch.setattr(multivu, "read", denied)
    capsys.readouterr()
    assert main(["check", str(lab)]) == 1
    captured = capsys.readouterr()
    assert "RT_NbN.dat: permission denied; change the permission" in captured.err
    assert "mr_interface     1 files" in captured.out
    assert main(["show", str(lab / "RT_NbN.dat")]) == 1
    assert "permission denied" in capsys.readouterr().err


def test_a_sheet_saved_by_a_spreadsheet(tmp_path, capsys):
    """Semicolons, BOM and CRLF of Excel; a decimal comma among them is refused with advice."""
    (tmp_path / "rt.dat").write_bytes(multivu_bytes(resistivity_rows(T, 0 * T, {1: T})))
    (tmp_path / "sample.yaml").write_text("title: x\nprovenance: measured\n")
    names = "measurement;file;quantity;configuration;orientation;temperature_K;field_T;layout"
    for field, code in (("0", 0), ("0,5", 1)):
        row = f"rt_nbn;rt.dat;R-T;NbN;;;{field};multivu"
        (tmp_path / "measurements.csv").write_bytes(f"\ufeff{names}\r\n{row}\r\n".encode())
        assert main(["check", str(tmp_path)]) == code
    assert "write a decimal point, not a comma" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["RT.dat.gph", "RT.DAT.GPH", "RT.rw.dat", "Run.SEQ", ".hidden"])
def test_companions_are_left_alone_whatever_they_hold(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(multivu_bytes(resistivity_rows(T, 0 * T, {1: T})))
    assert sniff.kind(path) == "sibling"
    path = path.rename(tmp_path / "RT.Dat")
    assert sniff.kind(path) == "multivu"
