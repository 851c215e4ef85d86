"""Fits that a page has done, each with the state that it gave, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pdfkit.errors import PdfkitError
from pdfkit.workbench.state import State

if TYPE_CHECKING:
    from pdfkit.fitting.comparison import Comparison
    from pdfkit.results.result import FitResult

__all__ = ["MOST", "Entry", "comparable", "compared", "of_one_group", "with_evidence"]

MOST = 40
"""Fits that a page keeps: of more, the oldest go."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A fit: its number, what it found, and the state with its values.

    lnz : ln Z and its error, in the measure of the `group` of fits that were weighed together; None where it was not
    computed, and `why` says why not.
    """

    number: int
    result: FitResult
    state: State
    lnz: tuple[float, float] | None = None
    group: tuple[int, ...] = ()
    why: str = ""

    @classmethod
    def of_file(cls, number: int, file: str, state: State, folder: Path) -> Self:
        """Return the entry of a saved fit, whose state is known."""
        from pdfkit.results.saving import load_result

        return cls(number, load_result(folder / file), state)

    def minimum(self, which: object) -> State:
        """Return the state at a minimum that the search of the fit found, from 1."""
        found = self.result.minima
        if isinstance(which, bool) or not isinstance(which, int) or not 1 <= which <= len(found):
            raise PdfkitError(f"fit {self.number} has {len(found) or 'no'} minima: choose one of those that are listed")
        if which == 1:
            return self.state
        params = found[which - 1].params
        values = {name: float(par.value) for name, par in params.items() if not par.expr}
        return self.state.with_values({**self.state.values, **values})

    def view(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        one = self.result
        return {
            "number": self.number,
            "title": str(self.state.tables.get("title", "")),
            "rw": one.rw,
            # Without errors of the data the misfit has no yardstick: χ² is no more than Rw in other units.
            "reduced_chi2": _finite(one.reduced_chi2) if one.errors_from in ("dG", "cov") else None,
            "lnz": None if self.lnz is None else self.lnz[0],
            "lnz_error": None if self.lnz is None else self.lnz[1],
            "group": list(self.group),
            "why": self.why,
            "free": len(one.free),
            "names": list(one.free),
            "phases": [str(phase["name"]) for phase in self.state.phases],
            "seconds": one.seconds,
            "evaluations": one.nfev,
            "search": one.search if isinstance(one.search, str) else "thorough",
            "converged": one.converged,
            "describes": one.describes,
            "message": one.message,
            "remarks": list(one.remarks),
            "errors_from": one.errors_from,
            "minima": [
                {"rw": low.rw, "reached": low.reached, "differs": low.differs, "flaws": list(low.flaws)}
                for low in one.minima
            ],
            "searched": one.minima.words() if one.minima else "",
            "datasets": [
                {"name": d.name, "rw": d.rw, "rmin": float(d.data.r[0]), "rmax": float(d.data.r[-1])}
                for d in one.datasets
            ],
            "fractions": {
                phase: {kind: [_finite(v), _finite(e)] for kind, (v, e) in table.items()}
                for phase, table in one.fractions.items()
            },
        }

    @property
    def weighted(self) -> str:
        """What to say where the Rw of the fit is not that of the curves, which counts all points alike; or ""."""
        if self.result.problem.settings.grid != "data":
            return f"Rw of fit {self.number} is {self.result.rw:.4f} on PDFgui's Nyquist grid, not on all points"
        sets = self.result.datasets
        plain = math.sqrt(
            sum(float((one.difference**2).sum()) for one in sets) / sum(float((one.data.G**2).sum()) for one in sets)
        )
        if abs(plain - self.result.rw) < 5e-4:
            return ""
        return (
            f"Rw of fit {self.number} is {self.result.rw:.4f}, weighted by the errors of the data; all points alike it "
            f"is {plain:.4f}"
        )

    def correlation(self) -> dict[str, Any]:
        """Return names and correlation matrix of what varied; null where an error is not known."""
        matrix = [[_finite(float(value)) for value in row] for row in self.result.correlation]
        return {"names": list(self.result.free), "matrix": matrix}

    @property
    def files(self) -> tuple[str, str]:
        """The names of its files: the fit as HDF5, and the state."""
        return f"fit-{self.number}.h5", f"fit-{self.number}.json"

    def save(self, folder: Path) -> None:
        """Write it into a folder, as `files`."""
        from pdfkit.io._atomic import write_text

        folder.mkdir(parents=True, exist_ok=True)
        fit, state = self.files
        self.result.save(folder / fit)
        write_text(folder / state, self.state.to_json())

    @classmethod
    def load(cls, folder: Path, number: int) -> Self:
        """Return what `save` wrote."""
        from pdfkit.io._text import read_text
        from pdfkit.results.saving import load_result

        state = State.from_json(read_text(folder / f"fit-{number}.json"))
        return cls(number, load_result(folder / f"fit-{number}.h5"), state)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def comparable(entries: Sequence[Entry], last: Entry) -> tuple[list[Entry], str]:
    """Return the entries of the same data and weights as the last, it among them; and why others are not, or ""."""
    from pdfkit.fitting.comparison import same_data

    if last.result.patterns:
        return [], "fits with patterns beside G(r) are not weighed against each other here"
    found, why = [], ""
    for one in entries:
        try:
            same_data({f"fit {last.number}": last.result, f"fit {one.number}": one.result})
            found.append(one)
        except PdfkitError as error:
            if one is last:
                return [], str(error)
            why = str(error)
    return found, why


def with_evidence(entries: Sequence[Entry], found: Comparison) -> list[Entry]:
    """Return entries with ln Z of those that were weighed."""
    known = {int(name): (found.lnz[k], found.errors[k]) for k, name in enumerate(found.names)}
    group = tuple(sorted(known))
    return [replace(one, lnz=known[one.number], group=group, why="") if one.number in known else one for one in entries]


def of_one_group(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the entries as plain values; ln Z only of those that were weighed with the last one that was.

    Those of other data, ranges or weights have another measure: numbers beside each other would be compared.
    """
    last = next((one.group for one in reversed(entries) if one.lnz is not None), ())
    other = "other data, range or weights than of the fits whose ln Z is shown"
    away = {"lnz": None, "lnz_error": None, "why": other}
    return [one.view() | (away if one.lnz is not None and one.group != last else {}) for one in entries]


def _quality(entries: Sequence[Entry], delta: Sequence[float | None]) -> list[list[str]]:
    """Return rows of Rw and, where they are known, of how far each ln Z is below the best."""
    found = [["Rw", *(f"{one.result.rw:.4f}" for one in entries)]]
    if None not in delta:
        found.append(["ln Z below the best", *(f"{value:.1f}" for value in delta if value is not None)])
    return [[*row, *[""] * (len(entries) == 2)] for row in found]


def compared(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return fits side by side: numbers of each, parameters with errors in rows, Δ ln Z or why there is none."""
    from pdfkit.fitting.comparison import INDISTINGUISHABLE, side_by_side

    results = {str(one.number): one.result for one in entries}
    head, *rows = side_by_side(results)
    _, why = comparable(entries, entries[0])
    groups = {one.group for one in entries}
    delta: list[float | None] = [None] * len(entries)
    lnz = [one.lnz for one in entries]
    if not why and len(groups) == 1 and all(one is not None for one in lnz):
        values = [one[0] for one in lnz if one is not None]
        delta = [max(values) - value for value in values]
    elif not why:
        why = next((one.why for one in entries if one.why), "their evidence has not been computed")
    return {
        "fits": [one.number for one in entries],
        "head": list(head),
        "rows": [*_quality(entries, delta), *(list(row) for row in rows)],
        "rw": [one.result.rw for one in entries],
        "delta": delta,
        "apart": INDISTINGUISHABLE,
        "why": why,
    }
