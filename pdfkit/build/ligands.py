"""Ligands: what their atoms are, where they lie, which of them bind, and what charge they carry.

Coordinates are made of standard bond lengths and angles, row by row from three atoms before: length, angle, torsion.

| ligand | formula | binds by |
|---|---|---|
| `Cl`, `H` | Cl⁻; H⁻ on cations, H⁺ on anions | the atom, to one or two of the core |
| `formate`, `acetate`, `benzoate`, `phenylacetate`, `oleate` | R–COO⁻ | both O, to one cation or two |
| `water`, `ammonia`, `methylamine` | neutral | O or N, to one |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError, StructureError, nearest
from pdfkit.structure.species import covalent_radius

BONDED = 1.25
"""Two atoms of a ligand are bonded up to this multiple of the sum of their covalent radii."""
SINGLE = 1.42
"""Å: about bonds of C, N, O longer than this, a ligand turns."""


@dataclass(frozen=True, eq=False)
class Ligand:
    """One ligand.

    symbols (n,), xyz (n, 3) in Å; anchors : the atoms that bind, one or two. charge : in electrons.

    Raises StructureError for anchors that are not there.
    """

    name: str
    symbols: tuple[str, ...]
    xyz: Array
    anchors: tuple[int, ...]
    charge: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "xyz", _checks.array("xyz", self.xyz, ndim=2))
        if (
            len(set(self.anchors)) != len(self.anchors)
            or len(self.anchors) not in (1, 2)
            or not all(0 <= k < len(self.symbols) for k in self.anchors)
        ):
            raise StructureError(
                f"anchors = {self.anchors}: name one or two of the {len(self.symbols)} atoms of {self.name}"
            )

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def steps(self) -> IntArray:
        """Bonds between each two atoms (n, n), along the shortest way; n where there is none."""
        from scipy.sparse.csgraph import shortest_path

        radii = np.array([covalent_radius(symbol) for symbol in self.symbols])
        near = self.distances < BONDED * (radii[:, None] + radii) * ~np.eye(len(self), dtype=np.bool_)
        found = shortest_path(near, unweighted=True)
        return np.asarray(np.where(np.isfinite(found), found, len(self)), dtype=np.int64)

    @cached_property
    def distances(self) -> Array:
        """Å between each two atoms (n, n)."""
        return np.asarray(np.linalg.norm(self.xyz[:, None] - self.xyz, axis=2))

    @cached_property
    def stiff(self) -> NDArray[np.bool_]:
        """Which distances are kept: those over one or two bonds, and over more where no single bond lies between."""
        turns = (self.steps == 1) & (self.distances > SINGLE) & ~self._in_rings()
        rigid = (self.steps == 1) & ~turns
        from scipy.sparse.csgraph import connected_components

        _, part = connected_components(rigid)
        # The neighbours of a rigid part move with it: the ends of a double bond, the substituents of a ring.
        member = part[:, None] == np.arange(part.max() + 1)
        heavy = member & ~(np.array(self.symbols) == "H")[:, None]
        around = member | ((self.steps == 1).astype(np.int64) @ heavy > 0)
        wide = around[:, heavy.sum(axis=0) > 1].astype(np.int64)
        return np.asarray(((self.steps <= 2) | (wide @ wide.T > 0)) & ~np.eye(len(self), dtype=np.bool_))

    def _in_rings(self) -> NDArray[np.bool_]:
        """Return which bonds (n, n) are part of a ring: their ends stay joined without them."""
        from scipy.sparse.csgraph import connected_components

        out = np.zeros_like(self.distances, dtype=np.bool_)
        for i, j in zip(*np.nonzero(np.triu(self.steps == 1)), strict=True):
            cut = self.steps == 1
            cut[i, j] = cut[j, i] = False
            _, part = connected_components(cut)
            out[i, j] = out[j, i] = part[i] == part[j]
        return out


# --- Ligands by name -------------------------------------------------------------------------------------------------

C_O, C_C, C_H, RING, ALKENE = 1.26, 1.51, 1.09, 1.395, 1.335
TETRAHEDRAL = math.degrees(math.acos(-1 / 3))
CHAIN = 113.0
"""Degrees: angle C–C–C of an alkyl chain."""
CARBOXYLATES = ("formate", "acetate", "benzoate", "phenylacetate", "oleate")
NEUTRAL = ("water", "ammonia", "methylamine")
NAMES = (*CARBOXYLATES, "Cl", "H", *NEUTRAL)

Row = tuple[str, int, int, int, float, float, float]


def ligand_of(given: Any, *, charge: int | None = None, anchors: Sequence[int] | None = None) -> Ligand:
    """Return the ligand of a name, an `ase.Atoms` or a `Ligand`.

    charge, anchors : of a molecule of one's own; for a carboxylate that is recognised (two O at one C, an H on one of
    them left out) −1 and its two O.

    Raises PdfkitError for a name that is not known and for a molecule whose charge or binding atoms are not.
    """
    if isinstance(given, Ligand):
        return given
    if isinstance(given, str):
        return _with_charge(_named(given), charge)
    if type(given).__module__.startswith("ase."):
        return _molecule(given, charge, anchors)
    raise PdfkitError(
        f"a ligand of type {type(given).__name__} is not understood: give a name ({', '.join(NAMES)}) or an ase.Atoms"
    )


def _with_charge(known: Ligand, charge: int | None) -> Ligand:
    """Return a ligand whose charge is known, H with either sign; PdfkitError where another charge is wanted of it."""
    if charge is None or charge == known.charge:
        return known
    if known.name == "H" and charge == 1:
        return replace(known, charge=1)
    remedy = f"neutral ones are {', '.join(NEUTRAL)}" if charge == 0 else "leave ligand_charge out"
    raise PdfkitError(
        f"{known.name} binds with the charge {known.charge:+d}, and is wanted with {charge}: {remedy}, or give an "
        "ase.Atoms with charge and anchors of its own"
    )


def _named(name: str) -> Ligand:
    if name not in NAMES:
        raise PdfkitError(
            f"ligand {name[:40]!r} is not known (the nearest are {nearest(name, NAMES)}): choose one of "
            f"{', '.join(NAMES)}, or give an ase.Atoms from Python"
        )
    if name in ("Cl", "H"):
        return Ligand(name, (name,), np.zeros((1, 3)), (0,), -1)
    rows = _rows(name)
    anchors = (1, 2) if name in CARBOXYLATES else (0,)
    return Ligand(name, tuple(row[0] for row in rows), _placed(rows), anchors, -1 if name in CARBOXYLATES else 0)


def _rows(name: str) -> list[Row]:
    """Return the atoms of a ligand: symbol; bonded to, angle with, torsion with; length, angle, torsion."""
    if name in NEUTRAL:
        return _small(name)
    rows: list[Row] = [("C", 0, 0, 0, 0, 0, 0), ("O", 0, 0, 0, C_O, 0, 0), ("O", 0, 1, 0, C_O, 122, 0)]
    if name == "formate":
        return [*rows, ("H", 0, 1, 2, C_H, 119, 180)]
    rows.append(("C", 0, 1, 2, C_C, 119, 180))
    if name == "benzoate":
        return _phenyl(rows, 3, 0, 1)
    rows += [("H", 3, 0, 1, C_H, TETRAHEDRAL, turn) for turn in (60, -60)]
    if name == "acetate":
        return [*rows, ("H", 3, 0, 1, C_H, TETRAHEDRAL, 180)]
    if name == "phenylacetate":
        rows.append(("C", 3, 0, 1, C_C, CHAIN, 180))
        return _phenyl(rows, 6, 3, 0)
    return _oleyl(rows)


def _phenyl(rows: list[Row], first: int, before: int, earlier: int) -> list[Row]:
    """Return the rows with a benzene ring begun by the atom `first`, which hangs on `before`."""
    n = len(rows)
    ring = [first, *range(n, n + 5)]
    out = [*rows, ("C", first, before, earlier, RING, 120, 90)]
    out.append(("C", n, first, before, RING, 120, 180))
    out += [("C", ring[k], ring[k - 1], ring[k - 2], RING, 120, 0) for k in (2, 3, 4)]
    out += [("H", ring[k], ring[k - 1], ring[k - 2], C_H, 120, 180) for k in (2, 3, 4, 5)]
    return [*out, ("H", n, first, before, C_H, 120, 0)]


def _oleyl(rows: list[Row]) -> list[Row]:
    """Return the rows of oleate: C18, cis double bond between C9 and C10, the rest of the chain stretched."""
    chain, out = [0, 3], list(rows)
    for number in range(3, 19):
        double = number == 10
        turn = 0 if number == 11 else 180
        angle = 125.0 if number in (10, 11) else CHAIN
        third = chain[-3] if len(chain) > 2 else 1
        out.append(("C", chain[-1], chain[-2], third, ALKENE if double else 1.53, angle, turn))
        chain.append(len(out) - 1)
    for k in range(2, 18):
        atom, before, earlier = chain[k], chain[k - 1], chain[k - 2]
        if k in (8, 9):  # C9 and C10, flat
            out.append(("H", atom, before, earlier, C_H, 117, 0 if k == 8 else 180))
            continue
        turns = (60, -60) if k < 17 else (60, -60, 180)
        out += [("H", atom, before, earlier, C_H, TETRAHEDRAL, turn) for turn in turns]
    return out


def _small(name: str) -> list[Row]:
    if name == "water":
        return [("O", 0, 0, 0, 0, 0, 0), ("H", 0, 0, 0, 0.96, 0, 0), ("H", 0, 1, 0, 0.96, 105, 0)]
    rows: list[Row] = [("N", 0, 0, 0, 0, 0, 0), ("H", 0, 0, 0, 1.01, 0, 0), ("H", 0, 1, 0, 1.01, 107, 0)]
    if name == "ammonia":
        return [*rows, ("H", 0, 1, 2, 1.01, 107, 115)]
    rows.append(("C", 0, 1, 2, 1.47, 110, 120))
    return [*rows, *(("H", 3, 0, 1, C_H, TETRAHEDRAL, turn) for turn in (60, 180, -60))]


def _placed(rows: Sequence[Row]) -> Array:
    """Return positions (n, 3) in Å: the first at the origin, the second along x, the third in the plane of x and y."""
    xyz = np.zeros((len(rows), 3))
    for k, (_, bonded, second, third, length, angle, torsion) in enumerate(rows):
        if k == 1:
            xyz[1, 0] = length
        if k == 2:
            xyz[2] = xyz[bonded] + length * np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle)), 0])
        if k > 2:
            xyz[k] = _next(xyz[third], xyz[second], xyz[bonded], (length, angle, torsion))
    return xyz


def _next(a: Array, b: Array, c: Array, how: tuple[float, float, float]) -> Array:
    """Return where an atom lies that is bonded to c: length, angle with b, torsion with a (degrees)."""
    length, angle, torsion = how[0], math.radians(how[1]), math.radians(how[2])
    axis = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, axis)
    normal /= np.linalg.norm(normal)
    across = np.cross(normal, axis)
    along, aside = -math.cos(angle), math.sin(angle)
    return np.asarray(c + length * (along * axis + aside * (math.cos(torsion) * across + math.sin(torsion) * normal)))


# --- Molecules of one's own ------------------------------------------------------------------------------------------


def _molecule(atoms: Any, charge: int | None, anchors: Sequence[int] | None) -> Ligand:
    """Return the ligand of an `ase.Atoms`."""
    symbols, xyz = tuple(atoms.get_chemical_symbols()), atoms.get_positions()
    name = str(atoms.get_chemical_formula())
    if anchors is not None and charge is not None:
        if isinstance(anchors, (str, Mapping)) or not isinstance(anchors, Iterable):
            raise PdfkitError(f"anchors = {_checks.short(anchors)}: give the one or two atoms that bind, such as [0]")
        bound = tuple(_checks.whole("anchors", k, low=0, high=max(0, len(symbols) - 1)) for k in anchors)
        net = _checks.whole("ligand_charge", charge, low=-9, high=9)
        own = Ligand(name, symbols, xyz, bound, net)
        _check_protons(own, int(atoms.get_atomic_numbers().sum()) - net)
        return own
    found = _carboxyl(Ligand(name, symbols, xyz, (0,), 0))
    if found is None or anchors is not None:
        raise PdfkitError(
            f"{name} is not recognised as a carboxylate: give ligand_charge= (electrons) and anchors= (the one or two "
            "atoms that bind, counted from 0)"
        )
    oxygens, acid = found
    kept = [k for k in range(len(symbols)) if k not in acid]
    bound = tuple(kept.index(k) for k in oxygens)
    if int(atoms.get_atomic_numbers()[kept].sum()) % 2 == 0:
        raise PdfkitError(
            f"{name} is no carboxylate: with the charge −1 it would have an odd number of electrons; give an acid or "
            "its anion, such as CH3COOH, or ligand_charge= and anchors="
        )
    return _with_charge(Ligand(name, tuple(symbols[k] for k in kept), xyz[kept], bound, -1), charge)


def _check_protons(ligand: Ligand, electrons: int) -> None:
    """Refuse an anion with an H on an atom that binds and an odd number of electrons: it has a proton too many."""
    acid = any(ligand.symbols[h] == "H" for k in ligand.anchors for h in np.flatnonzero(ligand.steps[k] == 1))
    if electrons % 2 and acid and ligand.charge < 0:
        raise PdfkitError(
            f"{ligand.name} with the charge {ligand.charge:+d} has an odd number of electrons, and an H on an atom "
            "that binds: give the ion without the proton that it loses (CH3S of CH3SH), or the right charge"
        )


def _carboxyl(ligand: Ligand) -> tuple[list[int], list[int]] | None:
    """Return the two O of the only carboxyl group, and the H on them; None where there is none or are several."""
    symbols = np.array(ligand.symbols)
    bonded = ligand.steps == 1
    groups = []
    for carbon in np.flatnonzero(symbols == "C"):
        oxygens = [
            k for k in np.flatnonzero(bonded[carbon] & (symbols == "O")) if set(symbols[bonded[k]]) <= {"C", "H"}
        ]
        acid = [int(h) for k in oxygens for h in np.flatnonzero(bonded[k] & (symbols == "H"))]
        single = all((symbols[bonded[k]] == "C").sum() == 1 for k in oxygens)
        if len(oxygens) == 2 and single and len(acid) <= 1:
            groups.append(([int(k) for k in oxygens], acid))
    return groups[0] if len(groups) == 1 else None
