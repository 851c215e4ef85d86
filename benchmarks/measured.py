"""Fits of measured data beside what other programs got: `python benchmarks/measured.py [--markdown]`.

The data come with the `examples` extra (diffpy.cmi 3.2.0, BSD-3). Results of PDFgui and PDFfit2 are those published
with these examples or computed with PDFfit2 1.5. Every fit has the freedom of the other program's. Rw is unweighted,
over all points in range.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pdfkit as pk

LATTICE, DIAMETER, RW = 0.003, 0.5, 0.002


def example(path: str) -> Path:
    distribution = importlib.metadata.distribution("diffpy.cmi")
    return Path(str(distribution.locate_file(f"diffpy/cmi/docs/examples/pdf/{path}")))


@dataclass(frozen=True)
class Row:
    """One published fit: what was fitted and what came out. `expected` maps parameters to published values."""

    name: str
    fit: Callable[..., pk.FitResult]
    rw: float
    by: str
    expected: dict[str, float]


def read(path: str, **options: float) -> pk.PDF:
    # PDFfit2 divides by r: it was handed what lies above r = 0, and its filter begins there.
    pdf = pk.read_pdf(example(path), probe="X", **options)
    return replace(pdf.crop(float(pdf.r[pdf.r > 0][0])), dG=None)


def run(
    phases: list[pk.Crystal],
    data: pk.PDF,
    rmin: float,
    rmax: float,
    free: list[str],
    *,
    ties: dict[str, str] | None = None,
    convention: str = "pdfkit",
    scattering: str | None = None,
) -> pk.FitResult:
    model = pk.Model(phases, replace(data.instrument, scattering=scattering), convention)
    # The minimum that was published lies near these start values; a search finds a lower one for CdSe-4.
    return pk.fit(model, data, rmin=rmin, rmax=rmax, free=free, ties=ties, search="plain")


def cdse(name: str) -> pk.PDF:
    return read(f"ch08NPRefinement/data/{name}.gr", qmax=19.0, qdamp=0.058)


def wurtzite(**options: object) -> pk.Crystal:
    return pk.Crystal.from_file("CdSe_wurtzite", name="wz", delta2=3.0, **options)


def started(crystal: pk.Crystal, **values: float) -> pk.Crystal:
    """Set start values by the ending of names (Cd_Uiso for Cd.Uiso)."""
    return crystal.with_values({name.replace("_", "."): value for name, value in values.items()})


def zincblende(**options: object) -> pk.Crystal:
    return pk.Crystal.from_file("CdSe_zincblende", name="zb", delta2=3.0, **options)


# Two minima differ in which species moves more; the published fits sit in the one with U(Cd) < U(Se).
U_START = {
    False: {"Cd_Uiso": 0.02, "Se_Uiso": 0.04},
    True: {"Cd_U11": 0.02, "Cd_U33": 0.05, "Se_U11": 0.02, "Se_U33": 0.2},
}
ONE_D = {"zb.spdiameter": "wz.spdiameter"}
SHARED = {**ONE_D, "zb.delta2": "wz.delta2", "zb.Cd.Uiso": "wz.Cd.Uiso", "zb.Se.Uiso": "wz.Se.Uiso"}
CELL = ["scale", "a", "c", "Se.z", "delta2"]


def bulk(**how: str) -> pk.FitResult:
    return run([wurtzite(anisotropic=True)], cdse("CdSe-bulk"), 1.5, 40, [*CELL, "U11", "U33"], **how)


def one_phase(anisotropic: bool, **how: str) -> pk.FitResult:
    phase = started(wurtzite(anisotropic=anisotropic, shape=pk.Sphere(33.0)), **U_START[anisotropic])
    free = [*CELL, "spdiameter", *(["U11", "U33"] if anisotropic else ["Uiso"])]
    return run([phase], cdse("CdSe-4"), 1.5, 40, free, **how)


def two_phases(name: str, ties: dict[str, str], **how: str) -> pk.FitResult:
    own = ties is ONE_D
    wz = started(wurtzite(shape=pk.Sphere(33.0)), **U_START[False], **({"delta2": 5.0} if own else {}))
    zb_U = {"Cd_Uiso": 0.02, "Se_Uiso": 0.012, "delta2": 2.0} if own else U_START[False]
    phases = [wz, started(zincblende(shape=pk.Sphere(33.0)), **zb_U)]
    return run(phases, cdse(name), 1.5, 40, [*CELL, "Uiso", "spdiameter"], ties=ties, **how)


def clusters(two: bool, **how: str) -> pk.FitResult:
    data = read("ch11ClusterXYZ/data/CdSe.gr", qmax=20.0, qdamp=0.06)
    phases = [zincblende(shape=pk.Sphere(18.0))] + ([wurtzite(shape=pk.Sphere(18.0))] if two else [])
    ties = {"wz.spdiameter": "zb.spdiameter"} if two else None
    free = [*CELL, "Uiso", "spdiameter"] if two else ["scale", "a", "Uiso", "delta2", "spdiameter"]
    return run(phases, data, 1.5, 20, free, ties=ties, **how)


def nickel(**how: str) -> pk.FitResult:
    data = read("ch03NiModelling/data/Ni.gr", qmax=25.0, qdamp=0.04, qbroad=0.02)
    phase = pk.Crystal.from_file("Ni", name="ni", delta2=2.0)
    return run([phase], data, 1.5, 50, ["scale", "a", "Uiso", "delta2", "qdamp", "qbroad"], **how)


def platinum(**how: str) -> pk.FitResult:
    data = read("ch03NiModelling/data/Pt-nanoparticles.gr", qmax=25.0, qdamp=0.045, qbroad=0.017)
    phase = pk.Crystal.from_file("Pt", name="pt", delta2=2.0, shape=pk.Sphere(40.0))
    return run([phase], data, 1.5, 50, ["scale", "a", "Uiso", "delta2", "spdiameter"], **how)


def mixture(names: str, rmax: float, **how: str) -> pk.FitResult:
    data = read(f"ch05Fit2Phase/data/{names}.gr", qmax=27.0, qdamp=0.05)
    si = pk.Crystal.from_file("Si", name="si")
    ni = pk.Crystal.from_file("Ni", name="ni")
    phases = {"si": [si], "ni": [ni], "sini": [si, ni]}[names]
    return run(phases, data, 1.5, rmax, ["scale", "a", "Uiso", "delta1"], **how)


ROWS = (
    Row("CdSe bulk, wurtzite, U11 ≠ U33", bulk, 0.1456, "PDFgui", {"wz.a": 4.301, "wz.c": 7.0144}),
    Row("CdSe-4, wurtzite + sphere, Uiso", lambda **k: one_phase(False, **k), 0.2559, "PDFfit2",
        {"wz.a": 4.2986, "wz.c": 7.0056, "wz.spdiameter": 33.1}),
    Row("CdSe-4, wurtzite + sphere, U11 ≠ U33", lambda **k: one_phase(True, **k), 0.1901, "PDFfit2",
        {"wz.spdiameter": 36.6}),
    Row("CdSe-4, two phases, shared U", lambda **k: two_phases("CdSe-4", SHARED, **k), 0.1736, "PDFfit2",
        {"wz.a": 4.2873, "wz.c": 7.0126, "zb.a": 6.0853, "wz.spdiameter": 36.06}),
    Row("CdSe-4, two phases, own U", lambda **k: two_phases("CdSe-4", ONE_D, **k), 0.1616, "(early sketch)",
        {"wz.a": 4.2795, "wz.c": 7.0059, "zb.a": 6.0804, "wz.spdiameter": 36.5}),
    Row("CdSe-3, two phases, shared U", lambda **k: two_phases("CdSe-3", SHARED, **k), 0.2503, "PDFfit2",
        {"wz.spdiameter": 32.1}),
    Row("CdSe-2, two phases, shared U", lambda **k: two_phases("CdSe-2", SHARED, **k), 0.2971, "PDFfit2",
        {"wz.spdiameter": 25.0}),
    Row("CdSe-1, two phases, shared U", lambda **k: two_phases("CdSe-1", SHARED, **k), 0.57, "PDFfit2", {}),
    Row("CdSe clusters, zinc blende + sphere", lambda **k: clusters(False, **k), 0.2135, "PDFgui",
        {"zb.a": 6.0504, "zb.spdiameter": 17.26}),
    Row("CdSe clusters, two phases", lambda **k: clusters(True, **k), 0.1972, "PDFgui",
        {"zb.a": 6.0449, "wz.a": 4.2795, "wz.c": 7.1249, "zb.spdiameter": 18.97}),
    Row("Ni powder", nickel, 0.0411, "PDFgui", {"ni.a": 3.52478}),
    Row("Pt nanoparticles", platinum, 0.1045, "PDFgui", {"pt.a": 3.92573, "pt.spdiameter": 37.38}),
    Row("Si + Ni mixture", lambda **k: mixture("sini", 50, **k), 0.1160, "PDFgui", {"si.a": 5.4293, "ni.a": 3.52245}),
    Row("Ni, 1.5–20 Å", lambda **k: mixture("ni", 20, **k), 0.0703, "PDFgui", {"ni.a": 3.52392}),
    Row("Si, 1.5–20 Å", lambda **k: mixture("si", 20, **k), 0.0780, "PDFgui", {"si.a": 5.42961}),
)  # fmt: skip


# Where a published value is not what the same freedom leads to, and why.
EXPLAINED = {
    "CdSe-4, wurtzite + sphere, Uiso": "PDFfit2 stops before its minimum: run live it ends at Rw 0.2546, D 32.96 from "
    "three starts, and, started at our values, stays there with the lower Rw 0.2536",
    "CdSe-4, two phases, own U": "an early sketch's parameters lie close to a point where the zinc-blende Cd–Se peak "
    "loses all width and its sampled height depends on the grid (Rw 0.168 to 0.183 as the grid is refined there)",
    "CdSe clusters, two phases": "with its own U in each phase the model has a deeper minimum with another cell",
}


def within(row: Row, result: pk.FitResult) -> list[str]:
    """Return what is outside the limits: Rw by more than 0.002, cells by 0.003 Å, diameters by 0.5 Å."""
    out = [] if result.rw <= row.rw + RW else [f"Rw {result.rw:.4f} > {row.rw:.4f} + {RW}"]
    for name, value in row.expected.items():
        limit = DIAMETER if name.endswith("spdiameter") else LATTICE
        if abs(result.params[name].value - value) > limit:
            out.append(f"{name} {result.params[name].value:.4f}, published {value:.4f}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table only")
    markdown = parser.parse_args().markdown
    print("| data and model | others | 1/r (as PDFgui) | constant weights | pdfkit | parameters (1/r) |")
    print("|---|---|---|---|---|---|")
    for row in ROWS:
        same, constant, ours = row.fit(convention="pdffit2"), row.fit(scattering="constant"), row.fit()
        values = ", ".join(f"{n} {same.params[n].value:.4f} ({v:g})" for n, v in row.expected.items())
        print(f"| {row.name} | {row.rw:.4f} {row.by} | {same.rw:.4f} | {constant.rw:.4f} | {ours.rw:.4f} | {values} |")
        if not markdown:
            for label, result in (("1/r", same), ("constant weights", constant), ("pdfkit", ours)):
                notes = within(row, result) + list(result.remarks) + ([] if result.converged else [result.message])
                text = "; ".join(notes) or "within limits"
                print(f"    {label}: {result.nfev} evaluations, {result.seconds:.2f} s; {text}")


if __name__ == "__main__":
    main()
