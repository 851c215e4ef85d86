"""pdfkit against PDFfit2 (diffpy.pdffit2), run live: `python benchmarks/compare_pdffit2.py [--quick] [--json FILE]`.

Every case first checks that the two programs agree in the matching convention, then times one evaluation (new cell
each time, Qmax cut included) or one whole fit. Times are medians; ratios are taken within this run. Three times are
given for an evaluation: of a prepared evaluator (what a fit pays), of a new model object (what a script pays), and of
the first call in this process with kernels compiled earlier.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
from diffpy.pdffit2 import PdfFit, redirect_stdout

import pdfkit as pk
from pdfkit._bench_cases import INSTRUMENT, disordered_cell
from pdfkit._bench_fits import FREE, START, TIES, TRUE, two_phases
from pdfkit._bench_rivals import pdffit2_fit
from pdfkit._bench_timing import once

redirect_stdout(io.StringIO())


@dataclass(frozen=True)
class Timing:
    """Seconds. difference: max|ΔG|/max|G| in the matching convention; spread: relative half range of our times."""

    case: str
    difference: float
    theirs: float
    evaluator: float
    model: float
    jacobian: float
    directions: int
    first: float
    spread: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.evaluator


def median(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    middle = statistics.median(times)
    quarters = np.quantile(times, [0.25, 0.75])
    return middle, float((quarters[1] - quarters[0]) / 2 / middle)


def add_phase(program: PdfFit, crystal: pk.Crystal) -> None:
    program.add_structure(crystal.structure.to_diffpy())
    program.setvar("pscale", crystal.scale)
    program.setvar("delta2", crystal.delta2)
    if crystal.shape.kind == "sphere":
        program.setvar("spdiameter", crystal.shape.spdiameter)


def evaluation(name: str, structure: pk.Structure, rmax: float, repeats: int) -> Timing:
    crystal = pk.Crystal.from_structure(structure, name="p", delta2=2.0)
    r = np.arange(1, round(rmax * 100) + 1) * 0.01
    program = PdfFit()
    add_phase(program, crystal)
    program.alloc("X", 25.0, 0.03, float(r[0]), float(r[-1]), r.size)
    program.setvar("qbroad", 0.01)
    program.calc()
    theirs = np.array(program.getpdf_fit())
    matching = pk.Model(crystal, INSTRUMENT, "pdffit2")(r).G
    difference = float(np.abs(matching - theirs)[r >= 1].max() / np.abs(theirs).max())

    model = pk.Model(crystal, INSTRUMENT)
    start = time.perf_counter()
    model(r)
    first = time.perf_counter() - start
    evaluate, values = model.evaluator(r), model.values.copy()
    a = model.names.index("p.a")
    counter = iter(range(10**9))

    def step() -> float:
        return float(model.values[a] * (1 + 1e-4 * (next(counter) % 7 - 3)))

    def prepared() -> None:
        values[a] = step()
        evaluate(values)

    wanted = ("scale", "a", "c", "delta2", "qdamp", "qbroad", "p.S.z")
    free: list[int | list[int]] = [
        k for k, q in enumerate(model.names) if q in wanted or q.removeprefix("p.") in wanted
    ]
    for element in ("Cd", "S"):
        start = f"p.{element}"
        free.append([k for k, q in enumerate(model.names) if q.startswith(start) and q.endswith("Uiso")])
    tangents = np.zeros((values.size, len(free)))
    for column, k in enumerate(free):
        tangents[k, column] = 1.0

    def jacobian() -> None:
        values[a] = step()
        evaluate(values, tangents)

    prepared()
    jacobian()
    ours, spread = median(prepared, repeats)
    return Timing(
        name,
        difference,
        median(program.calc, max(3, repeats // 10))[0],
        ours,
        median(lambda: model.with_values({"p.a": step()})(r), repeats)[0],
        median(jacobian, repeats)[0],
        len(free),
        first,
        spread,
    )


# --- the two-phase fit --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FitTiming:
    case: str
    theirs: float
    ours: float
    rw_theirs: float
    rw_ours: float
    nfev: int

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def fit(rmax: float, convention: str, repeats: int) -> FitTiming:
    """Fit noisy data made in a convention: with pdfkit in that convention, and with PDFfit2, which has only its own."""
    r = np.arange(1, round(rmax * 100) + 201) * 0.01
    noise = np.random.default_rng(11).normal(0, 0.02, r.size)
    data = pk.PDF(r, two_phases(TRUE, convention)(r).G + noise, instrument=INSTRUMENT)
    model = two_phases(START, convention)

    def ours() -> pk.FitResult:
        return pk.fit(model, data, rmin=1.0, rmax=rmax, free=FREE, ties=TIES)

    result = ours()
    assert len(result.free) == 13
    seconds, _ = median(ours, repeats)
    theirs, rw = once(pdffit2_fit(model, START, data, 1.0, rmax))
    peaks = {"pdfkit": "exact peaks", "pdffit2": "PDFfit2's peaks"}[convention]
    name = f"two phases, 13 parameters, 1–{rmax:g} Å, {peaks}"
    return FitTiming(name, theirs, seconds, float(rw[0]), result.rw, result.nfev)


def machine() -> dict[str, str]:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    versions = {"python": f"Python {platform.python_version()}", "numpy": f"numpy {np.__version__}"}
    return {"cpu": model, **versions, "date": date.today().isoformat()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the slow cases of PDFfit2")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    zb, wz = pk.load_structure("CdS_zincblende"), pk.load_structure("CdS_wurtzite")
    cases = [
        ("CdS zinc blende, 30 Å", zb, 30.0),
        ("CdS wurtzite, 30 Å", wz, 30.0),
        ("200 atoms, P1, 30 Å", disordered_cell(200), 30.0),
    ]
    if not options.quick:
        cases += [("CdS zinc blende, 100 Å", zb, 100.0), ("CdS wurtzite, 100 Å", wz, 100.0)]
    where = machine()
    print(", ".join(where.values()))
    print("\n| one G(r) | agreement | PDFfit2 | pdfkit | ratio | new model | first call | Jacobian |")
    print("|---|---|---|---|---|---|---|---|")
    timings = []
    for name, structure, rmax in cases:
        t = evaluation(name, structure, rmax, 40)
        timings.append(t)
        print(
            f"| {t.case} | {t.difference:.1e} | {t.theirs * 1e3:.1f} ms | "
            f"{t.evaluator * 1e3:.2f} ms (± {t.spread:.0%}) | **{t.ratio:.0f}×** | "
            f"{t.model * 1e3:.2f} ms, {t.theirs / t.model:.0f}× | {t.first * 1e3:.0f} ms | "
            f"{t.jacobian / t.evaluator:.1f}× for {t.directions} |"
        )
        sys.stdout.flush()
    print("\n| fit of simulated data with noise | PDFfit2 | pdfkit | ratio | Rw PDFfit2 | Rw pdfkit |")
    print("|---|---|---|---|---|---|")
    fits = []
    for rmax in (20.0,) if options.quick else (20.0, 60.0):
        for convention in ("pdfkit", "pdffit2"):
            f = fit(rmax, convention, 7)
            fits.append(f)
            print(
                f"| {f.case} | {f.theirs:.2f} s | {f.ours * 1e3:.0f} ms | **{f.ratio:.0f}×** | "
                f"{f.rw_theirs:.5f} | {f.rw_ours:.5f} |"
            )
            sys.stdout.flush()
    if options.json:
        record = {"machine": where, "evaluations": [asdict(t) for t in timings], "fits": [asdict(f) for f in fits]}
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
