"""What the page can do, each as a pure function of a state: `act(state, action, ready)` returns the next state.

An action is a dict {"do": name, ...} as the page sends it; `ready` is the present state prepared. What cannot be done
is a PdfkitError with the sentence that the terminal would print.

| do | with |
|---|---|
| value | name, value |
| free | name, free (true or false) |
| limits | name, min, max (null: as pdfkit sets them) |
| tie | name, to (an expression) |
| untie | name |
| range | data, rmin, rmax (null: the end of the data) |
| rename | kind ("phase" or "data"), name, to |
| remove | kind, name |
| shape | phase, kind, and values of its parameters where they are not to be usual ones |
| stack | elements (one or two), a_h (Å), alpha: a phase of layers in random order, which needs no file |
| phase | name, key, value (null takes the key out): "anisotropic", "delta2", … of a [[phase]] |
| data | name, key, value: "probe", "window", "qmax", … of a [[data]] |
| beam | key, value: probe, qmin, qmax, qdamp, window, rmax of a model without data |
| set | key, value: "search", "use_errors", "noise", "convention", "max_nfev" of [fit]; "title" |
| reset | : back to the start values |
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.model.resolution import INSTRUMENT_QUANTITIES
from pdfkit.workbench.naming import Renaming
from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.starts import scaled
from pdfkit.workbench.state import BEAM, State

__all__ = ["ACTIONS", "act"]

Action = Mapping[str, Any]

LARGEST = 1e100
"""Beyond it squares of numbers overflow."""


def act(state: State, action: Action, ready: Prepared) -> State:
    """Return the state after an action; PdfkitError where there is none of that name, or where it cannot be done."""
    do = str(action.get("do", ""))
    if do not in ACTIONS:
        raise PdfkitError(f"there is no action {do!r}: the nearest are {nearest(do, ACTIONS)}")
    return ACTIONS[do](state, action, ready)


# --- what an action says --------------------------------------------------------------------------------------


def _text(action: Action, key: str) -> str:
    value = action.get(key)
    if not isinstance(value, str):
        raise PdfkitError(f"the action {action.get('do')} lacks {key}: give text")
    return value


def _number(action: Action, key: str, what: str = "") -> float:
    """Return a finite number; text that is one counts."""
    value, what = action.get(key), what or key
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PdfkitError(f"{what} is no number: give one")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise PdfkitError(f"{what} is {str(value)[:40]!r}: give a number, such as 1.5") from None
    if not abs(found) < LARGEST:
        raise PdfkitError(f"{what} = {found:g} is no number of a model: give one below {LARGEST:g}")
    return found


def _name(action: Action, ready: Prepared) -> str:
    """Return the full name of a parameter."""
    name = _text(action, "name")
    if name not in ready.names:
        raise ParameterError(f"no parameter is called {name!r}: nearest are {nearest(name, ready.names)}", key=name)
    return name


def _plain(value: Any) -> Any:
    """Return a value as tables of recipes hold them; text that is a number counts as that."""
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError:
            return value
        return value if math.isnan(found) else found
    if value is None or isinstance(value, bool | int | float | list | Mapping):
        return value
    raise PdfkitError(f"{str(value)[:40]!r} is nothing that a recipe can hold: give a number or text")


# --- parameters -----------------------------------------------------------------------------------------------


def _value(state: State, action: Action, ready: Prepared) -> State:
    name = _name(action, ready)
    value = _number(action, "value", name)
    par = ready.at(state.values)[name]
    if par.expr:
        raise ParameterError(f"{name} is tied to {par.expr}, and follows it: untie it first", key=name)
    if name in ready.quantities:
        ready.quantities[name].sensible(value, name)
    low, high = _set_limits(state, name, ready)
    if not low <= value <= high:
        raise ParameterError(
            f"{name} = {value:g} lies outside its limits, {low:g} to {high:g}: give a number between them, or other "
            "limits",
            key=name,
        )
    after = {**state.values, name: value}
    if name.rpartition(".")[2] in INSTRUMENT_QUANTITIES:
        for one in ready.models:  # which refuse what no instrument can be, also of data that are not shown
            ready.model(one, after)
    return state.with_values(after)


def _set_limits(state: State, name: str, ready: Prepared) -> tuple[float, float]:
    """Return the limits that somebody gave a parameter, infinite where nobody did."""
    from pdfkit._expressions import matching

    low, high = -math.inf, math.inf
    for pattern, pair in ready.recipe.bounds.items():
        if name in matching(ready.names, pattern):
            low = low if pair[0] is None else pair[0]
            high = high if pair[1] is None else pair[1]
    return low, high


def _free(state: State, action: Action, ready: Prepared) -> State:
    from pdfkit.model.params import refinable
    from pdfkit.recipes.changes import changed

    name, free = _name(action, ready), list(state.fitted["free"])
    params = ready.at(state.values)
    if not action.get("free"):
        if not params[name].vary:
            return state
        free = _loose(free, params, ready)
        last = _freed(free, ready) == [name]
        return state.with_fit(free=[] if last else list(changed(free, [f"-{name}"], ready.names)))
    refinable(params, name)
    if params[name].expr:
        raise ParameterError(f"{name} is tied to {params[name].expr}, and follows it: untie it first", key=name)
    return state if params[name].vary else state.with_fit(free=[*free, name])


def _loose(free: list[str], params: Any, ready: Prepared) -> list[str]:
    """Return endings of what varies by itself, without those of what is tied only, for which a leader would vary."""
    from pdfkit._expressions import matching

    out: list[str] = []
    for pattern in free:
        found = matching(ready.names, pattern)
        own = [name for name in found if not params[name].expr]
        out += own if len(own) < len(found) else [pattern]
    return list(dict.fromkeys(out))


def _freed(free: list[str], ready: Prepared) -> list[str]:
    """Return all that varies by a list of endings."""
    from pdfkit._expressions import matching

    return sorted({one for pattern in free for one in matching(ready.names, pattern)})


def _limits(state: State, action: Action, ready: Prepared) -> State:
    name = _name(action, ready)
    low, high = (None if action.get(key) in (None, "") else _number(action, key, name) for key in ("min", "max"))
    bounds = _without(state.fitted.get("bounds", {}), name, ready)
    if low is None and high is None:
        return state.with_fit(bounds=bounds)
    pair = [low, high] if low is not None and high is not None else {"min": low} if high is None else {"max": high}
    value = float(ready.at(state.values)[name].value)
    inside = min(max(value, -math.inf if low is None else low), math.inf if high is None else high)
    after = state.with_fit(bounds={**bounds, name: pair})
    if inside == value or ready.at(state.values)[name].expr:
        return after
    said = f"{name} is {inside:g} now, because {value:g} lies outside its limits"
    return replace(after.with_values({**state.values, name: inside}), remarks=(*state.remarks, said))


def _without(table: Mapping[str, Any], name: str, ready: Prepared) -> dict[str, Any]:
    """Return a table by endings of names without one name; an ending that means more is written out."""
    from pdfkit._expressions import matching

    out: dict[str, Any] = {}
    for pattern, value in table.items():
        found = matching(ready.names, pattern)
        out |= {pattern: value} if name not in found else {one: value for one in found if one != name}
    return out


def _tie(state: State, action: Action, ready: Prepared) -> State:
    from pdfkit.recipes.changes import retied, tie_of

    name, to = _name(action, ready), _text(action, "to").strip()
    name, to = tie_of(f"{name} = {to}")
    ties = _without(state.fitted.get("ties", {}), name, ready)
    start = _without(state.fitted.get("start", {}), name, ready)
    free, ties = retied(tuple(state.fitted["free"]), ties, {name: to}, ready.names)
    values = {one: value for one, value in state.values.items() if one != name}
    return state.with_fit(free=list(free), ties=ties, start=start).with_values(values)


def _untie(state: State, action: Action, ready: Prepared) -> State:
    name = _name(action, ready)
    par = ready.at(state.values)[name]
    if not par.expr:
        raise ParameterError(f"{name} is not tied to anything", key=name)
    ties = _without(state.fitted.get("ties", {}), name, ready)
    return state.with_fit(ties=ties).with_values({**state.values, name: float(par.value)})


# --- data and phases ------------------------------------------------------------------------------------------


def _entries(state: State, kind: str) -> tuple[Mapping[str, Any], ...]:
    if kind not in ("phase", "data", "pattern"):
        raise PdfkitError(f"{kind!r} is not there to be changed: choose phase, data or pattern")
    return tuple(state.tables.get(kind, ()))


def _at(state: State, kind: str, name: str) -> int:
    """Return the place of a phase or data set; the only data set needs no name."""
    entries = _entries(state, kind)
    names = [str(one.get("name", "")) for one in entries]
    if kind == "data" and len(names) == 1 and name in ("", names[0]):
        return 0
    if name not in names:
        raise PdfkitError(f"no {kind} is called {name!r}: there are {', '.join(filter(None, names)) or 'none'}")
    return names.index(name)


def _changed(state: State, kind: str, index: int, table: Mapping[str, Any] | None) -> State:
    """Return the state with another table of a phase or data set, or without it."""
    entries = _entries(state, kind)
    return state.with_tables(**{kind: [*entries[:index], *([] if table is None else [table]), *entries[index + 1 :]]})


def _keyed(table: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    out = {**table, key: value}
    return {one: what for one, what in out.items() if what is not None and what != ""}


def _range(state: State, action: Action, ready: Prepared) -> State:
    index = _at(state, "data", str(action.get("data", "")))
    table = dict(state.data[index])
    for key in ("rmin", "rmax"):
        if key in action:
            value = None if action[key] in (None, "") else round(_number(action, key), 4)
            table = _keyed(table, key, value)
    return _changed(state, "data", index, table)


def _data(state: State, action: Action, ready: Prepared) -> State:
    index, key = _at(state, "data", str(action.get("name", ""))), _text(action, "key")
    if key in ("file", "name"):
        raise PdfkitError(f"{key} of data cannot be set here: add another file, or rename the data set")
    value = _plain(action.get("value"))
    values = {name: one for name, one in state.values.items() if name not in (key, f"{action.get('name', '')}.{key}")}
    return _changed(state, "data", index, _keyed(state.data[index], key, value)).with_values(values)


def _phase(state: State, action: Action, ready: Prepared) -> State:
    """Change an option of a phase; values that it has no more, and what is said of them, go."""
    name, key = _text(action, "name"), _text(action, "key")
    index = _at(state, "phase", name)
    if key in ("name", "structure", "shape", "start"):
        raise PdfkitError(f"{key} of a phase cannot be set here: rename it, add another, or choose a shape")
    values = {one: value for one, value in state.values.items() if one != f"{name}.{key}"}
    after = _changed(state, "phase", index, _keyed(state.phases[index], key, _plain(action.get("value"))))
    return _pruned(after.with_values(values), ready, state)


def _shape(state: State, action: Action, ready: Prepared) -> State:
    """Give a phase another shape; a parameter that both have keeps its value."""
    from pdfkit.shapes import SHAPES

    name, kind = _text(action, "phase"), str(action.get("kind", ""))
    index = _at(state, "phase", name)
    if kind in ("", "none", "bulk"):
        return _pruned(_changed(state, "phase", index, _keyed(state.phases[index], "shape", None)), ready, state)
    if kind not in SHAPES or kind == "tabulated":
        known = [one for one in SHAPES if one != "tabulated"]
        raise PdfkitError(f"shape {kind!r} is not known here: choose one of {', '.join(known)}")
    params: Any = ready.at(state.values) if ready.params is not None else {}
    before = {one: float(params[full].value) for one in _USUAL if (full := f"{name}.{one}") in params}
    needed = {one: before.get(one, _USUAL[one]) for one in _parameters_of(kind)}
    needed |= {one: _number(action, one) for one in needed if one in action}
    after = _changed(state, "phase", index, {**state.phases[index], "shape": {"kind": kind, **needed}})
    gone = {f"{name}.{one}" for one in _USUAL}
    values = {one: value for one, value in state.values.items() if one not in gone}
    free = [f"{name}.{one}" for one in needed if one in ("spdiameter", "equatorial", "thickness", "diameter")]
    after = _pruned(after.with_values(values), ready, state)
    fit = after.fitted["free"]
    return after.with_fit(free=[*fit, *free]) if fit and not _already(fit, free) else after


def _stack(state: State, action: Action, ready: Prepared) -> State:
    """Return a state with one phase more, of stacked layers."""
    from pdfkit.phases.base import plain_word
    from pdfkit.recipes.proposal import own_name

    elements = action.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 2 or not all(isinstance(e, str) for e in elements):
        raise PdfkitError("layers are of one or two elements: give them, such as Cd S")
    numbers = {key: _number(action, key, f"{key} of stacked layers") for key in ("a_h", "alpha")}
    taken = {str(one.get("name", "")) for kind in ("phase", "data", "pattern") for one in _entries(state, kind)}
    name = own_name(plain_word(f"{''.join(elements)}_stacked"), taken)
    table = {"name": name, "kind": "stacked", "elements": elements, **numbers}
    after = state.with_tables(phase=[*state.phases, table])
    lead = [f"{one['name']}." for one in state.data] if len(state.data) > 1 else [""]
    wanted = [*(f"{one}{name}.scale" for one in lead), f"{name}.a_h"] if state.data else []
    free = [one for one in wanted if not _already(after.fitted["free"], [one])]
    return scaled(after.with_fit(free=[*after.fitted["free"], *free]), ready.folder)


# Start values of parameters of shapes, in Å but for the ratio.
_USUAL = {
    "spdiameter": 40.0,
    "spsigma": 4.0,
    "equatorial": 40.0,
    "axis_ratio": 1.2,
    "thickness": 10.0,
    "diameter": 40.0,
    "length": 80.0,
    "stepcut": 40.0,
}


def _parameters_of(kind: str) -> tuple[str, ...]:
    """Return the parameters of a shape that have usual values."""
    from dataclasses import fields

    from pdfkit.shapes import SHAPES

    return tuple(one.name for one in fields(SHAPES[kind]) if one.name in _USUAL)


def _already(free: list[str], wanted: list[str]) -> bool:
    """Whether what is wanted is freed by its ending."""
    return all(any(f".{one}".endswith(f".{pattern}") for pattern in free) for one in wanted)


def _pruned(state: State, ready: Prepared, before: State) -> State:
    """Return a state without what is said of parameters that its phases have no more, and had in the state before."""
    bare = replace(state, tables={key: one for key, one in state.tables.items() if key != "fit"}, values={})
    after = Prepared.of(bare, ready.folder).names
    gone = {name: name if name in after else None for name in ready.names}
    return Renaming(gone, tuple(name for name in after if name not in gone)).of(state, _now(before, ready))


def _rename(state: State, action: Action, ready: Prepared) -> State:
    kind, name, to = str(action.get("kind", "phase")), str(action.get("name", "")), _text(action, "to").strip()
    index = _at(state, kind, name)
    entries = _entries(state, kind)
    old = str(entries[index].get("name", ""))
    if not to.isidentifier() or keyword.iskeyword(to):
        raise PdfkitError(f"{kind} name {to[:40]!r} cannot be used: write letters, digits (not first) and _")
    taken = {str(one.get("name", "")) for which in ("phase", "data", "pattern") for one in _entries(state, which)}
    if to != old and to in taken:
        raise PdfkitError(f"name {to!r} is used twice: give each its own")
    after = _changed(state, kind, index, {**entries[index], "name": to})
    said = [f"{to}{one.removeprefix(old)}" if one.startswith((f"{old}: ", f"{old}.")) else one for one in state.remarks]
    after = replace(after, remarks=tuple(said)) if old else after
    if kind == "data" and len(entries) == 1:
        return after
    return Renaming({one: _renamed(one, kind, old, to, state) for one in ready.names}).of(after)


def _renamed(name: str, kind: str, old: str, to: str, state: State) -> str:
    words = name.split(".")
    sets = {str(one.get("name", "")) for one in state.data} if len(state.data) > 1 else set()
    place = 1 if kind == "phase" and words[0] in sets else 0
    if len(words) > place + 1 and words[place] == old:
        words[place] = to
    return ".".join(words)


def _remove(state: State, action: Action, ready: Prepared) -> State:
    kind, name = str(action.get("kind", "phase")), str(action.get("name", ""))
    index = _at(state, kind, name)
    table = _entries(state, kind)[index]
    old = str(table.get("name", ""))
    after = _unsaid(_changed(state, kind, index, None), old, table)
    if kind == "data":
        return Renaming({one: _left(one, old, after) for one in ready.names}).of(after, _now(state, ready))
    if not after.phases:
        after = after.with_tables(fit={**{k: v for k, v in after.fitted.items() if k in _OF_NO_PHASE}, "free": []})
        return after.with_values({})
    gone = {one: None if _of_phase(one, old, state) else one for one in ready.names}
    return Renaming(gone).of(after, _now(state, ready))


def _now(state: State, ready: Prepared) -> dict[str, float]:
    """Return the values of all parameters."""
    return {} if ready.params is None else {name: float(par.value) for name, par in ready.at(state.values).items()}


def _unsaid(state: State, name: str, table: Mapping[str, Any]) -> State:
    """Return a state without the remarks on a phase or data set that is gone: they begin with its name, or its file."""
    file = PurePath(str(table.get("file", table.get("structure", "")))).name
    about = tuple([f"{file}: "] * bool(file) + [f"{name}: ", f"{name}."] * bool(name))
    return replace(state, remarks=tuple(one for one in state.remarks if not one.startswith(about)))


_OF_NO_PHASE = ("use_errors", "noise", "search", "convention", "grid", "max_nfev")


def _of_phase(name: str, phase: str, state: State) -> bool:
    words = name.split(".")
    sets = {str(one.get("name", "")) for one in state.data} if len(state.data) > 1 else set()
    return len(words) > 1 and words[1 if words[0] in sets else 0] == phase


def _left(name: str, gone: str, after: State) -> str | None:
    """Return the name of a parameter where a data set is gone; of the last one it stands alone."""
    head, _, rest = name.partition(".")
    if head == gone:
        return None
    last = str(after.data[0].get("name", "")) if len(after.data) == 1 else ""
    return rest if last and head == last else name


# --- the rest -------------------------------------------------------------------------------------------------


def _beam(state: State, action: Action, ready: Prepared) -> State:
    key = _text(action, "key")
    known = (*BEAM, "window", "qbroad", "resolution")
    if key not in known:
        raise PdfkitError(f"{key!r} is not known of a model without data: choose one of {', '.join(known)}")
    value = _plain(action.get("value"))
    if key != "qmax" and isinstance(value, float) and not math.isfinite(value):
        raise PdfkitError(f"{key} = {value} is not finite: give a number")
    if key == "rmax" and (isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 200):
        raise PdfkitError(f"rmax = {value} of a model without data: give a number from 1 to 200 Å")
    values = {name: one for name, one in state.values.items() if name != key}
    return replace(state.with_values(values), beam=_keyed(state.beam, key, value))


def _set(state: State, action: Action, ready: Prepared) -> State:
    key, value = _text(action, "key"), _plain(action.get("value"))
    if key == "title":
        return state.with_tables(title=str(value or ""))
    if key not in ("search", "use_errors", "noise", "convention", "grid", "max_nfev"):
        raise PdfkitError(f"{key!r} of a fit cannot be set here: write it into the recipe")
    if key == "max_nfev" and isinstance(value, float):
        value = int(value)
    return state.with_fit(**{key: value})


def _reset(state: State, action: Action, ready: Prepared) -> State:
    return scaled(state.with_values({}), ready.folder, ready)


ACTIONS: Mapping[str, Callable[[State, Action, Prepared], State]] = {
    "value": _value,
    "free": _free,
    "limits": _limits,
    "tie": _tie,
    "untie": _untie,
    "range": _range,
    "rename": _rename,
    "remove": _remove,
    "shape": _shape,
    "stack": _stack,
    "phase": _phase,
    "data": _data,
    "beam": _beam,
    "set": _set,
    "reset": _reset,
}
