"""Datasets of V(I) sweeps of the series junction, as the readers would hand them over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from nbnmbt.physics import andreev, junction


def sweeps(
    channels: Sequence[tuple[float, float]],
    *,
    T: Sequence[float] = (2.0,),
    Tn: float | Sequence[float] = 100.0,
    R_s: float = 8.0,
    contact: tuple[float, float, float, float] | None = None,
    noise: float = 4e-4,
    I: np.ndarray | None = None,
    branches: Sequence[str] = (),
    offset_mA: float = 0.0,
    offset_mV: float = 5e-4,
    scale: Sequence[float] | None = None,
    seed: int = 1,
) -> xr.Dataset:
    """Return a V-I dataset over T.

    Parameters
    ----------
    channels : sequence of (Ic in mA, R in ohm)
        Channels of the first trace.
    contact : (gap meV, R_AR ohm, Z, P), optional
        Andreev contact.
    scale : sequence of float, optional
        Factor on all critical currents at each temperature.
    """
    I = np.linspace(-3, 3, 601) if I is None else I
    names = list(branches) or ["up"]
    noises = np.broadcast_to(np.asarray(Tn, dtype=float), (len(channels),))
    random = np.random.default_rng(seed)
    V = np.zeros((len(names), len(T), 1, 1, I.size))
    x = I - offset_mA
    for j in range(len(T)):
        line = offset_mV + R_s * x
        factor = 1.0 if scale is None else scale[j]
        for (Ic, R), noise_temperature in zip(channels, noises, strict=True):
            line = line + junction.channel_voltage(x, factor * Ic, R, noise_temperature)
        if contact is not None:
            gap, R_AR, Z, P = contact
            line = line + andreev.voltage(x, T[j], gap, Z, P, R_AR)
        V[:, j, 0, 0] = line
    V = V + noise * random.standard_normal(V.shape)
    dims = ("branch", "T", "B", "theta", "I")
    measured = {
        "V": (dims, V),
        "I_measured": (dims, np.broadcast_to(I, V.shape).copy()),
        "T_measured": (dims, np.broadcast_to(np.reshape(T, (1, -1, 1, 1, 1)), V.shape).copy()),
        "B_measured": (dims, np.zeros(V.shape)),
    }
    ds = xr.Dataset(
        measured,
        coords={"branch": names, "T": list(T), "B": [0.0], "theta": [0.0], "I": I},
        attrs={"sample": "made here", "measurement": "iv_test", "configuration": "interface"},
    )
    return ds if branches else ds.isel(branch=0, drop=True)
