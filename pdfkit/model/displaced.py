"""Derivatives of G(r) along the places of atoms, all at once: each pair touches six of 3n columns.

The curve of a pair's derivative is made once on the working grid and added to the three coordinates of its two atoms
(`kernels.displaced`). The cut in Q, its weights and resampling are one matrix for each kind of pairs, nodes × r, so
that all columns go through them in one product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels.displaced import displaced_peaks
from pdfkit.model.blocks import Block
from pdfkit.model.cut import Grid
from pdfkit.phases.base import Displaced, Phase

# Grids whose responses are kept, and nodes up to which transforms of each column cost more than a response.
MOST_KEPT = 8
MOST_NODES = 800


@dataclass(frozen=True, eq=False)
class Moving:
    """What tangents do to the places of the atoms of a phase: in the directions `columns` (k,) they move by (3n, k).

    single: the coordinate that each direction moves, with `size` (k,) by how much, where each moves one; else None.
    """

    columns: IntArray
    along: Array
    single: IntArray | None
    size: Array

    @classmethod
    def of(cls, phase: Phase, tangents: Array) -> Self | None:
        """Return it for tangents (nquantities, nq) of a phase; None where they move no atom."""
        rows = tangents[phase.moving]
        columns = np.flatnonzero(rows.any(axis=0))
        if not columns.size:
            return None
        along = phase.displacements(rows[:, columns])
        largest = np.abs(along).argmax(axis=0)
        size = along[largest, np.arange(columns.size)]
        alone = bool((np.count_nonzero(along, axis=0) == 1).all())
        return cls(columns, along, largest if alone else None, size)

    @property
    def atoms(self) -> Array:
        """Which atoms move (n,)."""
        return np.asarray(self.along.any(axis=1).reshape(-1, 3).any(axis=1))

    def add(self, curves: Array, out: Array) -> None:
        """Add derivatives along coordinates, curves (3n, nr), to those along directions, out (nq, nr)."""
        found = self.along.T @ curves if self.single is None else self.size[:, None] * curves[self.single]
        out[self.columns] += found


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of derivatives by kind of pairs: `first` (npairs, natoms), of x of each atom, −1 for none.

    parts: of each kind of pairs, its rows and the coordinates that they are of.
    """

    first: IntArray
    parts: tuple[tuple[slice, IntArray], ...]
    count: int

    @classmethod
    def of(cls, moved: Displaced, pairs: Sequence[tuple[str, str]], wanted: Array, apart: bool) -> Self:
        """Return the rows for atoms that are wanted (n,); apart: whether pairs of each kind have their own."""
        elements = list(dict.fromkeys(name for pair in pairs for name in pair))
        kinds = [{elements.index(a), elements.index(b)} for a, b in pairs] if apart else [set(moved.kind.tolist())]
        first, parts, count = np.full((len(kinds), moved.kind.size), -1, dtype=np.int64), [], 0
        for row, kind in zip(first, kinds, strict=True):
            atoms = np.flatnonzero(np.isin(moved.kind, list(kind)) & (wanted > 0))
            row[atoms] = count + 3 * np.arange(atoms.size)
            parts.append((slice(count, count + 3 * atoms.size), (3 * atoms[:, None] + np.arange(3)).ravel()))
            count += 3 * atoms.size
        return cls(np.repeat(first, len(pairs), axis=0) if not apart else first, tuple(parts), count)


@dataclass(frozen=True, eq=False)
class Response:
    """What becomes of unit values at the first nodes: for each row of weights (nodes, nr), or (nodes, count).

    resampled: whether that is on r, which has no more points than there are nodes.
    """

    at: tuple[Array, ...]
    resampled: bool

    @classmethod
    def of(cls, grid: Grid, weights: Array, nodes: int) -> Self:
        """Return it for weights (npairs or 1, period) of transforms."""
        resampled = grid.first.size <= grid.count
        return cls(tuple(_response(grid, one, nodes, resampled) for one in weights), resampled)


def _response(grid: Grid, weight: Array, nodes: int, resampled: bool) -> Array:
    """Return the response to unit values at nodes j, y_m = κ(m − j) − κ(m + j), κ the transform of the weights.

    What `Grid.add_transform` and `Grid.back` do to these, by one transform in place of one for each node.
    """
    from scipy import fft

    padded = np.zeros(grid.period + 1)
    padded[1:-1] = weight[1:]
    kernel = fft.dct(padded, type=1) / (2.0 * grid.period)
    kernel = np.concatenate([kernel, kernel[-2::-1]])  # cosines come back
    j, m = np.arange(nodes)[:, None], np.arange(grid.count)
    back = kernel[np.abs(m - j)] - kernel[m + j]
    return grid.resample(back) if resampled else back


class Responses:
    """Derivatives of an evaluator along places of atoms, with its last responses. reach: where peaks end, in σ."""

    def __init__(self, reach: float) -> None:
        self._reach = reach
        self._kept: dict[tuple[int, int, int], tuple[Grid, Array, Response]] = {}

    def derivatives(self, block: Block, factor: Array, wanted: Array) -> Array:
        """Return the derivatives of G along all coordinates (3n, nr), 0 for atoms that are not wanted (n,).

        factor (npairs,): of the species pairs.
        """
        found, grid, moved = block.found, block.grid, block.found.displaced
        assert moved is not None
        weights, nodes = block.weights.at, self._nodes(block)
        rows = Rows.of(moved, found.pairs, wanted, apart=len(weights) > 1)
        curves = np.zeros((rows.count, nodes))
        about = (moved.slope, moved.cosine, moved.atoms, found.pair, factor, rows.first, grid.step, self._reach)
        displaced_peaks(found.peak, *about, curves)
        curves *= block.on_nodes()[0][:nodes]
        if _most_nodes(block) > MOST_NODES:
            return _transformed(grid, weights, rows, curves)
        response = self._response(block)
        out = np.zeros((3 * moved.kind.size, response.at[0].shape[1]))
        for (some, coordinates), matrix in zip(rows.parts, response.at, strict=True):
            out[coordinates] += curves[some] @ matrix[:nodes]
        return out if response.resampled else grid.resample(out)

    def _nodes(self, block: Block) -> int:
        """Return how many nodes the peaks of a block reach to."""
        peak = block.found.peak
        last = float((peak[:, 0] + self._reach * np.sqrt(np.maximum(peak[:, 1], 0.0))).max())
        return min(_most_nodes(block), math.ceil(last / block.grid.step) + 1)

    def _response(self, block: Block) -> Response:
        grid, weights, nodes = block.grid, block.weights.at, _most_nodes(block)
        key = id(grid), id(weights), nodes
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = grid, weights, Response.of(grid, weights, nodes)
        return self._kept[key][2]


def _most_nodes(block: Block) -> int:
    """Return up to which node there can be peaks."""
    return min(block.grid.count, math.ceil(float(block.envelope.shape.extent()) / block.grid.step) + 1)


def _transformed(grid: Grid, weights: Array, rows: Rows, curves: Array) -> Array:
    """Return derivatives (3n, nr) of curves (nrows, nodes) without a response: by transforms of each of them."""
    spectrum = np.zeros((3 * rows.first.shape[1], grid.period))
    for (some, coordinates), weight in zip(rows.parts, weights, strict=True):
        part = np.zeros((coordinates.size, grid.period))
        grid.add_transform(curves[some][None], weight[None], part)
        spectrum[coordinates] += part
    return grid.resample(grid.back(spectrum))
