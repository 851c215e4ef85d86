"""Rival fits of the same data started from each other's end points, so that none of them stands at a worse minimum.

A least-squares fit finds the minimum nearest to its start. What one rival found tells where others should look: a
displacement, a diameter, a strain of the lattice (not its length) mean the same in all of them. Each rival is tried
from the end point of every other, and from its own with the U of a phase's elements exchanged, as any search tries a
move (`rivals`). The lowest χ² is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.fitting.least_squares import refit, solve
from pdfkit.fitting.minimiser import Watch, task_of
from pdfkit.fitting.moves import Rival, exchanged
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.rivals import NEAR, tried
from pdfkit.fitting.stages import scales_of
from pdfkit.fitting.starts import LENGTHS
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.params import Parameters
from pdfkit.results.result import FitResult

# χ² has to fall by this part to count as another minimum.
LOWER = 1e-4
# Values this close (relative) are the same start.
SAME = 1e-2

FAR = 1e3
"""Multiple of χ² from which the end point of another fit says nothing."""

Progress = Callable[[str], None]


def polished(
    results: Mapping[str, FitResult], progress: Progress | None = None, finished: Collection[str] = ()
) -> dict[str, FitResult]:
    """Return the fits of rival models after they were tried from each other's end points; n(n − 1) fits and more.

    finished : names of fits that stay as they are.
    progress : called with the name of the model and where it starts. One that found a lower χ² says so in its remarks.
    """
    out = dict(results)
    for key, own in results.items():
        if key in finished:
            continue
        for rival in _rivals(key, own, results):
            if progress is not None:
                progress(f"{key} from {rival.words}")
            found = _tried(out[key], rival)
            if found is not None and (told := _told(found, own, rival.words)).chi2 < (1.0 - LOWER) * out[key].chi2:
                out[key] = told
    return out


def _tried(best: FitResult, rival: Rival) -> FitResult | None:
    """Return a better fit by way of a rival of where one ended; None where there is none."""
    residuals = Residuals(best.problem, ParameterMap.of(best.params))
    task = task_of(residuals, Watch(residuals, None))
    try:
        here = task.at(best.values)
        descent = tried(task, rival, scales_of(residuals), here.cost, [here])
        if descent is None or descent.here.cost > NEAR * here.cost:
            return None
        found = refit(best, _at(best, descent.here.x))
    except PdfkitError:
        return None
    worse = (not found.converged, sum(len(one.messages) for one in found.datasets))
    before = (not best.converged, sum(len(one.messages) for one in best.datasets))
    lower = found.minimum < (1.0 - LOWER) * best.minimum
    return found if lower and worse <= before else None


def _at(result: FitResult, x: Array) -> Parameters:
    params: Parameters = result.params.copy()
    for name, value in zip(result.free, x.tolist(), strict=True):
        params[name].value = value
    return params


def _told(found: FitResult, own: FitResult, where: str) -> FitResult:
    """Return a fit with what was said of the first one, and where this one came from."""
    found = _by_its_own_noise(found, own)
    for name, par in found.params.items():
        par.init_value = own.params[name].init_value
    came = f"found from {where}: from its own start values the fit ended at Rw = {own.rw:.4f}"
    return replace(found, remarks=tuple(dict.fromkeys([came, *found.remarks])), nfev=own.nfev + found.nfev)


def _by_its_own_noise(found: FitResult, own: FitResult) -> FitResult:
    """Return a fit with the noise that its own residual shows, where the first fit had that of its own."""
    if all(one.noise is None for one in own.datasets):
        return found
    sets = tuple(replace(one, noise=None) for one in found.problem.datasets)
    params = found.params.copy()
    return solve(replace(own.problem, datasets=sets, restraint_scale=None), params)


# --- Other start values ----------------------------------------------------------------------------------------------


def _rivals(key: str, own: FitResult, results: Mapping[str, FitResult]) -> Iterator[Rival]:
    """Yield what a fit is tried from: the end points of the others, and its own with U of two elements exchanged."""
    for name, other in results.items():
        if name != key and (params := _carried_over(own, other)) is not None:
            yield Rival(f"the end point of {name}", np.array([float(params[n].value) for n in own.free]), FAR)
    yield from exchanged(own.free, own.values)


def _carried_over(own: FitResult, other: FitResult) -> Parameters | None:
    """Return the parameters of a fit with what another found; None where that says nothing new."""
    params, moved = own.params.copy(), False
    for name in own.free:
        value = _meant(name, own, other)
        if value is not None:
            moved |= _set(params, name, value)
    return params if moved else None


def _set(params: Parameters, name: str, value: float) -> bool:
    """Give a parameter a value within its bounds; return whether that moved it."""
    par = params[name]
    before = float(par.value)
    par.value = min(max(value, par.min), par.max)
    step, size = abs(float(par.value) - before), max(abs(before), abs(float(par.value)))
    return step > SAME * size * (1e-2 if _is_length(name) else 1.0)


def _is_length(name: str) -> bool:
    return name.rpartition(".")[2] in LENGTHS


def _meant(name: str, own: FitResult, other: FitResult) -> float | None:
    """Return what another fit says of a parameter: of the same name, else of the same ending, the largest phase first.

    Scales are found anew at every start of a fit.
    """
    ending = name.partition(".")[2]
    if name.endswith("scale"):
        return None
    if name in other.params and _was_fitted(other, name):
        return float(other.params[name].value)
    alike = LENGTHS if _is_length(name) else (ending,)
    for phase in _by_share(other):
        for one in alike:
            twin = f"{phase}.{one}"
            if twin in other.params and _was_fitted(other, twin):
                return _strained(own, name, other, twin) if _is_length(name) else float(other.params[twin].value)
    return None


def _was_fitted(result: FitResult, name: str) -> bool:
    par = result.params[name]
    return bool(par.vary or par.expr)


def _by_share(result: FitResult) -> list[str]:
    """Return the phases of a fit, the one with most atoms first."""
    return sorted(result.fractions, key=lambda name: -_known(result.fractions[name]["atoms"][0]))


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _strained(own: FitResult, name: str, other: FitResult, twin: str) -> float | None:
    """Return the start value of a length, with the strain that another fit found in its own."""
    start, before = own.params[name].init_value, other.params[twin].init_value
    return None if not start or not before else float(start) * float(other.params[twin].value) / float(before)
