"""Write a figure as pdf, svg and png and what it shows as NetCDF, the same bytes every time.

No clock, no program version and no random name goes into the files; each carries the stamp that
says from which code, inputs and options it was made (read it back with ``python -m
nbnmbt.provenance FILE``).
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from nbnmbt import provenance
from nbnmbt.plotting import style

FORMATS: tuple[str, ...] = ("pdf", "svg", "png")


def save_figure(
    figure: Figure,
    name: str,
    folder: str | os.PathLike[str],
    drawn: xr.Dataset,
    stamp: Mapping[str, Any],
) -> dict[str, Path]:
    """Write ``{name}.pdf``, ``.svg``, ``.png`` (300 dpi) and ``.nc`` into a folder.

    Parameters
    ----------
    figure : Figure
        The figure at its printed size.
    name : str
        ``fig2`` to ``fig7``.
    folder : path-like
        Made when missing. Files appear whole or not at all.
    drawn : Dataset
        Exactly what was drawn, from the same function as the figure.
    stamp : mapping
        Provenance stamp, see `nbnmbt.provenance.stamp`.

    Returns
    -------
    dict of str to Path
        Suffix to written file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    title = str(drawn.attrs.get("title", name))
    written: dict[str, Path] = {}
    for kind in FORMATS:
        buffer = io.BytesIO()
        with style.context():
            figure.savefig(
                buffer,
                format=kind,
                metadata=provenance.figure_metadata(kind, stamp, title),
            )
        written[kind] = _write_whole(folder / f"{name}.{kind}", buffer.getvalue())
    written["nc"] = write_drawn(drawn, folder / f"{name}.nc", stamp)
    return written


def write_drawn(drawn: xr.Dataset, path: str | os.PathLike[str], stamp: Mapping[str, Any]) -> Path:
    """Write the drawn variables as NetCDF with CF conventions and the provenance stamp."""
    path = Path(path)
    content = drawn.assign_attrs(Conventions="CF-1.11", **provenance.netcdf_attributes(stamp))
    encoding: dict[str, dict[str, Any]] = {}
    for variable in content.variables:
        # xarray adds a _FillValue to floats; said here so that it does not depend on its defaults
        values = content[variable]
        if values.dtype.kind == "f":
            encoding[str(variable)] = {
                "_FillValue": None if variable in content.dims else float("nan")
            }
            if values.size > 1000:
                encoding[str(variable)] |= {"zlib": True, "complevel": 4, "shuffle": True}
    part = path.with_name(f".{path.name}.part")
    content.to_netcdf(part, engine="h5netcdf", encoding=encoding)
    os.replace(part, path)
    return path


def _write_whole(path: Path, content: bytes) -> Path:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path
