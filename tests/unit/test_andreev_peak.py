import numpy as np
import pytest
import xarray as xr
from current_curves import not_measured, table

from nbnmbt.analysis import andreev_peak
from nbnmbt.analysis.andreev_peak import (
    Options,
    PeakFit,
    extrapolated_temperature,
    fit_peak,
    peak_height,
    vanishing_temperature,
)
from nbnmbt.analysis.curves import Curve

GRID = np.arange(2.0, 9.01, 0.2)
FAST = Options(monotone_draws=200)


def curve(T, y, sigma=1e-3):
    none = np.empty(0)
    return Curve(
        x=T, y=y, sigma=np.full(T.size, sigma), x_limit=none, y_limit=none, n_censored=0
    )  # fmt: skip


def dataset(height, T=GRID, error=1e-3, **more):
    dims = ("T", "B", "theta")
    variables = {
        "Ic": (("channel", *dims), np.ones((1, T.size, 1, 1))),
        "ar_height": (dims, np.reshape(height, (-1, 1, 1)).astype(float)),
        "ar_height_err": (dims, np.full((T.size, 1, 1), error)),
        **more,
    }
    return xr.Dataset(
        variables,
        coords={"channel": [0], "T": T, "B": [0.0], "theta": [0.0]},
        attrs={"measured": 1},
    )


def test_heights_agree_with_the_reference_table():
    rows = table("btk_device_T")
    T = np.array([float(r["T_K"]) for r in rows])
    expected = np.array([float(r["R(0)/RN"]) for r in rows]) - 1
    assert peak_height(T, 6.0, 0.3, 0.6) == pytest.approx(expected, abs=2e-6)
    assert peak_height(T, 6.0, 0.3, 0.6, dilution=0.5) == pytest.approx(expected / 2, abs=2e-6)


def test_a_straight_line_overshoots_and_the_scaling_does_not():
    """The biases stated for a true 6.0 K: 6.39 K from 4-5.5 K and 6.85 K from 2-5 K."""
    T = np.arange(2.0, 9.01, 0.1)
    exact = curve(T, peak_height(T, 6.0, 0.3, 0.6))
    assert extrapolated_temperature(exact, (4.0, 5.5))[0] == pytest.approx(6.39, abs=0.02)
    assert extrapolated_temperature(exact, (2.0, 5.0))[0] == pytest.approx(6.85, abs=0.02)
    fit = fit_peak(exact, free_dilution=False)
    assert fit.temperature == pytest.approx(6.0, abs=5e-3)
    assert (fit.barrier, fit.polarisation) == (
        pytest.approx(0.3, abs=5e-3),
        pytest.approx(0.6, abs=5e-3),
    )


def test_the_line_by_hand():
    value, uncertainty = extrapolated_temperature(
        curve(np.array([1.0, 2.0, 3.0]), np.array([4.0, 3.0, 2.0]), 0.1), (1.0, 3.0)
    )
    assert value == pytest.approx(5.0)
    assert uncertainty == pytest.approx(0.1 * (1 / 3 + 9 / 2) ** 0.5)
    assert np.isnan(extrapolated_temperature(curve(GRID, GRID), (4.0, 5.5))[0])
    assert np.isnan(extrapolated_temperature(curve(GRID, -GRID), (4.0, 4.1))[0])


@pytest.mark.parametrize("dilution", [1.0, 0.55])
def test_the_vanishing_temperature_is_recovered_whatever_the_series_resistance(dilution):
    pulls = []
    for seed in range(3):
        noise = 3e-3 * np.random.default_rng(seed).standard_normal(GRID.size)
        estimates, statistics = andreev_peak.run(
            dataset(peak_height(GRID, 6.1, 0.3, 0.6, dilution) + noise, error=3e-3), FAST
        )
        entry = estimates["T_AR"]
        pulls.append((entry.value - 6.1) / entry.uncertainty)
        assert entry.uncertainty < 0.2
        assert statistics["andreev_peak"]["p_value"] > 0.01
    assert np.max(np.abs(pulls)) < 3
    assert abs(np.mean(pulls)) < 1.8


def test_the_uncertainty_by_hand():
    fit = PeakFit(temperature=6.0, uncertainty=0.03, chi2_nu=1.0, n=20)
    other = PeakFit(temperature=6.16, uncertainty=0.03, chi2_nu=1.0, n=20)
    assert vanishing_temperature(fit, other) == pytest.approx((6.0, (0.03**2 + 0.08**2) ** 0.5))
    # A fit that fails does not count.
    bad = PeakFit(temperature=9.0, uncertainty=0.03, chi2_nu=10.0, n=20)
    assert vanishing_temperature(fit, bad) == pytest.approx((6.0, 0.03))
    assert vanishing_temperature(fit, bad, 0.04)[1] == pytest.approx(0.05)


def test_a_growing_background_does_not_lower_the_peak():
    true = peak_height(GRID, 6.0, 0.3, 0.6)
    background = np.where(GRID > 4.0, 36.0, 18.0)
    dims = ("T", "B", "theta")
    ds = dataset(
        true * 18.0 / background,
        R_bg=(dims, background.reshape(-1, 1, 1)),
        R_bg_err=(dims, np.full((GRID.size, 1, 1), 0.01)),
    )
    estimates, _ = andreev_peak.run(ds, FAST)
    assert estimates["T_AR"].value == pytest.approx(6.0, abs=0.02)


def test_temperatures_at_which_a_channel_vanishes_are_left_out():
    height = peak_height(GRID, 6.0, 0.3, 0.6)
    index = int(np.argmin(np.abs(GRID - 7.0)))
    height[index] = 0.05
    ds = dataset(height)
    ds["censored"] = (ds["Ic"].dims, np.zeros(ds["Ic"].shape, dtype=np.int8))
    ds["censored"][0, index, 0, 0] = 1
    _, kept = andreev_peak.run(ds, Options(mask_transitions=False, monotone_draws=200))
    estimates, masked = andreev_peak.run(ds, FAST)
    assert kept["andreev_peak"]["p_value"] < 0.05
    assert masked["andreev_peak"]["p_value"] == 1.0
    assert estimates["T_AR"].value == pytest.approx(6.0, abs=0.02)


def test_channels_that_merge_leave_the_peak_undetermined():
    """A channel missing from the fit has its own dip at zero bias where it turns normal."""
    ds = dataset(peak_height(GRID, 6.0, 0.3, 0.6))
    assert andreev_peak.run(ds, FAST)[0]["T_AR"].value == pytest.approx(6.0, abs=0.02)
    ds.attrs["undetermined"] = '{"1": "merged channels: Ic1 cannot be told from Ic0"}'
    found = andreev_peak.run(ds, FAST)[0]["T_AR"]
    assert found.value is None
    assert found.reason.startswith("merged channels: Ic1 cannot be told from Ic0;")


@pytest.mark.parametrize(
    ("ds", "reason"),
    [
        (None, "not measured"),
        (not_measured("iv_temperature"), "not measured"),
        (dataset(np.full(GRID.size, np.nan)), "no height"),
        (dataset([0.3], T=np.array([2.0])), "1 temperatures"),
        (dataset(1e-3 * np.cos(9 * GRID)), "no zero-bias peak"),
        (dataset(-peak_height(GRID, 6.0, 0.3, 0.6)), "no zero-bias peak"),
        (dataset(peak_height(GRID, 16.0, 0.3, 0.6)), "does not vanish within the data"),
    ],
    ids=["none", "not measured", "all NaN", "one point", "noise", "dip", "beyond"],
)
def test_no_number_without_a_peak_that_vanishes(ds, reason):
    estimates, statistics = andreev_peak.run(ds, FAST)
    assert estimates["T_AR"].value is None
    assert reason in estimates["T_AR"].reason
    assert all(entry["definition"] for entry in statistics.values())


def test_one_temperature_without_a_peak_is_not_its_absence():
    estimates, statistics = andreev_peak.run(dataset([0.0], T=np.array([12.0])), FAST)
    assert estimates["T_AR"].reason == "1 temperatures, at least 3 are needed"
    assert statistics["andreev_peak"]["detected"] is None
    seen = andreev_peak.run(dataset([0.3], T=np.array([2.0])), FAST)[1]
    assert seen["andreev_peak"]["detected"]


def test_a_peak_that_outlasts_the_data_bounds_its_temperature():
    found = andreev_peak.run(dataset(peak_height(GRID, 16.0, 0.3, 0.6)), FAST)[0]["T_AR"]
    assert found.details["lower_bound"] == GRID[-1]
