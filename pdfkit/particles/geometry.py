"""Shape and bonds of a particle: radius of gyration, coordination, bond lengths and angles, its surface.

| quantity | definition |
|---|---|
| Rg | √(Σ mᵢ|xᵢ − x̄|² / Σ mᵢ), x̄ the mean weighted with m: mass, 1 or electrons |
| first shell of a–b | all distances up to the middle of the widest gap between them, see `shell_cutoff` |
| coordination of a by b | atoms b within the first shell of an atom a |
| surface | atoms with fewer neighbours of other elements than the full coordination of their element |

Neighbours come from trees, so that a million atoms take seconds. Units: Å, degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.particles.particle import Particle
from pdfkit.structure.species import atomic_mass

SHELL = 1.8
"""The second shell of every simple lattice begins, or the first has long ended, at this multiple of the nearest."""

_SAMPLE = 4000  # atoms whose distances show where a shell ends
_WEIGHTS = ("mass", "number", "electrons")


@dataclass(frozen=True, eq=False)
class Distribution:
    """Values of one kind, such as all bond lengths (Å) or angles (degrees): values (n,), their mean and spread.

    Example
    -------
    >>> import pdfkit as pk
    >>> bonds = pk.particles.bond_lengths(pk.build.tetrahedron("CdSe_zincblende", 4), "Cd", "Se")
    >>> len(bonds), round(bonds.mean, 2), round(bonds.std, 2)
    (40, 2.62, 0.0)
    """

    values: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checks.array("values", self.values))

    def __len__(self) -> int:
        return self.values.size

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the values about their mean (not the error of the mean)."""
        return float(self.values.std())


def surface_mask(
    particle: Any,
    *,
    cutoff: float | None = None,
    full: int | Mapping[str, int] | None = None,
    elements: Sequence[str] | None = None,
) -> NDArray[np.bool_]:
    """Return which atoms are on the surface (n,): fewer neighbours of other elements than the full coordination.

    Where there is one element only, all its atoms are neighbours. An atom without neighbours is a surface atom.

    Parameters
    ----------
    cutoff : Å, of the first shell; default: for each element where the gap to the second shell lies.
    full : full coordination, one number or one per element; default: the largest that the element has here.
    elements : those that make up the particle; atoms of others (ligands) count as surface and not as neighbours.

    Raises
    ------
    PdfkitError : an element that is not there, a cutoff or a coordination that is not positive.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cube = pk.Particle.of(["Po"] * 27, 3.36 * np.indices((3, 3, 3)).reshape(3, 27).T)
    >>> int(pk.particles.surface_mask(cube).sum())
    26
    """
    particle = _particle(particle)
    if elements is not None:
        core = np.isin(particle.kind, [_index(particle, e) for e in elements])
        out = np.ones(len(particle), dtype=np.bool_)
        if core.any():
            out[core] = surface_mask(particle.select(core), cutoff=cutoff, full=full)
        return out
    wanted = _coordinations(particle, full)
    out = np.ones(len(particle), dtype=np.bool_)
    alone = len(np.unique(particle.kind)) == 1
    for index, element in enumerate(particle.elements):
        mine = particle.kind == index
        others = mine if alone else ~mine
        if not mine.any() or others.sum() <= alone:
            continue
        count = _neighbours(particle.xyz[mine], particle.xyz[others], cutoff, same=alone)
        out[mine] = (count < wanted.get(element, int(count.max()))) | (count == 0)
    return out


def _coordinations(particle: Particle, full: int | Mapping[str, int] | None) -> dict[str, int]:
    if full is None:
        return {}
    given = full if isinstance(full, Mapping) else dict.fromkeys(particle.elements, full)
    for element in given:
        _index(particle, element)
    return {e: int(_checks.number("full", n, low=1)) for e, n in given.items()}


def _neighbours(centres: Array, others: Array, cutoff: float | None, same: bool) -> IntArray:
    """Return how many of `others` lie within the cutoff of each centre (an atom is no neighbour of its own)."""
    from scipy.spatial import cKDTree

    tree = cKDTree(others)
    if cutoff is None:
        cutoff = _gap(centres, tree, same)
    cutoff = _checks.number("cutoff", cutoff, low=0.0, open_low=True)
    count = tree.query_ball_point(centres, cutoff, return_length=True)
    return np.asarray(count, dtype=np.int64) - same


def _gap(centres: Array, tree: Any, same: bool) -> float:
    """Return the middle of the widest gap between distances, from the median nearest one to SHELL times it."""
    from scipy.spatial import cKDTree

    # Every k-th atom, so that small particles are seen whole and large ones all over.
    some = cKDTree(centres[:: -(-len(centres) // _SAMPLE)])
    nearest = float(np.median(tree.query(some.data, k=[2 if same else 1])[0]))
    reach = SHELL * nearest
    d = some.sparse_distance_matrix(tree, reach, output_type="ndarray")["v"]
    edges = np.concatenate([[nearest], np.sort(d[d >= nearest]), [reach]])
    widest = int(np.argmax(np.diff(edges)))
    return float(edges[widest : widest + 2].mean())


def shell_cutoff(particle: Any, a: str, b: str) -> float:
    """Return where the first shell of b around a ends (Å): the middle of the widest gap between a–b distances.

    Looked for between the median distance of a nearest neighbour and 1.8 times it, on up to 4000 atoms a. In bcc
    metals, whose first two shells are 15 % apart, it holds both (14 neighbours).

    Raises PdfkitError when an element is not there, StructureError when there is no pair a–b.
    """
    from scipy.spatial import cKDTree

    particle = _particle(particle)
    first, second = _pair(particle, a, b)
    return _gap(particle.xyz[first], cKDTree(particle.xyz[second]), a == b)


def _pair(particle: Particle, a: str, b: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the masks of atoms a and of atoms b; StructureError when no pair can be made of them."""
    first, second = particle.kind == _index(particle, a), particle.kind == _index(particle, b)
    if not first.any() or second.sum() <= (a == b):
        raise StructureError(f"{particle.formula} has no pair {a}–{b}: name elements that it has")
    return first, second


def coordination_numbers(particle: Any, a: str, b: str, cutoff: float | None = None) -> IntArray:
    """Return how many atoms b each atom a has within `cutoff` (Å; default `shell_cutoff`): (number of a,).

    Raises as `shell_cutoff`.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.particles.coordination_numbers(pk.build.tetrahedron("CdSe_zincblende", 4), "Se", "Cd")
    array([4, 4, 4, 4, 4, 4, 4, 4, 4, 4])
    """
    particle = _particle(particle)
    first, second = _pair(particle, a, b)
    return _neighbours(particle.xyz[first], particle.xyz[second], cutoff, a == b)


def mean_coordination(particle: Any, a: str, b: str, cutoff: float | None = None) -> float:
    """Return the mean number of atoms b around an atom a within `cutoff` (Å; default `shell_cutoff`).

    Raises as `shell_cutoff`.

    Example
    -------
    >>> import pdfkit as pk
    >>> cluster = pk.build.tetrahedron("CdSe_zincblende", 4)
    >>> cluster.formula, pk.particles.mean_coordination(cluster, "Se", "Cd")
    ('Cd20Se10', 4.0)
    """
    return float(coordination_numbers(particle, a, b, cutoff).mean())


def bond_lengths(particle: Any, a: str, b: str, cutoff: float | None = None) -> Distribution:
    """Return all distances a–b within `cutoff` (Å; default `shell_cutoff`), each pair once, in increasing order.

    Raises as `shell_cutoff`; StructureError when no pair is as near.

    Example
    -------
    >>> import pdfkit as pk
    >>> bonds = pk.particles.bond_lengths(pk.build.tetrahedron("CdSe_zincblende", 4), "Cd", "Se")
    >>> print(f"{len(bonds)} bonds of {bonds.mean:.3f} Å")
    40 bonds of 2.620 Å
    """
    particle = _particle(particle)
    pairs = _bonds(particle, a, b, cutoff)
    d = np.sort(pairs["v"][pairs["i"] < pairs["j"]] if a == b else pairs["v"])
    return Distribution(d)


def bond_angles(particle: Any, centre: str, outer: str, cutoff: float | None = None) -> Distribution:
    """Return the angles outer–centre–outer (degrees) between all bonds of each centre, sorted.

    Around a fourfold centre they average 109.47° when its tetrahedron is regular. Bonds: as for `bond_lengths`.

    Raises as `bond_lengths`; StructureError when no centre has two bonds.

    Example
    -------
    >>> import pdfkit as pk
    >>> angles = pk.particles.bond_angles(pk.build.tetrahedron("CdSe_zincblende", 4), "Se", "Cd")
    >>> print(f"{len(angles)} angles of {angles.mean:.2f}°")
    60 angles of 109.47°
    """
    particle = _particle(particle)
    pairs = np.sort(_bonds(particle, centre, outer, cutoff), order=["i", "j"])
    first, second = _pair(particle, centre, outer)
    vector = particle.xyz[second][pairs["j"]] - particle.xyz[first][pairs["i"]]
    vector /= np.linalg.norm(vector, axis=1)[:, None]
    _, start, count = np.unique(pairs["i"], return_index=True, return_counts=True)
    cosines = [np.zeros(0)]
    for k in range(2, int(count.max()) + 1):  # centres of equal coordination together
        arms = vector[start[count == k][:, None] + np.arange(k)]
        left, right = np.triu_indices(k, 1)
        cosines.append((arms[:, left] * arms[:, right]).sum(axis=2).ravel())
    angles = np.degrees(np.arccos(np.clip(np.concatenate(cosines), -1, 1)))
    if not angles.size:
        raise StructureError(f"no {centre} of {particle.formula} has two bonds to {outer}: give a longer cutoff")
    return Distribution(np.sort(angles))


def _bonds(particle: Particle, a: str, b: str, cutoff: float | None) -> Any:
    """Return the pairs within the cutoff: i among a, j among b, v distance (both orders when a is b)."""
    from scipy.spatial import cKDTree

    first, second = _pair(particle, a, b)
    left, right = cKDTree(particle.xyz[first]), cKDTree(particle.xyz[second])
    if cutoff is None:
        cutoff = _gap(particle.xyz[first], right, a == b)
    cutoff = _checks.number("cutoff", cutoff, low=0.0, open_low=True)
    pairs = left.sparse_distance_matrix(right, cutoff, output_type="ndarray")
    pairs = pairs[pairs["i"] != pairs["j"]] if a == b else pairs
    if not pairs.size:
        raise StructureError(f"{particle.formula} has no {a}–{b} within {cutoff:g} Å: give a longer cutoff")
    return pairs


def radius_of_gyration(particle: Any, weight: str = "mass") -> float:
    """Return Rg = √(Σ m|x − x̄|²/Σ m) in Å; 0 for one atom.

    weight : m is the atom's mass, 1 ("number") or its electrons ("electrons": what SAXS in vacuum sees).

    Raises PdfkitError for another weight.

    Example
    -------
    >>> import pdfkit as pk
    >>> water = pk.Particle.of(["O", "H", "H"], [[0, 0, 0], [0.757, 0.586, 0], [-0.757, 0.586, 0]])
    >>> [round(pk.particles.radius_of_gyration(water, weight), 3) for weight in ("mass", "number", "electrons")]
    [0.313, 0.677, 0.412]
    """
    particle = _particle(particle)
    m = _weights(particle, _checks.choice("weight", weight, _WEIGHTS))[particle.kind]
    offset = particle.xyz - m @ particle.xyz / m.sum()
    return float(np.sqrt((m @ offset**2).sum() / m.sum()))


def _weights(particle: Particle, weight: str) -> Array:
    from pdfkit.scattering import scattering_strength

    if weight == "number":
        return np.ones(len(particle.elements))
    if weight == "electrons":
        return np.array([scattering_strength(e, "X") for e in particle.elements])
    return np.array([atomic_mass(e) for e in particle.elements])


def largest_distance(particle: Any) -> float:
    """Return the largest distance between two atoms (Å); 0 for one atom. Only corners of the convex hull matter.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cube = pk.Particle.of(["Po"] * 27, 3.36 * np.indices((3, 3, 3)).reshape(3, 27).T)
    >>> round(pk.particles.largest_distance(cube), 2)  # 2·3.36·√3
    11.64
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    xyz = _particle(particle).xyz
    xyz = xyz - xyz.mean(axis=0)
    if len(xyz) > 500:
        _, size, axes = np.linalg.svd(xyz, full_matrices=False)
        flat = xyz @ axes[size > 1e-9 * size[0]].T  # atoms in a plane or on a line have no hull in space
        if flat.shape[1] > 1:
            xyz = xyz[ConvexHull(flat).vertices]
        else:
            xyz = xyz[[int(flat[:, 0].argmin()), int(flat[:, 0].argmax())]]
    return float(pdist(xyz).max(initial=0.0))


def _particle(obj: Any) -> Particle:
    """Return a Particle, or that of a phase that has one."""
    out = getattr(obj, "particle", obj)
    if not isinstance(out, Particle):
        raise PdfkitError(f"{type(obj).__name__} is not a particle: give a Particle, or Particle.from_structure(…)")
    return out


def _index(particle: Particle, element: str) -> int:
    if element not in particle.elements:
        raise PdfkitError(f"there is no {element!r} in {particle.formula}: it has {', '.join(particle.elements)}")
    return particle.elements.index(element)
