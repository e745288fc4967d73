"""Andreev contact: closed forms, reference tables, quadrature against table, derivatives."""

from itertools import pairwise

import numpy as np
import pytest
from golden import golden, table, value
from scipy.integrate import quad
from scipy.optimize import brentq

from nbnmbt.physics import andreev, bcs, depairing
from nbnmbt.physics.constants import K_B_meV


def temperature(tau, gap=1.0):
    """Temperature in K at which kT is tau gaps."""
    return tau * gap / K_B_meV


def blonder_tinkham_klapwijk(E, Z):
    """Unpolarised conductance from the coherence factors as printed in the paper."""
    z = E + 1e-13j
    u2 = 0.5 * (1.0 + np.sqrt(z * z - 1.0) / z)
    v2 = 1.0 - u2
    g = u2 + Z**2 * (u2 - v2)
    andreev_ = np.abs(u2 * v2 / g**2)
    normal = np.abs((u2 - v2) ** 2 * Z**2 * (1.0 + Z**2) / g**2)
    return (1.0 + Z**2) * (1.0 + andreev_ - normal)


@golden(r"btk\.G0\.")
def test_zero_bias_reference(entry):
    computed = andreev.conductance(0.0, temperature(entry["kT"]), 1.0, entry["Z"], entry["P"])
    entry.check(computed)
    resistance = andreev.zero_bias_resistance(temperature(entry["kT"]), 1.0, entry["Z"], entry["P"])
    assert resistance * computed == pytest.approx(1.0, abs=1e-14)


def test_peak_or_dip_threshold():
    threshold = brentq(
        lambda Z: float(andreev.zero_bias_resistance(0.0, 1.0, Z, 0.0)) - 1.0, 0.1, 1.0, xtol=1e-14
    )
    value("btk.Zthreshold.P0").check(threshold)
    assert andreev.zero_bias_resistance(0.0, 1.0, 0.0, 0.5) == pytest.approx(1.0)


@pytest.mark.parametrize("Z", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("P", [0.0, 0.6, 1.0])
def test_zero_temperature_closed_form(Z, P):
    expected = (1.0 - P) * 2.0 * (1.0 + Z**2) / (1.0 + 2.0 * Z**2) ** 2
    assert andreev.conductance(0.0, 0.0, 0.9, Z, P) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("Z", [0.0, 0.3, 1.0, 2.0])
def test_simplified_spectrum_is_the_printed_one(Z):
    E = np.array([0.1, 0.5, 0.95, 1.05, 1.3, 2.0, 5.0, 40.0])
    unpolarised, half_metal = andreev.spectral_conductance(E, Z)
    np.testing.assert_allclose(unpolarised, blonder_tinkham_klapwijk(E, Z), rtol=1e-10)
    above = E > 1.0
    beta = E[above] / np.sqrt(E[above] ** 2 - 1.0)
    expected = (1.0 + Z**2) * 4.0 * beta / ((1.0 + beta) ** 2 + 4.0 * Z**2)
    np.testing.assert_allclose(half_metal[above], expected, rtol=1e-13)
    np.testing.assert_array_equal(half_metal[~above], 0.0)
    # the broadened form tends to the sharp one
    broadened, _ = andreev.spectral_conductance(E, Z, broadening=1e-9)
    np.testing.assert_allclose(broadened, unpolarised, rtol=1e-6)
    assert andreev.spectral_conductance(1.0, Z, broadening=0.1)[0] < unpolarised.max() + 2.0


def test_conductance_tables():
    Z, P, x, cold, warm, resistance = table("btk_gv.csv").T
    computed = andreev.conductance(x, temperature(0.19), 1.0, Z, P)
    np.testing.assert_allclose(computed, warm, atol=1e-6)
    np.testing.assert_allclose(1.0 / computed, resistance, atol=1e-6)
    # at the cusp x = 1 the reference is off by a finite energy step
    smooth = x != 1.0
    computed = andreev.conductance(x[smooth], 0.0, 1.0, Z[smooth], P[smooth])
    np.testing.assert_allclose(computed, cold[smooth], atol=1e-6)


def test_zero_bias_table():
    rows = table("btk_zerobias.csv")
    tau = np.array([0.05, 0.1, 0.19, 0.3, 0.5, 1.0])
    Z, P = rows[:, 0:1], rows[:, 1:2]
    computed = andreev.conductance(0.0, temperature(tau), 1.0, Z, P)
    # the reference writes the threshold Z with six digits
    np.testing.assert_allclose(computed, rows[:, 3:], atol=1.5e-6)
    cold = andreev.conductance(0.0, 0.0, 1.0, Z, P)
    np.testing.assert_allclose(cold, rows[:, 2:3], atol=1.5e-6)


def test_device_table():
    T, _, _, conductance, resistance = table("btk_device_T.csv").T
    gap = bcs.gap(T, 6.0)
    np.testing.assert_allclose(andreev.conductance(0.0, T, gap, 0.3, 0.6), conductance, atol=1e-6)
    computed = andreev.zero_bias_resistance(T, gap, 0.3, 0.6)
    np.testing.assert_allclose(computed, resistance, atol=2e-6)
    assert np.all(computed[T >= 6.0] == 1.0)


def test_depaired_gap_of_the_default_device():
    # zero-bias resistance of the interface at 2 K: 22.52846 ohm, of which 7.13579 are MnBi2Te4
    bare = float(depairing.bare_tc(6.0, 0.05))
    gap = depairing.order_parameter(2.0 / bare, 0.05) * bcs.gap(0.0, bare)
    resistance = 10.0 * andreev.zero_bias_resistance(2.0, gap, 0.3, 0.6)
    assert resistance == pytest.approx(22.52846 - 7.13579, abs=2e-5)


@pytest.mark.parametrize("tau", [0.02, 0.19, 1.0, 50.0])
def test_quadrature_by_adaptive_integration(tau):
    Z, P, x = 0.5, 0.4, 1.2

    def integrand(E):
        unpolarised, half_metal = andreev.spectral_conductance(E, Z)
        mixture = (1.0 - P) * unpolarised + P * half_metal
        return (mixture - 1.0) / np.cosh(min(abs(E - x) / (2.0 * tau), 300.0)) ** 2 / (4.0 * tau)

    edges = [-60.0 * tau - 1.0, -1.0, 1.0, x, x + 60.0 * tau]
    pieces = [
        quad(integrand, low, high, limit=400, epsabs=1e-12)[0] for low, high in pairwise(edges)
    ]
    computed = andreev.conductance(x, temperature(tau), 1.0, Z, P)
    assert computed == pytest.approx(1.0 + sum(pieces), abs=1e-8)


@pytest.mark.parametrize("tau", [0.03, 0.3, 3.0])
def test_current_is_the_integral_of_the_conductance(tau):
    T, gap, Z, P = temperature(tau, 0.9), 0.9, 0.3, 0.6
    expected, _ = quad(
        lambda V: float(andreev.conductance(V, T, gap, Z, P)), 0.0, 2.5, points=[0.9], limit=200
    )
    assert andreev.current(2.5, T, gap, Z, P, 10.0) == pytest.approx(expected / 10.0, abs=1e-9)
    assert andreev.current(-2.5, T, gap, Z, P, 10.0) == pytest.approx(-expected / 10.0, abs=1e-9)


def test_large_bias():
    x = np.array([10.0, 40.0, 80.0, 1000.0])
    for Z, P in ((0.0, 0.0), (0.3, 0.6), (1.0, 1.0)):
        G = andreev.conductance(x, temperature(0.19), 1.0, Z, P)
        # G - 1 = c/x^2
        c = (1 - P) * (1 + 2 * Z**2) / (4 * (1 + Z**2)) + P * Z**2 / (2 * (1 + Z**2))
        np.testing.assert_allclose((G - 1.0) * x**2, c, atol=0.05)
        assert G[-1] == pytest.approx(1.0, abs=1e-6)
        # constant excess voltage
        I = np.array([100.0, 1000.0, 2000.0, 4000.0])
        excess = andreev.voltage(I, temperature(0.19), 1.0, Z, P, 1.0) - I
        assert np.ptp(excess[1:]) < 1e-3
        assert np.ptp(excess) < 1e-2


def test_excess_current_of_a_clean_contact():
    # Z = 0, P = 0: e R I_exc = 4/3 gap at zero temperature
    excess = 1e6 - andreev.voltage(1e6, 0.0, 1.0, 0.0, 0.0, 1.0)
    assert excess == pytest.approx(4.0 / 3.0, abs=1e-3)


def sample(n=120, low=0.02, high=60.0):
    """Random contacts, with bias points over the gap edge and far beyond, and the exact current."""
    rng = np.random.default_rng(11)
    tau = np.exp(rng.uniform(np.log(low), np.log(high), (n, 1)))
    tau[::5] = rng.uniform(low, 2.5 * low, tau[::5].shape)
    Z, P = rng.uniform(0.001, 1.999, (n, 1)), rng.uniform(0.001, 0.999, (n, 1))
    gap, R_N = rng.uniform(0.2, 2.0, (n, 1)), rng.uniform(1.0, 20.0, (n, 1))
    x = np.concatenate(
        [
            rng.uniform(0.0, 3.0, (n, 8)),
            rng.uniform(0.9, 1.1, (n, 3)),
            np.exp(rng.uniform(0.0, 6.0, (n, 5))),
        ],
        axis=1,
    )
    V, T = x * gap, temperature(tau, gap)
    parameters = (T, gap, Z, P, R_N)
    return (
        V,
        andreev.current(V, *parameters),
        andreev.conductance(V, *parameters[:4]),
        parameters,
        tau,
    )


def test_voltage_inverts_the_exact_current():
    V, I, G, parameters, tau = sample()
    gap = parameters[1]
    # the error of the excess current is G times that of the voltage
    error = np.abs(andreev.voltage(I, *parameters) - V) * G / gap
    assert error.max() < 2e-6
    # the excess currents are of the order of one gap: relative error below 1e-5 of them
    excess = np.abs(V - parameters[4] * I) / gap
    resolved = excess > 0.2
    assert np.max((error / excess)[resolved]) < 1e-5
    assert np.median(error) < 1e-7
    assert tau.min() < 0.03


def test_edges_of_the_table():
    T, gap = temperature(0.2), 1.0
    V = np.linspace(-4.0, 4.0, 41)
    for Z in (0.0, 2.0):
        for P in (0.0, 1.0):
            I = andreev.current(V, T, gap, Z, P, 3.0)
            np.testing.assert_allclose(andreev.voltage(I, T, gap, Z, P, 3.0), V, atol=2e-6 / 0.006)
            G = andreev.conductance(V, T, gap, Z, P)
            error = (andreev.voltage(I, T, gap, Z, P, 3.0) - V) * G
            np.testing.assert_allclose(error, 0.0, atol=2e-6)


@pytest.mark.parametrize(("index", "name"), [(1, "gap"), (2, "Z"), (3, "P"), (4, "R_N")])
def test_jacobian_against_the_exact_current(index, name):
    V, I, G, parameters, _ = sample(60, low=0.05)
    jacobian = andreev.voltage_and_jacobian(I, *parameters)[1]
    assert jacobian.shape == (4, *V.shape)
    h = 1e-4 if name != "R_N" else 1e-3

    def shifted(step):
        values = list(parameters)
        values[index] = values[index] + step * h
        return andreev.current(V, *values)

    slope = (8.0 * (shifted(1) - shifted(-1)) - shifted(2) + shifted(-2)) / (12.0 * h)
    expected = -slope * parameters[4]
    # multiplied by G, so that points of vanishing conductance do not divide by it
    np.testing.assert_allclose(jacobian[index - 1] * G, expected, atol=2e-5)


def test_values_with_and_without_derivatives_agree():
    _, I, _, parameters, _ = sample(40)
    np.testing.assert_array_equal(
        andreev.voltage(I, *parameters), andreev.voltage_and_jacobian(I, *parameters)[0]
    )


def test_shared_and_separate_barriers_agree():
    _, I, _, (T, gap, _, P, R_N), _ = sample(40)
    shared = andreev.voltage_and_jacobian(I, T, gap, 0.3, P, R_N)
    barriers = np.full_like(T, 0.3) + 1e-13 * np.arange(40)[:, np.newaxis]
    separate = andreev.voltage_and_jacobian(I, T, gap, barriers, P, R_N)
    for one, other in zip(shared, separate, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_closing_gap_is_smooth():
    I = np.linspace(-2.0, 2.0, 101)
    ohmic, jacobian = andreev.voltage_and_jacobian(I, 6.0, 0.0, 0.3, 0.6, 10.0)
    np.testing.assert_allclose(ohmic, 10.0 * I, atol=1e-13)
    assert np.all(np.isfinite(jacobian))
    gaps = np.array([1e-6, 1e-4, 1e-3])[:, np.newaxis]
    V, slopes = andreev.voltage_and_jacobian(I, 6.0, gaps, 0.3, 0.6, 10.0)
    # linear in a small gap, with the slope reported at zero
    numeric = (V - 10.0 * I)[:2] / gaps[:2]
    np.testing.assert_allclose(numeric, np.broadcast_to(jacobian[0], numeric.shape), atol=2e-4)
    np.testing.assert_allclose(slopes[0, 0], jacobian[0], atol=1e-5)
    exact = andreev.current(V, 6.0, gaps, 0.3, 0.6, 10.0)
    np.testing.assert_allclose(exact, np.broadcast_to(I, V.shape), atol=1e-9)


def test_symmetry_shapes_and_zero():
    I = np.linspace(-3.0, 3.0, 31)
    V, jacobian = andreev.voltage_and_jacobian(I, 2.0, 0.9, 0.3, 0.6, 10.0)
    np.testing.assert_allclose(V, -V[::-1], atol=1e-13)
    np.testing.assert_allclose(jacobian, -jacobian[:, ::-1], atol=1e-12)
    assert V[15] == 0.0
    slope = (V[16] - V[14]) / (I[16] - I[14])
    assert 10.0 < slope < 10.0 * andreev.zero_bias_resistance(2.0, 0.9, 0.3, 0.6)
    T = np.array([2.0, 4.0])[:, np.newaxis]
    grid = andreev.voltage(I, T, 0.9, 0.3, 0.6, 10.0)
    assert grid.shape == (2, 31)
    np.testing.assert_allclose(grid[0], V, atol=1e-14)
    # parameters that vary along the sweep
    drifting = andreev.voltage(I, np.linspace(2.0, 4.0, 31), 0.9, 0.3, 0.6, 10.0)
    assert drifting[0] == pytest.approx(V[0], abs=1e-12)
    assert drifting[-1] == pytest.approx(grid[1, -1], abs=1e-12)
    assert andreev.voltage(0.1, 2.0, 0.9, 0.3, 0.6, 10.0).shape == ()


def test_zero_bias_slope_is_the_zero_bias_resistance():
    I = np.array([-1e-5, 1e-5])
    V = andreev.voltage(I, 2.0, 0.9, 0.3, 0.6, 10.0)
    expected = 10.0 * andreev.zero_bias_resistance(2.0, 0.9, 0.3, 0.6)
    assert np.diff(V)[0] / 2e-5 == pytest.approx(float(expected), rel=1e-5)


def test_normal_contact():
    assert andreev.conductance(0.3, 2.0, 0.0, 0.3, 0.6) == 1.0
    assert andreev.voltage(0.5, 0.0, 0.0, 0.3, 0.6, 10.0) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"P": 1.1}, "polarisation"),
        ({"Z": -0.1}, "negative"),
        ({"Z": 2.5}, "tabulated"),
        ({"T": -1.0}, "negative"),
        ({"R_N": 0.0}, "resistance"),
    ],
)
def test_nonsense_is_refused(change, message):
    parameters = {"T": 2.0, "gap": 0.9, "Z": 0.3, "P": 0.6, "R_N": 10.0} | change
    with pytest.raises(ValueError, match=message):
        andreev.voltage(0.1, **parameters)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5)])
def test_nothing_in_nothing_out(shape):
    V, jacobian = andreev.voltage_and_jacobian(np.zeros(shape), 2.0, 0.9, 0.3, 0.6, 10.0)
    assert V.shape == shape
    assert jacobian.shape == (4, *shape)
