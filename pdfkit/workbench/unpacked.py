"""A result of a fit, or a model, as a state: structures and data as files, numbers as values, the fit as a table.

What a recipe cannot say of a model is said in remarks; the curve that the state gives is held against the saved one.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.phases.base import plain_word
from pdfkit.recipes.toml import Source
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.state import BEAM, State

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF
    from pdfkit.model.model import Model
    from pdfkit.results.result import DatasetFit, FitResult

__all__ = ["of_model", "recipe_in", "state_of", "with_values"]

# An instrument of which nothing is said, where pages of models without data have other defaults.
_BARE = {"qmax": math.inf}
SAME = 1e-4
"""Share of G(r) by which the curve of the state may differ from the saved one without a word."""


def state_of(result: FitResult, name: str, folder: Path, work: Path) -> State:
    """Return a result as a state; its structures and data are written into a folder of its name in `work`.

    Raises PdfkitError for what no recipe can describe. Patterns beside G(r) are left out, which is said.
    """
    home = work / plain_word(name)
    home.mkdir(parents=True, exist_ok=True)
    several = len(result.datasets) > 1
    data = [_data(one, k, several, home, folder) for k, one in enumerate(result.datasets)]
    phases = [_phase(phase, home, folder) for phase in result.datasets[0].model.phases]
    state = State({"title": name, "data": data, "phase": phases, "fit": _fit(result)})
    state = _like(result, replace(state, values=_values(result, state, folder)), folder)
    beside = [str(one.name) for one in result.patterns]
    said = [
        f"{one} was fitted beside G(r), and is not shown: a result holds no file of it, so that fits here are of G(r) "
        "alone; open the recipe to fit both"
        for one in beside
    ]
    return replace(state, remarks=(*state.remarks, *said))


def of_model(model: Model, data: Mapping[str, PDF], folder: Path, work: Path) -> State:
    """Return a model, and data by name that it is to describe, as a state; their files are written into `work`.

    Raises PdfkitError for what no recipe can describe.
    """
    from pdfkit.fitting.datasets import resolved
    from pdfkit.io.pdf import write_pdf
    from pdfkit.recipes.written import relative

    home = work / "model"
    home.mkdir(parents=True, exist_ok=True)
    models, said = resolved(model, data)
    tables = []
    for name, pdf in data.items():
        write_pdf(home / f"{name}.gr", pdf)
        tables.append({"file": relative(home / f"{name}.gr", folder), "name": name, **_instrument(models[name])})
    phases = [_phase(phase, home, folder) for phase in model.phases]
    convention = _convention_of(model)
    fit: dict[str, Any] = {"free": []} | ({"convention": convention} if convention != "pdfkit" else {})
    own = {**_BARE, **_instrument(model)}
    beam = {} if tables else {key: one for key, one in own.items() if one != BEAM.get(key)}
    state = State({**({"data": tables} if tables else {}), "phase": phases, "fit": fit}, beam=beam)
    ready = Prepared.of(state, folder)
    known = dict(zip(model.names, map(float, model.values), strict=True))
    leads = tuple(f"{name}." for name in ready.models) if len(ready.models) > 1 else ()
    plain = {
        name: next((name.removeprefix(one) for one in leads if name.startswith(one)), name) for name in ready.names
    }
    values = {name: known[one] for name, one in plain.items() if one in known and one not in INSTRUMENT_QUANTITIES}
    state = replace(state, values=values, remarks=said)
    return _like_model(dict(zip(ready.models, models.values() or [model], strict=True)), state, folder)


def _like_model(models: Mapping[str, Model], state: State, folder: Path) -> State:
    """Return the state with a remark where its curves are not those of models."""
    ready = Prepared.of(state, folder)
    said = []
    for name, wanted in models.items():
        G = np.asarray(wanted.evaluator(ready.grids[name], ready.begins.get(name))(wanted.values)[0])
        ready.at(state.values)
        mine = ready.evaluator(name, ready.vector(name))(ready.vector(name))[0]
        gap = float(np.sqrt(np.mean((mine - G) ** 2) / max(float(np.mean(G**2)), 1e-300)))
        if gap > SAME:
            said.append(
                f"the curve differs from that of the model by {100 * gap:.2g} %: recipes, which pages are, cannot say "
                "all of this model"
            )
    return replace(state, remarks=(*state.remarks, *said))


def with_values(result: FitResult, state: State, folder: Path) -> State:
    """Return the state of the recipe of a result with the values that were found."""
    return _like(result, replace(state, values=_values(result, state, folder)), folder)


def recipe_in(file: str) -> tuple[Source, dict[str, Any]] | None:
    """Return the recipe that a result keeps, with whole paths of its files; None without one, or where files changed.

    A file counts as the one that was fitted where its digest is that of then.
    """
    from pdfkit.io.hdf5 import read_nexus

    entry = read_nexus(file).group("entry")
    if "recipe" not in entry or "inputs" not in entry:
        return None
    source = Source(file, entry.group("recipe").text("data"))
    raw = tomllib.loads(source.text)
    known = dict(zip(entry.group("inputs").texts("name"), entry.group("inputs").texts("sha256"), strict=True))
    for kind, key in (("data", "file"), ("pattern", "file"), ("phase", "structure")):
        found = raw.get(kind, [])
        for table in found if isinstance(found, list) else [found]:
            place = _place(str(table.get(key, "")), known)
            if key == "file" and place is None:
                return None
            table |= {} if place is None else {key: place}
    return source, raw


def _place(name: str, known: Mapping[str, str]) -> str | None:
    """Return the whole path of a file of a recipe, unchanged since; None where there is none."""
    from pdfkit.recipes.outputs import digest

    for path, sha in known.items():
        file = Path(path)
        if name and file.name == Path(name).name and file.is_file() and digest(file) == sha:
            return str(file.resolve())
    return None


def _values(result: FitResult, state: State, folder: Path) -> dict[str, float]:
    known = Prepared.of(replace(state, tables={k: v for k, v in state.tables.items() if k != "fit"}), folder).names
    beside = {str(one.name) for one in result.patterns} - {str(one["name"]) for one in state.patterns}
    params = {name: par for name, par in result.params.items() if name.partition(".")[0] not in beside}
    if lost := [name for name in params if name not in known and not _is_variable(name, result)]:
        raise PdfkitError(
            f"{lost[0]} is a parameter of the fit that its structures, as files, do not have: open the recipe that "
            "it was made from"
        )
    return {name: float(par.value) for name, par in params.items() if not par.expr}


def _like(result: FitResult, state: State, folder: Path) -> State:
    """Return the state with a remark where its curves are not those of the result."""
    ready = Prepared.of(state, folder)
    said = []
    for one in result.datasets:
        model = ready.model(one.name, state.values)  # on the points of the fit, for other programs' filters go by these
        here, _ = model.evaluator(one.calc.r, one.begin)(model.values)
        gap = float(np.sqrt(np.mean((here - one.calc.G) ** 2) / np.mean(one.calc.G**2)))
        if gap > SAME:
            of = f" of {one.name}" if one.name else ""
            said.append(
                f"the curve{of} calculated here differs from the saved one by {100 * gap:.2g} %: recipes cannot say "
                "all of this model, and fits here are of what they can"
            )
    return replace(state, remarks=tuple(said))


# --- data and phases ------------------------------------------------------------------------------------------

_OF_DATA = ("probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail", "window", "window_width", "wavelength")


def _data(one: DatasetFit, index: int, several: bool, home: Path, folder: Path) -> dict[str, Any]:
    from pdfkit.io.pdf import write_pdf
    from pdfkit.recipes.written import relative

    pdf = one.whole if one.whole is not None else one.data
    file = home / f"{plain_word(one.name or pdf.name or 'data')}.gr"
    write_pdf(file, pdf)
    table: dict[str, Any] = {"file": relative(file, folder)}
    table |= {"name": one.name} if several else {}
    table |= _instrument(one.model)
    return table | {"rmin": float(one.data.r[0]), "rmax": float(one.data.r[-1])}


def _instrument(model: Model) -> dict[str, Any]:
    """Return what of an instrument is not as usual, as tables of recipes have it."""
    own, table = model.instrument, {}
    for key in _OF_DATA:
        value = getattr(own, key)
        if value is not None and value != type(own).__dataclass_fields__[key].default:
            table[key] = value
    if own.probe in ("X", "E") and own.scattering != "q-dependent":
        table["scattering"] = own.scattering
    return table | ({"anomalous": True} if own.anomalous else {})


def _phase(phase: Any, home: Path, folder: Path) -> dict[str, Any]:
    from pdfkit.io._atomic import write_text
    from pdfkit.recipes.written import relative

    if phase.kind == "stacked":
        return _stacked(phase)
    if phase.kind not in ("crystal", "cluster"):
        raise PdfkitError(f"phase {phase.name} is {phase.kind}, which no recipe can describe: pages are of recipes")
    ((ending, text),) = _files(phase).items()
    file = write_text(home / f"{phase.name}.{ending}", text)
    table: dict[str, Any] = {"name": phase.name, "structure": relative(file, folder), "kind": phase.kind}
    return table | (_crystal(phase) if phase.kind == "crystal" else _cluster(phase))


def _files(phase: Any) -> dict[str, str]:
    """Return the structure of a phase by the ending of its file; of a cluster before its values expand and move it."""
    from pdfkit.io.xyz import format_xyz

    return {"xyz": format_xyz(phase.particle)} if phase.kind == "cluster" else phase.files()


def _shape(phase: Any) -> dict[str, Any]:
    if phase.shape.kind == "bulk":
        return {}
    if phase.shape.kind == "tabulated":
        return {"shape": {"kind": "tabulated", **{k: _plain(v) for k, v in asdict(phase.shape).items()}}}
    names = [p.name for p in phase.shape.parameters]
    return {"shape": {"kind": phase.shape.kind, **dict(zip(names, map(float, phase.shape.values()), strict=True))}}


def _stacked(phase: Any) -> dict[str, Any]:
    """Return the table of a phase of stacked layers: it needs no file."""
    from pdfkit.recipes.tables import STACKED

    elements = [phase.first, *([phase.second] if phase.second else [])]
    known = {key: getattr(phase, key) for key in (*STACKED, "scale", "delta1", "delta2")}
    numbers = {key: float(value) for key, value in known.items() if value is not None}
    tensors = {"anisotropic": True} if phase.U11 else {}
    return {"name": phase.name, "kind": "stacked", "elements": elements, **numbers, **tensors, **_shape(phase)}


def _crystal(phase: Any) -> dict[str, Any]:
    out = _shape(phase)
    tensors = [site.label for site in phase.structure.sites if not site.isotropic]
    if tensors:
        out["anisotropic"] = tensors
    if phase.ions:
        out["ions"] = dict(phase.ions) if isinstance(phase.ions, Mapping) else True
    if phase.molecules:
        found = phase.molecules
        out["molecules"] = found if isinstance(found, str) else [list(one) for one in found]
        out["rigid"] = bool(phase.rigid)
    return out


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _cluster(phase: Any) -> dict[str, Any]:
    """Return what a recipe says of a cluster beside its atoms."""
    out: dict[str, Any] = {"moves": phase.moves} if phase.moves else {}
    out |= {"surface": True} if phase.surface else {}
    out |= {"axial": [0.0, 0.0, 0.0]} if phase.axial is not None else {}
    return out | ({"baseline": phase.baseline} if phase.baseline != "auto" else {})


# --- the fit --------------------------------------------------------------------------------------------------


def _is_variable(name: str, result: FitResult) -> bool:
    return "." not in name and name not in result.datasets[0].model.names


def _fit(result: FitResult) -> dict[str, Any]:
    from pdfkit.model.params import is_default

    params, settings = result.params, result.problem.settings
    fit: dict[str, Any] = {"free": [*result.free, *result.held]}
    ties = {name: par.expr for name, par in params.items() if par.expr}
    bounds = {name: [par.min, par.max] for name, par in params.items() if par.vary and not is_default(par)}
    finite = {name: pair for name, pair in bounds.items() if np.isfinite(pair).all()}
    variables = {name: float(par.value) for name, par in params.items() if _is_variable(name, result)}
    fit |= {key: one for key, one in (("ties", ties), ("bounds", finite), ("variables", variables)) if one}
    if not result.problem.use_errors:
        fit["use_errors"] = False
    if settings.noise != "estimated":
        fit["noise"] = settings.noise
    if isinstance(result.search, str) and result.search != "staged":
        fit["search"] = result.search
    convention = _convention_of(result.datasets[0].model)
    fit |= {"convention": convention} if convention != "pdfkit" else {}
    fit |= {"grid": settings.grid} if settings.grid != "data" else {}
    restraints = [_restraint(one) for one in result.problem.known_restraints]
    return {**fit, **({"restraints": restraints} if restraints else {})}


def _convention_of(model: Model) -> str:
    from pdfkit.model.model import CONVENTIONS

    for name, one in CONVENTIONS.items():
        if one == model.convention:
            return name
    raise PdfkitError("the convention of this model has no name: a recipe, which a page is, cannot ask for it")


def _by_name(table: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a table of atoms, or of pairs of them."""
    names = {key: key if isinstance(key, str) else "-".join(key) for key in table}
    return {names[key]: list(value) if isinstance(value, tuple) else value for key, value in table.items()}


def _restraint(one: Any) -> dict[str, Any]:
    """Return a restraint as the table of a recipe."""
    from pdfkit.model.bond_valence import BondValenceRestraint
    from pdfkit.model.geometry import GeometryRestraint
    from pdfkit.model.restraints import AngleRestraint, BondRestraint, ValueRestraint

    known = {key: value for key, value in asdict(one).items() if value is not None}
    if isinstance(one, ValueRestraint):
        return {"expression": one.expression, "target": one.target, "sigma": one.sigma}
    if isinstance(one, BondRestraint | AngleRestraint):
        kind = "bond" if isinstance(one, BondRestraint) else "angle"
        atoms = [known[key] for key in ("first", "centre", "second", "last") if key in known]
        limits = {"min": one.low, "max": one.high, "target": one.target, "sigma": one.sigma}
        table = {"phase": one.phase, kind: atoms}
        return table | {key: value for key, value in limits.items() if value is not None}
    if isinstance(one, BondValenceRestraint) or (isinstance(one, GeometryRestraint) and one.like is None):
        return {key: _by_name(value) if isinstance(value, Mapping) else value for key, value in known.items() if value}
    raise PdfkitError(
        f"this fit has a {type(one).__name__} that no recipe can describe: open the recipe that it was made from"
    )
