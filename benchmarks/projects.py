"""Projects of PDFgui on measured data: is the recorded Rw repeated, and how long does it take?

    python benchmarks/projects.py --make measured.ddp3   # where diffpy.pdfgui and PDFfit2 are installed: PDFgui fits
    python benchmarks/projects.py measured.ddp3          # pdfkit reads, calculates and fits again

PDFgui loads CIF and .gr files of the `examples` extra, expands them by symmetry, makes its own symmetry constraints
(positions and tensors), and fits; what it records is compared with what `read_project` makes of it.
"""

from __future__ import annotations

import argparse
import io
import re
import time
import warnings
from pathlib import Path
from typing import Any

# name: phases (CIF, diameter), data sets (file, Qmax, qdamp), range, grid
CASES: dict[str, tuple[list[tuple[str, float]], list[tuple[str, float, float]], tuple[float, float], str]] = {
    "Ni": ([("ch03NiModelling/data/Ni.cif", 0)], [("ch03NiModelling/data/Ni.gr", 25, 0.03)], (1.5, 30), "data"),
    "Ni, Nyquist": (
        [("ch03NiModelling/data/Ni.cif", 0)],
        [("ch03NiModelling/data/Ni.gr", 25, 0.03)],
        (1.5, 50),
        "Nyquist",
    ),
    "Pt nanoparticles": (
        [("ch03NiModelling/data/Pt.cif", 30)],
        [("ch03NiModelling/data/Pt-nanoparticles.gr", 25, 0.05)],
        (1.5, 30),
        "data",
    ),
    "Si + Ni": (
        [("ch05Fit2Phase/data/Si_Fd-3m.cif", 0), ("ch05Fit2Phase/data/Ni_Fm-3m.cif", 0)],
        [("ch05Fit2Phase/data/sini.gr", 25, 0.04)],
        (1.5, 20),
        "data",
    ),
    "CdSe-4": (
        [("ch08NPRefinement/data/CdSe-Wurtzite.cif", 36)],
        [("ch08NPRefinement/data/CdSe-4.gr", 19, 0.058)],
        (1.5, 40),
        "data",
    ),
    "CdSe-4, Nyquist": (
        [("ch08NPRefinement/data/CdSe-Wurtzite.cif", 36), ("ch08NPRefinement/data/CdSe-Zincblende.cif", 36)],
        [("ch08NPRefinement/data/CdSe-4.gr", 19, 0.058)],
        (1.5, 40),
        "Nyquist",
    ),
    "BaZn2As2": (
        [("ch06RefineCrystalStructureGen/data/BaZn2As2.cif", 0)],
        [("ch06RefineCrystalStructureGen/data/BaZn2As2_K-Mn-doped_300K.gr", 25, 0.036)],
        (1.5, 20),
        "data",
    ),
    **{
        f"SrFe2As2 {T} K": (
            [("ch07StructuralPhaseTransitions/data/SrFe2As2_tetragonal.cif", 0)],
            [(f"ch07StructuralPhaseTransitions/data/SrFe2As2_{T}K.gr", 25, 0.035)],
            (1.5, 20),
            "data",
        )
        for T in (150, 198, 246)
    },
    "Ni, two sets": (
        [("ch05Fit2Phase/data/Ni_Fm-3m.cif", 0)],
        [("ch05Fit2Phase/data/ni.gr", 25, 0.04), ("ch03NiModelling/data/Ni.gr", 25, 0.03)],
        (1.5, 15),
        "data",
    ),
}


def make(path: Path, folder: Path) -> None:
    """Fit all cases in PDFgui, without its windows, and save the project."""
    from diffpy.pdffit2 import redirect_stdout
    from diffpy.pdfgui.control.pdfguicontrol import pdfguicontrol

    redirect_stdout(io.StringIO())
    control = pdfguicontrol()
    for name, (phases, data, ends, grid) in CASES.items():
        fit = control.newFitting(name)
        for k, (cif, diameter) in enumerate(phases):
            _add_phase(control, fit, folder / cif, diameter, 100 * k)
        for file, qmax, qdamp in data:
            one = control.loadDataset(fit, str(folder / file))
            one.stype, one.qmax, one.qdamp = "X", float(qmax), qdamp
            one.fitrmin, one.fitrmax = ends[0], min(ends[1], one.rmax)
            one.setFitSamplingType(grid)
        if len(data) > 1:
            _scale_of_data(fit)
        begin = time.perf_counter()
        try:
            fit.run()
            print(f"{name}: Rw {fit.rw:.6f}, {time.perf_counter() - begin:.1f} s in PDFgui")
        except Exception as error:
            print(f"{name}: PDFgui failed with {error}")
            control.remove(fit)
    control.save(str(path))


def _add_phase(control: Any, fit: Any, cif: Path, diameter: float, first: int) -> None:
    from diffpy.pdfgui.control.constraint import Constraint

    phase = control.loadStructure(fit, str(cif))
    for atom in phase:
        atom.element = re.sub(r"[\d+-]+$", "", atom.element)  # PDFfit2 knows no ions
        if atom.Uisoequiv < 1e-4 or diameter:
            atom.anisotropy, atom.U = True, phase.lattice.isotropicunit * (0.02 if diameter else 0.006)
    a, b, c = phase.lattice.abcABG()[:3]
    groups = {1: "a", 2: "b" if abs(a - b) > 1e-6 else "a", 3: "c" if abs(c - a) > 1e-6 else "a"}
    number = {"a": first + 1, "b": first + 2, "c": first + 3}
    for k, word in groups.items():
        phase.constraints[f"lat({k})"] = Constraint(f"@{number[word]}")
    phase.constraints["pscale"] = Constraint(f"@{first + 4}")
    phase.initial.pdffit["delta2"] = 2.0
    phase.constraints["delta2"] = Constraint(f"@{first + 5}")
    if diameter:
        phase.setvar("spdiameter", diameter)
        phase.constraints["spdiameter"] = Constraint(f"@{first + 6}")
    group = phase.getSpaceGroup(phase.initial.pdffit["spcgr"])
    phase.applySymmetryConstraints(group, range(len(phase)), True, True)


def _scale_of_data(fit: Any) -> None:
    from diffpy.pdfgui.control.constraint import Constraint

    for k, one in enumerate(fit.datasets):
        one.constraints["dscale"] = Constraint(f"@{900 + k}")
    fit.updateParameters()
    fit.parameters[4].fixed = True


def repeat(path: Path) -> None:
    """Print what is recorded beside what pdfkit finds."""
    import pdfkit as pk

    warnings.simplefilter("ignore", pk.PdfkitWarning)
    begin = time.perf_counter()
    project = pk.read_project(path)
    print(f"read in {time.perf_counter() - begin:.2f} s")
    heads = ("recorded", "again", "fitted", "evaluations", "s", "default", "s")
    print(f"{'fit':20}" + "".join(f"{head:>12}" for head in heads))
    for name, fit in project.fits.items():
        again = fit.repeated_rw()
        found, default = fit.run(), fit.run("default")
        row = (f"{fit.rw:.6f}", f"{again:.6f}", f"{found.rw:.6f}", str(found.nfev), f"{found.seconds:.2f}")
        print(f"{name:20}" + "".join(f"{x:>12}" for x in (*row, f"{default.rw:.6f}", f"{default.seconds:.2f}")))


def main() -> None:
    """Make a project, or repeat what is in one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--make", action="store_true", help="let PDFgui make the project")
    parser.add_argument("--data", type=Path, help="folder of the measured data")
    asked = parser.parse_args()
    if not asked.make:
        repeat(asked.project)
        return
    from importlib.metadata import distribution

    folder = asked.data or Path(str(distribution("diffpy.cmi").locate_file("diffpy/cmi/docs/examples/pdf")))
    make(asked.project, folder)


if __name__ == "__main__":
    main()
