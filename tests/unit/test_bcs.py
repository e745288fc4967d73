"""BCS gap: reference values, limits, and the two forms of the self-consistency equation."""

import numpy as np
import pytest
from golden import golden, table, value
from scipy.integrate import quad
from scipy.special import expit

from nbnmbt.physics import bcs


def test_amplitude():
    value("bcs.delta0_over_kTc").check(bcs.DELTA0_OVER_KTC)


@golden("bcs.gap")
def test_gap_reference(entry):
    entry.check(bcs.gap_ratio(entry["t"]))


def test_gap_table():
    reference = table("bcs_gap.csv")
    assert len(reference) > 50
    np.testing.assert_allclose(bcs.gap_ratio(reference[:, 0]), reference[:, 1], atol=6e-9)


@pytest.mark.parametrize("t", [0.15, 0.4, 0.75, 0.97])
def test_gap_solves_the_energy_integral(t):
    # the form of the gap equation that the module does not use
    gap = float(bcs.gap_ratio(t))
    scale = bcs.DELTA0_OVER_KTC * gap / t

    def integrand(y):
        # x = sinh(y), E = cosh(y)
        return expit(-scale * np.cosh(y))

    assert np.log(gap) == pytest.approx(-2.0 * quad(integrand, 0.0, 12.0)[0], abs=1e-7)


def test_gap_limits():
    assert bcs.gap_ratio(0.0) == 1.0
    assert bcs.gap_ratio(0.01) == 1.0
    np.testing.assert_array_equal(bcs.gap_ratio([1.0, 1.5, 30.0]), 0.0)
    # near Tc: Delta/Delta0 = 1.7367 sqrt(1 - t)
    t = 1.0 - 1e-6
    assert bcs.gap_ratio(t) / np.sqrt(1.0 - t) == pytest.approx(1.7367, abs=2e-4)
    assert np.isnan(bcs.gap_ratio(np.nan))


def test_gap_is_monotone():
    assert np.all(np.diff(bcs.gap_ratio(np.linspace(0.05, 1.0, 20001))) < 1e-14)


def test_gap_in_meV():
    assert bcs.gap(0.0, 10.0) == pytest.approx(1.5200, abs=1e-4)
    gaps = bcs.gap(np.array([2.0, 7.0])[:, np.newaxis], np.array([6.0, 10.8]), ratio=2.05)
    assert gaps.shape == (2, 2)
    assert gaps[1, 0] == 0.0
    assert gaps[0, 1] == pytest.approx(bcs.gap(2.0, 10.8) * 2.05 / bcs.DELTA0_OVER_KTC)


def test_gap_refuses_nonsense():
    with pytest.raises(ValueError, match="negative"):
        bcs.gap_ratio(-0.1)
    with pytest.raises(ValueError, match="positive"):
        bcs.gap(2.0, 0.0)
