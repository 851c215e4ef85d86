"""What one of many fits found, as plain numbers: no models, no parameters, no report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.fitting.evidence import ln_evidence, occam, occam_at
from pdfkit.fitting.residuals import Residuals
from pdfkit.results.result import FitResult

Curves = Mapping[str, tuple[PDF, PDF]]


@dataclass(frozen=True, eq=False)
class FitRow:
    """What one of many fits found: numbers and remarks, without parameters and models.

    free: names; values (n,), sigmas (n,), covariance (n, n) of these, NaN where there is no error. all_values: of every
    parameter, tied and fixed ones too; all_errors: of those that vary or follow. lnz: ln Z with the size of the noise
    integrated out. weighs: whether the spectrum of the noise weighs points, None without one. grid: number of points in
    range, first and last r. curves: data in range and G_calc there, by data set; empty where they were not asked for.
    Everything else is named as in `pdfkit.FitResult`.
    """

    free: tuple[str, ...]
    values: Array
    covariance: Array
    rw: float
    chi2: float
    reduced_chi2: float
    minimum: float
    n_independent: float
    nfev: int
    converged: bool
    message: str
    remarks: tuple[str, ...]
    at_bounds: tuple[str, ...]
    errors_from: str
    all_values: Mapping[str, float]
    all_errors: Mapping[str, float]
    lnz: float
    weighs: bool | None
    grid: tuple[int, float, float]
    seconds: float
    curves: Curves = field(default_factory=dict)

    @classmethod
    def of(cls, result: FitResult, residuals: Residuals | None = None, *, curves: bool = False) -> Self:
        """Return the numbers of a result; residuals : those that it ended with, which save an evaluation."""
        simple = residuals is not None and len(residuals.sets) == 1 and not (residuals.weighted or result.patterns)
        rest = occam_at(residuals, result.values) if simple and residuals is not None else occam(result)
        lnz = ln_evidence(result.reduced_chi2, result.n_independent, len(result.free), rest)
        errors = {name: par.stderr for name, par in result.params.items() if par.vary or par.expr}
        return cls(
            free=result.free,
            values=result.values,
            covariance=result.covariance,
            rw=result.rw,
            chi2=result.chi2,
            reduced_chi2=result.reduced_chi2,
            minimum=result.minimum,
            n_independent=result.n_independent,
            nfev=result.nfev,
            converged=result.converged,
            message=result.message,
            remarks=result.remarks,
            at_bounds=result.at_bounds,
            errors_from=result.errors_from,
            all_values=result.params.valuesdict(),
            all_errors={name: math.nan if error is None else float(error) for name, error in errors.items()},
            lnz=lnz,
            weighs=None if (noise := result.datasets[0].noise) is None else noise.weighs,
            grid=_grid(result.datasets[0].data),
            seconds=result.seconds,
            curves={one.name: (one.data, one.calc) for one in result.datasets} if curves else {},
        )

    @property
    def sigmas(self) -> Array:
        """Standard errors (n,) of the free values."""
        return np.sqrt(np.diag(self.covariance))


def _grid(data: PDF) -> tuple[int, float, float]:
    return len(data), float(data.r[0]), float(data.r[-1])
