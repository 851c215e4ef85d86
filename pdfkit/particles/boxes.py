"""Pair distances in a periodic box: of every atom with all others and all images within rmax, counted into bins.

Nothing is listed: a pair is one increment of its bin, which keeps the number and the first two moments of the distances
in it (see `counting`). The box is surrounded by those images of its atoms that are within reach of it; of like atoms
half of the images will do, since displacements n and −n give the same distance. Cells of any angles, any rmax.

Memory: 50 bytes for each atom and image, and 24 for each bin and pair of species; time: 1.5 to 2 ns a pair and core.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from pdfkit import _machine
from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError
from pdfkit.kernels import counting as kernels
from pdfkit.particles.counting import CLOSEST, PIECE_PAIRS, THREAD_PAIRS, WIDTH, Columns, blocks, in_threads

# Bytes of an atom or image while it is sorted into its cell, and seconds of a pair.
ATOM_BYTES, PAIR_SECONDS = 250.0, 2e-9


@dataclass(frozen=True, eq=False)
class Box:
    """The atoms of one periodic box.

    cell : (3, 3) rows a, b, c in Å. xyz : (n, 3) Å, anywhere. kind : (n,) index of each atom's species, 0…

    Raises StructureError for a cell without volume, and positions that are not finite.
    """

    cell: Array
    xyz: Array
    kind: IntArray

    def __post_init__(self) -> None:
        if not np.isfinite(self.cell).all() or not self.volume > 1e-6:
            raise StructureError("the cell has no volume: give three independent vectors in Å")
        if not np.isfinite(self.xyz).all():
            raise StructureError("a position is not finite: correct the file, or leave this frame out")

    @property
    def volume(self) -> float:
        """Volume in Å³."""
        return float(abs(np.linalg.det(self.cell)))

    @property
    def heights(self) -> Array:
        """Distances (3,) of opposite faces in Å."""
        return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(self.cell), axis=0))


def box_pairs(box: Box, kinds: int, rmax: float, width: float = WIDTH, threads: int | None = None) -> Array:
    """Return sums (npairs, nbins, 3) over the pairs a ≤ b of species in a box: of 1, t and t² in each bin of distance.

    Formula: a pair (i, j + n), n an image and each pair taken once, with 0 < d ≤ rmax (Å), is in bin k = ⌊d/width⌋,
    t = d − (k + ½)width. An atom and its own image are a pair. Pairs of species are in the order 00, 01, …, 11, …

    Raises PdfkitError where that needs more memory or time than is allowed.
    """
    threads = threads or _machine.cores()
    nbins, npairs = math.ceil(rmax / width), kinds * (kinds + 1) // 2
    pairs = 2.09 * len(box.xyz) ** 2 / box.volume * rmax**3
    images = len(box.xyz) * float(np.prod(1.0 + 2.0 * rmax / box.heights))
    what = f"counting {pairs:.2g} pairs within {rmax:.4g} Å of {len(box.xyz)} atoms"
    _machine.need(ATOM_BYTES * images + 24.0 * nbins * (npairs + threads), what, "lower rmax")
    _machine.need_time(PAIR_SECONDS * pairs, what, "lower rmax")
    if pairs < 2.0 * THREAD_PAIRS:
        threads = 1
    jobs = list(_jobs(box, kinds, rmax, pairs / len(box.xyz) ** 2, threads))

    def work(job: _Job) -> tuple[int, Array]:
        out, other = np.zeros((nbins, 3)), job.other
        where = (job.rows, other.rows, other.layout, other.start, *job.part)
        kernels.distance_histogram(*where, job.same, rmax, width, out)
        return job.pair, out

    sums = np.zeros((npairs, nbins, 3))
    with closing(in_threads(work, jobs, threads)) as parts:
        for pair, part in parts:
            sums[pair] += part
    return sums


def closest(sums: Array, width: float = WIDTH) -> float:
    """Return the smallest distance (Å) of two atoms that were counted, within a bin; infinity where there is none."""
    found = np.flatnonzero(sums[..., 0].any(axis=0))
    return float(found[0] * width) if found.size else math.inf


def check_apart(sums: Array, width: float = WIDTH) -> None:
    """Refuse a box with atoms on top of each other."""
    nearest = closest(sums, width)
    if nearest < CLOSEST:
        raise StructureError(
            f"two atoms are {nearest:.2f} Å apart: give each atom once, positions and cell in Å (neither nm nor "
            'fractions), and leave out sites without mass, such as species={"M": ""}'
        )


@dataclass(frozen=True, eq=False)
class _Job:
    """Rows (m, 3) of atoms from part[0] to part[1], and what they are paired with."""

    pair: int
    rows: Array
    other: Columns
    part: tuple[int, int]
    same: bool


def _jobs(box: Box, kinds: int, rmax: float, share: float, threads: int) -> Iterator[_Job]:
    """Yield the work in pieces; share: pairs counted, over the product of the numbers of their atoms."""
    xyz, kind, side = _with_images(box, rmax)
    inside, after = side == 0, side >= 0
    of_kind = [kind == k for k in range(kinds)]

    def columns(some: Array) -> Columns:
        return Columns.of(xyz[some], rmax, math.inf)

    own = [columns(inside & one) if (inside & one).any() else None for one in of_kind]
    for b in range(kinds):
        whole = columns(of_kind[b]) if b and of_kind[b].any() else None
        half = of_kind[b] & after & ~inside
        beyond = columns(half) if half.any() else None
        for a in range(b + 1):
            rows = own[a]
            if rows is None:
                continue
            pair = a * kinds - a * (a - 1) // 2 + b - a
            for other, same in ((own[b], True), (beyond, False)) if a == b else ((whole, False),):
                if other is not None:
                    size = len(rows.xyz)
                    work = share * size * int((inside & of_kind[b]).sum())
                    parts = min(size, max(4 * threads if work > THREAD_PAIRS else 1, math.ceil(work / PIECE_PAIRS)))
                    for part in blocks(size, parts, triangular=False):
                        yield _Job(pair, rows.xyz, other, part, same)


def _with_images(box: Box, rmax: float) -> tuple[Array, IntArray, IntArray]:
    """Return positions, species and side of the atoms, wrapped into the cell, and of all images within rmax of it.

    side : 0 in the box itself; elsewhere the sign of the first index n_k of the image that is not 0.
    """
    fraction = box.xyz @ np.linalg.inv(box.cell)
    fraction -= np.floor(fraction)
    kind, side = box.kind, np.zeros(len(fraction), dtype=np.int64)
    for k, reach in enumerate(rmax / box.heights + 1e-9):
        many = math.ceil(reach)
        found = []
        for n in range(-many, many + 1):
            moved = fraction[:, k] + n
            near = np.flatnonzero((moved >= -reach) & (moved <= 1.0 + reach))
            part = fraction[near]
            part[:, k] = moved[near]
            found.append((part, kind[near], np.where(side[near] == 0, np.sign(n), side[near])))
        fraction, kind, side = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return fraction @ box.cell, kind, side
