"""Space-group constraints as one sparse linear map from free quantities to cell, positions, U and occupancies.

Sites of rigid molecules have no positions of their own: the map gives where each molecule is and how it is turned, and
from these and the cell their positions follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _expressions
from pdfkit._checks import Array, IntArray
from pdfkit.phases.base import U_MAX, Quantity, cell_length, displacement, sensible_limits
from pdfkit.structure import symmetry
from pdfkit.structure.mixing import leaders
from pdfkit.structure.structure import NAMES_CELL, NAMES_U, NAMES_XYZ, Structure

if TYPE_CHECKING:
    from pdfkit.phases._bodies import Body
    from pdfkit.phases.crystal import Crystal

# Entries up to which a dense product beats the overhead of a sparse one.
SMALL = 10_000


@dataclass(frozen=True)
class Maps:
    """full = matrix·free + constant: cell (6), positions (nsites·3), displacements (nsites·6), occupancies, poses.

    A site that shares the place of another has no free numbers but its occupancy: it follows those of the other.
    bodies : rigid molecules, of 7 numbers each (poses); the positions of their sites follow from these.
    """

    cell_free: tuple[str, ...]
    xyz_free: tuple[tuple[str, ...], ...]
    u_free: tuple[tuple[str, ...], ...]
    isotropic: tuple[bool, ...]
    anisotropic: bool
    matrix: Any  # scipy.sparse.csr_array: a cell of 2,000 free atoms would need gigabytes as a dense one
    constant: Array
    multiplicity: Array
    bodies: tuple[Body, ...] = ()

    @classmethod
    def of(cls, structure: Structure, bodies: tuple[Body, ...] = ()) -> Maps:
        """Collect the space-group constraints of a structure, and of rigid molecules, into one linear map."""
        n = len(structure.sites)
        placed = {site for body in bodies for site in body.sites.tolist()}
        cell = LinearBlock.of(NAMES_CELL, structure.cell_constraints())
        xyz = [
            LinearBlock.none(3) if i in placed else LinearBlock.of(NAMES_XYZ, structure.position_constraints(i))
            for i in range(n)
        ]
        u = [
            LinearBlock.isotropic() if s.isotropic else LinearBlock.of(NAMES_U, structure.U_constraints(i))
            for i, s in enumerate(structure.sites)
        ]
        lead_of = leaders(structure)
        own = np.array(lead_of) == np.arange(n)
        # Where the free numbers of each block begin: cell, then position, displacement and occupancy site by site.
        count = np.array([[len(x.free), len(one.free), 1] for x, one in zip(xyz, u, strict=True)])
        count[:, :2] *= own[:, None]
        begin = len(cell.free) + np.cumsum(count).reshape(n, 3) - count
        begin[:, :2] = begin[lead_of, :2]
        after, sites = len(cell.free) + int(count.sum()), np.arange(n)
        turned = [body.block for body in bodies]
        ends = after + np.cumsum([0, *(len(block.free) for block in turned)])
        size = 6 + 10 * n + 7 * len(bodies)
        placed_blocks = (
            *_alike([cell], np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)),
            *_alike(xyz, 6 + 3 * sites, begin[:, 0]),
            *_alike(u, 6 + 3 * n + 6 * sites, begin[:, 1]),
            *_alike([LinearBlock.identity()] * n, 6 + 9 * n + sites, begin[:, 2]),
            *_alike(turned, 6 + 10 * n + 7 * np.arange(len(bodies)), ends[:-1]),
        )
        matrix, constant = _assembled(placed_blocks, (size, int(ends[-1])))
        return cls(
            cell.free,
            tuple(b.free if lead == i else () for i, (b, lead) in enumerate(zip(xyz, lead_of, strict=True))),
            tuple(b.free if lead == i else () for i, (b, lead) in enumerate(zip(u, lead_of, strict=True))),
            tuple(s.isotropic for s in structure.sites),
            not all(s.isotropic for s in structure.sites),
            matrix,
            constant,
            structure.multiplicities().astype(float),
            bodies,
        )

    @cached_property
    def count(self) -> int:
        """How many free numbers there are."""
        return int(self.matrix.shape[1])

    @cached_property
    def places(self) -> IntArray:
        """Where in the full vector each free number of the cell and of sites stands."""
        n = len(self.xyz_free)
        kinds = dict[Any, list[int]]()
        for i, kind in enumerate(zip(self.xyz_free, self.u_free, strict=True)):
            kinds.setdefault(kind, []).append(i)
        out = np.full((n, 10), -1, dtype=np.int64)  # sites in rows; those alike, of which a box has 10⁵, at once
        for (xyz, u), alike in kinds.items():
            which, k = np.array(alike, dtype=np.int64), len(xyz)
            of_xyz = np.array([NAMES_XYZ.index(name) for name in xyz], dtype=np.int64)
            of_u = np.array([0 if name == "Uiso" else NAMES_U.index(name) for name in u], dtype=np.int64)
            out[which, :k] = 6 + 3 * which[:, None] + of_xyz
            out[which, k : k + len(u)] = 6 + 3 * n + 6 * which[:, None] + of_u
            out[which, 9] = 6 + 9 * n + which
        cell = np.array([NAMES_CELL.index(name) for name in self.cell_free], dtype=np.int64)
        return np.concatenate([cell, out[out >= 0]])

    def apply(self, free: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Return cell (6,), positions (nsites,3), displacements (nsites,6), occupancies (nsites,) and poses (nb,7)."""
        cell, xyz, u, occ, poses = self.split(self._quickest @ free + self.constant)
        if self.bodies:
            inverse = symmetry.to_fractional(cell.tolist())
            for body, pose in zip(self.bodies, poses, strict=True):
                xyz[body.sites] = body.placed(inverse, pose)
        return cell, xyz, u, occ, poses

    @cached_property
    def _quickest(self) -> Any:
        """The matrix in the form whose products take the least time."""
        return self.matrix.toarray() if math.prod(self.matrix.shape) < SMALL else self.matrix

    def split(self, full: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Cut the full vector (or vectors, on the first axis) into its five parts."""
        n = len(self.xyz_free)
        lead = full.shape[:-1]
        return (
            full[..., :6],
            full[..., 6 : 6 + 3 * n].reshape(*lead, n, 3),
            full[..., 6 + 3 * n : 6 + 9 * n].reshape(*lead, n, 6),
            full[..., 6 + 9 * n : 6 + 10 * n],
            full[..., 6 + 10 * n :].reshape(*lead, len(self.bodies), 7),
        )


# Position, displacement and occupancy among the ten numbers of a site.
_OF_SITE = slice(0, 3), slice(3, 9), slice(9, 10)

Placed = tuple["LinearBlock", IntArray, IntArray]
"""A block, and the rows and columns at which it begins, (k,) each."""


def _alike(blocks: Sequence[LinearBlock], rows: IntArray, columns: IntArray) -> list[Placed]:
    """Return each of the blocks once, with all rows and columns at which it begins."""
    found = dict[int, list[int]]()
    for k, block in enumerate(blocks):
        found.setdefault(id(block), []).append(k)
    return [(blocks[which[0]], rows[which], columns[which]) for which in found.values()]


def _assembled(placed: Iterable[Placed], shape: tuple[int, int]) -> tuple[Any, Array]:
    """Return the sparse matrix of the shape that blocks make, and its constant."""
    from scipy import sparse

    parts, constant = [], np.zeros(shape[0])
    for block, rows, columns in placed:
        i, j = np.nonzero(block.matrix)
        many = (np.add.outer(rows, i), np.add.outer(columns, j), np.tile(block.matrix[i, j], (rows.size, 1)))
        parts.append([one.ravel() for one in many])
        constant[np.add.outer(rows, np.arange(block.constant.size))] = block.constant
    row, column, entry = (np.concatenate(one) for one in zip(*parts, strict=True))
    return sparse.csr_array((entry, (row, column)), shape), constant


@dataclass(frozen=True)
class LinearBlock:
    """Some numbers as matrix·free + constant, with the names of the free ones."""

    free: tuple[str, ...]
    matrix: Array
    constant: Array

    @classmethod
    def of(cls, names: tuple[str, ...], constraints: Mapping[str, str]) -> LinearBlock:
        """Return what expressions of some of the names leave free."""
        return cls._all_free(names) if not constraints else cls._left(names, constraints)

    @classmethod
    @cache
    def _all_free(cls, names: tuple[str, ...]) -> LinearBlock:
        """Return names that are all free: one for all sites of a box."""
        return cls._left(names, {})

    @classmethod
    def _left(cls, names: tuple[str, ...], constraints: Mapping[str, str]) -> LinearBlock:
        free = tuple(name for name in names if name not in constraints)
        zero = dict.fromkeys(names, 0.0)
        constant, matrix = np.zeros(len(names)), np.zeros((len(names), len(free)))
        for row, name in enumerate(names):
            if name in constraints:
                constant[row], slopes = _expressions.evaluate(constraints[name], zero)
            else:
                slopes = {name: 1.0}
            for key, slope in slopes.items():
                matrix[row, free.index(key)] = slope
        return cls(free, matrix, constant)

    @classmethod
    @cache
    def isotropic(cls) -> LinearBlock:
        """Return the tensor of Uiso."""
        return cls(("Uiso",), np.array([[1.0], [0], [0], [0], [0], [0]]), np.zeros(6))

    @classmethod
    @cache
    def identity(cls) -> LinearBlock:
        """Return an occupancy."""
        return cls(("occ",), np.ones((1, 1)), np.zeros(1))

    @classmethod
    def none(cls, n: int) -> LinearBlock:
        """Return n numbers of which none is free."""
        return cls((), np.zeros((n, 0)), np.zeros(n))


def free_values(structure: Structure, maps: Maps, poses: Array) -> Array:
    """Return the values of what `structure_quantities` returns."""
    sites = structure.sites
    parts = (structure.cell, [site.xyz for site in sites], [site.U for site in sites], [site.occ for site in sites])
    full = np.concatenate([np.array(part, dtype=np.float64).ravel() for part in parts])
    return np.concatenate([full[maps.places], [q.value for q in _of_bodies(maps, poses)]])


def limits(maps: Maps, poses: Array, before: list[Quantity], after: list[Quantity]) -> tuple[Array, Array]:
    """Return `sensible_limits` of some quantities, what symmetry leaves free, and others: 10⁵ of a box in no time."""
    n, cell = len(maps.xyz_free), [_cell_quantity(name, 1.0) for name in NAMES_CELL]
    one = [*cell, *(_site_quantity("", name, 0.0) for name in (*NAMES_XYZ, *NAMES_U, "occ"))]
    first, free, last = (sensible_limits(part) for part in (before, one, [*_of_bodies(maps, poses), *after]))
    full = [[end[:6], *(np.tile(end[6:][part], n) for part in _OF_SITE)] for end in free]
    ends = zip(first, [np.concatenate(parts)[maps.places] for parts in full], last, strict=True)
    least, most = (np.concatenate(parts) for parts in ends)
    return least, most


def errors_of(crystal: Crystal, covariance: Array, numbers: Callable[[Structure], Array]) -> Array:
    """Return √diag(J C Jᵀ) of numbers of the structure of a crystal: see `Crystal.errors`."""
    here = numbers(crystal.structure)
    moved = [k for k in range(1, 1 + crystal._maps.count) if covariance[k, k] != 0]  # after the scale
    J = np.zeros((here.size, len(moved)))
    for column, q in enumerate(crystal.quantities[k] for k in moved):
        step = 1e-6 * max(abs(q.value), 1e-3)
        step = -step if q.value + step > q.most else step
        change = numbers(crystal.with_values({q.name: q.value + step}).structure) - here
        J[:, column] = (change - np.round(change)) / step  # an atom may have left its cell
    J[np.abs(J) < 1e-6] = 0.0  # what does not move at all
    C = covariance[np.ix_(moved, moved)]
    unknown = ~np.isfinite(np.diag(C))
    variance = np.einsum("ij,jk,ik->i", J, np.where(np.isfinite(C), C, 0.0), J)
    return np.where(J[:, unknown].any(axis=1), np.nan, np.sqrt(np.maximum(variance, 0.0)))


def structure_quantities(structure: Structure, maps: Maps, poses: Array) -> tuple[Quantity, ...]:
    """Return what symmetry leaves free: the cell, position, displacement and occupancy of sites, poses of bodies."""
    values = iter(free_values(structure, maps, poses).tolist())
    out = [_cell_quantity(name, next(values)) for name in maps.cell_free]
    for site, xyz, u in zip(structure.sites, maps.xyz_free, maps.u_free, strict=True):
        out += [_site_quantity(site.label, name, next(values)) for name in (*xyz, *u, "occ")]
    return (*out, *_of_bodies(maps, poses))


def _of_bodies(maps: Maps, poses: Array) -> list[Quantity]:
    return [q for body, pose in zip(maps.bodies, poses, strict=True) for q in body.quantities(pose)]


def _site_quantity(label: str, name: str, value: float) -> Quantity:
    """Return one free number of a site."""
    full = f"{label}.{name}"
    if name in NAMES_XYZ:
        return Quantity(full, value, value - 0.1, value + 0.1, "", "fractional coordinate")
    if name == "occ":
        return Quantity(full, value, 0.0, 1.0, "", "occupancy", least=0.0, most=1 + 1e-6)
    if name == "Uiso":
        return displacement(full, value)
    low, least = (1e-5, 0.0) if name in NAMES_U[:3] else (-U_MAX, -math.inf)
    return Quantity(full, value, low, U_MAX, "Å²", "mean-square displacement tensor", least=least)


def _cell_quantity(name: str, value: float) -> Quantity:
    if name in ("a", "b", "c"):
        return cell_length(name, value)
    low, high = max(20.0, value - 10), min(160.0, value + 10)
    return Quantity(name, value, low, high, "°", "cell angle", least=1.0, most=179.0)
