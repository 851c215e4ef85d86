"""Phases of one structure: what the data say for both, against one of them.

A second phase that differs from the first in its values alone always takes up some noise, and then its errors look
small: what is said of it must come from the evidence. The fit without it is one local fit more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.fitting.least_squares import refit
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters
from pdfkit.results.result import FitResult

STRONG = 5.0
"""ln Z for both phases from which on nothing is said."""
R = np.arange(1.5, 8.0, 0.1)
"""Where curves are compared, Å."""
SAME = 1e-9
MOST_TOLD = 100.0
"""ln Z beyond which nobody asks how much."""


def twins(model: Model) -> Iterator[tuple[str, str]]:
    """Yield pairs of phases whose curves are the same where their values are; what is taken away has no twin."""
    values = dict(zip(model.names, model.values, strict=True))
    for one, two in combinations([phase.name for phase in model.phases if phase.scale >= 0.0], 2):
        first, second = (_own(values, name) for name in (one, two))
        if first.keys() == second.keys() and _are_same(model, one, two, first):
            yield one, two


def _own(values: dict[str, float], phase: str) -> dict[str, float]:
    """Return the values of a phase by their names within it."""
    return {name.removeprefix(f"{phase}."): value for name, value in values.items() if name.startswith(f"{phase}.")}


def _are_same(model: Model, one: str, two: str, first: dict[str, float]) -> bool:
    alike = {f"{two}.{name}": value for name, value in first.items()}
    none = {f"{phase.name}.scale": 0.0 for phase in model.phases}
    curves = [model.with_values({**alike, **none, f"{name}.scale": 1.0})(R).G for name in (one, two)]
    return float(np.abs(curves[1] - curves[0]).max()) <= SAME * float(np.abs(curves[0]).max())


def said_of_twins(result: FitResult) -> tuple[str, ...]:
    """Return a sentence on each pair of phases of one structure, both fitted, that the data do not clearly ask for."""
    pairs = twins(result.datasets[0].model) if len(result.datasets) == 1 else iter(())
    return tuple(text for one, two in pairs if (text := _sentence(result, one, two)))


def _sentence(result: FitResult, one: str, two: str) -> str:
    if not {f"{one}.scale", f"{two}.scale"} <= set(result.free):
        return ""
    if float(result.params[f"{one}.scale"].value) < float(result.params[f"{two}.scale"].value):
        one, two = two, one
    params = _without(result.params, one, two)
    if params is None:
        return ""
    from pdfkit.fitting.comparison import Comparison

    try:
        alone = refit(result, params)
        found = Comparison.of({"both": result, "one": alone})
    except PdfkitError:
        return ""
    more, for_one = found.delta[1], found.names[0] == "one"
    if more > STRONG and not for_one:
        return ""
    size = f"by {more:.2g}" if more < MOST_TOLD else f"by more than {MOST_TOLD:.0f}"
    return (
        f"{one} and {two} are the same structure, and can stand for each other: without {two} Rw is {alone.rw:.4f} in "
        f"place of {result.rw:.4f}, and ln Z is for {'one phase' if for_one else 'both'}, {size}"
        f"{f': leave {two} out' if for_one else ''}"
    )


def _without(params: Parameters, one: str, two: str) -> Parameters | None:
    """Return parameters where the first phase stands for both; None where others are tied to the second."""
    out: Parameters = params.copy()
    for name, par in out.items():
        if par.expr and f"{two}." in par.expr:
            return None
        if name.startswith(f"{two}.") and par.vary:
            par.vary = False
    total = float(out[f"{one}.scale"].value) + float(out[f"{two}.scale"].value)
    out[f"{one}.scale"].value, out[f"{two}.scale"].value = min(total, out[f"{one}.scale"].max), 0.0
    return out
