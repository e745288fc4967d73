"""Harmonics of the in-plane angle as a curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnmbt.analysis.angle import HarmonicFit

__all__ = ["evaluate"]


def evaluate(fit: HarmonicFit, theta: ArrayLike) -> NDArray[np.float64]:
    """Return the fitted constant and harmonics at angles in degrees; NaN where there is no fit."""
    angle = np.deg2rad(np.asarray(theta, dtype=float))
    if fit.reason is not None:
        return np.full(angle.shape, np.nan)
    value = np.full(angle.shape, fit.mean)
    for n in fit.cosine:
        value = value + fit.cosine[n] * np.cos(n * angle) + fit.sine[n] * np.sin(n * angle)
    return value
