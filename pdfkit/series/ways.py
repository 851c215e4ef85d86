"""How scans of a series are fitted, and the ways in which they share something: laws, windows of r, maps.

Each option of `pdfkit.fit_series` that belongs to a way is written down once, in `Way`; `OF` says which ways take it.
Underneath are `parametric`, `windows` and `maps`: here their results become rows of one `SeriesResult`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError, WriteError
from pdfkit.fitting.rows import FitRow
from pdfkit.screening.run import Clock
from pdfkit.screening.settings import Work, whole
from pdfkit.series.alone import Kept, Saved
from pdfkit.series.laws import Law
from pdfkit.series.log import JOURNAL
from pdfkit.series.result import SeriesResult
from pdfkit.series.scans import Axis, Held, HeldScan, Series
from pdfkit.series.store import Extra, Setting, write_series
from pdfkit.series.tasks import Row, SeriesProblem, packed_array, row_of

Journal = Callable[[object], Kept]
FILE = "series.h5"
SINGLE, JOINED = ("sequential", "independent"), ("parametric", "windows", "map")
HOW = (*SINGLE, *JOINED)
OF: Mapping[str, tuple[str, ...]] = {
    "search": (*SINGLE, "windows"),
    "block": ("sequential",),
    "laws": ("parametric",),
    "shared": ("parametric",),
    "start": ("parametric",),
    "like": ("parametric",),
    "window": ("windows",),
    "step": ("windows",),
    "mapped": ("map",),
    "rounds": ("map",),
}
"""Which ways take an option."""
ELSEWHERE = ("executor", "workers", "chunk")
"""Options of `Work` that a fit of all scans at once does not have: it runs in this process."""


@dataclass(frozen=True, eq=False)
class Way:
    """Options of `pdfkit.fit_series` that only some ways take.

    search : "staged" or "plain", of fits that start from the model (sequential, independent, windows).
    block : in a sequence, scans between two that are fitted from the model.
    laws, start, like : of parametric fits, as for `pdfkit.series.parametric.fit_parametric`; like may be a result.
    shared : endings of names of what all scans have the same, a short form of the law "constant".
    window, step : Å, width and distance of windows of r.
    mapped, rounds : of maps, as for `pdfkit.series.maps.fit_map`.

    Raises ParameterError for any other value.
    """

    search: str = "staged"
    block: int = 32
    laws: Mapping[str, Law | str] | None = None
    shared: Iterable[str] = ()
    start: Mapping[str, float] | None = None
    like: Any = None
    window: float | None = None
    step: float | None = None
    mapped: Iterable[str] | None = None
    rounds: int = 2

    def __post_init__(self) -> None:
        _checks.choice("search", self.search, ("staged", "plain"))
        whole("block", self.block, 2)
        whole("rounds", self.rounds, 0)


NAMES = tuple(one.name for one in fields(Way))


def check_way(how: str, given: Iterable[str]) -> None:
    """Refuse options that do not belong to a way. ParameterError says to which they do."""
    for name in given:
        if name in OF and how not in OF[name]:
            ways = " or ".join(f'how="{one}"' for one in OF[name])
            raise ParameterError(
                f'{name} belongs to {ways}, and here how="{how}": leave it out, or change how', key=name
            )
        if name in ELSEWHERE and how in JOINED:
            raise ParameterError(f'{name} has no use where how="{how}": that is one fit, in this process', key=name)


@dataclass(frozen=True, eq=False)
class Made:
    """What a way made: the series that its rows are of, and what is stored with them."""

    series: Series
    setting: Setting
    rows: Sequence[Row]

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, position: int) -> Row:
        """Return one row."""
        return self.rows[position]

    def kept(self, out: Path | None) -> SeriesResult:
        """Return the result, from its file if there is one."""
        setting = self.setting
        if out is None:
            return SeriesResult.of(self.series, setting.names, setting.free, self.rows, **setting.more)
        return SeriesResult.load(write_series(out / FILE, self.series, setting, self), laws=setting.extra.laws)


def joined(how: str, scans: Any, problem: SeriesProblem, way: Way, work: Work) -> SeriesResult:
    """Fit a series in a way that joins scans."""
    make = {"parametric": _parametric, "windows": _windows, "map": _map}[how]
    out = folder_of(work)
    return make(scans, problem, way, _Told(work)).kept(out)


def folder_of(work: Work) -> Path | None:
    """Return the folder of results, which exists then; None without one. WriteError where it cannot be made."""
    if work.out is None:
        return None
    out = Path(work.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{out}: cannot be made ({error.strerror}): choose another out=") from None
    return out


class _Told:
    """Tells a `Work` how far a fit is; the clock begins with the first call."""

    def __init__(self, work: Work) -> None:
        self.work, self.done = work, 0
        self.clock: Clock | None = None
        self.keeps = work.out is not None

    def journal(self, series: Series, problem: SeriesProblem, how: str) -> Journal:
        """Return what opens the journal of the fits of single scans, in the folder of results where there is one."""
        path = None if self.work.out is None else Path(self.work.out) / JOURNAL
        known = problem.digest()
        return lambda about: Kept(path, (how, known, about), series, resume=self.work.resume)

    def __call__(self, done: int, whole: int) -> None:
        self.clock = self.clock or Clock("fit", whole, self.work.progress)
        self.clock.add(done - self.done, fresh=True)
        self.done = done

    def saved(self, data: PDF, problem: SeriesProblem, way: Way) -> Saved:
        """Return the journal of fits of one data set over windows."""
        path = None if self.work.out is None else Path(self.work.out) / JOURNAL
        about = ("windows", problem.digest(), way.search, HeldScan(data, "").stamp())
        return Saved(path, about, resume=self.work.resume)


def _options(problem: SeriesProblem, *without: str) -> dict[str, Any]:
    return {name: value for name, value in problem.options().items() if name not in ("free", *without)}


# --- laws ------------------------------------------------------------------------------------------------------------


def _parametric(scans: Any, problem: SeriesProblem, way: Way, told: _Told) -> Made:
    from pdfkit.series.lawfit import savable
    from pdfkit.series.parametric import fit_parametric

    series = Series.of(scans)
    if len(series.axes) > 1:
        raise ParameterError('laws follow one index, and these scans are a map: take how="map"', key="how")
    laws = _laws(way)
    if told.keeps:
        for name, law in laws.items():
            savable(name, law)
    like = way.like.laws if isinstance(way.like, SeriesResult) else way.like
    found = fit_parametric(
        problem.model, series, laws=laws, free=problem.free, start=way.start, like=like, progress=told,
        journal=told.journal(series, problem, "parametric"), **_options(problem),
    )  # fmt: skip
    rows: list[Row] = [{"error": found.failed.get(k, "")} for k in range(len(series))]
    for k, position in enumerate(found.positions.tolist()):
        rows[position] = {
            **_row(found.columns, found.table[k], found.covariances[k], found.rw[k], found.converged),
            **_quality(found.chi2[k], found.scans[k].residuals.independent, problem),
            "nfev": found.evaluations,
            **_curves(found.scans[k], found.table[k], curves=problem.curves),
        }
    alone = np.full((2, len(series), len(found.columns)), math.nan)
    alone[:, found.positions] = found.alone, found.alone_errors
    options = {"laws": {name: str(law) for name, law in laws.items()}, "start": dict(way.start or {})}
    extra = Extra(options, (alone[0], alone[1]), found.laws)
    return Made(series, Setting(problem, found.columns, found.columns, "parametric", extra), rows)


def _laws(way: Way) -> dict[str, Law | str]:
    """Return the laws, shared parameters among them."""
    if way.laws is not None and not isinstance(way.laws, Mapping):
        raise ParameterError('laws is no table: write for example laws={"a": "linear", "Uiso": "debye"}', key="laws")
    laws, shared = dict(way.laws or {}), _checks.names("shared", way.shared)
    for name in shared:
        if name in laws:
            raise ParameterError(f"{name} is shared by all scans and has a law as well: leave one out", key=name)
    return {**laws, **dict.fromkeys(shared, "constant")}


def _quality(chi2: float, independent: float, problem: SeriesProblem) -> Row:
    """Return χ² of a scan in units of its noise; what all scans share counts little in each."""
    freedom = max(1.0, independent - len(problem.free))
    return {"chi2": float(chi2), "reduced_chi2": float(chi2) / freedom, "n_independent": float(independent)}


def _row(names: Sequence[str], values: Array, covariance: Array, rw: float, converged: bool) -> Row:
    """Return a row that has no numbers but these."""
    return {
        "values": values.tolist(), "sigmas": np.sqrt(np.diag(covariance)).tolist(), "free": list(names),
        "covariance": packed_array(covariance), "rw": float(rw), "chi2": math.nan, "reduced_chi2": math.nan,
        "n_independent": math.nan, "nfev": math.nan, "lnz": math.nan, "converged": converged, "remarks": [],
    }  # fmt: skip


def _curves(lean: Any, x: Array, *, curves: bool) -> Row:
    """Return the grid of a scan, and its curves where they are kept."""
    data = lean.posed.data
    out: Row = {"grid": [len(data), float(data.r[0]), float(data.r[-1])]}
    if curves:
        out |= {"r": packed_array(data.r), "observed": packed_array(data.G)}
        out |= {"calculated": packed_array(lean.calculated(x))}
    return out


# --- windows of r ----------------------------------------------------------------------------------------------------


def _windows(scans: Any, problem: SeriesProblem, way: Way, told: _Told) -> Made:
    from pdfkit.series.windows import Windows, fit_windows

    data = _one(scans)
    if way.window is None or way.step is None:
        raise ParameterError("windows need their width and distance: give window= and step= in Å", key="window")
    with told.saved(data, problem, way) as saved:
        found: Windows = fit_windows(
            problem.model, data, way.window, way.step, free=problem.free, progress=told, search=way.search, saved=saved,
            **_options(problem),
        )  # fmt: skip
    titles = [f"{low:g} to {high:g} Å" for low, high in found.ends]
    pdfs = [data.crop(low, high) for low, high in found.ends]
    named = tuple(PDF(p.r, p.G, p.dG, instrument=p.instrument, name=t) for p, t in zip(pdfs, titles, strict=True))
    series = Series(Held(named), (Axis("r", found.r, "Å"),), np.arange(len(named)))
    rows: list[Row] = []
    for k, fit in enumerate(found.fits):
        if fit is None:
            rows.append({"error": found.failed[k]})
            continue
        row = row_of(FitRow.of(fit, curves=problem.curves), found.names)
        said = [f"{name} is not determined here: it has the value of all data" for name in found.held[k]]
        rows.append({**row, "sigmas": found.errors[k].tolist(), "remarks": [*row["remarks"], *said]})
    extra = Extra({"window": float(way.window), "step": float(way.step)})
    return Made(series, Setting(problem, found.names, found.names, "windows", extra), rows)


def _one(scans: Any) -> PDF:
    """Return the data set that is cut into windows."""
    if isinstance(scans, PDF):
        return scans
    series = Series.of(scans)
    if len(series) != 1:
        raise ParameterError(
            f"windows of r are those of one data set, and there are {len(series)}: give one", key="how"
        )
    return series[0]


# --- maps ------------------------------------------------------------------------------------------------------------


def _map(scans: Any, problem: SeriesProblem, way: Way, told: _Told) -> Made:
    from pdfkit.series.maps import fit_map
    from pdfkit.series.posed import readings

    series = Series.of(scans)
    shape = (series.shape[0], series.shape[1] if len(series.shape) > 1 else 1)
    read = list(readings(series))
    unread = {k: str(one) for k, one in enumerate(read) if isinstance(one, PdfkitError)}
    found = fit_map(
        problem.model, [None if k in unread else one for k, one in enumerate(read)], shape, free=problem.free,
        mapped=way.mapped, rounds=way.rounds, progress=told, journal=told.journal(series, problem, "map"),
        **_options(problem),
    )  # fmt: skip
    rows: list[Row] = []
    for k, place in enumerate(np.ndindex(*shape)):
        if k in unread:
            rows.append({"error": unread[k]})
            continue
        row = _row(
            found.names, found.values[place], found.covariance[place], float(found.rw[place]), place in found.seen
        )
        if place in found.failed:
            row["remarks"] = [f"no fit of its own ({found.failed[place]}): its neighbours tell its numbers"]
        if place in found.strange:
            row["remarks"] = [
                f"the model does not describe it by itself (Rw = {found.strange[place]:.3g}), as it does most places: "
                "nothing of the sample may be there, and its numbers mean nothing"
            ]
        if place in found.seen:
            row |= _curves(*found.seen[place], curves=problem.curves)
        else:
            row |= _unseen(read[k], curves=problem.curves)
        rows.append(row)
    n = len(found.names)
    alone = (found.alone.reshape(-1, n), found.alone_errors.reshape(-1, n))
    strength = dict(zip(found.names, found.strength.tolist(), strict=True))
    extra = Extra({"mapped": list(found.names), "rounds": way.rounds, "strength": strength}, alone)
    return Made(series, Setting(problem, found.names, found.names, "map", extra, found.remarks), rows)


def _unseen(data: PDF, *, curves: bool) -> Row:
    """Return the grid of a place without a fit of its own, and its data without a model."""
    out: Row = {"grid": [len(data), float(data.r[0]), float(data.r[-1])]}
    if curves:
        out |= {"r": packed_array(data.r), "observed": packed_array(data.G)}
        out |= {"calculated": packed_array(np.full(len(data), math.nan))}
    return out
