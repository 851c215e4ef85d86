"""What is said of a combination of parameters that the data do not determine: what it is, and what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pdfkit.fitting.residuals import Residuals
from pdfkit.model.params import Parameters

FEW = 3
"""So many names can be read in a sentence; of more, their number is said."""


@dataclass(frozen=True)
class Combination:
    """A parameter that is held, its value, and by how much others move with it (per unit of it) without effect."""

    name: str
    value: float
    others: Mapping[str, float]

    @property
    def endings(self) -> set[str]:
        """What the names of all of them end in."""
        return {name.rpartition(".")[2] for name in (self.name, *self.others)}

    @property
    def steps(self) -> dict[str, float]:
        """By how much all of them move, by what their names are within a phase."""
        return {name.partition(".")[2]: step for name, step in {self.name: 1.0, **self.others}.items()}

    @property
    def owners(self) -> set[str]:
        """What the names of all of them start with."""
        return {name.partition(".")[0] for name in (self.name, *self.others)}


def reason(one: Combination, residuals: Residuals, params: Parameters) -> str:
    """Return a sentence: what has no effect, why, and that the parameter is held."""
    phases = {phase.name: phase for phase in residuals.model.phases}
    held = f"{one.name} is held at {one.value:.6g}"
    phase = phases.get(one.name.partition(".")[0])
    if not one.others:
        return f"{one.name} has no effect on what is fitted{_why_idle(one.name, params)}: it is held at {one.value:.6g}"
    if phase is not None and len(one.owners) == 1 and (shift := phase.shift_of(one.steps)):
        return f"{shift}: {held}; move it and {_others(one)} together and nothing changes"
    if one.endings == {"scale"}:
        return (
            f"{listed(sorted({one.name, *one.others}))} stand for each other, as the curves of their phases are the "
            f"same: {held}"
        )
    if one.endings == {"scale", "occ"}:
        return (
            "a common factor of occupancies is the same as one of the scale, so the data tell no more than their "
            f"ratios: {held}"
        )
    return f"{one.name} and {_others(one)} stand for each other: {held}; move them together and nothing changes"


def several(names: Sequence[str], free: int) -> str:
    """Return a sentence on many parameters that are held, of so many that were to vary."""
    return (
        f"nothing that is fitted determines {len(names)} of {free} parameters: {shortened(sorted(names))} are held "
        "where they began, and what the others come to depends on which are held; free fewer, or add restraints (of "
        "atoms of a cluster that move a GeometryRestraint)"
    )


def _why_idle(name: str, params: Parameters) -> str:
    head, _, ending = name.rpartition(".")
    rcut, scale = (params.get(f"{head.partition('.')[0]}.{other}") for other in ("rcut", "scale"))
    if ending == "sratio" and rcut is not None and rcut.value == 0:
        return f", for {rcut.name} is 0"
    if scale is not None and not scale.vary and scale.value == 0:
        return f", for {scale.name} is 0"
    return ""


def _others(one: Combination) -> str:
    return listed(list(one.others)) if len(one.others) <= FEW else f"{len(one.others)} others that are free"


def shortened(names: Sequence[str]) -> str:
    """Return "a, b and c", or "a, b and 5 others"."""
    return listed(list(names)) if len(names) <= FEW else listed([*names[: FEW - 1], f"{len(names) - FEW + 1} others"])


def listed(names: list[str]) -> str:
    """Return "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
