"""Crystal structures: the asymmetric unit, the operations of the space group, and what symmetry leaves free.

Lengths in Å, angles in degrees, U in Å² in the convention of CIF files (U_ij refers to the basis a*_i a_i).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit._table import Section, shortlist, view
from pdfkit.errors import StructureError
from pdfkit.structure import symmetry, tidy
from pdfkit.structure.site import Site, element_symbol

__all__ = ["NAMES_CELL", "NAMES_U", "NAMES_XYZ", "Expanded", "Site", "Structure", "element_symbol"]

NAMES_XYZ = ("x", "y", "z")
NAMES_U = ("U11", "U22", "U33", "U12", "U13", "U23")
NAMES_CELL = ("a", "b", "c", "alpha", "beta", "gamma")


@dataclass(frozen=True, eq=False)
class Expanded:
    """Every atom of the cell: fractional position = rotation @ xyz[site] + translation (not wrapped).

    site : (n,) index into `Structure.sites`. rotation : (n, 3, 3). translation : (n, 3). The first atom of
    each site is the identity image.
    """

    site: IntArray
    rotation: IntArray
    translation: Array

    def __len__(self) -> int:
        return int(self.site.size)


def _identity() -> IntArray:
    return np.eye(3, dtype=np.int64)[None]


@dataclass(frozen=True, eq=False)
class Structure:
    """A crystal: cell, asymmetric unit and symmetry operations.

    Parameters
    ----------
    cell : a b c in Å, alpha beta gamma in degrees; made exact for the symmetry (119.999° → 120°).
    sites : the asymmetric unit. Sites within rounding of a special position (0.333) are put on it, whatever
        their occupancy, sites within 0.1 Å of their images too where these would hold more than one atom; split sites
        stay. Anisotropic U are averaged over the site symmetry, atoms of one element within 0.01 Å merged. All that
        was moved, merged or looks wrong is said in a `PdfkitWarning` and in `remarks`.
    spacegroup : Hermann–Mauguin symbol, for the record; the operations decide.
    rotations, translations : (n, 3, 3) and (n, 3), all operations of the cell, centring included.
    title : free text.
    meta : what else a file says (delta1, delta2, sratio, rcut, spdiameter, stepcut, scale …).
    remarks : what was assumed or repaired, by the file's reader or here, a sentence each.

    Raises
    ------
    StructureError : no volume, a cell against its symmetry, operations that are no group, no site, two sites
        of one label, atoms within 0.5 Å of one another with a total occupancy above 1.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.structure import Site
    >>> sites = [Site("Cs", "Cs", (0, 0, 0)), Site("Cl", "Cl", (0.5, 0.5, 0.5))]
    >>> cscl = pk.Structure((4.12, 4.12, 4.12, 90, 90, 90), sites)
    >>> cscl.composition(), round(cscl.volume(), 2)
    ({'Cs': 1.0, 'Cl': 1.0}, 69.93)
    >>> pk.load_structure("CdSe_wurtzite").cell_constraints()  # what symmetry ties
    {'b': 'a', 'alpha': '90', 'beta': '90', 'gamma': '120'}
    """

    cell: tuple[float, ...]
    sites: tuple[Site, ...]
    spacegroup: str = "P 1"
    rotations: IntArray = field(default_factory=_identity)
    translations: Array = field(default_factory=lambda: np.zeros((1, 3)))
    title: str = ""
    meta: Mapping[str, float | str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        said: list[str] = []
        R, t = symmetry.operations(self.rotations, self.translations, said)
        R.setflags(write=False)
        t.setflags(write=False)
        set_(self, "rotations", R)
        set_(self, "translations", t)
        set_(self, "cell", tidy.cell(self.cell, R))
        set_(self, "meta", MappingProxyType(dict(self.meta)))
        sites = tuple(self.sites)
        if not sites:
            raise StructureError("a structure without sites: give at least one")
        repeated = [label for label, n in Counter(site.label for site in sites).items() if n > 1]
        if repeated:
            raise StructureError(f"label {repeated[0]} is used by two sites: give each its own")
        rows = self.basis()
        set_(self, "sites", tuple(tidy.on_position(site, R, t, rows, said) for site in sites))
        self._merge_and_check(said)
        said += tidy.displacement_remarks(self.sites, rows, self.meta.get("displacements") == "B")
        # A copy says again what the original said: once is enough.
        tidy.warn([text for text in said if text not in self.remarks])
        set_(self, "remarks", tuple(dict.fromkeys([*self.remarks, *said])))

    def moved(self, cell: tuple[float, ...], sites: tuple[Site, ...]) -> Structure:
        """Return the same crystal at another cell and site values that obey its symmetry already (a fit's step).

        Nothing is checked or expanded again: `replace` is the one that checks.
        """
        out = object.__new__(type(self))
        out.__dict__.update({**self.__dict__, "cell": cell, "sites": sites})
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        values = (self.cell, self.sites, self.spacegroup, self.rotations, self.translations, self.title)
        return type(self), (*values, dict(self.meta), self.remarks)

    def __repr__(self) -> str:
        formula = " ".join(f"{el}{n:g}" for el, n in self.composition().items())
        cell = " ".join(f"{x:.6g}" for x in self.cell)
        return f"Structure({self.title or formula!r}: {self.spacegroup}, cell {cell}, {formula} per cell)"

    def _repr_html_(self) -> str:
        lengths, angles = (" ".join(f"{x:.6g}" for x in part) for part in (self.cell[:3], self.cell[3:]))
        lines = [f"{self.spacegroup}, cell {lengths} Å, {angles}°, {self.volume():.5g} Å³"]
        lines += [f"Remark: {text}" for text in self.remarks]
        rows = [
            (s.label, s.symbol, str(n), " ".join(f"{x:.5f}" for x in s.xyz), f"{s.occ:g}", f"{self.Uequiv(i):.4g}")
            for i, (s, n) in enumerate(zip(self.sites, self.multiplicities().tolist(), strict=True))
        ]
        heads = ("site", "", "atoms a cell", "x y z", "occupancy", "U (Å²)")
        return view(Section(f"Structure {self.title}".strip(), lines=tuple(lines)), shortlist("", heads, rows))

    # --- geometry

    def basis(self) -> Array:
        """Return the (3, 3) rows a, b, c in Cartesian Å; a ∥ x and b in the xy plane."""
        return symmetry.basis(self.cell)

    def volume(self) -> float:
        """Return the volume of the cell in Å³."""
        return float(np.linalg.det(self.basis()))

    def expand(self) -> Expanded:
        """Return every distinct atom of the cell once, by site."""
        return self._expanded

    def positions(self) -> Array:
        """Return the (n, 3) fractional positions of `expand()`, not wrapped into the cell."""
        atoms = self._expanded
        xyz = np.array([site.xyz for site in self.sites])
        return np.asarray(np.einsum("nij,nj->ni", atoms.rotation, xyz[atoms.site]) + atoms.translation)

    def multiplicities(self) -> IntArray:
        """Return how many atoms of the cell each site stands for, (nsites,)."""
        return np.bincount(self._expanded.site, minlength=len(self.sites)).astype(np.int64)

    def composition(self) -> dict[str, float]:
        """Return the atoms of each element in the cell, weighted by occupancy."""
        out: dict[str, float] = {}
        for site, n in zip(self.sites, self.multiplicities(), strict=True):
            out[site.element] = out.get(site.element, 0.0) + site.occ * int(n)
        return out

    def number_density(self) -> float:
        """Return ρ₀ in atoms Å⁻³, weighted by occupancy."""
        return sum(self.composition().values()) / self.volume()

    def index(self, which: int | str) -> int:
        """Return the index of a site given by index or label; StructureError when there is no such site."""
        if not isinstance(which, str) and 0 <= which < len(self.sites):
            return int(which)
        labels = [site.label for site in self.sites]
        if isinstance(which, str) and which in labels:
            return labels.index(which)
        raise StructureError(f"no site {which!r}: the sites are {', '.join(labels[:20])}")

    def U_tensor(self, which: int | str) -> tuple[float, ...]:
        """Return U11 U22 U33 U12 U13 U23 (CIF convention, Å²): Uiso (a*_i·a*_j)/(a*_i a*_j) if isotropic."""
        site = self.sites[self.index(which)]
        if not site.isotropic:
            return site.U
        return tuple(site.U[0] * unit for unit in symmetry.isotropic_tensor(self.basis()))

    def U_cartesian(self, which: int | str) -> Array:
        """Return the (3, 3) displacement tensor of a site in the Cartesian frame of `basis()`, Å²."""
        rows = self.basis()
        star = symmetry.reciprocal_lengths(rows)
        beta = symmetry.matrix(self.U_tensor(which)) * np.outer(star, star)
        return np.asarray(rows.T @ beta @ rows)

    def Uequiv(self, which: int | str) -> float:
        """Return the equivalent isotropic U in Å²: Uiso, or a third of the trace of the Cartesian tensor."""
        site = self.sites[self.index(which)]
        return site.U[0] if site.isotropic else float(np.trace(self.U_cartesian(which)) / 3)

    # --- what symmetry leaves free

    def cell_constraints(self) -> dict[str, str]:
        """Return the dependent cell parameters as expressions of the free ones ({"b": "a", "gamma": "120"}).

        From Rᵀ G R = G of every rotation, so any setting with axes along symmetry directions is understood.
        StructureError for a cell whose symmetry ties lengths to angles.
        """
        return tidy.cell_constraints(self.rotations)

    def position_constraints(self, which: int | str) -> dict[str, str]:
        """Return the dependent ones of x, y, z of a site by the free ones ({"y": "2*x", "z": "0.25"})."""
        if len(self.rotations) == 1:  # boxes have 10⁴ sites
            return {}
        R, t, n = self._site_symmetry(which)
        return symmetry.expressions(symmetry.position_solution(R, t, n), NAMES_XYZ)

    def U_constraints(self, which: int | str) -> dict[str, str]:
        """Return the dependent ones of U11 … U23 of a site by the free ones ({"U12": "0.5*U11"})."""
        if len(self.rotations) == 1:
            return {}
        R, _, _ = self._site_symmetry(which)
        star = symmetry.reciprocal_lengths(self.basis())
        scale = [float(star[i] * star[j]) for i, j in symmetry.VOIGT]
        # The equations hold for β = U a*_i a*_j; the ratios are 1 in the settings of International Tables.
        return {
            NAMES_U[p]: symmetry.expression(
                {NAMES_U[q]: round(float(c) * scale[q] / scale[p], 9) for q, c in terms.items()}, 0.0
            )
            for p, (terms, _) in symmetry.tensor_solution(R).items()
        }

    # --- changed copies

    def with_anisotropic(self, labels: Iterable[str] | None = None) -> Structure:
        """Return a copy whose isotropic sites (`labels`; default all) carry their tensor as six numbers."""
        chosen = range(len(self.sites)) if labels is None else [self.index(label) for label in labels]
        sites = list(self.sites)
        for i in chosen:
            sites[i] = replace(sites[i], U=self.U_tensor(i), isotropic=False)
        return replace(self, sites=tuple(sites))

    def with_isotropic(self) -> Structure:
        """Return a copy whose anisotropic sites have one Uiso each, the mean of their tensor (Ueq), and say so."""
        changed = [i for i, site in enumerate(self.sites) if not site.isotropic]
        if not changed:
            return self
        sites = list(self.sites)
        for i in changed:
            sites[i] = replace(sites[i], U=(self.Uequiv(i),), isotropic=True)
        labels = ", ".join(sites[i].label for i in changed[:6]) + (", …" if len(changed) > 6 else "")
        text = f"isotropic as asked: {labels} had tensors, and have their mean Ueq as Uiso"
        return replace(self, sites=tuple(sites), remarks=(*self.remarks, text))

    def to_p1(self) -> Structure:
        """Return the same crystal with every atom of the cell explicit, labelled Cd1, Cd2 …"""
        return self.supercell((1, 1, 1))

    def supercell(self, n: tuple[int, int, int]) -> Structure:
        """Return n[0] × n[1] × n[2] cells as one cell in P 1, every atom explicit."""
        from pdfkit.structure import convert

        return convert.supercell(self, n)

    def find_symmetry(self, tolerance: float = 0.01) -> Structure:
        """Return the same crystal in the space group that its atoms have within `tolerance` (Å), found by spglib.

        Atoms are alike only with the same species, occupancy and U. The cell stays where its axes are those of the
        group; otherwise the conventional cell is taken. Positions and tensors that were nearly symmetric are averaged.
        What was found and changed is said in a remark.

        Raises
        ------
        StructureError : a tolerance as large as the distances of atoms, or with which the crystal would change.

        Example
        -------
        >>> import warnings
        >>> import pdfkit as pk
        >>> listed = pk.load_structure("CdS_zincblende").to_p1()
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", pk.PdfkitWarning)
        ...     found = listed.find_symmetry()
        >>> len(listed.sites), len(found.sites), found.spacegroup
        (8, 2, 'F -4 3 m')
        >>> print(found.remarks[0])
        symmetry found within 0.01 Å: F -4 3 m (No. 216), in the cell that was given
        """
        from pdfkit.structure import find_symmetry as structure_find_symmetry

        return structure_find_symmetry.find(self, tolerance)

    # --- other programs' structures

    @classmethod
    def from_arrays(
        cls,
        cell: Any,
        elements: Sequence[str],
        xyz: Any,
        *,
        occ: Any = 1.0,
        U: Any = 0.005,
        labels: Sequence[str] | None = None,
        title: str = "",
    ) -> Structure:
        """Return a P 1 structure from a list of atoms.

        Parameters
        ----------
        cell : 6 numbers (Å, degrees) or (3, 3) rows a, b, c in Å.
        elements : n symbols. xyz : (n, 3) fractional.
        occ : one number or (n,). U : Å², one number or (n,) Uiso, or (n, 6) tensors in the CIF convention.

        Raises
        ------
        StructureError, PdfkitError : shapes that do not match, and all that the constructor refuses.
        """
        from pdfkit.structure import convert

        return convert.from_arrays(cell, elements, xyz, occ=occ, U=U, labels=labels, title=title)

    @classmethod
    def of(cls, obj: Any) -> Structure | None:
        """Return the Structure that an object is or, of ase or diffpy.structure, holds; None for all others."""
        package = type(obj).__module__.partition(".")[0]
        makers = {"ase": cls.from_ase, "diffpy": cls.from_diffpy}
        return obj if isinstance(obj, Structure) else makers[package](obj) if package in makers else None

    @classmethod
    def from_ase(cls, atoms: Any) -> Structure:
        """Return a P 1 structure from `ase.Atoms` (occupancies from `info["occupancy"]`, Uiso 0.005 Å²)."""
        from pdfkit.structure import convert

        return convert.from_ase(atoms)

    @classmethod
    def from_diffpy(cls, structure: Any) -> Structure:
        """Return a P 1 structure from a `diffpy.structure.Structure`; its PDFfit values go into `meta`."""
        from pdfkit.structure import convert

        return convert.from_diffpy(structure)

    def to_ase(self) -> Any:
        """Return `ase.Atoms` with every atom of the cell; partial occupancies in `info["occupancy"]`."""
        from pdfkit.structure import convert

        return convert.to_ase(self)

    def to_diffpy(self) -> Any:
        """Return a `diffpy.structure.Structure` with every atom of the cell, its occupancy and U."""
        from pdfkit.structure import convert

        return convert.to_diffpy(self)

    # --- how a structure is put in order

    def _site_symmetry(self, which: int | str) -> tuple[IntArray, Array, Array]:
        xyz = np.array(self.sites[self.index(which)].xyz)
        index, n = symmetry.stabiliser(xyz, self.rotations, self.translations, self.basis(), tidy.SAME_ATOM)
        return self.rotations[index], self.translations[index], n

    @cached_property
    def _expanded(self) -> Expanded:
        R, t, rows = self.rotations, self.translations, self.basis()
        kept = [np.arange(1)] * len(self.sites)
        if len(R) > 1:
            kept = [tidy.distinct(R @ np.array(site.xyz) + t, rows) for site in self.sites]
        index = np.concatenate(kept)
        site = np.repeat(np.arange(len(kept)), [len(k) for k in kept]).astype(np.int64)
        arrays = (site, R[index], t[index])
        for a in arrays:
            a.setflags(write=False)
        return Expanded(*arrays)

    def _merge_and_check(self, said: list[str]) -> None:
        which = self._expanded.site
        pairs, distance = symmetry.close_pairs(self.positions(), self.basis(), tidy.CLOSE)
        if len(pairs) == 0:
            return
        merged = tidy.merged(self.sites, which[pairs[distance < tidy.SAME_ATOM]])
        removed = len(self.sites) - len(merged)
        if removed:
            number = "1 site lies" if removed == 1 else f"{removed} sites lie"
            said.append(f"{number} on another site of the same element: merged into it")
            object.__setattr__(self, "sites", merged)
            self.__dict__.pop("_expanded")
            self._merge_and_check(said)
        else:
            said += tidy.check_overlaps(self.sites, which, pairs, distance)
