"""Take a curve out of a dataset for one step of an analysis; nothing where nothing was measured.

The stages have their own way from files to estimates. These functions let a person repeat one step
of them on one curve: they return empty arrays or curves for a measurement that the sample lacks,
which every estimator answers with a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nbnmbt.analysis.curves import Curve, channel_curve, unmeasured_reason, variable_curve

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["channel", "resistance", "variable"]

_EMPTY = Curve(
    x=np.empty(0),
    y=np.empty(0),
    sigma=np.empty(0),
    x_limit=np.empty(0),
    y_limit=np.empty(0),
    n_censored=0,
)


def resistance(
    data: xr.Dataset, along: Literal["T", "B"]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the measured abscissa, the resistance and the other measured quantity of a sweep.

    Parameters
    ----------
    data : Dataset
        ``R`` in ohm with ``T_measured`` and ``B_measured``; sweeps in both directions are pooled.
    along : {"T", "B"}
        What was swept.

    Returns
    -------
    x, R, other : ndarray, shape (n,)
        T in K or B in T; R in ohm; B in T or T in K. Empty where nothing was measured.
    """
    if "R" not in data.data_vars:
        return np.empty(0), np.empty(0), np.empty(0)
    R = data["R"]

    def flat(name: str) -> NDArray[np.float64]:
        measured = data.get(f"{name}_measured")
        nominal = data[name].broadcast_like(R)
        values = nominal if measured is None else measured.where(np.isfinite(measured), nominal)
        return values.transpose(*R.dims).values.ravel().astype(float)

    other = "B" if along == "T" else "T"
    return flat(along), R.values.ravel().astype(float), flat(other)


def channel(
    currents: xr.Dataset,
    k: int,
    along: Literal["T", "B", "theta"],
    *,
    value: str = "Ic",
    ratio_to: str | None = None,
    **set_point: float,
) -> Curve:
    """Return one channel's points along a coordinate, censored ones apart.

    Parameters
    ----------
    currents : Dataset
        Critical currents of one measurement.
    k : int
        Channel.
    along : {"T", "B", "theta"}
        Coordinate of the curve.
    value, ratio_to : str
        See `nbnmbt.analysis.curves.channel_curve`.
    **set_point : float
        Value of another swept coordinate; the nearest set-point is taken.

    Returns
    -------
    Curve
        Empty where nothing was measured.
    """
    if unmeasured_reason(currents, str(currents.attrs.get("measurement", ""))):
        return _EMPTY
    return channel_curve(_chosen(currents, set_point), k, along, value=value, ratio_to=ratio_to)


def variable(
    currents: xr.Dataset, name: str, along: Literal["T", "B", "theta"], **set_point: float
) -> Curve:
    """Return a quantity without channels (``ar_height``) along a coordinate, as `channel` does."""
    if unmeasured_reason(currents, str(currents.attrs.get("measurement", ""))):
        return _EMPTY
    return variable_curve(_chosen(currents, set_point), name, along)


def _chosen(currents: xr.Dataset, set_point: dict[str, float]) -> xr.Dataset:
    for name, wanted in set_point.items():
        nearest = int(np.argmin(np.abs(currents[name].values - wanted)))
        currents = currents.isel({name: [nearest]})
    return currents
