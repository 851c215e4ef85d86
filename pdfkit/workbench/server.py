"""The server of the workbench behind its door: tabs, the pages that they show, and what ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

from pdfkit.errors import PdfkitError
from pdfkit.workbench import gate
from pdfkit.workbench.door import Door
from pdfkit.workbench.gate import Gate, Wire
from pdfkit.workbench.page import Page
from pdfkit.workbench.pages import Kept, Pages, folder_of
from pdfkit.workbench.rules import fault
from pdfkit.workbench.transfer import Alive, Download, Upload

if TYPE_CHECKING:
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
        self.door, self.pages, self.options = door, pages, door.options
        self.reading = ""
        self.waiting: list[Tab] = []
        self.failed: BaseException | None = None
        self.loop, self.url = door.loop, door.url
        pages.told = lambda kept, text: self.loop.add_callback(self._tell, kept, text)
        self.tabs: set[Tab] = set()
        handlers: dict[str, tuple[type[RequestHandler], Mapping[str, Any]]] = {
            "/ws": (Wire, {"visits": self._visited}),
            "/upload": (Upload, {"pages": pages, "limit": door.options.limit}),
            "/alive": (Alive, {}),
            "/download": (Download, {"pages": pages}),
        }
        self._tidy = self.loop.call_later(60, self._forget)
        door.gate.set_result(Gate(door.rules, handlers))

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
            tab.begin()
        self.waiting.clear()

    def _fail(self, error: BaseException) -> None:
        self.failed = error
        for tab in self.waiting:
            tab.page.fails(str(error))
        self.loop.call_later(0.5 if self.waiting else 0.0, self.loop.stop)

    def stop(self) -> None:
        """Stop fits, write what changed, close the port."""
        self.door.close()
        self.loop.remove_timeout(self._tidy)
        jobs = [job for kept in self.pages.pages.values() for job in (kept.session.job, kept.session.opening)]
        fits = [job.thread for job in jobs if job is not None]
        for kept in self.pages.pages.values():
            kept.session.close()
        self.pages.close()
        end = time.monotonic() + PATIENCE
        for thread in fits:  # one that computes while the interpreter ends would abort it
            thread.join(max(0.0, end - time.monotonic()))

    def _visited(self, send: Callable[[bytes], None]) -> Tab | None:
        """Return a tab for a new connection, with a new page until its browser says that it continues another."""
        return Tab(self, send) if len(self.tabs) < gate.MOST_PAGES else None

    def hold(self, kept: Kept, tab: Tab) -> None:
        """Let a tab show a page; what the fits of the page find reaches the tab that shows it then, or none."""
        kept.tabs.append(tab)
        kept.session.later = lambda call: self.loop.add_callback(self._later, kept, call)
        kept.session.patience = BRIEFLY

    def _later(self, kept: Kept, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a fault of ours: the page goes on
            fault(error)
        self.pages.save(kept)

    def _tell(self, kept: Kept, text: str) -> None:
        """Say a sentence on the tabs of a page."""
        for tab in kept.tabs:
            tab.page.tell(text)

    def maybe_end(self) -> None:
        """End when the last tab is closed, if that was asked for."""
        if self.options.once:
            self.loop.call_later(GRACE, lambda: None if self.tabs else self.loop.stop())

    def _forget(self) -> None:
        self.pages.forget(IDLE)
        self._tidy = self.loop.call_later(60, self._forget)


class Tab:
    """A tab of a browser: the page that it shows, and the actions that are about pages."""

    kept: Kept

    def __init__(self, server: Server, send: Callable[[bytes], None]) -> None:
        self.server = server
        self._saving: Any = None
        self.begun = False
        server.tabs.add(self)
        self.page = Page(send, self.take, server.reading)
        self.asked = self.page.asked
        if server.reading:
            server.waiting.append(self)
        else:
            self.begin()

    def begin(self) -> None:
        """Show a page."""
        self.begun = True
        self._show(self.server.pages.begin())

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
        if action.get("copy") and found.tabs:
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

    def gone(self) -> None:
        """Note that the tab is closed, or its connection lost: it comes back as a new one that continues the page."""
        self.server.tabs.discard(self)
        self.page.close()
        if self.begun:
            self._leave()
        elif self in self.server.waiting:
            self.server.waiting.remove(self)
        self.server.maybe_end()
