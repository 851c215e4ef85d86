"""What displacements of atoms do to the residuals of a fit, of G(r) and of patterns beside it, order by order.

All of it is made of pairs of atoms: F = sin(Qd)/d·exp(−σ²Q²/2) of a pair at distance d, and its derivatives along d,
in Q for patterns, and for G(r) transformed as F itself is. Pairs of one kind whose distances are the same count as one.
The residuals of all data sets are one row, so that a displacement that moves G(r) moves the patterns with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdfkit import scattering, transforms
from pdfkit._checks import Array, IntArray
from pdfkit.fitting.displacements import Pairs, covariance, moving, pair_variance
from pdfkit.fitting.parts import Dataset
from pdfkit.fitting.projection import PatternSet
from pdfkit.model.model import Model
from pdfkit.phases.base import Broadening, Displaced
from pdfkit.phases.cluster import Cluster

LAST = 4
"""The last order. Two claim too much where distances change by more than waves are long; eight make truths no likelier
than four do (simulated cases of 0.2 to 0.35 Å, of which none are among those held out in benchmarks/displaced.py).
"""
BIN = 0.02
"""Å: pairs whose distances are this close count as one."""
MANY = 1_000_000
"""Bins of one kind, at the most."""
STEPS = 2.5
"""Points in Q for every π/r of the largest distance."""
NARROWEST = 1e-4
"""Å²: no pair is taken to be narrower."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Pairs of a cluster by kind and distance. peak (npairs, 3) = d, σ², w; moved: how they follow their atoms.

    of (npairs,): the bin of each pair; kind, count (m,): of the bins.
    """

    peak: Array
    moved: Displaced
    of: IntArray
    kind: IntArray
    count: Array

    @classmethod
    def at(cls, cluster: Cluster, broadening: Broadening) -> Bins:
        """Return the pairs of a cluster whose atoms move, as broad as the instrument makes them."""
        values, reach = np.array(cluster.values), cluster.applied_shape.extent()
        found = cluster.peaks(values, np.zeros((values.size, 0)), broadening, reach, 1.0)
        moved = found.displaced
        assert moved is not None
        peak, pair = found.peak[: len(moved.atoms)], found.pair[: len(moved.atoms)]  # a baseline may follow
        bins, of = np.unique(pair * MANY + np.round(peak[:, 0] / BIN).astype(np.int64), return_inverse=True)
        return cls(peak, moved, of, bins // MANY, np.bincount(of).astype(float))

    def mean(self, values: Array) -> Array:
        """Return the mean (m,) of what pairs have (npairs,)."""
        return np.asarray(np.bincount(self.of, values) / self.count)

    @property
    def distance(self) -> Array:
        """Å (m,)."""
        return self.mean(self.peak[:, 0])

    @property
    def variance(self) -> Array:
        """σ² (m,) in Å²."""
        return np.maximum(self.mean(self.peak[:, 1]), NARROWEST)

    def waves(self, Q: Array, order: int) -> Array:
        """Return the derivative (m, nQ) of this order along d of sin(Qd)/d·exp(−σ²Q²/2).

        The first as it is; of higher ones Qᵏ·sin(Qd + kπ/2)/d, all but what falls as 1/Qd.
        """
        d, s = self.distance[:, None], self.variance[:, None]
        wide = np.exp(-0.5 * s * Q**2)
        if order > 1:
            return np.asarray(Q**order * np.sin(d * Q + 0.5 * order * math.pi) / d * wide)
        slope, sine = self.mean(self.moved.slope)[:, None], np.sin(d * Q)
        return np.asarray((Q * np.cos(d * Q) - sine / d - 0.5 * Q**2 * slope * sine) / d * wide)

    def along(self, rows: Array, atoms: int) -> Array:
        """Return derivatives (3n, k) along the coordinates of atoms of rows (m, k) that pairs have along d."""
        step, bins, out = (
            self.peak[:, 2, None] * self.moved.cosine,
            self.kind.size,
            np.zeros((3 * atoms, rows.shape[1])),
        )
        for axis in range(3):
            ends = [np.bincount(self.moved.atoms[:, k] * bins + self.of, step[:, axis], atoms * bins) for k in (0, 1)]
            out[axis::3] = (ends[0] - ends[1]).reshape(atoms, bins) @ rows
        return out

    def bent(self, variance: Array, order: int) -> Array:
        """Return w·sᵏ/√k! (m,) of all pairs of a bin for order k; variance (npairs,): s², of their distances."""
        square = self.peak[:, 2] ** 2 * variance**order / math.factorial(order)
        return np.asarray(np.sqrt(np.bincount(self.of, square)))


@dataclass(frozen=True, eq=False)
class Part:
    """A data set at its fit: it, the values of its model (n,), and the curve."""

    data: Dataset | PatternSet
    values: Array
    G: Array


def orders(models: Sequence[Model], parts: Sequence[Part]) -> tuple[Array, tuple[Array, ...]]:
    """Return the covariance (k, k) of all residuals by displacements of 1 Å rms, of first order and of all from 2 on.

    models : as fitted, of each G(r). parts : each G(r), whose points are whitened, and then patterns.
    """
    phases = [[moving(one) for one in model.phases] for model in models]
    curves, beside = parts[: len(models)], parts[len(models) :]
    first, higher = [], []
    for k, phase in enumerate(phases[0]):
        pairs = Pairs.of(phase.particle.xyz)
        spread = covariance(pairs)
        variance = pair_variance(pairs, spread)
        every = zip(curves, models, phases, strict=True)
        found = [_of_curve(one.data, model, its, k, variance) for one, model, its in every]
        found += [_of_pattern(one, phase, k, variance) for one in beside]
        columns, *curved = (np.concatenate(some, axis=1) for some in zip(*found, strict=True))
        first.append(columns.T @ spread @ columns)
        higher.append(np.array([one.T @ one for one in curved]))
    return np.sum(first, axis=0), tuple(np.sum(higher, axis=0))


def _of_curve(
    data: Dataset | PatternSet, model: Model, phases: Sequence[Cluster], at: int, variance: Array
) -> list[Array]:
    """Return the derivatives (3n, k) of whitened G(r) along the atoms of one phase, and g⁽ᵏ⁾·sᵏ/√k! (m, k) of pairs."""
    assert isinstance(data, Dataset)
    assert data.whiten is not None
    r, phase = data.data.r[data.whiten.index], phases[at]
    free = Model(list(phases), model.instrument, model.convention, model.strengths)
    values = free.values
    tangents = np.zeros((values.size, 3 * len(phase.particle)))
    start = sum(len(one.quantities) for one in phases[:at]) + phase.moving.start
    tangents[start + np.arange(tangents.shape[1]), np.arange(tangents.shape[1])] = 1.0
    columns = free.evaluator(r, end=float(data.data.r[-1]))(values, tangents)[1]
    return [data.whiten(np.ascontiguousarray(one)) for one in (columns, *_curved(phase, model, r, variance))]


def _curved(phase: Cluster, model: Model, r: Array, variance: Array) -> list[Array]:
    """Return g⁽ᵏ⁾·sᵏ/√k! (m, nr), k from 2 on, of pairs at the same distances, where they are damped."""
    about = model.instrument
    broadening = Broadening(about.qbroad, about.resolution, np.zeros((0, 2)), False)
    bins = Bins.at(phase, broadening)
    d, elements = bins.distance, phase.particle.elements
    qmax = about.qmax or math.inf
    points = math.ceil((qmax - about.qmin) * STEPS * max(float(d.max()), float(r[-1])) / math.pi)
    Q, step = np.linspace(about.qmin, qmax, points, retstep=True)
    constant = model.convention.scattering_of(about) == "constant"
    fractions = np.bincount(phase.particle.kind, minlength=len(elements)) / len(phase.particle)
    weights = scattering.q_weights(
        [str(one) for one in elements], fractions, str(about.probe), np.zeros(1) if constant else Q
    )
    window = transforms.window(about.window, Q, qmax, about.window_width)
    weighed = weights[bins.kind] * window
    damping = phase.scale * np.exp(-0.5 * (about.qdamp * d) ** 2)
    sines = np.sin(np.outer(Q, r)) * (2.0 / math.pi * step)
    return [
        np.asarray((damping * bins.bent(variance, k))[:, None] * (bins.waves(Q, k) * weighed) @ sines)
        for k in range(2, LAST + 1)
    ]


def _of_pattern(part: Part, phase: Cluster, at: int, variance: Array) -> list[Array]:
    """Return the same of a pattern, whose scales take of it what they can: (3n, k) and (m, k)."""
    data = part.data
    assert isinstance(data, PatternSet)
    bins = Bins.at(phase, Broadening.none(0))
    evaluate, out = data.evaluate, []
    for order in range(1, LAST + 1):
        curves = evaluate.added(part.values, at, bins.kind, bins.waves(evaluate.nodes, order))
        out.append(data.rows(part.G, curves)[:-1])
    bent = [bins.bent(variance, k)[:, None] * one for k, one in enumerate(out[1:], start=2)]
    return [bins.along(out[0], len(phase.particle)), *bent]
