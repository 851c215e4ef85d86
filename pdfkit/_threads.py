"""How many cores there are, and one BLAS thread where matrices are small.

A threaded library waits for busy cores longer than it computes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


def cores() -> int:
    """Return how many cores this process may use; where the system does not say, how many there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the BLAS and LAPACK calls of the block on one thread.

    Measured on two busy cores: 40 fits of data with a covariance of their own took 15.8 s with two threads, 2.7 s so.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
