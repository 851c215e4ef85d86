"""Fits of data and structures without a recipe: `pdfkit fit DATA STRUCTURE`, and `pdfkit recipe DATA STRUCTURE`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, faults, fitting, progress
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import Proposal, Wishes
    from pdfkit.results.result import FitResult

Search = str | Mapping[str, Any]

PRESETS = ("calibrate", "nanocrystal", "two-phase", "bulk")
NAME = "fit.toml"
# Rw above which a standard does not calibrate anything.
_ROUGH = 0.15

# Panels of the help.
_VARIES, _DATA, _MINIMUM = "What is fitted", "The data", "How the minimum is looked for"


def _among(panel: str, option: Any, text: str = "") -> Any:
    """Return an option that stands in a panel of the help, with other words where there are some."""
    out = copy(option)
    out.rich_help_panel, out.help = panel, text or option.help
    return out


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        rich_help_panel=_VARIES,
        help="What data and structures are: calibrate (a standard, which gives qdamp and resolution), nanocrystal, "
        "two-phase, bulk. Default: what describes the data.",
        autocompletion=o.one_of(*PRESETS),
    ),
]
Free = Annotated[
    list[str] | None,
    typer.Option(
        "--free",
        metavar="NAMES",
        rich_help_panel=_VARIES,
        help="What varies: +c,-delta2 adds and removes, scale,a replaces the list. Write --free=-delta2 for a list "
        "that begins with a minus.",
    ),
]
Tie = Annotated[
    list[str] | None,
    typer.Option(
        "--tie",
        metavar="NAME=OTHER",
        rich_help_panel=_VARIES,
        help='What follows what: --tie "wz.spdiameter = zb.spdiameter"; endings of names do, and expressions. Several '
        "times for several ties.",
    ),
]
Molecules = Annotated[
    bool,
    typer.Option(
        "--molecules",
        rich_help_panel=_VARIES,
        help="The crystal is of molecules: distances within them get a width of their own, inner.Uiso.",
    ),
]
Rigid = Annotated[
    bool,
    typer.Option(
        "--rigid",
        rich_help_panel=_VARIES,
        help="The same, and each molecule moves as one body: mol1.x, mol1.rx (a turn in °)... in place of its atoms.",
    ),
]
Probe = Annotated[str | None, _among(_DATA, o.PROBE)]
MinQ = Annotated[float | None, _among(_DATA, o.QMIN, "Q in Å⁻¹ below which models are cut, as the data were.")]
MaxQ = Annotated[float | None, _among(_DATA, o.QMAX)]
QDamp = Annotated[float | None, _among(_DATA, o.QDAMP)]
Lowest = Annotated[float | None, _among(_DATA, o.RMIN)]
Highest = Annotated[float | None, _among(_DATA, o.RMAX)]
Searching = Annotated[
    str | None,
    typer.Option(
        "--search",
        rich_help_panel=_MINIMUM,
        help="How the minimum is looked for. staged (default): the cell at short distances first, then minima nearby. "
        "plain: one fit from the start values. thorough: from many starts; all minima are listed.",
        autocompletion=o.one_of("staged", "plain", "thorough"),
    ),
]
Starts = Annotated[
    int | None,
    typer.Option("--starts", help="Most starts of --search thorough. Default: 40.", min=1, rich_help_panel=_MINIMUM),
]


def wished(preset: str | None, free: Sequence[str] | None, tie: Sequence[str] | None, **others: Any) -> Wishes:
    """Return what the options of a command line ask for."""
    from pdfkit.recipes.changes import tie_of
    from pdfkit.recipes.proposal import Wishes

    return Wishes(preset, free=tuple(free or ()), ties=dict(map(tie_of, tie or ())), **others)


def proposed(files: Sequence[Path], wishes: Wishes) -> Proposal:
    """Return the fit to propose for files of data and structures."""
    from pdfkit.recipes.inputs import inputs
    from pdfkit.recipes.proposal import propose

    with progress() as tell:
        tell("looking at data and structures")
        return propose(inputs(files, **wishes.options()), wishes)


def searched(own: Search, search: str | None, starts: int | None) -> Search:
    """Return the search of a command line in place of a recipe's own, whose ranges a thorough one keeps."""
    from pdfkit._checks import choice
    from pdfkit.fitting.starts import SEARCHES, is_from_many

    search = None if search is None else choice("search", search, SEARCHES)
    ranges = dict(own) if isinstance(own, Mapping) else {}
    asked: Search = own if search is None else ranges if search == "thorough" and ranges else search
    many = is_from_many(asked)
    if starts is None:
        return asked
    if not many:
        raise PdfkitError("--starts is for a search from many starts: write --search thorough beside it")
    return {**(asked if isinstance(asked, Mapping) else {}), "starts": starts}


def fit_files(files: Sequence[Path], out: Path | None, wishes: Wishes, search: Search) -> Printed:
    """Propose a fit, save its recipe beside the results, and run it."""
    from pdfkit.cli.fits import of_fit
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder
    from pdfkit.recipes.outputs import planned
    from pdfkit.recipes.recipe import run_recipe
    from pdfkit.recipes.written import recipe_of

    plan = replace(proposed(files, wishes), search=search)
    where = out or Path("pdfkit-out") / plan.data[0].file.stem
    _keep_edited(where / NAME)
    with folder(where, [NAME, *planned(plan)], files) as target:
        recipe = write_text(target / NAME, recipe_of(plan, target, here=True))
        with fitting() as tell:
            result, written = run_recipe(recipe, None, tell)
    title = "\n\n".join(filter(None, (_doubts(plan, result), _assumed(plan))))
    printed = of_fit(result, [where / NAME, *written], title, assumed=list(plan.assumed))
    return _calibrated(printed, result) if wishes.preset == "calibrate" else printed


def _keep_edited(recipe: Path) -> None:
    """Refuse to write over a recipe that somebody has changed."""
    from pdfkit.io._text import read_text
    from pdfkit.recipes.written import is_untouched

    if recipe.is_file() and not is_untouched(read_text(recipe)):
        raise PdfkitError(
            f"{recipe} was changed by hand and would be lost: run it (pdfkit fit {recipe}), or give another --out"
        )


def _doubts(plan: Proposal, result: FitResult) -> str:
    """Return what is wrong with a fit, or with what was fitted, to stand above everything else."""
    wrong = [*faults(result), *plan.doubts]
    return "\n".join(textwrap.fill(f"LOOK FIRST: {text}", 100, subsequent_indent="  ") for text in wrong)


def _assumed(plan: Proposal) -> str:
    """Return what was assumed, as text for people."""
    said = [text for text in plan.assumed if text not in plan.doubts]
    if not said:
        return ""
    lines = [textwrap.fill(text, 100, initial_indent="  - ", subsequent_indent="    ") for text in said]
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
