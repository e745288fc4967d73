"""What cryostat, magnet, source and voltmeter do to an ideal signal.

Each function takes its own random generator; nothing here knows what is being measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from nbnmbt.device.parameters import Instruments

Array = NDArray[np.float64]

#: Bath temperature for which the thermal resistance is stated, K.
_THERMAL_REFERENCE = 2.0
#: Temperature step of the map on which the heat balance is solved, K.
_HEATING_STEP = 0.04


def bath_temperature(
    rng: np.random.Generator, setpoint: Array | float, times: Array, instruments: Instruments
) -> Array:
    """True bath temperature around its set-point: correlated fluctuation, K.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    setpoint : float or ndarray
        K; scalar or one per time.
    times : ndarray
        Ascending, uniform times, s.
    instruments : Instruments
        Stability and correlation time.
    """
    setpoint = np.broadcast_to(np.asarray(setpoint, dtype=float), times.shape)
    stability = np.where(
        setpoint <= 10.0,
        instruments.temperature_stability,
        instruments.temperature_stability_above_10K,
    )
    step = times[1] - times[0] if times.size > 1 else 0.0
    memory = np.exp(-step / instruments.temperature_correlation)
    kicks = rng.standard_normal(times.size) * np.sqrt(1 - memory**2)
    kicks[0] = rng.standard_normal()
    return setpoint * (1 + stability * lfilter([1.0], [1.0, -memory], kicks))


def thermometer(rng: np.random.Generator, temperature: Array, instruments: Instruments) -> Array:
    """Reported temperature, K: calibration error and noise of the reading.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    temperature : ndarray
        True temperature, K.
    instruments : Instruments
        Gain error and noise.
    """
    noise = instruments.thermometer_noise * rng.standard_normal(temperature.shape)
    return temperature * (1 + instruments.thermometer_gain_error) + noise


def reported_field(rng: np.random.Generator, setpoint: Array, instruments: Instruments) -> Array:
    """Reported field, T: the supply current, so it has no remanence in it.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    setpoint : ndarray
        T.
    instruments : Instruments
        Noise of the reading.
    """
    return setpoint + instruments.field_noise * rng.standard_normal(np.shape(setpoint))


def true_field(
    setpoint: Array | float, direction: Array | float, instruments: Instruments
) -> Array:
    """True field behind a reported one, T: trapped flux, and delay while sweeping.

    Parameters
    ----------
    setpoint : float or ndarray
        T.
    direction : float or ndarray
        Sign of dB/dt; 0 in persistent mode.
    instruments : Instruments
        Remanence, rate and delay.
    """
    setpoint = np.asarray(setpoint, dtype=float)
    direction = np.asarray(direction)
    remanence = np.where(direction == 0, instruments.static_remanence, instruments.remanence)
    trapped = remanence / (1 + (setpoint / instruments.remanence_scale) ** 2)
    lag = instruments.field_rate * instruments.field_delay
    return setpoint - lag * direction + trapped


def true_angle(setpoint: Array | float, instruments: Instruments) -> Array:
    """True rotator angle, degrees, on a sweep to larger angles.

    Parameters
    ----------
    setpoint : float or ndarray
        degree.
    instruments : Instruments
        Backlash.
    """
    return np.asarray(setpoint, dtype=float) - instruments.rotator_backlash


def source_current(
    rng: np.random.Generator, setpoint: Array, instruments: Instruments
) -> tuple[Array, Array]:
    """True and read-back current of the source, A.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    setpoint : ndarray
        A.
    instruments : Instruments
        Programming step, noise, readback offset, gain error and resolution.
    """
    true = _quantise(setpoint, instruments.current_step)
    true = true + instruments.current_noise * rng.standard_normal(setpoint.shape)
    seen = true * (1 + instruments.current_gain_error) + instruments.current_offset
    return true, _quantise(seen, instruments.current_resolution)


def voltmeter(
    rng: np.random.Generator, voltage: Array, times: Array, instruments: Instruments
) -> Array:
    """Reading of the voltmeter, V: thermal EMF and drift, range gain, noise and last digit.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    voltage : ndarray
        True voltage, V.
    times : ndarray
        s.
    instruments : Instruments
        Ranges and their errors.
    """
    emf = instruments.thermal_voltage * rng.standard_normal()
    drift = instruments.thermal_drift * rng.standard_normal() * times
    signal = voltage + emf + drift
    ranges = np.asarray(instruments.voltage_ranges)
    index = np.minimum(np.searchsorted(ranges, np.abs(signal)), ranges.size - 1)
    gain = 1 + np.asarray(instruments.voltage_gain_error)[index]
    noise = np.asarray(instruments.voltage_noise)[index] * rng.standard_normal(signal.shape)
    digit = np.asarray(instruments.voltage_resolution)[index]
    reading = signal * gain + noise
    return np.where(digit > 0, np.round(reading / np.where(digit > 0, digit, 1)) * digit, reading)


class ResistanceReading(NamedTuple):
    """Averaged resistance measurement."""

    resistance: Array
    """Mean of the readings, ohm."""
    deviation: Array
    """Sample standard deviation of the single readings, ohm."""


def resistance_bridge(
    rng: np.random.Generator, resistance: Array, instruments: Instruments
) -> ResistanceReading:
    """Resistance as averaged over the readings, with the scatter the instrument reports.

    Parameters
    ----------
    rng : Generator
        Random numbers.
    resistance : ndarray
        True resistance, ohm.
    instruments : Instruments
        Relative and absolute error of the mean, number of readings.
    """
    sigma = np.hypot(instruments.resistance_noise * resistance, instruments.resistance_floor)
    mean = resistance + sigma * rng.standard_normal(resistance.shape)
    n = round(instruments.readings)
    scatter = np.sqrt(rng.chisquare(n - 1, resistance.shape) / (n - 1))
    return ResistanceReading(mean, sigma * np.sqrt(n) * scatter)


def self_heating(
    voltage_map: Callable[[Array], Array],
    current: Array,
    bath: Array,
    largest_resistance: float,
    instruments: Instruments,
) -> Array:
    """Electron temperature of the mesa along a sweep, K.

    Balance of Joule power against the heat through the oxide,
    ``P = (T_e^n - T^n)/(n R_th T_ref^(n-1))``. Where cold and hot states coexist the mesa keeps its
    state: hot while the current's size falls, cold while it rises.

    Parameters
    ----------
    voltage_map : callable
        Maps temperatures, shape (m,), to voltages, mV, shape (m, points), at ``current``.
    current : ndarray
        mA, in time order.
    bath : ndarray
        K.
    largest_resistance : float
        Upper bound of V/I, ohm; bounds the temperature.
    instruments : Instruments
        Thermal resistance and exponent; without resistance the bath temperature is returned.
    """
    if instruments.thermal_resistance == 0:
        return bath
    n = instruments.thermal_exponent
    scale = n * instruments.thermal_resistance * _THERMAL_REFERENCE ** (n - 1) * 1e-6  # mV mA -> W
    low = float(bath.min())
    top = (bath.max() ** n + scale * largest_resistance * np.max(current**2)) ** (1 / n)
    nodes = np.linspace(low, top, max(int(np.ceil((top - low) / _HEATING_STEP)) + 1, 3))
    power = np.abs(voltage_map(nodes) * current)
    column = np.arange(current.size)

    def heated(temperature: Array) -> Array:
        place = (temperature - low) / (nodes[1] - low)
        below = np.clip(place.astype(int), 0, nodes.size - 2)
        part = place - below
        at = (1 - part) * power[below, column] + part * power[below + 1, column]
        return (bath**n + scale * at) ** (1 / n)

    # fixed points from below and from above: V grows with T, so both iterations are monotone
    cold, hot = bath, heated(np.full(bath.shape, top))
    for _ in range(200):
        new_cold, new_hot = heated(cold), heated(hot)
        change = max(np.max(np.abs(new_cold - cold)), np.max(np.abs(new_hot - hot)))
        cold, hot = new_cold, new_hot
        if change < 1e-6:
            break
    falling = np.zeros(current.shape, dtype=bool)
    falling[:-1] = np.abs(current[1:]) < np.abs(current[:-1])
    return np.where(falling, hot, cold)


def _quantise(values: Array, step: float) -> Array:
    return np.round(values / step) * step if step > 0 else values
