"""A result of a fit as a state: its structures and data as files, its numbers as values, its fit as a table.

What a recipe cannot say of a model is said in remarks; the curve that the state gives is held against the saved one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.phases.base import plain_word
from pdfkit.recipes.toml import Source
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit.results.result import DatasetFit, FitResult

__all__ = ["recipe_in", "state_of", "with_values"]

SAME = 1e-4
"""Share of G(r) by which the curve of the state may differ from the saved one without a word."""


def state_of(result: FitResult, name: str, folder: Path, work: Path) -> State:
    """Return a result as a state; its structures and data are written into a folder of its name in `work`.

    Raises PdfkitError for what no recipe can describe.
    """
    home = work / plain_word(name)
    home.mkdir(parents=True, exist_ok=True)
    if result.patterns:
        raise PdfkitError(
            f"{name} has patterns beside G(r), which cannot be taken out of a result: open the recipe that it was "
            "made from"
        )
    several = len(result.datasets) > 1
    data = [_data(one, k, several, home, folder) for k, one in enumerate(result.datasets)]
    phases = [_phase(phase, home, folder) for phase in result.datasets[0].model.phases]
    state = State({"title": name, "data": data, "phase": phases, "fit": _fit(result)})
    return _like(result, replace(state, values=_values(result, state, folder)), folder)


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
    if lost := [name for name, par in result.params.items() if name not in known and not _is_variable(name, result)]:
        raise PdfkitError(
            f"{lost[0]} is a parameter of the fit that its structures, as files, do not have: open the recipe that "
            "it was made from"
        )
    return {name: float(par.value) for name, par in result.params.items() if not par.expr}


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
    own = one.model.instrument
    table: dict[str, Any] = {"file": relative(file, folder)}
    table |= {"name": one.name} if several else {}
    for key in _OF_DATA:
        value = getattr(own, key)
        if value is not None and value != type(own).__dataclass_fields__[key].default:
            table[key] = value
    if own.probe in ("X", "E") and own.scattering != "q-dependent":
        table["scattering"] = own.scattering
    if own.anomalous:
        table["anomalous"] = True
    return table | {"rmin": float(one.data.r[0]), "rmax": float(one.data.r[-1])}


def _phase(phase: Any, home: Path, folder: Path) -> dict[str, Any]:
    from pdfkit.io._atomic import write_text
    from pdfkit.recipes.written import relative

    if phase.kind not in ("crystal", "cluster"):
        raise PdfkitError(
            f"phase {phase.name} is {phase.kind}, which has no file of a structure: open the recipe of the fit"
        )
    ((ending, text),) = _files(phase).items()
    file = write_text(home / f"{phase.name}.{ending}", text)
    table: dict[str, Any] = {"name": phase.name, "structure": relative(file, folder), "kind": phase.kind}
    return table | (_crystal(phase) if phase.kind == "crystal" else _cluster(phase))


def _files(phase: Any) -> dict[str, str]:
    """Return the structure of a phase by the ending of its file; of a cluster before its values expand and move it."""
    from pdfkit.io.xyz import format_xyz

    return {"xyz": format_xyz(phase.particle)} if phase.kind == "cluster" else phase.files()


def _crystal(phase: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if phase.shape.kind != "bulk":
        names = [p.name for p in phase.shape.parameters]
        out["shape"] = {"kind": phase.shape.kind, **dict(zip(names, map(float, phase.shape.values()), strict=True))}
        if phase.shape.kind == "tabulated":
            out["shape"] = {"kind": "tabulated", **{k: _plain(v) for k, v in asdict(phase.shape).items()}}
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
    convention = _convention(result)
    fit |= {"convention": convention} if convention != "pdfkit" else {}
    fit |= {"grid": settings.grid} if settings.grid != "data" else {}
    restraints = [_restraint(one) for one in result.problem.known_restraints]
    return {**fit, **({"restraints": restraints} if restraints else {})}


def _convention(result: FitResult) -> str:
    from pdfkit.model.model import CONVENTIONS

    own = result.datasets[0].model.convention
    for name, one in CONVENTIONS.items():
        if one == own:
            return name
    raise PdfkitError("the convention of this fit has no name: a recipe cannot ask for it")


def _restraint(one: Any) -> dict[str, Any]:
    """Return a restraint as the table of a recipe."""
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
    raise PdfkitError("this fit has restraints that cannot be shown here: open the recipe that it was made from")
