"""Connected sets of anions with a given number of cations, in a block of a stack of bilayers.

Positions are whole numbers: x in a_h/2, y in a_h/(2√3), z in h/4, so that with ideal bilayers the squared distance is
(6Δx² + 2Δy² + Δz²)·a_h²/24, exactly: sets are compared without rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np

from pdfkit._checks import Array, Int32Array, IntArray
from pdfkit.build._stacking import hexagonal, letters_of
from pdfkit.kernels import search
from pdfkit.kernels.search import BONDS, NEIGHBOURS

# --- A block of a stack of bilayers as a network ---------------------------------------------------------------------

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


# --- Connected sets of anions with a given number of cations ---------------------------------------------------------

# Hotter, or with fewer and longer walks, fewer distinct sets are found in the same time. With these numbers five seeds
# of five find the same complete Cd37S20 in each stack of `exact.STACKINGS`, with half the restarts three of five.
HOT, COLD = 0.5, 0.2

RESTARTS = 64

STEPS = 3_000
"""Steps a restart, for each anion of the set."""

SETS = 5_000
"""No more distinct sets than this are kept of one stack and number of cations."""

WORK = 5_000_000
"""Units of 10 ns that the search runs on without a pause."""

VARIANTS = 2_000_000
"""And no more ways to leave cations out of them are weighed (40 MB)."""


@dataclass(frozen=True)
class Search:
    """What a search is made with. effort multiplies the restarts."""

    seed: int
    effort: float = 1.0


@lru_cache(maxsize=24)
def find_sets(sequence: str, n: int, m: int, how: Search) -> tuple[Block, Int32Array, int]:
    """Return the block, the distinct sets (k, n) of n anions that have m cations, and the fewest cations met.

    The last searches are kept: asking for the same candidates again, or for other kinds of them, costs nothing.
    """
    where = block(sequence, n)
    spread = np.random.SeedSequence([how.seed, n, m, *map(ord, sequence)])
    rng = np.random.default_rng(spread)
    starts = rng.choice(where.starts, max(1, round(RESTARTS * how.effort)))
    state = rng.integers(1, 2**63, 1, dtype=np.uint64)
    found = np.zeros((SETS, n), dtype=np.int32)
    least = np.array([4 * n], dtype=np.int64)
    seen, walk = np.zeros(4 * SETS, dtype=np.uint64), search.begin(n, len(where.anions), len(where.cations))
    done = False
    while not done:  # Ctrl-C is heard between two pieces
        done = search.anneal(
            where.anions, where.cations, where.cation_of, where.next_to, starts, m, STEPS * n, HOT, COLD, state,
            found, seen, least, walk, WORK,
        )  # fmt: skip
    sets = np.sort(found[: walk.at[2]], axis=1)
    edge = _edge(n)
    if sequence == "c" and edge and m == math.comb(edge + 3, 3):
        sets = np.concatenate([_tetrahedron(where, n), sets])
    sets.setflags(write=False)
    return where, sets, int(least[0])


def _edge(n: int) -> int:
    """Return q where n = q(q+1)(q+2)/6 is a tetrahedral number, 0 where it is none."""
    return next((q for q in range(1, n + 1) if math.comb(q + 2, 3) == n), 0)


def _tetrahedron(where: Block, n: int) -> Int32Array:
    """Return the tetrahedron of n anions of zinc blende as a set (1, n): a search rarely hits the large ones."""
    q = _edge(n)
    at = {tuple(place): index for index, place in enumerate(where.anions.tolist())}
    i = np.array([i for i in itertools.product(range(q), repeat=3) if sum(i) < q])
    # From the middle of the block up: three lateral steps to the next bilayer span the lattice of the anions.
    places = where.anions[where.starts[0]] + i @ np.array([[1, 1, 4], [-1, 1, 4], [0, -2, 4]])
    return np.sort(np.array([[at[tuple(place)] for place in places.tolist()]], dtype=np.int32), axis=1)


def atoms_of(where: Block, members: IntArray, without: tuple[int, ...] = ()) -> tuple[IntArray, IntArray]:
    """Return the integer positions of the cations and of the anions of a set, some cations left out."""
    cations = np.unique(where.cation_of[members])
    if without:
        cations = cations[~np.isin(cations, without)]
    return where.cations[cations], where.anions[members]


def fingerprint(cations: IntArray, anions: IntArray) -> bytes:
    """Return 16 bytes that are equal for sets with equal distances of every kind of pair: exact, in whole numbers."""
    places = np.concatenate([cations, anions])
    delta = places[:, None] - places[None]
    d = (delta**2) @ METRIC
    c = len(cations)
    upper = [d[:c, :c][np.triu_indices(c, 1)], d[:c, c:].ravel(), d[c:, c:][np.triu_indices(len(anions), 1)]]
    return blake2b(b"".join(np.sort(part).tobytes() for part in upper), digest_size=16).digest()


def variants(where: Block, sets: Int32Array, k: int) -> Iterator[tuple[int, IntArray, tuple[int, ...]]]:
    """Yield (N²Rg² in units of a_h²/24, members, cations left out), most compact first.

    Every way of leaving out k cations that have one anion only, of every set; equal ones are not removed.
    """
    if not len(sets):
        return
    around = np.sort(where.cation_of[sets].reshape(len(sets), -1), axis=1)
    # In a sorted row a cation is new where it differs from the one before, and alone where from the next one, too.
    edge = np.ones((len(sets), 1), dtype=np.bool_)
    differs = np.hstack([edge, around[:, 1:] != around[:, :-1], edge])
    new, single = differs[:, :-1], differs[:, :-1] & differs[:, 1:]
    origin = where.anions[sets[:, 0]]
    anions, cations = where.anions[sets] - origin[:, None], where.cations[around] - origin[:, None]
    total = anions.sum(axis=1) + (cations * new[..., None]).sum(axis=1)
    square = (anions**2 @ METRIC).sum(axis=1) + (cations**2 @ METRIC * new).sum(axis=1)
    atoms = sets.shape[1] + new.sum(axis=1) - k
    score, parent, removed = [], [], []
    for count in np.unique(single.sum(axis=1)):
        rows = np.flatnonzero(single.sum(axis=1) == count)
        alone = around[rows][single[rows]].reshape(len(rows), count)
        ways = np.array(list(itertools.combinations(range(count), k)), dtype=np.int64)
        ways = ways.reshape(math.comb(count, k), k)
        rows = rows[: max(1, VARIANTS // max(1, len(ways)))]
        gone = alone[: len(rows), ways]
        place = where.cations[gone] - origin[rows][:, None, None]
        left = total[rows][:, None] - place.sum(axis=2)
        squares = square[rows][:, None] - (place**2 @ METRIC).sum(axis=2)
        score.append((atoms[rows][:, None] * squares - left**2 @ METRIC).ravel())
        parent.append(np.repeat(rows, len(ways)).astype(np.int32))
        removed.append(gone.reshape(len(rows) * len(ways), k))
    scores, parents, left_out = np.concatenate(score), np.concatenate(parent), np.concatenate(removed)
    for i in np.argsort(scores, kind="stable"):
        yield int(scores[i]), sets[parents[i]], tuple(left_out[i].tolist())
