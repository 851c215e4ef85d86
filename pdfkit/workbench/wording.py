"""Messages and remarks in the words of the page: what sentences name as options of a command, or arguments of a
function, is called by the control that does the same, or by its place in a recipe.

The sentences are written once, where they arise; the terminal turns arguments into its options (`cli.console`), and the
page does it here, when it is told something.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pdfkit.recipes.tables import KEYS

__all__ = ["in_page"]

_CONTROLS = {
    **dict.fromkeys(("probe", "window", "qmin", "qmax", "qdamp", "qbroad"), "under Data"),
    **dict.fromkeys(("rmin", "rmax"), "under the plot"),
    "shape": "under Phases",
}
_TABLES = ("[data]", "[phase]", "[fit]")
_ARGUMENTS = {key for table in _TABLES for key in KEYS[table]} | {"block", "unit", "q_unit", "errors", "extrapolate"}
# What an option or an argument is given: a number, a word in quotes, or one capital letter (probes).
_GIVEN = r"""(?P<value>['"][^'"\s]*['"]|[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf)\b|[A-Z]\b|True|False)"""
_OPTION = re.compile(rf"(?<![\w.\-/])--(?P<name>[a-z][\w-]*)(?:[ =]{_GIVEN})?")
_ARGUMENT = re.compile(rf"(?<![\w.\-\[])(?P<name>{'|'.join(sorted(_ARGUMENTS))})=(?:{_GIVEN}|(?=[\s,;:)]|$))")
_FREE = re.compile(r"--free (\+[\w.]+(?:,\+[\w.]+)*)")
_STANDARD = re.compile(r"--preset calibrate(?: on \w+)?")
_TWICE = re.compile(r"(\w+) (under [\w ]+?) and (\w+) \2")


@lru_cache(maxsize=1024)
def in_page(text: str) -> str:
    """Return a sentence in the words of the page."""
    if "--" not in text and "=" not in text:
        return text
    lacking: dict[str, None] = {}
    text = _STANDARD.sub("a fit of a standard with qdamp free", text)
    text = _FREE.sub(lambda found: f"tick Free at {', '.join(found[1].replace('+', '').split(','))}", text)
    for pattern in (_OPTION, _ARGUMENT):
        text = pattern.sub(lambda found: _word(found["name"].replace("-", "_"), found["value"] or "", lacking), text)
    text = _TWICE.sub(r"\1 and \3 \2", text)
    if not lacking or "in a recipe" in text:
        return text
    tables = list(dict.fromkeys(next((one for one in _TABLES if name in KEYS[one]), "") for name in lacking))
    where = " and ".join(filter(None, tables))
    return f"{text}. Write {' and '.join(lacking)} into a recipe{f', under {where}' * bool(where)}, and open that"


def _word(name: str, value: str, lacking: dict[str, None]) -> str:
    """Return what the page calls an option or argument; what has no control goes into a recipe."""
    if name in _CONTROLS:
        value = value.strip("'\"")
        return f"{name}{f' {value}' * bool(value)} {_CONTROLS[name]}"
    if any(name in KEYS[table] for table in _TABLES):
        lacking[name] = None
    value = {"True": "true", "False": "false"}.get(value, value.replace("'", '"'))
    return f"{name} = {value}" if value else name
