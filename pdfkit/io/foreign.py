"""Structure files that ase reads: extended xyz, POSCAR and more, with names of species that it does not know.

Each function returns the text with plain symbols in it, the names that stood there in the order of the atoms (None: as
ase reads them), and what had to be assumed.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdfkit._terminal import quiet
from pdfkit.errors import ReadError, StructureError
from pdfkit.io import lammps
from pdfkit.io._atomic import AnyPath
from pdfkit.io._plausible import huge_counts
from pdfkit.io._text import read_text
from pdfkit.structure import convert
from pdfkit.structure.species import VACANCY, base, occupants, species, symbols
from pdfkit.structure.structure import Structure

# --- Names of species in files that ase reads ------------------------------------------------------------------------

Named = tuple[str, list[str] | None, tuple[str, ...]]

_SPECIES_NAMES = ("species", "symbols", "symbol", "element", "elements", "z")

# Columns that ase would not look for, taken where there is none of the others.
_OTHER_NAMES = ("type", "types", "atom", "atoms", "name", "names", "el", "specie")

# What a comment says of the numbers, where it is not Å. "A 3 nm particle" says nothing of them.
_UNIT = r"(?:bohrs?|a\.?u\.?|atomic[ _]units?|nm|nanomet(?:er|re)s?|pm|fractional|reduced|direct)(?![\w-])"

_UNITS = re.compile(
    rf"(?i)(?:\b(?:units?|coord(?:inate)?s?|positions?|xyz|cell)\b[\s:=(\[{{\"']*(?:(?:are|is|in|of)\s+)*"
    rf"(?P<after>{_UNIT})"
    rf"|\b(?P<before>fractional|reduced|bohr)\s+(?:units|coord|position)|\bin\s+(?P<plain>bohrs?|atomic units)\b)"
)


def plain_names(path: AnyPath, text: str, kind: str) -> Named:
    """Return the text of a file of the kind (ase's name of it) with plain symbols, its names, and remarks."""
    known: Mapping[str, Callable[[AnyPath, str], Named]] = {
        "xyz": xyz,
        "extxyz": xyz,
        "vasp": poscar,
        "gromacs": gro,
        "res": res,
        "xsf": xsf,
        "lammps-data": data,
        "mol": molfile,
        "sdf": molfile,
    }
    return known[kind](path, text) if kind in known else (text, None, ())


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


# --- xyz


def xyz(path: AnyPath, text: str) -> Named:
    """Return an (extended) xyz text with plain symbols, and the names of the last frame."""
    lines = _without_gaps(text.split("\n"))
    names: list[str] | None = None
    start = frames = 0
    seen: dict[str, tuple[str, str]] = {}
    while start + 1 < len(lines) and (count := _count(lines[start])) is not None and start + 2 + count <= len(lines):
        comment = lines[start + 1] = _as_ase_writes(lines[start + 1])
        refuse_units(path, lines[start], comment, start + 2)
        lines[start] = str(count)
        column = _species_column(comment)
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
        frames += 1
    said = (f"the last of {frames} frames is read",) if frames > 1 else ()
    return "\n".join(lines), names, said


def _without_gaps(lines: list[str]) -> list[str]:
    """Return the lines without blank ones between frames, at which ase would end."""
    out, start = list(lines), 0
    while start + 1 < len(out) and (count := _count(out[start])) is not None:
        start += 2 + count
        while start + 1 < len(out) and not out[start].strip():
            del out[start]
    return out


def _count(line: str) -> int | None:
    words = line.split()
    return int(words[0]) if words and words[0].isascii() and words[0].isdigit() and len(words[0]) < 10 else None


def _as_ase_writes(comment: str) -> str:
    """Return the comment with the words Lattice, Properties and species as ase looks for them."""
    comment = re.sub(r"(?i)\b(lattice|properties)\s*=\s*", lambda m: f"{m[1].capitalize()}=", comment)
    found = re.search(r"Properties=\"?([\w:.-]+)", comment)
    for names in (_SPECIES_NAMES, _OTHER_NAMES) if found else ():
        named = re.search(rf"(?i)(?<![\w.-])(?:{'|'.join(names)}):S:1(?!\d)", found[1] if found else "")
        if named:
            return comment.replace(named[0], "species:S:1", 1)
    return comment


def refuse_units(path: AnyPath, count: str, comment: str, line: int) -> None:
    """Refuse an xyz file that says, in its count or its comment (line), that it is not in Å."""
    found = _UNITS.search(comment) or re.search(r"(?i)\b(bohr|a\.?u\.?)(?![\w.])", count)
    if found:
        message = (
            f"the comment line mentions {found[0][:40]!r}, and an xyz file is in Å: convert it, or change the comment"
        )
        raise ReadError(path, message, line)


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


# --- VASP

_CONFIGURATION = re.compile(r"(?i)\s*(?:direct|cartesian)\s+configuration\s*=")


def is_xdatcar(lines: Sequence[str]) -> bool:
    """Return whether the first lines of a file are those of an XDATCAR, which otherwise looks like a POSCAR."""
    return any(_CONFIGURATION.match(line) for line in lines[5:8])


def poscar(path: AnyPath, text: str) -> Named:
    """Return a POSCAR with plain symbols (VASP 5: they stand in line 6, with the counts below), and the names."""
    lines = text.split("\n")
    if is_xdatcar(lines):
        raise ReadError(path, _not_read("vasp-xdatcar"))
    words = lines[5].split() if len(lines) > 6 else []
    counts = lines[6].split() if len(lines) > 6 else []
    if words and words[0].isdecimal():
        return _poscar_4(path, lines, words)
    if not words or not all(c.isdecimal() and len(c) < 10 for c in counts[: len(words)]):
        return text, None, ()
    # Names of pseudopotentials: Fe_pv, O_s, Ti_sv_GW; after a slash their digests.
    plain = [_plain(path, re.split(r"[_/]", word)[0], 6) for word in words]
    if sum(int(c) for c in counts[: len(words)]) > len(lines) or len(counts) < len(words):
        return text, None, ()
    lines[5] = " ".join(symbol for _, symbol in plain)
    names = [name for (name, _), c in zip(plain, counts, strict=False) for _ in range(int(c))]
    return "\n".join(lines), names, ()


def _poscar_4(path: AnyPath, lines: list[str], counts: Sequence[str]) -> Named:
    """Give a file of VASP 4, which has no line of symbols, the ones that its title lists."""
    kinds = [word for word in counts if word.isdecimal()]
    title = lines[0].split()
    one = re.findall(r"[A-Z][a-z]?(?=[\dA-Z]|$)", title[0]) if title else []
    named = _in_title(path, title, len(kinds)) or _in_title(path, one, len(kinds))
    if not named:
        message = f"it names no elements (VASP 4): give the {len(kinds)} symbols in a line before the numbers of atoms"
        raise ReadError(path, message, 6)
    said = (f"the elements are those of the title: {' '.join(named)[:60]}",)
    text, names, _ = poscar(path, "\n".join([*lines[:5], " ".join(named), *lines[5:]]))
    return text, names, said


def _in_title(path: AnyPath, words: Sequence[str], count: int) -> list[str]:
    """Return the words if they are `count` symbols, written as such; nothing otherwise."""
    plain = [re.split(r"[_/]", word)[0] for word in words]
    if len(words) != count or not all(word[:1].isupper() or word[:1].isdecimal() for word in plain):
        return []
    try:
        return [_plain(path, word, 1)[0] for word in plain]
    except ReadError:
        return []


# --- GROMACS, SHELX

WATER = ("SOL", "HOH", "WAT", "H2O", "DOD", "SPC", "TIP", "T3P", "T4P", "T5P", "TP3", "TP4", "TIP3", "TIP4", "TIP5")

ORGANIC = re.compile(
    "ALA|ARG|ASN|ASP|CY[SX]|GL[NUY]|HI[SDEP]|ILE|LEU|LYS|MET|PHE|PRO|SER|THR|TRP|TYR|VAL|ACE|NM[AE]|D?[ACGTU]|"
    "D[PO]PC|POP[CE]|CHOL|CHL1"
)


def gro(path: AnyPath, text: str) -> Named:
    """Return a file of GROMACS as it is, with the elements of its atoms, which it has only names for."""
    lines = text.split("\n")
    count = _count(lines[1]) if len(lines) > 1 else None
    if count is None or len(lines) < count + 2:
        return text, None, ()
    return text, [of_residue(path, lines[i][5:10], lines[i][10:15], i) for i in range(2, 2 + count)], ()


def of_residue(path: AnyPath, residue: str, name: str, i: int) -> str:
    """Return the element of an atom's name ("CA" of alanine is C, of an ion Ca); X for a site without mass."""
    residue, name = residue.strip().upper(), name.strip()
    letters = re.sub(r"[\d+*'-]", "", name)
    if residue in WATER and letters[:1].upper() in ("M", "L", "E"):
        return "X"
    if (residue in WATER and letters[:1].upper() in ("O", "H", "D")) or ORGANIC.fullmatch(residue):
        return letters[:1].upper()
    alone = re.sub(r"[\d+-]", "", residue) == letters.upper()
    proper = len(letters) == 2 and letters[1:].islower()
    if letters.capitalize() in symbols() and (alone or proper or len(letters) == 1):
        return letters.capitalize()
    message = f"atom {name[:5]!r} of {residue[:5]!r} may be of several elements: write a PDB file with the elements"
    raise ReadError(path, message, i + 1)


def res(path: AnyPath, text: str) -> Named:
    """Return a file of AIRSS as it is; a SHELX refinement, which ase takes for P 1 and whole atoms, is refused."""
    words = [line.split() for line in text.split("\n")]
    records = {line[0].upper(): line[1:] for line in words if line}
    lattice = records.get("LATT", ["-1"])
    if "SYMM" in records or lattice[:1] != ["-1"] or {"FVAR", "HKLF", "UNIT", "L.S."} & records.keys():
        raise ReadError(path, "a file of a SHELX refinement is not read: give the CIF that SHELX writes (ACTA)")
    return text, None, ()


def xsf(path: AnyPath, text: str) -> Named:
    """Return a file of XCrySDen as it is; of an animation ase reads the last structure."""
    many = re.search(r"(?m)^\s*ANIMSTEPS\s+0*([2-9]|\d{2,})\s*$", text)
    return text, None, (f"the last of {many[1]} frames is read",) if many else ()


def data(path: AnyPath, text: str) -> Named:
    """Return a data file of LAMMPS as it is."""
    lammps.refuse_data(path, text)
    return text, None, ()


# --- MDL


def molfile(path: AnyPath, text: str) -> Named:
    """Return a molfile, or the first molecule of an SDF, with plain symbols, and its names, isotopes among them.

    ase reads fixed columns of version 2000. Drawings, whose atoms lie in the plane of the paper, are refused.
    """
    lines = text.split("\n")
    counts = lines[3] if len(lines) > 3 else ""
    count = int(counts[:3]) if counts[:3].strip().isdecimal() else 0
    if not count or "V3000" in counts or len(lines) < 4 + count:
        raise ReadError(path, "no atoms as version 2000 of molfiles has them: write it as xyz, with ase for example", 4)
    if lines[1][20:22].upper() == "2D":
        raise ReadError(path, "this is a drawing (2D), whose coordinates are no places: give a structure (3D)", 2)
    names = []
    for i in range(4, 4 + count):
        name, symbol = _plain(path, lines[i][31:34].strip(), i + 1)
        lines[i] = f"{lines[i][:31]}{symbol:3s}{lines[i][34:]}"
        names.append(name)
    for line in lines[4 + count : next((i for i, line in enumerate(lines) if line[:4] == "$$$$"), None)]:
        if line.startswith("M  ISO"):
            words = line.split()[3:]
            for atom, mass in zip(words[::2], words[1::2], strict=False):
                names[int(atom) - 1] = f"{mass}-{base(species(names[int(atom) - 1]).element)}"
    molecules = sum(line.startswith("$$$$") for line in lines)
    return "\n".join(lines), names, (f"the first of {molecules} molecules is read",) if molecules > 1 else ()


# --- Structure files that ase reads ----------------------------------------------------------------------------------

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
        "lammps-data",
        "mol",
        "res",
        "sdf",
        "struct",
    ),
    *("v-sim", "vasp", "xsf", "xyz"),
)

TRAJECTORIES = ("vasp-xdatcar", "lammps-dump-text")


def read_ase(path: AnyPath, format: str | None = None) -> Structure:
    """Return the (last) structure of a file that ase reads, as P 1; `format` is the name ase has for it.

    Raises ReadError for a format outside `ASE_FORMATS`, a file without a cell, or one that ase refuses.
    """
    atoms, names, said = read_atoms(path, format)
    try:
        return convert.from_ase(atoms, names, said, file=True)
    except (StructureError, ValueError) as error:
        raise ReadError(path, str(error)) from error


def read_atoms(path: AnyPath, format: str | None = None) -> tuple[Any, list[str] | None, tuple[str, ...]]:
    """Return the `ase.Atoms` of a file, what it calls each (None: as ase does), and what was assumed."""
    from ase.io.formats import filetype

    text = read_text(path)
    try:
        with quiet():
            kind = format or ("lammps-data" if lammps.is_data(text) else filetype(str(path)))
            if kind not in ASE_FORMATS:
                raise ReadError(path, _not_read(kind))
            huge_counts(path, text, str(kind))
            plain, names, said = plain_names(path, text, kind)
            atoms = _atoms(plain, "extxyz" if kind == "xyz" else kind)
            return atoms, lammps.elements(path, text, atoms) if kind == "lammps-data" else names, said
    except ReadError:
        raise
    except Exception as error:  # ase's readers raise whatever comes along
        raise ReadError(path, f"ase cannot read it ({_reason(error)}): is it complete?") from None


def _not_read(kind: str) -> str:
    """Return what is said of a format that is none of a structure."""
    if kind in TRAJECTORIES:
        return (
            "this is a trajectory: pdfkit.read_trajectory (pdfkit trajectory) averages its frames; of one frame, write "
            "a CIF"
        )
    return f"the format {kind!r} is not read: convert it to CIF, or a cluster to xyz, with ase for example"


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
