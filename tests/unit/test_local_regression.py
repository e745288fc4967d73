import numpy as np
import pytest

from nbnmbt.analysis import local_regression as lr


def test_local_polynomial_reproduces_a_cubic_and_its_derivatives():
    x = np.sort(np.random.default_rng(0).uniform(0, 10, 60))
    y = 1 - 2 * x + 0.5 * x**2 + 0.1 * x**3
    at = np.array([2.0, 5.0, 7.5])
    W = lr.local_polynomial(x, at, 1.5)
    np.testing.assert_allclose(W[0] @ y, 1 - 2 * at + 0.5 * at**2 + 0.1 * at**3, rtol=1e-9)
    np.testing.assert_allclose(W[1] @ y, -2 + at + 0.3 * at**2, rtol=1e-8)
    np.testing.assert_allclose(W[2] @ y, 1 + 0.6 * at, rtol=1e-7)


def test_sparse_stretch_widens_the_window_instead_of_failing():
    x = np.array([0, 1, 2, 3, 4, 10, 20, 30, 40.0])
    W = lr.local_polynomial(x, np.array([25.0]), 0.1, degree=1, derivatives=1)
    assert W[1] @ (3 * x) == pytest.approx(3)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="cannot carry"):
        lr.local_polynomial(np.arange(5.0), np.array([1.0]), 1.0)


def test_clean_sorts_drops_nan_and_averages_repeats():
    x, y = lr.clean([3, 1, np.nan, 1, 2], [30, 10, 5, 20, np.nan])
    np.testing.assert_array_equal(x, [1, 3])
    np.testing.assert_array_equal(y, [15, 30])


@pytest.mark.parametrize(("scatter", "reading"), [(0.0, 0.01), (0.02, 0.001)])
def test_noise_parts_are_recovered(scatter, reading):
    x = np.linspace(0, 10, 400)
    true = 20 / (1 + np.exp(-(x - 5) / 0.3))
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        y = 20 / (1 + np.exp(-(x + rng.normal(0, 1, x.size) * scatter - 5) / 0.3))
        y = y + rng.normal(0, reading, x.size)
        found.append(lr.noise_level(x, y)[1])
    sigma = np.sqrt(np.mean(np.square(found), axis=0))
    expected = np.hypot(reading, scatter * np.gradient(true, x))
    steep = np.argmax(expected)
    assert sigma[steep] == pytest.approx(expected[steep], rel=0.35)
    assert 0.6 * reading < sigma[0] < 3 * reading


def test_a_sharp_step_is_not_taken_for_scatter_of_the_abscissa():
    """Few points on a step that ends in a corner, as R(T) does at Tc: 0.3 mK stays below 1 mK."""
    x = np.arange(9.6, 11.6, 0.04)
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        read = x + rng.normal(0, 3e-4, x.size)
        y = 14 * np.minimum(1 / (1 + np.exp(-(x - 10.9) / 0.06)) / 0.9, 1)
        y = y * (1 + 1e-4 * rng.normal(0, 1, x.size))
        found.append(lr.noise_level(read, y)[2]["abscissa"])
    assert 1.5e-4 < np.sqrt(np.mean(np.square(found))) < 1e-3


def test_extremum_and_crossing_by_hand():
    x = np.arange(7.0)
    position, height = lr.extremum(x, -((x - 3.25) ** 2)[None, :])
    assert position[0] == pytest.approx(3.25)
    assert height[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(lr.extremum(x, x[None, :])[0][0])  # on the edge: no maximum
    y = np.array([[0, 1, 0, 0, 2, 4, 4.0]])
    assert lr.crossing(x, y, 1.0)[0] == pytest.approx(3.5)  # the last rise counts
    assert np.isnan(lr.crossing(x, -y, 1.0)[0])


def test_prepare_is_deterministic_and_refuses_scraps():
    x = np.linspace(0, 1, 30)
    y = x + np.random.default_rng(0).normal(0, 0.01, 30)
    a = lr.prepare(x, y, n_resamples=5, seed="a")
    b = lr.prepare(x[::-1], y[::-1], n_resamples=5, seed="a")
    np.testing.assert_array_equal(a.draws, b.draws)
    assert not np.allclose(a.draws, lr.prepare(x, y, n_resamples=5, seed="b").draws)
    assert lr.prepare(x[:5], y[:5], n_resamples=5, seed="a") is None
    assert lr.prepare(np.full(30, np.nan), y, n_resamples=5, seed="a") is None
