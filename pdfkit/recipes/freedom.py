"""What of a proposed fit varies: what symmetry allows and data can tell, as few names as say it, and the ties."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.phases._counted import MANY_ATOMS
from pdfkit.scattering import scattering_strength

if TYPE_CHECKING:
    from pdfkit.recipes.proposal import Proposal

# In this order free names are written.
ENDINGS = (
    *("scale", "expansion", "a", "b", "c", "alpha", "beta", "gamma", "x", "y", "z", "rx", "ry", "rz"),
    *("Uiso", "U11", "U22", "U33", "U12", "U13", "U23", "delta1", "delta2", "spdiameter"),
)
_PLACES = ("x", "y", "z", "rx", "ry", "rz")
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_U = ("Uiso", "U11", "U22", "U33", "U12", "U13", "U23")
# Share of all scattering below which an element is not seen, such as H by X-rays.
_FAINT = 0.01
# Parameters there may be for each independent point of the data.
_PER_POINT = 0.25
# Atoms without symmetry from which a cell is a box, of which the size varies and not the shape: pairs are counted then.
_BOX = MANY_ATOMS


def freed(plan: Proposal, built: list[Any]) -> Proposal:
    """Return the proposal with what varies, ties, and remarks on what does not vary although it might."""
    ties: dict[str, str] = {}
    free: list[str] = []
    said: list[str] = []
    probes = {one.values["probe"] for one in plan.data}
    for phase in built:
        own, tied, more = _of_phase(phase, probes)
        free += [f"{phase.name}.{name}" for name in own]
        ties |= {f"{phase.name}.{name}": f"{phase.name}.{other}" for name, other in tied.items()}
        size, words = _of_size(phase)
        ties |= size
        said += [*more, *words]
    ties |= _shared(built)
    free, more = _affordable(plan, free, ties)
    names = [f"{phase.name}.{q.name}" for phase in built for q in phase.quantities]
    return replace(plan, free=shortened(free, names), ties=ties, assumed=(*plan.assumed, *said, *more))


def shortened(wanted: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return endings of names that free what is wanted and nothing else, whole names where no ending does."""
    wanted, names = set(wanted), list(names)
    out: list[str] = []
    for ending in ENDINGS:
        found = [name for name in names if name.endswith(f".{ending}")]
        hit = [name for name in found if name in wanted]
        if hit:
            out += [ending] if len(hit) == len(found) else hit
    return tuple(out)


def _of_phase(phase: Any, probes: set[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Return what varies of a phase, what is tied to what within it, and what is to be said."""
    names = [q.name for q in phase.quantities if q.refinable]
    faint = _faint(phase, probes)
    said = [f"{phase.name}: {', '.join(sorted(faint))} hardly scatters: its U and positions stay"] if faint else []
    held = {f"{label}.{axis}" for label, axis in _origin(phase)}
    if held:
        axes = ", ".join(sorted(name.rpartition(".")[2] for name in held))
        label = next(iter(held)).partition(".")[0]
        said.append(f"{phase.name}: {axes} of {label} stays: the space group leaves the origin open along it")
    elements = _elements(phase)
    free, stay = [], ("delta1", "spdiameter", *(_CELL[1:] if _is_box(phase) else ()))
    for name in names:
        label, _, ending = name.rpartition(".")
        if ending in (*_U, "x", "y", "z") and (elements.get(label, label) in faint or name in held):
            continue
        if ending in ENDINGS and ending not in stay:
            free.append(name)
    return free, _within(phase, names), said


def _is_box(phase: Any) -> bool:
    """Whether a phase is a cell of many atoms without symmetry."""
    if phase.kind != "crystal" or len(phase.structure.rotations) > 1:
        return False
    return len(phase.structure.sites) >= _BOX


def _of_size(phase: Any) -> tuple[dict[str, str], list[str]]:
    """Return the ties by which the cell of a box keeps its shape, each edge as many times a as it is, and say it."""
    if not _is_box(phase):
        return {}, []
    a, b, c = (float(edge) for edge in phase.structure.cell[:3])
    lead, follow = f"{phase.name}.a", {f"{phase.name}.b": b, f"{phase.name}.c": c}
    ties = {name: lead if edge == a else f"{edge / a!r} * {lead}" for name, edge in follow.items()}
    return ties, [
        f"{phase.name}: its {len(phase.structure.sites)} atoms are listed without symmetry: the cell keeps its shape, "
        "and its size varies, a, which b and c follow (--free +b,+c,+alpha,+beta,+gamma to vary all, which is slower)"
    ]


def _elements(phase: Any) -> dict[str, str]:
    if phase.kind != "crystal":
        return {}
    return {site.label: site.element for site in phase.structure.sites}


def _faint(phase: Any, probes: set[str]) -> set[str]:
    """Return the elements that no probe of the data sees."""
    if phase.kind != "crystal":
        return set()
    out: set[str] | None = None
    content = phase.structure.composition()
    for probe in probes:
        share = {element: n * abs(scattering_strength(element, probe)) for element, n in content.items()}
        total = sum(share.values())
        here = {element for element, value in share.items() if value < _FAINT * total}
        out = here if out is None else out & here
    return out or set()


def _origin(phase: Any) -> list[tuple[str, str]]:
    """Return the coordinates to hold of a polar group, of one site: along these axes all may move together."""
    if phase.kind != "crystal":
        return []
    R = np.asarray(phase.structure.rotations)
    polar = [axis for k, axis in enumerate("xyz") if (R[:, :, k] == np.eye(3, dtype=int)[k]).all()]
    names = {q.name for q in phase.quantities}
    heavy = [site.label for site in sorted(phase.structure.sites, key=lambda site: -_number(site.element))]
    for label in (*heavy, *(phase.rigid or ())):
        if polar and all(f"{label}.{axis}" in names for axis in polar):
            return [(label, axis) for axis in polar]
    return []


def _number(element: str) -> float:
    return abs(scattering_strength(element, "X"))


def _within(phase: Any, names: list[str]) -> dict[str, str]:
    """Return the ties in a phase: one Uiso an element; sites that share a place move alike."""
    if phase.kind != "crystal":
        return {}
    ties: dict[str, str] = {}
    places: dict[tuple[float, ...], str] = {}
    leaders: dict[str, str] = {}
    endings: dict[str, list[str]] = {}
    for name in names:
        label, _, ending = name.rpartition(".")
        endings.setdefault(label, []).append(ending)
    for site in phase.structure.sites:
        place = tuple(round(x % 1, 4) for x in site.xyz)
        twin = places.setdefault(place, site.label)
        same = endings.get(site.label, [])
        if twin != site.label:
            ties |= {f"{site.label}.{e}": f"{twin}.{e}" for e in same if e in (*_U, "x", "y", "z")}
        elif "Uiso" in same:
            leader = leaders.setdefault(site.element, site.label)
            if leader != site.label:
                ties[f"{site.label}.Uiso"] = f"{leader}.Uiso"
    return ties


def _shared(built: list[Any]) -> dict[str, str]:
    """Return the ties between phases of the same elements: U and delta2, which small data sets cannot tell apart."""
    ties: dict[str, str] = {}
    leaders: dict[frozenset[str], Any] = {}
    for phase in built:
        if phase.kind != "crystal":
            continue
        elements = frozenset(_elements(phase).values())
        first = leaders.setdefault(elements, phase)
        if first is phase:
            continue
        ties[f"{phase.name}.delta2"] = f"{first.name}.delta2"
        chief = {element: label for label, element in reversed(_elements(first).items())}
        both = {f"{p.name}.{q.name}" for p in (first, phase) for q in p.quantities}
        for label, element in _elements(phase).items():
            mine, its = f"{phase.name}.{label}.Uiso", f"{first.name}.{chief[element]}.Uiso"
            if {mine, its} <= both:
                ties[mine] = its
    return ties


def _affordable(plan: Proposal, free: list[str], ties: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return what varies without the positions, where there would be too many for the data."""
    from pdfkit.results.problem import independent_points

    points = sum(
        independent_points(one.pdf.crop(*one.range), one.values["qmax"] if one.values["qmax"] > 0 else None)
        for one in plan.data
    )
    count = len([name for name in free if name not in ties])
    if count <= _PER_POINT * points:
        return free, []
    kept = [name for name in free if name.rpartition(".")[2] not in (*_PLACES, "U12", "U13", "U23")]
    if len(kept) == len(free):
        return free, []
    return kept, [
        f"{count} parameters are many for {points:.0f} independent points: positions stay as the structure has them "
        "(--free +x,+y,+z to vary them)"
    ]
