"""Sites of a structure, and the names that files give to atoms and elements."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit.errors import StructureError

# No length, coordinate or displacement of a crystal comes near; squares of smaller numbers stay finite.
LARGEST = 1e9
# U (Å²) of a light or heavy atom that was measured as negative within its error may be this far below 0.
NEGATIVE_U = 0.003


@lru_cache(maxsize=1)
def _elements() -> frozenset[str]:
    import periodictable

    return frozenset({element.symbol for element in periodictable.elements} - {"n"} | {"D", "T"})


def element_symbol(text: str) -> str:
    """Return the element in "Cd", "CD", "Cd2+", "O2-", "Cd1", "2H" (D); StructureError if none is."""
    found = re.match(r"\s*(\d*)-?([A-Za-z]+)", text)
    if found:
        mass, name = found.groups()
        two, one = name[:2].capitalize(), name[0].upper()
        # "CA1" is calcium, "Oh" and "OH" an oxygen: two letters count if the second is small or the last.
        if len(name) > 1 and two in _elements() and (name[1].islower() or len(name) == 2):
            return two
        if one in _elements():
            return {"2": "D", "3": "T"}.get(mass, one) if one == "H" else one
        if two in _elements():
            return two
    raise StructureError(f"{text!r} is not an element: give a symbol such as Cd, S or D")


def identifier(text: str) -> str:
    """Return `text` as a Python identifier: "O2-" → "O2", "C1'" → "C1_", "1a" → "_1a"."""
    out = re.sub(r"\W", "_", re.sub(r"[-+]+$", "", text.strip()), flags=re.ASCII)
    if not out or out[0].isdigit() or keyword.iskeyword(out):
        out = "_" + out
    return out


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
    """Return Cd1, Cd2, S1 … for a list of elements."""
    counts: Counter[str] = Counter()
    out = []
    for element in elements:
        counts[element] += 1
        out.append(f"{element}{counts[element]}")
    return tuple(out)


@dataclass(frozen=True)
class Site:
    """One site of the asymmetric unit.

    Parameters
    ----------
    label : made a Python identifier; unique within a structure.
    element : a symbol ("Cd", "D"); charges are dropped.
    xyz : fractional. occ : occupancy, 0 to 1.
    U : U11 U22 U33 U12 U13 U23 in Å²; one number stands for Uiso.
    isotropic : U is Uiso·1, given as one number or as U, U, U, 0, 0, 0. Six other numbers are a tensor whatever is
        said here; false keeps U, U, U, 0, 0, 0 as a tensor.

    Raises
    ------
    StructureError : unknown element, occupancy outside [0, 1], a wrong count of numbers or one not finite,
        U11, U22 or U33 below −0.003 Å² (what noise may do to a measured one).

    Example
    -------
    >>> import pdfkit as pk
    >>> alloy = [pk.Site("Cd1", "Cd2+", (0, 0, 0), occ=0.7, U=0.012), pk.Site("Zn1", "Zn", (0, 0, 0), occ=0.3)]
    >>> alloy[0].element, alloy[0].occ, alloy[0].Uiso
    ('Cd', 0.7, 0.012)
    """

    label: str
    element: str
    xyz: tuple[float, float, float]
    occ: float = 1.0
    U: tuple[float, ...] = (0.005, 0.005, 0.005, 0.0, 0.0, 0.0)
    isotropic: bool = True

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        label = identifier(str(self.label))
        set_(self, "label", label)
        if self.element not in _elements():
            set_(self, "element", element_symbol(str(self.element)))
        set_(self, "xyz", numbers(f"xyz of site {label}", self.xyz, 3))
        set_(self, "occ", _occupancy(label, self.occ))
        given = (self.U,) if np.ndim(self.U) == 0 else tuple(self.U)
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
    try:
        out = tuple(float(value) + 0.0 for value in values)  # + 0.0 makes −0 a plain 0
    except (TypeError, ValueError):
        raise StructureError(f"{name} is not numeric: give {count} numbers") from None
    if len(out) != count:
        raise StructureError(f"{name} has {len(out)} numbers: give {count}")
    if not all(abs(value) < LARGEST for value in out):
        raise StructureError(f"{name} is not finite, or out of any scale: give numbers")
    return out
