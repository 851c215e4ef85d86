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

redirect_stdout(io.StringIO())
INSTRUMENT = pk.Instrument(probe="X", qmax=25.0, qdamp=0.03, qbroad=0.01)


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


def disordered_cell(atoms: int = 200) -> pk.Structure:
    """Return a P1 cell of Cd and S on a displaced grid, about as dense as CdS."""
    rng = np.random.default_rng(200)
    n = round(atoms ** (1 / 3) + 0.5)
    grid = np.array([(i, j, k) for i in range(n) for j in range(n) for k in range(n)])[:atoms] / n
    xyz = grid + rng.uniform(-0.02, 0.02, grid.shape)
    size = (atoms / 0.0417) ** (1 / 3) * (n**3 / atoms) ** (1 / 3) * 0.98
    elements = ["Cd" if sum(point) % 2 == 0 else "S" for point in np.rint(grid * n).astype(int).tolist()]
    U = [0.008 if e == "Cd" else 0.012 for e in elements]
    return pk.Structure.from_arrays((size * 0.9, size * 0.95, size * 1.2, 82.0, 97.0, 105.0), elements, xyz, U=U)


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

TRUE = {
    "zb.scale": 0.6, "zb.a": 5.832, "zb.Cd.Uiso": 0.008, "zb.S.Uiso": 0.012, "zb.delta2": 2.0, "zb.spdiameter": 45.0,
    "wz.scale": 0.4, "wz.a": 4.1348, "wz.c": 6.749, "wz.S.z": 0.377, "wz.Cd.Uiso": 0.009, "wz.S.Uiso": 0.014,
    "wz.delta2": 2.2, "wz.spdiameter": 35.0,
}  # fmt: skip
START = {
    "zb.scale": 0.5, "zb.a": 5.80, "zb.Cd.Uiso": 0.006, "zb.S.Uiso": 0.009, "zb.delta2": 1.0, "zb.spdiameter": 55.0,
    "wz.scale": 0.5, "wz.a": 4.16, "wz.c": 6.72, "wz.S.z": 0.375, "wz.Cd.Uiso": 0.006, "wz.S.Uiso": 0.009,
    "wz.delta2": 1.0, "wz.spdiameter": 45.0,
}  # fmt: skip
# 13 parameters: u of wurtzite stays free, its delta2 follows zinc blende's.
TIES = {"wz.delta2": "zb.delta2"}
FREE = ["scale", "a", "c", "S.z", "Uiso", "zb.delta2", "spdiameter"]


def two_phases(values: dict[str, float], convention: str = "pdfkit") -> pk.Model:
    zb = pk.Crystal.from_file("CdS_zincblende", name="zb", shape=pk.Sphere(45.0))
    wz = pk.Crystal.from_file("CdS_wurtzite", name="wz", shape=pk.Sphere(35.0))
    return pk.Model([zb, wz], INSTRUMENT, convention).with_values(values)


def pdffit2_fit(data: pk.PDF, rmin: float, rmax: float) -> tuple[float, float]:
    """Return (seconds, unweighted Rw) of the same fit by PDFfit2."""
    model = two_phases(START)
    program = PdfFit()
    for phase in model.phases:
        program.add_structure(phase.structure.to_diffpy())
    program.read_data_lists("X", 25.0, 0.03, data.r.tolist(), data.G.tolist())
    program.setvar("qbroad", 0.01)
    program.pdfrange(1, rmin, rmax)
    number = iter(range(1, 100))

    def free(variable: object, value: float) -> int:
        k = next(number)
        program.constrain(variable, k)
        program.setpar(k, value)
        return k

    delta2 = 0
    for index, phase in enumerate(model.phases, 1):
        name = phase.name
        program.setphase(index)
        program.setvar("spdiameter", START[f"{name}.spdiameter"])
        program.setvar("delta2", START[f"{name}.delta2"])
        free("pscale", START[f"{name}.scale"])
        free("spdiameter", START[f"{name}.spdiameter"])
        if delta2:
            program.constrain("delta2", delta2)
        else:
            delta2 = free("delta2", START["zb.delta2"])
        a = free(program.lat(1), START[f"{name}.a"])
        program.constrain(program.lat(2), a)
        if name == "zb":
            program.constrain(program.lat(3), a)
        else:
            free(program.lat(3), START["wz.c"])
        half = program.num_atoms() // 2
        for first, element in ((1, "Cd"), (half + 1, "S")):
            u = free(program.u11(first), START[f"{name}.{element}.Uiso"])
            for atom in range(first, first + half):
                for tensor in (program.u11, program.u22, program.u33):
                    program.constrain(tensor(atom), u)
                if name == "wz":
                    program.constrain(program.u12(atom), f"0.5*@{u}")
        if name == "wz":
            z = free(program.z(half + 1), START["wz.S.z"])
            program.constrain(program.z(half + 2), f"@{z}+0.5")
    start = time.perf_counter()
    program.refine()
    seconds = time.perf_counter() - start
    calc, seen = np.array(program.getpdf_fit()), np.array(program.getpdf_obs())
    return seconds, float(np.sqrt(((calc - seen) ** 2).sum() / (seen**2).sum()))


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
    theirs, rw = pdffit2_fit(data, 1.0, rmax)
    peaks = {"pdfkit": "exact peaks", "pdffit2": "PDFfit2's peaks"}[convention]
    return FitTiming(f"two phases, 13 parameters, 1–{rmax:g} Å, {peaks}", theirs, seconds, rw, result.rw, result.nfev)


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
        ("200 atoms, P1, 30 Å", disordered_cell(), 30.0),
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
