"""Structures as PDFfit files: every atom of the cell, with standard uncertainties where a fit has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pdfkit._checks import Array
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.structure.structure import Structure


def write_stru(path: AnyPath, structure: Structure) -> None:
    """Write a structure as a PDFfit file: P 1, every atom of the cell, values of `meta` in the header.

    The format holds eight digits of positions and U. Raises WriteError when the file cannot be written.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     pk.io.write_stru(Path(folder, "ni.stru"), pk.load_structure("Ni"))
    ...     len(pk.read_structure(Path(folder, "ni.stru")).sites)  # every atom of the cell
    4
    """
    write_text(path, format_stru(structure))


def listed_numbers(structure: Structure) -> Array:
    """Return the numbers of a PDFfit file: cell, then x, y, z, U11 U22 U33 U12 U13 U23, occupancy of every atom."""
    p1 = structure.to_p1()
    atoms = [(*site.xyz, *p1.U_tensor(i), site.occ) for i, site in enumerate(p1.sites)]
    return np.array([*p1.cell, *(value for atom in atoms for value in atom)])


def format_stru(structure: Structure, errors: Array | None = None) -> str:
    """Return the text that `write_stru` writes.

    errors : standard uncertainties of `listed_numbers`; they stand in the lines of the format that are made for them.
    """
    p1 = structure.to_p1()

    def value(name: str, default: float = 0.0) -> float:
        found = structure.meta.get(name, default)
        return float(found) if isinstance(found, (int, float)) else default

    sharp = (value("delta2"), value("delta1"), value("sratio", 1.0), value("rcut"))
    title = "".join(c if c.isprintable() else " " for c in structure.title)
    lines = [f"title  {title}".strip(), "format pdffit"]
    lines += [
        f"scale  {_plain(value('scale', 1.0), 9, 6)}",
        "sharp  " + ", ".join(_plain(v, 9, 6) for v in sharp),
        "spcgr   P1",
    ]
    for kind, name in (("sphere", "spdiameter"), ("stepcut", "stepcut")):
        if value(name) > 0:
            lines.append(f"shape   {kind}, {value(name)!r}")
    known = np.zeros(6 + 10 * len(p1.sites)) if errors is None else np.nan_to_num(errors)
    of_cell, of_atoms = known[:6].tolist(), known[6:].reshape(-1, 10).tolist()
    lines += ["cell   " + ", ".join(_plain(v, 0, 8) for v in p1.cell)]
    lines += ["dcell  " + ", ".join(f"{v:.6f}" for v in of_cell)]
    lines += [f"ncell  1, 1, 1, {len(p1.sites)}", "atoms"]
    for i, (site, error) in enumerate(zip(p1.sites, of_atoms, strict=True)):
        U = p1.U_tensor(i)
        lines.append(f"{site.element.upper():<4} {_row(site.xyz)} {_plain(site.occ, 12, 6)}")
        lines.append(f"     {_row(error[:3])} {error[9]:12.6f}")
        lines += [f"     {_row(part)}" for part in (U[:3], error[3:6], U[3:], error[6:9])]
    return "\n".join(lines) + "\n"


def _row(values: Sequence[float]) -> str:
    return " ".join(_plain(v, 17, 8) for v in values)


def _plain(value: float, width: int, digits: int) -> str:
    """Return a number with so many digits, or where these lose something with as many as it has."""
    short = f"{value:{width}.{digits}f}"
    return short if float(short) == value else f"{value:{width}.15f}"
