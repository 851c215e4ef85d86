"""Figures of fits and data, in the size and type of a journal column."""

from pdfkit.plot.canvas import COLOURS, DOUBLE, SINGLE
from pdfkit.plot.fits import correlation, fit, partials, pdf, phases

__all__ = ["COLOURS", "DOUBLE", "SINGLE", "correlation", "fit", "partials", "pdf", "phases"]
