"""What every kind of phase tells the model: its quantities, and its pairs as peaks."""

from __future__ import annotations

import keyword
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._table import shortlist, view
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.kernels.peaks import extremes, subtract_baseline, weigh_peaks
from pdfkit.shapes.simple import Shape

# Default limits of a fit: further away the start was wrong, or the model is.
U_MAX = 0.3
CELL_RANGE = 0.05
LARGEST = sys.float_info.max
# Å: no cell is shorter than a bond.
SHORTEST_CELL, LONGEST_CELL = 0.5, 1e5


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
            raise ParameterError(f"{name} = {value} is not finite: give a number", key=name)
        if self.least <= value <= self.most:
            return value
        unit = f" {self.unit}" if self.unit else ""
        limits = f"from {self.least:g} to {self.most:g}" if math.isfinite(self.most) else f"of {self.least:g} or more"
        raise ParameterError(
            f"{name} = {value:g}{unit} makes no sense for the {self.meaning}: give a number {limits}", key=name
        )


# How far beyond its limits a quantity may be evaluated: a difference quotient may step there.
SLACK = 0.01


def sensible_limits(quantities: Iterable[Quantity]) -> tuple[Array, Array]:
    """Return what quantities can be at least and at the most, with slack; NaN and infinities are outside."""
    low, high = np.array([(q.least, q.most) for q in quantities]).T
    return np.maximum(low - SLACK, -LARGEST), np.minimum(high + SLACK, LARGEST)


@dataclass(frozen=True)
class Broadening:
    """What decides where peaks are and how wide, besides the phase: the instrument and the convention.

    qbroad (Å⁻¹) and resolution = ΔQ/Q: σ² → σ²(… + qbroad²r²) + (resolution·r)²; tangents (nq, 2), of both; shifted:
    whether anisotropic displacement moves peaks (`Convention.anisotropy`).
    """

    qbroad: float
    resolution: float
    tangents: Array
    shifted: bool

    @classmethod
    def none(cls, nq: int) -> Self:
        """Return what leaves pairs at the distance of their atoms, as wide as these move."""
        return cls(0.0, 0.0, np.zeros((nq, 2)), False)

    def reach(self, rmax: float, variance: float, growth: float = 0.0) -> float:
        """Return how far (Å) pairs matter to r ≤ rmax: 7σ beyond, for the largest variance and what adds to it."""
        resolved = self.resolution * rmax / max(1.0 - 7.0 * self.resolution, 0.2)  # its own growth on the way there
        return rmax + 7.0 * math.sqrt(max(variance * (1.0 + (self.qbroad * rmax) ** 2) + growth + resolved**2, 0.0))


@dataclass(frozen=True)
class Composition:
    """Species of a phase with atom fractions c_a and their tangents.

    Shapes: fractions (ns,), tangents (nq, ns), strengths (ns,) at Q = 0 in the probe's units.
    """

    elements: tuple[str, ...]
    fractions: Array
    tangents: Array

    @cached_property
    def fixed(self) -> bool:
        """Whether no direction changes the fractions."""
        return not self.tangents.any()

    @cached_property
    def known(self) -> tuple[tuple[str, ...], bytes]:
        """What tells it from others."""
        return self.elements, self.fractions.tobytes()


# Å²: σ² that a grid is made for where there are no peaks.
NOTHING = 0.01


@dataclass(frozen=True)
class Displaced:
    """How the first peaks of a phase follow the places of its atoms, for derivatives along these.

    Shapes: atoms (m, 2) of each pair; cosine (m, 3) = ∂d/∂x of the first of them, −∂d/∂x of the second; slope (m,) =
    dσ²/dd; kind (n,), index of the element of each atom.
    """

    atoms: IntArray
    cosine: Array
    slope: Array
    kind: IntArray


@dataclass(frozen=True)
class Peaks:
    """Pairs of one phase as peaks of the number-weighted pair density, per species pair.

    Formula: Σ_peaks w·T(r; d, σ) − 4πrρ₀·share_ab is the number-weighted G_ab(r), w = (pairs at d)/N and
    share_ab = c_a c_b(2 − δ_ab); the scattering weights multiply it afterwards.
    Shapes: peak (n,3) = d Å, σ² Å², w; dpeak (n,nq,3); pair (n,), index into `pairs`; rho0 atoms/Å³ and drho0
    (nq,); composition. dropped: peaks whose width bracket is not positive, with the first of them described.
    moments: whether dpeak are changes wḋ, wσ̇² and ẇ of what a peak adds up to, not of d, σ² and w.
    form: γ₀ of the baseline, where peaks have their share of the particle in their weights, None for 1; dform
    (nparams, nq), its parameters' tangents. displaced: of a phase whose atoms move by themselves.
    """

    peak: Array
    dpeak: Array
    pair: IntArray
    pairs: tuple[tuple[str, str], ...]
    rho0: float
    drho0: Array
    composition: Composition
    dropped: int = 0
    first_dropped: str = ""
    moments: bool = False
    form: Shape | None = None
    dform: Array | None = None
    displaced: Displaced | None = None

    def within(self, shape: Shape, tangents: Array, reach: float) -> Peaks:
        """Return the peaks of particles of a shape, each times γ₀ at its own distance; they replace these peaks.

        tangents (nparams, nq) of the shape's parameters; reach (Å): where the curve ends. A displacement d stays inside
        a particle for the share γ₀(d) of its volume, whatever the atoms do about their places: the width of a peak
        plays no part in its weight.
        """
        distance = _seen(self.peak, shape, reach)
        gamma0, by, slope = shape.jet(distance) if self.dpeak.size else _value(shape, distance)
        weigh_peaks(gamma0, by, slope, tangents, self.moments, self.peak, self.dpeak)
        out = object.__new__(type(self))
        out.__dict__.update(self.__dict__, form=shape, dform=tangents)
        return out

    @property
    def extremes(self) -> tuple[float, float]:
        """The least σ² (Å²) of a peak that has one, infinity where none has, and the largest."""
        return extremes(self.peak)

    def subtract_baseline(self, r: Array, slope: Array, curves: Array) -> None:
        """Take 4πr·γ₀(r)·slope and its derivatives off curves (npairs, 1 + nq, nr); slope (npairs, 1 + nq), ρ₀ w_ab."""
        line = 4.0 * np.pi * r
        dline = along = _NO_CHANGE
        if self.form is not None and self.dform is not None and self.dform.any():
            gamma0, by = self.form.with_derivatives(r)
            line, dline, along = line * gamma0, line * by, self.dform
        elif self.form is not None:
            line = line * self.form.gamma0(r)
        subtract_baseline(line, slope, dline, along, curves)


@dataclass(frozen=True)
class ManyPeaks:
    """Peaks of one list of pairs at n vectors of values, without derivatives; as `Peaks` has them of one.

    Shapes: peak (n,m,3), pair (m,), rho0 (n,); done (n,): for which vectors they are all there is, each with a width.
    """

    peak: Array
    pair: IntArray
    rho0: Array
    composition: Composition
    done: Any

    def extremes(self, k: int) -> tuple[float, float]:
        """Return the least and the largest σ² (Å²) of vector k, as `Peaks.extremes`."""
        return extremes(self.peak[k])

    def within(self, k: int, shape: Shape, reach: float) -> None:
        """Make the peaks of vector k those of particles of a shape, as `Peaks.within` does."""
        peak, none = self.peak[k], np.empty((self.pair.size, 0, 3))
        weigh_peaks(*_value(shape, _seen(peak, shape, reach)), _NO_CHANGE, False, peak, none)


def _seen(peak: Array, shape: Shape, reach: float) -> Array:
    """Return the distances of peaks (n,3), as far as they are seen up to reach (Å)."""
    distance = peak[:, 0]
    if math.isinf(shape.extent()):
        # Lists of pairs go on beyond what is asked for, which a table of γ₀ need not: those peaks are not seen.
        return np.minimum(distance, reach + 8.0 * math.sqrt(max(float(peak[:, 1].max(initial=0.0)), 0.0)))
    return distance


_NO_CHANGE = np.zeros((0, 0))


def _value(shape: Shape, r: Array) -> tuple[Array, Array, Array]:
    """Return what `Shape.jet` does where no derivative is wanted."""
    gamma0 = shape.gamma0(r)
    return gamma0, gamma0[None][:0], gamma0


def plain_word(text: str) -> str:
    """Return a text, such as the stem of a file's name, as a name of a phase: "CdSe wz" gives CdSe_wz."""
    word = re.sub(r"\W+", "_", text).strip("_")
    return word if word.isidentifier() and not keyword.iskeyword(word) else f"phase_{word}".rstrip("_")


@dataclass(frozen=True)
class Derived:
    """A number that follows from refined ones: its standard error is NaN where theirs are not known."""

    name: str
    value: float
    stderr: float
    unit: str
    meaning: str


class Phase(ABC):
    """What every kind of phase tells. Everything is frozen; `with_values` returns a changed copy.

    name: starts the names of its parameters. shape: γ₀(r) of its particles. scale, delta1, delta2: as `quantities` say.
    """

    kind: ClassVar[str]
    name: Any
    shape: Any
    scale: Any
    delta1: Any
    delta2: Any

    @abstractmethod
    def _stem(self) -> str:
        """Return what it is called where no name is given."""

    def _check_common(self) -> None:
        """Refuse a name that is no plain word, and numbers that are none; name what has no name."""
        if self.name == "":
            object.__setattr__(self, "name", plain_word(self._stem()))
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise PdfkitError(f"phase name {self.name!r} cannot be used: write letters, digits (not first) and _")
        for name in ("scale", "delta1", "delta2"):
            object.__setattr__(self, name, _checks.number(name, getattr(self, name)))

    @classmethod
    def _check_options(cls, options: Mapping[str, Any], source: str) -> None:
        """Refuse options that are no fields, or that say again what it is made of."""
        known = {f.name for f in fields(cls)} - {source, "name"}  # type: ignore[arg-type]  # each kind is a dataclass
        for key in options:
            if key not in known:
                near = nearest(key, known)
                raise ParameterError(f"option {key!r} of a {cls.__name__} is not known: nearest are {near}", key=key)

    @property
    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """All numbers of the phase: scale first, then what the pairs depend on, then the shape's parameters."""

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the quantities, in their order."""
        return tuple(q.value for q in self.quantities)

    @cached_property
    def size(self) -> int:
        """Number of the quantities."""
        return len(self.values)

    @property
    def applied_shape(self) -> Shape:
        """The γ₀ that a model applies to its peaks: the shape, unless they are those of finite particles already."""
        return self.shape  # type: ignore[no-any-return]

    @cached_property
    def sensible(self) -> tuple[Array, Array]:
        """What the quantities can be at least and at the most, (n,) each, as `sensible_limits` gives them."""
        return sensible_limits(self.quantities)

    def quantities_seen_by(self, probe: str | None) -> tuple[Quantity, ...]:
        """Return the quantities with the limits that a probe asks for."""
        return self.quantities

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed when its structure was read, a sentence each."""
        return ()

    @property
    def outline(self) -> str:
        """What it is, in a few words for a heading: space group and shape, "cluster"."""
        return str(self.shape.kind)

    @property
    def heading(self) -> str:
        """Name, formula and outline."""
        formula = " ".join(f"{element}{count:.4g}" for element, count in self.composition().items())
        return f"{self.name} ({formula}, {self.outline})"

    def _repr_html_(self) -> str:
        rows = [(q.name, f"{q.value:.6g}", q.unit, q.meaning) for q in self.quantities]
        return view(shortlist(f"{self.kind} {self.heading}", ("", "value", "unit", ""), rows, self.remarks))

    @property
    def stated_charges(self) -> str:
        """The ions that its file states, where it scatters as neutral atoms all the same."""
        return ""

    def shift_of(self, steps: Mapping[str, float]) -> str:
        """Return along what steps of quantities shift it as a whole, as half a sentence; "" where they are no shift."""
        return ""

    def derived(self, covariance: Array | None = None) -> tuple[Derived, ...]:
        """Return numbers that follow from the refined ones. covariance : (n, n) of `quantities`, 0 where fixed."""
        return ()

    def files(self, covariance: Array | None = None) -> dict[str, str]:
        """Return what other programs read of it, by the ending of such a file ("cif", "xyz").

        covariance : as for `derived`; numbers then have their standard uncertainties, where the format knows them.
        """
        return {}

    @abstractmethod
    def composition(self) -> Mapping[str, float]:
        """Return atoms per cell (or particle) by element, weighted with occupancy."""

    @abstractmethod
    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement."""

    def sharp_range(self) -> float:
        """Return up to which distance (Å) there may be narrower pairs than distant ones."""
        return 0.0

    @abstractmethod
    def pair_density(self) -> float:
        """Return pairs to enumerate per Å³ of the sphere that holds them."""

    @abstractmethod
    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed; those that symmetry ties follow."""

    @abstractmethod
    def peaks(self, values: Array, tangents: Array, broadening: Broadening, rmax: float, qmin: float = 0.0) -> Peaks:
        """Return the peaks of all pairs up to at least `rmax` (Å), with derivatives along `tangents`.

        values (n,), tangents (n, nq) in the order of `quantities`; broadening : of the instrument, along the same.
        qmin (Å⁻¹) : where the model will be cut; a phase may leave out a baseline that the cut takes away.
        """

    def many_peaks(self, values: Array, broadening: Array, rmax: float, *, shifted: bool) -> ManyPeaks | None:
        """Return the peaks up to at least rmax (Å) at values (n, nquantities); None where a loop is as quick.

        broadening (n, 2) : qbroad and resolution of the instrument; shifted : see `Broadening`.
        """
        return None

    def outlook(self, values: Array) -> tuple[float, float] | None:
        """Return `typical_variance` and `pair_density` at values (n,) of the quantities, None where a copy has to tell.

        What decides how far a phase is followed must not depend on anything else.
        """
        return None

    @property
    def moving(self) -> slice:
        """Which quantities displace atoms by themselves."""
        return slice(0, 0)

    @property
    def many(self) -> frozenset[str]:
        """Names of quantities that are too many for a line each in a report: `summary` tells of them."""
        return frozenset()

    @property
    def breaking(self) -> frozenset[str]:
        """Names of quantities on which G may depend by their squares alone, as long as all of them are 0."""
        return frozenset()

    @property
    def floating(self) -> Array:
        """Combinations (k, m) of the k quantities of `moving`, orthonormal, that nothing measured depends on."""
        return np.zeros((0, 0))

    def summary(self) -> tuple[str, ...]:
        """Return lines of a report on what has no line of its own."""
        return ()

    def displacements(self, tangents: Array) -> Array:
        """Return the displacements (3n, nq) of atoms, x, y, z of each in turn, along tangents (n, nq) of `moving`."""
        return np.zeros((0, tangents.shape[1]))

    @property
    def scatterer(self) -> Phase | None:
        """The phase as all of its pairs and no baseline, of which a Debye sum is made; None where they never end."""
        return None

    @property
    def placed(self) -> Any | None:
        """The phase itself where its atoms have places and labels, as in a crystal: what bonds and angles need."""
        return None

    def shortest(
        self, pair: tuple[str, str], values: Array, tangents: Array, reach: float
    ) -> tuple[float, Array] | None:
        """Return the shortest distance (Å) of two species within reach, and its derivatives; None if there is none."""
        found = self.peaks(values, tangents, Broadening.none(tangents.shape[1]), reach)
        which = [k for k, one in enumerate(found.pairs) if sorted(one) == sorted(pair)]
        index = np.flatnonzero(np.isin(found.pair, which))
        if not index.size:
            return None
        nearest_peak = index[np.argmin(found.peak[index, 0])]
        return float(found.peak[nearest_peak, 0]), found.dpeak[nearest_peak, :, 0]

    def _scale(self) -> Quantity:
        if self.scale < 0:  # what is taken away, such as a molecule that a crystal has with other widths
            return Quantity("scale", self.scale, -math.inf, 0.0, "", "weight of the phase, taken away", most=0.0)
        return Quantity("scale", self.scale, 0.0, math.inf, "", "weight of the phase", least=0.0)

    def _deltas(self, bond: float) -> tuple[Quantity, Quantity]:
        """Return delta1 and delta2, which stop short of where the nearest pair (Å) would lose its width."""
        return (
            Quantity("delta1", self.delta1, 0.0, 0.97 * bond, "Å", "correlated motion, 1/r term"),
            Quantity("delta2", self.delta2, 0.0, 0.97 * bond**2, "Å²", "correlated motion, 1/r² term"),
        )


def quantities_of(shape: Shape) -> tuple[Quantity, ...]:
    """Return the parameters of a shape as quantities."""
    rows = zip(shape.parameters, shape.values(), strict=True)
    return tuple(
        Quantity(p.name, value, p.low, p.high, p.unit, p.meaning, least=p.low, most=p.high) for p, value in rows
    )


def cell_length(name: str, value: float, meaning: str = "cell length") -> Quantity:
    """Return a length of a lattice (Å), which a fit looks for within 5 %."""
    low, high = (1 - CELL_RANGE) * value, (1 + CELL_RANGE) * value
    return Quantity(name, value, low, high, "Å", meaning, least=SHORTEST_CELL, most=LONGEST_CELL)


def displacement(name: str, value: float, meaning: str = "mean-square displacement") -> Quantity:
    """Return a U (Å²) that is positive by its meaning."""
    return Quantity(name, value, 1e-5, U_MAX, "Å²", meaning, least=0.0)


def updated(phase: Phase, values: Mapping[str, float]) -> dict[str, float]:
    """Return all quantities of a phase by name, with some changed.

    Raises ParameterError for a name that it does not have, and for a value that makes no sense.
    """
    known = {q.name: q for q in phase.quantities}
    out = {name: q.value for name, q in known.items()}
    for key, value in values.items():
        if key not in known:
            whole = nearest(f"{phase.name}.{key}", (f"{phase.name}.{name}" for name in known))
            raise ParameterError(f"{phase.name}.{key} does not exist: nearest are {whole}", key=key)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ParameterError(f"{phase.name}.{key} = {_checks.short(value)}: give a number", key=key) from None
        out[key] = known[key].sensible(number, f"{phase.name}.{key}")
    return out
