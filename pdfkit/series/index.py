r"""The index of files: from a key of their headers, from their names, from a table, or given.

| index | where it comes from |
|---|---|
| "temperature" | a line `temperature = 150` of each header (K), or any other key |
| "{temperature}K", "T(?P<temperature>\d+)" | the name of each file: a number in place of the word, or a group |
| "log.csv", "log.csv:T", "log.csv:2" | a column of a table that names the files, by its name or number (from 1) |
| [100, 110, …] | these numbers, in the natural order of the files |
| "number", None | 0, 1, 2, … |
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, nearest
from pdfkit.io import _header
from pdfkit.io._text import NUMBER, read_header
from pdfkit.series import times
from pdfkit.series.scans import Axis
from pdfkit.series.tables import of_table
from pdfkit.series.units import KELVIN, TAIL, UNIT, is_kelvin, one_degree, unit_of

TABLES = (".csv", ".tsv", ".txt", ".dat")
_WORD = re.compile(r"\{(\w+)\}")
COLDEST = -459.67
"""A temperature below this is none, in K, °C or °F."""
_DECIMALS = 2
"""So many digits behind a mark may be decimals: 250_25, but not those of scan 3_300."""
_UP = 3
"""Folders above a file, and the file, whose names may hold the index."""
_MINUS = "−", "minus", "neg"
_NEGATIVE = rf"(?<![A-Za-z0-9])(?:[+-]|{'|'.join(_MINUS)}|[mn](?=[0-9.p]+°?(?:deg)?C))"
"""A sign; the hyphen of Ni-300K is none, and m20C and n20C are −20 °C."""
_IN_NAME = r"(?:(?<==)\.[0-9]+|[0-9]+(?:[.,p][0-9]+)?(?:[eE][+-]?[0-9]+)?)"
"""A number without its sign: 0.5, 250p5, 250,5; the dot of x.300.gr begins none."""
_MARK = r"[^A-Za-z0-9.,+]|to|pt|d"
"""What stands between two numbers that may be one, or the ends of a range: 250_5, 250-5, 250d5, 100to200."""
_BEFORE = re.compile(rf"(?<![A-Za-z])([A-Za-z]*)(?<![0-9.,])(0|[1-9][0-9]{{0,3}})({_MARK})\Z")
_AFTER = re.compile(rf"({_MARK})([0-9]+)(?![0-9])")
_JOINED = re.compile(r"([0-9]+)(?:[^A-Za-z0-9.,+]|pt|d)([0-9]{1,2})")
"""What a group of an own pattern may take for one number: 250_5 is 250.5."""
_PLAIN = ("sample", "")
"""What may stand before a key without being said."""
_REST = re.compile(r"\s*(?:[-–,;/&:]|to\b|\.\.+)?\s*[0-9]|\s*[A-Za-z°]+")
"""What follows a number of a header and may make it another: a second number, a unit that none is known of."""


def natural(path: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts file names as people do: scan2 before scan10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path) if part]


@dataclass(frozen=True)
class _Found:
    """What an index is called, its values, the units that files state, and what is to be said of how it was found."""

    name: str
    values: Array
    units: Sequence[str] = ()
    said: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, numbers: Sequence[_Number]) -> _Found:
        """Return what files give, and the first doubt in it."""
        if any(one.stamp for one in numbers):
            units = [times.STAMP if one.stamp else one.unit or "numbers" for one in numbers if one.told]
            return cls(name, times.moments([one.stamp for one in numbers]), units)
        doubts = [one for one in numbers if one.doubt]
        more = f" ({len(doubts)} of {len(numbers)} files)" if len(numbers) > 1 else ""
        said = [f"{name} is {one.doubt}{more}: check that this is meant, else {one.instead}" for one in doubts[:1]]
        return cls(name, np.array([one.value for one in numbers]), [one.unit for one in numbers], said)


class _Number(NamedTuple):
    """A number, its unit, in what it was found where that leaves a doubt, and what to write if another is meant."""

    value: float
    unit: str = ""
    doubt: str = ""
    instead: str = "give the numbers, index=[…]"
    stamp: str = ""
    """A date or a time of day, in place of a number."""

    @property
    def told(self) -> bool:
        """Whether anything was found."""
        return bool(self.stamp) or math.isfinite(self.value)


def index_of(
    paths: Sequence[str], index: Any, name: str | None = None, unit: str | None = None, since: float | None = None
) -> Axis:
    """Return the index of files; a file that has none gets NaN. since : from when times count (s); None: the first.

    Raises PdfkitError where no file has one, or they have it in different units, for a pattern without a group, a table
    without the files.
    """
    found = _found(paths, "number" if index is None else index)
    # what is colder than can be stands for a number that was not measured
    there = np.isfinite(found.values) & ~((found.values < COLDEST) & is_kelvin(found.name))
    found = replace(found, values=np.where(there, found.values, math.nan))
    called, own, values = name or found.name, _unit(found) if unit is None else unit, found.values
    if not np.isfinite(values).any():
        raise PdfkitError(f"no file has the index {index!r}: {_remedy(paths, index)}", key="index")
    stamped = times.STAMP in found.units
    seconds = values if stamped else times.since_1970(called, values, own) if isinstance(index, str) else None
    if seconds is None:
        return Axis(called, values, own, tuple(found.said))
    counted, first, said = times.elapsed(called, seconds, since)
    return Axis(called, counted, unit or "s" if stamped else "s", (*found.said, said), first)


def _unit(found: _Found) -> str:
    """Return the unit of an index; PdfkitError where files state different ones."""
    stated = sorted({unit_of(one) or one for one in found.units if one})
    if len(stated) > 1:
        words = f"the files give {found.name} in {', '.join(stated)}: give the numbers, index=[…]"
        raise PdfkitError(words, key="index")
    if stated:
        return stated[0]
    return "K" if is_kelvin(found.name) and not (found.values < 0).any() else ""


def _found(paths: Sequence[str], index: Any) -> _Found:
    """Return what the index is."""
    if not isinstance(index, str):
        values = _checks.array("index", index, finite=False)
        if values.size != len(paths):
            raise PdfkitError(f"index has {values.size} values for {len(paths)} scans: give one for each", key="index")
        return _Found("index", values)
    if index == "number":
        return _Found("number", np.arange(len(paths), dtype=np.float64))
    file, _, column = index.rpartition(":") if is_table(index.rpartition(":")[0]) else (index, "", "")
    if is_table(file):
        return _Found(*of_table(paths, file, column))
    if "{" in index or "(" in index:
        return _of_names(paths, index)
    return _Found.of(index, [_of_header(path, index) for path in paths])


def is_table(word: str) -> bool:
    """Return whether this is the name of a table, by its ending."""
    return Path(word).suffix.lower() in TABLES and not _WORD.search(word)


def names_table(index: str) -> bool:
    """Return whether an index is a table, or a column of one."""
    return is_table(index) or is_table(index.rpartition(":")[0])


def _remedy(paths: Sequence[str], index: Any) -> str:
    """Return where else an index could be."""
    if isinstance(index, str) and index.isidentifier():
        header = _header.collect(read_header(paths[0]))
        if index in header:
            return f"{Path(paths[0]).name} says {str(header[index])[:40]!r}, which is no number: give them, index=[…]"
        keys = [key for key in header if not key.startswith("line ")]
        near = f"the nearest keys of the headers are {nearest(index, keys)}; " if keys else ""
        return f'{near}or give a pattern of their names, such as "{{{index}}}K" for {Path(paths[0]).name}'
    return f"their names are like {Path(paths[0]).name}"


# --- Headers ---------------------------------------------------------------------------------------------------------


def _of_header(path: str, key: str) -> _Number:
    """Return the number that a header gives for a key; NaN where it gives none or cannot be read."""
    try:
        texts = [one_degree(text) for _, text in _header.Facts.of_lines(path, read_header(path)).lines]
    except PdfkitError:
        return _Number(math.nan)
    if (stamp := _stamp(texts, key)) is not None:
        return _Number(math.nan, stamp=stamp)
    if key != "T" and key.casefold() not in KELVIN:
        return _said(texts, re.escape(key), re.IGNORECASE)
    long, short = _said(texts, "temperature|temp", re.IGNORECASE), _said(texts, "T", re.NOFLAG)
    found = short if math.isnan(long.value) else long
    if math.isfinite(short.value) and short.value != found.value:
        found = found._replace(doubt=f"{found.value:g}, and T = {short.value:g} in the same header")
    if found.value < 0 and found.unit in ("", "K"):
        return _Number(math.nan)
    return found if found.unit else found._replace(unit="K")


def _stamp(texts: Sequence[str], key: str) -> str | None:
    """Return the date or time of day that a header gives for a key, None for none."""
    said = re.compile(rf"[\s#%;{{\"']*{re.escape(key)}[\"']?\s*[=:]\s*[\"']?(.*?)[\s\"',}}]*", re.IGNORECASE)
    found = (said.fullmatch(text) for text in texts)
    return next((one[1] for one in found if one and times.is_stamp(one[1], key)), None)


def _said(texts: Sequence[str], keys: str, flags: re.RegexFlag) -> _Number:
    """Return the number of the first line that begins with a key, else of any."""
    unit = rf"[(\[]?\s*({UNIT})\s*[)\]]?(?![\w°])"
    said = (
        rf"(?:{keys})[\"']?[\s_/]*(?:{unit})?\s*[=:]\s*[\"'\[]?({NUMBER})(?![\d.]|,[0-9])(?:[\"'\]]?\s*{unit}|(?!\w))"
    )
    first, anywhere = re.compile(said, flags), re.compile(rf"(?<![^\W_])(?<!\.){said}", flags)
    lines = [m for m in map(first.match, texts) if m] or [m for m in map(anywhere.search, texts) if m]
    if not lines:
        return _Number(math.nan)
    numbers = list(dict.fromkeys(float(one[2].lower().replace("d", "e")) for one in lines))
    found = lines[0]
    word = found[1] or found[3] or ""
    before = found.string[: found.start()].strip(" \t#%!;_-*{}'\"")
    rest = "" if word else found.string[found.end() :]
    doubt = ""
    if len(numbers) > 1:
        doubt = f"the first of {', '.join(f'{one:g}' for one in numbers[:3])} in one header"
    elif before.casefold() not in _PLAIN or _REST.match(rest):
        doubt = f"the {numbers[0]:g} of {found.string.strip()[:60]!r}"
    return _Number(numbers[0], unit_of(word), doubt)


# --- Names -----------------------------------------------------------------------------------------------------------


def _of_names(paths: Sequence[str], pattern: str) -> _Found:
    try:
        expression = re.compile(_expression(pattern))
    except re.error as error:
        raise PdfkitError(f"index {pattern!r} is no regular expression ({error}): correct it", key="index") from None
    if not expression.groups:
        raise PdfkitError(f'index {pattern!r} has no group: put what is the number into (…), or write "{{T}}K"')
    return _Found.of(next(iter(expression.groupindex), "index"), _in_names(paths, expression))


def _expression(pattern: str) -> str:
    """Return "{temperature}K" as a regular expression; what is one stays."""
    words = _WORD.findall(pattern)
    if not words or "(" in pattern:
        return pattern
    if len(words) > 1:
        raise PdfkitError(f"index {pattern!r} has {len(words)} words in braces: an index is one number", key="index")
    before, after = _WORD.sub("\0", pattern).split("\0")
    sign = rf"[+-]|{'|'.join(_MINUS)}" if before else _NEGATIVE
    number = rf"(?<![0-9])(?<![0-9][.,p])(?P<{words[0]}>(?:{sign})?{_IN_NAME})"
    return re.escape(before) + number + re.escape(after)


def _in_names(paths: Sequence[str], expression: re.Pattern[str]) -> list[_Number]:
    """Return numbers in the names of files, or of the folders that they are in where no file has one."""
    places: list[Path] = [Path(path) for path in paths]
    for _ in range(_UP):
        numbers = [_in_name(place.name, expression) for place in places]
        if any(one.told for one in numbers):
            break
        places = [place.parent for place in places]
    return numbers


def _in_name(name: str, expression: re.Pattern[str]) -> _Number:
    """Return the number of a name. The 5 of 5Kapton is no temperature, that of 5Kelvin is."""
    found = [one for one in expression.finditer(one_degree(name)) if not _goes_on(one)]
    if not found:
        return _Number(math.nan)
    first, values = found[0], list(dict.fromkeys(_number(one[1]) for one in found))
    if stamp := times.in_name(first.string, *first.span(1)):
        return _Number(math.nan, stamp=stamp)
    unit = TAIL.match(first.string, first.end(1))
    number = _Number(values[0], unit[1] if unit else "")
    other = _in_two_ways(first)
    if other is not None:
        return number._replace(doubt=f"{values[0]:g} in {name!r}, which may mean {other[0]}", instead=other[1])
    if len(values) > 1:
        return number._replace(doubt=f"the first of {', '.join(f'{one:g}' for one in values[:3])} in {name!r}")
    plain = re.fullmatch(r"[+-]?[0-9.][0-9.eE+-]*", first[1] or "") and not _JOINED.fullmatch(first[1])
    return number if plain else number._replace(doubt=f"{values[0]:g} in {name!r}")


def _in_two_ways(found: re.Match[str]) -> tuple[str, str] | None:
    """Return what else the number of a name and the one beside it may mean, and what to write for that."""
    text, (start, end) = found.string, found.span(1)
    if not re.fullmatch("[0-9]+", found[1] or ""):
        return None
    before = _BEFORE.search(text, max(0, start - 20), start)
    if before and _may_be_one(before[1], before[2], before[3], found[1]):
        word, whole, mark, rest = "", before[2], before[3], found[1]
    elif (after := _AFTER.match(text, end)) and end == found.end() and found[1][0] != "0":
        word, whole, mark, rest = text[found.start() : start], found[1], after[1], after[2]
    else:
        return None
    if mark == "to" or (mark == "-" and len(rest) == len(whole) > _DECIMALS):
        return f"{whole} to {rest}", "give the numbers, index=[…]"
    if len(rest) > _DECIMALS:
        return None
    group = f"(?P<{next(iter(found.re.groupindex), 'index')}>[0-9]+(?:{_literal(mark)}[0-9]{{1,2}})?)"
    behind = text[end : found.end()] if before else ""
    return f"{whole}.{rest}", f'write "{_literal(word)}{group}{_literal(behind)}" for that'


def _may_be_one(word: str, whole: str, mark: str, rest: str) -> bool:
    """Return whether what stands before a number belongs to it: not the 2 of Fe2_5, nor that of scan2_5."""
    of_number = word in ("", *KELVIN) or len(whole) > _DECIMALS
    return of_number and (len(rest) <= _DECIMALS or mark == "to" or (mark == "-" and len(rest) == len(whole)))


def _literal(text: str) -> str:
    """Return a text as an expression that matches it, with as few backslashes as can be."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"[\1]", text)


def _goes_on(found: re.Match[str]) -> bool:
    """Return whether the word that a match ends in goes on, and is no unit."""
    rest, end = found.string[found.end() :], found.string[found.end(1) : found.end()]
    tail = re.match(r"[A-Za-z]*", found.string[found.end(1) :])
    return end[-1:].isalpha() and rest[:1].islower() and not (tail and unit_of(tail[0]))


def _number(text: str | None) -> float:
    """Return the number that a part of a name is, NaN for none."""
    words = re.fullmatch(rf"(?P<sign>[+-]|{'|'.join(_MINUS)}|[mn])?(?P<size>{_IN_NAME})", text or "")
    if words is None:
        joined = _JOINED.fullmatch(text or "")
        return float(f"{joined[1]}.{joined[2]}") if joined else math.nan
    size = float(re.sub("[,p]", ".", words["size"]))
    return size if words["sign"] in (None, "+") else -size
