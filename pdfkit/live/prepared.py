"""A state made ready for curves: models, data and parameters, which are built once while only numbers move."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.live.state import State

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.data.curves import PDF
    from pdfkit.model.evaluate import Evaluator
    from pdfkit.model.model import Model
    from pdfkit.model.params import Parameters

# Where a model without data is drawn, in Å.
EMPTY = (0.01, 30.0, 0.01)


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of one data set on its points r: G as measured (None without data) and calculated (None without phases).

    low, high : the range of the fit.
    """

    name: str
    r: Array
    measured: Array | None
    calculated: Array | None
    low: float
    high: float

    @property
    def rw(self) -> float | None:
        """Rw = √(Σ(G_obs − G_calc)² / ΣG_obs²) in the range of the fit; None where there is nothing to compare."""
        if self.measured is None or self.calculated is None:
            return None
        here = (self.r >= self.low - 1e-9) & (self.r <= self.high + 1e-9)
        size = float(np.sum(self.measured[here] ** 2))
        return float(np.sqrt(np.sum((self.measured - self.calculated)[here] ** 2) / size)) if size else None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data sets by name (None where there are none), their models (none without phases), and parameters."""

    data: Mapping[str, PDF | None]
    models: Mapping[str, Model]
    params: Parameters | None
    ranges: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, state: State, folder: Path) -> Prepared:
        """Prepare the tables of a state whose paths start at `folder`; raises PdfkitError for what cannot be used."""
        from pdfkit.data.instrument import Instrument
        from pdfkit.fitting.least_squares import parameters
        from pdfkit.model.model import Model
        from pdfkit.model.params import apply_choices

        recipe = _recipe(state, folder)
        data: dict[str, Any] = {entry.name or "": entry.read() for entry in recipe.data}
        ranges = {
            entry.name or "": _range(pdf, entry.rmin, entry.rmax)
            for entry, pdf in zip(recipe.data, data.values(), strict=True)
        }
        if not state.phases:
            return cls(data, {}, None, ranges)
        if not data:
            model = Model([entry.build() for entry in recipe.phases], Instrument(probe="X", qmax=25.0))
            return cls({"": None}, {"": model}, parameters(model), {"": (0.0, EMPTY[1])})
        models = recipe.models()
        model, known = recipe.build()
        params = parameters(model, known)
        apply_choices(params, recipe.free, recipe.ties, recipe.bounds)
        return cls(data, models, params, ranges)

    def at(self, values: Mapping[str, float]) -> Parameters:
        """Return the parameters with other values; what is tied follows."""
        assert self.params is not None
        for name, value in values.items():
            if name in self.params and not self.params[name].expr:
                self.params[name].value = value
        return self.params

    @cached_property
    def grids(self) -> dict[str, Array]:
        """Points r of each data set."""
        return {name: np.arange(*EMPTY) if pdf is None else np.asarray(pdf.r) for name, pdf in self.data.items()}

    @cached_property
    def evaluators(self) -> dict[str, Evaluator]:
        """What computes the model of each data set, ready."""
        return {name: self.models[name].evaluator(self.grids[name]) for name in self.data if name in self.models}

    def vector(self, name: str) -> Array:
        """Return the values of a data set's model as the parameters are now."""
        params, lead = self.params, f"{name}." if name and len(self.data) > 1 else ""
        assert params is not None
        return np.array(
            [params[own if (own := lead + one) in params else one].value for one in self.models[name].names]
        )

    def curves(self, name: str, values: Mapping[str, float]) -> Curves:
        """Return the curves of a data set."""
        pdf, r = self.data[name], self.grids[name]
        calculated = None
        if name in self.evaluators:
            self.at(values)
            calculated, _ = self.evaluators[name](self.vector(name))
        measured = None if pdf is None else np.asarray(pdf.G)
        return Curves(name, r, measured, calculated, *self.ranges[name])


def _range(pdf: PDF, low: float | None, high: float | None) -> tuple[float, float]:
    return float(pdf.r[0]) if low is None else low, float(pdf.r[-1]) if high is None else high


def _recipe(state: State, folder: Path) -> Any:
    from pdfkit.recipes.recipe import recipe_in

    source = state.source()
    return recipe_in(source, tomllib.loads(source.text), folder, whole=False)
