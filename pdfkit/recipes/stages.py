"""Staged plans: fits over parts of the range or of the parameters, in order, each from the end of the one before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, ReadError, RecipeError
from pdfkit.fitting.minimiser import announce
from pdfkit.recipes.tables import Stage, placed

if TYPE_CHECKING:
    from pdfkit.model.params import Parameters
    from pdfkit.recipes.recipe import Recipe
    from pdfkit.results.problem import FitSettings
    from pdfkit.results.result import FitResult

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Prepared:
    """Where the last fit of a plan begins, and a line on each stage before it."""

    params: Parameters | None
    said: tuple[str, ...] = ()


def ranges(recipe: Recipe, stage: Stage | None = None) -> dict[str, Any]:
    """Return rmin and rmax of a fit: those of a stage where it has them, else those of each data set."""
    out: dict[str, Any] = {}
    for end in ("rmin", "rmax"):
        asked = None if stage is None else getattr(stage, end)
        own = {one.name: getattr(one, end) if asked is None else asked for one in recipe.data}
        out[end] = own if len(own) > 1 else next(iter(own.values()))
    return out


def settings_of(recipe: Recipe, noise: str) -> FitSettings:
    """Return the settings of a fit of a recipe."""
    from pdfkit.results.problem import FitSettings

    known = [(one.name, one.weight) for one in recipe.data] + [(one.name, one.weight) for one in recipe.patterns]
    weights = {name: weight for name, weight in known if weight != 1.0}
    return FitSettings(grid=recipe.grid, max_nfev=recipe.max_nfev, noise=noise, weights=weights)


def prepared(
    recipe: Recipe, model: Any, data: PDF | Mapping[str, PDF], params: Parameters | None, progress: Progress | None
) -> Prepared:
    """Run the stages of a recipe from `params`, or from the values of the model where they are None.

    Raises RecipeError, with the line of the stage, where one cannot be fitted.
    """
    said = []
    for k, stage in enumerate(recipe.stages):
        announce(progress, f"fitting stage {k + 1} of {len(recipe.stages)}")
        try:
            result = _run(recipe, stage, model, data, params, progress)
        except (ReadError, RecipeError):
            raise
        except PdfkitError as error:
            raise placed(recipe.source, error, ("fit", "stage", k)) from None
        said.append(_line(k + 1, stage, result))
        params = _still(result.params.copy())
    if said:
        announce(progress, "fitting the whole")
    return Prepared(params, tuple(said))


def _run(
    recipe: Recipe, stage: Stage, model: Any, data: Any, params: Parameters | None, progress: Progress | None
) -> FitResult:
    """Return one local fit of what a stage frees, without the spectrum of the noise, which the last fit finds."""
    from pdfkit.fitting.least_squares import fit

    return fit(
        model,
        data,
        **ranges(recipe, stage),
        free=stage.free,
        ties=recipe.ties,
        bounds=recipe.bounds,
        params=params,
        restraints=recipe.restraints,
        use_errors=recipe.use_errors,
        settings=settings_of(recipe, "given"),
        search="plain",
        progress=progress,
    )


def _still(params: Parameters) -> Parameters:
    """Return parameters none of which varies, whatever a stage freed or held; ties stay."""
    for par in params.values():
        par.stderr = par.correl = None
        par.user_data = {key: value for key, value in (par.user_data or {}).items() if key != "held"}
        if not par.expr:
            par.vary = False
    return params


def _line(number: int, stage: Stage, result: FitResult) -> str:
    """Return what is said of a stage."""
    low = min(float(one.data.r[0]) for one in result.datasets)
    high = max(float(one.data.r[-1]) for one in result.datasets)
    end = "" if result.converged else ", NOT CONVERGED"
    return f"stage {number}: {low:.4g} to {high:.4g} Å, free {', '.join(stage.free)}: Rw = {result.rw:.4f}{end}"
