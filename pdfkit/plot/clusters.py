"""Figures of patterns, of a screen, and of a confusion study."""

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
from pdfkit.plot import canvas
from pdfkit.plot.canvas import DOUBLE, Q_LABEL, SINGLE, SMALL, finished, format_of, new_panels
from pdfkit.plot.fits import _draw_fit
from pdfkit.results.report import uncertain
from pdfkit.screening.ranking import Ranking
from pdfkit.screening.study import Confusion

# --- Figures of scattering patterns ----------------------------------------------------------------------------------

ANGLE_LABEL = r"2$\theta$ (degrees)"

SQUARE_LABEL, LOG_LABEL = r"$Q^2$ (Å$^{-2}$)", r"$\ln I$"

UNITS = {"X": "electrons$^2$", "N": "fm$^2$", "E": "Å$^2$"}

# A pattern that begins below this (Å⁻¹) and falls by more than that is one of small angles.
SMALL_Q, FALL = 0.1, 10.0


def pattern(
    *patterns: Pattern, path: AnyPath | None = None, ax: Any = None, log: bool | None = None, width: float = SINGLE
) -> Figure:
    """Plot one or several scattering patterns: against 2θ when all have it, else against Q.

    log : both axes logarithmic; default: for small angles, which begin below 0.1 Å⁻¹. path : .png, .svg or .pdf to
    write. ax : axes to draw on. width : mm.

    Raises PdfkitError when there is nothing to plot or for a file name of another kind.
    """
    kind = canvas.format_of(path)
    if not patterns:
        raise PdfkitError("there is nothing to plot: give at least one pattern")
    angles = all(one.two_theta is not None for one in patterns)
    if log is None:
        log = not angles and all(_small_angles(one) for one in patterns)
    figure, (panel,) = canvas.new_panels(1, ax, width)
    columns = [_column(one, angles, log) for one in patterns]
    for k, (one, (x, y)) in enumerate(zip(patterns, columns, strict=True)):
        colour = canvas.COLOURS[k % len(canvas.COLOURS)]
        panel.plot(x, y, color=colour, lw=0.9, label=canvas.labelled(one.name or f"pattern {k + 1}"))
    if log:
        panel.set_xscale("log")
        panel.set_yscale("log")
    ends = min(float(x[0]) for x, _ in columns), max(float(x[-1]) for x, _ in columns)
    canvas.set_frame(panel, ANGLE_LABEL if angles else Q_LABEL, _intensity(patterns[0]), ends)
    canvas.add_legend(panel)
    return canvas.finished(figure, path, kind)


def guinier(
    pattern: Pattern, fit: GuinierFit, path: AnyPath | None = None, ax: Any = None, *, width: float | None = None
) -> Figure:
    """Plot I(Q) on logarithmic axes and beside it ln I against Q², both with Guinier's law I₀exp(−Q²Rg²/3).

    The law is drawn up to twice the Q² that the fit used, dotted beyond its end. ax : axes for ln I alone. Other
    parameters and errors as for `pattern`.
    """
    kind = canvas.format_of(path)
    if ax is not None:
        figure, low = ax.figure, ax
    else:
        wide = canvas.column(math.inf, width)
        figure = canvas.PaperFigure(figsize=(wide / 25.4, canvas.panel_height(wide / 2) / 25.4), layout="constrained")
        whole, low = figure.subplots(1, 2)
        _draw_whole(whole, pattern, fit)
    _draw_guinier(low, pattern, fit)
    return canvas.finished(figure, path, kind)


def _draw_whole(ax: Any, pattern: Pattern, fit: GuinierFit) -> None:
    """Draw I(Q) on logarithmic axes under the Guinier law."""
    x, y = _column(pattern, False, True)
    ax.plot(x, y, color=canvas.COLOURS[0], lw=0.9, label=canvas.labelled(pattern.name or "I(Q)"))
    Q = np.geomspace(x[0], max(fit.qmax, x[0]), 100)
    ax.plot(Q, fit.I0 * np.exp(-((Q * fit.Rg) ** 2) / 3), color=canvas.COLOURS[1], lw=1.0, label="Guinier's law")
    ax.set_xscale("log")
    ax.set_yscale("log")
    canvas.set_frame(ax, Q_LABEL, _intensity(pattern), (float(x[0]), float(x[-1])))
    canvas.add_legend(ax)


def _draw_guinier(ax: Any, pattern: Pattern, fit: GuinierFit) -> None:
    """Draw ln I against Q² with the line of the fit."""
    near = (math.sqrt(2) * fit.qmax >= pattern.Q) & (pattern.intensity > 0)
    x, y = pattern.Q[near] ** 2, np.log(pattern.intensity[near])
    ax.plot(x, y, "o", ms=2.4, mfc="none", mec="#444444", mew=0.4, markevery=math.ceil(x.size / 60))
    ends = np.array([0.0, fit.qmax**2, 2 * fit.qmax**2])
    line = math.log(fit.I0) - ends * fit.Rg**2 / 3
    ax.plot(ends[:2], line[:2], color=canvas.COLOURS[1], lw=1.0, label=f"$R_g$ = {uncertain(fit.Rg, fit.dRg)} Å")
    ax.plot(ends[1:], line[1:], color=canvas.COLOURS[1], lw=1.0, ls=":")
    canvas.set_height(ax, *canvas.band_of(y, line))
    canvas.set_frame(ax, SQUARE_LABEL, LOG_LABEL, (0.0, 1.02 * ends[2]))
    canvas.add_legend(ax)


def _column(one: Pattern, angles: bool, log: bool) -> tuple[Array, Array]:
    """Return x and intensity as they are drawn: on logarithmic axes what is positive."""
    x = one.two_theta if angles and one.two_theta is not None else one.Q
    shown = (x > 0) & (one.intensity > 0) if log else np.ones(x.size, dtype=np.bool_)
    return x[shown], one.intensity[shown]


def _intensity(one: Pattern) -> str:
    return f"$I$ ({UNITS[one.probe]})"


def _small_angles(one: Pattern) -> bool:
    positive = one.intensity[one.intensity > 0]
    falls = positive.size > 0 and float(positive.max() / positive.min()) > FALL
    return bool(one.Q.min() < SMALL_Q and falls)


# --- Figures of a screen ---------------------------------------------------------------------------------------------

# So many finalists can be named along an axis; cells of so many points have room for a number.
NAMED, LEGIBLE = 80, 11.0

# Points that a name beside a map may take in one line.
NAME = 150.0


def ranking(found: Ranking, path: AnyPath | None = None, *, count: int = 3, width: float | None = None) -> Figure:
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
    fits = [found.result(row.name).datasets[0] for row in rows]
    width = canvas.column(float(fits[0].data.r[-1]), width)
    figure, axes = new_panels(len(rows), None, width, height=(canvas.panel_height(width) + canvas.LINE) * len(rows))
    for place, (row, one, panel) in enumerate(zip(rows, fits, axes, strict=True), start=1):
        evidence = "" if place == 1 else f", Δ ln Z = {row.delta:.1f}" + " (as good)" * row.indistinguishable
        _draw_fit(panel, replace(one, name=""), row.rw, name=f"{place}  {row.name}{evidence}")
        if place < len(rows):
            panel.set_xlabel("")
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
    labels = [f"{canvas.wrapped(name, NAME, SMALL)}  {k}" for k, name in enumerate(names, start=1)]
    # Points left of the map that the longest name takes, and right of it for the scale.
    left = max(canvas.text_width(label, SMALL) for label in labels) if n <= NAMED else 20.0
    if width is None:
        width = float(np.clip((left + 28.0 * n + 75.0) / 72 * 25.4, SINGLE, DOUBLE))
    lines = max(label.count("\n") for label in labels) + 1
    cell = max((width / 25.4 * 72 - left - 75.0) / n, 3.0, (lines > 1) * 1.2 * SMALL * lines)
    figure, axes = new_panels(1, None, width, height=max(n * cell + 45.0, 150.0) / 72 * 25.4)
    _draw_shares(axes[0], np.asarray(shares), labels, cell)
    return finished(figure, path, kind)


def _draw_shares(ax: Any, shares: Array, labels: list[str], cell: float) -> None:
    """Draw a matrix of shares in cells of `cell` points, with numbers where they have room."""
    n = len(labels)
    image = ax.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    if n <= NAMED:
        size = float(np.clip(0.8 * cell, 2.0, SMALL))
        ax.set_xticks(range(n), [str(k + 1) for k in range(n)], size=size)
        ax.set_yticks(range(n), labels, size=size)
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
    bar.set_label("share of measurements (%)", size=SMALL)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)
