"""Frames of trajectories, one at a time: xyz and extended xyz, LAMMPS dumps, XDATCAR, .traj of ase, MDAnalysis.

Only the frame that is at hand is in memory. A file whose last frame ends too early comes from a run that was stopped:
`CutOffError` says so, and what came before is whole. Names of atoms are as the file has them: numbers of types are no
elements.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, ReadError, heard, missing, unwarned
from pdfkit.io._atomic import AnyPath
from pdfkit.io.foreign import is_xdatcar, of_residue, refuse_units

if TYPE_CHECKING:
    from pdfkit.structure.structure import Structure

# No line of a frame is longer than this, and no frame has more atoms.
MOST_LINE, MOST_ATOMS = 100_000, 50_000_000


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: names of the atoms, xyz (n, 3) in Å, cell (3, 3) rows in Å or None, pbc along its vectors.

    types : names are types of a force field, of which CA may be carbon. said : what was assumed when it was read.
    step : number of the step of the simulation, where the file tells.
    """

    names: list[str]
    xyz: Array
    cell: Array | None
    pbc: tuple[bool, bool, bool] = (True, True, True)
    types: bool = False
    said: tuple[str, ...] = ()
    step: int | None = None


class CutOffError(Exception):
    """The file ends within a frame."""


def frames_of(path: AnyPath, topology: AnyPath | None = None) -> Iterator[Frame]:
    """Yield the frames of a file; MDAnalysis reads it where there is a topology.

    Raises ReadError for a file that cannot be read, CutOffError where it ends within a frame.
    """
    place = Path(path)
    if topology is not None:
        return _of_mdanalysis(place, topology)
    if not place.exists():
        raise ReadError(path, missing(path))
    if place.is_dir():
        raise ReadError(path, "this is a folder: give its files")
    if place.stat().st_size == 0:
        raise ReadError(path, "the file is empty: did the run write any frame?")
    return _reader(place)(place)


def _reader(path: Path) -> Callable[[Path], Iterator[Frame]]:
    ending = unpacked(path).suffix.lower()
    if ending in BINARY:
        raise ReadError(path, f"a {ending} file has no elements: give the file of the topology as well (topology=)")
    if ending == ".traj":
        if path.suffix.lower() in PACKED:
            raise ReadError(path, "a compressed .traj cannot be read: unpack it first")
        return _of_ase
    if ending in (".xyz", ".extxyz", ".exyz"):
        return _of_xyz
    if "XDATCAR" in path.name.upper():
        return _of_xdatcar
    with _lines(path) as lines:
        head = [lines.take("") for _ in range(8)]
    if is_xdatcar(head):
        return _of_xdatcar
    return _of_lammps if head[0].startswith("ITEM:") else _of_structure


BINARY = (".dcd", ".xtc", ".trr", ".nc", ".ncdf", ".trj", ".mdcrd")


# --- Lines -----------------------------------------------------------------------------------------------------------


PACKED = (".gz", ".bz2", ".xz")


def unpacked(path: Path) -> Path:
    """Return the name without what says that the file is compressed."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def _opener(ending: str) -> Any:
    if ending not in PACKED:
        return open
    return {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[ending]


class _Lines:
    """Lines of a text file, counted; `whole` is False where the last one read has no end."""

    def __init__(self, path: Path, stream: IO[str]) -> None:
        self.path, self.stream, self.number, self.whole = path, stream, 0, True

    def take(self, what: str) -> str:
        """Return the next line; at the end "" if `what` is empty, else CutOffError."""
        line = self.stream.readline(MOST_LINE)
        if not line and what:
            raise CutOffError(what)
        self.number += 1
        self.whole = line.endswith("\n")
        if len(line) == MOST_LINE and not self.whole:
            raise self.error("the line is longer than those of any trajectory: is this the right file?")
        return line

    def content(self) -> str:
        """Return the next line with something on it, "" at the end."""
        while (line := self.take("")) and line.isspace():
            pass
        return line

    def rows(self, count: int) -> list[str]:
        """Return the rows of a frame."""
        found = [self.take("atoms") for _ in range(count)]
        if found and not self.whole and count > 1 and len(found[-1]) < min(map(len, found[:-1])) - 1:
            raise CutOffError("atoms")  # its last number may be cut, too
        return found

    def error(self, text: str) -> ReadError:
        """Return the error of the line that was read last."""
        return ReadError(self.path, text, self.number)

    def count(self, text: str) -> int:
        """Return the number of atoms that a line tells."""
        word = text.split()[0] if text.split() else ""
        if not (word.isascii() and word.isdigit()):
            raise self.error(f"{text.strip()[:30]!r} is not the number of atoms with which a frame begins")
        if not 0 < int(word[:12]) < MOST_ATOMS:
            raise self.error(f"a frame of {word[:20]} atoms: is this the right file?")
        return int(word)


@contextmanager
def _lines(path: Path) -> Iterator[_Lines]:
    opened: Any = _opener(path.suffix.lower())
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace") as stream:
            yield _Lines(path, stream)
    except EOFError:
        raise CutOffError("compressed data") from None
    except (zlib.error, lzma.LZMAError) as error:
        raise ReadError(path, f"its compressed data are damaged ({error}): pack the file again") from None
    except OSError as error:
        raise ReadError(path, f"{error.strerror or error}: this file cannot be read") from None


def _columns(lines: _Lines, rows: list[str], names: slice | int, places: slice, least: int) -> tuple[list[str], Array]:
    """Return the names and three numbers of each row, whose columns are as many as those of the first."""
    width = len(rows[0].split())
    words = "".join(rows).split()
    if width < least or len(words) != width * len(rows):
        _refuse(lines, rows, max(width, least), names, places)
    called = words[names::width] if isinstance(names, int) else []
    try:
        xyz = np.array([words[k::width] for k in range(places.start, places.stop)], dtype=np.float64).T
    except ValueError:
        _refuse(lines, rows, width, names, places)
    if not np.isfinite(xyz).all():
        _refuse(lines, rows, width, names, places)
    return called, np.ascontiguousarray(xyz)


def _refuse(lines: _Lines, rows: list[str], width: int, names: slice | int, places: slice) -> None:
    """Raise the error of the first damaged row; of a last row that has no end, CutOffError."""
    for k, row in enumerate(rows):
        words = row.split()
        try:
            good = len(words) == width and bool(np.isfinite([float(word) for word in words[places]]).all())
        except ValueError:
            good = False
        if not good:
            lines.number -= len(rows) - 1 - k
            if k == len(rows) - 1 and not lines.whole:
                raise CutOffError("atoms")
            raise lines.error(f"{row.strip()[:40]!r} is not an atom with its position in {width} columns")
    raise lines.error("the rows of this frame cannot be read")


# --- xyz -------------------------------------------------------------------------------------------------------------

_LATTICE = re.compile(r"(?<![\w-])lattice\s*=\s*[\"'{\[]([^\"'}\]]*)", re.IGNORECASE)
_TRUE = r"([TF01])[a-z]*"
_PBC = re.compile(rf"(?<![\w-])pbc\s*=\s*[\"'{{\[]?\s*{_TRUE}(?:[\s,]+{_TRUE}[\s,]+{_TRUE})?(?!\w)", re.IGNORECASE)
_PROPERTIES = re.compile(r"\bproperties\s*=\s*[\"']?([\w:+-]+)", re.IGNORECASE)
_SPECIES = ("species", "symbols", "symbol", "element", "elements", "type", "name")


def _of_xyz(path: Path) -> Iterator[Frame]:
    with _lines(path) as lines:
        while first := lines.content():
            count = lines.count(first)
            comment = lines.take("the second line")
            refuse_units(path, first, comment, lines.number)
            cell, pbc = _lattice(lines, comment)
            name, place = _where(lines, comment)
            names, xyz = _columns(lines, lines.rows(count), name, slice(place, place + 3), place + 3)
            yield Frame(names, xyz, cell, pbc)


def _lattice(lines: _Lines, comment: str) -> tuple[Array | None, tuple[bool, bool, bool]]:
    """Return the cell of a comment of extended xyz and what is periodic."""
    found, periodic = _LATTICE.search(comment), _PBC.search(comment)
    if found is None:
        return None, (False, False, False)
    try:
        numbers = [float(word) for word in re.split(r"[\s,]+", found[1].strip())]
        cell = np.diag(numbers) if len(numbers) == 3 else np.reshape(numbers, (3, 3))
    except ValueError:
        if not comment.endswith("\n"):
            raise CutOffError("the second line") from None
        raise lines.error(f"Lattice={found[1][:40]!r} is not nine numbers in Å") from None
    # One word is about all three.
    a, b, c = ((mark or periodic[1]) in "Tt1" for mark in periodic.groups()) if periodic else (True, True, True)
    return cell, (a, b, c)


def _where(lines: _Lines, comment: str) -> tuple[int, int]:
    """Return the columns of name and position; those of plain xyz where the comment does not say."""
    found = _PROPERTIES.search(comment)
    if found is None:
        return 0, 1
    words, at, where = found[1].split(":"), 0, {}
    for name, _, many in zip(words[::3], words[1::3], words[2::3], strict=False):
        where[name.lower()] = at
        at += int(many) if many.isdigit() else 1
    name = next((where[word] for word in _SPECIES if word in where), None)
    place = next((where[word] for word in ("pos", "positions", "position") if word in where), None)
    if name is None or place is None:
        raise lines.error(f"Properties={found[1][:60]} have no species or no pos: this xyz has no atoms to count")
    return name, place


# --- LAMMPS ----------------------------------------------------------------------------------------------------------

_ANGSTROM_UNITS = ("real", "metal")


def _of_lammps(path: Path) -> Iterator[Frame]:
    with _lines(path) as lines:
        known: dict[str, Any] = {}
        while item := lines.content():
            item = item.strip()
            if item.startswith("ITEM: NUMBER OF ATOMS"):
                known["count"] = lines.count(lines.take("the number of atoms"))
            elif item.startswith("ITEM: BOX BOUNDS"):
                known["box"] = _bounds(lines, item.split()[3:])
            elif item.startswith("ITEM: TIMESTEP"):
                known["step"] = _whole(lines.take("the number of the step"))
            elif item.startswith("ITEM: UNITS"):
                _refuse_units(lines, lines.take("units").strip())
            elif item.startswith("ITEM: ATOMS"):
                if "box" not in known or "count" not in known:
                    raise lines.error("this frame has no box: is it a dump of LAMMPS in text form?")
                frame = _lammps_frame(lines, item.split()[2:], known.pop("count"), *known["box"])
                yield replace(frame, step=known.pop("step", None))
            elif item.startswith("ITEM:"):
                lines.take("a number")
            else:
                raise lines.error(f"{item[:30]!r} stands where ITEM: is expected: is the file damaged?")


def _whole(text: str) -> int | None:
    return int(text[:30]) if text.strip().isdecimal() else None


def _refuse_units(lines: _Lines, units: str) -> None:
    if units not in _ANGSTROM_UNITS:
        raise lines.error(f"units {units[:20]!r} are not Å: convert the dump to units real or metal")


def _bounds(lines: _Lines, words: list[str]) -> tuple[Array, Array, tuple[bool, bool, bool]]:
    """Return cell (3, 3), origin (3,) and what is periodic."""
    rows = []
    for _ in range(3):
        line = lines.take("the box")
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            rows.append([])
    marks = [word for word in words if re.fullmatch("[psfm]{1,2}", word)] or ["pp"] * 3
    a, b, c = (mark[0] == "p" for mark in marks[:3])
    if "abc" in words and [len(row) for row in rows] == [4] * 3:
        values = np.array(rows)
        return values[:, :3], values[:, 3], (a, b, c)
    if {len(row) for row in rows} not in ({2}, {3}):
        raise lines.error("the bounds of the box are not three rows of two or three numbers")
    tilt = [row[2] if len(row) == 3 else 0.0 for row in rows]
    xy, xz, yz = tilt
    low = np.array([row[0] for row in rows]) - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = np.array([row[1] for row in rows]) - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    return cell, low, (a, b, c)


def _lammps_frame(
    lines: _Lines, columns: list[str], count: int, cell: Array, origin: Array, pbc: tuple[bool, bool, bool]
) -> Frame:
    name = next((columns.index(word) for word in ("element", "type") if word in columns), None)
    kinds = ("x", "xu", "xs", "xsu")
    kind = next((word for word in kinds if word in columns), None)
    if name is None or kind is None or columns[columns.index(kind) :][:3] != [kind.replace("x", k, 1) for k in "xyz"]:
        raise lines.error("ITEM: ATOMS has no type or element, or no x y z beside each other: dump id type x y z")
    place = columns.index(kind)
    names, xyz = _columns(lines, lines.rows(count), name, slice(place, place + 3), len(columns))
    return Frame(names, xyz @ cell + origin if "s" in kind else xyz, cell, pbc)


# --- XDATCAR ---------------------------------------------------------------------------------------------------------


def _of_xdatcar(path: Path) -> Iterator[Frame]:
    with _lines(path) as lines:
        cell, scale, names, head = np.zeros((3, 3)), 1.0, list[str](), ""
        while title := lines.content():
            # The head may come again; its first line says anything, such as "direct band gap".
            if not names or title == head or not title.lower().startswith(("direct", "cart")):
                head = title
                cell, scale, names = _vasp_header(lines)
                title = lines.take("a configuration")
            _, xyz = _columns(lines, lines.rows(len(names)), slice(0), slice(0, 3), 3)
            yield Frame(names, xyz * scale if title.lower().startswith("cart") else xyz @ cell, cell)


def _vasp_header(lines: _Lines) -> tuple[Array, float, list[str]]:
    """Return cell, scale and names of the lines that follow a title."""
    head = [lines.take("the cell").split() for _ in range(5)]
    counts = head[4] if all(word.isdigit() for word in head[4]) else lines.take("the cell").split()
    try:
        cell = np.array([[float(word) for word in row[:3]] for row in head[1:4]])
        scale = float(head[0][0])
        many = [int(word) for word in counts]
    except (ValueError, IndexError):
        raise lines.error("this is not the head of an XDATCAR: scale, three vectors, elements, numbers") from None
    # Without a line of elements, types are 1, 2, …: no elements.
    # Names of pseudopotentials have a tail: Cd_sv, in newer files also a digest behind a slash.
    plain = [re.split("[_/]", name)[0] for name in head[4]]
    names = plain if counts is not head[4] else [str(k + 1) for k in range(len(many))]
    if cell.shape != (3, 3) or len(names) != len(many) or not 0 < sum(many) < MOST_ATOMS:
        raise lines.error("elements and their numbers do not match in the head of this XDATCAR")
    scale = scale if scale > 0 else float(np.cbrt(-scale / abs(np.linalg.det(cell))))
    return cell * scale, scale, [name for name, n in zip(names, many, strict=True) for _ in range(n)]


# --- ase, MDAnalysis, structures -------------------------------------------------------------------------------------


def frame_of(atoms: Any) -> Frame:
    """Return the frame of `ase.Atoms`."""
    from pdfkit.structure.convert import ase_names

    a, b, c = (bool(one) for one in atoms.pbc)
    names, _ = ase_names(atoms)
    return Frame(names, np.array(atoms.get_positions()), np.array(atoms.cell[:]), (a, b, c))


def _of_ase(path: Path) -> Iterator[Frame]:
    from ase.io.trajectory import TrajectoryReader

    try:
        reader = TrajectoryReader(path)
    except Exception as error:  # ase's readers raise whatever comes along
        raise ReadError(path, f"this is not a .traj file that ase reads ({_reason(error)})") from None
    with reader:
        for k in range(len(reader)):
            try:
                atoms = reader[k]
            except Exception as error:
                if k == len(reader) - 1:
                    raise CutOffError(_reason(error)) from None
                raise ReadError(path, f"frame {k + 1} cannot be read ({_reason(error)})") from None
            yield frame_of(atoms)


def _of_structure(path: Path) -> Iterator[Frame]:
    """Yield the box of a structure file, or each of the models of a PDB file."""
    from pdfkit.io.pdb import ENDINGS, has_cell, read_models, read_molecules
    from pdfkit.io.structures import read_structure

    models: Iterator[Any]
    with heard():  # what is assumed is in the remarks
        if path.suffix.lower() not in ENDINGS:
            models = iter([read_structure(path)])
        else:
            models = read_models(path) if has_cell(path) else read_molecules(path)
    while True:
        with heard():
            try:
                found = next(models)
            except StopIteration:
                return
        if found is None:
            raise CutOffError("a model")
        if isinstance(found, tuple):  # of no cell
            names, xyz, said = found
            yield Frame(names, xyz, None, said=tuple(f"{path.name}: {text}" for text in said))
        else:
            yield _box_of(path, found)


def _box_of(path: Path, structure: Structure) -> Frame:
    if any(site.occ != 1.0 for site in structure.sites):
        raise ReadError(path, "some sites are partly occupied: a box has whole atoms only")
    names = [structure.sites[i].element for i in structure.expand().site]
    said = [f"{path.name}: {text}" for text in structure.remarks if not text.startswith("U is missing")]
    if not any("U is missing" in text for text in structure.remarks) and any(any(site.U) for site in structure.sites):
        said.append(f"{path.name}: displacements (U, B) in the file play no part, those that Uiso= gives do")
    return Frame(names, structure.positions() @ structure.basis(), np.array(structure.basis()), said=tuple(said))


def _of_mdanalysis(path: Path, topology: AnyPath) -> Iterator[Frame]:
    try:
        import MDAnalysis
    except ImportError:
        raise PdfkitError('topology= needs MDAnalysis: pip install "pdfkit-scattering[md]"') from None
    for one in (path, Path(topology)):
        if not one.exists():
            raise ReadError(one, missing(one))
    try:
        with unwarned():  # of elements that it lacks, and of its own formats
            # Nothing is guessed: of an atom CA it makes carbon, also where that is calcium.
            universe = MDAnalysis.Universe(str(topology), str(path), to_guess=())
            names, types = _topology_names(Path(topology), universe.atoms)
            steps = iter(universe.trajectory)
        while True:
            with unwarned():
                step = next(steps, None)
                if step is None:
                    return
                cell = step.triclinic_dimensions
            xyz = np.array(universe.atoms.positions, float)
            yield Frame(names, xyz, None if cell is None else np.array(cell, float), types=types)
    except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        raise ReadError(path, f"MDAnalysis cannot read it with {Path(topology).name} ({_reason(error)})") from None


def _topology_names(path: Path, atoms: Any) -> tuple[list[str], bool]:
    """Return the elements of a topology, else its types, or what names and residues tell; whether they are types."""
    elements = [str(one) for one in getattr(atoms, "elements", ())]
    if elements and all(elements):
        return elements, False
    types = [str(one) for one in getattr(atoms, "types", ())]
    if types and all(types):
        return types, True
    names, residues = ([str(one) for one in getattr(atoms, what, ())] for what in ("names", "resnames"))
    if not names:
        raise ReadError(path, "this topology names neither elements nor types of its atoms: give another")
    return [_named(*one) for one in zip(names, residues or [""] * len(names), strict=True)], True


@lru_cache(maxsize=1000)
def _named(name: str, residue: str) -> str:
    """Return the element that a name has in a residue, or both where that may be several."""
    try:
        return of_residue("", residue, name, 0)
    except ReadError:
        return f"{name} of {residue}" if residue else name


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
