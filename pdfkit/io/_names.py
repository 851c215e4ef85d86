"""Names of species in files that other libraries read: they know elements alone, so they are given these.

Each function returns the text with plain symbols in it, and the names that stood there, in the order of the atoms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pdfkit._species import VACANCY, base, occupants, species, symbols
from pdfkit.errors import ReadError, StructureError
from pdfkit.io._atomic import AnyPath

Named = tuple[str, list[str] | None]

_SPECIES_NAMES = ("species", "symbols", "symbol", "element", "elements", "z")
_PLAIN = ("D", "T")  # symbols that ase does not have


def plain_names(path: AnyPath, text: str, kind: str) -> Named:
    """Return the text of a file of the kind (ase's name of it) with plain symbols, and the names; None if unchanged."""
    known: Mapping[str, Callable[[AnyPath, str], Named]] = {"xyz": xyz, "extxyz": xyz, "vasp": poscar}
    return known[kind](path, text) if kind in known else (text, None)


def _plain(path: AnyPath, name: str, line: int) -> tuple[str, str]:
    """Return the name, an atomic number as its symbol, and the element that stands for it."""
    if name.isdecimal() and len(name) < 4:
        import periodictable

        if 0 < int(name) <= 118:
            name = str(periodictable.elements[int(name)].symbol)
    try:
        there = occupants(name, 1.0) if not _numbered(name) else ((species(name), 1.0),)
    except StructureError as error:
        raise ReadError(path, str(error), line) from None
    return name, base(there[0][0].element) if there and there[0][0] != VACANCY else "X"


def _numbered(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z]{1,2}\d+", name) is not None


def xyz(path: AnyPath, text: str) -> Named:
    """Return an (extended) xyz text with plain symbols, and the names of the last frame."""
    lines = text.split("\n")
    names: list[str] | None = None
    start = 0
    seen: dict[str, tuple[str, str]] = {}
    while start + 1 < len(lines) and (count := _count(lines[start])) is not None and start + 2 + count <= len(lines):
        column = _species_column(lines[start + 1])
        names = [] if column is not None else None
        for i in range(start + 2, start + 2 + count):
            words = lines[i].split()
            if column is None or names is None or len(words) <= column:
                names = None
                break
            word = words[column]
            if word not in seen:
                seen[word] = _plain(path, word, i + 1)
            name, symbol = seen[word]
            names.append(name)
            if symbol != word:
                lines[i] = " ".join([*words[:column], symbol, *words[column + 1 :]])
        start += 2 + count
    return "\n".join(lines), names


def _count(line: str) -> int | None:
    words = line.split()
    return int(words[0]) if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 10 else None


def _species_column(comment: str) -> int | None:
    """Return where the names stand: as Properties says, or in the first column."""
    found = re.search(r"properties\s*=\s*\"?([\w:.-]+)", comment, re.IGNORECASE)
    if not found:
        return 0
    parts, column = found[1].split(":"), 0
    for name, kind, width in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        if name.lower() in _SPECIES_NAMES and kind.upper() == "S":
            return column
        column += int(width) if width.isdigit() and len(width) < 4 else 1
    return None


def poscar(path: AnyPath, text: str) -> Named:
    """Return a POSCAR with plain symbols (VASP 5: they stand in line 6, with the counts below), and the names."""
    lines = text.split("\n")
    words = lines[5].split() if len(lines) > 6 else []
    counts = lines[6].split() if len(lines) > 6 else []
    if not words or words[0].isdecimal() or not all(c.isdecimal() and len(c) < 10 for c in counts[: len(words)]):
        return text, None
    # Names of pseudopotentials: Fe_pv, O_s, Ti_sv_GW; after a slash their digests.
    plain = [_plain(path, re.split(r"[_/]", word)[0], 6) for word in words]
    if sum(int(c) for c in counts[: len(words)]) > len(lines) or len(counts) < len(words):
        return text, None
    lines[5] = " ".join(symbol for _, symbol in plain)
    return "\n".join(lines), [name for (name, _), c in zip(plain, counts, strict=False) for _ in range(int(c))]


def pdb(path: AnyPath, lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines of a PDB file with the element of each atom in its columns, and the names with charges."""
    out, names = [], []
    for number, line in enumerate(lines, start=1):
        if line.startswith(("ATOM", "HETATM")):
            symbol = line[76:78].strip() or _of_atom_name(path, line, number)
            charge = line[78:80].strip()
            names.append(symbol + (charge if re.fullmatch(r"\d[+-]", charge) else ""))
            line = f"{line[:76]:76s}{symbol:>2s}{line[78:]}"
        out.append(line)
    return out, names


def _of_atom_name(path: AnyPath, line: str, number: int) -> str:
    """Return the element in an atom's name where there is no element: it ends in column 14, " CA " is carbon.

    "CA  " is calcium by that rule; but names of four letters ("HG11") and of programs that do not keep it begin in
    column 13 too, so both readings have to agree, or the residue must bear the element's name.
    """
    field, name, residue = line[12:14], line[12:16].strip(), line[17:20].strip()
    if (not field[:1].strip() or field[:1].isdecimal()) and field[1:].upper() in symbols():
        return field[1:].upper()
    symbol = field.strip().capitalize()
    if symbol in symbols() and residue.upper() == name.upper() == symbol.upper():
        return symbol
    if symbol in symbols() and len(symbol) == 2 and symbol[0] not in symbols():
        return symbol
    raise ReadError(path, f"atom {name[:8]!r} may be of two elements: give the element in columns 77 and 78", number)
