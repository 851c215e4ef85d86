"""What the match of a candidate finds, 16 bytes of the journal each, and which distances have come before."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pdfkit._checks import IntArray
from pdfkit.screening.tasks import Record


class Match(NamedTuple):
    """The lowest Rw, the expansion and U (Å²) there, and a number of 63 bits for the distances of a candidate."""

    rw: float
    expansion: float
    u: float
    shape: int


Outcome = Match | str
"""What a worker makes of a candidate: its match, or why there is none."""

# --- As the journal has them ------------------------------------------------------------------------------------------

_LINE = np.dtype([("rw", "<f4"), ("expansion", "<f2"), ("u", "<f2"), ("shape", "<i8")])
_FAILED = -1


def written(outcomes: Iterable[Outcome]) -> Record:
    """Return the outcomes of a chunk as the journal has them, 16 bytes each."""
    rows, errors = [], {}
    for k, one in enumerate(outcomes):
        if isinstance(one, str):
            errors[str(k)] = one
        rows.append((0.0, 0.0, 0.0, _FAILED) if isinstance(one, str) else tuple(one))
    found = base64.b64encode(np.array(rows, dtype=_LINE).tobytes()).decode()
    return {"found": found, "errors": errors}


def read(record: Mapping[str, Any]) -> list[Outcome]:
    """Return the outcomes of a line of the journal. ValueError for a damaged one."""
    table = np.frombuffer(base64.b64decode(record["found"], validate=True), dtype=_LINE)
    errors = record["errors"]
    if table.size == 0 or not all(isinstance(one, str) for one in errors.values()):
        raise ValueError
    return [
        errors[str(k)] if shape == _FAILED else Match(rw, expansion, u, shape)
        for k, (rw, expansion, u, shape) in enumerate(table.tolist())
    ]


# --- Shapes that have come before ------------------------------------------------------------------------------------

_RECENT = 1 << 16


class Seen:
    """Numbers that have come before: 8 bytes each."""

    def __init__(self) -> None:
        self._sorted: IntArray = np.zeros(0, dtype=np.int64)
        self._recent: set[int] = set()

    def add(self, number: int) -> bool:
        """Return whether a number is new, and remember it."""
        if number in self._recent:
            return False
        at = int(np.searchsorted(self._sorted, number))
        if at < self._sorted.size and self._sorted[at] == number:
            return False
        self._recent.add(number)
        if len(self._recent) == _RECENT:
            self._sorted = np.union1d(self._sorted, np.fromiter(self._recent, np.int64))
            self._recent.clear()
        return True
