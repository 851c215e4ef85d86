"""Least-squares fits of models to measured G(r), with errors that count independent points.

`fit` poses the problem, `solve` minimises it (`minimiser`), weighs it by the noise that the residual shows, and hands
what was found to `assembly`, which makes the result.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pdfkit import _checks
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.fitting import balance
from pdfkit.fitting.assembly import assembled
from pdfkit.fitting.bounds import at_bounds
from pdfkit.fitting.datasets import Data, Ends, beside, named, resolved
from pdfkit.fitting.determined import hold, hold_others
from pdfkit.fitting.minimiser import NOTHING, TOLERANCE, Outcome, Progress, minimise
from pdfkit.fitting.parts import global_quantities
from pdfkit.fitting.posing import Bounds, Posed
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.reweighing import can_be_estimated, reweighed
from pdfkit.fitting.search import Found, staged
from pdfkit.fitting.starts import Search
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters, make_parameters
from pdfkit.model.restraints import Restraint
from pdfkit.results.problem import MAX_NFEV, FitProblem, FitSettings
from pdfkit.results.result import FitResult

ROUGHLY = 1e-4
"""Tolerance of a first fit, whose residual gives the weights of the next."""
MOST_SPECTRA = 3
MOST_PREPARED = 2
"""Fits more, at the most, because U, cell or damping ended far from where models were prepared for."""
MOST_SETTLED = 8
"""Fits more, at the most, until the size of noise that a fit leaves is the one by which restraints were weighed."""
SMALL = 1e-6
"""Share of ΣG²/dG² below which what a fit leaves may be what a model was faded out by: no data are that good."""
LAST = 1e-8
"""Share of χ² left to gain by models prepared anew that one more step takes: a thousandth of a standard error."""
ALIKE = 0.1
"""Share of that size which is no difference."""
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
    search: str | Mapping[str, Any] = "staged",
    progress: Progress | None = None,
) -> FitResult:
    """Fit a model to measured data and return the result as a value.

    Minimises Σ[(G_obs − G_calc)/dG]² over rmin ≤ r ≤ rmax, plus the restraints.

    Parameters
    ----------
    model : start values.
    data : one PDF, or several, by name or in a list, for one fit of all (then scale and the numbers of the instrument
        exist once per data set, "x.zb.scale"). Beside them, in the dict, patterns of clusters: a
        `pdfkit.patterns.SmallAngle` or `Powder`, or an `Intensity` that is taken for one of them by its Q; their scales
        and backgrounds have least-squares values at every step. What a PDF says of its instrument counts for it;
        where it is silent, what the model says. A contradiction of the two is said in the remarks.
    rmin, rmax : Å; None for the ends of the data. Of several data sets each may have its own, by name.
    free : what varies, by the ending of parameter names ("a", "Cd.Uiso", "wz.*").
    ties : name → expression of other names; the limits of what is tied hold. bounds : name → (low, high), None keeps a
        default.
    params : Parameters to start from instead (`parameters(model, data)`); free, ties and bounds still apply on top.
    restraints : soft restraints (`Restraint`, `BondRestraint`).
    use_errors : weigh with the errors that the data bring (dG or a covariance); False: all points alike.
    settings : what is rarely changed: how errors of points go together, the grid, the evaluations before giving up
        (`FitSettings`).
    search : "staged" finds the cell at short distances first where the start values are far off, and tries the other
        minima that are near (U of two elements exchanged, ...); "plain" is one local fit from the start values.
        "thorough" starts from many places about them (cells ±5 %, U × 0.3–3, diameters × 0.5–2 …) and lists the
        distinct minima in `result.minima`; so does a dict of ranges by endings of names, {"a": (3.4, 3.6)}, with all
        else at its start value, and beside them "starts" (at most, 40), "seed" (0), "workers" (1).
    progress : called with (evaluations, rw), and its method `names`, where it has one, with what is done next: "looking
        for the cell", "fitting", "trying minima nearby", "start 7 of 24" …

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
    asked = Search.of(search)
    posed = Posed.of(
        model,
        data,
        rmin=rmin,
        rmax=rmax,
        free=free,
        ties=ties,
        bounds=bounds,
        params=params,
        restraints=restraints,
        use_errors=use_errors,
        settings=settings,
    )
    said = posed.said
    if asked is None:
        result = solve(posed.problem, posed.params, progress, str(search))
        if search == "staged" and len(model.phases) > 1:
            from pdfkit.fitting.twins import said_of_twins

            said += said_of_twins(result)
    else:
        from pdfkit.fitting.thorough import thorough

        result = thorough(posed.problem, posed.params, asked, progress)
    remarks = tuple(dict.fromkeys([*said, *result.remarks]))
    told = search if isinstance(search, str) or asked is None else asked.to_dict()
    return replace(result, remarks=remarks, search=told, seconds=time.perf_counter() - started)


def solve(
    problem: FitProblem, params: Parameters, progress: Progress | None = None, search: str = "plain"
) -> FitResult:
    """Fit a problem from parameters, which take the values found."""
    started = time.perf_counter()
    with one_thread():
        result = ended(begun(problem, params), params, progress, search)
    return replace(result, seconds=time.perf_counter() - started)


def begun(problem: FitProblem, params: Parameters) -> Residuals:
    """Return the residuals of a problem; parameters take start values, and what has no effect there is held."""
    mapping = ParameterMap.of(params)
    for par in params.values():
        par.init_value = par.value
    residuals = Residuals(problem, mapping)
    residuals.check()
    residuals.leave_zero(params)
    residuals = residuals.near(mapping.x0)
    residuals.guess_scales(params)
    return hold(residuals, params)


def ended(
    residuals: Residuals, params: Parameters, progress: Progress | None = None, search: str = "plain"
) -> FitResult:
    """Fit residuals from the start values of their mapping; parameters take the values found."""
    with one_thread():
        residuals, outcome, said = found(residuals, params, progress, search)
        return assembled(residuals, params, outcome, said)


def found(
    residuals: Residuals, params: Parameters, progress: Progress | None = None, search: str = "plain"
) -> tuple[Residuals, Outcome, tuple[str, ...]]:
    """Return residuals as they are weighed and prepared in the end, where their fit ends, and what is to be said."""
    residuals = balance.begun(residuals.near(residuals.mapping.x0))
    problem = residuals.problem
    most = problem.settings.max_nfev
    rough = can_be_estimated(residuals)
    tolerance = ROUGHLY if rough else TOLERANCE
    if search == "staged":
        first = staged(residuals, most, progress, tolerance)
    else:
        first = Found(minimise(residuals, most, progress, tolerance=tolerance))
    outcome = first.outcome
    if (other := hold_others(residuals, params, outcome.x)) is not None:
        residuals, outcome = other, minimise(other, most, progress, replace(outcome, x=other.mapping.x0))
    residuals, outcome = balance.balanced(residuals, outcome, progress)
    if problem.restraints and problem.restraint_scale is None and not residuals.has_errors:
        # Without dG the size of the misfit is only known after a first fit: it sets what one σ of a restraint is worth.
        for _ in range(MOST_SETTLED if residuals.complete else 1):
            before = residuals.restraint_scale
            residuals.settle(outcome.x)
            told = replace(outcome, searched=outcome.nfev) if residuals.complete else outcome
            outcome = minimise(residuals, most, progress, told)
            if abs(residuals.restraint_scale - before) <= ALIKE * before:
                break
    said: tuple[str, ...] = ()
    residuals, outcome = _settled(residuals, outcome, progress, rough)
    if rough and (outcome.converged or outcome.message == NOTHING):  # a rival may start from there, and be weighed so
        residuals, outcome, said = _weighed(residuals, outcome, progress)
        residuals, outcome = balance.balanced(residuals, outcome, progress)
        residuals, outcome = _settled(residuals, outcome, progress)
    return residuals, outcome, (*first.said, *said, *balance.said_of(residuals))


def _settled(
    residuals: Residuals, outcome: Outcome, progress: Progress | None, goes_on: bool = False
) -> tuple[Residuals, Outcome]:
    """Fit on with models prepared for where the fit ended, so that the end depends on no start; unless it goes on."""
    small = SMALL * residuals.norm2()
    for _ in range(MOST_PREPARED):
        here = residuals.near(outcome.x, exactly=outcome.minimum < small)
        if here is residuals or goes_on or not outcome.converged:
            return here, outcome
        residuals, outcome = here, minimise(here, residuals.problem.settings.max_nfev, progress, outcome, last=LAST)
    return residuals, outcome


def _weighed(
    residuals: Residuals, outcome: Outcome, progress: Progress | None
) -> tuple[Residuals, Outcome, tuple[str, ...]]:
    """Fit again, weighed by the spectrum of the residual, until the spectrum that a fit leaves is the one it had."""
    most, said = residuals.problem.settings.max_nfev, ()  # type: tuple[int, tuple[str, ...]]
    scale = residuals.restraint_scale
    for _ in range(MOST_SPECTRA):
        inside = ~at_bounds(residuals.mapping, outcome.x)
        better = reweighed(residuals, outcome.x, inside)
        if better is None:  # what the data say of their errors holds, or there is no noise
            return residuals, minimise(residuals, most, progress, outcome), said
        residuals, said = better.residuals, better.said
        residuals.restraint_scale = 1.0 if better.weighs else scale
        outcome = minimise(residuals, most, progress, outcome)
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
    models = resolved(model, named(model, data))[0]  # type: ignore[arg-type]
    return make_parameters(global_quantities(models, beside(model, data)[0]))  # type: ignore[arg-type]
