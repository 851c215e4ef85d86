"""Rival minima, tried from where a fit ended: a move, a few evaluations, and only one that gets near goes on.

All that looks beyond a minimum goes this way: the default search, a search from many starts, and models of the same
data that start from each other's end points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.flaws import AT_EDGE, FLAWED, LOST
from pdfkit.fitting.minimiser import Descent, Task
from pdfkit.fitting.moves import Rival, mirrored, moved_off, rivals, with_widths
from pdfkit.fitting.stages import projected

FIRST, SHORT, LONG = 3, 4, 25
ROUGHLY = 1e-3
"""Share by which χ² has to be lower to count, and tolerance of a rival."""
POOR, NEAR = 2.0, 1.15
"""A rival goes on while its χ² is below that of the best times this: after FIRST steps, after SHORT."""
LOWER = 0.01
"""Share by which a rival has to be lower after SHORT steps to be taken without a look at the others."""
ROUNDS = 3
PERFECT = 1e10
"""χ² that needs no rival, in those that are rounding: Rw = 1e-5."""
CLOSE, TRUE, FLAT = 0.05, 0.3, 2e-4
"""Shares of χ²: how far above a minimum, on the parabola that this predicts, something counts as in its valley; of that
rise, how true the parabola has to be; and what change is none."""


class Known(Protocol):
    """A minimum that is known: χ² there, and what it predicts beside it."""

    @property
    def cost(self) -> float:
        """χ²."""

    def predicted(self, x: Array) -> float:
        """Return χ² at x, were it a parabola."""


def is_in_valley(known: Known, x: Array, cost: float) -> bool:
    """Return whether x, with χ² = cost, is in the valley of a minimum: near above it, as high as its parabola says."""
    rise = known.predicted(x) - known.cost
    return rise <= CLOSE * known.cost and abs(cost - known.cost - rise) <= TRUE * rise + FLAT * known.cost


def score(descent: Descent) -> float:
    """Return χ² of where a descent stands, more where that means nothing: a proper minimum nearly as low wins."""
    return descent.here.cost * FLAWED[descent.task.flaw(descent.here.x)]


def tried(task: Task, rival: Rival, scales: IntArray, best: float, known: Sequence[Known]) -> Descent | None:
    """Return a rival after a few evaluations; None for one far above the best χ², or back at a known minimum.

    One that is never hopeless, for it may begin anywhere, is always returned.
    """
    x, cost = projected(task.system, np.clip(rival.x, task.low, task.high), scales, task.low, task.high)
    if cost > rival.hopeless * best:
        return None
    others = replace(task, columns=np.setdiff1d(task.columns, rival.held))
    if rival.held and others.columns.size:
        x = Descent.begin(others, x).run(LONG, ROUGHLY).here.x
    descent = Descent.begin(task, x)
    if rival.hopeless == math.inf:
        return descent.run(SHORT, ROUGHLY)
    for most, limit in ((FIRST, POOR), (SHORT, math.inf)):
        here = descent.run(most, ROUGHLY).here
        if here.cost > limit * best or any(is_in_valley(one, here.x, here.cost) for one in known):
            return None
    return descent


@dataclass(frozen=True)
class Race:
    """How a race ended: the best minimum, and what led to it."""

    best: Descent
    words: str


@dataclass
class Budget:
    """The rows of a task, while evaluations are left."""

    system: Callable[[Array], Array]
    left: float

    def __call__(self, x: Array) -> Array:
        """Return the rows at x."""
        self.left -= 1
        return self.system(x)


def raced(task: Task, names: Sequence[str], scales: IntArray, ended: Descent, most: float = math.inf) -> Race:
    """Return the best minimum among where a fit ended and its rivals, and theirs in turn.

    No rival is begun after `most` evaluations.
    """
    budget, best, words = Budget(task.system, most), ended, ""
    task = replace(task, system=budget)
    for _ in range(ROUNDS if ended.here.cost > PERFECT * task.tiny else 0):
        better, told = _better(task, names, scales, best, budget)
        if better is None:
            break
        best, words = better, f"{words}, then with {told}" if words else told
    return Race(best, words)


def _better(
    task: Task, names: Sequence[str], scales: IntArray, best: Descent, budget: Budget
) -> tuple[Descent | None, str]:
    """Return the first rival that is better, else one of the two nearest that becomes so; and what led there."""
    high, near = score(best), []  # type: float, list[tuple[float, int, str, Descent]]
    flaw = task.flaw(best.here.x)
    for rival in _moves(names, best, flaw):
        if budget.left <= 0:
            break
        descent = tried(task, rival, scales, high, [best.here])
        if descent is None:
            continue
        if (reached := score(descent)) < (1.0 - LOWER) * high and _is_better(descent, high):
            return descent, rival.words
        # From a minimum that means nothing, only what leads out of it.
        if reached < NEAR * high and (not flaw or task.flaw(descent.here.x) < flaw):
            near.append((reached, len(near), rival.words, descent))
    for _, _, words, descent in sorted(near)[:2]:
        if budget.left > 0 and _is_better(descent, high):
            return descent, words
    return None, ""


def _moves(names: Sequence[str], best: Descent, flaw: int) -> Iterator[Rival]:
    where = (names, best.here.x, best.task.low, best.task.high)
    if flaw == LOST:
        yield from with_widths(*where)
    yield from moved_off(names, best.here)
    yield from mirrored(names, best.here.x)
    on_edge = flaw * (best.task.high - best.here.x < AT_EDGE * best.task.span) > 0
    # What stands on an edge is moved first: most often that leads out of a minimum that means nothing.
    yield from sorted(rivals(*where), key=lambda one: not (one.x < best.here.x)[on_edge].any())


def _is_better(descent: Descent, high: float) -> bool:
    """Go on with a descent, and return whether it gets below a score."""
    return score(descent.run(LONG, ROUGHLY)) < (1.0 - ROUGHLY) * high
