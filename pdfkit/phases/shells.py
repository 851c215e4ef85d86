"""Shells of neighbours: which pairs of a phase are at what distance, how many, how wide, and of which sites."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.phases import _orbits
from pdfkit.phases.base import Broadening, Peaks, Phase

TOGETHER = 0.01
"""Å: pairs of two species that are nearer to each other in distance than this are one shell."""
NONE = 1e-9
"""Pairs per atom that are none: of an order of layers that does not occur, of an occupancy of 0."""
MANY, ALIKE, CHAINED = 12, 0.001, 0.1
"""Where two species are at more than MANY distances (to ALIKE, Å), those within CHAINED of the next are one shell."""
MOST_LISTED = 2e5
"""Pairs of sites above which shells do not say of which sites they are."""


@dataclass(frozen=True)
class Shell:
    """Pairs of two species at one distance.

    pair : the species. distance, sigma : Å; mean distance, and the width of the peak. count : pairs per atom of the
    phase, both orders counted. numbers : of the second around one of the first, and of the first around one of the
    second, without what a particle's surface takes away. stderr : Å, of the distance; NaN where it is not known.
    sites : labels ("Cd1–S1"), of crystals. span : Å, the shortest and the longest distance, of which there are many in
    disordered structures.
    """

    pair: tuple[str, str]
    distance: float
    sigma: float
    count: float
    numbers: tuple[float, float]
    stderr: float = math.nan
    sites: tuple[str, ...] = ()
    span: tuple[float, float] = (math.nan, math.nan)

    @property
    def where(self) -> str:
        """The distance: "2.525 Å", or "2.525 Å on average (2.41 to 2.63 Å)"."""
        low, high = self.span
        one = not high - low >= TOGETHER
        return f"{self.distance:.4g} Å" + ("" if one else f" on average ({low:.2f} to {high:.2f} Å)")

    @property
    def words(self) -> str:
        """What it is: "4 S around each Cd, 4 Cd around each S, at 2.525 Å"."""
        (a, b), (of_a, of_b) = self.pair, self.numbers
        other = "" if a == b else f", {of_b:.3g} {a} around each {b}"
        return f"{of_a:.3g} {b} around each {a}{other}, at {self.where}"


def shells(
    phase: Phase, low: float, high: float, broadening: Broadening | None = None, covariance: Array | None = None
) -> tuple[Shell, ...]:
    """Return the shells of a phase with low < distance ≤ high (Å), the nearest first.

    Formula: n_ab = w_ab·N/N_a, halved for unlike species, w the pairs (both orders) per atom, N atoms in all. Where two
    species are at more than twelve distances, those within 0.1 Å of the next are one shell, with their mean and spread.
    broadening : of the instrument, in the width. covariance (n, n) of the phase's quantities, from which the error of
    a distance follows.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.phases.shells import shells
    >>> for one in shells(pk.Crystal.from_file("CdS_zincblende", name="zb"), 0.0, 4.5):
    ...     print(*one.pair, f"{one.distance:.3f} Å", one.numbers, *one.sites)
    Cd S 2.525 Å (4.0, 4.0) Cd–S
    Cd Cd 4.124 Å (12.0, 12.0) Cd–Cd
    S S 4.124 Å (12.0, 12.0) S–S
    """
    found, index = _within(phase, low, high, broadening, covariance is not None)
    groups = _gathered(found, _grouped(found, index))
    return _named([_shell(phase, found, some, covariance) for some in groups], _sites(phase, low, high))


def slices(phase: Phase, low: float, high: float, broadening: Broadening) -> tuple[Shell, ...]:
    """Return what `shells` does, but each distance for itself and without sites."""
    found, index = _within(phase, low, high, broadening, False)
    return tuple(_shell(phase, found, some, None) for some in _grouped(found, index))


def _within(
    phase: Phase, low: float, high: float, broadening: Broadening | None, slopes: bool
) -> tuple[Peaks, IntArray]:
    """Return the peaks of a phase, and which of them are there, by species pair and distance."""
    values = np.array(phase.values)
    known = phase.scatterer or phase  # a cluster's baseline is a peak of its own, and no pair
    tangents = np.eye(values.size) if slopes else np.zeros((values.size, 0))
    own = Broadening.none(tangents.shape[1])
    if broadening is not None:
        own = Broadening(broadening.qbroad, broadening.resolution, own.tangents, False)
    found = known.peaks(values, tangents, own, high)
    inside = (found.peak[:, 0] > low) & (found.peak[:, 0] <= high) & (found.peak[:, 2] > NONE)
    index = np.flatnonzero(inside)
    return found, index[np.lexsort((found.peak[index, 0], found.pair[index]))]


def _grouped(found: Peaks, index: IntArray) -> list[IntArray]:
    """Return the peaks of index, which are in order, in groups of one species pair and one distance."""
    groups: list[list[int]] = []
    for k in index.tolist():
        first = groups[-1][0] if groups else None
        same = first is not None and found.pair[k] == found.pair[first]
        if same and found.peak[k, 0] - found.peak[first, 0] < TOGETHER:
            groups[-1].append(k)
        else:
            groups.append([k])
    return [np.array(one) for one in groups]


def _gathered(found: Peaks, groups: list[IntArray]) -> list[IntArray]:
    """Return the groups, those of species at many distances made one where the next is near."""
    many = _distances(found, groups)
    out: list[list[IntArray]] = []
    for some in groups:
        pair, last = int(found.pair[some[0]]), out[-1][-1][-1] if out else -1
        near = last >= 0 and found.pair[last] == pair and found.peak[some[0], 0] - found.peak[last, 0] < CHAINED
        if near and many[pair] > MANY:
            out[-1].append(some)
        else:
            out.append([some])
    return [np.concatenate(some) for some in out]


def _distances(found: Peaks, groups: list[IntArray]) -> Counter[int]:
    """Return by species pair how many distances there are."""
    index = np.concatenate([np.zeros(0, dtype=np.int64), *groups])
    distinct = np.unique(np.stack([found.pair[index], np.round(found.peak[index, 0] / ALIKE)]), axis=1)
    return Counter(distinct[0].astype(int).tolist())


def _shell(phase: Phase, found: Peaks, some: IntArray, covariance: Array | None) -> Shell:
    d, variance, w = found.peak[some].T
    count, pair = float(w.sum()), found.pairs[found.pair[some[0]]]
    distance = float((w * d).sum() / count)
    spread = float((w * (d - distance) ** 2).sum() / count)
    sigma = math.sqrt(max(float((w * variance).sum() / count) + spread, 0.0))
    amount, half = phase.composition(), 1.0 if pair[0] == pair[1] else 0.5
    total = sum(amount.values())
    numbers = tuple(count * half * total / amount[one] if amount[one] else 0.0 for one in pair)
    stderr = math.nan
    if covariance is not None:
        slopes = found.dpeak[some, :, 0] if found.moments else found.dpeak[some, :, 0] * w[:, None]
        stderr = _error(slopes.sum(axis=0) / count, covariance)
    span = (float(d.min()), float(d.max()))
    return Shell(pair, distance, sigma, count, (numbers[0], numbers[1]), stderr, span=span)


def _error(slope: Array, covariance: Array) -> float:
    """Return √(s C sᵀ): NaN where a quantity without an error counts."""
    moved = np.flatnonzero(slope)
    variance = float(slope[moved] @ covariance[np.ix_(moved, moved)] @ slope[moved])
    return math.sqrt(variance) if variance >= 0.0 else math.nan


def _sites(phase: Phase, low: float, high: float) -> list[tuple[tuple[str, str], float, str]]:
    """Return species, distance (Å) and labels of the pairs of sites of a crystal; nothing where they are too many."""
    crystal: Any = phase.placed
    if crystal is None or phase.pair_density() * 4.19 * high**3 > MOST_LISTED:
        return []
    geometry, atoms, sites = crystal._geometry, crystal._atoms, crystal.structure.sites
    i, j, shift = _orbits.enumerate_pairs(geometry, high, atoms.first, atoms.site)
    delta = geometry.x[j] + shift - geometry.x[i]
    distance = np.sqrt(np.einsum("pa,ab,pb->p", delta, geometry.g, delta))
    near = np.flatnonzero((distance > low - TOGETHER) & (distance < high + TOGETHER))
    rows = {(int(atoms.site[i[k]]), int(atoms.site[j[k]]), round(float(distance[k]), 4)) for k in near.tolist()}
    out = []
    for s, t, d in sorted(rows):
        ends = sorted((sites[k].element, sites[k].label) for k in (s, t))
        out.append(((ends[0][0], ends[1][0]), d, f"{ends[0][1]}–{ends[1][1]}"))
    return out


def _named(found: list[Shell], sites: list[tuple[tuple[str, str], float, str]]) -> tuple[Shell, ...]:
    """Return shells, the nearest first, with the labels of their sites."""
    of: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for pair, d, label in sites:
        of.setdefault(pair, []).append((d, label))
    rows = {pair: sorted(some) for pair, some in of.items()}
    out = [replace(one, sites=_labels(one, rows.get(_sorted(one.pair), []))) for one in found]
    return tuple(sorted(out, key=lambda one: (one.distance, one.pair)))


def _sorted(pair: tuple[str, str]) -> tuple[str, str]:
    return (min(pair), max(pair))


def _labels(shell: Shell, rows: list[tuple[float, str]]) -> tuple[str, ...]:
    """Return the labels of the rows, in the order of their distances, that are as far as a shell."""
    reach = 1e-3  # of distances that are rounded
    first, last = bisect_left(rows, (shell.span[0] - reach,)), bisect_left(rows, (shell.span[1] + reach,))
    return tuple(dict.fromkeys(label for _, label in rows[first:last]))
