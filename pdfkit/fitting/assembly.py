"""What a fit found, assembled into a result: values with errors and correlations, curves, remarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.fitting.ambiguous import hardly_there, not_told
from pdfkit.fitting.bounds import at_bounds, on_bound
from pdfkit.fitting.determined import units
from pdfkit.fitting.minimiser import Outcome
from pdfkit.fitting.patterns import patterns_fitted
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.reweighing import honest
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters, is_held, set_correlations
from pdfkit.results.derived import describes, phase_fractions, propagated, propagated_errors
from pdfkit.results.result import DatasetFit, FitResult

UNTOLD = 1e-8
"""Singular value, relative to the largest, of combinations of parameters that the data do not determine."""
NONSENSE = 1e5
"""Range of a parameter in units of which an error is none: its derivative is the rounding of one that vanishes."""
WITHOUT = "Rw of a model that leaves out peaks is no better than a higher one of a model that has them all"
NEAR = 1e-5
"""Share of its span from a limit where a tied parameter is on it: a wall is met only to where Rw stands still."""


def assembled(residuals: Residuals, params: Parameters, outcome: Outcome, said: tuple[str, ...]) -> FitResult:
    """Return the result of a minimisation; `params` take the values found, with their errors."""
    mapping, x = residuals.mapping, outcome.x
    values, tangents = mapping(x)
    on_bound = at_bounds(mapping, x)
    held = _held(mapping, x, on_bound)
    at_bound = on_bound | held.alone
    chi2 = residuals.misfit(residuals.last_curves(x))
    # Oversampled points are correlated: N points carry only N_independent, so (JᵀJ)⁻¹ is too small by their ratio.
    # The size of the error of a point comes from dG or, without it, from the misfit.
    known = residuals.count / residuals.independent
    factor = known if residuals.has_errors else chi2 / residuals.freedom
    covariance = _covariance(outcome.factor[:, :-1].T, at_bound) * factor
    covariance = _without_nonsense(honest(residuals, x, covariance, factor), units(params, mapping.free_names))
    with np.errstate(divide="ignore"):
        errors = math.sqrt(factor) / np.linalg.norm(outcome.factor[:, :-1], axis=0)
    ended, rmax = np.array(mapping.free_names)[on_bound], max(float(s.data.r[-1]) for s in residuals.sets)
    _write_back(params, mapping, values, covariance, propagated_errors(covariance, tangents))
    fits = _fitted(residuals, values)
    rw, reduced = _rw(residuals, fits), chi2 / residuals.count * residuals.independent / residuals.freedom
    patterns = patterns_fitted(residuals, x, values, covariance)
    scale = residuals.restraint_scale
    problem = replace(residuals.problem, datasets=fits, patterns=patterns, restraint_scale=scale)
    scales = propagated(covariance, tangents[_scales(mapping, residuals)])
    return FitResult(
        params=params,
        free=mapping.free_names,
        values=x,
        covariance=covariance,
        datasets=fits,
        patterns=patterns,
        rw=rw,
        chi2=chi2,
        reduced_chi2=reduced,
        n_points=sum(len(one.data) for one in fits) + sum(len(one.data) for one in patterns),
        n_independent=residuals.independent,
        nfev=outcome.nfev,
        converged=outcome.converged,
        message=outcome.message,
        remarks=(
            *_verdict(rw, reduced, residuals.source),
            *said,
            *dict.fromkeys(par.user_data["held"] for par in params.values() if is_held(par)),
            *not_told(params, mapping.free_names, covariance, at_bound, fits),
            *hardly_there(mapping.free_names, x, covariance),
            *_ended(params, ended.tolist(), x[on_bound], errors[on_bound], rmax),
            *_remarks(held, fits),
            *(text for one in patterns for text in one.remarks),
        ),
        at_bounds=(*(n for n, bound in zip(mapping.free_names, at_bound, strict=True) if bound), *held.names),
        errors_from=residuals.source,
        fractions=phase_fractions(fits[0].model, scales),
        problem=problem,
        restraint_chi2=residuals.restrained(x),
        minimum=outcome.minimum,
    )


def _fitted(residuals: Residuals, values: Array) -> tuple[DatasetFit, ...]:
    """Return the data sets with the models of all parameter values."""
    fits = []
    for s, rows in zip(residuals.sets, residuals.rows, strict=False):
        model = s.model.with_values(dict(zip(s.model.names, values[rows].tolist(), strict=True)))
        # The refined model's own evaluator, so that result.model gives result.calc to the last digit.
        evaluate = model.evaluator(s.data.r, s.posed.start)
        calc = PDF(s.data.r, evaluate(model.values)[0], instrument=model.instrument_used.complete())
        messages = tuple(evaluate.messages)
        posed = s.posed
        made = DatasetFit(s.name, model, s.data, posed.start, calc, messages, noise=posed.noise, whole=posed.whole)
        fits.append(replace(made, size=posed.size))
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
    held = _held(residuals.mapping, x, on_bound := at_bounds(residuals.mapping, x))
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
    told = s >= UNTOLD * s[0]
    scaled = vt[told].T / s[told]
    part = (scaled @ scaled.T) / np.outer(size, size)
    spoilt = (np.abs(vt[~told]) > 1e-6).any(axis=0)
    part[spoilt] = part[:, spoilt] = math.nan
    out[np.ix_(inside, inside)] = part
    return out


def _without_nonsense(covariance: Array, unit: Array) -> Array:
    """Return a covariance without errors that are rounding: so far beyond what parameters could differ by at all."""
    nonsense = np.sqrt(np.diag(covariance)) > NONSENSE * unit
    out = covariance.copy()
    out[nonsense] = out[:, nonsense] = math.nan
    return out


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


def _ended(params: Parameters, names: Sequence[str], x: Array, errors: Array, rmax: float) -> tuple[str, ...]:
    """Return what is said of parameters on a bound at x (n,). errors (n,) : what they would have, all else fixed."""
    if not names:
        return ()
    told = errors < units(params, names)
    rows = zip(names, x.tolist(), told.tolist(), strict=True)
    return tuple(on_bound(params[name], value, rmax, told=seen) for name, value, seen in rows)


def _remarks(held: _Held, fits: Sequence[DatasetFit]) -> tuple[str, ...]:
    """Say in words what a user should know before trusting the numbers."""
    out = list(held.remarks)
    for one in fits:
        out.extend(one.messages)
        out.extend([WITHOUT] if one.messages else [])
        out.extend(one.data.remarks)
        out.extend(text for phase in one.model.phases for text in phase.remarks)
        out.extend(one.model.remarks)
    return tuple(dict.fromkeys(out))
