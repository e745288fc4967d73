"""The plotted data of a figure as CSV tables, for those who do not read NetCDF."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DrawnTable", "drawn_tables"]

#: A two-dimensional variable with more values than this is written as a matrix, not as a list.
LONGEST_LIST = 4000
#: A table of more characters is packed: pandas reads it as it is, a double click opens it.
LARGEST_PLAIN = 60_000


@dataclass(frozen=True)
class DrawnTable:
    """One CSV table.

    Attributes
    ----------
    name : str
        Name of the file without suffix.
    content : str
        The text of the file.
    what : str
        What it holds, in words, for the link.
    """

    name: str
    content: str
    what: str

    @property
    def file(self) -> str:
        """Name of the file: a large table lies in a zip archive of its own."""
        return f"{self.name}.csv" + (".zip" if len(self.content) > LARGEST_PLAIN else "")

    def data(self) -> bytes:
        """Return the bytes of the file, the same for the same table."""
        text = self.content.encode()
        if not self.file.endswith(".zip"):
            return text
        import zipfile

        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            # ZipInfo's own date, not the clock's
            archive.writestr(
                zipfile.ZipInfo(f"{self.name}.csv"), text, compress_type=zipfile.ZIP_DEFLATED
            )
        return stream.getvalue()


def drawn_tables(drawn: xr.Dataset, prefix: str) -> list[DrawnTable]:
    """Turn the variables that a figure shows into tables.

    Variables over the same dimensions share a table with a row per point. A map becomes a matrix:
    the first row and the first column hold its coordinates.

    Parameters
    ----------
    drawn : Dataset
        Content of ``fig{n}.nc``; names begin with the letter of their panel.
    prefix : str
        Begins the name of each file.

    Returns
    -------
    list of DrawnTable
        In the order of the panels. Seven significant digits; a missing value is an empty cell.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    matrices: list[str] = []
    for variable in map(str, drawn.data_vars):
        array = drawn[variable]
        dims = tuple(map(str, array.dims))
        if len(dims) == 2 and array.size > LONGEST_LIST:
            matrices.append(variable)
        else:
            groups.setdefault((_panel(variable), dims), []).append(variable)
    tables = []
    for (panel, _), variables in groups.items():
        name = f"{prefix}_{panel}_{'_'.join(_bare(v, panel) for v in variables)}"[:60]
        words = ", ".join(str(drawn[v].attrs.get("long_name", _bare(v, panel))) for v in variables)
        tables.append(DrawnTable(name, _list(drawn, variables), f"panel {panel}: {words}"))
    for variable in matrices:
        panel = _panel(variable)
        rows, columns = drawn[variable].shape
        words = str(drawn[variable].attrs.get("long_name", _bare(variable, panel)))
        tables.append(
            DrawnTable(
                f"{prefix}_{panel}_{_bare(variable, panel)}",
                _matrix(drawn[variable]),
                f"panel {panel}: {words}, {rows} × {columns} matrix",
            )
        )
    return sorted(tables, key=lambda table: table.name)


def _panel(variable: str) -> str:
    return variable.partition("_")[0]


def _bare(name: str, panel: str) -> str:
    return name.removeprefix(f"{panel}_")


def _heading(array: xr.DataArray) -> str:
    name = str(array.name)
    units = array.attrs.get("units", "")
    bare = _bare(name, _panel(name))
    return f"{bare} ({units})" if units and units != "1" else bare


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.7g}" if np.isfinite(value) else ""
    return str(value)


def _coordinate(array: xr.DataArray, dim: str) -> np.ndarray:
    return array[dim].values if dim in array.coords else np.arange(array.sizes[dim])


def _list(drawn: xr.Dataset, variables: list[str]) -> str:
    dims = list(map(str, drawn[variables[0]].dims))
    axes = [_coordinate(drawn[variables[0]], dim) for dim in dims]
    grid = np.meshgrid(*axes, indexing="ij") if axes else []
    columns = [axis.ravel() for axis in grid]
    columns += [drawn[variable].transpose(*dims).values.ravel() for variable in variables]
    first = drawn[variables[0]]
    heads = [_heading(first[d]) if d in first.coords else _bare(d, _panel(d)) for d in dims]
    heads += [_heading(drawn[variable]) for variable in variables]
    return _text([heads, *zip(*columns, strict=True)])


def _matrix(array: xr.DataArray) -> str:
    rows, columns = map(str, array.dims)
    corner = " \\ ".join(
        _heading(array[d]) if d in array.coords else _bare(d, _panel(d)) for d in (rows, columns)
    )
    head = [corner, *_coordinate(array, columns)]
    # half a million cells: formatted a row at a time
    body = [
        [label, *_cells(line)]
        for label, line in zip(_coordinate(array, rows), array.values, strict=True)
    ]
    return _text([head, *body])


def _cells(values: np.ndarray) -> list[str]:
    words = map("{:.7g}".format, values.tolist())
    return ["" if word in ("nan", "inf", "-inf") else word for word in words]


def _text(rows: list) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return stream.getvalue()
