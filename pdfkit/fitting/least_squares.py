"""Least-squares fits of models to measured G(r), with errors that count independent points.

The optimiser is `scipy.optimize.least_squares` (trust region, bounds). It is handed the triangular factor of [J, f]
instead of the thousands of rows: norms, gradients and steps are the same, and its own work no longer depends on N.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.fitting.datasets import Data, Ends, by_name, ends, in_range, named, resolved, usable
from pdfkit.fitting.residuals import Residuals, global_quantities
from pdfkit.fitting.reweighing import can_be_estimated, honest, reweighed
from pdfkit.model.model import Model
from pdfkit.model.params import ParameterMap, Parameters, apply_choices, is_default, make_parameters, set_correlations
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.model.restraints import Restraint
from pdfkit.results.problem import MAX_NFEV, FitProblem, FitSettings, PosedData
from pdfkit.results.result import DatasetFit, FitResult, describes, phase_fractions, propagated, propagated_errors

Bounds = Mapping[str, tuple[float | None, float | None]]
Progress = Callable[[int, float], None]

TOLERANCE = 1e-8
ROUGHLY = 1e-4
"""Tolerance of a first fit, whose residual gives the weights of the next."""
MOST_SPECTRA = 3
NEAR = 1e-5
"""Share of its span from a limit where a tied parameter is on it: a wall is met only to where Rw stands still."""
SAME = 0.05
"""Change of χ² by a second fit, beyond what is linear, up to which the spectrum before it holds: per number."""


@_checks.renamed(
    weights="use_errors=True or use_errors=False",
    **{key: f"settings=pk.FitSettings({key}=…)" for key in ("errors", "grid", "max_nfev")},
)
def fit(
    model: Model,
    data: Data,
    *,
    rmin: Ends = None,
    rmax: Ends = None,
    free: Iterable[str] = (),
    ties: Mapping[str, str | float] | None = None,
    bounds: Bounds | None = None,
    params: Parameters | None = None,
    restraints: Sequence[Restraint] = (),
    use_errors: bool = True,
    settings: FitSettings | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a model to measured data and return the result as a value.

    Minimises Σ[(G_obs − G_calc)/dG]² over rmin ≤ r ≤ rmax, plus the restraints.

    Parameters
    ----------
    model : start values.
    data : one PDF, or several, by name or in a list, for one fit of all (then scale and the numbers of the instrument
        exist once per data set, "x.zb.scale"). What a PDF says of its instrument counts for it; where it is silent,
        what the model says. A contradiction of the two is said in the remarks.
    rmin, rmax : Å; None for the ends of the data. Of several data sets each may have its own, by name.
    free : what varies, by the ending of parameter names ("a", "Cd.Uiso", "wz.*").
    ties : name → expression of other names; the limits of what is tied hold. bounds : name → (low, high), None keeps a
        default.
    params : Parameters to start from instead (`parameters(model, data)`); free, ties and bounds still apply on top.
    restraints : soft restraints (`Restraint`, `BondRestraint`).
    use_errors : weigh with the errors that the data bring (dG or a covariance); False: all points alike.
    settings : what is rarely changed: how errors of points go together, the grid, the evaluations before giving up
        (`FitSettings`). progress : called with (evaluations, rw).

    Raises
    ------
    ParameterError : a name that does not exist, nothing free, or more parameters than points.
    PdfkitError : no data in range, or data and model that do not go together.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    >>> data = model.with_values({"ni.a": 3.53, "ni.Ni.Uiso": 0.006})(np.arange(1, 10, 0.02))  # simulated
    >>> result = pk.fit(model, data, rmin=1.5, free=["scale", "a", "Uiso"])
    >>> print(f"a = {result.params['ni.a'].value:.4f} Å, Rw = {result.rw:.3f}")
    a = 3.5300 Å, Rw = 0.000
    """
    started = time.perf_counter()
    settings = _checks.instance("settings", settings or FitSettings(), FitSettings, "pdfkit.FitSettings(...)")
    whole = by_name(model, data, use_errors)
    models, said = resolved(model, whole)
    use_errors, without = usable(whole, models, settings, use_errors)
    said += without
    if params is None:
        params = make_parameters(global_quantities(models))
    else:
        params = params.copy()
        said += _adopt(params, models)
    said += (*apply_choices(params, free, ties, bounds), *_twice_broad(params))
    low, high = ends("rmin", rmin, whole), ends("rmax", rmax, whole)
    sets = tuple(
        PosedData(name, models[name], *in_range(pdf, models[name], low[name], high[name], settings.grid))
        for name, pdf in whole.items()
    )
    result = solve(FitProblem(sets, use_errors, settings, tuple(restraints)), params, progress)
    remarks = tuple(dict.fromkeys([*said, *result.remarks]))
    return replace(result, remarks=remarks, seconds=time.perf_counter() - started)


def solve(problem: FitProblem, params: Parameters, progress: Progress | None = None) -> FitResult:
    """Fit a problem from parameters, which take the values found."""
    started = time.perf_counter()
    mapping = ParameterMap.of(params)
    for par in params.values():
        par.init_value = par.value
    residuals = Residuals(problem, mapping)
    residuals.check()
    residuals.leave_zero(params)
    residuals.guess_scales(params)
    most = problem.settings.max_nfev
    rough = can_be_estimated(residuals)
    outcome = _minimise(residuals, most, progress, tolerance=ROUGHLY if rough else TOLERANCE)
    if problem.restraints and problem.restraint_scale is None and not residuals.has_errors:
        # Without dG the size of the misfit is only known after a first fit: it sets what one σ of a restraint is worth.
        residuals.restraint_scale = math.sqrt(residuals.misfit(residuals.curves(outcome.x)) / residuals.freedom)
        outcome = _minimise(residuals, most, progress, outcome)
    said: tuple[str, ...] = ()
    if rough and outcome.converged:
        residuals, outcome, said = _weighed(residuals, outcome, progress)
    return _result(residuals, params, outcome, said, time.perf_counter() - started)


def _weighed(
    residuals: Residuals, outcome: _Outcome, progress: Progress | None
) -> tuple[Residuals, _Outcome, tuple[str, ...]]:
    """Fit again, weighed by the spectrum of the residual, until the spectrum that a fit leaves is the one it had."""
    most, said = residuals.problem.settings.max_nfev, ()  # type: tuple[int, tuple[str, ...]]
    scale = residuals.restraint_scale
    for _ in range(MOST_SPECTRA):
        inside = ~_at_bounds(residuals.mapping, outcome.x)
        better = reweighed(residuals, outcome.x, inside)
        if better is None:  # what the data say of their errors holds, or there is no noise
            return residuals, _minimise(residuals, most, progress, outcome), said
        residuals, said = better.residuals, better.said
        residuals.restraint_scale = 1.0 if better.weighs else scale
        outcome = _minimise(residuals, most, progress, outcome)
        if not better.weighs:
            break
        far = abs(outcome.minimum - outcome.predicted) > SAME * residuals.count
        if not outcome.converged or not far:
            break
    return residuals, outcome, said


def refit(
    result: FitResult, params: Parameters, data: Mapping[str, PDF] | None = None, restraints: Any = None
) -> FitResult:
    """Fit again from other parameters, or other data on the same r, all else as in `result`: ties, weights, restraints.

    The spectrum of the noise is the one that `result` found.

    Raises PdfkitError when the restraints of the fit are not known any more.
    """
    problem = result.problem if data is None else result.problem.with_data(data)
    kept = problem.known_restraints if restraints is None else tuple(restraints)
    settings = replace(problem.settings, max_nfev=MAX_NFEV, noise="given")
    return solve(replace(problem, restraints=kept, settings=settings), params.copy())


def parameters(model: Model, data: Data | Sequence[str] = ("",)) -> Parameters:
    """Return all parameters of a model, fixed at its values, to look at or to change before a fit.

    data : what will be fitted, as for `fit`: then the numbers of the instrument are those that the data say. Names of
    data sets do as well; a fit then takes what its data say for each number of the instrument that was left as it is.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> params = pk.parameters(model)
    >>> print(*params)
    ni.scale ni.a ni.Ni.Uiso ni.Ni.occ ni.delta1 ni.delta2 ni.sratio ni.rcut qdamp qbroad resolution qtail
    >>> params["ni.a"].set(vary=True, min=3.5, max=3.6)
    >>> pk.fit(model, model(np.arange(1, 10, 0.02)), params=params).free
    ('ni.a',)
    """
    if not isinstance(data, PDF) and not isinstance(data, Mapping):
        words = [one for one in data if isinstance(one, str)]
        if len(words) == len(list(data)):
            params = make_parameters(global_quantities(dict.fromkeys(words or [""], model)))
            for par in params.values():
                par.user_data["of model"] = True
            return params
    return make_parameters(global_quantities(resolved(model, named(model, data))[0]))  # type: ignore[arg-type]


def _adopt(params: Parameters, models: Mapping[str, Model]) -> tuple[str, ...]:
    """Give numbers of the instrument that nobody has touched what the data say; say which stand against that."""
    remarks = []
    for q in global_quantities(models):
        par = params.get(q.name)
        if par is None or q.name.rpartition(".")[2] not in INSTRUMENT_QUANTITIES or par.vary or par.expr:
            continue
        about = par.user_data or {}
        if about.get("of model") and par.value == about["made"][0] and is_default(par):
            par.set(value=q.value, min=min(par.min, q.value), max=max(par.max, q.value))
        elif par.value != q.value:
            remarks.append(f"{q.name} is fixed at {par.value:g} by params; the data or the model state {q.value:g}")
    return tuple(remarks)


def _twice_broad(params: Parameters) -> tuple[str, ...]:
    """Say of which data both ways of broadening are used."""
    used = {name for name, par in params.items() if par.vary or par.expr or par.value}
    return tuple(
        f"{name} and {name.replace('qbroad', 'resolution')} both broaden peaks with r, and can stand for each other: "
        "leave qbroad at 0, or resolution where the instrument was calibrated in PDFgui"
        for name in params
        if name.rpartition(".")[2] == "qbroad" and used >= {name, name.replace("qbroad", "resolution")}
    )


@dataclass(frozen=True)
class _Outcome:
    x: Array
    nfev: int
    converged: bool
    message: str
    factor: Array
    predicted: float

    @property
    def minimum(self) -> float:
        """What was minimised; `predicted` is what it would be if the model were linear from the start on."""
        return float((self.factor[:, -1] ** 2).sum())


class _Factor:
    """[J, f] at x as its triangular factor, remembered for the one x the optimiser asks about."""

    def __init__(self, residuals: Residuals, progress: Progress | None, nfev: int) -> None:
        self.residuals = residuals
        self.progress = progress
        self.norm = math.sqrt(sum((s.given or s).norm2() for s in residuals.sets))
        self.nfev = nfev
        self.x: Array | None = None
        self.factor = np.zeros((0, 0))

    def at(self, x: Array) -> Array:
        """Return the triangular factor of [J, f] at x."""
        if self.x is None or not np.array_equal(x, self.x):
            self.factor = self.residuals.factor(self.residuals.system(x))
            self.x = x.copy()
            self.nfev += 1
            if self.progress is not None:
                self.progress(self.nfev, math.sqrt(self.residuals.misfit(self.residuals.last_curves(x))) / self.norm)
        return self.factor

    def residual(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, -1])

    def jacobian(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, :-1])


def _minimise(
    residuals: Residuals,
    max_nfev: int,
    progress: Progress | None,
    before: _Outcome | None = None,
    tolerance: float = TOLERANCE,
) -> _Outcome:
    from scipy.optimize import least_squares

    done = before.nfev if before else 0
    factor = _Factor(residuals, progress, done)
    low, high = residuals.mapping.low, residuals.mapping.high
    start = np.clip(residuals.mapping.x0 if before is None else before.x, low, high)
    predicted = float(factor.at(start)[-1, -1] ** 2)
    found = least_squares(
        factor.residual,
        start,
        factor.jacobian,
        bounds=(low, high),
        # Two thirds of the evaluations of "trf" on the measured CdSe fits, and bounds are met exactly.
        method="dogbox",
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=1e-12,
        max_nfev=max(1, max_nfev - done),
    )
    words = {
        0: f"stopped after {max_nfev} evaluations without converging: start nearer, free less, or set bounds",
        1: "converged: the gradient vanished",
        2: "converged: Rw no longer improved",
        3: "converged: parameters no longer moved",
        4: "converged: neither Rw nor parameters changed",
    }
    nfev = factor.nfev
    factor.progress = None  # the last step tried may not be the one taken: looking at it again is no step
    return _Outcome(found.x, nfev, found.status > 0, words[found.status], factor.at(found.x), predicted)


def _result(
    residuals: Residuals, params: Parameters, outcome: _Outcome, said: tuple[str, ...], seconds: float
) -> FitResult:
    mapping, x = residuals.mapping, outcome.x
    values, tangents = mapping(x)
    on_bound = _at_bounds(mapping, x)
    held = _held(mapping, x, on_bound)
    at_bound = on_bound | held.alone
    chi2 = residuals.misfit(residuals.last_curves(x))
    # Oversampled points are correlated: N points carry only N_independent, so (JᵀJ)⁻¹ is too small by their ratio.
    # The size of the error of a point comes from dG or, without it, from the misfit.
    known = residuals.count / residuals.independent
    factor = known if residuals.has_errors else chi2 / residuals.freedom
    covariance = _covariance(outcome.factor[:, :-1].T, at_bound) * factor
    covariance = honest(residuals, x, covariance)
    _write_back(params, mapping, values, covariance, propagated_errors(covariance, tangents))
    fits = _fitted(residuals, values)
    rw, reduced = _rw(residuals, fits), chi2 / residuals.count * residuals.independent / residuals.freedom
    problem = replace(residuals.problem, datasets=fits, restraint_scale=residuals.restraint_scale)
    scales = propagated(covariance, tangents[_scales(mapping, residuals)])
    return FitResult(
        params=params,
        free=mapping.free_names,
        values=x,
        covariance=covariance,
        datasets=fits,
        rw=rw,
        chi2=chi2,
        reduced_chi2=reduced,
        n_points=sum(len(one.data) for one in fits),
        n_independent=residuals.independent,
        nfev=outcome.nfev,
        converged=outcome.converged,
        message=outcome.message,
        remarks=(*_verdict(rw, reduced, residuals.source), *said, *_remarks(mapping, on_bound, held, fits, x)),
        at_bounds=(*(n for n, bound in zip(mapping.free_names, at_bound, strict=True) if bound), *held.names),
        errors_from=residuals.source,
        fractions=phase_fractions(fits[0].model, scales),
        seconds=seconds,
        problem=problem,
        restraint_chi2=residuals.restrained(x),
        minimum=outcome.minimum,
    )


def _fitted(residuals: Residuals, values: Array) -> tuple[DatasetFit, ...]:
    """Return the data sets with the models of all parameter values."""
    fits = []
    for s, rows in zip(residuals.sets, residuals.rows, strict=True):
        model = s.model.with_values(dict(zip(s.model.names, values[rows].tolist(), strict=True)))
        # The refined model's own evaluator, so that result.model gives result.calc to the last digit.
        G = model.evaluator(s.data.r, s.posed.start)(model.values)[0]
        calc = PDF(s.data.r, G, instrument=model.instrument_used.complete())
        messages = tuple(s.evaluate.messages)
        fits.append(DatasetFit(s.name, model, s.data, s.posed.start, calc, messages, noise=s.posed.noise))
    return tuple(fits)


def _verdict(rw: float, reduced_chi2: float, source: str) -> tuple[str, ...]:
    """Say that a model does not describe the data, which is no matter of convergence."""
    if describes(rw, reduced_chi2, source):
        return ()
    return (f"the model does not describe the data: even the best fit has Rw = {rw:.2f}; do not trust its parameters",)


@dataclass(frozen=True)
class _Held:
    """Tied parameters that ended on a limit: names, what is said of each, and the free ones that they hold alone."""

    names: tuple[str, ...]
    remarks: tuple[str, ...]
    alone: Any


def _held(mapping: ParameterMap, x: Array, on_bound: Any) -> _Held:
    """Find the tied parameters on a limit; one is not worth a word where what it follows is on its bound, too."""
    values, tangents, beyond = mapping.at(x)
    alone = np.zeros(len(mapping.free), dtype=bool)
    names, remarks = [], []
    expressions = dict(mapping.ties)
    for limit in mapping.limits:
        value, tiny = float(values[limit.index]), NEAR * limit.unit
        moved_by = (beyond[limit.index][1] if limit.index in beyond else tangents[limit.index]) != 0
        inside = limit.low + tiny < value < limit.high - tiny
        if inside or not (moved_by & ~on_bound).any():
            continue
        alone |= moved_by & (moved_by.sum() == 1)
        name, side = mapping.names[limit.index], "lower" if value - limit.low < limit.high - value else "upper"
        names.append(name)
        remarks.append(
            f"{name}, tied to {expressions[limit.index]}, ended on its {side} limit {value:g}: widen its bounds, or "
            "change the tie"
        )
    return _Held(tuple(names), tuple(remarks), alone)


def _scales(mapping: ParameterMap, residuals: Residuals) -> list[int]:
    """Return the indices of the first data set's scales, in the order of phases."""
    return [mapping.names.index(residuals.sets[0].global_name(f"{p.name}.scale")) for p in residuals.model.phases]


def normal_covariance(residuals: Residuals, x: Array) -> Array:
    """Return (JᵀJ)⁻¹ at x (nfree,), NaN for what is on a bound or not determined."""
    held = _held(residuals.mapping, x, on_bound := _at_bounds(residuals.mapping, x))
    return _covariance(residuals.factor(residuals.system(x))[:, :-1].T, on_bound | held.alone)


def _covariance(jac: Array, at_bound: Array) -> Array:
    """(JᵀJ)⁻¹ over parameters that are not on a bound; NaN rows for those that are or that data do not determine."""
    n = jac.shape[0]
    out = np.full((n, n), math.nan)
    inside = np.flatnonzero(np.logical_not(at_bound))
    size = np.linalg.norm(jac[inside], axis=1)
    inside = inside[size > 0]
    if inside.size == 0:
        return out
    size = size[size > 0]
    _, s, vt = np.linalg.svd((jac[inside] / size[:, None]).T, full_matrices=False)
    if s[-1] < 1e-10 * s[0]:
        s = np.where(s < 1e-10 * s[0], math.nan, s)
    scaled = vt.T / s
    out[np.ix_(inside, inside)] = (scaled @ scaled.T) / np.outer(size, size)
    return out


def _at_bounds(mapping: ParameterMap, x: Array) -> Any:
    span = np.where(np.isfinite(mapping.high - mapping.low), mapping.high - mapping.low, np.maximum(np.abs(x), 1.0))
    return np.asarray((x - mapping.low < 1e-6 * span) | (mapping.high - x < 1e-6 * span))


def _write_back(params: Parameters, mapping: ParameterMap, values: Array, covariance: Array, stderr: Array) -> None:
    """Put values, standard errors and correlations into the lmfit Parameters."""
    for i in mapping.free:
        params[mapping.names[i]].value = float(values[i])
    for name, sigma in zip(mapping.free_names, np.sqrt(np.diag(covariance)).tolist(), strict=True):
        params[name].stderr = sigma if math.isfinite(sigma) else None
    set_correlations(params, mapping.free_names, covariance)
    for i, _ in mapping.ties:
        params[mapping.names[i]].stderr = float(stderr[i]) if math.isfinite(stderr[i]) and stderr[i] > 0 else None


def _rw(residuals: Residuals, fits: Sequence[DatasetFit]) -> float:
    """Rw = √(Σ w(G_obs − G_calc)²/Σ w G_obs²) over all data sets."""
    top = bottom = 0.0
    for s, one in zip(residuals.sets, fits, strict=True):
        weight = 1.0 / s.data.dG if s.source in ("cov", "dG") and s.data.dG is not None else 1.0
        top += float((((s.data.G - one.calc.G) * weight) ** 2).sum())
        bottom += float(((s.data.G * weight) ** 2).sum())
    return math.sqrt(top / bottom)


def _remarks(
    mapping: ParameterMap, at_bound: Array, held: _Held, fits: Sequence[DatasetFit], x: Array
) -> tuple[str, ...]:
    """Say in words what a user should know before trusting the numbers."""
    out = []
    for k in np.flatnonzero(at_bound):
        name, side = (
            mapping.free_names[k],
            "lower" if x[k] - mapping.low[k] < mapping.high[k] - x[k] else "upper",
        )
        out.append(f"{name} ended on its {side} bound {x[k]:g}: it has no error; widen the bound or fix it")
    out.extend(held.remarks)
    for one in fits:
        out.extend(one.messages)
        out.extend(one.data.remarks)
        out.extend(text for phase in one.model.phases for text in phase.remarks)
        out.extend(one.model.remarks)
    return tuple(dict.fromkeys(out))
