"""Explicit dots against γ₀ on pairs and γ₀ on the curve: `python benchmarks/finite_size.py [--dots 3000]`.

Spheres are cut at random places out of CdS, atom by atom: zinc blende, and stacks with faults. Their pairs are counted,
their mean F(Q) is the Debye sum less the small-angle scattering of the sphere, ρ₀VQΦ²(Q), and G(r) its sine transform:
no code of the models is used, scattering factors apart. Each set is fitted as before, γ₀(r) × the curve, and as now,
γ₀ on every pair. Prints Markdown: what is found less what is true (X-rays, Qmax 19 Å⁻¹, no noise), then measured CdSe
(extra `examples`).
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import pdfkit as pk
from pdfkit.model import Convention
from pdfkit.results.report import uncertain

A = 5.82
CELL = {"a_h": A / math.sqrt(2.0), "h": A / math.sqrt(3.0), "u": 0.375}
QMAX = 19.0
# Å; bins that distances are counted in. Each keeps the mean of what it holds.
BIN = 1e-3
SPECIES = ("Cd", "S")


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs of an average particle: (species, species) → distances (n,) Å and how many there are (n,)."""

    counts: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]
    volume: float

    @property
    def atoms(self) -> float:
        """Atoms of the average particle."""
        return 2.0 * self.volume / (math.sqrt(0.75) * CELL["a_h"] ** 2 * CELL["h"])


def dot(alpha: float, diameter: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the atoms (n, 3) of each species in a sphere, cut at a random place out of a random stack."""
    a, h, rise = CELL["a_h"], CELL["h"], 2.0 * CELL["u"] * CELL["h"]
    radius = 0.5 * diameter
    layers = np.arange(-math.ceil(radius / h) - 2, math.ceil(radius / h) + 2)
    turns = rng.random(layers.size) < alpha  # a hexagonal layer turns the direction of the steps round
    steps = np.where(np.cumsum(turns) % 2, 1, -1)
    place = np.cumsum(steps) - steps[0]
    span = np.arange(-math.ceil(radius / a * 1.2) - 4, math.ceil(radius / a * 1.2) + 5)
    i, j = (one.ravel() for one in np.meshgrid(span, span))
    centre = rng.random(3)
    third = (place % 3)[:, None] / 3.0
    u, v = i + third - centre[0], j + 2.0 * third - centre[1]
    x, y, z = a * (u - 0.5 * v), a * math.sqrt(0.75) * v, (h * (layers - centre[2]))[:, None] + 0.0 * u
    out = []
    for lift in (0.0, rise):
        xyz = np.stack([x, y, z + lift], axis=-1).reshape(-1, 3)
        out.append(xyz[(xyz**2).sum(axis=1) < radius**2])
    return out


def counted(alpha: float, diameter: float, dots: int, seed: int) -> Pairs:
    """Return the pairs of the average of many dots."""
    rng = np.random.default_rng(seed)
    size = math.ceil(diameter / BIN) + 2
    number, total = np.zeros((3, size)), np.zeros((3, size))
    for _ in range(dots):
        atoms = dot(alpha, diameter, rng)
        kind = np.repeat([0, 1], [len(one) for one in atoms])
        particle = pk.Particle(SPECIES, kind, np.concatenate(atoms))
        table = pk.particles.count_pairs(particle, method="direct", threads=1)
        key = table.pair, (table.distance / BIN).astype(int)
        np.add.at(number, key, table.count)
        np.add.at(total, key, table.count * table.distance)
    names = (("Cd", "Cd"), ("Cd", "S"), ("S", "S"))
    found = {}
    for k, name in enumerate(names):
        some = number[k] > 0
        found[name] = total[k, some] / number[k, some], 2.0 * number[k, some] / dots
    return Pairs(found, math.pi / 6.0 * diameter**3)


def debye(pairs: Pairs, diameter: float, U: float, r: np.ndarray, scattering: str) -> pk.PDF:
    """Return G(r) of the average particle: its Debye sum without small-angle scattering, transformed."""
    node, weight = np.polynomial.legendre.leggauss(int(QMAX * (diameter + r[-1]) / 2.0) + 100)
    Q, weight = 0.5 * QMAX * (node + 1.0), 0.5 * QMAX * weight
    at = Q if scattering == "q-dependent" else np.zeros(1)
    f = {name: np.broadcast_to(pk.scattering.amplitude(name, "X", at), Q.shape) for name in SPECIES}
    mean = 0.5 * (f["Cd"] + f["S"])
    F = np.zeros(Q.size)
    for (one, two), (d, n) in pairs.counts.items():
        sines = np.sin(np.outer(Q, d)) @ (n / d)
        F += f[one] * f[two] / mean**2 * sines * np.exp(-U * Q * Q) / pairs.atoms  # σ² = 2U
    x = 0.5 * Q * diameter
    F -= Q * pairs.atoms * (3.0 * (np.sin(x) - x * np.cos(x)) / x**3) ** 2
    G = 2.0 / math.pi * np.sin(np.outer(r, Q)) @ (weight * F)
    return pk.PDF(r, G, instrument=pk.Instrument(probe="X", qmax=QMAX, qdamp=0.0, qbroad=0.0, scattering=scattering))


def zinc_blende(diameter: float, U: float) -> pk.Crystal:
    phase = pk.Crystal.from_file("CdS_zincblende", name="p", shape=pk.Sphere(diameter))
    return phase.with_values({"a": A, "Cd.Uiso": U, "S.Uiso": U})


def stack(alpha: float, diameter: float, U: float) -> pk.Stacked:
    return pk.Stacked("Cd", "S", name="p", **CELL, alpha=alpha, Uiso=U, shape=pk.Sphere(diameter))


def fitted(data: pk.PDF, phase: Any, finite_size: str, free: list[str]) -> dict[str, float]:
    """Return Rw and the values found, started away from the true ones."""
    model = pk.Model(phase, data.instrument, Convention(finite_size=finite_size))
    start = {name: 1.02 * float(model.values[model.names.index(f"p.{name}")]) for name in ("spdiameter", *free[:1])}
    result = pk.fit(
        model.with_values({f"p.{k}": v for k, v in start.items()}), data, free=["scale", "spdiameter", *free]
    )
    return {"rw": result.rw, **{name.removeprefix("p."): float(p.value) for name, p in result.params.items()}}


def range_of(diameter: float) -> np.ndarray:
    return np.arange(1.5, diameter + 2.0, 0.02)


def many(dots: int, diameter: float) -> int:
    """Return how many dots hold about as many pairs as so many of 40 Å."""
    return round(dots * (40.0 / diameter) ** 1.5)


def crystals(sizes: list[float], dots: int) -> None:
    print("| D / Å | U / Å² | scattering | a before, % | a now, % | D before, Å | D now, Å |\n" + "|---" * 7 + "|")
    for diameter in sizes:
        pairs = counted(0.0, diameter, many(dots, diameter), 1)
        for U in (0.013, 0.03):
            for scattering in ("constant", "q-dependent"):
                data = debye(pairs, diameter, U, range_of(diameter), scattering)
                before, now = (
                    fitted(data, zinc_blende(diameter, U), how, ["a", "Cd.Uiso", "S.Uiso"])
                    for how in ("curve", "pairs")
                )
                off = (f"{100.0 * (one['a'] / A - 1.0):+.4f}" for one in (before, now))
                size = (f"{one['spdiameter'] - diameter:+.3f}" for one in (before, now))
                print(f"| {diameter:g} | {U:g} | {scattering} | {' | '.join((*off, *size))} |", flush=True)


def stacks(sizes: list[float], dots: int) -> None:
    print(
        "| α | D / Å | U / Å² | a_h before, % | a_h now, % | α before | α now | D before, Å | D now, Å |\n"
        + "|---" * 9
        + "|"
    )
    for diameter in sizes:
        for alpha in (0.3, 0.7):
            pairs = counted(alpha, diameter, many(dots, diameter), 2)
            for U in (0.013, 0.03):
                data = debye(pairs, diameter, U, range_of(diameter), "q-dependent")
                free = ["a_h", "h", "alpha", "Uiso"]
                both = [fitted(data, stack(alpha, diameter, U), how, free) for how in ("curve", "pairs")]
                off = [f"{100.0 * (one['a_h'] / CELL['a_h'] - 1.0):+.4f}" for one in both]
                off += [f"{one['alpha'] - alpha:+.4f}" for one in both]
                off += [f"{one['spdiameter'] - diameter:+.3f}" for one in both]
                print(f"| {alpha:g} | {diameter:g} | {U:g} | {' | '.join(off)} |", flush=True)


def dots_measured() -> None:
    import measured
    import stacking

    print("| data | model | a before | a now | D before, Å | D now, Å | Rw before | Rw now |\n" + "|---" * 8 + "|")
    for name in ("CdSe-4", "CdSe-3", "CdSe-2"):
        for rival, a, size in (("two", "wz.a", "wz.spdiameter"), ("one", "st.a_h", "st.spdiameter")):
            start = stacking.best(name, rival)
            both = [
                pk.fit(
                    pk.Model(start.model.phases, start.model.instrument, Convention(finite_size=how)),
                    measured.cdse(name), rmin=1.5, rmax=40.0, free=list(start.free), ties=stacking.RIVALS[rival].ties,
                )
                for how in ("curve", "pairs")
            ]  # fmt: skip
            cells = [
                uncertain(float(one.params[key].value), one.params[key].stderr) for key in (a, size) for one in both
            ]
            label = stacking.RIVALS[rival].label
            print(
                f"| {name} | {label} | {' | '.join(cells)} | {' | '.join(f'{one.rw:.4f}' for one in both)} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dots", type=int, default=4000, help="explicit dots of 40 Å, more of smaller ones")
    parser.add_argument("--sizes", type=float, nargs="+", default=[12.0, 22.0, 40.0], help="their diameters in Å")
    parser.add_argument("--only", choices=("crystals", "stacks", "measured"), help="one part only")
    given = parser.parse_args()
    parts = {"crystals": crystals, "stacks": stacks}
    for name, part in parts.items():
        if given.only in (None, name):
            part(given.sizes, given.dots)
            print()
    if given.only in (None, "measured"):
        dots_measured()


if __name__ == "__main__":
    main()
