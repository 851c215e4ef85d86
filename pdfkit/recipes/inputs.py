"""What lies in the files of a command line: data or structures, told by their contents and endings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, ReadError, missing, nearest
from pdfkit.io.structures import DATA, available_structures
from pdfkit.phases.files import phase_from_file, shipped_names
from pdfkit.recipes.toml import STRUCTURES

_OF_Q = (".iq", ".sq", ".fq", ".chi", ".xy", ".xye")


@dataclass(frozen=True)
class Inputs:
    """Files of data, read, and structures: files, or names of those that come with pdfkit, as phases.

    units : of the data, the unit of r that the reader had to be told.
    """

    data: dict[Path, PDF]
    structures: dict[str, Any]
    units: dict[Path, str]


def inputs(files: Iterable[str | Path], *, whole: bool = True, **options: Any) -> Inputs:
    """Return data and structures among files, in any order. options : of `read_pdf`, for what headers do not say.

    whole : False lets there be data alone, or structures alone.

    Raises PdfkitError where one is neither, where one is given twice, or where there are no data or no structure;
    ReadError for what cannot be read.
    """
    data: dict[Path, PDF] = {}
    structures: dict[str, Any] = {}
    units: dict[Path, str] = {}
    for word in map(str, files):
        if word in structures or Path(word) in data:
            raise PdfkitError(f"{word} is given twice: leave one out")
        if _is_structure(word):
            structures[word] = phase_from_file(word)
        else:
            data[Path(word)], units[Path(word)] = _data(Path(word), options)
    if whole:
        _refuse_incomplete(data, structures)
    _refuse_twins(structures)
    return Inputs(data, structures, units)


def _is_structure(word: str) -> bool:
    path = Path(word)
    if not path.exists():
        if word in shipped_names():
            return True
        if path.suffix:
            raise ReadError(word, missing(word))
        raise PdfkitError(
            f"{word} is neither a file nor a structure that comes with pdfkit: the nearest of those are "
            f"{nearest(word, shipped_names())}"
        )
    if path.is_dir():
        raise ReadError(word, "this is a folder: name the files in it")
    return path.suffix.lower() in STRUCTURES or _reads_as_structure(path)


def _reads_as_structure(path: Path) -> bool:
    """Return whether a file of an unknown ending is a structure: numbers in columns are data."""
    from pdfkit.io._text import read_table

    if path.suffix.lower() in DATA:
        return False
    try:
        return len(read_table(path).data) < 10
    except ReadError:
        return True


def _data(path: Path, options: dict[str, Any]) -> tuple[PDF, str]:
    """Return G(r) and the unit that the reader had to be told: r in nm, where the file says so itself."""
    from pdfkit.io.pdf import read_pdf

    try:
        return read_pdf(path, **options), ""
    except ReadError as error:
        if "r_unit='nm'" in str(error).replace('"', "'"):
            return read_pdf(path, r_unit="nm", **options), "nm"
        if path.suffix.lower() in _OF_Q:
            raise PdfkitError(
                f"{path.name} is no G(r) (its ending says I(Q) or F(Q)): make one first, `pdfkit reduce {path.name}`"
            ) from None
        raise


def _refuse_incomplete(data: dict[Path, PDF], structures: dict[str, Any]) -> None:
    if not data:
        names = ", ".join(structures) or "nothing"
        raise PdfkitError(f"no data to fit among {names}: name a file of G(r), too, such as sample.gr")
    if not structures:
        first, pdf = next(iter(data.items()))
        said = pdf.composition or ""
        fitting = [name for name in available_structures() if said and name.partition("_")[0] == said.replace(" ", "")]
        example = fitting[0] if fitting else "STRUCTURE"
        raise PdfkitError(
            f"{first.name} is data and needs a structure beside it, a file (CIF, .stru, .xyz) or a name from `pdfkit "
            f"structures`: pdfkit fit {first.name} {example}"
        )


def _refuse_twins(structures: dict[str, Any]) -> None:
    """Refuse two structures that are the same crystal: their scales could not be told apart."""
    known: dict[tuple[Any, ...], str] = {}
    for word, phase in structures.items():
        one = _identity(phase)
        if one in known:
            raise PdfkitError(f"{known[one]} and {word} are the same structure: leave one of them out")
        known[one] = word


def _identity(phase: Any) -> tuple[Any, ...]:
    if phase.kind != "crystal":
        return (phase.kind, phase.particle.formula, phase.particle.xyz.tobytes())
    structure = phase.structure
    atoms = sorted((site.element, tuple(round(x % 1, 3) for x in site.xyz)) for site in structure.sites)
    return ("crystal", len(structure.rotations), tuple(round(x, 2) for x in structure.cell), tuple(atoms))
