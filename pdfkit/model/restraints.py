"""Soft restraints: an expression of parameters, or a bond length, that should have a value within a σ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit.errors import ParameterError, nearest
from pdfkit.phases.base import Broadening

if TYPE_CHECKING:
    from pdfkit.model.model import Model


class Restraint(Protocol):
    """Adds (value − target)² / σ² to χ²."""

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[float, Array]:
        """Return (value − target)/σ and its derivatives (nfree,) for all parameters `names`."""


@dataclass(frozen=True)
class ValueRestraint:
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

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[float, Array]:
        """Return (expression − target)/σ and its derivatives."""
        try:
            expression = _expressions.written_out(self.expression, names)
        except ParameterError as error:
            raise ParameterError(f"restraint {self.expression}: {error}") from None
        value, slopes = _expressions.evaluate(expression, dict(zip(names, values.tolist(), strict=True)))
        gradient = np.zeros(tangents.shape[1])
        for name, slope in slopes.items():
            gradient += slope * tangents[names.index(name)]
        return (value - self.target) / self.sigma, gradient / self.sigma


@dataclass(frozen=True)
class BondRestraint:
    """Keep the shortest distance between two elements of a phase near `target` (Å) within `sigma` (Å).

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
    target: float
    sigma: float

    def __post_init__(self) -> None:
        _checks.number("target", self.target, low=0.0, open_low=True)
        _checks.number("sigma", self.sigma, low=0.0, open_low=True)

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[float, Array]:
        """Return (distance − target)/σ and its derivatives."""
        known = {phase.name: phase for phase in model.phases}
        if self.phase not in known:
            raise ParameterError(
                f"a restraint names the phase {self.phase!r}, which the model does not have: nearest are "
                f"{nearest(self.phase, known)}"
            )
        phase = known[self.phase]
        rows = [names.index(f"{phase.name}.{q.name}") for q in phase.quantities if f"{phase.name}.{q.name}" in names]
        if len(rows) != len(phase.quantities):  # several data sets: the scale is not the phase's own, and not needed
            rows.insert(0, rows[0])
        found = phase.peaks(values[rows], tangents[rows], Broadening.none(tangents.shape[1]), 1.5 * self.target + 2.0)
        wanted = sorted((self.first, self.second))
        which = [k for k, pair in enumerate(found.pairs) if sorted(pair) == wanted]
        if not which:
            raise ParameterError(
                f"a restraint names the bond {self.first}–{self.second}, but phase {self.phase} has no such pair near "
                f"{self.target:g} Å: correct its elements or target"
            )
        index = np.flatnonzero(found.pair == which[0])
        nearest_peak = index[np.argmin(found.peak[index, 0])]
        return (
            float(found.peak[nearest_peak, 0] - self.target) / self.sigma,
            found.dpeak[nearest_peak, :, 0] / self.sigma,
        )
