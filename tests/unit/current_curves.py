"""Small critical-currents datasets for unit tests."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import xarray as xr

DATA = Path(__file__).parents[1] / "data"


def table(name: str) -> list[dict[str, str]]:
    """Rows of a reference table, comments left out."""
    with open(DATA / f"{name}.csv", encoding="utf-8") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def currents(
    values, errors, *, T=(2.0,), B=(0.0,), theta=(0.0,), censored=None, more=None, **attrs
) -> xr.Dataset:
    """Dataset with `values` of shape (channel, T, B, theta)."""
    values = np.asarray(values, dtype=float)
    dims = ("channel", "T", "B", "theta")
    censored = np.zeros(values.shape) if censored is None else np.asarray(censored)
    variables = {
        "Ic": (dims, values),
        "Ic_err": (dims, np.broadcast_to(errors, values.shape).astype(float)),
        "censored": (dims, censored.astype(np.int8)),
        **(more or {}),
    }
    coords = {"channel": range(values.shape[0]), "T": list(T), "B": list(B), "theta": list(theta)}
    return xr.Dataset(variables, coords=coords, attrs={"measured": 1, "sample": "unit", **attrs})


def not_measured(measurement: str) -> xr.Dataset:
    """What a sample without this measurement has."""
    return xr.Dataset(attrs={"measured": 0, "reason": f"not measured: no {measurement}"})
