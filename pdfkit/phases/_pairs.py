"""Pairs of a large cell in bins so narrow that a bin is as good as the pairs in it; and the nearest bond.

Where there are many more pairs than bins nothing is listed or sorted: every pair is shared between the two edges of its
bin as it is found (see `deposit_pairs`). That keeps its weight, mean and variance, and G is continuous. What is lost: a
third moment of at most 0.1·(0.002 Å)³, the change of correlated motion across a bin, the spread of ln s in 0.005;
together 2e-7 of max|G| (measured, 200 atoms). A derivative is off by up to h²/6·T‴/T′ of each pair, 3e-4 at σ = 0.1 Å,
which averages out over many pairs (5e-5 by a cell length, 3e-4 by one position of 200 atoms, measured).

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
from pdfkit.kernels.deposit import BLOCK, deposit_pairs
from pdfkit.kernels.pairs import SMALLEST_VARIANCE
from pdfkit.phases import _orbits
from pdfkit.phases._counted import CLOSEST, MANY_ATOMS, NOTHING
from pdfkit.phases._geometry import Arguments, Atoms
from pdfkit.phases._orbits import Geometry
from pdfkit.structure.site import Site
from pdfkit.structure.species import covalent_radius
from pdfkit.structure.symmetry import close_pairs, reciprocal_lengths

if TYPE_CHECKING:
    from pdfkit.phases._molecules import Molecules

# --- Peaks of a large cell -------------------------------------------------------------------------------------------

# Widths of the bins in r (Å), and of those in ln s, s = uᵢ + uⱼ.
BIN_R = 0.002

BIN_LNS = 0.005

# From so many pairs on two threads share the work: a fixed number, so that sums do not depend on the machine.
TWO_THREADS_ABOVE = 3e5

# Time that a pair takes for each curve and derivative.
PAIR_SECONDS = 3e-8


@dataclass(frozen=True)
class Classes:
    """Pairs of one species pair and one s: kind_of (nsites,), class_of (nkinds, nkinds), pair (nclasses,)."""

    kind_of: IntArray
    class_of: IntArray
    pair: IntArray

    @classmethod
    def of(cls, atoms: Atoms, u: Array) -> Classes:
        """Sort sites with isotropic displacements u (nsites,) by element and u, and their pairs by BIN_LNS."""
        _, first, kind_of = np.unique(
            np.column_stack([atoms.species, u]), axis=0, return_index=True, return_inverse=True
        )
        s = np.maximum(u[first][:, None] + u[first], SMALLEST_VARIANCE)
        place = np.floor(np.log(s) / BIN_LNS).astype(np.int64)
        place -= place.min()
        span = int(place.max()) + 1
        key = atoms.pair(first[:, None], first) * span + place
        found = np.bincount(key.ravel()) > 0
        number = np.cumsum(found) - 1
        return cls(kind_of.ravel().astype(np.int64), number[key], np.flatnonzero(found) // span)


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


def binned_sums(
    order: Order, classes: Classes, atoms: Atoms, args: Arguments, reach: float, pairs: float, visited: float
) -> tuple[Array, Array, IntArray]:
    """Return sums (n,5), dsums (n,nq,4), as of `bin_numbers`, and pair (n,) of the bins up to reach (Å) in use.

    `pairs`: about how many there are that no operation makes equal; visited: those that are added one by one.
    """
    g, x, u, _, occ, _ = args.state
    dg, dx, du, _, docc = args.tangents
    site, nq, nbins = atoms.site[order.atoms], args.kind.size, math.floor(reach / BIN_R) + 3
    c = np.ascontiguousarray(np.linalg.cholesky(g).T)
    inverse = np.linalg.inv(c)
    places: tuple[Any, ...] = (x[order.atoms] @ c.T, site, reach, BIN_R, classes.kind_of[site], classes.class_of)
    weights = (np.bincount(site)[site].astype(float), u[order.atoms], np.maximum(occ[order.atoms], NOTHING))
    moved = (0.5 * inverse.T @ dg @ inverse, dx[:, order.atoms] @ c.T, du[:, order.atoms], docc[:, order.atoms])
    rest: tuple[Any, ...] = tuple(np.ascontiguousarray(a) for a in moved)
    n = classes.pair.size * nbins
    each = PAIR_SECONDS * (1 + nq) * visited / order.centres.size
    slabs = math.ceil(each / _machine.PIECE)  # of one centre, where that alone is long work
    what, remedy = (
        f"adding {visited:.1e} pairs within {reach:.0f} Å",
        "lower rmax, or a U, qbroad or resolution that makes peaks too wide",
    )
    _machine.need(160.0 * n * (1 + nq), what, remedy)
    _machine.need_time(each * order.centres.size, what, remedy)
    stopped = threading.Event()

    def part(centres: IntArray) -> tuple[Array, Array]:
        sums, dsums = np.zeros((n, 4)), np.zeros((n, nq, 4))
        for some in _machine.pieces(centres.size, each):
            for slab in range(slabs):
                if stopped.is_set():
                    break
                arguments = (c, places[0], centres[some], *places[1:], *weights, *rest, slab, slabs, sums, dsums)
                deposit_pairs(*arguments)
        return sums, dsums

    if pairs < TWO_THREADS_ABOVE:
        sums, dsums = part(order.centres)
    else:
        # Every second centre: a centre has the fewer partners the later it comes.
        with ThreadPoolExecutor(2) as pool:
            try:
                (sums, dsums), other = pool.map(part, [order.centres[k::2].copy() for k in (0, 1)])
            except BaseException:  # Ctrl-C: the pool waits for its threads
                stopped.set()
                raise
        sums += other[0]
        dsums += other[1]
    used = np.flatnonzero(sums[:, 0])
    origin = (used % nbins) * BIN_R
    return np.column_stack([origin, sums[used]]), dsums[used], classes.pair[used // nbins]


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
