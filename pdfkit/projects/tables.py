"""Parameters of a fit in a table: at the start, recorded, and found anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pdfkit._table import aligned, by_column, shortened, wrapped
from pdfkit.errors import PdfkitError
from pdfkit.projects import formulas

if TYPE_CHECKING:
    from pdfkit.projects.project import Project, ProjectFit
    from pdfkit.results.result import FitResult


def rows_of(fit: ProjectFit) -> list[tuple[str, ...]]:
    """Return a row of each parameter: number, what it sets, start, recorded value, error."""
    sets = _what_is_set(fit)
    return [
        (
            f"@{k}",
            sets.get(k, ""),
            f"{_shown(one.start)} fixed" if one.fixed else one.link or _shown(one.start),
            "" if one.fixed else _shown(one.refined),
            "" if one.fixed else _shown(one.stderr, 2),
        )
        for k, one in fit.parameters.items()
    ]


def columns_of(project: Project) -> dict[str, list[Any]]:
    """Return what is recorded of every fit as columns: fit, rw, what its first data set is of, @1, @2, …"""
    rows = [
        {"fit": name, "rw": fit.rw, **(fit.data[0].metadata if fit.data else {})}
        | {f"@{k}": one.best for k, one in fit.parameters.items()}
        for name, fit in project.fits.items()
    ]
    return by_column(rows, ("fit", "rw"))


def comparison(fit: ProjectFit, result: FitResult | None, convention: str) -> str:
    """Return the table of a fit, with the values that a new result found beside the recorded ones."""
    found = {} if result is None else fit.live(convention).found(result)
    new = {k: (_shown(value), _shown(error, 2)) for k, (value, error) in found.items()}
    heads = ("", "sets", "start", "recorded", "error", *(("new", "error") if result is not None else ()))
    rows = [(*row, *(new.get(int(row[0][1:]), ("", "")) if result is not None else ())) for row in rows_of(fit)]
    lines = aligned([heads, *rows], right=range(2, len(heads)), indent="  ", widest=44)
    return "\n".join([_heading(fit, result, convention), *lines, *(wrapped(f"Remark: {one}") for one in fit.remarks)])


def calculated_again(fit: ProjectFit, convention: str) -> tuple[float | None, str]:
    """Return Rw of the recorded parameters, and why there is none: a fit may have left values that are not possible."""
    if fit.rw is None:
        return None, ""
    try:
        return fit.repeated_rw(convention), ""
    except PdfkitError as error:
        return None, f"the recorded parameters cannot be calculated with: {error}"


def _heading(fit: ProjectFit, result: FitResult | None, convention: str) -> str:
    parts = ["not run" if fit.rw is None else f"Rw recorded {fit.rw:.5f}"]
    if result is not None:
        again, why = calculated_again(fit, convention)
        parts += [f"calculated again {again:.5f}" if again is not None else why] if fit.rw is not None else []
        parts.append(f"fitted again {result.rw:.5f}, convention {convention}")
    return f"{fit.name}: {', '.join(parts)}"


def _what_is_set(fit: ProjectFit) -> Mapping[int, str]:
    """Return in words what each parameter sets: the first variable, and how many more."""
    out: dict[int, list[str]] = {}
    for variable, formula in fit.constraints.items():
        for k in formulas.indices(formula):
            out.setdefault(k, []).append(variable)
    more = {k: f" and {len(names) - 1} more" if len(names) > 1 else "" for k, names in out.items()}
    return {k: shortened(names[0], 26) + more[k] for k, names in out.items()}


def _shown(value: float | None, digits: int = 6) -> str:
    return "" if value is None else f"{value:.{digits}g}"
