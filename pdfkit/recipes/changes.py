"""What a command line changes of the parameters that vary: `--free +c,-delta2`, or a new list, `--free scale,a`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pdfkit._expressions import matching
from pdfkit.errors import ParameterError, nearest

SIGNS = "+-"


def changed(free: Sequence[str], words: Iterable[str], names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what varies after changes: "+c" adds, "-c" takes out, words without signs are a list in place of `free`.

    free : endings of names, as in a recipe. words : one change each, or several with commas between. names : those of
    all parameters; with them an ending of `free` is written out where only part of what it frees is taken out.

    Raises ParameterError for words with and without signs together, one that is not free and cannot be taken out, a
    name that does not exist (where names are given), or nothing left.

    >>> changed(["scale", "a", "Uiso"], ["+c,-Uiso"])
    ('scale', 'a', 'c')
    >>> changed(["scale", "Uiso"], ["-S.Uiso"], ["zb.scale", "zb.Cd.Uiso", "zb.S.Uiso"])
    ('scale', 'zb.Cd.Uiso')
    """
    changes = split(words)
    signed = [word for word in changes if word[0] in SIGNS]
    if signed and len(signed) < len(changes):
        raise ParameterError(
            f"{', '.join(changes)}: write either a list of what varies (scale,a), or changes of it (+c,-delta2)",
            key=signed[0],
        )
    out = tuple(dict.fromkeys(free if signed else changes))
    for word in changes if names else ():
        matching(names, word.lstrip(SIGNS))
    for word in signed:
        name = word[1:]
        out = (*out, name) if word[0] == "+" and name not in out else out
        out = _without(out, name, names) if word[0] == "-" else out
    if not out:
        raise ParameterError(
            f"{', '.join(changes) or 'an empty list'}: nothing is left that varies: keep at least the scale"
        )
    return out


def split(words: Iterable[str]) -> list[str]:
    """Return the single words of arguments that may hold several, with commas or spaces between."""
    found = [one for word in words for one in word.replace(",", " ").split()]
    for word in found:
        if not word.strip(SIGNS):
            raise ParameterError(f"{word!r} names no parameter: write +c or -delta2, for instance", key=word)
    return found


def _without(free: tuple[str, ...], name: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the endings without those that free `name`; one that frees more is written out in full."""
    gone = set(matching(names, name)) if names else set()
    out: list[str] = []
    touched = False
    for pattern in free:
        freed = matching(names, pattern) if names else []
        kept = [one for one in freed if one not in gone]
        hit = pattern == name or len(kept) < len(freed)
        touched |= hit
        out += (kept if pattern != name else []) if hit else [pattern]
    if not touched:
        raise ParameterError(f"-{name}: {name} does not vary; what does: {nearest(name, free)}", key=name)
    return tuple(out)
