"""One computation over many candidates: stages, the journal, pairs of candidates, and how far it is.

The first line of the journal holds a hash of the problem. What is in the journal is never computed again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pdfkit._workers import Job, Pool, dask_size
from pdfkit.errors import PdfkitError, ReadError, WriteError
from pdfkit.fitting.discrepancy import SIZES
from pdfkit.io import _journal
from pdfkit.io._atomic import WRITTEN, AnyPath
from pdfkit.screening.candidates import Candidate
from pdfkit.screening.matches import read
from pdfkit.screening.settings import Progress, Tell, Work
from pdfkit.screening.tasks import Problem, Record, lost, run_chunk, warm_up, weighable

# --- The journal of a long computation -------------------------------------------------------------------------------

HEAD = {"format": "pdfkit journal", "version": 1}


class Journal:
    """Results by stage and key: in memory, and in a file where `path` is given.

    Raises PdfkitError for a journal of another problem or one that another run writes to, ReadError for a damaged one,
    WriteError where it cannot be written.
    """

    def __init__(self, path: AnyPath | None, digest: str, *, resume: bool = True) -> None:
        self.path = None if path is None else Path(path)
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._opened = ExitStack()
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise WriteError(
                    f"{self.path}: the journal cannot be written ({error.strerror}): choose another out="
                ) from None
            with ExitStack() as opened:
                opened.enter_context(_journal.held(self.path))
                self._take_up(self.path, {**HEAD, "problem": digest}, resume)
                self._opened = opened.pop_all()
        self.found = len(self._records)
        """Results that an earlier run left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def get(self, stage: str, key: str) -> dict[str, Any] | None:
        """Return what is known, None for what has still to be computed."""
        return self._records.get((stage, key))

    def add(self, stage: str, results: Sequence[tuple[str, Mapping[str, Any]]], *, keep: bool = True) -> None:
        """Keep results (key, record); they are on disk when this returns. keep : in memory as well."""
        if keep:
            self._records |= {(stage, key): dict(record) for key, record in results}
        if self.path is None:
            return
        try:
            _journal.append(self.path, [{"stage": stage, "key": key, **record} for key, record in results])
        except WriteError as error:
            raise WriteError(f"{error}; then run again, nothing so far is lost") from None
        WRITTEN[str(self.path)] = None

    def _take_up(self, path: Path, head: Mapping[str, Any], resume: bool) -> None:
        lines = _journal.take_up(path, HEAD)
        if not (lines and resume):
            _journal.begin(path, head)
            return
        if lines[0] != json.dumps(head).encode():
            raise PdfkitError(
                f"{path} belongs to another problem (data, range, settings or pdfkit have changed): "
                "start anew with resume=False (in the shell --no-resume), or give another out"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                self._remember(_journal.record(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ReadError(
                    path, "this line is damaged: delete it and run again, only it will be computed anew", number
                ) from None

    def _remember(self, record: dict[str, Any]) -> None:
        stage, key = record.pop("stage"), record.pop("key")
        if not (isinstance(stage, str) and isinstance(key, str) and _whole(record)):
            raise ValueError
        self._records[stage, key] = record


_NUMBERS = ("rw", "chi2", "reduced_chi2", "n_independent", "n_free", "nfev")


def _whole(record: Mapping[str, Any]) -> bool:
    """Return whether a record is one that a stage leaves: an error, fits of a simulation, or a misfit with values."""
    if "error" in record:
        return isinstance(record["error"], str)
    if "found" in record:
        return bool(read(record))
    if "fits" in record:
        fits = record["fits"]
        return isinstance(fits, list) and all(fit is None or (isinstance(fit, dict) and _figures(fit)) for fit in fits)
    values, remarks = record["values"], record.get("remarks", [])
    if not (isinstance(values, dict) and isinstance(remarks, list) and all(isinstance(one, str) for one in remarks)):
        return False
    pairs = [
        *values.values(),
        record.get("share", [0, None]),
        [record.get("occam", 0), None],
        [record.get("shell", 0), None],
    ]
    return "rw" in record and _figures(record) and all(map(_pair, pairs)) and _moved(record.get("moved", {}))


def _figures(record: Mapping[str, Any]) -> bool:
    counts = all(type(one) is int and one < 2**53 for one in (record.get("n_free", 0), record.get("nfev", 0)))
    words = isinstance(record.get("errors_from", ""), str) and isinstance(record.get("converged", False), bool)
    numbers = [record.get(name, 0) for name in _NUMBERS]
    # NaN is a misfit that is not known.
    known = all(_number(one) and not one < 0 for one in numbers) and record.get("n_independent") != 0
    return counts and words and known


def _moved(found: Any) -> bool:
    """Return whether this says what displaced atoms do to ln Z, or that they cannot be followed."""
    if found == {}:
        return True
    if not isinstance(found, dict) or not {"known", "misfit"} <= set(found):
        return False
    lengths = {name: 1 if name == "odds" else SIZES.size for name in found}
    return all(isinstance(v, list) and len(v) == lengths[k] and all(map(_number, v)) for k, v in found.items())


def _pair(value: Any) -> bool:
    """Return whether this is a value and its error, which may be unknown."""
    return isinstance(value, list) and len(value) == 2 and _number(value[0]) and (value[1] is None or _number(value[1]))


def _number(value: Any) -> bool:
    """Return whether this is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) < 1e300)


# --- One computation over many candidates ----------------------------------------------------------------------------

# Misfits this close (relative) are the same: who is level with the last that is kept is kept, too.
LEVEL = 1e-9


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


@contextmanager
def opened(work: Work, name: str, digest: str, problem: Problem) -> Iterator[tuple[Journal, Pool]]:
    """Give the journal `name` and the workers of a computation; both are closed at the end."""
    size = dask_size(work.executor) if work.workers is None else work.workers
    with (
        Journal(work.journal(name), digest, resume=work.resume) as journal,
        Pool(work.executor, size, (warm_up, (problem,))) as pool,
    ):
        yield journal, pool


class Run:
    """Takes candidates through stages; holds nothing of a candidate that is done."""

    def __init__(self, problem: Problem, journal: Journal, pool: Pool, work: Work) -> None:
        self.problem, self.journal, self.pool = problem, journal, pool
        self.chunk, self.tell = work.chunk, work.progress

    def stage(
        self, name: str, candidates: Iterable[Candidate], total: int | None = None
    ) -> Iterator[tuple[Candidate, Record]]:
        """Yield every candidate with its record, in the order in which they are done."""
        clock = Clock(name, total, self.tell)
        for job, records in self.pool.run(run_chunk, self._jobs(name, candidates), lost):
            fresh = job.results is None
            if fresh:
                self.journal.add(name, [(c.entry.key, r) for c, r in zip(job.items, records, strict=True)])
            clock.add(len(records), fresh=fresh)
            yield from zip(job.items, records, strict=True)

    def _jobs(self, name: str, candidates: Iterable[Candidate]) -> Iterator[Job[Record]]:
        """Yield chunks of what has to be computed, and by itself what is known."""
        chunk: list[Candidate] = []
        for candidate in candidates:
            known = self._known(name, candidate)
            if known is not None:
                yield Job([candidate], results=[known])
                continue
            chunk.append(candidate)
            if len(chunk) == self.chunk:
                yield self._job(name, chunk)
                chunk = []
        if chunk:
            yield self._job(name, chunk)

    def _job(self, name: str, chunk: list[Candidate]) -> Job[Record]:
        return Job(chunk, (self.problem, name), tuple(candidate.payload for candidate in chunk))

    def _known(self, name: str, candidate: Candidate) -> Record | None:
        if candidate.payload is None:
            return {"error": candidate.entry.error}
        known = self.journal.get(name, candidate.entry.key)
        return known if known is None or weighable(known, self.problem) else None


class Best:
    """The candidates with the smallest figure, and all that are level with the last of them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.limit = math.inf
        """What is above this will not be kept."""
        self._held: list[tuple[float, int, Any]] = []

    def add(self, figure: float, index: int, item: Any) -> None:
        """Offer a candidate; index decides the order of those that are level."""
        if figure <= self.limit:
            self._held.append((figure, index, item))
        if len(self._held) >= self.count + self.count // 4 + 64:
            self._cut()

    def _cut(self) -> None:
        self._held.sort(key=lambda one: one[:2])
        if len(self._held) > self.count:
            self.limit = self._held[self.count - 1][0] * (1.0 + LEVEL)
            self._held = [one for one in self._held if one[0] <= self.limit]

    def items(self) -> list[Any]:
        """Return what is kept, in the order in which candidates came."""
        self._cut()
        return [item for _, _, item in sorted(self._held, key=lambda one: one[1])]
