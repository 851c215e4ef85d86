"""Whether a file of columns holds G(r), S(Q) or intensities, as `pdfkit info` says: read as what, why, what it holds.

What the file says comes first (`outputtype`, labels, the axis, titles, names), then its ending, then its numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF, SQ, Intensity
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io import _axis_names, _header, _kinds
from pdfkit.io._text import Table, read_table

AS = ("pdf", "sq", "intensity")
SPOKEN = {"pdf": "pair distribution function G(r)", "sq": "structure function S(Q)", "intensity": "intensities I(Q)"}
_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "pdf": (".gr", ".fgr", ".cgr"),
    "sq": (".sq", ".fq"),
    "intensity": (".iq", ".chi", ".xye", ".fxye", ".gsas", ".gsa", ".gss", ".gda", ".qye", ".qchi", ".xy"),
}
_FROM_OUTPUTTYPE = {"gr": "pdf", "sq": "sq", "fq": "sq", "iq": "intensity"}
_LONG = 320  # characters: a message is to stay one that is read
OVERRIDE = "say --as pdf, --as sq or --as intensity if it is not that"


@dataclass(frozen=True)
class Decided:
    """What a file is read as ("pdf", "sq", "intensity"), by what, and whether only its numbers say so."""

    what: str
    why: str
    guessed: bool = False


@dataclass(frozen=True)
class Options:
    """What the user says of a file: each as the reader has it; None is not said."""

    as_: str | None = None
    kind: str | None = None
    unit: str | None = None
    wavelength: float | None = None
    qmax: float | None = None
    probe: str | None = None
    composition: str | None = None
    rho0: float | None = None

    def __post_init__(self) -> None:
        if self.as_ is not None:
            _checks.choice("--as", self.as_, AS)


def decide(table: Table, options: Options) -> Decided:
    """Return what a file of columns is, by the first of its statements that says so."""
    if options.as_ is not None:
        return Decided(options.as_, "as asked for")
    if (asked := _of_kind(options.kind)) is not None:
        return asked
    facts = _header.Facts(table)
    for found in (*_said(table, facts), *_named(table), *_in_words(table)):
        return found
    what, why = _of_numbers(table.data[:, 0], table.data[:, 1])
    return Decided(what, f"by its numbers alone ({why})", guessed=True)


def _of_kind(kind: str | None) -> Decided | None:
    from pdfkit.io import _functions

    if kind is None:
        return None
    for what, known in (("pdf", _functions.OF_R), ("sq", _functions.OF_Q)):
        if any(kind in (one.name, *one.aliases) for one in known.values()):
            return Decided(what, f"as --kind {kind} has it")
    raise PdfkitError(f"kind = {kind!r} is not known: choose one of {', '.join((*_functions.OF_R, *_functions.OF_Q))}")


def _said(table: Table, facts: _header.Facts) -> Iterator[Decided]:
    """Yield what outputtype, labels, and the statement of an axis of powder patterns say."""
    word = facts.word("outputtype") or ""
    if word in _FROM_OUTPUTTYPE:
        yield Decided(_FROM_OUTPUTTYPE[word], f"by the line outputtype = {word}")
    first, second = (*table.labels, "", "")[:2]
    if re.match(r"[rR](?![A-Za-z_])", first):
        yield Decided(
            "pdf", f"by the labels {first[:20]} and {second[:30]}" if second else f"by the label {first[:20]}"
        )
    if second and re.match(r"[qQ](?![A-Za-z])", first):
        kind = _kinds.of_label(second, of="Q").kind
        if kind and kind != "?":
            what = "intensity" if kind == "I" else "sq"
            yield Decided(what, f"by the label of column 2, {second[:30]}")
    for hint in _axis_names.said(table, facts):
        if hint.unit not in ("A-1", "nm-1", "Q", "distance", "other", "s") or "integration" in hint.source:
            yield Decided("intensity", f"by {hint.source}")


def _named(table: Table) -> Iterator[Decided]:
    suffix = Path(table.path).suffix.lower()
    for what, of in (("pdf", "r"), ("sq", "Q")):
        if (said := _kinds.of_names(table.path, table.header, of=of)).kind:
            yield Decided(what, f"by {said.how.replace('ends in', 'that ends in')}")
    for what, endings in _ENDINGS.items():
        if suffix in endings:
            yield Decided(what, f"by the ending {suffix}")


def _in_words(table: Table) -> Iterator[Decided]:
    for what, of in (("pdf", "r"), ("sq", "Q")):
        if (said := _kinds.of_header(table.header, of=of)).kind:
            yield Decided(what, f"since {said.how}")
    for _, text in table.header:
        if re.search(r"pyFAI|Fit2[dD]|Dioptas|powder pattern|\b[Ii]ntensit|\bcounts\b", text):
            yield Decided("intensity", f"by the line {_header.body(text)[:40]!r}")


def _of_numbers(x: Array, y: Array) -> tuple[str, str]:
    """Return what the numbers are most like: I is positive and far from 1, S tends to 1, F and G change their sign."""
    y = y[np.isfinite(y)]
    tail = y[3 * y.size // 4 :]
    if tail.size >= 5 and abs(tail.mean() - 1) < 0.15 and np.abs(tail - 1).max() < 0.5 and y.min() > -2:
        return "sq", "they tend to 1"
    if (y >= 0).mean() > 0.98:
        return "intensity", "none is negative, and they do not tend to 1"
    if y.size and abs(y.mean()) > y.std():
        return "intensity", "they keep away from 0"
    return "pdf", f"they change their sign, from r = {x[0]:g} on"


def read(path: Path, options: Options) -> tuple[PDF | SQ | Intensity, Decided]:
    """Return the data in a file of columns, and what it was read as; errors say how to have it read otherwise.

    Raises ReadError as the readers do.
    """
    decided = decide(read_table(path), options)
    try:
        return _READERS[decided.what](path, options), decided
    except ReadError as error:
        if options.as_ is not None or len(error.message) > _LONG:
            raise
        words = f"read as {SPOKEN[decided.what]}, {decided.why}; {OVERRIDE}"
        raise ReadError(path, f"{error.message} ({words})", error.line) from None


def _unit(options: Options, known: Mapping[str, str]) -> str | None:
    """Return the unit of the first column as the reader calls it; None where none is given."""
    return None if options.unit is None else known[_checks.choice("unit", options.unit, tuple(known))]


def _read_pdf(path: Path, options: Options) -> PDF:
    from pdfkit.io.pdf import read_pdf

    r_unit = _unit(options, {"A": "A", "nm": "nm"})
    return read_pdf(path, probe=options.probe, qmax=options.qmax, kind=options.kind, r_unit=r_unit,
                    composition=options.composition, rho0=options.rho0)  # fmt: skip


def _read_sq(path: Path, options: Options) -> SQ:
    from pdfkit.io.sq import read_sq

    q_unit = _unit(options, {"A": "A", "nm": "nm", "A-1": "A", "nm-1": "nm"})
    return read_sq(path, probe=options.probe, qmax=options.qmax, kind=options.kind, q_unit=q_unit,
                   composition=options.composition)  # fmt: skip


def _read_intensity(path: Path, options: Options) -> Intensity:
    from pdfkit.io.intensity import read_intensity

    return read_intensity(path, unit=options.unit or "auto", wavelength=options.wavelength)


_READERS: Mapping[str, Any] = {"pdf": _read_pdf, "sq": _read_sq, "intensity": _read_intensity}


# --- What is known of a curve ----------------------------------------------------------------------------------------

Lines = Iterator[tuple[str, str]]


def of_curve(data: PDF | SQ | Intensity) -> Lines:
    """Return what is known of data."""
    return of_pdf(data) if isinstance(data, PDF) else of_sq(data) if isinstance(data, SQ) else of_intensity(data)


def of_pdf(pdf: PDF) -> Lines:
    """Yield what is known of a G(r)."""
    instrument, r = pdf.instrument, pdf.r
    yield "kind", "pair distribution function G(r)"
    yield "name", pdf.name
    yield from _grid(r, "r", "Å")
    yield "G", f"{pdf.G.min():.5g} to {pdf.G.max():.5g} Å⁻²"
    yield "dG", "none" if pdf.dG is None else f"{pdf.dG.min():.3g} to {pdf.dG.max():.3g} Å⁻²"
    yield "probe", instrument.probe or "not in the file: give probe="
    if instrument.qmax is None:
        yield "qmax", "not in the file: give qmax="
    else:
        yield "qmin, qmax", f"{instrument.qmin:g} to {instrument.qmax:g} Å⁻¹"
    if instrument.qmax is not None and instrument.qmax < math.inf:
        nyquist = math.pi / instrument.qmax
        count = min(float(r.size), (r[-1] - r[0]) / nyquist)
        yield "Nyquist step", f"π/qmax = {nyquist:.4f} Å"
        yield "independent", f"{count:.0f} points of {r.size}"
    yield "qdamp, qbroad", f"{instrument.qdamp:g}, {instrument.qbroad:g} Å⁻¹"
    yield "resolution", f"ΔQ/Q = {instrument.resolution:g}, qtail = {instrument.qtail:g} Å⁻¹"
    yield "window", instrument.window
    if instrument.wavelength is not None:
        energy = f" ({instrument.energy:.5g} keV)" if instrument.probe == "X" else ""
        yield "wavelength", f"{instrument.wavelength:.6g} Å{energy}"
    for text in pdf.remarks:
        yield "remark", text
    yield from _advice_lines(pdf)
    if pdf.composition:
        yield "composition", pdf.composition
    if pdf.temperature is not None:
        yield "temperature", f"{pdf.temperature:g} K"


def _advice_lines(pdf: PDF) -> Lines:
    """Yield what the data say of themselves."""
    from pdfkit.data.advice import examine

    seen = examine(pdf)
    if seen.qmax_cut is not None:
        yield "F(Q) ends at", f"{seen.qmax_cut:.1f} Å⁻¹"
    if seen.qmax_noise is not None:
        yield "noise takes over", f"at {seen.qmax_noise:.1f} Å⁻¹: more Q adds no peaks"
    elif seen.coherence is not None and not seen.reaches_end:
        yield "signal in F(Q)", "up to qmax"
    if seen.noise is not None:
        limit = "up to " if seen.reaches_end and pdf.dG is None else ""
        yield "noise of G", f"{limit}{seen.noise:.2g} Å⁻²"
    if seen.first_peak is not None:
        yield "first peak", f"{seen.first_peak:.3f} Å"
    if seen.coherence is not None:
        end = "the end of the data" if seen.reaches_end else f"{seen.coherence:.0f} Å, then noise: a size estimate"
        yield "order reaches", end
    for text in seen.warnings:
        yield "warning", text


def of_intensity(iq: Intensity) -> Lines:
    """Yield what is known of a powder pattern."""
    yield "kind", "intensities I(Q)"
    yield "name", iq.name
    unit, _, why = iq.header.get("note unit", "").partition(": ")
    if unit:
        yield (
            "first column",
            f"{_axis_names.SPOKEN.get(unit, unit)}, {'as given' if why == 'given' else f'since {why}'}",
        )
    yield from _grid(iq.Q, "Q", "Å⁻¹")
    yield "I", f"{iq.I.min():.5g} to {iq.I.max():.5g}"
    yield "dI", "none" if iq.dI is None else f"{iq.dI.min():.3g} to {iq.dI.max():.3g}"
    yield "wavelength", "not known" if iq.wavelength is None else f"{iq.wavelength:g} Å"
    yield "r resolved to", f"π/step = {math.pi / float(np.diff(iq.Q).max()):.4g} Å"
    if iq.composition:
        yield "composition", iq.composition


def of_sq(sq: SQ) -> Lines:
    """Yield what is known of an S(Q)."""
    yield "kind", "structure function S(Q)"
    yield "name", sq.name
    yield from _grid(sq.Q, "Q", "Å⁻¹")
    yield "S", f"{sq.S.min():.5g} to {sq.S.max():.5g}"
    yield "dS", "none" if sq.dS is None else f"{sq.dS.min():.3g} to {sq.dS.max():.3g}"
    yield "probe", sq.instrument.probe or "not in the file: give probe="
    yield "r resolved to", f"π/step = {math.pi / float(np.diff(sq.Q).max()):.4g} Å"
    for text in sq.remarks:
        yield "remark", text
    if sq.composition:
        yield "composition", sq.composition


def _grid(x: Array, name: str, unit: str) -> Lines:
    step = np.diff(x)
    uniform = np.ptp(step) < 0.01 * step.mean()
    yield "points", str(x.size)
    yield name, f"{x[0]:g} to {x[-1]:g} {unit}"
    yield "step", f"{step.mean():.6g} {unit}" if uniform else f"{step.min():.4g} to {step.max():.4g} {unit}"
