"""What particles are cut from, and about which point: sites of a crystal or of a stack of bilayers, without end.

Atoms on the surface are inside, whatever the last digit of their position says (`EDGE`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.particle import Lattice, Particle

# --- Which elements of a compound are its anions ---------------------------------------------------------------------

# Pauling's electronegativities, of the elements that form anions.
NONMETALS = {
    "H": 2.20, "B": 2.04, "C": 2.55, "N": 3.04, "O": 3.44, "F": 3.98, "Si": 1.90, "P": 2.19, "S": 2.58, "Cl": 3.16,
    "As": 2.18, "Se": 2.55, "Br": 2.96, "Sb": 2.05, "Te": 2.10, "I": 2.66,
}  # fmt: skip

# Of ligands, unless nothing else could be the anion.
ORGANIC = {"H", "C"}


def anions(elements: Iterable[str]) -> frozenset[str]:
    """Return the elements that are anions; none for metals and for pure elements."""
    present = set(elements)
    some = present & NONMETALS.keys()
    if len(present) < 2 or not some:
        return frozenset()
    if some == present:
        return frozenset({max(sorted(some), key=NONMETALS.__getitem__)})
    return frozenset((some - ORGANIC) or some)


def cations(elements: Iterable[str]) -> frozenset[str]:
    """Return the elements that are cations; none for metals and for pure elements."""
    present = set(elements)
    negative = anions(present)
    return frozenset(present - negative - (ORGANIC if present - NONMETALS.keys() else set())) if negative else negative


# --- Convex bodies about the origin ----------------------------------------------------------------------------------

EDGE = 1e-6
"""Å: positions are exact to rounding, so this only decides ties."""


class Region(Protocol):
    """What a particle is cut with."""

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return which of the points (n, 3) are inside."""

    def reach(self, direction: Array) -> float:
        """Return the largest x·direction of the body."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid with half axes `radii` (3,) along x, y, z; a sphere when they are equal."""

    radii: Array

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return Σ (x/r)² ≤ 1."""
        scaled = x / (self.radii + EDGE)
        return np.asarray(np.einsum("nk,nk->n", scaled, scaled) <= 1.0)

    def reach(self, direction: Array) -> float:
        """Return |r·direction| + the edge."""
        return float(np.linalg.norm((self.radii + EDGE) * direction))


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A cylinder about the unit vector `axis`."""

    axis: Array
    radius: float
    half: float

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return |along the axis| ≤ half and distance to the axis ≤ radius."""
        along = x @ self.axis
        across = np.einsum("nk,nk->n", x, x) - along**2
        return np.asarray((np.abs(along) <= self.half + EDGE) & (across <= (self.radius + EDGE) ** 2))

    def reach(self, direction: Array) -> float:
        """Return the reach of both together."""
        along = float(direction @ self.axis)
        across = float(np.linalg.norm(direction - along * self.axis))
        return (self.half + EDGE) * abs(along) + (self.radius + EDGE) * across


@dataclass(frozen=True, eq=False)
class Box:
    """A box with half edges `half` (3,) along the orthonormal rows of `axes`."""

    axes: Array
    half: Array

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return |x·axis| ≤ half for all three."""
        return np.asarray((np.abs(x @ self.axes.T) <= self.half + EDGE).all(axis=1))

    def reach(self, direction: Array) -> float:
        """Return Σ half·|axis·direction|."""
        return float(((self.half + EDGE) * np.abs(self.axes @ direction)).sum())


# --- What particles are cut from -------------------------------------------------------------------------------------

# Lattice points looked at in one go: 100 MB of positions and indices.
_SLAB = 2_000_000

MAX_SITES = 2e9


def _none() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Source:
    """Endless sites that particles are cut from (made by `network` and `stacking`).

    lattice : primitive; the sites are n·vectors + offsets[b]. elements : of each basis site b. axes : (3, 3) rows, the
    axes that directions and centres are given in. letters : for a stack of bilayers, 0, 1, 2 for A, B, C of each
    bilayer of one period: only sites with (n1 + n2) mod 3 = letters[n3] are there. family : "zincblende", "wurtzite",
    "faulted" or "". name : free text.

    Example
    -------
    >>> import pdfkit as pk
    >>> source = pk.build.network("CdSe_wurtzite")
    >>> source.family, source.elements, len(source.lattice.offsets)
    ('wurtzite', ('Cd', 'Cd', 'Se', 'Se'), 4)
    """

    lattice: Lattice
    elements: tuple[str, ...]
    axes: Array
    letters: IntArray = field(default_factory=_none)
    family: str = ""
    name: str = ""

    def __repr__(self) -> str:
        what = f"stack of {self.letters.size} bilayers" if self.letters.size else "crystal"
        return f"Source({self.name!r}: {what} of {', '.join(sorted(set(self.elements)))})"

    @cached_property
    def volume(self) -> float:
        """Volume of one atom in Å³."""
        cell = abs(float(np.linalg.det(self.lattice.vectors))) / len(self.elements)
        return 3 * cell if self.letters.size else cell

    @cached_property
    def first(self) -> Array:
        """Position of the first site, which is where `centre="atom"` puts the centre."""
        n = np.zeros((1, 4), dtype=np.int64)
        if self.letters.size:
            n[0, 0] = self.letters[0]
        return np.asarray(self.lattice.positions(n)[0])

    def there(self, n: IntArray) -> NDArray[np.bool_]:
        """Return which of the lattice points (k, 3) are sites."""
        if not self.letters.size:
            return np.ones(len(n), dtype=np.bool_)
        return np.asarray((n[:, 0] + n[:, 1]) % 3 == self.letters[n[:, 2] % self.letters.size])

    def sites_in(self, region: Region, centre: Array) -> IntArray:
        """Return the sites (k, 4) within a region about `centre`, by basis, then n1, n2, n3."""
        vectors, inverse = self.lattice.vectors, np.linalg.inv(self.lattice.vectors)
        high = np.array([region.reach(column) for column in inverse.T])
        low = -np.array([region.reach(-column) for column in inverse.T])
        if float(np.prod(high - low + 1)) > MAX_SITES:
            raise PdfkitError(f"{self.name}: the particle would have more than 1e8 atoms: make it smaller")
        out = []
        for b, offset in enumerate(self.lattice.offsets):
            at = (centre - offset) @ inverse
            first, last = np.ceil(at + low).astype(int), np.floor(at + high).astype(int)
            plane = max(1, int(np.prod(np.maximum(last - first + 1, 0)[1:])))
            rows = max(1, _SLAB // plane)
            for start in range(first[0], last[0] + 1, rows):
                ranges = [np.arange(start, min(start + rows, last[0] + 1))]
                ranges += [np.arange(first[k], last[k] + 1) for k in (1, 2)]
                n = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
                if self.letters.size:
                    n = n[self.there(n)]
                n = n[region.inside(n @ vectors + (offset - centre))]
                out.append(np.column_stack([n, np.full(len(n), b, dtype=np.int64)]))
        return np.concatenate(out) if out else np.zeros((0, 4), dtype=np.int64)

    def particle(self, sites: IntArray, centre: Array, *, what: str = "") -> Particle:
        """Return the atoms of some sites, `centre` at the origin."""
        if len(sites) == 0:
            raise StructureError(f"no atom of {self.name} lies in {what}: make it larger, or choose another centre")
        distinct = tuple(sorted(set(self.elements)))
        index = np.array([distinct.index(e) for e in self.elements])
        used, kind = np.unique(index[sites[:, 3]], return_inverse=True)
        xyz = self.lattice.positions(sites) - centre
        return Particle(
            tuple(distinct[k] for k in used), kind.astype(np.int64), xyz, lattice=self.lattice, sites=sites
        )  # fmt: skip

    def around(self, centre: Array, radius: float) -> Particle:
        """Return the atoms within `radius` of a point, in the source's own frame."""
        region = Ellipsoid(np.full(3, radius))
        return self.particle(self.sites_in(region, centre), np.zeros(3), what=f"a sphere of {radius:g} Å")

    @cached_property
    def neighbourhood(self) -> Particle:
        """A few hundred atoms around the first one, which is nearest to the middle."""
        return self.around(self.first, (300 * self.volume * 0.239) ** (1 / 3))

    def role(self, which: str) -> frozenset[str]:
        """Return the elements that are "cation" or "anion"; StructureError when there is no such thing."""
        out = cations(self.elements) if which == "cation" else anions(self.elements)
        if not out:
            raise StructureError(f"{self.name} has no {which}: name an element, such as {self.elements[0]}")
        return out

    def holds(self, symbol: str, points: Array) -> bool:
        """Return whether a site of this element lies within 0.05 Å of every one of the points (n, 3)."""
        inverse = np.linalg.inv(self.lattice.vectors)
        found = np.zeros(len(points), dtype=np.bool_)
        for b, element in enumerate(self.elements):
            if element != symbol:
                continue
            n = np.round((points - self.lattice.offsets[b]) @ inverse).astype(np.int64)
            near = np.linalg.norm(n @ self.lattice.vectors + self.lattice.offsets[b] - points, axis=1) < 0.05
            found |= near & self.there(n)
        return bool(found.all())


# --- The point that a particle is centred on -------------------------------------------------------------------------

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
