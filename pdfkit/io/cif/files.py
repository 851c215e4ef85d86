"""CIF files: the asymmetric unit with its space group, read and written.

The grammar is gemmi's. Symmetry operations are parsed here and never evaluated as code.
"""

from __future__ import annotations

import math
import re
from itertools import chain, islice

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import ReadError, StructureError, remark
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._text import read_text
from pdfkit.io.cif import checks
from pdfkit.io.cif import sites as cif_sites
from pdfkit.io.cif.blocks import Block, choose, read_blocks
from pdfkit.io.cif.symmetry import symmetry
from pdfkit.structure import symmetry as structure_symmetry
from pdfkit.structure import tidy
from pdfkit.structure.operations import Operations, find_setting, format_operation
from pdfkit.structure.structure import Structure

_CELL = tuple(f"_cell_length_{x}" for x in "abc") + tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))
_TITLES = (
    "_chemical_name_mineral",
    "_chemical_name_common",
    "_chemical_name_systematic",
    "_chemical_formula_sum",
)


def read_cif(path: AnyPath, block: str | None = None) -> Structure:
    """Return the structure of the first data block of a CIF that has atoms, or of the block of a name.

    Listed symmetry operations are believed first, then the Hall symbol, the Hermann–Mauguin symbol with its setting,
    the number. What was assumed, and where the atoms differ from the file's own formula, is said in
    `Structure.remarks`, once a file.

    Raises ReadError when the file is no CIF, has no atoms or cell, or makes no structure.
    """
    blocks = read_blocks(path, read_text(path))
    chosen, other = choose(path, blocks, block)
    said = [other] if other else []
    try:
        structure = _structure(chosen, chosen is not blocks[-1], said)
    except StructureError as error:
        raise ReadError(path, str(error)) from error
    for text in said:
        remark(text)
    return structure


def _structure(block: Block, whole: bool, said: list[str]) -> Structure:
    """Return the structure of a block; `whole` if the file goes on after it. Remarks are added to `said`."""
    cell = _cell(block, said)
    rows = structure_symmetry.basis(tidy.cell(cell, np.eye(3, dtype=np.int64)[None]))
    atoms = cif_sites.read_atoms(block, rows, said)
    checks.refuse_cut_short(block, {atom.element for atom in atoms}, whole)
    title = next((text for item in _TITLES if (text := block.text(item))), block.name)

    def bare(operations: Operations) -> Structure:
        return Structure(cell, tuple(atom.site() for atom in atoms), "", *operations)

    group = symmetry(block, cell, bare, said)
    if block.has("_space_group_ssg") or block.has("_space_group_symop_ssg") or block.text("_cell_modulation_dimension"):
        said.append("the structure is modulated: its modulation is not read, the average structure is taken")
    sites = cif_sites.sites(atoms, rows, group.operations, said)
    sites = checks.on_given_positions(block, sites, rows, group.operations, said)
    made = Structure(cell, sites, group.symbol, *group.operations, title, remarks=tuple(said))
    named = {atom.name: atom.element for atom in atoms if atom.by_formula}
    found = checks.confirmed_elements(block, made, named) + checks.remarks(block, made)
    if found:
        said += found
        object.__setattr__(made, "remarks", (*made.remarks, *found))  # nobody has seen it yet
    return made


def _cell(block: Block, said: list[str]) -> tuple[float, ...]:
    """Return the six cell parameters; an angle that is not there is 90°, the default of the CIF dictionary."""
    values = [block.number(item) for item in _CELL]
    lost = [item for item, value in zip(_CELL, values, strict=True) if value is None]
    if any("length" in item for item in lost):
        raise StructureError(f"{lost[0]} is missing: give the cell")
    if lost:
        names = ", ".join(item.removeprefix("_cell_angle_") for item in lost)
        said.append(f"the cell has no angle {names}: 90° is taken, the default of the CIF dictionary")
    return tuple(90.0 if value is None else value for value in values)


def write_cif(path: AnyPath, structure: Structure) -> None:
    """Write a structure with its space group: the asymmetric unit, all operations, U and occupancies.

    Numbers are written so that they read back the same. Raises WriteError when the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_cif(f"{folder}/dot.cif", pk.load_structure("CdSe_wurtzite"))
    ...     print(pk.read_structure(f"{folder}/dot.cif").spacegroup)
    P 63 m c
    """
    write_text(path, format_cif(_checks.instance("structure", structure, Structure, "a Structure (phase.structure)")))


def format_cif(structure: Structure, errors: Array | None = None) -> str:
    """Return the text that `write_cif` writes.

    errors : of `refined_numbers`; numbers that have one are rounded to two digits of it, which follow in brackets.
    """
    values = refined_numbers(structure)
    shown = map(_number, values.tolist(), (np.zeros(values.size) if errors is None else errors).tolist())
    title = _quoted(structure.title)
    lines = [
        "data_" + (re.sub(r"[^A-Za-z0-9_.+-]+", "_", structure.title).strip("_")[:60] or "structure"),
        "",
    ]
    if title:
        lines += [f"_chemical_name_common            {title}"]
    lines += [f"{item:<32} {next(shown)}" for item in _CELL]
    lines += [*_group(structure), *_contents(structure), ""]
    lines += ["loop_", "_space_group_symop_operation_xyz"]
    operations = zip(structure.rotations, structure.translations, strict=True)
    lines += [f"'{format_operation(R, t)}'" for R, t in operations]
    lines += ["", "loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{x}" for x in "xyz"]
    lines += ["_atom_site_occupancy", "_atom_site_U_iso_or_equiv", "_atom_site_adp_type"]
    for site in structure.sites:
        numbers = " ".join(islice(shown, 5))
        lines.append(f"{_word(site.label)} {site.symbol} {numbers} {'Uiso' if site.isotropic else 'Uani'}")
    anisotropic = [site for site in structure.sites if not site.isotropic]
    if anisotropic:
        lines += [
            "",
            "loop_",
            "_atom_site_aniso_label",
            *(f"_atom_site_aniso_U_{index}" for index in cif_sites.INDICES),
        ]
        lines += [f"{_word(site.label)} {' '.join(islice(shown, 6))}" for site in anisotropic]
    return "\n".join(lines) + "\n"


def refined_numbers(structure: Structure) -> Array:
    """Return the numbers of a CIF that can be refined: cell; x, y, z, occupancy, Uequiv of each site; tensors."""
    sites = [(*site.xyz, site.occ, structure.Uequiv(i)) for i, site in enumerate(structure.sites)]
    tensors = [site.U for site in structure.sites if not site.isotropic]
    return np.array([*structure.cell, *chain.from_iterable(sites), *chain.from_iterable(tensors)], dtype=float)


def _number(value: float, error: float) -> str:
    """Return "4.2832(52)", or all digits of the value where the error is 0 or not known."""
    if not (math.isfinite(error) and error > 0):
        return repr(value)
    digits = 1 - int(f"{error:.1e}".split("e")[1])
    if digits > 12:
        return repr(value)
    units = round(error * 10.0**digits) if digits > 0 else round(error, digits)
    return f"{round(value, digits) + 0.0:.{max(digits, 0)}f}({units:.0f})"


def _group(structure: Structure) -> list[str]:
    """Return the names of the space group: those of its table, which every reader knows, or the structure's own."""
    setting = find_setting(structure.rotations, structure.translations)
    if setting is None:
        return [f"_space_group_name_H-M_alt        {_quoted(structure.spacegroup) or '?'}"]
    # diffpy.structure takes the first setting of a number where its table lacks the operations; ase wants a number
    # beside a symbol that its table lacks. Only ase knows the name with a point.
    usual = setting.reference and setting.origin != "2"
    return [
        f"_space_group_name_H-M_alt        '{setting.name}'",
        f"_space_group_name_Hall           '{setting.hall}'",
        f"_space_group{'_' if usual else '.'}IT_number           {setting.number}",
    ]


def _contents(structure: Structure) -> list[str]:
    """Return the sum formula and Z, which show a file that was cut short; none for a cell that holds nothing."""
    counts = {element: round(n, 4) for element, n in checks.elements_of(structure).items() if round(n, 4) > 0}
    whole = all(n == int(n) for n in counts.values())
    Z = math.gcd(*(int(n) for n in counts.values())) if whole else 1
    formula = " ".join(f"{element}{counts[element] / Z:.10g}" for element in sorted(counts))
    return [f"_chemical_formula_sum            '{formula}'", f"_cell_formula_units_Z            {Z}"] if counts else []


def _word(label: str) -> str:
    """Return a label in quotes where a CIF would take it for the name of an item or for a keyword."""
    return f"'{label}'" if re.match(r"_|(data|loop|save|stop|global)_", label, re.IGNORECASE) else label


def _quoted(text: str) -> str:
    """Return text as a CIF value in quotes ("" when there is none left)."""
    plain = " ".join(re.sub(r"[^ -~]|['\"]", " ", text).split())
    return f"'{plain[:200]}'" if plain else ""
