"""Structure files of PDFfit (six lines an atom, every atom listed) and DISCUS (one line an atom, B in place of U).

Columns: x, y, z, Biso, Property, MoleNo, MoleAt, Occ (…, U11, U22, U33, U23, U13, U12, in this order). A file lists
either every atom of its cells (as DISCUS saves it, with `ncell nx, ny, nz, atoms`) or the asymmetric unit.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, ReadError, StructureError, remark
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text
from pdfkit.structure import symmetry
from pdfkit.structure.operations import Operations, Setting, keeps, settings_of
from pdfkit.structure.site import B_TO_U, DEFAULT_UISO, Site, missing_U, numbered_labels
from pdfkit.structure.species import Species, occupants, vacancies
from pdfkit.structure.structure import Structure

# --- What a DISCUS structure says beyond PDFfit's --------------------------------------------------------------------


STANDARD = ("x", "y", "z", "biso", "property", "moleno", "moleat", "occ")

_TENSOR = ("u11", "u22", "u33", "u12", "u13", "u23")

_FORTRAN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)[dD][+-]?\d+")

# Distance (Å) within which an image of an atom is the atom that is listed.
_SAME = 0.05

# Volume (Å³) of an atom, hydrogen apart, beyond which a cell is emptier than most solids.
_EMPTY = 40.0


def number(word: str) -> float:
    """Return a number of a Fortran file, "0.1D-02" included; ValueError if it is none."""
    return float(re.sub("[dD]", "e", word) if _FORTRAN.fullmatch(word) else word)


def fields(line: str) -> list[str]:
    """Return the name and the values of a line; values end at blanks or commas. ValueError where one is left out."""
    name, _, rest = line.strip().partition(" ") if "," not in line.split()[0] else line.strip().partition(",")
    parts = [part.strip() for part in rest.strip().strip(",").split(",")]
    if "" in parts and len(parts) > 1:
        raise ValueError("a value between two commas is missing")
    return [name, *(word for part in parts for word in part.split())]


@dataclass(frozen=True)
class Columns:
    """Which number of a line is what, and what holds for the types of atoms where no column says it."""

    names: tuple[str, ...]
    B: Mapping[str, float] = field(default_factory=dict)
    occ: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, header: str, types: Sequence[str], B: Sequence[float], occ: Sequence[float]) -> Columns:
        """Return the columns of the words after "atoms"; types, B and occ are the records scat, adp and occ."""
        names = tuple(re.findall(r"[a-z]\w*", header.lower())) or STANDARD
        missing = [name for name in ("x", "y", "z") if name not in names]
        if missing:
            raise ValueError(f"the columns {', '.join(names)[:80]} lack {missing[0]}: name it")
        kinds = [name.upper() for name in types]
        return cls(names, dict(zip(kinds, B, strict=False)), dict(zip(kinds, occ, strict=False)))

    def read(
        self, name: str, words: Sequence[str]
    ) -> tuple[tuple[float, float, float], float, tuple[float, ...] | None]:
        """Return position, occupancy and U (one or six numbers; None where nothing says it) of a line's values."""
        wanted = {"x", "y", "z", "biso", "uiso", "occ", *_TENSOR}
        known = {key: number(word) for key, word in zip(self.names, words, strict=False) if key in wanted}
        if not {"x", "y", "z"} <= known.keys() or len(words) < 3:
            raise ValueError(f"{' '.join(words)[:60]!r}: give x, y and z")
        if not all(map(math.isfinite, known.values())):
            raise ValueError(f"{' '.join(words)[:60]!r}: give finite numbers")
        occ = known.get("occ", self.occ.get(name.upper(), 1.0))
        return (known["x"], known["y"], known["z"]), occ, self._U(name, known)

    def _U(self, name: str, known: Mapping[str, float]) -> tuple[float, ...] | None:
        tensor = tuple(known.get(key, 0.0) for key in _TENSOR)
        if any(tensor):
            return tensor
        if "uiso" in known:
            return (known["uiso"],)
        B = known.get("biso", self.B.get(name.upper()))
        return None if B is None else (B * B_TO_U,)


# --- the space group


def meant(spcgr: str) -> tuple[Setting, ...]:
    """Return the settings that "Fd-3m, 2" may mean: () for none in the table."""
    name, _, code = (part.strip() for part in spcgr.partition(","))
    if not name or name.replace(" ", "").upper() == "P1":
        return ()
    try:
        return settings_of(name, code)
    except StructureError:
        return ()


def is_p1(spcgr: str) -> bool:
    """Return whether `spcgr` names no more than the identity."""
    return spcgr.partition(",")[0].replace(" ", "").upper() in ("P1", "")


def is_closed(listed: Structure, operations: Operations, ncell: Sequence[float]) -> bool:
    """Return whether every image of every atom is listed, so that the group (of one of the cells) adds nothing."""
    cell = (*(length / n for length, n in zip(listed.cell[:3], ncell, strict=True)), *listed.cell[3:])
    if not keeps(cell, operations):
        return False
    R, t = operations
    xyz, rows = np.array([site.xyz for site in listed.sites]) * np.asarray(ncell), symmetry.basis(cell)
    elements = np.array([site.element for site in listed.sites])
    for i in range(len(xyz)):
        alike = xyz[elements == elements[i]]
        step = (R @ xyz[i] + t)[:, None] - alike[None]
        if np.linalg.norm((step - np.round(step)) @ rows, axis=-1).min(axis=1).max() > _SAME:
            return False
    return True


def expanded(listed: Structure, settings: Sequence[Setting], spcgr: str, said: list[str]) -> Structure:
    """Return the structure of which the atoms listed are the asymmetric unit; its group is said.

    Of two origins that the file leaves open choice 1 is taken, unless atoms come closer there than with the other.
    Raises StructureError when the atoms or the cell are against the group.
    """
    fitting = [setting for setting in settings if keeps(listed.cell, setting.operations())]
    if not fitting:
        raise StructureError(f"the cell does not have the symmetry of spcgr {spcgr[:40]}: correct one of them")
    fitting.sort(key=lambda setting: setting.origin == "2")
    made: list[tuple[float, Setting, Structure]] = []
    problem: StructureError | None = None
    for setting in fitting[:2] if fitting[0].origin else fitting[:1]:
        R, t = setting.operations()
        try:
            one = replace(listed, spacegroup=setting.name, rotations=R, translations=t)
        except StructureError as error:
            problem = problem or error
            continue
        made.append((_shortest(one), setting, one))
    if not made:
        raise problem or StructureError(
            f"spcgr {spcgr[:40]} gives no possible structure with these atoms: correct it, or list all atoms (spcgr P1)"
        )
    _, setting, best = max(made, key=lambda one: (round(one[0] / made[0][0], 1) > 1.1, -made.index(one)))
    choice = f", of two origins choice {setting.origin}" if len(made) > 1 and setting.origin in ("1", "2") else ""
    said.append(
        f"spcgr {setting.name}: the {len(listed.sites)} atoms listed are read as the asymmetric unit of "
        f"{int(best.multiplicities().sum())} in the cell{choice}"
    )
    return best


def is_empty(listed: Structure) -> bool:
    """Return whether the atoms listed leave more room than those of a solid do."""
    heavy = sum(n for element, n in listed.composition().items() if element not in ("H", "D", "T"))
    return listed.volume() > _EMPTY * max(heavy, 1e-9)


def _shortest(structure: Structure) -> float:
    _, distance = symmetry.close_pairs(structure.positions(), structure.basis(), 4.0)
    return float(distance.min()) if distance.size else 4.0


def in_one_cell(xyz: Array, ncell: Sequence[float]) -> bool:
    """Return whether atoms said to fill several cells all lie in one along an axis that has several."""
    span = np.ptp(xyz, axis=0)
    return any(n > 1 and width <= 1.0 + 1e-3 for n, width in zip(ncell, span, strict=True))


# --- Structure files of PDFfit ---------------------------------------------------------------------------------------

_LINES_PER_ATOM = 6


@dataclass
class _Header:
    """What precedes the atoms; `read` is how many lines it takes."""

    pdffit: bool = False
    title: str = ""
    spacegroup: str = "P1"
    cell: list[float] = field(default_factory=list)
    ncell: list[float] = field(default_factory=list)
    meta: dict[str, float | str] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    B: list[float] = field(default_factory=list)
    occ: list[float] = field(default_factory=list)
    columns: Columns = field(default_factory=lambda: Columns(STANDARD))
    read: int = 0


@dataclass(frozen=True)
class _Atom:
    line: int
    element: str
    xyz: tuple[float, float, float]
    occ: float
    U: tuple[float, ...]
    has_U: bool = True


def read_stru(path: AnyPath) -> Structure:
    """Return the structure of a PDFfit or DISCUS file, all its cells as one; other values are in `meta`.

    A PDFfit file lists every atom, whatever its `spcgr`: P 1. A DISCUS file whose atoms are not all there is the
    asymmetric unit of its `spcgr` ("Fd-3m, 2"); a remark says so. `meta` has what the header gives of scale, delta1,
    delta2, sratio, rcut, spdiameter, stepcut. Atoms whose tensor is that of an isotropic one are isotropic. Raises
    ReadError with the line of what is wrong.
    """
    return parse_stru(read_text(path), path)


def parse_stru(text: str, path: AnyPath) -> Structure:
    """Return the structure in the text of such a file; `path` is what messages call it."""
    lines = text.split("\n")
    header = _read_header(path, lines)
    atoms = list(_pdffit_atoms(path, lines, header.read) if header.pdffit else _discus_atoms(path, lines, header))
    if not atoms:
        raise ReadError(path, "no atoms after the line 'atoms': was the file written completely?")
    said = _check_count(path, header, atoms)
    return _structure(path, header, atoms, said)


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip()[0] in "#!"


def _read_header(path: AnyPath, lines: list[str]) -> _Header:
    header = _Header()
    for i, line in enumerate(lines):
        if _is_comment(line):
            continue
        words = line.replace(",", " ").split()
        key = words[0].lower() if words else ""
        if key == "atoms":
            header.columns = _columns(path, header, line.strip()[5:], i)
            header.read = i + 1
            break
        _read_record(path, header, key, words, line, i)
    if not header.read:
        raise ReadError(path, "no line 'atoms': this is neither a PDFfit nor a DISCUS structure")
    if not header.cell:
        raise ReadError(path, "no line 'cell' before the atoms: add it")
    return header


def _read_record(path: AnyPath, header: _Header, key: str, words: list[str], line: str, i: int) -> None:
    if key == "title":
        header.title = line.strip()[5:].strip()
    elif key == "format":
        header.pdffit = [word.lower() for word in words[1:]] == ["pdffit"]
    elif key == "spcgr":
        header.spacegroup = " ".join(line.strip()[5:].split())
    elif key == "cell":
        header.cell = _floats(path, words[1:7], 6, i)
    elif key == "ncell":
        header.ncell = _floats(path, words[1:], min(max(len(words) - 1, 3), 4), i)
    elif key == "scale":
        header.meta["scale"] = _floats(path, words[1:2], 1, i)[0]
    elif key == "sharp":
        header.meta |= _sharpening(path, words[1:], i)
    elif key == "shape":
        header.meta |= _shape(path, words[1:], i)
    elif key == "scat":
        header.types += words[1:]
    elif key in ("adp", "occ"):
        (header.B if key == "adp" else header.occ).extend(_floats(path, words[1:], len(words) - 1, i))
    elif key in ("generator", "symmetry", "molecule"):
        raise ReadError(path, f"the DISCUS record {key!r} is not supported: write the file with all atoms", i + 1)


def _columns(path: AnyPath, header: _Header, text: str, i: int) -> Columns:
    try:
        return Columns.of(text, header.types, header.B, header.occ)
    except ValueError as error:
        raise ReadError(path, str(error), i + 1) from None


def _floats(path: AnyPath, words: list[str], count: int, i: int) -> list[float]:
    try:
        out = [number(word) for word in words[:count]]
    except ValueError:
        raise ReadError(path, f"{' '.join(words)[:60]!r} are not {count} numbers: correct the line", i + 1) from None
    if len(out) != count or not all(math.isfinite(value) for value in out):
        raise ReadError(path, f"{' '.join(words)[:60]!r}: give {count} finite numbers", i + 1)
    return out


def _sharpening(path: AnyPath, words: list[str], i: int) -> dict[str, float | str]:
    names = ("delta2", "delta1", "sratio", "rcut") if len(words) > 3 else ("delta2", "sratio", "rcut")
    values = _floats(path, words, len(names), i)
    return dict(zip(names, values, strict=True))


def _shape(path: AnyPath, words: list[str], i: int) -> dict[str, float | str]:
    names = {"sphere": "spdiameter", "stepcut": "stepcut"}
    kind = words[0].lower() if words else ""
    if kind not in names:
        raise ReadError(path, f"shape {kind!r} is not known: give 'sphere, D' or 'stepcut, r'", i + 1)
    return {names[kind]: _floats(path, words[1:2], 1, i)[0]}


def _pdffit_atoms(path: AnyPath, lines: list[str], start: int) -> Iterator[_Atom]:
    filled = [i for i in range(start, len(lines)) if not _is_comment(lines[i])]
    for first in range(0, len(filled), _LINES_PER_ATOM):
        block = filled[first : first + _LINES_PER_ATOM]
        if len(block) < _LINES_PER_ATOM:
            raise ReadError(path, f"the last atom has {len(block)} of its 6 lines: restore them", block[0] + 1)
        rows = [lines[i].replace(",", " ").split() for i in block]
        x, y, z, occ = _floats(path, rows[0][1:], 4, block[0])
        # The standard deviations are not kept, but a lost line shows as a name among them.
        _, diagonal, _, mixed, _ = (_floats(path, row, 3, i) for row, i in zip(rows[1:], block[1:], strict=True))
        yield _Atom(block[0] + 1, rows[0][0], (x, y, z), occ, (*diagonal, *mixed))


def _discus_atoms(path: AnyPath, lines: list[str], header: _Header) -> Iterator[_Atom]:
    for i in range(header.read, len(lines)):
        if _is_comment(lines[i]):
            continue
        try:
            name, *words = fields(lines[i])
            xyz, occ, U = header.columns.read(name, words)
        except ValueError as error:
            text = str(error)
            shown = text if ":" in text or "missing" in text else f"{lines[i].strip()[:60]!r} is no atom"
            raise ReadError(path, f"{shown}: give a name and numbers for {_asked(header)}", i + 1) from None
        yield _Atom(i + 1, name, xyz, occ, U or (DEFAULT_UISO,), U is not None)


def _asked(header: _Header) -> str:
    return ", ".join(header.columns.names[:4])


def _check_count(path: AnyPath, header: _Header, atoms: list[_Atom]) -> list[str]:
    """Complete `ncell`, and return what had to be assumed of it. ReadError where it cannot be."""
    if any(n < 1 or n != int(n) for n in header.ncell):
        raise ReadError(path, f"ncell {header.ncell} are not counts: give whole numbers")
    cells, count, said = header.ncell[:3] or [1.0, 1.0, 1.0], len(atoms), []
    whole = len(header.ncell) == 4 and math.prod(header.ncell) == count
    if not whole and in_one_cell(np.array([atom.xyz for atom in atoms]), cells):
        shown = " × ".join(f"{n:g}" for n in cells)
        said.append(f"ncell says {shown} cells and the {count} atoms lie in one: one cell is read")
        header.ncell = [1.0, 1.0, 1.0, *header.ncell[3:]]
        cells = header.ncell[:3]
    if len(header.ncell) == 4 and math.prod(header.ncell) != count and (header.pdffit or is_p1(header.spacegroup)):
        message = f"ncell says {math.prod(header.ncell):g} atoms and {count} are there: is the file complete?"
        raise ReadError(path, message)
    return said


def _structure(path: AnyPath, header: _Header, atoms: list[_Atom], said: list[str]) -> Structure:
    cells = header.ncell[:3] or [1.0, 1.0, 1.0]
    cell = tuple(a * n for a, n in zip(header.cell[:3], cells, strict=True)) + tuple(header.cell[3:])
    sites = []
    try:
        there = [(atom, *one) for atom in atoms for one in _occupants(path, atom)]
        labels = numbered_labels([species.element for _, species, _ in there])
        for (atom, species, occ), label in zip(there, labels, strict=True):
            xyz = _triple(v / n for v, n in zip(atom.xyz, cells, strict=True))
            sites.append(Site(label, species.element, xyz, occ, atom.U, len(atom.U) == 1, species.charge))
        said += vacancies(Counter(atom.element for atom in atoms if not _occupants(path, atom)))
        said += missing_U(sum(not atom.has_U for atom in atoms))
        made = Structure(cell, tuple(sites), title=header.title, meta=header.meta)
        made = _isotropic_where_equal(_with_group(made, header, len(atoms), said))
        return replace(made, remarks=(*map(remark, said), *made.remarks))
    except StructureError as error:
        raise ReadError(path, str(error)) from error


def _with_group(listed: Structure, header: _Header, count: int, said: list[str]) -> Structure:
    """Return the structure with the space group of the file, where the atoms listed are not all."""
    spcgr, ncell = header.spacegroup, header.ncell
    if is_p1(spcgr):
        return listed
    settings = meant(spcgr)
    if any(is_closed(listed, setting.operations(), ncell[:3] or (1, 1, 1)) for setting in settings):
        return listed
    complete = header.pdffit or math.prod(ncell[:3]) > 1
    if not complete and len(ncell) == 4 and math.prod(ncell) == count:
        complete = not (settings and is_empty(listed))
    if complete:
        if settings or not header.pdffit:
            said.append(f"spcgr {spcgr[:40]} would add atoms to those listed: the list is taken as complete, in P 1")
        return listed
    if not settings:
        raise StructureError(f"space group {spcgr[:40]!r} is not known: write the file with all atoms (spcgr P1)")
    made = expanded(listed, settings, spcgr, said)
    total = int(made.multiplicities().sum())
    if len(ncell) == 4 and math.prod(ncell) not in (count, total):
        raise StructureError(
            f"ncell says {math.prod(ncell):g} atoms, {count} are listed, {spcgr[:40]} makes {total}: correct ncell"
        )
    return made


def _occupants(path: AnyPath, atom: _Atom) -> tuple[tuple[Species, float], ...]:
    # DISCUS leaves VOID where an atom was taken out; names are in capitals here.
    name = "Vac" if atom.element.upper() in ("VOID", "VAC", "VACANCY") else atom.element
    try:
        return occupants(name, atom.occ)
    except PdfkitError as error:
        raise ReadError(path, str(error), atom.line) from error


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z


def _isotropic_where_equal(structure: Structure) -> Structure:
    """Return a copy in which tensors that equal Uiso·1 (to the eight digits of such files) are isotropic."""
    unit = symmetry.isotropic_tensor(structure.basis())
    sites = []
    for site in structure.sites:
        Uiso = sum(site.U[:3]) / 3
        close = all(abs(u - Uiso * one) <= 2e-8 for u, one in zip(site.U, unit, strict=True))
        sites.append(replace(site, U=(Uiso,), isotropic=True) if close else site)
    return replace(structure, sites=tuple(sites))
