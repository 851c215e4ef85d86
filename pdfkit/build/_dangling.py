"""Where ligands bind: bonds that atoms of a tetrahedral network lack, and their pairing for ligands of two anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.build import _source
from pdfkit.build.description import bonds, neighbours
from pdfkit.errors import StructureError
from pdfkit.particles.particle import Particle

ARMS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
"""Directions of the four bonds of a tetrahedral atom."""
NEAR = 1.15
"""Two cations are next to each other up to this multiple of their distance in the crystal, √(8/3) of a bond."""
APART = -0.3
"""Cosine below which two dangling bonds point away from each other too much for one ligand to span them."""


@dataclass(frozen=True, eq=False)
class Dangling:
    """Missing bonds: the atom (m,) that each is of, its direction (m, 3), and the mean bond (Å) of the core."""

    atom: IntArray
    direction: Array
    bond: float

    def __len__(self) -> int:
        return len(self.atom)


def dangling(core: Particle, role: str) -> Dangling:
    """Return the dangling bonds of the cations or of the anions (role), as a tetrahedral network would go on.

    Raises StructureError for a particle that is no such network.
    """
    pairs, lengths = bonds(core)
    around = neighbours(pairs, len(core)) if len(pairs) else None
    if around is None or not _source.anions(core.elements):
        raise StructureError(
            f"{core.name or core.formula} is no network of cations and anions with up to four bonds each: ligands are "
            "placed where such a network lacks bonds"
        )
    kind = _source.cations(core.elements) if role == "cation" else _source.anions(core.elements)
    atoms = np.flatnonzero(np.isin(core.elements, list(kind))[core.kind] & (around < 0).any(axis=1))
    found = [_missing(core.xyz, around, int(k)) for k in atoms]
    owner = np.repeat(atoms, [len(one) for one in found]).astype(np.int64)
    return Dangling(owner, np.concatenate([*found, np.zeros((0, 3))]), float(lengths.mean()))


def _missing(xyz: Array, around: IntArray, k: int) -> Array:
    """Return the directions in which atom k lacks bonds: the tetrahedron laid onto the bonds that are there."""
    there = around[k][around[k] >= 0]
    arms = xyz[there] - xyz[k]
    arms /= np.linalg.norm(arms, axis=1)[:, None]
    if len(there) == 1:
        arms = np.vstack([arms, _staggered(xyz, around, k, int(there[0]))])
    u, _, vt = np.linalg.svd(ARMS[: len(arms)].T @ arms)
    # A mirror image of a tetrahedron is one, too: with three bonds in any order it may be needed.
    return np.asarray((ARMS @ u @ vt)[len(there) :])


def _staggered(xyz: Array, around: IntArray, k: int, neighbour: int) -> Array:
    """Return a second direction for an atom with one bond: opposite to a bond of its neighbour, seen along its own."""
    axis = (xyz[neighbour] - xyz[k]) / np.linalg.norm(xyz[neighbour] - xyz[k])
    others = [j for j in around[neighbour] if j >= 0 and j != k]
    arm = xyz[others[0]] - xyz[neighbour] if others else np.roll(axis, 1) + np.array([0.3, 0.5, 0.8])
    arm = arm - (arm @ axis) * axis
    return np.asarray(-axis / 3 - np.sqrt(8) / 3 * arm / np.linalg.norm(arm))


# --- Pairs of dangling bonds -----------------------------------------------------------------------------------------


def paired(xyz: Array, where: Dangling, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return as many pairs of dangling bonds as there can be, each for one ligand: a maximum matching of their graph.

    Two bonds of one atom make a chelate; bonds of two atoms next to each other a bridge, if they do not point away from
    each other. Bridges whose bonds converge come first; among equals the seed decides. Best first.
    """
    import networkx
    from scipy.spatial import cKDTree

    graph = networkx.Graph()
    reach = NEAR * np.sqrt(8 / 3) * where.bond
    for i, j in sorted(cKDTree(xyz[where.atom]).query_pairs(reach)) if len(where) else []:
        weight = _span(xyz, where, i, j)
        if weight is not None:
            graph.add_edge(i, j, weight=weight + 0.1 * float(rng.random()))
    found = networkx.max_weight_matching(graph, maxcardinality=True)
    pairs = [(min(pair), max(pair)) for pair in found]
    return sorted(pairs, key=lambda pair: (-graph.edges[pair]["weight"], pair))


def _span(xyz: Array, where: Dangling, i: int, j: int) -> float | None:
    """Return how well one ligand spans two dangling bonds, None where it cannot."""
    a, b = where.atom[i], where.atom[j]
    if a == b:
        return 0.2
    axis = xyz[b] - xyz[a]
    length = float(np.linalg.norm(axis))
    both = where.direction[i] + where.direction[j]
    converging = float((where.direction[i] - where.direction[j]) @ axis) / length
    across = float(np.linalg.norm(both - (both @ axis) * axis / length**2))
    return 1.0 + 0.5 * converging if converging > APART and across > 0.5 else None
