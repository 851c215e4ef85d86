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
from typing import TYPE_CHECKING

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
    geometry: Geometry, rmax: float, centres: IntArray, site: IntArray, shells: int = 1
) -> tuple[Int32Array, ...]:
    """Return (atom_i, atom_j, shift) of all pairs within rmax from the given centre atoms to sites ≥ their own.

    shells: how many shells of 1 Å follow one another, the last with all that is farther.
    """
    c = np.ascontiguousarray(np.linalg.cholesky(geometry.g).T)
    x = np.array(geometry.x)
    expected = 4.19 * rmax**3 * x.shape[0] / float(np.prod(np.diag(c)))
    parts = list(pieces(centres.size, 3e-9 * expected + 1e-7 * x.shape[0]))
    empty = np.zeros(0, dtype=np.int32)
    place = np.zeros(shells, dtype=np.int64)
    for part in parts:
        kernels.lattice_pairs(c, x, centres[part], site, rmax, place, empty, empty, np.zeros((0, 3), dtype=np.int32))
    count = int(place.sum())
    out = (np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32), np.empty((count, 3), dtype=np.int32))
    if count:
        place = np.cumsum(place) - place
        for part in parts:
            kernels.lattice_pairs(c, x, centres[part], site, rmax, place, *out)
    return out


def listed(
    geometry: Geometry,
    rmax: float,
    centres: IntArray,
    site: IntArray,
    mult: IntArray,
    pair: Callable[[IntArray, IntArray], IntArray],
) -> PairGroups:
    """Return every pair of a crystal within rmax (Å), a group of its own, in the order of their distances.

    Neighbours in that order add to the same part of a curve.
    centres: the first atom of each site; site (natoms,): site of each atom; mult (nsites,): atoms per site; pair:
    gives the species pairs of sites i and j.
    """
    # Two in a row that add to the same points of a curve wait for each other: the order is to 1 Å alone.
    atom_i, atom_j, shift = enumerate_pairs(geometry, rmax, centres, site, shells=max(1, math.ceil(rmax)))
    s_i, s_j = site.take(atom_i), site.take(atom_j)
    many = np.asarray(mult, dtype=np.float64).take(s_i)
    many *= 2.0 - (s_i == s_j)
    return PairGroups(atom_i, atom_j, shift, many, pair(s_i, s_j))


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
