"""`read_series`: scans from files, patterns, folders, stacks or memory, with their index, none of them read yet."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit import _checks
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, ReadError, remark
from pdfkit.errors import missing as absent
from pdfkit.io.pdf import read_pdf
from pdfkit.screening.settings import check_names
from pdfkit.series import times
from pdfkit.series.index import index_of, names_table, natural
from pdfkit.series.reducing import reduced, reducing
from pdfkit.series.scans import Axis, Files, Held, Series, Source, grid_axes
from pdfkit.series.stacks import axis_called, is_stack, open_stack

ENDINGS = (".gr", ".fgr", ".dat", ".txt")
_OF_INSTRUMENT = ("window_width", "scattering", "anomalous")
_READING = sorted({*signature(read_pdf).parameters} - {"path"} | {one.name for one in fields(Instrument)})
PATTERNS = (".chi", ".iq", ".xy", ".xye", ".dat", ".txt")


def read_series(
    scans: Any,
    *,
    index: Any = None,
    name: str | None = None,
    unit: str | None = None,
    shape: Sequence[int] | None = None,
    sort: bool = True,
    reduce: Mapping[str, Any] | None = None,
    **reading: Any,
) -> Series:
    r"""Return a series of scans, each of which is read when it is asked for.

    Parameters
    ----------
    scans : a pattern such as "run42/*.gr", a folder, files; an HDF5 or NeXus file of scan × r or x × y × r, as
        "stack.h5" or "stack.h5::entry/data"; or PDFs.
    index : of each scan: a key of the headers ("temperature"), a pattern of file names ("{temperature}K", or a regular
        expression with a group), a table that names the files ("log.csv", "log.csv:T"), of a stack another of its
        datasets; or the numbers themselves. None: the axis of a stack, else "number" (0, 1, 2, …).
    name, unit : what the index is, where this does not say it.
    shape : (nx, ny) of a map that comes as files, x the slow one.
    sort : by rising index; False keeps the natural order of the names (scan2 before scan10).
    reduce : for intensities: settings of `pdfkit.reduce`, such as {"composition": "CdS", "qmax": 22}, with
        "background" (a file) and "rmin", "rmax", "rstep" (Å) of G(r). Each pattern is reduced when it is read.
    reading : what `read_pdf` is told of each file: probe, qmax, qdamp, …; and any other number of `Instrument`.

    Scans without an index have NaN and come last; equal ones stay in the order of names; both are remarked.

    Raises
    ------
    PdfkitError : no file matches, or no scan has such an index. ReadError : a stack or table that cannot be read.

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25, qdamp=0.04))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for kelvin in (90, 110, 100):
    ...         _ = pk.write_pdf(f"{folder}/ni_{kelvin}K.gr", model(np.arange(1, 10, 0.02)))  # simulated
    ...     series = pk.read_series(f"{folder}/*.gr", index="{temperature}K")
    ...     print(series, series.index.tolist())
    Series(3 scans over temperature, 90 to 110 K) [90.0, 100.0, 110.0]
    """
    _checks.flag("sort", sort)
    check_names(reading, _READING)
    if isinstance(scans, str | os.PathLike) and is_stack(os.fspath(scans)):
        series = _of_stack(os.fspath(scans), index, reduce, reading)
    elif _holds_pdfs(scans):
        if reading or reduce:
            raise PdfkitError(f"{', '.join([*reading, *['reduce'] * bool(reduce)])} is for files: these are PDFs")
        series = _indexed(Held(tuple(scans)), [pdf.name for pdf in scans], index)
    else:
        paths = _paths(scans, PATTERNS if reduce else ENDINGS)
        series = _indexed(sources(reduce, reading)(paths), paths, index)
    series = _called(series, name, unit)
    said = tuple(remark(text) for text in series.remarks)
    if shape is not None:
        return replace(series, axes=grid_axes(_whole(shape, len(series)), ()), remarks=said)
    return replace(series.sorted() if sort else series, remarks=(*said, *_remarks(series)))


def sources(reduce: Mapping[str, Any] | None, reading: Mapping[str, Any]) -> Callable[[Sequence[str]], Source]:
    """Return what makes scans of files: of intensities where `reduce` says how, else of G(r)."""
    if reduce is not None:
        how = reducing(reduce, reading)
        return lambda paths: reduced(paths, how)
    own = tuple((key, value) for key, value in reading.items() if key in _OF_INSTRUMENT)
    told = tuple((key, value) for key, value in reading.items() if key not in _OF_INSTRUMENT)
    return lambda paths: Files(tuple(paths), told, own)


def _holds_pdfs(scans: Any) -> bool:
    return isinstance(scans, Sequence) and not isinstance(scans, str) and any(isinstance(one, PDF) for one in scans)


def _indexed(source: Source, paths: Sequence[str], index: Any) -> Series:
    axis = index_of(paths, index)
    return replace(Series.numbered(source), axes=(axis,), remarks=axis.remarks)


def _of_stack(file: str, index: Any, reduce: Mapping[str, Any] | None, reading: Mapping[str, Any]) -> Series:
    stack, axes = open_stack(file, {"unit": reduce.get("unit")} if reduce else reading, of="Q" if reduce else "r")
    source: Source = stack if reduce is None else reduced(stack, reducing(reduce, reading))
    if not len(stack):
        raise ReadError(file, f"{stack.signal} has no scans: was any measured?")
    series = replace(Series.numbered(source), remarks=(*stack.remarks, *(word for one in axes for word in one.remarks)))
    if isinstance(index, str) and index != "number" and not names_table(index):
        axes = (axis_called(stack, index),)
        series = replace(series, remarks=(*series.remarks, *axes[0].remarks))
    elif index is not None:
        axes = (index_of([""] * len(series), index),)
        series = replace(series, remarks=(*series.remarks, *axes[0].remarks))
    for axis, n in zip(axes, stack.shape if len(axes) > 1 else (len(stack),) * len(axes), strict=True):
        if axis.values.size != n:
            words = f"{axis.name} has {axis.values.size} values for {n} scans of {stack.signal}"
            raise ReadError(file, f"{words}: correct it, or give the numbers, index=[…]")
    return replace(series, axes=axes or series.axes)


def _called(series: Series, name: str | None, unit: str | None) -> Series:
    """Return a series whose index has the name and unit that were given."""
    if len(series.axes) > 1 or (name is None and unit is None):
        return series
    axis = series.axes[0]
    called, own = name or axis.name, axis.unit if unit is None else unit
    seconds = times.since_1970(called, axis.values, own)
    if seconds is None:
        return replace(series, axes=(Axis(called, axis.values, own),))
    values, _, said = times.elapsed(called, seconds)
    return replace(series, axes=(Axis(called, values, "s"),), remarks=(*series.remarks, said))


def _paths(scans: Any, endings: tuple[str, ...]) -> list[str]:
    """Return the files of a pattern, a folder or a list, in natural order. PdfkitError where there are none."""
    alone = isinstance(scans, str | os.PathLike)
    given = [scans] if alone else list(scans) if np.iterable(scans) else []
    if not all(isinstance(one, str | os.PathLike) for one in given):
        raise PdfkitError("scans are neither files nor PDFs: give a pattern, files, a folder, or a list of PDFs")
    out: list[str] = []
    for one in map(os.fspath, given):
        if Path(one).is_dir():
            found = [str(file) for file in Path(one).iterdir() if file.suffix.lower() in endings]
            missing = f"the folder {one} has no files named {', '.join(endings)}"
        elif glob.has_magic(one) and not Path(one).exists():
            found, missing = glob.glob(_literal(one), recursive=True), f"no file matches {one!r}: check the pattern"  # noqa: PTH207 - a pattern may be absolute
        else:
            found, missing = [one] if Path(one).exists() or not alone else [], f"{one}: {absent(one)}"
        if not found:
            raise PdfkitError(missing, key="files")
        out += sorted(found, key=natural)
    if not out:
        raise PdfkitError("there are no scans: give files, a pattern, a folder or PDFs", key="files")
    return list(dict.fromkeys(out))


def _literal(pattern: str) -> str:
    """Return a pattern in which a folder that exists under its name, brackets and all, means itself."""
    folder, name = os.path.split(pattern)
    return os.path.join(glob.escape(folder), name) if glob.has_magic(folder) and Path(folder).is_dir() else pattern  # noqa: PTH118


def _whole(shape: Sequence[int], count: int) -> tuple[int, ...]:
    out = tuple(int(n) for n in shape)
    if len(out) != 2 or out[0] * out[1] != count:
        raise PdfkitError(f"shape = {out} does not hold {count} scans: give (nx, ny) of the map", key="shape")
    return out


def _remarks(series: Series) -> tuple[str, ...]:
    """Say which scans have no index, and which share one."""
    out = []
    absent = int(np.isnan(series.index).sum())
    if absent:
        labels = [series.scan(int(k)).label for k in np.flatnonzero(np.isnan(series.index))[:3]]
        out.append(remark(f"{absent} of {len(series)} scans have no {series.name} and come last: {', '.join(labels)}"))
    twice = {value: n for value, n in Counter(series.index[np.isfinite(series.index)].tolist()).items() if n > 1}
    if twice:
        value, count = next(iter(twice.items()))
        more = sum(twice.values()) - count
        others = f", and {more} more share theirs with others" if more else ""
        words = f"{count} scans have {series.name} = {value:g}{others}: they stay in the order of their names"
        out.append(remark(words))
    return tuple(out)
