"""The cell from data without short distances: a scan of its lengths over a short piece of them.

At 25 Å a cell that is 1 % wrong puts peaks where others belong, at any smearing that leaves peaks, so that no slope
leads to the right one. But a piece of a few Å is cheap: lengths go by steps that move its peaks by less than their
width, all of them in proportion first and then each by itself, with the best scales, and the best places are fitted.
"""

from __future__ import annotations

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.minimiser import Descent, Task
from pdfkit.fitting.stages import MOST, ROUGHLY, projected

PIECE, WIDTH = 8.0, 0.15
"""Length of the piece and width of the Gaussian that smears it, Å."""
FAR = 0.05
"""How far lengths are looked for on either side, as a share of them."""
BEST, ROUNDS = 3, 2
"""Places of a scan that are fitted, and how often each length goes by itself."""


def factors(end: float) -> Array:
    """Return by what lengths are multiplied (n,), for a piece that ends at `end` (Å): nearest to 1 first."""
    step = WIDTH / end
    n = round(FAR / step)
    out = 1.0 + step * np.arange(-n, n + 1)
    return np.asarray(out[np.argsort(np.abs(out - 1.0), kind="stable")])


def scanned(task: Task, x: Array, scales: IntArray, lengths: IntArray, end: float) -> Array:
    """Return x (nfree,) with the lengths and scales where the misfit of a piece is least. task: that of the piece."""
    every = factors(end)
    found = _along(task, x, scales, lengths, every)[:BEST]
    for _ in range(ROUNDS if lengths.size > 1 else 0):
        for one in lengths:
            some = [
                place for _, start in found for place in _along(task, start, scales, lengths[lengths == one], every)
            ]
            found = sorted(some, key=lambda place: place[0])[:BEST]
    ended = [Descent.begin(task, start).run(MOST, ROUGHLY).here for _, start in found]
    return min(ended, key=lambda point: point.cost).x


def _along(task: Task, x: Array, scales: IntArray, moved: IntArray, every: Array) -> list[tuple[float, Array]]:
    """Return χ² and x with some lengths multiplied by each factor, the best first."""
    out = []
    for factor in every:
        there = x.copy()
        there[moved] = np.clip(x[moved] * factor, task.low[moved], task.high[moved])
        there, cost = projected(task.system, there, scales, task.low, task.high)
        out.append((cost, there))
    return sorted(out, key=lambda place: place[0])
