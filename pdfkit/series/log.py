"""The journal of a series: what is finished, by stage and number, in memory or in a file that only grows.

Of a file, memory holds where the lines are and not what is in them, so that a million scans need some megabytes. Each
line has a hash of all that its result depends on: the scan and where its fit began. What has another is done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pdfkit.errors import PdfkitError, ReadError, WriteError
from pdfkit.io import _journal
from pdfkit.io._atomic import WRITTEN
from pdfkit.series.tasks import Row, unpacked_array

JOURNAL = "series.jsonl"
HEAD = {"format": "pdfkit series journal", "version": 1}
Key = tuple[str, int, int]
"""Stage, number of the chain, place in it."""


class Log:
    """Rows of chains. path : of the file, None for none. whole : whether a row is one, by default one of a fit.

    Raises PdfkitError for a journal of another problem or one that another run writes to, ReadError for a damaged one,
    WriteError where it cannot be written.
    """

    def __init__(
        self, path: Path | None, digest: str, *, resume: bool = True, whole: Callable[[Any], bool] | None = None
    ) -> None:
        self.path, self._is_whole = path, whole or _whole
        self._kept: dict[Key, Row] = {}
        self._places: dict[Key, tuple[str, int]] = {}
        """The stamp of each row, and where its line begins."""
        self._end = 0
        self._opened = ExitStack()
        self._file: Any = None
        if path is not None:
            with ExitStack() as opened:
                opened.enter_context(_journal.held(path))
                self._take_up(path, {**HEAD, "problem": digest}, resume)
                self._file = opened.enter_context(path.open("rb"))
                self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def has(self, stage: str, number: int, stamp: str, length: int) -> bool:
        """Return whether all rows of a chain of this stamp and length are known."""
        known = (self._places.get((stage, number, k)) for k in range(length))
        return all(one is not None and one[0] == stamp for one in known)

    def keys(self, stage: str) -> list[Key]:
        """Return the keys of all rows of stages whose names begin so, in the order in which they came first."""
        return [key for key in self._places if key[0].startswith(stage)]

    def row(self, key: Key) -> Row:
        """Return a row that is known."""
        if self.path is None:
            return self._kept[key]
        self._file.seek(self._places[key][1])
        row: Row = json.loads(self._file.readline())["row"]
        return row

    def add(self, stage: str, results: Sequence[tuple[int, str, list[Row]]]) -> None:
        """Keep the rows of chains (number, stamp, rows); they are on disk when this returns."""
        keys = [((stage, n, k), stamp, row) for n, stamp, rows in results for k, row in enumerate(rows)]
        if self.path is None:
            self._kept |= {key: row for key, _, row in keys}
            self._places |= {key: (stamp, 0) for key, stamp, _ in keys}
            return
        lines = [
            json.dumps({"stage": s, "number": n, "place": k, "stamp": stamp, "row": row})
            for (s, n, k), stamp, row in keys
        ]
        try:
            _journal.append_lines(self.path, lines)
        except WriteError as error:
            raise WriteError(f"{error}; then run again, nothing so far is lost") from None
        WRITTEN[str(self.path)] = None
        for (key, stamp, _), line in zip(keys, lines, strict=True):
            self._places[key] = (stamp, self._end)
            self._end += len(line) + 1

    def _take_up(self, path: Path, head: dict[str, Any], resume: bool) -> None:
        if not (_journal.mended(path, HEAD) and resume):
            _journal.begin(path, head)
            self._end = path.stat().st_size
            return
        with path.open("rb") as file:
            first = file.readline()
            if first != json.dumps(head).encode() + b"\n":
                raise PdfkitError(
                    f"{path} belongs to another problem (model, range, settings, folder or pdfkit have "
                    "changed): start anew with resume=False (in the shell --no-resume), or give another out"
                )
            self._end = len(first)
            for number, line in enumerate(file, start=2):
                self._remember(path, number, line)
                self._end += len(line)

    def _remember(self, path: Path, number: int, line: bytes) -> None:
        try:
            found = _journal.record(line)
            key = (str(found["stage"]), int(found["number"]), int(found["place"]))
            if not self._is_whole(found["row"]):
                raise ValueError
            self._places[key] = (str(found["stamp"]), self._end)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ReadError(
                path, "this line is damaged: delete it and run again, only it will be computed anew", number
            ) from None


_NUMBERS = ("rw", "chi2", "reduced_chi2", "n_independent", "nfev", "lnz")


def _whole(row: Any) -> bool:
    """Return whether a row is one that a fit leaves."""
    if not isinstance(row, dict):
        return False
    if "error" in row:
        return isinstance(row["error"], str)
    unpacked_array(row["covariance"])
    pairs = zip(row["values"], row["sigmas"], strict=True)
    numbers = all(isinstance(one, int | float) for pair in pairs for one in pair)
    words = all(isinstance(one, str) for one in (*row["remarks"], *row["free"], row["errors_from"]))
    known = isinstance(row.get("weighs"), bool | None)
    return known and numbers and words and all(isinstance(row[name], int | float) for name in _NUMBERS)
