"""The blocks of a CIF as plain columns: gemmi's grammar, names in small letters, dots of newer dictionaries as "_"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdfkit.errors import ReadError, StructureError, nearest
from pdfkit.io._atomic import AnyPath
from pdfkit.structure.site import LARGEST

ATOMS = "_atom_site_fract_x"
LABELS = "_atom_site_label"
MISSING = ("?", ".", "")

_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?:\(([0-9]*)\))?")
_FRACTION = re.compile(r"([+-]?[0-9]{1,2})/([1-9][0-9]?)")
_TRIPLE = re.compile(r"(?<=\s)('''|\"\"\")(.*?)\1(?=\s|$)", re.DOTALL)
_BRACKETS = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_COORDINATES = re.compile(r"_atom_site_(fract|cartn)_[xyz]")


@dataclass(frozen=True, eq=False)
class Block:
    """One data block: `items` maps names to their values (one, or a column), `last` is the item it ends with.

    loops : the number of the loop that an item stands in; none for those outside.
    """

    name: str
    items: Mapping[str, list[str]]
    twice: frozenset[str] = frozenset()
    last: str = ""
    loops: Mapping[str, int] = field(default_factory=dict)

    def column(self, item: str) -> list[str]:
        """Return the values of an item, looped or not; empty when it is absent."""
        if item in self.twice:
            raise StructureError(f"{item} is given twice in data_{self.name[:40]}, with different values: keep one")
        return self.items.get(item, [])

    def text(self, *items: str) -> str:
        """Return the first value that one of the items has, blanks collapsed; "" when none has."""
        for item in items:
            values = self.column(item)
            found = " ".join(values[0].split()) if values else ""
            if found not in MISSING:
                return found
        return ""

    def number(self, *items: str) -> float | None:
        """Return the first number that one of the items has; None when none has."""
        text = self.text(*items)
        return number(text, next(item for item in items if self.items.get(item)))[0] if text else None

    def has(self, prefix: str) -> bool:
        """Return whether an item begins like this."""
        return any(item.startswith(prefix) for item in self.items)


def number(text: str, what: str) -> tuple[float | None, float]:
    """Return "5.832(3)" as 5.832 and its standard uncertainty 0.003, "1/3" as a third; None for "?" and "."."""
    if text.strip() in MISSING:
        return None, 0.0
    part = _FRACTION.fullmatch(text.strip())
    if part:
        return int(part[1]) / int(part[2]), 0.0
    found = _NUMBER.fullmatch(text.strip())
    if found is None or not abs(float(found[1])) < LARGEST:
        raise StructureError(f"{what} is {text[:40]!r}: give a number")
    mantissa, _, power = found[1].lower().partition("e")
    digits = len(mantissa.partition(".")[2])
    error = float(found[2]) * 10.0 ** (int(power or 0) - digits) if found[2] and len(found[2]) < 9 else 0.0
    return float(found[1]), error


def read_blocks(path: AnyPath, text: str) -> list[Block]:
    """Return the data blocks of the text of a CIF; ReadError, with the line, when it is none."""
    # Only the names of authors are ever outside ASCII, and the grammar of CIF 1.1 knows nothing else.
    plain = text.encode("ascii", "replace").decode()
    if text.startswith(r"#\#CIF_2.0"):
        plain = _as_cif1(plain)
    return [_block(block) for block in _parse(path, plain)]


def _parse(path: AnyPath, text: str) -> Any:
    from gemmi import cif

    try:
        return cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:
        place = re.match(r"string:([0-9]+)(?::[0-9]+\([0-9]+\))?(?: in \S*)?:?\s*(.*)", str(error), re.DOTALL)
        line, reason = (int(place[1]), place[2]) if place else (None, str(error))
    raise ReadError(path, _complaint(text, line or 1, " ".join(reason.split())[:80]), line)


def _complaint(text: str, line: int, reason: str) -> str:
    if "number of values in loop" in reason:
        head = "\n".join(text.split("\n")[line - 1 :][:40])
        names = re.findall(r"^\s*(_\S+)", head, re.MULTILINE)
        of = f" of {names[0][:40]}" if names else ""
        reason = f"a row of the loop{of} has too few values or too many; was the file cut short?"
    elif reason == "parse error":
        reason = f"at {text.split(chr(10))[line - 1].strip()[:40]!r}"
    elif "block header" in reason:
        reason = "no line data_… before the first item"
    return f"not a CIF that can be parsed ({reason}): check quotes, loops and data_"


def _as_cif1(text: str) -> str:
    """Return CIF 2.0 with its triple quotes as text fields and its lists and tables as "."; neither holds atoms."""
    plain = _TRIPLE.sub(lambda match: "\n;" + match[2].replace("\n;", "\n ;") + "\n;", text)
    for _ in range(20):
        plain, count = _BRACKETS.subn(".", plain)
        if not count:
            break
    return plain


def _block(block: Any) -> Block:
    from gemmi import cif

    items: dict[str, list[str]] = {}
    twice: set[str] = set()
    last = ""
    loops: dict[str, int] = {}
    for count, item in enumerate(block):
        if item.pair is not None:
            columns = {item.pair[0]: [item.pair[1]]}
        elif item.loop is not None:
            width = item.loop.width()
            values = item.loop.values
            columns = {tag: values[k::width] for k, tag in enumerate(item.loop.tags)}
        else:
            continue
        which = count
        for tag, raw in columns.items():
            last = tag.lower().replace(".", "_")
            plain = [cif.as_string(value) if value[:1] in "'\";" else value for value in raw]
            if items.setdefault(last, plain) != plain:
                twice.add(last)
            if item.loop is not None:
                # A second list with the same labels in the same order goes on with the first.
                which = loops.get(LABELS, count) if last == LABELS and last not in twice else which
                loops.setdefault(last, which)
    return Block(block.name.strip(), items, frozenset(twice), last, loops)


def choose(path: AnyPath, blocks: list[Block], wanted: str | None = None) -> tuple[Block, str]:
    """Return the block with atoms that is `wanted` (default the first), and what should be said of the others.

    Raises ReadError when there is none, with what the file is instead.
    """
    if wanted is not None:
        named = [block for block in blocks if block.name.lower() == wanted.strip().removeprefix("data_").lower()]
        if not named:
            names = nearest(wanted, [block.name[:40] for block in blocks], 5)
            raise ReadError(path, f"no data block {wanted[:40]!r}: the nearest are {names or 'none'}")
        _refuse_other_kinds(path, named[:1])
        return named[0], ""
    full = [block for block in blocks if block.items.get(ATOMS)]
    if not full:
        _refuse_other_kinds(path, blocks)
    for block in full[:1]:
        _refuse_other_kinds(path, [block])
    if len(full) == 1:
        return full[0], ""
    others = ", ".join(block.name[:30] for block in full[1:4]) + (", …" if len(full) > 4 else "")
    taken = full[0].name[:30]
    return full[0], f"the file has {len(full)} blocks with atoms: {taken} is taken (block= chooses {others})"


def _refuse_other_kinds(path: AnyPath, blocks: list[Block]) -> None:
    """Raise ReadError, which says what the blocks hold, unless they hold a crystal structure."""
    if any(block.has("_atom_site_moment") or block.has("_space_group_symop_magn") for block in blocks):
        raise ReadError(
            path,
            "a magnetic CIF: moments and magnetic symmetry are not read; give the nuclear structure, a CIF with "
            "_space_group_symop_operation_xyz (without ±1) in the cell of the atoms",
        )
    if any(block.items.get(ATOMS) for block in blocks):
        return
    if any(_COORDINATES.match(item) for block in blocks for item in block.items):
        raise ReadError(
            path,
            "no data block with atoms in fractions of the cell (_atom_site_fract_x): Cartesian coordinates, as of "
            "macromolecules, are not read; give a CIF with fractional coordinates, or a PDB or xyz file",
        )
    raise ReadError(path, f"no data block with atoms ({ATOMS}): give the CIF of a structure")
