"""Clusters whose atoms move: is the truth found again, and what do derivatives along all atoms cost?

    python benchmarks/moving.py [--quick] [--fits 50]

Cd37S20 (57 atoms), noise-free G(r) from 1.5 to 20 Å, Qmin 0.6, scale and U known, all 171 coordinates free, each case
with many random displacements of 0.2 Å (root mean square of all atoms):

- start: the truth is one of the ideal sets, the fit starts from displaced atoms; bonds and angles of the ideal set.
- given: the truth is displaced, the fit starts from the ideal set; bonds and angles as in the truth, with errors.
- blind: the truth is displaced, the fit starts from the ideal set; bonds and angles of the ideal set.

Found is what lies within 0.10 Å of the truth (root mean square after superposition; mirror images and exchanges of
equal atoms count as the same). "told" is what is left of a blind displacement when a perfect fit knows all that data
say beside its size (linear, at the truth): where that is above 0.10 Å no method finds it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

import pdfkit as pk
from pdfkit._machine import one_thread
from pdfkit.fitting.whitening import points, whitening
from pdfkit.model import GeometryRestraint

RMS, FOUND = 0.2, 0.10
BROAD = {15.0: 0.01, 25.0: 0.005}
R = np.arange(1.5, 20.0, 0.01)


@dataclass(frozen=True)
class Case:
    """A fit: what is true, where it starts, and whose bonds and angles it is told."""

    truth: pk.Particle
    start: np.ndarray
    like: pk.Particle


def superposed(one: np.ndarray, other: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the root mean square distance (Å) of atoms, and the first turned (or mirrored) onto the second."""
    a, b = one - one.mean(axis=0), other - other.mean(axis=0)
    u, _, vt = np.linalg.svd(a.T @ b)
    turned = a @ u @ vt
    return float(np.sqrt(((turned - b) ** 2).sum(axis=1).mean())), turned + other.mean(axis=0)


def distance(one: np.ndarray, other: np.ndarray, kind: np.ndarray) -> float:
    """Return the same, of equal atoms in the order that fits best."""
    best, turned = superposed(one, other)
    cost = ((turned[:, None] - other) ** 2).sum(axis=-1) + 1e6 * (kind[:, None] != kind)
    first, second = linear_sum_assignment(cost)
    order = np.empty_like(first)
    order[second] = first
    return min(best, superposed(one[order], other)[0])


def displaced(particle: pk.Particle, rms: float, rng: np.random.Generator) -> np.ndarray:
    """Return random displacements (n, 3) without a shift."""
    away = rng.normal(size=particle.xyz.shape)
    away -= away.mean(axis=0)
    return rms * away / np.sqrt((away**2).sum(axis=1).mean())


def with_places(particle: pk.Particle, xyz: np.ndarray) -> pk.Particle:
    """Return the same atoms elsewhere."""
    return pk.Particle.of(particle.symbols, xyz)


def cases(kind: str, sets: list[pk.Particle], count: int) -> list[tuple[pk.Particle, Case]]:
    """Return the ideal set and the fit of each case of a kind."""
    out = []
    for seed in range(count):
        ideal, rng = sets[seed % len(sets)], np.random.default_rng(seed)
        plain, away = with_places(ideal, ideal.xyz), displaced(ideal, RMS, rng)
        truth = with_places(ideal, ideal.xyz + away)
        none = np.zeros_like(away)
        told = with_places(ideal, truth.xyz + rng.normal(0.0, 0.02, away.shape))
        made = {"start": Case(plain, away, plain), "given": Case(truth, none, told), "blind": Case(truth, none, plain)}
        out.append((plain, made[kind]))
    return out


def model_of(particle: pk.Particle, qmax: float, amplitudes: np.ndarray) -> pk.Model:
    """Return the model of a cluster whose atoms move."""
    values = tuple(amplitudes.ravel().tolist())
    cluster = pk.Cluster(particle, "c", Uiso=BROAD[qmax], moves="atoms", amplitudes=values)
    return pk.Model(cluster, pk.Instrument(probe="X", qmin=0.6, qmax=qmax))


def found(ideal: pk.Particle, case: Case, qmax: float) -> tuple[float, float, float]:
    """Return how far (Å) a fit ends from the truth, its Rw, and its processor time (s)."""
    data = model_of(ideal, qmax, case.truth.xyz - ideal.xyz)(R)
    kept = GeometryRestraint("c", bonds=0.03, angles=3.0, displacement=0.3, like=case.like)
    began = time.process_time()
    settings = pk.FitSettings(noise="given")
    free = ["c.*.x", "c.*.y", "c.*.z"]
    start = model_of(ideal, qmax, case.start)
    result = pk.fit(start, data, free=free, restraints=[kept], search="plain", settings=settings)
    cluster: Any = result.model.phases[0]
    off = distance(cluster.refined_particle().xyz, case.truth.xyz, ideal.kind)
    return off, result.rw, time.process_time() - began


def told(ideal: pk.Particle, case: Case, qmax: float) -> float:
    """Return what is left (Å) of a random displacement of which a perfect fit knows all that data say, to 1e-3 of G."""
    model = model_of(ideal, qmax, case.truth.xyz - ideal.xyz)
    pdf = model(R)
    white = whitening(pdf, model.instrument, False)
    evaluate = model.evaluator(R[white.index], end=float(R[-1]))
    G, dG = evaluate(model.values, np.eye(model.values.size)[:, model.phases[0].moving])
    rows = white(dG) / (1e-3 * float(np.sqrt((white(G[None]) ** 2).mean())))
    prior = 3.0 / RMS**2
    return float(np.sqrt(np.trace(np.linalg.inv(rows @ rows.T + prior * np.eye(len(rows)))) / len(ideal)))


def costs(particle: pk.Particle, qmax: float) -> tuple[float, float]:
    """Return processor times (ms) of a value, and of it with derivatives along all coordinates, as a fit asks them."""
    model = model_of(particle, qmax, np.zeros(3 * len(particle)))
    evaluate = model.evaluator(R[points(R, qmax)], end=float(R[-1]))
    tangents = np.eye(model.values.size)[:, model.phases[0].moving]
    best = [np.inf, np.inf]
    for _ in range(20):
        for k, along in enumerate((None, tangents)):
            began = time.process_time()
            evaluate(model.values, along)
            best[k] = min(best[k], 1e3 * (time.process_time() - began))
    return best[0], best[1]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three fits of each kind")
    parser.add_argument("--fits", type=int, default=50)
    count = 3 if (asked := parser.parse_args()).quick else asked.fits
    sets = list(pk.build.candidates("Cd37S20", limit=None, seed=1, near=0))
    print("| atoms | Qmax | value | with all columns | columns cost |\n|---|---|---|---|---|")
    with one_thread():
        for qmax in BROAD:
            value, whole = costs(with_places(sets[0], sets[0].xyz), qmax)
            ratio = f"{whole / value:.1f} values"
            print(f"| {len(sets[0])} | {qmax:g} | {value:.2f} ms | {whole:.2f} ms | {ratio} |", flush=True)
    print("\n| case | Qmax | found | median off (Å) | worst (Å) | Rw | seconds, at the most | told (Å) |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in ("start", "given", "blind"):
        for qmax in BROAD:
            some = cases(kind, sets, count)
            rows = np.array([found(ideal, case, qmax) for ideal, case in some])
            left = f"{np.mean([told(ideal, case, qmax) for ideal, case in some[:5]]):.3f}" if kind == "blind" else ""
            near = int((rows[:, 0] <= FOUND).sum())
            off = f"{np.median(rows[:, 0]):.3f} | {rows[:, 0].max():.3f} | {np.median(rows[:, 1]):.1e}"
            print(f"| {kind} | {qmax:g} | {near} of {count} | {off} | {rows[:, 2].max():.1f} | {left} |", flush=True)


if __name__ == "__main__":
    main()
