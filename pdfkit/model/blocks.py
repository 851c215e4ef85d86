"""One phase of a model on the grid of its nodes: curves by pair of species, their envelope, and their way through Q."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels import peaks as kernels
from pdfkit.model import cut as model_cut
from pdfkit.model.cut import Grid
from pdfkit.model.envelope import Envelope
from pdfkit.model.mixture import Factor
from pdfkit.model.weights import PairWeights, QWeights
from pdfkit.phases.base import Composition, Peaks
from pdfkit.shapes import Whole

NO_WEIGHTS = QWeights(np.zeros((0, 0)), {})


@dataclass(frozen=True)
class Block:
    """One phase on the grid. curves (npairs, 1 + nactive, n): G before envelopes, then its active derivatives."""

    name: str
    found: Peaks
    grid: Grid
    curves: Array
    slope: Array
    active: IntArray
    envelope: Envelope
    weights: QWeights
    tail: QWeights
    split: bool
    factor: Factor | None = None

    @property
    def _faded(self) -> bool:
        """Whether what lies beyond r is faded out: but for a cluster that ends within the grid."""
        shape = self.envelope.shape
        return not (type(shape) is Whole and shape.end <= self.grid.nodes[-1])

    @property
    def taper(self) -> Array:
        """Fades what lies beyond r."""
        return self.grid.taper if self._faded else np.ones(1)

    def envelop(self, out: Array, *, even: bool = False) -> None:
        """Add the curves × envelope to out (npairs, 1 + nq, n), all derivatives included; even: see `Envelope`."""
        kernels.envelop(self.curves, self.active, *self.on_nodes(even=even), out)

    def on_nodes(self, *, even: bool = False) -> tuple[Array, Array, Array]:
        """Return the envelope on the nodes with its derivatives, as `Envelope.at` does."""
        damp = model_cut.damping(self.grid, self.envelope.qdamp, faded=self._faded)
        return self.envelope.at(self.grid.nodes, damp, self.grid.step, even=even)

    def enveloped(self, curves: Array, r: Array) -> Array:
        """Return curves on any r × envelope (npairs, 1 + nq, nr), all derivatives included."""
        out = self._nothing(curves.shape[0], r.size)
        factors = self.envelope.at(r, np.exp(-0.5 * (self.envelope.qdamp * r) ** 2), 0.0)
        kernels.envelop(curves, self.active, *factors, out)
        return out

    def both_enveloped(self) -> list[Array]:
        """Return the curves on the nodes × envelope, and where lines have a tail the even ones."""
        both = (False, True)[: 1 + self.envelope.tailed]
        out = [self._nothing(self.curves.shape[0], self.grid.count) for _ in both]
        for even, one in zip(both, out, strict=True):
            self.envelop(one, even=even)
        return out

    def _nothing(self, npairs: int, n: int) -> Array:
        return np.zeros((npairs, 1 + self.envelope.varied.scale.size, n))


def cut(block: Block, directions: IntArray, curves: Array, tail: Array | None = None) -> Array:
    """Cut node curves (npairs, nq, count) with the weights of their pairs: each if split, else their sum (1, …).

    tail : what to add to them of even curves, of the same shape.
    """
    grid, count = block.grid, curves.shape[0] if block.split else 1
    out = np.zeros((count, curves.shape[1], grid.period))
    add_weighted(block, curves, directions, out)
    if tail is not None:
        add_weighted(block, tail, directions, out, even=True)
    if block.factor is not None:
        for spectrum in out:
            block.factor.apply(spectrum)
    return grid.back(out.reshape(-1, grid.period)).reshape(count, -1, grid.count)


def add_weighted(block: Block, curves: Array, directions: IntArray, out: Array, *, even: bool = False) -> None:
    """Add the transform of curves × weights to out (npairs or 1, nq, period); directions: of the active ones in out."""
    weights = block.tail if even else block.weights
    add = block.grid.add_even_transform if even else block.grid.add_transform
    for k in range(out.shape[0]):
        some = slice(k, k + 1) if block.split else slice(None)
        add(curves[some], weights.at[some] if len(weights.at) > 1 else weights.at, out[k])
        if not weights.changes or (even and not curves[some, 0].any()):
            continue
        value = block.grid.transform(np.ascontiguousarray(curves[some, 0]), even=even)
        for q, change in weights.changes.items():
            row = 1 + int(directions[q])
            value.add(change[some], out[k, row : row + 1])


def alike(one: Composition, other: Composition) -> bool:
    """Whether two phases have and keep the same fractions of the same species."""
    if not (one.elements == other.elements and one.fixed and other.fixed):
        return False
    return one.known == other.known or bool(np.abs(one.fractions - other.fractions).max() < 1e-12)


def slopes(found: Peaks, weights: PairWeights, *, apart: bool) -> Array:
    """Return ρ₀w_ab and its derivatives (npairs, 1 + nq), or (1, …) their sums where pairs are not kept apart."""
    if not found.drho0.size:
        slope = (found.rho0 * weights.share)[:, None]
    else:
        slope = np.empty((weights.share.size, 1 + found.drho0.size))
        slope[:, 0] = found.rho0 * weights.share
        slope[:, 1:] = (found.drho0[:, None] * weights.share + found.rho0 * weights.dshare).T
    return slope if apart else slope.sum(axis=0, keepdims=True)
