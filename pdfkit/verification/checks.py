"""What a check of `pdfkit verify` is, how it is run, and the plain sums and small models that it works on.

Slow, and shares nothing with what it checks but positions, displacement tensors and scattering strengths.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.io.structures import load_structure
from pdfkit.particles.particle import Particle
from pdfkit.phases.crystal import Crystal
from pdfkit.shapes import Sphere, Spheroid
from pdfkit.structure.site import Site
from pdfkit.structure.structure import Structure

# --- What a check of `pdfkit verify` is ------------------------------------------------------------------------------


class NotInstalledError(Exception):
    """What a check compares with is not on this machine."""


@dataclass(frozen=True)
class Check:
    """One comparison: topic, name, what is compared, the largest difference allowed and why, and what measures it."""

    topic: str
    name: str
    compared: str
    bound: float
    reason: str
    measure: Callable[[], float]


@dataclass(frozen=True)
class VerificationRow:
    """The outcome of one comparison.

    measured : largest difference found, in units that `compared` names (NaN: not measured). bound : largest allowed;
    `reason` says why it is no smaller. ok : measured ≤ bound, or nothing to compare with (`skipped`). note : why a row
    was skipped, or what went wrong.
    """

    topic: str
    name: str
    compared: str
    measured: float
    bound: float
    reason: str
    ok: bool
    skipped: bool
    seconds: float
    note: str = ""


def run(check: Check) -> VerificationRow:
    """Measure; an error of any kind is a row that fails, for the other rows are worth having all the more."""
    start = time.perf_counter()
    measured, skipped, note = float("nan"), False, ""
    try:
        measured = float(check.measure())
    except NotInstalledError as missing:
        skipped, note = True, str(missing)
    except Exception as error:
        note = f"{type(error).__name__}: {error}"
    ok = skipped or measured <= check.bound
    seconds = time.perf_counter() - start
    return VerificationRow(
        check.topic, check.name, check.compared, measured, check.bound, check.reason, ok, skipped, seconds, note
    )


def worst(found: Array, expected: Array, largest: float | None = None) -> float:
    """Return the largest |found − expected| over the largest |expected| (or over `largest`)."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max() if largest is None else largest
    return float(np.abs(np.asarray(found) - expected).max() / scale)


# --- The definitions as they are written -----------------------------------------------------------------------------

Pair = tuple[str, str]


def crystal_pairs(crystal: Crystal, rmax: float) -> Iterator[tuple[Pair, float, Array, Array, Array]]:
    """Yield for every two atoms of the cell: elements, occupancies' product, distances, U_i + U_j along and across."""
    structure = crystal.structure.to_p1()
    rows = structure.basis()
    heights = 1 / np.linalg.norm(np.linalg.inv(rows), axis=0)
    reach = [math.ceil(rmax / h) + 2 for h in heights]
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    tensors = [structure.U_cartesian(k) for k in range(len(structure.sites))]
    for (i, a), (j, b) in itertools.product(enumerate(structure.sites), repeat=2):
        vectors = (cells + np.array(b.xyz) - np.array(a.xyz)) @ rows
        d = np.sqrt((vectors**2).sum(axis=1))
        vectors, d = vectors[(d > 0.01) & (d <= rmax)], d[(d > 0.01) & (d <= rmax)]
        unit = vectors / d[:, None]
        along = np.einsum("pi,ij,pj->p", unit, tensors[i] + tensors[j], unit)
        across = 0.5 * (np.trace(tensors[i] + tensors[j]) - along)
        yield (a.element, b.element), a.occ * b.occ, d, along, across


def crystal_G(
    crystal: Crystal, r: Array, strengths: Mapping[str, float], *, qdamp: float = 0.0, resolution: float = 0.0
) -> dict[Pair, Array]:
    """Return the partials G_ab(r) without a cut: Gaussians of all pairs less the baseline, with γ₀, × B(r)."""
    amount = crystal.structure.composition()
    total = sum(amount.values())
    mean = sum(n * strengths[e] for e, n in amount.items()) / total
    rho0 = total / crystal.structure.volume()
    out = {pair: np.zeros(r.size) for pair in itertools.combinations_with_replacement(sorted(amount), 2)}
    for (a, b), occupancy, d, along, across in crystal_pairs(crystal, float(r[-1]) + 2.0):
        motion = 1 - crystal.delta1 / d - crystal.delta2 / d**2
        shift = motion * (across - along) / d  # the mean of the distance is not the distance of the means
        s2 = along * motion + (resolution * d) ** 2 + shift**2
        weight = occupancy * strengths[a] * strengths[b] / (total * mean**2)
        G = out[a, b] if (a, b) in out else out[b, a]
        for one, width, inside in zip(d + shift, s2, crystal.shape.gamma0(d + shift), strict=True):
            G += weight * inside * peak(r, one, width)
    for (a, b), G in out.items():
        share = (1 if a == b else 2) * amount[a] * amount[b] * strengths[a] * strengths[b] / (total * mean) ** 2
        G -= 4 * math.pi * r * rho0 * share * crystal.shape.gamma0(r)
        G *= crystal.scale * np.exp(-((qdamp * r) ** 2) / 2)
    return out


def peak(r: Array, d: float, s2: float) -> Array:
    """Return [n(r − d; σ) − n(r + d; σ)]/d, n the unit normal density."""
    shape = np.exp(-((r - d) ** 2) / (2 * s2)) - np.exp(-((r + d) ** 2) / (2 * s2))
    return np.asarray(shape / (d * math.sqrt(2 * math.pi * s2)))


def cut(r: Array, G: Array, qmax: float, out_r: Array, weight: Callable[[Array], Array]) -> Array:
    """Return G (on a fine even r from 0 that covers all of it) taken to Q and back by plain sums."""
    # Gauss–Legendre in Q, fine enough for sin(Qr) at the largest r of both grids.
    q, w = nodes(0.0, qmax, int(qmax * (r[-1] + out_r[-1]) / 2) + 60)
    F = np.array([(r[1] - r[0]) * (G * np.sin(one * r)).sum() for one in q]) * weight(q)
    return np.asarray(2 / math.pi * (np.sin(np.outer(out_r, q)) @ (w * F)))


def nodes(low: float, high: float, count: int) -> tuple[Array, Array]:
    """Return Gauss–Legendre nodes and weights for low…high, at least `count` of them, in panels of 24."""
    x, w = np.polynomial.legendre.leggauss(24)
    panels = math.ceil(count / 18)  # panels need more nodes than one rule over all would
    half = 0.5 * (high - low) / panels
    centres = low + half * (2 * np.arange(panels) + 1)
    return (centres[:, None] + half * x).ravel(), np.tile(half * w, panels)


def debye(particle: Particle, f: Mapping[str, Array], u: Mapping[str, float], Q: Array) -> Array:
    """Return I(Q) = Σ_ij f_i f_j sin(Qr)/(Qr) exp(−(U_i + U_j)Q²/2), f of each element (nQ,)."""
    symbols, xyz = particle.symbols, particle.xyz
    out = np.asarray(sum(f[s] ** 2 for s in symbols), dtype=np.float64)
    for i, j in itertools.combinations(range(len(symbols)), 2):
        a, b = symbols[i], symbols[j]
        damped = np.exp(-(u[a] + u[b]) * Q**2 / 2)
        out = out + 2 * f[a] * f[b] * np.sinc(Q * math.dist(xyz[i], xyz[j]) / math.pi) * damped
    return out


def shells(particle: Particle) -> Counter[tuple[int, float]]:
    """Return the number of pairs i < j by (smaller kind, larger kind) as one number, and distance (1e-6 Å)."""
    kinds, xyz = particle.kind, particle.xyz
    out: Counter[tuple[int, float]] = Counter()
    for i, j in itertools.combinations(range(len(particle)), 2):
        low, high = sorted((int(kinds[i]), int(kinds[j])))
        out[10 * low + high, round(math.dist(xyz[i], xyz[j]), 6)] += 1
    return out


# --- The small models that `pdfkit verify` works on ------------------------------------------------------------------

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
