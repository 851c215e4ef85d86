"""`fit_series`: every scan fitted with one model, sequentially from its neighbours or independently of them.

sequential: every `block`-th scan, an anchor, is fitted from the model, with a search. Between two of them scans are
fitted forwards, each from where its neighbour ended, up to the next anchor. Where that ends elsewhere than the anchor's
own fit, where a value jumps, Rw stands out or a fit fails, the block is fitted backwards as well; where the two ends of
a scan differ, or Rw stands out, it is fitted again from the better rows of both its neighbours. The lowest Rw is kept.

independent: every scan from the model, whatever the others are.

In both, all scans are weighed in one way in the end: by the spectra of their noise, or all points alike. Which of the
two is what most of their residuals ask for; scans that were fitted in the other way are fitted again. Else trends would
have steps where the way changes.

All chains of a stage are independent of each other: what comes out does not depend on the order, the chunks, the
executor, or on how often a run was interrupted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit._machine import one_thread
from pdfkit._workers import Job, Pool, dask_size
from pdfkit.errors import ParameterError, PdfkitError, WriteError
from pdfkit.fitting.posing import Bounds
from pdfkit.model.model import Model
from pdfkit.results.problem import FitSettings
from pdfkit.screening.run import Clock
from pdfkit.screening.settings import Work, check_names, grouped, shows_options
from pdfkit.series.log import JOURNAL, Key, Log
from pdfkit.series.result import SeriesResult
from pdfkit.series.scans import Series
from pdfkit.series.settled import MISFITS
from pdfkit.series.store import Setting, write_series
from pdfkit.series.tasks import Chain, Packed, Row, SeriesProblem, run_chains, values_of, warm_up
from pdfkit.series.ways import FILE, HOW, JOINED, NAMES, OF, Way, check_way, folder_of, joined

APART = 0.3
"""Standard errors between the ends of two fits from which on they are two minima."""
STANDS_OUT = 1.15
"""Rw over the median of five neighbours from which on a scan is fitted again."""
MOST_NAMED = 5
"""So many pieces of a series are named."""
LEVEL = 1e-3
"""Rw that differ by less than this share are the same: the forward fit is kept. Of two minima that are as good, as with
a and b exchanged, neighbours then have the same."""
JUMP, STEEP = 5.0, 4.0
"""Standard errors, and times the usual step of a block, from which on a value jumps from one scan to the next."""
WAITING = "not fitted yet"


@shows_options(Way, Work)
def fit_series(
    model: Model,
    scans: Any,
    *,
    free: Iterable[str],
    how: str = "sequential",
    rmin: float | None = None,
    rmax: float | None = None,
    ties: Mapping[str, str | float] | None = None,
    bounds: Bounds | None = None,
    restraints: Sequence[Any] = (),
    use_errors: bool = True,
    settings: FitSettings | None = None,
    variables: Mapping[str, float] | None = None,
    curves: bool = False,
    work: Work | None = None,
    **options: Any,
) -> SeriesResult:
    """Fit the scans of a series with one model and return a row for each, with errors, or why there is none.

    Parameters
    ----------
    model : start values. scans : a series, as `read_series` returns it, or a list of PDFs.
    how : "sequential": each scan starts from where its neighbour ended; where something jumps or does not fit, from
        both sides, and the better end is kept; where they differ the row says so. "independent": each starts from the
        values of the model. "parametric": one fit of all, in which parameters follow laws of the index. "windows": one
        data set over [r0, r0 + window], [r0 + step, …]; the index is the middle r. "map": neighbours on a line or a
        grid are alike, as strongly as the evidence asks for.
    free, ties, bounds, restraints, use_errors, settings, rmin, rmax (Å) : as for `pdfkit.fit`. variables : numbers of
        the fit alone, for ties to use.
    curves : keep r, observed and calculated G(r) of each scan as well.
    options, by name. search (sequential, independent, windows): of fits that start from the model, "staged" or "plain",
        as for `pdfkit.fit`. block (sequential): scans between two that are fitted from the model; blocks are fitted
        side by side. laws, shared, start, like (parametric): name → law, such as {"a": "linear", "Uiso": "debye"},
        names that all scans share, start values of parameters of expressions, a result whose noise counts here as well,
        for `result.laws.better_than` (see `pdfkit.series.parametric.fit_parametric`). window, step (windows): Å.
        mapped, rounds (map): which of `free` neighbours share, how often places are looked at again.
    work, or its options by name: where and how the work is done (`pdfkit.screening.Work`): executor, workers, chunk,
        out, resume, progress. out : a folder, in which series.h5 (NeXus) has the results; series.jsonl
        is the journal that a killed run is taken up from. Fits of all scans at once run in this process.

    A scan that cannot be read or fitted is a row with the reason; the others go on.

    Raises
    ------
    ParameterError : a name that does not exist, nothing free, an option that `how` does not take. PdfkitError : no
    scans, a journal of another problem, an executor that broke. WriteError : the disk is full, or takes no files. What
    was finished is kept.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    >>> r, cells = np.arange(1.5, 10, 0.02), (3.520, 3.524, 3.528)
    >>> series = pk.read_series([model.with_values({"ni.a": a})(r) for a in cells], index=[100, 200, 300])  # simulated
    >>> result = pk.fit_series(model, series, free=["scale", "a"])
    >>> result["ni.a"].values.round(4).tolist(), result.status
    ([3.52, 3.524, 3.528], ('fitted', 'fitted', 'fitted'))
    """
    _checks.choice("how", how, HOW)
    check_names(options, (*NAMES, *Work.__dataclass_fields__))
    check_way(how, options)
    work = grouped("work", work, {name: one for name, one in options.items() if name not in OF})
    way = Way(**{name: one for name, one in options.items() if name in OF})
    problem = SeriesProblem(
        _checks.instance("model", model, Model, "a pdfkit.Model"),
        _checks.names("free", free),
        *_range(rmin, rmax),
        dict(ties or {}),
        dict(bounds or {}),
        tuple(restraints),
        use_errors,
        settings or FitSettings(),
        dict(variables or {}),
        _checks.flag("curves", curves),
    )
    if how in JOINED:
        return joined(how, scans, problem, way, work)
    return run_series(Series.of(scans), problem, Plan(how, way.search, way.block), work)


def _range(rmin: float | None, rmax: float | None) -> tuple[float | None, float | None]:
    """Return the range of r; ParameterError for what is none, for any scan."""
    if rmin is not None:
        rmin = _checks.number("rmin", rmin, low=0.0)
    if rmax is not None:
        rmax = _checks.number("rmax", rmax)
    if rmin is not None and rmax is not None and rmin >= rmax:
        raise ParameterError(f"rmin = {rmin:g} is not below rmax = {rmax:g}: swap or correct them", key="rmin")
    return rmin, rmax


@dataclass(frozen=True)
class Plan:
    """In what order scans are fitted, and what the first fits look for."""

    how: str
    search: str
    block: int


def run_series(series: Series, problem: SeriesProblem, plan: Plan, work: Work) -> SeriesResult:
    """Fit a series and write its file; of a run that ends before, what there is."""
    names, free = problem.names()
    if not free:
        raise ParameterError('nothing is free: give free=["scale", "a", ...]', key="free")
    setting = Setting(problem, names, free, plan.how)
    packed = problem.packed()
    size = dask_size(work.executor) if work.workers is None else work.workers
    with (
        one_thread(),  # blocks of the workers that are threads of this process end within it
        Log(_made(work), f"{problem.digest()} {plan}", resume=work.resume) as log,
        Pool(work.executor, size, (warm_up, (packed,))) as pool,
    ):
        run = Run(series, setting, packed, log, pool, work)
        try:
            (run.sequence if plan.how == "sequential" else run.singly)(plan)
            run.weigh_alike()
        except BaseException as error:
            if work.out is not None:
                with suppress(PdfkitError):  # the journal has it all, and a full disk is reported below
                    write_series(Path(work.out) / FILE, series, run.setting, run)
            if isinstance(error, WriteError):
                raise WriteError(f"{error} ({len(run.best)} of {len(series)} scans are finished)") from None
            raise
        if work.out is None:
            return SeriesResult.of(series, setting.names, setting.free, list(run), run.setting.said, **setting.more)
        return SeriesResult.load(write_series(Path(work.out) / FILE, series, run.setting, run))


def _made(work: Work) -> Path | None:
    """Return the path of the journal, in a folder that exists."""
    folder = folder_of(work)
    return None if folder is None else folder / JOURNAL


@dataclass(frozen=True)
class Place:
    """Where the row of a scan is in the journal, its Rw, how it is weighed, and what is said of it.

    rw: ∞ where the scan failed. weighs: whether the spectrum of its noise weighs points, None where it has none.
    """

    key: Key
    rw: float
    weighs: bool | None = None
    said: tuple[str, ...] = ()


@dataclass
class Run:
    """One run over a series: takes chains through the workers, and knows the best row of each scan."""

    series: Series
    setting: Setting
    packed: Packed
    log: Log
    pool: Pool
    work: Work
    best: dict[int, Place] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    def __iter__(self) -> Iterator[Row]:
        return (self.row(position) for position in range(len(self)))

    def row(self, position: int) -> Row:
        """Return the best row of a scan."""
        place = self.best.get(position)
        if place is None:
            return {"error": WAITING}
        row = self.log.row(place.key)
        return {**row, "remarks": [*place.said, *row["remarks"]]} if place.said else row

    # --- independent -------------------------------------------------------------------------------------------------

    def singly(self, plan: Plan) -> None:
        """Fit every scan from the model."""
        self._stage(Stage("fit", {k: (k,) for k in range(len(self))}, lambda _: None, plan.search))

    # --- sequential --------------------------------------------------------------------------------------------------

    def sequence(self, plan: Plan) -> None:
        """Fit anchors from the model, then what lies between them, from both sides where that is needed."""
        last = len(self) - 1
        anchors = sorted({*range(0, last, plan.block), last})
        self._stage(Stage("anchor", {k: (k,) for k in anchors}, lambda _: None, plan.search))
        begin = {k: self._values(k) for k in anchors}
        pairs = list(itertools.pairwise(anchors))
        forward = {k: tuple(range(a, b + 1)) for k, (a, b) in enumerate(pairs)}
        self._stage(Stage("forward", forward, lambda chain: begin[chain[0]], "plain", skip=1))
        backward = {k: chain[::-1] for k, chain in forward.items() if self._is_doubtful(chain)}
        self._stage(Stage("backward", backward, lambda chain: begin[chain[0]], "plain", skip=1))
        self._say(_said_of_ways([chain[::-1] for chain in backward.values()], len(self)))
        again = {k: (k,) for k in range(len(self)) if self._stands_out(k)}
        for name, side in (("again forward", -1), ("again backward", 1)):
            near = {k: self._neighbour(k, side) for k in again}
            chains = {k: chain for k, chain in again.items() if near[k] is not None}
            self._stage(Stage(name, chains, lambda chain, near=near: near[chain[0]], "plain"))  # type: ignore[misc]

    def _is_doubtful(self, chain: tuple[int, ...]) -> bool:
        """Return whether a chain of forward fits leaves room for another end: a scan that stands out, or a jump."""
        if any(self._stands_out(k) for k in chain):
            return True
        rows = [self.row(k) for k in chain]
        values, errors = (np.array([row[name] for row in rows]) for name in ("values", "sigmas"))
        steps = np.abs(np.diff(values, axis=0))
        with np.errstate(invalid="ignore"):  # what has no error does not jump
            large = steps > JUMP * np.hypot(errors[1:], errors[:-1])
        return bool((large & (steps > STEEP * np.median(steps, axis=0))).any())

    def _say(self, *words: str) -> None:
        self.setting = replace(self.setting, said=(*self.setting.said, *(word for word in words if word)))

    # --- weights -----------------------------------------------------------------------------------------------------

    def weigh_alike(self) -> None:
        """Fit scans again that are not weighed as most are, from where they ended, and say so."""
        known = {k: place.weighs for k, place in sorted(self.best.items()) if place.weighs is not None}
        wrong = sum(not weighs for weighs in known.values())
        weighs = wrong <= max(1.0, MISFITS * len(known))
        others = {k: (k,) for k, own in known.items() if own != weighs}
        if not others or len(others) == len(known):
            return
        self._stage(Stage("alike", others, lambda chain: self._values(chain[0]), "plain", weighs=weighs))
        left = sum(self.best[k].weighs != weighs for k in others)
        self._say(_said_of_weights(wrong, len(known), left, weighs=weighs))

    def _replace(self, position: int, key: Key, *, weighs: bool) -> None:
        """Keep a row in place of one that is weighed in another way, if that led somewhere."""
        row, before = self.log.row(key), self.best[position]
        if "error" not in row and row["converged"] and row.get("weighs") == weighs:
            self.best[position] = Place(key, float(row["rw"]), weighs, before.said)

    def _values(self, position: int) -> dict[str, float] | None:
        return values_of(self.row(position), self.setting.names, self.setting.free)

    def _neighbour(self, position: int, side: int) -> dict[str, float] | None:
        """Return the values of the nearest scan on a side whose fit led somewhere, None where there is none."""
        ahead = range(position + side, len(self) if side > 0 else -1, side)
        values = (self._values(k) for k in ahead if math.isfinite(self._rw(k)))
        return next((one for one in values if one is not None), None)

    def _rw(self, position: int) -> float:
        place = self.best.get(position)
        return math.inf if place is None else place.rw

    def _stands_out(self, position: int) -> bool:
        """Return whether a scan failed, came to different ends, or has a higher Rw than those about it."""
        place = self.best.get(position)
        if place is None or place.said or not math.isfinite(place.rw):
            return True
        near = [self._rw(k) for k in range(max(0, position - 2), min(len(self), position + 3))]
        return place.rw > STANDS_OUT * float(np.median([rw for rw in near if math.isfinite(rw)]))

    # --- stages ------------------------------------------------------------------------------------------------------

    def _stage(self, stage: Stage) -> None:
        """Fit the chains of a stage, and keep the better rows: in order, whatever the order they were done in."""
        if not stage.chains:
            return
        clock = Clock("fit", sum(len(chain) - stage.skip for chain in stage.chains.values()), self.work.progress)
        done: dict[int, int] = {}
        try:
            for job, found in self.pool.run(run_chains, self._jobs(stage), stage.lost):
                chains = zip(job.items, job.payloads, found, strict=True)
                if job.results is None:
                    self.log.add(stage.name, [(n, chain.stamp, rows) for n, chain, rows in chains])
                done |= {n: len(rows) for n, rows in zip(job.items, found, strict=True)}
                clock.add(sum(map(len, found)), fresh=job.results is None)
        finally:
            for number, positions in stage.chains.items():
                for k in range(done.get(number, 0)):
                    position, key = positions[k + stage.skip], (stage.name, number, k)
                    if stage.weighs is None:
                        self._offer(position, key)
                    else:
                        self._replace(position, key, weighs=stage.weighs)

    def _jobs(self, stage: Stage) -> Iterator[Job[list[Row]]]:
        """Yield what has to be computed in chunks of about as many scans as the work asks for, what is known alone."""
        chunk: list[tuple[int, Chain]] = []
        each = min(self.work.chunk, max(1, len(self) // max(1, self.pool.limit)))
        for number, positions in stage.chains.items():
            begin, scans = stage.start(positions), tuple(self.series.scan(k) for k in positions[stage.skip :])
            chain = Chain(scans, None if begin is None else tuple(begin.items()), stage.search, stage.weighs)
            if self.log.has(stage.name, number, chain.stamp, len(scans)):
                yield Job([number], payloads=(chain,), results=[[{}] * len(scans)])
                continue
            chunk.append((number, chain))
            if sum(len(one.scans) for _, one in chunk) >= each:
                yield self._job(chunk)
                chunk = []
        if chunk:
            yield self._job(chunk)

    def _job(self, chunk: list[tuple[int, Chain]]) -> Job[list[Row]]:
        return Job([number for number, _ in chunk], (self.packed,), tuple(chain for _, chain in chunk))

    def _offer(self, position: int, key: Key) -> None:
        """Keep the better row of a scan; say where two fits came to different ends."""
        row, before = self.log.row(key), self.best.get(position)
        rw, weighs = math.inf if "error" in row else float(row["rw"]), row.get("weighs")
        if before is None or not (math.isfinite(before.rw) and math.isfinite(rw)):
            if before is None or rw < before.rw:
                self.best[position] = Place(key, rw, weighs)
            return
        known = self.log.row(before.key)
        better = rw < before.rw * (1.0 - LEVEL)
        said = before.said or _apart(*((row, known) if better else (known, row)))
        self.best[position] = Place(key, rw, weighs, said) if better else replace(before, said=said)


@dataclass(frozen=True)
class Stage:
    """Chains of positions by number, each of which begins at start(chain); the first `skip` are not fitted.

    weighs : whether spectra of noise weigh points; None: where residuals are noise.
    """

    name: str
    chains: Mapping[int, tuple[int, ...]]
    start: Callable[[tuple[int, ...]], Mapping[str, float] | None]
    search: str
    skip: int = 0
    weighs: bool | None = None

    def lost(self, number: int, words: str) -> list[Row]:
        """Return the rows of a chain that no worker could finish."""
        return [{"error": words} for _ in self.chains[number][self.skip :]]


def _said_of_ways(chains: Sequence[tuple[int, ...]], count: int) -> str:
    """Say which scans were fitted from both sides, if any."""
    if not chains:
        return ""
    some = ", ".join(f"{chain[0] + 1} to {chain[-1] + 1}" for chain in chains[:MOST_NAMED])
    more = f" and {len(chains) - MOST_NAMED} more pieces" if len(chains) > MOST_NAMED else ""
    return f"scans {some}{more} of {count} were fitted from both sides, because values jump there or Rw stands out"


def _said_of_weights(wrong: int, count: int, left: int, *, weighs: bool) -> str:
    """Say how scans are weighed of which residuals ask for different ways; left: those of which no fit was found so."""
    some, but = f"the residuals of {wrong} of {count} scans are more than noise", ""
    if left:
        but = f"; {left} of which no such fit converged {'is' if left == 1 else 'are'} weighed in the other way"
    if weighs:
        return f"{some}, which is few: the points of all scans are weighed by the spectra of their noise{but}"
    return f"{some}: the points of all scans weigh alike, so that trends have no steps where weights change{but}"


def _apart(better: Row, worse: Row) -> tuple[str, ...]:
    """Say that two fits of a scan came to different ends, where they did."""
    value, other = np.array(better["values"]), np.array(worse["values"])
    error = np.array(better["sigmas"])
    told = np.isfinite(error) & (error > 0) & np.isfinite(other) & np.isfinite(value)
    if not (np.abs(value - other)[told] > APART * error[told]).any():
        return ()
    return (
        f"fits from its two neighbours came to different ends (Rw = {better['rw']:.4f} and {worse['rw']:.4f}): "
        "the better is kept, of equally good ones that of the forward fit",
    )
