"""Critical-currents datasets straight from planted curves, with noise of a stated size.

They stand for what the V(I) fits deliver, so that the stages behind the fits can be tried on many
seeds and devices in seconds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nbnmbt.device import simulate
from nbnmbt.device.model import Model
from nbnmbt.device.parameters import load

DEVICES = Path(__file__).parents[2] / "workflow" / "devices"
BTK_HEIGHT_ERROR = 5e-4


def planted(name: str = "surrogate", overrides: dict | None = None) -> dict:
    """Return truth (numbers, noise-free curves) of a virtual device, critical currents only."""
    path = next(DEVICES.rglob(f"{name}*.yaml"))
    device = load(path, overrides=overrides or {})
    sweeps = [s for s in simulate.plan(device) if s.measurement.startswith("iv_")]
    sweeps += [s for s in simulate.plan(device) if s.measurement == "mr_mnbi2te4"]
    truth = simulate.truth(Model(device), sweeps)
    truth["contact_ohm"] = device.andreev.resistance
    truth["labels"] = {s.measurement: s.orientation or "" for s in sweeps}
    return truth


def dataset(
    truth: dict, measurement: str, *, seed: int = 0, noise_mA: float = 1e-3, channels=range(4)
) -> xr.Dataset:
    """Return the critical currents of one measurement with Gaussian noise.

    Currents below 30 uA are censored with a limit of 40 uA, as peaks are there that drown in
    thermal rounding; widths have a relative error of 0.5 %.
    """
    curves = truth["curves"][measurement]
    T = np.asarray(curves.get("T", [2.0]), dtype=float)
    B = np.asarray(curves.get("B", [0.0]), dtype=float)
    theta = np.asarray(curves.get("theta", [0.0]), dtype=float)
    shape = (T.size, B.size, theta.size)
    random = np.random.default_rng([seed, len(measurement)])

    def stack(name: str) -> np.ndarray:
        empty = np.full(shape, np.nan)
        return np.stack(
            [
                np.asarray(curves[key], dtype=float).reshape(shape) if key in curves else empty
                for key in (name.format(k=k) for k in channels)
            ]
        )

    true = stack("Ic{k}")
    Ic = true + noise_mA * random.standard_normal(true.shape)
    censored = true < 0.03
    vanishing = censored & (true > 0)
    Ic = np.where(vanishing, 0.04, np.where(censored, np.nan, Ic))
    error = np.where(censored, np.nan, noise_mA)
    dims = ("channel", "T", "B", "theta")
    variables = {
        "Ic": (dims, Ic),
        "Ic_err": (dims, error),
        "censored": (dims, censored.astype(np.int8)),
    }
    if "theta" in curves:
        width = stack("width_over_Ic{k}") * true
        Tn = np.broadcast_to(np.asarray(curves["noise_temperature_K"]).reshape(shape), true.shape)
        variables |= {
            "width": (dims, width * (1 + 0.005 * random.standard_normal(true.shape))),
            "width_err": (dims, 0.005 * width),
            "Tn": (dims, Tn * (1 + 0.01 * random.standard_normal(true.shape))),
            "Tn_err": (dims, 0.01 * Tn),
        }
    if "andreev_resistance_ohm" in curves:
        excess = np.asarray(curves["andreev_resistance_ohm"], dtype=float).reshape(shape)
        background = 8.0 + truth["contact_ohm"]
        height = (excess - truth["contact_ohm"]) / background
        variables["ar_height"] = (
            dims[1:],
            height + BTK_HEIGHT_ERROR * random.standard_normal(shape),
        )
        variables["ar_height_err"] = (dims[1:], np.full(shape, BTK_HEIGHT_ERROR))
    return xr.Dataset(
        variables,
        coords={"channel": list(channels), "T": T, "B": B, "theta": theta},
        attrs={
            "measured": 1,
            "sample": f"planted {seed}",
            "orientation": truth["labels"].get(measurement, ""),
        },
    )
