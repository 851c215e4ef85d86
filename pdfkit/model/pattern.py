"""I(Q) of phases as a measured pattern has it, for any values of their quantities, with directional derivatives.

    I(Q)/N = Σ_a c_a|f_a|² + Σ_pairs Re(f_a f_b*)·w sin(Qd)/(Qd)·exp(−σ²Q²/2)

from the same peaks (d, σ², w) and derivatives that G(r) is made of (`Phase.peaks`): what moves G(r) moves the pattern.
Every phase is a curve of its own, since its weight is not searched for but has its least-squares value at every step.

I(Q) of particles up to `reach` in size is band-limited. It is computed at Chebyshev's nodes, z = ½·ΔQ·reach of them and
10·(z/2)^⅓ more, and interpolated by the polynomial through them: to 1e-9 of the largest I. The width of an instrument
is a sum over Gauss–Hermite's angles about each point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.debye import amplitudes, sine_sums
from pdfkit.errors import PdfkitError
from pdfkit.model.measured import MeasuredPattern, Powder, SmallAngle
from pdfkit.phases.base import Broadening, Peaks, Phase, Quantity
from pdfkit.scattering import product

MORE = 10.0
"""Times (z/2)^⅓: nodes beyond z, from where on polynomials of e^{izx} converge as Airy's function falls."""


@dataclass(frozen=True, eq=False)
class PatternModel:
    """Clusters, measured as a pattern: a function of the numbers of the phases, scales apart, and of its own.

    phases : clusters. measured : data and how they were measured. strengths : as for `Model`.

    Raises PdfkitError for a phase of another kind, and a particle larger than what the data were told.
    """

    phases: tuple[Phase, ...]
    measured: MeasuredPattern
    strengths: Mapping[str, float]

    def __post_init__(self) -> None:
        for phase in self.phases:
            if phase.scatterer is None:
                raise PdfkitError(
                    f"phase {phase.name} is no cluster: patterns beside G(r) are computed of clusters, by the Debye sum"
                )
            size = phase.applied_shape.extent()
            if size > self.measured.reach:
                raise PdfkitError(
                    f"{phase.name} can become {size:.1f} Å large in a fit, and these data were told of at most "
                    f"{self.measured.reach:g} Å: give reach={10 * math.ceil(size / 10):g}",
                    key="reach",
                )

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers of the phases without their scales (phase.what), then those of the measurement."""
        shared = [(phase.name, q) for phase in self.phases for q in phase.quantities[1:]]
        return (*(replace(q, name=f"{name}.{q.name}") for name, q in shared), *self.measured.quantities)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(q.name for q in self.quantities)

    @property
    def values(self) -> Array:
        """Values of the quantities."""
        return np.array([q.value for q in self.quantities])

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed."""
        phases = []
        for phase in self.phases:
            lead = f"{phase.name}."
            own = {name.removeprefix(lead): one for name, one in values.items() if name.startswith(lead)}
            phases.append(phase.with_values(own) if own else phase)
        own = {name: one for name, one in values.items() if "." not in name}
        return replace(self, phases=tuple(phases), measured=self.measured.with_values(own))

    def evaluator(self, Q: Array) -> PatternEvaluator:
        """Return the function (values, tangents) → curves at Q (Å⁻¹), within the range of the data."""
        return PatternEvaluator(self, Q)


class PatternEvaluator:
    """Curves at fixed Q: (values, tangents) → (I, dI), each phase's after the one before, (nphases·nQ,)."""

    def __init__(self, model: PatternModel, Q: Array) -> None:
        self.model, self.Q = model, Q
        self.messages: list[str] = []
        measured = model.measured
        low, high = measured.data.Q[0], measured.data.Q[-1]
        self.nodes = chebyshev_nodes(max(low - measured.margin, 1e-3 * high), high + measured.margin, measured.reach)
        self._phases = [phase for phase in (one.scatterer for one in model.phases) if phase is not None]
        self._squares = [_Squares.of(phase, model, self.nodes) for phase in self._phases]
        self._seen: tuple[bytes | None, Any] = (None, None)

    def near(self, values: Array) -> PatternEvaluator:
        """Return itself: it is prepared for all values."""
        return self

    def __call__(self, values: Array, tangents: Array | None = None) -> tuple[Array, Array]:
        """Return I (n,) at `values` and its derivatives (nq, n) along the columns of `tangents`."""
        tangents = np.zeros((values.size, 0)) if tangents is None else tangents
        for q, value in zip(self.model.quantities, values.tolist(), strict=True):
            q.sensible(value, q.name)
        out, at = [], 0
        own = len(self.model.measured.quantities)
        split = values.size - own
        seen = self._instrument(values[split:])
        for phase, squares in zip(self._phases, self._squares, strict=True):
            stop = at + len(phase.quantities) - 1
            u = squares.sums(_peaks(phase, values[at:stop], tangents[at:stop]), self.nodes)
            out.append(_applied(seen, u, tangents[split:]))
            at = stop
        whole = np.concatenate(out, axis=1)
        return whole[0], whole[1:]

    def added(self, values: Array, phase: int, kind: IntArray, sines: Array) -> Array:
        """Return what sine sums (m, n) at the nodes, each of one species pair (m,), add to the curves of one phase.

        Shape (m, nphases·nQ), 0 for the other phases.
        """
        matrix, _ = self._instrument(values[values.size - len(self.model.measured.quantities) :])
        out = np.zeros((kind.size, len(self._phases), self.Q.size))
        out[:, phase] = (sines * self._squares[phase].pairs[kind]) @ matrix.T
        return out.reshape(kind.size, -1)

    def _instrument(self, own: Array) -> tuple[Array, Array]:
        """Return what makes a pattern of I at the nodes (nQ, n), and its derivatives (k, nQ, n) along own numbers."""
        key = own.tobytes()
        if self._seen[0] != key:
            measured = self.model.measured
            self._seen = key, _seen(measured, self.Q, self.nodes, own)
        found: tuple[Array, Array] = self._seen[1]
        return found


def _applied(seen: tuple[Array, Array], u: Array, tangents: Array) -> Array:
    """Return I and its derivatives (1 + nq, nQ) of u (1 + nq, n) at the nodes."""
    matrix, slopes = seen
    out = u @ matrix.T
    if slopes.shape[0] and tangents.any():
        out[1:] += tangents.T @ (slopes @ u[0])
    return np.asarray(out)


def _peaks(phase: Phase, values: Array, tangents: Array) -> Peaks:
    """Return all pairs of a phase of scale 1."""
    nq = tangents.shape[1]
    whole = np.concatenate([[1.0], values])
    moved = np.concatenate([np.zeros((1, nq)), tangents])
    return phase.peaks(whole, moved, Broadening.none(nq), phase.applied_shape.extent(), 1.0)


@dataclass(frozen=True, eq=False)
class _Squares:
    """Products of the strengths of a phase at the nodes: alone (n,) of an average atom, pairs (npairs, n)."""

    alone: Array
    pairs: Array

    @classmethod
    def of(cls, phase: Phase, model: PatternModel, Q: Array) -> _Squares:
        found = _peaks(phase, np.array(phase.values[1:]), np.zeros((len(phase.values) - 1, 0)))
        measured, elements = model.measured, found.composition.elements
        own = {e: f for e, f in model.strengths.items() if e in elements}
        f = measured.amplitudes(amplitudes(elements, Q, measured.probe, strengths=own), Q)
        first, second = (np.array([elements.index(pair[k]) for pair in found.pairs]) for k in (0, 1))
        return cls(found.composition.fractions @ product(f, f), np.asarray(product(f[first], f[second])) / Q)

    def sums(self, found: Peaks, Q: Array) -> Array:
        """Return I/N and its derivatives (1 + nq, n)."""
        sines = sine_sums(found.peak, found.pair, len(self.pairs), Q, dpeak=found.dpeak, method="grid")
        out = np.einsum("pq,pnq->nq", self.pairs, sines)
        out[0] += self.alone
        return np.asarray(out)


# --- Nodes and what lies between them --------------------------------------------------------------------------------


def chebyshev_nodes(low: float, high: float, reach: float) -> Array:
    """Return nodes (n,), increasing, whose polynomial follows what oscillates with up to `reach` radians a unit."""
    z = 0.5 * (high - low) * reach
    n = math.ceil(z + MORE * (0.5 * z) ** (1 / 3)) + 8
    return np.asarray(0.5 * (low + high) - 0.5 * (high - low) * np.cos(math.pi * (np.arange(n) + 0.5) / n))


def interpolation(nodes: Array, at: Array) -> Array:
    """Return the matrix (m, n) from values at Chebyshev's nodes to those at points, by the barycentric formula."""
    n = nodes.size
    weight = (-1.0) ** np.arange(n) * np.sin(math.pi * (np.arange(n) + 0.5) / n)
    off = at[:, None] - nodes
    on = off == 0.0
    share = weight / np.where(on, 1.0, off)
    out = share / share.sum(axis=1, keepdims=True)
    met = on.any(axis=1)
    out[met] = on[met]
    return np.asarray(out)


def differentiation(nodes: Array) -> Array:
    """Return the matrix (n, n) from values at Chebyshev's nodes to the slope of their polynomial there."""
    n = nodes.size
    weight = (-1.0) ** np.arange(n) * np.sin(math.pi * (np.arange(n) + 0.5) / n)
    off = nodes[:, None] - nodes
    np.fill_diagonal(off, 1.0)
    out = weight / weight[:, None] / off
    np.fill_diagonal(out, 0.0)
    np.fill_diagonal(out, -out.sum(axis=1))
    return np.asarray(out)


_SEEN: dict[Any, tuple[Array, Array]] = {}
MOST_KEPT = 16


def _seen(measured: MeasuredPattern, Q: Array, nodes: Array, own: Array) -> tuple[Array, Array]:
    """Return what `PatternEvaluator` keeps of an instrument; many models are seen by the same."""
    key = (measured.content, Q.tobytes(), own.tobytes())
    if key not in _SEEN:
        if len(_SEEN) >= MOST_KEPT:
            _SEEN.clear()
        if isinstance(measured, Powder):
            _SEEN[key] = _powder(measured, Q, nodes, own)
        else:
            assert isinstance(measured, SmallAngle)
            _SEEN[key] = _small_angle(measured, Q, nodes, own)
    return _SEEN[key]


def _small_angle(measured: SmallAngle, Q: Array, nodes: Array, own: Array) -> tuple[Array, Array]:
    S, dS = measured.structure_factor(Q, own)
    plain = interpolation(nodes, Q)
    return S[:, None] * plain, dS[:, :, None] * plain


def _powder(measured: Powder, Q: Array, nodes: Array, own: Array) -> tuple[Array, Array]:
    wavelength = measured.known_wavelength
    if wavelength is None:
        return interpolation(nodes, Q), np.zeros((0, Q.size, nodes.size))
    zero, fwhm = own.tolist()
    offset, share = _blur(fwhm, 2.0 * math.pi / wavelength * measured.reach)
    steep = differentiation(nodes)
    matrix, slopes = np.zeros((Q.size, nodes.size)), np.zeros((2, Q.size, nodes.size))
    for away, part in zip(offset.tolist(), share.tolist(), strict=True):
        angle = np.radians(measured.angle(Q) - zero + away * fwhm)
        q = 4.0 * math.pi / wavelength * np.sin(angle / 2.0)
        p, dp = _polarised(measured, angle)
        dq = 2.0 * math.pi / wavelength * np.cos(angle / 2.0)
        there = interpolation(nodes, q)
        by_angle = math.radians(part) * (dp[:, None] * there + (p * dq)[:, None] * (there @ steep))
        matrix += part * p[:, None] * there
        slopes[0] -= by_angle
        slopes[1] += away * by_angle
    return matrix, slopes


def _blur(fwhm: float, finest: float) -> tuple[Array, Array]:
    """Return offsets (in units of fwhm) and shares of a Gaussian for what oscillates with `finest` per radian of 2θ."""
    sigma = 1.0 / math.sqrt(8.0 * math.log(2.0))
    phase = finest * math.radians(fwhm) * sigma
    x, w = np.polynomial.hermite_e.hermegauss(min(7 + math.ceil(4.0 * phase), 60))
    return x * sigma, w / w.sum()


def _polarised(measured: Powder, angle: Array) -> tuple[Array, Array]:
    """Return the factor of polarisation at 2θ (rad), and its slope."""
    if measured.polarisation == "none":
        return np.ones(angle.size), np.zeros(angle.size)
    K = math.cos(math.radians(measured.monochromator)) ** 2
    return (1.0 + K * np.cos(angle) ** 2) / (1.0 + K), -K * np.sin(2.0 * angle) / (1.0 + K)
