"""Covariance of G(r) from the errors of F(Q): exact, on any r, and kept as a spectrum instead of a matrix.

G(r_i) = Σ_k a_k F_k sin(Q_k r_i), so independent errors of F with variances v_k give
cov(r, r′) = Σ_k a_k² v_k sin(Q_k r) sin(Q_k r′) = ½[c(r − r′) − c(r + r′)] with c(x) = Σ_k a_k² v_k cos(Q_k x).
What a reduction has fitted to F (a polynomial, a scale) correlates its errors by a term of low rank: modes·core·modesᵀ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from pdfkit import _checks, _machine
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError


def _no_modes() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Covariance:
    """Covariance of G(r), as the spectrum of its errors.

    Q : (n,) Å⁻¹. weight : (n,) Å⁻¹, a_k = (2/π)·ΔQ·M(Q), what turns F into G. variance : (n,) of F, Å⁻². modes (n, p),
    core (p, p): the correlated part of cov(F) = diag(variance) + modes·core·modesᵀ.

    Raises
    ------
    PdfkitError : lengths differ, or a variance is negative.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> cov = pk.uncertainty.Covariance.white(pk.Instrument(qmax=25), rmax=30)
    >>> C = cov.matrix(10 + np.pi / 25 * np.array([0, 0.5, 1.5]))
    >>> (C[0] / C[0, 0]).round(2).tolist()  # sin(x)/x, x = Qmax·Δr: neighbouring errors go together
    [1.0, 0.64, -0.21]
    """

    Q: Array
    weight: Array
    variance: Array
    modes: Array = field(default_factory=_no_modes)
    core: Array = field(default_factory=_no_modes)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "Q", _checks.grid("Q", self.Q))
        for name in ("weight", "variance"):
            value = _checks.array(name, getattr(self, name))
            if value.size != self.Q.size:
                raise PdfkitError(f"{name} has {value.size} points and Q has {self.Q.size}: they must match")
            set_(self, name, value)
        if (self.variance < 0).any():
            raise PdfkitError("variance holds negative values: give squares of standard deviations")
        modes = self.modes if np.size(self.modes) else np.zeros((self.Q.size, 0))
        set_(self, "modes", _checks.array("modes", modes, ndim=2))
        core = self.core if np.size(self.core) else np.zeros((0, 0))
        set_(self, "core", _checks.array("core", core, ndim=2))
        p = self.modes.shape[1]
        if self.modes.shape[0] != self.Q.size or self.core.shape != (p, p):
            raise PdfkitError(f"modes {self.modes.shape} and core {self.core.shape} do not fit {self.Q.size} points")

    @classmethod
    def white(cls, instrument: Instrument, rmax: float) -> Covariance:
        """Return the covariance of errors that are equal at all Q from qmin to qmax, times M(Q).

        That is what is known of a file with G(r) alone. Its amplitude is 1: the mean of dG² far from r = 0. Valid up to
        rmax (Å). Raises PdfkitError without a finite qmax.
        """
        from pdfkit import transforms

        qmin, qmax = instrument.qmin, instrument.qmax
        if qmax is None or not math.isfinite(qmax):
            raise PdfkitError("how the errors of G(r) are correlated depends on Qmax: give qmax= in Å⁻¹")
        # Steps half as wide as c(x) needs at x = 2rmax.
        count = max(32, math.ceil((qmax - qmin) * 2.0 * rmax / math.pi * 2.0))
        _machine.need(80.0 * count, f"the covariance of G(r) up to {rmax:g} Å", "lower rmax")
        edges = np.linspace(qmin, qmax, count + 1)
        Q = 0.5 * (edges[1:] + edges[:-1])
        M = transforms.window(instrument.window, Q, qmax, instrument.window_width)
        return cls(Q, M, np.full(count, 2.0 / float((M**2).sum())))

    def __repr__(self) -> str:
        return f"Covariance({self.Q.size} points of F(Q), {self.modes.shape[1]} modes)"

    def scaled(self, factor: float) -> Covariance:
        """Return the covariance times `factor`."""
        return Covariance(self.Q, self.weight, self.variance * factor, self.modes, self.core * factor)

    def at(self, keep: Array) -> Covariance:
        """Return the covariance of the points of Q that are kept ((n,) of truth values)."""
        return Covariance(self.Q[keep], self.weight[keep], self.variance[keep], self.modes[keep], self.core)

    def less(self, E: Array, B: Array) -> Covariance:
        """Return the covariance of F − E·(BᵀF) (E, B: (n, k)), exactly; it is that of F with weight 1."""
        carried, M = self.variance[:, None] * B, self.modes
        k, p = E.shape[1], M.shape[1]
        core = np.zeros((2 * k + p, 2 * k + p))
        core[:k, :k] = B.T @ carried
        core[:k, k : 2 * k] = core[k : 2 * k, :k] = -np.eye(k)
        core[2 * k :, 2 * k :] = self.core
        modes = np.concatenate([E, carried, M - E @ (B.T @ M)], axis=1)
        return Covariance(self.Q, self.weight, self.variance, modes, core)

    def deviations(self) -> Array:
        """Return the standard deviations of F (n,)."""
        total = self.variance + np.einsum("kp,pq,kq->k", self.modes, self.core, self.modes, optimize=True)
        # Where a fit took all that a point had to say, rounding may leave less than nothing.
        return np.asarray(np.sqrt(np.maximum(total, 1e-12 * self.variance)))

    def plus(self, other: Covariance) -> Covariance:
        """Return the covariance of a sum or difference of two curves with independent errors, exactly.

        Spectra add on the union of both Q, and the modes of both stand side by side.
        """
        Q = np.union1d(self.Q, other.Q)
        at = [np.searchsorted(Q, one.Q) for one in (self, other)]
        alike = all(one.Q.size == Q.size for one in (self, other)) and np.array_equal(self.weight, other.weight)
        variance = np.zeros(Q.size)
        sizes = [one.modes.shape[1] for one in (self, other)]
        modes, core = np.zeros((Q.size, sum(sizes))), np.zeros((sum(sizes), sum(sizes)))
        for one, rows, k in zip((self, other), at, (0, sizes[0]), strict=True):
            # Weights that differ are put into the errors.
            a, block = (1.0 if alike else one.weight), slice(k, k + one.modes.shape[1])
            variance[rows] += a**2 * one.variance
            modes[rows, block] = one.modes if alike else one.weight[:, None] * one.modes
            core[block, block] = one.core
        return Covariance(Q, self.weight if alike else np.ones(Q.size), variance, modes, core)

    def matrix(self, r: Array) -> Array:
        """Return cov(G(r_i), G(r_j)) on r (n,) in Å: (n, n) in Å⁻⁴. Raises PdfkitError when memory is too small."""
        r = np.asarray(r, dtype=np.float64)
        size = 24.0 * r.size * (self.Q.size + r.size)
        _machine.need(size, f"the covariance matrix of {r.size} points", "take fewer, as every second or tenth of r")
        basis = np.sin(np.outer(r, self.Q)) * self.weight
        out = (basis * self.variance) @ basis.T
        if self.modes.shape[1]:
            lifted = basis @ self.modes
            out += lifted @ self.core @ lifted.T
        return np.asarray(0.5 * (out + out.T))

    def sigma(self, r: Array) -> Array:
        """Return the standard deviations dG (n,) on r (n,): the roots of the diagonal of `matrix`."""
        from pdfkit import transforms

        r = np.asarray(r, dtype=np.float64)
        spectrum = self.weight**2 * self.variance
        # sin² = (1 − cos 2Qr)/2
        out = 0.5 * (spectrum.sum() - transforms.phase_sum(self.Q, spectrum, 2.0 * r).real)
        if self.modes.shape[1]:
            lifted = transforms.smooth_sine_sums(self.Q, self.weight[:, None] * self.modes, r)
            out += (lifted * (self.core @ lifted)).sum(axis=0)
        return np.asarray(np.sqrt(np.maximum(out, 0.0)))
