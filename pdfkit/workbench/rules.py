"""Who is let in, and what a browser may do with what it is given: the rules for every request and every answer.

The server listens on 127.0.0.1 alone. An address begins with a random word, which each path needs: page, websocket,
scripts, uploads and downloads. The Host of a request must be this machine, or a name that an attacker lets point here
would do; what changes something (websocket, POST) must come from a page of the same address. Scripts run only when
they carry the number of their page. The word reaches no log and no other site.
"""

from __future__ import annotations

import functools
import logging
import secrets
import traceback
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from pdfkit._terminal import one_line

__all__ = ["Guarded", "Refused", "Ruled", "Rules", "fault", "guarded"]

_LOG = logging.getLogger("pdfkit.workbench")
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
_SAID = {
    403: "this request does not come from a page of pdfkit live: open the address that the command printed",
    404: "there is nothing at this address: open the one that pdfkit live printed",
    405: "pages of pdfkit live are only read and written to: use GET or POST",
    413: "this is too large",
}


def fault(error: BaseException) -> None:
    """Log a fault of our own, on one line: the page goes on."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    _LOG.error("%s in %s, line %s: %s", type(error).__name__, last.filename, last.lineno, one_line(str(error))[:300])


@dataclass(frozen=True)
class Rules:
    """The rules of a server.

    token : the word. port : that the server listens on. embedded : whether notebooks may show the page in a frame.
    """

    token: str
    port: int
    embedded: bool = False

    def refusal(self, request: HTTPServerRequest) -> int:
        """Return the status with which a request is sent away; 0 where it is let in."""
        if request.host.lower() not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return 403
        if not secrets.compare_digest(request.path[1:].partition("/")[0].encode(), self.token.encode()):
            return 404
        changes = request.method == "POST" or "upgrade" in request.headers
        if changes and request.headers.get_list("Origin") != [f"http://{request.host}"]:
            return 403
        return 0 if request.method in ("GET", "HEAD", "POST") else 405

    def policy(self, host: str, nonce: str) -> str:
        """Return the Content-Security-Policy of a page."""
        return _POLICY.format(nonce=nonce, host=host, frames=_NOTEBOOKS if self.embedded else "'none'")


class Ruled(Application):  # type: ignore[misc]
    """Handlers behind the rules."""

    def __init__(self, rules: Rules, handlers: list[Any], **settings: Any) -> None:
        self.rules = rules
        super().__init__(handlers, log_function=lambda handler: None, **settings)  # the word is in every path

    def get_handler_delegate(self, request: HTTPServerRequest, target_class: Any, *about: Any, **more: Any) -> Any:
        """Return what answers a request."""
        if status := self.rules.refusal(request):
            return super().get_handler_delegate(request, guarded(Refused), {"status": status})
        return super().get_handler_delegate(request, guarded(target_class), *about, **more)


class Guarded(RequestHandler):  # type: ignore[misc]
    """What every answer has: headers, and errors of one sentence; its application has `rules`."""

    def set_default_headers(self) -> None:
        """Set what no answer goes without."""
        for name, value in _HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-store")
        if not self.application.rules.embedded:
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
