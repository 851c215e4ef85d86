"""Periodic boxes: pairs, G(r) and g(r) of 10³ to 10⁶ atoms, time and memory, beside freud and MDAnalysis.

The same box as a crystal in P1: a model and its first curve, and what a further step of a fit takes.

    python benchmarks/boxes.py [--large]     # --large: 10⁶ atoms, too

Every row runs in a process of its own, on as many cores as there are; the second of two runs counts (the first loads
compiled code). freud and MDAnalysis (extra `bench`) count g(r) of one pair of species; pdfkit counts all three.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

# Atoms, and atoms per Å³ (CdS), rmax in Å.
BOXES = ((1_000, 10.0), (20_000, 12.0), (20_000, 30.0), (100_000, 20.0))
LARGE = ((1_000_000, 20.0),)
DENSITY = 0.0405


def box(count: int) -> tuple[Any, float]:
    """Return atoms at random in a cube, none on top of another: on a grid, each up to a third of its step off."""
    rng, length = np.random.default_rng(0), (count / DENSITY) ** (1 / 3)
    side = int(np.ceil(count ** (1 / 3)))
    places = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:count]
    return (places + rng.uniform(-0.33, 0.33, (count, 3))) * length / side, length


def ours(count: int, rmax: float, what: str) -> float:
    import ase

    import pdfkit as pk

    xyz, length = box(count)
    atoms = ase.Atoms(["Cd", "S"] * (count // 2), positions=xyz, cell=[length] * 3, pbc=True)
    frames = pk.read_trajectory([atoms])
    rmax = min(rmax, 0.499 * length)
    if what == "rdf":
        return len(frames.rdf(rmax=rmax, rstep=0.05).g)
    return float(frames.pdf(rmax=rmax, rstep=0.01, qmax=25.0).G.max())


def crystal(count: int, rmax: float, what: str) -> float:
    """A model and its first curve ("first"), or a further step of a fit of scale, a, U by element and delta2."""
    import pdfkit as pk

    if what == "step" and count in STEPS:
        return STEPS[count]()
    xyz, length = box(count)
    elements = np.array(["Cd", "S"] * (count // 2))
    structure = pk.Structure.from_arrays([length] * 3 + [90.0] * 3, elements.tolist(), xyz / length, U=0.01)
    model = pk.Model(pk.Crystal(structure, name="p", delta2=2.0), pk.Instrument(probe="X", qmax=25.0, qdamp=0.03))
    evaluate, names = model.evaluator(0.01 * np.arange(1, round(100 * rmax) + 1)), np.array(model.names)
    tangents = np.zeros((names.size, 5))
    tangents[names == "p.scale", 0] = tangents[np.isin(names, ["p.a", "p.b", "p.c"]), 1] = 1.0
    for k, element in enumerate(("Cd", "S"), 2):
        tangents[[n.startswith(f"p.{element}") and n.endswith("Uiso") for n in names], k] = 1.0
    tangents[names == "p.delta2", 4] = 1.0
    if what == "first":
        return float(evaluate(model.values)[0].max())
    STEPS[count] = lambda: float(evaluate(model.values, tangents)[0].max())
    return STEPS[count]()


STEPS: dict[int, Callable[[], float]] = {}


def freud(count: int, rmax: float, what: str) -> float:
    import freud

    xyz, length = box(count)
    rmax = min(rmax, 0.499 * length)
    points = (xyz - length / 2).astype(np.float32)
    one = freud.density.RDF(bins=round(rmax / 0.05), r_max=rmax)
    one.compute((freud.box.Box.cube(length), points[::2]), query_points=points[1::2])
    return float(one.rdf.max())


def mdanalysis(count: int, rmax: float, what: str) -> float:
    import MDAnalysis
    from MDAnalysis.analysis.rdf import InterRDF

    xyz, length = box(count)
    rmax = min(rmax, 0.499 * length)
    universe = MDAnalysis.Universe.empty(count, trajectory=True)
    universe.atoms.positions, universe.dimensions = xyz, [length] * 3 + [90.0] * 3
    atoms = universe.atoms
    one = InterRDF(atoms[::2], atoms[1::2], nbins=round(rmax / 0.05), range=(0.0, rmax)).run()
    return float(one.results.rdf.max())


def measured(function: Callable[..., float], count: int, rmax: float, what: str) -> tuple[float, float, float]:
    """Return wall time, CPU time (s) of the second run and peak memory (MB)."""
    warnings.simplefilter("ignore")
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        function(count, rmax, what)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def row(name: str, function: Callable[..., float], count: int, rmax: float, what: str, share: float) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        wall, cpu, memory = pool.apply(measured, (function, count, rmax, what))
    pairs = share * 2.09 * count * DENSITY * rmax**3
    print(
        f"{name:12s} {count:9d} {rmax:6.0f} {wall:9.3f} {cpu:9.3f} {memory:8.0f} {1e9 * cpu / pairs:9.2f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="10⁶ atoms, too")
    large = parser.parse_args().large
    print(f"{'':12s} {'atoms':>9s} {'rmax Å':>6s} {'wall s':>9s} {'CPU s':>9s} {'MB':>8s} {'ns/pair':>9s}")
    for count, rmax in (*BOXES, *(LARGE if large else ())):
        row("pdfkit G(r)", ours, count, rmax, "pdf", 1.0)
        row("pdfkit g(r)", ours, count, rmax, "rdf", 1.0)
        if count <= 20_000:
            row("first in P1", crystal, count, rmax, "first", 1.0)
            row("step in P1", crystal, count, rmax, "step", 1.0)
        if count * rmax**3 < 1e9:
            row("freud", freud, count, rmax, "rdf", 0.5)
            row("MDAnalysis", mdanalysis, count, rmax, "rdf", 0.5)


if __name__ == "__main__":
    main()
