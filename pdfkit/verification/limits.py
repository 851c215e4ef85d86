"""Agreement with closed forms: what G(r), S(Q) and γ₀(r) are where they can be written down."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from pdfkit import debye
from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.model.model import Model
from pdfkit.particles.counting import count_pairs
from pdfkit.particles.particle import Particle
from pdfkit.phases.cluster import Cluster
from pdfkit.phases.crystal import Crystal
from pdfkit.shapes import Rod, Shell, Sphere, Spheroid
from pdfkit.verification.checks import UNCUT, Check, crystals, grid, nodes, peak, tetrahedron, worst

TOPIC = "analytic limit"


_ROUND = "rounding"
_BETWEEN = "Gauss–Legendre between the kinks of γ₀"
_QUOTIENT = "a difference quotient over 1e-3 Å"
_GRID = "resampling from the grid of peaks is good to 2e-9"
_TAILS = "peaks end at 7 σ, and thousands overlap"
_LEFT = "what is left of exp(−UQ²), over all neighbours"
_ROUGH = "the surface of a cut sphere is rough on the scale of a bond"


def checks() -> list[Check]:
    """Return the comparisons with closed forms."""
    rows: tuple[tuple[str, str, float, str, Callable[[], float]], ...] = (
        *((f"γ₀ of a {k}, ∫", "∫4πr²γ₀ dr = V, relative", 1e-10, _BETWEEN, partial(_volume, k)) for k in _SHAPES),
        *((f"γ₀ of a {k}, slope", "γ₀′(0) = −S/4V, relative", 1e-7, _QUOTIENT, partial(_slope, k)) for k in _SHAPES),
        ("γ₀ of a sphere", "1 − 3x/2 + x³/2, absolute", 1e-14, _ROUND, _gamma0),
        ("ideal gas", "U = 3 Å²: G = −4πr·(own cloud), of 4πrρ₀", 2e-9, _TAILS, _gas),
        ("below the first peak", "G = −4πρ₀r, absolute, Å⁻²", 1e-10, _ROUND, _slope_of_G),
        ("two atoms in r", "one Gaussian pair, of its height", 1e-8, _GRID, _two_atoms),
        ("two atoms in Q", "S = 1 + sin(Qd)/(Qd)·exp(−UQ²), absolute", 1e-12, _ROUND, _two_atoms_sq),
        ("Debye–Waller", "peak height ∝ U^−½, relative", 1e-8, _GRID, _heights),
        ("high Q", "S → 1 where exp(−UQ²) < 1e-10, absolute", 1e-9, _LEFT, _high_q),
        ("low Q", "I(0) = (Σf)², relative", 1e-12, _ROUND, _forward),
        ("large sphere", "D = 60 Å, atoms against γ₀·G_bulk: Rw", 0.02, _ROUGH, _large),
    )
    return [Check(TOPIC, *row) for row in rows]


_SHAPES = {
    "sphere": Sphere(30.0),
    "spheroid": Spheroid(20.0, 1.5),
    "rod": Rod(20.0, 35.0),
    "shell": Shell(30.0, 6.0),
}


def _volume_and_surface(kind: str) -> tuple[float, float]:
    if kind == "sphere":
        return math.pi * 30**3 / 6, math.pi * 30**2
    if kind == "spheroid":
        a, c = 10.0, 15.0
        e = math.sqrt(1 - a * a / c**2)
        return 4 / 3 * math.pi * a * a * c, 2 * math.pi * a * a * (1 + c / (a * e) * math.asin(e))
    if kind == "rod":
        return math.pi * 100 * 35, 2 * math.pi * 100 + 2 * math.pi * 10 * 35
    return 4 / 3 * math.pi * (15**3 - 9**3), 4 * math.pi * (15**2 + 9**2)


def _volume(kind: str) -> float:
    shape = _SHAPES[kind]
    # Panels that meet where these shapes have their knees: axes, walls, ends.
    knees = [0.0, 6.0, 18.0, 20.0, 24.0, 30.0, 35.0, math.hypot(20, 35)]
    ends = [k for k in knees if k < shape.extent()] + [shape.extent()]
    total = 0.0
    for low, high in itertools.pairwise(ends):
        # r = low + (high − low)·(3t² − 2t³): dense at both ends, where derivatives may be singular.
        t, w = nodes(0.0, 1.0, 80)
        r = low + (high - low) * t * t * (3 - 2 * t)
        total += float((w * (high - low) * 6 * t * (1 - t) * 4 * math.pi * r**2 * shape.gamma0(r)).sum())
    return abs(total / _volume_and_surface(kind)[0] - 1)


def _slope(kind: str) -> float:
    h = 1e-3
    near = _SHAPES[kind].gamma0(np.array([0.0, h, 2 * h]))
    slope = (-3 * near[0] + 4 * near[1] - near[2]) / (2 * h)
    V, S = _volume_and_surface(kind)
    return abs(float(slope) * 4 * V / S + 1)


def _gamma0() -> float:
    r = grid(0.0, 40.0, 0.1)
    x = np.minimum(r / 30, 1.0)
    return float(np.abs(Sphere(30.0).gamma0(r) - (1 - 1.5 * x + 0.5 * x**3)).max())


def _gas() -> float:
    """Spread atoms so wide (σ = 2.4 Å) that no order is left: all pairs, each atom with itself included, give 4πrρ₀.

    What G lacks is that atom itself, lim d→0 of [n(r − d) − n(r + d)]/d = 2r n(r; σ)/σ². The next term of Poisson's
    sum over reciprocal vectors is exp(−σ²K₁₁₁²/2) = 4e-13.
    """
    U = 3.0
    crystal = Crystal.from_file("Ni", name="ni").with_values({"Ni.Uiso": U})
    r = grid(0.05, 15.0, 0.05)
    s2 = 2 * U
    cloud = 2 * r / s2 * np.exp(-(r**2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)
    line = 4 * math.pi * r * crystal.structure.number_density()
    return worst(Model(crystal, UNCUT)(r).G, -cloud, float(line.max()))


def _slope_of_G() -> float:
    crystal = crystals()[1]
    r = grid(0.01, 1.0, 0.01)
    expected = -4 * math.pi * r * crystal.structure.number_density() * crystal.scale
    return float(np.abs(Model(crystal, UNCUT)(r).G - expected).max())


def _dimer() -> Particle:
    return Particle.of(["Cd", "Cd"], np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]]))


def _dimer_G(U: float, r: Array) -> Array:
    return Model(Cluster(_dimer(), "d", Uiso={"Cd": U}, baseline="none"), UNCUT)(r).G


def _two_atoms() -> float:
    r = grid(0.5, 8.0, 0.01)
    return worst(_dimer_G(0.01, r), peak(r, 3.0, 0.02))


def _two_atoms_sq() -> float:
    Q = grid(0.1, 25.0, 0.1)
    S = debye.structure_function(count_pairs(_dimer()), Q, ("Cd",), debye.Motion(0.01), probe="X")
    return float(np.abs(S - 1 - np.sinc(3 * Q / math.pi) * np.exp(-0.01 * Q**2)).max())


def _heights() -> float:
    at = np.array([2.5, 3.0, 3.5])
    out = 0.0
    for U in (0.002, 0.005, 0.01, 0.02, 0.05):
        out = max(out, abs(float(_dimer_G(U, at)[1]) * 3 * math.sqrt(4 * math.pi * U) - 1))
    return out


def _high_q() -> float:
    Q = grid(25.0, 40.0, 0.1)
    particle = tetrahedron()
    S = debye.structure_function(
        count_pairs(particle), Q, particle.elements, debye.Motion(0.05), probe="X", scattering="constant"
    )
    return float(np.abs(S - 1).max())


def _forward() -> float:
    particle = tetrahedron()
    I = debye.intensity(
        count_pairs(particle),
        np.zeros(1),
        particle.elements,
        debye.Motion(0.01),
        probe="N",
        strengths={"Cd": 5.0, "S": 3.0},
    )
    return abs(float(I[0]) / (5.0 * 35 + 3.0 * 20) ** 2 - 1)


def _large() -> float:
    from pdfkit.verification.checks import ball

    instrument = Instrument(probe="X", qmax=20.0)
    r = grid(2.0, 12.0, 0.01)
    own = Model(Cluster(ball(60.0), "c", Uiso={"Cd": 0.01, "S": 0.01}, baseline="sphere"), instrument)(r).G
    crystal = Crystal.from_file("CdS_zincblende", name="zb", shape=Sphere(60.0))
    bulk = Model(crystal.with_values({"Cd.Uiso": 0.01, "S.Uiso": 0.01}), instrument)(r).G
    return math.sqrt(float(((own - bulk) ** 2).sum() / (bulk**2).sum()))
