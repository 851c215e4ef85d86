"""What a command line changes of a fit: what varies, `--free +c,-delta2` or a new list, `--free scale,a`; and ties,
`--tie "wz.spdiameter = zb.spdiameter"`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pdfkit import _expressions
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


# --- ties ------------------------------------------------------------------------------------------------------------


def tie_of(word: str) -> tuple[str, str]:
    """Return what is tied, and to what, of "wz.spdiameter = zb.spdiameter". ParameterError for another form."""
    name, _, expression = (part.strip() for part in word.partition("="))
    if not name or not expression or "=" in expression:
        raise ParameterError(
            f'{word!r} is no tie: write NAME = EXPRESSION, such as "wz.spdiameter = zb.spdiameter"', key=word
        )
    return name, expression


def untied(ties: Mapping[str, str], words: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return ties without those of names that "+name" frees, where all that it names is tied.

    >>> untied({"zb.Cd.Uiso": "wz.Cd.Uiso"}, ["+zb.Cd.Uiso"], ["wz.Cd.Uiso", "zb.Cd.Uiso"])
    {}
    """
    freed = [matching(names, word[1:]) for word in split(words) if word[0] == "+"]
    loose = {name for found in freed if all(name in ties for name in found) for name in found}
    return {name: other for name, other in ties.items() if name not in loose}


def retied(
    free: tuple[str, ...], ties: Mapping[str, str], asked: Mapping[str, str], names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return what varies and what is tied, with other ties, which take the place of those of the same names.

    A tie that would close a circle with a new one is taken away, and what it tied varies.

    >>> retied(("zb.a",), {"wz.a": "zb.a"}, {"zb.a": "wz.a"}, ["zb.a", "wz.a"])
    (('zb.a', 'wz.a'), {'zb.a': 'wz.a'})
    """
    tied = {name for pattern in asked for name in matching(names, pattern)}
    words = {word for text in asked.values() for word in _expressions.names(text)}
    leaders = {name for word in words for name in matching(names, word)}
    kept = {name: other for name, other in ties.items() if name not in tied}
    circles = [name for name in kept if name in leaders - tied and tied & _expressions.names(kept[name])]
    varies = {name for pattern in free for name in matching(names, pattern)}
    return (
        (*free, *(name for name in circles if name not in varies)),
        {**{name: other for name, other in kept.items() if name not in circles}, **asked},
    )
