"""What became of every file that was reduced into a folder: a journal that only grows, and the table made of it.

Whoever has reduced a file appends one JSON line, after its results are whole and before the next file is begun; the
line is on disk when `append` returns. The last line of a file counts. A run that is killed leaves half a line at most,
which is not read: that file is reduced again. Nor are empty lines, which workers that write at once may leave. The
table, `reductions.csv`, is written from the journal, so that no run over some files loses the rows of others.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit._machine import is_running
from pdfkit._table import by_column, csv_text, frame
from pdfkit.errors import WriteError
from pdfkit.io import _journal
from pdfkit.io._atomic import own, write_text

if TYPE_CHECKING:
    from pandas import DataFrame

JOURNAL, TABLE = "reductions.jsonl", "reductions.csv"
FORMAT = {"format": "pdfkit reductions", "version": 1}
UNFINISHED = "unfinished"
# What no other file of a batch will overcome: no room, no permission to write, a broken disk.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)
_COLUMNS = ("file", "status", "message", "warnings", "seconds")
_TEMPORARY = re.compile(r"\.pdfkit-(\d+)-[0-9a-f]+\.tmp")


@dataclass(frozen=True)
class Reduced:
    """What became of a file: status "done", "kept" (finished before) or "failed", and why; warnings; files written."""

    file: str
    status: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    seconds: float = 0.0
    diagnostics: Mapping[str, float] = field(default_factory=dict)


class Reductions(list[Reduced]):
    """What became of every file of a batch, in order."""

    def to_dataframe(self) -> DataFrame:
        """Return a `pandas.DataFrame`: file, status, message, warnings, seconds, diagnostics; a row a file."""
        own = [{name: getattr(row, name) for name in _COLUMNS} | {"warnings": "; ".join(row.warnings)} for row in self]
        return frame(by_column(one | dict(row.diagnostics) for one, row in zip(own, self, strict=True)))


@dataclass(frozen=True)
class Entry:
    """A line of the journal: a row, the digest of all that it comes from, and of every result that was written."""

    row: Reduced
    digest: str = ""
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """What the results are named after: one entry stands for each."""
        return Path(self.row.file).stem

    def as_kept(self, outputs: tuple[str, ...]) -> Reduced:
        """Return the row of a file that needs nothing done."""
        return replace(self.row, status="kept", outputs=outputs)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def whole(path: str | Path, digest: str | None) -> bool:
    """Return whether a result is the one that was written."""
    with suppress(OSError):
        return digest is not None and file_digest(path) == digest
    return False


def held(folder: Path) -> AbstractContextManager[None]:
    """Hold the folder and its journal for one run; InUseError when another run has it."""
    return _journal.held(folder / JOURNAL)


def begin(folder: Path) -> dict[str, Entry]:
    """Return the entries by stem; start the journal where there is none, from a table that an older pdfkit left.

    Raises ReadError when a file of its name is something else, WriteError when it cannot be written.
    """
    path = folder / JOURNAL
    if lines := _journal.take_up(path, FORMAT):
        return _entries(lines)
    entries = _from_table(folder)
    _journal.begin(path, FORMAT, map(_record, entries.values()))
    return entries


def read(folder: Path) -> dict[str, Entry]:
    """Return the last entry of every stem; lines that are damaged are left out."""
    return _entries((folder / JOURNAL).read_bytes().split(b"\n"))


def _entries(lines: Sequence[bytes]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for line in lines[1:]:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = _entry(_journal.record(line))
            entries[entry.stem] = entry
    return entries


def append(folder: Path, entry: Entry) -> None:
    """Write an entry; it is on disk when this returns. Raises WriteError when the disk refuses."""
    _journal.append(folder / JOURNAL, [_record(entry)])


def _record(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry.row), "digest": entry.digest, "written": dict(entry.written)}


def _entry(record: Mapping[str, Any]) -> Entry:
    row = Reduced(
        str(record["file"]),
        str(record["status"]),
        str(record["message"]),
        tuple(map(str, record["warnings"])),
        tuple(map(str, record["outputs"])),
        float(record["seconds"]),
        {str(key): float(value) for key, value in record["diagnostics"].items()},
    )
    return Entry(row, str(record["digest"]), {str(key): str(value) for key, value in record["written"].items()})


def _from_table(folder: Path) -> dict[str, Entry]:
    """Return the rows of a table without a journal; none where the table is missing or not one of these."""
    path, out = folder / TABLE, {}
    with (
        suppress(OSError, ValueError, KeyError, TypeError, csv.Error),
        path.open(encoding="utf-8", newline="") as stream,
    ):
        for row in csv.DictReader(stream):
            numbers = {key: float(text) for key, text in row.items() if key not in _COLUMNS and text}
            said = tuple(text for text in row["warnings"].split("; ") if text)
            known = Reduced(row["file"], row["status"], row["message"], said, (), float(row["seconds"]), numbers)
            out[Path(known.file).stem] = Entry(known)
    return out


def write_table(folder: Path, entries: Iterable[Entry], pending: Iterable[str] = ()) -> None:
    """Write the rows of all entries as a table, in the order of their names; `pending` files as unfinished."""
    waiting = {Path(path).stem: Reduced(path, UNFINISHED) for path in pending}
    found = {entry.stem: entry.row for entry in entries} | waiting
    records = [
        {
            **{name: getattr(row, name) for name in _COLUMNS},
            "status": "done" if row.status == "kept" else row.status,
            "warnings": "; ".join(row.warnings),
            "seconds": f"{row.seconds:.3f}",
            **{name: f"{value:.6g}" for name, value in row.diagnostics.items()},
        }
        for row in (found[stem] for stem in sorted(found, key=_natural))
    ]
    write_text(own(folder / TABLE, replace=True), csv_text(by_column(records, _COLUMNS)))


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts scan_9 before scan_10."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((0, int(part), "") if part.isdecimal() and len(part) < 20 else (1, 0, part) for part in parts)


def clear_remains(folder: Path) -> None:
    """Delete the temporary files of processes that run no more: what a killed run was writing."""
    for path in folder.glob(".pdfkit-*.tmp"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not is_running(int(match[1])):
            with suppress(OSError):
                path.unlink()


def on_the_disk(error: WriteError) -> bool:
    """Return whether a WriteError is the disk's, which no other file will overcome."""
    cause = error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in DISK
