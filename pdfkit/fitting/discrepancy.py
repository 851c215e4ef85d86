"""Evidence of a model whose atoms need not sit where it has them: displacements δ as a part of the noise.

A cluster that relaxed is no piece of a lattice, and its rigid model misses the data by more than noise, in a way that
is known: G(x + δ) − G(x). With δ normal, its rms over the atoms being τ, residuals in units of the noise σ have the
covariance

    V = σ² + τ² J S Jᵀ + Σ_k τ²ᵏ/k! Σ_p s_p²ᵏ g_p⁽ᵏ⁾ g_p⁽ᵏ⁾ᵀ        k = 2 … `perturbed.LAST`

J: derivatives along every coordinate (`Cluster(moves="atoms")`), S: covariance of δ for τ = 1, s_p² = variance of the
distance of pair p under S, g_p⁽ᵏ⁾ = derivative of order k of its curve along that distance. All belong to the model as
it was fitted, whose U holds the mean broadening by δ (which makes the sum that of Hermite polynomials); orders above,
and what pairs share of those from the second on, are left out.
S keeps bonds: S⁻¹ ∝ 1 + STIFF·B̃ᵀB̃, B̃ = changes of the bond lengths but for their mean, so that atoms with few bonds,
those of the surface, move most.

    ln Z(τ) = −½ fᵀV⁻¹f + ½ gᵀH⁻¹g − ½ ln|V| + ½ m ln 2π − ½ ln|H|,    H = AV⁻¹Aᵀ, g = AV⁻¹f

with A the m slopes in units of their priors: parameters are estimated under V, to first order. τ takes the values of
`SIZES` with equal probability. σ is 1 where the noise is known, else any of NOISES times the size of the data.

Beyond `TRUST` all that falls short, and differences between candidates look more certain than they are: what models
differ by at one τ counts 1/[1 + (τ/TRUST)²] times. TRUST makes the truth likeliest in simulated cases of half of the
sets of Cd37S20, and was tried on the other half (benchmarks/displaced.py).

Patterns beside G(r) are further rows of f, A, J and g: one displacement moves all data. What scales of patterns take
up is projected out of each (`pdfkit.fitting.projection`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from scipy.linalg import block_diag

from pdfkit._checks import Array
from pdfkit._machine import one_thread
from pdfkit.fitting.displacements import Mask
from pdfkit.fitting.evidence import RIDGE, Likelihood
from pdfkit.fitting.parts import Dataset
from pdfkit.fitting.perturbed import Part, orders
from pdfkit.fitting.whitening import Whitening
from pdfkit.phases.cluster import Cluster
from pdfkit.results.result import FitResult

SIZES = np.array([0.0, 0.025, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4])
"""Å: rms displacements of the atoms that are looked at."""
NOISES = np.geomspace(0.003, 1.0, 13)
"""Sizes of a noise that is not known, as parts of the data."""
TRUST = 0.4
"""Å: rms displacement at which differences between models count half."""
SHARE = 0.9
"""Of the probability, what a list has at least. It ends with a whole candidate: lists have 95 % on average.

Cut at 95 % they have 98 %, and hold the truth as often (benchmarks/displaced.py).
"""
MOST_ATOMS = 1000
"""Of a cluster whose atoms are displaced: the cost grows with the cube of their number."""

# --- What that does to the residuals ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Rival:
    """A fitted model, linear about its fit.

    f (k,): residuals, of G(r) and then of the patterns beside it, in units of the errors of the data; slopes (m, k) in
    units of the priors; first (k, k), higher: covariance of f by displacements of 1 Å rms in first order, and in
    each from the second on. target (k,): the data, as independent numbers. names: of data sets, "" is G(r); parts:
    where each has its residuals; known: whether its errors are. taken (k, k): what scales of patterns take of
    residuals, None without patterns; ln_scales: ln of the part of their priors that data leave them. whiten: of each
    G(r), of which there may be several.
    """

    f: Array
    slopes: Array
    first: Array
    higher: tuple[Array, ...]
    target: Array
    whiten: tuple[Whitening, ...]
    names: tuple[str, ...]
    parts: tuple[slice, ...]
    known: tuple[bool, ...]
    taken: Array | None = None
    ln_scales: float = 0.0

    @classmethod
    def of(cls, result: FitResult) -> Rival | None:
        """Return it for a fit of clusters to G(r), and patterns; None where displacements cannot be followed."""
        phases = result.datasets[0].model.phases
        if not all(one.kind == Cluster.kind and len(cast(Cluster, one).particle) <= MOST_ATOMS for one in phases):
            return None
        likelihood = Likelihood.of(result, "misfit")
        sets = likelihood.residuals.sets
        if not all(isinstance(one, Dataset) and one.whiten is not None for one in sets):
            return None
        if len(sets) > 1 and not likelihood.residuals.apart:
            return None
        with one_thread():
            return cls._of(result, likelihood)

    @classmethod
    def _of(cls, result: FitResult, likelihood: Likelihood) -> Rival:
        own, x = likelihood.residuals, result.values
        if own.apart:
            own = own.with_sets([s.resized(1.0) for s in own.sets], [s.resized(1.0) for s in own.patterns])
        values, curves = own.mapping(x)[0], own.last_curves(x)
        known = zip(own.parts, own.rows, curves, strict=True)
        parts = [Part(s, values[rows], G) for s, rows, (G, _) in known]
        beside = list(zip(own.patterns, curves[len(own.sets) :], strict=True))
        whiten = [one.whiten for one in own.sets if one.whiten is not None]
        counts = [one.count for one in own.sets]
        ends = np.cumsum([0, *counts, *(s.band.target.size for s in own.patterns)])
        # What ties and restraints add comes after the residuals.
        rows = own.system(x)[:, : ends[-1]]
        first, higher = orders([one.model for one in result.datasets], parts)
        targets = [one(s.target[None])[0] for one, s in zip(whiten, own.sets, strict=True)]
        return cls(
            rows[-1],
            rows[:-1] * likelihood.width[:, None],
            first,
            higher,
            np.concatenate([*targets, *(s.band.target for s in own.patterns)]),
            tuple(whiten),
            ("", *(s.name for s in own.parts[1:])),
            tuple(slice(int(a), int(b)) for a, b in pairwise(ends)),
            (*(s.has_errors for s in own.sets), *(True for _ in own.patterns)),
            block_diag(np.zeros((sum(counts),) * 2), *(s.taken(G) for s, (G, _) in beside)) if beside else None,
            sum(s.ln_scales(G) for s, (G, _) in beside),
        )

    def residuals(self, simulated: Array) -> Array:
        """Return the residuals (n, k) of other data (n, k), as independent numbers."""
        off = self.target - simulated
        return np.asarray(self.f + (off if self.taken is None else off - off @ self.taken))

    def noises(self, noise: str) -> Array:
        """Return the variances (n, k) of noise that are looked at: where it is "known", and where not ("misfit").

        "misfit of saxs": where it is not known of that alone. Errors that are not known, and what is missed beyond
        those that are, may be any of `NOISES` in units of the data, the same share of all such.
        """
        if noise == "known" and len(self.parts) == 1:
            return np.ones((1, self.f.size))
        out = np.zeros((NOISES.size, self.f.size))
        for name, part, known in zip(self.names, self.parts, self.known, strict=True):
            if known and not missed(name, noise):
                out[:, part] = 1.0
            else:
                share = NOISES[:, None] ** 2 * float((self.target[part] ** 2).mean())
                out[:, part] = share + float(known and len(self.parts) > 1)
        return out[:1] if (out == 1.0).all() else out

    def over_noises(self, residuals: Array, noise: str) -> Array:
        """Return ln Z (n, nsizes) of residuals (n, k) with all noises alike before the data."""
        noises = self.noises(noise)
        found = self.ln_z(residuals, noises)
        return np.asarray(np.logaddexp.reduce(found, axis=2) - math.log(len(noises)))

    def ln_z(self, residuals: Array, noises: Array) -> Array:
        """Return ln Z (n, nsizes, nnoises) of residuals (n, k) for noises of these variances (nnoises, k)."""
        out = np.empty((len(residuals), SIZES.size, len(noises)))
        # Scales of patterns are integrated out: noise that is larger leaves them more room, and residuals less.
        room = 0.0 if self.taken is None else np.log(noises) @ np.diag(self.taken)
        both = np.concatenate([residuals, self.slopes])
        with one_thread():
            for i, size in enumerate(SIZES):
                moved = self.by_displacements(size)
                for j, noise in enumerate(noises):
                    out[:, i, j] = _ln_z(both, len(residuals), moved + np.diag(noise))
        return np.asarray(out + room)

    def by_displacements(self, size: float) -> Array:
        """Return the covariance (k, k) of residuals by displacements of this size (Å rms)."""
        return np.asarray(size**2 * self.first + sum(size ** (2 * k) * C for k, C in enumerate(self.higher, start=2)))

    def table(self) -> dict[str, list[float]]:
        """Return ln Z at every size less that of no displacement, for noise that is "known" or not ("misfit").

        "odds": ln of how much more the data say for a noise of any size than for the one that is known. Beside patterns
        ln Z itself, and also for noise that is not known of one of the data sets.
        """
        if len(self.parts) > 1:
            some = [OF + (name or "G(r)") for name, known in zip(self.names, self.known, strict=True) if known]
            return {
                noise: (self.over_noises(self.f[None], noise)[0] + self.ln_scales).tolist()
                for noise in ("known", "misfit", *some)
            }
        known, misfit = (self.over_noises(self.f[None], noise)[0] for noise in ("known", "misfit"))
        out = {"known": known - known[0], "misfit": misfit - misfit[0], "odds": misfit[:1] - known[0]}
        return {name: [float(one) for one in values] for name, values in out.items()}


OF = "misfit of "


def missed(name: str, noise: str) -> bool:
    """Whether the noise of a data set ("" is G(r)) is what models miss, by the name of a noise."""
    return noise == "misfit" or (noise.startswith(OF) and (name or "G(r)") in noise.removeprefix(OF).split(", "))


def _ln_z(both: Array, count: int, covariance: Array) -> Array:
    """Return ln Z (count,) of residuals, the first rows of both (count + m, k), with slopes behind them."""
    from scipy.linalg.blas import dtrsm
    from scipy.linalg.lapack import dpotrf

    upper = dpotrf(covariance)[0]
    white = dtrsm(1.0, upper, both.T, trans_a=1)
    f, slopes = white[:, :count], white[:, count:]
    m = slopes.shape[1]
    curvature, slope = slopes.T @ slopes + RIDGE * np.eye(m), slopes.T @ f
    gain = 0.5 * (slope * np.linalg.solve(curvature, slope)).sum(axis=0)
    size = 0.5 * (m * math.log(2.0 * math.pi) - np.linalg.slogdet(curvature)[1]) - np.log(np.diag(upper)).sum()
    return np.asarray(gain - 0.5 * (f**2).sum(axis=0) + size)


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


def shortest(probability: Array, share: float = SHARE) -> Mask:
    """Return which models (…, n) are of the smallest set that has at least this share of the probability."""
    order = np.argsort(-probability, axis=-1, kind="stable")
    sums = np.cumsum(np.take_along_axis(probability, order, axis=-1), axis=-1)
    inside = np.concatenate([np.ones_like(sums[..., :1]), sums[..., :-1]], axis=-1)
    inside[..., 0] = 0.0
    out = np.zeros(probability.shape, dtype=np.bool_)
    np.put_along_axis(out, order, inside < share, axis=-1)
    return out
