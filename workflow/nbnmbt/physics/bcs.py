r"""Weak-coupling BCS gap of an isotropic superconductor.

The self-consistency equation (Bardeen, Cooper and Schrieffer, Phys. Rev. 108, 1175 (1957); in
Matsubara form, Tinkham, *Introduction to Superconductivity*, ch. 3) is

.. math::

    \ln t + \sum_{n\ge 0}\left[\frac{1}{n+1/2}
        - \frac{1}{\sqrt{(n+1/2)^2 + x^2}}\right] = 0,
    \qquad x = \frac{\Delta}{2\pi k_B T},\quad t = T/T_c .

For a given :math:`x` it is an explicit formula for :math:`t`, so the curve is tabulated without
any root search: :math:`\Delta/\Delta_0 = 2\pi t x\,/(\Delta_0/k_BT_c)`.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from nbnmbt.physics.constants import K_B_meV

DELTA0_OVER_KTC: float = float(np.pi * np.exp(-np.euler_gamma))
r"""Zero-temperature gap over :math:`k_BT_c`, :math:`\pi e^{-\gamma_E}` = 1.763877."""

_N_SUM = 64


def reduced_temperature(x: ArrayLike) -> NDArray[np.float64]:
    r"""Temperature at which the gap is :math:`x` first Matsubara steps, the exact inverse curve.

    The Matsubara sum is cut at 64 terms; the rest is its Euler-Maclaurin integral, which leaves
    an error below 1e-12.

    Parameters
    ----------
    x : array_like
        :math:`\Delta/(2\pi k_B T)`, any shape, non-negative.

    Returns
    -------
    ndarray
        :math:`T/T_c`, same shape.
    """
    x = np.asarray(x, dtype=float)[..., np.newaxis]
    n = np.arange(_N_SUM) + 0.5
    head = np.sum(1.0 / n - 1.0 / np.hypot(n, x), axis=-1)
    x = x[..., 0]
    cut = float(_N_SUM)
    root = np.hypot(cut, x)
    integral = np.log((cut + root) / (2.0 * cut))
    slope = -1.0 / cut**2 + cut / root**3
    # f''' of f(s) = 1/s - (s^2 + x^2)^(-1/2)
    third = -6.0 / cut**4 - 9.0 * cut / root**5 + 15.0 * cut**3 / root**7
    return np.exp(-(head + integral + slope / 24.0 - 7.0 * third / 5760.0))


@lru_cache(maxsize=1)
def _gap_squared() -> CubicSpline:
    """Cubic spline of (Delta/Delta0)^2 over t in [0, 1]; the square is regular at t = 1."""
    # x = Delta/(2 pi kT) runs from 0 (t = 1) to 14 (t = 0.02, where 1 - Delta/Delta0 < 1e-30);
    # the power map puts the nodes where the curve bends.
    x = 14.0 * np.linspace(0.0, 1.0, 801) ** 1.5
    t = reduced_temperature(x)
    ratio = 2.0 * np.pi * t * x / DELTA0_OVER_KTC
    t, square = t[::-1], np.minimum(ratio[::-1] ** 2, 1.0)
    t[-1], square[-1] = 1.0, 0.0
    return CubicSpline(np.concatenate([[0.0], t]), np.concatenate([[1.0], square]))


def gap_ratio(t: ArrayLike) -> NDArray[np.float64]:
    r"""Reduced BCS gap :math:`\Delta(T)/\Delta_0`.

    Parameters
    ----------
    t : array_like
        Reduced temperature :math:`T/T_c`, any shape, non-negative.

    Returns
    -------
    ndarray
        Gap ratio, same shape; 0 for ``t >= 1``. Absolute error below 1e-8 against the
        self-consistency equation.

    Raises
    ------
    ValueError
        If any temperature is negative.
    """
    t = np.asarray(t, dtype=float)
    if np.any(t < 0.0):
        raise ValueError("reduced temperature must not be negative")
    square = _gap_squared()(np.minimum(t, 1.0))
    return np.where(t < 1.0, np.sqrt(np.clip(square, 0.0, 1.0)), np.where(np.isnan(t), t, 0.0))


def gap(T: ArrayLike, Tc: ArrayLike, ratio: ArrayLike = DELTA0_OVER_KTC) -> NDArray[np.float64]:
    r"""Superconducting gap :math:`\Delta(T)` with a strong-coupling amplitude.

    Only the amplitude :math:`\Delta_0 = r\,k_BT_c` is scaled; the temperature dependence stays
    the weak-coupling one.

    Parameters
    ----------
    T : array_like
        Temperature in K.
    Tc : array_like
        Critical temperature in K, positive; broadcast against `T`.
    ratio : array_like, optional
        :math:`\Delta_0/k_BT_c`, dimensionless; 2.05 for NbN.

    Returns
    -------
    ndarray
        Gap in meV, broadcast shape; 0 at and above `Tc`.

    Raises
    ------
    ValueError
        If `Tc` is not positive or `T` is negative.
    """
    Tc = np.asarray(Tc, dtype=float)
    if np.any(Tc <= 0.0):
        raise ValueError("critical temperature must be positive")
    return np.asarray(ratio) * K_B_meV * Tc * gap_ratio(np.asarray(T, dtype=float) / Tc)
