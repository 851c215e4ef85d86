"""The covariance of noise with a spectrum, in the band of the data: C = Σ_j s_j M_j, hat functions of Q.

In the band (`whitening.Band`, modes V, waves U) noise whose power is s_j at knot Q_j, linear between knots, has
M_j = U·diag(N_j)·Uᵀ. Errors that are slow in Q and end at the cut (polynomials of F, as a normalisation leaves them;
they ring at the frequency Qmax along all of r) may be anything: their power is `FREELY` times that of the noise.

A spectrum is smooth: its powers can be told from stretches of r, each by itself, which know nearly as much as the whole
and cost k³/M² in place of k³. Stretches of more than `LONG` numbers are cut for that; what they leave each other at
their ends is in the covariance of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.polynomial import legendre

from pdfkit._checks import Array, IntArray
from pdfkit.data.instrument import Instrument
from pdfkit.fitting.whitening import Band, band_of

MOST_KNOTS = 24
NUMBERS_PER_KNOT = 4
SLOW = 2
"""Odd polynomials of F that errors may have on top of noise."""
FREELY = 1e3
"""Their power over that of noise."""
RANGE = 1e-8
"""Smallest variance as a share of the mean one."""
EVERY, TAPERS = 8, 4
"""Nodes of Q from one tapered transform to the next, and tapers."""
FIRM = 0.5
"""What is less than that leaves r or the band: two or three modes, whatever the range."""
SMALL = 64
"""Size of triangles up to which their inverse is LAPACK's."""
LONG = 75
"""Numbers of a stretch of r from which the powers are told, or up to twice as many."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of r, as k numbers of the band's K.

    part (k, K): which combinations they are. waves (k, nQ): noise of power 1. packed (p, k(k+1)/2): upper triangles of
    M_j; errors: that of slow·slowᵀ, orthonormal errors that are slow in Q. place: where triangles lie in a matrix.
    twice: how often an element of a triangle is there.
    """

    part: Array
    waves: Array
    hats: Array
    packed: Array
    errors: Array
    place: IntArray
    twice: Array

    @classmethod
    def of(cls, part: Array, waves: Array, hats: Array, slow: Array) -> Stretch:
        """Make it of waves (k, nQ), hats (p, nQ) and slow (k, SLOW)."""
        k = waves.shape[0]
        rows, columns = np.triu_indices(k)
        place = rows * k + columns
        packed = np.empty((hats.shape[0], place.size))
        for hat, triangle in zip(hats, packed, strict=True):
            some = _support(hat)
            triangle[:] = ((waves[:, some] * hat[some]) @ waves[:, some].T).ravel()[place]
        own = np.linalg.qr(slow)[0]
        return cls(part, waves, hats, packed, (own @ own.T).ravel()[place], place, np.where(rows == columns, 1.0, 2.0))

    def covariance(self, power: Array) -> Array:
        """Return the upper triangle of C (k, k) for powers (p,) at the knots."""
        k = self.waves.shape[0]
        out = np.zeros(k * k)
        triangle = power @ self.packed
        triangle += FREELY * power.mean() * self.errors
        out[self.place] = triangle
        out[:: k + 1] += RANGE * power.mean()
        return out.reshape(k, k)

    def whitening(self, power: Array) -> tuple[Array, float]:
        """Return Z (k, k), lower triangular with Z·C·Zᵀ = 1, and ½ ln|C| for powers (p,) at the knots."""
        from scipy.linalg.lapack import dpotrf

        root, wrong = dpotrf(self.covariance(power).T, lower=1, overwrite_a=1)
        if wrong:
            raise np.linalg.LinAlgError("a covariance of noise is not positive definite")
        return inverted(root), float(np.log(np.diag(root)).sum())

    def traces(self, *upper: Array) -> Array:
        """Return tr(matrix·M_j) (matrices, p) for symmetric matrices (k, k), of which the upper triangles count."""
        triangles = [one.ravel()[self.place] for one in upper]
        return np.asarray((np.array(triangles) * self.twice) @ self.packed.T)


def inverted(lower: Array) -> Array:
    """Return the inverse of a lower triangular matrix (k, k).

    By halves, [[A, 0], [B, C]]⁻¹ = [[A⁻¹, 0], [−C⁻¹BA⁻¹, C⁻¹]], most of it is products: LAPACK's own takes twice the
    time, and solving with a triangle takes twice that of multiplying with its inverse.
    """
    from scipy.linalg.lapack import dtrtri

    k = lower.shape[0]
    if k <= SMALL:
        return np.asarray(dtrtri(lower, lower=1)[0])
    some, rest = slice(k // 2), slice(k // 2, k)
    out = np.zeros((k, k))
    out[some, some], out[rest, rest] = inverted(lower[some, some]), inverted(lower[rest, rest])
    out[rest, some] = out[rest, rest] @ lower[rest, some] @ -out[some, some]
    return out


@dataclass(frozen=True, eq=False)
class Basis:
    """What turns powers at the knots into a covariance in the band, kept for data on the same r.

    knots (p,): Q. hats (p, nQ): linear between them. bend (p − 2, p): Δ². density: numbers per node of Q. slow
    (K, SLOW): what errors that are slow in Q leave, orthonormal. whole: all of r. stretches: they tell the powers.
    taper (t, q, K): t tapered transforms at q nodes of Q, tapered (q,): their squared norms, summed, and expected
    (q, p): their squares for noise of power 1 at a knot, summed. fine: every n-th node of Q, 1.5 for each number.
    lines (K, q′): the waves there.
    """

    band: Band
    knots: Array
    hats: Array
    bend: Array
    density: float
    slow: Array
    whole: Stretch
    stretches: tuple[Stretch, ...]
    taper: Array
    tapered: Array
    expected: Array
    fine: Array
    lines: Array

    @cached_property
    def between(self) -> tuple[IntArray, Array]:
        """The knot below each node of Q (nQ,), and how far it is on the way to the next one."""
        below = np.clip(np.searchsorted(self.knots, self.band.Q, side="right") - 1, 0, self.knots.size - 2)
        return below, np.take_along_axis(self.hats, below[None] + 1, axis=0)[0]

    @cached_property
    def pieces(self) -> tuple[tuple[slice, Array, Array], ...]:
        """The nodes of Q about each knot, its hat (q′, 1) and the waves (q′, K) there."""
        some = [_support(hat) for hat in self.hats]
        return tuple((one, hat[one, None], self.band.waves[:, one].T) for one, hat in zip(some, self.hats, strict=True))

    @cached_property
    def coarse(self) -> tuple[Array, IntArray, Array]:
        """Squared sizes of `lines` (q′,), every third of these and the last, and those (K, q″)."""
        some = np.append(np.arange(0, self.fine.size - 1, 3), self.fine.size - 1)
        return (self.lines**2).sum(axis=0), some, np.ascontiguousarray(self.lines[:, some])

    @cached_property
    def firm(self) -> tuple[Basis, IntArray]:
        """The same in the modes that have at least `FIRM` of what one can have of noise equal at all Q, and these."""
        band, size = self.band, (self.band.waves**2).sum(axis=1)
        some = np.flatnonzero(size >= FIRM * size.max())
        part = Band(np.ascontiguousarray(band.modes[:, some]), band.Q, np.ascontiguousarray(band.waves[some]))
        slow = np.linalg.qr(self.slow[some])[0]
        whole = Stretch.of(np.eye(some.size), part.waves, self.hats, slow)
        return replace(self, band=part, slow=slow, whole=whole, stretches=(whole,)), some

    @cached_property
    def mean(self) -> Array:
        """What noise has at each point (m,) in all modes but the slow ones: the mean of q in `diagnosis`."""
        modes = self.band.modes
        return np.asarray((modes**2).sum(axis=1) - ((modes @ self.slow) ** 2).sum(axis=1))


def _support(hat: Array) -> slice:
    """Return the nodes where a hat is above 0."""
    return slice(int(np.argmax(hat > 0)), hat.size - int(np.argmax(hat[::-1] > 0)))


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
    density = (r[-1] - r[0]) / math.pi * (band.Q[1] - band.Q[0])
    slow = _slow(r, band, instrument)
    whole = Stretch.of(np.eye(k), band.waves, hats, slow)
    bend = np.diff(np.eye(p), 2, axis=0)
    stretches = _stretches(r, band, instrument, hats, slow) or (whole,)
    stride = max(1, 2 * band.Q.size // (3 * k))
    lines = np.ascontiguousarray(band.waves[:, ::stride])
    tapers = _tapers(r, band, hats)
    return Basis(band, knots, hats, bend, float(density), slow, whole, stretches, *tapers, band.Q[::stride], lines)


def _stretches(r: Array, band: Band, instrument: Instrument, hats: Array, slow: Array) -> tuple[Stretch, ...]:
    """Return stretches of r of LONG numbers or more; none where the whole is no longer than two."""
    count = band.modes.shape[1] // LONG
    if count < 2:
        return ()
    out = []
    for some in np.array_split(np.arange(r.size), count):
        part = band_of(r[some], instrument).modes.T @ band.modes[some]
        out.append(Stretch.of(part, part @ band.waves, hats, part @ slow))
    return tuple(out)


def _slow(r: Array, band: Band, instrument: Instrument) -> Array:
    """Return what odd polynomials of F, times the window, leave in the band."""
    from pdfkit import transforms

    qmax = instrument.qmax or math.inf
    M = transforms.window(instrument.window, band.Q, qmax, instrument.window_width)
    F = np.array([M * legendre.Legendre.basis(2 * n + 1)(band.Q / qmax) for n in range(SLOW)])
    return np.asarray(np.linalg.qr(band.modes.T @ (np.sin(np.outer(r, band.Q)) @ F.T))[0])


def _tapers(r: Array, band: Band, hats: Array) -> tuple[Array, Array, Array]:
    """Return transforms under sine tapers, which leak little of high Q and leave out no r; norms; expected squares.

    Source: Riedel & Sidorenko, IEEE Trans. Signal Process. 43, 188 (1995).
    """
    step = (r[-1] - r[0]) / (r.size - 1)
    x = (r - r[0] + 0.5 * step) / (r[-1] - r[0] + step)
    wave = np.exp(1j * np.outer(band.Q[::EVERY], r))
    each = [(wave * np.sin(np.pi * n * x)) @ band.modes for n in range(1, TAPERS + 1)]
    rows = np.array([half for one in each for half in (one.real, one.imag)])  # (2 TAPERS, q, K)
    expected = np.sum([(one @ band.waves) ** 2 for one in rows], axis=0) @ hats.T
    return rows, np.maximum((rows**2).sum(axis=(0, 2)), 1e-300), np.maximum(expected, 1e-300)
