"""Local-polynomial derivatives: exact on polynomials, tabulated gain and bias, gaps, limits."""

import csv
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.analysis import derivative

DATA = Path(__file__).parents[1] / "data"


def tabulated():
    with open(DATA / "sg_noise_bias.csv", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    return [(int(r[0]), int(r[1]), float(r[2]), float(r[4]), float(r[6])) for r in rows]


@pytest.mark.parametrize(("window", "polyorder", "gain", "b3", "b5"), tabulated())
def test_gain_and_bias_agree_with_the_reference_table(window, polyorder, gain, b3, b5):
    assert derivative.noise_gain(window, polyorder) == pytest.approx(gain, abs=6e-7)
    found = derivative.bias_coefficients(window, polyorder)
    assert found[0] == pytest.approx(b3, abs=1e-6)
    assert found[1] == pytest.approx(b5, abs=6e-6)


def test_gain_is_the_observed_noise():
    rng = np.random.default_rng(3)
    I = np.linspace(-1, 1, 2001)
    V = rng.normal(0, 2e-4, (20, I.size))
    slope = derivative.differential_resistance(I, V, window=11, polyorder=2)
    expected = derivative.noise_gain(11, 2) * 2e-4 / (I[1] - I[0])
    assert np.std(slope[:, 5:-5]) == pytest.approx(expected, rel=0.02)


def test_bias_is_the_observed_one():
    I = np.linspace(-3, 3, 601)
    h = I[1] - I[0]
    V = np.sin(I)
    b3, b5 = derivative.bias_coefficients(9, 2)
    slope = derivative.differential_resistance(I, V, window=9, polyorder=2)
    expected = np.cos(I) - b3 * h**2 * np.cos(I) + b5 * h**4 * np.cos(I)
    assert np.max(np.abs(slope - expected)[4:-4]) < 1e-9


@pytest.mark.parametrize("missing", [[], [0], [7, 8, 30], [60], [0, 1, 59, 60]])
def test_a_quadratic_is_exact_to_the_edges_and_across_gaps(missing):
    I = np.linspace(-3, 3, 61)
    V = 2.0 + 20.0 * I - 0.7 * I**2
    V[missing] = np.nan
    slope = derivative.differential_resistance(I, V, window=7, polyorder=2)
    assert np.isnan(slope[missing]).all()
    rest = np.setdiff1d(np.arange(61), missing)
    assert np.max(np.abs(slope - (20.0 - 1.4 * I))[rest]) < 1e-9


def test_gaps_do_not_change_other_traces():
    rng = np.random.default_rng(1)
    I = np.linspace(-1, 1, 101)
    V = rng.normal(size=(2, 3, 101))
    whole = derivative.differential_resistance(I, V, window=7)
    V[0, 1, 50] = np.nan
    holed = derivative.differential_resistance(I, V, window=7)
    same = np.abs(holed - whole) < 1e-9
    assert same[1].all()
    assert same[0, [0, 2]].all()
    assert same[0, 1, :47].all()
    assert same[0, 1, 54:].all()
    assert not same[0, 1, 47:54].any()


def test_short_empty_and_missing_traces_are_nan():
    assert derivative.differential_resistance([], np.empty((2, 0)), window=7).shape == (2, 0)
    assert np.isnan(derivative.differential_resistance([0.0], [[1.0]], window=7)).all()
    assert np.isnan(derivative.differential_resistance([0.0, 1.0], [[1.0, 2.0]], window=7)).all()
    V = np.full((2, 21), np.nan)
    assert np.isnan(derivative.differential_resistance(np.arange(21.0), V, window=7)).all()


def test_a_grid_that_is_not_uniform_is_refused():
    with pytest.raises(ValueError, match="not uniform"):
        derivative.uniform_step([0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="not uniform"):
        derivative.uniform_step([1.0, 0.0])
    with pytest.raises(ValueError, match="odd"):
        derivative.differential_resistance([0.0, 1.0], [1.0, 2.0], window=4)


def test_a_grid_that_is_not_uniform_is_fitted_where_the_points_are():
    I = np.r_[
        np.linspace(-3, -0.5, 26)[:-1], np.linspace(-0.5, 0.5, 41), np.linspace(0.5, 3, 26)[1:]
    ]
    V = 2.0 + 20.0 * I - 0.7 * I**2
    assert not derivative.is_uniform(I)
    slope = derivative.differential_resistance(I, np.stack([V, V]), window=7)
    assert np.max(np.abs(slope - (20.0 - 1.4 * I))) < 1e-9
    V[30] = np.nan
    slope = derivative.differential_resistance(I, V, window=7)
    assert np.nanmax(np.abs(slope - (20.0 - 1.4 * I))) < 1e-9
    rng = np.random.default_rng(2)
    noise = derivative.differential_resistance(I, rng.normal(size=(3000, I.size)), window=7)
    assert noise.std(axis=0) == pytest.approx(derivative.slope_gain(I, window=7), rel=0.08)


def test_slope_gain_is_gain_over_step_inside():
    I = np.linspace(-1, 1, 201)
    gain = derivative.slope_gain(I, window=9, polyorder=2)
    assert gain[4:-4] == pytest.approx(derivative.noise_gain(9, 2) / 0.01, rel=1e-9)
    assert gain[0] > 2 * gain[100]


@pytest.mark.parametrize(
    ("width", "step", "size", "points"),
    [
        (0.05, 0.005, 1201, 11),
        (0.001, 0.01, 1201, 5),
        (10, 0.01, 9, 9),
        (10, 0.01, 8, 7),
        (1, 1, 3, 0),
    ],
)
def test_window_points(width, step, size, points):
    assert derivative.window_points(width, step, polyorder=2, size=size) == points


def test_local_derivatives_of_a_cubic_with_honest_errors():
    rng = np.random.default_rng(5)
    I = np.linspace(-1, 1, 401)
    truth = np.array([1e-3, 23.0, 0.4, -600.0])
    V = truth[0] + truth[1] * I + truth[2] * I**2 / 2 + truth[3] * I**3 / 6
    exact, _ = derivative.local_derivatives(I, V, 1e-3, half_width=0.2)
    assert exact[0] == pytest.approx(truth, rel=1e-7)
    noisy = V + rng.normal(0, 1e-3, (400, I.size))
    noisy[3, 190] = np.nan
    found, errors = derivative.local_derivatives(np.tile(I, (400, 1)), noisy, 1e-3, half_width=0.2)
    pulls = (found - truth) / errors
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.2)
    assert np.all(np.abs(pulls.std(axis=0) - 1) < 0.12)
    assert errors[3, 1] > errors[4, 1]


def test_local_derivatives_without_enough_points():
    found, errors = derivative.local_derivatives([-1, 0, 1], [[1, 2, np.nan]], 1.0, half_width=2)
    assert np.isnan(found).all()
    assert np.isnan(errors).all()


def test_difference_noise_sees_noise_and_not_the_curve():
    rng = np.random.default_rng(7)
    x = np.linspace(-3, 3, 1201)
    V = 20 * x + np.tanh(5 * x) + rng.normal(0, 5e-4, (10, x.size))
    V[0, 5:8] = np.nan
    assert derivative.difference_noise(V) == pytest.approx(5e-4, rel=0.15)
    assert np.isnan(derivative.difference_noise(np.full((2, 30), np.nan))).all()
    assert np.isnan(derivative.difference_noise([1.0, 2.0]))
