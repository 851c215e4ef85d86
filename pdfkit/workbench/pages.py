"""Pages by their names: sessions in memory, and on disk as they change, so that no page ends with its tab or process.

A page is kept in a folder of its own, `<home>/<id>`: `page.json` (states; written some tenths of a second after a
change, in one step), `fits` (each as HDF5, when it has ended) and `files` (what was dropped on it).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.errors import PdfkitError
from pdfkit.io import _atomic
from pdfkit.io._folders import InUseError, folder_lock
from pdfkit.workbench.files import Files

if TYPE_CHECKING:
    from pdfkit.workbench.history import Entry
    from pdfkit.workbench.session import Session
    from pdfkit.workbench.state import State

__all__ = ["FOLDER", "Kept", "Pages"]

FOLDER = ".pdfkit-live"
"""The folder of pages, by default in the one that the command runs in."""
MOST_STATES = 100
"""States of a page that are kept on disk, the last ones."""
LARGEST = 64_000_000
"""Bytes of a page on disk; what is larger is none of ours."""
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(eq=False)
class Kept:
    """A page: its name, its session, the files that it may name, and what of it is on disk.

    written : the results on disk by number. held : the lock of its folder, which one server has at a time. origin : the
    page that it is a copy of, until it is written.
    """

    id: str
    session: Session
    files: Files
    tabs: list[Any] = field(default_factory=list)
    saved: tuple[Any, ...] = ()
    written: dict[int, Any] = field(default_factory=dict)
    held: ExitStack | None = None
    origin: Kept | None = None
    seen: float = field(default_factory=time.monotonic)

    @property
    def title(self) -> str:
        """What the page is called in a list: the title of its recipe, or its files."""
        state = self.session.state
        named = [one.get("file", "") for one in state.data] + [one.get("structure", "") for one in state.phases]
        names = [Path(str(one)).name for one in named]
        return str(state.tables.get("title") or ", ".join(filter(None, names)) or "empty page")[:120]

    @property
    def version(self) -> tuple[Any, ...]:
        """What changes when there is something to save."""
        return self.session.state, self.session.at, _fits(self.session), *self.session.history


class Pages:
    """All pages of a server.

    folder : where paths start. home : where pages are kept. told : called with a page and a sentence where it
    cannot be kept, from another thread.
    """

    state: State

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.pages: dict[str, Kept] = {}
        self.trouble = ""
        self.told: Callable[[Kept, str], None] = lambda kept, text: None
        self.main: Kept | None = None
        self._writer = ThreadPoolExecutor(1, "pdfkit-live-saving")

    def begin_with(self, state: State, chosen: Iterable[str] = ()) -> None:
        """Take what a new page begins with; chosen : files that the user named."""
        self.state = state
        self.chosen = Files(self.folder, self.home).with_chosen(state.tables, *chosen).chosen

    def begin(self) -> Kept:
        """Return what a new tab shows: a new page; the one page of a notebook, or a copy of it beside another tab."""
        if self.main is None:
            return self.new()
        return self.copy(self.main) if self.main.tabs else self.main

    def new(self) -> Kept:
        """Return a new page."""
        return self._known(secrets.token_hex(8), self._session())

    def _session(self) -> Session:
        from pdfkit.workbench.session import Session

        return Session(self.folder, self.state)

    def _known(self, name: str, session: Session) -> Kept:
        files = Files(self.folder, self.home / name / "files", self.chosen)
        kept = Kept(name, session, files)
        kept.saved = kept.version
        session.allow, session.work = files.check, files.own
        self.pages[name] = kept
        return kept

    def find(self, name: object) -> Kept | None:
        """Return the page of a name, from memory or disk; None where there is none."""
        if not isinstance(name, str) or not _ID.fullmatch(name):
            return None
        if name in self.pages:
            return self.pages[name]
        if not (self.home / name / "page.json").is_file():
            return None
        session = self._session()
        _restore(session, self.home / name / "page.json")
        kept = self._known(name, session)
        kept.written = {one.number: one.result for one in session.history}
        try:
            self._hold(kept)
        except InUseError:
            del self.pages[name]
            kept = self.copy(kept)
            kept.session.message = "this page is open in another pdfkit live: this is a copy of it"
        except (PdfkitError, OSError) as error:
            self.trouble = f"this page is not kept on disk: {error}"
        return kept

    def _hold(self, kept: Kept) -> None:
        """Keep other servers from writing a page; InUseError where one does already."""
        if kept.held is None:
            with ExitStack() as stack:
                stack.enter_context(folder_lock(folder_of(self.home, kept.id)))
                kept.held = stack.pop_all()

    def copy(self, kept: Kept) -> Kept:
        """Return a new page that stands where another does, as a duplicated tab asks for."""
        other = self.new()
        other.session.states, other.session.at = list(kept.session.states), kept.session.at
        other.session.history = list(kept.session.history)
        other.files, other.origin = kept.files, kept
        other.session.allow, other.session.work = kept.files.check, kept.files.own
        self.save(other)
        return other

    def earlier(self, but: str = "") -> list[dict[str, str]]:
        """Return id, title and time of the pages on disk, the last first."""
        found = []
        for file in sorted(self.home.glob("*/page.json"), key=_when, reverse=True)[:20]:
            if _ID.fullmatch(file.parent.name) and file.parent.name != but:
                about = _read(file)
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(_when(file)))
                found.append({"id": file.parent.name, "title": str(about.get("title", ""))[:120], "when": when})
        return found

    def save(self, kept: Kept) -> None:
        """Write a page where it has changed; it is written by another thread, in the order of the calls."""
        if kept.saved != kept.version:
            kept.saved = kept.version
            try:
                self._hold(kept)
            except (PdfkitError, OSError) as error:
                self._failed(kept, error)
                return
            self._writer.submit(self._write, kept, _packed(kept), tuple(kept.session.history))

    def _write(self, kept: Kept, text: str, history: Sequence[Entry]) -> None:
        try:
            place = folder_of(self.home, kept.id)
            for entry in history:
                if kept.written.get(entry.number) is not entry.result:  # a file of its number may be of another fit
                    if not _linked(self.home, kept, entry):
                        entry.save(folder_of(self.home, kept.id, "fits"))
                    kept.written[entry.number] = entry.result
            kept.origin = None
            known = {entry.number for entry in history}
            for number in [number for number in kept.written if number not in known]:
                del kept.written[number]  # or no fit that the history let go would leave memory
            _atomic.write_text(_atomic.own(place / "page.json", replace=True), text)
            self.trouble = ""
        except (PdfkitError, OSError) as error:
            self._failed(kept, error)
        except Exception as error:  # a fault of ours
            from pdfkit.workbench.rules import fault

            fault(error)
            self._failed(kept, error)

    def _failed(self, kept: Kept, error: Exception) -> None:
        kept.saved = ()  # to be tried again
        self.trouble = f"this page is not kept on disk: {error}"
        self.told(kept, self.trouble)

    def _let_go(self, kept: Kept) -> None:
        if kept.held is not None:
            self._writer.submit(kept.held.close)
            kept.held = None

    def leave(self, kept: Kept) -> None:
        """Note that a tab shows another page now, or is gone; it may come back, until the page is let go (`forget`)."""
        kept.seen = time.monotonic()
        self.save(kept)

    def forget(self, idle: float) -> None:
        """Let pages go from memory that are on disk, have no tab, and were not seen for `idle` seconds."""
        now = time.monotonic()
        for name, kept in list(self.pages.items()):
            if kept is not self.main and not kept.tabs and now - kept.seen > idle and kept.session.busy is None:
                if kept.saved != kept.version:
                    self.save(kept)  # and it goes the next time, if that was done
                    continue
                self._let_go(kept)
                del self.pages[name]

    def close(self) -> None:
        """Write what is not written yet."""
        for kept in self.pages.values():
            self.save(kept)
            self._let_go(kept)
        self._writer.shutdown()


def _fits(session: Session) -> bool:
    """Whether a fit is under way."""
    return session.job is not None and session.job.fits


def folder_of(home: Path, *names: str) -> Path:
    """Return a folder of pages, made where it is not there, for its owner alone; links are not followed."""
    place = _atomic.own(home)
    place.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        place = _atomic.own(place / name)
        place.mkdir(mode=0o700, exist_ok=True)
    return place


def _linked(home: Path, kept: Kept, entry: Entry) -> bool:
    """Whether the files of a fit could be linked to those of the page that a page is a copy of: no file changes."""
    origin = kept.origin
    if origin is None or origin.written.get(entry.number) is not entry.result:
        return False
    there, here = (folder_of(home, one.id, "fits") for one in (origin, kept))
    try:
        for name in entry.files:
            os.link(there / name, here / name, follow_symlinks=False)
    except OSError:  # a disk without links, or a file that is there already
        return False
    return True


def _when(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _packed(kept: Kept) -> str:
    """Return a page as JSON: each table of tables once, as most states share theirs."""
    session = kept.session
    begin = max(0, min(session.at, len(session.states) - MOST_STATES))
    states = session.states[begin : begin + MOST_STATES]
    tables = list({id(state.tables): state.tables for state in states}.values())
    places = {id(one): place for place, one in enumerate(tables)}
    rows = [{**json.loads(replace(state, tables={}).to_json()), "tables": places[id(state.tables)]} for state in states]
    about: dict[str, Any] = {"title": kept.title, "at": session.at - begin, "tables": tables, "states": rows}
    about["fitting"] = _fits(session)
    about["fits"] = [
        {"number": one.number, "lnz": one.lnz, "group": one.group, "why": one.why} for one in session.history
    ]
    return json.dumps(about, default=str)


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            return {}
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _restore(session: Session, file: Path) -> None:
    """Put a session where a page was; PdfkitError where the file is none of ours."""
    about = _read(file)
    try:
        tables = [_tables(one) for one in about["tables"]]
        states = [_state(row, tables) for row in about["states"]]
        at = int(about["at"])
        if not 0 <= at < len(states):
            raise IndexError(at)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise PdfkitError(f"{file}: this is not a page of pdfkit live, or a damaged one: delete its folder") from None
    session.states, session.at = states, at
    if about.get("fitting") is True:
        session.message = "a fit was under way when pdfkit live ended, and is not here: press Fit to run it again"
    fits = about.get("fits", ())
    session.history = [
        one for row in (fits if isinstance(fits, list) else ()) if (one := _entry(row, file.parent / "fits"))
    ]


def _entry(row: Mapping[str, Any], folder: Path) -> Entry | None:
    """Return a fit of a page; None where its file is not there or damaged: the others are worth having."""
    from pdfkit.workbench.history import Entry

    try:
        lnz = None if row["lnz"] is None else (float(row["lnz"][0]), float(row["lnz"][1]))
        group = tuple(int(one) for one in row["group"])
        return replace(Entry.load(folder, int(row["number"])), lnz=lnz, group=group, why=str(row["why"]))
    except (PdfkitError, OSError, KeyError, TypeError, ValueError, IndexError):
        return None


def _tables(found: Any) -> dict[str, Any]:
    """Return the tables of a recipe; TypeError where they are none."""
    tables = dict(found)
    for kind in ("data", "phase", "pattern"):
        if not isinstance(tables.get(kind, []), list) or not all(isinstance(one, dict) for one in tables.get(kind, [])):
            raise TypeError(f"{kind} is no list of tables")
    if not isinstance(tables.get("fit", {}), dict) or not isinstance(tables.get("title", ""), str):
        raise TypeError("fit is a table, and title is text")
    return tables


def _state(row: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> State:
    """Return the state of a row; its values are numbers, whatever the file says."""
    from pdfkit.workbench.state import State

    found = State.from_json(json.dumps({**row, "tables": {}}))
    values = {str(name): float(value) for name, value in found.values.items()}
    return replace(found, tables=tables[int(row["tables"])], values=values)
