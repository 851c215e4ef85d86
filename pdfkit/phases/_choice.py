"""Which way to the peaks of a crystal costs least: a list of its pairs, one of what its values leave unequal, or bins.

The choice follows from how many pairs there are, which symmetry and the volume of the cell tell near enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array
from pdfkit.kernels import pairs as kernels
from pdfkit.phases import _counted, _pairs
from pdfkit.phases._geometry import Arguments, Point
from pdfkit.phases._lists import CURVE_BYTES, PAIR_BYTES, Table, binned_table, listed_pairs, space_of
from pdfkit.phases._pairs import Classes, Order
from pdfkit.phases._spaces import Space

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

# Seconds: of a listed pair until it is drawn, and of each of its derivatives; of one that is found and not listed.
LISTED, LISTED_CHANGE, FOUND = 5e-8, 1.5e-8, 2.5e-9
# Pairs are listed where that takes less than this many times what it takes to share them between nodes.
MERGE_ABOVE = 1.0
# Pairs that no operation makes equal: with fewer, those that a fit keeps equal are not looked for.
FEW = 1e3
# Tangents larger than this are followed through the constraints anew each time: comparing them would cost as much.
MOST_REMEMBERED = 50_000
# Pairs between these, over the distance at which 1 − δ₁/r − δ₂/r² is 0, are listed: nodes are up to 0.06 Å from them.
LOSING = 0.97, 1.08
# Bytes of a list above which bins are taken, whether they pay or not.
MOST_LISTED = 1e9


@dataclass(frozen=True, eq=False)
class Choice:
    """How many pairs a crystal has, and what is done with them.

    listed : pairs of the first atom of a site and an atom of a site not before it, in a volume of one cell; visited,
    distinct : pairs that are listed before any are made one, and that no operation makes equal, near enough, over the
    cube (Å³) of how far they reach.
    """

    crystal: Crystal
    listed: float
    visited: float
    distinct: float

    @classmethod
    def of(cls, crystal: Crystal) -> Choice:
        """Count the pairs of a crystal."""
        atoms, volume = crystal._atoms, crystal.structure.volume()
        before = np.searchsorted(np.sort(atoms.site), atoms.site[atoms.first])
        listed = float((atoms.site.size - before).sum())
        operations = crystal.structure.rotations.shape[0]
        return cls(crystal, listed, 4.19 * listed / volume, 2.09 * atoms.site.size**2 / operations / volume)

    @property
    def alone(self) -> bool:
        """Whether no operation makes atoms equal."""
        return len(self.crystal.structure.rotations) == 1

    @cached_property
    def order(self) -> Order:
        """The order in which atoms are taken to fill bins."""
        return Order.of(self.crystal._atoms, self.crystal._geometry)

    def space(self, values: Array, tangents: Array, reach: float) -> tuple[Space | None, float]:
        """Return where values (n,) may go along tangents (n, nq), and how many pairs are equal there to each."""
        many = self._many(reach) and not self.crystal._maps.anisotropic
        if self.distinct * reach**3 < FEW or many or tangents.size > MOST_REMEMBERED:
            return None, 1.0
        return space_of(self.crystal, values, tangents, self.visited, reach)

    def binned(
        self, point: Point, free: Array, args: Arguments, reach: float, where: tuple[Space | None, float]
    ) -> Table | None:
        """Return the peaks up to reach (Å) as bins of pairs, or None where bins would not be much fewer than pairs.

        free : values of the structure; where : as `space` returns it.
        """
        alike, visited, nq = where[1], self.visited * reach**3, args.kind.size
        if point.aniso or self._few(reach, alike):
            return None
        atoms, (width, *_) = self.crystal._atoms, args.finish
        if self._counts(reach, alike):
            counted = _counted.counted_sums(self.crystal._key, atoms, args, reach)
            if counted is not None:
                return binned_table(*counted, args)
        listed, sharp = self._listed_seconds(nq, reach, alike), min(1.0, width[4])
        fits = self._fits(nq, reach, alike)
        if fits and listed < MERGE_ABOVE * self._least_seconds(point.u, sharp, nq, reach):
            return None
        classes = _pairs.Classes.of(atoms, point.u, sharp, reach, visited)
        if fits and listed < MERGE_ABOVE * self._shared_seconds(classes, args, reach):
            return None
        if fits and self._losing(point, free, width, where):
            return None
        return _pairs.shared_table(self.order, classes, atoms, args, reach, visited)

    def surely_listed(self, u: Array, sharp: float, reach: float, alike: float) -> bool:
        """Return whether pairs are listed for a plain value, as is soon found out; then also for less U and reach.

        u : displacements of sites; sharp: the least factor of σ.
        """
        if self._few(reach, alike):
            return True
        listed = MERGE_ABOVE * self._least_seconds(u, sharp, 0, reach) > self._listed_seconds(0, reach, alike)
        return listed and self._fits(0, reach, alike) and not self._counts(reach, alike)

    def _few(self, reach: float, alike: float) -> bool:
        return self.distinct * reach**3 / alike < FEW and not self._many(reach)

    def _many(self, reach: float) -> bool:
        return self.visited * reach**3 * PAIR_BYTES > MOST_LISTED

    def _counts(self, reach: float, alike: float) -> bool:
        """Return whether pairs may be counted by bins: of many atoms without symmetry."""
        atoms = self.crystal._atoms
        if not self.alone or atoms.site.size < _counted.MANY_ATOMS:
            return False
        counts = reach / _counted.BIN * len(atoms.pairs)  # fewer pairs that differ are better listed
        return self._many(reach) or self.distinct * reach**3 / alike > counts

    def _fits(self, nq: int, reach: float, alike: float) -> bool:
        size = self.visited * reach**3 * (PAIR_BYTES + CURVE_BYTES * (1 + nq) / alike)
        return not self._many(reach) and size < _machine.memory_limit()

    def _losing(self, point: Point, free: Array, width: Array, where: tuple[Space | None, float]) -> bool:
        """Return whether correlated motion leaves pairs hardly a width, or just none: nodes about them have others."""
        end = 0.5 * width[0] + math.sqrt(0.25 * width[0] ** 2 + max(width[1], 0.0))
        if not end > 0.0:
            return False
        near, g, x = listed_pairs(self.crystal, point, free, LOSING[1] * end, where), point.geometry.g, point.geometry.x
        delta = x[near.atom_j] + near.shift - x[near.atom_i]
        d = np.sqrt(np.einsum("pa,ab,pb->p", delta, g, delta))
        return bool(((d > LOSING[0] * end) & (d < LOSING[1] * end)).any())

    def _listed_seconds(self, nq: int, reach: float, alike: float) -> float:
        return self.distinct * reach**3 / alike * (LISTED + LISTED_CHANGE * nq)

    def _shared_seconds(self, classes: Classes, args: Arguments, reach: float) -> float:
        """Return the time of the peaks of nodes; directions of few atoms change few pairs."""
        visited = self.visited * reach**3
        _, dx, du, _, docc = args.tangents
        moved = (dx != 0.0).any(axis=2) | (du != 0.0) | (docc != 0.0)
        parts = float(np.where(args.kind & kernels.CELL, 1.0, 2.0 * moved.mean(axis=1)).sum()) if moved.size else 0.0
        add = _pairs.ADD_SECONDS * classes.each * (1.0 + parts)
        return visited * (FOUND + add) + self._node_seconds(
            classes.s.size, classes.each, classes.h, args.kind.size, reach
        )

    def _least_seconds(self, u: Array, sharp: float, nq: int, reach: float) -> float:
        """Return a time that the nodes take at least: of one class for each species pair. It is soon found out."""
        least = self._node_seconds(len(self.crystal._atoms.pairs), 1, _pairs.distance(u, sharp), nq, reach)
        return self.visited * reach**3 * (FOUND + _pairs.ADD_SECONDS) + least

    def _node_seconds(self, classes: int, each: int, h: float, nq: int, reach: float) -> float:
        nodes = min(classes * reach / h, 4.0 * self.visited * reach**3 * each)
        return nodes * _pairs.NODE_SECONDS * (1 + 0.4 * nq)
