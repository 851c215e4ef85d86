"""Ions as species: atoms that scatter X-rays with the electrons and the form factor of their charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pdfkit._species import Species, base, species
from pdfkit.errors import PdfkitError, nearest

if TYPE_CHECKING:
    from pdfkit.data import Instrument
    from pdfkit.particle import Particle
    from pdfkit.structure import Structure

NO_CHARGES = 'no charge is stated: give them, as in ions={"Na": 1, "Cl": -1}, or leave ions out'


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
    kept = {"name": particle.name, "meta": particle.meta, "remarks": particle.remarks}
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
            raise PdfkitError(f"ions names {str(name)[:20]!r}, which is not there: nearest are {nearest(key, there)}")
        if isinstance(charge, bool) or not isinstance(charge, int | float) or not abs(charge) < 10:
            raise PdfkitError(f"the charge of {key} is {charge!r}: give a number of electrons such as 2 or -1")
        out |= dict.fromkeys(found, int(charge) if charge == int(charge) else charge)
    return out


def strengths_used(phase: Any, instrument: Instrument, strengths: Mapping[str, float]) -> str:
    """Return which scattering strengths a phase was calculated with, for the report."""
    from pdfkit._resonance import shown_terms

    probe, weights = instrument.probe, instrument.weights
    if probe == "N":
        return "neutron scattering lengths (bound, coherent, of periodictable)"
    terms = shown_terms(list(phase.composition()), instrument, strengths)
    what = "form factors" if weights == "q-dependent" else f"strengths at Q = 0 ({'Z' if probe == 'X' else 'f'})"
    ions = [name for name in phase.composition() if name.endswith(("+", "-"))]
    if ions:
        return f"{what.replace('(Z)', '(electrons)')} of ions: {', '.join(ions)}{terms}"
    sites = getattr(getattr(phase, "structure", None), "sites", ())
    stated = ", ".join(list(dict.fromkeys(site.symbol for site in sites if site.charge))[:4])
    stated = stated or getattr(getattr(phase, "particle", None), "meta", {}).get("charges", "")
    doubt = f" (the file states {stated}: ions = true takes those)" if stated and probe == "X" else ""
    return f"{what} of neutral atoms{doubt}{terms}"
