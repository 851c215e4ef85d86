"""How atoms of a particle may be displaced: by a normal distribution that keeps bonds, and what that does to distances.

    S⁻¹ ∝ 1 + STIFF·B̃ᵀB̃

is the inverse covariance of all coordinates for a root mean square of 1 Å; B̃: changes of the bond lengths but for their
mean. Atoms with few bonds, those of the surface, move most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.phases.base import Phase
from pdfkit.phases.cluster import Cluster

STIFF = 20.0
"""How much dearer a change of a bond length is than a displacement by as much."""
BONDED = 1.2
"""Atoms are bonded within so many times the distance of the nearest neighbour of either."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of a particle: first, second (m,) atoms, distance (m,) in Å, direction (m, 3)."""

    first: IntArray
    second: IntArray
    distance: Array
    direction: Array

    @classmethod
    def of(cls, xyz: Array) -> Pairs:
        """Return the pairs of atoms at xyz (n, 3)."""
        first, second = np.triu_indices(len(xyz), 1)
        step = xyz[first] - xyz[second]
        distance = np.sqrt((step**2).sum(axis=1))
        return cls(first, second, distance, step / distance[:, None])

    @property
    def bonded(self) -> Mask:
        """Which pairs are bonds (m,)."""
        nearest = np.full(int(self.second.max()) + 1, math.inf)
        np.minimum.at(nearest, self.first, self.distance)
        np.minimum.at(nearest, self.second, self.distance)
        return np.asarray(self.distance <= BONDED * np.maximum(nearest[self.first], nearest[self.second]))


def covariance(pairs: Pairs, stiff: float = STIFF) -> Array:
    """Return S (3n, 3n) in Å² for displacements of rms 1 Å that keep bonds; stiff=0: each atom by itself."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.sparse import csr_array

    n = int(pairs.second.max()) + 1
    bonds = np.flatnonzero(pairs.bonded)
    rows, axes = np.arange(bonds.size)[:, None], np.arange(3)
    columns = np.stack([3 * pairs.first[bonds, None] + axes, 3 * pairs.second[bonds, None] + axes])
    values = np.stack([pairs.direction[bonds], -pairs.direction[bonds]])
    at = np.broadcast_to(rows, columns.shape).ravel(), columns.ravel()
    changes = csr_array((values.ravel(), at), shape=(bonds.size, 3 * n))
    mean = np.asarray(changes.sum(axis=0)).ravel() / max(bonds.size, 1)
    inverse = stiff * ((changes.T @ changes).toarray() - bonds.size * np.outer(mean, mean))
    inverse[np.diag_indices_from(inverse)] += 1.0
    out = cho_solve(cho_factor(inverse, overwrite_a=True), np.eye(3 * n), overwrite_b=True)
    return np.asarray(out * (n / np.trace(out)))


def pair_variance(pairs: Pairs, spread: Array) -> Array:
    """Return s² (m,) of the distance of every pair under S."""
    n = spread.shape[0] // 3
    blocks = spread.reshape(n, 3, n, 3).transpose(0, 2, 1, 3)
    i, j = pairs.first, pairs.second
    both = blocks[i, i] + blocks[j, j] - blocks[i, j] - blocks[j, i]
    return np.asarray(np.einsum("pa,pab,pb->p", pairs.direction, both, pairs.direction))


def root(xyz: Array, stiff: float = STIFF) -> Array:
    """Return what makes displacements (3n,) of 1 Å rms of independent normal numbers (3n,)."""
    return np.asarray(np.linalg.cholesky(covariance(Pairs.of(xyz), stiff)))


def moving(phase: Phase) -> Cluster:
    """Return a cluster whose atoms can be displaced."""
    return replace(cast(Cluster, phase), moves="atoms", amplitudes=())
