"""How the minimum is looked for, from start values that may be far off, in a few fits' time.

"plain" is one local fit from the start values. "staged" finds the cell at short distances first, if the start does not
describe the data already (`stages`), and tries the rivals of the minimum it ends in (`rivals`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.minimiser import TOLERANCE, Descent, Outcome, Progress, outcome_of, task_of, watched
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.rivals import raced
from pdfkit.fitting.stages import cell_found, projected, scales_of

SEARCHES = ("staged", "plain")
DESCRIBED = 0.15
"""Rw of start values, with the best scales, from which the cell is right."""
ROUGHLY = 1e-4
"""Tolerance of a minimum before its rivals are tried."""


@dataclass(frozen=True)
class Found:
    """Where a search ended, and what is to be said of it."""

    outcome: Outcome
    said: tuple[str, ...] = ()


def staged(residuals: Residuals, max_nfev: int, progress: Progress | None, tolerance: float = TOLERANCE) -> Found:
    """Return the minimum that stages and rivals lead to."""
    mapping, scales = residuals.mapping, scales_of(residuals)
    task = task_of(residuals, watched(residuals, progress))
    x, searched = _begun(residuals, task.system, np.clip(mapping.x0, mapping.low, mapping.high))
    descent = Descent.begin(task, x).run(max_nfev, max(ROUGHLY, tolerance))
    if not descent.converged:
        return Found(outcome_of(residuals, descent, max_nfev, searched))
    norm = math.sqrt(sum(s.norm2() for s in residuals.sets))
    first, used = math.sqrt(descent.here.cost) / norm, descent.nfev
    race = raced(task, mapping.free_names, scales, descent)
    race.best.run(race.best.nfev + max_nfev, tolerance)
    searched += race.nfev + (0 if race.best is descent else used)
    said = (f"found from {race.words}: from the start values the fit ended at Rw = {first:.4f}",) if race.words else ()
    return Found(outcome_of(residuals, race.best, max_nfev, searched), said)


def _begun(residuals: Residuals, system: Callable[[Array], Array], x: Array) -> tuple[Array, int]:
    """Return where the whole fit begins, and the evaluations that were spent on it."""
    scales, low, high = scales_of(residuals), residuals.mapping.low, residuals.mapping.high
    x, cost = projected(system, x, scales, low, high)
    norm2 = sum(s.norm2() for s in residuals.sets)
    if cost < DESCRIBED**2 * norm2:
        return x, 1
    found, nfev = cell_found(residuals, x, lambda: None)
    if not nfev:
        return x, 1
    found, there = projected(system, found, scales, low, high)
    return (found if there < cost else x), nfev + 2
