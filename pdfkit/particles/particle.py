"""Finite particles: a list of atoms without a cell, and the lattice they were cut from where there is one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from types import MappingProxyType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._table import facts
from pdfkit.errors import PdfkitError, StructureError, remark
from pdfkit.structure.site import LARGEST, U_MISSING
from pdfkit.structure.species import NOBLE, VACANCY, atomic_mass, base, covalent_radius, species, vacancies
from pdfkit.structure.structure import Structure

# --- What distances in a particle say of its file --------------------------------------------------------------------

P = TypeVar("P", bound="Particle")

# Å: no two nuclei come nearer (H2 has 0.74).
_SAME_SPOT = 0.5

RELAXED = "relaxed_"
"""What keys of the meta begin with that say of a relaxation."""

# Parts of the sum of two covalent radii: below lies no bond (uranyl has 0.67), above lie no neighbours but those of
# noble gases (caesium has 1.1).
_LEAST, _MOST = 0.63, 1.6


IN_CELL = "in_cell"
"""Key of the meta of a particle that came with a periodic cell: what that holds, see `pdfkit.particles.periodic`."""

FLAT = 1e-3
"""Å³: a cell of less is none."""

Cell = tuple[Array, Sequence[bool]]
"""Vectors of a cell (3, 3), rows in Å, and along which of them it is periodic."""


def checked(
    kind: type[P],
    names: Sequence[str],
    xyz: Any,
    said: Sequence[str],
    options: Mapping[str, Any],
    cell: Cell | None = None,
) -> P:
    """Return the particle (`kind.of`) of what was read, with remarks on that and on its distances.

    cell : a cluster that it cuts is put together. Raises StructureError for two atoms on one spot.
    """
    found = kind.of(names, xyz, **{**options, "remarks": (*map(remark, said), *options.get("remarks", ()))})
    found = found if cell is None else whole(found, cell)
    more = tuple(map(remark, [*_doubts(found), *(_loose(found) if cell is None else [])]))
    return replace(found, remarks=(*found.remarks, *more)) if more else found


def cell_of(atoms: Any) -> Cell | None:
    """Return the periodic cell of `ase.Atoms`; None where they have none."""
    periodic = [bool(p) and v.any() for p, v in zip(atoms.pbc, np.array(atoms.cell), strict=True)]
    vectors = np.array(atoms.cell.complete())
    return (vectors, periodic) if any(periodic) and abs(np.linalg.det(vectors)) > FLAT else None


def whole(particle: P, cell: Cell) -> P:
    """Return the particle with what a periodic cell cuts put together, and `IN_CELL` in its meta."""
    from pdfkit.particles.periodic import MOST_ATOMS, unfolded

    if len(particle) > MOST_ATOMS:
        return particle
    found = unfolded(particle.elements, particle.kind, particle.xyz, *cell)
    remarks = (*particle.remarks, remark(found.remark)) if found.remark else particle.remarks
    xyz = particle.xyz if found.endless else found.xyz
    return replace(particle, xyz=xyz, remarks=remarks, meta={**particle.meta, IN_CELL: found.kind})


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


def _loose(particle: Particle) -> list[str]:
    """Return what is to be said of a particle without a cell in several pieces: two clusters, or one in solvent."""
    from pdfkit.particles.periodic import BOND, MOST_ATOMS

    radii = BOND * _radii(particle)
    if len(particle) > MOST_ATOMS or not np.isfinite(radii).all():
        return []
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    i, j = cKDTree(particle.xyz).query_pairs(2 * float(radii.max()), output_type="ndarray").T
    bonded = np.linalg.norm(particle.xyz[i] - particle.xyz[j], axis=1) <= radii[i] + radii[j]
    links = coo_array((np.ones(bonded.sum()), (i[bonded], j[bonded])), shape=(len(particle),) * 2)
    sizes = np.bincount(connected_components(links, directed=False)[1])
    pieces = int((sizes > 1).sum())  # single ions are held by ligands that are not there: Cd at corners of Cd17S4
    if pieces < 2:
        return []
    return [
        f"its atoms are {pieces} pieces that are not bonded to each other, the largest of {sizes.max()} of "
        f"{len(particle)} atoms: distances between pieces count as all others; if one cluster is meant, give it alone"
    ]


def _radii(particle: Particle) -> Array:
    """Return covalent radii in Å; nan for noble gases, which bind nothing."""
    elements = map(base, particle.elements)
    radii = [math.nan if element in NOBLE else covalent_radius(element) for element in elements]
    return np.array(radii)[particle.kind]


# --- Finite particles ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where the atoms of a particle may sit: n·vectors + offsets[basis], n integers.

    vectors : (3, 3), rows in Å. offsets : (nbasis, 3) in Å.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> fcc = pk.particles.Lattice(3.524 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]), np.zeros((1, 3)))
    >>> x = fcc.positions(np.array([[0, 0, 0, 0], [1, 0, 0, 0]]))
    >>> print(f"{np.linalg.norm(x[1] - x[0]):.3f} Å")
    2.492 Å
    """

    vectors: Array
    offsets: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", _checks.array("vectors", self.vectors, ndim=2))
        object.__setattr__(self, "offsets", _checks.array("offsets", self.offsets, ndim=2))
        if self.vectors.shape != (3, 3) or self.offsets.shape[1:] != (3,):
            raise PdfkitError("a lattice has vectors (3, 3) and offsets (nbasis, 3): check their shapes")
        if abs(np.linalg.det(self.vectors)) < 1e-9:
            raise StructureError("the vectors of the lattice lie in a plane: give three independent ones")

    def positions(self, sites: IntArray) -> Array:
        """Return the Cartesian positions (n, 3) of sites (n, 4) = n1, n2, n3, basis."""
        return np.asarray(sites[:, :3] @ self.vectors + self.offsets[sites[:, 3]])


@dataclass(frozen=True, eq=False)
class Particle:
    """Atoms of one finite particle.

    Parameters
    ----------
    elements : the distinct elements, sorted. kind : (n,) index of each atom's element. xyz : (n, 3) Å.
    name : free text. meta : what a builder or a file says about it (numbers and words).
    lattice, sites : for a particle cut from a lattice: the lattice and (n, 4) n1, n2, n3, basis of each atom, whose
        positions may differ from xyz by a shift only. Pairs are then counted by lattice displacements.
    remarks : what was assumed when it was read, a sentence each.
    ligand : for a particle that wears ligands (`pdfkit.build.cap`), which atoms are theirs (n,); None: nothing is said.

    Raises
    ------
    StructureError : no atoms, an unknown element, positions that are not finite.

    Example
    -------
    >>> import pdfkit as pk
    >>> bent = pk.Particle.of(["Se", "Cd", "Se"], [[2.6, 0, 0], [0, 0, 0], [0, 2.6, 0]], name="bent")
    >>> bent.formula, round(bent.mass, 1)
    ('CdSe2', 270.4)
    >>> pk.Particle.from_structure(pk.load_structure("NaCl")).formula  # the atoms of one cell
    'Cl4Na4'
    """

    elements: tuple[str, ...]
    kind: IntArray
    xyz: Array
    name: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    lattice: Lattice | None = None
    sites: IntArray | None = None
    remarks: tuple[str, ...] = ()
    ligand: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "elements", tuple(self.elements))
        set_(self, "meta", MappingProxyType(dict(self.meta)))
        set_(self, "xyz", _checks.array("xyz", self.xyz, ndim=2))
        set_(self, "kind", _integers(self.kind))
        n = self.xyz.shape[0]
        if n == 0:
            raise StructureError("a particle without atoms: give at least one")
        if self.xyz.size and float(np.abs(self.xyz).max()) > LARGEST:
            raise StructureError(f"an atom lies beyond {LARGEST:g} Å: give positions in Å")
        if self.xyz.shape[1] != 3 or self.kind.shape != (n,):
            raise PdfkitError(
                f"xyz has shape {self.xyz.shape} and kind {self.kind.shape}: they must be (n, 3) and (n,)"
            )
        if self.kind.min() < 0 or self.kind.max() >= len(self.elements):
            raise PdfkitError(f"kind must lie between 0 and {len(self.elements) - 1}, the elements' indices")
        if (self.lattice is None) != (self.sites is None):
            raise PdfkitError("lattice and sites go together: give both or neither")
        if self.sites is not None:
            set_(self, "sites", _integers(self.sites))
            if self.sites.shape != (n, 4):
                raise PdfkitError(f"sites has shape {self.sites.shape}: it must be ({n}, 4)")
        if self.ligand is not None:
            set_(self, "ligand", _flags(self.ligand, n))

    @classmethod
    def of(cls, symbols: Sequence[str], xyz: Any, **options: Any) -> Self:
        """Return a particle from one symbol per atom ("Cd", "62-Ni", "Na1+") and positions (n, 3) in Å.

        ions : whether symbols with a charge are species that scatter X-rays as ions ("Na1+"); default False, the
        neutral element, and the charges only stand in `meta`. Vacancies ("Va", "X") are left out, with a remark.
        """
        elements, kind = np.unique(np.asarray(symbols, dtype=str), return_inverse=True)
        ions, said = options.pop("ions", False), tuple(options.pop("remarks", ()))
        there = [species(str(e)) for e in elements]
        known = tuple(one.ion if ions else one.element for one in there)
        kind = kind.ravel()
        if VACANCY in there and np.ndim(xyz) == 2 and len(xyz) == kind.size:
            counts = np.bincount(kind, minlength=len(there)).tolist()
            vacant = {str(e): n for e, n, one in zip(elements, counts, there, strict=True) if one == VACANCY}
            said += tuple(map(remark, vacancies(vacant)))
            full = np.array([one != VACANCY for one in there])[kind]
            kind, xyz = kind[full], np.asarray(xyz)[full]
            if options.get("ligand") is not None:
                options["ligand"] = np.asarray(options["ligand"])[full]
        merged = tuple(sorted(set(known) - {""}))
        if not ions and (stated := [one.ion for one in there if one.charge]):
            options["meta"] = {**options.get("meta", {}), "charges": ", ".join(dict.fromkeys(stated))}
        index = np.array([merged.index(e) if e else -1 for e in known], dtype=np.int64)
        return cls(merged, index[kind] if kind.size else kind.astype(np.int64), xyz, remarks=said, **options)

    @classmethod
    def from_structure(cls, obj: Any, **options: Any) -> Self:
        """Return the atoms of a Particle, a pdfkit `Structure` (one cell), `ase.Atoms` or a diffpy structure.

        A cluster that a periodic cell cuts is put together, with a remark: its bonds end within the cell. Of a crystal,
        whose bonds run on, the atoms of one cell are taken as they are (meta `in_cell` tells which it is).

        Raises StructureError for sites that are partly occupied, PdfkitError for any other object.
        """
        if isinstance(obj, Particle):
            options.pop("ions", None)
            return replace(obj, **options)  # type: ignore[return-value]
        if isinstance(obj, Structure):
            return cls._from_cell(obj, **options)
        if isinstance(obj, str | PathLike):
            raise PdfkitError(f"{str(obj)!r} is a name, not a particle: give it to from_file of Cluster or Particle")
        kind = f"{type(obj).__module__}.{type(obj).__name__}"
        if kind.startswith("ase."):
            from pdfkit.structure.convert import particle_names

            names, said = particle_names(obj)
            return checked(cls, names, obj.get_positions(), said, options, cell_of(obj))
        if kind.startswith("diffpy."):
            if any(atom.occupancy != 1.0 for atom in obj):
                raise StructureError("some atoms have occupancies below 1: a particle has whole atoms only")
            # A lattice of 1 Å is what structures without one have.
            cell = (np.array(obj.lattice.base), (True, True, True)) if min(obj.lattice.abcABG()[:3]) > 1.0 else None
            return checked(cls, [a.element for a in obj], [a.xyz_cartn for a in obj], (), options, cell)
        raise PdfkitError(f"{kind} is not a particle: give a Particle, Structure, ase.Atoms or diffpy Structure")

    @classmethod
    def _from_cell(cls, structure: Structure, **options: Any) -> Self:
        for site in structure.sites:
            if site.occ != 1.0:
                raise StructureError(f"site {site.label} has occupancy {site.occ:g}: a particle has whole atoms only")
        atoms = structure.expand()
        symbols = [structure.sites[i].symbol for i in atoms.site]
        # Particles have no U: models of them bring their own.
        said = tuple(one for one in structure.remarks if not one.startswith(U_MISSING))
        given = {"name": structure.title, "remarks": said, **options}
        found = cls.of(symbols, structure.positions() @ structure.basis(), **given)
        return whole(found, (structure.basis(), (True, True, True)))

    @classmethod
    def from_file(cls, path: str | PathLike[str], **options: Any) -> Self:
        """Return the particle in an xyz or extended xyz file (no cell needed), or in a CIF, PDB, … (one cell's atoms).

        What a periodic cell cuts is put together, as in `from_structure`; a crystal is said to be one.
        The name of a cluster that comes with pdfkit works too. Raises ReadError for a file that cannot be read.
        """
        from pdfkit.io.xyz import read_particle

        return read_particle(path, cls, **options)

    def __len__(self) -> int:
        return int(self.xyz.shape[0])

    def __reduce__(self) -> tuple[Any, ...]:
        known = (self.elements, self.kind, self.xyz, self.name, dict(self.meta))
        return type(self), (*known, self.lattice, self.sites, self.remarks, self.ligand)

    def __repr__(self) -> str:
        return f"Particle({self.name or self.formula!r}: {self.formula}, {len(self)} atoms)"

    def _repr_html_(self) -> str:
        size = f"{self.extent():.2f} Å" if len(self) > 1 else ""
        known = {"formula": self.formula, "atoms": str(len(self)), "diagonal of its box": size}
        return facts(f"Particle {self.name}".strip(), known, self.remarks)

    @property
    def symbols(self) -> list[str]:
        """Element of each atom."""
        return [self.elements[k] for k in self.kind]

    def composition(self) -> dict[str, float]:
        """Return the atoms of each element."""
        counts = np.bincount(self.kind, minlength=len(self.elements))
        return {e: float(n) for e, n in zip(self.elements, counts, strict=True) if n}

    @property
    def formula(self) -> str:
        """Elements and numbers, such as Cd37S20."""
        return "".join(f"{e}{n:.0f}" if n != 1 else e for e, n in self.composition().items())

    @cached_property
    def mass(self) -> float:
        """Mass in g/mol (Da)."""
        return sum(n * atomic_mass(e) for e, n in self.composition().items())

    @property
    def core(self) -> Self:
        """The particle without the atoms of its ligands; itself where none or all are theirs."""
        alone = self.ligand is None or bool(self.ligand.all())
        return self if alone else replace(self.select(~self.ligand), ligand=None)  # type: ignore[operator]  # not alone

    @property
    def organic_fraction(self) -> float:
        """Mass of the ligands in that of the whole: what burns off in thermogravimetry."""
        return 1.0 - self.core.mass / self.mass

    def select(self, mask: Any) -> Self:
        """Return the atoms that a boolean mask or index array (n,) picks. StructureError when it picks none."""
        sites, ligand = (None if one is None else one[mask] for one in (self.sites, self.ligand))
        kind = self.kind[mask]
        used = np.unique(kind)
        elements = tuple(self.elements[k] for k in used)
        kept: dict[str, Any] = {"elements": elements, "sites": sites, "ligand": ligand}
        return replace(self, kind=np.searchsorted(used, kind), xyz=self.xyz[mask], **kept)

    def moved(self, shift: Any) -> Self:
        """Return the particle displaced by `shift` (3,) in Å."""
        return replace(self, xyz=self.xyz + np.asarray(shift, dtype=np.float64))

    def extent(self) -> float:
        """Return an upper bound of the largest distance (Å): the diagonal of the box around the atoms."""
        return float(np.linalg.norm(np.ptp(self.xyz, axis=0)))

    def to_ase(self) -> Any:
        """Return an `ase.Atoms` without a cell; isotopes by their masses and an array "isotope" of mass numbers."""
        from ase import Atoms

        from pdfkit.structure.convert import label_isotopes

        atoms = Atoms([base(e) for e in self.symbols], positions=self.xyz)
        label_isotopes(atoms, self.symbols)
        return atoms


def _flags(value: Any, n: int) -> NDArray[np.bool_] | None:
    """Return one flag per atom; None where none is set."""
    out = np.array(value, dtype=np.bool_, order="C")
    if out.shape != (n,):
        raise PdfkitError(f"ligand has shape {out.shape}: it must be ({n},), one flag per atom")
    out.setflags(write=False)
    return out if out.any() else None


def _integers(value: Any) -> IntArray:
    out = np.array(value, dtype=np.int64, order="C")
    out.setflags(write=False)
    return out
