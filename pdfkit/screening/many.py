"""The first stage of many candidates: matched in chunks as they come, the best held, all others forgotten.

What is held does not grow with their number: the best, 8 bytes for the distances of each, and in the journal 21.
"""

from __future__ import annotations

import heapq
import os
import pickle
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pdfkit._workers import Job
from pdfkit.errors import PdfkitError
from pdfkit.particles.particle import Particle
from pdfkit.screening.candidates import Item, name_of, particle_of
from pdfkit.screening.crystals import no_cluster
from pdfkit.screening.linear import Matcher
from pdfkit.screening.matches import Match, Outcome, Seen, read, written
from pdfkit.screening.run import Best, Clock, Run
from pdfkit.screening.tasks import Problem, Record

CHUNKS = 8
"""So many chunks of candidates travel together and make one line of the journal: a match takes far less than a fit."""
FAILED_ROWS = 1000
"""And no more of those that could not be matched; the stage counts all."""
MARGIN, DISPLACED = 1.1, 1.25
"""Up to this many times the Rw of the best, candidates go on (`keep[0]` at most): match and fit differ by less. The
second where atoms may sit elsewhere than candidates have them: what explains the data then may miss them by more
(benchmarks/funnel.py: up to 1.16 times the best, of atoms displaced by 0.3 Å)."""
LISTED = 5
"""Names of candidates with the same distances that are kept."""


class Held(NamedTuple):
    """A candidate among the best, with its match."""

    item: Item
    match: Match


# --- In a worker -----------------------------------------------------------------------------------------------------

_MATCHERS: dict[str, Matcher] = {}


def match_chunk(problem: Problem, payloads: tuple[Any, ...]) -> list[Outcome]:
    """Return the match of each payload (atoms, a file, or a function that makes a particle), or why there is none."""
    digest = problem.digest()
    if digest not in _MATCHERS:
        _MATCHERS.clear()
        _MATCHERS[digest] = Matcher(problem)
    matcher = _MATCHERS[digest]
    made = [_made(payload) for payload in payloads]
    particles = [one for one in made if isinstance(one, Particle)]
    try:
        found: Iterator[Outcome] = iter(matcher.matches(particles))
    except Exception:  # one of them: which, and why?
        found = iter([_alone(matcher, particle) for particle in particles])
    return [next(found) if isinstance(one, Particle) else one for one in made]


def _made(payload: Any) -> Particle | str:
    if isinstance(payload, tuple):
        elements, kind, xyz = payload
        return Particle(elements, np.frombuffer(kind, dtype=np.int64), np.frombuffer(xyz).reshape(-1, 3))
    particle, error = particle_of(pickle.loads(payload) if isinstance(payload, bytes) else payload)
    return error if particle is None else particle


def _alone(matcher: Matcher, particle: Particle) -> Outcome:
    try:
        return matcher.matches([particle])[0]
    except PdfkitError as error:
        return " ".join(str(error).split())
    except MemoryError:
        return "not enough memory: run fewer workers, or leave it out"
    except Exception as error:  # whatever a strange candidate sets off: the others go on
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


# --- On the way there and back ---------------------------------------------------------------------------------------


def _packed(item: Any) -> Any:
    """Return what travels: plain bytes of a particle, files and functions as they are."""
    if isinstance(item, Particle):
        wrong = no_cluster(item)
        return PdfkitError(wrong) if wrong else (item.elements, item.kind.tobytes(), item.xyz.tobytes())
    if not callable(item):
        return item
    try:
        return pickle.dumps(item, 5)
    except Exception:  # a function of one's own that cannot travel is called here
        particle, error = particle_of(item)
        return PdfkitError(error) if particle is None else _packed(particle)


def _digest(payloads: Iterable[Any]) -> str:
    """Return the name of a chunk in the journal: a hash of its atoms, of functions, and of files as they are now."""
    out = blake2b(digest_size=16)
    for payload in payloads:
        if isinstance(payload, tuple):
            out.update(repr(payload[0]).encode() + payload[1] + payload[2])
        elif isinstance(payload, str | os.PathLike):
            out.update(os.fsencode(payload) + _state(payload))
        else:
            out.update(payload if isinstance(payload, bytes) else str(payload).encode())
    return out.hexdigest()


def _state(path: str | os.PathLike[str]) -> bytes:
    try:
        found = Path(path).stat()
    except OSError:
        return b"missing"
    return f"{found.st_size} {found.st_mtime_ns}".encode()


def matched_record(match: Match, particle: Particle | None) -> Record:
    """Return what a row says of a candidate that was matched: expansion, and the U common to its atoms."""
    elements = () if particle is None else particle.elements
    values = {"expansion": (match.expansion, None), **{f"{e}.Uiso": (match.u, None) for e in elements}}
    return {"rw": match.rw, "values": values}


# --- The stage -------------------------------------------------------------------------------------------------------


class Matching:
    """Matches all items and holds the best `keep[0]`; of the same distances only the first."""

    def __init__(self, run: Run, keep: tuple[int, int]) -> None:
        self.run, self.keep = run, keep
        self.entered = self.failed = 0
        """Candidates whose distances differ, and those that could not be matched."""
        self.errors: list[tuple[Item, str]] = []
        self.twins: dict[int, list[str]] = {}
        """Names of those with the same distances as one that was held when they came."""
        self._best = Best(keep[0])
        self._seen = Seen()

    def pass_through(self, items: Iterable[Item], total: int | None) -> None:
        """Match every item, in chunks; take what comes back in their order."""
        clock = Clock("match", total, self.run.tell)
        waiting: list[tuple[int, Any]] = []
        turn = 0
        for number, chunk, outcomes, fresh in self._outcomes(items):
            clock.add(len(outcomes), fresh=fresh)
            heapq.heappush(waiting, (number, list(zip(chunk, outcomes, strict=True))))
            while waiting and waiting[0][0] <= turn:
                number, pairs = heapq.heappop(waiting)
                turn += 1
                for item, outcome in pairs:
                    self._take(item, outcome)

    def _outcomes(self, items: Iterable[Item]) -> Iterator[tuple[int, list[Item], list[Outcome], bool]]:
        """Yield number, items and outcomes of whole chunks, and whether they were computed now."""
        parts: dict[int, dict[int, Outcome]] = {}
        for job, outcomes in self.run.pool.run(match_chunk, self._jobs(items), lambda _, words: words):
            if job.results is not None:
                (number, chunk), *_ = job.items
                yield number, chunk, outcomes, False
                continue
            # A chunk whose worker died comes back one by one.
            number, chunk, digest, _ = job.items[0]
            parts.setdefault(number, {}).update(zip((k for *_, k in job.items), outcomes, strict=True))
            done = parts[number]
            if len(done) < len(chunk):
                continue
            record = written([done[k] for k in range(len(chunk))])
            del parts[number]
            self.run.journal.add("match", [(digest, record)], keep=False)
            yield number, chunk, read(record), True

    def _jobs(self, items: Iterable[Item]) -> Iterator[Job[Outcome]]:
        for number, chunk in enumerate(_chunks(items, CHUNKS * self.run.chunk)):
            payloads = tuple(_packed(one.item) for one in chunk)
            digest = _digest(payloads)
            known = self.run.journal.get("match", digest)
            if known is not None:
                yield Job([(number, chunk)], results=read(known))
            else:
                yield Job([(number, chunk, digest, k) for k in range(len(chunk))], (self.run.problem,), payloads)

    def _take(self, item: Item, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            self.entered += 1
            self.failed += 1
            if len(self.errors) < FAILED_ROWS:
                self.errors.append((item, outcome))
        elif self._seen.add(outcome.shape):
            self.entered += 1
            self._best.add(outcome.rw, item.place, Held(item, outcome))
        elif outcome.rw <= self._best.limit:
            names = self.twins.setdefault(outcome.shape, [])
            if len(names) <= LISTED:
                names.append(name_of(item))

    def held(self) -> tuple[list[Held], set[int]]:
        """Return the best `keep[0]` in the order in which they came, and the places of those that go on."""
        held: list[Held] = self._best.items()
        further = Best(self.keep[1])
        for one in held:
            further.add(one.match.rw, one.item.place, one.item.place)
        margin = MARGIN if self.run.problem.displacement == "none" else DISPLACED
        near = margin * min((one.match.rw for one in held), default=0.0)
        return held, {*further.items(), *(one.item.place for one in held if one.match.rw <= near)}


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
