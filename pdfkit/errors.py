"""The errors pdfkit raises on purpose: one public tree, every message ending in what to do.

A message says which input is wrong, what it is, and the remedy. The command line prints it alone and exits with 2.
"""

from __future__ import annotations

import difflib
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from os import PathLike
from typing import Any

__all__ = [
    "ParameterError",
    "PdfkitError",
    "PdfkitWarning",
    "ReadError",
    "RecipeError",
    "StructureError",
    "WriteError",
]

LONGEST = 400
"""Characters of a message beyond which long words in it, which come from inputs, are shown by their beginnings."""


def shortened(text: str) -> str:
    """Return a message that fits a screen: an input may be one word of a megabyte."""
    if len(text) <= LONGEST:
        return text
    first, *rest = text.split(" ")  # the first is the file's name, as a rule
    words = [first[:200], *(word if len(word) <= 60 else f"{word[:40]}…" for word in rest)]
    out = " ".join(words)
    return out if len(out) <= LONGEST + 60 else f"{out[: LONGEST + 40]} …"


class PdfkitError(ValueError):
    """Base of every error that a user's input can cause.

    `key` is the name of the argument, setting or parameter that it is about, None where that is no single one.

    Example
    -------
    >>> import pdfkit as pk
    >>> try:
    ...     pk.Sphere(-30)
    ... except pk.PdfkitError as error:
    ...     print(f"{error.key}: {error}")
    spdiameter: spdiameter = -30 is outside [0.1, inf]
    """

    def __init__(self, message: str = "", *, key: str | None = None) -> None:
        super().__init__(shortened(message))
        self.key = key


class PdfkitWarning(UserWarning):
    """Something was repaired or dropped on the way: the result stands, but look at it.

    Example
    -------
    >>> import warnings
    >>> import pdfkit as pk
    >>> from pdfkit.structure import Site
    >>> sites = [Site("A", "Po", (0, 0, 0)), Site("B", "Po", (0, 0, 1))]
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     polonium = pk.Structure((3.36, 3.36, 3.36, 90, 90, 90), sites)
    >>> print(said[0].category.__name__, said[0].message, sep=": ")
    PdfkitWarning: 1 site lies on another site of the same element: merged into it
    """


class ReadError(PdfkitError):
    """A file that cannot be read as what it was given for; names the file and, where known, the line.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.errors import ReadError
    >>> try:
    ...     pk.read_pdf("nowhere.gr")
    ... except ReadError as error:
    ...     print(error.path, error.line)
    nowhere.gr None
    """

    def __init__(
        self, path: str | PathLike[str], message: str, line: int | None = None, *, key: str | None = None
    ) -> None:
        self.path = str(path)
        self.line = line
        self.message = shortened(message)
        self.key = key
        where = self.path if line is None else f"{self.path}, line {line}"
        ValueError.__init__(self, f"{where}: {self.message}")

    def __reduce__(self) -> tuple[type[ReadError], tuple[str, str, int | None], dict[str, str | None]]:
        return type(self), (self.path, self.message, self.line), {"key": self.key}


class WriteError(PdfkitError):
    """An output that cannot be written where it was asked for.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.write_cif("no/such/folder/Ni.cif", pk.load_structure("Ni"))
    Traceback (most recent call last):
        ...
    pdfkit.errors.WriteError: no/such/folder/Ni.cif: the folder ... does not exist: create it first
    """


class StructureError(PdfkitError):
    """A structure that makes no physical sense: unknown element, atoms on top of each other, no volume.

    Example
    -------
    >>> from pdfkit.structure import Site
    >>> Site("Cd1", "Cd", (0, 0, 0), occ=1.2)
    Traceback (most recent call last):
        ...
    pdfkit.errors.StructureError: occupancy of site Cd1 is 1.2: give a number from 0 to 1
    """


class ParameterError(PdfkitError):
    """A parameter, tie or bound that does not exist or cannot hold.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.Parameters().add("2a", value=1.0)
    Traceback (most recent call last):
        ...
    pdfkit.errors.ParameterError: '2a' is not a parameter name: use words joined by dots, like zb.a
    """


class RecipeError(ReadError):
    r"""A recipe with a wrong key or value.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pdfkit as pk
    >>> from pdfkit.errors import RecipeError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "fit.toml").write_text("[data]\nfiel = 'cdse.gr'\n")
    ...     try:
    ...         pk.load_recipe(f"{folder}/fit.toml")
    ...     except RecipeError as error:
    ...         print(error.message)
    [data] has no key 'fiel': the nearest is file
    """


# Who listens to remarks, in this thread: filters of warnings are of the whole process, so that two threads would take
# each other's remarks, or lose them where a library is silenced meanwhile.
_HEARD: ContextVar[list[str] | None] = ContextVar("_HEARD", default=None)


@contextmanager
def heard() -> Iterator[list[str]]:
    """Give the list of what is remarked in the block by this thread; none of it becomes a warning."""
    found: list[str] = []
    token = _HEARD.set(found)
    try:
        yield found
    finally:
        _HEARD.reset(token)


def remark(text: str, stacklevel: int = 3) -> str:
    """Say what was assumed or repaired, as a `PdfkitWarning` unless it is `heard`; return it, for the value to keep.

    Every PdfkitWarning of pdfkit is made here.
    """
    if (said := _HEARD.get()) is not None:
        said.append(text)
    else:
        warnings.warn(text, PdfkitWarning, stacklevel=stacklevel + 1)
    return text


_LOCK = threading.Lock()
_silenced: dict[str, Any] = {"inside": 0}


@contextmanager
def unwarned() -> Iterator[None]:
    """Let no library warn in the block; what is `heard` is heard all the same.

    Filters of warnings are of the whole process: blocks of threads that overlap would each set back what they found,
    and leave them changed for good. Here the first sets them, and the last sets them back.
    """
    with _LOCK:
        if _silenced["inside"] == 0:
            _silenced["guard"] = warnings.catch_warnings()
            _silenced["guard"].__enter__()
            warnings.simplefilter("ignore")
        _silenced["inside"] += 1
    try:
        yield
    finally:
        with _LOCK:
            _silenced["inside"] -= 1
            if _silenced["inside"] == 0:
                _silenced.pop("guard").__exit__()


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """Return the `count` names of `known` closest to `word`, as text for a message ("" when there are none).

    Names that go on where the word ends come first: of CdS, CdS_wurtzite before CdSe_wurtzite, and these before Cu.
    """
    names, begin = list(known), word.casefold()
    longer = [name for name in names if begin and name.casefold().startswith(begin)]
    longer.sort(key=lambda name: name[len(begin) : len(begin) + 1].isalnum())
    close = difflib.get_close_matches(word, [name for name in names if name not in longer], n=count, cutoff=0.0)
    return ", ".join([*longer, *close][:count])


def missing(path: str | PathLike[str], what: str = "file") -> str:
    """Return what to say of a file (or `what` it is) that does not exist: the nearest name in its folder, if any."""
    folder, name = os.path.split(os.fspath(path))
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, 10_000) if entry.name.isprintable()]
    except OSError:
        names = []
    close = difflib.get_close_matches(str(name), sorted(names), n=1, cutoff=0.6)
    remedy = f"the nearest name there is {close[0]}" if close else "check the name and the folder"
    return f"no such {what}: {remedy}"
