"""Where a G(r) ends in Q, told from its own spectrum: the Qmax of data whose header is silent."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.advice import _smoothed, _spectrum, examine
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError

# Å⁻¹: structure is seen up to here at the most; what is beyond is noise, or the rounding of a file.
_LIMIT = 60.0
# Of the strongest power, below which the rest is rounding, or noise that no ripple of a cut stands out of.
_FLOOR = 1e-3


def band_limit(pdf: PDF) -> tuple[float, str]:
    """Return the Qmax (Å⁻¹) that a G(r) was made with, and how that was seen.

    The spectrum of a cut sine transform falls twentyfold or more within 1.2 Å⁻¹ of the cut (right to 0.1 Å⁻¹ on data of
    known Qmax). Where it sinks into rounding or noise without such an end no cut is seen in G(r), and inf is returned.

    Raises PdfkitError where the spectrum reaches to the end of what the points in r can hold.
    """
    top = min(_LIMIT, math.pi / float(np.diff(pdf.r).max()))
    if len(pdf) < 50 or top < 3.0:
        raise _unknown(pdf, "there are too few points, or they lie too far apart, to tell it from them")
    Q = np.arange(0.2, top, math.pi / (2 * (pdf.r[-1] - pdf.r[0])))
    power = _smoothed(Q, _spectrum(pdf.r, pdf.G, Q), 0.8)
    cut = examine(pdf).qmax_cut
    if cut is not None and _is_end(Q, power, cut):
        return round(cut, 1), f"F(Q) of these data ends at {cut:.1f} Å⁻¹"
    quiet = np.flatnonzero(power > _FLOOR * power.max())
    if not quiet.size or Q[quiet[-1]] > 0.75 * top:
        raise _unknown(pdf, f"their points, π/{top:.3g} Å apart, are too sparse to see where F(Q) ends")
    fades = float(Q[quiet[-1]])
    return math.inf, f"F(Q) of these data fades by {fades:.0f} Å⁻¹ and no cut is seen"


def _is_end(Q: Array, power: Array, cut: float) -> bool:
    """Return whether nothing comes back beyond a steep fall of the power, as reflections do behind a gap."""
    before, beyond = power[(cut - 1.0 < Q) & (cut > Q)], power[cut + 0.8 < Q]
    return bool(before.size and beyond.size > 5 and beyond.max() < 0.2 * before.mean())


def _unknown(pdf: PDF, why: str) -> PdfkitError:
    return PdfkitError(f"{pdf.name or 'the data'} state no Qmax, and {why}: give it, as --qmax 25", key="qmax")
