"""A proposed fit as the text of a recipe, whose comments say where each number is from."""

from __future__ import annotations

import hashlib
import math
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.recipes.template import quoted

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import DataPlan, Proposal
    from pdfkit.recipes.recipe import PhaseEntry

_KEYS = ("r_unit", "probe", "qmin", "qmax", "window", "qdamp", "qbroad", "resolution", "qtail", "rmin", "rmax")
_UNITS = {"qmin": "Å⁻¹", "qmax": "Å⁻¹", "qdamp": "Å⁻¹", "qbroad": "Å⁻¹", "resolution": "ΔQ/Q", "qtail": "Å⁻¹"}
_UNITS |= {"rmin": "Å", "rmax": "Å"}
_WIDTH = 33
_SEALED = "# This line tells pdfkit whether the file was changed; then it is not written over: "
_SEAL = re.compile(rf"^{re.escape(_SEALED)}([0-9a-f]{{16}})\n\Z", re.MULTILINE)


def recipe_of(plan: Proposal, folder: str | os.PathLike[str], *, here: bool = False) -> str:
    """Return the text of a recipe that lies in `folder`: paths start there. here : results go beside it."""
    lines = ["# A fit proposed by pdfkit from data and structures. Change what you know better, and run it again:"]
    lines += ["# pdfkit fit this-file.toml"]
    for text in plan.assumed:
        lines += ["#", *textwrap.wrap(text, 112, initial_indent="# * ", subsequent_indent="#   ")]
    lines += [f"title = {quoted(plan.title)}", ""]
    for one in plan.data:
        lines += [*_data(one, folder, several=len(plan.data) > 1), ""]
    for entry in plan.phases:
        lines += [*phase_lines(entry, folder, plan.why), ""]
    lines += _fit(plan)
    lines += ["", "[output]", 'dir = "."'] if here else []
    return sealed("\n".join(lines) + "\n")


def sealed(text: str) -> str:
    """Return a text that tells whether it was changed: its last line holds a digest of the rest."""
    return f"{text}\n{_SEALED}{_digest(text)}\n"


def is_untouched(text: str) -> bool:
    """Return whether a text is as `sealed` made it."""
    found = _SEAL.search(text)
    return found is not None and _digest(text[: found.start() - 1]) == found[1]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def relative(file: str | Path, folder: str | os.PathLike[str]) -> str:
    """Return the path of a file from a folder, whole where they lie on different drives."""
    try:
        return Path(os.path.relpath(os.path.realpath(file), os.path.realpath(folder))).as_posix()
    except ValueError:
        return str(Path(file).resolve())


def _line(key: str, value: Any, why: str = "") -> str:
    text = f"{key} = {_value(value)}"
    return f"{text:<{_WIDTH}} # {why}" if why else text


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, float):
        return f"{'-' * (value < 0)}inf" if math.isinf(value) else repr(float(value))
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return f"[{', '.join(map(_value, value))}]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def _data(one: DataPlan, folder: str | os.PathLike[str], *, several: bool) -> list[str]:
    lines = ["[[data]]", _line("file", relative(one.file, folder))]
    lines += [_line("name", one.name)] * several
    for key in _KEYS:
        if key in one.values:
            why = ", ".join(part for part in (_UNITS.get(key, ""), one.why.get(key, "")) if part)
            lines.append(_line(key, one.values[key], why))
    return lines


def phase_lines(entry: PhaseEntry, folder: str | os.PathLike[str], why: Mapping[str, str]) -> list[str]:
    """Return the lines of a [[phase]] table; why : of its structure, by the name of the phase."""
    file = entry.folder / entry.structure
    place = relative(file, folder) if file.is_file() else entry.structure
    lines = ["[[phase]]", _line("name", entry.name), _line("structure", place, why.get(entry.name, ""))]
    for key, value in entry.options.items():
        if key == "shape":
            shape = {"kind": value.kind, **dict(zip((p.name for p in value.parameters), value.values(), strict=True))}
            lines.append(_line("shape", shape, "Å, a start"))
        else:
            lines.append(_line(key, value))
    if entry.start:
        lines.append(_line("start", dict(entry.start), "start values, where the file has none that serves"))
    return lines


def _fit(plan: Proposal) -> list[str]:
    lines = ["[fit]", f"free = [{', '.join(map(quoted, plan.free))}]"]
    if plan.search != "staged":
        lines.append(f"search = {_search(plan.search)}")
    if plan.ties:
        lines += ["", "[fit.ties]"]
        lines += [f"{quoted(name)} = {quoted(other)}" for name, other in plan.ties.items()]
    if plan.bounds:
        lines += ["", "[fit.bounds]"]
        lines += [f"{quoted(name)} = {_value(list(pair))}" for name, pair in plan.bounds.items()]
    return lines


def _search(search: str | Mapping[str, Any]) -> str:
    """Return a search as TOML: a word, or an inline table of ranges and numbers."""
    if isinstance(search, str):
        return quoted(search)
    pairs = ((name, list(value) if isinstance(value, tuple | list) else value) for name, value in search.items())
    return f"{{ {', '.join(f'{quoted(name)} = {value}' for name, value in pairs)} }}"


def document(tables: Mapping[str, Any]) -> str:
    """Return the tables of a recipe as TOML: [[data]], [[phase]] and [[pattern]] as lists, others as tables."""
    lines = [_line(key, value) for key, value in tables.items() if not _is_table(value)]
    for key, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *(_line(_key(name), one) for name, one in value.items())]
        elif _is_table(value):
            for one in value:
                lines += ["", f"[[{key}]]", *(_line(_key(name), entry) for name, entry in one.items())]
    return "\n".join(lines).strip() + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)
    )
