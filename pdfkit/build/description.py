"""What a particle looks like, in numbers and beside others: point group, compactness, coordination, hexagonality.

Two atoms not on a line with the centre are enough: an operation takes them to two atoms of the same shells (one
element, one distance from the centre) at the same distance from each other, and their normal to ± the normal of those,
which fixes its matrix. The smallest shells give the fewest images to try.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.build import _source
from pdfkit.errors import PdfkitError, ReadError, StructureError
from pdfkit.io._atomic import AnyPath
from pdfkit.io.xyz import XYZ
from pdfkit.particles.geometry import largest_distance, radius_of_gyration, shell_cutoff
from pdfkit.particles.particle import Particle

# --- Point groups of finite sets of atoms ----------------------------------------------------------------------------

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
        raise PdfkitError(f"the particle has {len(particle)} atoms: a point group is found for at most {MOST_ATOMS}")
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


# --- Particles compared by their distances ---------------------------------------------------------------------------

MOST_COMPARED = 5000


def fingerprint(particle: Particle) -> dict[tuple[str, str], Array]:
    """Return all distances between each two elements, sorted (Å): unchanged by rotation, reflection and renumbering.

    Raises StructureError above 5000 atoms (100 MB).

    Example
    -------
    >>> import pdfkit as pk
    >>> bent = pk.Particle.of(["Se", "Cd", "Se"], [[2.6, 0, 0], [0, 0, 0], [0, 2.6, 0]])
    >>> {pair: d.round(2).tolist() for pair, d in pk.build.fingerprint(bent).items()}
    {('Cd', 'Cd'): [], ('Cd', 'Se'): [2.6, 2.6], ('Se', 'Se'): [3.68]}
    """
    from scipy.spatial.distance import cdist, pdist

    if len(particle) > MOST_COMPARED:
        raise StructureError(
            f"the particle has {len(particle)} atoms: a fingerprint is made of at most {MOST_COMPARED}"
        )
    groups = {e: particle.xyz[particle.kind == k] for k, e in enumerate(particle.elements)}
    out = {}
    for a, x in groups.items():
        for b, y in groups.items():
            if a <= b:
                out[a, b] = np.sort(pdist(x) if a == b else cdist(x, y).ravel())
    return out


def same_shape(p: Particle, q: Particle, tolerance: float = 1e-3) -> bool:
    """Return whether two particles have the same distances between all their atoms, within `tolerance` (Å).

    True for mirror images and for the rare homometric sets, which no scattering pattern tells apart.

    Example
    -------
    >>> import pdfkit as pk
    >>> t4 = pk.build.tetrahedron("CdSe_zincblende", 4)
    >>> pk.build.same_shape(t4, t4.moved([1, 2, 3])), pk.build.same_shape(t4, t4.select(range(29)))
    (True, False)
    """
    if p.composition() != q.composition():
        return False
    one, two = fingerprint(p), fingerprint(q)
    return all(np.abs(one[pair] - two[pair]).max(initial=0.0) <= tolerance for pair in one)


def unique(particles: Iterable[Particle], tolerance: float = 1e-3) -> Iterator[Particle]:
    """Yield the particles of an iterable that differ in shape (`same_shape`) from all earlier ones, in their order.

    Example
    -------
    >>> import pdfkit as pk
    >>> t4 = pk.build.tetrahedron("CdSe_zincblende", 4)
    >>> one_less = [t4.select([k for k in range(30) if k != gone]) for gone in range(30)]
    >>> [p.formula for p in pk.build.unique(one_less)]  # Cd of a corner, an edge, a face; Se of a corner, an edge
    ['Cd19Se10', 'Cd19Se10', 'Cd19Se10', 'Cd20Se9', 'Cd20Se9']
    """
    kept: dict[tuple[str, int], list[Particle]] = {}
    for particle in particles:
        # Shapes that are the same have means this close; a mean at a cell's edge is looked for on both sides.
        size = float(np.square(particle.xyz - particle.xyz.mean(axis=0)).sum(axis=1).mean()) ** 0.5
        cell = math.floor(size / (4 * tolerance))
        near = [one for k in (-1, 0, 1) for one in kept.get((particle.formula, cell + k), [])]
        if not any(same_shape(particle, one, tolerance) for one in near):
            kept.setdefault((particle.formula, cell), []).append(particle)
            yield particle


def from_folder(path: AnyPath, *, on_error: Callable[[Path, PdfkitError], None] | None = None) -> Iterator[Particle]:
    """Yield the particles of all .xyz and .extxyz files in a folder, by name, each read when its turn comes.

    on_error : called with the file and the error of a file that cannot be read, which is then left out; without it the
    error is raised.

    Raises ReadError at once for a folder that does not exist or has no such file.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for n in (3, 4):
    ...         _ = pk.io.write_xyz(f"{folder}/t{n}.xyz", pk.build.tetrahedron("CdSe_zincblende", n))
    ...     print([(p.name, p.formula) for p in pk.build.from_folder(folder)])
    [('t3', 'Cd10Se4'), ('t4', 'Cd20Se10')]
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ReadError(folder, "this is not a folder: give the folder that holds the .xyz files")
    files = sorted(one for one in folder.iterdir() if one.suffix.lower() in XYZ and one.is_file())
    if not files:
        raise ReadError(folder, "there is no .xyz file in this folder: put the structures to compare there")
    return _read(files, on_error)


def _read(files: list[Path], on_error: Callable[[Path, PdfkitError], None] | None) -> Iterator[Particle]:
    for file in files:
        try:
            particle = Particle.from_file(file, meta={"file": str(file), "family": "file"})
        except PdfkitError as error:
            if on_error is None:
                raise
            on_error(file, error)
            continue
        yield particle


# --- What a particle looks like --------------------------------------------------------------------------------------

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

    Neighbours are found by distance, up to the widest gap after the first shell (`shell_cutoff`). With ligands
    (`Particle.ligand`), formula, atoms, largest_distance and mass are those of the whole, everything else the core's.
    Of particles above 20,000 atoms, hexagonality is that of the 20,000 nearest to the middle.

    Example
    -------
    >>> import pdfkit as pk
    >>> about = pk.build.describe(pk.build.tetrahedron("CdSe_zincblende", 4))
    >>> about.formula, about.family, about.point_group, about.coordination["Se"]
    ('Cd20Se10', 'zincblende', 'Td', 4.0)
    """
    core = particle.core
    small = len(core) <= MOST_ATOMS
    pairs, lengths = bonds(core)
    count = np.bincount(pairs.ravel(), minlength=len(core))
    mean, histogram = {}, {}
    for k, element in enumerate(core.elements):
        mine = count[core.kind == k]
        if mine.size:
            mean[element], histogram[element] = float(mine.mean()), tuple(np.bincount(mine).tolist())
    share = hexagonality(core) if small else hexagonality(_middle(core))
    return Description(
        name=particle.name,
        formula=particle.formula,
        atoms=len(particle),
        family=str(particle.meta.get("family", "")) or _family(share),
        point_group=point_group(core, tolerance) if small else "",
        radius_of_gyration=radius_of_gyration(core, "number"),
        compactness=_sphericity(core.xyz),
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
    negative = np.isin(symbols, list(_source.anions(particle.elements)))[particle.kind]
    positive = np.isin(symbols, list(_source.cations(particle.elements)))[particle.kind]
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
    around = neighbours(pairs, len(particle))
    if around is None or not len(pairs) or not _source.anions(particle.elements):
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


def neighbours(pairs: IntArray, n: int) -> IntArray | None:
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
