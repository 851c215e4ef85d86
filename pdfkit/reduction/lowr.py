"""What is known of G(r) where no two atoms are, and how well a reduction meets it.

Below the nearest distance G = −4πρ₀r. There F(Q) is tested without a model: an error of the intensities that changes
slowly with Q (absorption, detector, Compton scattering, fluorescence) is a ripple of G(r) at small r, while peaks come
later. What peaks do at small r all the same is known well enough to be counted as an error: termination, and the change
of f_a(Q)f_b(Q)/⟨f(Q)⟩² with Q, which gives each peak of X-rays tails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pdfkit import scattering, transforms
from pdfkit._checks import Array

# Pairs up to here reach noticeably below the first peak.
_FAR = 8.0  # Å
# Points per Å⁻¹ that sums over smooth functions of Q need at these r.
_FINE = 14
# S below the first Q is taken to be 0, give or take this.
_UNSEEN = 0.3
# A first peak stands out by this part of the highest: Ce–O reaches a tenth of Ce–Ce.
_SEEN = 0.03
# Of the rms of G(r): what quadrature and tables leave.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Atoms:
    """What scatters: the share of each species, and the probe."""

    fractions: Mapping[str, float]
    probe: str


@dataclass(frozen=True)
class LowR:
    """G(r) = W·F on r (m,), where no two atoms are, with a Gaussian modification.

    W (m, n). unseen (m,): what F = −Q below the first Q adds. leak (m, q): what peaks further out do here, each column
    for an amplitude of 1 Å⁻².
    """

    r: Array
    W: Array
    unseen: Array
    leak: Array

    def systematic(self, level: float) -> Array:
        """Return the covariance (m, m) of what is not −4πρ₀r though nothing is wrong, for peaks of rms `level`."""
        peaks = level**2 * (self.leak @ self.leak.T) + (_RIDGE * level) ** 2 * np.eye(self.r.size)
        return np.asarray(peaks + _UNSEEN**2 * np.outer(self.unseen, self.unseen))


def low_r(Q: Array, atoms: Atoms, end: float) -> LowR:
    """Return what there is to know below `end` (Å) of F on Q (n,); the last few are kept."""
    return _low_r(Q.tobytes(), tuple(atoms.fractions.items()), atoms.probe, end)


@lru_cache(maxsize=8)
def _low_r(points: bytes, fractions: tuple[tuple[str, float], ...], probe: str, end: float) -> LowR:
    Q, atoms = np.frombuffer(points), Atoms(dict(fractions), probe)
    step = math.pi / (2 * float(Q[-1]))
    r: Array = step * np.arange(1, max(3, int(end / step)) + 1, dtype=np.float64)
    W = transform(Q, r)
    below = np.linspace(0.0, float(Q[0]), 100)
    unseen = -2 / math.pi * np.sin(np.outer(r, below)) @ (transforms.trapezoids(below) * below)
    distances = np.arange(r[-1] + step, max(_FAR, r[-1] + 3.0), 2 * step)
    few = np.linspace(Q[0], Q[-1], max(100, math.ceil(_FINE * (Q[-1] - Q[0]))))
    waves, coarse = 2 * step * np.sin(np.outer(few, distances)), transform(few, r)
    leak = [(coarse * share) @ waves for share in _shares(few, atoms)]
    return LowR(r, W, unseen, np.concatenate(leak, axis=1))


def transform(Q: Array, r: Array) -> Array:
    """Return the matrix (m, n) that makes G on r of F on Q, with a Gaussian modification."""
    weight = transforms.window("gaussian", Q, float(Q[-1])) * np.gradient(Q)
    return np.asarray(2 / math.pi * weight * np.sin(np.outer(r, Q)))


def _shares(Q: Array, atoms: Atoms) -> list[Array]:
    """Return f_a f_b/⟨f⟩² of every pair of species over its mean in Q."""
    f = [scattering.form_factor(name, atoms.probe, Q) for name in atoms.fractions]
    mean = np.tensordot(np.array(list(atoms.fractions.values())), np.stack(f), axes=1)
    pairs = [f[i] * f[j] / mean**2 for i in range(len(f)) for j in range(i, len(f))]
    return [pair / np.mean(pair) for pair in pairs]


# --- Where the first atoms are ---------------------------------------------------------------------------------------


def nearest_possible(fractions: Mapping[str, float]) -> float:
    """Return a distance (Å) that no pair of these species comes near: 0.6 of twice the smallest covalent radius."""
    radii = [getattr(scattering._entry(name), "covalent_radius", None) or 1.0 for name in fractions]
    return max(0.4, 1.2 * min(radii))


def foot(Q: Array, F: Array, atoms: Atoms) -> float:
    """Return where the first peak of G(r) begins (Å), by F and by what the species allow."""
    from scipy.signal import find_peaks

    least = nearest_possible(atoms.fractions)
    lengths = [scattering.scattering_strength(name, atoms.probe) for name in atoms.fractions]
    hydrogen = any(scattering._entry(name).number == 1 for name in atoms.fractions)
    if min(lengths) < 0 or hydrogen:  # a negative or a tiny first peak is not seen as one
        return min(least, 0.65)
    r = np.arange(0.9 * least, _FAR, 0.02)
    G = transform(Q, r) @ F
    # A ripple that is taken for a peak costs a little of the range; a peak that is not seen is taken for an error.
    peaks = find_peaks(G, prominence=_SEEN * G.max())[0]
    return max(least, float(r[peaks[0]]) - 0.17 - math.pi / float(Q[-1])) if peaks.size else least


def strength(Q: Array, F: Array, end: float) -> float:
    """Return the rms of G(r) in the 2 Å beyond `end`: how strong the first peaks are."""
    G = transform(Q, np.arange(end, end + 2.0, math.pi / (2 * float(Q[-1])))) @ F
    return float(np.sqrt(np.mean(G**2)))
