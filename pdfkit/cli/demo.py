"""`pdfkit demo`: a two-phase fit of a measured CdSe nanocrystal, or of a simulated CdS one where there are no data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from pdfkit.cli.console import Printed, fitting
from pdfkit.cli.fits import of_fit
from pdfkit.cli.options import OutFolder
from pdfkit.workbench.example import measured_file, simulated

if TYPE_CHECKING:
    from pdfkit.results.result import FitResult

FOLDER = "pdfkit-demo"
MEASURED_TITLE = "CdSe nanocrystals (X-ray, measured): wurtzite and zinc blende"
SIMULATED_TITLE = "CdS nanocrystals of 22 Å, SIMULATED: wurtzite and zinc blende"
NOTE = (
    'no measured data here: pip install "pdfkit-scattering[examples]" brings them; '
    "this demo fits a simulated CdS nanocrystal instead"
)


def demo(out: OutFolder = None) -> Printed:
    """Fit a measured CdSe nanocrystal with wurtzite and zinc blende; results go to --out (default: pdfkit-demo).

    The data come with the package diffpy.cmi; without it, the demo simulates a CdS nanocrystal and says so.
    """
    with fitting() as tell:
        shown = run_demo(out, tell)
    return of_fit(shown.result, shown.files, shown.title, shown.note, simulated=shown.simulated)


@dataclass(frozen=True)
class Demo:
    """What a demo showed: result, files, title, and a note where the measured data are missing."""

    result: FitResult
    files: list[Path]
    title: str
    simulated: bool
    note: str = ""


def run_demo(
    out: str | PathLike[str] | None = None,
    progress: Callable[[int, float], None] | None = None,
    measured: str | PathLike[str] | None = None,
) -> Demo:
    """Fit the demo data and write all outputs and the recipe, which reproduces them, into `out`.

    measured : the G(r) file of the CdSe example; None looks for it in the package diffpy.cmi.

    Raises WriteError when the folder cannot be written.
    """
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder as held
    from pdfkit.recipes.recipe import load_recipe, run_recipe

    data = measured_file() if measured is None else Path(measured)
    with held(FOLDER if out is None else out) as folder:
        prefix = "" if data is not None else "simulated-"
        recipe = folder / f"{prefix}recipe.toml"
        extra = []
        if data is None:
            extra.append(simulated(folder / "simulated-CdS.gr"))
            text = _simulated_recipe(extra[0].name, recipe.name)
        else:
            text = _measured_recipe(data, recipe.name)
        write_text(recipe, text)
        loaded = load_recipe(recipe)
        result, files = run_recipe(loaded, folder, progress)
    return Demo(result, [*files, recipe, *extra], loaded.title, data is None, NOTE if data is None else "")


def _measured_recipe(data: Path, name: str) -> str:
    from pdfkit.recipes.template import Example, recipe_template

    example = Example(title=MEASURED_TITLE, qmax=19.0, qdamp=0.058, rmax=40.0, use_errors=False, out=".")
    return recipe_template(data, name=name, example=example)


def _simulated_recipe(data: str, name: str) -> str:
    from pdfkit.recipes.template import Example, recipe_template

    example = Example(SIMULATED_TITLE, qmax=15.0, qdamp=0.03, window="lorch", rmax=25.0, elements=("Cd", "S"))
    example = replace(example, spdiameter=30.0, out=".", prefix="simulated-")
    return recipe_template(data, name=name, example=example)
