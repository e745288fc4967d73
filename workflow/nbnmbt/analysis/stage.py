"""Command line of an analysis stage: files in, ``run``, estimates out with their provenance.

``python -m nbnmbt.analysis.NAME --KEYWORD FILE ... --options JSON --out FILE`` reads each file,
calls ``run(KEYWORD=..., options=..., sample=...)`` and writes what it returns. A stage only
declares which files it takes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from nbnmbt import provenance
from nbnmbt.analysis.curves import open_measured, parse_options
from nbnmbt.analysis.estimate import read_stage, write_stage

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["stage_command", "write_netcdf"]


def stage_command(
    name: str,
    run: Callable[..., tuple[Any, ...]],
    options: type[BaseModel],
    description: str,
    *,
    datasets: Mapping[str, str],
    estimates: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    gathered: str | None = None,
    table: str | None = None,
) -> Callable[[Sequence[str] | None], int]:
    """Return the ``main`` of a stage.

    Parameters
    ----------
    name : str
        Name of the stage and of its module.
    run : callable
        Takes a dataset or None for each of `datasets`, estimates or None for each of `estimates`,
        ``options`` and ``sample``; returns estimates, statistics and, for a stage with a `table`,
        a dataset.
    options : type
        The stage's ``Options``.
    description : str
        One sentence for ``--help``.
    datasets, estimates : mapping of str to str
        Keyword of `run` -> what the file is; NetCDF files and stage files.
    flags : mapping of str to str, optional
        Keyword -> command-line flag where that is not the keyword with hyphens.
    gathered : str, optional
        Keyword of `run` that takes all datasets as one mapping.
    table : str, optional
        ``--out-TABLE`` names the file of the dataset that `run` returns.

    Returns
    -------
    callable
        ``main(argv=None) -> int``; the exit code is 0.
    """
    estimates, flags = dict(estimates or {}), dict(flags or {})
    inputs = {**datasets, **estimates}

    def main(argv: Sequence[str] | None = None) -> int:
        """Run the stage from the command line."""
        parser = argparse.ArgumentParser(
            prog=f"python -m nbnmbt.analysis.{name}", description=description
        )
        for keyword, text in inputs.items():
            flag = flags.get(keyword, keyword.replace("_", "-"))
            parser.add_argument(f"--{flag}", dest=keyword, help=text)
        parser.add_argument(
            "--options", default="{}", help="JSON of Options, or a file that holds it"
        )
        parser.add_argument("--out", required=True, help="estimates (.json)")
        if table is not None:
            parser.add_argument(f"--out-{table}", dest="table", required=True, help="table (.nc)")
        args = parser.parse_args(argv)
        paths = {keyword: getattr(args, keyword) for keyword in inputs}
        chosen = parse_options(options, args.options)
        data = {keyword: open_measured(paths[keyword]) for keyword in datasets}
        before = {
            keyword: read_stage(paths[keyword]).estimates if paths[keyword] else None
            for keyword in estimates
        }
        sample = next(
            (
                str(ds.attrs["sample"])
                for ds in data.values()
                if ds is not None and "sample" in ds.attrs
            ),
            "",
        )
        found, statistics, *more = run(
            **({gathered: data} if gathered else data), **before, options=chosen, sample=sample
        )
        origin = provenance.provenance_of(*data.values())
        plain = chosen.model_dump(mode="json")
        attrs = provenance.stage_attributes(
            name, plain, paths.values(), sample=sample, provenance=origin
        )
        write_stage(args.out, found, statistics, attrs=attrs)
        if table is not None:
            stamp = provenance.stamp(
                [path for path in paths.values() if path], plain, sample=sample, provenance=origin
            )
            more[0].attrs.update(provenance.netcdf_attributes(stamp))
            write_netcdf(more[0], args.table)
        return 0

    return main


def write_netcdf(ds: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a dataset; the file appears whole or not at all.

    Parameters
    ----------
    ds : Dataset
        What to write.
    path : path-like
        Target; folders are made.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        temporary = Path(folder) / target.name
        ds.to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, target)
