"""A folder of results: tried before anything is computed, held by one run at a time, and whole or old afterwards.

All files of a run are written into a hidden folder `.pdfkit-new-…` inside, which then becomes `pdfkit-unfinished` in
one step: from here on the run counts. Its files are moved to their places one by one, which takes well under a
millisecond, and the empty folder goes. Killed before that step, the old files stand as they were; killed after it,
`pdfkit-unfinished` says so, and the next run that uses the folder moves what is left. Files of others stay. A link
in the place of a result is replaced, and what it leads to stays.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pdfkit._locks import folder_lock
from pdfkit.errors import WriteError
from pdfkit.io._atomic import WRITTEN, AnyPath, check_target, own, remedy

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
        f"a run was killed while it put its results into {left.parent}: some files there are of the run before, "
        f"and {UNFINISHED} in it has the others; run it again, or move them up yourself"
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
        raise WriteError(f"{target / UNFINISHED}: its files cannot be moved up ({reason}): do it by hand") from None
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
