"""One page: its states, one after the other, its fits, and what the present one looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError, ReadError
from pdfkit.live import view
from pdfkit.live.actions import act
from pdfkit.live.opening import WORK, added
from pdfkit.live.prepared import Curves, Prepared
from pdfkit.live.state import State

__all__ = ["Session"]


def plain(error: PdfkitError) -> str:
    """Return the sentence of an error, without the line of a text that nobody sees."""
    return error.message if isinstance(error, ReadError) and error.path == "this page" else str(error)


class Session:
    """The states of one page and where it stands among them; `shown` is called with what changed: "all" or "curves".

    Beside the actions of states (`pdfkit.live.actions`) it does: undo, redo, open (files), show (data).
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        shown: Callable[[str], None] = lambda what: None,
        work: Path | None = None,
    ) -> None:
        self.folder, self.work, self.shown, self.message = folder, work or folder / WORK, shown, ""
        self.states: list[State] = [state]
        self.at = 0
        self.chosen = ""
        self._prepared: tuple[State, Prepared] | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self.states[self.at]

    @property
    def prepared(self) -> Prepared:
        """The present state made ready; it is kept while only numbers move."""
        return self._ready(self.state)

    def _ready(self, state: State) -> Prepared:
        known = self._prepared
        if known is not None and known[0].tables is state.tables and known[0].beam is state.beam:
            return known[1]
        found = Prepared.of(state, self.folder, known and known[1])
        self._prepared = state, found
        return found

    def curves(self) -> Curves:
        """Return the curves of the data set that is shown."""
        ready = self.prepared
        if not ready.data:
            raise PdfkitError("there is nothing to show yet: open data or a structure")
        self.chosen = self.chosen if self.chosen in ready.data else next(iter(ready.data), "")
        return self._curves_of(self.state, ready)

    def _curves_of(self, state: State, ready: Prepared) -> Curves:
        known = self._curves
        if known is None or known[0] is not state or known[1].name != self.chosen:
            self._curves = state, ready.curves(self.chosen, state.values)
        assert self._curves is not None
        return self._curves[1]

    def do(self, action: Mapping[str, Any]) -> None:
        """Do what the page asks; what cannot be done becomes the message, and the state stays."""
        self.message = ""
        name = str(action.get("do", ""))
        try:
            self._OWN[name](self, action) if name in self._OWN else self._act(action)
        except PdfkitError as error:
            self.message = plain(error)
        self.shown("curves" if name == "value" and action.get("moving") and not self.message else "all")

    def _act(self, action: Mapping[str, Any]) -> None:
        self._take(act(self.state, action, self.prepared), action)

    def _step(self, action: Mapping[str, Any]) -> None:
        self.at = min(max(0, self.at + (1 if action["do"] == "redo" else -1)), len(self.states) - 1)
        self._moved = None

    def _open(self, action: Mapping[str, Any]) -> None:
        files = action.get("files")
        if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
            raise PdfkitError("open lacks files: give a list of their names")
        self._take(added(self.state, files, self.folder, self.work), action)

    def _show(self, action: Mapping[str, Any]) -> None:
        name = str(action.get("data", ""))
        if name not in self.prepared.data:
            raise PdfkitError(f"no data set is called {name!r}: there are {', '.join(self.prepared.data)}")
        self.chosen = name

    def _take(self, state: State, action: Mapping[str, Any]) -> None:
        """Make a state the present one, if it can be shown; a slider that moves on replaces its own last state."""
        if state == self.state:
            return
        self._check(state)
        goes_on = action.get("moving") and self._moved is not None and self._moved == action.get("name")
        keep = self.at if goes_on and self.at else self.at + 1
        self.states[keep:] = [state]
        self.at, self._moved = len(self.states) - 1, action.get("name") if action.get("moving") else None

    def _check(self, state: State) -> None:
        """Raise PdfkitError where a state has no curves."""
        before = self._prepared
        try:
            ready = self._ready(state)
            if state.tables is not self.state.tables or state.beam is not self.state.beam:
                for name in ready.models:
                    ready.curves(name, state.values)
            elif self.chosen in ready.data:
                self._curves_of(state, ready)
        except PdfkitError:
            self._prepared = before
            raise

    _moved: Any = None
    _curves: tuple[State, Curves] | None = None
    _OWN: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
        "undo": _step,
        "redo": _step,
        "open": _open,
        "show": _show,
    }

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the table of parameters."""
        return view.rows(self.state, self.prepared)

    def view(self) -> dict[str, Any]:
        """Return all that the page shows beside curves, as plain values."""
        ready = self.prepared
        return {
            "rows": list(view.rows(self.state, ready)),
            "data": view.data(self.state, ready),
            "phases": view.phases(self.state, ready),
            "fit": view.fit(self.state),
            "beam": None if self.state.data else self.state.measured_by,
            "remarks": list(dict.fromkeys([*self.state.remarks, *ready.said])),
            "chosen": self.chosen,
            "undo": self.at > 0,
            "redo": self.at < len(self.states) - 1,
            "message": self.message,
        }
