"""A block of a stack of bilayers as a network: anion sites, the cations of each, and the anions next to each.

Positions are whole numbers: x in a_h/2, y in a_h/(2√3), z in h/4, so that with ideal bilayers the squared distance is
(6Δx² + 2Δy² + Δz²)·a_h²/24, exactly: sets are compared without rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.build._stacking import hexagonal, letters_of
from pdfkit.kernels.search import BONDS, NEIGHBOURS

METRIC = np.array([6, 2, 1], dtype=np.int64)
# Lateral steps from an anion to its three upper cations, for a bilayer one step on (A → B) and one step back.
_UP = {1: ((1, 1), (-1, 1), (0, -2)), 2: ((-1, -1), (1, -1), (0, 2))}
# z of an anion within its bilayer (u = 3/8), in h/4.
ANION_HEIGHT = 3


@dataclass(frozen=True, eq=False)
class Block:
    """A finite piece of a stack; every anion in it has all of its four cations.

    anions, cations : (na, 3) and (nc, 3) integer positions. cation_of : (na, 4), the first one below the anion.
    next_to : (na, 12) anions that share a cation, −1 where there is none in the block. letters : of one period.
    starts : anions near the middle, of every bilayer of one period.
    """

    anions: IntArray
    cations: IntArray
    cation_of: Int32Array
    next_to: Int32Array
    letters: IntArray
    starts: IntArray

    def hexagonality(self, members: IntArray) -> float:
        """Return the share of eclipsed bonds among the vertical bonds of a set that have a conformation at all.

        The bond from an anion down to its cation has one when the cation has another anion. nan without any.
        """
        below = self.cation_of[members, 0]
        count = np.bincount(self.cation_of[members].ravel())
        bilayer = self.cations[below, 2][count[below] > 1] // 4
        if not bilayer.size:
            return math.nan
        return float(self._hexagonal[bilayer % self.letters.size].mean())

    @cached_property
    def _hexagonal(self) -> Array:
        return np.asarray(hexagonal(self.letters), dtype=np.float64)


@lru_cache(maxsize=32)
def block(sequence: str, n: int) -> Block:
    """Return a block of a stack (see `letters_of`) with room for compact sets of n anions started in its middle."""
    letters = letters_of(sequence)
    # A compact set is n^(1/3) anions across; small ones may be chains.
    across = max(min(n, 6), math.ceil(1.3 * n ** (1 / 3)) + 3)
    anions = _anions(letters, across)
    cation_of, cations = _cations(anions, letters)
    middle = (6 * anions[:, 0] ** 2 + 2 * anions[:, 1] ** 2 <= 40) & _in_period(anions, letters.size, across)
    return Block(anions, cations, cation_of, _next_to(cation_of, len(cations)), letters, np.flatnonzero(middle))


def _in_period(anions: IntArray, period: int, across: int) -> IntArray:
    bilayer = anions[:, 2] // 4
    return np.asarray((bilayer >= across) & (bilayer < across + period))


def _anions(letters: IntArray, across: int) -> IntArray:
    """Return anions of `across` bilayers above and below one period, within `across` cells of its axis."""
    span = np.arange(-2 * across, 2 * across + 1)
    i, j = (axis.ravel() for axis in np.meshgrid(span, span, indexing="ij"))
    out = []
    for m in range(letters.size + 2 * across):
        letter = letters[m % letters.size]
        x, y = 2 * i + j + letter, 3 * j + letter
        inside = 3 * x**2 + y**2 <= 12 * across**2
        out.append(np.stack([x[inside], y[inside], np.full(inside.sum(), 4 * m + ANION_HEIGHT)], axis=1))
    return np.concatenate(out).astype(np.int64)


def _cations(anions: IntArray, letters: IntArray) -> tuple[Int32Array, IntArray]:
    """Return the four cations of each anion (na, 4), the one below it first, and the positions of all cations."""
    bilayer = anions[:, 2] // 4
    step = (letters[(bilayer + 1) % letters.size] - letters[bilayer % letters.size]) % 3
    places = np.empty((len(anions), BONDS, 3), dtype=np.int64)
    places[:, 0] = anions - [0, 0, ANION_HEIGHT]
    for k in range(3):
        lateral = np.where((step == 1)[:, None], _UP[1][k], _UP[2][k])
        places[:, 1 + k] = np.column_stack([anions[:, :2] + lateral, anions[:, 2] + 4 - ANION_HEIGHT])
    cations, index = np.unique(places.reshape(-1, 3), axis=0, return_inverse=True)
    return index.reshape(-1, BONDS).astype(np.int32), cations


def _next_to(cation_of: Int32Array, cations: int) -> Int32Array:
    """Return the other anions at the four cations of each anion, −1 for those outside the block: (na, 12)."""
    anion, cation = np.repeat(np.arange(len(cation_of)), BONDS), cation_of.ravel()
    order = np.argsort(cation, kind="stable")
    rank = np.arange(cation.size) - np.searchsorted(cation[order], cation[order])
    at = np.full((cations, BONDS), -1, dtype=np.int32)
    at[cation[order], rank] = anion[order]
    all_four = at[cation_of].reshape(len(cation_of), -1)
    # Each cation of an anion has the anion itself once: three others, or −1, are left.
    others = all_four[all_four != np.arange(len(cation_of))[:, None]]
    return np.ascontiguousarray(others.reshape(len(cation_of), NEIGHBOURS))
