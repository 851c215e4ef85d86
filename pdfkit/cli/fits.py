"""Commands on fits: `pdfkit fit`, `compare`, `partials` and `recipe`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, faults, fitting, progress
from pdfkit.cli.info import RESULTS
from pdfkit.cli.projects import Convention, fit_project
from pdfkit.cli.proposing import (
    Free,
    Highest,
    Lowest,
    MaxQ,
    MinQ,
    Molecules,
    Preset,
    Probe,
    QDamp,
    Rigid,
    Searching,
    Starts,
    Tie,
    fit_files,
    proposed,
    searched,
    wished,
)
from pdfkit.errors import PdfkitError, ReadError, missing

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.model.model import Model
    from pdfkit.recipes.proposal import Wishes
    from pdfkit.recipes.recipe import Recipe
    from pdfkit.results.result import FitResult

# --- fit and compare -------------------------------------------------------------------------------------------------


def fit(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Data and structures (files, or names from `pdfkit structures`), in any order; or a recipe (.toml); "
            "or a PDFgui project (.ddp3); or a result (.h5) to go on from, with or without other data.",
            autocompletion=o.structure_names,
        ),
    ],
    out: o.OutFolder = None,
    convention: Convention = None,
    preset: Preset = None,
    free: Free = None,
    tie: Tie = None,
    molecules: Molecules = False,
    rigid: Rigid = False,
    probe: Probe = None,
    qmin: MinQ = None,
    qmax: MaxQ = None,
    qdamp: QDamp = None,
    rmin: Lowest = None,
    rmax: Highest = None,
    search: Searching = None,
    starts: Starts = None,
) -> Printed:
    """Fit measured G(r), from data and structures or as a recipe says; write report, picture, columns and structures.

    For data and structures, a recipe is proposed: range, Qmax, what varies, particles or bulk. It is saved as fit.toml
    beside the results, with what was assumed in its comments; change it and run it again with pdfkit fit. Several
    structures are phases of one sample; several data sets are fitted together.

    For a result, the fit goes on from where it ended, with the same data, ties, bounds and weights, and the report ends
    with what changed: pdfkit fit fit.h5 --free +c --rmax 30. The new results go into a folder beside the old one, with
    a number behind its name.

    For a PDFgui project, every fit is repeated from its start values; the new values stand beside the recorded ones.

    Results go to --out, else to the dir of the recipe's output table, else to pdfkit-out/<name of recipe or data>.

    A fit that does not converge, or a model that does not describe the data, is said in a warning, and the exit code is
    0; it is 2 for an input that cannot be used.
    """
    from pdfkit.cli.continuing import fit_again
    from pdfkit.projects.archive import is_project
    from pdfkit.recipes.recipe import run_recipe

    data = {"probe": probe, "qmin": qmin, "qmax": qmax, "qdamp": qdamp, "rmin": rmin, "rmax": rmax}
    wishes = wished(preset, free, tie, molecules=molecules, rigid=rigid, **data)
    first = files[0]
    if len(files) == 1 and is_project(first):
        _only_of_data(wishes, first)
        if search is not None or starts is not None:
            raise PdfkitError("--search and --starts are for data, structures and recipes, not for projects of PDFgui")
        return fit_project(first, out, convention or "pdffit2")
    if convention is not None:
        raise PdfkitError(f"--convention {convention} is for projects of PDFgui: a recipe says it under [fit]")
    if results := [file for file in files if file.is_file() and is_hdf5(file)]:
        return fit_again(
            results, [file for file in files if file not in results], out, wishes, searched("plain", search, starts)
        )
    if any(file.suffix == ".toml" for file in files):
        if len(files) > 1:
            raise PdfkitError("a recipe names its own data and structures: give it alone")
        _only_of_data(wishes, first)
        recipe = _loaded(first)
        recipe = replace(recipe, search=searched(recipe.search, search, starts))
        with fitting() as tell:
            return of_fit(*run_recipe(recipe, out, tell))
    return fit_files(files, out, wishes, searched("staged", search, starts))


def _only_of_data(wishes: Wishes, file: Path) -> None:
    """Refuse options that change what is proposed where a file says all itself."""
    from pdfkit.recipes.proposal import Wishes

    if wishes != Wishes():
        raise PdfkitError(
            f"{file.name} says itself what to fit: --preset, --free, --tie, --molecules, --rigid, --probe, --qmin, "
            "--qmax, --qdamp, --rmin and --rmax are for data and structures; change the file instead"
        )


def of_fit(result: FitResult, files: list[Path], title: str = "", note: str = "", **values: Any) -> Printed:
    """Return what to print of a fit; what is wrong with it is a warning."""
    values |= result.to_dict()
    text = "\n\n".join(part for part in (title, str(result)) if part)
    return Printed(text, files, values, values.pop("remarks"), [*[note] * bool(note), *faults(result)])


def compare(
    fits: Annotated[
        list[Path],
        typer.Argument(metavar="FIT", help="Two or more models of one data set: recipes, or results (.h5)."),
    ],
    evidence: Annotated[
        str,
        typer.Option(
            help="How ln Z is computed: laplace, about the best fit (seconds); or nested, by nested sampling of the "
            "whole priors (minutes; needs dynesty)."
        ),
    ] = "laplace",
    out: Annotated[Path, o.FOLDER] = Path("pdfkit-compare"),
) -> Printed:
    """Weigh models of the same data against each other: table, CSV and one picture.

    Recipes are fitted, each from its own start values and then from where the others ended; results stay as they are.
    Results of other data, ranges or weights are refused.
    """
    from pdfkit.fitting.comparison import Comparison, check_method, same_data
    from pdfkit.fitting.polishing import polished
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder, publish
    from pdfkit.plot import fits as pictures
    from pdfkit.recipes.recipe import fit_recipe
    from pdfkit.results.saving import load_result

    if len(fits) < 2:
        raise PdfkitError("a comparison needs at least two fits, recipes or results: name them all")
    check_method(evidence)
    files = _by_title(fits)
    finished = {name: load_result(file) for name, file in files.items() if is_hdf5(file)}
    loaded = {name: _loaded(file) for name, file in files.items() if name not in finished}
    inputs = [*fits, *(file for recipe in loaded.values() for file in recipe.inputs())]
    names = ("comparison.txt", "comparison.csv", "comparison.png")
    with folder(out, names, inputs) as target:
        results = {}
        for name in files:
            with fitting(name) as tell:
                results[name] = finished.get(name) or fit_recipe(loaded[name], tell)
        same_data(results)
        with progress() as say:
            results = polished(results, lambda what: say(f"fitting {what}"), finished)
            found = Comparison.of(results, evidence=evidence, progress=say)
        with publish(target) as stage:
            write_text(stage / names[0], found.table() + "\n")
            found.to_csv(stage / names[1])
            titles = {name: loaded[name].title if name in loaded else "" for name in files}
            pictures.comparison(found, stage / names[2], titles=titles)
    models = {name: result.to_dict() for name, result in results.items()}
    values = {"models": models, "comparison": found.to_dict(), "table": found.table()}
    return Printed(found.table(), [target / name for name in names], values)


def _by_title(files: Sequence[Path]) -> dict[str, Path]:
    """Return files by what their models are called: their own names, or where these are alike their folders."""
    places = [file.resolve() for file in files]
    for k, file in enumerate(files):
        if places[k] in places[:k]:
            raise PdfkitError(f"{file} is given twice: a comparison is of different fits; name another one")
    for titles in ([one.stem for one in files], [one.resolve().parent.name for one in files]):
        if len(set(titles)) == len(files):
            return dict(zip(titles, files, strict=True))
    raise PdfkitError("two of the fits have the same name, which is that of the model: rename one of them")


# --- partials --------------------------------------------------------------------------------------------------------


def partials(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A recipe, which is fitted first; a result.h5; or a structure (file or name).",
            autocompletion=o.structure_names,
        ),
    ],
    model: Annotated[
        bool, typer.Option("--model", help="Do not fit a recipe, take its start values; needs no data.")
    ] = False,
    probe: Annotated[str, o.PROBE] = "X",
    qmax: Annotated[float, o.QMAX] = float("inf"),
    qdamp: Annotated[float, o.QDAMP] = 0.0,
    rmin: Annotated[float, o.RMIN] = 1.0,
    rmax: Annotated[float, o.RMAX] = 20.0,
    rstep: Annotated[float, o.RSTEP] = 0.01,
    out: o.OutFolder = None,
) -> Printed:
    """Write the partial G(r) of every pair of elements, as columns and as a picture.

    They are weighted with the scattering of the pair and add up to the calculated G(r). For a structure, or a recipe
    with --model, nothing is fitted: the options say on which r; probe, qmax and qdamp are for a structure.
    """
    from pdfkit.io._folders import folder
    from pdfkit.model.noise import grid
    from pdfkit.recipes.outputs import write_partials
    from pdfkit.recipes.recipe import fit_recipe
    from pdfkit.results.saving import load_result

    path = Path(source)
    if _is_structure(source):
        from pdfkit.data.instrument import Instrument
        from pdfkit.model.model import Model
        from pdfkit.phases.files import phases_of

        one = Model(phases_of([source]), Instrument(probe, qmax=qmax, qdamp=qdamp))
        return _of_model({"": one}, grid(rmin, rmax, rstep), out or Path("pdfkit-out") / path.stem, [source])
    if is_hdf5(path):
        result = load_result(path)
        names = _partials_names("", [one.name for one in result.datasets])
        with folder(out or Path("pdfkit-out") / path.stem, names, [path]) as target:
            files = write_partials(result, target)
        return Printed(files=files, values={"rw": result.rw})
    recipe = _loaded(path)
    if model:
        where = out or recipe.folder
        return _of_model(recipe.models(), grid(rmin, rmax, rstep), where, [path, *recipe.inputs()], recipe.prefix)
    names = _partials_names(recipe.prefix, [one.name for one in recipe.data])
    with folder(out or recipe.folder, names, [path, *recipe.inputs()]) as target:
        with fitting() as tell:
            result = fit_recipe(recipe, tell)
        files = write_partials(result, target, recipe.prefix, recipe.title)
    return Printed(files=files, values={"rw": result.rw})


def _is_structure(source: str) -> bool:
    from pdfkit.phases.files import known_structure
    from pdfkit.recipes.toml import STRUCTURES

    path = Path(source)
    if path.suffix.lower() in STRUCTURES or (not path.exists() and not path.suffix):
        return bool(known_structure(source))  # or it says which names are near
    return False


def _of_model(
    models: Mapping[str, Model], r: Array, out: Path, inputs: Sequence[str | Path], prefix: str = ""
) -> Printed:
    """Write the partials of models, one for each data set that a recipe names."""
    from pdfkit import plot as draw
    from pdfkit.io._folders import folder, publish
    from pdfkit.io.columns import write_columns

    head = ["Weighted partials of a model: r in Å, G in Å⁻²; those of all pairs add up to G"]
    files: list[Path] = []
    with folder(out, (), inputs) as target, publish(target) as stage:
        for name, model in models.items():
            stem = f"{prefix}partials_{name}" if len(models) > 1 else f"{prefix}partials"
            shares = model.partials(r)
            names = ["r", "G", *("-".join(pair) for pair in shares)]
            write_columns(stage / f"{stem}.txt", names, [r, model(r).G, *(one.G for one in shares.values())], head)
            draw.partials(model, stage / f"{stem}.png", r=r)
            files += [target / f"{stem}.txt", target / f"{stem}.png"]
    return Printed(files=files)


def _partials_names(prefix: str, data: list[str]) -> list[str]:
    columns = [f"partials_{name}.txt" for name in data] if len(data) > 1 else ["partials.txt"]
    return [f"{prefix}{name}" for name in (*columns, "partials.png")]


def is_hdf5(path: Path) -> bool:
    """Return whether a file is HDF5, by its first bytes or by its ending."""
    from pdfkit.io.hdf5 import SIGNATURE

    if path.is_dir():
        raise ReadError(path, "this is a folder: give a recipe or a result.h5")
    if not path.exists():
        raise ReadError(path, missing(path))
    with path.open("rb") as stream:
        return stream.read(8) == SIGNATURE or path.suffix in RESULTS


def _loaded(path: Path) -> Recipe:
    """Return the recipe in a file; a result is told from it."""
    from pdfkit.recipes.recipe import load_recipe

    if is_hdf5(path):
        raise ReadError(path, "this is a result, not a recipe: see `pdfkit info`, `pdfkit plot`, `pdfkit partials`")
    return load_recipe(path)


# --- recipe ----------------------------------------------------------------------------------------------------------


def recipe(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Data and structures to propose a fit for; or the name that the data of the example are to have.",
            autocompletion=o.structure_names,
        ),
    ] = None,
    out: o.OutFile = None,
    preset: Preset = None,
    free: Free = None,
    tie: Tie = None,
    molecules: Molecules = False,
    rigid: Rigid = False,
    probe: Probe = None,
    qmin: MinQ = None,
    qmax: MaxQ = None,
    qdamp: QDamp = None,
    rmin: Lowest = None,
    rmax: Highest = None,
) -> Printed:
    """Print the recipe that `pdfkit fit DATA STRUCTURE` would run, to be changed; with --out, write it to that file.

    Without a structure: a commented recipe to start from, wurtzite and zinc blende in one nanoparticle, with every key.
    """
    from pdfkit.io._atomic import write_text
    from pdfkit.recipes.proposal import Wishes
    from pdfkit.recipes.written import recipe_of

    data = {"probe": probe, "qmin": qmin, "qmax": qmax, "qdamp": qdamp, "rmin": rmin, "rmax": rmax}
    wishes = wished(preset, free, tie, molecules=molecules, rigid=rigid, **data)
    files = files or []
    if out is not None and out.exists():
        raise PdfkitError(f"{out} exists: give another name, so that no recipe of yours is lost")
    folder = out.parent if out is not None else Path()
    if out is not None and os.path.realpath(out) in {
        os.path.realpath(one) for file in files for one in (file, folder / file)
    }:
        raise PdfkitError(f"{out} is the name of the data: give the recipe another, such as fit.toml")
    plan = proposed(files, wishes) if len(files) > 1 or wishes != Wishes() else None
    text = _example(files, out) if plan is None else recipe_of(plan, folder)
    remarks = [] if plan is None else list(plan.assumed)
    warnings = [_OF_EXAMPLE.format(files[0])] if plan is None and files and files[0].is_file() else []
    if out is None:
        return Printed(text.rstrip("\n"), values={"recipe": text}, warnings=warnings)
    write_text(out, text)
    return Printed(files=[out], values={"recipe": text}, remarks=remarks, warnings=warnings)


_OF_EXAMPLE = (
    "phases and ranges are those of an example, CdSe nanocrystals: name the structure of your sample as well, pdfkit "
    "recipe {} STRUCTURE, and the recipe is made for it"
)


def _example(files: Sequence[Path], out: Path | None) -> str:
    """Return the commented recipe, with what the header of data says where there are some."""
    from pdfkit.io.pdf import read_pdf
    from pdfkit.recipes.template import Example, recipe_template

    data = files[0] if files else Path("data.gr")
    own = read_pdf(data).instrument if data.is_file() else None
    keys = ("probe", "qmin", "qmax", "qdamp", "window")
    known = {key: getattr(own, key) for key in keys if own is not None and key in own.given}
    example = Example(**{key: value for key, value in known.items() if value is not None})
    name = {} if out is None else {"name": out.name}
    return recipe_template(data, example=example, **name)
