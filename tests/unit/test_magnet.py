"""MnBi2Te4 as a magnet: closed forms, mean field, open chains, against an independent solution."""

import csv

import numpy as np
import pytest
from golden import DATA, golden, table
from hypothesis import given, settings
from hypothesis import strategies as st

from nbnmbt.physics import magnet as mg

MBT = mg.Magnet.from_fields(spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=24.4)
OUT, IN = mg.ORIENTATIONS


# --- constants and closed forms ---------------------------------------------------------------


@golden(r"mbt\.(BK|BE|Bs_ab|spinodal|M_jump)")
def test_constants_from_the_two_fields(entry):
    just_above = mg.macrospin(3.0 + 1e-9, MBT)
    entry.check(
        {
            "mbt.BK": MBT.anisotropy_field,
            "mbt.BE": MBT.exchange_field,
            "mbt.Bs_ab": MBT.saturation_field_in_plane,
            "mbt.spinodal_dn": MBT.spinodals[0],
            "mbt.spinodal_up": MBT.spinodals[1],
            "mbt.M_jump": float(just_above.M),
        }[entry.key]
    )


@given(flop=st.floats(0.5, 7.9), ratio=st.floats(1.02, 6))
def test_fields_survive_the_round_trip(flop, ratio):
    magnet = mg.Magnet.from_fields(
        spin_flop_field=flop, saturation_field=flop * ratio, ordering_temperature=24.4
    )
    assert magnet.spin_flop_field == pytest.approx(flop, rel=1e-12)
    assert magnet.saturation_field == pytest.approx(flop * ratio, rel=1e-12)
    low, high = magnet.spinodals
    assert low < flop < high


def test_bulk_closed_forms_match_the_table():
    for B, M_c, cos_c, mz2_c, M_ab, cos_ab, mz2_ab in table("mbt_bulk_T0.csv"):
        c, ab = mg.macrospin(B, MBT), mg.macrospin(B, MBT, IN)
        found = [c.M, c.cos_angle, c.m_z2, ab.M, ab.cos_angle, ab.m_z2]
        np.testing.assert_allclose(found, [M_c, cos_c, mz2_c, M_ab, cos_ab, mz2_ab], atol=6e-6)


def test_bulk_state_minimises_the_energy():
    # two sublattices in one plane, brute force over both angles
    angle = np.linspace(-np.pi, np.pi, 1441)
    a, b = angle[:, None], angle[None, :]
    for B in (1.0, 2.9, 3.1, 5.0, 7.5, 9.0):
        energy = (
            MBT.exchange_field * np.cos(a - b)
            - 0.5 * MBT.anisotropy_field * (np.cos(a) ** 2 + np.cos(b) ** 2)
            - B * (np.cos(a) + np.cos(b))
        )
        i, j = np.unravel_index(energy.argmin(), energy.shape)
        brute = 0.5 * (np.cos(angle[i]) + np.cos(angle[j]))
        assert float(mg.macrospin(B, MBT).M) == pytest.approx(brute, abs=5e-3)


def test_magnetisation_is_odd_and_squares_are_even():
    B = np.array([0.3, 2.0, 3.5, 6.0, 9.0])
    for orientation in mg.ORIENTATIONS:
        plus, minus = mg.macrospin(B, MBT, orientation), mg.macrospin(-B, MBT, orientation)
        np.testing.assert_array_equal(plus.M, -minus.M)
        np.testing.assert_array_equal(plus.m_z2, minus.m_z2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spin_flop_field": 9.0, "saturation_field": 8.0}, "must lie between"),
        ({"spin_flop_field": -1.0, "saturation_field": 8.0}, "must lie between"),
    ],
)
def test_impossible_fields_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        mg.Magnet.from_fields(ordering_temperature=24.4, **arguments)


def test_metamagnet_and_zero_exchange_are_refused():
    with pytest.raises(ValueError, match="metamagnetic"):
        mg.Magnet(anisotropy_field=5.0, exchange_field=4.0, ordering_temperature=24.4)
    with pytest.raises(ValueError, match="must not be zero"):
        mg.Magnet(anisotropy_field=1.0, exchange_field=0.0, ordering_temperature=24.4)
    with pytest.raises(ValueError, match="orientation"):
        mg.macrospin(1.0, MBT, "sideways")


# --- mean field -------------------------------------------------------------------------------


def test_brillouin_function_limits():
    assert mg.brillouin(0.0) == 0
    small = 1e-4
    assert mg.brillouin(small) / small == pytest.approx((2.5 + 1) / (3 * 2.5), rel=1e-6)
    assert mg.brillouin(500.0) == pytest.approx(1.0, abs=1e-15)
    # both branches of the implementation meet
    assert mg.brillouin(0.99999e-3) == pytest.approx(mg.brillouin(1.00001e-3), rel=3e-5)
    # S = 1/2 is tanh, S -> infinity is Langevin's coth y - 1/y
    y = np.linspace(0.1, 5, 9)
    np.testing.assert_allclose(mg.brillouin(y, 0.5), np.tanh(y), atol=1e-14)
    np.testing.assert_allclose(mg.brillouin(y, 1e5), 1 / np.tanh(y) - 1 / y, atol=1e-5)


def test_order_parameter_solves_its_equation():
    T = np.linspace(0.5, 24.39, 200)
    m = mg.order_parameter(T, 24.4)
    residual = m - mg.brillouin(3 * 2.5 / 3.5 * m * 24.4 / T)
    assert np.max(np.abs(residual)) < 1e-12
    assert np.all(np.diff(m) < 0)
    assert mg.order_parameter(24.4, 24.4) == 0
    assert mg.order_parameter(30.0, 24.4) == 0
    # square-root law next to the transition
    close = mg.order_parameter(np.array([24.39, 24.399]), 24.4) ** 2
    assert close[0] / close[1] == pytest.approx(10, rel=2e-3)


def test_power_law_order_parameter_and_unknown_law():
    assert mg.order_parameter(12.2, 24.4, law="beta") == pytest.approx(0.5**0.35)
    with pytest.raises(ValueError, match="law must be"):
        mg.order_parameter(1.0, 24.4, law="ising")


def test_phase_boundaries_match_the_table():
    reference = table("mbt_phase_T.csv")
    T, flop, sat_c, sat_ab, m = reference.T
    np.testing.assert_allclose(mg.order_parameter(T, 24.4), m, atol=2e-6)
    np.testing.assert_allclose(mg.saturation_field(T, MBT, IN), sat_ab, atol=1e-4)
    there = np.isfinite(sat_c)
    np.testing.assert_allclose(mg.saturation_field(T[there], MBT), sat_c[there], atol=1e-4)
    there = np.isfinite(flop)
    np.testing.assert_allclose(mg.spin_flop_field(T[there], MBT), flop[there], atol=1.5e-4)
    # close to T_N the collinear state turns directly into the aligned one
    assert np.isnan(mg.spin_flop_field(22.5, MBT))


def test_states_match_the_table():
    with open(DATA / "mbt_M_BT.csv", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    T, B = (np.array([float(row[i]) for row in rows]) for i in (0, 1))
    c, ab = mg.mean_field(T, B, MBT), mg.mean_field(T, B, MBT, IN)
    expected = np.array([[float(cell) for cell in row[3:]] for row in rows]).T
    found = [c.M, c.m1_z2, c.m2, c.m1_dot_m2, ab.M, ab.m1_dot_m2, ab.m2]
    for values, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, reference, atol=6e-6)
    assert [("AFM" if not f else "SF/FM") for f in c.flopped] == [row[2] for row in rows]


def test_mean_field_meets_the_macrospin_when_cold():
    B = np.array([0.5, 2.9, 3.1, 5.0, 7.9, 9.0])
    for orientation in mg.ORIENTATIONS:
        warm = mg.mean_field(0.3, B, MBT, orientation)
        cold = mg.macrospin(B, MBT, orientation)
        np.testing.assert_allclose(warm.M, cold.M, atol=1e-9)
        np.testing.assert_allclose(warm.m1_z2, cold.m_z2, atol=1e-9)


def test_paramagnet_follows_curie_and_weiss():
    # chi = C/(T - theta) with theta of the uniform molecular field B_F + B_K - B_E
    T, B = np.array([60.0, 80.0]), 1e-3
    M = mg.mean_field(T, B, MBT).M
    curie = MBT.g_factor * mg.MU_B_OVER_K_B * (MBT.spin + 1) / 3
    theta = curie * (MBT.intralayer_field + MBT.anisotropy_field - MBT.exchange_field)
    np.testing.assert_allclose(M, curie * B / (T - theta), rtol=1e-5)


def test_mean_field_needs_a_temperature():
    with pytest.raises(ValueError, match="T > 0"):
        mg.mean_field(0.0, 1.0, MBT)


# --- open surface -----------------------------------------------------------------------------


@golden(r"mbt\.r\.")
def test_proximity_average_reference(entry):
    orientation = OUT if ".r.c." in entry.key else IN
    entry.check(mg.surface_average(entry["B"], MBT, orientation, xi=5.0))


@pytest.mark.parametrize(("xi", "column"), [(2.7, 1), (5.0, 2), (10.0, 3)])
def test_proximity_average_table(xi, column):
    reference = table("mbt_proxavg.csv")
    B = reference[:, 0]
    out = mg.surface_average(B, MBT, OUT, xi=xi)
    # a few hundredths of a mT above the flop the wall hangs on the lattice
    np.testing.assert_allclose(out, reference[:, column], atol=3e-4)
    inside = mg.surface_average(B, MBT, IN, xi=xi)
    np.testing.assert_allclose(inside, reference[:, column + 5], atol=5e-5)


def test_bulk_moments_up_to_the_surface():
    reference = table("mbt_proxavg.csv")
    B = reference[:, 0]
    for orientation, column in ((OUT, 4), (IN, 9)):
        found = mg.surface_average(B, MBT, orientation, xi=5.0, surface="bulk")
        np.testing.assert_allclose(found, reference[:, column], atol=2e-6)
    # the mean exchange field: times 8.4 at the flop, times 54 at saturation, for weights q^n
    q = np.exp(-1.36 / 5.0)
    for c, B in ((0.0, 0.0), (0.375, 3.0001), (0.5, 4.0), (1.0, 8.0), (1.0, 11.0)):
        h2 = mg.surface_average(B, MBT, OUT, xi=5.0, quantity="h2", surface="bulk")
        exact = c**2 + (1 - c**2) * ((1 - q) / (1 + q)) ** 2
        assert h2 == pytest.approx(exact, rel=2e-4)
    # a spread of flop fields averages the two states, a hysteresis delays the flop of a rise
    spread = {"xi": 5.0, "surface": "bulk", "flop_spread": 0.15}
    assert mg.surface_average(3.0, MBT, OUT, **spread) == pytest.approx(0.5 * (1 + 0.375**2))
    late = mg.surface_average(3.3, MBT, OUT, **spread, hysteresis=1.0)
    assert late > 0.7 > 0.3 > mg.surface_average(3.3, MBT, OUT, **spread)
    with pytest.raises(ValueError, match="no bulk"):
        mg.surface_average(1.0, MBT, OUT, xi=5.0, layers=6, surface="bulk")
    with pytest.raises(ValueError, match="surface must be"):
        mg.surface_average(1.0, MBT, OUT, xi=5.0, surface="half")


def test_layer_moments_match_the_table():
    reference = table("mbt_surface_profile.csv")
    for row in reference:
        if row[0] == 3.0:
            continue
        found = np.cos(mg.surface_profile(row[0], MBT, OUT))
        np.testing.assert_allclose(found[:6], row[2:8], atol=1e-3)


@pytest.mark.parametrize(("orientation", "B"), [(OUT, 3.2), (OUT, 5.0), (IN, 2.0), (IN, 8.0)])
def test_profiles_are_stationary_and_stable(orientation, B):
    phi = mg.surface_profile(B, MBT, orientation)
    b_z, b_x = (B, 0.0) if orientation == OUT else (0.0, B)
    constants = (0.5 * MBT.exchange_field, MBT.anisotropy_field, b_z, b_x)
    start = mg._chain_energy(phi, *constants)
    rng = np.random.default_rng(1)
    for _ in range(40):
        push = rng.standard_normal(phi.size)
        push /= np.linalg.norm(push)
        forth = mg._chain_energy(phi + 1e-4 * push, *constants) - start
        back = mg._chain_energy(phi - 1e-4 * push, *constants) - start
        assert abs(forth - back) / 2e-4 < 1e-6
        assert forth > 0
        assert back > 0


def test_surface_layer_stays_upright_where_the_bulk_lies_down():
    moments = np.cos(mg.surface_profile(3.5, MBT, OUT))
    assert moments[0] ** 2 > 0.75
    assert abs(moments[1]) < 0.2
    assert moments[30] == pytest.approx(3.5 / 8.0, abs=1e-4)


def test_average_is_even_and_saturates():
    B = np.array([0.2, 2.9, 3.3, 6.0, 9.5])
    for orientation in mg.ORIENTATIONS:
        there = mg.surface_average(B, MBT, orientation, xi=5.0, flop_spread=0.15)
        back = mg.surface_average(-B, MBT, orientation, xi=5.0, flop_spread=0.15)
        np.testing.assert_array_equal(there, back)
    assert mg.surface_average(12.0, MBT, OUT, xi=5.0) == pytest.approx(1, abs=1e-14)
    assert mg.surface_average(12.0, MBT, IN, xi=5.0) == pytest.approx(0, abs=1e-6)


def test_in_plane_average_falls_strictly_from_the_first_step():
    r = mg.surface_average(np.linspace(0, 10, 4001), MBT, IN, xi=5.0)
    assert np.all(np.diff(r) < 0)


def test_mean_exchange_field_grows_at_the_flop():
    h2 = mg.surface_average(
        np.array([0, 3.05, 3.2, 3.5, 5.0, 8.0]), MBT, OUT, xi=5.0, quantity="h2"
    )
    np.testing.assert_allclose(h2[1:] / h2[0], [6.1, 9.7, 13.4, 26.9, 54.7], atol=0.06)
    q = np.exp(-mg.SEPTUPLE_LAYER_NM / 5.0)
    assert h2[-1] / h2[0] == pytest.approx(((1 + q) / (1 - q)) ** 2, rel=1e-4)


def test_smeared_flop_is_the_average_over_sharp_ones():
    B = np.linspace(2.3, 7.9, 57)
    smeared = mg.surface_average(B, MBT, OUT, xi=5.0, flop_spread=0.15)
    # r falls too steeply at each flop for a few Gauss-Hermite nodes: a dense uniform sum instead
    nodes = np.linspace(-3.4, 3.4, 41)
    weights = np.exp(-0.5 * nodes**2)
    brute = np.zeros(B.size)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        shifted = mg.Magnet.from_fields(
            spin_flop_field=3.0 + 0.15 * node, saturation_field=8.0, ordering_temperature=24.4
        )
        brute += weight * mg.surface_average(B, shifted, OUT, xi=5.0)
    np.testing.assert_allclose(smeared, brute, atol=4e-3)


def test_ferromagnet_has_no_flop():
    magnet = mg.Magnet.from_fields(
        spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=24.4, ferromagnetic=True
    )
    B = np.linspace(0, 9, 19)
    np.testing.assert_array_equal(mg.surface_average(B, magnet, OUT, xi=5.0), 1.0)
    assert np.isnan(magnet.spin_flop_field)
    assert np.all(np.isnan(mg.spin_flop_field(np.array([2.0, 10.0]), magnet)))
    np.testing.assert_allclose(mg.mean_field(2.0, B, magnet).M, 1.0, atol=1e-4)


def test_unknown_average_is_refused():
    with pytest.raises(ValueError, match="quantity"):
        mg.surface_average(1.0, MBT, OUT, xi=5.0, quantity="m_x")


# --- thin flakes ------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [2, 3, 4, 5, 6, 7])
def test_flake_magnetisation_matches_the_table(layers):
    reference = table("mbt_chain_M.csv")
    # an odd flake has a net moment, so its M(0) depends on how zero is approached
    rows = reference[(reference[:, 0] == layers) & (reference[:, 1] > 0)]
    found = mg.flake_magnetisation(rows[:, 1], MBT, layers)
    np.testing.assert_allclose(found, rows[:, 2], atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "fields"),
    [(2, [1.975]), (3, [4.175]), (4, [2.025, 2.475]), (6, [2.075, 2.325])],
)
def test_flake_jumps_where_its_surface_flops(layers, fields):
    np.testing.assert_allclose(mg.flake_flop_fields(MBT, layers), fields, atol=0.026)


def test_flake_saturates_below_the_bulk():
    for layers in (2, 4, 6):
        analytic = 2 * np.cos(np.pi / (2 * layers)) ** 2 * MBT.exchange_field
        analytic -= MBT.anisotropy_field
        M = mg.flake_magnetisation(np.array([analytic - 0.1, analytic + 0.05]), MBT, layers)
        assert M[0] < 1 - 1e-3
        assert M[1] == pytest.approx(1, abs=1e-6)


def test_thin_even_flake_moves_the_drop_of_r_to_its_own_flop():
    B = np.linspace(1.5, 3.5, 201)
    thick = mg.surface_average(B, MBT, OUT, xi=5.0, flop_spread=0.15)
    thin = mg.surface_average(B, MBT, OUT, xi=5.0, flop_spread=0.15, layers=6)
    assert B[np.gradient(thick).argmin()] == pytest.approx(3.05, abs=0.1)
    assert B[np.gradient(thin).argmin()] == pytest.approx(2.1, abs=0.1)


def test_a_flake_needs_two_layers():
    with pytest.raises(ValueError, match="at least 2"):
        mg.flake_magnetisation(1.0, MBT, 1)


# --- square of the magnetisation for the magnetoresistance ------------------------------------


def test_squared_magnetisation_of_sharp_and_spread_flop():
    B = np.array([0.0, 1.0, 2.9, 3.1, 5.0, 8.5])
    sharp = mg.magnetisation_squared(2.0, B, MBT)
    np.testing.assert_allclose(sharp, mg.macrospin(B, MBT).M ** 2, atol=1e-4)
    spread = mg.magnetisation_squared(2.0, 3.0, MBT, flop_spread=0.15)
    assert float(spread) == pytest.approx(0.5 * 0.375**2, rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(T=st.floats(1.5, 40), B=st.floats(-12, 12))
def test_squared_magnetisation_is_a_fraction(T, B):
    value = float(mg.magnetisation_squared(T, B, MBT, flop_spread=0.15))
    assert 0 <= value <= 1 + 1e-12


# --- a sweep that overruns the flop -------------------------------------------------------------


def test_switching_fields_lie_between_the_spinodals():
    lower, upper = MBT.spinodals
    assert (lower, upper) == pytest.approx((2.6504, 3.3958), abs=1e-4)
    both = np.array([True, False])
    assert mg.switching_field(MBT, both, 0.0) == pytest.approx([3.0, 3.0])
    assert mg.switching_field(MBT, both, 1.0) == pytest.approx([upper, lower])
    half = mg.switching_field(MBT, both, 0.5)
    assert half == pytest.approx([(3 + upper) / 2, (3 + lower) / 2])
    with pytest.raises(ValueError, match=r"between 0 and 1, found 1\.5"):
        mg.switching_field(MBT, True, 1.5)


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_growing_field_keeps_the_collinear_surface_up_to_the_spinodal(spread):
    where = {"xi": 5.0, "flop_spread": spread}
    B = np.array([2.0, 3.3, 3.9, 6.0, 9.0])
    equilibrium = mg.surface_average(B, MBT, "out-of-plane", **where)
    up = mg.surface_average(B, MBT, "out-of-plane", hysteresis=1.0, **where)
    down = mg.surface_average(B, MBT, "out-of-plane", hysteresis=1.0, growing=False, **where)
    assert equilibrium[1] < 0.5 < 0.8 < up[1]
    assert up[[0, 2, 3, 4]] == pytest.approx(equilibrium[[0, 2, 3, 4]], abs=1e-6)
    assert np.array_equal(down, equilibrium)


def test_squared_magnetisation_depends_on_the_direction_between_the_spinodals_only():
    B = np.array([1.0, 2.8, 3.2, 5.0, 9.0])
    arguments = {"flop_spread": 0.03, "hysteresis": 1.0}
    up = mg.magnetisation_squared(2.0, B, MBT, growing=True, **arguments)
    down = mg.magnetisation_squared(2.0, B, MBT, growing=False, **arguments)
    assert up[1:3] == pytest.approx(0.0, abs=1e-6)
    # the canted state keeps m_z = B/B_s where it is metastable
    assert down[1:3] == pytest.approx((B[1:3] / 8.0) ** 2, rel=1e-3)
    assert down[[0, 3, 4]] == pytest.approx(up[[0, 3, 4]], abs=1e-9)
    with pytest.raises(ValueError, match="needs flop_spread"):
        mg.magnetisation_squared(2.0, B, MBT, hysteresis=1.0)


def test_limits_of_the_order_parameter_and_bad_depths():
    np.testing.assert_array_equal(
        mg.order_parameter([0.0, 24.4, 30.0, np.nan], 24.4), [1, 0, 0, np.nan]
    )
    assert mg.order_parameter([], 24.4).shape == (0,)
    with pytest.raises(ValueError, match="xi must be positive"):
        mg.surface_average(1.0, MBT, OUT, xi=-5.0)


def test_lowest_ordering_temperature_leaves_no_intralayer_field():
    least = mg.lowest_ordering_temperature(spin_flop_field=3.0, saturation_field=8.0)
    magnet = mg.Magnet.from_fields(
        spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=least
    )
    assert magnet.intralayer_field == pytest.approx(0, abs=1e-12)
