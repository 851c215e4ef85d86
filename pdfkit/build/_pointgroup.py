"""Point groups of finite sets of atoms: which rotations and reflections about the centre map each kind onto itself.

Two atoms not on a line with the centre are enough: an operation takes them to two atoms of the same shells (one
element, one distance from the centre) at the same distance from each other, and their normal to ± the normal of those,
which fixes its matrix. The smallest shells give the fewest images to try.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.particle import Particle

MOST_ATOMS = 20_000


def point_group(particle: Particle, tolerance: float = 0.05) -> str:
    """Return the Schoenflies symbol of a particle, such as "Td", "C3v" or "D3h".

    "Kh" for one atom, "Cinfv" and "Dinfh" for a line. tolerance : Å, how far an atom may be from the image of another.

    Raises PdfkitError for more than 20,000 atoms.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.build.point_group(pk.build.tetrahedron("CdSe_zincblende", 4))
    'Td'
    >>> pk.build.point_group(pk.Particle.of(["O", "H", "H"], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]))
    'C2v'
    """
    operations = symmetry_operations(particle, tolerance)
    if operations is None:
        xyz = particle.xyz - particle.xyz.mean(axis=0)
        if len(xyz) == 1:
            return "Kh"
        return "Dinfh" if _maps(-np.eye(3), xyz, particle.kind, tolerance) else "Cinfv"
    return schoenflies(operations)


def symmetry_operations(particle: Particle, tolerance: float = 0.05) -> Array | None:
    """Return the matrices (k, 3, 3) that map a particle onto itself about its mean; None when all lies on a line."""
    if len(particle) > MOST_ATOMS:
        raise PdfkitError(f"a point group of {len(particle)} atoms is not looked for: {MOST_ATOMS} is the limit")
    xyz = particle.xyz - particle.xyz.mean(axis=0)
    frame = _frame(xyz, _shells(xyz, particle.kind, tolerance))
    if len(frame) < 2:
        return None
    (a, first), (b, second) = frame
    start = _with_normal(xyz[[a, b]])
    apart = float(np.linalg.norm(xyz[a] - xyz[b]))
    out: list[Array] = []
    for i in first:
        near = np.abs(np.linalg.norm(xyz[second] - xyz[i], axis=1) - apart) < 2 * tolerance
        for j in second[near]:
            image = _with_normal(xyz[[i, j]])
            for side in (1.0, -1.0):
                matrix = _turn(start, image * [[1.0], [1.0], [side]])
                if _maps(matrix, xyz, particle.kind, tolerance):
                    out.append(matrix)
    return np.array(out)


def _shells(xyz: Array, kind: IntArray, tolerance: float) -> list[IntArray]:
    """Return the atoms of each element at each distance from the centre; those at the centre are left out."""
    radius = np.linalg.norm(xyz, axis=1)
    out = []
    for k in np.unique(kind):
        mine = np.flatnonzero(kind == k)
        mine = mine[np.argsort(radius[mine], kind="stable")]
        breaks = np.flatnonzero(np.diff(radius[mine]) > tolerance) + 1
        out += [shell for shell in np.split(mine, breaks) if radius[shell].mean() > 2 * tolerance]
    return out


def _frame(xyz: Array, shells: list[IntArray]) -> list[tuple[int, IntArray]]:
    """Return two atoms not on a line with the centre, and the shell of each: few atoms far out where that can be."""
    radius = [float(np.linalg.norm(xyz[shell], axis=1).mean()) for shell in shells]
    out: list[tuple[int, IntArray]] = []
    for share, apart in ((0.5, 0.3), (0.0, 0.02)):
        far = [k for k in range(len(shells)) if radius[k] >= share * max(radius)]
        out = []
        for k in sorted(far, key=lambda k: (len(shells[k]), -radius[k])):
            unit = xyz[shells[k]] / np.linalg.norm(xyz[shells[k]], axis=1)[:, None]
            if not out:
                out = [(int(shells[k][0]), shells[k])]
            one = xyz[out[0][0]] / np.linalg.norm(xyz[out[0][0]])
            sine = np.linalg.norm(np.cross(unit, one), axis=1)
            best = int(np.argmax(np.round(sine, 6)))
            if sine[best] > apart:
                return [*out, (int(shells[k][best]), shells[k])]
    return out


def _with_normal(two: Array) -> Array:
    normal = np.cross(two[0], two[1])
    return np.vstack([two, normal / np.sqrt(np.linalg.norm(normal))])


def _turn(start: Array, image: Array) -> Array:
    """Return the orthogonal matrix that comes nearest to taking the rows of `start` to those of `image`."""
    left, _, right = np.linalg.svd(image.T @ start)
    return np.asarray(left @ right)


def _maps(matrix: Array, xyz: Array, kind: IntArray, tolerance: float) -> bool:
    from scipy.spatial import cKDTree

    # Each atom has at most one other within the tolerance, so nearest atoms at less than it pair all of them.
    d, image = cKDTree(xyz).query(xyz @ matrix.T)
    return bool(d.max() < tolerance and (kind[image] == kind).all())


def schoenflies(operations: Array) -> str:
    """Return the symbol of a finite group of orthogonal matrices (k, 3, 3)."""
    proper = [m for m in operations if np.linalg.det(m) > 0]
    improper = [m for m in operations if np.linalg.det(m) < 0]
    inverted = any(np.abs(m + np.eye(3)).max() < 0.1 for m in improper)
    orders = [_order(m) for m in proper]
    highest, count = max(orders), len(proper)
    if count == 1:
        return "C1" if not improper else "Ci" if inverted else "Cs"
    cubic = {12: ("T", "Td", "Th"), 24: ("O", "O", "Oh"), 60: ("I", "I", "Ih")}
    # Groups with several axes of order three or more: 12 rotations are T when none is of order above 3.
    if count in cubic and (count, highest) in {(12, 3), (24, 4), (60, 5)}:
        plain, mirrored, centred = cubic[count]
        return plain if not improper else centred if inverted else mirrored
    axis = _axis(proper[orders.index(highest)])
    dihedral = count == 2 * highest
    name = f"{'D' if dihedral else 'C'}{highest}"
    if not improper:
        return name
    normals = [_axis(-m) for m in improper if _order(-m) == 2]
    if any(abs(normal @ axis) > 0.9 for normal in normals):
        return name + "h"
    if normals:
        return name + ("d" if dihedral else "v")
    return f"S{2 * highest}"


def _order(rotation: Array) -> int:
    """Return the order of a proper rotation."""
    angle = math.acos(min(1.0, max(-1.0, (float(np.trace(rotation)) - 1) / 2)))
    if angle < 0.05:
        return 1
    return next((n for n in range(2, 61) if abs(math.remainder(n * angle, 2 * math.pi)) < 0.02 * n), 1)


def _axis(rotation: Array) -> Array:
    """Return the axis of a proper rotation by less than a full turn."""
    return np.asarray(np.linalg.svd(rotation - np.eye(3))[2][2])
