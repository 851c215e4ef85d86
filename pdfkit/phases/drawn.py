"""A phase as atoms to draw: the cell of a crystal, a particle cut to its shape, or a cluster, with its bonds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.phases.base import Phase
from pdfkit.structure.species import covalent_radius

MOST = 3000
"""Atoms that are drawn; of a larger particle its middle."""
BOND = 1.15
"""Atoms nearer than this many times the sum of their covalent radii are bonded, metals only where all are."""
OTHERS = frozenset(["H", "D", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"])
"""Elements that metals are bonded to rather than to each other."""
ON_FACE = 1e-4
"""Fraction of a cell edge: an atom so near a face is drawn on all faces that are the same."""


@dataclass(frozen=True)
class Drawing:
    """Atoms to draw: element of each by `kind` (n,), places xyz (n, 3) and radii (nelements,) in Å, bonds (m, 2).

    edges (k, 2, 3) : of the cell, Å. words : what it is, for those who do not see it.
    """

    elements: tuple[str, ...]
    kind: IntArray
    xyz: Array
    words: str
    edges: Array = field(default_factory=lambda: np.zeros((0, 2, 3)))

    @property
    def radii(self) -> Array:
        """Covalent radii of the elements (Å)."""
        return np.array([covalent_radius(one) for one in self.elements])

    @property
    def bonds(self) -> IntArray:
        """Pairs of atoms that are bonded (m, 2)."""
        from scipy.spatial import KDTree

        if len(self.xyz) < 2:
            return np.zeros((0, 2), dtype=np.int64)
        radii = self.radii
        pairs = KDTree(self.xyz).query_pairs(2.0 * BOND * float(radii.max()), output_type="ndarray")
        first, second = pairs.T
        near = np.linalg.norm(self.xyz[first] - self.xyz[second], axis=1)
        bonded = near < BOND * (radii[self.kind[first]] + radii[self.kind[second]])
        other = np.array([one in OTHERS for one in self.elements])
        if other.any():
            bonded &= other[self.kind[first]] | other[self.kind[second]]
        return np.asarray(pairs[bonded], dtype=np.int64)


def drawing(phase: Phase, *, whole: bool = False) -> Drawing:
    """Return the atoms of a phase, whole: of a particle cut to its shape, where that is one of `DRAWN`.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.phases.drawn import drawing
    >>> zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(20))
    >>> cell, ball = drawing(zb), drawing(zb, whole=True)
    >>> len(cell.xyz), len(cell.bonds), len(ball.xyz)
    (18, 16, 159)
    >>> print(cell.words)
    Unit cell of zb: 4 Cd and 4 S, a = 5.832 Å, b = 5.832 Å, c = 5.832 Å, bonds Cd–S.
    """
    crystal, cluster = phase.placed, phase.scatterer
    if crystal is not None:
        return _particle(crystal) if whole and crystal.shape.kind in DRAWN else _cell(crystal)
    if cluster is not None:
        return _cluster(cluster)
    nothing = f"{phase.heading}: layers follow each other in random order, so that there is no one structure to draw."
    return Drawing((), np.zeros(0, dtype=np.int64), np.zeros((0, 3)), nothing)


def _cell(crystal: Any) -> Drawing:
    rows, x, elements, kind = _parts(crystal)
    copies = [x - np.floor(x + ON_FACE)]
    kinds = [kind]
    for axis in range(3):
        for place, which in zip(list(copies), list(kinds), strict=True):
            on = np.abs(place[:, axis]) < ON_FACE
            copies.append(place[on] + np.eye(3)[axis])
            kinds.append(which[on])
    xyz, cell = np.concatenate(copies) @ rows, crystal.structure.cell
    lengths = ", ".join(f"{name} = {value:.4g} Å" for name, value in zip("abc", cell[:3], strict=True))
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    edges = np.array([(a, b) for a in corners for b in corners if (b - a).sum() == 1 == np.abs(b - a).sum()])
    words = f"Unit cell of {crystal.name}: {_amounts(crystal)}, {lengths}"
    return _told(Drawing(elements, np.concatenate(kinds), xyz, words, edges @ rows))


def _particle(crystal: Any) -> Drawing:
    """Cut a particle out of the crystal about an atom: all of it, or its middle where there are too many atoms.

    What has an axis is drawn with it across a and b: G(r), the mean over all directions, does not tell.
    """
    rows, x, elements, kind = _parts(crystal)
    shape = crystal.shape
    size, said = _SHAPES[shape.kind](shape)
    density = len(x) / abs(float(np.linalg.det(rows)))
    shown = min(size, (6.0 * 0.95 * MOST / (math.pi * density)) ** (1 / 3))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(rows), axis=0)
    reach = [math.ceil(0.5 * shown / one) + 1 for one in heights]
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))), dtype=float)
    xyz = ((x[None] + shifts[:, None]).reshape(-1, 3) - x[0]) @ rows
    inside = (np.linalg.norm(xyz, axis=1) <= 0.5 * shown) & _within(shape, xyz)
    kinds = np.tile(kind, len(shifts))[inside]
    part = f"the middle {shown:.3g} Å of a" if shown < size else "a"
    words = f"{crystal.name}: {part} {said} about an atom, {int(inside.sum())} atoms, surface as cut"
    return _told(Drawing(elements, kinds, xyz[inside], words))


def _within(shape: Any, xyz: Array) -> Any:
    """Return which places (n, 3), in Å from its middle, are in a shape."""
    across, along = np.linalg.norm(xyz[:, :2], axis=1), np.abs(xyz[:, 2])
    if shape.kind == "spheroid":
        return (across**2 + (along / shape.axis_ratio) ** 2) <= (0.5 * shape.equatorial) ** 2
    if shape.kind == "rod":
        return (across <= 0.5 * shape.diameter) & (along <= 0.5 * shape.length)
    if shape.kind == "sheet":
        return along <= 0.5 * shape.thickness
    far = np.linalg.norm(xyz, axis=1)
    least = 0.5 * shape.spdiameter - shape.thickness if shape.kind == "shell" else 0.0
    return (far <= 0.5 * shape.spdiameter) & (far >= least)


def _long(length: float) -> str:
    return f"{length:.4g} Å long" if math.isfinite(length) else "without ends"


# By kind of shape: its largest extent in Å, and what it is.
_SHAPES: Mapping[str, Callable[[Any], tuple[float, str]]] = {
    "sphere": lambda one: (one.spdiameter, f"sphere of {one.spdiameter:.4g} Å"),
    "lognormal": lambda one: (one.spdiameter, f"sphere of the mean diameter {one.spdiameter:.4g} Å"),
    "shell": lambda one: (
        one.spdiameter,
        f"hollow sphere of {one.spdiameter:.4g} Å with a wall of {one.thickness:.4g} Å",
    ),
    "spheroid": lambda one: (
        one.equatorial * max(1.0, one.axis_ratio),
        f"spheroid of {one.equatorial:.4g} Å across and {one.equatorial * one.axis_ratio:.4g} Å along its axis",
    ),
    "rod": lambda one: (
        math.hypot(one.diameter, one.length),
        f"rod of {one.diameter:.4g} Å across, {_long(one.length)}",
    ),
    "sheet": lambda one: (math.inf, f"sheet of {one.thickness:.4g} Å"),
}
DRAWN = frozenset(_SHAPES)
"""Shapes that a particle can be cut to."""


def _cluster(cluster: Any) -> Drawing:
    particle = cluster.refined_particle()
    middle = particle.xyz - particle.xyz.mean(axis=0)
    kept = np.argsort(np.linalg.norm(middle, axis=1), kind="stable")[:MOST]
    part = f", of which the inner {MOST} are drawn" if len(middle) > MOST else ""
    words = f"Cluster {cluster.name}: {particle.formula}, {len(middle)} atoms{part}"
    return _told(Drawing(tuple(particle.elements), particle.kind[kept], middle[kept], words))


def _parts(crystal: Any) -> tuple[Array, Array, tuple[str, ...], IntArray]:
    """Return lattice vectors as rows (3, 3), fractional places, elements, and the element of each atom."""
    rows = np.linalg.cholesky(crystal._geometry.g)
    atoms = crystal._atoms
    return rows, np.array(crystal._geometry.x), atoms.elements, atoms.species[atoms.site]


def _amounts(crystal: Any) -> str:
    return " and ".join(f"{count:.3g} {element}" for element, count in crystal.composition().items())


def _told(drawing: Drawing) -> Drawing:
    """Return a drawing that says which of its elements are bonded."""
    ends = np.sort(drawing.kind[drawing.bonds], axis=1)
    pairs = ["–".join(drawing.elements[k] for k in pair) for pair in np.unique(ends, axis=0).tolist()]
    said = f"{drawing.words}, {'bonds ' + ', '.join(pairs) if pairs else 'no bonds'}."
    return Drawing(**{**drawing.__dict__, "words": said})
