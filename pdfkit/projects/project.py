"""A project of PDFgui as a value: its fits with their phases, data, constraints, parameters and recorded results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit._checks import Array
from pdfkit._table import Section, frame, shortlist, view
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, nearest
from pdfkit.projects import formulas
from pdfkit.projects.grids import grid_name, sampled

if TYPE_CHECKING:
    from pandas import DataFrame

    from pdfkit.projects.running import LiveFit
    from pdfkit.results.result import FitResult
    from pdfkit.structure.structure import Structure

Progress = Callable[[int, float], None]

ALL_PAIRS = "all-all"


@dataclass(frozen=True)
class ProjectParameter:
    """A parameter @number of a fit: its start value, whether it is fixed, and what the fit found.

    link : where the start value comes from, such as "=other fit:3"; `start` is the number then, too. refined, stderr:
    None where the fit was not run (or, the error, where it is fixed).
    """

    number: int
    start: float
    fixed: bool = False
    refined: float | None = None
    stderr: float | None = None
    link: str = ""

    @property
    def best(self) -> float:
        """The refined value, or the start where there is none."""
        return self.start if self.refined is None else self.refined


@dataclass(frozen=True)
class ProjectPhase:
    """A phase: its name, its structure as a PDFfit file, and formulas by variable ("lat(1)", "u11(2)", "pscale").

    refined : the structure file that the fit left, or "". pairs : which atoms count, "all-all" for all.
    """

    name: str
    initial: str
    constraints: Mapping[str, str] = field(default_factory=dict)
    refined: str = ""
    pairs: str = ALL_PAIRS
    spdiameter: float = 0.0

    @cached_property
    def structure(self) -> Structure:
        """The structure at the start, in P 1: every atom of the file. Raises ReadError, StructureError."""
        from pdfkit.io.stru import parse_stru

        return parse_stru(self.initial, f"phase {self.name}")

    @cached_property
    def refined_structure(self) -> Structure | None:
        """The structure that the fit left, None where it was not run. Raises as `structure`."""
        from pdfkit.io.stru import parse_stru

        return parse_stru(self.refined, f"phase {self.name}") if self.refined else None

    @property
    def sees_all(self) -> bool:
        """Whether all pairs of atoms count."""
        words = self.pairs.replace(" ", "").lower().split(",")
        return not self.pairs.strip() or words == [ALL_PAIRS]


@dataclass(frozen=True, eq=False)
class Curves:
    """Columns that a fit left: r (Å), the calculated G and the difference, as long as each other."""

    r: Array
    calc: Array
    difference: Array


@dataclass(frozen=True, eq=False)
class ProjectData:
    """A data set: what was measured, the range and the grid of the fit, and formulas of dscale, qdamp and qbroad.

    observed : G(r) whole. rmin, rmax, step : Å. refined : what the fit left of dscale, qdamp and qbroad. curves : what
    it calculated, or None. metadata : temperature, doping and whatever else the file said, by name.
    """

    name: str
    observed: PDF
    rmin: float
    rmax: float
    step: float
    dscale: float = 1.0
    constraints: Mapping[str, str] = field(default_factory=dict)
    refined: Mapping[str, float] = field(default_factory=dict)
    curves: Curves | None = None
    metadata: Mapping[str, float] = field(default_factory=dict)

    @property
    def qmax(self) -> float:
        """Å⁻¹; inf where PDFgui has 0, which means no cut."""
        return self.observed.instrument.qmax or math.inf

    @property
    def grid(self) -> str:
        """The points of the fit: "data", "nyquist" (every π/Qmax) or "custom"."""
        return grid_name(self.observed, self.step)

    def sampled(self) -> PDF:
        """Return the points that PDFgui hands to PDFfit2: from the last below rmin, on the grid of the fit."""
        return sampled(self)


@dataclass(frozen=True)
class ProjectSimulation:
    """A calculation in a project: PDFgui's word for G(r) of the phases on a range, without data."""

    name: str
    probe: str
    qmax: float
    qdamp: float
    qbroad: float
    dscale: float
    rmin: float
    rmax: float
    step: float


@dataclass(frozen=True, eq=False)
class ProjectFit:
    """A fit of a project: phases, data sets and parameters, and the Rw that was recorded (None: it was not run).

    report : what PDFfit2 wrote of the result. remarks : what was repaired or left out in reading, a sentence each.

    Example
    -------
    See `read_project`.
    """

    name: str
    phases: tuple[ProjectPhase, ...] = ()
    data: tuple[ProjectData, ...] = ()
    parameters: Mapping[int, ProjectParameter] = field(default_factory=dict)
    rw: float | None = None
    report: str = ""
    simulations: tuple[ProjectSimulation, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def constraints(self) -> dict[str, str]:
        """Every formula by what it ties: "Ni lat(1)", "Ni.gr qdamp"."""
        owners: tuple[ProjectPhase | ProjectData, ...] = (*self.phases, *self.data)
        return {f"{one.name} {name}": formula for one in owners for name, formula in one.constraints.items()}

    @property
    def obstacle(self) -> str:
        """Why this cannot be fitted, a sentence, or ""."""
        if not self.phases:
            return "it has no phase: add one in PDFgui, or to the recipe"
        if not self.data:
            return "it has no data set: add one in PDFgui, or to the recipe"
        if not self.constraints:
            return "it has no constraints, so nothing varies: give a variable a formula such as @1"
        chosen = [phase for phase in self.phases if not phase.sees_all]
        if chosen:
            return (
                f"of phase {chosen[0].name} only the pairs {chosen[0].pairs[:40]!r} are selected, and fits here take "
                "all pairs: select all-all in PDFgui"
            )
        return ""

    def live(self, convention: str = "pdffit2") -> LiveFit:
        """Return model, data, free parameters and ties of this fit, at its start values.

        convention : "pdffit2" calculates as PDFfit2 does, on the points that PDFgui hands to it; "default" as pdfkit
        does, on the data as they were measured. Raises PdfkitError where something is missing (`obstacle`).
        """
        from pdfkit.projects.running import live

        return live(self, convention)

    def run(self, convention: str = "pdffit2", progress: Progress | None = None) -> FitResult:
        """Fit again, from the start values of the project. convention : as for `live`; `progress`: as for `fit`."""
        return self.live(convention).run(progress)

    def repeated_rw(self, convention: str = "pdffit2") -> float:
        """Return Rw of the recorded parameters, calculated anew: that of PDFfit2 where the convention is its own."""
        return self.live(convention).rw({k: one.best for k, one in self.parameters.items()})

    def table(self, result: FitResult | None = None, convention: str = "pdffit2") -> str:
        """Return the parameters as text: start, what is recorded, and what a new `result` of `run` found."""
        from pdfkit.projects.tables import comparison

        return comparison(self, result, convention)

    def recipe(self, convention: str = "pdffit2", data: Mapping[str, str] | None = None) -> str:
        """Return this fit as a recipe, for the files that `convert` writes; data : names of files by data set."""
        from pdfkit.projects.recipes import recipe_text

        return recipe_text(self.live(convention), data)

    def _repr_html_(self) -> str:
        return view(self._section())

    def _section(self) -> Section:
        from pdfkit.projects.tables import rows_of

        heads = ("", "what it sets", "start", "recorded", "error")
        rw = "not run" if self.rw is None else f"Rw {self.rw:.4f}"
        return shortlist(f"{self.name}: {rw}", heads, rows_of(self), self.remarks)


class Fits(Mapping[str, ProjectFit]):
    """The fits of a project by name; `fits[0]` is the first."""

    def __init__(self, fits: Mapping[str, ProjectFit]) -> None:
        self._fits = dict(fits)

    def __getitem__(self, key: str | int) -> ProjectFit:
        if isinstance(key, int) and -len(self._fits) <= key < len(self._fits):
            return list(self._fits.values())[key]
        if key not in self._fits:
            raise PdfkitError(f"the project has no fit {key!r}: the nearest are {nearest(str(key), self._fits)}")
        return self._fits[str(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fits)

    def __len__(self) -> int:
        return len(self._fits)

    def __repr__(self) -> str:
        return f"Fits({', '.join(self._fits)})"


@dataclass(frozen=True, eq=False)
class Project:
    """A project of PDFgui: its fits by name, and the journal.

    Example
    -------
    See `read_project`.
    """

    fits: Fits
    name: str = ""
    journal: str = ""
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Project({self.name!r}: {', '.join(self.fits) or 'no fits'})"

    def __str__(self) -> str:
        return "\n\n".join(fit._section().text() for fit in self.fits.values())

    def _repr_html_(self) -> str:
        return view(*(fit._section() for fit in self.fits.values()))

    def columns(self) -> dict[str, list[Any]]:
        """Return what is recorded as columns, a fit a row: Rw, temperature, doping, values of @1, @2, … of a series."""
        from pdfkit.projects.tables import columns_of

        return columns_of(self)

    def to_dataframe(self) -> DataFrame:
        """Return `columns` as a `pandas.DataFrame`."""
        return frame(self.columns())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the project as a .ddp3 file that PDFgui opens. Raises WriteError where that cannot be."""
        from pdfkit.projects.writing import write_project

        return write_project(path, self)

    def convert(self, folder: str | PathLike[str], convention: str = "pdffit2") -> list[Path]:
        """Write each fit as a recipe with its structures (.stru) and data (.gr); return the files."""
        from pdfkit.projects.recipes import convert

        return convert(self, folder, convention)


def used_numbers(fit: ProjectFit) -> set[int]:
    """Return the numbers of the parameters that constraints use."""
    return {k for formula in fit.constraints.values() for k in formulas.indices(formula)}
