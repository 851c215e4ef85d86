"""A saved series as a page shows it: each parameter against the index with its errors, and the fit of each scan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit.errors import PdfkitError
from pdfkit.workbench.prepared import Curves

if TYPE_CHECKING:
    from pdfkit._checks import Array
    from pdfkit.series.result import SeriesResult

__all__ = ["names", "scan", "title", "trend"]


def names(series: SeriesResult) -> list[str]:
    """Return what can be drawn against the index: parameters that vary, others, Rw and ln Z."""
    others = [name for name in series.names if name not in series.free]
    return [*series.free, *others, *(name for name in ("rw", "lnz", "reduced_chi2") if name in series.numbers)]


def trend(series: SeriesResult, name: str = "") -> dict[str, Any]:
    """Return a parameter of every scan: index, value, error (None where it is not known), title and status.

    A name that the series has not is that of its first parameter. PdfkitError for a series without any.
    """
    known = names(series)
    if not known:
        raise PdfkitError("this series has no parameter that varies: there is no trend to show")
    name = name if name in known else known[0]
    number = series.numbers.get(name)
    values, errors = series[name] if number is None else (number, np.full(len(series), math.nan))
    axis = series.axes[0].title if len(series.axes) == 1 else "point of the map"
    return {
        "names": known,
        "name": name,
        "unit": _unit(series, name),
        "axis": axis,
        "index": _plain(series.index),
        "values": _plain(values),
        "errors": _plain(errors),
        "titles": [title(series, k) for k in range(len(series))],
        "status": list(series.status),
        "words": _words(series, name, values, axis),
    }


def _plain(values: Array) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in np.asarray(values, dtype=float)]


def _unit(series: SeriesResult, name: str) -> str:
    if series.model is None:
        return ""
    return next((q.unit for q in series.model.quantities if q.name == name), "")


def _words(series: SeriesResult, name: str, values: Array, axis: str) -> str:
    """Return in a sentence what the picture shows."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return f"{name} is known for none of {len(series)} scans."
    first, last = float(values[known[0]]), float(values[known[-1]])
    low, high = float(values[known].min()), float(values[known].max())
    failed = sum(one == "failed" for one in series.status)
    lost = f" {failed} scan{'s' * (failed > 1)} failed." if failed else ""
    return (
        f"{name} of {len(series)} scans over {axis}: from {first:.5g} at the first to {last:.5g} at the last, between "
        f"{low:.5g} and {high:.5g}.{lost}"
    )


def title(series: SeriesResult, position: int) -> str:
    """Return what a scan is called: its label, with its number where several have the same."""
    label = series.labels[position]
    word = label if label.lower().startswith("scan") else f"scan {label}"
    return word if series.labels.count(label) == 1 else f"{word}, number {position + 1}"


def scan(series: SeriesResult, position: int) -> Curves:
    """Return the curves of a scan; PdfkitError where there is none of that number, or the file keeps no curves."""
    if not 0 <= position < len(series):
        raise PdfkitError(f"there is no scan {position + 1}: the series has {len(series)}")
    r, observed, calculated = series.curves()
    here = np.isfinite(observed[position]) & np.isfinite(calculated[position])
    if not here.any():
        raise PdfkitError(
            f"{series.labels[position]} has no curve: {'; '.join(series.remarks[position]) or 'it failed'}"
        )
    G = (observed[position][here], calculated[position][here])
    return Curves(title(series, position), r[here], *G, float(r[here][0]), float(r[here][-1]))
