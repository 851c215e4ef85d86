"""S(Q) to G(r) and back, with errors."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from pdfkit import _checks, _machine
from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF, SQ
from pdfkit.errors import PdfkitError
from pdfkit.transforms.definitions import F_to_S, density
from pdfkit.transforms.sine import inverse_sine_transform, sine_transform, trapezoids
from pdfkit.transforms.sine import phase_sum as phase_sum
from pdfkit.transforms.sine import smooth_sine_sums as smooth_sine_sums
from pdfkit.transforms.sine import window as modification

# --- Errors of F(Q) on their way to G(r) -----------------------------------------------------------------------------


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
    _machine.need(100.0 * m, f"F(Q) from 0 to {Q[0]:g} Å⁻¹ in steps of {Q[1] - Q[0]:.3g} Å⁻¹", "leave out the first Q")
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


# --- Every function of total scattering ------------------------------------------------------------------------------

EXTRAPOLATIONS = ("none", "linear", "quadratic")


def sq_to_pdf(
    sq: SQ,
    r: Array | None = None,
    *,
    qmin: float | None = None,
    qmax: float | None = None,
    window: str = "none",
    window_width: float | None = None,
    extrapolate: str = "none",
) -> PDF:
    """Return G(r) = (2/π)∫F(Q)M(Q) sin(Qr) dQ over qmin…qmax (Å⁻¹; default: all of Q), with dG and cov from dS.

    `r`: (nr,) Å; default 0 to 30 Å by 0.01 Å, shortened to π/ΔQ where Q is coarser than that allows. A limit
    between two samples cuts there, with F interpolated. The limits and the window go into `PDF.instrument`.

    extrapolate : F below qmin. "none": left out. "linear": F = aQ (S is constant). "quadratic": F = aQ + bQ³ (S is
    even in Q: S = 1 + a + bQ²). a and b are fitted to the first tenth of a qmin above qmin (3 and 5 points at least);
    `PDF.instrument.qmin` is then 0.

    Errors: those of S are independent, or correlated as `SQ.cov` says; what the extrapolation correlates is included,
    the end terms of a sharp cut are not. At r = 0, where G = 0 for certain, dG holds the smallest other value.

    Raises PdfkitError when a limit lies outside the data, r beyond π/ΔQ, or a choice is not known.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.transforms import sq_to_pdf
    >>> Q = np.arange(0.01, 25, 0.01)
    >>> sq = pk.SQ(Q, 1 + 4 * np.sin(2.5 * Q) / (2.5 * Q) * np.exp(-0.005 * Q**2))  # 4 neighbours at 2.5 Å
    >>> pdf = sq_to_pdf(sq, qmax=20, window="lorch")
    >>> print(f"{pdf.r[pdf.G.argmax()]:.2f} Å", pdf.instrument.qmax)
    2.50 Å 20.0
    """
    _checks.choice("extrapolate", extrapolate, EXTRAPOLATIONS)
    low = _limit("qmin", sq.Q[0] if qmin is None else qmin, sq.Q)
    high = _limit("qmax", sq.Q[-1] if qmax is None else qmax, sq.Q)
    start = low if extrapolate == "none" else 0.0
    limits: dict[str, Any] = {"qmin": start, "qmax": high, "window": window, "window_width": window_width}
    instrument = replace(sq.instrument, **limits, given=(*sq.instrument.given, *limits))
    Q, (F, *errors) = _cut(low, high, sq.Q, [sq.F, *error_columns(sq)])
    variance, modes, core = errors_of_F(sq, errors)
    if extrapolate != "none" and low > 0:
        below, shape, picks = extrapolation(Q, extrapolate)
        variance, modes, core = extended_errors(variance, modes, core, shape, picks)
        Q, F = np.concatenate([below, Q]), np.concatenate([shape @ (picks.T @ F), F])
    M = modification(window, Q, high, window_width)
    if r is None:
        r = 0.01 * np.arange(min(3000, math.floor(100 * math.pi / np.diff(Q).max())) + 1)
    r = _checks.grid("r", r)
    G = sine_transform(Q, F * M, r)
    plain = PDF(r, G, None, instrument, sq.header, sq.name, sq.composition)
    if variance is None:
        return plain
    cov = Covariance(Q, 2 / math.pi * trapezoids(Q) * M, variance, modes, core)
    return replace(plain, dG=usable(cov.sigma(r)), cov=cov)


def _limit(name: str, value: float, Q: Array) -> float:
    value = _checks.number(name, value, low=0.0)
    # Samples seldom fall on the limit that was asked for: up to a step beyond the last, the last is meant.
    if not Q[0] - 1.01 * (Q[1] - Q[0]) <= value <= Q[-1] + 1.01 * (Q[-1] - Q[-2]):
        raise PdfkitError(f"{name} = {value:g} is outside the data, Q = {Q[0]:g} to {Q[-1]:g} Å⁻¹: stay within them")
    return float(np.clip(value, Q[0], Q[-1]))


def _cut(low: float, high: float, Q: Array, columns: list[Array]) -> tuple[Array, list[Array]]:
    """Return Q from `low` to `high`, both ends included, and the columns on it, interpolated at the ends."""
    tiny = 1e-6 * (Q[-1] - Q[0]) / Q.size
    inside = Q[(low + tiny < Q) & (high - tiny > Q)]
    nodes = np.concatenate([[low], inside, [high]])
    return nodes, [np.interp(nodes, Q, column) for column in columns]


def pdf_to_sq(pdf: PDF, Q: Array, rho0: float | None = None) -> SQ:
    """Return S(Q) = 1 + (1/Q)∫G(r) sin(Qr) dr on `Q` ((nQ,) Å⁻¹, increasing) from a G(r) from r = 0.

    With `rho0` (Å⁻³) the part below the first r is filled with G = −4πrρ₀, as it is where no two atoms are.
    S at Q = 0 is the limit 1 + ∫rG dr. Beyond the last r, G is taken as 0: S is smoothed over π/rmax.

    Raises PdfkitError when r begins above one step without `rho0`, or Q goes beyond π/Δr.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.transforms import pdf_to_sq
    >>> r = np.arange(0, 5, 0.01)
    >>> G = 4 / 2.5 * np.exp(-(((r - 2.5) / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))  # 4 neighbours at 2.5 Å
    >>> print(pdf_to_sq(pk.PDF(r, G), np.pi / 2.5 * np.array([0.5, 1.0])).S.round(3))  # 1 + 4 sin(Qd)/(Qd)·exp(−σ²Q²/2)
    [3.541 1.   ]
    """
    r, G = pdf.r, pdf.G
    step = r[1] - r[0]
    if rho0 is not None and r[0] > 0:
        # Counted down from the first r, so that a uniform grid stays uniform.
        count = max(1, round(r[0] / step))
        _machine.need(60.0 * count, f"G(r) from 0 to {r[0]:g} Å in steps of {step:.3g} Å", "begin the data nearer to 0")
        low = r[0] * np.arange(count) / count
        r, G = np.concatenate([low, r]), np.concatenate([-4 * math.pi * density(rho0) * low, G])
    elif r[0] > 0:
        if r[0] > 1.001 * step:
            raise PdfkitError(f"G(r) begins at r = {r[0]:g} Å: give rho0 to fill the part below with −4πrρ₀")
        r, G = np.concatenate([[0.0], r]), np.concatenate([[0.0], G])
    elif r[0] < 0:
        raise PdfkitError(f"G(r) begins at r = {r[0]:g} Å: crop it to r ≥ 0")
    Q = _checks.grid("Q", Q)
    F = inverse_sine_transform(r, G, Q)
    S = np.where(Q == 0, 1.0 + np.sum(trapezoids(r) * r * G), F_to_S(Q, F))
    return SQ(Q, S, None, pdf.instrument, pdf.header, pdf.name, pdf.composition)
