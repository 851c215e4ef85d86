"""One fit of all scans of a series in which parameters follow laws of the index.

Every scan is fitted by itself first: that tells its noise, and where to start. Laws are then found from the values of
these fits with all that is known of their errors, and refined on the data themselves, scan by scan (`arrow`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._table import frame
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.model.model import Model
from pdfkit.series.alone import Alone, Kept
from pdfkit.series.arrow import Arrow, Found, Place, Quadratic, minimise
from pdfkit.series.lawfit import LawFit, place_of
from pdfkit.series.plan import Given, Plan, check_kelvin, index_of, indices, planned
from pdfkit.series.posed import Bounds, Lean, Measure, Progress, Template, errors, in_turn, named, posed, tables, values
from pdfkit.series.settled import errors_at, settled, weighed_alike
from pdfkit.series.spread import ln_evidence, spread

if TYPE_CHECKING:
    from pandas import DataFrame

Journal = Callable[[object], Kept]
MOST_STARTS, FEW_STEPS = 12, 4
UNLIKELY = 1e-3
"""Probability of a χ² beyond which laws miss what scans say."""
SEEN = 1e-6
"""Share of its range from a bound within which a shared parameter is on it."""


@dataclass(frozen=True, eq=False)
class ParametricFit(LawFit):
    """What a parametric fit found: laws, and what they make of every scan that could be fitted.

    columns : names of the parameters of each scan, its own, then those that laws lead. table, errors (S, n): their
    values and standard errors; covariances (S, n, n). alone, alone_errors (S, n): those of fits of each scan by itself.
    chi2 (S,): of each scan, in units of the noise that its own fit shows; rw (S,). positions (S,): of these scans in
    the series; failed: position → why a scan has no fit, and counts for nothing. scans: what was kept of each.

    Example
    -------
    See `fit_parametric`.
    """

    columns: tuple[str, ...]
    table: Array
    covariances: Array
    alone: Array
    alone_errors: Array
    chi2: Array
    rw: Array
    positions: IntArray
    failed: Mapping[int, str]
    evaluations: int
    seconds: float
    scans: tuple[Lean, ...] = field(repr=False)

    @property
    def errors(self) -> Array:
        """Standard errors (S, n) of the table."""
        return np.asarray(np.sqrt(np.einsum("sii->si", self.covariances)))

    @property
    def laws(self) -> LawFit:
        """What is known of the laws, without the scans."""
        return LawFit(**{one.name: getattr(self, one.name) for one in fields(LawFit)})

    def along(self, name: str, t: Sequence[float] | Array | None = None) -> tuple[Array, Array]:
        """Return values and standard errors of a parameter of the scans, or of a law at other indices t."""
        if t is None and name not in self.plan.laws:
            k = place_of(self.columns, name)
            return self.table[:, k], self.errors[:, k]
        return super().along(name, t)

    def columns_of(self) -> dict[str, Any]:
        """Return the scans as columns: index, each parameter and its error, χ², Rw."""
        out: dict[str, Any] = {self.plan.called: self.plan.t}
        for k, name in enumerate(self.columns):
            out |= {name: self.table[:, k], f"{name} error": self.errors[:, k]}
        return {**out, "chi2": self.chi2, "rw": self.rw}

    def to_dataframe(self) -> DataFrame:
        """Return the scans as a `pandas.DataFrame`, one a row."""
        return frame(self.columns_of())

    def _head(self) -> str:
        return f"{self._span()}: Rw = {self.rw.min():.4f} to {self.rw.max():.4f}, ln Z = {self.lnz:.1f}"


def fit_parametric(
    model: Model,
    scans: Iterable[PDF],
    index: Sequence[float] | Array | None = None,
    *,
    laws: Given,
    free: Iterable[str] = (),
    start: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    like: LawFit | None = None,
    called: str | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
    **options: Any,
) -> ParametricFit:
    """Fit all scans of a series at once, with parameters that follow laws of the index.

    Minimises Σ_s Σ[(G_obs − G_calc)/σ]² over the scans s, in the noise that a fit of each scan alone shows (as in
    `pdfkit.fit`).

    Parameters
    ----------
    model : start values. scans : a series as `pdfkit.read_series` returns it, or PDFs.
    index : (S,), a number for each scan, such as a temperature in K; None for that of the series. called : its name in
        expressions, "T" unless the series has one.
    laws : name → law. A name is the ending of parameter names ("a", "Uiso"), or a new one that others use. A law is a
        word ("constant", "linear", "quadratic", "cubic", "debye", "einstein", "order"), a `Law`, or an expression of
        the index ("index", or as `called`), of other laws, and of parameters that have a `start`.
    free : what every scan has of its own, by the ending of names ("scale").
    start : name → value, of the parameters of expressions, and about what new names are.
    bounds : name → (low, high), of parameters of the model, of laws ("t.a.c1") and of new names.
    like : a fit of the same scans whose noise counts here as well, so that `better_than` can compare the two.
    options : rmin, rmax, ties, params, restraints, use_errors, settings, as for `pdfkit.fit`.
    progress : called with (scans fitted by themselves, all). journal : called with what fits of single scans depend on,
    for a place where they are kept (`pdfkit.series.alone.Kept`).

    A scan that cannot be read or fitted, has no index, or is not described by the model where most are, is left out:
    `failed` says why.

    Raises
    ------
    ParameterError : an unknown law or name, an index without a span, a parameter that is free and led as well.
    PdfkitError : fewer than two scans that can be fitted, with the reason of the first.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series.parametric import fit_parametric
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    >>> T, r = [100.0, 200.0, 300.0], np.arange(2, 10, 0.05)
    >>> rng = np.random.default_rng(0)
    >>> scans = [model.with_values({"a": 3.51 + 5e-5 * one})(r) for one in T]  # simulated
    >>> noisy = [pk.PDF(r, one.G + rng.normal(0, 0.05, r.size), instrument=model.instrument) for one in scans]
    >>> found = fit_parametric(model, noisy, T, laws={"a": "linear", "Uiso": "constant"}, free=["scale"])
    >>> slope, error = found["ni.a.c1"]
    >>> bool(abs(slope - 5e-5) < 3 * error), found.names
    (True, ('ni.a.c0', 'ni.a.c1', 'ni.Ni.Uiso.c0'))
    """
    started = time.perf_counter()
    given, (index, called) = index, index_of(scans, index, called)
    start, known = dict(start or {}), scans if isinstance(scans, Sized) else list(scans)
    if len(known) < 2:
        raise PdfkitError(f"a law needs several scans, and {len(known)} is there: fit it by itself with pdfkit.fit")
    plan, own = planned(model, indices(index, len(known), called), called, laws, _checks.names("free", free), start)
    check_kelvin(plan, scans, given)
    _check_start(plan, start)
    of_model, of_laws = _split(plan, bounds or {})
    about = (own, plan.led, sorted(of_model.items()))
    with journal(about) if journal else Kept(None, about, None) as kept:
        alone = _described(_each(model, known, own, plan, kept, progress, bounds=of_model, **options))
    if like is not None and (like.measure is None or len(like.measure.noises) != len(alone.scans)):
        raise PdfkitError("like= is not a parametric fit of these scans that was just made: give one, or leave it out")
    plan = plan.along(plan.t[alone.positions])
    if not np.ptp(plan.t) > 0:
        raise PdfkitError(f"all scans that could be fitted have the same {called}: nothing can follow it")
    plan = plan.centred((*of_laws, *start))
    scans_, measure = posed(alone.scans, list(alone.x), like.measure if like else None)
    arrow, ranges = _arrow(scans_, plan, len(own), of_laws, start)
    triangles = [scan.triangle(row) for scan, row in zip(scans_, alone.x, strict=True)]
    found = _found(arrow, alone.x, triangles, _starts(plan, alone.x[:, len(own) :], start, arrow.limits))
    least = np.array([float(R[:, -1] @ R[:, -1]) for R in triangles])
    problem = _Problem(scans_, plan, own, arrow, ranges, measure, least)
    return _result(problem, _alike(alone), found, time.perf_counter() - started)


@dataclass(frozen=True, eq=False)
class _Alone:
    """Scans that could be fitted by themselves: where they stand, what they found (S, n), with errors; of fits that do
    not describe their scan, Rw by position.
    """

    positions: IntArray
    scans: list[Lean]
    x: Array
    errors: Array
    failed: dict[int, str]
    strange: dict[int, float]


def _described(alone: _Alone) -> _Alone:
    """Leave out scans that the model does not describe where it describes most: no law of others holds for them."""
    strange, count = alone.strange, alone.positions.size
    if not strange or 2 * len(strange) >= count or count - len(strange) < 2:
        return alone
    kept = [k for k, position in enumerate(alone.positions.tolist()) if position not in strange]
    why = {
        position: f"the model does not describe it by itself (Rw = {rw:.3g}), as it does others: it counts for nothing"
        for position, rw in strange.items()
    }
    return replace(
        alone, positions=alone.positions[kept], scans=[alone.scans[k] for k in kept], x=alone.x[kept],
        errors=alone.errors[kept], failed={**alone.failed, **why},
    )  # fmt: skip


def _alike(alone: _Alone) -> _Alone:
    """Return what scans tell by themselves, points of all weighed in one way; laws have each in its own noise."""
    others, weighs, _ = weighed_alike(alone.scans)
    x, errors = alone.x.copy(), alone.errors.copy()
    for k in np.flatnonzero(others).tolist():
        scan, x[k] = settled(alone.scans[k], x[k], weighs=weighs)
        errors[k] = errors_at(scan, x[k])
    return replace(alone, x=x, errors=errors)


def _each(
    model: Model, scans: Iterable[PDF], own: Sequence[str], plan: Plan, known: Kept, progress: Progress | None,
    **options: Any,
) -> _Alone:  # fmt: skip
    """Fit each scan by itself and keep little of it. The error of the first where fewer than two can be fitted."""
    template, kept, failed, first = Template(own, plan.led), {}, {}, None
    strange: dict[int, float] = {}

    def fit(prepared: PreparedFit, pdf: PDF, number: int, start: Mapping[str, float] | None) -> Alone:
        if math.isnan(plan.t[number]):
            raise PdfkitError(f"it has no {plan.called}, which laws follow: it counts for nothing")
        return known.fit(prepared, pdf, number, start)

    for k, (pdf, found) in enumerate(in_turn(model, scans, [*own, *plan.led], progress, fit, **options)):
        if isinstance(found, PdfkitError):
            failed[k], first = str(found), first or named(k, pdf, found)
        else:
            kept[k] = template.lean(found), values(found, own, plan.led), errors(found, own, plan.led)
            strange |= {} if found.describes else {k: found.rw}
    if len(kept) < 2:
        raise first or PdfkitError("a law needs several scans: give more")
    lean, x, sigmas = zip(*kept.values(), strict=True)
    return _Alone(np.array(list(kept)), list(lean), np.array(x), np.array(sigmas), failed, strange)


@dataclass(frozen=True, eq=False)
class _Problem:
    """All that the parametric fit is: scans in one measure, laws, own parameters, limits and ranges; χ² (S,) of each
    scan by itself.
    """

    scans: list[Lean]
    plan: Plan
    own: tuple[str, ...]
    arrow: Arrow
    ranges: Mapping[str, Sequence[float]]
    measure: Measure
    least: Array


def _check_start(plan: Plan, start: Mapping[str, float]) -> None:
    """Raise ParameterError for start values of what no law has."""
    known = {*plan.shared, *plan.laws}
    if unknown := [name for name in start if name not in known]:
        near = nearest(unknown[0], sorted(known))
        raise ParameterError(f"start names {unknown[0]}, and no law has it: the nearest are {near}", key="start")


def _split(plan: Plan, bounds: Bounds) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return bounds of parameters of the model, and those of laws and new names."""
    laws = {*plan.shared, *(set(plan.laws) - set(plan.led))}
    return (
        {name: pair for name, pair in bounds.items() if name not in laws},
        {name: pair for name, pair in bounds.items() if name in laws},
    )


def _ranges(
    plan: Plan, scans: Sequence[Lean], no: int, given: Mapping[str, Any], start: Mapping[str, float]
) -> dict[str, list[float]]:
    """Return the lowest and highest value of what each law gives, by name."""
    limits = dict(zip(plan.led, tables(scans)[no:].tolist(), strict=True))
    for name in plan.laws:
        if name not in limits:
            reach = 2.0 * abs(start[name]) or 1.0
            limits[name] = list(given.get(name, (-reach, reach)))
    return limits


def _arrow(
    scans: Sequence[Lean], plan: Plan, no: int, given: Mapping[str, Any], start: Mapping[str, float]
) -> tuple[Arrow, dict[str, list[float]]]:
    """Return the problem, and the range of each law."""
    ranges = _ranges(plan, scans, no, given, start)
    limits = np.tile([-math.inf, math.inf], (len(plan.shared), 1))
    for name, law in plan.laws.items():
        if len(law.names):
            limits[plan.columns(name)] = law.limits(plan.t, *_finite(ranges[name]))
    for k, name in enumerate(plan.shared):
        pair = given.get(name, (None, None))
        limits[k] = [old if new is None else new for old, new in zip(limits[k], pair, strict=True)]
    own = tables(scans)[:no].reshape(-1, 2)
    led = np.array([ranges[name] for name in plan.led])
    return Arrow(scans, plan, own, led, limits), ranges


def _finite(pair: Sequence[float]) -> tuple[float, float]:
    low, high = (float(one) for one in pair)
    return (low if math.isfinite(low) else -1e3), (high if math.isfinite(high) else 1e3)


def _starts(plan: Plan, led: Array, start: Mapping[str, float], limits: Array) -> list[Array]:
    """Return shared parameters to start from: all combinations of the first guesses of every law."""
    each = []
    for name, law in plan.laws.items():
        known = led[:, plan.led.index(name)] if name in plan.led else np.full(plan.t.size, start.get(name, 0.0))
        each.append([(plan.columns(name), one) for one in law.starts(plan.t, known)])
    out = []
    for some in list(product(*each))[:MOST_STARTS]:
        theta = np.zeros(len(plan.shared))
        for columns, one in some:
            theta[columns] = one
        for k, name in enumerate(plan.shared):
            theta[k] = start.get(name, theta[k])
        out.append(np.clip(theta, *limits.T))
    return out


def _found(arrow: Arrow, x: Array, triangles: Sequence[Array], starts: Sequence[Array]) -> Found:
    """Return the best of what starts lead to: first by the quadratics of single scans, then on the data."""
    no = x.shape[1] - arrow.led_limits.shape[0]
    quadratics = [Quadratic(row, R) for row, R in zip(x, triangles, strict=True)]
    simple = Arrow(quadratics, arrow.laws, arrow.own_limits, arrow.led_limits, arrow.limits)
    places = []
    for theta in starts:
        near = simple.at(theta, x[:, :no])
        for one in [theta] if near is None else [theta, minimise(simple, near).place.theta]:
            place = _with_own(arrow, simple, one, x)
            places += [] if place is None else [place]
    if not places:
        _refuse(arrow, starts[0])
    places.sort(key=lambda one: one.cost)
    best = minimise(arrow, places[0])
    for place in places[1:2]:  # a rival has a few steps to come lower
        rival = minimise(arrow, place, FEW_STEPS)
        if rival.place.cost < best.place.cost:
            best = minimise(arrow, rival.place)
    return best


def _refuse(arrow: Arrow, theta: Array) -> NoReturn:
    """Say why laws cannot start: they have no value, or lead beyond limits."""
    plan = cast(Plan, arrow.laws)
    led = plan(theta)[0]
    low, high = arrow.led_limits.T
    for s, k in np.argwhere((led < low) | (led > high)):
        raise ParameterError(
            f"the law of {plan.led[k]} starts at {led[s, k]:g} where {plan.called} = {plan.t[s]:g}, and that is to lie "
            f"between {low[k]:g} and {high[k]:g}: give other start values, or wider bounds",
            key=plan.led[k],
        )
    raise ParameterError("the model has no value where the laws start: give other start values")


def _with_own(arrow: Arrow, simple: Arrow, theta: Array, x: Array) -> Place | None:
    """Return the place on the data at shared parameters, with own numbers that go with them to first order."""
    no = x.shape[1] - arrow.led_limits.shape[0]
    first = simple.at(theta, x[:, :no])
    if first is None:
        return None
    best = minimise(Arrow(simple.scans, lambda _: (first.led, 0.0 * first.slopes), *_still(arrow)), first, 3).place
    return arrow.at(theta, best.own)


def _still(arrow: Arrow) -> tuple[Array, Array, Array]:
    return arrow.own_limits, arrow.led_limits, arrow.limits


def _result(problem: _Problem, alone: _Alone, found: Found, seconds: float) -> ParametricFit:
    here, plan, own, measure = found.place, problem.plan, problem.own, problem.measure
    low, high = problem.arrow.limits.T
    width = np.where(np.isfinite(high - low), high - low, np.maximum(np.abs(here.theta), 1.0))
    on_bound = (here.theta - low <= SEEN * width) | (high - here.theta <= SEEN * width)
    known = spread(problem.scans, found, on_bound)
    x = np.concatenate([here.own, here.led], axis=1)
    widths = _widths(own, problem.arrow.own_limits, here.own)
    led = [(law, problem.ranges[name]) for name, law in plan.laws.items() if len(law.names)]
    chi2 = np.array([float(R[:, -1] @ R[:, -1]) for R in here.triangles])
    scans = [
        f"{lean.posed.data.name or f'scan {k + 1}'} ({plan.called} = {t:g})"
        for k, lean, t in zip(alone.positions, problem.scans, plan.t, strict=True)
    ]
    wider, said = _missed(chi2 - problem.least, len(plan.led), plan, scans, int(on_bound.sum()))
    spread_ = wider**2 * np.where(on_bound | on_bound[:, None], 0.0, known.shared)
    told, covariance = _told(plan, here.theta, spread_, on_bound)
    untold = ", ".join(plan.shared[k] for k in np.flatnonzero(np.isnan(np.diag(covariance)) & ~on_bound))
    remarks = [*measure.remarks, *said]
    remarks += [f"{plan.shared[k]} ended on a bound, {here.theta[k]:g}" for k in np.flatnonzero(on_bound)]
    remarks += [f"the data do not tell {untold}: take simpler laws"] if untold else []
    remarks += [] if found.converged else ["the fit did not converge: start nearer, or take simpler laws"]
    return ParametricFit(
        plan=plan,
        names=plan.shared,
        values=told,
        covariance=covariance,
        theta=here.theta,
        spread=spread_,
        lnz=ln_evidence(found, widths, sum(law.ln_prior(plan.t, *_finite(pair)) for law, pair in led)),
        common=known.common,
        converged=found.converged,
        remarks=tuple(remarks),
        measure=measure,
        columns=(*own, *plan.led),
        table=x,
        covariances=wider**2 * known.scans,
        alone=alone.x,
        alone_errors=alone.errors,
        chi2=chi2,
        rw=np.array([lean.scan().rw(row) for lean, row in zip(problem.scans, x, strict=True)]),
        positions=alone.positions,
        failed=alone.failed,
        evaluations=found.evaluations,
        seconds=seconds,
        scans=tuple(problem.scans),
    )


def _told(plan: Plan, theta: Array, spread: Array, on_bound: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Return parameters of laws as they are called (K,), and their covariance (K, K), NaN where there is none."""
    matrix, untold = plan.plain(), np.isnan(np.diag(spread))
    covariance = matrix @ np.nan_to_num(spread) @ matrix.T
    lost = (matrix[:, untold] != 0).any(axis=1) | on_bound
    covariance[lost] = covariance[:, lost] = math.nan
    return matrix @ theta, covariance


def _missed(
    gained: Array, led: int, plan: Plan, names: Sequence[str], held: int
) -> tuple[float, tuple[str, ...]]:  # fmt: skip
    """Return by what errors grow where laws miss scans by more than their noise, and what to say then.

    gained (S,): what χ² of each scan is larger by than in the fit of that scan alone.
    """
    from scipy.stats import chi2

    dof, gained = gained.size * led - len(plan.shared) + held, np.maximum(gained, 0.0)
    if dof < 1 or chi2.sf(gained.sum(), dof) >= UNLIKELY:
        return 1.0, ()
    misfit = float(gained.sum()) / dof
    worst = [k for k in np.argsort(-gained) if chi2.sf(gained[k], led) < UNLIKELY / gained.size]
    most = f", most of all {', '.join(names[k] for k in worst[:3])}" if worst else ""
    return math.sqrt(misfit), (
        f"the laws miss {len(worst) or 'some'} of {gained.size} scans by more than their noise{most}: χ² grows by "
        f"{misfit:.3g} for each value that they lead; take other laws, or look at these scans; errors are wider by the "
        "root of that",
    )


def _widths(own: Sequence[str], limits: Array, values: Array) -> Array:
    """Return the widths (no,) of the priors of own numbers: of their limits, or to twice the largest value."""
    reach = 2.0 * np.abs(values).max(axis=0, initial=0.0)
    low, high = limits.T
    return np.asarray(np.where(np.isfinite(high), high, reach) - np.where(np.isfinite(low), low, -reach))
