"""Which way to the peaks of a crystal costs least: a list of its pairs, one of what its values leave unequal, or bins.

The choice follows from how many pairs there are, which symmetry and the volume of the cell tell near enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit.phases import _counted, _pairs
from pdfkit.phases._geometry import Arguments, Point
from pdfkit.phases._lists import PAIR_BYTES, Table, binned_table, space_of
from pdfkit.phases._pairs import Order
from pdfkit.phases._spaces import Space

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

# Pairs are binned (see `_pairs`) where there are this many times more of them than bins: large cells without much
# symmetry. Elsewhere it would not pay.
MERGE_ABOVE = 2
# Pairs that no operation makes equal: with fewer, those that a fit keeps equal are not looked for.
FEW = 1e3
# Tangents larger than this are followed through the constraints anew each time: comparing them would cost as much.
MOST_REMEMBERED = 50_000
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

    @cached_property
    def order(self) -> Order:
        """The order in which atoms are taken to fill bins."""
        return Order.of(self.crystal._atoms, self.crystal._geometry)

    def space(self, values: Array, tangents: Array, reach: float) -> tuple[Space | None, float]:
        """Return where values (n,) may go along tangents (n, nq), and how many pairs are equal there to each."""
        cube = reach**3
        many = self.visited * cube * PAIR_BYTES > MOST_LISTED and not self.crystal._maps.anisotropic
        if self.distinct * cube < FEW or many or tangents.size > MOST_REMEMBERED:
            return None, 1.0
        return space_of(self.crystal, values, tangents, self.visited)

    def binned(self, point: Point, args: Arguments, reach: float, alike: float) -> Table | None:
        """Return the peaks up to reach (Å) as bins of pairs, or None where bins would not be much fewer than pairs.

        alike : how many pairs are equal to each.
        """
        atoms = self.crystal._atoms
        pairs = self.distinct * reach**3 / alike
        bins = MERGE_ABOVE * reach / _pairs.BIN_R
        visited = self.visited * reach**3
        many = visited * PAIR_BYTES > MOST_LISTED  # before symmetry has made them few
        if point.aniso or (pairs < bins * len(atoms.pairs) and not many):
            return None
        if len(self.crystal.structure.rotations) == 1 and atoms.site.size >= _counted.MANY_ATOMS:
            counted = _counted.counted_sums(self.crystal._key, atoms, args, reach)
            if counted is not None:
                return binned_table(*counted, args)
        classes = _pairs.Classes.of(atoms, point.u)
        if pairs < bins * classes.pair.size and not many:
            return None
        return binned_table(*_pairs.binned_sums(self.order, classes, atoms, args, reach, pairs, visited), args)
