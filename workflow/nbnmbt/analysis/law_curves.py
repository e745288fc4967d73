"""Fitted temperature laws as curves on a fine grid, from the estimates of their stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnmbt.analysis import andreev_peak, temperature_laws
from nbnmbt.analysis.andreev_peak import PeakFit
from nbnmbt.analysis.temperature_laws import LawFit

if TYPE_CHECKING:
    import xarray as xr

    from nbnmbt.analysis.estimate import Stage

__all__ = ["law_curves", "peak_curve"]


def law_curves(
    stage: Stage, laws: Sequence[str], *, channels: Sequence[int] = (0, 1, 2, 3), points: int = 241
) -> dict[str, xr.Dataset]:
    """Evaluate the laws fitted to each channel from zero temperature to beyond the highest Tc.

    Parameters
    ----------
    stage : Stage
        The stage ``temperature_laws``.
    laws : sequence of str
        Names in the stage's comparison; one that no channel has is left out.
    channels : sequence of int
        Channels.
    points : int
        Points of the grid.

    Returns
    -------
    dict of str to Dataset
        Law -> ``Ic(channel, T)`` in mA; NaN for a channel without that fit.
    """
    import xarray as xr

    tables = {k: stage.statistics.get(f"law_Ic{k}", {}).get("laws") or {} for k in channels}
    highest = max((row["Tc_K"] for table in tables.values() for row in table.values()), default=0.0)
    curves = {}
    for law in laws:
        if not any(law in table for table in tables.values()):
            continue
        T = np.linspace(0.0, highest, points)
        values = np.full((len(channels), points), np.nan)
        for row, k in enumerate(channels):
            if law not in tables[k]:
                continue
            entry = tables[k][law]
            parameters = {"Ic0": entry["Ic0_mA"], "Tc": entry["Tc_K"]}
            if entry.get("alpha") is not None:
                parameters["alpha"] = entry["alpha"]
            fit = LawFit(law=law, parameters=parameters, uncertainties={})
            values[row] = temperature_laws.evaluate(fit, T)
        curves[law] = xr.Dataset(
            {"Ic": (("channel", "T"), values, {"units": "mA"})},
            coords={"channel": list(channels), "T": ("T", T, {"units": "K"})},
        )
    return curves


def peak_curve(
    fit: PeakFit, temperatures: ArrayLike, points: int = 241
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Evaluate the fitted height of the Andreev peak over the range of the temperatures.

    Parameters
    ----------
    fit : nbnmbt.analysis.andreev_peak.PeakFit
        A fit.
    temperatures : array_like
        Measured temperatures (K).
    points : int
        Points of the grid.

    Returns
    -------
    T, height : ndarray, or None
        None where there is no fit.
    """
    temperatures = np.asarray(temperatures, dtype=float)
    if fit.reason is not None or temperatures.size == 0:
        return None
    T = np.linspace(temperatures.min(), temperatures.max(), points)
    height = andreev_peak.peak_height(
        T, fit.temperature, fit.barrier, fit.polarisation, fit.dilution
    )
    return T, height
