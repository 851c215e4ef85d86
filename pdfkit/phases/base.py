"""What every kind of phase tells the model: its quantities, and its pairs as peaks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.errors import ParameterError, nearest
from pdfkit.shapes.simple import Shape


@dataclass(frozen=True)
class Quantity:
    """One number a model depends on: its name after the phase, value, limits, unit and meaning.

    low, high: where a fit looks by default; least, most: beyond them the number makes no sense, and is refused.
    """

    name: str
    value: float
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    meaning: str = ""
    refinable: bool = True
    least: float = -math.inf
    most: float = math.inf

    def sensible(self, value: float, name: str) -> float:
        """Return the value; ParameterError, with the full name of the quantity, for one that makes no sense."""
        if not math.isfinite(value):
            raise ParameterError(f"{name} = {value} is not finite: give a number")
        if self.least <= value <= self.most:
            return value
        unit = f" {self.unit}" if self.unit else ""
        limits = f"from {self.least:g} to {self.most:g}" if math.isfinite(self.most) else f"of {self.least:g} or more"
        raise ParameterError(f"{name} = {value:g}{unit} makes no sense for the {self.meaning}: give a number {limits}")


@dataclass(frozen=True)
class Composition:
    """Species of a phase with atom fractions c_a and their tangents.

    Shapes: fractions (ns,), tangents (nq, ns), strengths (ns,) at Q = 0 in the probe's units.
    """

    elements: tuple[str, ...]
    fractions: Array
    tangents: Array


@dataclass(frozen=True)
class Peaks:
    """Pairs of one phase as peaks of the number-weighted pair density, per species pair.

    Formula: Σ_peaks w·T(r; d, σ) − 4πrρ₀·share_ab is the number-weighted G_ab(r), w = (pairs at d)/N and
    share_ab = c_a c_b(2 − δ_ab); the scattering weights multiply it afterwards.
    Shapes: peak (n,3) = d Å, σ² Å², w; dpeak (n,nq,3); channel (n,), index into `pairs`; rho0 atoms/Å³ and drho0
    (nq,); composition. dropped: peaks whose width bracket is not positive, with the first of them described.
    form: γ₀ of the baseline alone (where peaks end by themselves), None for 1; dform (nparams, nq), its parameters'
    tangents.
    """

    peak: Array
    dpeak: Array
    channel: IntArray
    pairs: tuple[tuple[str, str], ...]
    rho0: float
    drho0: Array
    composition: Composition
    dropped: int = 0
    first_dropped: str = ""
    form: Shape | None = None
    dform: Array | None = None

    def baseline(self, r: Array, slope: Array) -> Array:
        """Return 4πr·γ₀(r)·slope and its derivatives: (nchannels, 1 + nq, nr); slope (nchannels, 1 + nq), ρ₀ w_ab."""
        line = 4.0 * np.pi * r
        if self.form is None or self.dform is None:
            return np.asarray(slope[:, :, None] * line)
        out = slope[:, :, None] * (line * self.form.gamma0(r))
        out[:, 1:] += slope[:, :1, None] * (line * (self.dform.T @ self.form.derivatives(r)))
        return np.asarray(out)


class Phase(Protocol):
    """Interface of a phase. Everything is frozen; `with_values` returns a changed copy."""

    @property
    def name(self) -> str:
        """Name that starts every parameter of the phase."""

    @property
    def shape(self) -> Any:
        """The γ₀(r) of the phase (`pdfkit.shapes`)."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """Scale first, then what the pairs depend on, then the shape's parameters."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed when its structure was read, a sentence each."""

    def composition(self) -> Mapping[str, float]:
        """Return atoms per cell (or particle) by element, weighted with occupancy."""

    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement."""

    def pair_density(self) -> float:
        """Return pairs to enumerate per Å³ of the sphere that holds them."""

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed."""

    def peaks(
        self, values: Array, tangents: Array, qbroad: float, dqbroad: Array, rmax: float, qmin: float = 0.0
    ) -> Peaks:
        """Return the peaks up to at least `rmax` (Å), at `values`, with derivatives along the tangents.

        qmin (Å⁻¹) : where the model will be cut; a phase may leave out a baseline that the cut takes away.
        """


def updated(phase: Phase, values: Mapping[str, float]) -> dict[str, float]:
    """Return all quantities of a phase by name, with some changed.

    Raises ParameterError for a name that it does not have, and for a value that makes no sense.
    """
    known = {q.name: q for q in phase.quantities}
    out = {name: q.value for name, q in known.items()}
    for key, value in values.items():
        if key not in known:
            raise ParameterError(f"{phase.name}.{key} does not exist: nearest are {nearest(key, known)}")
        out[key] = known[key].sensible(float(value), f"{phase.name}.{key}")
    return out
