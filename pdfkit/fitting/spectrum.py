"""The spectrum of the noise, estimated from the residual of a fit by restricted maximum likelihood.

In the band of the data (`whitening.Band`) the residual is e = noise − J·δ with the noise ~ N(0, C), C = Σ_j s_j M_j:
hat functions of Q, M_j = U·diag(N_j)·Uᵀ, times powers s_j = exp θ_j. The parameters' columns J are projected out
exactly, so that what they have taken from the residual counts, and so is an error that is slow in Q and ends at the cut
(polynomials of F, as a normalisation leaves them; they ring at the frequency Qmax along all of r):

    ℓ(θ) = −½ ln|C| − ½ ln|JᵀC⁻¹J + K| − ½ eᵀP e,   P = C⁻¹ − C⁻¹J (JᵀC⁻¹J + K)⁻¹ JᵀC⁻¹,

K being what restraints and other data sets say of the parameters. A smooth spectrum is more likely than a rough one:
−½λ Σ wΔ²θ², with λ by its own marginal likelihood (Fellner–Schall) under a weak prior. w = 2/(1 + λ(Δ²θ)²) lets it bend
sharply at few places (a Cauchy prior, as edges of detectors ask for). Steps are Fisher's, with
Whittle's information. The window smears the spectrum by its kernel; C knows that.

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
from numpy.polynomial import legendre

from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting.whitening import Band, Whitening, band_of, points

MOST_KNOTS = 24
NUMBERS_PER_KNOT = 4
SLOW = 2
"""Odd polynomials of F that errors may have on top of noise."""
FREELY = 1e3
"""Their power over that of noise."""
SOFT, STIFF = 0.03, 1e3
"""Limits of λ."""
WEAK = 0.5
"""Shape and rate of the gamma prior of λ."""
STEPS = 6
SETTLED = 0.2
"""A step of θ below which it is settled: a fifth of an e-fold is less than its own error."""
LONGEST = 2.0
RANGE = 1e-8
"""Smallest variance as a share of the mean one."""


@dataclass(frozen=True, eq=False)
class Basis:
    """What turns powers at the knots into a covariance in the band, kept for data on the same r.

    knots (p,): Q. hats (p, nQ). packed (p, k(k+1)/2): upper triangles of M_j. taper (2q, k): tapered sine and cosine
    transforms, and expected (q,): their squares for white noise. bend (p − 2, p): Δ². density: modes per node of Q.
    slow (k, SLOW): what errors that are slow in Q leave in the band, orthonormal; errors: slow·slowᵀ, packed.
    """

    band: Band
    knots: Array
    hats: Array
    packed: Array
    place: IntArray
    twice: Array
    taper: Array
    expected: Array
    bend: Array
    density: float
    slow: Array
    errors: Array

    def covariance(self, power: Array, *, slow: bool = True) -> Array:
        """Return the upper triangle of C (k, k) for powers (p,) at the knots; slow: with errors that are slow in Q."""
        k = self.band.modes.shape[1]
        out = np.zeros(k * k)
        out[self.place] = power @ self.packed
        out[:: k + 1] += RANGE * out[:: k + 1].mean()
        if slow:
            out[self.place] += FREELY * power.mean() * self.errors
        return out.reshape(k, k)

    def traces(self, matrix: Array) -> Array:
        """Return tr(matrix·M_j) for a symmetric matrix (k, k)."""
        return np.asarray(self.packed @ (matrix.ravel()[self.place] * self.twice))

    def squares(self, a: Array) -> Array:
        """Return aᵀM_j a for a (k,)."""
        return np.asarray(self.hats @ (a @ self.band.waves) ** 2)

    def first_guess(self, e: Array) -> Array:
        """Return ln power from the tapered periodogram of e (k,), averaged under each hat."""
        both = self.taper @ e
        half = both.size // 2
        ratio = (both[:half] ** 2 + both[half:] ** 2) / self.expected
        hats = self.hats[:, ::2]
        return np.asarray(np.log(np.maximum(hats @ ratio / hats.sum(axis=1), 1e-300)))


def basis_of(r: Array, instrument: Instrument) -> Basis:
    """Return the basis for data on r (m,), the points that a fit uses."""
    return _basis(r.tobytes(), instrument)


@lru_cache(maxsize=8)
def _basis(buffer: bytes, instrument: Instrument) -> Basis:
    r = np.frombuffer(buffer)
    band = band_of(r, instrument)
    k = band.modes.shape[1]
    p = int(np.clip(k // NUMBERS_PER_KNOT, 4, MOST_KNOTS))
    low, high = instrument.qmin, instrument.qmax or math.inf
    even = np.linspace(0.0, 1.0, p)
    knots = low + (high - low) * 0.5 * (even + even**2)
    hats = np.array([np.interp(band.Q, knots, one) for one in np.eye(p)])
    rows, columns = np.triu_indices(k)
    place = rows * k + columns
    packed = np.array([((band.waves * hat) @ band.waves.T).ravel()[place] for hat in hats])
    taper, expected = _taper(r, band)
    bend = np.diff(np.eye(p), 2, axis=0)
    density = (r[-1] - r[0]) / math.pi * (band.Q[1] - band.Q[0])
    twice = np.where(rows == columns, 1.0, 2.0)
    slow = _slow(r, band, instrument)
    errors = (slow @ slow.T).ravel()[place]
    return Basis(band, knots, hats, packed, place, twice, taper, expected, bend, float(density), slow, errors)


def _slow(r: Array, band: Band, instrument: Instrument) -> Array:
    """Return what odd polynomials of F, times the window, leave in the band."""
    from pdfkit import transforms

    qmax = instrument.qmax or math.inf
    M = transforms.window(instrument.window, band.Q, qmax, instrument.window_width)
    F = np.array([M * legendre.Legendre.basis(2 * n + 1)(band.Q / qmax) for n in range(SLOW)])
    return np.asarray(np.linalg.qr(band.modes.T @ (np.sin(np.outer(r, band.Q)) @ F.T))[0])


def _taper(r: Array, band: Band) -> tuple[Array, Array]:
    """Return Hann-tapered transforms at every other node of Q, which leak little of high Q into low Q."""
    step = (r[-1] - r[0]) / (r.size - 1)
    hann = np.sin(np.pi * (r - r[0] + 0.5 * step) / (r[-1] - r[0] + step)) ** 2
    transform = (np.exp(1j * np.outer(band.Q[::2], r)) * hann) @ band.modes
    expected = (np.abs(transform @ band.waves) ** 2).sum(axis=1)
    return np.vstack([transform.real, transform.imag]), np.maximum(expected, 1e-300)


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
        return cls(rows[-1], u[:, kept], turn.T @ K[np.ix_(known, known)] @ turn, turn.T @ g[known])


@dataclass(frozen=True, eq=False)
class _State:
    """ℓ and its parts at θ: power s, C⁻¹ and P (k, k), a = P e, likelihood, hat = (JᵀC⁻¹J + K)⁻¹JᵀC⁻¹ (n, k)."""

    theta: Array
    power: Array
    inverse: Array
    P: Array
    a: Array
    likelihood: float
    hat: Array


@dataclass(frozen=True, eq=False)
class Estimate:
    """A spectrum; C⁻¹, P (k, k) and a = P e (k,) with it; taken (m,): the share of each point that parameters fit."""

    noise: NoiseSpectrum
    inverse: Array
    P: Array
    a: Array
    taken: Array


def _state(basis: Basis, theta: Array, about: Evidence) -> _State:
    from scipy.linalg.lapack import dpotrf, dpotri

    power = np.exp(theta)
    factor, _ = dpotrf(basis.covariance(power).T, lower=1, overwrite_a=1)
    log_det = float(np.log(np.diag(factor)).sum())
    lower, _ = dpotri(factor, lower=1)
    inverse = np.tril(lower)
    inverse = inverse + np.tril(inverse, -1).T
    slopes = inverse @ about.J
    information = about.J.T @ slopes + about.K
    weighed = inverse @ about.e
    moved = np.linalg.solve(information, np.column_stack([slopes.T, about.J.T @ weighed + about.g]))
    a = weighed - slopes @ moved[:, -1]
    square = about.e @ weighed - (about.J.T @ weighed + about.g) @ moved[:, -1]
    likelihood = -log_det - 0.5 * np.linalg.slogdet(information)[1] - 0.5 * float(square)
    return _State(theta, power, inverse, inverse - slopes @ moved[:, :-1], a, likelihood, moved[:, :-1])


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
    theta = basis.first_guess(about.e) if before is None else np.log(before.power)
    stiffness = 3.0 if before is None else before.stiffness
    now = _state(basis, theta, about)
    for _ in range(STEPS):
        taken = 0.5 * now.power * basis.traces(now.P)
        pull = 0.5 * now.power * basis.squares(now.a) - taken
        information = _information(basis, now.power, taken)
        stiffness = _stiffness(basis, information, pull, now.theta, stiffness)
        penalty = _penalty(basis, now.theta, stiffness)
        step = np.linalg.solve(information + penalty, pull - penalty @ now.theta)
        size = float(np.abs(step).max())
        now = _better(basis, about, now, np.asarray(step * min(1.0, LONGEST / size)), penalty)
        if size < SETTLED:
            break
    modes = basis.band.modes
    taken = ((modes @ about.J) * (modes @ now.hat.T)).sum(axis=1)
    return Estimate(NoiseSpectrum(basis.knots, now.power, stiffness, shaped), now.inverse, now.P, now.a, taken)


def _better(basis: Basis, about: Evidence, now: _State, step: Array, penalty: Array) -> _State:
    """Return the state a step further, or as much of the step as makes the spectrum more likely."""

    def worth(one: _State) -> float:
        return one.likelihood - 0.5 * float(one.theta @ penalty @ one.theta)

    least = worth(now)
    for _ in range(5):
        then = _state(basis, now.theta + step, about)
        if worth(then) >= least - 1e-9:
            return then
        step = step / 2.0
    return now


def inflation(basis: Basis, noise: NoiseSpectrum, jac: Array, covariance: Array) -> tuple[Array, Array]:
    """Return Λ (n, n), and the variance (n,) of the diagonal of Φ, from the uncertainty of the spectrum.

    jac (k, n): derivatives in the band; covariance (n, n): Φ.
    """
    from scipy.linalg import solve_triangular

    factor = _factor(basis, noise)

    def white(columns: Array) -> Array:
        return np.asarray(solve_triangular(factor, columns, trans="T", check_finite=False))

    slopes = white(jac)
    weighed = solve_triangular(factor, slopes, check_finite=False)
    inner = basis.band.waves.T @ weighed
    k, n = slopes.shape
    columns = []
    for hat, power in zip(basis.hats, noise.power, strict=True):
        some = slice(int(np.argmax(hat > 0)), hat.size - int(np.argmax(hat[::-1] > 0)))
        columns.append(basis.band.waves[:, some] @ (power * hat[some, None] * inner[some]))
    each = white(np.concatenate(columns, axis=1)).reshape(k, -1, n)
    # W = RRᵀ: the sum over i and j is one over the columns of R.
    moved = np.tensordot(each, _posterior_root(basis, noise, inner, covariance), (1, 0)).reshape(k, -1)
    along = slopes.T @ moved
    both = moved.T @ moved - along.T @ covariance @ along  # of (n, p) columns: only equal p count
    p = moved.shape[1] // n
    extra = np.einsum("ajbj->ab", both.reshape(n, p, n, p))
    slope = np.einsum("ia,abp,bi->ip", covariance, along.reshape(n, n, p), covariance, optimize=True)
    return np.asarray(extra), np.asarray((slope**2).sum(axis=1))


@lru_cache(maxsize=4)
def _factor(basis: Basis, noise: NoiseSpectrum) -> Array:
    """Return R (k, k), upper, C = RᵀR."""
    from scipy.linalg import cholesky

    return np.asarray(cholesky(basis.covariance(noise.at(basis.knots)), lower=False, check_finite=False))


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
    """Return what whitens residuals whose noise has that spectrum: L⁻¹Vᵀ, C = LLᵀ in the band V."""
    from scipy.linalg import solve_triangular

    index = points(data.r, instrument.qmax or math.inf)
    with one_thread():
        basis = basis_of(data.r[index], instrument)
        matrix = solve_triangular(_factor(basis, noise), basis.band.modes.T, trans="T", check_finite=False)
    size = relative_size(data, noise)[index]
    return Whitening(index, np.ascontiguousarray(matrix / size), "dG" if noise.shaped else "spectrum")
