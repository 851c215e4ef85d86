"""Who is let in, and what a browser may do with what it is given: the rules for every request and every answer.

The server listens on 127.0.0.1 alone. An address begins with a random word, which each path needs: page, websocket,
scripts, uploads and downloads. The Host of a request must be this machine, or a name that an attacker lets point here
would do; what changes something (websocket, POST) must come from a page of the same address. Scripts run only when
they carry the number of their page. The word reaches no log and no other site.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Mapping
from typing import Any

from bokeh.embed.server import server_html_page_for_session
from bokeh.resources import Resources
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.doc_handler import DocHandler
from bokeh.server.views.static_handler import StaticHandler
from bokeh.server.views.ws import WSHandler
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from pdfkit.workbench.inbox import WireHandler, fault

__all__ = ["MOST_PAGES", "Gate", "Own"]

MOST_PAGES = 64
"""Pages that are open at once; one that nobody looks at any more makes room."""
MESSAGE = 1_000_000
"""Bytes of a message of a page: an action is some hundred."""
LINGER = 60_000
"""Milliseconds that a page is ready for a browser that has not come (back) to it; its state is kept all the same."""

_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "pdfkit",
}
# Bokeh sets styles from scripts and paints into images; nothing comes from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src data:; connect-src 'self' ws://{host}; form-action 'none'; base-uri 'none'; frame-ancestors {frames}"
)
# Pages of notebooks: those of Jupyter on this machine, and of VS Code.
_NOTEBOOKS = "http://127.0.0.1:* http://localhost:* vscode-webview:"


class Own(RequestHandler):  # type: ignore[misc]
    """Base of the handlers that belong to the workbench beside Bokeh's: they are let through the gate."""


class Gate(BokehTornado):  # type: ignore[misc]
    """Bokeh's application behind the rules.

    token : the word. port : that the server listens on. embedded : whether notebooks may show the page in a frame.
    handlers : pattern of a path under the word, and handler (`Own`) with its options.
    """

    def __init__(
        self,
        application: Any,
        token: str,
        port: int,
        *,
        embedded: bool = False,
        handlers: Mapping[str, tuple[type[Own], Mapping[str, Any]]],
        **options: Any,
    ) -> None:
        self.token = token.encode()
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.embedded = embedded
        super().__init__(
            {"/": application},
            prefix=token,
            extra_patterns=[(pattern, handler, dict(more)) for pattern, (handler, more) in handlers.items()],
            use_index=False,
            include_headers=[],
            include_cookies=[],
            ico_path="none",
            sign_sessions=True,  # or papers of pages could be made that were never given out
            secret_key=secrets.token_bytes(32),
            websocket_max_message_size_bytes=MESSAGE,
            unused_session_lifetime_milliseconds=LINGER,
            log_function=lambda handler: None,  # the word is in every path
            **options,
        )

    def resources(self, absolute_url: str | bool | None = None) -> Resources:
        """Return where scripts are: on this server, whatever the environment says: plots alone."""
        return Resources(
            mode="server",
            root_url=f"{self.prefix}/",
            path_versioner=StaticHandler.append_version,
            components=["bokeh"],
        )

    def refusal(self, request: HTTPServerRequest) -> int:
        """Return the status with which a request is sent away; 0 where it is let in."""
        if request.host.lower() not in self.hosts:
            return 403
        if not secrets.compare_digest(request.path[1:].partition("/")[0].encode(), self.token):
            return 404
        changes = request.method == "POST" or "upgrade" in request.headers
        if changes and request.headers.get_list("Origin") != [f"http://{request.host}"]:
            return 403
        return 0 if request.method in ("GET", "HEAD", "POST") else 405

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *about: Any, **more: Any
    ) -> Any:
        """Return what answers a request."""
        own = {DocHandler: PageHandler, WSHandler: WireHandler, StaticHandler: StaticHandler}
        handler = own.get(target_class, target_class if issubclass(target_class, Own) else None)
        status = self.refusal(request) or (0 if handler else 404)
        if status or handler is None:
            return super().get_handler_delegate(request, guarded(Refused), {"status": status})
        return super().get_handler_delegate(request, guarded(handler), *about, **more)

    def policy(self, host: str, nonce: str) -> str:
        """Return the Content-Security-Policy of a page."""
        return _POLICY.format(nonce=nonce, host=host, frames=_NOTEBOOKS if self.embedded else "'none'")


class Guarded(RequestHandler):  # type: ignore[misc]
    """What every answer has: headers, and errors of one sentence."""

    application: Gate

    def set_default_headers(self) -> None:
        """Set what no answer goes without."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-store")
        if not self.application.embedded:
            self.set_header("X-Frame-Options", "DENY")

    def write_error(self, status_code: int, **about: Any) -> None:
        """Answer with a sentence."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        error = about.get("exc_info", (None, None))[1]
        said = error.log_message if isinstance(error, HTTPError) and status_code != 500 else None
        self.finish(said or _SAID.get(status_code, "this did not work: reload the page"))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """Log a fault of our own on one line, without the address."""
        if not isinstance(value, HTTPError):
            fault(value)


_SAID = {
    403: "this request does not come from a page of pdfkit live: open the address that the command printed",
    404: "there is nothing at this address: open the one that pdfkit live printed",
    405: "pages of pdfkit live are only read and written to: use GET or POST",
    413: "this is too large",
}


@functools.cache
def guarded(handler: type[RequestHandler]) -> type[RequestHandler]:
    """Return a handler whose answers have the headers of all."""
    return type(handler.__name__, (Guarded, handler), {})


class Refused(RequestHandler):  # type: ignore[misc]
    """Sends a request away."""

    def initialize(self, status: int) -> None:
        """Take the status."""
        self.status = status

    def prepare(self) -> None:
        """Answer."""
        self.send_error(self.status)


class PageHandler(DocHandler):  # type: ignore[misc]
    """Gives a page out, as long as there are not too many; its scripts get a number that nobody can guess."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Answer with a page."""
        await self._make_room()
        session = await self.get_session()
        doc, nonce = session.document, secrets.token_urlsafe(16)
        page = server_html_page_for_session(
            session,
            resources=self.application.resources(),
            title=doc.title,
            template=doc.template,
            template_variables=doc.template_variables,
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", self.application.policy(self.request.host, nonce))
        # Nothing of a user's is in this text: it comes later, through the websocket.
        self.write(page.replace("<script", f'<script nonce="{nonce}"'))

    async def _make_room(self) -> None:
        known = self.application_context
        for session in list(known.sessions):
            if len(known.sessions) < MOST_PAGES:
                return
            if _is_left(session):
                await known._discard_session(session, _is_left)
        if len(known.sessions) >= MOST_PAGES:
            raise HTTPError(503, f"{MOST_PAGES} pages are open, which is the most: close one, and reload")


def _is_left(session: Any) -> bool:
    """Return whether a page has no browser, and has had the time to get one."""
    return bool(session.connection_count == 0 and session.milliseconds_since_last_unsubscribe > 5_000)
