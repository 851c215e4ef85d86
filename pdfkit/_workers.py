"""Work in bounded chunks on any `concurrent.futures.Executor`: threads, processes, MPI, dask, or none.

    with Pool(executor, workers) as pool:
        for job, results in pool.run(function, jobs, lost): ...

At most `Pool.limit` chunks are under way; the next are taken when one comes back. What goes wrong with one payload ends
as words about that payload; what goes wrong with the machinery ends as one clear error, after which a run with a
journal goes on where it stopped. A worker process ends when the process that started it has ended, and leaves Ctrl-C
to that process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
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
from multiprocessing.connection import wait as wait_for
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from pdfkit import _checks
from pdfkit._machine import cores
from pdfkit.errors import PdfkitError, WriteError

# --- What every worker process does first ----------------------------------------------------------------------------

EVERY = 1.0  # seconds between looks at the parent's number, where its sentinel says nothing
_DEATH_SIGNAL, _KILL = 1, 9  # PR_SET_PDEATHSIG of <linux/prctl.h>; SIGKILL, which not every system has by name


def start_worker() -> None:
    """Set up a worker process: it follows its parent, and Ctrl-C (which goes to all processes) is the parent's."""
    if multiprocessing.parent_process() is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        warnings.filterwarnings("ignore", message="compiled code cannot be kept")  # the parent has said so
        watch_parent()


def stop_workers(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool now, whatever they are doing: what they have not handed over is lost."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(5.0)


def watch_parent() -> None:
    """Let this worker end when its parent does, however that ends (kill -9, out of memory).

    Linux sends SIGKILL by itself; everywhere a thread waits for the parent's sentinel, which also covers a parent that
    is not the one that forked (a fork server). Does nothing in a process that was not started by multiprocessing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    before = os.getppid()
    _kill_with_parent()
    if not parent.is_alive():  # it ended before anybody watched
        os._exit(1)
    threading.Thread(target=_watch, args=(parent.sentinel, before), name="pdfkit-parent", daemon=True).start()


def _kill_with_parent() -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    try:
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, _KILL, 0, 0, 0)
    except (OSError, AttributeError):  # a libc without it: the thread watches alone
        return


def _watch(sentinel: int, before: int) -> None:
    while not wait_for([sentinel], timeout=EVERY):
        if os.getppid() != before:
            break
    os._exit(1)


# --- Chunks of work, and where they are done --------------------------------------------------------------------------

# Chunks under way per worker: one computed, one waiting, so that none is idle.
AHEAD = 2
# BLAS of a worker shall not start threads of its own: all cores are busy already.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOST = "run again with the same out= to go on: nothing that was finished is lost"

R = TypeVar("R")


@dataclass
class Job(Generic[R]):
    """A chunk: arguments of the function except the payloads, and what the caller knows the payloads by."""

    items: list[Any]
    arguments: tuple[Any, ...] = ()
    payloads: tuple[Any, ...] = ()
    results: list[R] | None = None
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
            raise PdfkitError('a script that starts worker processes needs the line: if __name__ == "__main__":')
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
                f"worker processes cannot start ({_words(error)}): your script must have the line "
                'if __name__ == "__main__":'
            ) from None

    def _restarted(self, error: BaseException) -> Executor:
        """Return processes in place of those that died."""
        self._must_have_worked(error)
        self._executor.shutdown(wait=False)
        return self._processes()

    def run(
        self, function: Callable[..., list[R]], jobs: Iterator[Job[R]], lost: Callable[[Any, str], R]
    ) -> Iterator[tuple[Job[R], list[R]]]:
        """Yield each job with its results as they are done. `function(*job.arguments, job.payloads)` computes one.

        lost : called with an item and words, returns the result of what no worker could finish.

        Raises PdfkitError when the executor cannot go on, WriteError when the function does: no other will fare better.
        """
        waiting: dict[Future[list[R]], Job[R]] = {}
        suspects: deque[Job[R]] = deque()
        ended = False
        try:
            while True:
                while not ended and not suspects and len(waiting) < self.limit:
                    job = next(jobs, None)
                    if job is None:
                        ended = True
                    elif job.results is not None:
                        yield job, job.results
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
                    job = waiting.pop(future)
                    found = self._outcome(future)
                    if not isinstance(found, str):
                        yield job, found
                    elif job.alone:
                        yield job, [lost(job.items[0], found)]
                    else:
                        suspects.extend(_divided(job))
        except PdfkitError:
            # The machinery is gone; what it had finished before is kept.
            for future, job in waiting.items():
                if future.done() and not _failed(future):
                    yield job, future.result()
            raise
        finally:
            for future in waiting:
                future.cancel()

    def _submit(self, function: Callable[..., list[R]], job: Job[R]) -> Future[list[R]]:
        try:
            return self._executor.submit(function, *job.arguments, job.payloads)
        except BrokenExecutor as error:
            if not self.own:
                raise PdfkitError(f"the executor broke ({_words(error)}): {LOST}") from None
            self._executor = self._restarted(error)
            return self._executor.submit(function, *job.arguments, job.payloads)
        except RuntimeError as error:
            raise PdfkitError(f"the executor takes no more work ({_words(error)}): {LOST}") from None

    def _outcome(self, future: Future[list[R]]) -> list[R] | str:
        """Return what a future has, or words: one of its payloads may be to blame."""
        try:
            return future.result()
        except WriteError:
            raise
        except (CancelledError, OSError, ImportError, TimeoutError) as error:
            raise PdfkitError(f"the workers are gone or cannot work ({_words(error)}): {LOST}") from None
        except BrokenExecutor as error:
            if not self.own:
                raise PdfkitError(f"the executor broke ({_words(error)}): {LOST}") from None
            self._must_have_worked(error)
            return "the worker process that computed it ended without a result (perhaps memory ran out)"
        except Exception as error:  # an executor may report a lost worker or an unpicklable candidate in its own way
            return f"no worker could finish it ({_words(error)})"


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _divided(job: Job[R]) -> Iterator[Job[R]]:
    """Yield the payloads of a chunk one by one."""
    for item, payload in zip(job.items, job.payloads, strict=True):
        yield Job([item], job.arguments, (payload,), alone=True)


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
    except Exception as error:  # another server at this address answers anything: lengths beyond all memory, no message
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
