"""What the rows of `pdfkit verify --files` ask about settings: fits of simulated curves, as recipes describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.instrument import Instrument
from pdfkit.errors import remark
from pdfkit.io.columns import write_columns
from pdfkit.io.pdf import write_pdf
from pdfkit.model.model import Model
from pdfkit.phases.crystal import Crystal
from pdfkit.results.result import FitResult

STEP = 0.02


def recipe(
    folder: Path,
    *,
    curves: Mapping[str, Mapping[str, Any]],
    text: str,
    structure: str = "NaCl",
    spdiameter: float = 0.0,
    values: Mapping[str, float] | None = None,
    rmin: float = 1.0,
    header: bool = False,
) -> Path:
    """Write curves of one phase "s", each of its own instrument, and a recipe; return the recipe.

    curves : instruments by the stem of the file. values : what differs from the structure. header : whether the files
    say how they were measured.
    """
    from pdfkit.shapes import Sphere

    options: dict[str, Any] = {"shape": Sphere(spdiameter)} if spdiameter else {}
    phase = Crystal.from_file(structure, name="s", **options)
    r: Array = np.asarray(STEP * np.arange(round(rmin / STEP), round(15.0 / STEP)))
    for name, about in curves.items():
        model = Model(phase, Instrument(**about)).with_values(values or {})
        positive = r[r > 0]
        pdf = model(positive)
        if header:
            write_pdf(folder / f"{name}.gr", pdf)
        else:
            zeros = np.zeros(r.size - positive.size)
            write_columns(folder / f"{name}.gr", ["r", "G"], [r, np.concatenate([zeros, pdf.G])])
    path = folder / "fit.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _fitted(path: Path) -> FitResult:
    """Return the fit of a recipe; what its result remarks is said."""
    from pdfkit.recipes.recipe import fit_recipe, load_recipe

    result = fit_recipe(load_recipe(path))
    for text in result.remarks:
        remark(text, stacklevel=2)
    return result


def rw(path: Path) -> float:
    """Return Rw."""
    return _fitted(path).rw


def values(path: Path, names: list[str]) -> list[float]:
    """Return the values of parameters."""
    result = _fitted(path)
    return [float(result.params[name].value) for name in names]


def verdicts(path: Path) -> dict[str, bool]:
    """Return whether the fit converged, and whether the model describes the data."""
    result = _fitted(path)
    return {"converged": result.converged, "describes": result.describes}


def grid(path: Path) -> list[float]:
    """Return the first point and the step (Å) of what was fitted."""
    r = _fitted(path).data.r
    return [float(r[0]), float(r[1] - r[0])]


def instruments(path: Path) -> list[dict[str, Any]]:
    """Return qmax, qdamp and qbroad of every data set."""
    keys = ("qmax", "qdamp", "qbroad")
    return [{key: getattr(one.model.instrument, key) for key in keys} for one in _fitted(path).datasets]


MAKERS: Mapping[str, Callable[..., Path]] = {"recipe": recipe}
QUESTIONS: Mapping[str, Callable[..., Any]] = {
    "rw of the fit": rw,
    "values of the fit": values,
    "verdicts of the fit": verdicts,
    "grid of the fit": grid,
    "instruments of the fit": instruments,
}
