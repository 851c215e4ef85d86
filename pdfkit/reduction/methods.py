"""Two methods that lead from net intensities to F(Q), each with its derivatives and errors.

ad hoc [Juhás, Davis, Farrow & Billinge, J. Appl. Cryst. 46, 560 (2013)]: I = αI_c + smooth, so F(Q) is αQI/⟨f⟩² less a
polynomial in Q. physical: α on an absolute scale, Compton scattering, polarisation and absorption taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdfkit import transforms
from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import Intensity
from pdfkit.data.filtering import Filter
from pdfkit.errors import PdfkitError
from pdfkit.reduction import slow
from pdfkit.reduction.corrections import Levels
from pdfkit.reduction.lowr import Atoms
from pdfkit.reduction.settings import ReductionSettings
from pdfkit.reduction.slow import Solution

# --- Two methods, from net intensities to F(Q) -----------------------------------------------------------------------


@dataclass(frozen=True)
class Corrected:
    """F(Q) and how it came about.

    F, before (without the polynomial), polynomial : (n,) Å⁻¹. scale : α of I. degree : of the polynomial, may be a
    fraction. D (n,), L, R (n, p): δF = D·δI + L·(RᵀδI). facts : numbers for the diagnostics. removal : E, R (n, k)
    with which F − E·(RᵀF) lacks its polynomial. open : shapes (n, q) and covariance (q, q) of what the fit leaves open
    whatever the counts. fit : of a slow factor.
    """

    F: Array
    before: Array
    polynomial: Array
    scale: float
    degree: float
    D: Array
    L: Array
    R: Array
    facts: dict[str, float]
    removal: tuple[Array, Array]
    open: tuple[Array, Array] | None = None
    fit: Solution | None = None


def adhoc(Q: Array, I: Array, levels: Levels, rpoly: float) -> Corrected:
    """Return F = Q[αI/⟨f⟩² − ⟨f²⟩/⟨f⟩²] − P(Q).

    With x = I/⟨f⟩² and y = ⟨f²⟩/⟨f⟩², α = Σwxy/Σwx² (least squares of S − 1 = αx − y, w the step in Q), and P is the
    least-squares polynomial without a constant term of degree n = rpoly·(Q_n − Q_1)/π; a fraction mixes the two
    neighbouring degrees linearly. Those are the rules that the curves published by PDFgetX3 2.2.1 follow (to 2e-6).
    """
    w = np.gradient(Q)
    f1 = levels.f1**2
    x, y = I / f1, levels.f2 / f1
    square = float(w @ x**2)
    scale = float(w @ (x * y)) / square
    gradient = w * (y - 2 * scale * x) / (square * f1)
    return _corrected(Q, w, Q * y, [(scale, Q * x, gradient)], scale * Q / f1, rpoly, {})


@dataclass(frozen=True)
class Physics:
    """What goes into the physical method besides intensities, on Q (n,).

    inelastic : what is scattered without interference, per atom. transmission : polarisation × absorption. atoms : what
    scatters. variance : of the intensities, or None.
    """

    levels: Levels
    inelastic: Array
    transmission: Array
    atoms: Atoms
    variance: Array | None = None


def physical(Q: Array, I: Array, physics: Physics, settings: ReductionSettings) -> Corrected:
    """Return F = Q[n(Q)I/t − C − ⟨f²⟩ − b]/⟨f⟩², C the inelastic scattering, t polarisation × absorption.

    n(Q), the scale α times a slow factor, and b, a constant intensity (fluorescence, multiple scattering) that is taken
    off where `constant` says so, are those with which G = −4πρ₀r below the first peak: see `pdfkit.reduction.slow`.
    With slow = 0, n is the constant α, see `_level`.
    """
    f1 = physics.levels.f1**2
    A, B, T = Q * I / physics.transmission / f1, Q * (physics.levels.f2 + physics.inelastic) / f1, Q / f1
    derivative = Q / (physics.transmission * f1)
    if settings.slow == 0:
        return _level(Q, A, B, T, derivative, settings)
    w = np.gradient(Q)
    high = np.where(Q[-1] * 0.6 <= Q, w, 0.0)
    scale = float(high @ B / (high @ A))
    if scale <= 0:
        raise PdfkitError("the intensities have no level above their background: lower bgscale")
    shapes = slow.basis(Q)
    v, prior = shapes * A[:, None], slow.priors(settings.slow, scale)
    depends = shapes * derivative[:, None]
    if settings.constant:
        v, prior = np.column_stack([v, -T]), np.append(prior, math.inf)
        depends = np.column_stack([depends, np.zeros(Q.size)])
    slope = None if settings.rho0 is None else -4 * math.pi * settings.rho0
    problem = slow.Problem(Q, v, B, depends, prior, physics.variance, slope)
    got = slow.found(problem, physics.atoms, settings.rcut, scale)
    terms = [(float(t), column, g) for t, column, g in zip(got.theta, v.T, got.gradient, strict=True)]
    factor = shapes @ got.theta[: slow.TERMS]
    alpha = float(w @ factor / w.sum())
    facts = {"slow factor": float(np.sqrt(w @ (factor / alpha - 1) ** 2 / w.sum())), "no atoms below": got.end}
    facts |= {"constant": float(got.theta[-1])} if settings.constant else {}
    done = _corrected(Q, w, B, terms, depends @ got.theta, settings.rpoly or 0.0, facts)
    basis, back = done.removal
    return replace(done, scale=alpha, open=(v - basis @ (back.T @ v), got.systematic), fit=got)


def _level(Q: Array, A: Array, B: Array, T: Array, derivative: Array, settings: ReductionSettings) -> Corrected:
    """Return F = αA − B (− bT), by rules for α and b.

    α from ρ₀ [Krogh-Moe, Acta Cryst. 9, 951 (1956); Norman, Acta Cryst. 10, 370 (1957)]: ∫Q·F·M dQ = −2π²ρ₀, M of
    Lorch, S = 0 below Q_1. Without ρ₀: the mean of F over the upper 40 % of Q is 0; the other α, where there is one,
    is among the facts. With a constant b, F has no slope there either.
    """
    rho0, constant = settings.rho0, settings.constant
    w = np.gradient(Q)
    high = np.where(Q[-1] * 0.6 <= Q, w, 0.0)
    moments = [(high, 0.0)]
    norman = None
    if rho0 is not None:
        norman = (w * Q * np.sinc(Q / Q[-1]), -2 * math.pi**2 * rho0 + Q[0] ** 3 / 3)
        moments = [norman]
    if constant:
        moments.append((high * (Q - Q[-1] * 0.8) if rho0 is None else high, 0.0))
    vectors = [A, -T] if constant else [A]
    M = np.array([[m @ v for v in vectors] for m, _ in moments])
    target = np.array([m @ B + value for m, value in moments])
    inverse = _inverse(M)
    theta = inverse @ target
    if theta[0] <= 0:
        raise PdfkitError(
            "the intensities have no level above their background: lower bgscale, check rho0 and composition"
        )
    # M·θ = target, and only A depends on I: δθ = −M⁻¹·(moments·δA)·θ₀.
    gradients = -inverse @ np.array([m * derivative * theta[0] for m, _ in moments])
    terms = [(float(t), v, g) for t, v, g in zip(theta, vectors, gradients, strict=True)]
    facts = {"constant": float(theta[1])} if constant else {}
    if norman is not None and not constant:
        facts["scale at high Q"] = float(high @ B / (high @ A))
    return _corrected(Q, w, B, terms, float(theta[0]) * derivative, settings.rpoly or 0.0, facts)


def _inverse(M: Array) -> Array:
    try:
        out = np.linalg.inv(M)
    except np.linalg.LinAlgError:
        out = np.full(M.shape, np.nan)
    if not np.isfinite(out).all():
        raise PdfkitError("scale and constant cannot be told apart: leave the constant out, or raise qmax")
    return np.asarray(out)


def _corrected(
    Q: Array,
    w: Array,
    B: Array,
    terms: Sequence[tuple[float, Array, Array]],
    D: Array,
    rpoly: float,
    facts: dict[str, float],
) -> Corrected:
    """Return F = Σθv − B less its polynomial, for terms (θ, v, dθ/dI), D the derivative of Σθv at fixed θ."""
    before = sum((t * v for t, v, _ in terms), -B)
    degree = rpoly * (Q[-1] - Q[0]) / math.pi
    basis, share = polynomials(Q, w, degree)
    back = (w[:, None] * basis) * share

    def rest(v: Array) -> Array:
        return np.asarray(v - basis @ (back.T @ v))

    polynomial = before - rest(before)
    L = np.stack([*basis.T, *(rest(v) for _, v, _ in terms)], axis=1)
    R = np.stack([*(-D[:, None] * back).T, *(g for _, _, g in terms)], axis=1)
    return Corrected(before - polynomial, before, polynomial, terms[0][0], degree, D, L, R, facts, (basis, back))


def polynomials(Q: Array, w: Array, degree: float) -> tuple[Array, Array]:
    """Return polynomials without constant term, orthonormal under w: (n, k), and the share of each (k,).

    k = ⌈degree⌉; shares are 1, of the last the fraction that `degree` has.
    """
    k = math.ceil(degree - 1e-9)
    if Q.size < 2 * k + 2:
        raise PdfkitError(f"{Q.size} points are too few for a polynomial of degree {k}: lower rpoly")
    share = np.ones(k)
    if k:
        share[-1] = degree - (k - 1)
    t = 2 * Q / Q[-1] - 1
    columns = Q[:, None] * np.polynomial.chebyshev.chebvander(t, max(k - 1, 0))[:, :k]
    root = np.sqrt(w)[:, None]
    return np.linalg.qr(columns * root)[0] / root, share


# --- Errors of intensities where a file has none ---------------------------------------------------------------------

# Fourth differences: 0 for a cubic, variance 1 for white noise of variance 1.
_DIFFERENCE = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / np.sqrt(70.0)

_MEDIAN_OF_SQUARE = 0.45494  # median of χ² with one degree of freedom

_BLOCKS, _IN_BLOCK = 16, 60

_FAR, _WIDTH = (60.0, 105.0), 15.0  # Å


def with_errors(pattern: Intensity, errors: str) -> tuple[Intensity, str]:
    """Return the pattern with standard deviations dI as `errors` says, and in a few words where they come from.

    | errors | dI |
    |---|---|
    | given | those of the file |
    | counting | √I: the intensities are counts |
    | scatter | √(g·I), with g(Q) from the scatter of neighbouring points about a cubic: counts on any scale; raised
      later by `noise_ratio` where that is above 1 |
    | auto | given where there are some, else scatter |
    | none | none |
    """
    if errors == "auto":
        errors = "given" if pattern.dI is not None else "scatter"
    if errors == "none":
        return replace(pattern, dI=None), "none"
    if errors == "given":
        if pattern.dI is None:
            raise PdfkitError(f"{pattern.name or 'the pattern'} has no errors: give errors='scatter' or 'counting'")
        return pattern, "given"
    if errors == "counting":
        return replace(pattern, dI=np.sqrt(np.maximum(pattern.I, 1.0))), "counting, √I"
    return replace(pattern, dI=np.sqrt(scatter(pattern.I))), "scatter of neighbouring points"


def scatter(I: Array) -> Array:
    """Return the variance (n,) of intensities from their own scatter: g·I, g the median of (4th difference)²/I.

    g is taken in up to 16 blocks and interpolated between them: corrections that vary slowly with Q do no harm, nor do
    peaks on less than half of the points.
    """
    if I.size < 20:
        raise PdfkitError(f"{I.size} points are too few to see their scatter: give dI, or errors='none'")
    level = np.maximum(I, 0.01 * float(np.median(np.abs(I))))
    if not (level > 0).all():
        raise PdfkitError("the intensities are zero: nothing can be reduced")
    square = np.convolve(I, _DIFFERENCE, mode="valid") ** 2 / np.convolve(level, _DIFFERENCE**2, mode="valid")
    blocks = np.array_split(np.arange(square.size), max(1, min(_BLOCKS, square.size // _IN_BLOCK)))
    gain = np.array([np.median(square[block]) for block in blocks]) / _MEDIAN_OF_SQUARE
    centre = np.array([block.mean() for block in blocks]) + 2
    # A block without scatter (smoothed or simulated data) has what rounding leaves.
    gain = np.maximum(gain, 1e-12 * level.max())
    return np.asarray(np.exp(np.interp(np.arange(I.size), centre, np.log(gain))) * level)


def propagated(Q: Array, found: Corrected, variance: Array) -> Covariance:
    """Return the covariance of F on Q: K·diag(variance)·Kᵀ with K = diag(D) + L·Rᵀ, as diagonal and modes.

    K V Kᵀ = D²V + M·C·Mᵀ with M = [L, D·V·R] and C = [[RᵀVR, 1], [1, 0]]. What a fit leaves open is added.
    """
    from scipy.linalg import block_diag

    p = found.L.shape[1]
    carried = (found.D * variance)[:, None] * found.R
    core = np.zeros((2 * p, 2 * p))
    core[:p, :p] = found.R.T @ (variance[:, None] * found.R)
    core[:p, p:] = core[p:, :p] = np.eye(p)
    modes = np.concatenate([found.L, carried], axis=1)
    if found.open is not None:
        modes, core = np.concatenate([modes, found.open[0]], axis=1), block_diag(core, found.open[1])
    return Covariance(Q, np.ones(Q.size), found.D**2 * variance, modes, core)


def filtered(found: Corrected, low_r: Filter) -> Corrected:
    """Return what the method found with what is below rcut filtered out, in F and in its derivatives."""
    F = low_r(found.F)
    L = np.concatenate([low_r(found.L), -low_r.E], axis=1)
    R = np.concatenate([found.R, found.D[:, None] * low_r.B], axis=1)
    left = None if found.open is None else (low_r(found.open[0]), found.open[1])
    facts = {**found.facts, "filtered": float(np.sqrt(np.mean((F - found.F) ** 2) / np.mean(F**2)))}
    return replace(found, F=F, polynomial=found.before - F, L=L, R=R, open=left, facts=facts)


def noise_ratio(Q: Array, F: Array, variance: Array) -> float | None:
    """Return how many times the noise of G(r) exceeds what the variance of F (n,) makes it; None where r is too short.

    Taken from the r between 60 and 105 Å (at most 0.6·π/ΔQ) with the least power: noise of the band that is fitted, and
    no more than that where no order reaches so far. Neighbouring points that share pixels scatter too little to see it.
    """
    end = min(_FAR[1], 0.6 * math.pi / float(np.diff(Q).max()))
    parts = int((end - _FAR[0]) / _WIDTH)
    if parts < 1:
        return None
    # Hann's window: no ripples of near peaks.
    weight = transforms.window("hann", Q, Q[-1]) * np.gradient(Q)
    r = np.linspace(_FAR[0], _FAR[0] + parts * _WIDTH, parts * max(8, math.ceil(2 * _WIDTH * Q[-1] / math.pi)))
    G = transforms.smooth_sine_sums(Q, (weight * F)[:, None], r)[0]
    power = (G**2).reshape(parts, -1).mean(axis=1).min()
    return math.sqrt(float(power) / (0.5 * float(weight**2 @ variance)))
