"""How well a cluster can match, from its pair distances alone: linear maps made once for all candidates.

The sine transform of the pairs of each two elements, F_ab(Q) = Σ_d n_ab(d) sin(Qd)/d · exp(−σ²Q²/2), is a sum of rows
of a table, one row for each distance that occurs; at near distances, where atoms move together, there is a table for
each of five U and three delta2. At each U common to all atoms, and each of 17 expansions, G = Σ w_ab(Q) F_ab(Q) cut at
Qmax is one matrix product, in a basis of as many functions as the range holds independent points. From the best of
these 85, Gauss–Newton steps in expansion, the U of each element and delta2 follow, on what interpolates the tables,
each held to about one step of the grid.

Single precision, distances split between bins of 0.01 Å: this ranks; the stages that follow fit. What is the same for
all candidates of an element and a composition is kept in the worker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from pdfkit import scattering
from pdfkit._checks import Array, IntArray
from pdfkit.kernels import ranking as kernels
from pdfkit.kernels.ranking import Single
from pdfkit.model.weights import form_factors
from pdfkit.particles.counting import count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import BLUR
from pdfkit.screening.candidates import DIRECT_ATOMS, shape_number
from pdfkit.screening.isotopes import plain
from pdfkit.screening.matches import Match
from pdfkit.screening.tasks import (
    DELTA_START,
    EXPANSIONS,
    UISO,
    Problem,
    memory_needed,
    start_model,
)
from pdfkit.transforms.sine import window

WIDTH = 0.01
"""Å, of the bins of distances."""
NEAR = 8.0
"""Å: beyond, correlated motion is left out (6 % of σ² at delta2 = 4 Å²)."""
HIGHEST = 25.0
"""Å⁻¹: data without a cut are compared up to here."""
OVERSAMPLING = 2.0
FACTORS = (0.4, 0.63, 1.0, 1.6, 2.5)
"""U of the tables, as multiples of the start value."""
SMALLEST = 1e-3
"""Functions whose singular value is below this part of the largest say nothing of their own."""
DELTAS = np.array([0.0, 0.4, 0.8])
"""delta1 and delta2 of the tables, as parts of what the shortest bond allows."""
FINE = 4
"""Parts of a step in Q in which integrals are taken."""
STEPS = 3
"""Gauss–Newton steps; more change the order no more."""
RATIO = 0.1
"""Of U and delta2, step of the differences that stand for derivatives."""
LADDER = 1.25
"""Shortest bonds this close (ratio) share their tables."""
MARGIN, FADE = 6.0, 3.0
"""Å: distances so far beyond the last point count, as a cut and a contraction bring them in; of larger particles they
fade out over the last of it."""
SMOOTH = 1.5
"""Å⁻¹: up to here distances beyond the reach are felt."""
TOO_CLOSE = 0.5
"""Å: what is nearer is refused by the model, in its words."""
BATCH = 32
"""Candidates that are multiplied at a time: their curves stay in the cache."""


@dataclass(frozen=True, eq=False)
class Matcher:
    """The maps from distances to misfits of one problem; see the module.

    r, weight, observed : thinned points of the data (nr,), Å and Å⁻², and what they are weighed with.
    """

    problem: Problem
    _tables: dict[Any, Any] = field(default_factory=dict)

    # --- what is the same for all candidates -----------------------------------------------------------------------

    @cached_property
    def shifts(self) -> Array:
        """Expansions that have a map: those that are tried, and between them."""
        if not self.free("expansion"):
            return np.array([self._start("expansion", 0.0)])
        return np.linspace(EXPANSIONS[0], EXPANSIONS[-1], 2 * EXPANSIONS.size - 1)

    def free(self, name: str) -> bool:
        """Return whether a parameter of this name, of any element, is fitted."""
        return any(one.rpartition(".")[2] == name for one in self.problem.fit.free)

    @cached_property
    def us(self) -> Array:
        """Displacements that are tried (Å²), all atoms alike."""
        return np.asarray(self._start("Uiso", UISO) * np.array(FACTORS))

    def _start(self, name: str, default: float) -> float:
        """Return the start value of a parameter; of U by element, the mean of those that are given."""
        found = []
        for pattern, value in self.problem.fit.start.items():
            ending = pattern.rpartition(".")[2]
            if ending == name:
                found.append(float(value))
        return float(np.mean(found)) if found else default

    @cached_property
    def qmax(self) -> float:
        """Where the comparison ends (Å⁻¹)."""
        return min(self.problem.data.instrument.qmax or HIGHEST, HIGHEST)

    @cached_property
    def reach(self) -> float:
        """Largest distance that matters (Å): beyond the last point by what a cut and a contraction bring in."""
        return float(self.problem.data.r[-1]) / (1.0 + float(self.shifts.min())) + MARGIN

    @cached_property
    def Q(self) -> Array:
        """Points of the transforms (nq,), before expansion."""
        step = math.pi / (OVERSAMPLING * self.reach)
        return np.asarray(step * np.arange(math.ceil(self.qmax * (1.0 + float(self.shifts.max())) / step) + 2))

    @cached_property
    def _points(self) -> tuple[Array, Array, Array]:
        every = self.problem.thinning
        data = self.problem.data
        return data.r[::every], self.problem.weight[::every], data.G[::every]

    @cached_property
    def _basis(self) -> Array:
        """Orthonormal functions of r (nr, k) that hold all curves cut at Qmax."""
        r, weight, _ = self._points
        inside = self.Q[self.qmax >= self.Q]
        left, size, _ = np.linalg.svd(np.sin(r[:, None] * inside) * weight[:, None], full_matrices=False)
        return np.asarray(left[:, size > SMALLEST * size[0]])

    @cached_property
    def observed(self) -> tuple[Array, float]:
        """The data in the basis (k,), and the square of their norm."""
        _, weight, G = self._points
        weighted = G * weight
        return self._basis.T @ weighted, float(weighted @ weighted)

    @cached_property
    def maps(self) -> Single:
        """From F(Q) to the basis at each expansion: (ne, nq, k)."""
        from scipy.interpolate import CubicSpline

        r, weight, _ = self._points
        lab = self.problem.data.instrument
        # The ends of an integral lie between two points: what is between them is interpolated.
        fine = np.linspace(0.0, self.Q[-1], FINE * (self.Q.size - 1) + 1)
        between = CubicSpline(self.Q, np.eye(self.Q.size))(fine).T
        out = []
        for stretch in (1.0 + self.shifts).tolist():
            Q = fine / stretch
            cut = _trapezoid(fine, lab.qmin * stretch, self.qmax * stretch)
            if lab.window != "none":
                cut = cut * window(lab.window, np.minimum(Q, self.qmax), self.qmax, lab.window_width)
            out.append(between @ (((np.sin(np.outer(Q, r)) * weight) @ self._basis) * cut[:, None]))
        return np.array(out, dtype=np.float32)

    @cached_property
    def _thermal(self) -> Single:
        """exp(−UQ²) (nu, nq)."""
        return np.asarray(np.exp(-np.outer(self.us, self.Q**2)), dtype=np.float32)

    @cached_property
    def _far(self) -> Single:
        """sin(Qd)/d with the envelope and the resolution of the instrument (nbins, nq): both act before the cut."""
        d = WIDTH * np.arange(math.ceil(self.reach / WIDTH) + 2)
        d[0] = WIDTH  # no pair is there
        lab, Q = self.problem.data.instrument, self.Q
        lost = (0.5 * lab.resolution**2 + self.us[self.us.size // 2] * lab.qbroad**2) * d**2
        size = np.exp(-0.5 * (lab.qdamp * d) ** 2) / d
        return np.asarray(np.sin(np.outer(d, Q)) * size[:, None] * np.exp(-np.outer(lost, Q**2)), dtype=np.float32)

    @cached_property
    def _faded(self) -> Single:
        """The same for particles that go on beyond the reach."""
        left = np.clip((self.reach - WIDTH * np.arange(len(self._far))) / FADE, 0.0, 1.0)
        return np.asarray(self._far * (left**2 * (3.0 - 2.0 * left))[:, None], dtype=np.float32)

    def _near(self, bond: float) -> Single:
        """Return the same at short distances with U and correlated motion: (ndelta·nu, nnear, nq); bond : a rung."""
        if bond not in self._tables:
            self._tables[bond] = self._near_at(bond)
        found: Single = self._tables[bond]
        return found

    def _near_at(self, bond: float) -> Single:
        far = self._far[: min(int(NEAR / WIDTH), len(self._far))]
        d = np.maximum(WIDTH * np.arange(len(far)), TOO_CLOSE)
        out = []
        for part in self._parts(bond, bond)[0]:
            left = np.maximum(1.0 - part * (bond / d) ** self._power, 0.03)
            out.append(np.exp(-self.us[:, None, None] * left[None, :, None] * self.Q**2) * far)
        return np.asarray(np.concatenate(out), dtype=np.float32)

    @cached_property
    def _power(self) -> int:
        """Of 1/r in correlated motion: 1 where delta1 is asked for, else 2."""
        return 1 if self.free("delta1") or self._start("delta1", 0.0) else 2

    def _parts(self, rung: float, bond: float) -> tuple[Array, float]:
        """Return correlated motion in units of rung^power: that of the tables, and that with which a fit begins."""
        name = f"delta{self._power}"
        usual = DELTA_START[name] * 0.97 * bond**self._power if self.free(name) else 0.0
        first = self._start(name, usual) / rung**self._power
        return (DELTAS, first) if self.free(name) else (np.array([first]), first)

    def _weights(self, elements: tuple[str, ...], counts: tuple[int, ...]) -> tuple[Single, Array, IntArray]:
        """Return w_ab(Q) of pairs (npairs, nq), what each atom by itself takes away (nq,), and the index of pairs."""
        key = elements, counts
        if key not in self._tables:
            self._tables[key] = self._weights_of(elements, np.array(counts, dtype=float))
        found: tuple[Single, Array, IntArray] = self._tables[key]
        return found

    def _weights_of(self, elements: tuple[str, ...], counts: Array) -> tuple[Single, Array, IntArray]:
        lab = self.problem.data.instrument
        plain = lab.scattering == "constant" or lab.probe == "N"
        Q = None if plain else np.minimum(self.Q, scattering.QMAX_TABLES)
        f = form_factors(elements, lab, {}, Q)
        f = f.reshape(len(elements), -1) * np.ones((1, self.Q.size))
        first, second = np.triu_indices(len(elements))
        mean = counts / counts.sum() @ f
        square = scattering.product(mean, mean)
        weights = scattering.product(f[first], f[second]) / square * (2.0 / counts.sum())
        index = np.zeros((len(elements),) * 2, dtype=np.int64)
        index[first, second] = index[second, first] = np.arange(first.size)
        own = (counts[:, None] * scattering.product(f, f)).sum(axis=0) / square / counts.sum()
        return weights.astype(np.float32), own, index

    def _high(self, whole: bool) -> tuple[Array, Array]:
        """Return what is left of F, and what of each atom is taken away (nq,).

        A model without Qmin loses its pairs blurred, and each atom with itself; so does what is not whole here, whose
        small-angle signal is not known.
        """
        if whole and (self.problem.data.instrument.qmin > 0 or self.problem.fit.baseline == "none"):
            return np.ones(self.Q.size), np.zeros(self.Q.size)
        blurred = np.exp(-0.5 * BLUR**2 * self.Q**2)
        return 1.0 - blurred, self.Q * blurred

    # --- candidates ------------------------------------------------------------------------------------------------

    def matches(self, particles: list[Particle]) -> list[Match]:
        """Return the match of each particle. Raises what its model raises for one that cannot be computed."""
        out: list[Match] = []
        for low in range(0, len(particles), BATCH):
            found = [self._sums(plain(particle, self.problem)) for particle in particles[low : low + BATCH]]
            out += self._best(found)
        return out

    def _sums(self, particle: Particle) -> _Sums:
        counts = np.bincount(particle.kind, minlength=len(particle.elements))
        weights, own, index = self._weights(particle.elements, tuple(counts.tolist()))
        bins = np.zeros((len(weights), len(self._far)), dtype=np.float32)
        nearest, farthest, total = self._binned(particle, index, bins)
        if len(particle) < 2 or nearest < TOO_CLOSE or memory_needed(particle, 5) > self.problem.fit.memory:
            start_model(particle, self.problem)
        rung = LADDER ** round(math.log(max(nearest, TOO_CLOSE)) / math.log(LADDER))
        table, whole = self._near(rung), farthest <= self.reach
        far = np.zeros((len(weights), self.Q.size), dtype=np.float32)
        near = np.zeros((len(table), *far.shape), dtype=np.float32)
        kernels.pair_sums(bins, self._far if whole else self._faded, table, far, near)
        keep, less = self._high(whole)
        weights = weights * keep.astype(np.float32)
        far *= weights
        near *= weights
        about = (_pairs(len(counts)), whole, rung, nearest, shape_number(particle, total))
        return _Sums(far, near, np.asarray(own * less, dtype=np.float32), *about)

    def _binned(self, particle: Particle, index: IntArray, bins: Single) -> tuple[float, float, int]:
        if len(particle) <= DIRECT_ATOMS:
            return kernels.pair_bins(particle.xyz, particle.kind, index, WIDTH, bins)
        table = count_pairs(particle, rmax=self.reach)
        at = table.distance / WIDTH
        low = np.minimum(at.astype(np.int64), bins.shape[1] - 2)
        code = np.array([index[pair] for pair in table.pairs])[table.pair]
        part = np.minimum(at - low, 1.0)
        np.add.at(bins, (code, low), (table.count * (1.0 - part)).astype(np.float32))
        np.add.at(bins, (code, low + 1), (table.count * part).astype(np.float32))
        known = blake2b(np.round(table.distance, 4).tobytes() + table.count.tobytes(), digest_size=8).digest()
        return float(table.distance.min()), particle.extent(), int.from_bytes(known, "little")

    # --- the best point of the grid, and from there -----------------------------------------------------------------

    def _best(self, found: list[_Sums]) -> list[Match]:
        us, es = self._on_the_grid(found)
        points = [self._begun(one, int(u)) for one, u in zip(found, us, strict=True)]
        e = es.astype(float)
        for _ in range(STEPS):
            misfit, steps = self._step(found, points, e)
            for one, point, step in zip(found, points, steps, strict=True):
                self._move(one, point, step[1:])
            if self.shifts.size > 1:
                e = np.clip(e + np.clip(steps[:, 0], -2.0, 2.0), 0.0, self.shifts.size - 1.0)
        rw = np.sqrt(np.clip(misfit / self.observed[1], 0.0, 1.0))
        expansions = np.interp(e, np.arange(self.shifts.size), self.shifts)
        return [
            Match(float(w), float(x), float(np.exp(point[:-1].mean())), one.shape)
            for w, x, point, one in zip(rw, expansions, points, found, strict=True)
        ]

    def _on_the_grid(self, found: list[_Sums]) -> tuple[IntArray, IntArray]:
        """Return the indices of U and of the expansion (n,) where scale × curve comes nearest to the data."""
        middle = [self._middle(one) for one in found]
        curves = np.array([(one.far * self._thermal[:, None] + near).sum(axis=1) - one.own
                           for one, near in zip(found, middle, strict=True)])  # fmt: skip
        n, nu, nq = curves.shape
        G = (curves.reshape(n * nu, nq) @ self._flat).reshape(n, nu, -1, self.maps.shape[2])
        gd, gg = G @ self.observed[0].astype(np.float32), np.einsum("nuek,nuek->nue", G, G)
        gain = (np.maximum(gd, 0.0) ** 2 / np.maximum(gg, 1e-30)).reshape(n, -1)
        us, es = np.divmod(gain.argmax(axis=1), G.shape[2])
        return (us, 2 * es) if self.free("Uiso") else (np.full(n, self.us.size // 2), 2 * es)

    def _middle(self, one: _Sums) -> Single:
        """Return the near sums (nu, npairs, nq) at the correlated motion that fits begin with, or next to it."""
        parts, first = self._parts(one.rung, one.bond)
        k = int(np.abs(parts - first).argmin())
        return one.near[k * self.us.size : (k + 1) * self.us.size]

    @cached_property
    def _flat(self) -> Single:
        """The maps of the expansions that are tried side by side (nq, ne·k)."""
        return np.ascontiguousarray(np.moveaxis(self.maps[::2], 0, 1).reshape(self.Q.size, -1))

    def _begun(self, one: _Sums, u: int) -> Array:
        """Return the first point of a candidate: ln U of each element and correlated motion."""
        elements = int(one.pairs.max()) + 1
        return np.array([*[math.log(self.us[u])] * elements, self._parts(one.rung, one.bond)[1]])

    def _move(self, one: _Sums, point: Array, step: Array) -> None:
        """Take a step within the tables."""
        if self.free("Uiso"):
            moved = point[:-1] + RATIO * np.clip(step[: point.size - 1], -6.0, 6.0)
            point[:-1] = np.clip(moved, math.log(0.7 * self.us[0]), math.log(1.4 * self.us[-1]))
        if self.free(f"delta{self._power}"):
            most = 0.97 * (one.bond / one.rung) ** self._power
            point[-1] = np.clip(point[-1] + RATIO * np.clip(step[point.size - 1], -4.0, 4.0), 0.0, most)

    @cached_property
    def _nodes(self) -> tuple[Single, Array]:
        """Q² in single precision, and ln U of the tables."""
        return np.asarray(self.Q**2, dtype=np.float32), np.log(self.us)

    def _directions(self, one: _Sums, point: Array) -> Single:
        """Return the transform at a point and its changes (1 + n, nq) by RATIO of each number that is free."""
        parts, _ = self._parts(one.rung, one.bond)
        steps = np.full(point.size, RATIO if self.free("Uiso") else 0.0)
        motion = RATIO if point[-1] < 0.5 else -RATIO
        steps[-1] = motion if self.free(f"delta{self._power}") else 0.0
        out = np.empty((1 + point.size, self.Q.size), dtype=np.float32)
        Q2, lnu = self._nodes
        kernels.near_a_point(one.far, one.near, Q2, one.pairs, lnu, parts, point, steps, out)
        out[0] -= one.own
        return out

    def _step(self, found: list[_Sums], points: list[Array], e: Array) -> tuple[Array, Array]:
        """Return the squared misfit (n,) after a step, and the step (n, m): of expansion, ln U of elements, motion."""
        d, dd = self.observed
        width, more = max(point.size for point in points) + 2, len(self._smooth)
        D = np.zeros((len(found), width + more * (not all(one.whole for one in found)), d.size))
        for to, one, point, at in zip(D, found, points, e.tolist(), strict=True):
            k = min(max(round(at), 0), self.shifts.size - 1)
            rows = self._directions(one, point)
            G = rows @ self.maps[k]
            slope = rows[0] @ self._slopes[k]
            to[0] = G[0] + (at - k) * slope
            to[1] = slope
            to[2 : 1 + len(rows)] = G[1:]
            if not one.whole:
                to[width:] = self._smooth
        size = np.maximum(np.einsum("nk,nk->n", D[:, 0], D[:, 0]), 1e-30)
        scale = np.maximum(D[:, 0] @ d, 0.0) / size
        D[:, 1:width] *= scale[:, None, None]
        A, b = D @ D.transpose(0, 2, 1), D @ d
        # Steps are held to about one step of the grid, by what that explains of the misfit per point.
        ridge = np.maximum(dd - scale**2 * size, 0.0) / d.size
        held = np.array([1e-12, 0.25, *[0.03] * (width - 2), *[1e-9] * (D.shape[1] - width)])
        A[:, np.arange(held.size), np.arange(held.size)] += held * ridge[:, None] + 1e-30
        x = np.linalg.solve(A, b[..., None])[..., 0]
        left = d - np.einsum("nm,nmk->nk", x, D)
        out = dd - float(d @ d) + np.einsum("nk,nk->n", left, left)
        return out, x[:, 1:width] / np.maximum(x[:, :1] / np.maximum(scale, 1e-30)[:, None], 0.1)

    @cached_property
    def _smooth(self) -> Array:
        """What distances beyond the reach may add (m, k): the lowest frequencies, of any size."""
        r, weight, _ = self._points
        step = math.pi / float(np.ptp(r))
        lowest = np.arange(step, SMOOTH, step)
        return np.asarray((np.sin(np.outer(lowest, r)) * weight) @ self._basis)

    @cached_property
    def _slopes(self) -> Single:
        """Change of the maps (ne, nq, k) by one step of the expansion."""
        if self.shifts.size == 1:
            return np.zeros_like(self.maps)
        return np.asarray(np.gradient(self.maps, axis=0), dtype=np.float32)


class _Sums(NamedTuple):
    """Sums over the pairs of one candidate.

    far (npairs, nq) without U; near (ndelta·nu, npairs, nq); own (nq,) what is taken away; pairs (npairs, 2) elements;
    whole : whether all distances are within reach. rung : Å, shortest bond of the tables; bond : Å, the shortest
    distance; shape : the number of its distances.
    """

    far: Single
    near: Single
    own: Single
    pairs: IntArray
    whole: bool
    rung: float
    bond: float
    shape: int


def _pairs(elements: int) -> IntArray:
    return np.column_stack(np.triu_indices(elements))


def _trapezoid(Q: Array, low: float, high: float) -> Array:
    """Return the weights of an integral from low to high over what is linear between the points Q = k·step."""
    step = float(Q[1])

    def up_to(x: float) -> Array:
        t = np.clip((x - Q) / step, -1.0, 1.0)
        return step * np.where(t < 0, 0.5 * (t + 1.0) ** 2, 1.0 - 0.5 * (1.0 - t) ** 2)

    return np.asarray(up_to(high) - up_to(low))
