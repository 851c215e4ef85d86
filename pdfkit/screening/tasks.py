"""What a worker does to a candidate: match, scale or fit it. Pure functions of the candidate and a `Setting`.

Everything here can be pickled by name, so that it runs in threads, processes, under MPI or on dask workers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.least_squares import fit, parameters
from pdfkit.model.model import Model
from pdfkit.model.params import apply_choices, matching
from pdfkit.particles.counting import EXACT_ATOMS, WIDTH
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import EXPANSION_RANGE, Cluster
from pdfkit.results.result import FitResult

if TYPE_CHECKING:
    pass


# --- What a worker does to a candidate -------------------------------------------------------------------------------

Record = dict[str, Any]
"""What is known of a candidate after a stage, in types that JSON has. "error" instead of numbers where it failed."""

VERSION = 1
"""Changed when the same setting would give other numbers: journals of another version are not continued."""

PHASE = "c"

UISO = 0.03
"""Å²: displacement that candidates start from; clusters of a few nm are softer than crystals."""

# Bonded atoms move together: correlated motion starts at this share of the largest value the bond allows.
DELTA_START = {"delta2": 0.65, "delta1": 0.2}

# G of an expanded particle is G(r/(1 + e)) but for the cut: one evaluation tells where the peaks of the data are.
EXPANSIONS = np.linspace(-0.04, 0.04, 17)

# A match needs this many points per independent one: the rest of a fine grid says nothing new.
POINTS_PER_INDEPENDENT = 3.0

# The funnel's second stage: one U for all atoms, at these multiples of the start values.
FACTORS = (0.4, 0.63, 1.0, 1.6, 2.5)


@dataclass(frozen=True, eq=False)
class Setting:
    """What candidates are fitted to and how; small enough to travel with every chunk of candidates.

    data : the points in range. free, ties, bounds : as for `pdfkit.fit`. start : start values by the ending of
    parameter names. surface, baseline : as for `Cluster`. use_errors, errors, max_nfev : as for `fit`. memory : bytes
    that one candidate may need.
    """

    data: PDF
    free: tuple[str, ...]
    start: Mapping[str, float] = field(default_factory=dict)
    ties: Mapping[str, str | float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    surface: bool = False
    baseline: str = "auto"
    use_errors: bool = True
    errors: str = "auto"
    max_nfev: int = 100
    memory: float = 1e9

    def options(self) -> dict[str, Any]:
        """Return everything but the data and the memory, in types that JSON has."""
        return {
            "free": list(self.free),
            "start": dict(self.start),
            "ties": dict(self.ties),
            "bounds": {name: list(limits) for name, limits in self.bounds.items()},
            "surface": self.surface,
            "baseline": self.baseline,
            "use_errors": self.use_errors,
            "errors": self.errors,
            "max_nfev": self.max_nfev,
        }

    def digest(self) -> str:
        """Return a hash of all that results depend on."""
        about = [VERSION, self.options(), repr(self.data.instrument)]
        out = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        cov = self.data.cov
        curves = [self.data.r, self.data.G, self.data.dG]
        curves += [] if cov is None else [cov.Q, cov.weight, cov.variance, cov.modes, cov.core]
        for curve in curves:
            out.update(b"none" if curve is None else np.ascontiguousarray(curve).tobytes())
        return out.hexdigest()[:32]

    @property
    def weight(self) -> Array:
        """1/dG at every point, 1 where errors are not known or not used."""
        known = self.data.dG is not None and self.use_errors
        return 1.0 / self.data.dG if known and self.data.dG is not None else np.ones(len(self.data))

    @property
    def thinning(self) -> int:
        """How many points of the data a match may pass over."""
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


def start_model(particle: Particle, setting: Setting, name: str = PHASE) -> Model:
    """Return the model of a candidate at the start values, before anything is looked for.

    Raises PdfkitError for one atom, overlapping atoms, a start value of something it does not have.
    """
    needed = memory_needed(particle, len(setting.free) + len(particle.elements))
    if needed > setting.memory:
        raise PdfkitError(
            f"{len(particle)} atoms need about {needed / 1e9:.2g} GB and a candidate may take "
            f"{setting.memory / 1e9:.2g} GB: give memory= more, or a smaller candidate"
        )
    # One Uiso for all species: what Cluster takes is wider than its annotation, which is of what it keeps.
    cluster = Cluster(particle, name, Uiso=UISO, surface=setting.surface, baseline=setting.baseline)  # type: ignore[arg-type]
    limits = {q.name: q.high for q in cluster.quantities if q.name in DELTA_START}
    wanted = {word: DELTA_START[word] * high for word, high in limits.items() if word in setting.free}
    model = Model(cluster.with_values(wanted) if wanted else cluster, setting.data.instrument)
    values = {n: value for pattern, value in setting.start.items() for n in matching(model.names, pattern)}
    return model.with_values(values) if values else model


def look_for_expansion(model: Model, setting: Setting) -> Model:
    """Return the model at the expansion whose peaks lie best on those of the data, where expansion is free.

    A fit finds the nearest minimum; peaks half a width off would lock on to the wrong ones.
    """
    if "expansion" not in setting.free and f"{PHASE}.expansion" not in setting.free:
        return model
    G = model.evaluator(setting.data.r)(model.values)[0]
    _, shift, _ = best_stretch(G, setting, EXPANSIONS)
    return _expanded(model, shift)


def _expanded(model: Model, shift: float) -> Model:
    changed = {}
    for q in model.quantities:
        if q.name.endswith(".expansion"):
            value = (1.0 + q.value) * (1.0 + shift) - 1.0
            changed[q.name] = min(max(value, -EXPANSION_RANGE), EXPANSION_RANGE)
    return model.with_values(changed)


def best_stretch(G: Array, setting: Setting, shifts: Array) -> tuple[float, float, float]:
    """Return the lowest Rw of scale·G(r/(1 + e)) over the shifts e, that e, and the scale.

    Only points whose r/(1 + e) lies within the range count. Rw² = 1 − (g·d)²/[(g·g)(d·d)] at the best scale, which is
    (g·d)/(g·g).
    """
    r, every = setting.data.r, setting.thinning
    coarse, weight, observed = r[::every], setting.weight[::every], setting.data.G[::every]
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


def fit_particle(particle: Particle, setting: Setting) -> FitResult:
    """Return the fit of one candidate: what the last stage records, with its curves.

    Raises PdfkitError for a candidate that cannot be fitted.
    """
    return fit_model(look_for_expansion(start_model(particle, setting), setting), setting, setting.ties)


def fit_model(model: Model, setting: Setting, ties: Mapping[str, str | float]) -> FitResult:
    """Return the fit of a model that stands at its start values."""
    return fit(
        model,
        setting.data,
        free=setting.free,
        ties=ties,
        bounds=setting.bounds,
        use_errors=setting.use_errors,
        errors=setting.errors,
        max_nfev=setting.max_nfev,
    )


def match_particle(particle: Particle, setting: Setting, factors: Sequence[float]) -> Record:
    """Return how well a candidate matches with nothing fitted but the scale, and U common to all atoms where asked.

    factors : multiples of all U that are tried. Expansion is looked for where it is free.
    """
    model = start_model(particle, setting)
    shifts = EXPANSIONS if "expansion" in setting.free else np.zeros(1)
    evaluate = model.evaluator(setting.data.r)
    u = np.array([name.endswith(".Uiso") for name in model.names])
    best: tuple[float, float, float, float] = (math.inf, 0.0, 0.0, 1.0)
    for factor in factors:
        G = evaluate(np.where(u, model.values * factor, model.values))[0]
        best = min(best, (*best_stretch(G, setting, shifts), factor))
    rw, shift, scale, factor = best
    values = {
        "scale": (scale, None),
        "expansion": (float(_expanded(model, shift).phases[0].quantities[1].value), None),
    }
    for name, value in zip(model.names, model.values.tolist(), strict=True):
        if name.endswith(".Uiso"):
            values[name.removeprefix(f"{PHASE}.")] = (value * factor, None)
    return {"rw": rw, "chi2": rw**2 * float(((setting.data.G * setting.weight) ** 2).sum()), "values": values}


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
        "errors_from": result.errors_from,
        "n_free": len(result.free),
        "nfev": result.nfev,
        "converged": result.converged,
        "values": values,
        "remarks": [*([] if result.converged else [result.message]), *result.remarks],
    }


def _match(particle: Particle, setting: Setting) -> Record:
    return match_particle(particle, setting, (1.0,))


def _scale(particle: Particle, setting: Setting) -> Record:
    return match_particle(particle, setting, FACTORS)


def _fit(particle: Particle, setting: Setting) -> Record:
    return fit_record(fit_particle(particle, setting))


def _mixture(parts: tuple[Particle, Particle], setting: Setting) -> Record:
    result = fit_mixture(parts, setting)
    share, error = result.fractions[MIXED[0]]["atoms"]
    return {**fit_record(result), "share": (share, error if math.isfinite(error) else None)}


MIXED = ("a", "b")


def fit_mixture(parts: tuple[Particle, Particle], setting: Setting) -> FitResult:
    """Return the fit of two candidates side by side: own scale and expansion, shared Uiso, delta1 and delta2.

    The same atoms in two arrangements vibrate alike, so that a mixture costs two parameters, not five.
    """
    models = []
    for particle, name in zip(parts, MIXED, strict=True):
        models.append(look_for_expansion(start_model(particle, setting, name), setting))
    both = Model([model.phases[0] for model in models], setting.data.instrument)
    ties = dict(setting.ties)
    names = set(both.names)
    for name in both.names:
        twin = name.replace(f"{MIXED[0]}.", f"{MIXED[1]}.", 1)
        if name.startswith(f"{MIXED[0]}.") and name.endswith((".Uiso", ".delta1", ".delta2")) and twin in names:
            ties.setdefault(twin, name)
    return fit_model(both, setting, ties)


STAGES: Mapping[str, Callable[[Any, Setting], Record]] = {
    "match": _match,
    "scale": _scale,
    "fit": _fit,
    "mixture": _mixture,
}


def run_chunk(setting: Setting, stage: str, payloads: Sequence[Any]) -> list[Record]:
    """Return the record of each payload after a stage. One that fails has an "error" and stops nothing."""
    work = STAGES[stage]
    return [_guarded(work, payload, setting) for payload in payloads]


def _guarded(work: Callable[[Any, Setting], Record], payload: Any, setting: Setting) -> Record:
    try:
        with np.errstate(all="ignore"):
            return work(payload, setting)
    except PdfkitError as error:
        return {"error": " ".join(str(error).split())}
    except MemoryError:
        return {"error": "not enough memory: run fewer workers, or leave it out"}
    except Exception as error:  # whatever a strange candidate sets off: the others go on
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def lost(_: Any, words: str) -> Record:
    """Return the record of what no worker could finish."""
    return {"error": words}


def warm_up(setting: Setting) -> bool:
    """Load kernels and tables of a fresh process, with a fit that means nothing."""
    pair = Particle.of(["C", "C"], [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    run_chunk(replace(setting, start={}, ties={}, bounds={}, free=("scale", "expansion", "Uiso")), "fit", [pair])
    return True


def check_setting(setting: Setting, particle: Particle | None = None) -> None:
    """Refuse settings that no candidate could be fitted with, or that this one cannot.

    Raises PdfkitError for an instrument without probe or qmax, a choice that does not exist; with a particle,
    ParameterError for names that it does not have.
    """
    if particle is None:
        pair = Particle.of(["C", "C"], [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
        start_model(pair, replace(setting, start={}, memory=math.inf))
        _checks.flag("use_errors", setting.use_errors)
        _checks.choice("errors", setting.errors, ("auto", "covariance", "independent"))
        if not setting.free:
            raise ParameterError('nothing is free: give free=["scale", "expansion", "Uiso", ...]')
        return
    params = parameters(start_model(particle, setting))
    apply_choices(params, setting.free, setting.ties, setting.bounds)


# --- How much the data say for a candidate ---------------------------------------------------------------------------


def independent_points(setting: Setting) -> float:
    """Return Δr·Qmax/π, or the number of points where that is smaller."""
    data = setting.data
    span = float(data.r[-1] - data.r[0])
    return min(float(len(data)), span * (data.instrument.qmax or math.inf) / math.pi)
