"""Stacks of curves in one HDF5 file, read a scan at a time: scan × r, or x × y × r, as NXdata or plain datasets.

`open_stack` looks at shapes and axes; no curve is read before it is asked for, and then only the chunk that holds it.
A file stays open in each process that reads it. Nothing outside the file is opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, ReadError, missing
from pdfkit.io.hdf5 import MAX_DEPTH, SIGNATURE
from pdfkit.series.scans import Axis, Scan, file_stamp, grid_axes

CACHE = 32_000_000
"""Bytes of chunks that are kept unpacked: neighbouring scans lie in one chunk."""
OF_INSTRUMENT = ("probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail", "window", "wavelength")
_NAMES = {"r": ("r", "distance", "radius"), "Q": ("q",)}


@dataclass(frozen=True)
class Stack:
    """Curves of one dataset of an HDF5 file.

    signal, x, errors : paths of the datasets in the file (errors "" where there are none). shape : of the scans.
    about : instrument of all, by field.
    """

    path: str
    signal: str
    x: str
    errors: str
    shape: tuple[int, ...]
    about: tuple[tuple[str, Any], ...] = ()
    stamped: str = field(default="")

    def __len__(self) -> int:
        return math.prod(self.shape)

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""
        return StackScan(self, number)

    def curve(self, number: int) -> tuple[Array, Array, Array | None]:
        """Return x, y and errors of one scan; the points that are NaN, as beyond the end of shorter scans, left out."""
        at = tuple(int(k) for k in np.unravel_index(number, self.shape))
        try:
            file = _opened(self.path, self.stamped)
            x, y = np.asarray(file[self.x][()], dtype=float), np.asarray(file[self.signal][at], dtype=float)
            dy = np.asarray(file[self.errors][at], dtype=float) if self.errors else None
        except (OSError, KeyError, RuntimeError) as error:
            raise ReadError(self.path, f"scan {number} of {self.signal} cannot be read ({_words(error)})") from None
        there = np.isfinite(x) & np.isfinite(y)
        if not there.any():
            raise ReadError(self.path, f"scan {number} of {self.signal} holds no numbers: was it measured?")
        known = dy is not None and bool((dy[there] > 0).all())
        return x[there], y[there], dy[there] if dy is not None and known else None


@dataclass(frozen=True)
class StackScan:
    """One scan of a stack."""

    stack: Stack
    number: int

    @property
    def label(self) -> str:
        """Its place in the file."""
        at = np.unravel_index(self.number, self.stack.shape)
        return f"{self.stack.signal.rpartition('/')[2]}[{', '.join(str(int(k)) for k in at)}]"

    def stamp(self) -> str:
        """Return size and time of the file, and the place in it."""
        return f"{self.stack.stamped}-{self.number}"

    def read(self) -> PDF:
        """Return the data."""
        r, G, dG = self.stack.curve(self.number)
        given = tuple(name for name, _ in self.stack.about)
        return PDF(r, G, dG, instrument=Instrument(**dict(self.stack.about), given=given), name=self.label)


def is_stack(path: str) -> bool:
    """Return whether a file is HDF5."""
    try:
        with open(path.partition("::")[0], "rb") as file:  # noqa: PTH123 - the name may hold "::"
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def open_stack(name: str, options: Mapping[str, Any], *, of: str = "r") -> tuple[Stack, tuple[Axis, ...]]:
    """Return the stack in "file.h5" or "file.h5::entry/data", and the axes of its scans.

    options : what the file does not say of the instrument. of : "r", or "Q" for intensities.
    Raises ReadError where the file cannot be read, has no such dataset, or no r (Q) for it.
    """
    path, _, where = name.partition("::")
    file = _opened(path, file_stamp(path))
    signal = _signal(path, file, where)
    x, axes = _axes(path, file, signal, of)
    if signal.shape[-1] != file[x].shape[0]:
        raise ReadError(path, f"{signal.name} has {signal.shape[-1]} columns and {x} {file[x].shape[0]} values")
    attrs = {**_facts(signal.parent), **_facts(signal)}
    known = {key: attrs[key] for key in OF_INSTRUMENT if key in attrs} | dict(options)
    shape = tuple(int(n) for n in signal.shape[:-1])
    stack = Stack(path, signal.name, x, _errors(signal), shape, tuple(known.items()), file_stamp(path))
    return stack, grid_axes(shape, axes) if len(shape) > 1 else axes


@lru_cache(maxsize=4)
def _opened(path: str, stamp: str) -> Any:
    """Return the open file; `stamp` changes when the file does."""
    import h5py

    if stamp == "missing":
        raise ReadError(path, missing(path))
    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE, locking=False)
    except OSError as error:
        raise ReadError(path, f"not a whole HDF5 file ({_words(error)}): was it written completely?") from None


def _signal(path: str, file: Any, where: str) -> Any:
    """Return the dataset that is meant: the one at `where`, or the first with two or three dimensions."""
    import h5py

    if where:
        found = _member(file, where)
        if found is None:
            known = [one.name for one in _datasets(file)][:5]
            raise ReadError(path, f"it has nothing at {where}: the stacks in it are {', '.join(known) or 'none'}")
        if isinstance(found, h5py.Group):
            found = _of_group(found)
        if isinstance(found, h5py.Dataset) and _is_curves(found):
            return found
        raise ReadError(path, f"{where} is no stack of curves: give a dataset of scan × r, or x × y × r")
    default = file
    while isinstance(default, h5py.Group) and (inner := _member(default, _facts(default).get("default"))) is not None:
        default = inner
    found = _of_group(default) if isinstance(default, h5py.Group) else None
    if found is None or not _is_curves(found):
        found = next(_datasets(file), None)
    if found is None:
        raise ReadError(path, "it has no stack of curves: give a dataset of scan × r, as file.h5::path/of/dataset")
    return found


def _of_group(group: Any) -> Any:
    """Return the signal of an NXdata group, else its first stack."""
    found = _member(group, _facts(group).get("signal"))
    return next(_datasets(group), None) if found is None else found


def _member(group: Any, path: Any) -> Any:
    """Return what is at a path in a group, None where nothing is, or a link that leads elsewhere."""
    import h5py

    found = group
    for name in path.strip("/").split("/") if isinstance(path, str) else [""]:
        there = isinstance(found, h5py.Group) and name in found
        if not (there and isinstance(found.get(name, getlink=True), h5py.HardLink)):
            return None
        found = found[name]
    return found


def _datasets(group: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the stacks of curves in a group and those below it; links elsewhere are not followed."""
    import h5py

    for name in group:
        member = _member(group, name)
        if isinstance(member, h5py.Group) and depth < MAX_DEPTH:
            yield from _datasets(member, depth + 1)
        elif isinstance(member, h5py.Dataset) and _is_curves(member) and not name.endswith(("_errors", "dG")):
            yield member


def _is_curves(one: Any) -> bool:
    plain = one.shape is not None and one.dtype.kind in "fiu" and not one.is_virtual and not one.external
    return plain and len(one.shape) in (2, 3) and one.shape[-1] > 2


def _is_numbers(one: Any) -> bool:
    """Return whether this is a dataset of numbers along one axis, in this file."""
    import h5py

    if not isinstance(one, h5py.Dataset) or one.shape is None or len(one.shape) != 1:
        return False
    return one.dtype.kind in "fiu" and not one.is_virtual and not one.external


def _axes(path: str, file: Any, signal: Any, of: str) -> tuple[str, tuple[Axis, ...]]:
    """Return the path of r (or Q), and the axes of the scans that the file has."""
    group, about = signal.parent, _facts(signal.parent)
    names = [str(name) for name in np.ravel(about.get("axes", []))]
    if len(names) == len(signal.shape) and _is_numbers(_member(group, names[-1])):
        axes = [_axis(group, name) for name in names[:-1] if _is_numbers(_member(group, name))]
        other = {"r": "Q", "Q": "r"}[of]
        if names[-1].lower() in _NAMES[other]:
            remedy = "give reduce={…} for intensities" if of == "r" else "leave reduce= out for G(r)"
            raise ReadError(path, f"{signal.name} is a function of {names[-1]}, not of {of}: {remedy}")
        return group[names[-1]].name, tuple(axes) if len(axes) == len(names) - 1 else ()
    x = next((group[n].name for n in group if n.lower() in _NAMES[of] and _is_numbers(_member(group, n))), None)
    if x is None:
        raise ReadError(path, f"{signal.name} has no dataset {of} beside it: NXdata names it in its attribute axes")
    return x, ()


def _axis(group: Any, name: str) -> Axis:
    return Axis(name, np.asarray(group[name][()], dtype=float).ravel(), str(_facts(group[name]).get("units", "")))


def _errors(signal: Any) -> str:
    """Return the path of the errors of a signal, "" where there are none."""
    group, name = signal.parent, signal.name.rpartition("/")[2]
    for word in (f"{name}_errors", "errors", f"d{name}"):
        found = _member(group, word)
        if found is not None and getattr(found, "shape", None) == signal.shape and _is_curves(found):
            return str(found.name)
    return ""


def _facts(source: Any) -> dict[str, Any]:
    """Return the attributes of a group or dataset as plain values."""
    out: dict[str, Any] = {}
    for name, value in source.attrs.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
            out[name] = [_plain(one) for one in value.ravel().tolist()]
        else:
            out[name] = _plain(value.item() if isinstance(value, np.generic) else value)
    return out


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]


def axis_called(stack: Stack, name: str) -> Axis:
    """Return another dataset of the file as the index: one beside the signal, or anywhere by its path.

    Raises PdfkitError where there is none with a value for each scan.
    """
    file = _opened(stack.path, stack.stamped)
    for place in (f"{stack.signal.rpartition('/')[0]}/{name}", name):
        found = _member(file, place)
        if _is_numbers(found) and found.shape == stack.shape[:1]:
            return _axis(found.parent, found.name.rpartition("/")[2])
    raise PdfkitError(f"{stack.path} has no dataset {name!r} with a value for each of {stack.shape[0]} scans")
