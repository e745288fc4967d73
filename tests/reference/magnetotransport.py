"""Magnetotransport curves written straight from their equations, for tests of the estimators.

Independent of the package: nothing is imported from it, so an error in its physics cannot hide
here. Equations: PHYSICS.md B.6, B.8, B.10 (Aslamazov-Larkin x Ambegaokar-Halperin film, de
Gennes-Friedel cusp at T_N, two-sublattice macrospin magnetoresistance, tanh loop branches).
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import erf, ive

G0 = 1.5204674e-5  # e^2/(16 hbar), siemens


def temperature_grid():
    """The R(T) grid of the virtual device: 2 to 40 K."""
    return np.concatenate(
        [
            np.arange(2, 9.5, 0.1),
            np.arange(9.5, 12, 0.02),
            np.arange(12, 20, 0.2),
            np.arange(20, 28, 0.1),
            np.arange(28, 40.01, 0.5),
        ]
    )


def phase_slip(gamma):
    """I0(gamma)^-2 without overflow."""
    gamma = np.asarray(gamma, dtype=float)
    return np.exp(-2 * np.clip(gamma, 0, 350)) / ive(0, np.clip(gamma, 0, 350)) ** 2


def film(T, B=0.0, *, T_mf=10.92770, C=46.0, B0=0.064, d_over_xi=12.0, R_sq=42.5):
    """R/R_n of the NbN film: paraconductivity times phase slips; T50 = 10.800 K at B = 0."""
    T, B = np.broadcast_arrays(np.asarray(T, float), np.asarray(B, float))
    eps = np.maximum(np.log(T / T_mf), 2e-3)
    x = d_over_xi * np.sqrt(eps)
    al = 1 / (1 + R_sq * G0 * 0.5 * (1 + x / np.tanh(x)) / eps)
    t = np.clip(T / T_mf, 0, 1)
    gamma = C * (1 - t) ** 1.5 / (np.maximum(t, 1e-3) * (np.abs(B) + B0))
    return al * phase_slip(gamma)


def antiferromagnet(T, *, T_N=24.4, sigma=0.3, b=0.12, c=0.06, eps0=0.12, a=0.0025, beta=0.35):
    """R/R0 of MnBi2Te4 with a Gaussian spread of T_N, integrated densely."""
    T = np.asarray(T, dtype=float)
    if sigma == 0:
        shifts, weights = np.zeros(1), np.ones(1)
    else:
        shifts = np.linspace(-5, 5, 801) * sigma
        weights = np.exp(-0.5 * (shifts / sigma) ** 2)
        weights /= weights.sum()
    out = np.zeros_like(T)
    for shift, weight in zip(shifts, weights, strict=True):
        t = T / (T_N + shift)
        m2 = np.clip(1 - t, 0, None) ** (2 * beta)
        eps = np.clip(t - 1, 0, None)
        out += weight * (1 - b * m2 - c * (1 - np.exp(-eps / eps0)))
    return out + a * T


def interface(T, *, T_N=24.4, R_M=8.0, R_film=20.0, R_AR=10.0, T_AR=6.0, film_B=0.0, **magnet):
    """R of the interface: magnet, film, three weak channels and a smooth Andreev upturn, ohm."""
    T = np.asarray(T, dtype=float)
    R = R_M * antiferromagnet(T, T_N=T_N, **magnet) + R_film * film(T, film_B)
    for R_k, T_k, gamma0 in ((1.0, 6.0, 230.0), (1.0, 6.6, 290.0), (1.5, 8.6, 500.0)):
        R = R + R_k * phase_slip(gamma0 * np.clip(1 - (T / T_k) ** 2, 0, None) ** 1.5)
    gap = np.tanh(1.74 * np.sqrt(np.clip(T_AR / np.maximum(T, 1e-6) - 1, 0, None)))
    return R + R_AR * (1 + 0.56 * gap**1.5)


def magnetoresistance(
    B, *, B_flop=3.0, B_sat=8.0, amplitude=0.05, kappa=1e-4, smear=0.15, odd=0.0, B0=0.0
):
    """R/R(0) of MnBi2Te4 at low temperature: 1 - A (M/Ms)^2 + kappa B^2, spin flop smeared."""
    field = np.abs(np.asarray(B, dtype=float) - B0)
    inside = 0.5 * (1 + erf((field - B_flop) / (np.sqrt(2) * smear))) if smear else field > B_flop
    return 1 - amplitude * inside * np.minimum(field / B_sat, 1) ** 2 + kappa * field**2 + odd * B


def brillouin_order(t, S=2.5):
    """Mean-field sublattice order parameter m(T/T_N) of spin S."""
    out = np.zeros_like(np.asarray(t, dtype=float))

    def brillouin(x):
        return (2 * S + 1) / (2 * S) / np.tanh((2 * S + 1) * x / (2 * S)) - 1 / (2 * S) / np.tanh(
            x / (2 * S)
        )

    for i, ti in np.ndenumerate(np.asarray(t, dtype=float)):
        if ti < 1:
            argument = 3 * S / (S + 1) / max(ti, 1e-3)
            out[i] = brentq(lambda m, a=argument: brillouin(a * m) - m, 1e-6, 1.0)
    return out


def loop_parameters(T, *, T_N=24.4, B_c0=0.20, delta_R0=0.05):
    """Planted coercive field (T) and loop height (ohm) at temperature T."""
    t = np.asarray(T, dtype=float) / T_N
    m = brillouin_order(t)
    return B_c0 * m * (1 - 0.35 * np.sqrt(np.minimum(t, 1))), delta_R0 * m**2


def loop_field():
    """Nominal field grid of a loop: 10 mT outside 0.5 T, 5 mT inside."""
    return np.concatenate(
        [np.arange(-1, -0.5, 0.01), np.arange(-0.5, 0.5, 0.005), np.arange(0.5, 1.0001, 0.01)]
    )


def loop(B, B_c, delta_R, *, background, width=0.04, square=0.0, lag=0.0, B0=0.0):
    """Both branches of R(B), ohm, shape (2, len(B)): up (switches at +B_c) and down.

    Reported field B; the sample sees B - lag on the way up, B + lag on the way down, less B0.
    """
    out = []
    for direction in (+1, -1):
        field = B - direction * lag - B0
        m = np.tanh((field - direction * B_c) / width)
        out.append(background(field) + delta_R * ((1 - square) * (1 - m**2) + square * m / 2))
    return np.array(out)
