"""How far frames depend on each other, from the scatter of blocks of frames: what errors of their mean have to grow by.

Deviations of frames are taken as white noise and a part that is forgotten as exp(−t/τ) (t in frames), in any
proportion. Of the means of k blocks of m frames, whose scatter about their own mean is known, each τ and proportion
has a likelihood (that of contrasts, in which the unknown mean has no part), for all points of a range of r at once;
what the squared error from independent blocks has to be multiplied with is its mean over all of these. Equal odds
are given to no memory at all, and to memories of N/200 to N/2 frames, equal in log τ.
Source: Patterson and Thompson, Biometrika 58, 545 (1971), for the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array

LONG = 0.1
"""Memory, part of the run, from which on errors are not known but a lower limit."""
# Memories as parts of the run, and proportions of the part that is remembered in the scatter of single frames.
MEMORIES = np.geomspace(1 / 200, 1 / 2, 17)
SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])
# Points of a range are no more series of their own than this.
MOST = 200.0


@dataclass(frozen=True, eq=False)
class Memory:
    """What ranges of r (…, ranges) show: growth, of the squared error of k blocks that were independent; long, the
    probability that frames depend on each other over more than a tenth of the run."""

    growth: Array
    long: Array


def memory(values: Array, each: int, frames: int) -> Memory:
    """Return what the means of blocks of `each` of `frames` frames show, (k, …, ranges, points), k ≥ 2."""
    k = len(values)
    models = _models(k, each, frames)
    moved = np.moveaxis(values, 0, -2)
    contrasts = models.contrasts @ moved  # (…, ranges, k - 1, points)
    scatter = contrasts @ np.swapaxes(contrasts, -1, -2)
    total = np.trace(scatter, axis1=-2, axis2=-1)
    scatter = np.where(total[..., None, None] > 0.0, scatter, np.eye(k - 1))
    scatter = scatter / np.trace(scatter, axis1=-2, axis2=-1)[..., None, None]
    fit = np.tensordot(scatter, models.inverse, axes=([-2, -1], [-2, -1]))  # (…, ranges, models)
    per_series = -0.5 * (models.logdet + (k - 1) * np.log(fit))
    series = _series(scatter, models.whiten[np.argmax(per_series, axis=-1)])
    log = series[..., None] * per_series + models.prior
    odds = np.exp(log - log.max(axis=-1, keepdims=True))
    odds /= odds.sum(axis=-1, keepdims=True)
    known = total > 0.0
    return Memory(np.where(known, odds @ models.growth, 1.0), np.where(known, odds @ models.long, 0.0))


def _series(scatter: Array, whiten: Array) -> Array:
    """Return of how many independent series points show the scatter: from how unequal its eigenvalues are."""
    n = scatter.shape[-1]
    white = whiten @ scatter @ np.swapaxes(whiten, -1, -2)
    unequal = n * (white**2).sum(axis=(-2, -1)) / np.trace(white, axis1=-2, axis2=-1) ** 2 - 1.0
    return np.asarray(np.clip((n + 1.0) / np.maximum(unequal, (n + 1.0) / MOST), 1.0, MOST))


@dataclass(frozen=True, eq=False)
class _Models:
    contrasts: Array  # (k - 1, k)
    inverse: Array  # (models, k - 1, k - 1)
    whiten: Array  # (models, k - 1, k - 1)
    logdet: Array  # (models,), as the following
    growth: Array
    long: Array
    prior: Array  # logarithms


@lru_cache(maxsize=8)
def _models(k: int, each: int, frames: int) -> _Models:
    contrasts = np.linalg.qr(np.column_stack([np.ones(k), np.eye(k)[:, 1:]]))[0].T[1:]
    lag = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    found, truth, long, prior = [np.eye(k) / each], [1.0 / frames], [0.0], [0.5]
    for part in MEMORIES:
        between, mean = _covariance(part * frames, each, k)[lag], _covariance(part * frames, frames, 1)[0]
        for share in SHARES:
            found.append(share * between + (1.0 - share) * np.eye(k) / each)
            truth.append(share * mean + (1.0 - share) / frames)
            long.append(float(part >= LONG))
            prior.append(0.5 / (MEMORIES.size * SHARES.size))
    seen = contrasts @ np.array(found) @ contrasts.T
    lower = np.linalg.inv(np.linalg.cholesky(seen))
    expected = np.trace(seen, axis1=-2, axis2=-1) / (k - 1) / k
    logdet = -2.0 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
    inverse = np.swapaxes(lower, -1, -2) @ lower
    return _Models(contrasts, inverse, lower, logdet, np.array(truth) / expected, np.array(long), np.log(prior))


def _covariance(tau: float, each: int, k: int) -> Array:
    """Return the covariance of means of `each` frames by their lag in blocks (k,), of exp(−t/τ) between frames."""
    t = np.arange(1, each)
    q = np.exp(-1.0 / tau)
    own = (each + 2.0 * ((each - t) * q**t).sum()) / each**2
    # (1 + q + … + q^(each − 1))² q between neighbours, and q^each less for each block further.
    beside = q * ((1.0 - q**each) / (1.0 - q) / each) ** 2
    return np.concatenate([[own], beside * q ** (each * np.arange(k - 1.0))])
