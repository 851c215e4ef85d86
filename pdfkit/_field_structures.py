"""What the rows of `pdfkit verify --files` ask about structures and particles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit.data import Instrument
from pdfkit.io._plausible import mass_density
from pdfkit.io.structures import read_structure
from pdfkit.particle import Particle
from pdfkit.phases.files import phase_from_file
from pdfkit.structure import Structure


def composition(path: Path, **options: Any) -> dict[str, float]:
    """Return the atoms of each species in the cell."""
    return read_structure(path, **options).composition()


def cell(path: Path, **options: Any) -> list[float]:
    """Return a, b, c (Å), alpha, beta, gamma (degrees)."""
    return list(read_structure(path, **options).cell)


def spacegroup(path: Path, **options: Any) -> str:
    """Return the Hermann–Mauguin symbol."""
    return read_structure(path, **options).spacegroup


def operations(path: Path, **options: Any) -> int:
    """Return the number of symmetry operations of the cell."""
    return len(read_structure(path, **options).rotations)


def number_density(path: Path, **options: Any) -> float:
    """Return atoms/Å³."""
    return read_structure(path, **options).number_density()


def density(path: Path, **options: Any) -> float:
    """Return g/cm³."""
    return mass_density(read_structure(path, **options))


def labels(path: Path, **options: Any) -> list[str]:
    """Return the labels of the sites."""
    return [site.label for site in read_structure(path, **options).sites]


def elements(path: Path, **options: Any) -> list[str]:
    """Return the species of the sites."""
    return [site.element for site in read_structure(path, **options).sites]


def positions(path: Path, **options: Any) -> list[list[float]]:
    """Return the fractional coordinates of the sites."""
    return [list(site.xyz) for site in read_structure(path, **options).sites]


def occupancies(path: Path, **options: Any) -> list[float]:
    """Return the occupancies of the sites."""
    return [site.occ for site in read_structure(path, **options).sites]


def multiplicities(path: Path, **options: Any) -> list[int]:
    """Return how many atoms of the cell each site stands for."""
    return [int(n) for n in read_structure(path, **options).multiplicities()]


def Uequiv(path: Path, **options: Any) -> list[float]:
    """Return Uiso or the equivalent U of the sites in Å²."""
    structure = read_structure(path, **options)
    return [structure.Uequiv(i) for i in range(len(structure.sites))]


def U(path: Path, **options: Any) -> list[list[float]]:
    """Return U11 U22 U33 U12 U13 U23 of the sites in Å²."""
    structure = read_structure(path, **options)
    return [list(structure.U_tensor(i)) for i in range(len(structure.sites))]


def isotropic(path: Path, **options: Any) -> list[bool]:
    """Return which sites are isotropic."""
    return [site.isotropic for site in read_structure(path, **options).sites]


def shortest(path: Path, **options: Any) -> dict[str, float]:
    """Return the shortest distance of each pair of species in Å."""
    from pdfkit._info import shortest_distances

    return shortest_distances(read_structure(path, **options))


def atoms(path: Path, **options: Any) -> dict[str, float]:
    """Return the atoms of each species in a particle."""
    return Particle.from_file(path, **options).composition()


def value_of_G(path: Path, r: float, instrument: Mapping[str, Any], **options: Any) -> float:
    """Return G at r (Å) in Å⁻²."""
    from pdfkit.model import Model

    model = Model(phase_from_file(path, name="p", **options), Instrument(**{"qmax": np.inf, **instrument}))
    return float(model(np.array([r, r + 0.01])).G[0])


def written_and_read(path: Path, ask: str, to: str, **options: Any) -> Any:
    """Return the answer to another question about the file that pdfkit writes of it (`to`: its name)."""
    from pdfkit.io.cif import write_cif
    from pdfkit.io.stru import write_stru

    target = path.parent / to
    structure: Structure = read_structure(path, **options)
    (write_cif if target.suffix == ".cif" else write_stru)(target, structure)
    return QUESTIONS[ask](target)


MAKERS: Mapping[str, Callable[..., Path]] = {}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "composition": composition,
    "cell": cell,
    "spacegroup": spacegroup,
    "operations": operations,
    "number density": number_density,
    "density": density,
    "labels": labels,
    "elements": elements,
    "positions": positions,
    "occupancies": occupancies,
    "multiplicities": multiplicities,
    "Uequiv": Uequiv,
    "U": U,
    "isotropic": isotropic,
    "shortest": shortest,
    "atoms": atoms,
    "G": value_of_G,
    "written and read": written_and_read,
}
