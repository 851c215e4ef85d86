"""A finite stack of whole layers: what it leaves of each shell of pairs, and the γ₀ of its baseline.

A disc of M layers and diameter D, its axis along the stack: of the pairs m layers apart a share 1 − m/M has both ends
inside, and of those ρ apart in the plane a share c(ρ/D), the common part of two circles. The plane average of the
smooth pair density is that of a cylinder of length Mh, so that its γ₀ (`Rod`, or `Sheet` where D is infinite) belongs
to the baseline. M between two whole numbers stands for a mixture of stacks of both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.phases._stacking_pairs import Shells
from pdfkit.shapes import Rod, Shape, Sheet


@dataclass(frozen=True)
class Disc:
    """Layers M and diameter D (Å, may be infinite) of a finite stack, and their tangents (nq,)."""

    layers: float
    diameter: float
    dlayers: Array
    ddiameter: Array

    def share(self, shells: Shells, a_h: float, da_h: Array) -> tuple[Array, Array]:
        """Return the share of each shell that is inside (n,), and its derivatives (nq, n)."""
        m = shells.layers
        along = np.maximum(1.0 - m / self.layers, 0.0)
        dalong = self.dlayers[:, None] * np.where(m < self.layers, m / self.layers**2, 0.0)
        if math.isinf(self.diameter):
            return along, dalong
        x = np.minimum(a_h * np.sqrt(shells.norm) / self.diameter, 1.0)
        root = np.sqrt(1.0 - x * x)
        across = 2.0 / math.pi * (np.arccos(x) - x * root)
        # c′(x) = −(4/π)√(1 − x²), and x is proportional to a_h/D.
        relative = da_h / a_h - self.ddiameter / self.diameter
        dacross = -4.0 / math.pi * root * x * relative[:, None]
        return along * across, dalong * across + along * dacross

    def form(self, h: float, dh: Array) -> tuple[Shape, Array]:
        """Return the γ₀ of the baseline and the tangents of its parameters (nparams, nq)."""
        length, dlength = self.layers * h, self.dlayers * h + self.layers * dh
        if math.isinf(self.diameter):
            return Sheet(length), dlength[None]
        return Rod(self.diameter, length), np.stack([self.ddiameter, dlength])
