"""Commands on measurements, and on pdfkit itself: `reduce`, `compare`, `verify`. `cli` registers them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pdfkit._terminal import show


def compare(
    recipes: Annotated[list[Path], typer.Argument(metavar="RECIPE.toml...", help="Rival models of the same data.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of table and picture.")] = Path(
        "pdfkit-compare"
    ),
) -> None:
    """Fit the same data as several recipes say, and weigh the models against each other: table, CSV and one picture."""
    from pdfkit.cli.console import progress
    from pdfkit.errors import PdfkitError
    from pdfkit.fitting.comparison import Comparison
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder, publish
    from pdfkit.plot import fits
    from pdfkit.recipes.recipe import fit_recipe, load_recipe

    if len(recipes) < 2:
        raise PdfkitError("a comparison needs two recipes at least: name them all")
    loaded = {path.stem: load_recipe(path) for path in recipes}
    if len(loaded) < len(recipes):
        raise PdfkitError("two of the recipes have the same name: rename one, for it names the model")
    inputs = [file for recipe in loaded.values() for file in (recipe.path, *recipe.inputs())]
    with folder(out, ("comparison.txt", "comparison.csv", "comparison.png"), inputs) as target:
        results = {}
        for name, recipe in loaded.items():
            with progress() as tell:
                results[name] = fit_recipe(recipe, tell)
        found = Comparison.of(results)
        with publish(target) as stage:
            files = [write_text(stage / "comparison.txt", found.table() + "\n"), found.to_csv(stage / "comparison.csv")]
            fits.comparison(found, stage / "comparison.png")
    show(found.table())
    show("\nfiles:", *(f"  {target / file.name}" for file in [*files, stage / "comparison.png"]))


def reduce(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Intensities (.iq, .chi, .xy, .xye, …), or patterns.")
    ] = None,
    composition: Annotated[str | None, typer.Option("--composition", "-s", help="Such as CdSe or Zn0.5Cd0.5S.")] = None,
    background: Annotated[Path | None, typer.Option("--background", "-b", help="Pattern to take off.")] = None,
    bgscale: Annotated[float | None, typer.Option(help="Factor on it.  [default: 1]")] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Of column 1: A-1, nm-1, 2theta, centidegrees, d, …  [default: what the file says]"),
    ] = None,
    wavelength: Annotated[float | None, typer.Option(help="Å; for patterns against 2θ.")] = None,
    twothetazero: Annotated[float | None, typer.Option(help="Degrees; the true zero of 2θ.")] = None,
    probe: Annotated[str | None, typer.Option(help="X, N or E.  [default: X]")] = None,
    qmin: Annotated[float | None, typer.Option(help="Å⁻¹; start of the transform.")] = None,
    qmax: Annotated[float | None, typer.Option(help="Å⁻¹; end of the transform.")] = None,
    qmaxinst: Annotated[float | None, typer.Option(help="Å⁻¹; end of the data that are used.")] = None,
    rpoly: Annotated[float | None, typer.Option(help="Å; below it the correction takes everything.")] = None,
    method: Annotated[str | None, typer.Option(help="adhoc or physical.  [default: adhoc]")] = None,
    rho0: Annotated[float | None, typer.Option(help="Atoms/Å³, for the physical method.")] = None,
    window: Annotated[str | None, typer.Option(help="Modification function, e.g. lorch.")] = None,
    extrapolate: Annotated[
        str | None, typer.Option(help="F(Q) below qmin: none, linear (small particles) or quadratic.")
    ] = None,
    errors: Annotated[
        str | None, typer.Option(help="dI: auto, given, counting (√I), scatter (of neighbours) or none.")
    ] = None,
    rmin: Annotated[float | None, typer.Option(help="Å; of G(r).")] = None,
    rmax: Annotated[float | None, typer.Option(help="Å; of G(r).  [default: 30]")] = None,
    rstep: Annotated[float | None, typer.Option(help="Å; of G(r).  [default: 0.01]")] = None,
    outputs: Annotated[
        list[str] | None, typer.Option("--write", metavar="KIND", help="gr, sq, fq, iq, png (picture); repeat it.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings as PDFgetX3 writes them.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for many files.", min=1)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do again what is finished.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder of the results.")] = None,
) -> None:
    """Turn measured intensities into S(Q), F(Q) and G(r), with errors; of many files, in parallel.

    A run over many files that was interrupted goes on where it stopped when it is started again.

    Exit code 2 when any file could not be reduced; reductions.csv in the folder has the reasons.
    """
    from pdfkit.cli.reductions import reduce_command
    from pdfkit.errors import PdfkitError

    given = {name: value for name, value in locals().items() if name in _SETTINGS}
    report = reduce_command(files or [], out, config=config, outputs=outputs, fresh=fresh, workers=workers, **given)
    show(report)
    if report.failed:
        raise PdfkitError(report.summary)


def verify(
    topics: Annotated[
        list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only this one of the report; repeat it.")
    ] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Read the files that the tests know instead, and compare what was meant.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")] = False,
) -> None:
    """Check on this machine that what pdfkit computes is right: a table of differences and their bounds.

    Against PDFfit2 (where installed), stored curves of DiffPy-CMI, the definitions pair by pair, closed forms, laws.

    Exit code 1 when a row fails.
    """
    from pdfkit.cli.checks import verify_command
    from pdfkit.verification.report import FILES

    with _live() as tell:
        text, code = verify_command([*(topics or []), *([FILES] if files else [])], as_json=as_json, tell=tell)
    show(text)
    raise typer.Exit(code)


@contextmanager
def _live() -> Iterator[Callable[[int, int, str], None] | None]:
    """Give the function (done, all, name) to call before each row, on a terminal; a few seconds need no lines."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("compiling") as status:
            yield lambda done, total, name: status.update(f"{done + 1} of {total}: {name}")
    else:
        yield None


_SETTINGS = (
    *("composition", "background", "bgscale", "unit", "wavelength", "twothetazero", "probe", "qmin", "qmax"),
    *("qmaxinst", "rpoly", "method", "rho0", "window", "extrapolate", "errors", "rmin", "rmax", "rstep"),
)
