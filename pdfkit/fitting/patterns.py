"""Patterns after a fit: curves at all points, scales and backgrounds with their errors, and what is to be said."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array
from pdfkit.fitting.projection import PatternSet
from pdfkit.fitting.residuals import Residuals
from pdfkit.results.patterns import PatternFit


def patterns_fitted(residuals: Residuals, x: Array, values: Array, covariance: Array) -> tuple[PatternFit, ...]:
    """Return the patterns of a fit that ended at free values x, all values (n,), with a covariance of the free ones."""
    count, curves = len(residuals.sets), residuals.last_curves(x)
    known = zip(residuals.patterns, residuals.rows[count:], curves[count:], strict=True)
    return tuple(_fitted(s, values[rows], *one, covariance) for s, rows, one in known)


def _fitted(s: PatternSet, values: Array, G: Array, dG: Array, covariance: Array) -> PatternFit:
    model = s.model.with_values(dict(zip(s.model.names, values.tolist(), strict=True)))
    data, scales = model.measured.data, s.scales(G)
    told = np.isfinite(np.diag(covariance))
    particles, moved = (one.reshape(-1, scales.size, s.band.Q.size) @ s.band.spread.T for one in (G[None], dG[told]))
    weight = 1.0 / s.band.sigma
    rest = data.I - scales @ particles[0]
    background = np.linalg.lstsq((s.band.terms * weight).T, rest * weight, rcond=None)[0]
    columns = np.concatenate([particles[0], s.band.terms]) * weight
    along = np.einsum("nam,a->nm", moved, scales) * weight
    errors = _errors(columns, along, covariance[np.ix_(told, told)], s.posed.size)
    names = [f"{phase.name}.scale" for phase in model.phases] + list(model.measured.background)
    linear = dict(zip(names, zip([*scales.tolist(), *background.tolist()], errors.tolist(), strict=True), strict=True))
    f = s.resized(1.0).rows(G, G[None][:0])[-1]
    return PatternFit(
        s.name,
        model,
        s.posed.size,
        particles=scales[:, None] * particles[0],
        background=background @ s.band.terms,
        sigma=s.band.sigma,
        linear=linear,
        chi2=float(f @ f),
        count=s.count,
        errors_from=s.band.source,
        said=s.band.said,
    )


def _errors(columns: Array, along: Array, covariance: Array, size: float) -> Array:
    """Return standard errors of factors of columns (n, m), over errors of points, and of what parameters add.

    The factors are c = (BᵀB)⁻¹Bᵀ(y − I), so that dc/dp = −(BᵀB)⁻¹Bᵀ ∂I/∂p; along (nfree, m): ∂I/∂p.
    """
    unit = np.linalg.norm(columns, axis=1)
    if not unit.all():
        return np.full(unit.size, math.nan)
    inverse = np.linalg.pinv((columns / unit[:, None]).T)
    shift = inverse @ along.T
    own = size**2 * (inverse**2).sum(axis=1) + ((shift @ covariance) * shift).sum(axis=1)
    return np.asarray(np.sqrt(own) / unit)
