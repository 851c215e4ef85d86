"""What an instrument does to G(r), as quantities that a fit can refine; they come last among those of a model.

With K(r) the transform of the line that a sharp feature of F(Q) becomes, F′(Q) = Im ∫G(r)K(r)exp(iQr) dr:

| quantity | line | effect on G(r) |
|---|---|---|
| qdamp (Å⁻¹) | Gaussian of constant width qdamp | × exp[−(qdamp·r)²/2] |
| resolution (ΔQ/Q) | Gaussian of width resolution·Q | σ² + (resolution·r)² of every peak |
| qbroad (Å⁻¹) | none; PDFgui's way | σ² × (… + qbroad²r²) of every peak |
"""

from __future__ import annotations

from collections.abc import Mapping

from pdfkit.phases.base import Quantity

_QUANTITIES = (
    Quantity("qdamp", 0.0, 0.0, 0.5, "Å⁻¹", "envelope exp[−(qdamp·r)²/2]", least=0.0),
    Quantity("qbroad", 0.0, 0.0, 0.5, "Å⁻¹", "broadening of peaks with r, in proportion to their σ²", least=0.0),
    Quantity("resolution", 0.0, 0.0, 0.05, "", "ΔQ/Q; adds (resolution·r)² to every σ²", least=0.0, most=0.1),
)

INSTRUMENT_QUANTITIES: Mapping[str, Quantity] = {q.name: q for q in _QUANTITIES}

COUNT = len(INSTRUMENT_QUANTITIES)

# Those that PDFfit2 and DiffPy-CMI do not have.
OURS = ("resolution",)

# Where they stand among the values of a model, counted from the end.
QDAMP, BROADENING, OWN = -COUNT, slice(1 - COUNT, 3 - COUNT or None), slice(2 - COUNT, None)
