"""Powder patterns: .iq .chi .xy .xye .dat of Fit2D, pyFAI, PDFgetX3, GSAS-II, or plain columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.data.curves import Intensity, gaps, to_Q
from pdfkit.errors import PdfkitError, ReadError, remark
from pdfkit.io import _axis, _axis_names, _header
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import Table, read_table
from pdfkit.io.columns import check_finite, check_increasing

# --- What a powder pattern can betray --------------------------------------------------------------------------------

Flags = np.typing.NDArray[np.bool_]

# A spike stands this many times the scatter, and this share of its surroundings, above or below them.
_SIGMAS, _SHARE = 12.0, 0.3

# Its neighbours rise by less than this share of it: any peak that a powder gives is wider.
_FOOT = 0.03

_SHOWN = 5


def usable(table: Table) -> tuple[Flags, tuple[str, ...]]:
    """Return which points hold a value, and what is to be remarked of those that do not.

    Raises ReadError for a file that holds next to none, or where more than a fifth is missing in the middle.
    """
    I = table.data[:, 1]
    good = np.asarray(np.isfinite(I) & (I != 0))
    if good.sum() < 10:
        raise table.error(f"{good.sum()} points have an intensity: at least 10 are needed")
    first, last = (int(i) for i in np.flatnonzero(good)[[0, -1]])
    inside = ~good[first : last + 1]
    if inside.mean() > 0.2:
        at = first + int(np.argmax(inside))
        raise table.error(f"{inside.sum()} points have no value (NaN or 0): integrate the pattern again", at)
    said = []
    if first:
        what = "point is zero" if first == 1 else "points are zero"
        said.append(f"the first {first} {what} (the beam stop): left out, the data start on line {table.lines[first]}")
    if inside.any():
        line = int(table.lines[first + int(np.argmax(inside))])
        said.append(f"{inside.sum()} points without a value (NaN or 0, masked?) are left out, line {line} first")
    if last < good.size - 1:
        said.append(
            f"the last {good.size - 1 - last} points are zero: left out, the data end on line {table.lines[last]}"
        )
    return good, tuple(said)


def oddities(path: str | Path, Q: Array, I: Array) -> Iterator[str]:
    """Yield what is odd about intensities (n,) on Q (n,) in Å⁻¹; nothing is changed.

    Raises ReadError when most intensities are negative.
    """
    negative = np.flatnonzero(I < 0)
    if negative.size > I.size / 2:
        raise ReadError(path, f"{negative.size} of {I.size} intensities are negative: is the second column I?")
    if negative.size:
        where = _at(Q, negative)
        yield f"{negative.size} intensities are negative: has a background been taken off already? {where}"
    if (above := spikes(I)).size:
        few = "1 point stands" if above.size == 1 else f"{above.size} points stand"
        yield f"{few} alone, far above the neighbours (hot pixels?): kept, {_at(Q, above)}"
    if (below := spikes(-I)).size:
        few = "1 point lies" if below.size == 1 else f"{below.size} points lie"
        yield f"{few} alone, far below the neighbours (dead pixels?): kept, {_at(Q, below)}"
    if (flat := plateau(I)).size:
        yield f"{flat.size} points have the same largest value {I.max():.6g} (a saturated detector?): {_at(Q, flat)}"
    if holes := gaps(Q):
        low, high = max(holes, key=lambda hole: hole[1] - hole[0])
        yield f"{len(holes)} gaps in Q, the widest from {low:.4g} to {high:.4g} Å⁻¹"


def _at(Q: Array, points: IntArray) -> str:
    more = "" if points.size <= _SHOWN else ", …"
    return "Q = " + ", ".join(f"{q:.4g}" for q in Q[points[:_SHOWN]]) + f"{more} Å⁻¹"


def spikes(I: Array) -> IntArray:
    """Return the points (one, or two side by side) that stand alone above their surroundings.

    Alone: the points beside a spike rise by less than 3 % of it, which no peak does that spans more than a step.
    """
    n = I.size
    if n < 20:
        return np.empty(0, dtype=np.int64)
    wide = np.pad(I, 4, mode="reflect")
    around = np.stack([wide[4 + k : 4 + k + n] for k in (-4, -3, -2, 2, 3, 4)])
    level = np.median(around, axis=0)
    excess = I - level
    scatter = 1.4826 * np.median(np.abs(np.diff(I, n=2))) / np.sqrt(6.0)
    local = 1.4826 * np.median(np.abs(around - level), axis=0)
    high = excess > np.maximum(_SIGMAS * np.maximum(scatter, local), _SHARE * np.abs(level))
    left, right = np.pad(excess, 1)[:-2], np.pad(excess, 1)[2:]
    alone = high & (np.maximum(left, right) < np.maximum(_FOOT * excess, 3 * scatter))
    second = np.pad(excess, 2)
    # Two side by side: the outer neighbours of both are low.
    pair = high[:-1] & high[1:]
    outer = np.maximum(second[1:n], second[4 : n + 3])
    small = np.minimum(excess[:-1], excess[1:])
    pair &= outer < np.maximum(_FOOT * small / 3, 3 * scatter)
    both = np.zeros(n, dtype=bool)
    both[:-1] |= pair
    both[1:] |= pair
    return np.flatnonzero(alone | both)


def plateau(I: Array) -> IntArray:
    """Return the points that share the largest value, where three or more of them stand side by side."""
    top = I.max() == I
    if top.sum() < 3 or I.max() <= 1.2 * np.median(I):
        return np.empty(0, dtype=np.int64)
    runs = top[:-2] & top[1:-1] & top[2:]
    return np.flatnonzero(top) if runs.any() else np.empty(0, dtype=np.int64)


# --- Powder patterns -------------------------------------------------------------------------------------------------

UNITS = ("auto", *_axis_names.UNITS)

# What columns beside the first are called (normalised labels): intensities, and what they are not.
_NAMES = (
    ("I", r"i|iq|iobs|yobs|obs|i?raw|int|intens\w*|counts?|countss|cps|signal|data|y|f|meas\w*|net|mean|avg|intobs"),
    ("no", r"calc|icalc|ycalc|fit|bkg|ybkg|background|i?diff\w*|time\w*|step\w*|weight|w|monitor|d|dspac\w*|q|dq|dx|"
           r"2?th\w*|2?tth|2?theta|angle|twotheta|r|sigma|esd|err\w*|e|di|std\w*|mask|n|npts|pixels?|norm|number|index"),
)  # fmt: skip

_DI = ("di", "diq", "err", "error", "sigma", "esd", "std", "e", "dy", "uncertainty", "stddev", "sigmai")


def read_intensity(
    path: AnyPath, *, unit: str = "auto", wavelength: float | None = None, twothetazero: float = 0.0
) -> Intensity:
    """Return the powder pattern in a text file of two columns or more: Q or 2θ, I, and errors of I where it has them.

    Parameters
    ----------
    unit : of the first column: "A-1", "nm-1", "2theta" (degrees), "2theta-rad", "centidegrees" (GSAS), "d" (Å), "1/d",
        "sin(theta)/lambda", or "auto": what label, `integrationspace`, `dataformat`, a GSAS BANK line or the line that
        names the axis say; else the step against `tthstepd` and `qstep`, the name and ending of the file, a known
        wavelength (2θ); else Å⁻¹. All of it is checked against what is possible (2θ up to 180°, Q up to 4π/λ) and
        likely (where the strongest peak lies, where Q ends).
    wavelength : Å, for 2θ; default: what the header says (Å, nm, or m as pyFAI has it; or an energy in keV or eV).
    twothetazero : degrees, subtracted from 2θ.

    Columns are x, I; x, I, dI; or x, I, dx, dI. Errors count only if all of them are positive. Zeros at the beginning
    are the beam stop, other zeros and NaN masked pixels: they are left out. `Intensity.remarks` (and PdfkitWarnings)
    say that, what was assumed or contradicts itself, and what is odd: negative values, hot pixels, saturation, gaps.
    How the unit was found is in the header under "note unit".

    Raises
    ------
    ReadError : with file and line, when the file is missing, damaged, or nothing says what its first column is.
    PdfkitError : a keyword has an impossible value.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> angle = np.arange(20, 60, 0.02)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     I = 10 + 900 * np.exp(-((angle - 28.44) ** 2) / 0.01)
    ...     pk.io.write_columns(f"{folder}/si.xy", ["2theta", "I"], [angle, I])
    ...     pattern = pk.read_intensity(f"{folder}/si.xy", wavelength=1.5406)
    >>> print(f"d = {2 * np.pi / pattern.Q[pattern.I.argmax()]:.2f} Å")  # silicon 111
    d = 3.14 Å
    """
    _checks.choice("unit", unit, UNITS)
    if wavelength is not None:
        wavelength = _checks.number("wavelength", wavelength, low=0.0, open_low=True)
        if not _header.WAVELENGTHS[0] <= wavelength <= _header.WAVELENGTHS[1]:
            message = (
                f"wavelength = {wavelength:g} is not in Å, {_header.WAVELENGTHS[0]:g} to {_header.WAVELENGTHS[1]:g}"
            )
            raise PdfkitError(f"{message}: is it in nm, pm or m, or an energy in keV (12.398/keV is Å)?")
    zero = _checks.number("twothetazero", twothetazero)
    table = read_table(path)
    with _header.as_read_errors(path):
        pattern = _read(table, unit, wavelength, zero)
    for text in pattern.remarks:
        remark(f"{path}: {text}", stacklevel=2)
    return pattern


def read_small_angles(path: AnyPath, unit: str = "auto", wavelength: float | None = None) -> Intensity:
    """Return small-angle scattering from a file, as `read_intensity`, but its low Q is nothing to be remarked.

    Raises ReadError where neither `unit` nor the file says whether Q is in Å⁻¹ or nm⁻¹: both are usual.
    """
    _checks.choice("unit", unit, UNITS)
    table = read_table(path)
    with _header.as_read_errors(path):
        facts = _header.Facts(table)
        if unit == "auto" and all(hint.unit == "Q" for hint in _axis_names.said(table, facts)):
            raise table.error(
                f"nothing says whether Q, {table.data[0, 0]:g} to {table.data[-1, 0]:g}, is in Å⁻¹ or nm⁻¹, and small "
                "angles are told in both: say A-1 or nm-1 (--saxs-unit, or unit in a recipe)"
            )
        pattern = _read(table, unit, wavelength, 0.0)
    pattern = replace(pattern, remarks=tuple(text for text in pattern.remarks if _axis.SMALL not in text))
    for text in pattern.remarks:
        remark(f"{path}: {text}", stacklevel=2)
    return pattern


def _read(table: Table, unit: str, given: float | None, zero: float) -> Intensity:
    facts = _header.Facts(table)
    header = _header.collect(table.header)
    _refuse_functions(table, facts)
    header_says, remarks = _header.wavelength(facts)
    if given is not None and header_says is not None and abs(given - header_says) > 0.002 * given:
        remarks.append(f"the header says wavelength {header_says:.6g} Å, {given:.6g} Å was given and is taken")
    wavelength = given or header_says
    check_finite(table, table.data[:, 0], "the first column")
    labels = _labels(table)
    column, moved = _intensities(table, labels)
    remarks += [moved] if moved else []
    if column != 1:
        table = replace(table, data=np.insert(table.data, 1, table.data[:, column], axis=1))
        labels = [labels[0], labels[column], *labels[1:]]
    keep, missing = usable(table)
    axis = _axis.decide(table, facts, unit, wavelength)
    if axis.unit == "d" and table.data[0, 0] < table.data[-1, 0]:
        # Q increases where d decreases.
        table, keep = replace(table, data=table.data[::-1], lines=table.lines[::-1]), keep[::-1]
    elif axis.unit != "d":
        check_increasing(table, table.data[:, 0], "Q or 2θ")
    header["note unit"] = f"{axis.unit}: {axis.why}"
    if zero and axis.unit not in _axis.ANGLES:
        remarks.append(f"twothetazero = {zero:g} has no effect: the first column is {_axis_names.SPOKEN[axis.unit]}")
    Q = _in_inverse_angstrom(table, axis.unit, wavelength, zero)
    remarks += [*axis.remarks, *missing, *oddities(table.path, Q[keep], table.data[keep, 1])]
    return Intensity(
        Q[keep],
        table.data[keep, 1],
        _errors(table, keep, labels, header),
        probe=facts.probe(),
        wavelength=wavelength,
        header=header,
        name=_header.title(table),
        composition=facts.text("composition|formula"),
        remarks=tuple(remarks),
    )


def _refuse_functions(table: Table, facts: _header.Facts) -> None:
    kind = facts.word("outputtype") or ""
    first, second = (*table.labels, "", "")[:2]
    suffix = Path(table.path).suffix.lower()
    unnamed = not first and suffix in (".gr", ".fgr", ".sq", ".fq")
    if kind in ("gr", "sq", "fq") or unnamed or re.match(r"[SFG]\(|r(?![A-Za-z_])", second or first):
        raise table.error("this is not an intensity: use read_sq for S(Q) and F(Q), read_pdf for G(r)")


def _in_inverse_angstrom(table: Table, unit: str, wavelength: float | None, zero: float) -> Array:
    x = table.data[:, 0]
    if unit in _axis.ANGLES:
        if wavelength is None:
            raise table.error("intensities against 2θ need the wavelength: give wavelength= in Å")
        angle = x * _axis.DEGREES[unit] - zero
        if angle[-1] > 180:
            raise table.error(f"2θ = {angle[-1]:g} degrees is impossible: is the first column Q? Then give unit=", -1)
        if angle[0] < 0:
            raise table.error(f"2θ starts at {angle[0]:g}: correct twothetazero, or delete the rows")
        return to_Q(angle, wavelength)
    if unit == "d":
        if x[-1] <= 0:
            raise table.error(f"d = {x[-1]:g} Å is impossible: delete the row, or give unit=", -1)
        return 2 * np.pi / x
    return x * _axis.FACTORS[unit]


def _labels(table: Table) -> list[str]:
    """Return the names of the columns in lower case, without units; [] where no line has one for each."""
    names = _axis_names.columns(table)
    return _header.normal(names)[: table.data.shape[1]] if len(names) >= 2 else []


def _intensities(table: Table, labels: Sequence[str]) -> tuple[int, str]:
    """Return the column of the intensities, and a remark where it is not the second, or others may be some, too.

    Raises ReadError when the second column is named after something else and no other is intensities.
    """
    kinds = [next((kind for kind, form in _NAMES if re.fullmatch(form, label)), "") for label in labels]
    second = kinds[1] if len(kinds) > 1 else ""
    if second in ("I", "") or not labels:
        unused = [
            label
            for label, kind in zip(labels[2:], kinds[2:], strict=True)
            if label and kind != "no" and label not in _DI
        ]
        return 1, f"columns that are not used: {', '.join(unused)[:60]}" if unused else ""
    others = [i for i, kind in enumerate(kinds) if kind == "I" and i > 0]
    if not others:
        names = ", ".join(labels)[:80]
        raise table.error(f"none of the columns ({names}) is labelled as intensity: make it the second column")
    return others[0], f"the intensities are column {others[0] + 1}, {labels[others[0]]!r}"


def _errors(
    table: Table, keep: np.typing.NDArray[np.bool_], labels: Sequence[str], header: dict[str, str]
) -> Array | None:
    width = table.data.shape[1]
    column = next((i for i, label in enumerate(labels) if i > 1 and label in _DI), None)
    if column is None and len(labels) <= 2 and width >= 3:
        column = 2 if width == 3 else 3
    if column is None:
        return None
    error = _header.usable_error(table.data[keep], column)
    if error is None:
        header["note errors"] = "the column of errors is not positive throughout: left out"
    return error
