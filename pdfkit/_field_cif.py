"""What the rows of `pdfkit verify --files` need on CIF files: a maker, and what other programs read of ours."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdfkit.io.structures import read_structure, write_cif

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


MAKERS: Mapping[str, Callable[..., Path]] = {"cif": cif}
QUESTIONS: Mapping[str, Callable[..., Any]] = {"read by others": read_by_others}
