"""A search for the best minimum from many starts, and all that it finds on the way.

Starts fill the ranges evenly (`starts`) and race each other (`race`) in rounds. After each round the chance that one
more start would find a new minimum is estimated from how many were found; below 5 % the search is over. From the best,
moves that data are known to confuse are tried (`moves`, `rivals`), as in the default search and some more. Every
minimum is fitted once more in the measure of the noise that the best shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pdfkit._checks import Array
from pdfkit._workers import Job, Pool
from pdfkit.errors import PdfkitError
from pdfkit.fitting import moves, rivals
from pdfkit.fitting.evidence import Likelihood, Prior, laplace, priors_of
from pdfkit.fitting.flaws import FLAWED, flaw, flaws
from pdfkit.fitting.least_squares import refit, solve
from pdfkit.fitting.minimiser import Progress, Watch, announce, task_of
from pdfkit.fitting.moves import Rival
from pdfkit.fitting.race import Place, Race, own, raced, same, tried
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.rivals import FLAT
from pdfkit.fitting.stages import scales_of
from pdfkit.fitting.starts import Search, points, ranges_of
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters
from pdfkit.results.minima import UNSEEN, Minima, Minimum, differences, unseen
from pdfkit.results.problem import FitProblem
from pdfkit.results.result import FitResult

ROUND = 8
LEAST_STARTS = 16
MOST_MINIMA = 20
"""Minima that are fitted to the end and listed."""
MOVED_FROM = 3
ALIKE = 3.0
"""Difference of ln Z up to which data do not tell two minima apart."""


@dataclass
class Found:
    """Minima so far, with how many starts reached each; starts and evaluations made; χ² of the starts given up."""

    race: Race
    places: list[Place] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    starts: int = 0
    given_up: list[float] = field(default_factory=list)
    nfev: int = 0
    stopped: bool = False

    @property
    def best(self) -> Place:
        """The best place: a proper one, unless one that means nothing is much lower."""
        return min(self.places, key=lambda one: one.height)

    @property
    def over(self) -> bool:
        """Whether a new minimum is improbable, and the best was no matter of luck: more than one start reached it."""
        classes = sum(n > 0 for n in self.reached) + bool(self.given_up)
        often = self.reached[self.places.index(self.best)] > 1
        return often and self.starts >= LEAST_STARTS and unseen(classes, self.starts) < UNSEEN

    def add(self, place: Place, *, count: bool = True) -> None:
        """Take in where a start ended."""
        self.nfev += place.nfev
        self.starts += count
        if place.given_up:
            self.given_up += [place.cost] * count
            return
        for k, one in enumerate(self.places):
            if one.x is place.x or same(self.race.whole, one, place):
                self.reached[k] += count
                if place.cost < one.cost:
                    self.places[k] = place
                return
        self.places.append(place)
        self.reached.append(int(count))


def thorough(problem: FitProblem, params: Parameters, search: Search, progress: Progress | None = None) -> FitResult:
    """Fit a problem from many starts and return the best, with all `minima`.

    Ctrl-C ends the search, not the fit: the best so far is returned, and the report says that it was interrupted.
    """
    ranges = ranges_of(params, search)
    plain = solve(_without_noise(problem), params.copy(), progress, "staged")
    ranges = tuple(one for one in ranges if one.name in plain.free)  # what the data do not determine is held
    race = Race.of(
        _without_noise(plain.problem), plain.params, guess=not any(one.name.endswith("scale") for one in ranges)
    )
    found = Found(race, nfev=plain.nfev)
    found.add(race.to_the_end(plain.values), count=False)
    names = race.whole.mapping.free_names
    starts = points(ranges, race.whole.mapping.x0, names, search)
    try:
        while found.starts < len(starts):
            _search(found, starts[found.starts :], search, progress)
            best = found.best
            announce(progress, "trying moves from the best minima")
            _move(found)
            if found.best.height > (1.0 - FLAT) * best.height:
                break
    except KeyboardInterrupt:
        found.stopped = True
    announce(progress, "comparing minima")
    return _finished(problem, plain, found, search)


def _without_noise(problem: FitProblem) -> FitProblem:
    return replace(problem, settings=replace(problem.settings, noise="given"))


def _search(found: Found, starts: Array, search: Search, progress: Progress | None) -> None:
    """Run starts in rounds until a new minimum is improbable; a round at least."""
    race, text = found.race, found.race.params.dumps()
    norm = math.sqrt(race.whole.norm2())
    with Pool(None, search.workers) as pool:
        for first in range(0, len(starts), ROUND):
            some = list(starts[first : first + ROUND])
            told = _Told(progress, found.starts, found.starts - first + len(starts), found.nfev, found.best.cost, norm)
            for place in _round(pool, race, text, tuple(found.places), some, told):
                found.add(place)
            if found.over:
                return


@dataclass
class _Told:
    """Tells `progress` of each start that begins, or comes back from where it was computed, and how low the best is."""

    progress: Progress | None
    done: int
    total: int
    nfev: int
    best: float
    norm: float

    def begins(self) -> None:
        """Name the next start."""
        self.done += 1
        announce(self.progress, f"start {min(self.done, self.total)} of {self.total}")

    def ended(self, place: Place) -> None:
        """Count what a start took."""
        self.nfev, self.best = self.nfev + place.nfev, min(self.best, place.cost)
        if self.progress is not None:
            self.progress(self.nfev, math.sqrt(self.best) / self.norm)


def _round(pool: Pool, race: Race, text: str, known: Sequence[Place], some: list[Array], told: _Told) -> list[Place]:
    """Return where a round of starts ends, in their order, whoever computes them."""
    if not pool.own:
        return [_one(race, x, known, told) for x in some]
    arguments = (text, race.whole.problem, race.guess, known)
    jobs: Iterator[Job[Place]] = (Job([k], arguments, (x,)) for k, x in enumerate(some))

    def lost(k: int, words: str) -> Place:
        return Place(some[k], math.inf, np.zeros((0, 0)), 0, given_up=True)

    places: dict[int, Place] = {}
    told.begins()
    for job, ends in pool.run(raced, jobs, lost):
        places[job.items[0]] = ends[0]
        told.ended(ends[0])
        if len(places) < len(some):
            told.begins()
    return [places[k] for k in range(len(some))]


def _one(race: Race, x: Array, known: Sequence[Place], told: _Told) -> Place:
    told.begins()
    place = tried(race, x, known)
    told.ended(place)
    return place


# --- Moves that data are known to confuse ----------------------------------------------------------------------------


def _move(found: Found) -> None:
    """Try moves from the best minima; from a better one that they lead to, again."""
    done: list[Place] = []
    bare, watch = replace(found.race, stages=()), Watch(found.race.whole, None)
    task, scales = task_of(bare.whole, watch), scales_of(bare.whole)
    while True:
        fresh = [one for one in sorted(found.places, key=lambda p: p.height)[:MOVED_FROM] if not _among(one, done)]
        if not fresh or len(done) >= 2 * MOVED_FROM:
            return
        done.append(fresh[0])
        for rival in _moves(bare.whole.mapping, fresh[0].x):
            watch.count = 0
            if (descent := rivals.tried(task, rival, scales, found.best.height, found.places)) is not None:
                found.add(tried(bare, descent.here.x, found.places), count=False)
            found.nfev += watch.count


def _among(place: Place, done: Sequence[Place]) -> bool:
    return any(place is one for one in done)


def _moves(mapping: ParameterMap, x: Array) -> Iterator[Rival]:
    yield from moves.rivals(mapping.free_names, x, mapping.low, mapping.high)
    yield from moves.further(mapping.free_names, x)


# --- The answer ------------------------------------------------------------------------------------------------------


def _finished(problem: FitProblem, plain: FitResult, found: Found, search: Search) -> FitResult:
    """Return the best fit, with the minima beside it."""
    order = sorted(range(len(found.places)), key=lambda k: found.places[k].height)[:MOST_MINIMA]
    reached = [found.reached[k] for k in order]
    starts = [_at(plain, found.places[k].x) for k in order]
    best, nfev = solve(problem, starts[0].copy()), found.nfev
    fits = _alike(best, starts)
    lowest = min(range(len(fits)), key=lambda k: _height(fits[k]))
    if _height(fits[lowest]) < (1.0 - FLAT) * _height(best):
        best = solve(problem, starts[lowest].copy())
        fits = _alike(best, starts)
    fits[lowest] = best
    nfev += best.nfev + sum(one.nfev for one in fits if one is not best)
    kept = _distinct(best, fits, reached)
    minima = Minima(_described(best, kept), found.starts, _given_up(found), search.seed, found.stopped)
    for name, par in best.params.items():
        par.init_value = plain.params[name].init_value
    remarks = tuple(dict.fromkeys([*best.remarks, *_remarks(minima)]))
    return replace(best, minima=minima, remarks=remarks, nfev=nfev)


def _given_up(found: Found) -> tuple[float, ...]:
    """Return Rw of the starts that were given up, in order."""
    norm2 = found.race.whole.norm2()
    return tuple(sorted(math.sqrt(cost / norm2) for cost in found.given_up))


def _at(plain: FitResult, x: Array) -> Parameters:
    """Return the parameters of a fit at other free values."""
    params: Parameters = plain.params.copy()
    for name, value in zip(plain.free, x, strict=True):
        params[name].value = float(value)
    return params


def _height(result: FitResult) -> float:
    """Return χ² in the errors of the data with that of restraints, more where such a minimum means nothing."""
    return _chi2(result) * FLAWED[flaw(_residuals(result), result.values)]


def _chi2(result: FitResult) -> float:
    return result.chi2 + result.restraint_chi2


def _residuals(result: FitResult) -> Residuals:
    return Residuals(result.problem, ParameterMap.of(result.params))


def _alike(best: FitResult, starts: Sequence[Parameters]) -> list[FitResult]:
    """Return fits from all starts in the measure of the noise that the best one has."""
    return [refit(best, params) for params in starts]


def _distinct(best: FitResult, fits: Sequence[FitResult], reached: Sequence[int]) -> list[tuple[FitResult, int]]:
    """Return fits that are not the same minimum as a lower one, the best first, with how many starts reached them."""
    residuals = _residuals(best)
    places: list[Place] = []
    out: list[tuple[FitResult, int]] = []
    for fit, n in sorted(zip(fits, reached, strict=True), key=lambda pair: (pair[0] is not best, _height(pair[0]))):
        factor = residuals.factor(residuals.system(fit.values))
        place = Place(fit.values, float((factor[:, -1] ** 2).sum()), factor)
        twin = next((k for k, one in enumerate(places) if _is_twin(residuals, one, place)), None)
        if twin is None:
            places.append(place)
            out.append((fit, n))
        else:
            out[twin] = (out[twin][0], out[twin][1] + n)
    return out


def _is_twin(residuals: Residuals, one: Place, other: Place) -> bool:
    return own([one], other.x, other.cost) is not None or same(residuals, one, other)


def _described(best: FitResult, kept: Sequence[tuple[FitResult, int]]) -> tuple[Minimum, ...]:
    """Return minima from fits, the first of them the best."""
    lnz = _evidence([one for one, _ in kept])
    own_values = dict(zip(best.free, best.values.tolist(), strict=True))
    sigma = {name: float(best.params[name].stderr or math.nan) for name in best.free}
    units = {name: str((best.params[name].user_data or {}).get("unit", "")) for name in best.free}
    out = []
    for (one, n), z in zip(kept, lnz, strict=True):
        values = dict(zip(one.free, one.values.tolist(), strict=True))
        words = "" if one is best else differences(own_values, values, sigma, units)
        params = one.params.copy()
        wrong = one.at_bounds, flaws(_residuals(one), one.values)
        out.append(Minimum(one.rw, _chi2(one), n, z - lnz[0], words, one.free, params, *wrong))
    return tuple(out)


def _evidence(fits: Sequence[FitResult]) -> list[float]:
    """Return ln Z of each about its own minimum, with the same priors for all; NaN where data sets have weights."""
    if any(one.problem.settings.weights for one in fits):  # a likelihood knows the noise, and no other weights
        return [math.nan for _ in fits]
    noise = "known" if all(one.problem.use_errors and one.errors_from in ("cov", "dG") for one in fits) else "misfit"
    mappings = [ParameterMap.of(one.params) for one in fits]
    priors = [priors_of(one, mapping) for one, mapping in zip(fits, mappings, strict=True)]
    widest = tuple(
        Prior(some[0].name, min(one.low for one in some), max(one.high for one in some))
        for some in zip(*priors, strict=True)
    )
    out = []
    for one, mapping in zip(fits, mappings, strict=True):
        try:
            out.append(laplace(Likelihood(Residuals(one.problem, mapping), widest, noise), one.values))
        except (PdfkitError, np.linalg.LinAlgError):
            out.append(math.nan)
    return out


def _remarks(minima: Minima) -> Iterator[str]:
    """Yield what is to be known of the minima beside the best."""
    lower = [k for k, one in enumerate(minima) if one.flaws and one.chi2 < minima[0].chi2]
    if lower:
        number, one = lower[0], minima[lower[0]]
        yield (
            f"a lower Rw exists, {one.rw:.4f} of minimum {number}, but that says nothing of the sample "
            f"({', '.join(one.flaws)})"
        )
    near = [k for k, one in enumerate(minima) if k and abs(one.dlnz) <= ALIKE and k not in lower]
    if near:
        numbers = ", ".join(map(str, near))
        several = f"minima {numbers} stand" if len(near) > 1 else f"minimum {numbers} stands"
        yield (
            f"the data do not tell the best minimum from others: {several} within {ALIKE:g} of its ln Z (see minima): "
            f"{minima[near[0]].differs}"
        )
    likelier = [k for k, one in enumerate(minima) if one.dlnz > ALIKE and k not in lower]
    if likelier:
        yield (
            f"minimum {likelier[0]} is more probable than the one of lowest Rw (ln Z {minima[likelier[0]].dlnz:+.1f}): "
            f"its valley is wider; {minima[likelier[0]].differs}"
        )
    inside = next((k for k, one in enumerate(minima) if not one.at_bounds), None)
    if inside:
        yield f"the best minimum with nothing on a bound is number {inside} (Rw = {minima[inside].rw:.4f})"
