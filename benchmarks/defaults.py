"""The same CdS, CeO2 and Ni fits with the defaults of before and of now: `python benchmarks/defaults.py`.

CdS and Ni are measured (extra `examples`); CeO2 is made without pdfkit's models, so that its truth is known. Prints
Markdown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import measured
import scattering

import pdfkit as pk
from pdfkit.model import Convention
from pdfkit.results.report import uncertain

# What a user got without options: constant strengths, γ₀ times the curve, anisotropic peaks at the distance of mean
# positions, and noise that is equal at all Q.
BEFORE = Convention(finite_size="curve", anisotropy="none")


def dots(*, before: bool) -> pk.FitResult:
    """CdS dots in a shell of ZnS, zinc blende both."""
    data = pk.read_pdf(measured.example("nanoparticle-fit/CdS_ZnS_nano.gr"), probe="X", qmax=26, qdamp=0.0396)
    core = pk.Crystal.from_file("CdS_zincblende", name="cds", shape=pk.Sphere(28.0), delta2=2.5)
    shell = pk.Crystal.from_file("ZnS_zincblende", name="zns", shape=pk.shapes.Shell(45.0, 10.0), delta2=2.5)
    free = ["scale", "a", "Uiso", "delta2", "cds.spdiameter", "thickness"]
    return fitted(
        [core, shell], data, 30.0, free, {"zns.spdiameter": "cds.spdiameter + 2*zns.thickness"}, before=before
    )


def ceria(*, before: bool) -> pk.FitResult:
    """CeO2 of f(Q), without noise."""
    phase = scattering.crystal("CeO2")
    curve = scattering.true_curve(phase, scattering.R, scattering.QMAX, scattering.QDAMP)
    data = pk.PDF(scattering.R, curve, instrument=pk.Instrument("X", qmax=scattering.QMAX, qdamp=scattering.QDAMP))
    return fitted([phase], data, 30.0, ["scale", "a", "Uiso"], None, before=before)


def nickel(*, before: bool) -> pk.FitResult:
    """Nickel powder, the standard of many beam lines."""
    data = measured.read("ch03NiModelling/data/Ni.gr", qmax=25.0, qdamp=0.04, qbroad=0.02)
    phase = pk.Crystal.from_file("Ni", name="ni", delta2=2.0)
    return fitted([phase], data, 50.0, ["scale", "a", "Uiso", "delta2", "qdamp", "qbroad"], None, before=before)


def fitted(
    phases: list[pk.Crystal],
    data: pk.PDF,
    rmax: float,
    free: list[str],
    ties: dict[str, str] | None,
    *,
    before: bool,
) -> pk.FitResult:
    model = pk.Model(phases, data.instrument)
    settings = pk.FitSettings()
    if before:
        model = pk.Model(phases, replace(data.instrument, scattering="constant"), BEFORE)
        settings = pk.FitSettings(noise="given")
    return pk.fit(model, data, rmin=1.5, rmax=rmax, free=free, ties=ties, settings=settings)


CASES: dict[str, tuple[Callable[..., pk.FitResult], tuple[str, ...]]] = {
    "CdS dots with a ZnS shell, measured": (
        dots,
        ("cds.a", "cds.Cd.Uiso", "cds.S.Uiso", "zns.S.Uiso", "cds.spdiameter"),
    ),
    "CeO₂, made": (ceria, ("p.scale", "p.a", "p.Ce.Uiso", "p.O.Uiso")),
    "Ni, measured": (nickel, ("ni.scale", "ni.a", "ni.Ni.Uiso", "qdamp")),
}


def shown(result: pk.FitResult, name: str) -> str:
    par = result.params[name]
    return uncertain(float(par.value), par.stderr)


def main() -> None:
    print("| fit | number | before | now |\n|---|---|---|---|")
    for title, (run, names) in CASES.items():
        before, now = run(before=True), run(before=False)
        print(f"| {title} | Rw | {before.rw:.4f} | {now.rw:.4f} |")
        for name in names:
            print(f"| | {name} | {shown(before, name)} | {shown(now, name)} |", flush=True)


if __name__ == "__main__":
    main()
