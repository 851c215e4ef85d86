"""Stacks of curves in one HDF5 file, read a scan at a time: scan × r, or x × y × r, as NXdata or plain datasets.

`open_stack` looks at shapes and axes; no curve is read before it is asked for, and then only the chunk that holds it.
A file stays open in each process that reads it. Nothing outside the file is opened.
"""

from __future__ import annotations

import math
import os
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
from pdfkit.series.units import LENGTHS, per

CACHE = 32_000_000
"""Bytes of chunks that are kept unpacked: neighbouring scans lie in one chunk."""
OF_INSTRUMENT = ("probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail", "window", "wavelength")
_SIGNALS = {"r": ("g", "gr", "g(r)", "pdf", "observed"), "Q": ("i", "iq", "i(q)", "intensity", "intensities")}
_NAMES = {"r": ("r", "distance", "radius"), "Q": ("q",)}


@dataclass(frozen=True)
class Stack:
    """Curves of one dataset of an HDF5 file.

    signal, x, errors : paths of the datasets in the file (errors "" where there are none). shape : of the scans.
    about : instrument of all, by field.
    G(r) over r in other units is a density over their square.
    """

    path: str
    signal: str
    x: str
    errors: str
    shape: tuple[int, ...]
    about: tuple[tuple[str, Any], ...] = ()
    along: int = -1
    """Which dimension of the signal x runs along."""
    factor: float = 1.0
    """What x is multiplied with for Å, or Å⁻¹."""
    stamped: str = field(default="")

    def __len__(self) -> int:
        return math.prod(self.shape)

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""
        return StackScan(self, number)

    def curve(self, number: int) -> tuple[Array, Array, Array | None]:
        """Return x, y and errors of one scan; the points that are NaN, as beyond the end of shorter scans, left out."""
        at: list[int | slice] = [int(k) for k in np.unravel_index(number, self.shape)]
        at.insert(self.along % (len(at) + 1), slice(None))
        try:
            file = _opened(self.path, self.stamped)
            x, y = np.asarray(file[self.x][()], dtype=float), np.asarray(file[self.signal][tuple(at)], dtype=float)
            dy = np.asarray(file[self.errors][tuple(at)], dtype=float) if self.errors else None
        except (OSError, KeyError, RuntimeError) as error:
            raise ReadError(self.path, f"scan {number} of {self.signal} cannot be read ({_words(error)})") from None
        there = np.isfinite(x) & np.isfinite(y)
        if not there.any():
            raise ReadError(self.path, f"scan {number} of {self.signal} holds no numbers: was it measured?")
        if np.isinf(y).any():
            raise ReadError(self.path, f"scan {number} of {self.signal} has infinite values: repair them, or write NaN")
        known = dy is not None and bool((dy[there] > 0).all())
        order = slice(None, None, -1 if x[there][0] > x[there][-1] else 1)
        return x[there][order] * self.factor, y[there][order], dy[there][order] if dy is not None and known else None


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
        """Return which file this is, its size and time, the place in it, and what is said of the instrument."""
        stack = self.stack
        place = (stack.signal, stack.x, stack.errors, stack.about, self.number)
        return f"{os.path.abspath(stack.path)} {stack.stamped} {place!r}"  # noqa: PTH100 - it asks nothing of the disk

    def read(self) -> PDF:
        """Return the data."""
        r, G, dG = self.stack.curve(self.number)
        square = self.stack.factor**2
        G, dG = G / square, None if dG is None else dG / square
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
    options = dict(options)
    unit = options.pop("r_unit" if of == "r" else "unit", None)
    signal = _signal(path, file, where, of)
    x, axes, along = _axes(path, file, signal, of)
    count = file[x].shape[0]
    if signal.shape[along] != count:  # without names, a transposed one is known by its shape
        fitting = [k for k, n in enumerate(signal.shape) if n == count]
        if len(fitting) != 1 or axes:
            raise ReadError(path, f"{signal.name} has {signal.shape[along]} columns and {x} {count} values")
        along = fitting[0]
    attrs = {**_facts(signal.parent), **_facts(signal)}
    known = {key: attrs[key] for key in OF_INSTRUMENT if key in attrs} | dict(options)
    shape = tuple(int(n) for k, n in enumerate(signal.shape) if k != along % len(signal.shape))
    factor = _factor(path, file[x], of, unit)
    stack = Stack(path, signal.name, x, _errors(signal), shape, tuple(known.items()), along, factor, file_stamp(path))
    return stack, grid_axes(shape, axes) if len(shape) > 1 else axes


def _factor(path: str, x: Any, of: str, given: str | None) -> float:
    """Return what r or Q is multiplied with: by what is given, else what the file says. ReadError for other units."""
    said = str(_facts(x).get("units", ""))
    word, of_nm, remedy = (said.strip().lower(), 10.0, "r_unit") if of == "r" else (per(said), 0.1, "unit")
    nm, ours = ("nm", "A") if of == "r" else ("nm-1", "A-1")
    if given is not None:
        if given not in (nm, ours):
            raise PdfkitError(f"{remedy} = {given!r} is none for a stack over {of}: choose {ours} or {nm}")
        return of_nm if given == nm else 1.0
    if word in LENGTHS:
        return 1.0
    if of == "Q" and word == "nm":
        return of_nm
    how = f'give {remedy}="{nm}" to convert it' if word.startswith(("nm", "nano")) else f"write {of} in {ours}"
    raise ReadError(path, f'{x.name} is in {said}: {how}, or give {remedy}="{ours}" if that is not true')


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


def _signal(path: str, file: Any, where: str, of: str) -> Any:
    """Return the dataset that is meant: the one at `where`, the default plot, or the only one that is over r (Q)."""
    import h5py

    if where:
        found = _member(file, where)
        if found is None:
            known = [one.name for one in _datasets(file)][:5]
            raise ReadError(path, f"it has nothing at {where}: the stacks in it are {', '.join(known) or 'none'}")
        if isinstance(found, h5py.Group):
            found = _of_group(path, found, of)
        if isinstance(found, h5py.Dataset) and _is_curves(found):
            return found
        raise ReadError(path, f"{where} is no stack of curves: give a dataset of scan × r, or x × y × r")
    default = file
    while isinstance(default, h5py.Group) and (inner := _member(default, _facts(default).get("default"))) is not None:
        default = inner
    found = _member(default, _facts(default).get("signal"))
    if not isinstance(found, h5py.Dataset) or not _is_curves(found):
        found = _only(path, list(_datasets(file)), of)
    if found is None:
        raise ReadError(path, "it has no stack of curves: give a dataset of scan × r, as file.h5::path/of/dataset")
    return found


def _only(path: str, stacks: list[Any], of: str) -> Any:
    """Return the one stack that is over r (Q), or is called as such; ReadError where several may be meant."""
    over = [one for one in stacks if _beside(one.parent, of) is not None] or stacks[:1]
    called = [one for one in over if one.name.rpartition("/")[2].lower() in _SIGNALS[of]]
    if len(over) > 1 and len(called) != 1:
        names = ", ".join(one.name for one in over[:5])
        raise ReadError(path, f"it has several stacks, {names}: give one as {os.path.basename(path)}::{over[0].name}")  # noqa: PTH119
    return next(iter(called or over), None)


def _of_group(path: str, group: Any, of: str) -> Any:
    """Return the signal of an NXdata group, else the stack in it."""
    found = _member(group, _facts(group).get("signal"))
    return _only(path, list(_datasets(group)), of) if found is None else found


def _member(group: Any, path: Any, links: int = 0) -> Any:
    """Return what is at a path in a group, None where nothing is, or a link that leads out of the file."""
    import h5py

    found = group
    for name in path.strip("/").split("/") if isinstance(path, str) else [""]:
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) and name else None
        if isinstance(link, h5py.SoftLink) and links < MAX_DEPTH:
            found = _member(found.file if link.path.startswith("/") else found, link.path, links + 1)
        elif isinstance(link, h5py.HardLink):
            found = found[name]
        else:
            return None
    return found


def _datasets(group: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the stacks of curves in a group and those below it; links are not followed."""
    import h5py

    for name in group:
        hard = isinstance(group.get(name, getlink=True), h5py.HardLink)
        member = group[name] if hard else None
        if isinstance(member, h5py.Group) and depth < MAX_DEPTH:
            yield from _datasets(member, depth + 1)
        elif isinstance(member, h5py.Dataset) and _is_curves(member) and not name.endswith(("_errors", "dG")):
            yield member


def _is_curves(one: Any) -> bool:
    plain = one.shape is not None and one.dtype.kind in "fiu" and not one.is_virtual and not one.external
    return plain and len(one.shape) in (2, 3) and max(one.shape) > 2


def _is_numbers(one: Any) -> bool:
    """Return whether this is a dataset of numbers along one axis, in this file."""
    import h5py

    if not isinstance(one, h5py.Dataset) or one.shape is None or len(one.shape) != 1:
        return False
    return one.dtype.kind in "fiu" and not one.is_virtual and not one.external


def _axes(path: str, file: Any, signal: Any, of: str) -> tuple[str, tuple[Axis, ...], int]:
    """Return the path of r (or Q), the axes of the scans that the file has, and which dimension r runs along."""
    group, about = signal.parent, _facts(signal.parent)
    names = [str(name) for name in np.ravel(about.get("axes", []))]
    along = next((k for k, name in enumerate(names) if name.lower() in _NAMES[of]), len(names) - 1)
    if names and len(names) == len(signal.shape) and _is_numbers(_member(group, names[along])):
        others = [name for k, name in enumerate(names) if k != along]
        axes = [_axis(group, name) for name in others if _is_numbers(_member(group, name))]
        other = {"r": "Q", "Q": "r"}[of]
        if names[along].lower() in _NAMES[other]:
            remedy = "give reduce={…} for intensities" if of == "r" else "leave reduce= out for G(r)"
            raise ReadError(path, f"{signal.name} is a function of {names[along]}, not of {of}: {remedy}")
        return _member(group, names[along]).name, tuple(axes) if len(axes) == len(others) else (), along
    x = _beside(group, of)
    if x is None:
        raise ReadError(path, f"{signal.name} has no dataset {of} beside it: NXdata names it in its attribute axes")
    return x, (), len(signal.shape) - 1


def _beside(group: Any, of: str) -> str | None:
    """Return the path of r (or Q) in a group, None where there is none."""
    return next((group[n].name for n in group if n.lower() in _NAMES[of] and _is_numbers(_member(group, n))), None)


def _axis(group: Any, name: str) -> Axis:
    found = _member(group, name)
    return Axis(name, np.asarray(found[()], dtype=float).ravel(), str(_facts(found).get("units", "")))


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
