"""The gate to Bokeh: its application behind the rules (`pdfkit.workbench.rules`), and the papers of each page."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from bokeh.server.tornado import BokehTornado
from bokeh.server.views.ws import WSHandler
from bokeh.util.token import generate_jwt_token, generate_session_id
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

from pdfkit.workbench.inbox import WireHandler
from pdfkit.workbench.rules import Refused, Rules, guarded

__all__ = ["MOST_PAGES", "Gate", "Own"]

MOST_PAGES = 64
"""Pages that are open at once; one that nobody looks at any more makes room."""
MESSAGE = 1_000_000
"""Bytes of a message of a page: an action is some hundred."""
LINGER = 60_000
"""Milliseconds that a page is ready for a browser that has not come (back) to it; its state is kept all the same."""


class Own(RequestHandler):  # type: ignore[misc]
    """Base of the handlers that belong to the workbench beside Bokeh's: they are let through the gate."""


class Gate(BokehTornado):  # type: ignore[misc]
    """Bokeh's application behind the rules.

    handlers : pattern of a path under the word, and handler (`Own`) with its options.
    """

    def __init__(
        self,
        application: Any,
        rules: Rules,
        *,
        handlers: Mapping[str, tuple[type[Own], Mapping[str, Any]]],
        **options: Any,
    ) -> None:
        self.rules = rules
        handlers = {**handlers, "/session": (Papers, {})}
        super().__init__(
            {"/": application},
            prefix=rules.token,
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

    @property
    def pages(self) -> Any:
        """Bokeh's context of the one application: its sessions, each of them the page of a tab."""
        return self._applications["/"]

    def get_handler_delegate(
        self, request: HTTPServerRequest, target_class: type[RequestHandler], *about: Any, **more: Any
    ) -> Any:
        """Return what answers a request."""
        own = {WSHandler: WireHandler}
        handler = own.get(target_class, target_class if issubclass(target_class, Own) else None)
        status = self.rules.refusal(request) or (0 if handler else 404)
        if status or handler is None:
            return super().get_handler_delegate(request, guarded(Refused), {"status": status})
        return super().get_handler_delegate(request, guarded(handler), *about, **more)


class Papers(Own):
    """POST /session: begins a page as long as there are not too many, and gives its papers out: {"token": for the
    websocket, "roots": {name: id} of what Bokeh draws}."""

    async def post(self) -> None:
        """Answer with the papers."""
        app = self.application
        await self._make_room()
        signed = {"secret_key": app.secret_key, "signed": app.sign_sessions}
        name = generate_session_id(**signed)
        about = {"headers": {}, "cookies": {}, "arguments": {}}
        token = generate_jwt_token(name, **signed, expiration=app.session_token_expiration, extra_payload=about)
        session = await app.pages.create_session_if_needed(name, self.request, token)
        roots = {root.name: root.id for root in session.document.roots}
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"token": token, "roots": roots}))

    async def _make_room(self) -> None:
        known = self.application.pages
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
