"""The null model of a screen: a plain fragment of a crystal with as many atoms as the best candidate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pdfkit import build
from pdfkit.errors import PdfkitError
from pdfkit.particle import Particle

Null = str | Particle | Callable[[int], Particle]
CENTRES = ("cation", "anion", "bond", "atom")


def check_null(null: Any) -> None:
    """Refuse what no null model can be made of, before anything is computed. Raises PdfkitError."""
    if not (null is None or isinstance(null, Particle) or callable(null)):
        build.network(null)


def null_particle(null: Any, atoms: int) -> Particle:
    """Return the null model for a best candidate of `atoms` atoms.

    null : a particle; a function of the number of atoms; or what `pdfkit.build.network` takes (the name of a crystal,
    a structure, …), of which the sphere is cut that comes nearest to that number, centred on a cation, anion or bond.

    Raises PdfkitError for what is none of these.
    """
    if isinstance(null, Particle):
        return null
    if callable(null):
        made = null(atoms)
        if not isinstance(made, Particle):
            raise PdfkitError(f"null returned {type(made).__name__}: it must return a Particle")
        return made
    source = build.network(null)
    label = null if isinstance(null, str) else "crystal"
    spheres = [found for centre in CENTRES if (found := _sphere(source, centre, atoms)) is not None]
    if not spheres:
        raise PdfkitError(f"null = {null!r}: no sphere of about {atoms} atoms can be cut from it")
    best = min(spheres, key=lambda one: abs(len(one) - atoms))
    return Particle(best.elements, best.kind, best.xyz, f"sphere of {label}", best.meta, best.lattice, best.sites)


def _sphere(source: Any, centre: str, atoms: int) -> Particle | None:
    """Return the sphere about one centre whose number of atoms is nearest; None where there is no such centre."""

    def at(diameter: float) -> Particle | None:
        try:
            return build.sphere(source, diameter, centre=centre)
        except PdfkitError:
            return None

    low, high = 0.5, 4.0
    while (found := at(high)) is None or len(found) < atoms:
        low, high = high, 1.5 * high
        if high > 500.0:
            return None
    for _ in range(30):
        middle = 0.5 * (low + high)
        found = at(middle)
        low, high = (middle, high) if found is None or len(found) < atoms else (low, middle)
    both = [one for one in (at(low), at(high)) if one is not None and len(one) > 1]
    return min(both, key=lambda one: abs(len(one) - atoms), default=None)
