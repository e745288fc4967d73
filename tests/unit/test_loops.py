import json
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nbnmbt.analysis import loops
from nbnmbt.analysis.estimate import Estimate, definition_of, read_stage
from nbnmbt.numbers import NUMBER_KEYS

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

B = mt.loop_field()
FAST = loops.Options(detection_draws=100)


def smooth(b):
    """A background with a cusp at zero field, as a contact's pair breaking makes it."""
    return 20 - 0.04 * np.abs(b) + 1e-3 * b**2


def make(T, B_c, delta_R, *, seed=0, noise=2e-3, background=smooth, **loop):
    rng = np.random.default_rng(seed)
    R = np.stack(
        [
            mt.loop(B, b, d, background=background, **loop)
            for b, d in zip(np.atleast_1d(B_c), np.atleast_1d(delta_R), strict=True)
        ],
        axis=1,
    )
    return R + noise * rng.normal(size=R.shape)


def value(number, error=0.0):
    return Estimate(value=number, uncertainty=error, unit="T", definition="d", estimator="e")


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 4.5])
@pytest.mark.parametrize("kind", ["butterfly", "square"])
def test_joint_fit_is_unbiased_where_reading_the_maximum_is_not(ratio, kind):
    """Bc/w down to 0.5: max|R_up - R_down| would be off by 34 % (butterfly), 54 % (square)."""
    T = np.array([2.0, 3.0, 4.0])
    B_c = ratio * 0.04
    R = make(T, [B_c] * 3, [0.05] * 3, square=float(kind == "square"), noise=5e-4)
    fit = loops.fit_loops(T, B, R, options=FAST)
    assert fit.kind == kind
    for loop in fit.loops:
        assert loop.detected
        assert loop.coercive == pytest.approx(B_c, abs=4 * loop.coercive_err)
        assert abs(loop.height) == pytest.approx(0.05, abs=4 * loop.height_err)
        assert loop.coercive_err < 5e-3


def test_mixture_is_recognised():
    T = np.array([2.0, 4.0])
    fit = loops.fit_loops(T, B, make(T, [0.18] * 2, [0.05] * 2, square=0.4), options=FAST)
    assert fit.kind == "mixture"
    assert fit.loops[0].square_fraction == pytest.approx(0.4, abs=0.05)
    assert fit.loops[0].height == pytest.approx(0.05, abs=0.003)


def test_lag_and_offset_are_found_from_all_loops():
    T = np.array([2.0, 10.0, 30.0])
    parts = [
        make([2.0], [0.18], [0.05], lag=1.5e-3, B0=-5e-3),
        # flux flow: a steep background, no loop
        make([10.0], [0.1], [0.0], lag=1.5e-3, B0=-5e-3, background=lambda b: 20 + 6 * b**2),
        make([30.0], [0.1], [0.0], lag=1.5e-3, B0=-5e-3),
    ]
    fit = loops.fit_loops(T, B, np.concatenate(parts, axis=1), options=FAST)
    assert fit.lag == pytest.approx(1.5e-3, abs=4 * fit.lag_err)
    assert fit.offset == pytest.approx(-5e-3, abs=4 * fit.offset_err)
    assert fit.lag_err < 2e-4
    assert fit.loops[0].coercive == pytest.approx(0.18, abs=4 * fit.loops[0].coercive_err)
    off = loops.fit_loops(
        T,
        B,
        np.concatenate(parts, axis=1),
        options=FAST.model_copy(update={"lag_correction": "none"}),
    )
    assert off.lag == 0
    # Without the correction the lag is taken for coercive field.
    assert off.loops[0].coercive - fit.loops[0].coercive == pytest.approx(1.5e-3, abs=5e-4)


def test_lag_and_remanence_alone_are_no_hysteresis():
    """Control N12: 10 mT of each, steep backgrounds, no loop: nothing may be claimed."""
    T = np.array([2.0, 6.0, 10.0, 16.0, 20.0, 26.0])
    backgrounds = [smooth, smooth, lambda b: 20 + 6 * b**2, smooth, smooth, smooth]
    alarms = 0
    for seed in range(6):
        R = np.concatenate(
            [
                make([t], [0.1], [0.0], lag=0.01, B0=-0.01, background=b, seed=100 * seed + i)
                for i, (t, b) in enumerate(zip(T, backgrounds, strict=True))
            ],
            axis=1,
        )
        fit = loops.fit_loops(T, B, R, options=FAST, seed=seed)
        alarms += sum(loop.detected for loop in fit.loops)
        assert fit.lag == pytest.approx(0.01, abs=1e-3)
    assert alarms <= 1
    judged = loops.hysteresis_below_neel(fit, 24.4, FAST)
    assert judged["p"] > 0.01
    assert judged["n_below_detected"] == 0


def test_false_alarm_rate_on_noise():
    T = np.arange(2.0, 22.0, 2.0)
    p = []
    for seed in range(8):
        R = make(T, np.full(10, 0.1), np.zeros(10), seed=seed)
        p += [loop.p for loop in loops.fit_loops(T, B, R, options=FAST, seed=seed).loops]
    p = np.array(p)
    assert np.mean(p < 0.05) <= 0.12
    assert np.mean(p < 0.01) <= 0.05


def test_a_loop_that_noise_hides_is_not_measured_as_nothing():
    """At a wrong coercive field a loop that is there has no height: its error must say so."""
    T = np.array([2.0, 5.0, 8.0, 12.0, 16.0, 20.0])
    B_c = 0.2 * np.sqrt(1 - T / 24.4)
    height = 0.05 * (1 - T / 24.4)
    pulls, vanish = [], []
    for seed in range(5):
        fit = loops.fit_loops(T, B, make(T, B_c, height, noise=0.05, seed=seed), options=FAST)
        pulls += [
            (loop.height - true) / loop.height_err
            for loop, true in zip(fit.loops, height, strict=True)
            if not loop.detected
        ]
        judged = loops.hysteresis_below_neel(fit, 24.4, FAST)
        assert judged["upper_below"] > 0.0005
        found = loops.loop_height_vanishing(fit, FAST)
        vanish += [] if found.value is None else [(found.value - 24.4) / found.uncertainty]
    assert len(pulls) > 10
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5
    assert all(abs(z) < 3.5 for z in vanish)


def test_a_spike_on_one_side_is_no_loop():
    R = make([4.0], [0.1], [0.0])
    R[0, 0, np.abs(B + 0.03) < 0.02] += 0.03
    assert not loops.fit_loops([4.0], B, R, options=FAST).loops[0].detected


@pytest.mark.parametrize("seed", range(4))
def test_a_curve_that_switches_at_random_is_left_out_of_the_trends(seed):
    """As a channel does at its critical temperature, in fields as small as the loop's."""
    T = np.array([2.0, 4.0, 6.0, 8.0, 12.0, 14.0, 16.0])
    B_c, height = mt.loop_parameters(T)
    R = make(T, B_c, height, seed=seed, noise=1e-3)
    random = np.random.default_rng([1, seed])
    up = np.cumsum(random.random((2, B.size)) < 0.2, axis=1) % 2
    R[:, 2] += np.where(np.abs(B) < 0.15, 0.06 * up, 0.0)
    fit = loops.fit_loops(T, B, R, options=FAST, seed=seed)
    odd = fit.loops[2]
    assert odd.height_err > 4 * max(fit.loops[1].height_err, fit.loops[3].height_err)
    assert loops._left_out(fit, FAST).tolist() == [False, False, True, False, False, False, False]
    trend = loops.monotone_loop_quantity(fit, "height", FAST, seed=seed)
    assert trend["n"] == 6
    assert trend["p"] > 0.01
    # Whether every temperature shows a loop is asked of this one as well.
    assert loops.hysteresis_below_neel(fit, 24.4, FAST)["n_below"] == 7


def test_what_is_left_where_the_loop_is_counts_for_its_error():
    loop = np.array([0.0, 0.0, 1.0, 1.0])
    assert loops._concentration(np.array([0.0, 0.0, 2.0, 2.0]), loop) == pytest.approx(2)
    assert loops._concentration(np.array([2.0, 2.0, 0.0, 0.0]), loop) == 1
    assert loops._concentration(np.zeros(4), loop) == 1
    assert loops._concentration(np.ones(4), 0 * loop) == 1


def test_single_wild_readings_are_left_out_of_a_curve_and_not_the_curve():
    T = np.array([2.0, 4.0])
    R = make(T, [0.18] * 2, [0.05] * 2, noise=1e-3)
    R[0, 0, [100, 180]] += 0.5
    fit = loops.fit_loops(T, B, R, options=FAST)
    assert fit.loops[0].height == pytest.approx(0.05, abs=4 * fit.loops[0].height_err)
    assert fit.loops[0].height_err < 1.5 * fit.loops[1].height_err
    assert not loops._left_out(fit, FAST).any()


def test_a_resistive_transition_in_field_is_not_read_as_a_loop():
    """Field lag sets the branches apart; the width of the transition is no coercive field."""

    def transition(b, centre):
        return 0.465 / (1 + np.exp(-(np.abs(b) - centre) / 0.03)) + 0.1 * np.tanh(np.abs(b) / 0.3)

    rng = np.random.default_rng(3)
    centres = [0.45, 0.41, 0.37]
    for lag in (0.0, 4e-3):
        R = np.stack(
            [
                np.stack([transition(B - sign * lag, centre) for centre in centres])
                for sign in (1, -1)
            ]
        )
        R += 1e-3 * rng.normal(size=R.shape)
        fit = loops.fit_loops([2.1, 2.2, 2.3], B, R, options=FAST)
        assert not any(loop.detected or np.isfinite(loop.coercive) for loop in fit.loops)
        # what the fit leaves would hide a loop, so "no loop" would say too much
        assert fit.reason.startswith("the curves are no loops on a smooth background")


def test_temperature_fluctuations_are_taken_out():
    rng = np.random.default_rng(3)
    T = np.array([9.0])
    drift = 5e-3 * np.cumsum(rng.normal(0, 0.2, (2, 1, B.size)), axis=-1)
    R = make(T, [0.15], [0.045]) + 4 * drift * (1 + np.abs(B))
    seen = 9.0 + drift + 3e-4 * rng.normal(size=drift.shape)
    with_term = loops.fit_loops(T, B, R, T_measured=seen, options=FAST).loops[0]
    without = loops.fit_loops(
        T, B, R, T_measured=seen, options=FAST.model_copy(update={"loop_temperature_term": False})
    ).loops[0]
    assert with_term.coercive == pytest.approx(0.15, abs=4 * with_term.coercive_err)
    assert with_term.coercive_err < 0.5 * np.nan_to_num(without.coercive_err, nan=1.0)


def bath(rng, number, noise=3e-4, size=4e-3):
    """True and reported fluctuation of temperature along up and down sweeps, K."""
    true = np.empty((2 * B.size, number))
    true[0] = size * rng.normal(size=number)
    memory = 0.98
    for k in range(1, 2 * B.size):
        kick = rng.normal(size=number)
        true[k] = memory * true[k - 1] + size * np.sqrt(1 - memory**2) * kick
    up, down = true[: B.size].T, true[: B.size - 1 : -1].T
    true = np.stack([up, down])
    return true, true + noise * rng.normal(size=true.shape)


def corner(T, b):
    """A gap closes: R(T) falls off like a root below the corner, near zero field only."""
    return -0.5 * np.sqrt(np.maximum(0.5 * b**2 - T, 0)) * np.exp(-((b / 0.06) ** 2))


def test_a_corner_of_the_temperature_curve_is_no_loop():
    rng = np.random.default_rng(12)
    T = np.arange(6.0, 10.0)
    drift, seen = bath(rng, T.size)
    none = make(T, [0.1] * T.size, [0.0] * T.size) + corner(drift, B)
    fit = loops.fit_loops(T, B, none, T_measured=T[:, None] + seen, options=FAST)
    assert not any(loop.detected for loop in fit.loops), [loop.p for loop in fit.loops]
    # Nor does it hide the loops that are there.
    some = make(T, [0.17] * T.size, [0.045] * T.size) + corner(drift, B)
    fit = loops.fit_loops(T, B, some, T_measured=T[:, None] + seen, options=FAST)
    assert all(loop.detected for loop in fit.loops), [loop.p for loop in fit.loops]


@pytest.mark.parametrize(
    "R",
    [
        np.full((2, 2, B.size), 5.0),
        np.zeros((2, 2, B.size)),
        np.full((2, 2, B.size), np.nan),
    ],
)
def test_flat_and_empty_loops_have_reasons(R):
    fit = loops.fit_loops([2.0, 4.0], B, R, options=FAST)
    for function in (
        loops.coercive_field_2K,
        loops.loop_height_2K,
        loops.coercive_field_vanishing,
        loops.loop_height_vanishing,
    ):
        found = function(fit)
        assert found.value is None
        assert found.reason
    assert loops.monotone_loop_quantity(fit, "coercive")["p"] is None
    assert loops.coercive_field_below_spin_flop(fit, value(3.0))["value"] is None


def test_one_point_and_wrong_shape():
    fit = loops.fit_loops([2.0], B[:1], np.ones((2, 1, 1)), options=FAST)
    assert "40 points" in fit.reason
    with pytest.raises(ValueError, match="shape"):
        loops.fit_loops([2.0], B, np.ones((1, 1, B.size)), options=FAST)


def test_missing_points_and_a_missing_branch():
    R = make([2.0, 4.0], [0.18, 0.17], [0.05, 0.05])
    R[0, 0, ::7] = np.nan
    R[1, 1] = np.nan
    fit = loops.fit_loops([2.0, 4.0], B, R, options=FAST)
    assert fit.loops[0].coercive == pytest.approx(0.18, abs=4 * fit.loops[0].coercive_err)
    assert np.isnan(fit.loops[1].p)


def test_noiseless_loop():
    fit = loops.fit_loops([2.0], B, make([2.0], [0.18], [0.05], noise=0.0), options=FAST)
    assert fit.loops[0].coercive == pytest.approx(0.18, abs=1e-3)
    assert fit.loops[0].height == pytest.approx(0.05, rel=0.02)


def test_field_jump_by_hand():
    field = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    R = np.array([[3.0, 1, 1, 1, 5], [3.2, 1, 1.2, 1, 4.8]])
    jump, _ = loops.field_jump(field, R)
    assert jump == pytest.approx(4.0 - 1.1)
    assert np.isnan(loops.field_jump(field, np.full((2, 5), np.nan))[0])


def test_largest_jump_and_its_ratio():
    T = np.array([8.0, 9.0, 10.0, 10.5, 11.0, 12.0])
    rise = np.array([0.01, 0.15, 8.0, 14.0, 0.1, 0.0])
    rng = np.random.default_rng(0)
    R = 20 + rise[None, :, None] * B**2 + 1e-3 * rng.normal(size=(2, T.size, B.size))
    found = loops.largest_field_jump(T, B, R)
    assert found.value == 10.5
    assert found.details["bracket"] == [10.0, 11.0]
    assert found.details["ratio_to_8K_low"] > 500
    flat = loops.largest_field_jump(T, B, 20 + 1e-3 * rng.normal(size=(2, T.size, B.size)))
    assert flat.value is None
    assert loops.largest_field_jump(T[:2], B, R[:, :2]).value is None
    # a sample measured from 2 to 10 K, or from 10.5 K on, cannot say where the maximum lies
    for part, end in ((slice(0, 4), "highest"), (slice(3, None), "lowest")):
        open_ended = loops.largest_field_jump(T[part], B, R[:, part])
        assert open_ended.value is None
        assert f"{end} temperature" in open_ended.reason
        assert "does not reach" in open_ended.reason


def test_coarse_curves_are_too_little_not_against_the_paper():
    coarse = B[::20]
    fit = loops.fit_loops(
        [2.0, 4.0, 6.0], coarse, make([2.0, 4.0, 6.0], [0.15] * 3, [0.045] * 3)[..., ::20]
    )
    assert fit.reason.startswith("fewer than 40 points")


@pytest.fixture(scope="module")
def device():
    """Loops at the device's temperatures with its laws of B_c and loop height."""
    T = np.array([2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 23, 24, 25, 26, 28, 30.0])
    B_c, delta_R = mt.loop_parameters(T)
    R = make(T, B_c, delta_R, seed=5, noise=4e-3, lag=1.5e-3, B0=-5e-3)
    return xr.Dataset(
        {"R": (("branch", "T", "B", "theta", "I"), R[..., None, None])},
        coords={"branch": ["up", "down"], "T": T, "B": B, "theta": [0.0], "I": [1e-3]},
        attrs={"measured": 1, "sample": "test"},
    )


@pytest.fixture(scope="module")
def found(device):
    transitions = {"T_N_peak": value(24.4, 0.01), "B_flop_mnbi2te4": value(3.0, 0.002)}
    return loops.run(device, transitions, FAST, sample="test")


def test_every_number_key_of_the_stage_is_there(found):
    wanted = {key for key, spec in NUMBER_KEYS.items() if spec.stage == "loops"}
    assert wanted <= set(found[0])


@pytest.mark.parametrize(
    ("key", "planted"),
    [
        ("B_c_2K", 0.17996),
        ("deltaR_2K", 0.05),
        ("T_vanish_Bc", 24.4),
        ("T_vanish_deltaR", 24.4),
    ],
)
def test_planted_values(found, key, planted):
    estimate = found[0][key]
    assert estimate.value == pytest.approx(planted, abs=3 * estimate.uncertainty)


def test_statistics_for_the_claims(found):
    _, statistics, _ = found
    assert statistics["C26"]["p"] < 0.01
    assert statistics["C26"]["n_below_detected"] == statistics["C26"]["n_below"] == 10
    assert statistics["C26"]["n_above_detected"] == 0
    assert statistics["C28"]["T_vanish_deltaR"]["low"] < 24.4
    assert statistics["C29"]["upper"] < 0.3
    assert statistics["C29"]["largest"] == pytest.approx(0.18, abs=5e-3)
    for key in ("B_c", "deltaR"):
        assert statistics["C30"][key]["p"] > 0.01
        assert statistics["C30"][key]["fall"] > 0


def test_fitted_dataset(found):
    _, _, ds = found
    assert {"B_c", "B_c_err", "deltaR", "deltaR_err", "detected", "p", "R_fit"} <= set(ds)
    assert ds["R_fit"].dims == ("branch", "T", "B")
    assert ds["B_c"].attrs["units"] == "T"
    assert np.isnan(ds["B_c"].sel(T=30.0))
    residual = ds["residual"].sel(T=2.0).values
    assert np.nanstd(residual) == pytest.approx(4e-3, rel=0.15)


def test_no_magnetism(device):
    """Control N1: no loop at any temperature, and nothing made up from that."""
    rng = np.random.default_rng(1)
    ds = device.copy(deep=True)
    flat = make(ds["T"].values, np.full(16, 0.1), np.zeros(16), seed=9, noise=4e-3, lag=1.5e-3)
    ds["R"].values = flat[..., None, None]
    estimates, statistics, _ = loops.run(ds, {"T_N_peak": value(24.4)}, FAST, sample="n1")
    for key in ("B_c_2K", "deltaR_2K", "T_vanish_Bc", "T_vanish_deltaR"):
        assert estimates[key].value is None
        assert "loop" in estimates[key].reason
    assert statistics["C26"]["p"] > 0.01
    assert statistics["C29"]["value"] is None
    # Control N20: the same curves permuted.
    ds["R"].values = rng.permutation(device["R"].values, axis=2)
    estimates, _, _ = loops.run(ds, {"T_N_peak": value(24.4)}, FAST, sample="n20")
    assert estimates["B_c_2K"].value is None


def test_other_neel_temperature():
    """Control N9: loops vanish at 20 K; the interval says so."""
    T = np.array([2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 24, 26.0])
    B_c, delta_R = mt.loop_parameters(T, T_N=20.0)
    fit = loops.fit_loops(T, B, make(T, B_c, delta_R, seed=2), options=FAST)
    for found in (loops.coercive_field_vanishing(fit), loops.loop_height_vanishing(fit)):
        assert found.value == pytest.approx(20, abs=4 * found.uncertainty)
        assert found.details["high"] < 24.4


@pytest.mark.parametrize(
    "data",
    [
        None,
        xr.Dataset(attrs={"measured": 0, "reason": "not measured: no file"}),
        xr.Dataset({"R": (("T", "B"), np.ones((1, 3)))}, attrs={"measured": 1}),
    ],
)
def test_nothing_measured(data):
    estimates, statistics, ds = loops.run(data, None, FAST)
    assert all(e.reason.startswith("not measured") for e in estimates.values())
    assert statistics["C26"]["p"] is None
    assert ds.attrs["measured"] == 0
    assert ds.sizes["T"] == 0


def test_command_line(tmp_path, device):
    two = device.isel(T=[0, 1, 2, 14])
    two.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    arguments = ["--loops", str(tmp_path / "in.nc"), "--out", str(tmp_path / "loops.json")]
    arguments += ["--out-loops", str(tmp_path / "loops.nc")]
    arguments += ["--options", json.dumps({"detection_draws": 100})]
    assert loops.main(arguments) == 0
    stage = read_stage(tmp_path / "loops.json")
    assert stage.estimates["B_c_2K"].value == pytest.approx(0.18, abs=5e-3)
    first = (tmp_path / "loops.nc").read_bytes()
    loops.main(arguments)
    assert (tmp_path / "loops.nc").read_bytes() == first


def test_options_are_documented_and_swept():
    schema = loops.Options.model_json_schema()
    for name, entry in schema["properties"].items():
        assert entry.get("description"), name
        assert entry.get("sweep"), name
        for choice in entry["sweep"]:
            loops.Options(**{name: choice})


@pytest.mark.parametrize(
    "function",
    [
        loops.coercive_field_2K,
        loops.loop_height_2K,
        loops.coercive_field_vanishing,
        loops.loop_height_vanishing,
        loops.hysteresis_below_neel,
        loops.field_jump,
        loops.largest_field_jump,
        loops.coercive_field_below_spin_flop,
        loops.monotone_loop_quantity,
    ],
)
def test_definitions(function):
    assert definition_of(function).endswith(".")
