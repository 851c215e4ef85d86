"""What a particle looks like, in numbers: symmetry, compactness, coordination, hexagonality, size, mass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.build import _roles
from pdfkit.build._pointgroup import MOST_ATOMS, point_group
from pdfkit.errors import StructureError
from pdfkit.geometry import largest_distance, radius_of_gyration, shell_cutoff
from pdfkit.particle import Particle

SAME_DIRECTION = math.cos(math.radians(25))
"""Bonds within this angle run along one of the four directions of a tetrahedral network (70.5° apart)."""


@dataclass(frozen=True)
class Description:
    """What `describe` finds.

    name, formula, atoms. family : what the particle says of itself (`meta`), or by its hexagonality "zincblende" (0),
    "wurtzite" (1), "faulted" (between), "" for what is no tetrahedral network. point_group : Schoenflies symbol, ""
    above 20,000 atoms. radius_of_gyration : Å, all atoms alike. compactness : π^(1/3)(6V)^(2/3)/A of the convex hull,
    1 for a ball, 0.81 for a cube, 0.67 for a tetrahedron, 0 for what is flat. coordination : mean number of neighbours
    of each element; histogram : for each element, how many atoms have 0, 1, 2 … neighbours (cations of anions and the
    reverse; atoms of one kind of each other). bond : mean length, Å, nan without bonds. hexagonality : see
    `hexagonality`. largest_distance : Å. mass : g/mol.

    Example
    -------
    >>> import pdfkit as pk
    >>> about = pk.build.describe(pk.build.tetrahedron("CdSe_zincblende", 4))
    >>> about.histogram["Se"]
    (0, 0, 0, 0, 10)
    >>> about.histogram["Cd"]  # 4 corners, 12 on edges, 4 on faces
    (0, 4, 12, 4)
    >>> round(about.bond, 3), round(about.mass)
    (2.62, 3038)
    """

    name: str
    formula: str
    atoms: int
    family: str
    point_group: str
    radius_of_gyration: float
    compactness: float
    coordination: Mapping[str, float]
    histogram: Mapping[str, tuple[int, ...]]
    bond: float
    hexagonality: float
    largest_distance: float
    mass: float

    def row(self) -> dict[str, str | float]:
        """Return one flat row of a table."""
        out = {k: v for k, v in vars(self).items() if isinstance(v, str | int | float)}
        return out | {f"coordination {e}": n for e, n in self.coordination.items()}


def describe(particle: Particle, tolerance: float = 0.05) -> Description:
    """Return the description of a particle. tolerance : Å, of its symmetry.

    Neighbours are found by distance, up to the widest gap after the first shell (`pdfkit.geometry.shell_cutoff`). Of
    particles above 20,000 atoms, hexagonality is that of the 20,000 nearest to the middle.

    Example
    -------
    >>> import pdfkit as pk
    >>> about = pk.build.describe(pk.build.tetrahedron("CdSe_zincblende", 4))
    >>> about.formula, about.family, about.point_group, about.coordination["Se"]
    ('Cd20Se10', 'zincblende', 'Td', 4.0)
    """
    small = len(particle) <= MOST_ATOMS
    pairs, lengths = bonds(particle)
    count = np.bincount(pairs.ravel(), minlength=len(particle))
    mean, histogram = {}, {}
    for k, element in enumerate(particle.elements):
        mine = count[particle.kind == k]
        if mine.size:
            mean[element], histogram[element] = float(mine.mean()), tuple(np.bincount(mine).tolist())
    share = hexagonality(particle) if small else hexagonality(_middle(particle))
    return Description(
        name=particle.name,
        formula=particle.formula,
        atoms=len(particle),
        family=str(particle.meta.get("family", "")) or _family(share),
        point_group=point_group(particle, tolerance) if small else "",
        radius_of_gyration=radius_of_gyration(particle, "number"),
        compactness=_sphericity(particle.xyz),
        coordination=mean,
        histogram=histogram,
        bond=float(lengths.mean()) if lengths.size else math.nan,
        hexagonality=share,
        largest_distance=largest_distance(particle),
        mass=particle.mass,
    )


def _family(share: float) -> str:
    if math.isnan(share):
        return ""
    return "zincblende" if share < 0.02 else "wurtzite" if share > 0.98 else "faulted"


def _middle(particle: Particle) -> Particle:
    d = np.linalg.norm(particle.xyz - particle.xyz.mean(axis=0), axis=1)
    return particle.select(np.sort(np.argsort(d, kind="stable")[:MOST_ATOMS]))


def _sphericity(xyz: Array) -> float:
    """Return π^(1/3)(6V)^(2/3)/A of the convex hull; 0 for a plane. Source: Wadell, J. Geol. 43, 250 (1935)."""
    from scipy.spatial import ConvexHull

    if np.linalg.matrix_rank(xyz - xyz.mean(axis=0), tol=1e-6) < 3:
        return 0.0
    hull = ConvexHull(xyz)
    return float(np.pi ** (1 / 3) * (6 * hull.volume) ** (2 / 3) / hull.area)


def bonds(particle: Particle) -> tuple[IntArray, Array]:
    """Return the bonds (m, 2) as atom indices, cation first, and their lengths (m,) in Å; each once.

    Between cations and anions; between all atoms where there is one kind only.
    """
    from scipy.spatial import cKDTree

    symbols = np.array(particle.elements)
    negative = np.isin(symbols, list(_roles.anions(particle.elements)))[particle.kind]
    positive = np.isin(symbols, list(_roles.cations(particle.elements)))[particle.kind]
    alike = not negative.any()
    first, second = (np.arange(len(particle)),) * 2 if alike else (np.flatnonzero(positive), np.flatnonzero(negative))
    nothing = np.zeros((0, 2), dtype=np.int64), np.zeros(0)
    two = Particle(("A", "B"), (negative & (not alike)).astype(np.int64), particle.xyz)
    try:
        reach = shell_cutoff(two if alike else two.select(positive | negative), "A", "A" if alike else "B")
    except StructureError:
        return nothing
    left, right = cKDTree(particle.xyz[first]), cKDTree(particle.xyz[second])
    found = left.sparse_distance_matrix(right, reach, output_type="ndarray")
    found = np.sort(found[found["i"] < found["j"]] if alike else found, order=["i", "j"])
    return np.stack([first[found["i"]], second[found["j"]]], axis=1), found["v"]


def hexagonality(particle: Particle) -> float:
    """Return the share of eclipsed bonds among those along the stacking axis: 0 in zinc blende, 1 in wurtzite.

    A bond is eclipsed when the other bonds of its two atoms are, seen along it: mean cos 3φ over all pairs of them
    above 0. The axis is the one of the four bond directions that has most eclipsed bonds. nan where atoms have more
    than four bonds, or no bond has others at both ends.

    Example
    -------
    >>> import pdfkit as pk
    >>> [pk.build.hexagonality(pk.build.sphere(source, 20)) for source in ("CdSe_zincblende", "CdSe_wurtzite")]
    [0.0, 1.0]
    """
    pairs, _ = bonds(particle)
    around = _around(pairs, len(particle))
    if around is None or not len(pairs) or not _roles.anions(particle.elements):
        return math.nan
    axis, score = _conformations(particle.xyz, pairs, around)
    if not score.size:
        return math.nan
    eclipsed, best = score > 0, (0, 0.0)
    left = eclipsed.copy()
    while left.any():
        same = axis @ axis[np.flatnonzero(left)[0]] > SAME_DIRECTION
        best = max(best, (int((same & eclipsed).sum()), float(eclipsed[same].mean())))
        left &= ~same
    return best[1]


def _around(pairs: IntArray, n: int) -> IntArray | None:
    """Return the up to four neighbours of each atom (n, 4), −1 for none; None when some atom has more."""
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    ends = ends[np.argsort(ends[:, 0], kind="stable")]
    rank = np.arange(len(ends)) - np.searchsorted(ends[:, 0], ends[:, 0])
    if len(ends) and rank.max() > 3:
        return None
    out = np.full((n, 4), -1, dtype=np.int64)
    out[ends[:, 0], rank] = ends[:, 1]
    return out


def _conformations(xyz: Array, pairs: IntArray, around: IntArray) -> tuple[Array, Array]:
    """Return direction (k, 3) and mean cos 3φ (k,) of the bonds that have others at both ends."""
    axis = xyz[pairs[:, 1]] - xyz[pairs[:, 0]]
    axis = axis / np.linalg.norm(axis, axis=1)[:, None]
    arms, present = [], []
    for end in (0, 1):
        other = around[pairs[:, end]]
        arm = xyz[other] - xyz[pairs[:, end]][:, None]
        arm -= np.einsum("pkx,px->pk", arm, axis)[..., None] * axis[:, None]
        length = np.linalg.norm(arm, axis=2)
        arms.append(arm / np.maximum(length, 1e-9)[..., None])
        present.append((other >= 0) & (other != pairs[:, 1 - end][:, None]) & (length > 1e-3))
    cosine = np.einsum("pkx,plx->pkl", *arms)
    both = present[0][:, :, None] & present[1][:, None, :]
    triple = np.where(both, 4 * cosine**3 - 3 * cosine, 0.0).sum(axis=(1, 2))
    number = both.sum(axis=(1, 2))
    return axis[number > 0], triple[number > 0] / number[number > 0]
