"""A crystal phase: cell, asymmetric unit and space group, as peaks of its pair distances.

Only symmetry-independent quantities are parameters: `a` alone for a cubic cell, `z` alone on a threefold axis, one
U11 where site symmetry ties the others. Everything else follows from them linearly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.kernels import pairs as kernels
from pdfkit.phases import _bodies, _bonds, _molecules, _pairs
from pdfkit.phases._batches import many_peaks
from pdfkit.phases._bodies import Body
from pdfkit.phases._choice import MOST_REMEMBERED, Choice
from pdfkit.phases._constraints import Maps, errors_of, free_values, limits, structure_quantities
from pdfkit.phases._geometry import AtomCount, Atoms, Directions, Layout, Point, Widths, metric
from pdfkit.phases._lists import Key, Table, listed_pairs, rounded, table_of
from pdfkit.phases._molecules import Molecules
from pdfkit.phases._orbits import Geometry, PairGroups
from pdfkit.phases._sources import as_structure, from_meta, with_tensors
from pdfkit.phases.base import Broadening, ManyPeaks, Peaks, Phase, Quantity, plain_word, quantities_of, updated
from pdfkit.shapes import Bulk, Shape
from pdfkit.structure import symmetry
from pdfkit.structure.find_symmetry import TOLERANCE
from pdfkit.structure.mixing import mixed
from pdfkit.structure.structure import NAMES_XYZ, Structure


@dataclass(frozen=True, eq=False)
class Crystal(Phase):
    """A crystal phase of a model.

    Parameters
    ----------
    structure : the crystal: a `pdfkit.Structure`, `ase.Atoms` or `diffpy.structure.Structure`.
    name : starts the names of its parameters ("zb" gives zb.a, zb.Cd.Uiso, zb.scale…). Default: that of the file
        ("CdSe wz.cif" gives CdSe_wz), or the structure's title if that is short, else its elements.
    shape : γ₀(r) of the particles (`pdfkit.Sphere(30)`, …); Bulk() for a macroscopic crystal.
    scale : weight of the phase in the model.
    delta1, delta2 : Å, Å²; correlated motion, σ² → σ²(1 − δ₁/r − δ₂/r²).
    sratio, rcut : σ is multiplied by sratio where r < rcut (Å).
    ions : scatter X-rays as ions: True for the charges that the structure states, or {"Na": 1, "Cl": -1}.
        Default False, neutral atoms.
    molecules : "find" for groups of bonded atoms, or lists of the labels of their atoms, one for each kind of molecule:
        pairs within one have a width of their own; delta1, delta2 and sratio act on the others. Default "", none.
    inner : Å², mean-square displacement (inner.Uiso) within molecules, or by element {"C": 0.001, "H": 0.005}.
    rigid : True moves each of the molecules as one body: mol1.x, mol1.y, mol1.z (its centre, fractional), mol1.rx,
        mol1.ry, mol1.rz (°, rotation vector about Cartesian axes, a ∥ x, b in the xy plane, from how it is read) and
        mol1.size (1 as read), as far as symmetry leaves them, in place of the positions of its atoms.

    Raises
    ------
    PdfkitError : a value out of range, or a name with other characters than letters, digits and _.

    Example
    -------
    >>> import pdfkit as pk
    >>> zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(30), delta2=2.5)
    >>> print(*(q.name for q in zb.quantities))
    scale a Cd.Uiso Cd.occ S.Uiso S.occ delta1 delta2 sratio rcut spdiameter
    >>> print(f"{zb.coordination('Cd', 'S', rmin=2.0, rmax=3.0):.3f} S around Cd")
    4.000 S around Cd
    """

    kind: ClassVar[str] = "crystal"
    structure: Structure
    name: str = ""
    shape: Any = field(default_factory=Bulk)
    scale: float = 1.0
    delta1: float = 0.0
    delta2: float = 0.0
    sratio: float = 1.0
    rcut: float = 0.0
    ions: Any = False
    molecules: Any = ""
    inner: Any = _molecules.U_INNER
    rigid: Any = False  # of a copy that moved: (rx, ry, rz, size) by molecule

    def __post_init__(self) -> None:
        object.__setattr__(self, "structure", as_structure(self.structure))
        if self.ions:
            from pdfkit.phases.ions import ionic_structure

            object.__setattr__(self, "structure", ionic_structure(self.structure, self.ions))
            object.__setattr__(self, "ions", True)
        self._check_common()
        object.__setattr__(self, "sratio", _checks.number("sratio", self.sratio, low=0.0, open_low=True))
        object.__setattr__(self, "rcut", _checks.number("rcut", self.rcut, low=0.0))
        if self.shape is None:
            object.__setattr__(self, "shape", Bulk())
        _checks.instance("shape", self.shape, Shape, "a shape, such as pdfkit.Sphere(30)")
        object.__setattr__(self, "molecules", _molecules.checked(self.molecules))
        object.__setattr__(self, "inner", _molecules.checked_inner(self.inner))
        if self.molecules:
            _molecules.check_labels(self)
        object.__setattr__(self, "rigid", _bodies.checked(self.rigid))
        if self.rigid:
            self._turned(self._poses)

    def _stem(self) -> str:
        title = self.structure.title
        return title if 0 < len(title) <= 20 else "".join(self.structure.composition())

    @classmethod
    def from_structure(
        cls, obj: Any, *, name: str = "", anisotropic: Any = None, mix: Any = None, **options: Any
    ) -> Self:
        """Return a phase of a pdfkit Structure, an `ase.Atoms` or a `diffpy.structure.Structure`.

        `anisotropic` makes sites anisotropic: True for all, or a list of labels; False makes all isotropic, with the
        mean Ueq of a tensor as Uiso. Without it sites stay as they are.
        `mix` puts several elements on sites, {"As1": {"As": 0.9, "P": 0.1}}: occupancies by element, of sum 1 at the
        most. They share position and U, so that As1.x, As1.Uiso, As1.occ and P1.occ are parameters; a tie
        "P1.occ" = "1 - As1.occ" keeps the site full.
        `symmetry="find"` looks for the space group that the atoms have within `tolerance` (default 0.01 Å; see
        `Structure.find_symmetry`). Other options are the fields of the class. Values a PDFfit file carries (delta1,
        delta2, sratio, rcut, shape) are taken unless given.
        """
        from pdfkit.io.structures import with_symmetry

        found = (options.pop("symmetry", ""), options.pop("tolerance", TOLERANCE))
        structure = as_structure(obj)
        structure = with_symmetry(structure, *found)
        structure = with_tensors(structure, anisotropic)
        if mix:
            structure = mixed(structure, mix)
        cls._check_options(options, "structure")
        return cls(structure=structure, name=name, **{**from_meta(structure.meta), **options})

    @classmethod
    def from_file(cls, path: str | PathLike[str], *, name: str = "", block: str | None = None, **options: Any) -> Self:
        """Return a phase from a structure file (CIF, PDFfit .stru, extended xyz, PDB, .rmc6f, what ase reads).

        The name of a structure that comes with pdfkit works too: `Crystal.from_file("CdS_zincblende", name="zb")`.
        block : the data block of a CIF that has several. Options as for `from_structure`. Raises ReadError for a file
        that cannot be read.
        """
        from pdfkit.io.structures import read_or_load

        structure = read_or_load(path, block=block)
        return cls.from_structure(structure, name=name or plain_word(Path(path).stem), **options)

    # --- parameters ------------------------------------------------------------------------------------------------

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All symmetry-independent numbers of the phase, scale first, shape last."""
        return self.quantities_seen_by("X")

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Values of the quantities, in their order: without limits, which take a search for the nearest bond."""
        own = free_values(self.structure, self._maps, self._poses).tolist()
        inner = (q.value for q in self._inner)
        return (self.scale, *own, self.delta1, self.delta2, self.sratio, self.rcut, *inner, *self.shape.values())

    def quantities_seen_by(self, probe: str | None) -> tuple[Quantity, ...]:
        """Return the quantities with the limits that a probe asks for.

        delta1 and delta2 stop short of where the nearest bond that the probe sees would lose its width.
        """
        return (
            self._scale(),
            *self._structure_quantities,
            *self._deltas(self.nearest_bond(probe or "X")),
            *self._others,
        )

    @cached_property
    def sensible(self) -> tuple[Array, Array]:
        """What the quantities can be at least and at the most, (n,) each: without a search for the nearest bond."""
        return limits(self._maps, self._poses, [self._scale()], [*self._deltas(1.0), *self._others])

    @property
    def _others(self) -> tuple[Quantity, ...]:
        """The quantities that follow those of correlated motion."""
        return (
            Quantity("sratio", self.sratio, 0.01, 2.0, "", "sharpening of σ below rcut", least=0.01),
            Quantity("rcut", self.rcut, 0.0, math.inf, "Å", "range of sratio", refinable=False, least=0.0),
            *self._inner,
            *quantities_of(self.shape),
        )

    def nearest_bond(self, probe: str = "X", *, inside: bool = False) -> float:
        """Return the distance (Å) within which pairs first add up to `A_BOND`: the nearest bond that the probe sees.

        inside : of those in molecules, too. Without them it is the nearest that correlated motion acts on.
        """
        known, left_out = self.__dict__.setdefault("_bonds", {}), bool(self.molecules) and not inside
        if (probe, left_out) not in known:
            strengths = [_bonds.strength(site.element, probe) for site in self.structure.sites]
            where = (self._geometry, self._atoms, self.structure.sites, strengths)
            known[probe, left_out] = _pairs.shortest(*where, self._molecules if left_out else None)
        return float(known[probe, left_out])

    @cached_property
    def _geometry(self) -> Geometry:
        g = metric(np.array(self.structure.cell), np.zeros((0, 6)))[0]
        return Geometry(g, self.structure.positions(), np.zeros((1, 3, 3)))

    @cached_property
    def _volume(self) -> float:
        return metric(np.array(self.structure.cell), np.zeros((0, 6)))[2]

    @cached_property
    def _structure_quantities(self) -> tuple[Quantity, ...]:
        return structure_quantities(self.structure, self._maps, self._poses)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed when the structure was read, and of molecules that are several in one."""
        rivals = self._molecules.rivals if self.molecules else ""
        if not rivals:
            return self.structure.remarks
        return (
            *self.structure.remarks,
            f"{self.name}: a molecule holds partly occupied atoms that exclude each other ({rivals}): its orientations "
            "cannot be told apart, so that distances in it count by the product of occupancies, as if each atom were "
            "there or not by chance; list each orientation as a molecule of its own, in a lower symmetry if need be",
        )

    @property
    def outline(self) -> str:
        """Space group and shape."""
        rigid = "rigid " if self.rigid else ""
        molecules = f", {rigid}molecules {self._molecules.formulas}" if self.molecules else ""
        return f"{self.structure.spacegroup}, {self.shape.kind}{molecules}".removeprefix(", ")

    @property
    def stated_charges(self) -> str:
        """The ions that the structure states, four at the most."""
        return ", ".join(list(dict.fromkeys(site.symbol for site in self.structure.sites if site.charge))[:4])

    def shift_of(self, steps: Mapping[str, float]) -> str:
        """Return along which axis steps of coordinates shift all atoms; "" where they are no shift, or another atom."""
        label, _, letter = next(iter(steps)).rpartition(".")
        if letter not in NAMES_XYZ or any(name.rpartition(".")[2] not in NAMES_XYZ for name in steps):
            return ""
        shift = np.array([steps.get(f"{label}.{letter}", 0.0) for letter in NAMES_XYZ])
        along = symmetry.floating_axis(self.structure.rotations, shift)
        return f"the origin of {self.structure.spacegroup} floats along {along}" if along else ""

    def files(self, covariance: Array | None = None) -> dict[str, str]:
        """Return the structure as CIF, with standard uncertainties."""
        from pdfkit.io.cif.files import format_cif, refined_numbers

        errors = None if covariance is None else self.errors(covariance, refined_numbers)
        return {"cif": format_cif(self.structure, errors)}

    def errors(self, covariance: Array, numbers: Callable[[Structure], Array]) -> Array:
        """Return √diag(J C Jᵀ) of numbers of the structure, J by small steps: NaN where unknown ones count."""
        return errors_of(self, covariance, numbers)

    def composition(self) -> dict[str, float]:
        """Return atoms per cell by element, weighted with occupancy."""
        return self.structure.composition()

    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement of a site."""
        smallest = min(min(site.U[:3]) for site in self.structure.sites)
        return max(2.0 * smallest, kernels.SMALLEST_VARIANCE)

    def sharp_range(self) -> float:
        """Return the longest distance (Å) in molecules: their pairs may be narrower than distant ones."""
        return self._molecules.longest(self._geometry) if self.molecules else 0.0

    def pair_density(self) -> float:
        """Return pairs to enumerate per Å³ of the sphere that holds them: sites × atoms of the cell / volume."""
        return self._atoms.first.size * self._atoms.site.size / self._volume

    def outlook(self, values: Array) -> tuple[float, float] | None:
        """Return these two at values (n,) of the quantities, of a small crystal without tensors and molecules."""
        if self._layout is None or self.molecules:
            return None
        u, volume = self._layout.outlook(values[1 : 1 + self._maps.count])
        return max(2.0 * u, kernels.SMALLEST_VARIANCE), self._atoms.first.size * self._atoms.site.size / volume

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed; those that symmetry ties follow."""
        known = updated(self, values)
        structure, poses = self.structure, self._poses
        if any(q.name in values for q in self._structure_quantities):
            structure, poses = self._moved(np.array([known[q.name] for q in self._structure_quantities]))
        shape = self.shape.moved([known[p.name] for p in self.shape.parameters])
        own = {name: known[name] for name in ("scale", "delta1", "delta2", "sratio", "rcut")}
        out = type(self)(structure, self.name, shape, **own)
        object.__setattr__(out, "ions", self.ions)  # the structure has them
        if self.molecules:
            inner = [known[q.name] for q in self._inner]
            by_element = isinstance(self.inner, Mapping)
            object.__setattr__(out, "molecules", self.molecules)
            object.__setattr__(out, "inner", dict(zip(self.inner, inner, strict=True)) if by_element else inner[0])
        # What follows from symmetry alone is the same in the copy, and so is what is bonded.
        same = ["_bodies", "_maps", "_atoms", "_key", "_layout", "_known_directions", "_known_amounts", "size"]
        same += ["_molecules", "_inner_pairs"] if self.molecules else []
        same += ["sensible"] if (out.scale < 0) == (self.scale < 0) else []
        out.__dict__.update((name, getattr(self, name)) for name in same)
        out._turned(poses)
        return out

    def _turned(self, poses: Array) -> None:
        """Note where rigid molecules are, of which positions alone do not tell how they are turned."""
        self.__dict__["_poses"] = poses
        if self._bodies:
            turns = {body.name: tuple(pose[3:].tolist()) for body, pose in zip(self._bodies, poses, strict=True)}
            object.__setattr__(self, "rigid", turns)

    def _moved(self, free: Array) -> tuple[Structure, Array]:
        cell, xyz, u, occ, poses = self._maps.apply(free)
        sites = tuple(
            site.moved(
                tuple(xyz[i].tolist()),
                (float(u[i, 0]),) * 3 + (0.0,) * 3 if site.isotropic else tuple(u[i].tolist()),
                float(occ[i]),
            )
            for i, site in enumerate(self.structure.sites)
        )
        return self.structure.moved(tuple(cell.tolist()), sites), poses

    @cached_property
    def _maps(self) -> Maps:
        return Maps.of(self.structure, self._bodies)

    @cached_property
    def _bodies(self) -> tuple[Body, ...]:
        return _bodies.bodies_of(self)

    @cached_property
    def _poses(self) -> Array:
        """Where rigid molecules are and how they are turned (n, 7)."""
        return np.array([body.pose for body in self._bodies]).reshape(-1, 7)

    @cached_property
    def _molecules(self) -> Molecules:
        return Molecules.of(self)

    @cached_property
    def _inner(self) -> tuple[Quantity, ...]:
        """The widths within molecules."""
        return _molecules.inner_quantities(self.inner) if self.molecules else ()

    @cached_property
    def _inner_pairs(self) -> PairGroups:
        return self._molecules.pairs(self._atoms, self._maps.multiplicity)

    # --- pairs -----------------------------------------------------------------------------------------------------

    @cached_property
    def _atoms(self) -> Atoms:
        return Atoms.of(self.structure)

    def peaks(self, values: Array, tangents: Array, broadening: Broadening, rmax: float, qmin: float = 0.0) -> Peaks:
        """Return the peaks of all pairs up to at least rmax (Å), with derivatives along `tangents`.

        values (n,), tangents (n, nq) in the order of `quantities`; broadening : of the instrument, along the same.
        qmin changes nothing here. See `pdfkit.kernels.pairs.finish_peaks` for the formula.
        """
        n = self._maps.count
        point = self.located(values, tangents)
        delta1, delta2, sratio, rcut = values[1 + n : 5 + n].tolist()
        width = np.array((delta1, delta2, broadening.qbroad, broadening.resolution, sratio))
        amount, widths = self._counted(point), Widths.of(tangents[1 + n : 4 + n], broadening.tangents)
        args = point.arguments(width, rcut, widths, amount, shifted=broadening.shifted)
        own = slice(5 + n, 5 + n + len(self._inner))
        u_max = max(point.u_max, *values[own], 0.0) if self.molecules else point.u_max
        widest = max(2.0 * u_max, kernels.SMALLEST_VARIANCE) * max(1.0, sratio) ** 2
        reach = broadening.reach(rmax, widest)
        free, along = values[1 : 1 + n], tangents[1 : 1 + n]
        where = self._choice.space(free, along, reach)
        table = self._choice.binned(point, free, args, reach, where)
        if table is None:
            table = table_of(listed_pairs(self, point, free, reach, where), args, (free, along))
        if self.molecules:
            table = _molecules.with_inner(table, self, args, (values[own], tangents[own]))
        rho0 = amount.atoms / point.volume
        return Peaks(
            peak=table.peak,
            dpeak=table.dpeak,
            pair=table.pair,
            pairs=self._atoms.pairs,
            rho0=rho0,
            drho0=rho0 * (amount.relative - point.growth) if amount.relative.size else amount.relative,
            composition=amount.composition,
            dropped=table.dropped,
            moments=table.moments,
            first_dropped=_describe_dropped(self, table) if table.dropped else "",
        )

    def many_peaks(self, values: Array, broadening: Array, rmax: float, *, shifted: bool) -> ManyPeaks | None:
        """Return the peaks of all pairs up to at least rmax (Å) at values (n, nquantities): see `_batches`."""
        return many_peaks(self, values, broadening, rmax, shifted=shifted)

    @property
    def placed(self) -> Self:
        """The crystal."""
        return self

    def shortest(
        self, pair: tuple[str, str], values: Array, tangents: Array, reach: float
    ) -> tuple[float, Array] | None:
        """Return the shortest distance (Å) of two elements or labels within reach, and its derivatives, or None."""
        return _bonds.shortest(self, pair, self.located(values, tangents), reach)

    def located(self, values: Array, tangents: Array) -> Point:
        """Return metric and atoms at values (n,) of the quantities, with derivatives along tangents (n, nq)."""
        n = self._maps.count
        directions = self._directions(tangents[1 : 1 + n])
        return Point.at(self._maps, self._atoms, values[1 : 1 + n], directions, self._layout)

    @cached_property
    def _layout(self) -> Layout | None:
        return Layout.of(self._maps, self._atoms)

    def _counted(self, point: Point) -> AtomCount:
        """Return the number of atoms at a point: few fits change it."""
        docc, known = point.directions.docc, self._known_amounts
        key = (point.occ.tobytes(), id(docc))
        held, found = known.get(key, (None, None))
        if found is None or held is not docc:
            if len(known) > 8:
                known.clear()
            found = AtomCount.of(self.name, self._maps.multiplicity, point)
            known[key] = docc, found
        return found

    @cached_property
    def _known_amounts(self) -> dict[Any, tuple[Array, AtomCount]]:
        return {}

    def _directions(self, tangents: Array) -> Directions:
        """Return the directions of tangents (n, nq): a fit asks for the same ones at every step."""
        if tangents.size > MOST_REMEMBERED:
            return Directions.of(self._maps, self._atoms, tangents)
        key = (tangents.shape, tangents.tobytes())
        known = self._known_directions
        found = known.get(key)  # another thread may clear what is known at any time
        if found is None:
            if len(known) > 8:
                known.clear()
            found = known[key] = Directions.of(self._maps, self._atoms, tangents)
        return found

    @cached_property
    def _known_directions(self) -> dict[tuple[tuple[int, ...], bytes], Directions]:
        return {}

    def coordination(self, centre: str, neighbour: str, rmin: float, rmax: float) -> float:
        """Return the mean number of `neighbour` atoms with rmin < r ≤ rmax (Å) around an atom of element `centre`.

        Weighted with occupancies. Raises PdfkitError for an element that the phase lacks.
        """
        amount = self.composition()
        for element in (centre, neighbour):
            if element not in amount:
                raise PdfkitError(f"{self.name} has no {element}: its elements are {', '.join(amount)}")
        values = np.array([q.value for q in self.quantities])
        found = self.peaks(values, np.zeros((values.size, 0)), Broadening.none(0), rmax)
        inside = (found.peak[:, 0] > rmin) & (found.peak[:, 0] <= rmax)
        wanted = found.pair == found.pairs.index(tuple(sorted((centre, neighbour))))
        # The peaks count ordered pairs per atom of the cell: of unlike elements, both orders.
        share = sum(amount.values()) / amount[centre] * (1.0 if centre == neighbour else 0.5)
        return float(found.peak[inside & wanted, 2].sum() * share)

    @cached_property
    def _choice(self) -> Choice:
        return Choice.of(self)

    @cached_property
    def _reference(self) -> tuple[float, ...]:
        return tuple(rounded(q, q.value) for q in self._structure_quantities)

    @cached_property
    def _key(self) -> Key:
        return Key(self)


def _describe_dropped(crystal: Crystal, table: Table) -> str:
    k = int(np.argmax(table.peak[:, 1] <= 0))
    pair = crystal._atoms.pairs[table.pair[k]]
    return f"{crystal.name}: {pair[0]}–{pair[1]} at r = {table.peak[k, 0]:.3f} Å"
