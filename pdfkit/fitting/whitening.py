"""Residuals of G(r) as independent numbers: what correlated errors leave of thousands of oversampled points.

G(r) that was cut at Qmax holds about (rmax − rmin)·Qmax/π independent numbers. Points a little denser than that
(`OVERSAMPLING`) hold all of them, whatever the grid of the file. Which combinations of points those numbers are follows
from Qmax and window of the data alone: the modes of the covariance of noise that is equal at all Q, but for those with
less than `SMALLEST` of its largest variance, which lie beyond Qmax or where the window has taken the signal, and hold
rounding more than information. The covariance of the data within them, C = VΛVᵀ, is diagonalised, and Λ^(−½)Vᵀ turns
residuals into independent ones of variance 1. Where noise differs much with Q, the best known combinations count as if
their variance were `FLOOR` of the largest: a reduction is not right to more digits than that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.model.model import Model

OVERSAMPLING = 1.25
SMALLEST = 0.01
FLOOR = 1e-3
"""Of the largest variance. With less, systematic errors of reductions weigh more than they are known: for reduced
counts of dots (notebook 4, no window) 1e-5 of the median gives χ² 46 in place of 1.6, and diameters that scatter 1.7
times as much.
"""


@dataclass(frozen=True, eq=False)
class Whitening:
    """Which points of the data are used, and what makes their residuals independent.

    index (m,): points. matrix (k, m), k ≤ m: W with W·C·Wᵀ = 1. source: whether C has the size of the errors, or only
    their correlation. then (k, k): where the matrix is but the first of two steps, W = then·matrix, which costs less
    for the few curves of a fit than W does.
    """

    index: IntArray
    matrix: Array
    source: str
    then: Array | None = None

    def __call__(self, rows: Array) -> Array:
        """Return rows (n, m) as independent numbers (n, k)."""
        with one_thread():
            out = rows @ self.matrix.T
            return out if self.then is None else out @ self.then.T

    def adjoint(self, white: Array) -> Array:
        """Return white·W (n, m) for white (n, k)."""
        with one_thread():
            return np.asarray((white if self.then is None else white @ self.then) @ self.matrix)


def possible(model: Model) -> bool:
    """Whether errors of data that this model is fitted to are correlated in a known way: cut, and cut exactly."""
    qmax = model.instrument.qmax
    return qmax is not None and math.isfinite(qmax) and model.convention.cut == "exact"


def whitening(data: PDF, instrument: Instrument, use_errors: bool) -> Whitening:
    """Return what whitens residuals on the data's r, from the best that is known of their errors.

    In this order: the covariance of the data ("cov"); their dG with the correlation that Qmax and window cause ("dG");
    that correlation alone ("misfit": the size of the errors follows from the fit).
    """
    index = points(data.r, instrument.qmax or math.inf)
    r = data.r[index]
    with one_thread():
        if use_errors and data.cov is not None:
            return Whitening(index, _root(data.cov, r.tobytes()), "cov")
        root = _root_of_correlation(r.tobytes(), instrument)
    if use_errors and data.dG is not None:
        return Whitening(index, np.ascontiguousarray(root / data.dG[index]), "dG")
    return Whitening(index, root, "misfit")


def points(r: Array, qmax: float) -> IntArray:
    """Every n-th point, so that they are OVERSAMPLING times denser than π/qmax or as dense as the data are."""
    step = (r[-1] - r[0]) / (r.size - 1)
    stride = max(1, math.floor(math.pi / (OVERSAMPLING * qmax * step) + 1e-9))
    if stride > 1 and np.abs(np.diff(r) - step).max() > 0.01 * step:
        wanted = np.arange(r[0], r[-1] + 1e-9, math.pi / (OVERSAMPLING * qmax))
        return np.unique(np.clip(np.searchsorted(r, wanted), 0, r.size - 1))
    return np.arange(0, r.size, stride)


@dataclass(frozen=True, eq=False)
class Band:
    """The modes that data on r (m,) have room for. modes (m, k); Q (nQ,), waves (k, nQ): noise of power 1 at all Q has
    the covariance waves·wavesᵀ in them.
    """

    modes: Array
    Q: Array
    waves: Array


def band_of(r: Array, instrument: Instrument) -> Band:
    """Return the band of data on r (m,), the points that a fit uses."""
    return _band(r.tobytes(), instrument)


@lru_cache(maxsize=8)
def _band(buffer: bytes, instrument: Instrument) -> Band:
    r = np.frombuffer(buffer)
    white = Covariance.white(instrument, float(r[-1]))
    waves = np.sin(np.outer(r, white.Q)) * (white.weight * np.sqrt(white.variance))
    values, vectors = np.linalg.eigh(waves @ waves.T)
    modes = np.ascontiguousarray(vectors[:, values > SMALLEST * values[-1]])
    return Band(modes, white.Q, modes.T @ waves)


@lru_cache(maxsize=16)
def _root(cov: Covariance, buffer: bytes) -> Array:
    """Return what whitens the covariance of the data, in the modes that its own Q and window have room for."""
    r = np.frombuffer(buffer)
    flat = Covariance(cov.Q, cov.weight, 1.0 / np.gradient(cov.Q))  # errors equal at all Q
    values, vectors = np.linalg.eigh(flat.matrix(r))
    band = vectors[:, values > SMALLEST * values[-1]]
    values, vectors = np.linalg.eigh(band.T @ cov.matrix(r) @ band)
    return np.ascontiguousarray((band @ vectors / np.sqrt(np.maximum(values, FLOOR * values[-1]))).T)


def _correlation(buffer: bytes, instrument: Instrument) -> Array:
    """Return the correlation (m, m) of errors that are equal at all Q up to qmax, times the window."""
    r = np.frombuffer(buffer)
    matrix = Covariance.white(instrument, float(r[-1])).matrix(r)
    # Close to r = 0 G is 0 for certain: what dG says there is not divided by nothing.
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-2))
    return np.asarray(matrix / np.outer(size, size))


@lru_cache(maxsize=16)
def _root_of_correlation(buffer: bytes, instrument: Instrument) -> Array:
    return _inverse_root(_correlation(buffer, instrument))


def _inverse_root(covariance: Array) -> Array:
    """Return Λ^(−½)Vᵀ (k, m) of the modes that count."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > SMALLEST * values[-1]
    return np.ascontiguousarray((vectors[:, kept] / np.sqrt(values[kept])).T)


def shares(data: Array, prior: Array) -> Array:
    """Return the eigenvalues (n,) of data (n, n) measured by prior (n, n), large where that has next to nothing."""
    from scipy.linalg import eigh

    floor = 1e-9 * float(np.trace(prior)) / prior.shape[0] + 1e-12 * float(np.trace(data)) / data.shape[0]
    values = eigh(data, prior + floor * np.eye(prior.shape[0]), eigvals_only=True)
    return np.asarray(np.maximum(values, 0.0))
