"""Figures of patterns, of a screen, and of who is taken for whom."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.patterns import GuinierFit, Pattern
from pdfkit.plot.canvas import DOUBLE, SINGLE, SMALL, finished, format_of, new_panels
from pdfkit.plot.fits import _draw_fit
from pdfkit.results.report import uncertain
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.study import Confusion

# --- Figures of scattering patterns ----------------------------------------------------------------------------------

Q_LABEL, ANGLE_LABEL = r"$Q$ (Å$^{-1}$)", r"2$\theta$ (degrees)"

SQUARE_LABEL, LOG_LABEL = r"$Q^2$ (Å$^{-2}$)", r"$\ln I$"

UNITS = {"X": "electrons$^2$", "N": "fm$^2$", "E": "Å$^2$"}

# A pattern that begins below this (Å⁻¹) and falls by more than that is one of small angles.
SMALL_Q, FALL = 0.1, 10.0


def pattern(
    *patterns: Pattern, path: AnyPath | None = None, ax: Any = None, log: bool | None = None, width: float = 85.0
) -> Figure:
    """Plot one or several scattering patterns: against 2θ when all have it, else against Q.

    log : both axes logarithmic; default: for small angles, which begin below 0.1 Å⁻¹. path : .png, .svg or .pdf to
    write. ax : axes to draw on. width : mm.

    Raises PdfkitError when there is nothing to plot or for a file name of another kind.
    """
    from pdfkit.plot import canvas

    kind = canvas.format_of(path)
    if not patterns:
        raise PdfkitError("there is nothing to plot: give at least one pattern")
    figure, axes = canvas.new_panels(1, ax, width)
    panel = axes[0]
    angles = all(one.two_theta is not None for one in patterns)
    if log is None:
        log = not angles and all(_small_angles(one) for one in patterns)
    for k, one in enumerate(patterns):
        x = one.two_theta if angles and one.two_theta is not None else one.Q
        shown = (x > 0) & (one.intensity > 0) if log else np.ones(x.size, dtype=np.bool_)
        label = canvas.shortened(one.name or f"pattern {k + 1}", int(0.42 * width))
        panel.plot(
            x[shown], one.intensity[shown], color=canvas.COLOURS[k % len(canvas.COLOURS)], lw=0.9, label=f" {label}"
        )
    if log:
        panel.set_xscale("log")
        panel.set_yscale("log")
    _axes(panel, ANGLE_LABEL if angles else Q_LABEL, f"$I$ ({UNITS[patterns[0].probe]})")
    if not log:
        panel.set_xlim(*_ends([one.two_theta if angles and one.two_theta is not None else one.Q for one in patterns]))
    legend = panel.legend(fontsize=canvas.SMALL, frameon=False, loc="upper right", handlelength=1.4, borderaxespad=0.3)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in the name of a file is a $
    return canvas.finished(figure, path, kind)


def guinier(
    pattern: Pattern, fit: GuinierFit, path: AnyPath | None = None, ax: Any = None, *, width: float = 85.0
) -> Figure:
    """Plot ln I against Q² with the line of a Guinier fit, up to twice the Q² that it used. As `pattern` otherwise."""
    from pdfkit.plot import canvas

    kind = canvas.format_of(path)
    figure, axes = canvas.new_panels(1, ax, width)
    panel = axes[0]
    top = math.sqrt(2) * fit.qmax
    near = (top >= pattern.Q) & (pattern.intensity > 0)
    x = pattern.Q[near] ** 2
    panel.plot(x, np.log(pattern.intensity[near]), "o", ms=2.4, mfc="none", mec="#444444", mew=0.4)
    line = np.array([0.0, fit.qmax**2, 2 * fit.qmax**2])
    y = math.log(fit.I0) - line * fit.Rg**2 / 3
    panel.plot(line[:2], y[:2], color=canvas.COLOURS[1], lw=1.0, label=f"$R_g$ = {uncertain(fit.Rg, fit.dRg)} Å")
    panel.plot(line[1:], y[1:], color=canvas.COLOURS[1], lw=1.0, ls=":")
    _axes(panel, SQUARE_LABEL, LOG_LABEL)
    panel.set_xlim(0.0, line[2])
    panel.locator_params(axis="x", nbins=4)
    canvas.add_legend(panel)
    return canvas.finished(figure, path, kind)


def _axes(panel: Any, x: str, y: str) -> None:
    from pdfkit.plot import canvas

    panel.set_xlabel(x, size=canvas.LABEL)
    panel.set_ylabel(y, size=canvas.LABEL)
    panel.tick_params(labelsize=canvas.SMALL, width=0.6, length=3, direction="in", top=True, right=True, which="both")
    panel.yaxis.get_offset_text().set_size(canvas.SMALL)
    for spine in panel.spines.values():
        spine.set_linewidth(0.6)


def _small_angles(one: Pattern) -> bool:
    positive = one.intensity[one.intensity > 0]
    falls = positive.size > 0 and float(positive.max() / positive.min()) > FALL
    return bool(one.Q.min() < SMALL_Q and falls)


def _ends(columns: list[Any]) -> tuple[float, float]:
    return min(float(x[0]) for x in columns), max(float(x[-1]) for x in columns)


# --- Figures of a screen ---------------------------------------------------------------------------------------------

# So many finalists can be named along an axis; cells of so many points have room for a number.
NAMED, LEGIBLE = 80, 11.0


def ranking(found: Ranking, path: AnyPath | None = None, *, count: int = 3, width: float = SINGLE) -> Figure:
    """Plot the best `count` fits of a ranking below each other: data, model, and the difference under them.

    path : where to write the figure, .png, .svg or .pdf. width : mm.

    Raises
    ------
    PdfkitError : nothing was fitted, or a file name of another kind. WriteError : it cannot be written.
    """
    kind = format_of(path)
    rows = found.best(count)
    if not rows:
        raise PdfkitError("no candidate could be fitted: there is nothing to plot")
    figure, axes = new_panels(len(rows), None, width)
    for place, (row, panel) in enumerate(zip(rows, axes, strict=True), start=1):
        one = found.result(row.name).datasets[0]
        _draw_fit(panel, replace(one, name=""), row.rw)
        if place < len(rows):
            panel.set_xlabel("")
        evidence = "" if place == 1 else f"   Δ ln Z = {row.delta:.2g}" + (" (as good)" if row.same else "")
        room = int(0.5 * width) - len(evidence)
        panel.set_title(f"{place}  {_shortened(row.name, room)}{evidence}", size=SMALL, loc="left", parse_math=False)
    return finished(figure, path, kind)


def confusion(
    study: Confusion, path: AnyPath | None = None, *, families: bool = False, width: float | None = None
) -> Figure:
    """Plot in which share (%) of its measurements each finalist (row) was taken for each one (column, by number).

    families : the same by family. width : mm; by default what their number needs. Other parameters and errors as for
    `ranking`.
    """
    kind = format_of(path)
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
    figure, axes = new_panels(1, None, width, height=max(n * cell + 45.0, 150.0) / 72 * 25.4)
    _draw_shares(axes[0], np.asarray(shares), labels, cell)
    return finished(figure, path, kind)


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
