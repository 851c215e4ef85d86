"""CIF files: the asymmetric unit with its space group, read and written.

The grammar is PyCifRW's. Symmetry operations are parsed here and never evaluated as code.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from pdfkit._sites import Site, element_symbol, unique_labels
from pdfkit.errors import ReadError, StructureError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._operations import (
    Operations,
    format_operation,
    identify,
    parse_operations,
    tabulated_operations,
)
from pdfkit.io._text import read_text
from pdfkit.structure import Structure

B_TO_U = 1 / (8 * math.pi**2)
DEFAULT_UISO = 0.005

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\))?")
_CELL = tuple(f"_cell_length_{x}" for x in "abc") + tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))
_OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_SYMBOLS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m_full",
)
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number")
_TITLES = (
    "_chemical_name_mineral",
    "_chemical_name_common",
    "_chemical_name_systematic",
    "_chemical_formula_sum",
)
_INDICES = ("11", "22", "33", "12", "13", "23")

Columns = dict[str, list[str]]


def read_cif(path: AnyPath) -> Structure:
    """Return the structure of the first data block of a CIF that has atoms.

    Raises ReadError when the file is no CIF, has no atoms or cell, or makes no structure.
    """
    blocks = _blocks(path, read_text(path))
    name, block = next(((name, b) for name, b in blocks.items() if _column(b, "_atom_site_fract_x")), (None, None))
    if name is None or block is None:
        raise ReadError(path, "no data block with atoms (_atom_site_fract_x): give the CIF of a structure")
    try:
        cell = tuple(_required(block, item) for item in _CELL)
        R, t = _operations(block, cell)
        title = next((text for item in _TITLES if (text := _text(block, item))), name)
        symbol = next((text for item in _SYMBOLS if (text := _text(block, item))), "") or identify(R, t)[0]
        return Structure(cell, _sites(block), symbol or "unknown", R, t, title)
    except StructureError as error:
        raise ReadError(path, str(error)) from error


def _blocks(path: AnyPath, text: str) -> Mapping[str, Any]:
    from CifFile import ReadCif

    # Only the names of authors are ever outside ASCII, and the grammar of CIF 1.1 knows nothing else.
    plain = text if text.startswith(r"#\#CIF_2.0") else text.encode("ascii", "replace").decode()
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            parsed = ReadCif(io.StringIO(plain), grammar="auto")
            return {str(name): parsed[name] for name in parsed.keys()}  # noqa: SIM118 - not a dict
    except Exception as error:  # the parser raises whatever comes along
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReadError(path, f"not a CIF that can be parsed ({reason}): check quotes, loops and data_") from None


def _column(block: Any, item: str) -> list[str]:
    """Return the values of an item, looped or not; empty when it is absent."""
    try:
        value = block[item]
    except KeyError:
        return []
    values = value if isinstance(value, list) else [value]
    return [str(v) for v in values]


def _text(block: Any, item: str) -> str:
    values = _column(block, item)
    text = " ".join(values[0].split()) if values else ""
    return "" if text in ("?", ".") else text


def _float(text: str, what: str) -> float | None:
    """Return "5.832(3)" as 5.832 and "?" or "." as None."""
    if text.strip() in ("?", ".", ""):
        return None
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise StructureError(f"{what} is {text[:40]!r}: give a number")
    return float(found[1])


def _required(block: Any, item: str) -> float:
    values = _column(block, item)
    value = _float(values[0], item) if values else None
    if value is None:
        raise StructureError(f"{item} is missing: give the cell")
    return value


def _operations(block: Any, cell: tuple[float, ...]) -> Operations:
    for item in _OPERATIONS:
        listed = [text for text in _column(block, item) if text.strip() not in ("?", ".")]
        if listed:
            return parse_operations(listed)
    names = [text for item in (*_SYMBOLS, *_NUMBERS) if (text := _text(block, item))]
    if not names:
        raise StructureError("no symmetry operations and no space group: add one of them ('P 1' if there is none)")
    for name in names[:-1]:
        with contextlib.suppress(StructureError):
            return tabulated_operations(name, cell)
    return tabulated_operations(names[-1], cell)


def _sites(block: Any) -> tuple[Site, ...]:
    items = ("fract_x", "fract_y", "fract_z", "label", "type_symbol", "occupancy", "calc_flag")
    displacements = ("u_iso_or_equiv", "b_iso_or_equiv", "adp_type", "thermal_displace_type")
    columns: Columns = {item: _column(block, f"_atom_site_{item}") for item in (*items, *displacements)}
    count = len(columns["fract_x"])
    tensors = _tensors(block)

    def value(item: str, i: int) -> str:
        values = columns[item]
        return values[i].strip() if i < len(values) else "?"

    kept = [i for i in range(count) if value("calc_flag", i) != "dum" and value("fract_x", i) not in ("?", ".")]
    raw = [value("label", i) if value("label", i) != "?" else value("type_symbol", i) for i in kept]
    sites = []
    for i, name, label in zip(kept, raw, unique_labels(raw), strict=True):
        symbol = value("type_symbol", i)
        xyz = [_float(value(f"fract_{x}", i), f"fract_{x} of {name}") for x in "xyz"]
        occ = _float(value("occupancy", i), f"occupancy of {name}")
        Uiso = _isotropic(value, i, name)
        kind = value("adp_type", i) if columns["adp_type"] else value("thermal_displace_type", i)
        tensor = None if kind in ("Uiso", "Biso") else tensors.get(name)
        sites.append(
            Site(
                label,
                element_symbol(name if symbol in ("?", ".") else symbol),
                tuple(math.nan if x is None else x for x in xyz),  # type: ignore[arg-type]  # Site checks it
                1.0 if occ is None else occ,
                (Uiso,) if tensor is None else tensor,
                tensor is None,
            )
        )
    return tuple(sites)


def _isotropic(value: Callable[[str, int], str], i: int, name: str) -> float:
    U = _float(value("u_iso_or_equiv", i), f"U_iso_or_equiv of {name}")
    if U is not None:
        return U
    B = _float(value("b_iso_or_equiv", i), f"B_iso_or_equiv of {name}")
    return DEFAULT_UISO if B is None else B * B_TO_U


def _tensors(block: Any) -> dict[str, tuple[float, ...]]:
    """Return U11 … U23 by label, of the sites for which all six are given."""
    out: dict[str, tuple[float, ...]] = {}
    labels = [label.strip() for label in _column(block, "_atom_site_aniso_label")]
    for letter, factor in (("b", B_TO_U), ("u", 1.0)):
        columns = [_column(block, f"_atom_site_aniso_{letter}_{index}") for index in _INDICES]
        if any(len(column) != len(labels) for column in columns):
            continue
        for label, *texts in zip(labels, *columns, strict=True):
            numbers = [_float(text, f"aniso_{letter.upper()} of {label}") for text in texts]
            if None not in numbers:
                out[label] = tuple(factor * n for n in numbers if n is not None)
    return out


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
    write_text(path, format_cif(structure))


def format_cif(structure: Structure) -> str:
    """Return the text that `write_cif` writes."""
    title = _quoted(structure.title)
    lines = [
        "data_" + (re.sub(r"[^A-Za-z0-9_.+-]+", "_", structure.title).strip("_")[:60] or "structure"),
        "",
    ]
    if title:
        lines += [f"_chemical_name_common            {title}"]
    lines += [f"{item:<32} {value!r}" for item, value in zip(_CELL, structure.cell, strict=True)]
    lines += [f"_space_group_name_H-M_alt        {_quoted(structure.spacegroup) or '?'}"]
    # Some readers look the group up before they apply the operations, and know numbers better than symbols.
    number = identify(structure.rotations, structure.translations)[1]
    lines += [f"_space_group_IT_number           {number}", ""] if number else [""]
    lines += ["loop_", "_space_group_symop_operation_xyz"]
    operations = zip(structure.rotations, structure.translations, strict=True)
    lines += [f"'{format_operation(R, t)}'" for R, t in operations]
    lines += ["", "loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{x}" for x in "xyz"]
    lines += ["_atom_site_occupancy", "_atom_site_U_iso_or_equiv", "_atom_site_adp_type"]
    for i, site in enumerate(structure.sites):
        numbers = " ".join(repr(float(x)) for x in (*site.xyz, site.occ, structure.Uequiv(i)))
        lines.append(f"{site.label} {site.element} {numbers} {'Uiso' if site.isotropic else 'Uani'}")
    anisotropic = [site for site in structure.sites if not site.isotropic]
    if anisotropic:
        lines += [
            "",
            "loop_",
            "_atom_site_aniso_label",
            *(f"_atom_site_aniso_U_{index}" for index in _INDICES),
        ]
        lines += [f"{site.label} {' '.join(repr(u) for u in site.U)}" for site in anisotropic]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return text as a CIF value in quotes ("" when there is none left)."""
    plain = " ".join(re.sub(r"[^ -~]|['\"]", " ", text).split())
    return f"'{plain[:200]}'" if plain else ""
