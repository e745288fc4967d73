"""Instruments: each artefact has the size and the sign its parameter states."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from nbnmbt.device import instruments as lab
from nbnmbt.device import parameters

SURROGATE = Path(__file__).parents[2] / "workflow" / "devices" / "surrogate.yaml"
TOOLS = parameters.load(SURROGATE).instruments


def rng():
    return np.random.default_rng(20250612)


def perfect(**changes):
    """Instruments without any artefact, except those asked for."""
    quiet = {
        item.name: 0.0
        for item in dataclasses.fields(TOOLS)
        if isinstance(getattr(TOOLS, item.name), float)
    }
    kept = {
        name: getattr(TOOLS, name)
        for name in (
            "point_period",
            "temperature_correlation",
            "remanence_scale",
            "field_rate",
            "readings",
            "excitation",
            "thermal_exponent",
        )
    }
    ranges = {
        name: tuple(0.0 for _ in getattr(TOOLS, name))
        for name in ("voltage_noise", "voltage_resolution", "voltage_gain_error")
    }
    return dataclasses.replace(TOOLS, **{**quiet, **kept, **ranges, **changes})


def test_perfect_instruments_change_nothing():
    tools, times = perfect(), np.arange(50) * 0.12
    values = np.linspace(-3e-3, 3e-3, 50)
    np.testing.assert_array_equal(lab.bath_temperature(rng(), 4.0, times, tools), 4.0)
    np.testing.assert_array_equal(lab.thermometer(rng(), values, tools), values)
    np.testing.assert_array_equal(lab.reported_field(rng(), values, tools), values)
    np.testing.assert_array_equal(lab.true_field(values, 1.0, tools), values)
    true, seen = lab.source_current(rng(), values, tools)
    np.testing.assert_array_equal(true, values)
    np.testing.assert_array_equal(seen, values)
    np.testing.assert_array_equal(lab.voltmeter(rng(), values, times, tools), values)
    np.testing.assert_array_equal(lab.resistance_bridge(rng(), values, tools).resistance, values)


def test_bath_fluctuates_as_stated():
    times = np.arange(200_000) * 1.0
    for setpoint, stability in (
        (4.0, TOOLS.temperature_stability),
        (20.0, TOOLS.temperature_stability_above_10K),
    ):
        T = lab.bath_temperature(rng(), setpoint, times, TOOLS)
        assert np.std(T / setpoint) == pytest.approx(stability, rel=0.05)
        x = T - setpoint
        lag = round(TOOLS.temperature_correlation)
        assert np.mean(x[lag:] * x[:-lag]) / np.var(x) == pytest.approx(np.exp(-1), abs=0.05)


def test_bath_starts_in_equilibrium():
    first = [
        lab.bath_temperature(np.random.default_rng(i), 2.0, np.arange(3) * 0.1, TOOLS)[0]
        for i in range(2000)
    ]
    assert np.std(first) / 2.0 == pytest.approx(TOOLS.temperature_stability, rel=0.06)


def test_source_steps_noise_and_readback():
    setpoint = np.full(100_000, 1.23456e-3)
    true, seen = lab.source_current(rng(), setpoint, TOOLS)
    assert np.mean(true) == pytest.approx(1.2345e-3, abs=1e-9)  # multiple of 0.5 uA
    assert np.std(true) == pytest.approx(TOOLS.current_noise, rel=0.02)
    counts = seen / TOOLS.current_resolution
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-6)
    assert np.mean(seen - true) == pytest.approx(TOOLS.current_offset, abs=1e-9)


@pytest.mark.parametrize(("level", "index"), [(5e-3, 0), (-60e-3, 1), (0.3, 2), (5.0, 2)])
def test_voltmeter_range_sets_noise_digit_and_gain(level, index):
    tools = dataclasses.replace(TOOLS, thermal_voltage=0.0, thermal_drift=0.0)
    reading = lab.voltmeter(rng(), np.full(50_000, level), np.zeros(50_000), tools)
    digit = tools.voltage_resolution[index]
    np.testing.assert_allclose(reading / digit, np.round(reading / digit), atol=1e-4)
    noise = np.hypot(tools.voltage_noise[index], digit / np.sqrt(12))
    assert np.std(reading) == pytest.approx(noise, rel=0.02)
    gain = np.mean(reading) / level - 1
    expected = tools.voltage_gain_error[index]
    assert gain == pytest.approx(expected, abs=5 * noise / abs(level) / np.sqrt(50_000))


def test_thermal_voltage_is_new_each_sweep_and_drifts():
    tools = perfect(thermal_voltage=5e-7, thermal_drift=1e-9)
    times = np.array([0.0, 100.0])
    readings = np.array(
        [lab.voltmeter(np.random.default_rng(i), np.zeros(2), times, tools) for i in range(3000)]
    )
    assert np.std(readings[:, 0]) == pytest.approx(5e-7, rel=0.05)
    assert np.std(np.diff(readings)) == pytest.approx(1e-7, rel=0.05)


def test_field_lags_and_remembers():
    tools = perfect(field_delay=0.3, remanence=5e-3, static_remanence=1e-3)
    lag = 0.3 * TOOLS.field_rate
    assert lag == pytest.approx(1.5e-3)
    assert lab.true_field(0.0, 0.0, tools) == pytest.approx(1e-3)
    # the true field is behind: lower on the way up, higher on the way down
    assert lab.true_field(0.0, +1.0, tools) == pytest.approx(5e-3 - lag)
    assert lab.true_field(0.0, -1.0, tools) == pytest.approx(5e-3 + lag)
    scale = TOOLS.remanence_scale
    assert lab.true_field(scale, 1.0, tools) - scale == pytest.approx(2.5e-3 - lag)


def test_rotator_lags():
    assert lab.true_angle(90.0, TOOLS) == pytest.approx(90.0 - TOOLS.rotator_backlash)


def test_bridge_reports_the_scatter_it_has():
    R = np.full(20_000, 20.0)
    mean, deviation = lab.resistance_bridge(rng(), R, TOOLS)
    sigma = np.hypot(20.0 * TOOLS.resistance_noise, TOOLS.resistance_floor)
    assert np.std(mean) == pytest.approx(sigma, rel=0.03)
    of_the_mean = deviation / np.sqrt(TOOLS.readings)
    assert np.mean(of_the_mean**2) == pytest.approx(sigma**2, rel=0.03)
    # 24 degrees of freedom
    assert np.std(of_the_mean**2) / sigma**2 == pytest.approx(np.sqrt(2 / 24), rel=0.05)


# --- self-heating -----------------------------------------------------------------------------


def ohmic(resistance, current):
    return lambda nodes: resistance * current + 0 * nodes[:, None]


def test_no_thermal_resistance_no_heating():
    bath = np.full(5, 2.0)
    assert lab.self_heating(ohmic(1.0, np.ones(5)), np.ones(5), bath, 1.0, perfect()) is bath


def test_heat_balance_of_a_resistor_is_exact():
    tools = perfect(thermal_resistance=1e4, thermal_exponent=4.0)
    current = np.linspace(-5, 5, 101)
    T = lab.self_heating(ohmic(20.0, current), current, np.full(101, 2.0), 20.0, tools)
    power = 20.0 * (current * 1e-3) ** 2
    np.testing.assert_allclose(T**4 - 16, 4 * 1e4 * 8 * power, rtol=1e-9, atol=1e-9)


def test_small_power_sees_the_stated_resistance():
    tools = perfect(thermal_resistance=1e3, thermal_exponent=3.0)
    current = np.array([0.0, 0.1])
    T = lab.self_heating(ohmic(10.0, current), current, np.full(2, 2.0), 10.0, tools)
    assert T[1] - 2 == pytest.approx(1e3 * 10.0 * (1e-4) ** 2, rel=1e-3)


def test_hot_and_cold_states_coexist():
    # resistive only above 3 K: with enough heating both states support themselves
    tools = perfect(thermal_resistance=1e5, thermal_exponent=1.0)
    current = np.concatenate([np.linspace(0, 3, 31), np.linspace(2.9, 0, 30)])

    def switching(nodes):
        return 10.0 * current * (nodes[:, None] > 3.0) + 0.5 * current

    T = lab.self_heating(switching, current, np.full(61, 2.0), 10.5, tools)
    up, down = T[:31], T[30:][::-1]
    assert np.all(down >= up - 1e-6)
    assert np.max(down - up) > 1.0
