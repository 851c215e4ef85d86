"""Least-squares fits of models to measured G(r), with errors that count independent points.

The optimiser is `scipy.optimize.least_squares` (trust region, bounds). It is handed the triangular factor of [J, f]
instead of the thousands of rows: norms, gradients and steps are the same, and its own work no longer depends on N.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._whitening import possible
from pdfkit.data import PDF
from pdfkit.errors import PdfkitError
from pdfkit.model import Model
from pdfkit.params import ParameterMap, Parameters, apply_choices, make_parameters
from pdfkit.problem import Dataset, Problem, global_quantities
from pdfkit.restraints import Restraint
from pdfkit.results import DatasetFit, FitResult, phase_fractions, propagated

Bounds = Mapping[str, tuple[float | None, float | None]]
Progress = Callable[[int, float], None]

# A fit that needs more evaluations than this is lost, not slow: it is reported as such.
MAX_NFEV = 100
TOLERANCE = 1e-8
# Above this Rw nobody would call a curve fitted.
POOR_RW = 0.4


def fit(
    model: Model,
    data: PDF | Mapping[str, PDF],
    *,
    rmin: float | None = None,
    rmax: float | None = None,
    free: Iterable[str] = (),
    ties: Mapping[str, str | float] | None = None,
    bounds: Bounds | None = None,
    params: Parameters | None = None,
    restraints: Sequence[Restraint] = (),
    weights: str = "auto",
    errors: str = "auto",
    max_nfev: int = MAX_NFEV,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a model to measured data and return the result as a value.

    Minimises Σ[(G_obs − G_calc)/dG]² over rmin ≤ r ≤ rmax, plus the restraints.

    Parameters
    ----------
    model : start values. data : one PDF, or several by name for one fit of all (then scale, qdamp and qbroad exist
        once per data set, "x.zb.scale", and each data set's own instrument is used).
    rmin, rmax : Å; None for the ends of the data.
    free : what varies, by the ending of parameter names ("a", "Cd.Uiso", "wz.*").
    ties : name → expression of other names. bounds : name → (low, high), None keeps a default.
    params : Parameters to start from instead (`parameters(model)`); free, ties and bounds still apply on top.
    restraints : soft restraints (`Restraint`, `BondRestraint`).
    weights : "auto" uses the errors that the data bring, "none" ignores them.
    errors : "covariance" makes residuals independent with the covariance of the data, or with the one that their Qmax
        and window cause; "independent" takes points by themselves and counts one every π/Qmax; "auto" is "covariance"
        where Qmax is known and cuts exactly.
    max_nfev : evaluations before giving up. progress : called with (evaluations, rw).

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
    _checks.choice("weights", weights, ("auto", "none"))
    _checks.choice("errors", errors, ("auto", "covariance", "independent"))
    if isinstance(data, PDF) or len(data) == 1:
        # One data set needs no names: its parameters are the model's own.
        data = {"": data if isinstance(data, PDF) else next(iter(data.values()))}
    if not data:
        raise PdfkitError("there are no data to fit: give at least one PDF")
    if weights == "auto" and len({pdf.dG is None for pdf in data.values()}) > 1:
        raise PdfkitError('some data sets have errors dG and some have not: give all of them dG, or weights="none"')
    params = parameters(model, tuple(data)) if params is None else params.copy()
    apply_choices(params, free, ties, bounds)
    sets = _datasets(model, data, rmin, rmax, weights, errors)
    for par in params.values():
        par.init_value = par.value
    if errors == "auto" and sum(s.count for s in sets) <= sum(p.vary for p in params.values()):
        sets = _datasets(model, data, rmin, rmax, weights, "independent")
    problem = Problem(sets, ParameterMap.of(params), tuple(restraints), model)
    problem.check()
    problem.leave_zero(params)
    problem.guess_scales(params)
    outcome = _minimise(problem, max_nfev, progress)
    if restraints and not all(s.has_errors for s in sets):
        # Without dG the size of the misfit is only known after a first fit: it sets what one σ of a restraint is worth.
        problem.restraint_scale = math.sqrt(problem.misfit(problem.curves(outcome.x)) / problem.freedom)
        outcome = _minimise(problem, max_nfev, progress, outcome)
    return _result(problem, params, outcome, time.perf_counter() - started)


def _datasets(
    model: Model, data: Mapping[str, PDF], rmin: float | None, rmax: float | None, weights: str, errors: str
) -> list[Dataset]:
    if errors == "auto":
        errors = "covariance" if possible(model) else "independent"
    if errors == "covariance" and not possible(model):
        raise PdfkitError(
            'errors="covariance" needs a finite qmax and the default convention: give them, or leave it out'
        )
    return [Dataset.of(name, model, pdf, pdf.crop(rmin, rmax), weights, errors) for name, pdf in data.items()]


def parameters(model: Model, datasets: Sequence[str] = ("",)) -> Parameters:
    """Return all parameters of a model, fixed at its values, to look at or to change before a fit.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> params = pk.parameters(model)
    >>> print(*params)
    ni.scale ni.a ni.Ni.Uiso ni.Ni.occ ni.delta1 ni.delta2 ni.sratio ni.rcut qdamp qbroad
    >>> params["ni.a"].set(vary=True, min=3.5, max=3.6)
    >>> pk.fit(model, model(np.arange(1, 10, 0.02)), params=params).free
    ('ni.a',)
    """
    return make_parameters(global_quantities(model, datasets))


@dataclass(frozen=True)
class _Outcome:
    x: Array
    nfev: int
    converged: bool
    message: str
    factor: Array


class _Factor:
    """[J, f] at x as its triangular factor, remembered for the one x the optimiser asks about."""

    def __init__(self, problem: Problem, progress: Progress | None) -> None:
        self.problem = problem
        self.progress = progress
        self.norm = math.sqrt(sum(s.norm2() for s in problem.sets))
        self.nfev = 0
        self.x: Array | None = None
        self.factor = np.zeros((0, 0))

    def at(self, x: Array) -> Array:
        """Return the triangular factor of [J, f] at x."""
        if self.x is None or not np.array_equal(x, self.x):
            self.factor = self.problem.factor(self.problem.system(x))
            self.x = x.copy()
            self.nfev += 1
            if self.progress is not None:
                self.progress(self.nfev, float(np.linalg.norm(self.factor[:, -1])) / self.norm)
        return self.factor

    def residual(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, -1])

    def jacobian(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, :-1])


def _minimise(problem: Problem, max_nfev: int, progress: Progress | None, before: _Outcome | None = None) -> _Outcome:
    from scipy.optimize import least_squares

    factor = _Factor(problem, progress)
    low, high = problem.mapping.low, problem.mapping.high
    start = problem.mapping.x0 if before is None else before.x
    found = least_squares(
        factor.residual,
        np.clip(start, low, high),
        factor.jacobian,
        bounds=(low, high),
        # Two thirds of the evaluations of "trf" on the measured CdSe fits, and bounds are met exactly.
        method="dogbox",
        x_scale="jac",
        ftol=TOLERANCE,
        xtol=TOLERANCE,
        gtol=1e-12,
        max_nfev=max_nfev,
    )
    words = {
        0: f"stopped after {max_nfev} evaluations without converging: start nearer, free less, or set bounds",
        1: "converged: the gradient vanished",
        2: "converged: Rw no longer improved",
        3: "converged: parameters no longer moved",
        4: "converged: neither Rw nor parameters changed",
    }
    nfev = factor.nfev + (before.nfev if before else 0)
    factor.progress = None  # the last step tried may not be the one taken: looking at it again is no step
    return _Outcome(found.x, nfev, found.status > 0, words[found.status], factor.at(found.x))


def _result(problem: Problem, params: Parameters, outcome: _Outcome, seconds: float) -> FitResult:
    mapping, x = problem.mapping, outcome.x
    jac = outcome.factor[:, :-1].T
    values, tangents = mapping(x)
    at_bound = _at_bounds(mapping, x)
    has_errors = all(s.has_errors for s in problem.sets)
    # Restraints are rows of the factor, too, but no misfit.
    misfit = problem.misfit(problem.curves(x)) if problem.restraints else float((outcome.factor[:, -1] ** 2).sum())
    points = sum(s.count for s in problem.sets)
    # Oversampled points are correlated: N points carry only N_independent, so (JᵀJ)⁻¹ is too small by their ratio.
    # The size of the error of a point comes from dG or, without it, from the misfit.
    factor = points / problem.independent if has_errors else misfit / problem.freedom
    covariance = _covariance(jac, at_bound) * factor
    gauge = propagated(covariance, tangents)
    stderr = np.sqrt(np.maximum(np.diag(gauge), 0.0))  # NaN stays NaN
    free = mapping.free_names
    _write_back(params, mapping, values, stderr, covariance, at_bound)
    fits = []
    for s, rows in zip(problem.sets, problem.rows, strict=True):
        model = s.model.with_values(dict(zip(s.model.names, values[rows].tolist(), strict=True)))
        # The refined model's own evaluator, so that result.model gives result.calc to the last digit.
        G = model.evaluator(s.data.r, s.begin)(model.values)[0]
        fits.append(
            DatasetFit(
                s.name,
                model,
                s.data,
                PDF(s.data.r, G, instrument=model.instrument),
                tuple(s.evaluate.messages),
                s.begin,
            )
        )
    rw = _rw(problem, fits)
    chi2 = misfit
    messages = _remarks(mapping, at_bound, fits, rw, x)
    return FitResult(
        params=params,
        free=free,
        values=x,
        covariance=covariance,
        datasets=tuple(fits),
        rw=rw,
        chi2=chi2,
        reduced_chi2=chi2 / points * problem.independent / problem.freedom,
        n_points=sum(len(s.data) for s in problem.sets),
        n_independent=problem.independent,
        nfev=outcome.nfev,
        converged=outcome.converged and not messages.hopeless,
        message=messages.verdict or outcome.message,
        remarks=messages.remarks,
        at_bounds=tuple(name for name, bound in zip(free, at_bound, strict=True) if bound),
        errors_from=problem.sets[0].source if has_errors else "misfit",
        whitened=problem.sets[0].whiten is not None,
        fractions=phase_fractions(fits[0].model, _scale_covariance(mapping, problem, gauge)),
        seconds=seconds,
    )


def _scale_covariance(mapping: ParameterMap, problem: Problem, gauge: Array) -> Array:
    """Covariance of the first data set's scales, in the order of phases."""
    index = [mapping.names.index(problem.sets[0].global_name(f"{p.name}.scale")) for p in problem.model.phases]
    return np.asarray(gauge[np.ix_(index, index)])


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


def _at_bounds(mapping: ParameterMap, x: Array) -> Array:
    span = np.where(np.isfinite(mapping.high - mapping.low), mapping.high - mapping.low, np.maximum(np.abs(x), 1.0))
    return np.asarray((x - mapping.low < 1e-6 * span) | (mapping.high - x < 1e-6 * span))


def _write_back(
    params: Parameters,
    mapping: ParameterMap,
    values: Array,
    stderr: Array,
    covariance: Array,
    at_bound: Array,
) -> None:
    """Put values, standard errors and correlations into the lmfit Parameters."""
    free = mapping.free_names
    for i in mapping.free:
        params[mapping.names[i]].value = float(values[i])
    sigma = np.sqrt(np.diag(covariance))
    for column, name in enumerate(free):
        par = params[name]
        known = math.isfinite(sigma[column])
        par.stderr = float(sigma[column]) if known else None
        par.correl = {
            other: float(covariance[column, k] / (sigma[column] * sigma[k]))
            for k, other in enumerate(free)
            if k != column and known and math.isfinite(sigma[k])
        }
    for i, _ in mapping.ties:
        par = params[mapping.names[i]]
        # lmfit would clip a tied value to the default limits of its own quantity: the tie decides.
        par.set(min=min(par.min, float(values[i])), max=max(par.max, float(values[i])))
        par.stderr = float(stderr[i]) if math.isfinite(stderr[i]) and stderr[i] > 0 else None


def _rw(problem: Problem, fits: Sequence[DatasetFit]) -> float:
    """Rw = √(Σ w(G_obs − G_calc)²/Σ w G_obs²) over all data sets."""
    top = bottom = 0.0
    for s, one in zip(problem.sets, fits, strict=True):
        weight = 1.0 / s.data.dG if s.has_errors and s.data.dG is not None else 1.0
        top += float((((s.data.G - one.calc.G) * weight) ** 2).sum())
        bottom += float(((s.data.G * weight) ** 2).sum())
    return math.sqrt(top / bottom)


@dataclass(frozen=True)
class _Remarks:
    verdict: str
    hopeless: bool
    remarks: tuple[str, ...]


def _remarks(mapping: ParameterMap, at_bound: Array, fits: Sequence[DatasetFit], rw: float, x: Array) -> _Remarks:
    """Say in words what a user should know before trusting the numbers."""
    out = []
    for k in np.flatnonzero(at_bound):
        name, side = (
            mapping.free_names[k],
            "lower" if x[k] - mapping.low[k] < mapping.high[k] - x[k] else "upper",
        )
        out.append(f"{name} ended on its {side} bound {x[k]:g}: it has no error; widen the bound or fix it")
    for one in fits:
        out.extend(one.messages)
        out.extend(one.data.remarks)
        out.extend(text for phase in one.model.phases for text in phase.remarks)
    hopeless = rw > POOR_RW
    verdict = ""
    if hopeless:
        verdict = (
            f"no fit: the best Rw in reach is {rw:.2f}, so this model does not describe the data; "
            "its parameters mean little"
        )
    return _Remarks(verdict, hopeless, tuple(dict.fromkeys(out)))
