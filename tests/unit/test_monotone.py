import numpy as np
import pytest
from current_curves import currents

from nbnmbt.analysis.curves import channel_curve
from nbnmbt.analysis.estimate import definition_of
from nbnmbt.analysis.monotone import (
    largest_reversal,
    monotone_trend,
    named_generator,
    residual_of_monotone_fit,
)


def test_the_statistic_by_hand():
    # Pooling 1 and 3 gives 2 and 2; each is one unit off, sigma 0.5 -> 2 * (1/0.5)^2 = 8.
    statistic, fitted = residual_of_monotone_fit(np.array([5.0, 1.0, 3.0]), np.full(3, 0.5))
    assert statistic == pytest.approx(8.0)
    assert fitted == pytest.approx([5.0, 2.0, 2.0])


def test_weights_pull_the_pooled_value():
    _, fitted = residual_of_monotone_fit(np.array([0.0, 3.0]), np.array([1.0, 2.0**0.5]))
    assert fitted == pytest.approx([1.0, 1.0])


def test_the_largest_reversal_spans_points_that_are_not_neighbours():
    y = np.array([5.0, 2.0, 2.5, 2.2, 3.1, 0.0])
    assert largest_reversal(y, np.full(6, 0.3)) == pytest.approx((1.1, 0.3 * 2**0.5))
    assert largest_reversal(y[::-1], np.full(6, 0.3), increasing=True)[0] == pytest.approx(1.1)
    assert largest_reversal(np.array([3.0, 2.0, 1.0]), np.ones(3)) == (0.0, 0.0)


def test_a_falling_curve_passes_and_a_rise_of_many_sigma_fails():
    x = np.linspace(0, 9, 49)
    y = 1 - 0.07 * x
    assert monotone_trend(x, y, np.full(49, 1e-3), draws=200).p_value == 1.0
    y[20:] += 0.02
    outcome = monotone_trend(x, y, np.full(49, 1e-3), draws=200)
    assert outcome.p_value < 0.01
    assert outcome.reversal == pytest.approx(0.02 - 0.07 * 9 / 48, rel=1e-6)


def test_the_order_of_the_input_does_not_matter():
    random = np.random.default_rng(1)
    x, y = np.arange(12.0), random.standard_normal(12)
    shuffled = random.permutation(12)
    first = monotone_trend(x, y, np.ones(12), draws=300, seed_names=("a",))
    assert monotone_trend(x[shuffled], y[shuffled], np.ones(12), draws=300, seed_names=("a",)) == (
        first
    )


def test_false_alarms_of_the_test_stay_near_its_level():
    x = np.linspace(0, 1, 25)
    random = np.random.default_rng(7)
    p = [
        monotone_trend(
            x, -0.5 * x + 0.1 * random.standard_normal(25), np.full(25, 0.1), draws=99
        ).p_value
        for _ in range(150)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_a_small_rise_in_a_steep_fall_is_found():
    random = np.random.default_rng(3)
    x = np.linspace(0, 9, 49)
    y = 1 - 0.07 * x + np.where(x > 5, 0.03, 0) + 1e-3 * random.standard_normal(49)
    assert monotone_trend(x, y, np.full(49, 1e-3), draws=500).p_value < 0.01


@pytest.mark.parametrize(
    "y",
    [[], [1.0], [np.nan] * 5],
    ids=["empty", "one point", "all NaN"],
)
def test_too_few_points_give_a_reason(y):
    n = len(y)
    outcome = monotone_trend(np.arange(n), np.array(y), np.ones(n), draws=100)
    assert "usable points" in outcome.reason
    assert np.isnan(outcome.p_value)


def test_streams_depend_on_names_alone():
    a = named_generator("surrogate", "Ic0").standard_normal(3)
    assert a == pytest.approx(named_generator("surrogate", "Ic0").standard_normal(3), abs=0)
    assert not np.allclose(a, named_generator("surrogate", "Ic1").standard_normal(3))
    assert not np.allclose(a, named_generator("surrogateIc0").standard_normal(3))


def test_the_definition_is_one_sentence():
    assert definition_of(monotone_trend).count(". ") == 0


def test_curves_take_limits_apart_and_measure_fields_by_magnitude():
    ds = currents(
        np.array([[[[3.0], [np.nan], [1.0], [0.5]]]]),
        0.1,
        B=[-2.0, -1.0, 0.0, 1.0],
        censored=np.array([[[[0], [1], [0], [1]]]]),
    )
    curve = channel_curve(ds, 0, "B")
    assert curve.x == pytest.approx([0.0, 2.0])
    assert curve.y == pytest.approx([1.0, 3.0])
    assert (curve.x_limit, curve.y_limit) == (pytest.approx([1.0]), pytest.approx([0.5]))
    assert curve.n_censored == 2
    assert channel_curve(ds, 7, "B").n == 0


def test_a_curve_needs_the_other_coordinates_fixed():
    ds = currents(np.ones((1, 1, 2, 3)), 0.1, B=[0.0, 1.0], theta=[0.0, 90.0, 180.0])
    with pytest.raises(ValueError, match="theta"):
        channel_curve(ds, 0, "B")
