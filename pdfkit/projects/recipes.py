"""Fits of a project as recipes, with the structures and data that these name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.io._atomic import AnyPath
from pdfkit.phases.base import plain_word
from pdfkit.projects.reading import unique
from pdfkit.projects.running import words
from pdfkit.recipes.template import quoted

if TYPE_CHECKING:
    from pdfkit.phases.crystal import Crystal
    from pdfkit.projects.project import Project, ProjectFit
    from pdfkit.projects.running import LiveFit

RECIPE = "fit.toml"


def recipe_text(live: LiveFit, data: Mapping[str, str] | None = None) -> str:
    """Return a fit as a recipe that names <phase>.stru and <data>.gr, or the files given by data set."""
    files = {name: f"{name}.gr" for name in live.sets} | dict(data or {})
    lines = [f"# Fit {quoted(live.source.name)} of a project of PDFgui; parameters of its number are named behind #."]
    lines += [f"# {text}" for text in (*live.source.remarks, *live.remarks)]
    lines += [f"title = {quoted(live.source.name)}", ""]
    for name in live.sets:
        lines += [*_data_table(live, name, files[name]), ""]
    for phase in live.crystals:
        lines += [*_phase_table(phase), ""]
    return "\n".join([*lines, *_fit_table(live)]) + "\n"


def _data_table(live: LiveFit, name: str, file: str) -> list[str]:
    own = live.sets[name].instrument
    ends = {"rmin": live.rmin[name], "rmax": live.rmax[name]}
    values = {"qmax": own.qmax, "qdamp": own.qdamp, "qbroad": own.qbroad, **ends}
    lines = ["[[data]]", f"file = {quoted(file)}"]
    lines += [f"name = {quoted(name)}"] * (len(live.sets) > 1)
    lines += [f"probe = {quoted(own.probe or 'X')}"]
    return lines + [f"{key} = {_number(value)}" for key, value in values.items() if value is not None]


def _phase_table(phase: Crystal) -> list[str]:
    tensors = [site.label for site in phase.structure.sites if not site.isotropic]
    lines = ["[[phase]]", f"name = {quoted(phase.name)}", f"structure = {quoted(f'{phase.name}.stru')}"]
    return lines + [f"anisotropic = {_texts(tensors)}"] * bool(tensors)


def _fit_table(live: LiveFit) -> list[str]:
    numbers = {name: k for k, name in live.names.items()}
    use_errors = any(pdf.dG is not None for pdf in live.sets.values())
    lines = ["[fit]", "free = ["]
    lines += [f"    {quoted(name)},  # @{numbers[name]}" for name in live.free]
    lines += ["]", f"use_errors = {str(use_errors).lower()}"]
    lines += [f"convention = {quoted(live.convention)}"] * (live.convention != "default")
    for head, table in (("variables", live.variables), ("ties", live.ties)):
        if table:
            lines += ["", f"[fit.{head}]"]
            lines += [f"{quoted(key)} = {quoted(v) if isinstance(v, str) else _number(v)}" for key, v in table.items()]
    return lines


def _texts(values: list[str]) -> str:
    return f"[{', '.join(map(quoted, values))}]"


def _number(value: float) -> str:
    return "inf" if math.isinf(value) else repr(float(value))


def stru_text(phase: Crystal, covariance: Array | None = None) -> str:
    """Return a phase as a PDFfit file, with the numbers that its header has room for.

    covariance : of the quantities of the phase (`FitResult.covariance_of`), for standard uncertainties.
    """
    from pdfkit.io.stru_text import format_stru, listed_numbers

    own = {name: getattr(phase, name) for name in ("scale", "delta1", "delta2", "sratio", "rcut")}
    shape = {p.name: value for p, value in zip(phase.shape.parameters, phase.shape.values(), strict=True)}
    errors = None if covariance is None else phase.errors(covariance, listed_numbers)
    return format_stru(replace(phase.structure, meta={**own, **shape}), errors)


def convert(project: Project, folder: AnyPath, convention: str) -> list[Path]:
    """Write every fit into a folder of its own: fit.toml, a .stru of each phase, a .gr of each data set.

    A fit that cannot be one (no phase, no data) leaves what it has, without a recipe.
    """
    from pdfkit.io._folders import folder as held

    if not project.fits:
        raise PdfkitError(f"project {project.name} has no fits: there is nothing to convert")
    files = []
    for name, fit in zip(unique(map(plain_word, project.fits)), project.fits.values(), strict=True):
        texts, curves = _loose(fit) if fit.obstacle else _ready(fit.live(convention))
        if texts or curves:
            with held(Path(folder) / name, [*texts, *curves]) as target:
                files += _written(target, texts, curves)
    return files


def _ready(live: LiveFit) -> tuple[dict[str, str], dict[str, PDF]]:
    """Return recipe and structures as texts, and the data, by name of the file."""
    phases: Any = live.model.phases  # crystals, at the start values
    texts = {RECIPE: recipe_text(live)} | {f"{one.name}.stru": stru_text(one) for one in phases}
    return texts, {f"{name}.gr": pdf for name, pdf in live.sets.items()}


def _loose(fit: ProjectFit) -> tuple[dict[str, str], dict[str, PDF]]:
    """Return what there is of a fit that cannot be run."""
    phases = words((one.name for one in fit.phases), "phase")
    data = words((one.name for one in fit.data), "data", phases)
    texts = {f"{name}.stru": phase.initial for name, phase in zip(phases, fit.phases, strict=True)}
    return texts, {f"{name}.gr": one.observed for name, one in zip(data, fit.data, strict=True)}


def _written(target: Path, texts: Mapping[str, str], curves: Mapping[str, PDF]) -> list[Path]:
    from pdfkit.io._atomic import write_text
    from pdfkit.io._folders import publish
    from pdfkit.io.pdf import write_pdf

    with publish(target) as stage:
        for name, text in texts.items():
            write_text(stage / name, text)
        for name, pdf in curves.items():
            write_pdf(stage / name, pdf)
    return [target / name for name in (*texts, *curves)]
