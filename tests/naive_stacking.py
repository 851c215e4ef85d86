"""Slow, obvious twins of `pdfkit.kernels.stacking`, and stacks layer by layer."""

from __future__ import annotations

import itertools
import math

import numpy as np

STEPS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(0.75)]])


def same_position(alpha_c, alpha_h, most):
    """Return P₀(0…most): every sequence of layer types by itself."""
    share = alpha_c / (1 + alpha_c - alpha_h)
    out = [1.0]
    for m in range(1, most + 1):
        total = 0.0
        for types in itertools.product("ch", repeat=m):
            chance = share if types[0] == "h" else 1 - share
            step = at = 1
            for before, here in itertools.pairwise(types):
                hexagonal = alpha_h if before == "h" else alpha_c
                chance *= hexagonal if here == "h" else 1 - hexagonal
                step = -step if here == "h" else step
                at += step
            total += chance if at % 3 == 0 else 0.0
        out.append(total)
    return out


def pairs(phase, rmax):
    """Yield (element, element, ordered pairs per atom, place, σ²) of every lattice vector within rmax of an atom."""
    a, h, u = phase.a_h, phase.h, phase.u or 0.0
    c, x = (phase.alpha, phase.alpha) if phase.alpha is not None else (phase.alpha_c, phase.alpha_h)
    most = math.ceil(rmax / h) + 1
    chance = same_position(c, x, min(most, 12))
    sites = [(phase.first, 0.0)] + ([] if phase.second is None else [(phase.second, 2 * u * h)])
    reach = math.ceil(rmax / a) * 2 + 2
    n = np.array(list(itertools.product(range(-reach, reach + 1), repeat=2)))
    plane = n @ np.array([[a, 0.0], [-a / 2, a * math.sqrt(0.75)]])
    shift = np.array([a / 2, a / math.sqrt(12)])
    for layer in range(-most, most + 1):
        for (one, z1), (two, z2) in itertools.product(sites, sites):
            z = layer * h + z2 - z1
            for offset in (0, 1, -1):
                p = chance[abs(layer)] if offset == 0 else (1 - chance[abs(layer)]) / 2
                for v in plane + offset * shift:
                    d = math.sqrt(v @ v + z * z)
                    if 0.01 < d <= rmax and p > 0:
                        yield one, two, p / len(sites), *_peak(phase, one, two, abs(layer), d, z)


def _peak(phase, one, two, between, d, z):
    along = (z / d) ** 2
    u_in = sum(phase.Uiso.get(e) or phase.U11[e] for e in (one, two))
    u_out = sum(phase.Uiso.get(e) or phase.U33[e] for e in (one, two))
    motion = 1 - phase.delta1 / d - phase.delta2 / d**2
    u_in, u_out = u_in * motion, u_out * motion + between * phase.Ulayer
    s = u_in * (1 - along) + u_out * along
    across = 0.5 * (2 * u_in + u_out - s)
    shift = (across - s) / d
    return d + shift, s + shift**2


def slab(letters, a, h, u, rmax):
    """Return (kind 0–0, 0–1 or 1–1, d) → ordered pairs per atom of a stack of whole puckered layers without edges.

    letters: of the chain; puckered layer n has first sites at letters[n + 1] and, (1 − 2u)h below, second ones at
    letters[n], which stand over the first sites of the layer before.
    """
    out: dict[tuple[int, float], float] = {}
    reach = math.ceil(rmax / a) * 2 + 2
    n = np.array(list(itertools.product(range(-reach, reach + 1), repeat=2)))
    plane = n @ np.array([[a, 0.0], [-a / 2, a * math.sqrt(0.75)]])
    shift = np.array([a / 2, a / math.sqrt(12)])
    sites = [(0, letter, m * h) for m, letter in enumerate(letters[1:])]
    sites += [(1, letter, (m - 1 + 2 * u) * h) for m, letter in enumerate(letters[:-1])]
    for (k1, l1, z1), (k2, l2, z2) in itertools.product(sites, sites):
        d = np.sqrt(((plane + (l2 - l1) * shift) ** 2).sum(axis=1) + (z2 - z1) ** 2)
        for value in d[(d > 0.01) & (d <= rmax)]:
            key = k1 + k2, round(float(value), 6)
            out[key] = out.get(key, 0.0) + 1 / len(sites)
    return out
