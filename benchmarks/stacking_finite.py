"""Small stacked particles against explicit ones: `python benchmarks/stacking_finite.py`.

Prints Markdown: (1) pairs of explicit random stacks, cut as spheres anywhere, against γ₀ × the endless stack, shell by
shell; (2) what γ₀(r) × curve does to the parameters of such spheres; (3) spheres of whole layers; (4) platelets and
rods fitted as if their axis had nothing to do with the stack. CdSe, X-rays, Qmax 19 Å⁻¹, no noise in (2) to (4).
"""

from __future__ import annotations

import argparse
import math
import os
import time
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import pdfkit as pk
from pdfkit.model import Convention
from pdfkit.phases.base import Broadening

# No distance of these lies on the edge of a bin.
A, H, U = 4.2987, 3.5113, 0.3763
LAB = pk.Instrument(probe="X", qmax=19.0)
R = np.arange(1.5, 40.0, 0.02)
FREE = ["scale", "a_h", "h", "u", "alpha", "Uiso", "delta2"]


def stacked(alpha: float, **end: Any) -> pk.Stacked:
    return pk.Stacked(
        "Cd", "Se", name="st", a_h=A, h=H, u=U, alpha=alpha, Uiso={"Cd": 0.015, "Se": 0.02}, delta2=2.5, **end
    )  # fmt: skip


# --- (1) explicit stacks ---------------------------------------------------------------------------------------------


# Å; bins that pairs are counted in.
BIN = 0.005


def expected(phase: pk.Stacked, diameter: float) -> dict[tuple[int, int], float]:
    """(pair, bin of d) → pairs i < j of a sphere."""
    values = np.array([q.value for q in phase.quantities])
    found = phase.peaks(values, np.zeros((values.size, 0)), Broadening.none(0), diameter)
    out: dict[tuple[int, int], float] = {}
    atoms = found.rho0 * math.pi / 6.0 * diameter**3
    for (d, _, w), pair in zip(found.peak.tolist(), found.pair.tolist(), strict=True):
        if w > 0:
            key = pair, math.floor(d / BIN)
            out[key] = out.get(key, 0.0) + 0.5 * w * atoms
    return out


def explicit(alpha: float, diameter: float, stacks: int, seed: int = 1) -> None:
    """Print how far the mean pairs of explicit spheres are from what is expected, in standard errors."""
    wanted = expected(stacked(alpha, shape=pk.Sphere(diameter)), diameter)
    index = {key: k for k, key in enumerate(wanted)}
    total, squares = np.zeros(len(index)), np.zeros(len(index))
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    for _ in range(stacks):
        one = np.zeros(len(index))
        source = pk.build.stacking(
            "Cd", "Se", "random", a_h=A, h=H, u=U, layers=64, alpha=alpha, seed=int(rng.integers(1 << 31))
        )  # fmt: skip
        sphere = pk.build.sphere(source, diameter, centre=(*rng.random(2), 32 + rng.random()))
        table = pk.particles.count_pairs(sphere, method="lattice", threads=1)
        for pair, d, n in zip(table.pair.tolist(), table.distance.tolist(), table.count.tolist(), strict=True):
            near = [(pair, math.floor(d / BIN) + off) for off in (0, -1, 1)]  # on an edge
            one[index[next(key for key in near if key in index)]] += n
        total += one
        squares += one * one
    mean = total / stacks
    error = np.sqrt(np.maximum(squares / stacks - mean * mean, 0.0) / (stacks - 1))
    target = np.array(list(wanted.values()))
    often = (target * stacks > 50) & (error > 0)
    z = (mean - target)[often] / error[often]
    largest = f"{np.abs(z).max():.1f}"
    print(
        f"| {alpha:g} | {diameter:g} | {stacks} | {often.sum()} | {np.sqrt((z * z).mean()):.2f} | {z.mean():+.2f} "
        f"| {largest} | {time.perf_counter() - began:.0f} s |",
        flush=True,
    )


# --- (2) γ₀ on the curve ---------------------------------------------------------------------------------------------


def fitted(
    data: pk.PDF, phase: Any, free: list[str], convention: Convention | str = "pdfkit"
) -> tuple[float, dict[str, float]]:
    """Return Rw over the range of the data, and the parameters found."""
    result = pk.fit(pk.Model(phase, LAB, convention), data, free=[*FREE, *free])
    return result.rw, {name.removeprefix("st."): float(p.value) for name, p in result.params.items()}


def on_the_curve(alpha: float, diameter: float) -> None:
    data = pk.Model(stacked(alpha, shape=pk.Sphere(diameter)), LAB)(R).crop(1.5, diameter)
    rw, found = fitted(data, stacked(alpha, shape=pk.Sphere(diameter)), ["spdiameter"], Convention(finite_size="curve"))
    print(
        f"| {alpha:g} | {diameter:g} | {rw:.4f} | {found['a_h'] - A:+.4f} | {found['h'] - H:+.4f} "
        f"| {found['alpha'] - alpha:+.4f} | {found['spdiameter'] - diameter:+.3f} |"
    )


# --- (3) spheres of whole layers -------------------------------------------------------------------------------------


def whole_layers(alpha: float, diameter: float, layers: int) -> None:
    data = pk.Model(stacked(alpha, layers=layers, shape=pk.Sphere(diameter)), LAB)(R).crop(1.5, diameter)
    start = stacked(alpha, shape=pk.Sphere(diameter))
    plain = pk.Model(start, LAB)(data.r).G
    rw, found = fitted(data, start, ["spdiameter"])
    print(
        f"| {alpha:g} | {diameter:g} | {layers} | {np.linalg.norm(plain - data.G) / np.linalg.norm(data.G):.3f} "
        f"| {rw:.3f} | {found['alpha'] - alpha:+.3f} | {found['spdiameter'] - diameter:+.2f} |"
    )


# --- (4) platelets ---------------------------------------------------------------------------------------------------


def platelet(alpha: float, layers: int, diameter: float) -> None:
    rmax = min(39.9, math.hypot(diameter, layers * H))
    data = pk.Model(stacked(alpha, layers=layers, diameter=diameter), LAB)(R).crop(1.5, rmax)
    rod = pk.shapes.Rod(diameter, layers * H)
    same_volume = (1.5 * diameter**2 * layers * H) ** (1 / 3)
    for label, shape, free in (
        ("rod of that size, any axis", rod, []),
        ("rod", rod, ["diameter", "length"]),
        ("sphere", pk.Sphere(same_volume), ["spdiameter"]),
    ):
        rw, found = fitted(data, stacked(alpha, shape=shape), free)
        size = ", ".join(f"{found[p.name]:.1f}" for p in shape.parameters)
        print(
            f"| {layers} × {diameter:g} Å | {alpha:g} | {label}: {size} | {rw:.3f} | {found['alpha']:.3f} |", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, default=300, help="explicit stacks a row (0: leave them out)")
    parser.add_argument("--sizes", type=float, nargs="+", default=[20.0, 30.0, 40.0], help="their diameters in Å")
    given = parser.parse_args()
    if given.stacks:
        print("| α | D / Å | stacks | shells | rms z | mean z | largest | time |\n" + "|---" * 8 + "|")
        for diameter in given.sizes:
            for alpha in (0.1, 0.3, 0.5, 0.7, 0.9):
                explicit(alpha, diameter, given.stacks)
    print("\n| α | D / Å | Rw | a_h − true | h − true | α − true | D − true |\n" + "|---" * 7 + "|")
    for diameter in (12.0, 15.0, 20.0, 25.0, 35.0):
        for alpha in (0.3, 0.7):
            on_the_curve(alpha, diameter)
    print(
        "\n| α | D / Å | whole layers | Rw as cut anywhere | Rw fitted so | α − true | D − true |\n" + "|---" * 7 + "|"
    )
    for diameter, layers in ((12.0, 3), (12.0, 4), (15.0, 4), (15.0, 5), (20.0, 5), (20.0, 6), (25.0, 7), (35.0, 10)):
        for alpha in (0.3, 0.7):
            whole_layers(alpha, diameter, layers)
    print("\n| layers × diameter | α | fitted as | Rw | α found |\n" + "|---" * 5 + "|")
    for layers, diameter in ((4, 60.0), (6, 40.0), (8, 40.0), (30, 25.0)):
        for alpha in (0.3, 0.7):
            platelet(alpha, layers, diameter)


if __name__ == "__main__":
    main()
