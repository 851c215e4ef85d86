"""Structures from and to lists of atoms, ase and diffpy.structure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import StructureError, remark
from pdfkit.structure import symmetry
from pdfkit.structure.site import B_TO_U, DEFAULT_UISO, Site, missing_U, numbered_labels, sited, unique_labels
from pdfkit.structure.species import (
    VACANCY,
    Species,
    atomic_mass,
    base,
    isotope,
    occupants,
    species,
    symbols,
    vacancies,
)
from pdfkit.structure.species import atoms as atoms_named

if TYPE_CHECKING:
    from pdfkit.structure.structure import Structure


def supercell(structure: Structure, n: Sequence[int]) -> Structure:
    """Return n[0] × n[1] × n[2] cells of `structure` as one P 1 cell."""
    if len(n) != 3 or any(k != int(k) or k < 1 for k in n):
        raise StructureError(f"supercell {tuple(n)} is not understood: give three whole numbers, 1 or more")
    repeats = tuple(int(k) for k in n)
    atoms = structure.expand()
    star = symmetry.reciprocal_lengths(structure.basis())
    wrapped = np.round(structure.positions(), 15) % 1.0
    shifts = np.array(list(np.ndindex(*repeats)), dtype=float)
    elements = [structure.sites[i].element for i in atoms.site] * len(shifts)
    labels = iter(numbered_labels(elements))
    U = [
        site.U if site.isotropic else symmetry.rotate_U(site.U, R, star)
        for site, R in ((structure.sites[i], R) for i, R in zip(atoms.site, atoms.rotation, strict=True))
    ]
    sites = []
    for shift in shifts:
        for i, xyz, tensor in zip(atoms.site, (wrapped + shift) / np.array(repeats), U, strict=True):
            site = structure.sites[i]
            sites.append(replace(site, label=next(labels), xyz=_triple(xyz), U=tensor, shares=""))
    cell = (*(length * k for length, k in zip(structure.cell[:3], repeats, strict=True)), *structure.cell[3:])
    return type(structure)(cell, tuple(sites), title=structure.title, meta=structure.meta)


def from_arrays(
    cell: Any,
    elements: Sequence[str],
    xyz: Any,
    *,
    occ: Any,
    U: Any,
    labels: Sequence[str] | None,
    title: str,
    remarks: tuple[str, ...] = (),
) -> Structure:
    """Return a P 1 structure; see `Structure.from_arrays`."""
    from pdfkit.structure.structure import Structure

    size = np.shape(cell)
    rows = _checks.array("cell", cell, ndim=len(size) or 1)
    if size == (3, 3):
        rows = np.array(symmetry.cell_of(rows @ rows.T)) if _spans(rows) else rows
    if rows.shape != (6,):
        raise StructureError(f"cell has shape {size} or no volume: give 6 numbers or 3 independent vectors")
    named = {str(element): sited(str(element)) for element in elements}
    found = [named[str(element)] for element in elements]
    symbols = [one.element for one in found]
    count = len(symbols)
    points = _checks.array("xyz", xyz, ndim=2)
    if points.shape != (count, 3):
        raise StructureError(f"xyz has shape {points.shape} for {count} elements: give ({count}, 3)")
    tensors = np.asarray(_checks.array("U", U, ndim=np.ndim(U)))
    if tensors.ndim > 2 or tensors.shape not in ((), (count,), (count, 6)):
        raise StructureError(f"U has shape {tensors.shape}: give one number, ({count},) or ({count}, 6)")
    occs = _checks.array("occ", occ, ndim=np.ndim(occ))
    if occs.shape not in ((), (count,)):
        raise StructureError(f"occ has shape {occs.shape}: give one number or ({count},)")
    if labels is not None and len(labels) != count:
        raise StructureError(f"{len(labels)} labels for {count} atoms: give one for each")
    names = numbered_labels(symbols) if labels is None else unique_labels(labels)
    isotropic = tensors.ndim < 2
    per_atom = np.broadcast_to(tensors[..., None] if isotropic else tensors, (count, 1 if isotropic else 6))
    rows_of_atoms = (points.tolist(), np.broadcast_to(occs, (count,)).tolist(), per_atom.tolist())
    sites = tuple(
        Site(
            name,
            one.element,
            (x, y, z),
            o,
            tuple(tensor),
            isotropic,
            one.charge,
        )
        for name, one, (x, y, z), o, tensor in zip(names, found, *rows_of_atoms, strict=True)
    )
    return Structure(tuple(float(x) for x in rows), sites, title=title, remarks=remarks)


def from_ase(
    atoms: Any, names: Sequence[str] | None = None, said: tuple[str, ...] = (), *, file: bool = False
) -> Structure:
    """Return a P 1 structure from `ase.Atoms`; see `Structure.from_ase`.

    names : what a file calls each atom. said : what its reader assumed. file : whether they come from one.
    """
    if not hasattr(atoms, "get_scaled_positions"):
        raise StructureError(f"{type(atoms).__name__} is not ase.Atoms: give one set of atoms")
    rows = np.asarray(atoms.cell[:])
    if not _spans(rows):
        raise StructureError("atoms without a cell are no crystal: add the cell (Lattice), or use a Cluster")
    if not np.isfinite(atoms.positions).all():
        raise StructureError("an atom has a position that is not finite: correct or remove it")
    xyz = atoms.get_scaled_positions(wrap=False)
    called, more = ase_names(atoms, names)
    found: list[tuple[str, Any, float, float]] = []
    vacant: Counter[str] = Counter()
    each = zip(called, xyz, ase_column(atoms), _ase_occupancies(atoms, called), ase_U(atoms), strict=True)
    for name, point, occ, shared, U in each:
        there = [(one, share) for one, share in shared if one != VACANCY.ion] or [
            (one.ion, share) for one, share in occupants(name, float(occ), numbered=True)
        ]
        vacant[name] += not there
        found += [(element, point, share, U) for element, share in there]
    title = str(atoms.info.get("name", "")) or atoms.get_chemical_formula()
    U = np.array([u for *_, u in found])
    unknown = np.isnan(U)
    without = missing_U(int(unknown.sum()))
    # ase has no U: of a live object that is known, so it stands in the remarks alone; of a file it is said.
    said = tuple(map(remark, (*said, *more, *_periodicity(atoms), *vacancies(vacant), *(without if file else ()))))
    return from_arrays(
        rows,
        [element for element, *_ in found],
        np.reshape([point for _, point, *_ in found], (-1, 3)),
        occ=np.array([share for _, _, share, _ in found]),
        U=np.where(unknown, DEFAULT_UISO, U),
        labels=None,
        title=title,
        remarks=(*said, *(() if file else without)),
    )


def _periodicity(atoms: Any) -> tuple[str, ...]:
    if atoms.pbc.all():
        return ()
    axes = ", ".join(axis for axis, periodic in zip("abc", atoms.pbc, strict=True) if not periodic)
    return (f"pbc is false along {axes}: the cell is read as that of a crystal all the same",)


def ase_column(atoms: Any) -> Array:
    """Return the occupancies that stand in a column of an extended xyz file, 1 where there is none; (n,)."""
    return _column(atoms, _OCCUPANCIES, 1.0)


def ase_U(atoms: Any) -> Array:
    """Return Uiso (Å²) from a column of U or B = 8π²U, nan where there is none; (n,)."""
    U = _column(atoms, _UISO, math.nan)
    return np.where(np.isnan(U), _column(atoms, _BISO, math.nan) * B_TO_U, U)


def _column(atoms: Any, names: Sequence[str], default: float) -> Array:
    for name, values in atoms.arrays.items():
        if str(name).lower() in names and np.ndim(values) == 1:
            return np.asarray(_checks.array(str(name), values))
    return np.full(len(atoms), default)


def particle_names(atoms: Any, given: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return `ase_names` of atoms that must be whole; StructureError for partial occupancies."""
    called, said = ase_names(atoms, given)
    shares = [share for shared in _ase_occupancies(atoms, called) for _, share in shared]
    if (ase_column(atoms) != 1).any() or any(share != 1 for share in shares):
        raise StructureError("some atoms have occupancies below 1: a particle has whole atoms only")
    return called, said


_UISO = ("uiso", "u_iso", "u_iso_or_equiv", "u_equiv", "uequiv", "u_eq", "ueq")
_BISO = ("biso", "b_iso", "b_iso_or_equiv", "b_equiv", "b_eq", "beq", "bfactor", "b_factor", "bfactors", "tempfactor")
_OCCUPANCIES = ("occupancy", "occ", "occupancies", "occupation", "site_occupancy")
_MASS_OFF = 0.02  # u: a mass this near that of the element is not an isotope's
_MASS_OF = 0.005  # u: a mass this near an isotope's is its


def ase_names(atoms: Any, given: Sequence[str] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return the species of each of `ase.Atoms` ("62-Ni", "D", "Na1+"), and remarks.

    given : what a file calls each atom; it counts where it is more than the element's symbol. Otherwise an isotope is
    known by the array "isotope" (mass numbers, 0 for natural), or by masses that were set; a charge by
    "initial_charges" that are whole numbers.
    """
    names = list(atoms.get_chemical_symbols())
    numbers = atoms.arrays.get("isotope")
    said: tuple[str, ...] = ()
    if numbers is not None:
        names = [isotope(name, int(n)) if n else name for name, n in zip(names, numbers, strict=True)]
    elif "masses" in atoms.arrays:
        names, said = _by_mass(names, atoms.arrays["masses"])
    charges = np.asarray(atoms.arrays.get("initial_charges", np.zeros(len(names))), dtype=float)
    if charges.any() and (charges == np.round(charges)).all() and np.abs(charges).max() < 10:
        names = [Species(name, int(charge)).ion for name, charge in zip(names, charges, strict=True)]
    if given and len(given) == len(names):
        bare = atoms.get_chemical_symbols()
        names = [name if own == symbol else own for name, own, symbol in zip(names, given, bare, strict=True)]
    return names, said


def _by_mass(names: list[str], masses: Any) -> tuple[list[str], tuple[str, ...]]:
    import periodictable

    out, strange = [], set()
    for name, mass in zip(names, masses, strict=True):
        entry = periodictable.elements.symbol(name) if name in symbols() else None
        if entry is None or not mass or abs(mass - entry.mass) <= _MASS_OFF:
            out.append(name)
            continue
        near = [n for n in entry.isotopes if abs(entry[n].mass - mass) <= _MASS_OF]
        strange |= set() if near else {name}
        out.append(isotope(name, near[0]) if near else name)
    text = f"masses of {', '.join(sorted(strange))} match no isotope: the natural elements are used"
    return out, (text,) if strange else ()


def _spans(rows: Array) -> bool:
    """Return whether three vectors (Å) are finite and span a volume; the limit keeps that finite too."""
    return bool((np.abs(rows) < 1e6).all()) and abs(float(np.linalg.det(rows))) > 1e-6


def _ase_occupancies(atoms: Any, called: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Return what `info["occupancy"]` says of each atom; an ion's charge is that of the atom."""
    table = atoms.info.get("occupancy")
    if not isinstance(table, dict) or all(list(one.values()) == [1] for one in table.values()):
        return [[] for _ in range(len(atoms))]
    kinds = atoms.arrays.get("spacegroup_kinds")
    tables = {str(kind): one for kind, one in table.items()}
    if kinds is None or not {str(kind) for kind in kinds} <= tables.keys():
        raise StructureError('info["occupancy"] has no kind for some atoms: add the array "spacegroup_kinds"')
    own = [occupants(name, 1.0, numbered=True) for name in called]
    known = [{one.element: one.ion for one, _ in there} for there in own]
    return [
        [(_called(str(el), names), float(n)) for el, n in tables[str(kind)].items()]
        for kind, names in zip(kinds, known, strict=True)
    ]


def _called(name: str, known: Mapping[str, str]) -> str:
    element = species(name).element
    return known.get(element, name) if element else ""


def from_diffpy(structure: Any, names: Sequence[str] | None = None) -> Structure:
    """Return a P 1 structure from a `diffpy.structure.Structure`; see `Structure.from_diffpy`."""
    from pdfkit.structure.structure import Structure

    lattice = structure.lattice
    called = names if names else [str(atom.element) for atom in structure]
    found = atoms_named(called, [float(atom.occupancy) for atom in structure])
    there = [structure[i] for i in found.index]
    labels = numbered_labels([one.element for one in found.species])
    sites = tuple(
        Site(
            label,
            one.element,
            _triple(atom.xyz),
            occ,
            symmetry.voigt(np.asarray(atom.U)) if atom.anisotropy else (float(atom.Uisoequiv),),
            not atom.anisotropy,
            one.charge,
        )
        for atom, one, occ, label in zip(there, found.species, found.occs, labels, strict=True)
    )
    remarks = tuple(map(remark, found.remarks))
    cell = (lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma)
    values = getattr(structure, "pdffit", None) or {}
    return Structure(cell, sites, title=str(structure.title or ""), meta=pdffit_meta(values), remarks=remarks)


def pdffit_meta(values: Any) -> dict[str, float | str]:
    """Return the values of a PDFfit header that are set: scale, delta1, delta2, sratio, rcut, shape."""
    names = ("scale", "delta1", "delta2", "sratio", "rcut", "spdiameter", "stepcut")
    out: dict[str, float | str] = {}
    for name in names:
        value = values.get(name)
        if value is not None and math.isfinite(value) and (value != 0 or name == "scale"):
            out[name] = float(value)
    return out


def to_ase(structure: Structure) -> Any:
    """Return `ase.Atoms` of the whole cell; see `Structure.to_ase`."""
    from ase import Atoms

    p1 = structure.to_p1()
    occupied: dict[tuple[float, ...], dict[str, float]] = {}
    for site in p1.sites:
        key = tuple(np.round(site.xyz, 6) % 1.0)
        occupied.setdefault(key, {})[site.element] = site.occ
    main = [max(there, key=lambda el: there[el]) for there in occupied.values()]
    places = {key: i for i, key in enumerate(occupied)}
    xyz, charges = np.zeros((len(places), 3)), np.zeros(len(places))
    for site in reversed(p1.sites):
        place = places[tuple(np.round(site.xyz, 6) % 1.0)]
        xyz[place], charges[place] = site.xyz, site.charge
    atoms = Atoms([base(name) for name in main], cell=p1.basis(), scaled_positions=xyz, pbc=True)
    label_isotopes(atoms, main)
    if charges.any():
        atoms.set_initial_charges(charges)
    if any(site.occ < 1 for site in p1.sites):
        atoms.set_array("spacegroup_kinds", np.arange(len(places)))
        atoms.info["occupancy"] = {str(i): there for i, there in enumerate(occupied.values())}
    return atoms


def label_isotopes(atoms: Any, names: Sequence[str]) -> None:
    """Put the masses of isotopes into `ase.Atoms`, and their mass numbers into the array "isotope"."""
    plain = [re.sub(r"[\d.]*[+-]$", "", name) for name in names]
    numbers = [{"D": 2, "T": 3}.get(name) or int((re.match(r"(\d+)-", name) or [0, 0])[1]) for name in plain]
    if any(numbers):
        masses = atoms.get_masses()
        atoms.set_masses([atomic_mass(name) if n else m for name, n, m in zip(plain, numbers, masses, strict=True)])
        atoms.set_array("isotope", np.array(numbers))


def to_diffpy(structure: Structure) -> Any:
    """Return a `diffpy.structure.Structure` of the whole cell; see `Structure.to_diffpy`."""
    from diffpy.structure import Atom, Lattice, PDFFitStructure

    p1 = structure.to_p1()
    out = PDFFitStructure(title=structure.title, lattice=Lattice(*p1.cell))
    out.pdffit.update({key: value for key, value in structure.meta.items() if key in out.pdffit})
    for site in p1.sites:
        atom = Atom(site.element, site.xyz, site.label, site.occ, lattice=out.lattice)
        atom.anisotropy = not site.isotropic
        if site.isotropic:
            atom.Uisoequiv = site.U[0]
        else:
            atom.U = symmetry.matrix(site.U)
        out.append(atom)
    return out


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
