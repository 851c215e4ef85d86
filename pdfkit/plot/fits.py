"""Figures of fits and data: curves, phases, partials, correlations, rival fits.

Every function returns a matplotlib `Figure` and writes it when `path` is given (PNG, SVG or PDF). Figures are made as
objects: no window, no backend and no global state of pyplot is touched. Colours are those of Okabe and Ito (2008),
told apart by colour-blind readers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.fitting.comparison import Comparison
from pdfkit.io._atomic import AnyPath
from pdfkit.plot.canvas import (
    CIRCLES,
    COLOURS,
    DOUBLE,
    GREY,
    PANEL,
    SCALE,
    SINGLE,
    SMALL,
    add_frame,
    add_legend,
    finished,
    format_of,
    new_panels,
    shortened,
    two_digits,
)
from pdfkit.results.result import DatasetFit, FitResult

# --- Figures of fits and data ----------------------------------------------------------------------------------------


def fit(result: FitResult, path: AnyPath | None = None, ax: Any = None, *, width: float = SINGLE) -> Figure:
    """Plot data (circles), model (line) and, below them, the difference about its zero line with the band ±dG.

    Of more than 600 points every k-th has a circle; the difference is drawn at all of them.

    Parameters
    ----------
    path : where to write the figure, .png, .svg or .pdf. ax : axes to draw on instead of a new figure (one data set).
    width : mm. A fit of several data sets has one panel per data set.

    Raises
    ------
    PdfkitError : a file name of another kind, or `ax` for several data sets. WriteError : it cannot be written.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> result = pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"])
    >>> with TemporaryDirectory() as folder:
    ...     figure = pk.plot.fit(result, Path(folder, "ni.png"))
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['data', 'fit, $R_w$ = 0.000']
    """
    kind = format_of(path)
    figure, axes = new_panels(len(result.datasets), ax, width)
    for one, panel in zip(result.datasets, axes, strict=True):
        _draw_fit(panel, one, result.rw if len(axes) == 1 else one.rw)
    return finished(figure, path, kind)


def phases(result: FitResult, path: AnyPath | None = None, ax: Any = None, *, width: float = SINGLE) -> Figure:
    """Plot the fit and below it each phase's share, curves offset. Parameters and errors as for `fit`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> phases = [pk.Crystal.from_file(name, name=name.lower()) for name in ("Ni", "Cu")]
    >>> model = pk.Model(phases, pk.Instrument(probe="X", qmax=25))
    >>> figure = pk.plot.phases(pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['fit', 'ni', 'cu']
    """
    kind = format_of(path)
    figure, axes = new_panels(len(result.datasets), ax, width)
    for one, panel in zip(result.datasets, axes, strict=True):
        shares = one.phase_curves()
        _draw_stack(panel, one, {name: curve.G for name, curve in shares.items()})
    return finished(figure, path, kind)


def partials(
    result: FitResult, path: AnyPath | None = None, ax: Any = None, *, weighted: bool = True, width: float = SINGLE
) -> Figure:
    """Plot the fit and below it the share of every pair of species, curves offset.

    weighted : contributions that add up to the fit; otherwise number partials of a single phase, without the fit.
    Other parameters and errors as for `fit`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
    >>> figure = pk.plot.partials(pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['fit', 'Cd–Cd', 'Cd–S', 'S–S']
    """
    kind = format_of(path)
    figure, axes = new_panels(len(result.datasets), ax, width)
    for one, panel in zip(result.datasets, axes, strict=True):
        shares = one.partials(weighted=weighted)
        _draw_stack(panel, one, {"–".join(pair): curve.G for pair, curve in shares.items()}, total=weighted)
    return finished(figure, path, kind)


def correlation(
    result: FitResult, path: AnyPath | None = None, ax: Any = None, *, width: float | None = None
) -> Figure:
    """Plot the correlations of the free parameters as a map with numbers, −1 to 1; grey where there is no error.

    width : mm; by default what the number of parameters needs. Other parameters and errors as for `fit`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> pdf = model(np.arange(1, 10, 0.02))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.2), instrument=model.instrument)  # simulated, with errors
    >>> figure = pk.plot.correlation(pk.fit(model, data, free=["scale", "Uiso"]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '.75', '.75', '1']
    """
    kind = format_of(path)
    n = len(result.free)
    if width is None:
        width = SINGLE if n <= 6 else 120.0 if n <= 12 else DOUBLE
    names = 0.62 * SMALL * max(len(name) for name in result.free)
    # Type goes down with the cells: what is left in points beside the names and the scale of colours.
    cell = max((width - SCALE) / 25.4 * 72 - names, 72.0) / n
    figure, axes = new_panels(1, ax, width, height=max(width - SCALE, 0.6 * width))
    _draw_matrix(axes[0], result.correlation, result.free, cell)
    return finished(figure, path, kind)


def pdf(*pdfs: PDF, path: AnyPath | None = None, ax: Any = None, stacked: bool = True, width: float = SINGLE) -> Figure:
    """Plot one or several G(r), one above the other (`stacked`) or on top of each other, with their names.

    Other parameters and errors as for `fit`; PdfkitError too when there is nothing to plot.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r, crystals = np.arange(1, 10, 0.02), [pk.Crystal.from_file(name, name=name) for name in ("Ni", "Cu")]
    >>> curves = [pk.Model(one, pk.Instrument(probe="X", qmax=25))(r) for one in crystals]
    >>> figure = pk.plot.pdf(*(pk.PDF(r, curve.G, name=one.name) for curve, one in zip(curves, crystals)))
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['Ni', 'Cu']
    """
    kind = format_of(path)
    if not pdfs:
        raise PdfkitError("there is nothing to plot: give at least one PDF")
    figure, axes = new_panels(1, ax, width, height=width * (PANEL + 0.08 * min(len(pdfs) - 1, 8) * stacked))
    panel = axes[0]
    offsets = _offsets([one.G for one in pdfs]) if stacked else [0.0] * len(pdfs)
    for k, (one, offset) in enumerate(zip(pdfs, offsets, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        if stacked or k == 0:
            panel.axhline(offset, color=GREY, lw=0.4, zorder=0)
        label = shortened(one.name or one.composition or (f"G(r) {k + 1}" if len(pdfs) > 1 else ""), int(0.42 * width))
        # matplotlib leaves names out of the legend that begin with an underscore.
        panel.plot(one.r, one.G + offset, color=colour, lw=0.9, label=f" {label}" if label[:1] == "_" else label)
    add_frame(panel, min(one.r[0] for one in pdfs), max(one.r[-1] for one in pdfs), stacked and len(pdfs) > 1)
    names = panel.get_legend_handles_labels()[1]
    if names:
        columns = 2 if len(names) > 1 and max(map(len, names)) <= 0.18 * width else 1
        legend = panel.legend(
            fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderpad=0.2
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a $ in the name of a file is a $
    return finished(figure, path, kind)


# --- drawing ---------------------------------------------------------------------------------------------------------


def _draw_fit(ax: Any, one: DatasetFit, rw: float) -> None:
    r, observed, calculated, difference = one.data.r, one.data.G, one.calc.G, one.difference
    dG = one.data.dG
    low = float(min(observed.min(), calculated.min()))
    high = float(max(observed.max(), calculated.max()))
    gap = 0.05 * (high - low)
    # A band wider than the picture is good for would press the data flat: it is cut off then.
    band = 0.0 if dG is None else min(float(dG.max()), 2 * gap)
    above, below = max(float(difference.max()), band), max(float(-difference.min()), band)
    offset = low - gap - above
    every = _thinning(r.size)
    size = float(np.clip(60.0 / math.sqrt(r.size / every), 1.2, 3.2))
    ax.plot(r, observed, "o", ms=size, mfc="none", mec="#444444", mew=0.4, markevery=every, label="data", zorder=2)
    ax.plot(r, calculated, color=COLOURS[1], lw=1.0, label=rf"fit, $R_w$ = {rw:.3f}", zorder=3)
    ax.axhline(offset, color=GREY, lw=0.5, zorder=1)
    if dG is not None:
        ax.fill_between(r, offset - dG, offset + dG, color="#cccccc", lw=0, zorder=0)
    ax.plot(r, difference + offset, color=COLOURS[2], lw=0.7, zorder=2)
    add_frame(ax, r[0], r[-1])
    bottom = offset - below - 0.4 * gap
    top = _headroom(one, bottom, high)
    room = 0.085 * (top - bottom)
    ax.set_ylim(bottom - room, top)
    words = "difference" if dG is None else "difference, on a band of ±dG"
    ax.text(r[0] + 0.015 * (r[-1] - r[0]), bottom, words, size=SMALL, color=COLOURS[2], ha="left", va="top")
    add_legend(ax)
    _tag(ax, one)


def _headroom(one: DatasetFit, bottom: float, high: float) -> float:
    """Return the upper limit of G that keeps the legend (right 55 %, top quarter) and a tag clear of the curves."""
    r = one.data.r
    under = r > r[0] + 0.45 * (r[-1] - r[0])
    peak = max(float(one.data.G[under].max()), float(one.calc.G[under].max()))
    return max(high + 0.04 * (high - bottom), bottom + (peak - bottom) / 0.76)


def _thinning(points: int) -> int:
    """Return k for one circle at every k-th point: more circles than `CIRCLES` would run into a band."""
    return math.ceil(points / CIRCLES)


def _draw_stack(ax: Any, one: DatasetFit, shares: Mapping[str, Array], *, total: bool = True) -> None:
    curves = {**({"fit": one.calc.G} if total else {}), **shares}
    offsets = _offsets(list(curves.values()))
    r = one.data.r
    if total:
        style = {"ms": 1.4, "mfc": "none", "mec": "#999999", "mew": 0.3, "markevery": _thinning(r.size)}
        ax.plot(r, one.data.G + offsets[0], "o", **style)
    for k, ((name, G), offset) in enumerate(zip(curves.items(), offsets, strict=True)):
        colour = "#000000" if total and k == 0 else COLOURS[(k - total) % (len(COLOURS) - 1)]
        ax.axhline(offset, color=GREY, lw=0.4, zorder=0)
        ax.plot(r, G + offset, color=colour, lw=0.9, zorder=2)
        # Outside, where no curve can run into it.
        ax.text(1.02, offset, name, color=colour, size=SMALL, va="center", transform=ax.get_yaxis_transform())
    add_frame(ax, r[0], r[-1], stacked=True)
    _tag(ax, one)


def _offsets(curves: Sequence[Array]) -> list[float]:
    """Return offsets that put each curve below the one before, with room for its name."""
    gap = 0.14 * max(float(np.ptp(curve)) for curve in curves)
    offsets = [0.0]
    for above, below in pairwise(curves):
        offsets.append(offsets[-1] + float(above.min()) - gap - float(below.max()))
    return offsets


def _draw_matrix(ax: Any, values: Array, names: Sequence[str], cell: float) -> None:
    """Draw a matrix of correlations with numbers, in cells of `cell` points."""
    n = len(names)
    size = float(np.clip(0.33 * cell, 2.0, SMALL))
    named = float(np.clip(0.8 * cell, 2.0, SMALL))
    ax.set_facecolor("#bfbfbf")
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xticks(range(n), names, rotation=90, size=named)
    ax.set_yticks(range(n), names, size=named)
    ax.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    ax.tick_params(which="both", length=0)
    ax.grid(which="minor", color="white", lw=0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.65 else "black"
        ax.text(j, i, two_digits(value), ha="center", va="center", size=size, color=colour)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=18, pad=0.02, ticks=(-1, -0.5, 0, 0.5, 1))
    bar.set_label("correlation", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)
    bar.outline.set_linewidth(0.6)


def _tag(ax: Any, one: DatasetFit) -> None:
    """Name the panel where there are several data sets."""
    if one.name:
        ax.text(0.03, 0.96, one.name, transform=ax.transAxes, size=SMALL, ha="left", va="top", weight="bold")


# --- Rival fits of one measurement in one figure ---------------------------------------------------------------------


def comparison(found: Comparison, path: AnyPath | None = None, *, width: float = DOUBLE) -> Figure:
    """Plot the best fit, and below it the difference of every model, best first, on one scale.

    path : where to write the figure, .png, .svg or .pdf. width : mm. Of fits of several data sets the first is drawn.
    Raises PdfkitError for a file name of another kind, WriteError when it cannot be written.
    """
    kind = format_of(path)
    count = len(found.names)
    figure, axes = new_panels(2, None, width, height=width * (0.8 + 0.07 * count))
    best = found.results[0].datasets[0]
    _draw_fit(axes[0], best, found.results[0].rw)
    axes[0].set_title(found.names[0], size=SMALL, loc="left", parse_math=False)
    step = 1.2 * max(np.ptp(one.datasets[0].difference) for one in found.results)
    for k, (name, one) in enumerate(zip(found.names, found.results, strict=True)):
        data = one.datasets[0].data
        axes[1].axhline(-k * step, color=GREY, lw=0.4, zorder=0)
        axes[1].plot(data.r, one.datasets[0].difference - k * step, lw=0.8, color=COLOURS[k % len(COLOURS)])
        text = f"{shortened(name, int(0.3 * width))}  $R_w$ {one.rw:.3f}"
        axes[1].text(data.r[-1], -k * step + 0.12 * step, text, size=SMALL, ha="right", va="bottom")
    add_frame(axes[1], best.data.r[0], best.data.r[-1])
    axes[1].set_ylim(-(count - 0.4) * step, 0.75 * step)
    axes[1].set_title("differences", size=SMALL, loc="left")
    return finished(figure, path, kind)
