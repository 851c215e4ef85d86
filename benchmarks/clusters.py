"""Speed of clusters against DebyeCalculator and a naive loop, in one run: `python benchmarks/clusters.py`.

Prints Markdown and draws docs/pictures/clusters.png. Spheres of CdS zinc blende, X-rays, Qmin 1, Qmax 30 Å⁻¹,
r to 30 Å by 0.01 Å. Everything a new particle needs is timed: pairs, peaks, cut. DebyeCalculator comes with the extra
`bench-torch`; without it that column is empty. The measured clusters come with the extra `examples`. Times are the
least of several repeats; peak memory is that of the whole run so far.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import pdfkit as pk
from pdfkit.plot import canvas
from pdfkit.screening import Progress

R = 0.01 * np.arange(1, 3001)
LAB = pk.Instrument(probe="X", qmin=1.0, qmax=30.0, qdamp=0.04, scattering="q-dependent")
U = 0.3 / (8 * math.pi**2)
SIZES = (100, 1000, 10_000, 100_000, 1_000_000)
# For orientation, not run: they have no wheel for this Python. Spheres of CdS to 30 Å on another machine.
ELSEWHERE: dict[str, tuple[float | None, ...]] = {
    "DiffPy-CMI": (0.012, 0.72, 25.0, None),
    "debyer": (None, None, 0.12, 6.2),
}
EXAMPLES = "diffpy/cmi/docs/examples/pdf/ch11ClusterXYZ/data"


def least(action: Callable[[], Any], budget: float = 3.0, most: int = 20) -> float:
    """Return the least seconds of several runs within a budget; the first run is thrown away if there are more."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < most and (not times or time.perf_counter() - began + times[-1] < budget):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times[1:] or times)


def diameter(atoms: int) -> float:
    return float((atoms / 8 * 5.832**3 * 6 / math.pi) ** (1 / 3))


def anonymous(particle: pk.Particle) -> pk.Particle:
    """The same atoms, which know no lattice."""
    return pk.Particle(particle.elements, particle.kind, particle.xyz)


def curve(particle: pk.Particle) -> Callable[[], Any]:
    """G(r) of a particle seen for the first time, its pairs counted as pdfkit chooses."""
    return lambda: pk.Model(pk.Cluster(particle, "c", Uiso=U, baseline="none"), LAB)(R)


def debye_calculator(particle: pk.Particle) -> Callable[[], Any] | None:
    try:
        import torch
        from debyecalculator import DebyeCalculator
    except ImportError:
        return None
    torch.set_num_threads(os.cpu_count() or 1)
    options = {"qmin": 1.0, "qmax": 30.0, "qdamp": 0.04, "rmax": 30.0, "rstep": 0.01, "biso": 0.3, "device": "cpu"}
    calculator = DebyeCalculator(**options)
    source = (particle.symbols, torch.tensor(particle.xyz.copy(), dtype=torch.float32))
    return lambda: calculator.gr(source)


def naive(particle: pk.Particle) -> Callable[[], Any]:
    """The Debye equation in numpy, one atom against all others at a time, and a sine transform."""
    from pdfkit.scattering import form_factor

    Q = np.arange(1.0, 30.0, 0.05)
    f = np.array([form_factor(e, "X", Q) for e in particle.elements])
    mean = f[particle.kind].mean(axis=0)

    def action() -> Any:
        total = np.zeros_like(Q)
        for i in range(len(particle) - 1):
            d = np.linalg.norm(particle.xyz[i + 1 :] - particle.xyz[i], axis=1)
            waves = np.sin(np.outer(d, Q)) / d[:, None]
            total += 2 * f[particle.kind[i]] * np.einsum("jq,jq->q", f[particle.kind[i + 1 :]], waves)
        F = total * np.exp(-U * Q**2) / len(particle) / mean**2
        return 2 / math.pi * 0.05 * np.sin(np.outer(R, Q)) @ F * np.exp(-0.5 * (LAB.qdamp * R) ** 2)

    return action


def growth(sizes: tuple[int, ...]) -> dict[str, list[tuple[int, float]]]:
    rows: dict[str, list[tuple[int, float]]] = {}
    for size in sizes:
        particle = pk.build.sphere("CdS_zincblende", diameter(size))
        free = anonymous(particle)
        runs: dict[str, Callable[[], Any] | None] = {
            "**pdfkit**, cut from a lattice": curve(particle),
            "**pdfkit**, atoms anywhere": curve(free) if size <= 100_000 else None,
            "DebyeCalculator": debye_calculator(particle) if size <= 100_000 else None,
            "naive numpy": naive(particle) if size <= 1000 else None,
            "pairs alone, lattice, all": lambda p=particle: pk.particles.count_pairs(p, method="lattice"),
            "pairs alone, anywhere, all": lambda p=free: pk.particles.count_pairs(p, method="direct"),
            "pairs alone, anywhere, to 50 Å": lambda p=free: pk.particles.count_pairs(p, method="direct", rmax=50.0),
        }
        if size > 10_000:
            runs["pairs alone, anywhere, all"] = None
        if size > 100_000:
            runs["pairs alone, anywhere, to 50 Å"] = None
        for name, action in runs.items():
            if action is not None:
                seconds = least(action, 3.0 if size < 100_000 else 1.0, 20 if size < 100_000 else 2)
                rows.setdefault(name, []).append((len(particle), seconds))
                print(f"*** {name}: {len(particle)} atoms {seconds:.4g} s", file=sys.stderr)
    return rows


def exponent(points: list[tuple[int, float]]) -> str:
    """Return the growth of time with N above 500 atoms, fitted as a power."""
    large = [(n, t) for n, t in points if n > 500]
    if len(large) < 2:
        return ""
    n, t = np.log(np.array(large)).T
    return f"{np.polyfit(n, t, 1)[0]:.2f}"


def seconds(t: float | None) -> str:
    if t is None:
        return ""
    return f"{1e3 * t:.3g} ms" if t < 1 else f"{t:.3g} s"


def draw(rows: dict[str, list[tuple[int, float]]], path: Path) -> None:
    figure = canvas.PaperFigure(figsize=(120 / 25.4, 95 / 25.4), layout="constrained")
    axes = figure.subplots()
    shown = {name.replace("*", ""): points for name, points in rows.items() if not name.startswith("pairs")}
    for colour, (name, points) in zip(canvas.COLOURS, shown.items(), strict=False):
        n, t = zip(*points, strict=True)
        style = "-o" if "pdfkit" in name else "--s"
        power = exponent(points)
        axes.loglog(n, t, style, ms=4, color=colour, label=name + (f", $N^{{{power}}}$" if power else ""))
    canvas.set_frame(axes, "atoms, $N$", "seconds for one new $G(r)$")
    axes.grid(color=canvas.GREY, alpha=0.25, lw=0.4)
    canvas.add_legend(axes)
    path.parent.mkdir(exist_ok=True)
    canvas.finished(figure, path, "png")


def small() -> list[tuple[str, str]]:
    """Times of one measured cluster, Cd56Se35: a curve, a fit, fits of many candidates."""
    try:
        folder = importlib.metadata.distribution("diffpy.cmi").locate_file(EXAMPLES)
    except importlib.metadata.PackageNotFoundError:
        return []
    data = pk.read_pdf(f"{folder}/CdSe.gr", probe="X", qmin=0.9, qmax=20, qdamp=0.06)
    particle = pk.Particle.from_file(f"{folder}/CdSe.xyz")
    model = pk.Model(pk.Cluster(particle, "c", Uiso=0.02, delta2=4.0), data.instrument)
    inside = data.crop(1, 20)
    evaluate, values = model.evaluator(inside.r), model.values
    tangents = np.eye(values.size)[:, :5]
    free = ["scale", "expansion", "Uiso", "delta2"]

    def fit() -> pk.FitResult:
        fresh = pk.Cluster(pk.Particle(particle.elements, particle.kind, particle.xyz), "c", Uiso=0.02, delta2=4.0)
        return pk.fit(pk.Model(fresh, data.instrument), inside, free=free)

    out = [
        ("G(r), 1,901 points", seconds(least(lambda: evaluate(values)))),
        ("G(r) with 5 derivatives", seconds(least(lambda: evaluate(values, tangents)))),
        (f"fit of 5 parameters, new cluster, Rw {fit().rw:.4f}", seconds(least(fit))),
    ]
    count, speed = rate(inside)
    out.append((f"full fits a second of {count:,} clusters Cd54Se32, two processes", f"{speed:.0f}"))
    return out


def rate(data: pk.PDF, count: int = 2000) -> tuple[int, float]:
    """Full fits a second of a screen of clusters of 86 atoms, from when the two processes have brought the first."""
    candidates = list(islice(pk.build.iter_candidates("Cd54Se32", families=["zincblende"], seed=1), count))
    start = {"Uiso": 0.02, "delta2": 4.0}
    marks: list[tuple[float, int]] = []

    def tell(now: Progress) -> None:
        marks.append((time.perf_counter(), now.done))

    pk.screen(candidates, data, start=start, keep=(count, count), workers=2, progress=tell)
    first = next(mark for mark in marks if mark[1])
    return len(candidates), (marks[-1][1] - first[1]) / (marks[-1][0] - first[0])


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 atoms only")
    quick = parser.parse_args().quick
    rows = growth(SIZES[:3] if quick else SIZES)
    here = Path(__file__).parent.parent / "docs" / "pictures" / "clusters.png"
    draw(rows, here)
    cpu = processor()
    print(f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {date.today()}\n")
    sizes = [n for n, _ in rows["**pdfkit**, cut from a lattice"]]
    print("| one new G(r) of a CdS sphere to 30 Å | " + " | ".join(f"{n:,}" for n in sizes) + " | growth |")
    print("|---|" + "---|" * (len(sizes) + 1))
    for name, points in rows.items():
        known = dict(points)
        cells = " | ".join(seconds(known.get(n)) for n in sizes)
        print(f"| {name} | {cells} | {'N^' + exponent(points) if exponent(points) else ''} |")
    for name, times in ELSEWHERE.items():
        cells = " | ".join(seconds(times[k]) if k < len(times) else "" for k in range(len(sizes)))
        print(f"| {name} (another machine) | {cells} | |")
    print(f"\nPeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB.\n")
    print("| Cd56Se35, 91 atoms, measured data | |\n|---|---|")
    for name, value in small():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
