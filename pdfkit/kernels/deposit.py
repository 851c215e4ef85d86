"""Pairs of a large cell, added to bins of distance as they are found.

A list of pairs would be read from memory for every curve; here a pair costs its distance and six additions. Large
cells without symmetry have many more pairs than bins.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import kernel

# Atoms in a block: enough of them to hide the search for its images, few enough that most blocks are wholly inside.
BLOCK = 32


@kernel
def row_limits(left: float, offset: float, per: float, d: float) -> tuple[int, int]:
    """Return the least and the largest integer n with (offset + (d + n)/per)² ≤ left, all in Å² or Å."""
    reach = math.sqrt(left)
    return math.ceil((-reach - offset) * per - d), math.floor((reach - offset) * per - d)


@kernel
def block_spheres(x: Array, spheres: Array) -> None:
    """Fill spheres[b] = (centre, radius) of the atoms bBLOCK … (b + 1)BLOCK − 1; x (natoms,3), spheres (nblocks,4)."""
    for b in range(spheres.shape[0]):
        atoms = x[b * BLOCK : (b + 1) * BLOCK]
        spheres[b] = 0.0
        for m in range(3):
            spheres[b, m] = 0.5 * (atoms[:, m].min() + atoms[:, m].max())
        for k in range(atoms.shape[0]):
            v, y, z = atoms[k, 0] - spheres[b, 0], atoms[k, 1] - spheres[b, 1], atoms[k, 2] - spheres[b, 2]
            spheres[b, 3] = max(spheres[b, 3], math.sqrt(v * v + y * y + z * z))


@kernel
def any_image(c: Array, r2: float, o1: float, o2: float, o3: float, slab: int, slabs: int) -> bool:
    """Whether an image (o + c·n)² ≤ r2 of a place o exists in the layers n3 of a slab; names as in `deposit_pairs`."""
    low3, high3 = row_limits(r2, o3, 1.0 / c[2, 2], 0.0)
    for n3 in range(low3 + (slab - low3) % slabs, high3 + 1, slabs):
        left3 = max(r2 - (o3 + c[2, 2] * n3) ** 2, 0.0)
        low2, high2 = row_limits(left3, o2 + c[1, 2] * n3, 1.0 / c[1, 1], 0.0)
        for n2 in range(low2, high2 + 1):
            left2 = max(left3 - (o2 + c[1, 2] * n3 + c[1, 1] * n2) ** 2, 0.0)
            low1, high1 = row_limits(left2, o1 + c[0, 2] * n3 + c[0, 1] * n2, 1.0 / c[0, 0], 0.0)
            if low1 <= high1:
                return True
    return False


@kernel
def add_change(
    low: Array, high: Array, d: float, f: float, h: float, s: float, dw: float, wd: float, wds: float
) -> None:
    """Add what a pair changes to the rows (4,) of its two nodes: ẇ, wḋ and wṡ of the pair; see `deposit_pairs`."""
    share0 = (1.0 - f) * (1.0 - f * h / d)
    share1 = f * (1.0 + (1.0 - f) * h / d)
    dw0 = (dw - wd / d) * share0 - wd / h * (1.0 - f * h / d)
    dw1 = (dw - wd / d) * share1 + wd / h * (1.0 + (1.0 - f) * h / d)
    v = -f * (1.0 - f) * h * h
    wdv = -(1.0 - 2.0 * f) * h * wd
    low[0] += dw0
    low[2] += dw0 * v + share0 * wdv
    low[3] += dw0 * s + share0 * wds
    high[0] += dw1
    high[2] += dw1 * v + share1 * wdv
    high[3] += dw1 * s + share1 * wds


@kernel
def deposit_pairs(
    c: Array,
    x: Array,
    centres: IntArray,
    group: IntArray,
    rmax: float,
    bin_width: float,
    kind_of: IntArray,
    class_of: IntArray,
    mult: Array,
    u: Array,
    occ: Array,
    strain: Array,
    moving: Array,
    du: Array,
    docc: Array,
    slab: int,
    slabs: int,
    sums: Array,
    dsums: Array,
) -> None:
    """Share every pair (i, j, n) with 0.01 Å < d = |x_j + c·n − x_i| ≤ rmax between two nodes, with its derivatives.

    Formula: node k of a class lies at k·h, h = bin_width. A pair at d = (k + f)h with w = mᵢ·occᵢ·occⱼ (doubled for
    unlike groups, of which only j ≥ i is taken) and s = uᵢ + uⱼ gives node k the weight W = (1 − f)w·kh/d and
    node k + 1 the weight W = fw·(k + 1)h/d, w together, and to each W·v and W·s; v = −f(1 − f)h² undoes the variance
    that sharing adds. Weight, mean and variance of the pair's peak w·n(r − d)/d are kept, and everything is continuous
    where the pair passes a node. Derivatives follow from ẇ, ṡ = u̇ᵢ + u̇ⱼ and ḋ = (ΔᵀEΔ + Δ·(tⱼ − tᵢ))/d. Images are
    searched for blocks of atoms that follow one another, so atoms should be in an order that keeps neighbours together.
    Shapes: c (3,3) upper triangular, columns the basis; x (natoms,3) cartesian; group (natoms,), the atoms of a group
    one after the other; centres (k,), the atoms i, each the first of its group; u, occ, kind_of (natoms,); mult
    (natoms,), mᵢ; class_of (nkinds, nkinds); strain E (nq,3,3), symmetric, half the change of the metric in cartesian
    axes; moving t (nq,natoms,3), change of x at constant cell; du, docc (nq,natoms). Of the layers n3 of cells those
    with n3 mod slabs = slab are taken, so that long work can be done in pieces.
    Outputs, added to: sums (nclasses·nbins, 4) = ΣW, 0, ΣWv, ΣWs, nbins = sums.shape[0]/nclasses > rmax/h + 1, as
    `bin_numbers` takes them; dsums (nclasses·nbins, nq, 4), their derivatives.
    Units: Å, Å². Source: as for `lattice_pairs`.
    """
    natoms, nq = x.shape[0], du.shape[0]
    c11, c12, c13, c22, c23, c33 = c[0, 0], c[0, 1], c[0, 2], c[1, 1], c[1, 2], c[2, 2]
    per1, per2, per3 = 1.0 / c11, 1.0 / c22, 1.0 / c33
    per_bin = 1.0 / bin_width
    h2 = bin_width * bin_width
    one = np.uint64(1)
    r2max = rmax * rmax
    nbins = sums.shape[0] // (class_of.max() + 1)
    nblocks = (natoms + BLOCK - 1) // BLOCK
    spheres = np.empty((nblocks, 4))
    block_spheres(x, spheres)
    strained = np.array([q for q in range(nq) if strain[q].any()], dtype=np.int64)
    touched = np.zeros(natoms, dtype=np.bool_)
    for q in range(nq):
        for i in range(natoms):
            touched[i] |= du[q, i] != 0.0 or docc[q, i] != 0.0 or moving[q, i].any()
    delta = np.empty((3, BLOCK))
    weight, displacement = np.empty(BLOCK), np.empty(BLOCK)
    first = np.empty(BLOCK, dtype=np.uint64)
    squares = np.empty(BLOCK)
    inside = np.empty(BLOCK, dtype=np.int64)
    nactive = np.zeros(BLOCK, dtype=np.int64)
    active = np.zeros((BLOCK, nq), dtype=np.int64)
    change = np.zeros((BLOCK, nq, 5))
    for centre in range(centres.size):
        i = centres[centre]
        for block in range(i // BLOCK, nblocks):
            radius = spheres[block, 3]
            r2block = (rmax + radius + 1e-9) ** 2
            o1, o2, o3 = (spheres[block, 0] - x[i, 0]), (spheres[block, 1] - x[i, 1]), (spheres[block, 2] - x[i, 2])
            if not any_image(c, r2block, o1, o2, o3, slab, slabs):  # most blocks of a box much longer than rmax
                continue
            low = max(i, block * BLOCK)
            size = min(natoms, (block + 1) * BLOCK) - low
            for a in range(size):
                j = low + a
                many = mult[i] * (1.0 if group[i] == group[j] else 2.0)
                s = u[i] + u[j]
                weight[a] = many * occ[i] * occ[j]
                displacement[a] = s
                first[a] = class_of[kind_of[i], kind_of[j]] * nbins
                for m in range(3):
                    delta[m, a] = x[j, m] - x[i, m]
                nactive[a] = 0
                if not (touched[i] or touched[j]):
                    continue
                for q in range(nq):
                    into = change[a, nactive[a]]
                    into[0] = many * (docc[q, i] * occ[j] + occ[i] * docc[q, j])
                    into[1] = weight[a] * (du[q, i] + du[q, j])
                    for m in range(3):
                        into[2 + m] = weight[a] * (moving[q, j, m] - moving[q, i, m])
                    if into.any():
                        active[a, nactive[a]] = q
                        nactive[a] += 1
            low3, high3 = row_limits(r2block, o3, per3, 0.0)
            for n3 in range(low3 + (slab - low3) % slabs, high3 + 1, slabs):
                t3 = c33 * n3
                left3 = max(r2block - (o3 + t3) ** 2, 0.0)
                low2, high2 = row_limits(left3, o2 + c23 * n3, per2, 0.0)
                for n2 in range(low2, high2 + 1):
                    t2 = c23 * n3 + c22 * n2
                    left2 = max(left3 - (o2 + t2) ** 2, 0.0)
                    offset = c13 * n3 + c12 * n2
                    low1, high1 = row_limits(left2, o1 + offset, per1, 0.0)
                    for n1 in range(low1, high1 + 1):
                        t1 = offset + c11 * n1
                        for a in range(size):
                            v, y, z = delta[0, a] + t1, delta[1, a] + t2, delta[2, a] + t3
                            squares[a] = v * v + y * y + z * z
                        # No branch: which atoms are inside cannot be predicted.
                        found = 0
                        for a in range(size):
                            inside[found] = a
                            found += (squares[a] <= r2max) & (squares[a] > 1e-4)
                        for number in range(found):
                            a = inside[number]
                            d = math.sqrt(squares[a])
                            place = d * per_bin
                            k = np.uint64(place)
                            # A pair on a node (a cell length, say) needs both its neighbours, for its derivative.
                            f = min(max(place - k, 1e-9), 1.0 - 1e-9)
                            v = -f * (1.0 - f) * h2
                            p = first[a] + k
                            w1 = weight[a] * f * (1.0 + (1.0 - f) * bin_width / d)
                            w0 = weight[a] - w1
                            s = displacement[a]
                            # All are read before the first is written, so that they go as vectors.
                            a0, a2, a3 = sums[p, 0], sums[p, 2], sums[p, 3]
                            b0, b2, b3 = sums[p + one, 0], sums[p + one, 2], sums[p + one, 3]
                            sums[p, 0] = a0 + w0
                            sums[p, 2] = a2 + w0 * v
                            sums[p, 3] = a3 + w0 * s
                            sums[p + one, 0] = b0 + w1
                            sums[p + one, 2] = b2 + w1 * v
                            sums[p + one, 3] = b3 + w1 * s
                            if strained.size + nactive[a] == 0:
                                continue
                            vx, vy, vz = delta[0, a] + t1, delta[1, a] + t2, delta[2, a] + t3
                            for q in strained:
                                m = strain[q]
                                wd = m[0, 0] * vx * vx + m[1, 1] * vy * vy + m[2, 2] * vz * vz
                                wd += 2.0 * (m[0, 1] * vx * vy + m[0, 2] * vx * vz + m[1, 2] * vy * vz)
                                wd *= weight[a] / d
                                add_change(dsums[p, q], dsums[p + one, q], d, f, bin_width, s, 0.0, wd, 0.0)
                            for number_q in range(nactive[a]):
                                q = active[a, number_q]
                                t = change[a, number_q]
                                wd = (vx * t[2] + vy * t[3] + vz * t[4]) / d
                                add_change(dsums[p, q], dsums[p + one, q], d, f, bin_width, s, t[0], wd, t[1])
