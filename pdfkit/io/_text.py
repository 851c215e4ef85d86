"""Text files in: bytes to lines, lines to a table of numbers.

Every format of 1-D data is a header and a block of rows. This module finds the block, parses it at once
(numpy, not a loop over floats) and keeps the line number of each row, so that whatever is wrong can be named
by file and line.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit._terminal import plain
from pdfkit.errors import ReadError, missing
from pdfkit.io._atomic import AnyPath

# A G(r) has a few thousand rows; a file this long is something else, and would fill the memory.
MAX_BYTES = 50_000_000

# [0-9], not \d: that matches the digits of every script, and float() takes them.
# One way to match each number: patterns that can share the digits out in several ways take for ever on long ones.
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?"
# Fortran drops the E of an exponent of three digits: 0.12345-101.
_BARE_EXPONENT = re.compile(r"(?<=[0-9.])([+-][0-9]{3})(?=\s|$)")
_TOKEN = re.compile(
    rf"(?:{NUMBER}|[+-]?[0-9]*\.[0-9]*[+-][0-9]{{3}}|[+-]?(?:nan|inf(?:inity)?))", re.IGNORECASE | re.ASCII
)
# Characters of a header line that count, and of a number: what follows is no header that a program writes.
MOST_HEADER, MOST_DIGITS = 1000, 400
_START = re.compile(r"\s*#+\s*start data\b", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,;]+")
_COMMA_DECIMAL = re.compile(r"[+-]?[0-9]+(?:,[0-9]+)?(?:[eEdD][+-]?[0-9]+)?")
_NUMERIC = np.zeros(256, dtype=bool)
_NUMERIC[list(b"0123456789+-.eE \t\nnaifNAIFtyTY")] = True
# "r / Å", "D(r) / barn Å⁻²": the unit belongs to the name.
_UNIT_AFTER_SLASH = re.compile(
    r"[ \t]{0,8}/ ?(?:(?:barns?|[ÅA]|[np]m|bohr|\\AA|sr|atoms?)[\^\-+\d⁻¹²³]*"
    r"(?: (?=barn|[ÅA][\^\-⁻]|sr\b|atom|nm[\^\-⁻]))?/?)+(?=[\s,;]|$)"
)
_COMMENTS = ("#", "!", "%")
# First bytes of gzip, bzip2, xz and Zstandard.
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")


@dataclass(frozen=True, eq=False)
class Table:
    """A parsed text file.

    Parameters
    ----------
    path : as given. header : (line number, text) of every line that is not a row and not empty.
    labels : column names from the line above the data, units kept; empty when there are none.
    data : (n, m) values. lines : (n,) line numbers, counted from 1. marked : had a `#### start data` line.
    """

    path: str
    header: tuple[tuple[int, str], ...]
    labels: tuple[str, ...]
    data: Array
    lines: IntArray
    marked: bool

    def error(self, message: str, row: int | None = None) -> ReadError:
        """Return the ReadError of this file, with the line of a row (counted from 0; −1: the last) where given."""
        return ReadError(self.path, message, None if row is None else int(self.lines[row]))


def read_text(path: AnyPath) -> str:
    """Return the text of a file, line ends as "\\n"; UTF-8, UTF-16 with a mark, else Latin-1.

    Control characters (the escapes that steer a terminal among them) become spaces.

    Raises ReadError when the file is missing, a folder, unreadable, empty, binary or too large.
    """
    raw = read_bytes(path, MAX_BYTES)
    if not raw.strip():
        raise ReadError(path, "the file is empty: was it written completely?")
    text = _decode(path, raw)
    if "\x00" in text:
        raise ReadError(path, binary(path, raw))
    return plain(text.replace("\r\n", "\n").replace("\r", "\n"))


def binary(path: AnyPath, raw: bytes) -> str:
    """Return why a file that is no text is not read, and what to give instead."""
    if raw.startswith(b"PK\x03\x04") and (os.fspath(path).lower().endswith((".ddp", ".ddp3")) or b"/dataset/" in raw):
        return (
            "this is a project of PDFgui: read it with pdfkit.read_project; `pdfkit fit` runs its fits again, `pdfkit "
            "convert` writes them as recipes, structures (.stru) and data (.gr)"
        )
    if raw.startswith(b"PK\x03\x04"):
        return "this is a zip archive: unpack it, and give a file that was in it"
    if raw.startswith(_COMPRESSED):
        return "the file is compressed: unpack it first, for instance with gunzip, and give what was in it"
    table = not os.fspath(path).lower().endswith((".cif", ".toml", ".stru", ".xyz", ".json"))
    return f"the file is binary: give a text file{' with columns of numbers' * table}"


def read_bytes(path: AnyPath, most: int) -> bytes:
    """Return what a regular file of at most so many bytes holds; ReadError for anything else."""
    try:
        status = os.stat(path)  # noqa: PTH116 - Path() refuses less than os.stat reports
        if stat.S_ISDIR(status.st_mode):
            raise ReadError(path, "this is a folder: give a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(path, "this is not a regular file: save the data to a file first")
        if status.st_size > most:
            raise ReadError(path, f"{status.st_size} bytes are too many (limit {most}): is it the right file?")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ReadError(path, missing(path)) from None
    except OSError as error:
        raise ReadError(path, f"cannot be read ({error.strerror}): check the name and permissions") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(repr(path), "this is not a file name: give a path") from None


def _decode(path: AnyPath, raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise ReadError(path, "the file is neither text nor whole UTF-16: save it as UTF-8") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def read_table(path: AnyPath) -> Table:
    """Return header, column names and numbers of a text file.

    The data start after a `#### start data` line, or else at the first line of two or more numbers. Columns
    are set apart by blanks, tabs, commas or semicolons; a decimal comma is understood when the columns are
    set apart by something else. Exponents may be Fortran's (`1.5D-03`, `0.15-103`). Rows must have one
    length; longer rows are taken when all they add is zeros.

    Raises ReadError, with the line, when there is no table or a row is damaged.
    """
    lines = read_text(path).split("\n")
    if (longest := max(lines, key=len)) and len(longest) > LONGEST_LINE:
        what = f"the line has {len(longest)} characters: was the file written with line ends?"
        raise ReadError(path, what, lines.index(longest) + 1)
    marked, start = _find_data(path, lines)
    # What pdfkit wrote it reads back whole, and takes no guesses about.
    most = None if "by pdfkit" in lines[0][:200] else MOST_HEADER
    head = [line.strip()[:most] for line in lines[:start]]
    header = [(i + 1, line) for i, line in enumerate(head) if line]
    rows, numbers, remarks = _rows(lines, start)
    header += [(number, remark[:most]) for number, remark in remarks]
    data = _parse(path, rows, numbers)
    _refuse_damaged_rows(path, lines, header, start, data.shape[1])
    return Table(
        path=str(path),
        header=tuple(header),
        labels=_labels(head, data.shape[1]),
        data=data,
        lines=np.array(numbers, dtype=np.int64),
        marked=marked,
    )


def _rows(lines: Sequence[str], start: int) -> tuple[list[str], Sequence[int], list[tuple[int, str]]]:
    """Return the rows from line `start` on, and their numbers, and lines between them that are comments."""
    rows = list(map(str.strip, lines[start:]))
    while not rows[-1]:
        rows.pop()
    block = "\n".join(rows)
    if "" not in rows and not any(mark in block for mark in (*_COMMENTS, "&")):
        return rows, range(start + 1, start + 1 + len(rows)), []
    numbered = list(enumerate(rows, start + 1))
    remarks = [(number, row) for number, row in numbered if row.startswith(_COMMENTS)]
    # "&": Grace ends a set so.
    kept = [(number, row) for number, row in numbered if row and row != "&" and not row.startswith(_COMMENTS)]
    return [row for _, row in kept], [number for number, _ in kept], remarks


# Characters of a line of columns; what is longer would be read for minutes.
LONGEST_LINE = 1_000_000

# Bytes of a file in which its header ends.
_HEAD = 65536


def read_header(path: AnyPath) -> tuple[tuple[int, str], ...]:
    """Return (line number, text) of the lines above the data, reading no more of a file than its beginning.

    Of a file that has no rows of numbers in there all lines are returned. Raises ReadError when it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_HEAD)
            raw = raw[: raw.rfind(b"\n") + 1] or raw if len(raw) == _HEAD else raw
    except FileNotFoundError:
        raise ReadError(path, missing(path)) from None
    except OSError as error:
        raise ReadError(path, f"cannot be read ({error.strerror}): check the name and permissions") from None
    lines = plain(_decode(path, raw).replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    try:
        end = _find_data(path, lines)[1]
    except ReadError:
        end = len(lines)
    return tuple((i + 1, line.strip()[:MOST_HEADER]) for i, line in enumerate(lines[:end]) if line.strip())


def _is_row(line: str) -> bool:
    tokens = [token for token in _SEPARATOR.split(line.strip()) if token]
    return len(tokens) >= 2 and all(_is_number(token) for token in tokens)


def _is_number(token: str) -> bool:
    return len(token) <= MOST_DIGITS and _TOKEN.fullmatch(token) is not None


def _find_data(path: AnyPath, lines: Sequence[str]) -> tuple[bool, int]:
    """Return whether there is a start mark, and the index of the first row."""
    mark = next((i for i, line in enumerate(lines) if "start data" in line.lower() and _START.match(line)), -1)
    for i in range(mark + 1, len(lines)):
        if lines[i].lstrip().startswith(_COMMENTS):
            continue
        if _is_row(lines[i]):
            return mark >= 0, i
        if mark >= 0 and any(_is_number(token) for token in _SEPARATOR.split(lines[i])):
            raise ReadError(path, "the first row of the data is not two or more numbers: repair or delete it", i + 1)
    where = "" if mark < 0 else f" after the start mark on line {mark + 1}"
    raise ReadError(path, f"no rows of two or more numbers{where}: is this a file of columns?")


def _refuse_damaged_rows(
    path: AnyPath, lines: Sequence[str], header: Sequence[tuple[int, str]], start: int, width: int
) -> None:
    """Refuse a first row that is damaged, which would otherwise pass for a line of the header."""
    for number, text in header:
        tokens = _SEPARATOR.split(text)
        if number <= start and len(tokens) == width and _is_number(tokens[0]):
            bad = next((token for token in tokens if not _is_number(token)), "")
            if any(character.isdigit() or character == "*" for character in bad):
                raise ReadError(path, f"{bad[:40]!r} is not a number: repair the row, or mark it with #", number)


def _parse(path: AnyPath, rows: Sequence[str], numbers: Sequence[int]) -> Array:
    block = _plain("\n".join(rows))
    lengths = _lengths(block)
    if lengths is None:
        raise _bad_row(path, block, numbers)
    width = int(lengths[0])
    if (lengths != width).any():
        block, width = _even_rows(path, block, lengths.tolist(), numbers)
    try:
        values = np.array(block.split(), dtype=np.float64)
    except ValueError:
        try:
            values = np.array(_BARE_EXPONENT.sub(r"E\1", block).split(), dtype=np.float64)
        except ValueError:
            raise _bad_row(path, block, numbers) from None
    return values.reshape(len(rows), width)


def _lengths(block: str) -> IntArray | None:
    """Return how many values each row has, none of them empty; None where a character is no part of a number."""
    codes = np.frombuffer(block.encode("latin-1", "replace"), dtype=np.uint8)
    if not _NUMERIC[codes].all():
        return None
    blank = codes <= ord(" ")
    begins = ~blank
    begins[1:] &= blank[:-1]
    rows = np.append(0, np.flatnonzero(codes == ord("\n")) + 1)
    return np.asarray(np.add.reduceat(begins, rows, dtype=np.int64))


def _plain(block: str) -> str:
    """Return rows with blanks between columns, decimal points and E exponents."""
    if "," in block:
        block = block.replace(",", "." if _has_decimal_comma(block) else " ")
    if ";" in block:
        block = block.replace(";", " ")
    if "d" in block or "D" in block:
        block = block.replace("d", "e").replace("D", "E")
    return block


def _has_decimal_comma(block: str) -> bool:
    if "." in block:
        return False
    for row in block.split("\n", 50)[:50]:
        tokens = [token for token in re.split(r"[\s;]+", row) if token]
        if len(tokens) < 2 or not all(_COMMA_DECIMAL.fullmatch(token) for token in tokens):
            return False
    return True


def _even_rows(path: AnyPath, block: str, lengths: Sequence[int], numbers: Sequence[int]) -> tuple[str, int]:
    """Return rows cut to the commonest length, when longer ones only add zeros (old PDFFIT files do that)."""
    common = Counter(lengths).most_common()
    width = max(2, min(length for length, count in common if count == common[0][1]))
    out = []
    for row, length, number in zip(block.split("\n"), lengths, numbers, strict=True):
        tokens = row.split()
        if length < width:
            message = f"{length} values where other rows have {width}: the row is cut short; restore or delete it"
            raise ReadError(path, message, number)
        if any(set(token) - set("+-.0eE") for token in tokens[width:]):
            message = f"{length} values where other rows have {width}: were two rows joined? Repair it"
            raise ReadError(path, message, number)
        out.append(" ".join(tokens[:width]))
    return "\n".join(out), width


def _bad_row(path: AnyPath, block: str, numbers: Sequence[int]) -> ReadError:
    """Return the error that names the first value that is no number."""
    what = "is not a number: repair or delete the row, or mark it with #"
    for row, number in zip(block.split("\n"), numbers, strict=True):
        for token in row.split():
            if not _is_number(token):
                return ReadError(path, f"{token[:40]!r} {what}", number)
    return ReadError(path, f"a value in the rows {what}")


def _labels(head: Sequence[str], width: int) -> tuple[str, ...]:
    """Return the column names: of the last `#L` line, or of a last header line that starts with r or Q.

    A line of units, or a few of remarks, may stand below the names when these are as many as the columns.
    """
    full = [line.strip() for line in head if line.strip()]
    for line in reversed(full):
        if re.match(r"#\s*L\s", line):
            return split_labels(re.sub(r"^#\s*L\s+", "", line[:MOST_HEADER]))
    for line in full[-1:-5:-1]:
        names = split_labels(line[:MOST_HEADER].lstrip("#!% \t"))
        if len(names) < 2 or not re.match(r"[rRqQ](?![A-Za-z]|\([rRqQ]\))|2\W?[tT]h|[tT]th", names[0]):
            continue
        if line is full[-1] or (len(names) == width and not any("=" in name for name in names)):
            return names
    return ()


def split_labels(text: str) -> tuple[str, ...]:
    """Return the names in a line of column labels; a unit in brackets stays with its name."""
    text = _UNIT_AFTER_SLASH.sub(lambda match: re.sub(r"\s+", "_", match[0].lstrip().replace("/ ", "/")), text)
    text = re.sub(r"\s+(?=[(\[])", "", text.replace('"', ""))
    text = re.sub(r"[(\[][^)\]]*[)\]]", lambda match: re.sub(r"[\s,;]+", "_", match[0]), text)
    return tuple(name for name in _SEPARATOR.split(text) if name)
