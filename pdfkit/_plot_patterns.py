"""Figures of scattering patterns: small angles on two logarithmic axes, powder patterns, Guinier's line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.patterns import GuinierFit, Pattern
from pdfkit.report import uncertain

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
    from pdfkit import plot

    kind = plot._format(path)
    if not patterns:
        raise PdfkitError("there is nothing to plot: give at least one pattern")
    figure, axes = plot._panels(1, ax, width)
    panel = axes[0]
    angles = all(one.two_theta is not None for one in patterns)
    if log is None:
        log = not angles and all(_small_angles(one) for one in patterns)
    for k, one in enumerate(patterns):
        x = one.two_theta if angles and one.two_theta is not None else one.Q
        shown = (x > 0) & (one.intensity > 0) if log else np.ones(x.size, dtype=np.bool_)
        label = plot._short(one.name or f"pattern {k + 1}", int(0.42 * width))
        panel.plot(x[shown], one.intensity[shown], color=plot.COLOURS[k % len(plot.COLOURS)], lw=0.9, label=f" {label}")
    if log:
        panel.set_xscale("log")
        panel.set_yscale("log")
    _axes(panel, ANGLE_LABEL if angles else Q_LABEL, f"$I$ ({UNITS[patterns[0].probe]})")
    if not log:
        panel.set_xlim(*_ends([one.two_theta if angles and one.two_theta is not None else one.Q for one in patterns]))
    legend = panel.legend(fontsize=plot.SMALL, frameon=False, loc="upper right", handlelength=1.4, borderaxespad=0.3)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in the name of a file is a $
    return plot._done(figure, path, kind)


def guinier(
    pattern: Pattern, fit: GuinierFit, path: AnyPath | None = None, ax: Any = None, *, width: float = 85.0
) -> Figure:
    """Plot ln I against Q² with the line of a Guinier fit, up to twice the Q² that it used. As `pattern` otherwise."""
    from pdfkit import plot

    kind = plot._format(path)
    figure, axes = plot._panels(1, ax, width)
    panel = axes[0]
    top = math.sqrt(2) * fit.qmax
    near = (top >= pattern.Q) & (pattern.intensity > 0)
    x = pattern.Q[near] ** 2
    panel.plot(x, np.log(pattern.intensity[near]), "o", ms=2.4, mfc="none", mec="#444444", mew=0.4)
    line = np.array([0.0, fit.qmax**2, 2 * fit.qmax**2])
    y = math.log(fit.I0) - line * fit.Rg**2 / 3
    panel.plot(line[:2], y[:2], color=plot.COLOURS[1], lw=1.0, label=f"$R_g$ = {uncertain(fit.Rg, fit.dRg)} Å")
    panel.plot(line[1:], y[1:], color=plot.COLOURS[1], lw=1.0, ls=":")
    _axes(panel, SQUARE_LABEL, LOG_LABEL)
    panel.set_xlim(0.0, line[2])
    panel.locator_params(axis="x", nbins=4)
    plot._legend(panel)
    return plot._done(figure, path, kind)


def _axes(panel: Any, x: str, y: str) -> None:
    from pdfkit import plot

    panel.set_xlabel(x, size=plot.LABEL)
    panel.set_ylabel(y, size=plot.LABEL)
    panel.tick_params(labelsize=plot.SMALL, width=0.6, length=3, direction="in", top=True, right=True, which="both")
    panel.yaxis.get_offset_text().set_size(plot.SMALL)
    for spine in panel.spines.values():
        spine.set_linewidth(0.6)


def _small_angles(one: Pattern) -> bool:
    positive = one.intensity[one.intensity > 0]
    falls = positive.size > 0 and float(positive.max() / positive.min()) > FALL
    return bool(one.Q.min() < SMALL_Q and falls)


def _ends(columns: list[Any]) -> tuple[float, float]:
    return min(float(x[0]) for x in columns), max(float(x[-1]) for x in columns)
