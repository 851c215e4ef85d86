"""What a check of `pdfkit verify` is, what it leaves behind, and how it is run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdfkit._checks import Array


class NotInstalledError(Exception):
    """What a check compares with is not on this machine."""


@dataclass(frozen=True)
class Check:
    """One comparison: topic, name, what is compared, the largest difference allowed and why, and what measures it."""

    topic: str
    name: str
    compared: str
    bound: float
    reason: str
    measure: Callable[[], float]


@dataclass(frozen=True)
class VerificationRow:
    """The outcome of one comparison.

    measured : largest difference found, in units that `compared` names (NaN: not measured). bound : largest allowed;
    `reason` says why it is no smaller. ok : measured ≤ bound, or nothing to compare with (`skipped`). note : why a row
    was skipped, or what went wrong.
    """

    topic: str
    name: str
    compared: str
    measured: float
    bound: float
    reason: str
    ok: bool
    skipped: bool
    seconds: float
    note: str = ""


def run(check: Check) -> VerificationRow:
    """Measure; an error of any kind is a row that fails, for the other rows are worth having all the more."""
    start = time.perf_counter()
    measured, skipped, note = float("nan"), False, ""
    try:
        measured = float(check.measure())
    except NotInstalledError as missing:
        skipped, note = True, str(missing)
    except Exception as error:
        note = f"{type(error).__name__}: {error}"
    ok = skipped or measured <= check.bound
    seconds = time.perf_counter() - start
    return VerificationRow(
        check.topic, check.name, check.compared, measured, check.bound, check.reason, ok, skipped, seconds, note
    )


def worst(found: Array, expected: Array, largest: float | None = None) -> float:
    """Return the largest |found − expected| over the largest |expected| (or over `largest`)."""
    expected = np.asarray(expected)
    scale = np.abs(expected).max() if largest is None else largest
    return float(np.abs(np.asarray(found) - expected).max() / scale)
