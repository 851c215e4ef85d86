"""Figures of fits and data, in the size and type of a journal column."""

from pdfkit.plot.canvas import COLOURS, DOUBLE, SINGLE
from pdfkit.plot.fits import correlation, fit, partials, pdf, phases
from pdfkit.plot.series import ct_slice, heatmap, likeness, trend, waterfall

__all__ = [
    "COLOURS",
    "DOUBLE",
    "SINGLE",
    "correlation",
    "ct_slice",
    "fit",
    "heatmap",
    "likeness",
    "partials",
    "pdf",
    "phases",
    "trend",
    "waterfall",
]
