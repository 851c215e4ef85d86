"""What is said of a combination of parameters that the data do not determine: what it is, and what is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.residuals import Residuals
from pdfkit.model.params import Parameters
from pdfkit.phases.base import Phase
from pdfkit.phases.crystal import Crystal

AXES = {"x": "a", "y": "b", "z": "c"}
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
    if along := _floating(one, phase):
        assert isinstance(phase, Crystal)
        return (
            f"the origin of {phase.structure.spacegroup} floats along {along}: {held}; move it and {_others(one)} "
            "together and nothing changes"
        )
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


def _why_idle(name: str, params: Parameters) -> str:
    head, _, ending = name.rpartition(".")
    rcut, scale = (params.get(f"{head.partition('.')[0]}.{other}") for other in ("rcut", "scale"))
    if ending == "sratio" and rcut is not None and rcut.value == 0:
        return f", for {rcut.name} is 0"
    if scale is not None and not scale.vary and scale.value == 0:
        return f", for {scale.name} is 0"
    return ""


def _floating(one: Combination, phase: Phase | None) -> str:
    """Return along what a crystal can be shifted as a whole, "c" or "[1 1 1]"; "" where a combination is no shift."""
    if not isinstance(phase, Crystal) or len(one.owners) > 1 or not one.endings <= set(AXES):
        return ""
    site = one.name.rpartition(".")[0]
    moved = {one.name: 1.0, **one.others}
    shift = np.array([moved.get(f"{site}.{letter}", 0.0) for letter in AXES])
    along = phase.structure.rotations.mean(axis=0) @ shift
    size = np.abs(along).max()
    if size < 1e-6:
        return ""
    return _axis(along / along[np.argmax(np.abs(along))])


def _axis(along: Array) -> str:
    for axis, name in zip(np.eye(3), AXES.values(), strict=True):
        if np.allclose(along, axis, atol=1e-4):
            return name
    return f"[{' '.join(f'{part:.3g}' for part in along + 0.0)}]"


def _others(one: Combination) -> str:
    return listed(list(one.others)) if len(one.others) <= FEW else f"{len(one.others)} others that are free"


def listed(names: list[str]) -> str:
    """Return "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
