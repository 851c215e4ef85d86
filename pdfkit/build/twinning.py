"""Particles beyond one lattice: twins and stacking faults of zinc blende, icosahedra, decahedra, Wulff shapes, mirrors.

| builder | what it makes | atoms |
|---|---|---|
| `twinned` | a sphere of zinc blende with twin planes; two next to each other are a stacking fault | as cut |
| `icosahedron` | Mackay's icosahedron of an fcc metal, twenty tetrahedra | 13, 55, 147, 309, 561… |
| `decahedron` | five tetrahedra about an axis, cut (Ino) and notched (Marks) | 7, 13, 23, 54, 75, 105… |
| `wulff` | a cubic crystal within facets at distances in proportion to their energies | as asked |
| `mirrored` | the other hand of a particle | the same |

Icosahedra and decahedra are of tetrahedra that do not close by themselves: bonds between the shells of an icosahedron
are shorter by 5 % than those within.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.build import description
from pdfkit.build._source import EDGE, Source, centre_of
from pdfkit.build._stacking import stacking
from pdfkit.build.cut import network, sphere
from pdfkit.build.tetrahedra import bonds_of, whole_number
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.particle import Particle

MOST_SHELLS = 60
HANDED = ("C1", "C2", "C3", "C4", "C5", "C6", "D2", "D3", "D4", "D5", "D6", "T", "O", "I")
"""Point groups without mirror, inversion or rotary reflection."""

# --- Twins of zinc blende --------------------------------------------------------------------------------------------


def twinned(
    source: Any, diameter: float, *, planes: int = 1, spacing: int = 2, trim: int = 0, name: str = ""
) -> Particle:
    """Return a sphere of zinc blende with twin planes normal to one bond, evenly about its middle.

    Beyond a plane the crystal is turned by 180° about that bond, so that all bonds stay and cations face the same side.

    source : a zinc-blende crystal, whose elements and bond length count (see `network`). diameter : Å. planes : twin
    planes; spacing : bilayers from one to the next; two planes with spacing 1 are a stacking fault. trim : as for
    `sphere`.

    Raises PdfkitError for a number that is not whole and positive, StructureError for a source that is not zinc blende.

    Example
    -------
    >>> import pdfkit as pk
    >>> dot = pk.build.twinned("CdSe_zincblende", 24)
    >>> dot.formula, pk.build.point_group(dot), pk.build.point_group(pk.build.sphere("CdSe_zincblende", 24))
    ('Cd135Se140', 'C3v', 'Td')
    """
    count, apart = whole_number("planes", planes, 1), whole_number("spacing", spacing, 1)
    size = _checks.number("diameter", diameter, low=0.0, high=1000.0, open_low=True)
    cation, anion, b = bonds_of(network(source), "anion")
    bond = float(np.linalg.norm(b, axis=1).mean())
    beyond = math.ceil(size / (4 / 3 * bond)) + 4  # bilayers of 4/3 of a bond: no other plane comes near
    sequence = ("h" + "c" * (apart - 1)) * (count - 1) + "h" + "c" * beyond
    middle = (0.0, 0.0, 0.5 * (count - 1) * apart)
    stack = stacking(cation, anion, sequence, bond=bond)
    meta = {"shape": "twinned sphere", "planes": count, "spacing": apart, "family": "twinned"}
    label = name or f"{cation}{anion}_twinned_{count}_{apart}_{size:g}"
    return sphere(stack, size, centre=middle, trim=trim, name=label, meta=meta)


# --- Multiply twinned metals -----------------------------------------------------------------------------------------


def icosahedron(source: Any, shells: int, *, name: str = "") -> Particle:
    """Return Mackay's icosahedron with so many shells about an atom, (10n³ + 15n² + 11n + 3)/3 atoms.

    source : an fcc metal (see `network`), whose nearest distance is kept within the shells.

    Raises PdfkitError for a number that is not whole and positive, StructureError for what is no fcc metal. Source of
    the construction: Mackay, Acta Cryst. 15, 916 (1962).

    Example
    -------
    >>> import pdfkit as pk
    >>> [len(pk.build.icosahedron("Ni", n)) for n in (1, 2, 3)]
    [13, 55, 147]
    >>> pk.build.point_group(pk.build.icosahedron("Ni", 2))
    'Ih'
    """
    count = whole_number("shells", shells, 1)
    if count > MOST_SHELLS:
        raise PdfkitError(f"shells = {count} is too many: give at most {MOST_SHELLS}")
    element, bond = _metal(source)
    golden = (1 + math.sqrt(5)) / 2
    flat = [(0.0, s, t * golden) for s in (1, -1) for t in (1, -1)]
    corners = np.array([np.roll(one, k) for k in range(3) for one in flat]) / 2  # edges of 1
    near = np.linalg.norm(corners[:, None] - corners, axis=2) < 1.01
    faces = [f for f in itertools.combinations(range(12), 3) if near[np.ix_(f, f)].all()]
    out = [np.zeros((1, 3))]
    for n in range(1, count + 1):
        parts = np.array([(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)], dtype=float)
        shell = np.concatenate([parts @ corners[list(face)] for face in faces])
        out.append(shell[np.unique(np.round(shell, 6), axis=0, return_index=True)[1]])
    return _particle(element, bond * np.concatenate(out), "icosahedron", {"shells": count}, name)


def decahedron(source: Any, length: int, height: int = 1, notch: int = 0, *, name: str = "") -> Particle:
    """Return a decahedron: five twinned pieces of an fcc metal about a common axis.

    source : an fcc metal. length : atoms along the edge of the caps, as far as the (100) facets; height : atoms along
    the edges of these facets that run with the axis (1: the pentagonal bipyramid, more: Ino's); notch : layers taken
    off at the re-entrant edges (Marks').

    Raises PdfkitError for numbers that are not whole, StructureError for what is no fcc metal. Sources: Ino, J. Phys.
    Soc. Jpn. 27, 941 (1969); Marks, J. Cryst. Growth 61, 556 (1983).

    Example
    -------
    >>> import pdfkit as pk
    >>> [len(pk.build.decahedron("Ni", *sizes)) for sizes in ((2, 1), (3, 1), (2, 2), (2, 2, 1))]
    [7, 23, 13, 75]
    """
    from ase.cluster import Decahedron

    sizes = (whole_number("length", length, 2), whole_number("height", height, 1), whole_number("notch", notch, 0))
    if max(sizes) > MOST_SHELLS:
        raise PdfkitError(f"{max(sizes)} atoms along an edge are too many: give at most {MOST_SHELLS}")
    element, bond = _metal(source)
    made = Decahedron(element, *sizes, latticeconstant=math.sqrt(2) * bond)
    facts = dict(zip(("length", "height", "notch"), sizes, strict=True))
    return _particle(element, made.get_positions(), "decahedron", facts, name)


def _particle(element: str, xyz: Array, shape: str, facts: Mapping[str, int], name: str) -> Particle:
    meta = {"shape": shape, **facts, "family": shape}
    label = name or "_".join([element, shape, *map(str, facts.values())])
    return Particle.of([element] * len(xyz), xyz - xyz.mean(axis=0), name=label, meta=meta)


def _metal(source: Any) -> tuple[str, float]:
    """Return element and nearest distance (Å) of an fcc metal; StructureError for anything else."""
    source = network(source)
    around = source.neighbourhood.xyz - source.first
    d = np.linalg.norm(around, axis=1)
    bond = float(d[d > 0.1].min())
    shells = [int(((d > 0.1) & (np.abs(d - ratio * bond) < 0.02 * bond)).sum()) for ratio in (1.0, math.sqrt(2))]
    if len(set(source.elements)) != 1 or shells != [12, 6]:
        raise StructureError(f"{source.name} is no fcc metal, of which such particles consist: give one, such as Ni")
    return source.elements[0], bond


# --- Wulff shapes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Facets:
    """A convex body: x·normal ≤ distance for unit normals (m, 3) and distances (m,) in Å."""

    normals: Array
    distances: Array

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return whether x lies on the inner side of all facets."""
        return np.asarray((x @ self.normals.T <= self.distances + EDGE).all(axis=1))

    def reach(self, direction: Array) -> float:
        """Return an upper bound of x·direction: that of the ball around the body's corners."""
        return float(np.linalg.norm(direction)) * self._radius

    @property
    def _radius(self) -> float:
        from scipy.spatial import HalfspaceIntersection

        halves = np.column_stack([self.normals, -self.distances])
        return float(np.linalg.norm(HalfspaceIntersection(halves, np.zeros(3)).intersections, axis=1).max())


def wulff(
    source: Any,
    facets: Mapping[Sequence[int], float],
    atoms: int,
    *,
    centre: str | Sequence[float] = "atom",
    trim: int = 0,
    name: str = "",
) -> Particle:
    """Return the piece of a cubic crystal within its Wulff shape whose number of atoms comes nearest to `atoms`.

    source : a cubic crystal (see `network`). facets : surface energy, in any unit, of each kind of facet, such as
    {(1, 1, 1): 1.0, (1, 0, 0): 1.15}; all its permutations and signs are taken, or, where (1, 1, 1) and (-1, -1, -1)
    are both given, those of a tetrahedral crystal. centre, trim : as for `sphere`.

    Raises PdfkitError for facets that do not enclose anything and energies that are not positive, StructureError for a
    source that is not cubic. Source: Wulff, Z. Kristallogr. 34, 449 (1901).

    Example
    -------
    >>> import pdfkit as pk
    >>> dot = pk.build.wulff("Ni", {(1, 1, 1): 1.0, (1, 0, 0): 1.15}, 200)
    >>> dot.formula, pk.build.point_group(dot)
    ('Ni201', 'Oh')
    """
    source = network(source)
    wanted = whole_number("atoms", atoms, 2, 10**6)
    body = _body(source, facets)
    at = centre_of(source, centre)
    scale = _scale_for(source, body, at, wanted)
    region = Facets(body.normals, scale * body.distances)
    sites = source.sites_in(region, at)
    if trim:
        from pdfkit.build.cut import well_bonded

        sites = sites[well_bonded(source, sites, whole_number("trim", trim, 0))]
    made = source.particle(sites, at, what="this Wulff shape")
    shown = ", ".join(f"{''.join(map(str, one))} {energy:g}" for one, energy in facets.items())
    meta = {"shape": "wulff", "facets": shown, "source": source.name, "family": source.family or "wulff"}
    out: Particle = replace(made, name=name or f"{source.name}_wulff_{len(made)}", meta=meta)
    return out


def _body(source: Source, facets: Mapping[Sequence[int], float]) -> Facets:
    lengths = np.linalg.norm(source.axes, axis=1)
    if np.ptp(lengths) > 1e-3 or not np.allclose(source.axes @ source.axes.T, np.diag(lengths**2), atol=1e-3):
        raise StructureError(f"{source.name} is not cubic, as a Wulff shape must be here: give a cubic crystal")
    given = [tuple(int(i) for i in one) for one in facets]
    tetrahedral = any(tuple(-i for i in one) in given for one in given)
    normals, distances = [], []
    for one, energy in zip(given, facets.values(), strict=True):
        size = _checks.number(f"energy of {one}", energy, low=0.0, open_low=True)
        for normal in _alike(one, tetrahedral):
            normals.append(np.array(normal) @ source.axes / lengths[0])
            distances.append(size)
    n = np.array(normals, dtype=float).reshape(-1, 3)
    if not len(n) or _open(n):
        raise PdfkitError("these facets do not enclose a particle: give more of them, such as (1, 1, 1) and (1, 0, 0)")
    return Facets(n / np.linalg.norm(n, axis=1)[:, None], np.array(distances))


def _open(normals: Array) -> bool:
    """Return whether some direction has no facet ahead of it."""
    from scipy.optimize import linprog

    found = linprog(np.zeros(len(normals)), A_eq=normals.T, b_eq=np.zeros(3), bounds=(1.0, None))
    return bool(found.status != 0 or np.linalg.matrix_rank(normals) < 3)


def _alike(indices: tuple[int, ...], tetrahedral: bool) -> set[tuple[int, ...]]:
    """Return the facets that symmetry makes of one: all permutations and signs, or an even number of signs."""
    if len(indices) != 3 or not any(indices):
        raise PdfkitError(f"{indices} is no facet: give three whole numbers, such as (1, 1, 1)")
    signs = [s for s in itertools.product((1, -1), repeat=3) if not tetrahedral or math.prod(s) > 0]
    return {tuple(i * s for i, s in zip(order, sign, strict=True))
            for order in itertools.permutations(indices) for sign in signs}  # fmt: skip


def _scale_for(source: Source, body: Facets, at: Array, wanted: int) -> float:
    """Return the factor of the distances that gives the number of atoms nearest to `wanted`."""

    def count(scale: float) -> int:
        return len(source.sites_in(Facets(body.normals, scale * body.distances), at))

    low, high = 0.0, 1.0
    while count(high) < wanted:
        low, high = high, 2.0 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    few = count(low) if low > 0 else 0
    return low if few > 1 and wanted - few < count(high) - wanted else high


# --- Hands -----------------------------------------------------------------------------------------------------------


def mirrored(particle: Particle, *, name: str = "") -> Particle:
    """Return the mirror image of a particle. G(r) and every other isotropic pattern of the two are the same.

    Example
    -------
    >>> import pdfkit as pk
    >>> one = pk.build.candidates("Cd37S20", limit=2, near=0, families=["zincblende"])[1]
    >>> other = pk.build.mirrored(one)
    >>> pk.build.same_shape(one, other)
    True
    """
    label = name or f"{particle.name or particle.formula}_mirrored"
    return replace(particle, xyz=-particle.xyz, lattice=None, sites=None, name=label)


def is_chiral(particle: Particle, tolerance: float = 0.05) -> bool:
    """Return whether a particle differs from its mirror image (by its point group; tolerance in Å).

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.build.is_chiral(pk.build.tetrahedron("CdSe_zincblende", 4))
    False
    """
    return description.point_group(particle, tolerance) in HANDED
