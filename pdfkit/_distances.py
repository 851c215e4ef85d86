"""What distances in a particle say of its file: atoms listed twice, units other than Å, names that are no elements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pdfkit._checks import Array
from pdfkit._species import NOBLE, base, covalent_radius
from pdfkit.errors import StructureError, remark

if TYPE_CHECKING:
    from pdfkit.particle import Particle

P = TypeVar("P", bound="Particle")
# Å: no two nuclei come nearer (H2 has 0.74).
_SAME_SPOT = 0.5
# Parts of the sum of two covalent radii: below lies no bond (uranyl has 0.67), above lie no neighbours but those of
# noble gases (caesium has 1.1).
_LEAST, _MOST = 0.63, 1.6


def checked(kind: type[P], names: Sequence[str], xyz: Any, said: Sequence[str], options: Mapping[str, Any]) -> P:
    """Return the particle (`kind.of`) of what was read, with remarks on that and on its distances.

    Raises StructureError for two atoms on one spot.
    """
    found = kind.of(names, xyz, **{**options, "remarks": (*map(remark, said), *options.get("remarks", ()))})
    more = tuple(map(remark, _doubts(found)))
    return replace(found, remarks=(*found.remarks, *more)) if more else found


def _doubts(particle: Particle) -> list[str]:
    """Return what is odd about the distance of each atom from its nearest."""
    if len(particle) < 2:
        return []
    from scipy.spatial import cKDTree

    tree = cKDTree(particle.xyz)
    distances, found = tree.query(particle.xyz, k=2)
    # Of two atoms on one spot either may come first.
    distance, near = distances[:, 1], np.where(found[:, 1] == np.arange(len(found)), found[:, 0], found[:, 1])
    closest = int(distance.argmin())
    names = particle.symbols
    pair = f"atoms {closest + 1} and {int(near[closest]) + 1} ({names[closest]}, {names[near[closest]]})"
    if distance[closest] < _SAME_SPOT:
        raise StructureError(
            f"{pair} are {distance[closest]:.3f} Å apart: remove one, or give positions in Å (not nm, not fractional)"
        )
    radii = _radii(particle)
    part = distance / (radii + radii[near])
    if np.nanmin(part, initial=1.0) < _LEAST:
        k = int(np.nanargmin(part))
        pair = f"{names[k]} and {names[near[k]]} (atoms {k + 1} and {int(near[k]) + 1})"
        return [f"{pair} are {distance[k]:.3f} Å apart, closer than any bond of theirs: are names and positions right?"]
    if np.nanmin(part, initial=np.inf) > _MOST and np.isfinite(part).all():
        return [f"no two atoms are closer than {distance.min():.2f} Å, too far for a bond: are the positions in Å?"]
    return []


def _radii(particle: Particle) -> Array:
    """Return covalent radii in Å; nan for noble gases, which bind nothing."""
    elements = map(base, particle.elements)
    radii = [math.nan if element in NOBLE else covalent_radius(element) for element in elements]
    return np.array(radii)[particle.kind]
