"""What a page shows beside its model: a peak that was clicked, atoms, saved candidates, a saved series.

None of it is part of a state: nothing here changes what is fitted, and there is nothing to undo. A candidate or a scan
that is chosen takes the place of the model's curves in the plot until the model is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError
from pdfkit.io.hdf5 import format_in

if TYPE_CHECKING:
    from pdfkit.model.model import Model
    from pdfkit.screening.ranking import Ranking
    from pdfkit.series.result import SeriesResult
    from pdfkit.workbench.prepared import Curves

__all__ = ["Rooms", "is_shown", "kind_of"]

KINDS = {"pdfkit ranking": "ranking", "pdfkit series": "series"}


def kind_of(path: Path) -> str:
    """Return "ranking" or "series" for a file that is one, else ""."""
    return KINDS.get(format_in(path), "") if path.is_file() else ""


def is_shown(path: Path) -> bool:
    """Whether a file is shown beside a model."""
    return bool(kind_of(path))


@dataclass(frozen=True)
class Opened:
    """A saved file that is shown, and when it was last changed (ns)."""

    path: Path
    changed: int
    refitted: dict[str, Curves] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Return the file as it is now."""
        return cls(path, path.stat().st_mtime_ns)

    @property
    def stale(self) -> bool:
        """Whether it was changed since; a file that is gone is kept as it was."""
        return self.path.is_file() and self.path.stat().st_mtime_ns != self.changed

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking in it."""
        from pdfkit.screening.ranking import Ranking

        return Ranking.load(self.path)

    @cached_property
    def curves(self) -> Mapping[str, Curves]:
        """The curves in it, by candidate."""
        from pdfkit.workbench.candidates import stored

        return stored(self.path)

    @cached_property
    def series(self) -> SeriesResult:
        """The series in it."""
        from pdfkit.series.result import SeriesResult

        return SeriesResult.load(self.path)


def _opened(known: Opened | None, path: Path | None, kind: str) -> Opened | None:
    """Return a file opened: the one that is known if it is the same, None where there is none."""
    if path is None or (known is not None and known.path == path):
        return known if path is not None else None
    found = Opened.of(path)
    getattr(found, kind)  # read at once, so that a damaged file is refused
    return found


class Rooms:
    """What is chosen in each room; `curves` are what the plot shows in place of the model's."""

    def __init__(self) -> None:
        self.r: float | None = None
        self.phase, self.whole, self.drawn = "", False, False
        self.ranking: Opened | None = None
        self.series: Opened | None = None
        self.parameter = ""
        self.curves: Curves | None = None
        self.shown = ""

    def clear(self) -> None:
        """Choose nothing."""
        self.r, self.phase, self.whole, self.drawn = None, "", False, False
        self.leave()

    def do(self, action: Mapping[str, Any]) -> None:
        """Do an action of `DOES`; PdfkitError for what cannot be done."""
        self._DOES[str(action.get("do"))](self, action)

    def follow(self, beside: Sequence[str], folder: Path) -> None:
        """Open the last ranking and the last series of those beside a state; PdfkitError for one that is damaged."""
        known = {one.path: kind for kind in KINDS.values() if (one := getattr(self, kind)) is not None}
        files = {known.get(folder / file) or kind_of(folder / file): folder / file for file in beside}
        self.ranking, self.series = (_opened(getattr(self, kind), files.get(kind), kind) for kind in KINDS.values())

    def first(self) -> Curves | None:
        """Return the curves of a page without data: of the best candidate, or of the first scan that has any."""
        from pdfkit.workbench.trends import scan

        if self.ranking is not None and (best := self.ranking.ranking.best(1)):
            self.known(best[0].name)
        elif self.series is not None:
            for position in range(len(self.series.series)):
                with suppress(PdfkitError):
                    self.curves = scan(self.series.series, position)
                    self.shown = self.curves.name
                    break
        return self.curves

    def known(self, name: str) -> bool:
        """Show the curves of a candidate of its file, or of a fit before; return whether there are any."""
        found = None if self.ranking is None else {**self.ranking.refitted, **self.ranking.curves}.get(name)
        if found is not None:
            self.place(found, name)
        return found is not None

    def keep(self, name: str, found: Curves) -> None:
        """Keep the curves of a candidate that was fitted again."""
        if self.ranking is not None:
            self.ranking.refitted[name] = found

    def fitted(self, name: str) -> Callable[[], Curves]:
        """Return what fits a candidate again, which may take long; PdfkitError where there is none of that name."""
        from pdfkit.workbench.candidates import curves

        if self.ranking is None:
            raise PdfkitError("there is no ranking on this page: open a ranking.h5")
        ranking = self.ranking.ranking
        name = ranking[name].name
        return lambda: curves(ranking.result(name), name)

    def place(self, found: Curves, name: str) -> None:
        """Show the curves of a candidate."""
        self.curves, self.shown = found, f"candidate {name}"

    def leave(self) -> None:
        """Show the model's curves again."""
        self.curves, self.shown = None, ""

    def view(self, model: Model | None, beside: Sequence[str], folder: Path) -> dict[str, Any]:
        """Return what the rooms show: peak, atoms, candidates, trend; None where there is nothing to show."""
        with suppress(PdfkitError):  # it was damaged after it was opened: what was read stays
            self.follow(beside, folder)
        phases = [] if model is None else [one.name for one in model.phases]
        return {
            "peak": self._peak(model),
            "atoms": self._atoms(model, self.phase if self.phase in phases else ""),
            "candidates": self._table(),
            "trend": self._trends(),
            "shown": self.shown,
        }

    # What these need is loaded when there is something to show: a page opens faster without.

    def _atoms(self, model: Model | None, phase: str) -> dict[str, Any] | None:
        if model is None or not self.drawn:
            return None
        from pdfkit.workbench.atoms import atoms

        return atoms(model, phase, whole=self.whole)

    def _table(self) -> dict[str, Any] | None:
        if self.ranking is None:
            return None
        from pdfkit.workbench.candidates import table

        return table(self.ranking.ranking)

    def _trends(self) -> dict[str, Any] | None:
        if self.series is None:
            return None
        from pdfkit.workbench.trends import trend

        return trend(self.series.series, self.parameter)

    def _peak(self, model: Model | None) -> dict[str, Any] | None:
        if model is None or self.r is None:
            return None
        try:
            found = model.peak_at(self.r)
        except PdfkitError as error:
            return {"r": self.r, "pairs": [], "heading": f"peak at {self.r:.4g} Å", "rows": [], "lines": [str(error)]}
        section = found.section()
        pairs = [{**one, "sites": one["sites"][:3]} for one in found.to_dict()["pairs"]]  # thousands, in a box of atoms
        return {
            **found.to_dict(),
            "pairs": pairs,
            "heading": section.heading,
            "rows": section.rows,
            "lines": section.lines,
        }

    # --- actions ---------------------------------------------------------------------------------------------------

    def _at(self, action: Mapping[str, Any]) -> None:
        self.r = _number(action, "r")
        if self.r <= 0:
            self.r = None
            raise PdfkitError("a peak is at a distance above 0 Å: click on one")

    def _draw(self, action: Mapping[str, Any]) -> None:
        self.drawn = bool(action.get("open", True))
        self.phase, self.whole = str(action.get("phase", self.phase)), bool(action.get("whole", self.whole))

    def _trend(self, action: Mapping[str, Any]) -> None:
        self.parameter = str(action.get("name", ""))

    def _scan(self, action: Mapping[str, Any]) -> None:
        from pdfkit.workbench.trends import scan

        if self.series is None:
            raise PdfkitError("there is no series on this page: open a series.h5")
        found = scan(self.series.series, int(_number(action, "scan")))
        self.curves, self.shown = found, found.name

    @property
    def stale(self) -> bool:
        """Whether the file of the series has grown: another program, such as pdfkit watch, writes to it."""
        return self.series is not None and self.series.stale

    def _renew(self, action: Mapping[str, Any]) -> None:
        """Read the series again where its file has grown."""
        if self.series is not None and self.series.stale:
            found = Opened.of(self.series.path)
            if len(found.series):
                self.series = found

    def _leave(self, action: Mapping[str, Any]) -> None:
        self.leave()

    _DOES: Mapping[str, Callable[[Rooms, Mapping[str, Any]], None]] = {
        "peak": _at,
        "atoms": _draw,
        "trend": _trend,
        "scan": _scan,
        "renew": _renew,
        "model": _leave,
    }
    DOES = frozenset(_DOES)


def _number(action: Mapping[str, Any], name: str) -> float:
    from pdfkit import _checks

    return _checks.number(name, action.get(name))
