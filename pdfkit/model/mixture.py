"""What division by ⟨f(Q)⟩² of a whole sample leaves on the curve of each of its phases, with derivatives.

A sample of phases p with atom fractions x_p has G = Σ x_p⟨f⟩_p²G_p/⟨f⟩², ⟨f⟩ = Σ x_p⟨f⟩_p, at every Q. `scale` of a
phase is x_p⟨f⟩_p²/⟨f⟩² at Q = 0, so that x_p ∝ scale_p/⟨f(0)⟩_p²; elsewhere the phase, divided by its own ⟨f⟩_p², has

    [⟨f⟩_p²/⟨f⟩²](Q) / [⟨f⟩_p²/⟨f⟩²](0)

on it: 1 for phases of one composition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.scattering import product


@dataclass(frozen=True)
class Mean:
    """A phase as its sample sees it: scale, ⟨f⟩ (nQ,) with Q[0] = 0, and their tangents by direction.

    scale_tangents (nq,); tangents: direction → (nQ,), of ⟨f⟩, where the composition changes.
    """

    scale: float
    f: Any
    scale_tangents: Array
    tangents: Mapping[int, Any]


@dataclass(frozen=True)
class Factor:
    """What the transform of a phase is multiplied with, (nQ,), and its changes by direction."""

    at: Array
    changes: Mapping[int, Array]

    def apply(self, spectrum: Array) -> None:
        """Multiply a transform with its derivatives, (1 + nq, nQ), in place."""
        value = spectrum[0].copy()
        spectrum *= self.at
        for q, change in self.changes.items():
            spectrum[1 + q] += change * value


def factors(phases: Sequence[Mean]) -> list[Factor]:
    """Return the factor of each phase of a sample; all are 1 where no phase has a scale."""
    whole = sum(one.scale * _share(one.f) for one in phases)
    if not np.abs(whole).min(initial=np.inf) > 0.0:
        return [Factor(np.ones(one.f.size), {}) for one in phases]
    sample = _Growth(whole, {})
    for one in phases:
        for q in np.flatnonzero(one.scale_tangents).tolist():
            sample.add(q, one.scale_tangents[q] * _share(one.f))
        start = product(one.f[0], one.f[0])
        for q, change in one.tangents.items():
            slope = change - one.f * (2.0 * product(change[0], one.f[0]) / start)
            sample.add(q, slope * (one.scale / start))
    return [_over(_Growth(one.f, dict(one.tangents)), sample) for one in phases]


@dataclass(frozen=True)
class _Growth:
    """An amplitude (nQ,) and its changes by direction."""

    f: Any
    tangents: dict[int, Any]

    def add(self, q: int, change: Any) -> None:
        self.tangents[q] = self.tangents.get(q, 0.0) + change

    @cached_property
    def square(self) -> Array:
        """|f|²."""
        return np.asarray(product(self.f, self.f))

    @cached_property
    def relative(self) -> dict[int, Array]:
        """Derivatives of ln|f|² less those at Q = 0, by direction."""
        twice = 2.0 / self.square
        rates = {q: product(change, self.f) * twice for q, change in self.tangents.items()}
        return {q: rate - rate[0] for q, rate in rates.items()}


def _share(f: Any) -> Any:
    return f / product(f[0], f[0])


def _over(phase: _Growth, sample: _Growth) -> Factor:
    ratio = phase.square / sample.square
    at = np.asarray(ratio / ratio[0])
    own, whole = phase.relative, sample.relative
    changes = {q: at * (own.get(q, 0.0) - whole.get(q, 0.0)) for q in {**own, **whole}}
    return Factor(at, changes)
