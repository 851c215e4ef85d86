"""The atoms of a CIF: labels, species, occupancies, and displacements in every form that files give them."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import StructureError
from pdfkit.io.cif.blocks import ATOMS, MISSING, Block, number
from pdfkit.structure import symmetry
from pdfkit.structure.operations import Operations
from pdfkit.structure.site import B_TO_U, DEFAULT_UISO, U_MISSING, Site, unique_labels
from pdfkit.structure.species import Species, base, label_isotope, occupants, vacancies

# An atom this close (Å) to a special position has its tensor completed by the symmetry of that position.
NEAR = 0.1

INDICES = ("11", "22", "33", "12", "13", "23")
_TENSOR = re.compile(r"_atom_site_aniso(?:trop)?_(u|b|beta)_?\[?([123])\]?\[?([123])\]?")
_WATER = re.compile(r"(?:Wat|O-?H|O-?W|H2O)[0-9]{0,2}[A-Za-z]?", re.IGNORECASE)
_ANISOTROPIC = ("uani", "bani")
_ISOTROPIC = ("uiso", "biso", "uovl", "bovl", "umpe", "bmpe")

Tensor = tuple[float | None, ...]


@dataclass(frozen=True)
class Atom:
    """An atom as the file has it: its own name, `U` from U_iso_or_equiv or B, `tensor` with None where it has none.

    by_formula : its element is one of the file's formula that its label begins with, which is still to be confirmed.
    """

    name: str
    label: str
    element: str
    xyz: tuple[float, float, float]
    occ: float
    kind: str
    U: float | None
    tensor: Tensor | None = None
    by_formula: bool = False

    def site(self, U: Sequence[float] = (DEFAULT_UISO,)) -> Site:
        """Return the site with Uiso, or with U11 U22 U33 U12 U13 U23."""
        return Site(self.label, self.element, self.xyz, self.occ, tuple(U), len(U) == 1)


@dataclass(frozen=True)
class _Rows:
    """The rows of the list of atoms."""

    block: Block
    count: int

    def text(self, i: int, *items: str) -> str:
        for item in items:
            value = self.raw(i, item)
            if value not in MISSING:
                return value
        return ""

    def raw(self, i: int, item: str) -> str:
        """Return what stands in a row, "" where nothing does."""
        values = self._column(item)
        return values[i] if i < len(values) else ""

    @lru_cache(maxsize=64)  # noqa: B019 - rows live for one file
    def _column(self, item: str) -> list[str]:
        """Return the values of an item row by row; by the label where it stands in another loop than the positions."""
        name, loops = f"_atom_site_{item}", self.block.loops
        values = [value.strip() for value in self.block.column(name)]
        if not values or loops.get(name) == loops.get(ATOMS) or self.count == 1:
            return values
        labels = [other for other in loops if loops[other] == loops.get(name) and "label" in other]
        if not labels:
            raise StructureError(f"{name} is outside the list of atoms and has no labels: add the label of each atom")
        there, here = [label.strip() for label in self.block.column(labels[0])], self._names()
        if there == here:
            return values
        by_label = dict(zip(there, values, strict=False))
        if any(by_label[label] != value for label, value in zip(there, values, strict=False)):
            raise StructureError(f"{name} has two values for one label: give each site a label of its own")
        return [by_label.get(label, "") for label in here]

    def _names(self) -> list[str]:
        return [self.text(i, "label", "type_symbol") for i in range(self.count)]

    def coordinate(self, i: int, x: str, name: str) -> float:
        """Return a coordinate, NaN where there is none. A point is 0, the default of the dictionary (ICSD has them)."""
        text = self.raw(i, f"fract_{x}")
        value = 0.0 if text == "." else number(text, f"fract_{x} of {name[:40]}")[0]
        return math.nan if value is None else value

    def number(self, i: int, item: str, name: str) -> tuple[float | None, float]:
        return number(self.text(i, item), f"{item} of {name[:40]}")


def read_atoms(block: Block, rows: Array, said: list[str]) -> list[Atom]:
    """Return the atoms of a block; `rows` are a, b, c in Å. What was assumed or left out is added to `said`."""
    table = _Rows(block, len(block.column("_atom_site_fract_x")))
    kept = _kept(table, said)
    names = [table.text(i, "label", "type_symbol") or f"atom {i + 1}" for i in kept]
    fluid: list[str] = []
    known = _elements(block)
    found = [
        one
        for i, name in zip(kept, names, strict=True)
        for one in _there(i, name, table.text(i, "type_symbol"), _occupancy(table, i, name, fluid), known, said)
    ]
    atoms = []
    for one, label in zip(found, unique_labels(_labels(found)), strict=True):
        i, name = one.row, one.name
        x, y, z = (table.coordinate(i, axis, name) for axis in "xyz")  # Site refuses what is missing
        kind = table.text(i, "adp_type", "thermal_displace_type").lower()
        atom = Atom(
            name, label, one.species.ion, (x, y, z), one.occ, kind, _isotropic(table, i, name), None, one.by_formula
        )
        if math.isnan(x + y + z):
            atom.site()  # which refuses it
        atoms.append(atom)
    if fluid:
        said.append(f"the occupancy of {_shown(fluid)} is outside 0 to 1 by less than its uncertainty: 0 or 1 is taken")
    there = {one.row for one in found}
    said += vacancies(Counter(name for i, name in zip(kept, names, strict=True) if i not in there))
    _check_alternatives(table, [one.row for one in found], atoms)
    every = [table.text(i, "label", "type_symbol") or f"atom {i + 1}" for i in range(table.count)]
    tensors = _matched(atoms, _tensors(block, rows, every), said)
    return [replace(atom, tensor=tensor) for atom, tensor in zip(atoms, tensors, strict=True)]


def _kept(table: _Rows, said: list[str]) -> list[int]:
    """Return the indices of the atoms that are there: no dummies, none without coordinates."""
    dummies, lost, kept = [], [], []
    points = _zeros_are_points(table, said)
    for i in range(table.count):
        name = table.text(i, "label", "type_symbol") or f"atom {i + 1}"
        if table.text(i, "calc_flag").lower() == "dum":
            dummies.append(name)
        elif not any(table.text(i, f"fract_{x}") for x in "xyz") and not (points and table.raw(i, "fract_x") == "."):
            lost.append(name)
        else:
            kept.append(i)
    attached = [table.text(i, "attached_hydrogens") for i in kept]
    hydrogens = sum(int(text) for text in attached if re.fullmatch("[0-9]{1,2}", text))
    if hydrogens:
        said.append(
            f"{hydrogens} hydrogen atoms are attached to sites but not listed: they are missing from the structure"
        )
    if dummies:
        said.append(f"{_shown(dummies)}: left out as dummy (calc_flag dum)")
    if lost:
        said.append(f"{_shown(lost)}: left out, without coordinates in the file")
    return kept


def _zeros_are_points(table: _Rows, said: list[str]) -> bool:
    """Return whether a point stands for 0 among the coordinates; which is so where it stands beside numbers."""
    for i in range(table.count):
        row = [table.raw(i, f"fract_{x}") for x in "xyz"]
        if "." in row and any(text not in MISSING for text in row):
            said.append("a coordinate given as '.' is read as 0, the default of the CIF dictionary")
            return True
    return False


@dataclass(frozen=True)
class _There:
    """What is on the site of a row: one of several where the symbol is a mixture."""

    row: int
    name: str
    species: Species
    occ: float
    by_formula: bool = False


def _elements(block: Block) -> frozenset[str]:
    """Return the elements of the file's sum formula; none where it has none."""
    from pdfkit.io.cif.checks import formula_of

    formula = formula_of(block)
    return frozenset(formula.counts if formula else ())


def _there(i: int, name: str, symbol: str, occ: float, known: frozenset[str], said: list[str]) -> list[_There]:
    """Return what is on the site of a row: what the type symbol says; the label's isotope is its own."""
    try:
        found = occupants(symbol, occ, label=name, known=known)
    except StructureError:
        element = "" if symbol else _element_of_formula(name, known)
        if not element:
            raise
        return [_There(i, name, Species(element), occ, True)]
    if symbol and len(found) == 1 and (named := label_isotope(name, found[0][0].element)):
        text = f"{name[:20]} names an isotope, its type symbol {symbol[:20]} does not: {named} is used"
        said += [] if text in said else [text]
        found = ((replace(found[0][0], element=named), found[0][1]),)
    if symbol and found and found[0][0].element == "H" and re.fullmatch(r"D\d{0,3}", name):
        text = (
            "a label names deuterium, its type symbol is H: H is used; give D as the type symbol if deuterium is meant"
        )
        said += [] if text in said else [text]
    return [_There(i, name, *one) for one in found]


def _element_of_formula(label: str, known: frozenset[str]) -> str:
    """Return the element of the file's formula that a mineral's label begins with: MgM1, OA1, Wat (its oxygen)."""
    if _WATER.fullmatch(label) and {"O", "H"} <= known:
        return "O"
    found = re.match(r"([A-Z][a-z]?)(?=[A-Z(])", label)
    two = label[:2].isupper() and label[:2].capitalize() in known  # CA1 beside calcium
    return found[1] if found and found[1] in known - {"H"} and not two else ""


def _labels(found: Sequence[_There]) -> list[str]:
    """Return the wanted labels: a number alone gets its element, and so does each part of a mixture."""
    parts = Counter(one.row for one in found)
    out = []
    for one in found:
        name = base(one.species.element) + one.name if one.name.isdecimal() else one.name
        out.append(name if parts[one.row] == 1 else f"{name}_{base(one.species.element)}")
    return out


def _occupancy(table: _Rows, i: int, name: str, fluid: list[str]) -> float:
    occ, error = table.number(i, "occupancy", name)
    if occ is None:
        return 1.0
    nearest = min(max(occ, 0.0), 1.0)
    if 1e-6 < abs(occ - nearest) <= error * (1 + 1e-9):
        fluid.append(name)
        return nearest
    return occ


def _isotropic(table: _Rows, i: int, name: str) -> float | None:
    U, _ = table.number(i, "u_iso_or_equiv", name)
    if U is not None:
        return U
    B, _ = table.number(i, "b_iso_or_equiv", name)
    return None if B is None else B * B_TO_U


def _check_alternatives(table: _Rows, kept: Sequence[int], atoms: Sequence[Atom]) -> None:
    """Refuse alternatives of one disordered assembly that are all fully there."""
    most: dict[str, dict[str, float]] = defaultdict(dict)
    for i, atom in zip(kept, atoms, strict=True):
        group = table.text(i, "disorder_group")
        if group not in ("", "0") and not group.startswith("-"):
            groups = most[table.text(i, "disorder_assembly")]
            groups[group] = max(atom.occ, groups.get(group, 0.0))
    for assembly, groups in most.items():
        if len(groups) > 1 and sum(groups.values()) > 1.01 and max(groups.values()) > 0.99:
            raise StructureError(
                f"the disorder groups {_shown(list(groups))} of assembly {assembly[:20] or '.'} are alternatives, but "
                f"together they put {sum(groups.values()):g} atoms on each position: give their occupancies"
            )


# --- tensors


@dataclass(frozen=True)
class _Listed:
    label: str
    values: Tensor


def _tensors(block: Block, rows: Array, names: Sequence[str]) -> list[_Listed]:
    """Return the rows of the anisotropic list in Å² of U, None for a value that is missing."""
    columns: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
    for item in block.items:
        found = _TENSOR.fullmatch(item)
        if found:
            letter, i, j = found.groups()
            columns[letter].append((INDICES.index("".join(sorted(i + j))), block.column(item)))
    labels = block.column("_atom_site_aniso_label") or block.column("_atom_site_anisotrop_type_symbol") or list(names)
    units = dict(zip(["u", "b", "beta"], _units(rows), strict=True))
    out = []
    for k, label in enumerate(labels):
        values: list[float | None] = [None] * 6
        for letter in ("beta", "b", "u"):  # U wins
            for p, texts in columns[letter]:
                what = f"{letter.upper() if letter != 'beta' else letter}{INDICES[p]} of {label[:40]}"
                value = number(texts[k], what)[0] if k < len(texts) else None
                values[p] = values[p] if value is None else value * float(units[letter][p])
        if any(value is not None for value in values):
            out.append(_Listed(label.strip(), tuple(values)))
    return out


def _units(rows: Array) -> tuple[Array, Array, Array]:
    """Return what U, B and beta are multiplied by: U = B/8π², U_ij = β_ij/(2π² a*_i a*_j)."""
    star = symmetry.reciprocal_lengths(rows)
    beta = np.array([1 / (2 * math.pi**2 * star[i] * star[j]) for i, j in symmetry.VOIGT])
    return np.ones(6), np.full(6, B_TO_U), beta


def _matched(atoms: Sequence[Atom], listed: Sequence[_Listed], said: list[str]) -> list[Tensor | None]:
    """Return the tensor of each atom by its label, in other capitals or without marks ("O-h1", "Oh1") if need be.

    Raises StructureError where labels leave it open.
    """
    known = {atom.name for atom in atoms}
    alike = defaultdict(list)
    for name in known:
        alike[_plain(name)].append(name)
    by_label: dict[str, list[Tensor]] = defaultdict(list)
    exact = {row.label for row in listed} & known
    for row in listed:
        others = [name for name in alike[_plain(row.label)] if name not in exact]
        by_label[others[0] if row.label not in known and len(others) == 1 else row.label].append(row.values)
    out: list[Tensor | None] = [None] * len(atoms)
    for label, tensors in by_label.items():
        for i, tensor in _owners(label, atoms, tensors, said):
            out[i] = tensor
    lost = [label for label in by_label if label not in known]
    if lost:
        said.append(f"the anisotropic list has {_shown(lost)}, but no site has that label: not used")
    return out


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9]", "", label.lower())


def _owners(label: str, atoms: Sequence[Atom], tensors: Sequence[Tensor], said: list[str]) -> list[tuple[int, Tensor]]:
    """Return which atoms (indices) of one label the tensors of that label belong to."""
    called = [i for i, atom in enumerate(atoms) if atom.name == label]
    if len(set(tensors)) == 1 and len({atoms[i].xyz for i in called}) <= 1:
        return [(i, tensors[0]) for i in called]  # one place, which several species may share
    anisotropic = [i for i in called if atoms[i].kind in _ANISOTROPIC]
    for owners in (called, anisotropic):
        if len(owners) == len(tensors):
            said.append(f"{len(called)} sites are called {label[:40]}: their tensors are taken in the file's order")
            return list(zip(owners, tensors, strict=True))
    raise StructureError(
        f"{len(called)} sites are called {label[:40]}, with {len(tensors)} tensors: give each site a label of its own"
    )


# --- sites


def sites(atoms: Sequence[Atom], rows: Array, operations: Operations, said: list[str]) -> tuple[Site, ...]:
    """Return the sites with their displacements; what was assumed of these is added to `said`.

    Components that a tensor lacks follow from the site symmetry, if that fixes them; otherwise U_iso_or_equiv is
    taken, or StructureError raised.
    """
    reasons: dict[str, list[str]] = defaultdict(list)
    out = []
    for atom in atoms:
        U, reason = _displacement(atom, rows, operations)
        if reason:
            reasons[reason].append(atom.name)
        out.append(atom.site(U))
    said += [reason.format(_shown(names)) for reason, names in reasons.items()]
    return tuple(out)


def _displacement(atom: Atom, rows: Array, operations: Operations) -> tuple[tuple[float, ...], str]:
    """Return Uiso or the tensor of an atom, and what should be said of it ("" for nothing)."""
    if atom.tensor is None or (atom.kind in _ISOTROPIC and atom.U is not None):
        return _isotropic_displacement(atom)
    known = tuple(value for value in atom.tensor if value is not None)
    if len(known) == 6:
        return known, ""
    completed = complete(atom.tensor, np.array(atom.xyz), rows, operations)
    if completed is not None:
        return completed, "components that the tensor of {} lacks follow from the site symmetry"
    if atom.U is not None:
        return (atom.U,), "the tensor of {} lacks components that symmetry leaves free: U_iso_or_equiv is taken"
    lacking = ", ".join("U" + INDICES[p] for p, value in enumerate(atom.tensor) if value is None)
    raise StructureError(f"{lacking} of {atom.name[:40]} is missing, and symmetry leaves it free: give it, or U_iso")


def _isotropic_displacement(atom: Atom) -> tuple[tuple[float, ...], str]:
    if atom.U is None:
        return (DEFAULT_UISO,), f"{U_MISSING} {{}}: {DEFAULT_UISO:g} Å² is assumed"
    if atom.tensor is not None:
        return (atom.U,), "{} is declared isotropic but has a tensor: U_iso_or_equiv is taken"
    if atom.kind in _ANISOTROPIC:
        return (atom.U,), "{} is declared anisotropic but has no tensor: U_iso_or_equiv is taken"
    return (atom.U,), ""


def complete(tensor: Tensor, xyz: Array, rows: Array, operations: Operations) -> tuple[float, ...] | None:
    """Return a tensor whose missing components follow from R β Rᵀ = β of the site symmetry; None when some do not."""
    R, t = operations
    index, _ = symmetry.stabiliser(xyz, R, t, rows, NEAR)
    star = symmetry.reciprocal_lengths(rows)
    scale = np.array([star[i] * star[j] for i, j in symmetry.VOIGT])
    lines = []
    for p, (terms, _) in symmetry.tensor_solution(R[index]).items():
        line = np.zeros(6)
        line[p] = 1.0
        for q, factor in terms.items():
            line[q] = -float(factor)
        lines.append(line)
    missing = np.array([value is None for value in tensor])
    if np.linalg.matrix_rank(np.array(lines).reshape(-1, 6)[:, missing]) < missing.sum():
        return None
    beta = np.array([0.0 if value is None else value for value in tensor]) * scale
    A = np.array(lines)
    beta[missing] = np.linalg.lstsq(A[:, missing], -A[:, ~missing] @ beta[~missing], rcond=None)[0]
    return tuple(float(value) for value in beta / scale)


def _shown(names: Iterable[str]) -> str:
    """Return up to five names, and how many there are in all."""
    short = [name[:20] for name in names]
    return ", ".join(short[:5]) + (f" … ({len(short)} in all)" if len(short) > 5 else "")
