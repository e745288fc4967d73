"""``xr.open_dataset("file.dat", engine="multivu")``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint

from nbnmbt.readers import multivu


class MultiVuBackend(BackendEntrypoint):
    """Open a MultiVu file as a dataset with one variable a column, over the dimension ``row``.

    Names are as in the file without the unit, which is the attribute ``units``; a name that is
    there twice keeps its suffix. Attributes hold the header and the read report (JSON).
    """

    description = "Quantum Design MultiVu .dat files (PPMS, DynaCool, MPMS3)"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "strict")

    def open_dataset(
        self,
        filename_or_obj: str | os.PathLike,
        *,
        drop_variables: str | list[str] | None = None,
        strict: bool = False,
    ) -> xr.Dataset:
        """Read the file; see `nbnmbt.readers.multivu.read`."""
        file = multivu.read(os.fspath(filename_or_obj), strict=strict)
        drop = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        variables = {}
        for name in file.names:
            values = file.columns[name.text]
            if values.dtype == object:
                values = values.astype(str)
            label = _label(name.text)
            if label in variables:
                label = name.text
            variables[label] = (
                "row",
                values,
                {"units": name.unit, "long_name": name.text},
            )
        if any(file.comments):
            variables["Comment"] = ("row", file.comments.astype(str), {"long_name": "Comment"})
        attrs = {
            "title": file.header.title,
            "byapp": ", ".join(file.header.byapp),
            "info": json.dumps(file.header.info, ensure_ascii=False),
            "file_open_time": file.header.file_open_text,
            "clock": file.clock,
            "start": "" if file.start is None else file.start.isoformat(),
            "read_report": json.dumps(file.report.to_dict(), ensure_ascii=False),
        }
        dataset = xr.Dataset(
            {key: value for key, value in variables.items() if key not in drop}, attrs=attrs
        )
        return dataset.assign_coords(row=np.arange(len(file)))

    def guess_can_open(self, filename_or_obj: object) -> bool:
        """Say yes to a ``.dat`` file whose head holds ``[Header]`` or ``[Data]``."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        path = Path(filename_or_obj)
        if path.suffix.lower() != ".dat" or not path.is_file():
            return False
        with open(path, "rb") as stream:
            head = stream.read(4096).lower()
        return b"[header]" in head or b"[data]" in head


def _label(text: str) -> str:
    """Return a column's name without its unit."""
    base, bracket, _ = text.rpartition("(")
    return base.strip() if bracket and text.rstrip('"').endswith(")") and base.strip() else text
