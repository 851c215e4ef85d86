"""Which elements of a compound are its anions: the non-metals, or the most electronegative where there is no metal."""

from __future__ import annotations

from collections.abc import Iterable

# Pauling's electronegativities, of the elements that form anions.
NONMETALS = {
    "H": 2.20, "B": 2.04, "C": 2.55, "N": 3.04, "O": 3.44, "F": 3.98, "Si": 1.90, "P": 2.19, "S": 2.58, "Cl": 3.16,
    "As": 2.18, "Se": 2.55, "Br": 2.96, "Sb": 2.05, "Te": 2.10, "I": 2.66,
}  # fmt: skip
# Of ligands, unless nothing else could be the anion.
ORGANIC = {"H", "C"}


def anions(elements: Iterable[str]) -> frozenset[str]:
    """Return the elements that are anions; none for metals and for pure elements."""
    present = set(elements)
    some = present & NONMETALS.keys()
    if len(present) < 2 or not some:
        return frozenset()
    if some == present:
        return frozenset({max(sorted(some), key=NONMETALS.__getitem__)})
    return frozenset((some - ORGANIC) or some)


def cations(elements: Iterable[str]) -> frozenset[str]:
    """Return the elements that are cations; none for metals and for pure elements."""
    present = set(elements)
    negative = anions(present)
    return frozenset(present - negative - (ORGANIC if present - NONMETALS.keys() else set())) if negative else negative
