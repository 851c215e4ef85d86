"""Particles from and to files: xyz and extended xyz through ase, and whatever holds a cell."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pdfkit._terminal import quiet
from pdfkit.errors import PdfkitError, ReadError, heard, remark
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._plausible import short_frames
from pdfkit.io._text import read_text
from pdfkit.io.foreign import xyz
from pdfkit.particles.particle import IN_CELL, RELAXED, Cell, Particle, cell_of, checked
from pdfkit.structure.convert import particle_names
from pdfkit.structure.site import U_MISSING

P = TypeVar("P", bound=Particle)
XYZ = (".xyz", ".extxyz")
LIGAND = "ligand"
"""Column of an extended xyz file that says which atoms are those of ligands."""
KEPT = ("family", "ligand", "ligands", "chelates", "bridges", "terminal", "core_charge", "net_charge")
"""What of a particle's meta the comment line keeps, besides what begins with `RELAXED`."""


def read_particle(path: AnyPath, kind: type[P], **options: Any) -> P:
    """Return the particle of a file, or the one that comes with pdfkit under that name.

    xyz files need no cell; other formats give the atoms of one cell, or those of the file where it has no cell. What a
    periodic cell cuts is put together, and a crystal is said to be one. The last frame of several counts. Raises
    ReadError for a file that cannot be read, atoms on one spot, and distances that are not in Å.
    """
    shipped = clusters()
    if str(path) in shipped and not Path(path).exists():
        path = shipped[str(path)]
    name = {"name": Path(path).stem}
    try:
        if Path(path).suffix.lower() in XYZ:
            (found, positions, said, cell), known = _read_xyz(path)
            known["meta"] = {**known["meta"], **options.pop("meta", {})}
            return _crystal_said(checked(kind, found, positions, said, {**name, **known, **options}, cell))
        found, positions, said, cell = _read_other(path)
        if positions is None:
            return _crystal_said(kind.from_structure(found, **{**name, **options}))
        return checked(kind, found, positions, said, {**name, **options}, cell)
    except ReadError:
        raise
    except PdfkitError as error:
        raise ReadError(path, str(error)) from None


Found = tuple[Any, Any, list[str], Cell | None]
"""A structure or names, positions, remarks, the cell that positions are in."""


def _crystal_said(particle: P) -> P:
    if particle.meta.get(IN_CELL) != "crystal":
        return particle
    words = "this is a crystal, whose bonds run on from cell to cell: the atoms of one cell are taken for a particle"
    return replace(particle, remarks=(*particle.remarks, remark(words)))


def _read_other(path: AnyPath) -> Found:
    """Return the structure of a file (and None), or names, positions and remarks of one without a cell."""
    from pdfkit.io import pdb
    from pdfkit.io.structures import is_for_ase, read_structure

    if Path(path).suffix.lower() in pdb.ENDINGS:
        molecule = pdb.read_molecule(path)
        if molecule:
            return (*molecule, None)
    elif is_for_ase(path):
        from pdfkit.io.foreign import read_atoms

        atoms, names, said = read_atoms(path)
        if not atoms.cell.any():
            return _named(atoms, names, said)
    with heard() as found:
        structure = read_structure(path)
    for text in found:
        if not text.startswith(U_MISSING):  # a particle has no U: that a file has none either says nothing
            remark(text)
    return structure, None, [], None


def _read_xyz(path: AnyPath) -> tuple[Found, dict[str, Any]]:
    """Return what the file has, and what `format_xyz` wrote of ligands and of a relaxation."""
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
    return _named(atoms, names, said), _kept_of(atoms)


def _kept_of(atoms: Any) -> dict[str, Any]:
    """Return the options of a particle that a comment line states: what is known of its ligands and its relaxation."""
    ligand = atoms.arrays.get(LIGAND)
    stated = {str(key): value for key, value in atoms.info.items() if _is_kept(str(key), value)}
    meta = {key: value.item() if hasattr(value, "item") else value for key, value in stated.items()}
    flags = None if ligand is None or ligand.dtype != bool or ligand.ndim != 1 else ligand
    return {"meta": meta, **({} if flags is None else {"ligand": flags})}


def _is_kept(key: str, value: Any) -> bool:
    return (key in KEPT or key.startswith(RELAXED)) and (
        isinstance(value, str | bool | int | float) or np.ndim(value) == 0
    )


def _named(atoms: Any, names: list[str] | None, said: tuple[str, ...]) -> Found:
    called, more = particle_names(atoms, names)
    return called, atoms.get_positions(), [*said, *more], cell_of(atoms)


def write_xyz(path: AnyPath, particle: Particle) -> Path:
    """Write a particle as an xyz file (symbol x y z in Å, ten digits). Raises WriteError.

    Of a particle with ligands, or one that was relaxed, it is an extended xyz file: a column says which atoms are those
    of ligands, and the comment line what is known of them and of the relaxation. `Particle.from_file` reads both.

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
    worn = particle.ligand
    ends = [""] * len(particle) if worn is None else [" T" if one else " F" for one in worn.tolist()]
    width = max(2, *(len(symbol) for symbol in particle.elements))
    rows = [
        f"{symbol:{width}s} {x:17.10f} {y:17.10f} {z:17.10f}{end}"
        for symbol, (x, y, z), end in zip(particle.symbols, particle.xyz.tolist(), ends, strict=True)
    ]
    return "\n".join([str(len(particle)), _comment(particle), *rows]) + "\n"


def _comment(particle: Particle) -> str:
    title = " ".join(f"{particle.name} {particle.formula}".split())
    kept = {key: value for key, value in particle.meta.items() if key in KEPT or key.startswith(RELAXED)}
    if particle.ligand is None and not any(key.startswith(RELAXED) for key in kept):
        return title
    columns = "species:S:1:pos:R:3" + (f":{LIGAND}:L:1" if particle.ligand is not None else "")
    return " ".join([f"Properties={columns}", f'title="{_plain(title)}"', *(_stated(*item) for item in kept.items())])


def _stated(key: str, value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return f"{key}={'T' if value else 'F'}"
    if isinstance(value, int | float):
        return f"{key}={value!r}"
    return f'{key}="{_plain(str(value))}"'


def _plain(text: str) -> str:
    """Return a text that needs no escapes in a comment line."""
    return " ".join(text.replace('"', "'").replace("\\", "/").split())


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
