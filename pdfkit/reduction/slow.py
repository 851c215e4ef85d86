"""A slow factor on the intensities, found from G(r) where no two atoms are.

F = Q[n(Q)·I/t − C − ⟨f²⟩ − b]/⟨f⟩² with n(Q) = Σ_k θ_k T_k(2Q/Q_n − 1), T_k Chebyshev's polynomials: linear in θ (and
in the constant b). θ_0 is free, θ_k = 0 ± slow·α/k^1.5: n may leave a constant by some per cent, less the faster it
changes. That F makes G = −4πρ₀r below the first peak (ρ₀ free where it is not given) then decides, with weights that
are the inverse of the covariance of what else is there: counting noise, and what peaks further out do (`LowR`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.reduction import lowr
from pdfkit.reduction.lowr import Atoms, LowR

TERMS = 9
_FALL = 1.5  # of the prior with the order


@dataclass(frozen=True)
class Problem:
    """F = Σθ_k v_k − B on Q (n,): v (n, p), of which those with `depends` (n,) = dv/dI per I are made of intensities.

    prior (p,): standard deviations of θ, inf where it is free. variance (n,) of I, or None. slope: dG/dr below the
    first peak, None where it is not known.
    """

    Q: Array
    v: Array
    B: Array
    depends: Array
    prior: Array
    variance: Array | None
    slope: float | None


@dataclass(frozen=True)
class Solution:
    """θ (p,), its derivatives (p, n) by the intensities, and what the data leave open of it besides noise (p, p).

    misfit : sum of squares of G from −4πρ₀r and of θ from its prior, in standard deviations, on `size` points below
    `end` (Å).
    """

    theta: Array
    gradient: Array
    systematic: Array
    misfit: float
    size: int
    end: float


def solve(problem: Problem, near: LowR, level: float, scale: float) -> Solution:
    """Return the most probable θ, for peaks of rms `level` and errors of F taken at the scale `scale` of I."""
    v, depends = problem.v, problem.depends
    X = near.W @ v
    y = near.W @ problem.B - near.unseen
    weight = np.divide(1.0, problem.prior**2, out=np.zeros(v.shape[1]), where=np.isfinite(problem.prior))
    if problem.slope is None:
        X, weight = np.column_stack([X, -near.r]), np.append(weight, 0.0)
    else:
        y = y + problem.slope * near.r
    systematic = near.systematic(level)
    noise = np.zeros((near.r.size, near.r.size))
    if problem.variance is not None:
        lifted = near.W * (scale * depends[:, 0])
        noise = (lifted * problem.variance) @ lifted.T
    S = np.linalg.inv(systematic + noise)
    inverse = np.linalg.inv(X.T @ S @ X + np.diag(weight))
    theta = inverse @ (X.T @ S @ y)
    rest = X @ theta - y
    # Normal equations XᵀS(Xθ − y) + θ/prior² = 0, and I is in X alone.
    p = v.shape[1]
    total = depends @ theta[:p]
    back = inverse @ (X.T @ S @ near.W * total)
    back += inverse[:, :p] @ (depends * (near.W.T @ (S @ rest))[:, None]).T
    misfit = float(rest @ S @ rest)
    carried = inverse @ X.T @ S
    open_ = max(1.0, misfit / near.r.size) * (carried @ systematic @ carried.T + inverse @ np.diag(weight) @ inverse)
    return Solution(
        theta[:p], -back[:p], open_[:p, :p], misfit + float(weight @ theta**2), near.r.size, float(near.r[-1])
    )


def basis(Q: Array) -> Array:
    """Return the polynomials of n(Q) on Q: (n, TERMS)."""
    return np.asarray(np.polynomial.chebyshev.chebvander(2 * Q / Q[-1] - 1, TERMS - 1))


def priors(slow: float, scale: float) -> Array:
    """Return the standard deviations of θ (TERMS,) about a constant `scale`."""
    k = np.arange(TERMS, dtype=np.float64)
    return np.append(math.inf, slow * scale / k[1:] ** _FALL)


def found(problem: Problem, atoms: Atoms, rcut: float | None, scale: float) -> Solution:
    """Return the solution below `rcut` (Å), or below the first peak, which is found on the way.

    A first peak too weak to be seen (B–B in LaB₆) shows as a misfit: then less of r is taken.
    """
    least = lowr.nearest_possible(atoms.fractions)
    start = problem.v[:, 0] * scale - problem.B
    got = _below(problem, atoms, least if rcut is None else rcut, scale, start)
    if rcut is None:
        F = problem.v @ got.theta - problem.B
        end = lowr.foot(problem.Q, F, atoms)
        got = _below(problem, atoms, end, scale, F)
        while got.misfit > got.size and end > least:
            end = max(least, end - 0.2)
            got = _below(problem, atoms, end, scale, F)
    if got.theta[0] <= 0:
        raise PdfkitError(
            "the intensities have no level above their background: lower bgscale, check rho0 and composition"
        )
    return got


def _below(problem: Problem, atoms: Atoms, end: float, scale: float, F: Array) -> Solution:
    """Return the solution below `end`, with F for the strength of the peaks beyond it."""
    near = lowr.low_r(problem.Q, atoms, end)
    return solve(problem, near, lowr.strength(problem.Q, F, end), scale)
