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

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, ReadError, nearest
from pdfkit.io import _header
from pdfkit.io._text import NUMBER, read_header, read_text
from pdfkit.series.scans import Axis

TABLES = (".csv", ".tsv", ".txt", ".dat")
UNITS = {"temperature": "K", "T": "K"}
"""Units of what readers convert, or what a header states without one."""
_UNIT = r"(?:\s*[A-Za-zµ°%]{1,4})?"
_WORD = re.compile(r"\{(\w+)\}")


def natural(path: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts file names as people do: scan2 before scan10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", path) if part]


def index_of(paths: Sequence[str], index: Any, name: str | None = None, unit: str | None = None) -> Axis:
    """Return the index of files; a file that has none gets NaN.

    Raises PdfkitError where no file has one, for a pattern without a group, a table without the files.
    """
    word, values = _found(paths, "number" if index is None else index)
    word = name or word
    if not np.isfinite(values).any():
        raise PdfkitError(f"no file has the index {index!r}: {_remedy(paths, index)}", key="index")
    return Axis(word, values, UNITS.get(word, "") if unit is None else unit)


def _found(paths: Sequence[str], index: Any) -> tuple[str, Array]:
    if not isinstance(index, str):
        values = _checks.array("index", index, finite=False)
        if values.size != len(paths):
            raise PdfkitError(f"index has {values.size} values for {len(paths)} scans: give one for each", key="index")
        return "index", values
    if index == "number":
        return "number", np.arange(len(paths), dtype=np.float64)
    file, _, column = index.rpartition(":") if is_table(index.rpartition(":")[0]) else (index, "", "")
    if is_table(file):
        return _of_table(paths, file, column)
    if "{" in index or "(" in index:
        return _of_names(paths, index)
    return index, np.array([_of_header(path, index) for path in paths])


def is_table(word: str) -> bool:
    """Return whether this is the name of a table, by its ending."""
    return Path(word).suffix.lower() in TABLES and not _WORD.search(word)


def _remedy(paths: Sequence[str], index: Any) -> str:
    """Return where else an index could be."""
    if isinstance(index, str) and index.isidentifier():
        keys = [key for key in _header.collect(read_header(paths[0])) if not key.startswith("line ")]
        near = f"the nearest keys of the headers are {nearest(index, keys)}; " if keys else ""
        return f'{near}or give a pattern of their names, such as "{{{index}}}K" for {Path(paths[0]).name}'
    return f"their names are like {Path(paths[0]).name}"


# --- Headers ---------------------------------------------------------------------------------------------------------


def _of_header(path: str, key: str) -> float:
    """Return the number that a header gives for a key, NaN where it gives none or the file cannot be read."""
    try:
        facts = _header.Facts.of_lines(path, read_header(path))
        if key in UNITS:
            found = facts.temperature()
            return math.nan if found is None else found
        found = facts.number(re.escape(key), suffix=_UNIT)
    except PdfkitError:
        return math.nan
    return math.nan if found is None else found


# --- Names -----------------------------------------------------------------------------------------------------------


def _of_names(paths: Sequence[str], pattern: str) -> tuple[str, Array]:
    try:
        expression = re.compile(_expression(pattern))
    except re.error as error:
        raise PdfkitError(f"index {pattern!r} is no regular expression ({error}): correct it", key="index") from None
    if not expression.groups:
        raise PdfkitError(f'index {pattern!r} has no group: put what is the number into (…), or write "{{T}}K"')
    return next(iter(expression.groupindex), "index"), np.array([_in_name(path, expression) for path in paths])


def _expression(pattern: str) -> str:
    """Return "{temperature}K" as a regular expression; what is one stays."""
    if not (word := _WORD.search(pattern)) or "(" in pattern:
        return pattern
    return re.escape(pattern[: word.start()]) + f"(?P<{word[1]}>{NUMBER})" + re.escape(pattern[word.end() :])


def _in_name(path: str, expression: re.Pattern[str]) -> float:
    found = expression.search(Path(path).name)
    try:
        return float(found[1]) if found else math.nan
    except (ValueError, TypeError):
        return math.nan


# --- Tables ----------------------------------------------------------------------------------------------------------


def _of_table(paths: Sequence[str], file: str, column: str) -> tuple[str, Array]:
    heads, rows = _rows(file)
    names = {Path(path).name: k for k, path in enumerate(paths)} | {Path(path).stem: k for k, path in enumerate(paths)}
    named = next((k for k in range(len(rows[0])) if any(Path(row[k]).name in names for row in rows)), None)
    at = _column(file, column, heads, rows, named)
    values = np.full(len(paths), math.nan)
    if named is None:
        if len(rows) != len(paths):
            raise ReadError(file, f"it has {len(rows)} rows for {len(paths)} scans: add a column with the file names")
        values[:] = [_number(row[at]) for row in rows]
    else:
        for row in rows:
            if (place := names.get(Path(row[named]).name)) is not None:
                values[place] = _number(row[at])
    return heads[at] if heads else column or "index", values


def _rows(file: str) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns ([] where there are none) and the rows of a table."""
    lines = [line for line in read_text(file).split("\n") if line.strip()]
    comments = [line.lstrip("#% ") for line in lines if line.startswith(("#", "%"))]
    body = [line for line in lines if not line.startswith(("#", "%"))]
    cut = next((one for one in ("\t", ";", ",") if body and one in body[0]), None)
    rows = [_split(line, cut) for line in body]
    width = max(map(len, rows), default=0)
    whole = [row for row in rows if len(row) == width]
    if width < 1 or not whole:
        raise ReadError(file, "it has no rows: give a table with a column of numbers")
    if not any(map(math.isfinite, map(_number, whole[0]))):
        return whole[0], whole[1:] or whole
    heads = _split(comments[-1], cut) if comments else []
    return heads if len(heads) == width else [], whole


def _split(line: str, cut: str | None) -> list[str]:
    cells = line.split() if cut is None else next(csv.reader([line], delimiter=cut))
    return [cell.strip() for cell in cells]


def _column(file: str, column: str, heads: list[str], rows: list[list[str]], named: int | None) -> int:
    """Return which column is meant: by name, by number from 1, or the first of numbers."""
    width = len(rows[0])
    if column in heads:
        return heads.index(column)
    if column.isdigit() and 1 <= int(column) <= width:
        return int(column) - 1
    if column:
        known = f"the nearest are {nearest(column, heads)}" if heads else f"give a number from 1 to {width}"
        raise ReadError(file, f"it has no column {column!r}: {known}", key="index")
    numbers = [k for k in range(width) if k != named and math.isfinite(_number(rows[0][k]))]
    if not numbers:
        raise ReadError(file, "it has no column of numbers: name one, such as log.csv:temperature", key="index")
    return numbers[0]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
