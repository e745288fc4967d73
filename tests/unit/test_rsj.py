"""Thermal RSJ curve: reference values, 40-digit Bessel functions, limits, and the fast table."""

import mpmath
import numpy as np
import pytest
from golden import golden, table, value
from scipy.optimize import minimize_scalar
from scipy.special import i0e, pbdv

from nbnmbt.physics import rsj


@golden(r"rsj\.v\.")
def test_voltage_reference(entry):
    entry.check(rsj.voltage(entry["i"], entry["g"]))


@golden(r"rsj\.dv\.")
def test_differential_resistance_reference(entry):
    entry.check(rsj.differential_resistance(entry["i"], entry["g"]))


@golden(r"rsj\.dv0\.")
def test_zero_bias_reference(entry):
    entry.check(rsj.differential_resistance(0.0, entry["g"]))


def test_reference_table():
    gamma, i, v, dv = table("rsj_vdv.csv").T
    np.testing.assert_allclose(rsj.voltage(i, gamma), v, atol=6e-9)
    np.testing.assert_allclose(rsj.differential_resistance(i, gamma), dv, atol=6e-9)


@pytest.mark.parametrize(
    ("i", "gamma"), [(0.3, 0.05), (1.7, 0.4), (0.9, 12.0), (1.001, 350.0), (1.4, 900.0)]
)
def test_bessel_functions_with_forty_digits(i, gamma):
    with mpmath.workdps(40):
        g, order = mpmath.mpf(gamma), 1j * mpmath.mpf(gamma) * mpmath.mpf(i)
        bessel = abs(mpmath.besseli(order, g)) ** 2
        expected = mpmath.sinh(mpmath.pi * g * mpmath.mpf(i)) / (mpmath.pi * g * bessel)
    assert float(rsj.voltage(i, gamma)) == pytest.approx(float(expected), abs=2e-13)


def test_recursion_is_converged(monkeypatch):
    i = np.linspace(0.0, 10.0, 41)
    gamma = np.array([0.05, 1.0, 30.0, 3000.0, 1e5])[:, np.newaxis]
    results = rsj._exact(i, gamma, 3)
    order = rsj._order
    monkeypatch.setattr(rsj, "_order", lambda g: 2 * order(g))
    for once, twice in zip(results, rsj._exact(i, gamma, 3), strict=True):
        np.testing.assert_allclose(once, twice, rtol=1e-13, atol=1e-13)


def test_derivatives_of_the_recursion():
    i, gamma, h = np.linspace(0.1, 3.0, 30), 40.0, 1e-5
    _, v_i, v_ii, v_log = rsj._exact(i, gamma, 3)
    step = np.array([h, -h])[:, np.newaxis]
    plus, minus = rsj.voltage(i + step, gamma)
    np.testing.assert_allclose(v_i, (plus - minus) / (2 * h), atol=1e-8)
    plus, minus = rsj.differential_resistance(i + step, gamma)
    np.testing.assert_allclose(v_ii, (plus - minus) / (2 * h), atol=1e-7)
    plus, minus = rsj.voltage(i, gamma * np.exp(step))
    np.testing.assert_allclose(v_log, (plus - minus) / (2 * h), atol=1e-9)


def test_noise_parameter():
    # 0.95 mA at 100 K
    assert rsj.gamma(0.95, 100.0) == pytest.approx(226.452, abs=1e-3)
    np.testing.assert_allclose(rsj.gamma(0.95, [2.0, 300.0]), [11322.6, 75.4840], rtol=1e-5)


def test_symmetry():
    i = np.linspace(0.0, 3.0, 61)
    for gamma in (0.5, 50.0):
        np.testing.assert_allclose(rsj.voltage(-i, gamma), -rsj.voltage(i, gamma), atol=1e-15)
        np.testing.assert_allclose(
            rsj.differential_resistance(-i, gamma), rsj.differential_resistance(i, gamma)
        )
        minus, plus = rsj.tabulated(-i, gamma), rsj.tabulated(i, gamma)
        np.testing.assert_array_equal(minus[0], -plus[0])
        np.testing.assert_array_equal(minus[1], plus[1])
        np.testing.assert_array_equal(minus[2], -plus[2])


def test_strong_noise_is_ohmic():
    i = np.linspace(-5.0, 5.0, 11)
    np.testing.assert_allclose(rsj.voltage(i, 1e-4), i, atol=1e-7)
    v, v_i, v_log = rsj.tabulated(i, 0.0)
    np.testing.assert_allclose(v, i, atol=1e-12)
    np.testing.assert_allclose(v_i, 1.0, atol=1e-12)
    np.testing.assert_allclose(v_log, 0.0, atol=1e-12)
    # first correction
    g = 0.02
    expected = i * (1.0 - g**2 / (2.0 * (1.0 + g**2 * i**2)))
    np.testing.assert_allclose(rsj.voltage(i, g), expected, atol=1e-6)


def test_weak_noise_is_the_noiseless_curve():
    i = np.array([0.0, 0.5, 0.9, 1.1, 1.5, 4.0, -1.1, -2.0])
    np.testing.assert_allclose(rsj.voltage(i, 1e5), rsj.voltage_noiseless(i), atol=1e-7)
    np.testing.assert_allclose(rsj.tabulated(i, 1e5)[0], rsj.voltage_noiseless(i), atol=1e-7)
    np.testing.assert_array_equal(rsj.voltage_noiseless([-1.0, 0.0, 0.4]), 0.0)
    # With the noise gone altogether the exact curve is that of the table's end, and comes at once.
    np.testing.assert_array_equal(rsj.voltage(i, 1e14), rsj.voltage(i, 1e5))


def test_critical_current_scaling():
    limit = value("rsj.v1.asympt")
    limit.check(rsj.voltage(1.0, 1e5) * 1e5 ** (1.0 / 3.0))


def test_zero_bias_is_phase_diffusion():
    gamma = np.array([0.1, 1.0, 5.0, 12.0])
    expected = (i0e(gamma) * np.exp(gamma)) ** -2.0
    np.testing.assert_allclose(rsj.differential_resistance(0.0, gamma), expected, atol=2e-15)
    assert rsj.voltage(0.0, 50.0) == 0.0


def test_large_bias_excess():
    # V -> R (I - Ic^2/2I): no excess current
    i = np.array([50.0, 200.0])
    np.testing.assert_allclose(rsj.voltage(i, 100.0) - i, -0.5 / i, rtol=1e-3)


def test_broadcasting_and_blocks():
    i = np.linspace(-2.0, 2.0, 701)
    gamma = np.array([[0.3], [20.0], [4e4], [600.0]])
    full = rsj.voltage(i, gamma)
    assert full.shape == (4, 701)
    for row, g in zip(full, gamma[:, 0], strict=True):
        np.testing.assert_allclose(row, rsj.voltage(i, g), atol=1e-14)
    assert rsj.voltage(np.empty((0,)), 1.0).shape == (0,)
    with pytest.raises(ValueError, match="positive"):
        rsj.voltage(1.0, 0.0)


# --- Peak -------------------------------------------------------------------------------------


def test_peak_table():
    columns = table("rsj_peak.csv").T
    position, height, width = rsj.peak(columns[0])
    np.testing.assert_allclose(position, columns[1], atol=6e-7)
    np.testing.assert_allclose(height, columns[3], atol=6e-6)
    np.testing.assert_allclose(width, columns[7], atol=6e-6)


@pytest.mark.parametrize("gamma", [0.0613, 0.77, 8.1, 143.0, 2.3e3, 7.7e4])
def test_peak_between_table_entries(gamma):
    position, height, width = (float(x) for x in rsj.peak(gamma))
    around = position + width * np.array([-0.02, 0.0, 0.02])
    sampled = rsj.differential_resistance(around, gamma)
    assert sampled[1] == pytest.approx(height, rel=1e-6)
    # the parabola through three points has its vertex at the maximum, up to the third derivative
    vertex = 0.02 * 0.5 * (sampled[0] - sampled[2]) / (sampled[0] - 2 * sampled[1] + sampled[2])
    assert abs(vertex) < 1e-3
    left, right = table_sides(gamma, height, position, width)
    assert right - left == pytest.approx(width, rel=1e-6)


def table_sides(gamma, height, position, width):
    """Half-height points by bisection on the exact curve."""
    level = 1.0 + 0.5 * (height - 1.0)
    ends = []
    for sign in (-1.0, 1.0):
        near, far = position, position + sign * 1.2 * width
        for _ in range(60):
            middle = 0.5 * (near + far)
            if rsj.differential_resistance(middle, gamma) > level:
                near = middle
            else:
                far = middle
        ends.append(near)
    return ends


def test_peak_outside_the_table_is_missing():
    assert np.all(np.isnan(rsj.peak([0.01, 1e6])))


def test_shipped_peaks_are_what_the_generator_writes():
    rows = np.loadtxt(rsj.PEAK_TABLE_PATH, delimiter=",", skiprows=2)
    np.testing.assert_allclose(rows[::73], rsj.build_peak_table(3), rtol=1e-9)


# --- Fast table -------------------------------------------------------------------------------


def _probe(gamma, rng):
    """Bias points: the whole curve, the transition in its own scale, and the far wings."""
    sharp = rsj._sharpness(np.asarray(gamma))
    return np.concatenate(
        [
            np.linspace(-3.0, 10.0, 131),
            1.0 + rng.uniform(-14.0, 12.0, 200) / sharp,
            1.0 + rng.uniform(0.0, 300.0, 30) / sharp,
        ]
    )


def test_tabulated_against_the_recursion():
    rng = np.random.default_rng(7)
    gammas = np.concatenate([np.geomspace(0.05, 1e5, 60), rng.uniform(5.0, 30.0, 20)])
    i = np.stack([_probe(g, rng) for g in gammas])
    exact = rsj._exact(i, gammas[:, np.newaxis], 3)
    v, v_i, v_log = rsj.tabulated(i, gammas[:, np.newaxis])
    np.testing.assert_allclose(v, exact[0], rtol=1e-10, atol=2e-8)
    height = 1.0 + np.cbrt(gammas)[:, np.newaxis]
    np.testing.assert_array_less(np.abs(v_i - exact[1]) / height, 1e-6)
    np.testing.assert_allclose(v_log, exact[3], atol=1e-6)


def test_tabulated_derivatives_belong_to_its_values():
    # the interior of a cell, so that differences do not straddle two polynomials
    gamma = np.array([0.3, 40.0, 5e3])[:, np.newaxis]
    i = 1.0 + np.linspace(-1.5, 6.0, 40) / rsj._sharpness(gamma)
    v, v_i, v_log = rsj.tabulated(i, gamma)
    h = 1e-6 / rsj._sharpness(gamma)
    numeric = (rsj.tabulated(i + h, gamma)[0] - rsj.tabulated(i - h, gamma)[0]) / (2.0 * h)
    assert np.median(np.abs(numeric / v_i - 1.0)) < 1e-8
    np.testing.assert_allclose(numeric, v_i, rtol=3e-4, atol=1e-6)
    h = 1e-6
    plus = rsj.tabulated(i, gamma * np.exp(h))[0]
    minus = rsj.tabulated(i, gamma * np.exp(-h))[0]
    np.testing.assert_allclose((plus - minus) / (2.0 * h), v_log, atol=2e-6)
    assert v.shape == (3, 40)


def test_tabulated_pieces_join():
    for gamma in (0.2, 15.0, 300.0, 5e4):
        sharp = rsj._sharpness(np.asarray(gamma))
        end = 1.0 + rsj._S_MAX / sharp
        # four points, so that the table is used
        sides = rsj.tabulated(end + np.array([-1e-12, -1e-12, 1e-12, 1e-12]) / sharp, gamma)
        assert sides[0][2] == pytest.approx(sides[0][1], rel=1e-11, abs=2e-9)
        assert sides[1][2] == pytest.approx(sides[1][1], abs=1e-6 * np.sqrt(1.0 + sharp))


def test_tabulated_shapes():
    i = np.linspace(-2.0, 2.0, 50)
    cases = [
        (i, 30.0, (50,)),
        (i, np.full(50, 30.0), (50,)),
        (i, np.array([[30.0], [70.0]]), (2, 50)),
        (np.stack([i, i]), np.array([[30.0], [0.01]]), (2, 50)),
        (i[:, np.newaxis, np.newaxis], np.full((1, 1, 1), 30.0), (50, 1, 1)),
        (0.7, 30.0, ()),
        (0.7, np.array([0.0, 0.03, 30.0, 2e5]), (4,)),
    ]
    for bias, gamma, shape in cases:
        results = rsj.tabulated(bias, gamma)
        assert [r.shape for r in results] == [shape] * 3
        expected = rsj.voltage(bias, np.clip(gamma, 1e-9, 1e5))
        np.testing.assert_allclose(results[0], expected, atol=2e-8)
    with pytest.raises(ValueError, match="negative"):
        rsj.tabulated(1.0, -1.0)


# --- Distributed critical current -------------------------------------------------------------


def test_spread_local_limit():
    # peak of the averaged 1/sqrt: maximum over z of a parabolic cylinder function
    def negative(z):
        return -np.exp(-0.25 * z * z) * pbdv(-0.5, -z)[0]

    found = minimize_scalar(negative, bracket=(0.5, 0.8, 1.0), tol=1e-12)
    reference = value("rsj.gauss.zpeak")
    assert found.x == pytest.approx(reference.value, abs=1e-6)
    # the function itself approaches this limit linearly in sigma
    shifts = []
    for sigma in (0.001, 0.0005):
        best = minimize_scalar(
            lambda z, s=sigma: -float(rsj.spread_differential_resistance(1.0 + s * z, s)),
            bracket=(0.5, 0.77, 1.0),
            tol=1e-9,
        )
        shifts.append(best.x)
    assert 2.0 * shifts[1] - shifts[0] == pytest.approx(reference.value, abs=2e-6)


def test_spread_peak_table():
    for row in table("rsj_gauss_peak.csv"):
        sigma, position, height, width = row[0], row[1], row[3], row[5]
        i = position + sigma * np.linspace(-0.1, 0.1, 201)
        curve = rsj.spread_differential_resistance(i, sigma)
        assert i[curve.argmax()] == pytest.approx(position, abs=2e-3 * sigma)
        assert curve.max() == pytest.approx(height, abs=2e-5)
        i = np.linspace(max(position - 3 * width, 0.5), position + 3 * width, 20001)
        above = i[rsj.spread_differential_resistance(i, sigma) > 0.5 * (1.0 + curve.max())]
        assert above[-1] - above[0] == pytest.approx(width, abs=4 * (i[1] - i[0]))


def test_spread_voltage_is_the_integral():
    i = np.linspace(0.8, 1.3, 5001)
    numeric = np.gradient(rsj.spread_voltage(i, 0.05), i)
    np.testing.assert_allclose(
        numeric[5:-5], rsj.spread_differential_resistance(i, 0.05)[5:-5], atol=1e-5
    )
    np.testing.assert_allclose(
        rsj.spread_voltage([-3.0, 3.0], 1e-4), [-(8**0.5), 8**0.5], rtol=1e-7
    )
    with pytest.raises(ValueError, match="positive"):
        rsj.spread_voltage(1.0, 0.0)
