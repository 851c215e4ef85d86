"""What a fit found, in words and tables: as text of 100 columns, and as HTML for notebooks.

Both are made from one list of sections, so that they say the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pdfkit._table import Section, view, wrapped
from pdfkit._terminal import plain
from pdfkit.model.params import is_held
from pdfkit.phases.base import Phase
from pdfkit.phases.ions import strengths_used
from pdfkit.results.result import DatasetFit, FitResult

# Correlations above this are worth a line, and so many lines are worth reading.
STRONG = 0.8
MAX_PAIRS = 12
# So many terms of a restraint have a line each; of more, those of one kind share one.
MANY = 24
# With errors from dG, a reduced χ² above this says that the misfit is more than noise.
MISFIT = 2.0
# Fixed values that switch nothing on are not worth a line.
_NEUTRAL = {"occ": 1.0, "sratio": 1.0, "rcut": 0.0, "delta1": 0.0}


def report(result: FitResult) -> str:
    """Return what a fit found as text of at most 100 columns; `print(result)` shows it.

    Verdict, parameters by phase with errors, start values, bounds and ties, fractions of the phases, strong
    correlations, where the errors come from, and remarks. Errors are one standard deviation: 5.8316(13) is
    5.8316 ± 0.0013.
    """
    blocks = ["\n".join(map(wrapped, head(result))), *(section.text() for section in sections(result))]
    return plain("\n\n".join(blocks))


def report_html(result: FitResult) -> str:
    """Return the same as HTML, every text in it escaped."""
    first, *others = head(result)
    return view(Section(first, lines=tuple(others)), *sections(result))


def uncertain(value: float, error: float | None = None) -> str:
    """Return "5.8316(13)": the value rounded to two digits of its standard error, and these in brackets.

    "30.3(1.5)" keeps the point where the error is above 1; very small and large values get an exponent, "1.20(30)e-07".
    Without an error (None, 0, or not finite), six digits of the value.
    """
    if error is None or not math.isfinite(error) or error <= 0 or not math.isfinite(value):
        return f"{value:.6g}"
    largest = max(abs(value), error)
    if not 1e-4 <= largest < 1e6:
        power = math.floor(math.log10(largest))
        return f"{_bracketed(value / 10.0**power, error / 10.0**power)}e{power:+03d}"
    return _bracketed(value, error)


def _bracketed(value: float, error: float) -> str:
    # "9.96e-02" rounds to "1.0e-01": the exponent has to be taken after rounding.
    exponent = int(f"{error:.1e}".split("e")[1])
    digits = 1 - exponent
    if digits < 0:
        return f"{round(value, digits):.0f}({round(error, digits):.0f})"
    text = f"{value:.{digits}f}"
    if not text.strip("-0."):
        text = text.removeprefix("-")
    if exponent >= 0:
        return f"{text}({error:.{digits}f})"
    return f"{text}({round(error * 10.0**digits)})"


# --- what is said ----------------------------------------------------------------------------------------------------


def sections(result: FitResult) -> list[Section]:
    """Return everything below the verdict, in the order of reading."""
    out = []
    if len(result.datasets) > 1:
        out.append(_datasets(result))
    if result.patterns:
        out.append(_patterns(result))
    out += _parameters(result)
    out.append(_fractions(result))
    out += _restraints(result)
    out.append(_correlations(result))
    out.append(Section("errors", lines=_errors(result)))
    if result.minima:
        out.append(Section("minima", tuple(result.minima.rows()), (f"{result.minima.words()}.",)))
    if result.remarks:
        out.append(Section("remarks", lines=result.remarks))
    return [section for section in out if section.rows or section.lines]


def head(result: FitResult) -> list[str]:
    """Return the verdict in lines: what was fitted, how well, with how many points, measured with what."""
    one = result.datasets[0]
    single = len(result.datasets) == 1
    name = one.data.name or one.name
    of = (f" of {name}" if name else "") if single else f" of {len(result.datasets)} data sets"
    rmin = min(d.data.r[0] for d in result.datasets)
    rmax = max(d.data.r[-1] for d in result.datasets)
    plain = f" ({one.rw:.4f} without weights)" if single and abs(one.rw - result.rw) > 5e-5 else ""
    verdict = result.message if result.converged else f"NOT CONVERGED: {result.message}"
    # Without dG the misfit has no yardstick: χ² is then no more than Rw in other units.
    chi2 = f", reduced χ² {result.reduced_chi2:.3g}" if result.errors_from == "dG" else ""
    counts = (
        f"{result.n_points} points ({result.n_independent:.1f} independent), {len(result.free)} free parameters"
        f"{chi2}; {result.nfev} evaluations, {_seconds(result.seconds)}"
    )
    if not result.describes:
        verdict += "; BUT THE MODEL DOES NOT DESCRIBE THE DATA: do not trust its parameters"
    lines = [f"Fit{of}: Rw = {result.rw:.4f}{plain}, r = {rmin:.4g} to {rmax:.4g} Å", verdict, counts]
    return [*lines, measured_with(one)] if single else lines


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def measured_with(one: DatasetFit) -> str:
    """Return probe, Q range and window of a data set in a line, and where γ₀ does not weigh pairs."""
    warmth = [] if one.data.temperature is None else [f"{one.data.temperature:g} K"]
    finite = any(phase.applied_shape.solid for phase in one.model.phases)
    curve = ["γ₀(r) times the curve"] if finite and one.model.convention.finite_size == "curve" else []
    return ", ".join([one.model.instrument_used.summary(), *warmth, *curve])


def _datasets(result: FitResult) -> Section:
    weights = result.problem.settings.weights
    rows = [("name", "Rw", "r (Å)", "points", *(["weight"] if weights else []), "measured with")]
    for one in result.datasets:
        own = [f"{weights.get(one.name, 1.0):g}"] if weights else []
        span = f"{one.data.r[0]:.4g} to {one.data.r[-1]:.4g}"
        rows.append((one.name, f"{one.rw:.4f}", span, str(len(one.data)), *own, measured_with(one)))
    return Section("data sets (Rw without weights)", tuple(rows))


def _patterns(result: FitResult) -> Section:
    """Return what every data set says: how far it is off, and what share of the independent numbers it carries."""
    rows = [("", "Q (Å⁻¹)", "points", "independent", "χ²red", "noise/errors", "errors from", "Rw")]
    pdfs = result.n_independent - sum(one.count for one in result.patterns)
    chi2 = result.chi2 - sum(one.chi2 for one in result.patterns)
    count = sum(len(one.data) for one in result.datasets)
    sources = {"spectrum": "residual", "misfit": "misfit"}
    source, size = sources.get(result.errors_from, result.errors_from), result.datasets[0].size
    own = (
        f"{chi2 / pdfs:.3g}",
        f"{size:.3g}" if result.errors_from in ("cov", "dG") else "1",
        source,
        f"{result.rw:.4f}",
    )
    rows.append(("G(r)", "", str(count), f"{pdfs:.0f}", *own))
    lines = []
    for one in result.patterns:
        span, errors = f"{one.data.Q[0]:.3g} to {one.data.Q[-1]:.3g}", f"{one.reduced_chi2:.3g}"
        about = (str(len(one.data)), str(one.count), errors, f"{one.size:.3g}", one.errors_from, f"{one.rw:.4f}")
        rows.append((one.name, span, *about))
        found = ", ".join(f"{name} {uncertain(*pair)}" for name, pair in one.linear.items())
        lines += [f"{one.name}: {found}.", f"{one.name}: {one.measured.assumed}."]
    return Section("patterns beside G(r): each weighs by its own noise", tuple(rows), tuple(lines))


VARIABLES = "variables of the fit"


def _parameters(result: FitResult) -> list[Section]:
    """Return one section per phase, per data set, for the instrument, and for what belongs to the fit alone."""
    several = len(result.datasets) > 1
    phases = {phase.name: phase for phase in result.datasets[0].model.phases}
    sets = {one.name for one in result.datasets} if several else set()
    sets |= {one.name for one in result.patterns}
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, par in result.params.items():
        head, _, rest = name.partition(".")
        own = head in phases or head in sets
        owner = head if own else "" if "unit" in (par.user_data or {}) else VARIABLES
        groups.setdefault(owner, []).append((rest if own else name, par))
    out = []
    derived = result.derived()
    for owner, members in groups.items():
        heading = {"": "instrument", VARIABLES: VARIABLES}.get(owner, f"data set {owner}")
        if owner in phases:
            heading = phases[owner].heading
            members = [one for one in members if one[0] not in phases[owner].many]
        rows = [_row(name, par, result) for name, par in members if par.vary or par.expr or is_held(par)]
        used = _strengths(result, phases[owner]) if owner in phases else ()
        fixed = ", ".join(_fixed(name, par) for name, par in members if _is_worth_naming(name, par))
        heads = (("parameter", "value", "unit", "start", "limits", ""),) if rows else ()
        rows += [(d.name, uncertain(d.value, d.stderr), d.unit, "", "", d.meaning) for d in derived.get(owner, ())]
        more = phases[owner].summary() if owner in phases else ()
        out.append(Section(heading, (*heads, *rows), (*more, *used, *((f"fixed: {fixed}",) if fixed else ()))))
    return out


def _strengths(result: FitResult, phase: Phase) -> tuple[str, ...]:
    """Return the line that says with which scattering strengths a phase was calculated."""
    models = [one.model for one in result.datasets if phase.name in {p.name for p in one.model.phases}]
    used = dict.fromkeys(strengths_used(phase, model.instrument_used, model.strengths) for model in models)
    own = any(one.model.strengths for one in result.datasets)
    return (f"scattering: {'; '.join(used)}{', and the strengths given to the model' if own else ''}",) if used else ()


def _row(name: str, par: Any, result: FitResult) -> tuple[str, ...]:
    unit = str((par.user_data or {}).get("unit", ""))
    value = uncertain(float(par.value), par.stderr)
    if par.expr:
        on_limit = ", ON LIMIT" if par.name in result.at_bounds else ""
        return name, value, unit, "", "", f"tied to {par.expr}{on_limit}"
    start = "" if par.init_value is None else f"{float(par.init_value):.6g}"
    note = "held: no effect" if is_held(par) else ""
    if par.name in result.at_bounds:
        note = "ON BOUND"
    elif par.stderr is None and par.vary:
        note = "not determined"
    return name, value, unit, start, _limits(par.min, par.max), note


def _limits(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "none"
    if math.isinf(high):
        return f"≥ {low:.4g}"
    if math.isinf(low):
        return f"≤ {high:.4g}"
    return f"{low:.4g} … {high:.4g}"


def _is_worth_naming(name: str, par: Any) -> bool:
    neutral = _NEUTRAL.get(name.rsplit(".", 1)[-1])
    return not (par.vary or par.expr or is_held(par)) and (neutral is None or float(par.value) != neutral)


def _fixed(name: str, par: Any) -> str:
    unit = str((par.user_data or {}).get("unit", ""))
    return f"{name} {float(par.value):.6g}{f' {unit}' if unit else ''}"


def _fractions(result: FitResult) -> Section:
    if len(result.fractions) < 2:
        return Section("phase fractions")
    kinds = ("atoms", "cells", "mass")
    rows: list[tuple[str, ...]] = [("phase", *kinds)]
    for phase, table in result.fractions.items():
        rows.append((phase, *(uncertain(*table[kind]) for kind in kinds)))
    several = f" (from the scales of {result.datasets[0].name})" if len(result.datasets) > 1 else ""
    return Section(f"phase fractions{several}", tuple(rows))


def _restraints(result: FitResult) -> list[Section]:
    """Return what restraints speak of, with what they pull, and the instability index of phases whose valences do."""
    from pdfkit.model.bond_valence import BondValenceRestraint, instability
    from pdfkit.model.restraints import Restrained

    names, values = tuple(result.params), np.array([par.value for par in result.params.values()])
    own = [one for one in result.restraints or () if isinstance(one, Restrained)]
    model, still = result.datasets[0].model, np.zeros((values.size, 0))
    terms = [(one, one.terms(model, names, values, still)) for one in own]
    rows = [row for _, found in terms for row in _pulled(found)]
    valences: dict[str, list[Any]] = {}
    for one, found in terms:
        if isinstance(one, BondValenceRestraint):
            valences.setdefault(one.phase, []).extend(found)
    lines = [f"global instability index of {name}: {instability(found):.3f} v.u." for name, found in valences.items()]
    heads = (("", "value", "unit", "wanted", "σ", "pull/σ"),) if rows else ()
    return [Section("restraints", (*heads, *rows), tuple(lines))]


def _pulled(terms: list[Any]) -> list[tuple[str, ...]]:
    """Return a row for each number that a restraint speaks of, or for all of a kind where they are many."""
    kinds: dict[str, list[Any]] = {}
    for term in terms:
        kinds.setdefault(term.what if len(terms) > MANY else f"{len(kinds)}", []).append(term)
    return [_of_kind(found) if len(found) > 1 else _of_term(found[0]) for found in kinds.values()]


def _of_term(term: Any) -> tuple[str, ...]:
    return term.what, f"{term.value:.5g}", term.unit, term.wanted, f"{term.sigma:g}", f"{term.pull:+.2f}"


def _of_kind(terms: list[Any]) -> tuple[str, ...]:
    """Return the means of terms of one kind, and the root of the mean square of what they pull."""
    mean, pulls = (np.mean([getattr(one, name) for one in terms]) for name in ("value", "low"))
    rms = math.sqrt(float(np.mean([one.pull**2 for one in terms])))
    wanted = f"{pulls:.5g}" if all(one.low == one.high for one in terms) else "limits"
    return (
        f"{terms[0].what}, mean of {len(terms)}",
        f"{mean:.5g}",
        terms[0].unit,
        wanted,
        f"{terms[0].sigma:g}",
        f"rms {rms:.2f}",
    )


def _correlations(result: FitResult) -> Section:
    matrix = result.correlation
    many = {f"{phase.name}.{name}" for phase in result.datasets[0].model.phases for name in phase.many}
    shown = [i for i, name in enumerate(result.free) if name not in many]
    n = len(shown)
    strong = [
        (float(matrix[i, j]), result.free[i], result.free[j])
        for k, i in enumerate(shown)
        for j in shown[k + 1 :]
        if np.isfinite(matrix[i, j]) and abs(matrix[i, j]) > STRONG
    ]
    strong.sort(key=lambda entry: -abs(entry[0]))
    heading = f"correlations above {STRONG:g}"
    if not strong:
        return Section(heading, lines=("none",)) if n > 1 else Section(heading)
    rows = tuple((first, second, f"{value:+.3f}".replace("-", "−")) for value, first, second in strong[:MAX_PAIRS])
    more = len(strong) - len(rows)
    return Section(heading, (("", "", ""), *rows), (f"and {more} more",) if more else ())


_WHITENED = {
    "cov": ", from the covariance of the data: residuals were made independent with it.",
    "dG": ", from dG of the data: residuals were made independent with the correlation that Qmax and window cause.",
    "spectrum": ", from the spectrum of the residual: its power at each Q, smoothed, counts as the noise there.",
    "misfit": ": residuals were made independent with the correlation that Qmax and window cause, and scaled by the "
    "misfit, because dG is missing or was left out.",
}


def _errors(result: FitResult) -> tuple[str, ...]:
    ratio = result.n_points / result.n_independent if result.n_independent else math.nan
    if any(one.noise is not None and one.noise.shaped for one in result.datasets):
        text = (
            "One standard deviation, from the spectrum of the residual, which agrees with dG of the data: the spectrum "
            "says how the noise goes with Q, dG how it goes with r."
        )
    elif result.whitened:
        text = "One standard deviation" + _WHITENED[result.errors_from]
    elif result.errors_from == "dG":
        text = (
            f"One standard deviation, from dG of the data; widened by √{ratio:.3g} because neighbouring points are "
            "correlated (one independent point every π/Qmax)."
        )
    else:
        text = (
            "One standard deviation, scaled by the misfit over independent points (one every π/Qmax), because dG is "
            "missing or was left out."
        )
    if result.errors_from in ("cov", "dG") and result.reduced_chi2 > MISFIT:
        warning = (
            f"Reduced χ² is {result.reduced_chi2:.3g}: the model misses more than the noise, so true errors are larger "
            f"(by about √{result.reduced_chi2:.3g}) if the errors of the data are right."
        )
        return text, warning
    return (text,)
