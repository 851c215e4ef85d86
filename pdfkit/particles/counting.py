"""Pair distances of a particle: how many pairs of each kind lie at each distance.

Distances are merged into bins that carry the number of pairs and the first two moments of r, so that a peak or a Debye
term computed at the mean with the variance added to σ² is exact to third order in the width of the bin.

| method | what it does | cost |
|---|---|---|
| "exact" | every distance by itself; merged only where equal within 1e-5 Å | N² memory |
| "direct" | all pairs into bins of 0.005 Å; with rmax, only the columns of atoms within reach | N², or N·rmax³ |
| "lattice" | correlation of occupancy grids by FFT, for particles that know their lattice | M log M, M the volume |

All give the same whole numbers of pairs. "auto" takes the cheapest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement, pairwise
from threading import Event
from typing import Any

import numpy as np

from pdfkit import _checks, _machine
from pdfkit._checks import Array, IntArray
from pdfkit._machine import cores
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.kernels import counting as kernels
from pdfkit.particles.particle import Particle

# Bins this narrow merge only what is equal: (Q·1e-5)³ ≪ 1e-10 at any Q in use.
EXACT_WIDTH = 1e-5
WIDTH = 0.005
"""Å: bins of the histograms. Third order: (Q·0.005)³/60 of a term at worst, 3e-5 at Q = 25, with random sign."""
CLOSEST = 0.5
"""Å: atoms nearer than this are on top of each other."""
METHODS = ("auto", "exact", "direct", "lattice")
# Up to here sorting every distance costs little.
EXACT_ATOMS = 150
LARGEST_EXTENT = 1e6
"""Å: keys of distances are whole numbers of 40 bits, of 1e-5 Å each."""
# Pairs a thread should get at least.
THREAD_PAIRS = 4e6
# And at most: Ctrl-C is heard between two pieces of work.
PIECE_PAIRS = 5e7
# Points of a grid transformed at a time: 2 MB of complex numbers.
SLAB = 1 << 17
# Å: sides of the columns and height of their cells; measured from rmax = 10 to 50 Å.
EDGE, HEIGHT = 10.0, 1.0


@dataclass(frozen=True, eq=False)
class PairTable:
    """Distances between the atoms of a particle, in bins, each pair i < j once.

    distance, variance, count, pair : (m,) mean distance Å, its variance within the bin Å², number of pairs (whole),
    index into `pairs`. pairs : (class a, class b), a ≤ b. atoms : (nclasses,) atoms of each class. axes : (m, 3) mean
    of Δ_k²/d (Å) along x, y, z, or None. rmax : Å, complete up to here (inf: all pairs). method : how it was counted.

    Example
    -------
    >>> import pdfkit as pk
    >>> square = pk.Particle.of(["Na", "Cl", "Na", "Cl"], [[0, 0, 0], [2.8, 0, 0], [2.8, 2.8, 0], [0, 2.8, 0]])
    >>> table = pk.particles.count_pairs(square)
    >>> for d, n, pair in zip(table.distance, table.count, table.pair, strict=True):
    ...     print(f"{n:.0f} × {d:.2f} Å", "–".join(square.elements[k] for k in table.pairs[pair]))
    1 × 3.96 Å Cl–Cl
    4 × 2.80 Å Cl–Na
    1 × 3.96 Å Na–Na
    """

    distance: Array
    variance: Array
    count: Array
    pair: IntArray
    pairs: tuple[tuple[int, int], ...]
    atoms: IntArray
    rmax: float = math.inf
    axes: Array | None = None
    method: str = "exact"

    def __repr__(self) -> str:
        return f"PairTable({self.count.sum():.0f} pairs in {self.count.size} bins, counted by {self.method!r})"

    @cached_property
    def total(self) -> float:
        """Ordered pairs, each atom with itself included: N² for a complete table."""
        return float(2.0 * self.count.sum() + self.atoms.sum())

    def merged(self, width: float) -> PairTable:
        """Return the table in bins of `width` (Å), with moments: fewer entries, less exact."""
        key = self.pair * (1 << 40) + np.floor(self.distance / width).astype(np.int64)
        _, first, index = np.unique(key, return_index=True, return_inverse=True)
        count, mean, variance = _moments(index, first.size, self.distance, self.count)
        variance += np.bincount(index, self.variance * self.count) / count
        axes = None
        if self.axes is not None:
            axes = np.stack([np.bincount(index, self.count * a) / count for a in self.axes.T], axis=1)
        return replace(self, distance=mean, variance=variance, count=count, pair=self.pair[first], axes=axes)


def _moments(index: IntArray, size: int, d: Array, weight: Array | None = None) -> tuple[Array, Array, Array]:
    """Return weight, mean and variance (size,) of the distances with each index."""
    count = np.bincount(index, weight, minlength=size).astype(np.float64)
    mean = np.bincount(index, d if weight is None else d * weight, minlength=size) / count
    squares = (d - mean[index]) ** 2
    return count, mean, np.bincount(index, squares if weight is None else squares * weight, minlength=size) / count


def count_pairs(
    particle: Particle,
    *,
    labels: Any = None,
    rmax: float | None = None,
    method: str = "auto",
    axes: bool = False,
    threads: int | None = None,
    memory: float | None = None,
) -> PairTable:
    """Return the table of pair distances of a particle.

    labels : (n,) class of each atom, 0…; default its element. rmax : Å, None for all pairs. method : see the module.
    axes : keep the moments along x, y and z (method "exact" only). threads : default, one per core. memory : bytes the
    count may take, default 4 GB (environment variable PDFKIT_MEMORY).

    Raises
    ------
    StructureError : atoms closer than 0.5 Å. PdfkitError : a method that does not suit the particle, or needs more
    memory than allowed.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cube = pk.Particle.of(["Po"] * 8, 3.36 * np.indices((2, 2, 2)).reshape(3, 8).T)
    >>> table = pk.particles.count_pairs(cube)  # edges, diagonals of the faces, diagonals of the cube
    >>> table.distance.round(2).tolist(), table.count.tolist()
    ([3.36, 4.75, 5.82], [12.0, 12.0, 4.0])
    """
    _checks.choice("method", method, METHODS)
    memory = _machine.memory_limit() if memory is None else memory
    labels = particle.kind if labels is None else np.asarray(labels, dtype=np.int64)
    rmax = math.inf if rmax is None else _checks.number("rmax", rmax, low=0.0, open_low=True)
    if method == "auto":
        method = _cheapest(particle, rmax, axes, memory)
    if axes and method != "exact":
        raise PdfkitError(f"moments along x, y and z need method='exact', not {method!r}: leave axial expansions out")
    if particle.extent() > LARGEST_EXTENT:
        raise StructureError(
            f"{particle.name or particle.formula} is {particle.extent():.3g} Å across, more than "
            f"{LARGEST_EXTENT:g} Å: is an atom far off?"
        )
    _check_memory(particle, method, memory)
    threads = threads or cores()
    if method == "exact":
        table = _exact(particle, labels, rmax, axes)
    elif method == "lattice":
        table = _lattice(particle, labels, threads if _lattice_bytes(particle, threads) <= memory else 1)
    else:
        table = _direct(particle, labels, rmax, threads)
    if table.count.size and table.distance.min() < CLOSEST:
        raise StructureError(_overlap(particle))
    return table


def _cheapest(particle: Particle, rmax: float, axes: bool, memory: float) -> str:
    """Return the method that needs the least work, in units of about a nanosecond."""
    n = len(particle)
    if axes or n <= EXACT_ATOMS:
        return "exact"
    if particle.lattice is None:
        return "direct"
    extent = particle.extent()
    reach = min(1.0, (2 * rmax / extent) ** 3) if math.isfinite(rmax) else 1.0
    shape, groups = _padded(particle), np.unique(particle.sites[:, 3]).size  # type: ignore[index]  # a lattice has sites
    work = float(np.prod(shape)) * groups * groups * 30.0
    return "lattice" if work < n * n * reach and _lattice_bytes(particle) < memory else "direct"


def _check_memory(particle: Particle, method: str, memory: float) -> None:
    n = len(particle)
    needed = {"exact": 60.0 * n * n, "direct": 100.0 * n + 1e8, "lattice": _lattice_bytes(particle)}[method]
    if needed > memory:
        raise PdfkitError(
            f"{particle.name or particle.formula}: counting the pairs of {n} atoms by method {method!r} needs "
            f"{needed / 1e9:.1f} GB and {memory / 1e9:.1f} GB are allowed: use method='direct', or raise memory="
        )


def _overlap(particle: Particle) -> str:
    from scipy.spatial import cKDTree

    i, j = min(cKDTree(particle.xyz).query_pairs(CLOSEST))
    d = float(np.linalg.norm(particle.xyz[i] - particle.xyz[j]))
    return f"{particle.name or particle.formula}: atoms {i + 1} and {j + 1} are {d:.3f} Å apart: remove one of them"


def _class_pairs(labels: IntArray) -> tuple[tuple[tuple[int, int], ...], IntArray]:
    count = int(labels.max()) + 1
    return tuple(combinations_with_replacement(range(count), 2)), np.bincount(labels, minlength=count)


# --- every distance by itself ----------------------------------------------------------------------------------------


def _exact(particle: Particle, labels: IntArray, rmax: float, axes: bool) -> PairTable:
    pairs, atoms = _class_pairs(labels)
    order = np.argsort(labels, kind="stable")
    xyz, label = particle.xyz[order], labels[order]
    i, j = np.triu_indices(label.size, 1)
    delta = xyz[j] - xyz[i]
    d = np.sqrt(np.einsum("pk,pk->p", delta, delta))
    near = d <= rmax
    if not near.all():
        i, j, d, delta = i[near], j[near], d[near], delta[near]
    lookup = np.zeros((atoms.size, atoms.size), dtype=np.int64)
    for index, (a, b) in enumerate(pairs):
        lookup[a, b] = index
    pair = lookup[label[i], label[j]]
    key = pair * (1 << 40) + np.floor(d / EXACT_WIDTH).astype(np.int64)
    order = np.argsort(key)
    d, key = d[order], key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    count = np.diff(first, append=key.size)
    mean = np.add.reduceat(d, first) / count if first.size else d
    variance = np.add.reduceat((d - np.repeat(mean, count)) ** 2, first) / count if first.size else d
    moments = None
    if axes:
        squares = delta[order] ** 2 / d[:, None]
        moments = np.add.reduceat(squares, first, axis=0) / count[:, None] if first.size else squares
    count, pair = count.astype(np.float64), key[first] >> 40
    return PairTable(mean, variance, count, pair, pairs, atoms, rmax, moments)


# --- histograms ------------------------------------------------------------------------------------------------------


def _direct(particle: Particle, labels: IntArray, rmax: float, threads: int) -> PairTable:
    pairs, atoms = _class_pairs(labels)
    threads = threads if len(particle) ** 2 > 2 * THREAD_PAIRS else 1
    extent = _diameter(particle)
    reach = min(rmax, extent)
    whose = f"{particle.name or particle.formula}: counting pairs in bins up to {reach:.3g} Å"
    _machine.need(24.0 * reach / WIDTH * (len(pairs) + 2 * threads), whose, "give a lower rmax, or remove a far atom")
    bins = int(reach / WIDTH + 1e-6) + 1
    columns = [Columns.of(particle.xyz[labels == c], reach, extent) for c in range(atoms.size)]
    jobs = []
    for pair, (a, b) in enumerate(pairs):
        rows = int(atoms[a])
        work_of = float(rows) * float(atoms[b])
        parts = max(1, min(4 * threads, int(work_of / THREAD_PAIRS)), math.ceil(work_of / PIECE_PAIRS))
        for low, high in blocks(rows, parts, triangular=a == b):
            jobs.append((pair, columns[a], columns[b], low, high, a == b))

    def work(job: tuple[int, Columns, Columns, int, int, bool]) -> tuple[int, Array]:
        pair, rows, other, low, high, same = job
        out = np.zeros((bins, 3))
        kernels.distance_histogram(rows.xyz, other.rows, other.layout, other.start, low, high, same, reach, WIDTH, out)
        return pair, out

    return _from_histograms(in_threads(work, jobs, threads), len(pairs), bins, pairs, atoms, rmax, "direct")


def blocks(rows: int, parts: int, *, triangular: bool) -> list[tuple[int, int]]:
    """Return row ranges of about equal work; row i of a triangle meets the rows − i that follow."""
    t = np.arange(parts + 1) / parts
    edges = rows * (1.0 - np.sqrt(1.0 - t)) if triangular else rows * t
    whole = np.round(edges).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(whole) if b > a]


def _diameter(particle: Particle) -> float:
    """Return an upper bound of the largest distance (Å), for round particles closer than the diagonal of the box."""
    centre = 0.5 * (particle.xyz.min(axis=0) + particle.xyz.max(axis=0))
    radius = float(np.sqrt(((particle.xyz - centre) ** 2).sum(axis=1).max()))
    return min(particle.extent(), 2.0 * radius) + 1e-6


@dataclass(frozen=True, eq=False)
class Columns:
    """Atoms of one class sorted into columns, flat cells on top of each other.

    xyz (m, 3); rows (3, m + LANES), the same with room to read beyond; layout (8,) and start (ncells + 1,) as the
    kernel wants them.
    """

    xyz: Array
    rows: Array
    layout: Array
    start: IntArray

    @classmethod
    def of(cls, xyz: Array, rmax: float, extent: float) -> Columns:
        """Sort positions (m, 3) for searches within rmax (Å); extent (Å): an upper bound of their distances."""
        low, size = xyz.min(axis=0), np.ptp(xyz, axis=0)
        # Where everything is within reach of everything, cells would only cost.
        edge = float(size.max()) + 1.0 if rmax >= extent else min(max(rmax, 3.0), EDGE)
        nx, ny = (int(s // edge) + 1 for s in size[:2])
        dz = edge if rmax >= extent else max(HEIGHT, size[2] * nx * ny / (8.0 * len(xyz) + 1e4))
        nz = int(size[2] // dz) + 1
        cell = np.floor((xyz - low) / (edge, edge, dz)).astype(np.int64)
        index = (cell[:, 0] * ny + cell[:, 1]) * nz + cell[:, 2]
        order = np.argsort(index, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=nx * ny * nz))])
        rows = np.zeros((3, len(xyz) + kernels.LANES))
        rows[:, : len(xyz)] = xyz[order].T
        layout = np.array([*low, edge, dz, nx, ny, nz], dtype=np.float64)
        return cls(np.ascontiguousarray(xyz[order]), rows, layout, start.astype(np.int64))


def in_threads(work: Any, jobs: list[Any], threads: int, halt: Event | None = None) -> Any:
    """Do the jobs, in threads where there are several; the kernels release the lock. `halt` is set when given up."""
    if len(jobs) == 1 or threads == 1:
        yield from map(work, jobs)
        return
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C may come while they are handed in
            if halt is not None:
                halt.set()
            raise


def _from_histograms(
    parts: Any, npairs: int, bins: int, pairs: Any, atoms: IntArray, rmax: float, method: str
) -> PairTable:
    """Turn sums of 1, t and t² per bin into a table. A distance at a bin's edge may be in either bin."""
    sums = np.zeros((npairs, bins, 3))
    with closing(parts):  # what is not begun is given up when this is interrupted
        for pair, part in parts:
            sums[pair] += part[:, :3]
    pair, index = np.nonzero(sums[:, :, 0])
    count, first, second = sums[pair, index].T
    mean = first / count
    return PairTable(
        distance=(index + 0.5) * WIDTH + mean,
        variance=np.maximum(second / count - mean**2, 0.0),
        count=count,
        pair=pair.astype(np.int64),
        pairs=pairs,
        atoms=atoms,
        rmax=rmax,
        method=method,
    )


# --- atoms on a lattice ----------------------------------------------------------------------------------------------


def _spans(particle: Particle) -> IntArray:
    """Largest difference of cell indices along each vector, (3,)."""
    if particle.sites is None:
        raise PdfkitError(f"{particle.name or particle.formula} was not built on a lattice: use method='direct'")
    return np.asarray(np.ptp(particle.sites[:, :3], axis=0))


def _padded(particle: Particle) -> tuple[int, ...]:
    from scipy import fft

    return tuple(fft.next_fast_len(2 * int(s) + 1, real=k == 2) for k, s in enumerate(_spans(particle)))


def _lattice_bytes(particle: Particle, threads: int = 1) -> float:
    if particle.sites is None:
        return 0.0
    groups = np.unique(particle.sites[:, 3]).size
    return 8.0 * float(np.prod(_padded(particle))) * (groups + 1 + 2 * threads)


def _lattice(particle: Particle, labels: IntArray, threads: int) -> PairTable:
    """Count by FFT: the pairs at displacement n are the correlation Σ_m occ_g(m)·occ_h(m + n) of two occupancies.

    Threads take whole transforms: scipy's own `workers` were measured to gain nothing here, and this a factor of two.
    """
    pairs, atoms = _class_pairs(labels)
    spans, shape = _spans(particle), _padded(particle)
    sites, lattice = particle.sites, particle.lattice
    if sites is None or lattice is None:
        raise PdfkitError("the particle was not built on a lattice: use method='direct'")
    cells = sites[:, :3] - sites[:, :3].min(axis=0)
    code = labels * 4096 + sites[:, 3]
    groups = np.unique(code).tolist()
    bins, vectors = int(particle.extent() / WIDTH) + 2, np.array(lattice.vectors)

    halt = Event()

    def spectrum(group: int) -> Any:
        return _spectrum(cells[code == group], spans, shape, halt)

    spectra = dict(zip(groups, in_threads(spectrum, groups, threads, halt), strict=True))

    def work(both: tuple[int, int]) -> tuple[int, Array]:
        (a, i), (b, j) = (divmod(group, 4096) for group in both)
        counts = _correlation(spectra[both[0]], spectra[both[1]], shape, halt)
        shift, half, out = lattice.offsets[j] - lattice.offsets[i], both[0] == both[1], np.zeros((bins, 4))
        low, high = 0 if half else -int(spans[0]), int(spans[0]) + 1
        for part in _slabs(high - low, shape[1] * shape[2], halt):
            rows = (low + part.start, low + part.stop)
            kernels.lattice_histogram(counts, spans, vectors, shift, *rows, half, WIDTH, out)
        return pairs.index((a, b)), out

    jobs = list(combinations_with_replacement(groups, 2))
    return _from_histograms(in_threads(work, jobs, threads, halt), len(pairs), bins, pairs, atoms, math.inf, "lattice")


def _spectrum(cells: IntArray, spans: IntArray, shape: tuple[int, ...], halt: Event) -> Any:
    """Return the transform of the occupancy of `cells` (n, 3) on a grid of `shape`: (p1, p2, p3//2 + 1), in pieces.

    Atoms fill less than half of each side: of the rows that hold none the transform is 0, and not computed.
    """
    from scipy import fft

    rows, columns = int(spans[0]) + 1, int(spans[1]) + 1
    occupied = np.zeros((rows, columns, shape[2]))
    occupied[tuple(cells.T)] = 1.0
    out = np.zeros((shape[0], shape[1], shape[2] // 2 + 1), dtype=np.complex128)
    for part in _slabs(rows, shape[1] * shape[2], halt):
        out[part, :columns] = fft.rfft(occupied[part], axis=2)
        out[part] = fft.fft(out[part], axis=1, overwrite_x=True)
    for part in _slabs(shape[1], shape[0] * shape[2], halt):
        out[:, part] = fft.fft(out[:, part], axis=0, overwrite_x=True)
    return out


def _correlation(one: Any, other: Any, shape: tuple[int, ...], halt: Event) -> Array:
    """Return the correlation (p1, p2, p3) of two occupancies from their transforms, in pieces."""
    from scipy import fft

    product, out = np.empty_like(one), np.empty(shape)
    for part in _slabs(shape[1], shape[0] * shape[2], halt):
        piece = one[:, part].conj()
        piece *= other[:, part]
        product[:, part] = fft.ifft(piece, axis=0, overwrite_x=True)
    for part in _slabs(shape[0], shape[1] * shape[2], halt):
        half = fft.ifft(product[part], axis=1, overwrite_x=True)
        out[part] = fft.irfft(half, shape[2], axis=2, overwrite_x=True)
    return out


def _slabs(count: int, each: int, halt: Event) -> Iterator[slice]:
    """Cut `count` layers of `each` points into slabs that fit a cache; no more of them after `halt`."""
    size = max(1, SLAB // each)
    for k in range(0, count, size):
        if halt.is_set():
            raise CancelledError
        yield slice(k, min(k + size, count))
