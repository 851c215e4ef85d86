"""Commands of pdfkit as processes that need not load everything first: each is a fork of one that has done so.

What such a process reads, writes, obeys and returns is that of `python -m pdfkit`. What an interpreter loads, and what
it makes of its surroundings, is not: that is tested with processes of their own.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

LOADED = (
    "numba", "scipy.optimize", "scipy.special", "matplotlib.figure", "matplotlib.backends.backend_agg", "h5py", "gemmi",
    "lmfit", "pdfkit.cli.app", "pdfkit.cli.fits", "pdfkit.cli.screening", "pdfkit.cli.reductions",
    "pdfkit.cli.watching", "pdfkit.recipes.recipe", "pdfkit.recipes.outputs", "pdfkit.plot.fits",
    "pdfkit.workbench.server", "pdfkit.workbench.opening", "pdfkit.workbench.jobs",
)  # fmt: skip


@functools.cache
def _forks() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("processes of this system do not fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


def _nameless() -> int:
    """Return the descriptor of a file without a name."""
    descriptor, name = tempfile.mkstemp()
    Path(name).unlink()
    return descriptor


class Command:
    """A command that runs, much as `subprocess.Popen` has it. Its output is kept in files: it waits for no reader."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, before: str = ""
    ) -> None:
        """Start a command in a session of its own. before : Python that is done first, or alone, of no arguments."""
        self._files = [_nameless(), _nameless()]
        for file in self._files:
            weakref.finalize(self, os.close, file)
        ends = [Connection(os.dup(file)) for file in self._files]
        about = (list(arguments), str(folder), dict(environment or {}), before, *ends)
        self._process = _forks().Process(target=_run, args=about)
        self._process.start()
        self.pid: int = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        self.wait()

    @property
    def returncode(self) -> int | None:
        """How it ended, None while it runs; a signal is a negative number."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired where it does not come."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("pdfkit", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def said(self, which: int) -> str:
        """Return what it has written: 1 to stdout, 2 to stderr."""
        file = self._files[which - 1]
        return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace")

    def line(self, which: int, holds: str = "\n", seconds: float = 90.0) -> str:
        """Wait until it has written something, and return all that it has; what it wrote where it ends without."""
        end = time.monotonic() + seconds
        while holds not in self.said(which) and self.returncode is None:
            assert time.monotonic() < end, self.said(2)
            time.sleep(0.005)
        return self.said(which)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; return what it wrote."""
        self.wait(timeout)
        return self.said(1), self.said(2)


def run(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None, before: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, much as `subprocess.run` does."""
    with Command(arguments, folder, environment, before) as command:
        out, err = command.communicate(300)
    return subprocess.CompletedProcess(list(arguments), command.wait(), out, err)


def _run(
    arguments: list[str], folder: str, environment: dict[str, str], before: str, out: Connection, err: Connection
) -> None:
    """Be the command: in the forked process."""
    os.setsid()
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.update(environment)
    sys.argv = ["pdfkit", *arguments]
    exec(before, {"__name__": "__main__"})
    if arguments:
        from pdfkit.cli.app import main

        main()
