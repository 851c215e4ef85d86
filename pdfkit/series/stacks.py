"""Stacks of curves in one HDF5 file, read a scan at a time: scan × r, or x × y × r, as NXdata or plain datasets.

`open_stack` looks at shapes and axes; no curve is read before it is asked for, and then only the chunk that holds it.
A file stays open in each process that reads it. Nothing outside the file is opened.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.curves import PDF
from pdfkit.data.instrument import Instrument
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io.columns import wide_steps
from pdfkit.io.hdf5 import SIGNATURE
from pdfkit.series import times
from pdfkit.series.members import (
    elsewhere,
    facts,
    is_axis_of,
    is_column,
    is_curves,
    is_ragged,
    is_words,
    member_at,
    numbers,
    opened,
    plain,
    short_words,
    stacks_in,
    unit_said,
)
from pdfkit.series.scans import Axis, Scan, file_stamp, grid_axes
from pdfkit.series.units import LENGTHS, is_kelvin, number_of, per, unit_of

OF_INSTRUMENT = ("probe", "qmin", "qmax", "qdamp", "qbroad", "resolution", "qtail", "window", "wavelength")
_SIGNALS = {"r": ("g", "gr", "g(r)", "pdf", "observed"), "Q": ("i", "iq", "i(q)", "intensity", "intensities")}
_NAMES = {"r": ("r", "distance", "radius"), "Q": ("q",)}
LARGEST = 1e30
"""Numbers above stand for those that were not written, such as 9.97e36 of netCDF."""
SHORT = 5.0
"""Å; r without a unit that ends before may be in nm."""


@dataclass(frozen=True)
class Stack:
    """Curves of one dataset of an HDF5 file.

    signal, x, errors : paths of the datasets in the file (errors "" where there are none). shape : of the scans.
    about : instrument of all, by field. remarks : what was assumed of all.
    r may be one for all scans, or one for each; rows may be of variable length.
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
    size: float = 1.0
    """What y is multiplied with: G(r) over r in other units is a density over their square."""
    stamped: str = field(default="")
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return math.prod(self.shape)

    def scan(self, number: int) -> Scan:
        """Return one of them, unread."""
        return StackScan(self, number)

    def points(self, number: int) -> int:
        """Return how many numbers a scan has as far as its last one: 0 where it is NaN or 0 throughout."""
        there = np.flatnonzero(np.nan_to_num(self._row(opened(self.path, self.stamped)[self.signal], number)))
        return int(there[-1]) + 1 if there.size else 0

    def curve(self, number: int) -> tuple[Array, Array, Array | None]:
        """Return x, y and errors of one scan; the points that are NaN, as beyond the end of shorter scans, left out.

        ReadError where it cannot be read, or is NaN or 0 throughout. Errors count where all are above 0.
        """
        try:
            file = opened(self.path, self.stamped)
            y, x = self._row(file[self.signal], number), self._row(file[self.x], number)
            dy = self._row(file[self.errors], number) if self.errors else None
        except (OSError, KeyError, RuntimeError) as error:
            raise ReadError(
                self.path, f"scan {number} of {self.signal} cannot be read ({short_words(error)})"
            ) from None
        if x.size != y.size:
            raise ReadError(self.path, f"scan {number} of {self.signal} has {y.size} points and {self.x} {x.size}")
        there = np.isfinite(x) & np.isfinite(y)
        if not there.any():
            raise ReadError(self.path, f"scan {number} of {self.signal} holds no numbers: was it measured?")
        if (np.abs(y[~np.isnan(y)]) > LARGEST).any():
            words = f"has infinite values, or of more than {LARGEST:g}"
            raise ReadError(self.path, f"scan {number} of {self.signal} {words}: repair them, or write NaN")
        if np.ptp(y[there]) == 0 and (there.sum() > 1 or not y[there].any()):
            raise ReadError(
                self.path, f"scan {number} of {self.signal} is {y[there][0]:g} everywhere: was it measured?"
            )
        known = dy is not None and bool((dy[there] > 0).all())
        order = slice(None, None, -1 if x[there][0] > x[there][-1] else 1)
        errors = dy[there][order] * self.size if dy is not None and known else None
        return x[there][order] * self.factor, y[there][order] * self.size, errors

    def _row(self, one: Any, number: int) -> Array:
        """Return what a dataset has of one scan: a row of it, or all of what has one for all scans."""
        at: list[int | slice] = [int(k) for k in np.unravel_index(number, self.shape)]
        if one.ndim == 1 and not is_ragged(one):
            return numbers(one, ())
        if not is_ragged(one):
            at.insert(self.along % (len(at) + 1), slice(None))
        return numbers(one, tuple(at))


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
        place = (stack.signal, stack.x, stack.errors, stack.about, self.number, stack.factor, stack.size)
        return f"{os.path.abspath(stack.path)} {stack.stamped} {place!r}"  # noqa: PTH100 - it asks nothing of the disk

    def read(self) -> PDF:
        """Return the data."""
        r, G, dG = self.stack.curve(self.number)
        given = tuple(name for name, _ in self.stack.about)
        lost = dG is None and self.stack.errors
        said = (f"{self.stack.errors} is not above 0 everywhere, and is left out",) if lost else ()
        about = Instrument(**dict(self.stack.about), given=given)
        return PDF(r, G, dG, instrument=about, name=self.label, remarks=(*self.stack.remarks, *said))


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
    file = opened(path, file_stamp(path))
    options = dict(options)
    unit = options.pop("r_unit" if of == "r" else "unit", None)
    signal = _signal(path, file, where, of)
    x, axes, along = _axes(path, file, signal, of)
    ragged, points = is_ragged(signal), file[x]
    if not ragged and points.ndim == 1 and signal.shape[along] != points.shape[0]:
        # without names, a transposed one is known by its shape
        fitting = [k for k, n in enumerate(signal.shape) if n == points.shape[0]]
        if len(fitting) != 1 or axes:
            raise ReadError(path, f"{signal.name} has {signal.shape[along]} columns and {x} {points.shape[0]} values")
        along = fitting[0]
    attrs = {**facts(signal.parent), **facts(signal)}
    known = {key: attrs[key] for key in OF_INSTRUMENT if key in attrs}
    known |= {key: value for key, value in options.items() if value is not None}
    shape = tuple(int(n) for k, n in enumerate(signal.shape) if ragged or k != along % len(signal.shape))
    factor = _factor(path, points, of, unit)
    size, said = _size(signal, factor) if of == "r" else (1.0, [])
    said += [*_masks(signal, shape), *_guesses(signal, points, of, unit, bool(axes))]
    _check_steps(path, points, of, unit)
    if len(shape) > 1 and not axes:
        axes, words = _named_axes(signal.parent, shape)
        said += words
    stack = Stack(
        path, signal.name, x, _errors(signal, points), shape, tuple(known.items()), along, factor, size,
        file_stamp(path), tuple(said),
    )  # fmt: skip
    return stack, grid_axes(shape, axes) if len(shape) > 1 else axes


def _size(signal: Any, factor: float) -> tuple[float, list[str]]:
    """Return what G(r) is multiplied with for Å⁻², by its own unit, else as r; and what is to be said of it."""
    said = unit_said(signal)
    word = "".join(filter(str.isalpha, said.lower().replace("\\aa", "å")))
    if word and word in LENGTHS:
        return 1.0, []
    if word in ("nm", "nanometer", "nanometre"):
        return 0.01, []
    unit = "Å⁻²" if factor == 1.0 else "nm⁻²"
    return 1.0 / factor**2, [f"{signal.name} is in {said.strip()}: taken as {unit}"] if word else []


def _masks(signal: Any, shape: tuple[int, ...]) -> list[str]:
    """Say which masks there are, that nobody knows the sense of."""
    names = [name for name in signal.parent if "mask" in name.lower() and name != signal.name.rpartition("/")[2]]
    found = [n for n in names if getattr(member_at(signal.parent, n), "shape", None) in (shape, signal.shape)]
    remedy = "write NaN where nothing was measured, or take some of the scans with series.where"
    return [f"{signal.parent.name.rstrip('/')}/{name} is not looked at: {remedy}" for name in found]


def _guesses(signal: Any, x: Any, of: str, unit: str | None, named: bool) -> list[str]:
    """Say what a stack does not tell, and what it is taken for."""
    out = []
    if not named and x.ndim == 1 and not is_ragged(signal) and signal.shape.count(x.shape[0]) > 1:
        out.append(f"{signal.name} has {x.shape[0]} points along several dimensions: {of} is taken along the last")
    if of == "r" and unit is None and not unit_said(x) and x.ndim == 1 and not is_ragged(x):
        last = float(np.nanmax(numbers(x, ()))) if x.shape[0] else math.nan
        if last < SHORT:
            out.append(f'{x.name} has no unit and ends at {last:g}: taken as Å; r_unit="nm" if that is what it is')
    return out


def _check_steps(path: str, x: Any, of: str, unit: str | None) -> None:
    """Refuse r whose steps are wider than any peak, as in pm or where it numbers the points."""
    if of != "r" or unit is not None or x.ndim > 1 or is_ragged(x) or x.shape[0] < 2:
        return
    r = numbers(x, ())
    step, last = float(np.nanmedian(np.abs(np.diff(r)))), float(np.nanmax(r))
    if wide_steps(step, last):
        words = f"{x.name} goes to {last:g} in steps of {step:g}, too wide for Å: is it in pm, or are points numbered?"
        raise ReadError(path, f'{words} Write r in Å, or give r_unit="A" if it is right')


def _named_axes(group: Any, shape: tuple[int, ...]) -> tuple[tuple[Axis, ...], list[str]]:
    """Return x and y of a map by datasets of their lengths, in any order; () where that is not told, which is said."""
    found = [name for name in ("x", "y") if is_column(member_at(group, name))]
    sizes = [member_at(group, name).shape[0] for name in found]
    if len(found) == 2 and shape[0] != shape[1] and sorted(sizes) == sorted(shape):
        return tuple(_axis(group, found[sizes.index(n)]) for n in shape), []
    return (), [f"nothing says which axes a map of {shape[0]} × {shape[1]} has: the first is called x, the second y"]


def _factor(path: str, x: Any, of: str, given: str | None) -> float:
    """Return what r or Q is multiplied with: by what is given, else what the file says. ReadError for other units."""
    said = unit_said(x)
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


def _signal(path: str, file: Any, where: str, of: str) -> Any:
    """Return the dataset that is meant: the one at `where`, the default plot, or the only one that is over r (Q)."""
    import h5py

    if where:
        found = member_at(file, where)
        if found is None:
            known = [one.name for one in stacks_in(file)][:5]
            raise ReadError(path, f"it has nothing at {where}: the stacks in it are {', '.join(known) or 'none'}")
        if isinstance(found, h5py.Group):
            found = _of_group(path, found, of)
        if isinstance(found, h5py.Dataset) and is_curves(found):
            return found
        raise ReadError(path, f"{where} is no stack of curves: give a dataset of scan × r, or x × y × r")
    default = file
    while isinstance(default, h5py.Group) and (inner := member_at(default, facts(default).get("default"))) is not None:
        default = inner
    found = member_at(default, facts(default).get("signal"))
    if not isinstance(found, h5py.Dataset) or not is_curves(found):
        found = _only(path, list(stacks_in(file)), of)
    if found is None:
        far = elsewhere(file)
        why = (
            f"{far} is in another file, which is not opened: copy the numbers into this one, or give that file"
            if far
            else ""
        )
        raise ReadError(
            path, f"it has no stack of curves: {why or 'give a dataset of scan × r, as file.h5::path/of/dataset'}"
        )
    return found


def _only(path: str, stacks: list[Any], of: str) -> Any:
    """Return the one stack that is over r (Q), or is called as such; ReadError where several may be meant."""
    stacks = [one for one in stacks if one.name.rpartition("/")[2].lower() not in _NAMES[of]]
    first = [one for one in stacks if str(facts(one).get("signal", "")) == "1"]
    over = [one for one in first or stacks if _beside(one, of) is not None] or stacks[:1]
    called = [one for one in over if one.name.rpartition("/")[2].lower() in _SIGNALS[of]]
    if len(over) > 1 and len(called) != 1:
        names = ", ".join(one.name for one in over[:5])
        raise ReadError(path, f"it has several stacks, {names}: give one as {os.path.basename(path)}::{over[0].name}")  # noqa: PTH119
    return next(iter(called or over), None)


def _of_group(path: str, group: Any, of: str) -> Any:
    """Return the signal of an NXdata group, else the stack in it."""
    found = member_at(group, facts(group).get("signal"))
    return _only(path, list(stacks_in(group)), of) if found is None else found


def _axes(path: str, file: Any, signal: Any, of: str) -> tuple[str, tuple[Axis, ...], int]:
    """Return the path of r (or Q), the axes of the scans that the file has, and which dimension r runs along."""
    group, names = signal.parent, _axis_names(signal)
    along = next((k for k, name in enumerate(names) if name.lower() in _NAMES[of]), len(names) - 1)
    if names and len(names) == len(signal.shape) and is_column(member_at(group, names[along])):
        others = [name for k, name in enumerate(names) if k != along]
        axes = [_axis(group, name) for name in others if _is_index(member_at(group, name))]
        other = {"r": "Q", "Q": "r"}[of]
        if names[along].lower() in _NAMES[other]:
            remedy = "give reduce={…} for intensities" if of == "r" else "leave reduce= out for G(r)"
            raise ReadError(path, f"{signal.name} is a function of {names[along]}, not of {of}: {remedy}")
        return member_at(group, names[along]).name, tuple(axes) if len(axes) == len(others) else (), along
    x = _beside(signal, of)
    if x is None:
        raise ReadError(path, f"{signal.name} has no dataset {of} beside it: NXdata names it in its attribute axes")
    return x, (), len(signal.shape) - 1


def _axis_names(signal: Any) -> list[str]:
    """Return the names of the axes of a signal: of NXdata, of itself ("y:x:r"), or by numbers that axes have."""
    group = signal.parent
    said = facts(group).get("axes", facts(signal).get("axes"))
    if said is not None:
        return [name for one in np.ravel(said) for name in re.split("[:,]", str(one).strip("[] "))]
    of = {name: facts(member).get("axis") for name in group if is_column(member := member_at(group, name))}
    numbered = {number: name for name, number in of.items() if isinstance(number, int)}
    return [numbered[k] for k in sorted(numbered)] if len(numbered) == len(signal.shape) else []


def _is_index(one: Any) -> bool:
    """Return whether a dataset is numbers or words along one axis."""
    return is_column(one) or (is_words(one) and max(one.shape, default=1) == math.prod(one.shape))


def _beside(signal: Any, of: str) -> str | None:
    """Return the path of the r (or Q) of a signal in its group, None where there is none."""
    group = signal.parent
    found = (member_at(group, n) for n in group if n.lower() in _NAMES[of])
    return next((str(one.name) for one in found if is_axis_of(one, signal)), None)


def _axis(group: Any, name: str) -> Axis:
    found = member_at(group, name)
    unit = unit_said(found)
    if found.dtype.kind in "SO":
        texts = [str(plain(one)) for one in np.ravel(found[()]).tolist()]
        if any(times.is_stamp(text, name) for text in texts):
            return _timed(name, times.moments(texts))
        pairs = [number_of(text) for text in texts]
        units = {unit_of(word) or word for word in (unit, *(word for _, word in pairs)) if word}
        if len(units) > 1:
            raise PdfkitError(
                f"{found.name} is in {', '.join(sorted(units))}: give the numbers, index=[…]", key="index"
            )
        values, unit = np.array([value for value, _ in pairs]), next(iter(units), "")
    else:
        values, unit = numbers(found, ()).ravel(), unit_of(unit) or unit
    seconds = times.since_1970(name, values, unit)
    if seconds is not None:
        return _timed(name, seconds)
    if not unit and is_kelvin(name) and not (values < 0).any():
        unit = "K"
    return Axis(name, np.where(np.isfinite(values), values, math.nan), unit)


def _timed(name: str, seconds: Array) -> Axis:
    if not np.isfinite(seconds).any():
        return Axis(name, seconds, "s")
    values, first, said = times.elapsed(name, seconds)
    return Axis(name, values, "s", (said,), first)


def _errors(signal: Any, x: Any) -> str:
    """Return the path of the errors of a signal, of each scan or the same for all; "" where there are none."""
    group, name = signal.parent, signal.name.rpartition("/")[2]
    for word in (f"{name}_errors", "errors", f"d{name}"):
        found = member_at(group, word)
        if found is not None and getattr(found, "shape", None) == signal.shape and is_curves(found):
            return str(found.name)
        if is_column(found) and found.shape == x.shape:
            return str(found.name)
    return ""


def axis_called(stack: Stack, name: str) -> Axis:
    """Return another dataset of the file as the index: one beside the signal, or anywhere by its path.

    Raises PdfkitError where there is none with a value for each scan.
    """
    file = opened(stack.path, stack.stamped)
    for place in (f"{stack.signal.rpartition('/')[0]}/{name}", name):
        found = member_at(file, place)
        if _is_index(found) and found.shape in (stack.shape[:1], (*stack.shape[:1], 1)):
            axis = _axis(found.parent, found.name.rpartition("/")[2])
            if np.isfinite(axis.values).any():
                return axis
    raise PdfkitError(f"{stack.path} has no dataset {name!r} with a value for each of {stack.shape[0]} scans")
