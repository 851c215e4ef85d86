"""The file of a project: a zip archive of texts and pickles, read within limits; nothing is unpacked to disk.

Names in it: project/fit/structure/phase/initial, …/dataset/data/obs, …/calculation/name/config, project/fits.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_plus

from pdfkit.errors import ReadError
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_bytes

ENDINGS = (".ddp3", ".ddp")
MOST_BYTES = 200_000_000
"""Of the file, and of all that is unpacked of it."""
MOST_IN_PART = 50_000_000
MOST_PARTS = 50_000
# What is not read: the course of each refinement, and groups that diffpy.structure made up.
_LEFT_OUT = ("steps", "custom_spacegroup")
_BRANCHES = ("structure", "dataset", "calculation")
# What PDFgui writes first of a phase, a data set or a simulation.
_FIRST = {"structure": "initial", "dataset": "obs", "calculation": "config"}


@dataclass
class Part:
    """A phase, a data set or a simulation: its name, and what is stored of it."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class FitParts:
    """What is stored of a fit."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    branches: dict[str, list[Part]] = field(default_factory=lambda: {kind: [] for kind in _BRANCHES})
    last: dict[tuple[str, str], Part] = field(default_factory=dict)

    def take(self, branch: str, name: str, key: str, data: bytes) -> None:
        """Add a file. Where two phases have one name, the second begins with the file that comes first."""
        part = self.last.get((branch, name))
        if part is None or (key == _FIRST[branch] and key in part.files):
            part = self.last[branch, name] = Part(name)
            self.branches[branch].append(part)
        part.files[key] = data


@dataclass
class Archive:
    """A project's file: its own texts, and its fits in their order."""

    files: dict[str, bytes] = field(default_factory=dict)
    fits: dict[str, FitParts] = field(default_factory=dict)


def is_project(path: AnyPath) -> bool:
    """Return whether a file is a project, by its name; of an archive of another name, by what is in it."""
    if Path(path).suffix.lower() in ENDINGS:
        return True
    try:
        with Path(path).open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04" and b"/dataset/" in Path(path).read_bytes()
    except OSError:
        return False


def open_archive(path: AnyPath) -> Archive:
    """Return what a project's file holds. ReadError for a file that is none, damaged, or larger than any project."""
    out = Archive()
    root = ""
    for name, data in _members(path):
        top, _, rest = name.partition("/")
        if not rest or top == "__MACOSX" or (root and top != root):
            continue
        root = top
        _sort(out, rest.split("/"), data)
    if not out.fits and "fits" not in out.files:
        raise ReadError(path, "this zip archive holds no fit of PDFgui: unpack it, and give a file that was in it")
    return out


def _sort(archive: Archive, names: list[str], data: bytes) -> None:
    """Put a file where it belongs, by the names that lead to it; what belongs nowhere is left out."""
    match names:
        case [key]:
            archive.files[key] = data
        case [fit, key]:
            _fit(archive, fit).files[key] = data
        case [fit, branch, part, key] if branch in _BRANCHES:
            _fit(archive, fit).take(branch, unquote_plus(part), key, data)


def _fit(archive: Archive, quoted: str) -> FitParts:
    return archive.fits.setdefault(quoted, FitParts(unquote_plus(quoted)))


def _members(path: AnyPath) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file in the archive, in its order."""
    raw = read_bytes(path, MOST_BYTES)
    if not raw.startswith(b"PK"):
        raise ReadError(path, "this is not a project of PDFgui, which is a zip archive: is it the right file?")
    _check_directory(path, raw)
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for about in archive.infolist():
                if about.is_dir() or about.filename.rpartition("/")[2] in _LEFT_OUT:
                    continue
                if about.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise NotImplementedError("its compression is not that of PDFgui")
                with archive.open(about) as stream:
                    data = stream.read(min(left, MOST_IN_PART) + 1)
                if len(data) > min(left, MOST_IN_PART):
                    raise ReadError(path, f"{_shown(about.filename)} in it is larger than any project: {_BOMB}")
                left -= len(data)
                yield about.filename, data
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, OSError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(path, f"the project is damaged ({_reason(error)}): {_RESTORE}") from None
    except (NotImplementedError, RuntimeError) as error:  # another compression, or a password
        raise ReadError(path, f"the archive cannot be read ({_reason(error)}): save it again in PDFgui") from None


_BOMB = "was it made to exhaust the memory?"
_RESTORE = "take a copy of it that was saved earlier"


def _reason(error: Exception) -> str:
    return _shown(" ".join(str(error).split()) or type(error).__name__)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:80]


def _check_directory(path: AnyPath, raw: bytes) -> None:
    """Refuse a list of files that would itself fill the memory, by what the end of the archive says of it."""
    end = raw.rfind(b"PK\x05\x06", max(0, len(raw) - 66_000))
    if end < 0 or len(raw) < end + 22:
        raise ReadError(path, f"the project is cut short (its list of files is missing): {_RESTORE}")
    count, size = struct.unpack("<HL", raw[end + 10 : end + 16])
    if count >= MOST_PARTS or size > 400 * MOST_PARTS or raw[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise ReadError(path, f"it has more files than any project: {_BOMB}")
