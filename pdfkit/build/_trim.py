"""Atoms with too few neighbours, taken away until none is left: counted on the grid of the lattice, all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import IntArray
from pdfkit.build import _roles
from pdfkit.build._source import Source
from pdfkit.errors import StructureError
from pdfkit.geometry import shell_cutoff
from pdfkit.particle import Particle

BOND_REACH = 8.0
"""Å: no first shell of a crystal is wider."""


def well_bonded(source: Source, sites: IntArray, least: int) -> NDArray[np.bool_]:
    """Return which of the sites (k, 4) stay when all with fewer than `least` neighbours go, again and again."""
    steps = _steps(source)
    reach = max(int(np.abs(n).max()) for n, _, _ in steps)
    cells = sites[:, :3] - sites[:, :3].min(axis=0) + reach
    shape = tuple(int(s) for s in cells.max(axis=0) + reach + 1)
    there = np.zeros((len(source.elements), *shape), dtype=np.bool_)
    index = (sites[:, 3], cells[:, 0], cells[:, 1], cells[:, 2])
    there[index] = True
    while True:
        count = np.zeros(there.shape, dtype=np.int8)
        for n, a, b in steps:
            ahead = tuple(slice(reach + k, s - reach + k) for k, s in zip(n, shape, strict=True))
            inner = tuple(slice(reach, s - reach) for s in shape)
            count[a][inner] += there[b][ahead]
        left = there & (count >= least)
        if (left == there).all():
            return np.asarray(there[index])
        there = left


def _steps(source: Source) -> list[tuple[tuple[int, ...], int, int]]:
    """Return (n, a, b): a site of basis a has a neighbour of basis b n cells on, wherever that one is there."""
    reach = _reach(source)
    vectors, offsets = source.lattice.vectors, source.lattice.offsets
    span = np.ceil(BOND_REACH * np.linalg.norm(np.linalg.inv(vectors), axis=0)).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), axis=-1).reshape(-1, 3)
    out = []
    for a, first in enumerate(source.elements):
        for b, second in enumerate(source.elements):
            limit = reach.get((first, second), 0.0)
            d = np.linalg.norm(grid @ vectors + offsets[b] - offsets[a], axis=1)
            out += [(tuple(map(int, n)), a, b) for n in grid[(d > 0.1) & (d <= limit)]]
    return out


def _reach(source: Source) -> dict[tuple[str, str], float]:
    """Return how far the first shell of neighbours reaches (Å), for each pair of elements that are neighbours."""
    around = source.neighbourhood
    elements = sorted(set(source.elements))
    negative, positive = _roles.anions(elements), _roles.cations(elements)
    if not negative:
        alike = Particle.of([elements[0]] * len(around), around.xyz)
        limit = shell_cutoff(alike, elements[0], elements[0])
        return {(a, b): limit for a in elements for b in elements}
    out = {}
    for a in sorted(positive):
        for b in sorted(negative):
            try:
                out[a, b] = out[b, a] = shell_cutoff(around, a, b)
            except StructureError:
                continue
    return out
