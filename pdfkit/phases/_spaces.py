"""Where the numbers of a crystal go in a fit, and which of its pairs stay equal wherever they go.

A fit with ties moves few of the numbers that a crystal has: the eight atoms of zinc blende, as a file without symmetry
lists them, have 46, of which a cubic tie leaves a length and two displacements. Values on the way differ from the first
ones by a combination of the fit's directions: they lie in a space of few dimensions, and pairs that are equal at two
generic points of it are equal in all of it. Whether values and directions are inside is checked at every call, so what
leaves it (a tie that is not linear, another start) costs another look at the pairs, never a wrong number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit.phases._geometry import Directions, Point

if TYPE_CHECKING:
    from pdfkit.phases._lists import Key
    from pdfkit.phases.crystal import Crystal

# Numbers move so far to a generic point: lengths and angles by this share, turns of molecules so many degrees (pairs
# may be equal to first order in these), all others by 0.01.
FAR_CELL, FAR_TURN, FAR = 0.02, 0.5, 0.01
# In units of that, what is rounding: positions to 1e-12.
SLACK = 1e-10
# Spaces that are kept, and how many of late were new before everything is taken to move: spaces then cost more than
# they save. Each call forgets 3 %.
KEPT, MOST_NEW, FORGETS = 4, 4.0, 0.03


@dataclass(frozen=True, eq=False)
class Space:
    """Values that differ from `base` (n,) by `scale` (n,) times a combination of the orthonormal `basis` (n, k)."""

    base: Array
    scale: Array
    basis: Array

    @classmethod
    def around(cls, base: Array, scale: Array, along: Array) -> Space:
        """Return the space through base along changes (n, m), in units of scale."""
        vectors, sizes, _ = np.linalg.svd(along, full_matrices=False)
        return cls(base.copy(), scale, np.ascontiguousarray(vectors[:, sizes > 0.1 * SLACK * sizes.max(initial=1.0)]))

    def spans(self, changes: Array) -> bool:
        """Whether changes (n,) or (n, m), in units of scale, are combinations of the basis."""
        left = changes - self.basis @ (self.basis.T @ changes)
        return bool(np.abs(left).max(initial=0.0) <= SLACK)

    def holds(self, values: Array) -> bool:
        """Whether values (n,) are in it."""
        return self.spans((values - self.base) / self.scale)

    def near(self, values: Array) -> tuple[int, ...]:
        """Return the whole steps along its vectors that come nearest to values (n,)."""
        return tuple(int(step) for step in np.round(self.basis.T @ ((values - self.base) / self.scale)))

    def moved(self, steps: tuple[int, ...]) -> Space:
        """Return the space with its base moved by steps along its vectors."""
        return replace(self, base=self.base + self.scale * (self.basis @ np.array(steps))) if any(steps) else self

    def points(self, crystal: Crystal) -> list[Point]:
        """Return the crystal at two generic points, or at the only one there is."""
        if not self.basis.shape[1]:
            return [still(crystal, self.base)]
        return [still(crystal, values) for values in self.far(self.base)]

    def far(self, values: Array) -> list[Array]:
        """Return two generic points of the space near values (n,)."""
        return [values + self.scale * (self.basis @ _generic(self.basis.shape[1], k)) for k in (1, 2)]


class Spaces:
    """The spaces in which crystals of one symmetry have been asked for lately."""

    def __init__(self, reference: Array, scale: Array) -> None:
        self.reference = reference
        self.scale = scale
        self.kept: tuple[Space, ...] = ()
        self.new = 0.0
        self.along: dict[tuple[tuple[int, ...], bytes], tuple[Array, tuple[Space, ...]]] = {}

    def find(self, values: Array, tangents: Array) -> Space | None:
        """Return a space with values (n,) inside and tangents (n, nq) along it; None where everything may move."""
        self.new *= 1.0 - FORGETS
        key = (tangents.shape, tangents.tobytes())
        along, spaces = self.along.get(key) or self._look(key, tangents)  # another thread may clear what is known
        for space in spaces:
            if space.holds(values):
                self._used(space)
                return space
        if along.shape[1] >= values.size or self.new > MOST_NEW:
            return None
        self.new += 1.0
        space = Space.around(values, self.scale, self._hull(values, along))
        if space.holds(self.reference):
            # where its base is does not depend on who asks first, and neither do the last digits of what comes out
            space = replace(space, base=self.reference.copy())
        self.kept = (space, *self.kept[: KEPT - 1])
        self.along.clear()
        return space if space.basis.shape[1] < values.size else None

    def _used(self, space: Space) -> None:
        """Put a space before the others that are kept: those that nobody has asked for are the first to go."""
        kept = self.kept  # another thread may put another in its place
        if kept[0] is not space:
            self.kept = (space, *(one for one in kept if one is not space))[:KEPT]

    def _look(self, key: tuple[tuple[int, ...], bytes], tangents: Array) -> tuple[Array, tuple[Space, ...]]:
        """Return tangents as changes of size 1, in units of scale, and the spaces known that they do not leave."""
        if len(self.along) > 2 * KEPT:
            self.along.clear()
        changes = tangents / self.scale[:, None]
        size = np.sqrt((changes * changes).sum(axis=0))
        along = changes[:, size > 0.0] / size[size > 0.0]
        spaces = [space for space in self.kept if space.spans(along)]
        found = along, tuple(sorted(spaces, key=lambda one: one.basis.shape[1]))
        self.along[key] = found
        return found

    def _hull(self, values: Array, along: Array) -> Array:
        """Return the directions; of late also those to the spaces known, where there was no end of new ones."""
        if self.new <= 0.5 * MOST_NEW or not self.kept:
            return along
        known = [(space.base - values)[:, None] / self.scale[:, None] for space in self.kept]
        return np.concatenate([along, *known, *(space.basis for space in self.kept)], axis=1)


@lru_cache(maxsize=16)
def spaces_of(key: Key) -> Spaces:
    """Return the spaces of crystals of one symmetry."""
    reference = np.array(key.crystal._reference)
    return Spaces(reference, _scale(key.crystal, reference))


def still(crystal: Crystal, values: Array) -> Point:
    """Return the crystal at values (n,) of its quantities, without directions."""
    nothing = Directions.of(crystal._maps, crystal._atoms, np.zeros((values.size, 0)))
    return Point.at(crystal._maps, crystal._atoms, values, nothing)


def anywhere(crystal: Crystal, base: Array, k: int) -> Array:
    """Return generic values (n,) number k near base (n,)."""
    return np.asarray(base + _scale(crystal, base) * _generic(base.size, k))


def _generic(n: int, k: int) -> Array:
    return np.random.default_rng((20, k)).uniform(0.2, 1.0, n)


def _scale(crystal: Crystal, values: Array) -> Array:
    """Return how far each quantity moves to a generic point."""
    scale = np.where([q.unit == "°" for q in crystal._structure_quantities], FAR_TURN, FAR)
    cells = len(crystal._maps.cell_free)
    scale[:cells] = FAR_CELL * values[:cells]
    return scale
