"""The reference values themselves: each is used by a test; and those that join several modules."""

import re
from pathlib import Path

import numpy as np
import pytest
from golden import all_golden, golden, table, value

from nbnmbt.physics import bcs, depairing
from nbnmbt.physics.magnet import Magnet, surface_average

# at 2 K in mA, critical temperature in K, exchange over Delta00, D in cm^2/s, thickness in nm
CHANNELS = {
    0: (0.95, 6.0, 0.05, 0.22, 22.0),
    1: (1.2, 6.6, 0.03, 0.25, 20.0),
    2: (2.1, 8.6, 0.012, 0.35, 20.0),
}


def device_current(k, B, orientation):
    """Ic_k(B) of the default device at 2 K: orbital and exchange pair breaking add."""
    at_zero, tc, exchange, D, thickness = CHANNELS[k]
    magnet = Magnet.from_fields(
        spin_flop_field=3.0, saturation_field=8.0, ordering_temperature=24.4
    )
    bare = depairing.bare_tc(tc, exchange)
    delta00 = bcs.gap(0.0, bare)
    if orientation == "out-of-plane":
        orbital = depairing.pair_breaking_perpendicular(B, D)
    else:
        orbital = depairing.pair_breaking_parallel_film(B, D, thickness)
    alpha = orbital / delta00 + exchange * surface_average(B, magnet, orientation, xi=5.0)
    ratio = depairing.critical_current_ratio(2.0 / bare, alpha)
    return at_zero * ratio / depairing.critical_current_ratio(2.0 / bare, exchange)


@golden(r"fwd\.Ic\d\.2K\.c\.")
def test_currents_in_a_perpendicular_field(entry):
    entry.check(device_current(int(entry.key[6]), entry["B"], "out-of-plane"))


@golden(r"fwd\.Ic\d\.2K\.ab\.")
def test_currents_in_a_parallel_field(entry):
    entry.check(device_current(int(entry.key[6]), entry["B"], "in-plane"))


def test_every_reference_value_is_tested():
    used = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for pattern in re.findall(r'@golden\(r?"([^"]+)"\)', text):
            used.update(key for key in all_golden() if re.match(pattern, key))
        used.update(re.findall(r'value\("([^"]+)"\)', text))
    assert set(all_golden()) - used == set()
    assert len(all_golden()) == 96


def test_loader_reads_fields_and_can_fail():
    entry = value("rsj.v.g=226.5.i=1.0")
    assert (entry["g"], entry["i"]) == (226.5, 1.0)
    with pytest.raises(KeyError):
        entry["Z"]
    entry.check(entry.value + 0.5 * entry.atol)
    with pytest.raises(AssertionError, match="reference"):
        entry.check(entry.value + 2.0 * entry.atol)
    with pytest.raises(AssertionError):
        entry.check(np.nan)
    with pytest.raises(LookupError):
        golden("no.such.key")
    assert table("rsj_vdv.csv").shape == (275, 4)
