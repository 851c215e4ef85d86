"""Distances and angles between chosen atoms of a crystal, with their derivatives: what restraints speak of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pdfkit import scattering
from pdfkit._checks import Array, IntArray
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.phases import _orbits
from pdfkit.phases._geometry import Point
from pdfkit.phases._orbits import Geometry
from pdfkit.structure.species import base

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal


@dataclass(frozen=True)
class Bonds:
    """Pairs of an atom i and an atom j of the cell that is `shift` cells away: i, j (n,), shift (n, 3)."""

    i: IntArray
    j: IntArray
    shift: IntArray

    def __getitem__(self, which: IntArray) -> Bonds:
        return Bonds(self.i[which], self.j[which], self.shift[which])

    def lengths(self, point: Point) -> tuple[Array, Array]:
        """Return the distances d (n,) in Å and their derivatives (n, nq): ḋ = (Δ·g·Δ̇ + ½Δ·ġ·Δ)/d."""
        delta, moving = self._vectors(point)
        v = delta @ point.geometry.g
        d = np.sqrt((delta * v).sum(axis=1))
        slope = np.einsum("nk,qnk->nq", v, moving) + 0.5 * np.einsum("na,qab,nb->nq", delta, point.dg, delta)
        return d, slope / d[:, None]

    def _vectors(self, point: Point) -> tuple[Array, Array]:
        x, dx = point.geometry.x, point.directions.dx
        return x[self.j] + self.shift - x[self.i], dx[:, self.j] - dx[:, self.i]


def angles(point: Point, first: Bonds, second: Bonds) -> tuple[Array, Array]:
    """Return the angles θ (n,) in degrees between bonds from one atom, and their derivatives (n, nq).

    cos θ = u·g·v/(|u||v|), so that θ̇ = −[(u·g·v)˙/(|u||v|) − cos θ·(|u|˙/|u| + |v|˙/|v|)]/sin θ (0 where θ is 180°).
    """
    g, dg = point.geometry.g, point.dg
    (u, du), (v, dv) = first._vectors(point), second._vectors(point)
    (p, dp), (q, dq) = first.lengths(point), second.lengths(point)
    cosine = np.clip(np.einsum("na,ab,nb->n", u, g, v) / (p * q), -1.0, 1.0)
    change = np.einsum("qna,na->nq", du, v @ g) + np.einsum("qna,na->nq", dv, u @ g)
    change += np.einsum("na,qab,nb->nq", u, dg, v)
    slope = change / (p * q)[:, None] - cosine[:, None] * (dp / p[:, None] + dq / q[:, None])
    sine = np.sqrt(1.0 - cosine**2)
    slope = np.where(sine[:, None] > 1e-6, -slope / np.maximum(sine, 1e-6)[:, None], 0.0)
    return np.degrees(np.arccos(cosine)), np.degrees(slope)


def sites_of(crystal: Crystal, name: str) -> IntArray:
    """Return the sites that a restraint names: all of an element, else the one with this label."""
    sites = crystal.structure.sites
    elements = [{site.element, site.symbol, base(site.element)} for site in sites]
    found = [k for k, names in enumerate(elements) if name in names]
    found = found or [k for k, site in enumerate(sites) if site.label == name]
    if not found:
        near = nearest(name, sorted({site.label for site in sites} | set().union(*elements)))
        raise ParameterError(
            f"a restraint names {name}, but phase {crystal.name} has no such element and no such label: nearest are "
            f"{near}",
            key=name,
        )
    return np.array(found)


def neighbours(crystal: Crystal, geometry: Geometry, sites: IntArray, others: IntArray, reach: float) -> Bonds:
    """Return the pairs within reach (Å) of the first atom of each of the sites and any atom of the others."""
    atoms = crystal._atoms
    all_alike = np.zeros(atoms.site.size, dtype=np.int64)
    i, j, shift = _orbits.enumerate_pairs(geometry, reach, atoms.first[sites], all_alike)
    bonds = Bonds(i.astype(np.int64), j.astype(np.int64), shift.astype(np.int64))
    return bonds[np.flatnonzero(np.isin(atoms.site[bonds.j], others))]


def generic(crystal: Crystal) -> Point:
    """Return the crystal with every quantity a little, and irrationally, elsewhere: only symmetry is left."""
    free = np.array([q.value for q in crystal._structure_quantities])
    moved = free * (1.0 + 0.01 * np.random.default_rng(7).random(free.size)) + 1e-3 * np.sqrt(np.arange(free.size) + 2)
    return Point.at(crystal._maps, crystal._atoms, moved, crystal._directions(np.zeros((free.size, 0))))


def shortest(crystal: Crystal, pair: tuple[str, str], point: Point, reach: float) -> tuple[float, Array] | None:
    """Return the shortest distance (Å) of two elements or labels within reach, and its derivatives; None without one.

    Lengths are found without derivatives first: these only belong to one of them.
    """
    first, second = (sites_of(crystal, name) for name in pair)
    bonds = neighbours(crystal, point.geometry, first, second, reach)
    if not bonds.i.size:
        return None
    delta = point.geometry.x[bonds.j] + bonds.shift - point.geometry.x[bonds.i]
    nearest_pair = np.argmin(np.einsum("na,ab,nb->n", delta, point.geometry.g, delta))
    distance, slope = bonds[np.array([nearest_pair])].lengths(point)
    return float(distance[0]), slope[0]


@lru_cache(maxsize=256)
def strength(element: str, probe: str) -> float:
    """Return how strongly an atom scatters, 1 where nothing is known: that is refused where a curve is asked for."""
    try:
        return scattering.scattering_strength(element, probe)
    except PdfkitError:
        return 1.0
