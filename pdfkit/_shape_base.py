"""What every particle shape has: a table of parameters, γ₀(r), its derivatives and its extent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pdfkit import _checks
from pdfkit._checks import Array

SMALLEST = 0.1  # Å; below any particle, above any division by zero


@dataclass(frozen=True)
class ShapeParameter:
    """One refinable number of a shape: its name, unit, allowed range (ends included) and meaning.

    Example
    -------
    >>> import pdfkit as pk
    >>> (diameter,) = pk.Sphere.parameters
    >>> diameter.name, diameter.unit, diameter.low
    ('spdiameter', 'Å', 0.1)
    """

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    may_be_infinite: bool = False


@dataclass(frozen=True)
class Shape(ABC):
    """A particle shape; values are changed with `dataclasses.replace`.

    Raises PdfkitError when a parameter is not a number or lies outside the range in `parameters`.

    Example
    -------
    >>> import dataclasses
    >>> import pdfkit as pk
    >>> rod = pk.Rod(20, length=100)
    >>> [p.name for p in rod.parameters], rod.values()
    (['diameter', 'length'], (20.0, 100.0))
    >>> round(dataclasses.replace(rod, length=50).extent(), 2)  # √(20² + 50²)
    53.85
    """

    kind: ClassVar[str]
    parameters: ClassVar[tuple[ShapeParameter, ...]]

    def __post_init__(self) -> None:
        for p in self.parameters:
            given = getattr(self, p.name)
            value = _checks.number(p.name, given, low=p.low, high=p.high, finite=not p.may_be_infinite)
            object.__setattr__(self, p.name, value)

    def values(self) -> tuple[float, ...]:
        """Return the parameter values in the order of `parameters`."""
        return tuple(getattr(self, p.name) for p in self.parameters)

    @abstractmethod
    def gamma0(self, r: Array) -> Array:
        """Return γ₀ at `r` ((n,) Å, r ≥ 0): (n,), dimensionless."""

    @abstractmethod
    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂parameter at `r`: (nparams, n), in the order of `parameters`."""

    @abstractmethod
    def extent(self) -> float:
        """Return the r in Å beyond which γ₀ is 0 (inf if it never is)."""
