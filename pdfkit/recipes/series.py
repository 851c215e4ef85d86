"""The [series] table of a recipe: scans that are all fitted as the rest of the recipe says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.recipes.tables import placed
from pdfkit.recipes.toml import Table, is_number

if TYPE_CHECKING:
    from pdfkit.recipes.recipe import Recipe
    from pdfkit.screening.settings import Work
    from pdfkit.series.result import SeriesResult
    from pdfkit.series.scans import Series

SINGLE, JOINED = ("sequential", "independent"), ("parametric", "windows", "map")
SEARCHED = (*SINGLE, "windows")
"""Ways that take the search of the [fit] table."""


@dataclass(frozen=True)
class SeriesEntry:
    """Which scans, and how: `reading` are keywords of `read_series`, `fitting` those of `fit_series`."""

    files: tuple[str, ...]
    reading: Mapping[str, Any]
    fitting: Mapping[str, Any]

    @property
    def joined(self) -> bool:
        """Whether it is one fit of all, which has no workers."""
        return self.fitting["how"] in JOINED


def series_entry(table: Table, folder: Path) -> SeriesEntry | None:
    """Return what a [series] table says, None where there is none; paths start at `folder`."""
    if not table.raw:
        return None
    table.required("files", 'a pattern such as "run42/*.gr", files, or an HDF5 file')
    reading: dict[str, Any] = {"sort": table.flag("sort", True)}
    reading |= {key: table.text(key) for key in ("name", "unit") if key in table}
    if "index" in table:
        reading["index"] = _index(table, folder)
    if "shape" in table:
        reading["shape"] = _shape(table)
    if "reduce" in table:
        reading["reduce"] = _reduce(table, folder)
    fitting = {"how": table.choice("how", (*SINGLE, *JOINED), "sequential"), "curves": table.flag("curves", False)}
    fitting |= {key: table.count(key, 0) for key in ("block", "rounds") if key in table}
    fitting |= {key: table.number(key) for key in ("window", "step") if key in table}
    fitting |= {key: table.texts(key) for key in ("shared", "mapped") if key in table}
    fitting |= {key: _named(table, key, kind) for key, kind in (("laws", str), ("start", float)) if key in table}
    return SeriesEntry(tuple(str(folder / one) for one in table.texts("files")), reading, fitting)


def _named(table: Table, key: str, kind: type) -> dict[str, Any]:
    """Return a table of texts, or of numbers, by names."""
    found = table.flat(key)
    if not all(isinstance(one, str) if kind is str else is_number(one) for one in found.values()):
        wanted = '{ a = "linear", Uiso = "debye" }' if kind is str else "{ a0 = 3.9, a1 = 1e-5 }"
        raise table.wrong(key, f"a table such as {wanted}")
    return {name: kind(one) for name, one in found.items()}


def _index(table: Table, folder: Path) -> Any:
    raw = table.raw["index"]
    if isinstance(raw, str):
        from pdfkit.series.index import is_table

        return str(folder / raw) if is_table(raw.partition(":")[0]) else raw
    if not isinstance(raw, list) or not all(map(is_number, raw)):
        raise table.wrong("index", 'a word such as "temperature", a pattern such as "{T}K", a table, or numbers')
    return [float(value) for value in raw]


def _shape(table: Table) -> tuple[int, ...]:
    raw = table.raw["shape"]
    if not isinstance(raw, list) or len(raw) != 2 or not all(isinstance(n, int) and n > 0 for n in raw):
        raise table.wrong("shape", "two whole numbers [nx, ny]")
    return tuple(raw)


def _reduce(table: Table, folder: Path) -> dict[str, Any]:
    raw = table.raw["reduce"]
    if not isinstance(raw, Mapping):
        raise table.wrong("reduce", 'a table of settings, such as { composition = "CdS", qmax = 22 }')
    known = dict(raw)
    if isinstance(known.get("background"), str):
        known["background"] = str(folder / known["background"])
    return known


def read_scans(recipe: Recipe) -> Series:
    """Return the scans of a recipe. RecipeError, with the line, where they cannot be had."""
    from pdfkit.series.reading import read_series

    entry, data = _entry(recipe), recipe.data[0]
    files = entry.files[0] if len(entry.files) == 1 else entry.files
    try:
        return read_series(files, **entry.reading, **data.options, **data.instrument)
    except PdfkitError as error:
        raise placed(recipe.source, error, ("series",), "files") from None


def run_series(recipe: Recipe, work: Work | None = None) -> SeriesResult:
    """Fit the scans of a recipe as it says.

    Raises RecipeError for what does not go together, and whatever `fit_series` raises.
    """
    from pdfkit.model.model import Model
    from pdfkit.series.fitting import fit_series

    entry = _entry(recipe)
    refuse_what_series_lack(recipe)
    series = read_scans(recipe)
    search: dict[str, Any] = {"search": str(recipe.search)} if entry.fitting["how"] in SEARCHED else {}
    model = Model([phase.build() for phase in recipe.phases], _instrument(series), recipe.convention)
    try:
        return fit_series(model, series, work=work, **fitted_as(recipe), **entry.fitting, **search)
    except ParameterError as error:
        raise _placed(recipe, error) from None


def _placed(recipe: Recipe, error: ParameterError) -> PdfkitError:
    """Return the error with the line of what it is about: an option of the series, a law, or else of the fit."""
    options = _entry(recipe).fitting
    where: tuple[str, ...] = ("fit",)
    if error.key in options:
        where = ("series",)
    elif error.key and any(f".{error.key}".endswith(f".{name}") for name in options.get("laws", ())):
        where = ("series", "laws")
    return placed(recipe.source, error, where)


def fitted_as(recipe: Recipe) -> dict[str, Any]:
    """Return how a recipe fits each scan, by the names that `fit_series` and `SeriesProblem` have for it."""
    from pdfkit.recipes.stages import settings_of

    data = recipe.data[0]
    names = ("free", "ties", "bounds", "restraints", "use_errors", "variables")
    settings = settings_of(replace(recipe, data=(data,)), recipe.noise)
    return {name: getattr(recipe, name) for name in names} | {
        "rmin": data.rmin,
        "rmax": data.rmax,
        "settings": settings,
    }


def _instrument(series: Series) -> Any:
    """Return the instrument of the first scan that can be read; the reason of the first where none can."""
    first: PdfkitError | None = None
    for position in range(len(series)):
        try:
            return series[position].instrument
        except PdfkitError as error:
            first = first or error
    raise first or PdfkitError("there are no scans")


def _entry(recipe: Recipe) -> SeriesEntry:
    if recipe.series is None:
        raise recipe.source.error('there is no [series] here: add one, with files = "run42/*.gr", or use pdfkit fit')
    return recipe.series


def refuse_what_series_lack(recipe: Recipe) -> None:
    """Refuse several data sets, stages and searches from many starts."""
    if len(recipe.data) > 1:
        raise recipe.source.error("a series has one [data] table, which is true of every scan", "data")
    if recipe.stages:
        raise recipe.source.error("fits of a series have no stages: they start from their neighbours", "fit", "stage")
    if not isinstance(recipe.search, str) or recipe.search == "thorough":
        raise recipe.source.error('a series is fitted with search = "staged" or "plain"', "fit", "search")
