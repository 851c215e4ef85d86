"""The space group of a list of atoms, found by spglib, and the structure in it.

Atoms are alike only if everything is: species, occupancy, U, and what shares their place. A displacement tensor is
shown to spglib as markers along its principal axes, so that no operation is found that would turn it into another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError, remark, unwarned
from pdfkit.structure import symmetry, tidy
from pdfkit.structure.site import Site, numbered_labels

if TYPE_CHECKING:
    from pdfkit.structure.structure import Structure

TOLERANCE = 0.01
"""Å: how far an atom may be from where the symmetry puts it."""
# Displacements (Å²) that differ by less are equal: what is left of six digits.
_SAME_U = 1e-6
# Distance (Å) of the markers of a tensor from their atom; the next one where markers of two atoms meet.
_MARKERS = (0.25, 0.18, 0.12)
_GRID = 24


@dataclass(frozen=True)
class _Place:
    """One position with all atoms that share it, and β of each, the displacements in fractional coordinates."""

    xyz: Array
    members: tuple[Site, ...]
    kind: int
    beta: Array


@dataclass(frozen=True)
class _Group:
    """What spglib found: operations of a cell whose coordinates are P x + p of those given."""

    symbol: str
    number: int
    rotations: IntArray
    translations: Array
    P: Array
    p: Array
    same_cell: bool


def symbol(structure: Structure, tolerance: float = TOLERANCE) -> str:
    """Return the symbol of the space group of the atoms ("P 1" where there is none)."""
    places = _places(structure)
    found = _dataset(structure.basis(), places, tolerance)
    return _identified(*_tabulated(found.hall_number))[0] if found is not None else "P 1"


def find(structure: Structure, tolerance: float) -> Structure:
    """Return the crystal with all symmetry that its atoms have within `tolerance` (Å); see `Structure`."""
    _checks.number("tolerance", tolerance, low=0.0, open_low=True)
    explicit = structure if len(structure.rotations) == 1 else structure.to_p1()
    places = _places(explicit)
    found = _dataset(explicit.basis(), places, tolerance)
    if found is None:
        raise StructureError(
            f"no symmetry can be looked for within {tolerance:g} Å: give a tolerance smaller than any distance"
        )
    group = _group(found, explicit.basis(), tolerance)
    known = len(structure.rotations) / structure.volume()
    cell = _cell(group, explicit.basis())
    if len(group.rotations) / float(np.linalg.det(symmetry.basis(cell))) < known * 1.5:
        what = "no symmetry" if len(structure.rotations) == 1 else f"no more symmetry than {structure.spacegroup}"
        text = remark(f"{what} is found within {tolerance:g} Å", stacklevel=4)
        return replace(structure, remarks=(*structure.remarks, text))
    sites, moved = _asymmetric_unit(group, cell, places, tolerance)
    text = _said(group, structure.cell, cell, moved, tolerance)
    remark(text, stacklevel=4)
    made = replace(
        structure,
        cell=cell,
        sites=sites,
        spacegroup=group.symbol,
        rotations=group.rotations,
        translations=group.translations,
        remarks=(*structure.remarks, text),
    )
    _check_same(explicit, made)
    return made


def _said(group: _Group, old: Sequence[float], new: Sequence[float], moved: float, tolerance: float) -> str:
    text = f"symmetry found within {tolerance:g} Å: {group.symbol} (No. {group.number})"
    if group.same_cell:
        text += ", in the cell that was given"
        if np.abs(group.p).max() > 1e-9:
            text += f" with its origin moved by {tidy.shown(np.asarray(np.linalg.solve(group.P, group.p)))}"
    else:
        was, now = (" ".join(f"{x:.6g}" for x in cell) for cell in (old, new))
        text += f"; the cell {was} became the conventional one, {now}"
    return text + (f"; atoms moved by {moved:.2g} Å at most" if moved > 1e-6 else "")


def _check_same(before: Structure, after: Structure) -> None:
    """Raise StructureError where the atoms per volume are not what they were."""
    density = [s.number_density() for s in (before, after)]
    if not math.isclose(*density, rel_tol=1e-6) or before.composition().keys() != after.composition().keys():
        raise StructureError(
            f"with {after.spacegroup} the crystal has {density[1]:.5g} atoms/Å³ in place of {density[0]:.5g}: "
            "give a smaller tolerance, or leave the atoms as they are"
        )


# --- what spglib is shown --------------------------------------------------------------------------------------------


def _places(structure: Structure) -> list[_Place]:
    xyz, rows = structure.positions(), structure.basis()
    pairs, _ = symmetry.close_pairs(xyz, rows, tidy.SAME_ATOM)
    into = np.arange(len(xyz))
    for i, j in pairs[::-1].tolist():
        into[j] = min(into[j], i)
    members: dict[int, list[int]] = {}
    for i, first in enumerate(into.tolist()):
        members.setdefault(int(into[first]), []).append(i)
    star = symmetry.reciprocal_lengths(rows)
    unit = np.array(symmetry.isotropic_tensor(rows))
    U = [site.U[0] * unit if site.isotropic else np.array(site.U) for site in structure.sites]
    beta = np.array([symmetry.matrix(one.tolist()) for one in U]) * np.outer(star, star)
    level = _levels(np.einsum("nij,ij->n", beta, rows @ rows.T) / 3)
    kinds: dict[Any, int] = {}
    out = []
    for first, atoms in members.items():
        atoms.sort(key=lambda i: _kind(structure.sites[i], int(level[i])))
        key = tuple(_kind(structure.sites[i], int(level[i])) for i in atoms)
        kind = kinds.setdefault(key, len(kinds) + 1)
        out.append(_Place(xyz[first], tuple(structure.sites[i] for i in atoms), kind, beta[atoms]))
    return out


def _kind(site: Site, level: int) -> tuple[str, ...]:
    """Return all that makes a site different from others, where it is apart."""
    own = [getattr(site, f.name) for f in fields(site) if f.name not in ("label", "xyz", "U", "occ", "isotropic")]
    return (*map(repr, own), f"{site.occ:.5f}", str(level), str(site.isotropic))


def _levels(values: Array) -> IntArray:
    """Return a number for each value, the same for values that follow one another closely."""
    order = np.argsort(values)
    step = np.diff(values[order], prepend=values[order][:1]) > _SAME_U
    out = np.empty(len(values), dtype=np.int64)
    out[order] = np.cumsum(step)
    return out


def _markers(place: _Place, rows: Array, away: float) -> list[tuple[Array, int]]:
    """Return positions that bear the symmetry of the tensors of a place, each with its kind."""
    out = []
    for m, (site, beta) in enumerate(zip(place.members, place.beta, strict=True)):
        if site.isotropic:
            continue
        values, axes = np.linalg.eigh(rows.T @ beta @ rows)
        for k in range(3):
            if min(abs(values[k] - values[j]) for j in range(3) if j != k) < 10 * _SAME_U:
                continue  # any direction of a circle would do as well
            step = away * (1 - 0.1 * m) * np.linalg.solve(rows.T, axes[:, k])
            kind = 1_000_000 + 1000 * place.kind + 3 * m + k
            out += [(place.xyz + step, kind), (place.xyz - step, kind)]
    return out


def _dataset(rows: Array, places: list[_Place], tolerance: float) -> Any:
    import spglib

    atoms = [(place.xyz, place.kind) for place in places]
    for away in _MARKERS:
        markers = [marker for place in places for marker in _markers(place, rows, away)]
        xyz, kinds = zip(*atoms, *markers, strict=True)
        cell: Any = (rows, np.array(xyz), np.array(kinds))
        with suppress(_errors()), unwarned():  # of how it will report errors one day
            if (found := spglib.get_symmetry_dataset(cell, symprec=tolerance)) is not None:
                return found
        if not markers:
            break
    return None


# --- the group -------------------------------------------------------------------------------------------------------


def _group(found: Any, rows: Array, tolerance: float) -> _Group:
    R, t = _tabulated(found.hall_number)
    P, p = np.array(found.transformation_matrix), np.array(found.origin_shift)
    twelfths = np.round(P * 12) / 12
    P = twelfths if np.abs(P - twelfths).max() < 0.01 else P
    for kept in _in_given_cell(R, t, P, p, rows, tolerance):
        name, number = _identified(*kept[:2])
        if number == found.number:
            return _Group(name, number, *kept[:2], P, kept[2], True)
    return _Group(_identified(R, t)[0], found.number, R, t, P, p, False)


def _in_given_cell(
    R: IntArray, t: Array, P: Array, p: Array, rows: Array, tolerance: float
) -> Iterator[tuple[IntArray, Array, Array]]:
    """Yield the operations (R, t) on the axes given and the origin shift left to do, where those axes can stay."""
    back = np.linalg.inv(P)
    turned = np.round(back @ R @ P).astype(np.int64)
    if abs(abs(float(np.linalg.det(P))) - 1) > 1e-6 or np.abs(turned).max() > 1:
        return
    here = (t + p @ R.transpose(0, 2, 1) - p) @ back.T
    grid = np.round(here * _GRID) / _GRID
    reach = min(max(1e-6, 2 * tolerance / float(np.linalg.norm(rows, axis=1).min())), 0.4 / _GRID)
    if np.abs(here - grid).max() < reach:
        yield turned, grid, np.zeros(3)
    yield turned, t @ back.T, p


@lru_cache(maxsize=32)
def _tabulated(hall_number: int) -> tuple[IntArray, Array]:
    import spglib

    with unwarned():  # of how spglib will report errors one day: both ways are understood
        table: Any = spglib.get_symmetry_from_database(hall_number)
    return np.array(table["rotations"], dtype=np.int64), np.array(table["translations"])


def _identified(R: IntArray, t: Array) -> tuple[str, int]:
    """Return the symbol and number of the tabulated setting with these operations."""
    from pdfkit.structure.operations import identify

    return identify(R, np.round(t % 1.0, 9))


def _errors() -> type[Exception]:
    """Return what spglib from version 2.7 on may raise."""
    import spglib

    return getattr(spglib, "SpglibError", RuntimeError)


def _cell(group: _Group, rows: Array) -> tuple[float, ...]:
    """Return the cell of the group's axes, made exact for its rotations."""
    if not group.same_cell:
        rows = np.linalg.inv(group.P).T @ rows
    metric = rows @ rows.T
    R = group.rotations
    mean = np.einsum("nji,jk,nkl->il", R, metric, R) / len(R)
    return tuple(float(x) for x in np.round(symmetry.cell_of(mean), 10))


# --- the atoms in it -------------------------------------------------------------------------------------------------


def _asymmetric_unit(
    group: _Group, cell: tuple[float, ...], places: list[_Place], tolerance: float
) -> tuple[tuple[Site, ...], float]:
    """Return one site of each orbit at its mean position, and how far (Å) the farthest atom moved."""
    rows = symmetry.basis(cell)
    xyz, origin = _placed(group, places)
    kinds = np.array([places[i].kind for i in origin])
    left = np.ones(len(xyz), dtype=bool)
    chosen: list[tuple[_Place, Array, list[tuple[float, ...]]]] = []
    moved = 0.0
    for first in range(len(xyz)):
        if not left[first]:
            continue
        image, atom, step = _images(group, xyz, first, kinds, rows, max(3 * tolerance, 1e-3))
        left[atom] = False
        back = np.linalg.inv(group.rotations[image])
        mean = xyz[first] + (back @ step[:, :, None])[:, :, 0].mean(axis=0)
        to = group.rotations[image] @ mean + group.translations[image]
        off = to - xyz[atom]
        moved = max(moved, float(np.linalg.norm((off - np.round(off)) @ rows, axis=1).max()))
        chosen.append((places[origin[first]], mean, _mean_tensors(group, places, origin[atom], back, rows)))
    sites = [
        (member, mean, U) for place, mean, tensors in chosen for member, U in zip(place.members, tensors, strict=True)
    ]
    labels = numbered_labels([member.element for member, _, _ in sites])
    return tuple(
        replace(member, label=label, xyz=_triple(mean), U=U)
        for (member, mean, U), label in zip(sites, labels, strict=True)
    ), moved


def _placed(group: _Group, places: list[_Place]) -> tuple[Array, IntArray]:
    """Return all positions on the group's axes, and of which place each is: centring makes more of them."""
    xyz = np.array([place.xyz for place in places])
    if group.same_cell:
        return xyz + np.linalg.solve(group.P, group.p), np.arange(len(places))
    lattice = np.array(list(np.ndindex(4, 4, 4)), dtype=float) @ group.P.T
    lattice = np.unique(np.round(lattice % 1.0, 6) % 1.0, axis=0)
    moved = xyz @ group.P.T + group.p
    every = (moved[None] + lattice[:, None]).reshape(-1, 3)
    return every % 1.0, np.tile(np.arange(len(places)), len(lattice))


def _images(
    group: _Group, xyz: Array, first: int, kinds: IntArray, rows: Array, reach: float
) -> tuple[IntArray, IntArray, Array]:
    """Return pairs of (operation, atom) that belong together for atom `first`, and how far each atom is off."""
    alike = np.flatnonzero(kinds == kinds[first])
    image = group.rotations @ xyz[first] + group.translations
    step = xyz[alike][None] - image[:, None]
    step -= np.round(step)
    operation, atom = np.nonzero(np.linalg.norm(step @ rows, axis=-1) < reach)
    if len(np.unique(operation)) < len(image):
        raise StructureError("the symmetry that was found does not hold for all atoms: give a smaller tolerance")
    return operation, alike[atom], step[operation, atom]


def _mean_tensors(
    group: _Group, places: list[_Place], of: IntArray, back: Array, rows: Array
) -> list[tuple[float, ...]]:
    """Return U of each member of a place, the mean over the orbit (Uiso where isotropic)."""
    member = places[of[0]].members
    star = symmetry.reciprocal_lengths(rows)
    turned = back if group.same_cell else back @ group.P
    out: list[tuple[float, ...]] = []
    for m, site in enumerate(member):
        if site.isotropic:
            out.append((float(np.mean([places[i].members[m].U[0] for i in of])),) * 3 + (0.0,) * 3)
        else:
            beta = turned @ np.array([places[i].beta[m] for i in of]) @ turned.transpose(0, 2, 1)
            out.append(symmetry.voigt(beta.mean(axis=0) / np.outer(star, star)))
    return out


def _triple(values: Array) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 12) % 1.0 for value in values)
    return x, y, z
