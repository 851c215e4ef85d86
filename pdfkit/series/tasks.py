"""What is done to scans, in whatever process: chains of fits, each from where the one before ended, and what is kept.

A chain of one scan is a fit by itself. All results are `Row`s of plain numbers and words, which JSON has. The problem
travels as bytes that a process unpacks once, whatever the number of its chains.
"""

from __future__ import annotations

import base64
import hashlib
import math
import pickle
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit._machine import one_thread
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, heard, unwarned
from pdfkit.fitting.least_squares import fit, parameters
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.fitting.rows import FitRow
from pdfkit.model import serial
from pdfkit.model.model import Model
from pdfkit.model.params import apply_choices
from pdfkit.results.problem import FitSettings
from pdfkit.series.scans import Scan

Row = dict[str, Any]
"""What is kept of a scan: {"error": why} or values, sigmas (in the order of the problem's names), rw, lnz, remarks…"""
Start = Mapping[str, float]

VERSION = 2


@dataclass(frozen=True, eq=False)
class SeriesProblem:
    """How every scan is fitted; parameters as for `pdfkit.fit`. curves: keep data and fit of each."""

    model: Model
    free: tuple[str, ...]
    rmin: float | None = None
    rmax: float | None = None
    ties: Mapping[str, str | float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    restraints: tuple[Any, ...] = ()
    use_errors: bool = True
    settings: FitSettings = field(default_factory=FitSettings)
    variables: Mapping[str, float] = field(default_factory=dict)
    curves: bool = False

    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of all that varies or follows, and of what varies. ParameterError for unknown names."""
        params = self._own() or parameters(self.model)
        apply_choices(params, self.free, self.ties, self.bounds)
        moving = tuple(name for name, par in params.items() if par.vary or par.expr)
        return moving, tuple(name for name in moving if params[name].vary)

    def options(self) -> dict[str, Any]:
        """Return the keywords of a fit."""
        names = ("free", "rmin", "rmax", "ties", "bounds", "restraints", "use_errors", "settings")
        return {name: getattr(self, name) for name in names} | {"params": self._own()}

    def _own(self) -> Any:
        """Return the parameters with those of the fit alone, None where there are none."""
        if not self.variables:
            return None
        params = parameters(self.model)
        for name, value in self.variables.items():
            params.add(name, value=value, vary=False)
        return params

    def digest(self) -> str:
        """Return a hash of all that a fit depends on but the data."""
        about = [
            VERSION, self.free, self.rmin, self.rmax, sorted(self.ties.items()), sorted(self.bounds.items()),
            self.use_errors, repr(self.settings), sorted(self.variables.items()), self.curves,
            serial.dumps(self.model), serial.dumps(list(self.restraints)),
        ]  # fmt: skip
        return hashlib.sha256(repr(about).encode()).hexdigest()[:32]

    def packed(self) -> Packed:
        """Return the problem for other processes. PdfkitError where it cannot travel."""
        try:
            data = pickle.dumps(self)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise PdfkitError(
                f"the model cannot be sent to other processes ({error}): define its parts in a module"
            ) from None
        return Packed(hashlib.sha256(data).hexdigest(), data)


@dataclass(frozen=True, eq=False)
class Packed:
    """A problem as bytes, and what it is known by."""

    key: str
    data: bytes


@dataclass(frozen=True, eq=False)
class Chain:
    """Scans to fit one after the other, the first from `start` (None: from the model, with `search`).

    weighs : whether spectra of noise weigh points; None: where residuals are noise. It counts for fits from a start.
    """

    scans: tuple[Scan, ...]
    start: tuple[tuple[str, float], ...] | None = None
    search: str = "plain"
    weighs: bool | None = None

    @cached_property
    def stamp(self) -> str:
        """A hash of what the results depend on but the problem, as it is when it is first asked for."""
        about = [self.search, self.start, self.weighs, [scan.stamp() for scan in self.scans]]
        return hashlib.sha256(repr(about).encode()).hexdigest()[:24]


_MADE = threading.local()
_KEPT = 2  # problems that a thread remembers


@dataclass(eq=False)
class Fitter:
    """A problem where it is worked on: prepared when the first scan comes, for all that follow in this thread."""

    problem: SeriesProblem
    names: tuple[str, ...]
    free: tuple[str, ...]
    prepared: PreparedFit | None = None
    weighs: bool | None = None

    def row(self, data: PDF, start: Start | None, search: str) -> FitRow:
        """Fit a scan from values of a neighbour, or from the model."""
        curves = self.problem.curves
        if start is None and search != "plain":
            return FitRow.of(fit(self.problem.model, data, search=search, **self.problem.options()), curves=curves)
        if self.prepared is None:
            self.prepared = PreparedFit.of(self.problem.model, data, **self.problem.options())
        return self.prepared.row(data, start, curves=curves, weighs=self.weighs)


def _unpacked(packed: Packed) -> Fitter:
    """Return the problem, made once in each thread."""
    known: dict[str, Fitter] = _MADE.__dict__.setdefault("problems", {})
    if packed.key not in known:
        while len(known) >= _KEPT:
            known.pop(next(iter(known)))
        problem: SeriesProblem = pickle.loads(packed.data)  # what this program packed itself
        known[packed.key] = Fitter(problem, *problem.names())
    return known[packed.key]


def run_chains(packed: Packed, chains: Sequence[Chain]) -> list[list[Row]]:
    """Return the rows of each chain. A scan that fails has an "error"; the next begins where a good one ended."""
    fitter = _unpacked(packed)
    with one_thread():
        return [_chained(fitter, chain) for chain in chains]


def _chained(fitter: Fitter, chain: Chain) -> list[Row]:
    start = None if chain.start is None else dict(chain.start)
    fitter.weighs, rows = chain.weighs, []
    for scan in chain.scans:
        row = guarded(fitter, scan, start, chain.search)
        if (ended := values_of(row, fitter.names, fitter.free)) is not None:
            start = ended
        rows.append(row)
    return rows


def values_of(row: Row, names: Sequence[str], free: Iterable[str]) -> dict[str, float] | None:
    """Return the free values of a row, where others may start; None for a scan that failed or led nowhere."""
    if "error" in row or not row["converged"]:
        return None
    known = dict(zip(names, row["values"], strict=True))
    return {name: known[name] for name in free if math.isfinite(known[name])}


def guarded(fitter: Fitter, scan: Scan, start: Start | None, search: str) -> Row:
    """Return the row of a scan, or why there is none."""
    try:
        with heard(), np.errstate(all="ignore"):  # it is in the remarks
            return fitted(fitter, scan.read(), start, search)
    except PdfkitError as error:
        return {"error": " ".join(str(error).split())}
    except MemoryError:
        return {"error": "not enough memory: run fewer workers, or leave it out"}
    except Exception as error:  # whatever a strange scan sets off: the others go on
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def fitted(fitter: Fitter, data: PDF, start: Start | None, search: str) -> Row:
    """Return the row of a scan. PdfkitError where it cannot be fitted."""
    return row_of(fitter.row(data, start, search), fitter.names)


def row_of(found: FitRow, names: Sequence[str]) -> Row:
    """Return what is kept of a fit, parameters in the order of names."""
    row: Row = {
        "values": [float(found.all_values.get(name, math.nan)) for name in names],
        "sigmas": [found.all_errors.get(name, math.nan) for name in names],
        "free": list(found.free),
        "covariance": packed_array(found.covariance),
        "rw": found.rw,
        "chi2": found.chi2,
        "reduced_chi2": found.reduced_chi2,
        "n_independent": found.n_independent,
        "nfev": found.nfev,
        "lnz": found.lnz,
        "weighs": found.weighs,
        "converged": found.converged,
        "errors_from": found.errors_from,
        "remarks": [*([] if found.converged else [found.message]), *found.remarks],
        "grid": list(found.grid),
    }
    for data, calc in found.curves.values():
        row |= {"r": packed_array(data.r), "observed": packed_array(data.G), "calculated": packed_array(calc.G)}
    return row


def packed_array(values: Array) -> str:
    """Return numbers as text, to the last bit."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def unpacked_array(text: str) -> Array:
    """Return the numbers (n,) of `packed_array`; ValueError where it is damaged."""
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)


def warm_up(packed: Packed) -> bool:
    """Load kernels and tables of a fresh process, with a curve that means nothing."""
    problem = _unpacked(packed).problem
    with np.errstate(all="ignore"), unwarned():
        problem.model.evaluator(np.arange(2.0, 4.0, 0.02))(problem.model.values)
    return True
