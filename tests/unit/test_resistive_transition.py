import sys
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis import resistive_transition as rt
from nbnmbt.analysis.estimate import definition_of

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
import magnetotransport as mt

T = mt.temperature_grid()
QUANTITIES = (
    rt.critical_temperature,
    rt.critical_temperature_interface,
    rt.temperature_at_90_percent,
    rt.temperature_at_10_percent,
    rt.onset_temperature,
    rt.steepest_slope_temperature,
)


def noisy(R, seed, relative=1e-4, absolute=2e-4):
    rng = np.random.default_rng(seed)
    return R * (1 + relative * rng.normal(size=R.size)) + absolute * rng.normal(size=R.size)


def ramp(low=10.0, high=11.0, height=20.0):
    """R rises linearly from 0 to its constant normal value: T at a fraction is known by hand."""
    return height * np.clip((T - low) / (high - low), 0, 1)


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (rt.critical_temperature, 10.5),
        (rt.temperature_at_90_percent, 10.9),
        (rt.temperature_at_10_percent, 10.1),
    ],
)
def test_fractions_of_a_linear_ramp(function, value):
    step = rt.normalise(T, ramp(), rt.Options(normal_state_model="linear"))
    assert step.normal_resistance == pytest.approx(20, rel=1e-3)
    assert function(step).value == pytest.approx(value, abs=0.01)


def test_tc_fraction_moves_the_criterion():
    step = rt.normalise(T, ramp(), rt.Options(normal_state_model="linear"))
    found = rt.critical_temperature(step, rt.Options(tc_fraction=0.3))
    assert found.value == pytest.approx(10.3, abs=0.01)


def test_interface_midpoint_lies_between_both_lines():
    R = ramp() + 5 + 0.1 * T  # background below and above the step
    step = rt.normalise(T, R, rt.Options(normal_state_model="linear"), on_background=True)
    assert step.step == pytest.approx(20, rel=0.02)
    assert rt.critical_temperature_interface(step).value == pytest.approx(10.5, abs=0.01)


def test_steepest_slope_of_a_logistic_step():
    R = 20 / (1 + np.exp(-(T - 10.6) / 0.08))
    step = rt.normalise(T, R, rt.Options(normal_state_model="linear"))
    assert rt.steepest_slope_temperature(step).value == pytest.approx(10.6, abs=0.01)
    assert rt.onset_temperature(step).value > 10.8


@pytest.mark.parametrize("model", ["aslamazov-larkin", "linear", "robust"])
def test_midpoint_of_the_paraconductive_film(model):
    step = rt.normalise(T, noisy(20 * mt.film(T), 1), rt.Options(normal_state_model=model))
    found = rt.critical_temperature(step)
    assert found.value == pytest.approx(10.800, abs=0.005)
    # Paraconductivity lowers a straight line by about 1 %; its model does not.
    limit = 0.003 if model == "aslamazov-larkin" else 0.02
    assert step.normal_resistance == pytest.approx(20, rel=limit)


@pytest.mark.parametrize(
    ("R", "word"),
    [
        (np.full(T.size, 5.0), "no step"),
        (np.zeros(T.size), "no step"),
        (np.full(T.size, np.nan), "fewer than 12"),
        (5 + 0.01 * T, "no step"),
        (8 * mt.antiferromagnet(T), "no step"),
    ],
)
@pytest.mark.parametrize("on_background", [True, False])
def test_no_transition_is_said_not_invented(R, word, on_background):
    if not on_background and word == "no step":
        word = "R\\(T\\) never falls|no step"
    step = rt.normalise(T, R, on_background=on_background)
    for function in QUANTITIES:
        found = function(step)
        assert found.value is None
        assert pytest.importorskip("re").search(word, found.reason)


def test_a_search_above_the_transition_finds_nothing():
    """A film of another Tc with the search left where NbN has it: no number, but a reason."""
    cold = np.linspace(1.8, 20, 400)
    R = 0.03 / (1 + np.exp(-(cold - 3.5) / 0.2)) + 1e-5 * cold**2
    windows = {"normal_state_range": (5.5, 8.0), "transition_half_width": 0.3}
    step = rt.normalise(cold, R, rt.Options(**windows))
    for function in QUANTITIES:
        assert function(step).value is None
    assert "no step below 5.5 K" in step.reason
    step = rt.normalise(cold, R, rt.Options(**windows, transition_search_range=(1.8, 8.0)))
    assert rt.critical_temperature(step).value == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_scraps_are_undetermined(n):
    step = rt.normalise(T[:n], T[:n])
    assert rt.critical_temperature(step).value is None
    assert rt.resistance_features(T[:n], T[:n])["count"] is None
    assert rt.upturn(T[:n], T[:n])["p"] is None
    assert rt.minimum_below_transition(T[:n], T[:n], 10.8).value is None


def test_range_without_normal_state_is_undetermined():
    low = T < 11.5
    found = rt.critical_temperature(rt.normalise(T[low], 20 * mt.film(T[low])))
    assert "normal-state resistance is unknown" in found.reason


def test_shuffled_curve_has_no_transition():
    R = np.random.default_rng(3).permutation(mt.interface(T))
    assert rt.critical_temperature_interface(rt.normalise(T, R, on_background=True)).value is None
    assert rt.resistance_features(T, R)["count"] == 0


def test_noiseless_curve_works():
    found = rt.critical_temperature(rt.normalise(T, 20 * mt.film(T)))
    assert found.value == pytest.approx(10.8, abs=0.002)


def test_features_of_the_interface_curve():
    found = rt.resistance_features(T, noisy(mt.interface(T), 2))
    at = [feature["T"] for feature in found["features"]]
    assert any(abs(t - 10.8) < 0.1 for t in at)
    assert any(abs(t - 24.4) < 1.0 for t in at)
    assert found["count"] == len(at) >= 2
    # No ringing beside the large step: nothing between it and the Neel temperature.
    assert not [t for t in at if 11.3 < t < 22]


def test_one_step_is_one_feature_and_noise_is_none():
    assert rt.resistance_features(T, noisy(20 * mt.film(T), 4))["count"] == 1
    rng = np.random.default_rng(5)
    counts = [
        rt.resistance_features(T, 5 + 1e-3 * rng.normal(size=T.size))["count"] for _ in range(20)
    ]
    assert np.mean(np.array(counts) > 0) <= 0.05


def test_upturn_sign_and_size():
    falling = rt.upturn(T, noisy(20 - 0.7 * T, 1))
    assert falling["slope"] == pytest.approx(-0.7, abs=0.01)
    assert falling["p"] < 1e-6
    rising = rt.upturn(T, noisy(20 + 0.7 * T, 1))
    assert rising["p"] > 0.99
    flat = [rt.upturn(T, noisy(np.full(T.size, 20.0), s))["p"] for s in range(200)]
    assert np.mean(np.array(flat) < 0.05) <= 0.1


def test_minimum_below_transition():
    R = 18 + 0.3 * (T - 5.8) ** 2
    assert rt.minimum_below_transition(T, R, 10.8).value == pytest.approx(5.8, abs=0.02)
    monotone = rt.minimum_below_transition(T, 1 + T, 10.8)
    assert monotone.value is None
    assert "no minimum" in monotone.reason


def test_agreement():
    from nbnmbt.analysis.estimate import Estimate

    def tc(value, error):
        return Estimate(value=value, uncertainty=error, unit="K", definition="d", estimator="e")

    found = rt.agreement_of_critical_temperatures(tc(10.8, 0.03), tc(10.85, 0.04))
    assert found["difference"] == pytest.approx(0.05)
    assert found["uncertainty"] == pytest.approx(0.05)
    assert found["z"] == pytest.approx(1)


@pytest.mark.parametrize(
    "function",
    [*QUANTITIES, rt.resistance_features, rt.upturn, rt.minimum_below_transition],
)
def test_each_quantity_has_a_definition_of_one_sentence(function):
    sentence = definition_of(function)
    assert sentence.endswith(".")
    assert len(sentence.split()) > 6


def test_a_crossing_apart_from_its_resamples_is_as_uncertain_as_they_are_far():
    """Heavy noise: R(T) crosses at 11.7 K, most of its copies at 10.8 K, where the step is."""
    copies = np.array([10.8] * 70 + [11.74] * 30)
    estimate = rt._of_draws(rt.critical_temperature, np.concatenate([[11.74], copies]), "none")
    assert abs(estimate.value - 10.8) < 1.2 * estimate.uncertainty
