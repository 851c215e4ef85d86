"""What multiplies the curve of a phase: scale, γ₀ that weighs no pairs, damping, tails of lines; what of it varies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.model.resolution import BROADENING, QDAMP, QTAIL, line_of
from pdfkit.phases.base import Phase
from pdfkit.shapes import Bulk

_NONE, _NOTHING = np.zeros(0), np.zeros((0, 0))


@dataclass(frozen=True)
class Varied:
    """What nq tangents do to one phase: to its peaks those in `active` alone, the others to its envelope.

    Shapes: active (nactive,); phase (nquantities, nactive), broadening (nactive, 2); weighing (nparams, nactive) of a
    shape that weighs pairs; scale, qdamp, qtail (nq,); shape (nparams, nq) of one that multiplies the curve.
    """

    active: IntArray
    phase: Array
    broadening: Array
    weighing: Array
    scale: Array
    shape: Array
    qdamp: Array
    qtail: Array
    reshapes: bool
    damps: bool
    tails: bool

    @classmethod
    def of(cls, phase: Phase, start: int, tangents: Array, weighs: bool) -> Varied:
        """Return what tangents (n, nq) of all values do to a phase whose values begin at `start`."""
        stop = start + phase.size
        first_shape = stop - len(phase.applied_shape.parameters)
        last = stop if weighs else first_shape
        if not tangents.shape[1]:
            return _nothing(stop - start, last - first_shape, stop - last)
        wide = tangents[BROADENING]
        active = np.flatnonzero(tangents[start + 1 : last].any(axis=0) | wide.any(axis=0))
        parts = (tangents[start:stop, active], wide[:, active].T, tangents[first_shape:last, active])
        own, broadening, weighing = (np.ascontiguousarray(part) for part in parts)
        rows = (start, slice(last, stop), QDAMP, QTAIL)
        scale, shape, qdamp, qtail = (np.array(tangents[row]) for row in rows)
        kinds = (bool(one.any()) for one in (shape, qdamp, qtail))
        return cls(active, own, broadening, weighing, scale, shape, qdamp, qtail, *kinds)


@lru_cache(maxsize=32)
def _nothing(quantities: int, weighing: int, shape: int) -> Varied:
    """Return what no tangents do to a phase of so many quantities, and parameters of its shape."""
    none, own = np.zeros(0), np.zeros((quantities, 0))
    parts = (own, np.zeros((0, 2)), np.zeros((weighing, 0)), none, np.zeros((shape, 0)), none, none)
    return Varied(np.zeros(0, dtype=np.int64), *parts, reshapes=False, damps=False, tails=False)


@dataclass(frozen=True)
class Envelope:
    """scale·γ₀(r)·exp[−(qdamp·r)²/2] × Re K or Im K, K = 1/(1 − i·qtail·r), and what of it varies."""

    scale: float
    shape: Any
    qdamp: float
    qtail: float
    varied: Varied

    @property
    def tailed(self) -> bool:
        """Whether Im K is not 0, or does not stay so."""
        return self.qtail != 0.0 or self.varied.tails

    def at(self, r: Array, damp: Array, step: float, *, even: bool = False) -> tuple[Array, Array, Array]:
        """Return the envelope (nr,), its derivatives by what it depends on (nb, nr) and tangents of that (nb, nq).

        damp (nr,) : exp[−(qdamp·r)²/2] and whatever else multiplies all of it. On a grid of width `step` a sharp step
        becomes a ramp of one grid step, so that it can be refined.
        """
        shape, varied, whole = self.shape, self.varied, damp
        if not isinstance(shape, Bulk):
            shape = shape.smoothed(step) if step and hasattr(shape, "smoothed") else shape
            whole = shape.gamma0(r) * damp
        plain, slope = whole, _NONE
        if self.tailed:
            line, slope = line_of(r, self.qtail, even=even)
            damp, plain = damp * line, whole * line
        if varied.scale.size == 0:
            return self.scale * plain, _NOTHING, _NOTHING
        rows, along = [plain], [varied.scale]
        if varied.damps:
            rows.append(-self.scale * self.qdamp * r**2 * plain)
            along.append(varied.qdamp)
        if varied.reshapes:
            rows.extend(self.scale * damp * shape.derivatives(r))
            along.extend(varied.shape)
        if varied.tails:
            rows.append(self.scale * whole * slope)
            along.append(varied.qtail)
        return self.scale * plain, np.array(rows), np.array(along)
