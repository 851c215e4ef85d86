"""Pairs of a cell shared between nodes of distance, of which there are fewer; and the nearest bond.

Where there are many more pairs than nodes nothing is listed or sorted: every pair is shared between six nodes as it is
found (see `deposit_pairs`), so that any smooth function of distance, which the width of a peak is, may be taken at the
nodes. Of the transform of a peak 0.053·(h/σ)⁶ is lost at the most, h the distance of nodes, and as much of its
derivatives, which are sums of their own: 1.6e-7 of it.

σ² → σ²(1 − δ₁/r − δ₂/r²) takes the width of a pair at r < δ₁ or r² < δ₂. The pairs that matter are those that scatter:
H–H in a hybrid perovskite is nothing beside Pb–I, and atoms that share one place by halves are never a pair.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array, IntArray
from pdfkit.kernels import pairs as kernels
from pdfkit.kernels.deposit import BLOCK, SPARE, deposit_pairs, finish_nodes
from pdfkit.kernels.pairs import SMALLEST_VARIANCE
from pdfkit.phases import _orbits
from pdfkit.phases._counted import CLOSEST, MANY_ATOMS
from pdfkit.phases._geometry import Arguments, Atoms
from pdfkit.phases._lists import Table
from pdfkit.phases._orbits import Geometry
from pdfkit.structure.site import Site
from pdfkit.structure.species import covalent_radius
from pdfkit.structure.symmetry import close_pairs, reciprocal_lengths

if TYPE_CHECKING:
    from pdfkit.phases._molecules import Molecules

# --- Peaks of a large cell -------------------------------------------------------------------------------------------

# Distance of nodes over the least σ of a pair, and its limits (Å); so far apart may two √s, s = uᵢ + uⱼ, be over the
# least where displacements differ so much that they are shared, too.
NODES, FINEST, COARSEST = 0.12, 1e-3, 2e-2
APART = 0.024

# From so many pairs on two threads share the work: a fixed number, so that sums do not depend on the machine.
TWO_THREADS_ABOVE = 3e5

# Time that a pair takes for each curve and class that it is shared between, and a node for each curve.
ADD_SECONDS, NODE_SECONDS = 2e-9, 4.5e-8


@dataclass(frozen=True)
class Classes:
    """Pairs of one species pair and one s = uᵢ + uⱼ, or of nodes of √s; h (Å): distance of nodes in r.

    Shapes: kind_of (nsites,), class_of (nkinds, nkinds), pair and s (nclasses,). widths (3,) : as for `deposit_pairs`.
    """

    kind_of: IntArray
    class_of: IntArray
    pair: IntArray
    s: Array
    widths: Array
    h: float

    @classmethod
    def of(cls, atoms: Atoms, u: Array, sharp: float, reach: float, visited: float) -> Classes:
        """Sort sites with isotropic displacements u (nsites,) by element and u, or by element where that costs less.

        sharp : the least factor of σ; visited : how many pairs there are to reach (Å).
        """
        h = distance(u, sharp)
        by_kind, shared = _by_kind(atoms, u), _shared(atoms, u)
        costs = [
            visited * ADD_SECONDS * each + one[2].size * NODE_SECONDS * reach / h
            for one, each in ((by_kind, 1), (shared, 4))
        ]
        return cls(*(by_kind if costs[0] <= costs[1] else shared), h)

    @property
    def each(self) -> int:
        """How many classes a pair is shared between."""
        return 4 if self.widths[2] else 1


def distance(u: Array, sharp: float) -> float:
    """Return how far apart (Å) nodes in r may be."""
    h = NODES * sharp * math.sqrt(max(2.0 * float(u.min()), SMALLEST_VARIANCE))
    return min(max(1.25 ** math.floor(math.log(max(h, FINEST)) / math.log(1.25)), FINEST), COARSEST)


def _by_kind(atoms: Atoms, u: Array) -> tuple[IntArray, IntArray, IntArray, Array, Array]:
    """Return the first five fields of `Classes`, each of one s."""
    _, first, kind_of = np.unique(np.column_stack([atoms.species, u]), axis=0, return_index=True, return_inverse=True)
    pair, s = atoms.pair(first[:, None], first), u[first][:, None] + u[first]
    i, j = np.triu_indices(first.size)
    class_of = np.empty((first.size, first.size), dtype=np.int64)
    class_of[i, j] = class_of[j, i] = np.arange(i.size)
    return kind_of.ravel().astype(np.int64), class_of, pair[i, j], s[i, j], np.zeros(3)


def _shared(atoms: Atoms, u: Array) -> tuple[IntArray, IntArray, IntArray, Array, Array]:
    """Return the same, of species pairs and nodes of √s."""
    # A difference quotient may step below 0.
    low, high = (math.sqrt(2.0 * max(float(end), 0.0)) for end in (u.min(), u.max()))
    between = APART * max(low, math.sqrt(SMALLEST_VARIANCE))
    count = max(4, math.ceil((high - low) / between) + 3)
    pairs = len(atoms.pairs)
    s = (low + between * np.arange(-1.0, count - 1.0)) ** 2
    widths = np.array([low - between, between, float(count)])
    return atoms.species.astype(np.int64), atoms.lookup, np.repeat(np.arange(pairs), count), np.tile(s, pairs), widths


@dataclass(frozen=True)
class Order:
    """Atoms in an order that keeps neighbours together, those of a site one after the other; centres: its first."""

    atoms: IntArray
    centres: IntArray

    @classmethod
    def of(cls, atoms: Atoms, geometry: Geometry) -> Order:
        """Order the sites by where their first atom is."""
        xyz = geometry.x[atoms.first] @ np.linalg.cholesky(geometry.g)
        rank = np.empty(atoms.first.size, dtype=np.int64)
        rank[_halved(xyz, np.arange(atoms.first.size))] = np.arange(atoms.first.size)
        order = np.argsort(rank[atoms.site], kind="stable")
        return cls(order, np.flatnonzero(np.diff(rank[atoms.site][order], prepend=-1)))


def _halved(xyz: Array, index: IntArray) -> IntArray:
    """Halve a cloud of points across its longest side until every part fits a block."""
    if index.size <= BLOCK:
        return index
    part = xyz[index]
    index = index[np.argsort(part[:, np.argmax(np.ptp(part, axis=0))], kind="stable")]
    half = BLOCK * math.ceil(index.size / (2 * BLOCK))
    return np.concatenate([_halved(xyz, index[:half]), _halved(xyz, index[half:])])


def shared_table(order: Order, classes: Classes, atoms: Atoms, args: Arguments, reach: float, visited: float) -> Table:
    """Return the peaks up to reach (Å) of nodes that the pairs are shared between; visited: how many these are."""
    width, rcut, dwidth, *amount = args.finish
    if width[4] == 1.0 and not dwidth[:, 4].any():
        rcut = 0.0
    sums, row = _shared_sums(order, classes, atoms, args, (reach, rcut, visited))
    n = classes.s.size * (math.floor(reach / classes.h) + SPARE)
    sides = [_finished_side(classes, part, row, (width, dwidth, *amount), reach, inner) for inner, part in
             enumerate(sums.reshape(sums.shape[0], -1, n).transpose(1, 0, 2))]  # fmt: skip
    pair, peak, dpeak, dropped = zip(*sides, strict=True)
    return Table(np.concatenate(pair), np.concatenate(peak), np.concatenate(dpeak), sum(dropped), moments=True)


def _finished_side(
    classes: Classes, sums: Array, row: IntArray, finish: tuple[Any, ...], reach: float, inner: int
) -> tuple[IntArray, Array, Array, int]:
    """Return species pairs, peaks, their derivatives and how many have no width, of sums (nrows, n) at nodes in use."""
    used = np.flatnonzero(sums.any(axis=0))
    one, place = np.divmod(used, math.floor(reach / classes.h) + SPARE)
    d = np.maximum((place - 2) * classes.h, 0.25 * classes.h)
    peak, dpeak = np.empty((used.size, 3)), np.empty((used.size, row.shape[0], 3))
    arguments: tuple[Any, ...] = (sums[:, used], row, *finish, peak, dpeak)
    dropped = finish_nodes(d, classes.s[one], bool(inner), *arguments)
    return classes.pair[one], peak, dpeak, dropped


def _shared_sums(
    order: Order, classes: Classes, atoms: Atoms, args: Arguments, about: tuple[float, float, float]
) -> tuple[Array, IntArray]:
    """Return sums (nrows, n) of `deposit_pairs` and its rows (nq, 3); about: reach, rcut and the number of pairs."""
    reach, rcut, visited = about
    g, x, u, _, occ, _ = args.state
    dg, dx, du, _, docc = args.tangents
    site, nq = atoms.site[order.atoms], args.kind.size
    bits = (kernels.CELL | kernels.POSITION, kernels.UISO, kernels.OCCUPANCY)
    used = np.array([[bool(kind & bit) for bit in bits] for kind in args.kind.tolist()], dtype=bool).reshape(nq, 3)
    row = np.full((nq, 3), -1, dtype=np.int64)
    row[used] = 1 + np.arange(int(used.sum()))
    c = np.ascontiguousarray(np.linalg.cholesky(g).T)
    inverse = np.linalg.inv(c)
    places: tuple[Any, ...] = (x[order.atoms] @ c.T, site, reach, classes.h, classes.kind_of[site], classes.class_of)
    weights: tuple[Any, ...] = (
        classes.widths,
        rcut,
        np.bincount(site)[site].astype(float),
        u[order.atoms],
        occ[order.atoms],
    )
    moved = (0.5 * inverse.T @ dg @ inverse, dx[:, order.atoms] @ c.T, du[:, order.atoms], docc[:, order.atoms])
    rest: tuple[Any, ...] = tuple(np.ascontiguousarray(a) for a in moved)
    shape = (1 + int(used.sum()), (2 if rcut > 0.0 else 1) * classes.s.size * (math.floor(reach / classes.h) + SPARE))
    each = ADD_SECONDS * classes.each * shape[0] * visited / order.centres.size
    slabs = math.ceil(each / _machine.PIECE)  # of one centre, where that alone is long work
    what, remedy = (
        f"adding {visited:.1e} pairs within {reach:.0f} Å",
        "lower rmax, or a U, qbroad or resolution that makes peaks too wide",
    )
    _machine.need(40.0 * shape[0] * shape[1], what, remedy)
    _machine.need_time(each * order.centres.size, what, remedy)
    stopped = threading.Event()

    def part(centres: IntArray) -> Array:
        sums = np.zeros(shape)
        for some in _machine.pieces(centres.size, each):
            for slab in range(slabs):
                if stopped.is_set():
                    break
                arguments = (c, places[0], centres[some], *places[1:], *weights, *rest, row, slab, slabs, sums)
                deposit_pairs(*arguments)
        return sums

    if visited < TWO_THREADS_ABOVE:
        return part(order.centres), row
    # Every second centre: a centre has the fewer partners the later it comes.
    with ThreadPoolExecutor(2) as pool:
        try:
            sums, other = pool.map(part, [order.centres[k::2].copy() for k in (0, 1)])
        except BaseException:  # Ctrl-C: the pool waits for its threads
            stopped.set()
            raise
    sums += other
    return sums, row


# --- The nearest bond of a crystal that counts -----------------------------------------------------------------------

A_BOND = 0.1
"""Weight Σ c f f/⟨f⟩² per atom that makes a bond; one neighbour among equals weighs 1."""

OVERLAP = 0.6
"""Partly occupied atoms nearer than this share of their covalent radii stand for one another."""


def shortest(
    geometry: Geometry,
    atoms: Atoms,
    sites: Sequence[Site],
    strengths: Sequence[float],
    molecules: Molecules | None,
) -> float:
    """Return the distance (Å) within which pairs first add up to `A_BOND`; strengths (nsites,) at Q = 0.

    molecules : those whose own pairs do not count.

    Where nothing adds up to that (one atom scatters, the others hardly), the nearest pair that is one.
    """
    occ = np.array([site.occ for site in sites])
    b = np.abs(strengths) * occ
    count = np.bincount(atoms.site, minlength=occ.size).astype(float)
    norm = float((count * b).sum()) ** 2 / max(float((count * occ).sum()), 1e-12)
    reach = float(np.cbrt(math.sqrt(np.linalg.det(geometry.g)) / atoms.site.size))
    while True:
        distance, weight = _pairs(geometry, atoms, sites, b, count, reach, molecules)
        total = np.cumsum(weight) / max(norm, 1e-300)
        if total.size and total[-1] >= A_BOND:
            return float(distance[int(np.searchsorted(total, A_BOND))])
        if reach > 12.0 and distance.size:
            return float(distance[0])
        reach *= 1.5


def _pairs(
    geometry: Geometry,
    atoms: Atoms,
    sites: Sequence[Site],
    b: Array,
    count: Array,
    reach: float,
    molecules: Molecules | None,
) -> tuple[Array, Array]:
    """Return distances (Å) in order, and count·b·b of each ordered pair, without pairs that are none."""
    i, j, distance = _near(geometry, atoms, reach, molecules)
    s, t = atoms.site[i], atoms.site[j]
    weight = np.where(s == t, 1.0, 2.0) * count[s] * b[s] * b[t]
    order = np.argsort(distance)
    order = order[~exclusive(sites, s, t, distance)[order]]
    return distance[order], weight[order]


def _near(geometry: Geometry, atoms: Atoms, reach: float, molecules: Molecules | None) -> tuple[Any, Any, Array]:
    """Return atoms i and j of the pairs within reach (Å), and their distances."""
    rows = np.asarray(np.linalg.cholesky(geometry.g), dtype=np.float64)
    heights = 1.0 / reciprocal_lengths(rows)
    if molecules is None and atoms.first.size == atoms.site.size >= MANY_ATOMS and heights.min() > 2.0 * reach:
        found, distance = close_pairs(geometry.x, rows, reach)  # the other way takes all pairs of atoms
        apart = distance > CLOSEST
        return found[apart, 0], found[apart, 1], distance[apart]
    i, j, shift = _orbits.enumerate_pairs(geometry, reach, atoms.first, atoms.site)
    if molecules is not None:
        kept = ~molecules.hold(i, j, shift)
        i, j, shift = i[kept], j[kept], shift[kept]
    delta = geometry.x[j] + shift - geometry.x[i]
    return i, j, np.sqrt(np.einsum("pa,ab,pb->p", delta, geometry.g, delta))


def exclusive(sites: Sequence[Site], s: IntArray, t: IntArray, distance: Array) -> Any:
    """Return which pairs are of partly occupied atoms that cannot both be there."""
    occ = np.array([site.occ for site in sites])
    if (occ >= 1.0).all():
        return np.zeros(distance.size, dtype=bool)
    radius = np.array([covalent_radius(site.element) for site in sites])
    partial = (occ[s] < 1.0) & (occ[t] < 1.0) & (occ[s] + occ[t] < 1.001)
    return partial & (distance < OVERLAP * (radius[s] + radius[t]))
