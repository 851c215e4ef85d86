"""The columns of a file that holds a function of r or of Q: x, the values, their errors, and what is left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pdfkit._checks import Array
from pdfkit._curve_kinds import OF_Q, OF_R, Sample
from pdfkit.errors import ReadError
from pdfkit.io import _header, _kinds
from pdfkit.io._kinds import Said
from pdfkit.io._text import Table

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
        raise ReadError(
            table.path, f"the columns are {names}, and none of them is {kinds[kind].symbol}: give another kind"
        )
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
        raise ReadError(table.path, f"the columns are partial functions ({text}): give a file with their weighted sum")
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
