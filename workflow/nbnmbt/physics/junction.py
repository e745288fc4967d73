r"""Current-voltage curve of a bridge: ohmic, Josephson and Andreev parts in series.

.. math::

    V(I) = V_0 + R_sI + \sum_k R_k I_{c,k}\,v(I/I_{c,k},\gamma_k) + V_{AR}(I),\qquad
    \gamma_k = \frac{\hbar I_{c,k}}{2ek_BT_n},

with the thermal RSJ curve :math:`v` of `nbnmbt.physics.rsj` and the contact of
`nbnmbt.physics.andreev`. A channel without critical current contributes :math:`R_kI`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from nbnmbt.physics import andreev as contact
from nbnmbt.physics import rsj

Array = NDArray[np.float64]


def channel_voltage(I: ArrayLike, Ic: ArrayLike, R: ArrayLike, Tn: ArrayLike) -> Array:
    r"""Voltage of one Josephson channel, :math:`RI_c\,v(I/I_c,\gamma)`; ohmic for Ic <= 0.

    Parameters
    ----------
    I : array_like
        Current in mA.
    Ic : array_like
        Critical current in mA; not positive means normal.
    R : array_like
        Normal resistance of the channel in ohm.
    Tn : array_like
        Noise temperature in K, positive. All broadcast; fast when `Ic` and `Tn` have a last axis
        of length one.

    Returns
    -------
    ndarray
        Voltage in mV, broadcast shape.

    Raises
    ------
    ValueError
        If `Tn` is not positive.
    """
    I, Ic, R, Tn = (np.asarray(value, dtype=float) for value in (I, Ic, R, Tn))
    if np.any(Tn <= 0.0):
        raise ValueError("noise temperature must be positive")
    superconducting = Ic > 0.0
    scale = np.where(superconducting, Ic, 1.0)
    # gamma = 0 is the ohmic limit v = i of the table, exact for any scale
    noise = np.where(superconducting, rsj.gamma(scale, Tn), 0.0)
    voltage_ = R * scale * rsj.tabulated(I / scale, noise)[0]
    # an unknown critical current is not an absent one
    return np.where(np.isnan(Ic), np.nan, voltage_)


def phase_slip_voltage(
    I: ArrayLike, Ic: ArrayLike, R: ArrayLike, beta: ArrayLike, spread: ArrayLike
) -> Array:
    r"""Phase-slip or hot-spot channel, :math:`R(I-\beta I_c)\Theta(I-I_c)`, with spread Ic.

    The average over a Gaussian distribution of :math:`I_c` of standard deviation
    :math:`\sigma`: :math:`R[(I-\beta\bar I_c)\Phi(z)+\beta\sigma\phi(z)]`,
    :math:`z=(I-\bar I_c)/\sigma`; dV/dI then has a Gaussian peak. W. J. Skocpol, M. R. Beasley
    and M. Tinkham, J. Low Temp. Phys. 16, 145 (1974) for the excess-current form.

    Parameters
    ----------
    I : array_like
        Current in mA.
    Ic : array_like
        Mean critical current in mA, well above `spread`.
    R : array_like
        Resistance of the resistive state in ohm.
    beta : array_like
        Fraction of the critical current that flows without voltage, 0 to 1.
    spread : array_like
        Standard deviation of the critical current in mA, positive. All broadcast.

    Returns
    -------
    ndarray
        Voltage in mV, odd in `I`.

    Raises
    ------
    ValueError
        If `spread` is not positive.
    """
    I, Ic, R, beta, spread = (np.asarray(value, dtype=float) for value in (I, Ic, R, beta, spread))
    if np.any(~(spread > 0.0)):
        raise ValueError("spread of the critical current must be positive")
    size = np.abs(I)
    z = (size - Ic) / spread
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return np.sign(I) * R * ((size - beta * Ic) * ndtr(z) + beta * spread * density)


def voltage(
    I: ArrayLike,
    *,
    V0: ArrayLike,
    R_s: ArrayLike,
    Ic: ArrayLike,
    R: ArrayLike,
    Tn: ArrayLike,
    andreev: Mapping[str, ArrayLike] | None = None,
) -> Array:
    r"""Voltage of the series connection of the module docstring.

    Parameters
    ----------
    I : array_like
        Current in mA, shape S.
    V0 : array_like
        Offset voltage in mV, broadcast against S.
    R_s : array_like
        Series resistance in ohm, broadcast against S.
    Ic : array_like
        Critical currents in mA; the *first* axis is the channel, the rest broadcasts against S.
        Channels with Ic <= 0 are ohmic.
    R : array_like
        Normal resistances of the channels in ohm, channel axis first.
    Tn : array_like
        Noise temperatures in K; a scalar, or channel axis first.
    andreev : mapping, optional
        Keyword arguments ``T, gap, Z, P, R_N`` of `nbnmbt.physics.andreev.voltage`.

    Returns
    -------
    ndarray
        Voltage in mV.

    Raises
    ------
    ValueError
        If `R` or `Tn` does not have the channels of `Ic`, or a parameter is out of range.
    """
    I = np.asarray(I, dtype=float)
    Ic, R, Tn = (np.atleast_1d(np.asarray(value, dtype=float)) for value in (Ic, R, Tn))
    if R.shape[0] != Ic.shape[0] or Tn.shape[0] not in (1, Ic.shape[0]):
        raise ValueError(f"channel axes differ: {Ic.shape[0]} Ic, {R.shape[0]} R, {Tn.shape[0]} Tn")
    total = np.asarray(V0, dtype=float) + np.asarray(R_s, dtype=float) * I
    for k in range(Ic.shape[0]):
        total = total + channel_voltage(I, Ic[k], R[k], Tn[k if Tn.shape[0] > 1 else 0])
    if andreev is not None:
        total = total + contact.voltage(I, **andreev)
    return total
