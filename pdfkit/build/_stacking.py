"""Stacks of tetrahedral bilayers, and crystals as sources: the primitive lattice and what sits on it.

Bilayer m is a triangular lattice of side a_h with the cation at height m·h and the anion bonded above it at (m + 2u)·h.
It sits at A, B or C, the next one step of a_h/√3 from it. All of these lie on one lattice: the triangular lattice of
side a_h/√3 in the plane, h above each other, and (n1 + n2) mod 3 says whether a point is an A, a B or a C.
With u = 3/8 and h = √(2/3)·a_h all bonds are √(3/8)·a_h long and all angles 109.47°.
"""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.build._source import Source
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.particle import Lattice, Particle
from pdfkit.structure.site import neutral_symbol
from pdfkit.structure.structure import Structure

# --- Stacks of tetrahedral bilayers ----------------------------------------------------------------------------------

IDEAL_U = 0.375

LETTERS = "ABC"

NAMES = {"zincblende": "c", "wurtzite": "h"}


MOST_UNEQUAL = 1.4
"""Ratio of the two kinds of bonds of a stack: wurtzites have 0.99 to 1.02."""
SHORTEST = 1.0
"""Å: of a bond."""


def stacking(
    cation: str,
    anion: str,
    sequence: str = "ABC",
    *,
    a_h: float | None = None,
    h: float | None = None,
    u: float = IDEAL_U,
    bond: float | None = None,
    layers: int = 60,
    alpha: float = 0.5,
    seed: int | None = None,
) -> Source:
    """Return an endless stack of bilayers to cut particles from.

    Parameters
    ----------
    sequence : one period as letters ("ABC", "AB", "ABCB"), or as c (cubic) and h (hexagonal) for each bilayer
        ("hhc"), or "zincblende", "wurtzite", or "random".
    a_h, h : Å, side of the triangular lattice and height of a bilayer; u : height of an anion over its cation, 2uh.
        Default: ideal, from `bond` (Å); without it, from the zinc-blende crystal that comes with pdfkit.
    layers, alpha, seed : of "random": bilayers in one period, probability that one is hexagonal, and seed (required).

    Raises
    ------
    PdfkitError : a sequence that is not understood, random without a seed, no bond length known for these elements.
    StructureError : not an element.

    Example
    -------
    >>> import pdfkit as pk
    >>> polytype = pk.build.stacking("Cd", "Se", "ABCB")
    >>> dot = pk.build.sphere(polytype, 30)
    >>> dot.formula, round(pk.build.hexagonality(dot), 2)
    ('Cd255Se245', 0.47)
    """
    pair = neutral_symbol(cation), neutral_symbol(anion)
    if a_h is None:
        a_h = math.sqrt(8 / 3) * (bond_length(*pair) if bond is None else _checks.number("bond", bond, low=1.0))
    a_h = _checks.number("a_h", a_h, low=1.0, high=20.0)
    h = _checks.number("h", math.sqrt(2 / 3) * a_h if h is None else h, low=1.0, high=20.0)
    u = _checks.number("u", u, low=0.2, high=0.49)
    check_bonds(a_h, h, u)
    letters = _random(layers, alpha, seed) if sequence == "random" else letters_of(sequence)
    return Source(
        lattice=bilayer_lattice(a_h, h, u),
        elements=pair,
        axes=np.array([[a_h, 0, 0], [-a_h / 2, a_h * math.sqrt(0.75), 0], [0, 0, h]]),
        letters=letters,
        family=_family(letters),
        name=f"{pair[0]}{pair[1]} {sequence if len(sequence) < 20 else f'stack of {letters.size}'}",
    )


def check_bonds(a_h: float, h: float, u: float) -> None:
    """Refuse a stack whose bonds along its axis and across it differ so much that one of its numbers is another's."""
    along, across = 2 * u * h, math.hypot(a_h / math.sqrt(3), (1 - 2 * u) * h)
    short, long = sorted((along, across))
    if short < SHORTEST or long > MOST_UNEQUAL * short:
        raise PdfkitError(
            f"a_h = {a_h:g} Å, h = {h:g} Å and u = {u:g} make bonds of {along:.3g} Å along the stack and {across:.3g} "
            "Å across it: h is the height of one bilayer (half the c of wurtzite), u about 3/8"
        )


def bilayer_lattice(a_h: float, h: float, u: float) -> Lattice:
    """Return the lattice that holds A, B and C positions of every bilayer: basis 0 cations, basis 1 anions."""
    x, y = a_h / 2, a_h / math.sqrt(12)
    return Lattice(np.array([[x, y, 0], [-x, y, 0], [0, 0, h]]), np.array([[0, 0, 0], [0, 0, 2 * u * h]]))


def letters_of(sequence: str) -> IntArray:
    """Return 0, 1, 2 for the bilayers of one period of "ABC", "hhc", "zincblende" …; PdfkitError for anything else."""
    text = NAMES.get(sequence, sequence)
    if text and set(text) <= set("hc"):
        return _from_labels(text)
    if len(text) < 2 or not set(text) <= set(LETTERS):
        raise PdfkitError(
            f"stacking {sequence!r} is not understood: give one letter for each bilayer of a period, A, B, C (as in "
            "ABC) or c, h (as in cchc)"
        )
    letters = np.array([LETTERS.index(letter) for letter in text])
    alike = np.flatnonzero(letters == np.roll(letters, -1))
    if alike.size:
        k = int(alike[0])
        where = "its end meets its beginning" if k == len(text) - 1 else f"bilayers {k + 1} and {k + 2}"
        raise PdfkitError(f"stacking {sequence!r} has {text[k]} on {text[k]} where {where}: neighbours must differ")
    return letters.astype(np.int64)


def _from_labels(labels: str) -> IntArray:
    """Return the letters of a period of c and h, repeated until it closes (at most six times)."""
    letters, step = [0], 1
    while True:
        for label in labels:
            step = -step if label == "h" else step
            letters.append((letters[-1] + step) % 3)
        # The label of the first bilayer turned the step into the second one: closed when both come again.
        if letters[-1] == 0 and step == 1:
            return np.array(letters[:-1], dtype=np.int64)


def hexagonal(letters: IntArray) -> Any:
    """Return which bilayers of a periodic stack are hexagonal: those between two of the same letter."""
    return np.roll(letters, 1) == np.roll(letters, -1)


def _family(letters: IntArray) -> str:
    share = float(np.mean(hexagonal(letters)))
    return {0.0: "zincblende", 1.0: "wurtzite"}.get(share, "faulted")


def _random(layers: Any, alpha: Any, seed: int | None) -> IntArray:
    if seed is None:
        raise PdfkitError("a random stacking needs a seed: give seed=1, or another whole number")
    count = int(_checks.number("layers", layers, low=4, high=1e6))
    flips = np.random.default_rng(seed).random(count) < _checks.number("alpha", alpha, low=0.0, high=1.0)
    letters = np.cumsum(np.where(flips, -1, 1).cumprod()) % 3
    if letters[-1] == letters[0]:  # the last bilayer must fit under the first of the next period
        letters = letters[:-1]
    return letters.astype(np.int64)


def bond_length(cation: str, anion: str) -> float:
    """Return the bond length (Å) of the tetrahedral crystal of two elements that comes with pdfkit.

    Raises StructureError when there is none.
    """
    from pdfkit.io.structures import available_structures
    from pdfkit.particles.geometry import bond_lengths

    names = available_structures()
    for name in (f"{cation}{anion}_zincblende", f"{cation}{anion}", f"{cation}{anion}_wurtzite"):
        if name in names and (source := crystal_source(name)).family:
            return bond_lengths(source.neighbourhood, cation, anion).mean
    raise StructureError(f"no bond length is known for {cation}–{anion}: give bond= in Å")


# --- Crystals as sources ---------------------------------------------------------------------------------------------

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
        family=_family_of(structure, symbols),
        name=Path(name).stem if name else structure.title or "".join(dict.fromkeys(symbols)),
    )


def _structure(obj: Any) -> Structure:
    if (found := Structure.of(obj)) is not None:
        return found
    if isinstance(obj, str | PathLike):
        from pdfkit.io.structures import read_or_load

        return read_or_load(obj)
    kind = f"{type(obj).__module__}.{type(obj).__name__}"
    hint = "it has no cell" if isinstance(obj, Particle) else f"{kind} is not one"
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


def _family_of(structure: Structure, symbols: tuple[str, ...]) -> str:
    group = "".join(structure.spacegroup.split()).replace("_", "").lower()
    if len(set(symbols)) != 2:
        return ""
    known = {("f-43m", 2): "zincblende", ("p63mc", 4): "wurtzite"}
    return known.get((group, len(symbols)), "")
