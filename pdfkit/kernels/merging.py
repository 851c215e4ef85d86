"""Which pairs of a crystal are equal: one look at each of them, without sorting; and which are nearly so.

A pair is its numbers at one or two points of parameter space. Those that agree in all of them are counted together;
where to look for one that agrees is said by a hash of the first number, the squared distance.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.kernels._jit import kernel

# Relative differences that are rounding: 1e-14 at 100 Å. A distance is then right to 5e-13 of itself.
SAME = 1e-12
# Å²: cells of the hash, much wider than what is called the same, and narrower than most gaps between distances.
CELL = 1e-6
# What the second number adds of a displacement, in Å⁻², and of a product of occupancies: at d² of 1,000 Å² they are
# told apart when they differ by 1e-13 Å² and 1e-12. No combination of whole numbers of both is 0.
OF_S, OF_TRACE, OF_OCCUPANCY = 10007.31, 7919.77, 1009.13


@kernel
def mark_pairs(
    atom_i: Int32Array,
    atom_j: Int32Array,
    shift: Int32Array,
    g: Array,
    x: Array,
    u: Array,
    b: Array,
    trace: Array,
    occ: Array,
    aniso: bool,
    point: int,
    marks: Array,
) -> None:
    """Fill marks (p, 2) at point 0: d², and a sum, with fixed factors, of all else that makes a peak.

    That is the displacement s = uᵢ + uⱼ + vᵀ(Bᵢ + Bⱼ)v/d², v = gΔ, Δ = x_j + n − x_i (B only if `aniso`), the trace of
    Uᵢ + Uⱼ and the product of occupancies. At further points it is added to the sum together with d².
    Shapes: atom_i, atom_j (p,); shift (p,3); g (3,3); x (natoms,3); u, trace, occ (natoms,); b (natoms,3,3) or (1,3,3).
    Units: Å².
    """
    g00, g01, g02, g11, g12, g22 = g[0, 0], g[0, 1], g[0, 2], g[1, 1], g[1, 2], g[2, 2]
    own = 1.0 + 0.618 * point
    for p in range(atom_i.size):
        i = np.uint32(atom_i[p])
        j = np.uint32(atom_j[p])
        d0 = x[j, 0] - x[i, 0] + shift[p, 0]
        d1 = x[j, 1] - x[i, 1] + shift[p, 1]
        d2 = x[j, 2] - x[i, 2] + shift[p, 2]
        v0 = g00 * d0 + g01 * d1 + g02 * d2
        v1 = g01 * d0 + g11 * d1 + g12 * d2
        v2 = g02 * d0 + g12 * d1 + g22 * d2
        rr = d0 * v0 + d1 * v1 + d2 * v2
        rest = OF_S * (u[i] + u[j]) + OF_OCCUPANCY * occ[i] * occ[j]
        if aniso:
            along = 0.0
            for atom in (i, j):
                along += v0 * (b[atom, 0, 0] * v0 + 2.0 * (b[atom, 0, 1] * v1 + b[atom, 0, 2] * v2))
                along += v1 * (b[atom, 1, 1] * v1 + 2.0 * b[atom, 1, 2] * v2) + b[atom, 2, 2] * v2 * v2
            rest += OF_S * along / rr + OF_TRACE * (trace[i] + trace[j])
        if point == 0:
            marks[p, 0] = rr
            marks[p, 1] = rest
        else:
            marks[p, 1] += own * (rest + rr)


@kernel
def merge_marks(marks: Array, kind: IntArray, mult: Array, table: Int32Array, first: IntArray, total: Array) -> int:
    """Find the pairs of equal marks and kind; return how many groups there are.

    Shapes: marks (p, 2) of `mark_pairs`; kind (p,), the species pair; mult (p,); table (2ᵏ ≥ 2p,), zeros, scratch.
    Outputs: first (p,), of which the first entries are filled with the first pair of each group, and total (p,), the
    sum of its `mult`.
    """
    mask = table.size - 1
    count = 0
    for p in range(mult.size):
        a, b = marks[p, 0], marks[p, 1]
        place = a / CELL
        cell = math.floor(place)
        near = 2.0 * SAME * place
        tolerance = SAME * (abs(b) + a)
        found, free = -1, 0
        # An equal one may lie just across the edge of the cell.
        for side in range(3):
            if side == 1 and place - cell > near:
                continue
            if side == 2 and cell + 1 - place > near:
                continue
            at = cell - 1 if side == 1 else cell + side // 2
            h = np.uint64(at) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(kind[p]) * np.uint64(0xC2B2AE3D27D4EB4F)
            h ^= h >> np.uint64(29)
            h *= np.uint64(0xBF58476D1CE4E5B9)
            slot: Any = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask))
            while found < 0 and table[slot] != 0:
                group = table[slot] - 1
                q = first[group]
                if abs(marks[q, 0] - a) <= SAME * a and abs(marks[q, 1] - b) <= tolerance and kind[q] == kind[p]:
                    found = group
                slot = (slot + 1) & mask
            if found >= 0:
                break
            if side == 0:
                free = slot
        if found < 0:
            found = count
            table[free] = count + 1
            first[count] = p
            total[count] = 0.0
            count += 1
        total[found] += mult[p]
    return count


@kernel
def near_groups(
    order: IntArray, distance: Array, width: Array, widest: float, marks: Array, first: IntArray, label: IntArray
) -> int:
    """Label pairs (n,) that differ by rounding with the number of their group; return how many groups there are.

    A group is what is at most `width` of its first pair farther away, with marks that differ by 1 at most from its own.
    Shapes: order (n,), which sorts distance (n,); width (n,), at most `widest`; marks (n, m); first (n,), filled with
    the first pairs of the groups; label (n,), filled. Units: Å.
    """
    count, oldest = 0, 0
    for k in range(order.size):
        p = order[k]
        while oldest < count and distance[first[oldest]] < distance[p] - widest:
            oldest += 1
        found = -1
        for group in range(count - 1, oldest - 1, -1):
            q = first[group]
            same = distance[p] - distance[q] <= width[q]
            for m in range(marks.shape[1]):
                same = same and abs(marks[p, m] - marks[q, m]) <= 1.0
            if same:
                found = group
                break
        if found < 0:
            found = count
            first[count] = p
            count += 1
        label[p] = found
    return count
