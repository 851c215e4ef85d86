"""What a CIF says of its own contents, beside the atoms that come out: formula, Z, multiplicities, density, volume."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, StructureError
from pdfkit.io._plausible import mass_density
from pdfkit.io.cif.blocks import Block
from pdfkit.structure import formulas, symmetry, tidy
from pdfkit.structure.operations import Operations
from pdfkit.structure.site import Site
from pdfkit.structure.species import symbols
from pdfkit.structure.structure import Structure

# Occupancies and formulas are rounded: 2 % of an element; densities 3 %, volumes 1 %.
TOLERANCE = 0.02
# More room (Å³) for an atom than any box has, as from lengths in pm; farther (in cells) than molecules reach out of
# theirs; an occupancy that one site at least exceeds.
EMPTY = 1e6
OUTSIDE = 2.0
SPARSE = 0.3
_PART = re.compile(r"([A-Z][a-z]?)([0-9]*\.?[0-9]*)")
_VACANCIES = ("Va", "Vc", "X")
_Z = "_cell_formula_units_z"
_MULTIPLICITY = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
_DENSITY = "_exptl_crystal_density_diffrn"


@dataclass(frozen=True)
class Formula:
    """The sum formula of a file: its text, the atoms of each element (D and T as H), how much these are rounded."""

    text: str
    counts: Mapping[str, float]
    rounding: Mapping[str, float]


def _positive(block: Block, item: str) -> float | None:
    """Return a number that is good for a comparison; None for "n/a" and the like."""
    try:
        value = block.number(item)
    except StructureError:
        return None
    return value if value and value > 0 else None


def formula_of(block: Block) -> Formula | None:
    """Return the sum formula of a block; None when it has none, or one that is not understood.

    Programs for calculations (pymatgen, so the Materials Project) give the sum of the whole cell beside Z; that it is
    so, the structural formula says, which is Z times smaller and is then taken.
    """
    formula, Z = _formula(block.text("_chemical_formula_sum")), _positive(block, _Z)
    if formula and Z and Z > 1 and all(abs(n / Z - round(n / Z)) < 1e-9 for n in formula.counts.values()):
        try:
            structural = dict(formulas.formula(block.text("_chemical_formula_structural")))
        except PdfkitError:
            return formula
        unit = {_folded(element): n for element, n in structural.items()}
        if formula.counts == {element: Z * n for element, n in unit.items()}:
            return Formula(formula.text, unit, dict.fromkeys(unit, 0.0))
    return formula


def _formula(text: str) -> Formula | None:
    text = text.replace("'", "")
    plain = re.sub(r"[\s,*]", "", text)
    if not plain or len(plain) > 400 or not re.fullmatch(f"(?:{_PART.pattern})+", plain):
        return None
    counts: dict[str, float] = {}
    rounding: dict[str, float] = {}
    for symbol, digits in _PART.findall(plain):
        if digits == "." or (symbol not in symbols() and symbol not in _VACANCIES):
            return None
        if symbol not in symbols():
            continue
        element = _folded(symbol)
        counts[element] = counts.get(element, 0.0) + float(digits or 1)
        decimals = len(digits.partition(".")[2])
        rounding[element] = rounding.get(element, 0.0) + (0.5 * 10.0**-decimals if decimals else 0.0)
    return Formula(text, counts, rounding) if sum(counts.values()) > 0 else None


def _folded(species: str) -> str:
    """Return the element of a species ("62-Ni", "Na1+"), H for D and T: files name deuterium either way."""
    found = re.search(r"[A-Z][a-z]?", species)
    element = found[0] if found else species
    return "H" if element in ("D", "T") else element


def elements_of(structure: Structure) -> dict[str, float]:
    """Return the atoms of each element in the cell; D and T are elements of their own."""
    out: dict[str, float] = {}
    for species, n in structure.composition().items():
        element = species if species in ("D", "T") else _folded(species)
        out[element] = out.get(element, 0.0) + n
    return {element: n for element, n in out.items() if n > 0}


def counts_of(structure: Structure) -> dict[str, float]:
    """Return the atoms of each element in the cell, D and T as H."""
    out = elements_of(structure)
    hydrogen = sum(out.pop(element, 0.0) for element in ("H", "D", "T"))
    return {**out, "H": hydrogen} if hydrogen else out


def agrees(counts: Mapping[str, float], formula: Formula, Z: float | None) -> bool:
    """Return whether the atoms of a cell are Z formulas, or some number of them when Z is not known."""
    if not set(counts) <= set(formula.counts):
        return False
    times = Z or sum(counts.values()) / sum(formula.counts.values())
    return times > 0.9 and all(
        abs(counts.get(element, 0.0) - times * n)
        <= TOLERANCE * max(times * n, counts.get(element, 0.0)) + times * formula.rounding[element]
        for element, n in formula.counts.items()
    )


def _heavy_agree(structure: Structure, formula: Formula, Z: float | None) -> bool | None:
    """Return whether all elements but hydrogen, which is often not listed, agree; None where there are none."""
    counts = {element: n for element, n in counts_of(structure).items() if element != "H"}
    heavy = {element: n for element, n in formula.counts.items() if element != "H"}
    return agrees(counts, Formula(formula.text, heavy, formula.rounding), Z) if counts and heavy else None


def confirmed_elements(block: Block, structure: Structure, named: Mapping[str, str]) -> list[str]:
    """Return a remark on elements (by label) that only the formula says; StructureError if the atoms do not make it."""
    if not named:
        return []
    formula = formula_of(block)
    labels = ", ".join(label[:20] for label in list(named)[:6])
    if formula is None or not _heavy_agree(structure, formula, _positive(block, _Z)):
        raise StructureError(
            f"labels ({labels}) do not say which elements they are, and as {', '.join(dict.fromkeys(named.values()))} "
            "they disagree with the file's formula: add _atom_site_type_symbol"
        )
    return [f"labels {labels} are read as {', '.join(list(named.values())[:6])}, which agrees with the file's formula"]


def agreement(block: Block, structure: Structure) -> int:
    """Return how many of the file's own statements agree with a structure, less those that do not."""
    formula, Z = formula_of(block), _positive(block, _Z)
    said = []
    if formula:
        agreed = _heavy_agree(structure, formula, Z)
        if agreed is not None:
            said.append(agreed)
            heavy = [
                sum(n for el, n in counts.items() if el != "H") for counts in (counts_of(structure), formula.counts)
            ]
            times = heavy[0] / heavy[1]
            said += [abs(times - round(times)) < TOLERANCE * times] if Z is None else []
    density = _positive(block, _DENSITY)
    if density:
        said.append(abs(mass_density(structure) / density - 1) < 0.1)
    if any(block.column(item) for item in _MULTIPLICITY):
        said.append(not _multiplicities(block, structure))
    return sum(1 if agreed else -1 for agreed in said)


def refuse_cut_short(block: Block, elements: set[str], whole: bool) -> None:
    """Raise StructureError when the formula has an element that no atom is, and the file ends in the list of atoms.

    whole : the block is not the last of the file. Hydrogen is often not among the atoms; and a formula that lacks
    elements of the atoms is of another compound, not of this one cut short.
    """
    formula = formula_of(block)
    if formula is None or whole or not re.match(r"_atom_site_(?!aniso)", block.last):
        return
    there = {_folded(element) for element in elements} | {"H"}
    lost = [element for element in formula.counts if element not in there]
    if lost and there - {"H"} <= set(formula.counts):
        raise StructureError(
            f"the formula {formula.text[:60]} has {', '.join(lost[:5])}, which no atom is, and the file ends in the "
            "list of atoms: it was cut short; restore it, or correct _chemical_formula_sum"
        )


def remarks(block: Block, structure: Structure) -> list[str]:
    """Return where the atoms that came out differ from what the file says of them, a sentence each."""
    said = _about_formula(block, structure)
    density = _positive(block, _DENSITY)
    if density and not said and abs(mass_density(structure) / density - 1) > 0.03:
        said.append(f"the file's density is {density:g} g/cm³, the atoms give {mass_density(structure):.3f}")
    volume = _positive(block, "_cell_volume")
    if volume and abs(structure.volume() / volume - 1) > 0.01:
        said.append(f"the file's _cell_volume is {volume:g} Å³, its cell has {structure.volume():.2f}")
    return said + _implausible(block, structure) + _multiplicities(block, structure)


def _implausible(block: Block, structure: Structure) -> list[str]:
    """Return what betrays units and occupancies that are not meant: a cell in pm, Å for fractions, m/M for a share."""
    said = []
    room = structure.volume() / float(structure.multiplicities().sum())
    if room > EMPTY:
        said.append(f"the cell is nearly empty, with {room:.3g} Å³ for each atom: are its lengths in Å?")
    shares = structure.multiplicities() / len(structure.rotations)
    occ = np.array([site.occ for site in structure.sites])
    # A single site may be a quarter full by chance.
    if occ.max() < (SPARSE if occ.size > 1 else 0.2 * SPARSE) and np.allclose(occ, shares, rtol=0.02, atol=0):
        said.append(
            "occupancies equal each site's multiplicity over that of the general position: give 1 for a full site"
        )
    farthest = max(abs(x) for site in structure.sites for x in site.xyz)
    if farthest > OUTSIDE:
        said.append(f"coordinates reach {farthest:.4g} cells, where fractions of the cell are expected: are they in Å?")
    return said


def _about_formula(block: Block, structure: Structure) -> list[str]:
    formula, Z = formula_of(block), _positive(block, _Z)
    counts = counts_of(structure)
    if formula is None or agrees(counts, formula, Z):
        return []
    times = "" if Z is None else f" with Z = {Z:g}, so {_shown({el: Z * n for el, n in formula.counts.items()})} a cell"
    return [f"the file's formula is {formula.text[:60]}{times}; the atoms give {_shown(counts)}"]


def _multiplicities(block: Block, structure: Structure) -> list[str]:
    """Return the sites whose multiplicity the file gives otherwise.

    SHELXL wrote the order of the site symmetry into this item, so a number that fits as that is no difference.
    """
    off, shelxl = [], _by_shelxl(block)
    order = len(structure.rotations)
    known = dict(zip((site.label for site in structure.sites), structure.multiplicities().tolist(), strict=True))
    for label, n in _given_multiplicities(block).items():
        found = known.get(label)
        if found is not None and n != found and not (shelxl and n == order / found):
            off.append(f"{label[:20]} {n:g} (here {found})")
    if not off:
        return []
    return [f"the file's multiplicities differ from those of its symmetry and positions: {', '.join(off[:4])}"]


def on_given_positions(
    block: Block, sites: tuple[Site, ...], rows: Array, operations: Operations, said: list[str]
) -> tuple[Site, ...]:
    """Return the sites, those off a special position on the one near by that has the file's own multiplicity."""
    given = _given_multiplicities(block)
    out = []
    for site in sites:
        n, order = given.get(site.label), len(operations[0])
        fixed = len(symmetry.stabiliser(np.array(site.xyz), *operations, rows, tidy.SAME_ATOM)[0])
        moved = site
        if n and n * fixed < order and not (_by_shelxl(block) and n == fixed):
            moved = tidy.with_multiplicity(site, int(n), *operations, rows)
        step = float(np.linalg.norm((np.array(moved.xyz) - site.xyz) @ rows))
        if step > tidy.SAME_ATOM:
            said.append(f"site {site.label} moved by {step:.3f} Å onto the position of the file's multiplicity {n:g}")
        out.append(moved)
    return tuple(out)


def _by_shelxl(block: Block) -> bool:
    programs = ("_audit_creation_method", "_computing_structure_refinement")
    return block.has("_shelx") or any("shelx" in block.text(item).lower() for item in programs)


def _given_multiplicities(block: Block) -> dict[str, float]:
    item = next((item for item in _MULTIPLICITY if block.column(item)), "")
    if not item or block.loops.get(item) != block.loops.get("_atom_site_label"):
        return {}
    labels, out = block.column("_atom_site_label"), {}
    for label, text in zip(labels, block.column(item), strict=False):
        if text.strip().isascii() and text.strip().isdecimal() and len(text) < 5:
            out[label] = float(text)
    return out


def _shown(counts: Mapping[str, float]) -> str:
    return " ".join(f"{element}{n:.4g}" for element, n in list(counts.items())[:8]) + " …" * (len(counts) > 8)
