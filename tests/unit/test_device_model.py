"""Ideal signals of the surrogate: reference values, and the features that must emerge."""

import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from golden import golden, table

from nbnmbt.device import parameters
from nbnmbt.device.model import Model
from nbnmbt.physics import andreev, bcs, depairing
from nbnmbt.physics.constants import K_B_meV

DEVICES = Path(__file__).parents[2] / "workflow" / "devices"
OUT, IN = "out-of-plane", "in-plane"

#: The reference curves assume one flop field and a film of higher diffusivity.
REFERENCE = (("magnetism.spin_flop_spread", 0.0), ("channels.Ic3.diffusivity", 0.40))


@lru_cache(maxsize=16)
def model(name: str = "surrogate", overrides: tuple = ()) -> Model:
    path = next(DEVICES.rglob(f"{name}.yaml"))
    return Model(parameters.load(path, overrides=dict(overrides)))


# --- reference values -------------------------------------------------------------------------


@golden(r"fwd\.Ic\d\.2K\.")
def test_critical_currents_in_field_reference(entry):
    k = int(entry.key[len("fwd.Ic")])
    orientation = OUT if ".c." in entry.key else IN
    entry.check(model(overrides=REFERENCE).critical_current(k, 2.0, entry["B"], orientation))


@golden(r"fwd\.Ic\d\.T=")
def test_critical_currents_against_temperature_reference(entry):
    entry.check(model().critical_current(int(entry.key[len("fwd.Ic")]), entry["T"]))


def test_critical_currents_in_field_table():
    for row in table("fwd_Ic_B.csv"):
        for k in range(3):
            for orientation, value in ((OUT, row[1 + k]), (IN, row[4 + k])):
                found = model(overrides=REFERENCE).critical_current(k, 2.0, row[0], orientation)
                assert float(found) == pytest.approx(value, abs=1.5e-4)


def reference_gap(T):
    """Gap the reference curves put at the contact: the order parameter of channel 0 itself.

    The device keeps a BCS gap that closes at its stated T_AR; without field the two differ by a
    few per cent.
    """
    bare = model().bare_critical_temperature(0)
    alpha = model().pair_breaking(0, T, 0.0, OUT)
    scale = bcs.DELTA0_OVER_KTC * K_B_meV * bare
    return float(scale * depairing.order_parameter(T / bare, alpha))


def test_interface_resistance_table():
    for T, R, _, _ in table("fwd_RT.csv"):
        rest = model().interface_resistance(T) - model().loop(T, 0.0, 1.0)
        rest -= model().andreev_resistance(T)
        gap = reference_gap(T)
        contact = 10 * andreev.zero_bias_resistance(T, gap, 0.3, 0.6) if gap > 0 else 10.0
        # the reference smears T_N with few nodes
        near = abs(T - 24.4) < 0.7
        assert float(rest + contact) == pytest.approx(R, abs=1.5e-3 if near else 1e-4)


def test_voltage_table():
    # the reference has 8 ohm in series, the model the flake's own resistance at 2 K
    reference = table("fwd_VI_2K.csv")
    current = reference[:, 0]
    found = model().voltage("interface", current, 2.0)
    found = found + (8.0 - float(model().mnbi2te4_resistance(2.0))) * current
    mine = andreev.voltage(current, 2.0, float(model().andreev_gap(2.0)), 0.3, 0.6, 10.0)
    theirs = andreev.voltage(current, 2.0, reference_gap(2.0), 0.3, 0.6, 10.0)
    # the reference inverts I(V) of the contact by interpolation, good to 0.6 uV of 60 mV
    np.testing.assert_allclose(found - mine + theirs, reference[:, 1], atol=8e-4)


# --- what must come out of the magnetisation --------------------------------------------------


def test_kink_at_the_spin_flop_emerges():
    B = np.linspace(0, 9, 901)
    for k, least in ((0, 0.03), (1, 0.01)):
        Ic = model().critical_current(k, 2.0, B)
        rising = B[1:][np.diff(Ic) > 0]
        assert 2.8 < rising.min() < 3.0 < rising.max() < 3.6
        low = Ic[np.argmin(np.abs(B - rising.min()))]
        assert Ic[np.argmin(np.abs(B - rising.max()))] - low > least
    # and it is the flop that makes it: without it, or without coupling, Ic only falls
    for k in range(4):
        assert np.all(np.diff(model().critical_current(k, 2.0, B, collinear=True)) < 0)
        uncoupled = model("N02_no_spinflop_coupling").critical_current(k, 2.0, B)
        assert np.all(np.diff(uncoupled) < 0)


def test_kink_moves_with_the_flop_of_the_interface():
    B = np.linspace(2, 6, 401)
    Ic = model("N10_kink_elsewhere").critical_current(0, 2.0, B)
    rising = B[1:][np.diff(Ic) > 0]
    assert 4.2 < rising.min() < 4.5 < rising.max() < 5.0


def test_bulk_moments_make_the_kink_larger():
    B = np.linspace(2, 4, 401)
    heights = []
    for surface in ("open", "bulk"):
        Ic = model(overrides=(("magnetism.surface", surface),)).critical_current(0, 2.0, B)
        rising = np.flatnonzero(np.diff(Ic) > 0)
        heights.append(Ic[rising[-1] + 1] - Ic[rising[0]])
    assert heights[1] > 1.5 * heights[0] > 0.05


def test_in_plane_currents_fall_strictly():
    B = np.linspace(0, 9, 3601)
    for k in range(4):
        assert np.all(np.diff(model().critical_current(k, 2.0, B, IN)) < 0)


def test_mean_exchange_field_lowers_the_currents():
    device = model("N18_exchange_average")
    B = np.linspace(0, 9, 181)
    for k in range(3):
        Ic = device.critical_current(k, 2.0, B)
        assert np.all(np.diff(Ic) < 0)
        assert np.all(np.diff(device.critical_current(k, 2.0, B, IN)) < 0)
        without = device.critical_current(k, 2.0, B, collinear=True)
        assert np.max(without - Ic) > 0.02
        assert Ic[-1] > 0.15


def test_film_stays_out_of_the_field_maps():
    for orientation, theta in ((OUT, 0.0), (IN, 0.0), (IN, 90.0)):
        assert model().critical_current(3, 2.0, 9.0, orientation, theta) > 3.5


def test_order_of_the_currents_holds_in_temperature():
    T = np.arange(2, 10.7, 0.1)
    currents = [model().critical_current(k, T) for k in range(4)]
    for lower, upper in itertools.pairwise(currents):
        on = upper > 0
        assert np.all(lower[on] < upper[on])


def test_critical_temperatures():
    found = model().critical_temperatures
    # the sublattice magnetisation at Tc is a little below 1, so is the exchange
    np.testing.assert_allclose(found, [6.0, 6.6, 8.6, 10.8], atol=0.015)
    for k in range(4):
        assert model().critical_current(k, found[k] + 1e-3) == 0
        assert model().critical_current(k, found[k] - 1e-3) > 0


def test_order_parameter_by_another_law():
    steep = model(overrides=(("magnetism.order_parameter", "beta"),))
    T = np.array([2.0, 10.0, 22.0, 24.4, 30.0])
    m = np.maximum(1 - T / 24.4, 0) ** 0.35
    np.testing.assert_allclose(steep.sublattice_magnetisation(T), m, rtol=1e-12)
    np.testing.assert_allclose(steep.exchange(T, 0.0, OUT), m**2, rtol=1e-9)
    np.testing.assert_allclose(steep.loop_amplitude(T), 0.05 * m**2, rtol=1e-12)
    softening = 1 - 0.35 * np.sqrt(np.minimum(T / 24.4, 1))
    np.testing.assert_allclose(steep.coercive_field(T), 0.2 * m * softening, rtol=1e-12)
    # the currents stay the stated ones at 2 K, the temperatures change with m(Tc)
    assert steep.critical_current(0, 2.0) == pytest.approx(0.95)
    assert steep.critical_temperatures[0] > model().critical_temperatures[0] + 0.02
    # Brillouin's m saturates exponentially, the power law does not
    assert model().sublattice_magnetisation(2.0) > 0.9999 > steep.sublattice_magnetisation(2.0)


def test_other_temperature_laws():
    T = np.array([2.0, 3.0, 5.0])
    linear = model("N04a_linear_law").critical_current(3, T)
    np.testing.assert_allclose(linear, 5.8 * (10.8 - T) / 8.8, rtol=1e-12)
    power = model("N04b_ginzburg_landau_law").critical_current(3, T)
    np.testing.assert_allclose(power, 5.8 * ((10.8 - T) / 8.8) ** 1.5, rtol=1e-12)


# --- angle ------------------------------------------------------------------------------------


def test_currents_do_not_depend_on_angle_but_the_noise_does():
    theta = np.arange(0, 361, 10.0)
    for k in range(3):
        Ic = model().critical_current(k, 2.0, 9.0, IN, theta)
        assert np.ptp(Ic) == 0
    noise = model().noise_temperature(9.0, IN, theta)
    assert noise.min() == pytest.approx(200)
    assert noise.max() == pytest.approx(400)
    assert theta[noise.argmax()] in (90.0, 270.0)
    film = model().critical_current(3, 2.0, 9.0, IN, theta)
    assert film.min() / film.max() == pytest.approx(0.85, abs=1e-9)


@pytest.mark.parametrize(("degrees", "drop"), [(0.5, 0.0115), (1.0, 0.023), (2.0, 0.046)])
def test_tilt_modulates_the_lowest_current(degrees, drop):
    tilted = model(overrides=(("anomalies.tilt", degrees),))
    across, along = (tilted.critical_current(0, 2.0, 9.0, IN, t) for t in (90.0, 0.0))
    assert 1 - along / across == pytest.approx(drop, rel=0.05)


def test_planted_anomalies():
    theta = np.arange(0, 360, 10.0)
    two = model("N05_anisotropic_Ic").critical_current(1, 2.0, 9.0, IN, theta)
    one = model("N07_one_fold_drift").critical_current(1, 2.0, 9.0, IN, theta)
    flat = float(model().critical_current(1, 2.0, 9.0, IN))
    np.testing.assert_allclose(two / flat, 1 + 0.03 * np.cos(2 * np.deg2rad(theta)), atol=1e-12)
    np.testing.assert_allclose(one / flat, 1 + 0.03 * np.cos(np.deg2rad(theta)), atol=1e-12)
    # An anisotropy grows with the field and leaves the fall with field monotonic; what drifts with
    # the rotator does so at any field.
    weak = model("N05_anisotropic_Ic").critical_current(1, 2.0, 3.0, IN, 0.0)
    assert weak / model().critical_current(1, 2.0, 3.0, IN) == pytest.approx(1 + 0.03 / 9)
    fields = np.linspace(0, 9, 181)
    for name in ("N05_anisotropic_Ic", "N07_one_fold_drift"):
        assert np.all(np.diff(model(name).critical_current(0, 2.0, fields, IN)) < 0)
    B = np.array([4.0, 6.0])
    step = model("N11_in_plane_kink").critical_current(1, 2.0, B, IN)
    np.testing.assert_allclose(step / model().critical_current(1, 2.0, B, IN), [1, 1.06], rtol=1e-6)


# --- V(I) -------------------------------------------------------------------------------------


def test_voltage_is_odd():
    current = np.linspace(-7, 7, 561)
    for configuration in ("interface", "NbN", "MnBi2Te4"):
        V = model().voltage(configuration, current, 3.0, 4.0, OUT)
        np.testing.assert_allclose(V, -V[::-1], atol=1e-12)


@pytest.mark.parametrize("T", [2.0, 5.9, 6.3, 9.0, 10.79, 11.5])
@pytest.mark.parametrize(("B", "orientation"), [(0.0, OUT), (5.0, OUT), (9.0, IN)])
def test_exact_and_tabulated_sums_agree(T, B, orientation):
    current = np.linspace(-7, 7, 281)
    for configuration in ("interface", "NbN", "MnBi2Te4"):
        exact = model().voltage(configuration, current, T, B, orientation, 40.0)
        quick = model().voltage_map(configuration, current, [T], B, orientation, 40.0)[0]
        np.testing.assert_allclose(exact, quick, atol=2e-6)


def test_small_temperature_changes_are_followed():
    current = np.linspace(-3, 3, 301)
    rng = np.random.default_rng(3)
    T = 4.0 + 0.003 * rng.standard_normal(current.size)
    together = model().voltage("interface", current, T)
    apart = [
        float(model().voltage("interface", current[[i]], T[[i]])[0]) for i in range(0, 301, 20)
    ]
    np.testing.assert_allclose(together[::20], apart, atol=1e-6)


def test_large_temperature_changes_are_followed():
    current = np.linspace(0.1, 7, 120)
    T = 2.0 + current / 2
    together = model().voltage("interface", current, T)
    apart = [float(model().voltage("interface", current[[i]], T[[i]])[0]) for i in range(120)]
    # interpolated over nodes 0.04 K apart
    np.testing.assert_allclose(together, apart, atol=0.02)


def test_channels_above_their_tc_are_ohmic():
    current = np.linspace(-7, 7, 15)
    T = 11.5
    V = model().voltage("interface", current, T)
    R = float(model().interface_resistance(T) - model().loop(T, 0.0, 1.0))
    np.testing.assert_allclose(V, R * current, rtol=1e-9)


def test_differential_resistance_has_its_peaks():
    current = np.arange(-3000, 3001) * 1e-3
    slope = np.gradient(model().voltage("interface", current, 2.0), current)
    half = slope[3000:]
    inner = (half[1:-1] > half[:-2]) & (half[1:-1] > half[2:])
    peaks = current[3001:-1][inner]
    np.testing.assert_allclose(peaks, [0.95, 1.2, 2.1], atol=3e-3)
    # a maximum at zero bias, and no dip anywhere below its end
    assert slope[3000] == slope[2900:3101].max()
    for T in (3.0, 5.0):
        near = model().voltage("interface", np.array([0.001, 0.05]), T)
        assert near[0] / 0.001 > near[1] / 0.05


def test_zero_bias_resistance_of_voltage_and_bridge_agree():
    tiny = np.array([1e-5])
    for T, B in ((2.0, 0.0), (5.0, 0.0), (2.0, 6.0)):
        slope = float(model().voltage("interface", tiny, T, B)[0]) / tiny[0]
        bridge = float(model().interface_resistance(T, B) - model().loop(T, B, 1.0))
        assert slope == pytest.approx(bridge, rel=1e-5)


# --- resistances ------------------------------------------------------------------------------


def test_interface_resistance_turns_up_when_cold():
    T = np.arange(2, 10.5, 0.02)
    R = model().interface_resistance(T) - model().loop(T, 0.0, 1.0)
    assert T[R.argmin()] == pytest.approx(5.9, abs=0.2)
    assert R[0] / R.min() == pytest.approx(1.25, abs=0.01)
    flat = model("N03_no_AR")
    R = flat.interface_resistance(T) - flat.loop(T, 0.0, 1.0)
    assert np.all(np.diff(R[T < 5.5]) > 0)


def test_magnetoresistance_has_its_features():
    B = np.linspace(-12, 12, 2401)
    R = model().mnbi2te4_resistance(2.0, B)
    odd = 0.5 * (R - R[::-1])
    np.testing.assert_allclose(odd, 1e-4 * B * model().mnbi2te4_resistance(2.0), atol=1e-10)
    even = 0.5 * (R + R[::-1])
    slope = np.gradient(even, B)
    inside = (B > 2) & (B < 4)
    assert B[inside][slope[inside].argmin()] == pytest.approx(3.0, abs=0.1)
    bend = np.gradient(slope, B)
    inside = (B > 6) & (B < 10)
    assert B[inside][bend[inside].argmax()] == pytest.approx(8.0, abs=0.03)
    film = model().nbn_resistance(2.0, B)
    assert np.all(film < 1e-6)


def test_interface_shows_the_flop_of_the_flake():
    # the Andreev contact adds a smooth background only
    B = np.linspace(2, 4, 401)
    interface = model().interface_resistance(2.0, B, 1.0)
    flake = model().mnbi2te4_resistance(2.0, B)
    background = np.polynomial.Polynomial.fit(B, interface - flake, 2)(B)
    np.testing.assert_allclose(interface - flake, background, atol=2e-4)


def test_magnetoresistance_jumps_near_ten_kelvin():
    T = np.arange(2, 30, 0.1)
    rise = model().interface_resistance(T, 1.0, 1) - model().interface_resistance(T, 0.0, 1)
    assert 9.8 <= T[rise.argmax()] <= 10.7
    assert rise.max() > 10 * abs(rise[np.argmin(np.abs(T - 8.0))])


def test_loops_are_small_and_closed():
    T = np.array([2.0, 10.0, 20.0, 24.0, 25.0])
    coercive = model().coercive_field(T)
    assert coercive[0] == pytest.approx(0.18, abs=1e-3)
    assert np.all(coercive < 0.3 * 3.0)
    assert coercive[-1] == 0
    assert np.all(np.diff(coercive) < 0)
    opening = model().loop(T, 1.0, 1) - model().loop(T, 1.0, -1)
    np.testing.assert_allclose(opening, 0, atol=1e-12)
    assert not np.any(model("N01_no_interface_magnetism").loop(T, 0.18, 1))


def test_ferromagnetic_flake_shows_neither_flop_nor_saturation():
    B = np.linspace(0.2, 12, 60)
    R = model("N13_ferromagnetic").mnbi2te4_resistance(2.0, B)
    # only kappa B^2 and the odd admixture are left
    fit = np.polynomial.Polynomial.fit(B, R, 2)(B)
    np.testing.assert_allclose(R, fit, atol=1e-5)


def test_thin_flake_flops_earlier():
    B = np.linspace(1.5, 4, 251)
    R = model("N19_thin_even_flake").mnbi2te4_resistance(2.0, B)
    assert B[np.gradient(R).argmin()] < 2.5


def test_bare_film_in_all_contacts():
    bare = model("N16_bare_NbN")
    current = np.linspace(-8, 8, 41)
    np.testing.assert_allclose(
        bare.voltage("interface", current, 2.0), bare.voltage("NbN", current, 2.0), atol=1e-12
    )
    assert bare.interface_resistance(5.0) == pytest.approx(0, abs=1e-12)


def test_unknown_configuration_is_refused():
    with pytest.raises(ValueError, match="configuration must be"):
        model().resistance("graphene", 2.0, 0.0)
    with pytest.raises(ValueError, match="configuration must be"):
        model().voltage("graphene", np.array([1.0]), 2.0)
    with pytest.raises(ValueError, match="configuration must be"):
        model().voltage_map("graphene", np.array([1.0]), [2.0])


def test_an_empty_sweep_has_no_voltage():
    assert model().voltage("interface", np.array([]), 2.0).shape == (0,)


def test_andreev_gap_closes_and_falls_with_field():
    assert model().andreev_gap(6.0) == 0
    B = np.linspace(0, 9, 91)
    for orientation in (OUT, IN):
        assert np.all(np.diff(model().andreev_gap(2.0, B, orientation)) < 0)
    # at full share it follows the exchange, so it rises at the flop like Ic0
    full = model(overrides=(("andreev.exchange_share", 1.0),))
    assert np.any(np.diff(full.andreev_gap(2.0, B)) > 0)
    assert model().andreev_gap(2.0) == full.andreev_gap(2.0)
    ratio = model().andreev_resistance(2.0) / 10.0
    assert ratio == pytest.approx(andreev.zero_bias_resistance(2.0, 0.90683, 0.3, 0.6), rel=1e-4)


def test_flop_with_hysteresis_splits_the_two_sides_of_a_sweep():
    device = model(
        overrides=(
            ("magnetism.spin_flop_hysteresis", 1.0),
            ("magnetism.spin_flop_spread", 0.05),
            ("mnbi2te4.hall_admixture", 0.0),
        )
    )
    B = np.arange(12.0, -12.005, -0.01)
    R = device.resistance("MnBi2Te4", 2.0, B, -1.0)
    near = (np.abs(B) > 2) & (np.abs(B) < 4)
    steps = np.abs(np.gradient(R, B))
    falling = B[near & (B > 0)][np.argmax(steps[near & (B > 0)])]
    growing = -B[near & (B < 0)][np.argmax(steps[near & (B < 0)])]
    lower, upper = device.magnet.spinodals
    assert falling == pytest.approx(lower, abs=0.03)
    assert growing == pytest.approx(upper, abs=0.03)
    # a map of critical currents is taken at growing fields
    Ic = device.critical_current(0, 2.0, [3.3, 3.6])
    equilibrium = model(overrides=(("magnetism.spin_flop_spread", 0.05),))
    assert Ic[0] < equilibrium.critical_current(0, 2.0, 3.3) - 0.05
    assert Ic[1] == pytest.approx(float(equilibrium.critical_current(0, 2.0, 3.6)), abs=1e-4)


@pytest.mark.parametrize("T", [2.0, 7.0])
def test_phase_slip_channel(T):
    slip = (
        ("channels.Ic1.switching", "phase slip"),
        ("channels.Ic1.excess_fraction", 0.3),
        ("channels.Ic1.critical_current_spread", 0.01),
    )
    device = model(overrides=slip)
    current = np.linspace(-3, 3, 6001)
    V = device.voltage("interface", current, T)
    assert pytest.approx(-V[::-1], abs=1e-12) == V
    on_map = device.voltage_map("interface", current, [T])[0]
    assert on_map == pytest.approx(V, abs=2e-4)
    rest = model(overrides=(*slip, ("channels.Ic1.present", False)))
    own = V - rest.voltage("interface", current, T)
    critical = float(device.critical_current(1, T))
    if critical <= 0:
        assert own == pytest.approx(current, abs=1e-12)  # ohmic above Tc, R_k = 1 ohm
        return
    # far above Ic: V = R (I - beta Ic); below it nothing; dV/dI peaks at Ic, a Gaussian of sigma
    assert own[-1] == pytest.approx(3 - 0.3 * critical, abs=1e-9)
    assert own[np.abs(current) < 0.9 * critical] == pytest.approx(0, abs=1e-9)
    slope = np.gradient(own, current)
    positive = current > 0
    peak = current[positive][np.argmax(slope[positive])]
    assert peak == pytest.approx(critical, rel=0.01)
    # the resistance of the bridge agrees with the V(I) curve at small currents
    small = device.voltage("interface", np.array([1e-4]), T)[0] / 1e-4
    assert float(device.resistance("interface", T, 0.0)) == pytest.approx(small, rel=1e-5)
