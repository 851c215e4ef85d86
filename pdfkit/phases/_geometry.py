"""A crystal at one point of parameter space: metric, atoms and displacements, with their tangents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.kernels import cells as kernels_of_cells
from pdfkit.kernels import pairs as kernels
from pdfkit.phases._bodies import stretch_of
from pdfkit.phases._constraints import SMALL, Maps
from pdfkit.phases._orbits import Geometry
from pdfkit.phases.base import Composition
from pdfkit.structure import symmetry
from pdfkit.structure.structure import Structure
from pdfkit.structure.symmetry import VOIGT

_STILL = np.zeros((0, 6))
_TENSOR = np.array([[VOIGT.index((min(i, j), max(i, j))) for j in range(3)] for i in range(3)])
"""Which of the six numbers of U stands where."""
FLAT = 1e-3
"""Volume of a cell over abc below which it is flat; of a rhombohedron of 15° it is 0.058."""


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
    species: IntArray
    lookup: IntArray

    @cached_property
    def listed(self) -> bool:
        """Whether every atom is a site of the structure, where it is said to be: P1."""
        alone = self.site.size == self.first.size and not self.translation.any()
        return bool(alone and (self.site == np.arange(self.site.size)).all() and (self.rotation == np.eye(3)).all())

    def pair(self, i: Any, j: Any) -> Any:
        """Return the species pair of sites i and j, arrays of indices; a table of all sites would be gigabytes."""
        return self.lookup.ravel().take(self.species.take(i) * len(self.lookup) + self.species.take(j))

    @classmethod
    def of(cls, structure: Structure) -> Atoms:
        """Expand a structure's asymmetric unit."""
        full = structure.expand()
        elements = tuple(sorted({s.element for s in structure.sites}))
        index = np.array([elements.index(s.element) for s in structure.sites])
        pairs = [(i, j) for i in range(len(elements)) for j in range(i, len(elements))]
        lookup = np.zeros((len(elements), len(elements)), dtype=np.int64)
        for k, (i, j) in enumerate(pairs):
            lookup[i, j] = lookup[j, i] = k
        return cls(
            site=np.array(full.site, dtype=np.int64),
            first=np.unique(full.site, return_index=True)[1].astype(np.int64),
            rotation=np.array(full.rotation, dtype=float),
            translation=np.array(full.translation, dtype=float),
            elements=elements,
            species_of_site=(index[None, :] == np.arange(len(elements))[:, None]).astype(float),
            pairs=tuple((elements[i], elements[j]) for i, j in pairs),
            species=index,
            lookup=lookup,
        )


@dataclass(frozen=True)
class Directions:
    """What tangents of the free values do to the crystal, as far as it does not depend on where the crystal is.

    Shapes: dcell (nq,6); dx (nq,natoms,3) fractional, of rigid molecules once `moved`; full (nq,nsites,6),
    tangents of U; du, docc (nq,nsites) of the isotropic sites and occupancies; du_atoms, docc_atoms (nq,natoms) the
    same by atom; kind (nq,), the bits of `pdfkit.kernels.pairs` that change; dposes (nq,nbodies,7).
    """

    dcell: Array
    dx: Array
    full: Array
    du: Array
    docc: Array
    du_atoms: Array
    docc_atoms: Array
    kind: IntArray
    dposes: Array

    @classmethod
    def of(cls, maps: Maps, atoms: Atoms, tangents: Array) -> Directions:
        """Follow tangents (nfree, nq) through the constraints to every atom."""
        nq, site = tangents.shape[1], atoms.site
        moved = (maps.matrix @ tangents).T if nq else np.zeros((0, maps.constant.size))
        dcell, dxyz, full, docc, dposes = maps.split(moved)
        dx = (atoms.rotation @ dxyz[:, site][..., None])[..., 0] if nq else np.zeros((0, site.size, 3))
        iso = np.array(maps.isotropic)
        du = np.where(iso, full[:, :, 0], 0.0)
        kind = np.zeros(nq, dtype=np.int64)
        for bit, tangent in (
            (kernels.CELL, dcell),
            (kernels.POSITION, dx),
            (kernels.UISO, du),
            (kernels.UANISO, full[:, ~iso]),
            (kernels.OCCUPANCY, docc),
            (kernels.POSITION, dposes),
            (kernels.POSITION, dcell if maps.bodies else dcell[:, :0]),
        ):
            kind |= bit * tangent.any(axis=tuple(range(1, tangent.ndim)))
        plain = np.ascontiguousarray
        return cls(dcell, plain(dx), full, du, docc, plain(du[:, site]), plain(docc[:, site]), kind, dposes)

    def moved(self, maps: Maps, atoms: Atoms, cell: Array, dg: Array, poses: Array) -> Directions:
        """Return the directions with what rigid molecules do at a point: it depends on the cell and on their turns."""
        if not maps.bodies or not self.kind.size:
            return self
        inverse = symmetry.to_fractional(cell.tolist())
        stretch, dxyz = stretch_of(inverse, dg), np.zeros((self.kind.size, atoms.first.size, 3))
        for k, body in enumerate(maps.bodies):
            dxyz[:, body.sites] = body.moving(inverse, stretch, poses[k], self.dposes[:, k])
        dx = self.dx + (atoms.rotation @ dxyz[:, atoms.site][..., None])[..., 0]
        return replace(self, dx=np.ascontiguousarray(dx))


@dataclass(frozen=True)
class Widths:
    """What directions do to the widths of peaks: tangents (nq, 5) of δ₁, δ₂, qbroad, resolution and sratio, and the bit
    WIDTH or 0 of each, kind (nq,).
    """

    tangents: Array
    kind: IntArray

    @classmethod
    def of(cls, own: Array, instrument: Array) -> Widths:
        """Return them of tangents (3, nq) of δ₁, δ₂ and sratio, and (nq, 2) of qbroad and resolution."""
        return _widths(own.tobytes(), instrument.tobytes())


@lru_cache(maxsize=32)
def _widths(own: bytes, instrument: bytes) -> Widths:
    three, two = np.frombuffer(own).reshape(3, -1), np.frombuffer(instrument).reshape(-1, 2)
    tangents = np.column_stack([three[:2].T, two, three[2]])
    return Widths(tangents, np.where(tangents.any(axis=1), np.int64(kernels.WIDTH), np.int64(0)))


@dataclass(frozen=True)
class Layout:
    """Cell (6), u (nsites) and occupancies (nsites), then x (natoms, 3), u and occupancies by atom, as matrix·free +
    constant: a small crystal without tensors or rigid molecules is at hand in one product.
    """

    matrix: Array
    constant: Array
    ends: tuple[int, ...]

    @classmethod
    def of(cls, maps: Maps, atoms: Atoms) -> Layout | None:
        """Return the layout of a crystal, or None where it has tensors or rigid molecules, or is too large to pay."""
        n, natoms = len(maps.isotropic), atoms.site.size
        if maps.anisotropic or maps.bodies or (6 + 10 * n + 5 * natoms) * maps.matrix.shape[1] >= SMALL:
            return None
        full = np.column_stack([maps.matrix.toarray(), maps.constant])
        u, occ = full[6 + 3 * n : 6 + 9 * n : 6], full[6 + 9 * n : 6 + 10 * n]
        x = atoms.rotation @ full[6 : 6 + 3 * n].reshape(n, 3, -1)[atoms.site]
        x[..., -1] += atoms.translation
        rows = [full[:6], u, occ, x.reshape(3 * natoms, -1), u[atoms.site], occ[atoms.site]]
        both = np.concatenate(rows)
        ends = np.cumsum([len(part) for part in rows]).tolist()
        return cls(both[:, :-1].copy(), both[:, -1].copy(), tuple(ends))

    def at(self, free: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Return cell, u and occupancies of sites, x, u and occupancies of atoms."""
        out = self.matrix @ free
        out += self.constant
        a, b, c, d, e, _ = self.ends
        return out[:a], out[a:b], out[b:c], out[c:d].reshape(-1, 3), out[d:e], out[e:]

    def outlook(self, free: Array) -> tuple[float, float]:
        """Return the least u (Å²) of a site and the volume (Å³) of the cell."""
        cell, u, *_ = self.at(free)
        return float(u.min()), metric(cell, _STILL)[2]


@dataclass(frozen=True)
class Point:
    """Metric, atoms and displacements at given free values, with their tangents along nq directions.

    Shapes: u, occ (nsites,), and by atom (natoms,); dg (nq,3,3); db (nq,natoms,3,3); growth (nq,), tangents of
    ln(volume). u is 0 for anisotropic sites, whose displacements are in geometry.b (one zero tensor when every site is
    isotropic).
    """

    atoms: Atoms
    geometry: Geometry
    u: Array
    occ: Array
    u_atoms: Array
    occ_atoms: Array
    u_max: float
    aniso: bool
    volume: float
    growth: Array
    dg: Array
    db: Array
    directions: Directions

    @classmethod
    def at(cls, maps: Maps, atoms: Atoms, free: Array, directions: Directions, layout: Layout | None = None) -> Point:
        """Evaluate the crystal at `free` (nfree,) along the directions; layout: as `Layout.of` gives it, if at hand."""
        if layout is not None:
            cell, u, occ, x, u_atoms, occ_atoms = layout.at(free)
            g, dg, volume, growth = metric(cell, directions.dcell)
            b, db = _untensored(directions.kind.size)
            by_atom, u_max = (u_atoms, occ_atoms), max(u.tolist())
            return cls(
                atoms, Geometry(g, x, b), u, occ, *by_atom, max(0.0, u_max), False, volume, growth, dg, db, directions
            )
        cell, xyz, u, occ, poses = maps.apply(free)
        nq = directions.kind.size
        rot, site = atoms.rotation, atoms.site
        g, dg, volume, growth = metric(cell, directions.dcell)
        directions = directions.moved(maps, atoms, cell, dg, poses)
        x = xyz if atoms.listed else (rot @ xyz[site][:, :, None])[:, :, 0] + atoms.translation
        uiso, u_max = u[:, 0], 0.0
        b, db = _untensored(nq)
        if maps.anisotropic:
            iso = np.array(maps.isotropic)
            uiso = np.where(iso, uiso, 0.0)
            b, db, u_max = _displacements(g, dg, u, directions.full, iso)
            if not atoms.listed:
                turned = rot.transpose(0, 2, 1)
                b, db = rot @ b[site] @ turned, np.ascontiguousarray(rot @ db[:, site] @ turned)
        u_max = max(u_max, float(uiso.max()))
        geometry = Geometry(g, np.ascontiguousarray(x), np.ascontiguousarray(b))
        by_atom = uiso[site], occ[site]
        return cls(atoms, geometry, uiso, occ, *by_atom, u_max, maps.anisotropic, volume, growth, dg, db, directions)

    def arguments(
        self, width: Array, rcut: float, widths: Widths, amount: AtomCount, *, shifted: bool = False
    ) -> Arguments:
        """Return what the pair kernels need of this point; width and rcut as in `finish_peaks`.

        shifted : whether anisotropic displacement moves peaks.
        """
        along = self.directions
        kind = along.kind | widths.kind
        if self.aniso:  # U in units of the reciprocal cell: its tensors change with the cell
            kind |= kernels.UANISO * ((kind & kernels.CELL) != 0)
        state = (self.geometry.g, self.geometry.x, self.u_atoms, self.geometry.b, self.occ_atoms, self.aniso)
        tangents = (self.dg, along.dx, along.du_atoms, self.db, along.docc_atoms)
        finish = (width, rcut, widths.tangents, amount.atoms, amount.relative)
        trace = self.traces() if shifted and self.aniso else None
        return Arguments(state, kind, tangents, finish, trace)

    def traces(self) -> tuple[Array, Array]:
        """Return the traces of U of every atom (natoms,), in Å², and their tangents (nq, natoms)."""
        g, b, along = self.geometry.g, self.geometry.b, self.directions
        trace = 3.0 * self.u_atoms + np.einsum("nab,ba->n", b, g)
        if not along.kind.size:
            return trace, np.zeros((0, trace.size))
        change = np.einsum("qnab,ba->qn", self.db, g) + np.einsum("nab,qba->qn", b, self.dg)
        return trace, np.ascontiguousarray(3.0 * along.du_atoms + change)


@dataclass(frozen=True)
class Points:
    """A crystal without rigid molecules at n vectors of free values, without derivatives; each as of `Point`.

    Shapes: g (n,3,3), x (n,natoms,3), b (n,natoms,3,3) or (n,1,3,3), volume (n,); u, occ (n,nsites); u_max of all.
    """

    g: Array
    x: Array
    u: Array
    b: Array
    occ: Array
    u_max: float
    volume: Array

    @classmethod
    def at(cls, maps: Maps, atoms: Atoms, free: Array) -> Points:
        """Evaluate the crystal at free (n, nfree)."""
        cell, xyz, u, occ, _ = maps.split((maps.matrix @ free.T).T + maps.constant)
        g, volume = metrics(np.ascontiguousarray(cell))
        x = (atoms.rotation @ xyz[:, atoms.site][..., None])[..., 0] + atoms.translation
        uiso, b, u_max = u[..., 0], np.zeros((len(free), 1, 3, 3)), 0.0
        if maps.anisotropic:
            iso = np.array(maps.isotropic)
            uiso = np.where(iso, uiso, 0.0)
            b = _in_lattice(u, iso) * _reciprocal(g)[:, None]
            u_max = _largest(b, g)
            b = np.ascontiguousarray(atoms.rotation @ b[:, atoms.site] @ atoms.rotation.transpose(0, 2, 1))
        u_max = max(u_max, float(uiso.max()), 0.0)
        return cls(g, np.ascontiguousarray(x), uiso, b, occ, u_max, volume)

    def traces(self, site: IntArray) -> Array:
        """Return the traces of U of every atom (n, natoms), in Å²."""
        return np.ascontiguousarray(3.0 * self.u[:, site] + np.einsum("knab,kba->kn", self.b, self.g))


@lru_cache(maxsize=32)
def _untensored(nq: int) -> tuple[Array, Array]:
    """Return the tensors (1,3,3) of atoms that all are isotropic, and their tangents (nq,1,3,3)."""
    return np.zeros((1, 3, 3)), np.zeros((nq, 1, 3, 3))


@dataclass(frozen=True)
class AtomCount:
    """Atoms in the cell, weighted with occupancy; relative (nq,): tangents of their number over it."""

    atoms: float
    relative: Array
    composition: Composition

    @classmethod
    def of(cls, name: str, multiplicity: Array, point: Point) -> AtomCount:
        """Count the atoms of the phase `name` at a point."""
        atoms = point.atoms
        amount = atoms.species_of_site @ (multiplicity * point.occ)
        total = float(amount.sum())
        if total <= 0:
            raise PdfkitError(f"{name}: every occupancy is 0, so there are no atoms: give at least one a value above 0")
        fractions = amount / total
        docc = point.directions.docc
        relative, dfractions = np.zeros(docc.shape[0]), np.zeros((docc.shape[0], fractions.size))
        if docc.any():
            change = (multiplicity * docc) @ atoms.species_of_site.T / total
            relative = change.sum(axis=1)
            dfractions = change - fractions * relative[:, None]
        return cls(total, relative, Composition(atoms.elements, fractions, dfractions))


@dataclass(frozen=True)
class Arguments:
    """Arguments of the pair kernels: of the sums over pairs, and (`finish`) of what makes peaks of them.

    trace : traces of U (natoms,) and their tangents (nq, natoms) where they move peaks, else None.
    """

    state: tuple[Any, ...]
    kind: IntArray
    tangents: tuple[Any, ...]
    finish: tuple[Any, ...]
    trace: tuple[Array, Array] | None = None


def metric(cell: Array, dcell: Array) -> tuple[Array, Array, float, Array]:
    """Return g_ab = a_a·a_b (3,3) in Å² and the volume in Å³ of a cell a b c (Å) α β γ (°), and how they change.

    As (g, dg (nq,3,3), volume, tangents of ln(volume) (nq,)), along dcell (nq,6). Raises PdfkitError for angles of no
    cell.
    """
    n = dcell.shape[0]
    g, dg, growth = np.empty((3, 3)), np.empty((n, 3, 3)), np.empty(n)
    volume = kernels_of_cells.metric(cell, np.ascontiguousarray(dcell), g, dg, growth)
    if not volume > FLAT * cell[0] * cell[1] * cell[2]:
        raise _not_closed(cell)
    return g, dg, volume, growth


def metrics(cells: Array) -> tuple[Array, Array]:
    """Return g (n,3,3) and volumes (n,) of cells (n,6), as `metric` does."""
    g, volumes = np.empty((cells.shape[0], 3, 3)), np.empty(cells.shape[0])
    kernels_of_cells.metrics(cells, g, volumes)
    closed = volumes > FLAT * cells[:, 0] * cells[:, 1] * cells[:, 2]
    if not closed.all():
        raise _not_closed(cells[int(np.argmin(closed))])
    return g, volumes


def _not_closed(cell: Array) -> PdfkitError:
    alpha, beta, gamma = cell[3:]
    return PdfkitError(
        f"edges at angles of {alpha:.6g}, {beta:.6g} and {gamma:.6g}° span no cell: each has to be less than the "
        "sum of the others, and all three less than 360°; give others, or bounds that keep them there"
    )


def _displacements(g: Array, dg: Array, u: Array, du: Array, iso: Array) -> tuple[Array, Array, float]:
    """Return B = N U N of the anisotropic sites (0 for isotropic ones), its tangents, and the largest eigenvalue.

    N = diag(a*, b*, c*), so that vᵀBv/d² with v = gΔ is the mean-square displacement along Δ. U is in the CIF
    convention. Shapes: u (nsites,6), du (nq,nsites,6) -> (nsites,3,3), (nq,nsites,3,3).
    """
    n, nq = u.shape[0], dg.shape[0]
    if iso.all():
        return np.zeros((n, 3, 3)), np.zeros((nq, n, 3, 3)), 0.0
    inverse = np.linalg.inv(g)
    star = np.sqrt(inverse.diagonal())
    full, outer = _in_lattice(u, iso), star[:, None] * star
    b = full * outer
    u_max = _largest(b, g)
    if not nq:
        return b, np.zeros((0, n, 3, 3)), u_max
    dstar = -0.5 * np.einsum("ka,qab,bk->qk", inverse, dg, inverse) / star
    douter = dstar[:, :, None] * star + star[:, None] * dstar[:, None, :]
    return b, _in_lattice(du, iso) * outer + full * douter[:, None], u_max


def _largest(b: Array, g: Array) -> float:
    """Return the largest mean-square displacement (Å²) of tensors b (…,n,3,3) in cells of the metric g (…,3,3)."""
    root = np.linalg.cholesky(g)  # LᵀbL has the eigenvalues of bg, and is symmetric
    if root.ndim > 2:
        root = root[:, None]
    return float(np.linalg.eigvalsh(root.swapaxes(-1, -2) @ b @ root)[..., -1].max())


def _in_lattice(u: Array, iso: Array) -> Array:
    """Return the tensors (…,nsites,3,3) of U (…,nsites,6), 0 for isotropic sites."""
    out = u[..., _TENSOR]
    if iso.any():
        out[..., iso, :, :] = 0.0
    return np.asarray(out)


def _reciprocal(g: Array) -> Array:
    """Return the products of lengths of the reciprocal cell (n,3,3)."""
    star = np.sqrt(np.diagonal(np.linalg.inv(g), axis1=1, axis2=2))
    return np.asarray(star[:, :, None] * star[:, None, :])
