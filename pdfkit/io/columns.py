"""Columns of numbers: which is which, what they betray, and plain columns with names read and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF, SQ
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, remark
from pdfkit.io import _header, _kinds
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.io._functions import OF_Q, OF_R, Kind, Sample, convert
from pdfkit.io._kinds import Said
from pdfkit.io._text import Table, read_table, split_labels

# --- What a column of r can betray -----------------------------------------------------------------------------------

# A step may be this far from the common one: r is often rounded to a few digits.
_STEP_TOLERANCE = 0.35

# Irregular steps up to this share of all are damage; more than that is a grid made that way.
_DAMAGE_SHARE = 0.05

_WIDEST = 1.0  # Å: data that end at Q = 3.1 Å⁻¹ have as many points


def check_finite(table: Table, values: Array, name: str) -> None:
    """Refuse NaN and infinities, naming the line."""
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        i = int(bad[0])
        raise table.error(f"{name} = {values[i]} is not a finite number: repair or delete the row", i)


def check_increasing(table: Table, x: Array, name: str) -> None:
    """Refuse fewer than two points, negative values and steps that are not upward, naming the line."""
    check_finite(table, x, name)
    if x.size < 2:
        raise table.error(f"there is only one row, {name} = {x[0]:g}: at least 2 are needed", 0)
    if x[0] < 0:
        raise table.error(f"{name} = {x[0]:g} is negative: is this the right file?", 0)
    bad = np.flatnonzero(x[1:] <= x[:-1])
    if bad.size:
        i = int(bad[0]) + 1
        what = "repeats" if x[i] == x[i - 1] else f"follows {x[i - 1]:.10g}"
        raise table.error(f"{name} = {x[i]:.10g} {what}: {name} must increase; delete or sort the rows", i)


def check_grid(table: Table, r: Array, *, gaps: bool = True) -> bool:
    """Return whether r is uniform; refuse values out of order and, with `gaps`, a lost or damaged line.

    A grid that is uniform but for a few isolated steps (each at most two in a row, together at most 5 % of
    all) has lost a line or holds a damaged r. Grids with more irregular steps than that were made so.
    """
    check_increasing(table, r, "r")
    step = np.diff(r)
    common = float(np.median(step))
    odd = np.abs(step - common) > _STEP_TOLERANCE * common
    if not odd.any():
        return True
    if not gaps or step.size < 8:
        return False
    edges = np.flatnonzero(np.diff(np.concatenate(([0], odd, [0]))))
    longest = int((edges[1::2] - edges[::2]).max())
    if longest <= 2 and odd.sum() <= max(1.0 if longest == 1 else 2.0, _DAMAGE_SHARE * step.size):
        i = int(np.argmax(odd)) + 1
        raise table.error(
            f"r goes from {r[i - 1]:.10g} to {r[i]:.10g} where the step is {common:.6g} elsewhere: "
            "a row is missing or its r is wrong; restore it, or split the file there",
            i,
        )
    return False


def check_count(table: Table) -> None:
    """Compare a point count on line 1 (RMCProfile, NOMAD) with the rows; some writers count one too few."""
    if not table.header or table.marked:
        return
    number, text = table.header[0]
    count = text.lstrip("# \t")
    if number != 1 or not count.isascii() or not count.isdigit():
        return
    rows = len(table.data)
    if rows not in (int(count), int(count) + 1):
        raise table.error(
            f"line 1 counts {count[:20]} points and there are {rows} rows: the file is cut short or mixed", -1
        )


def wide_steps(step: float, last: float) -> bool:
    """Return whether r in such steps, up to such a last one, cannot be in Å: steps are wider than any peak."""
    return step >= _WIDEST or (step >= 0.2 * _WIDEST and last > 250)


def check_length_unit(table: Table, unit: str | None, r: Array, G: Array | None) -> None:
    """Refuse r that is not in Å: said by a label, or shown by a short range with a peak where no atom pair is, or by
    steps wider than any peak."""
    remedy = 'give r_unit="nm" to convert r and G, or r_unit="A" if it is in Å'
    if unit == "nm":
        raise table.error(f"the header says that r is in nm: {remedy}")
    if unit not in (None, "A"):
        raise table.error(f'the label says that r is in {unit}: write it in Å or nm, or give r_unit="A"')
    step = float(np.median(np.diff(r)))
    if wide_steps(step, float(r[-1])):
        message = f"r goes to {r[-1]:g} in steps of {step:g}, too wide for Å: is it in pm, or are the rows numbered?"
        raise table.error(f'{message} Convert r to Å first, or give r_unit="A" if it is right')
    if G is not None and unit is None and 1.0 <= r[-1] < 6.0:
        peak = int(np.argmax(G))
        # No two nuclei are nearer than 0.7 Å; bond lengths are 0.1–0.7 nm. In Å, G at such r is a ripple of the
        # reduction: not alone, not beyond 50 Å⁻², not on steps of 0.001 Å.
        alone = not (np.abs(G[r < 0.1]) > 0.5 * G[peak]).any()
        fine = r[1] - r[0] < 0.003
        if G[peak] > 0 and 0.1 < r[peak] < 0.7 and (alone or fine or G[peak] > 50.0):
            raise table.error(f"r ends at {r[-1]:g}, G peaks at r = {r[peak]:g}: usual in nm, not in Å; {remedy}")


# --- The columns of a file that holds a function of r or of Q --------------------------------------------------------

_SIDE = r"(?i)(?:[gdtsfy]|rdf)?(?:\([rq]\))?[^a-z]*(?:{})[^a-z]*(?:r|q|\([rq]\))?\W*"

_OBSERVED = re.compile(_SIDE.format(r"obs|observed|expt?|experiment\w*|data|meas|measured|total|tot"))

_CALCULATED = re.compile(_SIDE.format(r"calc\w*|fit|model\w*|rmc|sim|simul\w*|theory|theor"))

_ERRORS = ("err", "error", "errors", "sigma", "esd", "std", "stderr", "unc", "uncertainty", "sig", "e", "dgobs")

_OF_VALUES = ("dg", "dgr", "ds", "dsq", "df", "dfq")

_SIGNS = ("d", "e", "err", "sigma", "sig")

# What else stands in tables beside the data.
_ELSE = re.compile(
    r"(?i)(?:g|s|y|f)?(?:diff\w*|residu\w*|resid|delta)(?:\([rq]\))?|weights?|w|n|temp\w*|t|bkg|background|"
    r"(?:un)?used|mask|flags?|coord\w*|cn|int\w*"
)

_PAIR = re.compile(r"(?:g|G|S|F|A|D|T)?_?\(?([A-Z][a-z]?)(?:[-–_]?)([A-Z][a-z]?)\)?(?:\([rQ]\))?")

# The letter that Keen's function shares with the usual one, and what stands beside it when the usual one is meant.
_KEEN = {"GK": "G", "FK": "F"}

_BESIDE: Mapping[str, frozenset[str]] = {"G": frozenset({"g", "g-1", "GK"}), "F": frozenset({"FK"})}


@dataclass(frozen=True)
class Asked:
    """What the caller said: kind, sample, probe and unit of x; "" or None where nothing."""

    kind: str | None = None
    sample: Sample = field(default_factory=Sample)
    probe: str | None = None
    unit: str | None = None


T = TypeVar("T", PDF, SQ)


def opened(path: AnyPath, asked: Asked, given: dict[str, Any], read: Callable[[Table, Asked, dict[str, Any]], T]) -> T:
    """Return what `read` makes of a file; what cannot be in what the caller gave is refused first.

    given : what is said of the instrument. Remarks are given as if by the caller of the caller.
    """
    Instrument(**given)  # Checked alone: an error in a keyword is not the file's.
    _header.check_sample(asked.sample)
    table = read_table(path)
    with _header.as_read_errors(path):
        found = read(table, asked, given)
    for text in found.remarks:
        remark(text, stacklevel=3)
    return found


@dataclass(frozen=True)
class Curve:
    """r or Q, values and errors of a file, what it says of them, and remarks."""

    x: Array
    y: Array
    error: Array | None
    said: Said
    notes: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    neutrons: bool = False


def as_asked(
    kind: Kind, said: Said, table: Mapping[str, Kind], alike: Sequence[tuple[str, str]]
) -> tuple[Kind, Said, tuple[str, ...]]:
    """Return the kind that was asked for, with a remark where the file says another.

    alike : pairs of what a file says and what it may mean, where it is not sure.
    """
    if said.kind not in table or said.kind == kind.name or (not said.sure and (said.kind, kind.name) in alike):
        return kind, said, ()
    return kind, said, (f"{said.how}, and it is read as {kind.symbol} because kind = {kind.name} was given",)


def converted(table: Table, curve: Curve, kind: Kind, how: str, sample: Sample) -> tuple[Array, Array | None, str]:
    """Return G or S of the values of another kind, its errors, and what was used in words."""
    try:
        return *convert(kind, curve.x, curve.y, curve.error, sample), sample.said(kind)
    except PdfkitError as fault:
        raise table.error(f"{how}, and cannot be converted: {fault}") from None


def curve(table: Table, kind: str | None, *, of: str) -> tuple[Curve, int, int | None]:
    """Return x, values and errors, and the columns of the last two.

    They are found by their labels; else columns are x, y; x, y, dy; or x, y, dx, dy (PDFgui's rule).
    """
    width = table.data.shape[1]
    labels = table.labels[:width]
    value, said, remarks = _value(table, labels, kind, of)
    error = _error(labels, value, width)
    usable = _header.usable_error(table.data, error)
    return Curve(table.data[:, 0], table.data[:, value], usable, said, remarks=remarks), value, error


def is_calculated(labels: tuple[str, ...], value: int) -> bool:
    """Return whether the column may be a calculation: no label says that it is measured, or that another is not."""
    if value >= len(labels):
        return True
    other = any(_is(_CALCULATED, label) for i, label in enumerate(labels) if i not in (0, value))
    return not other and not _is(_OBSERVED, labels[value])


def _is(side: re.Pattern[str], label: str) -> bool:
    """Return whether a label, with or without what stands in its last brackets, says on which side a column is."""
    return any(side.fullmatch(text) is not None for text in (label, _kinds.parts_of(label)[0]))


def _value(table: Table, labels: tuple[str, ...], kind: str | None, of: str) -> tuple[int, Said, tuple[str, ...]]:
    """Return the column of the values, what its label says, and a remark of others that could be meant."""
    kinds = OF_R if of == "r" else OF_Q
    errors = _errors(labels, of)
    said = {i: _kinds.of_label(label, of=of) for i, label in enumerate(labels) if i and i not in errors}
    for i in said:
        if _is(_OBSERVED, labels[i]):
            return i, said[i], ()
    known = {i: one for i, one in said.items() if one.kind in kinds}
    found = {one.kind for one in known.values()}
    if kind and len(known) > 1 and not {kind, _KEEN.get(kind, kind)} & found:
        names = ", ".join(labels[i] for i in known)
        raise table.error(f"the columns are {names}, and none of them is {kinds[kind].symbol}: give another kind")
    wanted = [name for name in (kind, _KEEN.get(kind or "")) if name]
    for name in (*wanted, *kinds):
        if name in found:
            i, one = next((i, one) for i, one in known.items() if one.kind == name)
            return i, replace(one, sure=True) if found & _BESIDE.get(name, frozenset()) else one, ()
    if len(labels) < 2 or not said:
        return 1, Said(), ()
    first = next(iter(said))
    return first, said[first], _not_used(table, {i: labels[i] for i in said}, first)


def _not_used(table: Table, labels: Mapping[int, str], chosen: int) -> tuple[str, ...]:
    """Return a remark of columns beside the first that could as well be the data; ReadError for partial functions."""
    names = {i: _kinds.parts_of(label)[0] for i, label in labels.items()}
    pairs = [labels[i] for i, name in names.items() if _PAIR.fullmatch(name)]
    if len(pairs) > 1 and labels[chosen] in pairs:
        text = ", ".join(pairs)[:60]
        raise table.error(f"the columns are partial functions ({text}): give a file with their weighted sum")
    other = [
        labels[i]
        for i, name in names.items()
        if i != chosen and not _is(_CALCULATED, labels[i]) and not _ELSE.fullmatch(name)
    ]
    if not other:
        return ()
    return (f"the column {labels[chosen][:30]} is read; not used: {', '.join(other)[:60]}",)


def _errors(labels: tuple[str, ...], of: str) -> set[int]:
    """Return which labels are those of errors: dG(r) of G(r), err; D(r) is no error of r."""
    normal = _header.normal(labels)
    derived = {f"{sign}{name}" for name in normal if name for sign in _SIGNS}
    return {
        i
        for i, name in enumerate(normal)
        if (name in _ERRORS or name in _OF_VALUES or name in derived)
        and not _kinds.is_known(_kinds.parts_of(labels[i])[0], of=of)
    }


def _error(labels: tuple[str, ...], value: int, width: int) -> int | None:
    """Return the column of the errors of column `value`."""
    normal = _header.normal(labels)
    name = normal[value] if value < len(normal) else ""
    wanted = {*(f"{sign}{name}" for sign in _SIGNS if name), *_OF_VALUES}
    for names in (wanted, _ERRORS):
        found = next((i for i, label in enumerate(normal) if i and i != value and label in names), None)
        if found is not None:
            return found
    if len(labels) <= 2 and width >= 3:
        return 2 if width == 3 else 3
    return None


# --- Plain columns with names ----------------------------------------------------------------------------------------


def read_columns(path: AnyPath) -> tuple[tuple[str, ...], Array, Mapping[str, str]]:
    """Return (names, values, header) of a text file: m names, (n, m) values, header as in `read_pdf`.

    Names are those of a `#L` line, else of the last comment line when it has one name per column, else
    "column 1"….

    Raises ReadError, with the line, when the file is missing, damaged, or holds NaN or infinities.

    Example
    -------
    >>> import tempfile
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_columns(f"{folder}/rate.txt", ["hours", "fraction"], [[0, 2, 4], [1.0, 0.6, 0.4]], ["T = 320"])
    ...     names, values, header = pk.io.read_columns(f"{folder}/rate.txt")
    >>> names, values[:, 1].tolist(), header["T"]
    (('hours', 'fraction'), [1.0, 0.6, 0.4], '320')
    """
    table = read_table(path)
    width = table.data.shape[1]
    names = table.labels
    if len(names) != width:
        above = [text for number, text in table.header if number < table.lines[0]]
        names = split_labels(_header.body(above[-1])) if above else ()
    if len(names) != width:
        names = tuple(f"column {i + 1}" for i in range(width))
    for name, column in zip(names, table.data.T, strict=True):
        check_finite(table, column, name)
    return names, _checks.array("values", table.data, ndim=2), _header.collect(table.header)


def write_columns(
    path: AnyPath, names: Sequence[str], columns: Sequence[Any], header_lines: Iterable[str] = ()
) -> None:
    """Write columns of equal length as text: `# ` header lines, a `#L` line of names, rows in full precision.

    Raises
    ------
    PdfkitError : names and columns do not match, a name has blanks or separators, a value is not finite.
    WriteError : the file cannot be written; an old one is then unchanged.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pdfkit as pk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pk.io.write_columns(f"{folder}/rate.txt", ["hours", "fraction"], [[0, 2, 4], [1.0, 0.6, 0.4]], ["T = 320"])
    ...     print(Path(folder, "rate.txt").read_text())
    # T = 320
    #L hours fraction
    0.0 1.0
    2.0 0.6
    4.0 0.4
    """
    if len(names) != len(columns) or len(names) < 2:
        raise PdfkitError(f"{len(names)} names for {len(columns)} columns: give at least two columns, one name each")
    for name in names:
        if split_labels(name) != (name,) or "\n" in name or name.startswith("#"):
            raise PdfkitError(f"the column name {name!r} would not be read back: use one word, without , ; or quotes")
    values = [_checks.array(name, column) for name, column in zip(names, columns, strict=True)]
    for name, column in zip(names, values, strict=True):
        if column.size != values[0].size or not column.size:
            message = f"column {name} has {column.size} rows and {names[0]} has {values[0].size}: they must match"
            raise PdfkitError(f"{message}, with at least one row")
    # A zero byte would make the file pass for binary.
    parts = [part for line in header_lines for part in str(line).replace("\0", "").splitlines()]
    lines = [f"# {part}".rstrip() for part in parts]
    lines.append("#L " + " ".join(names))
    lines += [" ".join(map(repr, row)) for row in np.column_stack(values).tolist()]
    write_text(path, "\n".join(lines) + "\n")
