"""What is to be known of strengths that depend on the energy: X-rays near an edge, neutrons near a resonance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pdfkit.data import Instrument
from pdfkit.scattering import absorption_edges, anomalous, energy_dependent

NEAR = 0.05
"""Relative distance from an absorption edge within which tables of free atoms are not to be relied upon."""


def scattering_remarks(
    phases: Sequence[Any], instrument: Instrument, strengths: Mapping[str, float]
) -> tuple[str, ...]:
    """Return remarks on the species of phases, without those that have a strength of their own."""
    if instrument.probe != "N" and not instrument.anomalous:
        return ()
    return species_remarks([name for phase in phases for name in phase.composition()], instrument, strengths)


def species_remarks(names: Sequence[str], instrument: Instrument, strengths: Mapping[str, float]) -> tuple[str, ...]:
    """Return remarks on species, without those that have a strength of their own."""
    there = dict.fromkeys(name for name in names if name not in strengths)
    if instrument.probe == "N":
        return _neutron_remarks(list(there))
    if instrument.energy is None or not instrument.anomalous or not there:
        return ()
    return (*_edge_remarks(list(there), instrument.energy), *_reach_remarks(instrument))


def _neutron_remarks(names: Sequence[str]) -> tuple[str, ...]:
    changing = [name for name in names if energy_dependent(name)]
    if not changing:
        return ()
    text = f"the neutron scattering length of {', '.join(changing)} changes with the energy: that at 1.798 Å is used"
    return (f"{text}; give strengths= (fm) for other wavelengths",)


def _edge_remarks(names: Sequence[str], energy: float) -> tuple[str, ...]:
    from pdfkit._species import base

    out = []
    for element in dict.fromkeys(base(name) for name in names):
        for edge, at in absorption_edges(element).items():
            if abs(energy - at) <= NEAR * energy:
                where = f"the {edge} edge of {element}, {at:g} keV, is within 5 % of {energy:.5g} keV"
                out.append(f"{where}: f′ and f″ of tables are not reliable there, measure them or move away")
    return tuple(out)


def _reach_remarks(instrument: Instrument) -> tuple[str, ...]:
    reach = 4 * math.pi / float(instrument.wavelength or 1.0)
    if instrument.qmax is None or math.isinf(instrument.qmax) or instrument.qmax <= reach * 1.001:
        return ()
    return (
        f"qmax = {instrument.qmax:g} cannot be measured with {instrument.wavelength:g} Å, which ends at {reach:.4g} Å⁻¹"
        ": is that the wavelength of f′ and f″?",
    )


def shown_terms(names: Sequence[str], instrument: Instrument, strengths: Mapping[str, float]) -> str:
    """Return which f′ and f″ an instrument has models use, for the report; "" for none."""
    wavelength = instrument.resonant
    if wavelength is None:
        return ""
    terms = {name: anomalous(name, wavelength) for name in names if name not in strengths}
    text = ", ".join(f"{name} {f.real:+.3f}{f.imag:+.3f}i".replace("-", "−", 1) for name, f in terms.items())
    return f", with f′ + if″ of xraylib at {instrument.energy:.5g} keV ({wavelength:.5g} Å): {text}"
