"""Single panels: scales, stacks, guides, loops, schematics."""

from __future__ import annotations

import figure_samples as samples
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from nbnmbt.plotting import hysteresis, lines, maps, schematics, style


@pytest.fixture
def axes():
    with style.context():
        figure = style.new_figure(88, 70)
        yield style.add_axes(figure, 12, 12, 60, 50, panel="x")


def test_style_does_not_leak_and_ignores_the_users_settings():
    with mpl.rc_context({"font.size": 33, "lines.linewidth": 9}):
        with style.context():
            assert mpl.rcParams["font.size"] == 7
            assert mpl.rcParams["lines.linewidth"] == 0.9
            assert mpl.rcParams["pdf.fonttype"] == 42
            assert mpl.rcParams["svg.hashsalt"] == "nbnmbt"
        assert mpl.rcParams["font.size"] == 33


def test_axes_are_placed_in_millimetres():
    figure = style.new_figure(180, 100)
    axes = style.add_axes(figure, 18, 10, 90, 50, panel="a")
    np.testing.assert_allclose(axes.get_position().bounds, (0.1, 0.1, 0.5, 0.5))


def test_figure_shows_itself_in_a_notebook():
    figure = style.new_figure(88, 60)
    style.add_axes(figure, 10, 10, 70, 40)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_compressed_scale_is_monotone_and_spreads_weak_peaks():
    data = xr.DataArray(np.r_[np.linspace(18, 22, 50), np.linspace(22, 170, 50)], dims="I")
    linear = maps.normalisation([data], "linear", lower=0, upper=100)
    compressed = maps.normalisation([data], "compressed", lower=0, upper=100)
    values = np.linspace(18, 170, 400)
    places = np.asarray(compressed(values))
    assert np.all(np.diff(places) > 0)
    assert places[0] == pytest.approx(0, abs=1e-9)
    assert places[-1] == pytest.approx(1)
    assert compressed(22) > 5 * linear(22)
    np.testing.assert_allclose(compressed.inverse(places), values, rtol=1e-9)


def test_colour_ticks_are_round_and_apart():
    norm = maps.normalisation(
        [xr.DataArray(np.linspace(18, 170, 99), dims="I")], "compressed", lower=0, upper=100
    )
    ticks = maps.colour_ticks(norm)
    assert len(ticks) >= 5
    assert np.all(np.diff([float(norm(t)) for t in ticks]) > 0.08)
    assert all(float(f"{t:.2g}") == t for t in ticks if t < 100)


def test_map_of_two_sweeps_is_refused(axes):
    data = samples.currents(T=(2, 3), B=(0, 1))
    with pytest.raises(ValueError, match="swept over B \\(2 values\\)"):
        maps.differential_resistance(axes, data["dVdI"], "T")


def test_only_the_mesh_of_a_map_is_rasterised(axes):
    mesh, _ = maps.differential_resistance(axes, samples.iv_temperature()["dVdI"], "T")
    assert mesh.get_rasterized()
    rest = [a for a in axes.get_children() if a is not mesh]
    assert not any(a.get_rasterized() for a in rest)


def test_missing_points_of_a_map_stay_missing(axes):
    data = samples.iv_temperature()["dVdI"].copy()
    data[3, 0, 0, :] = np.nan
    mesh, drawn = maps.differential_resistance(axes, data, "T")
    assert np.ma.getmaskarray(mesh.get_array())[3].all()
    assert np.isnan(drawn["dVdI"].isel(T=3)).all()


def test_censored_currents_are_not_drawn_as_ridges(axes):
    data = samples.iv_temperature()
    drawn = maps.ridges(axes, data, "T")
    censored = data["censored"].squeeze().values == 1
    assert censored.any()
    assert np.isnan(drawn["Ic"].values[censored]).all()
    assert np.isfinite(drawn["Ic"].values[~censored]).all()


def test_censored_currents_are_upper_limits_on_ic_panels(axes):
    data = samples.iv_temperature()
    drawn = lines.critical_currents(axes, data, "T")
    censored = data["censored"].squeeze().values == 1
    assert np.isfinite(drawn["upper_limit"].values[censored]).all()
    assert np.isnan(drawn["Ic"].values[censored]).all()
    assert np.isnan(drawn["Ic_err"].values[censored]).all()


def test_profiles_are_spread_evenly_over_the_range():
    dense = np.r_[np.arange(0, 2, 0.25), np.arange(2, 4, 0.1), np.arange(4, 9.01, 0.25)]
    chosen = dense[lines.select_profiles(dense, 10)]
    np.testing.assert_allclose(np.diff(chosen), 1.0, atol=0.26)
    assert chosen[0] == 0
    assert chosen[-1] == 9


def test_guides_lie_on_their_profiles(axes):
    data = samples.iv_field("out-of-plane")
    drawn = lines.stack(axes, data["dVdI"], "B", currents=data, count=7)
    for row in range(drawn.sizes["B"]):
        profile = drawn["profile"].isel(B=row)
        for channel in range(3):
            at = float(drawn["guide_I"].isel(B=row, channel=channel))
            height = float(drawn["guide"].isel(B=row, channel=channel))
            assert height == pytest.approx(np.interp(at, profile["I"], profile), rel=1e-12)
    assert np.isnan(drawn["guide"].sel(channel=3)).all(), "beyond the range nothing is drawn"


def test_normalised_profiles_start_from_one_at_the_largest_current(axes):
    data = samples.iv_temperature()
    drawn = lines.stack(axes, data["dVdI"], "T", normalise=True)
    ends = (drawn["profile"] - drawn["offset"]).where(np.abs(drawn["I"]) > 0.98 * 7).mean("I")
    np.testing.assert_allclose(ends, 1.0, rtol=1e-9)


def test_compressed_stack_keeps_ratios(axes):
    data = samples.iv_temperature()
    plain = lines.stack(axes, data["dVdI"], "T", normalise=True)
    log = lines.stack(axes, data["dVdI"], "T", normalise=True, compress=True)
    np.testing.assert_allclose(
        10 ** (log["profile"] - log["offset"]), plain["profile"] - plain["offset"], rtol=1e-10
    )


def test_marks_outside_the_panel_are_left_out(axes):
    data = samples.resistance()["NbN"]
    lines.resistance_temperature(
        axes, data, marks=[lines.Mark(value=99.0, symbol="far"), lines.Mark(value=10, symbol="T_c")]
    )
    assert [t.get_text() for t in axes.texts] == ["T_c"]


def test_noise_on_a_flat_curve_is_not_blown_up(axes):
    lines.magnetoresistance(axes, samples.magnetoresistance()["NbN"], minimum_span=1.0)
    low, high = axes.get_ylim()
    assert high - low > 1.0


def test_both_sweep_directions_are_drawn(axes):
    one = samples.magnetoresistance()["MnBi2Te4"]
    both = xr.concat([one, one + 0.01], "branch").assign_coords(branch=["up", "down"])
    drawn = lines.magnetoresistance(axes, both)
    assert drawn["R"].dims == ("branch", "B")
    colours = [line.get_color() for line in axes.lines if line.get_gid()]
    assert colours == [style.BRANCH_COLOURS["up"], style.BRANCH_COLOURS["down"]]


def test_field_swept_one_way_is_one_branch(axes):
    drawn = hysteresis.stack(axes, samples.loops().isel(branch=0, drop=True))
    assert drawn.sizes["branch"] == 1
    assert np.isfinite(drawn["R"]).all()


def test_loops_share_one_scale_and_say_where_not(axes):
    drawn = hysteresis.stack(axes, samples.loops())
    factor = dict(zip(drawn["T"].values, drawn["factor"].values, strict=True))
    assert factor[2.0] == 1
    assert factor[30.0] == 1
    assert factor[10.0] > 10
    assert any("10 K" in t.get_text() and "÷" in t.get_text() for t in axes.texts)


def test_loop_stack_can_be_undone(axes):
    data = samples.loops()
    drawn = hysteresis.stack(axes, data)
    back = (drawn["R"] - drawn["offset"]) * drawn["factor"] + drawn["reference"]
    original = data["R"].squeeze(drop=True).transpose(*back.dims)
    np.testing.assert_allclose(back.values, original.values, rtol=1e-12)


def test_sweep_arrows_point_along_the_sweep(axes):
    hysteresis.stack(axes, samples.loops())
    arrows = [t for t in axes.texts if t.arrow_patch is not None and not t.get_text()]
    steps = sorted(a.xy[0] - a.xyann[0] for a in arrows)
    assert len(steps) == 2
    assert steps[0] < 0 < steps[1]


def test_error_bars_are_those_of_the_table(axes):
    table = samples.loop_table()
    drawn = hysteresis.temperature_dependence(axes, table, "deltaR")
    np.testing.assert_array_equal(drawn["deltaR_err"], table["deltaR_err"])
    (bars,) = [c for c in axes.collections if c.get_segments()]
    tops = [segment[:, 1].max() for segment in bars.get_segments()]
    np.testing.assert_allclose(tops, (table["deltaR"] + table["deltaR_err"]).values)


def test_error_bars_below_zero_are_inside_and_an_empty_panel_says_so(axes):
    table = samples.loop_table()
    table["deltaR"][:] = -0.02
    table["deltaR_err"][:] = 0.025
    table["B_c"][:] = np.nan
    hysteresis.temperature_dependence(axes, table, "deltaR")
    low, high = axes.get_ylim()
    assert low < -0.045
    assert high > 0.005
    assert not [t for t in axes.texts if "not determined" in t.get_text()]
    hysteresis.temperature_dependence(axes, table, "B_c")
    assert [t for t in axes.texts if "not determined" in t.get_text()]


@pytest.mark.parametrize("along", ["T", "B", "theta"])
def test_a_map_of_one_set_point_is_seen(axes, along):
    data = samples.currents(**{"T": (2,), "B": (0,), "theta": (0,), along: (3,)})["dVdI"]
    mesh, drawn = maps.differential_resistance(axes, data, along)
    heights = np.ptp(mesh.get_coordinates()[..., 1])
    assert heights > 0.01 * np.ptp(axes.get_ylim())
    assert drawn.sizes[along] == 1
    assert drawn[along].item() == 3


@pytest.mark.parametrize("configuration", ["interface", "MnBi2Te4", "NbN"])
def test_device_schematic_has_both_instruments(axes, configuration):
    schematics.measurement(axes, configuration, samples.GEOMETRY)
    labels = {t.get_text() for t in axes.texts}
    assert {"$I$", "$V$"} <= labels


def test_schematics_take_their_thicknesses_from_the_sample_sheet():
    def labels(geometry):
        figure = style.new_figure(180, 60)
        for index, draw in enumerate(
            (
                lambda a: schematics.measurement(a, "NbN", geometry),
                lambda a: schematics.proximity(a, geometry),
                lambda a: schematics.spin_structure(a, geometry),
            )
        ):
            draw(style.add_axes(figure, 5 + 58 * index, 5, 50, 50))
        return " ".join(t.get_text() for t in figure.findobj(Text))

    stated = labels(samples.GEOMETRY | {"NbN_nm": 37})
    assert "NbN 37 nm" in stated
    assert "Ti 2 nm" in stated
    assert "Ti/Au 10/100 nm" in stated
    assert " nm" not in labels({})


def test_gaps_of_the_proximity_schematic_are_ordered(axes):
    schematics.proximity(axes, {})
    levels = [
        line.get_ydata()[0]
        for line in axes.lines
        if line.get_color() in style.CHANNEL_COLOURS and line.get_linewidth() == 1.3
    ]
    upper = levels[::2]
    assert upper == sorted(upper, reverse=True)
    assert len(set(upper)) == 4


def test_neighbouring_magnetic_layers_are_antiparallel(axes):
    schematics.spin_structure(axes, samples.GEOMETRY, layers=4)
    arrows = [
        p
        for p in axes.patches
        if type(p).__name__ == "FancyArrowPatch" and p.get_linewidth() == 1.1
    ]
    by_height: dict[float, set[str]] = {}
    for arrow in arrows:
        (_, y0), (_, y1) = arrow._posA_posB
        by_height.setdefault(round((y0 + y1) / 2, 3), set()).add("up" if y1 > y0 else "down")
    rows = [by_height[h] for h in sorted(by_height)]
    assert rows == [{"down"}, {"up"}, {"down"}, {"up"}, {"up"}], "the interface follows its layer"
