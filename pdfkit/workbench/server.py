"""The server of the workbench: Bokeh's, behind its door, for those who know the word in the address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.events import ConnectionLost
from bokeh.server.server import BaseServer

from pdfkit.errors import PdfkitError
from pdfkit.workbench.door import Door
from pdfkit.workbench.gate import Gate, Own
from pdfkit.workbench.page import Page
from pdfkit.workbench.pages import Kept, Pages, folder_of
from pdfkit.workbench.rules import fault
from pdfkit.workbench.transfer import Alive, Download, Upload

if TYPE_CHECKING:
    from bokeh.document import Document

    from pdfkit.workbench.state import State

__all__ = ["Server"]

DEBOUNCE = 0.3
"""Seconds from a change to its writing."""
GRACE = 3.0
"""Seconds that the last tab has to come back, as it does when it is reloaded."""
PATIENCE = 5.0
"""Seconds that fits which are stopped have to end with the server."""
BRIEFLY = 0.1
"""Seconds that files which are opened may keep all tabs waiting; what takes longer goes on beside them."""
IDLE = 60.0
"""Seconds after which a page without a tab is on disk alone: a page holds its fits, some MB each."""


class Server:
    """Pages behind a door, served by its loop, which the caller runs (`loop.start()`)."""

    def __init__(self, pages: Pages, door: Door) -> None:
        self.pages, self.options = pages, door.options
        self.reading = ""
        self.waiting: list[Tab] = []
        self.failed: BaseException | None = None
        self.loop, self.url = door.loop, door.url
        pages.told = lambda kept, text: self.loop.add_callback(self._tell, kept, text)
        handlers: dict[str, tuple[type[Own], Mapping[str, Any]]] = {
            "/upload": (Upload, {"pages": pages, "limit": door.options.limit}),
            "/alive": (Alive, {}),
            "/download": (Download, {"pages": pages}),
        }
        self.gate = Gate(Application(FunctionHandler(self._made)), door.rules, handlers=handlers)
        self._bokeh: Any = BaseServer(self.loop, self.gate, door.http)
        self._bokeh.start()
        self._tidy = self.loop.call_later(60, self._forget)
        door.gate.set_result(self.gate)

    def read(self, what: str, found: Callable[[], State], chosen: Sequence[str] = ()) -> None:
        """Serve while what new pages begin with is found in a thread; until then they say what is read.

        An error ends the server when its pages have shown it: `failed`. chosen : files that the user named.
        """
        self.reading = what

        def read() -> None:
            try:
                state = found()
                self.loop.add_callback(self._ready, state, chosen)
            except Exception as error:
                self.loop.add_callback(self._fail, error)

        threading.Thread(target=read, daemon=True, name="pdfkit live reading").start()

    def _ready(self, state: State, chosen: Sequence[str]) -> None:
        self.pages.begin_with(state, chosen)
        self.reading = ""
        for tab in self.waiting:
            tab.doc.add_next_tick_callback(tab.begin)
        self.waiting.clear()

    def _fail(self, error: BaseException) -> None:
        self.failed = error
        for tab in self.waiting:
            tab.doc.add_next_tick_callback(lambda page=tab.page: page.fails(str(error)))
        self.loop.call_later(0.5 if self.waiting else 0.0, self.loop.stop)

    def stop(self) -> None:
        """Stop fits, write what changed, close the port."""
        self.loop.remove_timeout(self._tidy)
        jobs = [job for kept in self.pages.pages.values() for job in (kept.session.job, kept.session.opening)]
        fits = [job.thread for job in jobs if job is not None]
        for kept in self.pages.pages.values():
            kept.session.close()
        self.pages.close()
        end = time.monotonic() + PATIENCE
        for thread in fits:  # one that computes while the interpreter ends would abort it
            thread.join(max(0.0, end - time.monotonic()))
        self._bokeh.stop()
        self._bokeh.unlisten()

    def _made(self, doc: Document) -> None:
        """Make a document: a new page, until its browser says that it continues another."""
        doc.title = "pdfkit live"
        doc.config.reconnect_session = doc.config.notify_connection_status = False  # life.js does
        tab = Tab(self, doc)
        doc.on_session_destroyed(tab.gone)
        doc.on_event(ConnectionLost, tab.left)

    def hold(self, kept: Kept, tab: Tab) -> None:
        """Let a tab show a page; what the fits of the page find reaches the tab that shows it then, or none."""
        kept.tabs.append(tab)
        kept.session.later = lambda call: self.loop.add_callback(self._later, kept, call)
        kept.session.patience = BRIEFLY

    def _later(self, kept: Kept, call: Callable[[], None]) -> None:
        def done() -> None:
            try:
                call()
            except Exception as error:  # a fault of ours: the page goes on
                fault(error)
            self.pages.save(kept)

        kept.tabs[-1].doc.add_next_tick_callback(done) if kept.tabs else done()

    def _tell(self, kept: Kept, text: str) -> None:
        """Say a sentence on the tabs of a page."""
        for tab in kept.tabs:
            tab.doc.add_next_tick_callback(lambda tab=tab: tab.page.tell(text))

    def maybe_end(self) -> None:
        """End when the last tab is closed, if that was asked for."""
        if self.options.once:
            self.loop.call_later(GRACE, lambda: None if self.gate._clients else self.loop.stop())

    def _forget(self) -> None:
        self.pages.forget(IDLE)
        self._tidy = self.loop.call_later(60, self._forget)


class Tab:
    """A tab of a browser: the page that it shows, and the actions that are about pages."""

    kept: Kept

    def __init__(self, server: Server, doc: Document) -> None:
        self.server, self.doc = server, doc
        self.page = Page(doc, self.take, server.reading)
        self._saving: Any = None
        self.begun = False
        if server.reading:
            server.waiting.append(self)
        else:
            self.begin()

    def begin(self) -> None:
        """Show a page."""
        self.begun = True
        self._show(self.server.pages.begin())

    @property
    def live(self) -> bool:
        """Whether its browser is connected."""
        session = self.doc.session_context.session if self.doc.session_context else None
        return session is not None and session.connection_count > 0

    def about(self) -> Mapping[str, Any]:
        """Return what the page is told: its name, and which earlier ones there are."""
        pages = self.server.pages
        return {"page": self.kept.id, "earlier": pages.earlier(self.kept.id), "trouble": pages.trouble}

    def take(self, page: Page, action: Mapping[str, Any]) -> None:
        """Do an action of the page, and keep what it changed."""
        try:
            if not action:
                raise PdfkitError("this is no action of this page: reload it")
            if action["do"] == "continue":
                self._continue(action)
                return
            self.kept.files.check(action)
            if action["do"] in ("open", "example"):  # parts of results and projects are written beside what was dropped
                folder_of(self.server.pages.home, self.kept.id, "files")
        except (PdfkitError, OSError) as error:
            page.tell(str(error))
            return
        page.session.do(action)
        self.kept.seen = time.monotonic()
        if self._saving is None:
            self._saving = self.server.loop.call_later(DEBOUNCE, self._save)

    def _save(self) -> None:
        self._saving = None
        self.server.pages.save(self.kept)

    def _continue(self, action: Mapping[str, Any]) -> None:
        """Show the page that the tab showed before, or another one; a copy of it where a tab shows it still."""
        pages = self.server.pages
        found = pages.find(action.get("page"))
        if found is None or found is self.kept:
            return
        if action.get("copy") and any(tab.live for tab in found.tabs):
            found = pages.copy(found)
        self._leave()
        self._show(found)

    def _show(self, kept: Kept) -> None:
        self.kept = kept
        self.server.hold(kept, self)
        self.page.about = self.about()
        self.page.turn(kept.session)

    def _leave(self) -> None:
        self.kept.tabs.remove(self)
        self.server.pages.leave(self.kept)

    def left(self, event: Any) -> None:
        """Note that the browser is gone; it may come back."""
        if self.begun:
            self.server.pages.save(self.kept)
        self.server.maybe_end()

    def gone(self, context: Any) -> None:
        """Note that the tab is closed."""
        self.page.close()
        if self.begun:
            self._leave()
        elif self in self.server.waiting:
            self.server.waiting.remove(self)
