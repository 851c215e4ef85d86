"""Files that a page may name: those in its folder, those that were dropped on it, and those of the command line.

Links are followed first: what counts is where a file is.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError

__all__ = ["Files", "named", "safe_name"]

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{one}{n}" for one in ("com", "lpt") for n in range(10)
}
_ODD = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_KEYS = ("file", "files", "structure", "path", "folder", "dir")
LONGEST = 120
"""Bytes of a name."""


def safe_name(name: str) -> str:
    """Return the name under which a file is kept: the last part, of plain characters, of no device, not hidden."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = _ODD.sub("_", last).strip(" .") or "file"
    stem, dot, ending = plain.rpartition(".")
    stem, ending = (stem, f".{ending}") if dot and len(ending.encode()) <= 16 else (plain, "")
    stem = stem.encode()[: LONGEST - len(ending.encode())].decode("utf-8", "ignore") or "file"
    return f"_{stem}{ending}" if stem.partition(".")[0].strip().casefold() in _DEVICES else f"{stem}{ending}"


def named(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, text) of each text in tables: of some it is only known by looking whether they are files."""
    stack = [(key, value)]
    while stack:
        key, one = stack.pop()
        if isinstance(one, str):
            yield key, one
        elif isinstance(one, Mapping):
            stack += [(str(name), inner) for name, inner in one.items()]
        elif isinstance(one, list | tuple):
            stack += [(key, inner) for inner in one]


@dataclass(frozen=True)
class Files:
    """Where the files of a page may be.

    folder : where its paths start, and may lead. own : what was dropped. chosen : files that the command line named.
    """

    folder: Path
    own: Path
    chosen: frozenset[str] = frozenset()

    def check(self, tables: Mapping[str, Any]) -> None:
        """Raise PdfkitError where tables, or an action, name a file that the page may not read."""
        for key, text in named(tables):
            if text and not self._is_in(text) and (key in _KEYS or self._exists(text)):
                raise PdfkitError(
                    f"{text[:200]!r} is outside {self.folder}: a page reads files of this folder; drop the file on the "
                    "page, or name it on the command line of pdfkit live"
                )

    def with_chosen(self, tables: Mapping[str, Any], *files: str) -> Files:
        """Return the same with the files that the user named, and those that these name."""
        more = [text for _, text in named(tables)] + list(files)
        return Files(self.folder, self.own, self.chosen | {self._place(text) for text in more if self._exists(text)})

    def _place(self, text: str) -> str:
        return os.path.realpath(self.folder / text)

    def _is_in(self, text: str) -> bool:
        try:
            place = self._place(text)
            roots = [os.path.realpath(root) for root in (self.folder, self.own)]
            return place in self.chosen or any(os.path.commonpath([root, place]) == root for root in roots)
        except (OSError, ValueError):  # NUL, a name that no file can have, or another drive
            return False

    def _exists(self, text: str) -> bool:
        try:
            return (self.folder / text).exists()
        except (OSError, ValueError):
            return False

    def store(self, name: str, digest: str) -> Path:
        """Return where dropped bytes go: under their name, or with a part of their digest where another has it."""
        place = self.own / safe_name(name)
        if place.exists() and hashlib.sha256(place.read_bytes()).hexdigest() != digest:
            place = place.with_name(f"{place.stem}-{digest[:8]}{place.suffix}")
        return place
