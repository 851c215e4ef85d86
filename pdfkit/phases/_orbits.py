"""Pairs of a crystal, grouped once so that each group has one distance and one width wherever its numbers may go.

Grouping needs no space-group algebra: every number that may move is moved to a generic value (an irrational amount
away), and pairs that still have the same distance and the same projected displacement there, at two such points, have
them everywhere. Where all symmetry-independent numbers move, this finds the orbits of the space group, the pair (i, j)
and its mirror image (j, i), and the degeneracies of cubic and hexagonal lattices (330 and 411) alike. Where a fit moves
fewer (`_spaces`), it finds what these leave equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit._machine import pieces
from pdfkit.kernels import merging
from pdfkit.kernels import pairs as kernels

if TYPE_CHECKING:
    from pdfkit.phases._geometry import Point
    from pdfkit.phases._rounding import Means


@dataclass(frozen=True)
class Geometry:
    """A crystal at one point of parameter space: metric g (Å²), atoms x (fractional), B tensors."""

    g: Array
    x: Array
    b: Array


@dataclass(frozen=True)
class Reference:
    """The crystal at which a list of pairs is made: metric g (Å²) and positions x (fractional)."""

    g: Array
    x: Array

    def covers(self, geometry: Geometry, rmax: float, reach: float) -> bool:
        """Whether a list made here, complete to `reach` (Å), holds every pair nearer than `rmax` at `geometry`."""
        return kernels.least_reach(geometry.g, geometry.x, self.g, self.x, self.inverse, reach) >= rmax

    @cached_property
    def inverse(self) -> Array:
        """L⁻¹ of the metric g = LLᵀ."""
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self.g)))


@dataclass(frozen=True)
class PairGroups:
    """Pairs (atom_i, atom_j, shift), each of which stands for all that are equal to it: `mult` of them in the cell.

    group_pair : the species pair of each. means : how the mean of a group differs from the pair that stands for it,
    where pairs are equal but for rounding (`_rounding`).
    """

    atom_i: Int32Array
    atom_j: Int32Array
    shift: Int32Array
    mult: Array
    group_pair: IntArray
    means: Means | None = None


def enumerate_pairs(
    geometry: Geometry, rmax: float, centres: IntArray, site: IntArray, shells: int = 1, some: Any = None
) -> tuple[Int32Array, ...]:
    """Return (atom_i, atom_j, shift) of all pairs within rmax from the given centre atoms to sites ≥ their own.

    shells: how many shells of 1 Å follow one another, the last with all that is farther. some: which pairs of a centre
    and an atom, (ncentres, natoms), in place of all.
    """
    c = np.ascontiguousarray(np.linalg.cholesky(geometry.g).T)
    x = np.array(geometry.x)
    expected = 4.19 * rmax**3 * x.shape[0] / float(np.prod(np.diag(c)))
    parts = list(pieces(centres.size, 3e-9 * expected + 1e-7 * x.shape[0]))
    empty = np.zeros(0, dtype=np.int32)
    place, every = np.zeros(shells, dtype=np.int64), np.zeros((0, 0), dtype=bool)
    each = [(centres[part], site, every if some is None else some[part]) for part in parts]
    for these in each:
        kernels.lattice_pairs(c, x, *these, rmax, place, empty, empty, np.zeros((0, 3), dtype=np.int32))
    count = int(place.sum())
    out = (np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32), np.empty((count, 3), dtype=np.int32))
    if count:
        place = np.cumsum(place) - place
        for these in each:
            kernels.lattice_pairs(c, x, *these, rmax, place, *out)
    return out


def listed(
    geometry: Geometry,
    rmax: float,
    centres: IntArray,
    site: IntArray,
    weights: Array,
    pair: Callable[[IntArray, IntArray], IntArray],
) -> PairGroups:
    """Return every pair of a crystal within rmax (Å), a group of its own, in the order of their distances.

    Neighbours in that order add to the same part of a curve.
    centres: the first atom of each site; site (natoms,): site of each atom; weights (ncentres, natoms): for how many
    each pair of a centre and an atom stands (see `alike_pairs`), or (ncentres,), the atoms of each site;
    pair: gives the species pairs of sites i and j.
    """
    # Two in a row that add to the same points of a curve wait for each other: the order is to 1 Å alone.
    shells, some = max(1, math.ceil(rmax)), None if weights.ndim < 2 else weights > 0.0
    atom_i, atom_j, shift = enumerate_pairs(geometry, rmax, centres, site, shells, some)
    s_i, s_j = site.take(atom_i), site.take(atom_j)
    if some is None:
        many = weights.take(s_i)
        many *= 2.0 - (s_i == s_j)
    else:
        many = weights[s_i, atom_j]
    return PairGroups(atom_i, atom_j, shift, many, pair(s_i, s_j))


# Shares of a cell, and of the largest displacement and occupancy, that are rounding.
SAME_PLACE = 1e-12


def alike_pairs(points: Sequence[Point], weights: Array) -> Array:
    """Return weights (ncentres, natoms) for `listed`: for how many pairs of atoms with the same distances one stands.

    Two atoms that are as far apart as two others, but for whole cells and the sign, with equal displacements and
    occupancies, have equal distances in every cell: of the 23,436 pairs of a cubic supercell of 216 atoms 328 differ.
    points: where pairs have to be equal; weights (ncentres,): atoms of each site.
    """
    atoms = points[0].atoms
    site = atoms.site
    k, j = np.nonzero(site >= site[atoms.first][:, None])
    i = atoms.first[k]
    kind = _kinds_of_atoms(points)
    a, b = kind[i], kind[j]
    rows = np.array(
        [np.minimum(a, b), np.maximum(a, b), *(row for one in points for row in _apart(one.geometry.x, i, j))]
    )
    factors = np.random.default_rng(7).integers(1, 2**63, size=len(rows), dtype=np.int64)
    with np.errstate(over="ignore"):
        marks = (rows * factors[:, None]).sum(axis=0)
    _, first, group = np.unique(marks, return_index=True, return_inverse=True)
    many = weights[k] * (2.0 - (site[i] == site[j]))
    out = np.zeros((atoms.first.size, site.size))
    if not (rows[:, first][:, group] == rows).all():  # two that differ share a mark
        out[k, j] = many
        return out
    out[k[first], j[first]] = np.bincount(group, many)
    return out


def _kinds_of_atoms(points: Sequence[Point]) -> IntArray:
    """Return a number for each atom, the same for those that scatter and move alike at all of the points."""
    atoms = points[0].atoms
    columns = [np.asarray(atoms.species, dtype=np.float64)[atoms.site, None]]
    for point in points:
        columns += [point.u[atoms.site, None], point.occ[atoms.site, None]]
        columns += [point.geometry.b.reshape(len(atoms.site), 9)] if point.aniso else []
    about = np.concatenate(columns, axis=1)
    steps = np.rint(about / (SAME_PLACE * np.maximum(np.abs(about).max(axis=0), 1e-300)))
    return np.asarray(np.unique(steps, axis=0, return_inverse=True)[1], dtype=np.int64).ravel()


def _apart(x: Array, i: IntArray, j: IntArray) -> IntArray:
    """Return the steps (3, n), each of which is rounding, from atoms i to atoms j at x; whole cells and sign aside."""
    half = round(0.5 / SAME_PLACE)
    delta = (x[j] - x[i]).T
    steps = np.rint((delta - np.rint(delta)) / SAME_PLACE).astype(np.int64)
    steps[steps == -half] = half
    signs = np.where(steps == half, 0, np.sign(steps))
    first = np.where(signs[0] != 0, signs[0], np.where(signs[1] != 0, signs[1], signs[2]))
    steps[:, first < 0] *= -1
    steps[steps == -half] = half
    return np.asarray(steps, dtype=np.int64)


def merged(groups: PairGroups, points: Sequence[Point]) -> PairGroups:
    """Return the groups, each of one pair, with those made one that are equal at all of the points.

    One pair stands for its whole group, whose number is its `mult`.
    """
    site, aniso = points[0].atoms.site, points[0].aniso
    marks = np.empty((groups.mult.size, 2))
    for k, point in enumerate(points):
        trace = point.traces()[0] if aniso else np.zeros(site.size)
        state = point.geometry.g, point.geometry.x, point.u[site], point.geometry.b, trace, point.occ[site]
        merging.mark_pairs(groups.atom_i, groups.atom_j, groups.shift, *state, aniso, k, marks)
    first, total = np.empty(groups.mult.size, dtype=np.int64), np.empty(groups.mult.size)
    table = np.zeros(1 << max(4, (2 * groups.mult.size - 1).bit_length()), dtype=np.int32)
    count = merging.merge_marks(marks, groups.group_pair, groups.mult, table, first, total)
    kept = first[:count]
    return PairGroups(
        groups.atom_i[kept],
        groups.atom_j[kept],
        groups.shift[kept],
        total[:count].copy(),
        groups.group_pair[kept],
    )
