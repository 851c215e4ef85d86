"""What comes in through the websocket: actions of our page, and the few things that Bokeh's own scripts tell.

Whatever else comes is dropped, or ends the connection, to which a page comes back by itself: nothing that a message
holds makes a new object, changes another one than those named here, or ends as a traceback.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from bokeh.server.views.ws import WSHandler

__all__ = ["CHANGES", "WireHandler", "action_of", "allowed", "number_of"]

CHANGES: Mapping[str, frozenset[str]] = {
    "Wire": frozenset({"action"}),
    "Range1d": frozenset({"start", "end"}),
    "DataRange1d": frozenset({"start", "end"}),
    "BoxAnnotation": frozenset({"left", "right", "top", "bottom"}),
    "Figure": frozenset({"inner_width", "inner_height", "outer_width", "outer_height"}),
    "figure": frozenset({"inner_width", "inner_height", "outer_width", "outer_height"}),
}
"""What a page may change, by kind of model: numbers and text alone."""

LONGEST = 1_000_000
"""Characters of an action."""
_LOG = logging.getLogger("pdfkit.workbench")


def action_of(text: object) -> dict[str, Any]:
    """Return the action in a text of the page; {} for what is none: another thing than JSON of one table."""
    try:
        found = json.loads(str(text)[: LONGEST + 1], parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # half a character is no text, and no file can hold it
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("do"), str) else {}


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def number_of(action: Mapping[str, Any], last: int) -> int:
    """Return the number by which the page knows that an action was done; the next one where it has none."""
    n = action.get("n")
    return n if isinstance(n, int) and not isinstance(n, bool) and abs(n) < 2**31 else last + 1


def allowed(events: object, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the changes of a patch that a page may make. kinds : the kind of each model, by its id."""
    found = events if isinstance(events, list) else []
    return [event for event in found if isinstance(event, dict) and _is_allowed(event, kinds)]


def _is_allowed(event: Mapping[str, Any], kinds: Mapping[str, str]) -> bool:
    model = event.get("model")
    name = model.get("id") if isinstance(model, dict) and set(model) == {"id"} else None
    attr, new = event.get("attr"), event.get("new")
    if event.get("kind") != "ModelChanged" or not isinstance(name, str) or not isinstance(attr, str):
        return False
    return attr in CHANGES.get(kinds.get(name, ""), ()) and _is_plain(new, text=attr == "action")


def _is_plain(value: object, *, text: bool) -> bool:
    if text:
        return isinstance(value, str) and len(value) <= LONGEST
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and abs(value) < 1e300 and math.isfinite(value))  # type: ignore[arg-type]


class WireHandler(WSHandler):  # type: ignore[misc]
    """The websocket of a page."""

    _kinds: Mapping[str, str] | None = None

    def check_origin(self, origin: str) -> bool:
        """Leave the question to the gate, which has asked it."""
        return True

    def open(self, *args: Any) -> None:
        """Begin; a connection without the papers of its page is closed."""
        try:
            self.set_nodelay(True)  # or a slider would wait 40 ms for the acknowledgement of its last curve
            super().open()
        except Exception:  # of Bokeh's protocol: no token, or a wrong or an old one
            self.close(1008, "open the page again")

    async def _async_open(self, token: str) -> None:
        try:
            await super()._async_open(token)
        except Exception:
            self.close(1008, "open the page again")

    async def on_message(self, fragment: str | bytes) -> None:
        """Take a piece of a message; the last piece is answered."""
        try:
            if isinstance(fragment, bytes) or self.connection is None:
                raise ValueError("a page of ours sends text, when it is connected")
            if (message := await self.receiver.consume(fragment)) is not None:
                await self._answer(message)
        except Exception as error:
            _LOG.info("a message that no page sends: %s", type(error).__name__)
            self.close(1003, "not a message of this page")

    async def _answer(self, message: Any) -> None:
        if message.msgtype == "PATCH-DOC":
            if self._kinds is None:  # models of a page stay as it was made
                self._kinds = {one.id: type(one).__name__ for one in self.connection.session.document.models}
            message.content["events"] = allowed(message.content.get("events"), self._kinds)
            if not message.content["events"]:
                await self.send_message(self.connection.ok(message))
                return
        elif message.msgtype not in ("PULL-DOC-REQ", "SERVER-INFO-REQ"):
            raise ValueError("a page asks for its document, or changes it")
        if work := await self._handle(message):
            await self.send_message(work)
