"""Scans of a series as least-squares problems: fitted one by one, then as functions of their parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from pdfkit._checks import Array, IntArray
from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import ParameterError, PdfkitError, WriteError
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.fitting.residuals import Residuals
from pdfkit.fitting.reweighing import noise_waves
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.model import Model
from pdfkit.results.problem import PosedData
from pdfkit.results.result import FitResult
from pdfkit.series.alone import Alone
from pdfkit.series.scans import Series

Progress = Callable[[int, int], None]
Fitted = Alone | FitResult
T = TypeVar("T", Alone, FitResult)


COMMON = 0.1
"""Correlation of the residuals of different scans from which on what all miss alike is taken out of them."""


@dataclass(frozen=True, eq=False)
class Measure:
    """What misfits of scans are measured by: spectra of the noise, sizes (S,) of whitened residuals that count as one
    error, and what the model misses in all scans alike (m,), None where that is nothing or points differ.
    """

    noises: tuple[NoiseSpectrum | None, ...]
    sizes: Array
    missed: Array | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PosedScan:
    """A scan as a function of its parameters x (n,): its own, then those that laws lead.

    order (n,): where these are among the free ones of the residuals. size: of whitened residuals in units of the noise.
    missed: what is taken out of the residual because all scans have it.
    """

    residuals: Residuals
    order: IntArray
    size: float = 1.0
    missed: Array | None = None

    def triangle(self, x: Array) -> Array:
        """Return the triangular factor (n + 1, n + 1) of [J, f] in units of the noise."""
        rows = self.residuals.system(self._free(x))[np.append(self.order, -1)]
        return Residuals.factor(np.ascontiguousarray(rows)) / self.size

    def _free(self, x: Array) -> Array:
        out = np.empty(x.size)
        out[self.order] = x
        return out

    def waves(self, x: Array) -> Array:
        """Return the noise of Jᵀf, a root (n, q) of its covariance: equal columns are equal noise in every scan.

        With nothing known of its spectrum it is that of whitened residuals of size 1.
        """
        (one,) = self.residuals.sets
        slopes = self.residuals.last_curves(self._free(x))[0][1][self.order]
        if one.posed.noise is None:
            return one.rows(one.target, slopes)[:-1] / self.size
        return noise_waves(one, slopes) / self.size**2

    def misfit(self, x: Array) -> Array:
        """Return G_calc − G_obs (m,) at the points that are fitted."""
        (one,), ((G, _),) = self.residuals.sets, self.residuals.last_curves(self._free(x))
        return G - one.target + (0.0 if self.missed is None else self.missed)

    def rw(self, x: Array) -> float:
        """Return Rw, all points alike."""
        target = self.residuals.sets[0].target - (0.0 if self.missed is None else self.missed)
        return float(np.linalg.norm(self.misfit(x)) / np.linalg.norm(target))

    def without(self, missed: Array | None) -> PosedScan:
        """Return the scan with what all scans miss alike taken out of the residual."""
        if missed is None:
            return self
        sets = [replace(one, target=one.target + missed) for one in self.residuals.sets]
        return replace(self, residuals=self.residuals.with_sets(sets), missed=missed)

    @property
    def limits(self) -> Array:
        """Lowest and highest values (n, 2)."""
        return limits_of(self.residuals, self.order)


def limits_of(residuals: Residuals, order: IntArray) -> Array:
    """Return the lowest and highest values (n, 2) of free parameters in another order."""
    mapping = residuals.mapping
    return np.column_stack([mapping.low, mapping.high])[order]


def one_by_one(
    model: Model, scans: Iterable[PDF], free: Sequence[str], progress: Progress | None = None, **options: Any
) -> list[FitResult]:
    """Return plain fits of each scan, every one from where the one before ended.

    options : ranges, bounds, ties, ... as for `pdfkit.fit`. PdfkitError that names the scan where a fit is impossible.
    """
    fits = []
    for k, (pdf, found) in enumerate(in_turn(model, scans, free, progress, _fit, **options)):
        if isinstance(found, PdfkitError):
            raise named(k, pdf, found) from None
        fits.append(found)
    return fits


def _fit(prepared: PreparedFit, pdf: PDF, number: int, start: Mapping[str, float] | None) -> FitResult:
    return prepared.fit(pdf, start)


def in_turn(
    model: Model,
    scans: Iterable[PDF],
    free: Sequence[str],
    progress: Progress | None,
    fit: Callable[[PreparedFit, PDF, int, Mapping[str, float] | None], T],
    **options: Any,
) -> Iterator[tuple[PDF | None, T | PdfkitError]]:
    """Yield each scan with its plain fit, from where the one before ended, or with the reason why there is none.

    fit : what fits a scan of a number from a start; it may look up what was fitted before.
    """
    start: Mapping[str, float] | None = None
    prepared: PreparedFit | None = None
    for k, pdf in enumerate(readings(scans)):
        if isinstance(pdf, PdfkitError):
            yield None, pdf
            continue
        if not isinstance(pdf, PDF):
            raise PdfkitError(f"scan {k + 1} is of type {type(pdf).__name__}: read it with pdfkit.read_pdf")
        try:
            prepared = prepared or PreparedFit.of(model, pdf, free=free, **options)
            found = fit(prepared, pdf, k, start)
        except WriteError:  # of the journal: it is no fault of the scan
            raise
        except PdfkitError as error:
            yield pdf, error
        else:
            start = found.params.valuesdict() if found.describes else start
            yield pdf, found
        if progress is not None:
            progress(k + 1, len(scans) if isinstance(scans, Sized) else k + 1)


def named(number: int, pdf: PDF | None, error: PdfkitError) -> PdfkitError:
    """Return the error with the scan that it is about."""
    kind = ParameterError if isinstance(error, ParameterError) else PdfkitError
    name = "" if pdf is None or not pdf.name else f" ({pdf.name})"
    return kind(f"scan {number + 1}{name}: {error}", key=error.key)


def readings(scans: Iterable[Any]) -> Iterator[Any]:
    """Yield scans one after the other; of a series, the reason in place of one that cannot be read."""
    if not isinstance(scans, Series):
        yield from scans
        return
    for position in range(len(scans)):
        try:
            yield scans[position]
        except PdfkitError as error:
            yield error


@dataclass(frozen=True, eq=False)
class Lean:
    """A scan that takes little room: what it shares with others, its data, and all parameters where its fit ended.

    What makes it a `PosedScan`, with its size and what all scans miss, is made whenever it is asked for something.
    """

    residuals: Residuals
    order: IntArray
    posed: PosedData
    start: Array
    size: float = 1.0
    missed: Array | None = None

    @property
    def limits(self) -> Array:
        """Lowest and highest values (n, 2)."""
        return limits_of(self.residuals, self.order)

    def scan(self) -> PosedScan:
        """Return it ready to be evaluated."""
        made = PosedScan(self.residuals.of_data([self.posed], self.start), self.order, self.size)
        return made.without(self.missed)

    def triangle(self, x: Array) -> Array:
        """Return the triangular factor (n + 1, n + 1) of [J, f] in units of the noise."""
        return self.scan().triangle(x)

    def with_noise(self, noise: NoiseSpectrum | None) -> Lean:
        """Return it with another spectrum of its noise."""
        return replace(self, posed=replace(self.posed, noise=noise))

    def calculated(self, x: Array) -> Array:
        """Return G_calc (m,) on all points of the data in range."""
        mapping, free = replace(self.residuals.mapping, start=self.start), np.empty(x.size)
        free[self.order] = x
        values = mapping(free)[0][self.residuals.rows[0]]
        return self.posed.model.evaluator(self.posed.data.r, self.posed.start)(values)[0]


@dataclass(frozen=True, eq=False)
class Template:
    """What scans of the same points and instrument share: residuals of one of them, and the order of the parameters."""

    own: Sequence[str]
    led: Sequence[str]
    made: dict[Any, tuple[Residuals, IntArray]] = field(default_factory=dict)

    def lean(self, result: Fitted) -> Lean:
        """Return what is to be kept of a fit, in the spectrum of its noise."""
        residuals, order = self._shared(result)
        (one,), (first,) = result.problem.datasets, residuals.sets
        posed = PosedData(one.name, first.model, one.data, one.begin, noise=one.noise)
        start = np.array([float(result.params[name].value) for name in residuals.mapping.names])
        return Lean(residuals, order, posed, start)

    def _shared(self, result: Fitted) -> tuple[Residuals, IntArray]:
        (one,) = result.problem.datasets
        data, about = one.data, result.problem.settings.errors
        key = (data.r.tobytes(), one.model.instrument, data.dG is None, data.cov is None, one.begin, about)
        if key not in self.made:
            self.made[key] = self._residuals(result)
        return self.made[key]

    def _residuals(self, result: Fitted) -> tuple[Residuals, IntArray]:
        params = result.params.copy()
        for name in (*self.own, *self.led):
            if params[name].expr:
                raise ParameterError(f"{name} is tied to {params[name].expr}: leave out the tie, or the law", key=name)
            params[name].vary = True
        residuals = Residuals(result.problem, ParameterMap.of(params))
        names = residuals.mapping.free_names
        return residuals, np.array([names.index(name) for name in (*self.own, *self.led)])


def posed(scans: Sequence[Lean], x: Sequence[Array], known: Measure | None = None) -> tuple[list[Lean], Measure]:
    """Return scans whose fits ended at x, measured by what is known, or by what these fits show; and that measure."""
    measure = known or measured(scans, x)
    parts = zip(scans, measure.noises, measure.sizes.tolist(), strict=True)
    made = [replace(scan.with_noise(noise), size=size, missed=measure.missed) for scan, noise, size in parts]
    return made, measure


def measured(scans: Sequence[Lean], x: Sequence[Array]) -> Measure:
    """Return what misfits of scans are measured by, from fits of each that may be of different models and ended at x.

    Where residuals are alike in all scans, the model misses something: that is no noise of scans, and what is left
    without it is their measure. Spectra weigh points only where all residuals are noise: scans that are weighed
    differently differ by the weights as well.
    """
    noises = [scan.posed.noise for scan in scans]
    rows = misfits(scans, x)
    common = correlation(rows)
    wrong = sum(noise is not None and not noise.weighs for noise in noises)
    said: tuple[str, ...] = ()
    if common > COMMON or wrong:
        noises = [None if noise is None else replace(noise, weighs=False) for noise in noises]
    missed = rows.mean(axis=0) if common > COMMON and rows is not None else None
    if missed is not None:
        said = (
            f"residuals of different scans have a correlation of {common:.2f}: what the model misses in all of them is "
            "in the errors of values, and hardly in those of differences along the series, nor in ln Z",
        )
    elif wrong:
        said = (f"the residuals of {wrong} of {len(scans)} scans are no noise: points of all scans weigh alike",)
    parts = zip(scans, noises, x, strict=True)
    sizes = [size_of(replace(scan.with_noise(noise), missed=missed).scan(), row) for scan, noise, row in parts]
    return Measure(tuple(noises), np.array(sizes), missed, said)


def size_of(scan: PosedScan, x: Array) -> float:
    """Return the size of whitened residuals that counts as one error at x, where a fit of the scan alone ended."""
    residuals, (one,) = scan.residuals, scan.residuals.sets
    weighed = one.posed.noise is not None and one.posed.noise.weighs
    if weighed or (one.posed.noise is None and residuals.has_errors):
        return math.sqrt(residuals.count / residuals.independent)
    square = float(np.sum(scan.triangle(x)[:, -1] ** 2))
    return math.sqrt(max(square, 1e-20 * residuals.norm2()) / residuals.freedom)


def correlation(rows: Array | None) -> float:
    """Return the mean correlation of two rows of residuals (S, m), 0 where they cannot be compared."""
    if rows is None or len(rows) < 2 or not rows.any(axis=1).all():
        return 0.0
    count = len(rows)
    whole = np.sum(rows / np.linalg.norm(rows, axis=1)[:, None], axis=0)
    return float(np.clip((whole @ whole - count) / (count * (count - 1)), 0.0, 1.0))


def values(result: Fitted, own: Sequence[str], led: Sequence[str]) -> Array:
    """Return the parameters (n,) that a fit found: own ones, then led ones."""
    return np.array([float(result.params[name].value) for name in (*own, *led)])


def errors(result: Fitted, own: Sequence[str], led: Sequence[str]) -> Array:
    """Return the standard errors (n,) that a fit found, NaN where there are none."""
    return np.array([result.params[name].stderr or math.nan for name in (*own, *led)])


def tables(scans: Sequence[Lean]) -> Array:
    """Return limits (n, 2) that hold in all scans."""
    each = np.array([one.limits for one in scans])
    return np.column_stack([each[:, :, 0].min(axis=0), each[:, :, 1].max(axis=0)])


def misfits(scans: Sequence[Lean], x: Sequence[Array] | Array) -> Array | None:
    """Return residuals (S, m) of scans at x (S, n); None where these have different points."""
    made = (scan.scan() for scan in scans)
    each = [(one.residuals.sets[0].evaluate.r, one.misfit(row)) for one, row in zip(made, x, strict=True)]
    first = each[0][0]
    same = all(r.size == first.size and np.array_equal(r, first) for r, _ in each)
    return np.array([row for _, row in each]) if same else None


Bounds = Mapping[str, tuple[float | None, float | None]]
