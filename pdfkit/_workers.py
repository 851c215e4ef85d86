"""What every worker process of pdfkit does first, and how a pool of them is stopped at once.

    pool = ProcessPoolExecutor(4, mp_context=get_context("spawn"), initializer=start_worker)

A worker ends when the process that started it has ended, and leaves Ctrl-C to that process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait

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
    while not wait([sentinel], timeout=EVERY):
        if os.getppid() != before:
            break
    os._exit(1)
