"""Particles from and to files: xyz and extended xyz through ase, and whatever holds a cell."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeVar

from pdfkit._terminal import quiet
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._plausible import short_frames
from pdfkit.io._text import read_text
from pdfkit.io.foreign import xyz
from pdfkit.particles.particle import Particle, checked
from pdfkit.structure.convert import particle_names

P = TypeVar("P", bound=Particle)
XYZ = (".xyz", ".extxyz")


def read_particle(path: AnyPath, kind: type[P], **options: Any) -> P:
    """Return the particle of a file, or the one that comes with pdfkit under that name.

    xyz files need no cell, and a cell they have is ignored; other formats give the atoms of one cell, or those of the
    file where it has no cell. The last frame of several counts. Raises ReadError for a file that cannot be read, atoms
    on one spot, and distances that are not in Å.
    """
    shipped = clusters()
    if str(path) in shipped and not Path(path).exists():
        path = shipped[str(path)]
    name = {"name": Path(path).stem}
    try:
        found, positions, said = _read_xyz(path) if Path(path).suffix.lower() in XYZ else _read_other(path)
        if positions is None:
            return kind.from_structure(found, **{**name, **options})
        return checked(kind, found, positions, said, {**name, **options})
    except ReadError:
        raise
    except PdfkitError as error:
        raise ReadError(path, str(error)) from None


Found = tuple[Any, Any, list[str]]


def _read_other(path: AnyPath) -> Found:
    """Return the structure of a file (and None), or names, positions and remarks of one without a cell."""
    from pdfkit.io import pdb
    from pdfkit.io.structures import is_for_ase, read_structure

    if Path(path).suffix.lower() in pdb.ENDINGS:
        molecule = pdb.read_molecule(path)
        return molecule or (read_structure(path), None, [])
    if is_for_ase(path):
        from pdfkit.io.foreign import read_atoms

        atoms, names, said = read_atoms(path)
        if not atoms.cell.any():
            return _named(atoms, names, said)
    return read_structure(path), None, []


def _read_xyz(path: AnyPath) -> Found:
    import ase.io

    text = read_text(path)
    lines = text.rstrip().splitlines()
    count = lines[0].split()[0] if lines and lines[0].split() else ""
    if not (count.isascii() and count.isdigit()):
        raise ReadError(path, "the first line is not the number of atoms: this is not an xyz file", 1)
    if not count.strip("0"):
        raise ReadError(path, "there are no atoms", 1)
    short_frames(path, lines)
    try:
        plain, names, said = xyz(path, text)
        with quiet():
            atoms = ase.io.read(io.StringIO(plain), format="extxyz")
    except ReadError:
        raise
    except Exception as error:  # ase's readers raise whatever comes along
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReadError(
            path, f"this is not a readable xyz file ({reason}): each atom is a line of symbol x y z"
        ) from None
    return _named(atoms, names, said)


def _named(atoms: Any, names: list[str] | None, said: tuple[str, ...]) -> Found:
    called, more = particle_names(atoms, names)
    return called, atoms.get_positions(), [*said, *more]


def write_xyz(path: AnyPath, particle: Particle) -> Path:
    """Write a particle as a plain xyz file (symbol x y z in Å, ten digits). Raises WriteError.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pk.io.write_xyz(f"{folder}/t4.xyz", pk.build.tetrahedron("CdSe_zincblende", 4))
    ...     print(pk.Particle.from_file(path))
    Particle('t4': Cd20Se10, 30 atoms)
    """
    return write_text(path, format_xyz(particle))


def format_xyz(particle: Particle) -> str:
    """Return the text of an xyz file."""
    comment = " ".join(f"{particle.name} {particle.formula}".split())
    width = max(2, *(len(symbol) for symbol in particle.elements))
    rows = [
        f"{symbol:{width}s} {x:17.10f} {y:17.10f} {z:17.10f}"
        for symbol, (x, y, z) in zip(particle.symbols, particle.xyz.tolist(), strict=True)
    ]
    return "\n".join([str(len(particle)), comment, *rows]) + "\n"


def clusters() -> dict[str, Path]:
    """Return the clusters that come with pdfkit: name → xyz file."""
    from pdfkit.io.structures import _folder

    return {path.stem: path for path in sorted((_folder() / "clusters").glob("*.xyz"))}


def available_clusters() -> tuple[str, ...]:
    """Return the names of the clusters that come with pdfkit, for `Particle.from_file` and `Cluster.from_file`.

    Example
    -------
    >>> import pdfkit as pk
    >>> [name for name in pk.io.available_clusters() if name.startswith("Cd56Se35")]
    ['Cd56Se35_tetrahedron']
    """
    return tuple(clusters())
