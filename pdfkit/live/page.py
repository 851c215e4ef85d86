"""A page as Bokeh's models: an empty plot that the page's own script fills, and one model that carries both ways."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bokeh.core.properties import Any as AnyProperty
from bokeh.core.properties import String
from bokeh.model import DataModel

from pdfkit.live.frames import frame
from pdfkit.live.plot import plot

if TYPE_CHECKING:
    from bokeh.document import Document

    from pdfkit.live.session import Session

__all__ = ["Page", "Wire"]


class Wire(DataModel):  # type: ignore[misc]
    """What goes to and fro: actions of the page as JSON, and what the page shows as [number, frame] (`frames`).

    The number tells frames apart, since in the browser Bokeh takes any two buffers for equal, and says nothing then.
    """

    action = String(default="")
    sent = AnyProperty(default=(0, b""))


class Page:
    """The Bokeh document of a session."""

    def __init__(self, doc: Document, session: Session) -> None:
        self.doc, self.session = doc, session
        session.shown = self.show
        self.wire = Wire(name="wire")
        self.done = self.count = 0
        self._drawn: Any = None
        drawn = plot()
        drawn.tags = [self.wire]  # a root of its own would have to be seen
        doc.add_root(drawn)
        self.wire.on_change("action", self._asked)
        self.show("all")

    def _asked(self, attr: str, old: str, new: str) -> None:
        action = json.loads(new)
        self.done = int(action.get("n", 0))
        self.session.do(action)

    def show(self, what: str) -> None:
        """Bring curves, and with "all" everything else, up to date: the number of the last action done goes along."""
        from pdfkit.errors import PdfkitError

        try:
            found = self.session.curves()
            view = dict(self.session.view()) if what == "all" else {}
        except PdfkitError as error:
            self.session.message = str(error)
            found, view = None, {}
        view |= {"done": self.done, "message": self.session.message, "rw": None if found is None else found.rw}
        if what == "all":
            view["range"] = None if found is None else [found.low, found.high]
        self.count += 1
        self.wire.sent = [self.count, frame(view, {} if found is None else self._curves(found, what))]

    def _curves(self, found: Any, what: str) -> dict[str, Any]:
        """Return the curves that the page does not have yet: points and measured G stay while a slider moves."""
        arrays = {}
        if what == "all" or self._drawn is not found.measured:
            self._drawn = found.measured
            arrays = {"r": found.r, "measured": () if found.measured is None else found.measured}
        return arrays | {"calculated": () if found.calculated is None else found.calculated}
