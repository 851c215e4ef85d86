"""What the machine gives: memory and time, asked before they are spent, and cores.

The limits are those of a desk computer, 4 GB and 10 minutes for one curve. The environment variables PDFKIT_MEMORY (GB)
and PDFKIT_SECONDS set others.

A threaded library waits for busy cores longer than it computes.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import lru_cache
from typing import Any

from pdfkit.errors import PdfkitError

# --- What a calculation will need ------------------------------------------------------------------------------------

MEMORY = 4.0

SECONDS = 600.0

# Compiled loops run in pieces of about this much work, so that Ctrl-C is heard between two.
PIECE = 0.2


def memory_limit() -> float:
    """Return the most memory (bytes) that one calculation may take."""
    return _setting("PDFKIT_MEMORY", MEMORY) * 1e9


def time_limit() -> float:
    """Return the longest time (s) that the calculation of one curve may take by its estimate."""
    return _setting("PDFKIT_SECONDS", SECONDS)


def _setting(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    if not text.strip():
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise PdfkitError(f"the environment variable {name} is {text[:40]!r}: set it to a positive number")
    return value


def need(size: float, what: str, remedy: str) -> None:
    """Refuse what would take `size` bytes, if that is more than the limit; `remedy` says what to lower."""
    most = memory_limit()
    if not size <= most:
        raise PdfkitError(
            f"{what} would need {_gigabytes(size)} of memory, more than the limit of {_gigabytes(most)}: {remedy}, or "
            "raise the limit (environment variable PDFKIT_MEMORY, in GB)"
        )


def need_time(seconds: float, what: str, remedy: str) -> None:
    """Refuse what would take `seconds`, by an estimate, if that is more than the limit."""
    most = time_limit()
    if not seconds <= most:
        raise PdfkitError(
            f"{what} would take about {_duration(seconds)}, longer than the limit of {_duration(most)}: {remedy}, or "
            "raise the limit (environment variable PDFKIT_SECONDS)"
        )


def pieces(count: int, seconds_each: float) -> Iterator[slice]:
    """Cut `count` equal pieces of work, each of `seconds_each`, into slices of about `PIECE` seconds."""
    size = max(1, int(min(count, PIECE / max(seconds_each, 1e-12))))
    return (slice(k, min(k + size, count)) for k in range(0, count, size))


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 7200 else f"{seconds / 3600:.3g} h"


# --- How many cores there are ----------------------------------------------------------------------------------------


def cores() -> int:
    """Return how many cores this process may use; where the system does not say, how many there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def one_thread() -> AbstractContextManager[None]:
    """Keep the BLAS and LAPACK calls of the block on one thread; threads of Python may be in such blocks side by side.

    Measured on two busy cores: 40 fits of data with a covariance of their own took 15.8 s with two threads, 2.7 s so.
    """
    return _LIMIT


class _Limit(AbstractContextManager[None]):
    """The limit of one thread, which the first block sets and the last one lifts."""

    def __init__(self) -> None:
        self._guard, self._blocks, self._held = threading.Lock(), 0, ExitStack()

    def __enter__(self) -> None:
        with self._guard:
            if not self._blocks:
                self._held.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._blocks += 1

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._blocks -= 1
            if not self._blocks:
                self._held.close()


_LIMIT = _Limit()


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def is_running(process: int) -> bool:
    """Return whether a process of this machine runs; True where that cannot be known."""
    if os.name != "posix":  # os.kill would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
