"""Channels that merge: by distance, along a sweep, and never a label where there is none."""

from __future__ import annotations

import numpy as np

from nbnmbt.analysis import merging


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
