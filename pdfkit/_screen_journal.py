"""The journal of a long computation: one JSON line per result, on disk before the next is asked for.

The first line holds a hash of the problem. A run that was killed leaves whole lines and perhaps part of a last one,
which is dropped: what is in the journal is never computed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pdfkit._locks import InUseError, folder_lock
from pdfkit.errors import PdfkitError, ReadError, WriteError
from pdfkit.io._atomic import WRITTEN, AnyPath, own

FORMAT = "pdfkit journal"
FORMAT_VERSION = 1


_OPEN: set[str] = set()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep two journals of one run from the same file: the lock of the folder lets a run in again."""
    key = os.path.realpath(path)
    if key in _OPEN:
        raise InUseError(f"{path} is in use by another run of this program: wait for it, or choose another folder")
    _OPEN.add(key)
    try:
        yield
    finally:
        _OPEN.discard(key)


class Journal:
    """Results by stage and key: in memory, and in a file where `path` is given.

    Raises PdfkitError for a journal of another problem or one that another run writes to, ReadError for a damaged one,
    WriteError where it cannot be written.
    """

    def __init__(self, path: AnyPath | None, digest: str, *, resume: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._file: BinaryIO | None = None
        self._opened = ExitStack()
        self.found = 0
        """Results that an earlier run left."""
        if self.path is None:
            return
        with ExitStack() as opened:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                opened.enter_context(folder_lock(self.path.parent))
                opened.enter_context(_alone(self.path))
                self._file = opened.enter_context(own(self.path).open("a+b"))
            except OSError as error:
                raise WriteError(
                    f"{self.path}: the journal cannot be written ({error.strerror}): choose another out="
                ) from None
            self._take_up(digest, resume)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def get(self, stage: str, key: str) -> dict[str, Any] | None:
        """Return what is known, None for what has still to be computed."""
        return self._records.get((stage, key))

    def add(self, stage: str, results: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep results (key, record); they are on disk when this returns."""
        lines = []
        for key, record in results:
            self._records[stage, key] = dict(record)
            lines.append(json.dumps({"stage": stage, "key": key, **record}) + "\n")
        self._write("".join(lines))

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())
            WRITTEN[str(self.path)] = None
        except OSError as error:
            raise WriteError(
                f"{self.path}: {error.strerror}: make room and run again, nothing so far is lost"
            ) from None

    def _take_up(self, digest: str, resume: bool) -> None:
        """Read what is there, cut off half a line at its end, and be ready to go on."""
        file = self._file
        if file is None:
            return
        file.seek(0)
        whole = file.read()
        *lines, rest = whole.split(b"\n")
        self._check_head(lines[0] if lines else rest, digest if resume and lines else None)
        lines = lines if resume else []
        kept = len(whole) - len(rest) if lines else 0
        for number, line in enumerate(lines[1:], start=2):
            self._remember(line, number)
        self.found = len(self._records)
        file.truncate(kept)
        file.seek(0, os.SEEK_END)
        if not lines:
            self._write(json.dumps({"format": FORMAT, "version": FORMAT_VERSION, "problem": digest}) + "\n")

    def _check_head(self, line: bytes, digest: str | None) -> None:
        """Refuse to overwrite what is no journal, and to continue one of another problem (digest None: not asked)."""
        start = json.dumps({"format": FORMAT})[:-1].encode()
        if not line.startswith(start[: len(line)]):
            raise ReadError(
                self.path or "", "this is no journal of pdfkit and will not be overwritten: give another out="
            )
        if digest is None:
            return
        try:
            head = json.loads(line)
        except (ValueError, RecursionError):
            head = {}
        if head.get("version") != FORMAT_VERSION or head.get("problem") != digest:
            raise PdfkitError(
                f"{self.path} belongs to another problem (data, range, settings or pdfkit have changed): "
                "give resume=False to start anew, or another out="
            )

    def _remember(self, line: bytes, number: int) -> None:
        try:
            record = json.loads(line)
            stage, key = record.pop("stage"), record.pop("key")
            if not (isinstance(stage, str) and isinstance(key, str) and _whole(record)):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ReadError(
                self.path or "", "this line is damaged: delete it and run again, only it will be computed anew", number
            ) from None
        self._records[stage, key] = record


_NUMBERS = ("rw", "chi2", "reduced_chi2", "n_independent", "n_free", "nfev")


def _whole(record: Mapping[str, Any]) -> bool:
    """Return whether a record is one that a stage leaves: an error, fits of a simulation, or a misfit with values."""
    if "error" in record:
        return isinstance(record["error"], str)
    if "fits" in record:
        fits = record["fits"]
        return isinstance(fits, list) and all(fit is None or (isinstance(fit, dict) and _figures(fit)) for fit in fits)
    values, remarks = record["values"], record.get("remarks", [])
    if not (isinstance(values, dict) and isinstance(remarks, list) and all(isinstance(one, str) for one in remarks)):
        return False
    return "rw" in record and _figures(record) and all(map(_pair, [*values.values(), record.get("share", [0, None])]))


def _figures(record: Mapping[str, Any]) -> bool:
    counts = all(type(one) is int and one < 2**53 for one in (record.get("n_free", 0), record.get("nfev", 0)))
    words = isinstance(record.get("errors_from", ""), str) and isinstance(record.get("converged", False), bool)
    numbers = [record.get(name, 0) for name in _NUMBERS]
    # NaN is a misfit that is not known.
    known = all(_number(one) and not one < 0 for one in numbers) and record.get("n_independent") != 0
    return counts and words and known


def _pair(value: Any) -> bool:
    """Return whether this is a value and its error, which may be unknown."""
    return isinstance(value, list) and len(value) == 2 and _number(value[0]) and (value[1] is None or _number(value[1]))


def _number(value: Any) -> bool:
    """Return whether this is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < 1e300)
