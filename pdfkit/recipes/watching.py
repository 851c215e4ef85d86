"""A recipe for scans that are still to come: its model, what is free, and how files are read; see `pdfkit watch`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.recipes.series import SeriesEntry, fitted_as, refuse_what_series_lack
from pdfkit.recipes.tables import placed

if TYPE_CHECKING:
    from pdfkit.recipes.recipe import Recipe
    from pdfkit.series.growing import Stacks
    from pdfkit.series.result import SeriesResult
    from pdfkit.series.store import Setting
    from pdfkit.series.watching import Ends, Incoming, Tell

NO_DATA = (
    *(".tmp", ".part", ".swp", ".bak", ".lock", ".png", ".jpg", ".tif", ".tiff", ".cbf", ".pdf", ".svg", ".log"),
    *(".json", ".jsonl", ".toml", ".py", ".zip", ".gz"),
)
"""Endings of files that are no scan, whatever the pattern is."""


def watch_recipe(
    recipe: Recipe,
    folder: Path,
    out: Path,
    *,
    own: tuple[str, ...] = (),
    new: bool = False,
    resume: bool = True,
    ends: Ends | None = None,
    tell: Tell | None = None,
    stop: threading.Event | None = None,
) -> SeriesResult | None:
    """Fit the scans that come into a folder as a recipe says; own: names of files that are written to `out`.

    Raises RecipeError for what does not go together, and whatever `watch_folder` raises.
    """
    from pdfkit.series.watching import watch_folder

    refuse_what_series_lack(recipe)
    entry = recipe.series or SeriesEntry((), {}, {})
    mine = own if out.resolve() == folder.resolve() else ()
    incoming, setting = _incoming(recipe, entry, folder, mine), _setting(recipe, entry)
    more: dict[str, Any] = {"new": new, "resume": resume, "ends": ends, "tell": tell, "stop": stop}
    return watch_folder(incoming, setting, str(recipe.search), out=out, **more)


def _incoming(recipe: Recipe, entry: SeriesEntry, folder: Path, mine: tuple[str, ...]) -> Incoming:
    """Return which files are scans, and how they are read."""
    from pdfkit.series.reading import sources
    from pdfkit.series.watching import Incoming

    data, reading = recipe.data[0], entry.reading
    known: Mapping[str, Any] = {**data.options, **data.instrument}
    if isinstance(reading.get("index"), list):
        raise recipe.source.error(
            'a list of numbers is no index of scans that are still to come: give "temperature" (a key of the headers), '
            'a pattern such as "{temperature}K", or a table',
            "series",
            "index",
        )
    if "shape" in reading:
        raise recipe.source.error("a map is fitted when it is whole: use pdfkit series", "series", "shape")
    try:
        source = sources(reading.get("reduce"), known)
    except PdfkitError as error:
        raise placed(recipe.source, error, ("series",), "reduce") from None
    stacks = _stacks(recipe, entry, folder, known)
    about = {key: reading[key] for key in ("index", "name", "unit", "sort") if key in reading}
    return Incoming(folder, _wanted(entry, mine), source, **about, stacks=stacks)


def _stacks(recipe: Recipe, entry: SeriesEntry, folder: Path, known: Mapping[str, Any]) -> Stacks | None:
    """Return how HDF5 files are read that [series] files names, None where it names none."""
    from pdfkit.series.growing import Stacks, is_growing

    named = [one.partition("::") for one in entry.files if is_growing(one.partition("::")[0])]
    if not named:
        return None
    if "reduce" in entry.reading:
        raise recipe.source.error(
            "intensities in an HDF5 file that grows are not reduced while they come: fit the file with pdfkit series "
            "when it is whole, or write G(r) into it",
            "series",
            "reduce",
        )
    return Stacks(folder, named[0][2], dict(known))


def _wanted(entry: SeriesEntry, mine: tuple[str, ...]) -> Callable[[str], bool]:
    """Return which names are those of scans: as the names in [series] files, or with one of the usual endings."""
    from pdfkit.series.growing import is_growing
    from pdfkit.series.reading import ENDINGS, PATTERNS

    endings = PATTERNS if "reduce" in entry.reading else ENDINGS
    given = [Path(one.partition("::")[0]).name for one in entry.files if not Path(one).is_dir()]
    patterns = given or [f"*{ending}" for ending in endings]

    def wanted(name: str) -> bool:
        low = name.lower()
        if name.startswith(".") or low.endswith((*NO_DATA, "~")) or name in mine:
            return False
        # A pattern such as run* means texts.
        fitting = [one for one in patterns if is_growing(one) or not is_growing(name)]
        return any(fnmatch(name, one) or (not given and fnmatch(low, one)) for one in fitting)

    return wanted


def _setting(recipe: Recipe, entry: SeriesEntry) -> Setting:
    """Return what is fitted to each scan; what data say of their instrument counts, as in every fit."""
    from pdfkit.data.instrument import Instrument
    from pdfkit.model.model import Model
    from pdfkit.series.store import Setting
    from pdfkit.series.tasks import SeriesProblem

    data = recipe.data[0]
    options = {key: value for key, value in data.options.items() if key in Instrument.__dataclass_fields__}
    instrument = {**options, **data.instrument}
    if "wavelength" not in instrument:
        instrument.pop("anomalous", None)  # the headers may have the wavelength
    # Models need probe and qmax: those of the first scan, which has to say its own, take the place of these.
    about = Instrument(**{"probe": "X", "qmax": 25.0, **instrument}, given=tuple(instrument))
    model = Model([phase.build() for phase in recipe.phases], about, recipe.convention)
    problem = SeriesProblem(model, **fitted_as(recipe), curves=bool(entry.fitting.get("curves", False)))
    try:
        return Setting(problem, *problem.names(), "watch")
    except ParameterError as error:
        raise placed(recipe.source, error, ("fit",)) from None
