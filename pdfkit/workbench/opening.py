"""Files as the state of a page: data and structures as the one-line fit proposes them, recipes, results, projects.

Nothing in a file is dropped: what the page has no place for stays in the tables of its state, and is run.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError, ReadError, heard
from pdfkit.phases.base import plain_word
from pdfkit.recipes.toml import Source, Table
from pdfkit.workbench.limits import refuse_many
from pdfkit.workbench.naming import Renaming
from pdfkit.workbench.prepared import Prepared, recipe_of
from pdfkit.workbench.rooms import is_shown
from pdfkit.workbench.starts import scaled
from pdfkit.workbench.state import BEAM, State

__all__ = ["WORK", "added", "named_in", "opened"]

WORK = "pdfkit-live"
"""Folder for structures and data that come out of results and projects, unless another is named."""
_ALONE = (".toml", ".h5", ".hdf5", ".nxs", ".ddp3", ".ddp")


def opened(files: Sequence[str], folder: Path, work: Path | None = None) -> State:
    """Return the state that files make: none, a recipe, a result, data, structures (names that come with pdfkit too).

    folder : where paths of the state begin. work : where parts of results and projects are written (`WORK` in it).
    """
    return added(State(), files, folder, work)


def added(state: State, files: Sequence[str], folder: Path, work: Path | None = None) -> State:
    """Return a state with more files: data and structures come to what is there, others take its place.

    Saved rankings and series are shown beside what is there.
    """
    files = [_from(folder, file) for file in files]
    beside = [file for file in files if is_shown(folder / file)]
    state = replace(state, beside=(*(one for one in state.beside if one not in beside), *beside))
    rest = [file for file in files if file not in beside]
    if not rest:
        return state
    with heard() as said:
        found = replace(_added(state, rest, folder, work or folder / WORK), beside=state.beside)
        try:
            found = found if found.fit else scaled(found, folder)
        except PdfkitError as error:
            raise (_in_its_file(error, rest[0]) if rest[0].lower().endswith(".toml") else error) from None
    return _saying(found, said)


def _from(folder: Path, file: str) -> str:
    """Return the name of a file, which starts at `folder`, from where the program runs."""
    place = folder / file
    return file if folder.resolve() == Path.cwd() or not place.exists() else str(place)


def _added(state: State, files: Sequence[str], folder: Path, work: Path) -> State:
    whole = [file for file in files if Path(file).suffix.lower() in _ALONE]
    if whole and len(files) > 1:
        raise PdfkitError(_ONLY.get(Path(whole[0]).suffix.lower(), _ONLY[".h5"]))
    if whole:
        return _whole(whole[0], folder, work)
    return _with_inputs(state, files, folder)


_ONLY = {
    ".toml": "a recipe names its own data and structures: give it alone",
    ".ddp3": "a project has its own data and structures: give it alone",
    ".ddp": "a project has its own data and structures: give it alone",
    ".h5": "a result has its own data and structures: give it alone",
}


def _whole(file: str, folder: Path, work: Path) -> State:
    ending = Path(file).suffix.lower()
    if ending == ".toml":
        return of_recipe(file, folder)
    if ending in (".ddp3", ".ddp"):
        return _of_project(file, folder, work)
    return _of_result(file, folder, work)


def _of_result(file: str, folder: Path, work: Path) -> State:
    """Return the state of a result: from its own parts, or by the recipe in it, where its files are still there."""
    from pdfkit.recipes.written import relative
    from pdfkit.results.saving import load_result
    from pdfkit.workbench.unpacked import recipe_in, state_of, with_values

    result = load_result(file)
    try:
        found = state_of(result, Path(file).stem, folder, work)
    except PdfkitError:
        kept = recipe_in(file)
        if kept is None:
            raise
        found = with_values(result, of_source(*kept, folder, folder), folder)
    return replace(found, results=(relative(file, folder),), fit=1)


# --- recipes and projects ------------------------------------------------------------------------------------


def of_recipe(file: str | Path, folder: Path) -> State:
    """Return the state that a recipe is; its paths, which start at the recipe, start at `folder` now."""
    return of_source(*Source.read(file), Path(file).parent, folder)


def of_source(source: Source, raw: dict[str, Any], home: Path, folder: Path) -> State:
    """Return the state that the text of a recipe is whose paths start at `home`."""
    from pdfkit.recipes.recipe import recipe_in

    recipe = recipe_in(source, raw, home, whole=False)
    if recipe.series is not None:
        raise source.error("this recipe is of a series of scans: run it with `pdfkit series`", "series")
    tables = {key: _lists(key, value) for key, value in raw.items()}
    for entry, table in zip(recipe.phases, tables.get("phase", ()), strict=True):
        table["name"] = entry.name
        if "start" in table:
            table["start"] = dict(entry.start)
    for pattern, table in zip(recipe.patterns, tables.get("pattern", ()), strict=True):
        table["name"] = pattern.name
    tables["fit"] = _flat(source, tables["fit"])
    beam = {key: value for key, value in tables.pop("beam", {}).items() if value != BEAM.get(key)}
    moved = {kind: [_moved(one, home, folder) for one in tables.get(kind, ())] for kind in _TABLES}
    return State({**tables, **{kind: found for kind, found in moved.items() if found}}, beam=beam)


def named_in(file: str, folder: Path) -> dict[str, Any]:
    """Return the files that a recipe names, before any of them is read; none for what is no recipe."""
    if Path(file).suffix.lower() != ".toml":
        return {}
    try:
        _, raw = Source.read(folder / file)
    except PdfkitError:
        return {}  # its reader says more
    kinds = [one if isinstance(one, list) else [one] for one in map(raw.get, _TABLES)]
    tables = [one for kind in kinds for one in kind if isinstance(one, Mapping)]
    names = [one[key] for one in tables for key in ("file", "structure") if isinstance(one.get(key), str)]
    return {"files": [str((folder / file).parent / name) for name in names]}


def _in_its_file(error: PdfkitError, file: str) -> PdfkitError:
    """Return the error of a recipe as the terminal has it, with the line of its own file."""
    from pdfkit.recipes.recipe import load_recipe
    from pdfkit.recipes.tables import placed

    recipe = load_recipe(file)
    try:
        recipe.build()
    except PdfkitError as found:
        return found
    return error if isinstance(error, ReadError) else placed(recipe.source, error, ("fit",))


_TABLES = ("data", "phase", "pattern")


def _lists(key: str, value: Any) -> Any:
    if key in _TABLES:
        return [dict(one) for one in ([value] if isinstance(value, Mapping) else value)]
    return value


def _flat(source: Source, fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a fit with names in full, not as tables in tables."""
    table = Table(source, fit, ("fit",), "[fit]", tuple(fit))
    out = {**fit, "free": list(table.texts("free"))}
    for key, leaf in (("ties", ()), ("variables", ()), ("start", ()), ("bounds", ("min", "max"))):
        if key in fit:
            out[key] = table.flat(key, leaf)
    if isinstance(fit.get("search"), Mapping):
        out["search"] = table.flat("search")
    if isinstance(fit.get("stage"), Mapping):
        out["stage"] = [fit["stage"]]
    return out


def _moved(table: Mapping[str, Any], home: Path, folder: Path) -> dict[str, Any]:
    """Return a table whose paths, from one folder, start at another; shipped names are no paths."""
    from pdfkit.recipes.written import relative

    out = dict(table)
    for key in ("file", "structure"):
        if key in table and (key == "file" or (home / table[key]).is_file()):
            out[key] = relative(home / table[key], folder)
    return out


def _of_project(file: str, folder: Path, work: Path) -> State:
    """Return the first fit of a project of PDFgui as a state; all of them lie in the working folder as recipes."""
    from pdfkit.projects.reading import read_project
    from pdfkit.projects.recipes import RECIPE

    project = read_project(file)
    made = project.convert(work / plain_word(Path(file).stem), "pdffit2")
    recipes = [one for one in made if one.name == RECIPE]
    fits = [name for name, fit in project.fits.items() if not fit.obstacle]
    if not recipes:
        why = next((fit.obstacle for fit in project.fits.values() if fit.obstacle), "it has no fits")
        raise PdfkitError(f"{Path(file).name} holds no fit that can be shown: {why}")
    said = [f"fit {name}: {text}" for name, fit in project.fits.items() for text in fit.remarks]
    if len(recipes) > 1:
        others = ", ".join(one.parent.name for one in recipes[1:])
        said.append(f"the project has {len(recipes)} fits, and {fits[0]} is shown; {others} lie beside it as recipes")
    if (rw := project.fits[fits[0]].rw) is not None:
        said.append(f"fit {fits[0]}: its start values are shown; the project records Rw = {rw:.4f} of what was refined")
    return replace(of_recipe(recipes[0], folder), remarks=tuple(said))


# --- data and structures -------------------------------------------------------------------------------------


def _with_inputs(state: State, files: Sequence[str], folder: Path) -> State:
    from pdfkit.recipes.inputs import inputs

    given = inputs(files, whole=False)
    refuse_many(given.structures.values())
    known = {(folder / one["file"]).resolve() for one in state.data}
    for path in given.data:
        if path.resolve() in known:
            raise PdfkitError(f"{path.name} is there already: to read it anew, remove it first")
    if not state.phases and given.structures and (state.data or given.data):
        return _proposed(state, given, folder)
    for path, pdf in given.data.items():
        state = _with_data(state, path, pdf, given.units.get(path, ""), folder)
    for word, phase in given.structures.items():
        state = _with_phase(state, word, phase, folder)
    return state


def _proposed(state: State, given: Any, folder: Path) -> State:
    """Return the fit that is proposed for data, those there before among them, and the first structures beside them."""
    from pdfkit.recipes.inputs import Inputs
    from pdfkit.recipes.proposal import propose
    from pdfkit.recipes.written import recipe_of as written

    entries = recipe_of(state, folder).data
    before = {entry.file: entry.read() for entry in entries}
    plan = propose(Inputs({**before, **given.data}, given.structures, given.units))
    tables = tomllib.loads(written(plan, folder))
    for own, table in zip(state.data, tables["data"], strict=False):
        table |= {key: value for key, value in own.items() if key != "name"}
    kept = {key: value for key, value in state.tables.items() if key not in ("data", "phase", "fit")}
    fit = {**{key: value for key, value in state.fitted.items() if key != "free"}, **tables["fit"]}
    found = replace(state, tables={**kept, **tables, "fit": fit}, fit=0)
    return _saying(found, plan.assumed)


def _with_data(state: State, path: Path, pdf: Any, unit: str, folder: Path) -> State:
    from pdfkit.recipes.proposal import own_name
    from pdfkit.recipes.written import relative

    table: dict[str, Any] = {"file": relative(path, folder), **({"r_unit": unit} if unit else {})}
    taken = {one["name"] for one in (*state.phases, *state.patterns, *state.data) if one.get("name")}
    more, said = _planned(state, path, pdf, folder) if state.phases else _left_open(path, pdf)
    table |= more
    if not state.data:
        return _saying(state.with_tables(data=[table]), said)
    state = _named(state, folder, taken) if len(state.data) == 1 else state
    name = own_name(plain_word(path.stem), taken | {one["name"] for one in state.data})
    return _saying(state.with_tables(data=[*state.data, {"name": name, **table}]), said)


def _planned(state: State, path: Path, pdf: Any, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what is proposed for data beside phases that are there."""
    from pdfkit.recipes.proposal import Wishes, plan_of

    phases = [phase for entry in recipe_of(state, folder).phases if (phase := entry.build()).kind != "stacked"]
    if not phases:  # whose nearest bond is not known before they are computed
        return _left_open(path, pdf)
    plan, said = plan_of(path, "", pdf, phases, Wishes())
    return dict(plan.values), [f"{path.name}: {text}" for text in said]


def _named(state: State, folder: Path, taken: set[str]) -> State:
    """Return a state whose only data set has a name, and its own scales and instrument, as of several."""
    from pdfkit.fitting.parts import is_local
    from pdfkit.recipes.proposal import own_name

    (only,) = state.data
    first = only.get("name") or own_name(plain_word(Path(only["file"]).stem), taken)
    state = state.with_tables(data=[{**only, "name": first}])
    if not state.phases:
        return state
    return Renaming({name: f"{first}.{name}" if is_local(name) else name for name in _names(state, folder)}).of(state)


def _names(state: State, folder: Path) -> tuple[str, ...]:
    return Prepared.of(state, folder).names


def _left_open(path: Path, pdf: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what a header leaves open and a model needs, as assumed, and say it."""
    from pdfkit.data.advice import band_limit

    found: dict[str, Any] = {}
    said = []
    if pdf.instrument.probe is None:
        found["probe"] = "X"
        said.append(f"{path.name}: the header does not name the probe; X-rays are assumed")
    if not pdf.instrument.qmax:
        found["qmax"], how = band_limit(pdf)
        shown = "no cut" if math.isinf(found["qmax"]) else f"Qmax {found['qmax']:g} Å⁻¹"
        said.append(f"{path.name}: the header has no Qmax; {how}, so {shown} is taken")
    return found, said


def _with_phase(state: State, word: str, phase: Any, folder: Path) -> State:
    """Return a state with one phase more; beside others its amount, cell and U vary if theirs do."""
    from pdfkit.recipes.proposal import Wishes, entry_of, own_name
    from pdfkit.recipes.written import phase_lines

    taken = {one["name"] for one in (*state.phases, *state.patterns, *state.data) if one.get("name")}
    name = own_name(plain_word(Path(word).stem), taken)
    entry, said = entry_of(word, phase, name, Wishes())
    (table,) = tomllib.loads("\n".join(phase_lines(entry, folder, {})))["phase"]
    if not state.data:
        table.pop("start", None) if not state.phases else None
    shape = next((one["shape"] for one in state.phases if "shape" in one and phase.kind == "crystal"), None)
    if shape is not None:
        table["shape"] = dict(shape)
        said.append(f"it is cut as {shape['kind']}, as the phase before it")
    state = _saying(state.with_tables(phase=[*state.phases, table]), [f"{name}: {one}" for one in said])
    return _freed(state, entry.build(), name) if state.data and len(state.phases) > 1 else state


def _freed(state: State, phase: Any, name: str) -> State:
    """Free what is usually free of a further phase, where nothing that is free names it already."""
    from pdfkit._expressions import matching
    from pdfkit.errors import ParameterError

    names = [f"{name}.{q.name}" for q in phase.quantities if q.refinable]
    free = list(state.fitted["free"])
    if not free:
        return state
    for ending in ("scale", "expansion", "a", "b", "c", "alpha", "beta", "gamma", "Uiso", "spdiameter"):
        wanted = [one for one in names if one.endswith(f".{ending}")]
        for pattern in free:
            try:
                wanted = [one for one in wanted if one not in matching(names, pattern)]
            except ParameterError:
                continue
        several = len(state.data) > 1 and ending == "scale"
        free += [f"{one['name']}.{wanted[0]}" for one in state.data] if several and wanted else wanted
    return state.with_fit(free=free)


def _saying(state: State, said: Sequence[str]) -> State:
    return replace(state, remarks=tuple(dict.fromkeys([*state.remarks, *said])))
