"""Critical currents of a dataset: limits of the data, branches, polarities, options, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from current_sweeps import sweeps

from nbnmbt.analysis import critical_currents as cc
from nbnmbt.analysis.critical_currents import Options, extract

TWO = [(0.95, 1.0), (2.10, 1.5)]
CONTACT = (0.9, 10.0, 0.3, 0.6)


def one(ds, name, k=0):
    return float(ds[name].sel(channel=k).squeeze())


def resolved(ds):
    return np.flatnonzero(ds["resolved"].values.reshape(ds.sizes["channel"], -1).any(axis=1))


@pytest.fixture(scope="module")
def fitted():
    return extract(sweeps(TWO, contact=CONTACT))


# --------------------------------------------------------------------------------- a plain sweep
def test_channels_of_a_sweep_come_back(fitted):
    assert resolved(fitted).tolist() == [0, 1]
    for k, (Ic, R) in enumerate(TWO):
        assert abs(one(fitted, "Ic", k) - Ic) < 4 * one(fitted, "Ic_err", k)
        assert one(fitted, "Ic_err", k) < 5e-4
        assert abs(one(fitted, "R", k) - R) < 4 * one(fitted, "R_err", k)
        assert abs(one(fitted, "Tn", k) - 100) < 4 * one(fitted, "Tn_err", k)
    assert float(fitted["chi2_nu"].squeeze()) == pytest.approx(1, abs=0.25)


def test_the_width_is_that_of_the_peak_of_the_rounded_junction(fitted):
    from nbnmbt.physics import rsj

    for k, (Ic, _) in enumerate(TWO):
        width = Ic * float(rsj.peak(rsj.gamma(Ic, 100.0))[2])
        assert one(fitted, "width", k) == pytest.approx(width, rel=0.02)


def test_what_is_not_seen_is_censored_and_not_zero(fitted):
    for k in (2, 3):
        assert one(fitted, "censored", k) == 1
        assert np.isnan(one(fitted, "Ic", k))
        assert np.isnan(one(fitted, "Ic_err", k))


def test_peaks_are_counted_at_each_polarity(fitted):
    for name in ("n_peaks_pos", "n_peaks_neg", "n_peaks_matched"):
        assert float(fitted[name].squeeze()) == 2


def test_zero_bias_and_series_resistance(fitted):
    # 8 ohm and a contact of 10 ohm, whose peak the closed form gives as 1.535 times that
    assert float(fitted["R_s"].squeeze()) == pytest.approx(18, rel=0.01)
    assert float(fitted["dVdI0"].squeeze()) == pytest.approx(8 + 15.35, rel=0.01)
    assert float(fitted["R0"].squeeze()) == pytest.approx(8 + 15.35, rel=0.02)
    assert float(fitted["dVdI0_curvature"].squeeze()) < 0
    assert float(fitted["V0"].squeeze()) == pytest.approx(5e-4, abs=1e-4)


# ----------------------------------------------------------------------------------------- limits
def test_ohmic_sweeps_have_no_channel():
    out = extract(sweeps([]))
    assert resolved(out).size == 0
    assert (out["censored"].values == 1).all()
    assert np.isnan(out["Ic"].values).all()
    assert float(out["R_s"].squeeze()) == pytest.approx(8, rel=1e-3)


def test_noiseless_sweeps_are_recovered():
    out = extract(sweeps(TWO, noise=0.0))
    assert [one(out, "Ic", k) for k in (0, 1)] == pytest.approx([0.95, 2.10], abs=2e-5)


@pytest.mark.parametrize("points", [0, 1, 5])
def test_too_few_points_give_a_reason(points):
    ds = sweeps(TWO, I=np.linspace(-1, 1, points))
    out = extract(ds)
    assert out.attrs["measured"] == 0
    assert out.attrs["reason"]
    assert not out.data_vars


def test_all_nan_gives_a_reason():
    ds = sweeps(TWO)
    ds["V"][:] = np.nan
    out = extract(ds)
    assert out.attrs["measured"] == 0
    assert "points" in out.attrs["reason"]


def test_what_was_not_measured_keeps_its_reason():
    out = extract(xr.Dataset(attrs={"measured": 0, "reason": "no such file", "sample": "s"}))
    assert out.attrs["measured"] == 0
    assert out.attrs["reason"] == "no such file"
    assert out.attrs["sample"] == "s"


def test_a_trace_without_points_leaves_the_others_alone():
    ds = sweeps(TWO, T=(2.0, 2.2, 2.4), scale=(1.0, 0.96, 0.92))
    ds["V"][1] = np.nan
    out = extract(ds)
    Ic = out["Ic"].values[0, :, 0, 0]
    assert np.isnan(Ic[1])
    assert Ic[[0, 2]] == pytest.approx([0.95, 0.874], abs=1e-3)


def test_towards_Tc_a_channel_is_followed_and_then_censored():
    T = np.arange(2.0, 6.61, 0.2)
    scale = np.maximum(1 - (T / 6.0) ** 2, 0) ** 1.5
    scale = scale / scale[0]
    out = extract(sweeps([(0.95, 1.0)], T=T, scale=scale))
    Ic, error = out["Ic"].values[0, :, 0, 0], out["Ic_err"].values[0, :, 0, 0]
    censored = out["censored"].values[0, :, 0, 0] == 1
    true = 0.95 * scale
    assert not censored[true > 0.1].any()
    assert censored[true == 0].all()
    seen = ~censored
    assert np.abs((Ic - true)[seen] / error[seen]).max() < 4.5
    # an upper limit lies above the truth, and there is no error beside it
    limit = censored & np.isfinite(Ic)
    assert np.all(Ic[limit] >= true[limit])
    assert np.all((Ic[limit] > 1e-3) & (Ic[limit] < 0.05))
    assert np.any(limit & (true == 0))
    assert np.isnan(error[censored]).all()
    assert not np.any(Ic == 0)


def test_the_significance_asked_for_is_that_of_every_channel_kept():
    T = np.arange(4.0, 6.01, 0.1)
    scale = np.maximum(1 - (T / 6.0) ** 2, 0) ** 1.5
    ds = sweeps([(0.95, 1.0)], T=T, scale=scale)
    kept = []
    for significance in (5.0, 60.0):
        out = extract(ds, Options(censoring_significance=significance))
        found = out["significance"].values[0, :, 0, 0]
        active = np.isfinite(out["R"].values[0, :, 0, 0])
        assert np.all(found[active] > significance)
        kept.append(active.sum())
    assert kept[0] > kept[1] > 0


def test_a_channel_too_rounded_for_a_peak_keeps_its_95_percent_limit():
    T = np.arange(4.0, 5.41, 0.2)
    scale = np.maximum(1 - (T / 6.0) ** 2, 0) ** 1.5
    ds = sweeps([(0.95, 1.0)], T=T, scale=scale)
    resolved_, rounded = extract(ds), extract(ds, Options(min_noise_parameter=30.0))
    Ic, error = (resolved_[name].values[0, :, 0, 0] for name in ("Ic", "Ic_err"))
    limit = rounded["Ic"].values[0, :, 0, 0]
    faint = rounded["censored"].values[0, :, 0, 0] == 1
    assert faint.any()
    np.testing.assert_allclose(limit[faint], (Ic * np.exp(1.645 * error / Ic))[faint], rtol=1e-3)
    assert np.all(limit[faint] > Ic[faint])


def test_a_channel_without_a_seed_is_found_in_the_residual():
    """Prominence between those of the two peaks: the fit asks for the other channel itself."""
    out = extract(sweeps([(0.95, 1.5), (2.10, 0.3)]), Options(prominence=350.0))
    assert float(out["n_peaks_matched"].squeeze()) == 1
    assert [one(out, "Ic", k) for k in (0, 1)] == pytest.approx([0.95, 2.10], abs=2e-3)
    history = json.loads(out.attrs["order_test"])["history"]
    assert [entry["channels"] for entry in history] == [1, 2]


# ------------------------------------------------------------------- polarities, branches, repeats
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("contact", [None, CONTACT])
def test_one_polarity_gives_its_critical_currents_but_no_symmetry(sign, contact):
    I = np.sort(sign * np.linspace(0, 3, 301))
    out = extract(sweeps(TWO, I=I, contact=contact))
    for k, (Ic, _) in enumerate(TWO):
        assert abs(one(out, "Ic", k) - Ic) < 4 * one(out, "Ic_err", k)
    assert float(out["n_peaks_matched"].squeeze()) == 0
    for name in ("symmetry_chi2", "I0", "R0"):
        assert np.isnan(float(out[name].squeeze())), name
    assert np.isnan(out["Ic_difference"].values).all()


def test_polarities_that_agree_have_no_difference(fitted):
    for k in (0, 1):
        difference = one(fitted, "Ic_difference", k)
        assert abs(difference) < 4 * one(fitted, "Ic_difference_err", k)
    assert float(fitted["symmetry_chi2"].squeeze()) == pytest.approx(1, abs=0.3)


def test_an_offset_current_is_no_difference_of_polarities():
    out = extract(sweeps(TWO, offset_mA=0.004))
    assert float(out["I0"].squeeze()) == pytest.approx(0.004, abs=3e-4)
    assert [one(out, "Ic", k) for k in (0, 1)] == pytest.approx([0.95, 2.10], abs=1e-3)
    for k in (0, 1):
        assert abs(one(out, "Ic_difference", k)) < 1e-3


def test_a_real_difference_of_polarities_is_measured():
    ds = sweeps(TWO)
    other = sweeps([(0.95, 1.0), (2.08, 1.5)], seed=2)
    ds["V"] = xr.where(ds["I"] > 0, ds["V"], other["V"]).transpose(*ds["V"].dims)
    out = extract(ds)
    # half of it could be an offset current, which the other channel excludes
    assert one(out, "Ic_difference", 1) == pytest.approx(0.02, abs=0.004)


def test_up_and_down_branches_are_fitted_as_one():
    up = extract(sweeps(TWO, branches=["up"]))
    both = extract(sweeps(TWO, branches=["up", "down"]))
    for k, (Ic, _) in enumerate(TWO):
        assert abs(one(both, "Ic", k) - Ic) < 4 * one(both, "Ic_err", k)
        ratio = one(up, "Ic_err", k) / one(both, "Ic_err", k)
        assert ratio == pytest.approx(np.sqrt(2), rel=0.15)


def test_repeated_set_points_are_fitted_each():
    out = extract(sweeps(TWO, T=(2.0, 2.0, 2.0)))
    Ic, error = out["Ic"].values[0, :, 0, 0], out["Ic_err"].values[0, :, 0, 0]
    assert np.isfinite(Ic).all()
    assert np.abs((Ic - 0.95) / error).max() < 4
    assert np.unique(Ic).size == 3


# --------------------------------------------------------------------------------------- options
def test_without_a_contact_no_model_of_one_is_needed():
    ds = sweeps(TWO)
    out = extract(ds, Options(andreev="none", zero_bias_exclusion_mA=0.3))
    assert out.attrs["has_andreev"] == 0
    assert np.isnan(float(out["gap"].squeeze()))
    for k, (Ic, _) in enumerate(TWO):
        assert abs(one(out, "Ic", k) - Ic) < 4 * one(out, "Ic_err", k)
    inside = np.abs(out["I"].values) < 0.299
    assert np.isnan(out["residual"].values[..., inside]).all()


def test_a_contact_left_out_of_the_model_shows_as_misfit():
    """Its excess voltage does not end with its peak: leaving out the peak is not enough."""
    ds = sweeps(TWO, contact=CONTACT)
    out = extract(ds, Options(andreev="none", zero_bias_exclusion_mA=0.5))
    assert float(out["chi2_nu"].squeeze()) > 3
    for k, (Ic, _) in enumerate(TWO):
        assert abs(one(out, "Ic", k) - Ic) < 5e-3
        assert abs(one(out, "Ic", k) - Ic) < 6 * one(out, "Ic_err", k)


def test_the_fit_range_leaves_out_what_lies_beyond(fitted):
    ds = sweeps(TWO, contact=CONTACT)
    inner = extract(ds, Options(fit_range_mA=2.8))
    for k in (0, 1):
        assert abs(one(inner, "Ic", k) - one(fitted, "Ic", k)) < 3 * one(inner, "Ic_err", k)
        assert one(inner, "Ic_err", k) > 0.99 * one(fitted, "Ic_err", k)
    beyond = np.abs(inner["I"].values) > 2.8
    assert np.isnan(inner["residual"].values[..., beyond]).all()
    short = extract(ds, Options(fit_range_mA=1.5))
    # a channel beyond the range is not extrapolated to
    assert resolved(short).tolist() == [0]
    assert one(short, "Ic", 0) == pytest.approx(0.95, abs=1e-3)


def test_each_channel_may_have_its_own_noise_temperature():
    ds = sweeps(TWO, Tn=(60.0, 240.0))
    own = extract(ds, Options(noise_temperature="per channel"))
    for k, Tn in enumerate((60.0, 240.0)):
        assert abs(one(own, "Tn", k) - Tn) < 4 * one(own, "Tn_err", k)
        assert abs(one(own, "Ic", k) - TWO[k][0]) < 4 * one(own, "Ic_err", k)
    shared = extract(ds)
    assert one(shared, "Tn", 0) == one(shared, "Tn", 1)
    assert float(shared["chi2_nu"].squeeze()) > 2 * float(own["chi2_nu"].squeeze())


def test_no_more_channels_than_allowed():
    out = extract(sweeps(TWO), Options(max_channels=1))
    assert resolved(out).size <= 1
    assert extract(sweeps(TWO), Options(max_channels=0))["resolved"].values.sum() == 0


def test_bare_film_carries_the_label_of_the_film():
    ds = sweeps([(2.1, 20.0)])
    ds.attrs["configuration"] = "NbN"
    assert resolved(extract(ds)).tolist() == [cc.NBN_CHANNEL]


@pytest.mark.parametrize("planted", [0.0005, 0.0015])
def test_an_upper_limit_lies_above_what_is_there(planted):
    """Just below Tc a current of 1 uA only bends V(I): the limit must not exclude it."""
    scale = [1, 0.8, 0.6, planted / 2.1]
    ds = sweeps([(2.1, 20.0)], T=[2.0, 2.2, 2.4, 2.6], scale=scale, noise=2e-4)
    ds.attrs["configuration"] = "NbN"
    found = extract(ds)
    last = found.sel(channel=cc.NBN_CHANNEL).isel(T=-1).squeeze()
    assert int(last["resolved"]) == 0
    assert not float(last["Ic"]) < 0.9 * planted


# ---------------------------------------------------------------------------------- merged peaks
def test_merged_channels_are_undetermined_and_say_why():
    out = extract(sweeps([(0.95, 1.0), (0.965, 1.0), (2.1, 1.5)], I=np.linspace(-3, 3, 601)))
    assert out["resolved"].sel(channel=[0, 1]).values.sum() == 0
    assert np.isnan(out["Ic"].sel(channel=[0, 1]).values).all()
    reasons = json.loads(out.attrs["undetermined"])
    assert "merged channels" in reasons["0"]
    # 2.10 mA is the third channel or none, never the second
    for k in range(4):
        if one(out, "resolved", k):
            assert k == 2


def test_distinct_channels_are_not_called_merged(fitted):
    assert "undetermined" not in fitted.attrs
    close = extract(sweeps([(0.95, 1.0), (1.08, 1.0)]))
    assert resolved(close).tolist() == [0, 1]
    assert [one(close, "Ic", k) for k in (0, 1)] == pytest.approx([0.95, 1.08], abs=3e-3)


# ------------------------------------------------------------ what happens while a sweep lasts
def wandering(T, depth, contact=None, noise=4e-4):
    """Sweeps whose temperature swings by `depth` (K); Ic0 and the gap are those of 6 K Tc."""
    from nbnmbt.physics import andreev, bcs, junction

    I = np.linspace(-3, 3, 601)
    ds = sweeps([(0.95, 1.0)], T=T, I=I)
    random = np.random.default_rng(9)

    def Ic(t):
        return 1.1 * np.maximum(1 - (t / 6.0) ** 2, 0) ** 1.5

    for j, set_point in enumerate(T):
        now = set_point + depth * np.sin(np.linspace(0.4, 5.0, I.size))
        # v(i, gamma) at each point's own temperature
        V = 8 * I + junction.channel_voltage(I, Ic(now), 1.0, 100.0)
        if contact is not None:
            R_AR, Z, P = contact
            V = V + andreev.voltage(I, now, bcs.gap(now, 6.0), Z, P, R_AR)
        ds["V"][j, 0, 0] = V + noise * random.standard_normal(I.size)
        ds["T_measured"][j, 0, 0] = now
    return ds, Ic(np.asarray(T))


@pytest.mark.parametrize("contact", [None, (10.0, 0.3, 0.6)])
def test_the_critical_current_belongs_to_the_set_point(contact):
    T = np.arange(3.0, 5.1, 0.5)
    ds, true = wandering(T, 0.02, contact)
    out = extract(ds)
    assert out.attrs["follows_thermometer"] == 1
    Ic, error = out["Ic"].values[0, :, 0, 0], out["Ic_err"].values[0, :, 0, 0]
    assert np.abs((Ic - true) / error).max() < 5
    assert np.abs(Ic - true).max() < 1e-3
    assert float(np.nanmax(out["chi2_nu"])) < 1.5
    # taken at the mean temperature instead, the sweeps fit badly, and the errors say so
    mean = extract(ds, Options(temperature="mean"))
    assert mean.attrs["follows_thermometer"] == 0
    assert float(np.nanmedian(mean["chi2_nu"])) > 1.5 * float(np.nanmedian(out["chi2_nu"]))
    worse = mean["Ic_err"].values[0, :, 0, 0]
    assert np.all(worse > 1.5 * error)
    assert np.all(np.abs(mean["Ic"].values[0, :, 0, 0] - true) < 4 * worse)


def test_a_spike_is_left_out_and_counted():
    ds = sweeps(TWO)
    ds["V"][0, 0, 0, 200] += 0.05
    out = extract(ds)
    assert float(out["outliers"].squeeze()) == 1
    assert np.isnan(out["residual"].values[0, 0, 0, 200])
    assert [one(out, "Ic", k) for k in (0, 1)] == pytest.approx([0.95, 2.10], abs=1e-3)
    assert float(extract(sweeps(TWO))["outliers"].squeeze()) == 0


def test_trapped_flux_counts_where_the_critical_current_depends_on_field():
    B = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    ds = sweeps([(0.95, 1.0)], T=2.0 + 0 * B, scale=1 - 0.07 * B)
    ds = ds.rename({"T": "B", "B": "T"}).transpose("T", "B", "theta", "I")
    ds = ds.assign_coords(T=[2.0], B=B)
    ds["T_measured"][:] = 2.0
    ds["B_measured"] = ds["B_measured"] + ds["B"]
    out = extract(ds, Options(current_accuracy=0.0, field_accuracy_T=0.01))
    drift = out["Ic_err_calibration"].values[0, 0, :, 0]
    # 66.5 uA/T times 10 mT, less and less at higher field
    assert drift[0] == pytest.approx(0.0665 * 0.01, rel=0.05)
    assert np.all(np.diff(drift) < 0)
    exact = extract(ds, Options(current_accuracy=1e-3, field_accuracy_T=0.0))
    assert exact["Ic_err_calibration"].values[0, 0, 0, 0] == pytest.approx(0.95e-3, rel=0.01)


# ------------------------------------------------------------------------ thermometer and misfit
def test_white_noise_of_the_thermometer_is_smoothed_away():
    random = np.random.default_rng(5)
    walk = 2.0 + np.cumsum(1e-4 * random.standard_normal((4, 1200)), axis=1)
    read = walk + 3e-4 * random.standard_normal(walk.shape)
    smooth, noise, share = cc.smooth_temperature(read)
    assert noise == pytest.approx(3e-4, rel=0.1)
    assert np.std(smooth - walk) < 0.5 * 3e-4
    assert np.all((share >= 0) & (share < 0.2))


def test_thermometer_limits():
    constant, noise, share = cc.smooth_temperature(np.full((1, 200), 2.0))
    assert np.all(constant == 2.0)
    assert noise == 0.0
    assert share.tolist() == [0.0]
    nothing, noise, _ = cc.smooth_temperature(np.full((1, 200), np.nan))
    assert np.isnan(nothing).all()
    assert noise == 0.0
    short, _, _ = cc.smooth_temperature(np.array([[2.0, 2.2, np.nan]]))
    assert short == pytest.approx(np.full((1, 3), 2.1))


def test_white_residuals_are_uncorrelated_and_drifting_ones_are_not():
    random = np.random.default_rng(7)
    white = random.standard_normal((40, 1, 601))
    assert (cc.residual_correlation(white) > 1).sum() <= 1
    drift = white + 0.7 * np.sin(np.linspace(0, 12, 601))
    assert np.all(cc.residual_correlation(drift) > 3)


def test_correlation_limits():
    assert cc.residual_correlation(np.full((2, 1, 50), np.nan)).tolist() == [1, 1]
    assert cc.residual_correlation(np.zeros((1, 2, 400))).tolist() == [1]
    assert cc.residual_correlation(np.ones((1, 1, 20))).tolist() == [1]
