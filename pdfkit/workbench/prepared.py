"""A state made ready for curves: models, data and parameters, which are built once while only numbers move."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError, heard
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.data.curves import PDF
    from pdfkit.fitting.posing import Posed
    from pdfkit.model.evaluate import Evaluator
    from pdfkit.model.model import Model
    from pdfkit.model.params import Parameters
    from pdfkit.phases.base import Quantity
    from pdfkit.recipes.recipe import Recipe

# From where and how finely a model without data is drawn, in Å.
FIRST, STEP = 0.01, 0.01
WHOLE = slice(None)


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
        here = slice(*np.searchsorted(self.r, [self.low - 1e-9, self.high + 1e-9]))
        seen, gap = self.measured[here], (self.measured - self.calculated)[here]
        size = float(seen @ seen)
        return float(np.sqrt(float(gap @ gap) / size)) if size else None


@dataclass(frozen=True, eq=False)
class Built:
    """What stays while parameters are freed, tied or limited: models and data as read, known by the text they are of.

    files : those that were read, and when each was changed last. evaluators : by data set and whether of all its
    points, made when first asked for.
    """

    key: str
    files: tuple[tuple[str, int], ...]
    model: Model | None
    known: Any
    evaluators: dict[tuple[str, bool], Evaluator] = field(default_factory=dict)

    def news(self, before: Built | None) -> str:
        """Return what is to be said where files have changed since those before were read; else ""."""
        then = {} if before is None else dict(before.files)
        new = [Path(file).name for file, when in self.files if then.get(file, when) != when]
        return f"{' and '.join(new)} changed since it was read, and was read again" if new else ""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data sets by name (None where there are none), their models (none without phases), and parameters.

    folder : where paths of the state begin. begins : Å, where filters of another program begin, by data set. said :
    remarks on data, limits and ties. starts : values of parameters as the tables have them.
    """

    folder: Path
    recipe: Recipe
    built: Built
    data: Mapping[str, PDF | None]
    models: Mapping[str, Model]
    params: Parameters | None
    ranges: Mapping[str, tuple[float, float]]
    begins: Mapping[str, float | None] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    starts: Mapping[str, float] = field(default_factory=dict)
    _moved: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, state: State, folder: Path, before: Prepared | None = None) -> Prepared:
        """Prepare a state whose paths start at `folder`; raises PdfkitError for what cannot be used.

        before : the state before, from which what is the same is taken.
        """
        recipe = recipe_of(state, folder)
        if not state.data and state.patterns:
            raise PdfkitError("a pattern is fitted beside G(r): add a file of G(r), too")
        with heard():  # remarks are kept with what they are about
            built = _built(recipe, state, None if before is None else before.built)
            if not state.phases:
                return _of_data(folder, recipe, built)
            return (_of_fit if state.data else _of_beam)(state, folder, recipe, built)

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of all parameters."""
        return () if self.params is None else tuple(self.params)

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """Quantities by full name."""
        from pdfkit.fitting.datasets import beside
        from pdfkit.fitting.parts import global_quantities

        if not self.models or self.built.model is None:
            return {}
        patterns = beside(self.built.model, self.built.known)[0] if self.built.known is not None else ()
        return {q.name: q for q in global_quantities(self.models, patterns)}

    def at(self, values: Mapping[str, float]) -> Parameters:
        """Return the parameters with other values; what is tied follows, and limits that nobody set make room."""
        from pdfkit.model.params import put

        params = self.params
        assert params is not None
        for name in [name for name in self._moved if name not in values]:
            self._moved.discard(name)
            if not params[name].expr:
                put(params[name], self.starts[name])
        for name, value in values.items():
            if name in self.starts and not params[name].expr:
                put(params[name], value)
                self._moved.add(name)
        for par in self._tied:
            _let_follow(par)
        return params

    @cached_property
    def _tied(self) -> list[Any]:
        return [] if self.params is None else [par for par in self.params.values() if par.expr]

    @cached_property
    def grids(self) -> dict[str, Array]:
        """Points r of each data set."""
        return {
            name: np.arange(FIRST, self.ranges[name][1] + STEP / 2, STEP) if pdf is None else np.asarray(pdf.r)
            for name, pdf in self.data.items()
        }

    def evaluator(self, name: str, vector: Array, here: slice = WHOLE) -> Evaluator:
        """Return what computes the model of a data set near values (n,): ripples go as far as these ask for.

        One that is at hand may leave out 5e-6 of the largest G (`Evaluator.near`), one that is made here does not.
        """
        found, key = self.built.evaluators, (name, here == WHOLE)
        if key not in found:
            with heard():
                model = self.models[name]
                model = model.with_values(dict(zip(model.names, vector.tolist(), strict=True)))
                found[key] = model.evaluator(self.grids[name][here], self.begins.get(name))
        found[key] = found[key].near(vector)
        return found[key]

    def pieces(self, name: str) -> tuple[slice, ...]:
        """Return the points that are computed at once, what comes later over what is before it: filters of other
        programs go by where the points end, so that the range of the fit is a piece of its own."""
        model = self.models[name]
        if self.data[name] is None or model.convention.cut == "exact" or not model.instrument.terminated:
            return (WHOLE,)
        low, high = np.searchsorted(self.grids[name], np.add(self.ranges[name], (-1e-9, 1e-9)))
        return WHOLE, slice(int(low), int(high))

    def calculated(self, name: str) -> Array:
        """Return G of a data set's model as the parameters are now."""
        out, vector = np.zeros(self.grids[name].size), self.vector(name)
        for here in self.pieces(name):
            out[here], _ = self.evaluator(name, vector, here)(vector)
        return out

    def parts(self, name: str) -> dict[tuple[str, tuple[str, str]], Array]:
        """Return the shares of phases and pairs, which add up to `calculated`."""
        out: dict[tuple[str, tuple[str, str]], Array] = {}
        vector = self.vector(name)
        for here in self.pieces(name):
            for key, G in self.evaluator(name, vector, here).parts(vector).items():
                out.setdefault(key, np.zeros(self.grids[name].size))[here] = G
        return out

    def vector(self, name: str) -> Array:
        """Return the values of a data set's model as the parameters are now."""
        params, lead = self.params, f"{name}." if name and len(self.data) > 1 else ""
        assert params is not None
        return np.array(
            [params[own if (own := lead + one) in params else one].value for one in self.models[name].names]
        )

    def model(self, name: str, values: Mapping[str, float]) -> Model:
        """Return the model of a data set with these values."""
        self.at(values)
        model = self.models[name]
        return model.with_values(dict(zip(model.names, self.vector(name).tolist(), strict=True)))

    def curves(self, name: str, values: Mapping[str, float]) -> Curves:
        """Return the curves of a data set."""
        if name not in self.data:
            raise PdfkitError("there are no curves yet: open data or a structure")
        pdf, r = self.data[name], self.grids[name]
        calculated = None
        if name in self.models:
            self.at(values)
            calculated = self.calculated(name)
        measured = None if pdf is None else np.asarray(pdf.G)
        return Curves(name, r, measured, calculated, *self.ranges[name])


def _let_follow(par: Any) -> None:
    """Take limits that nobody set from a tied parameter that they stop, as a fit does."""
    from pdfkit.model.params import is_default, possible

    if par.value in (par.min, par.max) and is_default(par):
        low, high = possible(par)
        par.set(min=low, max=high)


def recipe_of(state: State, folder: Path) -> Recipe:
    """Return the recipe that a state is, with start values as in its tables."""
    from pdfkit.recipes.recipe import recipe_in

    source = state.source()
    return recipe_in(source, tomllib.loads(source.text), folder, whole=False)


# --- what is built --------------------------------------------------------------------------------------------

_OF_BUILT = ("data", "phase", "pattern")


def _built(recipe: Recipe, state: State, before: Built | None) -> Built:
    """Return models and data of a state; those before where tables and files are the same."""
    key, files = _key(recipe, state), _files(recipe)
    if before is not None and (before.key, before.files) == (key, files):
        return before
    if not state.phases:
        return Built(key, files, None, {entry.name or "": entry.read() for entry in recipe.data})
    if not state.data:
        return Built(key, files, _beamed(state, recipe), None)
    return Built(key, files, *recipe.build())


def _key(recipe: Recipe, state: State) -> str:
    """Return what tells models and data from others: what tables say of them."""
    tables = {kind: [dict(one) for one in state.tables.get(kind, ())] for kind in _OF_BUILT}
    for one in tables["data"]:
        one.pop("weight", None)
    beam = {} if state.data else state.measured_by
    return json.dumps([tables, recipe.convention, recipe.grid, beam, os.fspath(Path.cwd())])


def _files(recipe: Recipe) -> tuple[tuple[str, int], ...]:
    return tuple((str(file), file.stat().st_mtime_ns) for file in recipe.inputs() if file.is_file())


def _beamed(state: State, recipe: Recipe) -> Model:
    from pdfkit.data.instrument import Instrument
    from pdfkit.model.model import CONVENTIONS, Model

    about = {key: value for key, value in state.measured_by.items() if key != "rmax"}
    instrument = CONVENTIONS[recipe.convention].of_data(Instrument(**about))
    phases = [recipe.at("phase", i, entry.build, "structure") for i, entry in enumerate(recipe.phases)]
    return Model(phases, instrument, recipe.convention)


def _of_data(folder: Path, recipe: Recipe, built: Built) -> Prepared:
    ranges = {
        entry.name or "": _range(pdf, entry.rmin, entry.rmax)
        for entry, pdf in zip(recipe.data, built.known.values(), strict=True)
    }
    said = tuple(text for pdf in built.known.values() for text in pdf.remarks)
    return Prepared(folder, recipe, built, built.known, {}, None, ranges, said=said)


def _of_beam(state: State, folder: Path, recipe: Recipe, built: Built) -> Prepared:
    from pdfkit.model.params import apply_choices

    assert built.model is not None
    params, starts = _valued(recipe, state, built.model, None)
    said = apply_choices(params, recipe.free, recipe.ties, recipe.bounds)
    ranges = {"": (0.0, float(state.measured_by["rmax"]))}
    return Prepared(folder, recipe, built, {"": None}, {"": built.model}, params, ranges, {}, said, starts, set(starts))


def _of_fit(state: State, folder: Path, recipe: Recipe, built: Built) -> Prepared:
    """Prepare data and phases as a fit takes them."""
    assert built.model is not None
    params, starts = _valued(recipe, state, built.model, built.known)
    posed = posed_of(recipe, built, params)
    sets = {one.name: one for one in posed.problem.datasets}
    whole = {name: one.whole if one.whole is not None else one.data for name, one in sets.items()}
    ranges = {name: (float(one.data.r[0]), float(one.data.r[-1])) for name, one in sets.items()}
    models = {name: one.model for name, one in sets.items()}
    begins = {name: one.begin for name, one in sets.items()}
    said = (*(text for pdf in whole.values() for text in pdf.remarks), *posed.said)
    said = tuple(dict.fromkeys(said))
    return Prepared(folder, recipe, built, whole, models, posed.params, ranges, begins, said, starts, set(starts))


def posed_of(recipe: Recipe, built: Built, params: Parameters) -> Posed:
    """Return what the fit of a recipe is asked, from parameters."""
    from pdfkit.fitting.posing import Posed
    from pdfkit.recipes.stages import ranges, settings_of

    assert built.model is not None
    return Posed.of(
        built.model,
        built.known,
        **ranges(recipe),
        free=recipe.free,
        ties=recipe.ties,
        bounds=recipe.bounds,
        params=params,
        restraints=recipe.restraints,
        use_errors=recipe.use_errors,
        settings=settings_of(recipe, recipe.noise),
    )


def _valued(recipe: Recipe, state: State, model: Model, known: Any) -> tuple[Parameters, dict[str, float]]:
    """Return the parameters of a state, its variables with them, at its values; and the values of its tables."""
    from pdfkit.fitting.least_squares import parameters
    from pdfkit.model.params import put
    from pdfkit.recipes.recipe import own_parameters

    of = ("",) if known is None else known
    params = own_parameters(recipe, model, of)
    params = parameters(model, of) if params is None else params
    starts = {name: float(par.value) for name, par in params.items()}
    for name, value in state.values.items():
        if name in params:
            put(params[name], value)
    return params, starts


def _range(pdf: PDF, low: float | None, high: float | None) -> tuple[float, float]:
    return float(pdf.r[0]) if low is None else low, float(pdf.r[-1]) if high is None else high
