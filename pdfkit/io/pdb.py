"""Files of the Protein Data Bank: columns of fixed width, Cartesian positions, B in place of U.

Of several models (NMR, trajectories) the first counts, but for `read_models`. CRYST1 with a cell of 1 Å (or 0) stands
for none. B that is blank or 0 for every atom is one that nobody gave.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError, StructureError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text
from pdfkit.io.foreign import ORGANIC, WATER
from pdfkit.structure import symmetry
from pdfkit.structure.operations import tabulated_operations
from pdfkit.structure.site import B_TO_U, DEFAULT_UISO, Site, missing_U, numbered_labels
from pdfkit.structure.species import Species, occupants, symbols, vacancies
from pdfkit.structure.structure import Structure

_Made = TypeVar("_Made")
ENDINGS = (".pdb", ".ent")
# Å: a shorter edge is a placeholder's, 1.000 or 0.000.
_NO_CELL = 1.5
_EXTRA = ("EP", "LP", "MW")  # massless sites of models of water and lone pairs


@dataclass(frozen=True)
class _Atom:
    line: int
    symbol: str
    there: tuple[tuple[Species, float], ...]
    xyz: tuple[float, float, float]
    B: float | None
    tensor: tuple[float, ...] | None = None


def read_pdb(path: AnyPath) -> Structure:
    """Return the structure of a PDB file with a cell; its atoms are the asymmetric unit of its space group.

    Raises ReadError when there is no cell or the file is damaged.
    """
    return _structure(path, read_text(path).split("\n"))


def read_models(path: AnyPath) -> Iterator[Structure | None]:
    """Yield the structure of each model of a PDB file in the cell stated last, None for one without its end.

    Raises ReadError as `read_pdb` does.
    """
    return _each_model(path, _structure)


def read_molecules(path: AnyPath) -> Iterator[tuple[list[str], Array, list[str]] | None]:
    """Yield what `read_molecule` returns of each model of a PDB file without a cell, None for one without its end."""
    return _each_model(path, _molecule)


def _each_model(path: AnyPath, make: Callable[[AnyPath, Sequence[str]], _Made]) -> Iterator[_Made | None]:
    lines = read_text(path).split("\n")
    ends = _ends(lines)
    if len(ends) < 2:
        yield make(path, lines)
        return
    cell = ""
    for begin, end in pairwise([0, *ends, len(lines)]):
        part = lines[begin:end]
        if not _has_atoms(part):
            continue
        stated = [line for line in part if line.startswith("CRYST1")]
        cell = stated[-1] if stated else cell
        if end not in ends:
            yield None
            return
        try:
            yield make(path, [cell, *part])
        except ReadError:
            yield make(path, [""] * (begin - 1) + [cell, *part])  # with the right number of the line


def _ends(lines: Sequence[str]) -> list[int]:
    """Return where models end; some programs write END after each."""
    return [i + 1 for i, line in enumerate(lines) if line.startswith("ENDMDL") or line.rstrip() == "END"]


def _has_atoms(lines: Sequence[str]) -> bool:
    return any(line.startswith(("ATOM  ", "HETATM")) for line in lines)


def _structure(path: AnyPath, lines: Sequence[str]) -> Structure:
    record = next((line for line in lines if line.startswith("CRYST1")), "")
    cell = _cell(path, lines)
    if cell is None:
        why = "CRYST1 is a placeholder" if record else "no CRYST1 record"
        raise ReadError(path, f"{why}, so no cell: a crystal needs one; read molecules as a Cluster")
    atoms, said = _first_model(path, lines)
    name = record[55:66].strip() or "P 1"
    try:
        listed = _listed(cell, _to_cell(path, lines, cell), atoms, said)
        if name.replace(" ", "") in ("P1", "1"):
            return listed
        R, t = tabulated_operations(name, listed.cell)
        return replace(listed, spacegroup=name, rotations=R, translations=t)
    except (StructureError, ValueError) as error:
        raise ReadError(path, str(error)) from error


def read_molecule(path: AnyPath) -> tuple[list[str], Array, list[str]] | None:
    """Return names, positions (n, 3; Å) and remarks of a file without a cell; None where it has one."""
    lines = read_text(path).split("\n")
    return None if _cell(path, lines) is not None else _molecule(path, lines)


def _molecule(path: AnyPath, lines: Sequence[str]) -> tuple[list[str], Array, list[str]]:
    atoms, said = _first_model(path, lines)
    partly = next((atom for atom in atoms if atom.there and atom.there[0][1] != 1.0), None)
    if partly is not None:
        message = f"an atom has occupancy {partly.there[0][1]:g}: a particle has whole atoms only"
        raise ReadError(path, message, partly.line)
    names = [atom.there[0][0].ion if atom.there else "X" for atom in atoms]
    return names, np.array([atom.xyz for atom in atoms]), said


def has_cell(path: AnyPath) -> bool:
    """Return whether a PDB file says in which cell its atoms repeat."""
    return _cell(path, read_text(path).split("\n")) is not None


def _cell(path: AnyPath, lines: Sequence[str]) -> tuple[float, ...] | None:
    for i, line in enumerate(lines):
        if line.startswith("CRYST1"):
            cell = tuple(_number(path, line[at : at + n], i) for at, n in zip(_CELL, _WIDTHS, strict=True))
            return cell if min(cell[:3]) > _NO_CELL else None
    return None


_CELL, _WIDTHS = (6, 15, 24, 33, 40, 47), (9, 9, 9, 7, 7, 7)


def _number(path: AnyPath, text: str, i: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ReadError(path, f"{text.strip()[:20]!r} stands where a number should: check the columns", i + 1)
    return value


def _first_model(path: AnyPath, lines: Sequence[str]) -> tuple[list[_Atom], list[str]]:
    """Return the atoms of the first model, and what is to be said of the others and of vacancies."""
    starts = [i for i, line in enumerate(lines) if line.startswith("MODEL ")]
    parts = [
        part for part in pairwise(sorted({0, *starts, *_ends(lines), len(lines)})) if _has_atoms(lines[slice(*part)])
    ]
    said = [f"the first of {len(parts)} models is read"] if len(parts) > 1 else []
    atoms = []
    for i, line in enumerate(lines[: parts[0][1] if parts else 0]):
        if line.startswith(("ATOM  ", "HETATM")):
            atoms.append(_atom(path, line, i))
        elif line.startswith("ANISOU") and atoms:
            atoms[-1] = replace(atoms[-1], tensor=_tensor(path, line, i))
    if not atoms:
        raise ReadError(path, "no atoms (ATOM or HETATM): was the file written completely?")
    said += vacancies(Counter(atom.symbol for atom in atoms if not atom.there))
    return atoms, said


def _atom(path: AnyPath, line: str, i: int) -> _Atom:
    name, residue = line[12:16], line[17:20].strip()
    symbol = line[76:78].strip() or _of_atom_name(path, name, residue, i)
    charge = line[78:80].strip()
    occ = _number(path, line[54:60], i) if line[54:60].strip() else 1.0
    B = _number(path, line[60:66], i) if line[60:66].strip() else None
    x, y, z = (_number(path, line[at : at + 8], i) for at in (30, 38, 46))
    try:
        there = occupants(symbol + (charge if re.fullmatch(r"\d[+-]", charge) else ""), occ)
    except StructureError as error:
        raise ReadError(path, str(error), i + 1) from None
    return _Atom(i + 1, symbol, there, (x, y, z), B)


def _tensor(path: AnyPath, line: str, i: int) -> tuple[float, ...]:
    """Return U11 … U23 (Å², Cartesian)."""
    return tuple(1e-4 * _number(path, line[at : at + 7], i) for at in range(28, 70, 7))


def _of_atom_name(path: AnyPath, field: str, residue: str, i: int) -> str:
    """Return the element in an atom's name where there is no element: it ends in column 14, " CA " is carbon.

    "CA  " is calcium by that rule; but names of four letters ("HG11") and of programs that do not keep it begin in
    column 13 too, so both readings have to agree, or the residue must bear the element's name.
    """
    name, field = field.strip(), field[:2]
    if name in _EXTRA:
        return "X"
    aligned = not field[:1].strip() or field[:1].isdecimal()
    if aligned and field[1:].upper() in symbols() and not _may_be_shifted(name, residue):
        return field[1:].upper()
    symbol = field.strip().capitalize()
    if symbol in symbols() and residue.upper() == name.upper() == symbol.upper():
        return symbol
    if symbol in symbols() and len(symbol) == 2 and symbol[0] not in symbols():
        return symbol
    raise ReadError(path, f"atom {name[:8]!r} may be of two elements: give the element in columns 77 and 78", i + 1)


def _may_be_shifted(name: str, residue: str) -> bool:
    """Return whether " CD " may be cadmium one column too far to the right: in residues that no biomolecule has."""
    known, letters = residue.upper(), re.sub(r"[^A-Za-z].*", "", name)
    biological = known in WATER or ORGANIC.fullmatch(known) is not None
    return not biological and len(letters) == 2 and letters[0] != "H" and letters.capitalize() in symbols()


def _to_cell(path: AnyPath, lines: Sequence[str], cell: tuple[float, ...]) -> tuple[Array, Array]:
    """Return (3, 3) and (3,) that take a position to fractions, as SCALE has them or as a ∥ x, b in xy does."""
    usual: Array = np.asarray(np.linalg.inv(symmetry.basis(cell)), dtype=np.float64)
    rows = {
        line[5:6]: [_number(path, line[at : at + w], i) for at, w in ((10, 10), (20, 10), (30, 10), (45, 10))]
        for i, line in enumerate(lines)
        if line.startswith("SCALE") and line[10:40].strip()
    }
    if sorted(rows) != ["1", "2", "3"]:
        return usual, np.zeros(3)
    scale: Array = np.array([rows[key] for key in "123"], dtype=np.float64)
    turn, basis = scale[:, :3].T, symmetry.basis(cell)
    if np.abs(turn - usual).max() < 2e-6:  # the same, rounded to six digits
        return usual, np.asarray(scale[:, 3])
    own = np.linalg.pinv(turn)
    if np.allclose(own @ own.T, basis @ basis.T, rtol=0.01, atol=0.1):
        return turn, np.asarray(scale[:, 3])
    return usual, np.zeros(3)  # of no cell (1, 0, 0), or of another


def _listed(
    cell: tuple[float, ...], to_cell: tuple[Array, Array], atoms: Sequence[_Atom], said: list[str]
) -> Structure:
    turn, shift = to_cell
    star = np.linalg.norm(turn, axis=0)
    unknown = [atom.B is None and atom.tensor is None for atom in atoms]
    if not any(atom.B or atom.tensor for atom in atoms):
        unknown = [True] * len(atoms)
    said += missing_U(sum(unknown))
    there = [(atom, one, occ, no) for atom, no in zip(atoms, unknown, strict=True) for one, occ in atom.there]
    labels = numbered_labels([one.element for _, one, _, _ in there])
    sites = []
    for (atom, one, occ, no), label in zip(there, labels, strict=True):
        x, y, z = (np.array(atom.xyz) @ turn + shift).tolist()
        U: tuple[float, ...] = (DEFAULT_UISO if no else (atom.B or 0.0) * B_TO_U,)
        if atom.tensor is not None:
            U = symmetry.voigt(turn.T @ symmetry.matrix(atom.tensor) @ turn / np.outer(star, star))
        sites.append(Site(label, one.element, (x, y, z), occ, U, atom.tensor is None, one.charge))
    return Structure(cell, tuple(sites), meta={"displacements": "B"}, remarks=tuple(map(remark, said)))
