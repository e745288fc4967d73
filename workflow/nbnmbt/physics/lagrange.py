"""Weights of local polynomial interpolation on an equidistant grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lagrange_weights"]

Array = NDArray[np.float64]


def lagrange_weights(x: Array, nodes: int) -> tuple[Array, Array]:
    """Return the Lagrange polynomials of the nodes 0, 1, ..., ``nodes - 1`` and their slopes.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Positions in units of the node spacing, counted from the first node.
    nodes : int
        Number of nodes.

    Returns
    -------
    value, slope : ndarray, shape (n, nodes)
        ``value @ f`` interpolates node values f, ``slope @ f`` is the derivative along `x`.
    """
    node = np.arange(nodes)
    distance = x[:, np.newaxis] - node
    value, slope = np.ones((x.size, nodes)), np.zeros((x.size, nodes))
    for other in range(nodes):
        # Multiply by (x - other)/(node - other), both factors by the product rule; a node's own
        # polynomial has no factor of itself.
        gap = node - other
        gap[other] = 1
        toward = distance[:, other, np.newaxis]
        own = value[:, other].copy(), slope[:, other].copy()
        slope *= toward
        slope += value
        slope /= gap
        value *= toward / gap
        value[:, other], slope[:, other] = own
    return value, slope
