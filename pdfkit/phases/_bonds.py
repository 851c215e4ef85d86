"""The nearest bond of a crystal that counts: what limits correlated motion.

σ² → σ²(1 − δ₁/r − δ₂/r²) takes the width of a pair at r < δ₁ or r² < δ₂. The pairs that matter are those that scatter:
H–H in a hybrid perovskite is nothing beside Pb–I, and atoms that share one place by halves are never a pair.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit._species import covalent_radius
from pdfkit.phases import _orbits
from pdfkit.phases._geometry import Atoms
from pdfkit.phases._orbits import Geometry
from pdfkit.structure import Site

A_BOND = 0.1
"""Weight Σ c f f/⟨f⟩² per atom that makes a bond; one neighbour among equals weighs 1."""
OVERLAP = 0.6
"""Partly occupied atoms nearer than this share of their covalent radii stand for one another."""


def shortest(geometry: Geometry, atoms: Atoms, sites: Sequence[Site], strengths: Sequence[float]) -> float:
    """Return the distance (Å) within which pairs first add up to `A_BOND`; strengths (nsites,) at Q = 0.

    Where nothing adds up to that (one atom scatters, the others hardly), the nearest pair that is one.
    """
    occ = np.array([site.occ for site in sites])
    b = np.abs(strengths) * occ
    count = np.bincount(atoms.site, minlength=occ.size).astype(float)
    norm = float((count * b).sum()) ** 2 / max(float((count * occ).sum()), 1e-12)
    reach = float(np.cbrt(math.sqrt(np.linalg.det(geometry.g)) / atoms.site.size))
    while True:
        distance, weight = _pairs(geometry, atoms, sites, b, count, reach)
        total = np.cumsum(weight) / max(norm, 1e-300)
        if total.size and total[-1] >= A_BOND:
            return float(distance[int(np.searchsorted(total, A_BOND))])
        if reach > 12.0 and distance.size:
            return float(distance[0])
        reach *= 1.5


def _pairs(
    geometry: Geometry, atoms: Atoms, sites: Sequence[Site], b: Array, count: Array, reach: float
) -> tuple[Array, Array]:
    """Return distances (Å) in order, and count·b·b of each ordered pair, without pairs that are none."""
    i, j, shift = _orbits.enumerate_pairs(geometry, reach, atoms.first, atoms.site)
    delta = geometry.x[j] + shift - geometry.x[i]
    distance = np.sqrt(np.einsum("pa,ab,pb->p", delta, geometry.g, delta))
    s, t = atoms.site[i], atoms.site[j]
    weight = np.where(s == t, 1.0, 2.0) * count[s] * b[s] * b[t]
    order = np.argsort(distance)
    order = order[~_exclusive(sites, s, t, distance)[order]]
    return distance[order], weight[order]


def _exclusive(sites: Sequence[Site], s: IntArray, t: IntArray, distance: Array) -> Any:
    """Return which pairs are of partly occupied atoms that cannot both be there."""
    occ = np.array([site.occ for site in sites])
    if (occ >= 1.0).all():
        return np.zeros(distance.size, dtype=bool)
    radius = np.array([covalent_radius(site.element) for site in sites])
    partial = (occ[s] < 1.0) & (occ[t] < 1.0) & (occ[s] + occ[t] < 1.001)
    return partial & (distance < OVERLAP * (radius[s] + radius[t]))
