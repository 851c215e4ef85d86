"""Commands that show what was saved: `pdfkit plot`, curves, fits, series and rankings as pictures; `pdfkit report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed
from pdfkit.cli.fits import is_hdf5
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.data.curves import PDF


def plot(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="G(r) files and results of fits (.h5), in one picture; or one series.h5 or ranking.h5."
        ),
    ],
    offset: Annotated[
        float | None,
        typer.Option(
            help="Distance between curves in Å⁻²; 0 lays them on top of each other. Default: they do not touch."
        ),
    ] = None,
    difference: Annotated[
        bool, typer.Option("--difference", help="Of two curves: draw the first minus the second below them, too.")
    ] = False,
    rmin: o.Lowest = None,
    rmax: o.Highest = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="PICTURE", help=".png, .pdf or .svg. Default: <first file>.png here."),
    ] = None,
    kind: o.CurveKind = None,
    composition: o.Composition = None,
    rho0: o.Density = None,
    unit: o.Unit = None,
) -> Printed:
    """Draw G(r) of one or several files in one picture, or a fit with its difference curve.

    Of a result among several files its calculated G(r) is drawn; of a result alone, with --rmin or --rmax, data, model
    and difference in that range. Of a series its parameters are drawn against the index, of a ranking its best fits.
    """
    from pdfkit._checks import choice
    from pdfkit.io._atomic import check_target

    target = out or Path(f"{files[0].stem}.png")
    check_target(target, files)
    if len(files) == 1 and (drawn := _drawn_whole(files[0], target)):
        return Printed(files=[target], values=drawn)
    r_unit = None if unit is None else choice("unit", unit, ("A", "nm"))
    about: dict[str, Any] = {"kind": kind, "composition": composition, "rho0": rho0, "r_unit": r_unit}
    read = [_read(file, about) for file in files]
    curves = [one for file, found in zip(files, read, strict=True) for one in _curves(file, found, len(files) == 1)]
    if difference and len(curves) != 2:
        raise PdfkitError(f"--difference is of two curves, and there are {len(curves)}: give two files")
    whole = len(files) == 1 and len(curves) > 1
    cropped = [one.crop(rmin, rmax) for one in curves]
    from pdfkit import plot as draw  # matplotlib: after an input that cannot be read has been refused

    if whole and (rmin, rmax, offset) == (None, None, None):
        draw.fit(read[0], target)
    else:
        draw.pdf(*cropped, path=target, offset=offset, difference=difference or (whole and len(curves) == 2))
    return Printed(files=[target], values={"curves": [one.name for one in curves]})


def _drawn_whole(file: Path, target: Path) -> dict[str, Any]:
    """Draw a series or a ranking, and return what to tell programs of it; {} where a file is neither."""
    from pdfkit.io.hdf5 import format_in

    return {"pdfkit series": _draw_series, "pdfkit ranking": _draw_ranking}.get(format_in(file), _nothing)(file, target)


def _draw_series(file: Path, target: Path) -> dict[str, Any]:
    from pdfkit.series.result import SeriesResult

    result = SeriesResult.load(file)
    from pdfkit.plot import results_of_series

    results_of_series.parameters(result, target)
    return {"parameters": list(result.names[: results_of_series.MOST])}


def _draw_ranking(file: Path, target: Path) -> dict[str, Any]:
    from pdfkit.screening.ranking import Ranking

    found = Ranking.load(file)
    from pdfkit.plot import clusters

    clusters.ranking(found, target)
    return {"candidates": [row.name for row in found.best(3)]}


def _nothing(file: Path, target: Path) -> dict[str, Any]:
    return {}


def _read(file: Path, about: Mapping[str, Any]) -> Any:
    from pdfkit.io.pdf import read_pdf
    from pdfkit.results.saving import load_result

    return load_result(file) if is_hdf5(file) else read_pdf(file, **about)


def _curves(file: Path, found: Any, alone: bool) -> list[PDF]:
    """Return the G(r) of a file; of a result the calculated one of each data set, alone with the data before it."""
    from pdfkit.data.curves import PDF

    if isinstance(found, PDF):
        return [found if alone else replace(found, name=file.stem)]
    out = []
    for one in found.datasets:
        name = " ".join(part for part in ("" if alone else file.stem, one.name) if part)
        out += [replace(one.data, name=f"{name} data".strip())] * alone + [
            replace(one.calc, name=f"{name} fit".strip())
        ]
    return out


def report(
    file: Annotated[Path, typer.Argument(metavar="RESULT", help="A saved fit or ranking (.h5).")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PAGE", help="The .html file to write. Default: <name of the result>.html here."
        ),
    ] = None,
) -> Printed:
    """Write a fit or a ranking as one HTML page, which opens anywhere without Python and without a network.

    In the page of a fit: what was found in words, what was assumed, pictures, parameters with errors, correlations,
    neighbours, the recipe, SHA-256 of the inputs, versions; curves, recipe and structures can be saved from it.
    """
    from pdfkit.io._atomic import check_target

    target = out or Path(f"{file.stem}.html")
    check_target(target, [file])
    from pdfkit.io.hdf5 import format_in

    found = format_in(file)
    return Printed(files=[_reported(file, target, found)], values={"format": found})


def _reported(file: Path, target: Path, found: str) -> Path:
    if found == "pdfkit ranking":
        from pdfkit.screening.ranking import Ranking

        return Ranking.load(file).report(target)
    from pdfkit.results.page import Origin, write_page
    from pdfkit.results.saving import load_result

    result = load_result(file)
    return write_page(target, result, Origin.of(file))
