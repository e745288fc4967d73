"""Units a transport lab writes into column names, and their exact conversion."""

from __future__ import annotations

import math

import numpy as np

from nbnmbt.errors import InputError, did_you_mean

#: Canonical unit of each quantity a file may hold.
CANONICAL: dict[str, str] = {
    "time": "s",
    "temperature": "K",
    "field": "T",
    "angle": "deg",
    "current": "A",
    "voltage": "V",
    "resistance": "ohm",
}

# unit -> (multiplier, divisor, offset); value = (raw + offset) * multiplier / divisor.
# Division by an exact power of ten is correctly rounded, multiplication by 1e-4 is not.
_CONVERT: dict[str, dict[str, tuple[float, float, float]]] = {
    "time": {"s": (1, 1, 0), "ms": (1, 1e3, 0), "min": (60, 1, 0), "h": (3600, 1, 0)},
    "temperature": {"K": (1, 1, 0), "mK": (1, 1e3, 0), "degC": (1, 1, 273.15)},
    "field": {
        "T": (1, 1, 0),
        "mT": (1, 1e3, 0),
        "uT": (1, 1e6, 0),
        "Oe": (1, 1e4, 0),
        "kOe": (1, 10, 0),
        "G": (1, 1e4, 0),
        "kG": (1, 10, 0),
        "A/m": (4e-7 * math.pi, 1, 0),
    },
    "angle": {"deg": (1, 1, 0), "rad": (180 / math.pi, 1, 0)},
    "current": {
        "A": (1, 1, 0),
        "mA": (1, 1e3, 0),
        "uA": (1, 1e6, 0),
        "nA": (1, 1e9, 0),
        "pA": (1, 1e12, 0),
    },
    "voltage": {
        "V": (1, 1, 0),
        "kV": (1e3, 1, 0),
        "mV": (1, 1e3, 0),
        "uV": (1, 1e6, 0),
        "nV": (1, 1e9, 0),
    },
    "resistance": {
        "ohm": (1, 1, 0),
        "uohm": (1, 1e6, 0),
        "mohm": (1, 1e3, 0),
        "kohm": (1e3, 1, 0),
        "Mohm": (1e6, 1, 0),
    },
}

_WORDS = {
    "kelvin": "K",
    "tesla": "T",
    "oersted": "Oe",
    "oe": "Oe",
    "koe": "kOe",
    "gauss": "G",
    "kgauss": "kG",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "minutes": "min",
    "minute": "min",
    "hours": "h",
    "hour": "h",
    "deg": "deg",
    "degree": "deg",
    "degrees": "deg",
    "°": "deg",
    "°c": "degC",
    "celsius": "degC",
    "degc": "degC",
    "rad": "rad",
    "radian": "rad",
    "radians": "rad",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "volt": "V",
    "volts": "V",
    "ohm": "ohm",
    "ohms": "ohm",
    "ω": "ohm",
}


def normal_unit(text: str) -> str:
    """Return the one spelling used here for the many ways to write a unit.

    The micro sign (U+00B5) and the Greek mu (U+03BC) both become ``u``; case is kept where it
    tells milli from mega.
    """
    unit = text.strip().strip("()[]").strip()
    unit = unit.replace("µ", "u").replace("μ", "u").replace("\u2126", "Ω")
    lower = unit.casefold()
    if lower in _WORDS:
        return _WORDS[lower]
    for prefix in ("u", "m", "k", "M"):
        if unit.startswith(prefix) and unit[1:].casefold() in ("ohm", "ohms", "ω"):
            return prefix + "ohm"
    for ending in ("ohm", "ohms"):
        for length in ("m", "cm", "mm"):
            if lower in (f"{ending}-{length}", f"{ending} {length}", f"{ending}*{length}"):
                return f"ohm-{length}"
    return unit


def known_units(quantity: str) -> list[str]:
    """Return the units `quantity` may be given in."""
    return list(_CONVERT[quantity])


def converter(quantity: str, unit: str, **where):
    """Return a function that converts an array of `quantity` in `unit` to the canonical unit.

    Parameters
    ----------
    quantity : str
        Key of `CANONICAL`.
    unit : str
        As written by instrument or person.
    **where
        ``file``, ``line``, ``column`` of `InputError` when the unit is unknown.

    Raises
    ------
    InputError
        If the unit does not measure the quantity.
    """
    normal = normal_unit(unit)
    table = _CONVERT[quantity]
    if normal not in table:
        raise InputError(
            f"unknown unit for {quantity}",
            found=unit,
            expected=f"one of {', '.join(table)}",
            advice=did_you_mean(unit, table) if unit else "state the unit",
            **where,
        )
    multiplier, divisor, offset = table[normal]

    def convert(values):
        values = np.asarray(values, dtype=float)
        if offset:
            values = values + offset
        if multiplier != 1:
            values = values * multiplier
        return values / divisor if divisor != 1 else values

    return convert
