"""Whether what a file holds can be: densities, nearest atoms and values of G that no substance has, said once a file.

A structure in nm is 1000 times too dense; in a compound in Bohr every atom has its nearest neighbour at 1.9 times the
length of a bond. Of molecules in empty cells, elements (a cell with one atom to try something out is no error) and
noble gases nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from pdfkit._checks import Array
from pdfkit._species import NOBLE, atomic_mass, covalent_radius
from pdfkit.structure import Structure

DENSEST = 30.0
"""g/cm³: osmium has 22.7."""
IN_BOHR = (1.5, 2.2)
"""What nearest neighbours in Bohr are apart, in sums of covalent radii; in Å they are 0.8 to 1.15."""
ROOMY = 30.0
"""Å³ an atom: structures in Bohr have more (diamond 38), so that only these are searched for neighbours."""
FEWEST, MOST = 4, 20_000
"""Atoms of which the nearest neighbours tell something, and that are searched soon."""
LARGEST_G = 1e4
"""Å⁻²: the sharpest first peaks reach a few hundred."""


def mass_density(structure: Structure) -> float:
    """Return g/cm³: 1 u/Å³ = 1.66053907 g/cm³."""
    mass = sum(n * atomic_mass(element) for element, n in structure.composition().items())
    return float(mass / structure.volume() * 1.66053907)


def of_structure(structure: Structure) -> list[str]:
    """Return what cannot be true of a crystal, a sentence each."""
    density = mass_density(structure)
    if density > DENSEST:
        return [
            f"its density is {density:.3g} g/cm³, more than any substance has: are lengths in nm, or atoms doubled?"
        ]
    atoms = sum(structure.multiplicities().tolist())
    if structure.volume() < ROOMY * atoms or not FEWEST <= atoms <= MOST:
        return []
    rows, xyz = structure.basis(), structure.positions() % 1.0
    around = np.concatenate([(xyz + k) @ rows for k in product((0, -1, 1), repeat=3)])
    return _all_apart(around, xyz @ rows, [structure.sites[i].element for i in structure.expand().site])


def _all_apart(around: Array, xyz: Array, elements: Sequence[str]) -> list[str]:
    """Say it when every atom has its nearest neighbour among `around` (which begins with xyz) as far off as in Bohr."""
    from scipy.spatial import cKDTree

    if len(set(elements)) == 1 or NOBLE & set(elements):
        return []
    distance, index = cKDTree(around).query(xyz, k=min(9, len(around)))
    distance, index = distance[:, 1:], index[:, 1:] % len(xyz)
    radius = np.array([covalent_radius(element) for element in elements])
    ratio = distance / (radius[:, None] + radius[index])
    nearest = ratio.min(axis=1)
    if not IN_BOHR[0] < nearest.min() <= nearest.max() < IN_BOHR[1]:
        return []
    i, k = divmod(int(np.argmin(ratio)), ratio.shape[1])
    return [
        f"its nearest atoms, {elements[i]} and {elements[index[i, k]]}, are {distance[i, k]:.3g} Å apart, "
        f"{ratio[i, k]:.1f} times a bond: are lengths in Bohr (0.529 Å), or atoms missing?"
    ]


def of_G(G: Array) -> list[str]:
    """Return a sentence where G(r) has values that none has."""
    largest = float(np.abs(G).max(initial=0.0))
    if largest < LARGEST_G:
        return []
    return [f"the values reach {largest:.3g}, and no G(r) in Å⁻² does: are they of another function, unit or scale?"]
