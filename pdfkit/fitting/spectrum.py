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

from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting.basis import EVERY, Basis, Stretch, basis_of
from pdfkit.fitting.steps import solved
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

    def within(self, some: IntArray) -> Evidence:
        """Return what some of the numbers have to say, with the same knowledge of parameters."""
        return Evidence.of(np.column_stack([self.J, self.e])[some].T, self.K, self.g)


@dataclass(frozen=True, eq=False)
class _State:
    """ℓ at θ, powers s, and for each stretch a = P e (k,) and the upper triangle of P (k, k) there."""

    theta: Array
    power: Array
    likelihood: float
    parts: tuple[tuple[Stretch, Array, Array], ...]

    def moments(self) -> Array:
        """Return ½ s_j tr(P M_j) and ½ s_j aᵀM_j a (2, p)."""
        each = [one.traces(P, np.outer(a, a)) for one, a, P in reversed(self.parts)]
        return np.asarray(0.5 * self.power * np.sum(each, axis=0))


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
        whitening = [one.whitening(power) for one in self.basis.stretches]
        white = [Z @ rows for (Z, _), rows in zip(whitening, self.rows, strict=True)]
        normal = np.sum([rows.T @ rows for rows in white], axis=0)
        pull = normal[:n, n] + about.g
        own = _inverse_root(normal[:n, :n] + about.K)
        half = own @ pull
        moved = half @ own
        parts = []
        for one, (Z, _), rows in zip(self.basis.stretches, whitening, white, strict=True):
            slopes = own @ rows[:, :n].T @ Z
            parts.append((one, (rows[:, n] - rows[:, :n] @ moved) @ Z, Z.T @ Z - slopes.T @ slopes))
        log_det = sum(each for _, each in whitening) - float(np.log(np.diag(own)).sum())
        square = float(normal[n, n] - half @ half)
        return _State(theta, power, -log_det - 0.5 * square, tuple(parts))


@dataclass(frozen=True, eq=False)
class Estimate:
    """A spectrum, and the products that it makes with all of a residual.

    white (k, k): Z, Z·C·Zᵀ = 1. own (n, k): L⁻¹JᵀC⁻¹, LLᵀ = JᵀC⁻¹J + K. rest (k,): the residual less what parameters
    can still take. a (k,): P e = C⁻¹ rest. taken (m,): the share of each point that they fit.
    """

    noise: NoiseSpectrum
    white: Array
    own: Array
    rest: Array
    a: Array
    taken: Array

    @classmethod
    def of(cls, basis: Basis, noise: NoiseSpectrum, about: Evidence) -> Estimate:
        """Make it of a residual whose noise has that spectrum."""
        Z = _white(basis, noise.power.tobytes())
        n = about.J.shape[1]
        rows = Z @ np.column_stack([about.J, about.e])
        normal = rows.T @ rows
        inner = _inverse_root(normal[:n, :n] + about.K)
        own, moved = inner @ rows[:, :n].T @ Z, inner @ (normal[:n, n] + about.g) @ inner
        modes = basis.band.modes
        taken = ((modes @ (about.J @ inner.T)) * (modes @ own.T)).sum(axis=1)
        a = (rows[:, n] - rows[:, :n] @ moved) @ Z
        return cls(noise, Z, own, about.e - about.J @ moved, a, taken)

    def known(self, columns: Array) -> Array:
        """Return wᵀC⁻¹w of every column w."""
        return np.asarray(((self.white @ columns) ** 2).sum(axis=0))

    def shared(self, columns: Array) -> Array:
        """Return wᵀ(C⁻¹ − P)w of every column w: the part of that which the parameters have."""
        return np.asarray(((self.own @ columns) ** 2).sum(axis=0))


def _inverse_root(matrix: Array) -> Array:
    """Return Z (n, n), lower triangular, ZᵀZ = matrix⁻¹, of a small matrix, which may be one of nothing."""
    from scipy.linalg.lapack import dpotrf, dtrtri

    if not matrix.size:  # nothing is free: LAPACK prints that it was asked for nothing
        return np.zeros((0, 0))
    root, wrong = dpotrf(matrix, lower=1)
    if wrong:
        raise np.linalg.LinAlgError("a matrix is not positive definite")
    return np.asarray(dtrtri(root, lower=1, overwrite_c=1)[0])


def _information(basis: Basis, power: Array, taken: Array) -> Array:
    """Return Whittle's information on θ, less what parameters took: taken (p,) is ½ s_j tr(P M_j).

    Of the power at a node of Q the knots on either side have shares; those of others are 0.
    """
    (below, part), p = basis.between, power.size
    first, second = power[below] * (1.0 - part), power[below + 1] * part
    whole = first + second
    first, second = first / whole, second / whole
    sums = np.bincount(below, first, p) + np.bincount(below + 1, second, p)
    scale = np.sqrt(np.maximum(taken, 1e-3) / sums)  # as if the sums of rows were what was taken
    out = np.zeros(p * p)
    out[:: p + 1] = (np.bincount(below, first**2, p) + np.bincount(below + 1, second**2, p)) * scale**2 + 1e-9
    out[1 :: p + 1] = out[p :: p + 1] = np.bincount(below, first * second, p)[:-1] * scale[:-1] * scale[1:]
    return out.reshape(p, p)


def _penalty(basis: Basis, theta: Array, stiffness: float) -> Array:
    """Return the curvature (p, p) of the prior of θ, as of a normal one that agrees with it there."""
    weight = 2.0 * stiffness / (1.0 + stiffness * (basis.bend @ theta) ** 2)
    return np.asarray(basis.bend.T @ (weight[:, None] * basis.bend))


def _stiffness(basis: Basis, information: Array, pull: Array, theta: Array, stiffness: float) -> float:
    """Return λ for which the roughness of the next θ is what its prior and its error make (Fellner and Schall)."""
    for _ in range(3):
        penalty = _penalty(basis, theta, stiffness)
        root = _inverse_root(information + penalty)
        after = theta + (root @ (pull - penalty @ theta)) @ root
        bends = theta.size - 2 - float(((root @ penalty) * root).sum())
        roughness = float(after @ penalty @ after) / stiffness
        stiffness = min(max((max(bends, 1e-3) + WEAK) / (roughness + WEAK), SOFT), STIFF)
    return stiffness


def estimate(basis: Basis, about: Evidence, before: NoiseSpectrum | None, shaped: bool) -> Estimate:
    """Return the most likely spectrum of the noise that a residual shows; `before` : where to start."""
    theta = _guess(basis, about) if before is None else np.log(before.power)
    stiffness = USUAL if before is None else before.stiffness
    likelihood = _Likelihood.of(basis, about)
    now, further, last = likelihood.at(theta), FURTHER, 0.0 * theta
    for _ in range(STEPS):
        taken, squares = now.moments()
        pull = squares - taken
        information = _information(basis, now.power, taken)
        stiffness = _stiffness(basis, information, pull, now.theta, stiffness)
        penalty = _penalty(basis, now.theta, stiffness)
        step = solved(information + penalty, pull - penalty @ now.theta)
        further = _further(further, last, step)
        last = step * min(further, LONGEST / float(np.abs(step).max()))
        theta = now.theta + last
        if float(step @ (information + penalty) @ step) < SETTLED:  # so short a step need not be looked at
            break
        now = _better(likelihood, now, last, penalty)
        theta = now.theta
    return Estimate.of(basis, NoiseSpectrum(basis.knots, np.exp(theta), stiffness, shaped), about)


def _further(further: float, last: Array, step: Array) -> float:
    """Return how far to go along a step, by what the last one, `further` than Fisher's, has left or gone too far."""
    size = float(last @ last)
    left = float(step @ last) * further / size if size else 0.0
    return min(max(further / (1.0 - left), 1.0), 2.0) if left < 1.0 else 2.0


def _guess(basis: Basis, about: Evidence) -> Array:
    """Return θ from the tapered periodogram, whose numbers are taken for independent (Whittle).

    What leaks from one Q to another under the taper is in their expected values, and so is what parameters took.
    """
    beside = np.linalg.qr(basis.slow - about.J @ (about.J.T @ basis.slow))[0]
    seen = np.column_stack([about.e - basis.slow @ (basis.slow.T @ about.e), about.J, beside])
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
        step = solved(information + penalty, pull - penalty @ theta)
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
    from scipy.linalg.blas import dtrmm

    Z = _white(basis, noise.at(basis.knots).tobytes())
    slopes = Z @ jac
    inner = basis.band.waves.T @ (Z.T @ slopes)
    (k, n), p = jac.shape, basis.knots.size
    each = np.empty((n, p, k))  # (∂_jC C⁻¹J)ᵀ
    for j, (power, (some, hat, waves)) in enumerate(zip(noise.power, basis.pieces, strict=True)):
        np.matmul((power * hat * inner[some]).T, waves, out=each[:, j])
    # W = RRᵀ: the sum over i and j is one over the columns of R.
    white = dtrmm(1.0, Z.T, each.reshape(n * p, k).T, trans_a=1, overwrite_b=1).T  # half of what Z as any matrix takes
    moved = _posterior_root(basis, noise, inner, covariance).T @ white.reshape(n, p, k)
    along = (moved.reshape(n * p, k) @ slopes).reshape(n, p, n).transpose(1, 0, 2)
    known = covariance @ along
    rows = moved.reshape(n, p * k)
    extra = rows @ rows.T - np.sum(along.transpose(0, 2, 1) @ known, axis=0)  # along is symmetric
    slope = (known * covariance.T).sum(axis=2)
    return np.asarray(extra), np.asarray((slope**2).sum(axis=0))


@lru_cache(maxsize=4)
def _white(basis: Basis, power: bytes) -> Array:
    """Return Z (k, k), Z·C·Zᵀ = 1, for powers at the knots."""
    return basis.whole.whitening(np.frombuffer(power))[0]


def _posterior_root(basis: Basis, noise: NoiseSpectrum, inner: Array, covariance: Array) -> Array:
    """Return R (p, p) with RRᵀ = cov θ; inner (nQ, n): what parameters are in Q, weighed with C⁻¹."""
    share = noise.power * (basis.hats @ (1.0 / (noise.power @ basis.hats)))
    theirs = 0.5 * noise.power * (basis.hats @ ((inner @ covariance) * inner).sum(axis=1))
    information = _information(basis, noise.power, 0.5 * basis.density * share - theirs)
    penalty = _penalty(basis, np.log(noise.power), noise.stiffness)
    return _inverse_root(information + penalty).T


def relative_size(data: PDF, shaped: bool) -> Array:
    """Return dG over its root mean square (n,) where the noise follows it along r, else 1."""
    if not shaped or data.dG is None:
        return np.ones(len(data))
    return np.asarray(data.dG / math.sqrt(float((data.dG**2).mean())))


def spectral(data: PDF, instrument: Instrument, noise: NoiseSpectrum) -> Whitening:
    """Return what whitens residuals whose noise has that spectrum: Z·Vᵀ, Z·C·Zᵀ = 1 in the band V."""
    index = points(data.r, instrument.qmax or math.inf)
    with one_thread():
        basis = basis_of(data.r[index], instrument)
        white = _white(basis, noise.at(basis.knots).tobytes())
    matrix = np.ascontiguousarray(basis.band.modes.T / relative_size(data, noise.shaped)[index])
    return Whitening(index, matrix, "dG" if noise.shaped else "spectrum", white)
