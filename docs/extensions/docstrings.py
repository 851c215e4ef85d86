"""Docstrings as reStructuredText: sections, lists of "name : what it is", examples, and code between backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ENTRY = re.compile(r"[\w.,()* /-]{1,60} : ")
NEXT = re.compile(r"(?<=[.;]) (?=[A-Za-z_]\w*(?:, [A-Za-z_]\w*)* : )")
ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[(?:~?typing\.)?~?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]"
)
CODE = re.compile(r"(`[^`]+`|(?<!\S)\*[A-Za-z][\w -]*\*(?=[\s.,;:)]|$))")  # or a word that is stressed


def converted(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText."""
    out: list[str] = []
    blocks = list(paragraphs(lines))
    for block in blocks:
        if len(block) > 1 and set(block[1].strip()) == {"-"}:
            out += [f".. rubric:: {block[0]}", ""]
            block = block[2:]
        out += [*paragraph(block), ""]
    return out


def paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Yield the groups of lines between empty ones."""
    group: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            group.append(line)
        elif group:
            yield group
            group = []


def paragraph(block: list[str]) -> list[str]:
    """Return one paragraph: an example, code, a list of entries, or prose."""
    if not block:
        return []
    if block[0].startswith(">>>"):
        return [".. code-block:: pycon", "", *("   " + line for line in block)]
    if all(line.strip().startswith("|") for line in block):
        return table(block)
    if all(line.startswith("    ") for line in block):
        return [".. code-block:: text", "", *("   " + line for line in block)]
    if any(ENTRY.match(line) for line in block):
        return entries(block)
    return items(block)


def items(block: list[str]) -> list[str]:
    """Return prose, and an item a line that starts with a dash or a star."""
    out: list[str] = []
    for line in block:
        if line.startswith(("- ", "* ")):
            out += ["", f"- {escaped(line[2:].strip())}"]
        else:
            out.append(("  " if any(one.startswith("- ") for one in out) else "") + escaped(line.strip()))
    return out


def table(block: list[str]) -> list[str]:
    """Return a table of Markdown, whose second line is a rule, as one of reStructuredText."""
    margin = " " * (len(block[0]) - len(block[0].lstrip()))
    out = [".. list-table::", "   :header-rows: 1", ""]
    for line in [block[0], *block[2:]]:
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        marks = ["*", *" " * (len(cells) - 1)]
        out += [f"   {mark} - {escaped(cell.strip())}".rstrip() for mark, cell in zip(marks, cells, strict=True)]
    return [margin + line if line else "" for line in out]


def entries(block: list[str]) -> list[str]:
    """Return a list, an item a line that starts with "name : ", names in bold."""
    out: list[str] = []
    for line in (part for whole in block for part in NEXT.split(whole)):
        if ENTRY.match(line):
            name, rest = line.removeprefix("* ").split(" : ", 1)
            out += ["", f"* **{escaped(name.strip())}**: {escaped(rest)}"]
        elif line.startswith("    ") or (out and out[-1].startswith(("* ", "  "))):
            out.append("  " + escaped(line.strip()))
        else:
            out.append(escaped(line.strip()))
    return [*out, ""]


def escaped(text: str) -> str:
    """Return text without the marks of reStructuredText; what stands between backticks is code."""
    out = ""
    for part in CODE.split(text):
        code = part[:1] == "`" and len(part) > 2
        # A letter right after code would keep it from ending there.
        joint = "\\ " if out.endswith("``") and part[:1].isalnum() else ""
        stressed = part[:1] == "*" and CODE.fullmatch(part)
        out += joint + (
            f"``{part[1:-1].strip()}``" if code else part if stressed else re.sub(r"([*|_\\`])", r"\\\1", part)
        )
    return out


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Replace the lines of a docstring in place, as autodoc asks for."""
    lines[:] = converted(lines)


def short(text: str | None) -> str | None:
    """Return part of a signature with `Array` for arrays of float64, `Array[int64]` for those of integers."""
    plain = text and text.replace("<factory>", "...")  # which Sphinx can read
    return plain and ARRAY.sub(lambda found: f"Array[{found[1]}]".replace("[float64]", ""), plain)


def signature(app: Any, what: str, name: str, obj: Any, options: Any, *parts: str | None) -> tuple[str | None, ...]:
    """Return the arguments and the result of a signature, with short names."""
    return tuple(map(short, parts))


def setup(app: Any) -> dict[str, Any]:
    """Register the conversion."""
    from sphinx.util.inspect import TypeAliasForwardRef

    TypeAliasForwardRef.__repr__ = lambda self: self.name  # `Array | None` is written with it
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
