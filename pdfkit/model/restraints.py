"""Soft restraints: an expression of parameters, a bond or an angle that should have a value, or keep a limit."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.phases import _bonds, _network
from pdfkit.phases._bonds import Bonds
from pdfkit.phases.base import Phase

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.phases.crystal import Crystal


class Restraint(Protocol):
    """Adds (value − target)² / σ² to χ²."""

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[Any, Array]:
        """Return (value − target)/σ and its derivatives (nfree,) for all parameters `names`.

        Or those of k numbers at once, (k,) and (k, nfree); k is the same throughout a fit.
        """


@dataclass(frozen=True)
class Term:
    """One number that a restraint speaks of: what it is, its value, from low to high where it may be, and σ.

    slope (nfree,): its derivatives. count: how many of it the cell holds.
    """

    what: str
    unit: str
    value: float
    low: float
    high: float
    sigma: float
    slope: Array
    count: float = 1.0

    @property
    def pull(self) -> float:
        """How far it is from where it may be, in units of σ."""
        return (self.value - min(max(self.value, self.low), self.high)) / self.sigma

    @property
    def wanted(self) -> str:
        """The target, or the limits, as text."""
        if self.low == self.high:
            return f"{self.low:.6g}"
        limits = [f"≥ {self.low:.6g}"] * math.isfinite(self.low) + [f"≤ {self.high:.6g}"] * math.isfinite(self.high)
        return ", ".join(limits)


class Restrained(ABC):
    """A restraint that tells the numbers it speaks of."""

    @abstractmethod
    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the numbers, with derivatives along tangents (n, nfree) of the parameters `names`."""

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[Any, Array]:
        """Return (value − target)/σ (k,) and its derivatives (k, nfree); both are 0 within limits."""
        found = self.terms(model, names, values, tangents)
        pulls = np.array([one.pull for one in found])
        slopes = [one.slope / one.sigma * (one.low == one.high or one.pull != 0.0) for one in found]
        return pulls, np.array(slopes).reshape(len(found), tangents.shape[1])

    def drawn(self, rng: np.random.Generator) -> Self:
        """Return the same with a target drawn from its σ, as one that was measured; limits stay."""
        target, sigma = (getattr(self, name) for name in ("target", "sigma"))
        if target is None:
            return self
        return replace(self, target=target + sigma * rng.standard_normal())  # type: ignore[type-var]  # a dataclass


@dataclass(frozen=True)
class ValueRestraint(Restrained):
    """Keep an expression of parameters ("wz.c/wz.a") near `target` within `sigma`.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("CdS_wurtzite", name="wz"), pk.Instrument(probe="X", qmax=20))
    >>> pdf = model.with_values({"wz.a": 4.13, "wz.c": 6.65})(np.arange(1, 12, 0.02))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.5), instrument=model.instrument)  # simulated, with errors
    >>> for restraints in ([], [pk.ValueRestraint("wz.c/wz.a", 1.633, 1e-5)]):
    ...     wz = pk.fit(model, data, free=["a", "c"], restraints=restraints).params
    ...     print(f"c/a = {wz['wz.c'].value / wz['wz.a'].value:.3f}")
    c/a = 1.610
    c/a = 1.633
    """

    expression: str
    target: float
    sigma: float

    def __post_init__(self) -> None:
        _expressions.parse(self.expression)
        _checks.number("target", self.target)
        _checks.number("sigma", self.sigma, low=0.0, open_low=True)

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the expression."""
        try:
            expression = _expressions.written_out(self.expression, names)
        except ParameterError as error:
            raise ParameterError(f"restraint {self.expression}: {error}", key=self.expression) from None
        value, slopes = _expressions.evaluate(expression, dict(zip(names, values.tolist(), strict=True)))
        gradient = np.zeros(tangents.shape[1])
        for name, slope in slopes.items():
            gradient += slope * tangents[names.index(name)]
        return [Term(self.expression, "", value, self.target, self.target, self.sigma, gradient)]


@dataclass(frozen=True)
class BondRestraint(Restrained):
    """Keep the shortest distance between two elements of a phase near `target` (Å), or within limits, within `sigma`.

    In a cluster whose atoms move, each bond between them: pairs up to a fifth longer than the shortest at first.
    first, second : elements; in a crystal also labels of sites. target : Å, or None where low or high are given.
    low, high : Å, limits that cost nothing as long as they are kept: low alone is a least distance.

    Raises
    ------
    PdfkitError : a number out of range, neither target nor limits, or both.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("CdS_zincblende", name="zb"), pk.Instrument(probe="X", qmax=20))
    >>> pdf = model.with_values({"zb.a": 5.80})(np.arange(1, 12, 0.02))
    >>> data = pk.PDF(pdf.r, pdf.G, np.full(pdf.r.size, 0.5), instrument=model.instrument)  # simulated, with errors
    >>> for restraints in ([], [pk.BondRestraint("zb", "Cd", "S", 2.53, 1e-5)]):
    ...     a = pk.fit(model, data, free=["a"], restraints=restraints).params["zb.a"].value
    ...     print(f"Cd–S {a * 3**0.5 / 4:.3f} Å")
    Cd–S 2.511 Å
    Cd–S 2.530 Å
    """

    phase: str
    first: str
    second: str
    target: float | None
    sigma: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_limits(self, math.inf)
        _check_unit(self, NEAREST, "is no distance of two atoms in Å: is it in nm?")

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the shortest distance."""
        phase, own, along = at_phase(model, self.phase, names, values, tangents)
        reach = 1.5 * max(one for one in (self.target, self.low, self.high) if one is not None) + 2.0
        if phase.moving.start < phase.moving.stop:
            bonds = _network.named_bonds(phase.particle, self.first, self.second, reach)  # type: ignore[attr-defined]
            return self._each(phase, own, along, bonds)
        found = phase.shortest((self.first, self.second), own, along, reach)
        if found is None:
            raise ParameterError(
                f"a restraint names the bond {self.first}–{self.second}, but phase {self.phase} has no such pair "
                f"within {reach:g} Å: correct its elements or target",
                key=self.first,
            )
        what = f"{self.phase}: {self.first}–{self.second}"
        return [Term(what, "Å", found[0], *_limits(self), self.sigma, found[1])]

    def _each(self, cluster: Any, own: Array, along: Array, bonds: Any) -> list[Term]:
        """Return the lengths (m, 2) of bonds of a cluster."""
        if not len(bonds):
            raise _no_atoms(self.phase, f"bond {self.first}–{self.second}", self.first)
        xyz, rates = cluster.located(own, along)
        d, slopes = _network.lengths(xyz, bonds)
        what = f"{self.phase}: {self.first}–{self.second}"
        rows = zip(d.tolist(), slopes @ rates, strict=True)
        return [Term(what, "Å", value, *_limits(self), self.sigma, slope) for value, slope in rows]


@dataclass(frozen=True)
class AngleRestraint(Restrained):
    """Keep the angles first–centre–last of a crystal or cluster near `target` (°), or within limits, within `sigma`.

    Elements or labels of sites. Bonds are the pairs of centre and first (or last) up to a fifth longer than the
    shortest of them in the structure that the fit starts from. Every angle between two of them counts, those that
    symmetry makes equal once. low, high : as in `BondRestraint`.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.model import AngleRestraint
    >>> from pdfkit.model.restraints import values_of
    >>> model = pk.Model(pk.Crystal.from_file("CdSe_wurtzite", name="wz"), pk.Instrument(probe="X", qmax=20))
    >>> for term in values_of(AngleRestraint("wz", "Se", "Cd", "Se", 109.47, 1.0), model):
    ...     print(f"{term.what} {term.value:.2f} {term.unit}")
    wz: Se–Cd–Se 109.30 °
    wz: Se–Cd–Se 109.64 °
    """

    phase: str
    first: str
    centre: str
    last: str
    target: float | None
    sigma: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_limits(self, 180.0)
        _check_unit(self, math.pi, "degrees are between no bonds: is it in radians?")

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the angles that symmetry does not make equal."""
        found, own, along = at_phase(model, self.phase, names, values, tangents)
        if found.kind == "cluster":
            theta, slopes = self._of_cluster(found, own, along)
        else:
            phase, own, along = at_crystal(model, self.phase, names, values, tangents)
            theta, slopes = _bonds.angles(phase.located(own, along), *self._corners(phase))
        what = f"{self.phase}: {self.first}–{self.centre}–{self.last}"
        rows = zip(theta.tolist(), slopes, strict=True)
        return [Term(what, "°", value, *_limits(self), self.sigma, slope) for value, slope in rows]

    def _of_cluster(self, cluster: Any, own: Array, along: Array) -> tuple[Array, Array]:
        """Return the angles (k,) of a cluster between bonds at first, and their derivatives (k, nfree)."""
        names = (self.first, self.centre, self.last)
        angles = _network.named_angles(cluster.particle, names, LONGEST_BOND)
        if not len(angles):
            raise _no_atoms(self.phase, f"angle {'–'.join(names)}", self.centre)
        xyz, rates = cluster.located(own, along)
        theta, slopes = _network.corners(xyz, angles)
        return theta, np.asarray(slopes @ rates)

    def _corners(self, phase: Crystal) -> tuple[Bonds, Bonds]:
        """Return the two bonds of every distinct angle at the structure that the fit starts from."""
        known = phase.__dict__.setdefault("_angles", {})
        if self not in known:
            known[self] = self._found(phase)
        return known[self]  # type: ignore[no-any-return]

    def _found(self, phase: Crystal) -> tuple[Bonds, Bonds]:
        centres = _bonds.sites_of(phase, self.centre)
        one, other = (self._bonds_to(phase, centres, name) for name in (self.first, self.last))
        p, q = np.nonzero(one.i[:, None] == other.i)
        apart = (one.j[p] != other.j[q]) | (one.shift[p] != other.shift[q]).any(axis=1)
        first, second = one[p[apart]], other[q[apart]]
        if not first.i.size:
            raise ParameterError(
                f"a restraint names the angle {self.first}–{self.centre}–{self.last}, but phase {self.phase} has no "
                "such angle between bonds: correct its atoms",
                key=self.centre,
            )
        theta, _ = _bonds.angles(_bonds.generic(phase), first, second)
        distinct = np.unique(np.column_stack([first.i, np.round(theta, 7)]), axis=0, return_index=True)[1]
        return first[distinct], second[distinct]

    def _bonds_to(self, phase: Crystal, centres: Any, name: str) -> Bonds:
        own = np.array(phase.values)
        point = phase.located(own, np.zeros((own.size, 0)))
        bonds = _bonds.neighbours(phase, point.geometry, centres, _bonds.sites_of(phase, name), LONGEST_BOND)
        d = bonds.lengths(point)[0]
        return bonds[np.flatnonzero(d < 1.2 * d.min(initial=math.inf))]


def _no_atoms(phase: str, what: str, key: str) -> ParameterError:
    return ParameterError(
        f"a restraint names the {what}, but cluster {phase} has no such atoms within reach of each other: correct its "
        "elements",
        key=key,
    )


NEAREST = 0.6
"""Å: no two nuclei are nearer than the 0.74 Å of H₂."""
LONGEST_BOND = 4.0
"""Å: pairs farther apart are no bonds of an angle."""


def values_of(restraint: Restrained, model: Model) -> list[Term]:
    """Return the numbers that a restraint speaks of, at the values of a model."""
    names, values = model.names, np.array(model.values)
    return restraint.terms(model, names, values, np.zeros((values.size, 0)))


def at_phase(
    model: Model, name: str, names: Sequence[str], values: Array, tangents: Array
) -> tuple[Phase, Array, Array]:
    """Return the phase of a restraint, with the values of its quantities and their tangents."""
    known = {phase.name: phase for phase in model.phases}
    if name not in known:
        raise ParameterError(
            f"a restraint names the phase {name!r}, which the model does not have: nearest are {nearest(name, known)}",
            key=name,
        )
    phase = known[name]
    position = {one: k for k, one in enumerate(names)}
    rows = [position[full] for q in phase.quantities if (full := f"{name}.{q.name}") in position]
    if len(rows) != len(phase.quantities):  # several data sets: the scale is not the phase's own, and not needed
        rows.insert(0, rows[0])
    return phase, values[rows], tangents[rows]


def at_crystal(
    model: Model, name: str, names: Sequence[str], values: Array, tangents: Array
) -> tuple[Crystal, Array, Array]:
    """Return what `at_phase` does, of a phase whose atoms have places."""
    phase, own, along = at_phase(model, name, names, values, tangents)
    if phase.placed is None:
        raise ParameterError(f"a restraint of valences in phase {name}, which is no crystal: leave it out")
    return phase.placed, own, along


def _limits(restraint: BondRestraint | AngleRestraint) -> tuple[float, float]:
    if restraint.target is not None:
        return restraint.target, restraint.target
    low = -math.inf if restraint.low is None else restraint.low
    return low, math.inf if restraint.high is None else restraint.high


def _check_unit(restraint: BondRestraint | AngleRestraint, least: float, words: str) -> None:
    """Refuse what is wanted, or the most that may be, where it is so small that it has another unit."""
    for name in ("target", "high"):
        value = getattr(restraint, name)
        if value is not None and value <= least:
            raise PdfkitError(f"{name} = {value:g} {words}", key=name)


def _check_limits(restraint: BondRestraint | AngleRestraint, most: float) -> None:
    """Refuse numbers out of range, and a restraint that says nothing or two things."""
    limits = {name: getattr(restraint, name) for name in ("target", "low", "high")}
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        object.__setattr__(restraint, name, _checks.number(name, value, low=0.0, open_low=True, high=most))
    object.__setattr__(restraint, "sigma", _checks.number("sigma", restraint.sigma, low=0.0, open_low=True))
    if ("target" in given) == bool(given.keys() & {"low", "high"}):
        raise PdfkitError("a restraint has either a target or limits low and high: give one of the two", key="target")
    if not _limits(restraint)[0] <= _limits(restraint)[1]:
        raise PdfkitError(f"low = {limits['low']:g} is above high = {limits['high']:g}: swap them", key="low")
