"""One run at a time in a folder: a lock that says who holds it, and that no dead process keeps.

The lock is a file `.pdfkit-lock` in the folder with the owner's process, machine and start; it goes with the run.
Where the file system locks files (`flock`, also NFS since Linux 2.6.12; `msvcrt` on Windows) the system lets go of it
with the process, however that ends. Elsewhere the existence of a second file is the lock: one left by a process that
is dead is taken over on its own machine; of another machine nobody can know, and the message says what to delete.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pdfkit.errors import PdfkitError, WriteError
from pdfkit.io._atomic import own, remedy

NAME = ".pdfkit-lock"
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_HELD: dict[str, int] = {}  # real path of a lock: the thread that holds it
_GUARD = threading.Lock()


class InUseError(PdfkitError):
    """A folder that another run writes to."""


@contextmanager
def folder_lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold `folder` (which exists) for this run; the same thread may take it again inside.

    Raises InUseError (a PdfkitError) when another run has it, WriteError when the folder takes no files.
    """
    path = Path(os.path.realpath(folder)) / NAME
    key, me = str(path), threading.get_ident()
    with _GUARD:
        owner = _HELD.setdefault(key, 0)
        if not owner:
            _HELD[key] = me
    if owner == me:
        yield
        return
    if owner:
        raise InUseError(_in_use(folder, "another run of this program", path))
    try:
        held = _taken(folder, path)
        try:
            yield
        finally:
            held.release()
    finally:
        with _GUARD:
            del _HELD[key]


class _Held:
    """A lock that is held: the file, and its descriptor where the system locks it."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self.path, self.descriptor = path, descriptor

    def sign(self) -> None:
        """Say whose it is; a disk that has no room for that has none for results."""
        try:
            if self.descriptor is not None:
                os.ftruncate(self.descriptor, 0)
                os.write(self.descriptor, _signature())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Delete the file first, so that nobody locks one that is about to go."""
        if self.descriptor is not None and sys.platform == "win32":  # an open file cannot be deleted there
            os.close(self.descriptor)
            self.descriptor = None
        with suppress(OSError):
            self.path.unlink()
        if self.descriptor is not None:
            os.close(self.descriptor)


def _taken(folder: str | os.PathLike[str], path: Path) -> _Held:
    try:
        while True:
            descriptor = os.open(own(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            try:
                locked = _try_lock(descriptor)
                # A run that ended meanwhile deleted what was opened here: that file protects nothing any more.
                if locked and _is_at(descriptor, path):
                    held, descriptor = _Held(path, descriptor), -1
                    held.sign()
                    return held
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            if locked is None:
                return _taken_by_name(folder, path.with_name(f"{path.name}-owner"))
            if not locked:
                raise InUseError(_in_use(folder, _words(_owner(path)), path))
    except OSError as error:
        raise WriteError(f"folder {folder} cannot be written ({error.strerror}): {remedy(error)}") from None


def _try_lock(descriptor: int) -> bool | None:
    """Return whether the system gave the lock; None where it locks no files."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, 10**6, os.SEEK_SET)  # behind the text, which others shall be able to read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError as error:
        return None if error.errno in _UNSUPPORTED else False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _taken_by_name(folder: str | os.PathLike[str], path: Path) -> _Held:
    """Take the lock by being the one who makes the file."""
    for _ in range(3):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            owner = _owner(path)
            if not _is_dead(owner):
                raise InUseError(_in_use(folder, _words(owner), path)) from None
            _clear(path, owner)
            continue
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_signature())
        return _Held(path)
    raise InUseError(_in_use(folder, "another run", path))


def _clear(path: Path, dead: dict[str, object]) -> None:
    """Take away the file of a dead owner; what another run has put there meanwhile is put back."""
    aside = path.with_name(f"{path.name}-{os.getpid()}")
    with suppress(OSError):
        path.rename(aside)
        if _owner(aside) != dead:
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _signature() -> bytes:
    about = {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    return json.dumps(about).encode()


def _owner(path: Path) -> dict[str, object]:
    """Return what the owner wrote; nothing while it is writing."""
    try:
        found = json.loads(path.read_bytes()[:1000])
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_dead(owner: dict[str, object]) -> bool:
    """Return whether the owner was a process of this machine that runs no more."""
    process = owner.get("process")
    if not isinstance(process, int) or process <= 0 or owner.get("machine") != socket.gethostname():
        return False
    if sys.platform == "win32":  # os.kill would end it there
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _words(owner: dict[str, object]) -> str:
    process, machine, since = (owner.get(key) for key in ("process", "machine", "since"))
    if not isinstance(process, int):
        return "another run"
    where = "" if machine == socket.gethostname() else f" on {str(machine)[:60]}"
    return f"another run (process {process}{where}, since {str(since)[:25]})"


def _in_use(folder: str | os.PathLike[str], who: str, path: Path) -> str:
    return (
        f"folder {folder} is in use by {who}: wait for it, or choose another folder"
        f" (should that run be no more, delete {path})"
    )
