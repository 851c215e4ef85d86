"""The programs that count neighbours in boxes, beside which the bench runs pdfkit: freud, MDAnalysis, ase.

Each returns what counts the running numbers (nshells,) of S around one Cd; every second atom is Cd, beginning with the
first. freud: Ramasubramani et al., Comput. Phys. Commun. 254, 107275 (2020). MDAnalysis: Gowers et al., Proc. 15th
Python in Science Conf. (2016).
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array


def _running(g: Any, count: int, length: float, rmax: float) -> Array:
    volumes = 4.0 * math.pi / 3.0 * np.diff(np.linspace(0.0, rmax, len(g) + 1) ** 3)
    return np.asarray(np.cumsum(np.asarray(g, dtype=np.float64) * volumes) * (0.5 * count / length**3))


def freud_rdf(xyz: Array, length: float, rmax: float, shells: int) -> Callable[[], Array]:
    """Return what counts in one box with freud, on all cores."""
    freud = importlib.import_module("freud")
    points = (xyz - 0.5 * length).astype(np.float32)

    def run() -> Array:
        one = freud.density.RDF(bins=shells, r_max=rmax)
        one.compute((freud.box.Box.cube(length), points[1::2]), query_points=points[::2])
        return _running(one.rdf, len(xyz), length, rmax)

    return run


def freud_frames(path: Path, length: float, rmax: float, shells: int) -> Callable[[], Array]:
    """Return what averages over frames with freud, which ase reads."""
    freud, io = importlib.import_module("freud"), importlib.import_module("ase.io")

    def run() -> Array:
        one, count = freud.density.RDF(bins=shells, r_max=rmax), 0
        for atoms in io.iread(path):
            points, count = (atoms.positions - 0.5 * length).astype(np.float32), len(atoms)
            one.compute((freud.box.Box.cube(length), points[1::2]), query_points=points[::2], reset=False)
        return _running(one.rdf, count, length, rmax)

    return run


def _inter(universe: Any, length: float, rmax: float, shells: int) -> Array:
    rdf = importlib.import_module("MDAnalysis.analysis.rdf")
    atoms = universe.atoms
    one = rdf.InterRDF(atoms[::2], atoms[1::2], nbins=shells, range=(0.0, rmax)).run()
    return _running(one.results.rdf, len(atoms), length, rmax)


def mdanalysis_rdf(xyz: Array, length: float, rmax: float, shells: int) -> Callable[[], Array]:
    """Return what counts in one box with MDAnalysis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = importlib.import_module("MDAnalysis").Universe.empty(len(xyz), trajectory=True)
    universe.atoms.positions, universe.dimensions = xyz, [length] * 3 + [90.0] * 3
    return lambda: _inter(universe, length, rmax, shells)


def mdanalysis_frames(path: Path, length: float, rmax: float, shells: int) -> Callable[[], Array]:
    """Return what averages over frames with MDAnalysis, which is told the cell that it does not read."""
    package, boxes = importlib.import_module("MDAnalysis"), importlib.import_module("MDAnalysis.transformations")

    def run() -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe = package.Universe(str(path))
            universe.trajectory.add_transformations(boxes.boxdimensions.set_dimensions([length] * 3 + [90.0] * 3))
            return _inter(universe, length, rmax, shells)

    return run


def ase_rdf(xyz: Array, length: float, rmax: float, shells: int) -> Callable[[], Array]:
    """Return what counts in one box with ase's neighbour list."""
    neighbours = importlib.import_module("ase.neighborlist").primitive_neighbor_list
    cell = np.eye(3) * length

    def run() -> Array:
        i, j, d = neighbours("ijd", (True, True, True), cell, xyz, rmax)
        found = d[(i % 2 == 0) & (j % 2 == 1)]
        counts = np.bincount((found / (rmax / shells)).astype(np.int64), minlength=shells)[:shells]
        return np.asarray(np.cumsum(counts) / (0.5 * len(xyz)))

    return run
