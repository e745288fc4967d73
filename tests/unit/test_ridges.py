"""Peaks of dV/dI and their tracking: places and widths, order, no swaps, no invented points."""

from __future__ import annotations

import numpy as np
import pytest

from nbnmbt.analysis import ridges

SIGMA = 0.01


def peaked(I, centres, heights, width=0.1, floor=10.0):
    """Flat differential resistance with Gaussian peaks of full width `width` at +-centres."""
    y = np.full(I.size, floor)
    for centre, height in zip(centres, heights, strict=True):
        y = y + height * np.exp(-4 * np.log(2) * ((np.abs(I) - centre) / width) ** 2)
    return y


def find(I, y, **keywords):
    keywords = {"prominence": 5.0, "window": (0.2, 3.0)} | keywords
    return ridges.find_peaks(I, y, SIGMA, **keywords)


def peaks_at(*positions, width=0.05, prominence=20.0):
    position = np.array(positions, dtype=float)
    same = np.ones_like(position)
    return ridges.Peaks(
        position=position, prominence=prominence * same, height=same, width=width * same
    )


I = np.linspace(-3, 3, 1201)


# ------------------------------------------------------------------------------------------ peaks
def test_both_polarities_show_the_planted_peaks_in_ascending_order():
    positive, negative = find(I, peaked(I, [0.953, 1.35, 2.1], [1.0, 0.5, 2.0]))
    for side in (positive, negative):
        assert side.position == pytest.approx([0.953, 1.35, 2.1], abs=1e-3)
        assert side.height == pytest.approx([1.0, 0.5, 2.0], rel=0.01)
        assert side.prominence == pytest.approx(np.array([1.0, 0.5, 2.0]) / SIGMA, rel=0.01)
        assert side.width == pytest.approx([0.1] * 3, rel=0.02)


def test_the_vertex_is_finer_than_the_grid():
    coarse = np.linspace(-3, 3, 301)
    for shift in (0.0, 0.004, 0.008, 0.013):
        positive, _ = find(coarse, peaked(coarse, [1.0 + shift], [1.0]))
        assert positive.position == pytest.approx([1.0 + shift], abs=1.5e-3)


def test_a_peak_of_one_polarity_stays_at_that_polarity():
    y = peaked(I, [1.0], [1.0])
    y[I < 0] = 10.0
    positive, negative = find(I, y)
    assert (positive.size, negative.size) == (1, 0)
    assert ridges.match_polarities(positive, negative).size == 0
    # and a sweep that has one polarity only
    half = I >= 0
    positive, negative = find(I[half], y[half])
    assert (positive.size, negative.size) == (1, 0)


def test_the_zero_bias_peak_is_no_channel():
    positive, negative = find(I, peaked(I, [0.0], [3.0]), window=(0.0, 3.0))
    assert positive.size == negative.size == 0


def test_prominence_window_and_least_width_decide():
    y = peaked(I, [0.5, 1.0], [1.0, 4 * SIGMA])
    assert find(I, y)[0].position == pytest.approx([0.5], abs=1e-3)
    assert find(I, y, prominence=3.0)[0].size == 2
    assert find(I, y, window=(0.7, 3.0), prominence=3.0)[0].position == pytest.approx(
        [1.0], abs=1e-3
    )
    spike = np.full(I.size, 10.0)
    spike[np.argmin(np.abs(I - 1.5))] += 1.0
    assert find(I, spike)[0].size == 0


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.empty(0), np.empty(0)),
        (np.array([0.1]), np.array([10.0])),
        (I, np.full(I.size, np.nan)),
        (I, np.full(I.size, 10.0)),
        (I, 10.0 + 2.0 * I),
    ],
    ids=["empty", "one point", "all NaN", "Ohmic", "sloping"],
)
def test_where_there_is_no_peak_none_is_found(x, y):
    positive, negative = find(x, y)
    assert positive.size == negative.size == 0


def test_noiseless_data_have_no_scale_for_prominence():
    positive, negative = ridges.find_peaks(
        I, peaked(I, [1.0], [1.0]), 0.0, prominence=5.0, window=(0.2, 3.0)
    )
    assert positive.size == negative.size == 0


def test_matched_peaks_are_means_and_as_prominent_as_the_weaker():
    positive = peaks_at(1.00, 2.00, prominence=30.0)
    negative = peaks_at(1.01, 2.50, prominence=10.0)
    both = ridges.match_polarities(positive, negative)
    assert both.position == pytest.approx([1.005])
    assert both.prominence == pytest.approx([10.0])


# ------------------------------------------------------------------------------------------ align
def test_pairs_never_cross():
    # the nearest partners of 1.0 and 1.1 would cross
    pairs = ridges.align([1.0, 1.1], [1.08, 1.09], gate=0.5)
    assert pairs == [(0, 0), (1, 1)]


def test_a_pair_beyond_the_gate_is_not_made():
    assert ridges.align([1.0, 2.0], [1.05, 2.5], gate=0.2) == [(0, 0)]
    assert ridges.align([1.0, 2.0], [1.05, 2.5], gate=[0.2, 0.6]) == [(0, 0), (1, 1)]


def test_nothing_pairs_with_nothing():
    assert ridges.align([], [1.0], gate=1.0) == []
    assert ridges.align([1.0], [], gate=1.0) == []
    assert ridges.align([np.nan], [1.0], gate=1.0) == []


# ------------------------------------------------------------------------------------------ route
def test_the_route_reaches_every_trace_once_from_a_neighbour():
    shape, start = (3, 2, 4), (1, 0, 2)
    steps = ridges.route(shape, start)
    reached = [here for here, _, _ in steps]
    assert sorted(reached) == list(np.ndindex(*shape))
    seen = set()
    for here, before, axis in steps:
        if not before:
            assert here == start
        else:
            difference = np.abs(np.subtract(here, before[0]))
            assert difference[axis] == 1
            assert difference.sum() == 1
            assert set(before) <= seen
        seen.add(here)


# ------------------------------------------------------------------------------------------ track
def along_T(lines, T, **keywords):
    """Track channels whose positions at each temperature are the rows of `lines`."""
    n = len(T)
    peaks = {(j, 0, 0): peaks_at(*sorted(p for p in lines[j] if np.isfinite(p))) for j in range(n)}
    keywords = {"gate": 0.04} | keywords
    return ridges.track(
        peaks, (n, 1, 1), (np.asarray(T), [0.0], [0.0]), (0, 0, 0), lines[0], **keywords
    )[:, :, 0, 0].T


def test_falling_channels_are_followed_to_where_they_vanish():
    T = np.linspace(2, 6, 21)
    lines = [
        [
            (1 - (t / 5.3) ** 2) ** 1.5 if t < 5.0 else np.nan,
            2 * (1 - (t / 8.6) ** 2) ** 1.5,
        ]
        for t in T
    ]
    ridge = along_T(lines, T)
    np.testing.assert_allclose(ridge, lines)
    # censored: missing, never zero
    assert np.isnan(ridge[T > 5.01, 0]).all()
    assert not np.any(ridge == 0)


def test_channels_that_touch_do_not_change_places():
    """Two lines that meet: the lower one stays the lower one on both sides."""
    T = np.linspace(0, 1, 21)
    lines = [[1.0 + 0.2 * t, 1.4 - 0.2 * t] for t in T]
    ridge = along_T(lines, T)
    both = np.isfinite(ridge).all(axis=1)
    assert both.sum() > 15
    assert np.all(ridge[both, 0] <= ridge[both, 1])
    assert ridge[both, 0] == pytest.approx(np.min(lines, axis=1)[both])


def test_a_missing_peak_leaves_a_gap_and_no_swap():
    T = np.arange(2.0, 4.0, 0.2)
    lines = [[1.0 - 0.1 * t, 1.25 - 0.1 * t, 2.1 - 0.1 * t] for t in T]
    lines[4][0] = lines[5][1] = np.nan
    ridge = along_T(lines, T)
    np.testing.assert_allclose(ridge, lines)


def test_a_channel_lost_long_ago_does_not_take_the_peak_of_one_that_is_there():
    """The film's peak comes down, curving, to where the lowest channel was last seen."""
    T = [2.0, 2.2, 2.4, 9.5, 9.75, 10.0, 10.25]
    lines = [
        [0.62, 5.8],
        [0.58, 5.75],
        [0.54, 5.7],
        *([np.nan, x] for x in (0.72, 0.56, 0.4, 0.27)),
    ]
    ridge = along_T(lines, T, gate=0.08, relative_gate=2.0)
    np.testing.assert_allclose(ridge, lines)


def test_a_peak_far_from_the_prediction_is_no_continuation():
    T = np.arange(5.0)
    lines = [[1.0], [0.98], [0.96], [1.6], [0.92]]
    ridge = along_T(lines, T)
    assert np.isnan(ridge[3, 0])
    assert ridge[4, 0] == pytest.approx(0.92)


def test_a_reference_that_is_alone_is_the_whole_ridge():
    ridge = along_T([[0.95, 1.2]], [2.0])
    np.testing.assert_allclose(ridge, [[0.95, 1.2]])


def test_without_channels_there_is_nothing_to_track():
    ridge = ridges.track({}, (2, 1, 1), ([2.0, 3.0], [0.0], [0.0]), (0, 0, 0), [], gate=0.1)
    assert ridge.shape == (0, 2, 1, 1)


def test_traces_without_peaks_are_all_censored():
    ridge = ridges.track(
        {}, (3, 1, 1), ([2.0, 3.0, 4.0], [0.0], [0.0]), (0, 0, 0), [0.95], gate=0.1
    )
    assert ridge[0, 0] == 0.95
    assert np.isnan(ridge[0, 1:]).all()


def test_a_steep_ridge_is_followed_by_its_slope():
    """Steps far beyond the gate: only a prediction in the right direction stays on them."""
    T = np.arange(6.0)
    lines = [[3.0 - 0.4 * t] for t in T]
    ridge = along_T(lines, T, gate=0.02, relative_gate=0.02)
    np.testing.assert_allclose(ridge, lines)
