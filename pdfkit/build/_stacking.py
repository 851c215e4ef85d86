"""Stacks of tetrahedral bilayers: zinc blende, wurtzite, and every order between them.

Bilayer m is a triangular lattice of side a_h with the cation at height m·h and the anion bonded above it at (m + 2u)·h.
It sits at A, B or C, the next one step of a_h/√3 from it. All of these lie on one lattice: the triangular lattice of
side a_h/√3 in the plane, h above each other, and (n1 + n2) mod 3 says whether a point is an A, a B or a C.
With u = 3/8 and h = √(2/3)·a_h all bonds are √(3/8)·a_h long and all angles 109.47°.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._sites import neutral_symbol
from pdfkit.build._source import Source
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particle import Lattice

IDEAL_U = 0.375
LETTERS = "ABC"
NAMES = {"zincblende": "c", "wurtzite": "h"}


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
    PdfkitError : a sequence that is none, random without a seed, no bond length known for these elements.
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
    letters = _random(layers, alpha, seed) if sequence == "random" else letters_of(sequence)
    return Source(
        lattice=bilayer_lattice(a_h, h, u),
        elements=pair,
        axes=np.array([[a_h, 0, 0], [-a_h / 2, a_h * math.sqrt(0.75), 0], [0, 0, h]]),
        letters=letters,
        family=_family(letters),
        name=f"{pair[0]}{pair[1]} {sequence if len(sequence) < 20 else f'stack of {letters.size}'}",
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
            f"stacking {sequence!r} is none: give A, B, C for each bilayer of a period (ABC), or c and h (cchc)"
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
    from pdfkit.build._crystal import crystal_source
    from pdfkit.geometry import bond_lengths
    from pdfkit.io.structures import available_structures

    names = available_structures()
    for name in (f"{cation}{anion}_zincblende", f"{cation}{anion}", f"{cation}{anion}_wurtzite"):
        if name in names and (source := crystal_source(name)).family:
            return bond_lengths(source.neighbourhood, cation, anion).mean
    raise StructureError(f"no bond length is known for {cation}–{anion}: give bond= in Å")


def sequence_text(letters: Sequence[int] | Array) -> str:
    """Return "ABC…" for 0, 1, 2 …"""
    return "".join(LETTERS[int(k)] for k in letters)
