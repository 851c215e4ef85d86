"""Powder patterns: .iq .chi .xy .xye .dat of Fit2D, pyFAI, PDFgetX3, GSAS-II, or plain columns."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitWarning, ReadError
from pdfkit.intensity import Intensity, gaps, to_Q
from pdfkit.io import _header
from pdfkit.io._atomic import AnyPath
from pdfkit.io._grid import check_increasing
from pdfkit.io._text import Table, read_table

UNITS = ("auto", "A-1", "nm-1", "2theta")
_NM = 10.0  # nm⁻¹ in one Å⁻¹
# Å⁻¹: no usual X-ray source reaches this, while nm⁻¹ and degrees of 2θ do.
_Q_LIMIT = 45.0
_METRES = 1e-6  # a wavelength below this is in m (pyFAI)
_ANGLE = re.compile(r"2\W{0,2}_?th|two\W?_?theta|\btth\b|2θ", re.IGNORECASE)
_INVERSE_NM = re.compile(r"nm\W{0,4}-1|nm⁻¹|1/nm|inverse nanomet", re.IGNORECASE)
_INVERSE_A = re.compile(r"(?:\bA|_A|Å|\u212b|AA|[Aa]ng\w*)\W{0,4}-1|Å⁻¹|1/(?:A|Å)\b|[Ii]nverse [Aa]ng")
_DI = ("di", "diq", "err", "error", "sigma", "esd", "std", "e", "dy", "uncertainty", "stddev", "sigmai")


def read_intensity(
    path: AnyPath, *, unit: str = "auto", wavelength: float | None = None, twothetazero: float = 0.0
) -> Intensity:
    """Return the powder pattern in a text file of two columns or more: Q or 2θ, I, and errors of I where it has them.

    Parameters
    ----------
    unit : of the first column: "A-1", "nm-1", "2theta" (degrees), or "auto": the column label, `dataformat`, or the
        line that names the axis says; else 2θ when a wavelength is known (not for .iq), else Å⁻¹ up to 45.
    wavelength : Å, for 2θ; default: what the header says (Å, or m as pyFAI has it).
    twothetazero : degrees, subtracted from 2θ.

    Columns are x, I; x, I, dI; or x, I, dx, dI. Errors count only if all of them are positive. Points without a value
    (NaN, and zeros, which are masked pixels) are left out; that, negative values and gaps in Q are said in a
    PdfkitWarning. How the unit was found is in the header under "note unit".

    Raises
    ------
    ReadError : with file and line, when the file is missing, damaged, or nothing says what its first column is.
    PdfkitError : a keyword has a value that cannot be.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> angle = np.arange(28, 29, 0.02)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.write_columns(f"{folder}/si.xy", ["2theta", "I"], [angle, 900 * np.exp(-((angle - 28.44) ** 2) / 0.01)])
    ...     pattern = pk.read_intensity(f"{folder}/si.xy", wavelength=1.5406)
    >>> print(f"d = {2 * np.pi / pattern.Q[pattern.I.argmax()]:.2f} Å")  # silicon 111
    d = 3.14 Å
    """
    _checks.choice("unit", unit, UNITS)
    if wavelength is not None:
        wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
    zero = _checks.number("twothetazero", twothetazero)
    table = read_table(path)
    with _header.as_read_errors(path):
        facts = _header.Facts(table)
        header = _header.collect(table.header)
        _refuse_functions(table, facts)
        check_increasing(table, table.data[:, 0], "Q or 2θ")
        wavelength = wavelength or _wavelength(facts)
        found, why = (unit, "given") if unit != "auto" else _unit(table, facts, wavelength)
        header["note unit"] = f"{found}: {why}"
        Q = _in_inverse_angstrom(table, found, wavelength, zero)
        keep = _usable(table)
        _say_what_is_odd(path, Q[keep], table.data[keep, 1])
        return Intensity(
            Q[keep],
            table.data[keep, 1],
            _errors(table, keep, header),
            probe=facts.probe(),
            wavelength=wavelength,
            header=header,
            name=_header.title(table),
            composition=facts.text("composition|formula"),
        )


def _refuse_functions(table: Table, facts: _header.Facts) -> None:
    kind = facts.word("outputtype") or ""
    first, second = (*table.labels, "", "")[:2]
    suffix = Path(table.path).suffix.lower()
    unnamed = not first and suffix in (".gr", ".fgr", ".sq", ".fq")
    if kind in ("gr", "sq", "fq") or unnamed or re.match(r"[SFG]\(|r(?![A-Za-z])", second or first):
        raise ReadError(table.path, "this is not an intensity: use read_sq for S(Q) and F(Q), read_pdf for G(r)")


def _wavelength(facts: _header.Facts) -> float | None:
    value = facts.number("wavelength|lambda", suffix=r"\s*(?:m|Å|A)?\b") or facts.number("wavelength|lambda")
    if value is None or value <= 0:
        return None
    return value * 1e10 if value < _METRES else value


def _unit(table: Table, facts: _header.Facts, wavelength: float | None) -> tuple[str, str]:
    """Return the unit of the first column and how it was found."""
    label = table.labels[0] if table.labels else ""
    axis = [label, *(text for _, text in facts.lines if "=" not in text and len(text) < 80)]
    for text in axis:
        for unit, pattern in (("nm-1", _INVERSE_NM), ("A-1", _INVERSE_A), ("2theta", _ANGLE)):
            if pattern.search(text):
                return unit, f"the file says {text.strip()[:40]!r}"
    said = facts.unit(label)
    if said is not None:
        return ("nm-1" if said == "nm" else "A-1"), "the header says so"
    named = {"qa": "A-1", "qnm": "nm-1", "twotheta": "2theta"}.get(facts.word("dataformat") or "")
    if named and not label:
        return named, "dataformat says so"
    return _guessed(table, label, wavelength)


def _guessed(table: Table, label: str, wavelength: float | None) -> tuple[str, str]:
    end, last = float(table.data[-1, 0]), int(table.lines[-1])
    ask = 'give unit="nm-1", unit="2theta" with wavelength= in Å, or unit="A-1"'
    suffix = Path(table.path).suffix.lower()
    if not label.lower().startswith("q") and suffix != ".iq":
        if wavelength is not None:
            return "2theta", "a wavelength is known and nothing else is said"
        if suffix == ".xye":
            raise ReadError(table.path, f"an .xye file usually has 2θ, and no wavelength is known: {ask}")
    if end > _Q_LIMIT:
        message = f"the first column ends at {end:g}, too far for Q in Å⁻¹; is it in nm⁻¹, or 2θ? Say so: {ask}"
        raise ReadError(table.path, message, last)
    return "A-1", "assumed, nothing is said"


def _in_inverse_angstrom(table: Table, unit: str, wavelength: float | None, zero: float) -> Array:
    x = table.data[:, 0]
    if unit == "2theta":
        if wavelength is None:
            raise ReadError(table.path, "intensities against 2θ need the wavelength: give wavelength= in Å")
        if x[-1] - zero > 180:
            message = f"2θ = {x[-1]:g} degrees cannot be: is the first column Q? Then give unit="
            raise ReadError(table.path, message, int(table.lines[-1]))
        if x[0] - zero < 0:
            raise ReadError(table.path, f"2θ starts at {x[0] - zero:g}: correct twothetazero, or delete the rows")
        return to_Q(x - zero, wavelength)
    return x / _NM if unit == "nm-1" else x


def _usable(table: Table) -> np.typing.NDArray[np.bool_]:
    """Return which points hold a value; says what is left out, and refuses a file that holds next to none."""
    I = table.data[:, 1]
    good = np.isfinite(I) & (I != 0)
    if good.sum() < 10:
        raise ReadError(table.path, f"{good.sum()} points have an intensity: at least 10 are needed")
    first, last = np.flatnonzero(good)[[0, -1]]
    inside = ~good[first : last + 1]
    if inside.mean() > 0.2:
        line = int(table.lines[first + int(np.argmax(inside))])
        raise ReadError(table.path, f"{inside.sum()} points have no value (NaN or 0): mend or mask the pattern", line)
    if not good.all():
        bad = int(np.argmin(good))
        _warn(
            table.path, f"{(~good).sum()} points without a value (NaN or 0) are left out, line {table.lines[bad]} first"
        )
    return np.asarray(good)


def _say_what_is_odd(path: AnyPath, Q: Array, I: Array) -> None:
    negative = int((I < 0).sum())
    if negative > I.size / 2:
        raise ReadError(path, f"{negative} of {I.size} intensities are negative: is the second column the intensity?")
    if negative:
        _warn(path, f"{negative} intensities are negative: has a background been taken off already?")
    holes = gaps(Q)
    if holes:
        low, high = max(holes, key=lambda hole: hole[1] - hole[0])
        _warn(path, f"{len(holes)} gaps in Q, the widest from {low:.4g} to {high:.4g} Å⁻¹")


def _errors(table: Table, keep: np.typing.NDArray[np.bool_], header: dict[str, str]) -> Array | None:
    width = table.data.shape[1]
    labels = _header.normal(table.labels)[:width]
    column = next((i for i, label in enumerate(labels) if i > 1 and label in _DI), None)
    if column is None and len(labels) <= 2 and width >= 3:
        column = 2 if width == 3 else 3
    if column is None:
        return None
    error = _header.usable_error(table.data[keep], column)
    if error is None:
        header["note errors"] = "the column of errors is not positive throughout: left out"
    return error


def _warn(path: AnyPath, text: str) -> None:
    warnings.warn(f"{path}: {text}", PdfkitWarning, stacklevel=4)
