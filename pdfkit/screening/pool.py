"""Work in bounded chunks on any `concurrent.futures.Executor`: threads, processes, MPI, dask, or none.

At most `Pool.limit` chunks are under way; the next candidates are taken when one comes back. What goes wrong with one
candidate ends as words about that candidate; what goes wrong with the machinery ends as one clear error, after which
a run with a journal goes on where it stopped.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pdfkit import _checks
from pdfkit._machine import cores
from pdfkit._workers import start_worker, stop_workers
from pdfkit.errors import PdfkitError
from pdfkit.screening.tasks import Record

# Chunks under way per worker: one computed, one waiting, so that none is idle.
AHEAD = 2
# BLAS of a worker shall not start threads of its own: all cores are busy already.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOST = "run again with the same out= to go on: nothing that was finished is lost"


@dataclass
class Job:
    """A chunk: arguments of the function except the payloads, and what the caller knows the payloads by."""

    items: list[Any]
    arguments: tuple[Any, ...] = ()
    payloads: tuple[Any, ...] = ()
    records: list[Record] | None = None
    """What is known already: nothing has to be computed."""
    alone: bool = False
    """Tried again with nothing else under way: if it fails now, it is to blame."""


class Pool:
    """Where chunks are computed: the caller's executor, processes of its own, or here and now.

    workers : processes to start, or how many the executor has. warm : what a process of its own calls first. Raises
    PdfkitError for what is no executor.
    """

    def __init__(
        self,
        executor: Executor | None,
        workers: int | None,
        warm: tuple[Callable[..., Any], tuple[Any, ...]] = (os.getpid, ()),
    ) -> None:
        if executor is not None and not hasattr(executor, "submit"):
            raise PdfkitError(f"executor is {type(executor).__name__}: give a concurrent.futures.Executor")
        self.own = executor is None and (workers or 1) > 1
        self._warming: list[Future[Any]] = []
        self._warm = warm
        self._workers = workers
        self._executor = executor or (self._processes() if self.own else _Here())
        self.limit = 1 if isinstance(self._executor, _Here) else AHEAD * self._size()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self.own:
            return
        if isinstance(self._executor, ProcessPoolExecutor) and error is not None and not isinstance(error, Exception):
            stop_workers(self._executor)  # Ctrl-C: what is finished is in the journal
        else:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _size(self) -> int:
        known = self._workers or getattr(self._executor, "_max_workers", None) or cores()
        return int(known)

    def _processes(self) -> ProcessPoolExecutor:
        """Start processes afresh (a fork would copy threads and locks) and warm them up."""
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise PdfkitError('a script that uses workers= needs the line: if __name__ == "__main__":')
        workers = int(self._workers or 1)
        with _single_threaded():
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker)
            # Every call starts a process, and tells later whether processes can start at all.
            function, arguments = self._warm
            self._warming = [pool.submit(function, *arguments) for _ in range(workers)]
        return pool

    def _must_have_worked(self, error: BaseException) -> None:
        """Refuse to go on with processes that never did anything: another try would end the same way."""
        if all(future.cancelled() or not future.done() or future.exception() for future in self._warming):
            raise PdfkitError(
                f"worker processes cannot start ({_words(error)}): does the script that calls this have the line "
                'if __name__ == "__main__": ?'
            ) from None

    def _restarted(self, error: BaseException) -> Executor:
        """Return processes in place of those that died."""
        self._must_have_worked(error)
        self._executor.shutdown(wait=False)
        return self._processes()

    def run(self, function: Callable[..., list[Record]], jobs: Iterator[Job]) -> Iterator[tuple[Job, list[Record]]]:
        """Yield each job with its records as they are done. `function(*job.arguments, job.payloads)` computes one.

        Raises PdfkitError when the executor cannot go on.
        """
        waiting: dict[Future[list[Record]], Job] = {}
        suspects: deque[Job] = deque()
        ended = False
        try:
            while True:
                while not ended and not suspects and len(waiting) < self.limit:
                    job = next(jobs, None)
                    if job is None:
                        ended = True
                    elif job.records is not None:
                        yield job, job.records
                    else:
                        waiting[self._submit(function, job)] = job
                if not waiting and suspects:
                    # One at a time: if the worker dies now, it is known of which candidate.
                    job = suspects.popleft()
                    waiting[self._submit(function, job)] = job
                if not waiting:
                    return
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in sorted(finished, key=_failed):
                    yield from self._outcome(future, waiting.pop(future), suspects)
        except PdfkitError:
            # The machinery is gone; what it had finished before is kept.
            for future, job in waiting.items():
                if future.done() and not _failed(future):
                    yield job, future.result()
            raise
        finally:
            for future in waiting:
                future.cancel()

    def _submit(self, function: Callable[..., list[Record]], job: Job) -> Future[list[Record]]:
        try:
            return self._executor.submit(function, *job.arguments, job.payloads)
        except BrokenExecutor as error:
            if not self.own:
                raise PdfkitError(f"the executor broke ({_words(error)}): {LOST}") from None
            self._executor = self._restarted(error)
            return self._executor.submit(function, *job.arguments, job.payloads)
        except RuntimeError as error:
            raise PdfkitError(f"the executor takes no more work ({_words(error)}): {LOST}") from None

    def _outcome(
        self, future: Future[list[Record]], job: Job, suspects: deque[Job]
    ) -> Iterator[tuple[Job, list[Record]]]:
        try:
            records = future.result()
        except (CancelledError, OSError, ImportError, TimeoutError) as error:
            raise PdfkitError(f"the workers are gone or cannot work ({_words(error)}): {LOST}") from None
        except BrokenExecutor as error:
            if not self.own:
                raise PdfkitError(f"the executor broke ({_words(error)}): {LOST}") from None
            self._must_have_worked(error)
            yield from _divided(job, "a worker process died on it (out of memory?)", suspects)
        except Exception as error:  # an executor may report a lost worker or an unpicklable candidate in its own way
            yield from _divided(job, f"no worker could finish it ({_words(error)})", suspects)
        else:
            yield job, records


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _divided(job: Job, words: str, suspects: deque[Job]) -> Iterator[tuple[Job, list[Record]]]:
    """Blame a candidate that was alone; those of any other chunk are to be tried one by one."""
    if job.alone:
        yield job, [{"error": words}]
        return
    for item, payload in zip(job.items, job.payloads, strict=True):
        suspects.append(Job([item], job.arguments, (payload,), alone=True))


class _Here(Executor):
    """Computes in this thread, at once."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Let processes that start meanwhile have one thread each in BLAS; what the user has set stays."""
    added = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def dask_executor(address: str, *, timeout: float = 5.0) -> Iterator[Executor]:
    """Give the executor of a dask cluster at `address`, such as "tcp://host:8786", and disconnect at the end.

    Raises PdfkitError when dask is not installed, nobody answers within `timeout` seconds, or there are no workers.
    """
    try:
        import distributed
    except ImportError:
        raise PdfkitError("dask is not installed: pip install 'pdfkit-scattering[dask]'") from None
    timeout = _checks.number("timeout", timeout, low=0.0, open_low=True)
    try:
        client: Any = getattr(distributed, "Client")(address, timeout=timeout)  # noqa: B009  # it has no types
    except (OSError, TimeoutError, ValueError) as error:
        raise PdfkitError(
            f"no dask scheduler at {address} answers within {timeout:g} s ({_words(error)}): check the address and "
            "that it runs; nothing was lost"
        ) from None
    try:
        if not client.ncores():
            try:
                client.wait_for_workers(1, timeout=timeout)
            except (OSError, TimeoutError):
                raise PdfkitError(f"the dask scheduler at {address} has no workers: start some") from None
        yield client.get_executor()
    finally:
        client.close()


def dask_size(executor: Any) -> int | None:
    """Return the cores of a dask executor, None for any other."""
    client: Any = getattr(executor, "_client", None)
    return int(sum(client.ncores().values())) if hasattr(client, "ncores") else None
