"""Write the raw files of a virtual device: ``python -m nbnmbt.device.simulate --device FILE``.

The folder appears in one piece: everything is written beside it and moved in place at the end. The
same device file and seed give the same bytes: each file's random numbers derive from the seed and
the file's own name, so they depend neither on order nor on which other files exist.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import os
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from nbnmbt.device import instruments as lab
from nbnmbt.device import writers
from nbnmbt.device.model import Model
from nbnmbt.device.parameters import (
    CHANNELS,
    REFERENCE_TEMPERATURE,
    DeviceParameters,
    Segments,
    load,
)
from nbnmbt.errors import InputError, did_you_mean
from nbnmbt.physics import magnet, resistance, rsj

Array = NDArray[np.float64]

MEASUREMENTS: tuple[str, ...] = (
    "rt_interface",
    "rt_mnbi2te4",
    "rt_nbn",
    "mr_interface",
    "mr_mnbi2te4",
    "mr_nbn",
    "iv_interface",
    "iv_mnbi2te4",
    "iv_nbn",
    "iv_temperature",
    "iv_out_of_plane",
    "iv_in_plane",
    "iv_angle",
    "iv_angle_nbn",
    "loops_interface",
)
_CONFIGURATIONS = {"interface": "interface", "mnbi2te4": "MnBi2Te4", "nbn": "NbN"}
_BRIDGE = {"interface": 1, "MnBi2Te4": 2, "NbN": 3}
_SHEET = (
    "measurement",
    "file",
    "quantity",
    "configuration",
    "orientation",
    "temperature_K",
    "field_T",
    "angle_deg",
    "layout",
    "channel",
    "sha256",
)
#: Ramp of R(T), K/s, and settling per point of R(T), s.
_TEMPERATURE_RATE = 0.2 / 60
_SECONDS_PER_POINT = 5.0
#: Controller clock at the first row, s.
_UPTIME = 1.2e7


def grid(rows: Segments) -> Array:
    """Values of a list of [start, stop, step]; where two segments touch, the joint counts once.

    Parameters
    ----------
    rows : tuple of (start, stop, step)
        Any unit; ``step`` is positive in either direction.
    """
    out: list[float] = []
    for start, stop, step in rows:
        count = round(abs(stop - start) / step)
        values = np.round(start + np.arange(count + 1) * (step if stop > start else -step), 10)
        skip = 1 if out and abs(out[-1] - values[0]) < 1e-9 else 0
        out.extend(values[skip:].tolist())
    return np.array(out) + 0.0  # no negative zero


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One raw file to be written."""

    measurement: str
    file: str
    quantity: str
    configuration: str
    orientation: str
    temperature: float | None
    field: float | None
    angle: float | None
    values: Array
    """The swept set-points: mA, K or T, in time order."""

    @property
    def layout(self) -> str:
        """Raw format."""
        return "iv-text" if self.quantity == "V-I" else "multivu"

    @property
    def channel(self) -> str:
        """Bridge of a MultiVu file."""
        return str(_BRIDGE[self.configuration]) if self.layout == "multivu" else ""


def plan(device: DeviceParameters) -> list[Sweep]:
    """All sweeps of a device, in the order of the sheet.

    Parameters
    ----------
    device : DeviceParameters
        Its grids say what is measured where.

    Raises
    ------
    InputError
        If ``grids.not_measured`` names something unknown, or two sweeps share a file.
    """
    skip = set(device.grids.not_measured)
    for name in skip:
        if name not in MEASUREMENTS:
            raise InputError(
                "grids.not_measured: unknown measurement",
                file=f"{device.name}.yaml",
                found=name,
                advice=did_you_mean(name, MEASUREMENTS),
            )
    sweeps = list(_resistance_sweeps(device)) + list(_voltage_sweeps(device))
    order = {name: i for i, name in enumerate(MEASUREMENTS)}
    sweeps = [sweep for sweep in sweeps if sweep.measurement not in skip]
    written: set[str] = set()
    for sweep in sweeps:  # one file would replace the other
        if sweep.file in written:
            raise InputError(
                f"grids: two sweeps of {sweep.measurement} have the same set-point",
                file=f"{device.name}.yaml",
                found=sweep.file,
                expected="set-points that differ by more than the rounding of the file names",
            )
        written.add(sweep.file)
    return sorted(sweeps, key=lambda sweep: order[sweep.measurement])


def _resistance_sweeps(device: DeviceParameters) -> Iterator[Sweep]:
    grids = device.grids
    for short, configuration in _CONFIGURATIONS.items():
        yield Sweep(
            measurement=f"rt_{short}",
            file=f"rt/rt_{short}.dat",
            quantity="R-T",
            configuration=configuration,
            orientation="",
            temperature=None,
            field=0.0,
            angle=None,
            values=grid(grids.rt_temperature),
        )
        yield Sweep(
            measurement=f"mr_{short}",
            file=f"mr/mr_{short}.dat",
            quantity="R-B",
            configuration=configuration,
            orientation="out-of-plane",
            temperature=grids.mr_temperature,
            field=None,
            angle=None,
            values=grid(grids.mr_field),
        )
    up = grid(grids.loop_field)
    for T in grids.loop_temperature:
        yield Sweep(
            measurement="loops_interface",
            file=f"loops/loop_{T:06.3f}K.dat",
            quantity="R-B",
            configuration="interface",
            orientation="out-of-plane",
            temperature=T,
            field=None,
            angle=None,
            values=np.concatenate([up, up[-2::-1]]),
        )


def _voltage_sweeps(device: DeviceParameters) -> Iterator[Sweep]:
    grids = device.grids
    base = grids.iv_temperature

    def sweep(measurement: str, file: str, values: Segments, **where: Any) -> Sweep:
        defaults = {
            "configuration": "interface",
            "orientation": "",
            "temperature": base,
            "field": 0.0,
            "angle": None,
        }
        return Sweep(
            measurement=measurement,
            file=file,
            quantity="V-I",
            values=grid(values),
            **{**defaults, **where},
        )

    for short, configuration in _CONFIGURATIONS.items():
        current = grids.nbn_current if short == "nbn" else grids.spectrum_current
        name = f"iv_{short}"
        yield sweep(name, f"iv/{name}.txt", current, configuration=configuration)
    for T in grid(grids.temperature_map):
        yield sweep(
            "iv_temperature",
            f"iv_temperature/iv_{T:06.3f}K.txt",
            grids.temperature_map_current,
            temperature=float(T),
        )
    for name, orientation in (("iv_out_of_plane", "out-of-plane"), ("iv_in_plane", "in-plane")):
        for B in grid(grids.field_map):
            yield sweep(
                name,
                f"{name}/iv_{B:06.3f}T.txt",
                grids.field_map_current,
                field=float(B),
                orientation=orientation,
                angle=0.0 if orientation == "in-plane" else None,
            )
    rotations = (
        ("iv_angle", "interface", grids.angle_field, grids.angle, grids.angle_current),
        ("iv_angle_nbn", "NbN", grids.nbn_angle_field, grids.nbn_angle, grids.nbn_angle_current),
    )
    for name, configuration, fields, angles, current in rotations:
        for B in fields:
            for theta in grid(angles):
                yield sweep(
                    name,
                    f"{name}/iv_{B:06.3f}T_{theta:05.1f}deg.txt",
                    current,
                    field=float(B),
                    angle=float(theta),
                    orientation="in-plane",
                    configuration=configuration,
                )


# --- one file ---------------------------------------------------------------------------------


def _generator(device: DeviceParameters, file: str) -> np.random.Generator:
    """Random numbers of one file: from the device's seed and the file's name."""
    return np.random.default_rng(
        np.random.SeedSequence([device.seed, zlib.crc32(file.encode("utf-8"))])
    )


def _physical_orientation(device: DeviceParameters, sweep: Sweep) -> magnet.Orientation:
    """Return the true field direction, which a control may hide behind the wrong label."""
    label = sweep.orientation or "out-of-plane"
    if device.anomalies.swap_orientations and sweep.quantity == "V-I" and sweep.orientation:
        return "in-plane" if label == "out-of-plane" else "out-of-plane"
    return label  # type: ignore[return-value]


def _write_voltage(model: Model, sweep: Sweep, path: Path) -> None:
    device = model.device
    tools = device.instruments
    rng = _generator(device, sweep.file)
    count = sweep.values.size
    times = np.arange(count) * tools.point_period
    true, seen = lab.source_current(rng, sweep.values * 1e-3, tools)
    bath = lab.bath_temperature(rng, float(sweep.temperature), times, tools)
    reported = lab.thermometer(rng, bath, tools)
    angle = float(sweep.angle or 0.0)
    theta = angle
    if sweep.measurement.startswith("iv_angle"):
        theta = float(lab.true_angle(angle, tools))
        bath = bath + tools.rotation_drift * np.cos(np.deg2rad(theta))
    setpoint = float(sweep.field or 0.0)
    # the zero-field measurements are taken before the magnet was ever ramped
    field = float(lab.true_field(setpoint, 0.0, tools)) if sweep.orientation else setpoint
    orientation = _physical_orientation(device, sweep)
    current = true * 1e3

    where = (field, orientation, theta)
    mesa = lab.self_heating(
        lambda nodes: model.voltage_map(sweep.configuration, current, nodes, *where),
        current,
        bath,
        model.largest_resistance(sweep.configuration),
        tools,
    )
    millivolt = model.voltage(sweep.configuration, current, mesa, *where)
    reading = lab.voltmeter(rng, millivolt * 1e-3, times, tools)
    if device.anomalies.shuffle:
        reading = rng.permutation(reading)
    header = {
        "title": f"{device.name} {sweep.measurement}",
        "provenance": writers.NOTICE,
        "source": "Keithley 2400, 10 mA range (simulated)",
        "voltmeter": "Keithley 2182A, 1 PLC, autorange (simulated)",
        "cryostat": "PPMS (simulated)",
        "configuration": sweep.configuration,
        "orientation": sweep.orientation or "no field",
        "temperature_setpoint_K": f"{sweep.temperature:g}",
        "field_setpoint_T": f"{setpoint:g}",
        "angle_setpoint_deg": "" if sweep.angle is None else f"{sweep.angle:g}",
        "sweep": f"{sweep.values[0]:g} to {sweep.values[-1]:g} mA, {count} points",
    }
    writers.write_iv(
        path,
        header=header,
        time=times,
        temperature=reported,
        field=lab.reported_field(rng, np.full(count, setpoint), tools),
        angle=np.full(count, angle),
        current=seen,
        voltage=reading,
    )


def _write_resistance(model: Model, sweep: Sweep, path: Path) -> None:
    device = model.device
    tools = device.instruments
    rng = _generator(device, sweep.file)
    values = sweep.values
    steps = np.abs(np.diff(values, prepend=values[0]))
    rate = _TEMPERATURE_RATE if sweep.quantity == "R-T" else tools.field_rate
    times = np.cumsum(steps / rate + _SECONDS_PER_POINT)
    uniform = np.arange(values.size) * (times[-1] / values.size)
    if sweep.quantity == "R-T":
        bath = lab.bath_temperature(rng, values, uniform, tools)
        setpoint, field = np.zeros(values.size), np.zeros(values.size)
        direction = np.ones(values.size)
    else:
        bath = lab.bath_temperature(rng, float(sweep.temperature), uniform, tools)
        direction = np.sign(np.diff(values, prepend=2 * values[0] - values[1]))
        setpoint, field = values, lab.true_field(values, direction, tools)
    true = model.resistance(sweep.configuration, bath, field, direction)
    reading = lab.resistance_bridge(rng, true, tools)
    mean, deviation = reading
    if device.anomalies.shuffle:
        order = rng.permutation(mean.size)
        mean, deviation = mean[order], deviation[order]
    writers.write_multivu(
        path,
        title=f"{device.name} {sweep.measurement} {writers.NOTICE}",
        configuration=sweep.configuration,
        bridge=_BRIDGE[sweep.configuration],
        time=_UPTIME + times,
        temperature=lab.thermometer(rng, bath, tools),
        field=lab.reported_field(rng, setpoint, tools),
        angle=0.0,
        resistance=mean,
        deviation=deviation,
        readings=round(tools.readings),
        excitation=tools.excitation,
    )


# --- truth ------------------------------------------------------------------------------------


def truth(model: Model, sweeps: Sequence[Sweep]) -> dict[str, Any]:
    """Planted values of every number, all parameters, and noise-free curves on the measured grids.

    Parameters
    ----------
    model : Model
        The device.
    sweeps : sequence of Sweep
        What is measured; a number whose measurement is missing is null.
    """
    measured: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        measured.setdefault(sweep.measurement, []).append(sweep)
    curves = _curves(model, measured)
    values = {key: _plain(value) for key, value in model.device.values().items()}
    return {
        "notice": "planted values of a synthetic stand-in; for closure tests only",
        "sample": model.device.name,
        "seed": model.device.seed,
        "numbers": _numbers(model, measured, curves),
        "definitions": _TRUTH_DEFINITIONS,
        "parameters": values,
        "units": {key: item.unit for key, item in model.device.sources.items() if item.unit},
        "derived": {
            "anisotropy_field_T": model.magnet.anisotropy_field,
            "exchange_field_T": model.magnet.exchange_field,
            "bare_critical_temperatures_K": [model.bare_critical_temperature(k) for k in range(4)],
            "critical_temperatures_K": list(model.critical_temperatures),
            "film_mean_field_temperature_K": model.mean_field_temperature,
            "rise_Ic_mA": [_rise(model, k) for k in range(3)],
        },
        "curves": curves,
    }


_TRUTH_DEFINITIONS = {
    "Tc_NbN": "temperature at which the film's R is half its normal value, stated as T50",
    "Tc_interface": "the same film seen by the interface configuration",
    "T_N_peak": "mean of the distribution of Neel temperatures",
    "T_N_max_slope": "maximum of dR/dT of the noise-free flake below its peak",
    "Tc_Ic": "temperature at which Ic_k vanishes; above the stated Tc by the drop of m(Tc)^2",
    "B_kink_Ic": "mean spin-flop field of the layers under the superconductor",
    "jump_Ic": "step at the mean spin-flop field between Ic_k of the collinear state and the "
    "noise-free Ic_k of the canted state, cubically extrapolated from 1-4 T above the flop",
    "rise_Ic": "local maximum minus the local minimum before it of the noise-free Ic_k(B) near the "
    "spin flop; 0 where Ic_k only falls",
    "A2_position": "two-fold amplitude over mean of Ic_k(theta), without instruments",
    "A2_width": "two-fold amplitude over mean of FWHM/Ic_k of channel k's own dV/dI peak",
    "deltaR_2K": "height Delta R of the loop at 2 K",
    "B_c_2K": "coercive field at 2 K",
    "T_vanish": "Neel temperature, where coercive field and loop height vanish",
}


def _curves(model: Model, measured: Mapping[str, list[Sweep]]) -> dict[str, Any]:
    device = model.device
    base = device.grids.iv_temperature
    curves: dict[str, Any] = {}

    def currents(T: Any, B: Any, orientation: str, theta: Any = 0.0) -> dict[str, Any]:
        return {
            CHANNELS[k]: _plain(
                np.broadcast_to(
                    model.critical_current(k, T, B, orientation, theta),
                    np.broadcast_shapes(np.shape(T), np.shape(B), np.shape(theta)),
                )
            )
            for k in range(4)
            if model.present(k)
        }

    for short, configuration in _CONFIGURATIONS.items():
        for sweep in measured.get(f"rt_{short}", []):
            R = model.resistance(configuration, sweep.values, 0.0)
            curves[f"rt_{short}"] = {"T": _plain(sweep.values), "R": _plain(R)}
        for sweep in measured.get(f"mr_{short}", []):
            direction = np.sign(
                np.diff(sweep.values, prepend=2 * sweep.values[0] - sweep.values[1])
            )
            R = model.resistance(configuration, float(sweep.temperature), sweep.values, direction)
            curves[f"mr_{short}"] = {"B": _plain(sweep.values), "R": _plain(R)}
    for name in ("iv_interface", "iv_nbn"):
        if name in measured:
            curves[name] = currents(base, 0.0, "out-of-plane")
    if "iv_temperature" in measured:
        T = np.array([sweep.temperature for sweep in measured["iv_temperature"]])
        curves["iv_temperature"] = {
            "T": _plain(T),
            **currents(T, 0.0, "out-of-plane"),
            "andreev_gap_meV": _plain(model.andreev_gap(T)),
            "andreev_resistance_ohm": _plain(model.andreev_resistance(T)),
        }
    for name in ("iv_out_of_plane", "iv_in_plane"):
        if name in measured:
            B = np.array([sweep.field for sweep in measured[name]])
            orientation = _physical_orientation(device, measured[name][0])
            curves[name] = {
                "B": _plain(B),
                **currents(base, B, orientation),
                "noise_temperature_K": _plain(model.noise_temperature(B, orientation)),
                "andreev_gap_meV": _plain(model.andreev_gap(base, B, orientation)),
            }
    for name in ("iv_angle", "iv_angle_nbn"):
        if name in measured:
            B = np.unique([sweep.field for sweep in measured[name]])
            theta = np.unique([sweep.angle for sweep in measured[name]])
            orientation = _physical_orientation(device, measured[name][0])
            where = (base, B[:, None], orientation, theta[None, :])
            found = currents(*where)
            noise = np.broadcast_to(model.noise_temperature(*where[1:]), (B.size, theta.size))
            widths = {
                f"width_over_{key}": _plain(_relative_width(np.array(value), noise))
                for key, value in found.items()
            }
            curves[name] = {
                "B": _plain(B),
                "theta": _plain(theta),
                **found,
                "noise_temperature_K": _plain(noise),
                **widths,
            }
    if "loops_interface" in measured:
        T = np.array([sweep.temperature for sweep in measured["loops_interface"]])
        curves["loops_interface"] = {
            "T": _plain(T),
            "B_c": _plain(model.coercive_field(T)),
            "deltaR": _plain(model.loop_amplitude(T)),
        }
    return curves


def _relative_width(Ic: Array, noise: Array) -> Array:
    """FWHM over Ic of the dV/dI peak of a channel alone, above its normal resistance."""
    out = np.full(Ic.shape, np.nan)
    on = Ic > 0
    if np.any(on):
        out[on] = rsj.peak(rsj.gamma(Ic[on], noise[on]))[2]
    return out


def _two_fold(theta: Array, values: Array) -> float | None:
    """Amplitude of the second harmonic over the mean, per cent; one full turn needed.

    Of angles that are the same modulo a turn one is kept: twice the weight at 0 and 360 degrees
    would mix the fourth harmonic into the second.
    """
    if not np.all(np.isfinite(values)) or not np.any(values):
        return None
    _, once = np.unique(np.round(np.mod(theta, 360), 6), return_index=True)
    theta, values = np.asarray(theta)[once], np.asarray(values)[once]
    angle = np.deg2rad(theta)
    columns = [np.ones(theta.size)]
    for n in (1, 2):
        columns += [np.cos(n * angle), np.sin(n * angle)]
    fit = np.linalg.lstsq(np.array(columns).T, values, rcond=None)[0]
    return round(float(100 * np.hypot(fit[3], fit[4]) / fit[0]), 9)


def _step(model: Model, k: int) -> float | None:
    """Step of the noise-free Ic_k at the spin flop of the interface, mA; see the definitions."""
    magnetism = model.device.magnetism
    channel = getattr(model.device.channels, CHANNELS[k])
    if channel.exchange_pair_breaking == 0 or model.interface_magnet.ferromagnetic:
        return None
    T, flop = model.device.grids.iv_temperature, _kink_field(model)
    # beyond the tenths of a tesla over which the surface follows the bulk, before saturation
    top = min(flop + 4.0, flop + 0.8 * (magnetism.saturation_field - flop))
    B = np.linspace(flop + min(1.0, 0.25 * (top - flop)), top, 81)
    held = model.critical_current(k, T, flop, collinear=True)
    current = model.critical_current(k, T, B)
    if held == 0 and not np.any(current):  # normal at this temperature
        return None
    return float(np.polynomial.Polynomial.fit(B, current, 3)(flop) - held)


def _kink_field(model: Model) -> float:
    """Mean field, T, at which the interface flops in a map at growing fields."""
    magnetism = model.device.magnetism
    share = magnetism.spin_flop_hysteresis
    if share == 0:
        return magnetism.interface_spin_flop_field
    return float(magnet.switching_field(model.interface_magnet, True, share))


def _rise(model: Model, k: int) -> float:
    """Local maximum minus the local minimum before it near the spin flop, mA; 0 if none."""
    magnetism = model.device.magnetism
    flop, spread = _kink_field(model), max(magnetism.spin_flop_spread, 0.02)
    B = np.linspace(flop - 4 * spread, flop + 6 * spread, 801)
    Ic = model.critical_current(k, model.device.grids.iv_temperature, B)
    rising = np.flatnonzero(np.diff(Ic) > 0)
    return float(Ic[rising[-1] + 1] - Ic[rising[0]]) if rising.size else 0.0


def _numbers(
    model: Model, measured: Mapping[str, list[Sweep]], curves: Mapping[str, Any]
) -> dict[str, float | None]:
    device = model.device
    magnetism = device.magnetism
    has = lambda *names: any(name in measured for name in names)  # noqa: E731
    out: dict[str, float | None] = {}

    def put(key: str, value: float | None, *needs: str) -> None:
        good = has(*needs) and value is not None and math.isfinite(value)
        out[key] = float(value) if good else None  # type: ignore[arg-type]

    film = device.nbn.transition_temperature if model.present(3) else None
    put("Tc_NbN", film, "rt_nbn")
    put("Tc_interface", film, "rt_interface")
    flake = device.mnbi2te4.present
    put("T_N_peak", magnetism.neel_temperature if flake else None, "rt_mnbi2te4", "rt_interface")
    put("T_N_max_slope", _steepest(model) if flake else None, "rt_mnbi2te4", "rt_interface")
    # a thin flake has several surface-driven steps instead of one spin flop
    bulk = flake and not model.magnet.ferromagnetic and magnetism.layers is None
    flop = float(magnet.spin_flop_field(device.grids.mr_temperature, model.magnet))
    if bulk:  # the two sides of one R(B) sweep meet the flop in opposite directions: their mean
        both = magnet.switching_field(
            model.magnet, np.array([True, False]), magnetism.spin_flop_hysteresis
        )
        flop *= float(np.mean(both)) / model.magnet.spin_flop_field
    top = float(magnet.saturation_field(device.grids.mr_temperature, model.magnet))
    for name in ("interface", "mnbi2te4"):
        put(f"B_flop_{name}", flop if bulk else None, f"mr_{name}")
        put(f"B_sat_{name}", top if bulk else None, f"mr_{name}")
    for k in range(4):
        there = model.present(k)
        at_2K = float(model.critical_current(k, REFERENCE_TEMPERATURE)) if there else None
        put(f"Ic{k}_2K", at_2K, "iv_nbn" if k == 3 else "iv_interface")
        put(f"Tc_Ic{k}", model.critical_temperatures[k] if there else None, "iv_temperature")
    contact = device.andreev
    reflects = contact.present and not contact.ohmic
    put("T_AR", contact.critical_temperature if reflects else None, "iv_temperature")
    for k in range(3):
        jump = _step(model, k) if model.present(k) else None
        # the label, not the truth, says which files are out-of-plane
        seen = jump is not None and not device.anomalies.swap_orientations
        seen = seen and magnetism.layers is None
        put(
            f"B_kink_Ic{k}",
            _kink_field(model) if seen else None,
            "iv_out_of_plane",
        )
        put(f"jump_Ic{k}", jump if seen else None, "iv_out_of_plane")
    rotation = curves.get("iv_angle", {})
    for k in range(3):
        key = CHANNELS[k]
        for B in (1, 4, 7, 9):
            row = _row(rotation, B)
            for what, name in (("position", key), ("width", f"width_over_{key}")):
                value = None
                if row is not None and name in rotation:
                    value = _two_fold(
                        np.array(rotation["theta"]), np.array(rotation[name][row], dtype=float)
                    )
                put(f"A2_{what}_{key}_{B}T", value, "iv_angle")
    amplitude = float(model.loop_amplitude(REFERENCE_TEMPERATURE))
    coercive = float(model.coercive_field(REFERENCE_TEMPERATURE))
    loops = amplitude > 0
    put("B_c_2K", coercive if loops else None, "loops_interface")
    put("deltaR_2K", amplitude if loops else None, "loops_interface")
    for name in ("T_vanish_Bc", "T_vanish_deltaR"):
        put(name, magnetism.neel_temperature if loops else None, "loops_interface")
    return out


def _row(rotation: Mapping[str, Any], B: float) -> int | None:
    fields = np.array(rotation.get("B", []), dtype=float)
    hits = np.flatnonzero(np.abs(fields - B) < 1e-6)
    return int(hits[0]) if hits.size else None


def _steepest(model: Model) -> float:
    """Maximum of dR/dT of the noise-free flake near its Neel temperature, K."""
    neel, spread = model.device.magnetism.neel_temperature, model.device.magnetism.neel_spread
    T = np.arange(neel - 4 * max(spread, 0.2), neel + 2 * max(spread, 0.1), 0.002)
    return resistance.maximum_slope_temperature(T, model.mnbi2te4_resistance(T))


def _plain(value: Any) -> Any:
    """Return numbers, lists and null only; rounded to 12 digits."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value] if value.ndim else _plain(value.item())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value


# --- the folder -------------------------------------------------------------------------------


def simulate(
    device_name_or_path: str | Path,
    raw_root: str | Path,
    progress: bool = True,
    *,
    sample: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    grids: str | Path | None = None,
    only: Sequence[str] | None = None,
) -> Path:
    """Write ``raw_root/{sample}``: sheet, files and truth of a virtual device.

    Parameters
    ----------
    device_name_or_path : str or path
        Device file, or the name of one in ``workflow/devices``.
    raw_root : path
        Folder of all samples.
    progress : bool
        Say what is being written, on standard error.
    sample : str, optional
        Name of the sample; default that of the device.
    overrides : mapping, optional
        Dotted parameter name -> value, see `nbnmbt.device.parameters.load`.
    seed : int, optional
        Replaces the device's seed.
    grids : str or path, optional
        Device whose grids to use instead, for instance ``smoke``.
    only : sequence of str, optional
        Restrict to these measurements.

    Returns
    -------
    Path
        The sample folder; it appears complete or not at all.

    Raises
    ------
    InputError
        If the device is not in order.
    """
    path = find_device(device_name_or_path)
    other = None if grids is None else find_device(grids)
    device = load(path, overrides=overrides, seed=seed, grids=other)
    model = Model(device)
    sweeps = plan(device)
    if only is not None:
        for name in only:
            if name not in MEASUREMENTS:
                raise InputError(
                    "unknown measurement", found=name, advice=did_you_mean(name, MEASUREMENTS)
                )
        sweeps = [sweep for sweep in sweeps if sweep.measurement in only]
    target = Path(raw_root) / (sample or device.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        # mkdtemp makes private folders; a sample is as readable as anything else
        folder.chmod(0o777 & ~_umask())
        _fill(folder, model, sweeps, target.name, progress)
        _move(folder, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return target


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _move(folder: Path, target: Path) -> None:
    """Put the finished folder in place of an older one."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        os.replace(target, old / target.name)
        os.replace(folder, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(folder, target)


def _fill(folder: Path, model: Model, sweeps: Sequence[Sweep], sample: str, progress: bool) -> None:
    device = model.device
    rows = []
    say = _announcer(sample, sweeps) if progress else None
    for sweep in sweeps:
        path = folder / sweep.file
        path.parent.mkdir(parents=True, exist_ok=True)
        write = _write_voltage if sweep.quantity == "V-I" else _write_resistance
        write(model, sweep, path)
        rows.append(_sheet_row(sweep, hashlib.sha256(path.read_bytes()).hexdigest()))
        if say is not None:
            say(sweep)
    _write_text(folder / "measurements.csv", _csv(rows))
    _write_text(folder / "sample.yaml", _sample_yaml(device))
    content = json.dumps(truth(model, sweeps), indent=1, allow_nan=False)
    _write_text(folder / "truth.json", content + "\n")


def _announcer(sample: str, sweeps: Sequence[Sweep]) -> Callable[[Sweep], None]:
    """Return a function that prints one line each time a measurement is complete."""
    left: dict[str, int] = {}
    for sweep in sweeps:
        left[sweep.measurement] = left.get(sweep.measurement, 0) + 1
    total, done, start = dict(left), [0], time.monotonic()

    def say(sweep: Sweep) -> None:
        left[sweep.measurement] -= 1
        done[0] += 1
        if left[sweep.measurement] == 0:
            print(
                f"{sample}: {sweep.measurement}, {total[sweep.measurement]} "
                f"file{'s' if total[sweep.measurement] > 1 else ''}; {done[0]}/{len(sweeps)} "
                f"after {time.monotonic() - start:.1f} s",
                file=sys.stderr,
                flush=True,
            )

    return say


def _sheet_row(sweep: Sweep, sha256: str) -> list[str]:
    number = lambda value: "" if value is None else f"{value:g}"  # noqa: E731
    return [
        sweep.measurement,
        sweep.file,
        sweep.quantity,
        sweep.configuration,
        sweep.orientation,
        number(sweep.temperature),
        number(sweep.field),
        number(sweep.angle),
        sweep.layout,
        sweep.channel,
        sha256,
    ]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_SHEET)
    writer.writerows(rows)
    return buffer.getvalue()


def _sample_yaml(device: DeviceParameters) -> str:
    geometry = device.geometry
    content = {
        "title": device.title,
        "provenance": "synthetic",
        "description": device.description,
        "geometry": {
            "Ti_nm": _short(geometry.Ti),
            "NbN_nm": _short(geometry.NbN),
            "SiO2_under_nm": _short(geometry.SiO2_under),
            "SiO2_side_nm": _short(geometry.SiO2_side),
            "Ti_contact_nm": _short(geometry.Ti_contact),
            "Au_contact_nm": _short(geometry.Au_contact),
        },
        "licence": device.licence,
        "citation": device.citation,
        "device": device.name,
        "seed": device.seed,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _short(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def find_device(name_or_path: str | Path) -> Path:
    """Path of a device file given as such or by its name.

    Parameters
    ----------
    name_or_path : str or path
        ``surrogate``, or a path to a YAML file.

    Raises
    ------
    InputError
        If there is none; with the nearest name.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise InputError("there is no such device file", file=path)
        return path
    root = Path(__file__).resolve().parents[2] / "devices"
    found = {p.stem: p for p in sorted(root.rglob("*.yaml"))}
    if str(name_or_path) in found:
        return found[str(name_or_path)]
    raise InputError(
        "there is no such device", found=str(name_or_path), advice=did_you_mean(path.name, found)
    )


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected name=value, found {text!r}")
    return name.strip(), yaml.safe_load(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nbnmbt.device.simulate",
        description="Write the raw files of a virtual device (synthetic, not measured).",
        epilog="example: python -m nbnmbt.device.simulate --device workflow/devices/surrogate.yaml "
        "--out data/raw/surrogate",
    )
    parser.add_argument("--device", required=True, help="device file, or name in workflow/devices")
    parser.add_argument("--out", help="sample folder to write (default: data/raw/NAME)")
    parser.add_argument("--seed", type=int, help="seed of the noise instead of the device's")
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="NAME=VALUE",
        type=_assignment,
        action="append",
        default=[],
        help="override a parameter, for instance channels.Ic0.critical_current=0.97",
    )
    parser.add_argument("--grids", help="use the grids of this device, for instance smoke")
    parser.add_argument(
        "--only", nargs="+", metavar="MEASUREMENT", help="restrict to these measurements"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress lines")
    options = parser.parse_args(argv)
    try:
        path = find_device(options.device)
        out = Path(options.out) if options.out else Path("data/raw") / path.stem
        folder = simulate(
            path,
            out.parent,
            not options.quiet,
            sample=out.name,
            overrides=dict(options.overrides),
            seed=options.seed,
            grids=options.grids,
            only=options.only,
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
