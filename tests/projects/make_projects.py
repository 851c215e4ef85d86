"""Make the projects in tests/projects/data with PDFgui's own code, where diffpy.pdfgui and PDFfit2 are installed.

    python tests/projects/make_projects.py tests/projects/data

The data are simulated with PDFfit2 (and noise of a fixed seed), so that every fit has an answer; the fits are run by
PDFgui, so that the projects hold what it records. `old.ddp` is rewritten into the pickles of Python 2 afterwards, as
PDFgui 1 left them (old-style classes, byte strings, qsig and qalp, the diameter with the data).
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from diffpy.pdffit2 import PdfFit, redirect_stdout
from diffpy.pdfgui.control import pdfguicontrol as control_module
from diffpy.pdfgui.control.calculation import Calculation
from diffpy.pdfgui.control.constraint import Constraint
from diffpy.pdfgui.control.fitdataset import FitDataSet
from diffpy.pdfgui.control.fitstructure import FitStructure
from diffpy.pdfgui.control.fitting import Fitting
from diffpy.pdfgui.control.parameter import Parameter
from diffpy.pdfgui.control.pdfguicontrol import pdfguicontrol

FCC = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))


def stru(title: str, cell: str, atoms: list[tuple[Any, ...]], **extra: str) -> str:
    """Return a PDFfit file; atoms are (element, x, y, z, occupancy, U or (U11 … U23))."""
    lines = [f"title {title}", "format pdffit", f"scale {extra.get('scale', '1.0')}"]
    lines += [f"sharp {extra.get('sharp', '0.0, 0.0, 1.0, 0.0')}", "spcgr P1"]
    lines += [f"shape sphere, {extra['sphere']}"] if "sphere" in extra else []
    lines += [f"cell {cell}", "dcell 0, 0, 0, 0, 0, 0", f"ncell 1, 1, 1, {len(atoms)}", "atoms"]
    for element, x, y, z, occ, U in atoms:
        u = (U, U, U, 0, 0, 0) if isinstance(U, float) else U
        lines += [f"{element} {x} {y} {z} {occ}", "0 0 0 0", "{} {} {}".format(*u[:3]), "0 0 0"]
        lines += ["{} {} {}".format(*u[3:]), "0 0 0"]
    return "\n".join(lines) + "\n"


def nickel(a: float = 3.53, U: float = 0.005, element: str = "NI", **extra: str) -> str:
    cell = ", ".join([f"{a}"] * 3 + ["90"] * 3)
    return stru("fcc", cell, [(element, *xyz, 1.0, U) for xyz in FCC], **extra)


def wurtzite(a: float = 4.14, c: float = 6.71, z: float = 0.377, U: float = 0.01, V: float = 0.01) -> str:
    half = 0.5
    first = [("CD", 0.33333333, 0.66666667, 0.0, 1.0), ("CD", 0.66666667, 0.33333333, 0.5, 1.0)]
    second = [("S", 0.33333333, 0.66666667, z, 1.0), ("S", 0.66666667, 0.33333333, half + z, 1.0)]
    atoms = [(*one, (U, U, 1.3 * U, U / 2, 0, 0)) for one in first] + [(*one, (V, V, V, V / 2, 0, 0)) for one in second]
    return stru("wurtzite", f"{a}, {a}, {c}, 90, 90, 120", atoms)


def alloy(x: float = 0.3, a: float = 3.57) -> str:
    atoms = [("NI", *xyz, 1 - x, 0.006) for xyz in FCC] + [("CU", *xyz, x, 0.006) for xyz in FCC]
    return stru("alloy", ", ".join([f"{a}"] * 3 + ["90"] * 3), atoms)


def simulated(
    structures: list[str],
    stype: str,
    qmax: float,
    seed: int,
    *,
    errors: bool = False,
    begin: float = 0.05,
    **var: float,
) -> str:
    """Return a .gr file of structures as PDFfit2 calculates them, with noise."""
    program = PdfFit()
    for text in structures:
        program.read_struct_string(text)
    step, count = 0.05, int(var.get("count", 240))
    program.alloc(stype, qmax, var.get("qdamp", 0.0), begin, begin + step * (count - 1), count)
    program.setvar("qbroad", var.get("qbroad", 0.0))
    for k, text in enumerate(structures, 1):
        program.setphase(k)
        program.setvar("delta2", var.get("delta2", 0.0))
        program.setvar("pscale", float(text.split("scale ")[1].split()[0]))
    program.calc()
    r, G = np.array(program.getR()), np.array(program.getpdf_fit())
    sigma = 0.1 + 0.05 * (np.arange(count) % 3)
    G = G + np.random.default_rng(seed).normal(size=count) * sigma
    head = [f"{'xray' if stype == 'X' else 'neutron'} data", f"qmax={qmax}", f"qdamp={var.get('qdamp', 0.0)}"]
    head += [f"{key}={var[key]}" for key in ("temp", "doping") if key in var]
    rows = [f"{x:g} {y:.5f}" + (f" 0 {s:g}" if errors else "") for x, y, s in zip(r, G, sigma, strict=True)]
    return "\n".join([*head, "##### start data", *rows]) + "\n"


def fitting(name: str) -> Fitting:
    fit = Fitting(name)
    pdfguicontrol().add(fit)
    return fit


def phase(fit: Fitting, name: str, text: str, **constraints: str) -> FitStructure:
    out = FitStructure(name)
    out.initial.readStr(text, "pdffit")
    out.constraints = {key.replace("_", "(") + ")" * ("_" in key): Constraint(f) for key, f in constraints.items()}
    fit.add(out)
    return out


def data(fit: Fitting, name: str, text: str, rmin: float, rmax: float, grid: Any = "data", **about: Any) -> FitDataSet:
    out = FitDataSet(name)
    out.readObsStr(text)
    out.fitrmin, out.fitrmax = rmin, rmax
    out.setFitSamplingType(*(("custom", grid) if isinstance(grid, float) else (grid,)))
    for key, formula in about.pop("constraints", {}).items():
        out.constraints[key] = Constraint(formula)
    for key, value in about.items():
        setattr(out, key, value)
    fit.add(out)
    return out


def start(fit: Fitting, values: dict[int, Any], fixed: tuple[int, ...] = ()) -> None:
    fit.updateParameters()
    for index, value in values.items():
        fit.parameters.setdefault(index, Parameter(index)).setInitial(value)
    for index in fixed:
        fit.parameters[index].fixed = True


def run(fit: Fitting) -> None:
    """Run a fit as its thread does; what it says of the time goes, so that projects are the same each time."""
    fit.resetStatus()
    fit.run()
    assert fit.res, fit.name
    fit.res = "* when it was run\n\n" + fit.res.split("\n\n", 1)[1]
    fit.snapshots = fit.snapshots[-1:]
    print(f"  {fit.name}: Rw = {fit.rw:.6f}, {fit.step} steps")


def cubic(n: int = 4, a: int = 1, U: int = 2, scale: int = 3) -> dict[str, str]:
    out = {f"lat_{i}": f"@{a}" for i in (1, 2, 3)}
    out |= {f"u{ij}_{i}": f"@{U}" for i in range(1, n + 1) for ij in (11, 22, 33)}
    return out | {"pscale": f"@{scale}"}


def hexagonal() -> dict[str, str]:
    out = {"lat_1": "@1", "lat_2": "@1", "lat_3": "@2", "pscale": "@3"}
    for i in (1, 2):
        out |= {f"u11_{i}": "@11", f"u22_{i}": "@11", f"u33_{i}": "@13", f"u12_{i}": "0.5*@11"}
    for i in (3, 4):
        out |= {f"u11_{i}": "@21", f"u22_{i}": "@21", f"u33_{i}": "@21", f"u12_{i}": "@21/2"}
    return out | {"z_3": "@31", "z_4": "@31 + 0.5"}


# --- The projects ----------------------------------------------------------------------------------------------------


def one_fit() -> None:
    """One fit that was run, of every kind of value of a phase and its data, on the grid of the data."""
    fit = fitting("Ni bulk")
    phase(fit, "Ni", nickel(), **cubic(), delta2="@4")
    text = simulated([nickel(3.524, 0.0063, scale="0.8")], "X", 22.0, 1, qdamp=0.03, qbroad=0.01, delta2=2.2)
    data(fit, "Ni.gr", text, 1.5, 11.0, constraints={"qdamp": "@5"}, qbroad=0.01, qdamp=0.02)
    start(fit, {3: 0.7, 4: 1.5, 5: 0.02, 99: 3.0})
    del fit.parameters[99]
    run(fit)
    pdfguicontrol().journal = "Nickel, simulated.\nSecond line: å."


def several_fits() -> None:
    """Fits that use one another, two data sets, two phases, tensors, formulas, grids, fixed values, a simulation."""
    fit = fitting("wurtzite / Nyquist")
    phase(fit, "CdS wz", wurtzite(), **hexagonal())
    truth = wurtzite(4.136, 6.716, 0.3755, 0.009, 0.012)
    data(fit, "CdS.gr", simulated([truth], "X", 20.0, 2, qdamp=0.02), 1.8, 11.5, "Nyquist", qdamp=0.02)
    start(fit, {1: 4.14, 2: 6.71, 3: 0.9, 11: 0.01, 13: 0.012, 21: 0.01, 31: 0.377}, fixed=(2,))
    run(fit)

    fit = fitting("linked, formulas")
    phase(
        fit,
        "Ni",
        nickel(),
        lat_1="sqrt(@1)",
        lat_2="sqrt(@1)",
        lat_3="sqrt(@1)",
        pscale="1 - @3",
        delta2="2*sin(@4) + 0.5*@6",
        **{f"u{ij}_{i}": "exp(@2)" for i in range(1, 5) for ij in (11, 22, 33)},
    )
    text = simulated([nickel(3.524, 0.0063, scale="0.8")], "N", 25.0, 3, errors=True, delta2=2.2)
    data(fit, "Ni neutrons.gr", text, 1.7, 10.0, 0.08)
    start(fit, {1: 12.4, 2: -5.2, 3: 0.3, 4: 0.7, 6: 1.0}, fixed=(6,))
    run(fit)
    again = fitting("not run")
    phase(again, "Ni", nickel(), **cubic(), spdiameter="@8")
    again.strucs[0].setvar("spdiameter", 25.0)
    data(again, "Ni neutrons.gr", text, 1.7, 9.0)
    start(again, {1: 3.52, 3: "=linked, formulas:3", 8: 25.0}, fixed=(8,))

    fit = fitting("sharp")
    sharp = nickel(3.524, 0.007, sharp="0.0, 0.0, 0.8, 3.0")
    phase(fit, "Ni", nickel(sharp="0.0, 0.0, 0.9, 3.0"), **cubic(), sratio="@9")
    data(fit, "Ni.gr", simulated([sharp], "X", 0.0, 6, count=160), 1.7, 7.0)
    run(fit)

    fit = fitting("X and N")
    phase(fit, "Ni", nickel(), **cubic())
    phase(fit, "Cu", nickel(3.6, 0.006, "CU"), **cubic(4, 11, 12, 13), spdiameter="@14")
    fit.strucs[1].setvar("spdiameter", 20.0)
    mixed = [nickel(3.524, 0.0063, scale="0.6"), nickel(3.615, 0.0072, "CU", scale="0.4", sphere="18")]
    data(fit, "x.gr", simulated(mixed, "X", 22.0, 4, qdamp=0.03), 1.7, 11.0, constraints={"dscale": "@20"}, qdamp=0.03)
    neutrons = simulated(mixed, "N", 0.0, 5, qdamp=0.01)
    data(fit, "n.gr", neutrons, 1.7, 11.5, constraints={"dscale": "@21", "qdamp": "@22"}, qdamp=0.015)
    start(fit, {3: 0.6, 13: 0.4, 20: 1.0, 21: 1.0, 22: 0.015}, fixed=(20,))
    run(fit)
    simulation = Calculation("simulation")
    simulation.setRGrid(1.0, 0.02, 5.0)
    simulation.qmax, simulation.stype = 25.0, "N"
    fit.add(simulation)
    simulation.calculate()

    fit = fitting("pairs")
    phase(fit, "CdS", wurtzite(), lat_3="@2")
    fit.strucs[0].setSelectedPairs("Cd-all, !1-S")
    data(fit, "CdS.gr", simulated([truth], "X", 20.0, 2), 1.8, 9.0)
    fitting("empty")
    fit = fitting("no phases")
    data(fit, "CdS.gr", simulated([truth], "X", 20.0, 2), 1.8, 9.0)
    fit = fitting("no data")
    phase(fit, "Ni", nickel(), **cubic())


def series() -> None:
    """A temperature and a doping series, made by PDFgui's own macros."""
    from diffpy.pdfgui.control.pdfguimacros import makeDopingSeries, makeTemperatureSeries

    control, here = pdfguicontrol(), Path(tempfile.mkdtemp())
    fit = fitting("Ni")
    phase(fit, "Ni", nickel(), **cubic())
    text = simulated([nickel(3.52, 0.005)], "X", 22.0, 10, temp=100.0, count=180)
    data(fit, "t0.gr", text, 1.7, 9.0)
    paths = []
    for k, (a, U) in enumerate(((3.521, 0.005), (3.531, 0.011))):
        paths.append(str(here / f"t{k}.gr"))
        Path(paths[-1]).write_text(simulated([nickel(a, U)], "X", 22.0, 10 + k, count=180))
    makeTemperatureSeries(control, fit, paths, [100.0, 300.0])
    fit = fitting("NiCu")
    phase(fit, "NiCu", alloy(), **{f"lat_{i}": "@1" for i in (1, 2, 3)}, pscale="@3")
    data(fit, "d0.gr", simulated([alloy()], "X", 22.0, 20, count=180), 1.7, 9.0)
    paths = []
    for k, x in enumerate((0.2, 0.5)):
        paths.append(str(here / f"d{k}.gr"))
        Path(paths[-1]).write_text(simulated([alloy(x, 3.524 + 0.09 * x)], "X", 22.0, 20 + k, count=180))
    makeDopingSeries(control, fit, "Ni", "Cu", paths, [0.2, 0.5])
    for name in ("Ni", "NiCu"):  # the templates
        control.remove(control.fits[name])
    for one in control.fits:
        one.updateParameters()
        run(one)


def same_names() -> None:
    """Two phases of one name: PDFgui writes both, and reads one."""
    fit = fitting("twins")
    phase(fit, "Ni", nickel(), **cubic())
    phase(fit, "Ni", nickel(3.6, 0.006, "CU"), **cubic(4, 11, 12, 13))
    mixed = [nickel(3.524, 0.0063, scale="0.6"), nickel(3.615, 0.0072, "CU", scale="0.4")]
    data(fit, "x.gr", simulated(mixed, "X", 22.0, 4), 1.7, 9.0)
    start(fit, {3: 0.6, 13: 0.4})
    run(fit)


def old_fit() -> None:
    """What becomes old.ddp."""
    fit = fitting("old fit")
    phase(fit, "Ni", nickel(3.53, 0.006, sphere="22"), **cubic(), delta1="@4", spdiameter="@6")
    text = simulated([nickel(3.524, 0.0063, scale="0.8", sphere="25")], "X", 22.0, 7, qdamp=0.03)
    data(fit, "Ni_old.gr", text, 1.5, 9.0, constraints={"qdamp": "@5"}, qdamp=0.02)
    start(fit, {3: 0.7, 4: 0.1, 5: 0.02, 6: 22.0}, fixed=(5,))
    run(fit)


# --- Pickles of Python 2 ---------------------------------------------------------------------------------------------


def python2(value: Any) -> bytes:
    """Return the pickle of protocol 2 that Python 2 made of plain values and of instances of old-style classes."""
    return b"\x80\x02" + b"".join(_opcodes(value)) + b"."


def _opcodes(value: Any) -> Iterator[bytes]:
    if value is None or isinstance(value, bool):
        yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
    elif isinstance(value, int):
        yield b"J" + struct.pack("<i", value)
    elif isinstance(value, float):
        yield b"G" + struct.pack(">d", float(value))
    elif isinstance(value, str):
        raw = value.encode("latin-1")
        yield b"T" + struct.pack("<i", len(raw)) + raw
    elif isinstance(value, tuple):
        yield from (b"(", *(op for one in value for op in _opcodes(one)), b"t")
    elif isinstance(value, list | np.ndarray):
        yield from (b"](", *(op for one in value for op in _opcodes(one)), b"e")
    elif isinstance(value, dict):
        yield from (b"}(", *(op for pair in value.items() for one in pair for op in _opcodes(one)), b"u")
    else:
        name = f"{type(value).__module__}\n{type(value).__name__}\n".encode()
        yield from (b"(c" + name + b"o", *_opcodes(value.__dict__), b"b")


def into_old(new: Path, old: Path) -> None:
    """Rewrite a project as PDFgui 1 wrote it."""
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            raw = source.read(name)
            kind = name.split("/")[-1]
            if kind in ("parameters", "result", "steps", "calc", "constraints"):
                value = pickle.loads(raw)
                if kind == "calc":
                    value["initial"] = {"qsig": value["initial"]["qdamp"], "qalp": 0.0, "spdiameter": 22.0}
                if kind == "constraints" and "/dataset/" in name:
                    value = {"qsig": value["qdamp"], "spdiameter": Constraint("@6")}
                if kind == "constraints" and "/structure/" in name:
                    value["gamma"] = value.pop("delta1")
                    del value["spdiameter"]
                raw = python2(value)
            if kind in ("initial", "refined"):
                raw = b"\n".join(line for line in raw.split(b"\n") if not line.startswith(b"shape"))
            if kind == "obs":
                raw = (
                    raw.replace(b"qdamp=", b"qsig=")
                    .replace(b"qbroad=", b"qalp=")
                    .replace(b"dscale", b"spdiameter=22\ndscale")
                )
            if kind in ("selected_pairs", "sgoffset"):
                continue
            target.writestr(zipfile.ZipInfo(name), raw, zipfile.ZIP_DEFLATED)


PROJECTS = {
    "one.ddp3": one_fit,
    "several.ddp3": several_fits,
    "series.ddp3": series,
    "twins.ddp3": same_names,
    "old.ddp": old_fit,
}


def main(folder: Path) -> None:
    os.environ["LOGNAME"] = "tests"  # PDFgui writes who saved the data
    redirect_stdout(io.StringIO())
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PROJECTS.items():
        print(name)
        control_module._pdfguicontrol = None
        make()
        control = pdfguicontrol()
        control.save(str(folder / name))
        if name.endswith(".ddp"):
            into_old(folder / name, folder / "rewritten")
            (folder / "rewritten").replace(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
