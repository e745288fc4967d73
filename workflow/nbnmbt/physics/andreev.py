r"""Andreev reflection at a ballistic interface: BTK with spin polarisation.

The reduced conductance is a mixture of an unpolarised and a half-metallic current,

.. math:: G/G_N = (1-P)\,G_U + P\,G_H .

With :math:`\varepsilon=E/\Delta`, barrier :math:`Z` and
:math:`u^2=\frac12(1+\sqrt{\varepsilon^2-1}/\varepsilon)`, :math:`g=u^2+Z^2(2u^2-1)`,

.. math::

    G_U = (1+Z^2)(1+A-B),\quad A=\left|\frac{uv}{g}\right|^2,\quad
    B=\left|\frac{(2u^2-1)(Z^2+iZ)}{g}\right|^2 ,

(G. E. Blonder, M. Tinkham and T. M. Klapwijk, Phys. Rev. B 25, 4515 (1982)), and for the
half-metal :math:`G_H=0` below the gap and

.. math:: G_H = (1+Z^2)\,\frac{4\beta}{(1+\beta)^2+4Z^2},\qquad
          \beta=\frac{\varepsilon}{\sqrt{\varepsilon^2-1}}

above (I. I. Mazin, A. A. Golubov and B. Nadgorny, J. Appl. Phys. 89, 7576 (2001); mixture as in
G. J. Strijkers et al., Phys. Rev. B 63, 104510 (2001)). Both tend to one at large energy. Thermal
smearing is that of one Fermi function, so that the current through a contact of normal resistance
:math:`R_N` is

.. math::

    R_N I = V + \int_0^\infty (G/G_N-1)\,[f(E-eV)-f(E+eV)]\,\frac{dE}{e} .

Written in this way only the deviation from the normal state is integrated, and
:math:`G\to1` at large bias holds by construction.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, psi

from nbnmbt.physics.constants import K_B_meV
from nbnmbt.physics.lagrange import lagrange_weights

Array = NDArray[np.float64]

_N_QUADRATURE = 160


def spectral_conductance(
    E: ArrayLike, Z: ArrayLike, broadening: float = 0.0
) -> tuple[Array, Array]:
    r"""Zero-temperature conductances of the two currents at energy `E`.

    Equations of the module docstring; with a broadening :math:`\varepsilon\to\varepsilon+i\Gamma`
    in the unpolarised part (R. C. Dynes et al., Phys. Rev. Lett. 41, 1509 (1978)).

    Parameters
    ----------
    E : array_like
        Energy over the gap.
    Z : array_like
        Barrier strength, broadcast against `E`.
    broadening : float, optional
        :math:`\Gamma/\Delta`.

    Returns
    -------
    unpolarised, half_metal : ndarray
        :math:`G_U` and :math:`G_H`, broadcast shape.
    """
    energy, Z = np.broadcast_arrays(np.abs(np.asarray(E, dtype=float)), np.asarray(Z, dtype=float))
    z2 = Z * Z
    above = energy > 1.0
    if broadening:
        z = energy + 1j * broadening
        coherence = np.sqrt(z * z - 1.0) / z
        g = 0.5 * (1.0 + coherence) + z2 * coherence
        denominator = np.abs(g) ** 2
        andreev = 0.25 * np.abs(1.0 - coherence**2) / denominator
        normal = np.abs(coherence) ** 2 * z2 * (1.0 + z2) / denominator
        unpolarised = (1.0 + z2) * (1.0 + andreev - normal)
    else:
        # below the gap B = 1 - A; above it the sum simplifies to 2/(1 + (1 + 2 Z^2) c), where
        # c = sqrt(E^2 - 1)/E
        square = energy * energy
        inner = 2.0 / (square + (1.0 - square) * (1.0 + 2.0 * z2) ** 2)
        coherence = np.sqrt(np.where(above, 1.0 - 1.0 / np.where(above, square, 1.0), 0.0))
        outer = 2.0 / (1.0 + (1.0 + 2.0 * z2) * coherence)
        unpolarised = (1.0 + z2) * np.where(above, outer, inner)
    # beta = 1/c with c = sqrt(E^2 - 1)/E, multiplied through by c^2
    c = np.sqrt(np.where(above, 1.0 - 1.0 / np.where(above, energy, 1.0) ** 2, 0.0))
    half_metal = (1.0 + z2) * 4.0 * c / ((1.0 + c) ** 2 + 4.0 * z2 * c * c)
    return unpolarised, half_metal


# --- Exact thermal integrals ------------------------------------------------------------------
#
# The band of width 40 kT on either side of eV is integrated by Gauss-Legendre quadrature, cut at
# the gap edges; E = Delta sin(phi) inside and E = Delta cosh(y) outside remove the square-root
# singularities there.

_REACH = 40.0
_GAUSS_X, _GAUSS_W = np.polynomial.legendre.leggauss(_N_QUADRATURE)


def _panel(low: Array, high: Array) -> tuple[Array, Array]:
    """Energies and weights of Gauss-Legendre panels [low, high] that do not straddle a gap edge.

    Takes flat arrays with 0 <= low <= high, all within or all beyond 1; adds a trailing axis.
    """
    outside = high > 1.0
    start = np.where(outside, np.arccosh(np.maximum(low, 1.0)), np.arcsin(np.minimum(low, 1.0)))
    stop = np.where(outside, np.arccosh(np.maximum(high, 1.0)), np.arcsin(np.minimum(high, 1.0)))
    half = 0.5 * (stop - start)[:, np.newaxis]
    angle = 0.5 * (start + stop)[:, np.newaxis] + half * _GAUSS_X
    outside = outside[:, np.newaxis]
    circular = np.where(outside, 0.0, angle)
    hyperbolic = np.where(outside, angle, 0.0)
    energy = np.where(outside, np.cosh(hyperbolic), np.sin(circular))
    jacobian = np.where(outside, np.sinh(hyperbolic), np.cos(circular))
    return energy, half * _GAUSS_W * jacobian


def _split(low: Array, high: Array) -> list[tuple[Array, Array]]:
    """Cut intervals of non-negative energy at the gap edge."""
    return [
        (np.minimum(low, 1.0), np.minimum(high, 1.0)),
        (np.maximum(low, 1.0), np.maximum(high, 1.0)),
    ]


def _excess(E: Array, Z: Array, P: Array) -> Array:
    unpolarised, half_metal = spectral_conductance(E, Z[:, np.newaxis])
    P = P[:, np.newaxis]
    return (1.0 - P) * unpolarised + P * half_metal - 1.0


def _thermal_conductance(x: Array, tau: Array, Z: Array, P: Array) -> Array:
    """G/G_N of flat arrays at bias x = eV/gap >= 0 and temperature tau = kT/gap > 0."""
    total = np.ones(x.shape)
    # energies of the sign of the bias, then of the opposite sign
    for centre in (x, -x):
        low = np.maximum(centre - _REACH * tau, 0.0)
        high = np.maximum(centre + _REACH * tau, 0.0)
        for part in _split(low, high):
            energy, weight = _panel(*part)
            fermi = expit((centre[:, np.newaxis] - energy) / tau[:, np.newaxis])
            kernel = fermi * (1.0 - fermi) / tau[:, np.newaxis]
            total += np.sum(weight * kernel * _excess(energy, Z, P), axis=-1)
    return total


def _thermal_excess_current(x: Array, tau: Array, Z: Array, P: Array) -> Array:
    """Excess e R_N I/gap - x of flat arrays at bias x >= 0 and temperature tau > 0."""
    total = np.zeros(x.shape)
    edge = np.maximum(x - _REACH * tau, 0.0)
    for low, high in ((np.zeros(x.shape), edge), (edge, x + _REACH * tau)):
        for part in _split(low, high):
            energy, weight = _panel(*part)
            t = tau[:, np.newaxis]
            kernel = expit((x[:, np.newaxis] - energy) / t) - expit(
                -(x[:, np.newaxis] + energy) / t
            )
            total += np.sum(weight * kernel * _excess(energy, Z, P), axis=-1)
    return total


def _flat(*values: ArrayLike) -> tuple[tuple[int, ...], list[Array]]:
    arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in values))
    return arrays[0].shape, [array.ravel() for array in arrays]


def _check(T: Array, gap: Array, Z: Array, P: Array) -> None:
    if np.any(T < 0.0) or np.any(gap < 0.0) or np.any(Z < 0.0):
        raise ValueError("temperature, gap and barrier strength must not be negative")
    if np.any((P < 0.0) | (P > 1.0)):
        raise ValueError("polarisation must lie between 0 and 1")


_SLAB = 4096


def conductance(V: ArrayLike, T: ArrayLike, gap: ArrayLike, Z: ArrayLike, P: ArrayLike) -> Array:
    r"""Reduced differential conductance :math:`G(V)/G_N`, by direct quadrature.

    :math:`\int G(E)\,\operatorname{sech}^2[(E-eV)/2k_BT]\,dE/4k_BT` of the mixture of the
    module docstring.

    Parameters
    ----------
    V : array_like
        Voltage in mV.
    T : array_like
        Temperature in K; 0 gives the spectral conductance itself.
    gap : array_like
        Superconducting gap in meV; 0 gives 1.
    Z : array_like
        Barrier strength.
    P : array_like
        Spin polarisation, 0 to 1. All arguments broadcast.

    Returns
    -------
    ndarray
        Dimensionless, broadcast shape; error below 1e-9.

    Raises
    ------
    ValueError
        For negative `T`, `gap` or `Z`, or `P` outside [0, 1].
    """
    shape, (V, T, gap, Z, P) = _flat(V, T, gap, Z, P)
    _check(T, gap, Z, P)
    result = np.ones(V.shape)
    superconducting = gap > 0.0
    warm = np.flatnonzero(superconducting & (T > 0.0))
    for start in range(0, warm.size, _SLAB):
        k = warm[start : start + _SLAB]
        result[k] = _thermal_conductance(np.abs(V[k]) / gap[k], K_B_meV * T[k] / gap[k], Z[k], P[k])
    cold = superconducting & (T == 0.0)
    if np.any(cold):
        energy = np.abs(V[cold]) / gap[cold]
        result[cold] = 1.0 + _excess(energy[:, np.newaxis], Z[cold], P[cold])[:, 0]
    return result.reshape(shape)


def zero_bias_resistance(T: ArrayLike, gap: ArrayLike, Z: ArrayLike, P: ArrayLike) -> Array:
    r"""Zero-bias resistance over the normal one, :math:`R(0)/R_N = G_N/G(0)`.

    At T = 0 it is :math:`(1+2Z^2)^2/[2(1-P)(1+Z^2)]`.

    Parameters
    ----------
    T : array_like
        Temperature in K.
    gap : array_like
        Superconducting gap in meV.
    Z : array_like
        Barrier strength.
    P : array_like
        Spin polarisation. All arguments broadcast.

    Returns
    -------
    ndarray
        Dimensionless, broadcast shape; infinite for P = 1 at T = 0.

    Raises
    ------
    ValueError
        As `conductance`.
    """
    with np.errstate(divide="ignore"):
        return 1.0 / conductance(0.0, T, gap, Z, P)


def current(
    V: ArrayLike, T: ArrayLike, gap: ArrayLike, Z: ArrayLike, P: ArrayLike, R_N: ArrayLike
) -> Array:
    r"""Current through the contact, :math:`I(V)=\int_0^V G\,dV'`, by direct quadrature.

    Last equation of the module docstring.

    Parameters
    ----------
    V : array_like
        Voltage in mV.
    T : array_like
        Temperature in K, positive.
    gap : array_like
        Superconducting gap in meV.
    Z : array_like
        Barrier strength.
    P : array_like
        Spin polarisation, 0 to 1.
    R_N : array_like
        Normal resistance in ohm. All arguments broadcast.

    Returns
    -------
    ndarray
        Current in mA, odd in `V`; excess over V/R_N accurate to 1e-9 gap/R_N.

    Raises
    ------
    ValueError
        As `conductance`, and for zero temperature.
    """
    shape, (V, T, gap, Z, P, R_N) = _flat(V, T, gap, Z, P, R_N)
    _check(T, gap, Z, P)
    if np.any(T == 0.0):
        raise ValueError("the current is defined for positive temperature")
    result = np.abs(V)
    superconducting = np.flatnonzero(gap > 0.0)
    for start in range(0, superconducting.size, _SLAB):
        k = superconducting[start : start + _SLAB]
        result[k] += gap[k] * _thermal_excess_current(
            np.abs(V[k]) / gap[k], K_B_meV * T[k] / gap[k], Z[k], P[k]
        )
    return (np.sign(V) * result / R_N).reshape(shape)


# --- Fast evaluation for fits -----------------------------------------------------------------
#
# The excess current j = e R_N I/gap - x and its slope are tabulated over
#   eta   = eV/(eV + gap + kT)   in [0, 1], so that the normal state and infinite bias are included,
#   theta = ln(1 + gap/kT)       from 0 (gap = 0) to ln 51 (kT = 0.02 gap),
#   Z     in [0, 2]              as a Chebyshev series,
# for the unpolarised and the half-metal current. In gap and T everything stays regular as the gap
# closes.

_N_ETA = 400
_N_THETA = 44
_N_Z = 20
_Z_MAX = 2.0
_TAU_MIN = 0.02
_THETA_MAX = float(np.log1p(1.0 / _TAU_MIN))
_STENCIL = 6
_CUT = 12.0
_POLES = np.sqrt(np.array([1.0, 2.0, 3.0, 4.0]))


def _trigamma(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Derivative of the digamma function for complex arguments with positive real part."""
    total = np.zeros_like(z)
    for _ in range(12):
        total += 1.0 / (z * z)
        z = z + 1.0
    w = 1.0 / (z * z)
    series = w * (1 / 6 - w * (1 / 30 - w * (1 / 42 - w * (1 / 30 - w * (5 / 66)))))
    return total + (1.0 + 0.5 / z + series) / z


def _tail_weights(Z: Array) -> Array:
    r"""Weights of the sum over 1/(a^2 + E^2) that equals G - 1 up to E^-10 at large energy.

    Returns shape (2, Z, 4): unpolarised and half-metal, over the four values of a.
    """
    z2 = Z * Z
    # s = 1 - sqrt(1 - x) with x = 1/E^2, as a power series up to x^4
    s = np.array([0.0, 1 / 2, 1 / 8, 1 / 16, 5 / 128])

    def times(p: Array, q: Array) -> Array:
        out = np.zeros((*np.broadcast_shapes(p.shape[:-1], q.shape[:-1]), 5))
        for order in range(5):
            for k in range(order + 1):
                out[..., order] += p[..., k] * q[..., order - k]
        return out

    # G_U = 1/(1 - kappa s); G_H = (1 - s)/(1 - (lam s - mu s^2))
    kappa = (1.0 + 2.0 * z2) / (2.0 * (1.0 + z2))
    lam = (1.0 + 2.0 * z2) / (1.0 + z2)
    mu = (1.0 + 4.0 * z2) / (4.0 * (1.0 + z2))
    step_u = kappa[:, np.newaxis] * s
    step_h = lam[:, np.newaxis] * s - mu[:, np.newaxis] * times(s, s)
    one = np.zeros(5)
    one[0] = 1.0
    unpolarised = half_metal = np.broadcast_to(one, step_u.shape)
    for _ in range(4):
        unpolarised = one + times(step_u, unpolarised)
        half_metal = one + times(step_h, half_metal)
    half_metal = times(one - s, half_metal)
    series = np.stack([unpolarised, half_metal])[..., 1:]
    # 1/(a^2 + E^2) = x - a^2 x^2 + a^4 x^3 - a^6 x^4
    vandermonde = np.stack([(-(_POLES**2)) ** k for k in range(4)])
    return np.linalg.solve(vandermonde, series[..., np.newaxis])[..., 0]


def _fixed_quadrature(tau: float) -> tuple[Array, Array]:
    """Energies and weights on [0, 12] whose spacing resolves steps of width tau everywhere."""
    edges = [0.0]
    while edges[-1] < _CUT:
        # steps end at the gap edge exactly, and shrink towards it from below
        energy = edges[-1]
        limit = 1.0 if energy < 1.0 else _CUT
        width = min(6.0 * tau, 0.25 if energy < 1.0 else 0.25 * energy)
        edges.append(limit if energy + 1.5 * width > limit else energy + width)
    x, w = np.polynomial.legendre.leggauss(16)
    energies, weights = [], []
    for low, high in pairwise(edges):
        inside = high <= 1.0
        map_, inverse, slope = (
            (np.sin, np.arcsin, np.cos) if inside else (np.cosh, np.arccosh, np.sinh)
        )
        start, stop = inverse(low), inverse(high)
        angle = 0.5 * (start + stop) + 0.5 * (stop - start) * x
        energies.append(map_(angle))
        weights.append(0.5 * (stop - start) * w * slope(angle))
    return np.concatenate(energies), np.concatenate(weights)


@lru_cache(maxsize=1)
def _table() -> Array:
    """Excess current and its slope along eta, shape (theta, Z degree, 4 kinds, eta).

    The kinds are j_U, j_H and their derivatives times the eta step. Fixed quadrature of what
    remains of G - 1 after four Lorentzians are subtracted, whose thermal integrals are digamma
    functions; about 0.5 s.
    """
    eta = np.linspace(0.0, 1.0, _N_ETA + 1)
    nodes = np.cos(np.pi * (np.arange(_N_Z) + 0.5) / _N_Z)
    Z = 0.5 * _Z_MAX * (1.0 + nodes)
    tails = _tail_weights(Z)
    with np.errstate(divide="ignore"):
        zeta = eta / (1.0 - eta)
    table = np.empty((_N_THETA, 2, 2, _N_Z, _N_ETA + 1))
    for row, theta in enumerate(np.linspace(0.0, _THETA_MAX, _N_THETA)):
        tau = 1.0 / np.expm1(theta) if row else np.inf
        energy, weight = _fixed_quadrature(min(tau, 1.0))
        excess = np.stack(spectral_conductance(energy, Z[:, np.newaxis])) - 1.0
        excess -= tails @ (1.0 / (_POLES[:, np.newaxis] ** 2 + energy**2))
        excess = (excess * weight).reshape(2 * _N_Z, -1)
        total = excess.sum(axis=-1).reshape(2, _N_Z) + tails @ (0.5 * np.pi / _POLES)
        if row == 0:
            # kT far above the gap: j is the total excess times tanh(eV/2kT)
            bend = np.tanh(0.5 * zeta)
            with np.errstate(invalid="ignore"):
                rise = 0.5 * (1.0 - bend**2) * (1.0 + zeta) ** 2
            rise[-1] = 0.0
            table[row, 0] = total[..., np.newaxis] * bend
            table[row, 1] = total[..., np.newaxis] * rise / _N_ETA
            continue
        x = (1.0 + tau) * zeta[:-1]
        forward = expit((x - energy[:, np.newaxis]) / tau)
        backward = expit(-(x + energy[:, np.newaxis]) / tau)
        kernel = forward - backward
        slope = (forward * (1.0 - forward) + backward * (1.0 - backward)) / tau
        argument = 0.5 + (_POLES[:, np.newaxis] - 1j * x) / (2.0 * np.pi * tau)
        tail = -psi(argument).imag / _POLES[:, np.newaxis]
        tail_slope = _trigamma(argument).real / (2.0 * np.pi * tau * _POLES[:, np.newaxis])
        stretch = (1.0 + tau) * (1.0 + zeta[:-1]) ** 2 / _N_ETA
        j = (excess @ kernel).reshape(2, _N_Z, -1) + tails @ tail
        j_eta = ((excess @ slope).reshape(2, _N_Z, -1) + tails @ tail_slope) * stretch
        table[row, 0, ..., :-1] = j
        table[row, 1, ..., :-1] = j_eta
        table[row, 0, ..., -1] = total
        # G - 1 = c/E^2 at large energy
        table[row, 1, ..., -1] = tails.sum(axis=-1) / ((1.0 + tau) * _N_ETA)
    series = np.polynomial.chebyshev.chebvander(nodes, _N_Z - 1).T * (2.0 / _N_Z)
    series[0] *= 0.5
    # (theta, value/slope, current, Z, eta) -> (theta, Z degree, kind, eta)
    return np.ascontiguousarray(
        np.moveaxis(series @ table, 3, 1).reshape(_N_THETA, _N_Z, 4, _N_ETA + 1)
    )


def _z_weights(Z: Array) -> Array:
    """Chebyshev weights of the value and of the derivative along Z, shape (traces, 2, degree)."""
    x = np.clip(2.0 * Z / _Z_MAX - 1.0, -1.0, 1.0)
    value = np.polynomial.chebyshev.chebvander(x, _N_Z - 1)
    slope = np.zeros_like(value)
    second, before = np.ones_like(x), np.zeros_like(x)
    for n in range(1, _N_Z):
        slope[:, n] = n * second
        second, before = 2.0 * x * second - before, second
    slope *= 2.0 / _Z_MAX
    return np.stack([value, slope], axis=1)


def _theta_weights(theta: Array) -> tuple[NDArray[np.intp], Array]:
    """First stencil row and Lagrange weights of value and derivative, (traces, 2, stencil)."""
    per_theta = (_N_THETA - 1) / _THETA_MAX
    x = theta * per_theta
    start = np.clip(x.astype(np.intp) - _STENCIL // 2 + 1, 0, _N_THETA - _STENCIL)
    value, slope = lagrange_weights(x - start, _STENCIL)
    return start, np.stack([value, slope * per_theta], axis=1)


class _TraceCurves:
    """Node values of traces: indexed by a block of traces, shape (block, 3, 4, eta).

    The second axis is the value, d/dtheta and d/dZ, the third the kind of `_table`. Traces that
    share Z, as in a global fit, share the sum over the Chebyshev series.
    """

    def __init__(self, theta: Array, Z: Array) -> None:
        table = _table()
        self._shape = table.shape[2:]
        self._table = table.reshape(_N_THETA, _N_Z, -1)
        self._start, self._in_theta = _theta_weights(theta)
        distinct, self._which = np.unique(Z, return_inverse=True)
        self._in_z = _z_weights(distinct)
        self._shared: list[Array] = []
        if distinct.size * 4 <= theta.size:
            self._shared = [np.matmul(weights, self._table) for weights in self._in_z]

    def __getitem__(self, block: slice) -> Array:
        traces = range(*block.indices(self._start.size))
        out = np.empty((len(traces), 3, self._table.shape[2]))
        for target, trace in zip(out, traces, strict=True):
            k, first = self._which[trace], self._start[trace]
            rows = slice(first, first + _STENCIL)
            if self._shared:
                curves = self._shared[k][rows]
            else:
                curves = np.matmul(self._in_z[k], self._table[rows])
            np.matmul(self._in_theta[trace], curves[:, 0], out=target[:2])
            np.matmul(self._in_theta[trace, 0], curves[:, 1], out=target[2])
        return out.reshape(len(traces), 3, *self._shape)


def _cubic(value: Array, slope: Array, cell: NDArray[np.intp]) -> tuple[Array, Array, Array, Array]:
    """Coefficients, at each point, of the Hermite cubic through flat node arrays."""
    low, a = value.take(cell), slope.take(cell)
    cell = cell + 1
    rise, b = value.take(cell), slope.take(cell)
    rise -= low
    b += a
    c3 = b - 2.0 * rise
    c2 = rise - a
    c2 -= c3
    return low, a, c2, c3


def _evaluate(c: tuple[Array, Array, Array, Array], f: Array) -> Array:
    value = c[3] * f
    for k in (2, 1, 0):
        value += c[k]
        if k:
            value *= f
    return value


def _evaluate_slope(c: tuple[Array, Array, Array, Array], f: Array) -> Array:
    value = (3.0 * f) * c[3]
    value += 2.0 * c[2]
    value *= f
    value += c[1]
    return value


_TRACES_PER_BLOCK = 8


def _solve_rows(
    I: Array, T: Array, gap: Array, Z: Array, P: Array, R_N: Array, jacobian: bool
) -> tuple[Array, Array]:
    """Voltage of rows ``I[r]`` with one parameter set each, and its derivatives if wanted."""
    points = I.shape[1]
    voltage_, derivatives = np.empty(I.shape), np.empty((4 if jacobian else 0, *I.shape))
    eta = np.linspace(0.0, 1.0, _N_ETA + 1)
    clamped = K_B_meV * T < _TAU_MIN * gap
    thermal = np.where(clamped, _TAU_MIN * gap, K_B_meV * T)
    # in the normal state at T = 0 any scale will do
    thermal = np.where(thermal > 0.0, thermal, 1.0)
    width = gap + thermal
    all_curves = _TraceCurves(np.log(width / thermal), Z)
    for start in range(0, I.shape[0], _TRACES_PER_BLOCK):
        block = slice(start, start + _TRACES_PER_BLOCK)
        g, w = gap[block, np.newaxis], width[block, np.newaxis]
        p = P[block, np.newaxis, np.newaxis, np.newaxis]
        curves = all_curves[block]
        mixed = (1.0 - p) * curves[:, :, 0::2] + p * curves[:, :, 1::2]
        j, j_slope = mixed[:, 0, 0], mixed[:, 0, 1]
        # nodes of psi = y/(y + width), y = e R_N I, one increasing sequence for all traces
        with np.errstate(divide="ignore", invalid="ignore"):
            y_nodes = w * eta / (1.0 - eta) + g * j
            nodes = y_nodes / (y_nodes + w)
        nodes[:, -1] = 1.0
        traces = np.arange(g.shape[0])[:, np.newaxis]
        y = np.abs(I[block]) * R_N[block, np.newaxis]
        key = y / (y + w)
        cell = np.searchsorted((nodes + traces).ravel(), (key + traces).ravel(), side="right") - 1
        row = np.repeat(np.arange(g.shape[0]), points)
        # a key of exactly one would fall into the next trace
        np.minimum(cell, row * (_N_ETA + 1) + (_N_ETA - 1), out=cell)
        y, key = y.ravel(), key.ravel()
        g, w = g[:, 0].take(row), w[:, 0].take(row)
        j, j_slope = np.ascontiguousarray(j).ravel(), np.ascontiguousarray(j_slope).ravel()
        flat_nodes = nodes.ravel()
        low = flat_nodes.take(cell)
        f = (key - low) / (flat_nodes.take(cell + 1) - low)
        column = cell - row * (_N_ETA + 1)
        at = (column + f) / _N_ETA
        v = w * at / (1.0 - at)
        cubic = _cubic(j, j_slope, cell)
        for _ in range(2):
            at = v / (v + w)
            f = at * _N_ETA - column
            slope = 1.0 - at
            slope *= slope
            slope *= _evaluate_slope(cubic, f)
            slope *= g * _N_ETA / w
            slope += 1.0
            residual = _evaluate(cubic, f)
            residual *= g
            residual += v
            residual -= y
            residual /= slope
            v = np.maximum(v - residual, 0.0)
        sign = np.sign(I[block]).ravel()
        voltage_[block] = (sign * v).reshape(-1, points)
        if not jacobian:
            continue
        at = v / (v + w)
        f = at * _N_ETA - column
        excess = _evaluate(cubic, f)
        rise = _evaluate_slope(cubic, f)
        rise *= _N_ETA * (1.0 - at)
        g_over_w = g / w
        factor = 1.0 - at
        factor *= rise
        factor *= g_over_w
        factor += 1.0
        derivatives[3, block] = I[block] / factor.reshape(-1, points)
        np.divide(-sign, factor, out=factor)
        along_theta, along_z = (
            _evaluate(_cubic(mixed[:, k, 0].ravel(), mixed[:, k, 1].ravel(), cell), f)
            for k in (1, 2)
        )
        difference = curves[:, 0, 1::2] - curves[:, 0, 0::2]
        along_p = _evaluate(_cubic(difference[:, 0].ravel(), difference[:, 1].ravel(), cell), f)
        # at constant V the gap moves eta and, unless the temperature is below the table, theta
        rise *= at
        along_gap = along_theta
        if np.any(clamped[block]):
            cold = clamped[block].take(row)
            rise *= np.where(cold, 1.0 + _TAU_MIN, 1.0)
            along_gap = np.where(cold, 0.0, along_theta)
        by_gap = along_gap - rise
        by_gap *= g_over_w
        by_gap += excess
        for k, value in enumerate((by_gap, along_z, along_p)):
            value *= factor
            if k:
                value *= g
            derivatives[k, block] = value.reshape(-1, points)
    return voltage_, derivatives


def _solve(
    I: ArrayLike,
    parameters: tuple[ArrayLike, ...],
    jacobian: bool,
) -> tuple[Array, Array]:
    I = np.asarray(I, dtype=float)
    arrays = [np.asarray(value, dtype=float) for value in parameters]
    shape = np.broadcast_shapes(I.shape, *(array.shape for array in arrays))
    if 0 in shape:
        return np.empty(shape), np.empty((4 if jacobian else 0, *shape))
    per_trace = bool(shape) and all(array.ndim == 0 or array.shape[-1] == 1 for array in arrays)
    points = shape[-1] if per_trace else 1
    rows = [
        np.broadcast_to(array, shape)[..., 0].ravel()
        if per_trace
        else np.broadcast_to(array, shape).ravel()
        for array in arrays
    ]
    T, gap, Z, P, R_N = rows
    _check(T, gap, Z, P)
    if np.any(Z > _Z_MAX):
        raise ValueError("barrier strength beyond 2 is not tabulated")
    if np.any(R_N <= 0.0):
        raise ValueError("normal resistance must be positive")
    v, derivatives = _solve_rows(
        np.broadcast_to(I, shape).reshape(-1, points), T, gap, Z, P, R_N, jacobian
    )
    return v.reshape(shape), derivatives.reshape(-1, *shape)


def voltage(
    I: ArrayLike, T: ArrayLike, gap: ArrayLike, Z: ArrayLike, P: ArrayLike, R_N: ArrayLike
) -> Array:
    r"""Voltage of a current-biased contact: the inverse of `current`, tabulated.

    Parameters
    ----------
    I : array_like
        Current in mA; its last axis is the trace when the parameters do not vary along it.
    T : array_like
        Temperature in K. Below kT = 0.02 gap the reduced temperature is held at 0.02.
    gap : array_like
        Superconducting gap in meV; 0 gives the ohmic :math:`R_NI`, reached smoothly.
    Z : array_like
        Barrier strength, 0 to 2.
    P : array_like
        Spin polarisation, 0 to 1.
    R_N : array_like
        Normal resistance in ohm, positive. All arguments broadcast; give parameters of many
        traces a last axis of length one, which is what is fast.

    Returns
    -------
    ndarray
        Voltage in mV, broadcast shape, odd in `I`. The part beyond :math:`R_NI` is accurate to
        2e-6 gap.

    Raises
    ------
    ValueError
        For parameters outside the ranges above.
    """
    return _solve(I, (T, gap, Z, P, R_N), jacobian=False)[0]


def voltage_and_jacobian(
    I: ArrayLike, T: ArrayLike, gap: ArrayLike, Z: ArrayLike, P: ArrayLike, R_N: ArrayLike
) -> tuple[Array, Array]:
    r"""Voltage of a current-biased contact and its derivatives, for fits.

    By the implicit function theorem on :math:`V+\Delta j(V)=R_NI`, for instance
    :math:`\partial V/\partial P=-\Delta(j_H-j_U)/(G/G_N)`.

    Parameters
    ----------
    I, T, gap, Z, P, R_N : array_like
        As `voltage`.

    Returns
    -------
    V : ndarray
        Voltage in mV, broadcast shape.
    jacobian : ndarray, shape (4, ...)
        Derivatives along gap (mV/meV), Z (mV), P (mV) and R_N (mA).

    Raises
    ------
    ValueError
        As `voltage`.
    """
    return _solve(I, (T, gap, Z, P, R_N), jacobian=True)
