"""Averages over frames as they come, and their errors by blocks, in memory that does not grow with the frames.

Frames are put into blocks of consecutive ones. When there are twice as many blocks as asked for, neighbours are joined
and blocks are twice as long from then on. How far blocks depend on each other is seen in their curves, by ranges of r
(`dependence`): near and far shells forget at different speeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.trajectories.dependence import Memory, memory

BLOCKS = 16
"""Least number of blocks of a long run; there are up to twice as many. Errors are then known to 13 to 18 %."""
SHELL = 0.1
"""Å: shells whose numbers of pairs tell how far frames depend on each other."""
RANGE = 1.0
"""Å: distance of the middles of ranges, each of which shares its points with its neighbours."""
FEWEST = 8
"""Least number of blocks that tell how far they depend on each other; of fewer, each is taken as independent."""
SAME = 1e-10
"""Errors below this share of a curve are rounding: frames are the same."""
LIKELY = 0.7
"""Probability of a long memory from which on it is said."""


@dataclass(frozen=True, eq=False)
class Averages:
    """What frames were averaged to.

    frames : how many. mean : sums of pairs (npairs, nbins, 3) per frame; density : atoms/Å³. blocks : the same of
    each complete block, (k, npairs, nbins, 3), and densities (k,). each : frames of a block. width : Å, of the bins.
    single : squared standard error of the numbers of pairs in shells, summed over these, were frames independent.
    """

    frames: int
    mean: Array
    density: float
    blocks: Array
    densities: Array
    each: int
    width: float
    single: float

    @property
    def judged(self) -> bool:
        """Whether there are blocks enough to tell how far they depend on each other."""
        return len(self.blocks) >= FEWEST

    @property
    def same(self) -> bool:
        """Whether all frames, of several, have the same pairs."""
        return self.frames > 1 and not self.single > 0.0 and bool(self.mean.any())

    @cached_property
    def independent(self) -> float:
        """Number of independent frames that would give the same errors."""
        if self.same:
            return 1.0
        errors = self.errors(self._shells, self._step) if self.judged else None
        dependent = 1.0 if errors is None or not self.single > 0.0 else float((errors**2).sum()) / self.single
        return self.frames / max(1.0, dependent)

    @cached_property
    def unsettled(self) -> tuple[float, float] | None:
        """From where to where (Å) errors are a lower limit: frames depend on each other over too much of the run."""
        if len(self.blocks) < BLOCKS:  # a tenth of so few frames is one
            return None
        long = self._memory(self._shells, self._step)[0].long
        middles = np.flatnonzero((long.reshape(-1, long.shape[-1]) > LIKELY).any(axis=0)) * RANGE
        return (float(max(0.0, middles[0] - RANGE)), float(middles[-1] + RANGE)) if middles.size else None

    def errors(self, curves: Array, step: float) -> Array | None:
        """Return standard errors of the mean (…, n) from curves of the blocks, (k, …, n), with points every `step` Å.

        None of one block, and of frames that are all the same.
        """
        k = len(curves)
        if k < 2:
            return None
        variance = curves.var(axis=0, ddof=1) / k
        if not variance.max() > (SAME * np.abs(curves).max()) ** 2:
            return None
        if self.judged:
            found, middles = self._memory(curves, step)
            growth = found.growth.reshape(-1, middles.size)
            at = np.array([np.interp(np.arange(curves.shape[-1]), middles, row) for row in growth])
            variance = variance * at.reshape(variance.shape)
        return np.asarray(np.sqrt(variance))

    def _memory(self, curves: Array, step: float) -> tuple[Memory, Array]:
        """Return what curves of blocks show by ranges, and the middles of these, in points."""
        half = max(1.0, RANGE / step)
        middles = np.arange(0.0, curves.shape[-1] - 1 + half, half)
        index = np.rint(middles)[:, None].astype(int) + np.arange(-int(half), int(half) + 1)
        weight = np.maximum(0.0, 1.0 - np.abs(index - middles[:, None]) / (half + 1e-9))
        weight[(index < 0) | (index >= curves.shape[-1])] = 0.0
        index = np.clip(index, 0, curves.shape[-1] - 1)
        rows = curves.reshape(len(curves), -1, curves.shape[-1]).swapaxes(0, 1)
        found = [memory(row[:, index] * np.sqrt(weight), self.each, self.frames) for row in rows]
        shape = (*curves.shape[1:-1], middles.size)
        growth, long = (np.array(one).reshape(shape) for one in zip(*((m.growth, m.long) for m in found), strict=True))
        return Memory(growth, long), middles

    @property
    def _step(self) -> float:
        return self.width * max(1, round(SHELL / self.width))

    @property
    def _shells(self) -> Array:
        return np.array([_shells(sums, self.width) for sums in self.blocks])


@dataclass
class Averaging:
    """Takes frames one by one; `result` tells what they give. least : number of blocks; width : Å, of the bins."""

    least: int
    width: float
    frames: int = 0
    each: int = 1
    _now: tuple[int, Any, float] = (0, 0.0, 0.0)
    _blocks: list[tuple[Array, float]] = field(default_factory=list)
    _spread: _Spread = field(default_factory=lambda: _Spread())
    _total: tuple[Any, float] = (0.0, 0.0)

    def add(self, sums: Array, density: float) -> None:
        """Add a frame: sums (npairs, nbins, 3) of its pairs, and its atoms per Å³."""
        self.frames += 1
        self._total = (self._total[0] + sums, self._total[1] + density)
        self._spread.add(_shells(sums, self.width))
        count, whole, dense = self._now
        count, whole, dense = count + 1, whole + sums, dense + density
        self._now = (count, whole, dense)
        if count == self.each:
            self._now = (0, 0.0, 0.0)
            self._blocks.append((whole / count, dense / count))
        if len(self._blocks) == 2 * self.least:
            pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
            self._blocks = [(0.5 * (a + b), 0.5 * (p + q)) for (a, p), (b, q) in pairs]
            self.each *= 2

    @property
    def result(self) -> Averages:
        """What the frames so far give."""
        total, density = self._total
        return Averages(
            frames=self.frames,
            mean=total / self.frames,
            density=density / self.frames,
            blocks=np.array([sums for sums, _ in self._blocks]),
            densities=np.array([one for _, one in self._blocks]),
            each=self.each,
            width=self.width,
            single=self._spread.squares / max(1, self.frames * (self.frames - 1)),
        )


@dataclass
class _Spread:
    """Mean and squares of deviations from it of numbers as they come (Welford), these summed over shells."""

    count: int = 0
    mean: Any = 0.0
    squares: float = 0.0

    def add(self, x: Array) -> None:
        self.count += 1
        off = x - self.mean
        self.mean = self.mean + off / self.count
        self.squares += float((off * (x - self.mean)).sum())


def _shells(sums: Array, width: float) -> Array:
    """Return the numbers of pairs in shells of about 0.1 Å."""
    number = sums[..., 0]
    return np.add.reduceat(number, np.arange(0, number.shape[1], max(1, round(SHELL / width))), axis=1)
