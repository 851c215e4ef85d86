"""What a structure file announces, against what it can hold: readers make room for it before they look."""

from __future__ import annotations

import math
import re

from pdfkit.errors import ReadError
from pdfkit.io._atomic import AnyPath

# "natom 20" and "20*0.0" of abinit, "nat = 20" of espresso.
_COUNT_OF = re.compile(
    r"(?i)\b(?:n?atoms?|nat|ntyp|ntypat|natrd)\b\s{0,20}[=:]?\s{0,20}([0-9]{1,400})|\b([0-9]{5,400})\*"
)
_PROPERTIES = re.compile(r"(?i)properties\s{0,9}=\s{0,9}\"?([\w:]{1,10000})")
# Kinds whose first line is a title, which may be a date.
_TITLED = ("vasp", "gromacs", "cube", "abinit-in")


def short_frames(path: AnyPath, lines: list[str]) -> None:
    """Refuse an xyz file that announces more atoms, or more columns of an atom, than its lines hold.

    A reader makes room for what is announced before it looks at the lines.
    """
    i = 0
    while i < len(lines):
        if i and not lines[i].strip():
            i += 1
            continue
        count = lines[i].split()[0]
        if not (count.isascii() and count.isdigit()):
            raise ReadError(path, f"{count[:40]!r} is not the number of atoms of the next frame: mend the line", i + 1)
        follow = max(len(lines) - i - 2, 0)
        if len(count) > 12 or follow < int(count):
            message = f"{count[:20]} atoms are announced and {follow} lines follow: the file is cut short"
            raise ReadError(path, message, i + 1)
        properties = _PROPERTIES.search(lines[i + 1] if follow else "")
        columns = [word[:9] for word in properties[1].split(":")[2::3] if word.isdecimal()] if properties else []
        words = max((len(line.split()) for line in lines[i + 2 : i + 2 + int(count)]), default=0)
        if sum(map(int, columns)) > words:
            message = f"Properties announces {sum(map(int, columns))} columns and the atoms have {words}: mend it"
            raise ReadError(path, message, i + 2)
        i += int(count) + 2


def huge_counts(path: AnyPath, text: str, kind: str) -> None:
    """Refuse a file, of a kind by ase's name, that announces more atoms than it can hold."""
    lines = text.split("\n")
    if kind in ("xyz", "extxyz"):
        short_frames(path, text.rstrip().split("\n"))
        return
    most = max(len(text), 1000)
    for i, line in enumerate(lines[:20]):
        words = line.split()
        # The first line of several formats is a title, which may hold a date; a count on it stands alone.
        counts = words and all(word.isdecimal() for word in words) and (i > 0 or len(words) == 1)
        title = i == 0 and kind in _TITLED
        if counts and not title and sum(map(_whole, words)) > most:
            raise ReadError(path, f"{line.strip()[:40]!r} announces more atoms than there are", i + 1)
    for i, line in enumerate(lines):
        for found in _COUNT_OF.finditer(line[:2000]):
            if _whole(found[1] or found[2]) > most:
                raise ReadError(path, f"{found[0][:40]!r} announces more atoms than the file can hold", i + 1)


def _whole(word: str) -> float:
    return int(word) if len(word) < 18 else math.inf
