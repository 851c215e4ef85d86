"""What the page can do, each as a pure function of a state: `act(state, action)` returns the next state.

An action is a dict {"do": name, ...} as the page sends it. What cannot be done is a PdfkitError with the sentence that
the terminal would print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pdfkit.errors import PdfkitError, nearest
from pdfkit.live.state import State

__all__ = ["ACTIONS", "act"]


def act(state: State, action: Mapping[str, Any]) -> State:
    """Return the state after an action; PdfkitError where there is none of that name."""
    do = str(action.get("do", ""))
    if do not in ACTIONS:
        raise PdfkitError(f"there is no action {do!r}: the nearest are {nearest(do, ACTIONS)}")
    return ACTIONS[do](state, action)


def _value(state: State, action: Mapping[str, Any]) -> State:
    return replace(state, values={**state.values, str(action["name"]): float(action["value"])}, fit=0)


def _free(state: State, action: Mapping[str, Any]) -> State:
    name, fit = str(action["name"]), state.fitted
    free = [one for one in fit["free"] if one != name] + [name] * bool(action["free"])
    return state.with_tables(fit={**fit, "free": free})


def _range(state: State, action: Mapping[str, Any]) -> State:
    chosen = str(action.get("data", ""))
    limits = {key: round(float(action[key]), 4) for key in ("rmin", "rmax") if key in action}
    data = [{**one, **limits} if one.get("name", "") == chosen else one for one in state.data]
    return state.with_tables(data=data)


ACTIONS: Mapping[str, Callable[[State, Mapping[str, Any]], State]] = {"value": _value, "free": _free, "range": _range}
