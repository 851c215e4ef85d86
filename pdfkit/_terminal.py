"""What reaches a terminal: plain text alone, and nothing of libraries that print and warn.

An escape sequence in a title could rename a window, hide a line or write the clipboard. Readers take control
characters out of what they read (`plain`), reports out of what they say, and commands print through `show`.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pdfkit.errors import WriteError, unwarned

# --- Text that no terminal obeys -------------------------------------------------------------------------------------

# C0 without tab and line feed, DEL, C1 (8-bit escapes), and what turns the direction of writing.
_CONTROL = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return text with a space for each control character other than tab and line feed (and NUL, which readers need).

    Columns stay where they are.
    """
    return _CONTROL.sub(" ", text) if _CONTROL.search(text) else text


def one_line(text: str) -> str:
    """Return text on one line, for a message."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def plain_json(text: str) -> str:
    """Return JSON with control characters as the escapes that JSON has for them."""
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def show(*values: object, sep: str = "\n", end: str = "\n", file: IO[str] | None = None) -> None:
    """Print values, by default one a line, without control characters; WriteError when stdout takes no more."""
    text = plain(sep.join(map(str, values))).replace("\x00", " ")
    try:
        print(text, end=end, file=file or sys.stdout)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"stdout: {error.strerror}: what was printed is not complete") from None


# --- Libraries that print and warn -----------------------------------------------------------------------------------

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
    """Keep what this thread prints in the block, and ignore warnings; one thread at a time."""
    with _ONE, unwarned(), captured() as kept:
        yield kept
