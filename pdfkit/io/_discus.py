"""What a DISCUS structure says beyond PDFfit's: named columns, lists by type of atom, a space group with its origin.

Columns: x, y, z, Biso, Property, MoleNo, MoleAt, Occ (…, U11, U22, U33, U23, U13, U12, in this order). A file lists
either every atom of its cells (as DISCUS saves it, with `ncell nx, ny, nz, atoms`) or the asymmetric unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pdfkit import _symmetry
from pdfkit._checks import Array
from pdfkit.errors import StructureError
from pdfkit.io._operations import Operations, Setting, keeps, settings_of
from pdfkit.structure import Structure

_B_TO_U = 1 / (8 * math.pi**2)
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


Values = tuple[tuple[float, float, float], float, tuple[float, ...] | None]


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
        return None if B is None else (B * _B_TO_U,)


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
    xyz, rows = np.array([site.xyz for site in listed.sites]) * np.asarray(ncell), _symmetry.basis(cell)
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
        raise problem or StructureError(f"spcgr {spcgr[:40]} makes no structure of these atoms")
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
    _, distance = _symmetry.close_pairs(structure.positions(), structure.basis(), 4.0)
    return float(distance.min()) if distance.size else 4.0


def in_one_cell(xyz: Array, ncell: Sequence[float]) -> bool:
    """Return whether atoms said to fill several cells all lie in one along an axis that has several."""
    span = np.ptp(xyz, axis=0)
    return any(n > 1 and width <= 1.0 + 1e-3 for n, width in zip(ncell, span, strict=True))
