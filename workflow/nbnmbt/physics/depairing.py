r"""Depairing critical current of a dirty superconductor with additive pair breaking.

All energies are in units of :math:`\Delta_{00}=\pi e^{-\gamma_E}k_BT_{c}`, the gap at zero
temperature without pair breaking; :math:`T_c` is the *bare* critical temperature, i.e. the one
without pair breaking, and :math:`t=T/T_c`. With :math:`\omega_n = 2\pi k_BT(n+1/2)`, the total
pair breaking :math:`\zeta = \alpha + \zeta_q`, :math:`\zeta_q=\hbar Dq^2/2` and
:math:`\cot\theta_n=u_n` the Usadel equation and its self-consistency are

.. math::

    \Delta u_n - \omega_n - \frac{\zeta u_n}{\sqrt{1+u_n^2}} = 0, \qquad
    \ln t + \psi\!\left(\tfrac12+z\right) - \psi\!\left(\tfrac12\right)
      + \sum_{n\ge0}\left[\frac{1}{n+\frac12+z}
      - \frac{2\pi k_BT\sin\theta_n}{\Delta}\right] = 0,

with :math:`z=\zeta/2\pi k_BT`, and the supercurrent density is

.. math::

    j = \frac{\sigma}{e}\sqrt{\frac{2\zeta_q}{\hbar D}}\;
        2\pi k_BT\sum_{n\ge0}\sin^2\theta_n , \qquad I_c = \max_{\zeta_q} j .

K. D. Usadel, Phys. Rev. Lett. 25, 507 (1970); M. Yu. Kupriyanov and V. F. Lukichev, Sov. J. Low
Temp. Phys. 6, 210 (1980); J. Romijn et al., Phys. Rev. B 26, 3648 (1982); A. Anthore,
H. Pothier and D. Esteve, Phys. Rev. Lett. 90, 127001 (2003). The critical temperature follows
A. A. Abrikosov and L. P. Gor'kov, Sov. Phys. JETP 12, 1243 (1961).

The Matsubara sums are cut at 64 terms. The rest is an Euler-Maclaurin integral in closed form,
with :math:`w=\Delta u` as the integration variable, so that every formula stays regular both for
:math:`T\to0` (the sum vanishes, the integral is everything) and for :math:`\Delta\to0`.

The two tables of this module are written by ``python -m nbnmbt.physics.depairing --write-table``.
"""

import argparse
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline, RectBivariateSpline
from scipy.optimize import elementwise
from scipy.special import polygamma, psi

from nbnmbt.physics.bcs import DELTA0_OVER_KTC
from nbnmbt.physics.constants import HBAR, E

Array = NDArray[np.float64]

TABLE_PATH = Path(__file__).with_name("depairing_table.csv")

ALPHA_CRITICAL = 0.5
"""Pair breaking, in units of Delta00, at which superconductivity vanishes at T = 0."""

_N_SUM = 64
_STEP = 2.0 * np.pi / DELTA0_OVER_KTC
_PSI_HALF = float(psi(0.5))


# --- Abrikosov-Gor'kov: where superconductivity ends ------------------------------------------


def _inverse_digamma_shift(log_ratio: Array) -> Array:
    """Solve psi(1/2 + z) - psi(1/2) = log_ratio >= 0 for z by Newton's method."""
    target = log_ratio + _PSI_HALF
    # psi(x) ~ ln(x - 1/2) for large x, linear for small z
    z = np.where(
        log_ratio > 1.0,
        np.sqrt(np.maximum(np.exp(2.0 * target) - 1.0 / 12.0, 0.0)),
        2.0 * log_ratio / np.pi**2,
    )
    for _ in range(8):
        # concave function, Newton from the left never overshoots below zero
        z = np.maximum(z - (psi(0.5 + z) - target) / polygamma(1, 0.5 + z), 0.0)
    return z


def critical_pair_breaking(t: ArrayLike) -> Array:
    r"""Pair breaking that destroys superconductivity at a given temperature.

    Inverse of the Abrikosov-Gor'kov equation
    :math:`\ln t = \psi(\frac12) - \psi(\frac12 + \zeta_c/2\pi k_BT)`.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c` with the bare critical temperature.

    Returns
    -------
    ndarray
        :math:`\zeta_c/\Delta_{00}`, same shape; 0.5 at t = 0, 0 for t >= 1.
    """
    t = np.asarray(t, dtype=float)
    inside = np.clip(t, 1e-6, 1.0)
    value = _STEP * inside * _inverse_digamma_shift(-np.log(inside))
    return np.where(t < 1.0, value, np.where(np.isnan(t), t, 0.0))


@lru_cache(maxsize=1)
def _tc_squared() -> CubicSpline:
    """Spline of (Tc/Tc0)^2 over alpha; it is linear in 1/2 - alpha at the critical end."""
    log_ratio = np.linspace(0.0, 1.0, 400) ** 2 * 7.0
    t = np.exp(-log_ratio)
    alpha = _STEP * t * _inverse_digamma_shift(log_ratio)
    return CubicSpline(np.append(alpha, ALPHA_CRITICAL), np.append(t * t, 0.0))


def tc_ratio(alpha: ArrayLike) -> Array:
    r"""Critical temperature under pair breaking, :math:`T_c(\alpha)/T_c(0)`.

    Abrikosov and Gor'kov (1961): :math:`\ln(T_c/T_{c0}) = \psi(\frac12) -
    \psi(\frac12+\alpha/2\pi k_BT_c)`. A spline is polished by Newton's method on the equation.

    Parameters
    ----------
    alpha : array_like
        Pair breaking in units of :math:`\Delta_{00}`, non-negative.

    Returns
    -------
    ndarray
        Same shape; 0 for alpha >= 0.5. Relative error below 1e-12 for alpha < 0.499.

    Raises
    ------
    ValueError
        If any `alpha` is negative.
    """
    alpha = np.asarray(alpha, dtype=float)
    if np.any(alpha < 0.0):
        raise ValueError("pair breaking must not be negative")
    inside = np.minimum(alpha, ALPHA_CRITICAL * (1.0 - 1e-9))
    t = np.sqrt(np.maximum(_tc_squared()(inside), 1e-12))
    for _ in range(2):
        z = inside / (_STEP * t)
        residual = np.log(t) + psi(0.5 + z) - _PSI_HALF
        # z psi'(1/2+z) -> 1 at the critical end: the slope there is about 1/(6 z^2)
        slope = np.maximum(1.0 - z * polygamma(1, 0.5 + z), 1e-12)
        t = np.clip(t * np.exp(np.clip(-residual / slope, -0.1, 0.1)), 1e-9, 1.0)
    return np.where(alpha < ALPHA_CRITICAL, t, np.where(np.isnan(alpha), alpha, 0.0))


def bare_tc(Tc: ArrayLike, alpha_over_delta00: ArrayLike) -> Array:
    r"""Bare critical temperature of a superconductor whose `Tc` already includes pair breaking.

    Parameters
    ----------
    Tc : array_like
        Observed critical temperature in K.
    alpha_over_delta00 : array_like
        Pair breaking over the *bare* :math:`\Delta_{00}`, below 0.5; broadcast against `Tc`.

    Returns
    -------
    ndarray
        Critical temperature without pair breaking in K, ``Tc / tc_ratio(alpha)``.

    Raises
    ------
    ValueError
        If the pair breaking destroys superconductivity.
    """
    ratio = tc_ratio(alpha_over_delta00)
    if np.any(ratio <= 0.0):
        raise ValueError("pair breaking of half the bare gap or more leaves no superconductor")
    return np.asarray(Tc, dtype=float) / ratio


def whh_reduced_field(t: ArrayLike) -> Array:
    r"""Dirty-limit upper critical field :math:`h^*=B_{c2}/(T_c|dB_{c2}/dT|_{T_c})`.

    N. R. Werthamer, E. Helfand and P. C. Hohenberg, Phys. Rev. 147, 295 (1966), without spin
    paramagnetism and spin-orbit scattering: the Abrikosov-Gor'kov equation with
    :math:`\alpha = DeB` and :math:`dB_{c2}/dT=-4k_B/\pi eD`, hence
    :math:`\ln t = \psi(\frac12)-\psi(\frac12+2h^*/\pi^2t)`.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c`.

    Returns
    -------
    ndarray
        Same shape; 0.69267 at t = 0, 0 for t >= 1.
    """
    # alpha_c/Delta00 = 1/2 at t = 0 is h* = (pi^2/2) exp(psi(1/2))
    return critical_pair_breaking(t) * (np.pi**2 * np.exp(_PSI_HALF))


# --- Pair breaking by a magnetic field --------------------------------------------------------


def pair_breaking_perpendicular(B: ArrayLike, D: ArrayLike) -> Array:
    r"""Orbital pair breaking of a perpendicular field, :math:`\alpha = DeB`.

    K. Maki, in *Superconductivity*, ed. R. D. Parks (1969), ch. 18; Tinkham, sec. 10.2.

    Parameters
    ----------
    B : array_like
        Magnetic field in T; its sign does not matter.
    D : array_like
        Diffusion coefficient in cm^2/s; broadcast against `B`.

    Returns
    -------
    ndarray
        Pair-breaking energy in meV.
    """
    # 1e-4 m^2/cm^2; D e B / e is an energy in eV
    return 0.1 * np.asarray(D, dtype=float) * np.abs(np.asarray(B, dtype=float))


def pair_breaking_parallel_film(B: ArrayLike, D: ArrayLike, d: ArrayLike) -> Array:
    r"""Orbital pair breaking of a parallel field in a thin film, :math:`De^2B^2d^2/6\hbar`.

    Maki (1969); Tinkham, sec. 10.2. Valid for thickness well below the penetration depth and
    below about 1.8 coherence lengths; thicker films admit vortices or a surface sheath.

    Parameters
    ----------
    B : array_like
        Magnetic field in T.
    D : array_like
        Diffusion coefficient in cm^2/s.
    d : array_like
        Film thickness in nm; all broadcast.

    Returns
    -------
    ndarray
        Pair-breaking energy in meV.
    """
    field_times_thickness = np.asarray(B, dtype=float) * np.asarray(d, dtype=float) * 1e-9
    return 0.1 * np.asarray(D, dtype=float) * field_times_thickness**2 * (E / (6.0 * HBAR))


# --- Exact solution of the Usadel equation ----------------------------------------------------


def _matsubara(t: Array, zeta: Array, square: Array) -> tuple[Array, Array, Array, Array]:
    """Solve omega = w (1 - zeta/sqrt(Delta^2 + w^2)) for w at the 64 frequencies and the cut.

    Returns h = 2 pi kT, the frequencies' w with a trailing axis, w at the cut omega = 64 h, and
    dw/domega at the cut.
    """
    h = _STEP * t
    n = np.append(np.arange(_N_SUM) + 0.5, float(_N_SUM))
    omega = h[..., np.newaxis] * n
    zeta, square = zeta[..., np.newaxis], square[..., np.newaxis]
    w = omega + zeta
    # convex in w and started above the root: Newton descends monotonically
    for _ in range(60):
        root = np.sqrt(square + w * w)
        # at Delta = 0 and w = 0 the ratio is 0/0; there w = omega + zeta = 0 is the root already
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0.0)
        slope = 1.0 - zeta * square * inverse**3
        change = (w * (1.0 - zeta * inverse) - omega) / np.maximum(slope, 1e-300)
        w = w - change
        if np.all(np.abs(change) <= 1e-15 * (w + 1e-3)):
            break
    w = np.maximum(w, 0.0)
    cut = np.sqrt(square + w * w)[..., -1]
    inverse = np.divide(1.0, cut, out=np.zeros_like(cut), where=cut > 0.0)
    slope = 1.0 / np.maximum(1.0 - (zeta * square)[..., 0] * inverse**3, 1e-300)
    return h, w[..., :-1], w[..., -1], slope


def _gap_residual(square: Array, t: Array, zeta: Array) -> Array:
    """Self-consistency residual as a function of (Delta/Delta00)^2; it grows with its argument."""
    h, w, cut, slope = _matsubara(t, zeta, square)
    head = h * np.sum(1.0 / np.sqrt(square[..., np.newaxis] + w * w), axis=-1)
    root_squared = np.maximum(square + cut * cut, 1e-300)
    delta = np.sqrt(square)
    angle = np.arctan2(delta, cut)
    # atan(x)/Delta - w/(Delta^2 + w^2) with x = Delta/w, which is (2/3) x^2/w for small x
    small = angle < 1e-3
    curvature = np.where(
        small,
        2.0 / 3.0 * angle * angle / np.where(small, cut, 1.0),
        angle / np.where(small, 1.0, delta) - cut / root_squared,
    )
    euler = h * h * cut * slope / root_squared**1.5 / 24.0
    return np.log(cut + np.sqrt(root_squared)) + 0.5 * zeta * curvature - head + euler


def _order_parameter_squared(t: Array, zeta: Array) -> Array:
    """(Delta/Delta00)^2 of broadcast arrays, 0 in the normal state."""
    t, zeta = np.broadcast_arrays(t, zeta)
    result = np.zeros(t.shape)
    inside = zeta < critical_pair_breaking(t)
    if not np.any(inside):
        return result
    t, zeta = t[inside], zeta[inside]
    low, high = np.full(t.shape, 1e-18), np.full(t.shape, 1.0 + 1e-6)
    found = elementwise.find_root(
        _gap_residual,
        (low, high),
        args=(t, zeta),
        tolerances={"xatol": 1e-16, "xrtol": 1e-14, "fatol": 1e-16, "frtol": 0.0},
        maxiter=200,
    )
    # no sign change: so close to the normal state that Delta^2 < 1e-18
    result[inside] = np.where(found.status == -1, 0.0, found.x)
    return result


def usadel_order_parameter(t: ArrayLike, zeta: ArrayLike) -> Array:
    r"""Order parameter :math:`\Delta/\Delta_{00}` from the Usadel equation, slow and exact.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c` with the bare critical temperature; 0 is allowed.
    zeta : array_like
        Total pair breaking, that of a current included, over :math:`\Delta_{00}`.

    Returns
    -------
    ndarray
        Broadcast shape; 0 in the normal state. At t = 0 it is the root of
        :math:`\ln\Delta=-\pi\zeta/4\Delta` while :math:`\zeta<\Delta`.
    """
    return np.sqrt(
        _order_parameter_squared(np.asarray(t, dtype=float), np.asarray(zeta, dtype=float))
    )


def _pair_weight(t: Array, zeta: Array) -> Array:
    """2 pi kT sum of sin^2(theta_n) over Delta00, at the self-consistent order parameter."""
    square = _order_parameter_squared(t, zeta)
    h, w, cut, slope = _matsubara(t, zeta, square)
    head = h * np.sum(
        square[..., np.newaxis] / np.maximum(square[..., np.newaxis] + w * w, 1e-300), axis=-1
    )
    root_squared = np.maximum(square + cut * cut, 1e-300)
    s = cut / np.sqrt(root_squared)
    delta = np.sqrt(square)
    integral = delta * np.arctan2(delta, cut) - zeta * (1.0 - s) ** 2 * (2.0 + s) / 3.0
    euler = -h * h * cut * slope * square / root_squared**2 / 12.0
    return np.where(square > 0.0, head + integral + euler, 0.0)


def _current(fraction: Array, t: Array, alpha: Array, span: Array) -> Array:
    """Supercurrent in (sigma/e) Delta00^1.5/sqrt(hbar D) at zeta_q = span * fraction^2."""
    zeta_q = span * fraction * fraction
    return np.sqrt(2.0 * zeta_q) * _pair_weight(t, alpha + zeta_q)


def _critical_point(t: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    """Maximum supercurrent, in (sigma/e) Delta00^1.5/sqrt(hbar D), and its zeta_q/Delta00."""
    t, alpha = np.broadcast_arrays(np.asarray(t, dtype=float), np.asarray(alpha, dtype=float))
    if np.any(t < 0.0) or np.any(alpha < 0.0):
        raise ValueError("temperature and pair breaking must not be negative")
    current, zeta_q = np.zeros(t.shape), np.zeros(t.shape)
    span = critical_pair_breaking(t) - alpha
    inside = span > 0.0
    if np.any(inside):
        t, alpha, span = t[inside], alpha[inside], span[inside]
        ones = np.ones(t.shape)
        # the optimum lies between 1/sqrt(3) (Ginzburg-Landau) and 0.69 (T = 0) of the span
        found = elementwise.find_minimum(
            lambda y, t, alpha, span: -_current(y, t, alpha, span),
            (0.3 * ones, 0.63 * ones, 0.95 * ones),
            args=(t, alpha, span),
            tolerances={"xatol": 1e-7, "xrtol": 1e-7, "fatol": 0.0, "frtol": 1e-15},
            maxiter=200,
        )
        if not np.all(found.success):
            raise RuntimeError("search for the depairing current did not converge")
        current[inside] = -found.f_x
        zeta_q[inside] = span * found.x**2
    return current, zeta_q


@lru_cache(maxsize=1)
def zero_temperature_current() -> tuple[float, float]:
    r"""Depairing current at T = 0 without other pair breaking, and its :math:`\zeta_q`.

    Returns
    -------
    current : float
        In units of :math:`(\sigma/e)\Delta_{00}^{3/2}/\sqrt{\hbar D}`: 0.7456867.
    zeta : float
        :math:`\zeta_q/\Delta_{00}` at the maximum: 0.237258.
    """
    current, zeta = _critical_point(0.0, 0.0)
    return float(current), float(zeta)


def usadel_critical_current(t: ArrayLike, alpha: ArrayLike = 0.0) -> Array:
    r"""Depairing critical current :math:`I_c(t,\alpha)/I_c(0,0)`, exact and slow.

    Maximum over :math:`\zeta_q` of the supercurrent of the module docstring (Kupriyanov-Lukichev
    curve for alpha = 0). About 1 ms a point.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c` with the bare critical temperature; 0 is allowed.
    alpha : array_like, optional
        Pair breaking other than that of the current, over :math:`\Delta_{00}`.

    Returns
    -------
    ndarray
        Broadcast shape, relative error below 1e-8; 0 in the normal state.

    Raises
    ------
    ValueError
        If `t` or `alpha` is negative.
    """
    return _critical_point(t, alpha)[0] / zero_temperature_current()[0]


# --- Tables -----------------------------------------------------------------------------------
#
# I_c^(2/3) and Delta^2 vanish linearly at the normal state, so they are what is interpolated, as
# functions of x = (t/t_c(alpha))^(2/3) and u = 1 - sqrt(1 - 2 alpha), both in [0, 1]. Divided by
# 1 - 2 alpha they stay finite at the critical pair breaking too; x resolves the onset of thermal
# excitations at low temperature, u the gapless range.


def build_table(n_x: int = 49, n_u: int = 61) -> Array:
    """Solve the Usadel equation on the grid of the committed table, in about 20 s.

    Parameters
    ----------
    n_x, n_u : int, optional
        Number of nodes in x = (t/t_c(alpha))^(2/3) and in u = 1 - sqrt(1 - 2 alpha).

    Returns
    -------
    ndarray, shape (n_x * n_u, 4)
        Columns x, u, (I_c(t, alpha)/I_c(0, 0))^(2/3), (Delta/Delta00)^2.
    """
    x = np.linspace(0.0, 1.0, n_x)
    # the last column stays off alpha = 1/2, where both quantities are zero by definition
    u = np.minimum(np.linspace(0.0, 1.0, n_u), 0.99)
    x, u = (grid.ravel() for grid in np.meshgrid(x, u, indexing="ij"))
    alpha = ALPHA_CRITICAL * (1.0 - (1.0 - u) ** 2)
    t = x**1.5 * tc_ratio(alpha)
    current = usadel_critical_current(t, alpha)
    order = usadel_order_parameter(t, alpha)
    normal = x >= 1.0
    return np.column_stack(
        [
            x,
            u,
            np.where(normal, 0.0, current ** (2.0 / 3.0)),
            np.where(normal, 0.0, order**2),
        ]
    )


def write_table(path: Path = TABLE_PATH) -> Path:
    """Write the table that `critical_current_ratio` and `order_parameter` interpolate.

    Parameters
    ----------
    path : Path, optional
        Destination; the file shipped with the package by default.

    Returns
    -------
    Path
        The file written: CSV, one comment line, one header line, 10 significant digits.
    """
    with path.open("w", encoding="ascii", newline="\n") as stream:
        stream.write(
            "# Usadel depairing; written by python -m nbnmbt.physics.depairing --write-table\n"
        )
        stream.write("x,u,ic_ratio_to_2_3,order_parameter_squared\n")
        np.savetxt(stream, build_table(), fmt="%.10g", delimiter=",")
    return path


@lru_cache(maxsize=1)
def _interpolants() -> tuple[RectBivariateSpline, RectBivariateSpline]:
    """Bicubic splines of I_c^(2/3)/(1 - 2 alpha) and Delta^2/(1 - 2 alpha) over (x, u)."""
    rows = np.loadtxt(TABLE_PATH, delimiter=",", skiprows=2)
    x, u = np.unique(rows[:, 0]), np.unique(rows[:, 1])
    scale = (1.0 - u) ** 2
    current, order = (rows[:, k].reshape(x.size, u.size) / scale for k in (2, 3))
    return RectBivariateSpline(x, u, current), RectBivariateSpline(x, u, order)


def _interpolate(which: int, t: ArrayLike, alpha: ArrayLike) -> Array:
    t, alpha = np.asarray(t, dtype=float), np.asarray(alpha, dtype=float)
    if np.any(t < 0.0):
        raise ValueError("reduced temperature must not be negative")
    # before broadcasting: the critical temperature is the costly part
    t, alpha, t_c = np.broadcast_arrays(t, alpha, tc_ratio(alpha))
    superconducting = t < t_c
    tau = np.divide(t, t_c, out=np.ones(t.shape), where=superconducting)
    scale = np.where(superconducting, 1.0 - 2.0 * alpha, 0.0)
    value = _interpolants()[which].ev(np.cbrt(tau) ** 2, 1.0 - np.sqrt(scale)) * scale
    value = np.where(superconducting, np.maximum(value, 0.0), 0.0)
    return np.where(np.isnan(t) | np.isnan(alpha), np.nan, value)


def critical_current_ratio(t: ArrayLike, alpha: ArrayLike = 0.0) -> Array:
    r"""Depairing critical current :math:`I_c(t,\alpha)/I_c(0,0)`, interpolated.

    Bicubic interpolation of :math:`I_c^{2/3}` between exact solutions
    (`usadel_critical_current`).

    Parameters
    ----------
    t : array_like
        :math:`T/T_c` with the *bare* critical temperature (see `bare_tc`), non-negative.
    alpha : array_like, optional
        Pair breaking over :math:`\Delta_{00}`, non-negative; broadcast against `t`.

    Returns
    -------
    ndarray
        Broadcast shape; absolute error below 1e-5; exactly 0 in the normal state, NaN for NaN.

    Raises
    ------
    ValueError
        If `t` or `alpha` is negative.
    """
    return _interpolate(0, t, alpha) ** 1.5


def order_parameter(t: ArrayLike, alpha: ArrayLike = 0.0) -> Array:
    r"""Order parameter without current, :math:`\Delta(T,\alpha)/\Delta_{00}`, interpolated.

    Bicubic interpolation of :math:`\Delta^2` between exact solutions (`usadel_order_parameter`).
    In the gapless range this is the order parameter, not the spectral gap.

    Parameters
    ----------
    t : array_like
        :math:`T/T_c` with the *bare* critical temperature, non-negative.
    alpha : array_like, optional
        Pair breaking over :math:`\Delta_{00}`, non-negative; broadcast against `t`.

    Returns
    -------
    ndarray
        Broadcast shape; absolute error below 1e-5; exactly 0 in the normal state, NaN for NaN.

    Raises
    ------
    ValueError
        If `t` or `alpha` is negative.
    """
    return np.sqrt(_interpolate(1, t, alpha))


def main(argv: list[str] | None = None) -> None:
    """Command line: write the table.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; ``sys.argv`` by default.
    """
    parser = argparse.ArgumentParser(description="Table of the Usadel depairing current")
    parser.add_argument("--write-table", action="store_true", required=True)
    parser.add_argument("--path", type=Path, default=TABLE_PATH)
    arguments = parser.parse_args(argv)
    print(write_table(arguments.path))


if __name__ == "__main__":
    main()
