"""A fit that is posed once and made of many data sets: those of a series, measured alike.

What does not depend on the measured numbers is prepared once and shared: parameters, ties and bounds, what has no
effect, tables of the model on the points in range, and what makes residuals there independent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from pdfkit._machine import one_thread
from pdfkit.fitting.assembly import assembled
from pdfkit.fitting.datasets import Data
from pdfkit.fitting.least_squares import begun, found
from pdfkit.fitting.minimiser import Progress
from pdfkit.fitting.posing import Posed, Range
from pdfkit.fitting.residuals import Residuals, Visited
from pdfkit.fitting.rows import FitRow
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters
from pdfkit.results.problem import FitProblem
from pdfkit.results.result import FitResult

MOST_KINDS = 8
"""So many kinds of data (grids, instruments) a fit is prepared for at once."""


@dataclass(frozen=True, eq=False)
class _Kind:
    """The fit of data of one kind: of the same r, instrument and errors.

    about: what is to be said of parameters. begin: curves where all fits begin that are not told where.
    """

    residuals: Residuals
    params: Parameters
    about: tuple[str, ...]
    begin: Visited

    @classmethod
    def of(cls, posed: Posed) -> _Kind:
        params = posed.params.copy()
        residuals = begun(posed.problem, params)
        _forget(residuals, params, posed.params)
        mapping = residuals.mapping
        x = np.clip(mapping.x0, mapping.low, mapping.high)
        return cls(residuals, params, posed.about, (x, residuals.last_curves(x)))


@dataclass(frozen=True, eq=False)
class PreparedFit:
    """A plain, local fit of one model, for many data sets that are measured alike; the arguments are those of `fit`.

    `data` : the first data set, or any that stands for all. Data on another r, or of another instrument, are
    fitted as well: what they need is prepared when the first of their kind comes.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.fitting.prepared import PreparedFit
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    >>> cells = (3.52, 3.53, 3.54)
    >>> scans = [model.with_values({"ni.a": a})(np.arange(1, 10, 0.02)) for a in cells]  # simulated
    >>> prepared = PreparedFit.of(model, scans[0], rmin=1.5, free=["scale", "a"])
    >>> print(*(f"{prepared.row(scan).values[1]:.4f}" for scan in scans))
    3.5200 3.5300 3.5400
    """

    model: Model
    range: Range
    options: Mapping[str, Any]
    kinds: dict[Any, _Kind] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, data: Data, **options: Any) -> Self:
        """Prepare a fit: options are the keywords of `pdfkit.fit`, without `search` and `progress`.

        Raises what `fit` raises for them.
        """
        posed = Posed.of(model, data, **options)
        out = cls(model, posed.range, options)
        out.kinds[_key(posed.problem)] = _Kind.of(posed)
        return out

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that vary."""
        return next(iter(self.kinds.values())).residuals.mapping.free_names

    def fit(self, data: Data, start: Mapping[str, float] | None = None, progress: Progress | None = None) -> FitResult:
        """Fit a data set, as `pdfkit.fit(..., search="plain")` does.

        start : values by name to begin from instead of the model's, those of a neighbour for instance; then scales are
        not guessed.
        """
        return self._found(data, start, progress)[0]

    def row(
        self,
        data: Data,
        start: Mapping[str, float] | None = None,
        *,
        curves: bool = False,
        weighs: bool | None = None,
    ) -> FitRow:
        """Fit a data set and return the numbers alone; with `curves` also those in range and calculated.

        weighs : whether the spectrum of the noise weighs points; None: where the residual is noise.
        """
        with one_thread():
            result, residuals = self._found(data, start, weighs=weighs)
            return FitRow.of(result, residuals, curves=curves)

    def _found(
        self,
        data: Data,
        start: Mapping[str, float] | None,
        progress: Progress | None = None,
        weighs: bool | None = None,
    ) -> tuple[FitResult, Residuals]:
        """Return what `fit` does, and the residuals as they are weighed and prepared in the end."""
        started = time.perf_counter()
        problem, said = self.range.problem(self.model, data)
        kind = self._kind(problem, data)
        params = kind.params.copy()
        mine = kind.residuals
        posed = [replace(one, model=s.model) for one, s in zip(problem.datasets, mine.sets, strict=True)]
        residuals = mine.of_data(posed, mine.mapping.start.copy(), [kind.begin] if start is None else [])
        residuals.weighs = weighs
        if start is None:
            residuals.guess_scales(params)
        else:
            _begin_at(residuals, params, start)
        for par in params.values():
            par.init_value = par.value
        with one_thread():
            residuals, outcome, more = found(residuals, params, progress)
            result = assembled(residuals, params, outcome, more)
        remarks = tuple(dict.fromkeys([*said, *kind.about, *result.remarks]))
        return replace(result, remarks=remarks, seconds=time.perf_counter() - started), residuals

    def _kind(self, problem: FitProblem, data: Data) -> _Kind:
        """Return what is prepared for data of that kind, prepared now where it was not."""
        key = _key(problem)
        if key not in self.kinds:
            if len(self.kinds) >= MOST_KINDS:
                self.kinds.pop(next(iter(self.kinds)))
            self.kinds[key] = _Kind.of(Posed.of(self.model, data, **self.options))
        return self.kinds[key]


def _key(problem: FitProblem) -> Any:
    """Return what data have to share for one preparation to do for them."""
    return tuple(
        (one.name, one.data.r.tobytes(), one.model.instrument, one.data.dG is None, one.data.cov is None, one.begin)
        for one in problem.datasets
    )


def _forget(residuals: Residuals, params: Parameters, before: Parameters) -> None:
    """Start scales where the model has them: what was guessed from the first data would be in the digits of all."""
    mapping = residuals.mapping
    for i, name in zip(mapping.free, mapping.free_names, strict=True):
        if name.endswith(".scale"):
            params[name].value = mapping.start[i] = float(before[name].value)


def _begin_at(residuals: Residuals, params: Parameters, start: Mapping[str, float]) -> None:
    """Start parameters that vary at given values, within their bounds."""
    mapping = residuals.mapping
    for k, (i, name) in enumerate(zip(mapping.free, mapping.free_names, strict=True)):
        value = start.get(name, math.nan)
        if math.isfinite(value):
            params[name].value = mapping.start[i] = float(np.clip(value, mapping.low[k], mapping.high[k]))
