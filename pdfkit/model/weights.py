"""Weights of species pairs: what scattering strengths make of pairs, in r and in Q, with their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from pdfkit import scattering
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.model.cut import Grid
from pdfkit.phases.base import Composition

# Compositions whose weights are kept.
MOST_KEPT = 32

T = TypeVar("T")


def kept(store: dict[Any, tuple[Any, T]], composition: Composition | None, about: Any, made: Callable[[], T]) -> T:
    """Return what is made for a composition: the same for equal fractions, or for the very same that may change."""
    fixed = composition is None or composition.fixed
    key = (about, composition.known, len(composition.tangents)) if composition and fixed else (about, id(composition))
    held, found = store.get(key, (None, None))
    if found is None or not (fixed or held is composition):
        if len(store) >= MOST_KEPT:
            store.clear()
        found = made()
        store[key] = composition, found
    return found


@lru_cache(maxsize=64)
def _amplitudes(
    step: float,
    period: int,
    elements: tuple[str, ...],
    about: tuple[str | None, float | None],
    strengths: tuple[tuple[str, float], ...],
) -> Any:
    """Return f (n, period) at the Q of the transform of a grid; beyond the tables, what they end with."""
    Q = np.minimum(math.pi / (period * step) * np.arange(period), scattering.QMAX_TABLES)
    return form_factors(elements, _instrument(about), dict(strengths), Q)


@dataclass(frozen=True)
class QWeights:
    """What the transform of every pair's curve is multiplied with, (npairs, period); `changes`: by direction."""

    at: Array
    changes: Mapping[int, Array]

    @classmethod
    def of(
        cls, composition: Composition, instrument: Instrument, strengths: Mapping[str, float], grid: Grid, cut: Array
    ) -> QWeights:
        """Re(f_a f_b*)/|⟨f⟩|² × cut (period,) and −2 Re(f_a f_b*) Re(⟨f⟩˙⟨f⟩*)/|⟨f⟩|⁴ × cut.

        Raises PdfkitError where ⟨f⟩ vanishes at some Q up to Qmax, which only strengths of one's own can make.
        """
        dc = composition.tangents
        about = (instrument.probe, instrument.resonant, instrument.qmax or 0.0)
        known = (composition.elements, composition.fractions.tobytes(), tuple(sorted(strengths.items())))
        if composition.fixed:
            return _cut_ratios(_Itself(cut), grid.step, grid.period, about, *known)
        f, mean, square, ratio = _ratios(grid.step, grid.period, about, *known)
        at = ratio * cut
        changed = np.flatnonzero(dc.any(axis=1)).tolist()
        return cls(at, {q: -2.0 * at * (scattering.product(dc[q] @ f, mean) / square) for q in changed})


class _Itself:
    """An array that is the same as itself alone: one that is kept elsewhere for as long as it matters."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.array is other.array


@lru_cache(maxsize=16)
def _cut_ratios(cut: _Itself, step: float, period: int, *known: Any) -> QWeights:
    """Return the weights of a composition that no direction changes; the arguments are a cut and those of `_ratios`."""
    return QWeights(_ratios(step, period, *known)[3] * cut.array, {})


@lru_cache(maxsize=16)
def _ratios(
    step: float,
    period: int,
    about: tuple[str | None, float | None, float],
    elements: tuple[str, ...],
    fractions: bytes,
    strengths: tuple[tuple[str, float], ...],
) -> tuple[Any, Any, Array, Array]:
    """Return f (n, period), ⟨f⟩, |⟨f⟩|² and Re(f_a f_b*)/|⟨f⟩|² (npairs, period); about: probe, wavelength, Qmax."""
    c = np.frombuffer(fractions)
    f = _amplitudes(step, period, elements, about[:2], strengths)
    mean = c @ f
    _refuse_zero(mean, f, step, about[2])
    square = scattering.product(mean, mean)
    first, second = _pairs_of(c.size)
    return f, mean, square, scattering.product(f[first], f[second]) / square


def mean_amplitude(
    composition: Composition, instrument: Instrument, strengths: Mapping[str, float], grid: Grid
) -> tuple[Any, dict[int, Any]]:
    """Return ⟨f⟩ (period,) of a phase at the Q of the transform of a grid, and its changes by direction."""
    about = (instrument.probe, instrument.resonant)
    f = _amplitudes(grid.step, grid.period, composition.elements, about, tuple(sorted(strengths.items())))
    tangents = composition.tangents
    changed = np.flatnonzero(tangents.any(axis=1)).tolist()
    return composition.fractions @ f, {q: tangents[q] @ f for q in changed}


def _refuse_zero(mean: Any, f: Any, step: float, qmax: float) -> None:
    per_Q = step * mean.size / math.pi
    reach = math.ceil(min(qmax * per_Q, mean.size)) + 1
    size = np.abs(mean[:reach]) / np.abs(f[:, :reach]).max(axis=0)
    turns = mean.real[0] * mean.real[:reach] <= 0.0
    bad = (size < 1e-9) | (turns if not np.iscomplexobj(mean) else False)
    if bad.any():
        Q = int(np.argmax(bad)) / per_Q
        raise PdfkitError(
            f"the mean scattering strength is 0 at Q = {Q:.3g} Å⁻¹: G(r) is not defined there; "
            "correct the strengths, or take scattering='constant'"
        )


def form_factors(
    elements: Sequence[str], instrument: Instrument, strengths: Mapping[str, float], Q: Array | None = None
) -> Any:
    """Return f (n, nQ) of elements as an instrument sees them, or without Q the constants (n,); see `amplitude`.

    Complex where the instrument has anomalous terms. An element with a strength of its own has that at Q = 0.
    """
    probe, wavelength = instrument.probe or "", instrument.resonant
    return np.array([scattering.amplitude(e, probe, Q, wavelength, strengths.get(e)) for e in elements])


@lru_cache(maxsize=32)
def _pairs_of(species: int) -> tuple[Any, Any]:
    return np.triu_indices(species)


@dataclass(frozen=True)
class PairWeights:
    """Scattering weights by species pair: on peaks (`factor`) and on the baseline (`share`), with tangents."""

    factor: Array
    dfactor: Array
    share: Array
    dshare: Array

    @classmethod
    def of(
        cls,
        composition: Composition,
        instrument: Instrument,
        strengths: Mapping[str, float],
        *,
        plain: bool,
        weighted: bool,
    ) -> PairWeights:
        """Weights Re(b_a b_b*)/|⟨b⟩|²; all 1 with `plain` (they follow in Q space); 1/share when not weighted."""
        if composition.fixed:
            about = (instrument.probe, instrument.resonant)
            given = tuple(sorted(strengths.items()))
            return _fixed(composition.known, len(composition.tangents), about, given, plain, weighted)
        return cls._of(composition, instrument, strengths, plain, weighted)

    @classmethod
    def _of(
        cls,
        composition: Composition,
        instrument: Instrument,
        strengths: Mapping[str, float],
        plain: bool,
        weighted: bool,
    ) -> PairWeights:
        c, dc = composition.fractions, composition.tangents
        first, second = _pairs_of(c.size)
        twice = np.where(first == second, 1.0, 2.0)
        share = twice * c[first] * c[second]
        dshare = twice * (dc[:, first] * c[second] + c[first] * dc[:, second])
        if not weighted:
            return cls(1 / share, np.zeros(dshare.shape), np.ones_like(share), np.zeros(dshare.shape))
        if plain:
            return cls(np.ones_like(share), np.zeros(dshare.shape), share, dshare)
        b = form_factors(composition.elements, instrument, strengths)
        mean = c @ b
        if abs(mean) < 1e-9 * np.abs(b).max():
            raise PdfkitError("the mean scattering strength is 0: G(r) is not defined for a null-scattering mixture")
        square = scattering.product(mean, mean)
        factor = scattering.product(b[first], b[second]) / square
        dfactor = -2.0 * factor * (scattering.product(dc @ b, mean) / square)[:, None]
        return cls(factor, dfactor, factor * share, factor * dshare + dfactor * share)


@lru_cache(maxsize=64)
def _fixed(
    known: tuple[tuple[str, ...], bytes],
    nq: int,
    about: tuple[str | None, float | None],
    strengths: tuple[tuple[str, float], ...],
    plain: bool,
    weighted: bool,
) -> PairWeights:
    """Return the weights of a composition that nq directions leave alone; about: probe and wavelength."""
    elements, fractions = known
    c = np.frombuffer(fractions).copy()
    composition = Composition(elements, c, np.zeros((nq, c.size)))
    return PairWeights._of(composition, _instrument(about), dict(strengths), plain, weighted)


def _instrument(about: tuple[str | None, float | None]) -> Instrument:
    return Instrument(about[0], wavelength=about[1], anomalous=about[1] is not None)
