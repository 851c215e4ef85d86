"""Lists of a crystal's pairs, shared by all phases of one symmetry and nearly one cell, and the peaks of a list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.kernels import pairs as kernels
from pdfkit.phases import _orbits
from pdfkit.phases._geometry import Arguments, Directions, Point
from pdfkit.phases._orbits import Geometry, PairGroups, Reference
from pdfkit.phases.base import Quantity

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

# Bytes and seconds that a listed pair takes: to find and sort it, and for each curve and derivative.
PAIR_BYTES, PAIR_SECONDS = 120.0, 4e-7
CURVE_BYTES, CURVE_SECONDS = 110.0, 1e-7
# How much further than asked for a list is made at the reference values before it is made at the present ones.
FARTHEST = 1.1


@dataclass(frozen=True)
class Table:
    """Peaks of grouped pairs, as `finish_peaks` returns them, with the species pair of each."""

    pair: IntArray
    peak: Array
    dpeak: Array
    dropped: int


def table_of(groups: PairGroups, args: Arguments) -> Table:
    """Return the peaks of a list of pairs."""
    n, nq = groups.start.size - 1, args.kind.size
    sums, dsums = np.empty((n, 5)), np.empty((n, nq, 4))
    pairs = (groups.atom_i, groups.atom_j, groups.shift, groups.mult)
    for part in _machine.pieces(n, CURVE_SECONDS * (1 + nq)):
        start = groups.start[part.start : part.stop + 1]
        arguments = (start, *pairs, *args.state, args.kind, *args.tangents, sums[part], dsums[part])
        kernels.group_sums(*arguments)
    first = groups.start[:-1]  # the pairs of a group are of the same two sites
    atoms = (groups.atom_i[first], groups.atom_j[first]) if args.trace else None
    return finished(sums, dsums, groups.group_pair, args, atoms)


def finished(
    sums: Array, dsums: Array, pair: IntArray, args: Arguments, atoms: tuple[Int32Array, Int32Array] | None = None
) -> Table:
    """Return the peaks that sums over pairs make, of species pairs `pair` (n,); atoms (n,): of a pair of each group."""
    trace = args.trace or (np.zeros(0), np.zeros((args.kind.size, 0)))
    i, j = atoms or (np.zeros(0, dtype=np.int32),) * 2
    n, nq = dsums.shape[:2]
    peak, dpeak = np.empty((n, 3)), np.empty((n, nq, 3))
    dropped = 0
    for part in _machine.pieces(n, 0.5 * CURVE_SECONDS * (1 + nq)):
        finish = (sums[part], dsums[part], args.kind, *args.finish, *trace, i[part], j[part], peak[part], dpeak[part])
        dropped += kernels.finish_peaks(*finish)
    return Table(pair, peak, dpeak, dropped)


class Key:
    """A crystal that compares by its symmetry: what pair lists depend on besides the values of its quantities."""

    def __init__(self, crystal: Crystal) -> None:
        self.crystal = crystal
        atoms, maps = crystal._atoms, crystal._maps
        matrix = (maps.matrix.indptr, maps.matrix.indices, maps.matrix.data, maps.constant)
        arrays = (atoms.site, atoms.rotation, atoms.translation, atoms.pair, *matrix)
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
    still = Directions.of(key.crystal._maps, key.crystal._atoms, np.zeros((len(reference), 0)))
    geometry = Point.at(key.crystal._maps, key.crystal._atoms, np.array(reference), still).geometry
    return Reference(geometry.g, geometry.x)


@lru_cache(maxsize=16)
def groups_at(key: Key, reference: tuple[float, ...], reach: float) -> PairGroups:
    """Return the pairs within reach (Å) at reference values, grouped."""
    crystal = key.crystal
    atoms = crystal._atoms
    base = np.array(reference)
    still = Directions.of(crystal._maps, atoms, np.zeros((base.size, 0)))
    rng = np.random.default_rng(20)
    cells = len(crystal._maps.cell_free)

    def at(k: int) -> Geometry:
        moved = base.copy()
        if k:
            moved[:cells] *= 1.0 + 0.02 * rng.random(cells)
            moved[cells:] += 0.01 * rng.random(base.size - cells)
        return Point.at(crystal._maps, atoms, moved, still).geometry

    return _orbits.group_pairs(
        at,
        reach,
        atoms.first,
        atoms.site,
        np.array(crystal._maps.multiplicity, dtype=np.int64),
        atoms.pair,
        symmetric=crystal.structure.rotations.shape[0] > 1,
    )


def listed_pairs(crystal: Crystal, point: Point, free: Array, rmax: float) -> PairGroups:
    """Return pairs complete to rmax, enumerated at a rounded reference so that nearby parameters share one list.

    Near the structure that is the structure's own; elsewhere, where its list would have to be much longer, that of the
    values `free`; where even that does not do (long cells), those values themselves.
    """
    _afford(crystal.name, 4.19 * rmax**3 * crystal._listed / point.volume, 1 + point.directions.kind.size, rmax)
    start = float(math.ceil(rmax * 1.02))
    for reference in _references(crystal, free):
        here, reach = reference_at(crystal._key, reference), start
        while reach <= FARTHEST * start:
            if here.covers(point.geometry, rmax, reach):
                return groups_at(crystal._key, reference, reach)
            reach = float(math.ceil(reach * 1.05))
    return groups_at(crystal._key, tuple(free.tolist()), start)


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


def _afford(name: str, pairs: float, curves: int, rmax: float) -> None:
    if pairs < 1e5:
        return
    what = f"{name}: listing its pairs within {rmax:.0f} Å"
    remedy = "lower rmax, or a U, sratio, qbroad or resolution that makes peaks too wide"
    _machine.need(pairs * (PAIR_BYTES + CURVE_BYTES * curves), what, remedy)
    _machine.need_time(pairs * (PAIR_SECONDS + CURVE_SECONDS * curves), what, remedy)
