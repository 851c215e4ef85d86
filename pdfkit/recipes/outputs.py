"""What a fit leaves behind: report, picture, columns, HDF5 file and refined structures, in one folder.

Folder and names are tried before the fit, so that nothing is computed in vain; all files appear together or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pdfkit._terminal import plain
from pdfkit.io._folders import publish

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import Proposal
    from pdfkit.recipes.recipe import Recipe
    from pdfkit.results.result import FitResult


@dataclass(frozen=True)
class Location:
    """Where outputs go and what they say besides the result.

    prefix starts every file name, title heads report and picture; recipe (its text) and digests (SHA-256 of the input
    files by name) go into the HDF5 file.
    """

    folder: Path
    prefix: str = ""
    title: str = ""
    recipe: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Return the path of an output."""
        return self.folder / f"{self.prefix}{name}"


def write_all(result: FitResult, what: Sequence[str], where: Location) -> list[Path]:
    """Write the chosen outputs (`pdfkit.recipes.recipe.WRITE`), all or none, and return the files in that order."""
    with publish(where.folder) as stage:
        staged = replace(where, folder=stage)
        files = [Path(file) for word in what for file in _WRITERS[word](result, staged)]
    return [where.folder / file.name for file in files]


def planned(recipe: Recipe | Proposal) -> list[str]:
    """Return the names of the files that a recipe, or one that is proposed, will write."""
    from pdfkit.fitting.starts import is_from_many

    many = len(recipe.data) > 1
    names = {
        "report": ["report.txt", *(["minima.csv"] if is_from_many(recipe.search) else [])],
        "picture": ["fit.png"],
        "columns": [
            *([f"columns_{one.name}.txt" for one in recipe.data] if many else ["columns.txt"]),
            *(f"columns_{one.name}.txt" for one in getattr(recipe, "patterns", ())),
        ],
        "hdf5": ["fit.h5"],
        "structures": [f"{phase.name}.{'xyz' if phase.is_cluster() else 'cif'}" for phase in recipe.phases],
    }
    return [f"{recipe.prefix}{name}" for word in recipe.write for name in names[word]]


def _report(result: FitResult, where: Location) -> Iterable[Path]:
    from pdfkit.io._atomic import write_text

    path = where.file("report.txt")
    write_text(path, plain("\n\n".join([*([where.title] if where.title else []), str(result)]) + "\n"))
    return [path, result.minima.to_csv(where.file("minima.csv"))] if result.minima else [path]


def _picture(result: FitResult, where: Location) -> Iterable[Path]:
    from pdfkit import plot

    path = where.file("fit.png")
    plot.fit(result, path, title=where.title)
    return [path]


def _columns(result: FitResult, where: Location) -> Iterable[Path]:
    from pdfkit.results.columns import write_fit_columns

    return write_fit_columns(where.file("columns.txt"), result)


def _hdf5(result: FitResult, where: Location) -> Iterable[Path]:
    from pdfkit.results.saving import save_result

    return [save_result(where.file("fit.h5"), result, recipe=where.recipe, digests=where.digests)]


def _structures(result: FitResult, where: Location) -> Iterable[Path]:
    from pdfkit.io._atomic import write_text

    # Structures are shared by all data sets: those of the first say it all.
    phases = result.datasets[0].model.phases
    return [
        write_text(where.file(f"{phase.name}.{ending}"), text)
        for phase in phases
        for ending, text in phase.files(result.covariance_of(phase)).items()
    ]


_WRITERS: Mapping[str, Callable[[FitResult, Location], Iterable[Path]]] = {
    "report": _report,
    "picture": _picture,
    "columns": _columns,
    "hdf5": _hdf5,
    "structures": _structures,
}


def write_partials(result: FitResult, target: Path, prefix: str = "", title: str = "") -> list[Path]:
    """Write the weighted partials of a fit as columns (one file per data set) and as a picture; return the files."""
    with publish(target) as stage:
        files = _partials(result, Location(stage, prefix, title))
    return [target / file.name for file in files]


def _partials(result: FitResult, where: Location) -> list[Path]:
    from pdfkit import plot
    from pdfkit.io.columns import write_columns

    files = []
    for one in result.datasets:
        shares = one.partials()
        names = ["r", "Gobs", "Gcalc", *("-".join(pair) for pair in shares)]
        columns = [one.data.r, one.data.G, one.calc.G, *(share.G for share in shares.values())]
        files.append(where.file(f"partials_{one.name}.txt" if len(result.datasets) > 1 else "partials.txt"))
        header = ["Weighted partials: r in Å, G in Å⁻²; those of all pairs add up to Gcalc", f"Rw = {one.rw:.4f}"]
        write_columns(files[-1], names, columns, header)
    plot.partials(result, where.file("partials.png"), title=where.title)
    return [*files, where.file("partials.png")]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
