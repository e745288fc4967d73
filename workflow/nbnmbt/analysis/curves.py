"""One channel's critical current as a curve, taken out of a critical-currents dataset.

A point that could not be resolved is *censored*: it is no zero and no measurement. If it carries a
value, that value is an upper limit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Curve",
    "channel_curve",
    "open_measured",
    "parse_options",
    "unmeasured_reason",
    "variable_curve",
]

OptionsType = TypeVar("OptionsType", bound=BaseModel)

_EXACT = 1e-6
_MEASURED_ABSCISSA = {"T": "T_mean", "B": "B_mean"}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of one quantity along one coordinate.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Abscissa (K, T or deg), ascending.
    y, sigma : ndarray, shape (n,)
        Values and standard uncertainties in the unit of the quantity.
    x_limit, y_limit : ndarray, shape (m,)
        Abscissa and upper limits of the censored points that have a limit.
    n_censored : int
        Censored points with or without a limit.
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    x_limit: np.ndarray
    y_limit: np.ndarray
    n_censored: int

    @property
    def n(self) -> int:
        """Number of measured points."""
        return self.x.size


def unmeasured_reason(ds: xr.Dataset | None, measurement: str) -> str | None:
    """Return why a dataset cannot be analysed at all, or None if it can.

    Parameters
    ----------
    ds : xarray.Dataset or None
        Critical currents, or a dataset that says it was not measured.
    measurement : str
        Its key, for the sentence.

    Returns
    -------
    str or None
    """
    if ds is None:
        return f"not measured: no {measurement}"
    if not int(ds.attrs.get("measured", 1)):
        return str(ds.attrs.get("reason") or f"not measured: no {measurement}")
    if "Ic" not in ds.data_vars:
        return f"not measured: {measurement} holds no critical currents"
    return None


def parse_options(model: type[OptionsType], text: str) -> OptionsType:
    """Return validated options from JSON text or from a file that holds it.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        The stage's ``Options``.
    text : str
        A JSON object, or a path.

    Returns
    -------
    pydantic.BaseModel
        An instance of `model`.
    """
    if not text.lstrip().startswith("{"):
        text = Path(text).read_text(encoding="utf-8")
    return model.model_validate_json(text)


def open_measured(path: str | os.PathLike[str] | None) -> xr.Dataset | None:
    """Read a NetCDF file whole, or return None when no file is given.

    Parameters
    ----------
    path : path-like or None
        File of critical currents.

    Returns
    -------
    xarray.Dataset or None
    """
    if path is None:
        return None
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as ds:
        return ds.load()


def _single(da: xr.DataArray, along: tuple[str, ...]) -> xr.DataArray:
    for dim in da.dims:
        if dim in along:
            continue
        if da.sizes[dim] != 1:
            raise ValueError(
                f"{da.name}: dimension {dim!r} has {da.sizes[dim]} points, expected one;"
                f" select one before asking for a curve along {along}"
            )
        da = da.isel({dim: 0})
    return da.transpose(*along)


def channel_curve(
    ds: xr.Dataset,
    channel: int,
    along: str,
    *,
    value: str = "Ic",
    ratio_to: str | None = None,
) -> Curve:
    """Take one channel's points along `along`, measured and censored ones apart.

    Parameters
    ----------
    ds : xarray.Dataset
        Critical currents with dims (channel, T, B, theta); all but `along` of length one.
    channel : int
        Label on `channel`; a channel that is absent gives an empty curve.
    along : {"T", "B", "theta"}
        Coordinate of the curve: the set-point, to which fitted channels are referred. Fields are
        taken by magnitude.
    value : str
        Variable, with its uncertainty in ``value + "_err"``.
    ratio_to : str, optional
        Divide by this variable (relative uncertainties added in quadrature).

    Returns
    -------
    Curve
    """
    if "channel" in ds.coords and channel not in ds["channel"].values:
        empty = np.empty(0)
        return Curve(x=empty, y=empty, sigma=empty, x_limit=empty, y_limit=empty, n_censored=0)
    one = ds.sel(channel=channel)
    y = _single(one[value], (along,)).values.astype(float)
    sigma = _single(one[f"{value}_err"], (along,)).values.astype(float)
    if ratio_to is not None:
        other = _single(one[ratio_to], (along,)).values.astype(float)
        other_sigma = _single(one[f"{ratio_to}_err"], (along,)).values.astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            sigma = np.abs(y / other) * np.hypot(sigma / y, other_sigma / other)
            y = y / other
    censored = np.zeros(y.shape, dtype=bool)
    if "censored" in one:
        censored = _single(one["censored"], (along,)).values.astype(float) == 1
    x = ds[along].values.astype(float)
    return _curve(np.abs(x) if along == "B" else x, y, sigma, censored)


def variable_curve(ds: xr.Dataset, value: str, along: str) -> Curve:
    """Take a variable without channels (e.g. ``ar_height``) along one coordinate.

    Parameters
    ----------
    ds : xarray.Dataset
        Critical currents; the variable has dims (T, B, theta), all but `along` of length one.
    value : str
        Variable, with its uncertainty in ``value + "_err"``; absent variables give an empty curve.
    along : {"T", "B", "theta"}
        Coordinate of the curve. Unlike a fitted channel this is what was measured, so the mean of
        the measured temperature or field stands in for the set-point where there is one.

    Returns
    -------
    Curve
    """
    if value not in ds:
        empty = np.empty(0)
        return Curve(x=empty, y=empty, sigma=empty, x_limit=empty, y_limit=empty, n_censored=0)
    y = _single(ds[value], (along,)).values.astype(float)
    sigma = _single(ds[f"{value}_err"], (along,)).values.astype(float)
    return _curve(_measured(ds, along), y, sigma, np.zeros(y.shape, dtype=bool))


def _measured(ds: xr.Dataset, along: str) -> np.ndarray:
    x = ds[along].values.astype(float)
    mean = _MEASURED_ABSCISSA.get(along)
    if mean is not None and mean in ds:
        measured = _single(ds[mean], (along,)).values.astype(float)
        x = np.where(np.isfinite(measured), measured, x)
    return np.abs(x) if along == "B" else x


def _curve(x: np.ndarray, y: np.ndarray, sigma: np.ndarray, censored: np.ndarray) -> Curve:
    order = np.argsort(x, kind="stable")
    x, y, sigma, censored = x[order], y[order], sigma[order], censored[order]
    # Exact data (no noise at all) would have infinite weight; a millionth is as good as exact.
    sigma = np.where(sigma == 0, _EXACT * np.abs(y), sigma)
    good = ~censored & np.isfinite(x) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0)
    limit = censored & np.isfinite(x) & np.isfinite(y)
    return Curve(
        x=x[good],
        y=y[good],
        sigma=sigma[good],
        x_limit=x[limit],
        y_limit=y[limit],
        n_censored=int(censored.sum()),
    )
