"""Libraries that print and warn, kept quiet: only in the thread that asks."""

from __future__ import annotations

import io
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_ONE = threading.RLock()


class _Here(io.TextIOBase):
    """A stream that keeps what one thread writes and hands on what others do, as long as it stands in and after."""

    def __init__(self, usual: IO[str] | _Here | None, kept: io.StringIO) -> None:
        self.usual, self.kept = usual, kept
        self.thread: int | None = threading.get_ident()

    def write(self, text: str) -> int:
        """Keep or hand on."""
        if threading.get_ident() == self.thread:
            return self.kept.write(text)
        return len(text) if self.usual is None else self.usual.write(text)

    def flush(self) -> None:
        """Flush the usual stream."""
        if self.usual is not None:
            self.usual.flush()


@contextmanager
def captured() -> Iterator[io.StringIO]:
    """Keep what this thread prints in the block; give where the text is kept.

    `contextlib.redirect_stdout` changes the stream of all threads, and two that overlap may leave it changed.
    """
    kept = io.StringIO()
    with _ONE:
        own = {name: _Here(getattr(sys, name), kept) for name in ("stdout", "stderr")}
        for name, stream in own.items():
            setattr(sys, name, stream)
    try:
        yield kept
    finally:
        with _ONE:
            for name, stream in own.items():
                stream.thread = None  # whoever took it meanwhile goes on with the usual stream
                if getattr(sys, name) is stream:
                    setattr(sys, name, _alive(stream))


def _alive(stream: IO[str] | _Here | None) -> IO[str] | _Here | None:
    """Return the stream below those that have ended."""
    while isinstance(stream, _Here) and stream.thread is None:
        stream = stream.usual
    return stream


@contextmanager
def quiet() -> Iterator[io.StringIO]:
    """Keep what this thread prints in the block, and ignore warnings; one thread at a time, for filters are shared."""
    with _ONE, warnings.catch_warnings(), captured() as kept:
        warnings.simplefilter("ignore")
        yield kept
