"""The metric of cells, and how it changes with their lengths and angles."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array
from pdfkit.kernels._jit import kernel

DEGREE = math.pi / 180.0


@kernel
def metric(cell: Array, dcell: Array, g: Array, dg: Array, growth: Array) -> float:
    """Fill in g_ab = a_a·a_b and its changes, and those of ln(volume); return the volume.

    Formula: V = abc·√(1 − cos²α − cos²β − cos²γ + 2 cosα cosβ cosγ). Shapes: cell (6,) = a, b, c (Å), α, β, γ (°), and
    dcell (nq,6); g (3,3), dg (nq,3,3), growth (nq,). Units: Å, °.
    """
    a, b, c = cell[0], cell[1], cell[2]
    alpha, beta, gamma = DEGREE * cell[3], DEGREE * cell[4], DEGREE * cell[5]
    ca, cb, cg = math.cos(alpha), math.cos(beta), math.cos(gamma)
    g[0, 0], g[1, 1], g[2, 2] = a * a, b * b, c * c
    g[0, 1], g[0, 2], g[1, 2] = a * b * cg, a * c * cb, b * c * ca
    g[1, 0], g[2, 0], g[2, 1] = g[0, 1], g[0, 2], g[1, 2]
    squared = 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg
    for q in range(dcell.shape[0]):
        for i in range(3):
            for j in range(3):
                dg[q, i, j] = (dcell[q, i] / cell[i] + dcell[q, j] / cell[j]) * g[i, j]
        growth[q] = dcell[q, 0] / a + dcell[q, 1] / b + dcell[q, 2] / c
        if dcell[q, 3] == 0.0 and dcell[q, 4] == 0.0 and dcell[q, 5] == 0.0:
            continue
        ta = -math.sin(alpha) * DEGREE * dcell[q, 3]
        tb = -math.sin(beta) * DEGREE * dcell[q, 4]
        tg = -math.sin(gamma) * DEGREE * dcell[q, 5]
        dg[q, 0, 1] += a * b * tg
        dg[q, 0, 2] += a * c * tb
        dg[q, 1, 2] += b * c * ta
        dg[q, 1, 0], dg[q, 2, 0], dg[q, 2, 1] = dg[q, 0, 1], dg[q, 0, 2], dg[q, 1, 2]
        growth[q] += (ta * (cb * cg - ca) + tb * (ca * cg - cb) + tg * (ca * cb - cg)) / squared
    return float(a * b * c * math.sqrt(squared))


@kernel
def metrics(cells: Array, g: Array, volumes: Array) -> None:
    """Fill in g (n,3,3) and volumes (n,) of cells (n,6), as `metric` does."""
    none, flat, growth = np.empty((0, 6)), np.empty((0, 3, 3)), np.empty(0)
    for k in range(volumes.size):
        volumes[k] = metric(cells[k], none, g[k], flat, growth)
