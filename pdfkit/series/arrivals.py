"""Files that come into a folder, each handed on when it is whole.

A file is whole when nobody has it open for writing, its size and time have stayed for a moment, and its last line is a
line like the one before. Linux tells whether a file is open; where it does not (files of other users, network drives,
other systems) size and time have to stay longer. The system tells of changes where it can (`watchfiles`, inotify); that
is news to look at once, and the folder is looked through now and then all the same: of what other machines write to a
network drive there is no news.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pdfkit.errors import PdfkitError
from pdfkit.series.growing import is_growing, is_shared
from pdfkit.series.index import natural
from pdfkit.series.scans import file_stamp

STAYS, STAYS_LONGER = 0.02, 0.5
"""Seconds for which size and time of a file have to stay, where it is known to be closed, and where that is unknown."""
PATIENCE = 2.0
"""Seconds after which a file that stays is read although its last line is not whole."""
STEP = 0.01
"""Seconds between looks at files that are not whole yet."""
EVERY, EVERY_BLIND = 1.0, 0.2
"""Seconds between looks through the folder, where the system tells of changes, and where it does not."""
_TAIL = 1 << 13


@dataclass(frozen=True)
class Look:
    """How a file looked, and since when."""

    stamp: str
    since: float


@dataclass(eq=False)
class Arrivals:
    """Files of a folder whose names are wanted, one after the other; tell : called with what is to be said of it.

    A context manager. PdfkitError where neither the folder nor the one above it exists.
    """

    folder: Path
    wanted: Callable[[str], bool]
    tell: Callable[[str], None]
    _waiting: dict[str, Look] = field(default_factory=dict)
    _taken: dict[str, str] = field(default_factory=dict)
    _waited: set[str] = field(default_factory=set)
    _there: bool = True
    _due: float = 0.0

    def __enter__(self) -> Self:
        if not self.folder.exists() and not self.folder.absolute().parent.is_dir():
            raise PdfkitError(f"there is no folder {self.folder}, and none above it: check the name")
        if self.folder.exists() and not self.folder.is_dir():
            raise PdfkitError(f"{self.folder} is a file: name the folder that scans come into")
        self._before = _leave_leases()
        self._news = News(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._news.close()
        if self._before is not None:
            signal.signal(signal.SIGIO, self._before)

    def skip(self) -> tuple[str, ...]:
        """Take all files that are there now for seen; return their names."""
        self._look_through()
        self._taken |= {name: look.stamp for name, look in self._waiting.items()}
        self._waiting.clear()
        return tuple(self._taken)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Names of files that are not whole yet."""
        return tuple(self._waiting)

    def next(self, seconds: float) -> str | None:
        """Return the name of a file that is whole, None where none has become so after some seconds.

        Of those that are whole already the first in natural order; a file that changes later is handed on again.
        """
        end = time.monotonic() + seconds
        while True:
            self._look()
            found = next((name for name, look in self._waiting.items() if self._is_whole(name, look)), None)
            if found is not None:
                self._taken[found] = self._waiting.pop(found).stamp
                return found
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._news.wait(min(left, STEP if self._waiting else self._every))

    @property
    def _every(self) -> float:
        return EVERY if self._news.comes else EVERY_BLIND

    def _look(self) -> None:
        """Look at files of which there is news, at those that wait, and now and then at all of them."""
        began = time.monotonic()
        if began >= self._due:
            self._look_through()
            now = time.monotonic()
            self._due = now + max(self._every, 10 * (now - began))
        else:
            self._note([*self._waiting, *self._news.names()])

    def _look_through(self) -> None:
        try:
            names = [one.name for one in os.scandir(self.folder) if self.wanted(one.name) and not one.is_dir()]
        except OSError as error:
            if self._there:
                why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
                self.tell(f"the folder {self.folder} {why}: waiting until it is there")
            self._there = False
            self._waiting.clear()
            return
        if not self._there:
            self.tell(f"the folder {self.folder} is there")
            self._news.close()
            self._news = News(self.folder)
        self._there = True
        fresh = [name for name in names if name not in self._waiting and name not in self._taken]
        self._note([*self._waiting, *(name for name in names if name in self._taken), *sorted(fresh, key=natural)])

    def _note(self, names: Iterable[str]) -> None:
        """Let files wait that are new or have changed, from now on."""
        now = time.monotonic()
        for name in dict.fromkeys(names):
            file = self.folder / name
            stamp = file_stamp(str(file)) if self.wanted(name) and not file.is_dir() else "missing"
            if stamp == "missing":
                self._waiting.pop(name, None)
            elif stamp != self._taken.get(name):
                known = self._waiting.get(name)
                if known is None or known.stamp != stamp:
                    self._waiting[name] = Look(stamp, now)

    def _is_whole(self, name: str, look: Look) -> bool:
        stayed, path = time.monotonic() - look.since, self.folder / name
        if is_growing(name) and is_shared(path):
            return True
        if stayed < STAYS:
            return False
        opened = is_written(path)
        if opened and is_growing(name) and name not in self._waited:
            self._waited.add(name)
            self.tell(f"{name} is being written, not in SWMR mode: its scans are read whenever it is closed")
        if opened or (opened is None and stayed < STAYS_LONGER):
            return False
        return is_growing(name) or stayed >= PATIENCE or ends_whole(path)


def ends_whole(path: Path) -> bool:
    """Return whether the last line of a text ends, and has as many columns as the one before it."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            tail = file.read()
    except OSError:
        return False
    columns = [len(line.split()) for line in tail.splitlines() if line.strip()]
    return tail.endswith((b"\n", b"\r")) and len(set(columns[-2:])) == 1


# --- Whether a file is open ------------------------------------------------------------------------------------------


def _leave_leases() -> Any:
    """Ignore the signal that tells the holder of a lease to give it back; return what it did before, None for nothing.

    By default it would end the process.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGIO, signal.SIG_IGN)


def is_written(path: Path) -> bool | None:
    """Return whether some process has a file open for writing; None where the system does not tell.

    Linux gives a lease for reading, which is handed back at once, of files that nobody writes to.
    """
    if sys.platform != "linux" or signal.getsignal(signal.SIGIO) is not signal.SIG_IGN:
        return None
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(descriptor)


# --- News ------------------------------------------------------------------------------------------------------------


class News:
    """What the system tells of changes in a folder. comes : whether it tells anything."""

    def __init__(self, folder: Path) -> None:
        self.comes = False
        self._names: deque[str] = deque()
        self._woken, self._ended = threading.Event(), threading.Event()
        with suppress(ImportError):
            import watchfiles

            if folder.is_dir():
                self.comes = True
                about = (watchfiles.watch, folder)
                threading.Thread(target=self._listen, args=about, name="pdfkit-news", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._ended.set()

    def wait(self, seconds: float) -> None:
        """Wait for news, so many seconds at most."""
        self._woken.wait(seconds)
        self._woken.clear()

    def names(self) -> list[str]:
        """Return the names of what has changed since this was asked last."""
        return [self._names.popleft() for _ in range(len(self._names))]

    def _listen(self, watch: Any, folder: Path) -> None:
        about = {"recursive": False, "step": 5, "debounce": 20, "rust_timeout": 500, "raise_interrupt": False}
        with suppress(Exception):  # no more watches, a drive without news: the folder is looked through
            for changes in watch(folder, watch_filter=None, stop_event=self._ended, **about):
                self._names.extend(sorted((Path(path).name for _, path in changes), key=natural))
                self._woken.set()
        self.comes = False
