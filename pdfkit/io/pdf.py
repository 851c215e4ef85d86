"""G(r) files: read every usual header, write one that PDFgui reads and that comes back exactly.

Columns are r, G, dr, dG. dr is ignored; dG counts only if all of it is positive (PDFgui's rule).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.io import _functions_of_r as of_r
from pdfkit.io import _header, _kinds, _plausible
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._functions import OF_R, Sample, _shown, named
from pdfkit.io._text import Table
from pdfkit.io.columns import Asked, check_count, check_finite, check_grid, check_length_unit, opened
from pdfkit.io.exports import FORMATS, form_of, pdf_text

# PDFfit2 skips a header only when it starts with "History".
_FORMAT = "History written by pdfkit in the format of PDFgui"
_STYPE = {"X": "X  x-ray scattering", "N": "N  neutron scattering", "E": "E  electron scattering"}
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w .\-]*(?<! )")
_PLAIN = re.compile(r"([A-Za-z_][\w .\-]*?)=(.*)")


def read_pdf(
    path: AnyPath,
    *,
    probe: str | None = None,
    qmin: float | None = None,
    qmax: float | None = None,
    qdamp: float | None = None,
    qbroad: float | None = None,
    resolution: float | None = None,
    qtail: float | None = None,
    window: str | None = None,
    wavelength: float | None = None,
    r_unit: str | None = None,
    kind: str | None = None,
    composition: str | None = None,
    rho0: float | None = None,
) -> PDF:
    """Return the G(r) in a text file, whichever function of r it holds.

    Headers: PDFgetX3, xPDFsuite, PDFgetX2, PDFgetN, PDFgui, NOMAD, RMCProfile, GSAS-II, PDFFIT, or none.

    A keyword overrides the header; what neither says stays unknown (`probe` and `qmax` None). All header
    lines are kept in `PDF.header`: `key = value` as such, others under "line N", what was decided here under
    "note …". `qmax = 0` (PDFgui: no termination) becomes inf. The name is the title of a `#S` or `#T` line,
    else the file's stem.

    * kind : what the values are; by default what the file says (labels and their units, titles, names such as
      `.mdor01`), else G(r). Others are converted, with a remark if the file said it:

      | kind | function | needs |
      |---|---|---|
      | G | G(r) = 4πr[ρ(r) − ρ₀], Å⁻² (PDFgui, PDFgetX3) | |
      | GK | ⟨b⟩²[g(r) − 1], barn (Keen; "G(r)" of RMCProfile, Gudrun, STOG) | composition, rho0 |
      | D | ⟨b⟩²G(r), barn Å⁻² (Gudrun, ISIS) | composition |
      | T | ⟨b⟩²[G(r) + 4πrρ₀], barn Å⁻² | composition, rho0 |
      | R/r | G(r) + 4πrρ₀, Å⁻² (T(r) without ⟨b⟩²) | rho0 |
      | R | rG(r) + 4πr²ρ₀, Å⁻¹ (also "RDF") | rho0 |
      | g, g-1 | g(r) = 1 + G(r)/(4πrρ₀); g(r) − 1, also "h" | rho0 |

      composition gives ⟨b⟩² by the neutron lengths; rho0 is in atoms/Å³. The header may state both. Values that
      are unlike G(r) (flat at low r, growing with r) without any statement are remarked.
    * Columns are found by their labels, else r, G; r, G, dG; or r, G, dr, dG. dG needs to be positive
      throughout.
    * Fits saved by PDFfit2 and PDFgui (`.fgr`: r, Gcalc, 0, dG, Gobs − Gcalc) give the observed G = Gcalc +
      difference. PDFfit2 writes dG = 1 where it knows none: a dG of 1 throughout is dropped.
    * Calculations of PDFgui and PDFfit2 (header, or `.cgr`) have constant scattering strengths: a remark says so.
    * A qmin in the header stays in the header: reductions extrapolate F(Q) to 0 below it, and a model that cuts
      there fits measured data worse (Rw 0.211 against 0.175 for CdSe nanocrystals). The keyword cuts the model.
    * PDFgetX3's termination function `lorch` is sin(x)/x with x = π(Q − qmin)/(qmax − qmin): with qmin = 0 it
      is the window "lorch"; with qmin > 0 "lorch" (x = πQ/qmax) is the nearest and is taken, with a note in
      the header.
    * r may be non-uniform (noted); one gap or one bad value in an otherwise uniform r is a lost or damaged
      line.
    * r in nm is refused until `r_unit="nm"` says so; then r × 10 and G, dG ÷ 100. `r_unit="A"` says that it is in Å.

    Raises
    ------
    ReadError : with file and line, when the file is missing, damaged, in other units, or holds another function and
    what converts it (named in the message) is not known.
    PdfkitError : a keyword has an impossible value.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.arange(1, 20, 0.01)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_columns(f"{folder}/mine.gr", ["r", "G"], [r, np.sin(2.5 * r)], ["qmax = 19"])
    ...     data = pk.read_pdf(f"{folder}/mine.gr", probe="X", qdamp=0.058)
    >>> len(data), data.instrument.qmax, data.instrument.qdamp, data.name
    (1900, 19.0, 0.058, 'mine')
    """
    if r_unit is not None:
        _checks.choice("r_unit", r_unit, ("A", "nm"))
    given = _header.given(probe=probe, qmin=qmin, qmax=qmax, qdamp=qdamp, qbroad=qbroad, window=window)
    given |= _header.given(resolution=resolution, qtail=qtail, wavelength=wavelength)
    asked = Asked(None if kind is None else named(kind, OF_R).name, Sample(rho0, composition), probe, r_unit)
    return opened(path, asked, given, _read)


def _read(table: Table, asked: Asked, given: dict[str, Any]) -> PDF:
    if table.header and table.header[0][1] == _FORMAT:
        return _read_own(table, given, asked)
    facts = _header.Facts(table)
    if asked.kind is None:
        _refuse_other_functions(table, facts)
    header = _header.collect(table.header)
    check_count(table)
    curve = of_r.columns(table, asked.kind)
    uniform = check_grid(table, curve.x)
    check_finite(table, curve.y, "G")
    sample, remarks = _header.sample(facts, header, asked.sample)
    asked = replace(asked, sample=sample, probe=asked.probe or facts.probe())
    said = of_r.statement(table, facts, curve)
    kind, said, remarked = of_r.kind_of(table, curve, said, asked)
    unit = facts.unit(table.labels[0] if table.labels else "")
    if asked.unit is None:
        check_length_unit(table, unit, curve.x, curve.y if kind.name == "G" else None)
    curve = of_r.in_angstrom(table, curve, kind, said, unit, asked.unit)
    curve = of_r.to_G(table, curve, kind, said, asked)
    header |= curve.notes
    if not uniform:
        header["note grid"] = "r is not uniform"
    remarks += [*_header.contradictions(facts, given), *_plausible.of_G(curve.y)]
    instrument = _header.instrument(facts, given)
    if curve.neutrons and instrument.probe is None:
        instrument = replace(instrument, probe="N")
    if instrument.probe != "N" and _is_calculation(table):
        instrument = replace(instrument, scattering="constant")
        remarks.append("calculated by PDFgui or PDFfit2: scattering strengths are constant, and models take them so")
    _note_window(header, facts, given, instrument)
    if "qmin" not in given and instrument.qmin > 0:
        header["note qmin"] = f"qmin = {instrument.qmin:g} is not applied to models; give qmin= to cut there"
        # Not said, then: the qmin of a model counts.
        instrument = replace(instrument, qmin=0.0, given=tuple(n for n in instrument.given if n != "qmin"))
    name = Path(table.path).name
    return PDF(
        curve.x,
        curve.y,
        curve.error,
        instrument=instrument,
        header=header,
        name=_header.title(table),
        composition=facts.text("composition|formula")
        if asked.sample.composition is None
        else _shown(asked.sample.composition),
        temperature=facts.temperature(),
        remarks=tuple(f"{name}: {text}" for text in (*remarks, *remarked, *curve.remarks)),
    )


def _is_calculation(table: Table) -> bool:
    """Whether this is what PDFgui ("calculation" in its header) or PDFfit2 (.cgr) calculated without data."""
    said = any(re.match(r"#+ *PDFgui calculation", text) for _, text in table.header)
    return said or Path(table.path).suffix.lower() == ".cgr"


def _refuse_other_functions(table: Table, facts: _header.Facts) -> None:
    kind = facts.word("outputtype") or ""
    first = table.labels[0] if table.labels else ""
    suffix = Path(table.path).suffix.lower()
    of_Q = not first and (_kinds.of_names(table.path, table.header, of="Q").kind or suffix == ".soq")
    if kind in ("sq", "fq", "iq") or re.match(r"[Qq](?![A-Za-z])", first) or of_Q:
        raise table.error("this is a function of Q, not G(r): use read_sq, or reduce intensities first")
    if re.match(r"2\W?th|tth", first, re.IGNORECASE):
        raise table.error("this holds intensities against 2θ, not G(r): reduce them to G(r) first")
    if not kind and not first and suffix in (".sq", ".fq", ".iq", ".chi", ".xye"):
        raise table.error(
            f"files named {suffix} do not hold G(r): use read_sq, reduce intensities first, or rename it to .gr"
        )


def _note_window(header: dict[str, str], facts: _header.Facts, given: dict[str, Any], instrument: Instrument) -> None:
    said = facts.text("termination_?functions?")
    if said is None or "window" in given:
        return
    if facts.window() is None:
        header["note window"] = f"the termination function {said!r} is not supported: give window="
    elif instrument.window == "lorch" and instrument.qmin > 0:
        header["note window"] = "PDFgetX3 starts its Lorch function at qmin; the window lorch starts at Q = 0"


def write_pdf(
    path: AnyPath,
    pdf: PDF,
    *,
    kind: str = "G",
    format: str | None = None,
    composition: str | None = None,
    rho0: float | None = None,
) -> None:
    """Write a G(r) as a .gr file that PDFgui and PDFfit2 read, or as another function for another program.

    The .gr file has a header and columns r, G, dr = 0, dG (0: none). `read_pdf` returns it exactly: values in full
    precision, instrument, name, composition, temperature and header. PDFgui knows X-rays and neutrons, qmax, qdamp,
    qbroad and the temperature; it overlooks the rest.

    kind : "G", "GK", "D", "T", "R", "g", … as for `read_pdf`; composition (default: that of the PDF) and rho0 (Å⁻³) are
    what it needs. format : "pdfgui"; "rmcprofile" (count, title, two columns; no errors); "gudrun" (kinds D and GK, by
    the names .mdor01 and .mgor01); "columns" (labelled, with units). By default pdfgui for G, else what the name says,
    else columns. What `read_pdf` needs to return G(r) from them is in the file.

    Raises PdfkitError where kind, format and name do not go together or something is missing; WriteError when the file
    cannot be written; the old file is then unchanged.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.arange(1, 20, 0.01)
    >>> data = pk.PDF(r, np.sin(2.5 * r), instrument=pk.Instrument(probe="X", qmax=19))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_pdf(f"{folder}/mine.gr", data)
    ...     back = pk.read_pdf(f"{folder}/mine.gr")
    >>> bool((back.G == data.G).all()), back.instrument == data.instrument
    (True, True)
    """
    _checks.instance("pdf", pdf, PDF, "a PDF, after the name of the file")
    form = form_of(path, kind) if format is None else _checks.choice("format", format, FORMATS)
    if form != "pdfgui":
        write_text(path, pdf_text(path, pdf, kind, form, composition, rho0))
        return
    if named(kind, OF_R).name != "G":
        raise PdfkitError(f'PDFgui reads only G(r), but kind = {kind} was given: give format="columns" or another')
    lines = [_FORMAT, "##### PDFgui", *instrument_lines(pdf.instrument)]
    if pdf.temperature is not None:
        lines.append(f"temperature={_checks.number('temperature', pdf.temperature)!r}")
    lines += ["# metadata", f"points={len(pdf)}", _pair("name", pdf.name)]
    if pdf.composition is not None:
        lines.append(_pair("composition", pdf.composition))
    lines += ["# header", *(_pair(key, value) for key, value in pdf.header.items())]
    lines += ["##### start data", "#L r G(r) dr dG(r)"]
    dG = np.zeros(len(pdf)) if pdf.dG is None else pdf.dG
    columns = zip(pdf.r.tolist(), pdf.G.tolist(), dG.tolist(), strict=True)
    lines += [f"{r!r} {G!r} 0 {error!r}" for r, G, error in columns]
    write_text(path, "\n".join(lines) + "\n")


def instrument_lines(instrument: Instrument) -> list[str]:
    """Return the lines of PDFgui's header that say what is known of the instrument."""
    lines = []
    for name in instrument.given:
        value = getattr(instrument, name)
        if name == "probe":
            lines.append(f"stype={_STYPE[value]}")
        elif name == "qmax" and value == math.inf:
            lines.append("qmax=0   no termination")
        elif value is not None:
            lines.append(f"{_header.SPELLED.get(name, name)}={value}")
    return lines


def _pair(key: str, value: str) -> str:
    """Return one header line: `key=value`, or a JSON list behind # where that would come back changed."""
    plain = _PLAIN_KEY.fullmatch(key) and value.isprintable() and value == value.strip()
    return f"{key}={value}" if plain else f"# {json.dumps([key, value])}"


def _unpair(text: str) -> tuple[str, str] | None:
    if match := _PLAIN.fullmatch(text):
        return match[1], match[2]
    try:
        pair = json.loads(text.lstrip("# "))
    except (ValueError, RecursionError):
        return None
    ok = isinstance(pair, list) and len(pair) == 2 and all(isinstance(item, str) for item in pair)
    return (pair[0], pair[1]) if ok else None


def _read_own(table: Table, given: dict[str, Any], asked: Asked) -> PDF:
    """Return what `write_pdf` wrote; its point count takes the place of the guesses that other files need."""
    if asked.kind not in (None, "G"):
        raise table.error(f"pdfkit wrote this file as G(r), and kind = {asked.kind} was given: leave kind= out")
    split = next((i for i, (_, text) in enumerate(table.header) if text == "# header"), len(table.header))
    top, kept = table.header[1:split], table.header[split + 1 :]
    facts = _header.Facts(table, [line for line in top if not line[1].startswith(("#", "name=", "composition="))])
    pairs = dict(pair for _, text in top if (pair := _unpair(text)) is not None)
    points = facts.number("points")
    if points is not None and points != len(table.data):
        raise table.error(f"{len(table.data)} rows where the header counts {points:g}: the file is cut short or mixed")
    if table.data.shape[1] != 4:
        raise table.error(f"{table.data.shape[1]} columns where write_pdf writes 4: write it again")
    check_grid(table, table.data[:, 0], gaps=points is None)
    check_finite(table, table.data[:, 1], "G")
    _, remarks = _header.sample(facts, pairs, asked.sample)
    remarks += _header.contradictions(facts, given, own=True)
    # Older files say weights.
    choices = _header.given(window_width=facts.number("window_width"), scattering=facts.text("scattering|weights"))
    choices |= {"anomalous": True} if facts.text("anomalous") == "True" else {}
    return PDF(
        table.data[:, 0],
        table.data[:, 1],
        _header.usable_error(table.data, 3),
        instrument=_header.instrument(facts, choices | given),
        header=_own_header(kept),
        name=pairs.get("name", Path(table.path).stem),
        composition=pairs.get("composition") if asked.sample.composition is None else _shown(asked.sample.composition),
        temperature=facts.number("temperature"),
        remarks=tuple(f"{Path(table.path).name}: {text}" for text in remarks),
    )


def _own_header(lines: _header.Lines) -> dict[str, str]:
    out: dict[str, str] = {}
    for number, text in lines:
        if re.match(r"#+ start data|#L ", text):
            continue
        pair = _unpair(text)
        key, value = pair if pair and pair[0] not in out else (f"line {number}", text)
        out[key] = value
    return out
