"""A crystal at one point of parameter space: metric, atoms and displacements, with their tangents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.kernels import pairs as kernels
from pdfkit.phases._maps import Maps
from pdfkit.phases._orbits import Geometry
from pdfkit.structure import Structure

_U_INDEX = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class Atoms:
    """What does not change with parameters: images of the sites, species, pairs of species."""

    site: IntArray
    first: IntArray
    rotation: Array
    translation: Array
    elements: tuple[str, ...]
    species_of_site: Array
    pairs: tuple[tuple[str, str], ...]
    channel: IntArray

    @classmethod
    def of(cls, structure: Structure) -> Atoms:
        """Expand a structure's asymmetric unit."""
        full = structure.expand()
        n = len(structure.sites)
        elements = tuple(sorted({s.element for s in structure.sites}))
        index = np.array([elements.index(s.element) for s in structure.sites])
        pairs = [(i, j) for i in range(len(elements)) for j in range(i, len(elements))]
        lookup = np.zeros((len(elements), len(elements)), dtype=np.int64)
        for k, (i, j) in enumerate(pairs):
            lookup[i, j] = lookup[j, i] = k
        return cls(
            site=np.array(full.site, dtype=np.int64),
            first=np.array([int(np.argmax(full.site == i)) for i in range(n)], dtype=np.int64),
            rotation=np.array(full.rotation, dtype=float),
            translation=np.array(full.translation, dtype=float),
            elements=elements,
            species_of_site=(index[None, :] == np.arange(len(elements))[:, None]).astype(float),
            pairs=tuple((elements[i], elements[j]) for i, j in pairs),
            channel=lookup[index[:, None], index],
        )


@dataclass(frozen=True)
class Point:
    """Metric, atoms and displacements at given free values, with their tangents along nq directions.

    Shapes: u, occ (nsites,); dg (nq,3,3); dx (nq,natoms,3); du, docc (nq,nsites); db (nq,natoms,3,3). u is 0 for
    anisotropic sites, whose displacements are in geometry.b (one zero tensor when every site is isotropic).
    """

    atoms: Atoms
    geometry: Geometry
    u: Array
    occ: Array
    u_max: float
    aniso: bool
    dg: Array
    dx: Array
    du: Array
    db: Array
    docc: Array

    @classmethod
    def at(cls, maps: Maps, atoms: Atoms, free: Array, tangents: Array) -> Point:
        """Evaluate the crystal at `free` (nfree,) along `tangents` (nfree, nq)."""
        cell, xyz, u, occ = maps.apply(free)
        nq = tangents.shape[1]
        moved = (maps.matrix @ tangents).T if nq else np.zeros((0, maps.constant.size))
        dcell, dxyz, du, docc = maps.split(moved)
        rot, site = atoms.rotation, atoms.site
        g, dg = metric(cell, dcell)
        x = (rot @ xyz[site][:, :, None])[:, :, 0] + atoms.translation
        dx = (rot @ dxyz[:, site][..., None])[..., 0] if nq else np.zeros((0, site.size, 3))
        uiso, duiso = u[:, 0], du[:, :, 0]
        b, db, u_max = np.zeros((1, 3, 3)), np.zeros((nq, 1, 3, 3)), 0.0
        if maps.anisotropic:
            iso = np.array(maps.isotropic)
            uiso, duiso = np.where(iso, uiso, 0.0), np.where(iso, duiso, 0.0)
            b, db, u_max = _displacements(g, dg, u, du, iso)
            turned = rot.transpose(0, 2, 1)
            b, db = rot @ b[site] @ turned, rot @ db[:, site] @ turned
        u_max = max(u_max, float(uiso.max()))
        return cls(atoms, Geometry(g, x, b), uiso, occ, u_max, maps.anisotropic, dg, dx, duiso, db, docc)

    def arguments(self, width: Array, rcut: float, dwidth: Array) -> Arguments:
        """Return what the pair kernels need of this point; width and dwidth as in `finish_peaks`."""
        site = self.atoms.site
        kind = np.zeros(self.dg.shape[0], dtype=np.int64)
        if kind.size:
            for bit, tangent in (
                (kernels.CELL, self.dg),
                (kernels.POSITION, self.dx),
                (kernels.UISO, self.du),
                (kernels.UANISO, self.db),
                (kernels.OCCUPANCY, self.docc),
                (kernels.WIDTH, dwidth),
            ):
                kind |= bit * tangent.any(axis=tuple(range(1, tangent.ndim)))
        plain = np.ascontiguousarray
        g, x, b = self.geometry.g, self.geometry.x, self.geometry.b
        state = (plain(g), plain(x), self.u[site], plain(b), self.occ[site], self.aniso)
        tangents = (self.dg, self.dx, self.du[:, site], self.db, self.docc[:, site])
        return Arguments(state, kind, tuple(map(plain, tangents)), width, rcut, plain(dwidth))


@dataclass(frozen=True)
class Arguments:
    """Arguments of the pair kernels between the pairs and the outputs."""

    state: tuple[Any, ...]
    kind: IntArray
    tangents: tuple[Any, ...]
    width: Array
    rcut: float
    dwidth: Array


def metric(cell: Array, dcell: Array) -> tuple[Array, Array]:
    """Return g_ab = a_a·a_b (3,3) in Å², and its tangents (nq,3,3) along dcell (nq,6), of a b c (Å) α β γ (°)."""
    a, b, c, *angles = cell.tolist()
    al, be, ga = (math.radians(t) for t in angles)
    ca, cb, cg = math.cos(al), math.cos(be), math.cos(ga)
    ab, ac, bc = a * b * cg, a * c * cb, b * c * ca
    g = np.array([[a * a, ab, ac], [ab, b * b, bc], [ac, bc, c * c]])
    dg = np.zeros((dcell.shape[0], 3, 3))
    for q, (da, db, dc, *turns) in enumerate(dcell.tolist()):
        ta, tb, tg = (-math.sin(t) * math.radians(d) for t, d in zip((al, be, ga), turns, strict=True))
        dab = da * b * cg + a * db * cg + a * b * tg
        dac = da * c * cb + a * dc * cb + a * c * tb
        dbc = db * c * ca + b * dc * ca + b * c * ta
        dg[q] = [[2 * a * da, dab, dac], [dab, 2 * b * db, dbc], [dac, dbc, 2 * c * dc]]
    return g, dg


def _displacements(g: Array, dg: Array, u: Array, du: Array, iso: Array) -> tuple[Array, Array, float]:
    """Return B = N U N of the anisotropic sites (0 for isotropic ones), its tangents, and the largest eigenvalue.

    N = diag(a*, b*, c*), so that vᵀBv/d² with v = gΔ is the mean-square displacement along Δ. U is in the CIF
    convention. Shapes: u (nsites,6), du (nq,nsites,6) -> (nsites,3,3), (nq,nsites,3,3).
    """
    n, nq = u.shape[0], dg.shape[0]
    if iso.all():
        return np.zeros((n, 3, 3)), np.zeros((nq, n, 3, 3)), 0.0
    inverse = np.linalg.inv(g)
    star = np.sqrt(np.diag(inverse))
    dstar = -0.5 * np.einsum("ka,qab,bk->qk", inverse, dg, inverse) / star
    full, dfull = np.zeros((n, 3, 3)), np.zeros((nq, n, 3, 3))
    for k, (i, j) in enumerate(_U_INDEX):
        full[:, i, j] = full[:, j, i] = np.where(iso, 0.0, u[:, k])
        dfull[:, :, i, j] = dfull[:, :, j, i] = np.where(iso, 0.0, du[:, :, k])
    outer = np.outer(star, star)
    douter = dstar[:, :, None] * star + star[:, None] * dstar[:, None, :]
    b = full * outer
    u_max = float(np.linalg.eigvals(b @ g).real.max())
    return b, dfull * outer + full * douter[:, None], u_max
