"""G(r) of one model at many vectors of values at once: what a loop gives, to rounding, in a half of its time or less.

Of a small crystal as much time goes into what lies around the kernels as into them. Here what does not depend on the
values is looked up once, envelopes and weights are arrays with a leading axis, transforms take many curves, and loops
over vectors are within kernels (`kernels.batches`). What has no such way (`Phase.many_peaks`), and vectors with peaks
without a width, are computed one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels.batches import curves_of_many
from pdfkit.model import reach, spread
from pdfkit.model.blocks import alike
from pdfkit.model.cut import Grid
from pdfkit.model.resolution import BROADENING, QDAMP, QTAIL
from pdfkit.phases.base import ManyPeaks
from pdfkit.shapes import Bulk

if TYPE_CHECKING:
    from pdfkit.model.evaluate import Evaluator

# Vectors at a time: their peaks and curves stay in the cache. From so many on it gains anything.
AT_ONCE, FEWEST = 32, 3


def curves_at(evaluate: Evaluator, values: Array) -> Array:
    """Return G (n, nr) at values (n, k) of all quantities; `messages` and `lost` of the evaluator are those of all."""
    out, messages, lost = np.empty((len(values), evaluate._points)), dict[str, None](), dict[str, None]()
    single = np.arange(len(values))
    if len(values) >= FEWEST and _possible(evaluate, values):
        evaluate._refuse_senseless(values)
        parts = [single[low : low + AT_ONCE] for low in range(0, len(values), AT_ONCE)]
        single = np.concatenate([some[~_together(evaluate, values[some], some, out)] for some in parts])
    for k in single:
        out[k] = evaluate(values[k])[0]
        messages |= dict.fromkeys(evaluate.messages)
        lost |= dict.fromkeys(evaluate.lost)
    evaluate.messages, evaluate.lost = list(messages), list(lost)
    return out


def _possible(evaluate: Evaluator, values: Array) -> bool:
    """Whether the model is cut last, from pairs, by curves that have no tails, of particles that weigh their pairs."""
    plain = evaluate._cut_last and evaluate.convention.prefactor == "pair" and not values[:, QTAIL].any()
    return plain and all(evaluate._weighs(p) or isinstance(p.applied_shape, Bulk) for p in evaluate.phases)


@dataclass(frozen=True)
class _Part:
    """A phase at n vectors: its peaks; its scales (n,), and shapes where they weigh pairs."""

    found: ManyPeaks
    scale: Array
    shapes: list[Any]

    @classmethod
    def of(cls, evaluate: Evaluator, index: int, values: Array) -> _Part | None:
        phase, start = evaluate._offsets[index]
        shapes = [reach.shaped(phase, one, start) for one in values] if evaluate._weighs(phase) else []
        far = [evaluate._far(one, weighs=True) for one in shapes] or [evaluate._far(_BULK, weighs=False)]
        own = values[:, start : start + phase.size]
        found = phase.many_peaks(own, values[:, BROADENING], max(far), shifted=evaluate._shifted)
        if found is None:
            return None
        for k, (shape, end) in enumerate(zip(shapes, far, strict=False)):
            found.within(k, shape, end)
        return cls(found, values[:, start].copy(), shapes)

    def line(self, nodes: Array, which: IntArray) -> Array:
        """Return 4πr·γ₀(r) on the nodes: (n, count), filled where it is asked for, or (1, count) of all."""
        line = 4.0 * math.pi * nodes
        if not self.shapes:
            return line[None]
        out = np.zeros((len(self.shapes), nodes.size))
        for k in which:
            out[k] = line * self.shapes[k].gamma0(nodes)
        return out


_BULK = Bulk()


def _together(evaluate: Evaluator, values: Array, index: IntArray, out: Array) -> Any:
    """Fill out[index] with the curves of some vectors; return for which (n,) this could be done."""
    nothing = np.zeros(len(values), dtype=bool)
    parts = []
    for k in range(len(evaluate.phases)):
        part = _Part.of(evaluate, k, values)
        if part is None:
            return nothing
        parts.append(part)
    compositions = [part.found.composition for part in parts]
    if evaluate._mixes and not all(alike(one, compositions[0]) for one in compositions[1:]):
        return nothing
    done = np.logical_and.reduce([part.found.done for part in parts])
    for grid, which in _on_grids(evaluate, parts, np.flatnonzero(done)):
        if all(_drawn_alone(part, which, grid) for part in parts):
            out[index[which]] = _cut(evaluate, parts, grid, which, values[which, QDAMP])
        else:
            done[which] = False
    return done


def _on_grids(evaluate: Evaluator, parts: list[_Part], which: IntArray) -> Iterator[tuple[Grid, IntArray]]:
    """Yield the grids that the narrowest peaks ask for, with the vectors that share each."""
    by_grid: dict[float, tuple[Grid, list[int]]] = {}
    for k in which.tolist():
        grid = evaluate._grid(min(part.found.extremes(k)[0] for part in parts))
        by_grid.setdefault(grid.step, (grid, []))[1].append(k)
    for grid, some in by_grid.values():
        yield grid, np.array(some)


def _drawn_alone(part: _Part, which: IntArray, grid: Grid) -> bool:
    """Whether the peaks of each of some vectors are drawn one by one."""
    widest = math.sqrt(max(part.found.extremes(k)[1] for k in which.tolist()))
    return spread.soon_drawn(part.found.pair.size, widest, grid.step)


def _cut(evaluate: Evaluator, parts: list[_Part], grid: Grid, which: IntArray, qdamp: Array) -> Array:
    """Return G (n, nr) of some vectors on their grid."""
    spectrum = np.zeros((which.size, grid.period))
    same = (qdamp == qdamp[0]).all()
    decay = np.exp(-0.5 * np.multiply.outer(qdamp[:1] if same else qdamp, grid.nodes) ** 2) * grid.taper
    for part in parts:
        found = part.found
        in_q = evaluate._in_q and len(found.composition.elements) > 1
        weights = evaluate._pair_weights(found.composition, plain=in_q, weighted=True)
        slope = found.rho0[:, None] * (weights.share if in_q else weights.share.sum(keepdims=True))
        curves = np.empty((slope.shape[1], which.size, grid.count))
        envelope = decay
        if not same:
            envelope = np.zeros((len(found.peak), grid.count))
            envelope[which] = decay
        about = (found.peak, found.pair, weights.factor, grid.step, evaluate.convention.reach)
        curves_of_many(which, *about, part.line(grid.nodes, which), slope, envelope, part.scale, curves)
        grid.add_transform(curves, evaluate._weights_in_q(grid, found.composition if in_q else None).at, spectrum)
    return grid.resample(grid.back(spectrum))
