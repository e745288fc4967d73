r"""Resistive laws of the two materials: cusp and magnetoresistance of MnBi2Te4, transition of NbN.

All functions return ratios to a normal resistance; the device multiplies by ohms.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants as si
from scipy.optimize import brentq
from scipy.special import i0e

Array = NDArray[np.float64]

#: e^2/(16 hbar), the Aslamazov-Larkin sheet conductance scale, 1/ohm.
G_AL = si.e**2 / (16 * si.hbar)


def mnbi2te4_ratio(
    T: ArrayLike,
    *,
    neel_temperature: float,
    neel_spread: float = 0.3,
    order_amplitude: float = 0.12,
    fluctuation_amplitude: float = 0.06,
    fluctuation_width: float = 0.12,
    slope: float = 0.0025,
    beta: float = 0.35,
) -> Array:
    r"""R(T)/R_M of MnBi2Te4 in zero field, with the cusp at T_N.

    :math:`1 - b\,m^2 - c_+(1 - e^{-\epsilon/\epsilon_0}) + aT`, :math:`m = (1-T/T_N)^\beta`,
    :math:`\epsilon = T/T_N - 1` above T_N: spin-disorder scattering freezes out below and critical
    fluctuations fade above the transition (de Gennes-Friedel, Fisher-Langer class). Averaged over
    a Gaussian distribution of T_N, densely: few nodes leave ripples of 1e-4 that would move the
    maximum of dR/dT by tenths of a kelvin.

    Parameters
    ----------
    T : array_like
        K.
    neel_temperature, neel_spread : float
        Mean and standard deviation of T_N, K.
    order_amplitude, fluctuation_amplitude, fluctuation_width : float
        b, c_+ and eps_0.
    slope : float
        a, 1/K.
    beta : float
        Exponent of m.
    """
    tt = np.asarray(T, dtype=float)
    if neel_spread < 0:
        raise ValueError(f"neel_spread must not be negative, found {neel_spread!r} K")
    unique, inverse = np.unique(tt, return_inverse=True)
    deviates = np.linspace(-5, 5, 1601) if neel_spread > 0 else np.zeros(1)
    weights = np.exp(-0.5 * deviates**2)
    weights /= weights.sum()
    t = unique[:, None] / (neel_temperature + neel_spread * deviates)
    ordered = np.clip(1 - t, 0.0, None) ** (2 * beta)
    fading = -np.expm1(-np.clip(t - 1, 0.0, None) / fluctuation_width)
    mean = (order_amplitude * ordered + fluctuation_amplitude * fading) @ weights
    return (1 - mean + slope * unique)[inverse].reshape(tt.shape)


def mnbi2te4_magnetoresistance(
    B: ArrayLike,
    c2: ArrayLike,
    *,
    alignment: float = 0.05,
    quadratic: float = 1e-4,
    disorder: float = 0.0,
    m2: ArrayLike = 1.0,
) -> Array:
    r"""R(B)/R(0) of MnBi2Te4, :math:`1 - A_g c^2 + \kappa B^2 + A_{sd}(1 - \langle m^2\rangle)`.

    Parameters
    ----------
    B : array_like
        Field, T; enters squared: an odd part is a contact misalignment, not a resistance.
    c2 : array_like
        (M/M_s)^2.
    alignment : float
        A_g, gain of conductance between aligned layers.
    quadratic : float
        kappa, 1/T^2.
    disorder : float
        A_sd, spin-disorder part.
    m2 : array_like
        Mean square of the sublattice magnetisation.
    """
    field = np.asarray(B, dtype=float)
    return (
        1
        - alignment * np.asarray(c2)
        + quadratic * field**2
        + disorder * (1 - np.asarray(m2, dtype=float))
    )


def paraconductivity(
    T: ArrayLike,
    *,
    mean_field_temperature: float,
    thickness: float = 40.0,
    coherence_length: float = 3.333,
    floor: float = 2e-3,
) -> Array:
    r"""Aslamazov-Larkin sheet conductance between two and three dimensions, 1/ohm.

    :math:`G = \frac{e^2}{16\hbar\epsilon}\,\tfrac12[1 + x\coth x]`, :math:`x = d\sqrt\epsilon/\xi`,
    :math:`\epsilon = \ln(T/T_{MF})`, floored where the Gaussian theory ends.

    Parameters
    ----------
    T : array_like
        K.
    mean_field_temperature : float
        T_MF, K.
    thickness, coherence_length : float
        d and xi, nm.
    floor : float
        Smallest epsilon.
    """
    with np.errstate(divide="ignore"):
        eps = np.maximum(np.log(np.asarray(T, dtype=float) / mean_field_temperature), floor)
    x = thickness * np.sqrt(eps) / coherence_length
    return G_AL / eps * 0.5 * (1 + x / np.tanh(x))


def phase_slip_ratio(gamma: ArrayLike) -> Array:
    """Ambegaokar-Halperin zero-current resistance over normal resistance, I0(gamma)^-2."""
    # an infinite barrier (T = 0) has no phase slips; i0e itself is 0 there
    g = np.minimum(np.asarray(gamma, dtype=float), 1e6)
    with np.errstate(under="ignore"):
        return np.exp(-2 * g) / i0e(g) ** 2


def nbn_ratio(
    T: ArrayLike,
    B: ArrayLike = 0.0,
    *,
    mean_field_temperature: float,
    sheet_resistance: float = 42.5,
    thickness: float = 40.0,
    coherence_length: float = 3.333,
    barrier: float = 46.0,
    field_offset: float = 0.064,
    floor: float = 2e-3,
) -> Array:
    r"""R/R_n of the NbN film: Aslamazov-Larkin above, flux flow of Ambegaokar-Halperin form below.

    :math:`R/R_n = [1 + R_\square G_{AL}]^{-1}\,I_0(\gamma)^{-2}`,
    :math:`\gamma = C(1-t)^{3/2}/[t(|B| + B_0)]`, :math:`t = T/T_{MF}` (Tinkham, Phys. Rev.
    Lett. 61, 1658 (1988)): broadened in field like a high-kappa film.

    Parameters
    ----------
    T, B : array_like
        K and T (perpendicular field), broadcast.
    mean_field_temperature : float
        T_MF, K.
    sheet_resistance : float
        ohm.
    thickness, coherence_length : float
        nm.
    barrier : float
        C, T.
    field_offset : float
        B_0, T.
    floor : float
        Smallest epsilon of the paraconductivity.
    """
    tt, field = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
    conductance = sheet_resistance * paraconductivity(
        tt,
        mean_field_temperature=mean_field_temperature,
        thickness=thickness,
        coherence_length=coherence_length,
        floor=floor,
    )
    t = tt / mean_field_temperature
    with np.errstate(divide="ignore"):
        gamma = barrier * np.clip(1 - t, 0.0, None) ** 1.5 / (t * (np.abs(field) + field_offset))
    return phase_slip_ratio(gamma) / (1 + conductance)


@lru_cache(maxsize=64)
def mean_field_temperature(midpoint: float, **law: float) -> float:
    """T_MF for which R/R_n of :func:`nbn_ratio` is one half at the given temperature, K.

    Parameters
    ----------
    midpoint : float
        T50, K, in zero field.
    **law : float
        The other parameters of :func:`nbn_ratio`.
    """
    return float(
        brentq(
            lambda t: float(nbn_ratio(midpoint, 0.0, mean_field_temperature=t, **law)) - 0.5,
            midpoint,
            1.1 * midpoint,
            xtol=1e-12,
        )
    )


def transition_temperature(
    fraction: float, *, mean_field_temperature: float, **law: float
) -> float:
    """Temperature at which the zero-field R/R_n of :func:`nbn_ratio` passes ``fraction``, K.

    Parameters
    ----------
    fraction : float
        Between 0 and 0.95.
    mean_field_temperature : float
        T_MF, K.
    **law : float
        The other parameters of :func:`nbn_ratio`.
    """
    return float(
        brentq(
            lambda t: (
                float(nbn_ratio(t, 0.0, mean_field_temperature=mean_field_temperature, **law))
                - fraction
            ),
            0.5 * mean_field_temperature,
            1.5 * mean_field_temperature,
            xtol=1e-12,
        )
    )


def maximum_slope_temperature(T: Array, R: Array) -> float:
    """Temperature of the maximum of dR/dT on a dense, noise-free grid, K (parabolic refinement).

    Parameters
    ----------
    T, R : ndarray
        Uniform, ascending grid and the curve.
    """
    slope = np.gradient(R, T)
    i = int(np.clip(np.argmax(slope), 1, T.size - 2))
    a, b, c = slope[i - 1 : i + 2]
    return float(T[i] + 0.5 * (a - c) / (a - 2 * b + c) * (T[1] - T[0]))
