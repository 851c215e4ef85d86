"""The cell first: short distances, seen through a wide Gaussian, before the whole range.

A cell that is 5 % wrong puts a peak at 50 Å where its neighbours belong, and no step of a local fit leads back. At 8 Å
it is 0.4 Å off, and when data and model are both smeared by 0.4 Å the misfit of such a cell still slopes towards the
right one. Smearing is a weighted sum over r, so it acts on residuals and Jacobian alike and nothing of the model needs
to change. Only lengths of cells and scales move there, which is all that such curves tell.

Data that begin far out have no such distances. At 25 Å a cell that is 1 % wrong puts peaks where others belong, at
any smearing that leaves peaks, so that no slope leads to the right one. But a piece of a few Å is cheap: lengths go by
steps that move its peaks by less than their width, all in proportion first and then each by itself, with the best
scales, and the best places are fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.minimiser import Descent, Task, Watch
from pdfkit.fitting.parts import Dataset
from pdfkit.fitting.residuals import Residuals, nonnegative
from pdfkit.fitting.whitening import possible

STAGES = ((8.0, 0.4), (14.0, 0.2))
"""End of the range and width of the Gaussian, Å."""
FARTHEST_BEGIN = 5.0
"""Data that begin beyond this (Å) have no short distances."""
STEP = 0.06
"""Å between the points where smeared curves are calculated."""
MOST, ROUGHLY = 12, 1e-3
PIECE, WIDTH = 8.0, 0.15
"""Length of the piece and width of the Gaussian that smears it, Å."""
FAR = 0.05
"""How far lengths are looked for on either side, as a share of them."""
BEST, ROUNDS = 3, 2
"""Places of a scan that are fitted, and how often each length goes by itself."""
LENGTHS = ("a", "b", "c", "a_h", "h", "expansion")

System = Callable[[Array], Array]


def scales_of(residuals: Residuals) -> IntArray:
    """Return which of the free values are scales, in which residuals are linear."""
    names = residuals.mapping.free_names
    if any(name in tie for name in names if name.endswith(".scale") for _, tie in residuals.mapping.ties):
        return np.zeros(0, dtype=np.int64)
    return np.array([k for k, name in enumerate(names) if name.endswith(".scale")], dtype=np.int64)


def lengths_of(residuals: Residuals) -> IntArray:
    """Return which of the free values move lengths of cells, by themselves or through ties."""
    mapping = residuals.mapping
    moved = mapping(mapping.x0)[1] != 0
    lengths = np.array([name.rpartition(".")[2] in LENGTHS for name in mapping.names])
    return np.flatnonzero((moved & lengths[:, None]).any(axis=0))


def projected(system: System, x: Array, scales: IntArray, low: Array, high: Array) -> tuple[Array, float]:
    """Return x with scales at their least-squares values (none below a tenth of the largest), and χ² there.

    Where the model is so far off that no scale above 0 helps, it gets the size of the data.
    """
    rows = system(x)
    if not scales.size or not np.isfinite(rows).all():
        return x, float(rows[-1] @ rows[-1])
    basis, wanted = rows[scales].T, rows[scales].T @ x[scales] - rows[-1]
    solution = nonnegative(basis, wanted)
    if solution.any():
        solution = np.maximum(solution, 0.1 * solution.max())
    else:
        size = float(np.linalg.norm(basis.sum(axis=1)))
        solution = np.full(scales.size, float(np.linalg.norm(wanted)) / size if size > 0 else 1.0)
    out = x.copy()
    out[scales] = np.clip(solution, low[scales], high[scales])
    left = rows[-1] + basis @ (out[scales] - x[scales])
    return out, float(left @ left)


class Smeared:
    """Residuals of all data sets up to an end (Å), smeared by a Gaussian of a width (Å), each set with the same say."""

    def __init__(self, residuals: Residuals, end: float, width: float) -> None:
        self.mapping = residuals.mapping
        self.parts = []
        for s, rows, weight in zip(residuals.sets, residuals.rows, residuals.weights, strict=False):
            short, kernel = _smeared(s, end, width)
            self.parts.append((short, math.sqrt(weight) * kernel, rows))

    def system(self, x: Array) -> Array:
        """Return the rows of the linearised problem (nfree + 1, n)."""
        values, tangents = self.mapping(x)
        out = []
        for s, kernel, rows in self.parts:
            out.append(s.raw(*s.evaluate(values[rows], tangents[rows])) @ kernel)
        return np.concatenate(out, axis=1)


def _smeared(s: Dataset, end: float, width: float) -> tuple[Dataset, Array]:
    """Return the short data, thinned where the model allows it, and what smears them (m, n)."""
    data = s.posed.data.crop(None, end)
    step = (data.r[-1] - data.r[0]) / (len(data) - 1)
    stride = max(1, math.floor(STEP / step)) if possible(s.model) else 1
    thin = replace(data, r=data.r[::stride], G=data.G[::stride], dG=None, cov=None)
    short = Dataset.of(replace(s.posed, data=thin, noise=None), False, "independent")
    r, at = thin.r, np.arange(thin.r[0], thin.r[-1] + 1e-9, 0.5 * width)
    kernel = np.exp(-0.5 * ((r[:, None] - at) / width) ** 2)
    return short, kernel / (np.linalg.norm(short.target @ kernel) or 1.0)


def cell_found(residuals: Residuals, x: Array, watch: Watch) -> Array | None:
    """Return x with the cell and scales that the shortest distances ask for; None where no cell is free."""
    scales, lengths = scales_of(residuals), lengths_of(residuals)
    if not lengths.size:
        return None
    begin = max(float(s.posed.data.r[0]) for s in residuals.sets)
    columns, low, high = np.union1d(scales, lengths), residuals.mapping.low, residuals.mapping.high
    if begin > FARTHEST_BEGIN:
        system = _told(Smeared(residuals, begin + PIECE, WIDTH), watch)
        return scanned(Task(system, low, high, columns), x, scales, lengths, begin + PIECE)
    longest = max(float(s.posed.data.r[-1]) for s in residuals.sets)
    for k, (end, width) in enumerate(STAGES):
        if k and end >= longest:
            break
        system = _told(Smeared(residuals, end, width), watch)
        x, _ = projected(system, x, scales, low, high)
        x = Descent.begin(Task(system, low, high, columns), x).run(MOST, ROUGHLY).here.x
    return x


def _told(smeared: Smeared, watch: Watch) -> System:
    def system(x: Array) -> Array:
        rows = smeared.system(x)
        watch.of_part(float(np.linalg.norm(rows[-1])) / math.sqrt(len(smeared.parts)))
        return rows

    return system


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
