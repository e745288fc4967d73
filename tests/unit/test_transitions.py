import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nbnmbt.analysis import transitions
from nbnmbt.analysis.estimate import read_stage
from nbnmbt.numbers import NUMBER_KEYS

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

FAST = transitions.Options(calibration_draws=100, resamples=60, neel_resamples=60)


def sweep(along, x, R, measurement, **attrs):
    """One R-T or R-B dataset as `nbnmbt.datasets` writes them."""
    coords = {"T": [2.0], "B": [0.0], "theta": [0.0], "I": [1e-3]} | {along: x}
    shape = tuple(len(coords[name]) for name in ("T", "B", "theta", "I"))
    variables = {"R": (("T", "B", "theta", "I"), np.reshape(R, shape))}
    for name in ("T", "B"):
        values = np.broadcast_to(x if name == along else coords[name][0], len(x))
        variables[f"{name}_measured"] = (("T", "B", "theta", "I"), np.reshape(values, shape))
    attrs = {"measured": 1, "measurement": measurement, "sample": "test", **attrs}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


@pytest.fixture(scope="module")
def datasets():
    rng = np.random.default_rng(1)
    T = mt.temperature_grid()
    B = np.arange(-12, 12.001, 0.05)

    def noisy(R):
        return R * (1 + 1e-4 * rng.normal(size=R.size)) + 2e-4 * rng.normal(size=R.size)

    return {
        "rt_interface": sweep("T", T, noisy(mt.interface(T)), "rt_interface"),
        "rt_mnbi2te4": sweep("T", T, noisy(8 * mt.antiferromagnet(T)), "rt_mnbi2te4"),
        "rt_nbn": sweep("T", T, noisy(20 * mt.film(T)), "rt_nbn"),
        "mr_interface": sweep(
            "B", B, noisy(8 * mt.magnetoresistance(B) + 15 - 0.02 * np.abs(B)), "mr_interface"
        ),
        "mr_mnbi2te4": sweep("B", B, noisy(8 * mt.magnetoresistance(B)), "mr_mnbi2te4"),
        "mr_nbn": sweep("B", B, noisy(np.zeros(B.size)), "mr_nbn"),
    }


@pytest.fixture(scope="module")
def found(datasets):
    return transitions.run(datasets, FAST, sample="test")


def test_every_number_key_of_the_stage_is_there(found):
    estimates, _ = found
    wanted = {key for key, spec in NUMBER_KEYS.items() if spec.stage == "transitions"}
    assert wanted <= set(estimates)


@pytest.mark.parametrize(
    ("key", "planted"),
    [
        ("Tc_NbN", 10.8),
        ("Tc_interface", 10.8),
        ("T_N_peak", 24.4),
        ("T_N_max_slope", 23.83),
        ("B_flop_interface", 3.0),
        ("B_flop_mnbi2te4", 3.0),
        ("B_sat_interface", 8.0),
        ("B_sat_mnbi2te4", 8.0),
        ("B_flop_difference", 0.0),
    ],
)
def test_planted_values(found, key, planted):
    estimate = found[0][key]
    assert estimate.value == pytest.approx(planted, abs=4 * estimate.uncertainty)
    assert 0 < estimate.uncertainty < 0.2
    assert estimate.estimator.startswith("nbnmbt.analysis.")


def test_statistics_for_the_claims(found):
    _, statistics = found
    assert {"C01", "C02", "C03", "C04", "C05", "C06", "C07", "C32"} <= set(statistics)
    assert all(entry["definition"] for entry in statistics.values())
    assert statistics["C03"]["count"] >= 2
    assert statistics["C04"]["p"] < 0.01
    assert statistics["C06"]["p"] > 0.01
    assert statistics["C07"]["whole_range"]


def test_same_data_same_numbers(datasets, found):
    again = transitions.run(datasets, FAST, sample="test")
    assert again[0] == found[0]


def test_nothing_measured_gives_reasons_everywhere():
    empty = xr.Dataset(attrs={"measured": 0, "reason": "not measured: no file"})
    for datasets in ({}, dict.fromkeys(transitions.MEASUREMENTS, empty)):
        estimates, statistics = transitions.run(datasets)
        assert all(e.value is None for e in estimates.values())
        assert all(e.reason.startswith("not measured") for e in estimates.values())
        assert statistics["C03"]["count"] is None


def test_bare_film_without_magnet(datasets):
    """Control N16: no MnBi2Te4, so neither T_N nor spin flop, but T_c stands."""
    only = {"rt_interface": datasets["rt_nbn"], "rt_nbn": datasets["rt_nbn"]}
    only |= {"mr_interface": datasets["mr_nbn"], "mr_nbn": datasets["mr_nbn"]}
    estimates, statistics = transitions.run(only, FAST)
    assert estimates["Tc_NbN"].value == pytest.approx(10.8, abs=0.01)
    for key in ("T_N_peak", "T_N_peak_interface", "B_flop_interface", "B_sat_interface"):
        assert estimates[key].value is None
    assert statistics["C03"]["count"] == 1
    assert statistics["C04"]["p"] > 0.01


def test_shuffled_curves_detect_nothing(datasets):
    """Control N20."""
    rng = np.random.default_rng(0)
    shuffled = {}
    for name, ds in datasets.items():
        shuffled[name] = ds.copy(deep=True)
        shuffled[name]["R"].values = rng.permutation(ds["R"].values.ravel()).reshape(ds["R"].shape)
    estimates, statistics = transitions.run(shuffled, FAST)
    for key in ("Tc_NbN", "Tc_interface", "T_N_peak", "B_flop_mnbi2te4", "B_flop_interface"):
        assert estimates[key].value is None, key
    assert statistics["C03"]["count"] == 0
    assert statistics["C04"]["p"] > 0.01


def test_several_fields_give_b_c2(datasets):
    T = mt.temperature_grid()
    fields = [0.0, 0.5, 1.0]
    # A film whose midpoint falls by 1 K per 2.743 T.
    R = np.stack([20 * mt.film(T, T_mf=10.9277 - b / 2.743) for b in fields], axis=1)
    rng = np.random.default_rng(2)
    R = R * (1 + 1e-4 * rng.normal(size=R.shape))
    ds = xr.Dataset(
        {"R": (("T", "B", "theta", "I"), R[:, :, None, None])},
        coords={"T": T, "B": fields, "theta": [0.0], "I": [1e-3]},
        attrs={"measured": 1},
    )
    estimates, _ = transitions.run({"rt_nbn": ds, "mr_nbn": datasets["mr_nbn"]}, FAST)
    assert estimates["B_c2_WHH"].value == pytest.approx(19.2, abs=0.5)


def test_command_line(tmp_path, datasets):
    arguments = []
    for name, ds in datasets.items():
        ds.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        arguments += [f"--{name.replace('_', '-')}", str(tmp_path / f"{name}.nc")]
    options = json.dumps({"calibration_draws": 100, "resamples": 60, "neel_resamples": 60})
    out = tmp_path / "transitions.json"
    assert transitions.main([*arguments, "--options", options, "--out", str(out)]) == 0
    stage = read_stage(out)
    assert stage.attrs["sample"] == "test"
    assert stage.estimates["Tc_NbN"].value == pytest.approx(10.8, abs=0.01)


def test_options_are_documented_and_swept():
    schema = transitions.Options.model_json_schema()
    for name, field in schema["properties"].items():
        assert field.get("description"), name
        assert field.get("sweep"), name
    for name, field in schema["properties"].items():
        for value in field["sweep"]:
            transitions.Options(**{name: value})
