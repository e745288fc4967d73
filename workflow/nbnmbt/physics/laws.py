r"""Temperature laws of critical currents, normalised to one at zero temperature.

Every law is a function of the reduced temperature :math:`t=T/T_c` alone; it is 1 at ``t = 0`` and
0 for ``t >= 1``. `LAWS` lists them by name.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from nbnmbt.physics import depairing
from nbnmbt.physics.bcs import DELTA0_OVER_KTC, gap_ratio

Array = NDArray[np.float64]


def _inside(t: ArrayLike) -> tuple[Array, Array]:
    """Temperatures clipped to [0, 1], and the mask of the superconducting ones (NaN stays NaN)."""
    t = np.asarray(t, dtype=float)
    if np.any(t < 0.0):
        raise ValueError("reduced temperature must not be negative")
    return np.minimum(t, 1.0), np.where(np.isnan(t), np.nan, (t < 1.0).astype(float))


def bardeen(t: ArrayLike) -> Array:
    r"""Bardeen's interpolation :math:`(1-t^2)^{3/2}`.

    J. Bardeen, Rev. Mod. Phys. 34, 667 (1962).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * (1.0 - t * t) ** 1.5


def kupriyanov_lukichev(t: ArrayLike) -> Array:
    """Depairing current of a dirty superconductor, from the Usadel equation.

    M. Yu. Kupriyanov and V. F. Lukichev, Sov. J. Low Temp. Phys. 6, 210 (1980); see
    `nbnmbt.physics.depairing`.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape; absolute error below 1e-5.
    """
    return depairing.critical_current_ratio(t, 0.0)


def two_fluid(t: ArrayLike) -> Array:
    r"""Ginzburg-Landau current with two-fluid parameters, :math:`(1-t^2)^{3/2}(1+t^2)^{1/2}`.

    Tinkham, *Introduction to Superconductivity*, sec. 4.4.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * (1.0 - t * t) ** 1.5 * np.sqrt(1.0 + t * t)


def _tanh_half_gap(fraction: ArrayLike, t: Array) -> Array:
    """Evaluate tanh(fraction Delta/2kT), 1 at t = 0."""
    ratio = 0.5 * DELTA0_OVER_KTC * gap_ratio(t) * fraction
    return np.tanh(np.divide(ratio, t, out=np.full(np.shape(ratio), np.inf), where=t > 0.0))


def ambegaokar_baratoff(t: ArrayLike) -> Array:
    r"""Tunnel junction, :math:`(\Delta/\Delta_0)\tanh(\Delta/2k_BT)`.

    V. Ambegaokar and A. Baratoff, Phys. Rev. Lett. 10, 486 (1963).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * gap_ratio(t) * _tanh_half_gap(1.0, t)


_PHASE_X, _PHASE_W = np.polynomial.legendre.leggauss(64)


def _golden_maximum(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Maximum over a bracket, elementwise, by golden-section search to a bracket of 1e-8."""
    golden = 0.5 * (np.sqrt(5.0) - 1.0)
    a, b = low.copy(), high.copy()
    for _ in range(40):
        step = golden * (b - a)
        better = function(b - step) > function(a + step)
        a, b = np.where(better, a, b - step), np.where(better, a + step, b)
    return function(0.5 * (a + b))


def _ko1_current(phase: Array, t: Array) -> Array:
    r"""Dirty point contact, :math:`eR_NI/2\pi\Delta_0` as a Matsubara sum, t > 0.

    The sum :math:`2t\sum(\Delta\cos/\delta)\arctan(\Delta\sin/\delta)`,
    :math:`\delta^2=\Delta^2\cos^2+\omega^2`, is an integral over the quasi-particle energy,
    :math:`\int_{\Delta\cos}^{\Delta}dE\,\tanh(E/2kT)/\sqrt{E^2-\Delta^2\cos^2}`.
    """
    gap = gap_ratio(t)
    cosine, sine = np.cos(0.5 * phase), np.sin(0.5 * phase)
    # E = cos cosh(y), y from 0 to arcosh(1/cos) = artanh(sin)
    limit = np.arctanh(np.minimum(sine, 1.0 - 1e-15))
    y = 0.5 * limit[..., np.newaxis] * (1.0 + _PHASE_X)
    energy = cosine[..., np.newaxis] * np.cosh(y)
    integrand = _tanh_half_gap(energy, t[..., np.newaxis])
    return gap * cosine * 0.5 * limit * np.sum(integrand * _PHASE_W, axis=-1)


@lru_cache(maxsize=2)
def _point_contact(clean: bool) -> CubicSpline:
    """Spline of the maximum supercurrent over t, normalised at t = 0."""
    # the maximum moves from 1.97 rad (dirty) or pi (clean) at t = 0 to pi/2 at t = 1; the clean
    # contact leaves pi as t ln t does, hence nodes that crowd at t = 0
    t = np.linspace(0.0, 1.0, 401) ** 2
    low, high = np.full(t.shape, 0.5 * np.pi - 0.05), np.full(t.shape, np.pi)
    if clean:

        def current(phase: Array) -> Array:
            return gap_ratio(t) * np.sin(0.5 * phase) * _tanh_half_gap(np.cos(0.5 * phase), t)

    else:

        def current(phase: Array) -> Array:
            return _ko1_current(phase, t)

    value = _golden_maximum(current, low, high)
    # as a function of sqrt(t) the curve is smooth at both ends
    return CubicSpline(np.sqrt(t), value / value[0])


def ko1(t: ArrayLike) -> Array:
    r"""Dirty point contact, Kulik-Omelyanchuk 1, maximum over the phase.

    :math:`eR_NI = 4\pi k_BT\sum_\omega(\Delta\cos\frac\varphi2/\delta)
    \arctan(\Delta\sin\frac\varphi2/\delta)`, :math:`\delta^2=\Delta^2\cos^2\frac\varphi2
    +\omega^2`. I. O. Kulik and A. N. Omel'yanchuk, JETP Lett. 21, 96 (1975).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape; :math:`eR_NI_c(0)=1.3255\,\pi\Delta_0/2`.
    """
    t, mask = _inside(t)
    return mask * _point_contact(False)(np.sqrt(t))


def ko2(t: ArrayLike) -> Array:
    r"""Clean point contact, Kulik-Omelyanchuk 2, maximum over the phase.

    :math:`eR_NI = \pi\Delta\sin\frac\varphi2\tanh(\Delta\cos\frac\varphi2/2k_BT)`.
    I. O. Kulik and A. N. Omel'yanchuk, Sov. J. Low Temp. Phys. 3, 459 (1977).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * _point_contact(True)(np.sqrt(t))


def ginzburg_landau(t: ArrayLike) -> Array:
    r"""Ginzburg-Landau depairing current extrapolated to all temperatures, :math:`(1-t)^{3/2}`.

    Tinkham, sec. 4.4; exact only near :math:`T_c`.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * (1.0 - t) ** 1.5


def linear(t: ArrayLike) -> Array:
    """Straight line, 1 - t: the tunnel-junction law near the critical temperature.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * (1.0 - t)


@lru_cache(maxsize=1)
def _d_wave() -> CubicSpline:
    r"""Superfluid density times gap amplitude of a two-dimensional d-wave superconductor.

    Weak coupling with :math:`\Delta(\varphi)=\Delta\cos2\varphi`: the gap equation
    :math:`\ln t+\sum_n[1/(n+\frac12)-2\langle\cos^22\varphi/\sqrt{(n+\frac12)^2
    +x^2\cos^22\varphi}\rangle]=0` is explicit in t for given :math:`x=\Delta/2\pi kT`, as in
    `nbnmbt.physics.bcs`, and :math:`\rho_s=\sum_n\langle x^2\cos^22\varphi
    /[(n+\frac12)^2+x^2\cos^22\varphi]^{3/2}\rangle`.
    """
    # substitution phi -> cos(2 phi) = c: average over a quarter period, Gauss-Legendre in phi;
    # panels crowd at the node c = 0, where the integrand varies on the scale 1/x
    base, weight = np.polynomial.legendre.leggauss(200)
    u = 0.5 * (1.0 + base)
    angle = 0.5 * np.pi * u**3
    average = 0.5 * weight * 3.0 * u**2
    c2 = np.sin(angle) ** 2
    x = np.concatenate([[0.0], np.geomspace(1e-3, 40.0, 400)])
    n_sum = 400
    n = np.arange(n_sum) + 0.5
    log_t, density = np.zeros(x.shape), np.zeros(x.shape)
    for k, value in enumerate(x):
        square = value * value * c2
        root = np.sqrt(n[:, np.newaxis] ** 2 + square)
        head = np.sum(1.0 / n - (2.0 * c2 / root) @ average)
        cut = float(n_sum)
        edge = np.sqrt(cut * cut + square)
        # Euler-Maclaurin: the integral from the cut, and a 24th of the slope there
        tail = np.sum(average * 2.0 * c2 * np.log((cut + edge) / (2.0 * cut)))
        slope = -1.0 / cut**2 + np.sum(average * 2.0 * c2 * cut / edge**3)
        log_t[k] = -(head + tail + slope / 24.0)
        density[k] = np.sum((square / root**3) @ average)
        density[k] += np.sum(average * (1.0 - cut / edge))
        density[k] += np.sum(average * -3.0 * cut * square / edge**5) / 24.0
    t = np.exp(log_t)
    product = density * t * x
    # Delta0/kTc of the d-wave state: ln(Delta0/Delta0_s) = -<2 c^2 ln|c|> = ln 2 - 1/2
    amplitude = 2.0 * DELTA0_OVER_KTC * np.exp(-0.5)
    product *= 2.0 * np.pi / amplitude
    return CubicSpline(np.append(0.0, t[::-1]), np.append(1.0, product[::-1]))


def d_wave(t: ArrayLike) -> Array:
    r"""Nodal proxy: superfluid density times gap of a weak-coupling d-wave superconductor.

    :math:`\rho_s(t)\Delta(t)/\rho_s(0)\Delta_0` with :math:`\Delta_0/k_BT_c=2.1397`; it falls
    linearly at low temperature. H. Won and K. Maki, Phys. Rev. B 49, 1397 (1994).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * _d_wave()(t)


def long_sns(t: ArrayLike) -> Array:
    r"""Long diffusive normal link, :math:`(1-t)^2e^{-3\sqrt t}`.

    P. G. de Gennes, Rev. Mod. Phys. 36, 225 (1964): the square of the order parameter at the
    interfaces times the decay over a link of three thermal lengths at :math:`T_c`.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        :math:`I_c(t)/I_c(0)`, same shape.
    """
    t, mask = _inside(t)
    return mask * (1.0 - t) ** 2 * np.exp(-3.0 * np.sqrt(t))


LAWS: dict[str, Callable[[ArrayLike], Array]] = {
    "bardeen": bardeen,
    "kupriyanov-lukichev": kupriyanov_lukichev,
    "two-fluid": two_fluid,
    "ambegaokar-baratoff": ambegaokar_baratoff,
    "ko1": ko1,
    "ko2": ko2,
    "ginzburg-landau": ginzburg_landau,
    "linear": linear,
    "d-wave": d_wave,
    "long-sns": long_sns,
}
"""Temperature laws by name."""
