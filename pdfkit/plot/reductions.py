"""A picture of each stage of a reduction: intensities, S(Q), F(Q) and its polynomial, G(r)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.io._atomic import AnyPath
from pdfkit.reduction.reduction import Reduction

Q_LABEL = r"$Q$ (Å$^{-1}$)"


def reduction(done: Reduction, path: AnyPath | None = None, *, pdf: PDF | None = None, width: float = 170.0) -> Figure:
    """Plot the stages of a reduction: net intensity on its background and the level of independent atoms; S(Q); F(Q)
    before and after its polynomial, with ±dF; G(r) with ±dG and, where ρ₀ is known, −4πρ₀r.

    path : .png, .svg or .pdf to write. pdf : the G(r) to show (default: `done.to_pdf()`). width : mm.

    Raises PdfkitError for a file name of another kind, WriteError when it cannot be written.
    """
    from pdfkit.plot import canvas

    kind = canvas.format_of(path)
    pdf = done.to_pdf() if pdf is None else pdf
    figure = canvas.PaperFigure(figsize=(width / 25.4, 0.72 * width / 25.4), layout="constrained")
    panels = figure.subplots(2, 2)
    _intensities(panels[0, 0], done)
    _structure(panels[0, 1], done)
    _reduced(panels[1, 0], done)
    _pair(panels[1, 1], done, pdf)
    if done.sq.name:
        figure.suptitle(canvas.shortened(done.sq.name, 60), size=canvas.SMALL, parse_math=False)
    return canvas.finished(figure, path, kind)


def _intensities(ax: Any, done: Reduction) -> None:
    from pdfkit.plot import canvas

    Q, stages = done.Q, done.stages
    shown = {"measured": stages["raw"], "background": stages["background"], "independent atoms": stages["level"]}
    for (name, curve), colour in zip(shown.items(), (canvas.COLOURS[0], canvas.GREY, canvas.COLOURS[1]), strict=True):
        if np.any(curve):
            ax.plot(Q, np.where(curve > 0, curve, np.nan), color=colour, lw=0.8, label=name)
    ax.set_yscale("log")
    _frame(ax, Q, Q_LABEL, r"$I$")


def _structure(ax: Any, done: Reduction) -> None:
    from pdfkit.plot import canvas

    ax.axhline(1.0, color=canvas.GREY, lw=0.5)
    ax.plot(done.Q, done.S, color=canvas.COLOURS[0], lw=0.8, label=r"$S(Q)$")
    _frame(ax, done.Q, Q_LABEL, r"$S$")


def _reduced(ax: Any, done: Reduction) -> None:
    from pdfkit.plot import canvas

    Q, F = done.Q, done.stages["F"]
    ax.axhline(0.0, color=canvas.GREY, lw=0.5)
    if np.any(done.stages["polynomial"]):
        ax.plot(Q, done.stages["before"], color=canvas.GREY, lw=0.6, label="before")
        ax.plot(Q, done.stages["polynomial"], color=canvas.COLOURS[1], lw=0.9, ls="--", label="polynomial")
    if done.dS is not None:
        ax.fill_between(Q, F - Q * done.dS, F + Q * done.dS, color=canvas.COLOURS[5], alpha=0.5, lw=0)
    ax.plot(Q, F, color=canvas.COLOURS[0], lw=0.8, label=r"$F(Q)$")
    # The curve before may be far out at high Q: the picture is of F.
    room = float(np.ptp(F))
    ax.set_ylim(float(F.min()) - 0.15 * room, float(F.max()) + 0.35 * room)
    _frame(ax, Q, Q_LABEL, r"$F$ (Å$^{-1}$)")


def _pair(ax: Any, done: Reduction, pdf: PDF) -> None:
    from pdfkit.plot import canvas

    ax.axhline(0.0, color=canvas.GREY, lw=0.5)
    if pdf.dG is not None:
        ax.fill_between(pdf.r, pdf.G - pdf.dG, pdf.G + pdf.dG, color=canvas.COLOURS[5], alpha=0.5, lw=0)
    ax.plot(pdf.r, pdf.G, color=canvas.COLOURS[0], lw=0.8, label=r"$G(r)$")
    slope = done.diagnostics.get("expected slope", math.nan)
    if math.isfinite(slope) and "first peak" in done.diagnostics:
        low = pdf.r[pdf.r < done.diagnostics["first peak"]]
        ax.plot(low, slope * low, color=canvas.COLOURS[1], lw=0.9, ls="--", label=r"$-4\pi\rho_0 r$")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    _frame(ax, pdf.r, canvas.R_LABEL, canvas.G_LABEL)


def _frame(ax: Any, x: Array, label: str, value: str) -> None:
    from pdfkit.plot import canvas

    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel(label, size=canvas.LABEL)
    ax.set_ylabel(value, size=canvas.LABEL)
    ax.tick_params(labelsize=canvas.SMALL, width=0.6, length=3, direction="in", top=True, right=True, which="both")
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)
    canvas.add_legend(ax)
