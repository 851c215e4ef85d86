"""Journals of long runs: files of JSON lines that only grow, so that what is finished outlives whatever ends the run.

The first line says what the journal is of. A line is on disk when `append` returns. A run that is killed leaves half a
line at most, at the end: `take_up` cuts it off, and what it stood for is computed again.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pdfkit.errors import ReadError, WriteError
from pdfkit.io._atomic import own, remedy, write_text
from pdfkit.io._folders import InUseError, folder_lock

_OPEN: set[str] = set()
_STEP = 1 << 16
"""Bytes that are looked at a time for the end of the last line."""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a journal and its folder (which exists) for one run.

    The lock of the folder lets the same thread in again; two runs, one inside the other, must not share a journal.
    Raises InUseError when another run has it, WriteError when the folder takes no files.
    """
    key = os.path.realpath(path)
    with folder_lock(path.parent):
        if key in _OPEN:
            raise InUseError(f"{path} is in use by another run of this program: wait for it, or choose another folder")
        _OPEN.add(key)
        try:
            yield
        finally:
            _OPEN.discard(key)


def mended(path: Path, head: Mapping[str, Any]) -> bool:
    """Cut off half a line at the end of a journal; return whether there is one, or it is to be begun.

    Raises ReadError for a file that does not begin as `head` does, WriteError where it cannot be written.
    """
    try:
        with own(path).open("r+b") as file:
            line = file.readline()
            first, start = line.removesuffix(b"\n"), json.dumps(head)[:-1].encode()
            if line and not (first.strip() and first.startswith(start[: len(first)])):
                raise ReadError(
                    path, "this file is not the record of such a run and is left alone: choose another folder"
                )
            if line.endswith(b"\n"):
                file.truncate(_end(file))
            return line.endswith(b"\n")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _refused(path, error) from None


def _end(file: BinaryIO) -> int:
    """Return where the last whole line of a file ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - _STEP)
        file.seek(begin)
        at = file.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def take_up(path: Path, head: Mapping[str, Any]) -> list[bytes]:
    """Return the whole lines of a journal, its head among them, and be ready to go on; none where it is to be begun.

    Raises what `mended` raises.
    """
    if not mended(path, head):
        return []
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise _refused(path, error) from None


def begin(path: Path, head: Mapping[str, Any], records: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write a journal anew, in one step."""
    write_text(own(path), "".join(f"{json.dumps(one)}\n" for one in (head, *records)))


def record(line: bytes) -> dict[str, Any]:
    """Return what a line holds; ValueError where it is damaged."""
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not a record")
    return found


def append(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records; they are on disk when this returns. Processes may do so side by side: it is one write.

    What another process is just writing may look like half a line, since files grow by pages: an empty line then stands
    between the two, and whoever reads a journal of several processes leaves it out. Raises WriteError when the disk
    refuses.
    """
    append_lines(path, [json.dumps(one) for one in records])


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Write records that are lines already."""
    text = "".join(f"{line}\n" for line in lines).encode()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            os.lseek(descriptor, max(end - 1, 0), os.SEEK_SET)
            # Half a line that a killed process left must not swallow this one.
            text = text if os.read(descriptor, 1) in (b"\n", b"") else b"\n" + text
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> WriteError:
    return WriteError(f"{path}: cannot be written ({error.strerror}): {remedy(error)}")
