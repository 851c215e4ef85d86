"""Build particles: cut from crystals and stacks of bilayers, tetrahedra, and clusters of an exact stoichiometry.

    import pdfkit as pk

    dot = pk.build.sphere("CdSe_wurtzite", 30, centre="bond", trim=2)
    faulted = pk.build.rod(pk.build.stacking("Cd", "Se", "random", alpha=0.3, seed=1), 30, 60)
    cluster = pk.build.tetrahedron("CdSe_zincblende", 6)
    for candidate in pk.build.candidates("Cd37S20", seed=1):
        print(pk.build.describe(candidate))
    capped = pk.build.cap(candidate, "acetate")
    relaxed = pk.build.relax(pk.build.cap(candidate, "Cl"), "classical")

Particles that are cut carry the lattice they were cut from, so that pairs of a million atoms are counted by FFT.
"""

from pdfkit.build._source import Source
from pdfkit.build._stacking import stacking
from pdfkit.build.capping import cap, core_charge
from pdfkit.build.cut import core_shell, cube, ellipsoid, network, platelet, rod, sphere
from pdfkit.build.description import (
    Description,
    describe,
    fingerprint,
    from_folder,
    hexagonality,
    point_group,
    same_shape,
    unique,
)
from pdfkit.build.exact import candidates, fewest_cations, iter_candidates
from pdfkit.build.relaxing import relax, rms_displacement
from pdfkit.build.tetrahedra import capped_tetrahedron, tetrahedron, truncated_tetrahedron
from pdfkit.build.twinning import decahedron, icosahedron, is_chiral, mirrored, twinned, wulff

__all__ = [
    "Description",
    "Source",
    "candidates",
    "cap",
    "capped_tetrahedron",
    "core_charge",
    "core_shell",
    "cube",
    "decahedron",
    "describe",
    "ellipsoid",
    "fewest_cations",
    "fingerprint",
    "from_folder",
    "hexagonality",
    "icosahedron",
    "is_chiral",
    "iter_candidates",
    "mirrored",
    "network",
    "platelet",
    "point_group",
    "relax",
    "rms_displacement",
    "rod",
    "same_shape",
    "sphere",
    "stacking",
    "tetrahedron",
    "truncated_tetrahedron",
    "twinned",
    "unique",
    "wulff",
]
