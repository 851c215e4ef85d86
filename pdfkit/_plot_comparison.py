"""Rival fits of one measurement in one figure: the best of them, and what each leaves."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pdfkit.comparison import Comparison
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import COLOURS, DOUBLE, GREY, SMALL, _done, _draw_fit, _format, _frame, _panels, _short


def comparison(found: Comparison, path: AnyPath | None = None, *, width: float = DOUBLE) -> Figure:
    """Plot the best fit, and below it the difference of every model, best first, on one scale.

    path : where to write the figure, .png, .svg or .pdf. width : mm. Of fits of several data sets the first is drawn.
    Raises PdfkitError for a file name of another kind, WriteError when it cannot be written.
    """
    kind = _format(path)
    count = len(found.names)
    figure, axes = _panels(2, None, width, height=width * (0.8 + 0.07 * count))
    best = found.results[0].datasets[0]
    _draw_fit(axes[0], best, found.results[0].rw)
    axes[0].set_title(found.names[0], size=SMALL, loc="left", parse_math=False)
    step = 1.2 * max(np.ptp(one.datasets[0].difference) for one in found.results)
    for k, (name, one) in enumerate(zip(found.names, found.results, strict=True)):
        data = one.datasets[0].data
        axes[1].axhline(-k * step, color=GREY, lw=0.4, zorder=0)
        axes[1].plot(data.r, one.datasets[0].difference - k * step, lw=0.8, color=COLOURS[k % len(COLOURS)])
        text = f"{_short(name, int(0.3 * width))}  $R_w$ {one.rw:.3f}"
        axes[1].text(data.r[-1], -k * step + 0.12 * step, text, size=SMALL, ha="right", va="bottom")
    _frame(axes[1], best.data.r[0], best.data.r[-1])
    axes[1].set_ylim(-(count - 0.4) * step, 0.75 * step)
    axes[1].set_title("differences", size=SMALL, loc="left")
    return _done(figure, path, kind)
