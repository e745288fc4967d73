"""Channels that merge: by distance, along a sweep, and never a label where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from current_sweeps import sweeps

from nbnmbt.analysis import merging
from nbnmbt.analysis.critical_currents import Options, extract


def test_distance_is_judged_by_the_wider_peak():
    Ic = np.array([[1.00, 1.05, 2.0]])
    width = np.array([[0.05, 0.20, 0.1]])
    present = np.ones((1, 3), dtype=bool)
    assert merging.too_close(Ic, width, present, 0.4).tolist() == [[True, False]]
    # 0.05 mA is a whole width of the narrow peak
    assert merging.too_close(Ic, width[:, [0, 0, 2]], present, 0.4).tolist() == [[False, False]]
    assert not merging.too_close(Ic, width, present, 0.0).any()


def test_a_channel_that_is_not_there_is_not_close():
    Ic = np.array([[1.00, 1.01]])
    present = np.array([[True, False]])
    assert not merging.too_close(Ic, np.full((1, 2), 0.2), present, 0.4).any()


def test_a_single_channel_has_no_pairs():
    close = merging.too_close(np.ones((2, 1)), np.ones((2, 1)), np.ones((2, 1), dtype=bool), 0.4)
    assert close.shape == (2, 0)
    merged = merging.merged_pairs(close, np.ones((2, 1), dtype=bool), (2, 1, 1), (0, 0, 0))
    assert merged.shape == (2, 1)
    assert not merged.any()


def test_a_merged_pair_stays_merged_until_both_are_seen_again():
    # along T: apart, merged, one of the two alone, apart again, then one alone
    close = np.array([[False], [True], [False], [False], [False]])
    present = np.array([[1, 1], [1, 1], [1, 0], [1, 1], [0, 1]], dtype=bool)
    merged = merging.merged_pairs(close, present, (5, 1, 1), (0, 0, 0))
    assert merged.any(axis=1).tolist() == [False, True, True, False, False]
    assert merged[1:3].all()


def test_what_happens_on_one_line_does_not_touch_another():
    # B: three fields; theta: two angles. The pair merges at the highest field of the first angle.
    shape = (1, 3, 2)
    close = np.zeros((6, 1), dtype=bool)
    close[np.ravel_multi_index((0, 2, 0), shape)] = True
    present = np.ones((6, 2), dtype=bool)
    merged = merging.merged_pairs(close, present, shape, (0, 0, 0)).any(axis=1).reshape(shape)
    assert merged[0, 2, 0]
    assert merged.sum() == 1


def test_pairs_reach_only_their_own_channels():
    close = np.array([[False, True, False]])
    merged = merging.merged_pairs(close, np.ones((1, 4), dtype=bool), (1, 1, 1), (0, 0, 0))
    assert merged.tolist() == [[False, True, True, False]]


def doubled(where: list[int]):
    """Eight sweeps of two channels; in some of them the lower one is two, 80 uA apart."""
    T = np.linspace(2.0, 3.4, 8)
    plain = [(0.95, 1.0), (2.1, 1.5)]
    twins = [(0.91, 0.5), (0.99, 0.5), (2.1, 1.5)]
    ds, other = (sweeps(channels, T=T, Tn=20.0) for channels in (plain, twins))
    V = ds["V"].copy(deep=True)
    V[{"T": where}] = other["V"][{"T": where}]
    return extract(ds.assign(V=V), Options(max_channels=2))


def test_labels_fall_where_most_sweeps_say_that_a_channel_is_two():
    assert "more than one" in doubled([0, 1, 2, 3, 4, 5, 6, 7]).attrs["undetermined"]


def test_one_odd_sweep_is_no_second_channel():
    found = doubled([4])
    assert "undetermined" not in found.attrs
    assert np.nanmedian(found["Ic"].sel(channel=1)) == pytest.approx(2.1, abs=1e-3)
