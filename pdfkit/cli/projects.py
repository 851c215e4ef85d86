"""Commands on projects of PDFgui: `pdfkit convert`, and what `fit` and `info` do with one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdfkit.cli import options as o
from pdfkit.cli.console import Printed, faults, fitting
from pdfkit.errors import PdfkitError

if TYPE_CHECKING:
    from pdfkit.cli.info_data import Lines
    from pdfkit.projects.project import Project, ProjectFit
    from pdfkit.results.result import FitResult

Convention = Annotated[
    str | None,
    typer.Option(
        "--convention",
        help="For a PDFgui project: pdffit2 (if not given) calculates as PDFfit2 does, default as pdfkit does.",
        autocompletion=o.one_of("pdffit2", "default"),
    ),
]


def convert(
    project: Annotated[
        Path,
        typer.Argument(
            metavar="PROJECT.ddp3|RESULT.h5", help="A PDFgui project (.ddp3 or .ddp), or a result of a fit (.h5)."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Of a result: only this file, which ends in .res, .fgr or .ddp3."),
    ] = None,
    out: o.OutFolder = None,
    convention: Convention = None,
) -> Printed:
    """Write the fits of a PDFgui project as recipes, or a result of pdfkit as files for PDFgui.

    From a project: each fit goes into a folder of its own in --out (default: pdfkit-out/<project name>), with its
    structures (.stru) and data (.gr); run one with `pdfkit fit <folder>/fit.toml`. With --convention pdffit2 the data
    are the points that PDFgui hands to PDFfit2.

    From a result (.h5): refined structures (.stru with standard uncertainties), fit curves (.fgr), the text that
    PDFgui exports (.res), and a project (.ddp3) to go on with in PDFgui; or one of these files alone, pdfkit convert
    fit.h5 ni.res.
    """
    from pdfkit.cli.fits import is_hdf5
    from pdfkit.projects.reading import read_project

    if is_hdf5(project):
        if convention is not None:
            raise PdfkitError(f"--convention {convention} is for projects of PDFgui: a result has its own")
        return _for_pdfgui(project, _folder(project, out)) if file is None else _alone(project, file, out)
    if file is not None:
        raise PdfkitError(f"{file}: a project becomes a folder of recipes, not one file: give --out a folder")
    found = read_project(project)
    files = found.convert(_folder(project, out), convention or "pdffit2")
    return Printed("\n".join(map(str, files)), files, {"fits": list(found.fits)}, _remarks(found), _left_out(found))


def _alone(path: Path, file: Path, out: Path | None) -> Printed:
    """Write one file of a result, in the form that its ending says."""
    from pdfkit.io._atomic import check_target
    from pdfkit.io.exports import write_fgr, write_project, write_res
    from pdfkit.results.saving import load_result

    writers: dict[str, Any] = {".res": write_res, ".fgr": write_fgr, ".ddp3": write_project}
    kind = file.suffix.lower()
    if kind not in writers:
        raise PdfkitError(f"{file}: a result is written as one file for PDFgui in .res, .fgr or .ddp3: end it so")
    if out is not None:
        raise PdfkitError(f"{file} says where to write, and --out a folder: give one of the two")
    check_target(file, [path])
    result = load_result(path)
    writers[kind](file, {path.stem: result} if kind == ".ddp3" else result)
    return Printed(files=[file], values={"rw": result.rw})


def _for_pdfgui(path: Path, out: Path) -> Printed:
    """Write a result as PDFgui and PDFfit2 read it; what they do not have is said, and the rest is written."""
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import folder, publish
    from pdfkit.io.exports import write_fgr, write_project
    from pdfkit.projects.recipes import stru_text
    from pdfkit.projects.summary import res_text
    from pdfkit.results.saving import load_result

    result = load_result(path)
    phases: list[Any] = list(result.datasets[0].model.phases)
    texts = {f"{one.name}.stru": stru_text(one, result.covariance_of(one)) for one in phases if one.kind == "crystal"}
    left = [f"phase {one.name} is {one.kind}, and no .stru is written of it" for one in phases if one.kind != "crystal"]
    texts |= {} if left else {f"{path.stem}.res": res_text(result)}
    curves = {f"{one.name or path.stem}.fgr": one.name or None for one in result.datasets}
    name = f"{path.stem}.ddp3"
    with folder(out, [*texts, *curves, name], [path]) as target, publish(target) as stage:
        for file, text in texts.items():
            write_text(stage / file, text)
        for file, data in curves.items():
            write_fgr(stage / file, result, data)
        try:
            write_project(stage / name, {path.stem: result})
        except PdfkitError as error:
            left, name = [*left, f"no project is written: {error}"], ""
    files = [target / file for file in (*texts, *curves, name) if file]
    return Printed("\n".join(map(str, files)), files, {"rw": result.rw}, warnings=left)


def _folder(project: Path, out: Path | None) -> Path:
    return out or Path("pdfkit-out") / project.stem


def _left_out(project: Project) -> list[str]:
    return [f"fit {name} is left out: {fit.obstacle}" for name, fit in project.fits.items() if fit.obstacle]


def _remarks(project: Project) -> list[str]:
    return [f"fit {name}: {text}" for name, fit in project.fits.items() for text in fit.remarks]


# --- fit -------------------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    """What comes of the fits of a project, one after the other."""

    convention: str
    out: Path
    texts: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def take(self, word: str, fit: ProjectFit, source: Path) -> None:
        """Fit one, and write its results into a folder of its own."""
        from pdfkit.io._folders import folder
        from pdfkit.recipes.outputs import Location, write_all
        from pdfkit.recipes.recipe import WRITE

        live = fit.live(self.convention)
        with folder(self.out / word, (), [source]) as target:
            with fitting(fit.name) as tell:
                result = live.run(tell)
            self.files += write_all(result, WRITE, Location(target, title=fit.name, recipe=fit.recipe(self.convention)))
        self.texts.append(fit.table(result, self.convention))
        self.values[fit.name] = _values(fit, result, live.found(result), self.convention)
        self.warnings += faults(result, f"fit {fit.name}")


def fit_project(path: Path, out: Path | None, convention: str) -> Printed:
    """Fit everything in a project again; a fit that lacks something, or fails, is said, and the others are done."""
    from pdfkit.phases.base import plain_word
    from pdfkit.projects.reading import read_project, unique

    project = read_project(path)
    run = _Run(convention, _folder(path, out))
    left = _left_out(project)
    failed = []
    for word, fit in zip(unique(map(plain_word, project.fits)), project.fits.values(), strict=True):
        try:
            if not fit.obstacle:
                run.take(word, fit, path)
        except PdfkitError as error:
            failed.append(str(error))
    if not run.texts:
        raise PdfkitError((failed or left or [f"{path}: the project has no fits"])[0])
    fault = f"{len(failed)} of the fits failed, the first with: {failed[0]}" if failed else ""
    values = {"fits": run.values}
    return Printed("\n\n".join(run.texts), run.files, values, _remarks(project), [*run.warnings, *left], error=fault)


def _values(fit: ProjectFit, result: FitResult, found: Any, convention: str) -> dict[str, Any]:
    """Return what a program wants to know of a fit."""
    from pdfkit.projects.tables import calculated_again

    parameters = {
        f"@{k}": {"start": one.start, "recorded": one.refined, "fixed": one.fixed, "new": found.get(k, (None,))[0]}
        for k, one in fit.parameters.items()
    }
    again, _ = calculated_again(fit, convention)
    return {"rw_recorded": fit.rw, "rw_calculated_again": again, "rw": result.rw, "parameters": parameters}


# --- info ------------------------------------------------------------------------------------------------------------


def of_project(path: Path, everything: bool) -> Lines:
    """Yield what is in a project; its parameters where there is one fit, or everything is wanted."""
    from pdfkit.projects.reading import read_project

    project = read_project(path)
    everything = everything or len(project.fits) == 1
    yield "kind", "project of PDFgui"
    if project.journal:
        yield "journal", " ".join(project.journal.split())[:200]
    for name, fit in project.fits.items():
        rw = "not run" if fit.rw is None else f"Rw {fit.rw:.4f}"
        free = sum(not one.fixed for one in fit.parameters.values())
        yield "fit", f"{name}: {rw}, {free} parameters free, {len(fit.parameters) - free} fixed"
        for phase in fit.phases:
            yield "  phase", f"{phase.name}: {len(phase.constraints)} constraints"
        for one in fit.data:
            cut = f"Qmax {one.qmax:g} Å⁻¹" if one.qmax < float("inf") else "no Qmax"
            where = f"fitted {one.rmin:g} to {one.rmax:g} Å every {one.step:.3g} Å ({one.grid})"
            yield "  data", f"{one.name}: {one.observed.instrument.probe}, {cut}, {where}"
        for simulation in fit.simulations:
            yield "  simulation", f"{simulation.name}: {simulation.rmin:g} to {simulation.rmax:g} Å"
        for k, parameter in fit.parameters.items() if everything else ():
            yield f"  @{k}", _of_parameter(parameter)
        if fit.obstacle:
            yield "remark", f"fit {name}: {fit.obstacle}"
    for text in _remarks(project):
        yield "remark", text


def _of_parameter(one: Any) -> str:
    found = "" if one.refined is None or one.fixed else f", found {one.refined:.6g}"
    error = f" ± {one.stderr:.2g}" if found and one.stderr else ""
    return f"{one.link or f'{one.start:.6g}'}{' fixed' if one.fixed else ''}{found}{error}"
