"""A page as Bokeh's models: empty plots that the page's own script fills, and one model that carries both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bokeh.core.properties import Any as AnyProperty
from bokeh.core.properties import String
from bokeh.model import DataModel

from pdfkit.workbench.frames import frame
from pdfkit.workbench.inbox import action_of, number_of
from pdfkit.workbench.parts import choices, of_q, shares
from pdfkit.workbench.plot import plot, plot_of_q
from pdfkit.workbench.rules import fault

if TYPE_CHECKING:
    from bokeh.document import Document

    from pdfkit.workbench.prepared import Curves
    from pdfkit.workbench.session import Session

__all__ = ["Page", "Wire"]


LARGE = ("correlation", "history", "compared", "remarks", "peak", "atoms", "candidates", "trend")
"""Parts of a view that are sent when they change: a value that was set changes none of them, as a rule."""


def _said(error: Exception) -> str:
    """Return what is said of a fault, and of a disk that is not as it was."""
    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return f"a file or folder{name} cannot be used ({error.strerror}): put it back, or start pdfkit live elsewhere"
    name = type(error).__name__
    return f"this could not be done ({name}): undo what was done before it, or reload the page"


class Wire(DataModel):  # type: ignore[misc]
    """What goes to and fro: actions of the page as JSON, and what the page shows as [number, frame] (`frames`).

    The number tells frames apart, since in the browser Bokeh takes any two buffers for equal, and says nothing then.
    """

    action = String(default="")
    sent = AnyProperty(default=(0, b""))


View = Mapping[str, Any]
Take = Callable[["Page", Mapping[str, Any]], None]


class Page:
    """The Bokeh document of a session; `about` is what its view tells beside what the session does.

    Beside what the session does there are: look, with parts ("phases", "pairs" or "") and Q (true or false):
    which curves beside data and model are sent; and script: the view has the script that repeats what is shown.
    """

    session: Session

    def __init__(self, doc: Document, take: Take, reading: str = "") -> None:
        """Make the page, which says what is read until it is to show a session (`turn`).

        take : what is done with an action of the page.
        """
        self.doc, self.take = doc, take
        self.about: View = {}
        self.wire = Wire(name="wire")
        self.done = self.told = self.count = 0
        self.parts, self.q, self.script = "", False, ""
        self._drawn: Any = None
        self._known: View = {}
        self._begun, self._early = False, ""
        drawn = plot()
        drawn.tags = [self.wire]  # a root of its own would have to be seen
        doc.add_root(drawn)
        doc.add_root(plot_of_q())
        self.wire.on_change("action", self._asked)
        self._send({"reading": reading}, {})

    def _asked(self, attr: str, old: str, new: str) -> None:
        if not self._begun:  # it is done when there is something to do it with
            self._early = new
            return
        action = action_of(new)
        self.done = number_of(action, self.done)
        try:
            own = {"look": self._look, "script": self._script}.get(str(action.get("do")))
            own(action) if own else self.take(self, action)
        except Exception as error:  # a fault of ours: the page goes on
            fault(error)
            self.tell(_said(error))
        if self.told != self.done:  # the page waits for it
            self.show("curves")

    def _look(self, action: Mapping[str, Any]) -> None:
        self.parts, self.q = str(action.get("parts", "")), bool(action.get("Q"))
        self.show("all")

    def _script(self, action: Mapping[str, Any]) -> None:
        from pdfkit.errors import PdfkitError
        from pdfkit.workbench.exports import export

        try:
            self.script = export(self.session, "script")[1].decode()
            self.show("all")
        except PdfkitError as error:
            self.tell(str(error))
        finally:
            self.script = ""

    def turn(self, session: Session) -> None:
        """Show another session."""
        self.close()
        self._begun = True
        self.session, session.shown = session, self.show
        self.show("all")
        if self._early:
            early, self._early = self._early, ""
            self._asked("action", "", early)

    def close(self) -> None:
        """Show its session no more."""
        if self._begun and self.session.shown == self.show:
            self.session.shown = lambda what: None

    def tell(self, message: str) -> None:
        """Show a message."""
        self.session.message = message
        self.show("all")

    def show(self, what: str) -> None:
        """Bring up to date what changed: "curves" of a slider, the "progress" of a fit, or "all".

        The number of the last action that was done goes along.
        """
        view: dict[str, Any] = {}
        arrays: dict[str, Any] = {}
        if what == "progress":
            view["busy"] = self.session.busy
        else:
            view, arrays = self._shown(what, view)
        self._send(view, arrays)

    def _send(self, view: View, arrays: Mapping[str, Any]) -> None:
        self.told, self.count = self.done, self.count + 1
        self.wire.sent = [self.count, frame({"done": self.done, **view}, arrays)]

    def fails(self, error: str) -> None:
        """Show why there will be no session, where the server ends with that."""
        self._send({"message": error, "ended": True}, {})

    def _shown(self, what: str, view: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return self._show(what, view)
        except Exception as error:  # a fault of ours: the page says it, and can go back to what it showed before
            fault(error)
            self.session.rooms.clear()
            self._drawn, self._known = None, {}
            about = {"message": _said(error), "rw": None, "undo": self.session.at > 0}
            return {**view, **self.about, **about, "busy": self.session.busy}, {}

    def _show(self, what: str, view: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        from pdfkit.errors import PdfkitError

        found, arrays = None, {}
        state = self.session.state
        try:
            if what == "all":
                view |= self.session.view()
                view |= choices() if self.count < 2 else {}
            if state.data or state.phases or state.beside:
                found = self.session.curves()
                arrays = self._curves(found, what)
        except PdfkitError as error:
            self.session.message = str(error)
        view |= {"message": self.session.message, "rw": None if found is None else found.rw}
        if what == "all":
            view |= {**self.about, "script": self.script}
            view |= {"range": None if found is None else [found.low, found.high]}
            self._drawn = self._drawn if arrays else None
            arrays = arrays or {"r": (), "measured": (), "calculated": ()}
            view = self._changed(view)
        return view, arrays

    def _changed(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return a view without those large parts that the page has already."""
        known, self._known = self._known, {key: view[key] for key in LARGE if key in view}
        return {
            key: one for key, one in view.items() if key not in self._known or key not in known or known[key] != one
        }

    def _curves(self, found: Curves, what: str) -> dict[str, Any]:
        """Return the curves that the page does not have yet: points and measured G stay while a slider moves."""
        arrays: dict[str, Any] = {}
        if self._drawn is None or self._drawn[0] is not found.r or self._drawn[1] is not found.measured:
            self._drawn = found.r, found.measured
            arrays = {"r": found.r, "measured": () if found.measured is None else found.measured}
        arrays["calculated"] = () if found.calculated is None else found.calculated
        if self.session.rooms.curves is not None:
            return arrays  # of a candidate or a scan, which has no shares here
        ready = self.session.prepared
        if self.parts and found.calculated is not None:
            arrays |= {f"part {name}": G for name, G in shares(ready, found.name, self.parts).items()}
        return arrays | of_q(ready, found) if self.q else arrays
