"""Figures of what fits of a series found: every parameter against the index with its law, or as a map; the curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import canvas
from pdfkit.plot.canvas import COLOURS, DOUBLE, SINGLE, finished, format_of
from pdfkit.plot.series import ct_slice, heatmap, trend
from pdfkit.series.curves import Curves
from pdfkit.series.store import read_each

if TYPE_CHECKING:
    from pdfkit.series.result import SeriesResult

MOST = 8
"""Parameters of a picture; the others are in the table."""
EVEN = 1e-6
"""Share of a step by which axes of a map may be uneven and still be lengths."""


def parameters(
    result: SeriesResult, path: AnyPath | None = None, *, names: Sequence[str] = (), width: float | None = None
) -> Figure:
    """Plot parameters of a series with bands of ± one standard error, one below the other; those of a map as maps.

    Where they follow laws, the points are what each scan says by itself, and the line is the law. names : endings of
    parameters; by default the first 8. Other parameters and errors as for `pdfkit.plot.trend`.
    """
    kind = format_of(path)
    shown = [result.names[result.place(one)] for one in names] or list(result.names[:MOST])
    if not shown or not np.isfinite(result.values).any():
        raise PdfkitError("no scan of this series was fitted: there is nothing to plot")
    units = _units(result)
    titles = {name: f"{name} ({units[name]})" if units.get(name) else name for name in shown}
    if len(result.axes) > 1:
        return _maps(result, titles, path, width)
    known = np.isfinite(result.index)
    figure, panels = _panels(len(shown), width)
    for name, panel in zip(shown, panels, strict=True):
        law = None if result.laws is None or name not in result.laws.plan.laws else result.laws
        value, error = result[name] if law is None else result.by_itself(name)
        calc = None if law is None else {"": law.along(name, result.index[known])[0]}
        trend(result.index[known], {"": value[known]}, {"": error[known]}, ax=panel, calc=calc,
              label=result.axes[0].title, name=titles[name])  # fmt: skip
    return finished(figure, path, kind)


def _panels(count: int, width: float | None) -> tuple[Figure, list[Any]]:
    """Return a figure and its panels: below each other, or in two columns where there are more than two."""
    columns = 1 if count < 3 else 2
    rows = math.ceil(count / columns)
    wide = (SINGLE if columns == 1 else DOUBLE) if width is None else width
    height = rows * 0.8 * canvas.panel_height(wide / columns)
    figure = canvas.PaperFigure(figsize=(wide / 25.4, height / 25.4), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_visible(False)
    return figure, axes[:count]


def _units(result: SeriesResult) -> Mapping[str, str]:
    return {} if result.model is None else {q.name: q.unit for q in result.model.quantities}


def _maps(result: SeriesResult, titles: Mapping[str, str], path: AnyPath | None, width: float | None) -> Figure:
    pixel, unit = _pixel(result)
    maps = {title: result.map(name).values for name, title in titles.items()}
    return ct_slice(maps, path, pixel=pixel, unit=unit, width=width)


def _pixel(result: SeriesResult) -> tuple[float, str]:
    """Return the size of a place and its unit, where both axes have the same even steps."""
    steps = np.concatenate([np.diff(axis.values) for axis in result.axes])
    units = {axis.unit for axis in result.axes}
    even = steps.size and steps[0] > 0 and np.ptp(steps) <= EVEN * steps[0]
    return (float(steps[0]), units.pop()) if even and len(units) == 1 and units != {""} else (1.0, "pixels")


def curves(result: SeriesResult, path: AnyPath | None = None, *, width: float | None = None) -> Figure:
    """Plot data, model and difference of all scans as maps of r and index; of windows of r, their fits over the data.

    PdfkitError where the fits kept no curves, or scans have different r.
    """
    if result.how == "windows" and result.path is not None:
        return _windows(read_each(result.path), path, width)
    r, observed, calculated = result.curves()
    known = np.isfinite(observed).all(axis=1) & np.isfinite(calculated).all(axis=1) & np.isfinite(result.index)
    if not known.any():
        raise PdfkitError("no scan of this series was fitted: there is nothing to plot")
    label = result.axes[0].title if len(result.axes) == 1 else "point"
    seen = Curves(r, observed[known], result.index[known], label=label)
    more: dict[str, Any] = {} if width is None else {"width": width}
    calc: Array = calculated[known]
    return heatmap(seen, path, calc=calc, **more)


def _windows(fits: Sequence[tuple[Array, Array, Array]], path: AnyPath | None, width: float | None) -> Figure:
    """Plot one data set, the fits of its windows in two colours by turns, and below them what each leaves."""
    kind = format_of(path)
    if not fits:
        raise PdfkitError("no window was fitted: there is nothing to plot")
    figure, (panel,) = canvas.new_panels(1, None, DOUBLE if width is None else width)
    high = max(float(np.max(one)) for _, *pair in fits for one in pair)
    low = min(float(np.min(one)) for _, *pair in fits for one in pair)
    most = max(float(np.abs(observed - calculated).max()) for _, observed, calculated in fits)
    base = low - 1.3 * most - 0.05 * (high - low)
    for k, (r, observed, calculated) in enumerate(fits):
        panel.plot(r, observed, color="0.6", lw=1.6, label="data" if k == 0 else None)
        colour, name = COLOURS[k % 2], "windows, every second in another colour" if k == 0 else None
        panel.plot(r, calculated, color=colour, lw=0.8, zorder=3, label=name)
        panel.plot(r, observed - calculated + base, color=colour, lw=0.7)
    panel.axhline(base, color="0.6", lw=0.5)
    canvas.set_height(panel, base - most, high)
    canvas.add_frame(panel, float(min(r[0] for r, *_ in fits)), float(max(r[-1] for r, *_ in fits)))
    canvas.add_legend(panel)
    return finished(figure, path, kind)
