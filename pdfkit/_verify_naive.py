"""The definitions as they are written: every pair by itself, plain sums, numpy alone.

Slow, and shares nothing with what it checks but positions, displacement tensors and scattering strengths.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pdfkit._checks import Array
from pdfkit.particle import Particle
from pdfkit.phases.crystal import Crystal

Pair = tuple[str, str]


def crystal_pairs(crystal: Crystal, rmax: float) -> Iterator[tuple[Pair, float, Array, Array]]:
    """Yield for every two atoms of the cell: elements, product of occupancies, distances and U_i + U_j along them."""
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
        yield (a.element, b.element), a.occ * b.occ, d, along


def crystal_G(
    crystal: Crystal, r: Array, strengths: Mapping[str, float], *, qbroad: float = 0.0, qdamp: float = 0.0
) -> dict[Pair, Array]:
    """Return the partials G_ab(r) without a cut: Gaussians of all pairs, less the baseline, times γ₀ and B(r)."""
    amount = crystal.structure.composition()
    total = sum(amount.values())
    mean = sum(n * strengths[e] for e, n in amount.items()) / total
    rho0 = total / crystal.structure.volume()
    out = {pair: np.zeros(r.size) for pair in itertools.combinations_with_replacement(sorted(amount), 2)}
    for (a, b), occupancy, d, along in crystal_pairs(crystal, float(r[-1]) + 2.0):
        s2 = along * (1 - crystal.delta1 / d - crystal.delta2 / d**2 + (qbroad * d) ** 2)
        weight = occupancy * strengths[a] * strengths[b] / (total * mean**2)
        G = out[a, b] if (a, b) in out else out[b, a]
        for one, width in zip(d, s2, strict=True):
            G += weight * peak(r, one, width)
    for (a, b), G in out.items():
        share = (1 if a == b else 2) * amount[a] * amount[b] * strengths[a] * strengths[b] / (total * mean) ** 2
        G -= 4 * math.pi * r * rho0 * share
        G *= crystal.scale * crystal.shape.gamma0(r) * np.exp(-((qdamp * r) ** 2) / 2)
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
