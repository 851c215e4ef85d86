"""Windows of r: one data set fitted over [r0, r0 + w], step by step, so that parameters become functions of r.

A structure that is the same near and far gives the same parameters in every window. Where they change, order has a
range. Windows hold few independent numbers: what those of one window do not determine stays at what all of the data
say, and that is said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._table import aligned, frame, wrapped
from pdfkit.data.curves import PDF
from pdfkit.errors import ParameterError, PdfkitError, WriteError
from pdfkit.fitting.assembly import normal_covariance
from pdfkit.fitting.determined import units
from pdfkit.fitting.least_squares import fit
from pdfkit.fitting.residuals import Residuals
from pdfkit.model.mapping import ParameterMap
from pdfkit.model.model import Model
from pdfkit.model.params import Parameters
from pdfkit.results.problem import FitProblem, PosedData
from pdfkit.results.report import uncertain
from pdfkit.results.result import FitResult
from pdfkit.series.alone import Saved
from pdfkit.series.posed import Progress

if TYPE_CHECKING:
    from pandas import DataFrame

UNTOLD = 0.5
"""Error of a parameter, in units of what it could be at all, from which on a window does not determine it."""
FEWEST = 2.0
"""Independent numbers that a window has to have for each free parameter."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Fits of windows of r as a series, whose index is the middle of each.

    r (W,): middles; ends (W, 2): Å. names (n,): what varies; table, errors (W, n): values and standard errors, NaN for
    the errors of what was held. rw (W,). held: for each window, the parameters that it does not determine, at what
    `whole`, the fit of all of the data, found. failed: number of a window → why it has no fit.

    Example
    -------
    See `fit_windows`.
    """

    r: Array
    ends: Array
    names: tuple[str, ...]
    table: Array
    errors: Array
    rw: Array
    held: tuple[tuple[str, ...], ...]
    failed: dict[int, str]
    whole: FitResult
    seconds: float
    fits: tuple[FitResult | None, ...] = field(repr=False)

    def __getitem__(self, name: str) -> tuple[Array, Array]:
        """Return values (W,) and standard errors (W,) of a parameter."""
        if name not in self.names:
            raise ParameterError(f"no parameter is called {name!r}: there are {', '.join(self.names)}", key=name)
        k = self.names.index(name)
        return self.table[:, k], self.errors[:, k]

    def columns_of(self) -> dict[str, Any]:
        """Return the windows as columns: r, its ends, each parameter and its error, Rw, what was held."""
        out: dict[str, Any] = {"r": self.r, "rmin": self.ends[:, 0], "rmax": self.ends[:, 1]}
        for k, name in enumerate(self.names):
            out |= {name: self.table[:, k], f"{name} error": self.errors[:, k]}
        return {**out, "rw": self.rw, "held": [" ".join(one) for one in self.held]}

    def to_dataframe(self) -> DataFrame:
        """Return the windows as a `pandas.DataFrame`, one a row."""
        return frame(self.columns_of())

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said: windows without a fit, parameters that were held."""
        counts = {name: sum(name in one for one in self.held) for name in self.names}
        said = [
            f"{name} is not determined in {count} of {len(self.r)} windows: there it has the value of all data"
            for name, count in counts.items()
            if count
        ]
        return (*said, *(f"window {k + 1}: {why}" for k, why in self.failed.items()))

    def __str__(self) -> str:
        rows = [("r/Å", *self.names, "Rw")]
        for r, values, errors, rw in zip(self.r, self.table, self.errors, self.rw, strict=True):
            numbers = [uncertain(v, e) if math.isfinite(e) else f"{v:.5g}" for v, e in zip(values, errors, strict=True)]
            rows.append((f"{r:.2f}", *numbers, f"{rw:.4f}"))
        width = float(self.ends[0, 1] - self.ends[0, 0])
        head = f"{len(self.r)} windows of {width:g} Å"
        return "\n".join(
            [head, *aligned(rows, indent="  ", width=math.inf), *(wrapped(one, "  ") for one in self.remarks)]
        )


def fit_windows(
    model: Model,
    data: PDF,
    width: float,
    step: float,
    *,
    free: Iterable[str],
    rmin: float | None = None,
    rmax: float | None = None,
    progress: Progress | None = None,
    saved: Saved | None = None,
    **options: Any,
) -> Windows:
    """Fit a data set over windows [r0, r0 + width], r0 = rmin, rmin + step, …, as far as rmax.

    All of it is fitted first, and the windows from there on, each from where its neighbour ended.

    Parameters
    ----------
    width, step : Å.
    free : what varies. A parameter whose error in a window would be more than half of what it could be at all is held
        there at the value that all of the data give.
    options : ties, bounds, restraints, use_errors, settings, as for `pdfkit.fit`.
    progress : called with (windows done, all). saved : where fits are kept that are finished; None: nowhere.

    Raises
    ------
    PdfkitError : a width that holds too few independent numbers for so many parameters, or goes beyond the data.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> from pdfkit.series.windows import fit_windows
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    >>> r = np.arange(1.5, 30, 0.02)
    >>> noise = np.random.default_rng(0).normal(0, 0.2, r.size)
    >>> data = pk.PDF(r, model(r).G + noise, instrument=model.instrument)  # simulated
    >>> found = fit_windows(model, data, 8.0, 4.0, free=["scale", "a", "Uiso"])
    >>> found.r.tolist(), np.abs(found["ni.a"][0] - 3.524).max() < 0.002
    ([5.5, 9.5, 13.5, 17.5, 21.5, 25.5], True)
    """
    started = time.perf_counter()
    free, saved = _checks.names("free", free), saved or Saved(None, ())
    whole = saved.fit("whole", 0, "", partial(fit, model, data, free=free, rmin=rmin, rmax=rmax, **options))
    ends = _ends(whole, width, step)
    fits: list[FitResult | None] = []
    held: list[tuple[str, ...]] = []
    failed: dict[int, str] = {}
    start = whole.params
    for k, (low, high) in enumerate(ends):
        params, still = _params(whole, start, low, high)
        held.append(still)
        make = partial(fit, model, data, rmin=low, rmax=high, params=params, search="plain", **_rest(options))
        try:
            one = saved.fit("window", k, (float(low), float(high), still, params.valuesdict()), make)
        except WriteError:
            raise
        except PdfkitError as error:
            fits.append(None)
            failed[k] = str(error)
        else:
            fits.append(one)
            start = one.params if one.converged and one.describes else whole.params
        if progress is not None:
            progress(k + 1, len(ends))
    return _windows(ends, whole, fits, held, failed, time.perf_counter() - started)


def _rest(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that parameters do not hold already."""
    return {key: one for key, one in options.items() if key not in ("ties", "bounds", "params", "search")}


def _ends(whole: FitResult, width: float, step: float) -> Array:
    """Return the ends (W, 2) of the windows; PdfkitError where they cannot be."""
    width, step = _checks.number("width", width), _checks.number("step", step)
    first, last = float(whole.data.r[0]), float(whole.data.r[-1])
    if not (width > 0 and step > 0):
        raise PdfkitError(f"width = {width:g} and step = {step:g} Å: give two lengths above 0")
    if first + width > last + 1e-9:
        raise PdfkitError(f"a window of {width:g} Å is wider than the data, {first:g} to {last:g} Å: make it narrower")
    numbers = width * whole.n_independent / (last - first)
    if numbers < FEWEST * len(whole.free):
        raise PdfkitError(
            f"a window of {width:g} Å holds {numbers:.0f} independent numbers, too few for {len(whole.free)} free "
            f"parameters: make it {FEWEST * len(whole.free) * width / numbers:.3g} Å wide, or free less"
        )
    count = math.floor((last - first - width) / step + 1e-9) + 1
    low = first + step * np.arange(count)
    return np.column_stack([low, low + width])


def _params(whole: FitResult, start: Parameters, low: float, high: float) -> tuple[Parameters, tuple[str, ...]]:
    """Return parameters for a window, what it does not determine held at the values of all data; and names of that."""
    params = start.copy()
    still: list[str] = []
    for name in whole.free:
        params[name].vary = True
    problem, size = _window(whole, low, high), _noise(whole)
    while True:
        free = [name for name in whole.free if name not in still]
        for name in still:
            params[name].set(value=float(whole.params[name].value), vary=False)
        residuals = Residuals(problem, ParameterMap.of(_at(params, whole, free)))
        sigma = size * np.sqrt(np.diag(normal_covariance(residuals, residuals.mapping.x0)))
        share = np.where(np.isfinite(sigma), sigma, np.inf) / units(whole.params, residuals.mapping.free_names)
        worst = int(np.argmax(share))
        if share[worst] <= UNTOLD or len(free) == 1:
            return params, tuple(still)
        still.append(residuals.mapping.free_names[worst])


def _at(params: Parameters, whole: FitResult, free: list[str]) -> Parameters:
    """Return parameters at the values of all data."""
    out = params.copy()
    for name in free:
        out[name].value = float(whole.params[name].value)
    return out


def _window(whole: FitResult, low: float | None, high: float | None) -> FitProblem:
    """Return the problem of a window, its noise not known."""
    (one,) = whole.problem.datasets
    settings = replace(whole.problem.settings, noise="given")
    posed = PosedData(one.name, one.model, one.data.crop(low, high), one.begin)
    return replace(whole.problem, datasets=(posed,), settings=settings)


def _noise(whole: FitResult) -> float:
    """Return the size of whitened residuals in the fit of all data."""
    residuals = Residuals(_window(whole, None, None), ParameterMap.of(whole.params))
    if residuals.has_errors:
        return math.sqrt(residuals.count / residuals.independent)
    left = residuals.at(residuals.mapping.x0)
    return math.sqrt(float(left @ left) / residuals.freedom)


def _windows(
    ends: Array,
    whole: FitResult,
    fits: list[FitResult | None],
    held: list[tuple[str, ...]],
    failed: dict[int, str],
    seconds: float,
) -> Windows:
    table, errors = np.full((2, len(fits), len(whole.free)), np.nan)
    for k, one in enumerate(fits):
        if one is not None:
            table[k] = [float(one.params[name].value) for name in whole.free]
            errors[k] = [(one.params[name].stderr if name in one.free else None) or np.nan for name in whole.free]
    return Windows(
        r=ends.mean(axis=1),
        ends=ends,
        names=whole.free,
        table=table,
        errors=errors,
        rw=np.array([np.nan if one is None else one.rw for one in fits]),
        held=tuple(held),
        failed=failed,
        whole=whole,
        seconds=seconds,
        fits=tuple(fits),
    )
