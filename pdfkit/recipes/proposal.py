"""From data and structures to a fit: what a fit of these files should be, with every assumption said.

`propose` looks at headers, first peaks and symmetry, and lets quick fits decide about size; `written.recipe_of` makes a
recipe of it. Nothing is read or written here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pdfkit import _checks
from pdfkit.data.advice import band_limit, first_peak
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.phases.base import plain_word
from pdfkit.recipes.inputs import Inputs
from pdfkit.recipes.recipe import WRITE, PhaseEntry

PRESETS = ("calibrate", "nanocrystal", "two-phase", "bulk")
# Å: bulk crystals say all there is to say of themselves within this range.
FAR = 50.0
# Å: what measurements of total scattering resolve at the least, between a first peak and where its foot begins.
FOOT = 0.9


@dataclass(frozen=True)
class Wishes:
    """What a user said beside the files; None and () where nothing.

    free, ties : changes of what varies, and of what follows what (`pdfkit.recipes.changes`). molecules : whether pairs
    within molecules have a width of their own. rigid : whether these move as bodies.
    """

    preset: str | None = None
    probe: str | None = None
    qmin: float | None = None
    qmax: float | None = None
    qdamp: float | None = None
    rmin: float | None = None
    rmax: float | None = None
    free: tuple[str, ...] = ()
    ties: Mapping[str, str] = field(default_factory=dict)
    molecules: bool = False
    rigid: bool = False

    def __post_init__(self) -> None:
        if self.preset is not None:
            _checks.choice("preset", self.preset, PRESETS)

    def options(self) -> dict[str, Any]:
        """Return what a reader is told of the data."""
        known = {"probe": self.probe, "qmin": self.qmin, "qmax": self.qmax, "qdamp": self.qdamp}
        return {key: value for key, value in known.items() if value is not None}


@dataclass(frozen=True)
class DataPlan:
    """One data set: its file, what is said of it (keys of [data]) and why, key by key."""

    file: Path
    name: str
    pdf: PDF
    values: Mapping[str, Any]
    why: Mapping[str, str]

    @property
    def range(self) -> tuple[float, float]:
        """The range of the fit in Å."""
        return self.values["rmin"], self.values["rmax"]

    def with_value(self, key: str, value: Any, why: str) -> DataPlan:
        """Return the plan with another value."""
        return replace(self, values={**self.values, key: value}, why={**self.why, key: why})

    def measured(self) -> PDF:
        """Return the data as the plan says that they were measured."""
        known = {key: value for key, value in self.values.items() if key in _OF_INSTRUMENT}
        given = (*self.pdf.instrument.given, *known)
        return replace(self.pdf, instrument=replace(self.pdf.instrument, **known, given=given))


_OF_INSTRUMENT = ("probe", "qmin", "qmax", "window", "qdamp", "qbroad", "resolution")


@dataclass(frozen=True)
class Proposal:
    """A fit that is proposed: data, phases, what varies, ties and limits; `assumed`: sentences on what files left open.

    doubts : those of them that say that a structure is not of the sample.
    why : of phases and of what is free, by name of the phase or "free". search : as for `pdfkit.fit`. prefix, write :
    of the files of results, as every recipe has them that does not say otherwise.
    """

    prefix: ClassVar[str] = ""
    write: ClassVar[tuple[str, ...]] = WRITE

    title: str
    data: tuple[DataPlan, ...]
    phases: tuple[PhaseEntry, ...]
    free: tuple[str, ...] = ()
    ties: Mapping[str, str] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    search: str | Mapping[str, Any] = "staged"


def propose(given: Inputs, wishes: Wishes | None = None) -> Proposal:
    """Return the fit to propose for data and structures.

    Raises PdfkitError where what is missing cannot be told from the files, or where data and structures do not belong
    together.
    """
    from pdfkit.recipes import budget, silence, sizing
    from pdfkit.recipes.freedom import freed

    wishes = wishes or Wishes()
    phases, why, said = _phases(given, wishes)
    built = [entry.build() for entry in phases]
    data, more = _data(given, built, wishes)
    base = Proposal(_title(data, built), data, phases, doubts=_foreign(data, built), why=why)
    if (seconds := budget.cost(all_free := freed(base, built), built)) > budget.MOST:
        out = budget.untried(replace(all_free, assumed=(*said, *more, *all_free.assumed)), seconds, wishes)
        return _changed(out, wishes) if wishes.free or wishes.ties else out
    data, heard = silence.heard(all_free, wishes)
    base = replace(base, data=data, assumed=(*said, *more, *heard))
    sized = sizing.sized(freed(base, built), wishes)
    return _changed(sized, wishes) if wishes.free or wishes.ties else sized


def _title(data: Iterable[DataPlan], phases: Iterable[Any]) -> str:
    return f"{', '.join(one.file.stem for one in data)}: {' + '.join(phase.name for phase in phases)}"


def _changed(plan: Proposal, wishes: Wishes) -> Proposal:
    """Return the proposal with other parameters free or tied; ParameterError where a fit could not be told so."""
    from pdfkit.model.params import apply_choices
    from pdfkit.recipes.changes import changed, retied, untied

    params = _parameters(plan)
    names = sorted(params)
    free = changed(plan.free, wishes.free, names) if wishes.free else plan.free
    free, ties = retied(free, untied(plan.ties, wishes.free, names), wishes.ties, names)
    apply_choices(params, free, ties)
    return replace(plan, free=free, ties=ties)


def _parameters(plan: Proposal) -> Any:
    from pdfkit.fitting.least_squares import parameters
    from pdfkit.model.model import Model

    model = Model([entry.build() for entry in plan.phases], plan.data[0].measured().instrument)
    return parameters(model, [one.name for one in plan.data] if len(plan.data) > 1 else [""])


# --- phases ----------------------------------------------------------------------------------------------------------


def _phases(given: Inputs, wishes: Wishes) -> tuple[tuple[PhaseEntry, ...], dict[str, str], list[str]]:
    """Return the phases with their start values, why, and what is to be said of them."""
    structures = dict(given.structures)
    if wishes.preset == "two-phase" and len(structures) == 1:
        structures |= _partner(*structures.items())
    entries: list[PhaseEntry] = []
    why: dict[str, str] = {}
    said: list[str] = []
    taken = {plain_word(path.stem) for path in given.data} if len(given.data) > 1 else set()
    for word, phase in structures.items():
        name = own_name(plain_word(Path(word).stem), {*taken, *(entry.name for entry in entries)})
        entry, text = entry_of(word, phase, name, wishes)
        said += [f"{Path(word).name}: {one}" for one in text]
        entries.append(entry)
        why[name] = "; ".join(text)
    if (wishes.molecules or wishes.rigid) and not any("molecules" in entry.options for entry in entries):
        raise PdfkitError(
            f"--{'rigid' if wishes.rigid else 'molecules'}: no structure here holds molecules, groups of bonded atoms "
            "that end: leave it out, or name their atoms in a recipe (molecules under phase)"
        )
    return tuple(entries), why, said


def entry_of(word: str, phase: Any, name: str, wishes: Wishes) -> tuple[PhaseEntry, list[str]]:
    """Return a structure as a phase of a recipe, with start values, and what is to be said of its symmetry."""
    options, text = _symmetry(phase)
    options |= _molecules(phase, wishes)
    entry = PhaseEntry(name, word, Path(), options, {}, "")
    return replace(entry, start=_start(entry.build())), text


def _molecules(phase: Any, wishes: Wishes) -> dict[str, Any]:
    """Return the options that find the molecules of a crystal, where that is wished and it has some."""
    if phase.kind != "crystal" or not (wishes.molecules or wishes.rigid):
        return {}
    try:
        replace(phase, molecules="find")
    except PdfkitError:
        return {}
    return {"molecules": "find", "rigid": True} if wishes.rigid else {"molecules": "find"}


def _partner(known: tuple[str, Any]) -> dict[str, Any]:
    """Return the other of zinc blende and wurtzite of the same elements, from the structures that come with pdfkit."""
    from pdfkit.io.structures import available_structures
    from pdfkit.phases.crystal import Crystal

    word, phase = known
    elements = set(phase.structure.composition()) if phase.kind == "crystal" else set()
    for name in available_structures():
        other = Crystal.from_file(name)
        if set(other.structure.composition()) == elements and len(other.structure.rotations) != len(
            phase.structure.rotations
        ):
            return {name: other}
    raise PdfkitError(
        f"--preset two-phase: no second structure of {'–'.join(sorted(elements)) or word} comes with pdfkit: name two "
        "structures"
    )


def own_name(name: str, taken: set[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    k = 2
    found = name
    while found in taken:
        found, k = f"{name}_{k}", k + 1
    return found


def _symmetry(phase: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the option that finds the space group of a cell whose atoms are merely listed, where they have one."""
    if phase.kind != "crystal" or len(phase.structure.rotations) > 1 or len(phase.structure.sites) < 2:
        return {}, []
    try:
        found = phase.structure.find_symmetry()
    except PdfkitError:
        return {}, []
    if len(found.rotations) == 1:
        return {}, []
    atoms = len(phase.structure.sites)
    return {"symmetry": "find"}, [f"its {atoms} atoms, listed without symmetry, have space group {found.spacegroup}"]


def _start(phase: Any) -> dict[str, float]:
    """Return start values: delta2 where atoms are bonded, and U where the file's is none that atoms have."""
    known = {q.name: q.value for q in phase.quantities}
    most = 0.15 if getattr(phase, "molecules", "") else 0.04
    sites = {name: U for name, U in known.items() if name.endswith("Uiso") and not name.startswith("inner.")}
    out = {name: 0.008 for name, U in sites.items() if not 0.002 < U < most}
    delta2 = known.get("delta2", 0.0)
    if delta2 == 0 and known.get("delta1", 0.0) == 0:
        out["delta2"] = round(0.3 * phase.nearest_bond() ** 2, 2)
    return out


# --- data ------------------------------------------------------------------------------------------------------------


def _data(given: Inputs, phases: list[Any], wishes: Wishes) -> tuple[tuple[DataPlan, ...], list[str]]:
    said: list[str] = []
    names: list[str] = []
    plans = []
    for path, pdf in given.data.items():
        names.append(own_name(plain_word(path.stem), set(names)))
        plan, more = plan_of(path, names[-1], pdf, phases, wishes)
        unit = given.units.get(path)
        plan = plan.with_value("r_unit", unit, "as the file has it") if unit else plan
        plans.append(plan)
        said += [f"{path.name}: {text}" for text in more]
    return tuple(plans), said


def plan_of(path: Path, name: str, pdf: PDF, phases: list[Any], wishes: Wishes) -> tuple[DataPlan, list[str]]:
    """Return what is proposed for one data set beside phases, and what is to be said of it."""
    _refuse_nothing(path, pdf)
    own = pdf.instrument
    said = _against(pdf, phases)
    values: dict[str, Any] = {"probe": own.probe or "X"}
    told = "asked for" if wishes.probe else "from the header"
    why = {"probe": told if own.probe else "assumed: the header does not say"}
    qmax, how, assumed = _qmax(pdf, wishes)
    values["qmax"], why["qmax"] = qmax, how
    said += [assumed] * bool(assumed)
    for key in ("qmin", "qdamp", "qbroad", "resolution", "qtail"):
        if key in own.given and (key == "qdamp" or getattr(own, key)):
            values[key] = getattr(own, key)
            why[key] = "asked for" if getattr(wishes, key, None) is not None else "from the header"
    plan = DataPlan(path, name, pdf, values, why)
    plan, more = _ranged(plan, phases, wishes)
    return plan, [*said, *more]


def _refuse_nothing(path: Path, pdf: PDF) -> None:
    if not pdf.G.any() or float(pdf.G.std()) == 0:
        raise PdfkitError(f"{path.name} holds no signal: G(r) is {pdf.G[0]:g} throughout; give data with peaks")


def _qmax(pdf: PDF, wishes: Wishes) -> tuple[float, str, str]:
    """Return Qmax, where it is from, and what is to be said of it."""
    known = pdf.instrument.qmax
    if known is not None and known > 0:
        return known, "asked for" if wishes.qmax is not None else "from the header", ""
    found, how = band_limit(pdf)
    shown = "no cut" if math.isinf(found) else f"Qmax {found:g}"
    return found, f"estimated: {how}", f"the header has no Qmax; {how}, so {shown} is taken (--qmax to change it)"


def _against(pdf: PDF, phases: list[Any]) -> list[str]:
    """Say where the composition that a header states and the structures do not go together."""
    foreign, absent = elements_apart(pdf, phases)
    parts = [f"the structures hold {', '.join(foreign)} besides"] * bool(foreign)
    parts += [f"no structure holds {', '.join(absent)}"] * bool(absent)
    return [f"the header's composition is {pdf.composition}: {', and '.join(parts)}; is it right?"] if parts else []


def _foreign(data: Iterable[DataPlan], phases: list[Any]) -> tuple[str, ...]:
    """Return what `_against` says of data whose header lacks elements that the structures hold."""
    found = [one for one in data if elements_apart(one.pdf, phases)[0]]
    return tuple(f"{one.file.name}: {text}" for one in found for text in _against(one.pdf, phases))


def elements_apart(pdf: PDF, phases: list[Any]) -> tuple[list[str], list[str]]:
    """Return the elements of the phases that the header's composition lacks, and those that only it has."""
    from pdfkit.structure.formulas import formula

    try:
        stated = {element for element, _ in formula(pdf.composition or "")}
    except PdfkitError:
        return [], []
    held = {element for phase in phases for element in elements_of(phase)}
    return (sorted(held - stated), sorted(stated - held)) if stated else ([], [])


def elements_of(phase: Any) -> set[str]:
    """Return the elements of a phase."""
    if phase.kind == "cluster":
        return set(phase.particle.composition())
    return {site.element for site in phase.structure.sites}


def _ranged(plan: DataPlan, phases: list[Any], wishes: Wishes) -> tuple[DataPlan, list[str]]:
    """Return the plan with the range of the fit: from the foot of the first peak to where data or order end."""
    pdf, probe = plan.pdf, plan.values["probe"]
    bond = min(phase.nearest_bond(probe, inside=True) for phase in phases)
    first, last = float(pdf.r[0]), float(pdf.r[-1])
    rmin = max(round(max(bond - FOOT, 0.55 * bond), 1), math.ceil(first * 10) / 10)
    said = []
    peak = first_peak(pdf.r, pdf.G)
    if peak is not None and peak < bond - 0.45 and plan.values["qmax"] > 8:
        said.append(f"the first strong peak is at {peak:.2f} Å, the nearest atoms of the structure are at {bond:.2f} Å")
    far = _farthest(pdf, phases)
    rmax = math.floor(min(last, far) * 10) / 10
    why = {
        "rmin": f"the nearest bond is at {bond:.2f} Å",
        "rmax": "the end of the data" if last <= far else "far enough",
    }
    for key, wish in (("rmin", wishes.rmin), ("rmax", wishes.rmax)):
        if wish is not None:
            why[key] = "asked for"
    rmin = rmin if wishes.rmin is None else wishes.rmin
    rmax = rmax if wishes.rmax is None else wishes.rmax
    if rmax > last:
        said.append(f"the data end at {last:.2f} Å: nothing is fitted from there to rmax = {rmax:g} Å")
    if not rmin < rmax:
        raise PdfkitError(f"rmin is {rmin:g} Å and rmax {rmax:g} Å: a range ends above where it begins: correct --rmax")
    if not ((pdf.r >= rmin) & (pdf.r <= rmax)).any():
        raise PdfkitError(
            f"{plan.file.name}: no data from {rmin:g} to {rmax:g} Å (they go from {first:g} to {last:g} Å): give "
            "--rmin and --rmax"
        )
    plan = plan.with_value("rmin", rmin, why["rmin"])
    return plan.with_value("rmax", rmax, why["rmax"]), said


def _farthest(pdf: PDF, phases: list[Any]) -> float:
    """Return up to where (Å) a fit makes sense: a bulk range, less for large cells; a cluster and what is about it."""
    if all(phase.kind == "cluster" for phase in phases):
        return max(15.0, *(float(phase.particle.extent()) + 3.0 for phase in phases))
    atoms = max(
        (float(phase.structure.multiplicities().sum()) for phase in phases if phase.kind == "crystal"), default=1
    )
    return FAR if atoms <= 60 else 30.0 if atoms <= 400 else 20.0
