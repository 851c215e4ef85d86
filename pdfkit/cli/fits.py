"""Commands on fits: `pdfkit fit`, `compare`, `partials`, `plot` and `recipe`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli.console import Printed, fitting
from pdfkit.cli.options import FOLDER, Composition, CurveKind, Density, OutFile, OutFolder
from pdfkit.errors import PdfkitError, ReadError

if TYPE_CHECKING:
    from pdfkit.results.result import FitResult

# --- fit and compare -------------------------------------------------------------------------------------------------


def fit(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to fit: see `pdfkit recipe`.")],
    out: OutFolder = None,
) -> Printed:
    """Fit measured G(r) as a recipe says; write report, picture, columns, HDF5 file and refined structures.

    Results go to --out, else to the dir of the recipe's output table, else to pdfkit-out/<recipe name>.

    A fit that does not converge, or a model that does not describe the data, is said and exits with 0; an input that
    cannot be used exits with 2.
    """
    from pdfkit.recipes.recipe import run_recipe

    with fitting() as tell:
        return of_fit(*run_recipe(recipe, out, tell))


def of_fit(result: FitResult, files: list[Path], title: str = "", note: str = "", **values: Any) -> Printed:
    """Return what to print of a fit; what is wrong with it is a warning."""
    warnings = [note] * bool(note)
    if not result.converged:
        warnings.append(f"the fit did not converge: {result.message}")
    if not result.describes:
        warnings.append(f"the model does not describe the data: Rw = {result.rw:.2f}")
    values |= result.to_dict()
    text = "\n\n".join(part for part in (title, str(result)) if part)
    return Printed(text, files, values, values.pop("remarks"), warnings)


def compare(
    recipes: Annotated[
        list[Path], typer.Argument(metavar="RECIPE.toml...", help="Two or more models of one data set.")
    ],
    out: Annotated[Path, FOLDER] = Path("pdfkit-compare"),
) -> Printed:
    """Fit the same data as several recipes say, and weigh the models against each other: table, CSV and one picture."""
    from pdfkit.fitting.comparison import Comparison
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder, publish
    from pdfkit.plot import fits
    from pdfkit.recipes.recipe import fit_recipe, load_recipe

    if len(recipes) < 2:
        raise PdfkitError("a comparison needs at least two recipes: name them all")
    loaded = {path.stem: load_recipe(path) for path in recipes}
    if len(loaded) < len(recipes):
        raise PdfkitError("two of the recipes have the same name, which is that of the model: rename one of them")
    inputs = [file for recipe in loaded.values() for file in (recipe.path, *recipe.inputs())]
    names = ("comparison.txt", "comparison.csv", "comparison.png")
    with folder(out, names, inputs) as target:
        results = {}
        for name, recipe in loaded.items():
            with fitting(name) as tell:
                results[name] = fit_recipe(recipe, tell)
        found = Comparison.of(results)
        with publish(target) as stage:
            write_text(stage / names[0], found.table() + "\n")
            found.to_csv(stage / names[1])
            fits.comparison(found, stage / names[2], titles={name: one.title for name, one in loaded.items()})
    models = {name: result.to_dict() for name, result in results.items()}
    return Printed(found.table(), [target / name for name in names], {"models": models, "table": found.table()})


# --- partials --------------------------------------------------------------------------------------------------------


def partials(
    source: Annotated[Path, typer.Argument(metavar="RECIPE.toml|RESULT.h5", help="A recipe is fitted first.")],
    out: OutFolder = None,
) -> Printed:
    """Write the partial G(r) of every pair of elements in a fitted model, as columns and as a picture.

    They are weighted with the scattering of the pair and add up to the calculated G(r).
    """
    from pdfkit.io._folders import folder
    from pdfkit.recipes.outputs import write_partials
    from pdfkit.recipes.recipe import fit_recipe, load_recipe
    from pdfkit.results.saving import load_result

    if is_hdf5(source):
        result = load_result(source)
        names = _partials_names("", [one.name for one in result.datasets])
        with folder(out or Path("pdfkit-out") / source.stem, names, [source]) as target:
            files = write_partials(result, target)
    else:
        recipe = load_recipe(source)
        names = _partials_names(recipe.prefix, [one.name for one in recipe.data])
        with folder(out or recipe.folder, names, [source, *recipe.inputs()]) as target:
            with fitting() as tell:
                result = fit_recipe(recipe, tell)
            files = write_partials(result, target, recipe.prefix, recipe.title)
    return Printed(files=files, values={"rw": result.rw})


def _partials_names(prefix: str, data: list[str]) -> list[str]:
    columns = [f"partials_{name}.txt" for name in data] if len(data) > 1 else ["partials.txt"]
    return [f"{prefix}{name}" for name in (*columns, "partials.png")]


def is_hdf5(path: Path) -> bool:
    """Return whether a file is HDF5, by its first bytes or by its ending."""
    if path.is_dir():
        raise ReadError(path, "this is a folder: give a recipe or a result.h5")
    with path.open("rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n" or path.suffix in (".h5", ".hdf5", ".nxs")


# --- plot ------------------------------------------------------------------------------------------------------------


def plot(
    file: Annotated[Path, typer.Argument(metavar="FILE.gr|RESULT.h5")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PICTURE", help=".png, .pdf or .svg; default: <file>.png here."),
    ] = None,
    kind: CurveKind = None,
    composition: Composition = None,
    rho0: Density = None,
) -> Printed:
    """Draw a G(r) file, or a fit with its difference curve."""
    from pdfkit.io._atomic import check_target
    from pdfkit.io.pdf import read_pdf
    from pdfkit.results.saving import load_result

    target = out or Path(f"{file.stem}.png")
    check_target(target, [file])
    curve: dict[str, Any] = {"kind": kind, "composition": composition, "rho0": rho0}
    data = load_result(file) if is_hdf5(file) else read_pdf(file, **curve)
    from pdfkit import plot as draw  # matplotlib: after an input that cannot be read has been refused
    from pdfkit.data.curves import PDF

    if isinstance(data, PDF):
        draw.pdf(data, path=target)
    else:
        draw.fit(data, target)
    return Printed(files=[target])


# --- recipe ----------------------------------------------------------------------------------------------------------


def recipe(
    data: Annotated[str, typer.Argument(metavar="[DATA.gr]", help="The data file that it is to name.")] = "data.gr",
    out: OutFile = None,
) -> Printed:
    """Print a commented recipe to start from: wurtzite and zinc blende in one nanoparticle.

    With --out it is written to that file instead.
    """
    from pdfkit.io._atomic import write_text
    from pdfkit.recipes.template import recipe_template

    if out is None:
        text = recipe_template(data)
        return Printed(text.rstrip("\n"), values={"recipe": text})
    if out.exists():
        raise PdfkitError(f"{out} exists: give another name, so that no recipe of yours is lost")
    if os.path.realpath(out) in {os.path.realpath(data), os.path.realpath(out.parent / data)}:
        raise PdfkitError(f"{out} is the name of the data: give the recipe another, such as fit.toml")
    text = recipe_template(data, name=out.name)
    write_text(out, text)
    return Printed(files=[out], values={"recipe": text})
