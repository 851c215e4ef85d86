"""Figures of a screen: the best few fits with their differences, and who is taken for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import DOUBLE, SINGLE, SMALL, _done, _draw_fit, _format, _panels
from pdfkit.screening import Confusion, Ranking

# So many finalists can be named along an axis; cells of so many points have room for a number.
NAMED, LEGIBLE = 80, 11.0


def ranking(found: Ranking, path: AnyPath | None = None, *, count: int = 3, width: float = SINGLE) -> Figure:
    """Plot the best `count` fits of a ranking below each other: data, model, and the difference under them.

    path : where to write the figure, .png, .svg or .pdf. width : mm.

    Raises
    ------
    PdfkitError : nothing was fitted, or a file name of another kind. WriteError : it cannot be written.
    """
    kind = _format(path)
    rows = found.best(count)
    if not rows:
        raise PdfkitError("no candidate could be fitted: there is nothing to plot")
    figure, axes = _panels(len(rows), None, width)
    for place, (row, panel) in enumerate(zip(rows, axes, strict=True), start=1):
        one = found.result(row.name).datasets[0]
        _draw_fit(panel, replace(one, name=""), row.rw)
        if place < len(rows):
            panel.set_xlabel("")
        evidence = "" if place == 1 else f"   Δ ln Z = {row.delta:.2g}" + (" (as good)" if row.same else "")
        room = int(0.5 * width) - len(evidence)
        panel.set_title(f"{place}  {_shortened(row.name, room)}{evidence}", size=SMALL, loc="left", parse_math=False)
    return _done(figure, path, kind)


def confusion(
    study: Confusion, path: AnyPath | None = None, *, families: bool = False, width: float | None = None
) -> Figure:
    """Plot in which share (%) of its measurements each finalist (row) was taken for each one (column, by number).

    families : the same by family. width : mm; by default what their number needs. Other parameters and errors as for
    `ranking`.
    """
    kind = _format(path)
    if families:
        names, shares = study.by_family()
    else:
        names, shares = study.names, study.first / study.repeats
    n = len(names)
    labels = [f"{_shortened(name, 26)}  {k}" for k, name in enumerate(names, start=1)]
    # Points left of the map that the longest name takes, and right of it for the scale.
    left = 0.62 * SMALL * max(map(len, labels)) if n <= NAMED else 20.0
    if width is None:
        width = float(np.clip((left + 28.0 * n + 75.0) / 72 * 25.4, SINGLE, DOUBLE))
    cell = max((width / 25.4 * 72 - left - 75.0) / n, 3.0)
    figure, axes = _panels(1, None, width, height=max(n * cell + 45.0, 150.0) / 72 * 25.4)
    _draw_shares(axes[0], np.asarray(shares), labels, cell)
    return _done(figure, path, kind)


def _draw_shares(ax: Any, shares: Array, labels: list[str], cell: float) -> None:
    """Draw a matrix of shares in cells of `cell` points, with numbers where they have room."""
    n = len(labels)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    if n <= NAMED:
        size = float(np.clip(0.8 * cell, 2.0, SMALL))
        ax.set_xticks(range(n), [str(k + 1) for k in range(n)], size=size)
        ax.set_yticks(range(n), labels, size=size, parse_math=False)
    if cell >= LEGIBLE:
        for (i, j), share in np.ndenumerate(shares):
            if share > 0:
                colour = "white" if share > 0.6 else "black"
                size = min(0.42 * cell, SMALL)
                ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", size=size, color=colour)
    ax.set_xlabel("came first", size=SMALL)
    ax.set_ylabel("true", size=SMALL)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=18, pad=0.02)
    bar.set_label("share of measurements", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)


def _shortened(text: str, room: int) -> str:
    half = max(room // 2 - 1, 1)
    return text if len(text) <= room else f"{text[:half]}…{text[-half:]}"
