"""A picture of each stage of a reduction: intensities, F(Q) with its polynomial and without, S(Q), G(r)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.io._atomic import AnyPath
from pdfkit.plot import canvas
from pdfkit.plot.canvas import COLOURS, GREY, Q_LABEL, band_of
from pdfkit.reduction.reduction import Reduction

F_LABEL = r"$F$ (Å$^{-1}$)"


def reduction(done: Reduction, path: AnyPath | None = None, *, pdf: PDF | None = None, width: float = 170.0) -> Figure:
    """Plot the stages of a reduction: measured intensity on its background and the level of independent atoms; F(Q)
    before the polynomial is taken off, with it; S(Q); F(Q) with ±dF; G(r) with ±dG and, where ρ₀ is known, −4πρ₀r.

    path : .png, .svg or .pdf to write. pdf : the G(r) to show (default: `done.to_pdf()`). width : mm.

    Raises PdfkitError for a file name of another kind, WriteError when it cannot be written.
    """
    kind = canvas.format_of(path)
    pdf = done.to_pdf() if pdf is None else pdf
    figure = canvas.PaperFigure(figsize=(width / 25.4, 0.95 * width / 25.4), layout="constrained")
    corrected = bool(np.any(done.stages["polynomial"]))
    panels = figure.subplot_mosaic("IB;SF;GG" if corrected else "IS;FF;GG")
    _intensities(panels["I"], done)
    if corrected:
        _before(panels["B"], done)
    _structure(panels["S"], done)
    _reduced(panels["F"], done)
    _pair(panels["G"], done, pdf)
    canvas.add_title(figure, done.sq.name)
    return canvas.finished(figure, path, kind)


def _intensities(ax: Any, done: Reduction) -> None:
    stages = done.stages
    shown = {"measured": stages["raw"], "background": stages["background"], "independent atoms": stages["level"]}
    for (name, curve), colour in zip(shown.items(), (COLOURS[0], GREY, COLOURS[1]), strict=True):
        if np.any(curve):
            ax.plot(done.Q, np.where(curve > 0, curve, np.nan), color=colour, lw=0.8, label=name)
    ax.set_yscale("log")
    _frame(ax, done, "$I$ (units of the file)")


def _before(ax: Any, done: Reduction) -> None:
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.plot(done.Q, done.stages["before"], color=COLOURS[0], lw=0.8, label="before the correction")
    ax.plot(done.Q, done.stages["polynomial"], color=COLOURS[1], lw=0.9, ls="--", label="polynomial")
    _frame(ax, done, F_LABEL)


def _structure(ax: Any, done: Reduction) -> None:
    ax.axhline(1.0, color=GREY, lw=0.5)
    ax.plot(done.Q, done.S, color=COLOURS[0], lw=0.8)
    _frame(ax, done, "$S$")


def _reduced(ax: Any, done: Reduction) -> None:
    Q, F = done.Q, done.stages["F"]
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.plot(
        Q, F, color=COLOURS[0], lw=0.8, label="after the correction" if np.any(done.stages["polynomial"]) else "$F(Q)$"
    )
    if done.dS is not None:
        _band(ax, Q, F, Q * done.dS, "±d$F$")
    _frame(ax, done, F_LABEL)


def _pair(ax: Any, done: Reduction, pdf: PDF) -> None:
    ax.axhline(0.0, color=GREY, lw=0.5)
    ax.plot(pdf.r, pdf.G, color=COLOURS[0], lw=0.8, label="$G(r)$")
    slope = done.diagnostics.get("expected slope", math.nan)
    drawn = [pdf.G]
    if math.isfinite(slope) and "first peak" in done.diagnostics:
        low = pdf.r[pdf.r < done.diagnostics["first peak"]]
        ax.plot(low, slope * low, color=COLOURS[1], lw=0.9, ls="--", label=r"$-4\pi\rho_0 r$")
        drawn.append(slope * low)
    if pdf.dG is not None:
        _band(ax, pdf.r, pdf.G, pdf.dG, "±d$G$")
    canvas.set_height(ax, *band_of(*(one for one in [*drawn, np.array(ax.get_ylim())] if one.size)))
    canvas.add_frame(ax, pdf.r[0], pdf.r[-1])
    canvas.add_legend(ax)


def _band(ax: Any, x: Array, y: Array, error: Array, name: str) -> None:
    """Draw ±error; where it would press the curve flat, the curve has the height and the band is cut off."""
    ax.fill_between(x, y - error, y + error, color=COLOURS[5], alpha=0.5, lw=0, label=name, zorder=0)
    low, high = band_of(y)
    room = min(float(error.max()), 0.4 * (high - low))
    canvas.set_height(ax, low - room, high + room)


def _frame(ax: Any, done: Reduction, value: str) -> None:
    canvas.set_frame(ax, Q_LABEL, value, (float(done.Q[0]), float(done.Q[-1])))
    canvas.add_legend(ax)
