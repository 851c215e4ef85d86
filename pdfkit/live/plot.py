"""The plot of a page: an empty Bokeh figure with sources by name, which static/plot.js fills.

None of its models reports back to Python: what the page zooms and draws is its own affair, and a message for each
would double the time from a slider to its curve. What moves is drawn at the level "overlay", which Bokeh paints without
painting axes, grid and measured points again.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

__all__ = ["BLUE", "GREEN", "ORANGE", "plot"]

# Colours that people who see red and green alike can tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"


def plot() -> Any:
    """Return the figure of G(r), without data."""
    drawn = figure(
        name="plot",
        sizing_mode="stretch_both",
        x_range=Range1d(0.0, 30.0, name="x", syncable=False),
        y_range=Range1d(-1.0, 1.0, name="y", syncable=False),
        x_axis_label="r (Å)",
        y_axis_label="G (Å⁻²)",
        tools="pan,box_zoom,xwheel_zoom,reset,save",
        active_drag="box_zoom",
        toolbar_location="above",
    )
    drawn.toolbar.logo = None
    drawn.line("x", "y", source=_source("measured"), color="black", line_width=1.2)
    drawn.line("x", "y", source=_source("calculated"), color=ORANGE, line_width=1.5, level="overlay")
    drawn.line("x", "y", source=_source("difference"), color=BLUE, level="overlay")
    return drawn


def _source(name: str) -> Any:
    return ColumnDataSource({"x": [], "y": []}, name=name, syncable=False)
