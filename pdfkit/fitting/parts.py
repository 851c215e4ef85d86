"""The measured curves of a fit, ready to be compared with their models, and the quantities that they ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.projection import PatternSet
from pdfkit.fitting.spectrum import spectral
from pdfkit.fitting.whitening import Whitening, possible, whitening
from pdfkit.model.evaluate import Evaluator
from pdfkit.model.model import Model
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.phases.base import Quantity
from pdfkit.results.problem import FitProblem, PosedData, PosedPattern, independent_points


def is_local(name: str) -> bool:
    """Whether a quantity belongs to a data set, not to the sample: its scale and the instrument's own."""
    return name in INSTRUMENT_QUANTITIES or name.endswith(".scale")


def global_quantities(models: Mapping[str, Model], patterns: Sequence[PosedPattern] = ()) -> list[Quantity]:
    """Return the quantities of a fit from the model of each data set: shared ones, and its own of each if several.

    A shared quantity has the narrowest limits that any of the data ask for. patterns : beside them, with their own.
    """
    beside = [replace(q, name=f"{one.name}.{q.name}") for one in patterns for q in one.measured.quantities]
    first = next(iter(models.values()))
    if len(models) == 1:
        return [*first.quantities, *beside]
    for name in models:
        if not name.isidentifier() or name in [phase.name for phase in first.phases]:
            raise ParameterError(
                f"data set name {name!r} cannot be used: write letters, digits and _, and not the name of a phase"
            )
    same = zip(*(model.quantities for model in models.values()), strict=True)
    shared = [
        replace(qs[0], low=max(q.low for q in qs), high=min(q.high for q in qs))
        for qs in same
        if not is_local(qs[0].name)
    ]
    own = [(name, q) for name, model in models.items() for q in model.quantities if is_local(q.name)]
    return [*shared, *(replace(q, name=f"{name}.{q.name}") for name, q in own), *beside]


@dataclass(frozen=True)
class Dataset:
    """One measured curve, ready to be compared with its model.

    target (m,), weight (m,): G_obs and 1/dG (1 where there is none) at the points used; whiten: makes residuals there
    independent, None to take every point by itself. source: where the size of the errors comes from ("cov", "dG",
    "spectrum", "misfit"). given: the same with errors as the data say, where `whiten` is that of an estimated spectrum.
    """

    posed: PosedData
    evaluate: Evaluator
    target: Array
    weight: Array
    whiten: Whitening | None
    source: str
    given: Dataset | None = None

    @classmethod
    def of(cls, posed: PosedData, use_errors: bool, errors: str, evaluate: Evaluator | None = None) -> Dataset:
        """Prepare a data set. errors : "covariance" or "independent"; evaluate : of that model and r."""
        model, data = posed.model, posed.data
        _checks.scale(f"G of {posed.name or data.name or 'the data'}", data.G, data.dG)
        if errors == "covariance":
            made = whitening(data, model.instrument, use_errors)
            # The points are some of the data's: the last may not be among them, and the model is that of all.
            evaluate = evaluate or model.evaluator(data.r[made.index], end=float(data.r[-1]))
            out = cls(posed, evaluate, data.G[made.index], np.ones(made.index.size), made, made.source)
            return out.resized(posed.size) if posed.noise is None else out.with_noise(posed.noise)
        dG = data.dG if use_errors else None
        weight, source = (np.ones(len(data)), "misfit") if dG is None else (1.0 / dG, "dG")
        return cls(posed, evaluate or model.evaluator(data.r, posed.start), data.G, weight, None, source)

    @property
    def name(self) -> str:
        """Its name among several data sets."""
        return self.posed.name

    @property
    def model(self) -> Model:
        """The model that it is compared with."""
        return self.posed.model

    @property
    def data(self) -> PDF:
        """The data in range."""
        return self.posed.data

    @property
    def has_errors(self) -> bool:
        """Whether the size of the errors is known without a fit."""
        return self.source != "misfit"

    @property
    def count(self) -> int:
        """Number of residuals."""
        return self.target.size if self.whiten is None else self.whiten.matrix.shape[0]

    def resized(self, size: float) -> Dataset:
        """Return the data set with noise that much larger than what whitens its points says."""
        plain = self.given or self
        if plain.whiten is None or size == self.posed.size == 1.0:
            return self
        whiten = replace(plain.whiten, matrix=plain.whiten.matrix / size)
        return replace(plain, posed=replace(self.posed, size=size), whiten=whiten, given=plain)

    def evaluated_by(self, evaluate: Evaluator) -> Dataset:
        """Return the data set with another evaluator."""
        given = None if self.given is None else replace(self.given, evaluate=evaluate)
        return replace(self, evaluate=evaluate, given=given)

    def with_noise(self, noise: NoiseSpectrum) -> Dataset:
        """Return the data set with a spectrum of its noise, and weighed by it if it is one."""
        size = 1.0 if noise.weighs else self.posed.size
        given, posed = self.given or self, replace(self.posed, noise=noise, size=size)
        # Errors of the data that are not believed weigh no points either.
        alike = given.whiten if noise.shaped else given.alike()
        if alike is not None and size != 1.0:
            alike = replace(alike, matrix=alike.matrix / size)
        whiten = spectral(self.data, self.model.instrument, noise) if noise.weighs else alike
        return replace(self, posed=posed, whiten=whiten, source="dG" if noise.shaped else "spectrum", given=given)

    def alike(self) -> Whitening | None:
        """Return what weighs points alike, by the mean variance that the data say."""
        if self.whiten is None or self.source == "misfit":
            return self.whiten
        made, r = whitening(self.data, self.model.instrument, False), self.data.r[self.whiten.index]
        cov, dG = self.data.cov, self.data.dG
        if self.source == "cov" and cov is not None:
            said = float(np.diag(cov.matrix(r)).mean())
        else:
            said = 1.0 if dG is None else float((dG**2).mean())
        return replace(made, matrix=made.matrix / math.sqrt(said))

    def raw(self, G: Array, dG: Array) -> Array:
        """Return ∂G/∂x and G − G_obs at the points used: (nfree + 1, m)."""
        return np.concatenate([dG, (G - self.target)[None]])

    def rows(self, G: Array, dG: Array) -> Array:
        """Return ∂f/∂x and f = (G − G_obs)/dG, whitened: (nfree + 1, count)."""
        out = self.raw(G, dG)
        return out * self.weight if self.whiten is None else self.whiten(out)

    def residuals(self, values: Array) -> Array:
        """Return f (n, count) at values (n, k) of all quantities of the model."""
        out = self.evaluate.many(values) - self.target
        return out * self.weight if self.whiten is None else self.whiten(out)

    def norm2(self) -> float:
        """Return Σ(G_obs/dG)² in the metric of the residuals."""
        return self._norm2

    @cached_property
    def _norm2(self) -> float:
        top = self.target[None]
        return float(((top * self.weight if self.whiten is None else self.whiten(top)) ** 2).sum())

    def global_name(self, quantity: str) -> str:
        """Return the parameter name of one of the model's quantities in this data set."""
        return f"{self.name}.{quantity}" if self.name and is_local(quantity) else quantity

    @property
    def independent(self) -> float:
        """Number of independent points: the whitened residuals, or one every π/Qmax in r (the points if fewer)."""
        if self.whiten is not None:
            return float(self.count)
        return independent_points(self.data, self.model.instrument.qmax)


Part = Dataset | PatternSet


def prepared_sets(problem: FitProblem, free: int) -> tuple[list[Dataset], str]:
    """Return the data sets, and how errors of their points go together.

    Where "auto" leaves that open, residuals are made independent if their correlation is known, and if enough are left
    for so many free parameters.
    """
    asked, can = problem.settings.errors, all(possible(one.model) for one in problem.datasets)
    if asked == "covariance" and not can:
        raise PdfkitError(
            'errors="covariance" needs a finite qmax and the default convention: give both, or leave errors= out'
        )
    errors = asked if asked != "auto" else "covariance" if can else "independent"
    if problem.apart and errors != "covariance":
        raise PdfkitError(
            "data sets with noise of their own are weighed against each other by independent numbers: G(r) needs a "
            'finite qmax, the default convention, and no errors="independent"'
        )
    sets = [Dataset.of(one, problem.use_errors, errors) for one in problem.datasets]
    few = sum(s.count for s in sets) <= free and not problem.apart
    if asked == "auto" and errors == "covariance" and few:
        return [Dataset.of(one, problem.use_errors, "independent") for one in problem.datasets], "independent"
    return sets, errors
