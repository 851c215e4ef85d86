"""The server of the workbench: Bokeh's, bound to this machine, for those who know the word in the address."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.server.server import Server as BokehServer
from jinja2 import Environment, FileSystemLoader

from pdfkit.live.page import Page
from pdfkit.live.session import Session
from pdfkit.live.state import State

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["serve"]

STATIC = Path(__file__).with_name("static")
SCRIPTS = ("wire.js", "plot.js", "table.js", "cards.js", "page.js")


def serve(folder: Path, state: State, port: int = 0, opened: Callable[[str], None] = lambda url: None) -> None:
    """Serve pages that begin with a state until Ctrl-C; `opened` is called with the address."""
    token = secrets.token_urlsafe(24)
    template = Environment(loader=FileSystemLoader(STATIC), autoescape=False).get_template("page.html")

    def made(doc: Document) -> None:
        doc.title = "pdfkit live"
        doc.template = template
        doc.template_variables["style"] = (STATIC / "page.css").read_text("utf-8")
        doc.template_variables["script"] = "\n".join((STATIC / one).read_text("utf-8") for one in SCRIPTS)
        Page(doc, Session(folder, state))

    server: Any = BokehServer({f"/{token}": Application(FunctionHandler(made))}, port=port, address="127.0.0.1")
    server.start()
    opened(f"http://127.0.0.1:{server.port}/{token}")
    try:
        server.io_loop.start()
    finally:
        server.stop()
