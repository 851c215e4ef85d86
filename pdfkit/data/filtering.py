"""The low-r Fourier filter: what G(r) has below a distance that no two atoms come near is taken out of F(Q).

There G = −4πρ₀r. One pass takes the transform of G(r) + 4πρ₀r over 0 < r < rcut off F(Q): the filter of PyStoG. What a
sharp end of Q leaves there calls for more passes, as Glassure makes them. A pass is F → F − P(F − F₀), P symmetric with
eigenvalues 0 ≤ λ < 1 (about rcut·Qmax/π of them near 1), so n passes are one step, in which every eigenvector is taken
off by the part 1 − (1 − λ)ⁿ; it is linear, and so is its effect on errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pdfkit import _checks, transforms
from pdfkit._checks import Array
from pdfkit.data.covariance import Covariance
from pdfkit.data.curves import PDF, SQ
from pdfkit.errors import PdfkitError

_LEAST = 1e-10  # an eigenvalue below it holds nothing


@dataclass(frozen=True)
class Filter:
    """F − E·(BᵀF) + offset on Q (n,): E, B (n, k), offset (n,)."""

    E: Array
    B: Array
    offset: Array

    def __call__(self, F: Array) -> Array:
        """Return F without what it has below rcut: (n,), or (n, p) of differences."""
        out = F - self.E @ (self.B.T @ F)
        return np.asarray(out + self.offset if F.ndim == 1 else out)


def low_r_filter(Q: Array, rcut: float, rho0: float | None = None, passes: int = 1) -> Filter:
    """Return the filter on Q (n,) Å⁻¹ that makes G = −4πρ₀r below rcut (Å), ρ₀ in atoms/Å³.

    Without rho0, the slope that G has there is kept, whatever it is. S = 0 below the first Q, as in a crystal.
    """
    rcut = _checks.number("rcut", rcut, low=0.0, open_low=True)
    passes = int(_checks.number("passes", passes, low=1, high=10000))
    w = transforms.trapezoids(Q)
    node, width = np.polynomial.legendre.leggauss(math.ceil(rcut * Q[-1] / 2) + 16)
    r, dr = rcut / 2 * (node + 1), rcut / 2 * width
    root = np.sqrt(w)[:, None]
    U, s, Vt = np.linalg.svd(root * np.sin(np.outer(Q, r)) * np.sqrt(2 / math.pi * dr), full_matrices=False)
    keep = s**2 > _LEAST
    E, eigenvalue = U[:, keep] / np.where(root > 0, root, 1.0), s[keep] ** 2
    share = -np.expm1(passes * np.log1p(-np.minimum(eigenvalue, 1 - 1e-15)))
    # What the curve that is wanted below rcut has of each eigenvector: ∫c(r)·e(r) dr with e the transform of E.
    wanted = Vt[keep] * np.sqrt(math.pi / 2 * dr) / s[keep, None] * (share)[:, None]
    below = np.linspace(0.0, float(Q[0]), 100)
    unseen = -2 / math.pi * np.sin(np.outer(r, below)) @ (transforms.trapezoids(below) * below)
    B = w[:, None] * E * share
    if rho0 is not None:
        return Filter(E, B, E @ (wanted @ (-4 * math.pi * _checks.number("rho0", rho0, low=0.0) * r - unseen)))
    # slope = ∫r(G + unseen) dr/∫r² dr, G = (2/π)Σ w F sin(Qr)
    moment = r * dr / float(r**2 @ dr)
    slope = 2 / math.pi * w * (np.sin(np.outer(Q, r)) @ moment)
    kept = wanted @ r
    return Filter(E, B - np.outer(slope, kept), E @ (wanted @ (r * float(moment @ unseen) - unseen)))


def filtered_sq(sq: SQ, rcut: float, rho0: float | None = None, passes: int = 1) -> SQ:
    """Return S(Q) without what its G(r) has below rcut (Å) besides −4πρ₀r; see `SQ.fourier_filter`."""
    low_r = low_r_filter(sq.Q, rcut, rho0, passes)
    F = low_r(sq.F)
    S = np.where(sq.Q > 0, 1.0 + np.divide(F, sq.Q, out=np.zeros(F.size), where=sq.Q > 0), sq.S)
    errors = sq.cov
    if errors is None and sq.dS is not None:
        errors = Covariance(sq.Q, np.ones(sq.Q.size), (sq.Q * sq.dS) ** 2)
    if errors is None:
        return replace(sq, S=S)
    errors = errors.less(low_r.E, low_r.B)
    dS = np.maximum(errors.deviations(), 1e-300) / np.maximum(sq.Q, 1e-6)
    return replace(sq, S=S, dS=dS, cov=errors)


def filtered_pdf(pdf: PDF, rcut: float, rho0: float | None = None, passes: int = 1) -> PDF:
    """Return G(r) without what it has below rcut (Å) besides −4πρ₀r; see `SQ.fourier_filter`."""
    qmin, qmax = pdf.instrument.qmin, pdf.instrument.qmax
    if qmax is None or not math.isfinite(qmax):
        raise PdfkitError("a Fourier filter needs the Qmax of G(r): give qmax= in Å⁻¹")
    if pdf.r[0] > 1.001 * float(pdf.r[1] - pdf.r[0]) or pdf.r[-1] < 2 * rcut:
        raise PdfkitError(
            f"G(r) from {pdf.r[0]:g} to {pdf.r[-1]:g} Å: a filter at {rcut:g} needs it from 0 to {2 * rcut:g}"
        )
    # F from G as far as it goes; what the filter takes off is in r < rcut and its ripples.
    step = math.pi / (4 * float(pdf.r[-1]))
    Q = np.linspace(qmin, qmax, max(200, math.ceil((qmax - qmin) / step)))
    Q = Q[1:] if Q[0] == 0 else Q
    low_r = low_r_filter(Q, rcut, rho0, passes)
    F = transforms.inverse_sine_transform(*_from_zero(pdf.r, pdf.G), Q)
    G = pdf.G - transforms.sine_transform(Q, F - low_r(F), pdf.r)
    if pdf.cov is None:
        lost = ("the errors are those before the Fourier filter",) if pdf.dG is not None else ()
        return replace(pdf, G=G, remarks=(*pdf.remarks, *lost))
    own = pdf.cov
    to_G = 2 / math.pi * transforms.trapezoids(own.Q)
    part = own.weight / to_G
    whole = Covariance(own.Q, to_G, part**2 * own.variance, part[:, None] * own.modes, own.core)
    there = low_r_filter(own.Q, rcut, rho0, passes)
    errors = whole.less(there.E, there.B)
    sigma = errors.sigma(pdf.r)
    return replace(pdf, G=G, cov=errors, dG=np.maximum(sigma, 1e-6 * float(sigma.max())))


def _from_zero(r: Array, G: Array) -> tuple[Array, Array]:
    return (r, G) if r[0] == 0 else (np.append(0.0, r), np.append(0.0, G))
