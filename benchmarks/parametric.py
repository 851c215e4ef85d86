"""Parametric fits of series: `python benchmarks/parametric.py [--runs 100]` prints Markdown.

First simulated nickel, 8 scans from 50 to 400 K whose cell follows a line and whose U a Debye law, each with a scale of
its own, and noise that is flat in Q or grows with Q²: over repeated noise, the mean and the spread of (found −
truth)/error, which should be 0 and 1, and the share within 2 errors, which should be 95 %.

Then the 17 scans of SrFe2As2 of the `examples` extra, 150 to 246 K: the order parameter of the orthorhombic cell, the
evidence for it against the tetragonal one, which scans favour which, and the processor time of each.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from measured import example

import pdfkit as pk
from pdfkit.series.cells import scan_evidence
from pdfkit.series.laws import Debye
from pdfkit.series.parametric import fit_parametric

Array = np.ndarray
LAB = pk.Instrument(probe="X", qmax=22.0, qdamp=0.03)
T, R = np.linspace(50.0, 400.0, 8), np.arange(1.5, 15.0, 0.02)
STEP = 0.05
Q = np.arange(STEP, 22.0, STEP)
WAVES = 2.0 / np.pi * np.sin(np.outer(R, Q)) * np.sqrt(STEP)
TRUTH = {"ni.a.c0": 3.51, "ni.a.c1": 4e-5, "ni.Ni.Uiso.debye": 390.0, "ni.Ni.Uiso.static": 5e-4}
KINDS = {"equal at all Q": np.full(Q.size, 0.05), "growing as Q²": 0.05 * (1.0 + (Q / 8.0) ** 2)}


def scans(model: pk.Model, noise: Array, rng: np.random.Generator) -> list[pk.PDF]:
    out, U = [], Debye(58.6934).at(T, np.array([390.0, 5e-4]))[0]
    for t, one in zip(T, U, strict=True):
        values = {"a": 3.51 + 4e-5 * t, "Uiso": one, "scale": 0.8 + 0.05 * rng.standard_normal()}
        G = model.with_values(values)(R).G + WAVES @ (noise * rng.standard_normal(Q.size))
        out.append(pk.PDF(R, G, instrument=LAB))
    return out


def pulls(kind: str, runs: int) -> Array:
    """Return (found − truth)/error of each run and parameter."""
    model, rng = pk.Model(pk.Crystal.from_file("Ni", name="ni"), LAB), np.random.default_rng(len(kind))
    out = []
    for _ in range(runs):
        found = fit_parametric(
            model, scans(model, KINDS[kind], rng), T, laws={"a": "linear", "Uiso": "debye"}, free=["scale"]
        )
        out.append([(found[name][0] - value) / found[name][1] for name, value in TRUTH.items()])
    return np.array(out)


def recovery(runs: int) -> None:
    print("| noise | parameter | mean | spread | within 2 errors |\n|---|---|---|---|---|")
    for kind in KINDS:
        found = pulls(kind, runs)
        for name, column in zip(TRUTH, found.T, strict=True):
            share = float((np.abs(column) < 2).mean())
            print(f"| {kind} | {name} | {column.mean():.2f} | {column.std():.2f} | {share:.0%} |", flush=True)


def transition() -> None:
    folder = example("ch07StructuralPhaseTransitions/data")
    series = pk.read_series(f"{folder}/*.gr", index="{T}K", probe="X", qdamp=0.035)
    names = {"t": "SrFe2As2_tetragonal.cif", "o": "SrFe2As2_orthorhombic.cif"}
    models = {
        name: pk.Model(pk.Crystal.from_file(folder / file, name=name, delta1=1), series[0].instrument)
        for name, file in names.items()
    }
    common = {"free": ["scale", "delta1"], "rmin": 1.5, "rmax": 20}
    rest = {"c": "quadratic", "As1.z": "linear", "Uiso": "debye"}
    split = {"a": "m*(1 + d)", "b": "m*(1 - d)", "m": "linear", "d": "order", **rest}
    about = {"start": {"m": 5.55, "d": 0.004}, "bounds": {"d": (0.0, 0.02)}}
    each = ["scale", "a", "c", "As1.z", "Uiso", "delta1"]
    free = {"t": each, "o": [*each, "b"]}
    fit_parametric(models["o"], list(series)[:3], series.index[:3], laws=split, **about, **common)  # compiles
    started = time.process_time()
    low = fit_parametric(models["o"], series, laws=split, **about, **common)
    first = time.process_time()
    high = fit_parametric(models["t"], series, laws={"a": "linear"} | rest, like=low, **common)
    second = time.process_time()
    by_scan = scan_evidence(models, series, free=free, rmin=1.5, rmax=20)
    third = time.process_time()
    print(low)
    print(f"\nln of the odds for the orthorhombic cell: {low.better_than(high):.0f}")
    print("processor time, s: " + ", ".join(f"{one:.2f}" for one in (first - started, second - first, third - second)))
    print(
        "| T | 10³(a − b)/(a + b) | χ² tetragonal − orthorhombic | ln Z orthorhombic − tetragonal |\n|---|---|---|---|"
    )
    gained, order = high.chi2 - low.chi2, 1e3 * low.along("d")[0]
    lnz = by_scan.lnz[:, 1] - by_scan.lnz[:, 0]
    for row in zip(series.index, order, gained, lnz, strict=True):
        print("| {:.0f} | {:.2f} | {:.1f} | {:.1f} |".format(*row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    transition()
    if args.runs:
        recovery(args.runs)


if __name__ == "__main__":
    main()
