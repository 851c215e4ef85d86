"""Figures of fits and data: curves, phases, partials, correlations, models of the same data.

Every function returns a matplotlib `Figure` and writes it when `path` is given (PNG, SVG or PDF). Figures are made as
objects: no window, no backend and no global state of pyplot is touched. Colours are those of Okabe and Ito (2008),
told apart by colour-blind readers. Without a `width` (mm) a figure takes one column of a journal, and two where r goes
beyond 20 Å.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.fitting.comparison import Comparison
from pdfkit.io._atomic import AnyPath
from pdfkit.model.model import Model
from pdfkit.plot.canvas import (
    CIRCLES,
    COLOURS,
    DOUBLE,
    GREY,
    LINE,
    SCALE,
    SINGLE,
    SMALL,
    add_frame,
    add_legend,
    add_title,
    band_of,
    beside,
    column,
    escaped,
    finished,
    format_of,
    labelled,
    middle,
    new_panels,
    offsets,
    panel_height,
    set_height,
    sizes,
    text_width,
    two_digits,
    wrapped,
)
from pdfkit.plot.patterns import draw_pattern
from pdfkit.results.result import DatasetFit, FitResult

# --- Figures of fits and data ----------------------------------------------------------------------------------------


def fit(
    result: FitResult, path: AnyPath | None = None, ax: Any = None, *, title: str = "", width: float | None = None
) -> Figure:
    """Plot data (circles), model (line), the shares of several phases and, at the bottom, the difference with ±dG.

    Of more than 600 points every k-th has a circle; the difference is drawn at all of them.

    Parameters
    ----------
    path : where to write the figure, .png, .svg or .pdf. ax : axes to draw on instead of a new figure (one data set).
    title : of the figure. width : mm (default: one column, two for r beyond 20 Å). A fit of several data sets has one
    panel per data set, and one per pattern beside them.

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
    ['data', 'fit, $R_w$ = 0.000', 'difference']
    """
    _checks.instance("result", result, FitResult, "what pdfkit.fit returns")
    kind = format_of(path)
    several = len(result.datasets[0].model.phases) > 1
    shares = [one.phase_curves() if several else {} for one in result.datasets]
    figure, axes = _stacked_panels(result.datasets, ax, width, list(shares[0]), len(result.patterns))
    count = len(result.datasets)
    for one, panel, curves in zip(result.datasets, axes[:count], shares, strict=True):
        _draw_fit(panel, one, result.rw if len(axes) == 1 else one.rw, {name: pdf.G for name, pdf in curves.items()})
    for pattern, panel in zip(result.patterns, axes[count:], strict=True):
        draw_pattern(panel, pattern)
    add_title(figure, title)
    return finished(figure, path, kind)


def phases(result: FitResult, path: AnyPath | None = None, ax: Any = None, *, width: float | None = None) -> Figure:
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
    shares = [{name: curve.G for name, curve in one.phase_curves().items()} for one in result.datasets]
    figure, axes = _stacked_panels(result.datasets, ax, width, list(shares[0]))
    for one, panel, curves in zip(result.datasets, axes, shares, strict=True):
        _draw_stack(panel, one.data.r, {"fit": one.calc.G, **curves}, one.data.G, one.name)
    return finished(figure, path, kind)


def partials(
    source: FitResult | Model,
    path: AnyPath | None = None,
    ax: Any = None,
    *,
    r: Array | None = None,
    weighted: bool = True,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Plot the total of a fit or of a model and below it the share of every pair of species, curves offset.

    r : (n,) Å, for a model without data (default: 1 to 20 Å by 0.01 Å); a fit has the r of its data. weighted :
    contributions that add up to the total; otherwise number partials of a single phase, without a total. Other
    parameters and errors as for `fit`; PdfkitError too for an `r` given with a fit.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=25))
    >>> figure = pk.plot.partials(model, r=np.arange(1, 10, 0.02))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['model', 'Cd–Cd', 'Cd–S', 'S–S']
    >>> figure = pk.plot.partials(pk.fit(model, model(np.arange(1, 10, 0.02)), free=["scale"]))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['fit', 'Cd–Cd', 'Cd–S', 'S–S']
    """
    kind = format_of(path)
    if isinstance(source, Model):
        r = np.arange(1.0, 20.0 + 1e-9, 0.01) if r is None else _checks.grid("r", r)
        total, word = source(r), "model"
        datasets: Sequence[DatasetFit] = (DatasetFit("", source, total, None, total),)
    elif r is not None:
        raise PdfkitError("r is only for a model without data: a fit is drawn at the r of its data, so leave r out")
    else:
        datasets, word = source.datasets, "fit"
    shares = [one.partials(weighted=weighted) for one in datasets]
    names = ["–".join(pair) for pair in shares[0]]
    figure, axes = _stacked_panels(datasets, ax, width, names)
    for one, panel, pairs in zip(datasets, axes, shares, strict=True):
        curves = {"–".join(pair): curve.G for pair, curve in pairs.items()}
        observed = one.data.G if word == "fit" and weighted else None
        _draw_stack(panel, one.data.r, {word: one.calc.G, **curves} if weighted else curves, observed, one.name)
    add_title(figure, title)
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
    points = width / 25.4 * 72
    left = max(text_width(name, SMALL) for name in result.free)
    across: Sequence[str] = result.free
    down = across
    if left > 0.3 * points:  # long names stand once, with a number
        across = [str(k) for k in range(1, n + 1)]
        down = [f"{wrapped(name, 0.45 * points, SMALL)}  {k}" for name, k in zip(result.free, across, strict=True)]
        left = max(text_width(name, SMALL) for name in down)
    # Type goes down with the cells: what is left in points beside the names and the scale of colours.
    cell = max(points - SCALE / 25.4 * 72 - left, 72.0) / n
    figure, axes = new_panels(1, ax, width, height=max(width - SCALE, 0.6 * width))
    _draw_matrix(axes[0], result.correlation, across, down, cell)
    return finished(figure, path, kind)


def pdf(
    *pdfs: PDF,
    path: AnyPath | None = None,
    ax: Any = None,
    offset: float | None = None,
    difference: bool = False,
    title: str = "",
    width: float | None = None,
) -> Figure:
    """Plot one or several G(r) with their names, each below the one before.

    offset : Å⁻², from each curve to the one below it; 0 lays them on top of each other; by default so far that they do
    not touch. difference : of two curves, which are laid on top of each other then, draw first − second below them, on
    the r of the first where both have data (the second interpolated between its points). Other parameters and errors
    as for `fit`; PdfkitError too when there is nothing to plot, or no difference.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r, crystals = np.arange(1, 10, 0.02), [pk.Crystal.from_file(name, name=name) for name in ("Ni", "Cu")]
    >>> curves = [pk.Model(one, pk.Instrument(probe="X", qmax=25))(r) for one in crystals]
    >>> named = [pk.PDF(r, curve.G, name=one.name) for curve, one in zip(curves, crystals)]
    >>> figure = pk.plot.pdf(*named, difference=True)
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['Ni', 'Cu', 'Ni − Cu']
    """
    kind = format_of(path)
    if not pdfs:
        raise PdfkitError("there is nothing to plot: give at least one PDF")
    for one in pdfs:
        _checks.instance("what is plotted", one, PDF, "one PDF, or several one after the other: pdf(a, b)")
    shifts = _shifts(pdfs, 0.0 if offset is None and difference else offset)
    curves = [(_label(pdfs, k), one.r, one.G, shift) for k, (one, shift) in enumerate(zip(pdfs, shifts, strict=True))]
    if difference:
        curves.append(_difference(pdfs, curves))
    width = column(max(float(one.r[-1]) for one in pdfs), width)
    shown = len({shift for *_, shift in curves})
    figure, (panel,) = new_panels(1, ax, width, height=panel_height(width) * (1 + 0.22 * min(shown - 1, 8)))
    for k, (label, r, G, shift) in enumerate(curves):
        panel.axhline(shift, color=GREY, lw=0.4, zorder=0)
        panel.plot(r, G + shift, color=_colour(k), lw=0.9, label=label)
    set_height(panel, *band_of(*(G + shift for _, _, G, shift in curves)))
    add_frame(panel, min(one.r[0] for one in pdfs), max(one.r[-1] for one in pdfs), shown > 1)
    add_legend(panel)
    add_title(figure, title)
    return finished(figure, path, kind)


# Name, r, G and how far it is shifted.
_Curve = tuple[str, Array, Array, float]


def _label(pdfs: Sequence[PDF], k: int) -> str:
    name = pdfs[k].name or pdfs[k].composition or (f"G(r) {k + 1}" if len(pdfs) > 1 else "")
    return labelled(name)


def _shifts(pdfs: Sequence[PDF], offset: float | None) -> list[float]:
    if offset is None:
        return offsets([band_of(one.G) for one in pdfs])
    step = _checks.number("offset", offset)
    return [-k * step for k in range(len(pdfs))]


def _difference(
    pdfs: Sequence[PDF], curves: Sequence[tuple[str, Array, Array, float]]
) -> tuple[str, Array, Array, float]:
    """Return first − second as (name, r, G, shift): below both."""
    if len(pdfs) != 2:
        raise PdfkitError(f"a difference is that of two curves, and {len(pdfs)} were given: choose two")
    first, second = pdfs
    both = (first.r >= second.r[0]) & (first.r <= second.r[-1])
    if not both.any():
        raise PdfkitError(
            f"{first.name or 'the first curve'} and {second.name or 'the second curve'} have no r in common: there is "
            "no difference to draw"
        )
    r = first.r[both]
    G = first.G[both] - np.interp(r, second.r, second.G)
    low, high = band_of(*(G + shift for *_, G, shift in curves))
    names = [name.strip() for name, *_ in curves]
    label = " − ".join(names) if max(map(len, names)) <= 24 else "difference (first − second)"
    return label, r, G, low - 0.06 * (high - low) - max(float(G.max()), 0.0)


# --- drawing ---------------------------------------------------------------------------------------------------------


def _colour(k: int) -> str:
    return COLOURS[k % len(COLOURS)]


def _stacked_panels(
    datasets: Sequence[DatasetFit], ax: Any, width: float | None, names: Sequence[str], more: int = 0
) -> tuple[Figure, list[Any]]:
    """Return a figure and a panel for each data set, higher for every curve below the first, and `more` panels."""
    width = column(max(float(one.data.r[-1]) for one in datasets), width)
    least = 1 + min(0.2 * len(names), 1.6)
    height = max(panel_height(width) * least, 25.0 + 5.0 * len(names))
    if names and not beside(names, width):
        height += LINE * len(names) * (1 + int(max(text_width(name, SMALL) for name in names) / (width * 2.2)))
    count = len(datasets) + more
    return new_panels(count, ax, width, height * count)


def _draw_fit(ax: Any, one: DatasetFit, rw: float, shares: Mapping[str, Array] | None = None, name: str = "") -> None:
    """Draw data and fit, the share of each phase and the difference, one below the other."""
    r, dG, shares = one.data.r, one.data.dG, shares or {}
    bands = [band_of(one.data.G, one.calc.G), *(band_of(G) for G in shares.values()), _band_of_difference(one)]
    zeros = offsets(bands, _line(ax) if shares else 0.0)
    _draw_data(ax, one)
    ax.plot(r, one.calc.G, color=COLOURS[1], lw=1.0, label=rf"fit, $R_w$ = {rw:.3f}", zorder=3)
    colours = [colour for colour in COLOURS if colour not in (COLOURS[1], COLOURS[2])]
    _draw_named(ax, r, shares, zeros[1:-1], [colours[k % len(colours)] for k in range(len(shares))])
    ax.axhline(zeros[-1], color=GREY, lw=0.5, zorder=1)
    ax.plot(r, one.difference + zeros[-1], color=COLOURS[2], lw=0.7, zorder=2, label="difference")
    if dG is not None:
        ax.fill_between(r, zeros[-1] - dG, zeros[-1] + dG, color="#cccccc", lw=0, zorder=0, label="±d$G$")
    set_height(ax, zeros[-1] + bands[-1][0], bands[0][1])
    add_frame(ax, r[0], r[-1], bool(shares))
    add_legend(ax, name or one.name)


def _draw_data(ax: Any, one: DatasetFit) -> None:
    """Draw data as circles, at every k-th point where there are many: more would run into a band."""
    every = math.ceil(one.data.r.size / CIRCLES)
    size = float(np.clip(60.0 / math.sqrt(one.data.r.size / every), 1.2, 3.2))
    ax.plot(one.data.r, one.data.G, "o", ms=size, mfc="none", mec="#444444", mew=0.4, markevery=every, label="data",
            zorder=2)  # fmt: skip


def _band_of_difference(one: DatasetFit) -> tuple[float, float]:
    """Return the lowest and the highest value of the difference and of its band ±dG.

    A band wider than the picture is good for would press the data flat: it is cut off then.
    """
    low, high = band_of(one.data.G, one.calc.G)
    dG = 0.0 if one.data.dG is None else min(float(one.data.dG.max()), 0.1 * (high - low))
    return min(float(one.difference.min()), -dG), max(float(one.difference.max()), dG)


def _line(ax: Any) -> float:
    """Return the height of a line of text as a part of that of the axes."""
    return float(1.35 * sizes(ax.figure)[1] / (0.7 * ax.figure.get_figheight() * 72 / max(len(ax.figure.axes), 1)))


def _draw_named(ax: Any, r: Array, curves: Mapping[str, Array], zeros: Sequence[float], colours: Sequence[str]) -> None:
    """Draw curves on their zero lines, named beside them, or in the legend where a name is long."""
    size = sizes(ax.figure)[1]
    near = bool(curves) and beside(list(curves), ax.figure.get_figwidth() * 25.4)
    for (name, G), zero, colour in zip(curves.items(), zeros, colours, strict=True):
        ax.axhline(zero, color=GREY, lw=0.4, zorder=0)
        ax.plot(r, G + zero, color=colour, lw=0.9, zorder=2, label=None if near else labelled(name))
        if near:  # outside, where no curve can run into it
            where = {"va": "center", "transform": ax.get_yaxis_transform()}
            ax.text(1.02, zero + middle(band_of(G)), escaped(name), color=colour, size=size, **where)


def _draw_stack(ax: Any, r: Array, curves: Mapping[str, Array], observed: Array | None, name: str) -> None:
    """Draw curves one below the other, the data around the first."""
    bands = [band_of(G) for G in curves.values()]
    if observed is not None:
        bands[0] = band_of(observed, next(iter(curves.values())))
        style = {"ms": 1.4, "mfc": "none", "mec": "#999999", "mew": 0.3, "markevery": math.ceil(r.size / CIRCLES)}
        ax.plot(r, observed, "o", **style)
    zeros = offsets(bands, _line(ax))
    total = not {"fit", "model"}.isdisjoint(curves)
    colours = [COLOURS[-1], *COLOURS[:-1]] if total else list(COLOURS[:-1])
    colours += [COLOURS[k % (len(COLOURS) - 1)] for k in range(len(curves))]
    _draw_named(ax, r, curves, zeros, colours[: len(curves)])
    set_height(ax, zeros[-1] + bands[-1][0], bands[0][1])
    add_frame(ax, r[0], r[-1], stacked=len(curves) > 1)
    add_legend(ax, name)


# Points: smaller type is not legible.
LEAST = 4.5


def _draw_matrix(ax: Any, values: Array, across: Sequence[str], down: Sequence[str], cell: float) -> None:
    """Draw a matrix of correlations with numbers, in cells of `cell` points."""
    n = len(down)
    size, named = min(0.33 * cell, SMALL), float(np.clip(0.8 * cell, LEAST, SMALL))
    every = math.ceil(1.15 * named / cell)  # so many names to a line of text
    ax.set_facecolor("#bfbfbf")
    image = ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xticks(range(0, n, every), across[::every], rotation=90, size=named)
    ax.set_yticks(range(0, n, every), down[::every], size=named)
    ax.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    ax.tick_params(which="both", length=0)
    ax.grid(which="minor", color="white", lw=0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for (i, j), value in np.ndenumerate(values) if size >= LEAST else ():
        colour = "white" if abs(value) > 0.65 else "black"
        ax.text(j, i, two_digits(value), ha="center", va="center", size=size, color=colour)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=18, pad=0.02, ticks=(-1, -0.5, 0, 0.5, 1))
    bar.set_label("correlation", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)
    bar.outline.set_linewidth(0.6)


# --- Several models of one measurement in one figure -----------------------------------------------------------------


def comparison(
    found: Comparison, path: AnyPath | None = None, *, titles: Mapping[str, str] | None = None, width: float = DOUBLE
) -> Figure:
    """Plot the best fit, and below it the difference of every model, best first, on one scale.

    path : where to write the figure, .png, .svg or .pdf. titles : of models, by name, to show in place of the names
    where they differ. width : mm. Of fits of several data sets the first is drawn.
    Raises PdfkitError for a file name of another kind, WriteError when it cannot be written.
    """
    kind = format_of(path)
    shown = [(titles or {}).get(name) or name for name in found.names]
    if len(set(shown)) < len(shown):
        shown = list(found.names)
    count = len(shown)
    height = 2 * panel_height(width) + (0.02 * width + LINE) * count
    figure, (top, low) = new_panels(2, None, width, height=height)
    firsts = [one.datasets[0] for one in found.results]
    shares = {name: pdf.G for name, pdf in firsts[0].phase_curves().items()} if len(firsts[0].model.phases) > 1 else {}
    _draw_fit(top, replace(firsts[0], name=""), found.results[0].rw, shares, shown[0])
    bands = [band_of(one.difference) for one in firsts]
    zeros = offsets(bands)
    for k, (name, result, zero) in enumerate(zip(shown, found.results, zeros, strict=True)):
        one = firsts[k]
        low.axhline(zero, color=GREY, lw=0.4, zorder=0)
        low.plot(
            one.data.r,
            one.difference + zero,
            lw=0.8,
            color=_colour(k),
            label=labelled(f"{name}:  Rw = {result.rw:.3f}"),
        )
    set_height(low, zeros[-1] + bands[-1][0], bands[0][1])
    add_frame(low, min(one.data.r[0] for one in firsts), max(one.data.r[-1] for one in firsts), count > 1)
    add_legend(low, "differences")
    return finished(figure, path, kind)
