"""The errors pdfkit raises on purpose: one public tree, every message ending in what to do.

A message says which input is wrong, what it is, and the remedy. The command line prints it alone and exits with 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from os import PathLike


class PdfkitError(ValueError):
    """Base of every error that a user's input can cause."""


class PdfkitWarning(UserWarning):
    """Something was repaired or dropped on the way: the result stands, but look at it."""


class ReadError(PdfkitError):
    """A file that cannot be read as what it was given for; names the file and, where known, the line."""

    def __init__(self, path: str | PathLike[str], message: str, line: int | None = None) -> None:
        self.path = str(path)
        self.line = line
        self.message = message
        where = self.path if line is None else f"{self.path}, line {line}"
        super().__init__(f"{where}: {message}")

    def __reduce__(self) -> tuple[type[ReadError], tuple[str, str, int | None]]:
        return type(self), (self.path, self.message, self.line)


class WriteError(PdfkitError):
    """An output that cannot be written where it was asked for."""


class StructureError(PdfkitError):
    """A structure that makes no physical sense: unknown element, atoms on top of each other, no volume."""


class ParameterError(PdfkitError):
    """A parameter, tie or bound that does not exist or cannot hold."""


class RecipeError(ReadError):
    """A recipe with a wrong key or value."""


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """Return the `count` names of `known` closest to `word`, as text for a message ("" when there are none)."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=count, cutoff=0.0)
    return ", ".join(close)
