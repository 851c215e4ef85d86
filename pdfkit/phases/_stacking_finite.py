"""Finite stacks, pair by pair: the share of each shell that a particle holds, and the γ₀ of its baseline.

`Body`, a particle cut anywhere out of the crystal: a displacement d stays inside for the share γ₀(d) of the volume, so
that its shells have the weights of the crystal times γ₀ at their own distance. That is what atoms of explicit particles
give on average. γ₀(r) × curve, as programs do it, weighs the flanks of a peak differently, which moves it by about
σ²γ₀′/γ₀ and is found again as a lattice that is too large.

`Disc`, a particle of M whole layers and diameter D about the axis of the stack: of the pairs m layers apart a share
1 − m/M has both ends inside, and of those ρ apart in the plane the common part c(ρ/D) of two circles. Layers of a
compound are puckered: the second sites bonded to a layer of first sites by three bonds belong to it, so that no surface
cuts more than one bond of an atom. Smoothed, the pairs are those of a cylinder of length Mh, whose γ₀ (`Rod`, `Sheet`)
belongs to the baseline. M between two whole numbers stands for a mixture of stacks of both.

`Ball`, a sphere of diameter D that has M whole layers: layer i is a disc of radius R_i = √(D²/4 − z_i²), z_i the height
of its middle over the sphere's, and layers i and j leave the common part of their circles. The baseline is that of the
sphere of the same volume hΣπR_i²: it takes away as much of the small-angle signal as any spheroid does, 0.4 % at 25 Å
and 2 % at 12 Å are left (σ = 2 Å).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.phases._stacking_pairs import Shells
from pdfkit.shapes import Rod, Shape, Sheet, Sphere


@dataclass(frozen=True)
class Body:
    """Any shape but a step, cut anywhere; dvalues (nparams, nq): tangents of its parameters."""

    shape: Shape
    dvalues: Array

    def extent(self, cell: Array) -> float:
        """Return the distance (Å) beyond which no pair is left."""
        return self.shape.extent()

    def share(self, shells: Shells, cell: Array, dcell: Array) -> tuple[Array, Array]:
        """Return the share of each shell that is inside (n,), and its derivatives (nq, n).

        cell (3,) = a_h, h, u and dcell (nq, 3). γ₀ depends on ratios of lengths only: rγ₀′ = −Σ L·∂γ₀/∂L.
        """
        a, h, u = cell.tolist()
        height = shells.layers + 2.0 * u * shells.bond
        d2 = a * a * shells.norm + (height * h) ** 2
        slopes = self.shape.derivatives(np.sqrt(d2))
        by_log_d = np.zeros(d2.size)
        for p, value, slope in zip(self.shape.parameters, self.shape.values(), slopes, strict=True):
            if p.unit == "Å" or p.name == "stretch":
                by_log_d -= np.where(np.isfinite(value), value, 0.0) * slope
        by_cell = np.stack([a * shells.norm, height * height * h, 2.0 * shells.bond * height * h * h]) / d2
        return self.shape.gamma0(np.sqrt(d2)), self.dvalues.T @ slopes + (dcell @ by_cell) * by_log_d

    def form(self, cell: Array, dcell: Array) -> tuple[Shape, Array]:
        """Return the γ₀ of the baseline and the tangents of its parameters (nparams, nq)."""
        return self.shape, self.dvalues


@dataclass(frozen=True)
class Disc:
    """Layers M and diameter D (Å, may be infinite) of a finite stack, and their tangents (nq,)."""

    layers: float
    diameter: float
    dlayers: Array
    ddiameter: Array

    def extent(self, cell: Array) -> float:
        """Return the distance (Å) beyond which no pair is left."""
        return math.hypot(self.diameter, (self.layers + 1.0) * cell[1])

    def share(self, shells: Shells, cell: Array, dcell: Array) -> tuple[Array, Array]:
        """Return the share of each shell that is inside (n,), and its derivatives (nq, n)."""
        # The second site above a first one, τ = 1, belongs to the next layer.
        m = np.abs(shells.layers + shells.bond)
        along = np.maximum(1.0 - m / self.layers, 0.0)
        dalong = self.dlayers[:, None] * np.where(m < self.layers, m / self.layers**2, 0.0)
        if math.isinf(self.diameter):
            return along, dalong
        x = np.minimum(cell[0] * np.sqrt(shells.norm) / self.diameter, 1.0)
        root = np.sqrt(1.0 - x * x)
        across = 2.0 / math.pi * (np.arccos(x) - x * root)
        # c′(x) = −(4/π)√(1 − x²), and x is proportional to a_h/D.
        relative = dcell[:, 0] / cell[0] - self.ddiameter / self.diameter
        dacross = -4.0 / math.pi * root * x * relative[:, None]
        return along * across, dalong * across + along * dacross

    def form(self, cell: Array, dcell: Array) -> tuple[Shape, Array]:
        """Return the γ₀ of the baseline and the tangents of its parameters (nparams, nq)."""
        length, dlength = self.layers * cell[1], self.dlayers * cell[1] + self.layers * dcell[:, 1]
        if math.isinf(self.diameter):
            return Sheet(length), dlength[None]
        return Rod(self.diameter, length), np.stack([self.ddiameter, dlength])


@dataclass(frozen=True)
class Ball:
    """A sphere of diameter D (Å) with M whole layers, and the tangents (nq,) of D."""

    layers: int
    diameter: float
    ddiameter: Array

    def extent(self, cell: Array) -> float:
        """Return the distance (Å) beyond which no pair is left."""
        return math.hypot(self.diameter, 2.0 * cell[1])

    def _discs(self, cell: Array, dcell: Array) -> tuple[Array, Array]:
        """Return the radii R_i (M,), 0 where the sphere has ended, and tangents (nq, M)."""
        steps = np.arange(self.layers) - 0.5 * (self.layers - 1)
        z, dz = steps * cell[1], steps * dcell[:, 1:2]
        square = self.diameter**2 / 4.0 - z * z
        radius = np.sqrt(np.maximum(square, 0.0))
        change = 0.25 * self.diameter * self.ddiameter[:, None] - z * dz
        return radius, np.where(square > 0.0, change / np.where(square > 0.0, radius, 1.0), 0.0)

    def share(self, shells: Shells, cell: Array, dcell: Array) -> tuple[Array, Array]:
        """Return the share of each shell that is inside (n,), and its derivatives (nq, n)."""
        radius, dradius = self._discs(cell, dcell)
        m = np.abs(shells.layers + shells.bond).astype(np.int64)
        root = np.sqrt(shells.norm)
        area, darea = np.zeros(m.size), np.zeros((dcell.shape[0], m.size))
        for apart in range(self.layers):
            rows = np.flatnonzero(m == apart)
            rho, drho = cell[0] * root[rows], dcell[:, :1] * root[rows]
            for i in range(self.layers - apart):
                j = i + apart
                common, by_rho, by_i, by_j = _common(rho, radius[i], radius[j])
                area[rows] += common
                darea[:, rows] += drho * by_rho + dradius[:, i : i + 1] * by_i + dradius[:, j : j + 1] * by_j
        whole = math.pi * float((radius**2).sum())
        dwhole = 2.0 * math.pi * (dradius @ radius)
        return area / whole, (darea - dwhole[:, None] * (area / whole)) / whole

    def form(self, cell: Array, dcell: Array) -> tuple[Shape, Array]:
        """Return the γ₀ of the baseline and the tangents of its parameters (nparams, nq)."""
        radius, dradius = self._discs(cell, dcell)
        total = float((radius**2).sum())
        size = (6.0 * cell[1] * total) ** (1.0 / 3.0)
        return Sphere(size), size / 3.0 * (dcell[:, 1] / cell[1] + 2.0 * (dradius @ radius) / total)[None]


def _common(d: Array, a: float, b: float) -> tuple[Array, Array, Array, Array]:
    """Return the area common to circles of radii a and b at distances d, and its derivatives to d, a and b.

    The edge of one within the other is what its radius adds; the common chord is what the distance takes off.
    """
    low, high = abs(a - b), a + b
    x = np.clip(d, max(low, 1e-12), max(high, 1e-12))
    p, q = (x * x + a * a - b * b) / (2.0 * x), (x * x + b * b - a * a) / (2.0 * x)
    angle_a = np.arccos(np.clip(p / max(a, 1e-12), -1.0, 1.0))
    angle_b = np.arccos(np.clip(q / max(b, 1e-12), -1.0, 1.0))
    chord = np.sqrt(np.maximum(a * a - p * p, 0.0))
    apart, inside = d >= high, d <= low
    area = np.where(inside, math.pi * min(a, b) ** 2, a * a * angle_a + b * b * angle_b - x * chord)
    by_a, by_b = 2.0 * a * angle_a, 2.0 * b * angle_b
    if a != b:
        by_a = np.where(inside, 2.0 * math.pi * a * (a < b), by_a)
        by_b = np.where(inside, 2.0 * math.pi * b * (b < a), by_b)
    by_d = np.where(inside, 0.0, -2.0 * chord)
    return tuple(np.where(apart, 0.0, part) for part in (area, by_d, by_a, by_b))  # type: ignore[return-value]
