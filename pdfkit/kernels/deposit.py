"""Pairs of a cell, shared between nodes of distance as they are found.

A list of pairs would be read from memory for every curve; here a pair costs its distance and six additions. Cells
without symmetry have many more pairs than nodes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels._jit import inlined, kernel
from pdfkit.kernels.pairs import SMALLEST_VARIANCE

# Atoms in a block: enough of them to hide the search for its images, few enough that most blocks are wholly inside.
BLOCK = 32
# Pairs that are found before they are shared: work on many at a time goes as vectors.
AT_ONCE = 512
ONE, TWO, THREE, FOUR, FIVE = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4), np.uint64(5)
# Nodes beyond those up to rmax that the polynomials ask for.
SPARE = 7


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
def cubic(t: float, c: Array) -> None:
    """Fill c (4,) with what nodes at −1, 0, 1 and 2 have of a number at t: polynomials of Lagrange."""
    a, b = t * (t - 1.0), (t + 1.0) * (t - 2.0)
    c[0] = -a * (t - 2.0) / 6.0
    c[1] = 0.5 * b * (t - 1.0)
    c[2] = -0.5 * b * t
    c[3] = a * (t + 1.0) / 6.0


@kernel
def add_six(out: Array, row: int, at: Any, much: float, b: Array, n: Any) -> None:
    """Add much·b[:, n], six numbers, to out[row, at…at + 5]; at is unsigned, so that it cannot be negative."""
    out[row, at] += much * b[0, n]
    out[row, at + ONE] += much * b[1, n]
    out[row, at + TWO] += much * b[2, n]
    out[row, at + THREE] += much * b[3, n]
    out[row, at + FOUR] += much * b[4, n]
    out[row, at + FIVE] += much * b[5, n]


@kernel
def place_pairs(near: Array, found: int, per_node: float, node: Array, b: Array) -> None:
    """Replace squares of distances by distances; fill node with that before each, and b (6, n) with polynomials.

    Formula: those of Lagrange, through the nodes at −2, −1, 0, 1, 2 and 3, at what is left of d/h.
    """
    for n in range(found):
        d = math.sqrt(near[n])
        near[n] = d
        place = math.floor(d * per_node)
        node[n] = place
        t = d * per_node - place
        low, high, middle = (t + 2.0) * (t + 1.0), (t - 2.0) * (t - 3.0), t * (t - 1.0)
        b[0, n] = -(t + 1.0) * middle * high / 120.0
        b[1, n] = (t + 2.0) * middle * high / 24.0
        b[2, n] = -low * (t - 1.0) * high / 12.0
        b[3, n] = low * t * high / 12.0
        b[4, n] = -low * middle * (t - 3.0) / 24.0
        b[5, n] = low * middle * (t - 2.0) / 120.0


@kernel
def add_pairs(
    inside: IntArray,
    found: int,
    near: Array,
    node: Array,
    b: Array,
    first: IntArray,
    weight: Array,
    share: Array,
    parts: int,
    nnodes: int,
    rcut: float,
    inner: int,
    out: Array,
) -> None:
    """Add the weights of pairs that `place_pairs` has placed to the first row; names as in `deposit_pairs`."""
    if parts == 1 and inner == 0:
        for n in range(found):
            k = np.uint64(n)  # unsigned: a negative index need not be looked for
            a = np.uint64(inside[k])
            at = np.uint64(first[a] + np.int64(node[k]))
            add_six(out, 0, at, weight[a], b, k)
        return
    for n in range(found):
        a = inside[n]
        at = first[a] + int(node[n])
        if near[n] < rcut:
            at += inner
        for m in range(parts):
            much = weight[a] * share[a, m]
            add_six(out, 0, np.uint64(at + m * nnodes), much, b, n)


@kernel
def add_changes(
    inside: IntArray,
    found: int,
    near: Array,
    node: Array,
    b: Array,
    first: IntArray,
    weight: Array,
    share: Array,
    parts: int,
    nnodes: int,
    rcut: float,
    inner: int,
    vector: Array,
    strain: Array,
    straining: IntArray,
    nactive: IntArray,
    active: IntArray,
    change: Array,
    row: IntArray,
    out: Array,
) -> None:
    """Add what directions do to pairs that `place_pairs` has placed; names as in `deposit_pairs`.

    vector (3, n): from atom to atom; straining: which directions change the cell; active[a]: nactive[a] others that
    change pairs of atom a of the block, by change[a] = ẇ, wṡ and w(tⱼ − tᵢ).
    """
    for n in range(found):
        a = inside[n]
        if straining.size == 0 and nactive[a] == 0:
            continue
        at = first[a] + int(node[n])
        if near[n] < rcut:
            at += inner
        vx, vy, vz, per = vector[0, n], vector[1, n], vector[2, n], 1.0 / near[n]
        for k in range(straining.size):
            q = straining[k]
            wd = strain[q, 0, 0] * vx * vx + strain[q, 1, 1] * vy * vy + strain[q, 2, 2] * vz * vz
            wd += 2.0 * (vx * (strain[q, 0, 1] * vy + strain[q, 0, 2] * vz) + strain[q, 1, 2] * vy * vz)
            wd *= weight[a] * per
            for m in range(parts):
                add_six(out, row[q, 0], np.uint64(at + m * nnodes), wd * share[a, m], b, n)
        for k in range(nactive[a]):
            q = active[a, k]
            wd = per * (vx * change[a, k, 2] + vy * change[a, k, 3] + vz * change[a, k, 4])
            for m in range(parts):
                place = np.uint64(at + m * nnodes)
                if wd != 0.0:
                    add_six(out, row[q, 0], place, wd * share[a, m], b, n)
                if change[a, k, 1] != 0.0:
                    add_six(out, row[q, 1], place, change[a, k, 1] * share[a, m], b, n)
                if change[a, k, 0] != 0.0:
                    add_six(out, row[q, 2], place, change[a, k, 0] * share[a, m], b, n)


@inlined
def what_moves(strain: Array, moving: Array, du: Array, docc: Array, touched: Any, straining: IntArray) -> int:
    """Fill touched (natoms,), whether a direction changes an atom, and straining (nq,) with those that change the cell.

    Return how many of these there are; names as in `deposit_pairs`.
    """
    count = 0
    for q in range(du.shape[0]):
        for i in range(touched.size):
            touched[i] |= du[q, i] != 0.0 or docc[q, i] != 0.0
            touched[i] |= moving[q, i, 0] != 0.0 or moving[q, i, 1] != 0.0 or moving[q, i, 2] != 0.0
        strained = False
        for m in range(3):
            for k in range(3):
                strained |= strain[q, m, k] != 0.0
        if strained:
            straining[count] = q
            count += 1
    return count


@inlined
def changes_of(
    i: int,
    j: int,
    many: float,
    weight: float,
    occ: Array,
    moving: Array,
    du: Array,
    docc: Array,
    active: IntArray,
    change: Array,
) -> int:
    """Fill active (nq,) with the directions that change pairs of i and j, and change (nq,5) with what they do.

    That is ẇ, wṡ and w(tⱼ − tᵢ); return how many there are. Names as in `deposit_pairs`; many: mᵢ, doubled.
    """
    count = 0
    for q in range(du.shape[0]):
        into = change[count]
        into[0] = many * (docc[q, i] * occ[j] + occ[i] * docc[q, j])
        into[1] = weight * (du[q, i] + du[q, j])
        moved = False
        for m in range(3):
            into[2 + m] = weight * (moving[q, j, m] - moving[q, i, m])
            moved |= into[2 + m] != 0.0
        if moved or into[0] != 0.0 or into[1] != 0.0:
            active[count] = q
            count += 1
    return count


@inlined
def share_found(
    count: int,
    following: bool,
    block_of: tuple[Any, ...],
    found: tuple[Any, ...],
    where: tuple[Any, ...],
    strain: Array,
    straining: IntArray,
    row: IntArray,
    out: Array,
) -> None:
    """Share the first `count` pairs that are found; names as in `share_block`."""
    _, first, weight, share, nactive, active, change = block_of
    inside, near, node, b, vector, _ = found
    parts, nnodes, inner, rcut, per_node = where
    place_pairs(near, count, per_node, node, b)
    add_pairs(inside, count, near, node, b, first, weight, share, parts, nnodes, rcut, inner, out)
    if following:
        add_changes(
            inside, count, near, node, b, first, weight, share, parts, nnodes, rcut, inner, vector, strain, straining,
            nactive, active, change, row, out,
        )  # fmt: skip


@inlined
def share_block(
    c: Array,
    offset: tuple[float, float, float],
    r2block: float,
    rmax: float,
    size: int,
    slab: int,
    slabs: int,
    following: bool,
    block_of: tuple[Any, ...],
    found: tuple[Any, ...],
    where: tuple[Any, ...],
    strain: Array,
    straining: IntArray,
    row: IntArray,
    out: Array,
) -> None:
    """Find the pairs of an atom with images of a block of atoms, and share them; names as in `deposit_pairs`.

    offset: from the atom to the middle of the block, whose images within √r2block are looked at. block_of: from the
    atom to those of the block delta (3, size), their first node, weight, share and what changes them, as in
    `add_changes`. found: which atoms of the block are found, their squares of distances, and room for the rest. where:
    parts, nnodes, inner and rcut, as in `add_pairs`, and 1/h.
    """
    c11, c12, c13, c22, c23, c33 = c[0, 0], c[0, 1], c[0, 2], c[1, 1], c[1, 2], c[2, 2]
    per1, per2, per3, r2max = 1.0 / c11, 1.0 / c22, 1.0 / c33, rmax * rmax
    delta, inside, near, vector, squares = block_of[0], found[0], found[1], found[4], found[5]
    o1, o2, o3 = offset
    count, before = 0, 0
    low3, high3 = row_limits(r2block, o3, per3, 0.0)
    for n3 in range(low3 + (slab - low3) % slabs, high3 + 1, slabs):
        t3 = c33 * n3
        left3 = max(r2block - (o3 + t3) ** 2, 0.0)
        low2, high2 = row_limits(left3, o2 + c23 * n3, per2, 0.0)
        for n2 in range(low2, high2 + 1):
            t2 = c23 * n3 + c22 * n2
            left2 = max(left3 - (o2 + t2) ** 2, 0.0)
            offset1 = c13 * n3 + c12 * n2
            low1, high1 = row_limits(left2, o1 + offset1, per1, 0.0)
            for n1 in range(low1, high1 + 1):
                t1 = offset1 + c11 * n1
                for a in range(size):
                    v, y, z = delta[0, a] + t1, delta[1, a] + t2, delta[2, a] + t3
                    squares[a] = v * v + y * y + z * z
                # No branch: which atoms are inside cannot be predicted.
                for a in range(size):
                    inside[count] = a
                    near[count] = squares[a]
                    count += (squares[a] <= r2max) & (squares[a] > 1e-4)
                if following:
                    for number in range(before, count):
                        a = inside[number]
                        vector[0, number] = delta[0, a] + t1
                        vector[1, number] = delta[1, a] + t2
                        vector[2, number] = delta[2, a] + t3
                before = count
                if count >= AT_ONCE:
                    share_found(count, following, block_of, found, where, strain, straining, row, out)
                    count = before = 0
    if count > 0:
        share_found(count, following, block_of, found, where, strain, straining, row, out)


@kernel
def deposit_pairs(
    c: Array,
    x: Array,
    centres: IntArray,
    group: IntArray,
    rmax: float,
    h: float,
    kind_of: IntArray,
    class_of: IntArray,
    widths: Array,
    rcut: float,
    mult: Array,
    u: Array,
    occ: Array,
    strain: Array,
    moving: Array,
    du: Array,
    docc: Array,
    row: IntArray,
    slab: int,
    slabs: int,
    out: Array,
) -> None:
    """Share every pair (i, j, n) with 0.01 Å < d = |x_j + c·n − x_i| ≤ rmax between six nodes, with its derivatives.

    Formula: node k of a class lies at (k − 2)h. A pair with w = mᵢ·occᵢ·occⱼ (doubled for unlike groups, of which
    only j ≥ i is taken) gives the three nodes on either side of d the weights w·b, b the polynomials of Lagrange:
    the sum over nodes of any smooth f(r)·b is f(d) but for 0.0049·h⁶ times its sixth derivative. Of pairs nearer
    than rcut, classes follow those of the others. Widths (first, between, count) of count > 0: a class is followed
    by those of the widths √s = first + m·between, between four of which s = uᵢ + uⱼ is shared, by cubic
    polynomials. Derivatives are sums of the same kind, of ẇ, wḋ and wṡ, ṡ = u̇ᵢ + u̇ⱼ and ḋ = (ΔᵀEΔ + Δ·(tⱼ −
    tᵢ))/d. Images are searched for blocks of atoms that follow one another, so atoms should be in an order that
    keeps neighbours together.
    Shapes: c (3,3) upper triangular, columns the basis; x (natoms,3) cartesian; group (natoms,), the atoms of a group
    one after the other; centres (k,), the atoms i, each the first of its group; u, occ, kind_of (natoms,); mult
    (natoms,), mᵢ; class_of (nkinds, nkinds); strain E (nq,3,3), symmetric, half the change of the metric in cartesian
    axes; moving t (nq,natoms,3), change of x at constant cell; du, docc (nq,natoms). Of the layers n3 of cells those
    with n3 mod slabs = slab are taken, so that long work can be done in pieces.
    Output, added to: out (nrows, nclasses·nnodes), nnodes = ⌊rmax/h⌋ + SPARE; row 0 are the weights, row[q] (nq,3)
    those of wḋ, wṡ and ẇ along q, −1 for what is 0. Units: Å, Å². Source: as for `lattice_pairs`.
    """
    natoms, nq, several = x.shape[0], du.shape[0], int(widths[2])
    nnodes = math.floor(rmax / h) + SPARE
    inner = out.shape[1] // 2 if rcut > 0.0 else 0
    spheres = np.empty(((natoms + BLOCK - 1) // BLOCK, 4))
    block_spheres(x, spheres)
    touched, straining = np.zeros(natoms, dtype=np.bool_), np.empty(nq, dtype=np.int64)
    straining = straining[: what_moves(strain, moving, du, docc, touched, straining)]
    delta, weight, share = np.empty((3, BLOCK)), np.empty(BLOCK), np.empty((BLOCK, 4))
    first, nactive = np.empty(BLOCK, dtype=np.int64), np.zeros(BLOCK, dtype=np.int64)
    active, change = np.zeros((BLOCK, nq), dtype=np.int64), np.zeros((BLOCK, nq, 5))
    room = AT_ONCE + BLOCK
    inside, near, node = np.empty(room, dtype=np.int64), np.empty(room), np.empty(room)
    found = (inside, near, node, np.empty((6, room)), np.empty((3, room)), np.empty(BLOCK))
    block_of = (delta, first, weight, share, nactive, active, change)
    where = (4 if several > 0 else 1, nnodes, inner, rcut, 1.0 / h)
    for centre in range(centres.size):
        i = centres[centre]
        for block in range(i // BLOCK, spheres.shape[0]):
            r2block = (rmax + spheres[block, 3] + 1e-9) ** 2
            o1, o2, o3 = (spheres[block, 0] - x[i, 0]), (spheres[block, 1] - x[i, 1]), (spheres[block, 2] - x[i, 2])
            if not any_image(c, r2block, o1, o2, o3, slab, slabs):  # most blocks of a box much longer than rmax
                continue
            low = max(i, block * BLOCK)
            size = min(natoms, (block + 1) * BLOCK) - low
            following = straining.size > 0
            for a in range(size):
                j = low + a
                many = mult[i] * (1.0 if group[i] == group[j] else 2.0)
                weight[a] = many * occ[i] * occ[j]
                first[a] = class_of[kind_of[i], kind_of[j]] * nnodes
                share[a, 0] = 1.0
                if several > 0:
                    t = (math.sqrt(max(u[i] + u[j], 0.0)) - widths[0]) / widths[1]
                    k = min(max(int(t), 1), several - 3)
                    cubic(t - k, share[a])
                    first[a] = (class_of[kind_of[i], kind_of[j]] * several + k - 1) * nnodes
                for m in range(3):
                    delta[m, a] = x[j, m] - x[i, m]
                nactive[a] = 0
                if touched[i] or touched[j]:
                    nactive[a] = changes_of(i, j, many, weight[a], occ, moving, du, docc, active[a], change[a])
                    following |= nactive[a] > 0
            share_block(
                c, (o1, o2, o3), r2block, rmax, size, slab, slabs, following, block_of, found, where, strain, straining,
                row, out,
            )  # fmt: skip


@kernel
def finish_nodes(
    d: Array,
    s: Array,
    inner: bool,
    sums: Array,
    row: IntArray,
    width: Array,
    dwidth: Array,
    atoms: float,
    relative: Array,
    peak: Array,
    dpeak: Array,
) -> int:
    """Turn sums at nodes into peaks with derivatives; return how many have no width.

    Formula: as for `finish_peaks`, of a peak at d with what pairs add up to there, for wḋ, wσ̇² and ẇ in place of ḋ, σ̇²
    and ẇ. inner : whether sratio counts. Shapes: d, s (n,); sums (nrows, n) of `deposit_pairs` with row (nq,3); width,
    dwidth, atoms, relative, peak (n,3) and dpeak (n,nq,3) as for `finish_peaks`. Units: Å, Å².
    """
    dropped = 0
    qbroad2, resolution2 = width[2] * width[2], width[3] * width[3]
    sharp = width[4] * width[4] if inner else 1.0
    for p in range(d.size):
        at, per, w = d[p], 1.0 / d[p], sums[0, p] / atoms
        bracket = 1.0 - width[0] * per - width[1] * per * per + qbroad2 * at * at
        sigma2 = s[p] * bracket * sharp + resolution2 * at * at
        peak[p, 0] = at
        if bracket <= 0.0:
            dropped += 1
            peak[p, 1] = -1.0
            peak[p, 2] = 0.0
            for q in range(dpeak.shape[1]):
                dpeak[p, q, 0], dpeak[p, q, 1], dpeak[p, q, 2] = 0.0, 0.0, 0.0
            continue
        peak[p, 1] = max(sigma2, SMALLEST_VARIANCE)
        peak[p, 2] = w
        still = sigma2 < SMALLEST_VARIANCE <= s[p]
        slope = (width[0] + 2.0 * width[1] * per) * per * per + 2.0 * qbroad2 * at
        slope = s[p] * sharp * slope + 2.0 * resolution2 * at
        for q in range(dpeak.shape[1]):
            wd = sums[row[q, 0], p] / atoms if row[q, 0] >= 0 else 0.0
            ws = sums[row[q, 1], p] / atoms if row[q, 1] >= 0 else 0.0
            dw = sums[row[q, 2], p] / atoms if row[q, 2] >= 0 else 0.0
            wider = 2.0 * width[2] * at * at * dwidth[q, 2] - (dwidth[q, 0] + dwidth[q, 1] * per) * per
            wider = s[p] * sharp * wider + 2.0 * width[3] * at * at * dwidth[q, 3]
            if inner:
                wider += 2.0 * width[4] * dwidth[q, 4] * s[p] * bracket
            dpeak[p, q, 0] = wd
            dpeak[p, q, 1] = 0.0 if still else ws * bracket * sharp + wd * slope + w * wider
            dpeak[p, q, 2] = dw - w * relative[q]
    return dropped
