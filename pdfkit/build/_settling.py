"""Ligands come to rest: atoms too near to each other are pushed apart, while each ligand keeps its shape and its bonds.

    E = ½ Σ_kept (d − d₀)² + ½ P Σ_near max(0, c − d)²

d₀ : distances within a ligand over one or two bonds and in its stiff parts, and from its binding atoms to the core.
c : `CONTACT` times the sum of two van der Waals radii, for all other pairs. The atoms of the core stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.structure.species import base

CONTACT = 0.8
"""Of the sum of the van der Waals radii: H···H 1.76, C···H 2.24, C···C 2.72 Å."""
ENOUGH = 0.93
"""Ligands have room when no two of their atoms are nearer than this part of their least distance."""
PUSH = 1.0
ROUNDS = 600


@dataclass(frozen=True, eq=False)
class Bundle:
    """Atoms of the core, which stand still, followed by those of the ligands.

    xyz (n, 3) in Å; radius (n,) van der Waals; fixed : atoms of the core. kept (m, 2) and length (m,) : distances that
    are kept. bonded (n, n) sparse : pairs that are no contacts. corners (k, 2), corner (k,) : pairs over two bonds, one
    of them to the core, and how near they may come.
    """

    xyz: Array
    radius: Array
    fixed: int
    kept: IntArray
    length: Array
    bonded: frozenset[tuple[int, int]]
    corners: IntArray
    corner: Array

    def contacts(self, xyz: Array) -> tuple[IntArray, Array]:
        """Return the pairs (m, 2) that are nearer than they should be, and their least distances (m,)."""
        from scipy.spatial import cKDTree

        reach = 2.0 * CONTACT * float(self.radius.max())
        pairs = cKDTree(xyz).query_pairs(reach, output_type="ndarray")
        pairs = pairs[pairs[:, 1] >= self.fixed]
        least = CONTACT * self.radius[pairs].sum(axis=1)
        near = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1) < least
        pairs, least = pairs[near], least[near]
        free = np.array([(i, j) not in self.bonded for i, j in pairs.tolist()], dtype=np.bool_)
        ends = xyz[self.corners[:, 0]] - xyz[self.corners[:, 1]]
        tight = np.linalg.norm(ends, axis=1) < self.corner
        pairs, least = np.concatenate([pairs[free], self.corners[tight]]), np.append(least[free], self.corner[tight])
        return pairs, least

    def energy(self, flat: Array) -> tuple[float, Array]:
        """Return E and its gradient for the atoms of the ligands."""
        xyz = np.concatenate([self.xyz[: self.fixed], flat.reshape(-1, 3)])
        force = np.zeros_like(xyz)
        near, least = self.contacts(xyz)
        total = _spring(xyz, force, self.kept, self.length, 1.0) + _spring(xyz, force, near, least, PUSH)
        return total, force[self.fixed :].ravel()

    def settled(self) -> Array:
        """Return the positions (n, 3) at rest."""
        from scipy.optimize import minimize

        start = self.xyz[self.fixed :].ravel()
        found = minimize(self.energy, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS, "gtol": 1e-4})
        return np.concatenate([self.xyz[: self.fixed], found.x.reshape(-1, 3)])

    def tightest(self, xyz: Array) -> tuple[float, tuple[int, int]]:
        """Return the smallest distance as a part of what it should be, 1 where all have room, and whose it is."""
        pairs, least = self.contacts(xyz)
        if not len(pairs):
            return 1.0, (0, 0)
        part = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1) / least
        k = int(part.argmin())
        return float(part[k]), (int(pairs[k, 0]), int(pairs[k, 1]))


def _spring(xyz: Array, force: Array, pairs: IntArray, length: Array, stiffness: float) -> float:
    """Add the gradient of ½·stiffness·Σ (d − length)² and return that sum."""
    if not len(pairs):
        return 0.0
    delta = xyz[pairs[:, 0]] - xyz[pairs[:, 1]]
    d = np.maximum(np.linalg.norm(delta, axis=1), 1e-6)
    pull = (stiffness * (d - length) / d)[:, None] * delta
    for axis in range(3):
        force[:, axis] += np.bincount(pairs[:, 0], pull[:, axis], len(xyz))
        force[:, axis] -= np.bincount(pairs[:, 1], pull[:, axis], len(xyz))
    return float(0.5 * stiffness * ((d - length) ** 2).sum())


def radii(symbols: list[str]) -> Array:
    """Return van der Waals radii in Å (2 where none is known)."""
    from ase.data import atomic_numbers, vdw_radii

    known = np.array([vdw_radii[atomic_numbers[base(symbol)]] for symbol in symbols])
    return np.where(np.isfinite(known), known, 2.0)


def near_in(steps: IntArray, most: int) -> NDArray[np.bool_]:
    """Return which pairs of a ligand's atoms are joined by at most so many bonds."""
    return np.asarray((steps <= most) & (steps > 0))
