"""Pairs of a crystal, grouped once so that each group has one distance and one width whatever the parameters.

Grouping needs no space-group algebra: every symmetry-independent parameter is moved to a generic value (an irrational
amount away), and pairs of the same two sites that still have the same distance and the same projected displacement
there have them everywhere. This finds the orbits of the space group, the pair (i, j) and its mirror image (j, i), and
the degeneracies of cubic and hexagonal lattices (330 and 411) alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit._machine import pieces
from pdfkit.kernels import pairs as kernels

# Numbers of the generic point agree to this within a group. Rounding is 1e-14; a chance coincidence of two different
# groups at 1e-9 relative is caught by the second generic point.
SAME = 1e-9


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
    """Enumerated pairs in group order. Group k holds pairs start[k]…start[k+1]−1, all of sites (site_i, site_j).

    `mult` is the number of pairs in the cell that a stored pair stands for.
    """

    start: IntArray
    atom_i: Int32Array
    atom_j: Int32Array
    shift: Int32Array
    mult: Array
    group_pair: IntArray


def enumerate_pairs(geometry: Geometry, rmax: float, centres: IntArray, site: IntArray) -> tuple[Int32Array, ...]:
    """Return (atom_i, atom_j, shift) of all pairs within rmax from the given centre atoms to sites ≥ their own."""
    c = np.ascontiguousarray(np.linalg.cholesky(geometry.g).T)
    x = np.array(geometry.x)
    expected = 4.19 * rmax**3 * x.shape[0] / float(np.prod(np.diag(c)))
    parts = list(pieces(centres.size, 3e-9 * expected + 1e-7 * x.shape[0]))
    empty = np.zeros(0, dtype=np.int32)
    none = (empty, empty, np.zeros((0, 3), dtype=np.int32))
    counts = [kernels.lattice_pairs(c, x, centres[part], site, rmax, *none) for part in parts]
    count = sum(counts)
    atom_i, atom_j = np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int32)
    shift = np.zeros((count, 3), dtype=np.int32)
    low = 0
    for part, more in zip(parts, counts, strict=True):
        own = slice(low, low + more)
        kernels.lattice_pairs(c, x, centres[part], site, rmax, atom_i[own], atom_j[own], shift[own])
        low += more
    return atom_i, atom_j, shift


def group_pairs(
    at: Callable[[int], Geometry],
    rmax: float,
    centres: IntArray,
    site: IntArray,
    site_mult: IntArray,
    pair: IntArray,
    symmetric: bool,
) -> PairGroups:
    """Enumerate the pairs of a crystal within rmax (Å) and group those that symmetry makes equal.

    `at(0)` is the crystal itself, `at(1)` and `at(2)` generic points near it; centres: the first atom of each site;
    site (natoms,): site of each atom; site_mult (nsites,): atoms per site; pair (nsites, nsites): species pair.
    Without symmetry (`symmetric=False`) every pair is a group of its own.
    """
    here = at(0)
    atom_i, atom_j, shift = enumerate_pairs(here, rmax, centres, site)
    s_i, s_j = site[atom_i], site[atom_j]
    if symmetric and atom_i.size:
        keys = [s_i * site_mult.size + s_j]
        for k in (1, 2):
            generic = at(k)
            aniso = bool(generic.b.any())
            out = np.empty((atom_i.size, 2))
            kernels.pair_projections(atom_i, atom_j, shift, generic.g, generic.x, generic.b, aniso, out)
            keys += [_labels(out[:, 0]), _labels(out[:, 1])] if aniso else [_labels(out[:, 0])]
        order = np.lexsort(keys)
        new = np.zeros(order.size, dtype=bool)
        new[0] = True
        for key in keys:
            sorted_key = key[order]
            new[1:] |= sorted_key[1:] != sorted_key[:-1]
        first = np.flatnonzero(new)
        count = np.diff(np.append(first, order.size)).astype(float)
        # One pair stands for its whole group: the others are its images.
        chosen = order[first]
        atom_i, atom_j, shift = atom_i[chosen], atom_j[chosen], shift[chosen]
        s_i, s_j = s_i[chosen], s_j[chosen]
    else:
        count = np.ones(atom_i.size)
    mult = np.asarray(count * site_mult[s_i] * np.where(s_i == s_j, 1.0, 2.0), dtype=np.float64)
    return PairGroups(
        start=np.arange(atom_i.size + 1, dtype=np.int64),
        atom_i=atom_i,
        atom_j=atom_j,
        shift=shift,
        mult=mult,
        group_pair=pair[s_i, s_j],
    )


def _labels(values: Array) -> IntArray:
    """Number the distinct values (equal within SAME, relative): sorted runs, so that no bin edge can split one."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    gap = np.diff(ordered) > SAME * np.maximum(np.abs(ordered[1:]), 1e-6)
    labels = np.empty(values.size, dtype=np.int64)
    labels[order] = np.concatenate(([0], np.cumsum(gap)))
    return labels
