"""Structure files that ase reads: extended xyz, POSCAR and more."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from pdfkit import _convert
from pdfkit._quiet import quiet
from pdfkit.errors import ReadError, StructureError
from pdfkit.io._announced import huge_counts
from pdfkit.io._atomic import AnyPath
from pdfkit.io._names import plain_names
from pdfkit.io._text import read_text
from pdfkit.structure import Structure

# Text formats of one crystal. ase knows many more, some of which run or unpickle what they read.
ASE_FORMATS = (
    *(
        "abinit-in",
        "aims",
        "cfg",
        "cube",
        "dmol-car",
        "espresso-in",
        "extxyz",
        "gen",
        "gromacs",
        "res",
        "struct",
    ),
    *("v-sim", "vasp", "xsf", "xyz"),
)


def read_ase(path: AnyPath, format: str | None = None) -> Structure:
    """Return the (last) structure of a file that ase reads, as P 1; `format` is the name ase has for it.

    Raises ReadError for a format outside `ASE_FORMATS`, a file without a cell, or one that ase refuses.
    """
    atoms, names, said = read_atoms(path, format)
    try:
        return _convert.from_ase(atoms, names, said, file=True)
    except (StructureError, ValueError) as error:
        raise ReadError(path, str(error)) from error


def read_atoms(path: AnyPath, format: str | None = None) -> tuple[Any, list[str] | None, tuple[str, ...]]:
    """Return the `ase.Atoms` of a file, what it calls each (None: as ase does), and what was assumed."""
    from ase.io.formats import filetype

    text = read_text(path)
    try:
        with quiet():
            kind = format or filetype(str(path))
            if kind not in ASE_FORMATS:
                raise ReadError(path, f"the format {kind!r} is not read: convert it to CIF, with ase for example")
            huge_counts(path, text, str(kind))
            plain, names, said = plain_names(path, text, kind)
            return _atoms(plain, "extxyz" if kind == "xyz" else kind), names, said
    except ReadError:
        raise
    except Exception as error:  # ase's readers raise whatever comes along
        raise ReadError(path, f"ase cannot read it ({_reason(error)}): is it complete?") from None


def _atoms(text: str, kind: str) -> Any:
    """Return what ase reads from text; some of its readers take a file alone."""
    import ase.io
    from ase.io.formats import ioformats

    if ioformats[kind].acceptsfd:
        return ase.io.read(io.StringIO(text), format=kind)
    with tempfile.TemporaryDirectory(prefix="pdfkit-") as folder:
        file = Path(folder, "structure")
        file.write_text(text, encoding="utf-8")
        return ase.io.read(file, format=kind)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
