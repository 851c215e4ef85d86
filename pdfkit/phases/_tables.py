"""Where a cluster's quantities stand, the tables of its pairs, kept between evaluations, and their peaks."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.kernels.peaks import stretched_peaks
from pdfkit.particles.counting import EXACT_ATOMS, PairTable, count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.structure.site import numbered_labels

if TYPE_CHECKING:
    from pdfkit.phases.cluster import Cluster

# Under so wide a Gaussian distances may be merged in bins this wide (Å): 1e-5 of the curve. Axial expansions move
# distances in and out of bins, which derivatives do not know: there nothing is merged.
BLUR_BIN = 0.5
# The nearest pair is looked for within this (Å) first; few pairs are this near, so counting them costs little.
CLOSE = 3.5
ENDINGS = ("", "_surface", "_ligand")
"""What follows the element in the name of a class: nothing, or where its atoms are."""
UNCORRELATED = np.array([0.0, 0.0, 1.0, 1.0])
"""Which of δ₁, δ₂, qbroad and resolution pairs have that no correlated motion sharpens."""


def class_names(elements: tuple[str, ...]) -> tuple[str, ...]:
    """Return the species as they stand in names of parameters: "62-Ni" → Ni62, "Na1+" → Na (Fe2p beside Fe3p)."""
    stems = [numbered_labels([element])[0].removesuffix("1").removesuffix("_") for element in elements]
    return tuple(
        stem if stems.count(stem) == 1 else re.sub(r"^(\d+)-", r"_\1", element).replace("+", "p").replace("-", "m")
        for stem, element in zip(stems, elements, strict=True)
    )


def plain_class(name: str) -> str:
    """Return the name of a class without what follows the element."""
    return name.removesuffix("_surface").removesuffix("_ligand")


def sharpened(table: PairTable, classes: tuple[str, ...]) -> NDArray[np.bool_] | None:
    """Return which pairs (m,) correlated motion sharpens, those of two atoms of the core; None for all.

    δ₁ and δ₂ are of the core: with them the short bonds within a ligand would have no width left.
    """
    own = np.array([not name.endswith("_ligand") for name in classes])
    if own.all():
        return None
    first, second = np.array(table.pairs, dtype=np.int64).T
    return np.asarray((own[first] & own[second])[table.pair])


@dataclass(frozen=True)
class Point:
    """Values of a cluster's quantities with their tangents along nq directions."""

    stretch: float
    dstretch: Array
    axial: tuple[float, ...]
    daxial: Array
    moved: Array
    dmoved: Array
    u: Array
    du: Array
    delta1: float
    delta2: float
    ddelta: Array
    nq: int

    @classmethod
    def of(cls, cluster: Cluster, values: Array, tangents: Array) -> Point:
        nq = tangents.shape[1]
        moving = cluster.moving
        first, k = moving.start, moving.stop
        n = len(cluster.classes)
        return cls(
            stretch=1.0 + float(values[1]),
            dstretch=np.ascontiguousarray(tangents[1]),
            axial=tuple(values[2:first].tolist()),
            daxial=np.ascontiguousarray(tangents[2:first].T) if first > 2 else np.zeros((nq, 3)),
            moved=values[moving],
            dmoved=tangents[moving],
            u=np.ascontiguousarray(values[k : k + n]),
            du=np.ascontiguousarray(tangents[k : k + n].T),
            delta1=float(values[k + n]),
            delta2=float(values[k + n + 1]),
            ddelta=tangents[k + n : k + n + 2].T,
            nq=nq,
        )


class Tables:
    """Pair tables of one particle, kept: they depend on the axial expansions only."""

    def __init__(self, particle: Particle, labels: IntArray) -> None:
        self.particle, self.labels = particle, labels
        self._kept: dict[tuple[float, ...] | None, PairTable] = {}
        self._coarse: PairTable | None = None

    @cached_property
    def shortest(self) -> float:
        """Smallest distance (Å)."""
        reach = CLOSE
        while not (table := self.table(reach, None)).distance.size:
            reach *= 2.0
        return float(table.distance.min())

    def table(self, rmax: float | None, axial: tuple[float, ...] | None) -> PairTable:
        """Return the pairs up to rmax at least, of the atoms stretched along the axes."""
        kept = self._kept.get(axial or None)
        if kept is None or kept.rmax < (math.inf if rmax is None else rmax):
            particle = self.particle
            if axial and any(axial):
                particle = replace(particle, xyz=particle.xyz * (1.0 + np.array(axial)), lattice=None, sites=None)
            if rmax is not None and (len(particle) <= EXACT_ATOMS or particle.lattice is not None):
                rmax = None  # all pairs cost no more than some
            # Room for an expansion of 2 %: counting is what large clusters cost, and it grows with the cube of this.
            margin = None if rmax is None else math.ceil(1.02 * rmax)
            kept = count_pairs(particle, labels=self.labels, rmax=margin, axes=bool(axial))
            self._kept = {axial or None: kept}
        return kept

    def coarse(self, axial: tuple[float, ...]) -> PairTable:
        """Return all pairs in bins that are narrow for the blurred shape function."""
        if axial:
            return self.table(None, axial)
        if self._coarse is None:
            self._coarse = self.table(None, None).merged(BLUR_BIN)
        return self._coarse


def stretched(
    cluster: Cluster, table: PairTable, at: Point, displacements: tuple[Array, Array], widths: tuple[Array, Array]
) -> tuple[Array, Array, int]:
    """Return peak (m, 3), dpeak (m, nq, 3) and the number dropped; weights are ordered pairs per atom.

    displacements : U (nc,) and its tangents (nq, nc). widths : δ₁, δ₂, qbroad, resolution (4,) and tangents (nq, 4).
    """
    m = table.distance.size
    first, second = np.array(table.pairs, dtype=np.int64).T
    a, b = first[table.pair], second[table.pair]
    axes = table.axes / (1.0 + np.array(at.axial)) if table.axes is not None and at.axial else np.zeros((0, 3))
    peak, dpeak = np.empty((m, 3)), np.zeros((m, at.nq, 3))
    peak[:, 2] = table.count * (2.0 / len(cluster.particle))
    moved, (width, dwidth) = (at.stretch, at.dstretch, at.daxial), widths
    sharp = sharpened(table, cluster.classes)
    if sharp is None:
        pairs = (table.distance, table.variance, axes, a, b)
        return peak, dpeak, stretched_peaks(*pairs, *moved, *displacements, width, dwidth, peak, dpeak)
    dropped = 0
    for rows, keep in ((sharp, np.ones(4)), (~sharp, UNCORRELATED)):
        some, dsome = peak[rows], dpeak[rows]
        these = (table.distance[rows], table.variance[rows], axes[rows] if len(axes) else axes, a[rows], b[rows])
        dropped += stretched_peaks(*these, *moved, *displacements, width * keep, dwidth * keep, some, dsome)
        peak[rows], dpeak[rows] = some, dsome
    return peak, dpeak, dropped
