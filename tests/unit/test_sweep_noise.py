"""Noise of V(I) and the choice of the current axis."""

from __future__ import annotations

import numpy as np
import pytest

from nbnmbt.analysis import sweep_noise
from nbnmbt.physics import junction

I = np.linspace(-3, 3, 1201)


def curve(current):
    """Two channels on 10 ohm, evaluated at any current."""
    return 10 * current + sum(
        junction.channel_voltage(current, Ic, R, 100.0) for Ic, R in ((0.95, 4.0), (2.1, 15.0))
    )


def slope():
    return np.gradient(curve(I), I)


def test_voltage_and_current_noise_are_told_apart_by_the_slope():
    random = np.random.default_rng(3)
    shape = (30, 1, I.size)
    steep = np.broadcast_to(slope(), shape)
    V = 2e-4 * random.standard_normal(shape) + steep * 2e-5 * random.standard_normal(shape)
    found = sweep_noise.estimate_noise(V, steep, order=2)
    assert found.voltage == pytest.approx(2e-4, rel=0.15)
    assert found.current == pytest.approx(2e-5, rel=0.08)
    # known noise is not counted again
    rest = sweep_noise.estimate_noise(V, steep, np.full(shape, 2e-4**2), order=2)
    assert rest.voltage < 0.8e-4
    assert rest.current == pytest.approx(2e-5, rel=0.1)


def test_sigma_adds_its_parts_in_quadrature():
    noise = sweep_noise.Noise(voltage=3e-4, current=1e-5)
    assert noise.sigma(np.array([0.0, 40.0]), 0.0) == pytest.approx([3e-4, 5e-4])
    assert noise.sigma(np.array([0.0]), 4e-4) == pytest.approx([5e-4])


def test_too_little_or_silent_data_have_no_noise():
    silent = sweep_noise.Noise(voltage=0.0, current=0.0)
    for V in (np.zeros((1, 1, 3)), np.zeros((1, 1, 200)), np.full((1, 1, 200), np.nan)):
        assert sweep_noise.estimate_noise(V, np.ones_like(V), order=2) == silent


@pytest.mark.parametrize(
    ("jitter", "resolution", "better"), [(2e-5, 1e-7, "measured"), (1e-6, 5e-4, "calibrated")]
)
def test_the_axis_that_leaves_less_noise_is_chosen(jitter, resolution, better):
    random = np.random.default_rng(4)
    true = I + jitter * random.standard_normal((20, 1, I.size))
    V = curve(true) + 5e-5 * random.standard_normal(true.shape)
    read = np.round(true / resolution) * resolution
    chosen, name = sweep_noise.choose_current(I, read, V, "auto", 11, 2)
    assert name == better
    assert np.nanstd(chosen - true) < 1e-5
    for mode in ("measured", "calibrated"):
        assert sweep_noise.choose_current(I, read, V, mode, 11, 2)[1] == mode


def test_calibration_keeps_gain_and_offset_of_the_readback():
    read = 1.002 * I + 3e-4
    chosen, _ = sweep_noise.choose_current(
        I, read[None, None], 0 * I[None, None], "calibrated", 11, 2
    )
    np.testing.assert_allclose(chosen[0, 0], read, atol=1e-12)


def test_mean_over_directions_takes_what_is_there():
    V = np.array([[[1.0, 2.0, np.nan], [3.0, np.nan, np.nan]]])
    np.testing.assert_array_equal(sweep_noise.mean_over_directions(V), [[2.0, 2.0, np.nan]])
