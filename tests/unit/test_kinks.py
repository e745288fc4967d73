import json
import re
from pathlib import Path

import numpy as np
import pytest
from current_curves import currents, not_measured, table

from nbnmbt.analysis import kinks
from nbnmbt.analysis.estimate import Stage, estimated, read_stage
from nbnmbt.analysis.kinks import (
    Options,
    coincidence,
    holm,
    jump_bound,
    kink_field,
    kink_jump,
    local_slope,
    locate_kink,
    sup_f_test,
)
from nbnmbt.claims import Evidence

FIELDS = np.r_[np.arange(0, 2, 0.25), np.arange(2, 4, 0.1), np.arange(4, 9.01, 0.25)].round(4)
FAST = {"draws": 400, "monotone_draws": 200}


def stepped(x, height=0.05, at=3.05):
    return 1 - 0.05 * x - 0.002 * x**2 + height * (x > at)


def dataset(y, error=1e-3, fields=FIELDS, **attrs):
    values = np.broadcast_to(np.asarray(y)[:, None, :, None], (3, 1, fields.size, 1))
    return currents(values, error, B=fields, **attrs)


@pytest.mark.parametrize("row", [r for r in table("kink_supF") if r["added terms"] == "sj"])
def test_calibrated_quantiles_agree_with_the_reference_table(row):
    x = np.arange(0, 9.01, 0.25)
    degree = int(row["null poly degree"])
    outcome = sup_f_test(x, 0 * x, np.ones(37), degrees=(degree,), draws=6000)
    # Monte-Carlo error of either: 20000 and 6000 draws.
    assert outcome.f95 == pytest.approx(float(row["sup-F 95%"]), rel=0.03)
    assert outcome.f99 == pytest.approx(float(row["sup-F 99%"]), rel=0.06)


def test_the_naive_test_cries_wolf_and_the_calibrated_one_does_not():
    x = np.arange(0, 9.01, 0.25)
    row = next(
        r for r in table("kink_supF") if (r["null poly degree"], r["added terms"]) == ("3", "sj")
    )
    random = np.random.default_rng(11)
    tests = [
        sup_f_test(
            x, 1 - 0.1 * x + 0.01 * random.standard_normal(37), np.full(37, 0.01), degrees=(3,),
            draws=400, seed_names=("size", i),
        )
        for i in range(250)
    ]  # fmt: skip
    naive = np.mean([t.naive_p_value < 0.05 for t in tests])
    calibrated = np.mean([t.p_value < 0.05 for t in tests])
    assert naive == pytest.approx(float(row["true FPR of naive 5% test"]), abs=0.1)
    assert calibrated < 0.05 + 3 * (0.05 * 0.95 / 250) ** 0.5


def forward(channel: int, orientation: str) -> tuple[np.ndarray, np.ndarray]:
    rows = table("fwd_Ic_B")
    B = np.array([float(r["B_T"]) for r in rows])
    y = np.array([float(r[f"Ic{channel} {orientation}"]) for r in rows])
    return B, y


def on_quarter_tesla_grid(channel: int, orientation: str) -> tuple[np.ndarray, np.ndarray]:
    from scipy.interpolate import PchipInterpolator

    B, y = forward(channel, orientation)
    x = np.arange(0, 9.01, 0.25)
    if orientation == "ab":
        return x, PchipInterpolator(B, y)(x)
    low, high = B <= 3.0, B > 3.0
    return x, np.where(
        x <= 3.0, PchipInterpolator(B[low], y[low])(x), PchipInterpolator(B[high], y[high])(x)
    )


@pytest.mark.parametrize(("sigma", "channel"), [(8.0, 0), (8.0, 1), (16.0, 2)])
def test_power_on_the_forward_model_agrees_with_the_reference_table(sigma, channel):
    row = next(
        r
        for r in table("kink_power")
        if float(r["sigma_Ic uA"]) == sigma
        and int(r["channel"]) == channel
        and r["curve"] == "c sharp"
    )
    x, y = on_quarter_tesla_grid(channel, "c")
    random = np.random.default_rng(channel)
    hits = [
        sup_f_test(
            x, y + sigma * 1e-3 * random.standard_normal(x.size), np.full(x.size, sigma * 1e-3),
            degrees=(3,), draws=400, seed_names=(i,),
        ).p_value < 0.05
        for i in range(120)
    ]  # fmt: skip
    expected = float(row["deg3+sj rate"])
    assert np.mean(hits) == pytest.approx(expected, abs=0.02 + 3.5 * (0.25 / 120) ** 0.5)
    if expected == 1.0:
        assert all(hits)


@pytest.mark.parametrize(("null", "degree"), [("cubic", 3), ("sextic", 6)])
def test_a_stiff_null_flags_the_smooth_in_plane_curve(null, degree):
    row = next(r for r in table("kink_null") if r["null"] == null and r["sigma uA"] == "1.0")
    x, y = on_quarter_tesla_grid(0, "ab")
    random = np.random.default_rng(degree)
    hits = [
        sup_f_test(
            x, y + 1e-3 * random.standard_normal(x.size), np.full(x.size, 1e-3),
            degrees=(degree,), draws=400, seed_names=(i,),
        ).p_value < 0.05
        for i in range(100)
    ]  # fmt: skip
    assert np.mean(hits) == pytest.approx(float(row["ab k0"]), abs=0.15)


def test_the_degree_chosen_by_aicc_keeps_the_false_alarms_down_at_small_noise():
    x, y = on_quarter_tesla_grid(0, "ab")
    random = np.random.default_rng(5)
    hits = [
        sup_f_test(
            x, y + 1e-3 * random.standard_normal(x.size), np.full(x.size, 1e-3),
            draws=400, seed_names=(i,),
        ).p_value < 0.05
        for i in range(100)
    ]  # fmt: skip
    assert np.mean(hits) < 0.15


def test_a_floor_stops_exact_data_from_showing_what_no_polynomial_follows():
    x, y = on_quarter_tesla_grid(0, "ab")
    sigma = np.full(x.size, 1e-3)
    assert sup_f_test(x, y, sigma, draws=400, least_variance=1.0).p_value > 0.5
    x, y = on_quarter_tesla_grid(0, "c")
    assert sup_f_test(x, y, sigma, draws=400, least_variance=1.0).p_value < 0.01


def test_sup_f_by_hand():
    # Two levels of 20 points: the kink at the middle explains all but the alternating +-1.
    x = np.arange(40.0)
    y = np.where(x > 19.5, 10.0, 0.0) + np.where(np.arange(40) % 2, 1.0, -1.0)
    outcome = sup_f_test(x, y, np.ones(40), degrees=(0,), draws=300)
    level = y.mean()
    total = np.sum((y - level) ** 2)
    lines = [np.c_[np.ones(20), np.arange(20)]] * 2
    constant_left = np.sum((y[:20] - y[:20].mean()) ** 2)
    design = lines[1]
    rest = y[20:] - design @ np.linalg.lstsq(design, y[20:], rcond=None)[0]
    within = constant_left + rest @ rest
    assert outcome.sup_f == pytest.approx(((total - within) / 2) / (within / 37))
    assert outcome.field == 19.5
    assert outcome.p_value == pytest.approx(1 / 301)


def test_a_sharp_jump_is_found_where_it_is_with_its_height():
    x = FIELDS
    random = np.random.default_rng(2)
    y = stepped(x) + 5e-4 * random.standard_normal(x.size)
    location = locate_kink(x, y, np.full(x.size, 5e-4), degree=3, start=3.0)
    field, field_error = kink_field(location)
    jump, jump_error = kink_jump(location)
    assert abs(field - 3.05) < 3 * field_error
    assert field_error < 0.05
    assert abs(jump - 0.05) < 3 * jump_error
    assert jump_error < 0.005
    low, high = location.interval95
    assert low < 3.05 < high
    assert low < field < high


@pytest.mark.parametrize("at", [3.01, 3.05, 3.09])
@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3])
def test_a_sharp_jump_is_no_better_located_than_the_fields_are_dense(at, noise):
    y = stepped(FIELDS, at=at) + noise * np.random.default_rng(3).standard_normal(FIELDS.size)
    location = locate_kink(FIELDS, y, np.full(FIELDS.size, max(noise, 1e-9)), degree=3, start=3.0)
    assert abs(location.field - at) < 2 * location.field_uncertainty
    assert 0.1 / 12**0.5 <= location.field_uncertainty < 0.05
    assert location.jump == pytest.approx(0.05, abs=0.001 + noise)


def test_a_downward_step_has_a_negative_jump():
    location = locate_kink(
        FIELDS, stepped(FIELDS, -0.05), np.full(FIELDS.size, 5e-4), degree=3, start=3.0
    )
    assert location.jump == pytest.approx(-0.05, abs=0.005)


def test_the_onset_is_found_when_the_best_sharp_kink_lies_outside_the_window():
    u = FIELDS - 3.0
    y = 1 - 0.05 * FIELDS + 0.08 * np.where(u > 0, 1 - np.exp(-np.clip(u, 0, None) / 0.25), 0)
    location = locate_kink(FIELDS, y, np.full(FIELDS.size, 5e-4), degree=3, start=3.7, window=0.4)
    assert abs(location.field - 3.0) < 3 * location.field_uncertainty


def test_few_points_fall_back_to_a_sharp_kink():
    x = np.arange(0, 9.1, 0.75)
    location = locate_kink(x, stepped(x, at=3.4), np.full(x.size, 1e-3), degree=4, start=3.4)
    assert 3.0 < location.field < 3.75
    assert location.field_uncertainty > 0.75 / 12**0.5 * 0.8
    assert np.isnan(location.recovery)


def test_the_bound_covers_a_jump_and_shrinks_with_noise():
    x = FIELDS
    bound, field, lower = jump_bound(x, stepped(x, 0.02, 5.1), np.full(x.size, 1e-3), degree=3)
    assert 0.01 < lower < 0.02 < bound
    assert abs(field - 5.125) < 0.3
    wide, _, none = jump_bound(x, stepped(x, 0), np.full(x.size, 2e-3), degree=3)
    narrow, *_ = jump_bound(x, stepped(x, 0), np.full(x.size, 1e-3), degree=3)
    assert none == 0
    assert wide == pytest.approx(2 * narrow)


def test_slope_by_hand():
    x = np.array([1.0, 2.0, 3.0, 4.0, 9.0])
    y = np.array([5.0, 3.0, 5.0, 7.0, 0.0])
    # Points 2, 3, 4 lie in 3 +- 1: slope 2, error 0.1 / sqrt(2).
    slope, error, n = local_slope(x, y, np.full(5, 0.1), centre=3.0, width=2.0)
    assert (slope, error, n) == (pytest.approx(2.0), pytest.approx(0.1 / 2**0.5), 3)
    assert np.isnan(local_slope(x, y, np.full(5, 0.1), centre=20.0, width=2.0)[0])


def test_coincidence_and_holm_by_hand():
    assert coincidence((3.1, 0.03), (3.0, 0.04)) == pytest.approx((0.1, 2.0))
    assert holm([0.01, 0.04, float("nan"), 0.03])[:2] == pytest.approx([0.03, 0.06])
    assert np.isnan(holm([float("nan")])[0])


def test_the_stage_finds_the_kink_and_bounds_it_in_plane():
    estimates, statistics = kinks.run(
        dataset([stepped(FIELDS)] * 3),
        dataset([stepped(FIELDS, 0)] * 3),
        Options(**FAST),
        transitions={"B_flop_mnbi2te4": estimated(kink_field, 3.05, 0.01, "T")},
        sample="s",
    )
    for k in range(3):
        assert estimates[f"B_kink_Ic{k}"].value == pytest.approx(3.05, abs=0.06)
        assert estimates[f"jump_Ic{k}"].unit == "mA"
        assert statistics[f"kink_Ic{k}"]["detected"] is True
        assert statistics[f"no_jump_in_plane_Ic{k}"]["equivalent"] is True
        assert statistics[f"coincidence_Ic{k}"]["coincident"] is True
        assert statistics[f"local_slope_Ic{k}"]["lower_95_mA_per_T"] < 0.05
    assert all(entry["definition"] for entry in statistics.values())


def test_no_kink_is_a_null_number_with_a_reason_and_an_absolute_margin():
    smooth = dataset([stepped(FIELDS, 0)] * 3)
    estimates, statistics = kinks.run(smooth, smooth, Options(**FAST))
    for k in range(3):
        assert estimates[f"B_kink_Ic{k}"].value is None
        assert "no kink detected" in estimates[f"jump_Ic{k}"].reason
        entry = statistics[f"no_jump_in_plane_Ic{k}"]
        assert "for want of" in entry["margin_source"]
        assert entry["equivalent"] is True


def test_a_jump_in_plane_is_not_equivalent_to_none():
    _, statistics = kinks.run(
        dataset([stepped(FIELDS)] * 3), dataset([stepped(FIELDS, 0.03, 5.1)] * 3), Options(**FAST)
    )
    assert statistics["no_jump_in_plane_Ic0"]["equivalent"] is False
    assert statistics["monotone_in_plane_Ic0"]["p_value"] < 0.01


@pytest.mark.parametrize(
    "ds",
    [
        None,
        not_measured("iv_out_of_plane"),
        dataset(np.full((3, FIELDS.size), np.nan)),
        dataset([[1.0]] * 3, fields=np.array([0.0])),
        dataset([[]] * 3, fields=np.array([])),
    ],
    ids=["none", "not measured", "all NaN", "one point", "empty"],
)
def test_missing_data_give_reasons(ds):
    estimates, statistics = kinks.run(ds, ds, Options(**FAST))
    assert len(estimates) == 6
    assert all(e.value is None and e.reason for e in estimates.values())
    assert all(s.get("reason") for n, s in statistics.items() if n.startswith("no_jump"))
    # whatever a claim looks up is there, if only to say why it is empty
    claims_file = Path(__file__).resolve().parents[2] / "workflow" / "config" / "claims.yaml"
    evidence = Evidence({"kinks": Stage(estimates=estimates, statistics=statistics, attrs={})})
    paths = set(re.findall(r"kinks/[A-Za-z_0-9/]+", claims_file.read_text("utf-8")))
    assert len(paths) > 10
    for path in paths:
        evidence.number(path)


def test_all_censored_points_give_a_reason():
    ds = dataset(np.full((3, FIELDS.size), 0.04))
    ds["censored"][:] = 1
    estimates, _ = kinks.run(ds, ds, Options(**FAST))
    assert "0 usable fields" in estimates["B_kink_Ic0"].reason


def test_exact_data_are_analysed():
    estimates, _ = kinks.run(
        dataset([stepped(FIELDS)] * 3, error=0.0), dataset([stepped(FIELDS, 0)] * 3, error=0.0),
        Options(**FAST),
    )  # fmt: skip
    assert estimates["B_kink_Ic0"].value == pytest.approx(3.05, abs=0.06)


def test_masks_take_effect():
    options = Options(excluded_fields_T=((2.5, 3.5),), largest_field_T=7.0, **FAST)
    _, statistics = kinks.run(dataset([stepped(FIELDS)] * 3), None, options)
    kept = (FIELDS <= 7.0) & ~((FIELDS >= 2.5) & (FIELDS <= 3.5))
    assert statistics["kink_Ic0"]["n"] == kept.sum()


def test_options_document_themselves_and_refuse_unknown_keys():
    for field in Options.model_fields.values():
        assert field.description
    with pytest.raises(ValueError, match="nul_degrees"):
        Options(nul_degrees=(3,))


def test_the_command_line_writes_the_same_bytes_twice(tmp_path):
    paths = {}
    for name, height in (("out", 0.05), ("in", 0.0)):
        paths[name] = tmp_path / f"{name}.nc"
        dataset([stepped(FIELDS, height)] * 3).to_netcdf(paths[name], engine="h5netcdf")
    written = []
    for run in range(2):
        target = tmp_path / f"kinks{run}.json"
        kinks.main([
            "--out-of-plane", str(paths["out"]), "--in-plane", str(paths["in"]),
            "--options", json.dumps({"draws": 300}), "--out", str(target),
        ])  # fmt: skip
        written.append(target.read_bytes())
    assert written[0] == written[1]
    stage = read_stage(target)
    assert stage.attrs["options"]["draws"] == 300
    assert stage.estimates["B_kink_Ic0"].estimator == "nbnmbt.analysis.kinks.kink_field"
