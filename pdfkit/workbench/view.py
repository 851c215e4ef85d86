"""What a page shows of a state beside curves, as plain dicts and lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pdfkit.workbench.prepared import Prepared
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit.model.params import Parameters

__all__ = ["data", "fit", "phases", "rows", "slider"]


def rows(state: State, ready: Prepared, found: Parameters | None = None) -> Sequence[Mapping[str, Any]]:
    """Return the table of parameters, a dict for each; `found`: those of the fit that gave the values, for errors."""
    if ready.params is None:
        return ()
    return [_row(name, par, state, ready, found) for name, par in ready.at(state.values).items()]


def _row(name: str, par: Any, state: State, ready: Prepared, found: Parameters | None) -> dict[str, Any]:
    from pdfkit.model.params import is_default

    about, value = par.user_data or {}, float(par.value)
    low, high, step = slider(name, value, ready)
    known = None if found is None else dict.get(found, name)
    return {
        "name": name,
        "group": _group(name, state),
        "value": value,
        "free": bool(par.vary),
        "tie": par.expr or "",
        "min": _finite(par.min),
        "max": _finite(par.max),
        "limited": "made" in about and not is_default(par),
        "error": None if known is None else _finite(known.stderr),
        "unit": about.get("unit", ""),
        "meaning": about.get("meaning", "a variable of the fit"),
        "refinable": bool(about.get("refinable", True)),
        "low": low,
        "high": high,
        "step": step,
    }


def _group(name: str, state: State) -> str:
    """Return the phase, data set or pattern that a parameter is of; "" for those of the instrument alone."""
    head = name.partition(".")[0]
    return head if "." in name else ""


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) and abs(value) < 1e300 else None


# --- sliders --------------------------------------------------------------------------------------------------

# By the last word of a name: from and to, of a value v.
_SPANS: Mapping[str, Any] = {
    **dict.fromkeys(("a", "b", "c", "a_h", "h"), lambda v: (0.97 * v, 1.03 * v)),
    **dict.fromkeys(("alpha", "beta", "gamma"), lambda v: (v - 3.0, v + 3.0)),
    **dict.fromkeys(("x", "y", "z", "u"), lambda v: (v - 0.05, v + 0.05)),
    **dict.fromkeys(("Uiso", "U11", "U22", "U33", "Ulayer"), lambda v: (0.0005, max(3.0 * v, 0.02))),
    **dict.fromkeys(("U12", "U13", "U23"), lambda v: (v - 0.01, v + 0.01)),
    **dict.fromkeys(("spdiameter", "equatorial", "diameter", "length", "stepcut"), lambda v: (8.0, max(2.0 * v, 60.0))),
    **dict.fromkeys(("thickness", "spsigma"), lambda v: (1.0, max(2.0 * v, 20.0))),
    **dict.fromkeys(("delta2",), lambda v: (0.0, max(2.0 * v, 6.0))),
    **dict.fromkeys(("delta1", "rcut"), lambda v: (0.0, max(2.0 * v, 3.0))),
    **dict.fromkeys(("rx", "ry", "rz"), lambda v: (v - 20.0, v + 20.0)),
    **dict.fromkeys(("expansion",), lambda v: (v - 0.03, v + 0.03)),
    **dict.fromkeys(("occ",), lambda v: (0.0, 1.0)),
    **dict.fromkeys(("scale",), lambda v: (0.0, max(2.0 * v, 0.2))),
    **dict.fromkeys(("qdamp", "qbroad"), lambda v: (0.0, max(2.0 * v, 0.1))),
    **dict.fromkeys(("resolution",), lambda v: (0.0, max(2.0 * v, 0.01))),
    **dict.fromkeys(("qtail",), lambda v: (v - 0.05, v + 0.05)),
    **dict.fromkeys(("sratio",), lambda v: (0.3, 1.2)),
    **dict.fromkeys(("axis_ratio",), lambda v: (max(0.2, 0.5 * v), 2.0 * v)),
}


def slider(name: str, value: float, ready: Prepared) -> tuple[float, float, float]:
    """Return from where to where a slider of a parameter goes, and its step: sensible, possible, and within limits."""
    from pdfkit.model.params import is_default, possible

    assert ready.params is not None
    par = ready.params[name]
    last = name.rpartition(".")[2]
    angle = last in ("alpha", "beta", "gamma") and (par.user_data or {}).get("unit") not in ("°", "deg")
    span = None if angle else _SPANS.get(last)
    low, high = span(value) if span else (value - (0.2 * abs(value) or 0.1), value + (0.2 * abs(value) or 0.1))
    least, most = possible(par)
    free = is_default(par)
    low = max(low, least, -math.inf if free else par.min)
    high = min(high, most, math.inf if free else par.max)
    low, high = min(low, value), max(high, value)
    return low, high, _round_step(high - low)


def _round_step(width: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten, some 500 of which make the width."""
    if width <= 0:
        return 1e-6
    size = 10.0 ** math.floor(math.log10(width / 500.0))
    return next(size * k for k in (1, 2, 5, 10) if size * k >= width / 500.0 * 0.999)


# --- cards ----------------------------------------------------------------------------------------------------


def data(state: State, ready: Prepared) -> list[dict[str, Any]]:
    """Return a dict for each data set: its table, what holds of its instrument, its points, the range of the fit."""
    out = []
    several = len(state.data) > 1
    for table, (name, pdf) in zip(state.data, ready.data.items(), strict=False):
        instrument = ready.models[name].instrument_used if name in ready.models else None
        used = instrument or (pdf.instrument if pdf is not None else None)
        keys = ("probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail", "window", "scattering")
        out.append(
            {
                "name": name if several else str(table.get("name", "")),
                "file": table.get("file", ""),
                "set": {key: _shown(value) for key, value in table.items() if key not in ("file", "name")},
                "used": {key: _shown(getattr(used, key)) for key in keys},
                "points": 0 if pdf is None else len(pdf),
                "ends": None if pdf is None else [float(pdf.r[0]), float(pdf.r[-1])],
                "range": list(ready.ranges[name]),
                "errors": pdf is not None and (pdf.dG is not None or pdf.cov is not None),
            }
        )
    return out


def _shown(value: Any) -> Any:
    """Return a value as JSON has it: infinity is text there, as recipes write it."""
    return "inf" if isinstance(value, float) and math.isinf(value) else value


def phases(state: State, ready: Prepared) -> list[dict[str, Any]]:
    """Return a dict for each phase: its table, kind, heading, shape with its parameters, and composition."""
    if not ready.models:
        return []
    model = next(iter(ready.models.values()))
    found = []
    for table, phase in zip(state.phases, model.phases, strict=True):
        shape: Any = getattr(phase, "shape", None)
        options = {key: value for key, value in table.items() if key not in ("name", "structure", "shape", "start")}
        found.append(
            {
                "name": phase.name,
                "structure": table.get("structure", ""),
                "kind": phase.kind,
                "heading": phase.heading,
                "shape": getattr(shape, "kind", ""),
                "set": options,
                "composition": {element: float(n) for element, n in phase.composition().items()},
            }
        )
    return found


def fit(state: State) -> dict[str, Any]:
    """Return what of the fit is no matter of one parameter."""
    table = state.fitted
    return {
        "search": table.get("search", "staged"),
        "use_errors": table.get("use_errors", True),
        "noise": table.get("noise", "estimated"),
        "convention": table.get("convention", "pdfkit"),
        "grid": table.get("grid", "data"),
        "max_nfev": table.get("max_nfev", 100),
        "stages": len(table.get("stage", ())),
        "restraints": len(table.get("restraints", ())),
        "patterns": [str(one.get("name", "")) for one in state.patterns],
        "title": state.tables.get("title", ""),
    }
