"""Why G(r) dies out: particles that end, or an instrument that damps. Quick fits decide; what they cannot is said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pdfkit.data.advice import examine
from pdfkit.errors import PdfkitError
from pdfkit.shapes import Sphere

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import DataPlan, Proposal, Wishes
    from pdfkit.recipes.recipe import PhaseEntry
    from pdfkit.results.result import FitResult

# Å⁻¹: qdamp of usual instruments for total scattering, and what none exceeds (area detectors at 20 cm: 0.06).
USUAL, MOST = 0.04, 0.075
# What a fit must gain in Rw to be taken for more than another number that varies.
GAIN = 0.95
# What must be gained to believe in a size that is badly known, or in a damping beyond what is usual.
CLEAR = 0.85
# σ(D)/D up to which data tell size and damping apart by the shape of their decays alone.
APART = 0.05
# Diameters beyond this many times the range are as good as infinite.
BEYOND = 3.0
# Rw above which a structure does not describe the data at all.
NOTHING = 0.5
HOPELESS = 0.9
# qdamp as near as this (relative) to the known one is no other.
SAME = 0.1
_MANY = 12


@dataclass(frozen=True)
class Trial:
    """What a quick fit found: Rw, values and relative errors by name (those that are determined)."""

    rw: float
    values: Mapping[str, float]
    errors: Mapping[str, float]

    def diameter(self) -> float:
        """The largest diameter of a particle that varied."""
        return max((value for name, value in self.values.items() if name.endswith("spdiameter")), default=math.inf)

    def diameter_error(self) -> float:
        """σ(D)/D of the worst known diameter."""
        names = [name for name in self.values if name.endswith("spdiameter")]
        return max((self.errors.get(name, math.inf) / self.values[name] for name in names), default=math.inf)


def sized(plan: Proposal, wishes: Wishes) -> Proposal:
    """Return the proposal with the shapes of its crystals, and with what is free of the instrument.

    Raises PdfkitError where the header states another composition and no fit follows the data.
    """
    longest = max(plan.data, key=lambda one: one.range[1] - one.range[0])
    known = "qdamp" in longest.values
    if not crystals(plan):
        return lacking(plan if known else _usual(plan))
    tested = replace(plan, data=(longest,))
    if known:
        out, rw = _by_known(plan, tested, wishes)
    else:
        out, rw = _by_unknown(plan, tested, wishes)
    _refuse_foreign(plan, rw)
    _refuse_turned(tested, rw)
    return _doubted(out, tested, rw) if known and wishes.preset != "calibrate" else out


def crystals(plan: Proposal) -> list[PhaseEntry]:
    """Return the phases whose shape is open: crystals without one of their file."""
    return [entry for entry in plan.phases if not entry.is_cluster() and entry.build().shape.kind == "bulk"]


def _refuse_foreign(plan: Proposal, rw: float) -> None:
    from pdfkit.recipes.proposal import elements_apart

    built = [entry.build() for entry in plan.phases]
    for one in plan.data:
        foreign, _ = elements_apart(one.pdf, built)
        if foreign and rw > NOTHING:
            raise PdfkitError(
                f"{one.file.name} is of {one.pdf.composition} by its header, the structures hold {', '.join(foreign)}, "
                f"and the best fit has Rw = {rw:.2f}: give the structure of this sample, or correct the header"
            )


def _refuse_turned(tested: Proposal, rw: float) -> None:
    """Refuse data whose sign is turned: nothing describes them, and the same model describes their negative."""
    if rw < HOPELESS:
        return
    (one,) = tested.data
    turned = trial(replace(tested, data=(replace(one, pdf=replace(one.pdf, G=-one.pdf.G)),)))
    if turned.rw < NOTHING:
        raise PdfkitError(
            f"{one.file.name} has the wrong sign: the fit has Rw {turned.rw:.2f} with -G(r), "
            f"{rw:.2f} with G(r) as it is; turn the sign of its values"
        )


# --- the resolution is known -----------------------------------------------------------------------------------------


def _by_known(plan: Proposal, tested: Proposal, wishes: Wishes) -> tuple[Proposal, float]:
    bulk = trial(tested)
    if wishes.preset in ("bulk", "calibrate"):
        return (calibrated(plan) if wishes.preset == "calibrate" else plan), bulk.rw
    ball = trial(with_spheres(tested))
    small = ball.rw < GAIN * bulk.rw and ball.diameter() < BEYOND * tested.data[0].range[1]
    if not small and wishes.preset != "nanocrystal":
        return _of_bulk(plan, bulk, ball), bulk.rw
    text = f"as particles of {_diameters(ball)} the fit has Rw {ball.rw:.3f}, as bulk {bulk.rw:.3f}"
    plan = with_spheres(plan, ball)
    zero = [one.file.name for one in plan.data if one.values.get("qdamp") == 0]
    said = [f"the shape is a sphere: {text}"]
    said += [f"{name}: qdamp is 0: if that is no calibration, diameters come out too small" for name in zero]
    return replace(plan, assumed=(*plan.assumed, *said), why={**plan.why, "shape": text}), ball.rw


def _doubted(plan: Proposal, tested: Proposal, rw: float) -> Proposal:
    """Return the plan, and where another qdamp would describe the data far better, say so."""
    (one,) = tested.data
    value = one.values["qdamp"]
    start = replace(tested, data=(one.with_value("qdamp", USUAL, ""),), free=(*tested.free, "qdamp"))
    round_ones = any("shape" in entry.options for entry in plan.phases)
    found = min((trial(start), *([trial(with_spheres(start))] if round_ones else [])), key=lambda each: each.rw)
    better = found.values.get("qdamp", value)
    if found.rw >= CLEAR * rw or better > MOST or abs(better - value) < SAME * value:
        return plan
    said = (
        f"{one.file.name}: qdamp is {value:g} ({one.why.get('qdamp', 'given')}), and with qdamp free the fit "
        f"would have Rw {found.rw:.3f} at qdamp {better:.3f} in place of {rw:.3f}: is it right? Measure a "
        "standard to tell (--preset calibrate)"
    )
    return replace(plan, assumed=(said, *plan.assumed))


def _of_bulk(plan: Proposal, bulk: Trial, ball: Trial) -> Proposal:
    text = f"bulk: as particles the fit gains nothing (Rw {ball.rw:.3f} against {bulk.rw:.3f})"
    return replace(plan, why={**plan.why, "shape": text})


# --- the resolution is not known -------------------------------------------------------------------------------------


def _by_unknown(plan: Proposal, tested: Proposal, wishes: Wishes) -> tuple[Proposal, float]:
    bulk = trial(damped(tested))
    if wishes.preset == "calibrate":
        return calibrated(plan), bulk.rw
    qdamp = bulk.values.get("qdamp", 0.0)
    if wishes.preset == "bulk":
        return _damped_bulk(plan, tested, bulk), bulk.rw
    both = trial(with_spheres(damped(tested)))
    if _told_apart(tested, bulk, both):
        said = (
            f"the header has no qdamp; it varies with the diameter, which the decay of G(r) tells apart here "
            f"({_diameters(both)}; a calibration and --qdamp are safer)"
        )
        out = damped(with_spheres(plan, both))
        return replace(out, assumed=(*out.assumed, said), why={**out.why, "shape": said}), both.rw
    if qdamp <= MOST and wishes.preset != "nanocrystal":
        return _damped_bulk(plan, tested, bulk, both), bulk.rw
    return _usual_spheres(plan, tested, bulk, wishes)


def _told_apart(tested: Proposal, bulk: Trial, both: Trial) -> bool:
    """Return whether data tell that particles end: the diameter is well known, or nothing else comes near the fit."""
    if both.diameter() >= BEYOND * tested.data[0].range[1] or both.rw >= GAIN * bulk.rw:
        return False
    if both.diameter_error() < APART and both.values.get("qdamp", 0.0) <= MOST:
        return True
    return both.rw < CLEAR * min(bulk.rw, trial(damped(tested, "resolution")).rw)


def _damped_bulk(plan: Proposal, tested: Proposal, bulk: Trial, both: Trial | None = None) -> Proposal:
    """Return the proposal of a bulk sample whose damping is the instrument's; both : particles, if they were tried."""
    sharper = trial(damped(tested, "resolution"))
    blurred = sharper.rw < GAIN * bulk.rw
    words = "qdamp and resolution vary" if blurred else "qdamp varies"
    qdamp = bulk.values.get("qdamp", 0.0)
    said = (
        f"the header has no qdamp: {words}, as of a bulk sample (qdamp {qdamp:.3f}"
        f"{', more than most instruments have' if qdamp > MOST else ''}); {_alike(bulk, both)}: give --qdamp from a "
        "calibration (--preset calibrate on Ni) to tell"
    )
    plan = damped(plan, *(("resolution",) if blurred else ()))
    return replace(plan, assumed=(*plan.assumed, said), why={**plan.why, "shape": "bulk, " + words})


def _alike(bulk: Trial, both: Trial | None) -> str:
    """Return what particles would be that look like a bulk sample under a damping."""
    if both is None or both.rw >= GAIN * bulk.rw or both.diameter() > 1e3:
        return "particles that end would look alike"
    return f"spheres of {_diameters(both)} would look alike, or better (Rw {both.rw:.3f}, as bulk {bulk.rw:.3f})"


def _usual_spheres(plan: Proposal, tested: Proposal, bulk: Trial, wishes: Wishes) -> tuple[Proposal, float]:
    """Return the proposal of particles under a usual damping, and say what others would make of them.

    Where a bulk sample under a strong damping is far better, it is that, unless particles were asked for.
    """
    qdamp = bulk.values.get("qdamp", 0.0)
    found = {value: trial(with_spheres(held(tested, value))) for value in (0.0, USUAL, 0.06)}
    best = found[USUAL]
    if wishes.preset != "nanocrystal" and bulk.rw < CLEAR * min(one.rw for one in found.values()):
        return _damped_bulk(plan, tested, bulk), bulk.rw
    ends = [f"{_diameters(found[value])} at {value:g}" for value in (0.0, 0.06)]
    why = f" (as bulk qdamp would be {qdamp:.2f}, more than instruments have)" if qdamp > MOST else ""
    said = (
        f"the header has no qdamp and G(r) dies out: spheres{why}. qdamp = {USUAL:g} Å⁻¹ is assumed: D is "
        f"{_diameters(best)}, and would be {', '.join(ends)}. Size and damping look alike: give --qdamp from a "
        "calibration"
    )
    out = with_spheres(held(plan, USUAL), best)
    return replace(out, assumed=(*out.assumed, said), why={**out.why, "shape": said}), best.rw


def _usual(plan: Proposal) -> Proposal:
    """Return a proposal of clusters, which end by themselves, under a usual damping where none is known."""
    out = held(plan, USUAL)
    said = f"the header has no qdamp: {USUAL:g} Å⁻¹ is assumed, usual for X-rays (--qdamp from a calibration)"
    return replace(out, assumed=(*out.assumed, said))


# --- small angles ----------------------------------------------------------------------------------------------------

# Å⁻¹: where measurements usually begin, with 0 for what holds the small angles, too.
QMIN = (0.0, 0.5, 0.8, 1.0)


def lacking(plan: Proposal) -> Proposal:
    """Return the plan of clusters with Qmin of data whose header has none, where they lack small angles.

    A cluster is computed with its small angles, which show as a slow wave of G(r): quick fits without those below a few
    Qmin say whether the data have them. The best must gain 5 % in Rw.
    """
    data, said = [], []
    for one in plan.data:
        if not any(entry.is_cluster() for entry in plan.phases) or "qmin" in one.pdf.instrument.given:
            data.append(one)
            continue
        found = {q: trial(replace(plan, data=(one.with_value("qmin", q, ""),))).rw for q in QMIN}
        best = min(found, key=lambda q: found[q])
        if found[best] > GAIN * found[0.0]:
            data.append(one)
            continue
        each = ", ".join(f"{rw:.3f} at {q:g}" for q, rw in found.items())
        why = f"the header has no Qmin; without small angles the fit has Rw {each}, so Qmin {best:g} Å⁻¹ is taken"
        said.append(f"{one.file.name}: {why} (change qmin in the recipe if it is known)")
        data.append(one.with_value("qmin", best, f"estimated: Rw {each}"))
    return replace(plan, data=tuple(data), assumed=(*plan.assumed, *said))


# --- changes of a plan -----------------------------------------------------------------------------------------------


def _without_qdamp(plan: Proposal) -> list[DataPlan]:
    return [one for one in plan.data if "qdamp" not in one.values]


def held(plan: Proposal, value: float) -> Proposal:
    """Return the plan with qdamp where a header has none."""
    data = [one if "qdamp" in one.values else one.with_value("qdamp", value, "assumed") for one in plan.data]
    return replace(plan, data=tuple(data))


def damped(plan: Proposal, *more: str) -> Proposal:
    """Return the plan with qdamp (and more) free of the data sets whose header has none."""
    several = len(plan.data) > 1
    lead = [f"{one.name}." if several else "" for one in _without_qdamp(plan)]
    names = [f"{one}{name}" for one in lead for name in ("qdamp", *more)]
    data = []
    for one in plan.data:
        if "qdamp" not in one.values:
            said = one.pdf.instrument.qdamp
            one = one.with_value("qdamp", said or USUAL, f"a start: the header has {'this' if said else 'none'}")
            one = one.with_value("resolution", 0.001, "a start") if more else one
        data.append(one)
    return replace(plan, data=tuple(data), free=(*plan.free, *names))


def calibrated(plan: Proposal) -> Proposal:
    """Return the plan with damping and resolution free, whatever headers say."""
    data = [
        replace(one, values={key: value for key, value in one.values.items() if key not in ("qdamp", "resolution")})
        for one in plan.data
    ]
    out = damped(replace(plan, data=tuple(data)), "resolution")
    said = "calibration: qdamp and resolution vary, and the sample counts as bulk"
    return replace(out, assumed=(*out.assumed, said), why={**out.why, "shape": said})


def with_spheres(plan: Proposal, found: Trial | None = None) -> Proposal:
    """Return the plan with its crystals as spheres: one D where phases are of the same elements."""
    from pdfkit.recipes.proposal import elements_of

    reach = plan.data[0].range[1]
    leaders: dict[frozenset[str], str] = {}
    phases, ties, free = [], dict(plan.ties), list(plan.free)
    open_ones = {entry.name for entry in crystals(plan)}
    for entry in plan.phases:
        value = start_diameter(plan) if found is None else found.values.get(f"{entry.name}.spdiameter")
        if entry.name not in open_ones or value is None or value > BEYOND * reach:
            phases.append(entry)
            continue
        phases.append(replace(entry, options={**entry.options, "shape": Sphere(round(float(value), 1))}))
        first = leaders.setdefault(frozenset(elements_of(entry.build())), entry.name)
        if first != entry.name:
            ties[f"{entry.name}.spdiameter"] = f"{first}.spdiameter"
    if len(phases) > 0 and "spdiameter" not in free:
        free.append("spdiameter")
    return replace(plan, phases=tuple(phases), ties=ties, free=tuple(free))


def start_diameter(plan: Proposal) -> float:
    """Return a diameter (Å) to start from: where order ends, or most of the range."""
    one = plan.data[0]
    advice = examine(one.pdf)
    order = advice.coherence if advice.coherence is not None and not advice.reaches_end else 0.8 * one.range[1]
    return float(min(max(order, 12.0), one.range[1]))


def _diameters(found: Trial) -> str:
    values = [value for name, value in found.values.items() if name.endswith("spdiameter")]
    return " and ".join(f"{value:.1f} Å" if value < 1e3 else "no end" for value in dict.fromkeys(values))


# --- quick fits ------------------------------------------------------------------------------------------------------


def trial(plan: Proposal) -> Trial:
    """Return what a quick fit of a plan of one data set finds: without the spectrum of its noise.

    One that ends nowhere may have begun with a cell that is too far off: it is looked for then.
    """
    result = fitted(plan, "plain")
    if result.rw > NOTHING:
        result = min(result, fitted(plan, "staged"), key=lambda each: each.rw)
    kept = [name for name, par in result.params.items() if par.vary or par.expr]
    errors = {name: result.params[name].stderr for name in kept if result.params[name].stderr}
    return Trial(result.rw, {name: float(result.params[name].value) for name in kept}, errors)


def fitted(plan: Proposal, search: str, most: int | None = None) -> FitResult:
    """Return a quick fit of the first data set of a plan, of at most so many evaluations."""
    from pdfkit.fitting.least_squares import fit
    from pdfkit.model.model import Model
    from pdfkit.results.problem import MAX_NFEV, FitSettings

    one = plan.data[0]
    pdf = one.measured()
    model = Model([entry.build() for entry in plan.phases], pdf.instrument)
    return fit(
        model,
        pdf,
        rmin=one.range[0],
        rmax=one.range[1],
        free=_few(plan.free),
        ties=plan.ties,
        settings=FitSettings(noise="given", max_nfev=most or MAX_NFEV),
        search=search,
    )


def _few(free: Iterable[str]) -> list[Any]:
    """Return what varies in a quick fit: no positions where there are many names."""
    free = list(free)
    if len(free) <= _MANY:
        return free
    return [name for name in free if name.rpartition(".")[2] not in ("x", "y", "z", "U12", "U13", "U23")]
