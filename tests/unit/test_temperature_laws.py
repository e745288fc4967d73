import json

import numpy as np
import pytest
from current_curves import currents, not_measured, table

from nbnmbt.analysis import temperature_laws
from nbnmbt.analysis.curves import Curve
from nbnmbt.analysis.estimate import definition_of, read_stage
from nbnmbt.analysis.temperature_laws import (
    LawFit,
    Options,
    compare_laws,
    critical_temperature,
    evaluate,
    fit_law,
    order_of_channels,
    ratio_test,
    runs_test,
    worst_deviation,
)
from nbnmbt.physics.laws import LAWS

GRID = np.arange(2.0, 5.61, 0.2)
NONE = np.empty(0)


def curve(T, y, sigma, limits=(NONE, NONE)):
    return Curve(
        x=T,
        y=y,
        sigma=np.broadcast_to(sigma, T.shape).astype(float),
        x_limit=np.asarray(limits[0], float),
        y_limit=np.asarray(limits[1], float),
        n_censored=len(limits[0]),
    )


def law_curve(law, T=GRID, Tc=6.0, noise=0.01, seed=0):
    y = LAWS[law](T / Tc)
    random = np.random.default_rng(seed)
    return curve(T, y * (1 + noise * random.standard_normal(T.size)), noise * y)


@pytest.mark.parametrize("law", ["bardeen", "kupriyanov-lukichev", "linear", "ambegaokar-baratoff"])
def test_each_law_recovers_its_own_parameters(law):
    exact = law_curve(law, noise=0.0)
    fit = fit_law(curve(exact.x, 2.5 * exact.y, 1e-3), law)
    assert fit.parameters["Tc"] == pytest.approx(6.0, abs=1e-4)
    assert fit.parameters["Ic0"] == pytest.approx(2.5, rel=1e-4)
    assert fit.deviation < 1e-3
    assert evaluate(fit, np.array([0.0, 7.0])) == pytest.approx([fit.parameters["Ic0"], 0.0])


def test_free_pair_breaking_recovers_the_forward_model():
    rows = table("fwd_Ic_T")
    T = np.array([float(r["T_K"]) for r in rows])
    for k, Tc in enumerate((6.0, 6.6, 8.6, 10.8)):
        column = f"Ic{k}" if k < 3 else "Ic3 (mA)"
        y = np.array([float(r[column]) for r in rows])
        on = y > 0.03
        fit = fit_law(curve(T[on], y[on], 1e-3), "usadel")
        # The sublattice magnetisation falls a little on the way to Tc, so Ic ends a little later.
        assert fit.parameters["Tc"] == pytest.approx(Tc, abs=0.02)
        assert fit.chi2_nu < 0.5


def test_tc_does_not_hang_on_how_the_pair_breaking_falls():
    """Exchange that weakens on the way to Tc looks like stronger, constant pair breaking."""
    T = np.arange(2, 5.81, 0.2)
    planted = {"Ic0": 1.0, "Tc": 6.0, "alpha": 0.06}
    true = LawFit(law="usadel-exchange", parameters=planted, uncertainties={})
    noise = 1e-4
    errors, pulls, constant = [], [], []
    for seed in range(8):
        y = evaluate(true, T) + noise * np.random.default_rng(seed).standard_normal(T.size)
        data = curve(T, y, noise)
        laws = ("usadel-exchange", "usadel", "kupriyanov-lukichev")
        fits = {name: fit_law(data, name) for name in laws}
        value, error = critical_temperature(fits, "average")
        errors.append(error)
        pulls.append((value - 6.0) / error)
        constant.append(fits["usadel"].parameters["Tc"] - 6.0)
    assert np.mean(constant) < -5e-4
    assert max(errors) < 3e-3
    assert np.mean(np.abs(pulls) < 1) > 0.4
    assert np.max(np.abs(pulls)) < 3


def test_uncertainties_of_tc_match_the_scatter():
    pulls = []
    for seed in range(60):
        fit = fit_law(
            law_curve("kupriyanov-lukichev", noise=0.02, seed=seed), "kupriyanov-lukichev"
        )
        pulls.append((fit.parameters["Tc"] - 6.0) / fit.uncertainties["Tc"])
    assert abs(np.mean(pulls)) < 0.45
    assert 0.75 < np.std(pulls) < 1.25


SELECTION = [
    ("Bardeen", "bardeen"),
    ("KL", "kupriyanov-lukichev"),
    ("Ambegaokar-Baratoff", "ambegaokar-baratoff"),
    ("linear", "linear"),
]


@pytest.mark.parametrize(("label", "law"), SELECTION)
def test_selection_rates_agree_with_the_reference_table(label, law):
    row = next(
        r
        for r in table("modelsel")
        if r["grid"].startswith("ch0 Tc=6, 2..5.6")
        and r["truth"] == label
        and r["rel. noise"] == "0.01"
    )
    names = ["bardeen", "kupriyanov-lukichev", "ambegaokar-baratoff", "linear", "d-wave"]
    right = []
    for seed in range(15):
        data = law_curve(law, noise=0.01, seed=100 + seed)
        fits = {name: fit_law(data, name) for name in names}
        right.append(min(fits, key=lambda name: fits[name].aicc) == law)
    expected = float(row["P(truth selected by AIC)"])
    assert np.mean(right) == pytest.approx(
        expected, abs=0.03 + 3 * (expected * (1 - expected) / 15 + 0.002) ** 0.5
    )


def test_upper_limits_pull_tc_down():
    """A point that lies under 40 uA although the law wants 60 there must not be ignored."""
    T = np.arange(2.0, 5.01, 0.25)
    y = LAWS["bardeen"](T / 6.0)
    random = np.random.default_rng(4)
    noisy = y * (1 + 0.05 * random.standard_normal(T.size))
    free = fit_law(curve(T, noisy, 0.05 * y), "bardeen")
    limited = fit_law(curve(T, noisy, 0.05 * y, ([5.4, 5.6], [0.02, 0.01])), "bardeen")
    assert limited.n_limits == 2
    assert limited.parameters["Tc"] < free.parameters["Tc"]
    assert limited.uncertainties["Tc"] < free.uncertainties["Tc"]
    # Limits above the law say nothing.
    idle = fit_law(curve(T, noisy, 0.05 * y, ([7.0], [0.04])), "bardeen")
    assert idle.parameters["Tc"] == pytest.approx(free.parameters["Tc"], abs=1e-6)


def test_worst_deviation_by_hand():
    y, model = np.array([10.0, 5.0, 0.4]), np.array([9.0, 5.2, 4.0])
    assert worst_deviation(y, model) == pytest.approx(0.1)
    assert worst_deviation(y, model, floor=0.01) == pytest.approx(9.0)
    assert np.isnan(worst_deviation(np.empty(0), np.empty(0)))


def test_runs_by_hand():
    # Two plus, two minus: 6 orders, ++-- and --++ have two runs.
    assert runs_test(np.array([1, 1, -1, -1])) == pytest.approx(2 / 6)
    # +--+ and -++- have three runs.
    assert runs_test(np.array([1, -1, -1, 1])) == pytest.approx(4 / 6)
    assert runs_test(np.array([1, -1, 1, -1])) == pytest.approx(1.0)
    assert np.isnan(runs_test(np.ones(5)))


def fitted(law, aicc, chi2_nu=1.0, deviation=0.01, Tc=6.0, error=0.1):
    return LawFit(
        law=law, parameters={"Ic0": 1.0, "Tc": Tc}, uncertainties={"Ic0": 0.0, "Tc": error},
        chi2_nu=chi2_nu, aicc=aicc, deviation=deviation,
    )  # fmt: skip


def test_the_comparison_by_hand():
    fits = {
        "bardeen": fitted("bardeen", 30.0, 2.0, 0.2),
        "kupriyanov-lukichev": fitted("kupriyanov-lukichev", 14.0, 2.0, 0.04),
        "d-wave": fitted("d-wave", 12.0),
        "linear": fitted("linear", 90.0, 9.0, 0.3),
    }
    outcome = compare_laws(fits, chi2_limit=1.5, deviation_limit=0.05)
    assert outcome["compatible"] == ["kupriyanov-lukichev", "d-wave"]
    assert outcome["not_excluded"] == ["kupriyanov-lukichev", "d-wave"]
    assert outcome["rivals"] == ["d-wave"]
    assert (outcome["bcs_like"], outcome["exclusive"]) == (True, False)
    del fits["d-wave"]
    assert compare_laws(fits, chi2_limit=1.5, deviation_limit=0.05)["exclusive"] is True
    fits["linear"] = fitted("linear", 0.0)
    outcome = compare_laws(fits, chi2_limit=1.5, deviation_limit=0.05)
    assert outcome["bcs_like"] is False
    empty = compare_laws({}, chi2_limit=1.5, deviation_limit=0.05)
    assert empty["reason"] == "no law was fitted"


def test_tc_carries_the_spread_of_the_laws_that_hold():
    fits = {
        "kupriyanov-lukichev": fitted("kupriyanov-lukichev", 10.0, Tc=6.0),
        "d-wave": fitted("d-wave", 10.0, Tc=6.2),
        "linear": fitted("linear", 500.0, Tc=9.0),
    }
    value, uncertainty = critical_temperature(fits, "kupriyanov-lukichev")
    assert value == 6.0
    assert uncertainty == pytest.approx((0.1**2 + 0.5 * 0.2**2) ** 0.5)


def test_order_and_ratio_by_hand():
    outcome = order_of_channels([(1.0, 0.1), (2.0, 0.1), (1.9, 0.1)])
    assert outcome["ascending"] is False
    assert outcome["z"] == pytest.approx([50**0.5, -(0.5**0.5)])
    assert outcome["descends"] is False
    reversed_ = order_of_channels([(1.0, 0.1), (2.0, 0.1), (1.5, 0.1)])
    assert (reversed_["ascending"], reversed_["descends"]) == (False, True)
    assert order_of_channels([(1.0, 0.1), (2.0, 0.1), (4.0, 0.1)])["ascending"] is True
    missing = order_of_channels([(1.0, 0.1), (float("nan"), 0.1)])
    assert missing["ascending"] is missing["descends"] is None
    assert missing["reason"] == "1 of 2 channels have a value, all are needed"
    ratio = ratio_test((1.0, 0.01), (4.0, 0.0), (6.0, 0.0), (12.0, 0.0))
    assert ratio["current_ratio"] == 0.25
    assert ratio["z"] == pytest.approx(-0.25 / 0.0025)


def dataset(law="kupriyanov-lukichev", error=1e-3, T=GRID):
    values = np.stack([s * LAWS[law](T / Tc) for s, Tc in ((0.95, 6.0), (1.2, 6.6), (2.1, 8.6),
                                                            (5.8, 10.8))])  # fmt: skip
    return currents(values[:, :, None, None], error, T=T)


FAST = {"monotone_draws": 200}


def test_the_stage():
    T = np.arange(2.0, 10.6, 0.25)
    ds = dataset(T=T)
    estimates, statistics = temperature_laws.run(ds.where(ds["Ic"] > 0.02), Options(**FAST))
    for k, Tc in enumerate((6.0, 6.6, 8.6, 10.8)):
        entry = estimates[f"Tc_Ic{k}"]
        assert abs(entry.value - Tc) < 3 * entry.uncertainty
        assert entry.uncertainty < 0.05
        assert statistics[f"law_Ic{k}"]["bcs_like"] is True
        assert "ambegaokar-baratoff" not in statistics[f"law_Ic{k}"]["not_excluded"]
        assert statistics[f"monotone_Ic{k}"]["p_value"] > 0.05
    assert statistics["order_of_currents"]["ascending"] is True
    assert statistics["order_of_temperatures"]["ascending"] is True
    assert statistics["gap_ratio_Ic0"]["z"] < -10
    assert "no height" in estimates["T_AR"].reason
    assert all(entry["definition"] for entry in statistics.values())


@pytest.mark.parametrize("law", ["linear", "ginzburg-landau", "ambegaokar-baratoff"])
def test_a_film_that_follows_another_law_is_not_bcs_like(law):
    T = np.arange(2.0, 10.6, 0.25)
    ds = dataset(law, T=T)
    _, statistics = temperature_laws.run(ds.where(ds["Ic"] > 0.02), Options(**FAST))
    for k in range(4):
        assert statistics[f"law_Ic{k}"]["bcs_like"] is False
        assert statistics[f"law_Ic{k}"]["best"] == law


@pytest.mark.parametrize(
    "ds",
    [
        None,
        not_measured("iv_temperature"),
        dataset().where(False),
        dataset(T=np.array([2.0])),
        dataset(T=np.empty(0)),
    ],
    ids=["none", "not measured", "all NaN", "one point", "empty"],
)
def test_missing_data_give_reasons(ds):
    estimates, statistics = temperature_laws.run(ds, Options(**FAST))
    assert set(estimates) == {"Tc_Ic0", "Tc_Ic1", "Tc_Ic2", "Tc_Ic3", "T_AR"}
    assert all(e.value is None and e.reason for e in estimates.values())
    assert all(statistics[f"law_Ic{k}"]["reason"] for k in range(4))


def test_all_censored_points_give_a_reason():
    ds = dataset()
    ds["censored"][:] = 1
    estimates, _ = temperature_laws.run(ds, Options(**FAST))
    assert "0 resolved temperatures" in estimates["Tc_Ic0"].reason


def test_exact_data_are_analysed():
    estimates, _ = temperature_laws.run(dataset(error=0.0), Options(**FAST))
    assert estimates["Tc_Ic0"].value == pytest.approx(6.0, abs=0.01)


def test_an_unknown_law_is_named():
    with pytest.raises(ValueError, match="unknown temperature law 'bardin'"):
        fit_law(law_curve("bardeen"), "bardin")


def test_definitions_and_options_are_documented():
    for function in (critical_temperature, compare_laws, worst_deviation, ratio_test):
        assert definition_of(function).count(". ") == 0
    assert all(field.description for field in Options.model_fields.values())


def test_the_command_line_writes_the_stage(tmp_path):
    path = tmp_path / "cc.nc"
    dataset().to_netcdf(path, engine="h5netcdf")
    temperature_laws.main(["--critical-currents", str(path), "--options",
                           json.dumps({"laws": ["bardeen", "usadel"]}),
                           "--out", str(tmp_path / "laws.json")])  # fmt: skip
    stage = read_stage(tmp_path / "laws.json")
    assert set(stage.statistics["law_Ic0"]["laws"]) == {"bardeen", "usadel"}
    assert stage.estimates["Tc_Ic0"].estimator.endswith("temperature_laws.critical_temperature")
