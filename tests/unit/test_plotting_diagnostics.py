"""Panels of the notebooks' steps: they show what they are given, or say why not."""

from __future__ import annotations

from types import SimpleNamespace

import figure_samples as samples
import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from nbnmbt.analysis import (
    access,
    angle,
    harmonic_curves,
    kink_profile,
    kinks,
    law_curves,
    vanishing_curves,
)
from nbnmbt.analysis import temperature_laws as laws
from nbnmbt.analysis.channel_parts import channel_parts
from nbnmbt.analysis.curves import Curve
from nbnmbt.analysis.estimate import Stage
from nbnmbt.plotting import diagnostics, style


def texts(figure) -> str:
    return " ".join(t.get_text() for t in figure.findobj(Text))


def curve(x, y, sigma) -> Curve:
    return Curve(
        x=np.asarray(x, float),
        y=np.asarray(y, float),
        sigma=np.broadcast_to(np.asarray(sigma, float), np.shape(x)).copy(),
        x_limit=np.empty(0),
        y_limit=np.empty(0),
        n_censored=0,
    )


EMPTY = curve([], [], [])
MISSING = samples.absent("iv_temperature")


@pytest.mark.parametrize(
    "figure",
    [
        lambda: diagnostics.transition(SimpleNamespace(reason="not measured: no rt_nbn"), {}),
        lambda: diagnostics.cusp(SimpleNamespace(reason="not measured: no rt_mnbi2te4"), {}),
        lambda: diagnostics.step_fit(SimpleNamespace(reason="not measured", B=np.empty(0)), {}),
        lambda: diagnostics.channels_of_sweep(channel_parts(MISSING, T=2.0)),
        lambda: diagnostics.ridges_on_map(MISSING, "T"),
        lambda: diagnostics.peak_height(EMPTY, None, samples.estimate(None, None)),
        lambda: diagnostics.laws_of_channel(EMPTY, {}),
        lambda: diagnostics.kink_profiles({0: (np.empty(0), np.empty(0))}, None, {}),
        lambda: diagnostics.over_angle({"a": {0: (EMPTY, None)}}),
        lambda: diagnostics.branches([], [], []),
    ],
)
def test_nothing_measured_gives_a_reason_and_no_data(figure):
    drawn = figure()
    assert "not measured" in texts(drawn)
    assert not any(axes.lines for axes in drawn.axes)


def test_reasons_of_estimators_are_shown_too():
    step = SimpleNamespace(reason="R(T) never falls to half of the normal-state resistance")
    assert "never falls to half" in texts(diagnostics.transition(step, {})).replace("\n", " ")


def test_access_gives_empty_arrays_where_nothing_was_measured():
    assert all(a.size == 0 for a in access.resistance(samples.absent("rt_nbn"), "T"))
    assert access.channel(MISSING, 0, "T").n == 0
    assert access.variable(MISSING, "ar_height", "T").n == 0


def test_access_takes_the_measured_temperature():
    data = samples.resistance()["NbN"]
    data["T_measured"] = data["R"] * 0 + data["T"] + 0.01
    T, R, _ = access.resistance(data, "T")
    np.testing.assert_allclose(T, data["T"].values + 0.01)
    np.testing.assert_array_equal(R, data["R"].values.ravel())


def test_access_selects_the_field_and_keeps_censored_points_apart():
    data = samples.iv_angle()
    at_nine = access.channel(data, 1, "theta", B=8.9)
    np.testing.assert_allclose(at_nine.y, data["Ic"].sel(channel=1, B=9).values.ravel())
    along = access.channel(samples.iv_temperature(), 0, "T")
    assert along.n_censored > 0
    assert along.n + along.n_censored == samples.iv_temperature().sizes["T"]


def kinked(orientation: str, step: float) -> xr.Dataset:
    """Critical currents of a field sweep with a step at 3 T, noise of two microampere."""
    B = np.arange(0, 9.01, 0.2)
    data = samples.currents(B=B, orientation=orientation, measurement="iv")
    noise = np.random.default_rng(7).normal(0, 0.002, (4, B.size))
    smooth = 1 - 0.05 * B - 0.002 * B**2 + step * (B > 3.05)
    data["Ic"].values[:] = (np.arange(1, 5)[:, None] * smooth + noise)[:, None, :, None]
    data["Ic_err"].values[:] = 0.002
    data["censored"].values[:] = 0
    return data


def test_kink_profile_peaks_where_the_kink_test_does():
    out_of_plane, in_plane = kinked("out-of-plane", 0.03), kinked("in-plane", 0.0)
    options = kinks.Options(draws=500, monotone_draws=200)
    found, statistics = kinks.run(out_of_plane, in_plane, options, sample="x")
    stage = Stage(estimates=found, statistics=statistics, attrs={})
    for data, orientation, name in (
        (out_of_plane, "out-of-plane", "kink_Ic"),
        (in_plane, "in-plane", "kink_in_plane_Ic"),
    ):
        profiles = kink_profile.profiles(data, stage, options, orientation)
        for k, (field, F) in profiles.items():
            tested = statistics[f"{name}{k}"]
            assert F.max() == pytest.approx(tested["sup_F"], rel=1e-6)
            assert field[np.argmax(F)] == pytest.approx(tested["field_sharp_T"])
    level = kink_profile.threshold(stage, options)
    assert level == max(statistics[f"kink_Ic{k}"]["sup_F_99"] for k in options.channels)
    assert profiles[0][1].max() < level, "no kink in plane"


def test_kink_profile_of_nothing_is_empty():
    stage = Stage(estimates={}, statistics={}, attrs={})
    options = kinks.Options()
    profiles = kink_profile.profiles(MISSING, stage, options)
    assert all(len(field) == 0 for field, _ in profiles.values())
    assert kink_profile.threshold(stage, options) is None


def test_harmonics_are_evaluated_as_fitted():
    theta = np.arange(0, 360, 10.0)
    y = 2 + 0.1 * np.cos(np.deg2rad(2 * (theta - 30))) + 0.02 * np.sin(np.deg2rad(theta))
    fit = angle.harmonic_fit(theta, y, np.full(theta.size, 1e-3))
    np.testing.assert_allclose(harmonic_curves.evaluate(fit, theta), y, atol=1e-10)
    none = angle.harmonic_fit(theta[:2], y[:2], np.ones(2))
    assert np.isnan(harmonic_curves.evaluate(none, theta)).all()


def test_law_curves_are_the_fitted_ones():
    T = np.arange(2, 5.8, 0.2)
    truth = laws.LawFit(law="bardeen", parameters={"Ic0": 1.2, "Tc": 6.0}, uncertainties={})
    points = curve(T, laws.evaluate(truth, T), 0.002)
    fits = {law: laws.fit_law(points, law) for law in ("bardeen", "linear")}
    table = laws.compare_laws(fits, chi2_limit=1.5, deviation_limit=0.05)
    stage = Stage(estimates={}, statistics={"law_Ic0": table}, attrs={})
    curves = law_curves.law_curves(stage, ["bardeen", "linear", "unknown"], channels=(0, 1))
    assert sorted(curves) == ["bardeen", "linear"]
    drawn = curves["bardeen"]["Ic"].sel(channel=0)
    np.testing.assert_allclose(np.interp(T, drawn["T"], drawn), points.y, rtol=2e-3)
    assert np.isnan(curves["bardeen"]["Ic"].sel(channel=1)).all()
    figure = diagnostics.laws_of_channel(
        points, {law: (c["T"], c["Ic"].sel(channel=0)) for law, c in curves.items()}
    )
    assert "Bardeen" in texts(figure)


def test_neighbouring_marks_have_their_symbols_apart():
    T = np.linspace(20, 28, 400)
    found = SimpleNamespace(
        reason=None,
        T=T,
        R=-np.abs(T - 24.4)[None],
        slope=np.gradient(-np.abs(T - 24.4), T)[None],
        centre=24.4,
    )
    marks = {"max. slope": samples.estimate(23.9, 0.01), "peak": samples.estimate(24.4, 0.01)}
    figure = diagnostics.cusp(found, marks)
    with style.context():
        figure.canvas.draw()
    one, two = (
        t.get_window_extent(figure.canvas.get_renderer())
        for t in figure.axes[0].texts
        if t.get_text()
    )
    assert not one.overlaps(two)


def test_branches_keep_their_residuals_apart():
    field = np.linspace(-1, 1, 51)
    figure = diagnostics.branches(field, field + 0.01, field - 0.02, fit_up=field, fit_down=field)
    rests = [line.get_ydata() for line in figure.axes[1].lines[:2]]
    np.testing.assert_allclose(rests[0], 10.0)
    np.testing.assert_allclose(rests[1], -20.0)


def test_sweep_shows_measured_voltage_as_fit_plus_residual():
    I = np.linspace(-1, 1, 21)
    parts = xr.Dataset(
        {
            "V_fit": ("I", 2 * I),
            "residual": ("I", 0.001 * np.cos(I)),
            "dVdI": ("I", 2 + 0 * I),
            "dVdI_fit": ("I", 2 + 0 * I),
            "excess_channel": (("channel", "I"), [0.1 * I]),
            "excess_andreev": ("I", 0 * I),
            "Ic": ("channel", [0.5]),
        },
        coords={"I": I, "channel": [0]},
        attrs={"set_point": "2 K, 9 T"},
    )
    figure = diagnostics.channels_of_sweep(parts, title="in plane")
    assert figure.axes[0].get_title(loc="left") == "in plane, 2 K, 9 T"
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), 2 * I + 0.001 * np.cos(I))
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), np.cos(I))


def fitted_loops() -> xr.Dataset:
    data = samples.loops().squeeze(["theta", "I"], drop=True)
    table = samples.loop_table().drop_attrs()
    return xr.Dataset(
        {"R": data["R"], "R_fit": data["R"] + 0.001, **table.data_vars},
        attrs=samples.ATTRS | {"field_offset_T": -0.005},
    )


def test_loop_is_the_nearest_one_with_both_branches_and_its_coercive_field():
    loops = fitted_loops()
    figure = diagnostics.loop(loops, 2.2)
    assert figure.axes[0].get_title(loc="left") == "2 K"
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), -1.0, atol=1e-9)
    places = sorted(
        line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"
    )
    coercive = float(loops["B_c"].sel(T=2))
    np.testing.assert_allclose(places, [-coercive - 0.005, coercive - 0.005])


def test_a_loop_that_is_gone_has_no_marks():
    figure = diagnostics.loop(fitted_loops(), 30)
    assert not any(line.get_linestyle() == "--" for line in figure.axes[0].lines)


def test_no_loops_at_all_are_said():
    assert "not measured" in texts(diagnostics.loop(fitted_loops().isel(T=[]), 2))


def test_vanishing_curve_is_the_law_with_the_largest_weight():
    laws_ = [
        {"law": "power", "power": 0.5, "T_v": 24.0, "amplitude": 2.0, "weight": 0.9},
        {"law": "mean field", "power": 1.0, "T_v": 23.0, "amplitude": 2.0, "weight": 0.1},
    ]
    found = SimpleNamespace(value=24.0, details={"by_law": laws_})
    drawn = vanishing_curves.vanishing_curve(found, window=0.4)
    assert float(drawn["T"].min()) == pytest.approx(0.4 * 24)
    assert float(drawn[-1]) == 0
    np.testing.assert_allclose(drawn, 2.0 * np.sqrt(1 - drawn["T"] / 24.0), atol=1e-12)
    laws_[1]["weight"] = 2.0
    mean_field = vanishing_curves.vanishing_curve(found)
    assert float(mean_field[0]) == pytest.approx(2.0)
    assert float(mean_field["T"][-1]) == pytest.approx(23.0)
    undetermined = SimpleNamespace(value=None, details={})
    assert vanishing_curves.vanishing_curve(undetermined) is None
