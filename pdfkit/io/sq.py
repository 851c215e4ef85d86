"""S(Q) and F(Q) files: PDFgetX3, xPDFsuite, PDFgetX2, GSAS-II and plain columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import SQ
from pdfkit.io import _functions_of_q as of_q
from pdfkit.io import _header, columns
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._axis import strong_peaks
from pdfkit.io._functions import OF_Q, Sample, named
from pdfkit.io._text import Table
from pdfkit.io.columns import Asked, check_count, check_finite, check_increasing, opened
from pdfkit.io.exports import FORMATS, form_of, sq_text

_NM = 10.0  # nm⁻¹ in Å⁻¹
# No total scattering instrument reaches this Q in Å⁻¹; in nm⁻¹ it is the usual range.
_Q_LIMIT = 100.0


def read_sq(
    path: AnyPath,
    *,
    kind: str | None = None,
    probe: str | None = None,
    qmin: float | None = None,
    qmax: float | None = None,
    qdamp: float | None = None,
    qbroad: float | None = None,
    resolution: float | None = None,
    qtail: float | None = None,
    q_unit: str | None = None,
    composition: str | None = None,
) -> SQ:
    """Return the S(Q) in a text file, whichever function of Q it holds.

    What the values are is said by `kind`, else by `outputtype`, the column label with its unit, a title, or the name
    (.sq, .fq, .mint01, …), in this order; a conversion is noted in the header under "note S".

    | kind | function | needs |
    |---|---|---|
    | S, S-1 | S(Q), S(Q) − 1 | |
    | F | F(Q) = Q[S(Q) − 1], Å⁻¹ (PDFgetX3, PDFgui); a row at Q = 0, where S is lost, goes | |
    | FK | ⟨b⟩²[S(Q) − 1], barn (Keen; "F(Q)" of RMCProfile, "i(Q)", `.mint01` of Gudrun) | composition |
    | QFK | Q⟨b⟩²[S(Q) − 1], barn Å⁻¹ ("Q·i(Q)") | composition |
    | DCS | FK + σ/4π, barn (`.mdcs01`), σ of atoms at rest | composition |

    Columns are found by their labels; else they are Q, S; Q, S, dS; or Q, S, dQ, dS; dQ is ignored and dS counts only
    if all of it is positive.

    Q in nm⁻¹ is divided by ten (F too), with a note: when `q_unit="nm"`, when the column label or a unit line
    says so, or when `dataformat = Qnm` stands alone. (PDFgetX3 writes Å⁻¹ whatever its input was; its label,
    or a `qmaxinst` or `qmax` that Q agrees with, shows that.) Q need not be uniform. Other header rules are
    those of `read_pdf`.

    Raises
    ------
    ReadError : with file and line, when the file is missing or damaged, or it does not say what it holds.
    PdfkitError : a keyword has an impossible value.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_columns(f"{folder}/mine.fq", ["Q", "F"], [[1.0, 2.0, 4.0], [-0.5, 1.0, 0.2]])
    ...     sq = pk.read_sq(f"{folder}/mine.fq", probe="X")
    >>> sq.S.tolist()  # F/Q + 1
    [0.5, 1.5, 1.05]
    """
    if q_unit is not None:
        _checks.choice("q_unit", q_unit, ("A", "nm"))
    given = _header.given(probe=probe, qmin=qmin, qmax=qmax, qdamp=qdamp, qbroad=qbroad)
    given |= _header.given(resolution=resolution, qtail=qtail)
    asked = Asked(None if kind is None else named(kind, OF_Q).name, Sample(None, composition), probe, q_unit)
    return opened(path, asked, given, _read)


def write_sq(
    path: AnyPath, sq: SQ, *, kind: str = "S", format: str | None = None, composition: str | None = None
) -> None:
    """Write an S(Q), or another function of Q, as text.

    kind : "S", "S-1", "F", "FK" or "QFK", as for `read_sq`; composition (default: that of the SQ) gives ⟨b⟩² to the
    last two. format : "columns" (labelled, with units, the default), "rmcprofile" (count, title, two columns; no
    errors) or "gudrun" (kind FK, by the name .mint01). What `read_sq` needs to return S(Q) from them is in the file; of
    F the row at Q = 0 does not come back.

    Raises PdfkitError where kind, format and name do not go together or something is missing; WriteError when the file
    cannot be written.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> Q = np.arange(0.5, 20, 0.02)
    >>> sq = pk.SQ(Q, 1 + np.exp(-Q / 5) * np.sin(2.5 * Q))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_sq(f"{folder}/mine.fq", sq, kind="F")
    ...     back = pk.read_sq(f"{folder}/mine.fq")
    >>> bool(np.allclose(back.S, sq.S, rtol=0, atol=1e-14))
    True
    """
    form = form_of(path, kind) if format is None else _checks.choice("format", format, FORMATS[1:])
    write_text(path, sq_text(path, sq, kind, form, composition))


def _read(table: Table, asked: Asked, given: dict[str, Any]) -> SQ:
    facts = _header.Facts(table)
    header = _header.collect(table.header)
    composition = None if asked.sample.composition is None else str(asked.sample.composition)
    sample, remarks = _header.sample(facts, header, asked.sample)
    asked = replace(asked, sample=sample, probe=asked.probe or facts.probe())
    curve, _, _ = columns.curve(table, asked.kind, of="Q")
    check_count(table)
    check_increasing(table, curve.x, "Q")
    check_finite(table, curve.y, "S")
    in_nm = _in_nm(table, facts, curve.x, curve.y, asked.unit)
    if in_nm:
        header["note Q"] = "Q was in nm⁻¹; it is in Å⁻¹ here"
    said = of_q.statement(table, facts, curve)
    kind, said, remarked = of_q.kind_of(table, replace(curve, x=curve.x / _NM if in_nm else curve.x), said, asked)
    curve = of_q.in_angstrom(curve, kind, said, in_nm)
    curve = of_q.to_S(table, curve, kind, said, asked)
    header |= curve.notes
    remarks += [*remarked, *curve.remarks, *_header.contradictions(facts, given)]
    instrument = _header.instrument(facts, given)
    if curve.neutrons and instrument.probe is None:
        instrument = replace(instrument, probe="N")
    return SQ(
        curve.x,
        curve.y,
        curve.error,
        instrument=instrument,
        header=header,
        name=_header.title(table),
        composition=facts.text("composition|formula") if composition is None else composition,
        remarks=tuple(f"{Path(table.path).name}: {text}" for text in remarks),
    )


def _in_nm(table: Table, facts: _header.Facts, Q: Array, S: Array, q_unit: str | None) -> bool:
    unit = q_unit or facts.unit(table.labels[0] if table.labels else "")
    if unit not in (None, "nm", "A"):
        message = f"the label says {table.labels[0][:30]}: write Q in Å⁻¹ or nm⁻¹"
        raise table.error(f'{message}, or give q_unit="A" if it is in Å⁻¹')
    if unit is not None:
        return unit == "nm"
    limit = facts.number("qmaxinst") or facts.number("qmax")
    if (facts.word("dataformat") or "") == "qnm":
        # Å⁻¹ limits in the header that Q keeps show that the program has already converted its input.
        return limit is None or bool(Q[-1] > 2 * limit)
    peaks = strong_peaks(Q, S) if Q[0] > 2.0 and Q[-1] > 30.0 else []
    if peaks and peaks[0] > 8.0:
        message = f"Q starts at {Q[0]:g} and the first peak stands at {peaks[0]:.3g}: usual in nm⁻¹, not in Å⁻¹"
        raise table.error(f'{message}; give q_unit="nm", or q_unit="A" if it is right')
    if np.max(Q) > _Q_LIMIT:
        raise table.error(f'Q reaches {Q[-1]:g}, too far for Å⁻¹: give q_unit="nm", or q_unit="A" if it is right', -1)
    return False
