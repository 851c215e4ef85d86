"""What the page shows of a model beside its curve: shares of phases and of pairs, F(Q), and what there is to choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.workbench.prepared import Curves, Prepared

__all__ = ["EXPORTS", "choices", "of_q", "shares"]

EXPORTS: Mapping[str, str] = {
    "recipe": "recipe (.toml)",
    "script": "script (.py)",
    "columns": "columns of numbers",
    "structures": "structures (.cif)",
    "project": "project of PDFgui (.ddp3)",
    "hdf5": "fit (.h5)",
    "report": "report (.html)",
    "text": "report (.txt)",
    "png": "picture (.png)",
    "svg": "picture (.svg)",
    "pdf": "picture (.pdf)",
}
"""What can be saved, in words."""


MOST = 8
"""Curves of shares that are drawn: where there are more, the smallest are one, so that all add up to the model."""


def shares(ready: Prepared, name: str, by: str) -> dict[str, Array]:
    """Return the shares of G of a data set's model that add up to it, by "phases" or "pairs"; {} for anything else."""
    if by not in ("phases", "pairs") or name not in ready.models:
        return {}
    found: dict[str, Array] = {}
    for (phase, pair), G in ready.parts(name).items():
        label = phase if by == "phases" else "–".join(pair)
        found[label] = found.get(label, 0.0) + G
    if len(found) <= MOST:
        return found
    large = sorted(found, key=lambda label: -float(found[label] @ found[label]))[: MOST - 1]
    rest = np.sum([G for label, G in found.items() if label not in large], axis=0)
    return {**{label: G for label, G in found.items() if label in large}, "the rest": rest}


def of_q(ready: Prepared, curves: Curves) -> dict[str, Array]:
    """Return Q (Å⁻¹) and F(Q) = ∫G(r) sin(Qr) dr of data and model, both over the points of the data.

    Q ends at Qmax, or where steps of r determine it no more. What lies below the first point is missing from both, for
    nobody measured it; of data that begin within a step of 0 nothing is.
    """
    from pdfkit.data.instrument import Instrument
    from pdfkit.transforms.sine import inverse_sine_transform

    known = ready.models.get(curves.name)
    pdf = ready.data.get(curves.name)
    about = known.instrument if known is not None else pdf.instrument if pdf is not None else Instrument()
    most = about.qmax if about.qmax is not None and math.isfinite(about.qmax) else 25.0
    r = curves.r
    step = float(np.diff(r).max())
    Q = np.arange(0.5, min(most, math.pi / step) + 1e-9, 0.02)
    zero = [0.0] if 0 < r[0] <= 1.001 * step else []
    found = {"Q": Q}
    for label, G in (("F measured", curves.measured), ("F calculated", curves.calculated)):
        if G is not None:
            found[label] = inverse_sine_transform(np.append(zero, r), np.append(zero, G), Q)
    return found


def choices() -> Mapping[str, Any]:
    """Return what there is to choose from: structures and clusters that come with pdfkit, and shapes of particles."""
    from pdfkit.io.structures import available_structures
    from pdfkit.io.xyz import clusters
    from pdfkit.shapes import SHAPES
    from pdfkit.transforms.sine import WINDOWS

    shapes = [one for one in SHAPES if one != "tabulated"]
    structures = [*available_structures(), *clusters()]
    return {"structures": structures, "shapes": shapes, "exports": list(EXPORTS.items()), "windows": list(WINDOWS)}
