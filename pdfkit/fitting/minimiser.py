"""The local minimiser: `scipy.optimize.least_squares` (trust region, bounds) on residuals and their Jacobian.

It is handed the triangular factor of [J, f] instead of the thousands of rows: norms, gradients and steps are the same,
and its own work no longer depends on N.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.residuals import Residuals

Progress = Callable[[int, float], None]

TOLERANCE = 1e-8


@dataclass(frozen=True)
class Outcome:
    """Where a minimisation ended: x (nfree,), the triangular factor of [J, f] there, and what is to be said of it."""

    x: Array
    nfev: int
    converged: bool
    message: str
    factor: Array
    predicted: float

    @property
    def minimum(self) -> float:
        """What was minimised; `predicted` is what it would be if the model were linear from the start on."""
        return float((self.factor[:, -1] ** 2).sum())


class _Factor:
    """[J, f] at x as its triangular factor, remembered for the one x the optimiser asks about."""

    def __init__(self, residuals: Residuals, progress: Progress | None, nfev: int) -> None:
        self.residuals = residuals
        self.progress = progress
        self.norm = math.sqrt(sum((s.given or s).norm2() for s in residuals.sets))
        self.nfev = nfev
        self.x: Array | None = None
        self.factor = np.zeros((0, 0))

    def at(self, x: Array) -> Array:
        """Return the triangular factor of [J, f] at x."""
        if self.x is None or not np.array_equal(x, self.x):
            self.factor = self.residuals.factor(self.residuals.system(x))
            self.x = x.copy()
            self.nfev += 1
            if self.progress is not None:
                self.progress(self.nfev, math.sqrt(self.residuals.misfit(self.residuals.last_curves(x))) / self.norm)
        return self.factor

    def residual(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, -1])

    def jacobian(self, x: Array) -> Array:
        return np.asarray(self.at(x)[:, :-1])


def minimise(
    residuals: Residuals,
    max_nfev: int,
    progress: Progress | None,
    before: Outcome | None = None,
    tolerance: float = TOLERANCE,
) -> Outcome:
    """Minimise residuals from where `before` ended, or from the start values of their mapping."""
    from scipy.optimize import least_squares

    done = before.nfev if before else 0
    factor = _Factor(residuals, progress, done)
    low, high = residuals.mapping.low, residuals.mapping.high
    start = np.clip(residuals.mapping.x0 if before is None else before.x, low, high)
    predicted = float(factor.at(start)[-1, -1] ** 2)
    found = least_squares(
        factor.residual,
        start,
        factor.jacobian,
        bounds=(low, high),
        # Two thirds of the evaluations of "trf" on the measured CdSe fits, and bounds are met exactly.
        method="dogbox",
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=1e-12,
        max_nfev=max(1, max_nfev - done),
    )
    words = {
        0: f"stopped after {max_nfev} evaluations without converging: start nearer, free less, or set bounds",
        1: "converged: the gradient vanished",
        2: "converged: Rw no longer improved",
        3: "converged: parameters no longer moved",
        4: "converged: neither Rw nor parameters changed",
    }
    nfev = factor.nfev
    factor.progress = None  # the last step tried may not be the one taken: looking at it again is no step
    return Outcome(found.x, nfev, found.status > 0, words[found.status], factor.at(found.x), predicted)
