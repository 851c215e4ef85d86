"""Shapes with a closed form of γ₀(r), and what every shape has: parameters, derivatives, an extent."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError

# --- What every particle shape has -----------------------------------------------------------------------------------

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
    >>> rod = pk.shapes.Rod(20, length=100)
    >>> [p.name for p in rod.parameters], rod.values()
    (['diameter', 'length'], (20.0, 100.0))
    >>> round(dataclasses.replace(rod, length=50).extent(), 2)  # √(20² + 50²)
    53.85
    """

    kind: ClassVar[str]
    parameters: ClassVar[tuple[ShapeParameter, ...]]
    # Whether a particle can have this γ₀, so that it weighs pairs.
    solid: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for p in self.parameters:
            given = getattr(self, p.name)
            value = _checks.number(p.name, given, low=p.low, high=p.high, finite=not p.may_be_infinite)
            object.__setattr__(self, p.name, value)

    def values(self) -> tuple[float, ...]:
        """Return the parameter values in the order of `parameters`."""
        return tuple(getattr(self, p.name) for p in self.parameters)

    def moved(self, values: Sequence[float]) -> Self:
        """Return this shape with other values of its parameters, in their order: a step of a fit."""
        named = {p.name: value for p, value in zip(self.parameters, values, strict=True)}
        if type(self).__post_init__ is not Shape.__post_init__ or not self._allows(values):
            return replace(self, **named)  # which makes of them what it needs, or says what is wrong
        out = object.__new__(type(self))
        known = self.__dataclass_fields__
        out.__dict__.update({name: value for name, value in self.__dict__.items() if name in known} | named)
        return out

    def _allows(self, values: Sequence[float]) -> bool:
        """Whether values are within the limits of the parameters."""
        for p, value in zip(self.parameters, values, strict=True):
            if not (p.low <= value <= p.high and (value < math.inf or p.may_be_infinite)):
                return False
        return True

    @abstractmethod
    def gamma0(self, r: Array) -> Array:
        """Return γ₀ at `r` ((n,) Å, r ≥ 0): (n,), dimensionless."""

    @abstractmethod
    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂parameter at `r`: (nparams, n), in the order of `parameters`."""

    @abstractmethod
    def extent(self) -> float:
        """Return the r in Å beyond which γ₀ is 0 (inf if it never is)."""

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r at `r` > 0: (n,), Å⁻¹. A shape that does not say has it by differences."""
        step = np.minimum(1e-4, 0.1 * r)
        near, far = (self.gamma0(r + k * step) - self.gamma0(r - k * step) for k in (1, 2))
        return np.asarray((8.0 * near - far) / (12.0 * step))

    def with_derivatives(self, r: Array) -> tuple[Array, Array]:
        """Return γ₀ (n,) and its derivatives to the parameters (nparams, n) at `r` ≥ 0."""
        return self.gamma0(r), self.derivatives(r)

    def jet(self, r: Array) -> tuple[Array, Array, Array]:
        """Return γ₀ (n,), its derivatives to the parameters (nparams, n) and to r (n,) at `r` > 0.

        Example
        -------
        >>> import numpy as np
        >>> import pdfkit as pk
        >>> gamma0, by_diameter, slope = pk.Sphere(30).jet(np.array([15.0]))
        >>> bool(np.allclose(slope, -30 * by_diameter[0] / 15))  # γ₀ depends on r/D alone
        True
        """
        return *self.with_derivatives(r), self.slope(r)


# --- Particle shapes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bulk(Shape):
    """No boundary: γ₀ = 1.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pk.shapes.Bulk().gamma0(np.array([0, 10, 100])).tolist()
    [1.0, 1.0, 1.0]
    """

    kind: ClassVar[str] = "bulk"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = ()

    solid: ClassVar[bool] = False

    def gamma0(self, r: Array) -> Array:
        """Return ones."""
        return np.ones_like(r, dtype=np.float64)

    def derivatives(self, r: Array) -> Array:
        """Return an array of no rows."""
        return np.zeros((0, np.size(r)))

    def slope(self, r: Array) -> Array:
        """Return zeros."""
        return np.zeros_like(r, dtype=np.float64)

    def extent(self) -> float:
        """Return inf."""
        return math.inf


@dataclass(frozen=True)
class Whole(Bulk):
    """No boundary, because there are no pairs beyond `end` (Å): a cluster whose every pair is counted."""

    end: float = math.inf

    def extent(self) -> float:
        """Return the end."""
        return self.end


@dataclass(frozen=True)
class Sphere(Shape):
    """A sphere of diameter `spdiameter`: γ₀ = 1 − (3/2)x + (1/2)x³ with x = r/spdiameter < 1.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pk.Sphere(30).gamma0(np.array([0, 15, 30])).tolist()
    [1.0, 0.3125, 0.0]
    """

    spdiameter: float

    kind: ClassVar[str] = "sphere"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (
        ShapeParameter("spdiameter", "Å", SMALLEST, math.inf, "diameter of the sphere"),
    )

    def gamma0(self, r: Array) -> Array:
        """Return γ₀."""
        x = np.minimum(r / self.spdiameter, 1.0)
        return np.asarray(1.0 + x * (0.5 * (x * x) - 1.5))

    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂spdiameter = (3/2)(x − x³)/spdiameter."""
        return self.jet(r)[1]

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r = −(3/2)(1 − x²)/spdiameter."""
        return self.jet(r)[2]

    def with_derivatives(self, r: Array) -> tuple[Array, Array]:
        """Return γ₀ and its derivative to the diameter."""
        return self.jet(r)[:2]

    def jet(self, r: Array) -> tuple[Array, Array, Array]:
        """Return γ₀, its derivative to the diameter and its slope."""
        x = np.minimum(np.asarray(r) / self.spdiameter, 1.0)
        square = x * x
        slope = (square - 1.0) * (1.5 / self.spdiameter)
        return 1.0 + x * (0.5 * square - 1.5), -(x * slope)[None], slope

    def extent(self) -> float:
        """Return the diameter."""
        return self.spdiameter


@dataclass(frozen=True)
class Shell(Shape):
    """A hollow sphere of outer diameter `spdiameter` and wall `thickness` (solid from spdiameter/2 on).

    γ₀ = [L(R, R) + L(Rᵢ, Rᵢ) − 2L(R, Rᵢ)]/V, L(A, B) the overlap of two spheres of radii A and B at distance
    r.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.array([0, 10, 20])
    >>> pk.shapes.Shell(30, thickness=5).gamma0(r).round(3).tolist()
    [1.0, 0.247, 0.123]
    >>> bool(np.allclose(pk.shapes.Shell(30, thickness=15).gamma0(r), pk.Sphere(30).gamma0(r)))
    True
    """

    spdiameter: float
    thickness: float

    kind: ClassVar[str] = "shell"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (
        ShapeParameter("spdiameter", "Å", SMALLEST, math.inf, "outer diameter"),
        ShapeParameter("thickness", "Å", 0.01, math.inf, "thickness of the wall"),
    )

    def _radii(self) -> tuple[float, float]:
        outer = self.spdiameter / 2
        return outer, max(outer - self.thickness, 0.0)

    def _overlap(self, r: Array) -> tuple[float, Array]:
        outer, inner = self._radii()
        overlap = _lens(outer, outer, r) + _lens(inner, inner, r) - 2 * _lens(outer, inner, r)
        return 4 * math.pi / 3 * (outer**3 - inner**3), overlap

    def gamma0(self, r: Array) -> Array:
        """Return γ₀."""
        volume, overlap = self._overlap(np.asarray(r, dtype=np.float64))
        return np.asarray(overlap / volume)

    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂(spdiameter, thickness); ∂L/∂A is the part of the surface of A that lies within B."""
        r = np.asarray(r, dtype=np.float64)
        outer, inner = self._radii()
        volume, overlap = self._overlap(r)
        g = overlap / volume
        by_outer = 2 * (_cap(outer, outer, r) - _cap(outer, inner, r)) - 4 * math.pi * outer**2 * g
        by_inner = 2 * (_cap(inner, inner, r) - _cap(inner, outer, r)) + 4 * math.pi * inner**2 * g
        solid = inner == 0.0  # then by_inner = 0 too: the wall no longer matters
        by_diameter = by_outer / 2 if solid else (by_outer + by_inner) / 2
        return np.stack([by_diameter, np.zeros_like(r) if solid else -by_inner]) / volume

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r: what two spheres have in common shrinks by the disc that their surfaces cut out."""
        r = np.asarray(r, dtype=np.float64)
        outer, inner = self._radii()
        discs = _disc(outer, outer, r) + _disc(inner, inner, r) - 2 * _disc(outer, inner, r)
        return np.asarray(-discs / (4 * math.pi / 3 * (outer**3 - inner**3)))

    def extent(self) -> float:
        """Return the outer diameter."""
        return self.spdiameter


def _lens(a: float, b: float, r: Array) -> Array:
    """Return the volume (Å³) common to spheres of radii `a` and `b` whose centres are `r` apart."""
    d = np.clip(r, max(abs(a - b), 1e-300), max(a + b, 1e-300))
    part = math.pi * (a + b - d) ** 2 * (d * d + 2 * d * (a + b) - 3 * (a - b) ** 2) / (12 * d)
    return np.asarray(np.where(r <= abs(a - b), 4 * math.pi / 3 * min(a, b) ** 3, part))


def _cap(a: float, b: float, r: Array) -> Array:
    """Return the area (Å²) of the sphere of radius `a` inside the sphere of radius `b`, centres `r` apart."""
    d = np.clip(r, max(abs(a - b), 1e-300), max(a + b, 1e-300))
    part = math.pi * a * (b - a + d) * (b + a - d) / d
    # Equal spheres at r = 0: each surface counts half inside the other, the limit of both at small r.
    within = 2 * math.pi * a * a * (1.0 if a == b else 2.0 if a < b else 0.0)
    return np.asarray(np.where(r <= abs(a - b), within, part))


def _disc(a: float, b: float, r: Array) -> Array:
    """Return the area (Å²) of the disc whose rim two spheres of radii `a` and `b` share, centres `r` apart."""
    d = np.clip(r, max(abs(a - b), 1e-300), max(a + b, 1e-300))
    part = math.pi * (a * a - ((d * d + a * a - b * b) / (2 * d)) ** 2)
    return np.where((r > abs(a - b)) & (r < a + b), part, 0.0)


@dataclass(frozen=True)
class Sheet(Shape):
    """A flat layer without edges, from all directions: 1 − r/(2t) within its thickness t, t/(2r) beyond.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> pk.shapes.Sheet(10).gamma0(np.array([0, 10, 20])).tolist()
    [1.0, 0.5, 0.25]
    """

    thickness: float

    kind: ClassVar[str] = "sheet"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (
        ShapeParameter("thickness", "Å", SMALLEST, math.inf, "thickness of the layer"),
    )

    def gamma0(self, r: Array) -> Array:
        """Return γ₀."""
        t = self.thickness
        return np.where(r < t, 1 - r / (2 * t), t / (2 * np.maximum(r, t)))

    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂thickness."""
        t = self.thickness
        return np.atleast_2d(np.where(r < t, r / (2 * t * t), 1 / (2 * np.maximum(r, t))))

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r = −t/(2·max(r, t)²)."""
        return np.asarray(-self.thickness / (2 * np.maximum(r, self.thickness) ** 2))

    def extent(self) -> float:
        """Return inf."""
        return math.inf


@dataclass(frozen=True)
class Stepcut(Shape):
    """A sharp cut: γ₀ = 1 for r ≤ stepcut, 0 beyond (PDFfit2's `stepcut`); no body has this γ₀.

    It always cuts the curve, never pairs: of pairs on the edge all or none would be left, and nothing says which.
    The step cannot be refined: its derivative is 0 away from it. `smoothed(h)` is what a grid of step h
    needs: the step becomes a straight ramp of width h centred on it, so each grid value is differentiable in
    stepcut.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.array([29, 30, 31])
    >>> pk.shapes.Stepcut(30).gamma0(r).tolist(), pk.shapes.Stepcut(30).smoothed(4).gamma0(r).tolist()
    ([1.0, 1.0, 0.0], [0.75, 0.5, 0.25])
    """

    stepcut: float
    ramp: float = 0.0

    solid: ClassVar[bool] = False
    kind: ClassVar[str] = "stepcut"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (
        ShapeParameter("stepcut", "Å", SMALLEST, math.inf, "r beyond which there are no pairs"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "ramp", _checks.number("ramp", self.ramp, low=0.0))

    def smoothed(self, h: float) -> Stepcut:
        """Return the same cut as a ramp of width `h` (Å) centred on it."""
        return replace(self, ramp=_checks.number("h", h, low=0.0, open_low=True))

    def gamma0(self, r: Array) -> Array:
        """Return γ₀."""
        if self.ramp == 0:
            return np.where(r <= self.stepcut, 1.0, 0.0)
        return np.clip((self.stepcut - r) / self.ramp + 0.5, 0.0, 1.0)

    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂stepcut: 1/ramp on the ramp, 0 elsewhere."""
        inside = np.abs(r - self.stepcut) < self.ramp / 2
        return np.atleast_2d(np.where(inside, 1.0 / (self.ramp or 1.0), 0.0))

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r, away from a step."""
        return np.asarray(-self.derivatives(r)[0])

    def extent(self) -> float:
        """Return the end of the step or ramp."""
        return self.stepcut + self.ramp / 2


@dataclass(frozen=True, eq=False)
class Tabulated(Shape):
    """A γ₀ of the user's own, given as a table and interpolated by monotone cubics (PCHIP); γ₀(r/stretch).

    Parameters
    ----------
    r : (m,) Å, increasing from 0. table : (m,) γ₀ at r, starting with 1. stretch : scales the particle's
    size.

    Raises
    ------
    PdfkitError : the table does not start with γ₀(0) = 1; or γ₀ is asked for beyond a table that does not end
    at 0.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> r = np.linspace(0, 30, 301)
    >>> mine = pk.shapes.Tabulated(r, pk.Sphere(30).gamma0(r), stretch=2)  # twice the size
    >>> mine.extent(), mine.gamma0(np.array([30.0])).round(4).tolist()
    (60.0, [0.3125])
    """

    r: Array
    table: Array
    stretch: float = 1.0

    kind: ClassVar[str] = "tabulated"
    parameters: ClassVar[tuple[ShapeParameter, ...]] = (
        ShapeParameter("stretch", "1", 0.01, 100.0, "factor on the r of the table"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "r", _checks.grid("r of the table", self.r))
        object.__setattr__(self, "table", _checks.array("table", self.table))
        if self.table.size != self.r.size:
            raise PdfkitError(f"table has {self.table.size} points and r has {self.r.size}: they must match")
        if self.r[0] != 0 or abs(self.table[0] - 1) > 1e-6:
            raise PdfkitError(f"the table starts with γ₀ = {self.table[0]:g} at r = {self.r[0]:g}: it must be 1 at 0")

    @cached_property
    def _curve(self) -> Any:
        from scipy.interpolate import PchipInterpolator

        return PchipInterpolator(self.r, self.table, extrapolate=False)

    def _at(self, r: Array, order: int) -> tuple[Array, Array]:
        """Return x = r/stretch and the curve (order 0) or its slope (order 1) at x, 0 beyond the table."""
        x = np.asarray(r, dtype=np.float64) / self.stretch
        last = self.r[-1]
        if self.table[-1] != 0 and (x > last).any():
            raise PdfkitError(
                f"γ₀ is needed at r = {x.max():g} and its table ends at {last:g} with {self.table[-1]:g}: "
                f"extend the table, or end it with 0"
            )
        return x, np.where(x > last, 0.0, self._curve(np.minimum(x, last), order))

    def gamma0(self, r: Array) -> Array:
        """Return γ₀."""
        return self._at(r, 0)[1]

    def derivatives(self, r: Array) -> Array:
        """Return ∂γ₀/∂stretch = −(x/stretch) γ₀′(x), x = r/stretch."""
        x, slope = self._at(r, 1)
        return np.atleast_2d(-x * slope / self.stretch)

    def slope(self, r: Array) -> Array:
        """Return ∂γ₀/∂r = γ₀′(x)/stretch."""
        return np.asarray(self._at(r, 1)[1] / self.stretch)

    def extent(self) -> float:
        """Return the end of a table that ends with 0, inf for any other."""
        return float(self.r[-1] * self.stretch) if self.table[-1] == 0 else math.inf
