"""Pairs of large cells without symmetry, counted by kinds of atoms: nothing is listed, and a fit counts them once.

Where atoms stay where they are in the cell, and the cell keeps its shape, a change of the cell scales all distances
alike, and displacements and occupancies of kinds of atoms only weigh what was counted: number, mean and spread of the
distances in each bin, of each pair of kinds, give every curve of a fit and its derivatives. What is lost is 1e-7 of
max|G| (measured with 729 atoms of two kinds and of eight; less with more atoms); the bin that rcut cuts is taken whole.

Counts are made where the cube root of the volume is on a ladder of 1 %, so that what comes out depends on the values
of a crystal alone, not on where it was before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.phases._geometry import Arguments, Atoms

if TYPE_CHECKING:
    from pdfkit.phases._lists import Key

# Å: widths of the bins of few kinds of atoms, and of more than FEW_KINDS; nearer atoms share a place, and are no pair.
BIN, WIDE_BIN, CLOSEST = 0.001, 0.002, 0.01
# Atoms from which pairs are counted by kinds, and up to how many kinds.
MANY_ATOMS, FEW_KINDS, MOST_KINDS = 500, 6, 12
# Occupancies of 0 count as this much: bins of such pairs still have a place and a width, where derivatives by the
# occupancy act. Products with 1/NOTHING² stay in the range of a double.
NOTHING = 1e-30
# Share of a length that is rounding, steps of the ladder of sizes, and what a fit may shrink before it counts again.
SAME, LADDER, SHRINKS = 1e-11, 0.01, 1.02
# Counts that are kept for crystals of one symmetry.
KEPT = 2


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted: of each bin in use its kinds a and b, its middle, place (Å), and sums (n, 3) of 1, t and t².

    kind (natoms,), and the first atom of each; t is a distance less place. cell (3, 3) of volume 1 and x (natoms, 3),
    of which they are; size (Å): cube root of the volume; reach (Å).
    """

    kind: IntArray
    first: IntArray
    a: IntArray
    b: IntArray
    place: Array
    sums: Array
    cell: Array
    x: Array
    size: float
    reach: float

    def serve(self, cell: Array, x: Array, size: float, reach: float, about: Array) -> bool:
        """Whether these are the counts of a crystal up to reach (Å), with kinds that tell apart what `about` does."""
        same = self.size == size and self.reach >= reach and np.abs(self.cell - cell).max() < SAME
        return bool(same and (about[self.first[self.kind]] == about).all() and (self.x == x).all())


class Kept:
    """The last counts of crystals of one symmetry."""

    def __init__(self) -> None:
        self.counts: tuple[Counts, ...] = ()

    def find(self, cell: Array, x: Array, size: float, reach: float, about: Array) -> Counts | None:
        """Return the counts up to reach (Å) at least, of atoms that differ in what they are about (natoms, m)."""
        for counts in self.counts:
            if counts.serve(cell, x, size, reach, about):
                return counts
        _, first, kind = np.unique(about, axis=0, return_index=True, return_inverse=True)
        if len(first) > MOST_KINDS:
            return None
        counts = _counted(kind.ravel().astype(np.int64), first, cell, x, size, float(math.ceil(reach)))
        self.counts = (counts, *self.counts[: KEPT - 1])
        return counts


@lru_cache(maxsize=4)
def kept_of(key: Key) -> Kept:
    """Return what was counted of crystals of one symmetry."""
    return Kept()


def _counted(kind: IntArray, first: IntArray, cell: Array, x: Array, size: float, reach: float) -> Counts:
    from pdfkit.particles.boxes import Box, box_pairs

    # Two threads on every machine: so sums do not depend on it.
    rows, width = cell * size, BIN if len(first) <= FEW_KINDS else WIDE_BIN
    sums = box_pairs(Box(rows, x @ rows, kind), len(first), reach, width, threads=2)
    sums[:, : math.ceil(CLOSEST / width)] = 0.0
    a, b = np.triu_indices(len(first))
    pair, where = np.nonzero(sums[..., 0])
    return Counts(
        kind, first, a[pair], b[pair], np.asarray((where + 0.5) * width), sums[pair, where], cell, x, size, reach
    )


def counted_sums(key: Key, atoms: Atoms, args: Arguments, reach: float) -> tuple[Array, Array, IntArray] | None:
    """Return sums (n,5), dsums (n,nq,4), as of `bin_numbers`, and pair (n,) of the bins up to reach (Å) in use.

    None where atoms move in the cell, the cell changes its shape, or there are more than `MOST_KINDS` of them.
    """
    g, x, u, _, occ, _ = args.state
    dg, dx, du, _, docc = args.tangents
    growth = np.einsum("qab,ba->q", dg, np.linalg.inv(g)) / 6.0  # of all lengths alike
    if dx.any() or np.abs(dg - 2.0 * growth[:, None, None] * g).max(initial=0.0) > SAME * np.abs(g).max():
        return None
    length = float(np.linalg.det(g)) ** (1 / 6)
    size = math.exp(LADDER * round(math.log(length) / LADDER))
    stretch = length / size
    about = np.column_stack([atoms.species[atoms.site], u, occ, du.T, docc.T])
    far = reach / stretch * (SHRINKS if growth.any() else 1.0)
    cell = np.asarray(np.linalg.cholesky(g) / length, dtype=np.float64)
    counts = kept_of(key).find(cell, x, size, far, about)
    return None if counts is None else _weighted(counts, atoms, about[counts.first], stretch, growth)


def _weighted(
    counts: Counts, atoms: Atoms, about: Array, stretch: float, growth: Array
) -> tuple[Array, Array, IntArray]:
    """Return what `counted_sums` does: about (nkinds, 3 + 2·nq) are species, u, occ, and u and occ along directions."""
    nq, a, b = growth.size, counts.a, counts.b
    species, u, occ = about[:, 0].astype(np.int64), about[:, 1], np.maximum(about[:, 2], NOTHING)
    place = counts.place * stretch
    count, mean, square = counts.sums.T * [[2.0], [2.0 * stretch], [2.0 * stretch**2]]
    spread = square - mean * mean / count
    mean = mean - spread / place  # the mean of n(r − d)/d, to third order in the width of the bin
    square = spread + mean * mean / count
    weight, s = occ[a] * occ[b], u[a] + u[b]
    sums = np.column_stack([place, weight * count, weight * mean, weight * square, weight * count * s])
    dsums = np.empty((place.size, nq, 4))
    for q in range(nq):
        du, docc = about[:, 3 + q], about[:, 3 + nq + q]
        dweight, ds, grown = docc[a] * occ[b] + occ[a] * docc[b], du[a] + du[b], growth[q] * weight
        dsums[:, q, 0] = dweight * count
        dsums[:, q, 1] = dweight * mean + grown * (place * count + mean)
        dsums[:, q, 2] = dweight * square + 2.0 * grown * (place * mean + square)
        dsums[:, q, 3] = (dweight * s + weight * ds) * count
    return sums, dsums, atoms.lookup[species[a], species[b]]
