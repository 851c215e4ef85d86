"""Weights of species pairs: what scattering strengths make of pairs, in r and in Q, with their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from pdfkit import scattering
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError
from pdfkit.model import cut
from pdfkit.phases.base import Composition


@lru_cache(maxsize=64)
def cut_weights(
    step: float,
    period: int,
    instrument: Instrument,
    strengths: tuple[tuple[str, float], ...],
    elements: tuple[str, ...],
    fractions: tuple[float, ...],
    tangent: tuple[float, ...] | None = None,
) -> Array:
    """Spectra (npairs, period − 1) of f_a f_b/⟨f⟩², or of its derivative −2 f_a f_b ⟨f⟩˙/⟨f⟩³ along `tangent`.

    Complex f: Re(f_a f_b*)/|⟨f⟩|², and −2 Re(f_a f_b*) Re(⟨f⟩˙⟨f⟩*)/|⟨f⟩|⁴.
    """

    def weight(a: int, b: int) -> Callable[[Array], Array]:
        def of(q: Array) -> Array:
            f = form_factors(elements, instrument, dict(strengths), q)
            mean = np.array(fractions) @ f
            square = scattering.product(mean, mean)
            out = scattering.product(f[a], f[b]) / square
            if tangent is None:
                return np.asarray(out)
            return np.asarray(-2.0 * out * scattering.product(np.array(tangent) @ f, mean) / square)

        return of

    pairs = combinations_with_replacement(range(len(elements)), 2)
    return np.array([cut.cut_spectrum(step, period, instrument, weight(a, b)) for a, b in pairs])


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
        c, dc = composition.fractions, composition.tangents
        first, second = _pairs_of(c.size)
        twice = np.where(first == second, 1.0, 2.0)
        share = twice * c[first] * c[second]
        dshare = twice * (dc[:, first] * c[second] + c[first] * dc[:, second])
        if not weighted:
            return cls(1 / share, np.zeros_like(dshare), np.ones_like(share), np.zeros_like(dshare))
        if plain:
            return cls(np.ones_like(share), np.zeros_like(dshare), share, dshare)
        b = form_factors(composition.elements, instrument, strengths)
        mean = c @ b
        if abs(mean) < 1e-9 * np.abs(b).max():
            raise PdfkitError("the mean scattering strength is 0: G(r) is not defined for a null-scattering mixture")
        square = scattering.product(mean, mean)
        factor = scattering.product(b[first], b[second]) / square
        dfactor = -2.0 * factor * (scattering.product(dc @ b, mean) / square)[:, None]
        return cls(factor, dfactor, factor * share, factor * dshare + dfactor * share)
