"""The index of scans in a table that names their files, as beamlines and spreadsheets write it."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError, nearest
from pdfkit.io._text import read_text
from pdfkit.series import times
from pdfkit.series.units import UNIT, is_kelvin, one_degree, split_unit, unit_of

_SIZE = r"(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eEdD][+-]?[0-9]+)?"
_CELL = re.compile(rf"([+-]?{_SIZE})(?:\([0-9]+\)|\s*(?:±|\+/?-)\s*{_SIZE})?\s*({UNIT})?")
"""A number with a decimal point or comma, its error, which does not count here, and its unit."""
_FILE = re.compile(r".*\w\.[A-Za-z]\w*")


def of_table(paths: Sequence[str], file: str, column: str) -> tuple[str, Array, list[str], list[str]]:
    """Return the name, the values (NaN for a file that it lacks) and the units of a column for files; and remarks.

    Of dates and times of day the values are seconds since 1970, and the unit is `times.STAMP`.
    Raises ReadError for a table that has no such column, names none of the files, or one with two values.
    """
    heads, rows, said = _rows(file)
    below, rows = _units_below(heads, rows)
    wanted = _column(file, column, heads, len(rows[0])) if column else None
    named = _names_in(rows, Names(paths), wanted)
    numbered = None if named is not None else _numbered(heads, rows, paths)
    at = _first(file, rows, named if numbered is None else numbered[0]) if wanted is None else wanted
    name, unit = split_unit(heads[at]) if heads else (column or "index", "")
    _check_commas(file, [row[at] for row in rows])
    rows, stamped = _with_moments(name, rows, at)
    if wanted is None:
        said += _others(file, heads, rows, (at, named, numbered and numbered[0]))
    if named is not None:
        values = _by_name(file, rows, (named, at), paths)
    elif numbered is not None:
        of = dict(zip((row[numbered[0]] for row in rows), (number(row[at]) for row in rows), strict=True))
        values = np.array([of.get(str(one), math.nan) for one in numbered[1]])
        last = f"{numbered[1][-1]} of {PurePosixPath(paths[-1]).name}"
        said.append(f"{file}: {heads[numbered[0]]} is the number in the names of files, such as {last}")
    else:
        values = _by_order(file, rows, at, paths)
        if len(paths) > 1 and any(paths):
            said.append(f"{file} names none of the scans: its rows are taken in the order of their names")
    if not np.isfinite(values).any():
        raise ReadError(file, f"{name} holds no numbers for these scans, but {rows[0][at]!r}: name another column")
    units = [times.STAMP] if stamped else [unit, below[at], *{_unit_in(row[at]) for row in rows}]
    return name or "index", values, units, said


def _units_below(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the units that a row below the heads gives, "" for none; and the rows without it."""
    words = [unit_of(one_degree(cell.strip("[]() "))) for cell in rows[0]]
    if heads and len(rows) > 1 and any(words) and not any(math.isfinite(number(cell)) for cell in rows[0]):
        return words, rows[1:]
    return [""] * len(rows[0]), rows


def _with_moments(name: str, rows: list[list[str]], at: int) -> tuple[list[list[str]], bool]:
    """Return rows with seconds since 1970 in place of the time stamps of a column, and whether it has such.

    Times of day are those of the dates of another column, if there is one.
    """
    cells = [row[at] for row in rows]
    if not any(times.is_stamp(cell, name) for cell in cells):
        return rows, False
    days = [k for k in range(len(rows[0])) if any(times.is_day(row[k]) for row in rows)]
    if len(days) == 1 and any(map(times.is_clock, cells)):
        cells = [f"{row[days[0]]} {row[at]}" for row in rows]
    seconds = times.moments(cells)
    return [[*row[:at], repr(float(one)), *row[at + 1 :]] for row, one in zip(rows, seconds, strict=True)], True


class Names:
    """Files by what a table may call them: their path, name, or name without an ending."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.places = [PurePosixPath(path.replace("\\", "/")) for path in paths]
        self.known: dict[str, list[int]] = {}
        self.near: dict[str, list[int]] = {}
        """What differs in case, or is the beginning of a name: run_10 of run_10_sub.gr."""
        for k, place in enumerate(self.places):
            for name in filter(None, dict.fromkeys((place.name, place.stem))):
                self.known.setdefault(name, []).append(k)
            stem = place.stem.casefold()
            ends = [one.start() for one in re.finditer(r"[^a-z0-9]", stem)]
            for name in filter(None, dict.fromkeys((place.name.casefold(), stem, *(stem[:end] for end in ends)))):
                self.near.setdefault(name, []).append(k)

    def of(self, cell: str) -> list[int]:
        """Return the files that a cell means: more than one where it does not tell them apart."""
        said = PurePosixPath(cell.replace("\\", "/"))
        found = self.known.get(said.name) or (self.known.get(said.stem, []) if _FILE.fullmatch(said.name) else [])
        found = found or self._near(said)
        for length in range(2, len(said.parts) + 1):
            near = [k for k in found if self.places[k].parts[-length:-1] == said.parts[-length:-1]]
            if len(found) < 2 or not near:
                break
            found = near
        return found

    def _near(self, said: PurePosixPath) -> list[int]:
        """Return the one file whose name begins with a word, in any case; [] where there is none, or another."""
        names = [said.name, said.stem] if _FILE.fullmatch(said.name) else [said.name]
        found = [self.near.get(name.casefold(), []) for name in names if re.search("[A-Za-z]", name)]
        return next((one for one in found if len(one) == 1), [])

    def whole(self, cell: str) -> bool:
        """Return whether a cell is the name of a file with its ending."""
        said = PurePosixPath(cell.replace("\\", "/")).name.casefold()
        return any(self.places[k].name.casefold() == said for k in self.of(cell))


def _names_in(rows: list[list[str]], names: Names, but: int | None) -> int | None:
    """Return the column that names most files, None where there is none."""
    columns = [k for k in range(len(rows[0])) if k != but]
    score = {
        k: (sum(names.whole(row[k]) for row in rows), sum(bool(names.of(row[k])) for row in rows)) for k in columns
    }
    best = max(columns, key=lambda k: score[k], default=None)
    return best if best is not None and score[best][1] else None


_NUMBERS = re.compile(
    r"(?:(?:scan|run|file|frame|image|sample|measurement|point)[\s_]*)?(?:no\.?|nr\.?|num|number|id|index|#)?", re.I
)
"""Heads of columns that number scans."""


def _numbered(heads: list[str], rows: list[list[str]], paths: Sequence[str]) -> tuple[int, list[int]] | None:
    """Return the column that has the numbers in the names of files, 10 of scan_010.gr, and these; None for none.

    All names have to have one, each another, and the table at least half of them, each once.
    """
    parts = [[int(one) for one in re.findall("[0-9]{1,15}", PurePosixPath(path).stem)] for path in paths]
    if len(paths) < 2 or len({len(one) for one in parts}) > 1:
        return None
    places = [list(one) for one in zip(*parts, strict=True) if len(set(one)) == len(one)]
    for k in (k for k, head in enumerate(heads) if head and _NUMBERS.fullmatch(head)):
        cells = [str(int(row[k])) if row[k].isdecimal() else row[k] for row in rows]
        found = next((one for one in places if 2 * len({str(n) for n in one} & set(cells)) >= len(one)), None)
        if found is not None and len(set(cells)) == len(cells):
            for row, cell in zip(rows, cells, strict=True):
                row[k] = cell
            return k, found
    return None


def _others(file: str, heads: list[str], rows: list[list[str]], taken: Sequence[int | None]) -> list[str]:
    """Say which column of numbers was taken, where there are several."""
    others = [k for k in range(len(rows[0])) if k not in taken and any(math.isfinite(number(row[k])) for row in rows)]
    if not others or taken[0] is None or not heads:
        return []
    name, other = heads[taken[0]], heads[others[0]]
    if is_kelvin(split_unit(name)[0]):
        return []
    return [f"{file}: {name} is the first column of numbers, and taken; others are such as {file}:{other}"]


def _by_order(file: str, rows: list[list[str]], at: int, paths: Sequence[str]) -> Array:
    """Return a column in the order of the rows. ReadError where these name other files, or number them otherwise."""
    if any(_FILE.fullmatch(cell) for cell in rows[0]):
        raise ReadError(file, f"it names none of the scans, but {next(filter(_FILE.fullmatch, rows[0]))}: correct it")
    if len(rows) != len(paths):
        raise ReadError(file, f"it has {len(rows)} rows for {len(paths)} scans: add a column with the file names")
    for cells in (column for k, column in enumerate(zip(*rows, strict=True)) if k != at):
        counts = [int(cell) if cell.isdecimal() else -1 for cell in cells]
        if min(counts) >= 0 and counts != sorted(counts) and len(set(counts)) == max(counts) - min(counts) + 1:
            some = ", ".join(map(str, counts[:3]))
            raise ReadError(file, f"its rows are numbered {some} …, and name no files: sort them, or name the files")
    return np.array([number(row[at]) for row in rows])


def _by_name(file: str, rows: list[list[str]], columns: tuple[int, int], paths: Sequence[str]) -> Array:
    names, values = Names(paths), np.full(len(paths), math.nan)
    named, at = columns
    for row in rows:
        found, value = names.of(row[named]), number(row[at])
        if len(found) > 1:
            raise ReadError(file, f"{row[named]} is the name of {len(found)} scans: add their folders to it")
        for k in found:
            if math.isfinite(values[k]) and math.isfinite(value) and values[k] != value:
                raise ReadError(file, f"{row[named]} has two values, {values[k]:g} and {value:g}: leave one")
            values[k] = value if math.isfinite(value) else values[k]
    return values


def _rows(file: str) -> tuple[list[str], list[list[str]], list[str]]:
    """Return the names of the columns ([] where there are none) and the rows of a table, all as long; and remarks."""
    lines = [line for line in read_text(file).split("\n") if line.strip() and not line.lower().startswith("sep=")]
    comments = [line.lstrip("#% ") for line in lines if line.startswith(("#", "%"))]
    body = [line for line in lines if not line.startswith(("#", "%"))]
    cut = next((one for one in ("\t", ";", "|", ",") if 2 * sum(one in line for line in body) > len(body)), None)
    rows = [_split(line, cut) for line in body]
    if not rows:
        raise ReadError(file, "it has no rows: give a table with a column of numbers")
    while len(rows) > 2 and (len(rows[0]) == 1 < min(map(len, rows[1:])) or _is_title(rows)):
        rows = rows[1:]
    width = Counter(map(len, rows[-max(1, len(rows) - 1) :])).most_common(1)[0][0]
    headed = not any(map(math.isfinite, map(number, rows[0]))) and not any(map(_FILE.fullmatch, rows[0]))
    said = _check_widths(file, rows, width, headed=headed)
    rows = [(row + [""] * width)[:width] for row in rows]
    if headed:
        return rows[0], rows[1:] or rows, said
    heads = _split(comments[-1], cut) if comments else []
    return heads if len(heads) == width else [], rows, said


def _is_title(rows: list[list[str]]) -> bool:
    """Return whether the first row stands above the heads of columns: it has another number of cells than all below."""
    inner = {len(row) for row in rows[1:]}
    words = not any(math.isfinite(number(cell)) or _FILE.fullmatch(cell) for row in rows[:2] for cell in row)
    return words and len(inner) == 1 and len(rows[0]) not in inner


def _check_widths(file: str, rows: list[list[str]], width: int, *, headed: bool) -> list[str]:
    """Say which rows have more cells than most. ReadError where most have more than the head names."""
    sizes = [max((k for k, cell in enumerate(row, start=1) if cell), default=0) for row in rows]
    usual = min(width, Counter(sizes[1:] or sizes).most_common(1)[0][0])
    if headed and sizes[0] < usual:
        raise ReadError(
            file,
            f"its head names {sizes[0]} columns, and most rows have {usual} cells, such as {', '.join(rows[1])}: "
            "correct it; decimal commas need another separator",
        )
    longer = [k for k, size in enumerate(sizes) if size > width]
    if not longer:
        return []
    shown = ", ".join(rows[longer[0]])
    return [f"{file}: {len(longer)} rows have more than {width} cells, such as {shown}: the first {width} are taken"]


_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+")


def _check_commas(file: str, cells: Sequence[str]) -> None:
    """Refuse numbers whose commas may be those of thousands."""
    commas = [cell for cell in cells if "," in cell and math.isfinite(number(cell))]
    if commas and all(map(_THOUSANDS.fullmatch, commas)):
        value = number(commas[0])
        raise ReadError(
            file, f"{commas[0]} may be {value:g} or {value * 1000:g}: write numbers with points and without thousands"
        )


def _split(line: str, cut: str | None) -> list[str]:
    if cut is None:
        line = re.sub(r"\s+(?=[(\[])", "", line)  # "T (K)" is one cell
        return [cell.strip('"').strip() for cell in re.findall(r'"[^"]*"|\S+', line)]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=cut))]


def _column(file: str, column: str, heads: list[str], width: int) -> int:
    """Return which column is meant, by name or by number from 1."""
    plain = [split_unit(head)[0] for head in heads]
    lower = [head.casefold() for head in plain]
    for known, word in ((heads, column), (plain, column), (lower, column.casefold())):
        if known.count(word) > 1:
            raise ReadError(file, f"it has {known.count(word)} columns {column!r}: give their number", key="index")
        if word in known:
            return known.index(word)
    if column.isdigit() and 1 <= int(column) <= width:
        return int(column) - 1
    words = f"the nearest are {nearest(column, heads)}" if heads else f"give a number from 1 to {width}"
    raise ReadError(file, f"it has no column {column!r}: {words}", key="index")


def _first(file: str, rows: list[list[str]], named: int | None) -> int:
    """Return the first column of numbers that does not name the files."""
    columns = [k for k in range(len(rows[0])) if k != named]
    found = next((k for k in columns if any(math.isfinite(number(row[k])) for row in rows)), None)
    stamps = [k for k in columns if any(map(times.is_stamp, (row[k] for row in rows)))]
    if found is None and stamps:
        return next((k for k in stamps if not times.is_day(rows[0][k])), stamps[0])
    if found is None:
        raise ReadError(file, "it has no column of numbers: name one, such as log.csv:temperature", key="index")
    return found


def number(cell: str) -> float:
    """Return the number of a cell, which may have a decimal comma, an error and a unit; NaN where there is none."""
    found = _CELL.fullmatch(one_degree(cell.strip()))
    return float(found[1].replace(",", ".").lower().replace("d", "e")) if found else math.nan


def _unit_in(cell: str) -> str:
    found = _CELL.fullmatch(one_degree(cell.strip()))
    return unit_of(found[2] or "") if found else ""
