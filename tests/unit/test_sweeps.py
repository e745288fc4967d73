"""Splitting by direction, set-points and common grids."""

from __future__ import annotations

import numpy as np
import pytest

from nbnmbt.sweeps import cluster, nominal_grid, round_to, split_by_direction, typical_step

UP = np.linspace(-1, 1, 301)


def directions(x):
    return [(s.start, s.stop, s.direction) for s in split_by_direction(x)]


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3, 4e-3])
def test_noise_is_no_reversal(noise):
    x = np.r_[UP, UP[::-1][1:]] + np.random.default_rng(4).normal(size=601) * noise
    (a, b, first), (c, d, second) = directions(x)
    assert (a, d, first, second) == (0, 601, "up", "down")
    assert b == c
    assert abs(b - 301) <= (0 if noise < 1e-3 else 3)


def test_many_sweeps_and_sawtooth():
    triangle = np.tile(np.r_[UP, UP[::-1][1:-1]], 40)
    segments = split_by_direction(triangle)
    assert [s.direction for s in segments] == ["up", "down"] * 40
    assert sum(map(len, segments)) == len(triangle)
    saw = directions(np.tile(UP, 5))
    assert saw == [(301 * k, 301 * (k + 1), "up") for k in range(5)]


def test_virgin_curve_and_sparse_points_far_out():
    x = np.r_[np.linspace(0, 1, 50), np.linspace(0.98, -1, 100), np.linspace(-0.98, 1, 100)]
    assert [d for *_, d in directions(x)] == ["up", "down", "up"]
    assert directions(np.r_[np.arange(2, 20, 0.1), 100, 300]) == [(0, 182, "up")]


def test_cooling_then_long_warming():
    """The reversal at the bottom is small beside the range of the file."""
    x = np.r_[np.arange(10, 1.8, -0.25), np.arange(2, 300, 1.0)]
    assert [d for *_, d in directions(x)] == ["down", "up"]


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0, 2.0]])
def test_degenerate_signals(x):
    segments = split_by_direction(np.array(x))
    assert sum(map(len, segments)) == len(x)


def test_clusters_have_round_names():
    points, labels = cluster(np.array([2.0034, 9.001, 1.9985, 8.9993]), 0.05)
    assert points.tolist() == [2.0, 9.0]
    assert labels.tolist() == [0, 1, 0, 1]
    assert round_to(0.24996, 0.001) == 0.25
    assert round_to(-1e-9, 0.01) == 0.0
    assert typical_step(np.array([0, 0, 0.5, 0.5, 1.0])) == 0.5


def test_grid_of_multiples_from_noisy_readings():
    rng = np.random.default_rng(2)
    b = np.round(np.r_[np.arange(-1, -0.5, 0.01), np.arange(-0.5, 0.5, 0.005)], 6)
    sweeps = [b + rng.normal(size=len(b)) * 1e-4, b[::-1] + rng.normal(size=len(b)) * 1e-4]
    grid, places = nominal_grid(sweeps)
    assert np.array_equal(grid, b + 0.0)
    assert np.array_equal(places[1], np.arange(len(b))[::-1])


def test_irregular_list_keeps_its_values():
    x = np.round(np.sinh(np.linspace(-3, 3, 61)), 3)
    grid, places = nominal_grid([x, x[::-1]])
    np.testing.assert_allclose(grid, x, atol=1e-3)
    assert np.array_equal(places[0], np.arange(61))


def test_steps_without_a_common_divisor():
    b = np.round(np.r_[np.arange(-1, -0.5, 0.05), np.arange(-0.5, 0.5, 0.02)], 6)
    noise = np.random.default_rng(1).normal(size=(2, len(b))) * 5e-5
    grid, _ = nominal_grid([b + noise[0], (b + noise[1])[::-1]])
    assert np.array_equal(grid, b + 0.0)


def test_no_point_moves_further_than_its_node():
    """Whatever the sweeps, a point is stored at a node within half a fine step of its value."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        sweeps = [np.sort(rng.uniform(-1, 1, 50)) for _ in range(rng.integers(1, 9))]
        grid, places = nominal_grid(sweeps)
        assert (np.diff(grid) > 0).all()
        gap = np.diff(np.sort(np.concatenate(sweeps)))
        for x, place in zip(sweeps, places, strict=True):
            assert np.abs(grid[place] - x).max() <= max(0.05, gap.max())
