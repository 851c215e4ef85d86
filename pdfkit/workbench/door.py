"""The door of the workbench: its address, and what a browser gets at once, while the rest is still being loaded.

A page is text, styles and scripts that are the same for all, Bokeh's script among them: they are served by a few
lines, and the browser reads them while numpy, numba and scipy are loaded here. Whatever else is asked for waits until
the gate (`pdfkit.workbench.gate`) is there.
"""

from __future__ import annotations

import asyncio
import html
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, StaticFileHandler

from pdfkit.errors import PdfkitError
from pdfkit.workbench import bokeh_scripts
from pdfkit.workbench.rules import Ruled, Rules

__all__ = ["LIMIT", "Door", "Options"]

STATIC = Path(__file__).with_name("static")
SCRIPTS = (
    "wire.js",
    "life.js",
    "files.js",
    "figures.js",
    "plot.js",
    "table.js",
    "cards.js",
    "rooms.js",
    "atoms.js",
    "page.js",
)
LIMIT = 64_000_000
"""Bytes of a file that is dropped on a page."""


@dataclass(frozen=True)
class Options:
    """How pages are served.

    port : 0 for any that is free. limit : bytes of a file that is dropped. once : whether the last tab ends it.
    embedded : whether notebooks may show pages in a frame.
    """

    port: int = 0
    limit: int = LIMIT
    once: bool = False
    embedded: bool = False


class Door(HTTPServerConnectionDelegate):  # type: ignore[misc]
    """A port on 127.0.0.1 in the loop of this thread, its address, and what is served before all else is loaded.

    reading : what a page says until Python tells more; None where it begins empty, and can be used from its first
    picture on: what is done there is sent when Python is ready.
    """

    def __init__(self, options: Options = Options(), reading: str | None = "…") -> None:
        self.options = options
        self.loop = IOLoop.current()
        self.gate: asyncio.Future[Application] = self.loop.asyncio_loop.create_future()
        scripts = bokeh_scripts()
        sockets = _bound(options.port)
        self.rules = Rules(secrets.token_urlsafe(24), sockets[0].getsockname()[1], options.embedded)
        self.url = f"http://127.0.0.1:{self.rules.port}/{self.rules.token}/"
        self.porch = Porch(self.rules, scripts, reading)
        self.http = HTTPServer(self, max_body_size=1_000_000, max_header_size=32_768)
        self.http.add_sockets(sockets)

    def start_request(self, server: Any, connection: Any) -> HTTPMessageDelegate:
        """Return what takes a request in."""
        return _Waiting(self, server, connection)

    def on_close(self, server: Any) -> None:
        """Do nothing about a connection that ends."""

    async def room(self, path: str) -> Application:
        """Return what answers a path, when it is there."""
        return self.porch if path in self.porch.paths else await self.gate

    def close(self) -> None:
        """Close the port."""
        self.http.stop()


class _Waiting(HTTPMessageDelegate):  # type: ignore[misc]
    """A request that waits for what answers it; its body is not read before."""

    def __init__(self, door: Door, server: Any, connection: Any) -> None:
        self.door, self.connection = door, (server, connection)
        self.inner: Any = None
        self.gone = False

    async def headers_received(self, start: Any, headers: Any) -> None:
        """Find what answers it, and hand it on."""
        found = await self.door.room(start.path.partition("?")[0])
        if self.gone:
            return
        self.inner = found.start_request(*self.connection)
        answer = self.inner.headers_received(start, headers)
        if isinstance(answer, Awaitable):
            await answer

    def data_received(self, chunk: bytes) -> Any:
        """Hand a piece of the body on."""
        return None if self.inner is None else self.inner.data_received(chunk)

    def finish(self) -> None:
        """Hand the end on."""
        if self.inner is not None:
            self.inner.finish()

    def on_connection_close(self) -> None:
        """Tell that nobody waits any more."""
        self.gone = True
        if self.inner is not None:
            self.inner.on_connection_close()


class Porch(Ruled):
    """What is served at once: the page, the same for all, and Bokeh's script."""

    def __init__(self, rules: Rules, scripts: Path, reading: str | None) -> None:
        page, script = f"/{rules.token}/", f"/{rules.token}/static/js/bokeh.min.js"
        self.paths = (page, page[:-1], script)
        version = StaticFileHandler.get_version({"static_path": str(scripts)}, "bokeh.min.js")
        self.page = written(f"static/js/bokeh.min.js?v={version}", reading)
        of_bokeh = (f"/{rules.token}/static/js/(bokeh.min.js)", Script, {"path": str(scripts)})
        super().__init__(rules, [(f"{page}?", Shell), of_bokeh])


class Shell(RequestHandler):  # type: ignore[misc]
    """Gives the page out; its scripts get a number that nobody can guess."""

    def get(self) -> None:
        """Answer with the page: of a user's there is nothing in it beside the names of files that are read."""
        nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", self.application.rules.policy(self.request.host, nonce))
        self.write(self.application.page.replace("{{ nonce }}", nonce))


class Script(StaticFileHandler):  # type: ignore[misc]
    """Gives Bokeh's script out, which a page that is reloaded has still."""


def written(script: str, reading: str | None) -> str:
    """Return the page. script : the path of Bokeh's script. reading : what it says at first, None: that it is empty."""
    parts = {
        "style": "".join((STATIC / one).read_text("utf-8") for one in ("page.css", "rooms.css")),
        "rooms": (STATIC / "rooms.html").read_text("utf-8"),
        "scripts": "\n".join((STATIC / one).read_text("utf-8") for one in SCRIPTS),
        "bokeh": script,
        "begins": "empty" if reading is None else "full",
        "reading": html.escape(reading or ""),
    }
    page = (STATIC / "page.html").read_text("utf-8")
    for name, text in parts.items():
        page = page.replace(f"{{{{ {name} }}}}", text)
    return page


def _bound(port: int) -> Any:
    try:
        return bind_sockets(port, "127.0.0.1")
    except OSError as error:
        raise PdfkitError(
            f"port {port} cannot be used ({error.strerror}): give --port another number, or leave it out"
        ) from None
