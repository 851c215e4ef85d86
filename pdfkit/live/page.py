"""A page as Bokeh's models: curves as columns, and one model that carries actions to Python and the view back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.properties import Int, String
from bokeh.model import DataModel
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

if TYPE_CHECKING:
    from bokeh.document import Document

    from pdfkit.live.session import Session

__all__ = ["Page", "Wire"]

# Colours that people who see red and green alike can tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


class Wire(DataModel):  # type: ignore[misc]
    """What goes to and fro as text: actions of the page as JSON, and what the page shows beside its curves."""

    action = String(default="")
    view = String(default="{}")
    done = Int(default=0)


class Page:
    """The Bokeh document of a session."""

    def __init__(self, doc: Document, session: Session) -> None:
        self.doc, self.session = doc, session
        session.shown = self.show
        self.wire = Wire(name="wire")
        self.measured = ColumnDataSource({"r": [], "G": []}, name="measured")
        self.calculated = ColumnDataSource({"r": [], "G": [], "difference": []}, name="calculated")
        self._drawn: Any = None
        plot = self._plot()
        plot.tags = [self.wire]  # a root of its own would have to be seen
        doc.add_root(plot)
        self.wire.on_change("action", self._asked)
        self.show("all")

    def _plot(self) -> Any:
        plot = figure(
            name="plot",
            sizing_mode="stretch_both",
            x_axis_label="r (Å)",
            y_axis_label="G (Å⁻²)",
            tools="pan,box_zoom,wheel_zoom,reset,save",
            active_drag="box_zoom",
            toolbar_location="above",
        )
        plot.toolbar.logo = None
        plot.line("r", "G", source=self.measured, color="black", line_width=1.5, legend_label="measured")
        plot.line("r", "G", source=self.calculated, color=ORANGE, line_width=1.5, legend_label="calculated")
        plot.line("r", "difference", source=self.calculated, color=BLUE, legend_label="difference")
        plot.legend.click_policy = "hide"
        return plot

    def _asked(self, attr: str, old: str, new: str) -> None:
        action = json.loads(new)
        self.session.do(action)
        self.wire.done = int(action.get("n", 0))

    def show(self, what: str) -> None:
        """Bring curves, and with "all" everything else, up to date."""
        from pdfkit.errors import PdfkitError

        try:
            found = self.session.curves()
        except PdfkitError as error:
            self.session.message = str(error)
            found = None
        if found is not None:
            self._draw(found)
        view: dict[str, Any] = {"rw": None if found is None else found.rw, "message": self.session.message}
        if what == "all":
            view |= {
                "rows": self.session.rows(),
                "undo": self.session.at > 0,
                "redo": self.session.at < len(self.session.states) - 1,
                "range": None if found is None else [found.low, found.high],
            }
        self.wire.view = json.dumps(view)

    def _draw(self, found: Any) -> None:
        if found.measured is not None and self._drawn is not found.measured:
            self._drawn = found.measured
            self.measured.data = {"r": found.r, "G": found.measured}
        if found.calculated is None:
            return
        gap = np.full(found.r.shape, np.nan)
        if found.measured is not None:
            low = min(found.measured.min(), 0.0)
            gap = found.measured - found.calculated + 1.3 * low
        self.calculated.data = {"r": found.r, "G": found.calculated, "difference": gap}
