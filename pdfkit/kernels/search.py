"""Annealed search for connected sets of anions that share a given number of cations.

The network is a block of anion sites, each with four cations and at most twelve anions next to it (two anions are next
to each other when they share a cation). Random numbers are xorshift64 on a state that the caller seeds.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pdfkit._checks import Int32Array, IntArray
from pdfkit.kernels._jit import kernel

NEIGHBOURS = 12
BONDS = 4
RECENT = 65536


@kernel
def next_random(state: Any) -> Any:
    """Advance the state (1,) uint64 and return it. Source: Marsaglia, J. Stat. Softw. 8, 14 (2003)."""
    state[0] ^= state[0] << np.uint64(13)
    state[0] ^= state[0] >> np.uint64(7)
    state[0] ^= state[0] << np.uint64(17)
    return state[0]


@kernel
def _below(state: Any, n: int) -> Any:
    return np.int64(next_random(state) % np.uint64(n))


@kernel
def _mixed(x: Any) -> Any:
    """Return x scattered over 64 bits, so that sums of such numbers tell multisets apart."""
    y = np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)
    y ^= y >> np.uint64(32)
    y *= np.uint64(0xD6E8FEB86659FD93)
    return y ^ (y >> np.uint64(29))


@kernel
def is_connected(
    members: IntArray, chosen: Any, next_to: Int32Array, mark: IntArray, stamp: int, queue: IntArray
) -> bool:
    """Return whether the anions `members` hang together. `mark` and `queue` are scratch, `stamp` new each time."""
    mark[members[0]] = stamp
    queue[0] = members[0]
    head = 0
    tail = 1
    while head < tail:
        a = queue[head]
        head += 1
        for k in range(NEIGHBOURS):
            b = next_to[a, k]
            if b >= 0 and chosen[b] and mark[b] != stamp:
                mark[b] = stamp
                queue[tail] = b
                tail += 1
    return tail == members.size


@kernel
def set_key(
    members: IntArray, anions: IntArray, cations: IntArray, cation_of: Int32Array, taken: Any, atoms: IntArray
) -> Any:
    """Return a number that is the same for sets with the same distances between each two kinds of atoms; never 0.

    Formula: Σ mix(3·d² + t) over all pairs of the set's anions and their cations, t = 0, 1, 2 by the kinds, d² = 6Δx² +
    2Δy² + Δz² in the integer coordinates of `anions` and `cations` (x in a_h/2, y in a_h/(2√3), z in h/4: d² is 24/a_h²
    times the ideal squared distance). Scratch: taken (nc,) bool, all False before and after; atoms (5n, 3).
    """
    n = members.size
    m = n
    for p in range(n):
        atoms[p] = anions[members[p]]
        for c in cation_of[members[p]]:
            if not taken[c]:
                taken[c] = True
                atoms[m] = cations[c]
                m += 1
    for p in range(n):
        for c in cation_of[members[p]]:
            taken[c] = False
    key = np.uint64(0)
    for p in range(m):
        for q in range(p):
            x = atoms[p, 0] - atoms[q, 0]
            y = atoms[p, 1] - atoms[q, 1]
            z = atoms[p, 2] - atoms[q, 2]
            kinds = np.int64(p >= n) + np.int64(q >= n)
            key += _mixed(3 * (6 * x * x + 2 * y * y + z * z) + kinds)
    return max(key, np.uint64(1))


@kernel
def _grow(start: int, members: IntArray, chosen: Any, next_to: Int32Array, state: Any) -> None:
    """Fill `members` with a random connected set that holds `start`."""
    chosen[:] = False
    members[0] = start
    chosen[start] = True
    n = 1
    while n < members.size:
        b = next_to[members[_below(state, n)], _below(state, NEIGHBOURS)]
        if b >= 0 and not chosen[b]:
            chosen[b] = True
            members[n] = b
            n += 1


@kernel
def _exchange(cation_of: Int32Array, count: IntArray, out: int, into: int) -> int:
    """Take anion `out` from the counts of anions at each cation, put `into` in; return the change in cations."""
    change = 0
    for c in range(BONDS):
        at = cation_of[out, c]
        count[at] -= 1
        if count[at] == 0:
            change -= 1
    for c in range(BONDS):
        at = cation_of[into, c]
        if count[at] == 0:
            change += 1
        count[at] += 1
    return change


@kernel
def _is_new(key: Any, seen: Any) -> Any:
    """Enter a key into the open hash table `seen` (zeros are free places); return whether it was not there."""
    size = np.int64(seen.size)
    at = np.int64(key % np.uint64(size))
    while seen[at] != 0 and seen[at] != key:
        at = (at + 1) % size
    new = seen[at] == 0
    seen[at] = key
    return new


class Walk(NamedTuple):
    """Where a search stands between two calls of `anneal`, and the scratch of both; made by `begin`.

    at (6,): index of the start, step, sets found, stamp, cations, whether the last step moved. name (1,): Σ of the
    scattered anions. lately: sets met lately by that name; a walk comes back to the same ones again and again.
    around: anions at each cation.
    """

    at: IntArray
    name: Any
    lately: Any
    members: IntArray
    chosen: Any
    around: IntArray
    queue: IntArray
    mark: IntArray
    taken: Any
    atoms: IntArray


def begin(n: int, anions: int, cations: int) -> Walk:
    """Return the beginning of a search for sets of n in a network of so many anions and cations."""
    return Walk(
        at=np.zeros(6, np.int64),
        name=np.zeros(1, np.uint64),
        lately=np.zeros(RECENT, np.uint64),
        members=np.empty(n, np.int64),
        chosen=np.zeros(anions, np.bool_),
        around=np.zeros(cations, np.int64),
        queue=np.empty(n, np.int64),
        mark=np.zeros(anions, np.int64),
        taken=np.zeros(cations, np.bool_),
        atoms=np.empty((5 * n, 3), np.int64),
    )


@kernel
def anneal(
    anions: IntArray,
    cations: IntArray,
    cation_of: Int32Array,
    next_to: Int32Array,
    starts: IntArray,
    target: int,
    steps: int,
    hot: float,
    cold: float,
    state: Any,
    found: Int32Array,
    seen: Any,
    least: IntArray,
    walk: Walk,
    work: int,
) -> bool:
    """Collect distinct connected sets of anions with exactly `target` cation neighbours; return whether this is done.

    From each of `starts` a random set is grown and changed step by step: one anion leaves, another joins next to one of
    the rest. Energy |m − target| (m cations), temperature falling linearly from hot to cold, Metropolis rule; a set
    that falls apart is refused. Done when `found` is full or all starts are used; stops before that after about `work`
    units of 10 ns, and goes on with the same arguments as if it had not stopped.
    Shapes: anions (na, 3) and cations (nc, 3), integers as in `set_key`; cation_of (na, 4); next_to (na, 12), −1 for
    none; starts (k,); state (1,) uint64, not 0; found (capacity, n) is filled with anions, walk.at[2] sets; seen (more
    than capacity,) uint64 zeros; least (1,) becomes the fewest cations met; walk as `begin` makes it.
    Source: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    capacity, n = found.shape
    members, chosen, count, lately = walk.members, walk.chosen, walk.around, walk.lately
    nfound, stamp, m, moved = walk.at[2], walk.at[3], walk.at[4], walk.at[5] != 0
    name = walk.name[0]
    first, spent = walk.at[1], 0
    for k in range(walk.at[0], starts.size):
        if first == 0:
            _grow(starts[k], members, chosen, next_to, state)
            count[:] = 0
            for a in members:
                for c in range(BONDS):
                    count[cation_of[a, c]] += 1
            m = np.count_nonzero(count)
            name = np.uint64(0)
            for a in members:
                name += _mixed(a + 1)
            least[0] = min(least[0], m)
            moved = True
        for step in range(first, steps):
            if spent > work and step > first:
                walk.at[:] = np.array([k, step, nfound, stamp, m, np.int64(moved)])
                walk.name[0] = name
                return False
            spent += 3
            if moved and m == target and lately[name % np.uint64(RECENT)] != name:
                lately[name % np.uint64(RECENT)] = name
                spent += 2 * n * n
                if _is_new(set_key(members, anions, cations, cation_of, walk.taken, walk.atoms), seen):
                    found[nfound, :] = members
                    nfound += 1
                    if nfound == capacity:
                        walk.at[2] = nfound
                        return True
            moved = False
            i = _below(state, n)
            j = _below(state, n)
            into = next_to[members[j], _below(state, NEIGHBOURS)]
            if (i == j and n > 1) or into < 0 or chosen[into]:
                continue
            out = members[i]
            change = _exchange(cation_of, count, out, into)
            worse = abs(m + change - target) - abs(m - target)
            temperature = hot + (cold - hot) * step / steps
            uniform = np.float64(next_random(state) >> np.uint64(11)) / 9007199254740992.0
            if worse <= 0 or uniform < math.exp(-worse / temperature):
                chosen[out] = False
                chosen[into] = True
                members[i] = into
                stamp += 1
                spent += n
                if is_connected(members, chosen, next_to, walk.mark, stamp, walk.queue):
                    m += change
                    name += _mixed(into + 1) - _mixed(out + 1)
                    moved = True
                    least[0] = min(least[0], m)
                    continue
                chosen[out] = True
                chosen[into] = False
                members[i] = out
            _exchange(cation_of, count, into, out)
        first = 0
    walk.at[2] = nfound
    return True
