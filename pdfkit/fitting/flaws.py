"""What is wrong with a minimum: the model leaves out a peak there, or U or delta stands where physics ends.

Such a minimum says nothing of the sample. In a search it counts as higher than it is, so that a proper one nearly as
low wins.
"""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.bounds import kind_of
from pdfkit.fitting.parts import global_quantities
from pdfkit.fitting.residuals import Residuals
from pdfkit.results.minima import ended, left_out

PROPER, ENDED, LOST = 0, 1, 2
"""Kinds of minima: proper; a quantity stands where physics ends; a peak is left out."""
FLAWED = (1.0, 1.3, 1.5)
"""How many times χ² counts of each kind."""
EDGE = 0.9
"""Share of a default upper bound from which one is taken for it: that of delta moves with the cell."""
AT_EDGE = 1e-3
"""Share of its range from the upper bound within which a quantity is at its edge."""


def flaw(residuals: Residuals, x: Array) -> int:
    """Return which kind of minimum stands at x (nfree,)."""
    return LOST if _lost(residuals, x) else ENDED if _ended(residuals, x) else PROPER


def flaws(residuals: Residuals, x: Array) -> tuple[str, ...]:
    """Return in words what is wrong with a minimum at x (nfree,); nothing of a proper one."""
    lost = [left_out(one) for one in dict.fromkeys(_lost(residuals, x))]
    return (*lost, *(ended(name) for name in _ended(residuals, x)))


def _lost(residuals: Residuals, x: Array) -> list[str]:
    """Return the first pair without width of each phase and data set that has some ("wz: Cd–Se")."""
    if not any(kind_of(name) == "delta" for name in residuals.mapping.free_names):
        return []
    residuals.curves(x, ())
    return [pair for s in residuals.sets for pair in s.evaluate.lost]


def _ended(residuals: Residuals, x: Array) -> list[str]:
    """Return the names of U and delta that stand on an upper bound where physics ends."""
    mapping = residuals.mapping
    at_edge = mapping.high - x < AT_EDGE * (mapping.high - mapping.low)
    return [mapping.free_names[k] for k in _edges(residuals) if at_edge[k]]


def _edges(residuals: Residuals) -> IntArray:
    """Return which free values are U or delta whose upper bound is the default one, or near it."""
    limits = {q.name: q.high for q in global_quantities({s.name: s.model for s in residuals.sets})}
    rows = zip(residuals.mapping.free_names, residuals.mapping.high, strict=True)
    found = [kind_of(name) in ("U", "delta") and high >= EDGE * limits.get(name, math.inf) for name, high in rows]
    return np.flatnonzero(found)
