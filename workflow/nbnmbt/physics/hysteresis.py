r"""Low-field loops of the interfacial resistance.

A magnetised interface layer switches along :math:`m_\pm(B) = \tanh[(B \mp B_c)/w]` (upper sign:
field swept up). Its resistance is even in m when domains scatter (``butterfly``,
:math:`f = 1 - m^2`) and odd when the remanent state itself counts (``square``, :math:`f = m/2`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnmbt.physics.magnet import order_parameter

Array = NDArray[np.float64]


def branch(B: ArrayLike, direction: ArrayLike, *, coercive_field: ArrayLike, width: float) -> Array:
    """Reduced interface magnetisation on the up (+1) or down (-1) branch.

    Parameters
    ----------
    B : array_like
        Field, T.
    direction : array_like
        Sign of dB/dt, +1 or -1.
    coercive_field : array_like
        B_c, T; the up branch crosses zero at +B_c.
    width : float
        Width w of the switching, T.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, found {width!r} T")
    step = np.sign(np.asarray(direction, dtype=float))
    return np.tanh((np.asarray(B, dtype=float) - step * coercive_field) / width)


def loop_resistance(
    B: ArrayLike,
    direction: ArrayLike,
    *,
    coercive_field: ArrayLike,
    width: float,
    amplitude: ArrayLike,
    square_fraction: float = 0.0,
) -> Array:
    """Resistance of the loop, Delta R [(1-s)(1-m^2) + s m/2], ohm.

    Parameters
    ----------
    B, direction : array_like
        Field, T, and sign of dB/dt.
    coercive_field, width : array_like, float
        T.
    amplitude : array_like
        Delta R, ohm: height of the butterfly peaks, or opening of the square loop at B = 0.
    square_fraction : float
        Mixture s from 0 (butterfly) to 1 (square).
    """
    if not 0 <= square_fraction <= 1:
        raise ValueError(f"square_fraction must lie in [0, 1], found {square_fraction!r}")
    m = branch(B, direction, coercive_field=coercive_field, width=width)
    return np.asarray(amplitude) * ((1 - square_fraction) * (1 - m**2) + 0.5 * square_fraction * m)


def coercive_field(
    T: ArrayLike,
    *,
    zero_temperature: float,
    ordering_temperature: float,
    law: Literal["default", "kneller"] = "default",
    softening: float = 0.35,
    m: ArrayLike | None = None,
) -> Array:
    """Coercive field B_c(T), T.

    ``default``: B_c0 m(T) (1 - 0.35 sqrt(T/T_N)); ``kneller``: B_c0 (1 - sqrt(T/T_N)). Zero above
    T_N.

    Parameters
    ----------
    T : array_like
        K.
    zero_temperature : float
        B_c0, T.
    ordering_temperature : float
        T_N, K.
    law : {"default", "kneller"}
        Temperature law.
    softening : float
        Coefficient of the thermal softening in the default law.
    m : array_like, optional
        Sublattice magnetisation m(T), 1 at T = 0; the mean field when not given.
    """
    t = np.asarray(T, dtype=float) / ordering_temperature
    root = np.sqrt(np.clip(t, 0.0, 1.0))
    if law == "kneller":
        return zero_temperature * (1 - root)
    if law != "default":
        raise ValueError(f"law must be 'default' or 'kneller', found {law!r}")
    m = order_parameter(T, ordering_temperature) if m is None else np.asarray(m, dtype=float)
    return zero_temperature * m * (1 - softening * root)


def loop_amplitude(
    T: ArrayLike,
    *,
    zero_temperature: float,
    ordering_temperature: float,
    m: ArrayLike | None = None,
) -> Array:
    """Loop height Delta R(T) = Delta R_0 m(T)^2, ohm; zero above T_N.

    Parameters
    ----------
    T : array_like
        K.
    zero_temperature : float
        Delta R_0, ohm.
    ordering_temperature : float
        T_N, K.
    m : array_like, optional
        Sublattice magnetisation m(T), 1 at T = 0; the mean field when not given.
    """
    m = order_parameter(T, ordering_temperature) if m is None else np.asarray(m, dtype=float)
    return zero_temperature * m**2
