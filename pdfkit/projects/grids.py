"""The points of a fit: PDFgui hands PDFfit2 its data from the last point below rmin, on the grid that was chosen.

Source: `FitDataSet` of PDFgui 3.1, which interpolates linearly, and between points every π/Qmax with sin x/x (older
versions: linearly). Where a fit was run, its recorded curves tell which of the two it was.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.projects.project import ProjectData

_SAME = 1e-8
# sin x/x of so many points with so many at once.
_AT_ONCE = 4_000_000


def observed_step(pdf: PDF) -> float:
    """Return the mean step in r (Å), 0 of a single point."""
    return float(pdf.r[-1] - pdf.r[0]) / (len(pdf) - 1) if len(pdf) > 1 else 0.0


def nyquist_step(pdf: PDF) -> float:
    """Return π/Qmax (Å), the mean step where there is no Qmax."""
    qmax = pdf.instrument.qmax or math.inf
    return math.pi / qmax if math.isfinite(qmax) else observed_step(pdf)


def grid_name(pdf: PDF, step: float) -> str:
    """Return "data", "nyquist" or "custom" for the step of a fit."""
    if abs(step - observed_step(pdf)) < _SAME:
        return "data"
    # PDFgui writes Qmax with two digits, and the step in full.
    qmax = pdf.instrument.qmax or math.inf
    near = math.isfinite(qmax) and step > 0 and abs(math.pi / step - qmax) < 0.0051
    return "nyquist" if near else "custom"


def sampled(data: ProjectData) -> PDF:
    """Return the observed data on the points of the fit."""
    pdf = data.observed
    r = _points(pdf, data.rmin, data.rmax, data.step)
    linear = _linear(pdf.r, pdf.G, r, 0.0, 0.0)
    G, dG = linear, None if pdf.dG is None else _linear(pdf.r, pdf.dG, r, pdf.dG[0], pdf.dG[-1])
    if data.grid == "nyquist" and _was_sinc(data, r, linear):
        G, dG = _sinc(pdf.r, pdf.G, r), None if pdf.dG is None else _sinc(pdf.r, pdf.dG, r)
    errors = dG if dG is not None and (dG > 0).all() else None
    return replace(pdf, r=r, G=G, dG=errors, cov=None)


def _points(pdf: PDF, rmin: float, rmax: float, step: float) -> Array:
    below = pdf.r[pdf.r < rmin]
    first = float(below[-1] if below.size else pdf.r[0])
    step = step if step > 0 else max(observed_step(pdf), 1e-3)
    count = round((rmax - first) / step)
    count += rmax - (first + count * step) > _SAME * step
    if count > 100 * len(pdf) + 1000:
        raise PdfkitError(
            f"{pdf.name}: a fit every {step:.3g} Å of data every {observed_step(pdf):.3g} Å: correct the step"
        )
    r = first + step * np.arange(max(count, 1) + 1, dtype=float)
    return np.asarray(r[r > 0])


def _linear(x: Array, y: Array, at: Array, left: float, right: float) -> Array:
    """Return y between points at one mean distance, and `left`, `right` outside of them."""
    if x.size < 2:
        return np.full(at.size, right)
    step = (x[-1] - x[0]) / (x.size - 1)
    inside = (at > x[0] - _SAME * step) & (at < x[-1] + _SAME * step)
    low = np.clip(np.floor((at - x[0]) / step).astype(int), 0, x.size - 2)
    share = (at - x[low]) / step
    return np.asarray(np.where(inside, (1 - share) * y[low] + share * y[low + 1], np.where(at < x[0], left, right)))


def _sinc(x: Array, y: Array, at: Array) -> Array:
    step = x[1] - x[0]
    rows = max(1, _AT_ONCE // x.size)
    parts = [np.sinc((x - at[k : k + rows, None]) / step) @ y for k in range(0, at.size, rows)]
    out = np.concatenate(parts)
    return np.asarray(np.where(at < x[0], y[0], np.where(at > x[-1], y[-1], out)))


def _was_sinc(data: ProjectData, r: Array, linear: Array) -> bool:
    """Return whether the fit was of points between sin x/x: what it recorded says so; else that is what PDFgui does."""
    seen = data.curves
    if data.observed.r.size < 2:
        return False
    if seen is None or seen.r.size != r.size:
        return True
    used = seen.calc + seen.difference
    return float(np.abs(used - _sinc(data.observed.r, data.observed.G, r)).sum()) <= float(np.abs(used - linear).sum())
