"""Averages over frames as they come, and their errors by blocks, in memory that does not grow with the frames.

Frames are put into blocks of consecutive ones. When there are twice as many blocks as asked for, neighbours are joined
and blocks are twice as long from then on. How far frames depend on each other is seen in the number of pairs in shells
of 0.1 Å: the error of their mean, by blocks of 1, 2, 4, … frames, grows until blocks are independent.
Source: Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdfkit._checks import Array

BLOCKS = 16
"""Least number of blocks of a long run; there are up to twice as many. Errors are then known to 13 to 18 %."""
SHELL = 0.1
"""Å: shells whose numbers of pairs tell how far frames depend on each other."""
# Blocks that a length must have to be judged by, and by how much the error grows where it has not ended to.
FEWEST, GROWING = 8, 1.25


@dataclass(frozen=True, eq=False)
class Averages:
    """What frames were averaged to.

    frames : how many. mean : sums of pairs (npairs, nbins, 3) per frame; density : atoms/Å³. blocks : the same of
    each complete block, (k, npairs, nbins, 3), and densities (k,). growth : what the squared error of blocks that long
    has to be multiplied with, 1 where they are independent. each : frames of a block. dependent : how many frames are
    worth one independent frame. settled : whether that is known, and not only its least value.
    """

    frames: int
    mean: Array
    density: float
    blocks: Array
    densities: Array
    each: int
    growth: float
    dependent: float
    settled: bool

    @property
    def independent(self) -> float:
        """Number of independent frames that would give the same errors."""
        return self.frames / self.dependent

    def errors(self, curves: Array) -> Array | None:
        """Return standard errors of the mean (…, n) from the curves of the blocks, (k, …, n); None of one block."""
        k = len(curves)
        if k < 2:
            return None
        return np.asarray(np.sqrt(self.growth * curves.var(axis=0, ddof=1) / k))


@dataclass
class Averaging:
    """Takes frames one by one; `result` tells what they give. least : number of blocks; width : Å, of the bins."""

    least: int
    width: float
    frames: int = 0
    each: int = 1
    _now: tuple[int, Any, float] = (0, 0.0, 0.0)
    _blocks: list[tuple[Array, float]] = field(default_factory=list)
    _levels: list[_Level] = field(default_factory=list)
    _total: tuple[Any, float] = (0.0, 0.0)

    def add(self, sums: Array, density: float) -> None:
        """Add a frame: sums (npairs, nbins, 3) of its pairs, and its atoms per Å³."""
        self.frames += 1
        self._total = (self._total[0] + sums, self._total[1] + density)
        self._compare(_shells(sums, self.width))
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

    def _compare(self, shells: Array) -> None:
        """Add a frame to what is known of means of 1, 2, 4, … frames."""
        for level in self._levels:
            joined = level.add(shells)
            if joined is None:
                return
            shells = joined
        self._levels.append(_Level())
        self._levels[-1].add(shells)

    @property
    def result(self) -> Averages:
        """What the frames so far give."""
        known = [level.error2 for level in self._levels if level.count >= FEWEST]
        ratio = [one / known[0] for one in known] if known and known[0] > 0 else [1.0] * max(1, len(known))
        largest, at = max(ratio), min(self.each.bit_length(), len(ratio)) - 1
        total, density = self._total
        return Averages(
            frames=self.frames,
            mean=total / self.frames,
            density=density / self.frames,
            blocks=np.array([sums for sums, _ in self._blocks]),
            densities=np.array([one for _, one in self._blocks]),
            each=self.each,
            growth=max(1.0, largest / ratio[at]),
            dependent=largest,
            settled=len(ratio) > 1 and ratio[-1] <= GROWING * max(ratio[:-1]),
        )


@dataclass
class _Level:
    """Mean and spread of means of 2ᵏ frames each, as they come (Welford), and one that waits for its neighbour."""

    count: int = 0
    mean: Any = 0.0
    squares: float = 0.0
    waiting: Array | None = None

    def add(self, x: Array) -> Array | None:
        """Add a mean; return the mean of it and its neighbour, every second time."""
        self.count += 1
        off = x - self.mean
        self.mean = self.mean + off / self.count
        self.squares += float((off * (x - self.mean)).sum())
        before, self.waiting = self.waiting, x if self.waiting is None else None
        return None if before is None else 0.5 * (before + x)

    @property
    def error2(self) -> float:
        """Squared error of the mean of all, summed over shells, were these independent."""
        return self.squares / (self.count * (self.count - 1))


def _shells(sums: Array, width: float) -> Array:
    """Return the numbers of pairs in shells of about 0.1 Å."""
    number = sums[..., 0]
    return np.add.reduceat(number, np.arange(0, number.shape[1], max(1, round(SHELL / width))), axis=1)
