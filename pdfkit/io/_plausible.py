"""Whether what a file announces and holds can be: sizes, densities, nearest atoms, values of G.

A structure in nm is 1000 times too dense; in a compound in Bohr every atom has its nearest neighbour at 1.9 times the
length of a bond. Of molecules in empty cells, elements (a cell with one atom to try something out is no error) and
noble gases nothing is said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError
from pdfkit.io._atomic import AnyPath
from pdfkit.structure.species import NOBLE, atomic_mass, covalent_radius
from pdfkit.structure.structure import Structure

# --- What a structure file announces ---------------------------------------------------------------------------------

# "natom 20" and "20*0.0" of abinit, "nat = 20" of espresso.
_COUNT_OF = re.compile(
    r"(?i)\b(?:n?atoms?|nat|ntyp|ntypat|natrd)\b\s{0,20}[=:]?\s{0,20}([0-9]{1,400})|\b([0-9]{5,400})\*"
)

_PROPERTIES = re.compile(r"(?i)properties\s{0,9}=\s{0,9}\"?([\w:]{1,10000})")

# Kinds whose first line is a title, which may be a date.
_TITLED = ("vasp", "gromacs", "cube", "abinit-in")


def short_frames(path: AnyPath, lines: list[str]) -> None:
    """Refuse an xyz file that announces more atoms, or more columns of an atom, than its lines hold.

    A reader makes room for what is announced before it looks at the lines.
    """
    i = 0
    while i < len(lines):
        if i and not lines[i].strip():
            i += 1
            continue
        count = lines[i].split()[0]
        if not (count.isascii() and count.isdigit()):
            raise ReadError(path, f"{count[:40]!r} is not the number of atoms of the next frame: correct it", i + 1)
        follow = max(len(lines) - i - 2, 0)
        if len(count) > 12 or follow < int(count):
            message = f"{count[:20]} atoms are announced and {follow} lines follow: the file is cut short"
            raise ReadError(path, message, i + 1)
        properties = _PROPERTIES.search(lines[i + 1] if follow else "")
        columns = [word[:9] for word in properties[1].split(":")[2::3] if word.isdecimal()] if properties else []
        words = max((len(line.split()) for line in lines[i + 2 : i + 2 + int(count)]), default=0)
        if sum(map(int, columns)) > words:
            message = (
                f"Properties announces {sum(map(int, columns))} columns, the lines of atoms have {words}: correct it"
            )
            raise ReadError(path, message, i + 2)
        i += int(count) + 2


def huge_counts(path: AnyPath, text: str, kind: str) -> None:
    """Refuse a file, of a kind by ase's name, that announces more atoms than it can hold."""
    lines = text.split("\n")
    if kind in ("xyz", "extxyz"):
        short_frames(path, text.rstrip().split("\n"))
        return
    most = max(len(text), 1000)
    for i, line in enumerate(lines[:20]):
        words = line.split()
        # The first line of several formats is a title, which may hold a date; a count on it stands alone.
        counts = words and all(word.isdecimal() for word in words) and (i > 0 or len(words) == 1)
        title = i == 0 and kind in _TITLED
        if counts and not title and sum(map(_whole, words)) > most:
            raise ReadError(
                path,
                f"{line.strip()[:40]!r} announces more atoms than there are: correct it",
                i + 1,
            )
    for i, line in enumerate(lines):
        for found in _COUNT_OF.finditer(line[:2000]):
            if _whole(found[1] or found[2]) > most:
                raise ReadError(
                    path,
                    f"{found[0][:40]!r} announces more atoms than the file holds: correct it",
                    i + 1,
                )


def _whole(word: str) -> float:
    return int(word) if len(word) < 18 else math.inf


# --- Whether what a file holds can be --------------------------------------------------------------------------------

DENSEST = 30.0
"""g/cm³: osmium has 22.7."""

IN_BOHR = (1.5, 2.2)
"""What nearest neighbours in Bohr are apart, in sums of covalent radii; in Å they are 0.8 to 1.15."""

ROOMY = 30.0
"""Å³ an atom: structures in Bohr have more (diamond 38), so that only these are searched for neighbours."""

FEWEST, MOST = 4, 20_000
"""Atoms of which the nearest neighbours tell something, and that are searched soon."""

LARGEST_G = 1e4
"""Å⁻²: the sharpest first peaks reach a few hundred."""


def mass_density(structure: Structure) -> float:
    """Return g/cm³: 1 u/Å³ = 1.66053907 g/cm³."""
    mass = sum(n * atomic_mass(element) for element, n in structure.composition().items())
    return float(mass / structure.volume() * 1.66053907)


def of_structure(structure: Structure) -> list[str]:
    """Return what cannot be true of a crystal, a sentence each."""
    density = mass_density(structure)
    if density > DENSEST:
        return [
            f"its density is {density:.3g} g/cm³, more than any substance has: are lengths in nm, atoms listed twice?"
        ]
    atoms = sum(structure.multiplicities().tolist())
    if structure.volume() < ROOMY * atoms or not FEWEST <= atoms <= MOST:
        return []
    rows, xyz = structure.basis(), structure.positions() % 1.0
    around = np.concatenate([(xyz + k) @ rows for k in product((0, -1, 1), repeat=3)])
    return _all_apart(around, xyz @ rows, [structure.sites[i].element for i in structure.expand().site])


def _all_apart(around: Array, xyz: Array, elements: Sequence[str]) -> list[str]:
    """Say it when every atom has its nearest neighbour among `around` (which begins with xyz) as far off as in Bohr."""
    from scipy.spatial import cKDTree

    if len(set(elements)) == 1 or NOBLE & set(elements):
        return []
    distance, index = cKDTree(around).query(xyz, k=min(9, len(around)))
    distance, index = distance[:, 1:], index[:, 1:] % len(xyz)
    radius = np.array([covalent_radius(element) for element in elements])
    ratio = distance / (radius[:, None] + radius[index])
    nearest = ratio.min(axis=1)
    if not IN_BOHR[0] < nearest.min() <= nearest.max() < IN_BOHR[1]:
        return []
    i, k = divmod(int(np.argmin(ratio)), ratio.shape[1])
    return [
        f"its nearest atoms, {elements[i]} and {elements[index[i, k]]}, are {distance[i, k]:.3g} Å apart, "
        f"{ratio[i, k]:.1f} times the length of a bond: are lengths in Bohr (0.529 Å), or atoms missing?"
    ]


def of_G(G: Array) -> list[str]:
    """Return a sentence where G(r) has values that none has."""
    largest = float(np.abs(G).max(initial=0.0))
    if largest < LARGEST_G:
        return []
    return [f"the values reach {largest:.3g}, too large for G(r) in Å⁻²: check which function it is, unit and scale"]
