"""Which pairs of a crystal are equal: one look at each of them, without sorting; and which are nearly so.

A pair is its numbers at one or two points of parameter space. Those that agree in all of them are counted together;
where to look for one that agrees is said by a hash of the first number, the squared distance.
"""

from __future__ import annotations

import math

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
    marks: Array,
) -> None:
    """Fill marks (p, 2): d² at the first point, and a sum, with fixed factors, of all else that makes a peak.

    That is d² at further points, and at all of them the displacement s = uᵢ + uⱼ + vᵀ(Bᵢ + Bⱼ)v/d², v = gΔ,
    Δ = x_j + n − x_i (B only if `aniso`), the trace of Uᵢ + Uⱼ and the product of occupancies.
    Shapes: atom_i, atom_j (p,); shift (p,3); g (k,3,3); x (k,natoms,3); u, trace, occ (k,natoms); b (k,natoms,3,3) or
    (k,1,3,3). Units: Å².
    """
    for k in range(g.shape[0]):
        g00, g01, g02, g11, g12, g22 = g[k, 0, 0], g[k, 0, 1], g[k, 0, 2], g[k, 1, 1], g[k, 1, 2], g[k, 2, 2]
        own = 1.0 + 0.618 * k
        for p in range(atom_i.size):
            i = np.uint32(atom_i[p])
            j = np.uint32(atom_j[p])
            d0 = x[k, j, 0] - x[k, i, 0] + shift[p, 0]
            d1 = x[k, j, 1] - x[k, i, 1] + shift[p, 1]
            d2 = x[k, j, 2] - x[k, i, 2] + shift[p, 2]
            v0 = g00 * d0 + g01 * d1 + g02 * d2
            v1 = g01 * d0 + g11 * d1 + g12 * d2
            v2 = g02 * d0 + g12 * d1 + g22 * d2
            rr = d0 * v0 + d1 * v1 + d2 * v2
            rest = OF_S * (u[k, i] + u[k, j]) + OF_OCCUPANCY * occ[k, i] * occ[k, j]
            if aniso:
                along = (b[k, i, 0, 0] + b[k, j, 0, 0]) * v0 * v0
                along += (b[k, i, 1, 1] + b[k, j, 1, 1]) * v1 * v1
                along += (b[k, i, 2, 2] + b[k, j, 2, 2]) * v2 * v2
                along += 2.0 * (b[k, i, 0, 1] + b[k, j, 0, 1]) * v0 * v1
                along += 2.0 * (b[k, i, 0, 2] + b[k, j, 0, 2]) * v0 * v2
                along += 2.0 * (b[k, i, 1, 2] + b[k, j, 1, 2]) * v1 * v2
                rest += OF_S * along / rr + OF_TRACE * (trace[k, i] + trace[k, j])
            if k == 0:
                marks[p, 0] = rr
                marks[p, 1] = rest
            else:
                marks[p, 1] += own * (rest + rr)


@kernel
def slot_of(cell: int, kind: int, mask: int) -> int:
    """Return where in a table of mask + 1 = 2ᵏ slots the search for a cell of squared distance begins."""
    h = np.uint64(cell) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(kind) * np.uint64(0xC2B2AE3D27D4EB4F)
    h ^= h >> np.uint64(29)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(32)
    return np.int64(h & np.uint64(mask))  # type: ignore[return-value]  # an integer


@kernel
def search_known(slot: int, table: Int32Array, known: Array, marks: Array, kind: int) -> int:
    """Return the known group that has these marks (2,), or −1 − the free slot where the search ended.

    Shapes: table (2ᵏ,), group + 1 or 0; known (ngroups, 3), marks and kind.
    """
    mask = table.size - 1
    a, b = marks[0], marks[1]
    tolerance = SAME * (abs(b) + a)
    while table[slot] != 0:
        group = table[slot] - 1
        if abs(known[group, 0] - a) <= SAME * a and abs(known[group, 1] - b) <= tolerance and known[group, 2] == kind:
            return group  # type: ignore[no-any-return]
        slot = (slot + 1) & mask
    return -1 - slot


@kernel
def merge_marks(marks: Array, kind: IntArray, mult: Array, first: IntArray, total: Array) -> int:
    """Find the pairs of equal marks and kind; return how many groups there are.

    Shapes: marks (p, 2) of `mark_pairs`; kind (p,), the species pair; mult (p,). Outputs: first (p,), of which the
    first entries are filled with the first pair of each group, and total (p,), the sum of its `mult`.
    """
    size = 16
    while size < 2 * mult.size:
        size *= 2
    table = np.zeros(size, dtype=np.int32)
    known = np.empty((mult.size, 3))
    count = 0
    for p in range(mult.size):
        place = marks[p, 0] / CELL
        cell = math.floor(place)
        found = search_known(slot_of(cell, kind[p], size - 1), table, known, marks[p], kind[p])
        free = -1 - found
        # An equal one may lie just across the edge of the cell.
        near = 2.0 * SAME * place
        if found < 0 and place - cell <= near:
            found = search_known(slot_of(cell - 1, kind[p], size - 1), table, known, marks[p], kind[p])
        if found < 0 and cell + 1 - place <= near:
            found = search_known(slot_of(cell + 1, kind[p], size - 1), table, known, marks[p], kind[p])
        if found < 0:
            found = count
            table[free] = count + 1
            known[count, 0], known[count, 1], known[count, 2] = marks[p, 0], marks[p, 1], kind[p]
            first[count] = p
            total[count] = 0.0
            count += 1
        total[found] += mult[p]
    return count


@kernel
def near_groups(order: IntArray, distance: Array, width: Array, marks: Array, label: IntArray) -> int:
    """Label pairs (n,) that differ by rounding with the number of their group; return how many groups there are.

    A group is what is at most `width` of its first pair farther away, with marks that differ by 1 at most from its own.
    Shapes: order (n,), which sorts distance (n,); width (n,); marks (n, m); label (n,), filled. Units: Å.
    """
    first = np.empty(order.size, dtype=np.int64)
    count, oldest = 0, 0
    widest = width.max()
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
