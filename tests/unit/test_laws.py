"""Temperature laws: the reference table, end points, and derivations independent of the module."""

import numpy as np
import pytest
from golden import table

from nbnmbt.physics import laws
from nbnmbt.physics.bcs import DELTA0_OVER_KTC, gap_ratio

COLUMNS = (
    "bardeen",
    "two-fluid",
    "kupriyanov-lukichev",
    "ambegaokar-baratoff",
    "ko1",
    "ko2",
    "ginzburg-landau",
    "linear",
    "d-wave",
    "long-sns",
)


def test_names():
    assert set(laws.LAWS) == set(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
def test_reference_table(name):
    rows = table("ic_models.csv")
    # the reference's d-wave gap is good to 5e-6 at its lowest temperature
    tolerance = 1e-5 if name == "d-wave" else 1.5e-6
    computed = laws.LAWS[name](rows[:, 0])
    np.testing.assert_allclose(computed, rows[:, 1 + COLUMNS.index(name)], atol=tolerance)


@pytest.mark.parametrize("name", COLUMNS)
def test_end_points_and_monotony(name):
    law = laws.LAWS[name]
    assert law(0.0) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_array_equal(law(np.array([1.0, 1.5, 40.0])), 0.0)
    assert np.isnan(law(np.nan))
    t = np.linspace(0.0, 1.0, 2001)
    values = law(t)
    # flat at low temperature, where interpolated laws wiggle within their error
    assert np.all(np.diff(values) < 2e-5)
    assert np.all(np.diff(values[200:]) < 0.0)
    with pytest.raises(ValueError, match="negative"):
        law(-0.1)


@pytest.mark.parametrize("t", [0.1, 0.45, 0.8, 0.95])
def test_dirty_point_contact_as_matsubara_sum(t):
    gap = float(gap_ratio(t)) * DELTA0_OVER_KTC / t
    omega = np.pi * (2.0 * np.arange(20000) + 1.0)
    phase = np.linspace(0.5 * np.pi - 0.1, 2.3, 900)[:, np.newaxis]
    delta = np.hypot(gap * np.cos(0.5 * phase), omega)
    terms = gap * np.cos(0.5 * phase) / delta * np.arctan(gap * np.sin(0.5 * phase) / delta)
    tail = gap**2 * np.sin(phase[:, 0]) / 2.0 / (2.0 * np.pi * omega[-1])
    current = 4.0 * np.pi * (terms.sum(axis=1) + tail) * t
    # in units of kTc; at T = 0 the sum is an integral, pi Delta cos artanh(sin), 1.3255 at most
    half = np.linspace(0.9, 1.1, 20001)
    at_zero = 2.0 * np.max(np.cos(half) * np.arctanh(np.sin(half)))
    assert at_zero == pytest.approx(1.3255, abs=5e-5)
    expected = current.max() / (at_zero * np.pi * DELTA0_OVER_KTC / 2.0)
    assert laws.ko1(t) == pytest.approx(expected, rel=2e-6)


def test_clean_point_contact_at_low_temperature():
    # at T = 0 the maximum is at pi: e R Ic = pi Delta
    phase = np.linspace(0.0, np.pi, 400001)
    t = 0.02
    argument = 0.5 * DELTA0_OVER_KTC * np.cos(0.5 * phase) / t
    expected = np.max(np.sin(0.5 * phase) * np.tanh(argument))
    assert laws.ko2(t) == pytest.approx(expected, abs=1e-7)


def test_nodes_give_a_linear_start():
    t = 0.004
    # superfluid density 1 - 2 ln2 T/Delta0; the gap amplitude changes as T^3 only
    assert (1.0 - laws.d_wave(t)) / t == pytest.approx(2.0 * np.log(2.0) / 2.13969, rel=2e-3)
