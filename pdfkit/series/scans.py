"""A series as a value: scans that are read when they are asked for, and the index that each of them has.

What scans are read from is a `Source`: files, rows of an HDF5 stack (`stacks`), or PDFs in memory. A single scan of it,
a `Scan`, is small and travels to worker processes, which read it themselves.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np

from pdfkit import _checks
from pdfkit._checks import Array, IntArray
from pdfkit._table import facts
from pdfkit.data.curves import PDF
from pdfkit.errors import PdfkitError
from pdfkit.io.pdf import read_pdf


class Scan(Protocol):
    """One scan: what it is called, what tells it from one that was changed, and how it is read."""

    @property
    def label(self) -> str:
        """A short name."""

    def stamp(self) -> str:
        """Return a word that changes with the data, without reading them."""

    def read(self) -> PDF:
        """Return the data; PdfkitError where they cannot be had."""


class Source(Protocol):
    """Scans by their number."""

    def __len__(self) -> int: ...

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""


@dataclass(frozen=True)
class FileScan:
    """A G(r) in a text file, and what its reader is told."""

    path: str
    options: tuple[tuple[str, Any], ...] = ()
    instrument: tuple[tuple[str, Any], ...] = ()
    """What of the instrument no reader asks for."""

    @property
    def label(self) -> str:
        """The name of the file."""
        return Path(self.path).name

    def stamp(self) -> str:
        """Return which file this is, its size and time, and what its reader is told."""
        return f"{named_stamp(self.path)} {sorted(self.options)!r} {sorted(self.instrument)!r}"

    def read(self) -> PDF:
        """Return the data."""
        pdf = read_pdf(self.path, **dict(self.options))
        if not self.instrument:
            return pdf
        known = dict(self.instrument)
        given = tuple(dict.fromkeys((*pdf.instrument.given, *known)))
        return replace(pdf, instrument=replace(pdf.instrument, **known, given=given))


@dataclass(frozen=True)
class Files:
    """Text files, one scan each."""

    paths: tuple[str, ...]
    options: tuple[tuple[str, Any], ...] = ()
    instrument: tuple[tuple[str, Any], ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""
        return FileScan(self.paths[number], self.options, self.instrument)


@dataclass(frozen=True, eq=False)
class HeldScan:
    """A PDF in memory."""

    pdf: PDF
    label: str

    def stamp(self) -> str:
        """Return a hash of the curve."""
        out = hashlib.sha256(repr(self.pdf.instrument).encode())
        for curve in (self.pdf.r, self.pdf.G, self.pdf.dG):
            out.update(b"none" if curve is None else np.ascontiguousarray(curve).tobytes())
        return out.hexdigest()[:24]

    def read(self) -> PDF:
        """Return the data."""
        return self.pdf


@dataclass(frozen=True, eq=False)
class Held:
    """PDFs in memory."""

    pdfs: tuple[PDF, ...]

    def __len__(self) -> int:
        return len(self.pdfs)

    def scan(self, number: int) -> Scan:
        """Return one of them."""
        return HeldScan(self.pdfs[number], self.pdfs[number].name or f"scan {number}")


def file_stamp(path: str) -> str:
    """Return size and time of a file, "missing" where there is none."""
    try:
        about = Path(path).stat()
    except OSError:
        return "missing"
    return f"{about.st_size}-{about.st_mtime_ns}"


def named_stamp(path: str) -> str:
    """Return `file_stamp` with the place of the file: copies may have the size and time of others."""
    return f"{os.path.abspath(path)} {file_stamp(path)}"  # noqa: PTH100 - it asks nothing of the disk


@dataclass(frozen=True, eq=False)
class Axis:
    """What a series runs over: name, values (n,), unit; remarks: what is to be said of where they were found.

    since : of times that count from one, seconds from 1970 to that; else NaN.
    """

    name: str
    values: Array
    unit: str = ""
    remarks: tuple[str, ...] = ()
    since: float = math.nan

    @property
    def title(self) -> str:
        """Name and unit, as an axis of a picture has it."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and self.title == other.title and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.title)


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Scans in the order of their index, read one at a time whenever they are asked for; see `read_series`.

    Parameters
    ----------
    source : what scans are read from. axes : one `Axis` with a value for each scan; or two, x and y of a map, whose
    scans are the points (x₀, y₀), (x₀, y₁), …
    order : the numbers (n,) in the source, by position. remarks : what is to be known of the whole.

    `len(series)`, `for pdf in series`, `series[3]` (a PDF), `series[2:5]` and `series.where(…)` (a Series).

    Example
    -------
    >>> import numpy as np
    >>> import pdfkit as pk
    >>> model = pk.Model(pk.Crystal.from_file("Ni", name="ni"), pk.Instrument(probe="X", qmax=25))
    >>> scans = [model.with_values({"ni.a": a})(np.arange(1, 10, 0.02)) for a in (3.52, 3.53, 3.54)]  # simulated
    >>> series = pk.read_series(scans, index=[100, 200, 300], name="temperature", unit="K")
    >>> series.name, series.unit, series.index.tolist(), len(series[1])
    ('temperature', 'K', [100.0, 200.0, 300.0], 450)
    """

    source: Source
    axes: tuple[Axis, ...]
    order: IntArray
    remarks: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, scans: Any) -> Series:
        """Return a series as it is, and a list of PDFs numbered from 0. PdfkitError for anything else."""
        if isinstance(scans, Series):
            return scans
        found = () if isinstance(scans, str | bytes | PDF) else tuple(scans if np.iterable(scans) else ())
        for pdf in found:
            _checks.instance("scan", pdf, PDF, "PDFs, or a series as read_series returns it")
        if not found:
            raise PdfkitError("there are no scans: give a list of PDFs, or a series as read_series returns it")
        return cls.numbered(Held(found))

    @classmethod
    def numbered(cls, source: Source) -> Series:
        """Return all scans of a source with their numbers, from 0, as the index."""
        count = len(source)
        return cls(source, (Axis("number", np.arange(count, dtype=np.float64)),), np.arange(count))

    @property
    def index(self) -> Array:
        """The index of every scan (n,); of a map, the numbers of its points."""
        return self.axes[0].values if len(self.axes) == 1 else np.arange(len(self), dtype=np.float64)

    @property
    def name(self) -> str:
        """What the index is, such as "temperature"."""
        return self.axes[0].name if len(self.axes) == 1 else "point"

    @property
    def unit(self) -> str:
        """The unit of the index, "" where there is none."""
        return self.axes[0].unit if len(self.axes) == 1 else ""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,), or (nx, ny) of a map."""
        return tuple(axis.values.size for axis in self.axes)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each scan is called."""
        return tuple(self.scan(position).label for position in range(len(self)))

    def scan(self, position: int) -> Scan:
        """Return a scan unread, for where the work is done."""
        return self.source.scan(int(self.order[position]))

    def __len__(self) -> int:
        return int(self.order.size)

    def __iter__(self) -> Iterator[PDF]:
        return (self.scan(position).read() for position in range(len(self)))

    @overload
    def __getitem__(self, at: int) -> PDF: ...
    @overload
    def __getitem__(self, at: slice | Sequence[int] | IntArray) -> Series: ...
    def __getitem__(self, at: int | slice | Sequence[int] | IntArray) -> PDF | Series:
        if isinstance(at, int | np.integer):
            return self.scan(range(len(self))[at]).read()
        return self.where(at)

    def where(self, chosen: Any) -> Series:
        """Return some of the scans: a slice, positions, or True and False for each (n,), such as series.index < 200.

        Points of a map are then a series of their numbers.
        """
        positions = np.arange(len(self))[chosen if isinstance(chosen, slice) else np.asarray(chosen)]
        axis = Axis(self.name, self.index[positions], self.unit)
        return replace(self, axes=(axis,), order=self.order[positions])

    def sorted(self) -> Series:
        """Return the scans by rising index, those without one last."""
        return self if len(self.axes) > 1 else self.where(np.argsort(self.index, kind="stable"))

    def __repr__(self) -> str:
        return f"Series({self._about()})"

    def _about(self) -> str:
        if len(self.axes) > 1:
            return f"map of {' × '.join(map(str, self.shape))} points over {', '.join(axis.name for axis in self.axes)}"
        known = self.index[np.isfinite(self.index)]
        span = f", {known.min():g} to {known.max():g} {self.unit}".rstrip() if known.size else ""
        return f"{len(self)} scans over {self.name}{span}"

    def _repr_html_(self) -> str:
        return facts("Series", {"scans": self._about()}, self.remarks)


def grid_axes(shape: tuple[int, ...], axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return the axes of a map, numbers where none are given. PdfkitError where they do not fit the shape."""
    usual = [Axis(name, np.arange(size, dtype=np.float64)) for name, size in zip("xy", shape, strict=True)]
    out = tuple(axes) or tuple(usual)
    if tuple(axis.values.size for axis in out) != tuple(shape):
        found = " × ".join(str(axis.values.size) for axis in out)
        raise PdfkitError(f"the axes have {found} values for {' × '.join(map(str, shape))} scans: correct them")
    return out
