"""How the minimum is looked for, from start values that may be far off, in a few fits' time.

"plain" is one local fit from the start values. "staged" finds the cell at short distances first, if the start does not
describe the data already (`stages`), and tries the rivals of the minimum it ends in (`rivals`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.minimiser import TOLERANCE, Descent, Outcome, Progress, Task, Watch, announce, outcome_of, task_of
from pdfkit.fitting.residuals import DESCRIBED, Residuals
from pdfkit.fitting.rivals import raced
from pdfkit.fitting.stages import cell_found, projected, scales_of

ROUGHLY = 1e-4
"""Tolerance of a minimum before its rivals are tried."""
SHARE = 2.0
"""Evaluations that rivals may take, as a multiple of those of the first fit."""
FEWEST = 3.5
"""Evaluations of a fit per free value, from a usual start: what it counts for where it took fewer."""


@dataclass(frozen=True)
class Found:
    """Where a search ended, and what is to be said of it."""

    outcome: Outcome
    said: tuple[str, ...] = ()


def staged(residuals: Residuals, max_nfev: int, progress: Progress | None, tolerance: float = TOLERANCE) -> Found:
    """Return the minimum that stages and rivals lead to."""
    watch = Watch(residuals, progress)
    task, scales = task_of(residuals, watch), scales_of(residuals)
    begun = _begun(residuals, task, watch)
    announce(progress, "fitting")
    descent = Descent.begin(task, begun).run(max_nfev, max(ROUGHLY, tolerance))
    words, first, flaw = "", descent.here.x, 0
    if descent.state != "stopped":
        flaw = task.flaw(first)
        announce(progress, "trying minima nearby")
        most = SHARE * max(watch.count, FEWEST * task.columns.size)
        race = raced(task, residuals.mapping.free_names, scales, descent, most)
        announce(progress, "fitting")
        descent, words = race.best.run(race.best.nfev + max_nfev, tolerance), race.words
    said: tuple[str, ...] = ()
    if words:
        said = (_said(residuals, first, words, flaw if flaw > task.flaw(descent.here.x) else 0),)
    return Found(outcome_of(residuals, descent, max_nfev, watch.count - descent.nfev), said)


LEFT = (
    "",
    " That had a U or delta at the end of what is possible, which says nothing of the sample: a proper minimum wins",
    " There a pair of atoms had no width, and the model left its peak out: a minimum with all peaks wins",
)


def _said(residuals: Residuals, first: Array, words: str, flaw: int) -> str:
    """Say what the fit reached first, and what was wrong with it, by the flaw that the end point has no more."""
    rw = math.sqrt(
        residuals.misfit(residuals.curves(first)) / sum(residuals.stated(s).norm2() for s in residuals.parts)
    )
    dot = "." if flaw else ""
    return f"found from the minimum that the fit reached first, Rw = {rw:.4f}, with {words}{dot}{LEFT[flaw]}"


def _begun(residuals: Residuals, task: Task, watch: Watch) -> Array:
    """Return where the whole fit begins."""
    x, cost = _projected(residuals, task, np.clip(residuals.mapping.x0, task.low, task.high))
    if cost < DESCRIBED**2 * residuals.norm2():
        return x
    announce(watch.progress, "looking for the cell")
    found = cell_found(residuals, x, watch)
    if found is None:
        return x
    found, there = _projected(residuals, task, found)
    return found if there < cost else x


def _projected(residuals: Residuals, task: Task, x: Array) -> tuple[Array, float]:
    return projected(task.system, x, scales_of(residuals), task.low, task.high)
