r"""Voltage of each part of a fitted sweep: channels, Andreev contact and series resistance.

For looking at a fit, not for estimating: everything comes from the fitted parameters in a
critical-currents dataset,

.. math::

    V(I) = V_0 + (R_s - R_{AR})I + \sum_k R_k I_{c,k}\,v(I/I_{c,k},\gamma_k) + V_{AR}(I).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbnmbt.analysis.curves import unmeasured_reason
from nbnmbt.physics import andreev, junction

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["channel_parts"]


def channel_parts(currents: xr.Dataset, **set_point: float) -> xr.Dataset:
    """Evaluate the parts of the fit at one set-point.

    Parameters
    ----------
    currents : Dataset
        Critical currents of one measurement.
    **set_point : float
        ``T`` (K), ``B`` (T), ``theta`` (deg); the nearest one is taken, and one that is left out
        must have a single value in the dataset.

    Returns
    -------
    Dataset
        Over I (mA), in mV: ``V_channel(channel, I)``, ``V_andreev``, ``V_series`` (offset and
        series resistance), ``V_sum``; the deviations from the normal state
        ``excess_channel(channel, I)`` = V_k - R_k I and ``excess_andreev``; ``V_fit`` and
        ``residual`` as stored by the fit; ``dVdI`` (smoothed data) and ``dVdI_fit`` (of the sum)
        in ohm. A
        channel that was not resolved is NaN. The set-point is in the scalar coordinates, and in
        words in the attribute ``set_point``: the sweep found need not be the one asked for.

    Raises
    ------
    ValueError
        When a coordinate has several values and none was chosen.
    """
    import xarray as xr

    missing = unmeasured_reason(currents, str(currents.attrs.get("measurement", "")))
    if missing:
        return xr.Dataset(attrs={"measured": 0, "reason": missing})
    one = currents
    for name in ("T", "B", "theta"):
        if name in set_point:
            one = one.sel({name: set_point[name]}, method="nearest")
        elif one.sizes.get(name, 1) == 1:
            one = one.isel({name: 0})
        else:
            raise ValueError(f"the sweeps cover {one.sizes[name]} values of {name}: choose one")
    current = one["I"].values - float(np.nan_to_num(one["I0"].item()))
    seen = (one["censored"].values == 0) & np.isfinite(one["Ic"].values)
    ic, resistance, noise = (
        np.where(seen, one[name].values, 1.0)[:, None] for name in ("Ic", "R", "Tn")
    )
    channel = junction.channel_voltage(current, ic, resistance, noise)
    channel[~seen] = np.nan
    contact = np.zeros_like(current)
    normal = 0.0
    if int(currents.attrs.get("has_andreev", 0)) and np.isfinite(one["gap"].item()):
        normal = float(currents.attrs["R_AR_ohm"])
        contact = andreev.voltage(
            current,
            float(one["T"].item()),
            one["gap"].item(),
            float(currents.attrs["Z"]),
            float(currents.attrs["P"]),
            normal,
        )
    series = one["V0"].item() + (one["R_s"].item() - normal) * current
    total = series + contact + np.nansum(channel, axis=0)
    fitted = one["V_fit"].values
    units = {"units": "mV"}
    return xr.Dataset(
        {
            "V_channel": (("channel", "I"), channel, units),
            "V_andreev": ("I", contact, units),
            "V_series": ("I", series, units),
            "V_sum": ("I", total, units),
            "excess_channel": (("channel", "I"), channel - resistance * current, units),
            "excess_andreev": ("I", contact - normal * current, units),
            "V_fit": ("I", fitted, units),
            "residual": ("I", one["residual"].values, units),
            "dVdI": ("I", one["dVdI"].values, {"units": "ohm"}),
            "dVdI_fit": ("I", np.gradient(total, one["I"].values), {"units": "ohm"}),
            "Ic": ("channel", np.where(seen, one["Ic"].values, np.nan), {"units": "mA"}),
        },
        coords={
            "I": one["I"],
            "channel": one["channel"],
            **{name: one[name] for name in ("T", "B", "theta")},
        },
        attrs={"set_point": _in_words(one, "theta" in set_point)},
    )


def _in_words(one: xr.Dataset, rotated: bool) -> str:
    words = [f"{one[name].item():g} {unit}" for name, unit in (("T", "K"), ("B", "T"))]
    return ", ".join([*words, *([f"{one['theta'].item():g}°"] if rotated else [])])
