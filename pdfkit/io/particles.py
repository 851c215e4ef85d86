"""Particles from and to files: xyz and extended xyz through ase, and whatever holds a cell."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeVar

from pdfkit._quiet import quiet
from pdfkit.errors import PdfkitError, ReadError, StructureError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._text import read_text
from pdfkit.particle import Particle
from pdfkit.structure import element_symbol

P = TypeVar("P", bound=Particle)
XYZ = (".xyz", ".extxyz")


def read_particle(path: AnyPath, kind: type[P], **options: Any) -> P:
    """Return the particle of a file, or the one that comes with pdfkit under that name.

    xyz files need no cell, and a cell they have is ignored; other formats give the atoms of one cell. The last frame
    of several counts. Raises ReadError for a file that cannot be read.
    """
    shipped = clusters()
    if str(path) in shipped and not Path(path).exists():
        path = shipped[str(path)]
    name = {"name": Path(path).stem}
    if Path(path).suffix.lower() not in XYZ:
        from pdfkit.io.structures import read_structure

        return kind.from_structure(read_structure(path), **{**name, **options})
    symbols, xyz = _read_xyz(path)
    try:
        return kind.of(symbols, xyz, **{**name, **options})
    except PdfkitError as error:
        raise ReadError(path, str(error)) from None


def _read_xyz(path: AnyPath) -> tuple[list[str], Any]:
    import ase.io

    text = read_text(path)
    lines = text.rstrip().splitlines()
    count = lines[0].split()[0] if lines and lines[0].split() else ""
    if not count.isdigit():
        raise ReadError(path, "the first line is not the number of atoms: this is not an xyz file", 1)
    if int(count) == 0:
        raise ReadError(path, "there are no atoms", 1)
    if len(lines) < int(count) + 2:
        follow = max(len(lines) - 2, 0)
        raise ReadError(path, f"{count} atoms are announced and {follow} lines follow: the file is cut short", 1)
    try:
        with quiet():
            atoms = ase.io.read(io.StringIO(text), format="extxyz")
    except Exception as error:  # ase's readers raise whatever comes along
        _name_the_stranger(path, lines)
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReadError(
            path, f"this is not a readable xyz file ({reason}): each atom is a line of symbol x y z"
        ) from None
    return atoms.get_chemical_symbols(), atoms.get_positions()


def _name_the_stranger(path: AnyPath, lines: list[str]) -> None:
    """Raise ReadError for the first line that starts with no element, if that is what is wrong."""
    for number, line in enumerate(lines[2 : int(lines[0].split()[0]) + 2], start=3):
        try:
            element_symbol((line.split() or [""])[0])
        except StructureError as error:
            raise ReadError(path, str(error), number) from None


def write_xyz(path: AnyPath, particle: Particle) -> Path:
    """Write a particle as a plain xyz file (symbol x y z in Å, ten digits). Raises WriteError.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pk.write_xyz(f"{folder}/t4.xyz", pk.build.tetrahedron("CdSe_zincblende", 4))
    ...     print(pk.Particle.from_file(path))
    Particle('t4': Cd20Se10, 30 atoms)
    """
    return write_text(path, format_xyz(particle))


def format_xyz(particle: Particle) -> str:
    """Return the text of an xyz file."""
    comment = " ".join(f"{particle.name} {particle.formula}".split())
    rows = [
        f"{symbol:2s} {x:17.10f} {y:17.10f} {z:17.10f}"
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
    >>> [name for name in pk.available_clusters() if name.startswith("Cd56Se35")]
    ['Cd56Se35_tetrahedron']
    """
    return tuple(clusters())
