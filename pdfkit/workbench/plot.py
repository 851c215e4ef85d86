"""The plots of a page: empty Bokeh figures with sources by name, which static/plot.js fills.

None of their models reports back to Python: what the page zooms and draws is its own affair, and a message for each
would double the time from a slider to its curve. What moves is drawn at the level "overlay", which Bokeh paints without
painting axes, grid and measured points again.
"""

from __future__ import annotations

from typing import Any

from bokeh.models import BoxAnnotation, ColumnDataSource, HoverTool, Range1d
from bokeh.plotting import figure

__all__ = ["BLUE", "GREEN", "ORANGE", "PARTS", "plot", "plot_of_q"]

# Colours that people who see red and green alike can tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PARTS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#666666", "#0072B2", "#B8860B", "#8B4513")


def plot() -> Any:
    """Return the figure of G(r), without data."""
    drawn = _figure("plot", "r (Å)", "G (Å⁻²)", "x", "y")
    drawn.add_layout(_range())
    drawn.line("x", "y", source=_source("measured"), color="black", line_width=1.2, name="line")
    drawn.scatter("x", "y", source=_source("points"), size=4, fill_color=None, line_color="black", name="dots")
    for k, colour in enumerate(PARTS):
        drawn.line("x", "y", source=_source(f"part{k}"), color=colour, line_width=1.2, level="overlay")
    drawn.line("x", "y", source=_source("calculated"), color=ORANGE, line_width=1.5, level="overlay", name="model")
    drawn.line("x", "y", source=_source("difference"), color=BLUE, level="overlay")
    return drawn


def plot_of_q() -> Any:
    """Return the figure of F(Q), without data."""
    drawn = _figure("fq", "Q (Å⁻¹)", "F (Å⁻¹)", "xq", "yq")
    drawn.line("x", "y", source=_source("fq-measured"), color="black", line_width=1.2)
    drawn.line("x", "y", source=_source("fq-calculated"), color=ORANGE, line_width=1.5, level="overlay")
    return drawn


def _figure(name: str, x: str, y: str, x_range: str, y_range: str) -> Any:
    drawn = figure(
        name=name,
        sizing_mode="stretch_both",
        min_height=120,
        min_border_right=16,
        x_range=Range1d(0.0, 30.0, name=x_range, syncable=False),
        y_range=Range1d(-1.0, 1.0, name=y_range, syncable=False),
        x_axis_label=x,
        y_axis_label=y,
        tools="pan,box_zoom,xwheel_zoom,reset,save",
        active_drag="box_zoom",
        active_scroll="xwheel_zoom",
        toolbar_location="above",
        syncable=False,
    )
    drawn.add_tools(HoverTool(tooltips=[(x, "@x{0.000}"), (y, "@y{0.0000}")], mode="mouse", attachment="above"))
    drawn.toolbar.logo = None
    drawn.axis.axis_label_text_font_style = "normal"
    drawn.axis.axis_label_text_font_size = drawn.axis.major_label_text_font_size = "13px"
    return drawn


def _range() -> Any:
    """Return the range of the fit: its left and right edge can be dragged."""
    return BoxAnnotation(
        name="range",
        left=0.0,
        right=0.0,
        editable=True,
        movable="none",
        resizable="x",
        fill_color=BLUE,
        fill_alpha=0.06,
        line_color=BLUE,
        line_dash="dashed",
        hover_line_color=ORANGE,
        hover_fill_color=BLUE,
        hover_fill_alpha=0.06,
        syncable=False,
        visible=False,
    )


def _source(name: str) -> Any:
    return ColumnDataSource({"x": [], "y": []}, name=name, syncable=False)
