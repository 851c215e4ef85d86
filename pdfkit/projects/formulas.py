"""Formulas of PDFgui's constraints, such as "0.5*@7 + 0.25", where @7 is a parameter of the fit.

They are read by the same grammar as ties (`pdfkit._expressions`): arithmetic and a few functions, nothing is run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from pdfkit import _expressions
from pdfkit.errors import ParameterError

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
