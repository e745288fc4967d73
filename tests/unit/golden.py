"""Reference values and tables from an independent slow implementation, for the unit tests.

``tests/data/golden.json`` holds scalars with the tolerance at which they must be met. A test takes
all that share a prefix::

    @golden("bcs.gap.")
    def test_gap(entry):
        entry.check(bcs.gap_ratio(entry["t"]))
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Golden:
    """One reference value; ``entry["t"]`` reads a number written in its key as ``t=...``."""

    key: str
    value: float
    atol: float
    what: str

    def __getitem__(self, name: str) -> float:
        # a number may hold a point, and points separate the parts of a key
        match = re.search(rf"(?:^|\.){re.escape(name)}=(-?\d+(?:\.\d+)?)(?=\.|$)", self.key)
        if match is None:
            raise KeyError(f"{self.key} has no field {name}")
        return float(match.group(1))

    def check(self, computed) -> None:
        """Fail unless the computed scalar agrees within the tolerance of the reference."""
        computed = float(computed)
        assert abs(computed - self.value) <= self.atol, (
            f"{self.key} ({self.what}): {computed!r}, reference {self.value!r} ± {self.atol:g}"
        )


@lru_cache(maxsize=1)
def all_golden() -> dict[str, Golden]:
    """Every reference value by key."""
    text = (DATA / "golden.json").read_text(encoding="utf-8")
    return {key: Golden(key, **entry) for key, entry in json.loads(text).items()}


def golden(pattern: str):
    """Parametrize a test's ``entry`` over the keys that begin with a regular expression."""
    entries = [entry for key, entry in all_golden().items() if re.match(pattern, key)]
    if not entries:
        raise LookupError(f"no reference value matches {pattern}")
    return pytest.mark.parametrize("entry", entries, ids=[entry.key for entry in entries])


def value(key: str) -> Golden:
    """One reference value."""
    return all_golden()[key]


def table(name: str) -> np.ndarray:
    """Numbers of a reference table in tests/data; what is not a number becomes NaN."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line and not line.startswith("#")]
    # the header may hold commas within quotes, so it is recognised by not being numeric
    rows = [row for row in rows if re.match(r"^-?[\d.]", row)]
    return np.genfromtxt(rows, delimiter=",")
