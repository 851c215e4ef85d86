"""The local minimiser: damped steps within the bounds, from residuals f and their Jacobian J.

A step is the least value of ½‖f + Jy‖² + ½yᵀSy + ½λ‖y‖² inside the bounds, each parameter in units of its column of J
(Levenberg 1944, Marquardt 1963): a parameter that meets a bound stops there, the others go on. S is what JᵀJ misses
(`steps`), used from the step on that it would have foretold better. The fit has converged when the undamped step from
where it stands would not lower χ² by more than a share of `tolerance`: no way down is left, along a bound or away from
it. Parameters are then within √(tolerance·N) of their standard errors, N the independent points. Where the ratio of
what two steps left to gain says that the next is the last, it is taken by the linear problem, without another look.

Why not `scipy.optimize.least_squares`: where JᵀJ misses most of the curvature and bounds are near, its "dogbox" crept:
measured CdSe dots stood at Rw 0.1663 after 200 evaluations, with a way down to 0.1643 in one full step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.fitting.flaws import flaw
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.steps import Secants, learnt, least, lifted, missed, upward

Progress = Callable[[int, float], None]

TOLERANCE = 1e-10
FIRST_DAMPING, SMALL_DAMPING = 1e-2, 1e-4
SMALLEST_DAMPING, LARGEST_DAMPING = 1e-9, 1e8
ROUNDING = 1e-20
"""Share of ΣG²/dG² below which χ² is rounding."""
STILL = 1e-8
"""A step that would change the curve by no more than this share of the residual is none."""
LEVEL = 1e-4
"""Share of χ² that may seem to be left where steps are as small as that: the slope itself is rounding."""
EASED = 1e-10
CREEPING, CREEP = 8, 0.1
"""So many steps that together lower χ² by no more than this, in the unit of its errors, creep along a valley: the fit
has converged where by all that was learnt of the curvature no more is to be gained either."""
DRIFTING, DRIFT = 20, 1e-4
"""So many steps together have to lower χ² by this share: else parameters drift where the data do not tell them."""
IDLE = 1e-3
"""Least size of a column over the range of its parameter, as a share of the largest: slopes that vanish by symmetry
say nothing of how far a step may go."""
FORESEEN = 0.1
"""Share of what was left to gain before a step up to which what is left after another follows from their ratio."""
LATE = 20
"""Evaluations after which curvature is learnt from all places that were tried."""
UNLIKE = 10.0 / IDLE
"""Ratio of the sizes of a column at two places from which on one tells nothing of the other: a diameter that runs away
from data of a bulk sample has less and less of an effect."""
CHANCE = 4.0
"""Mean gain by a free parameter, over that of one without use, from which on a model explains something of the data."""
NOTHING = (
    "stopped where the model explains nothing of the data, no more than no model would: look at the cell and the other "
    "start values, at the range and the instrument"
)
PAST, MEMORY = 60, 2**26
"""So many places that were tried are remembered, in as many bytes at most."""


@dataclass(frozen=True)
class Outcome:
    """Where a minimisation ended: x (nfree,), the triangular factor of [J, f] there, and what is to be said of it."""

    x: Array
    nfev: int
    converged: bool
    message: str
    factor: Array
    predicted: float
    searched: int = 0

    @property
    def minimum(self) -> float:
        """What was minimised; `predicted` is what it would be if the model were linear from the start on.

        `searched` of the nfev evaluations looked for where to begin.
        """
        return float((self.factor[:, -1] ** 2).sum())


@dataclass(frozen=True, eq=False)
class Point:
    """The linearised problem of a task at x (nfree,): rows (n + 1, m) are ∂f/∂x of its n columns of x, then f."""

    task: Task
    x: Array
    rows: Array

    @cached_property
    def _products(self) -> Array:
        """Products of all rows with each other (n + 1, n + 1)."""
        return np.asarray(self.rows @ self.rows.T)

    @property
    def cost(self) -> float:
        """χ²."""
        return float(self._products[-1, -1])

    def predicted(self, x: Array) -> float:
        """Return χ² at x (nfree,), were residuals linear from here on."""
        step = (x - self.x)[self.task.columns]
        return self.cost + float(2.0 * self.slope @ step + step @ self.normal @ step)

    @property
    def slope(self) -> Array:
        """Jᵀf (n,)."""
        return np.asarray(self._products[:-1, -1])

    @property
    def normal(self) -> Array:
        """JᵀJ (n, n)."""
        return np.asarray(self._products[:-1, :-1])

    @cached_property
    def scale(self) -> Array:
        """Products of units (n, n)."""
        return np.asarray(self.unit[:, None] * self.unit)

    @cached_property
    def in_units(self) -> tuple[Array, Array, Array, Array]:
        """JᵀJ (n, n), Jᵀf (n,) and how far it is to the lower and upper bounds (n,), in units."""
        task, unit = self.task, self.unit
        low, high = task.low - self.x, task.high - self.x
        if unit.size < self.x.size:
            low, high = low[task.columns], high[task.columns]
        return self.normal / self.scale, self.slope / unit, low * unit, high * unit

    @cached_property
    def unit(self) -> Array:
        """Sizes of the columns of J (n,), none of them nothing: without effect and range, a step is as long as x."""
        size, least = self._sizes()
        if (size > least).all():
            return size
        whole = 1.0 / np.maximum(np.abs(self.x[self.task.columns]), 1.0)
        return np.where(size > least, size, np.where(least > 0, least, whole))

    @property
    def idle(self) -> NDArray[np.bool_]:
        """Which columns have next to no effect here (n,)."""
        size, least = self._sizes()
        return np.asarray(size <= least)

    def _sizes(self) -> tuple[Array, Array]:
        """Return sizes of the columns of J (n,), and the least that say how far a step may go (n,)."""
        size, (span, ranged) = np.sqrt(self.normal.diagonal()), self.task.ranges
        if ranged is None:
            return size, IDLE * (size * span).max(initial=0.0) / span
        width = np.where(ranged, span, np.abs(self.x[self.task.columns]))
        most = IDLE * float((size * width).max(initial=0.0))
        return size, np.where(ranged, most / np.where(ranged, span, 1.0), 0.0)


@dataclass(frozen=True, eq=False)
class Task:
    """What is minimised: rows of the linearised problem as a function of x, its bounds, and which of x may move.

    tiny: χ² that counts as nothing; creep: share of χ² that is far below its errors. flaw: 0 for an x that may be a
    proper minimum, more where physics ends. slide: rows at another x, all being linear from one to the other, where
    that is wanted.
    """

    system: Callable[[Array], Array]
    low: Array
    high: Array
    columns: IntArray
    tiny: float = 0.0
    flaw: Callable[[Array], int] = lambda x: 0
    creep: float = DRIFT
    slide: Callable[[Array, Array], Array] | None = None

    def at(self, x: Array) -> Point:
        """Return the problem at x."""
        return self.point(x, self.system(x))

    def point(self, x: Array, rows: Array) -> Point:
        """Return the problem at x, where its rows are known."""
        return Point(self, x, rows if len(rows) == self.columns.size + 1 else rows[np.append(self.columns, -1)])

    def inside(self, x: Array) -> Array:
        """Return the nearest x (nfree,) within the bounds."""
        return np.asarray(np.minimum(np.maximum(x, self.low), self.high))

    @cached_property
    def span(self) -> Array:
        """Widths of the ranges (nfree,), ∞ where there is none."""
        return np.where(self.high > self.low, self.high - self.low, np.inf)

    @cached_property
    def ranges(self) -> tuple[Array, NDArray[np.bool_] | None]:
        """Those of the columns (n,), and which there are; None if all."""
        span = self.span[self.columns]
        ranged = np.isfinite(span)
        return span, None if ranged.all() else ranged


@dataclass
class Descent:
    """A minimisation under way: where it stands, what it learnt, how far steps are trusted."""

    task: Task
    here: Point
    nfev: int = 1
    damping: float = FIRST_DAMPING
    uses_missing: bool = False
    goes_on: bool = False
    state: str = ""
    past: list[Point] = field(default_factory=list)
    beside: list[Point] = field(default_factory=list)
    missing: Array = field(init=False)

    def __post_init__(self) -> None:
        if not np.isfinite(self.here.rows).all():
            raise PdfkitError("the fit ran into numbers that are not finite: check start values and bounds")
        n = self.task.columns.size
        self.missing = np.zeros((n, n))

    @classmethod
    def begin(cls, task: Task, x: Array, damping: float = FIRST_DAMPING) -> Descent:
        """Return one that stands at x, or at the bounds where x is beyond."""
        return cls(task, task.at(task.inside(x)), damping=damping)

    def remember(self, places: list[list[Point]]) -> Descent:
        """Go on with the curvature that places near tell, and little damping.

        places : those of this problem, then those of one that was a little different, which tell by each other.
        """
        cost = 2.0 * self.here.cost
        near, others = ([one for one in some if one.cost < cost] for some in places)
        self.past, self.beside = near, others
        if len((secants := self._secants(self.here))[0]):
            self.goes_on = self.uses_missing = True
            self.damping = SMALL_DAMPING
            self.missing = missed(secants) * self.here.scale
        return self

    @property
    def converged(self) -> bool:
        """Whether no way down is left."""
        return self.state in ("level", "still", "valley")

    def run(self, most: int, tolerance: float, last: float = 0.0) -> Descent:
        """Go on until χ² would not fall by a share of `tolerance`, or `most` evaluations were made in all.

        last : share of χ² that one step takes without another look, where no more is left from the start.
        """
        self.state, costs, creep = "", [], self.task.creep  # type: str, list[float], float
        left = 0.0
        while not self.state:
            costs.append(self.here.cost)
            before, left = left, self._left()
            enough = self._enough(tolerance)
            foreseen = left <= FORESEEN * before and left * left <= enough * before
            if left <= enough or ((foreseen or left <= last * (len(costs) < 2) * self.here.cost) and self._slid()):
                self.state = "level"
            elif self.nfev >= most:
                self.state = "stopped"
            elif self.late and _creeps(costs, CREEPING, creep) and self._left(self.missing) <= creep * costs[-1]:
                self.state = "valley"
            elif _creeps(costs, DRIFTING, DRIFT):
                self.state = "drifting"
            elif not self._step(most):
                below = left <= LEVEL * self.here.cost
                self.state = "stopped" if self.nfev >= most else "still" if below else "stuck"
        return self

    def is_level(self, tolerance: float) -> bool:
        """Return whether no step from here would lower χ² by a share of `tolerance`."""
        return self._left() <= self._enough(tolerance)

    def _enough(self, tolerance: float) -> float:
        return max(tolerance * self.here.cost, self.task.tiny)

    def _left(self, missing: Array | None = None) -> float:
        """Return by how much the undamped step would lower χ², by JᵀJ alone or with what it misses."""
        curvature, slope, *limits = self.here.in_units
        if missing is not None:
            curvature = upward(curvature + missing / self.here.scale)
        return -_change(curvature, slope, least(_raised(curvature, EASED), slope, *limits))

    def _step(self, most: int) -> bool:
        """Take a step that lowers χ²; return whether one was found."""
        (normal, slope, *limits), more = self.here.in_units, 2.0
        whole = normal + self.missing / self.here.scale
        while self.nfev < most and self.damping < LARGEST_DAMPING:
            mend = upward if self.late else lifted
            used = mend(whole) if self.uses_missing else normal
            y = least(_raised(used, self.damping), slope, *limits)
            if float(np.abs(y).max()) <= STILL * math.sqrt(self.here.cost):
                return False
            self.nfev, there = self.nfev + 1, self.task.at(self._moved(y))
            gain = self.here.cost - there.cost
            if gain > 0 or self.late:
                simple, full = (abs(gain + _change(one, slope, y)) for one in (normal, whole))
                self.uses_missing = full < simple
            if gain > 0:  # not where numbers are not finite either
                self._trust(gain, -_change(used, slope, y))
                self._learn(there, self.here)
                return True
            self._learn(self.here, there)
            whole = normal + self.missing / self.here.scale
            self.damping, more = max(self.damping, 1e-6) * more, 2.0 * more
        return False

    def _slid(self) -> bool:
        """Take the last step, which is known to suffice, without another look; return whether that is wanted."""
        if self.task.slide is None:
            return False
        used, slope, *limits = self.here.in_units
        if self.uses_missing:
            used = used + self.missing / self.here.scale
        x = self._moved(least(_raised(lifted(used), EASED), slope, *limits))
        self.here = self.task.point(x, self.task.slide(self.here.x, x))
        return True

    def _moved(self, y: Array) -> Array:
        """Return x (nfree,) a step y (n,) in units away, within the bounds."""
        x = self.here.x.copy()
        x[self.task.columns] += y / self.here.unit
        return self.task.inside(x)

    def _trust(self, gain: float, foretold: float) -> None:
        """Damp less after a step that kept its promise, more after one that did not."""
        if gain > 0.75 * foretold:
            self.damping = max(self.damping / 5.0, SMALLEST_DAMPING)
        elif gain < 0.25 * foretold:
            self.damping *= 4.0

    @property
    def late(self) -> bool:
        """Whether it is long under way."""
        return self.nfev > LATE

    def _learn(self, here: Point, other: Point) -> None:
        """Stand here, and learn what another place tells of it."""
        room = max(2, min(PAST, MEMORY // here.rows.nbytes))
        if np.isfinite(other.rows).all():
            self.past = [other, *self.past][:room]
        if self.late or self.goes_on:
            self._curve(here)
        elif here is not self.here and here.rows.shape == other.rows.shape:  # ties beyond their limits add rows
            step, old = (here.x - other.x)[self.task.columns], other.rows[:-1] @ here.rows[-1]
            self.missing = learnt(self.missing, step, here.slope - other.slope, here.slope - old)
        self.here = here

    def _curve(self, here: Point) -> None:
        """Take from all past places what JᵀJ misses of the curvature."""
        self.missing = missed(self._secants(here)) * here.scale

    def _secants(self, here: Point) -> Secants:
        """Return steps between places and Σ fᵢ∇²fᵢ along them, in units, with the f of here."""
        shape, f, out = here.rows.shape, here.rows[-1], [(np.zeros((0, here.unit.size)),) * 2]
        for one, places in ((here, self.past), (self.beside[0] if self.beside else here, self.beside[1:])):
            others = [other for other in places if other.rows.shape == one.rows.shape == shape]
            if not others:
                continue
            steps = (np.array([other.x for other in others]) - one.x)[:, self.task.columns] * here.unit
            slope = here.slope if one is here else one.rows[:-1] @ f
            changes = (np.array([other.rows[:-1] @ f for other in others]) - slope) / here.unit
            told = steps.any(axis=1) & _alike(here.unit, np.array([other.unit for other in others]))
            out.append((steps[told], changes[told]))
        steps, changes = (np.concatenate(each) for each in zip(*out, strict=True))
        return steps, changes


def _alike(one: Array, others: Array) -> NDArray[np.bool_]:
    """Return at which places (k, n) columns have like sizes, or would have, had symmetry not taken slopes away."""
    return np.asarray((np.maximum(one, others) < UNLIKE * np.minimum(one, others)).all(axis=1))


def _raised(curvature: Array, by: float) -> Array:
    """Return a curvature (n, n) with a constant added to its diagonal."""
    out = curvature.copy()
    out.ravel()[:: len(out) + 1] += by
    return out


def _creeps(costs: list[float], steps: int, creep: float) -> bool:
    """Whether so many steps together lowered χ² by no more than a share of it."""
    return len(costs) > steps and costs[-1 - steps] - costs[-1] < creep * costs[-1]


def _change(curvature: Array, slope: Array, y: Array) -> float:
    return float(2.0 * slope @ y + y @ curvature @ y)


def task_of(residuals: Residuals, watch: Watch) -> Task:
    """Return the whole fit as a task; `watch` sees each evaluation."""

    def system(x: Array) -> Array:
        rows = residuals.system(x)
        watch(x)
        return rows

    mapping = residuals.mapping
    every, creep = np.arange(len(mapping.free)), min(CREEP / residuals.freedom, 10.0 * DRIFT)
    return Task(system, mapping.low, mapping.high, every, ROUNDING * residuals.norm2(), partial(flaw, residuals), creep)


def minimise(
    residuals: Residuals,
    max_nfev: int,
    progress: Progress | None,
    before: Outcome | None = None,
    tolerance: float = TOLERANCE,
    last: float = 0.0,
) -> Outcome:
    """Minimise residuals from where `before` ended, or from the start values of their mapping; last: see `run`."""
    done, searched = (before.nfev, before.searched) if before else (0, 0)
    x = residuals.mapping.x0 if before is None else before.x
    task = task_of(residuals, Watch(residuals, progress, done))
    if tolerance <= TOLERANCE:  # a longer step is not that linear
        task = replace(task, slide=residuals.slide)
    descent = Descent.begin(task, x)
    if last and not descent.is_level(last):
        residuals.forget()  # derivatives may be those of models before
        descent = Descent.begin(task, x)
    if before is not None and not descent.is_level(max(tolerance, last)):
        descent.remember([[task.point(x, rows) for x, rows in some] for some in residuals.remembered()])
    predicted = float(residuals.factor(descent.here.rows.copy())[-1, -1] ** 2)
    descent.run(max(1, max_nfev - (done - searched)), tolerance, last)
    return outcome_of(residuals, descent, max_nfev, searched, done - searched, predicted)


def outcome_of(
    residuals: Residuals, descent: Descent, max_nfev: int, searched: int, done: int = 0, predicted: float = math.nan
) -> Outcome:
    """Return where a descent ended; searched: evaluations beside it, done: those before it."""
    words = {
        "level": "converged: Rw no longer improved",
        "still": "converged: parameters no longer moved",
        "valley": "converged: Rw no longer improved, though parameters that the data hardly tell still moved",
        "stopped": f"stopped after {max_nfev} evaluations without converging: start nearer, free less, or set bounds",
        "drifting": "stopped where Rw hardly improves while parameters go on moving: the data do not tell all of them: "
        "free fewer, or tie some",
        "stuck": "stopped where no step improves Rw, although its slope says that one should: set bounds, or free less",
    }
    factor = residuals.factor(descent.here.rows.copy())
    nfev, useful = searched + done + descent.nfev, explains(residuals, descent.here.cost)
    return Outcome(
        descent.here.x,
        nfev,
        descent.converged and useful,
        words[descent.state] if useful else NOTHING,
        factor,
        predicted,
        searched,
    )


def explains(residuals: Residuals, cost: float) -> bool:
    """Whether a fit that ended at χ² = cost lowers it by more than its free parameters would lower that of noise.

    Scales alone have one minimum, which is found whatever it explains; others mean nothing where a scale is next to 0.
    """
    size, free = residuals.norm2(), len(residuals.mapping.free)
    if all(name.endswith(".scale") for name in residuals.mapping.free_names):
        return True
    return (size - cost) * residuals.freedom > CHANCE * free * cost


def announce(progress: Progress | None, what: str) -> None:
    """Tell a progress what is done next, if it has a method `names` for that."""
    if (tell := getattr(progress, "names", None)) is not None:
        tell(what)


class Watch:
    """Counts evaluations, and tells `progress` of each: its number, and Rw there; before, if it has a method `sees`
    for that, names and values of what varies."""

    def __init__(self, residuals: Residuals, progress: Progress | None, done: int = 0) -> None:
        self.residuals, self.progress, self.count = residuals, progress, done

    @cached_property
    def norm(self) -> float:
        """√Σ(G_obs/dG)², with errors as the data say."""
        return math.sqrt(sum(self.residuals.stated(s).norm2() for s in self.residuals.parts))

    def __call__(self, x: Array) -> None:
        """Count an evaluation of the whole fit, at x."""
        self.count += 1
        if self.progress is not None:
            if (sees := getattr(self.progress, "sees", None)) is not None:
                sees(self.residuals.mapping.free_names, x)
            misfit = self.residuals.misfit(self.residuals.last_curves(x))
            self.progress(self.count, math.sqrt(misfit) / self.norm)

    def of_part(self, rw: float) -> None:
        """Count an evaluation of a part of the data."""
        self.count += 1
        if self.progress is not None:
            self.progress(self.count, rw)
