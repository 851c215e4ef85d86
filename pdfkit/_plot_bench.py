"""Time against N and against rmax, of pdfkit and its rivals, with fitted powers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._bench_report import OURS, BenchReport
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import COLOURS, DOUBLE, GREY, LABEL, SMALL, _done, _format

LABELS = {"N": "atoms", "rmax": r"$r_\mathrm{max}$ (Å)"}


def bench(report: BenchReport, path: AnyPath | None = None, *, width: float = DOUBLE) -> Figure:
    """Plot the times of cases that form a curve: log–log, one panel against rmax, one against the number of atoms.

    path : where to write the figure, .png, .svg or .pdf. width : mm. Raises PdfkitError for a file name of another
    kind, WriteError when it cannot be written.
    """
    kind = _format(path)
    figure = Figure(figsize=(width / 25.4, 0.55 * width / 25.4), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    for ax, axis in zip(axes, ("rmax", "N"), strict=True):
        _panel(ax, report, axis)
    axes[0].set_ylabel("seconds for one new $G(r)$", size=LABEL)
    return _done(figure, path, kind)


def _panel(ax: Any, report: BenchReport, axis: str) -> None:
    powers = {(g.series, g.program): g.power for g in report.growth if g.axis == axis}
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in report.rows:
        if row.axis == axis and row.x is not None and row.seconds is not None:
            curves.setdefault((row.series, row.program), []).append((row.x, row.seconds))
    names = list(dict.fromkeys(series for series, _ in curves))
    marks = dict(zip(dict.fromkeys(p for _, p in curves if p != OURS), "s^Dv", strict=False))
    for (series, program), points in curves.items():
        x, t = np.array(sorted(points)).T
        power = powers.get((series, program))
        fitted = "" if power is None else f", {power:.2f}"
        style = {"marker": "o", "ls": "-"} if program == OURS else {"marker": marks.get(program, "x"), "ls": "--"}
        colour = COLOURS[names.index(series) % len(COLOURS)]
        ax.loglog(x, t, ms=3.5, lw=1.0, color=colour, label=f"{program}: {series}{fitted}", **style)
    ax.set_xlabel(LABELS[axis], size=LABEL)
    ax.tick_params(labelsize=SMALL, which="both", width=0.6, length=3, direction="in")
    ax.grid(color=GREY, alpha=0.25, lw=0.4)
    if curves:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.6)  # room for the legend
        ax.legend(fontsize=SMALL - 2, frameon=False, loc="upper left", handlelength=2.4, title_fontsize=SMALL - 2,
                  title="program: case, fitted power")  # fmt: skip
