"""Pairs of stacked triangular layers, as shells: which exist does not depend on the parameters, only where they lie.

Every site lies on the triangular lattice of side a_h/√3 above some layer, so in-plane distances are ρ² = a_h²·k/3 with
k = i² + ij + j². Where k is divisible by 3 the two sites have the same lateral position (A over A), else one of the
two others, each half of the points. Shells are therefore numbered by (sites, layers between, k), once per range of r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array, IntArray

# Lists are shared by all cells that round to the same reference, and complete for u within SHIFT of theirs.
RATIO = 0.02
SHIFT = 0.02


@dataclass(frozen=True)
class Shells:
    """Shells of pairs in the order of layers between; columns as `kernels.stacking.stacked_peaks` takes them.

    norm, mult: (n,); layers, bond, same, site_a, site_b: (n,) whole numbers. mult is ordered pairs per atom when every
    pair of the shell exists. most: largest number of layers between.
    """

    norm: Array
    layers: IntArray
    bond: Array
    same: IntArray
    mult: Array
    site_a: IntArray
    site_b: IntArray

    @property
    def most(self) -> int:
        """Largest number of layers between two sites of a shell."""
        return int(self.layers.max(initial=0))

    def part(self, some: slice) -> Shells:
        """Return some of the shells."""
        return Shells(*(getattr(self, column.name)[some] for column in fields(self)))


def shells(a_h: float, h: float, u: float, bilayer: bool, reach: float) -> Shells:
    """Return all shells that can lie within `reach` (Å) for a cell near a_h, h (Å) and u, and somewhat more.

    bilayer: a second site u above each (tetrahedral compounds), or one site per layer (close-packed metals).
    """
    ratio = round(math.log(h / a_h) / RATIO)
    shift = round(u / SHIFT)
    # In units of a_h, with what rounding of h/a_h and u can take off a distance.
    low = math.exp(-RATIO / 2)
    units = reach / a_h / low + h / a_h * SHIFT / low
    return _shells(ratio, shift, bilayer, math.ceil(2.0 * units))


@lru_cache(maxsize=16)
def _shells(ratio: int, shift: int, bilayer: bool, doubled: int) -> Shells:
    reach, height, u = doubled / 2.0, math.exp(ratio * RATIO), shift * SHIFT
    norms, points = _triangular(3.0 * reach * reach)
    # Kinds: site a, site b, τ, ordered pairs per atom for m = 0 and for m > 0 (both directions).
    kinds = [(0, 0, 0.0, 1.0, 2.0)]
    if bilayer:
        kinds = [(0, 0, 0.0, 0.5, 1.0), (1, 1, 0.0, 0.5, 1.0), (0, 1, 1.0, 1.0, 1.0), (0, 1, -1.0, 0.0, 1.0)]
    parts = []
    for m in range(math.floor(reach / height) + 2):
        for a, b, tau, flat, steep in kinds:
            times = steep if m else flat
            z = (m + 2.0 * u * tau) * height
            left = reach * reach - z * z
            if times == 0.0 or left < 0.0:
                continue
            inside = norms <= 3.0 * left
            same = norms % 3 == 0
            if m == 0:
                inside &= same if tau else same & (norms > 0)
            k = np.flatnonzero(inside)
            ones = np.ones(k.size)
            parts.append((norms[k] / 3.0, m * ones, tau * ones, same[k], times * points[k], a * ones, b * ones))
    norm, layers, bond, same_, mult, site_a, site_b = (np.concatenate(column) for column in zip(*parts, strict=True))
    whole = [np.ascontiguousarray(x, dtype=np.int64) for x in (layers, same_, site_a, site_b)]
    return Shells(norm, whole[0], bond, whole[1], mult, whole[2], whole[3])


def _triangular(most: float) -> tuple[IntArray, Array]:
    """Return the norms k = i² + ij + j² ≤ most of a triangular lattice and how many points have each."""
    n = math.ceil(math.sqrt(4.0 * most / 3.0))
    i = np.arange(-n, n + 1)
    k = (i * i)[:, None] + np.outer(i, i) + (i * i)[None, :]
    norms, points = np.unique(k[k <= most], return_counts=True)
    return norms.astype(np.int64), points.astype(np.float64)
