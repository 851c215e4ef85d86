"""What the fits of a series found: values with errors against the index, and the reason where there are none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array
from pdfkit._expressions import matching
from pdfkit._table import aligned, csv_text, frame, wrapped
from pdfkit.errors import ParameterError, PdfkitError, nearest
from pdfkit.series.scans import Axis, Series
from pdfkit.series.tasks import Row, unpacked_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from pdfkit.model.model import Model
    from pdfkit.series.lawfit import LawFit

NUMBERS = ("rw", "chi2", "reduced_chi2", "n_independent", "nfev", "lnz")
STATUS = ("fitted", "not converged", "failed")
SHOWN, MOST = 5, 24  # columns and rows of the printed table


class Column(NamedTuple):
    """One parameter over a series: values (n,) and standard errors (n,), NaN where there are none."""

    values: Array
    errors: Array


@dataclass(frozen=True, eq=False, repr=False)
class SeriesResult:
    """Rows of a series, in its order.

    axes : the index, or x and y of a map. labels : what the scans are called. names : of all that varies or is tied;
    free : of what varies. values, sigmas : (n, names), NaN where a scan failed. numbers : rw, chi2, reduced_chi2,
    n_independent, nfev and lnz (the evidence, with the size of the noise integrated out), (n,) each.
    status : "fitted", "not converged" or "failed". remarks : of each scan; of a failed one the reason.
    path : of the file, where there is one. how : as for `pdfkit.fit_series`. model : that was fitted.
    alone : of fits in which scans share something, values and errors (n, names) of each scan by itself. laws : of a
    parametric fit (`pdfkit.series.lawfit.LawFit`).

    `result["a"]` gives values and errors of the parameter with this ending.

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.03))
    >>> r, cells = np.arange(1.5, 10, 0.02), (3.520, 3.524, 3.528)
    >>> result = pk.fit_series(model, [model.with_values({"ni.a": a})(r) for a in cells], free=["scale", "a"])
    >>> values, errors = result["a"]
    >>> values.round(4).tolist(), result.covariance(0).shape
    ([3.52, 3.524, 3.528], (2, 2))
    """

    axes: tuple[Axis, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    free: tuple[str, ...]
    values: Array
    sigmas: Array
    numbers: dict[str, Array]
    status: tuple[str, ...]
    remarks: tuple[tuple[str, ...], ...]
    covariances: Array | None = None
    path: Path | None = None
    about: tuple[str, ...] = ()
    how: str = ""
    model: Model | None = None
    alone: tuple[Array, Array] | None = None
    laws: LawFit | None = None

    @classmethod
    def of(
        cls,
        series: Series,
        names: Sequence[str],
        free: Sequence[str],
        rows: Sequence[Row],
        said: Iterable[str] = (),
        **more: Any,
    ) -> SeriesResult:
        """Return the rows of a series as columns. said : of the whole series; more : how, model, alone, laws."""
        table = columns(rows, names, free)
        about = (*series.remarks, *(() if more.get("how") == "windows" else said_of_grids(grids_of(rows))), *said)
        return cls(series.axes, series.labels, tuple(names), tuple(free), **table, about=about, **more)

    @classmethod
    def load(cls, path: str | PathLike[str], *, laws: LawFit | None = None) -> SeriesResult:
        """Return what `fit_series` left in a file; ReadError where it is damaged or something else.

        laws : those that are in it, with the noise that they were fitted in, which no file has.
        """
        from pdfkit.series.store import read_result

        found = read_result(path)
        return found if laws is None else replace(found, laws=laws)

    @property
    def index(self) -> Array:
        """The index of every scan (n,); of a map, the numbers of its points."""
        return self.axes[0].values if len(self.axes) == 1 else np.arange(len(self), dtype=np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,), or (nx, ny) of a map."""
        return tuple(axis.values.size for axis in self.axes)

    @property
    def rw(self) -> Array:
        """Rw of every scan (n,)."""
        return self.numbers["rw"]

    @property
    def lnz(self) -> Array:
        """ln of the evidence of the model for every scan (n,); differences compare two models of a scan."""
        return self.numbers["lnz"]

    def __len__(self) -> int:
        return len(self.status)

    def __getitem__(self, name: str) -> Column:
        at = self.place(name)
        return Column(self.values[:, at], self.sigmas[:, at])

    def by_itself(self, name: str) -> Column:
        """Return values and errors of a parameter in fits of each scan by itself; PdfkitError where there are none."""
        if self.alone is None:
            raise PdfkitError("every scan of this result was fitted by itself: result[name] has it")
        at = self.place(name)
        return Column(self.alone[0][:, at], self.alone[1][:, at])

    def fraction(self, phase: str, of: str = "atoms") -> Column:
        """Return the share of a phase in all "atoms", "cells" or "mass" of every scan, with its errors.

        ParameterError for an unknown phase, PdfkitError where the model is not known.
        """
        if self.model is None:
            raise PdfkitError("this result does not know its model: load it from its file")
        scales = [f"{one.name}.scale" for one in self.model.phases]
        if f"{phase}.scale" not in scales:
            raise ParameterError(
                f"no phase is called {phase!r}: there are {', '.join(p.name for p in self.model.phases)}"
            )
        _checks.choice("of", of, ("atoms", "cells", "mass"))
        out = np.full((2, len(self)), math.nan)
        for position in range(len(self)):
            out[:, position] = self._fraction(position, scales)[phase][of] if self._has(position) else math.nan
        return Column(*out)

    def _has(self, position: int) -> bool:
        return bool(np.isfinite(self.values[position]).all())

    def _fraction(self, position: int, scales: list[str]) -> Any:
        from pdfkit.results.derived import phase_fractions

        known = dict(zip(self.names, self.values[position].tolist(), strict=True))
        at = [self.free.index(name) if name in self.free else -1 for name in scales]
        whole, covariance = self.covariance(position), np.zeros((len(scales), len(scales)))
        told = np.flatnonzero(np.array(at) >= 0)
        covariance[np.ix_(told, told)] = whole[np.ix_(*2 * ([at[k] for k in told],))]
        assert self.model is not None
        values = {name: max(known[name], 0.0) for name in scales if name in known}
        return phase_fractions(self.model.with_values(values), covariance)

    def place(self, name: str) -> int:
        """Return where the parameter with this name or ending is; ParameterError for none or several."""
        if not isinstance(name, str):
            raise ParameterError(f"{name!r} is no name of a parameter: these are {', '.join(self.names[:20])}")
        found = matching(self.names, name) if name not in self.names else [name]
        if len(found) != 1:
            words = (
                f"is the ending of several: {', '.join(found)}" if found else f"is none: {nearest(name, self.names)}"
            )
            raise ParameterError(f"{name!r} {words}", key=name)
        return self.names.index(found[0])

    def map(self, name: str) -> Column:
        """Return values and errors of a parameter as (nx, ny)."""
        values, errors = self[name]
        return Column(values.reshape(self.shape), errors.reshape(self.shape))

    def covariance(self, position: int) -> Array:
        """Return the covariance of the free parameters of a scan, NaN where it failed or does not determine them."""
        if self.covariances is not None:
            return np.asarray(self.covariances[position])
        from pdfkit.series.store import read_covariance

        if self.path is None:
            raise PdfkitError("this result keeps no covariances: fit the series with out=")
        return read_covariance(self.path, position)

    def curves(self) -> tuple[Array, Array, Array]:
        """Return r (m,), observed and calculated G (n, m) of fits with curves=True; PdfkitError where r differ."""
        from pdfkit.series.store import read_curves

        if self.path is None:
            raise PdfkitError("this result keeps no curves: fit the series with curves=True and out=")
        return read_curves(self.path)

    def plot(self, *names: str, path: str | PathLike[str] | None = None, width: float | None = None) -> Figure:
        """Plot parameters, by the endings of their names, against the index, or as maps; see `pdfkit.plot.trend`.

        Where they follow laws, points are what each scan says by itself. Without names: the first 8.
        """
        from pdfkit.plot import results_of_series

        return results_of_series.parameters(self, path, names=names, width=width)

    def columns(self) -> dict[str, Any]:
        """Return all columns by name: index, scan, status, parameters and their errors, rw, …, remarks."""
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        out: dict[str, Any] = {axis.name: axis.values[at] for axis, at in zip(self.axes, places, strict=True)}
        out |= {"scan": list(self.labels), "status": list(self.status)}
        for k, name in enumerate(self.names):
            out |= {name: self.values[:, k], f"{name} error": self.sigmas[:, k]}
            if self.alone is not None:
                own, errors = self.alone
                out |= {f"{name} by itself": own[:, k], f"{name} by itself error": errors[:, k]}
        return {**out, **self.numbers, "remarks": ["; ".join(said) for said in self.remarks]}

    def to_dataframe(self) -> DataFrame:
        """Return a `pandas.DataFrame` with a row for each scan; PdfkitError where pandas is not installed."""
        return frame(self.columns())

    def to_xarray(self) -> Any:
        """Return an `xarray.Dataset` over the index, or over x and y; PdfkitError where xarray is not installed."""
        try:
            import xarray
        except ImportError:
            raise PdfkitError(
                "to_xarray needs xarray, which is not installed: pip install xarray, or pdfkit-scattering[xarray]"
            ) from None
        dims = [axis.name for axis in self.axes]
        data = {
            name: (dims, np.asarray(column).reshape(self.shape))
            for name, column in self.columns().items()
            if name not in dims
        }
        return xarray.Dataset(data, {axis.name: axis.values for axis in self.axes})

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write all columns as CSV and return the path; WriteError where it cannot be written."""
        from pdfkit.io._atomic import write_text

        return write_text(path, csv_text(self.columns()))

    def failed(self) -> Iterator[tuple[str, str]]:
        """Yield label and reason of every scan that failed."""
        for label, status, said in zip(self.labels, self.status, self.remarks, strict=True):
            if status == "failed":
                yield label, " ".join(said)

    def __str__(self) -> str:
        laws = [] if self.laws is None else [str(self.laws), ""]
        return "\n".join([*laws, *self._head(), "", *aligned(self._cells(), right=range(1, 99)), *self._tail()])

    def __repr__(self) -> str:
        return f"<SeriesResult {self._head()[0]}>"

    def _head(self) -> list[str]:
        counts = {word: self.status.count(word) for word in STATUS}
        states = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        return [f"{len(self)} scans over {', '.join(axis.title for axis in self.axes)}: {states}"]

    def _cells(self) -> list[list[str]]:
        names, spec = self.free[:SHOWN], telling(self.index)
        table = [[self.axes[0].title if len(self.axes) == 1 else "point", *names, "Rw", "ln Z", ""]]
        for k in _some(len(self)):
            if k < 0:
                table.append(["…"] + [""] * (len(names) + 3))
                continue
            numbers = [shown(self.values[k, self.names.index(n)], self.sigmas[k, self.names.index(n)]) for n in names]
            mark = "" if self.status[k] == "fitted" else self.status[k]
            figures = [_plain(self.rw[k], ".4f"), _plain(self.lnz[k], ".1f")]
            table.append([_plain(self.index[k], spec), *numbers, *figures, mark])
        return table

    def _tail(self) -> list[str]:
        lines = [f"{label}: {why}" for label, why in self.failed()][:5]
        said: dict[str, int] = {}
        for label, status, remarks in zip(self.labels, self.status, self.remarks, strict=True):
            for text in remarks if status != "failed" else ():
                plain = text.removeprefix(f"{Path(label).stem}: ")  # what is true of many is said once
                said[plain] = said.get(plain, 0) + 1
        often = sorted(said.items(), key=lambda one: -one[1])[:5]
        lines += [*self.about, *(f"{text} ({count} of {len(self)} scans)" for text, count in often)]
        more = len(self.free) - SHOWN
        lines += [f"{more} more parameters are in result[name], to_dataframe() and the CSV file"] if more > 0 else []
        return ["", *(wrapped(line) for line in lines)] if lines else []


def telling(index: Array) -> str:
    """Return how numbers are written so that those that differ look different: "g", or with more digits."""
    known = np.unique(index[np.isfinite(index)])
    few = (f".{digits}g" for digits in range(6, 17) if len({f"{one:.{digits}g}" for one in known}) == known.size)
    return next(few, ".17g")


def columns(rows: Sequence[Row], names: Sequence[str], free: Sequence[str]) -> dict[str, Any]:
    """Return rows as arrays: values, sigmas, numbers, status, remarks, covariances (n, free, free)."""
    n, k = len(rows), len(names)
    values, sigmas = np.full((n, k), math.nan), np.full((n, k), math.nan)
    numbers = {name: np.full(n, math.nan) for name in NUMBERS}
    covariances = np.full((n, len(free), len(free)), math.nan)
    place = {name: at for at, name in enumerate(free)}
    for i, row in enumerate(rows):
        if "error" in row:
            continue
        values[i], sigmas[i] = row["values"], row["sigmas"]
        for name, column in numbers.items():
            column[i] = row[name]
        own = [place[name] for name in row["free"] if name in place]
        if len(own) == len(row["free"]):
            covariances[i][np.ix_(own, own)] = unpacked_array(row["covariance"]).reshape(len(own), len(own))
    return {
        "values": values,
        "sigmas": sigmas,
        "numbers": numbers,
        "status": tuple(_status(row) for row in rows),
        "remarks": tuple((row["error"],) if "error" in row else tuple(row["remarks"]) for row in rows),
        "covariances": covariances,
    }


def grids_of(rows: Sequence[Row]) -> set[tuple[float, ...]]:
    """Return the grids of rows that were fitted: number of points, first and last r."""
    return {tuple(row["grid"]) for row in rows if "error" not in row}


def said_of_grids(grids: set[tuple[float, ...]]) -> tuple[str, ...]:
    """Say that scans have different r."""
    if len(grids) < 2:
        return ()
    return (f"the scans have {len(grids)} different r in the fitted range: each was fitted on its own",)


def _status(row: Row) -> str:
    if "error" in row:
        return "failed"
    return "fitted" if row["converged"] else "not converged"


def _some(count: int) -> Iterator[int]:
    """Yield the rows that are printed: all, or the first and last with −1 between them."""
    if count <= MOST:
        yield from range(count)
    else:
        yield from (*range(MOST // 2), -1, *range(count - MOST // 2, count))


def shown(value: float, error: float) -> str:
    """Return a value with its error in the last digits, 3.9123(4)."""
    if not math.isfinite(value):
        return ""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.5g}"
    digits = min(9, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f}({round(error * 10**digits):d})"


def _plain(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else ""
