"""Stacked triangular layers: their shells, the numbers of the phase with tangents, and finite stacks.

Every site lies on the triangular lattice of side a_h/√3 above some layer, so in-plane distances are ρ² = a_h²·k/3 with
k = i² + ij + j². Where k is divisible by 3 the two sites have the same lateral position (A over A), else one of the
two others, each half of the points. Shells are therefore numbered by (sites, layers between, k), once per range of r.

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
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import ParameterError
from pdfkit.kernels.stacking import same_position
from pdfkit.phases.base import Broadening, Derived
from pdfkit.shapes import Rod, Shape, Sheet, Sphere

# --- Pairs of stacked triangular layers ------------------------------------------------------------------------------

# Lists are shared by all cells that round to the same reference, and complete for u within SHIFT of theirs.
RATIO = 0.02

SHIFT = 0.02


@dataclass(frozen=True)
class Shells:
    """Shells of pairs in the order of layers between; columns as `kernels.stacking.stacked_peaks` takes them.

    norm, mult: (n,); layers, bond, same, site_a, site_b: (n,) whole numbers. mult is ordered pairs per atom when every
    pair of the shell exists. most: largest number of layers between.
    """

    norm: Array
    layers: IntArray
    bond: Array
    same: IntArray
    mult: Array
    site_a: IntArray
    site_b: IntArray

    @property
    def most(self) -> int:
        """Largest number of layers between two sites of a shell."""
        return int(self.layers.max(initial=0))

    def part(self, some: slice) -> Shells:
        """Return some of the shells."""
        return Shells(*(getattr(self, column.name)[some] for column in fields(self)))


def shells(a_h: float, h: float, u: float, bilayer: bool, reach: float) -> Shells:
    """Return all shells that can lie within `reach` (Å) for a cell near a_h, h (Å) and u, and somewhat more.

    bilayer: a second site u above each (tetrahedral compounds), or one site per layer (close-packed metals).
    """
    ratio = round(math.log(h / a_h) / RATIO)
    shift = round(u / SHIFT)
    # In units of a_h, with what rounding of h/a_h and u can take off a distance.
    low = math.exp(-RATIO / 2)
    units = reach / a_h / low + h / a_h * SHIFT / low
    return _shells(ratio, shift, bilayer, math.ceil(2.0 * units))


@lru_cache(maxsize=16)
def _shells(ratio: int, shift: int, bilayer: bool, doubled: int) -> Shells:
    reach, height, u = doubled / 2.0, math.exp(ratio * RATIO), shift * SHIFT
    norms, points = _triangular(3.0 * reach * reach)
    # Kinds: site a, site b, τ, ordered pairs per atom for m = 0 and for m > 0 (both directions).
    kinds = [(0, 0, 0.0, 1.0, 2.0)]
    if bilayer:
        kinds = [(0, 0, 0.0, 0.5, 1.0), (1, 1, 0.0, 0.5, 1.0), (0, 1, 1.0, 1.0, 1.0), (0, 1, -1.0, 0.0, 1.0)]
    parts = []
    for m in range(math.floor(reach / height) + 2):
        for a, b, tau, flat, steep in kinds:
            times = steep if m else flat
            z = (m + 2.0 * u * tau) * height
            left = reach * reach - z * z
            if times == 0.0 or left < 0.0:
                continue
            inside = norms <= 3.0 * left
            same = norms % 3 == 0
            if m == 0:
                inside &= same if tau else same & (norms > 0)
            k = np.flatnonzero(inside)
            ones = np.ones(k.size)
            parts.append((norms[k] / 3.0, m * ones, tau * ones, same[k], times * points[k], a * ones, b * ones))
    norm, layers, bond, same_, mult, site_a, site_b = (np.concatenate(column) for column in zip(*parts, strict=True))
    whole = [np.ascontiguousarray(x, dtype=np.int64) for x in (layers, same_, site_a, site_b)]
    return Shells(norm, whole[0], bond, whole[1], mult, whole[2], whole[3])


def _triangular(most: float) -> tuple[IntArray, Array]:
    """Return the norms k = i² + ij + j² ≤ most of a triangular lattice and how many points have each."""
    n = math.ceil(math.sqrt(4.0 * most / 3.0))
    i = np.arange(-n, n + 1)
    k = (i * i)[:, None] + np.outer(i, i) + (i * i)[None, :]
    norms, points = np.unique(k[k <= most], return_counts=True)
    return norms.astype(np.int64), points.astype(np.float64)


# --- Numbers of a stacked phase --------------------------------------------------------------------------------------

UISO = 0.01
"""Å²: mean-square displacement where none is given."""

Displacement = float | Mapping[str, float]

KINDS = ("Uiso", "U11", "U33")


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

    def widths(self, broadening: Broadening) -> tuple[Array, Array]:
        """Return δ₁, δ₂, qbroad, resolution, U_layer and tangents (nq, 5)."""
        value, slope = self.stacked(("delta1", "delta2", "", "", "Ulayer"))
        value[2:4], slope[:, 2:4] = (broadening.qbroad, broadening.resolution), broadening.tangents
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
                raise ParameterError(
                    f"{kind} is given for {label!r}, but the elements of {name} are {', '.join(labels)}: name one of "
                    "them"
                )
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


# --- Finite stacks ---------------------------------------------------------------------------------------------------


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
