"""Laws of a series as a parametric fit found them: parameters, errors, evidence, values at any index; also as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._table import aligned, wrapped
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.results.report import uncertain
from pdfkit.series.laws import Debye, Einstein, Expression, Law, Order, Polynomial
from pdfkit.series.plan import Plan
from pdfkit.series.spread import along

if TYPE_CHECKING:
    from pdfkit.series.posed import Measure

KINDS: Mapping[str, type[Law]] = {one.__name__: one for one in (Polynomial, Debye, Einstein, Order, Expression)}


@dataclass(frozen=True, eq=False)
class LawFit:
    """Laws that were fitted to a series.

    plan : laws and index. names, values (K,), covariance (K, K): the parameters of the laws; NaN rows belong to what is
    on a bound or not determined. lnz: ln of the evidence, to be compared with that of other laws by `better_than`.
    common: the correlation of the residuals of two scans. theta (K,), spread (K, K): as they were fitted, polynomials
    about the middle of the index; 0 for what is on a bound, NaN for what is not determined. measure: the
    noise that scans show; None in a loaded result.

    `laws["a.c1"]` gives value and error of the parameter with this ending; `along` the law itself.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=20))
    >>> T, r = np.array([100.0, 200.0, 300.0]), np.arange(2, 10, 0.05)
    >>> scans = pk.read_series([model.with_values({"a": 3.51 + 5e-5 * t})(r) for t in T], index=T)  # simulated
    >>> found = pk.fit_series(model, scans, free=["scale"], how="parametric", laws={"a": "linear"})
    >>> value, error = found.laws["a.c1"]
    >>> round(value, 7), found.laws.along("a", [0.0])[0].round(4).tolist()
    (5e-05, [3.51])
    """

    plan: Plan
    names: tuple[str, ...]
    values: Array
    covariance: Array
    lnz: float
    common: float
    converged: bool
    remarks: tuple[str, ...]
    theta: Array = field(repr=False)
    spread: Array = field(repr=False)
    measure: Measure | None = field(repr=False)

    def __getitem__(self, name: str) -> tuple[float, float]:
        """Return value and standard error of a parameter of the laws."""
        k = place_of(self.names, name)
        return float(self.values[k]), math.sqrt(self.covariance[k, k])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def along(self, name: str, t: Sequence[float] | Array | None = None) -> tuple[Array, Array]:
        """Return values and standard errors of a law at the scans, or at other indices t."""
        plan = self.plan if t is None else self.plan.along(np.asarray(t, dtype=float))
        names = tuple(plan.laws)
        value, slopes = plan.each(self.theta)[names[place_of(names, name)]]
        return value, np.sqrt(along(slopes, self.spread))

    def better_than(self, other: LawFit) -> float:
        """Return ln of the odds for these laws against others on the same scans, in the same noise.

        PdfkitError where the noise is not the same: give like= to the second fit.
        """
        if self.measure is None or self.measure is not other.measure:
            raise PdfkitError("these fits are in the measure of different noise: give like= the one to the other fit")
        return self.lnz - other.lnz

    def told(self) -> list[tuple[str, str]]:
        """Return the parameters of the laws with their errors, as words."""
        sigma = np.sqrt(np.diag(self.covariance))
        return [(name, uncertain(v, e)) for name, v, e in zip(self.names, self.values, sigma.tolist(), strict=True)]

    def _span(self) -> str:
        t = self.plan.t
        return f"Parametric fit of {t.size} scans, {self.plan.called} = {t.min():g} to {t.max():g}"

    def _head(self) -> str:
        return f"{self._span()}: ln Z = {self.lnz:.1f}"

    def __str__(self) -> str:
        rows = [("parameter", "value"), *self.told()]
        return "\n".join([self._head(), *aligned(rows, indent="  "), *(wrapped(one, "  ") for one in self.remarks)])


def place_of(names: Sequence[str], name: str) -> int:
    """Return where the parameter with this name or ending is. ParameterError where that is none, or several."""
    if not isinstance(name, str):
        raise ParameterError(f"{name!r} is no name of a parameter: these are {', '.join(names[:20])}")
    found = [name] if name in names else [one for one in names if f".{one}".endswith(f".{name}")]
    if len(found) != 1:
        words = f"is the ending of several: {', '.join(found)}" if found else f"is none: {nearest(name, names)}"
        raise ParameterError(f"{name!r} {words}", key=name)
    return list(names).index(found[0])


# --- as JSON ---------------------------------------------------------------------------------------------------------


def plain_laws(plan: Plan) -> dict[str, Any]:
    """Return what makes the plan again as plain numbers and words; ParameterError for a law of another kind."""
    laws = [[name, type(law).__name__, _about(law)] for name, law in plan.laws.items() if savable(name, law)]
    return {"called": plan.called, "t": plan.t.tolist(), "laws": laws, "led": list(plan.led)}


def _about(law: Law) -> dict[str, Any]:
    return asdict(law) if is_dataclass(law) else {}


def savable(name: str, law: Any) -> bool:
    """Return True; ParameterError for a law that no file can hold."""
    if isinstance(law, Law) and KINDS.get(type(law).__name__) is not type(law):
        raise ParameterError(f"the law of {name} is of a kind of its own, which no file can hold: leave out=", key=name)
    return True


def laws_of(plain: Mapping[str, Any]) -> Plan:
    """Return the plan that `plain_laws` made plain."""
    laws = {str(name): KINDS[kind](**about) for name, kind, about in plain["laws"]}
    return Plan(np.array(plain["t"], dtype=float), str(plain["called"]), laws, tuple(map(str, plain["led"])))
