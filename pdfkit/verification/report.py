"""Conformance: is what this installation computes right, on this machine, now?

    import pdfkit as pk

    report = pk.verify()
    print(report.table())
    assert report.ok

Every row compares pdfkit with something else: other programs, the definition summed pair by pair, a closed form, a
law that must hold, or another method for the same numbers. Each bound states its reason.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pdfkit import _checks
from pdfkit._table import aligned
from pdfkit.verification.checks import Check, VerificationRow, run

TOPICS = ("PDFfit2 live", "stored curves", "direct sums", "analytic limit", "conservation", "two methods")
FILES = "input files"
"""Asked for by name only: inputs as people have them, a row each (`pdfkit verify --files`)."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    rows : (n,) of VerificationRow: topic, name, compared, measured, bound, reason, ok, skipped, seconds, note.
    seconds : of the whole run. machine : what it ran on.

    Example
    -------
    >>> import pdfkit as pk
    >>> report = pk.verify("two methods")
    >>> report.ok, report.failed
    (True, ())
    >>> all(row.measured <= row.bound for row in report.rows)
    True
    """

    rows: tuple[VerificationRow, ...]
    seconds: float
    machine: str

    @property
    def ok(self) -> bool:
        """Whether no row failed; rows that had nothing to compare with do not count."""
        return all(row.ok for row in self.rows)

    @property
    def failed(self) -> tuple[VerificationRow, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if not row.ok)

    def table(self) -> str:
        """Return the report as text: a line a row, grouped by topic, why bounds are what they are, and a summary."""
        reasons = list(dict.fromkeys(row.reason for row in self.rows))
        table = aligned([_cells(row, reasons) for row in self.rows], indent="  ", width=math.inf)
        lines: list[str] = []
        for topic in dict.fromkeys(row.topic for row in self.rows):
            lines += ["", topic, *(line for row, line in zip(self.rows, table, strict=True) if row.topic == topic)]
        lines += ["", "why bounds are no smaller", *(f"  [{k}] {why}" for k, why in enumerate(reasons, 1))]
        skipped = sum(row.skipped for row in self.rows)
        passed = sum(row.ok and not row.skipped for row in self.rows)
        counts = f"{passed} agree, {len(self.failed)} fail, {skipped} had nothing to compare with"
        return "\n".join([*lines[1:], "", f"{counts}; {self.seconds:.1f} s, {self.machine}"])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON; NaN stands for what was not measured."""
        rows = [asdict(row) for row in self.rows]
        return {"ok": self.ok, "seconds": self.seconds, "machine": self.machine, "rows": rows}

    def __str__(self) -> str:
        return self.table()


def _cells(row: VerificationRow, reasons: list[str]) -> tuple[str, str, str]:
    state = "–   " if row.skipped else "ok  " if row.ok else "FAIL"
    values = f"{row.measured:7.1e} {'≤' if row.ok else '>'} {row.bound:7.1e} [{reasons.index(row.reason) + 1}]"
    return f"{state} {row.name}", row.compared, row.note or values


def verify(*topics: str, tell: Callable[[int, int, str], None] | None = None) -> Verification:
    """Compare pdfkit with other programs, definitions, closed forms and laws; a report of what was measured.

    topics : which of "PDFfit2 live", "stored curves", "direct sums", "analytic limit", "conservation" and "two
    methods"; default these. "input files" reads inputs as people have them and compares what was meant. tell : called
    with (rows done, rows in all, name of the next). Takes a few seconds, and up to half a minute the first time, when
    kernels are compiled.

    A row that disagrees is part of the report (`ok` is False), not an exception. Raises PdfkitError for an unknown
    topic.

    Example
    -------
    >>> import pdfkit as pk
    >>> pk.verify("analytic limit").ok
    True
    """
    wanted = tuple(_checks.choice("topic", topic, (*TOPICS, FILES)) for topic in topics) or TOPICS
    chosen = [check for check in (*_all_checks(), *_files(wanted)) if check.topic in wanted]
    start = time.perf_counter()
    rows = []
    for done, check in enumerate(chosen):
        if tell is not None:
            tell(done, len(chosen), f"{check.topic}: {check.name}")
        rows.append(run(check))
    return Verification(tuple(rows), time.perf_counter() - start, _machine())


def _all_checks() -> list[Check]:
    from pdfkit.verification import definitions, laws, limits, peers

    found = [check for module in (peers, definitions, limits, laws) for check in module.checks()]
    return sorted(found, key=lambda check: TOPICS.index(check.topic))


def _files(wanted: tuple[str, ...]) -> list[Check]:
    if FILES not in wanted:
        return []
    from pdfkit.verification import files

    return files.checks()


def _machine() -> str:
    import numba
    import numpy as np

    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{system}, numpy {np.__version__}, numba {numba.__version__}"
