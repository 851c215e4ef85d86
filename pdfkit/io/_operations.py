"""Symmetry operations as text ("-y, x-y, z+1/2") and by the name of a space group."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from pdfkit import _symmetry
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitWarning, StructureError

Operations = tuple[IntArray, Array]

_TERM = re.compile(r"([+-]?)(?:([xyz])|(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)")

_SUFFIX = re.compile(r"(.+?)\s*(?::\s*([12HRSZ])|\s([HRSZ])|\(origin choice ([12])\))", re.IGNORECASE)
_RHOMBOHEDRAL = (146, 148, 155, 160, 161, 166, 167)
_TWO_ORIGINS = (
    *(48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142),
    *(201, 203, 222, 224, 227, 228),
)


def parse_operations(texts: Sequence[str]) -> Operations:
    """Return (n, 3, 3) rotations and (n, 3) translations of operations such as "1/2-x, y, z+.5".

    Only sums of x, y, z and numbers are understood; nothing is evaluated. Raises StructureError otherwise.
    """
    parsed = [_parse(text) for text in texts]
    return np.array([R for R, _ in parsed], dtype=np.int64), np.array([t for _, t in parsed], dtype=float)


def _parse(text: str) -> tuple[list[list[int]], list[float]]:
    parts = re.sub(r"\s", "", text.lower()).split(",")
    if len(parts) != 3:
        raise StructureError(f"symmetry operation {text!r} has {len(parts)} parts: write it like 'x, 1/2-y, z'")
    rows, shifts = [], []
    for part in parts:
        row, shift, position = [0, 0, 0], Fraction(0), 0
        while position < len(part) or not part:
            term = _TERM.match(part, position)
            if term is None or (position and not term[1]) or (term[4] and int(term[4]) == 0):
                raise StructureError(f"symmetry operation {text!r} is not understood: write it like 'x, 1/2-y, z'")
            sign = -1 if term[1] == "-" else 1
            if term[2]:
                row["xyz".index(term[2])] += sign
            else:
                shift += sign * Fraction(term[3]) / int(term[4] or 1)
            position = term.end()
        rows.append(row)
        shifts.append(float(shift))
    return rows, shifts


def format_operation(rotation: IntArray, translation: Array) -> str:
    """Return an operation as "-y, x-y, z+1/2"."""
    parts = []
    for row, shift in zip(rotation.tolist(), translation.tolist(), strict=True):
        text = "".join(("-" if k < 0 else "+") + name for k, name in zip(row, ("x", "y", "z"), strict=True) if k)
        part = _symmetry.exact(shift)
        if part:
            text += "-" if part < 0 else "+"
            text += str(abs(part)) if part.denominator <= 24 else f"{abs(shift):.12f}"
        parts.append(text.removeprefix("+"))
    return ", ".join(parts)


def tabulated_operations(name: str, cell: Sequence[float]) -> Operations:
    """Return the operations of a space group given by its Hermann–Mauguin symbol or number.

    A suffix chooses the setting: ":1" or "S" and ":2" or "Z" (origin choice), ":H" and ":R" (axes of a
    rhombohedral group). Without it those axes follow from `cell`, and origin choice 1 is taken with a
    `PdfkitWarning`. StructureError for a name in no table.
    """
    known = _of_spacegroups("is_space_group_identifier", "IsSpaceGroupIdentifier")
    found = _SUFFIX.fullmatch(name.strip())
    symbol = found[1] if found else name.strip()
    suffix = next((part.upper() for part in found.groups()[1:] if part), "") if found else ""
    for spelling in (symbol, symbol.replace("_", ""), symbol.replace(" ", ""), symbol.capitalize()):
        if known(spelling):
            group = _of_spacegroups("get_space_group", "GetSpaceGroup")(spelling)
            break
    else:
        raise StructureError(f"space group {name!r} is in no table: list the symmetry operations in the file")
    number = group.number % 1000
    if suffix in ("2", "Z"):
        return _second_origin(number, name)
    if number in _RHOMBOHEDRAL:
        group = _rhombohedral(number, suffix == "H" or (suffix != "R" and abs(cell[5] - 120) < 0.5))
    elif number in _TWO_ORIGINS and not suffix:
        message = f"space group {name!r} has two origins and the file does not say which: choice 1 is taken"
        warnings.warn(message, PdfkitWarning, stacklevel=4)
    return _arrays(group)


def _of_spacegroups(new: str, old: str) -> Any:
    """Return a function of diffpy.structure by its name from version 3.4 on, or by the one it had before."""
    from diffpy.structure import spacegroups

    return getattr(spacegroups, new, None) or getattr(spacegroups, old)


def identify(rotations: IntArray, translations: Array) -> tuple[str, int]:
    """Return the Hermann–Mauguin symbol and number of a list of operations; ("", 0) when no table has it."""
    from diffpy.structure.spacegroups import SymOp

    find = _of_spacegroups("find_space_group", "FindSpaceGroup")
    operations = [SymOp(R.astype(float), t) for R, t in zip(rotations, translations, strict=True)]
    try:
        group = find(operations, shuffle=True)
    except ValueError:
        return "", 0
    return str(group.short_name), int(group.number) % 1000


def _rhombohedral(number: int, hexagonal: bool) -> object:
    from diffpy.structure.spacegroups import SpaceGroupList

    for group in SpaceGroupList:
        if group.number % 1000 == number:
            R, _ = _arrays(group)
            # On hexagonal axes a threefold axis is −y, x−y, z; on rhombohedral ones it permutes x, y, z.
            if any((row == [[0, -1, 0], [1, -1, 0], [0, 0, 1]]).all() for row in R) == hexagonal:
                return group
    raise StructureError(f"space group {number} is in no table on these axes: list the symmetry operations")


def _second_origin(number: int, name: str) -> Operations:
    import ase.spacegroup

    if number not in _TWO_ORIGINS:
        raise StructureError(f"space group {name!r} has one origin only: list the symmetry operations")
    R, t = ase.spacegroup.Spacegroup(number, setting=2).get_op()
    return np.asarray(R, dtype=np.int64), np.asarray(t, dtype=float)


def _arrays(group: object) -> Operations:
    operations = list(group.iter_symops())  # type: ignore[attr-defined]  # diffpy.structure has no types
    R = np.array([np.round(operation.R) for operation in operations]).astype(np.int64)
    return R, np.array([operation.t for operation in operations], dtype=float)
