"""Text that no terminal obeys: what comes from files and arguments is shown, never executed.

An escape sequence in a title could rename a window, hide a line or write the clipboard. Readers take control
characters out of what they read (`plain`), reports out of what they say, and commands print through `show`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import IO

from pdfkit.errors import WriteError

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
