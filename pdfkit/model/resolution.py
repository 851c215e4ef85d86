"""What an instrument does to G(r), as quantities that a fit can refine; they come last among those of a model.

With K(r) the transform of the line that a sharp feature of F(Q) becomes, F′(Q) = Im ∫G(r)K(r)exp(iQr) dr:

| quantity | line | effect on G(r) |
|---|---|---|
| qdamp (Å⁻¹) | Gaussian of constant width qdamp | × exp[−(qdamp·r)²/2] |
| resolution (ΔQ/Q) | Gaussian of width resolution·Q | σ² + (resolution·r)² of every peak |
| qtail (Å⁻¹) | exp(−s/qtail)/qtail at Q − s, s > 0 | K(r) = 1/(1 − i·qtail·r); see `evaluate` |
| qbroad (Å⁻¹) | none; PDFgui's way | σ² × (… + qbroad²r²) of every peak |
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pdfkit import transforms
from pdfkit._checks import Array
from pdfkit.data.instrument import WIDEST
from pdfkit.phases.base import Quantity

_QUANTITIES = (
    Quantity("qdamp", 0.0, 0.0, 0.5, "Å⁻¹", "envelope exp[−(qdamp·r)²/2]", least=0.0, most=WIDEST),
    Quantity(
        "qbroad", 0.0, 0.0, 0.5, "Å⁻¹", "broadening of peaks with r, in proportion to their σ²", least=0.0, most=WIDEST
    ),
    Quantity("resolution", 0.0, 0.0, 0.05, "", "ΔQ/Q; adds (resolution·r)² to every σ²", least=0.0, most=0.1),
    Quantity("qtail", 0.0, -0.3, 0.3, "Å⁻¹", "exponential tail of lines towards low Q", least=-0.5, most=0.5),
)

INSTRUMENT_QUANTITIES: Mapping[str, Quantity] = {q.name: q for q in _QUANTITIES}

COUNT = len(INSTRUMENT_QUANTITIES)

# Those that PDFfit2 and DiffPy-CMI do not have.
OURS = ("resolution", "qtail")

# Where they stand among the values of a model, counted from the end.
QDAMP, BROADENING, OWN, QTAIL = -4, slice(-3, -1), slice(-2, None), -1


def line_of(r: Array, qtail: float, *, even: bool) -> tuple[Array, Array]:
    """Return Re K(r) or (of the even curve) Im K(r), K = 1/(1 − i·qtail·r), and its derivative by qtail, (nr,) each."""
    x = qtail * r
    square = 1.0 / (1.0 + x * x)
    if even:
        return x * square, r * (1.0 - x * x) * square**2
    return square, -2.0 * x * r * square**2


def F_of(r: Array, G: Array, Q: Array, qtail: float) -> Array:
    """Return F(Q) = Im ∫G(r)K(r)exp(iQr) dr (nQ,) of an uncut G on uniform r, with the tail of the lines."""
    if not qtail:
        return transforms.inverse_sine_transform(r, G, Q)
    (sines, _), (cosines, _) = (line_of(r, qtail, even=even) for even in (False, True))
    out = transforms.inverse_sine_transform(r, G * sines, Q)
    return np.asarray(out + (r[1] - r[0]) * transforms.phase_sum(r, G * cosines, Q).real)
