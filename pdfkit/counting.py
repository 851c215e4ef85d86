"""Pair distances of a particle: how many pairs of each kind lie at each distance.

Distances are merged into bins that carry the number of pairs and the first two moments of r, so that a peak or a Debye
term computed at the mean with the variance added to σ² is exact to third order in the width of the bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError
from pdfkit.particle import Particle

# Bins this narrow merge only what is equal: (Q·1e-5)³ ≪ 1e-10 at any Q in use.
EXACT_WIDTH = 1e-5
CLOSEST = 0.5
"""Å: atoms nearer than this are on top of each other."""


@dataclass(frozen=True, eq=False)
class PairTable:
    """Distances between the atoms of a particle, in bins, each pair i < j once.

    distance, variance, count, channel : (m,) mean distance Å, its variance within the bin Å², number of pairs (whole),
    index into `pairs`. pairs : (class a, class b), a ≤ b. atoms : (nclasses,) atoms of each class. axes : (m, 3) mean
    of Δ_k²/d (Å) along x, y, z, or None. rmax : Å, complete up to here (inf: all pairs).
    """

    distance: Array
    variance: Array
    count: Array
    channel: IntArray
    pairs: tuple[tuple[int, int], ...]
    atoms: IntArray
    rmax: float = math.inf
    axes: Array | None = None


def count_pairs(
    particle: Particle,
    *,
    labels: Any = None,
    rmax: float | None = None,
    axes: bool = False,
) -> PairTable:
    """Return the table of pair distances of a particle.

    labels : (n,) class of each atom, 0…; default its element. rmax : Å, None for all pairs. axes : whether to keep the
    moments along x, y and z.
    """
    labels = particle.kind if labels is None else np.asarray(labels, dtype=np.int64)
    i, j = np.triu_indices(len(particle), 1)
    delta = particle.xyz[j] - particle.xyz[i]
    d = np.sqrt((delta**2).sum(axis=1))
    if d.size and d.min() < CLOSEST:
        k = int(np.argmin(d))
        raise StructureError(
            f"{particle.name}: atoms {i[k] + 1} and {j[k] + 1} are {d[k]:.3f} Å apart: remove one of them"
        )
    if rmax is not None:
        near = d <= rmax
        i, j, d, delta = i[near], j[near], d[near], delta[near]
    nclasses = int(labels.max()) + 1
    a, b = np.minimum(labels[i], labels[j]), np.maximum(labels[i], labels[j])
    pairs = tuple((x, y) for x in range(nclasses) for y in range(x, nclasses))
    lookup = np.full((nclasses, nclasses), -1)
    for index, (x, y) in enumerate(pairs):
        lookup[x, y] = index
    channel = lookup[a, b]
    key = channel.astype(np.float64) * 1e9 + np.floor(d / EXACT_WIDTH)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    count = np.bincount(inverse, minlength=first.size).astype(np.float64)
    mean = np.bincount(inverse, d, minlength=first.size) / count
    spread = np.bincount(inverse, (d - mean[inverse]) ** 2, minlength=first.size) / count
    moments = None
    if axes:
        moments = np.stack(
            [np.bincount(inverse, delta[:, k] ** 2 / d, minlength=first.size) / count for k in range(3)], axis=1
        )
    return PairTable(
        mean, spread, count, channel[first].astype(np.int64), pairs,
        np.bincount(labels, minlength=nclasses), math.inf if rmax is None else rmax, moments,
    )  # fmt: skip
