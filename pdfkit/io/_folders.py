"""A folder of results: held by one run at a time, and whole or old afterwards.

The lock is a file `.pdfkit-lock` in the folder with the owner's process, machine and start; it goes with the run.
Where the file system locks files (`flock`, also NFS since Linux 2.6.12; `msvcrt` on Windows) the system lets go of it
with the process, however that ends. Elsewhere the existence of a second file is the lock: one left by a process that
is dead is taken over on its own machine; of another machine nobody can know, and the message says what to delete.

All files of a run are written into a hidden folder `.pdfkit-new-…` inside, which then becomes `pdfkit-unfinished` in
one step: from here on the run counts. Its files are moved to their places one by one, which takes well under a
millisecond, and the empty folder goes. Killed before that step, the old files stand as they were; killed after it,
`pdfkit-unfinished` says so, and the next run that uses the folder moves what is left. Files of others stay. A link
in the place of a result is replaced, and what it leads to stays.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pdfkit._machine import is_running
from pdfkit.errors import PdfkitError, WriteError
from pdfkit.io._atomic import WRITTEN, AnyPath, check_target, own, remedy

# --- One run at a time in a folder -----------------------------------------------------------------------------------

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
    return not is_running(process)


def _words(owner: dict[str, object]) -> str:
    process, machine, since = (owner.get(key) for key in ("process", "machine", "since"))
    if not isinstance(process, int):
        return "another run"
    where = "" if machine == socket.gethostname() else f" on {str(machine)[:60]}"
    return f"another run (process {process}{where}, since {str(since)[:25]})"


def _in_use(folder: str | os.PathLike[str], who: str, path: Path) -> str:
    return (
        f"folder {folder} is in use by {who}: wait for it, or choose another folder"
        f" (if that run has ended, delete {path})"
    )


# --- A folder of results ---------------------------------------------------------------------------------------------

UNFINISHED = "pdfkit-unfinished"

_NEW = ".pdfkit-new-"

_OLD = 3600.0  # seconds after which a temporary file is nobody's


@contextmanager
def folder(path: AnyPath, names: Sequence[str] = (), inputs: Iterable[AnyPath] = ()) -> Iterator[Path]:
    """Make a folder, try it, and hold it for this run; folders made here go again if what follows fails.

    names : files that will be written into it, inputs : files that they must not replace. Raises WriteError when the
    folder cannot be made or written, or a name cannot be used; InUseError when another run has the folder.
    """
    target = Path(path)
    made = [one for one in (target, *target.parents) if not one.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target):
            pass
    except FileExistsError:
        raise WriteError(f"{target} is a file, and results need a folder: choose another with --out") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WriteError(f"folder {target} cannot be written ({reason}): choose another with --out") from None
    try:
        with folder_lock(target):
            _tidy(target)
            known = list(inputs)
            for name in names:
                check_target(target / name, known)
            yield target
    except BaseException:
        for one in made:
            try:
                one.rmdir()
            except OSError:
                break
        raise


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Give a hidden folder to write into; when the block ends well, its files take their places in `target`.

    Raises WriteError when a file cannot take its place; nothing has changed then unless `pdfkit-unfinished` is there.
    """
    with folder_lock(target):
        stage = target / f"{_NEW}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            _tidy(target)
            with _named(target):
                stage.mkdir()
            yield stage
            _commit(stage, target)
        except WriteError as error:
            raise WriteError(str(error).replace(str(stage), str(target))) from None
        finally:
            for file in [one for one in WRITTEN if Path(one).parent == stage]:
                del WRITTEN[file]
            if stage.exists():
                shutil.rmtree(stage, ignore_errors=True)


def _commit(stage: Path, target: Path) -> None:
    """Let the files of a stage be those of the folder."""
    names = sorted(file.name for file in stage.iterdir())
    for name in names:
        check_target(target / name)
        _like_before(stage / name, target / name)
    with uninterrupted(), _named(target):
        stage.rename(target / UNFINISHED)
        _settle(target)
        WRITTEN.update(dict.fromkeys(str(target / name) for name in names))


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Say of which folder the system complains."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"folder {target}: cannot be written ({error.strerror}): {remedy(error)}") from None


def unfinished(path: AnyPath) -> str:
    """Return what to say of a file whose folder a run left while it moved its files into place; "" otherwise."""
    left = Path(path) / UNFINISHED if Path(path).is_dir() else Path(path).parent / UNFINISHED
    if not left.is_dir():
        return ""
    return (
        f"a run was killed while it moved its results into {left.parent}: some files there are from an earlier run, "
        f"the others are in {UNFINISHED} there: run it again, or move those files up by hand"
    )


def _like_before(file: Path, target: Path) -> None:
    if target.is_file() and not target.is_symlink():
        file.chmod(stat.S_IMODE(target.stat().st_mode))


def _settle(target: Path) -> None:
    """Move the files of a run that counts to their places."""
    ready = own(target / UNFINISHED)
    if not ready.is_dir():
        return
    for file in sorted(ready.iterdir()):
        file.replace(target / file.name)  # a link gives way: what it leads to is no file of this folder
    ready.rmdir()


def _tidy(target: Path) -> None:
    """Finish what an earlier run began to put into place, and take away what killed ones left; the lock is held."""
    try:
        _settle(target)
    except OSError as error:
        reason = error.strerror
        raise WriteError(
            f"{target / UNFINISHED}: cannot be moved into the folder above ({reason}): do it by hand"
        ) from None
    for left in target.glob(f"{_NEW}*"):
        shutil.rmtree(left, ignore_errors=True)
    for left in target.glob(".pdfkit-*.tmp"):  # of a run without the lock, too: then it is young
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _OLD:
                left.unlink()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Any, ...]] = []
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *about: came.append(about))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and callable(before):
            before(*came[0])
