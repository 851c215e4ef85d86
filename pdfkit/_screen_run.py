"""One computation over many candidates: stages, the journal, what is kept, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pdfkit._screen_candidates import Candidate
from pdfkit._screen_journal import Journal
from pdfkit._screen_pool import Job, Pool
from pdfkit._screen_tasks import Record, Setting, run_chunk

# Misfits this close (relative) are the same: who is level with the last that is kept is kept, too.
LEVEL = 1e-9


class Progress(NamedTuple):
    """How far a stage is.

    stage : "match", "scale", "fit", "mixture", "confusion". done, total : candidates (total None where not known).
    rate : candidates per second, those of earlier runs left out (0 before the first). left : seconds, None where not
    known.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> clusters = [pk.build.tetrahedron("CdSe_zincblende", n) for n in (3, 4)]
    >>> truth = pk.Model(pk.Cluster(clusters[1], "c"), pk.Instrument(probe="X", qmin=0.8, qmax=16))
    >>> told = []
    >>> ranking = pk.screen(clusters, truth(np.arange(1.8, 14, 0.05)), progress=told.append)
    >>> told[-1].stage, told[-1].done, told[-1].total
    ('fit', 2, 2)
    """

    stage: str
    done: int
    total: int | None
    rate: float
    left: float | None


Tell = Callable[[Progress], None]


class Clock:
    """Counts what is done in a stage and tells it."""

    def __init__(self, stage: str, total: int | None, tell: Tell | None) -> None:
        self.stage, self.total, self.tell = stage, total, tell
        self.done = self.fresh = 0
        self.began = time.monotonic()

    def add(self, count: int, *, fresh: bool) -> None:
        """Count results; `fresh` ones were computed now."""
        self.done += count
        self.fresh += count * fresh
        if self.tell is None:
            return
        rate = self.fresh / max(time.monotonic() - self.began, 1e-9)
        left = (self.total - self.done) / rate if self.total is not None and rate > 0 else None
        self.tell(Progress(self.stage, self.done, self.total, rate, left))


class Run:
    """Takes candidates through stages; holds nothing of a candidate that is done."""

    def __init__(self, setting: Setting, journal: Journal, pool: Pool, chunk: int, tell: Tell | None) -> None:
        self.setting, self.journal, self.pool, self.chunk, self.tell = setting, journal, pool, chunk, tell

    def stage(
        self, name: str, candidates: Iterable[Candidate], total: int | None = None
    ) -> Iterator[tuple[Candidate, Record]]:
        """Yield every candidate with its record, in the order in which they are done."""
        clock = Clock(name, total, self.tell)
        for job, records in self.pool.run(run_chunk, self._jobs(name, candidates)):
            fresh = job.records is None
            if fresh:
                self.journal.add(name, [(c.entry.key, r) for c, r in zip(job.items, records, strict=True)])
            clock.add(len(records), fresh=fresh)
            yield from zip(job.items, records, strict=True)

    def _jobs(self, name: str, candidates: Iterable[Candidate]) -> Iterator[Job]:
        """Yield chunks of what has to be computed, and by itself what is known."""
        chunk: list[Candidate] = []
        for candidate in candidates:
            known = self._known(name, candidate)
            if known is not None:
                yield Job([candidate], records=[known])
                continue
            chunk.append(candidate)
            if len(chunk) == self.chunk:
                yield self._job(name, chunk)
                chunk = []
        if chunk:
            yield self._job(name, chunk)

    def _job(self, name: str, chunk: list[Candidate]) -> Job:
        return Job(chunk, (self.setting, name), tuple(candidate.payload for candidate in chunk))

    def _known(self, name: str, candidate: Candidate) -> Record | None:
        if candidate.payload is None:
            return {"error": candidate.entry.error}
        return self.journal.get(name, candidate.entry.key)


class Best:
    """The candidates with the smallest figure, and all that are level with the last of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._held: list[tuple[float, int, Any]] = []

    def add(self, figure: float, index: int, item: Any) -> None:
        """Offer a candidate; index decides the order of those that are level."""
        self._held.append((figure, index, item))
        if len(self._held) >= 2 * self.count + 64:
            self._cut()

    def _cut(self) -> None:
        self._held.sort(key=lambda one: one[:2])
        if len(self._held) > self.count:
            last = self._held[self.count - 1][0] * (1.0 + LEVEL)
            self._held = [one for one in self._held if one[0] <= last]

    def items(self) -> list[Any]:
        """Return what is kept, in the order in which candidates came."""
        self._cut()
        return [item for _, _, item in sorted(self._held, key=lambda one: one[1])]
