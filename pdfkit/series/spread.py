"""Errors of what a parametric fit found, and the evidence for its laws.

With g_s = J_sᵀf_s of each scan, led parameters first freed of own ones by P_s = (∂l/∂θ)ᵀ[−N_lo N_oo⁻¹, 1], the shared
parameters are off by −C⁻¹ Σ P_s g_s, C the Schur complement of all. So their covariance is

    C⁻¹ [(1 − ρ) Σ U_s U_sᵀ + ρ (Σ U_s)(Σ U_s)ᵀ] C⁻¹        U_s = P_s·(root of the covariance of g_s)

where ρ is the correlation of the residuals of different scans: what a model misses, it misses in every scan alike. That
part averages out of no mean however many scans there are, but it does out of differences along the series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdfkit._checks import Array
from pdfkit.series.arrow import Eliminated, Found
from pdfkit.series.posed import Lean, PosedScan, correlation, misfits

RIDGE = 1e-3
"""Added to curvatures in units of priors, for the evidence: what data do not determine is held by its prior."""
UNTOLD = 1e-10
"""Share of the largest curvature, columns scaled, below which a combination of shared parameters is not determined."""


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariances (K, K) of shared parameters, (S, n, n) of those of scans, and the correlation of residuals.

    NaN belongs to what is not determined, or on a bound.
    """

    shared: Array
    scans: Array
    common: float


def spread(scans: Sequence[Lean], found: Found, on_bound: NDArray[np.bool_]) -> Spread:
    """Return the errors of a fit; on_bound (K,): shared parameters that are on one."""
    here, K = found.place, found.place.theta.size
    inverse = _inverse(found.shared.curvature, ~on_bound)
    x = np.concatenate([here.own, here.led], axis=1)
    common = correlation(misfits(scans, x))
    parts = zip(scans, x, found.shared.scans, here.slopes, strict=True)
    roots = [_rooted(lean.scan(), *one) for lean, *one in parts]
    known = np.nan_to_num(inverse)
    meat = sum((U @ U.T for U, _, _ in roots), np.zeros((K, K)))
    if common > 0:
        whole = np.sum([U for U, _, _ in roots], axis=0)
        meat = (1.0 - common) * meat + common * whole @ whole.T
    shared = known @ meat @ known
    told = np.where(np.isnan(np.diag(inverse)) & ~on_bound, math.nan, 0.0) + shared
    rows = [_of_scan(*one, known, told) for one in zip(found.shared.scans, here.slopes, roots, strict=True)]
    return Spread(np.where(np.isnan(inverse), math.nan, shared), np.array(rows), common)


def _rooted(scan: PosedScan, x: Array, one: Eliminated, slopes: Array) -> tuple[Array, Array, Array]:
    """Return U (K, q), N_oo⁻¹ times the root of own numbers (no, q), and ∂o/∂θ (no, K)."""
    waves, no = scan.waves(x), one.moving.size
    own = waves[:no][one.moving]
    solved = np.linalg.solve(one.Roo, np.linalg.solve(one.Roo.T, own)) if own.size else own
    by_led = np.linalg.solve(one.Roo, one.Rol) if own.size else np.zeros((0, slopes.shape[0]))
    U = np.asarray(slopes.T @ (waves[no:] - by_led.T @ own))
    return U, np.asarray(solved), np.asarray(-by_led @ slopes)


def _of_scan(one: Eliminated, slopes: Array, roots: tuple[Array, Array, Array], known: Array, shared: Array) -> Array:
    """Return the covariance (n, n) of the own and the led numbers of a scan."""
    U, solved, by = roots
    untold, shared = np.isnan(np.diag(shared)), np.nan_to_num(shared)
    noise = solved @ U.T @ known
    cross = noise @ by.T
    own = solved @ solved.T + by @ shared @ by.T + cross + cross.T
    no, n = one.moving.size, one.moving.size + slopes.shape[0]
    moving, led = np.flatnonzero(one.moving), np.arange(no, n)
    out = np.full((n, n), math.nan)
    out[np.ix_(moving, moving)] = own
    out[np.ix_(led, led)] = slopes @ shared @ slopes.T
    out[np.ix_(moving, led)] = (noise + by @ shared) @ slopes.T
    out[np.ix_(led, moving)] = out[np.ix_(moving, led)].T
    lost = led[(slopes[:, untold] != 0).any(axis=1)]
    out[lost] = out[:, lost] = math.nan
    return out


def along(slopes: Array, covariance: Array) -> Array:
    """Return variances (n,) of what has slopes (n, K) to shared parameters: NaN where it rests on one without any."""
    untold = np.isnan(np.diag(covariance))
    out = np.einsum("ik,kl,il->i", slopes, np.nan_to_num(covariance), slopes)
    return np.where((slopes[:, untold] != 0).any(axis=1), math.nan, out)


def _inverse(curvature: Array, inside: NDArray[np.bool_]) -> Array:
    """Return the inverse (K, K), NaN rows for what is on a bound or not determined."""
    size = np.sqrt(np.diag(curvature))
    kept = np.flatnonzero(inside & (size > 0))
    out = np.full(curvature.shape, math.nan)
    if kept.size:
        unit = np.outer(size[kept], size[kept])
        values, vectors = np.linalg.eigh(curvature[np.ix_(kept, kept)] / unit)
        told = values > UNTOLD * values[-1]
        part = (vectors[:, told] / values[told]) @ vectors[:, told].T / unit
        spoilt = (np.abs(vectors[:, ~told]) > 1e-4).any(axis=1)
        part[spoilt] = part[:, spoilt] = math.nan
        out[np.ix_(kept, kept)] = part
    return out


def ln_evidence(found: Found, widths: Array, ln_prior: float) -> float:
    """Return ln Z by Laplace: widths (no,) of the priors of own numbers, ln of the density of shared ones.

    The noise is the one that fits of single scans show: ln Z of other laws, in the same noise, differ by what these
    explain, less what they could have explained.
    """
    K = found.place.theta.size
    lnz = -0.5 * found.place.cost + 0.5 * K * math.log(2.0 * math.pi) + ln_prior
    for one in found.shared.scans:
        width = widths[one.moving]
        normal = (one.Roo.T @ one.Roo) * np.outer(width, width) + RIDGE * np.eye(width.size)
        lnz += 0.5 * width.size * math.log(2.0 * math.pi) - 0.5 * float(np.linalg.slogdet(normal)[1])
    unit = found.shared.unit
    scaled = found.shared.curvature / np.outer(unit, unit) + 1e-12 * np.eye(K)
    return lnz - 0.5 * float(np.linalg.slogdet(scaled)[1]) - float(np.log(unit).sum())
