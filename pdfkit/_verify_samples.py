"""The small models that `pdfkit verify` works on."""

from __future__ import annotations

import math

import numpy as np

from pdfkit._checks import Array
from pdfkit.data import Instrument
from pdfkit.io.structures import load_structure
from pdfkit.particle import Particle
from pdfkit.phases.crystal import Crystal
from pdfkit.shapes import Sphere, Spheroid
from pdfkit.structure import Site, Structure

UNCUT = Instrument(probe="X", qmax=math.inf)
Z = {"Cd": 48.0, "S": 16.0, "Zn": 30.0}
TRICLINIC = Structure(
    (5.1, 6.2, 5.7, 80.0, 95.0, 103.0),
    (
        Site("Cd", "Cd", (0.1, 0.2, 0.3), U=(0.008,) * 3 + (0.0,) * 3),
        Site("S", "S", (0.55, 0.6, 0.7), occ=0.7, U=(0.010, 0.012, 0.02, 0.001, 0.002, 0.003), isotropic=False),
        Site("Zn", "Zn", (0.4, 0.1, 0.8), occ=0.4, U=(0.011,) * 3 + (0.0,) * 3),
    ),
)


def crystals() -> tuple[Crystal, Crystal, Crystal]:
    """Return zinc blende in a sphere, anisotropic wurtzite, and a triclinic cell with partial occupancies."""
    return (
        Crystal.from_file("CdS_zincblende", name="zb", delta2=2.0, shape=Sphere(21.0)),
        Crystal.from_file("CdS_wurtzite", name="wz", anisotropic=True, delta1=0.4, scale=0.7),
        Crystal.from_structure(TRICLINIC, name="tri", delta2=1.0, shape=Spheroid(18.0, 1.3)),
    )


def cds(kind: str, name: str, **options: object) -> Crystal:
    """Return CdS, "zb" or "wz", as the stored curves have it."""
    structure = load_structure({"zb": "CdS_zincblende", "wz": "CdS_wurtzite"}[kind])
    made = Crystal.from_structure(structure, name=name, delta2=2.0, **options)
    wanted = {"Cd": 0.008, "S": 0.012}
    return made.with_values({q.name: wanted[q.name[:-5]] for q in made.quantities if q.name.endswith(".Uiso")})


def tetrahedron() -> Particle:
    """Return Cd35S20, cut from zinc blende."""
    from pdfkit import build

    return build.tetrahedron("CdS_zincblende", 5)


def ball(diameter: float) -> Particle:
    """Return a sphere of zinc blende that knows its lattice."""
    from pdfkit import build

    return build.sphere("CdS_zincblende", diameter)


def grid(low: float, high: float, step: float) -> Array:
    """Return whole multiples of the step from low to high."""
    return np.asarray(step * np.arange(round(low / step), round(high / step) + 1), dtype=np.float64)
