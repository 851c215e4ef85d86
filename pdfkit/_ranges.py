"""The part of a data set that a fit uses: its points in range, or PDFgui's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pdfkit.data import PDF
from pdfkit.errors import PdfkitError
from pdfkit.model import Model


def begin_of(pdf: PDF) -> float:
    """Return the first r (Å) of the data that is above 0."""
    return float(pdf.r[pdf.r > 0][0])


def in_range(pdf: PDF, model: Model, rmin: float | None, rmax: float | None, grid: str) -> tuple[PDF, float]:
    """Return the part of the data in range, and where (Å) the filter of a program begins.

    PDFfit2 takes files as they are and filters from their first point, if that is not r = 0. PDFgui hands it the range
    of the fit alone, from the last point below rmin on.
    """
    if grid == "nyquist":
        return _like_pdfgui(pdf, model, rmin, rmax)
    if model.convention.cut == "pdffit2" and pdf.r[0] <= 0:
        pdf = pdf.crop(_first_of_pdfgui(pdf, rmin), rmax)
        return pdf, float(pdf.r[0])
    return pdf.crop(rmin, rmax), begin_of(pdf)


def _first_of_pdfgui(pdf: PDF, rmin: float | None) -> float:
    """Return where PDFgui begins: at the last point below rmin, if there is one (and it is not r = 0)."""
    below = pdf.r[(pdf.r < (0.0 if rmin is None else rmin)) & (pdf.r > 0)]
    return float(below[-1]) if below.size else begin_of(pdf)


def _like_pdfgui(pdf: PDF, model: Model, rmin: float | None, rmax: float | None) -> tuple[PDF, float]:
    """Return data interpolated on PDFgui's Nyquist grid. Source: its `FitDataSet`, version 3."""
    qmax = model.instrument.qmax or math.inf
    if model.convention.cut != "pdffit2" or math.isinf(qmax):
        raise PdfkitError('grid="nyquist" is PDFgui\'s: it needs the convention "pdffit2" and a finite qmax')
    first, step = _first_of_pdfgui(pdf, rmin), math.pi / qmax
    last = pdf.crop(rmin, rmax).r[-1] if rmax is None else min(rmax, float(pdf.r[-1]))
    count = round((last - first) / step)
    count += last - (first + count * step) > 1e-8 * step
    r = first + step * np.arange(count + 1)
    r = r[r <= pdf.r[-1] + 1e-8 * step]
    dG = None if pdf.dG is None else np.interp(r, pdf.r, pdf.dG)
    return replace(pdf, r=r, G=np.interp(r, pdf.r, pdf.G), dG=dG, cov=None), first
