"""A state as a Python script that does the same with pdfkit: Rw at the values of the page, then the fit."""

from __future__ import annotations

import builtins
import keyword
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.starts import document_of
from pdfkit.workbench.state import State

__all__ = ["script_of"]


def script_of(state: State, ready: Prepared) -> str:
    """Return the script of a state; one of patterns or stages runs the recipe, which says these best."""
    if state.patterns or ready.recipe.stages:
        return _of_recipe(state, ready)
    lines = [*_head(state, ready), *_data(state, ready), *_phases(ready), *_models(state, ready)]
    if state.data and state.phases:
        lines += [*_rw(state, ready), *_fit(state, ready)]
    elif state.phases:
        lines += ["", f"r = np.arange(0.01, {ready.ranges[''][1] + 0.005!r}, 0.01)", "print(model(r).G.max())"]
    return "\n".join(lines) + "\n"


def _head(state: State, ready: Prepared) -> Iterator[str]:
    title = str(state.tables.get("title") or "A page of pdfkit live").replace('"', "'").replace("\\", "/")
    yield f'"""{title}: what the page shows, as a script. Paths start at FOLDER."""'
    yield ""
    own = ready.recipe.convention != "pdfkit"
    if any(entry.instrument for entry in ready.recipe.data) or len(state.data) > 1 or (own and state.data):
        yield "from dataclasses import replace"
    yield from ("from pathlib import Path", "", "import numpy as np", "", "import pdfkit as pk")
    if own:
        yield "from pdfkit.model.model import CONVENTIONS"
    if ready.recipe.restraints:
        names = sorted({type(one).__name__ for one in ready.recipe.restraints})
        yield from (f"from {_home(name, ready)} import {name}" for name in names)
    yield from ("", f"FOLDER = Path({str(ready.folder.resolve())!r})", "")


def _home(name: str, ready: Prepared) -> str:
    return next(type(one).__module__ for one in ready.recipe.restraints if type(one).__name__ == name)


def _path(text: str, ready: Prepared) -> str:
    return f"FOLDER / {text!r}" if (ready.folder / text).is_file() else repr(text)


def _call(head: str, arguments: Mapping[str, Any], first: str = "") -> str:
    words = [first] * bool(first) + [f"{key}={_value(value)}" for key, value in arguments.items()]
    short = f"{head}({', '.join(words)})"
    return short if len(short) <= 110 else f"{head}(\n    " + ",\n    ".join(words) + ",\n)"


def _value(value: Any) -> str:
    """Return a value as Python; shapes by the namespace that has them."""
    if isinstance(value, float) and math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(_value, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if type(value).__module__.startswith("pdfkit.shapes"):
        return _shape(value)
    return repr(value)


def _shape(shape: Any) -> str:
    words = (f"{p.name}={value!r}" for p, value in zip(shape.parameters, map(float, shape.values()), strict=True))
    if shape.kind == "tabulated":
        return repr(shape)
    return f"pk.shapes.{type(shape).__name__}({', '.join(words)})"


def _data(state: State, ready: Prepared) -> Iterator[str]:
    """Yield what reads the data: one PDF, or several by name."""
    several = len(state.data) > 1
    if several:
        yield "data = {}"
    for table, entry in zip(state.data, ready.recipe.data, strict=True):
        to = f"data[{entry.name!r}]" if several else "data"
        yield f"{to} = " + _call("pk.read_pdf", entry.options, _path(str(table["file"]), ready))
        if entry.instrument:
            own = {**entry.instrument}
            given = f"(*{to}.instrument.given, {', '.join(map(repr, own))})"
            words = ", ".join(f"{key}={_value(value)}" for key, value in own.items())
            yield f"{to} = replace({to}, instrument=replace({to}.instrument, {words}, given={given}))"
    if several:
        yield "# Nothing that the header of one leaves open is taken from another."
        yield "data = {name: replace(pdf, instrument=pdf.instrument.complete()) for name, pdf in data.items()}"


def _phases(ready: Prepared) -> Iterator[str]:
    for entry in ready.recipe.phases:
        options = dict(entry.options)
        if entry.kind == "stacked":
            elements = ", ".join(map(repr, options.pop("elements")))
            if options.pop("anisotropic", False):
                options |= {"U11": 0.01, "U33": 0.01}
            yield f"{_word(entry.name, ready)} = " + _call("pk.Stacked", {"name": entry.name, **options}, elements)
        else:
            head = "pk.Cluster.from_file" if entry.is_cluster() else "pk.Crystal.from_file"
            yield f"{_word(entry.name, ready)} = " + _call(
                head, {"name": entry.name, **options}, _path(entry.structure, ready)
            )


# Names that the script itself gives, beside those of Python.
_OWN = {"data", "model", "models", "phases", "params", "result", "inside", "gap", "size", "pk", "np", "Path", "FOLDER"}
_OWN |= {"replace", "CONVENTIONS", "name", "pdf", "r", "BondRestraint", "AngleRestraint", "ValueRestraint"}


def _word(name: str, ready: Prepared) -> str:
    """Return a name of a phase as one of the script, apart from its own and from Python's."""
    others, out = {entry.name for entry in ready.recipe.phases} - {name}, name
    while keyword.iskeyword(out) or hasattr(builtins, out) or out in _OWN or out in others:
        out += "_"
    return out


def _models(state: State, ready: Prepared) -> Iterator[str]:
    """Yield what makes the models, at the values of the page."""
    if not ready.models:
        return
    phases = f"[{', '.join(_word(entry.name, ready) for entry in ready.recipe.phases)}]"
    like = "" if ready.recipe.convention == "pdfkit" else f", {ready.recipe.convention!r}"
    bare = [replace(entry, start={}).build() for entry in ready.recipe.phases]
    if len(ready.models) == 1:
        (name,) = ready.models
        beam = _measured("data", ready) if state.data else _call("pk.Instrument", _beam(state))
        yield f"model = pk.Model({phases}, {beam}{like}).with_values("
        yield from _values(ready, name, state, bare)
        yield ")"
        return
    yield f"phases = {phases}"
    yield "models = {}"
    for name in ready.models:
        yield f"models[{name!r}] = pk.Model(phases, {_measured(f'data[{name!r}]', ready)}{like}).with_values("
        yield from _values(ready, name, state, bare)
        yield ")"
    yield f"model = models[{next(iter(ready.models))!r}]"


def _measured(data: str, ready: Prepared) -> str:
    """Return how data were measured; other programs have scattering strengths of their own."""
    own = ready.recipe.convention != "pdfkit" and not any("scattering" in one.instrument for one in ready.recipe.data)
    return f"CONVENTIONS[{ready.recipe.convention!r}].of_data({data}.instrument)" if own else f"{data}.instrument"


def _beam(state: State) -> dict[str, Any]:
    return {key: value for key, value in state.measured_by.items() if key != "rmax"}


def _values(ready: Prepared, name: str, state: State, bare: list[Any]) -> Iterator[str]:
    """Yield the lines of a dict of the values that the files alone do not give."""
    now = ready.model(name, state.values)
    plain = type(now)(bare, ready.models[name].instrument, now.convention, now.strengths)
    before = dict(zip(plain.names, plain.values.tolist(), strict=True))
    yield "    {"
    for key, value in zip(now.names, now.values.tolist(), strict=True):
        if before.get(key) != value:
            yield f"        {key!r}: {value!r},"
    yield "    }"


def _rw(state: State, ready: Prepared) -> Iterator[str]:
    yield ""
    yield "# Rw of the page, before any fit."
    for name in ready.models:
        pdf, model = (f"data[{name!r}]", f"models[{name!r}]") if len(ready.models) > 1 else ("data", "model")
        low, high = ready.ranges[name]
        begin = ready.begins.get(name)
        filtered = ready.recipe.convention != "pdfkit"  # which goes by where the points begin and end
        found = f"{model}.evaluator({pdf}.r[inside], {begin!r})({model}.values)[0]"
        yield f"inside = ({pdf}.r >= {low - 1e-9!r}) & ({pdf}.r <= {high + 1e-9!r})"
        yield f"gap = {pdf}.G[inside] - {found if filtered else f'{model}({pdf}.r).G[inside]'}"
        yield f"size = {pdf}.G[inside] @ {pdf}.G[inside]"
        yield f'print("Rw of {name or "the data"} =", float(np.sqrt(gap @ gap / size)))'


def _fit(state: State, ready: Prepared) -> Iterator[str]:
    """Yield the fit, with what differs from its defaults."""
    recipe = ready.recipe
    several = len(ready.models) > 1
    if several or recipe.variables:
        yield from _params(state, ready)
    yield ""
    if recipe.convention != "pdfkit":
        told = "replace({}, instrument={}.instrument_used.complete())"
        each = f"{{name: {told.format('pdf', 'models[name]')} for name, pdf in data.items()}}"
        yield f"data = {each if several else told.format('data', 'model')}"
    ends: dict[str, Any] = {}
    for end in ("rmin", "rmax"):
        own = {entry.name: getattr(entry, end) for entry in recipe.data}
        value = own if several else next(iter(own.values()))
        ends |= {end: value} if value is not None and value != dict.fromkeys(own) else {}
    arguments: dict[str, Any] = {**ends, "free": list(recipe.free)}
    arguments |= {"ties": dict(recipe.ties)} if recipe.ties else {}
    arguments |= {"bounds": dict(recipe.bounds)} if recipe.bounds else {}
    arguments |= {"restraints": list(recipe.restraints)} if recipe.restraints else {}
    arguments |= {} if recipe.use_errors else {"use_errors": False}
    arguments |= {} if recipe.search == "staged" else {"search": recipe.search}
    words = [f"{key}={_value(value)}" for key, value in arguments.items()]
    words += ["params=params"] * (several or bool(recipe.variables))
    settings = _settings(recipe)
    words += [f"settings=pk.FitSettings({settings})"] * bool(settings)
    yield "result = pk.fit(\n    model,\n    data,\n    " + ",\n    ".join(words) + ",\n)"
    yield "print(result)"


def _settings(recipe: Any) -> str:
    weights = {entry.name: entry.weight for entry in recipe.data if entry.weight != 1.0}
    own = {"grid": (recipe.grid, "data"), "noise": (recipe.noise, "estimated"), "max_nfev": (recipe.max_nfev, 100)}
    words = [f"{key}={value!r}" for key, (value, usual) in own.items() if value != usual]
    return ", ".join([*words, *([f"weights={weights!r}"] if weights else [])])


def _params(state: State, ready: Prepared) -> Iterator[str]:
    """Yield parameters that a model alone does not have: those of each of several data sets, and variables."""
    yield "params = pk.parameters(model, data)"
    for name, value in ready.recipe.variables.items():
        yield f"params.add({name!r}, value={float(state.values.get(name, value))!r}, vary=False)"
    if len(ready.models) > 1:
        params = ready.at(state.values)
        sets = tuple(f"{name}." for name in ready.models)
        for name, par in params.items():
            if name.startswith(sets) and not par.expr:
                yield f"params[{name!r}].value = {float(par.value)!r}"


def _of_recipe(state: State, ready: Prepared) -> str:
    text = document_of(state, ready, absolute=True).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return (
        '"""What a page of pdfkit live shows, as a script that runs its recipe."""\n\nfrom pathlib import Path\n\n'
        f'import pdfkit as pk\n\nRECIPE = """\\\n{text}"""\n\nfile = Path("page.toml")\n'
        'file.write_text(RECIPE, encoding="utf-8")\nresult, files = pk.run_recipe(file)\nprint(result)\n'
    )
