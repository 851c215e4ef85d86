"""Molecules that move as rigid bodies: where a body is, how it is turned, and what its atoms do then.

The atoms of a body are at x = c + s A⁻¹ R(ω) g, fractional: c its centre, A the columns a, b, c of the cell (a ∥ x, b
in the xy plane), g the places of its atoms about the centre as read (Å), ω a rotation vector about the Cartesian axes,
s the size. A change of the cell moves centres apart and leaves lengths and angles within a body alone. Along tangents
ẋ = ċ + A⁻¹[(J ω̇) × v + (ṡ/s) v − E v], with v = s R g, J the left Jacobian of the rotation and E = Ȧ A⁻¹.

Symmetry that maps a molecule onto itself leaves those shifts and turns free that it maps onto themselves:
(W − 1) c = −t, and (det W · Q − 1) ω = 0 with Q = A W A⁻¹, since turns are axial vectors. Turns of a linear molecule
about its own axis move nothing and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.phases._constraints import LinearBlock
from pdfkit.phases.base import Quantity
from pdfkit.structure import symmetry
from pdfkit.structure.mixing import leaders
from pdfkit.structure.structure import NAMES_CELL, NAMES_XYZ, Structure

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal

NAMES_TURN = ("rx", "ry", "rz")
NAMES_POSE = (*NAMES_XYZ, *NAMES_TURN, "size")
STRAIGHT = 0.02
"""Å, off the axis on average, within which a molecule is linear: turns about its axis move atoms less than any U."""
SAME = 0.05
"""Å: an operation that brings every atom this near one of its own site in the molecule maps it onto itself."""


@dataclass(frozen=True, eq=False)
class Body:
    """A molecule of the asymmetric unit, n sites of it: the image of each that is its atom is rotation·x + shift.

    geometry (n, 3), Å : g. back (n, 3, 3), shift (n, 3) : x of a site is back @ (place of its atom − shift). pose (7,):
    c, ω in degrees and s as made; free : the names of those that symmetry leaves, from which block makes all seven.
    """

    name: str
    sites: IntArray
    geometry: Array
    back: Array
    shift: Array
    pose: Array
    block: LinearBlock

    def placed(self, inverse: Array, pose: Array) -> Array:
        """Return the positions (n, 3) of its sites; inverse: A⁻¹."""
        places = pose[:3] + self._arms(pose) @ inverse.T
        return np.asarray((self.back @ (places - self.shift)[:, :, None])[:, :, 0])

    def moving(self, inverse: Array, stretch: Array, pose: Array, tangents: Array) -> Array:
        """Return the tangents (nq, n, 3) of `placed` along those of the pose (nq, 7); stretch (nq, 3, 3): E."""
        arms = self._arms(pose)
        spin = np.radians(tangents[:, 3:6]) @ left_jacobian(pose[3:6]).T
        change = np.cross(spin[:, None, :], arms) + tangents[:, 6, None, None] / pose[6] * arms
        change -= arms @ stretch.transpose(0, 2, 1)
        return np.asarray((self.back @ (tangents[:, None, :3] + change @ inverse.T)[..., None])[..., 0])

    def _arms(self, pose: Array) -> Array:
        """Return v = s R(ω) g (n, 3), in Å."""
        return np.asarray(pose[6] * self.geometry @ rotation(pose[3:6]).T)

    def quantities(self, pose: Array) -> tuple[Quantity, ...]:
        """Return what symmetry leaves free of it at a pose (7,)."""
        return tuple(
            _quantity(f"{self.name}.{name}", value)
            for name, value in zip(NAMES_POSE, pose.tolist(), strict=True)
            if name in self.block.free
        )


def _quantity(name: str, value: float) -> Quantity:
    word = name.rpartition(".")[2]
    if word in NAMES_XYZ:
        return Quantity(name, value, value - 0.1, value + 0.1, "", "centre of the molecule, fractional")
    if word in NAMES_TURN:
        turned = f"turn of the molecule about {word[1]}"
        return Quantity(name, value, value - 90.0, value + 90.0, "°", turned, least=-360.0, most=360.0)
    return Quantity(name, value, 0.9 * value, 1.1 * value, "", "size of the molecule", least=0.1, most=10.0)


def rotation(degrees: Array) -> Array:
    """Return the matrix R(ω) of a rotation vector: Rodrigues' formula."""
    a, b, _ = _coefficients(degrees)
    k = _cross(np.radians(degrees))
    return np.asarray(np.eye(3) + a * k + b * k @ k)


def left_jacobian(degrees: Array) -> Array:
    """Return J with Ṙ = [J ω̇]× R, angles in radians: J = 1 + (1 − cos θ)/θ² [ω]× + (θ − sin θ)/θ³ [ω]×²."""
    _, b, c = _coefficients(degrees)
    k = _cross(np.radians(degrees))
    return np.asarray(np.eye(3) + b * k + c * k @ k)


def _coefficients(degrees: Array) -> tuple[float, float, float]:
    """Return sin θ/θ, (1 − cos θ)/θ² and (θ − sin θ)/θ³, their series for small angles."""
    t = math.sqrt(float(np.square(np.radians(degrees)).sum()))
    if t < 0.02:
        return 1 - t**2 / 6 + t**4 / 120, 0.5 - t**2 / 24 + t**4 / 720, 1 / 6 - t**2 / 120 + t**4 / 5040
    return math.sin(t) / t, (1.0 - math.cos(t)) / t**2, (t - math.sin(t)) / t**3


def _cross(w: Array) -> Array:
    """Return [w]×, with [w]× v = w × v."""
    x, y, z = w.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def stretch_of(inverse: Array, dg: Array) -> Array:
    """Return E = Ȧ A⁻¹ (nq, 3, 3), upper triangular as A is, of changes of the metric: E + Eᵀ = A⁻ᵀ ġ A⁻¹."""
    both = inverse.T @ dg @ inverse
    return np.asarray(np.triu(both) - 0.5 * both * np.eye(3))


# --- The bodies of a crystal -----------------------------------------------------------------------------------------


def checked(given: Any) -> bool | dict[str, tuple[float, ...]]:
    """Return whether molecules are rigid, or by molecule how they are turned and sized already: (rx, ry, rz, size)."""
    if isinstance(given, Mapping):
        return {str(name): _turn(str(name), one) for name, one in given.items()} or False
    _checks.instance("rigid", given, bool, "true, or false")
    return bool(given)


def _turn(name: str, given: Any) -> tuple[float, ...]:
    numbers = tuple(given) if isinstance(given, list | tuple | np.ndarray) else ()
    if len(numbers) != 4:
        raise PdfkitError(f"rigid: {name} has no rx, ry, rz and size: give these four, or rigid = true", key="rigid")
    turns = (_checks.number(f"{word} of {name}", one) for word, one in zip(NAMES_TURN, numbers[:3], strict=True))
    return (*turns, _checks.number(f"size of {name}", numbers[3], low=0.1, high=10.0))


def bodies_of(crystal: Crystal) -> tuple[Body, ...]:
    """Return the molecules of the asymmetric unit of a crystal, mol1 first, turned as its `rigid` says."""
    if not crystal.rigid:
        return ()
    if not crystal.molecules:
        raise PdfkitError(
            f'{crystal.name}: rigid = true moves molecules as bodies, but none are named: give molecules = "find", or '
            "lists of the labels of their atoms",
            key="rigid",
        )
    number, site = crystal._molecules.number, crystal._atoms.site
    members: dict[int, IntArray] = {}  # by the first site of each kind of molecule
    seen: set[int] = set()
    for k, first in enumerate(crystal._atoms.first.tolist()):
        if number[first] >= 0 and k not in seen:
            members[k] = np.flatnonzero(number == number[first])
            seen |= set(site[members[k]].tolist())
    names = [f"mol{k + 1}" for k in range(len(members))]
    _check(crystal, names)
    return tuple(_body(crystal, name, atoms) for name, atoms in zip(names, members.values(), strict=True))


def _check(crystal: Crystal, names: list[str]) -> None:
    """Refuse names with two meanings, turns of other molecules, and atoms on one place of which one would stay."""
    sites, number = crystal.structure.sites, crystal._molecules.number[crystal._atoms.first]
    if taken := {site.label for site in sites} & set(names):
        label = sorted(taken)[0]
        raise PdfkitError(f"{crystal.name}: a site is called {label}, as a rigid molecule is: rename the site")
    if isinstance(crystal.rigid, Mapping) and set(crystal.rigid) != set(names):
        raise PdfkitError(
            f"{crystal.name}: rigid is given for {', '.join(crystal.rigid)}, but the molecules are {', '.join(names)}: "
            "give each of these, or rigid = true",
            key="rigid",
        )
    for k, lead in enumerate(leaders(crystal.structure)):
        if (number[k] >= 0) != (number[lead] >= 0):
            one, other = sites[k].label, sites[lead].label
            raise PdfkitError(
                f"{crystal.name}: {one} and {other} share a place, but only one of them is in a rigid molecule: name "
                "both in its list of molecules"
            )


def _body(crystal: Crystal, name: str, atoms: IntArray) -> Body:
    """Return a molecule of the given atoms of the cell as a body."""
    structure, images = crystal.structure, crystal._atoms
    cell = crystal._molecules.cell[atoms]
    x = structure.positions()[atoms] + cell
    centre, A = x.mean(axis=0), structure.basis().T
    arms = (x - centre) @ A.T
    given = crystal.rigid[name] if isinstance(crystal.rigid, Mapping) else (0.0, 0.0, 0.0, 1.0)
    turn, size = np.array(given[:3]), given[3]
    R, t, n = _stabiliser(structure, x, images.site[atoms])
    _check_axes(crystal, R)
    block = _free(R, t, n, _own_axis(arms @ rotation(turn)), A)
    turn = block.matrix[3:6] @ np.array([0.0, 0.0, 0.0, *turn, 0.0])[[NAMES_POSE.index(name) for name in block.free]]
    chosen = _one_a_site(images.site[atoms], np.isin(atoms, images.first))
    which = atoms[chosen]
    return Body(
        name,
        images.site[which],
        (arms @ rotation(turn) / size)[chosen],
        np.asarray(np.linalg.inv(images.rotation[which]), dtype=float),
        images.translation[which] + cell[chosen],
        np.array([*centre, *turn, size]),
        block,
    )


def _one_a_site(site: IntArray, first: Any) -> IntArray:
    """Return one atom of each site: the one as it stands in the list of sites, where it belongs to the molecule."""
    order = np.lexsort((np.arange(site.size), ~first, site))
    return order[np.flatnonzero(np.diff(site[order], prepend=-1))]


def _stabiliser(structure: Structure, x: Array, site: IntArray) -> tuple[IntArray, Array, Array]:
    """Return the operations (R, t − n) that map the atoms x (n, 3) of some sites onto one another."""
    centre, rows = x.mean(axis=0), structure.basis()
    R, t = structure.rotations, structure.translations
    index, n = symmetry.stabiliser(centre, R, t, rows, SAME)
    other = site[:, None] != site
    kept = []
    for k, (one, cells) in enumerate(zip(index, n, strict=True)):
        delta = (x @ R[one].T + t[one] - cells)[:, None] - x
        far = np.linalg.norm(delta @ rows, axis=2) + np.where(other, np.inf, 0.0)
        if (far.min(axis=1) < SAME).all():
            kept.append(k)
    return R[index[kept]], t[index[kept]], n[kept]


def _check_axes(crystal: Crystal, R: IntArray) -> None:
    """Refuse settings whose axes of symmetry turn with the lengths and angles of the cell: a body would not follow."""
    cell = LinearBlock.of(NAMES_CELL, crystal.structure.cell_constraints())
    free = [crystal.structure.cell[NAMES_CELL.index(name)] for name in cell.free]
    other = cell.matrix @ (np.array(free) * (1.0 + 0.01 * np.sqrt(np.arange(len(free)) + 2.0))) + cell.constant
    here, there = (_cartesian(symmetry.basis(one).T, R) for one in (crystal.structure.cell, other.tolist()))
    if np.abs(here - there).max() > 1e-6:
        raise PdfkitError(
            f"{crystal.name}: its axes of symmetry turn when lengths and angles of the cell change, as in a "
            "rhombohedral or a primitive cell, and rigid molecules on them would not follow: give the structure in the "
            "conventional (hexagonal) cell, or leave rigid out",
            key="rigid",
        )


def _cartesian(A: Array, R: IntArray) -> Array:
    """Return Q = A R A⁻¹ of rotations R (n, 3, 3)."""
    return np.asarray(A @ R @ np.linalg.inv(A))


def _own_axis(arms: Array) -> Array:
    """Return the axis of a linear molecule as one row (1, 3), none of others."""
    _, size, axes = np.linalg.svd(arms, full_matrices=True)
    rest = size[1:] if size.size > 1 else np.zeros(1)
    return axes[:1] if math.sqrt(float((rest**2).sum()) / len(arms)) < STRAIGHT else np.zeros((0, 3))


def _free(R: IntArray, t: Array, n: Array, axis: Array, A: Array) -> LinearBlock:
    """Return what symmetry leaves of the pose of a molecule: shifts, turns (not about its own axis) and the size."""
    solution = symmetry.position_solution(R, t, n)
    shifts = LinearBlock.of(NAMES_XYZ, symmetry.expressions(solution, NAMES_XYZ))
    turned = np.linalg.det(R)[:, None, None] * _cartesian(A, R) - np.eye(3)
    turns = _turns(np.concatenate([turned.reshape(-1, 3), axis]))
    blocks = (shifts, turns, LinearBlock.of(("size",), {}))
    matrix = np.zeros((7, sum(len(one.free) for one in blocks)))
    row = column = 0
    for one in blocks:
        rows, columns = one.matrix.shape
        matrix[row : row + rows, column : column + columns] = one.matrix
        row, column = row + rows, column + columns
    free = tuple(name for one in blocks for name in one.free)
    return LinearBlock(free, matrix, np.concatenate([one.constant for one in blocks]))


def _turns(rows: Array) -> LinearBlock:
    """Return ω from its free components, where rows·ω = 0 (n, 3): the largest pivot first, of equal ones the last."""
    solved: dict[int, Array] = {}
    for _ in range(3):
        size = np.abs(rows) * (1.0 + 1e-6 * np.arange(3))
        if size.max(initial=0.0) < 1e-6:
            break
        i, k = divmod(int(np.argmax(size)), 3)
        pivot = rows[i] / rows[i, k]
        rows = rows - rows[:, k, None] * pivot
        solved = {column: row - row[k] * pivot for column, row in solved.items()} | {k: pivot}
    free = [k for k in range(3) if k not in solved]
    matrix = np.zeros((3, len(free)))
    for column, k in enumerate(free):
        matrix[k, column] = 1.0
        for dependent, row in solved.items():
            matrix[dependent, column] = -row[k]
    matrix[np.abs(matrix) < 1e-9] = 0.0
    return LinearBlock(tuple(NAMES_TURN[k] for k in free), matrix, np.zeros(3))
