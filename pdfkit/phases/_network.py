"""Bonds of a particle and the angles between them, wherever its atoms are: values and derivatives by their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.particles.particle import Particle
from pdfkit.structure.species import base, covalent_radius

BOND = 1.25
"""Two atoms are bonded up to this multiple of the sum of their covalent radii."""
ALIKE = 1.2
"""Of two elements that a restraint names, pairs up to this multiple of the shortest are bonds."""
STRAIGHT = 1e-6
"""Sine of an angle below which its derivative is taken to be 0."""


@dataclass(frozen=True, eq=False)
class Network:
    """bonds (m, 2): pairs of atoms; angles (k, 3): atom, centre, atom. lengths (m,) Å and corners (k,) °: at first."""

    bonds: IntArray
    angles: IntArray
    lengths: Array
    corners: Array

    @classmethod
    def of(cls, particle: Particle) -> Self:
        """Return all bonds of a particle by covalent radii, and the angles between two of one atom."""
        radii = np.array([covalent_radius(base(e)) for e in particle.elements])[particle.kind]
        close = near(particle.xyz, 2.0 * BOND * float(radii.max()))
        d = np.linalg.norm(particle.xyz[close[:, 0]] - particle.xyz[close[:, 1]], axis=1)
        return cls.with_bonds(particle.xyz, close[d < BOND * radii[close].sum(axis=1)])

    @classmethod
    def with_bonds(cls, xyz: Array, bonds: IntArray) -> Self:
        """Return the network of given bonds, at the places xyz (n, 3)."""
        both = np.concatenate([bonds, bonds[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        p, q = np.nonzero((both[:, 0][:, None] == both[:, 0]) & (both[:, 1][:, None] < both[:, 1]))
        angles = np.column_stack([both[p, 1], both[p, 0], both[q, 1]])
        return cls(bonds, angles, lengths(xyz, bonds)[0], corners(xyz, angles)[0])


def near(xyz: Array, reach: float) -> IntArray:
    """Return the pairs (m, 2), i < j, of atoms at xyz (n, 3) within reach (Å)."""
    from scipy.spatial import cKDTree

    found = cKDTree(xyz).query_pairs(reach, output_type="ndarray")
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))], dtype=np.int64)


def named_bonds(particle: Particle, first: str, second: str, reach: float) -> IntArray:
    """Return the bonds (m, 2) between two elements within reach (Å): up to a fifth longer than the shortest."""
    pairs = near(particle.xyz, reach)
    names = np.array([base(e) for e in particle.elements])[particle.kind]
    one, other = names[pairs[:, 0]], names[pairs[:, 1]]
    fits = ((one == first) & (other == second)) | ((one == second) & (other == first))
    pairs = pairs[fits]
    d = np.linalg.norm(particle.xyz[pairs[:, 0]] - particle.xyz[pairs[:, 1]], axis=1)
    return np.asarray(pairs[d < ALIKE * d.min(initial=np.inf)])


def named_angles(particle: Particle, names: tuple[str, str, str], reach: float) -> IntArray:
    """Return the angles (k, 3) first–centre–last between such bonds, each once."""
    first, centre, last = names
    one, other = (_from(particle, centre, named_bonds(particle, centre, end, reach)) for end in (first, last))
    p, q = np.nonzero((one[:, 0][:, None] == other[:, 0]) & (one[:, 1][:, None] != other[:, 1]))
    found = np.column_stack([one[p, 1], one[p, 0], other[q, 1]])
    return found[found[:, 0] < found[:, 2]] if first == last else found


def _from(particle: Particle, centre: str, bonds: IntArray) -> IntArray:
    """Return bonds (m, 2) with the atom of the element `centre` first; twice where both ends are."""
    both = np.concatenate([bonds, bonds[:, ::-1]])
    names = np.array([base(e) for e in particle.elements])[particle.kind]
    return np.asarray(both[names[both[:, 0]] == centre])


def lengths(xyz: Array, bonds: IntArray) -> tuple[Array, Any]:
    """Return bond lengths (m,) in Å of atoms at xyz (n, 3), and a sparse matrix (m, 3n) of their derivatives."""
    delta = xyz[bonds[:, 0]] - xyz[bonds[:, 1]]
    d = np.sqrt((delta**2).sum(axis=1))
    unit = delta / np.maximum(d, STRAIGHT)[:, None]
    return d, _sparse(bonds, np.stack([unit, -unit], axis=1), xyz.size)


def corners(xyz: Array, angles: IntArray) -> tuple[Array, Any]:
    """Return angles (k,) in degrees, and a sparse matrix (k, 3n) of their derivatives."""
    a, b = (xyz[angles[:, end]] - xyz[angles[:, 1]] for end in (0, 2))
    p, q = (np.sqrt((one**2).sum(axis=1)) for one in (a, b))
    cosine = np.clip((a * b).sum(axis=1) / (p * q), -1.0, 1.0)
    sine = np.sqrt(1.0 - cosine**2)
    factor = np.where(sine > STRAIGHT, -1.0 / np.maximum(sine, STRAIGHT), 0.0)[:, None]
    by_a = factor * (b / (p * q)[:, None] - (cosine / p**2)[:, None] * a)
    by_b = factor * (a / (p * q)[:, None] - (cosine / q**2)[:, None] * b)
    slopes = np.degrees(np.stack([by_a, -by_a - by_b, by_b], axis=1))
    return np.degrees(np.arccos(cosine)), _sparse(angles, slopes, xyz.size)


def _sparse(atoms: IntArray, slopes: Array, columns: int) -> Any:
    """Return slopes (m, k, 3) by the places of atoms (m, k) as a sparse matrix (m, 3n)."""
    from scipy.sparse import csr_matrix

    m, k = atoms.shape
    at = (3 * atoms[:, :, None] + np.arange(3)).reshape(m, 3 * k)
    return csr_matrix((slopes.ravel(), at.ravel(), np.arange(0, 3 * k * m + 1, 3 * k)), shape=(m, columns))


def rigid(xyz: Array) -> Array:
    """Return shifts and turns of atoms at xyz (n, 3) as orthonormal displacements (3n, ≤ 6)."""
    x = xyz - xyz.mean(axis=0)
    shifts = np.tile(np.eye(3), (x.shape[0], 1))
    turns = np.stack([np.cross(axis, x).ravel() for axis in np.eye(3)], axis=1)
    u, s, _ = np.linalg.svd(np.column_stack([shifts, turns]), full_matrices=False)
    return np.asarray(u[:, s > 1e-6 * s[0]])
