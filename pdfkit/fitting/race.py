"""Fits from many starts that share what they learn: short ranges first, and no effort for what is known or hopeless.

A start is fitted to the first few Å of the data, where a wrong lattice is still within reach, then to more, then to all
of them, roughly. There it ends if it stands in the valley of a minimum that is known already, or far above the best;
else it is fitted to the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.fitting.flaws import FLAWED, flaw
from pdfkit.fitting.minimiser import Outcome, minimise
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.rivals import FLAT, is_in_valley
from pdfkit.fitting.starts import is_displacement, is_size
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.results.problem import FitProblem

STAGES = (6.0, 13.0)
"""Å beyond the first point of the data where the short ranges end."""
MUCH_LONGER = 1.5
BROAD = 0.02
"""Å², mean displacement at the start of the first stage: peaks of neighbours that a cell 5 % off misplaces overlap."""
ROUGH, ROUGHLY = 12, 1e-2
"""Evaluations and tolerance of a rough fit."""
FINE = 1e-7
HOPELESS = 3.0
"""χ² as a multiple of the best at which a start that no longer improves is given up."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a fit ended: x (nfree,), what was minimised, the triangular factor of [J, f] there, its `flaw`."""

    x: Array
    cost: float
    factor: Array
    nfev: int = 0
    given_up: bool = False
    flaw: int = 0

    @classmethod
    def of(cls, outcome: Outcome, *, given_up: bool = False, flaw: int = 0) -> Place:
        """Return the place where a minimisation ended."""
        return cls(outcome.x, outcome.minimum, outcome.factor, outcome.nfev, given_up, flaw)

    @property
    def height(self) -> float:
        """What was minimised, more where that means nothing: a proper minimum nearly as low is better."""
        return self.cost * FLAWED[self.flaw]

    def predicted(self, x: Array) -> float:
        """Return what is minimised at x, were it a parabola with its least value here."""
        step = self.factor[:, :-1] @ (x - self.x)
        return self.cost + float(step @ step)


@dataclass(frozen=True, eq=False)
class Stage:
    """The fit on a short range: its residuals, and which of all free values vary there."""

    residuals: Residuals
    columns: IntArray


@dataclass(frozen=True, eq=False)
class Race:
    """All that a start needs: the fit, what of it comes before, and the parameters."""

    whole: Residuals
    stages: tuple[Stage, ...]
    params: Parameters
    guess: bool
    """Whether scales start at their least-squares values."""

    @classmethod
    def of(cls, problem: FitProblem, params: Parameters, *, guess: bool = True) -> Race:
        """Return the race of a problem."""
        whole = Residuals(problem, ParameterMap.of(params))
        found = (_stage(whole, params, far) for far in STAGES)
        return cls(whole, tuple(one for one in found if one is not None), params, guess)

    def run(self, x: Array, known: Sequence[Place]) -> Place:
        """Return where a start ends; at a known minimum, that place itself."""
        nfev, best = 0, min((one.height for one in known), default=math.inf)
        for k, stage in enumerate(self.stages):
            x, used = self._staged(stage, x if k else self._broad(x))
            nfev += used
        x = self._scaled(self.whole, x)
        outcome = self._local(Outcome(x, nfev, False, "", np.zeros((0, 0)), 0.0), nfev + ROUGH, ROUGHLY)
        if (found := own(known, outcome.x, outcome.minimum)) is not None:
            return replace(found, nfev=outcome.nfev)
        if outcome.minimum > HOPELESS * best and (outcome.converged or outcome.minimum > HOPELESS**2 * best):
            return Place.of(outcome, given_up=True)
        outcome = self._local(outcome, outcome.nfev + 2 * ROUGH, ROUGHLY**2)
        if (found := own(known, outcome.x, outcome.minimum)) is not None:
            return replace(found, nfev=outcome.nfev)
        if outcome.minimum > HOPELESS * best:
            return Place.of(outcome, given_up=True)
        return self.to_the_end(outcome)

    def to_the_end(self, start: Outcome | Array) -> Place:
        """Return the minimum that is reached from a start without stages."""
        before = start if isinstance(start, Outcome) else Outcome(start, 0, False, "", np.zeros((0, 0)), 0.0)
        outcome = self._local(before, before.nfev + self.whole.problem.settings.max_nfev, FINE)
        return Place.of(outcome, flaw=flaw(self.whole, outcome.x))

    def _local(self, before: Outcome, most: int, tolerance: float) -> Outcome:
        return minimise(self.whole, most, None, before, tolerance)

    def _staged(self, stage: Stage, x: Array) -> tuple[Array, int]:
        """Return free values after a short range, and the evaluations that it took."""
        part = copy(stage.residuals)
        start = part.mapping.start.copy()
        start[list(self.whole.mapping.free)] = x
        part.mapping = replace(part.mapping, start=start)
        if self.guess:
            part.guess_scales(self.params.copy())
        outcome = minimise(part, ROUGH, None, None, ROUGHLY)
        out = x.copy()
        out[stage.columns] = outcome.x
        return out, outcome.nfev

    def _broad(self, x: Array) -> Array:
        """Return free values with all displacements multiplied until peaks are broad enough to find each other."""
        mapping = self.whole.mapping
        U = [k for k, name in enumerate(mapping.free_names) if is_displacement(name)]
        out = x.copy()
        if U and (x[U] > 0).all():
            out[U] *= max(1.0, BROAD / math.exp(float(np.log(x[U]).mean())))
        return np.asarray(np.clip(out, mapping.low, mapping.high))

    def _scaled(self, residuals: Residuals, x: Array) -> Array:
        """Return free values with scales at their least-squares values."""
        if not self.guess:
            return x
        part = copy(residuals)
        start = part.mapping.start.copy()
        start[list(part.mapping.free)] = x
        part.mapping = replace(part.mapping, start=start)
        part.guess_scales(self.params.copy())
        return part.mapping.x0


def own(known: Sequence[Place], x: Array, cost: float) -> Place | None:
    """Return the known minimum in whose valley x stands."""
    return next((place for place in known if is_in_valley(place, x, cost)), None)


def same(residuals: Residuals, one: Place, other: Place) -> bool:
    """Return whether two places are one minimum: the same values, or two ends of a valley without a rise between."""
    low, high = sorted((one, other), key=lambda place: place.cost)
    level = high.cost * (1.0 + FLAT)
    if high.cost <= low.cost * (1.0 + FLAT) and low.predicted(high.x) <= level:
        return True
    if high.cost > low.cost * (1.0 + 20.0 * FLAT):
        return False
    between = (low.x + part * (high.x - low.x) for part in (0.25, 0.5, 0.75))
    return all(_cost(residuals, x) <= level for x in between)


def _cost(residuals: Residuals, x: Array) -> float:
    try:
        f = residuals.at(x)
    except PdfkitError:
        return math.inf
    return float(f @ f)


def _stage(whole: Residuals, params: Parameters, far: float) -> Stage | None:
    """Return the fit of the first `far` Å; None where they are nearly all, or too few for what varies there."""
    sets = whole.problem.datasets
    if all(one.data.r[-1] - one.data.r[0] <= MUCH_LONGER * far for one in sets):
        return None
    short, names = params.copy(), whole.mapping.free_names
    late = [name for name in names if _is_late(name)]
    for name in late:
        short[name].vary = False
    if len(late) == len(names):
        return None
    posed = tuple(replace(one, data=one.data.crop(None, float(one.data.r[0]) + far)) for one in sets)
    try:
        residuals = Residuals(replace(whole.problem, datasets=posed), ParameterMap.of(short))
    except PdfkitError:
        return None
    if residuals.independent < 1.5 * (len(names) - len(late)):
        return None
    return Stage(residuals, np.array([k for k, name in enumerate(names) if name not in late]))


def _is_late(name: str) -> bool:
    """Return whether a quantity is told by long ranges alone."""
    return is_size(name) or name.rpartition(".")[2] in INSTRUMENT_QUANTITIES


# --- In worker processes ---------------------------------------------------------------------------------------------

_kept: dict[str, Race] = {}


def raced(text: str, problem: FitProblem, guess: bool, known: Sequence[Place], starts: Sequence[Array]) -> list[Place]:
    """Return where starts end; text : the parameters as JSON. A race of the same parameters is made once."""
    if text not in _kept:
        _kept.clear()
        params = Parameters().loads(text)
        _kept[text] = Race.of(problem, params, guess=guess)
    return [tried(_kept[text], x, known) for x in starts]


def tried(race: Race, x: Array, known: Sequence[Place]) -> Place:
    """Return where a start ends; one whose numbers run away is given up."""
    try:
        return race.run(x, known)
    except PdfkitError:
        return Place(x, math.inf, np.zeros((0, 0)), 1, given_up=True)
