r"""MnBi2Te4: an A-type antiferromagnet of septuple layers, in bulk, at its surface, in thin flakes.

Everything is expressed by fields in tesla. With unit layer moments :math:`m_i` and per moment,

.. math:: e = B_J\sum_i m_i\cdot m_{i+1} - \tfrac12 B_K\sum_i m_{z,i}^2 - B\cdot\sum_i m_i ,

and :math:`B_E = 2B_J` in the bulk, where each layer has two neighbours. A spin flop at
:math:`B_{sf}` and a saturation at :math:`B_s` along the easy axis c fix both constants:
:math:`B_K = B_{sf}^2/B_s` and :math:`B_E = (B_s + B_K)/2`.

The layer next to the superconductor has one neighbour only. It stays far more upright than the
bulk of the canted phase, so a proximity average has to be taken over the profile of an open
chain, never over the bulk law :math:`m_z = B/B_s`.

References: the two-sublattice macrospin is textbook material; for the surface flop see Mills,
Phys. Rev. Lett. 20, 18 (1968), and for MnBi2Te4 flakes Yang et al., Phys. Rev. X 11, 011003 (2021).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants as si
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.linalg import LinAlgError, solveh_banded
from scipy.special import ndtr

Orientation = Literal["out-of-plane", "in-plane"]
ORIENTATIONS: tuple[str, ...] = ("out-of-plane", "in-plane")
Array = NDArray[np.float64]

#: Bohr magneton over the Boltzmann constant, K/T.
MU_B_OVER_K_B = si.physical_constants["Bohr magneton"][0] / si.k
#: Thickness of one septuple layer, nm.
SEPTUPLE_LAYER_NM = 1.36
#: Layers of the open chain that stands for a thick flake: its middle is bulk-like to 1e-4 in m_z
#: from 0.1 T above the spin flop, and the proximity weights reach a few layers only.
SEMI_INFINITE_LAYERS = 61


@dataclass(frozen=True, kw_only=True)
class Magnet:
    """Two-sublattice uniaxial magnet with mean-field temperature dependence.

    Parameters
    ----------
    anisotropy_field : float
        Uniaxial anisotropy field B_K, T; positive means easy axis c.
    exchange_field : float
        Interlayer exchange field B_E, T; negative means ferromagnetic coupling of the layers.
    ordering_temperature : float
        Neel (or Curie) temperature, K.
    spin, g_factor : float
        Spin and g factor of the Mn moment (S = 5/2, g = 2).
    """

    anisotropy_field: float
    exchange_field: float
    ordering_temperature: float
    spin: float = 2.5
    g_factor: float = 2.0

    def __post_init__(self) -> None:
        for name in ("anisotropy_field", "ordering_temperature", "spin", "g_factor"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)!r}")
        if self.exchange_field == 0:
            raise ValueError("exchange_field must not be zero: the layers would be independent")
        if 0 < self.exchange_field <= self.anisotropy_field:
            raise ValueError(
                f"exchange_field {self.exchange_field!r} T must exceed anisotropy_field "
                f"{self.anisotropy_field!r} T: otherwise the magnet is metamagnetic, without a "
                "spin flop"
            )

    @classmethod
    def from_fields(
        cls,
        *,
        spin_flop_field: float,
        saturation_field: float,
        ordering_temperature: float,
        ferromagnetic: bool = False,
    ) -> Magnet:
        """Magnet whose T = 0 spin flop and saturation lie at the given fields along c.

        B_K = B_sf^2/B_s and B_E = (B_s + B_K)/2. With ``ferromagnetic`` the sign of B_E is
        reversed, its size and B_K are kept.

        Parameters
        ----------
        spin_flop_field, saturation_field : float
            T, with ``spin_flop_field < saturation_field``.
        ordering_temperature : float
            K.
        ferromagnetic : bool
            Reverse the sign of the interlayer exchange.
        """
        if not 0 < spin_flop_field < saturation_field:
            raise ValueError(
                f"spin_flop_field {spin_flop_field!r} T must lie between 0 and "
                f"saturation_field {saturation_field!r} T"
            )
        b_k = spin_flop_field**2 / saturation_field
        b_e = 0.5 * (saturation_field + b_k)
        return cls(
            anisotropy_field=b_k,
            exchange_field=-b_e if ferromagnetic else b_e,
            ordering_temperature=ordering_temperature,
        )

    @property
    def ferromagnetic(self) -> bool:
        """Whether neighbouring layers align in zero field."""
        return self.exchange_field < 0

    @property
    def spin_flop_field(self) -> float:
        """T = 0 spin-flop field sqrt(B_K (2 B_E - B_K)), T; NaN for a ferromagnet."""
        if self.ferromagnetic:
            return float("nan")
        return float(np.sqrt(self.anisotropy_field * self.saturation_field))

    @property
    def saturation_field(self) -> float:
        """T = 0 saturation field along c, 2 B_E - B_K, T; 0 for a ferromagnet."""
        return 0.0 if self.ferromagnetic else 2 * self.exchange_field - self.anisotropy_field

    @property
    def saturation_field_in_plane(self) -> float:
        """T = 0 saturation field in the plane, 2 B_E + B_K (B_K for a ferromagnet), T."""
        if self.ferromagnetic:
            return self.anisotropy_field
        return 2 * self.exchange_field + self.anisotropy_field

    @property
    def spinodals(self) -> tuple[float, float]:
        """Stability limits (lower of the flopped, upper of the collinear state) at T = 0, T."""
        upper = np.sqrt(self.anisotropy_field * self.saturation_field_in_plane)
        ratio = self.anisotropy_field / self.saturation_field_in_plane
        return float(self.saturation_field * np.sqrt(ratio)), float(upper)

    @property
    def molecular_field(self) -> float:
        """Zero-temperature molecular field 3 k T_N/(g mu_B (S+1)) on a layer moment, T."""
        return float(
            3 * self.ordering_temperature / (self.g_factor * MU_B_OVER_K_B * (self.spin + 1))
        )

    @property
    def intralayer_field(self) -> float:
        """Ferromagnetic intralayer field B_F = B_0 - abs(B_E) - B_K, T."""
        return self.molecular_field - abs(self.exchange_field) - self.anisotropy_field


def lowest_ordering_temperature(*, spin_flop_field: float, saturation_field: float) -> float:
    """Ordering temperature at which the intralayer field B_F of such a magnet vanishes, K.

    Parameters
    ----------
    spin_flop_field, saturation_field : float
        T, along c at T = 0.
    """
    probe = Magnet.from_fields(
        spin_flop_field=spin_flop_field,
        saturation_field=saturation_field,
        ordering_temperature=1.0,
    )
    return (probe.exchange_field + probe.anisotropy_field) / probe.molecular_field


# --- bulk, T = 0 ------------------------------------------------------------------------------


class Macrospin(NamedTuple):
    """Bulk two-sublattice state."""

    M: Array
    """Magnetisation along the field over its saturation value."""
    cos_angle: Array
    """Cosine of the angle between the two sublattices."""
    m_z2: Array
    """Square of the c component of a layer moment."""


def macrospin(B: ArrayLike, magnet: Magnet, orientation: Orientation = "out-of-plane") -> Macrospin:
    """Bulk ground state at T = 0 in closed form.

    Along c: collinear below B_sf, then m_z = B/B_s up to saturation. In the plane:
    m_x = B/(2 B_E + B_K).

    Parameters
    ----------
    B : array_like
        Field, T; the sign does not matter for the squares, M is odd.
    magnet : Magnet
        Constants.
    orientation : {"out-of-plane", "in-plane"}
        Field along c or in the ab plane.
    """
    _check_orientation(orientation)
    field = np.asarray(B, dtype=float)
    size = np.abs(field)
    if orientation == "in-plane":
        m = np.minimum(size / magnet.saturation_field_in_plane, 1.0)
        cos_angle = np.ones_like(m) if magnet.ferromagnetic else 2 * m**2 - 1
        return Macrospin(np.sign(field) * m, cos_angle, 1 - m**2)
    if magnet.ferromagnetic:
        one = np.ones_like(size)
        return Macrospin(np.where(field < 0, -1.0, 1.0), one, one)
    flopped = size >= magnet.spin_flop_field
    m = np.where(flopped, np.minimum(size / magnet.saturation_field, 1.0), 0.0)
    return Macrospin(np.sign(field) * m, 2 * m**2 - 1, np.where(flopped, m**2, 1.0))


# --- bulk, finite temperature -----------------------------------------------------------------


def brillouin(y: ArrayLike, spin: float = 2.5) -> Array:
    """Brillouin function B_S(y), y = g mu_B S B/(k T); odd, slope (S+1)/(3S) at zero."""
    y = np.asarray(y, dtype=float)
    a, b = (2 * spin + 1) / (2 * spin), 1 / (2 * spin)
    small = np.abs(y) < 1e-3
    safe = np.where(small, 1.0, y)
    exact = a / np.tanh(a * safe) - b / np.tanh(b * safe)
    # series: coth x = 1/x + x/3 - x^3/45
    series = (a**2 - b**2) * y / 3 - (a**4 - b**4) * y**3 / 45
    return np.where(small, series, exact)


def _brillouin_slope(y: Array, spin: float) -> Array:
    a, b = (2 * spin + 1) / (2 * spin), 1 / (2 * spin)
    small = np.abs(y) < 1e-3
    safe = np.clip(np.where(small, 1.0, np.abs(y)), None, 300.0)
    exact = (b / np.sinh(b * safe)) ** 2 - (a / np.sinh(a * safe)) ** 2
    return np.where(small, (a**2 - b**2) / 3 - (a**4 - b**4) * y**2 / 15, exact)


def _log_partition(y: Array, spin: float) -> Array:
    """Logarithm of sum_m exp(m y/S), free of overflow."""
    y = np.abs(y)
    a, b = (2 * spin + 1) / (2 * spin), 1 / (2 * spin)
    small = y < 1e-6
    safe = np.where(small, 1.0, y)
    exact = safe * (a - b) + np.log(-np.expm1(-2 * a * safe)) - np.log(-np.expm1(-2 * b * safe))
    return np.where(small, np.log(2 * spin + 1), exact)


def order_parameter(
    T: ArrayLike,
    ordering_temperature: float,
    *,
    law: Literal["mf", "beta"] = "mf",
    beta: float = 0.35,
    spin: float = 2.5,
) -> Array:
    """Zero-field sublattice magnetisation m(T), 1 at T = 0 and 0 above the ordering temperature.

    Parameters
    ----------
    T : array_like
        K.
    ordering_temperature : float
        K.
    law : {"mf", "beta"}
        ``mf``: self-consistent Brillouin function, m = B_S(3S/(S+1) m/t). ``beta``:
        (1 - t)^beta, closer to real MnBi2Te4 near T_N.
    beta : float
        Exponent of the second law.
    spin : float
        Spin of the first law.
    """
    t = np.asarray(T, dtype=float) / ordering_temperature
    if law == "beta":
        return np.clip(1 - t, 0.0, None) ** beta
    if law != "mf":
        raise ValueError(f"law must be 'mf' or 'beta', found {law!r}")
    slope = 3 * spin / (spin + 1)
    below = t < 1
    tt = np.where(below, np.maximum(t, 1e-6), 0.5)
    # Start above the root: B_S is concave for m > 0, so Newton then falls monotonically on it.
    m = np.minimum(1.0, 2.2 * np.sqrt(np.clip(1 - tt, 0.0, None)) + 1e-9)
    for _ in range(60):
        y = slope * m / tt
        step = (m - brillouin(y, spin)) / (1 - slope / tt * _brillouin_slope(y, spin))
        m = np.clip(m - step, 0.0, 1.0)
        if np.max(np.abs(step), initial=0.0) < 1e-14:
            break
    return np.where(below, m, np.where(np.isnan(t), t, 0.0))


class MeanField(NamedTuple):
    """Mean-field state at (T, B); every entry has the broadcast shape."""

    M: Array
    """Magnetisation along the field over the T = 0 saturation value."""
    m1_z2: Array
    """Square of the c component of sublattice 1."""
    m2: Array
    """Mean square of the sublattice magnetisations."""
    m1_dot_m2: Array
    """Scalar product of the sublattice magnetisations."""
    flopped: NDArray[np.bool_]
    """Canted (spin-flop) or aligned state, as opposed to the collinear antiferromagnet."""


def _reduced(magnet: Magnet, h: Array, T: Array) -> Array:
    return magnet.g_factor * MU_B_OVER_K_B * magnet.spin * h / T


def _free_energy(magnet: Magnet, T: Array, h1: Array, h2: Array, interaction: Array) -> Array:
    """Mean-field free energy per pair of moments, in T (energy over g mu_B S)."""
    scale = T / (magnet.g_factor * MU_B_OVER_K_B * magnet.spin)
    z1 = _log_partition(_reduced(magnet, h1, T), magnet.spin)
    z2 = _log_partition(_reduced(magnet, h2, T), magnet.spin)
    return -scale * (z1 + z2) + interaction


def _collinear(magnet: Magnet, T: Array, B: Array, start: tuple[Array, Array]):
    """Two coupled Brillouin equations along c, from the given start; returns m1, m2, F."""
    own = magnet.intralayer_field + magnet.anisotropy_field
    other = magnet.exchange_field
    m1, m2 = (np.array(np.broadcast_to(s, B.shape), dtype=float) for s in start)
    for _ in range(400):
        n1 = brillouin(_reduced(magnet, B + own * m1 - other * m2, T), magnet.spin)
        n2 = brillouin(_reduced(magnet, B + own * m2 - other * m1, T), magnet.spin)
        change = np.maximum(np.abs(n1 - m1), np.abs(n2 - m2))
        m1, m2 = n1, n2
        if np.max(change, initial=0.0) < 1e-5:
            break
    for _ in range(8):  # Newton from there: the iteration alone is slow near T_N
        y1 = _reduced(magnet, B + own * m1 - other * m2, T)
        y2 = _reduced(magnet, B + own * m2 - other * m1, T)
        k = magnet.g_factor * MU_B_OVER_K_B * magnet.spin / T
        s1, s2 = (k * _brillouin_slope(y, magnet.spin) for y in (y1, y2))
        f1, f2 = m1 - brillouin(y1, magnet.spin), m2 - brillouin(y2, magnet.spin)
        a11, a12, a21, a22 = 1 - s1 * own, s1 * other, s2 * other, 1 - s2 * own
        det = a11 * a22 - a12 * a21
        ok = np.abs(det) > 1e-12
        det = np.where(ok, det, 1.0)
        d1 = np.where(ok, (a22 * f1 - a12 * f2) / det, 0.0)
        d2 = np.where(ok, (a11 * f2 - a21 * f1) / det, 0.0)
        # a polish must stay on its branch
        good = np.maximum(np.abs(d1), np.abs(d2)) < 0.05
        m1, m2 = m1 - np.where(good, d1, 0.0), m2 - np.where(good, d2, 0.0)
    h1, h2 = B + own * m1 - other * m2, B + own * m2 - other * m1
    interaction = 0.5 * own * (m1**2 + m2**2) - other * m1 * m2
    return m1, m2, _free_energy(magnet, T, h1, h2, interaction)


def _canted(magnet: Magnet, T: Array, B: Array):
    """Spin-flop branch in closed form: m, m_z, F; F = inf where it does not exist."""
    if magnet.ferromagnetic:
        nothing = np.zeros(B.shape)
        return nothing, nothing, np.full(B.shape, np.inf)
    strength = magnet.intralayer_field + magnet.exchange_field
    axis_tn = magnet.ordering_temperature * strength / magnet.molecular_field
    m = order_parameter(T, axis_tn, spin=magnet.spin)
    m_z = B / magnet.saturation_field
    interaction = (
        magnet.intralayer_field * m**2
        + magnet.anisotropy_field * m_z**2
        - magnet.exchange_field * (2 * m_z**2 - m**2)
    )
    free = _free_energy(magnet, T, strength * m, strength * m, interaction)
    return m, m_z, np.where((m_z < m) & (m > 0), free, np.inf)


def mean_field(
    T: ArrayLike, B: ArrayLike, magnet: Magnet, orientation: Orientation = "out-of-plane"
) -> MeanField:
    """Equilibrium state of the two-sublattice mean field, Brillouin S = 5/2.

    Along c the state of lowest free energy among collinear (two Brillouin equations), canted
    (closed form: m = B_S(g mu_B S (B_F+B_E) m/kT), m_z = B/(2 B_E - B_K)) and aligned. In the
    plane the sublattices cant with m_x = B/(2 B_E + B_K) at the zero-field m(T), then align.

    Parameters
    ----------
    T, B : array_like
        K and T, broadcast together; T > 0.
    magnet : Magnet
        Constants.
    orientation : {"out-of-plane", "in-plane"}
        Field direction.
    """
    _check_orientation(orientation)
    tt, field = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
    if np.any(tt <= 0):
        raise ValueError("mean_field needs T > 0; use macrospin for T = 0")
    size, sign = np.abs(field), np.where(field < 0, -1.0, 1.0)
    m0 = order_parameter(tt, magnet.ordering_temperature, spin=magnet.spin)
    if orientation == "in-plane":
        return _mean_field_in_plane(magnet, tt, size, sign, m0)
    one = np.ones(size.shape)
    u1, u2, f_up = _collinear(magnet, tt, size, (one, one))
    if magnet.ferromagnetic:
        return MeanField(
            sign * 0.5 * (u1 + u2), u1**2, 0.5 * (u1**2 + u2**2), u1 * u2, one.astype(bool)
        )
    a1, a2, f_afm = _collinear(magnet, tt, size, (m0, -m0))
    m, m_z, f_sf = _canted(magnet, tt, size)
    collinear = (f_afm <= f_sf) & (f_afm <= f_up + 1e-13) & (a1 * a2 < 0)
    canted = ~collinear & (f_sf <= f_up)
    pick = lambda afm, sf, up: np.where(collinear, afm, np.where(canted, sf, up))  # noqa: E731
    return MeanField(
        M=sign * pick(0.5 * (a1 + a2), m_z, 0.5 * (u1 + u2)),
        m1_z2=pick(a1**2, m_z**2, u1**2),
        m2=pick(0.5 * (a1**2 + a2**2), m**2, 0.5 * (u1**2 + u2**2)),
        m1_dot_m2=pick(a1 * a2, 2 * m_z**2 - m**2, u1 * u2),
        flopped=~collinear,
    )


def _mean_field_in_plane(magnet: Magnet, T: Array, B: Array, sign: Array, m0: Array) -> MeanField:
    own = magnet.intralayer_field
    m_x = B / magnet.saturation_field_in_plane
    canted = m_x < m0
    aligned = np.ones(B.shape)
    for _ in range(400):
        h = B + (own - magnet.exchange_field) * aligned
        new = brillouin(_reduced(magnet, h, T), magnet.spin)
        change = np.max(np.abs(new - aligned), initial=0.0)
        aligned = new
        if change < 1e-12:
            break
    M = np.where(canted, m_x, aligned)
    m2 = np.where(canted, m0**2, aligned**2)
    m_z2 = np.where(canted, m0**2 - m_x**2, 0.0)
    dot = m2 if magnet.ferromagnetic else np.where(canted, 2 * m_x**2 - m0**2, aligned**2)
    return MeanField(sign * M, m_z2, m2, dot, ~canted)


def spin_flop_field(T: ArrayLike, magnet: Magnet) -> Array:
    """Thermodynamic spin-flop field B_flop(T): equal free energies of collinear and canted, T.

    NaN where there is no canted phase (a ferromagnet; close to T_N).

    Parameters
    ----------
    T : array_like
        K, positive.
    magnet : Magnet
        Constants.
    """
    tt = np.asarray(T, dtype=float)
    if magnet.ferromagnetic:
        return np.full(tt.shape, np.nan)
    top = saturation_field(tt, magnet)
    low = np.zeros(tt.shape)
    high = np.maximum(top * (1 - 1e-9), 0.0)
    m0 = order_parameter(tt, magnet.ordering_temperature, spin=magnet.spin)

    def difference(B: Array) -> Array:
        a1, a2, f_afm = _collinear(magnet, tt, B, (m0, -m0))
        _, _, f_sf = _canted(magnet, tt, B)
        # beyond the collinear state's stability it has turned into the aligned one
        gone = a1 * a2 >= 0
        return np.where(gone, 1.0, f_afm - np.where(np.isfinite(f_sf), f_sf, f_afm + 1.0))

    exists = (top > 0) & (difference(high) > 0)
    for _ in range(30):
        middle = 0.5 * (low + high)
        above = difference(middle) > 0
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return np.where(exists, 0.5 * (low + high), np.nan)


@lru_cache(maxsize=16)
def _spin_flop_curve(magnet: Magnet):
    """Interpolator of B_flop(T), NaN above the last temperature with a canted phase."""
    # the field falls ever faster towards the end of the phase
    T = (1 - (1 - np.linspace(0.02, 1.0, 40)) ** 2) * magnet.ordering_temperature
    flop = spin_flop_field(T, magnet)
    there = ~np.isnan(flop)
    if there.sum() < 4:
        return lambda temperature: np.full(np.shape(temperature), np.nan)
    # constant below the first node: the moments are saturated there
    nodes, values = np.append(0.0, T[there]), np.append(flop[there][0], flop[there])
    return PchipInterpolator(nodes, values, extrapolate=False)


def switching_field(magnet: Magnet, growing: ArrayLike, hysteresis: float) -> Array:
    """T = 0 field at which the flop happens in a sweep of that direction, T.

    The collinear and the canted state are both locally stable between the spinodals of
    `Magnet.spinodals`; a sweep may stay in the state it comes from up to a share ``hysteresis`` of
    the way from the thermodynamic field to the spinodal ahead.

    Parameters
    ----------
    magnet : Magnet
        Antiferromagnetic constants.
    growing : array_like of bool
        Whether abs(B) grows.
    hysteresis : float
        0 (thermodynamic) to 1 (switching at the spinodals).

    Raises
    ------
    ValueError
        If ``hysteresis`` is not between 0 and 1.
    """
    if not 0 <= hysteresis <= 1:
        raise ValueError(f"hysteresis must be between 0 and 1, found {hysteresis!r}")
    lower, upper = magnet.spinodals
    ahead = np.where(growing, upper, lower)
    return magnet.spin_flop_field + hysteresis * (ahead - magnet.spin_flop_field)


def saturation_field(
    T: ArrayLike, magnet: Magnet, orientation: Orientation = "out-of-plane"
) -> Array:
    """Field B_sat(T) at which the canted sublattices align, T; 0 where there is none.

    Along c: m_sf(T) (2 B_E - B_K); in the plane: m(T) (2 B_E + B_K).
    """
    _check_orientation(orientation)
    tt = np.asarray(T, dtype=float)
    if orientation == "in-plane":
        m = order_parameter(tt, magnet.ordering_temperature, spin=magnet.spin)
        return m * magnet.saturation_field_in_plane
    if magnet.ferromagnetic:
        return np.zeros(tt.shape)
    strength = magnet.intralayer_field + magnet.exchange_field
    axis_tn = magnet.ordering_temperature * strength / magnet.molecular_field
    return order_parameter(tt, axis_tn, spin=magnet.spin) * magnet.saturation_field


# --- open chains: surface of a thick flake, thin flakes ---------------------------------------


def _chain_gradient(
    phi: Array, b_j: float, b_k: float, b_z: float | Array, b_x: float | Array
) -> tuple[Array, Array, Array]:
    """Gradient, diagonal and off-diagonal of the Hessian of the chain energy, last axis layers."""
    step = np.diff(phi, axis=-1)
    s, c = b_j * np.sin(step), b_j * np.cos(step)
    sin, cos = np.sin(phi), np.cos(phi)
    grad = b_k * sin * cos + b_z * sin - b_x * cos
    grad[..., 1:] -= s
    grad[..., :-1] += s
    diag = b_k * (cos**2 - sin**2) + b_z * cos + b_x * sin
    diag[..., 1:] -= c
    diag[..., :-1] -= c
    return grad, diag, c


def _chain_energy(phi: Array, b_j: float, b_k: float, b_z, b_x) -> Array:
    exchange = b_j * np.cos(np.diff(phi, axis=-1)).sum(-1)
    one_layer = -0.5 * b_k * np.cos(phi) ** 2 - b_z * np.cos(phi) - b_x * np.sin(phi)
    return exchange + one_layer.sum(-1)


def _relax(
    phi: Array, b_j: float, b_k: float, b_z: float, b_x: float, iterations: int = 3000
) -> Array:
    """Nearest local minimum of one chain by damped Newton steps with a tridiagonal Hessian."""
    banded = np.zeros((2, phi.size))
    for iteration in range(iterations):
        grad, diag, off = _chain_gradient(phi, b_j, b_k, b_z, b_x)
        residual = np.max(np.abs(grad))
        # one wall has a soft mode close to the flop: rounding then limits the gradient
        if residual < 1e-11 or (iteration > 40 and residual < 1e-8):
            return phi
        banded[1], banded[0, 1:] = diag, off
        shift = 0.0
        while True:
            try:
                step = solveh_banded(banded + np.array([[0.0], [shift]]), -grad, check_finite=False)
                break
            except LinAlgError:  # saddle or maximum: shift until positive definite
                shift = max(2 * shift, 0.05)
        step *= min(1.0, 0.3 / np.max(np.abs(step)))
        if residual > 1e-6:  # halve until downhill: a bare Newton step may cycle over a pinned wall
            energy = _chain_energy(phi, b_j, b_k, b_z, b_x)
            while _chain_energy(phi + step, b_j, b_k, b_z, b_x) > energy and np.max(step) > 1e-12:
                step = 0.5 * step
        phi = phi + step
    raise RuntimeError(f"open chain did not relax at B_z = {b_z} T, B_x = {b_x} T")


@lru_cache(maxsize=256)
def _canted_chain(b_k: float, b_e: float, layers: int, nodes: int) -> tuple[Array, Array]:
    """Open chain in the canted phase, field along c from B_sf (u=0) to B_s (u=1).

    Returns the grid u = (B - B_sf)/(B_s - B_sf) and the angles from c, shape (nodes, layers). The
    profile is followed downwards from saturation: that is the branch that grows out of the bulk
    flop, with the collinear surface healing into the canted bulk over a wall that widens as
    B -> B_sf.
    """
    b_s = 2 * b_e - b_k
    b_sf = np.sqrt(b_k * b_s)
    u = np.linspace(0.03, 1, nodes) ** 2.5
    fields = b_sf + u * (b_s - b_sf)
    phi = np.zeros((nodes, layers))
    alternate = np.where(np.arange(layers) % 2 == 0, 1.0, -1.0)
    current = alternate * np.arccos(fields[-2] / b_s)
    for i in range(nodes - 2, -1, -1):
        current = _relax(current, 0.5 * b_e, b_k, fields[i], 0.0)
        phi[i] = current
    return u, phi


@lru_cache(maxsize=64)
def _in_plane_chain(b_k: float, b_e: float, layers: int, nodes: int) -> tuple[Array, Array]:
    """Open chain in an in-plane field: fields from 0 to 2 B_E + B_K and angles from c."""
    top = 2 * b_e + b_k
    fields = np.linspace(0, 1, nodes) ** 0.8 * top
    phi = np.full((nodes, layers), 0.5 * np.pi)
    current = np.where(np.arange(layers) % 2 == 0, 0.0, np.pi)
    for i in range(nodes - 1):
        tilt = np.arcsin(min(fields[i] / top, 1.0))
        if i == 0:
            current = np.where(np.arange(layers) % 2 == 0, tilt, np.pi - tilt)
        current = _relax(current, 0.5 * b_e, b_k, 0.0, fields[i])
        phi[i] = current
    return fields, phi


def proximity_weights(layers: int, xi: float, *, power: int = 2) -> Array:
    """Normalised weights exp(-power n d/xi) of the septuple layers n = 0, 1, ... below the film.

    Parameters
    ----------
    layers : int
        Number of septuple layers.
    xi : float
        Proximity depth in MnBi2Te4, nm.
    power : {2, 1}
        2 for squares of amplitudes (pair breaking), 1 for an average exchange field.
    """
    weights = np.exp(-power * np.arange(layers) * SEPTUPLE_LAYER_NM / xi)
    return weights / weights.sum()


def _contract(phi: Array, xi: float, quantity: str) -> Array:
    """Layer angles (..., layers) to r = sum w m_z^2 or h^2 = abs(sum w m)^2."""
    layers = phi.shape[-1]
    if quantity == "m_z2":
        return np.cos(phi) ** 2 @ proximity_weights(layers, xi)
    weights = proximity_weights(layers, xi, power=1)
    return (np.cos(phi) @ weights) ** 2 + (np.sin(phi) @ weights) ** 2


@lru_cache(maxsize=64)
def _surface_curve(
    magnet: Magnet, orientation: str, xi: float, flop_spread: float, quantity: str, overrun: float
):
    """Interpolator of the T = 0 proximity average against abs(B); constant beyond its last node.

    Every domain stays collinear up to ``overrun``, T, beyond its spin flop.
    """
    layers = SEMI_INFINITE_LAYERS
    if orientation == "in-plane":
        fields, phi = _in_plane_chain(magnet.anisotropy_field, magnet.exchange_field, layers, 241)
        # even and smooth at B = 0: a spline in B^2 keeps r strictly decreasing from the first step
        # (a linear interpolation of a 0.25 T grid makes the in-plane Ic rise by 0.1 uA there)
        return fields[-1], CubicSpline(fields**2, _contract(phi, xi, quantity)), True
    b_sf, b_s = magnet.spin_flop_field, magnet.saturation_field
    collinear = _contract(_alternating(layers), xi, quantity)
    if flop_spread == 0:
        u, phi = _canted_chain(magnet.anisotropy_field, magnet.exchange_field, layers, 400)
        values = np.concatenate([[collinear], _contract(phi, xi, quantity)])
        curve = PchipInterpolator(np.concatenate([[0.0], u]), values)
        grid = np.concatenate([[0.0], b_sf + np.concatenate([[0.0], u]) * (b_s - b_sf)])
        values = np.concatenate([[collinear], curve((grid[1:] - b_sf) / (b_s - b_sf))])
        sharp = PchipInterpolator(grid, values)
        if overrun == 0:
            return b_s, sharp, False
        return b_s, lambda B: np.where(b_sf + overrun > B, collinear, sharp(B)), False
    # A distribution of flop fields at a common saturation field (domains with unequal B_K). At
    # fixed u = (B-B_sf)/(B_s-B_sf) the profile varies slowly with B_sf, so a few exact chains
    # are enough and the dense Gaussian average is taken over their interpolation.
    anchors = b_sf + flop_spread * np.linspace(-4, 4, 7)
    anchors = anchors[(anchors > 0.05 * b_sf) & (anchors < 0.98 * b_s)]
    u, table = None, []
    for anchor in anchors:
        b_k = anchor**2 / b_s
        u, phi = _canted_chain(b_k, 0.5 * (b_s + b_k), layers, 200)
        table.append(np.concatenate([[collinear], _contract(phi, xi, quantity)]))
    across = CubicSpline(anchors, np.array(table))
    uu = np.concatenate([[0.0], u])
    grid = np.linspace(0, b_s, int(np.ceil(b_s / 0.01)) + 1)
    deviates = np.linspace(-4, 4, 81)
    weights = np.exp(-0.5 * deviates**2)
    weights /= weights.sum()
    mean = np.zeros(grid.size)
    for deviate, weight in zip(deviates, weights, strict=True):
        flop = b_sf + flop_spread * deviate
        x = np.clip((grid - flop) / (b_s - flop), 0.0, 1.0)
        if overrun > 0:
            x[grid < flop + overrun] = 0.0
        profile = across(np.clip(flop, anchors[0], anchors[-1]))
        mean += weight * PchipInterpolator(uu, profile)(x)
    return b_s, PchipInterpolator(grid, mean), False


def _alternating(layers: int) -> Array:
    return np.where(np.arange(layers) % 2 == 0, 0.0, np.pi)


def surface_average(
    B: ArrayLike,
    magnet: Magnet,
    orientation: Orientation,
    *,
    xi: float,
    quantity: Literal["m_z2", "h2"] = "m_z2",
    flop_spread: float = 0.0,
    layers: int | None = None,
    surface: Literal["open", "bulk"] = "open",
    hysteresis: float = 0.0,
    growing: ArrayLike = True,
) -> Array:
    r"""Proximity average over the layer moments below the superconductor, at T = 0.

    ``m_z2``: :math:`r = \sum_n w_n m_{z,n}^2`, :math:`w_n \propto e^{-2nd/\xi}` (the
    c-axis exchange breaks pairs). ``h2``: :math:`h^2 = |\sum_n w_n m_n|^2`,
    :math:`w_n \propto e^{-nd/\xi}` (a mean exchange field). Moments are those of
    an open chain of layers unless the bulk is asked for.

    Parameters
    ----------
    B : array_like
        Field, T; even in B.
    magnet : Magnet
        Constants.
    orientation : {"out-of-plane", "in-plane"}
        Field direction.
    xi : float
        Proximity depth, nm.
    quantity : {"m_z2", "h2"}
        Which average.
    flop_spread : float
        Standard deviation of a Gaussian distribution of spin-flop fields, T.
    layers : int, optional
        Septuple layers of a thin flake; default a thick flake (open surface, bulk below it).
    surface : {"open", "bulk"}
        ``bulk`` gives every layer of a thick flake the moment of the bulk, m_z = B/B_s once it has
        flopped: for comparison, since the outermost layer, with one neighbour, stays upright.
    hysteresis : float
        How far a growing field along c overruns the flop, see `switching_field`. A falling one
        follows equilibrium: the collinear surface grows into the canted bulk as a wall, without a
        barrier. A thin flake's surface steps are taken in equilibrium.
    growing : array_like of bool
        Whether abs(B) grows, broadcast against ``B``; matters with ``hysteresis`` only.

    Returns
    -------
    ndarray
        Value between 0 and 1, shape of ``B``.
    """
    _check_orientation(orientation)
    if quantity not in ("m_z2", "h2"):
        raise ValueError(f"quantity must be 'm_z2' or 'h2', found {quantity!r}")
    size = np.abs(np.asarray(B, dtype=float))
    if magnet.ferromagnetic:
        # uniform rotation: the surface does not differ from the bulk
        state = macrospin(size, magnet, orientation)
        return state.m_z2 if quantity == "m_z2" else np.ones(size.shape)
    if not xi > 0:
        raise ValueError(f"xi must be positive, found {xi!r} nm")
    if surface not in ("open", "bulk"):
        raise ValueError(f"surface must be 'open' or 'bulk', found {surface!r}")
    if layers is not None:
        if surface == "bulk":
            raise ValueError(f"a flake of {layers} layers has no bulk: surface must be 'open'")
        return _flake_curve(magnet, orientation, layers, flop_spread, float(xi), quantity)(size)
    overrun = 0.0
    if hysteresis > 0 and orientation == "out-of-plane":
        overrun = float(switching_field(magnet, True, hysteresis)) - magnet.spin_flop_field
    if surface == "bulk":
        switching = magnet.spin_flop_field + overrun * np.asarray(growing, dtype=float)
        return _bulk_average(size, magnet, orientation, xi, quantity, flop_spread, switching)

    def average(overrun: float) -> Array:
        top, curve, squared = _surface_curve(
            magnet, orientation, float(xi), float(flop_spread), quantity, overrun
        )
        inside = np.minimum(size, top)
        return np.clip(curve(inside**2 if squared else inside), 0.0, 1.0)

    if overrun == 0:
        return average(0.0)
    return np.where(growing, average(overrun), average(0.0))


def _bulk_average(
    size: Array,
    magnet: Magnet,
    orientation: str,
    xi: float,
    quantity: str,
    flop_spread: float,
    switching: Array,
) -> Array:
    """Proximity average over layers that all carry bulk moments, in closed form.

    The moments' components along the field are equal, those across it alternate from layer to
    layer, and sum_n (-1)^n w_n = (1 - q)/(1 + q) with q = exp(-d/xi).
    """
    alternating = float(np.tanh(0.5 * SEPTUPLE_LAYER_NM / xi)) ** 2

    def canted(along: Array) -> Array:
        if quantity == "h2":
            return along**2 + (1 - along**2) * alternating
        return along**2 if orientation == "out-of-plane" else 1 - along**2

    if orientation == "in-plane":
        return canted(np.minimum(size / magnet.saturation_field_in_plane, 1.0))
    if flop_spread > 0:
        flopped = ndtr((size - switching) / flop_spread)
    else:
        flopped = np.where(np.isnan(size), size, 1.0 * (size > switching))
    flopped = np.where(size >= magnet.saturation_field, 1.0, flopped)
    collinear = alternating if quantity == "h2" else 1.0
    return (1 - flopped) * collinear + flopped * canted(
        np.minimum(size / magnet.saturation_field, 1.0)
    )


def surface_profile(
    B: float, magnet: Magnet, orientation: Orientation, *, layers: int = SEMI_INFINITE_LAYERS
) -> Array:
    """Angles of the layer moments from c, rad, first entry next to the superconductor, at T = 0.

    Parameters
    ----------
    B : float
        Field, T.
    magnet : Magnet
        Antiferromagnetic constants.
    orientation : {"out-of-plane", "in-plane"}
        Field direction.
    layers : int
        Length of the open chain.
    """
    _check_orientation(orientation)
    size = abs(float(B))
    if orientation == "in-plane":
        fields, phi = _in_plane_chain(magnet.anisotropy_field, magnet.exchange_field, layers, 241)
        if size >= fields[-1]:
            return phi[-1]
        start = phi[np.searchsorted(fields, size, side="right") - 1]
        return _relax(start, 0.5 * magnet.exchange_field, magnet.anisotropy_field, 0.0, size)
    b_sf, b_s = magnet.spin_flop_field, magnet.saturation_field
    if size <= b_sf:
        return _alternating(layers)
    if size >= b_s:
        return np.zeros(layers)
    u, phi = _canted_chain(magnet.anisotropy_field, magnet.exchange_field, layers, 400)
    index = min(int(np.searchsorted(u, (size - b_sf) / (b_s - b_sf))), u.size - 2)
    return _relax(phi[index], 0.5 * magnet.exchange_field, magnet.anisotropy_field, size, 0.0)


@lru_cache(maxsize=32)
def _flake_states(
    magnet: Magnet, orientation: str, layers: int, step: float
) -> tuple[Array, Array]:
    """Global minima of a flake with two free surfaces: fields and angles, by multi-start."""
    top = 1.05 * max(magnet.saturation_field_in_plane, magnet.saturation_field)
    fields = np.arange(0.0, top + step, step)
    b_j, b_k = 0.5 * magnet.exchange_field, magnet.anisotropy_field
    zero = np.zeros(fields.size)
    b_z, b_x = (fields, zero) if orientation == "out-of-plane" else (zero, fields)
    b_z, b_x = b_z[:, None, None], b_x[:, None, None]
    parity = np.where(np.arange(layers) % 2 == 0, 1.0, -1.0)
    edge = np.arange(layers) / max(layers - 1, 1)
    starts = [_alternating(layers), np.pi - _alternating(layers), np.zeros(layers)]
    starts += [parity * angle for angle in (0.3, 0.7, 1.1, 1.4)]
    # surface-flop walls: one side collinear, the other canted, wall anywhere
    for sign in (1.0, -1.0):
        for centre in (0.15, 0.35, 0.5, 0.65, 0.85):
            wall = 1 / (1 + np.exp(-8 * (edge - centre)))
            starts.append(sign * parity * 1.1 * wall + (1 - wall) * _alternating(layers))
            starts.append(sign * np.pi * wall + _alternating(layers))
    if orientation == "in-plane":
        starts = [0.5 * np.pi + parity * angle for angle in (0.1, 0.5, 1.0, 1.5, -0.5)]
    starts += list(np.random.default_rng(20240229).uniform(-np.pi, np.pi, (12, layers)))
    pool: list[list[Array]] = [[] for _ in fields]
    coarse = range(0, fields.size, max(round(0.5 / step), 1))
    every = np.array(np.broadcast_to(starts, (len(coarse), len(starts), layers)))
    relaxed = _relax_batch(every, b_j, b_k, b_z[coarse], b_x[coarse])
    for i, phi in zip(coarse, relaxed, strict=True):
        pool[i] = list(phi)
    # follow the low-lying minima through the field, upwards and downwards
    for order in (range(fields.size), range(fields.size - 1, -1, -1)):
        carried: list[Array] = []
        for i in order:
            z, x = float(b_z[i, 0, 0]), float(b_x[i, 0, 0])
            found = []
            for phi in (*carried, *pool[i]):
                # a start on a ridge between minima may creep: others cover those minima
                with suppress(RuntimeError):
                    found.append(_relax(phi, b_j, b_k, z, x, iterations=200))
            energies = np.array([float(_chain_energy(phi, b_j, b_k, z, x)) for phi in found])
            _, first = np.unique(np.round(energies, 7), return_index=True)
            carried = pool[i] = [found[j] for j in first[:8]]
    return fields, np.array([states[0] for states in pool])


def _relax_batch(phi: Array, b_j: float, b_k: float, b_z: Array, b_x: Array) -> Array:
    """Damped Newton on many short chains at once; Gershgorin shift keeps every step downhill."""
    layers = phi.shape[-1]
    index = np.arange(layers)
    for _ in range(80):
        grad, diag, off = _chain_gradient(phi, b_j, b_k, b_z, b_x)
        if np.max(np.abs(grad)) < 1e-9:
            break
        radius = np.zeros_like(diag)
        radius[..., 1:] += np.abs(off)
        radius[..., :-1] += np.abs(off)
        shift = np.maximum(0.02 - (diag - radius).min(-1), 0.0)
        # far from a minimum use the safe shift, close to it the bare Hessian where it is positive
        hessian = np.zeros((*phi.shape, layers))
        hessian[..., index, index] = diag
        hessian[..., index[1:], index[:-1]] = off
        hessian[..., index[:-1], index[1:]] = off
        lowest = np.linalg.eigvalsh(hessian)[..., 0]
        shift = np.where(lowest > 1e-3, 0.0, shift)
        hessian[..., index, index] += shift[..., None]
        step = np.linalg.solve(hessian, -grad[..., None])[..., 0]
        longest = np.max(np.abs(step), axis=-1, keepdims=True)
        phi = phi + step * np.minimum(1.0, 0.4 / np.maximum(longest, 1e-300))
    return phi


@lru_cache(maxsize=64)
def _flake_curve(
    magnet: Magnet, orientation: str, layers: int, flop_spread: float, xi: float, quantity: str
):
    """Interpolator against abs(B) of a flake's proximity average or magnetisation."""
    fields, phi = _flake_states(magnet, orientation, layers, 0.025)
    if quantity == "M":
        values = (np.cos(phi) if orientation == "out-of-plane" else np.sin(phi)).mean(-1)
    else:
        # the two antiferromagnetic domains of an even flake put either surface under the film
        values = 0.5 * (_contract(phi, xi, quantity) + _contract(phi[:, ::-1], xi, quantity))
    if flop_spread > 0 and orientation == "out-of-plane":
        # B_K disorder moves the low-field jumps by flop_spread and the saturation hardly at all
        reference = magnet.spin_flop_field
        deviates = np.linspace(-4, 4, 161)
        weights = np.exp(-0.5 * deviates**2)
        weights /= weights.sum()
        top = fields[-1]
        spread = sum(
            weight
            * np.interp(_stretch(fields, reference, flop_spread * deviate, top), fields, values)
            for deviate, weight in zip(deviates, weights, strict=True)
        )
        values = spread
    curve = PchipInterpolator(fields, values)
    return lambda size: curve(np.minimum(size, fields[-1]))


def _stretch(B: Array, flop: float, shift: float, top: float) -> Array:
    """Map of [0, top] onto itself that moves ``flop + shift`` to ``flop``."""
    moved = flop + shift
    return np.interp(B, [0.0, moved, top], [0.0, flop, top])


def flake_magnetisation(
    B: ArrayLike,
    magnet: Magnet,
    layers: int,
    orientation: Orientation = "out-of-plane",
    *,
    flop_spread: float = 0.0,
) -> Array:
    """Magnetisation over saturation of an N-layer flake in its ground state at T = 0, odd in B.

    Parameters
    ----------
    B : array_like
        T.
    magnet : Magnet
        Antiferromagnetic constants.
    layers : int
        Number N of septuple layers, at least 2.
    orientation : {"out-of-plane", "in-plane"}
        Field direction.
    flop_spread : float
        Standard deviation of the flop fields, T.
    """
    _check_orientation(orientation)
    if layers < 2:
        raise ValueError(f"a flake needs at least 2 septuple layers, found {layers!r}")
    field = np.asarray(B, dtype=float)
    curve = _flake_curve(magnet, orientation, int(layers), float(flop_spread), 1.0, "M")
    return np.sign(field) * curve(np.abs(field))


def flake_flop_fields(magnet: Magnet, layers: int, *, threshold: float = 0.02) -> Array:
    """Fields, T, at which an N-layer flake's magnetisation jumps (first-order steps, T = 0).

    Parameters
    ----------
    magnet : Magnet
        Antiferromagnetic constants.
    layers : int
        Number of septuple layers.
    threshold : float
        Smallest jump of M/M_s within one 0.025 T step, beyond the smooth slope, that counts.
    """
    fields, phi = _flake_states(magnet, "out-of-plane", int(layers), 0.025)
    M = np.cos(phi).mean(-1)
    rise = np.diff(M)
    smooth = np.median(np.abs(rise[rise > 1e-6])) if np.any(rise > 1e-6) else 0.0
    jumps = np.flatnonzero(rise - smooth > threshold)
    return 0.5 * (fields[jumps] + fields[jumps + 1])


def magnetisation_squared(
    T: ArrayLike,
    B: ArrayLike,
    magnet: Magnet,
    *,
    flop_spread: float = 0.0,
    layers: int | None = None,
    hysteresis: float = 0.0,
    growing: ArrayLike = True,
) -> Array:
    """Mean square (M/M_s)^2 that enters the magnetoresistance, field along c.

    Domains whose flop fields scatter by ``flop_spread`` add up in proportion to the flopped
    fraction Phi((abs(B) - B_flop(T))/flop_spread): each domain is either collinear or canted with
    the common m_z = B/B_s.

    Parameters
    ----------
    T, B : array_like
        K and T, broadcast.
    magnet : Magnet
        Constants.
    flop_spread : float
        T.
    layers : int, optional
        Thin flake instead of bulk (then at T = 0 with amplitude m(T)).
    hysteresis : float
        How far a sweep overruns the flop, see `switching_field`; the overrun keeps its proportion
        to B_flop(T). Needs a ``flop_spread``.
    growing : array_like of bool
        Whether abs(B) grows, broadcast against ``B``.

    Raises
    ------
    ValueError
        If there is hysteresis without a spread of flop fields.
    """
    tt, field = np.broadcast_arrays(np.asarray(T, dtype=float), np.asarray(B, dtype=float))
    size = np.abs(field)
    if layers is not None and not magnet.ferromagnetic:
        m = order_parameter(tt, magnet.ordering_temperature, spin=magnet.spin)
        return (m * flake_magnetisation(size, magnet, layers, flop_spread=flop_spread)) ** 2
    if hysteresis > 0 and flop_spread == 0 and not magnet.ferromagnetic:
        raise ValueError("hysteresis of the flop needs flop_spread > 0")
    if magnet.ferromagnetic or flop_spread == 0:
        return mean_field(tt, size, magnet).M ** 2
    one = np.ones(size.shape)
    m0 = order_parameter(tt, magnet.ordering_temperature, spin=magnet.spin)
    a1, a2, _ = _collinear(magnet, tt, size, (m0, -m0))
    u1, u2, f_up = _collinear(magnet, tt, size, (one, one))
    _, m_z, f_sf = _canted(magnet, tt, size)
    # below B_flop the canted state is metastable: it is there for a sweep that comes down
    flopped = np.where(f_sf <= f_up, m_z, 0.5 * (u1 + u2))
    flop = _spin_flop_curve(magnet)(tt)
    overrun = switching_field(magnet, growing, hysteresis) / magnet.spin_flop_field
    flop = flop * overrun
    # without a canted phase the collinear state turns smoothly into the aligned one
    fraction = np.where(
        np.isnan(flop), 1.0 * (a1 * a2 >= 0), ndtr((size - np.nan_to_num(flop)) / flop_spread)
    )
    fraction = np.where((a1 * a2 >= 0) | (size >= saturation_field(tt, magnet)), 1.0, fraction)
    return (1 - fraction) * (0.5 * (a1 + a2)) ** 2 + fraction * flopped**2


def _check_orientation(orientation: str) -> None:
    if orientation not in ORIENTATIONS:
        raise ValueError(f"orientation must be 'out-of-plane' or 'in-plane', found {orientation!r}")
