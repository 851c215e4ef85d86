"""Particles compared by their distances, and gathered from a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, ReadError, StructureError
from pdfkit.io._atomic import AnyPath
from pdfkit.io.particles import XYZ
from pdfkit.particle import Particle

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
        raise StructureError(f"a fingerprint of {len(particle)} atoms is not made: {MOST_COMPARED} is the limit")
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
    """Yield the particles of an iterable that have not the shape (`same_shape`) of an earlier one, in their order.

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
    ...         _ = pk.write_xyz(f"{folder}/t{n}.xyz", pk.build.tetrahedron("CdSe_zincblende", n))
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
