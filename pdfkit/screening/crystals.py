"""Is what came with a cell a cluster, or a crystal? Bonds tell: those of a crystal run on without end."""

from __future__ import annotations

from dataclasses import replace

from pdfkit.errors import StructureError
from pdfkit.particles.particle import IN_CELL, Particle
from pdfkit.particles.periodic import CUT, MOST_ATOMS, ONE
from pdfkit.structure.structure import Structure

MANY = "that are not bonded to each other, and which is the cluster is not known: give the cluster alone, as xyz"


def cluster_in(structure: Structure, name: str = "") -> Particle:
    """Return the cluster that a cell holds: one piece whose bonds end, put together where the cell cuts through it.

    Raises StructureError for a crystal, for several pieces or loose atoms, for partly occupied sites, and where there
    are too many atoms to tell.
    """
    particle = Particle.from_structure(structure, name=name or structure.title)
    if len(particle) > MOST_ATOMS:
        raise StructureError(
            f"its cell has {len(particle)} atoms, too many to tell a cluster from a crystal: give a cluster as xyz"
        )
    if wrong := no_cluster(particle, structure.spacegroup):
        raise StructureError(wrong)
    if particle.meta[IN_CELL] != "cluster":
        raise StructureError(f"its cell holds {particle.meta[IN_CELL]} {MANY}")
    said = () if any(ONE in one for one in particle.remarks) else (ONE,)
    return replace(particle, lattice=None, sites=None, remarks=(*particle.remarks, *said))


def no_cluster(particle: Particle, spacegroup: str = "") -> str:
    """Return why a particle that came with a periodic cell is none to be compared; "" for all others."""
    found = str(particle.meta.get(IN_CELL, ""))
    if found == "crystal":
        return (
            f"this is a crystal ({spacegroup or 'P 1'}): its bonds run on from cell to cell, so the atoms of a cell "
            "are no cluster. Give it as null= to rank a sphere of it beside the candidates, or fit it by pdfkit fit"
        )
    return f"its cell cuts through some of {found.replace(CUT, 'pieces')} {MANY}" if found.endswith(CUT) else ""
