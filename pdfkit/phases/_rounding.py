"""Pairs that are equal but for the rounding of coordinates in a file: a third as 0.33333, angles of 119.99998°.

Such pairs are one peak: at their mean distance, with their mean displacement, and with the variance of their distances
added to σ². Pairs of a group are at most τ = 0.0007·σ apart (σ from half their U, for what correlated motion takes), so
that what is lost, the third moment, is at most 0.1·τ³: 1e-11 of a peak, and of all that are skewed alike less than 1e-9
of the largest value (6e-10 measured with five digits of fractions of a cell, 1e-13 with eight). Means move with the
values of a fit as they do to first order at a point within half a `scale` (`_spaces`) of them; a list is made anew
where values go beyond. Pairs that move apart by more than 3 % of τ on the way to a generic point are not together, nor
those whose displacements differ by more than 2e-5 of the smallest, or whose occupancies differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels import merging
from pdfkit.kernels import pairs as kernels
from pdfkit.phases._geometry import Arguments, AtomCount, Directions, Point, Widths
from pdfkit.phases._orbits import PairGroups
from pdfkit.phases.base import Composition

if TYPE_CHECKING:
    from pdfkit.phases._spaces import Space
    from pdfkit.phases.crystal import Crystal

# Shares: τ of σ, how far pairs may move apart of τ, differences of U of the smallest, and of occupancies.
APART, MOVING, OF_U, OF_OCCUPANCY = 7e-4, 0.03, 2e-5, 1e-9
# More pairs than this are not compared, and there must be this many to each group.
MOST, PAYS = 2e6, 1.25
# Pairs times directions of which the numbers are at hand at a time.
CACHED = 2**15


@dataclass(frozen=True)
class Means:
    """How groups of pairs differ from the pair that stands for each.

    offset (n,4): of d, s, and trace of the mean, and the variance of d; slopes (n,3,k): of the first three, along the
    k vectors of `space` from its base.
    """

    space: Space
    offset: Array
    slopes: Array

    def place(self, free: Array, tangents: Array) -> tuple[Array, Array]:
        """Return where values (n,) are in the space (k,), and how tangents (n, nq) move there (k, nq)."""
        into = self.space.basis.T / self.space.scale
        return into @ (free - self.space.base), into @ tangents

    def add(self, part: slice, place: tuple[Array, Array], shifted: bool, numbers: Array, changes: Array) -> None:
        """Add what a part of the groups has to their numbers and changes, as of `pair_numbers`."""
        slopes, (at, along) = self.slopes[part], place
        now = self.offset[part, :3] + slopes @ at
        numbers[:, :2] += now[:, :2]
        if shifted:
            numbers[:, 3] += now[:, 2]
        if along.size:
            moving = (slopes @ along).transpose(0, 2, 1)
            changes[:, :, :2] += moving[:, :, :2]
            if shifted:
                changes[:, :, 3] += moving[:, :, 2]

    def widen(self, peak: Array) -> None:
        """Add the variance of distances to the peaks (n,3) of `finish_peaks`, but for those that are left out."""
        peak[:, 1] += np.where(peak[:, 1] > 0.0, self.offset[:, 3], 0.0)


def alike(groups: PairGroups, crystal: Crystal, space: Space) -> float:
    """Return how many of the groups there are for each that differs by more than rounding."""
    return groups.mult.size / max(1, _labels(groups, crystal, space)[1])


def joined(groups: PairGroups, crystal: Crystal, space: Space) -> PairGroups:
    """Return the groups with those made one that differ by rounding near the base of a space, where that pays."""
    label, count = _labels(groups, crystal, space)
    if count == 0 or groups.mult.size < PAYS * count:
        return groups
    first = np.full(count, groups.mult.size)
    np.minimum.at(first, label, np.arange(label.size))
    total = np.asarray(np.bincount(label, groups.mult), dtype=np.float64)
    share = groups.mult / total[label]
    k = space.basis.shape[1]
    sums, squares = np.zeros((count, 3 * (1 + k))), np.zeros(count)
    own = np.empty((count, 3 * (1 + k)))
    at = _arguments(crystal, space.base, space.scale[:, None] * space.basis)
    for part, numbers, changes in _numbers(groups, at):
        rows = np.concatenate([numbers[:, None], changes], axis=1)[:, :, (0, 1, 3)].reshape(len(numbers), -1)
        here, mine = label[part], first[label[part]] == np.arange(part.start, part.stop)
        own[here[mine]] = rows[mine]
        for column in range(rows.shape[1]):
            sums[:, column] += np.bincount(here, share[part] * rows[:, column], count)
    difference = (sums - own).reshape(count, 1 + k, 3)
    for part, numbers, _ in _numbers(groups, _arguments(crystal, space.base, np.zeros((space.base.size, 0)))):
        here = label[part]
        squares += np.bincount(here, share[part] * (numbers[:, 0] - sums[here, 0]) ** 2, count)
    offset = np.column_stack([difference[:, 0], squares])
    slopes = np.ascontiguousarray(difference[:, 1:].transpose(0, 2, 1))
    i, j, shift, pair = (a[first] for a in (groups.atom_i, groups.atom_j, groups.shift, groups.group_pair))
    return PairGroups(i, j, shift, total, pair, Means(space, offset, slopes))


def _labels(groups: PairGroups, crystal: Crystal, space: Space) -> tuple[IntArray, int]:
    """Return the group (n,) of each pair, and how many there are."""
    n = groups.mult.size
    if n > MOST or n == 0:
        return np.arange(n), n
    nothing = np.zeros((space.base.size, 0))
    points = [space.base, *(space.far(space.base) if space.basis.shape[1] else [])]
    found = [
        np.concatenate([numbers for _, numbers, _ in _numbers(groups, _arguments(crystal, at, nothing))])
        for at in points
    ]
    s = np.maximum(found[0][:, 1], kernels.SMALLEST_VARIANCE)
    width = APART * np.sqrt(0.5 * s)
    least_s, least = float(s.min(initial=1.0)), float(width.min(initial=1.0))
    columns = [2.0 * groups.group_pair]
    for k, here in enumerate(found):
        columns += [here[:, 1] / (OF_U * least_s), here[:, 3] / (OF_U * least_s)]
        columns += [here[:, 2] / (groups.mult * OF_OCCUPANCY)]
        columns += [(here[:, 0] - found[0][:, 0]) / (MOVING * least)] if k else []
    label, heads, distance = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), found[0][:, 0].copy()
    widest, marks = float(width.max(initial=0.0)), np.column_stack(columns)
    count = merging.near_groups(np.argsort(distance), distance, width, widest, marks, heads, label)
    return label, count


def _arguments(crystal: Crystal, values: Array, tangents: Array) -> Arguments:
    """Return what the kernels need to know of the crystal at values (n,), along tangents (n, k)."""
    along = Directions.of(crystal._maps, crystal._atoms, tangents)
    point = Point.at(crystal._maps, crystal._atoms, values, along)
    still = np.zeros((3, tangents.shape[1])), np.zeros((tangents.shape[1], 2))
    amount = AtomCount(1.0, np.zeros(tangents.shape[1]), Composition((), np.zeros(0), np.zeros((0, 0))))
    return point.arguments(np.zeros(5), 0.0, Widths.of(*still), amount, shifted=True)


def _numbers(groups: PairGroups, args: Arguments) -> Iterator[tuple[slice, Array, Array]]:
    """Yield numbers and changes, as of `pair_numbers`, of a part of the pairs at a time."""
    trace = args.trace or (np.zeros(0), np.zeros((args.kind.size, 0)))
    n, size = groups.mult.size, max(1, CACHED // (1 + args.kind.size))
    for low in range(0, n, size):
        part = slice(low, min(low + size, n))
        pairs = (groups.atom_i[part], groups.atom_j[part], groups.shift[part], groups.mult[part])
        numbers, changes = np.empty((part.stop - low, 4)), np.empty((part.stop - low, args.kind.size, 4))
        arguments: tuple[Any, ...] = (*pairs, *args.state, args.kind, *args.tangents, *trace, numbers, changes)
        kernels.pair_numbers(*arguments)
        yield part, numbers, changes
