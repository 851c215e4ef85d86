"""Errors of F(Q) on their way to G(r), and the continuation of F below qmin to 0 at Q = 0."""

from __future__ import annotations

import math

import numpy as np

from pdfkit import _budget
from pdfkit._checks import Array
from pdfkit.data import SQ
from pdfkit.errors import PdfkitError


def error_columns(sq: SQ) -> list[Array]:
    """Return what is known of the errors of F on Q: their standard deviations and the modes of their correlation."""
    if sq.cov is not None:
        return [np.sqrt(sq.cov.variance), *sq.cov.modes.T]
    return [] if sq.dS is None else [sq.Q * sq.dS]


def errors_of_F(sq: SQ, columns: list[Array]) -> tuple[Array | None, Array, Array]:
    """Return variance (n,), modes (n, p) and core (p, p) from the columns of `error_columns` on another Q."""
    if not columns:
        return None, np.zeros((0, 0)), np.zeros((0, 0))
    core = np.zeros((0, 0)) if sq.cov is None else sq.cov.core
    return columns[0] ** 2, np.array(columns[1:]).reshape(len(columns) - 1, columns[0].size).T, core


def extrapolation(Q: Array, kind: str) -> tuple[Array, Array, Array]:
    """Return Q below Q[0] (m,), shapes (m, k) and picks (n, k): F there is shapes·(picksᵀF), least squares."""
    powers = (1,) if kind == "linear" else (1, 3)
    count = max(1 + 2 * len(powers), int(np.searchsorted(Q, 1.1 * Q[0])))
    if Q.size <= count:
        raise PdfkitError(f"{Q.size} points are too few to extrapolate from: give extrapolate='none'")
    m = max(2, math.ceil(Q[0] / (Q[1] - Q[0])))
    _budget.need(100.0 * m, f"F(Q) from 0 to {Q[0]:g} Å⁻¹ in steps of {Q[1] - Q[0]:.3g} Å⁻¹", "leave out the first Q")
    below = Q[0] * np.arange(m) / m
    picks = np.zeros((Q.size, len(powers)))
    # Powers of Q/Q[0]: well conditioned.
    picks[:count] = np.linalg.pinv(np.stack([(Q[:count] / Q[0]) ** p for p in powers], axis=1)).T
    return below, np.stack([(below / Q[0]) ** p for p in powers], axis=1), picks


def extended_errors(
    variance: Array | None, modes: Array, core: Array, shape: Array, picks: Array
) -> tuple[Array | None, Array, Array]:
    """Return variance, modes and core of [shape·picksᵀF, F]: cov is [E; 1]·cov(F)·[E; 1]ᵀ with E = shape·picksᵀ.

    What E adds is of low rank: with C = diag(variance), it is shape·(picksᵀC picks)·shapeᵀ and the cross terms
    shape·(C picks)ᵀ.
    """
    if variance is None:
        return None, modes, core
    m, k = shape.shape
    n, p = modes.shape
    picked = variance[:, None] * picks
    wide = np.zeros((m + n, 2 * k + p))
    wide[:m, :k], wide[m:, k : 2 * k] = shape, picked
    wide[:m, 2 * k :], wide[m:, 2 * k :] = shape @ (picks.T @ modes), modes
    full = np.zeros((2 * k + p, 2 * k + p))
    full[:k, :k] = picks.T @ picked
    full[:k, k : 2 * k] = full[k : 2 * k, :k] = np.eye(k)
    full[2 * k :, 2 * k :] = core
    return np.concatenate([np.zeros(m), variance]), wide, full


def usable(sigma: Array) -> Array:
    """Return dG with the smallest other value where G is certain (r = 0): no fit can use an error of 0."""
    sure = sigma <= 1e-6 * sigma.max()
    return np.where(sure, sigma[~sure].min(initial=max(sigma.max(), 1e-300)), sigma)
