"""Tables of a saved fit, there and back: parameters, fractions of phases, minima that a search found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import ReadError
from pdfkit.io.hdf5 import Field, Group
from pdfkit.model import _lmfit
from pdfkit.model.params import Parameters, set_correlations, why_held
from pdfkit.results.minima import Minima, Minimum

if TYPE_CHECKING:
    from pdfkit.results.derived import Uncertain

AGAIN = "run the fit again and save it"
KINDS = ("atoms", "cells", "mass")
# What a parameter was made with, and what it can be at all.
_MADE = ("made_value", "made_minimum", "made_maximum")
_POSSIBLE = ("least", "most")


def parameters_group(params: Parameters) -> Group:
    """Return the table of all parameters, fixed and tied ones included."""
    about = [p.user_data if isinstance(p.user_data, Mapping) else {} for p in params.values()]
    columns: dict[str, Group | Field] = {
        "name": Field(list(params)),
        "value": Field([float(p.value) for p in params.values()]),
        "error": Field([_number(p.stderr) for p in params.values()], {"long_name": "standard error, NaN where none"}),
        "minimum": Field([_number(p.min) for p in params.values()]),
        "maximum": Field([_number(p.max) for p in params.values()]),
        "vary": Field([bool(p.vary) for p in params.values()]),
        "expression": Field([p.expr or "" for p in params.values()], {"long_name": "tied to"}),
        "start": Field([_number(p.init_value) for p in params.values()]),
        "unit": Field([str(one.get("unit", "")) for one in about]),
        "meaning": Field([str(one.get("meaning", "")) for one in about]),
        "held": Field(list(map(why_held, params.values()))),
        "refinable": Field([bool(one.get("refinable", True)) for one in about]),
    }
    made = [one.get("made", (math.nan,) * 3) for one in about]
    at_all = [one.get("possible", (math.nan,) * 2) for one in about]
    for columns_of, values in ((_MADE, made), (_POSSIBLE, at_all)):
        columns |= {name: Field([float(row[k]) for row in values]) for k, name in enumerate(columns_of)}
    return Group("NXcollection", columns)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def read_parameters(table: Group, free: tuple[str, ...], covariance: Array) -> Parameters:
    """Return the parameters of a table; `covariance` : of those that are free, in the order of `free`."""
    names, expressions = table.texts("name"), table.texts("expression")
    units, meanings = table.texts("unit"), table.texts("meaning")
    columns = ("value", "error", "minimum", "maximum", "vary", "start", "refinable")
    numbers = [table.array(column) for column in columns]
    params, held = Parameters(), _held(table)
    rows = zip(names, expressions, units, meanings, *numbers, strict=True)
    limits = {key: _rows_of(table, columns_of) for key, columns_of in (("made", _MADE), ("possible", _POSSIBLE))}
    for name, _, unit, meaning, value, error, low, high, vary, start, refinable in rows:
        par = _lmfit.Parameter(name, value=float(value), vary=bool(vary), min=float(low), max=float(high))
        par.stderr = None if math.isnan(error) else float(error)
        par.init_value = None if math.isnan(start) else float(start)
        known = {key: values[name] for key, values in limits.items() if name in values}
        par.user_data = {"unit": unit, "meaning": meaning, "refinable": bool(refinable), **known, **held.get(name, {})}
        params[name] = par
    for name, expression, error in zip(names, expressions, numbers[1], strict=True):
        if expression:
            params[name].expr = expression
            params[name].stderr = None if math.isnan(error) else float(error)
    if sorted(free) != sorted(name for name in params if params[name].vary and not params[name].expr):
        raise ReadError(table.source, f"its covariance is not that of its free parameters: {AGAIN}")
    if covariance.shape != (len(free), len(free)):
        raise ReadError(
            table.source, f"its covariance has shape {covariance.shape} for {len(free)} free parameters: {AGAIN}"
        )
    set_correlations(params, free, covariance)
    return params


def _held(table: Group) -> dict[str, dict[str, str]]:
    """Return why parameters were held, by name; files of older versions do not say."""
    words = table.texts("held") if "held" in table else ()
    return {name: {"held": why} for name, why in zip(table.texts("name"), words, strict=False) if why}


def _rows_of(table: Group, columns: tuple[str, ...]) -> dict[str, tuple[float, ...]]:
    """Return numbers by parameter, of those that have them; files of older versions have none."""
    if any(column not in table for column in columns):
        return {}
    rows = zip(*(table.array(column).tolist() for column in columns), strict=True)
    return {name: row for name, row in zip(table.texts("name"), rows, strict=True) if not math.isnan(row[0])}


def fractions_group(fractions: Mapping[str, Mapping[str, Uncertain]]) -> Group:
    """Return the table of fractions of phases, with their errors."""
    columns: dict[str, Group | Field] = {"phase": Field(list(fractions))}
    for kind in KINDS:
        columns[kind] = Field(np.array([table[kind][0] for table in fractions.values()], dtype=float))
        columns[f"{kind}_errors"] = Field(np.array([table[kind][1] for table in fractions.values()], dtype=float))
    return Group("NXcollection", columns)


def read_fractions(table: Group) -> dict[str, dict[str, Uncertain]]:
    """Return the fractions of phases with their errors."""
    columns = {kind: (table.array(kind), table.array(f"{kind}_errors")) for kind in KINDS}
    return {
        phase: {kind: (float(value[i]), float(error[i])) for kind, (value, error) in columns.items()}
        for i, phase in enumerate(table.texts("phase"))
    }


def minima_group(minima: Minima) -> Group:
    """Return the table of minima, one row each."""
    members: dict[str, Group | Field] = {
        name: Field([getattr(one, name) for one in minima]) for name in ("rw", "chi2", "reached", "dlnz", "differs")
    }
    members["names"] = Field(list(minima[0].free))
    members["values"] = Field(np.array([one.values for one in minima]))
    members["at_bounds"] = Field([" ".join(one.at_bounds) for one in minima])
    members["flaws"] = Field(["; ".join(one.flaws) for one in minima])
    members |= {name: Field(getattr(minima, name)) for name in ("starts", "seed", "stopped")}
    members["given_up"] = Field(len(minima.given_up))
    members["given_up_rw"] = Field(np.array(minima.given_up, dtype=float))
    return Group("NXcollection", members)


def read_minima(entry: Group, params: Parameters) -> Minima:
    """Return the minima that a search found, with parameters to start from."""
    if "minima" not in entry:
        return Minima()
    table = entry.group("minima")
    free, values = table.texts("names"), table.array("values", 2)
    columns = [table.array(name).tolist() for name in ("rw", "chi2", "reached", "dlnz")]
    bounds = [tuple(one.split()) for one in table.texts("at_bounds")]
    none = [""] * len(bounds)  # files of older versions do not tell flaws
    flaws = [tuple(filter(None, one.split("; "))) for one in (table.texts("flaws") if "flaws" in table else none)]
    found = [
        Minimum(rw, chi2, int(reached), dlnz, words, free, _moved(params, free, row), *wrong)
        for rw, chi2, reached, dlnz, words, row, *wrong in zip(
            *columns, table.texts("differs"), values.tolist(), bounds, flaws, strict=True
        )
    ]
    starts, seed = (int(table.number(name)) for name in ("starts", "seed"))
    unknown = [math.nan] * int(table.number("given_up"))  # files of older versions have no more than their number
    given_up = tuple(table.array("given_up_rw").tolist() if "given_up_rw" in table else unknown)
    return Minima(tuple(found), starts, given_up, seed, bool(table.number("stopped")))


def _moved(params: Parameters, free: Sequence[str], values: Sequence[float]) -> Parameters:
    """Return parameters at other values, whose errors and correlations are not known."""
    out: Parameters = params.copy()
    for par in out.values():
        par.stderr = par.correl = None
    for name, value in zip(free, values, strict=True):
        out[name].value = value
    return out
