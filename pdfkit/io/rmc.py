"""Configurations of RMCProfile (.rmc6f): a supercell with every atom explicit."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from pdfkit.errors import ReadError, StructureError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text
from pdfkit.structure.site import Site, missing_U, numbered_labels
from pdfkit.structure.species import Species, occupants, vacancies
from pdfkit.structure.structure import Structure

_CELL = re.compile(r"\s*cell\s*\(ang/deg\)\s*:(.*)", re.IGNORECASE)
_COUNT = re.compile(r"\s*number of atoms\s*:\s*(\d+)\s*$", re.IGNORECASE)
_TITLE = re.compile(r"\s*metadata (?:title|material|phase)\s*:(.*)", re.IGNORECASE)
# number, element, an optional [label], x, y, z, then the reference number and the cell the atom belongs to
_ATOM = re.compile(r"\s*\d+\s+(\S+)\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(\S+)(?:\s|$)")


def read_rmc6f(path: AnyPath) -> Structure:
    """Return the P 1 structure of an RMC configuration, the whole box as one cell.

    Raises ReadError, with the line, when the header has no cell or an atom is damaged.
    """
    cell: list[float] = []
    count, title, start = None, "", 0
    lines = read_text(path).split("\n")
    for i, line in enumerate(lines):
        if match := _CELL.match(line):
            cell = _floats(path, match[1].split(), 6, i)
        elif match := _COUNT.match(line):
            count = int(match[1][:12])
        elif match := _TITLE.match(line):
            title = title or match[1].strip()
        elif line.strip().lower() == "atoms:":
            start = i + 1
            break
    if not start or not cell:
        raise ReadError(path, f"no line {'Cell (Ang/deg):' if start else 'Atoms:'!r}: is this an rmc6f configuration?")
    atoms = [_atom(path, line, i) for i, line in enumerate(lines[start:], start) if line.strip()]
    if count is not None and count != len(atoms):
        raise ReadError(path, f"{count} atoms are announced and {len(atoms)} are there: is the file complete?")
    there = [(species, occ, atom.xyz) for atom in atoms for species, occ in atom.there]
    labels = numbered_labels([species.element for species, _, _ in there])
    vacant = vacancies(Counter(atom.name for atom in atoms if not atom.there))
    said = tuple(map(remark, (*vacant, *missing_U(len(there)))))
    try:
        sites = tuple(
            Site(label, species.element, xyz, occ, charge=species.charge)
            for label, (species, occ, xyz) in zip(labels, there, strict=True)
        )
        return Structure(tuple(cell), sites, title=title, remarks=said)
    except StructureError as error:
        raise ReadError(path, str(error)) from error


def _floats(path: AnyPath, words: list[str], count: int, i: int) -> list[float]:
    try:
        out = [float(word) for word in words[:count]]
    except ValueError:
        out = []
    if len(out) != count:
        raise ReadError(path, f"{' '.join(words)[:60]!r} are not {count} numbers: correct the line", i + 1)
    return out


@dataclass(frozen=True)
class _Atom:
    name: str
    there: tuple[tuple[Species, float], ...]
    xyz: tuple[float, float, float]


def _atom(path: AnyPath, line: str, i: int) -> _Atom:
    match = _ATOM.match(line)
    if match is None:
        raise ReadError(path, f"{line.strip()[:60]!r} is not an atom (number, element, x, y, z): correct it", i + 1)
    try:
        there = occupants(match[1], 1.0)
    except StructureError as error:
        raise ReadError(path, str(error), i + 1) from error
    x, y, z = _floats(path, [match[2], match[3], match[4]], 3, i)
    return _Atom(match[1], there, (x, y, z))
