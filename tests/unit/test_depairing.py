"""Usadel depairing: reference values, analytic limits, and the shipped table against the solver."""

import numpy as np
import pytest
from golden import DATA, golden, table, value
from scipy import constants
from scipy.special import psi

from nbnmbt.physics import depairing


def test_zero_temperature_current():
    current, zeta = depairing.zero_temperature_current()
    value("kl.jhat0").check(current)
    value("kl.zeta_star").check(zeta)


@golden("kl.ic")
def test_kupriyanov_lukichev_reference(entry):
    entry.check(depairing.usadel_critical_current(entry["t"]))
    entry.check(depairing.critical_current_ratio(entry["t"]))


@golden("usadel.ic")
def test_pair_breaking_reference(entry):
    t, alpha = entry["t"], entry["a"]
    entry.check(depairing.usadel_critical_current(t, alpha))
    entry.check(depairing.critical_current_ratio(t, alpha))


@golden("ag.tc")
def test_critical_temperature_reference(entry):
    entry.check(depairing.tc_ratio(entry["a"]))


@golden("whh.hstar")
def test_upper_critical_field_reference(entry):
    entry.check(depairing.whh_reduced_field(entry["t"]))


def test_kupriyanov_lukichev_table():
    t, current, _, _, zeta, gap_at_ic, gap = table("kl_depairing.csv").T[:7]
    np.testing.assert_allclose(depairing.usadel_critical_current(t), current, atol=1e-7)
    np.testing.assert_allclose(depairing._critical_point(t, 0.0)[1], zeta, atol=1e-6)
    np.testing.assert_allclose(depairing.usadel_order_parameter(t, zeta), gap_at_ic, atol=1e-5)
    np.testing.assert_allclose(depairing.usadel_order_parameter(t, 0.0), gap, atol=1e-6)


def test_current_table_over_pair_breaking():
    rows = table("ic_t_alpha.csv")
    header = (DATA / "ic_t_alpha.csv").read_text().splitlines()[1]
    alpha = np.array([float(cell) for cell in header.split(",")[1:]])
    solved = depairing.usadel_critical_current(rows[:, :1], alpha)
    np.testing.assert_allclose(solved, rows[:, 1:], atol=1e-6)


def test_abrikosov_gorkov_table():
    alpha, tc, gap = table("ag_tc.csv").T
    np.testing.assert_allclose(depairing.tc_ratio(alpha), tc, atol=6e-7)
    gapped = np.isfinite(gap)
    assert gapped.sum() > 20
    np.testing.assert_allclose(
        depairing.usadel_order_parameter(0.0, alpha[gapped]), gap[gapped], atol=6e-7
    )


def test_upper_critical_field_table():
    t, field, _ = table("whh_hc2.csv").T
    # the table rounds t = 0.925926 to four digits
    np.testing.assert_allclose(depairing.whh_reduced_field(t), field, atol=3e-5)
    assert depairing.whh_reduced_field(0.0) == pytest.approx(0.69267, abs=5e-6)
    assert depairing.whh_reduced_field(1.0) == 0.0
    # unit slope at the critical temperature
    assert depairing.whh_reduced_field(1.0 - 1e-5) == pytest.approx(1e-5, rel=1e-4)


def test_critical_temperature_solves_its_equation():
    alpha = np.concatenate([np.linspace(0.0, 0.49, 50), [0.499, 0.4999]])
    t = depairing.tc_ratio(alpha)
    z = alpha / (depairing._STEP * t)
    np.testing.assert_allclose(np.log(t) + psi(0.5 + z) - psi(0.5), 0.0, atol=1e-12)
    # and the inverse function returns the pair breaking
    np.testing.assert_allclose(depairing.critical_pair_breaking(t), alpha, atol=1e-10)


def test_critical_temperature_limits():
    assert depairing.tc_ratio(0.0) == 1.0
    np.testing.assert_array_equal(depairing.tc_ratio([0.5, 0.7]), 0.0)
    # first order: Tc/Tc0 = 1 - pi^2/4 * alpha/(2 pi kTc0) * 2 ... = 1 - (pi/4) alpha/kTc0
    alpha = 1e-6
    expected = 1.0 - np.pi / 4.0 * alpha * depairing.DELTA0_OVER_KTC
    assert depairing.tc_ratio(alpha) == pytest.approx(expected, abs=1e-11)
    with pytest.raises(ValueError, match="negative"):
        depairing.tc_ratio(-0.1)


def test_bare_critical_temperatures_of_the_default_device():
    bare = depairing.bare_tc([6.0, 6.6, 8.6, 10.8], [0.05, 0.03, 0.012, 0.0])
    np.testing.assert_allclose(bare, [6.4519, 6.8882, 8.7458, 10.8], atol=6e-5)
    with pytest.raises(ValueError, match="no superconductor"):
        depairing.bare_tc(6.0, 0.5)


def test_ginzburg_landau_limit():
    t = 1.0 - 1e-4
    slope = depairing.usadel_critical_current(t) * depairing.zero_temperature_current()[0]
    assert slope / (1.0 - t) ** 1.5 == pytest.approx(1.93220, abs=2e-5)


def test_zero_temperature_order_parameter():
    # gapped: ln Delta = -pi zeta/4 Delta
    zeta = np.array([0.0, 0.1, 0.3, 0.45])
    gap = depairing.usadel_order_parameter(0.0, zeta)
    np.testing.assert_allclose(np.log(gap), -np.pi * zeta / (4.0 * gap), atol=1e-8)
    # gapless: the Matsubara integral starts at u0 = sqrt((zeta/Delta)^2 - 1)
    gap = float(depairing.usadel_order_parameter(0.0, 0.48))
    ratio = 0.48 / gap
    assert ratio > 1.0
    expected = (
        -np.arccosh(ratio) - 0.5 * ratio * np.arcsin(1.0 / ratio) + 0.5 * np.sqrt(1 - ratio**-2)
    )
    assert np.log(gap) == pytest.approx(expected, abs=1e-7)


def test_low_temperature_limit_is_continuous():
    alpha = np.array([0.0, 0.1, 0.3, 0.47])
    cold = depairing.usadel_critical_current(1e-4, alpha)
    np.testing.assert_allclose(cold, depairing.usadel_critical_current(0.0, alpha), atol=1e-7)


def test_normal_state_is_exactly_zero():
    t = np.array([1.0, 1.2, 0.9, 0.3])
    alpha = np.array([0.0, 0.0, 0.2, 0.5])
    for function in (
        depairing.usadel_critical_current,
        depairing.usadel_order_parameter,
        depairing.critical_current_ratio,
        depairing.order_parameter,
    ):
        np.testing.assert_array_equal(function(t, alpha), 0.0)


def test_tables_against_the_solver():
    rng = np.random.default_rng(20240611)
    alpha = 0.5 * np.sqrt(rng.uniform(0.0, 1.0, 400))
    alpha[:150] = rng.uniform(0.0, 0.5, 150)
    tau = rng.uniform(0.0, 1.0, 400)
    tau[::4] = rng.uniform(0.0, 0.1, 100)
    t = tau * depairing.tc_ratio(alpha)
    np.testing.assert_allclose(
        depairing.critical_current_ratio(t, alpha),
        depairing.usadel_critical_current(t, alpha),
        atol=5e-6,
    )
    np.testing.assert_allclose(
        depairing.order_parameter(t, alpha), depairing.usadel_order_parameter(t, alpha), atol=1e-5
    )


def test_shipped_table_is_what_the_generator_writes():
    rows = np.loadtxt(depairing.TABLE_PATH, delimiter=",", skiprows=2)
    fresh = depairing.build_table(n_x=9, n_u=6)
    # 49 and 61 nodes contain 9 and 6 of them
    x = np.round(rows[:, 0] * 8.0, 9) % 1.0 == 0.0
    u = (np.round(rows[:, 1] * 5.0, 9) % 1.0 == 0.0) | (rows[:, 1] == 0.99)
    np.testing.assert_allclose(rows[x & u], fresh, atol=1e-8)
    assert len(fresh) == 54


def test_current_decreases_with_temperature_and_pair_breaking():
    t = np.linspace(0.0, 1.0, 301)[:, np.newaxis]
    alpha = np.linspace(0.0, 0.5, 151)
    current = depairing.critical_current_ratio(t, alpha)
    # the table's own error is the allowance: the curve is flat to 1e-6 at low temperature
    assert np.all(np.diff(current, axis=0) < 5e-6)
    assert np.all(np.diff(current, axis=1) < 0.0 + 1e-12)


def test_missing_values_and_nonsense():
    assert np.isnan(depairing.critical_current_ratio(np.nan, 0.1))
    assert np.isnan(depairing.order_parameter(0.5, np.nan))
    for function in (depairing.critical_current_ratio, depairing.usadel_critical_current):
        with pytest.raises(ValueError, match="negative"):
            function(-0.1, 0.0)
        with pytest.raises(ValueError, match="negative"):
            function(0.1, -0.1)


def test_orbital_pair_breaking():
    # D e B with D = 0.4 cm^2/s at 1 T is 0.04 meV
    assert depairing.pair_breaking_perpendicular(-1.0, 0.4) == pytest.approx(0.04)
    B, D, d = 3.0, 0.22, 22.0
    joule = 1e-4 * D * constants.e**2 * B**2 * (d * 1e-9) ** 2 / (6.0 * constants.hbar)
    assert depairing.pair_breaking_parallel_film(B, D, d) == pytest.approx(
        joule / constants.e * 1e3
    )
    # perpendicular pair breaking at Bc2 is the critical one: h* = (pi^2/2) exp(psi(1/2))
    tc, D, t = 10.8, 0.4, 2.0 / 10.8
    slope = 4.0 * constants.k / (np.pi * constants.e * D * 1e-4)
    assert slope == pytest.approx(2.743, abs=1e-3)
    field = depairing.whh_reduced_field(t) * slope * tc
    assert field == pytest.approx(19.2, abs=0.05)
    delta00 = depairing.DELTA0_OVER_KTC * constants.k * tc / constants.e * 1e3
    alpha = depairing.pair_breaking_perpendicular(field, D) / delta00
    assert depairing.tc_ratio(alpha) == pytest.approx(t, rel=1e-9)


def _magnetisation(T: float) -> float:
    """Spin-5/2 mean field below 24.4 K."""
    m = 1.0
    for _ in range(300):
        x = 3.0 * 2.5 / 3.5 * m * 24.4 / T
        m = 1.2 / np.tanh(1.2 * x) - 0.2 / np.tanh(0.2 * x)
    return m


CHANNELS = {0: (0.95, 6.0, 0.05), 1: (1.2, 6.6, 0.03), 2: (2.1, 8.6, 0.012), 3: (5.8, 10.8, 0.0)}


def _device_current(k: int, T: np.ndarray) -> np.ndarray:
    """Ic_k(T) of the default device: exchange pair breaking falls with the squared order."""
    at_2K, tc, alpha = CHANNELS[k]
    bare = depairing.bare_tc(tc, alpha)
    ratio = [
        depairing.critical_current_ratio(x / bare, alpha * _magnetisation(x) ** 2)
        for x in (2.0, *np.atleast_1d(T))
    ]
    return at_2K * np.array(ratio[1:]) / ratio[0]


@golden(r"fwd\.Ic\d\.T=")
def test_device_temperature_dependence(entry):
    entry.check(_device_current(int(entry.key[6]), entry["T"])[0])


def test_device_temperature_table():
    rows = table("fwd_Ic_T.csv")
    for k in CHANNELS:
        np.testing.assert_allclose(_device_current(k, rows[:, 0]), rows[:, 1 + k], atol=2e-5)
