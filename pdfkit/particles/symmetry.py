"""The point group of a finite set of atoms: which turns and reflections about its centre map it onto itself.

Candidates map two atoms of the smallest set of equal element and distance from the centre onto two others; each is
fitted to all atoms (Kabsch) and kept if every atom then lies within `TOLERANCE` of one of its element. The operations
that are left form a group, or the tolerance is halved. Their matrices, which are as inexact as the places of atoms, are
made an exact representation of that group by averaging R_g ← ⟨R_h⁻¹R_hg⟩ over h (Grove, Karcher & Ruh, Math. Ann. 211,
7 (1974)), which converges quadratically.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError
from pdfkit.particles.particle import Particle

TOLERANCE = 0.05
"""Å: an atom that a symmetry operation leaves within this of another one is mapped onto it."""
HALVINGS = 8
CENTRE = 0.1
"""Å: nearer to the centre than this an atom lies in it."""
STRAIGHT = 0.1
"""Sine of the angle that two atoms need to say how a particle is turned."""
ROUNDS = 12


@dataclass(frozen=True, eq=False)
class PointGroup:
    """operations (g, 3, 3) about centre (3,), the identity first; images (g, n): where each atom goes; tolerance (Å).

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.particles.symmetry import PointGroup
    >>> PointGroup.of(pk.build.tetrahedron("CdSe_zincblende", 4)).order
    24
    """

    operations: Array
    images: IntArray
    centre: Array
    tolerance: float

    @classmethod
    def of(cls, particle: Particle) -> Self:
        """Return the point group of a particle. StructureError for atoms on a line, which has infinitely many turns."""
        centre = particle.xyz.mean(axis=0)
        x, tolerance = particle.xyz - centre, TOLERANCE
        for _ in range(HALVINGS):
            operations, images = _operations(particle, x, tolerance)
            table = _table(operations, images)
            if (table >= 0).all():
                return cls(_exact(operations, table), images, centre, tolerance)
            tolerance *= 0.5
        one = np.eye(3)[None]
        return cls(one, np.arange(len(particle))[None], centre, tolerance)

    @property
    def order(self) -> int:
        """Number of operations."""
        return len(self.operations)

    @cached_property
    def orbits(self) -> tuple[IntArray, ...]:
        """Sets of atoms that the operations map onto each other."""
        first = self.images.min(axis=0)
        return tuple(np.flatnonzero(first == k) for k in np.unique(first))

    def mapped(self, vectors: Array, g: int) -> Array:
        """Return displacements (3n, k) as operation g turns them and takes them along with the atoms."""
        n = self.images.shape[1]
        out = np.empty((n, 3, vectors.shape[1]))
        out[self.images[g]] = self.operations[g] @ vectors.reshape(n, 3, -1)
        return out.reshape(3 * n, -1)


def _operations(particle: Particle, x: Array, tolerance: float) -> tuple[Array, IntArray]:
    """Return the operations (g, 3, 3) that map atoms at x (n, 3) onto each other, and where atoms go (g, n)."""
    first, second = _pair(particle, x, tolerance)
    frame = _frame(x[first], x[second])
    found: list[tuple[Array, IntArray]] = []
    for a in _like(particle, x, first, tolerance):
        for b in _like(particle, x, second, tolerance):
            if abs(np.linalg.norm(x[a] - x[b]) - np.linalg.norm(x[first] - x[second])) > 2.0 * tolerance:
                continue
            for sign in (1.0, -1.0):
                other = _frame(x[a], x[b]) * np.array([1.0, 1.0, sign])
                one = _fitted(particle, x, _orthogonal(other @ np.linalg.inv(frame)), tolerance)
                if one is not None and not any(np.allclose(one[0], known, atol=0.1) for known, _ in found):
                    found.append(one)
    found.sort(key=lambda one: -float(np.trace(one[0])))
    return np.array([one for one, _ in found]), np.array([images for _, images in found])


def _pair(particle: Particle, x: Array, tolerance: float) -> tuple[int, int]:
    """Return two atoms whose images say how the particle is turned, from sets as small as there are."""
    r = np.linalg.norm(x, axis=1)
    away = np.flatnonzero(r > CENTRE)
    sizes = {int(k): len(_like(particle, x, int(k), tolerance)) for k in away}
    order = sorted(sizes, key=lambda k: (sizes[k], k))
    for first in order[:1]:
        for second in order:
            if np.linalg.norm(np.cross(x[first], x[second])) > STRAIGHT * r[first] * r[second]:
                return first, second
    raise StructureError(f"the {len(particle)} atoms lie on a line: their displacements have no point group, so use "
                         'moves="atoms" or "shells"')  # fmt: skip


def _like(particle: Particle, x: Array, k: int, tolerance: float) -> list[int]:
    """Return the atoms of the element of atom k that are as far from the centre."""
    r = np.linalg.norm(x, axis=1)
    return np.flatnonzero((particle.kind == particle.kind[k]) & (np.abs(r - r[k]) < 2.0 * tolerance)).tolist()


def _frame(a: Array, b: Array) -> Array:
    return np.column_stack([a, b, np.cross(a, b)])


def _orthogonal(matrix: Array, sign: float = 0.0) -> Array:
    """Return the orthogonal matrix next to one; with a determinant of this sign, which atoms in a plane leave open."""
    u, _, vt = np.linalg.svd(matrix)
    if sign and np.linalg.det(u @ vt) * sign < 0:
        u[:, 2] *= -1.0
    return np.asarray(u @ vt)


def _fitted(particle: Particle, x: Array, turn: Array, tolerance: float) -> tuple[Array, IntArray] | None:
    """Return a turn fitted to all atoms, and where they go; None where some go nowhere."""
    found = None
    for _ in range(2):
        found = _images(particle, x, x @ turn.T, 4.0 * tolerance)
        if found is None:
            return None
        turn = _orthogonal(x[found].T @ x, float(np.linalg.det(turn)))
    assert found is not None
    off = np.linalg.norm(x @ turn.T - x[found], axis=1)
    return (turn, found) if float(off.max()) <= tolerance else None


def _images(particle: Particle, x: Array, moved: Array, reach: float) -> IntArray | None:
    from scipy.spatial import cKDTree

    d, images = cKDTree(x).query(moved)
    fits = float(d.max()) <= reach and np.unique(images).size == images.size
    return np.asarray(images) if fits and (particle.kind[images] == particle.kind).all() else None


def _table(operations: Array, images: IntArray) -> IntArray:
    """Return the products (g, g): which operation is first h, then g; −1 where none is."""
    known = {
        (one.tobytes(), bool(np.linalg.det(turn) > 0)): k
        for k, (turn, one) in enumerate(zip(operations, images, strict=True))
    }
    proper = np.linalg.det(operations) > 0
    return np.array([
        [known.get((one[other].tobytes(), bool(proper[g] == proper[h])), -1) for h, other in enumerate(images)]
        for g, one in enumerate(images)
    ])  # fmt: skip


def _exact(operations: Array, table: IntArray) -> Array:
    """Return matrices that multiply exactly as the table says, next to operations (g, 3, 3)."""
    out = operations
    for _ in range(ROUNDS):
        mean = np.array(
            [np.mean([out[h].T @ out[table[h, g]] for h in range(len(out))], axis=0) for g in range(len(out))]
        )
        out = np.array([_orthogonal(one) for one in mean])
    return out
