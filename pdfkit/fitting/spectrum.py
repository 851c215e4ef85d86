"""The spectrum of the noise, estimated from the residual of a fit by restricted maximum likelihood.

In the band of the data (`whitening.Band`) the residual is e = noise − J·δ with the noise ~ N(0, C), C = Σ_j s_j M_j:
hat functions of Q, M_j = U·diag(N_j)·Uᵀ, times powers s_j = exp θ_j. The parameters' columns J are projected out
exactly, so that what they have taken from the residual counts:

    ℓ(θ) = −½ ln|C| − ½ ln|JᵀC⁻¹J + K| − ½ eᵀP e,   P = C⁻¹ − C⁻¹J (JᵀC⁻¹J + K)⁻¹ JᵀC⁻¹,

K being what restraints and other data sets say of the parameters. A smooth spectrum is more likely than a rough one:
−½λ Σ(Δ²θ)², with λ by its own marginal likelihood (Fellner–Schall) under a weak prior. Steps are Fisher's, with
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

from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.fitting.whitening import Band, Whitening, band_of, points

MOST_KNOTS = 20
NUMBERS_PER_KNOT = 6
SOFT, STIFF = 0.03, 1e3
"""Limits of λ."""
WEAK = 0.5
"""Shape and rate of the gamma prior of λ."""
STEPS = 6
SETTLED = 0.1
"""A step of θ below which it is settled: a tenth of an e-fold is less than its own error."""
LONGEST = 2.0
RANGE = 1e-8
"""Smallest variance as a share of the mean one."""


@dataclass(frozen=True, eq=False)
class Basis:
    """What turns powers at the knots into a covariance in the band, kept for data on the same r.

    knots (p,): Q. hats (p, nQ). packed (p, k(k+1)/2): upper triangles of M_j. taper (2q, k): tapered sine and cosine
    transforms, and expected (q,): their squares for white noise. rough (p, p): Δ²ᵀΔ². density: modes per node of Q.
    """

    band: Band
    knots: Array
    hats: Array
    packed: Array
    place: IntArray
    twice: Array
    taper: Array
    expected: Array
    rough: Array
    density: float

    def covariance(self, power: Array) -> Array:
        """Return the upper triangle of C (k, k) for powers (p,) at the knots."""
        k = self.band.modes.shape[1]
        out = np.zeros(k * k)
        out[self.place] = power @ self.packed
        out = out.reshape(k, k)
        diagonal = np.diag_indices(k)
        out[diagonal] += RANGE * out[diagonal].mean()
        return out

    def traces(self, matrix: Array) -> Array:
        """Return tr(matrix·M_j) for a symmetric matrix (k, k)."""
        return np.asarray(self.packed @ (matrix.ravel()[self.place] * self.twice))

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
    knots = low + (high - low) * np.linspace(0.0, 1.0, p) ** 2
    stretched, at = np.sqrt(band.Q - low), np.sqrt(knots - low)
    hats = np.array([np.interp(stretched, at, one) for one in np.eye(p)])
    rows, columns = np.triu_indices(k)
    place = rows * k + columns
    packed = np.array([((band.waves * hat) @ band.waves.T).ravel()[place] for hat in hats])
    taper, expected = _taper(r, band)
    second = np.diff(np.eye(p), 2, axis=0)
    density = (r[-1] - r[0]) / math.pi * (band.Q[1] - band.Q[0])
    twice = np.where(rows == columns, 1.0, 2.0)
    return Basis(band, knots, hats, packed, place, twice, taper, expected, second.T @ second, float(density))


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


def _stiffness(basis: Basis, information: Array, pull: Array, theta: Array, stiffness: float) -> float:
    """Return λ for which the roughness of the next θ is what its prior and its error make (Fellner and Schall)."""
    for _ in range(3):
        spread = np.linalg.inv(information + stiffness * basis.rough)
        after = theta + spread @ (pull - stiffness * basis.rough @ theta)
        bends = theta.size - 2 - stiffness * float((spread * basis.rough).sum())
        roughness = float(after @ basis.rough @ after)
        stiffness = float(np.clip((max(bends, 1e-3) + WEAK) / (roughness + WEAK), SOFT, STIFF))
    return stiffness


def estimate(basis: Basis, about: Evidence, before: NoiseSpectrum | None, shaped: bool) -> Estimate:
    """Return the most likely spectrum of the noise that a residual shows; `before` : where to start."""
    theta = basis.first_guess(about.e) if before is None else np.log(before.power)
    stiffness = 3.0 if before is None else before.stiffness
    now = _state(basis, theta, about)
    for _ in range(STEPS):
        taken = 0.5 * now.power * basis.traces(now.P)
        pull = 0.5 * now.power * basis.traces(np.outer(now.a, now.a)) - taken
        information = _information(basis, now.power, taken)
        stiffness = _stiffness(basis, information, pull, now.theta, stiffness)
        penalty = stiffness * basis.rough
        step = np.linalg.solve(information + penalty, pull - penalty @ now.theta)
        size = float(np.abs(step).max())
        now = _better(basis, about, now, np.asarray(step * min(1.0, LONGEST / size)), stiffness)
        if size < SETTLED:
            break
    modes = basis.band.modes
    taken = ((modes @ about.J) * (modes @ now.hat.T)).sum(axis=1)
    return Estimate(NoiseSpectrum(basis.knots, now.power, stiffness, shaped), now.inverse, now.P, now.a, taken)


def _better(basis: Basis, about: Evidence, now: _State, step: Array, stiffness: float) -> _State:
    """Return the state a step further, or as much of the step as makes the spectrum more likely."""

    def worth(one: _State) -> float:
        return one.likelihood - 0.5 * stiffness * float(one.theta @ basis.rough @ one.theta)

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
    from scipy.linalg import cholesky, solve_triangular

    factor = cholesky(basis.covariance(noise.power), lower=False, check_finite=False)  # C = RᵀR

    def white(columns: Array) -> Array:
        return np.asarray(solve_triangular(factor, columns, trans="T", check_finite=False))

    slopes = white(jac)
    weighed = solve_triangular(factor, slopes, check_finite=False)
    inner = basis.band.waves.T @ weighed
    k, n = slopes.shape
    columns = []
    for hat, power in zip(basis.hats, noise.power, strict=True):
        some = hat > 0
        columns.append(basis.band.waves[:, some] @ (power * hat[some, None] * inner[some]))
    each = white(np.concatenate(columns, axis=1)).reshape(k, -1, n)
    # W = RRᵀ: the sum over i and j is one over the columns of R.
    moved = np.tensordot(each, _posterior_root(basis, noise, factor, slopes, covariance), (1, 0)).reshape(k, -1)
    along = slopes.T @ moved
    both = moved.T @ moved - along.T @ covariance @ along  # of (n, p) columns: only equal p count
    p = moved.shape[1] // n
    extra = np.einsum("ajbj->ab", both.reshape(n, p, n, p))
    slope = np.einsum("ia,abp,bi->ip", covariance, along.reshape(n, n, p), covariance, optimize=True)
    return np.asarray(extra), np.asarray((slope**2).sum(axis=1))


def _posterior_root(basis: Basis, noise: NoiseSpectrum, factor: Array, slopes: Array, covariance: Array) -> Array:
    """Return R (p, p) with RRᵀ = cov θ."""
    from scipy.linalg.lapack import dpotri, dtrtrs

    upper, _ = dpotri(factor, lower=0)
    upper = np.triu(upper)
    left, _ = dtrtrs(factor, slopes)
    P = upper + np.triu(upper, 1).T - left @ covariance @ left.T
    information = _information(basis, noise.power, 0.5 * noise.power * basis.traces(P))
    values, vectors = np.linalg.eigh(np.linalg.inv(information + noise.stiffness * basis.rough))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def relative_size(data: PDF, noise: NoiseSpectrum) -> Array:
    """Return dG over its root mean square (n,) where the noise follows it along r, else 1."""
    if not noise.shaped or data.dG is None:
        return np.ones(len(data))
    return np.asarray(data.dG / math.sqrt(float((data.dG**2).mean())))


def spectral(data: PDF, instrument: Instrument, noise: NoiseSpectrum) -> Whitening:
    """Return what whitens residuals whose noise has that spectrum: L⁻¹Vᵀ, C = LLᵀ in the band V."""
    from scipy.linalg import cholesky, solve_triangular

    index = points(data.r, instrument.qmax or math.inf)
    with one_thread():
        basis = basis_of(data.r[index], instrument)
        factor = cholesky(basis.covariance(noise.at(basis.knots)), lower=False, check_finite=False)
        matrix = solve_triangular(factor, basis.band.modes.T, trans="T", check_finite=False)
    size = relative_size(data, noise)[index]
    return Whitening(index, np.ascontiguousarray(matrix / size), "dG" if noise.shaped else "spectrum")
