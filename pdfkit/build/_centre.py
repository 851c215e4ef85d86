"""The point that a particle is centred on: an atom, a bond, a void, or where the user says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.build._source import Source
from pdfkit.errors import PdfkitError

NAMES = ("atom", "cation", "anion", "bond", "void")


def centre_of(source: Source, centre: str | Sequence[float]) -> Array:
    """Return the Cartesian position (3,) of a centre; PdfkitError when it is none."""
    if not isinstance(centre, str):
        given = _checks.array("centre", centre)
        if given.shape != (3,):
            raise PdfkitError(f"centre has {given.size} numbers: give three, along the axes of the source")
        return np.asarray(given @ source.axes)
    if centre == "atom":
        return source.first
    if centre in ("cation", "anion"):
        return _site(source, source.role(centre))
    if centre in source.elements:
        return _site(source, frozenset({centre}))
    if centre == "bond":
        return _bond(source)
    if centre == "void":
        return _void(source)
    known = ", ".join([*NAMES, *sorted(set(source.elements))])
    raise PdfkitError(f"centre = {centre!r} is not known: choose one of {known}, or give three numbers")


def _site(source: Source, elements: frozenset[str]) -> Array:
    """Return the first site of some elements, in the cell of the first site."""
    b = next(i for i, e in enumerate(source.elements) if e in elements)
    n = np.array([[source.letters[0] if source.letters.size else 0, 0, 0, b]])
    return np.asarray(source.lattice.positions(n)[0])


def _ordered(points: Array) -> Array:
    """Return the points sorted by z, y, x, largest first, whatever their last digits: the choice among equals."""
    key = np.round(points, 4)
    return points[np.lexsort((-key[:, 0], -key[:, 1], -key[:, 2]))]


def _bond(source: Source) -> Array:
    xyz = source.neighbourhood.xyz
    d = np.linalg.norm(xyz - source.first, axis=1)
    shortest = d[d > 0.1].min()
    return np.asarray((source.first + _ordered(xyz[(d > 0.1) & (d < shortest + 1e-3)])[0]) / 2)


def _void(source: Source) -> Array:
    """Return the Voronoi vertex furthest from its atoms: the one nearest to the first site, among equals."""
    from scipy.spatial import Voronoi, cKDTree

    rows = source.axes
    middle = source.first + rows.sum(axis=0) / 2
    # Voids of the cell have all their atoms within a few atoms' distance of it.
    margin = 4 * source.volume ** (1 / 3)
    xyz = source.around(middle, max(np.linalg.norm(rows.sum(axis=0)), margin) / 2 + margin).xyz
    corners = Voronoi(xyz - source.first).vertices
    x = corners @ np.linalg.inv(rows)
    corners = corners[((x > -1e-6) & (x < 1 - 1e-6)).all(axis=1)]
    room = cKDTree(xyz - source.first).query(corners)[0]
    widest = corners[room > room.max() - 1e-4]
    d = np.linalg.norm(widest, axis=1)
    return np.asarray(source.first + _ordered(widest[d < d.min() + 1e-4])[0])
