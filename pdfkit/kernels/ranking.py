"""Pair distances of very many small clusters, and the sums over them that rank: single precision, nothing exact."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

Single = NDArray[np.float32]

# Å: distances are equal when they round to the same multiple of this (0.31 keeps ideal lengths off the edges).
SAME, OFFSET = 1e-4, 0.31


@kernel
def pair_bins(xyz: Array, kind: IntArray, pair: IntArray, width: float, bins: Single) -> tuple[float, float, int]:
    """Add the pairs of a cluster to bins of their distance; return the smallest, the largest (Å) and a hash of all.

    Formula: a distance d = (b + t)·width adds 1 − t to bin b and t to bin b + 1, so that sums over bins are exact in
    functions linear between them; beyond the last bin nothing. The hash is the same for any order of the atoms, for
    rotated and mirrored ones; d counts in steps of `SAME`.
    Shapes: xyz (n, 3); kind (n,); pair (nkinds, nkinds) index of each two kinds; bins (npairs, nbins). Units: Å.
    """
    last = bins.shape[1] - 1
    nearest, farthest, total = math.inf, 0.0, 0
    for i in range(xyz.shape[0]):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        row = pair[kind[i]]
        for j in range(i + 1, xyz.shape[0]):
            dx, dy, dz = xyz[j, 0] - x, xyz[j, 1] - y, xyz[j, 2] - z
            d = math.sqrt(dx * dx + dy * dy + dz * dz)
            p = row[kind[j]]
            nearest, farthest = min(nearest, d), max(farthest, d)
            key = (int(d / SAME + OFFSET) << 8) + p + 1
            # Two rounds of multiplying and folding; the sum does not depend on the order.
            key = (key ^ (key >> 29)) * 0x3F58476D1CE4E5B9
            key = (key ^ (key >> 32)) * 0x14D049BB133111EB
            total += key ^ (key >> 31)
            t = d / width
            b = int(t)
            if b < last:
                t -= b
                bins[p, b] += np.float32(1.0 - t)
                bins[p, b + 1] += np.float32(t)
    return nearest, farthest, total


@kernel
def pair_sums(bins: Single, far: Single, near: Single, out: Single, widths: Single) -> None:
    """Add Σ bins × tables to the sums of each kind of pair, and leave the bins empty.

    Shapes: bins (npairs, nbins); far (nbins, nq), of bins beyond near.shape[1]; near (nu, nnear, nq), of the others;
    out (npairs, nq); widths (nu, npairs, nq).
    """
    first, nq = near.shape[1], far.shape[1]
    for p in range(bins.shape[0]):
        for b in range(bins.shape[1]):
            n = bins[p, b]
            if n == 0.0:
                continue
            bins[p, b] = 0.0
            if b >= first:
                row, to = far[b], out[p]
                for k in range(nq):
                    to[k] += n * row[k]
                continue
            for u in range(near.shape[0]):
                row, to = near[u, b], widths[u, p]
                for k in range(nq):
                    to[k] += n * row[k]


@kernel
def near_a_point(
    far: Single,
    near: Single,
    Q2: Single,
    pairs: IntArray,
    lnu: Array,
    parts: Array,
    point: Array,
    steps: Array,
    out: Single,
) -> None:
    """Set out (1 + n, nq) to F at a point of n numbers, and to its change by a step of each (0 where the step is 0).

    Formula: F = Σ_p [far_p·exp(−u_p·Q²) + Σ_dk L_d(x) L_k(ln u_p)·near_dkp], u_p the mean U of the elements of a pair,
    L Lagrange's polynomials through the nodes `parts` and `lnu`; the point is ln U of each element, then x. A change is
    the difference to the point moved by the step, divided by the sign of it.
    Shapes: far (npairs, nq); near (nparts·nlnu, npairs, nq); Q2 (nq,); pairs (npairs, 2) elements; point, steps (n,).
    Units: Å², Å⁻¹.
    """
    n = point.size
    along, across = np.empty(parts.size), np.empty(lnu.size)
    moved = point.copy()
    for row in range(n + 1):
        out[row] = 0.0
        if row > 0:
            if steps[row - 1] == 0.0:
                continue
            moved[row - 1] = point[row - 1] + steps[row - 1]
        _shares(parts, moved[n - 1], along)
        for p in range(far.shape[0]):
            u = 0.5 * (math.exp(moved[pairs[p, 0]]) + math.exp(moved[pairs[p, 1]]))
            _shares(lnu, math.log(u), across)
            to, beyond, thermal = out[row], far[p], np.float32(-u)
            for k in range(Q2.size):
                to[k] += beyond[k] * np.exp(thermal * Q2[k])
            for d in range(parts.size):
                for j in range(lnu.size):
                    share, one = np.float32(along[d] * across[j]), near[d * lnu.size + j, p]
                    for k in range(Q2.size):
                        to[k] += share * one[k]
        if row > 0:
            moved[row - 1] = point[row - 1]
    for row in range(1, n + 1):
        if steps[row - 1] != 0.0:
            sign = np.float32(math.copysign(1.0, steps[row - 1]))
            for k in range(Q2.size):
                out[row, k] = sign * (out[row, k] - out[0, k])


@kernel
def _shares(nodes: Array, x: float, out: Array) -> None:
    """Set out to the values at x of the polynomials that are 1 at one node and 0 at all others."""
    for j in range(nodes.size):
        out[j] = 1.0
        for k in range(nodes.size):
            if k != j:
                out[j] *= (x - nodes[k]) / (nodes[j] - nodes[k])
