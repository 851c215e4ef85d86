"""Measurements of a fitted cluster whose atoms are not where it has them: curves to simulate data with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """A fit of one cluster to G(r), maybe several, and to patterns, whose atoms can be displaced."""

    models: tuple[Model, ...]
    evaluate: tuple[Evaluator, ...]
    patterns: Mapping[str, _Pattern]

    @classmethod
    def of(cls, result: FitResult, r: Sequence[Array]) -> Displaceable:
        """Return that of a fit. r : Å, where each G(r) is computed."""
        models = tuple(_free(one.model) for one in result.datasets)
        made = zip(models, r, result.datasets, strict=True)
        evaluate = tuple(model.evaluator(at, end=float(one.data.r[-1])) for model, at, one in made)
        phases = [cast(Cluster, one) for one in models[0].phases]
        return cls(models, evaluate, {fit.name: _Pattern.of(fit, phases) for fit in result.patterns})

    @property
    def cluster(self) -> Cluster:
        """The cluster, as it was fitted."""
        return cast(Cluster, self.models[0].phases[0])

    @cached_property
    def _roots(self) -> list[Array]:
        return [root(self.cluster.particle.xyz, stiff) for stiff in KINDS]

    def drawn(self, size: float, kind: int, rng: np.random.Generator) -> tuple[list[Array], dict[str, Array]]:
        """Return each G (nr,), and I where fits compute it by the name of a pattern, atoms displaced by `size` (Å rms).

        kind : 0, with bonds kept; 1, each atom by itself. What displacements broaden is taken off U.
        """
        shift = size * (self._roots[kind] @ rng.standard_normal(self._roots[kind].shape[0]))
        values = [self._shifted(model, size, shift) for model in self.models]
        known = dict(zip(self.models[0].names, values[0].tolist(), strict=True))
        curves = [evaluate(one)[0] for evaluate, one in zip(self.evaluate, values, strict=True)]
        return curves, {name: one.curve(known) for name, one in self.patterns.items()}

    def _shifted(self, model: Model, size: float, shift: Array) -> Array:
        u = np.array([name.endswith(".Uiso") for name in model.names])
        out = np.where(u, np.maximum(model.values - size**2 / 3.0, LEFT * model.values), model.values)
        out[self.cluster.moving] = shift
        return out


def _free(model: Model) -> Model:
    """Return a model whose atoms can be displaced."""
    return Model([moving(one) for one in model.phases], model.instrument, model.convention, model.strengths)


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
