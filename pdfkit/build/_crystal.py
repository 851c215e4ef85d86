"""Crystals as sources: the primitive lattice and what sits on it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.build._source import Source
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particle import Lattice, Particle
from pdfkit.structure import Structure

# Å: translations that bring every atom onto another this closely are translations of the lattice.
SAME = 1e-3


def crystal_source(obj: Any) -> Source:
    """Return the sites of a crystal: a `Structure`, a shipped name, a file, `ase.Atoms` or a diffpy structure.

    Raises
    ------
    StructureError : partly occupied sites, a name that is not known. ReadError : an unreadable file. PdfkitError :
    anything that is no crystal.
    """
    name = str(obj) if isinstance(obj, str | PathLike) else ""
    structure = _structure(obj)
    for site in structure.sites:
        if site.occ != 1.0:
            raise StructureError(f"site {site.label} has occupancy {site.occ:g}: a particle has whole atoms only")
    x, rows = structure.positions(), structure.basis()
    elements = [structure.sites[i].element for i in structure.expand().site]
    cell, kept = _primitive(x, elements, rows)
    symbols = tuple(elements[i] for i in kept)
    return Source(
        lattice=Lattice(cell, x[kept] @ rows),
        elements=symbols,
        axes=rows,
        family=_family(structure, symbols),
        name=Path(name).stem if name else structure.title or "".join(dict.fromkeys(symbols)),
    )


def _structure(obj: Any) -> Structure:
    if isinstance(obj, Structure):
        return obj
    if isinstance(obj, str | PathLike):
        from pdfkit.io.structures import available_structures, load_structure, read_structure

        if str(obj) in available_structures() and not Path(obj).exists():
            return load_structure(str(obj))
        if isinstance(obj, str) and not Path(obj).exists() and Path(obj).suffix == "":
            return load_structure(obj)
        return read_structure(obj)
    kind = f"{type(obj).__module__}.{type(obj).__name__}"
    if kind.startswith("ase."):
        return Structure.from_ase(obj)
    if kind.startswith("diffpy."):
        return Structure.from_diffpy(obj)
    hint = "it has no cell" if isinstance(obj, Particle) else f"{kind} is none"
    raise PdfkitError(f"a particle is cut from a crystal and {hint}: give a Structure, its name or file, or a stacking")


def _primitive(x: Array, elements: list[str], rows: Array) -> tuple[Array, IntArray]:
    """Return the (3, 3) rows of the primitive cell, shortest ones, and the atoms that it holds, lowest first."""
    from ase.geometry import minkowski_reduce

    steps, images = _translations(x, elements, rows)
    order = len(steps)
    if order == 1:
        return rows, np.arange(len(x))
    # The translations form a group of this order, so order times each is whole: an exact basis by elimination.
    whole = np.round(np.vstack([np.eye(3), steps]) * order).astype(np.int64)
    cell, _ = minkowski_reduce(_integer_basis(whole) / order @ rows)
    if np.linalg.det(cell) < 0:
        cell = -cell
    return np.asarray(cell), np.unique(images.min(axis=0))


def _translations(x: Array, elements: list[str], rows: Array) -> tuple[Array, IntArray]:
    """Return the translations (k, 3; fractional) that map the crystal to itself, and image of each atom (k, n)."""
    from scipy.spatial import cKDTree

    wrapped = x % 1.0
    wrapped[wrapped >= 1.0] = 0.0
    species = np.unique(elements, return_inverse=True)[1]
    rarest = np.flatnonzero(species == np.argmin(np.bincount(species)))
    tree = cKDTree(wrapped, boxsize=1.0)
    steps, images = [], []
    for other in rarest:
        step = x[other] - x[rarest[0]]
        moved = (x + step) % 1.0
        moved[moved >= 1.0] = 0.0
        image = tree.query(moved)[1]
        off = x[image] - x - step
        off -= np.round(off)
        if (species[image] == species).all() and np.linalg.norm(off @ rows, axis=1).max() < SAME:
            steps.append(step)
            images.append(image)
    return np.array(steps), np.array(images)


def _integer_basis(rows: IntArray) -> IntArray:
    """Return three rows that generate the same lattice as the given ones (Euclid's algorithm, column by column)."""
    left = [list(map(int, row)) for row in rows]
    out = []
    for column in range(3):
        while True:
            some = sorted((row for row in left if row[column]), key=lambda row: abs(row[column]))
            if len(some) == 1:
                break
            pivot = some[0]
            for row in some[1:]:
                factor = row[column] // pivot[column]
                row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
        out.append(some[0])
        left = [row for row in left if row is not some[0]]
    return np.array(out)


def _family(structure: Structure, symbols: tuple[str, ...]) -> str:
    group = "".join(structure.spacegroup.split()).replace("_", "").lower()
    if len(set(symbols)) != 2:
        return ""
    known = {("f-43m", 2): "zincblende", ("p63mc", 4): "wurtzite"}
    return known.get((group, len(symbols)), "")
