"""A finite cluster as a phase: every pair of its atoms as a peak, and what is subtracted at small angles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from os import PathLike
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit.errors import ParameterError, PdfkitError, StructureError
from pdfkit.kernels.pairs import SMALLEST_VARIANCE
from pdfkit.particles.counting import PairTable
from pdfkit.particles.particle import RELAXED, Particle
from pdfkit.phases import _displaced
from pdfkit.phases._displaced import Freedom, Pairs
from pdfkit.phases._network import Network, rigid
from pdfkit.phases._tables import ENDINGS, Point, Tables, class_names, plain_class, sharpened, stretched
from pdfkit.phases.base import Broadening, Composition, Displaced, Peaks, Phase, Quantity, displacement, updated
from pdfkit.shapes import Shape, Sphere, Whole

UISO = 0.01
"""Å²: mean-square displacement where none is given."""
EXPANSION_RANGE = 0.05
BASELINES = ("auto", "none", "sphere", "own")
# The cluster's own shape function is its pair distribution blurred by this σ (Å): nothing of the atomic structure is
# left (2e-3 of its transform at Q = 1.8, the first reflections), all of what lies below Q = 0.2 is.
BLUR = 2.0
AXES = ("x", "y", "z")


@dataclass(frozen=True, eq=False)
class Cluster(Phase):
    """A finite cluster, computed atom by atom.

    Parameters
    ----------
    particle : the atoms, all weighted by their scattering strengths, ligands included: a `Particle`, or `ase.Atoms`, a
        Structure… that make one.
    name : starts the names of its parameters ("c" gives c.Cd.Uiso, c.expansion, c.scale…). Default: the name of the
        particle or of its file, with _ for spaces and signs; else its formula.
    Uiso : mean-square displacement (Å²) of all classes, or by class {"Cd": 0.01, "Cd_surface": 0.02}.
    ions : scatter X-rays as ions: True for the charges that the file states, or {"Na": 1, "Cl": -1}. Default False.
    surface : give atoms at the surface (`pdfkit.particles.surface_mask`) classes of their own: Cd_surface, S_surface.
        Atoms of ligands (`Particle.ligand`) always have classes of their own: C_ligand, O_ligand.
    scale, expansion : weight in the model; r → (1 + expansion)·r.
    axial : expansions along x, y and z besides (Å/Å), None to have no such parameters.
    delta1, delta2 : Å, Å²; correlated motion, σ² → σ²(1 − δ₁/r − δ₂/r²), of all pairs but those with atoms of ligands.
    moves : which displacements are parameters, in Å from the places in the file and 0 at first: "atoms", those of each
        atom (c.Cd1.x, c.Cd1.y …); "symmetric", those that keep the symmetry (c.A1_1…), "modes", all by representation
        of the point group (c.T2_1a; 1 is a root mean square of 1 Å); "shells", of atoms equally far from the centre,
        away from it (c.Cd_shell1). Baselines stay those of the atoms at their first places. Default: none.
    amplitudes : values of these parameters; default, 0.
    baseline : what is subtracted for the small-angle signal a measurement leaves out: "none" (right when the model is
        cut at a Qmin above it), "sphere" (4πrρ₀γ₀ of the sphere with the same radius of gyration), "own" (the
        cluster's own pair distribution blurred by σ = 2 Å), "auto" ("none" with a Qmin, else "own").

    Raises
    ------
    PdfkitError : a value out of range, a class that does not exist, fewer than two atoms, atoms on top of each other.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> tetrahedron = pk.build.tetrahedron("CdSe_zincblende", 4)
    >>> cluster = pk.Cluster(tetrahedron, "c", Uiso={"Cd": 0.02, "Se": 0.03}, surface=True)
    >>> print(tetrahedron.formula, *(q.name for q in cluster.quantities))
    Cd20Se10 scale expansion Cd.Uiso Cd_surface.Uiso Se.Uiso delta1 delta2
    >>> pdf = pk.Model(cluster, pk.Instrument(probe="X", qmin=0.8, qmax=20))(np.arange(2, 3.5, 0.01))
    >>> print(f"Cd–Se at {pdf.r[pdf.G.argmax()]:.2f} Å")
    Cd–Se at 2.61 Å
    """

    kind: ClassVar[str] = "cluster"
    particle: Particle
    name: str = ""
    Uiso: Mapping[str, float] = field(default_factory=dict)
    surface: bool = False
    scale: float = 1.0
    expansion: float = 0.0
    axial: tuple[float, float, float] | None = None
    delta1: float = 0.0
    delta2: float = 0.0
    baseline: str = "auto"
    ions: Any = False
    moves: str | None = None
    amplitudes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        if not isinstance(self.particle, Particle):
            # Charges are read where ions are wanted; a Particle has them already, or not.
            read = {"ions": True} if self.ions else {}
            set_(self, "particle", Particle.from_structure(self.particle, **read))
        if self.ions:
            from pdfkit.phases.ions import ionic_particle

            set_(self, "particle", ionic_particle(self.particle, self.ions))
            set_(self, "ions", True)
        self._check_common()
        if len(self.particle) < 2:
            raise StructureError(f"{self.name}: one atom has no pair distances: a cluster needs at least two")
        set_(self, "expansion", _checks.number("expansion", self.expansion, low=-0.5, high=0.5))
        _checks.choice("baseline", self.baseline, BASELINES)
        if self.axial is not None:
            set_(self, "axial", tuple(_checks.array("axial", self.axial).tolist()))
            if len(self.axial) != 3 or max(map(abs, self.axial)) > 0.5:
                raise PdfkitError(f"axial = {self.axial}: give three expansions along x, y, z below 0.5")
        set_(self, "Uiso", MappingProxyType(self._displacements()))
        set_(self, "amplitudes", self._moved())

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only mapping cannot be pickled.
        return _checks.reduced(self)

    def _stem(self) -> str:
        return self.particle.name or self.particle.formula

    def _displacements(self) -> dict[str, float]:
        given = self.Uiso if isinstance(self.Uiso, Mapping) else dict.fromkeys(self.classes, self.Uiso)
        names = dict(zip(reversed(self._class_elements), reversed(self.classes), strict=True))
        given = {names.get(key, key): value for key, value in given.items()}
        for key in given:
            if key not in self.classes:
                raise ParameterError(
                    f"Uiso is given for {key!r}, but the kinds of atom in {self.name} are {', '.join(self.classes)}: "
                    "name one of them"
                )
        values = {c: given.get(c, given.get(plain_class(c), UISO)) for c in self.classes}
        return {c: _checks.number(f"{c}.Uiso", value, low=1e-5, high=_checks.MOST_U) for c, value in values.items()}

    def _moved(self) -> tuple[float, ...]:
        """Return the amplitudes of the displacements that are parameters."""
        if self.moves is not None:
            _checks.choice("moves", self.moves, _displaced.KINDS)
        count = 0 if self.moves is None else len(self._freedom.names)
        values = _checks.array("amplitudes", self.amplitudes if len(self.amplitudes) else np.zeros(count))
        if values.size != count:
            raise PdfkitError(
                f"{self.name}: amplitudes has {values.size} values for {count} displacements: leave it out"
            )
        return tuple(values.tolist())

    @classmethod
    def from_structure(cls, obj: Any, *, name: str = "", **options: Any) -> Self:
        """Return a cluster of a Particle, a pdfkit Structure (one cell's atoms), `ase.Atoms` or diffpy structure.

        Options are the fields of the class.
        """
        cls._check_options(options, "particle")
        return cls(obj, name, **options)

    @classmethod
    def from_file(cls, path: str | PathLike[str], *, name: str = "", **options: Any) -> Self:
        """Return a cluster from an xyz, extended xyz, CIF, PDB… file, or by the name of one that comes with pdfkit.

        Raises ReadError for a file that cannot be read.
        """
        read = {"ions": True} if options.get("ions") else {}
        return cls.from_structure(Particle.from_file(path, **read), name=name, **options)

    # --- parameters ------------------------------------------------------------------------------------------------

    @cached_property
    def shape(self) -> Shape:
        """γ₀ = 1 up to where the last peak has ended (expansion included): a cluster ends by itself."""
        away = 0.0 if self.moves is None else _displaced.RANGE + float(np.abs(self.displaced).max())
        size = (self.particle.extent() + 2.0 * math.sqrt(3.0) * away) * (1.0 + EXPANSION_RANGE)
        return Whole(size + 7.0 * math.sqrt(2.0 * max(self.Uiso.values())))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the groups of atoms that share a U."""
        return self._labels[0]

    @cached_property
    def _class_elements(self) -> tuple[str, ...]:
        """The species of each class."""
        by_name = dict(zip(class_names(self.particle.elements), self.particle.elements, strict=True))
        return tuple(by_name[plain_class(c)] for c in self.classes)

    @cached_property
    def _labels(self) -> tuple[tuple[str, ...], IntArray]:
        """Names of the classes and the class of each atom (n,)."""
        particle = self.particle
        own = np.ones(len(particle), dtype=np.bool_) if particle.ligand is None else ~particle.ligand
        code = len(ENDINGS) * particle.kind + np.where(own, 0, ENDINGS.index("_ligand"))
        if self.surface and own.any():
            from pdfkit.particles.geometry import surface_mask

            code[own] += ENDINGS.index("_surface") * surface_mask(particle.core)
        used, labels = np.unique(code, return_inverse=True)
        stems = class_names(particle.elements)
        names = [stems[c // len(ENDINGS)] + ENDINGS[c % len(ENDINGS)] for c in used]
        return tuple(names), labels.ravel().astype(np.int64)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All numbers of the phase, scale first."""
        axial = zip(AXES, self.axial or (), strict=False)
        bond = self._shortest * (1 + self.expansion)
        return (
            self._scale(),
            _expansion("expansion", self.expansion, "relative expansion of all distances"),
            *(_expansion(f"expansion_{k}", e, f"relative expansion along {k}") for k, e in axial),
            *self._movements(),
            *(displacement(f"{c}.Uiso", u) for c, u in self.Uiso.items()),
            *self._deltas(bond),
        )

    def _movements(self) -> list[Quantity]:
        if self.moves is None:
            return []
        reach, most = _displaced.RANGE, _displaced.MOST
        known = zip(self._freedom.names, self.amplitudes, self._freedom.meanings, strict=True)
        return [Quantity(n, a, -reach, reach, "Å", meaning, least=-most, most=most) for n, a, meaning in known]

    @cached_property
    def _freedom(self) -> Freedom:
        return _displaced.freedom_of(self.particle, str(self.moves))

    @property
    def moving(self) -> slice:
        """Which quantities displace atoms by themselves."""
        first = 2 + len(self.axial or ())
        return slice(first, first + len(self.amplitudes))

    @property
    def many(self) -> frozenset[str]:
        """Names of displacements that are too many for a line each."""
        names = () if self.moves is None else self._freedom.names
        return frozenset(names if len(names) > _displaced.FEW else ())

    @property
    def breaking(self) -> frozenset[str]:
        """Names of displacements that break the symmetry of the first places, which some of them may have."""
        return frozenset(self._freedom.names if self.moves in ("atoms", "modes") else ())

    @property
    def floating(self) -> Array:
        """Shifts and turns of all atoms together (3n, ≤ 6), where each moves by itself."""
        return rigid(self.particle.xyz + self.displaced) if self.moves == "atoms" else np.zeros((0, 0))

    def summary(self) -> tuple[str, ...]:
        """Return how far atoms moved, and what bonds became of it."""
        return () if self.moves is None else _displaced.summary(self.particle, self.displaced, self.network)

    def displacements(self, tangents: Array) -> Array:
        """Return displacements (3n, nq) of the atoms along tangents (n, nq) of the quantities that move them."""
        return self._freedom.displaced(tangents)

    @cached_property
    def displaced(self) -> Array:
        """Displacements (n, 3) of the atoms from their first places, before expansion (Å)."""
        if self.moves is None:
            return np.zeros_like(self.particle.xyz)
        return self._freedom.displaced(np.array(self.amplitudes)).reshape(-1, 3)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed when the particle was read."""
        return self.particle.remarks

    @property
    def outline(self) -> str:
        """The word "cluster": it has no shape besides its atoms."""
        return self.kind

    @property
    def stated_charges(self) -> str:
        """The ions that the file states."""
        return str(self.particle.meta.get("charges", ""))

    def files(self, covariance: Array | None = None) -> dict[str, str]:
        """Return the atoms, as expanded, as xyz."""
        from pdfkit.io.xyz import format_xyz

        return {"xyz": format_xyz(self.refined_particle())}

    def composition(self) -> dict[str, float]:
        """Return the atoms of each element in the cluster."""
        return self.particle.composition()

    def typical_variance(self) -> float:
        """Return σ² (Å²) of the narrowest distant pairs: twice the smallest displacement."""
        return 2.0 * min(self.Uiso.values())

    def pair_density(self) -> float:
        """Return pairs per Å³ of the sphere that holds them."""
        return float(len(self.particle) ** 2 / (4.19 * self.particle.extent() ** 3))

    def with_values(self, values: Mapping[str, float]) -> Self:
        """Return a copy with the named quantities changed."""
        known = updated(self, values)
        changed: dict[str, Any] = {name: known[name] for name in ("scale", "expansion", "delta1", "delta2")}
        changed["Uiso"] = {c: known[f"{c}.Uiso"] for c in self.classes}
        if self.axial is not None:
            changed["axial"] = tuple(known[f"expansion_{k}"] for k in AXES)
        if self.moves is not None:
            changed["amplitudes"] = tuple(known[name] for name in self._freedom.names)
        # What follows from the atoms alone is the same in the copy.
        out = object.__new__(type(self))
        out.__dict__.update({name: getattr(self, name) for name in ("_labels", "_memo", "_shortest", *self._of_moves)})
        out.__init__(**{f.name: changed.get(f.name, getattr(self, f.name)) for f in fields(self)})  # type: ignore[misc]
        return out

    @property
    def _of_moves(self) -> tuple[str, ...]:
        return () if self.moves is None else ("_freedom", "_pairs", "network")

    @property
    def scatterer(self) -> Cluster:
        """The cluster without a baseline, which is what G(r) lacks, and no pattern."""
        out = replace(self, baseline="none")
        for name in ("_labels", "_memo", "_shortest", *self._of_moves):
            out.__dict__[name] = getattr(self, name)
        return out

    def nearest_bond(self, probe: str = "X", *, inside: bool = False) -> float:
        """Return the smallest distance (Å) of two atoms, whatever the probe."""
        return self._memo.shortest

    def refined_particle(self) -> Particle:
        """Return the atoms as displaced, and expanded about their centre: what to write to a file after a fit."""
        factors = (1.0 + self.expansion) * (1.0 + np.array(self.axial or (0.0, 0.0, 0.0)))
        centre = self.particle.xyz.mean(axis=0)
        moved = self.particle.xyz + self.displaced
        meta, xyz = self.particle.meta, centre + (moved - centre) * factors
        if not np.allclose(
            xyz, self.particle.xyz, rtol=0.0, atol=1e-9
        ):  # what they say of a relaxation is said of other places
            meta = {key: value for key, value in meta.items() if not key.startswith(RELAXED)}
        return replace(self.particle, xyz=xyz, lattice=None, sites=None, meta=meta)

    # --- pairs -----------------------------------------------------------------------------------------------------

    @cached_property
    def _memo(self) -> Tables:
        return Tables(self.particle, self._labels[1])

    @cached_property
    def _shortest(self) -> float:
        """Smallest distance (Å) that correlated motion sharpens."""
        core = self.particle.core
        return self._memo.shortest if core is self.particle or len(core) < 2 else Tables(core, core.kind).shortest

    def table(self, rmax: float | None = None) -> PairTable:
        """Return the cluster's pair distances by class, before expansion (complete up to rmax in Å; None: all)."""
        return self._memo.table(rmax, None) if self.moves is None else self._pairs.at(self._places)[0]

    @cached_property
    def network(self) -> Network:
        """Bonds of its atoms at their first places, and the angles between them."""
        return Network.of(self.particle)

    def located(self, values: Array, tangents: Array) -> tuple[Array, Array]:
        """Return the places of atoms (n, 3) in Å as expanded, and their derivatives (3n, nq).

        values (n,), tangents (n, nq) in the order of `quantities`.
        """
        at = Point.of(self, values, tangents)
        axial = 1.0 + np.array(at.axial or (0.0, 0.0, 0.0))
        moved = self.particle.xyz + (self._freedom.displaced(at.moved).reshape(-1, 3) if self.moves else 0.0)
        along = (moved * axial).reshape(-1, 1) * at.dstretch
        along += at.stretch * (moved[:, :, None] * at.daxial.T).reshape(moved.size, at.nq)
        if self.moves:
            along += at.stretch * np.tile(axial, len(moved))[:, None] * self._freedom.displaced(at.dmoved)
        return moved * axial * at.stretch, along

    @property
    def _places(self) -> Array:
        return np.asarray(self.particle.xyz + self.displaced)

    @cached_property
    def _pairs(self) -> Pairs:
        return Pairs.of(self._labels[1])

    def peaks(self, values: Array, tangents: Array, broadening: Broadening, rmax: float, qmin: float = 0.0) -> Peaks:
        """Return the peaks of all pairs up to at least rmax (Å), with derivatives along `tangents`.

        values (n,), tangents (n, nq) in the order of `quantities`; broadening : of the instrument, along the same. See
        `pdfkit.kernels.peaks.stretched_peaks` for the formula.
        """
        at = Point.of(self, values, tangents)
        reach = broadening.reach(rmax, 2.0 * float(at.u.max())) / (at.stretch * (1.0 + min(at.axial, default=0.0)))
        table, cosine = self._table_at(at, reach)
        width = np.array([at.delta1, at.delta2, broadening.qbroad, broadening.resolution])
        dwidth = np.ascontiguousarray(np.column_stack([at.ddelta, broadening.tangents]))
        peak, dpeak, dropped = stretched(self, table, at, (at.u, at.du), (width, dwidth))
        described = ""
        if dropped:
            k = int(np.argmax(peak[:, 1] <= 0))
            names = "–".join(self.classes[c] for c in table.pairs[table.pair[k]])
            described = f"{self.name}: {names} at r = {peak[k, 0]:.3f} Å"
        moved = None if cosine is None else self._follow(table, cosine, at, width, peak, dpeak)
        pair = self._species_pair(table)
        kind = self._baseline(qmin)
        if kind == "own":
            blurred, dblurred, blurred_pair = self._blurred(at)
            peak, dpeak = np.concatenate([peak, blurred]), np.concatenate([dpeak, dblurred])
            pair = np.concatenate([pair, blurred_pair])
        rho0, drho0, form, dform = self._sphere(at) if kind == "sphere" else _no_sphere(at)
        counts = np.bincount(self.particle.kind, minlength=len(self.particle.elements))
        fractions = counts / counts.sum()
        return Peaks(
            peak=peak,
            dpeak=dpeak,
            pair=pair,
            pairs=self._species_pairs,
            rho0=rho0,
            drho0=drho0,
            composition=Composition(self.particle.elements, fractions, np.zeros((at.nq, fractions.size))),
            dropped=dropped,
            first_dropped=described,
            form=form,
            dform=dform,
            displaced=moved,
        )

    def _table_at(self, at: Point, reach: float) -> tuple[PairTable, Array | None]:
        """Return the pairs up to a reach (Å) at least, and how they follow their atoms, where these move."""
        if self.moves is None:
            return self._memo.table(reach, at.axial), None
        xyz = self.particle.xyz + self._freedom.displaced(at.moved).reshape(-1, 3)
        axial = 1.0 + np.array(at.axial or (0.0, 0.0, 0.0))
        table, cosine = self._pairs.at(xyz * axial)
        return table, cosine * axial * at.stretch

    def _follow(self, table: PairTable, cosine: Array, at: Point, width: Array, peak: Array, dpeak: Array) -> Displaced:
        """Return how peaks follow the places of atoms, and add what tangents do to these to dpeak (m, nq, 3)."""
        d, there = peak[:, 0], peak[:, 1] > SMALLEST_VARIANCE
        first, second = np.array(table.pairs, dtype=np.int64).T
        u = (at.u[first] + at.u[second])[table.pair]
        sharp = sharpened(table, self.classes)
        correlated = (width[0] + 2.0 * width[1] / d) / d**2 * (1.0 if sharp is None else sharp)
        slope = u * (correlated + 2.0 * width[2] ** 2 * d) + 2.0 * width[3] ** 2 * d
        slope = np.where(there, slope, 0.0)
        atoms = self._pairs.atoms
        if at.dmoved.any():
            along = self._freedom.displaced(at.dmoved).reshape(len(self.particle), 3, at.nq)
            rate = np.einsum("mk,mkq->mq", cosine, along[atoms[:, 0]] - along[atoms[:, 1]])
            rate[peak[:, 1] <= 0.0] = 0.0
            dpeak[:, :, 0] += rate
            dpeak[:, :, 1] += rate * slope[:, None]
        return Displaced(atoms, cosine, slope, self.particle.kind)

    def _baseline(self, qmin: float) -> str:
        if self.baseline != "auto":
            return self.baseline
        return "none" if qmin > 0 else "own"

    @cached_property
    def _species_pairs(self) -> tuple[tuple[str, str], ...]:
        e = self.particle.elements
        return tuple((e[a], e[b]) for a in range(len(e)) for b in range(a, len(e)))

    def _species_pair(self, table: PairTable) -> IntArray:
        element = self._class_elements
        pairs = [tuple(sorted((element[a], element[b]))) for a, b in table.pairs]
        return np.array([self._species_pairs.index(p) for p in pairs], dtype=np.int64)[table.pair]

    # --- baselines -------------------------------------------------------------------------------------------------

    def _blurred(self, at: Point) -> tuple[Array, Array, IntArray]:
        """The cluster's own shape function as negative, wide peaks: all pairs, and each atom with itself.

        An atom with itself is a pair at d → 0; d = 0.1 Å with σ² − d²/3 is the same to fourth order in d/σ.
        """
        table = self._memo.coarse(at.axial)
        wide, none = np.full(at.u.size, 0.5 * BLUR**2), np.zeros_like(at.du)
        peak, dpeak, _ = stretched(self, table, at, (wide, none), (np.zeros(4), np.zeros((at.nq, 4))))
        n, own = len(self.particle), np.bincount(self.particle.kind, minlength=len(self.particle.elements))
        self_peak = np.array([[0.1, BLUR**2 - 0.01 / 3.0, count / n] for count in own])
        own_pairs = [self._species_pairs.index((e, e)) for e in self.particle.elements]
        peak = np.concatenate([peak, self_peak])
        peak[:, 2] *= -1.0
        dpeak = np.concatenate([dpeak, np.zeros((own.size, at.nq, 3))])
        return peak, dpeak, np.concatenate([self._species_pair(table), np.array(own_pairs, dtype=np.int64)])

    def _sphere(self, at: Point) -> tuple[float, Array, Shape, Array]:
        """The sphere with the cluster's radius of gyration, D = 2√(5/3)·Rg, holding its N atoms."""
        n = len(self.particle)
        axial = 1.0 + np.array(at.axial or (0.0, 0.0, 0.0))
        centred = (self.particle.xyz - self.particle.xyz.mean(axis=0)) * axial
        squares = (centred**2).mean(axis=0)
        diameter = 2.0 * math.sqrt(5.0 / 3.0 * squares.sum()) * at.stretch
        relative = at.dstretch / at.stretch + at.daxial @ (squares / squares.sum() / axial)
        rho0 = n / (math.pi / 6.0 * diameter**3)
        return rho0, -3.0 * rho0 * relative, Sphere(diameter), (diameter * relative)[None]


def _expansion(name: str, value: float, meaning: str) -> Quantity:
    return Quantity(name, value, -EXPANSION_RANGE, EXPANSION_RANGE, "", meaning, least=-0.5, most=1.0)


def _no_sphere(at: Point) -> tuple[float, Array, None, Array]:
    return 0.0, np.zeros(at.nq), None, np.zeros((0, at.nq))
