"""Space-group constraints as one sparse linear map from free quantities to cell, positions, U and occupancies.

Sites of rigid molecules have no positions of their own: the map gives where each molecule is and how it is turned, and
from these and the cell their positions follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _expressions
from pdfkit._checks import Array
from pdfkit.phases.base import U_MAX, Quantity, cell_length, displacement
from pdfkit.structure import symmetry
from pdfkit.structure.mixing import leaders
from pdfkit.structure.structure import NAMES_CELL, NAMES_U, NAMES_XYZ, Structure

if TYPE_CHECKING:
    from pdfkit.phases._bodies import Body

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
        blocks: list[tuple[LinearBlock, int, int | None]] = [(cell, 0, None)]
        lead_of = leaders(structure)
        for i, lead in enumerate(lead_of):
            followed = None if lead == i else lead
            blocks += [
                (xyz[i], 6 + 3 * i, None if followed is None else 6 + 3 * lead),
                (u[i], 6 + 3 * n + 6 * i, None if followed is None else 6 + 3 * n + 6 * lead),
                (LinearBlock.identity(), 6 + 9 * n + i, None),
            ]
        blocks += [(body.block, 6 + 10 * n + 7 * k, None) for k, body in enumerate(bodies)]
        from scipy import sparse

        size = 6 + 10 * n + 7 * len(bodies)
        constant = np.zeros(size)
        rows, columns, entries = list[int](), list[int](), list[float]()
        column, begins = 0, {}  # type: int, dict[int, int]
        for block, row, followed in blocks:
            begin = begins[row] = column if followed is None else begins[followed]
            for i, j, entry in block.entries:
                rows.append(row + i)
                columns.append(begin + j)
                entries.append(entry)
            if block.shifted:
                constant[row : row + block.constant.size] = block.constant
            column += len(block.free) if followed is None else 0
        matrix = sparse.csr_array((entries, (rows, columns)), (size, column))
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

    @cached_property
    def entries(self) -> list[tuple[int, int, float]]:
        """The entries of the matrix that are not 0: row, column and value."""
        i, j = np.nonzero(self.matrix)
        return list(zip(i.tolist(), j.tolist(), self.matrix[i, j].tolist(), strict=True))

    @cached_property
    def shifted(self) -> bool:
        """Whether its constant is other than 0."""
        return bool(self.constant.any())

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


def structure_quantities(structure: Structure, maps: Maps, poses: Array) -> tuple[Quantity, ...]:
    """Return what symmetry leaves free: the cell, position, displacement and occupancy of sites, poses of bodies."""
    out = [_cell_quantity(name, structure.cell[NAMES_CELL.index(name)]) for name in maps.cell_free]
    for i, site in enumerate(structure.sites):
        for name in maps.xyz_free[i]:
            x = site.xyz[NAMES_XYZ.index(name)]
            out.append(Quantity(f"{site.label}.{name}", x, x - 0.1, x + 0.1, "", "fractional coordinate"))
        if maps.u_free[i] == ("Uiso",):
            out.append(displacement(f"{site.label}.Uiso", site.U[0]))
        else:
            for name in maps.u_free[i]:
                low, least = (1e-5, 0.0) if name in NAMES_U[:3] else (-U_MAX, -math.inf)
                U, meaning = site.U[NAMES_U.index(name)], "mean-square displacement tensor"
                out.append(Quantity(f"{site.label}.{name}", U, low, U_MAX, "Å²", meaning, least=least))
        out.append(Quantity(f"{site.label}.occ", site.occ, 0.0, 1.0, "", "occupancy", least=0.0, most=1 + 1e-6))
    out += [q for body, pose in zip(maps.bodies, poses, strict=True) for q in body.quantities(pose)]
    return tuple(out)


def _cell_quantity(name: str, value: float) -> Quantity:
    if name in ("a", "b", "c"):
        return cell_length(name, value)
    low, high = max(20.0, value - 10), min(160.0, value + 10)
    return Quantity(name, value, low, high, "°", "cell angle", least=1.0, most=179.0)
