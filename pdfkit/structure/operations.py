"""Symmetry operations as text ("-y, x-y, z+1/2") and by the names of a space group.

The table of 564 settings and the grammar of Hall symbols are gemmi's (Hall, Acta Cryst. A37, 517 (1981);
International Tables B, 1.4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError, remark
from pdfkit.structure import symmetry

Operations = tuple[IntArray, Array]

_TERM = re.compile(r"([+-]?)(?:([xyz])|([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:/([0-9]+))?)")
# No term of an operation has more digits; int() of thousands of them is slow.
_LONGEST = 200
# In cells: no operation shifts atoms so far; 1e25 is a damaged number.
_FURTHEST = 1000
# Translations of three-, four-, six- and eightfold parts, which files round ("0.33", "0.17").
_PARTS = tuple(Fraction(k, 24) for k in range(25) if k % 3 == 0 or k % 4 == 0)

_CHOICE = re.compile(r"[\s,;:(]*\borigin(?:\s+(?:choice|at))?\s*:?\s*([12])\s*\)?$", re.IGNORECASE)
_LETTER = re.compile(r"(.*\S)\s*([SZ])|(R.*\S)\s*([HR])|(.*\S)\s+([HR])", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\s+\((?:no\.?|nr\.?|#)?\s*[0-9]{1,3}\)$", re.IGNORECASE)


def parse_operations(texts: Sequence[str]) -> Operations:
    """Return (n, 3, 3) rotations and (n, 3) translations of operations such as "1/2-x, y, z+.5".

    Only sums of x, y, z and numbers are understood; nothing is evaluated. Raises StructureError otherwise.
    """
    parsed = [_parse(text) for text in texts]
    return np.array([R for R, _ in parsed], dtype=np.int64), np.array([t for _, t in parsed], dtype=float)


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[list[list[int]], list[float]]:
    parts = re.sub(r"\s", "", text.lower()).split(",")
    if len(parts) != 3:
        raise StructureError(f"symmetry operation {text[:40]!r} has {len(parts)} parts: write it like 'x, 1/2-y, z'")
    if len(text) > _LONGEST:
        raise _not_understood(text)
    rows, shifts = [], []
    for part in parts:
        row, shift, position = [0, 0, 0], Fraction(0), 0
        while position < len(part) or not part:
            term = _TERM.match(part, position)
            if term is None or (position and not term[1]) or (term[4] and int(term[4]) == 0):
                raise _not_understood(text)
            sign = -1 if term[1] == "-" else 1
            if term[2]:
                row["xyz".index(term[2])] += sign
            else:
                shift += sign * (Fraction(term[3]) / int(term[4]) if term[4] else _unrounded(term[3]))
            position = term.end()
        if abs(shift) >= _FURTHEST:
            raise _not_understood(text)
        rows.append(row)
        shifts.append(float(shift))
    return rows, shifts


def _not_understood(text: str) -> StructureError:
    return StructureError(f"symmetry operation {text[:40]!r} is not understood: write it like 'x, 1/2-y, z'")


def _unrounded(text: str) -> Fraction:
    """Return "0.33" as 1/3 and "0.125" as 1/8: the part of the cell that a decimal of two digits or more rounds."""
    value, digits = Fraction(text), len(text.partition(".")[2])
    near = min(_PARTS, key=lambda part: abs(value - part))
    return near if digits >= 2 and abs(value - near) <= Fraction(6, 10 ** (digits + 1)) else value


def format_operation(rotation: IntArray, translation: Array) -> str:
    """Return an operation as "-y, x-y, z+1/2"."""
    parts = []
    for row, shift in zip(rotation.tolist(), translation.tolist(), strict=True):
        text = "".join(("-" if k < 0 else "+") + name for k, name in zip(row, ("x", "y", "z"), strict=True) if k)
        part = symmetry.exact(shift)
        if part:
            text += "-" if part < 0 else "+"
            text += str(abs(part)) if part.denominator <= 24 else f"{abs(shift):.12f}"
        parts.append(text.removeprefix("+"))
    return ", ".join(parts)


# --- the table of space groups


@dataclass(frozen=True)
class Setting:
    """A setting of a space group: `symbol` "F d -3 m", `origin` "1", "2", "H", "R" or "", `code` "b1", "cab" …"""

    symbol: str
    number: int
    hall: str
    origin: str
    code: str
    reference: bool

    @property
    def name(self) -> str:
        """The symbol with its origin choice or axes: "F d -3 m:2"."""
        return f"{self.symbol}:{self.origin}" if self.origin else self.symbol

    def operations(self) -> Operations:
        """Return all operations of the cell, centring included."""
        return hall_operations(self.hall)


@lru_cache(maxsize=1)
def table() -> tuple[Setting, ...]:
    """Return every tabulated setting, the reference setting of a group before its others."""
    import gemmi

    settings = [_setting(group) for group in gemmi.spacegroup_table()]
    return tuple(sorted(settings, key=lambda setting: not setting.reference))


def _setting(group: Any) -> Setting:
    origin = group.ext.strip("\0")
    return Setting(group.hm, group.number, group.hall, origin, group.qualifier, group.is_reference_setting())


@lru_cache(maxsize=64)
def hall_operations(symbol: str) -> Operations:
    """Return the operations that a Hall symbol ("-F 4vw 2vw 3") generates; StructureError if it is none."""
    import gemmi

    text = " ".join(symbol.replace("_", " ").split())
    if len(text) > _LONGEST or not text.isascii():
        raise StructureError(f"Hall symbol {symbol[:40]!r} is too long, or not plain text: check it")
    head, bracket, change = text.partition("(")
    lowered = " ".join(word[0] + word[1:].lower() for word in head.split())
    lowered = lowered[:1] + lowered[1:2].upper() + lowered[2:] if lowered[:1] == "-" else lowered
    try:
        operations = list(gemmi.symops_from_hall(lowered + " " * bool(bracket) + bracket + change))
    except (RuntimeError, ValueError) as error:
        raise StructureError(f"Hall symbol {symbol[:40]!r} is not understood ({str(error)[:60]})") from None
    R = np.array([operation.rot for operation in operations], dtype=np.int64) // 24
    t = np.array([operation.tran for operation in operations], dtype=float) / 24 % 1.0
    R.setflags(write=False)
    t.setflags(write=False)
    return R, t


def settings_of(name: str, code: str = "") -> tuple[Setting, ...]:
    """Return the settings that a Hermann–Mauguin symbol or number may mean; () when it is in no table.

    code : `_space_group_IT_coordinate_system_code` ("2", "h", "b1", "-cba" …); a suffix of the symbol wins:
    ":1", "S", "(origin choice 1)", ":2", "Z", ":H", ":R". What neither decides is returned whole, the reference
    setting (origin choice 2, hexagonal axes, unique axis b) first.
    """
    symbol, suffix = _split(name)
    is_number = re.fullmatch(r"0*[0-9]{1,3}", symbol)
    found = [s for s in table() if s.number == int(symbol)] if is_number else _of_symbol(symbol)
    for origin, axes in map(_split_code, (suffix, code)):
        chosen = [s for s in found if s.origin == origin] if origin else found
        if origin not in ("", "1") and not chosen and suffix:
            what = "one origin only" if origin in "12" else "no rhombohedral lattice"
            raise StructureError(f"space group {name[:40]!r} has {what}: list the symmetry operations")
        found = [s for s in chosen or found if axes and s.code == axes] or chosen or found
    return tuple(found)


def _split(name: str) -> tuple[str, str]:
    """Return the symbol and its suffix: "Fd-3mZ" → "Fd-3m", "2"; without the * that marks origins of minerals."""
    text = _IN_BRACKETS.sub("", " ".join(name.split()).strip("'\" *"))
    text = _CHOICE.sub(r":\1", text)
    symbol, _, code = (part.strip() for part in text.partition(":"))
    letter = _LETTER.fullmatch(symbol)
    if not code and letter:
        symbol, code = (part for part in letter.groups() if part)
    return symbol, code


def _split_code(code: str) -> tuple[str, str]:
    """Return the origin ("1", "2", "H", "R", "") and axes of a coordinate system code: "2cab" → "2", "cab"."""
    text = {"S": "1", "Z": "2"}.get(code.upper(), code.strip().lower())
    if text in ("h", "r"):
        return text.upper(), ""
    origin, axes = (text[0], text[1:]) if text[:1] in ("1", "2") else ("", text)
    return origin, "" if axes == "abc" else axes


def _of_symbol(symbol: str) -> list[Setting]:
    import gemmi

    for spelling in _spellings(symbol):
        group = gemmi.find_spacegroup_by_name(spelling)
        if group is not None:
            break
    else:
        return []
    short = re.sub(r"^(\S) 1 (\S+) 1$", r"\1 \2", group.hm)
    meant = {group.hm}
    if short != group.hm and len(re.findall(r"(?<![0-9/-])1(?![0-9/])", symbol)) == 0:
        letter, axis = short.split()
        meant |= {f"{letter} 1 1 {axis}", f"{letter} {axis} 1 1"}  # "P 21/m" of another unique axis
    found = [s for s in table() if s.symbol in meant]
    return sorted(found, key=lambda s: s.symbol != group.hm)


def _spellings(symbol: str) -> list[str]:
    plain = re.sub(r"\(([0-9])\)", r"\1", symbol.replace("−", "-"))
    plain = re.sub(r"([1346])\s*bar|bar\s*([1346])", r"-\1\2", plain)
    out = [plain, plain.replace("_", " "), re.sub(r"[_\s]", "", plain), plain.capitalize(), _short(plain)]
    return [spelling for spelling in dict.fromkeys(out) if spelling.isascii() and 0 < len(spelling) < 40]


def _short(symbol: str) -> str:
    """Return a full symbol in short form: "P 21/n 21/m 21/a" → "P n m a", "F 4/m -3 2/m" → "F m -3 m"."""
    letter, *axes = symbol.split() or [""]
    if len(axes) < 2 or "1" in axes[:2]:
        return symbol if len(axes) < 3 else " ".join([letter, *(_mirror(axis) for axis in axes)])
    cubic = axes[1] in ("3", "-3")
    first = _mirror(axes[0]) if cubic or axes[0].startswith("2") else axes[0]
    return " ".join([letter, first, *(_mirror(axis) for axis in axes[1:])])


def _mirror(axis: str) -> str:
    return axis.partition("/")[2] or axis


def identify(rotations: IntArray, translations: Array) -> tuple[str, int]:
    """Return the Hermann–Mauguin symbol and number of a list of operations; ("", 0) when no table has it."""
    setting = find_setting(rotations, translations)
    return (setting.name, setting.number) if setting else ("", 0)


def find_setting(rotations: IntArray, translations: Array) -> Setting | None:
    """Return the tabulated setting of exactly these operations."""
    import gemmi

    if np.abs(rotations).max(initial=0) > 1 or not np.abs(translations).max(initial=0.0) < 1e6:
        return None  # in no table, and beyond what the search can count
    operations = []
    for R, t in zip((24 * np.asarray(rotations)).tolist(), np.round(24 * translations).astype(int), strict=True):
        operation = gemmi.Op()
        operation.rot, operation.tran = R, t.tolist()
        operations.append(operation)
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations)) if len(operations) <= 192 else None
    # The search counts translations in 1/24; others are in no table.
    on_grid = np.abs(24 * translations - np.round(24 * translations)).max(initial=0.0) < 1e-6
    return _setting(group) if group is not None and on_grid else None


def keys(operations: Operations) -> frozenset[bytes]:
    """Return what two lists of operations have in common when they are one group in one setting."""
    R, t = operations
    steps = np.round(24 * np.asarray(t)).astype(np.int64) % 24
    return frozenset(row.tobytes() for row in np.concatenate([np.reshape(R, (-1, 9)), steps], axis=1))


def keeps(cell: Sequence[float], operations: Operations) -> bool:
    """Return whether a cell has the symmetry of operations."""
    try:
        symmetry.symmetric_cell(cell, operations[0])
    except StructureError:
        return False
    return True


def tabulated_operations(name: str, cell: Sequence[float]) -> Operations:
    """Return the operations of a space group given by its Hermann–Mauguin symbol or number.

    Suffixes as in `settings_of`. Without one, axes follow from `cell`, and of two origins choice 2, the reference
    setting, is taken with a `PdfkitWarning`. StructureError for a name in no table.
    """
    found = settings_of(name)
    if not found:
        raise StructureError(f"space group {name[:40]!r} is not known: list the symmetry operations")
    fitting = [s for s in found if keeps(cell, s.operations())] or list(found)
    if fitting[0].origin == "2" and len(fitting) > 1:
        remark(f"space group {name!r} has two origins and the file does not say which: choice 2 is taken")
    return fitting[0].operations()
