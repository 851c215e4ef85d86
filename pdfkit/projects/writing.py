"""Projects written as files that PDFgui opens.

The parts are those of PDFgui 3 (`Fitting`, `FitStructure`, `FitDataSet` and their `save`); its pickles are written by
`pickles.format_pickle`, without PDFgui.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath, write_bytes
from pdfkit.projects import formulas
from pdfkit.projects.pickles import Instance, format_pickle
from pdfkit.projects.project import (
    Project,
    ProjectData,
    ProjectFit,
    ProjectParameter,
    ProjectPhase,
    ProjectSimulation,
)

_MODULE = "diffpy.pdfgui.control"
# A fixed date: the same project gives the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_project(path: AnyPath, project: Project) -> Path:
    """Write a project as a .ddp3 file that PDFgui opens: fits, structures, data, constraints, recorded results."""
    target = Path(path)
    if target.suffix.lower() != ".ddp3":
        raise PdfkitError(f"{target.name} is not the name of a project: end it in .ddp3, which PDFgui looks for")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _parts(project):
            raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
            about = zipfile.ZipInfo(f"{target.stem}/{name}", _DATE)
            archive.writestr(about, raw, zipfile.ZIP_DEFLATED)
    return write_bytes(target, buffer.getvalue())


def _parts(project: Project) -> Iterator[tuple[str, bytes | str]]:
    for name, fit in project.fits.items():
        for key, data in _of_fit(fit):
            yield f"{quote_plus(name)}/{key}", data
    if project.journal:
        yield "journal", project.journal
    yield "fits", "\n".join(project.fits)


def _of_fit(fit: ProjectFit) -> Iterator[tuple[str, bytes | str]]:
    if fit.parameters:
        yield "parameters", format_pickle({k: _parameter(one) for k, one in fit.parameters.items()})
    if fit.rw is not None:
        yield "result", format_pickle((fit.rw, fit.report or "written by pdfkit"))
    for phase in fit.phases:
        yield from ((f"structure/{quote_plus(phase.name)}/{key}", data) for key, data in _of_phase(phase))
    for one in fit.data:
        yield from ((f"dataset/{quote_plus(one.name)}/{key}", data) for key, data in _of_data(one))
    for simulation in fit.simulations:
        yield f"calculation/{quote_plus(simulation.name)}/config", format_pickle(_simulation(simulation))


def _parameter(one: ProjectParameter) -> Instance:
    start: Any = one.link or one.start
    fields = {"idx": one.number, "name": "", "refined": one.refined, "fixed": one.fixed}
    private = {"_Parameter__initial": start, "_Parameter__fitrepr": None}
    return Instance(f"{_MODULE}.parameter", "Parameter", fields | private)


def _constraints(known: Mapping[str, str]) -> bytes:
    def one(formula: str) -> Instance:
        guesses: dict[int, None] = dict.fromkeys(formulas.indices(formula))
        fields = {"_Constraint__lhs": None, "parguess": guesses, "formula": formula}
        return Instance(f"{_MODULE}.constraint", "Constraint", fields)

    return format_pickle({variable: one(formula) for variable, formula in known.items()})


def _of_phase(phase: ProjectPhase) -> Iterator[tuple[str, bytes | str]]:
    yield "initial", _with_diameter(phase)
    if phase.refined:
        yield "refined", phase.refined
    if phase.constraints:
        yield "constraints", _constraints(phase.constraints)
    yield "selected_pairs", phase.pairs
    yield "sgoffset", "0 0 0"


def _with_diameter(phase: ProjectPhase) -> str:
    """Return the structure, with the diameter that an old project kept with its data."""
    from pdfkit.projects.formulas import diameter_in

    if phase.spdiameter == diameter_in(phase.initial):
        return phase.initial
    return phase.initial.replace("\ncell ", f"\nshape   sphere, {phase.spdiameter!r}\ncell ", 1)


def _of_data(one: ProjectData) -> Iterator[tuple[str, bytes | str]]:
    own, seen = one.observed.instrument, one.curves
    start = {"qdamp": own.qdamp, "qbroad": own.qbroad, "dscale": one.dscale}
    columns = {"rcalc": None if seen is None else seen.r}
    columns |= {"Gcalc": None if seen is None else seen.calc, "dGcalc": None if seen is None else seen.difference}
    content = {key: [] if values is None else values.tolist() for key, values in columns.items()}
    ends = {"fitrmin": one.rmin, "fitrmax": one.rmax, "fitrstep": one.step}
    yield "obs", _observed(one)
    yield "calc", format_pickle({**content, **ends, "initial": start, "refined": dict(one.refined)})
    if one.constraints:
        yield "constraints", _constraints(one.constraints)


def _observed(one: ProjectData) -> str:
    """Return the data as PDFgui keeps them; numbers in full."""
    pdf, own = one.observed, one.observed.instrument
    radiation = "N  neutron scattering" if own.probe == "N" else "X  x-ray scattering"
    qmax = "0   correction not applied" if math.isinf(one.qmax) else repr(one.qmax)
    lines = ["History written by pdfkit", "##### PDFgui", f"stype={radiation}", f"qmax={qmax}"]
    lines += [f"qdamp={own.qdamp!r}", f"qbroad={own.qbroad!r}", f"dscale={one.dscale!r}"]
    lines += ["# metadata", *(f"{key}={value!r}" for key, value in one.metadata.items())] if one.metadata else []
    lines += ["##### start data", "#L r(A) G(r) d_r d_Gr"]
    errors = [0.0] * len(pdf) if pdf.dG is None else pdf.dG.tolist()
    rows = zip(pdf.r.tolist(), pdf.G.tolist(), errors, strict=True)
    return "\n".join([*lines, *(f"{r!r} {G!r} 0 {dG!r}" for r, G, dG in rows)]) + "\n"


def _simulation(one: ProjectSimulation) -> dict[str, Any]:
    """Return a simulation that PDFgui has still to run."""
    steps = (one.rmax - one.rmin) / one.step if one.step > 0 else 0.0
    count = round(steps) + 1 if 0 <= steps < 1e6 else 0
    about = {"rmin": one.rmin, "rmax": one.rmax, "rstep": one.step, "rlen": count, "rcalc": [], "Gcalc": []}
    qmax = 0.0 if math.isinf(one.qmax) else one.qmax
    own = {"qmax": qmax, "qdamp": one.qdamp, "qbroad": one.qbroad, "dscale": one.dscale}
    return {**about, "stype": one.probe, **own}
