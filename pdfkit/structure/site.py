"""Sites of a structure, and the names that files give to atoms and elements."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit.errors import StructureError
from pdfkit.structure.species import VACANCY, Species, base, label_species, occupants, species, symbols, vacancies

__all__ = [
    "B_TO_U",
    "DEFAULT_UISO",
    "LARGEST",
    "NEGATIVE_U",
    "VACANCY",
    "Site",
    "Species",
    "element_symbol",
    "identifier",
    "label_species",
    "missing_U",
    "neutral_symbol",
    "numbered_labels",
    "numbers",
    "occupants",
    "sited",
    "species",
    "unique_labels",
    "vacancies",
]

# U = B/8π².
B_TO_U = 1 / (8 * math.pi**2)
# Å² of an atom of which nothing says how far it is displaced.
DEFAULT_UISO = 0.005
# No length, coordinate or displacement of a crystal comes near; squares of smaller numbers stay finite.
LARGEST = 1e9
# Characters of a label that count.
MOST_LABEL = 200
# U (Å²) of a light or heavy atom that was measured as negative within its error may be this far below 0.
NEGATIVE_U = 0.003


def element_symbol(text: str) -> str:
    """Return the element or isotope in "Cd", "CD", "Cd2+", "Cd1", "62-Ni", "2H" (D); StructureError if none is."""
    return sited(text).element


def neutral_symbol(text: str) -> str:
    """Return the element or isotope in "Cd" or "62-Ni"; StructureError for an ion, where only neutral atoms go."""
    found = sited(text)
    if found.charge:
        raise StructureError(f"{str(text)[:20]!r} is an ion, and these are neutral atoms: give {found.element}")
    return found.element


def sited(text: str) -> Species:
    """Return the species in a symbol, which must be one that can be there; StructureError otherwise."""
    found = species(text)
    if found == VACANCY:
        raise StructureError(f"{str(text)[:20]!r} is a vacancy, which scatters nothing: leave it out")
    return found


def identifier(text: str) -> str:
    """Return `text` as a Python identifier: "O2-" → "O2", "C1'" → "C1_", "1a" → "_1a"."""
    if text.isidentifier() and text.isascii() and len(text) <= MOST_LABEL and not keyword.iskeyword(text):
        return text
    out = re.sub(r"\W", "_", text.strip()[:MOST_LABEL].rstrip("-+"), flags=re.ASCII)
    if not out or out[0].isdigit() or keyword.iskeyword(out):
        out = "_" + out
    return out


U_MISSING = "U is missing for"
"""How a remark on atoms without U begins."""


def missing_U(count: int) -> tuple[str, ...]:
    """Return the remark on atoms without U in a file or an object; none for none."""
    atoms = "1 atom" if count == 1 else f"{count} atoms"
    return (f"{U_MISSING} {atoms}: {DEFAULT_UISO} Å² is assumed",) if count else ()


def unique_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return identifiers that differ from one another: a repeated "Cd" becomes "Cd_2", "Cd_3"."""
    wanted = [identifier(label) for label in labels]
    reserved = set(wanted)
    seen: Counter[str] = Counter()
    out = []
    for label in wanted:
        seen[label] += 1
        name = label
        while seen[label] > 1 and name in reserved:
            name = f"{label}_{seen[label]}"
            seen[label] += name in reserved
        reserved.add(name)
        out.append(name)
    return tuple(out)


def numbered_labels(elements: Sequence[str]) -> tuple[str, ...]:
    """Return Cd1, Cd2, S1, Ni62_1 (of 62-Ni) … for a list of elements."""
    counts: Counter[str] = Counter()
    stems = {element: _stem(element) for element in set(elements)}
    out = []
    for element in elements:
        stem = stems[element]
        counts[stem] += 1
        out.append(f"{stem}{counts[stem]}")
    return tuple(out)


def _stem(element: str) -> str:
    isotope = re.match(r"(\d+)-", element)
    if isotope:
        return f"{base(element)}{isotope[1]}_"
    return re.sub(r"[\d.]*[+-]$", "", element)


@dataclass(frozen=True)
class Site:
    """One site of the asymmetric unit.

    Parameters
    ----------
    label : made a Python identifier; unique within a structure.
    element : a symbol ("Cd", "D") or isotope ("62-Ni", "7Li"), with or without its charge ("Cd2+").
    xyz : fractional. occ : occupancy, 0 to 1.
    U : U11 U22 U33 U12 U13 U23 in Å²; one number stands for Uiso.
    isotropic : U is Uiso·1, given as one number or as U, U, U, 0, 0, 0. Six other numbers are a tensor whatever is
        said here; false keeps U, U, U, 0, 0, 0 as a tensor.
    charge : of the ion in electrons, 0 where none is given. ionic : whether the ion scatters X-rays as such: its
        element is then called "Cd2+", a species of its own.
    shares : label of the site on the same place whose position and U this one has, in fits as well: `mix` of a crystal.

    Raises
    ------
    StructureError : unknown element, occupancy outside [0, 1], a wrong count of numbers or one not finite,
        U11, U22 or U33 below −0.003 Å² (what noise may do to a measured one).

    Example
    -------
    >>> from pdfkit.structure import Site
    >>> alloy = [Site("Cd1", "Cd2+", (0, 0, 0), occ=0.7, U=0.012), Site("Zn1", "Zn", (0, 0, 0), occ=0.3)]
    >>> alloy[0].element, alloy[0].charge, alloy[0].occ, alloy[0].Uiso
    ('Cd', 2, 0.7, 0.012)
    >>> Site("Li1", "7Li", (0, 0, 0)).element
    '7-Li'
    """

    label: str
    element: str
    xyz: tuple[float, float, float]
    occ: float = 1.0
    U: tuple[float, ...] = (0.005, 0.005, 0.005, 0.0, 0.0, 0.0)
    isotropic: bool = True
    charge: float = 0
    ionic: bool = False
    shares: str = ""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        label = identifier(str(self.label))
        set_(self, "label", label)
        if self.element not in symbols() or self.ionic:
            found = sited(str(self.element))
            charge = self.charge or found.charge
            set_(self, "charge", charge)
            set_(self, "element", Species(found.element, charge).ion if self.ionic else found.element)
        set_(self, "xyz", numbers(f"xyz of site {label}", self.xyz, 3))
        set_(self, "occ", _occupancy(label, self.occ))
        given = self.U if isinstance(self.U, tuple) else (self.U,) if np.ndim(self.U) == 0 else tuple(self.U)
        U = numbers(f"U of site {label}", given, 1 if len(given) == 1 else 6)
        if min(U[:3]) < -NEGATIVE_U:
            raise StructureError(f"U of site {label} is {min(U[:3]):g} Å²: a mean-square displacement is positive")
        one = (U[0], U[0], U[0], 0.0, 0.0, 0.0)
        set_(self, "U", one if len(U) == 1 else U)
        set_(self, "isotropic", len(U) == 1 or (bool(self.isotropic) and one == U))

    def moved(self, xyz: tuple[float, float, float], U: tuple[float, ...], occ: float) -> Site:
        """Return this site with other numbers of the same kind (a fit's step); limits of a fit keep U positive."""
        values = {
            "xyz": numbers(f"xyz of site {self.label}", xyz, 3),
            "U": numbers(f"U of site {self.label}", U, 6),
            "occ": _occupancy(self.label, occ),
        }
        out = object.__new__(type(self))
        out.__dict__.update({**self.__dict__, **values})
        return out

    @property
    def symbol(self) -> str:
        """The element, isotope and charge as files write them: "Cd", "62-Ni", "Na1+"."""
        return self.element if self.ionic else Species(self.element, self.charge).ion

    @property
    def Uiso(self) -> float:
        """Uiso in Å² of an isotropic site (`Structure.Uequiv` for any site: it needs the cell)."""
        if not self.isotropic:
            raise StructureError(f"site {self.label} is anisotropic: use Structure.Uequiv({self.label!r})")
        return self.U[0]


def _occupancy(label: str, value: Any) -> float:
    (occ,) = numbers(f"occupancy of site {label}", (value,), 1)
    if not -1e-6 <= occ <= 1 + 1e-6:
        raise StructureError(f"occupancy of site {label} is {occ:g}: give a number from 0 to 1")
    return min(max(occ, 0.0), 1.0)


def numbers(name: str, values: Iterable[Any], count: int) -> tuple[float, ...]:
    """Return values as so many finite numbers; StructureError for anything else."""
    try:
        out = (*[float(value) + 0.0 for value in values],)  # + 0.0 makes −0 a plain 0
    except (TypeError, ValueError):
        raise StructureError(f"{name} is not numeric: give {count} numbers") from None
    if len(out) != count:
        raise StructureError(f"{name} has {len(out)} numbers: give {count}")
    if [value for value in out if not -LARGEST < value < LARGEST]:
        raise StructureError(f"{name} is not finite, or far too large: give finite numbers")
    return out
