"""The command `pdfkit series`: all scans of a recipe, fitted and kept in one file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli.console import Printed, progress
from pdfkit.cli.options import OutFolder
from pdfkit.cli.screening import executor_of, words
from pdfkit.errors import PdfkitError, WriteError

if TYPE_CHECKING:
    from pdfkit.series.result import SeriesResult

NAMES = ("series.h5", "series.csv", "series.txt", "series.png", "curves.png")


def series(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help=r"A recipe with a table \[series].")],
    out: OutFolder = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes. Default: one per core.", min=1)] = None,
    dask: Annotated[
        str | None, typer.Option(help="Compute on this dask scheduler, such as tcp://host:8786.", metavar="ADDRESS")
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Go on from the journal in the folder, or fit existing scans again.")
    ] = True,
) -> Printed:
    """Fit all scans of a series as a recipe says; write values and errors against the index.

    One by one, by laws of the index, in windows of r or as a map, as how in [series] says. The folder gets series.h5
    (NeXus, for silx and h5web), series.csv, series.txt and series.png; with curves = true also curves.png; and the
    journal series.jsonl: a run that was interrupted goes on where it stopped when it is started again.
    A scan that cannot be read or fitted is a row with the reason; the others go on.
    """
    from pdfkit.io import _folders
    from pdfkit.recipes.recipe import load_recipe
    from pdfkit.recipes.series import run_series
    from pdfkit.screening.settings import Work

    loaded = load_recipe(recipe)
    where = out or loaded.folder
    joined = loaded.series is not None and loaded.series.joined
    if joined and (dask or workers):
        raise PdfkitError("--workers and --dask are for fits one by one: laws, windows and maps are one fit")
    workplace: AbstractContextManager[dict[str, Any]] = nullcontext({}) if joined else executor_of(dask, workers)
    with _folders.folder(where, NAMES, [recipe]) as folder, workplace as how, progress() as say:
        work = Work(out=folder, resume=resume, progress=lambda now: say(words(now)), **how)
        result = run_series(loaded, work)
        return printed(result, folder)


def printed(result: SeriesResult, folder: Path) -> Printed:
    """Write the tables of a series beside its file, and return what is printed of it."""
    files, missing = _write(result, folder)
    failed = [f"{label}: {why}" for label, why in result.failed()]
    counts = {"scans": len(result), "failed": len(failed)}
    return Printed(
        str(result), files, {**counts, "columns": result.columns()}, warnings=[*_said(failed, len(result)), *missing]
    )


def _write(result: SeriesResult, folder: Path) -> tuple[list[Path], list[str]]:
    """Write the tables and pictures beside the file of results; return their paths, and why a picture is missing."""
    from pdfkit.io._atomic import write_text
    from pdfkit.plot import results_of_series
    from pdfkit.series.store import has_curves

    store, columns, text, picture, curves = (folder / name for name in NAMES)
    files, missing = [store, result.to_csv(columns), write_text(text, f"{result}\n")], []
    for path, draw in ((picture, results_of_series.parameters), (curves, results_of_series.curves)):
        path.unlink(missing_ok=True)
        try:
            draw(result, path)
            files.append(path)
        except WriteError:
            raise
        except PdfkitError as error:
            if path == picture or has_curves(store):
                missing.append(f"{path.name} was not drawn: {error}")
    return files, missing


def _said(failed: list[str], count: int) -> list[str]:
    """Say how many scans failed, and why the first did."""
    return [f"{len(failed)} of {count} scans failed; {failed[0]}"] if failed else []
