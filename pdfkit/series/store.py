"""Results of a series on disk: one HDF5 file in NeXus form, which silx and h5web plot, written from the journal.

    entry/                  NXentry; @default leads to the first parameter against the index
      parameters/<name>/    NXdata: value ± value_errors over the index, or over x and y of a map
      quality/<name>/       NXdata: rw, chi2, reduced_chi2, n_independent, nfev, lnz
      table/                names, value and error (scan × parameter) in one piece
      covariance/           covariance (scan × free × free) and the names of what is free
      scans/                label, status and remarks (JSON) of each
      curves/               NXdata, where asked for: observed, calculated (scan × r); r of each where grids differ
      alone/<name>/         NXdata, of fits in which scans share something: what each by itself says
      laws/                 of a parametric fit: names, value, covariance, lnz, and the laws as JSON;
        law <name>/             NXdata: the law ± value_errors over the index
      setting/              the model as JSON, what varied and how

Nothing in it tells when it was made: the same scans give the same bytes. It is written beside and put in place by a
rename, a block of scans at a time.
"""

from __future__ import annotations

import io
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError, ReadError, WriteError
from pdfkit.io._atomic import WRITTEN, AnyPath, own, remedy
from pdfkit.io.hdf5 import Field, Group, read_nexus, versions, write_group
from pdfkit.model import serial
from pdfkit.series.lawfit import LawFit, laws_of, plain_laws
from pdfkit.series.result import NUMBERS, SeriesResult, columns, grids_of, said_of_grids
from pdfkit.series.scans import Axis, Series
from pdfkit.series.stacks import OF_INSTRUMENT
from pdfkit.series.tasks import Row, SeriesProblem, unpacked_array

T = TypeVar("T")

FORMAT, FORMAT_VERSION = "pdfkit series", 1
BLOCK = 512
"""Scans that are in memory at a time."""
DRAWN = 200
"""Points along the index at which a law is written."""
_PACKED = {"compression": "gzip", "shuffle": True, "fletcher32": True}
_UNITS = {"a": "angstrom", "b": "angstrom", "c": "angstrom"}


@dataclass(frozen=True, eq=False)
class Extra:
    """What fits that join scans have besides rows: options, values and errors of scans by themselves, laws."""

    options: Mapping[str, Any] = field(default_factory=dict)
    alone: tuple[Array, Array] | None = None
    laws: LawFit | None = None


@dataclass(frozen=True, eq=False)
class Setting:
    """What was fitted: the problem, all names and the free ones, and how; what is to be said of the whole series."""

    problem: SeriesProblem
    names: tuple[str, ...]
    free: tuple[str, ...]
    how: str
    extra: Extra = field(default_factory=Extra)
    said: tuple[str, ...] = ()

    @property
    def more(self) -> dict[str, Any]:
        """What a result has besides its rows."""
        return {"how": self.how, "model": self.problem.model, "alone": self.extra.alone, "laws": self.extra.laws}


class Rows(Protocol):
    """Rows of a series by position."""

    def __len__(self) -> int: ...

    def row(self, position: int) -> Row:
        """Return one of them."""


def write_series(path: Path, series: Series, setting: Setting, rows: Rows) -> Path:
    """Write the rows of a series and return the path. WriteError where it cannot be; an old file is then unchanged."""
    import h5py

    target = own(path, replace=True)
    temporary = target.parent / f".pdfkit-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with Sink(temporary) as sink, h5py.File(sink, "w", libver=("v108", "v108")) as file:
            Writer(file, series, setting, rows, sink).write()
        temporary.replace(target)
    except OSError as error:
        words = error.strerror or " ".join(str(error).split())[:120]
        raise WriteError(f"{path}: cannot be written ({words}): {remedy(error)}") from None
    finally:
        temporary.unlink(missing_ok=True)
    WRITTEN[str(path)] = None
    return path


class Sink(io.FileIO):
    """A new file that HDF5 writes to, which cannot bear a full disk: writes that fail are kept for the end.

    On leaving it, everything is on disk, or the first failure is raised as OSError.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+b")
        self.failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write all of the data; once that failed, nothing."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.failure is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self.failure is not None:
            raise self.failure

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self.failure is None:
                os.fsync(self.fileno())
        finally:
            super().__exit__(kind, error, at)
        if self.failure is not None:
            raise self.failure from None


@dataclass
class Writer:
    """Writes a file, block by block."""

    file: Any
    series: Series
    setting: Setting
    rows: Rows
    sink: Sink

    def write(self) -> None:
        """Write everything."""
        names, shape = self.setting.names, self.series.shape
        default = f"parameters/{names[0]}" if names else "quality"
        about = {"default": default, "format": FORMAT, "format_version": FORMAT_VERSION}
        members: dict[str, Group | Field] = {
            "title": Field(f"Fits of {len(self.rows)} scans over {', '.join(a.title for a in self.series.axes)}"),
            "versions": versions(),
        }
        write_group(self.file, Group("NXroot", {"entry": Group("NXentry", members, about)}, {"default": "entry"}))
        entry = self.file["entry"]
        pieces = self._tables(entry)
        grids = () if self.setting.how == "windows" else said_of_grids(pieces["grids"])
        said = (*self.series.remarks, *grids, *self.setting.said)
        write_group(entry.create_group("setting"), _setting(self.setting, self.series, said))
        for group, kind in (("parameters", "NXcollection"), ("quality", "NXcollection")):
            entry.create_group(group).attrs["NX_class"] = kind
        for k, name in enumerate(names):
            value, error = pieces["value"][:, k].reshape(shape), pieces["error"][:, k].reshape(shape)
            self._plot(entry["parameters"], name, value, error)
        for name in NUMBERS:
            self._plot(entry["quality"], name, pieces["numbers"][name].reshape(shape))
        if self.setting.extra.alone is not None:
            self._alone(entry.create_group("alone"), *self.setting.extra.alone)
        if self.setting.extra.laws is not None:
            self._laws(entry, self.setting.extra.laws)

    def _alone(self, group: Any, values: Array, errors: Array) -> None:
        """Write what each scan by itself says."""
        group.attrs["NX_class"] = "NXcollection"
        for k, name in enumerate(self.setting.names):
            self._plot(group, name, values[:, k].reshape(self.series.shape), errors[:, k].reshape(self.series.shape))

    def _laws(self, entry: Any, laws: LawFit) -> None:
        """Write the laws, and what they are along the index."""
        about = {"laws": plain_laws(laws.plan), "remarks": laws.remarks, "converged": laws.converged}
        members: dict[str, Group | Field] = {
            "names": Field(list(laws.names)), "value": Field(laws.values), "covariance": Field(laws.covariance),
            "fitted": Field(laws.theta), "spread": Field(laws.spread),
            "lnz": Field(laws.lnz), "common": Field(laws.common), "about": Field(json.dumps(about, ensure_ascii=False)),
        }  # fmt: skip
        write_group(entry.create_group("laws"), Group("NXcollection", members))
        (axis,), t = self.series.axes, np.linspace(laws.plan.t.min(), laws.plan.t.max(), DRAWN)
        word = _word(axis)
        attrs = {"signal": "value", "axes": [word], f"{word}_indices": 0}
        for name in laws.plan.laws:
            value, error = laws.along(name, t)
            index = Field(t, {"units": axis.unit, "long_name": axis.title})
            one = {"title": Field(name), "value": Field(value), "value_errors": Field(error), word: index}
            write_group(entry["laws"].create_group(f"law {name}"), Group("NXdata", one, attrs))

    def _plot(self, group: Any, name: str, value: Array, error: Array | None = None) -> None:
        """Write one NXdata over the axes of the series."""
        axes = self.series.axes
        members: dict[str, Group | Field] = {"title": Field(name), "value": Field(value, {"long_name": name})}
        if error is not None:
            members["value_errors"] = Field(error)
        words = [_word(axis) for axis in axes]
        members |= {
            w: Field(a.values, {"units": a.unit, "long_name": a.title}) for w, a in zip(words, axes, strict=True)
        }
        attrs = {"signal": "value", "axes": words, **{f"{word}_indices": k for k, word in enumerate(words)}}
        write_group(group.create_group(name), Group("NXdata", members, attrs))

    def _tables(self, entry: Any) -> dict[str, Any]:
        """Write what is known of the scans block by block, and return values, errors and numbers."""
        n, names, free = len(self.rows), self.setting.names, self.setting.free
        kept: dict[str, Any] = {"value": np.empty((n, len(names))), "error": np.empty((n, len(names)))}
        kept |= {"numbers": {name: np.empty(n) for name in NUMBERS}, "grids": set()}
        words: dict[str, list[str]] = {"status": [], "remarks": []}
        size = len(free)
        covariance = self.growing(entry, "covariance", {"covariance": (size, size)})
        write_group(entry["covariance"], Group("NXcollection", {"names": Field(list(free))}))
        curves = _Curves(self) if self.setting.problem.curves else None
        for begin, rows in self.blocks():
            self.sink.check()
            table, block = columns(rows, names, free), slice(begin, begin + len(rows))
            kept["value"][block], kept["error"][block] = table["values"], table["sigmas"]
            for name in NUMBERS:
                kept["numbers"][name][block] = table["numbers"][name]
            covariance["covariance"][block] = table["covariances"]
            kept["grids"] |= grids_of(rows)
            words["status"] += table["status"]
            words["remarks"] += [json.dumps(said, ensure_ascii=False) for said in table["remarks"]]
            if curves is not None:
                curves.write(block, rows)
        labels = list(self.series.labels)
        scans = {"label": Field(labels), **{name: Field(column) for name, column in words.items()}}
        write_group(entry.create_group("scans"), Group("NXcollection", scans))
        table = {"names": Field(list(names)), "value": Field(kept["value"]), "error": Field(kept["error"])}
        write_group(entry.create_group("table"), Group("NXcollection", table))
        return kept

    def growing(self, entry: Any, group: str, parts: dict[str, tuple[int, ...]]) -> dict[str, Any]:
        """Make datasets with a row for each scan, to be filled block by block."""
        made = entry.create_group(group)
        n = len(self.rows)
        return {
            name: made.create_dataset(
                name, (n, *shape), dtype="f8", chunks=(min(n, 64), *shape), fillvalue=math.nan, **_PACKED
            )
            for name, shape in parts.items()
        }

    def blocks(self) -> Iterator[tuple[int, list[Row]]]:
        """Yield the rows of some scans at a time, and where they begin."""
        for begin in range(0, len(self.rows), BLOCK):
            yield begin, [self.rows.row(k) for k in range(begin, min(begin + BLOCK, len(self.rows)))]


class _Curves:
    """Curves of all scans: over one r where all have it, else with an r of each, NaN beyond the end of shorter ones."""

    def __init__(self, writer: Writer) -> None:
        grids: dict[tuple[float, ...], tuple[int, str]] = {}
        for begin, rows in writer.blocks():
            for k, row in enumerate(rows, begin):
                if "error" not in row:
                    grids.setdefault(tuple(row["grid"]), (k, row["r"]))
        self.width = max((int(grid[0]) for grid in grids), default=0)
        self.alike = len(grids) == 1
        names = ("observed", "calculated", *(() if self.alike else ("r",)))
        entry = writer.file["entry"]
        self.parts = writer.growing(entry, "curves", dict.fromkeys(names, (self.width,))) if self.width else {}
        if not self.width:
            return
        r = {"r": Field(unpacked_array(next(iter(grids.values()))[1]), {"units": "angstrom"})} if self.alike else {}
        axes = [_word(writer.series.axes[0]), "r"] if self.alike and len(writer.series.axes) == 1 else []
        index = {axes[0]: Field(writer.series.index, {"units": writer.series.unit})} if axes else {}
        attrs: dict[str, Any] = {"signal": "observed", "auxiliary_signals": ["calculated"]}
        attrs |= {"axes": axes} if axes else {}
        attrs |= instrument_of(writer.series.scan(next(iter(grids.values()))[0]).read())
        write_group(entry["curves"], Group("NXdata", {**r, **index}, attrs))

    def write(self, block: slice, rows: Sequence[Row]) -> None:
        """Write the curves of a block."""
        for name, dataset in self.parts.items():
            table = np.full((len(rows), self.width), math.nan)
            for k, row in enumerate(rows):
                if "error" not in row:
                    curve = unpacked_array(row[name])
                    table[k, : curve.size] = curve
            dataset[block] = table


def instrument_of(data: PDF) -> dict[str, Any]:
    """Return what data say of their instrument, as attributes that `read_series` reads."""
    return {name: getattr(data.instrument, name) for name in data.instrument.given if name in OF_INSTRUMENT}


def _word(axis: Axis) -> str:
    """Return the name of an axis as a dataset has it."""
    return (
        axis.name if axis.name not in ("value", "value_errors", "title", "", ".") and "/" not in axis.name else "index"
    )


def _setting(setting: Setting, series: Series, said: tuple[str, ...]) -> Group:
    problem = setting.problem
    about = {
        "free": problem.free, "ties": problem.ties, "bounds": problem.bounds, "rmin": problem.rmin,
        "rmax": problem.rmax, "use_errors": problem.use_errors, "how": setting.how, **setting.extra.options,
    }  # fmt: skip
    members: dict[str, Group | Field] = {
        "model": Field(serial.dumps(problem.model)),
        "options": Field(json.dumps(about)),
        "axes": Field(json.dumps([[axis.name, axis.unit] for axis in series.axes])),
        "remarks": Field(json.dumps(said, ensure_ascii=False)),
    }
    return Group("NXcollection", {**members, **{f"axis_{k}": Field(a.values) for k, a in enumerate(series.axes)}})


# --- reading ---------------------------------------------------------------------------------------------------------

_AGAIN = "fit the series again"


def read_result(path: AnyPath) -> SeriesResult:
    """Return the result in a file; covariances are read when they are asked for.

    Raises ReadError when it is missing, damaged, or no series.
    """
    return _of_file(path, lambda file: _result(file, Path(path)))


def read_covariance(path: Path, position: int) -> Array:
    """Return the covariance (free, free) of one scan."""
    return _of_file(path, lambda file: np.asarray(file["entry/covariance/covariance"][position]))


def read_curves(path: Path) -> tuple[Array, Array, Array]:
    """Return r (m,), observed and calculated G (n, m) of a file. PdfkitError where it has none, or not on one r."""
    return _of_file(path, _read_curves)


def _read_curves(file: Any) -> tuple[Array, Array, Array]:
    r, observed, calculated = _read_each(file)
    if r.ndim > 1:
        raise PdfkitError("the scans have different r: their curves are in the file, each on its own")
    return r, observed, calculated


def has_curves(path: Path) -> bool:
    """Return whether a file keeps curves."""
    return _of_file(path, lambda file: "entry/curves/observed" in file)


def read_each(path: Path) -> list[tuple[Array, Array, Array]]:
    """Return r, observed and calculated G of each scan that was fitted, on r of its own. PdfkitError without curves."""
    r, observed, calculated = _of_file(path, _read_each)
    rows = zip(np.broadcast_to(r, observed.shape), observed, calculated, strict=True)
    known = ((x, y, z, np.isfinite(x) & np.isfinite(y) & np.isfinite(z)) for x, y, z in rows)
    return [(x[at], y[at], z[at]) for x, y, z, at in known if at.any()]


def _read_each(file: Any) -> tuple[Array, Array, Array]:
    if "entry/curves/observed" not in file:
        raise PdfkitError("this result keeps no curves: fit the series with curves=True")
    r, observed, calculated = (np.asarray(file[f"entry/curves/{name}"][()]) for name in ("r", "observed", "calculated"))
    return r, observed, calculated


def _of_file(path: AnyPath, read: Callable[[Any], T]) -> T:
    import h5py

    if not Path(path).is_file():
        read_nexus(path)  # says what is wrong with the name
    try:
        with h5py.File(path, "r", locking=False) as file:
            return read(file)
    except PdfkitError:
        raise
    except Exception as error:  # a damaged file can raise whatever comes along
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ReadError(path, f"this file does not hold a whole series ({reason}): {_AGAIN}") from None


def _result(file: Any, path: Path) -> SeriesResult:
    entry = file["entry"]
    if entry.attrs.get("format") != FORMAT.encode() and entry.attrs.get("format") != FORMAT:
        raise ReadError(path, "not a series of pdfkit: give a file that fit_series wrote")
    known = [tuple(map(str, one)) for one in json.loads(_text(entry["setting/axes"]))]
    axes = tuple(Axis(name, entry[f"setting/axis_{k}"][()], unit) for k, (name, unit) in enumerate(known))
    return SeriesResult(
        axes,
        _texts(entry["scans/label"]),
        _texts(entry["table/names"]),
        _texts(entry["covariance/names"]),
        entry["table/value"][()],
        entry["table/error"][()],
        {name: entry[f"quality/{name}/value"][()].ravel() for name in NUMBERS},
        _texts(entry["scans/status"]),
        tuple(tuple(map(str, json.loads(said))) for said in _texts(entry["scans/remarks"])),
        path=path,
        about=tuple(json.loads(_text(entry["setting/remarks"]))),
        how=str(json.loads(_text(entry["setting/options"]))["how"]),
        model=serial.loads(_text(entry["setting/model"])),
        alone=_alone(entry) if "alone" in entry else None,
        laws=_laws(entry["laws"]) if "laws" in entry else None,
    )


def _alone(entry: Any) -> tuple[Array, Array]:
    """Return what scans by themselves say, values and errors (n, names)."""
    groups = [entry["alone"][name] for name in _texts(entry["table/names"])]
    value, error = (np.column_stack([one[key][()].ravel() for one in groups]) for key in ("value", "value_errors"))
    return value, error


def _laws(group: Any) -> LawFit:
    """Return the laws of a parametric fit."""
    about = json.loads(_text(group["about"]))
    return LawFit(
        plan=laws_of(about["laws"]),
        names=_texts(group["names"]),
        values=group["value"][()],
        covariance=group["covariance"][()],
        theta=group["fitted"][()],
        spread=group["spread"][()],
        lnz=float(group["lnz"][()]),
        common=float(group["common"][()]),
        converged=bool(about["converged"]),
        remarks=tuple(map(str, about["remarks"])),
        measure=None,
    )


def _text(dataset: Any) -> str:
    return str(dataset.asstr()[()])


def _texts(dataset: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in dataset.asstr()[()])
