"""Series junction: the device's reference curve, ohmic limits, broadcasting."""

import numpy as np
import pytest
from golden import table

from nbnmbt.physics import andreev, bcs, depairing, junction, rsj

DEVICE = {"V0": 0.0, "R_s": 8.0, "Ic": [0.95, 1.2, 2.1, 5.8], "R": [1.0, 1.0, 1.5, 20.0]}


def contact() -> dict[str, float]:
    """Contact of the default device at 2 K; its gap is depaired by the exchange field."""
    bare = float(depairing.bare_tc(6.0, 0.05))
    gap = float(depairing.order_parameter(2.0 / bare, 0.05) * bcs.gap(0.0, bare))
    return {"T": 2.0, "gap": gap, "Z": 0.3, "P": 0.6, "R_N": 10.0}


def test_device_reference_curve():
    I, V, _ = table("fwd_VI_2K.csv").T
    computed = junction.voltage(I, **DEVICE, Tn=100.0, andreev=contact())
    # 1e-3 mV of up to 63 mV: the reference inverts the contact by interpolation
    np.testing.assert_allclose(computed, V, atol=1e-3)


def test_device_reference_slope():
    # Savitzky-Golay over seven points of 10 uA, quadratic: a least-squares line
    I, _, slope = table("fwd_VI_2K.csv").T
    offsets = 0.01 * np.arange(-3, 4)
    V = junction.voltage(I[:, np.newaxis] + offsets, **DEVICE, Tn=100.0, andreev=contact())
    computed = V @ offsets / np.sum(offsets**2)
    # the end points of the reference are one-sided
    np.testing.assert_allclose(computed[1:-1], slope[1:-1], atol=2e-2)
    assert computed[np.abs(I).argmin()] == pytest.approx(23.065, abs=5e-3)


def test_sum_of_its_parts():
    I = np.linspace(-3.0, 3.0, 301)
    total = junction.voltage(
        I, V0=2e-3, R_s=8.0, Ic=[0.95, 2.1], R=[1.0, 1.5], Tn=[100.0, 50.0], andreev=contact()
    )
    expected = 2e-3 + 8.0 * I + andreev.voltage(I, **contact())
    for Ic, R, Tn in ((0.95, 1.0, 100.0), (2.1, 1.5, 50.0)):
        expected = expected + R * Ic * rsj.voltage(I / Ic, rsj.gamma(Ic, Tn))
    np.testing.assert_allclose(total, expected, atol=1e-7)


def test_normal_channels_are_ohmic():
    I = np.linspace(-2.0, 2.0, 41)
    V = junction.voltage(I, V0=0.0, R_s=1.0, Ic=[0.0, -1.0], R=[2.0, 3.0], Tn=100.0)
    np.testing.assert_allclose(V, 6.0 * I, atol=1e-12)
    # reached continuously
    V = junction.voltage(I, V0=0.0, R_s=1.0, Ic=[1e-6, 1e-9], R=[2.0, 3.0], Tn=100.0)
    np.testing.assert_allclose(V, 6.0 * I, atol=1e-5)


def test_channels_over_a_temperature_sweep():
    I = np.linspace(-3.0, 3.0, 101)
    T = np.array([2.0, 5.0, 8.0])
    Ic = np.stack([0.95 * (T < 6.0), np.array([2.1, 1.2, 0.1])])[..., np.newaxis]
    V = junction.voltage(I, V0=0.0, R_s=0.0, Ic=Ic, R=[1.0, 1.5], Tn=100.0)
    assert V.shape == (3, 101)
    for row, (first, second) in zip(V, Ic[:, :, 0].T, strict=True):
        single = junction.voltage(I, V0=0.0, R_s=0.0, Ic=[first, second], R=[1.0, 1.5], Tn=100.0)
        np.testing.assert_allclose(row, single, atol=1e-9)


def test_offset_and_oddness():
    I = np.linspace(-3.0, 3.0, 61)
    V = junction.voltage(I, **DEVICE | {"V0": 0.25}, Tn=100.0, andreev=contact())
    np.testing.assert_allclose(V + V[::-1], 0.5, atol=1e-10)


def test_large_current_is_ohmic():
    I = np.array([200.0, 400.0, 600.0, 800.0])
    V = junction.voltage(I, V0=0.0, R_s=1.0, Ic=[0.95], R=[1.0], Tn=100.0)
    np.testing.assert_allclose(V, 2.0 * I, rtol=2e-5)


def test_mismatched_channels():
    with pytest.raises(ValueError, match="channel axes differ"):
        junction.voltage(1.0, V0=0.0, R_s=1.0, Ic=[1.0, 2.0], R=[1.0], Tn=100.0)
    with pytest.raises(ValueError, match="noise temperature"):
        junction.voltage(1.0, V0=0.0, R_s=1.0, Ic=[1.0], R=[1.0], Tn=0.0)


def test_phase_slip_channel():
    I = np.linspace(-3.0, 3.0, 6001)
    V = junction.phase_slip_voltage(I, 1.5, 2.0, 0.4, 1e-6)
    sharp = np.where(np.abs(I) > 1.5, 2.0 * (np.abs(I) - 0.4 * 1.5), 0.0) * np.sign(I)
    away = np.abs(np.abs(I) - 1.5) > 1e-4
    np.testing.assert_allclose(V[away], sharp[away], atol=1e-9)
    # a Gaussian dV/dI peak of area R (1 - beta) Ic on a smoothed step
    spread = 0.05
    V = junction.phase_slip_voltage(I, 1.5, 2.0, 0.4, spread)
    slope = np.gradient(V, I)
    # both polarities; dV/dI = R [Phi + (1 - beta) I phi/spread] peaks above the mean
    shift = spread**2 * (2.0 - 0.4) / ((1.0 - 0.4) * 1.5)
    assert abs(I[slope.argmax()]) == pytest.approx(1.5 + shift, abs=6e-4)
    expected = 2.0 * (0.6 * 1.5 / (spread * np.sqrt(2.0 * np.pi)) + 0.5)
    assert slope.max() == pytest.approx(expected, rel=1e-2)
    with pytest.raises(ValueError, match="spread"):
        junction.phase_slip_voltage(1.0, 1.0, 1.0, 0.5, 0.0)


def test_an_unknown_critical_current_gives_no_voltage():
    # a critical current that is missing must not pass for a normal channel
    found = junction.channel_voltage([1.0, 1.0, 1.0], [np.nan, 0.0, 0.5], 3.0, 100.0)
    assert np.isnan(found[0])
    assert found[1] == 3.0
    assert 0 < found[2] < 3.0
