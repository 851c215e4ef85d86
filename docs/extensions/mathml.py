"""Equations as MathML, which browsers draw themselves, with a font beside the pages: no script and no network."""

from __future__ import annotations

import shutil
from html import escape
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def drawn(node: Any, display: str) -> str:
    """Return the MathML of a node; an equation that cannot be read ends the build with its text."""
    try:
        return convert(node.astext(), display=display)
    except Exception as error:
        raise ValueError(f"the equation {node.astext()!r} cannot be drawn: {type(error).__name__}") from error


def inline(writer: Any, node: Any) -> None:
    """Write an equation of a line."""
    writer.body.append(drawn(node, "inline"))
    raise nodes.SkipNode


def block(writer: Any, node: Any) -> None:
    """Write an equation that stands alone; it scrolls by itself where the screen is narrow."""
    label = f' id="{escape(node["ids"][0])}"' if node.get("ids") else ""
    writer.body.append(f'<div class="equation"{label}>{drawn(node, "block")}</div>')
    raise nodes.SkipNode


def font(app: Any, error: Exception | None) -> None:
    """Put STIX Two Math (SIL Open Font License, from the package ziamath) where pdfkit.css looks for it."""
    if error is None and app.builder.format == "html":
        with as_file(files("ziamath.fonts") / "STIXTwoMath-Regular.ttf") as path:
            shutil.copy(path, Path(app.outdir) / "_static")


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("build-finished", font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
