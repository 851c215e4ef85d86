"""The noise of a series: scans as independent numbers of variance 1, whatever is known of their errors.

Where scans bring their covariance, each is whitened with its own. Where they do not, all scans share the spectrum of
their noise (one instrument, one reduction), each with a level of its own as far as levels differ by more than chance:
powers s at the knots of Q are the most
likely ones for what the scans leave beside a few curves J (references, components), by restricted maximum likelihood,
s_j ← s_j·Σᵢ aᵢᵀM_j aᵢ/(m tr PM_j) with C = Σ_j s_j M_j, P = C⁻¹ − C⁻¹J(JᵀC⁻¹J)⁻¹JᵀC⁻¹ and aᵢ = P eᵢ. M_j, and the
errors slow in Q that every reduction has, are those of `pdfkit.fitting.basis`. Few scans tell powers poorly: these are
smoothed then, with the weight that their number has.
Source of the iteration: Anderson, Ann. Stat. 1, 135 (1973), in its multiplicative form, which keeps powers above 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.errors import PdfkitError
from pdfkit.series.curves import Curves

if TYPE_CHECKING:
    from pdfkit.fitting.basis import Basis, Stretch

SOURCES = ("auto", "cov", "dG", "residual")
STEPS = 60
SETTLED = 0.02
"""Relative change of a power that is the last: no series tells one better than that."""
FLOOR = 1e-3
"""Of the largest power: where there is less, errors of reductions weigh more than noise (as in `whitening`)."""
NOTHING, QUIET = 1e-18, 1e-6
"""Least power, of that of the scans, and least square of a level: calculated curves have no noise."""
STIFFNESS = 30.0
"""λ of the prior of Δ²ln power."""
LOST, LONGEST = 0.01, 1.0
"""Of the median power: where the smoothing starts from a lower one; its longest step of ln power."""


@dataclass(frozen=True, eq=False)
class Noise:
    """What makes scans independent numbers.

    index (p,): points that are used. matrices: one (k, p) for all scans, or one for each. level (m,): size of what is
    left in each, about 1; 1 where errors are known. source: "cov", "dG" or "residual".
    """

    index: IntArray
    matrices: tuple[Array, ...]
    level: Array
    source: str

    @property
    def known(self) -> bool:
        """Whether the size of the errors is known, and not taken from what is left."""
        return self.source != "residual"

    def of(self, i: int) -> Array:
        """Return the matrix (k, p) of scan i."""
        return self.matrices[0 if len(self.matrices) == 1 else i]

    def white(self, rows: Array, i: int = 0) -> Array:
        """Return curves (…, n) as independent numbers (…, k), as those of scan i."""
        return np.asarray(rows[..., self.index] @ self.of(i).T)


def source_of(curves: Curves, wanted: str = "auto") -> str:
    """Return where errors come from: the covariances of the scans where all have one, else what is left in them."""
    wanted = _checks.choice("noise", wanted, SOURCES)
    if wanted == "auto":
        return "cov" if curves.covs else "residual"
    if (wanted == "cov" and not curves.covs) or (wanted == "dG" and curves.dG is None):
        raise PdfkitError(f"noise={wanted!r} needs scans that all have {wanted}: leave noise out, or give it to them")
    return wanted


def noise_of(curves: Curves, taken: Array, wanted: str = "auto") -> Noise:
    """Return the noise of scans beside curves that are taken away from each, `taken` (q, n).

    Raises PdfkitError where Qmax is not known, or where there are no numbers left to tell the noise from.
    """
    source = source_of(curves, wanted)
    qmax = curves.instrument.qmax
    if qmax is None or not math.isfinite(qmax):
        raise PdfkitError("how the errors of G(r) are correlated depends on Qmax: give qmax= in Å⁻¹, or read it in")
    return _given(curves, source) if source != "residual" else _shared(curves, taken)


def _given(curves: Curves, source: str) -> Noise:
    from pdfkit.fitting.whitening import whitening

    scans = [curves.scan(i) for i in range(len(curves))]
    if source == "dG":
        scans = [replace(one, cov=None) for one in scans]
    each = [whitening(one, curves.instrument, True) for one in scans]
    return Noise(each[0].index, tuple(one.matrix for one in each), np.ones(len(scans)), source)


def _shared(curves: Curves, taken: Array) -> Noise:
    from pdfkit.fitting.basis import basis_of
    from pdfkit.fitting.whitening import points

    index = points(curves.r, curves.instrument.qmax or math.inf)
    with one_thread():
        basis = basis_of(curves.r[index], curves.instrument)
        modes = basis.band.modes
        left = modes.shape[1] - np.shape(taken)[0]
        if left < 3:
            raise PdfkitError(
                f"r from {curves.r[0]:g} to {curves.r[-1]:g} Å holds {modes.shape[1]} independent numbers, too few for "
                f"{np.shape(taken)[0]} curves and the noise: take more of r"
            )
        power, level = _powers(basis, curves.G[:, index] @ modes, np.asarray(taken)[:, index] @ modes)
        matrix = basis.whole.whitening(power)[0] @ modes.T
    return Noise(index, (matrix,), level, "residual")


def _powers(basis: Basis, rows: Array, taken: Array) -> tuple[Array, Array]:
    """Return powers (p,) and the level of each scan (m,) from rows (m, k) beside `taken` (q, k).

    Powers are told from stretches of r, each by itself (see `pdfkit.fitting.basis`), levels from all of r.
    """
    design = np.linalg.svd(taken, full_matrices=False)[2].T if taken.size else np.zeros((rows.shape[1], 0))
    parts = [_Part(one, rows @ one.part.T, one.part @ design) for one in basis.stretches]
    power = np.full(basis.knots.size, float((rows**2).mean()) or 1.0)
    least = NOTHING * power[0]
    for _ in range(STEPS):
        seen = [one.projected(power) for one in parts]
        size = sum(one.size for one in seen) / sum(one.freedom for one in parts)
        level = np.sqrt(np.maximum(size, QUIET))[:, None]
        squares = basis.hats @ sum(((one.weighed / level @ part.stretch.waves) ** 2).sum(axis=0)
                                   for one, part in zip(seen, parts, strict=True))  # fmt: skip
        step = squares / (
            len(rows) * sum(part.stretch.traces(one.inverse)[0] for one, part in zip(seen, parts, strict=True))
        )
        power = np.maximum(power * step, least)
        if np.abs(step - 1.0).max() < SETTLED:
            break
    power = _smoothed(basis, power, rows.shape)
    every = _Part(basis.whole, rows, design)
    size = np.maximum(every.projected(power).size / every.freedom, QUIET)
    return power * size.mean(), np.sqrt(_shrunk(size / size.mean(), every.freedom))


def _shrunk(size: Array, dof: int) -> Array:
    """Return variances about 1 of scans, drawn to 1 by the part of their scatter that so many numbers each explain."""
    excess = max(float(np.mean((size - 1.0) ** 2)) - 2.0 / dof, 0.0)
    return np.asarray(1.0 + excess / (excess + 2.0 / dof) * (size - 1.0))


@dataclass(frozen=True, eq=False)
class _Projected:
    """P (k, k), P·e of each row (m, k), and eᵀPe (m,)."""

    inverse: Array
    weighed: Array
    size: Array


@dataclass(frozen=True, eq=False)
class _Part:
    """Rows (m, k) in a stretch of r, and the curves (k, q) that are taken away from each."""

    stretch: Stretch
    rows: Array
    design: Array

    @property
    def freedom(self) -> int:
        """Numbers that are left of each row."""
        return max(1, int(self.rows.shape[1] - self.design.shape[1]))

    def projected(self, power: Array) -> _Projected:
        """Return what powers (p,) make of the rows."""
        white = self.stretch.whitening(power)[0]
        taken = np.linalg.qr(white @ self.design)[0]
        white = white - taken @ (taken.T @ white)
        inverse = white.T @ white
        weighed = self.rows @ inverse
        return _Projected(inverse, weighed, (weighed * self.rows).sum(axis=1))


def _smoothed(basis: Basis, power: Array, shape: tuple[int, ...]) -> Array:
    """Return powers s with ln s smooth as far as so many scans leave it open.

    A power ŝ that χ² numbers say counts as Σ(ln s + ŝ/s): one that few numbers made 0 by chance is as its neighbours.
    """
    worth = 0.5 * shape[0] * shape[1] / power.size
    bend = STIFFNESS * basis.bend.T @ basis.bend
    theta = np.log(np.maximum(power, LOST * np.median(power)))
    for _ in range(STEPS):
        pull = worth * (power * np.exp(-theta) - 1.0) - bend @ theta
        step = np.linalg.solve(worth * np.eye(power.size) + bend, pull)
        theta = theta + np.clip(step, -LONGEST, LONGEST)
        if np.abs(step).max() < SETTLED:
            break
    smooth = np.exp(theta)
    return np.asarray(np.maximum(smooth, FLOOR * smooth.max()))


TRACY_WIDOM = 3.2724
"""What 999 of 1000 largest eigenvalues of pure noise stay below, in Tracy and Widom's units (real noise)."""


def stands_out(values: Array, n: int, q: int, known: bool) -> bool:
    """Return whether the first of eigenvalues is larger than noise makes it, n scans of q numbers, in 999 of 1000.

    known : whether the numbers have variance 1; else their mean square says what it is.
    Sources: Johnstone, Ann. Stat. 29, 295 (2001); Kritchman & Nadler, Chemom. Intell. Lab. Syst. 94, 19 (2008).
    """
    roots = math.sqrt(n - 0.5), math.sqrt(q - 0.5)
    middle, width = sum(roots) ** 2, sum(roots) * (1 / roots[0] + 1 / roots[1]) ** (1 / 3)
    size = 1.0 if known else float(values.sum()) / (n * q)
    return bool(values[0] > size * (middle + TRACY_WIDOM * width))
