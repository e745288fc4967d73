"""The law by which a quantity of the loops vanishes, as a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nbnmbt.physics.magnet import order_parameter

if TYPE_CHECKING:
    import xarray as xr

    from nbnmbt.analysis.estimate import Estimate

__all__ = ["vanishing_curve"]


def vanishing_curve(
    estimate: Estimate, *, window: float = 0.0, points: int = 201
) -> xr.DataArray | None:
    r"""Evaluate the law that the data support most, :math:`A(1-T/T_v)^p` or :math:`Am(T/T_v)^n`.

    Parameters
    ----------
    estimate : Estimate
        A vanishing temperature with its ``by_law`` details.
    window : float
        Lowest reduced temperature that was fitted; the curve starts there.
    points : int
        Points of the grid, denser towards T_v.

    Returns
    -------
    DataArray or None
        Over T (K), in the unit of the quantity; None where no temperature was found.
    """
    import xarray as xr

    laws = estimate.details.get("by_law") if estimate.value is not None else None
    if not laws:
        return None
    best = max(laws, key=lambda law: law["weight"])
    # dense towards T_v, where the curve falls like a root
    reduced = 1 - np.linspace(1, 0, points) ** 2 * (1 - window)
    if best["law"] == "mean field":
        shape = np.asarray(order_parameter(reduced, 1.0)) ** best["power"]
    else:
        shape = np.maximum(1 - reduced, 0) ** best["power"]
    return xr.DataArray(best["amplitude"] * shape, dims="T", coords={"T": reduced * best["T_v"]})
