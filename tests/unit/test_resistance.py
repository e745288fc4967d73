"""Resistive laws of MnBi2Te4 and NbN against tables, quadrature and limits."""

import numpy as np
import pytest
from golden import table
from scipy import constants as si
from scipy.integrate import quad
from scipy.special import iv

from nbnmbt.physics import resistance as rs

T_MF = 10.9277


# --- MnBi2Te4 ---------------------------------------------------------------------------------


def test_flake_matches_the_table_away_from_the_cusp():
    reference = table("fwd_RT.csv")
    found = 8 * rs.mnbi2te4_ratio(reference[:, 0], neel_temperature=24.4)
    near = np.abs(reference[:, 0] - 24.4) < 0.7
    np.testing.assert_allclose(found[~near], reference[~near, 2], atol=3e-5)
    # the reference smears with 41 nodes, which ripples by 1e-4 of R at the cusp
    np.testing.assert_allclose(found[near], reference[near, 2], atol=1.5e-3)


@pytest.mark.parametrize("T", [22.0, 23.9, 24.3, 24.4, 24.5, 25.2])
def test_smearing_is_the_gaussian_integral(T):
    def sharp(neel):
        t = T / neel
        ordered = max(1 - t, 0.0) ** 0.7
        fading = -np.expm1(-max(t - 1, 0.0) / 0.12)
        return 1 - 0.12 * ordered - 0.06 * fading + 0.0025 * T

    def integrand(x):
        return sharp(24.4 + 0.3 * x) * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)

    kink = (T - 24.4) / 0.3
    exact = sum(
        quad(integrand, a, b, limit=200, epsabs=1e-11)[0]
        for a, b in ((-8, np.clip(kink, -8, 8)), (np.clip(kink, -8, 8), 8))
    )
    assert rs.mnbi2te4_ratio(T, neel_temperature=24.4) == pytest.approx(exact, abs=3e-6)


def test_sharp_flake_has_its_maximum_at_the_neel_temperature():
    T = np.linspace(23, 26, 3001)
    R = rs.mnbi2te4_ratio(T, neel_temperature=24.4, neel_spread=0.0)
    assert T[R.argmax()] == pytest.approx(24.4, abs=1e-3)


def test_estimators_of_the_cusp_differ_as_tabulated():
    T = np.arange(20, 27, 0.002)
    for spread, maximum, steepest, _ in table("tn_estimators.csv"):
        R = rs.mnbi2te4_ratio(T, neel_temperature=24.4, neel_spread=spread)
        assert T[R.argmax()] == pytest.approx(maximum, abs=0.02)
        assert rs.maximum_slope_temperature(T, R) == pytest.approx(steepest, abs=0.02)


def test_negative_spread_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        rs.mnbi2te4_ratio(20.0, neel_temperature=24.4, neel_spread=-0.1)


def test_magnetoresistance_matches_the_table():
    for B, out, inside in table("mbt_MR.csv"):
        # bulk closed forms at T = 0
        c = min(B / 8.0, 1.0) if B > 3.0 else 0.0
        assert rs.mnbi2te4_magnetoresistance(B, c**2) == pytest.approx(out, abs=2e-6)
        m = min(B / 10.25, 1.0)
        assert rs.mnbi2te4_magnetoresistance(B, m**2) == pytest.approx(inside, abs=2e-6)


def test_magnetoresistance_is_even_and_knows_disorder():
    assert rs.mnbi2te4_magnetoresistance(-4.0, 0.25) == rs.mnbi2te4_magnetoresistance(4.0, 0.25)
    value = rs.mnbi2te4_magnetoresistance(0.0, 0.0, disorder=0.02, m2=0.5)
    assert value == pytest.approx(1.01)


# --- NbN --------------------------------------------------------------------------------------


def test_film_matches_the_table():
    reference = table("nbn_RTB.csv")
    B = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0])
    found = rs.nbn_ratio(reference[:, :1], B, mean_field_temperature=T_MF)
    np.testing.assert_allclose(found, reference[:, 1:], atol=3e-5)


def test_quoted_temperatures_of_the_transition():
    T = rs.mean_field_temperature(10.8)
    assert pytest.approx(T_MF, abs=2e-5) == T
    for fraction, expected in ((0.5, 10.8), (0.9, 11.001), (0.1, 10.697), (0.01, 10.609)):
        found = rs.transition_temperature(fraction, mean_field_temperature=T)
        assert found == pytest.approx(expected, abs=1e-3)
        assert rs.nbn_ratio(found, mean_field_temperature=T) == pytest.approx(fraction, abs=1e-9)
    dense = np.arange(10.5, 11.3, 0.001)
    steepest = rs.maximum_slope_temperature(dense, rs.nbn_ratio(dense, mean_field_temperature=T))
    # the floor of epsilon makes a kink there; any estimator lands within its neighbourhood
    assert steepest == pytest.approx(10.96, abs=0.05)


def test_midpoint_follows_the_stated_one():
    for midpoint in (9.5, 10.8, 12.3):
        T = rs.mean_field_temperature(midpoint, barrier=60.0)
        ratio = rs.nbn_ratio(midpoint, mean_field_temperature=T, barrier=60.0)
        assert ratio == pytest.approx(0.5, abs=1e-9)


def test_paraconductivity_limits():
    scale = si.e**2 / (16 * si.hbar)
    eps = 0.05
    T = T_MF * np.exp(eps)
    thin = rs.paraconductivity(T, mean_field_temperature=T_MF, thickness=0.01)
    assert thin == pytest.approx(scale / eps, rel=1e-5)
    # thick: sigma_3D d with sigma_3D = e^2/(32 hbar xi sqrt(eps))
    thick = rs.paraconductivity(T, mean_field_temperature=T_MF, thickness=4000.0)
    assert thick == pytest.approx(scale / 2 * 4000.0 / 3.333 / np.sqrt(eps), rel=5e-3)


def test_phase_slip_resistance():
    gamma = np.array([0.0, 0.1, 1.0, 10.0])
    np.testing.assert_allclose(rs.phase_slip_ratio(gamma), iv(0, gamma) ** -2.0, rtol=1e-13)
    assert rs.phase_slip_ratio(5000.0) == 0  # underflows quietly


def test_film_is_even_in_field_and_grows_with_it():
    T = np.array([8.0, 9.5, 10.5])
    B = np.linspace(0, 3, 61)
    R = rs.nbn_ratio(T[:, None], B, mean_field_temperature=T_MF)
    assert np.all(np.diff(R, axis=1) > 0)
    np.testing.assert_array_equal(R, rs.nbn_ratio(T[:, None], -B, mean_field_temperature=T_MF))


def test_film_has_no_resistance_at_zero_temperature():
    R = rs.nbn_ratio([0.0, 1e-3, np.nan], mean_field_temperature=10.9277)
    assert list(R[:2]) == [0, 0]
    assert np.isnan(R[2])
    assert rs.phase_slip_ratio(np.inf) == 0
