"""Tables of a TOML file with their place in the text, so that every message names a line.

`tomllib` keeps no positions. A key is found again by reading the text: the section that holds it, then the key.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pdfkit.errors import ReadError, RecipeError, nearest
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_table, read_text

Where = tuple[str | int, ...]

# Files that somebody may give for a recipe.
STRUCTURES = (".cif", ".mcif", ".stru", ".pdb", ".xyz", ".extxyz", ".rmc6f", ".vasp", ".poscar")

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*$")
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def _another_kind(path: AnyPath) -> str:
    """Return what to say of a file that is data or a structure and no recipe; "" where it is neither."""
    name = Path(path)
    if name.suffix.lower() in STRUCTURES:
        return "this is a structure, not a recipe: name it in one; see `pdfkit recipe`"
    try:
        rows = len(read_table(path).data)
    except ReadError:
        return ""
    return (
        f"this is data ({rows} rows of numbers), not a recipe: `pdfkit recipe {name.name} STRUCTURE -o fit.toml` "
        "writes one"
    )


LARGEST = 1_000_000
"""Characters of a recipe; what is longer would be read for minutes."""


@dataclass(frozen=True)
class Source:
    """The text of a TOML file, its name, and where things are in it."""

    path: str
    text: str = field(repr=False)

    @classmethod
    def read(cls, path: AnyPath) -> tuple[Source, dict[str, Any]]:
        """Return the text and what `tomllib` makes of it; RecipeError with the line where it is no TOML."""
        source = cls(str(path), read_text(path))
        if len(source.text) > LARGEST:
            raise RecipeError(path, f"it has {len(source.text)} characters, and a recipe at most {LARGEST}: is it one?")
        try:
            return source, tomllib.loads(source.text)
        except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python converts
            if other := _another_kind(path):
                raise RecipeError(path, other) from None
            at = _AT.search(str(error))
            line = int(at[1]) if at and at[1] else max(1, len(source.text.splitlines()))
            message = f"not TOML: {_AT.sub('', str(error))}; write key = value, and text in quotes"
            raise RecipeError(path, message, line) from None
        except RecursionError:
            raise RecipeError(path, "not a recipe: brackets are nested too deeply") from None

    def error(self, message: str, *where: str | int, value: str | None = None) -> RecipeError:
        """Return a RecipeError about the key at `where` (("phase", 1, "shape")), or about a text in its value."""
        return RecipeError(self.path, message, self.line(*where, value=value))

    def line(self, *where: str | int, value: str | None = None) -> int | None:
        """Return the line of the key at `where`; of its section when it is not there; None when that is not."""
        lines = [line.split("#", 1)[0] for line in self.text.splitlines()]
        first, last, rest = self._section(lines, where)
        found = first
        skip = 0
        for key in rest:
            if isinstance(key, int):
                skip = key
                continue
            pattern = re.compile(rf"""(?:^|[\s{{,.\["']){re.escape(key)}["']?\s*[=.]""")
            start = max(found or 0, 0)
            hits = [i for i in range(start, last) if pattern.search(lines[i]) and not _HEADER.match(lines[i])]
            if not hits:
                break
            found, skip = hits[min(skip, len(hits) - 1)], 0
        if value is not None:
            quoted = re.compile(rf"""["']{re.escape(value)}["']""")
            order = [*range(found or 0, len(lines)), *range(found or 0)]
            found = next((i for i in order if quoted.search(lines[i])), found)
        return None if found is None else found + 1

    def _section(self, lines: Sequence[str], where: Where) -> tuple[int | None, int, Where]:
        """Return first line and end of the innermost section that holds `where`, and what is left of `where`."""
        best: tuple[int | None, int, Where] = (None, len(lines), where)
        depth = 0
        headers = [*_headers(lines), (len(lines), ())]
        if not where or headers[0][0] > 0:
            best = (None, headers[0][0], where)
        for (line, path), (after, _) in pairwise(headers):
            if len(path) > depth and (where[: len(path)] == path or path == (*where, 0)):
                depth = len(path)
                best = (line, after, where[depth:])
        return best


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, Where]]:
    """Yield (line index, path) of every [table] and [[table]]; an element of an array has its index in the path."""
    counts: dict[Where, int] = {}
    for i, line in enumerate(lines):
        if not (match := _HEADER.match(line)):
            continue
        path: Where = ()
        keys = [key.strip().strip("\"'") for key in match[2].split(".")]
        for k, key in enumerate(keys):
            path = (*path, key)
            if match[1] == "[[" and k == len(keys) - 1:
                counts[path] = counts.get(path, -1) + 1
            if path in counts:
                path = (*path, counts[path])
        yield i, path


_KINDS = ((bool, "true or false"), ((int, float), "a number"), (str, "text"), (list, "a list"), (dict, "a table"))


# What keys were called, by their table, and what to write now.
RENAMED = {
    ("[phase]", "body"): 'shape = {kind = "sphere", spdiameter = 20}',
    ("[data]", "weights"): 'scattering ("constant" or "q-dependent")',
    ("[fit]", "weights"): "use_errors (true or false)",
}


def is_number(value: Any) -> bool:
    """Return whether a TOML value is a number that a float can hold (inf counts, nan does not)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:
        return False


def kind_of(value: Any) -> str:
    """Return in words what kind of TOML value this is."""
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "a date")


@dataclass(frozen=True)
class Table:
    """One table: its values by key, checked for kind, each message with file and line.

    what : how messages call it ("[fit]"). known : the keys it may have. elsewhere : keys of other tables.
    """

    source: Source
    raw: Mapping[str, Any]
    where: Where
    what: str
    known: Sequence[str]
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.raw, Mapping):
            raise self.source.error(
                f"{self.what} is {kind_of(self.raw)}: make it a table with {', '.join(self.known)}", *self.where
            )
        for key in self.raw:
            if key not in self.known:
                hint = f"the nearest is {nearest(key, self.known, 1)}"
                if (self.what, key) in RENAMED:
                    hint = f"it is called {RENAMED[self.what, key]} now"
                elif key in self.elsewhere:
                    hint = f"it belongs in {self.elsewhere[key]}"
                raise self.error(key, f"{self.what} has no key {key!r}: {hint}")

    def __contains__(self, key: str) -> bool:
        return key in self.raw

    def error(self, key: str, message: str, value: str | None = None) -> RecipeError:
        """Return a RecipeError with the line of `key`."""
        return self.source.error(message, *self.where, key, value=value)

    def wrong(self, key: str, wanted: str) -> RecipeError:
        """Return the RecipeError for a value of the wrong kind."""
        value = self.raw[key]
        short = isinstance(value, str | float | bool) and len(str(value)) < 60
        shown = f"{value!r} ({kind_of(value)})" if short else kind_of(value)
        return self.error(key, f"{key} in {self.what} is {shown}: give {wanted}")

    def required(self, key: str, wanted: str) -> Any:
        """Return the value of a key that must be there."""
        if key not in self.raw:
            raise self.source.error(f"{self.what} lacks {key}: give {wanted}", *self.where)
        return self.raw[key]

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self.raw.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "text in quotes")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str) -> str:
        """Return one of the allowed words."""
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, f"{key} = {value!r} in {self.what} is not known: choose one of {', '.join(allowed)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.raw.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def number(self, key: str) -> float | None:
        """Return a number, or None where there is none."""
        value = self.raw.get(key)
        if value is None:
            return None
        if not is_number(value):
            raise self.wrong(key, "a number without quotes")
        return float(value)

    def count(self, key: str, default: int) -> int:
        """Return a whole number of at least 1."""
        value = self.raw.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(key, "a whole number of at least 1")
        return value

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one."""
        value = self.raw.get(key, list(default))
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, 'a list of texts, such as ["scale", "a"]')
        return tuple(value)

    def flat(self, key: str, leaf: Sequence[str] = ()) -> dict[str, Any]:
        """Return a table of names; Cd.Uiso = 1 (a table in a table for TOML) counts as "Cd.Uiso" = 1.

        A table whose keys are all in `leaf` is a value.
        """
        value = self.raw.get(key, {})
        if not isinstance(value, Mapping):
            raise self.wrong(key, "a table of names and values")
        out: dict[str, Any] = {}
        # A stack, not recursion: the depth is the file's.
        stack = [("", value)]
        while stack:
            lead, table = stack.pop()
            for name, item in table.items():
                is_leaf = not isinstance(item, Mapping) or (leaf and set(item) <= set(leaf))
                if is_leaf:
                    out[lead + name] = item
                else:
                    stack.append((f"{lead}{name}.", item))
        return out
