"""Size, type and colours of a journal column, and what every figure needs: frames, legends, offsets, files."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from pdfkit import _checks
from pdfkit._checks import Array
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
Q_LABEL = r"$Q$ (Å$^{-1}$)"

# Å: peaks of a longer range run into each other in one column.
LONG = 20.0

# Data are far denser than the independent points in them: more circles than this hide the line and add nothing.
CIRCLES = 600

# A panel of a figure with several is this much lower than wide.
PANEL = 0.72

# mm beside a map that the scale of colours takes; mm of a line of text; points left of the axes.
SCALE, LINE, LEFT = 18.0, 4.2, 48.0

# A name beside its curve takes at most this part of the width; a longer one stands in the legend.
BESIDE = 0.2

# Lines that a name may take, before its middle is left out.
LINES = 3


class PaperFigure(Figure):
    """A Figure that notebooks show although pyplot does not know it."""

    def draw(self, renderer: Any) -> None:
        """Draw the figure; a letter that no font has becomes a box."""
        with boxes():
            if engine := self.get_layout_engine():
                engine.execute(self)  # names beside the axes need a second round, which drawing makes
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return rendered(self, "png", dpi=160)


@contextmanager
def boxes() -> Iterator[None]:
    """Let letters that no font has become boxes without a warning: names are the user's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


# --- text ------------------------------------------------------------------------------------------------------------


def sizes(figure: Figure) -> tuple[float, float]:
    """Return the sizes of labels and of other text in points: those of a column, and in proportion beyond two."""
    width = figure.get_figwidth() * 25.4
    factor = min(width / SINGLE, 1.0) ** 0.5 * max(width / DOUBLE, 1.0)
    return LABEL * factor, SMALL * factor


def escaped(text: str) -> str:
    """Return a name as it is to be shown: a $ in it is a $."""
    return text.replace("$", r"\$")


def labelled(name: str) -> str:
    """Return a name as the label of a curve: matplotlib leaves out of a legend what begins with an underscore."""
    return f" {escaped(name)}" if name[:1] == "_" else escaped(name)


def _raw(label: str) -> str:
    return label.replace(r"\$", "$")


def text_width(text: str, size: float) -> float:
    """Return the width of a text in points."""
    ismath = text.count("$") - text.count(r"\$") >= 2
    with boxes():
        shown = text if ismath else _raw(text)
        widths = [TextToPath().get_text_width_height_descent(line, FontProperties(size=size), ismath)[0]
                  for line in shown.split("\n")]  # fmt: skip
    return float(max(widths))


def shortened(text: str, room: int) -> str:
    """Return text of at most `room` characters: the ends of a long file name say more than its middle."""
    half = max(room // 2 - 1, 1)
    return text if len(text) <= room else f"{text[:half]}…{text[-half:]}"


def wrapped(text: str, room: float, size: float) -> str:
    """Return a name in lines that fit into `room` points, the middle left out of one of more than three."""
    text = " ".join(text.split())
    widest = text_width(escaped(text), size)
    if widest <= room:
        return escaped(text)
    letters = max(int(0.92 * room / widest * len(text)), 8)
    return escaped("\n".join(textwrap.wrap(shortened(text, LINES * letters), letters)[: LINES + 1]))


def two_digits(value: float) -> str:
    """Return a correlation as ".85", "−.85", "0" or "1"; "–" where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{abs(value):.2f}"
    if text == "0.00":
        return "0"
    sign = "−" if value < 0 else ""
    return sign + ("1" if text == "1.00" else text.removeprefix("0"))


# --- frames and legends ----------------------------------------------------------------------------------------------


def set_frame(ax: Any, x: str, y: str, xlim: tuple[float, float] | None = None) -> None:
    """Set labels, limits and ticks of a panel; a power of ten of the numbers goes into the label."""
    label, small = sizes(ax.figure)
    if xlim is not None:
        low, high = xlim
        pad = 0.0 if high > low else max(abs(low), 1.0) * 0.01
        ax.set_xlim(low - pad, high + pad)
    ax.tick_params(labelsize=small, width=0.6, length=3, direction="in", top=True, right=True, which="both")
    ax.set_xlabel(_scaled(ax.xaxis, x, small), size=label)
    ax.set_ylabel(_scaled(ax.yaxis, y, small), size=label)
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)


def _scaled(axis: Any, label: str, size: float) -> str:
    """Number a linear axis so that its numbers are short and few; return its label with their power of ten."""
    if axis.get_scale() != "linear":
        return label
    low, high = (float(end) for end in axis.get_view_interval())
    largest = max(abs(low), abs(high))
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    power = power if power >= 4 or power < -2 else 0
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_powerlimits((power, power) if power else (-99, 99))
    axis.set_major_formatter(formatter)
    axis.offsetText.set_visible(False)
    count = 6.0
    if axis.axis_name == "x":
        decimals = max(0, 1 - math.floor(math.log10(max(high - low, 1e-12) / 10.0**power)))
        count = room_of(axis.axes) / (0.62 * size * (len(f"{-largest / 10.0**power:.{decimals}f}") + 2))
    axis.set_major_locator(MaxNLocator(int(np.clip(count, 1, 8)), steps=[1, 2, 2.5, 5, 10]))
    if not power:
        return label
    head, unit, tail = label.rpartition("(")
    return rf"{head}($10^{{{power}}}$ {tail}" if unit else rf"{label} ($10^{{{power}}}$)"


def room_of(ax: Any) -> float:
    """Return the width in points that the axes have in their figure, roughly."""
    grid = ax.get_subplotspec()
    share = len(grid.colspan) / grid.get_gridspec().ncols if grid else 1.0
    return float(max(ax.figure.get_figwidth() * 72 * share - LEFT, 30.0))


def add_frame(ax: Any, rmin: float, rmax: float, stacked: bool = False) -> None:
    """Set limits, labels and ticks of a panel of G(r)."""
    set_frame(ax, R_LABEL, G_LABEL + (", offset" if stacked else ""), (rmin, rmax))


def add_legend(ax: Any, title: str = "") -> None:
    """Add the legend above the axes, where no curve can run into it, in as many columns as fit; `title` is a name."""
    _, size = sizes(ax.figure)
    handles, names = ax.get_legend_handles_labels()
    room = room_of(ax)
    if not names and not title:
        return
    names = [name if "$" in name.replace(r"\$", "") else wrapped(_raw(name), room - 3 * size, size) for name in names]
    columns = next((n for n in range(len(names), 1, -1) if _row(names, n, size) <= room), 1)
    legend = ax.legend(
        handles, names, title=wrapped(title, room, size) or None, fontsize=size, title_fontsize=size, ncols=columns,
        loc="lower left", bbox_to_anchor=(0, 1), alignment="left", frameon=False, handlelength=1.4, borderaxespad=0.2,
        borderpad=0.1, handletextpad=0.5, columnspacing=1.2, labelspacing=0.25,
    )  # fmt: skip
    legend.get_title().set_weight("bold" if len(title) < 20 else "normal")


def _row(names: Sequence[str], columns: int, size: float) -> float:
    """Return the width in points of a legend in so many columns."""
    widths = [max(text_width(name, size) for name in part) for part in np.array_split(np.array(names, object), columns)]
    return sum(widths) + size * (1.9 * len(widths) + 1.2 * (len(widths) - 1))


def offsets(bands: Sequence[tuple[float, float]], line: float = 0.0) -> list[float]:
    """Return offsets that put each curve below the one before, their `middle` at least `line` of the whole apart.

    bands : lowest and highest value of every curve.
    """
    gaps = [0.12 * max(high - low for low, high in pair) for pair in pairwise(bands)]
    steps = [gap - above[0] + below[1] for gap, (above, below) in zip(gaps, pairwise(bands), strict=True)]
    moved = [middle(below) - middle(above) for above, below in pairwise(bands)]
    wide = steps
    for _ in range(20):  # wider steps make a larger whole
        least = line * (bands[0][1] + sum(wide) - bands[-1][0])
        wide = [max(step, least + move) for step, move in zip(steps, moved, strict=True)]
    return [0.0, *(-float(total) for total in np.cumsum(wide))]


def middle(band: tuple[float, float]) -> float:
    """Return where the name of a curve stands: at zero, or at the end of the curve that is next to it."""
    return min(max(0.0, band[0]), band[1])


def band_of(*curves: Array) -> tuple[float, float]:
    """Return the lowest and the highest value of curves."""
    return min(float(one.min()) for one in curves), max(float(one.max()) for one in curves)


def set_height(ax: Any, low: float, high: float) -> None:
    """Set the limits of y with a little room above and below the curves."""
    pad = 0.04 * (high - low) or max(abs(high), 1.0)
    ax.set_ylim(low - pad, high + pad)


def beside(names: Sequence[str], width: float) -> bool:
    """Return whether names are short enough to stand beside their curves in a figure of `width` mm."""
    return max(text_width(escaped(name), SMALL) for name in names) <= BESIDE * width / 25.4 * 72


# --- figures and files -----------------------------------------------------------------------------------------------


def column(rmax: float, width: float | None = None) -> float:
    """Return the width in mm: the given one, or one column for curves that end by 20 Å and two for longer ones."""
    if width is None:
        return SINGLE if rmax <= LONG + 1e-6 else DOUBLE
    return _checks.number("width", width, low=20.0, high=1000.0)


def new_panels(count: int, ax: Any, width: float, height: float | None = None) -> tuple[Figure, list[Any]]:
    """Return a figure and its axes: the given ones, or a new figure with one panel below the other."""
    if ax is not None:
        if count > 1:
            raise PdfkitError(f"this fit has {count} data sets and one `ax` was given: leave ax out")
        return ax.figure, [ax]
    width = _checks.number("width", width, low=20.0, high=1000.0)
    if height is None:
        height = panel_height(width) * (1 + 0.85 * (count - 1))
    figure = PaperFigure(figsize=(width / 25.4, height / 25.4), layout="constrained")
    axes = figure.subplots(count, 1, sharex=False, squeeze=False)[:, 0]
    return figure, list(axes)


def panel_height(width: float) -> float:
    """Return the height in mm of a panel of `width` mm with its labels and one line of legend."""
    return min(width * PANEL, 45.0 + width / 4) + LINE


def add_title(figure: Figure, title: str) -> None:
    """Write a title over a figure, in as many lines as it needs."""
    if title:
        size = sizes(figure)[1]
        figure.suptitle(wrapped(title, figure.get_figwidth() * 72 - 2 * size, size), size=size)


def format_of(path: AnyPath | None) -> str:
    """Return the format that the ending of a file asks for, "" without a file."""
    if path is None:
        return ""
    try:
        kind = Path(path).suffix.lower().removeprefix(".")
    except TypeError:
        raise PdfkitError(f"{path!r} is not a file name: give one that ends in .png, .svg or .pdf") from None
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
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}), boxes():
        figure.savefig(buffer, format=kind, dpi=dpi)
    return buffer.getvalue()


def drawn(figure: Figure) -> bytes:
    """Return a figure as SVG for a page: letters are shapes, as the page may be read where their font is not.

    The bytes are the same whenever it is drawn.
    """
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "pdfkit"}), boxes():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
