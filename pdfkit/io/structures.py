"""Structures by file or by name: `read_structure`, `load_structure`, and the writers."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from pdfkit import _checks
from pdfkit.errors import ReadError, StructureError, nearest, remark
from pdfkit.io import _plausible
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text
from pdfkit.io.cif.files import read_cif, write_cif
from pdfkit.io.rmc import read_rmc6f
from pdfkit.io.stru import read_stru
from pdfkit.io.stru_text import write_stru
from pdfkit.structure.structure import Structure

__all__ = ["available_structures", "load_structure", "read_structure", "write_cif", "write_stru"]


def read_structure(
    path: AnyPath, *, block: str | None = None, symmetry: str = "", tolerance: float = 0.01
) -> Structure:
    """Return the crystal structure of a file.

    CIF, PDFfit and DISCUS .stru, RMCProfile .rmc6f, PDB, extended xyz, data of LAMMPS, and the text formats of a
    crystal that ase reads (`pdfkit.io.foreign.ASE_FORMATS`). The ending says which; for other endings the text does.

    Parameters
    ----------
    block : the name of the data block of a CIF that has several; default the first with atoms, which is said.
    symmetry : "find" gives a structure whose atoms are all listed (.stru, ase, many databases) the space group that
        they have (`Structure.find_symmetry`). Default: what the file says.
    tolerance : Å, of that search.

    Raises
    ------
    ReadError : the file cannot be read, or makes no structure; names the file and, where known, the line.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_cif(f"{folder}/mine.cif", pk.load_structure("CdSe_wurtzite"))
    ...     mine = pk.read_structure(f"{folder}/mine.cif")
    >>> mine.spacegroup, mine.composition(), len(mine.sites)
    ('P 63 m c', {'Cd': 2.0, 'Se': 2.0}, 2)
    """
    reader = _reader(path)
    if block is not None and reader is not read_cif:
        raise ReadError(path, "only a CIF has data blocks: leave block= out")
    structure = read_cif(path, block) if reader is read_cif else reader(path)
    said = [remark(text) for text in _plausible.of_structure(structure)]
    if said:
        object.__setattr__(structure, "remarks", (*structure.remarks, *said))  # nobody has seen it yet
    return with_symmetry(structure, symmetry, tolerance)


def with_symmetry(structure: Structure, symmetry: str, tolerance: float) -> Structure:
    """Return the structure as it is, or in the space group that its atoms have where `symmetry` is "find"."""
    if not symmetry:
        return structure
    _checks.choice("symmetry", symmetry, ("find",))
    return structure.find_symmetry(tolerance)


def _reader(path: AnyPath) -> Callable[[AnyPath], Structure]:
    try:
        ending = Path(path).suffix.lower()
    except TypeError:
        raise ReadError(repr(path), "this is not a file name: give a path") from None
    known = {".cif": read_cif, ".mcif": read_cif, ".stru": read_stru, ".rmc6f": read_rmc6f}
    known |= {".pdb": _read_pdb, ".ent": _read_pdb}
    if ending in known:
        return known[ending]
    head = read_text(path)[:4000].lower()
    if "(version 6f format" in head:
        return read_rmc6f
    if "format pdffit" in head:
        return read_stru
    if "data_" in head and ("loop_" in head or "_cell_length_a" in head):
        return read_cif
    return _read_ase


def is_for_ase(path: AnyPath) -> bool:
    """Return whether a file is one of those that ase reads."""
    return _reader(path) is _read_ase


# Endings of measured data, which nobody means as structures.
DATA = (".gr", ".sq", ".fq", ".iq", ".xye", ".chi")


def _read_pdb(path: AnyPath) -> Structure:
    from pdfkit.io.pdb import read_pdb

    return read_pdb(path)


def _read_ase(path: AnyPath) -> Structure:
    if Path(path).suffix.lower() in DATA:
        raise ReadError(path, "by its ending this is measured data, not a structure: use read_pdf or read_sq")
    from pdfkit.io.foreign import read_ase

    return read_ase(path)


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Return where the structures are: in the package when installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_shipped" / "structures"
    return installed if installed.is_dir() else package.parent / "structures"


def available_structures() -> tuple[str, ...]:
    """Return the names that `load_structure` knows.

    Example
    -------
    >>> import pdfkit as pk
    >>> [name for name in pk.io.available_structures() if name.startswith("CdS")]
    ['CdS_wurtzite', 'CdS_zincblende', 'CdSe_wurtzite', 'CdSe_zincblende']
    """
    return tuple(sorted(path.stem for path in _folder().glob("*.cif")))


def read_or_load(path: AnyPath, block: str | None = None) -> Structure:
    """Return the structure of a file, or the one of that name that comes with pdfkit, where there is no such file."""
    if Path(path).exists() or (Path(path).suffix and str(path) not in available_structures()):
        return read_structure(path, block=block)
    if str(path) in available_structures():
        return load_structure(str(path))
    near = nearest(str(path), available_structures())
    raise ReadError(path, f"there is no such file, and no structure of that name in pdfkit: the nearest are {near}")


def load_structure(name: str) -> Structure:
    """Return a structure that comes with pdfkit, such as "CdSe_wurtzite" (see `available_structures`).

    Raises StructureError, with the nearest names, when there is none of that name.

    Example
    -------
    >>> import pdfkit as pk
    >>> nickel = pk.load_structure("Ni")
    >>> nickel.spacegroup, nickel.composition(), round(nickel.number_density(), 4)
    ('F m -3 m', {'Ni': 4.0}, 0.0914)
    """
    names = available_structures()
    if name not in names:
        raise StructureError(f"no structure {name!r}: the nearest are {nearest(str(name), names) or 'none'}")
    return read_cif(_folder() / f"{name}.cif")
