"""Measurements of a fitted cluster whose atoms are not where it has them: curves to simulate data with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.displacements import STIFF, moving, root
from pdfkit.fitting.projection import Band, band_of
from pdfkit.model.evaluate import Evaluator
from pdfkit.model.model import Model
from pdfkit.model.pattern import PatternEvaluator, PatternModel
from pdfkit.phases.cluster import Cluster
from pdfkit.results.patterns import PatternFit
from pdfkit.results.result import FitResult

LEFT = 0.3
"""Of a U that was fitted, what is left at least when the displacement that it holds is taken off."""
KINDS = (STIFF, 0.0)
"""Displacements keep bonds, or are those of each atom by itself."""


@dataclass(frozen=True, eq=False)
class Displaceable:
    """A fit of one cluster to G(r), and to patterns, whose atoms can be displaced. G(r) is computed at r (Å)."""

    model: Model
    evaluate: Evaluator
    patterns: Mapping[str, _Pattern]

    @classmethod
    def of(cls, result: FitResult, r: Array) -> Displaceable:
        """Return that of a fit."""
        one = result.datasets[0]
        phases = [moving(phase) for phase in one.model.phases]
        model = Model(phases, one.model.instrument, one.model.convention, one.model.strengths)
        patterns = {fit.name: _Pattern.of(fit, phases) for fit in result.patterns}
        return cls(model, model.evaluator(r, end=float(one.data.r[-1])), patterns)

    @property
    def cluster(self) -> Cluster:
        """The cluster, as it was fitted."""
        return cast(Cluster, self.model.phases[0])

    @cached_property
    def _roots(self) -> list[Array]:
        return [root(self.cluster.particle.xyz, stiff) for stiff in KINDS]

    def drawn(self, size: float, kind: int, rng: np.random.Generator) -> tuple[Array, dict[str, Array]]:
        """Return G (nr,), and I where fits compute it by the name of a pattern, with atoms displaced by `size` (Å rms).

        kind : 0, with bonds kept; 1, each atom by itself. What displacements broaden is taken off U.
        """
        u = np.array([name.endswith(".Uiso") for name in self.model.names])
        values = np.where(u, np.maximum(self.model.values - size**2 / 3.0, LEFT * self.model.values), self.model.values)
        values[self.cluster.moving] = size * (self._roots[kind] @ rng.standard_normal(self._roots[kind].shape[0]))
        known = dict(zip(self.model.names, values.tolist(), strict=True))
        return self.evaluate(values)[0], {name: one.curve(known) for name, one in self.patterns.items()}


@dataclass(frozen=True, eq=False)
class _Pattern:
    """A pattern of a fit: its model with atoms that move, the scales of phases, and what of it is compared."""

    evaluate: PatternEvaluator
    scales: Array
    band: Band

    @classmethod
    def of(cls, fit: PatternFit, phases: list[Cluster]) -> _Pattern:
        measured = fit.model.measured
        reach = max(measured.reach, *(phase.applied_shape.extent() for phase in phases))
        model = PatternModel(tuple(phases), replace(measured, reach=reach), fit.model.strengths)
        scales = np.array([fit.linear[f"{phase.name}.scale"][0] for phase in phases])
        band = band_of(measured)
        return cls(model.evaluator(band.Q), scales, band)

    def curve(self, known: Mapping[str, float]) -> Array:
        """Return I of all phases (nQ,) at values of the parameters."""
        model = self.evaluate.model
        values = np.array([known.get(q.name, q.value) for q in model.quantities])
        return np.asarray(self.scales @ self.evaluate(values)[0].reshape(self.scales.size, -1))
