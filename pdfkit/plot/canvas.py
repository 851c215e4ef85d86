"""Size, type and colours of a journal column, and what every figure needs."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from pdfkit import _checks
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath, write_bytes

SINGLE, DOUBLE = 85.0, 170.0
"""Widths in mm of one and of two columns of a journal."""

FORMATS = ("png", "svg", "pdf")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

GREY = "#8c8c8c"

LABEL, SMALL = 9, 8

DPI = 300

R_LABEL, G_LABEL = r"$r$ (Å)", r"$G$ (Å$^{-2}$)"

# Data are far denser than the independent points in them: more circles than this hide the line and add nothing.
CIRCLES = 600

# A panel of a figure with several is this much lower than wide.
PANEL = 0.72

# mm beside a map that the scale of colours takes.
SCALE = 18.0


class PaperFigure(Figure):
    """A Figure that notebooks show although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        return rendered(self, "png", dpi=160)


def shortened(text: str, room: int) -> str:
    """Return text of at most `room` characters: the ends of a long file name say more than its middle."""
    half = max(room // 2 - 1, 1)
    return text if len(text) <= room else f"{text[:half]}…{text[-half:]}"


def two_digits(value: float) -> str:
    """Return a correlation as ".85", "−.85", "0" or "1"; "–" where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{abs(value):.2f}"
    if text == "0.00":
        return "0"
    sign = "−" if value < 0 else ""
    return sign + ("1" if text == "1.00" else text.removeprefix("0"))


def add_frame(ax: Any, rmin: float, rmax: float, stacked: bool = False) -> None:
    """Set limits, labels and ticks of a panel of G(r)."""
    ax.set_xlim(rmin, rmax)
    ax.set_xlabel(R_LABEL, size=LABEL)
    ax.set_ylabel(G_LABEL + (", offset" if stacked else ""), size=LABEL)
    ax.tick_params(labelsize=SMALL, width=0.6, length=3, direction="in", top=True, right=True)
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)


def add_legend(ax: Any) -> None:
    """Add the legend, without a frame."""
    ax.legend(fontsize=SMALL, frameon=False, loc="upper right", handlelength=1.4, borderaxespad=0.3)


# --- figures and files -----------------------------------------------------------------------------------------------


def new_panels(count: int, ax: Any, width: float, height: float | None = None) -> tuple[Figure, list[Any]]:
    """Return a figure and its axes: the given ones, or a new figure with one panel below the other."""
    if ax is not None:
        if count > 1:
            raise PdfkitError(f"this fit has {count} data sets and one `ax` was given: leave ax out")
        return ax.figure, [ax]
    width = _checks.number("width", width, low=20.0, high=1000.0)
    if height is None:
        height = min(width * PANEL, 45.0 + width / 4) * (1 + 0.85 * (count - 1))
    figure = PaperFigure(figsize=(width / 25.4, height / 25.4), layout="constrained")
    axes = figure.subplots(count, 1, sharex=False, squeeze=False)[:, 0]
    return figure, list(axes)


def format_of(path: AnyPath | None) -> str:
    """Return the format that the ending of a file asks for, "" without a file."""
    if path is None:
        return ""
    try:
        kind = Path(path).suffix.lower().removeprefix(".")
    except TypeError:
        raise PdfkitError(f"{path!r} is no file name: give one that ends in .png, .svg or .pdf") from None
    if kind not in FORMATS:
        possible = ", ".join(f".{one}" for one in FORMATS)
        raise PdfkitError(f"{path}: a figure cannot be written as {kind or 'a name without ending'!r}: use {possible}")
    return kind


def finished(figure: Figure, path: AnyPath | None, kind: str) -> Figure:
    """Return the figure, written where a file is given."""
    if path is not None:
        write_bytes(path, rendered(figure, kind))
    return figure


def rendered(figure: Figure, kind: str, dpi: float = DPI) -> bytes:
    """Return the bytes of a figure in a format."""
    buffer = io.BytesIO()
    # Text stays text: it can be edited and searched.
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=kind, dpi=dpi)
    return buffer.getvalue()
