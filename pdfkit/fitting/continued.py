"""A fit that is taken up again from where it ended: with other parameters free, another range, or other data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pdfkit import _checks
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.fitting.datasets import Ends, beyond, ends, in_range, resolved, usable
from pdfkit.fitting.least_squares import solve
from pdfkit.fitting.minimiser import Progress
from pdfkit.fitting.parts import global_quantities
from pdfkit.fitting.posing import Bounds
from pdfkit.fitting.starts import Search
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters, apply_choices, possible, refinable
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.results.problem import MAX_NFEV, FitSettings, PosedData
from pdfkit.results.result import FitResult

NEAR = 1e-6
"""Å by which a range may leave that of the data before it counts as another."""


def continued(
    result: FitResult,
    *,
    free: Iterable[str] | None = None,
    ties: Mapping[str, str | float] | None = None,
    bounds: Bounds | None = None,
    data: Any = None,
    rmin: Ends = None,
    rmax: Ends = None,
    search: str | Mapping[str, Any] = "plain",
    progress: Progress | None = None,
) -> FitResult:
    """Fit again from where a fit ended; see `FitResult.refit`."""
    params, said = _parameters(result, free, ties, bounds)
    fresh = _by_name(result, data)
    names = dict.fromkeys(one.name for one in result.datasets)
    low, high = ends("rmin", rmin, names), ends("rmax", rmax, names)  # type: ignore[arg-type]
    problem = result.problem
    models, about = _models(result, fresh)
    said += (*about, *_measured_anew(params, models, fresh))
    said += beyond(high, {one.name: fresh.get(one.name) or one.whole or one.data for one in problem.datasets})
    settings = _settings(result, bool(fresh))
    sets = tuple(
        _posed(one, models[one.name], fresh.get(one.name), (low[one.name], high[one.name]), settings.grid)
        for one in problem.datasets
    )
    use_errors, without = usable({one.name: one.data for one in sets}, models, settings, problem.use_errors)
    moved = any(new.data is not old.data for new, old in zip(sets, problem.datasets, strict=True))
    asked = replace(
        problem,
        datasets=sets,
        use_errors=use_errors,
        settings=settings,
        restraints=problem.known_restraints,
        restraint_scale=None if moved else problem.restraint_scale,
    )
    many = Search.of(search)
    if many is None:
        found = solve(asked, params, progress, str(search))
    else:
        from pdfkit.fitting.thorough import thorough

        found = thorough(asked, params, many, progress)
    return replace(found, remarks=tuple(dict.fromkeys([*said, *without, *found.remarks])))


# --- What varies -----------------------------------------------------------------------------------------------------


def _parameters(
    result: FitResult, free: Iterable[str] | None, ties: Mapping[str, str | float] | None, bounds: Bounds | None
) -> tuple[Parameters, tuple[str, ...]]:
    """Return the parameters at their end values with what varies now, and what is to be said of it."""
    from pdfkit.recipes.changes import changed

    params = result.params.copy()
    wanted = result.free if free is None else changed(result.free, _checks.names("free", free), tuple(params))
    names, said = [], []
    for pattern in wanted:
        found = [pattern] if pattern in result.free else refinable(params, pattern)
        loose = [name for name in found if not params[name].expr]
        said += [] if loose else [_untied(params[name]) for name in found]
        names += loose or found
    for par in params.values():
        par.stderr = par.correl = None
        if not par.expr:
            par.vary = False
    return params, (*said, *apply_choices(params, names, ties, bounds))


def _untied(par: Any) -> str:
    """Take a tie off a parameter, which keeps its value, and say so."""
    value, expression = float(par.value), par.expr
    par.expr = ""
    if not par.min <= value <= par.max:
        low, high = possible(par)
        par.set(min=low, max=high)
    par.value = value
    return f"{par.name} was tied to {expression}; it varies by itself now"


# --- What it is fitted to --------------------------------------------------------------------------------------------


def _by_name(result: FitResult, data: Any) -> dict[str, PDF]:
    """Return new data by the name of the data set that they replace."""
    names = [one.name for one in result.datasets]
    given = [data] if isinstance(data, PDF) else [] if data is None else data
    if not isinstance(given, Mapping | Sequence) or (
        given and not isinstance(given, Mapping) and isinstance(given, str)
    ):
        raise PdfkitError(f"data is of type {type(data).__name__}: give a PDF, or PDFs by the names of the data sets")
    if not isinstance(given, Mapping):
        if given and len(given) != len(names):
            raise PdfkitError(
                f"the fit has {_counted(names)}, and {len(given)} are given: give as many, in the same order"
            )
        given = dict(zip(names, given, strict=False))
    for name, pdf in given.items():
        if name not in names:
            raise PdfkitError(f"data names {name!r}: the fit has {_counted(names)}")
        if not isinstance(pdf, PDF):
            raise PdfkitError(f"data set {name or 1} is of type {type(pdf).__name__}: read it with pdfkit.read_pdf")
    return dict(given)


def _counted(names: Sequence[str]) -> str:
    return "one data set" if len(names) == 1 else f"{len(names)} data sets ({', '.join(names)})"


def _models(result: FitResult, fresh: Mapping[str, PDF]) -> tuple[dict[str, Model], tuple[str, ...]]:
    """Return the model of each data set, measured as new data were, and what is to be said of that."""
    models, said = {one.name: one.model for one in result.datasets}, ()  # type: dict[str, Model], tuple[str, ...]
    for name, pdf in fresh.items():
        found, remarks = resolved(models[name], {name: pdf})
        models[name], said = found[name], (*said, *remarks)
    return models, said


def _measured_anew(params: Parameters, models: Mapping[str, Model], fresh: Mapping[str, PDF]) -> tuple[str, ...]:
    """Give the numbers of an instrument that do not vary what new data say."""
    said = []
    for q in global_quantities(models):
        head, _, word = q.name.rpartition(".")
        par = params.get(q.name)
        if par is None or word not in INSTRUMENT_QUANTITIES or (head or next(iter(models))) not in fresh:
            continue
        if not par.vary and not par.expr and par.value != q.value:
            said.append(f"{q.name} is {q.value:g} now, as the data state; it was {par.value:g}")
            par.set(value=q.value, min=min(par.min, q.value), max=max(par.max, q.value))
    return tuple(said)


def _settings(result: FitResult, other_data: bool) -> FitSettings:
    """Return the settings of the fit; other data may not have what made residuals independent."""
    known = result.problem.settings
    errors = "auto" if other_data and known.errors == "covariance" else known.errors
    return replace(known, errors=errors, max_nfev=max(known.max_nfev, MAX_NFEV))


def _posed(
    one: PosedData, model: Model, new: PDF | None, asked: tuple[float | None, float | None], grid: str
) -> PosedData:
    """Return a data set of the fit in the range that is asked for, else in the one before."""
    if new is None and asked == (None, None):
        return PosedData(one.name, one.model, one.data, one.start, whole=one.whole)
    whole = next(pdf for pdf in (new, one.whole, one.data) if pdf is not None)
    before = (float(one.data.r[0]), float(one.data.r[-1]))
    low, high = (b if a is None else a for a, b in zip(asked, before, strict=True))
    if new is None and one.whole is None and (low < before[0] - NEAR or high > before[1] + NEAR):
        raise PdfkitError(
            f"this fit holds its data from {before[0]:.6g} to {before[1]:.6g} Å only: give the data anew for a wider "
            "range"
        )
    return PosedData(one.name, model, *in_range(whole, model, low, high, grid), whole=whole)
