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

ATOMS = {"bond": 2, "coordination": 2, "angle": 3}
"""Elements that a name of each kind has."""

Known = Mapping[str, tuple[float, float]]
Value = tuple[float, float | None]


def measured_shell(given: Any) -> dict[str, tuple[float, float]]:
    """Return what EXAFS says, checked: value and error by name. ParameterError for anything else."""
    _checks.instance("exafs", given, Mapping, 'values and errors by name, such as {"bond Cd-S": (2.52, 0.01)}')
    out = {}
    for name, pair in given.items():
        kind, _, atoms = str(name).partition(" ")
        if ATOMS.get(kind) != len(atoms.split("-")) or not all(atoms.split("-")):
            raise ParameterError(
                f'exafs has {name!r}: name what was measured as "bond Cd-S", "coordination Cd-S" or "angle S-Cd-S"',
                key="exafs",
            )
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ParameterError(f"exafs: {name} is {_checks.short(pair)}: give a value and its error", key="exafs")
        value, sigma = (_checks.number(name, one, low=0.0, open_low=True) for one in pair)
        out[str(name)] = value, sigma
    return out


def shell_of(particle: Particle, known: Known, expansion: Value) -> dict[str, Value]:
    """Return the numbers of a particle, each with its error. PdfkitError where it has no such bonds."""
    network, symbols = Network.of(particle), np.array(particle.symbols)
    stretch, error = 1.0 + expansion[0], expansion[1]
    out: dict[str, Value] = {}
    for name in known:
        kind, _, atoms = name.partition(" ")
        first, *others = atoms.split("-")
        if kind == "angle":
            found = network.corners[_are(symbols, network.angles, (first, *others))]
        else:
            found = network.lengths[_are(symbols, network.bonds, (first, *others))]
        if not found.size:
            raise PdfkitError(f"it has no {kind} {atoms}, of which EXAFS tells: leave {name!r} out, or the candidate")
        if kind == "coordination":
            same = 2 if first == others[0] else 1
            out[name] = same * found.size / float((symbols == first).sum()), None
        else:
            mean = float(found.mean())
            moves = kind == "bond"
            out[name] = mean * (stretch if moves else 1.0), mean * error if moves and error is not None else None
    return out


def _are(symbols: Any, groups: Any, names: tuple[str, ...]) -> Any:
    """Return which groups of atoms (m, k) are these elements, from either end."""
    there = symbols[groups].reshape(-1, len(names))
    return (there == np.array(names)).all(axis=1) | (there == np.array(names[::-1])).all(axis=1)


def ln_shell(found: Mapping[str, Value], known: Known) -> float:
    """Return ln of how likely EXAFS is for these numbers, 0 where they agree and are sure."""
    out = 0.0
    for name, (value, error) in found.items():
        target, sigma = known[name]
        wide = math.hypot(sigma, error or 0.0)
        out -= 0.5 * ((value - target) / wide) ** 2 + math.log(wide / sigma)
    return out
