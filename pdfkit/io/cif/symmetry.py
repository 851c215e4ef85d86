"""Which symmetry a CIF means: its operations, its Hall symbol, its Hermann–Mauguin symbol, its number, in this order.

What several statements leave open (two origins) or contradict is decided by what else the file says of its contents
(formula and Z, multiplicities, density), then by the distances that come out; and the choice is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit.errors import StructureError, heard
from pdfkit.io.cif.blocks import MISSING, Block
from pdfkit.io.cif.checks import agreement
from pdfkit.structure import operations as structure_operations
from pdfkit.structure import symmetry as structure_symmetry
from pdfkit.structure.operations import Operations, Setting
from pdfkit.structure.structure import Structure

_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m_full",
)
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_CODE = ("_space_group_it_coordinate_system_code",)

# Shortest distances are counted in sums of covalent radii; a choice must be better by this to be taken for it.
_BETTER = 1.1
_REACH = 3.0
# More room (Å³) than an atom has in a solid.
_EMPTY = 45.0

_AGREES = "which agrees with the file's formula, Z or multiplicities"

Attempt = Callable[[Operations], Structure]


@dataclass(frozen=True, eq=False)
class Statement:
    """One thing that a file says about its symmetry: the text, and the operations of what it may mean."""

    text: str
    operations: Operations
    setting: Setting | None = None

    def same(self, other: Statement) -> bool:
        """Return whether two statements are one group in one setting."""
        return structure_operations.keys(self.operations) == structure_operations.keys(other.operations)


@dataclass(frozen=True, eq=False)
class Symmetry:
    """The operations that were believed, and the symbol of their group."""

    operations: Operations
    symbol: str


def symmetry(block: Block, cell: Sequence[float], attempt: Attempt, said: list[str]) -> Symmetry:
    """Return the symmetry of a block; what was decided or contradicts is added to `said`.

    attempt : makes the structure of the block's atoms with given operations. Raises StructureError when the file
    names no symmetry, or none that is in a table.
    """
    listed = _listed(block)
    hall, unknown = _hall(block)
    judge = _Judge(block, attempt)
    named = _named(block, cell, judge, said)
    if listed is not None and (_whole(listed) or not (hall or named)):
        return _result(_believed(listed, _against(listed, hall, named), judge, said), block)
    choices = [*([listed] if listed else []), *([hall] if hall else [])]
    choices += named if not (hall and any(hall.same(one) for one in named)) else []
    if not choices:
        raise StructureError(unknown or _no_symmetry(block))
    if unknown:
        said.append(f"{unknown}; {choices[0].text} is taken")
    return _result(_decided(choices, judge, said), block)


def _whole(listed: Statement) -> bool:
    """Return whether a list of operations is more than the identity alone."""
    return len(listed.operations[0]) > 1 or structure_operations.keys(listed.operations) != structure_operations.keys(
        _IDENTITY
    )


_IDENTITY: Operations = (np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)))


def _listed(block: Block) -> Statement | None:
    for item in _OPERATIONS:
        texts = [text for text in block.column(item) if text.strip() not in MISSING]
        if texts:
            R, t = structure_operations.parse_operations(texts)
            text = "the list of symmetry operations" if len(R) > 1 else f"the only symmetry operation {texts[0][:20]!r}"
            return Statement(text, (R, t))
    return None


def _hall(block: Block) -> tuple[Statement | None, str]:
    """Return the statement of the Hall symbol, or why it is none."""
    symbol = block.text(*_HALL)
    if not symbol:
        return None, ""
    try:
        return Statement(f"the Hall symbol {symbol[:40]!r}", structure_operations.hall_operations(symbol)), ""
    except StructureError as error:
        return None, str(error)


def _named(block: Block, cell: Sequence[float], judge: _Judge, said: list[str]) -> list[Statement]:
    """Return the settings that the symbols and numbers may mean and that fit the cell; reference settings first."""
    texts = [text for item in (*_SYMBOLS, *_NUMBERS) if (text := block.text(item))]
    known: list[tuple[str, tuple[Setting, ...]]] = []
    for text in dict.fromkeys(texts):
        found = structure_operations.settings_of(text, block.text(*_CODE))
        if found:
            known.append((text, found))
    if not known:
        return []
    strange = [text for text in dict.fromkeys(texts) if text not in dict(known)]
    if strange:
        said.append(f"space group {strange[0][:40]!r} is not known: {known[0][0][:20]!r} is considered instead")
    if len({found[0].number for _, found in known}) > 1:
        known = _of_one_group(known, cell, judge, said)
    text, found = next((pair for pair in known if len(pair[1]) == 1), known[0])
    return _statements(text, found, cell)


def _of_one_group(
    known: Sequence[tuple[str, tuple[Setting, ...]]], cell: Sequence[float], judge: _Judge, said: list[str]
) -> list[tuple[str, tuple[Setting, ...]]]:
    """Return the names of one group: the first, or another that the file's formula and the like speak for alone."""
    scores = [max(map(judge.agreement, _statements(text, found, cell))) for text, found in known]
    best = int(np.argmax(scores)) if max(scores) > 0 > scores[0] else 0
    others = " and ".join(repr(text[:20]) for text, _ in known[1:])
    why = f"{known[best][0][:20]!r} is taken, {_AGREES}" if best else "the first is considered"
    said.append(f"the file names several space groups, {known[0][0][:20]!r} and {others}: {why}")
    number = known[best][1][0].number
    return [pair for pair in known if pair[1][0].number == number]


def _statements(text: str, found: tuple[Setting, ...], cell: Sequence[float]) -> list[Statement]:
    """Return the settings of a name that fit the cell, of one choice of axes."""
    if not structure_operations.keeps(cell, found[0].operations()) or len(found) > 1:
        fitting = [setting for setting in found if structure_operations.keeps(cell, setting.operations())] or list(
            found
        )
        found = tuple(setting for setting in fitting if setting.symbol == fitting[0].symbol)
    return [Statement(f"space group {text[:40]!r}", setting.operations(), setting) for setting in found]


def _no_symmetry(block: Block) -> str:
    text = block.text(*_SYMBOLS, *_NUMBERS)
    if text:
        return f"space group {text[:40]!r} is not known: list the symmetry operations in the file"
    return "no symmetry operations and no space group: add one of them ('P 1' if there is none)"


# --- contradictions


def _believed(listed: Statement, against: Sequence[Statement], judge: _Judge, said: list[str]) -> Statement:
    """Return the listed operations; another statement only where the file's formula and the like speak for it alone.

    (Lists without the centring of the cell are met.) Either is said.
    """
    if not against:
        return listed
    texts = " and ".join(dict.fromkeys(one.text for one in against))
    said_otherwise = f"{texts} {'disagree' if ' and ' in texts else 'disagrees'} with the listed operations"
    best = max(against, key=judge.agreement)
    if judge.agreement(best) > 0 > judge.agreement(listed):
        said.append(f"{said_otherwise}: {_name(best)} is taken, {_AGREES}")
        return best
    setting = structure_operations.find_setting(*listed.operations)
    said.append(f"{said_otherwise}{f', which are {setting.name}' if setting else ''}: the listed operations are used")
    return listed


def _against(listed: Statement, hall: Statement | None, named: Sequence[Statement]) -> list[Statement]:
    """Return the statements that are not of the group of the listed operations, in whatever setting."""
    out = [hall] if hall is not None and not hall.same(listed) else []
    if not named or any(one.same(listed) for one in named):
        return out
    setting, one = structure_operations.find_setting(*listed.operations), named[0]
    alike = setting is not None and one.setting is not None and setting.number == one.setting.number
    different = not alike and (setting is not None or _order(listed) != _order(one))
    return [*out, *named] if different else out


def _order(statement: Statement) -> int:
    """Return the order of the point group."""
    return len({R.tobytes() for R in np.asarray(statement.operations[0], dtype=np.int64)})


# --- decisions


class _Judge:
    """What speaks for a statement: agreement with the file's formula and the like, and the distances that come out."""

    def __init__(self, block: Block, attempt: Attempt) -> None:
        self.block = block
        self.attempt = attempt

    @lru_cache(maxsize=8)  # noqa: B019 - a judge lives for one file
    def structure(self, statement: Statement) -> Structure | None:
        try:
            with heard():
                return self.attempt(statement.operations)
        except StructureError:
            return None

    def agreement(self, statement: Statement) -> int:
        structure = self.structure(statement)
        return -99 if structure is None else agreement(self.block, structure)

    def made(self, statements: Sequence[Statement]) -> str:
        """Return what each statement makes of the atoms: "choice 1 makes Mg8 Cu16 …"."""
        texts = []
        for one in statements[:3]:
            structure = self.structure(one)
            counts = structure.composition() if structure else {}
            texts.append(f"{_name(one)} makes {' '.join(f'{el}{n:.4g}' for el, n in list(counts.items())[:5])}")
        return "; ".join(texts)[:160]

    def room(self, statement: Statement) -> float:
        structure = self.structure(statement)
        return 0.0 if structure is None else 1 / structure.number_density()

    def distance(self, statement: Statement) -> float:
        structure = self.structure(statement)
        return 0.0 if structure is None else shortest_in_radii(structure)


def _decided(choices: Sequence[Statement], judge: _Judge, said: list[str]) -> Statement:
    """Return the choice that the file's other contents or the distances speak for, else the first; and say so."""
    first = choices[0]
    others = [one for one in choices[1:] if not one.same(first)]
    if not others:
        return first
    open_ = _open_question(choices)
    scores = {one: judge.agreement(one) for one in (first, *others)}
    best = max(scores.values())
    left = [one for one, score in scores.items() if score == best]
    if len(left) == 1:
        why = (
            "the only one that makes a structure"
            if best <= 0
            else "it agrees with the file's formula, Z or multiplicities"
        )
        said.append(f"{open_}: {_name(left[0])} is taken, {why}")
        return left[0]
    dense = [one for one in left if judge.room(one) < _EMPTY]
    if len(dense) < len(left) and len(dense) == 1:
        said.append(f"{open_}: {_name(dense[0])} is taken, the others leave the cell nearly empty")
        return dense[0]
    ratios = {one: judge.distance(one) for one in left}
    ranked = sorted(left, key=lambda one: -ratios[one])
    if ratios[ranked[0]] >= _BETTER * ratios[ranked[1]]:
        said.append(
            f"{open_}: {_name(ranked[0])} is taken, with which no atoms are too close; give the operations to be sure"
        )
        return ranked[0]
    why = "the reference setting of International Tables" if left[0].setting else "the more explicit statement"
    said.append(
        f"{open_}: {_name(left[0])} is taken, {why}; give the symmetry operations to be sure ({judge.made(left)})"
    )
    return left[0]


def _open_question(choices: Sequence[Statement]) -> str:
    texts = list(dict.fromkeys(one.text for one in choices))
    if len(texts) == 1:
        return f"{texts[0]} has two origins and the file does not say which"
    return f"{' and '.join(texts)} contradict each other"


def _name(statement: Statement) -> str:
    setting = statement.setting
    if setting is None:
        return statement.text
    return f"choice {setting.origin} ({setting.name})" if setting.origin in ("1", "2") else setting.name


def shortest_in_radii(structure: Structure) -> float:
    """Return the shortest distance of atoms that can be there at once, in sums of their covalent radii (at most 2)."""
    import periodictable

    which = structure.expand().site
    pairs, distances = structure_symmetry.close_pairs(structure.positions(), structure.basis(), _REACH)
    radii = []
    for site in structure.sites:
        element = re.search(r"[A-Z][a-z]?", site.element)
        radius = getattr(periodictable.elements.symbol(element[0]), "covalent_radius", None) if element else None
        radii.append(radius or 1.5)
    size = np.array(radii)[which]
    occ = np.array([site.occ for site in structure.sites])[which]
    i, j = pairs.T
    together = occ[i] + occ[j] > 1.01
    ratios = distances[together] / (size[i] + size[j])[together]
    return float(min(ratios.min(initial=2.0), 2.0))


# --- the symbol


def _result(statement: Statement, block: Block) -> Symmetry:
    text = block.text(*_SYMBOLS)
    return Symmetry(statement.operations, symbol_of(statement, text) or "unknown")


def symbol_of(statement: Statement, text: str) -> str:
    """Return the file's own symbol where it names the operations and nothing else, else the table's, else none."""
    found = structure_operations.settings_of(text) if text else ()
    same = structure_operations.keys(statement.operations)
    meant = [setting for setting in found if structure_operations.keys(setting.operations()) == same]
    if meant and len({setting.origin for setting in found}) == 1 and not meant[0].origin and " " in text:
        return text.replace("_", "")
    if meant:
        return meant[0].name
    setting = statement.setting or structure_operations.find_setting(*statement.operations)
    return setting.name if setting else ""
