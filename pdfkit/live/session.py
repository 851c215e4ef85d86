"""One page: its states, one after the other, and what the present one looks like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError
from pdfkit.live.actions import act
from pdfkit.live.prepared import Curves, Prepared
from pdfkit.live.state import State

__all__ = ["Session"]


class Session:
    """The states of one page and where it stands among them; `shown` is called with what changed: "all" or "curves"."""

    def __init__(self, folder: Path, state: State, shown: Callable[[str], None] = lambda what: None) -> None:
        self.folder, self.shown, self.message = folder, shown, ""
        self.states: list[State] = [state]
        self.at = 0
        self.chosen = ""
        self._prepared: tuple[Mapping[str, Any], Prepared] | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self.states[self.at]

    @property
    def prepared(self) -> Prepared:
        """The present state made ready; it is kept while only numbers move."""
        tables = self.state.tables
        if self._prepared is None or self._prepared[0] is not tables:
            self._prepared = tables, Prepared.of(self.state, self.folder)
        return self._prepared[1]

    def curves(self) -> Curves:
        """Return the curves of the data set that is shown."""
        ready = self.prepared
        self.chosen = self.chosen if self.chosen in ready.data else next(iter(ready.data), "")
        return ready.curves(self.chosen, self.state.values)

    def do(self, action: Mapping[str, Any]) -> None:
        """Do what the page asks; what cannot be done becomes the message, and the state stays."""
        self.message = ""
        try:
            if action.get("do") in ("undo", "redo"):
                self.at = min(max(0, self.at + (1 if action["do"] == "redo" else -1)), len(self.states) - 1)
            else:
                self._take(act(self.state, action), action)
        except PdfkitError as error:
            self.message = str(error)
        self.shown("curves" if action.get("do") == "value" and not self.message else "all")

    def _take(self, state: State, action: Mapping[str, Any]) -> None:
        """Make a state the present one; a slider that moves on replaces its own last state."""
        before = self.state
        Prepared.of(state, self.folder) if state.tables is not before.tables else None
        keep = self.at if action.get("moving") and self.at and self._same(action) else self.at + 1
        self.states[keep:] = [state]
        self.at, self._moved = len(self.states) - 1, action.get("name") if action.get("moving") else None

    _moved: Any = None

    def _same(self, action: Mapping[str, Any]) -> bool:
        return self._moved is not None and self._moved == action.get("name")

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the table of parameters."""
        params = self.prepared.params
        if params is None:
            return ()
        self.prepared.at(self.state.values)
        return [
            {
                "name": name,
                "value": par.value,
                "free": bool(par.vary),
                "tie": par.expr or "",
                "min": par.min if abs(par.min) < 1e300 else None,
                "max": par.max if abs(par.max) < 1e300 else None,
                "error": None,
            }
            for name, par in params.items()
        ]
