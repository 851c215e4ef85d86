"""The gate: what answers requests beside the page itself, and the websocket through which a page lives.

What comes in through the websocket is the text of an action, what goes out are frames (`pdfkit.workbench.frames`).
Whatever else comes is one message on the page, or ends the connection, to which a page comes back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from pdfkit.workbench.rules import Ruled, Rules

__all__ = ["LONGEST", "MOST_PAGES", "Gate", "Visit", "Wire"]

MOST_PAGES = 64
"""Tabs that are open at once."""
LONGEST = 1_000_000
"""Bytes of an action: one is some hundred."""
PING = 30.0
"""Seconds between two questions whether a browser is still there."""


class Gate(Ruled):
    """The application behind the rules.

    handlers : pattern of a path under the word, and handler with its options.
    """

    def __init__(self, rules: Rules, handlers: Mapping[str, tuple[type[RequestHandler], Mapping[str, Any]]]) -> None:
        super().__init__(
            rules,
            [(f"/{rules.token}{path}", handler, dict(more)) for path, (handler, more) in handlers.items()],
            websocket_max_message_size=LONGEST,
            websocket_ping_interval=PING,
        )


class Visit(Protocol):
    """What a connection is to the server: it takes texts of actions, and is told of the end."""

    def asked(self, text: str) -> None:
        """Do an action."""

    def gone(self) -> None:
        """Note that the browser is gone."""


class Wire(WebSocketHandler):  # type: ignore[misc]
    """The websocket of a tab. visits : called with what sends frames, and whether there is room for one more page."""

    visit: Visit | None = None

    def initialize(self, visits: Callable[[Callable[[bytes], None]], Visit | None]) -> None:
        """Take what makes visits; it gives None where there is no room."""
        self.visits = visits

    def check_origin(self, origin: str) -> bool:
        """Leave the question to the rules, which have asked it."""
        return True

    def open(self, *args: Any) -> None:
        """Begin."""
        self.set_nodelay(True)  # or a slider would wait 40 ms for the acknowledgement of its last curve
        self.visit = self.visits(self._send)
        if self.visit is None:
            self.close(1013, f"{MOST_PAGES} pages are open, which is the most: close one, and reload")

    def _send(self, message: bytes) -> None:
        with suppress(WebSocketClosedError):  # `on_close` will say so
            self.write_message(message, binary=True).add_done_callback(lambda sent: sent.exception())

    def on_message(self, message: str | bytes) -> None:
        """Take a message; a page of ours sends text."""
        if isinstance(message, bytes):
            self.close(1003, "not a message of this page")
        elif self.visit is not None:
            self.visit.asked(message)

    def on_close(self) -> None:
        """Tell that the browser is gone."""
        if self.visit is not None:
            self.visit.gone()
