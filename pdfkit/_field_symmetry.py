"""What the rows of `pdfkit verify --files` need on special positions, displacements and symmetry that is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit.data import Instrument
from pdfkit.fitting import fit
from pdfkit.io.structures import read_structure
from pdfkit.model import Model
from pdfkit.phases.crystal import Crystal

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


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


MAKERS: Mapping[str, Callable[..., Path]] = {"crystal cif": crystal_cif}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "peaks are there": first_peak_is_finite,
    "fitted U": fitted_U,
}
