"""Figures of series: a value against the index, curves as waterfalls and heat maps, likeness of scans, CT slices.

Colours are read by everybody: Okabe and Ito's for lines, cividis for what has an order, red–blue for what has a sign.
Many scans are thinned where lines would run into each other, never where they are a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import canvas
from pdfkit.plot.canvas import COLOURS, DOUBLE, SINGLE, SMALL, finished, format_of, new_panels
from pdfkit.series.curves import Curves

MOST_LINES = 40
"""Curves of a waterfall; of more, every n-th is drawn."""
MARKED = 80
"""Points that have a mark each."""
UNTOLD = "without an error"
"""What the legend says of hollow points: numbers that a fit held, or that the data do not determine."""
THIN = 0.15
"""Height over width of a slice below which there is no room for numbers beside it."""
FLAT = 0.6
"""Height over width of a slice below which maps stand one below the other."""
ORDERED, SIGNED = "cividis", "RdBu_r"
QUANTILE = 0.995
"""Part of the values that a scale of colours spans: a few peaks would leave all others grey."""


def trend(
    index: Array,
    values: Mapping[str, Array] | Array,
    errors: Mapping[str, Array] | Array | None = None,
    path: AnyPath | None = None,
    ax: Any = None,
    *,
    calc: Mapping[str, Array] | None = None,
    label: str = "scan",
    name: str = "value",
    width: float | None = None,
) -> Figure:
    """Plot values against the index of a series, with bands of ± one standard error; beside a law, with bars.

    index : (m,). values, errors : (m,), or several by name; NaN (a scan that failed) leaves a gap. Values whose error
    is NaN, where errors are given, were held or are not determined: they are hollow, and not joined. calc : a law to
    draw through them, by the same names. label, name : of the axes, with units, such as "T (K)" and "a (Å)".
    path : .png, .svg or .pdf to write. ax : axes to draw on. width : mm.

    Raises PdfkitError for sizes that do not match or a file name of another kind, WriteError when it cannot be written.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> T = np.linspace(150, 250, 11)
    >>> figure = pk.plot.trend(T, 3.52 + 5e-5 * T, np.full(11, 0.002), label="T (K)", name="a (Å)")
    >>> figure.axes[0].get_ylabel()
    'a (Å)'
    """
    kind = format_of(path)
    shown = values if isinstance(values, Mapping) else {"": values}
    wide = errors if isinstance(errors, Mapping) else {} if errors is None else dict.fromkeys(shown, errors)
    x = _checks.array("index", index)
    figure, (panel,) = new_panels(1, ax, SINGLE if width is None else width)
    order = np.argsort(x, kind="stable")
    columns = [_column("values", one, x)[order] for one in shown.values()]
    for k, (key, y) in enumerate(zip(shown, columns, strict=True)):
        error = _column("errors", wide[key], x)[order] if key in wide else None
        law = None if calc is None or key not in calc else _column("calc", calc[key], x)[order]
        _draw_trend(panel, x[order], y, error, law, COLOURS[k % len(COLOURS)], canvas.labelled(key) if key else "")
    spans = [band for key, y in zip(shown, columns, strict=True)
             if (band := _span(y, _column("errors", wide[key], x)[order] if key in wide else None))]  # fmt: skip
    if spans:
        canvas.set_height(panel, min(low for low, _ in spans), max(high for _, high in spans))
    pad = 0.02 * float(np.ptp(x))
    canvas.set_frame(panel, canvas.escaped(label), canvas.escaped(name), (float(x.min()) - pad, float(x.max()) + pad))
    canvas.add_legend(panel)
    return finished(figure, path, kind)


def _column(what: str, values: Any, x: Array) -> Array:
    out = _checks.array(what, values, finite=False)
    if out.size != x.size:
        raise PdfkitError(f"{what} has {out.size} entries and the index has {x.size}: they must match")
    return out


def _span(y: Array, error: Array | None) -> tuple[float, float] | None:
    """Return the height that values need with their errors, where these are not far wider than the values."""
    known = np.isfinite(y)
    if not known.any():
        return None
    low, high = float(y[known].min()), float(y[known].max())
    wide = np.zeros(y.size) if error is None else np.where(np.isfinite(error), error, 0.0)
    room = max(high - low, 4 * float(np.median(wide[known])), 1e-12 * abs(high))
    return max(float((y - wide)[known].min()), low - room), min(float((y + wide)[known].max()), high + room)


def _draw_trend(ax: Any, x: Array, y: Array, error: Array | None, law: Array | None, colour: str, name: str) -> None:
    marked, joined = x.size <= MARKED, law is None
    known = np.isfinite(y)
    told = known if error is None else known & np.isfinite(error)
    size = {"ms": 2.8 if marked else 1.2, "mew": 0}
    if error is not None:
        # Bands have a width between points; beside a law each point has its own error, as far as there is room.
        bars = told if law is not None and marked else _apart(told)
        if law is None or not marked:
            ax.fill_between(x, y - error, y + error, color=colour, alpha=0.25, lw=0)
        if bars.any():
            ax.errorbar(x[bars], y[bars], error[bars], fmt="none", ecolor=colour, elinewidth=0.6, alpha=0.6)
    ax.plot(x, np.where(told, y, math.nan), marker="o" if marked or not joined else "", ls="-" if joined else "none",
            color=colour, lw=0.8, label=name or None, **size)  # fmt: skip
    if joined and not marked:  # a line shows no single points
        ax.plot(x[_apart(told)], y[_apart(told)], "o", color=colour, **size)
    if (held := known & ~told).any():
        label = None if UNTOLD in ax.get_legend_handles_labels()[1] else UNTOLD
        ax.plot(x[held], y[held], "o", mfc="none", color=colour, ms=size["ms"], mew=0.5, label=label)
    if law is not None:
        ax.plot(x, law, color=colour, lw=1.0)


def _apart(told: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the points that have a value stand between points that have none."""
    beside = np.pad(told, 1)
    return np.asarray(told & ~beside[:-2] & ~beside[2:])


def waterfall(
    scans: Any,
    path: AnyPath | None = None,
    ax: Any = None,
    *,
    offset: float | None = None,
    rmin: float | None = None,
    rmax: float | None = None,
    width: float | None = None,
) -> Figure:
    """Plot the curves of a series one above the other, coloured by their index, the first at the bottom.

    scans : `pdfkit.series.Curves`, a series, or PDFs. Of more than 40, every n-th is drawn, which the axis says.
    offset : Å⁻², from one curve to the next; by default a part of their height. rmin, rmax : Å. Other parameters and
    errors as for `trend`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves
    >>> r, share = np.arange(1, 10, 0.05), np.linspace(0, 1, 5)[:, None]
    >>> curves = Curves(r, share * np.sin(3 * r) + (1 - share) * np.sin(2 * r), label="share")
    >>> len([line for line in pk.plot.waterfall(curves).axes[0].lines])
    5
    """
    kind = format_of(path)
    curves = Curves.of(scans).crop(rmin, rmax)
    every = math.ceil(len(curves) / MOST_LINES)
    G, index = curves.G[::every], curves.index[::every]
    step = _offset(G) if offset is None else _checks.number("offset", offset)
    width = canvas.column(float(curves.r[-1]), width)
    height = canvas.panel_height(width) * (1 + 0.035 * min(len(G), MOST_LINES))
    figure, (panel,) = new_panels(1, ax, width, height=height)
    scale = _Scale.of(curves.index)
    for k, row in enumerate(G):
        panel.plot(curves.r, row + k * step, color=scale.colour(index[k]), lw=0.7)
    moved = G + step * np.arange(len(G))[:, None]
    canvas.set_height(panel, float(moved.min()), float(moved.max()))
    canvas.add_frame(panel, float(curves.r[0]), float(curves.r[-1]), stacked=len(G) > 1)
    label = curves.label + (f", one of {every} scans drawn" if every > 1 else "")
    _colour_bar(panel, scale.mappable(), canvas.escaped(label))
    return finished(figure, path, kind)


def _offset(G: Array) -> float:
    """Return how far curves are apart: enough to see each, and the more of them the closer."""
    return float(np.ptp(G) * min(0.35, 4.0 / len(G))) or 1.0


class _Scale:
    """Colours of an index."""

    def __init__(self, low: float, high: float) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap, Normalize

        # The light end of the map is too pale for lines on white.
        self.map = ListedColormap(colormaps[ORDERED](np.linspace(0.0, 0.85, 256)))
        self.norm = Normalize(low, low + (high - low or 1.0))

    @classmethod
    def of(cls, index: Array) -> _Scale:
        return cls(float(index.min()), float(index.max()))

    def colour(self, value: float) -> Any:
        return self.map(self.norm(value))

    def mappable(self) -> Any:
        from matplotlib.cm import ScalarMappable

        return ScalarMappable(self.norm, self.map)


def heatmap(
    scans: Any,
    path: AnyPath | None = None,
    *,
    calc: Array | None = None,
    difference: str | None = None,
    rmin: float | None = None,
    rmax: float | None = None,
    width: float = DOUBLE,
) -> Figure:
    """Plot G of all scans as a map of r and index; with the model, or what changes, below.

    calc : (m, n) of a model on the same r: three maps, data, model and data − model. difference : "first", "last",
    "previous" or "mean": a second map of the scans less that (`pdfkit.series.differences`). Colours are one scale for
    data and model, from −x to x; differences have their own. Where the index is not evenly spaced, each scan is as high
    as it lies apart. Other parameters and errors as for `waterfall`; PdfkitError too for a model of another size.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves
    >>> r, share = np.arange(1, 10, 0.05), np.linspace(0, 1, 5)[:, None]
    >>> curves = Curves(r, share * np.sin(3 * r) + (1 - share) * np.sin(2 * r), label="share")
    >>> [ax.get_title() for ax in pk.plot.heatmap(curves, difference="first").axes[:2]]
    ['data', 'data − first scan']
    """
    from pdfkit.series.views import differences

    kind = format_of(path)
    whole = Curves.of(scans)
    curves = whole.crop(rmin, rmax)
    maps = {"data": curves.G}
    if calc is not None:
        model = _checks.array("calc", calc, ndim=2)
        if model.shape != whole.G.shape:
            raise PdfkitError(f"calc is {model.shape} and the scans are {whole.G.shape}: they must match")
        model = model[:, (whole.r >= curves.r[0]) & (whole.r <= curves.r[-1])]
        maps |= {"model": model, "data − model": curves.G - model}
    if difference is not None:
        name = difference if difference == "mean" else f"{difference} scan"
        maps[f"data − {name}"] = differences(curves, difference)
    height = canvas.LINE * 2 + len(maps) * (0.32 * width + 8.0)
    figure, axes = new_panels(len(maps), None, width, height=height)
    order = np.argsort(curves.index, kind="stable")
    for (name, values), ax in zip(maps.items(), axes, strict=True):
        size = _size(maps["data"] if name == "model" else values)
        _draw_heat(ax, curves, values[order], curves.index[order], size, name)
    return finished(figure, path, kind)


def _size(values: Array) -> float:
    return float(np.quantile(np.abs(values), QUANTILE)) or 1.0


def _draw_heat(ax: Any, curves: Curves, values: Array, index: Array, size: float, name: str) -> None:
    label = canvas.escaped(curves.label)
    y = _edges(index)
    if y is None:  # scans of one index: by number
        y, label = np.asarray(np.arange(len(index) + 1) + 0.5, dtype=np.float64), "scan"
    image = ax.pcolormesh(
        _edges(curves.r), y, values, cmap=SIGNED, vmin=-size, vmax=size, rasterized=True, shading="flat"
    )
    ax.set_title(name, size=SMALL, pad=2)
    canvas.set_frame(ax, canvas.R_LABEL, label, (float(curves.r[0]), float(curves.r[-1])))
    _colour_bar(ax, image, canvas.G_LABEL, extend="both" if np.abs(values).max() > size else "neither")


def _edges(at: Array) -> Array | None:
    """Return the edges between points (n + 1,), None where two are the same."""
    if at.size == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    step = np.diff(at)
    if (step <= 0).any():
        return None
    return np.concatenate([[at[0] - step[0] / 2], at[:-1] + step / 2, [at[-1] + step[-1] / 2]])


def likeness(
    matrix: Array,
    path: AnyPath | None = None,
    ax: Any = None,
    *,
    index: Array | None = None,
    label: str = "scan",
    name: str = "Pearson correlation",
    width: float | None = None,
) -> Figure:
    """Plot how like or how far each two scans are, as a map: `pdfkit.series.pearson` or `distances`.

    matrix : (m, m). index : (m,), by default the number of the scan. name : of the scale of colours, which spans the
    values. Other parameters and errors as for `trend`; PdfkitError too for a matrix that is not square.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series import Curves, pearson
    >>> r, share = np.arange(1, 10, 0.05), np.linspace(0, 1, 5)[:, None]
    >>> curves = Curves(r, share * np.sin(3 * r) + (1 - share) * np.sin(2 * r))
    >>> figure = pk.plot.likeness(pearson(curves), index=curves.index)
    >>> figure.axes[0].get_xlabel()
    'scan'
    """
    kind = format_of(path)
    values = _checks.array("matrix", matrix, ndim=2)
    if values.shape[0] != values.shape[1]:
        raise PdfkitError(f"matrix is {values.shape[0]} × {values.shape[1]}: give one number for each two scans")
    at = np.arange(1.0, len(values) + 1) if index is None else _checks.array("index", index)
    order = np.argsort(at, kind="stable")
    found = _edges(at[order])
    label = "scan" if found is None else label
    edges = np.arange(len(values) + 1) + 0.5 if found is None else found
    wide = 100.0 if width is None else width
    figure, (panel,) = new_panels(1, ax, wide, height=wide * 0.82)
    image = panel.pcolormesh(edges, edges, values[order][:, order], cmap=ORDERED, rasterized=True)
    canvas.set_frame(panel, canvas.escaped(label), canvas.escaped(label), (float(edges[0]), float(edges[-1])))
    panel.set_ylim(edges[0], edges[-1])
    panel.set_aspect("equal")
    if label == "scan":  # there is no scan 2.5
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_locator().set_params(integer=True)
    _free_corner(panel)
    _colour_bar(panel, image, canvas.escaped(name))
    return finished(figure, path, kind)


def ct_slice(
    maps: Mapping[str, Array] | Array,
    path: AnyPath | None = None,
    *,
    pixel: float = 1.0,
    unit: str = "pixels",
    signed: Sequence[str] = (),
    width: float | None = None,
) -> Figure:
    """Plot maps of a CT slice side by side: a parameter in each voxel.

    maps : (nx, ny), or several by name with units, such as {"D (Å)": …}; NaN (voxels outside, or fits that failed) is
    grey. pixel : size of a voxel in `unit`, which the axes have. signed : names of maps that are differences, coloured
    about 0. Other parameters and errors as for `trend`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> share = np.linspace(0, 1, 64)[:, None] * np.ones(48)
    >>> figure = pk.plot.ct_slice({"share": share, "D (Å)": 20 + 10 * share}, pixel=50, unit="µm")
    >>> figure.axes[0].get_xlabel()
    'x (µm)'
    """
    kind = format_of(path)
    shown = {name: _checks.array(name or "the map", one, ndim=2, finite=False)
             for name, one in (maps if isinstance(maps, Mapping) else {"": maps}).items()}  # fmt: skip
    if not shown:
        raise PdfkitError("there is no map to plot: give at least one")
    pixel = _checks.number("pixel", pixel, low=0.0, open_low=True)
    tall = max(one.shape[1] / one.shape[0] for one in shown.values())
    columns = min(len(shown), 3 if tall > FLAT else 1)
    rows = math.ceil(len(shown) / columns)
    wide = min(SINGLE * columns, DOUBLE) if width is None else _checks.number("width", width, low=20.0, high=1000.0)
    height = rows * ((1.0 if tall * THIN > 1.0 else min(tall, 2.0)) * 0.68 * wide / columns + 16.0)
    figure = canvas.PaperFigure(figsize=(wide / 25.4, height / 25.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for (name, values), ax in zip(shown.items(), axes, strict=False):
        _draw_slice(ax, values, name, pixel, unit, name in signed)
    for ax in axes[len(shown) :]:
        ax.set_visible(False)
    return finished(figure, path, kind)


def _draw_slice(ax: Any, values: Array, name: str, pixel: float, unit: str, signed: bool) -> None:
    known = values[np.isfinite(values)]
    low, high = (0.0, 1.0) if not known.size else np.quantile(known, (1 - QUANTILE, QUANTILE))
    if signed:
        high = max(abs(low), abs(high))
        low = -high
    nx, ny = values.shape
    ax.set_facecolor("#bfbfbf")
    image = ax.imshow(values.T, origin="lower", extent=(0, nx * pixel, 0, ny * pixel), interpolation="nearest",
                      cmap=SIGNED if signed else ORDERED, vmin=low, vmax=high if high > low else low + 1)  # fmt: skip
    canvas.set_frame(ax, f"x ({unit})", f"y ({unit})", (0.0, nx * pixel))
    if unit == "pixels":
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_major_locator().set_params(integer=True)
    _free_corner(ax)
    if ny < THIN * nx:
        ax.set_yticks([])
    if nx < THIN * ny:  # true to scale, it would be a line
        ax.set_xticks([])
        ax.set_aspect("auto")
    below, above = bool((known < low).any()), bool((known > high).any())
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    _colour_bar(ax, image, canvas.escaped(name), extend)


def _free_corner(ax: Any) -> None:
    """Leave out the numbers at the lower left corner of a map, where those of x and y would meet."""
    from matplotlib.ticker import MaxNLocator

    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        for bins in (4, 6, 8):  # of few ticks, those at both ends may be all but one
            ticks = MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            shown = [one for one in ticks if low + 0.08 * (high - low) < one <= high]
            if len(shown) > 2:
                break
        axis.set_ticks(shown)


def _colour_bar(ax: Any, image: Any, label: str, extend: str = "neither") -> None:
    bar = ax.figure.colorbar(image, ax=ax, aspect=24, pad=0.02, extend=extend)
    small = canvas.sizes(ax.figure)[1]
    bar.set_label(label, size=small)
    bar.ax.tick_params(labelsize=small, width=0.6, length=2)
    bar.outline.set_linewidth(0.6)
