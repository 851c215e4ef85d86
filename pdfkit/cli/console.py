"""A line on stderr while a fit runs: live on a terminal, and elsewhere one now and then once it takes over a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST, EVERY = 1.0, 10.0  # seconds


@contextmanager
def progress() -> Iterator[Callable[[int, float], None]]:
    """Give the function (evaluations, Rw) to call during a fit."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("reading") as status:
            yield lambda nfev, rw: status.update(f"fitting: evaluation {nfev}, Rw {rw:.4f}")
    else:
        yield _Lines()


class _Lines:
    """Prints a line a second after the first evaluation, then every ten."""

    def __init__(self) -> None:
        self.due: float | None = None

    def __call__(self, nfev: int, rw: float) -> None:
        now = time.monotonic()
        if self.due is None:
            self.due = now + FIRST
        if now >= self.due:
            self.due = now + EVERY
            print(f"fitting: evaluation {nfev}, Rw {rw:.4f}", file=sys.stderr, flush=True)
