"""How often a fit ends in the best minimum: `python benchmarks/minima.py [--starts 50] [--only NAME …]`.

Measured data of the `examples` extra are fitted from random starts: lengths of cells ±5 % (each by itself), U × 0.3–3
(log-uniform, each by itself), diameters × 0.5–2, everything else at its usual start. Share: fits whose Rw is within
1e-3 (relative) of the best minimum that was ever found for the set. A minimum where the model left out peaks, for they
had no width, is none. Time: median, as a multiple of the plain fits'. With `--log FILE` finished sets are kept.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import measured
import numpy as np
from measured import CELL, ONE_D, SHARED, cdse, example, read

import pdfkit as pk

SEED = 15
NEAR = 1e-3
LENGTHS = ("a", "b", "c")


@dataclass(frozen=True)
class Case:
    """A set of data with its model: phases, range, what is free and tied."""

    name: str
    phases: Callable[[], list[pk.Crystal]]
    data: Callable[[], pk.PDF]
    rmax: float
    free: list[str]
    ties: dict[str, str] = field(default_factory=dict)
    rmin: float = 1.5

    def model(self) -> pk.Model:
        return pk.Model(self.phases(), self.data().instrument)


def wurtzite(diameter: float = 0.0, **options: object) -> pk.Crystal:
    shape = {"shape": pk.Sphere(diameter)} if diameter else {}
    return measured.wurtzite(**shape, **options)


def zincblende(diameter: float, **options: object) -> pk.Crystal:
    return measured.zincblende(shape=pk.Sphere(diameter), **options)


def crystal(path: str, name: str, **options: object) -> pk.Crystal:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pk.PdfkitWarning)
        return pk.Crystal.from_file(example(path), name=name, **options)


def nickel() -> pk.PDF:
    return read("ch03NiModelling/data/Ni.gr", qmax=25.0, qdamp=0.04, qbroad=0.02)


def platinum() -> pk.PDF:
    return read("ch03NiModelling/data/Pt-nanoparticles.gr", qmax=25.0, qdamp=0.045, qbroad=0.017)


def chapter5(name: str) -> pk.PDF:
    return read(f"ch05Fit2Phase/data/{name}.gr", qmax=27.0, qdamp=0.05)


def clusters() -> pk.PDF:
    return read("ch11ClusterXYZ/data/CdSe.gr", qmax=20.0, qdamp=0.06)


def doped() -> pk.PDF:
    name = "ch06RefineCrystalStructureGen/data/BaZn2As2_K-Mn-doped_300K.gr"
    return read(name, qmax=25.0, qdamp=0.0384, qbroad=0.0171)


def iron(kelvin: int) -> pk.PDF:
    name = f"ch07StructuralPhaseTransitions/data/SrFe2As2_{kelvin}K.gr"
    return read(name, qmax=25.0, qdamp=0.0349, qbroad=0.0176)


def doped_phase() -> list[pk.Crystal]:
    mixed = "ch06RefineCrystalStructureGen/solutions/pdfgui/BaZn2As2_mod.cif"
    return [crystal(mixed, "p", delta1=1.6)]


def iron_phase(kind: str) -> list[pk.Crystal]:
    folder = "ch07StructuralPhaseTransitions/data"
    return [crystal(f"{folder}/SrFe2As2_{kind}.cif", "p", anisotropic=True, delta2=1.6)]


def core_and_shell() -> list[pk.Crystal]:
    core = crystal("nanoparticle-fit/CdS.cif", "cds", delta2=5.0, shape=pk.Sphere(30.0))
    shell = crystal("nanoparticle-fit/ZnS.cif", "zns", delta2=2.5, shape=pk.shapes.Shell(52.0, thickness=11.0))
    return [core, shell]


NI = ["scale", "a", "Uiso", "delta2"]
SIMPLE = ["scale", "a", "Uiso", "delta1"]
TWO = [*CELL, "Uiso", "spdiameter"]
# K sits on Ba's site and Mn on Zn's, with the same displacements, and each site is full.
DOPED = {
    "p.Ba1.occ": "1 - p.K1.occ",
    "p.Zn1.occ": "1 - p.Zn1_2.occ",
    **{f"p.K1.{u}": f"p.Ba1.{u}" for u in ("U11", "U33")},
    **{f"p.Zn1_2.{u}": f"p.Zn1.{u}" for u in ("U11", "U33")},
}
IRON = ["scale", "a", "c", "As1.z", "U11", "U33", "delta2"]

BEST: dict[str, float] = {
    "Ni": 0.02936,
    "Pt": 0.10605,
    "Si": 0.078,
    "Ni, 1.5–20 Å": 0.06995,
    "Si + Ni": 0.10228,
    "CdSe bulk, U11 ≠ U33": 0.13775,
    "CdSe-1, one phase, Uiso": 0.43366,
    "CdSe-2, one phase, Uiso": 0.32602,
    "CdSe-3, one phase, Uiso": 0.3122,
    "CdSe-4, one phase, Uiso": 0.25336,
    "CdSe-1, one phase, U11 ≠ U33": 0.43342,
    "CdSe-2, one phase, U11 ≠ U33": 0.31161,
    "CdSe-3, one phase, U11 ≠ U33": 0.25943,
    "CdSe-4, one phase, U11 ≠ U33": 0.18918,
    "CdSe-1, two phases, shared U": 0.42194,
    "CdSe-2, two phases, shared U": 0.3021,
    "CdSe-3, two phases, shared U": 0.24957,
    "CdSe-4, two phases, shared U": 0.17344,
    "CdSe-1, two phases, own U": 0.43314,
    "CdSe-2, two phases, own U": 0.2379,
    "CdSe-3, two phases, own U": 0.22085,
    "CdSe-4, two phases, own U": 0.16403,
    "CdSe clusters, zinc blende": 0.21703,
    "CdSe clusters, two phases": 0.17744,
    "BaZn2As2 (K, Mn)": 0.08633,
    "SrFe2As2, 246 K": 0.11253,
    "SrFe2As2, 150 K": 0.10396,
}
"""Rw of the best minimum of each set, of 50 plain and 50 staged fits from random starts (20 of CdSe-1).

A minimum with U or delta2 on its upper bound counts as 1.3 times as high in χ², one where a pair lost its width and the
model left its peak out as 1.5 times: such a minimum says nothing of the sample.
"""

CASES = (
    Case("Ni", lambda: [pk.Crystal.from_file("Ni", name="ni", delta2=2.0)], nickel, 50, [*NI, "qdamp", "qbroad"]),
    Case("Pt", lambda: [pk.Crystal.from_file("Pt", name="pt", delta2=2.0, shape=pk.Sphere(40.0))], platinum, 50,
         [*NI, "spdiameter"]),
    Case("Si", lambda: [pk.Crystal.from_file("Si", name="si")], lambda: chapter5("si"), 20, SIMPLE),
    Case("Ni, 1.5–20 Å", lambda: [pk.Crystal.from_file("Ni", name="ni")], lambda: chapter5("ni"), 20, SIMPLE),
    Case("Si + Ni", lambda: [pk.Crystal.from_file(x, name=x.lower()) for x in ("Si", "Ni")],
         lambda: chapter5("sini"), 50, SIMPLE),
    Case("CdSe bulk, U11 ≠ U33", lambda: [wurtzite(anisotropic=True)], lambda: cdse("CdSe-bulk"), 40,
         [*CELL, "U11", "U33"]),
    *(Case(f"CdSe-{n}, one phase, Uiso", lambda D=D: [wurtzite(D)], lambda n=n: cdse(f"CdSe-{n}"), 40, TWO)
      for n, D in ((1, 20.0), (2, 25.0), (3, 30.0), (4, 33.0))),
    *(Case(f"CdSe-{n}, one phase, U11 ≠ U33", lambda D=D: [wurtzite(D, anisotropic=True)],
           lambda n=n: cdse(f"CdSe-{n}"), 40, [*CELL, "U11", "U33", "spdiameter"])
      for n, D in ((1, 20.0), (2, 25.0), (3, 30.0), (4, 33.0))),
    *(Case(f"CdSe-{n}, two phases, shared U", lambda D=D: [wurtzite(D), zincblende(D)],
           lambda n=n: cdse(f"CdSe-{n}"), 40, TWO, SHARED) for n, D in ((1, 20.0), (2, 25.0), (3, 30.0), (4, 33.0))),
    *(Case(f"CdSe-{n}, two phases, own U", lambda D=D: [wurtzite(D), zincblende(D)],
           lambda n=n: cdse(f"CdSe-{n}"), 40, TWO, ONE_D) for n, D in ((1, 20.0), (2, 25.0), (3, 30.0), (4, 33.0))),
    Case("CdSe clusters, zinc blende", lambda: [zincblende(18.0)], clusters, 20,
         ["scale", "a", "Uiso", "delta2", "spdiameter"]),
    Case("CdSe clusters, two phases", lambda: [zincblende(18.0), wurtzite(18.0)], clusters, 20, TWO,
         {"wz.spdiameter": "zb.spdiameter"}),
    Case("BaZn2As2 (K, Mn)", doped_phase, doped, 30,
         ["scale", "a", "c", "As1.z", "Ba1.U11", "Ba1.U33", "Zn1.U11", "Zn1.U33", "As1.U11", "As1.U33", "delta1",
          "K1.occ", "Zn1_2.occ"], DOPED),
    Case("SrFe2As2, 246 K", lambda: iron_phase("tetragonal"), lambda: iron(246), 50, IRON),
    Case("SrFe2As2, 150 K", lambda: iron_phase("orthorhombic"), lambda: iron(150), 50, [*IRON, "b", "U22"]),
    Case("CdS@ZnS", core_and_shell, lambda: read("nanoparticle-fit/CdS_ZnS_nano.gr", qmax=26.0, qdamp=0.0396), 45,
         ["scale", "a", "c", "S1.z", "zns.S.z", "Uiso", "delta2", "cds.spdiameter", "zns.thickness"],
         {"zns.spdiameter": "cds.spdiameter + 2*zns.thickness"}),
)  # fmt: skip


def parameters(case: Case, model: pk.Model, data: pk.PDF, rng: np.random.Generator | None) -> pk.Parameters:
    """Return what a fit starts from: the shipped values, or random ones about them."""
    from pdfkit.model.params import apply_choices

    params = pk.parameters(model, data)
    apply_choices(params, case.free, case.ties, None)
    for name, par in params.items():
        word = name.rpartition(".")[2]
        if not par.vary or par.expr:
            continue
        if word in LENGTHS:
            par.set(min=0.95 * par.value, max=1.05 * par.value)
        if rng is not None:
            value = moved(word, par.value, rng)
            par.set(value=min(max(value, par.min), par.max))
    return params


def moved(word: str, value: float, rng: np.random.Generator) -> float:
    if word in LENGTHS:
        return value * rng.uniform(0.95, 1.05)
    if word == "Uiso" or word.startswith("U"):
        return value * float(np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    if word == "spdiameter":
        return value * float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    return value


@dataclass(frozen=True)
class Run:
    """One fit: Rw over all points in range, processor time in seconds, evaluations, whether it converged.

    lost: whether the model left out peaks.
    """

    rw: float
    seconds: float
    nfev: int
    converged: bool
    lost: bool


def run(case: Case, search: str, start: int | None, parts: tuple[pk.Model, pk.PDF]) -> Run:
    rng = None if start is None else np.random.default_rng([SEED, start])
    params = parameters(case, *parts, rng)
    begin = time.process_time()
    result = pk.fit(*parts, rmin=case.rmin, rmax=case.rmax, params=params, search=search)
    lost = any(one.messages for one in result.datasets)
    return Run(result.rw, time.process_time() - begin, result.nfev, result.converged, lost)


def studied(case: Case, searches: list[str], starts: int) -> str:
    """Return a row of the table, with the best Rw anew where one was lower than all before."""
    parts = case.model(), case.data()
    for search in searches:
        run(case, search, None, parts)  # compiled, tables made
    runs = {search: [run(case, search, k, parts) for k in range(starts)] for search in searches}
    lowest = min((one.rw for some in runs.values() for one in some if not one.lost), default=float("inf"))
    best = BEST.get(case.name, lowest)
    lost = min((one.rw for some in runs.values() for one in some if one.lost and one.rw < best), default=None)
    words = f"; lower without a peak: {lost:.4f}" if lost is not None else ""
    words += f"; lower: {lowest:.5f}" if lowest < best * (1 - NEAR) else ""
    usual = statistics.median(one.seconds for one in runs[searches[0]])
    cells = [cell(some, best, usual) for some in runs.values()]
    return " | ".join([f"| {case.name}", f"{best:.4f}{words}", *cells]) + " |"


def cell(runs: list[Run], best: float, usual: float) -> str:
    reached = sum(abs(one.rw / best - 1.0) <= NEAR for one in runs) / len(runs)
    times = statistics.median(one.seconds for one in runs)
    nfev = statistics.median(one.nfev for one in runs)
    unfinished = sum(not one.converged for one in runs)
    words = f" · {unfinished} not converged" if unfinished else ""
    return f"{reached:.0%} · {times / usual:.1f} × · {nfev:.0f}{words}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=50)
    parser.add_argument("--search", nargs="+", default=["plain", "staged"])
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of cases")
    parser.add_argument("--log", type=Path, help="file of finished rows, which are not done again")
    asked = parser.parse_args()
    done = asked.log.read_text().splitlines() if asked.log and asked.log.exists() else []
    warnings.simplefilter("ignore", pk.PdfkitWarning)
    print(f"| data and model | best Rw | {' | '.join(asked.search)} |")
    print("|---|---|" + "---|" * len(asked.search))
    for case in CASES:
        if asked.only and not any(part in case.name for part in asked.only):
            continue
        row = next((line for line in done if line.startswith(f"| {case.name} |")), None)
        if row is None:
            row = studied(case, asked.search, asked.starts)
            if asked.log:
                with asked.log.open("a") as log:
                    log.write(row + "\n")
        print(row, flush=True)


if __name__ == "__main__":
    main()
