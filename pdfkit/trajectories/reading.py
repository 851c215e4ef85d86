"""`read_trajectory`: which frames of which files, and what is told about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.io.frames import frames_of
from pdfkit.trajectories.sources import Sources, is_path
from pdfkit.trajectories.trajectory import Trajectory


def read_trajectory(
    path: Any,
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    species: Mapping[str, str] | None = None,
    cell: Any = None,
    pbc: bool | None = None,
    topology: AnyPath | None = None,
) -> Trajectory:
    """Return the frames of a trajectory, which are read one at a time when `pdf`, `partials` or `rdf` average them.

    Parameters
    ----------
    path : xyz or extended xyz, a text dump of LAMMPS, XDATCAR (these also as .gz, .bz2, .xz); .traj of ase; a
        structure file of one box (.rmc6f, CIF, POSCAR, data of LAMMPS, …), or the models of a PDB file; or several of
        them in a list, one after the other; or `ase.Atoms` in a list.
    start, stop, step : which frames, counted from 0, as in a slice.
    species : what names in the file stand for, {"1": "Cd", "CA": "C", "Na": "Na1+"}; "" leaves atoms out (sites without
        mass). Needed where a file has numbers of types only. Isotopes and ions are species of their own.
    cell : Å, of files that have none: one length, three, (a, b, c, α, β, γ) or three vectors; it counts before theirs.
    pbc : True takes boxes that say they are not periodic as periodic.
    topology : the file of the atoms for .dcd, .xtc, .trr …, which MDAnalysis (extra `md`) reads.

    Raises
    ------
    ReadError : no such file. PdfkitError : a value out of range. What is wrong in frames is said when they are read.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.load_structure("NaCl").to_ase().repeat(4).write(f"{folder}/run.xyz")
    ...     pdf = pk.read_trajectory(f"{folder}/run.xyz").pdf(rmax=8, qmax=20, Uiso=0.015)
    >>> pdf.header["frames"], pdf.header["rho0"], len(pdf)
    ('1', '0.04456785', 800)
    """
    sources = tuple(path) if isinstance(path, list | tuple) else (path,)
    if not sources:
        raise PdfkitError("there are no frames: give a file, or a list of files or ase.Atoms")
    for one in sources:
        if is_path(one):
            frames_of(one, topology)  # refuses what is no file at all
        elif not hasattr(one, "get_positions"):
            raise PdfkitError(f"{_checks.short(one)} is neither a file nor ase.Atoms: give either")
    first, last = _index("start", start), None if stop is None else _index("stop", stop)
    mapping = {str(name): str(one or "") for name, one in (species or {}).items()}
    rest = (first, last, _index("step", step, 1), mapping, _given_cell(cell), pbc, topology)
    return Trajectory(Sources(sources, *rest))


def _index(name: str, value: Any, least: int = 0) -> int:
    number = _checks.number(name, value, low=least)
    if number != int(number):
        raise PdfkitError(f"{name} = {value} is not a whole number", key=name)
    return int(number)


def _given_cell(cell: Any) -> Array | None:
    if cell is None:
        return None
    from pdfkit.structure.symmetry import basis

    rows = np.atleast_1d(np.asarray(cell, dtype=np.float64))
    if rows.shape == (3, 3):
        return rows
    if rows.shape == (6,):
        return basis(rows.tolist())
    if rows.shape in ((1,), (3,)):
        return np.diag(np.broadcast_to(rows, 3))
    raise PdfkitError("cell has neither 1, 3 or 6 numbers nor three vectors: give a length, or a, b, c (α, β, γ)")
