"""Symmetry algebra in exact fractions: groups of operations, site symmetry, and what it leaves free.

An operation maps fractional coordinates x to R x + t. With the metric G = B Bᵀ (rows of B are a, b, c) it is
an isometry when Rᵀ G R = G. Displacements are ⟨ξξᵀ⟩ = β in fractional coordinates, β → R β Rᵀ, and the tensor
of CIF files is U_ij = β_ij/(a*_i a*_j) (Trueblood et al., Acta Cryst. A52, 770 (1996)).

Everything that symmetry imposes is a set of linear equations with rational coefficients; `solve` eliminates
them exactly, so a constraint is never the product of a numerical rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import StructureError

Rows = list[list[Fraction]]
Solution = dict[int, tuple[dict[int, Fraction], Fraction]]

# U11 U22 U33 U12 U13 U23, the order of CIF files.
VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
# Every translation of a space group in a standard setting is a multiple of 1/24 of the cell.
_DENOMINATOR = 24
_TRANSLATION_TOLERANCE = 1e-3
# Pairs of close atoms per atom, above which nothing is a structure: listing them would fill the memory.
CROWD = 500


def basis(cell: Sequence[float]) -> Array:
    """Return the (3, 3) rows a, b, c in Å of a cell (Å, degrees); a ∥ x, b in the xy plane."""
    a, b, c = cell[:3]
    # cos 90° and cos 120° come out exact, so that orthogonal cells stay orthogonal.
    ca, cb, cg = (round(float(np.cos(np.radians(angle))), 15) for angle in cell[3:])
    sg = np.sqrt(max(1 - cg * cg, 0.0))
    if sg == 0:
        return np.zeros((3, 3))
    cx, cy = cb, (ca - cb * cg) / sg
    cz = np.sqrt(max(1 - cx * cx - cy * cy, 0.0))
    return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cx, c * cy, c * cz]])


def to_fractional(cell: Sequence[float]) -> Array:
    """Return the (3, 3) matrix that makes fractional coordinates of Cartesian ones (Å): A⁻¹, A the columns a, b, c."""
    return np.asarray(np.linalg.inv(basis(cell).T), dtype=float)


def cell_of(metric: Array) -> tuple[float, ...]:
    """Return (a, b, c, α, β, γ) in Å and degrees of a (3, 3) metric G_ij = a_i·a_j in Å²."""
    a, b, c = np.sqrt(np.diag(metric))
    cosines = (metric[1, 2] / (b * c), metric[0, 2] / (a * c), metric[0, 1] / (a * b))
    return (float(a), float(b), float(c), *(float(np.degrees(np.arccos(x))) for x in cosines))


def reciprocal_lengths(rows: Array) -> Array:
    """Return (a*, b*, c*) in Å⁻¹ of the (3, 3) rows a, b, c."""
    return np.asarray(np.linalg.norm(np.linalg.inv(rows), axis=0))


def matrix(U: Sequence[float]) -> Array:
    """Return the symmetric (3, 3) matrix of U11 U22 U33 U12 U13 U23."""
    u11, u22, u33, u12, u13, u23 = U
    return np.array([[u11, u12, u13], [u12, u22, u23], [u13, u23, u33]], dtype=float)


def voigt(M: Array) -> tuple[float, ...]:
    """Return U11 U22 U33 U12 U13 U23 of a symmetric (3, 3) matrix."""
    return tuple(float(M[i, j]) for i, j in VOIGT)


def rotate_U(U: Sequence[float], rotation: IntArray, star: Array) -> tuple[float, ...]:
    """Return U (6 numbers, Å²) of the image of an atom under `rotation`; `star` is (a*, b*, c*)."""
    N = np.outer(star, star)
    return voigt(rotation @ (matrix(U) * N) @ rotation.T / N)


def isotropic_tensor(rows: Array) -> tuple[float, ...]:
    """Return U11 … U23 of an isotropic displacement of 1 Å²: (a*_i·a*_j)/(a*_i a*_j)."""
    inverse = np.linalg.inv(rows)
    star = np.linalg.norm(inverse, axis=0)
    return voigt(inverse.T @ inverse / np.outer(star, star))


def operations(rotations: IntArray, translations: Array, said: list[str] | None = None) -> tuple[IntArray, Array]:
    """Return the operations with exact translations in [0, 1) and the identity first.

    One that is listed twice counts once, which is added to `said`. Raises StructureError when they are not a group:
    the product of two is missing.
    """
    R = np.asarray(rotations)
    t = np.array(translations, dtype=float)
    if R.ndim != 3 or R.shape[1:] != (3, 3) or t.shape != (len(R), 3) or len(R) == 0:
        raise StructureError(
            f"operations have shapes {R.shape} and {t.shape}: give (n, 3, 3) rotations, (n, 3) translations"
        )
    if not np.isfinite(t).all() or not np.isin(R, (-1, 0, 1)).all():
        raise StructureError("operations hold a number that is not a rotation or translation: check the symmetry")
    on_grid = np.round(t * _DENOMINATOR) / _DENOMINATOR
    t = np.where(np.abs(t - on_grid) < _TRANSLATION_TOLERANCE, on_grid, t) % 1.0
    R = np.array(R, dtype=np.int64)
    _, first = np.unique(keys(R, t), return_index=True)
    if len(first) < len(R):
        if said is not None:
            extra = len(R) - len(first)
            verb = "is" if extra == 1 else "are"
            said.append(f"{extra} of the {len(R)} symmetry operations {verb} listed twice: each is taken once")
        first.sort()
        R, t = R[first], t[first]
    _check_group(R.tobytes(), t.tobytes())
    identity = int(np.argmax((np.eye(3) == R).all(axis=(1, 2)) & (t == 0).all(axis=1)))
    order = [identity, *(i for i in range(len(R)) if i != identity)]
    return R[order], t[order]


@lru_cache(maxsize=64)
def _check_group(rotations: bytes, translations: bytes) -> None:
    R = np.frombuffer(rotations, dtype=np.int64).reshape(-1, 3, 3)
    t = np.frombuffer(translations).reshape(-1, 3)
    if len(R) > 192 * 8:
        raise StructureError(f"{len(R)} symmetry operations: a space group has at most 192 in its cell")
    known = keys(R, t)
    members = set(known.tolist())
    for Ri, ti in zip(R, t, strict=True):
        missing = set(keys(Ri @ R, t @ Ri.T + ti).tolist()) - members
        if missing:
            raise StructureError(
                f"the {len(R)} symmetry operations do not form a group (products of them are missing): list all of them"
            )


def floating_axis(rotations: IntArray, shift: Array) -> str:
    """Return "a", "b", "c" or a direction "[1 1 1]": the part of a shift (3,) that all rotations leave; "" for none.

    Shifts along it leave a structure what it is: nothing in the cell is its origin there.
    """
    along = rotations.mean(axis=0) @ shift
    largest = along[np.argmax(np.abs(along))]
    if abs(largest) < 1e-6 * np.abs(shift).max():
        return ""
    parts = along / largest
    for axis, name in zip(np.eye(3), "abc", strict=True):
        if np.allclose(parts, axis, atol=1e-4):
            return name
    return f"[{' '.join(f'{part:.3g}' for part in parts + 0.0)}]"


def keys(R: IntArray, t: Array) -> IntArray:
    """Return one integer for each operation; translations count to 1/2400 of the cell."""
    digits = (R.reshape(len(R), 9) + 1) @ (3 ** np.arange(9))
    steps = np.round(t * 2400).astype(np.int64) % 2400
    return np.asarray(digits + 3**9 * (steps @ np.array([1, 2400, 2400**2])))


def symmetric_cell(cell: Sequence[float], rotations: IntArray, tolerance: float = 2e-3) -> tuple[float, ...]:
    """Return the cell made exact for its symmetry (119.999° → 120°); StructureError when it is further off.

    `tolerance` is on G_ij relative to the lengths of its two axes.
    """
    rows = basis(cell)
    G = rows @ rows.T
    mean = np.einsum("nji,jk,nkl->il", rotations, G, rotations) / len(rotations)
    lengths = np.asarray(cell[:3])
    off = float(np.abs((mean - G) / np.outer(lengths, lengths)).max())
    if off < 1e-9:
        return tuple(float(x) for x in cell)
    if off > tolerance:
        shown = " ".join(f"{x:g}" for x in cell)
        raise StructureError(f"cell {shown} does not have the symmetry of its operations: correct one of them")
    return tuple(round(x, 9) for x in cell_of(mean))


def stabiliser(xyz: Array, R: IntArray, t: Array, rows: Array, reach: float) -> tuple[IntArray, Array]:
    """Return which operations bring `xyz` within `reach` Å of itself, and n of R x + t − n ≈ x."""
    step = R @ xyz + t - xyz
    n = np.round(step)
    near = np.linalg.norm((step - n) @ rows, axis=1) < reach
    index = np.flatnonzero(near)
    return index, n[index]


def image_distances(xyz: Array, R: IntArray, t: Array, rows: Array) -> Array:
    """Return how far (Å) the nearest image of `xyz` (fractional) under each operation is from it."""
    step = R @ xyz + t - xyz
    return np.asarray(np.linalg.norm((step - np.round(step)) @ rows, axis=1))


def snap(xyz: Array, R: IntArray, t: Array, n: Array) -> Array:
    """Return `xyz` moved exactly onto the position that the operations (R, t − n) leave in place."""
    out = np.array(xyz, dtype=float)
    for _ in range(20):  # one step for a group; a few for a set that only generates it
        mean = (R @ out + t - n).mean(axis=0)
        moved = np.abs(mean - out).max()
        out = np.where(np.abs(mean - out) > 1e-10, mean, out)  # free coordinates keep their last digit
        if moved < 1e-13:
            break
    for i, (terms, constant) in position_solution(R, t, n).items():
        out[i] = float(constant) + sum(float(c) * out[k] for k, c in terms.items())
    return out


def exact(value: float) -> Fraction:
    """Return a translation as the fraction it stands for (multiples of 1/24 exactly)."""
    near = Fraction(round(value * _DENOMINATOR), _DENOMINATOR)
    return near if abs(value - near) < 1e-12 else Fraction(value)


def position_solution(R: IntArray, t: Array, n: Array) -> Solution:
    """Return the dependent ones of x, y, z (0, 1, 2): (R − 1) x = n − t over the stabiliser."""
    operations = (np.asarray(R, dtype=np.int64), np.asarray(t, dtype=np.float64), np.asarray(n, dtype=np.float64))
    return _position_solution(*(one.tobytes() for one in operations))


@lru_cache(maxsize=256)
def _position_solution(R_bytes: bytes, t_bytes: bytes, n_bytes: bytes) -> Solution:
    """Return it for operations as bytes: fractions take milliseconds, and crystals are made again and again."""
    R, t, n = (
        np.frombuffer(R_bytes, dtype=np.int64).reshape(-1, 3, 3),
        *(np.frombuffer(one).reshape(-1, 3) for one in (t_bytes, n_bytes)),
    )
    rows: Rows = []
    for Rk, tk, nk in zip(R, t, n, strict=True):
        for i in range(3):
            left = [Fraction(int(Rk[i, j]) - (i == j)) for j in range(3)]
            rows.append([*left, Fraction(int(nk[i])) - exact(float(tk[i]))])
    return solve(rows, 3)


def tensor_solution(R: IntArray) -> Solution:
    """Return the dependent components (order of `VOIGT`) of a tensor with R β Rᵀ = β for every R."""
    return solve(_tensor_rows(R), 6)


def metric_solution(R: IntArray) -> Solution:
    """Return the dependent components (order of `VOIGT`) of a metric with Rᵀ G R = G; G23 stays free."""
    return solve(_tensor_rows(R.transpose(0, 2, 1)), 6, (3, 4, 5, 2, 1, 0))


def _tensor_rows(R: IntArray) -> Rows:
    coefficients = {
        tuple(
            int(M[i, k] * M[j, m] + (M[i, m] * M[j, k] if k != m else 0) - (p == q)) for q, (k, m) in enumerate(VOIGT)
        )
        for M in R
        for p, (i, j) in enumerate(VOIGT)
    }
    return [[Fraction(value) for value in (*row, 0)] for row in sorted(coefficients)]


def solve(rows: Rows, unknowns: int, order: Sequence[int] = ()) -> Solution:
    """Return each dependent unknown as {unknown: coefficient} and a constant.

    Gauss–Jordan elimination in exact fractions, in `order`. By default the last unknowns go first, so
    that what stays free is what crystallographers write down: (x, 2x, z), U12 = U22/2.
    """
    left = [list(row) for row in dict.fromkeys(map(tuple, rows)) if any(row[:unknowns])]
    done: dict[int, list[Fraction]] = {}
    for column in order or reversed(range(unknowns)):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        pivot = [value / pivot[column] for value in pivot]
        left = [_without(row, pivot, column) for row in left]
        left = [row for row in left if any(row[:unknowns])]
        done = {c: _without(row, pivot, column) for c, row in done.items()}
        done[column] = pivot
    return {
        column: ({k: -row[k] for k in range(unknowns) if k != column and row[k]}, row[unknowns])
        for column, row in sorted(done.items())
    }


def _without(row: list[Fraction], pivot: list[Fraction], column: int) -> list[Fraction]:
    factor = row[column]
    return [a - factor * b for a, b in zip(row, pivot, strict=True)] if factor else row


def expression(terms: dict[str, float], constant: float) -> str:
    """Return arithmetic such as "2*x", "-y", "0.25 - x" or "0.5": a plain number when there are no terms."""
    text = number(constant) if constant or not terms else ""
    for name, c in terms.items():
        size = name if abs(c) == 1 else f"{number(abs(c))}*{name}"
        if text:
            text += f" - {size}" if c < 0 else f" + {size}"
        else:
            text = f"-{size}" if c < 0 else size
    return text


def expressions(solution: Solution, names: Sequence[str]) -> dict[str, str]:
    """Return the dependent unknowns of a solution as expressions of the free ones, by their names."""
    return {
        names[i]: expression({names[k]: float(c) for k, c in terms.items()}, float(constant))
        for i, (terms, constant) in solution.items()
    }


def number(value: float) -> str:
    """Return the shortest text that reads back as `value`, integers without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))


def close_pairs(xyz: Array, rows: Array, reach: float) -> tuple[IntArray, Array]:
    """Return the pairs (m, 2) of fractional positions closer than `reach` Å in the crystal, with distances.

    Exact while the lattice planes are more than 2·reach apart (`_tidy.cell` sees to it). Up to 256 atoms all
    pairs are measured at once; more go through a periodic k-d tree.
    """
    if len(xyz) <= 256:
        i, j = np.triu_indices(len(xyz), 1)
    else:
        from scipy.spatial import cKDTree

        wrapped = xyz % 1.0
        wrapped[wrapped >= 1.0] = 0.0
        # Each axis in Å across its lattice planes: what is within reach is so along every axis.
        across = 1 / reciprocal_lengths(rows)
        tree = cKDTree(np.minimum(wrapped * across, np.nextafter(across, 0)), boxsize=across)
        crowd = 0.5 * float(tree.count_neighbors(tree, reach, p=np.inf))
        if crowd > CROWD * len(xyz):
            raise StructureError(
                f"{crowd:.1e} pairs of the {len(xyz)} atoms are nearly at the same place: are the coordinates right?"
            )
        pairs = tree.query_pairs(reach, p=np.inf, output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        i, j = pairs[:, 0], pairs[:, 1]
    step = xyz[j] - xyz[i]
    distance = np.linalg.norm((step - np.round(step)) @ rows, axis=1)
    near = distance < reach
    return np.stack([i[near], j[near]], axis=1).astype(np.int64), distance[near]
