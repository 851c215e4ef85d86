"""Several elements on one site: they share its position and displacements, and each has its own occupancy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import StructureError
from pdfkit.structure.site import Site, identifier, sited

if TYPE_CHECKING:
    from pdfkit.structure.structure import Structure

Mix = Mapping[str, Mapping[str, float]]

SAME_PLACE = 0.01
"""Å within which another site of the structure is the same place."""
FULL = 1 + 1e-6
_EXAMPLE = '{"As1": {"As": 0.9, "P": 0.1}}'


def mixed(structure: Structure, mix: Mix) -> Structure:
    """Return the structure with several elements on sites: {"As1": {"As": 0.9, "P": 0.1}}, occupancies by element.

    A site is named by its label, or all sites of an element by the element. The first of a site is its own element, if
    it is among them, and keeps the label; others are labelled alike ("P1"). They lie where it lies and move as it does:
    only their occupancies are numbers of their own. What else was on the same place, as in a CIF of a mixed crystal,
    is replaced.

    Raises StructureError for a site that does not exist, an unknown element, or occupancies that are no numbers from 0
    to 1 of sum 1 at the most.
    """
    if not isinstance(mix, Mapping) or not all(isinstance(one, Mapping) and one for one in mix.values()):
        raise StructureError(f"mix is not a table of elements for each site: give {_EXAMPLE}", key="mix")
    sites = list(structure.sites)
    for name, shares in mix.items():
        parts = _shares(name, shares)
        for label in _named(structure, str(name)):
            sites = _with_shares(structure, sites, label, parts)
    return replace(structure, sites=tuple(sites))


def _shares(name: str, shares: Mapping[str, Any]) -> dict[str, float]:
    """Return occupancies by element, checked."""
    out = {}
    for element, occ in shares.items():
        sited(element)
        if isinstance(occ, bool) or not isinstance(occ, int | float) or not 0 <= occ <= 1:
            raise StructureError(
                f"mix of {name}: occupancy of {element} is {occ}: give a number from 0 to 1", key="mix"
            )
        out[str(element)] = float(occ)
    total = math.fsum(out.values())
    if not 0 < total <= FULL:
        raise StructureError(
            f"mix of {name} puts {total:g} atoms on a site: occupancies add up to 1 at the most", key="mix"
        )
    return out


def _named(structure: Structure, name: str) -> list[str]:
    """Return the labels of the sites that a name in `mix` stands for."""
    labels = [site.label for site in structure.sites]
    if identifier(name) in labels:
        return [identifier(name)]
    found = [site.label for site in structure.sites if site.element == name]
    if not found:
        raise StructureError(f"mix names {name!r}: the sites are {', '.join(labels[:20])}", key="mix")
    return found


def _with_shares(structure: Structure, sites: list[Site], label: str, parts: Mapping[str, float]) -> list[Site]:
    """Return the sites with those of one place replaced by its elements; the same where they are replaced already."""
    lead = next((site for site in sites if site.label == label), None)
    if lead is None:
        return sites
    kept = [site for site in sites if not _same_place(structure, lead, site)]
    taken = {site.label for site in kept}
    at = next(k for k, site in enumerate(sites) if _same_place(structure, lead, site))
    made = list(_occupants(lead, parts, taken))
    return [*kept[:at], *made, *kept[at:]]


def _same_place(structure: Structure, one: Site, other: Site) -> bool:
    """Return whether an image of `other` lies on `one`."""
    images = np.einsum("nij,j->ni", structure.rotations, np.array(other.xyz)) + structure.translations
    apart = images - np.array(one.xyz)
    distance = np.linalg.norm((apart - np.round(apart)) @ structure.basis(), axis=1)
    return bool(distance.min() < SAME_PLACE)


def _occupants(lead: Site, parts: Mapping[str, float], taken: set[str]) -> Iterator[Site]:
    """Yield a site for each element; all but the first share position and displacements with it."""
    own = [element for element in parts if sited(element).element == lead.element]
    first = ""
    for element in [*own, *(one for one in parts if one not in own)]:
        label = lead.label if element in own else _label(lead, element, taken)
        taken.add(label)
        charge = lead.charge if element in own else 0
        yield replace(lead, label=label, element=element, occ=parts[element], charge=charge, shares=first)
        first = first or label


def _label(lead: Site, element: str, taken: set[str]) -> str:
    """Return "P1" for P on As1, or "P_As1" where another site has that label."""
    stem = identifier(element)
    rest = lead.label.removeprefix(identifier(lead.element))
    label = f"{stem}{rest}" if rest != lead.label else f"{stem}_{lead.label}"
    while label in taken:
        label = f"{stem}_{lead.label}" if label != f"{stem}_{lead.label}" else f"{label}_2"
    return label


def leaders(structure: Structure) -> list[int]:
    """Return for each site the index of the one whose position and displacements it shares: its own where it does not.

    A site that is not where the other is any more, or moves otherwise, shares nothing.
    """
    index = {site.label: k for k, site in enumerate(structure.sites)}
    out = []
    for k, site in enumerate(structure.sites):
        if not site.shares:
            out.append(k)
            continue
        lead = structure.sites[index.get(site.shares, k)]
        same = lead.isotropic == site.isotropic and not lead.shares
        same = (
            same
            and np.allclose(lead.xyz, site.xyz, rtol=0, atol=1e-9)
            and np.allclose(lead.U, site.U, rtol=0, atol=1e-9)
        )
        out.append(index[lead.label] if same else k)
    return out
