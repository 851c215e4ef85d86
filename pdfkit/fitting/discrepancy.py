"""Evidence of a model whose atoms need not sit where it has them: displacements δ as a part of the noise.

A cluster that relaxed is no piece of a lattice, and its rigid model misses the data by more than noise, in a way that
is known: G(x + δ) − G(x). With δ normal, its rms over the atoms being τ, residuals in units of the noise σ have the
covariance

    V = σ² + τ² J S Jᵀ + ½ τ⁴ Σ s_p⁴ g″_p g″_pᵀ

J: derivatives along every coordinate (`Cluster(moves="atoms")`), S: covariance of δ for τ = 1, s_p² = variance of the
distance of pair p under S, g″_p = second derivative of its curve along that distance. Both belong to the model as it
was fitted, whose U holds the mean broadening by δ; higher orders, and what pairs share of the second, are left out.
S keeps bonds: S⁻¹ ∝ 1 + STIFF·B̃ᵀB̃, B̃ = changes of the bond lengths but for their mean, so that atoms with few bonds,
those of the surface, move most.

    ln Z(τ) = −½ fᵀV⁻¹f + ½ gᵀH⁻¹g − ½ ln|V| + ½ m ln 2π − ½ ln|H|,    H = AV⁻¹Aᵀ, g = AV⁻¹f

with A the m slopes in units of their priors: parameters are estimated under V, to first order. τ takes the values of
`SIZES` with equal probability. σ is 1 where the noise is known, else any of NOISES times the size of the data.

Beyond `TRUST` both orders fall short, and differences between candidates look more certain than they are: what models
differ by at one τ counts 1/[1 + (τ/TRUST)²] times. TRUST was chosen by some 120 simulated
cases of four kinds of displacement (benchmarks/displaced.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pdfkit import scattering, transforms
from pdfkit._checks import Array, IntArray
from pdfkit._machine import one_thread
from pdfkit.fitting.evidence import RIDGE, Likelihood
from pdfkit.fitting.parts import Dataset
from pdfkit.fitting.whitening import Whitening
from pdfkit.model.model import Model
from pdfkit.phases.base import Phase
from pdfkit.phases.cluster import Cluster
from pdfkit.results.result import FitResult

SIZES = np.array([0.0, 0.025, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4])
"""Å: rms displacements of the atoms that are looked at."""
NOISES = np.geomspace(0.003, 1.0, 13)
"""Sizes of a noise that is not known, as parts of the data."""
TRUST = 0.4
"""Å: rms displacement at which differences between models count half."""
STIFF = 20.0
"""How much dearer a change of a bond length is than a displacement by as much."""
BONDED = 1.2
"""Atoms are bonded within so many times the distance of the nearest neighbour of either."""
MOST_ATOMS = 400
"""Of a cluster whose atoms are displaced: the cost grows with the cube of their number."""
BIN = 0.1
"""Å: distances this close have one second derivative."""
STEPS = 2.5
"""Points in Q for every π/r of the largest distance."""


Mask = NDArray[np.bool_]

# --- How atoms are displaced -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of a particle: first, second (m,) atoms, distance (m,) in Å, direction (m, 3)."""

    first: IntArray
    second: IntArray
    distance: Array
    direction: Array

    @classmethod
    def of(cls, xyz: Array) -> Pairs:
        """Return the pairs of atoms at xyz (n, 3)."""
        first, second = np.triu_indices(len(xyz), 1)
        step = xyz[first] - xyz[second]
        distance = np.sqrt((step**2).sum(axis=1))
        return cls(first, second, distance, step / distance[:, None])

    @property
    def bonded(self) -> Mask:
        """Which pairs are bonds (m,)."""
        nearest = np.full(int(self.second.max()) + 1, math.inf)
        np.minimum.at(nearest, self.first, self.distance)
        np.minimum.at(nearest, self.second, self.distance)
        return np.asarray(self.distance <= BONDED * np.maximum(nearest[self.first], nearest[self.second]))


def covariance(pairs: Pairs, stiff: float = STIFF) -> Array:
    """Return S (3n, 3n) in Å² for displacements of rms 1 Å that keep bonds; stiff=0: each atom by itself."""
    n = int(pairs.second.max()) + 1
    bonds = np.flatnonzero(pairs.bonded)
    changes = np.zeros((bonds.size, n, 3))
    rows = np.arange(bonds.size)
    changes[rows, pairs.first[bonds]] = pairs.direction[bonds]
    changes[rows, pairs.second[bonds]] = -pairs.direction[bonds]
    flat = changes.reshape(bonds.size, 3 * n)
    flat -= flat.mean(axis=0)
    out = np.linalg.inv(np.eye(3 * n) + stiff * flat.T @ flat)
    return np.asarray(out * (n / np.trace(out)))


def _pair_variance(pairs: Pairs, spread: Array) -> Array:
    """Return s² (m,) of the distance of every pair under S."""
    n = spread.shape[0] // 3
    blocks = spread.reshape(n, 3, n, 3).transpose(0, 2, 1, 3)
    i, j = pairs.first, pairs.second
    both = blocks[i, i] + blocks[j, j] - blocks[i, j] - blocks[j, i]
    return np.asarray(np.einsum("pa,pab,pb->p", pairs.direction, both, pairs.direction))


def root(xyz: Array, stiff: float = STIFF) -> Array:
    """Return what makes displacements (3n,) of 1 Å rms of independent normal numbers (3n,)."""
    return np.asarray(np.linalg.cholesky(covariance(Pairs.of(xyz), stiff)))


# --- What that does to the residuals ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rival:
    """A fitted model, linear about its fit. f (k,): residuals; slopes (m, k) in units of the priors; first, second (k,
    k): covariance of f by displacements of 1 Å rms in first order, and of second. target (k,): the data, whitened by
    `whiten`.
    """

    f: Array
    slopes: Array
    first: Array
    second: Array
    target: Array
    whiten: Whitening

    @classmethod
    def of(cls, result: FitResult) -> Rival | None:
        """Return it for a fit of clusters to G(r); None where displacements cannot be followed."""
        if result.patterns:
            return None
        likelihood = Likelihood.of(result, "misfit")
        sets = likelihood.residuals.sets
        if len(sets) != 1 or not isinstance(sets[0], Dataset) or sets[0].whiten is None:
            return None
        data, phases = sets[0], result.datasets[0].model.phases
        whiten = data.whiten
        assert whiten is not None
        if not all(one.kind == Cluster.kind and len(cast(Cluster, one).particle) <= MOST_ATOMS for one in phases):
            return None
        with one_thread():
            # What ties and restraints add comes after the residuals.
            rows = likelihood.residuals.system(result.values)[:, : data.count]
            first, second = _covariances(result.datasets[0].model, data, whiten)
            target = whiten(data.target[None])[0]
        return cls(rows[-1], rows[:-1] * likelihood.width[:, None], first, second, target, whiten)

    @property
    def noises(self) -> Array:
        """The sizes of a noise that is not known."""
        return np.asarray(NOISES * math.sqrt(float((self.target**2).mean())))

    @cached_property
    def axes(self) -> list[tuple[Array, Array, Array]]:
        """For every size the variances (k,) by displacement along their axes, these (k, k), and slopes along them."""
        out = []
        with one_thread():
            for size in SIZES:
                values, vectors = np.linalg.eigh(size**2 * self.first + size**4 * self.second)
                out.append((np.maximum(values, 0.0), vectors, self.slopes @ vectors))
        return out

    def ln_z(self, residuals: Array, noises: Array) -> Array:
        """Return ln Z (n, nsizes, nnoises) of residuals (n, k) for noise of these sizes."""
        out = np.empty((residuals.shape[0], SIZES.size, noises.size))
        with one_thread():
            for i, (variance, vectors, slopes) in enumerate(self.axes):
                out[:, i] = _ln_z(residuals @ vectors, slopes, variance + noises[:, None] ** 2)
        return out

    def table(self) -> dict[str, list[float]]:
        """Return ln Z at every size less that of no displacement, for noise that is "known" or not ("misfit").

        "odds": ln of how much more the data say for a noise of any size than for the one that is known.
        """
        known = self.ln_z(self.f[None], np.ones(1))[0, :, 0]
        misfit = self.ln_misfit(self.f[None])[0]
        differences = {"known": known - known[0], "misfit": misfit - misfit[0], "odds": misfit[:1] - known[0]}
        return {name: [float(one) for one in values] for name, values in differences.items()}

    def ln_misfit(self, residuals: Array) -> Array:
        """Return ln Z (n, nsizes) with the size of the noise integrated out."""
        found = self.ln_z(residuals, self.noises)
        return np.asarray(np.logaddexp.reduce(found, axis=2) - math.log(NOISES.size))


def _ln_z(along: Array, slopes: Array, variance: Array) -> Array:
    """Return ln Z (n, nnoises) of residuals (n, k) with independent components of these variances (nnoises, k)."""
    m = slopes.shape[0]
    weighed = slopes / variance[:, None, :]
    curvature = weighed @ slopes.T + RIDGE * np.eye(m)
    slope = weighed @ along.T
    gain = 0.5 * (slope * np.linalg.solve(curvature, slope)).sum(axis=1).T
    size = 0.5 * (m * math.log(2.0 * math.pi) - np.linalg.slogdet(curvature)[1] - np.log(variance).sum(axis=1))
    return np.asarray(gain - 0.5 * along**2 @ (1.0 / variance).T + size)


def _covariances(model: Model, data: Dataset, whiten: Whitening) -> tuple[Array, Array]:
    """Return the covariance (k, k) of whitened residuals for 1 Å rms, of first order and of second."""
    r = data.data.r[whiten.index]
    moved = [moving(phase) for phase in model.phases]
    free = Model(moved, model.instrument, model.convention, model.strengths)
    evaluate, values = free.evaluator(r, end=float(data.data.r[-1])), free.values
    k = whiten.matrix.shape[0]
    first, second, start = np.zeros((k, k)), np.zeros((k, k)), 0
    for phase in moved:
        pairs = Pairs.of(phase.particle.xyz)
        spread = covariance(pairs)
        tangents = np.zeros((values.size, 3 * len(phase.particle)))
        tangents[start + phase.moving.start + np.arange(tangents.shape[1]), np.arange(tangents.shape[1])] = 1.0
        columns = whiten(np.ascontiguousarray(evaluate(values, tangents)[1]))
        first += columns.T @ spread @ columns
        curved = whiten(_curved(phase, pairs, spread, model, r))
        second += curved.T @ curved
        start += len(phase.quantities)
    return first, second


def moving(phase: Phase) -> Cluster:
    """Return a cluster whose atoms can be displaced."""
    return replace(cast(Cluster, phase), moves="atoms", amplitudes=())


def _curved(phase: Cluster, pairs: Pairs, spread: Array, model: Model, r: Array) -> Array:
    """Return √½·s²·g″ (nbins, nr) of pairs at the same distances: second derivatives, in Q as −Q² times the Debye sum.

    The damping is that at the distance of the pair.
    """
    particle, about = phase.particle, model.instrument
    kinds = len(particle.elements)
    low, high = np.sort(np.stack([particle.kind[pairs.first], particle.kind[pairs.second]]), axis=0)
    kind = (low * kinds - low * (low - 1) // 2 + high - low).astype(np.int64)
    distance = pairs.distance * (1.0 + phase.expansion)
    bins, place = np.unique(kind * 100_000 + np.round(distance / BIN).astype(np.int64), return_inverse=True)
    count = np.bincount(place)
    d, of = np.bincount(place, distance) / count, bins // 100_000
    weight = np.bincount(place, _pair_variance(pairs, spread) ** 2)
    labels = phase._labels[1]
    u = np.array([phase.Uiso[name] for name in phase.classes])[labels]
    width = np.bincount(place, u[pairs.first] + u[pairs.second]) / count
    width = np.maximum(width * (1.0 - phase.delta1 / d - phase.delta2 / d**2), 1e-4)
    qmax = about.qmax or math.inf
    points = math.ceil((qmax - about.qmin) * STEPS * max(float(d.max()), float(r[-1])) / math.pi)
    Q, step = np.linspace(about.qmin, qmax, points, retstep=True)
    constant = model.convention.scattering_of(about) == "constant"
    fractions = np.bincount(particle.kind, minlength=kinds) / len(particle)
    weights = scattering.q_weights(
        [str(one) for one in particle.elements], fractions, str(about.probe), np.zeros(1) if constant else Q
    )
    window = transforms.window(about.window, Q, qmax, about.window_width)
    damped = phase.scale * np.exp(-0.5 * (about.qdamp * d) ** 2) / d
    waves = np.sin(np.outer(d, Q)) * np.exp(-0.5 * np.outer(width, Q**2)) * weights[of] * (Q**2 * window)
    amplitude = 2.0 / len(particle) * np.sqrt(0.5 * weight) * damped
    return np.asarray(amplitude[:, None] * waves @ (np.sin(np.outer(Q, r)) * (2.0 / math.pi * step)))


# --- Over all sizes --------------------------------------------------------------------------------------------------


def tempered(lnz: Array) -> Array:
    """Return ln Z (…, nmodels, nsizes) with differences between models as far as displacements are understood."""
    best = lnz.max(axis=-2, keepdims=True)
    trust = 1.0 / (1.0 + (SIZES / TRUST) ** 2)
    return np.asarray(best + trust * (lnz - best))


def over_sizes(lnz: Array, size: float | None = None) -> Array:
    """Return ln Z (…,) of (…, nsizes) for a size that is not known, or for one (Å rms)."""
    if size is None:
        return np.asarray(np.logaddexp.reduce(lnz, axis=-1) - math.log(SIZES.size))
    at = float(np.interp(size, SIZES, np.arange(SIZES.size)))
    low = min(int(at), SIZES.size - 2)
    return np.asarray(lnz[..., low] * (low + 1 - at) + lnz[..., low + 1] * (at - low))


def probabilities(lnz: Sequence[float] | Array) -> Array:
    """Return the probabilities (n,) of models with these ln Z, equal before the data."""
    found = np.exp(np.asarray(lnz) - np.max(lnz, axis=-1, keepdims=True))
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def of_families(probability: Array, families: Sequence[str]) -> tuple[list[str], Array]:
    """Return the families of models and their probabilities (…, m), equal before the data however many each has."""
    names = sorted(set(families))
    member = np.array([[float(one == name) for name in names] for one in families])
    found = probability @ (member / member.sum(axis=0))
    return names, np.asarray(found / found.sum(axis=-1, keepdims=True))


def shortest(probability: Array, share: float = 0.95) -> Mask:
    """Return which models (…, n) are of the smallest set that has this share of the probability."""
    order = np.argsort(-probability, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probability, order, axis=-1), axis=-1)
    inside = np.concatenate([np.ones_like(sums[..., :1]), sums[..., :-1]], axis=-1)
    inside[..., 0] = 0.0
    out = np.zeros(probability.shape, dtype=np.bool_)
    np.put_along_axis(out, order, inside < share, axis=-1)
    return out
