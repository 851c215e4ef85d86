"""Phases from files: which kind a file holds, and the phase of that kind."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from pdfkit import _checks
from pdfkit.errors import PdfkitError, PdfkitWarning, ReadError, missing, nearest
from pdfkit.io import pdb
from pdfkit.io._text import read_text
from pdfkit.io.structures import available_structures
from pdfkit.io.xyz import XYZ, clusters
from pdfkit.particles.periodic import EMPTY, is_lone
from pdfkit.phases.base import plain_word
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.shapes import Bulk

KINDS = ("crystal", "cluster")
ALONE = (
    f"its cell holds one particle with {EMPTY:g} Å or more of nothing around it, and is read as a crystal that repeats "
    'it without end: for one particle, write kind = "cluster" in the recipe, or give it as xyz without a cell'
)
_APERIODIC = re.compile(r"(?i)\bpbc\s*=\s*[\"'\[{(]?\s*(?:f(?:alse)?|0)(?:[\s,]+(?:f(?:alse)?|0)){2}")


def shipped_names() -> tuple[str, ...]:
    """Return the names of the structures and clusters that come with pdfkit."""
    return (*available_structures(), *clusters())


def known_structure(name: str) -> str:
    """Return the name if it is a file, or a structure or cluster of pdfkit; PdfkitError with the nearest if not."""
    shipped = shipped_names()
    if not Path(name).exists() and name not in shipped:
        if Path(name).suffix:
            raise ReadError(name, missing(name))
        raise PdfkitError(
            f"{name} is neither a file nor a structure that comes with pdfkit: the nearest of those are "
            f"{nearest(name, shipped)}"
        )
    return name


def kind_of(path: str | PathLike[str]) -> str:
    """Return "cluster" for an xyz or PDB file without a cell and a cluster of pdfkit by name, "crystal" for the rest.

    A cell that an extended xyz file says is not periodic (pbc="F F F") is none.
    """
    path = Path(path)
    if not path.exists():
        return "cluster" if str(path) in clusters() else "crystal"
    ending = path.suffix.lower()
    if ending in pdb.ENDINGS:
        return "crystal" if pdb.has_cell(path) else "cluster"
    if ending not in XYZ:
        return "crystal"
    lines = read_text(path).splitlines()
    comment = lines[1] if len(lines) > 1 else ""
    return "crystal" if re.search(r"(?i)lattice\s*=", comment) and not _APERIODIC.search(comment) else "cluster"


def phase_from_file(path: str | PathLike[str], *, name: str = "", kind: str | None = None, **options: Any) -> Any:
    """Return the `Crystal` or `Cluster` of a file, or of a name that comes with pdfkit; options are its fields.

    kind : "crystal" or "cluster"; default, what the file looks like (`kind_of`). Raises ReadError, PdfkitError.
    """
    found = _checks.choice("kind", kind or kind_of(path), KINDS)
    if found == "cluster":
        return Cluster.from_file(path, name=name, **options)
    crystal = Crystal.from_file(path, name=name, **options)
    return crystal if kind else _said_alone(crystal)


def _said_alone(crystal: Crystal) -> Crystal:
    """Return a crystal that nobody called one, with a remark where its cell holds a lone particle."""
    structure = crystal.structure
    if not is_lone(structure.positions() @ structure.basis(), structure.basis()):
        return crystal
    said = f"{crystal.name}: {ALONE}"
    warnings.warn(said, PdfkitWarning, stacklevel=3)
    return replace(crystal, structure=replace(structure, remarks=(*structure.remarks, said)))


def phases_of(structures: list[str], shape: Any = None, symmetry: str = "", ions: bool = False) -> list[Any]:
    """Return one phase per structure, named after it; the shape that a file brings along gives way to one asked for."""
    given = {} if shape is None or isinstance(shape, Bulk) else {"shape": shape}
    charged: dict[str, Any] = {"ions": True} if ions else {}
    out: list[Any] = []
    for text in structures:
        name = plain_word(Path(text).stem)
        if name in [phase.name for phase in out]:
            name = f"{name}_{len(out) + 1}"
        if given and kind_of(known_structure(text)) == "cluster":
            raise PdfkitError(f"{text} is a cluster, which ends by itself: leave the shape out")
        found = {"symmetry": symmetry} if symmetry and kind_of(known_structure(text)) == "crystal" else {}
        out.append(phase_from_file(known_structure(text), name=name, **given, **found, **charged))
    return out
