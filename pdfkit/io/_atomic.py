"""Files to disk in one step, for every output: text, HDF5 files, figures.

Whatever ends the process, a reader sees the old file or the new one. What is no file of the user's to replace (a
device, a pipe, a read-only file, an input) is refused before anything is computed where the caller asks early.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable
from pathlib import Path

from pdfkit.errors import WriteError

AnyPath = str | os.PathLike[str]
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_KINDS = (
    (stat.S_ISDIR, "this is a folder: give a file name in it"),
    (stat.S_ISFIFO, "this is a pipe, not a file: give a file name"),
    (stat.S_ISSOCK, "this is a socket, not a file: give a file name"),
    (lambda mode: stat.S_ISCHR(mode) or stat.S_ISBLK(mode), "this is a device, not a file: give a file name"),
)
_MOST_NOTED, _NOTING = 1000, threading.Lock()
WRITTEN: dict[str, None] = {}
"""The files that this process has written, whole, in order: what a message about an interruption may say."""


def write_bytes(path: AnyPath, data: bytes) -> Path:
    """Write `data` to `path`: a temporary file in the same folder, then a rename. Return the path.

    A reader sees the old file or the new one, never half of it; a failure leaves the old file alone. A symbolic link
    is followed, and an existing file keeps its permissions. os.devnull takes everything and keeps nothing.

    Raises WriteError when the folder is missing, the path is no file, the file is read-only, or the disk refuses.
    """
    target = check_target(path)
    if _is_null(target):
        return Path(path)
    temporary = target.parent / f".pdfkit-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}): {remedy(error)}") from None
    finally:
        _remove(temporary)
    _note(path)
    return Path(path)


def _note(path: AnyPath) -> None:
    """Note a file that was written as the last one; of very many, as of a page that is used for days, the first go."""
    with _NOTING:
        WRITTEN.pop(str(path), None)
        WRITTEN[str(path)] = None
        for first in list(WRITTEN)[:-_MOST_NOTED]:
            del WRITTEN[first]


def write_text(path: AnyPath, text: str) -> Path:
    """Write text as UTF-8 as `write_bytes` does; WriteError, too, for text that UTF-8 cannot hold."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise WriteError(f"{path}: cannot be written, it holds characters that are not Unicode: remove them") from None
    return write_bytes(path, data)


def check_target(path: AnyPath, inputs: Iterable[AnyPath] = ()) -> Path:
    """Return the file that a write to `path` would make or replace, links followed.

    Raises WriteError when that is a folder, a device, a pipe, a socket, read-only (whoever asks), one of `inputs`, or
    in a folder that does not exist or takes no files.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        parent = target.parent.is_dir()
    except (TypeError, ValueError):
        raise WriteError(f"{path!r} cannot be written: give a file name") from None
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}): {remedy(error)}") from None
    if _is_null(target):
        return target
    if _is_stream(path):
        raise WriteError(f"{path}: this is a stream, not a file: give a file name")
    if not parent:
        raise WriteError(f"{path}: the folder {target.parent} does not exist: create it first")
    for is_kind, words in _KINDS:
        if mode is not None and is_kind(mode):
            raise WriteError(f"{path}: {words}")
    if mode is not None and not (mode & 0o222 and os.access(target, os.W_OK)):
        raise WriteError(f"{path}: cannot be written (read-only): make it writable, or give another name")
    for one in inputs:
        if _is_same(target, one):
            raise WriteError(f"{path}: this output would overwrite the input {one}: give another name or folder")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise WriteError(
            f"{path}: cannot be written (no permission, or a read-only disk): check {target.parent}, or write elsewhere"
        )
    return target


def _mode(target: Path) -> int | None:
    """Return the mode of what is there, None where nothing is; OSError, too, for a name that no file can have."""
    try:
        return target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def own(path: AnyPath, *, replace: bool = False) -> Path:
    """Return the path of a file that belongs to a folder of results, where links are not followed.

    Whoever may write into that folder could plant a link there, to a file of the user's elsewhere. With `replace` a
    link is deleted, what it leads to stays; otherwise WriteError is raised.
    """
    place = Path(path)
    if place.is_symlink():
        if not replace:
            raise WriteError(f"{path}: this is a link, not a file of this folder: delete it, or use another folder")
        place.unlink()
    return place


def _is_same(one: AnyPath, other: AnyPath) -> bool:
    """Return whether two names are the same existing file; names of structures that pdfkit brings are none."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):  # one of them does not exist
        return False


def remedy(error: OSError) -> str:
    """Return what to do about a refusal of the disk."""
    if error.errno in FULL:
        return "make room there, or write to another disk"
    if error.errno == errno.ENAMETOOLONG:
        return "give a shorter one"
    return "check permissions and space"


def _is_stream(path: AnyPath) -> bool:
    """Return whether a name leads through /dev or /proc, as /dev/stdout does, even if to a file in the end.

    What stdout is redirected to belongs to the shell: a rename would put another file in its place.
    """
    for _ in range(40):
        name = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the links
        if re.match(r"/dev/(std(in|out|err)$|fd/)|/proc/", str(name)):
            return True
        if not name.is_symlink():
            return False
        path = name.parent / name.readlink()
    return True


def _is_null(target: Path) -> bool:
    return str(target) == os.path.realpath(os.devnull)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except (OSError, ValueError):
        return  # nothing was made where nothing can be removed
