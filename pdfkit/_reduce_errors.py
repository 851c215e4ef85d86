"""Errors of intensities where a file has none, and errors of F(Q) behind a scale and a polynomial."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pdfkit import _checks, transforms
from pdfkit._checks import Array
from pdfkit._reduce_routes import Route
from pdfkit.covariance import Covariance
from pdfkit.errors import PdfkitError
from pdfkit.intensity import Intensity

ERRORS = ("auto", "given", "counting", "scatter", "none")
# Fourth differences: 0 for a cubic, variance 1 for white noise of variance 1.
_DIFFERENCE = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / np.sqrt(70.0)
_MEDIAN_OF_SQUARE = 0.45494  # median of χ² with one degree of freedom
_BLOCKS, _IN_BLOCK = 16, 60
_FAR, _WIDTH = (60.0, 105.0), 15.0  # Å


def with_errors(pattern: Intensity, errors: str) -> tuple[Intensity, str]:
    """Return the pattern with standard deviations dI as `errors` says, and in a few words where they come from.

    | errors | dI |
    |---|---|
    | given | those of the file |
    | counting | √I: the intensities are counts |
    | scatter | √(g·I), with g(Q) from the scatter of neighbouring points about a cubic: counts on any scale; raised
      later by `noise_ratio` where that is above 1 |
    | auto | given where there are some, else scatter |
    | none | none |
    """
    _checks.choice("errors", errors, ERRORS)
    if errors == "auto":
        errors = "given" if pattern.dI is not None else "scatter"
    if errors == "none":
        return replace(pattern, dI=None), "none"
    if errors == "given":
        if pattern.dI is None:
            raise PdfkitError(f"{pattern.name or 'the pattern'} has no errors: give errors='scatter' or 'counting'")
        return pattern, "given"
    if errors == "counting":
        return replace(pattern, dI=np.sqrt(np.maximum(pattern.I, 1.0))), "counting, √I"
    return replace(pattern, dI=np.sqrt(scatter(pattern.I))), "scatter of neighbouring points"


def scatter(I: Array) -> Array:
    """Return the variance (n,) of intensities from their own scatter: g·I, g the median of (4th difference)²/I.

    g is taken in up to 16 blocks and interpolated between them: corrections that vary slowly with Q do no harm, nor do
    peaks on less than half of the points.
    """
    if I.size < 20:
        raise PdfkitError(f"{I.size} points are too few to see their scatter: give dI, or errors='none'")
    level = np.maximum(I, 0.01 * float(np.median(np.abs(I))))
    if not (level > 0).all():
        raise PdfkitError("the intensities are zero: nothing can be reduced")
    square = np.convolve(I, _DIFFERENCE, mode="valid") ** 2 / np.convolve(level, _DIFFERENCE**2, mode="valid")
    blocks = np.array_split(np.arange(square.size), max(1, min(_BLOCKS, square.size // _IN_BLOCK)))
    gain = np.array([np.median(square[block]) for block in blocks]) / _MEDIAN_OF_SQUARE
    centre = np.array([block.mean() for block in blocks]) + 2
    # A block without scatter (smoothed or simulated data) has what rounding leaves.
    gain = np.maximum(gain, 1e-12 * level.max())
    return np.asarray(np.exp(np.interp(np.arange(I.size), centre, np.log(gain))) * level)


def propagated(Q: Array, route: Route, variance: Array) -> Covariance:
    """Return the covariance of F on Q: K·diag(variance)·Kᵀ with K = diag(D) + L·Rᵀ, as diagonal and modes.

    K V Kᵀ = D²V + M·C·Mᵀ with M = [L, D·V·R] and C = [[RᵀVR, 1], [1, 0]].
    """
    p = route.L.shape[1]
    carried = (route.D * variance)[:, None] * route.R
    core = np.zeros((2 * p, 2 * p))
    core[:p, :p] = route.R.T @ (variance[:, None] * route.R)
    core[:p, p:] = core[p:, :p] = np.eye(p)
    return Covariance(Q, np.ones(Q.size), route.D**2 * variance, np.concatenate([route.L, carried], axis=1), core)


def diagonal(cov: Covariance) -> Array:
    """Return the standard deviations of F (n,): the roots of the diagonal of what `propagated` returns."""
    total = cov.variance + np.einsum("kp,pq,kq->k", cov.modes, cov.core, cov.modes, optimize=True)
    # Where a fit took all that a point had to say, rounding may leave less than nothing.
    return np.asarray(np.sqrt(np.maximum(total, 1e-12 * cov.variance)))


def noise_ratio(Q: Array, F: Array, variance: Array) -> float | None:
    """Return how many times the noise of G(r) exceeds what the variance of F (n,) makes it; None where r is too short.

    Taken from the r between 60 and 105 Å (at most 0.6·π/ΔQ) with the least power: noise of the band that is fitted, and
    no more than that where no order reaches so far. Neighbouring points that share pixels scatter too little to see it.
    """
    end = min(_FAR[1], 0.6 * math.pi / float(np.diff(Q).max()))
    parts = int((end - _FAR[0]) / _WIDTH)
    if parts < 1:
        return None
    # Hann's window: no ripples of near peaks.
    weight = transforms.window("hann", Q, Q[-1]) * np.gradient(Q)
    r = np.linspace(_FAR[0], _FAR[0] + parts * _WIDTH, parts * max(8, math.ceil(2 * _WIDTH * Q[-1] / math.pi)))
    G = transforms.smooth_sine_sums(Q, (weight * F)[:, None], r)[0]
    power = (G**2).reshape(parts, -1).mean(axis=1).min()
    return math.sqrt(float(power) / (0.5 * float(weight**2 @ variance)))
