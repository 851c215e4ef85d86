"""Slow, obvious twins of the kernels: one loop per sum, straight from the formulas."""

from __future__ import annotations

import itertools
import math

import numpy as np


def pairs(crystal, rmax):
    """Yield (element_i, element_j, weight, distance, U_i + U_j along and across it) for every pair within rmax."""
    structure = crystal.structure
    full = structure.expand()
    rows = structure.basis()
    atoms = []
    for k in range(len(full)):
        site = structure.sites[full.site[k]]
        turn = rows.T @ full.rotation[k] @ np.linalg.inv(rows.T)  # the operation in Cartesian axes
        tensor = turn @ structure.U_cartesian(int(full.site[k])) @ turn.T
        atoms.append((site.element, full.rotation[k] @ np.array(site.xyz) + full.translation[k], site.occ, tensor))
    heights = 1 / np.linalg.norm(np.linalg.inv(rows), axis=0)
    reach = [math.ceil(rmax / h) + 2 for h in heights]
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    for a, xa, ca, ua in atoms:
        for b, xb, cb, ub in atoms:
            vectors = (cells + xb - xa) @ rows
            distances = np.linalg.norm(vectors, axis=1)
            for v, d in zip(vectors, distances, strict=True):
                if 0.01 < d <= rmax:
                    n = v / d
                    along = float(n @ (ua + ub) @ n)
                    yield a, b, ca * cb, d, along, 0.5 * (np.trace(ua + ub) - along)


def g_of_r(crystal, r, strengths, *, qbroad=0.0, qdamp=0.0, resolution=0.0, prefactor="pair"):
    """Return {(a, b): G_ab} without a Q cut: the sum over pairs as it is written, each with its γ₀."""
    amount = crystal.structure.composition()
    total = sum(amount.values())
    mean = sum(n * strengths[e] for e, n in amount.items()) / total
    rho0 = total / crystal.structure.volume()
    out = {pair: np.zeros(r.size) for pair in itertools.combinations_with_replacement(sorted(amount), 2)}
    for a, b, weight, d, u, across in pairs(crystal, r[-1] + 2.0):
        sharp = crystal.sratio**2 if d < crystal.rcut else 1.0
        motion = sharp * (1 - crystal.delta1 / d - crystal.delta2 / d**2)
        shift = motion * (across - u) / d  # the mean of the distance is not the distance of the means
        s2 = u * (motion + sharp * (qbroad * d) ** 2) + (resolution * d) ** 2 + shift**2
        d += shift

        def normal(x, s2=s2):
            return np.exp(-(x**2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)

        peak = (normal(r - d) - normal(r + d)) / d if prefactor == "pair" else normal(r - d) / r
        weight *= crystal.shape.gamma0(np.array([d]))[0]
        out[tuple(sorted((a, b)))] += weight * strengths[a] * strengths[b] / (total * mean**2) * peak
    for (a, b), G in out.items():
        share = (1 if a == b else 2) * amount[a] * amount[b] * strengths[a] * strengths[b] / (total * mean) ** 2
        G -= 4 * math.pi * r * rho0 * share * crystal.shape.gamma0(r)
        G *= crystal.scale * np.exp(-((qdamp * r) ** 2) / 2)
    return out


def cut(r, G, qmin, qmax, out_r, weight=lambda q: np.ones_like(q)):
    """Cut G (on a fine uniform r from 0 that covers all of it) by transforming to Q and back, both by plain sums."""
    step = r[1] - r[0]
    # Gauss–Legendre in Q, fine enough for sin(Qr) at the largest r of both grids.
    nodes, weights = np.polynomial.legendre.leggauss(int((qmax - qmin) * (r[-1] + out_r[-1]) / 2) + 60)
    q = 0.5 * (qmax - qmin) * nodes + 0.5 * (qmax + qmin)
    weights = 0.5 * (qmax - qmin) * weights
    F = np.array([step * (G * np.sin(one * r)).sum() for one in q]) * weight(q)
    return np.array([2 / math.pi * (weights * F * np.sin(q * one)).sum() for one in out_r])


def deposit(peak, pair, step, npoints, npairs, by_pair):
    """Return (npairs, npoints): the sum of Gaussians without recursion or cutoff."""
    r = step * np.arange(npoints)
    out = np.zeros((npairs, npoints))
    for (d, s2, w), ch in zip(peak, pair, strict=True):
        shape = np.exp(-((r - d) ** 2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)
        if by_pair:
            shape = (shape - np.exp(-((r + d) ** 2) / (2 * s2)) / math.sqrt(2 * math.pi * s2)) / d
        out[ch] += w * shape
    return out


def debye(xyz, f, u, Q, *, delta1=0.0, delta2=0.0):
    """Return I(Q) = Σ_ij f_i f_j sin(Qr)/(Qr) exp(−σ²Q²/2) (nQ,), every pair by itself; f (natoms, nQ), u (natoms,)."""
    out = (f**2).sum(axis=0)
    for i, j in itertools.permutations(range(len(xyz)), 2):
        d = math.dist(xyz[i], xyz[j])
        s2 = (u[i] + u[j]) * (1 - delta1 / d - delta2 / d**2)
        out += f[i] * f[j] * np.sinc(Q * d / math.pi) * np.exp(-s2 * Q**2 / 2)
    return out


def debye_sums(peak, pair, Q, npairs):
    """Return (npairs, nQ): Σ (w/d) sin(Qd) exp(−σ²Q²/2) term by term."""
    out = np.zeros((npairs, Q.size))
    for (d, s2, w), ch in zip(peak, pair, strict=True):
        for k, q in enumerate(Q):
            out[ch, k] += w / d * math.sin(q * d) * math.exp(-0.5 * s2 * q * q)
    return out
