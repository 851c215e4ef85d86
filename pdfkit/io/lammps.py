"""Data files of LAMMPS, of one box: atoms have numbers of types, and masses tell which elements these are.

Positions are read by ase, which knows styles of atoms, tilted boxes and image flags. Its guess of an element takes the
nearest mass, which makes nitrogen of a united CH2 and helium of type 2: here a mass must be that of an element.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import takewhile
from typing import Any

from pdfkit.errors import ReadError
from pdfkit.io._atomic import AnyPath
from pdfkit.structure.species import atomic_mass, symbols

# Share of a mass that rounding may take: 112.4 is cadmium, 14.027 (CH2) no nitrogen.
SAME_MASS = 1e-3
_COUNT = re.compile(r"(?m)^[ \t]*(\d+)[ \t]+atoms[ \t]*(?:#.*)?$")
_BOX = re.compile(r"(?m)\bxlo[ \t]+xhi\b|\bavec\b")
_ROW = re.compile(r"\s*(\d+)\s+([\d.eE+-]+)\s*(?:#\s*(\S+))?")
_UNITS = re.compile(r"(?i)\bunits\s*=\s*(\w+)")


def is_data(text: str) -> bool:
    """Return whether a text is a data file of LAMMPS."""
    head = text[:5000]
    return _COUNT.search(head) is not None and _BOX.search(head) is not None


def refuse_data(path: AnyPath, text: str) -> None:
    """Refuse a data file that is not in Å, or announces more atoms than it has lines."""
    units = _UNITS.search(text.partition("\n")[0])
    if units and units[1].lower() not in ("real", "metal"):
        raise ReadError(path, f"units {units[1][:20]!r} are not Å: convert the file to units real or metal", 1)
    count = _COUNT.search(text)
    if count is not None and (len(count[1]) > 9 or int(count[1]) > text.count("\n")):
        line = text.count("\n", 0, count.start(1)) + 1
        raise ReadError(path, f"{count[1][:20]} atoms are announced, and there are fewer lines: is it complete?", line)


def elements(path: AnyPath, text: str, atoms: Any) -> list[str]:
    """Return the element of each of the `ase.Atoms` of a data file, by the masses of their types."""
    masses = dict(_masses(text))
    of_type = {
        int(kind): _element(path, int(kind), *masses.get(int(kind), (0.0, ""))) for kind in set(atoms.arrays["type"])
    }
    return [of_type[int(kind)] for kind in atoms.arrays["type"]]


def _masses(text: str) -> Iterator[tuple[int, tuple[float, str]]]:
    """Yield the types with their masses, and the word behind these."""
    found = re.search(r"(?m)^[ \t]*Masses\b.*$", text)
    lines = iter(text[found.end() :].split("\n")) if found else iter(())
    rows = (_ROW.match(line) for line in lines if line.strip())
    for row in takewhile(lambda row: row is not None, rows):
        if row is not None:
            yield int(row[1]), (float(row[2]), row[3] or "")


def _element(path: AnyPath, kind: int, mass: float, word: str) -> str:
    """Return the element that a mass (u) is of: the one that the word behind it names, if it is of both."""
    near = [one for one, other in _known() if abs(mass - other) <= SAME_MASS * other]
    if word in near:
        return word
    if len(near) != 1:
        what = f"has the mass {mass:g} u, which is not that of one element" if mass else "has no mass"
        raise ReadError(
            path, f"type {kind} {what}, so that nothing tells what it is: give masses of elements (Masses), in u"
        )
    return near[0]


@lru_cache(maxsize=1)
def _known() -> tuple[tuple[str, float], ...]:
    """Return all elements, with D and T, and their masses (u)."""
    return tuple((one, atomic_mass(one)) for one in symbols())
