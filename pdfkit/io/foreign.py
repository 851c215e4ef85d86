"""Structure files that libraries read: extended xyz and more through ase, PDB through diffpy.structure."""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdfkit import _convert
from pdfkit._quiet import quiet
from pdfkit.errors import ReadError, StructureError
from pdfkit.io._announced import huge_counts
from pdfkit.io._atomic import AnyPath
from pdfkit.io._names import pdb, plain_names
from pdfkit.io._operations import tabulated_operations
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
    from ase.io.formats import filetype

    text = read_text(path)
    try:
        with quiet():
            kind = format or filetype(str(path))
            if kind not in ASE_FORMATS:
                raise ReadError(path, f"the format {kind!r} is not read: convert it to CIF, with ase for example")
            huge_counts(path, text, str(kind))
            plain, names = plain_names(path, text, kind)
            atoms = _atoms(plain, "extxyz" if kind == "xyz" else kind)
    except ReadError:
        raise
    except Exception as error:  # ase's readers raise whatever comes along
        raise ReadError(path, f"ase cannot read it ({_reason(error)}): is it complete?") from None
    try:
        return _convert.from_ase(atoms, names)
    except (StructureError, ValueError) as error:
        raise ReadError(path, str(error)) from error


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


def read_pdb(path: AnyPath) -> Structure:
    """Return the structure of a PDB file with CRYST1; its atoms are the asymmetric unit of that space group.

    Raises ReadError when there is no cell or the file is damaged.
    """
    from diffpy.structure.parsers.p_pdb import P_pdb

    lines = read_text(path).split("\n")
    record = next((line for line in lines if line.startswith("CRYST1")), None)
    if record is None:
        raise ReadError(path, "no CRYST1 record, so no cell: a crystal needs one; read molecules as a Cluster")
    try:
        plain, names = pdb(path, lines)
        with quiet():
            parsed = P_pdb().parseLines(plain)
    except ReadError:
        raise
    except Exception as error:  # the parser raises whatever comes along
        raise ReadError(path, f"not a PDB file that can be read ({_reason(error)}): check its columns") from None
    try:
        structure = _convert.from_diffpy(parsed, names)
        name = record[55:66].strip() or "P 1"
        if name.replace(" ", "") in ("P1", "1"):
            return structure
        R, t = tabulated_operations(name, structure.cell)
        return replace(structure, spacegroup=name, rotations=R, translations=t)
    except (StructureError, ValueError) as error:
        raise ReadError(path, str(error)) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
