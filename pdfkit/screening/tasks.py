"""What a worker does to a candidate that is fitted. Pure functions of the candidate and a `Problem`.

Everything here can be pickled by name, so that it runs in threads, processes, under MPI or on dask workers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._expressions import matching
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.fitting.balance import LESS
from pdfkit.fitting.datasets import Data
from pdfkit.fitting.discrepancy import Rival
from pdfkit.fitting.evidence import occam
from pdfkit.fitting.least_squares import fit, parameters
from pdfkit.fitting.perturbed import LAST
from pdfkit.model.measured import MeasuredPattern
from pdfkit.model.model import Model
from pdfkit.model.params import apply_choices
from pdfkit.particles.counting import EXACT_ATOMS, WIDTH
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import EXPANSION_RANGE, Cluster
from pdfkit.results import problem as results_problem
from pdfkit.results.problem import FitSettings
from pdfkit.results.result import FitResult
from pdfkit.screening import beside
from pdfkit.screening.settings import ScreenFit
from pdfkit.screening.shells import ln_shell, shell_of

# --- What a worker does to a candidate -------------------------------------------------------------------------------

Record = dict[str, Any]
"""What is known of a candidate after a stage, in types that JSON has. "error" instead of numbers where it failed."""

VERSION = 1
"""Changed when the same settings would give other numbers: journals of another version are not continued."""

# Settings that a digest leaves out: the range is that of the data, memory changes no result, and displacements of atoms
# change none of a fit.
ELSEWHERE = ("rmin", "rmax", "memory", "displacement")

PHASE = "c"

UISO = 0.03
"""Å²: displacement that candidates start from; clusters of a few nm are softer than crystals."""

# Bonded atoms move together: correlated motion starts at this share of the largest value the bond allows.
DELTA_START = {"delta2": 0.65, "delta1": 0.2}

# G of an expanded particle is G(r/(1 + e)) but for the cut: one evaluation tells where the peaks of the data are.
EXPANSIONS = np.linspace(-0.04, 0.04, 17)

# Looking for the expansion needs this many points per independent one: the rest of a fine grid says nothing new.
POINTS_PER_INDEPENDENT = 3.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What candidates are fitted to and how; small enough to travel with every chunk of candidates.

    data : the points in range. fit : the settings of every fit. patterns : beside G(r), by name. more : further G(r),
    in range, by name; name : of the first.
    """

    data: PDF
    fit: ScreenFit
    patterns: Mapping[str, MeasuredPattern] = field(default_factory=dict)
    more: Mapping[str, PDF] = field(default_factory=dict)
    name: str = "pdf"

    @classmethod
    def of(cls, data: Any, fit: ScreenFit) -> Problem:
        """Return the problem that the range of `fit` makes of the data. PdfkitError where no data are in it."""
        sets, patterns = beside.split(data)
        (name, pdf), *more = ((name, one.crop(fit.rmin, fit.rmax)) for name, one in sets.items())
        return cls(pdf, fit, patterns, dict(more), name)

    @property
    def displacement(self) -> str | float:
        """Whether atoms may be displaced."""
        return self.fit.displacement

    @property
    def fitted(self) -> Data:
        """What a candidate is fitted to."""
        return {self.name: self.data, **self.more, **self.patterns} if self.more or self.patterns else self.data

    def digest(self) -> str:
        """Return a hash of all that results depend on, in the words of the first journals."""
        options = {one.name: getattr(self.fit, one.name) for one in fields(self.fit) if one.name not in ELSEWHERE}
        options["weights"] = "auto" if options.pop("use_errors") else "none"
        if not options["exafs"]:  # which journals of before know nothing of
            del options["exafs"]
        # What instruments had not then says nothing as long as it is 0.
        instrument = re.sub(r"(resolution|qtail)=0\.0, ", "", repr(self.data.instrument))
        instrument = instrument.replace("scattering=", "weights=")
        about = [VERSION, options, instrument]
        out = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for curve in beside.curves_of(self.data):
            out.update(b"none" if curve is None else np.ascontiguousarray(curve).tobytes())
        if self.patterns:
            out.update(beside.digest_of(self.patterns))
        for name, one in self.more.items():
            out.update(name.encode() + beside.digest_of_pdf(one))
        return out.hexdigest()[:32]

    @property
    def weight(self) -> Array:
        """1/dG at every point, 1 where errors are not known or not used."""
        dG = self.data.dG if self.fit.use_errors else None
        return np.ones(len(self.data)) if dG is None else 1.0 / dG

    @property
    def thinning(self) -> int:
        """How many points of the data may be passed over where nothing is fitted finely."""
        qmax, step = self.data.instrument.qmax or math.inf, float(np.diff(self.data.r).max())
        return max(1, int(math.pi / (POINTS_PER_INDEPENDENT * qmax) / step + 1e-9))


def particle_key(particle: Particle) -> str:
    """Return a hash of elements and positions (to 1e-6 Å): the name of a candidate in the journal."""
    out = hashlib.sha256(" ".join(particle.symbols).encode())
    out.update((np.round(particle.xyz, 6) + 0.0).tobytes())
    return out.hexdigest()[:24]


def memory_needed(particle: Particle, parameters: int) -> float:
    """Return about how many bytes a fit takes: the pair count, and peaks with one derivative per parameter."""
    n, npairs = len(particle), len(particle.elements) * (len(particle.elements) + 1) / 2
    pairs = n * (n - 1) / 2
    bins = npairs * (particle.extent() / WIDTH + 2)
    count = 60.0 * n * n if n <= EXACT_ATOMS else 100.0 * n + 64.0 * bins
    peaks = pairs if n <= EXACT_ATOMS else min(pairs, bins)
    return count + peaks * (100.0 + 48.0 * (parameters + 1))


# --- models ----------------------------------------------------------------------------------------------------------


def start_model(particle: Particle, problem: Problem, name: str = PHASE) -> Model:
    """Return the model of a candidate at the start values, before anything is looked for.

    Raises PdfkitError for one atom, overlapping atoms, a start value of something it does not have.
    """
    needed = memory_needed(particle, len(problem.fit.free) + len(particle.elements))
    if needed > problem.fit.memory:
        raise PdfkitError(
            f"{len(particle)} atoms need about {needed / 1e9:.2g} GB and a candidate may take "
            f"{problem.fit.memory / 1e9:.2g} GB: give memory= more, or a smaller candidate"
        )
    # One Uiso for all species: what Cluster takes is wider than its annotation, which is of what it keeps.
    cluster = Cluster(particle, name, Uiso=UISO, surface=problem.fit.surface, baseline=problem.fit.baseline)  # type: ignore[arg-type]
    limits = {q.name: q.high for q in cluster.quantities if q.name in DELTA_START}
    wanted = {word: DELTA_START[word] * high for word, high in limits.items() if word in problem.fit.free}
    model = Model(cluster.with_values(wanted) if wanted else cluster, problem.data.instrument)
    values = {n: value for pattern, value in problem.fit.start.items() for n in matching(model.names, pattern)}
    return model.with_values(values) if values else model


def look_for_expansion(model: Model, problem: Problem) -> Model:
    """Return the model at the expansion whose peaks lie best on those of the data, where expansion is free.

    A fit finds the nearest minimum; peaks half a width off would lock on to the wrong ones.
    """
    if "expansion" not in problem.fit.free and f"{PHASE}.expansion" not in problem.fit.free:
        return model
    G = model.evaluator(problem.data.r)(model.values)[0]
    _, shift, _ = best_stretch(G, problem, EXPANSIONS)
    return _expanded(model, shift)


def _expanded(model: Model, shift: float) -> Model:
    changed = {}
    for q in model.quantities:
        if q.name.endswith(".expansion"):
            value = (1.0 + q.value) * (1.0 + shift) - 1.0
            changed[q.name] = min(max(value, -EXPANSION_RANGE), EXPANSION_RANGE)
    return model.with_values(changed)


def best_stretch(G: Array, problem: Problem, shifts: Array) -> tuple[float, float, float]:
    """Return the lowest Rw of scale·G(r/(1 + e)) over the shifts e, that e, and the scale.

    Only points whose r/(1 + e) lies within the range count. Rw² = 1 − (g·d)²/[(g·g)(d·d)] at the best scale, which is
    (g·d)/(g·g).
    """
    r, every = problem.data.r, problem.thinning
    coarse, weight, observed = r[::every], problem.weight[::every], problem.data.G[::every]
    best = (math.inf, 0.0, 0.0)
    for shift in shifts.tolist():
        position = coarse / (1.0 + shift)
        inside = slice(int(np.searchsorted(position, r[0])), int(np.searchsorted(position, r[-1], side="right")))
        g = np.interp(position[inside], r, G) * weight[inside]
        d = observed[inside] * weight[inside]
        gg, gd, dd = float(g @ g), float(g @ d), float(d @ d)
        rw = math.sqrt(max(0.0, 1.0 - gd * gd / (gg * dd))) if gd > 0 and dd > 0 else 1.0
        if rw < best[0]:
            best = (rw, shift, gd / gg if gg > 0 else 0.0)
    return best


# --- stages ----------------------------------------------------------------------------------------------------------


def fit_particle(particle: Particle, problem: Problem) -> FitResult:
    """Return the fit of one candidate: what the last stage records, with its curves.

    Raises PdfkitError for a candidate that cannot be fitted.
    """
    return fit_model(look_for_expansion(start_model(particle, problem), problem), problem, problem.fit.ties)


def fit_model(model: Model, problem: Problem, ties: Mapping[str, str | float]) -> FitResult:
    """Return the fit of a model that stands at its start values."""
    return fit(
        model,
        problem.fitted,
        free=problem.fit.free,
        ties=ties,
        bounds=problem.fit.bounds,
        use_errors=problem.fit.use_errors,
        # Candidates are ranked by one measure of misfit, the same for all.
        settings=FitSettings(
            problem.fit.errors, max_nfev=problem.fit.max_nfev, noise="own" if problem.more else "given"
        ),
        search="plain",
    )


def fit_record(result: FitResult) -> Record:
    """Return the numbers of a fit in types that JSON has."""
    values = {}
    for name, par in result.params.items():
        if par.vary or par.expr:
            error = None if par.stderr is None else float(par.stderr)
            values[name.removeprefix(f"{PHASE}.")] = (float(par.value), error)
    return {
        "rw": result.rw,
        "chi2": result.chi2,
        "reduced_chi2": result.reduced_chi2,
        "n_independent": result.n_independent,
        "occam": occam(result),
        "errors_from": result.errors_from,
        "n_free": len(result.free),
        "nfev": result.nfev,
        "converged": result.converged,
        "values": values,
        **({"parts": found} if (found := beside.parts_of(result)) else {}),
        # The table has χ² of each data set beside it.
        "remarks": [*([] if result.converged else [result.message]), *(t for t in result.remarks if LESS not in t)],
    }


def moved_record(result: FitResult, problem: Problem) -> Record:
    """Return what displaced atoms do to the evidence of a fit, where they may be: see `fitting.discrepancy`."""
    if problem.displacement == "none":
        return {}
    rival = Rival.of(result)
    return {"moved": {} if rival is None else rival.table(), "orders": LAST}


def weighable(record: Record, problem: Problem) -> bool:
    """Return whether a record says what the evidence needs; those in journals of before do not, or to another order."""
    needed = {"occam"} if problem.displacement == "none" else {"occam", "moved"}
    fits = record.get("fits", [record])
    known = [fit for fit in fits if fit is not None and "error" not in fit]
    return all(needed <= set(fit) and ("moved" not in needed or fit.get("orders") == LAST) for fit in known)


def _fit(particle: Particle, problem: Problem) -> Record:
    result = fit_particle(particle, problem)
    record = {**fit_record(result), **moved_record(result, problem)}
    return _with_shell(record, particle, problem) if problem.fit.exafs else record


def _with_shell(record: Record, particle: Particle, problem: Problem) -> Record:
    """Return a record with the first shells that EXAFS tells of, and how likely they make the candidate."""
    found = shell_of(particle, problem.fit.exafs, record["values"].get("expansion", (0.0, None)))
    return {**record, "shell": ln_shell(found, problem.fit.exafs), "values": {**record["values"], **found}}


def _mixture(parts: tuple[Particle, Particle], problem: Problem) -> Record:
    result = fit_mixture(parts, problem)
    share, error = result.fractions[MIXED[0]]["atoms"]
    # A scale near 0 and the U of what is hardly there make no normal distribution.
    return {
        **fit_record(result),
        **moved_record(result, problem),
        "occam": occam(result, drawn=True),
        "share": (share, error if math.isfinite(error) else None),
    }


MIXED = ("a", "b")


def fit_mixture(parts: tuple[Particle, Particle], problem: Problem) -> FitResult:
    """Return the fit of two candidates side by side: own scale and expansion, shared Uiso, delta1 and delta2.

    The same atoms in two arrangements vibrate alike, so that a mixture costs two parameters, not five.
    """
    models = []
    for particle, name in zip(parts, MIXED, strict=True):
        models.append(look_for_expansion(start_model(particle, problem, name), problem))
    both = Model([model.phases[0] for model in models], problem.data.instrument)
    ties = dict(problem.fit.ties)
    names = set(both.names)
    for name in both.names:
        twin = name.replace(f"{MIXED[0]}.", f"{MIXED[1]}.", 1)
        if name.startswith(f"{MIXED[0]}.") and name.endswith((".Uiso", ".delta1", ".delta2")) and twin in names:
            ties.setdefault(twin, name)
    return fit_model(both, problem, ties)


STAGES: Mapping[str, Callable[[Any, Problem], Record]] = {
    "fit": _fit,
    "mixture": _mixture,
}


def run_chunk(problem: Problem, stage: str, payloads: Sequence[Any]) -> list[Record]:
    """Return the record of each payload after a stage. One that fails has an "error" and stops nothing."""
    work = STAGES[stage]
    return [_guarded(work, payload, problem) for payload in payloads]


def _guarded(work: Callable[[Any, Problem], Record], payload: Any, problem: Problem) -> Record:
    try:
        with np.errstate(all="ignore"):
            return work(payload, problem)
    except PdfkitError as error:
        return {"error": " ".join(str(error).split())}
    except MemoryError:
        return {"error": "not enough memory: run fewer workers, or leave it out"}
    except Exception as error:  # whatever a strange candidate sets off: the others go on
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def lost(_: Any, words: str) -> Record:
    """Return the record of what no worker could finish."""
    return {"error": words}


PAIR = Particle.of(["C", "C"], [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])


def warm_up(problem: Problem) -> bool:
    """Load kernels and tables of a fresh process, with a fit that means nothing."""
    plain = replace(problem.fit, start={}, ties={}, bounds={}, free=("scale", "expansion", "Uiso"))
    run_chunk(replace(problem, fit=plain), "fit", [PAIR])
    return True


def check_problem(problem: Problem) -> None:
    """Refuse data and settings that no candidate could be fitted with.

    Raises PdfkitError for an instrument without probe or qmax, a choice that does not exist, and data that hold fewer
    independent points than a fit has parameters.
    """
    start_model(PAIR, replace(problem, fit=replace(problem.fit, start={}, memory=math.inf)))
    points, free = independent_points(problem), len(problem.fit.free)
    if points < free + 1:
        raise PdfkitError(
            f"the range holds {points:.1f} independent points (one every π/Qmax) for {free} free parameters: "
            "widen it with rmin and rmax"
        )


def check_parameters(problem: Problem, particle: Particle) -> None:
    """Refuse names that this candidate does not have (ParameterError), and what cannot be fitted at all."""
    params = parameters(start_model(particle, problem), problem.fitted)
    apply_choices(params, problem.fit.free, problem.fit.ties, problem.fit.bounds)


def independent_points(problem: Problem) -> float:
    """Return Δr·Qmax/π, or the number of points where that is smaller."""
    return results_problem.independent_points(problem.data, problem.data.instrument.qmax)
