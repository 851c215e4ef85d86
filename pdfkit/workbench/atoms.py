"""A phase in three dimensions as the page's own script draws it: numbers short enough to send, and words."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.model.model import Model
from pdfkit.phases.drawn import DRAWN, drawing

__all__ = ["atoms"]

# Colours that people who see red and green alike can tell apart (Okabe and Ito), by the place of the element.
_COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#999999")


def atoms(model: Model, phase: str = "", *, whole: bool = False) -> dict[str, Any]:
    """Return elements with colours and radii, atoms, bonds and cell edges (Å, about the middle), and words.

    phase : its name; the first where it is "". whole : a particle instead of a cell. PdfkitError for no such phase.
    """
    known = {one.name: one for one in model.phases}
    if phase and phase not in known:
        raise PdfkitError(f"no phase is called {phase!r}: there are {', '.join(known)}")
    chosen = known[phase] if phase else model.phases[0]
    found = drawing(chosen, whole=whole)
    corners = found.edges.reshape(-1, 3) if found.edges.size else found.xyz
    middle = corners.mean(axis=0) if len(corners) else np.zeros(3)
    order = {one: k for k, one in enumerate(found.elements)}
    return {
        "phase": chosen.name,
        "phases": list(known),
        "whole": whole,
        "particles": chosen.placed is not None and chosen.applied_shape.kind in DRAWN,
        "elements": [
            [one, _COLOURS[order[one] % len(_COLOURS)], round(float(radius), 2)]
            for one, radius in zip(found.elements, found.radii, strict=True)
        ],
        "kind": found.kind.tolist(),
        "xyz": np.round(found.xyz - middle, 2).tolist(),
        "bonds": found.bonds.tolist(),
        "edges": np.round(found.edges - middle, 2).tolist(),
        "words": found.words,
    }
