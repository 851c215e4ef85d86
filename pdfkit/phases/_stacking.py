"""Numbers of a stacked phase: displacements as given, values by name with tangents, and what follows from alpha."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import ParameterError
from pdfkit.kernels.stacking import same_position

UISO = 0.01
"""Å²: mean-square displacement where none is given."""
Displacement = float | Mapping[str, float]
KINDS = ("Uiso", "U11", "U33")


@dataclass(frozen=True)
class Derived:
    """A number that follows from refined ones: its standard error is NaN where theirs are not known."""

    name: str
    value: float
    stderr: float
    unit: str
    meaning: str


@dataclass(frozen=True)
class Point:
    """Values of a phase's quantities by name, with their tangents along nq directions."""

    index: Mapping[str, int]
    sites: tuple[str, ...]
    values: Array
    tangents: Array

    @property
    def nq(self) -> int:
        """Number of directions."""
        return int(self.tangents.shape[1])

    def __getitem__(self, name: str) -> float:
        """Return a value, 0 for what the phase lacks."""
        return float(self.values[self.index[name]]) if name in self.index else 0.0

    def d(self, name: str) -> Array:
        """Return tangents (nq,), 0 for what the phase lacks."""
        return self.tangents[self.index[name]] if name in self.index else np.zeros(self.nq)

    def stacked(self, names: tuple[str, ...]) -> tuple[Array, Array]:
        """Return values (k,) and tangents (nq, k) of several."""
        return np.array([self[n] for n in names]), np.stack([self.d(n) for n in names], axis=1)

    def cell(self) -> tuple[Array, Array]:
        """Return a_h, h, u and tangents (nq, 3)."""
        return self.stacked(("a_h", "h", "u"))

    def widths(self, qbroad: float, dqbroad: Array) -> tuple[Array, Array]:
        """Return δ₁, δ₂, qbroad, U_layer and tangents (nq, 4)."""
        value, slope = self.stacked(("delta1", "delta2", "", "Ulayer"))
        value[2], slope[:, 2] = qbroad, dqbroad
        return value, slope

    def displacements(self) -> tuple[Array, Array]:
        """Return U in and out of the plane by site (nsites, 2), and tangents (nq, nsites, 2)."""
        names = [
            [f"{label}.{kind}" if f"{label}.{kind}" in self.index else f"{label}.Uiso" for kind in ("U11", "U33")]
            for label in self.sites
        ]
        value, slope = self.stacked(tuple(name for pair in names for name in pair))
        return value.reshape(-1, 2), slope.reshape(self.nq, len(names), 2)

    @property
    def largest(self) -> float:
        """Largest displacement (Å²)."""
        return float(self.displacements()[0].max())

    def chances(self, most: int) -> tuple[Array, Array]:
        """Return P₀ of 0…most layers, and its tangents (nq, most + 1)."""
        names = ("alpha", "alpha") if "alpha" in self.index else ("alpha_c", "alpha_h")
        (c, h), tangents = self.stacked(names)
        out, slopes = np.empty(most + 1), np.empty((2, most + 1))
        same_position(float(c), float(h), out, slopes)
        return out, np.ascontiguousarray(tangents @ slopes)


def displacements(name: str, labels: tuple[str, ...], given: Mapping[str, Displacement]) -> dict[str, dict[str, float]]:
    """Return U by kind and label: U11 and U33 where one of them is given, Uiso elsewhere.

    given: kind → one value for all labels, or values by label. Raises ParameterError for a label that does not exist.
    """
    known = {}
    for kind, value in given.items():
        for label, number in (value if isinstance(value, Mapping) else dict.fromkeys(labels, value)).items():
            if label not in labels:
                raise ParameterError(f"{kind} of {label!r}: the elements of {name} are {', '.join(labels)}")
            known[kind, label] = _checks.number(f"{label}.{kind}", number, low=1e-5, high=_checks.MOST_U)
    out: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
    for label in labels:
        plain = known.get(("Uiso", label), UISO)
        if ("U11", label) in known or ("U33", label) in known:
            out["U11"][label] = known.get(("U11", label), plain)
            out["U33"][label] = known.get(("U33", label), plain)
        else:
            out["Uiso"][label] = plain
    return out


def runs(c: float, h: float, covariance: Array) -> tuple[Derived, ...]:
    """Return the cubic fraction and mean lengths of runs for α_c = c, α_h = h and their covariance (2, 2)."""
    total = 1.0 + c - h
    share = (math.nan, math.nan, math.nan)
    if total > 0:
        share = ((1.0 - h) / total, -(1.0 - h) / total**2, -c / total**2)
    cubic = (1.0 / c, -1.0 / c**2, 0.0) if c > 0 else (math.inf, math.nan, math.nan)
    hexagonal = (1.0 / (1.0 - h), 0.0, 1.0 / (1.0 - h) ** 2) if h < 1 else (math.inf, math.nan, math.nan)
    table = (
        ("cubic_fraction", share, "", "share of layers that are cubic"),
        ("cubic_run", cubic, "layers", "mean number of cubic layers in a row"),
        ("hexagonal_run", hexagonal, "layers", "mean number of hexagonal layers in a row"),
    )
    out = []
    for name, (value, by_c, by_h), unit, meaning in table:
        slope = np.array([by_c, by_h])
        used = slope != 0  # what a number does not depend on may be undetermined
        variance = float(slope[used] @ covariance[np.ix_(used, used)] @ slope[used])
        out.append(Derived(name, value, math.sqrt(variance) if variance >= 0 else math.nan, unit, meaning))
    return tuple(out)
