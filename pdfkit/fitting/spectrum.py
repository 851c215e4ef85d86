"""The spectrum of the noise, estimated from the residual of a fit by restricted maximum likelihood.

In the band of the data the residual is e = noise − J·δ with the noise ~ N(0, C), C = Σ_j s_j M_j of `basis`, times
powers s_j = exp θ_j. The parameters' columns J are projected out exactly, so that what they have taken from the
residual counts:

    ℓ(θ) = −½ ln|C| − ½ ln|JᵀC⁻¹J + K| − ½ eᵀP e,   P = C⁻¹ − C⁻¹J (JᵀC⁻¹J + K)⁻¹ JᵀC⁻¹,

K being what restraints and other data sets say of the parameters. A smooth spectrum is more likely than a rough one:
−½λ Σ wΔ²θ², with λ by its own marginal likelihood (Fellner–Schall) under a weak prior. w = 2/(1 + λ(Δ²θ)²) lets it bend
sharply at few places (a Cauchy prior, as edges of detectors ask for). Steps are Fisher's, with
Whittle's information, from the most likely spectrum of a tapered periodogram. The window smears the spectrum by its
kernel; C knows that. For long curves C is that of stretches of r, one by one (`basis`): a composite likelihood.

A spectrum from few numbers is uncertain. The covariance Φ of the parameters is therefore enlarged by twice the first
order of that, 2ΦΛΦ, Λ = Σ_ij W_ij (∂_iC C⁻¹J)ᵀ P (∂_jC C⁻¹J), W = cov θ, and each variance by 1 + var(Φ_kk)/Φ_kk²,
which makes the mean square of (p̂ − p)/σ that of a normal number and not that of Student's t.
Sources: Patterson & Thompson, Biometrika 58, 545 (1971); Kenward & Roger, Biometrics 53, 983 (1997); Wood & Fasiolo,
Biometrics 73, 1071 (2017); Whittle, J. R. Stat. Soc. B 15, 125 (1953).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit._checks import Array
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting.basis import EVERY, Basis, Stretch, basis_of
from pdfkit.fitting.whitening import Whitening, points

SOFT, STIFF = 0.03, 1e3
"""Limits of λ."""
USUAL = 3.0
"""λ of a first guess."""
WEAK = 0.5
"""Shape and rate of the gamma prior of λ."""
STEPS = 8
FURTHER = 1.6
"""Steps go that much further than Fisher's, which a prior whose weights follow θ makes short."""
SETTLED = 0.5
"""Square of a step of θ in units of its errors, summed, below which it is the last: each moves by a seventh of one."""
LONGEST = 3.0
SETTLED_BY = 1e8
"""What else is known of a combination of parameters, over what the data say of it, from which on they have no say."""
GUESSES = 12
UNSEEN = 0.2
"""What the mean power about a knot counts in a guess: where leaks from elsewhere drown the noise, nothing else does."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the residual of one data set has to say, in its band, and what else is known of the parameters.

    e (k,): residual; J (k, n): its derivatives, orthonormal columns. K (n, n), g (n,): other information on those
    combinations of parameters, ½δᵀKδ + gᵀδ.
    """

    e: Array
    J: Array
    K: Array
    g: Array

    @classmethod
    def of(cls, rows: Array, K: Array, g: Array) -> Evidence:
        """Make it of rows (n + 1, k), derivatives first, and of K and g for the same n parameters."""
        jac = rows[:-1].T
        size = np.linalg.norm(jac, axis=0)
        jac, known = jac[:, size > 0], size > 0
        u, s, vt = np.linalg.svd(jac / size[known], full_matrices=False)
        kept = s > 1e-9 * s.max(initial=0.0)
        turn = (vt[kept].T / s[kept]) / size[known][:, None]
        prior = turn.T @ K[np.ix_(known, known)] @ turn
        open_ = np.diag(prior) < SETTLED_BY
        turn = turn[:, open_]
        return cls(rows[-1], u[:, kept][:, open_], prior[np.ix_(open_, open_)], turn.T @ g[known])


@dataclass(frozen=True, eq=False)
class _State:
    """ℓ at θ, powers s, and for each stretch a = P e (k,) and the upper triangle of P (k, k) there."""

    theta: Array
    power: Array
    likelihood: float
    parts: tuple[tuple[Stretch, Array, Array], ...]

    def taken(self) -> Array:
        """Return ½ s_j tr(P M_j) (p,)."""
        return np.asarray(0.5 * self.power * np.sum([one.traces(P) for one, _, P in self.parts], axis=0))

    def squares(self) -> Array:
        """Return ½ s_j aᵀM_j a (p,)."""
        return np.asarray(0.5 * self.power * np.sum([one.squares(a) for one, a, _ in self.parts], axis=0))


@dataclass(frozen=True, eq=False)
class _Likelihood:
    """ℓ as a function of θ; rows: J and e of each stretch, (k, n + 1)."""

    basis: Basis
    about: Evidence
    rows: tuple[Array, ...]

    @classmethod
    def of(cls, basis: Basis, about: Evidence) -> _Likelihood:
        both = np.column_stack([about.J, about.e])
        return cls(basis, about, tuple(one.part @ both for one in basis.stretches))

    def at(self, theta: Array) -> _State:
        power, about, n = np.exp(theta), self.about, self.about.J.shape[1]
        solved = [_solved(one, power, rows) for one, rows in zip(self.basis.stretches, self.rows, strict=True)]
        normal = np.sum([rows.T @ weighed for rows, (_, weighed, _) in zip(self.rows, solved, strict=True)], axis=0)
        pull = normal[:n, n] + about.g
        root = np.linalg.cholesky(normal[:n, :n] + about.K)
        half = np.linalg.solve(root, pull)
        moved = np.linalg.solve(root.T, half)
        parts = []
        for one, (inverse, weighed, _) in zip(self.basis.stretches, solved, strict=True):
            slopes = np.linalg.solve(root, weighed[:, :n].T)
            parts.append((one, weighed[:, n] - weighed[:, :n] @ moved, inverse - slopes.T @ slopes))
        log_det = sum(each for _, _, each in solved) + float(np.log(np.diag(root)).sum())
        square = float(normal[n, n] - half @ half)
        return _State(theta, power, -log_det - 0.5 * square, tuple(parts))


def _solved(one: Stretch, power: Array, rows: Array) -> tuple[Array, Array, float]:
    """Return the upper triangle of C⁻¹ (k, k) of a stretch, C⁻¹·rows and ½ ln|C|."""
    from scipy.linalg.blas import dsymm
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, _ = dpotrf(one.covariance(power).T, lower=1, overwrite_a=1)
    log_det = float(np.log(np.diag(factor)).sum())
    lower, _ = dpotri(factor, lower=1, overwrite_c=1)
    return lower.T, dsymm(1.0, lower, rows, lower=1), log_det


@dataclass(frozen=True, eq=False)
class Estimate:
    """A spectrum, and the products that it makes with all of a residual.

    upper (k, k): R, C = RᵀR. slopes (k, n): C⁻¹J. root (n, n): lower triangular, of JᵀC⁻¹J + K. rest (k,): the residual
    less what parameters can still take. a (k,): P e = C⁻¹ rest. taken (m,): the share of each point that they fit.
    """

    noise: NoiseSpectrum
    upper: Array
    slopes: Array
    root: Array
    rest: Array
    a: Array
    taken: Array

    @classmethod
    def of(cls, basis: Basis, noise: NoiseSpectrum, about: Evidence) -> Estimate:
        """Make it of a residual whose noise has that spectrum."""
        from scipy.linalg import cho_solve

        upper = _factor(basis, noise.power.tobytes())
        n = about.J.shape[1]
        weighed = cho_solve((upper, False), np.column_stack([about.J, about.e]), check_finite=False)
        information = about.J.T @ weighed[:, :n] + about.K
        moved = np.linalg.solve(information, np.column_stack([weighed[:, :n].T, about.J.T @ weighed[:, n] + about.g]))
        rest = about.e - about.J @ moved[:, -1]
        modes = basis.band.modes
        taken = ((modes @ about.J) * (modes @ moved[:, :-1].T)).sum(axis=1)
        a = weighed[:, n] - weighed[:, :n] @ moved[:, -1]
        return cls(noise, upper, weighed[:, :n], np.linalg.cholesky(information), rest, a, taken)

    def known(self, columns: Array) -> Array:
        """Return wᵀC⁻¹w of every column w."""
        from scipy.linalg import solve_triangular

        return np.asarray((solve_triangular(self.upper, columns, trans="T", check_finite=False) ** 2).sum(axis=0))

    def shared(self, columns: Array) -> Array:
        """Return wᵀ(C⁻¹ − P)w of every column w: the part of that which the parameters have."""
        return np.asarray((np.linalg.solve(self.root, self.slopes.T @ columns) ** 2).sum(axis=0))


def _information(basis: Basis, power: Array, taken: Array) -> Array:
    """Return Whittle's information on θ, less what parameters took: taken (p,) is ½ s_j tr(P M_j)."""
    share = power[:, None] * basis.hats / (power @ basis.hats)
    whole = 0.5 * basis.density * (share @ share.T)
    scale = np.sqrt(np.maximum(taken, 1e-3) / whole.sum(axis=1))
    return np.asarray(whole * np.outer(scale, scale) + 1e-9 * np.eye(power.size))


def _penalty(basis: Basis, theta: Array, stiffness: float) -> Array:
    """Return the curvature (p, p) of the prior of θ, as of a normal one that agrees with it there."""
    weight = 2.0 * stiffness / (1.0 + stiffness * (basis.bend @ theta) ** 2)
    return np.asarray(basis.bend.T @ (weight[:, None] * basis.bend))


def _stiffness(basis: Basis, information: Array, pull: Array, theta: Array, stiffness: float) -> float:
    """Return λ for which the roughness of the next θ is what its prior and its error make (Fellner and Schall)."""
    for _ in range(3):
        penalty = _penalty(basis, theta, stiffness)
        spread = np.linalg.inv(information + penalty)
        after = theta + spread @ (pull - penalty @ theta)
        bends = theta.size - 2 - float((spread * penalty).sum())
        roughness = float(after @ penalty @ after) / stiffness
        stiffness = float(np.clip((max(bends, 1e-3) + WEAK) / (roughness + WEAK), SOFT, STIFF))
    return stiffness


def estimate(basis: Basis, about: Evidence, before: NoiseSpectrum | None, shaped: bool) -> Estimate:
    """Return the most likely spectrum of the noise that a residual shows; `before` : where to start."""
    theta = _guess(basis, about) if before is None else np.log(before.power)
    stiffness = USUAL if before is None else before.stiffness
    likelihood = _Likelihood.of(basis, about)
    now, further, last = likelihood.at(theta), FURTHER, 0.0 * theta
    for _ in range(STEPS):
        taken = now.taken()
        pull = now.squares() - taken
        information = _information(basis, now.power, taken)
        stiffness = _stiffness(basis, information, pull, now.theta, stiffness)
        penalty = _penalty(basis, now.theta, stiffness)
        step = np.linalg.solve(information + penalty, pull - penalty @ now.theta)
        further = _further(further, last, np.asarray(step))
        last = np.asarray(step * min(further, LONGEST / float(np.abs(step).max())))
        theta = np.asarray(now.theta + last)
        if float(step @ (information + penalty) @ step) < SETTLED:  # so short a step need not be looked at
            break
        now = _better(likelihood, now, last, penalty)
        theta = now.theta
    return Estimate.of(basis, NoiseSpectrum(basis.knots, np.exp(theta), stiffness, shaped), about)


def _further(further: float, last: Array, step: Array) -> float:
    """Return how far to go along a step, by what the last one, `further` than Fisher's, has left or gone too far."""
    size = float(last @ last)
    left = float(step @ last) * further / size if size else 0.0
    return float(np.clip(further / (1.0 - left), 1.0, 2.0)) if left < 1.0 else 2.0


def _guess(basis: Basis, about: Evidence) -> Array:
    """Return θ from the tapered periodogram, whose numbers are taken for independent (Whittle).

    What leaks from one Q to another under the taper is in their expected values, and so is what parameters took.
    """
    lost = np.linalg.qr(np.column_stack([about.J, basis.slow]))[0]
    seen = np.column_stack([about.e - basis.slow @ (basis.slow.T @ about.e), lost])
    square = ((basis.taper @ seen) ** 2).sum(axis=0)
    left = np.maximum(1.0 - square[:, 1:].sum(axis=1) / basis.tapered, 0.05)
    expected = left[:, None] * basis.expected
    worth = 0.5 * EVERY * basis.density * left
    share = expected / expected.sum(axis=0)
    mean = np.log(np.maximum((square[:, 0] / expected.sum(axis=1)) @ share, 1e-300))
    theta = mean
    for _ in range(GUESSES):
        parts = expected * np.exp(theta)
        power = parts.sum(axis=1)
        parts /= power[:, None]
        information = (parts * worth[:, None]).T @ parts + UNSEEN * np.eye(theta.size)
        pull = parts.T @ (worth * (square[:, 0] / power - 1.0)) + UNSEEN * (mean - theta)
        penalty = _penalty(basis, theta, USUAL)
        step = np.linalg.solve(information + penalty, pull - penalty @ theta)
        theta = theta + np.clip(step, -LONGEST, LONGEST)
        if np.abs(step).max() < 0.1:
            break
    return np.asarray(theta)


def _better(likelihood: _Likelihood, now: _State, step: Array, penalty: Array) -> _State:
    """Return the state a step further, or as much of the step as makes the spectrum more likely."""

    def worth(one: _State) -> float:
        return one.likelihood - 0.5 * float(one.theta @ penalty @ one.theta)

    least = worth(now)
    for _ in range(5):
        then = likelihood.at(now.theta + step)
        if worth(then) >= least - 1e-9:
            return then
        step = step / 2.0
    return now


def inflation(basis: Basis, noise: NoiseSpectrum, jac: Array, covariance: Array) -> tuple[Array, Array]:
    """Return Λ (n, n), and the variance (n,) of the diagonal of Φ, from the uncertainty of the spectrum.

    jac (k, n): derivatives in the band; covariance (n, n): Φ.
    """
    from scipy.linalg import solve_triangular
    from scipy.linalg.blas import dtrsm

    factor = _factor(basis, noise.at(basis.knots).tobytes())
    slopes = solve_triangular(factor, jac, trans="T", check_finite=False)
    inner = basis.band.waves.T @ solve_triangular(factor, slopes, check_finite=False)
    (k, n), p = jac.shape, basis.knots.size
    each = np.empty((p, n, k))  # (∂_jC C⁻¹J)ᵀ, then whitened
    for j, power in enumerate(noise.power):
        some = basis.support(j)
        np.matmul((power * basis.hats[j, some, None] * inner[some]).T, basis.band.waves[:, some].T, out=each[j])
    white = dtrsm(1.0, factor.T, each.reshape(p * n, k).T, lower=1, overwrite_b=1).T.reshape(p, -1)
    # W = RRᵀ: the sum over i and j is one over the columns of R.
    moved = (_posterior_root(basis, noise, inner, covariance).T @ white).reshape(p, n, k)
    along = (moved.reshape(p * n, k) @ slopes).reshape(p, n, n)
    known = covariance @ along
    extra = np.tensordot(moved, moved, ([0, 2], [0, 2])) - np.sum(along @ covariance @ along.transpose(0, 2, 1), axis=0)
    slope = (known * covariance.T).sum(axis=2)
    return np.asarray(extra), np.asarray((slope**2).sum(axis=0))


@lru_cache(maxsize=4)
def _factor(basis: Basis, power: bytes) -> Array:
    """Return R (k, k), upper, C = RᵀR, for powers at the knots."""
    from scipy.linalg import cholesky

    return np.asarray(cholesky(basis.whole.covariance(np.frombuffer(power)), lower=False, check_finite=False))


def _posterior_root(basis: Basis, noise: NoiseSpectrum, inner: Array, covariance: Array) -> Array:
    """Return R (p, p) with RRᵀ = cov θ; inner (nQ, n): what parameters are in Q, weighed with C⁻¹."""
    share = noise.power[:, None] * basis.hats / (noise.power @ basis.hats)
    theirs = 0.5 * noise.power * (basis.hats @ ((inner @ covariance) * inner).sum(axis=1))
    information = _information(basis, noise.power, 0.5 * basis.density * share.sum(axis=1) - theirs)
    penalty = _penalty(basis, np.log(noise.power), noise.stiffness)
    values, vectors = np.linalg.eigh(np.linalg.inv(information + penalty))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def relative_size(data: PDF, noise: NoiseSpectrum) -> Array:
    """Return dG over its root mean square (n,) where the noise follows it along r, else 1."""
    if not noise.shaped or data.dG is None:
        return np.ones(len(data))
    return np.asarray(data.dG / math.sqrt(float((data.dG**2).mean())))


def spectral(data: PDF, instrument: Instrument, noise: NoiseSpectrum) -> Whitening:
    """Return what whitens residuals whose noise has that spectrum: R⁻ᵀVᵀ, C = RᵀR in the band V."""
    index = points(data.r, instrument.qmax or math.inf)
    with one_thread():
        basis = basis_of(data.r[index], instrument)
        upper = _factor(basis, noise.at(basis.knots).tobytes())
    matrix = np.ascontiguousarray(basis.band.modes.T / relative_size(data, noise)[index])
    return Whitening(index, matrix, "dG" if noise.shaped else "spectrum", upper)
