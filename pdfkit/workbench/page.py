"""A page: actions that it sends, and frames of what it shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pdfkit.workbench.frames import frame
from pdfkit.workbench.parts import choices, of_q, shares
from pdfkit.workbench.rules import fault
from pdfkit.workbench.wording import in_page

if TYPE_CHECKING:
    from pdfkit.workbench.prepared import Curves
    from pdfkit.workbench.session import Session

__all__ = ["Page"]


LARGE = ("correlation", "history", "compared", "remarks", "peak", "atoms", "candidates", "trend")
"""Parts of a view that are sent when they change: a value that was set changes none of them, as a rule."""


def _worded(view: View) -> dict[str, Any]:
    """Return a view whose sentences are in the words of the page."""
    out = dict(view)
    if out.get("message"):
        out["message"] = in_page(out["message"])
    if out.get("remarks"):
        out["remarks"] = [in_page(one) for one in out["remarks"]]
    if out.get("history"):
        out["history"] = [{**one, "why": in_page(one["why"])} for one in out["history"]]
    if out.get("peak") and not out["peak"]["rows"]:
        out["peak"] = {**out["peak"], "lines": [in_page(one) for one in out["peak"]["lines"]]}
    if out.get("compared"):
        out["compared"] = {**out["compared"], "why": in_page(out["compared"]["why"])}
    return out


def _said(error: Exception) -> str:
    """Return what is said of a fault, and of a disk that is not as it was."""
    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return f"a file or folder{name} cannot be used ({error.strerror}): put it back, or start pdfkit live elsewhere"
    name = type(error).__name__
    return f"this could not be done ({name}): undo what was done before it, or reload the page"


View = Mapping[str, Any]
Take = Callable[["Page", Mapping[str, Any]], None]


class Page:
    """What a tab is shown of a session; `about` is what its view tells beside what the session does.

    Beside what the session does there are: look, with parts ("phases", "pairs" or "") and Q (true or false):
    which curves beside data and model are sent; and script: the view has the script that repeats what is shown.
    """

    session: Session

    def __init__(self, send: Callable[[bytes], None], take: Take, reading: str = "") -> None:
        """Begin with what is read, until a session is to be shown (`turn`).

        send : what takes a frame to the browser. take : what is done with an action of the page.
        """
        self.send, self.take = send, take
        self.about: View = {}
        self.done = self.told = 0
        self.parts, self.q, self.script = "", False, ""
        self._drawn: Any = None
        self._known: View = {}
        self._begun, self._chosen, self._early = False, False, ""
        self._send({"reading": reading}, {})

    def asked(self, text: str) -> None:
        """Do an action, and answer with at least one frame."""
        if not self._begun:  # it is done when there is something to do it with
            self._early = text
            return
        action = action_of(text)
        self.done = number_of(action, self.done)
        try:
            own = {"look": self._look, "script": self._script}.get(str(action.get("do")))
            own(action) if own else self.take(self, action)
        except Exception as error:  # a fault of ours: the page goes on
            fault(error)
            self.tell(_said(error))
        if self.told != self.done:  # the page waits for it
            self.show("curves")

    def _look(self, action: Mapping[str, Any]) -> None:
        self.parts, self.q = str(action.get("parts", "")), bool(action.get("Q"))
        self.show("all")

    def _script(self, action: Mapping[str, Any]) -> None:
        from pdfkit.errors import PdfkitError
        from pdfkit.workbench.exports import export

        try:
            self.session.refresh()
            self.script = export(self.session, "script")[1].decode()
            self.show("all")
        except PdfkitError as error:
            self.tell(str(error))
        finally:
            self.script = ""

    def turn(self, session: Session) -> None:
        """Show another session."""
        self.close()
        self._begun = True
        self.session, session.shown = session, self.show
        self.show("all")
        if self._early:
            early, self._early = self._early, ""
            self.asked(early)

    def close(self) -> None:
        """Show its session no more."""
        if self._begun and self.session.shown == self.show:
            self.session.shown = lambda what: None

    def tell(self, message: str) -> None:
        """Show a message."""
        self.session.message = message
        self.show("all")

    def show(self, what: str) -> None:
        """Bring up to date what changed: "curves" of a slider, the "progress" of a fit, or "all".

        The number of the last action that was done goes along.
        """
        view: dict[str, Any] = {}
        arrays: dict[str, Any] = {}
        if what == "progress":
            view["busy"] = self.session.busy
        else:
            view, arrays = self._shown(what, view)
        self._send(view, arrays)

    def _send(self, view: View, arrays: Mapping[str, Any]) -> None:
        self.told = self.done
        self.send(frame({"done": self.done, **_worded(view)}, arrays))

    def fails(self, error: str) -> None:
        """Show why there will be no session, where the server ends with that."""
        self._send({"message": error, "ended": True}, {})

    def _shown(self, what: str, view: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            return self._show(what, view)
        except Exception as error:  # a fault of ours: the page says it, and can go back to what it showed before
            fault(error)
            self.session.rooms.clear()
            self._drawn, self._known = None, {}
            about = {"message": _said(error), "rw": None, "undo": self.session.at > 0}
            return {**view, **self.about, **about, "busy": self.session.busy}, {}

    def _show(self, what: str, view: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        from pdfkit.errors import PdfkitError

        found, arrays = None, {}
        state = self.session.state
        try:
            if what == "all":
                view |= self.session.view()
                view |= {} if self._chosen else choices()
                self._chosen = True
            if state.data or state.phases or state.beside:
                found = self.session.curves()
                arrays = self._curves(found, what)
        except PdfkitError as error:
            self.session.message = str(error)
        view |= {"message": self.session.message, "rw": None if found is None else found.rw}
        if what == "all":
            view |= {**self.about, "script": self.script}
            view |= {"range": None if found is None else [found.low, found.high]}
            self._drawn = self._drawn if arrays else None
            arrays = arrays or {"r": (), "measured": (), "calculated": ()}
            view = self._changed(view)
        return view, arrays

    def _changed(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return a view without those large parts that the page has already."""
        known, self._known = self._known, {key: view[key] for key in LARGE if key in view}
        return {
            key: one for key, one in view.items() if key not in self._known or key not in known or known[key] != one
        }

    def _curves(self, found: Curves, what: str) -> dict[str, Any]:
        """Return the curves that the page does not have yet: points and measured G stay while a slider moves."""
        arrays: dict[str, Any] = {}
        if self._drawn is None or self._drawn[0] is not found.r or self._drawn[1] is not found.measured:
            self._drawn = found.r, found.measured
            arrays = {"r": found.r, "measured": () if found.measured is None else found.measured}
        arrays["calculated"] = () if found.calculated is None else found.calculated
        if self.session.rooms.curves is not None:
            return arrays  # of a candidate or a scan, which has no shares here
        ready = self.session.prepared
        if self.parts and found.calculated is not None:
            arrays |= {f"part {name}": G for name, G in shares(ready, found.name, self.parts).items()}
        return arrays | of_q(ready, found) if self.q else arrays


def action_of(text: str) -> dict[str, Any]:
    """Return the action in a text of the page; {} for what is none: another thing than JSON of one table."""
    try:
        found = json.loads(text, parse_constant=_no_number)
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
