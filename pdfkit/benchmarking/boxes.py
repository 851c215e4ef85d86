"""Cases of simulated boxes and trajectories: neighbours, g(r) averaged over frames, and G(r) of a large cell in P1.

Other programs count one pair of species, pdfkit all of them in the same run: its time for each pair of atoms is in the
note. Answers are running numbers of neighbours, which single precision of positions leaves right to a few pairs.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.benchmarking import counters, rivals
from pdfkit.benchmarking.cases import INSTRUMENT, Case, Prepared, Rival, disordered_cell, relative
from pdfkit.model.model import Model
from pdfkit.phases.crystal import Crystal
from pdfkit.trajectories.rdf import RDF
from pdfkit.trajectories.reading import read_trajectory

# Atoms/Å³ (CdS); Å, of a shell.
DENSITY, SHELL = 0.0405, 0.05
WHY = "its positions are in single precision"


def box(count: int, frame: int = 0) -> tuple[Array, float]:
    """Return atoms (count, 3) in a cube of this length, in Å, none on top of another: each off its point of a grid."""
    rng, length = np.random.default_rng((7, frame)), (count / DENSITY) ** (1 / 3)
    side = math.ceil(count ** (1 / 3))
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:count]
    return (places + rng.uniform(-0.33, 0.33, (count, 3))) * length / side, length


def _atoms(count: int, frame: int = 0) -> Any:
    from ase import Atoms

    xyz, length = box(count, frame)
    return Atoms(["Cd", "S"] * (count // 2), positions=xyz, cell=[length] * 3, pbc=True)


def _neighbours(rdf: RDF) -> Array:
    """Return the running number of S around one Cd (nshells,)."""
    volumes = 4.0 * math.pi / 3.0 * np.diff(rdf.edges**3)
    return np.asarray(np.cumsum(rdf.g["Cd", "S"] * volumes) * rdf.density["S"])


def _pairs(count: int, rmax: float) -> int:
    return round(2.09 * count * DENSITY * rmax**3)


def neighbours(count: int, rmax: float) -> Prepared:
    """g(r) of one box."""
    (xyz, length), atoms = box(count), _atoms(count)

    def mine() -> Array:
        return _neighbours(read_trajectory([atoms]).rdf(rmax, SHELL))

    def rival(make: Callable[..., Callable[[], Array]]) -> Callable[[], Rival]:
        return lambda: Rival(make(xyz, length, rmax, round(rmax / SHELL)), mine, 1e-4, WHY)

    programs = {
        rivals.FREUD: counters.freud_rdf,
        rivals.MDANALYSIS: counters.mdanalysis_rdf,
        rivals.ASE: counters.ase_rdf,
    }
    return Prepared(mine, {name: rival(make) for name, make in programs.items()}, per=_pairs(count, rmax), unit="pairs")


def run_of_frames(count: int, frames: int, rmax: float) -> Prepared:
    """g(r) averaged over the frames of an extended xyz file, read anew each time."""
    from ase.io import write

    folder = tempfile.TemporaryDirectory(prefix="pdfkit-bench-")
    path = Path(folder.name) / "run.xyz"
    write(path, [_atoms(count, frame) for frame in range(frames)], format="extxyz")
    length = box(count)[1]

    def mine(_: object = folder) -> Array:  # the folder lives as long as what reads in it
        return _neighbours(read_trajectory(path).rdf(rmax, SHELL))

    def rival(make: Callable[..., Callable[[], Array]]) -> Callable[[], Rival]:
        return lambda: Rival(make(path, length, rmax, round(rmax / SHELL)), mine, 1e-4, WHY)

    programs = {rivals.FREUD: counters.freud_frames, rivals.MDANALYSIS: counters.mdanalysis_frames}
    made = {name: rival(make) for name, make in programs.items()}
    return Prepared(mine, made, per=frames * _pairs(count, rmax), unit="pairs")


def large_cell(count: int, rmax: float) -> Prepared:
    """G(r) of a cell in P1 that was never seen before, which is also that of the box with these displacements."""
    structure, r = disordered_cell(count), 0.01 * np.arange(1, round(rmax * 100) + 1, dtype=np.float64)
    motion = {site.element: site.U[0] for site in structure.sites}

    def run() -> Array:
        return Model(Crystal(structure, name="p"), INSTRUMENT)(r).G

    def check() -> tuple[str, float, float, str]:
        about = {name: getattr(INSTRUMENT, name) for name in ("probe", "qmax", "qdamp", "qbroad")}
        whole = read_trajectory([structure.to_ase()]).pdf(0.01, rmax, 0.01, Uiso=motion, **about).G
        return "the box of a trajectory", relative(run(), whole), 1e-5, "how far beyond r ripples are followed"

    return Prepared(run, check=check, per=_pairs(count, rmax), unit="pairs")


def cases() -> Iterator[Case]:
    """Give the cases."""
    for count, rmax in ((1000, 10.0), (20_000, 12.0)):
        title, when = f"g(r) of a box of {count:,} atoms, to {rmax:.0f} Å", "quick" if count < 5000 else "full"
        yield Case(f"box-{count}", title, partial(neighbours, count, rmax), when=when)
    title = "g(r) of 20 frames of 1,000 atoms, read from xyz, to 10 Å"
    yield Case("trajectory", title, partial(run_of_frames, 1000, 20, 10.0))
    title = "G(r) of 20,000 atoms in P1, to 30 Å, model and all"
    yield Case("box-20000-G", title, partial(large_cell, 20_000, 30.0), when="full")
