"""Is what a file with a cell holds a cluster, or a crystal? Bonds tell: those of a crystal run on without end."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import product

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError
from pdfkit.particles.particle import Particle
from pdfkit.structure.species import base, covalent_radius
from pdfkit.structure.structure import Structure

BOND = 1.25
"""Atoms nearer than this many times the sum of their covalent radii are bonded."""
MOST_ATOMS = 20_000


def cluster_in(structure: Structure, name: str = "") -> Particle:
    """Return the cluster that a cell holds: one piece whose bonds end, put together where the cell cuts through it.

    Raises StructureError for a crystal, for several pieces or loose atoms, for partly occupied sites, and where there
    are too many atoms to tell.
    """
    particle = Particle.from_structure(structure, name=name or structure.title)
    if len(particle) > MOST_ATOMS:
        raise StructureError(
            f"its cell has {len(particle)} atoms, too many to tell a cluster from a crystal: give a cluster as xyz"
        )
    cell = structure.basis()
    moved, pieces, endless = _unfolded(particle, cell)
    if endless:
        group = structure.spacegroup or "P 1"
        raise StructureError(
            f"this is a crystal ({group}): its bonds run on from cell to cell, so the atoms of a cell are no cluster. "
            "Give it as null= to rank a sphere of it beside the candidates, or fit it by pdfkit fit"
        )
    if pieces > 1:
        raise StructureError(
            f"its cell holds {pieces} pieces that are not bonded to each other, and which is the cluster is not known: "
            "give the cluster alone, as an xyz file"
        )
    cut = "; it was put together where the cell cuts through it" if not np.allclose(moved, particle.xyz) else ""
    words = f"taken for one cluster in a cell, as no bond leads to the next cell{cut}"
    return replace(particle, xyz=moved, lattice=None, sites=None, remarks=(*particle.remarks, words))


def _unfolded(particle: Particle, cell: Array) -> tuple[Array, int, bool]:
    """Return positions with every piece in one, the number of pieces, and whether one of them has no end."""
    first, second, shift = _bonds(particle, cell)
    around: dict[int, list[tuple[int, IntArray]]] = {k: [] for k in range(len(particle))}
    for i, j, image in zip(first.tolist(), second.tolist(), shift, strict=True):
        around[i].append((j, image))
        around[j].append((i, -image))
    at: dict[int, IntArray] = {}
    pieces = 0
    endless = False
    for start in range(len(particle)):
        if start in at:
            continue
        pieces += 1
        at[start] = np.zeros(3, dtype=np.int64)
        waiting = deque([start])
        while waiting:
            i = waiting.popleft()
            for j, image in around[i]:
                here = at[i] + image
                if j not in at:
                    at[j] = here
                    waiting.append(j)
                elif (at[j] != here).any():
                    endless = True
    return particle.xyz + np.array([at[k] for k in range(len(particle))]) @ cell, pieces, endless


def _bonds(particle: Particle, cell: Array) -> tuple[IntArray, IntArray, IntArray]:
    """Return bonds i → j + shift (m,), (m,), (m, 3), each in one direction at least, also to images of i itself."""
    from scipy.spatial import cKDTree

    radius = np.array([covalent_radius(base(element)) for element in particle.elements])[particle.kind]
    reach = 2 * BOND * float(radius.max())
    spans = [int(np.ceil(reach / height)) + 1 for height in 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)]
    tree, out = cKDTree(particle.xyz), []
    for image in product(*(range(-span, span + 1) for span in spans)):
        near = tree.sparse_distance_matrix(cKDTree(particle.xyz + np.array(image) @ cell), reach, output_type="ndarray")
        i, j = near["i"].astype(np.int64), near["j"].astype(np.int64)
        bonded = (near["v"] <= BOND * (radius[i] + radius[j])) & (near["v"] > 0.1)
        out.append((i[bonded], j[bonded], np.tile(np.array(image, dtype=np.int64), (int(bonded.sum()), 1))))
    first, second, shift = (np.concatenate(part) for part in zip(*out, strict=True))
    return first, second, shift
