"""From the file of a project to its value. Old projects (.ddp of PDFgui 1) are read with their names of that time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote_plus

from pdfkit._expressions import MOST_CHARACTERS
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io._atomic import AnyPath
from pdfkit.projects import formulas, pickles
from pdfkit.projects.archive import Archive, FitParts, Part, open_archive
from pdfkit.projects.formulas import diameter_in, starts_of
from pdfkit.projects.observed import read_observed
from pdfkit.projects.pickles import Budget, PickleError, Record, number, numbers, read_pickle, table, text
from pdfkit.projects.project import (
    ALL_PAIRS,
    Curves,
    Fits,
    Project,
    ProjectData,
    ProjectFit,
    ProjectParameter,
    ProjectPhase,
    ProjectSimulation,
    used_numbers,
)

T = TypeVar("T")
Load = Callable[[str, bytes], Any]

# What variables were called in PDFgui 1.
_OLD = {"gamma": "delta1", "delta": "delta2", "srat": "sratio", "qsig": "qdamp", "qalp": "qbroad"}
MOST_FITS, MOST_CONSTRAINTS, _REPORT = 5_000, 50_000, 200_000

_FITTED = ("dscale", "qdamp", "qbroad")


def read_project(path: AnyPath) -> Project:
    """Return the fits in a project of PDFgui: .ddp3, or .ddp of its older versions.

    Projects hold pickles, which can run any code where Python loads them. Here nothing is loaded: they are read as
    data, and one that asks for more than PDFgui needs is refused.

    Raises
    ------
    ReadError : no project, damaged, larger than any project, or made to do harm; says which part of it.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25), convention="pdffit2")
    >>> data = model.with_values({"ni.a": 3.53})(np.arange(1, 10, 0.05))  # simulated
    >>> result = pk.fit(model, data, free=["scale", "a"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     project = pk.read_project(pk.io.write_project(f"{folder}/ni.ddp3", {"nickel": result}))
    >>> fit = project.fits["nickel"]
    >>> fit.constraints["ni lat(1)"], round(fit.parameters[2].refined, 3)
    ('@2', 3.53)
    >>> print(f"Rw = {fit.run().rw:.4f}")  # and fit.live(), fit.recipe(), fit.table(), project.convert("folder")
    Rw = 0.0000
    """
    archive, budget = open_archive(path), Budget()
    load = partial(_loaded, path, budget)
    parts = _in_order(archive)
    if len(parts) > MOST_FITS:
        raise ReadError(path, f"it has more than {MOST_FITS} fits: was it made to exhaust the memory?")
    read = [_guarded(path, name, partial(_fit, one, load)) for name, one in parts]
    fits = _linked(_with_names(read))
    journal = archive.files.get("journal", b"").decode("utf-8", "replace")
    return Project(Fits(fits), Path(path).stem, journal)


def _loaded(path: AnyPath, budget: Budget, where: str, data: bytes) -> Any:
    try:
        return read_pickle(data, budget)
    except PickleError as error:
        raise ReadError(path, f"{_plain(where)[:80]}: {error}") from None


def _guarded(path: AnyPath, name: str, action: Callable[[], T]) -> T:
    """Do something for one fit; what is wrong with it names file and fit."""
    try:
        return action()
    except ReadError:
        raise
    except (PickleError, PdfkitError) as error:
        raise ReadError(path, f"fit {_plain(name)[:60]}: {error}") from None


def _plain(name: str) -> str:
    return text(name)


def _in_order(archive: Archive) -> list[tuple[str, FitParts]]:
    """Return the fits in the order of the list that the project has of them; a fit without parts is empty."""
    if "fits" not in archive.files:
        return [(parts.name, parts) for parts in archive.fits.values()]
    names = [name for name in archive.files["fits"].decode("utf-8", "replace").splitlines() if name][: MOST_FITS + 1]
    found = [archive.fits.get(quote_plus(name)) or archive.fits.get(name) for name in names]
    return [(name, parts or FitParts(name)) for name, parts in zip(names, found, strict=True)]


def unique(names: Iterable[str]) -> list[str]:
    """Return names that differ: a repeated "Ni" becomes "Ni_2"."""
    out: dict[str, None] = {}
    tried: dict[str, int] = {}
    for name in names:
        new = name
        while new in out:
            tried[name] = tried.get(name, 1) + 1
            new = f"{name}_{tried[name]}"
        out[new] = None
    return list(out)


def _with_names(fits: list[ProjectFit]) -> dict[str, ProjectFit]:
    names = unique(fit.name for fit in fits)
    return {name: replace(fit, name=name) for name, fit in zip(names, fits, strict=True)}


# --- A fit -----------------------------------------------------------------------------------------------------------


def _fit(parts: FitParts, load: Load) -> ProjectFit:
    remarks: list[str] = []
    phases = _all(parts, "structure", "initial", partial(_phase, load=load), remarks)
    data = _all(parts, "dataset", "obs", partial(_data, load=load), remarks)
    simulations = _all(parts, "calculation", "config", partial(_simulation, load=load), remarks)
    phases, data = _diameter_of_phases(phases, data, remarks)
    rw, report = _result(parts, load)
    fit = ProjectFit(_plain(parts.name), tuple(phases), tuple(data), {}, rw, report, tuple(simulations))
    stored = table(load(f"{parts.name}/parameters", parts.files["parameters"])) if "parameters" in parts.files else {}
    parameters = _parameters(fit, stored, _errors(report), remarks)
    return replace(fit, parameters=parameters, remarks=tuple(remarks))


def _all(parts: FitParts, branch: str, first: str, read: Callable[[Part, str], Any], remarks: list[str]) -> list[Any]:
    """Return what is read of the parts of a kind; one whose first file is missing is left out, with a remark."""
    out, kind = [], {"structure": "phase", "dataset": "data set", "calculation": "simulation"}[branch]
    for part in parts.branches[branch]:
        if first in part.files:
            out.append(read(part, f"{parts.name}/{branch}/{part.name}"))
        else:
            remarks.append(
                f"{kind} {_plain(part.name)} is not in the project (its file {first!r} is missing): left out"
            )
    names = unique(one.name for one in out)
    twins = sorted({one.name for one, name in zip(out, names, strict=True) if one.name != name})
    remarks += [f"two of the fit's {kind}s are called {name}: PDFgui itself opens one of them only" for name in twins]
    return [replace(one, name=name) for one, name in zip(out, names, strict=True)]


def _phase(part: Part, where: str, load: Load) -> ProjectPhase:
    def stored(key: str) -> str:
        return part.files.get(key, b"").decode("utf-8", "replace")

    pairs = stored("selected_pairs") or ALL_PAIRS
    initial, refined = stored("initial"), stored("refined")
    known = _formulas(part, where, load)
    return ProjectPhase(_plain(part.name), initial, known, refined, _plain(pairs), diameter_in(initial))


def _formulas(part: Part, where: str, load: Load) -> dict[str, str]:
    """Return the formulas of a phase or a data set by variable."""
    if "constraints" not in part.files:
        return {}
    stored = table(load(f"{where}/constraints", part.files["constraints"]))
    if len(stored) > MOST_CONSTRAINTS:
        raise PickleError(f"{_plain(part.name)} has more than {MOST_CONSTRAINTS} constraints: is this the right file?")
    out = {}
    for variable, record in stored.items():
        if not isinstance(record, Record) or record.name != pickles.CONSTRAINT or not isinstance(variable, str):
            raise PickleError(f"{_plain(part.name)} has a constraint that is none of PDFgui's")
        name = text(variable).replace(" ", "")
        formula = record.fields.get("formula")
        if not isinstance(formula, str) or len(formula) > MOST_CHARACTERS:
            raise PickleError(f"the formula of {name[:40]} is none of PDFgui's: it is no text, or longer than any")
        out[_OLD.get(name, name)] = text(formula)
    return out


def _data(part: Part, where: str, load: Load) -> ProjectData:
    seen = read_observed(part.files["obs"].decode("utf-8", "replace"), _plain(part.name))
    stored = table(load(f"{where}/calc", part.files["calc"])) if "calc" in part.files else {}
    start = {k: number(v) for k, v in table(stored.get("initial", {})).items() if k in _FITTED and v is not None}
    refined = {k: number(v) for k, v in table(stored.get("refined", {})).items() if k in _FITTED and v is not None}
    about: dict[str, Any] = {key: abs(start[key]) for key in ("qdamp", "qbroad") if key in start}
    observed = seen.pdf if not about else replace(seen.pdf, instrument=replace(seen.pdf.instrument, **about))
    r = observed.r
    rmin, rmax, step = (_number_or(stored.get(key), 0.0) for key in ("fitrmin", "fitrmax", "fitrstep"))
    return ProjectData(
        _plain(part.name),
        observed,
        rmin=max(rmin or float(r[0]), float(r[0])),
        rmax=min(rmax or float(r[-1]), float(r[-1])),
        step=step or (float(r[-1] - r[0]) / (r.size - 1) if r.size > 1 else 0.0),
        dscale=start.get("dscale", seen.dscale),
        constraints=_formulas(part, where, load),
        refined=refined,
        curves=_curves(stored),
        metadata={**seen.metadata, **({"spdiameter": seen.spdiameter} if seen.spdiameter else {})},
    )


def _number_or(value: Any, default: float) -> float:
    out = default if value is None else number(value)
    return out if math.isfinite(out) else default


def _curves(stored: Mapping[str, Any]) -> Curves | None:
    """Return the curves that a fit left; those that do not belong together are none."""
    r, calc, difference = (numbers(stored.get(key) or []) for key in ("rcalc", "Gcalc", "dGcalc"))
    return Curves(r, calc, difference) if 0 < r.size == calc.size == difference.size else None


def _simulation(part: Part, where: str, load: Load) -> ProjectSimulation:
    stored = table(load(f"{where}/config", part.files["config"]))
    qdamp, qbroad = stored.get("qdamp", stored.get("qsig")), stored.get("qbroad", stored.get("qalp"))
    rest = [_number_or(stored.get(key), 0.0) for key in ("dscale", "rmin", "rmax", "rstep")]
    probe = "N" if text(stored.get("stype")) == "N" else "X"
    qmax = _number_or(stored.get("qmax"), 0.0) or math.inf
    return ProjectSimulation(_plain(part.name), probe, qmax, _number_or(qdamp, 0.0), _number_or(qbroad, 0.0), *rest)


def _diameter_of_phases(
    phases: list[ProjectPhase], data: list[ProjectData], remarks: list[str]
) -> tuple[list[ProjectPhase], list[ProjectData]]:
    """Move the diameter from the data, where PDFgui 1 kept it, to the phases, unless one of these has its own."""
    tied = [one.constraints["spdiameter"] for one in data if "spdiameter" in one.constraints]
    sizes = [one.metadata["spdiameter"] for one in data if one.metadata.get("spdiameter")]
    clean = [replace(one, constraints=_without(one.constraints), metadata=_without(one.metadata)) for one in data]
    if any(phase.spdiameter for phase in phases) or not (tied or sizes):
        return phases, clean
    if len(set(sizes)) > 1:
        remarks.append(
            f"the data sets have different spdiameter: {sizes[0]:g} Å, that of the first, is taken for all phases"
        )
    size = sizes[0] if sizes else 0.0
    more = {"spdiameter": tied[0]} if tied else {}
    return [replace(one, spdiameter=size, constraints={**more, **one.constraints}) for one in phases], clean


def _without(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "spdiameter"}


# --- Parameters and results ------------------------------------------------------------------------------------------


def _result(parts: FitParts, load: Load) -> tuple[float | None, str]:
    if "result" not in parts.files:
        return None, ""
    stored = load(f"{parts.name}/result", parts.files["result"])
    if not isinstance(stored, tuple) or len(stored) != 2:
        raise PickleError("the result is not a number and a text, as PDFgui writes it")
    report = stored[1][:_REPORT] if isinstance(stored[1], str) else ""
    return number(stored[0]), "\n".join(text(line) for line in report.splitlines())


_ERROR = re.compile(r"\b(\d{1,9}):\s+\S+(?:\s+\(([\d.eE+-]+)\))?")


def _errors(report: str) -> dict[int, float]:
    """Return the standard errors in a report of PDFfit2, by number of the parameter."""
    _, _, last = report.partition("Refinement parameters :")
    out = {}
    for k, error in _ERROR.findall(last.partition("-----")[0]):
        try:
            out[int(k)] = float(error)
        except ValueError:  # a fixed one has none
            continue
    return out


def _parameters(
    fit: ProjectFit, stored: Mapping[Any, Any], errors: Mapping[int, float], remarks: list[str]
) -> dict[int, ProjectParameter]:
    """Return the parameters that the constraints use; those that the project does not list start as PDFgui does."""
    known = {k: _parameter(k, record, errors.get(k)) for k, record in stored.items() if isinstance(k, int)}
    used = used_numbers(fit)
    idle = sorted(set(known) - used)
    if idle:
        remarks.append(f"{', '.join(f'@{k}' for k in idle[:6])}: no constraint uses this parameter, which is left out")
    missing = [k for k in used if k not in known]
    guessed = _guesses(fit) if missing else {}
    return {k: known.get(k) or ProjectParameter(k, guessed[k]) for k in sorted(used)}


def _parameter(k: int, record: Any, error: float | None) -> ProjectParameter:
    if not isinstance(record, Record) or record.name != pickles.PARAMETER:
        raise PickleError(f"parameter @{k} is none of PDFgui's")
    values = record.fields
    start, refined = values.get("_Parameter__initial"), values.get("refined")
    link = text(start)
    return ProjectParameter(
        k,
        math.nan if link or start is None else number(start),
        bool(values.get("fixed")),
        None if refined is None else number(refined),
        None if refined is None else error,
        link,
    )


def _guesses(fit: ProjectFit) -> dict[int, float]:
    """Return the start values that PDFgui gives parameters when they are first used."""
    out: dict[int, float] = {}
    for phase in fit.phases:
        for variable, start in starts_of(phase).items():
            out = formulas.guess(phase.constraints[variable], start) | out
    for one in fit.data:
        known = {"dscale": one.dscale, "qdamp": one.observed.instrument.qdamp, "qbroad": one.observed.instrument.qbroad}
        for variable, formula in one.constraints.items():
            out = formulas.guess(formula, known.get(variable, 0.0)) | out
    return out


def _linked(fits: dict[str, ProjectFit]) -> dict[str, ProjectFit]:
    """Give parameters that start from another fit its value: refined, or its own start where it was not run."""
    out = {}
    for name, fit in fits.items():
        parameters, remarks = dict(fit.parameters), list(fit.remarks)
        for k, one in parameters.items():
            if one.link:
                start = _followed(fits, name, k)
                parameters[k] = replace(one, start=start)
                if math.isnan(start):
                    remarks.append(f"@{k} starts from {one.link[:60]!r}, which is not in the project")
        out[name] = replace(fit, parameters=parameters, remarks=tuple(remarks))
    return out


def _followed(fits: Mapping[str, ProjectFit], name: str, k: int) -> float:
    """Return the value at the end of a chain of links; NaN where it leads nowhere, or in a circle."""
    for _ in range(len(fits) * 2 + 2):
        one = fits[name].parameters.get(k) if name in fits else None
        if one is None:
            break
        if not one.link:
            return one.start
        name, k = _target(one)
        source = fits[name].parameters.get(k) if name in fits else None
        if source is not None and source.refined is not None:
            return source.refined
    return math.nan


def _target(parameter: ProjectParameter) -> tuple[str, int]:
    """Return fit and number that a link such as "=fit" or "=fit:3" names."""
    name, colon, last = parameter.link.removeprefix("=").rpartition(":")
    return (
        (name, int(last))
        if colon and last.isdecimal() and len(last) < 10
        else (parameter.link.removeprefix("="), parameter.number)
    )
