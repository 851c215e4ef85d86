"""Lists of a crystal's pairs, shared by all phases of one symmetry and nearly one cell, and the peaks of a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array, IntArray
from pdfkit.kernels import pairs as kernels
from pdfkit.kernels.batches import least_reaches
from pdfkit.phases import _orbits, _rounding, _spaces
from pdfkit.phases._geometry import Arguments, Point
from pdfkit.phases._orbits import PairGroups, Reference
from pdfkit.phases._spaces import Space
from pdfkit.phases.base import Quantity

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

# Bytes and seconds that a listed pair takes: to find and sort it, and for each curve and derivative.
PAIR_BYTES, PAIR_SECONDS = 120.0, 4e-7
CURVE_BYTES, CURVE_SECONDS = 110.0, 1e-7
# Pairs, for each curve and derivative, whose numbers are at hand at a time: 1 MB.
CACHED = 2**15
# How much further than asked for a list is made at the reference values before it is made at the present ones.
FARTHEST = 1.1
# Pairs of a list over those that are asked for, at the most.
LISTED_MORE = (1.02 * FARTHEST) ** 3
# Pairs among which equal ones are looked for before all are compared, and how many of them make that pay.
SAMPLE, PAYS = 2e4, 1.25
# Cells that pairs of two atoms reach, from which on equal pairs of atoms are looked for before their images are listed.
LOOKED_AT = 3.0


@dataclass(frozen=True)
class Table:
    """Peaks of grouped pairs, as `finish_peaks` returns them, with the species pair of each; moments: see `Peaks`."""

    pair: IntArray
    peak: Array
    dpeak: Array
    dropped: int
    moments: bool = False

    def in_moments(self) -> Table:
        """Return the table with derivatives of moments."""
        if self.moments:
            return self
        dpeak = self.dpeak.copy()
        dpeak[:, :, :2] *= self.peak[:, None, 2:]
        return replace(self, dpeak=dpeak, moments=True)


def table_of(groups: PairGroups, args: Arguments, at: tuple[Array, Array] | None = None) -> Table:
    """Return the peaks of a list of pairs; at: values (n,) and tangents (n, nq), for means of groups."""
    rest = (*args.state, args.kind, *args.tangents, *(args.trace or no_trace(args.kind.size)))
    means = groups.means
    place = means.place(*at) if means and at else None

    def fill(part: slice, numbers: Array, changes: Array) -> None:
        pairs = (groups.atom_i, groups.atom_j, groups.shift, groups.mult)
        if len(numbers) < groups.mult.size:
            pairs = (pairs[0][part], pairs[1][part], pairs[2][part], pairs[3][part])
        arguments: tuple[Any, ...] = (*pairs, *rest, numbers, changes)
        kernels.pair_numbers(*arguments)
        if means and place:
            means.add(part, place, args.trace is not None, numbers, changes)

    table = _finished(fill, groups.group_pair, args)
    if means:
        means.widen(table.peak)
    return table


@lru_cache(maxsize=32)
def no_trace(nq: int) -> tuple[Array, Array]:
    """Return the traces of U, and their tangents, where these move no peaks."""
    return np.zeros(0), np.zeros((nq, 0))


def binned_table(sums: Array, dsums: Array, pair: IntArray, args: Arguments) -> Table:
    """Return the peaks that sums over bins of pairs make, of species pairs `pair` (n,)."""

    def fill(part: slice, numbers: Array, changes: Array) -> None:
        kernels.bin_numbers(sums[part], dsums[part], numbers, changes)

    return _finished(fill, pair, args)


def _finished(fill: Callable[[slice, Array, Array], None], pair: IntArray, args: Arguments) -> Table:
    """Return the peaks of n pairs or bins, of which `fill` gives the numbers of a few at a time."""
    n, nq = pair.size, args.kind.size
    peak, dpeak, dropped = np.empty((n, 3)), np.empty((n, nq, 3)), 0
    # What lies between two kernels stays in the cache.
    size = max(1, min(n, CACHED // (1 + nq)))
    numbers, changes = np.empty((size, 4)), np.empty((size, nq, 4))
    finish: tuple[Any, ...] = (args.trace is not None, args.kind, *args.finish)
    if size >= n:
        fill(slice(0, n), numbers[:n], changes[:n])
        finish = (*finish, peak, dpeak)
        dropped = kernels.finish_peaks(numbers[:n], changes[:n], *finish)
        return Table(pair, peak, dpeak, dropped)
    for low in range(0, n, size):
        part, own = slice(low, min(low + size, n)), slice(0, min(size, n - low))
        fill(part, numbers[own], changes[own])
        rest = (*finish, peak[part], dpeak[part])
        dropped += kernels.finish_peaks(numbers[own], changes[own], *rest)
    return Table(pair, peak, dpeak, dropped)


class Key:
    """A crystal that compares by its symmetry: what pair lists depend on besides the values of its quantities."""

    def __init__(self, crystal: Crystal) -> None:
        self.crystal = crystal
        atoms, maps = crystal._atoms, crystal._maps
        matrix = (maps.matrix.indptr, maps.matrix.indices, maps.matrix.data, maps.constant)
        arrays = (atoms.site, atoms.rotation, atoms.translation, atoms.species, *matrix)
        bodies = (array for one in maps.bodies for array in (one.sites, one.geometry, one.back, one.shift))
        self.identity = (*(array.tobytes() for array in (*arrays, *bodies)), maps.isotropic)
        self.hash = hash(self.identity)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.identity == other.identity


@lru_cache(maxsize=16)
def reference_at(key: Key, reference: tuple[float, ...]) -> Reference:
    """Return the crystal at reference values of its quantities."""
    geometry = _spaces.still(key.crystal, np.array(reference)).geometry
    return Reference(geometry.g, geometry.x)


@lru_cache(maxsize=16)
def groups_at(key: Key, reference: tuple[float, ...], reach: float) -> PairGroups:
    """Return the pairs within reach (Å) at reference values; what symmetry makes equal is one."""
    crystal, base = key.crystal, np.array(reference)
    pairs = _listed(crystal, base, reach, np.array(crystal._maps.multiplicity, dtype=np.float64))
    if crystal.structure.rotations.shape[0] == 1:
        return pairs
    return _orbits.merged(pairs, [_spaces.still(crystal, _spaces.anywhere(crystal, base, k)) for k in (1, 2)])


def _listed(crystal: Crystal, reference: Array, reach: float, weights: Array) -> PairGroups:
    atoms, here = crystal._atoms, _spaces.still(crystal, reference)
    return _orbits.listed(here.geometry, reach, atoms.first, atoms.site, weights, atoms.pair)


@lru_cache(maxsize=16)
def alike_at(key: Key, space: Space) -> Array:
    """Return for how many pairs of atoms that are equal in all of a space each stands, (ncentres, natoms)."""
    crystal = key.crystal
    return _orbits.alike_pairs(space.points(crystal), np.array(crystal._maps.multiplicity, dtype=np.float64))


def listed_in(key: Key, space: Space, reference: tuple[float, ...], reach: float) -> PairGroups:
    """Return pairs within reach (Å), of which each that is equal to another in all of a space may be left out.

    That is looked for without symmetry alone: what operations make equal is found once, for all spaces.
    """
    choice = key.crystal._choice
    if not choice.alone or choice.visited * reach**3 < LOOKED_AT * choice.listed:
        return groups_at(key, reference, reach)
    return _listed(key.crystal, np.array(reference), reach, alike_at(key, space))


@lru_cache(maxsize=16)
def merged_at(key: Key, space: Space, reference: tuple[float, ...], reach: float, near: tuple[int, ...]) -> PairGroups:
    """Return the same pairs with those made one that are equal in all of a space, or but for rounding.

    near : in whole steps along the vectors of the space, the point where rounding is looked at.
    """
    found = _orbits.merged(listed_in(key, space, reference, reach), space.points(key.crystal))
    return _rounding.joined(found, key.crystal, space.moved(near))


@lru_cache(maxsize=64)
def likeness(key: Key, space: Space, reach: float) -> tuple[float, float]:
    """Return how many pairs there are for each that differs in a space, of those within reach (Å).

    Those that are equal, and how many of these there are for each that differs by more than rounding.
    """
    pairs = groups_at(key, tuple(space.base.tolist()), reach)
    found = _orbits.merged(pairs, space.points(key.crystal))
    return pairs.mult.size / max(1, found.mult.size), _rounding.alike(found, key.crystal, space)


def space_of(
    crystal: Crystal, free: Array, tangents: Array, visited: float, reach: float
) -> tuple[Space | None, float]:
    """Return the space of values (n,) and tangents (n, nq), and how many pairs there are for each that differs there.

    visited: pairs for each Å³ of reach (Å), how far they are looked for. None and 1 where it would not pay to make
    equal pairs one.
    """
    space = _spaces.spaces_of(crystal._key).find(free, tangents)
    if space is None:
        return None, 1.0
    alike, rounded = likeness(crystal._key, space, float(math.ceil((SAMPLE / visited) ** (1 / 3))))
    if LISTED_MORE * visited * reach**3 / alike < _rounding.MOST:  # of more, none that differ by rounding are joined
        alike *= rounded
    return (space, alike) if alike > PAYS else (None, 1.0)


def listed_pairs(
    crystal: Crystal, point: Point, free: Array, rmax: float, where: tuple[Space | None, float]
) -> PairGroups:
    """Return pairs complete to rmax, enumerated at a rounded reference so that nearby parameters share one list.

    Near the structure that is the structure's own; elsewhere, where its list would have to be much longer, that of the
    values `free`; where even that does not do (long cells), those values themselves. where: of `space_of`; pairs
    equal in the space are one.
    """
    space, alike = where
    curves = (1 + point.directions.kind.size) / alike
    _afford(crystal.name, 4.19 * rmax**3 * crystal._choice.listed / point.volume, curves, rmax, point.aniso)
    key, (reference, reach) = crystal._key, _complete(crystal, point, free, rmax)
    return (
        groups_at(key, reference, reach) if space is None else merged_at(key, space, reference, reach, space.near(free))
    )


def _complete(crystal: Crystal, point: Point, free: Array, rmax: float) -> tuple[tuple[float, ...], float]:
    """Return reference values, and how far (Å) a list made there must go to hold all pairs within rmax."""
    start = float(math.ceil(rmax * 1.02))
    for reference in _references(crystal, free):
        here, reach = reference_at(crystal._key, reference), start
        while reach <= FARTHEST * start:
            if here.covers(point.geometry, rmax, reach):
                return reference, reach
            reach = float(math.ceil(reach * 1.05))
    return tuple(free.tolist()), start


def listed_for_many(
    crystal: Crystal, geometry: tuple[Array, Array], free: Array, rmax: float, where: tuple[Space | None, float]
) -> tuple[PairGroups, Any]:
    """Return pairs as `listed_pairs` does, for many crystals near the structure: one list, and for which (n,) it does.

    geometry : metrics (n,3,3) and atoms (n,natoms,3), of values free (n, nfree).
    """
    reference = reference_at(crystal._key, crystal._reference)
    reach, far = float(math.ceil(rmax * 1.02)), np.empty(len(free))
    last = FARTHEST * reach
    while True:
        least_reaches(*geometry, reference.g, reference.x, reference.inverse, reach, far)
        longer = float(math.ceil(reach * 1.05))
        if (far >= rmax).all() or longer > last:
            break
        reach = longer
    space, known, done = where[0], (crystal._reference, reach), np.asarray(far >= rmax)
    if space is None:
        return groups_at(crystal._key, *known), done
    return merged_at(crystal._key, space, *known, space.near(free[0])), done


def _references(crystal: Crystal, free: Array) -> Iterator[tuple[float, ...]]:
    yield crystal._reference
    yield tuple(rounded(q, value) for q, value in zip(crystal._structure_quantities, free.tolist(), strict=True))


def rounded(q: Quantity, value: float) -> float:
    """Reference value of a quantity for pair enumeration: cell lengths to 1 %, angles to 1°, positions to 0.01."""
    if q.unit == "°":
        return round(value)
    if q.name in ("a", "b", "c"):
        return math.exp(round(math.log(value) / 0.01) * 0.01)
    return round(value, 2)


def _afford(name: str, pairs: float, curves: float, rmax: float, aniso: bool) -> None:
    if pairs < 1e5:
        return
    what = f"{name}: listing its pairs within {rmax:.0f} Å"
    remedy = "lower rmax, or a U, sratio, qbroad or resolution that makes peaks too wide"
    if aniso:  # of isotropic ones nothing is listed
        remedy = f"take isotropic displacements (anisotropic=False), {remedy}"
    _machine.need(pairs * (PAIR_BYTES + CURVE_BYTES * curves), what, remedy)
    _machine.need_time(pairs * (PAIR_SECONDS + CURVE_SECONDS * curves), what, remedy)
