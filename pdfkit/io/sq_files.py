"""S(Q) and F(Q) files: PDFgetX3, xPDFsuite, PDFgetX2, GSAS-II and plain columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data import SQ, Instrument
from pdfkit.errors import ReadError
from pdfkit.io import _header
from pdfkit.io._atomic import AnyPath
from pdfkit.io._grid import check_count, check_finite, check_increasing
from pdfkit.io._text import Table, read_table

_NM = 10.0  # nm⁻¹ in Å⁻¹
# No total scattering instrument reaches this Q in Å⁻¹; in nm⁻¹ it is the usual range.
_Q_LIMIT = 100.0
_DS = ("ds", "dsq", "df", "dfq", "err", "error", "sigma", "esd", "std")


def read_sq(
    path: AnyPath,
    *,
    kind: str | None = None,
    probe: str | None = None,
    qmin: float | None = None,
    qmax: float | None = None,
    qdamp: float | None = None,
    qbroad: float | None = None,
    q_unit: str | None = None,
) -> SQ:
    """Return the S(Q) in a text file; F(Q) becomes S = F/Q + 1 (a row at Q = 0, where S is lost, goes).

    Whether the values are S or F is said by `kind` ("S" or "F"), else by `outputtype`, the column label, or
    the ending (.sq, .fq), in this order; a conversion is noted in the header under "note S". Columns are Q,
    S; Q, S, dS; or Q, S, dQ, dS; dQ is ignored and dS counts only if all of it is positive.

    Q in nm⁻¹ is divided by ten (F too), with a note: when `q_unit="nm"`, when the column label or a unit line
    says so, or when `dataformat = Qnm` stands alone. (PDFgetX3 writes Å⁻¹ whatever its input was; its label,
    or a `qmaxinst` or `qmax` that Q agrees with, shows that.) Q need not be uniform. Other header rules are
    those of `read_pdf`.

    Raises
    ------
    ReadError : with file and line, when the file is missing or damaged, or it does not say what it holds.
    PdfkitError : a keyword has a value that cannot be.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_columns(f"{folder}/mine.fq", ["Q", "F"], [[1.0, 2.0, 4.0], [-0.5, 1.0, 0.2]])
    ...     sq = pk.read_sq(f"{folder}/mine.fq", probe="X")
    >>> sq.S.tolist()  # F/Q + 1
    [0.5, 1.5, 1.05]
    """
    if kind is not None:
        _checks.choice("kind", kind, ("S", "F"))
    if q_unit is not None:
        _checks.choice("q_unit", q_unit, ("A", "nm"))
    given = _header.given(probe=probe, qmin=qmin, qmax=qmax, qdamp=qdamp, qbroad=qbroad)
    Instrument(**given)  # Checked alone: an error in a keyword is not the file's.
    table = read_table(path)
    with _header.as_read_errors(path):
        return _read(table, kind, q_unit, given)


def _read(table: Table, kind: str | None, q_unit: str | None, given: dict[str, Any]) -> SQ:
    facts = _header.Facts(table)
    kind = kind or _kind(table, facts)
    check_count(table)
    Q, values = table.data[:, 0], table.data[:, 1]
    error = _header.usable_error(table.data, _error_column(table))
    check_increasing(table, Q, "Q")
    check_finite(table, values, kind)
    header = _header.collect(table.header)
    scale = 1.0
    if _in_nm(table, facts, Q, q_unit):
        scale = _NM
        header["note Q"] = "Q was in nm⁻¹; it is in Å⁻¹ here"
    Q = Q / scale
    if kind == "F":
        header["note S"] = "the file holds F(Q); S = F/Q + 1"
        keep = Q > 0
        Q, values, error = Q[keep], values[keep], None if error is None else error[keep]
        values, error = values / scale / Q + 1, None if error is None else error / scale / Q
    return SQ(
        Q,
        values,
        error,
        instrument=_header.instrument(facts, given),
        header=header,
        name=_header.title(table),
        composition=facts.text("composition|formula"),
    )


def _kind(table: Table, facts: _header.Facts) -> str:
    """Return "S" or "F" as the file says, or refuse what is neither."""
    first, second = (*table.labels, "", "")[:2]
    suffix = Path(table.path).suffix.lower()
    said = facts.word("outputtype") or ""
    if said in ("gr", "iq") or re.match(r"[rR](?![A-Za-z])", first) or (not first and suffix in (".gr", ".fgr", ".iq")):
        raise ReadError(table.path, "this is not S(Q) or F(Q): use read_pdf for G(r), or reduce intensities first")
    if re.match(r"I(?![a-z])|[Ii]nt|[Cc]ount", second) or re.match(r"2\W?[tT]h|[tT]th", first):
        raise ReadError(table.path, "this holds intensities: reduce them to S(Q) first")
    if said in ("sq", "fq"):
        return said[0].upper()
    label = re.sub(r"[^A-Z1\-]", "", re.sub(r"\$.*?\$|\^-?1", "", second).upper())
    if label in ("F", "FQ", "QSQ-1", "QS-1"):
        return "F"
    if label in ("S", "SQ", "SAU"):
        return "S"
    if label or suffix not in (".sq", ".fq"):
        about = f"the column is named {second!r}" if second else "nothing says what the values are"
        raise ReadError(table.path, f'{about}: give kind="S" for S(Q), kind="F" for F(Q) = Q[S(Q) − 1]')
    return suffix[1].upper()


def _error_column(table: Table) -> int | None:
    width = table.data.shape[1]
    labels = _header.normal(table.labels)[:width]
    named = next((i for i, label in enumerate(labels) if i > 1 and label in _DS), None)
    if named is not None or len(labels) > 2 or width < 3:
        return named
    return 2 if width == 3 else 3


def _in_nm(table: Table, facts: _header.Facts, Q: Array, q_unit: str | None) -> bool:
    unit = q_unit or facts.unit(table.labels[0] if table.labels else "")
    if unit is not None:
        return unit == "nm"
    limit = facts.number("qmaxinst") or facts.number("qmax")
    if (facts.word("dataformat") or "") == "qnm":
        # Å⁻¹ limits in the header that Q keeps show that the program has already converted its input.
        return limit is None or bool(Q[-1] > 2 * limit)
    if np.max(Q) > _Q_LIMIT:
        message = f'Q reaches {Q[-1]:g}, too far for Å⁻¹: give q_unit="nm", or q_unit="A" if it is right'
        raise ReadError(table.path, message, int(table.lines[-1]))
    return False
