"""What strengths depend on besides the element: the charge of ions, and the energy of the beam."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError, nearest
from pdfkit.scattering import absorption_edges, anomalous, energy_dependent
from pdfkit.structure.species import Species, base, species

if TYPE_CHECKING:
    from pdfkit.data.instrument import Instrument
    from pdfkit.particles.particle import Particle
    from pdfkit.phases.base import Phase
    from pdfkit.structure.structure import Structure


# --- Ions as species -------------------------------------------------------------------------------------------------

NO_CHARGES = 'the structure states no charges: give them, as in ions={"Na": 1, "Cl": -1}, or leave ions out'


def ionic_structure(structure: Structure, ions: Any) -> Structure:
    """Return a copy whose charged sites are ions. ions : True for the charges that it states, or {element: charge}."""
    given = _charges(ions, {site.element for site in structure.sites})
    charges = [given.get(_neutral(site.element), site.charge) for site in structure.sites]
    if not any(charges):
        raise PdfkitError(NO_CHARGES)
    sites = tuple(
        replace(site, charge=charge, ionic=True) if charge else site
        for site, charge in zip(structure.sites, charges, strict=True)
    )
    return replace(structure, sites=sites)


def ionic_particle(particle: Particle, ions: Any) -> Particle:
    """Return a copy whose elements with a charge are ions; its atoms have charges only if they were read with them."""
    given = _charges(ions, set(particle.elements))
    names = [_ion(element, given) for element in particle.elements]
    if all(name == species(name).element for name in names):
        raise PdfkitError(NO_CHARGES)
    symbols = [names[k] for k in particle.kind]
    kept = {"name": particle.name, "meta": particle.meta, "remarks": particle.remarks, "ligand": particle.ligand}
    return particle.of(symbols, particle.xyz, ions=True, lattice=particle.lattice, sites=particle.sites, **kept)


def _ion(element: str, given: Mapping[str, float]) -> str:
    known = species(element)
    return Species(known.element, given.get(known.element, known.charge)).ion


def _neutral(element: str) -> str:
    return species(element).element


def _charges(ions: Any, elements: set[str]) -> dict[str, float]:
    """Return charges by species, from True or a mapping by species or element."""
    if not isinstance(ions, Mapping):
        return {}
    out: dict[str, float] = {}
    there = {_neutral(element) for element in elements}
    for name, charge in ions.items():
        key = species(str(name)).element
        found = {one for one in there if one == key or base(one) == key}
        if not found:
            raise PdfkitError(
                f"ions names {str(name)[:20]!r}, which the structure does not have: nearest are {nearest(key, there)}"
            )
        if isinstance(charge, bool) or not isinstance(charge, int | float) or not abs(charge) < 10:
            raise PdfkitError(f"the charge of {key} is {charge!r}: give a number of electrons such as 2 or -1")
        out |= dict.fromkeys(found, int(charge) if charge == int(charge) else charge)
    return out


def strengths_used(phase: Phase, instrument: Instrument, strengths: Mapping[str, float]) -> str:
    """Return which scattering strengths a phase was calculated with, for the report."""
    probe, scattering = instrument.probe, instrument.scattering
    if probe == "N":
        return "neutron scattering lengths (bound, coherent, from periodictable)"
    terms = shown_terms(list(phase.composition()), instrument, strengths)
    constant = f"strengths at Q = 0 ({'Z' if probe == 'X' else 'f'})"
    what = "form factors f(Q)" if scattering == "q-dependent" else constant
    ions = [name for name in phase.composition() if name.endswith(("+", "-"))]
    if ions:
        return f"{what.replace('(Z)', '(electrons)')} of ions: {', '.join(ions)}{terms}"
    stated = phase.stated_charges if probe == "X" else ""
    doubt = f" (the file states {stated}: ions = true uses these charges)" if stated else ""
    return f"{what} of neutral atoms{doubt}{terms}"


# --- What is to be known of strengths that depend on the energy ------------------------------------------------------

NEAR = 0.05
"""Relative distance from an absorption edge within which tables of free atoms are not to be relied upon."""


def scattering_remarks(
    phases: Sequence[Phase], instrument: Instrument, strengths: Mapping[str, float]
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
    text = (
        f"the neutron scattering length of {', '.join(changing)} changes with the energy: the value at 1.798 Å is used"
    )
    return (f"{text}; for another wavelength give strengths= in fm",)


def _edge_remarks(names: Sequence[str], energy: float) -> tuple[str, ...]:
    from pdfkit.structure.species import base

    out = []
    for element in dict.fromkeys(base(name) for name in names):
        for edge, at in absorption_edges(element).items():
            if abs(energy - at) <= NEAR * energy:
                where = f"the {edge} edge of {element}, {at:g} keV, is within 5 % of {energy:.5g} keV"
                out.append(
                    f"{where}: tabulated f′ and f″ are unreliable there; give measured values or use another energy"
                )
    return tuple(out)


def _reach_remarks(instrument: Instrument) -> tuple[str, ...]:
    reach = 4 * math.pi / float(instrument.wavelength or 1.0)
    if instrument.qmax is None or math.isinf(instrument.qmax) or instrument.qmax <= reach * 1.001:
        return ()
    return (
        f"qmax = {instrument.qmax:g} cannot be measured with {instrument.wavelength:g} Å, which ends at {reach:.4g} Å⁻¹"
        ": correct qmax, or the wavelength of f′ and f″",
    )


def shown_terms(names: Sequence[str], instrument: Instrument, strengths: Mapping[str, float]) -> str:
    """Return which f′ and f″ an instrument has models use, for the report; "" for none."""
    wavelength = instrument.resonant
    if wavelength is None:
        return ""
    terms = {name: anomalous(name, wavelength) for name in names if name not in strengths}
    text = ", ".join(f"{name} {f.real:+.3f}{f.imag:+.3f}i".replace("-", "−", 1) for name, f in terms.items())
    return f", with f′ + if″ of xraylib at {instrument.energy:.5g} keV ({wavelength:.5g} Å): {text}"
