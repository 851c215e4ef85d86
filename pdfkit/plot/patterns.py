"""A panel for a pattern that was fitted beside G(r)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit.plot.canvas import COLOURS, GREY, add_legend, band_of, set_frame, set_height
from pdfkit.results.patterns import PatternFit

CIRCLES = 600
"""Points with a circle, at the most."""


def draw_pattern(ax: Any, one: PatternFit) -> None:
    """Draw data, fit and background: small angles with logarithmic axes, a powder pattern with the difference below."""
    if one.measured.kind == "saxs":
        _small_angles(ax, one)
    else:
        _powder(ax, one)


def _circles(ax: Any, x: Any, y: Any) -> None:
    every = math.ceil(x.size / CIRCLES)
    size = float(np.clip(60.0 / math.sqrt(x.size / every), 1.2, 3.2))
    ax.plot(x, y, "o", ms=size, mfc="none", mec="#444444", mew=0.4, markevery=every, label="data", zorder=2)


def _curves(ax: Any, x: Any, one: PatternFit) -> None:
    _circles(ax, x, one.data.I)
    ax.plot(x, one.calc, color=COLOURS[1], lw=1.0, label=rf"fit, $\chi^2_\nu$ = {one.reduced_chi2:.2f}", zorder=3)
    ax.plot(x, one.background, color=GREY, lw=0.9, ls="--", label="background", zorder=1)


def _small_angles(ax: Any, one: PatternFit) -> None:
    _curves(ax, one.data.Q, one)
    seen = np.concatenate([one.data.I, one.calc])
    if (seen > 0).all():
        ax.set_yscale("log")
        ax.set_ylim(0.7 * seen.min(), 1.4 * seen.max())
    # Before the frame, whose labels have the power of ten of a linear axis.
    ax.set_xscale("log")
    set_frame(ax, r"$Q$ (Å$^{-1}$)", "$I$", (float(one.data.Q[0]), float(one.data.Q[-1])))
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    add_legend(ax, one.name)


def _powder(ax: Any, one: PatternFit) -> None:
    columns = one.columns()
    x = columns.get("two_theta", one.data.Q)
    label = r"$2\theta$ (°)" if "two_theta" in columns else r"$Q$ (Å$^{-1}$)"
    _curves(ax, x, one)
    low, high = band_of(one.data.I, one.calc, one.background)
    top = float(one.difference.max())
    zero = low - 0.06 * (high - low) - top
    ax.axhline(zero, color=GREY, lw=0.5, zorder=1)
    ax.plot(x, one.difference + zero, color=COLOURS[2], lw=0.7, label="difference", zorder=2)
    set_height(ax, zero + float(one.difference.min()), high)
    set_frame(ax, label, "$I$", (float(x[0]), float(x[-1])))
    add_legend(ax, one.name)
