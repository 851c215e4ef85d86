"""Convex bodies about the origin: which points lie inside, and how far the body reaches along a direction.

Atoms on the surface are inside, whatever the last digit of their position says (`EDGE`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array

EDGE = 1e-6
"""Å: positions are exact to rounding, so this only decides ties."""


class Region(Protocol):
    """What a particle is cut with."""

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return which of the points (n, 3) are inside."""

    def reach(self, direction: Array) -> float:
        """Return the largest x·direction of the body."""


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """An ellipsoid with half axes `radii` (3,) along x, y, z; a sphere when they are equal."""

    radii: Array

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return Σ (x/r)² ≤ 1."""
        scaled = x / (self.radii + EDGE)
        return np.asarray(np.einsum("nk,nk->n", scaled, scaled) <= 1.0)

    def reach(self, direction: Array) -> float:
        """Return |r·direction| + the edge."""
        return float(np.linalg.norm((self.radii + EDGE) * direction))


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A cylinder about the unit vector `axis`."""

    axis: Array
    radius: float
    half: float

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return |along the axis| ≤ half and distance to the axis ≤ radius."""
        along = x @ self.axis
        across = np.einsum("nk,nk->n", x, x) - along**2
        return np.asarray((np.abs(along) <= self.half + EDGE) & (across <= (self.radius + EDGE) ** 2))

    def reach(self, direction: Array) -> float:
        """Return the reach of both together."""
        along = float(direction @ self.axis)
        across = float(np.linalg.norm(direction - along * self.axis))
        return (self.half + EDGE) * abs(along) + (self.radius + EDGE) * across


@dataclass(frozen=True, eq=False)
class Box:
    """A box with half edges `half` (3,) along the orthonormal rows of `axes`."""

    axes: Array
    half: Array

    def inside(self, x: Array) -> NDArray[np.bool_]:
        """Return |x·axis| ≤ half for all three."""
        return np.asarray((np.abs(x @ self.axes.T) <= self.half + EDGE).all(axis=1))

    def reach(self, direction: Array) -> float:
        """Return Σ half·|axis·direction|."""
        return float(((self.half + EDGE) * np.abs(self.axes @ direction)).sum())
