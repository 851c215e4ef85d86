"""Recipes: a fit described in a TOML file, and what runs it.

`recipe_template` writes a commented example; `KEYS` lists every key. Paths are relative to the recipe. A message
names file and line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.data.instrument import Instrument
from pdfkit.errors import ParameterError, PdfkitError, ReadError, nearest
from pdfkit.recipes.entries import DataEntry, PatternEntry, data_entry, pattern_entry
from pdfkit.recipes.series import SeriesEntry, series_entry
from pdfkit.recipes.tables import (
    HOME,
    KEYS,
    STACKED,
    WRITE,
    Stage,
    beam,
    fit_options,
    mix,
    molecules,
    outputs_to_write,
    placed,
    prefix_of,
    shape,
    starts,
)
from pdfkit.recipes.template import recipe_template
from pdfkit.recipes.toml import Source, Table

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.model.params import Parameters
    from pdfkit.model.restraints import Restraint
    from pdfkit.results.result import FitResult

__all__ = ["KEYS", "WRITE", "DataEntry", "PhaseEntry", "Recipe", "load_recipe", "recipe_template", "run_recipe"]


@dataclass(frozen=True)
class PhaseEntry:
    """One [[phase]] table: structure (a path from `folder`, or a shipped name), options of its phase, start values.

    kind : "crystal", "cluster", "stacked" (which needs no structure), or "" for what the file looks like.
    """

    name: str
    structure: str
    folder: Path
    options: Mapping[str, Any]
    start: Mapping[str, float]
    kind: str = ""

    def build(self) -> Any:
        """Return the phase with its start values."""
        from pdfkit._expressions import matching
        from pdfkit.phases.files import phase_from_file
        from pdfkit.phases.stacked import Stacked

        if self.kind == "stacked":
            options = dict(self.options)
            if options.pop("anisotropic", False):
                options |= {"U11": 0.01, "U33": 0.01}
            foreign = sorted(set(options) - {"elements", *inspect.signature(Stacked).parameters})
            if foreign:
                raise PdfkitError(f"{foreign[0]} is not an option of a stacked phase: leave it out")
            phase: Any = Stacked(*options.pop("elements"), name=self.name, **options)
        else:
            phase = phase_from_file(self._structure(), name=self.name, kind=self.kind or None, **self.options)
        names = [q.name for q in phase.quantities]
        values = {name: value for pattern, value in self.start.items() for name in matching(names, pattern)}
        return phase.with_values(values) if values else phase

    def is_cluster(self) -> bool:
        """Return whether this is a finite cluster, as far as can be seen without an error."""
        from pdfkit.phases.files import kind_of

        if self.kind:
            return self.kind == "cluster"
        try:
            return kind_of(self._structure()) == "cluster"
        except PdfkitError:
            return False

    def _structure(self) -> str:
        """Return the path of the file, or the name of a structure that comes with pdfkit."""
        from pdfkit.phases.files import shipped_names

        file, shipped = self.folder / self.structure, shipped_names()
        if not file.is_file() and self.structure not in shipped:
            raise PdfkitError(
                f"structure {self.structure!r} is neither a file ({file}) nor a structure that comes with pdfkit: "
                f"the nearest of those are {nearest(self.structure, shipped)}"
            )
        return str(file) if file.is_file() else self.structure


@dataclass(frozen=True)
class Recipe:
    """A fit as its recipe describes it (`load_recipe`); `build` reads data and structures.

    start : start values by ending of names, beside those that phases and data have. beam : how its model is measured
    where it has no data.
    """

    source: Source
    title: str
    data: tuple[DataEntry, ...]
    phases: tuple[PhaseEntry, ...]
    free: tuple[str, ...]
    ties: Mapping[str, str | float]
    bounds: Mapping[str, tuple[float | None, float | None]]
    stages: tuple[Stage, ...] = ()
    variables: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    restraints: tuple[Restraint, ...] = ()
    search: str | Mapping[str, Any] = "staged"
    use_errors: bool = True
    noise: str = "estimated"
    convention: str = "pdfkit"
    grid: str = "data"
    max_nfev: int = 100
    out: Path | None = None
    write: tuple[str, ...] = WRITE
    prefix: str = ""
    series: SeriesEntry | None = None
    patterns: tuple[PatternEntry, ...] = ()
    beam: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, tuple[tuple[str | int, ...], ...]] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> Path:
        """The recipe's own file."""
        return Path(self.source.path)

    @property
    def folder(self) -> Path:
        """Where results go unless told otherwise: [output] dir, else pdfkit-out/<name of the recipe>."""
        return self.out if self.out is not None else Path("pdfkit-out") / self.path.stem

    def inputs(self) -> list[Path]:
        """Return the data and structure files that the recipe names; shipped structures are not among them."""
        structures = [entry.folder / entry.structure for entry in self.phases if entry.structure]
        measured = [entry.file for entry in self.data] + [entry.file for entry in self.patterns]
        return [*measured, *(file for file in structures if file.is_file())]

    def build(self) -> tuple[Model, Any]:
        """Return the model with its start values, and the data, whole: one PDF, or several and patterns by name.

        Raises ReadError for files that cannot be read, RecipeError (with line) for values that do not fit together.
        """
        read = [self.at("data", i, entry.read, "file") for i, entry in enumerate(self.data)]
        phases = [self.at("phase", i, entry.build, "structure") for i, entry in enumerate(self.phases)]
        models = [self.at("data", i, partial(self._model, phases, i, pdf.instrument)) for i, pdf in enumerate(read)]
        # A recipe says all there is to say of each of its data sets: nothing of one goes for another.
        told = [one.instrument_used.complete() for one in models]
        read = [replace(pdf, instrument=instrument) for pdf, instrument in zip(read, told, strict=True)]
        model = models[0]
        if len(read) == 1 and not self.patterns:
            return model, read[0]
        found = [partial(entry.read_for, phases) for entry in self.patterns]
        beside = [self.at("pattern", i, read, "file") for i, read in enumerate(found)]
        known = {one.name or "pdf": pdf for one, pdf in zip(self.data, read, strict=True)}
        return model, known | {one.name: pattern for one, pattern in zip(self.patterns, beside, strict=True)}

    def models(self) -> dict[str, Model]:
        """Return the model of each data set, by name, with its start values; data files need not be there.

        The header of a file that is there counts, as in `build`.
        """
        phases = [self.at("phase", i, entry.build, "structure") for i, entry in enumerate(self.phases)]
        about = [self.at("data", i, entry.expected, "file") for i, entry in enumerate(self.data)]
        found = [self.at("data", i, partial(self._model, phases, i, one)) for i, one in enumerate(about)]
        return {entry.name: model for entry, model in zip(self.data, found, strict=True)}

    def _model(self, phases: Sequence[Any], index: int, instrument: Instrument) -> Model:
        from pdfkit.model.model import CONVENTIONS, Model

        # What the file says of strengths gives way to the convention; what the recipe says is refused.
        if "scattering" not in self.data[index].instrument:
            instrument = CONVENTIONS[self.convention].of_data(instrument)
        return Model(phases, instrument, self.convention)

    def at(self, kind: str, index: int, action: Callable[[], Any], usual: str = "") -> Any:
        """Do something for one table; an error without a file gets the line of its key, or else of the `usual` one."""
        try:
            return action()
        except ReadError:
            raise
        except PdfkitError as error:
            raise placed(self.source, error, self.places[kind][index], usual) from None


def load_recipe(path: str | PathLike[str]) -> Recipe:
    """Return the recipe in a TOML file; the data and structures that it names are not looked at yet.

    Raises
    ------
    RecipeError : not TOML, an unknown or missing key, a value of the wrong kind or out of range; with line.
    ReadError : the recipe itself cannot be read.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> text = '''
    ... data = {file = "ni.gr", probe = "X", qmax = 25, rmax = 10}
    ... phase = [{name = "ni", structure = "Ni"}]
    ... fit = {free = ["scale", "a"]}
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "ni.toml").write_text(text)
    ...     recipe = pk.load_recipe(Path(folder, "ni.toml"))
    >>> recipe.free, recipe.data[0].rmax, recipe.phases[0].structure
    (('scale', 'a'), 10.0, 'Ni')
    """
    return recipe_in(*Source.read(path), Path(path).parent)


def recipe_in(source: Source, raw: dict[str, Any], folder: Path, *, whole: bool = True) -> Recipe:
    """Return the recipe that a text holds, whose paths start at `folder`; raw: what `tomllib` makes of it.

    whole : False lets it be without data, or without phases.
    """
    top = Table(source, raw, (), "the recipe", KEYS["the recipe"], HOME)
    tables = {kind: _tables(top, kind) if whole or kind in top else [] for kind in ("data", "phase")}
    series = series_entry(_sub(top, "series"), folder)
    tables["pattern"] = _tables(top, "pattern") if "pattern" in top else []
    data = tuple(data_entry(table, folder, len(tables["data"]) > 1, series) for table in tables["data"])
    phases = tuple(_phase(table, folder) for table in tables["phase"])
    patterns = tuple(pattern_entry(table, folder) for table in tables["pattern"])
    if series is not None and patterns:
        raise source.error("a series of scans has no patterns beside G(r): leave [[pattern]] out", "pattern")
    taken = [one.name or "pdf" for one in data]
    if tables["data"] and "beam" in top:
        raise source.error("[beam] is of a model without data: say in [[data]] how these were measured", "beam")
    _refuse_twins(tables["data"] + tables["pattern"], [*taken, *(one.name for one in patterns)])
    _refuse_twins(tables["phase"], [one.name for one in phases])
    fit, output = fit_options(_sub(top, "fit")), _sub(top, "output")
    if series is not None and fit["start"]:
        raise source.error("a series starts from its phases: write these values into [[phase]]", "fit", "start")
    directory = output.text("dir") or None
    return Recipe(
        source=source,
        title=top.text("title"),
        data=data,
        phases=phases,
        out=folder / directory if directory else None,
        write=outputs_to_write(output),
        prefix=prefix_of(output),
        series=series,
        patterns=patterns,
        beam=beam(_sub(top, "beam")),
        places={kind: tuple(table.where for table in found) for kind, found in tables.items()},
        **fit,
    )


def run_recipe(
    recipe: Recipe | str | PathLike[str],
    out: str | PathLike[str] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[FitResult, list[Path]]:
    """Fit what a recipe describes and write its outputs; return the result and the files.

    out : folder of the outputs, instead of the recipe's. progress : called with (evaluations, Rw), and its method
    `names`, where it has one, with what is done next ("fitting stage 1 of 2").

    Raises
    ------
    RecipeError, ReadError : the recipe, or what it names, cannot be used. WriteError : the folder cannot be written;
    this is found before the fit starts.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> text = '''
    ... data = {file = "ni.gr", rmax = 10}
    ... phase = [{name = "ni", structure = "Ni", start = {a = 3.51}}]
    ... fit = {free = ["scale", "a"]}
    ... output = {write = ["columns"]}
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = pk.write_pdf(Path(folder, "ni.gr"), model(np.arange(1, 12, 0.02)))  # simulated
    ...     _ = Path(folder, "ni.toml").write_text(text)
    ...     result, files = pk.run_recipe(Path(folder, "ni.toml"), out=Path(folder, "out"))
    >>> print(f"a = {result.params['ni.a'].value:.3f} Å,", *(file.name for file in files))
    a = 3.524 Å, columns.txt
    """
    from pdfkit.io._folders import folder
    from pdfkit.recipes import outputs

    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    if recipe.series is not None:
        raise recipe.source.error("this recipe is of a series of scans: run it with `pdfkit series`", "series")
    names, inputs = outputs.planned(recipe), recipe.inputs()
    with folder(recipe.folder if out is None else Path(out), names, [recipe.path, *inputs]) as target:
        digests = {str(file): outputs.digest(file) for file in inputs if file.is_file()}
        result = fit_recipe(recipe, progress)
        where = outputs.Location(target, recipe.prefix, recipe.title, recipe.source.text, digests)
        return result, outputs.write_all(result, recipe.write, where)


def fit_recipe(
    recipe: Recipe,
    progress: Callable[[int, float], None] | None = None,
) -> FitResult:
    """Fit what a recipe describes without writing anything."""
    from pdfkit.fitting.least_squares import fit
    from pdfkit.recipes.stages import prepared, ranges, settings_of

    model, data = recipe.build()
    try:
        params = own_parameters(recipe, model, data)
        begun = prepared(recipe, model, data, params, progress)
        result = fit(
            model,
            data,
            **ranges(recipe),
            free=recipe.free,
            ties=recipe.ties,
            bounds=recipe.bounds,
            params=begun.params,
            restraints=recipe.restraints,
            use_errors=recipe.use_errors,
            settings=settings_of(recipe, recipe.noise),
            search=recipe.search,
            progress=progress,
        )
    except ParameterError as error:
        raise placed(recipe.source, error, ("fit",)) from None
    return replace(result, remarks=tuple(dict.fromkeys([*begun.said, *result.remarks])))


def own_parameters(recipe: Recipe, model: Model, data: Any) -> Parameters | None:
    """Return the parameters of the model at the start values of [fit], and its variables; None where it has neither."""
    from pdfkit.fitting.least_squares import parameters

    if not recipe.variables and not recipe.start:
        return None
    params = parameters(model, data)
    for name, value in recipe.variables.items():
        if name in params:
            raise ParameterError(f"{name} is a parameter of the model: give the variable another name", key=name)
        params.add(name, value=value, vary=False)
    _begin(params, recipe)
    return params


def _begin(params: Parameters, recipe: Recipe) -> None:
    """Give parameters the start values of [fit]; what is tied has none of its own."""
    from pdfkit._expressions import matching
    from pdfkit.model.params import possible, put

    tied = {name: tie for pattern, tie in recipe.ties.items() for name in matching(params, pattern)}
    for pattern, value in recipe.start.items():
        for name in matching(params, pattern):
            if name in tied:
                raise ParameterError(
                    f"start of {pattern}: {name} is tied to {tied[name]}, and follows it: leave it out of start, or "
                    "say it in full for the others",
                    key=pattern,
                )
            low, high = possible(params[name])
            if not low <= value <= high:
                raise ParameterError(
                    f"{name} = {value:g} cannot be: give a number from {low:g} to {high:g}", key=pattern
                )
            put(params[name], value)


# --- from tables to entries ------------------------------------------------------------------------------------------


def _tables(top: Table, kind: str) -> list[Table]:
    """Return the [data] or [[phase]] tables: one table or an array of them."""
    raw = top.required(kind, f"a table [{kind}], or several [[{kind}]]")
    what = f"[{kind}]"
    if not isinstance(raw, list):
        return [Table(top.source, raw, (kind,), what, KEYS[what], HOME)]
    if not raw:
        raise top.error(kind, f"{kind} is empty: give a table [[{kind}]]")
    return [Table(top.source, one, (kind, i), what, KEYS[what], HOME) for i, one in enumerate(raw)]


def _sub(top: Table, name: str) -> Table:
    what = f"[{name}]"
    return Table(top.source, top.raw.get(name, {}), (name,), what, KEYS[what], HOME)


def _refuse_twins(tables: list[Table], names: list[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise tables[i].error("name", f"name {name!r} is used twice: give each {tables[i].what} its own")


# What only a cluster has: the key, the type of its value and what that is in words.
_CLUSTER = (
    ("surface", bool, "true or false"),
    ("moves", str, 'a word, such as "atoms"'),
    ("baseline", str, 'a word, such as "own"'),
    ("axial", list, "a list of three expansions along x, y and z"),
    ("block", str, "the name of a data block of a CIF"),
    ("symmetry", str, '"find", to look for the space group of atoms that are all listed'),
)


def _name_of(table: Table) -> str:
    """Return what a phase without a name is called: after its file, or its elements."""
    from pdfkit.phases.base import plain_word

    elements = "".join(table.texts("elements"))
    return plain_word(Path(table.text("structure")).stem or f"{elements}_stacked")


def _phase(table: Table, folder: Path) -> PhaseEntry:
    kind = table.choice("kind", ("crystal", "cluster", "stacked"), "") if "kind" in table else ""
    if kind == "stacked":
        table.required("elements", 'one or two elements, such as ["Cd", "Se"]')
        table.required("a_h", "the side of the triangular lattice in Å")
    else:
        table.required("structure", "a structure file, or the name of one that comes with pdfkit")
    name = table.text("name") or _name_of(table)
    if not name.isidentifier():
        raise table.error("name", f"phase name {name!r} cannot be used: write letters, digits (not first) and _")
    options: dict[str, Any] = {}
    for key in ("scale", "delta1", "delta2", "sratio", "rcut", "expansion", "tolerance", *STACKED):
        if key in table:
            options[key] = table.number(key)
    for key, kinds, what in _CLUSTER:
        if key in table:
            if not isinstance(table.raw[key], kinds):
                raise table.wrong(key, what)
            options[key] = table.raw[key]
    if "anisotropic" in table:
        flag = table.raw["anisotropic"]
        options["anisotropic"] = flag if isinstance(flag, bool) else table.texts("anisotropic")
    if "ions" in table:
        flag = table.raw["ions"]
        options["ions"] = flag if isinstance(flag, bool) else table.flat("ions")
    options |= mix(table) | molecules(table)
    if "shape" in table:
        options["shape"] = shape(table)
    if "elements" in table:
        options["elements"] = table.texts("elements")
        if not 1 <= len(options["elements"]) <= 2:
            raise table.wrong("elements", 'one or two elements, such as ["Cd", "Se"]')
    return PhaseEntry(name, table.text("structure"), folder, options, starts(table), kind)
