"""Fits of single scans of which all scans are fitted: what is kept of each, and the journal of a run that was killed.

What a fit of all scans needs of each one are numbers: parameters and errors, the spectrum of its noise, and how good it
was. They are lines of the journal, from which scans are posed again: fresh ones, too, so that a run that goes on ends
where one ends that was never stopped. The step that joins them fits no scan, and is made anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pdfkit.data.curves import PDF
from pdfkit.data.spectrum import NoiseSpectrum
from pdfkit.errors import ParameterError, PdfkitError
from pdfkit.fitting.posing import Posed
from pdfkit.fitting.prepared import PreparedFit
from pdfkit.model.params import Parameters
from pdfkit.results.problem import FitProblem, PosedData
from pdfkit.results.result import FitResult
from pdfkit.series.log import Log
from pdfkit.series.scans import Series
from pdfkit.series.tasks import Row, packed_array, unpacked_array

Start = Mapping[str, float] | None


@dataclass(frozen=True, eq=False)
class Alone:
    """A fit of one scan: what was asked, parameters with what it found, which were free, Rw; whether it converged and
    describes the data.
    """

    problem: FitProblem
    params: Parameters
    free: tuple[str, ...]
    rw: float
    converged: bool
    describes: bool


class Kept:
    """Fits of single scans that are finished, in memory or in a journal; a context manager.

    path : of the journal, None for none. about : all that they depend on but scans and starts. series : of which the
    scans are told apart by their stamps.

    Raises what `Log` raises.
    """

    def __init__(self, path: Path | None, about: object, series: Series | None, *, resume: bool = True) -> None:
        digest = hashlib.sha256(repr(about).encode()).hexdigest()[:32]
        self._log, self._series = Log(path, digest, resume=resume, whole=_whole), series
        self._base: Parameters | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._log.__exit__(kind, error, at)

    def fit(self, prepared: PreparedFit, data: PDF, number: int, start: Start, stage: str = "alone") -> Alone:
        """Return the fit of a scan from a start (None: the model's), made now where it is not known.

        PdfkitError where it is impossible, now or then.
        """
        stamp = self._stamp(number, start)
        if not self._log.has(stage, number, stamp, 1):
            self._log.add(stage, [(number, stamp, [_row(prepared, data, start)])])
        row = self._log.row((stage, number, 0))
        if "error" in row:
            raise (ParameterError if row.get("parameter") else PdfkitError)(row["error"], key=row.get("key"))
        return self._restored(prepared, data, row)

    def _stamp(self, number: int, start: Start) -> str:
        of = "" if self._series is None else self._series.scan(number).stamp()
        about = (of, None if start is None else sorted((name, float(value)) for name, value in start.items()))
        return hashlib.sha256(repr(about).encode()).hexdigest()[:24]

    def _restored(self, prepared: PreparedFit, data: PDF, row: Row) -> Alone:
        if self._base is None:
            self._base = Posed.of(prepared.model, data, **prepared.options).params
        params = self._base.copy()
        for name, (value, sigma) in row["alone"].items():
            if not params[name].expr:
                params[name].set(value=value)
            params[name].stderr = sigma
        problem, _ = prepared.range.problem(prepared.model, data)
        (one,), values = problem.datasets, params.valuesdict()
        model = one.model.with_values({name: values[name] for name in one.model.names if name in values})
        noise = row["noise"] and NoiseSpectrum(
            unpacked_array(row["noise"]["Q"]), unpacked_array(row["noise"]["power"]), *row["noise"]["about"]
        )
        posed = PosedData(one.name, model, one.data, one.start, noise=noise or None, whole=one.whole)
        problem, free = replace(problem, datasets=(posed,)), tuple(row["free"])
        return Alone(problem, params, free, row["rw"], row["converged"], row["describes"])


class Saved:
    """Fits that are kept whole, in files of results beside a journal that says which are finished; a context manager.

    path : of the journal, None for none; files are in the folder `windows` beside it. about : all that every fit
    depends on. Raises what `Log` raises.
    """

    def __init__(self, path: Path | None, about: object, *, resume: bool = True) -> None:
        digest = hashlib.sha256(repr(about).encode()).hexdigest()[:32]
        self._log = Log(path, digest, resume=resume, whole=_names_file)
        self._folder = None if path is None else path.parent / "windows"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._log.__exit__(kind, error, at)

    def fit(self, stage: str, number: int, about: object, make: Callable[[], FitResult]) -> FitResult:
        """Return a fit that depends on `about`, made now where it is not known. PdfkitError where it is impossible."""
        if self._folder is None:
            return make()
        stamp = hashlib.sha256(repr(about).encode()).hexdigest()[:24]
        path = self._folder / f"{stage}-{number:04d}.h5"
        if not (
            self._log.has(stage, number, stamp, 1) and (path.exists() or "error" in self._log.row((stage, number, 0)))
        ):
            self._log.add(stage, [(number, stamp, [_saved(path, make)])])
        row = self._log.row((stage, number, 0))
        if "error" in row:
            raise PdfkitError(row["error"])
        from pdfkit.results.saving import load_result

        return load_result(path)


def _saved(path: Path, make: Callable[[], FitResult]) -> Row:
    """Make a fit and save it; return what the journal says of it."""
    try:
        found = make()
    except PdfkitError as error:
        return {"error": str(error)}
    path.parent.mkdir(exist_ok=True)
    return {"saved": found.save(path).name}


def _names_file(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("error", row.get("saved")), str)


def _row(prepared: PreparedFit, data: PDF, start: Start) -> Row:
    """Fit a scan and return what is kept of it, or why there is nothing."""
    try:
        found = prepared.fit(data, start)
    except PdfkitError as error:
        return {"error": str(error), "parameter": isinstance(error, ParameterError), "key": error.key}
    return _kept(found)


def _kept(found: FitResult) -> Row:
    params = {
        name: [float(par.value), None if par.stderr is None else float(par.stderr)]
        for name, par in found.params.items()
    }
    noise: NoiseSpectrum | None = found.datasets[0].noise
    about = None if noise is None else {
        "Q": packed_array(noise.Q), "power": packed_array(noise.power),
        "about": [float(noise.stiffness), bool(noise.shaped), bool(noise.weighs)],
    }  # fmt: skip
    return {
        "alone": params, "free": list(found.free), "noise": about, "rw": float(found.rw),
        "converged": bool(found.converged), "describes": bool(found.describes),
    }  # fmt: skip


def _whole(row: Any) -> bool:
    """Return whether a row is one that such a fit leaves."""
    if not isinstance(row, dict):
        return False
    if "error" in row:
        return isinstance(row["error"], str)
    pairs = [pair for pair in row["alone"].values() if len(pair) == 2 and isinstance(pair[0], float)]
    if row["noise"] is not None:
        sizes = {unpacked_array(row["noise"][name]).size for name in ("Q", "power")}
        if len(sizes) != 1 or len(row["noise"]["about"]) != 3:
            return False
    flags = isinstance(row["converged"], bool) and isinstance(row["describes"], bool)
    return len(pairs) == len(row["alone"]) and flags and isinstance(row["rw"], float)
