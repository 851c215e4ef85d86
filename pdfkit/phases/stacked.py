"""Layers stacked in random order as one phase: zinc blende, wurtzite and everything between.

Layers are triangular lattices of side a_h, h above each other, each at one of three lateral positions A, B, C; the next
one is one step on (A → B → C → A) or back. A layer is hexagonal where the step above it is opposite to the one below
(ABA), cubic where it is the same (ABC). Whether it is, is left to chance:

    alpha             each layer is hexagonal with probability alpha, whatever the others are
    alpha_c, alpha_h  with alpha_c where the layer below is cubic, with alpha_h where it is hexagonal

    alpha = 0   zinc blende, diamond, fcc (3C)      a = √2·a_h, h = a/√3
    alpha = 1   wurtzite, lonsdaleite, hcp (2H)     a = a_h, c = 2h
    alpha_c = 1, alpha_h = 0   every other layer hexagonal (4H)     a = a_h, c = 4h
    alpha_c + (1 − alpha_h) ≪ 1   long blocks of both kinds, the two-phase model within one crystal

Averaged over stacks, pairs m layers apart lie at the same lateral position with probability P₀(m), a generating
function of that chain (`pdfkit.kernels.stacking.same_position`), so that every shell of pairs has a known weight with a
known derivative.

Particles. A displacement d stays inside a particle for the share γ₀(d) of its volume, so that particles cut anywhere
out of such crystals hold, on average, the pairs of the endless stack times γ₀(d): exact for spheres of any size and for
every shape whose axes have no relation to the stack. What ends between layers is counted by layers:

    shape             γ₀ of particles cut anywhere, as of every phase
    layers, diameter  a platelet or rod of whole layers: its axis is that of the stack, so that directions matter
    layers, shape     a sphere of whole layers (matters below 20 Å)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks, _machine
from pdfkit._checks import Array, IntArray
from pdfkit.errors import PdfkitError
from pdfkit.kernels.stacking import stacked_peaks
from pdfkit.phases._stacking import (
    KINDS,
    Ball,
    Disc,
    Displacement,
    Point,
    Shells,
    displacements,
    runs,
    shells,
)
from pdfkit.phases.base import (
    U_MAX,
    Broadening,
    Composition,
    Derived,
    Peaks,
    Phase,
    Quantity,
    cell_length,
    displacement,
    quantities_of,
    updated,
)
from pdfkit.shapes import Bulk, Shape, Sphere
from pdfkit.structure.site import neutral_symbol

# u in a fit: ± 0.1, and what a second site can be.
U_RANGE = (0.2, 0.49)
# Å; 3e6 shells, 1 GB with ten derivatives.
MOST_REACH = 500.0
# Measured, s: a peak, and each of its derivatives, in memory that nobody has used before.
PEAK_SECONDS = 3e-8
# Longer runs of one kind than 1/SHORTEST layers are infinite to any measurement.
SHORTEST = 1e-4
IDEAL_U = 0.375


@dataclass(frozen=True, eq=False)
class Stacked(Phase):
    """A randomly stacked crystal.

    Parameters
    ----------
    first, second : elements. Two make bilayers of a tetrahedral compound, `second` bonded above `first`; the same
        twice gives the layers of diamond; without `second`, single layers of a close-packed metal.
    name : starts the names of its parameters ("st" gives st.a_h, st.alpha, st.Cd.Uiso, st.scale…).
    a_h, h : Å, side of the triangular lattice and distance of layers (default √(2/3)·a_h).
    u : the second site lies 2u·h above the first (default 3/8; no parameter of single layers).
    alpha : probability that a layer is hexagonal; or alpha_c and alpha_h, after a cubic and after a hexagonal layer.
    Uiso : mean-square displacement (Å², default 0.01) of all elements, or by element.
    U11, U33 : in the plane of the layers and along the stack, instead of Uiso, of all elements or by element.
    Ulayer : Å²; what the variance of distances along the stack grows by with every layer between.
    shape : γ₀(r) of the particles (`pdfkit.Sphere(30)`, …); default Bulk().
    layers, diameter : instead, a platelet or rod of that many whole layers (puckered ones of a compound, a mean where
        not whole) and diameter (Å; default without edges). With a `Sphere` as shape: a sphere of whole layers, one or a
        gap in its middle.
    scale : weight of the phase in the model. delta1, delta2 : Å, Å²; correlated motion, σ² → σ²(1 − δ₁/r − δ₂/r²).

    Raises
    ------
    PdfkitError : a value out of range, alpha and alpha_c both given or none, a shape besides layers that is no sphere.
    StructureError : no such element, or an ion.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> zb = pk.Crystal.from_file("CdS_zincblende", name="zb").with_values({"a": 5.82, "Cd.Uiso": 0.01, "S.Uiso": 0.01})
    >>> st = pk.Stacked("Cd", "S", name="st", a_h=5.82 / 2**0.5, alpha=0)
    >>> r, instrument = np.arange(1, 20, 0.02), pk.Instrument(probe="X", qmax=20)
    >>> difference = pk.Model(st, instrument)(r).G - pk.Model(zb, instrument)(r).G
    >>> print(f"without hexagonal layers it is zinc blende: {abs(difference).max():.3f} Å⁻² apart")
    without hexagonal layers it is zinc blende: 0.000 Å⁻² apart
    >>> fraction = st.with_values({"alpha": 0.3}).derived()[0]
    >>> print(fraction.name, round(fraction.value, 3))
    cubic_fraction 0.7
    """

    kind: ClassVar[str] = "stacked"
    first: str
    second: str | None = None
    _: KW_ONLY
    a_h: float
    name: str = ""
    h: float | None = None
    u: float | None = None
    alpha: float | None = None
    alpha_c: float | None = None
    alpha_h: float | None = None
    Uiso: Displacement = field(default_factory=dict)
    U11: Displacement = field(default_factory=dict)
    U33: Displacement = field(default_factory=dict)
    Ulayer: float = 0.0
    shape: Any = field(default_factory=Bulk)
    layers: float | None = None
    diameter: float | None = None
    scale: float = 1.0
    delta1: float = 0.0
    delta2: float = 0.0

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        self._check_common()
        set_(self, "first", neutral_symbol(self.first))
        set_(self, "second", None if self.second is None else neutral_symbol(self.second))
        set_(self, "shape", Bulk() if self.shape is None else self.shape)
        _checks.instance("shape", self.shape, Shape, "a shape, such as pdfkit.Sphere(30)")
        set_(self, "Ulayer", _checks.number("Ulayer", self.Ulayer, low=0.0, high=_checks.MOST_U))
        set_(self, "a_h", _checks.number("a_h", self.a_h, low=1.0, high=20.0))
        h = math.sqrt(2 / 3) * self.a_h if self.h is None else self.h
        set_(self, "h", _checks.number("h", h, low=1.0, high=20.0))
        self._check_second()
        self._check_chances()
        for kind, values in displacements(self.name, self.labels, {k: getattr(self, k) for k in KINDS}).items():
            set_(self, kind, MappingProxyType(values))
        self._check_ends()

    def _stem(self) -> str:
        return f"{''.join(self.labels)}_stacked"

    def _check_second(self) -> None:
        if self.second is None:
            if self.u is not None:
                raise PdfkitError(
                    f"u = {self.u} is for layers of two elements, and {self.name} has {self.first} alone: leave u out"
                )
            return
        u = IDEAL_U if self.u is None else self.u
        object.__setattr__(self, "u", _checks.number("u", u, low=U_RANGE[0], high=U_RANGE[1]))

    def _check_chances(self) -> None:
        given = tuple(name for name in ("alpha", "alpha_c", "alpha_h") if getattr(self, name) is not None)
        if given not in (("alpha",), ("alpha_c", "alpha_h")):
            raise PdfkitError(f"{' and '.join(given) or 'no alpha'} given: give alpha, or both alpha_c and alpha_h")
        for name in given:
            object.__setattr__(self, name, _checks.number(name, getattr(self, name), low=0.0, high=1.0))

    def _check_ends(self) -> None:
        if self.layers is not None:
            object.__setattr__(self, "layers", _checks.number("layers", self.layers, low=1.0, high=1e6))
            if not isinstance(self.shape, Bulk | Sphere):
                raise PdfkitError(
                    f"layers and a {self.shape.kind} both limit the particle: give one of them (layers may go with "
                    "shape=Sphere)"
                )
            if self._is_ball and not self.layers.is_integer():
                raise PdfkitError(f"layers = {self.layers:g} of a sphere: give a whole number")
        if self.diameter is not None:
            if self.layers is None or self._is_ball:
                raise PdfkitError(
                    "diameter is only for a platelet: give it with layers alone, or give shape=Sphere(30) instead"
                )
            object.__setattr__(self, "diameter", _checks.number("diameter", self.diameter, low=0.1))

    @property
    def _is_ball(self) -> bool:
        return self.layers is not None and isinstance(self.shape, Sphere)

    @property
    def applied_shape(self) -> Shape:
        """The shape; whole layers are counted as such."""
        return self.shape if self.layers is None else Bulk()

    def __reduce__(self) -> tuple[Any, ...]:
        return _checks.reduced(self)

    # --- parameters ------------------------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """Elements by site: what the names of displacements start with."""
        return (self.first,) if self.second in (None, self.first) else (self.first, str(self.second))

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All numbers of the phase, scale first, shape last."""
        return (
            self._scale(),
            cell_length("a_h", self.a_h, "side of the triangular lattice"),
            cell_length("h", self._h, "distance of layers"),
            *self._u_quantity,
            *self._chance_quantities,
            *(q for label in self.labels for q in self._displacement_quantities(label)),
            Quantity(
                "Ulayer", self.Ulayer, 0.0, U_MAX, "Å²", "growth of the variance along the stack, per layer", least=0.0
            ),
            *self._deltas(self._shortest_distance),
            *self._platelet_quantities,
            *quantities_of(self.shape),
        )

    @property
    def _h(self) -> float:
        return float(self.h or 0.0)

    @property
    def _u_quantity(self) -> tuple[Quantity, ...]:
        if self.u is None:
            return ()
        low, high = max(U_RANGE[0], self.u - 0.1), min(U_RANGE[1], self.u + 0.1)
        meaning = f"height of {self.second} over {self.first}, in units of 2h"
        return (Quantity("u", self.u, low, high, "", meaning, least=U_RANGE[0], most=U_RANGE[1]),)

    @property
    def _chance_quantities(self) -> tuple[Quantity, ...]:
        if self.alpha is not None:
            meaning = "probability that a layer is hexagonal"
            return (Quantity("alpha", self.alpha, 0.0, 1.0, "", meaning, least=0.0, most=1.0),)
        c, h = float(self.alpha_c or 0.0), float(self.alpha_h or 0.0)
        cubic, hexa = (SHORTEST, 1.0), (0.0, 1.0 - SHORTEST)
        return (
            Quantity("alpha_c", c, *cubic, "", "probability of a hexagonal layer after a cubic one", True, *cubic),
            Quantity("alpha_h", h, *hexa, "", "probability of a hexagonal layer after a hexagonal one", True, *hexa),
        )

    def _displacement_quantities(self, label: str) -> tuple[Quantity, ...]:
        words = {"Uiso": "", "U11": " in the plane of the layers", "U33": " along the stack"}
        out = []
        for kind, where in words.items():
            if label in getattr(self, kind):
                out.append(
                    displacement(f"{label}.{kind}", getattr(self, kind)[label], f"mean-square displacement{where}")
                )
        return tuple(out)

    @property
    def _platelet_quantities(self) -> tuple[Quantity, ...]:
        if self.layers is None:
            return ()
        layers = Quantity("layers", self.layers, 1.0, math.inf, "", "whole layers", refinable=not self._is_ball)
        if self.diameter is None:
            return (layers,)
        return layers, Quantity("diameter", self.diameter, 0.1, math.inf, "Å", "diameter of the platelet", least=0.1)

    @property
    def _shortest_distance(self) -> float:
        """Distance (Å) of the nearest pair."""
        a, h = self.a_h, self._h
        if self.u is None:
            return min(a, math.hypot(a / math.sqrt(3.0), h))
        return min(2.0 * self.u * h, math.hypot(a / math.sqrt(3.0), (1.0 - 2.0 * self.u) * h))

    @property
    def outline(self) -> str:
        """What ends the particle."""
        return "whole layers" if self.layers is not None else str(self.shape.kind)

    def composition(self) -> dict[str, float]:
        """Return atoms by element in one layer's cell."""
        if self.second == self.first:
            return {self.first: 2.0}
        return dict.fromkeys(sorted(self.labels), 1.0)

    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement."""
        return 2.0 * float(min(value for kind in KINDS for value in getattr(self, kind).values()))

    def pair_density(self) -> float:
        """Return pairs to enumerate per Å³ of the sphere that holds them: sites × atoms of a cell / volume."""
        sites = 1 if self.second is None else 2
        return sites * sites / (math.sqrt(0.75) * self.a_h**2 * self._h)

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed."""
        known = updated(self, values)
        changed: dict[str, Any] = {
            "shape": replace(self.shape, **{p.name: known.pop(p.name) for p in self.shape.parameters})
        }
        changed.update({name: value for name, value in known.items() if "." not in name})
        for kind in KINDS:
            changed[kind] = {label: known[f"{label}.{kind}"] for label in getattr(self, kind)}
        return replace(self, **changed)

    def derived(self, covariance: Array | None = None) -> tuple[Derived, ...]:
        """Return the cubic fraction and the mean lengths of cubic and hexagonal runs.

        Formula: with α_c = α_h = alpha where there is one, cubic fraction (1 − α_h)/(1 + α_c − α_h), runs of 1/α_c
        cubic and 1/(1 − α_h) hexagonal layers: of the endless stack that the particles are pieces of.
        covariance : (n, n) of `quantities`, 0 where fixed; without it standard errors are NaN.
        """
        names = [q.name for q in self.quantities]
        chances = ("alpha", "alpha") if self.alpha is not None else ("alpha_c", "alpha_h")
        rows = [names.index(name) for name in chances]
        part = np.full((2, 2), math.nan) if covariance is None else np.asarray(covariance)[np.ix_(rows, rows)]
        return runs(getattr(self, chances[0]), getattr(self, chances[1]), part)

    # --- pairs -----------------------------------------------------------------------------------------------------

    def peaks(self, values: Array, tangents: Array, broadening: Broadening, rmax: float, qmin: float = 0.0) -> Peaks:
        """Return the peaks of all pairs up to at least rmax (Å), with derivatives along `tangents`.

        values (n,), tangents (n, nq) in the order of `quantities`; broadening : of the instrument, along the same.
        qmin changes nothing here. See `pdfkit.kernels.stacking.stacked_peaks` for the formula.
        """
        at = Point({q.name: k for k, q in enumerate(self.quantities)}, self._sites, values, tangents)
        cell, dcell = at.cell()
        end = self._end(at)
        rows = self._shells(at, broadening, min(rmax, math.inf if end is None else end.extent(cell)))
        chance, dchance = at.chances(rows.most)
        fill, dfill = np.zeros(0), np.zeros((at.nq, 0))
        form, dform = None, None
        if end is not None:
            fill, dfill = end.share(rows, cell, dcell)
            form, dform = end.form(cell, dcell)
        peak, dpeak = np.empty((rows.norm.size, 3)), np.empty((rows.norm.size, at.nq, 3))
        width, dwidth = at.widths(broadening)
        numbers = (cell, dcell, *at.displacements(), width, dwidth, chance, dchance)
        dropped = 0
        for some in _machine.pieces(rows.norm.size, PEAK_SECONDS * (1 + at.nq)):
            part = rows.part(some)
            where = (part.norm, part.layers, part.bond, part.same, part.mult, part.site_a, part.site_b)
            inside = (fill[some], np.ascontiguousarray(dfill[:, some]))
            dropped += stacked_peaks(*where, *numbers, *inside, broadening.shifted, peak[some], dpeak[some])
        rho0 = len(self._sites) / (math.sqrt(0.75) * at["a_h"] ** 2 * at["h"])
        elements, pairs, pair, fractions = self._species
        return Peaks(
            peak=peak,
            dpeak=dpeak,
            pair=pair[rows.site_a, rows.site_b],
            pairs=pairs,
            rho0=rho0,
            drho0=-rho0 * (2.0 * at.d("a_h") / at["a_h"] + at.d("h") / at["h"]),
            composition=Composition(elements, fractions, np.zeros((at.nq, fractions.size))),
            dropped=dropped,
            first_dropped=self._describe(rows, peak) if dropped else "",
            form=form,
            dform=dform,
        )

    def _shells(self, at: Point, broadening: Broadening, rmax: float) -> Shells:
        a, h = at["a_h"], at["h"]
        reach = broadening.reach(rmax, 2.0 * at.largest, at["Ulayer"] * rmax / h)
        if reach > MOST_REACH:
            raise PdfkitError(
                f"{self.name}: the pairs within {reach:.0f} Å do not fit in memory: lower rmax, or a U, "
                "qbroad or resolution that makes peaks too wide"
            )
        return shells(a, h, at["u"], self.u is not None, reach)

    def _end(self, at: Point) -> Disc | Ball | None:
        if self.layers is None:
            return None
        if self._is_ball:
            return Ball(round(self.layers), at["spdiameter"], at.d("spdiameter"))
        diameter = math.inf if self.diameter is None else at["diameter"]
        return Disc(at["layers"], diameter, at.d("layers"), at.d("diameter"))

    @property
    def _sites(self) -> tuple[str, ...]:
        """Element of each site of a layer."""
        return (self.first,) if self.second is None else (self.first, self.second)

    @cached_property
    def _species(self) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], IntArray, Array]:
        """Elements, pairs of them, index of the pair for two sites, and atom fractions."""
        elements = tuple(sorted(set(self._sites)))
        pairs = tuple((a, b) for i, a in enumerate(elements) for b in elements[i:])
        pair = [[pairs.index((min(a, b), max(a, b))) for b in self._sites] for a in self._sites]
        fractions = np.array([self._sites.count(e) / len(self._sites) for e in elements])
        return elements, pairs, np.array(pair, dtype=np.int64), fractions

    def _describe(self, rows: Shells, peak: Array) -> str:
        k = int(np.argmax(peak[:, 1] < 0))
        pair = self._sites[rows.site_a[k]], self._sites[rows.site_b[k]]
        return f"{self.name}: {pair[0]}–{pair[1]} at r = {peak[k, 0]:.3f} Å"


# Files keep the old word: see `pdfkit.model.serial`.
Stacked.__init__ = _checks.renamed(body="shape=Sphere(20)")(Stacked.__init__)  # type: ignore[method-assign]
