"""Kinetics from G(r): are populations and rate constants right? `python benchmarks/kinetics.py` prints Markdown.

200 simulated runs of one CdS cluster turning into another of the same composition: Cd37S20 cut from zinc blende into
Cd37S20 of wurtzite, calculated curves from 1.5 to 20 Å, Qmax 20 Å⁻¹, 30 scans over three lifetimes. Noise is that of
counts divided by f² (σ of F grows 45-fold from Q = 2 to 19 Å⁻¹), independent in each scan; the analysis is not told of
it. Kinds:

- exact: references are the calculated curves, amounts sum up to 1;
- scale: every scan has a scale of its own (σ 5 %), amounts are free and shares are taken of them;
- noisy: references are measured, each the mean of 30 scans of the noise;
- two steps: A → B → C by way of a third cluster (the tetrahedron Cd35S20).

Columns: the largest error of a population and the root mean square (parts of 100); the spread of (p̂ − p)/σ, which
should be 1; the share of runs whose ln k is within 1σ and 2σ, which should be 68 % and 95 %; the mean error of k.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

import pdfkit as pk
from pdfkit.series import Curves, Kinetics, Mixture, fit_kinetics, mixture

Array = np.ndarray
R = np.arange(150, 2001) * 0.01
LAB = pk.Instrument(probe="X", qmax=20.0, qdamp=0.03)
STEP = 0.02
Q = np.arange(STEP / 2, 20.0, STEP)
WAVES = 2.0 / np.pi * STEP * np.sin(np.outer(Q, R))
SIZE = 0.4
"""Root mean square of the noise of F(Q), Å⁻¹."""
K1, K2 = 0.01, 0.02
SCANS = 30
T = np.linspace(0.0, 3.0 / K1, SCANS)
CLUSTERS = {"first": "Cd37S20_zincblende", "last": "Cd37S20_wurtzite"}


def sigma() -> Array:
    """Return σ of F(Q): Q/f, scaled to SIZE."""
    shape = Q / (0.75 / (1 + (Q / 5.0) ** 2) + 0.25 / (1 + (Q / 20.0) ** 2))
    return np.asarray(SIZE * shape / np.sqrt(np.mean(shape**2)))


@cache
def reference(name: str) -> Array:
    """Return the calculated G(r) of a cluster."""
    return pk.Model(pk.Cluster.from_file(name, name="c", Uiso=0.012, delta2=2.0), LAB)(R).G


def noise(rng: np.random.Generator, count: int, scans: float = 1.0) -> Array:
    """Return noise (count, n) of G(r), as the mean of so many scans has it."""
    return (rng.standard_normal((count, Q.size)) * sigma() / np.sqrt(scans)) @ WAVES


def populations(law: str) -> Array:
    """Return the true populations (SCANS, states)."""
    first = np.exp(-K1 * T)
    if law == "first order":
        return np.column_stack([first, 1 - first])
    middle = K1 / (K2 - K1) * (first - np.exp(-K2 * T))
    return np.column_stack([first, middle, 1 - first - middle])


@dataclass(frozen=True)
class Kind:
    """How runs are simulated: the law, the clusters, scales of scans, scans that make a reference (0: exact)."""

    law: str = "first order"
    clusters: tuple[str, ...] = ("Cd37S20_zincblende", "Cd37S20_wurtzite")
    scales: float = 0.0
    averaged: int = 0


KINDS = {
    "exact": Kind(),
    "scale": Kind(scales=0.05),
    "noisy": Kind(averaged=30),
    "two steps": Kind("two steps", ("Cd37S20_zincblende", "Cd35S20_tetrahedron", "Cd37S20_wurtzite")),
}


def run(kind: Kind, seed: int) -> tuple[Mixture, Kinetics]:
    """Simulate a run and return what comes of it."""
    rng = np.random.default_rng(seed)
    pure = np.array([reference(name) for name in kind.clusters])
    scale = 1 + kind.scales * rng.standard_normal((SCANS, 1))
    G = scale * (populations(kind.law) @ pure) + noise(rng, SCANS)
    seen = pure + (noise(rng, len(pure), kind.averaged) if kind.averaged else 0.0)
    scans = Curves(R, G, T, label="t (s)", instrument=LAB)
    total = "free" if kind.scales else "one"
    found = mixture(scans, dict(zip(kind.clusters, seen, strict=True)), total=total, averaged=kind.averaged)
    return found, fit_kinetics(found, kind.law)


@dataclass(frozen=True)
class Line:
    """What runs of one kind showed."""

    largest: float
    rms: float
    spread: float
    one: float
    two: float
    error: float
    seconds: float


def study(kind: Kind, runs: int, tell: Callable[[int], None] = lambda _: None) -> Line:
    """Return how far populations and rate constants of simulated runs are off."""
    off, z, rates, errors, began = [], [], [], [], time.process_time()
    true = {"ln k": np.log(K1), "ln k1": np.log(K1), "ln k2": np.log(K2)}
    for seed in range(runs):
        found, fit = run(kind, seed)
        shares, covariance = (found.free, found.covariance) if found.total == "one" else found.shares()
        off.append(shares - populations(kind.law))
        z.append(off[-1] / np.sqrt(np.einsum("ijj->ij", covariance)))
        rates.append([(fit[name][0] - true[name]) / fit[name][1] for name in fit.names])
        errors.append([fit[name][1] for name in fit.names])
        tell(seed)
    rates, off = np.abs(rates), np.abs(off)
    return Line(
        100 * float(off.max()), 100 * float(np.sqrt(np.mean(off**2))), float(np.std(z)), float((rates < 1).mean()),
        float((rates < 2).mean()), float(np.mean(errors)), (time.process_time() - began) / runs,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", choices=KINDS)
    args = parser.parse_args()
    size = float(
        np.sqrt(np.mean(noise(np.random.default_rng(0), 20) ** 2) / np.mean(reference(CLUSTERS["first"]) ** 2))
    )
    print(f"{args.runs} runs of {SCANS} scans; noise of a scan is {size:.0%} of G(r)\n")
    print("| runs | population, largest | rms | spread of (p̂ − p)/σ | k within 1σ | 2σ | σ of ln k | s/run |")
    print("|---|---|---|---|---|---|---|---|")
    for name, kind in KINDS.items():
        if args.only in (None, name):
            one = study(kind, args.runs)
            print(
                f"| {name} | {one.largest:.2f} % | {one.rms:.2f} % | {one.spread:.2f} | {one.one:.0%} | {one.two:.1%} "
                f"| {one.error:.4f} | {one.seconds:.2f} |"
            )


if __name__ == "__main__":
    main()
