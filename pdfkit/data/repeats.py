"""One measurement given twice: it would count twice, and errors would come out too small."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF, Intensity

SHARED = 10
"""Points that two curves must share before they can be one."""
SAME = 1e-5
"""Of the largest value: what rounding to the digits of a file leaves between copies; noise is more."""
STEP = 1e-5
"""Å or Å⁻¹: points nearer than this are one."""


def repeated(data: Mapping[str, PDF | Intensity]) -> tuple[tuple[str, str], ...]:
    """Return names of data sets that are one measurement: equal wherever both have points, whole, cut or thinned.

    Curves that have no noise, being calculated, count as well.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.arange(1, 10, 0.01)
    >>> one, part = pk.PDF(r, np.sin(r)), pk.PDF(r[100::2], np.sin(r[100::2]))
    >>> repeated({"a": one, "b": part, "c": pk.PDF(r, np.cos(r))})
    (('a', 'b'),)
    """
    return tuple((a, b) for a, b in combinations(data, 2) if _one(data[a], data[b]))


def _one(first: PDF | Intensity, second: PDF | Intensity) -> bool:
    if type(first) is not type(second):
        return False
    (x, y), (other_x, other_y) = _curve(first), _curve(second)
    _, at, other_at = np.intersect1d(np.round(x / STEP), np.round(other_x / STEP), return_indices=True)
    if at.size < min(SHARED, x.size, other_x.size):
        return False
    here, there = y[at], other_y[other_at]
    return bool(here.any() and np.abs(here - there).max() <= SAME * np.abs(here).max())


def _curve(one: PDF | Intensity) -> tuple[Array, Array]:
    return (one.r, one.G) if isinstance(one, PDF) else (one.Q, one.I)
