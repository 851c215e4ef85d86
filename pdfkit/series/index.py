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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, nearest
from pdfkit.io import _header
from pdfkit.io._text import NUMBER, read_header
from pdfkit.series.scans import Axis
from pdfkit.series.tables import of_table
from pdfkit.series.units import KELVIN, TAIL, UNIT, UNITS

TABLES = (".csv", ".tsv", ".txt", ".dat")
_WORD = re.compile(r"\{(\w+)\}")
_UP = 3
"""Folders above a file, and the file, whose names may hold the index."""
_NEGATIVE = r"(?<![A-Za-z0-9])[+-]"
"""A sign; the hyphen of Ni-300K is none."""


def natural(path: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts file names as people do: scan2 before scan10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path) if part]


def index_of(paths: Sequence[str], index: Any, name: str | None = None, unit: str | None = None) -> Axis:
    """Return the index of files; a file that has none gets NaN.

    Raises PdfkitError where no file has one, or they have it in different units, for a pattern without a group, a table
    without the files.
    """
    word, values, found = _found(paths, "number" if index is None else index)
    word = name or word
    if not np.isfinite(values).any():
        raise PdfkitError(f"no file has the index {index!r}: {_remedy(paths, index)}", key="index")
    return Axis(word, values, _unit(word, values, found) if unit is None else unit)


def _unit(word: str, values: Array, found: Iterable[str]) -> str:
    """Return the unit of an index; PdfkitError where files state different ones."""
    stated = sorted({UNITS[one] for one in found if one})
    if len(stated) > 1:
        raise PdfkitError(f"the files give {word} in {', '.join(stated)}: give the numbers, index=[…]", key="index")
    if stated:
        return stated[0]
    return "K" if word in KELVIN and not (values < 0).any() else ""


def _found(paths: Sequence[str], index: Any) -> tuple[str, Array, Iterable[str]]:
    """Return what the index is, its values, and the units that are stated."""
    if not isinstance(index, str):
        values = _checks.array("index", index, finite=False)
        if values.size != len(paths):
            raise PdfkitError(f"index has {values.size} values for {len(paths)} scans: give one for each", key="index")
        return "index", values, ()
    if index == "number":
        return "number", np.arange(len(paths), dtype=np.float64), ()
    file, _, column = index.rpartition(":") if is_table(index.rpartition(":")[0]) else (index, "", "")
    if is_table(file):
        return of_table(paths, file, column)
    if "{" in index or "(" in index:
        return _of_names(paths, index)
    pairs = [_of_header(path, index) for path in paths]
    return index, np.array([value for value, _ in pairs]), [unit for _, unit in pairs]


def is_table(word: str) -> bool:
    """Return whether this is the name of a table, by its ending."""
    return Path(word).suffix.lower() in TABLES and not _WORD.search(word)


def names_table(index: str) -> bool:
    """Return whether an index is a table, or a column of one."""
    return is_table(index) or is_table(index.rpartition(":")[0])


def _remedy(paths: Sequence[str], index: Any) -> str:
    """Return where else an index could be."""
    if isinstance(index, str) and index.isidentifier():
        keys = [key for key in _header.collect(read_header(paths[0])) if not key.startswith("line ")]
        near = f"the nearest keys of the headers are {nearest(index, keys)}; " if keys else ""
        return f'{near}or give a pattern of their names, such as "{{{index}}}K" for {Path(paths[0]).name}'
    return f"their names are like {Path(paths[0]).name}"


# --- Headers ---------------------------------------------------------------------------------------------------------


def _of_header(path: str, key: str) -> tuple[float, str]:
    """Return the number that a header gives for a key, and its unit; NaN where it gives none or cannot be read."""
    try:
        texts = [text for _, text in _header.Facts.of_lines(path, read_header(path)).lines]
    except PdfkitError:
        return math.nan, ""
    if key != "T" and key.casefold() not in KELVIN:
        return _said(texts, re.escape(key), re.IGNORECASE)
    value, unit = _said(texts, "temperature|temp", re.IGNORECASE)
    if math.isnan(value):
        value, unit = _said(texts, "T", re.NOFLAG)
    unit = unit or "K"
    return (math.nan if unit == "K" and value < 0 else value), unit


def _said(texts: Sequence[str], keys: str, flags: re.RegexFlag) -> tuple[float, str]:
    """Return the number and unit of the first line that begins with a key, else of any."""
    unit = rf"[(\[]?\s*({UNIT})\s*[)\]]?(?![\w°])"
    said = rf"(?:{keys})\s*(?:{unit})?\s*[=:]\s*({NUMBER})(?![\d.]|,[0-9])(?:\s*{unit}|(?!\w))"
    first, anywhere = re.compile(said, flags), re.compile(rf"(?<![\w.]){said}", flags)
    found = next((m for m in map(first.match, texts) if m), None)
    found = found or next((m for m in map(anywhere.search, texts) if m), None)
    if found is None:
        return math.nan, ""
    word = found[1] or found[3] or ""
    return float(found[2].lower().replace("d", "e")), word if word in UNITS else ""


# --- Names -----------------------------------------------------------------------------------------------------------


def _of_names(paths: Sequence[str], pattern: str) -> tuple[str, Array, list[str]]:
    try:
        expression = re.compile(_expression(pattern))
    except re.error as error:
        raise PdfkitError(f"index {pattern!r} is no regular expression ({error}): correct it", key="index") from None
    if not expression.groups:
        raise PdfkitError(f'index {pattern!r} has no group: put what is the number into (…), or write "{{T}}K"')
    pairs = _in_names(paths, expression)
    return next(iter(expression.groupindex), "index"), np.array([v for v, _ in pairs]), [unit for _, unit in pairs]


def _expression(pattern: str) -> str:
    """Return "{temperature}K" as a regular expression; what is one stays."""
    words = _WORD.findall(pattern)
    if not words or "(" in pattern:
        return pattern
    if len(words) > 1:
        raise PdfkitError(f"index {pattern!r} has {len(words)} words in braces: an index is one number", key="index")
    before, after = _WORD.sub("\0", pattern).split("\0")
    sign = "[+-]" if before else _NEGATIVE
    number = rf"(?<![0-9.])(?P<{words[0]}>(?:{sign})?{NUMBER.removeprefix('[+-]?')})"
    return re.escape(before) + number + re.escape(after)


def _in_names(paths: Sequence[str], expression: re.Pattern[str]) -> list[tuple[float, str]]:
    """Return numbers and units in the names of files, or of the folders that they are in where no file has one."""
    places: list[Path] = [Path(path) for path in paths]
    for _ in range(_UP):
        pairs = [_in_name(place.name, expression) for place in places]
        if any(math.isfinite(value) for value, _ in pairs):
            break
        places = [place.parent for place in places]
    return pairs


def _in_name(name: str, expression: re.Pattern[str]) -> tuple[float, str]:
    found = expression.search(name)
    try:
        value = float(found[1]) if found else math.nan
    except (ValueError, TypeError):
        return math.nan, ""
    unit = TAIL.match(name, found.end(1)) if found else None
    return value, unit[1] if unit else ""
