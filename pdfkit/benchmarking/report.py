"""What a bench found: rows, growth, table, JSON, and the picture of time against size."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pdfkit._table import aligned
from pdfkit.benchmarking.timing import exponent
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io._atomic import AnyPath, write_text
from pdfkit.plot.canvas import COLOURS, DOUBLE, GREY, PaperFigure, add_legend, finished, format_of, set_frame

# --- What a bench found ----------------------------------------------------------------------------------------------

OURS = "pdfkit"

FORMAT = 1

DONE = "done"

HEAD = ("case", "pdfkit", "spread", "cold", "memory", "program", "time", "ratio", "difference", "bound")


@dataclass(frozen=True)
class BenchRow:
    """One case by one program.

    case, title : its name, what it is. series, axis, x : the curve of the picture it is on, "rmax" (Å) or "N" (atoms).
    program : "pdfkit" or another. status : "done", or why there is no time. seconds, spread, rounds : median of one
    run, half the interquartile range over it, how many rounds. ratio : its time over pdfkit's, median of the
    rounds. against, difference, bound, reason : what the answer was checked against, max|Δ|/max of it (or what the
    check says), the largest that passes, and why it is not zero. cold, memory : seconds and peak MB of a fresh process.
    note : more in words.
    """

    case: str
    title: str
    program: str
    series: str = ""
    axis: str = ""
    x: float | None = None
    status: str = DONE
    seconds: float | None = None
    spread: float | None = None
    rounds: int = 0
    ratio: float | None = None
    against: str = ""
    difference: float | None = None
    bound: float | None = None
    reason: str = ""
    cold: float | None = None
    memory: float | None = None
    note: str = ""

    @property
    def wrong(self) -> bool:
        """Whether the answer was checked and failed."""
        return self.difference is not None and self.bound is not None and not self.difference <= self.bound


@dataclass(frozen=True)
class Growth:
    """Time of a program ∝ xᵖ, x = rmax or N, by least squares in logarithms over `points` sizes."""

    series: str
    program: str
    axis: str
    power: float
    points: int


@dataclass(frozen=True)
class BenchReport:
    """What `bench` found: machine (processor, versions, date), rows, seconds it took, whether it was a quick one.

    Example
    -------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from pdfkit.benchmarking import BenchReport, bench
    >>> report = bench(["jacobian"], quick=True, fresh=False)
    >>> with TemporaryDirectory() as folder:
    ...     BenchReport.read(report.save(Path(folder, "bench.json"))) == report
    True
    >>> report.rows[0].title, report.rows[0].status
    ('G and 10 derivatives, wurtzite, to 30 Å', 'done')
    """

    machine: Mapping[str, str]
    rows: tuple[BenchRow, ...]
    seconds: float
    quick: bool = False

    @property
    def agreed(self) -> bool:
        """Whether every answer that was checked agreed within its bound."""
        return not any(row.wrong for row in self.rows)

    @property
    def growth(self) -> tuple[Growth, ...]:
        """Fitted powers of every curve with two sizes or more."""
        curves: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for row in self.rows:
            if row.series and row.x is not None and row.seconds is not None:
                curves.setdefault((row.series, row.program, row.axis), []).append((row.x, row.seconds))
        out = []
        for (series, program, axis), points in curves.items():
            power = exponent([x for x, _ in points], [t for _, t in points])
            if power is not None:
                out.append(Growth(series, program, axis, power, len(points)))
        return tuple(out)

    def lines(self) -> list[tuple[str, ...]]:
        """Return the table as cells under `HEAD`: a line for every case and program."""
        out: list[tuple[str, ...]] = []
        by_case: dict[str, list[BenchRow]] = {}
        for row in self.rows:
            by_case.setdefault(row.case, []).append(row)
        for rows in by_case.values():
            mine = next(row for row in rows if row.program == OURS)
            own = _own(mine)
            others = [row for row in rows if row.program != OURS]
            if mine.difference is not None or not others:
                out.append((*own, mine.against and f"({mine.against})", "", "", *_agreement(mine)))
                own = ("",) * 5
            for row in others:
                what = duration(row.seconds) if row.status == DONE else row.status
                ratio = "" if row.ratio is None else f"{_digits(row.ratio)}×"
                out.append((*own, row.program, what, ratio, *_agreement(row)))
                own = ("",) * 5
        return out

    def table(self) -> str:
        """Return the table as text, its growth, and what it was measured on."""
        text = aligned([HEAD, *self.lines()])
        powers = [f"{g.series}, {g.program}: time ∝ {g.axis}^{g.power:.2f} ({g.points} sizes)" for g in self.growth]
        notes = [f"{row.title}: {row.note}" for row in self.rows if row.note]
        on = ", ".join(value if key in _PLAIN else f"{key} {value}" for key, value in self.machine.items())
        return "\n".join([*text, "", *notes, *powers, "", f"{on}; {self.seconds:.0f} s"])

    def __str__(self) -> str:
        """Return the table."""
        return self.table()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        record: dict[str, Any] = {
            "format": FORMAT,
            "machine": dict(self.machine),
            "seconds": self.seconds,
            "quick": self.quick,
        }
        record["rows"] = [asdict(row) for row in self.rows]
        record["growth"] = [asdict(one) for one in self.growth]
        return record

    def save(self, path: AnyPath) -> Path:
        """Write everything as JSON; WriteError when the file cannot be written."""
        text = json.dumps(_finite(self.to_dict()), indent=1, ensure_ascii=False, allow_nan=False)
        return write_text(path, text + "\n")

    @classmethod
    def read(cls, path: AnyPath) -> BenchReport:
        """Return the report that `save` wrote; ReadError for anything else."""
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            if record["format"] != FORMAT:
                raise PdfkitError(f"format {record['format']} is not {FORMAT}")
            machine = {str(key): str(value) for key, value in dict(record["machine"]).items()}
            rows = tuple(_row(row) for row in record["rows"])
            if not {row.case for row in rows} <= {row.case for row in rows if row.program == OURS}:
                raise ValueError("a case without pdfkit's own row")
            return cls(machine, rows, float(record["seconds"]), bool(record["quick"]))
        except OSError as error:
            raise ReadError(path, f"cannot be read ({error.strerror}): check the name") from None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            reason = " ".join(str(error).split())[:120]
            raise ReadError(path, f"not a report of `pdfkit bench` ({reason}): run it again") from None


_PLAIN = ("processor", "system", "date")


def _finite(value: Any) -> Any:
    """Return the value with what JSON cannot hold, an infinite difference, as a word."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_KINDS: Mapping[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float | None": (int, float, NoneType)}


def _row(raw: Any) -> BenchRow:
    """Return a row of JSON; TypeError for a value of another kind than the row has there."""
    row = BenchRow(**{**raw, "difference": _number(raw["difference"])})
    for one in fields(row):
        if not isinstance(value := getattr(row, one.name), _KINDS[str(one.type)]) or isinstance(value, bool):
            raise TypeError(f"{one.name} is not {one.type}")
        if isinstance(value, int):
            float(value)  # OverflowError for a number of hundreds of digits
    return row


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _own(row: BenchRow) -> tuple[str, str, str, str, str]:
    return (
        row.title,
        duration(row.seconds) if row.status == DONE else row.status,
        "" if row.spread is None else f"±{row.spread:.0%}",
        duration(row.cold),
        "" if row.memory is None else f"{row.memory:,.0f} MB",
    )


def _agreement(row: BenchRow) -> tuple[str, str]:
    if row.difference is None or row.bound is None:
        return "", ""
    return f"{row.difference:.1e}", f"{row.bound:.0e}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def duration(seconds: float | None) -> str:
    """Return seconds in a unit that suits, three digits; nothing for None."""
    if seconds is None:
        return ""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 0.9995:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"


# --- Time against N and against rmax ---------------------------------------------------------------------------------

LABELS = {"N": "atoms", "rmax": r"$r_\mathrm{max}$ (Å)"}


def bench(report: BenchReport, path: AnyPath | None = None, *, width: float = DOUBLE) -> Figure:
    """Plot the times of cases that form a curve: log–log, one panel against rmax, one against the number of atoms.

    path : where to write the figure, .png, .svg or .pdf. width : mm. Raises PdfkitError for a file name of another
    kind, WriteError when it cannot be written.
    """
    kind = format_of(path)
    figure = PaperFigure(figsize=(width / 25.4, 0.68 * width / 25.4), layout="constrained")
    axes: Any = figure.subplots(1, 2)
    for ax, axis in zip(axes, ("rmax", "N"), strict=True):
        _panel(ax, report, axis)
    return finished(figure, path, kind)


def _panel(ax: Any, report: BenchReport, axis: str) -> None:
    powers = {(g.series, g.program): g.power for g in report.growth if g.axis == axis}
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in report.rows:
        if row.axis == axis and row.x is not None and row.seconds is not None:
            curves.setdefault((row.series, row.program), []).append((row.x, row.seconds))
    names = list(dict.fromkeys(series for series, _ in curves))
    marks = dict(zip(dict.fromkeys(p for _, p in curves if p != OURS), "s^Dv", strict=False))
    for (series, program), points in curves.items():
        x, t = np.array(sorted(points)).T
        power = powers.get((series, program))
        fitted = "" if power is None else f", {power:.2f}"
        style = {"marker": "o", "ls": "-"} if program == OURS else {"marker": marks.get(program, "x"), "ls": "--"}
        colour = COLOURS[names.index(series) % len(COLOURS)]
        ax.loglog(x, t, ms=3.5, lw=1.0, color=colour, label=f"{program}: {series}{fitted}", **style)
    if axis == "rmax":  # a power of ten would stand alone on so short a range
        ax.xaxis.set_major_locator(FixedLocator(sorted({x for points in curves.values() for x, _ in points})))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    set_frame(ax, LABELS[axis], "seconds for one new $G(r)$")
    ax.grid(color=GREY, alpha=0.25, lw=0.4)
    add_legend(ax, "program: case, fitted power" if curves else "")
