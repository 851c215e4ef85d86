"""What every kind of phase tells the model: its quantities, and its pairs as peaks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from pdfkit._checks import Array, IntArray


@dataclass(frozen=True)
class Quantity:
    """One number a model depends on: its name after the phase, value, limits, unit and meaning."""

    name: str
    value: float
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    meaning: str = ""
    refinable: bool = True


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

    def composition(self) -> Mapping[str, float]:
        """Return atoms per cell (or particle) by element, weighted with occupancy."""

    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement."""

    def pair_density(self) -> float:
        """Return pairs to enumerate per Å³ of the sphere that holds them."""

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed."""

    def peaks(self, values: Array, tangents: Array, qbroad: float, dqbroad: Array, rmax: float) -> Peaks:
        """Return the peaks up to at least `rmax` (Å), at `values`, with derivatives along the tangents."""
