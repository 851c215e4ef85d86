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

# So many finalists can be named along an axis, and so many have room for numbers.
NAMED, NUMBERED = 60, 14


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
        mark = ", cannot be told from the best" if row.same and place > 1 else ""
        words = f"{place}  {row.name}" + (f"  (Δ ln Z {row.delta:.3g}{mark})" if place > 1 else "")
        panel.set_title(_shortened(words, int(0.8 * width)), size=SMALL, loc="left", parse_math=False)
    return _done(figure, path, kind)


def confusion(
    study: Confusion, path: AnyPath | None = None, *, families: bool = False, width: float = SINGLE
) -> Figure:
    """Plot in which share of its measurements each finalist (row) was taken for each one (column).

    families : the same by family. Other parameters and errors as for `ranking`.
    """
    kind = _format(path)
    if families:
        names, shares = study.by_family()
    else:
        names, shares = study.names, study.first / study.repeats
    figure, axes = _panels(1, None, width if len(names) <= 20 else max(width, DOUBLE), height=0.95 * width)
    _draw_shares(axes[0], np.asarray(shares), names)
    return _done(figure, path, kind)


def _draw_shares(ax: Any, shares: Array, names: tuple[str, ...]) -> None:
    n = len(names)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    size = float(np.clip(220.0 / n, 3.0, SMALL))
    if n <= NAMED:
        labels = [_shortened(name, 24) for name in names]
        ax.set_xticks(range(n), labels, rotation=90, size=size, parse_math=False)
        ax.set_yticks(range(n), labels, size=size, parse_math=False)
    if n <= NUMBERED:
        for (i, j), share in np.ndenumerate(shares):
            if share > 0:
                colour = "white" if share > 0.6 else "black"
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
