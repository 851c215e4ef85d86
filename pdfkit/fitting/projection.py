"""A measured pattern beside G(r) as independent numbers: what of its points particles can cause, and what is noise.

I(Q) of particles up to `reach` in size, and a background, fill a small part of the space of all points. Residuals are
taken there, in three steps that are done once for each data set:

- the background's terms are projected out, so that it has its least-squares value whatever the model is;
- of what is left, the directions that Σ_r c_r sin(Qr)/(Qr), r ≤ reach, can have are kept: about ΔQ·reach/π numbers
  with independent errors of size 1;
- the rest of the data is noise, whatever the model: it tests the errors dI, and gives them where there are none.

At every step the scale of each phase is projected out in the same way, with Kaufman's derivative: J is what of ∂I/∂p
the scales cannot take up. Gradient and covariance of the other parameters are those of a fit of all (Golub & Pereyra,
SIAM J. Numer. Anal. 10, 413 (1973); Kaufman, BIT 15, 49 (1975)). A scale that would be negative is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit._machine import one_thread
from pdfkit.errors import PdfkitError
from pdfkit.model.measured import Content, MeasuredPattern
from pdfkit.model.pattern import PatternEvaluator, PatternModel, chebyshev_nodes, interpolation
from pdfkit.results.problem import PosedPattern

if TYPE_CHECKING:
    from pdfkit.fitting.parts import Dataset

SMALLEST = 1e-4
"""Singular value, relative to the largest, of directions that a pattern can have."""
FEWEST = 30
"""Numbers outside of the model's directions from which errors can be told."""
BELIEVED = (0.5, 2.0)
"""Mean square of what is noise, in units of dI, with which dI is right."""
ROUNDS, STEPS = 3, 25
DEGREE, EACH = 6, 30
"""Of ln σ² as a polynomial along the points; so many numbers are needed for each of its terms."""


@dataclass(frozen=True, eq=False)
class Band:
    """What of a pattern is compared. Q (n,): where the model is computed; matrix (k, n): makes independent numbers of
    it, whose values in the data are target (k,); sigma (m,): errors of points; terms (nb, m) of the background; spread
    (m, n): from where the model is computed to all points.
    """

    Q: Array
    matrix: Array
    spread: Array
    target: Array
    sigma: Array
    terms: Array
    source: str
    said: tuple[str, ...]


_BANDS: dict[Content, Band] = {}
MOST_KEPT = 16


def band_of(measured: MeasuredPattern) -> Band:
    """Return what of the data is compared, made once for all models of them.

    Raises PdfkitError where their errors are neither given nor to be told.
    """
    if measured.content not in _BANDS:
        if len(_BANDS) >= MOST_KEPT:
            _BANDS.clear()
        _BANDS[measured.content] = _band(measured)
    return _BANDS[measured.content]


def _band(measured: MeasuredPattern) -> Band:
    with one_thread():
        dI = measured.data.dI
        if dI is None:
            return _made(measured, _scatter(measured), "scatter", ())
        ratio = _Split.of(measured, dI).noise
        if not math.isfinite(ratio) or BELIEVED[0] <= ratio <= BELIEVED[1]:
            return _made(measured, dI, "dI", ())
        than = "more" if ratio > 1 else "less"
        said = (
            f"points scatter {math.sqrt(max(ratio, 1 / ratio)):.2g} times {than} about any smooth curve than dI says: "
            "errors are those of the scatter"
        )
        return _made(measured, _scatter(measured), "scatter", (said,))


@dataclass(frozen=True, eq=False)
class _Split:
    """The space of points over errors: directions of the background (m, nb), of particles (m, k), and the rest (m,)."""

    background: Array
    particles: Array
    rest: Array

    @classmethod
    def of(cls, measured: MeasuredPattern, sigma: Array) -> _Split:
        Q, y = measured.data.Q, measured.data.I / sigma
        background = np.linalg.qr(_terms(measured).T / sigma[:, None])[0]
        step = 0.5 * math.pi / (Q[-1] - Q[0])
        r = step * np.arange(1, math.ceil(measured.reach / step) + 1)
        waves = np.sinc(np.outer(Q, r) / math.pi) / sigma[:, None]
        waves -= background @ (background.T @ waves)
        u, s, _ = np.linalg.svd(waves, full_matrices=False)
        particles = u[:, s > SMALLEST * s[0]]
        both = np.column_stack([background, particles])
        return cls(background, particles, y - both @ (both.T @ y))

    @property
    def left(self) -> int:
        """Numbers of the rest."""
        return int(self.rest.size - self.background.shape[1] - self.particles.shape[1])

    @property
    def noise(self) -> float:
        """Mean square of the rest, NaN where it holds too few numbers."""
        return float(self.rest @ self.rest) / self.left if self.left >= FEWEST else math.nan

    def share(self) -> Array:
        """Return what part of the variance of each point is in the rest (m,)."""
        taken = (self.background**2).sum(axis=1) + (self.particles**2).sum(axis=1)
        return np.asarray(np.maximum(1.0 - taken, 0.02))


def _terms(measured: MeasuredPattern) -> Array:
    return np.array(list(measured.background.values()))


def _scatter(measured: MeasuredPattern) -> Array:
    """Return errors (m,) from how points scatter about what particles and background can make of them."""
    m = len(measured.data)
    sigma = np.ones(m)
    for _ in range(ROUNDS):
        split = _Split.of(measured, sigma)
        if split.left < FEWEST:
            raise PdfkitError(
                f"{measured.data.name or measured.kind}: {m} points are too few to tell their errors from their "
                "scatter: give them dI, a third column"
            )
        share = split.share()
        sigma = np.sqrt(_smooth_variance((split.rest * sigma) ** 2 / share, share, min(DEGREE, split.left // EACH)))
    return sigma


def _smooth_variance(square: Array, share: Array, degree: int) -> Array:
    """Return the variance (m,), smooth along the points, of normal numbers whose squares these are: likeliest ln σ².

    share (m,): what part of such a number there is to each point.
    """
    shape = np.polynomial.chebyshev.chebvander(np.linspace(-1.0, 1.0, square.size), degree)
    square = square + 1e-20 * float(square.mean()) + 1e-300
    theta = np.zeros(degree + 1)
    theta[0] = math.log(float(square.mean()))
    for _ in range(STEPS):
        ratio = square * np.exp(-shape @ theta)
        # Fisher's step, and no longer one than the logarithm is good for.
        step = np.linalg.solve(shape.T @ (share[:, None] * shape), shape.T @ (share * (ratio - 1.0)))
        step *= min(1.0, 1.0 / float(np.abs(shape @ step).max() + 1e-300))
        theta = theta + step
    return np.asarray(np.exp(shape @ theta))


def _made(measured: MeasuredPattern, sigma: Array, source: str, said: tuple[str, ...]) -> Band:
    data, split = measured.data, _Split.of(measured, sigma)
    nodes = chebyshev_nodes(float(data.Q[0]), float(data.Q[-1]), measured.reach)
    whiten = split.particles.T / sigma
    target = whiten @ data.I
    if nodes.size < len(data):
        spread = interpolation(nodes, data.Q)
        return Band(nodes, whiten @ spread, spread, target, sigma, _terms(measured), source, said)
    return Band(data.Q, whiten, np.eye(len(data)), target, sigma, _terms(measured), source, said)


@dataclass(frozen=True, eq=False)
class PatternSet:
    """A pattern ready to be compared with its model, as `pdfkit.fitting.parts.Dataset` is.

    Its curves are those of every phase at the points of its band, one after the other.
    """

    posed: PosedPattern
    evaluate: PatternEvaluator
    band: Band
    source: str = "dG"
    given: Dataset | None = None

    @classmethod
    def of(cls, posed: PosedPattern) -> PatternSet:
        """Prepare a pattern."""
        band = band_of(posed.measured)
        return cls(posed, posed.model.evaluator(band.Q), band)

    @property
    def name(self) -> str:
        """Its name among the data sets."""
        return self.posed.name

    @property
    def model(self) -> PatternModel:
        """The model that it is compared with."""
        return self.posed.model

    @property
    def has_errors(self) -> bool:
        """True: the data or their scatter say them."""
        return True

    @property
    def count(self) -> int:
        """Number of independent residuals: what the scales of the phases take is none."""
        return self.band.target.size - len(self.model.phases)

    @property
    def independent(self) -> float:
        """The same."""
        return float(self.count)

    def resized(self, size: float) -> PatternSet:
        """Return the same with noise that much larger than the errors of points."""
        return replace(self, posed=replace(self.posed, size=size))

    def evaluated_by(self, evaluate: PatternEvaluator) -> PatternSet:
        """Return the same with another evaluator."""
        return replace(self, evaluate=evaluate)

    def global_name(self, quantity: str) -> str:
        """Return the parameter name of one of the model's quantities in this data set."""
        return quantity if "." in quantity else f"{self.name}.{quantity}"

    def curves(self, rows: Array) -> Array:
        """Return rows (n, nphases·nQ) as independent numbers of each phase (n, nphases, k)."""
        return rows.reshape(len(rows), -1, self.band.Q.size) @ self.band.matrix.T

    def scales(self, G: Array) -> Array:
        """Return the scales (nphases,) of least squares, none of them negative."""
        return self._scaled(self.curves(G[None])[0].T)[0]

    def _scaled(self, own: Array) -> tuple[Array, Array]:
        """Return the scales (nphases,) of curves own (k, nphases), and a basis (k, n) of those above 0."""
        used, scales = np.arange(own.shape[1]), np.zeros(own.shape[1])
        while used.size:
            found = np.linalg.lstsq(own[:, used], self.band.target, rcond=None)[0]
            if found.min() >= 0.0:
                scales[used] = found
                break
            used = np.delete(used, found.argmin())
        return scales, np.linalg.qr(own[:, used])[0]

    def rows(self, G: Array, dG: Array) -> Array:
        """Return ∂f/∂x and f (nfree + 1, k), in units of the noise, with scales at their best."""
        both = self.curves(np.vstack([dG, G]))
        scales, q = self._scaled(both[-1].T)
        out = np.einsum("nak,a->nk", both, scales)
        out[-1] = -self.band.target
        out -= (out @ q) @ q.T
        return np.asarray(out / self.posed.size)

    def residuals(self, values: Array) -> Array:
        """Return f (n, k) at values (n, nvalues) of all quantities of the model."""
        return np.array([self.rows(*self.evaluate(one))[-1] for one in values])

    def taken(self, G: Array) -> Array:
        """Return what of residuals (k, k) the scales take, at a curve."""
        q = self._scaled(self.curves(G[None])[0].T)[1]
        return np.asarray(q @ q.T)

    def ln_scales(self, G: Array) -> float:
        """Return ln of the part of their priors that data leave the scales, flat from 0 to twice the sum of all.

        Of the normal distribution of a scale, what lies above 0 counts.
        """
        from scipy.special import log_ndtr

        curves, target = self.curves(G[None])[0] / self.posed.size, self.band.target / self.posed.size
        norms = np.linalg.norm(curves, axis=1)
        # Where all are 0, a scale could be as large as makes a curve as large as the data.
        width = 2.0 * float(self.scales(G).sum() or np.linalg.norm(target) / norms.max())
        _, size = np.linalg.slogdet(width**2 * (curves @ curves.T))
        errors = np.linalg.lstsq(curves.T, target, rcond=None)[0] * norms
        cut = float((0.5 * np.minimum(errors, 0.0) ** 2 + log_ndtr(errors)).sum())
        return 0.5 * len(curves) * math.log(2.0 * math.pi) - 0.5 * float(size) + cut

    def norm2(self) -> float:
        """Return the sum of squares of the data without their background, in units of the noise."""
        return float(self.band.target @ self.band.target) / self.posed.size**2
