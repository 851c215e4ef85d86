"""What data leave open after a fit, though nothing of it is without effect: values known no better than to any at all.

With the covariance C of the free parameters, and u what each of them would differ by if it could be anything in its
range, combinations whose variance in C/(uuᵀ) is above 1 are not determined by the data, whatever the errors of others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.fitting.determined import units
from pdfkit.fitting.undetermined import listed, shortened
from pdfkit.model.params import Parameters
from pdfkit.results.report import uncertain
from pdfkit.results.result import DatasetFit

PART = 0.3
"""Share of the largest part in a combination from which on a parameter belongs to it."""
SURE = 3.0
"""Standard errors from 0 up to which the scale of a phase is not told from it."""
SIGMAS = 3.0
"""Standard errors that 1/length of a particle must be from 0 for its end to be seen."""
SEVERAL = 2
"""So many combinations have a sentence each; of more, their number is said."""


def not_told(
    params: Parameters, names: Sequence[str], covariance: Array, at_bound: Array, fits: Sequence[DatasetFit]
) -> tuple[str, ...]:
    """Return a sentence on each combination of free parameters that the data do not tell, and on what has no error.

    covariance (n, n), NaN for parameters on a bound (`at_bound`) and for those without effect.
    """
    unit = units(params, names)
    variance = np.diag(covariance)
    nowhere = np.isnan(variance) & np.logical_not(at_bound)
    unknown = [name for name, none in zip(names, nowhere, strict=True) if none and not _is_idle(params, name)]
    known = np.flatnonzero(np.isfinite(variance))
    lost = [name for name in unknown if _is_endless(params, name, math.inf, fits)]  # so long that 1/length has no slope
    unknown = [name for name in unknown if name not in lost]
    said = [_flat(unknown)] if unknown else []
    said += [_leave_out(params, name, fits) for name in lost]
    endless = [k for k in known.tolist() if _is_endless(params, names[k], math.sqrt(variance[k]), fits)]
    said += [_leave_out(params, names[k], fits) for k in endless]
    groups = _groups(covariance, unit, np.setdiff1d(known, endless), _floating(names, fits))
    if len(groups) > SEVERAL:
        worst = list(dict.fromkeys(names[k] for group in groups for k in group))
        said.append(
            f"the data do not determine {len(groups)} combinations of the free parameters, among them "
            f"{listed(worst[:3])}: free fewer of them, tie some, or add restraints"
        )
        return tuple(said)
    return (*said, *(_sentence(params, [names[k] for k in one], covariance[np.ix_(one, one)]) for one in groups))


def _floating(names: Sequence[str], fits: Sequence[DatasetFit]) -> Array:
    """Return combinations (n, m) of parameters that need no word: shifts and turns of clusters whose atoms all move."""
    out, at = [np.zeros((len(names), 0))], {name: k for k, name in enumerate(names)}
    for phase in fits[0].model.phases:
        if not (floating := phase.floating).size:
            continue
        moves = [f"{phase.name}.{q.name}" for q in phase.quantities[phase.moving]]
        rows = [at[name] for name in moves if name in at]
        if len(rows) == len(moves):
            out.append(np.zeros((len(names), floating.shape[1])))
            out[-1][rows] = floating
    return np.hstack(out)


def _groups(covariance: Array, unit: Array, some: IntArray, floating: Array) -> list[list[int]]:
    """Return the parameters of each combination of some of them that is not told, the worst first."""
    kept = np.eye(some.size) - floating[some] @ floating[some].T
    scaled = kept @ (covariance[np.ix_(some, some)] / np.outer(unit[some], unit[some])) @ kept
    values, vectors = np.linalg.eigh(scaled)
    large = [np.abs(vectors[:, k]) for k in np.flatnonzero(values > 1.0)[::-1]]
    return [[int(some[k]) for k in np.argsort(-v) if v[k] > PART * v.max()] for v in large]


def _is_endless(params: Parameters, name: str, sigma: float, fits: Sequence[DatasetFit]) -> bool:
    """Whether the length of a particle is beyond the data, and 1/length not told from 0."""
    shapes = {f"{phase.name}.{p.name}" for one in fits for phase in one.model.phases for p in phase.shape.parameters}
    value = float(params[name].value)
    return name in shapes and value > _rmax(fits) and SIGMAS * sigma > value


def _rmax(fits: Sequence[DatasetFit]) -> float:
    return max(float(one.data.r[-1]) for one in fits)


def _leave_out(params: Parameters, name: str, fits: Sequence[DatasetFit]) -> str:
    return (
        f"{name} = {float(params[name].value):.3g} Å is as good as endless for data to {_rmax(fits):.3g} Å: leave the "
        "shape out"
    )


def _is_idle(params: Parameters, name: str) -> bool:
    """Whether a parameter has no effect because the scale of its phase ended at 0."""
    head = name.partition(".")[0]
    scales = [par for other, par in params.items() if f".{other}".endswith(f".{head}.scale")]
    return bool(scales) and all(float(par.value) == 0.0 for par in scales)


def _flat(names: Sequence[str]) -> str:
    has = "has" if len(names) == 1 else "have"
    return (
        f"{shortened(names)} {has} no error: the fit ended where by symmetry the misfit has no slope, or where they "
        "stand for each other: start from values beside these, or fix some"
    )


def _sentence(params: Parameters, names: Sequence[str], covariance: Array) -> str:
    if len(names) == 1:
        sigma = math.sqrt(covariance[0, 0])
        return f"the data do not tell {names[0]}: it could be anything within its error of {sigma:.2g}; fix it"
    if len(names) > 2:
        return f"the data do not tell {shortened(names)} apart: fix or tie one of them, or add a restraint"
    first, second = names
    slope = -covariance[0, 1] / covariance[1, 1]
    error = math.sqrt(max(covariance[0, 0] + slope * covariance[0, 1], 0.0))
    value = float(params[first].value) + slope * float(params[second].value)
    sign = "+" if slope > 0 else "−"
    return (
        f"the data do not tell {first} and {second} apart, but only {first} {sign} {abs(slope):.3g}·{second} = "
        f"{uncertain(value, error)}: fix one of them"
    )


def hardly_there(names: Sequence[str], x: Array, covariance: Array) -> tuple[str, ...]:
    """Say of which phases beside others the scale, at free values x (n,), is not told from 0.

    Numbers of such a phase fit noise: of many places where they could do that the best one was found, and errors are
    those of that place alone.
    """
    scales = [k for k, name in enumerate(names) if name.endswith(".scale")]
    out = []
    for k in scales if len(scales) > 1 else []:
        head = names[k].removesuffix("scale")
        others = any(name.startswith(head) for name in names if name != names[k])
        sigma = math.sqrt(covariance[k, k])
        if others and 0.0 < x[k] < SURE * sigma:
            said = uncertain(float(x[k]), sigma)
            out.append(
                f"{names[k]} = {said} may as well be 0: the data hardly show that phase, and its other parameters say "
                "nothing, whatever their errors are: fix them, or leave it out"
            )
    return tuple(out)
