"""What every reader returns: canonical columns in time order, with the account of the reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nbnmbt.readers.report import ReadReport


@dataclass
class Recording:
    """Rows of one file (or of one channel of it) in time order, in canonical units.

    Attributes
    ----------
    path : Path
    columns : dict of str to ndarray
        Keys among ``time`` (s), ``temperature`` (K), ``field`` (T), ``angle`` (deg), ``current``
        (A), ``voltage`` (V), ``resistance`` (ohm), ``resistance_err`` (ohm, standard deviation of
        the mean); arrays of one length; NaN where the file has no value.
    header : dict of str to str
        What the head of the file says.
    report : ReadReport
    """

    path: Path
    columns: dict[str, np.ndarray]
    header: dict[str, str] = field(default_factory=dict)
    report: ReadReport | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0
