"""Restraints of clusters whose atoms move: bonds and angles as at first, displacements that are small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.model.restraints import Restrained, Term, at_phase
from pdfkit.particles.particle import Particle
from pdfkit.phases import _network
from pdfkit.phases._network import Network

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.phases.cluster import Cluster

HELD = 1e-3
"""Å: σ of the shift and of the turn of all atoms together, of which data say nothing: they end at 0, at no cost."""


@dataclass(frozen=True)
class GeometryRestraint(Restrained):
    """Keep a cluster whose atoms move near its first shape: all its bonds, the angles between them, each displacement.

    Formula: adds Σ[(d − d₀)/σ_bond]² + Σ[(θ − θ₀)/σ_angle]² + Σ(u/σ_u)² to χ²: d and θ of all bonds (pairs up to 1.25
    times the sum of their covalent radii at first) and all angles between two bonds of one atom, u of each atom along
    x, y and z. Shift and turn of all atoms together, which nothing measured depends on, are held at 0.

    Parameters
    ----------
    phase : name of the cluster.
    bonds : Å, σ of a bond; None leaves bonds free. angles : degrees, likewise. displacement : Å, likewise, σ of each
        coordinate of an atom (τ of a normal prior).
    lengths : bond lengths (Å) wanted in place of the first ones, by their elements: {"Cd-S": 2.53}.
    like : a particle of the same atoms in the same order, whose bond lengths and angles are wanted instead.

    Raises
    ------
    PdfkitError : a σ that is not positive, or nothing restrained. ParameterError (in a fit): a phase that has no atoms
        that move, bonds that do not exist.

    Example
    -------
    >>> import pdfkit as pk
    >>> from pdfkit.model import GeometryRestraint, noise
    >>> dot = pk.Cluster(pk.build.tetrahedron("CdSe_zincblende", 2), "dot", moves="atoms")
    >>> model = pk.Model(dot, pk.Instrument(probe="X", qmin=0.8, qmax=20))
    >>> moved = model.with_values({"dot.Cd1.x": 0.1, "dot.Cd2.y": -0.1})
    >>> data = noise.simulate(moved, 1.5, 12, 0.02, noise=0.01, seed=1)
    >>> kept = GeometryRestraint("dot", bonds=0.05, angles=5, displacement=0.2)
    >>> result = pk.fit(model, data, free=["x", "y", "z"], restraints=[kept])
    >>> print(len(result.free), result.rw < 0.05)  # 0.24 before
    15 True
    """

    phase: str
    bonds: float | None = 0.05
    angles: float | None = 5.0
    displacement: float | None = 0.2
    lengths: Mapping[str, float] = field(default_factory=dict)
    like: Particle | None = None
    # More may be free than data tell: what they do not is told by this.
    complete: ClassVar[bool] = True
    # As a prior it is a normal distribution about the first places.
    normal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("bonds", "angles", "displacement"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, _checks.number(name, value, low=0.0, open_low=True))
        if self.bonds is self.angles is self.displacement is None:
            raise PdfkitError("a restraint of a cluster restrains nothing: give bonds=, angles= or displacement=")
        if not isinstance(self.lengths, Mapping) or not all(isinstance(key, str) for key in self.lengths):
            raise PdfkitError('lengths are bond lengths by elements: give {"Cd-S": 2.53}', key="lengths")
        known = {key: _checks.number(key, one, low=0.0, open_low=True) for key, one in self.lengths.items()}
        object.__setattr__(self, "lengths", known)
        if self.like is not None:
            _checks.instance("like", self.like, Particle, "a Particle")

    def residual(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> tuple[Array, Array]:
        """Return (value − target)/σ (k,) and its derivatives (k, nfree)."""
        cluster, own, along = moving_cluster(model, self.phase, names, values, tangents)
        xyz, rates = cluster.located(own, along)
        parts = [(one, sparse @ rates) for one, sparse in self._pulls(cluster, xyz)]
        moved, rates = (
            cluster.displacements(own[cluster.moving, None])[:, 0],
            cluster.displacements(along[cluster.moving]),
        )
        if self.displacement is not None:
            parts.append((moved / self.displacement, rates / self.displacement))
        if np.count_nonzero(rates.any(axis=0)) >= moved.size:
            held = _network.rigid(cluster.particle.xyz).T / HELD
            parts.append((held @ moved, held @ rates))
        pulls, slopes = zip(*parts, strict=True)
        return np.concatenate(pulls), np.concatenate(slopes)

    def _pulls(self, cluster: Cluster, xyz: Array) -> list[tuple[Array, Any]]:
        """Return what bonds and angles pull (k,), and its derivatives by places (k, 3n)."""
        network, out = cluster.network, []
        if self.bonds is not None:
            d, slopes = _network.lengths(xyz, network.bonds)
            out.append(((d - self._wanted(cluster)) / self.bonds, slopes / self.bonds))
        if self.angles is not None:
            theta, slopes = _network.corners(xyz, network.angles)
            out.append(((theta - self._corners(cluster)) / self.angles, slopes / self.angles))
        return out

    def _corners(self, cluster: Cluster) -> Array:
        """Return the angles (k,) that are wanted."""
        if self.like is None:
            return cluster.network.corners
        return _network.corners(self._example(cluster), cluster.network.angles)[0]

    def _example(self, cluster: Cluster) -> Array:
        """Return the places (n, 3) of the atoms of the particle that bonds and angles are to be like."""
        like = cluster.particle if self.like is None else self.like
        if like.symbols != cluster.particle.symbols:
            raise ParameterError(
                f"a restraint wants {self.phase} like {like.formula}, but its atoms are those of "
                f"{cluster.particle.formula}, in their order: give a particle of the same atoms",
                key="like",
            )
        return like.xyz

    def _wanted(self, cluster: Cluster) -> Array:
        """Return the lengths (m,) that bonds are to have."""
        network = cluster.network
        out = _network.lengths(self._example(cluster), network.bonds)[0]
        kinds = _kinds(cluster, network)
        for key, length in self.lengths.items():
            pair = "-".join(sorted(key.split("-")))
            if pair not in kinds:
                raise ParameterError(
                    f"a restraint names bonds {key}, but those of {self.phase} are {', '.join(sorted(set(kinds)))}: "
                    "correct its elements",
                    key=key,
                )
            out[np.array(kinds) == pair] = length
        return out

    def terms(self, model: Model, names: tuple[str, ...], values: Array, tangents: Array) -> list[Term]:
        """Return every bond and every angle."""
        cluster, own, along = moving_cluster(model, self.phase, names, values, tangents)
        xyz, rates = cluster.located(own, along)
        network, out = cluster.network, []
        if self.bonds is not None:
            d, slopes = _network.lengths(xyz, network.bonds)
            rows = zip(_kinds(cluster, network), d, self._wanted(cluster), slopes @ rates, strict=True)
            out += [Term(f"{self.phase}: {kind}", "Å", v, w, w, self.bonds, slope) for kind, v, w, slope in rows]
        if self.angles is not None:
            theta, slopes = _network.corners(xyz, network.angles)
            symbols = cluster.particle.symbols
            kinds = ["–".join(symbols[k] for k in three) for three in network.angles]
            rows = zip(kinds, theta, self._corners(cluster), slopes @ rates, strict=True)
            out += [Term(f"{self.phase}: {kind}", "°", v, w, w, self.angles, slope) for kind, v, w, slope in rows]
        return out

    def drawn(self, rng: np.random.Generator) -> GeometryRestraint:
        """Return itself: its targets are those of the start."""
        return self


def _kinds(cluster: Cluster, network: Network) -> list[str]:
    symbols = cluster.particle.symbols
    return ["-".join(sorted((symbols[i], symbols[j]))) for i, j in network.bonds.tolist()]


def moving_cluster(
    model: Model, name: str, names: tuple[str, ...], values: Array, tangents: Array
) -> tuple[Cluster, Array, Array]:
    """Return the cluster of a restraint, with the values of its quantities and their tangents.

    Raises ParameterError for a phase whose atoms do not move.
    """
    phase, own, along = at_phase(model, name, names, values, tangents)
    if getattr(phase, "moves", None) is None:
        raise ParameterError(
            f"a restraint keeps the shape of phase {name}, whose atoms do not move: it is for a Cluster with moves=…",
            key=name,
        )
    return cast("Cluster", phase), own, along
