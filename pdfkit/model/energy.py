"""An energy as a restraint: what any calculator of ase says of the atoms of a cluster that move, with its forces."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.model.geometry import moving_cluster
from pdfkit.model.restraints import Restrained, Term
from pdfkit.phases import _network

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.phases.cluster import Cluster

SPRINGS = (5.0, 1.5, 0.5)
"""Stiffness of a bond (eV/Å²), an angle (eV/rad²) and each coordinate by itself (eV/Å²) of the model curvature."""
PROBE = 0.01
"""Å: the longest displacement by which the size of that curvature is found."""
ROOM, LEAST_ROOM = 2.0, 0.1
"""How far below the first energy the reference lies: in drops that the model curvature foretells, and in eV beside."""
KEPT = 8


@dataclass(frozen=True, eq=False)
class EnergyRestraint(Restrained):
    """Add 2·weight·(E − E_ref) to χ², E (eV) the energy of a cluster whose atoms move, by a calculator of ase.

    weight = 1/kT makes the prior exp(−E/kT). The reference is a constant, below the first energy.

    Formula: with g = −forces and a model curvature H = LLᵀ of springs along bonds and angles, scaled by one look at how
    forces change, the rows √w·L⁻¹g with derivatives √w·Lᵀ and one row √(2w(E − E_ref) − w·gᵀH⁻¹g) without any have the
    sum of squares and the slope of the energy, both exact, and its curvature as far as H has it; what that misses a fit
    learns. Source: Lindh et al., Chem. Phys. Lett. 241, 423 (1995), for model curvatures.

    Parameters
    ----------
    phase : name of the cluster. calculator : of ase, such as `ase.calculators.emt.EMT()`. weight : 1/eV.

    Raises
    ------
    PdfkitError : a weight that is not positive, an object that is no calculator, a calculator that fails.

    Such a fit is not saved with its restraint: a calculator has no plain form.

    Example
    -------
    >>> import pdfkit as pk
    >>> from ase.calculators.emt import EMT
    >>> from pdfkit.model import EnergyRestraint, noise
    >>> dot = pk.Cluster(pk.build.sphere("Cu", 6.0), "dot", Uiso=0.01, moves="atoms")
    >>> model = pk.Model(dot, pk.Instrument(probe="X", qmin=0.8, qmax=20))
    >>> data = noise.simulate(model.with_values({"dot.Cu1.x": 0.1}), 1.5, 9, 0.02, noise=0.1, seed=1)
    >>> result = pk.fit(model, data, free=["x", "y", "z"], restraints=[EnergyRestraint("dot", EMT(), 10.0)])
    >>> print(len(result.free), result.rw < 0.2)
    39 True
    """

    phase: str
    calculator: Any
    weight: float
    complete: ClassVar[bool] = True
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _checks.number("weight", self.weight, low=0.0, open_low=True))
        if isinstance(self.calculator, type) or not callable(getattr(self.calculator, "get_property", None)):
            raise PdfkitError(
                f"the calculator is of type {type(self.calculator).__name__}: give one of ase, such as "
                "ase.calculators.emt.EMT()"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # Calculators that have run often hold what cannot be pickled: then a result goes without.
        try:
            pickle.dumps(self.calculator)
            kept = self.calculator
        except Exception:  # whatever a calculator raises
            kept = _Left(type(self.calculator).__name__)
        return type(self), (self.phase, kept, self.weight)

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[Array, Array]:
        """Return rows (3n + 1,) and their derivatives (3n + 1, nfree)."""
        from scipy.linalg import solve_triangular

        cluster, own, along = moving_cluster(model, self.phase, names, values, tangents)
        surface = self._surface(cluster)
        xyz, rates = cluster.located(own, along)
        energy, slope = surface.at(xyz)
        half, root = solve_triangular(surface.root, slope, lower=True), np.sqrt(self.weight)
        rest = 2.0 * (energy - surface.reference) - float(half @ half)
        pulls = root * np.append(half, np.sqrt(max(rest, 0.0)))
        return pulls, np.vstack([root * (surface.root.T @ rates), np.zeros(rates.shape[1])])

    def _surface(self, cluster: Cluster) -> Surface:
        key = tuple(cluster.particle.symbols), cluster.particle.xyz.tobytes()
        if key not in self._known:
            self._known.clear()
            self._known[key] = Surface(cluster, self.calculator)
        return self._known[key]  # type: ignore[no-any-return]

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return the energy above that of the first places."""
        cluster, own, along = moving_cluster(model, self.phase, names, values, tangents)
        surface = self._surface(cluster)
        xyz, rates = cluster.located(own, along)
        energy, slope = surface.at(xyz)
        rise = energy - surface.first
        what = f"{self.phase}: energy above the first"
        return [Term(what, "eV", rise, -np.inf, np.inf, 1.0 / self.weight, slope @ rates)]

    def drawn(self, rng: np.random.Generator) -> EnergyRestraint:
        """Return itself: an energy is not measured."""
        return self


@dataclass(frozen=True)
class _Left:
    """In place of a calculator that cannot be pickled."""

    kind: str

    def get_property(self, *_: Any, **__: Any) -> Any:
        """Refuse."""
        raise PdfkitError(f"{self.kind} cannot be pickled and was left behind, so fit again from the start")

    get_potential_energy = get_forces = get_property


class Surface:
    """Energies of the atoms of a cluster, the last few kept; root (3n, 3n): L of the model curvature."""

    def __init__(self, cluster: Cluster, calculator: Any) -> None:
        self._atoms = cluster.particle.to_ase()
        self._atoms.calc = calculator
        self._kept: dict[bytes, tuple[float, Array]] = {}
        xyz = cluster.particle.xyz
        self.first, slope = self.at(xyz)
        model = _springs(cluster)
        model *= self._scale(xyz, slope, model)
        self.root = np.linalg.cholesky(model)
        drop = 0.5 * float(slope @ np.linalg.solve(model, slope))
        self.reference = self.first - ROOM * drop - LEAST_ROOM

    def at(self, xyz: Array) -> tuple[float, Array]:
        """Return the energy (eV) of atoms at xyz (n, 3), and its slope (3n,) in eV/Å."""
        key = xyz.tobytes()
        if key not in self._kept:
            self._atoms.set_positions(xyz)
            energy = _numbers(_asked(self._atoms.get_potential_energy), 1)[0]
            slope = -_numbers(_asked(self._atoms.get_forces), *xyz.shape)
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = float(energy), slope
        return self._kept[key]

    def _scale(self, xyz: Array, slope: Array, model: Array) -> float:
        """Return by what the model curvature is too small, along a step that it asks for."""
        step = -np.linalg.solve(model, slope)
        if not step.any():
            step = np.random.default_rng(0).normal(size=slope.size)
        step *= PROBE / np.abs(step).max()
        beyond, there = self.at(xyz + step.reshape(-1, 3))
        _checks.slope((self.first, beyond), 0.5 * float(step @ (slope + there)))
        seen = float(step @ (there - slope))
        ratio = seen / float(step @ model @ step)
        return min(max(ratio, 1e-3), 1e3)


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Exception as error:  # calculators raise whatever comes along
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PdfkitError(f"the calculator of an energy restraint failed ({reason}): try it with ase alone") from None


def _numbers(given: Any, *shape: int) -> Array:
    """Return an energy (1,), or forces (n, 3) as an array (3n,)."""
    found = np.asarray(given, dtype=np.float64)
    out = found.ravel()
    if out.size != math.prod(shape) or (found.ndim == 2 and found.shape != shape) or not np.isfinite(out).all():
        what = "an energy" if shape == (1,) else "forces"
        raise PdfkitError(
            f"the calculator of an energy restraint gave {what} that cannot be used (not finite, or not one for each "
            "atom): try it with ase alone, or keep atoms apart by a GeometryRestraint"
        )
    return out


def _springs(cluster: Cluster) -> Array:
    """Return the curvature (3n, 3n) in eV/Å² of springs along bonds and angles."""
    xyz, network = cluster.particle.xyz, cluster.network
    bonds = _network.lengths(xyz, network.bonds)[1]
    angles = _network.corners(xyz, network.angles)[1] * np.radians(1.0)
    both = SPRINGS[0] * (bonds.T @ bonds) + SPRINGS[1] * (angles.T @ angles)
    return np.asarray(both.toarray() + SPRINGS[2] * np.eye(xyz.size))
