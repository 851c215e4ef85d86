"""A result of a fit as a fit of PDFgui: every atom of the cell, and a formula for each variable that varied.

What symmetry ties to a free quantity is linear in it: positions and tensors of the atoms of the cell are
rotation·(free) + translation, so the slopes are those between two values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks, _expressions
from pdfkit._checks import Array
from pdfkit.errors import PdfkitError
from pdfkit.io.stru_text import listed_numbers
from pdfkit.projects.grids import observed_step
from pdfkit.projects.project import Curves, Fits, Project, ProjectData, ProjectFit, ProjectParameter, ProjectPhase
from pdfkit.projects.recipes import stru_text
from pdfkit.projects.summary import res_text

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal
    from pdfkit.results.result import DatasetFit, FitResult

_SHAPES = ("bulk", "sphere", "stepcut")
_PLAIN = ("delta1", "delta2", "sratio", "spdiameter", "stepcut")
_ATOM = ("x", "y", "z", "u11", "u22", "u33", "u12", "u13", "u23", "occ")


def project_of(results: Mapping[str, FitResult]) -> Project:
    """Return a project with a fit of each result, by name. PdfkitError for what PDFgui does not have."""
    _checks.instance("results", results, Mapping, 'results of fits by name, such as {"Ni": result}')
    journal = "Written by pdfkit. Rw and values are those of its fits, which differ a little from PDFfit2's."
    return Project(Fits({name: fit_of(name, result) for name, result in results.items()}), "", journal)


def fit_of(name: str, result: FitResult) -> ProjectFit:
    """Return a result as a fit of a project. PdfkitError for what PDFgui does not have."""
    numbers = {free: k for k, free in enumerate(result.free, 1)}
    formulas = _formulas(result, numbers)
    _check(result)
    phases = tuple(_phase(phase, result, formulas) for phase in result.datasets[0].model.phases)
    data = tuple(_data(one, formulas, len(result.datasets) > 1) for one in result.datasets)
    parameters = {k: _parameter(k, result.params[free]) for free, k in numbers.items()}
    return ProjectFit(name, phases, data, parameters, result.rw, res_text(result))


def _check(result: FitResult) -> None:
    phases = result.datasets[0].model.phases
    for phase in phases:
        if phase.kind != "crystal" or phase.shape.kind not in _SHAPES:
            raise PdfkitError(
                f"phase {phase.name} is {phase.kind}, {phase.outline}: PDFgui has crystals, bulk or with a diameter"
            )
        if getattr(phase, "rigid", False):
            raise PdfkitError(
                f"phase {phase.name} has rigid molecules, which PDFgui does not know: its .stru has where the fit left "
                "their atoms"
            )
    if len(phases) > 1 and len(result.datasets) > 1:
        raise PdfkitError(
            "several phases have a scale of their own in each of several data sets, and one for all in PDFgui: write a "
            "fit of one data set"
        )
    for one in result.datasets:
        if one.model.instrument.probe not in ("X", "N") or one.model.instrument.window != "none":
            raise PdfkitError("PDFgui knows X-rays and neutrons, and no modification function: this fit has others")


def _parameter(k: int, par: Any) -> ProjectParameter:
    return ProjectParameter(k, float(par.init_value), False, float(par.value), par.stderr)


def _formulas(result: FitResult, numbers: Mapping[str, int]) -> dict[str, str]:
    """Return the formula of each parameter that varies, free or tied, by its name."""
    out: dict[str, str] = {free: f"@{k}" for free, k in numbers.items()}

    def of(name: str) -> str:
        if name not in out:
            expression = result.params[name].expr
            value = repr(float(result.params[name].value))
            out[name] = _substituted(expression, of) if expression else value
        return out[name]

    tied = [name for name, par in result.params.items() if par.expr]
    return {name: of(name) for name in (*numbers, *tied) if "@" in of(name)}


def _substituted(expression: str, of: Callable[[str], str]) -> str:
    """Return an expression with a formula in place of each name; PDFfit2 has no powers."""
    if "**" in expression:
        raise PdfkitError(f"the tie {expression[:60]!r} has a power, which PDFgui does not know: write it as a product")
    known = _expressions.names(expression)
    return re.sub(
        r"[A-Za-z_][\w.]*", lambda found: f"({of(found[0])})" if found[0] in known else _constant(found[0]), expression
    )


def _constant(word: str) -> str:
    return repr(_expressions.CONSTANTS[word]) if word in _expressions.CONSTANTS else word


# --- Phases ----------------------------------------------------------------------------------------------------------


def _phase(phase: Any, result: FitResult, formulas: Mapping[str, str]) -> ProjectPhase:
    lead = f"{phase.name}."
    own = {name.removeprefix(lead): formula for name, formula in formulas.items() if name.startswith(lead)}
    began = {
        name.removeprefix(lead): float(par.init_value)
        for name, par in result.params.items()
        if name.startswith(lead) and par.init_value is not None and name in result.free
    }
    known = {q.name for q in phase.quantities}
    start = phase.with_values({name: value for name, value in began.items() if name in known})
    constraints = {word: own[word] for word in _PLAIN if word in own}
    if "scale" in own and len(result.datasets) == 1:
        constraints["pscale"] = own["scale"]
    structural = {name: formula for name, formula in own.items() if name in known and name not in (*_PLAIN, "scale")}
    constraints |= _of_atoms(phase, structural)
    diameter = float(getattr(start.shape, "spdiameter", 0.0))
    return ProjectPhase(phase.name, stru_text(start), constraints, stru_text(phase), spdiameter=diameter)


def _of_atoms(phase: Crystal, formulas: Mapping[str, str]) -> dict[str, str]:
    """Return the formulas of cell and atoms that follow from those of the quantities of a crystal."""
    here = listed_numbers(phase.structure)
    slopes = {name: _slope(phase, name, here) for name in formulas}
    values = {q.name: q.value for q in phase.quantities}
    out = {}
    for i, variable in enumerate(_names(len(here) // 10)):
        parts = {name: float(column[i]) for name, column in slopes.items() if abs(column[i]) > 1e-9}
        if parts:
            rest = float(here[i]) - sum(slope * values[name] for name, slope in parts.items())
            out[variable] = _sum(parts, formulas, rest)
    return out


def _names(atoms: int) -> list[str]:
    cell = [f"lat({k})" for k in range(1, 7)]
    return cell + [f"{word}({i})" for i in range(1, atoms + 1) for word in _ATOM]


def _slope(phase: Crystal, name: str, here: Array) -> Array:
    quantity = next(q for q in phase.quantities if q.name == name)
    step = 1e-3 * (abs(quantity.value) or 1.0)
    step = -step if quantity.value + step > quantity.most else step
    there = listed_numbers(phase.with_values({name: quantity.value + step}).structure)
    change = there - here
    change[6:] -= np.where(np.tile(np.arange(10) < 3, (here.size - 6) // 10), np.round(change[6:]), 0.0)  # whole cells
    return np.asarray(change / step)


def _sum(parts: Mapping[str, float], formulas: Mapping[str, str], rest: float) -> str:
    """Return Σ slope·formula + rest as short as it can be."""
    terms = []
    for name, slope in parts.items():
        slope, formula = round(slope, 9), formulas[name]
        inner = formula if formula.startswith("@") and formula[1:].isdecimal() else f"({formula})"
        terms.append(inner if slope == 1 else f"-{inner}" if slope == -1 else f"{slope!r}*{inner}")
    text = " + ".join(terms).replace("+ -", "- ")
    return text if abs(rest) < 1e-9 else f"{text} + {round(rest, 10)!r}".replace("+ -", "- ")


# --- Data ------------------------------------------------------------------------------------------------------------


def _data(one: DatasetFit, formulas: Mapping[str, str], several: bool) -> ProjectData:
    lead = f"{one.name}." if several else ""
    name = one.name or one.data.name or "data"
    own = {word: formulas[f"{lead}{word}"] for word in ("qdamp", "qbroad") if f"{lead}{word}" in formulas}
    phase = one.model.phases[0]
    scale = f"{lead}{phase.name}.scale"
    if several and scale in formulas:
        own["dscale"] = formulas[scale]
    r, observed = one.data.r, _observed(one)
    return ProjectData(
        name,
        observed,
        float(r[0]) + 0.5 * observed_step(observed),  # PDFgui begins at the last point below
        float(r[-1]),
        float(r[-1] - r[0]) / max(r.size - 1, 1),
        constraints=own,
        refined={"qdamp": one.model.instrument.qdamp, "qbroad": one.model.instrument.qbroad, "dscale": 1.0},
        curves=Curves(r, one.calc.G, one.difference),
        metadata={} if one.data.temperature is None else {"temperature": one.data.temperature},
    )


def _observed(one: DatasetFit) -> Any:
    about = replace(one.model.instrument, qmax=one.model.instrument.qmax or math.inf)
    return replace(one.data if one.whole is None else one.whole, instrument=about)
