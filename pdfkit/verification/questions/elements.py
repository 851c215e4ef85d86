"""What the rows of `pdfkit verify --files` ask about species: compositions, scattering strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def atom_fractions(path: Path) -> dict[str, float]:
    """Return the fraction of each species in a formula, as a reduction takes it."""
    from pdfkit.scattering import parse_composition

    return parse_composition(path.read_text(encoding="utf-8").strip())


def symbols(path: Path) -> list[str]:
    """Return element, isotope and charge of each site, as files write them."""
    from pdfkit.io.structures import read_structure

    return [site.symbol for site in read_structure(path).sites]


def symbols_again(path: Path) -> list[str]:
    """Return the symbols of the sites after a way through the CIF that pdfkit writes."""
    from pdfkit.io.cif.files import write_cif
    from pdfkit.io.structures import read_structure

    write_cif(path.parent / "again.cif", read_structure(path))
    return symbols(path.parent / "again.cif")


def electrons(path: Path, **options: Any) -> dict[str, float]:
    """Return the X-ray strength of each species at Q = 0."""
    return _strengths(path, "X", options)


def lengths(path: Path, **options: Any) -> dict[str, float]:
    """Return the neutron scattering length of each species in fm."""
    return _strengths(path, "N", options)


def anomalous_terms(path: Path, energy: float) -> dict[str, list[float]]:
    """Return f′ and f″ of each species at an energy (keV)."""
    from pdfkit.data.instrument import HC
    from pdfkit.phases.crystal import Crystal
    from pdfkit.scattering import anomalous

    terms = {name: anomalous(name, HC / energy) for name in Crystal.from_file(path, name="p").composition()}
    return {name: [f.real, f.imag] for name, f in terms.items()}


def anomalous_G(path: Path, r: float, energy: float) -> float:
    """Return G at r of X-rays with f′ and f″ at an energy (keV); its remarks are said as warnings."""
    import numpy as np

    from pdfkit.data.instrument import HC, Instrument
    from pdfkit.model.model import Model
    from pdfkit.phases.crystal import Crystal

    instrument = Instrument(probe="X", qmax=float("inf"), wavelength=HC / energy, anomalous=True)
    return float(Model(Crystal.from_file(path, name="p"), instrument)(np.array([r - 0.01, r, r + 0.01])).G[1])


def wavelength(path: Path) -> float | None:
    """Return the wavelength (Å) that the header of a curve gives."""
    from pdfkit.io.pdf import read_pdf

    return read_pdf(path).instrument.wavelength


def _strengths(path: Path, probe: str, options: Mapping[str, Any]) -> dict[str, float]:
    from pdfkit.phases.crystal import Crystal
    from pdfkit.scattering import scattering_strength

    there = Crystal.from_file(path, name="p", **options).composition()
    return {species: scattering_strength(species, probe) for species in there}


def there_and_back(path: Path, by: str) -> dict[str, float]:
    """Return the atoms of each species after a way through `ase.Atoms` or a diffpy structure."""
    from pdfkit.io.structures import read_structure
    from pdfkit.structure.structure import Structure

    one = read_structure(path)
    two = Structure.from_ase(one.to_ase()) if by == "ase" else Structure.from_diffpy(one.to_diffpy())
    return two.composition()


MAKERS: Mapping[str, Callable[..., Path]] = {}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "atom fractions": atom_fractions,
    "symbols": symbols,
    "symbols again": symbols_again,
    "electrons": electrons,
    "lengths": lengths,
    "there and back": there_and_back,
    "f1 and f2": anomalous_terms,
    "G with f1 and f2": anomalous_G,
    "wavelength": wavelength,
}
