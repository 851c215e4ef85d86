"""First shells of candidates against those that EXAFS tells: bond lengths, coordination numbers, angles.

| name | number of a candidate |
|---|---|
| `bond Cd-S` | Å: mean length of the bonds between these, as the fit expands them |
| `coordination Cd-S` | bonds to S of an atom of Cd, on average over all of them |
| `angle S-Cd-S` | degrees: mean over all angles between two bonds of an atom of Cd |

Bonds are pairs nearer than 1.25 times the sum of their covalent radii. Each number that was measured, t ± σ, takes
½[(v − t)/s]² + ln(s/σ) off ln Z, s² = σ² and the variance of v in the fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.particles.particle import Particle
from pdfkit.phases._network import Network
from pdfkit.structure.species import base, symbols

ATOMS = {"bond": 2, "coordination": 2, "angle": 3}
"""Elements that a name of each kind has."""

LIMITS = {"bond": (0.7, 5.0, "Å"), "coordination": (0.01, 30.0, "a mean number"), "angle": (10.0, 180.0, "degrees")}
"""Between what values of each kind lie, and in what they are."""

Known = Mapping[str, tuple[float, float]]
Value = tuple[float, float | None]


def measured_shell(given: Any) -> dict[str, tuple[float, float]]:
    """Return what EXAFS says, checked: value and error by name. ParameterError for anything else."""
    _checks.instance("exafs", given, Mapping, 'values and errors by name, such as {"bond Cd-S": (2.52, 0.01)}')
    out: dict[str, tuple[float, float]] = {}
    for text, pair in given.items():
        name = _name_of(str(text))
        if (other := _reversed(name)) in out or name in out:
            known = other if other in out else name
            raise ParameterError(f"exafs has {text!r} twice, as {known!r} too: give it once", key="exafs")
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ParameterError(f"exafs: {name} is {_checks.short(pair)}: give a value and its error", key="exafs")
        low, high, unit = LIMITS[name.partition(" ")[0]]
        value = _checks.number(name, pair[0], low=0.0, open_low=True)
        if not low <= value <= high:
            raise ParameterError(f"exafs: {name} is {value:g}: give {unit}, {low:g} to {high:g}", key="exafs")
        sigma = _checks.number(name, pair[1], low=0.0, open_low=True)
        out[name] = value, sigma
    return out


def _name_of(text: str) -> str:
    """Return a name in its only form. ParameterError for what names nothing that EXAFS can tell."""
    kind, _, rest = text.strip().partition(" ")
    atoms = [one.strip() for one in rest.split("-")]
    if ATOMS.get(kind) != len(atoms) or not all(atoms):
        raise ParameterError(
            f'exafs has {text!r}: name what was measured as "bond Cd-S", "coordination Cd-S" or "angle S-Cd-S"',
            key="exafs",
        )
    if strange := [one for one in atoms if one not in symbols()]:
        raise ParameterError(f"exafs has {text!r}, and {strange[0]} is no element: write it as in Cd-S", key="exafs")
    return f"{kind} {'-'.join(atoms)}"


def _reversed(name: str) -> str:
    """Return the other name of the same number: that of a bond or an angle from its other end."""
    kind, _, atoms = name.partition(" ")
    return name if kind == "coordination" else f"{kind} {'-'.join(atoms.split('-')[::-1])}"


def shell_of(particle: Particle, known: Known, expansion: Value) -> dict[str, Value]:
    """Return the numbers of a particle, each with its error. PdfkitError where it has no such bonds."""
    network, elements = Network.of(particle), np.array([base(one) for one in particle.symbols])
    stretch, error = 1.0 + expansion[0], expansion[1]
    out: dict[str, Value] = {}
    for name in known:
        kind, _, atoms = name.partition(" ")
        first, *others = atoms.split("-")
        if kind == "angle":
            found = network.corners[_are(elements, network.angles, (first, *others))]
        else:
            found = network.lengths[_are(elements, network.bonds, (first, *others))]
        if not found.size:
            raise PdfkitError(f"it has no {kind} {atoms}, of which EXAFS tells: leave {name!r} out, or the candidate")
        if kind == "coordination":
            same = 2 if first == others[0] else 1
            out[name] = same * found.size / float((elements == first).sum()), None
        else:
            mean = float(found.mean())
            moves = kind == "bond"
            out[name] = mean * (stretch if moves else 1.0), mean * error if moves and error is not None else None
    return out


def _are(elements: Any, groups: Any, names: tuple[str, ...]) -> Any:
    """Return which groups of atoms (m, k) are these elements, from either end."""
    there = elements[groups].reshape(-1, len(names))
    return (there == np.array(names)).all(axis=1) | (there == np.array(names[::-1])).all(axis=1)


def ln_shell(found: Mapping[str, Value], known: Known) -> float:
    """Return ln of how likely EXAFS is for these numbers, 0 where they agree and are sure."""
    out = 0.0
    for name, (target, sigma) in known.items():
        if name not in found:
            continue
        value, error = found[name]
        wide = _wide(sigma, error)
        out -= 0.5 * ((value - target) / wide) ** 2 + math.log(wide / sigma)
    return out


def _wide(sigma: float, error: float | None) -> float:
    """Return the standard error of a difference; rows have NaN where a number has no error."""
    return sigma if error is None or math.isnan(error) else math.hypot(sigma, error)


def drawn(found: Mapping[str, Value], known: Known, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Return what EXAFS would tell of a candidate with these numbers, with the errors that it has."""
    return {name: (found[name][0] + sigma * rng.standard_normal(), sigma) for name, (_, sigma) in known.items()}


def off(found: Mapping[str, Value], known: Known) -> dict[str, float]:
    """Return by how many standard errors the numbers of a candidate are off."""
    return {
        name: abs(value - known[name][0]) / _wide(known[name][1], error)
        for name, (value, error) in found.items()
        if name in known
    }
