"""From files to grids: where every number must land, and what must stay a gap."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "readers"))
from lab_files import iv_bytes, multivu_bytes, ohmic, resistivity_rows, write_sample

from nbnmbt import datasets
from nbnmbt.errors import InputError

I = np.round(np.arange(-20, 21) * 5e-5, 12)  # -1 .. 1 mA in 0.05 mA


def iv_row(measurement="iv_out_of_plane", file="a.txt", **extra):
    row = {
        "measurement": measurement,
        "file": file,
        "quantity": "V-I",
        "configuration": "NbN" if measurement.endswith("nbn") else "interface",
        "orientation": {"iv_out_of_plane": "out-of-plane", "iv_in_plane": "in-plane"}.get(
            measurement, ""
        ),
        "temperature_K": "2",
        "field_T": "",
        "angle_deg": "",
        "layout": "iv-text",
    }
    row.update(extra)
    return row


def r_row(measurement, file="r.dat", **extra):
    quantity = "R-T" if measurement.startswith("rt") else "R-B"
    return {
        "measurement": measurement,
        "file": file,
        "quantity": quantity,
        "configuration": {"nbn": "NbN", "mnbi2te4": "MnBi2Te4"}.get(
            measurement.split("_")[1], "interface"
        ),
        "orientation": "",
        "layout": "multivu",
        **extra,
    }


def test_grid_of_sweeps_with_a_gap(tmp_path):
    rows, files = [], {}
    for b in (0.0, 1.0, 2.0):
        for theta in (0.0, 90.0):
            if (b, theta) == (1.0, 90.0):
                continue
            name = f"{b}_{theta}.txt"
            files[name] = iv_bytes(I, ohmic(I, 1 + b + theta / 90), 2.003, b + 0.002, theta)
            rows.append(iv_row("iv_angle", name, field_T=str(b), angle_deg=str(theta)))
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files), "iv_angle")
    assert ds["V"].dims == ("T", "B", "theta", "I")
    assert ds["V"].shape == (1, 3, 2, 41)
    assert ds["T"].values.tolist() == [2.0]
    assert ds["B"].values.tolist() == [0.0, 1.0, 2.0]
    assert ds["theta"].values.tolist() == [0.0, 90.0]
    assert np.array_equal(ds["I"].values, np.round(np.arange(-20, 21) * 0.05, 9))
    assert np.isnan(ds["V"].sel(B=1, theta=90)).all()
    assert np.isnan(ds["V"]).sum() == 41
    np.testing.assert_allclose(ds["V"].sel(B=2, theta=90)[0], 4 * I * 1e3, rtol=1e-12)
    np.testing.assert_allclose(ds["T_measured"].sel(B=0, theta=0), 2.003)
    np.testing.assert_allclose(ds["B_measured"].sel(B=2, theta=0), 2.002)
    assert ds["V"].attrs["units"] == "mV"
    assert ds["theta"].attrs["units"] == "degree"
    report = json.loads(ds.attrs["read_report"])
    assert report["sweeps_missing"] == 1
    assert report["rows"]["kept"] == 5 * 41
    assert len(json.loads(ds.attrs["source_sha256"])) == 5


@pytest.mark.parametrize("flip", [1, -1])
def test_one_direction_has_no_branch_and_ascends(tmp_path, flip):
    data = iv_bytes(I[::flip], ohmic(I[::flip]))
    sample = write_sample(tmp_path / "s", [iv_row("iv_interface", field_T="0")], {"a.txt": data})
    ds = datasets.assemble(sample, "iv_interface")
    assert "branch" not in ds.dims
    assert (np.diff(ds["I"]) > 0).all()
    np.testing.assert_allclose(ds["V"].squeeze(), 2 * ds["I"], rtol=1e-12)


def test_up_and_down_in_one_file_become_branches(tmp_path):
    current = np.r_[I, I[::-1][1:]]
    voltage = np.r_[ohmic(I, 2), ohmic(I, 3)[::-1][1:]]
    sample = write_sample(
        tmp_path / "s", [iv_row("iv_interface")], {"a.txt": iv_bytes(current, voltage)}
    )
    ds = datasets.assemble(sample, "iv_interface")
    assert ds["V"].dims == ("branch", "T", "B", "theta", "I")
    assert ds["branch"].values.tolist() == ["up", "down"]
    up, down = (ds["V"].sel(branch=b).squeeze() for b in ("up", "down"))
    np.testing.assert_allclose(up, 2 * ds["I"], rtol=1e-12)
    np.testing.assert_allclose(down[:-1], 3 * ds["I"][:-1], rtol=1e-12)
    # The extreme point was measured once; it ends the up sweep and is not used twice.
    assert np.isnan(down[-1])


def test_five_part_sweep_joins_its_halves(tmp_path):
    z = np.linspace(0, 1e-3, 21)
    current = np.r_[z, z[::-1][1:], -z[1:], -z[::-1][1:]]
    sample = write_sample(
        tmp_path / "s", [iv_row("iv_interface")], {"a.txt": iv_bytes(current, ohmic(current))}
    )
    ds = datasets.assemble(sample, "iv_interface")
    assert ds.sizes["branch"] == 2
    up = ds["V"].sel(branch="up").squeeze()
    assert np.isfinite(up).sum() == 40  # all but the start of the branch at -1 mA
    np.testing.assert_allclose(up[1:], 2 * ds["I"][1:], atol=1e-12)


def test_several_sweeps_and_temperatures_in_one_file(tmp_path):
    temperatures = [2.0, 4.0, 6.0]
    current = np.tile(I, 3)
    voltage = np.concatenate([ohmic(I, t) for t in temperatures])
    rng = np.random.default_rng(3)
    t = np.repeat(temperatures, len(I)) + rng.normal(size=123) * 3e-3
    sample = write_sample(
        tmp_path / "s",
        [iv_row("iv_temperature", temperature_K="")],
        {"a.txt": iv_bytes(current, voltage, t)},
    )
    ds = datasets.assemble(sample, "iv_temperature")
    assert ds["T"].values.tolist() == temperatures
    for value in temperatures:
        np.testing.assert_allclose(ds["V"].sel(T=value).squeeze(), value * ds["I"], atol=1e-12)


def test_unequal_grids_share_one_axis_without_interpolation(tmp_path):
    wide = np.round(np.arange(-14, 15) * 1e-4, 12)
    files = {"a.txt": iv_bytes(I, ohmic(I)), "b.txt": iv_bytes(wide, ohmic(wide), field=1.0)}
    rows = [iv_row(file="a.txt", field_T="0"), iv_row(file="b.txt", field_T="1")]
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files), "iv_out_of_plane")
    assert np.isfinite(ds["V"].sel(B=0)).sum() == len(I)
    assert np.isfinite(ds["V"].sel(B=1)).sum() == len(wide)
    both = ds["V"].dropna("I", how="all")
    np.testing.assert_allclose(both, 2 * xr.where(np.isfinite(both), both["I"], np.nan), rtol=1e-12)
    assert ds.sizes["I"] == len(np.union1d(np.round(I, 9), np.round(wide, 9)))


def test_set_points_cluster_when_not_declared(tmp_path):
    files, rows = {}, []
    for k, b in enumerate((0.0003, 0.9998, 2.0011)):
        files[f"{k}.txt"] = iv_bytes(I, ohmic(I), 2.0, b)
        rows.append(iv_row(file=f"{k}.txt"))
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files), "iv_out_of_plane")
    assert ds["B"].values.tolist() == [0.0, 1.0, 2.0]


def test_byte_identical_file_is_no_repetition(tmp_path):
    data = iv_bytes(I, ohmic(I), field=1.0)
    other = iv_bytes(I, ohmic(I, 5), field=2.0)
    rows = [iv_row(file=f) for f in ("a.txt", "copy of a.txt", "b.txt")]
    files = {"a.txt": data, "copy of a.txt": data, "b.txt": other}
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files), "iv_out_of_plane")
    assert ds["B"].values.tolist() == [1.0, 2.0]
    assert "byte-identical to a.txt" in ds.attrs["read_report"]
    assert json.loads(ds.attrs["read_report"])["sweeps_found"] == 2


@pytest.mark.parametrize(
    ("repeats", "expected"), [("first", 2.0), ("last", 4.0), ("mean", 3.0), ("longest", 2.0)]
)
def test_repeated_set_point(tmp_path, repeats, expected):
    files = {"a.txt": iv_bytes(I, ohmic(I, 2)), "b.txt": iv_bytes(I, ohmic(I, 4))}
    rows = [iv_row("iv_interface", f) for f in files]
    yaml = f"title: x\nprovenance: measured\nassembly: {{repeats: {repeats}}}\n"
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files, yaml), "iv_interface")
    np.testing.assert_allclose(ds["V"].squeeze(), expected * ds["I"], atol=1e-12)
    assert "more than once" in ds.attrs["read_report"]


def test_resistance_against_temperature_has_measured_axis(tmp_path):
    t = np.linspace(2.0137, 40.01, 60)
    r = 1 + t**2 / 100
    data = multivu_bytes(resistivity_rows(t[::-1], 0 * t, {2: r[::-1]}))
    ds = datasets.assemble(
        write_sample(tmp_path / "s", [r_row("rt_nbn")], {"r.dat": data}), "rt_nbn"
    )
    assert ds["R"].dims == ("T", "B", "theta", "I")
    assert np.array_equal(ds["T"].values, t)
    np.testing.assert_allclose(ds["R"].squeeze(), r, rtol=1e-12)
    np.testing.assert_allclose(ds["R_err"].squeeze(), r * 0.05 / 5, rtol=1e-12)
    assert ds["I"].values.tolist() == [0.02]
    assert ds["B"].values.tolist() == [0.0]
    assert ds.attrs["configuration"] == "NbN"


def test_cooling_and_warming_keep_apart(tmp_path):
    cool, warm = np.linspace(10, 2, 33), np.linspace(2.1, 40, 50)
    t = np.r_[cool, warm]
    r = np.r_[cool * 2, warm * 3]
    data = multivu_bytes(resistivity_rows(t, 0 * t, {1: r}))
    ds = datasets.assemble(
        write_sample(tmp_path / "s", [r_row("rt_interface")], {"r.dat": data}), "rt_interface"
    )
    down = ds["R"].sel(branch="down").squeeze().dropna("T")
    up = ds["R"].sel(branch="up").squeeze().dropna("T")
    assert len(down) == 33
    assert len(up) == 50
    np.testing.assert_allclose(down / down["T"], 2, rtol=0.01)
    t_up = ds["T_measured"].sel(branch="up").squeeze().dropna("T")
    np.testing.assert_allclose(up / t_up, 3, rtol=1e-12)


def loop(width=0.1, t=2.0):
    b = np.r_[np.arange(-1, -0.5, 0.01), np.arange(-0.5, 0.5, 0.005), np.arange(0.5, 1.001, 0.01)]
    b = np.round(b, 6)
    rng = np.random.default_rng(0)
    field = np.r_[b, b[::-1][1:]]
    r = np.r_[t + np.tanh((b - width) / 0.04), (t + np.tanh((b + width) / 0.04))[::-1][1:]]
    return field + rng.normal(size=len(field)) * 5e-5, r, b


def test_loops_on_a_common_grid_with_both_branches(tmp_path):
    rows, files = [], {}
    for t in (2.0, 4.0):
        field, r, b = loop(t=t)
        files[f"{t}.dat"] = multivu_bytes(resistivity_rows(0 * field + t, field, {1: r}))
        rows.append(
            r_row("loops_interface", f"{t}.dat", orientation="out-of-plane", temperature_K=str(t))
        )
    ds = datasets.assemble(write_sample(tmp_path / "s", rows, files), "loops_interface")
    assert ds["R"].dims == ("branch", "T", "B", "theta", "I")
    assert np.array_equal(ds["B"].values, b)
    for t in (2.0, 4.0):
        up = ds["R"].sel(branch="up", T=t).squeeze()
        np.testing.assert_allclose(up, t + np.tanh((b - 0.1) / 0.04), rtol=1e-9)
        down = ds["R"].sel(branch="down", T=t).squeeze()[:-1]
        np.testing.assert_allclose(down, t + np.tanh((b[:-1] + 0.1) / 0.04), rtol=1e-9)
    measured = ds["B_measured"].sel(branch="up", T=2.0).squeeze()
    assert 0 < np.abs(measured - ds["B"]).max() < 1e-3


def test_loops_at_several_temperatures_in_one_file(tmp_path):
    parts = [loop(t=t) for t in (2.0, 2.1)]
    field = np.concatenate([p[0] for p in parts])
    r = np.concatenate([p[1] for p in parts])
    t = np.repeat([2.0004, 2.0996], len(parts[0][0]))
    data = multivu_bytes(resistivity_rows(t, field, {1: r}))
    row = r_row("loops_interface", orientation="out-of-plane")
    ds = datasets.assemble(write_sample(tmp_path / "s", [row], {"r.dat": data}), "loops_interface")
    assert ds["T"].values.tolist() == [2.0, 2.1]
    assert ds.sizes["branch"] == 2
    assert np.isfinite(ds["R"]).sum() == len(field)


def test_field_corrections_move_the_measured_field(tmp_path):
    field, r, _ = loop()
    data = multivu_bytes(resistivity_rows(0 * field + 2, field, {1: r}))
    row = r_row("loops_interface", orientation="out-of-plane")
    yaml = "title: x\nprovenance: measured\ncorrections: {field_lag_s: 6, field_offset_T: 0.01}\n"
    ds = datasets.assemble(
        write_sample(tmp_path / "s", [row], {"r.dat": data}, yaml), "loops_interface"
    )
    shift = (ds["B_measured"] - ds["B"]).squeeze().isel(B=slice(5, 40))
    # 10 mT a minute, 6 s behind: 1 mT, against the direction; offset added to both.
    np.testing.assert_allclose(shift.sel(branch="up").mean(), 0.010 - 0.001, atol=5e-5)
    np.testing.assert_allclose(shift.sel(branch="down").mean(), 0.010 + 0.001, atol=5e-5)
    assert json.loads(ds.attrs["corrections"]) == {"field_lag_s": 6.0, "field_offset_T": 0.01}


def test_missing_measurement_says_why(tmp_path):
    sample = write_sample(tmp_path / "s", [iv_row("iv_interface")], {"a.txt": iv_bytes(I, I)})
    ds = datasets.assemble(sample, "rt_nbn")
    assert not datasets.is_measured(ds)
    assert ds.attrs["reason"] == "not measured: measurements.csv lists no file for rt_nbn"
    assert len(ds.variables) == 0
    datasets.write(ds, tmp_path / "x.nc")
    again = datasets.read(tmp_path / "x.nc")
    assert again.attrs == ds.attrs


def test_header_only_file_is_not_measured(tmp_path):
    sample = write_sample(tmp_path / "s", [r_row("rt_nbn")], {"r.dat": multivu_bytes([])})
    ds = datasets.assemble(sample, "rt_nbn")
    assert ds.attrs["reason"] == "not measured: r.dat: no rows of data"


def test_field_declared_in_the_wrong_unit(tmp_path):
    text = b"I U H\n" + b"".join(b"%.6e %.6e 9.0\n" % (i, i) for i in I)
    yaml = (
        "title: x\nprovenance: measured\nlayouts:\n  log:\n    delimiter: whitespace\n"
        "    columns:\n      current: {name: I, unit: A}\n      voltage: {name: U, unit: V}\n"
        "      field: {name: H, unit: Oe}\n"
    )
    row = iv_row(file="a.txt", field_T="9", layout="log")
    sample = write_sample(tmp_path / "s", [row], {"a.txt": text}, yaml)
    with pytest.raises(InputError, match="is the column in T but declared in Oe") as caught:
        datasets.assemble(sample, "iv_out_of_plane")
    assert "line 2" in str(caught.value)


def test_field_sweep_in_tesla_declared_as_oersted(tmp_path):
    t = np.full(50, 2.0)
    b = np.linspace(12, -12, 50)
    data = multivu_bytes(resistivity_rows(t, b / 1e4, {1: t}))
    sample = write_sample(tmp_path / "s", [r_row("mr_nbn")], {"r.dat": data})
    with pytest.raises(InputError, match="in T but declared in Oe"):
        datasets.assemble(sample, "mr_nbn")


@pytest.mark.parametrize(
    ("measurement", "column", "values", "hint"),
    [
        ("iv_out_of_plane", "field", np.array([-9, -3, 0, 3, 9]) / 1e4, "T but declared in Oe"),
        ("iv_out_of_plane", "field", 5e-3 * np.arange(5), "lower assembly: field_tolerance_T"),
        ("iv_temperature", "temperature", np.arange(2, 12, 2) / 1e3, "K but declared in mK"),
        ("iv_angle", "angle", np.radians(np.arange(0, 100, 10)), "rad but declared in deg"),
        ("iv_angle", "angle", np.arange(5.0), "lower assembly: angle_tolerance_deg"),
    ],
)
def test_set_points_of_a_wrong_unit_do_not_melt_into_one(
    tmp_path, measurement, column, values, hint
):
    """No set-point is declared, and all recorded ones lie within the tolerance of the next."""
    fixed = {"temperature": 2.0, "field": 1.0, "angle": 0.0}
    names = [f"{k}.txt" for k in range(len(values))]
    rows = [iv_row(measurement, name, temperature_K="") for name in names]
    files = {
        name: iv_bytes(I, ohmic(I) * (1 + 0.01 * k), **{**fixed, column: float(values[k])})
        for k, name in enumerate(names)
    }
    sample = write_sample(tmp_path / "s", rows, files)
    with pytest.raises(InputError, match="would count as one set-point") as caught:
        datasets.assemble(sample, measurement)
    assert hint in str(caught.value)


def test_jitter_of_one_set_point_is_no_series(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"{k}.txt" for k in range(6)]
    files = {
        name: iv_bytes(
            I,
            ohmic(I) * (1 + 0.01 * k),
            temperature=2.0 + 2e-3 * rng.normal(size=I.size),
            field=2e-5 * rng.normal(size=I.size),
            angle=45 + 0.02 * k,
        )
        for k, name in enumerate(names)
    }
    for key in ("iv_out_of_plane", "iv_temperature", "iv_angle"):
        rows = [iv_row(key, name, temperature_K="") for name in names]
        ds = datasets.assemble(write_sample(tmp_path / key, rows, files), key)
        assert (ds.sizes["T"], ds.sizes["B"], ds.sizes["theta"]) == (1, 1, 1)


def test_set_point_in_a_name_must_be_plausible(tmp_path):
    yaml = (
        'title: x\nprovenance: measured\nlayouts:\n  log:\n    filename: "IV_{field}.txt"\n'
        "    columns:\n      current: {name: I, unit: A}\n      voltage: {name: U, unit: V}\n"
    )
    text = b"I\tU\n" + b"".join(b"%.6e\t%.6e\n" % (i, i) for i in I)
    row = iv_row(file="IV_90000.txt", layout="log")
    sample = write_sample(tmp_path / "s", [row], {"IV_90000.txt": text}, yaml)
    with pytest.raises(InputError, match="the field in the file's name is not plausible"):
        datasets.assemble(sample, "iv_out_of_plane")


def test_current_in_milliampere_declared_as_ampere(tmp_path):
    data = iv_bytes(I * 1e4, ohmic(I))
    sample = write_sample(tmp_path / "s", [iv_row("iv_interface")], {"a.txt": data})
    with pytest.raises(InputError, match="is the column in mA or uA but declared in A"):
        datasets.assemble(sample, "iv_interface")


def test_wrong_hash_stops_the_build(tmp_path):
    data = iv_bytes(I, I)
    good = hashlib.sha256(data).hexdigest()
    row = iv_row("iv_interface", sha256=good)
    sample = write_sample(tmp_path / "s", [row], {"a.txt": data})
    assert datasets.is_measured(datasets.assemble(sample, "iv_interface"))
    (sample / "a.txt").write_bytes(data.replace(b"1", b"2", 1))
    with pytest.raises(InputError, match="the file has changed"):
        datasets.assemble(sample, "iv_interface")


def test_same_bytes_and_streaming_gives_the_same_numbers(tmp_path, monkeypatch):
    rows, files = [], {}
    for b in range(5):
        files[f"{b}.txt"] = iv_bytes(I, ohmic(I, 1 + b), field=b)
        rows.append(iv_row(file=f"{b}.txt", field_T=str(b)))
    sample = write_sample(tmp_path / "s", rows, files)
    out = [tmp_path / f"{k}.nc" for k in range(4)]
    datasets.assemble_to(sample, "iv_out_of_plane", out[0])
    datasets.write(datasets.assemble(sample, "iv_out_of_plane"), out[1])
    monkeypatch.setattr(datasets, "STREAM_BYTES", 0)
    monkeypatch.setattr(datasets._Spool.__init__, "__defaults__", (1000,))
    datasets.assemble_to(sample, "iv_out_of_plane", out[2])
    datasets.assemble_to(sample, "iv_out_of_plane", out[3])
    data = [p.read_bytes() for p in out]
    assert data[0] == data[1]
    assert data[2] == data[3]
    xr.testing.assert_identical(datasets.read(out[0]), datasets.read(out[2]))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_command_line(tmp_path, capsys):
    sample = write_sample(tmp_path / "s", [iv_row("iv_interface")], {"a.txt": iv_bytes(I, I)})
    out = tmp_path / "out" / "x.nc"
    arguments = ["--raw", str(sample), "--measurement", "iv_interface", "--out", str(out)]
    assert datasets.main(arguments) == 0
    from nbnmbt.provenance import read_stamp

    assert read_stamp(out)["sample"] == "s"
    arguments[3] = "iv_interfaces"
    assert datasets.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "did you mean 'iv_interface'?" in error


def test_contract_says_what_is_missing():
    @datasets.contract(
        needs={"V": ("mV", ("branch?", "T", "B", "theta", "I"))}, yields={"r": ("ohm", ("T",))}
    )
    def resistance(ds):
        return xr.Dataset({"r": datasets.with_units(ds["V"].isel(B=0, theta=0, I=0), "ohm")})

    v = xr.DataArray(np.ones((2, 1, 1, 3)), dims=("T", "B", "theta", "I"), attrs={"units": "mV"})
    assert resistance(xr.Dataset({"V": v}))["r"].attrs == {"units": "ohm"}
    assert resistance.needs["V"][0] == "mV"
    with pytest.raises(InputError, match="resistance needs the variable 'V'"):
        resistance(xr.Dataset())
    with pytest.raises(InputError, match=r"resistance needs 'V' in mV.*found 'V'"):
        resistance(xr.Dataset({"V": v.assign_attrs(units="V")}))
    with pytest.raises(InputError, match="over branch"):
        resistance(xr.Dataset({"V": v.transpose("I", "T", "B", "theta")}))
    # xarray keeps the left operand's units; the helper must not.
    assert datasets.with_units(v / v, "1").attrs["units"] == "1"
