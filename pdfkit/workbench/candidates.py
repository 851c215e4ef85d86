"""A saved ranking of candidates as a page shows it: a table with evidence, the list, the certificate, and fits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError
from pdfkit.io.hdf5 import read_nexus
from pdfkit.screening.table import head_of, listed_of
from pdfkit.workbench.prepared import Curves

if TYPE_CHECKING:
    from pdfkit.results.result import FitResult
    from pdfkit.screening.ranking import Ranking

__all__ = ["curves", "stored", "table"]

ROWS = 50
"""Rows of the table: what comes behind them is far from the data."""


def table(ranking: Ranking) -> dict[str, Any]:
    """Return heads and rows of the table, and in words what was screened and how far the list can be trusted."""
    first, *others = head_of(ranking)
    rows = ranking.best(ROWS)
    fitted = sum(row.stage == "fit" for row in ranking)
    more = f"{fitted - len(rows)} more were fitted and come behind these." if fitted > len(rows) else ""
    stages = "; ".join(line.strip() for line in others if line.startswith("  "))
    rest = " ".join(line for line in others if not line.startswith("  "))
    words = [first, f"{stages}." if stages else "", rest, " ".join(listed_of(ranking) if ranking.listed else "")]
    return {
        "heads": ["", "candidate", "formula", "atoms", "family", "Rw", "Δ ln Z", "probability"],
        "rows": [_row(k, row) for k, row in enumerate(rows, 1)],
        "words": [text for text in (*words, more) if text],
    }


def _row(place: int, row: Any) -> dict[str, Any]:
    cells = [
        f"{place}{'*' if row.indistinguishable else ''}",
        row.name if row.kind == "candidate" else f"{row.name} ({row.kind})",
        row.formula,
        str(row.atoms),
        row.family,
        f"{row.rw:.4f}",
        f"{row.delta:.2f}",
        "" if math.isnan(row.probability) else f"{row.probability:.3f}",
    ]
    return {"name": row.name, "cells": cells, "listed": row.listed, "remarks": list(row.remarks)}


def stored(path: Path) -> dict[str, Curves]:
    """Return the curves that a saved ranking has, by the names of their candidates; none where they are damaged."""
    try:
        found = read_nexus(path).group("entry").group("curves")
        r, observed = found.array("r"), found.array("observed")
        names = [name for name in found.members if name.startswith("calculated_")]
        known = {str(found.members[name].attrs.get("candidate", "")): found.array(name) for name in names}
    except PdfkitError:
        return {}
    ends = float(r[0]), float(r[-1])
    return {name: Curves(name, r, observed, G, *ends) for name, G in known.items() if G.size == r.size == observed.size}


def curves(result: FitResult, name: str = "") -> Curves:
    """Return the curves of a fit of one data set, or of the first of several."""
    one = result.datasets[0]
    return Curves(name or one.name, one.data.r, one.data.G, one.calc.G, float(one.data.r[0]), float(one.data.r[-1]))
