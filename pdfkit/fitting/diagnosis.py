"""Whether what a fit leaves is noise: three tests of the residual against its own spectrum.

Noise of any spectrum is equally strong all along r, about as strong at one Q as at the next, and knows nothing of the
model. A wrong model leaves a residual that fades with its peaks, that stands in the lines of a crystal, or that a
parameter which was held at a wrong value would take away. These are score tests, with a = P e and P of `spectrum`:

| against | statistic | where the residual is noise |
|---|---|---|
| power that varies along r as g, a Legendre polynomial | Σ_r g(r)[q(r) − ν(r)], q = (Va)·(VCa), ν its mean | normal |
| power in lines of Q, t = wᵀa/√(wᵀPw), wave w | mean of (t²/t̄²)², t̄² the mean near by | 3 − 6/(n + 2) on average |
| another value of a fixed quantity with the slope d | dᵀa/√(dᵀPd) | standard normal |

The variance of the first is 2Σg²ν + ½∫(d ln s/dQ)²dQ/π ∫(dg/dr)²dr: that of independent numbers, and what a spectrum
that is not flat adds. Source: Rao, Proc. Camb. Phil. Soc. 44, 50 (1948).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre

from pdfkit._checks import Array
from pdfkit.fitting.basis import Basis
from pdfkit.fitting.spectrum import Estimate, Evidence

DEGREES = (1, 2, 3)
UNEVEN = 12.0
"""χ² of the three degrees above which the residual is not equally strong along r: 0.7 % of noise.

Numbers added to G point by point, as simulations have them, leave more in the modes at the ends of r than what is cut
at Qmax can, in 11 % of such noise; so it has to show without them, too.
"""
FIRMLY = 7.8
"""χ² from which it does: 5 % of noise."""
NEAR = 8
"""Independent numbers on either side of a Q with which power there is compared."""
LINES = 2.5
"""Standard errors of the fourth moment above which power stands in lines: none of 210 sets of noise, whose largest was
2.4; the moment is skewed, so that a normal number tells less."""
HELD = 4.2
"""Standard errors by which the residual asks for another value of a fixed quantity: 0.03 % of noise, for each."""
ALIKE = 1e-4
"""A slope of which no more than this share is left beside those of free parameters says nothing of its own."""


RIVAL = 0.6
"""Share of the largest number of standard errors from which on another quantity may be the reason as well."""
MOST = 3
"""So many of these are named."""
BROAD = ("resolution", "qbroad")
"""The two ways to have peaks broaden with r, of which the one that is used is named, or the first."""
INSTRUMENT = ("qdamp", "qtail")
"""What else the instrument does."""


@dataclass(frozen=True, eq=False)
class Fixed:
    """A quantity that was held: its name, value and limits, and the derivative (k,) of the band's numbers by it."""

    name: str
    value: float
    low: float
    high: float
    slope: Array

    @property
    def kind(self) -> str:
        """The last word of its name."""
        return self.name.rpartition(".")[2]

    def can_move(self, step: float) -> bool:
        """Whether the limits leave room in the direction of a step."""
        return self.value < self.high if step > 0 else self.value > self.low


Asked = tuple[float, float, Fixed]
"""By how many standard errors, and by how much, the residual asks for another value, and of what."""


def findings(basis: Basis, about: Evidence, found: Estimate, r: Array, fixed: Sequence[Fixed]) -> tuple[str, ...]:
    """Return what shows that a residual is no noise, a sentence each; none where it may be."""
    return (*_uneven(basis, about, found, r), *_in_lines(basis, found), *_held(found, fixed))


def unevenness(basis: Basis, found: Estimate, r: Array) -> tuple[float, Array, Array]:
    """Return χ² (three degrees) of power that varies along r, the power q (m,), and its mean ν (m,)."""
    modes, mean = basis.band.modes, basis.mean - found.taken
    q = (modes @ found.a) * (modes @ found.rest)  # C a is the rest
    Q = basis.band.Q
    steep = 0.5 / math.pi * float(np.trapezoid(np.gradient(np.log(found.noise.at(Q)), Q) ** 2, Q))
    g, bend = _degrees(r.tobytes())
    g = g - (g @ mean)[:, None] / mean.sum()
    variance = 2.0 * (g**2 @ mean) + steep * bend
    return float(((g @ (q - mean)) ** 2 / variance).sum()), q, mean


@lru_cache(maxsize=8)
def _degrees(buffer: bytes) -> tuple[Array, Array]:
    """Return g (3, m), a polynomial of each degree along r (m,), and ∫(dg/dr)²dr (3,)."""
    r = np.frombuffer(buffer)
    along = 2.0 * (r - r[0]) / (r[-1] - r[0]) - 1.0
    g = np.array([legendre.Legendre.basis(degree)(along) for degree in DEGREES])
    return g, np.asarray(np.trapezoid(np.gradient(g, r, axis=1) ** 2, r, axis=1))


def _uneven(basis: Basis, about: Evidence, found: Estimate, r: Array) -> tuple[str, ...]:
    if unevenness(basis, found, r)[0] < UNEVEN:
        return ()
    firm, some = basis.firm
    chi2, q, mean = unevenness(firm, Estimate.of(firm, found.noise, about.within(some)), r)
    if chi2 < FIRMLY:
        return ()
    thirds = np.array_split(np.arange(r.size), 3)
    power = [float(q[some].sum() / mean[some].sum()) for some in thirds]
    k = int(np.argmax(power))
    low, high = r[thirds[k][0]], r[thirds[k][-1]]
    return (
        f"the residual is more than noise: from {low:.3g} to {high:.3g} Å it has {power[k]:.2g} times the power that "
        "noise, equally strong along r, would have",
    )


def lines(basis: Basis, found: Estimate) -> tuple[float, float]:
    """Return by how many standard errors power is more uneven from one Q to the next than noise, and where most."""
    waves, Q, k = basis.lines, basis.fine, basis.lines.shape[0]
    square = (found.a @ waves) ** 2 / _sizes(basis, found)
    half = round(NEAR * square.size / k)
    if 2 * half + 1 > square.size:
        return 0.0, 0.0
    at, total = np.arange(square.size), np.append(0.0, np.cumsum(square))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, at.size)
    near = (total[high] - total[low]) / (high - low)
    ratio = square / np.maximum(near, 1e-300)
    noise = 3.0 - 6.0 / (2 * NEAR + 3)
    return math.sqrt(k / 24.0) * float((ratio**2).mean() - noise), float(Q[np.argmax(ratio)])


def _sizes(basis: Basis, found: Estimate) -> Array:
    """Return wᵀPw of each wave. But for what parameters take, and for its own size, it goes slowly with Q."""
    waves, Q = basis.lines, basis.fine
    norm, some, few = basis.coarse
    known = np.interp(Q, Q[some], found.known(few) / norm[some]) * norm
    return np.asarray(np.maximum(known - found.shared(waves), ALIKE * known))


def _in_lines(basis: Basis, found: Estimate) -> tuple[str, ...]:
    sigmas, Q = lines(basis, found)
    if sigmas < LINES:
        return ()
    return (
        f"the residual is more than noise: in Q it stands in narrow lines, most at {Q:.3g} Å⁻¹, as peaks of a "
        "crystal do that the model does not have or has elsewhere",
    )


def _held(found: Estimate, fixed: Sequence[Fixed]) -> tuple[str, ...]:
    if not fixed:
        return ()
    slopes = np.column_stack([one.slope for one in fixed])
    known = found.known(slopes)
    own = known - found.shared(slopes)
    pull = -(found.a @ slopes)
    asked: list[Asked] = [
        (float(force) / math.sqrt(size), float(force) / float(size), one)
        for force, size, all_of_it, one in zip(pull, own, known, fixed, strict=True)
        if size > ALIKE * all_of_it and one.can_move(force)
    ]
    ranked = _ranked(asked)
    if not ranked:
        return ()
    sigmas, step, one = ranked[0]
    where = "higher" if step > 0 else "lower"
    others = " or ".join(f"{other.name} ({abs(size):.2g})" for size, _, other in ranked[1:MOST])
    advice = (
        f"; so it does for {others}: free the one that is not known, the instrument first" if others else ": free it"
    )
    return (
        f"the residual is more than noise: it asks for a {where} {one.name} than {one.value:.4g}, where it was held, "
        f"by {abs(sigmas):.2g} standard errors{advice}, or give its right value",
    )


def _ranked(asked: Sequence[Asked]) -> list[Asked]:
    """Return the values that the residual asks for about as much as for any, first what the instrument does.

    What one quantity would take away, others would in part: peaks that broaden with r look much like correlated motion,
    which narrows those at low r.
    """
    most = max((abs(sigmas) for sigmas, _, _ in asked), default=0.0)
    near = [each for each in asked if abs(each[0]) >= max(HELD, RIVAL * most)]
    broad = [each for each in near if each[2].kind in BROAD]
    first = max(broad, key=lambda each: (each[2].value != 0.0, each[2].kind == BROAD[0]), default=None)
    left = [each for each in near if each not in broad]
    left.sort(key=lambda each: (each[2].kind not in INSTRUMENT, -abs(each[0])))
    return left if first is None else [first, *left]
