"""Structures from and to lists of atoms, ase and diffpy.structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks, _symmetry
from pdfkit._checks import Array
from pdfkit._sites import Site, element_symbol, numbered_labels, unique_labels
from pdfkit.errors import StructureError

if TYPE_CHECKING:
    from pdfkit.structure import Structure


def supercell(structure: Structure, n: Sequence[int]) -> Structure:
    """Return n[0] × n[1] × n[2] cells of `structure` as one P 1 cell."""
    if len(n) != 3 or any(k != int(k) or k < 1 for k in n):
        raise StructureError(f"supercell {tuple(n)} is not understood: give three whole numbers, 1 or more")
    repeats = tuple(int(k) for k in n)
    atoms = structure.expand()
    star = _symmetry.reciprocal_lengths(structure.basis())
    wrapped = np.round(structure.positions(), 15) % 1.0
    shifts = np.array(list(np.ndindex(*repeats)), dtype=float)
    elements = [structure.sites[i].element for i in atoms.site] * len(shifts)
    labels = iter(numbered_labels(elements))
    U = [
        site.U if site.isotropic else _symmetry.rotate_U(site.U, R, star)
        for site, R in ((structure.sites[i], R) for i, R in zip(atoms.site, atoms.rotation, strict=True))
    ]
    sites = []
    for shift in shifts:
        for i, xyz, tensor in zip(atoms.site, (wrapped + shift) / np.array(repeats), U, strict=True):
            site = structure.sites[i]
            sites.append(replace(site, label=next(labels), xyz=_triple(xyz), U=tensor))
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
) -> Structure:
    """Return a P 1 structure; see `Structure.from_arrays`."""
    from pdfkit.structure import Structure

    size = np.shape(cell)
    rows = _checks.array("cell", cell, ndim=len(size) or 1)
    if size == (3, 3):
        rows = np.array(_symmetry.cell_of(rows @ rows.T)) if _spans(rows) else rows
    if rows.shape != (6,):
        raise StructureError(f"cell has shape {size} or no volume: give 6 numbers or 3 independent vectors")
    symbols = [element_symbol(str(element)) for element in elements]
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
    per_atom = np.broadcast_to(tensors, (count,) if isotropic else (count, 6))
    sites = tuple(
        Site(name, symbol, _triple(point), float(o), tuple(float(u) for u in np.atleast_1d(tensor)), isotropic)
        for name, symbol, point, o, tensor in zip(
            names, symbols, points, np.broadcast_to(occs, (count,)), per_atom, strict=True
        )
    )
    return Structure(tuple(float(x) for x in rows), sites, title=title)


def from_ase(atoms: Any) -> Structure:
    """Return a P 1 structure from `ase.Atoms`; see `Structure.from_ase`."""
    from pdfkit.structure import Structure

    rows = np.asarray(atoms.cell[:])
    if not _spans(rows):
        raise StructureError("atoms without a cell are no crystal: add the cell (Lattice), or use a Cluster")
    if not np.isfinite(atoms.positions).all():
        raise StructureError("an atom has a position that is not finite: correct or remove it")
    xyz = atoms.get_scaled_positions(wrap=False)
    symbols = list(atoms.get_chemical_symbols())
    shared = _ase_occupancies(atoms)
    elements, points, occs = [], [], []
    for symbol, point, there in zip(symbols, xyz, shared, strict=True):
        for element, occ in (there or {symbol: 1.0}).items():
            elements.append(element)
            points.append(point)
            occs.append(occ)
    title = str(atoms.info.get("name", "")) or atoms.get_chemical_formula()
    return Structure.from_arrays(rows, elements, np.reshape(points, (-1, 3)), occ=np.array(occs), title=title)


def _spans(rows: Array) -> bool:
    """Return whether three vectors (Å) are finite and span a volume; the limit keeps that finite too."""
    return bool((np.abs(rows) < 1e6).all()) and abs(float(np.linalg.det(rows))) > 1e-6


def _ase_occupancies(atoms: Any) -> list[dict[str, float]]:
    table = atoms.info.get("occupancy")
    kinds = atoms.arrays.get("spacegroup_kinds")
    if not isinstance(table, dict) or kinds is None:
        return [{} for _ in range(len(atoms))]
    return [{str(el): float(n) for el, n in table.get(str(kind), {}).items()} for kind in kinds]


def from_diffpy(structure: Any) -> Structure:
    """Return a P 1 structure from a `diffpy.structure.Structure`; see `Structure.from_diffpy`."""
    from pdfkit.structure import Structure

    lattice = structure.lattice
    elements = [element_symbol(str(atom.element)) for atom in structure]
    sites = tuple(
        Site(
            label,
            element,
            _triple(atom.xyz),
            float(atom.occupancy),
            _symmetry.voigt(np.asarray(atom.U)) if atom.anisotropy else (float(atom.Uisoequiv),),
            not atom.anisotropy,
        )
        for atom, element, label in zip(structure, elements, numbered_labels(elements), strict=True)
    )
    cell = (lattice.a, lattice.b, lattice.c, lattice.alpha, lattice.beta, lattice.gamma)
    values = getattr(structure, "pdffit", None) or {}
    return Structure(cell, sites, title=str(structure.title or ""), meta=pdffit_meta(values))


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
    symbols = [max(there, key=lambda el: there[el]) for there in occupied.values()]
    places = {key: i for i, key in enumerate(occupied)}
    xyz = np.zeros((len(places), 3))
    for site in reversed(p1.sites):
        xyz[places[tuple(np.round(site.xyz, 6) % 1.0)]] = site.xyz
    # ase knows no D; the mass of the atom would be lost, so say so in the symbol it has.
    atoms = Atoms(["H" if s in ("D", "T") else s for s in symbols], cell=p1.basis(), scaled_positions=xyz, pbc=True)
    if any(site.occ < 1 for site in p1.sites):
        atoms.set_array("spacegroup_kinds", np.arange(len(places)))
        atoms.info["occupancy"] = {str(i): there for i, there in enumerate(occupied.values())}
    return atoms


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
            atom.U = _symmetry.matrix(site.U)
        out.append(atom)
    return out


def _triple(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
