"""What the rows of `pdfkit verify --files` ask about structures and particles, symmetry and CIF files."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit.data.instrument import Instrument
from pdfkit.fitting.least_squares import fit
from pdfkit.io._plausible import mass_density
from pdfkit.io.cif.files import write_cif
from pdfkit.io.structures import read_structure
from pdfkit.model.model import Model
from pdfkit.particles.particle import Particle
from pdfkit.phases.crystal import Crystal
from pdfkit.phases.files import phase_from_file
from pdfkit.structure.structure import Structure

# --- What the rows of `pdfkit verify --files` ask about structures and particles -------------------------------------


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
    from pdfkit.cli.info import shortest_distances

    return shortest_distances(read_structure(path, **options))


def atoms(path: Path, **options: Any) -> dict[str, float]:
    """Return the atoms of each species in a particle."""
    return Particle.from_file(path, **options).composition()


def value_of_G(path: Path, r: float, instrument: Mapping[str, Any], **options: Any) -> float:
    """Return G at r (Å) in Å⁻²."""
    from pdfkit.model.model import Model

    model = Model(phase_from_file(path, name="p", **options), Instrument(**{"qmax": np.inf, **instrument}))
    return float(model(np.array([r, r + 0.01])).G[0])


def written_and_read(path: Path, ask: str, to: str, **options: Any) -> Any:
    """Return the answer to another question about the file that pdfkit writes of it (`to`: its name)."""
    from pdfkit.io.cif.files import write_cif
    from pdfkit.io.stru_text import write_stru

    target = path.parent / to
    structure: Structure = read_structure(path, **options)
    (write_cif if target.suffix == ".cif" else write_stru)(target, structure)
    return QUESTIONS[ask](target)


MAKERS: dict[str, Callable[..., Path]] = {}

QUESTIONS: dict[str, Callable[..., Any]] = {
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


# --- What the rows of `pdfkit verify --files` need on CIF files ------------------------------------------------------

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")

_COLUMNS = "label type_symbol fract_x fract_y fract_z U_iso_or_equiv"


def cif(
    folder: Path,
    *,
    cell: Sequence[float],
    atoms: Sequence[str],
    items: Sequence[str] = (),
    operations: Sequence[str] = (),
    columns: str = _COLUMNS,
    after: Sequence[str] = (),
    name: str = "made.cif",
) -> Path:
    """Write a CIF: `items` are whole lines, `columns` names after _atom_site_, `after` whole lines behind the atoms.

    cell : six numbers (Å, degrees), or one for a cubic cell.
    """
    whole = [*cell] if len(cell) == 6 else [*cell] * 3 + [90.0] * 3
    lines = ["data_made", *(f"_cell_{item} {value}" for item, value in zip(_CELL, whole, strict=True)), *items]
    if operations:
        lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{operation}'" for operation in operations)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns.split()), *atoms, *after]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_by_others(path: Path, **options: Any) -> dict[str, dict[str, int]]:
    """Return the atoms of the cell that ase, diffpy.structure and gemmi find in the CIF that pdfkit writes."""
    import ase.io
    from diffpy.structure.parsers.p_cif import P_cif

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = path.parent / "written.cif"
        write_cif(target, read_structure(path, **options))
        found = {
            "ase": ase.io.read(target).get_chemical_symbols(),
            "diffpy": [re.sub(r"[^A-Za-z]", "", atom.element) for atom in P_cif().parse(target.read_text())],
            "gemmi": _by_gemmi(target),
        }
    return {reader: dict(Counter(elements)) for reader, elements in found.items()}


def _by_gemmi(path: Path) -> list[str]:
    """Return the elements of the cell by the group that gemmi finds from the Hermann–Mauguin symbol alone."""
    import gemmi

    loops = path.read_text(encoding="utf-8").split("\nloop_\n")
    head = re.sub(r"_space_group_(name_Hall|IT_number).*\n", "", loops[0])
    kept = [loop for loop in loops[1:] if not loop.startswith("_space_group_symop")]
    document = gemmi.cif.read_string("\nloop_\n".join([head, *kept]))
    small = gemmi.make_small_structure_from_block(document.sole_block())
    return [site.element.name for site in small.get_all_unit_cell_sites()]


MAKERS |= {"cif": cif}

QUESTIONS |= {"read by others": read_by_others}


# --- What the rows of `pdfkit verify --files` need on special positions ----------------------------------------------


def crystal_cif(
    folder: Path, *, cell: Sequence[float], sites: Sequence[str], group: str | Sequence[str], aniso: Sequence[str] = ()
) -> Path:
    """Write a CIF. group: symbol or operations; sites: "label type x y z occ Uiso"; aniso: "label U11 … U23"."""
    lines = ["data_made", *(f"_cell_{name} {value}" for name, value in zip(_CELL, cell, strict=True))]
    if isinstance(group, str):
        lines.append(f"_space_group_name_H-M_alt '{group}'")
    else:
        lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{operation}'" for operation in group)]
    lines += ["loop_", *(f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))]
    lines += ["_atom_site_occupancy", "_atom_site_U_iso_or_equiv", *sites]
    if aniso:
        indices = ("11", "22", "33", "12", "13", "23")
        lines += ["loop_", "_atom_site_aniso_label", *(f"_atom_site_aniso_U_{index}" for index in indices), *aniso]
    path = folder / "made.cif"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def first_peak_is_finite(path: Path, **options: Any) -> bool:
    """Return whether G has peaks at all: its largest value lies above 1 Å⁻²."""
    model = Model(Crystal.from_structure(read_structure(path, **options), name="p"), Instrument(probe="N", qmax=25))
    G = model(np.arange(1.5, 8, 0.01)).G
    return bool(np.isfinite(G).all() and G.max() > 1)


def fitted_U(path: Path, *, true: float, label: str, **options: Any) -> float:
    """Return Uiso of a fit from the file's own value to a curve calculated with another."""
    start = Model(Crystal.from_structure(read_structure(path, **options), name="p"), Instrument(probe="N", qmax=25))
    name = f"p.{label}.Uiso"
    measured = start.with_values({name: true})(np.arange(1.5, 8, 0.01))
    return float(fit(start, measured, free=["p.scale", name]).params[name].value)


MAKERS |= {"crystal cif": crystal_cif}

QUESTIONS |= {
    "peaks are there": first_peak_is_finite,
    "fitted U": fitted_U,
}
