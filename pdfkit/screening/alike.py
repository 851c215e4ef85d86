"""Which candidates are one cluster at several sizes.

A free expansion makes all distances longer by one factor: what differs in no more than this has one best curve, and
would share its probability with itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.least_squares import parameters
from pdfkit.model.params import apply_choices
from pdfkit.particles.particle import Particle
from pdfkit.screening.candidates import DIRECT_ATOMS, Entry
from pdfkit.screening.isotopes import plain
from pdfkit.screening.tasks import PHASE, Problem, Record, start_model

ROUNDED = 2e-3
"""Å: what coordinates with three decimals leave of a distance, and no pattern sees."""
LOOKS = 100
"""Distances of each candidate that are kept to compare it with others before all of its distances are."""
LEVEL = 5e-3
"""Rw this close (relative) are the same: rounding and where fits of one cluster stop change it by 2e-3."""

Found = tuple[Entry, str, Record]
"""What is remembered of a candidate, its last stage, and the record of it."""


class Size(NamedTuple):
    """A cluster at some size: its radius of gyration (Å), and its distances (n(n − 1)/2,) in units of that."""

    radius: float
    lengths: Array


def size_of(particle: Particle) -> Size:
    """Return the size and the distances of a particle, those of each two elements together, from short to long."""
    from scipy.spatial.distance import pdist

    first, second = np.triu_indices(len(particle), 1)
    one, other = particle.kind[first], particle.kind[second]
    pair = np.minimum(one, other) * len(particle.elements) + np.maximum(one, other)
    distance = pdist(particle.xyz)
    lengths = np.concatenate([np.sort(distance[pair == each]) for each in np.unique(pair)])
    radius = float(np.sqrt(((particle.xyz - particle.xyz.mean(axis=0)) ** 2).sum(axis=1).mean()))
    return Size(radius, lengths / radius)


def stretch_of(problem: Problem, particle: Particle) -> float:
    """Return by which factor two clusters of one shape may differ and still be fitted with one length; 1 for none.

    Formula: (1 + e_max)/(1 + e_min), between the bounds of a free expansion.
    """
    params = parameters(start_model(particle, problem), problem.fitted)
    apply_choices(params, problem.fit.free, problem.fit.ties, problem.fit.bounds)
    expansion = params[f"{PHASE}.expansion"]
    return (1.0 + expansion.max) / (1.0 + expansion.min) if expansion.vary else 1.0


def at_one_size(
    found: Sequence[Found], particles: Mapping[str, Particle], twins: Mapping[str, Sequence[str]], problem: Problem
) -> tuple[list[Found], dict[str, list[str]]]:
    """Return one of all fitted candidates that are the same cluster, and the names of the others by its key.

    The one with the lowest Rw stays, of those that are level the first that came: fits begin at different lengths, and
    one of them may not have reached the best. Those of more than `DIRECT_ATOMS` atoms are all taken to differ.
    particles, twins : by key, the atoms, and the names of others that are known to be the same at the same size.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for k, (entry, stage, record) in enumerate(found):
        if stage == "fit" and "error" not in record and 2 <= entry.atoms <= DIRECT_ATOMS:
            particle = plain(particles[entry.key], problem)
            groups[particle.formula].append(k)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return list(found), {}
    stretch = stretch_of(problem, particles[found[several[0][0]][0].key])
    others: dict[str, list[str]] = {}
    gone: set[int] = set()
    for group in several if stretch > 1.0 else []:
        for same in classes([plain(particles[found[k][0].key], problem) for k in group], stretch):
            rows = [group[k] for k in same]
            lowest = min(float(found[k][2]["rw"]) for k in rows)
            kept = next(k for k in rows if float(found[k][2]["rw"]) <= lowest * (1.0 + LEVEL))
            left_out = [found[k][0] for k in rows if k != kept]
            others[found[kept][0].key] = [name for one in left_out for name in (one.name, *twins.get(one.key, ()))]
            gone |= set(rows) - {kept}
    return [one for k, one in enumerate(found) if k not in gone], others


def classes(particles: Sequence[Particle], stretch: float) -> list[list[int]]:
    """Return which of these of one composition are one cluster: classes of more than one, each like its first.

    One are those whose distances, from short to long, agree to `ROUNDED` but for a factor, `stretch` at most.
    """
    sizes = [_few_of(size_of(one)) for one in particles]
    radius, few = np.array([one.radius for one in sizes]), np.array([one.lengths for one in sizes])
    left, out = np.ones(len(sizes), dtype=bool), []
    for k, one in enumerate(particles):
        left[k] = False
        larger, smaller = np.maximum(radius, radius[k]), np.minimum(radius, radius[k])
        close = left & (larger <= stretch * smaller) & (np.abs(few - few[k]).max(axis=1) * larger <= ROUNDED)
        if not close.any():
            continue
        lengths = size_of(one).lengths
        off = {j: float(np.abs(size_of(particles[j]).lengths - lengths).max()) for j in np.flatnonzero(close).tolist()}
        same = [j for j, most in off.items() if most * larger[j] <= ROUNDED]
        left[same] = False
        if same:
            out.append([k, *same])
    return out


def _few_of(size: Size) -> Size:
    """Return a size with `LOOKS` of its distances: what tells nearly all others apart, and can be kept of each."""
    at = np.linspace(0, size.lengths.size - 1, LOOKS).astype(int)
    return Size(size.radius, size.lengths[at])
