"""Where a fit of a state begins: scales that suit the data, and the values of a state as start values of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._expressions import matching
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.state import State

__all__ = ["scaled", "settled"]


def scaled(state: State, folder: Path, before: Prepared | None = None) -> State:
    """Return a state whose free scales are least-squares values, where its own do not describe the data.

    Scales that its tables say, that are tied, or that others are tied to, stay, as a fit leaves them.
    """
    if not state.data or not state.phases:
        return state
    ready = Prepared.of(state, folder, before)
    params = ready.at(state.values)
    said = {str(one["name"]) for one in state.phases if _says_scale(one)}
    begun = {name for pattern in state.fitted.get("start", {}) for name in matching(params, pattern)}
    names = {name for name, par in params.items() if name.endswith(".scale") and par.vary}
    names = {name for name in names - begun if name.split(".")[-2] not in said}
    ties = [par.expr for par in params.values() if par.expr]
    if any(params[name].expr for name in params if name.endswith(".scale")) or any(n in t for n in names for t in ties):
        return state
    found = {full: value for name in ready.models for full, value in _scales(ready, name, state, names).items()}
    return state.with_values({**state.values, **found}) if found else state


def _says_scale(phase: Mapping[str, Any]) -> bool:
    """Whether the table of a phase has a value of its scale."""
    return "scale" in phase or any(key.rpartition(".")[2] == "scale" for key in phase.get("start", {}))


DESCRIBED = 0.5
"""Rw above which scales are looked for."""


def _scales(ready: Prepared, name: str, state: State, free: set[str]) -> dict[str, float]:
    """Return the free scales of a data set that suit it best, none below a tenth of the largest."""
    from pdfkit.fitting.residuals import nonnegative

    here = ready.curves(name, state.values)
    if here.rw is None or here.rw < DESCRIBED or here.measured is None:
        return {}
    lead = f"{name}." if name and len(ready.data) > 1 else ""
    model = ready.model(name, state.values)
    inside = slice(*np.searchsorted(here.r, [here.low - 1e-9, here.high + 1e-9]))
    curves = model.phase_curves(here.r, begin=ready.begins.get(name))
    own = {phase: float(ready.at(state.values)[f"{lead}{phase}.scale"].value) for phase in curves}
    wanted = [phase for phase in curves if f"{lead}{phase}.scale" in free and own[phase] > 0]
    if not wanted:
        return {}
    rest = here.measured - sum((curves[phase].G for phase in curves if phase not in wanted), np.zeros(here.r.size))
    basis = np.array([curves[phase].G / own[phase] for phase in wanted]).reshape(len(wanted), -1)[:, inside].T
    if not basis.any():
        return {}
    found = nonnegative(basis, rest[inside])
    found = np.maximum(found, 0.1 * found.max(initial=0.0))
    return {f"{lead}{phase}.scale": float(f"{value:.4g}") for phase, value in zip(wanted, found, strict=True) if value}


def settled(state: State, ready: Prepared) -> dict[str, Any]:
    """Return the tables of a state with its values as start values: a recipe of them shows the same curves.

    Scales are said even where they are those of the files, or a page that opens the recipe would look for better ones.
    """
    tables = {key: [dict(one) for one in value] if _is_list(value) else value for key, value in state.tables.items()}
    fit = state.fitted
    if not state.data and state.phases and state.beam:
        tables["beam"] = dict(state.beam)
    if ready.params is not None:
        params = ready.at(state.values)
        scales = {name: par.value for name, par in params.items() if name.endswith(".scale") and state.data}
        for name, value in {**scales, **state.values}.items():
            if name in ready.names and not params[name].expr:
                _settle(tables, fit, name, float(value), ready)
    return {**tables, "fit": fit}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _settle(tables: dict[str, Any], fit: dict[str, Any], name: str, value: float, ready: Prepared) -> None:
    """Write a value to where the tables of a recipe have it: under [fit] where no other table has a place."""
    head, _, rest = name.partition(".")
    sets = {str(one.get("name", "")): one for one in tables.get("data", ())}
    several = len(sets) > 1
    if name in fit.get("variables", {}):
        fit["variables"] = {**fit["variables"], name: value}
    elif name in INSTRUMENT_QUANTITIES and len(sets) == 1:
        next(iter(sets.values()))[name] = value
    elif name in INSTRUMENT_QUANTITIES and not sets:
        tables["beam"] = {**tables.get("beam", {}), name: value}
    elif several and head in sets and rest in INSTRUMENT_QUANTITIES:
        sets[head][rest] = value
    elif not (several and head in sets) and head in _heads(tables):
        _settle_phase(tables, head, rest, value, ready)
    else:
        fit["start"] = {**fit.get("start", {}), name: value}


def _heads(tables: Mapping[str, Any]) -> set[str]:
    return {str(one["name"]) for kind in ("phase", "pattern") for one in tables.get(kind, ())}


def _settle_phase(tables: dict[str, Any], head: str, rest: str, value: float, ready: Prepared) -> None:
    for pattern in tables.get("pattern", ()):
        if pattern.get("name") == head:
            pattern[rest] = value
    for table, phase in zip(tables.get("phase", ()), next(iter(ready.models.values())).phases, strict=True):
        if table["name"] != head:
            continue
        start = {one: float(v) for key, v in table.get("start", {}).items() for one in _of(phase, key)}
        shape = table.get("shape", {})
        if rest in shape:
            table["shape"] = {**shape, rest: value}
            start.pop(rest, None)
        elif rest in table:
            table[rest] = value
            start.pop(rest, None)
        else:
            start[rest] = value
        table["start"] = start
        if not start:
            del table["start"]


def _of(phase: Any, pattern: str) -> list[str]:
    return list(matching([q.name for q in phase.quantities], pattern))


def document_of(state: State, ready: Prepared, *, absolute: bool = False) -> str:
    """Return a state as the text of a recipe that goes on from its values; absolute : of paths that hold anywhere."""
    tables = settled(state, ready)
    if absolute:
        for key, kind in (("file", "data"), ("structure", "phase"), ("file", "pattern")):
            for one in tables.get(kind, ()):
                if key in one and (ready.folder / str(one[key])).is_file():
                    one[key] = (ready.folder / str(one[key])).resolve().as_posix()
    return replace(state, tables=tables).text()
