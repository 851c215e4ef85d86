"""How far every kernel is from what the machine allows: python benchmarks/floors.py [--write].

A floor is not looked up but measured here, with loops that do nothing but what a kernel cannot avoid: roots of numbers
already in cache, increments at random places, exponentials, multiply-adds of two short rows, bytes read from memory.
A kernel is then run alone, on the arguments it gets in a real calculation, and its time per unit of work (a pair, a
peak, a product) is set against the sum of those. --write puts the tables into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

import pdfkit as pk
from pdfkit.benchmarking import cases
from pdfkit.benchmarking.timing import machine
from pdfkit.io.structures import load_structure
from pdfkit.kernels import counting, debye, linear, pairs, peaks, stacking
from pdfkit.kernels import peaks as kernels_peaks
from pdfkit.kernels._jit import kernel
from pdfkit.model.model import Model
from pdfkit.particles.counting import count_pairs
from pdfkit.phases import _pairs
from pdfkit.phases import cluster as phase_of_cluster
from pdfkit.phases import stacked as phase_of_stack
from pdfkit.phases.base import Broadening

N = 1024  # three rows of this stay in the first cache
TURNS = 50


def best(action: Callable[[], Any], seconds: float = 0.4) -> float:
    """Least seconds of one call: what the machine can do when nobody else uses it."""
    action()
    least, began = math.inf, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        action()
        least = min(least, time.perf_counter() - start)
    return least


# --- what no kernel can avoid -----------------------------------------------------------------------------------------


@kernel
def roots(x: Any, y: Any, z: Any, out: Any) -> None:
    for turn in range(TURNS):
        x[0] += turn  # so that no turn can be left out
        for k in range(x.size):
            out[k] = math.sqrt(x[k] * x[k] + y[k] * y[k] + z[k] * z[k])


@kernel
def increments(index: Any, table: Any) -> None:
    for _ in range(TURNS):
        for k in range(index.size):
            table[index[k]] += 1.0


@kernel
def exponentials(x: Any) -> float:
    total = 0.0
    for turn in range(TURNS):
        x[0] -= turn
        for k in range(x.size):
            total += math.exp(x[k])
    return total


@kernel
def products(a: Any, b: Any) -> float:
    total = 0.0
    for turn in range(TURNS):
        a[0] += turn
        for k in range(a.size):
            total += a[k] * b[k]
    return total


@kernel
def additions(a: Any, b: Any, factor: float) -> None:
    for turn in range(TURNS):
        a[0] += turn
        for k in range(a.size):
            b[k] += factor * a[k]


def primitives() -> dict[str, float]:
    """Nanoseconds of each, one core."""
    rng = np.random.default_rng(1)
    x, y, z, out = rng.uniform(1, 9, (4, N))
    index, table = rng.integers(0, 15_000, N), np.zeros(15_000)
    large = np.ones(1 << 25)
    each = 1e9 / N / TURNS
    return {
        "root": best(lambda: roots(x, y, z, out)) * each,
        "increment": best(lambda: increments(index, table)) * each,
        "exp": best(lambda: exponentials(-x)) * each,
        "product": best(lambda: products(x, y)) * each,
        "addition": best(lambda: additions(x, y, 1e-9)) * each,
        "byte": best(lambda: large.sum()) / large.nbytes * 1e9,
    }


# --- kernels, on the arguments of a real calculation ------------------------------------------------------------------


@dataclass(frozen=True)
class Floor:
    """A kernel with its work: what one unit is, how many, and the floor of one in words and nanoseconds."""

    kernel: str
    unit: str
    count: float
    seconds: float
    why: str
    floor: float

    def row(self) -> str:
        each = self.seconds / self.count * 1e9
        return (
            f"| {self.kernel} | {self.count:,.0f} {self.unit} | {self.seconds * 1e3:.3g} ms | {each:.3g} | "
            f"{self.floor:.3g} | **{each / self.floor:.1f}×** | {self.why} |"
        )


def caught(module: Any, name: str, run: Callable[[], Any]) -> tuple[Callable[[], Any], tuple[Any, ...]]:
    """Return what runs the kernel again as `run` called it last, and its arguments."""
    real, calls = getattr(module, name), []

    def listening(*args: Any) -> Any:
        calls.append(args)
        return real(*args)

    setattr(module, name, listening)
    try:
        run()
    finally:
        setattr(module, name, real)
    args = max(calls, key=lambda one: sum(a.size for a in one if isinstance(a, np.ndarray)))
    return lambda: real(*args), args


def crystal_floors(p: dict[str, float]) -> list[Floor]:
    r = 0.01 * np.arange(1, 3001, dtype=np.float64)
    model = Model(cases._crystal(load_structure("CdS_wurtzite")), cases.INSTRUMENT)
    evaluate, values = model.evaluator(r), model.values

    def value() -> Any:
        return evaluate(values)

    value()
    rows = []
    run, args = caught(pairs, "pair_numbers", value)
    n, least = args[0].size, p["root"] + 4 * p["product"]
    rows.append(Floor("pair_numbers", "pairs", n, best(run), "a root, 32 B of a list in cache", least))
    run, args = caught(pairs, "finish_peaks", value)
    rows.append(Floor("finish_peaks", "peaks", n, best(run), "7 numbers in and out", 7 * p["addition"]))
    run, args = caught(peaks, "sum_peaks", value)
    peak, step, reach = args[0], args[5], args[6]
    points = float((2 * reach * np.sqrt(peak[:, 1]) / step).sum()) / n
    rows.append(
        Floor(
            "sum_peaks",
            "peaks",
            n,
            best(run),
            f"3 exponentials, 2 × {points:.0f} points",
            3 * p["exp"] + 2 * points * p["addition"],
        )
    )
    run, args = caught(peaks, "resample", value)
    rows.append(Floor("resample", "products", args[2].size, best(run), "one product", p["product"]))
    from scipy import fft

    grid = next(iter(evaluate._grids.values()))

    def there_and_back(curves: np.ndarray) -> np.ndarray:
        out = np.zeros((curves.shape[1], grid.period))
        grid.add_transform(curves, np.ones((1, grid.period)), out)
        return grid.back(out)

    flops = 2 * 2.5 * grid.period * math.log2(grid.period)
    both = best(lambda: there_and_back(np.ones((1, 1, grid.count))))
    rows.append(
        Floor("sine transform and back (scipy)", "flops", flops, both, "half a multiply-add", 0.5 * p["product"])
    )
    spectrum = np.ones((14, grid.period))
    bare = best(lambda: fft.rfft(spectrum, axis=-1)) / 14 * 1e9
    rows.append(
        Floor(
            "the same, in a Jacobian of 14 curves",
            "curves",
            14,
            best(lambda: there_and_back(np.ones((1, 14, grid.count)))),
            "two bare FFTs of its length",
            2 * bare,
        )
    )
    return rows


def large_floors(p: dict[str, float]) -> list[Floor]:
    rows = []
    r = 0.01 * np.arange(1, 3001, dtype=np.float64)
    phase = cases._crystal(cases.disordered_cell(200))
    model = Model(phase, cases.INSTRUMENT)
    evaluate, values = model.evaluator(r), model.values
    run, args = caught(_pairs, "deposit_pairs", lambda: evaluate(values))
    found = phase._choice.distinct * args[4] ** 3 / 2  # one of the two threads
    rows.append(
        Floor(
            "deposit_pairs (P1 cell)",
            "pairs",
            found,
            best(run),
            "a root, six additions at one place",
            p["root"] + p["increment"] + 5 * p["addition"],
        )
    )
    free = cases.anonymous(cases.sphere(1e4))
    run, args = caught(counting, "distance_histogram", lambda: count_pairs(free, threads=1))
    n = len(free)
    every = best(lambda: count_pairs(free, threads=1), 1.5)
    rows.append(
        Floor(
            "distance_histogram (10⁴ atoms, with its table)",
            "pairs",
            n * (n - 1) / 2,
            every,
            "a root, two additions at one place",
            p["root"] + p["increment"] + p["addition"],
        )
    )
    lattice = cases.sphere(1e5)
    run, args = caught(counting, "lattice_histogram", lambda: count_pairs(lattice, method="lattice", threads=1))
    counts, span, rows_ = args[0], args[1], args[5] - args[4]
    cells = rows_ * float(np.prod(2 * span[1:] + 1))
    used = float((counts > 0.5).mean())
    rows.append(
        Floor(
            "lattice_histogram (10⁵ atoms)",
            "cells",
            cells,
            best(run),
            f"8 B read, in {used:.0%} of them a root and three additions at one place",
            8 * p["byte"] + used * (p["root"] + p["increment"] + 2 * p["addition"]),
        )
    )
    return rows


def plain_peaks(phase: Any, rmax: float) -> Any:
    """The peaks of a phase at its own values, without derivatives."""
    values = np.array([q.value for q in phase.quantities])
    return phase.peaks(values, np.zeros((values.size, 0)), Broadening.none(0), rmax)


def other_floors(p: dict[str, float]) -> list[Floor]:
    rows = []
    Q = np.linspace(0.5, 25.0, 2451)
    cluster = pk.Cluster.from_file("Cd56Se35_tetrahedron", name="c", Uiso=0.01)
    peak = np.array(plain_peaks(cluster, 40.0).peak)
    out = np.zeros((1, Q.size))
    pair = np.zeros(len(peak), dtype=np.int64)

    def direct() -> None:
        debye.debye_sums_uniform(peak, pair, 0.5, 0.01, out)

    rows.append(
        Floor(
            "debye_sums_uniform (91 atoms)",
            "terms",
            len(peak) * Q.size,
            best(direct),
            "two rotations, two products: six multiply-adds",
            6 * p["product"],
        )
    )
    table = np.random.default_rng(2).normal(size=(14, 300))
    factor = np.zeros((14, 14))
    rows.append(
        Floor(
            "triangular_factor (13 parameters, 300 points)",
            "products",
            14 * 15 * 300,
            best(lambda: linear.triangular_factor(table.copy(), factor)),
            "one product",
            p["product"],
        )
    )
    large = pk.Cluster(cases.sphere(3e3), "c", Uiso=0.01, baseline="none")
    run, args = caught(phase_of_cluster, "stretched_peaks", lambda: plain_peaks(large, 30.0))
    rows.append(
        Floor(
            "stretched_peaks",
            "bins",
            args[0].size,
            best(run),
            "6 numbers in and out, two divisions",
            6 * p["addition"] + 2 * p["root"],
        )
    )
    stack = pk.Stacked("Cd", "Se", name="s", a_h=4.29, h=3.5, u=0.375, alpha=0.5)
    run, args = caught(phase_of_stack, "stacked_peaks", lambda: plain_peaks(stack, 40.0))
    rows.append(
        Floor(
            "stacked_peaks",
            "shells",
            args[0].size,
            best(run),
            "8 numbers in and out, a root, two divisions",
            8 * p["addition"] + 3 * p["root"],
        )
    )
    return rows


# --- threads, specialisations -----------------------------------------------------------------------------------------


def threads() -> list[str]:
    """One thread against all cores, in turn."""
    cores = len(os.sched_getaffinity(0))
    lines = []
    for title, particle, method in (
        ("all pairs of 10⁴ atoms anywhere", cases.anonymous(cases.sphere(1e4)), "direct"),
        ("all pairs of 10⁵ atoms of a lattice", cases.sphere(1e5), "lattice"),
    ):
        one = best(lambda p=particle, m=method: count_pairs(p, method=m, threads=1), 1.5)
        all_ = best(lambda p=particle, m=method: count_pairs(p, method=m), 1.5)
        lines.append(f"| {title} | {one * 1e3:.0f} ms | {all_ * 1e3:.0f} ms | {one / all_:.2f}× |")
    r = 0.01 * np.arange(1, 3001, dtype=np.float64)
    model = Model(cases._crystal(cases.disordered_cell(200)), cases.INSTRUMENT)
    evaluate, values = model.evaluator(r), model.values
    two, keep = best(lambda: evaluate(values), 1.5), _pairs.TWO_THREADS_ABOVE
    _pairs.TWO_THREADS_ABOVE = math.inf  # type: ignore[misc,assignment]  # for this measurement
    try:
        one = best(lambda: evaluate(values), 1.5)
    finally:
        _pairs.TWO_THREADS_ABOVE = keep
    title = "one G(r) of a 200-atom P1 cell (two threads always)"
    lines.append(f"| {title} | {one * 1e3:.1f} ms | {two * 1e3:.1f} ms | {one / two:.2f}× |")
    return ["", f"| one evaluation | one thread | {cores} cores | gain |", "|---|---|---|---|", *lines]


def specialisations() -> str:
    """Count the versions of each kernel that this process compiled or loaded."""
    kinds = [
        (name, len(one.signatures))
        for module in (kernels_peaks, counting, debye, linear, pairs, peaks, stacking)
        for name, one in vars(module).items()
        if isinstance(one, numba.core.dispatcher.Dispatcher) and one.signatures
    ]
    many = [f"{name} {count}" for name, count in kinds if count > 1]
    return f"{len(kinds)} kernels were used here, one specialisation of each" + (
        f" but of {', '.join(many)}." if many else "."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the block of docs/benchmarks.md")
    p = primitives()
    rows = crystal_floors(p) + large_floors(p) + other_floors(p)
    about = machine()
    lines = [
        "{processor}, {cores} cores, Python {python}, numba {numba}, {date}".format(**about),
        "",
        "One core, ns: " + ", ".join(f"{name} {value:.2g}" for name, value in p.items()) + ".",
        "",
        "| kernel | work | time | ns each | floor, ns | distance | the floor |",
        "|---|---|---|---|---|---|---|",
        *(row.row() for row in rows),
        *threads(),
        "",
        specialisations(),
    ]
    text = "\n".join(lines)
    print(text)
    if parser.parse_args().write:
        from readme import put

        put("floors", text)


if __name__ == "__main__":
    main()
