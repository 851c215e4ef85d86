"""What a fit costs: two phases of CdS, 11 or 13 parameters, by `fit`, prepared once, and from a neighbour's values.

    python benchmarks/prepared.py [--scans 20]

Scans have 0.01 Å steps and white noise of 0.02 Å⁻²; the fraction of the phases, a cell and a U go along them. Times are
of the processor, per fit with its errors, the least of five rounds. At the end: values of one model in a loop and in
two threads, by the clock.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import pdfkit as pk
from pdfkit.fitting.prepared import PreparedFit

LAB = pk.Instrument(probe="X", qmax=22, qdamp=0.04)
R = np.arange(1.0, 30.0, 0.01)
FEW = ["scale", "a", "w.c", "Uiso", "spdiameter"]
CASES = {
    "11 parameters, 1–20 Å": (20.0, FEW),
    "11 parameters, 1–30 Å": (30.0, FEW),
    "13 parameters, 1–20 Å": (20.0, [*FEW, "delta2"]),
    "13 parameters, 1–30 Å": (30.0, [*FEW, "delta2"]),
}


def model() -> pk.Model:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(24), delta2=2.0)
    return pk.Model([zb, pk.Crystal.from_file("CdS_wurtzite", name="w", shape=pk.Sphere(24), delta2=2.0)], LAB)


def scans(count: int) -> list[pk.PDF]:
    rng, out = np.random.default_rng(0), []
    for k in range(count):
        t = k / count
        along = {"zb.scale": 1 - 0.6 * t, "w.scale": 0.4 + 0.6 * t, "zb.a": 5.832 + 0.015 * t}
        G = model().with_values({**along, "zb.Cd.Uiso": 0.012 * (1 + 0.15 * t)})(R).G
        out.append(pk.PDF(R, G + rng.normal(0, 0.02, R.size), instrument=LAB))
    return out


def least(action: Callable[[], int], count: int) -> tuple[float, float]:
    """Return ms of the processor and evaluations of each of `count` fits."""
    action()
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        evaluations = action()
        seconds.append(time.process_time() - begun)
    return 1e3 * min(seconds) / count, evaluations / count


def rows(data: list[pk.PDF], rmax: float, free: list[str]) -> dict[str, tuple[float, float]]:
    start = model().with_values({"zb.a": 5.83, "w.a": 4.12})
    prepared = PreparedFit.of(start, data[0], rmin=1.0, rmax=rmax, free=free)

    def one_by_one() -> int:
        return sum(pk.fit(start, one, rmin=1.0, rmax=rmax, free=free, search="plain").nfev for one in data)

    def along() -> int:
        total, values = 0, None
        for one in data:
            row = prepared.row(one, values)
            values = dict(zip(row.free, row.values.tolist(), strict=True))
            total += row.nfev
        return total

    return {
        "fit": least(one_by_one, len(data)),
        "prepared": least(lambda: sum(prepared.row(one).nfev for one in data), len(data)),
        "from a neighbour": least(along, len(data)),
    }


def threads(count: int = 400) -> tuple[float, float]:
    """Return ms of the clock for a value, in a loop and in two threads."""
    known = model()
    evaluate = [known.evaluator(R) for _ in range(2)]
    values = np.array(known.values)

    def some(k: int) -> None:
        for _ in range(count // 2):
            evaluate[k](values)

    out = []
    with ThreadPoolExecutor(2) as pool:
        for run in (lambda: [some(0), some(1)], lambda: list(pool.map(some, range(2)))):
            run()
            seconds = []
            for _ in range(5):
                begun = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - begun)
            out.append(1e3 * min(seconds) / count)
    return out[0], out[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=20)
    warnings.simplefilter("ignore")
    data = scans(parser.parse_args().scans)
    print("| fit | how | ms of the processor | evaluations |\n|---|---|---|---|")
    for name, (rmax, free) in CASES.items():
        for how, (ms, evaluations) in rows(data, rmax, free).items():
            print(f"| {name} | {how} | {ms:.1f} | {evaluations:.1f} |", flush=True)
    loop, two = threads()
    print(f"\na value: {loop:.3f} ms in a loop, {two:.3f} ms in two threads: {loop / two:.2f} times as many")


if __name__ == "__main__":
    main()
