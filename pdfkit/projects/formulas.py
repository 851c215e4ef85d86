"""Formulas of PDFgui's constraints, such as "0.5*@7 + 0.25", and the variables that have them, such as "lat(1)".

@7 is a parameter of the fit. Formulas are read by the same grammar as ties (`pdfkit._expressions`): arithmetic and a
few functions, nothing is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from pdfkit import _expressions
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.structure.structure import NAMES_CELL, NAMES_U

if TYPE_CHECKING:
    from pdfkit.projects.project import ProjectPhase
    from pdfkit.structure.structure import Structure

_INDEX = re.compile(r"@(\d{1,9})\b")
_ALONE = re.compile(r"\s*@(\d{1,9})\s*")


def indices(formula: str) -> tuple[int, ...]:
    """Return the numbers of the parameters in a formula, each once, in their order."""
    return tuple(dict.fromkeys(int(one) for one in _INDEX.findall(formula)))


def alone(formula: str) -> int | None:
    """Return the number of the parameter that a formula is, such as 3 of "@3"; None for any other."""
    found = _ALONE.fullmatch(formula)
    return None if found is None else int(found[1])


def expression(formula: str, names: Mapping[int, str]) -> str:
    """Return a formula with names, or numbers in brackets, in place of @1, @2…

    Raises ParameterError for what is no arithmetic.
    """
    out = _INDEX.sub(lambda found: names.get(int(found[1]), f"p{int(found[1])}"), formula).strip()
    try:
        _expressions.parse(out)
    except ParameterError as error:
        raise ParameterError(f"the formula {formula[:60]!r} of the project cannot be read: {error}") from None
    return out


def evaluate(formula: str, values: Mapping[int, float]) -> float:
    """Return the value of a formula at values of its parameters. ParameterError where it has none."""
    text = expression(formula, {})
    return _expressions.evaluate(text, {f"p{k}": values[k] for k in indices(formula)})[0]


def guess(formula: str, value: float) -> dict[int, float]:
    """Return the start values that PDFgui gives new parameters of a formula whose variable has a value.

    That is what makes it so where the formula is linear in one parameter, and 0 elsewhere.
    """
    out = dict.fromkeys(indices(formula), 0.0)
    if len(out) != 1:
        return out
    (k,) = out
    try:
        low, middle, high = (evaluate(formula, {k: x}) for x in (0.25, 0.5, 0.75))
    except ParameterError:
        return out
    slope = 4 * (middle - low)
    if slope and math.isclose(high - middle, middle - low, rel_tol=1e-8):
        out[k] = (value - middle) / slope + 0.5
    return out


# --- Variables --------------------------------------------------------------------------------------------------------

OF_PHASE = ("delta1", "delta2", "sratio", "rcut", "spdiameter", "stepcut")
OF_DATA = ("dscale", "qdamp", "qbroad")
_CALL = re.compile(r"(lat|x|y|z|occ|u11|u22|u33|u12|u13|u23)\((\d{1,6})\)")


def split(variable: str) -> tuple[str, int]:
    """Return a variable's word and its index, 0 where there is none: "u11(3)" is ("U11", 3).

    Raises ParameterError for what is no variable of PDFgui.
    """
    if variable == "pscale" or variable in OF_PHASE or variable in OF_DATA:
        return variable, 0
    found = _CALL.fullmatch(variable)
    if found is None or int(found[2]) < 1 or (found[1] == "lat" and int(found[2]) > 6):
        raise ParameterError(f"{variable[:40]!r} is not a variable of PDFgui: correct this constraint there")
    word, index = found[1], int(found[2])
    return (NAMES_CELL[index - 1], 0) if word == "lat" else (word.upper() if word[0] == "u" else word, index)


def of_structure(structure: Structure, variable: str) -> float:
    """Return the start value of a variable of a phase: that of its structure, or its header's."""
    word, index = split(variable)
    if word in NAMES_CELL and not index:
        return structure.cell[NAMES_CELL.index(word)]
    if not index:
        default = {"pscale": 1.0, "sratio": 1.0}.get(word, 0.0)
        return float(structure.meta.get("scale" if word == "pscale" else word, default))
    if index > len(structure.sites):
        raise ParameterError(
            f"the constraint of {variable} is of atom {index}, and the phase has {len(structure.sites)}: remove it"
        )
    site = structure.sites[index - 1]
    if word in NAMES_U:
        return structure.U_tensor(index - 1)[NAMES_U.index(word)]
    return site.occ if word == "occ" else site.xyz["xyz".index(word)]


def diameter_in(initial: str) -> float:
    """Return the diameter (Å) that a structure file gives in its line "shape sphere, 30"; 0 where it has none."""
    found = re.search(r"^[ \t]*shape[ \t]+sphere[ \t,]+([\d.eE+-]+)", initial, re.MULTILINE)
    try:
        return float(found[1]) if found else 0.0
    except ValueError:
        return 0.0


def starts_of(phase: ProjectPhase) -> dict[str, float]:
    """Return the value at the start of each variable that has a formula, 0 where it cannot be had."""
    out = dict.fromkeys(phase.constraints, 0.0)
    with suppress(PdfkitError):
        structure = phase.structure
        for variable in out:
            with suppress(PdfkitError):
                out[variable] = of_structure(structure, variable)
    return out | ({"spdiameter": phase.spdiameter} if "spdiameter" in out else {})
