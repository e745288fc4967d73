"""Planted critical temperatures come back, and films with another law are told apart."""

import numpy as np
import pytest
from planted_currents import dataset, planted

from nbnmbt.analysis import temperature_laws
from nbnmbt.analysis.curves import channel_curve
from nbnmbt.analysis.temperature_laws import Options, fit_law

FAST = Options(monotone_draws=100)


def run(truth, options=FAST, *, relative=0.0, **keywords):
    ds = dataset(truth, "iv_temperature", **keywords)
    if relative:
        noise = np.random.default_rng(5).standard_normal(ds["Ic"].shape)
        size = relative * np.abs(ds["Ic"])
        ds["Ic"] = ds["Ic"] + (size * noise).where(ds["censored"] == 0, 0.0)
        ds["Ic_err"] = np.hypot(ds["Ic_err"], size)
    return temperature_laws.run(ds, options, sample="closure")


@pytest.fixture(scope="module")
def surrogate():
    return planted("surrogate")


@pytest.mark.parametrize(("seed", "noise"), [(1, 5e-5), (2, 5e-5), (3, 1e-3), (4, 5e-3)])
def test_critical_temperatures_are_recovered(surrogate, seed, noise):
    estimates, statistics = run(surrogate, seed=seed, noise_mA=noise)
    for k in range(4):
        entry = estimates[f"Tc_Ic{k}"]
        assert abs(entry.value - surrogate["numbers"][f"Tc_Ic{k}"]) < 3 * entry.uncertainty
        assert entry.uncertainty < 0.1
        assert statistics[f"law_Ic{k}"]["bcs_like"] is True
        assert statistics[f"monotone_Ic{k}"]["p_value"] > 0.01
    entry = estimates["T_AR"]
    assert abs(entry.value - surrogate["numbers"]["T_AR"]) < 3 * entry.uncertainty
    assert entry.uncertainty < 0.3
    assert statistics["andreev_peak"]["p_value"] > 0.01
    assert statistics["order_of_currents"]["ascending"] is True
    assert statistics["order_of_temperatures"]["ascending"] is True
    # Gap and critical current are not proportional across channels (open point I-10).
    assert statistics["gap_ratio_Ic0"]["z"] < -10


def test_no_sigma_is_smaller_than_the_scatter_over_seeds(surrogate):
    found = []
    for seed in range(12):
        ds = dataset(surrogate, "iv_temperature", seed=seed, noise_mA=2e-3)
        fits = [fit_law(channel_curve(ds, k, "T"), "usadel") for k in range(4)]
        found.append([(fit.parameters["Tc"], fit.uncertainties["Tc"]) for fit in fits])
    value, sigma = np.moveaxis(np.array(found), -1, 0)
    assert np.all(np.std(value, axis=0, ddof=1) < 1.5 * sigma.mean(axis=0))


@pytest.mark.parametrize(
    ("name", "law"),
    [("N04a", "linear"), ("N04b", "ginzburg-landau"), ("N04d", "ambegaokar-baratoff")],
)
def test_another_law_is_not_called_bcs(name, law):
    _, statistics = run(planted(name))
    for k in range(4):
        assert statistics[f"law_Ic{k}"]["bcs_like"] is False
        assert statistics[f"law_Ic{k}"]["best"] == law
        assert statistics[f"monotone_Ic{k}"]["p_value"] > 0.01


def test_a_d_wave_film_is_excluded_by_the_long_range_and_undecided_on_the_short_one():
    _, statistics = run(planted("N04c"), relative=0.01)
    assert statistics["law_Ic3"]["bcs_like"] is False
    assert statistics["law_Ic0"]["bcs_like"] is True
    assert statistics["law_Ic0"]["exclusive"] is False
    assert "d-wave" in statistics["law_Ic0"]["rivals"]


def test_an_ohmic_contact_has_no_vanishing_temperature():
    estimates, statistics = run(planted("N03"))
    assert "no zero-bias peak" in estimates["T_AR"].reason
    assert statistics["andreev_peak"]["detected"] is False
    assert estimates["Tc_Ic0"].value is not None
