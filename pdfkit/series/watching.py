"""Scans fitted while they come: `pdfkit watch`.

Each file that is whole is fitted once, from where the last good fit ended, and is a line of the journal before the next
is looked at. Where Rw stands out from those of the last scans, as at a transition or after a fit that went astray, the
scan is fitted from the model as well, and the better is kept. A file that is written again is fitted again, and its new
row stands for the old one.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, WriteError
from pdfkit.series.arrivals import Arrivals, is_written
from pdfkit.series.fitting import STANDS_OUT
from pdfkit.series.growing import Stacks, is_growing, is_shared, part
from pdfkit.series.index import index_of, natural
from pdfkit.series.log import Key, Log
from pdfkit.series.result import SeriesResult
from pdfkit.series.scans import Axis, Scan, Series, Source
from pdfkit.series.store import Setting, write_series
from pdfkit.series.tasks import Fitter, Row, guarded, values_of
from pdfkit.series.ways import FILE

JOURNAL = "watch.jsonl"
RECENT = 5
"""Fits whose Rw are compared with the next."""
QUIET, LATEST = 1.0, 30.0
"""Seconds without a new scan after which the file of results is written; at the latest after so many."""
STAGE = "watch "
AGAIN = "the file was written again after it had been fitted: this is the fit of what it holds now"


@dataclass(frozen=True, eq=False)
class Incoming:
    """Which files of a folder are scans, how they are read, and what they run over.

    source : of paths, as `read_series` makes it. index, name, unit, sort : as for `read_series`. stacks : how scans of
    HDF5 files are read; they are called "stack.h5[12]".
    """

    folder: Path
    wanted: Callable[[str], bool]
    source: Callable[[Sequence[str]], Source]
    index: Any = None
    name: str | None = None
    unit: str | None = None
    sort: bool = True
    stacks: Stacks | None = None

    def scan(self, name: str) -> Scan:
        """Return the scan in a file, unread."""
        return _Stated(self._scan(name))

    def _scan(self, name: str) -> Scan:
        if self.stacks is not None and (row := part(name)) is not None:
            return self.stacks.scan(*row)
        return self.source([str(self.folder / name)]).scan(0)

    def known(self, names: Sequence[str]) -> Source:
        """Return scans that were done, by their names."""
        return _Named(tuple(names), self._scan)

    def axis(self, name: str, number: int, since: float | None = None) -> Axis:
        """Return the index of one scan, the `number`-th; NaN where it has none. since : as for `index_of`."""
        if self.stacks is not None and (row := part(name)) is not None:
            return self._of_stack(self.stacks, *row)
        if self.index is None or self.index == "number":
            return Axis(self.name or "number", np.array([float(number)]), self.unit or "")
        try:
            return index_of([str(self.folder / name)], self.index, self.name, self.unit, since)
        except PdfkitError:
            return Axis(self.name or "index", np.array([math.nan]), self.unit or "")

    def _of_stack(self, stacks: Stacks, file: str, number: int) -> Axis:
        try:
            axis = stacks.axis(file, number, self.index)
        except PdfkitError:
            axis = Axis("index", np.array([math.nan]))
        values = axis.values if axis.values.size else np.array([math.nan])
        return Axis(self.name or axis.name, values, axis.unit if self.unit is None else self.unit)


@dataclass(frozen=True, eq=False)
class _Named:
    """Scans by their names."""

    names: tuple[str, ...]
    make: Callable[[str], Scan]

    def __len__(self) -> int:
        return len(self.names)

    def scan(self, number: int) -> Scan:
        return self.make(self.names[number])


@dataclass(frozen=True)
class Ends:
    """When a watch ends by itself: with so many scans in all, or so many seconds after the last; None: never."""

    until: int | None = None
    idle: float | None = None


@dataclass(frozen=True, eq=False)
class Done:
    """A scan that was done: the name of its file, its index, its row, and whether it was fitted again.

    free : name → value and standard error.
    """

    name: str
    axis: Axis
    row: Row
    again: bool
    free: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Tell:
    """What is called with every scan that is done, and with words on the folder."""

    scan: Callable[[Done], None] = lambda _: None
    words: Callable[[str], None] = lambda _: None


def watch_folder(
    incoming: Incoming,
    setting: Setting,
    search: str,
    *,
    out: Path,
    new: bool = False,
    resume: bool = True,
    ends: Ends | None = None,
    tell: Tell | None = None,
    stop: threading.Event | None = None,
) -> SeriesResult | None:
    """Fit the scans of a folder, those that are there and those that come, until `stop` is set or the watch ends.

    Returns what was found in all scans, None where none has come.

    Parameters
    ----------
    setting : what is fitted; search : of fits that start from the model. out : folder of series.h5, which is written
    now and then, and of the journal, from which a run that was stopped goes on. new : leave files alone that are there
    at the beginning and were not fitted before.

    Raises
    ------
    PdfkitError : no such folder, a journal of another problem or folder. WriteError : the disk is full;
    what was finished is kept.
    """
    tell, ends = tell or Tell(), ends or Ends()
    digest = f"{setting.problem.digest()} watch {incoming.folder.absolute()}"
    with (
        one_thread(),
        Log(out / JOURNAL, digest, resume=resume) as log,
        Arrivals(incoming.folder, incoming.wanted, tell.words) as arrivals,
    ):
        kept = Kept(incoming, setting, log, out)
        watch = Watch(kept, search, arrivals, tell)
        if kept.places:
            tell.words(f"{len(kept.places)} scans are known from before")
        if new:
            tell.words(f"{watch.skip()} are there already and are left alone")
        watch.warm()
        watch.run(ends, stop or threading.Event())
        return SeriesResult.load(kept.write()) if kept.places else None


@dataclass(frozen=True)
class Place:
    """Where the row of a file is, and what its index is."""

    key: Key
    index: float


class Kept:
    """All scans that were done, in this run and before: names of files, their rows and index. out : their folder.

    measured : probe and qmax of the first scan, None before it was read.
    """

    def __init__(self, incoming: Incoming, setting: Setting, log: Log, out: Path) -> None:
        self.incoming, self.log, self.out = incoming, log, out
        self._setting = setting
        self.measured: tuple[str, float] | None = None
        self.since: float | None = None
        """From when times count: the first that came."""
        self.places: dict[str, Place] = {}
        self.axis = Axis(incoming.name or "number", np.array([]), incoming.unit or "")
        self.written = True
        for key in log.keys(STAGE):
            row = log.row(key)
            self.places[key[0].removeprefix(STAGE)] = Place(key, float(row.get("index", math.nan)))
            self.axis = Axis(row.get("axis", self.axis.name), np.array([]), row.get("unit", self.axis.unit))
            self.measured = self.measured or tuple(row["measured"] or ()) or None
            self.since = row.get("since") if self.since is None else self.since

    @property
    def setting(self) -> Setting:
        """What is fitted, the model measured as the first scan."""
        if self.measured is None:
            return self._setting
        problem = self._setting.problem
        probe, qmax = self.measured
        about = replace(problem.model.instrument, probe=probe, qmax=qmax)
        return replace(self._setting, problem=replace(problem, model=problem.model.with_instrument(about)))

    def __len__(self) -> int:
        return len(self.places)

    def has(self, name: str, stamp: str) -> bool:
        """Return whether a file is known as it is now."""
        return self.log.has(f"{STAGE}{name}", 0, stamp, 1)

    def add(self, name: str, stamp: str, axis: Axis, row: Row) -> None:
        """Keep a row; it is on disk when this returns."""
        index, key = float(axis.values[0]), (f"{STAGE}{name}", 0, 0)
        if self.since is None and math.isfinite(axis.since):
            self.since = axis.since
        about = {"index": index, "axis": axis.name, "unit": axis.unit, "measured": self.measured, "since": self.since}
        self.log.add(key[0], [(0, stamp, [{**row, **about}])])
        self.places[name] = Place(key, index)
        if math.isfinite(index) or not self.axis.values.size:
            self.axis = axis
        self.written = False

    def last(self, count: int) -> list[Row]:
        """Return the rows of the last scans, the latest at the end."""
        return [self.log.row(place.key) for place in list(self.places.values())[-count:]]

    def write(self) -> Path:
        """Write the file of results, by rising index, and return its path."""
        names = sorted(self.places, key=natural) if self.incoming.sort else list(self.places)
        if self.incoming.sort:
            names.sort(key=lambda name: (math.isnan(self.places[name].index), self.places[name].index))
        index = Axis(self.axis.name, np.array([self.places[name].index for name in names]), self.axis.unit)
        series = Series(self.incoming.known(names), (index,), np.arange(len(names)))
        rows = _Rows(self.log, [self.places[name].key for name in names])
        path = write_series(self.out / FILE, series, self.setting, rows)
        self.written = True
        return path


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a journal in some order."""

    log: Log
    keys: list[Key]

    def __len__(self) -> int:
        return len(self.keys)

    def row(self, position: int) -> Row:
        return self.log.row(self.keys[position])


@dataclass(frozen=True)
class Good:
    """What the next fit may start from."""

    rw: float
    values: dict[str, float]


@dataclass(eq=False)
class Watch:
    """One watch: takes files, fits them, keeps their rows."""

    kept: Kept
    search: str
    arrivals: Arrivals
    tell: Tell
    _recent: deque[Good] = field(default_factory=lambda: deque(maxlen=RECENT))
    _growing: dict[str, None] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.fitter = self._made()
        for row in self.kept.last(RECENT):
            self._remember(row)

    def _made(self) -> Fitter:
        setting = self.kept.setting
        return Fitter(setting.problem, setting.names, setting.free)

    def warm(self) -> None:
        """Load all that a fit needs, with one that means nothing, before the first scan is waited for."""
        problem, low = self.fitter.problem, self.fitter.problem.rmin or 1.5
        high = min(problem.rmax or math.inf, low + 8.0)
        with suppress(PdfkitError):  # what is wrong with the model, scans will say
            curve = problem.model(np.arange(low, high, 0.02))
            scan = _Simulated(curve)
            guarded(self._made(), scan, None, "plain")

    def run(self, ends: Ends, stop: threading.Event) -> None:
        """Take files until the end."""
        last = wrote = time.monotonic()
        while not stop.is_set() and (ends.until is None or len(self.kept) < ends.until):
            name = self._next(0.2 if ends.idle is None else min(0.2, ends.idle))
            now = time.monotonic()
            if name is not None and self.take(name):
                last = now = time.monotonic()
            if not self.kept.written and (now - last > QUIET or now - wrote > LATEST):
                self._write()
                wrote = time.monotonic()
            if name is None and ends.idle is not None and now - last >= ends.idle:
                break
        if self.arrivals.unfinished:
            names = ", ".join(self.arrivals.unfinished[:3])
            self.tell.words(
                f"{len(self.arrivals.unfinished)} files are still being written and were not fitted: {names}"
            )

    def _next(self, seconds: float) -> str | None:
        """Return the next scan: a row of a stack that has more, else a file that is whole, or one of its rows."""
        for file in list(self._growing):
            path = self.arrivals.folder / file
            if is_written(path) and not is_shared(path):
                continue  # closed again, it will be looked at
            if (row := self._row_of(file)) is not None:
                return row
            del self._growing[file]
        name = self.arrivals.next(seconds)
        if name is None or not is_growing(name):
            return name
        self._growing[name] = None
        return self._row_of(name)

    def _row_of(self, file: str) -> str | None:
        """Return the next scan of a stack; None where none is there, and why that is said once."""
        stacks = self.kept.incoming.stacks
        try:
            return None if stacks is None else stacks.next(file)
        except PdfkitError as error:
            if str(error) not in self._said:
                self._said.add(str(error))
                self.tell.words(f"{error} (looked at again when it changes)")
            return None

    def skip(self) -> str:
        """Take all scans that are there for seen; return how many they are in words."""
        names, stacks = self.arrivals.skip(), self.kept.incoming.stacks
        grown, rows = [name for name in names if stacks is not None and is_growing(name)], 0
        for name in grown:
            with suppress(PdfkitError):  # it has no stack yet
                rows += 0 if stacks is None else stacks.skip(name)
        return f"{len(names) - len(grown)} files" + (f" and {rows} scans of stacks" if grown else "")

    def _write(self) -> None:
        """Write the file of results; where a scan that it needs is gone, the next time may do."""
        try:
            self.kept.write()
        except WriteError:
            raise
        except PdfkitError:
            self.kept.written = True

    def take(self, name: str) -> bool:
        """Fit a file, unless it is known as it is; return whether it was done."""
        scan = self.kept.incoming.scan(name)
        stamp = scan.stamp()
        if self.kept.has(name, stamp):
            return False
        known = self.kept.places.get(name)
        number = len(self.kept) if known is None else list(self.kept.places).index(name)
        axis = self.kept.incoming.axis(name, number, self.kept.since)
        if self.kept.measured is None:
            self._measure(scan)
        row, said = self._row(scan), [*([] if known is None else [AGAIN]), *axis.remarks]
        if said and "error" not in row:
            row = {**row, "remarks": [*said, *row["remarks"]]}
        self.kept.add(name, stamp, axis, row)
        self._remember(row)
        self.tell.scan(Done(name, axis, row, known is not None, self._free(row)))
        return True

    def _measure(self, scan: Scan) -> None:
        """Let the model be measured as the first scan that can be read."""
        with suppress(Exception):  # why it cannot be read is in its row
            about = scan.read().instrument
            self.kept.measured = str(about.probe), float(about.qmax or math.nan)
            self.fitter = self._made()

    def _free(self, row: Row) -> dict[str, tuple[float, float]]:
        """Return values and errors of what varies, nothing of a scan that failed."""
        if "error" in row:
            return {}
        known = dict(zip(self.fitter.names, zip(row["values"], row["sigmas"], strict=True), strict=True))
        return {name: known[name] for name in self.fitter.free}

    def _row(self, scan: Scan) -> Row:
        """Fit a scan from the last good fit; where it stands out from the model as well."""
        start = self._start()
        if start is None:
            return guarded(self.fitter, scan, None, self.search)
        row = guarded(self.fitter, scan, start.values, "plain")
        if "error" in row or (row["converged"] and not self._stands_out(row["rw"])):
            return row
        other = guarded(self.fitter, scan, None, self.search)
        if "error" in other:
            return row
        better, worse = (other, row) if other["rw"] < row["rw"] else (row, other)
        said = (
            f"its Rw stood out from those before: fitted from the last good scan and from the model, the better is "
            f"kept (Rw = {better['rw']:.4f} and {worse['rw']:.4f})"
        )
        return {**better, "remarks": [said, *better["remarks"]]}

    def _start(self) -> Good | None:
        """Return the latest fit that does not stand out, of none the latest."""
        good = (one for one in reversed(self._recent) if not self._stands_out(one.rw))
        return next(good, self._recent[-1] if self._recent else None)

    def _stands_out(self, rw: float) -> bool:
        return rw > STANDS_OUT * statistics.median(one.rw for one in self._recent)

    def _remember(self, row: Row) -> None:
        values = values_of(row, self.fitter.names, self.fitter.free)
        if values is not None and row["converged"] and math.isfinite(row["rw"]):
            self._recent.append(Good(float(row["rw"]), values))


@dataclass(frozen=True, eq=False)
class _Stated:
    """A scan that has to say what it was measured with: the model was made before there was one to ask."""

    scan: Scan

    @property
    def label(self) -> str:
        return self.scan.label

    def stamp(self) -> str:
        return self.scan.stamp()

    def read(self) -> PDF:
        pdf = self.scan.read()
        if pdf.instrument.probe is None:
            raise PdfkitError(f'{self.label}: the probe is not known: write probe = "X", "N" or "E" into [data]')
        if pdf.instrument.qmax is None:
            raise PdfkitError(f"{self.label}: qmax is not known: write it into [data], in Å⁻¹ (inf: no termination)")
        return pdf


@dataclass(frozen=True, eq=False)
class _Simulated:
    """A curve that stands for a scan."""

    pdf: PDF
    label: str = "simulated"

    def stamp(self) -> str:
        return ""

    def read(self) -> PDF:
        return self.pdf
