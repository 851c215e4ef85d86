"""What a fit costs: two phases of CdS, 11 or 13 parameters, by `fit`, prepared once, and from a neighbour's values.

    python benchmarks/prepared.py [--scans 20]
    python benchmarks/prepared.py --beside FOLDER   # another state of the repository: processes of both take turns
    python benchmarks/prepared.py --parts           # what a row of a series spends its time on

Scans have 0.01 Å steps and white noise of 0.02 Å⁻²; the fraction of the phases, a cell and a U go along them. Times are
of the processor, per fit with its errors, the least of five rounds. At the end: values of one model in a loop and in
two threads, by the clock.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def least(action: Callable[[], int], count: int, rounds: int = 5) -> tuple[float, float]:
    """Return ms of the processor and evaluations of each of `count` fits."""
    action()
    seconds = []
    for _ in range(rounds):
        begun = time.process_time()
        evaluations = action()
        seconds.append(time.process_time() - begun)
    return 1e3 * min(seconds) / count, evaluations / count


def actions(data: list[pk.PDF], rmax: float, free: list[str]) -> dict[str, Callable[[], int]]:
    """Return what fits all scans, by how, and returns the number of evaluations."""
    start = model().with_values({"zb.a": 5.83, "w.a": 4.12})
    prepared = PreparedFit.of(start, data[0], rmin=1.0, rmax=rmax, free=free)
    stated = [replace(one, dG=np.full(one.r.size, 0.02)) for one in data]

    def one_by_one(some: list[pk.PDF]) -> int:
        return sum(pk.fit(start, one, rmin=1.0, rmax=rmax, free=free, search="plain").nfev for one in some)

    def along() -> int:
        total, values = 0, None
        for one in data:
            row = prepared.row(one, values)
            values = dict(zip(row.free, row.values.tolist(), strict=True))
            total += row.nfev
        return total

    return {
        "fit": lambda: one_by_one(data),
        "fit, with dG": lambda: one_by_one(stated),
        "prepared": lambda: sum(prepared.row(one).nfev for one in data),
        "from a neighbour": along,
    }


def serve(data: list[pk.PDF]) -> None:
    """Answer each line, a case and how, with ms of the processor for a fit, in this process."""
    known = {f"{name}|{how}": one for name, case in CASES.items() for how, one in actions(data, *case).items()}
    for line in sys.stdin:
        print(least(known[line.strip()], len(data), 1)[0], flush=True)


def beside(folder: str, scans: int, rounds: int = 15) -> None:
    """Print ms of the processor in another state of the repository and in this one, which take turns."""
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", "--scans", str(scans)]
    here = Path(__file__).resolve().parent.parent
    sides = [
        subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for root in (Path(folder).resolve(), here)
    ]

    def asked(side: subprocess.Popen[str], what: str) -> float:
        assert side.stdin is not None
        assert side.stdout is not None
        print(what, file=side.stdin, flush=True)
        return float(side.stdout.readline())

    print("| fit | how | there, ms | here, ms | share |\n|---|---|---|---|---|")
    for name in (name for name in CASES if name.startswith("13")):
        for how in ("fit", "fit, with dG", "prepared", "from a neighbour"):
            there, now = np.array([[asked(side, f"{name}|{how}") for side in sides] for _ in range(rounds)]).min(axis=0)
            print(f"| {name} | {how} | {there:.1f} | {now:.1f} | {now / there:.2f} |", flush=True)
    for side in sides:
        side.terminate()
        side.wait()


def parts(data: list[pk.PDF], rmax: float, free: list[str]) -> None:
    """Print what share of a row each part takes, and how often it is done; parts within a part are not its own."""
    from pdfkit.fitting import assembly, least_squares, reweighing
    from pdfkit.fitting import rows as of_rows
    from pdfkit.fitting.residuals import Residuals
    from pdfkit.fitting.whitening import Whitening
    from pdfkit.model.evaluate import Evaluator

    whole = "derivatives by all that is held", "the refined model on all points", "models prepared anew, with a curve"
    named = {
        "G with derivatives": (Evaluator, "__call__"),
        "whitening": (Whitening, "__call__"),
        "steps: equations, curvature that JᵀJ misses": (least_squares, "minimise"),
        "spectrum of the noise, and whether the residual is noise": (least_squares, "reweighed"),
        "what the uncertainty of the spectrum adds to errors": (reweighing, "inflation"),
        whole[0]: (Residuals, "held"),
        whole[1]: (assembly, "_fitted"),
        whole[2]: (Residuals, "near"),
        "ln Z of a row": (of_rows, "occam_at"),
    }
    spent, count = dict.fromkeys(named, 0.0), dict.fromkeys(named, 0)
    under_way: list[list[Any]] = []

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **more: Any) -> Any:
            if under_way and under_way[-1][0] in whole:
                return function(*given, **more)
            under_way.append([what, 0.0])
            begun = time.thread_time()
            out = function(*given, **more)
            seconds = time.thread_time() - begun
            spent[what] += seconds - under_way.pop()[1]
            count[what] += 1
            if under_way:
                under_way[-1][1] += seconds
            return out

        return done

    prepared = PreparedFit.of(model().with_values({"zb.a": 5.83, "w.a": 4.12}), data[0], rmax=rmax, free=free)
    for one in data[:2]:
        prepared.row(one)
    profile = cProfile.Profile()
    profile.runcall(lambda: [prepared.row(one) for one in data])
    calls = sum(entry.callcount for entry in profile.getstats())
    print(f"{calls / len(data):.0f} calls of functions a row\n")
    for what, (owner, name) in named.items():
        setattr(owner, name, timed(what, getattr(owner, name)))
    begun, done = time.thread_time(), 4 * len(data)
    for one in 4 * data:
        prepared.row(one)
    total = time.thread_time() - begun
    shares = {what: seconds / total for what, seconds in spent.items()}
    print("| what | how often | share of the time |\n|---|---|---|")
    for what, share in sorted(shares.items(), key=lambda one: -one[1]):
        print(f"| {what} | {count[what] / done:.1f} | {share:.2f} |")


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
    parser.add_argument("--beside", metavar="FOLDER")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    warnings.simplefilter("ignore")
    asked = parser.parse_args()
    if asked.beside:
        return beside(asked.beside, asked.scans)
    data = scans(asked.scans)
    if asked.serve:
        return serve(data)
    if asked.parts:
        return parts(data, *CASES["13 parameters, 1–30 Å"])
    print("| fit | how | ms of the processor | evaluations |\n|---|---|---|---|")
    for name, (rmax, free) in CASES.items():
        for how, action in actions(data, rmax, free).items():
            ms, evaluations = least(action, len(data))
            print(f"| {name} | {how} | {ms:.1f} | {evaluations:.1f} |", flush=True)
    loop, two = threads()
    print(f"\na value: {loop:.3f} ms in a loop, {two:.3f} ms in two threads: {loop / two:.2f} times as many")


if __name__ == "__main__":
    main()
