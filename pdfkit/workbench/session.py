"""One page: its states, one after the other, its fits, and what the present one looks like."""

from __future__ import annotations

import math
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdfkit.errors import PdfkitError, ReadError
from pdfkit.workbench import view
from pdfkit.workbench.actions import act
from pdfkit.workbench.arrival import Arrived, arrived
from pdfkit.workbench.history import MOST, Entry, comparable, compared, of_one_group, with_evidence
from pdfkit.workbench.jobs import PATIENCE, Job, Progress, cost, run_fit, weighed
from pdfkit.workbench.limits import refuse_large
from pdfkit.workbench.opening import WORK, named_in
from pdfkit.workbench.prepared import Curves, Prepared
from pdfkit.workbench.rooms import Rooms
from pdfkit.workbench.state import State

__all__ = ["Session"]


def plain(error: PdfkitError) -> str:
    """Return the sentence of an error, without the line of a text that nobody sees."""
    return error.message if isinstance(error, ReadError) and error.path == "this page" else str(error)


EVERY = 0.1
"""Seconds between two words on the progress of a fit."""
MOST_STATES = 1000
"""States that can be gone back to."""
_WEIGHING = "computing the evidence"
Later = Callable[[Callable[[], None]], None]


class Session:
    """The states of one page and where it stands among them; `shown` is called with what changed: "all", "curves" of a
    slider that moves, or "progress" of a fit.

    Beside the actions of states (`pdfkit.workbench.actions`), and of what is shown with them
    (`pdfkit.workbench.rooms`), it does:

    | do | with |
    |---|---|
    | undo, redo | |
    | open | files |
    | example | : open that of `pdfkit demo` |
    | show | data: the name of the data set that is drawn |
    | fit | search ("plain", "staged", "thorough"; left out: as the state says) |
    | stop | keep (true: with the best values so far) |
    | restore | fit: a number of the history |
    | minimum | fit: a number of the history; which: a minimum that its search found, from 1 |
    | compare | fits: numbers of the history, side by side; none: no more |
    | candidate | name: show its fit in place of the model |
    | weigh | : compute the evidence of the last fit, however long it takes |

    allow : raises PdfkitError for tables that name files which the page may not read.
    later : how to call something in the thread of the page, from that of a fit; without it `wait` calls it.
    patience : seconds that opening files may keep the thread of the page, beside which it goes on after that.
    """

    def __init__(
        self,
        folder: Path,
        state: State,
        shown: Callable[[str], None] = lambda what: None,
        work: Path | None = None,
        later: Later | None = None,
    ) -> None:
        self.folder, self.work, self.shown, self.message = folder, work or folder / WORK, shown, ""
        self.allow: Callable[[Mapping[str, Any]], None] = lambda tables: None
        self.states: list[State] = [state]
        self.at = 0
        self.chosen = ""
        self.rooms = Rooms()
        self.history: list[Entry] = [Entry.of_file(k, file, state, folder) for k, file in enumerate(state.results, 1)]
        self.job: Job | None = None
        self.opening: Job | None = None
        self.patience = math.inf
        self.compared: tuple[int, ...] = ()
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.later: Later = later or self._queue.put
        self._told = 0.0
        self._prepared: tuple[State, Prepared] | None = None

    @property
    def state(self) -> State:
        """The present state."""
        return self.states[self.at]

    @property
    def prepared(self) -> Prepared:
        """The present state made ready; it is kept while only numbers move."""
        return self._ready(self.state)

    def _ready(self, state: State) -> Prepared:
        known = self._prepared
        if known is not None and known[0].tables is state.tables and known[0].beam is state.beam:
            return known[1]
        found = Prepared.of(state, self.folder, known and known[1])
        self.message = found.built.news(known and known[1].built) or self.message
        self._prepared = state, found
        return found

    def curves(self) -> Curves:
        """Return the curves of the data set that is shown, or of a candidate or scan that was chosen."""
        if self.rooms.curves is not None:
            return self.rooms.curves
        ready = self.prepared
        if not ready.data:
            with suppress(PdfkitError):
                self.rooms.follow(self.state.beside, self.folder)
            if (first := self.rooms.first()) is not None:
                return first
            if self.rooms.ranking is not None:
                raise PdfkitError("choose a candidate to see its fit")
            raise PdfkitError("there is nothing to show yet: open data or a structure")
        self.chosen = self.chosen if self.chosen in ready.data else next(iter(ready.data), "")
        return self._curves_of(self.state, ready)

    def _curves_of(self, state: State, ready: Prepared) -> Curves:
        known = self._curves
        if known is None or known[0] is not state or known[1].name != self.chosen:
            self._curves = state, ready.curves(self.chosen, state.values)
        assert self._curves is not None
        return self._curves[1]

    def do(self, action: Mapping[str, Any]) -> None:
        """Do what the page asks; what cannot be done becomes the message, and the state stays."""
        name = str(action.get("do", ""))
        if name == "renew" and not self.rooms.stale:
            self.shown("curves")  # the page asks every few seconds: messages stay
            return
        self.message = ""
        try:
            if self.opening is not None and name != "stop":
                raise PdfkitError(f"{self.opening.progress.what}: wait until it is done, or stop it")
            if name in Rooms.DOES:
                self.rooms.do(action)
            else:
                self._OWN[name](self, action) if name in self._OWN else self._act(action)
        except PdfkitError as error:
            self.message = self._plain(error)
        self.shown("curves" if name == "value" and action.get("moving") and not self.message else "all")

    def wait(self, seconds: float = 60.0) -> None:
        """Wait until fits have ended, and take in what they found, where no page does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.job or self.opening or not self._queue.empty()):
            try:
                self._queue.get(timeout=0.05)()
            except queue.Empty:
                continue

    def close(self) -> None:
        """End what is under way."""
        if self.job is not None:
            self.job.stop()
        self.job = self.opening = None  # what is being opened ends by itself

    def _act(self, action: Mapping[str, Any]) -> None:
        self._take(act(self.state, action, self.prepared), action)

    def _step(self, action: Mapping[str, Any]) -> None:
        self.at = min(max(0, self.at + (1 if action["do"] == "redo" else -1)), len(self.states) - 1)
        self._moved = None
        self.prepared.built.evaluators.clear()  # a curve that stays is computed exactly
        self.rooms.leave()

    def _open(self, action: Mapping[str, Any]) -> None:
        files = action.get("files")
        if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
            raise PdfkitError("open lacks files: give a list of their names")
        refuse_large(files, self.folder)
        for file in files:
            self.allow(named_in(file, self.folder))
        begun, chosen = self.state, self.chosen
        what = f"opening {', '.join(Path(file).name for file in files)}"[:200]
        job = Job(
            Progress(what=what),
            lambda progress: arrived(begun, files, self.folder, self.work, chosen),
            lambda found: self.later(lambda: self._came(job, begun)),
            fits=False,
            failed="this could not be opened ({}): check the files",
        )
        self.opening = job.start()
        job.thread.join(None if math.isinf(self.patience) else self.patience)
        if not job.thread.is_alive():
            self._take_in(job, begun)

    def _came(self, job: Job, begun: State) -> None:
        """Show what was opened beside the page, unless it was stopped, or is shown already."""
        if self.opening is not job:
            return
        self.message = ""
        try:
            self._take_in(job, begun)
        except PdfkitError as error:
            self.message = self._plain(error)
        self.shown("all")

    def _take_in(self, job: Job, begun: State) -> None:
        self.opening, found = None, job.found
        if isinstance(found, PdfkitError):
            raise found
        if self.state is not begun:
            self.message = "a fit ended while files were opened, beside what it began with: Undo brings its values back"
        self._add(found)

    def _add(self, found: Arrived) -> None:
        """Make a state with files the present one."""
        state = found.state
        if state.results and state.fit and state.tables is not self.state.tables:
            number = 1 + max((one.number for one in self.history), default=0)
            state = replace(state, fit=number)
            entry = Entry.of_file(number, state.results[-1], state, self.folder)
            self.history = [*self.history, entry][-MOST:]
        before = self._prepared, self._curves
        if found.ready is not None:
            self.message = found.ready.built.news(before[0] and before[0][1].built) or self.message
            self._prepared = state, found.ready
            self._curves = None if found.curves is None else (state, found.curves)
            self.chosen = self.chosen if found.curves is None else found.curves.name
        try:
            self._take(state, {}, made=found.ready is not None)
        except PdfkitError:
            self._prepared, self._curves = before
            raise

    def _example(self, action: Mapping[str, Any]) -> None:
        """Open the measured data of `pdfkit demo`, or simulated ones where they are not installed."""
        from pdfkit.workbench.example import example

        self._open({"files": example(self.work)})

    def _show(self, action: Mapping[str, Any]) -> None:
        if (name := str(action.get("data", ""))) not in self.prepared.data:
            raise PdfkitError(f"no data set is called {name!r}: there are {', '.join(self.prepared.data)}")
        self.chosen = name
        self.rooms.leave()

    def _plain(self, error: PdfkitError) -> str:
        """Return the sentence of an error; files of the page and of its folder are called by their names alone."""
        return plain(error).replace(f"{self.work}{os.sep}", "").replace(f"{self.folder}{os.sep}", "")

    # --- fits

    def _fit(self, action: Mapping[str, Any]) -> None:
        self._make_room()
        self.refresh()
        if action.get("search") is not None:
            self._act({"do": "set", "key": "search", "value": action["search"]})
        state, ready = self.state, self.prepared
        if not state.data or not state.phases:
            lacks = "data" if state.phases else "a structure"
            raise PdfkitError(f"there is nothing to fit yet: open {lacks}, too")
        if not any(par.vary for par in ready.at(state.values).values()):
            raise PdfkitError("nothing varies: free a parameter first, such as the scale")
        self._start(run_fit(state, ready, self.folder), lambda found: self._fitted(state, found))

    def refresh(self) -> None:
        """Prepare the present state from its files as they are now, and say if they have changed."""
        before, known = self.prepared, self._prepared
        self._prepared = State(), before
        try:
            after = self.prepared
        except (PdfkitError, OSError):
            self._prepared = known  # what was read goes on being shown
            raise
        if after.built is not before.built:
            self._curves = None
            self.shown("all")

    def _make_room(self) -> None:
        """End what is under way beside fits; PdfkitError where a fit is."""
        if self.job is not None and self.job.fits:
            raise PdfkitError("a fit is under way: stop it first, or wait until it has ended")
        self.close()

    def _start(self, work: Callable[[Progress], Any], ended: Callable[[Any], None], beside: str = "") -> None:
        progress = Progress(what=beside) if beside else Progress()
        job = Job(progress, work, lambda found: self.later(lambda: self._done(job, ended, found)), fits=not beside)
        progress.tell = lambda: self._tell(job)
        self.job = job
        job.start()

    def _tell(self, job: Job) -> None:
        now = time.monotonic()
        if now - self._told > EVERY:
            self._told = now
            self.later(lambda: self.shown("progress") if self.job is job else None)

    def _done(self, job: Job, ended: Callable[[Any], None], found: Any) -> None:
        if self.job is not job:  # stopped in the meantime
            return
        self.job, self.message = None, "" if job.fits else self.message
        if isinstance(found, PdfkitError):
            self.message = self._plain(found)
        else:
            try:
                ended(found)
            except PdfkitError as error:
                self.message = self._plain(error)
        self.shown("all")

    def _fitted(self, begun: State, result: Any) -> None:
        """Take in what a fit found: a state with its values, and an entry of the history."""
        number = 1 + max((one.number for one in self.history), default=0)
        values = {name: float(par.value) for name, par in result.params.items() if not par.expr}
        state = replace(begun, values={**begun.values, **values}, fit=number)
        if self.state is not begun:
            self.message = (
                f"the page was changed while the fit ran: it shows settings and values of fit {number}, which began "
                "before; Undo brings back yours"
            )
        self._take(state, {})
        entry = Entry(number, result, state)
        self.history = [*self.history, entry][-MOST:]
        self.compared = tuple(one for one in self.compared if one >= self.history[0].number)
        self._weigh({})

    def _weigh(self, action: Mapping[str, Any]) -> None:
        """Compute the evidence of the last fit and of those of the same data, where it does not take long."""
        if not self.history:
            raise PdfkitError("there is no fit to weigh yet")
        self._make_room()
        last = self.history[-1]
        among, why = comparable(self.history, last)
        results = {str(one.number): one.result for one in among}
        if among and action.get("do") != "weigh" and (seconds := cost(results)) > PATIENCE:
            why, among = f"it would take about {seconds / 60:.1f} minutes", []
        if not among:
            self.history[-1] = replace(last, why=why)
            return
        self._start(weighed(results), self._weighed, _WEIGHING)

    def _weighed(self, found: Any) -> None:
        self.history = with_evidence(self.history, found)

    def _stop(self, action: Mapping[str, Any]) -> None:
        if self.opening is not None:
            self.opening = None  # it ends by itself, and nobody looks at what it found
            return
        job = self.job
        if job is None:
            raise PdfkitError("no fit is under way")
        self.close()
        names = self.prepared.names
        values = {name: value for name, value in job.progress.values.items() if name in names}
        if action.get("keep") and values:
            self._take(self.state.with_values({**self.state.values, **values}), action)

    def _number(self, number: Any) -> Entry:
        known = {one.number: one for one in self.history}
        if isinstance(number, bool) or not isinstance(number, int) or number not in known:
            raise PdfkitError(
                f"there is no fit {str(number)[:40]}: the history has {', '.join(map(str, known)) or 'none'}"
            )
        return known[number]

    def _restore(self, action: Mapping[str, Any]) -> None:
        self._take(self._number(action.get("fit")).state, action)

    def _minimum(self, action: Mapping[str, Any]) -> None:
        """Show a minimum that a search found: its values, from which a fit goes on."""
        self._take(self._number(action.get("fit")).minimum(action.get("which")), action)

    def _compare(self, action: Mapping[str, Any]) -> None:
        fits = action.get("fits")
        if not isinstance(fits, list):
            raise PdfkitError("compare lacks fits: give a list of their numbers")
        self.compared = tuple(dict.fromkeys(self._number(one).number for one in fits))

    def _candidate(self, action: Mapping[str, Any]) -> None:
        """Show the fit of a candidate: that of its file, or else a fit beside the page."""
        name = str(action.get("name", ""))
        if self.rooms.known(name):
            return
        self._make_room()
        work, begun, shown = self.rooms.fitted(name), self.state, self.rooms.shown

        def ended(found: Curves) -> None:
            self.rooms.keep(name, found)
            if self.state is begun and self.rooms.shown == shown:
                self.rooms.place(found, name)
            else:  # what was done meanwhile is what is wanted
                self.message = f"candidate {name} has been fitted: click it again to see it"

        self._start(lambda progress: work(), ended, f"fitting candidate {name}")

    # --- states

    def _take(self, state: State, action: Mapping[str, Any], *, made: bool = False) -> None:
        """Make a state the present one, if it can be shown; a slider that moves on replaces its own last state.

        made : whether its curves were made already.
        """
        if state == self.state:
            self._moved = self._moved if action.get("moving") else None  # the slider was let go
            return
        if state.tables is not self.state.tables:
            self.allow(state.tables)
        if made:
            self.rooms.follow(state.beside, self.folder)
        else:
            self._check(state, exactly=not action.get("moving"))
        self.rooms.leave()
        goes_on = action.get("moving") and self._moved is not None and self._moved == action.get("name")
        keep = self.at if goes_on and self.at else self.at + 1
        self.states[keep:] = [state]
        del self.states[:-MOST_STATES]
        self.at, self._moved = len(self.states) - 1, action.get("name") if action.get("moving") else None

    def _check(self, state: State, *, exactly: bool) -> None:
        """Raise PdfkitError where a state has no curves, or a file beside it cannot be read.

        exactly : whether its curves are made anew, not near those before.
        """
        self.rooms.follow(state.beside, self.folder)
        before = self._prepared
        try:
            ready = self._ready(state)
            if exactly:
                ready.built.evaluators.clear()
            if state.tables is not self.state.tables or state.beam is not self.state.beam:
                for name in ready.models:
                    ready.curves(name, state.values)
            elif self.chosen in ready.data:
                self._curves_of(state, ready)
        except PdfkitError:
            self._prepared = before
            raise

    _moved: Any = None
    _curves: tuple[State, Curves] | None = None
    _OWN: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
        "undo": _step,
        "redo": _step,
        "open": _open,
        "example": _example,
        "show": _show,
        "fit": _fit,
        "stop": _stop,
        "restore": _restore,
        "minimum": _minimum,
        "compare": _compare,
        "weigh": _weigh,
        "candidate": _candidate,
    }

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the table of parameters."""
        entry = self.entry
        return view.rows(self.state, self.prepared, None if entry is None else entry.result.params)

    @property
    def entry(self) -> Entry | None:
        """The fit that gave the present values; None where none did."""
        return next((one for one in self.history if one.number == self.state.fit), None)

    @property
    def busy(self) -> dict[str, Any] | None:
        """Return what is known of the fit under way; None without one."""
        job = self.opening or self.job
        return None if job is None else {**job.about(), "opens": job is self.opening}

    def view(self) -> dict[str, Any]:
        """Return all that the page shows beside curves, as plain values."""
        ready, entry = self.prepared, self.entry
        if self.state.beside and not ready.data:
            with suppress(PdfkitError):
                self.curves()  # of what is beside, whose name the view tells
        found = () if entry is None else (*filter(None, [entry.weighted]), *entry.result.remarks)
        model = ready.model(self.chosen, self.state.values) if self.chosen in ready.models else None
        return {
            "rows": list(self.rows()),
            "data": view.data(self.state, ready),
            "phases": view.phases(self.state, ready),
            "fit": view.fit(self.state),
            "beam": None if self.state.data else self.state.measured_by,
            "remarks": list(dict.fromkeys([*self.state.remarks, *ready.said, *found])),
            "correlation": entry and entry.correlation(),
            "history": of_one_group(self.history),
            "compared": compared([self._number(one) for one in self.compared]) if self.compared else None,
            "busy": self.busy,
            "fitted": entry and entry.number,
            "chosen": self.chosen,
            "undo": self.at > 0,
            "redo": self.at < len(self.states) - 1,
            "message": self.message,
            **self.rooms.view(model, self.state.beside, self.folder),
        }
