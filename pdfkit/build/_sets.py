"""Connected sets of anions with a given number of cations: the search, and what is left when cations are taken away."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from pdfkit._checks import Int32Array, IntArray
from pdfkit.build._block import METRIC, Block, block
from pdfkit.kernels import search

HOT, COLD = 1.0, 0.25
RESTARTS = 24
STEPS = 7_500
"""Steps a restart, for each anion of the set."""
SETS = 5_000
"""No more distinct sets than this are kept of one stack and number of cations."""
VARIANTS = 2_000_000
"""And no more ways to leave cations out of them are weighed (40 MB)."""


@dataclass(frozen=True)
class Search:
    """What a search is made with. effort multiplies the restarts."""

    seed: int
    effort: float = 1.0


def find_sets(sequence: str, n: int, m: int, how: Search) -> tuple[Block, Int32Array, int]:
    """Return the block, the distinct sets (k, n) of n anions that have m cations, and the fewest cations met."""
    where = block(sequence, n)
    spread = np.random.SeedSequence([how.seed, n, m, *map(ord, sequence)])
    rng = np.random.default_rng(spread)
    starts = rng.choice(where.starts, max(1, round(RESTARTS * how.effort)))
    state = rng.integers(1, 2**63, 1, dtype=np.uint64)
    found = np.zeros((SETS, n), dtype=np.int32)
    least = np.array([4 * n], dtype=np.int64)
    k = search.anneal(
        where.anions, where.cation_of, where.next_to, len(where.cations), starts, m, STEPS * n, HOT, COLD, state,
        found, np.zeros(4 * SETS, dtype=np.uint64), least,
    )  # fmt: skip
    sets = np.sort(found[:k], axis=1)
    if sequence == "c" and m == math.comb(_edge(n) + 3, 3):
        sets = np.concatenate([_tetrahedron(where, n), sets])
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
    score, parent, removed = [], [], []
    most = VARIANTS
    for index, members in enumerate(sets):
        cations, count = np.unique(where.cation_of[members], return_counts=True)
        single = np.flatnonzero(count == 1)
        places = np.concatenate([where.cations[cations], where.anions[members]])
        places = places - places[0]
        ways = list(itertools.combinations(single.tolist(), k))
        choices = np.array(ways, dtype=np.int64).reshape(len(ways), k)
        total = places.sum(axis=0) - places[choices].sum(axis=1)
        squares = ((places**2).sum(axis=0) - (places[choices] ** 2).sum(axis=1)) @ METRIC
        score.append((len(places) - k) * squares - total**2 @ METRIC)
        parent.append(np.full(len(choices), index, dtype=np.int32))
        removed.append(cations[choices].astype(np.int32))
        most -= len(choices)
        if most < 0:
            break
    if not score:
        return
    scores, parents, gone = np.concatenate(score), np.concatenate(parent), np.concatenate(removed)
    for i in np.lexsort((parents, scores)):
        yield int(scores[i]), sets[parents[i]], tuple(gone[i].tolist())


def gyration(score: int, atoms: int, a_h: float) -> float:
    """Return the radius of gyration (Å) for what `variants` yields."""
    return math.sqrt(score / 24) * a_h / atoms
