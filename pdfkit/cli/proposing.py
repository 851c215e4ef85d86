"""Fits of data and structures without a recipe: `pdfkit fit DATA STRUCTURE`, and `pdfkit recipe DATA STRUCTURE`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, fitting, progress
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import Proposal, Wishes
    from pdfkit.results.result import FitResult

PRESETS = ("calibrate", "nanocrystal", "two-phase", "bulk")
NAME = "fit.toml"
# Rw above which a standard does not calibrate anything.
_ROUGH = 0.15

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Of data and structures: calibrate (qdamp and resolution from a standard), nanocrystal, two-phase, bulk. "
        "Default: what describes the data.",
        autocompletion=o.one_of(*PRESETS),
    ),
]
Free = Annotated[
    list[str] | None,
    typer.Option("--free", metavar="NAMES", help="What varies: +c,-delta2 changes the proposal, scale,a replaces it."),
]
QDamp = Annotated[float | None, o.QDAMP]


def proposed(files: Sequence[Path], wishes: Wishes) -> Proposal:
    """Return the fit to propose for files of data and structures."""
    from pdfkit.recipes.inputs import inputs
    from pdfkit.recipes.proposal import propose

    with progress() as tell:
        tell("looking at data and structures")
        return propose(inputs(files, **wishes.options()), wishes)


def fit_files(files: Sequence[Path], out: Path | None, wishes: Wishes) -> Printed:
    """Propose a fit, save its recipe beside the results, and run it."""
    from pdfkit.cli.fits import of_fit
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder
    from pdfkit.recipes.recipe import run_recipe
    from pdfkit.recipes.written import recipe_of

    plan = proposed(files, wishes)
    where = out or Path("pdfkit-out") / plan.data[0].file.stem
    _keep_edited(where / NAME)
    with folder(where, [NAME], files) as target:
        recipe = write_text(target / NAME, recipe_of(plan, target, here=True))
        with fitting() as tell:
            result, written = run_recipe(recipe, None, tell)
    printed = of_fit(result, [where / NAME, *written], _assumed(plan), assumed=list(plan.assumed))
    return _calibrated(printed, result) if wishes.preset == "calibrate" else printed


def _keep_edited(recipe: Path) -> None:
    """Refuse to write over a recipe that somebody has changed."""
    from pdfkit.io._text import read_text
    from pdfkit.recipes.written import is_untouched

    if recipe.is_file() and not is_untouched(read_text(recipe)):
        raise PdfkitError(
            f"{recipe} was changed by hand and would be lost: run it (pdfkit fit {recipe}), or give another --out"
        )


def _assumed(plan: Proposal) -> str:
    """Return what was assumed, as text for people."""
    if not plan.assumed:
        return ""
    lines = [textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    ") for text in plan.assumed]
    return "\n".join(["Assumed (fit.toml says it beside each number):", *lines])


def _calibrated(printed: Printed, result: FitResult) -> Printed:
    """Return what is printed with the lines to paste into recipes of what was measured alike."""
    lines = [f"{name} = {result.params[name].value:.5f}" for name in result.params if _is_resolution(name)]
    text = "\n".join(["Calibrated. For recipes of samples measured alike:", *lines])
    rough = f"the standard is not described (Rw = {result.rw:.2f}): do not use this calibration"
    warnings = [*printed.warnings, *([rough] if result.rw > _ROUGH else [])]
    return replace(printed, text=f"{printed.text}\n\n{text}", warnings=warnings)


def _is_resolution(name: str) -> bool:
    return name.rpartition(".")[2] in ("qdamp", "resolution")
