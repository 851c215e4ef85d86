"""Is it right, and is it fast, on this machine? Cases run by pdfkit and other programs: answers first, then times.

The time of another program is taken only when its answer agrees with pdfkit's within the bound that the case states.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pdfkit import _checks
from pdfkit.benchmarking import timing
from pdfkit.benchmarking.cases import Case, Prepared, Rival, cases, relative
from pdfkit.benchmarking.report import OURS, BenchReport, BenchRow, Growth
from pdfkit.benchmarking.rivals import installed
from pdfkit.errors import PdfkitError, nearest

__all__ = ["BenchReport", "BenchRow", "Growth", "bench"]

Tell = Callable[[int, int, str], None]
QUICK, FULL = 0.5, 2.0
"""Seconds of rounds that a case may take, besides its slowest run."""
MANY = 1e6
"""Things that one run does from which on the time of each is told, not how many a second."""
LONGEST = 30.0
"""Seconds that a run may take to be started once more in a fresh process."""


def bench(
    names: str | Sequence[str] = (), *, quick: bool = False, fresh: bool = True, progress: Tell | None = None
) -> BenchReport:
    """Run the cases of the bench and return what they found.

    names : of cases (default: all that suit `quick`, see `pdfkit bench --list`); those with too little memory say so
    in their row. quick : under a minute, smaller sizes. fresh : take cold times and peak memory in new processes, of
    other programs for a few cases. Programs that take many minutes for a case run where it is named.
    progress : called with (cases done, all, title of the next).

    Of each case the answers are compared first; a program that differs by more than the bound is not timed, and
    `agreed` of the report is False. Then the programs take turns for rounds; times are medians, ratios medians of the
    ratios of the rounds.

    Raises PdfkitError for a case that does not exist.

    Example
    -------
    >>> from pdfkit.benchmarking import bench
    >>> report = bench(["transform"], quick=True, fresh=False)
    >>> report.agreed, [(row.program, row.status) for row in report.rows]
    (True, [('pdfkit', 'done'), ('numpy', 'done')])
    """
    known = cases()
    names = _checks.names("names", names)
    for name in names:
        if name not in known:
            raise PdfkitError(f"case {name!r} does not exist: the nearest are {nearest(name, known)}")
    allowed = ("quick",) if quick else ("quick", "full")
    chosen = [known[name] for name in dict.fromkeys(names)] or [c for c in known.values() if c.when in allowed]
    began = time.perf_counter()
    rows: list[BenchRow] = []
    for number, case in enumerate(chosen):
        if progress is not None:
            progress(number, len(chosen), case.title)
        left_out = (*(() if names else case.asked), *(case.slow if quick else ()))
        rows += _measure(case, quick, fresh, left_out)
    return BenchReport(timing.machine(), tuple(rows), time.perf_counter() - began, quick)


def _measure(case: Case, quick: bool, fresh: bool, left_out: Sequence[str]) -> list[BenchRow]:
    """Return the rows of one case: pdfkit's first; without the times of programs that are left out."""
    mine = BenchRow(case.name, case.title, OURS, case.series, case.axis, case.x)
    try:
        prepared = case.make()
        prepared.run()
        if prepared.check is not None:
            against, difference, bound, reason = prepared.check()
            mine = replace(mine, against=against, difference=difference, bound=bound, reason=reason)
            if mine.wrong:
                return [replace(mine, status="wrong answer")]
        return _timed(mine, prepared, case, quick, fresh, left_out)
    except (MemoryError, PdfkitError) as error:  # too large for this machine: the other cases go on
        return [replace(mine, status=f"not run: {error or 'too little memory'}")]


def _timed(
    mine: BenchRow, prepared: Prepared, case: Case, quick: bool, fresh: bool, left_out: Sequence[str]
) -> list[BenchRow]:
    """Check every other program, then let those that agree take turns with pdfkit."""
    rows, actions, seconds = [], {OURS: prepared.run}, {}
    for program, make in prepared.rivals.items():
        row = replace(mine, program=program, against="", difference=None, bound=None, reason="")
        if not installed(program):
            rows.append(replace(row, status="not installed"))
        elif program in left_out:
            rows.append(replace(row, status=f"left out, it takes long: --case {case.name} runs it"))
        else:
            rival = make()
            seconds[program], row = checked(row, rival)
            rows.append(row)
            if not row.wrong:
                actions[program] = rival.run
    if prepared.base is not None:
        actions["base"] = prepared.base
    times = timing.alternate(actions, QUICK if quick else FULL, seconds)
    out = [_filled(mine, times, prepared)]
    out += [_filled(row, times, prepared) if row.program in times else row for row in rows]
    if fresh and (case.fresh or not quick):
        # Other programs start anew in a few cases alone: that takes longer than all else.
        out = [_started(row) if row.program == OURS or case.fresh else row for row in out]
    return out


def checked(row: BenchRow, rival: Rival) -> tuple[float, BenchRow]:
    """Return the seconds of another program's first run, and the row with how its answer compares."""
    seconds, theirs = timing.once(rival.run)
    difference = relative(rival.mine(), theirs)
    row = replace(row, against=OURS, difference=difference, bound=rival.bound, reason=rival.reason)
    return seconds, replace(row, status="answers differ, not timed") if row.wrong else row


def _filled(row: BenchRow, times: dict[str, list[float]], prepared: Prepared) -> BenchRow:
    own = times[row.program]
    summary = timing.Timing.of(own)
    told: dict[str, Any] = {"seconds": summary.seconds, "spread": summary.spread, "rounds": summary.rounds}
    if row.program != OURS:
        return replace(row, ratio=timing.pair_ratios(own, times[OURS]), **told)
    notes = []
    if "base" in times:
        notes.append(f"{timing.pair_ratios(own, times['base']):.2f} × the time of {prepared.base_name}")
    if prepared.per > MANY:
        notes.append(f"{1e9 * summary.seconds / prepared.per:.2g} ns for each of {prepared.per:.2g} {prepared.unit}")
    elif prepared.per > 1:
        notes.append(f"{prepared.per / summary.seconds:.0f} {prepared.unit} a second")
    return replace(row, note="; ".join(notes), **told)


def _started(row: BenchRow) -> BenchRow:
    """Return the row with cold time and memory, unless a run is too long to be repeated."""
    if row.seconds is None or row.seconds > LONGEST:
        return row
    cold, memory = timing.fresh(row.case, row.program)
    return replace(row, cold=cold, memory=memory)
