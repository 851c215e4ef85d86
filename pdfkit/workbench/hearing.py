"""Warnings of one thread alone: `warnings.catch_warnings` is of the whole process, so that a curve that moves in one
tab would take the remarks from a file that is opened for another.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pdfkit.errors import PdfkitWarning

__all__ = ["heard"]

_LOCK = threading.Lock()
_HERE = threading.local()
_state: dict[str, Any] = {"inside": 0}


@contextmanager
def heard() -> Iterator[list[str]]:
    """Give the list of pdfkit's warnings that this thread makes in the meantime; nothing of them is printed."""
    before: list[str] | None = getattr(_HERE, "said", None)
    found: list[str] = []
    _begin()
    _HERE.said = found
    try:
        yield found
    finally:
        _HERE.said = before
        _end()


def _begin() -> None:
    with _LOCK:
        if _state["inside"] == 0:
            _state["guard"] = warnings.catch_warnings()
            _state["guard"].__enter__()
            _state["shown"] = warnings.showwarning
            warnings.simplefilter("always")
            warnings.showwarning = _take
        _state["inside"] += 1


def _end() -> None:
    with _LOCK:
        _state["inside"] -= 1
        if _state["inside"] == 0:
            _state["guard"].__exit__()


def _take(message: Warning | str, category: type[Warning], *about: Any, **more: Any) -> None:
    said: list[str] | None = getattr(_HERE, "said", None)
    if said is None:  # a thread that does not listen
        _state["shown"](message, category, *about, **more)
    elif issubclass(category, PdfkitWarning):
        said.append(str(message))
