"""V(I) traces of the series junction, for tests and benchmarks of the batched fit."""

from __future__ import annotations

import numpy as np

from nbnmbt.analysis import vi_fit
from nbnmbt.physics import andreev, junction

TRUTH = {
    "Ic": np.array([0.95, 1.20, 2.10]),
    "R": np.array([1.0, 1.0, 1.5]),
    "Tn": 100.0,
    "R_s": 7.0,
    "gap": 0.9,
    "Z": 0.3,
    "P": 0.6,
    "R_AR": 10.0,
}
NOISE_MV = 4e-4


def layout_and_start(n: int) -> tuple[vi_fit.Layout, np.ndarray, np.ndarray]:
    """Layout, starts a few per cent off, and free parameters with the contact's held fixed."""
    layout = vi_fit.Layout(channels=3)
    start = np.zeros((n, layout.size))
    start[:, layout.ln_Ic] = np.log(TRUTH["Ic"] * np.array([1.02, 0.985, 1.01]))
    start[:, layout.ln_Tn] = np.log(140.0)
    start[:, layout.gap] = 0.85
    start[:, layout.contact] = [np.log(TRUTH["R_AR"]), TRUTH["Z"], TRUTH["P"]]
    free = layout.free(np.ones((n, 3), dtype=bool), np.ones(n, dtype=bool))
    free[:, layout.contact] = False
    return layout, start, free


def traces(n: int, *, noise: float = NOISE_MV, seed: int = 1, points: int = 1201) -> vi_fit.Traces:
    """Return n traces of one device that differ by noise alone."""
    I = np.broadcast_to(np.linspace(-3, 3, points), (n, points)).copy()
    T = np.full(n, 2.0)
    V = 5e-4 + TRUTH["R_s"] * I
    for Ic, R in zip(TRUTH["Ic"], TRUTH["R"], strict=True):
        V = V + junction.channel_voltage(I, Ic, R, TRUTH["Tn"])
    V = V + andreev.voltage(I, T[:, None], TRUTH["gap"], TRUTH["Z"], TRUTH["P"], TRUTH["R_AR"])
    V = V + noise * np.random.default_rng(seed).normal(size=V.shape)
    sigma = np.full_like(V, max(noise, 1e-6))
    return vi_fit.Traces(I=I, V=V, sigma=sigma, T=T, dT=np.zeros_like(V))
